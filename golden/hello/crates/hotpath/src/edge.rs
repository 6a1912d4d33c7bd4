//! The one layer every call passes, outermost: metrics, trace, admission, deadline. One boxed
//! future a call; what the call holds hangs on it, and goes when it is dropped.
use crate::{
    Call,
    admission::{Memory, Shed},
    body::{Inbound, Reply, Streamed},
    connection::Peer,
    methods::Method,
    shared::Shared,
    trace,
    wire::{Messages, code_of, deadline_exceeded, timeout, too_large},
};
use http::{Request, Response, response::Parts};
use http_body_util::{BodyExt as _, Collected};
use hyper::body::Incoming;
use std::{convert::Infallible, future::Future, pin::Pin, sync::Arc};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body};
use tracing::Instrument as _;

type Respond = Pin<Box<dyn Future<Output = Result<Response<Reply>, Infallible>> + Send>>;

/// Serves the calls of one connection.
#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Arc<Peer>,
}

impl hyper::service::Service<Request<Incoming>> for Edge {
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = Respond;

    fn call(&self, request: Request<Incoming>) -> Respond {
        let path = request.uri().path();
        let Some(method) = self.shared.methods.get(path) else {
            // Not counted, as in Go, where no interceptor runs for what does not exist.
            let status = Status::unimplemented(format!("unknown method {path}"));
            return Box::pin(std::future::ready(Ok(Reply::status(&status))));
        };
        let most = method.limits.deadline;
        let budget = timeout(request.headers()).map_or(most, |asked| asked.min(most));
        self.peer.expect_stream(most);
        let mut account = Account::open(Arc::clone(method));
        let span = trace::server_span(&method.name, request.headers());
        let (permit, answer) = match self.shared.admission.admit(&method.class, &self.peer.share) {
            Ok(admitted) => admitted,
            Err(shed) => {
                let reply = span.in_scope(|| self.shed(account, shed));
                return Box::pin(std::future::ready(Ok(reply)));
            }
        };
        let call = Call::new(account.begun + budget, permit);
        account.call = Some(call.clone());
        let handler = self.shared.routes.call(request.map(|body| Body::new(Inbound::new(body, Arc::clone(method)))));
        Box::pin(async { Ok(serve(account, call, answer, handler).await) }.instrument(span))
    }
}

impl Edge {
    fn shed(&self, account: Account, shed: Shed) -> Response<Reply> {
        self.shared.metrics.shed(shed);
        account.refuse(&shed.status())
    }
}

/// What a handler answered: a stream to be pulled, or a single reply.
enum Answered {
    Stream(Body),
    Whole(Collected<bytes::Bytes>),
}

async fn serve(
    account: Account,
    call: Call,
    answer: Memory,
    handler: impl Future<Output = Response<Body>>,
) -> Response<Reply> {
    let streams = account.method.streams;
    let answered = async {
        let (parts, body) = handler.await.into_parts();
        // A single reply is encoded here and now, so that from here on the call holds its bytes and no more.
        let whole = !streams || code_of(&parts.headers).is_some();
        Ok((parts, if whole { Answered::Whole(body.collect().await?) } else { Answered::Stream(body) }))
    };
    match timeout_at(call.deadline(), call.clone().scope(answered)).await {
        Err(_elapsed) => account.refuse(&deadline_exceeded()),
        Ok(Err(status)) => account.refuse(&status),
        Ok(Ok((parts, Answered::Whole(whole)))) => account.reply(parts, whole, answer),
        Ok(Ok((parts, Answered::Stream(body)))) => {
            Response::from_parts(parts, Reply::Streamed(Box::new(Streamed::new(body, account, call, answer))))
        }
    }
}

/// The books of one call: whatever becomes of it, it is counted once. Dropped without `finish`, the caller went away.
pub(crate) struct Account {
    pub(crate) method: Arc<Method>,
    begun: Instant,
    call: Option<Call>,
    done: bool,
}

impl Account {
    fn open(method: Arc<Method>) -> Self {
        method.series.started();
        Self { method, begun: Instant::now(), call: None, done: false }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    fn refuse(mut self, status: &Status) -> Response<Reply> {
        self.finish(status.code());
        Reply::status(status)
    }

    fn reply(mut self, parts: Parts, whole: Collected<bytes::Bytes>, mut answer: Memory) -> Response<Reply> {
        let trailers = whole.trailers().cloned();
        let data = whole.to_bytes();
        let mut messages = Messages::default();
        let sent = messages.push(&data);
        let most = self.method.limits.reply;
        if messages.longest > most {
            return self.refuse(&too_large("trying to send message", messages.longest, most));
        }
        self.method.series.sent(sent);
        self.finish(code_of(&parts.headers).or(trailers.as_ref().and_then(code_of)).unwrap_or(Code::Unknown));
        answer.shrink(data.len());
        Response::from_parts(parts, Reply::whole(data, trailers, answer))
    }

    /// Counts the call, and ends whatever still works for it.
    pub(crate) fn finish(&mut self, code: Code) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        trace::record_code(code);
        self.method.series.handled(code, self.begun.elapsed().as_secs_f64());
        if let Some(call) = self.call.take() {
            call.end();
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let late = self.call.as_ref().is_some_and(|call| call.remaining().is_zero());
        self.finish(if late { Code::DeadlineExceeded } else { Code::Cancelled });
    }
}
