//! Calls to other services: within what is left of the caller's deadline, to the last byte of the answer; bounded in
//! number; sent on with `grpc-timeout` and the trace context; counted like calls that come in.
use crate::call::Call;
use crate::deadline::{deadline_exceeded, until};
use crate::env::Env;
use crate::limits::HEADER_LIST;
use crate::wire::{Messages, code_of, timeout_header};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use hotpath_telemetry::{CallMetrics, CallRecorder, Failure, Name, Series, trace};
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use std::{collections::BTreeMap, sync::Arc, task::Context, task::Poll, time::Duration};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body, transport::Channel, transport::Endpoint};
use tower::{Service, ServiceExt as _};
use tracing::{Instrument as _, debug};

/// Calls at once to one service. Beyond it they are refused here, so that a service which hangs holds no more than these.
const IN_FLIGHT: usize = 256;
/// A deadline is watched three times: here, by tonic's channel, and by the peer. Within this time of it any of them may be
/// the first to notice.
const RACE: Duration = Duration::from_millis(20);

/// The methods of all services that are called, and the metrics of calls that go out.
pub(crate) struct Called {
    pub(crate) names: Vec<Name>,
    pub(crate) metrics: CallMetrics,
}

/// The transport of a generated client: `XClient::new(outbound)`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbound {
    channel: Channel,
    /// The longest that a call may take.
    cap: Duration,
    in_flight: Arc<Semaphore>,
    methods: Arc<BTreeMap<String, (Name, Series)>>,
}

impl Outbound {
    /// A transport to `service`, whose address is `default` or what `env` says instead. No call takes longer than `cap`.
    pub(crate) fn new(
        service: &str,
        default: &str,
        env: &Env,
        cap: Duration,
        called: &Called,
    ) -> Result<Self, Failure> {
        let variable = format!("DOWNSTREAM_{}", service.replace('-', "_").to_uppercase());
        let address = env.text(&variable).unwrap_or(default).to_owned();
        let endpoint = Endpoint::from_shared(address.clone()).ok().filter(|endpoint| endpoint.uri().scheme().is_some());
        let wrong = || format!("{variable}={address}: not a URI such as http://{service}:50051");
        let endpoint = endpoint.ok_or_else(wrong)?;
        let series = |name: &Name| (name.clone(), called.metrics.client_series(name, endpoint.uri()));
        let methods = called.names.iter().map(|name| (format!("/{name}"), series(name))).collect();
        #[expect(clippy::disallowed_methods, reason = "only while calls are under way, and those end soon")]
        let channel = endpoint
            .connect_timeout(Duration::from_secs(1))
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(30)))
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(false)
            .initial_stream_window_size(256 << 10)
            .initial_connection_window_size(1 << 20)
            .http2_max_header_list_size(HEADER_LIST)
            .connect_lazy();
        Ok(Self {
            channel,
            cap,
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT)),
            methods: Arc::new(methods),
        })
    }

    /// What a caller is told when the call to `service` failed: never its own status, whose code would accuse our caller
    /// (`INVALID_ARGUMENT`, `UNAUTHENTICATED`) and whose metadata would speak for us (retry pushback).
    pub fn failed(service: &str, status: &Status) -> Status {
        debug!(service, ?status, "downstream");
        let code = match status.code() {
            Code::DeadlineExceeded => Code::DeadlineExceeded,
            Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::Cancelled => Code::Unavailable,
            _ => Code::Internal,
        };
        Status::new(code, format!("{service}: {:?}", status.code()))
    }
}

impl Service<Request<Body>> for Outbound {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // Readiness is awaited in `call`, under the deadline: a channel that cannot connect is never ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let begun = Instant::now();
        let cap = begun + self.cap;
        let caller = Call::current();
        let deadline = caller.as_ref().map_or(cap, |call| call.deadline().min(cap));
        let Some((name, series)) = self.methods.get(request.uri().path()).cloned() else {
            let status = Status::unimplemented(format!("{} is in no proto", request.uri()));
            return std::future::ready(Err(status)).boxed();
        };
        let span = trace::client_span(&name);
        trace::inject(caller.as_ref().map(Call::parent), &span, request.headers_mut());
        let left = deadline.saturating_duration_since(begun);
        request.headers_mut().insert("grpc-timeout", timeout_header(left));
        let mut recorder = CallRecorder::start(series.clone(), span.clone(), begun, deadline);
        let sent = series.clone();
        let mut messages = Messages::default();
        let request = request.map(|body| {
            Body::new(body.map_frame(move |frame| {
                sent.sent(frame.data_ref().map_or(0, |data| messages.push(data)));
                frame
            }))
        });
        let channel = self.channel.clone();
        let in_flight = Arc::clone(&self.in_flight);
        let call = async move {
            let exchange = async {
                let permit = in_flight.try_acquire_owned();
                let permit = permit.map_err(|_| Status::resource_exhausted("too many calls to this service"))?;
                let response = channel.oneshot(request).await;
                Ok((response.map_err(|error| in_time(Status::from_error(error.into()), deadline))?, permit))
            };
            let answered = timeout_at(deadline, exchange).await.unwrap_or_else(|_elapsed| Err(deadline_exceeded()));
            let (response, permit) = answered.inspect_err(|status| recorder.end(status.code()))?;
            if let Some(code) = code_of(response.headers()) {
                recorder.end(code);
            }
            Ok(response.map(|body| received(body, recorder, series, permit)))
        };
        call.instrument(span).boxed()
    }
}

/// The body of an answer: it ends with its last frame or at the deadline, and holds `permit` until then.
fn received(body: Body, mut recorder: CallRecorder, series: Series, permit: impl Send + 'static) -> Body {
    let mut messages = Messages::default();
    let deadline = recorder.deadline;
    Body::new(StreamBody::new(until(deadline, body).map(move |frame| {
        let _permit = &permit;
        let frame = frame.map_err(|status| in_time(status, deadline));
        match &frame {
            Ok(frame) => {
                series.received(frame.data_ref().map_or(0, |data| messages.push(data)));
                if let Some(code) = frame.trailers_ref().and_then(code_of) {
                    recorder.end(code);
                }
            }
            Err(status) => recorder.end(status.code()),
        }
        frame
    })))
}

/// DEADLINE_EXCEEDED in the place of a CANCELLED that comes with the deadline: tonic's channel says so when it notices the
/// passed deadline first, and so does a Go server, which resets the stream.
fn in_time(status: Status, deadline: Instant) -> Status {
    if status.code() == Code::Cancelled && Instant::now() + RACE >= deadline { deadline_exceeded() } else { status }
}
