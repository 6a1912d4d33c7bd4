//! What every call passes first: metrics, trace, admission, deadline, panic boundary. There is one boxed future a call;
//! what the call holds is part of that future, and is given back when it is dropped.
use crate::admission::RETRY_LATER;
use crate::body::{self, Reply};
use crate::budget::MemoryPermit;
use crate::call::{CURRENT, Call};
use crate::caller::Caller;
use crate::connection_state::Connection;
use crate::deadline::{after, deadline_exceeded};
use crate::methods::Method;
use crate::panics;
use crate::shared::Shared;
use crate::upload::{Upload, read_rest};
use crate::wire::{Messages, code_of, not_grpc, record_end, timeout};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, future::BoxFuture};
use hotpath_telemetry::{CallRecorder, trace, trace::Parent};
use http::{HeaderMap, Request, Response, response::Parts};
use http_body_util::{BodyExt as _, Either};
use hyper::body::Incoming;
use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body};
use tracing::Instrument as _;

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
        // Not counted, as in Go, where no interceptor runs for what is no call of a method that exists.
        if let Some(refusal) = not_grpc(&request) {
            return refused(request, refusal);
        }
        let path = request.uri().path();
        let Some(method) = self.shared.methods.get(path).cloned() else {
            let status = Status::unimplemented(format!("unknown method {path}"));
            return refused(request, status.into_http());
        };
        let begun = Instant::now();
        let asked = timeout(request.headers());
        let limit = asked.into_iter().chain(method.limits.deadline).min();
        let deadline = after(begun, limit);
        self.connection.expect_stream(&method.limits, limit);
        let span = trace::server_span(&method.name, request.headers());
        let mut recorder = CallRecorder::start(method.series.clone(), span.clone(), begun, deadline);
        let peer = &self.connection.peer;
        recorder.peer = peer.address;
        recorder.caller = peer.caller.as_ref().map(Caller::shared);
        recorder.own_deadline = asked.is_none_or(|asked| method.limits.deadline.is_some_and(|own| own < asked));
        let (permit, reply_memory) = match self.connection.admission.admit(&method.limits) {
            Ok(permits) => permits,
            Err(shed) => {
                recorder.end(Code::ResourceExhausted);
                return refused(request, shed.status(RETRY_LATER).into_http());
            }
        };
        let call = Call::new(&recorder, permit, Parent::of(request.headers()));
        let (parts, body) = request.into_parts();
        let body = Body::new(Upload::new(&parts.headers, body, Arc::clone(&method)));
        let request = Request::from_parts(parts, body);
        // Combinators, because an async block keeps what it is given beside what it makes of it: a call would take four
        // times the memory.
        let streams = method.name.streams();
        let answered = self.shared.routes.call(request).then(move |response| collect(response, streams));
        let answered = AssertUnwindSafe(answered).catch_unwind();
        let answered = answered.map(|answered| answered.unwrap_or_else(|_panic| Err(panics::status())));
        let answered = timeout_at(deadline, CURRENT.scope(call.clone(), answered));
        let answer = answered.map(|answered| answered.unwrap_or_else(|_elapsed| Err(deadline_exceeded())));
        let connection = Arc::clone(&self.connection);
        let caller_waits = asked.map(|asked| after(begun, Some(asked)));
        let replying = Replying { connection, method, recorder, caller_waits };
        let reply = answer.map(move |answer| Ok(replying.reply(answer, (call, reply_memory))));
        Box::pin(reply.instrument(span))
    }
}

/// Answers a request that is not served, once it has been read.
fn refused(
    request: Request<Incoming>,
    refusal: Response<Body>,
) -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
    Box::pin(read_rest(request.into_body()).map(move |()| Ok(refusal)))
}

/// What a handler answered: a stream, or a single reply with its trailers.
type Answer = (Parts, Either<Body, (Option<HeaderMap>, Bytes)>);

/// Collects a single reply, so that it is encoded here and now: from then on the call holds its bytes and no more.
async fn collect(response: Response<Body>, streams: bool) -> Result<Answer, Status> {
    let (parts, body) = response.into_parts();
    if streams && code_of(&parts.headers).is_none() {
        return Ok((parts, Either::Left(body)));
    }
    let (data, trailers) = whole(body).await?;
    Ok((parts, Either::Right((trailers, data))))
}

/// The bytes and the trailers of a body. tonic gives a single reply in one piece, which is not copied.
async fn whole(mut body: Body) -> Result<(Bytes, Option<HeaderMap>), Status> {
    let mut data = Bytes::new();
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(piece) if data.is_empty() => data = piece,
            Ok(piece) => {
                let mut joined = BytesMut::from(data);
                joined.extend_from_slice(&piece);
                data = joined.freeze();
            }
            Err(last) => return Ok((data, last.into_trailers().ok())),
        }
    }
    Ok((data, None))
}

/// What the response to a call is made with.
struct Replying {
    connection: Arc<Connection>,
    method: Arc<Method>,
    recorder: CallRecorder,
    /// When the caller stops waiting, if it said so.
    caller_waits: Option<Instant>,
}

impl Replying {
    /// The response to a call. Its body holds the permits until the transport has let go of its last byte.
    fn reply(self, answer: Result<Answer, Status>, (call, mut memory): (Call, MemoryPermit)) -> Response<Body> {
        let (parts, (trailers, data)) = match answer {
            Ok((parts, Either::Right(whole))) => (parts, whole),
            Ok((parts, Either::Left(stream))) => {
                let Self { connection, method, recorder, .. } = self;
                let messages = Messages::of(&parts.headers);
                let body = body::streamed(messages, stream, connection, method, recorder, (call, memory));
                return Response::from_parts(parts, body);
            }
            Err(status) => return self.fail(status),
        };
        let mut messages = Messages::of(&parts.headers);
        let sent = messages.push_own(&data);
        let length = data.len() as u64;
        let size = messages.check_size("trying to send message", self.method.limits.reply);
        let unread = match size.and_then(|()| self.connection.admission.admit_reply(length)) {
            Ok(unread) => unread,
            Err(status) => return self.fail(status),
        };
        self.method.series.sent(sent);
        let Self { method, mut recorder, caller_waits, .. } = self;
        let Some(trailers) = trailers else {
            // A call that failed at once has its status in its head.
            record_end(&mut recorder, &parts.headers);
            return Response::from_parts(parts, Body::empty());
        };
        memory.resize(length);
        let stalled = method.limits.stalled;
        let reply = Reply { data, trailers, memory, unread, stalled, caller_waits };
        Response::from_parts(parts, body::whole(reply, recorder))
    }

    fn fail(mut self, status: Status) -> Response<Body> {
        self.recorder.end_with(status.code(), status.message());
        status.into_http()
    }
}
