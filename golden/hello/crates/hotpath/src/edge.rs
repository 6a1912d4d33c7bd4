//! The one layer every call passes, outermost: metrics, trace, admission, deadline, panic boundary. One boxed
//! future a call; what the call holds hangs on it, and goes when it is dropped.
use crate::wire::{Messages, code_of, deadline_exceeded, timeout};
use crate::{Call, admission::Held, body, call::CURRENT, connections::Peer, methods::Method, panics, server::Shared};
use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use hotpath_telemetry::{Account, trace, trace::Parent};
use http::{HeaderMap, Request, Response, response::Parts};
use http_body_util::{BodyExt as _, Either};
use hyper::body::Incoming;
use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body};
use tracing::Instrument as _;

/// How long the body of a call that is shed is read, and thrown away, before the answer. A Go client that is answered
/// early takes its stream for ended and does not say so; and what still comes after a reset, h2 has to answer.
const REST: Duration = Duration::from_secs(1);

/// Serves the calls of one connection.
#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Arc<Peer>,
}

impl hyper::service::Service<Request<Incoming>> for Edge {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let path = request.uri().path();
        let Some(method) = self.shared.methods.get(path).cloned() else {
            // Not counted, as in Go, where no interceptor runs for what does not exist.
            let status = Status::unimplemented(format!("unknown method {path}"));
            return Box::pin(std::future::ready(Ok(status.into_http())));
        };
        let (begun, most) = (Instant::now(), method.limits.deadline);
        let deadline = begun + timeout(request.headers()).map_or(most, |asked| asked.min(most));
        self.peer.expect_stream(&method.limits);
        let span = trace::server_span(&method.name, request.headers());
        let mut account = Account::open(method.series.clone(), span.clone(), begun, deadline);
        let (permit, held) = match self.peer.admission.admit(&method.limits) {
            Ok(admitted) => admitted,
            Err(shed) => {
                let shed = shed.counted(&self.shared.metrics);
                account.finish(Code::ResourceExhausted);
                let mut body = request.into_body();
                let rest = timeout_at(begun + REST, async move { while let Some(Ok(_)) = body.frame().await {} });
                return Box::pin(rest.map(move |_read| Ok(shed.status("100").into_http())));
            }
        };
        let call = Call::new(&account, permit, Parent::of(request.headers()));
        let request = request.map(|body| body::received(body, Arc::clone(&method)));
        // Combinators: an async block keeps what it is given beside what it makes of it, and a call would hold four times
        // as much.
        let streams = method.name.streams();
        let answered = self.shared.routes.call(request).then(move |response| take(response, streams));
        let answered = AssertUnwindSafe(answered).catch_unwind();
        let answered = answered.map(|answered| answered.unwrap_or_else(|_panic| Err(panics::status())));
        let answered = timeout_at(deadline, CURRENT.scope(call.clone(), answered));
        let answer = answered.map(|answered| answered.unwrap_or_else(|_elapsed| Err(deadline_exceeded())));
        let edge = self.clone();
        let reply = answer.map(move |answer| Ok(edge.reply(answer, method, account, (call, held))));
        Box::pin(reply.instrument(span))
    }
}

/// What a handler answered: a stream, or a single reply with its trailers.
type Answer = (Parts, Either<Body, (Option<HeaderMap>, Bytes)>);

/// Takes a single reply whole: it is encoded here and now, so that from here on the call holds its bytes and no more.
async fn take(response: Response<Body>, streams: bool) -> Result<Answer, Status> {
    let (parts, body) = response.into_parts();
    if streams && code_of(&parts.headers).is_none() {
        return Ok((parts, Either::Left(body)));
    }
    let whole = body.collect().await?;
    Ok((parts, Either::Right((whole.trailers().cloned(), whole.to_bytes()))))
}

impl Edge {
    /// Lets the transport have a reply, or refuses it for good.
    pub(crate) fn hand_over(&self, bytes: u64, many: bool) -> Result<Held, Status> {
        self.peer.admission.hand_over(bytes, many).map_err(|shed| shed.counted(&self.shared.metrics).status("-1"))
    }

    fn reply(
        self,
        answer: Result<Answer, Status>,
        method: Arc<Method>,
        mut account: Account,
        mut paid: (Call, Held),
    ) -> Response<Body> {
        let (parts, (trailers, data)) = match answer {
            Ok((parts, Either::Right(whole))) => (parts, whole),
            Ok((parts, Either::Left(stream))) => {
                return Response::from_parts(parts, body::streamed(stream, method, account, self, paid));
            }
            Err(status) => return refuse(account, status),
        };
        let mut messages = Messages::default();
        let sent = messages.push(&data);
        let fits = messages.fit("trying to send message", method.limits.reply);
        let unread = match fits.and_then(|()| self.hand_over(data.len() as u64, false)) {
            Ok(unread) => unread,
            Err(status) => return refuse(account, status),
        };
        method.series.sent(sent);
        let code = code_of(&parts.headers).or(trailers.as_ref().and_then(code_of));
        account.finish(code.unwrap_or(Code::Unknown));
        paid.1.resize(data.len() as u64);
        Response::from_parts(parts, body::whole(data, trailers, (paid.1, unread)))
    }
}

fn refuse(mut account: Account, status: Status) -> Response<Body> {
    account.finish(status.code());
    status.into_http()
}
