//! Calls to other services: within what is left of the caller's deadline, to the last byte of the answer; bounded in
//! number; sent on with `grpc-timeout` and the trace context; counted like calls that come in.
use crate::wire::{Messages, code_of, deadline_exceeded, timeout_header};
use crate::{Call, Failure, Host, body::until, limits::HEADER_LIST};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use hotpath_telemetry::{Account, CallMetrics, Name, Series, trace};
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use std::{collections::BTreeMap, sync::Arc, task::Context, task::Poll, time::Duration};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body, transport::Channel, transport::Endpoint};
use tower::{Service, ServiceExt as _};
use tracing::{Instrument as _, debug};

/// Calls at once to one service.
const IN_FLIGHT: usize = 256;
/// A deadline is kept three times, here, by tonic's channel and by the peer; they may race by this much.
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
    cap: Duration,
    slots: Arc<Semaphore>,
    methods: Arc<BTreeMap<String, (Name, Series)>>,
}

impl Outbound {
    pub(crate) fn new(service: &str, default: &str, host: &Host) -> Result<Self, Failure> {
        let variable = format!("DOWNSTREAM_{}", service.replace('-', "_").to_uppercase());
        let address = host.env.text(&variable).unwrap_or(default).to_owned();
        let endpoint = Endpoint::from_shared(address.clone()).ok().filter(|endpoint| endpoint.uri().scheme().is_some());
        let wrong = || format!("{variable}={address}: not a URI such as http://{service}:50051");
        let endpoint = endpoint.ok_or_else(wrong)?;
        let series = |name: &Name| (name.clone(), host.called.metrics.client_series(name, endpoint.uri()));
        let methods = host.called.names.iter().map(|name| (format!("/{name}"), series(name))).collect();
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
        let (cap, slots) = (host.limits.deadline, Arc::new(Semaphore::new(IN_FLIGHT)));
        Ok(Self { channel, cap, slots, methods: Arc::new(methods) })
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
        let mut account = Account::open(series.clone(), span.clone(), begun, deadline);
        let (sent, mut messages) = (series.clone(), Messages::default());
        let request = request.map(|body| {
            Body::new(body.map_frame(move |frame| {
                sent.sent(frame.data_ref().map_or(0, |data| messages.push(data)));
                frame
            }))
        });
        let (channel, slots) = (self.channel.clone(), Arc::clone(&self.slots));
        let call = async move {
            let exchange = async {
                let slot = slots.try_acquire_owned();
                let slot = slot.map_err(|_| Status::resource_exhausted("too many calls to this service"))?;
                let response = channel.oneshot(request).await;
                Ok((response.map_err(|error| in_time(Status::from_error(error.into()), deadline))?, slot))
            };
            let answered = timeout_at(deadline, exchange).await.unwrap_or_else(|_elapsed| Err(deadline_exceeded()));
            let (response, slot) = answered.inspect_err(|status| account.finish(status.code()))?;
            if let Some(code) = code_of(response.headers()) {
                account.finish(code);
            }
            Ok(response.map(|body| received(body, account, series, slot)))
        };
        call.instrument(span).boxed()
    }
}

/// An answer on its way in: it ends at the deadline, whatever it says, and holds its slot until then.
fn received(body: Body, mut account: Account, series: Series, slot: impl Send + 'static) -> Body {
    let mut messages = Messages::default();
    let deadline = account.deadline;
    Body::new(StreamBody::new(until(deadline, body).map(move |frame| {
        let _held = &slot;
        let frame = frame.map_err(|status| in_time(status, deadline));
        match &frame {
            Ok(frame) => {
                series.received(frame.data_ref().map_or(0, |data| messages.push(data)));
                if let Some(code) = frame.trailers_ref().and_then(code_of) {
                    account.finish(code);
                }
            }
            Err(status) => account.finish(status.code()),
        }
        frame
    })))
}

/// Whichever notices a passed deadline first (tonic's channel says CANCELLED, and a Go server resets the stream), it is
/// the deadline that passed.
fn in_time(status: Status, deadline: Instant) -> Status {
    if status.code() == Code::Cancelled && Instant::now() + RACE >= deadline { deadline_exceeded() } else { status }
}
