//! What every call passes first: metrics, trace, admission, deadline, panic boundary. There is one boxed future a call;
//! what the call holds is part of that future, and is given back when it is dropped.
use crate::admission::{MemoryPermit, RETRY_LATER};
use crate::call::{CURRENT, Call};
use crate::connection_state::Connection;
use crate::deadline::deadline_exceeded;
use crate::methods::Method;
use crate::shared::Shared;
use crate::wire::{Messages, code_of, record_end, timeout};
use crate::{body, panics};
use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use hotpath_telemetry::{CallRecorder, trace, trace::Parent};
use http::{HeaderMap, Request, Response, response::Parts};
use http_body_util::{BodyExt as _, Either};
use hyper::body::Incoming;
use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body};
use tracing::Instrument as _;

/// How long the body of a call that is shed is read and thrown away before the answer. A Go client that is answered before
/// it has sent everything takes its stream for ended and does not reset it; and h2 has to answer whatever still comes
/// after a reset.
const READ_SHED_BODY: Duration = Duration::from_secs(1);

/// Serves the calls of one connection.
#[derive(Clone)]
pub(crate) struct CallService {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connection: Arc<Connection>,
}

impl hyper::service::Service<Request<Incoming>> for CallService {
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
        let begun = Instant::now();
        let longest = method.limits.deadline;
        let deadline = begun + timeout(request.headers()).map_or(longest, |asked| asked.min(longest));
        self.connection.expect_stream(&method.limits);
        let span = trace::server_span(&method.name, request.headers());
        let mut recorder = CallRecorder::start(method.series.clone(), span.clone(), begun, deadline);
        recorder.peer = self.connection.peer;
        let (permit, reply_memory) = match self.connection.admission.admit(&method.limits) {
            Ok(permits) => permits,
            Err(shed) => {
                recorder.end(Code::ResourceExhausted);
                let mut body = request.into_body();
                let rest = async move { while let Some(Ok(_)) = body.frame().await {} };
                let rest = timeout_at(begun + READ_SHED_BODY, rest);
                return Box::pin(rest.map(move |_read| Ok(shed.status(RETRY_LATER).into_http())));
            }
        };
        let call = Call::new(&recorder, permit, Parent::of(request.headers()));
        let request = request.map(|body| body::received(body, Arc::clone(&method)));
        // Combinators, because an async block keeps what it is given beside what it makes of it: a call would take four
        // times the memory.
        let streams = method.name.streams();
        let answered = self.shared.routes.call(request).then(move |response| collect(response, streams));
        let answered = AssertUnwindSafe(answered).catch_unwind();
        let answered = answered.map(|answered| answered.unwrap_or_else(|_panic| Err(panics::status())));
        let answered = timeout_at(deadline, CURRENT.scope(call.clone(), answered));
        let answer = answered.map(|answered| answered.unwrap_or_else(|_elapsed| Err(deadline_exceeded())));
        let connection = Arc::clone(&self.connection);
        let reply = answer.map(move |answer| Ok(reply(answer, connection, method, recorder, (call, reply_memory))));
        Box::pin(reply.instrument(span))
    }
}

/// What a handler answered: a stream, or a single reply with its trailers.
type Answer = (Parts, Either<Body, (Option<HeaderMap>, Bytes)>);

/// Collects a single reply, so that it is encoded here and now: from then on the call holds its bytes and no more.
async fn collect(response: Response<Body>, streams: bool) -> Result<Answer, Status> {
    let (parts, body) = response.into_parts();
    if streams && code_of(&parts.headers).is_none() {
        return Ok((parts, Either::Left(body)));
    }
    let whole = body.collect().await?;
    Ok((parts, Either::Right((whole.trailers().cloned(), whole.to_bytes()))))
}

/// The response to a call. Its body holds the permits until the transport has let go of its last byte.
fn reply(
    answer: Result<Answer, Status>,
    connection: Arc<Connection>,
    method: Arc<Method>,
    mut recorder: CallRecorder,
    (call, mut reply_memory): (Call, MemoryPermit),
) -> Response<Body> {
    let (parts, (trailers, data)) = match answer {
        Ok((parts, Either::Right(whole))) => (parts, whole),
        Ok((parts, Either::Left(stream))) => {
            let body = body::streamed(stream, connection, method, recorder, (call, reply_memory));
            return Response::from_parts(parts, body);
        }
        Err(status) => return refuse(recorder, status),
    };
    let mut messages = Messages::default();
    let sent = messages.push(&data);
    let length = data.len() as u64;
    let size = messages.check_size("trying to send message", method.limits.reply);
    let unread = match size.and_then(|()| connection.admission.admit_reply(length)) {
        Ok(unread) => unread,
        Err(status) => return refuse(recorder, status),
    };
    method.series.sent(sent);
    // A call that failed at once has its status in its head.
    let last = trailers.as_ref().filter(|_| code_of(&parts.headers).is_none());
    record_end(&mut recorder, last.unwrap_or(&parts.headers));
    reply_memory.resize(length);
    Response::from_parts(parts, body::whole(data, trailers, (reply_memory, unread)))
}

fn refuse(mut recorder: CallRecorder, status: Status) -> Response<Body> {
    recorder.end_with(status.code(), status.message());
    status.into_http()
}
