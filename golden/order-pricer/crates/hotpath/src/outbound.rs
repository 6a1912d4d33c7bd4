//! Calls to other services: within what is left of the caller's deadline, to the last byte of the answer; bounded in
//! number; sent on with `grpc-timeout` and the trace context; counted like calls that come in.
use crate::{
    Call, Env, Failure, Limits,
    metrics::{Dialect, Name, Series},
    trace,
    wire::{Messages, code_of, deadline_exceeded, timeout_header},
};
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body as HttpBody, Frame};
use std::{
    collections::BTreeMap,
    error::Error,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until, timeout_at},
};
use tonic::{Code, Status, body::Body, transport::Channel, transport::Endpoint};
use tower_service::Service;
use tracing::{Instrument as _, debug};

/// Calls at once to one service.
const IN_FLIGHT: usize = 256;
/// A deadline is kept three times, here, by tonic's channel and by the peer; they may race by this much.
const RACE: Duration = Duration::from_millis(20);

/// The methods of all services that are called, and the metrics of calls that go out.
pub(crate) struct Called {
    pub(crate) names: Vec<Name>,
    pub(crate) dialect: Dialect,
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
    pub(crate) fn new(
        service: &str,
        default: &str,
        env: &Env,
        limits: &Limits,
        called: &Called,
    ) -> Result<Self, Failure> {
        let variable = format!("DOWNSTREAM_{}", service.replace('-', "_").to_uppercase());
        let address = env.text(&variable).unwrap_or(default).to_owned();
        let wrong = |error: &dyn Error| format!("{variable}={address}: {error}");
        let uri: Uri = address.parse().map_err(|error| wrong(&error))?;
        if uri.scheme().is_none() {
            return Err(format!("{variable}={address}: not a URI such as http://{service}:50051").into());
        }
        let method = |name: &Name| (format!("/{name}"), (name.clone(), called.dialect.client_series(name, &uri)));
        let endpoint = Endpoint::from_shared(address.clone()).map_err(|error| wrong(&error))?;
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
            .http2_max_header_list_size(limits.header_list)
            .connect_lazy();
        Ok(Self {
            channel,
            cap: limits.deadline,
            slots: Arc::new(Semaphore::new(IN_FLIGHT)),
            methods: Arc::new(called.names.iter().map(method).collect()),
        })
    }

    /// What a caller is told when the call to `service` failed: never its own status, whose code would accuse our caller
    /// (`INVALID_ARGUMENT`, `UNAUTHENTICATED`) and whose metadata would speak for us (retry pushback).
    pub fn failed(service: &str, status: &Status) -> Status {
        debug!(service, ?status, "downstream");
        let message = format!("{service}: {:?}", status.code());
        match status.code() {
            Code::DeadlineExceeded => Status::deadline_exceeded(message),
            Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::Cancelled => {
                Status::unavailable(message)
            }
            _ => Status::internal(message),
        }
    }
}

impl Service<Request<Body>> for Outbound {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // Readiness is awaited in `call`, under the deadline: a channel that cannot connect is never ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let now = Instant::now();
        let cap = now + self.cap;
        let deadline = Call::current().map_or(cap, |call| call.deadline().min(cap));
        let Some((name, series)) = self.methods.get(request.uri().path()).cloned() else {
            return Box::pin(std::future::ready(Err(Status::unimplemented(format!(
                "{} is in no proto",
                request.uri()
            )))));
        };
        let span = trace::client_span(&name);
        span.in_scope(|| trace::inject(request.headers_mut()));
        let left = deadline.saturating_duration_since(now);
        request.headers_mut().insert("grpc-timeout", timeout_header(left));
        let mut account = Account::open(series, deadline);
        let request = request.map(|body| {
            Body::new(Sent {
                body,
                messages: Messages::default(),
                series: account.series.clone(),
            })
        });
        let (mut channel, slots) = (self.channel.clone(), Arc::clone(&self.slots));
        let call = async move {
            let exchange = async {
                let Ok(slot) = slots.try_acquire_owned() else {
                    return Err(Status::resource_exhausted("too many calls to this service"));
                };
                let status = |error: tonic::transport::Error| status_of(error, deadline);
                poll_fn(|cx| channel.poll_ready(cx)).await.map_err(status)?;
                Ok((channel.call(request).await.map_err(status)?, slot))
            };
            match timeout_at(deadline, exchange).await.unwrap_or_else(|_elapsed| Err(deadline_exceeded())) {
                Ok((response, slot)) => {
                    if let Some(code) = code_of(response.headers()) {
                        account.finish(code);
                    }
                    let expiry = Box::pin(sleep_until(deadline));
                    let wrap = |body| {
                        Body::new(Received {
                            body,
                            messages: Messages::default(),
                            account,
                            expiry,
                            _slot: slot,
                        })
                    };
                    Ok(response.map(wrap))
                }
                Err(status) => {
                    account.finish(status.code());
                    Err(status)
                }
            }
        };
        Box::pin(call.instrument(span))
    }
}

/// Whichever notices a passed deadline first (tonic's channel says CANCELLED, and a Go server resets the stream), it is
/// the deadline that passed.
fn status_of(error: tonic::transport::Error, deadline: Instant) -> Status {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            return deadline_exceeded();
        }
        cause = error.source();
    }
    in_time(Status::from_error(error.into()), deadline)
}

fn in_time(status: Status, deadline: Instant) -> Status {
    if status.code() == Code::Cancelled && Instant::now() + RACE >= deadline { deadline_exceeded() } else { status }
}

/// The books of one call that goes out. Dropped without `finish`, we gave up.
struct Account {
    series: Series,
    begun: Instant,
    deadline: Instant,
    done: bool,
}

impl Account {
    fn open(series: Series, deadline: Instant) -> Self {
        series.started();
        Self { series, begun: Instant::now(), deadline, done: false }
    }

    fn finish(&mut self, code: Code) {
        if !std::mem::replace(&mut self.done, true) {
            self.series.handled(code, self.begun.elapsed().as_secs_f64());
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let late = Instant::now() >= self.deadline;
        self.finish(if late { Code::DeadlineExceeded } else { Code::Cancelled });
    }
}

/// A request on its way out.
struct Sent {
    body: Body,
    messages: Messages,
    series: Series,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            let complete = self.messages.push(data);
            self.series.sent(complete);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// An answer on its way in: it ends at the deadline, whatever it says, and holds its slot until then.
struct Received {
    body: Body,
    messages: Messages,
    account: Account,
    expiry: Pin<Box<Sleep>>,
    _slot: OwnedSemaphorePermit,
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending if self.expiry.as_mut().poll(cx).is_ready() => Poll::Ready(Some(Err(deadline_exceeded()))),
            polled => polled,
        };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    let complete = self.messages.push(data);
                    self.account.series.received(complete);
                } else if let Some(code) = frame.trailers_ref().and_then(code_of) {
                    self.account.finish(code);
                }
            }
            Poll::Ready(Some(Err(status))) => {
                let status = in_time(status.clone(), self.account.deadline);
                self.account.finish(status.code());
                return Poll::Ready(Some(Err(status)));
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
