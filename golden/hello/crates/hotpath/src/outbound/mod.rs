//! Calls to other services: to all of their replicas, within what is left of the caller's deadline, to the last byte of the
//! answer; bounded in number; sent on with `grpc-timeout` and the trace context; counted like calls that come in.
mod balancer;
mod connection;
mod members;
mod resend;
mod resolver;
mod settings;
mod silence;
mod way;

use crate::call::Call;
use crate::deadline::{deadline_exceeded, until};
use crate::env::Env;
use crate::wire::{Messages, code_of, timeout_header};
use balancer::Balancer;
use connection::{Connection, Place};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use hotpath_telemetry::{CallMetrics, CallRecorder, Dialect, Failure, Name, Series, names, trace};
use http::{HeaderValue, Request, Response, Uri, header::USER_AGENT, request::Parts, uri::Authority, uri::Scheme};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use members::Members;
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Registry};
use prometheus::{register_int_counter_vec_with_registry as counters, register_int_gauge_vec_with_registry as gauges};
use resend::{Content, Kept, NotTaken};
use resolver::Resolver;
use settings::Settings;
use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, task::Context, task::Poll, time::Duration};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body};
use tower::Service;
use tracing::{Instrument as _, debug};
use way::{Certificates, Way};

/// A deadline is watched three times: here, by hyper, and by the peer. Within this time of it any of them may be the first
/// to notice.
const RACE: Duration = Duration::from_millis(20);

/// The methods of all services that are called, and the metrics of calls that go out.
pub(crate) struct Called {
    names: Vec<Name>,
    metrics: CallMetrics,
    connections: IntGaugeVec,
    resent: IntCounterVec,
    certificates: Certificates,
}

#[rustfmt::skip]
impl Called {
    /// Of the services that `descriptors` describe, counted in `dialect`, and called by TLS with `certificates`.
    pub(crate) fn new(descriptors: &[u8], dialect: Dialect, registry: &Registry, certificates: Certificates) -> Result<Self, Failure> {
        let label = ["downstream"];
        Ok(Self {
            certificates,
            names: names(descriptors)?,
            metrics: dialect.client(registry)?,
            connections: gauges!("hotpath_downstream_connections", "Connections to a service that is called: one to each replica.", &label, registry)?,
            resent: counters!("hotpath_downstream_resent_total", "Calls sent again, because a replica did not take them up.", &label, registry)?,
        })
    }
}

/// The transport of a generated client: `XClient::new(outbound)`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The longest that a call may take.
    cap: Duration,
    scheme: Scheme,
    authority: Authority,
    members: watch::Receiver<Members>,
    random: Arc<members::Random>,
    resent: IntCounter,
    in_flight: Arc<Semaphore>,
    methods: Arc<BTreeMap<String, (Name, Series)>>,
}

impl Outbound {
    /// A transport to `service`, whose address is `default` or what `env` says instead. No call takes longer than `cap`.
    pub(crate) fn to_name(
        service: &str,
        default: &str,
        env: &Env,
        cap: Duration,
        called: &Called,
    ) -> Result<Self, Failure> {
        let settings = Settings::read(service, env, cap)?;
        let addresses = settings.addresses(default, env)?;
        let way = Way::to(&addresses, &settings.variable, env, &called.certificates)?;
        let first = addresses.first().cloned().unwrap_or_default();
        Self::start(service, &first, way, settings, Resolver::of_names(&addresses), called)
    }

    /// The same, with the addresses that `look_up` finds. What `env` says is no address then, but the name and the scheme.
    pub(crate) fn to_found<R>(
        service: &str,
        look_up: impl Fn() -> R + Send + Sync + 'static,
        env: &Env,
        cap: Duration,
        called: &Called,
    ) -> Result<Self, Failure>
    where
        R: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let settings = Settings::read(service, env, cap)?;
        let names = match env.text(&settings.variable) {
            Some(_) => settings.addresses("", env)?,
            None => vec![Uri::builder().scheme(Scheme::HTTP).authority(service).path_and_query("/").build()?],
        };
        let way = Way::to(&names, &settings.variable, env, &called.certificates)?;
        let first = names.into_iter().next().unwrap_or_default();
        Self::start(service, &first, way, settings, Resolver::new(look_up), called)
    }

    fn start(
        service: &str,
        uri: &Uri,
        way: Way,
        settings: Settings,
        resolver: Resolver,
        called: &Called,
    ) -> Result<Self, Failure> {
        let series = |name: &Name| (name.clone(), called.metrics.client_series(name, uri));
        let methods = called.names.iter().map(|name| (format!("/{name}"), series(name))).collect();
        let (changes, members) = watch::channel(Members::default());
        let scheme = way.scheme();
        let connections = called.connections.with_label_values(&[service]);
        let balancer = Balancer::new(service, way, settings.bounds, connections, changes);
        #[expect(clippy::disallowed_methods, reason = "one task a service that is called, made at start")]
        tokio::spawn(Arc::new(balancer).run(resolver, settings.resolve));
        Ok(Self {
            cap: settings.deadline,
            scheme,
            authority: uri.authority().cloned().ok_or("an address without a host")?,
            members,
            random: Arc::default(),
            resent: called.resent.with_label_values(&[service]),
            in_flight: Arc::new(Semaphore::new(settings.in_flight)),
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

    /// The method that `uri` names, at the called service.
    fn at_service(&self, uri: Uri) -> Uri {
        let mut parts = uri.into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// A place on a connection, as soon as there is one; on `but` only if there is no other.
    async fn place(&self, but: Option<&Arc<Connection>>) -> Result<Place, Status> {
        let pick = |members: &Members| match members.pick(self.random.next(), but) {
            Some(place) => Some(Ok(place)),
            None => members.down().map(|why| Err(Status::unavailable(why))),
        };
        if let Some(picked) = pick(&self.members.borrow()) {
            return picked;
        }
        let mut members = self.members.clone();
        loop {
            if let Some(picked) = pick(&members.borrow_and_update()) {
                return picked;
            }
            if members.changed().await.is_err() {
                return Err(Status::unavailable("stopping"));
            }
        }
    }

    /// Sends a request to a replica. Sends it to another where no byte of it was sent, or where the first left before it took
    /// it up; and once again where it was refused.
    async fn exchange(
        &self,
        parts: Parts,
        body: Body,
        deadline: Instant,
    ) -> Result<(Response<Incoming>, Place), Status> {
        let (mut kept, mut request) = match Content::of(body).await? {
            Content::Whole(message) => {
                let mut kept = Kept::new(parts, message);
                let request = kept.request();
                (Some(kept), request)
            }
            Content::Streamed(body) => (None, Request::from_parts(parts, body)),
        };
        let (mut last, mut refused) = (None, false);
        loop {
            let place = self.place(last.as_ref()).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            request.headers_mut().insert("grpc-timeout", timeout_header(left));
            let mut error = match place.send(request).await {
                Ok(response) => return Ok((response, place)),
                Err(error) => error,
            };
            let connection = place.connection();
            if let Some(unsent) = error.take_message() {
                connection.leave();
                request = unsent;
            } else {
                let error = error.into_error();
                let Some((not_taken, kept)) = resend::not_taken(&error).zip(kept.as_mut()) else {
                    return Err(resend::status(error));
                };
                // hyper may take a request for a connection that has just been told to end, and not give it back: the
                // message was then never sent.
                if not_taken == NotTaken::Refused || kept.handed_over() {
                    self.resent.inc();
                }
                // A replica that refuses may have no room. One that leaves is not asked again, so it does not count: where
                // connections are short-lived, several in a row may leave.
                if not_taken == NotTaken::Refused && std::mem::replace(&mut refused, true) {
                    return Err(resend::status(error));
                }
                if not_taken == NotTaken::Leaving {
                    connection.leave();
                }
                request = kept.request();
            }
            last = Some(Arc::clone(connection));
        }
    }
}

impl Service<Request<Body>> for Outbound {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // A connection is awaited in `call`, under the deadline.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let begun = Instant::now();
        let caller = Call::current();
        let cap = begun + self.cap;
        let deadline = caller.as_ref().map_or(cap, |call| call.deadline().min(cap));
        let Some((name, series)) = self.methods.get(request.uri().path()).cloned() else {
            let status = Status::unimplemented(format!("{} is in no proto", request.uri()));
            return std::future::ready(Err(status)).boxed();
        };
        let (mut parts, body) = request.into_parts();
        parts.uri = self.at_service(parts.uri);
        parts.headers.insert(USER_AGENT, HeaderValue::from_static(concat!("hotpath/", env!("CARGO_PKG_VERSION"))));
        let span = trace::client_span(&name);
        trace::inject(caller.as_ref().map(Call::parent), &span, &mut parts.headers);
        let mut recorder = CallRecorder::start(series.clone(), span.clone(), begun, deadline);
        let body = counted(body, series.clone());
        let this = self.clone();
        let call = async move {
            let permit = Arc::clone(&this.in_flight).try_acquire_owned();
            let exchange = async {
                let permit = permit.map_err(|_| Status::resource_exhausted("too many calls to this service"))?;
                let (response, place) = this.exchange(parts, body, deadline).await.map_err(|s| in_time(s, deadline))?;
                Ok((response, (permit, place)))
            };
            let answered = timeout_at(deadline, exchange).await.unwrap_or_else(|_elapsed| Err(deadline_exceeded()));
            let (response, held) = answered.inspect_err(|status| recorder.end(status.code()))?;
            if let Some(code) = code_of(response.headers()) {
                recorder.end(code);
            }
            Ok(response.map(|body| received(body, recorder, series, held)))
        };
        call.instrument(span).boxed()
    }
}

/// `body`, whose messages are counted as sent.
fn counted(body: Body, series: Series) -> Body {
    let mut messages = Messages::default();
    Body::new(body.map_frame(move |frame| {
        series.sent(frame.data_ref().map_or(0, |data| messages.push(data)));
        frame
    }))
}

/// The body of an answer: it ends with its last frame or at the deadline, and holds `held` until then.
fn received(body: Incoming, mut recorder: CallRecorder, series: Series, held: impl Send + 'static) -> Body {
    let mut messages = Messages::default();
    let deadline = recorder.deadline;
    let body = Body::new(body.map_err(resend::status));
    Body::new(StreamBody::new(until(deadline, body).map(move |frame| {
        let _held = &held;
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

/// DEADLINE_EXCEEDED in the place of a CANCELLED that comes with the deadline: a Go server resets the stream when it notices
/// the passed deadline first.
fn in_time(status: Status, deadline: Instant) -> Status {
    if status.code() == Code::Cancelled && Instant::now() + RACE >= deadline { deadline_exceeded() } else { status }
}
