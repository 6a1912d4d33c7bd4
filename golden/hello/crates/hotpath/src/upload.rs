//! The body of a request: its messages are counted, and one that is too long is refused by its prefix.
//!
//! What is refused, or comes too late, is read on for a while and thrown away. To what comes for a stream that has ended h2
//! has to answer each time, and after some of those it ends the connection, and with it the calls of others. And a Go client
//! that is answered before it has sent everything takes its stream for ended, and does not reset it.
use crate::gzip::Inflated;
use crate::methods::Method;
use crate::wire::Messages;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::task::{Context, Poll, ready};
use std::{future::Future as _, pin::Pin, sync::Arc, time::Duration};
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep, timeout};
use tonic::Status;

/// How long the rest of a body is read that nobody wants.
const READ_REST: Duration = Duration::from_secs(1);

/// Reads a body to its end and throws it away, for at most a second.
pub(crate) async fn read_rest(mut body: Incoming) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    drop(timeout(READ_REST, rest).await);
}

/// The body of an admitted call.
pub(crate) struct Upload {
    /// None once it has ended.
    body: Option<Incoming>,
    method: Arc<Method>,
    messages: Messages,
    /// How many messages have come.
    complete: u64,
    inflated: Inflated,
    /// Why a message was refused, and until when the rest is read before that is said.
    refused: Option<(Status, Pin<Box<Sleep>>)>,
}

impl Upload {
    /// Counts the messages of `body`, which came with `headers` in a call of `method`.
    pub(crate) fn new(headers: &HeaderMap, body: Incoming, method: Arc<Method>) -> Self {
        Self {
            body: Some(body),
            messages: Messages::of(headers),
            complete: 0,
            inflated: Inflated::new(method.limits.request),
            method,
            refused: None,
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| Status::from_error(error.into()))))
    }

    /// Whether the one request that is due did not come.
    fn is_without_request(&self) -> bool {
        self.complete == 0 && !self.messages.is_within() && !self.method.name.requests_stream()
    }

    /// Counts what came, and refuses what is too long, or more than one request where one is due.
    fn passed(&mut self, frame: &Frame<Bytes>) -> Result<(), Status> {
        let Some(data) = frame.data_ref() else { return Ok(()) };
        let mut passed = Ok(());
        let complete = self.messages.push_each(data, |compressed| {
            if passed.is_ok() {
                passed = self.inflated.check(compressed);
            }
        });
        self.method.series.received(complete);
        self.complete += complete;
        let more = self.complete > 1 || self.complete == 1 && self.messages.is_within();
        if more && !self.method.name.requests_stream() {
            return Err(Status::unimplemented("more than one request, where one is due"));
        }
        // tonic's own check would say OUT_OF_RANGE.
        self.messages.check_size("received message", self.method.limits.request)?;
        passed
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            let polled = self.poll_incoming(cx);
            if let Some((status, until)) = &mut self.refused {
                if let Poll::Ready(Some(Ok(_))) = polled {
                    continue;
                }
                if polled.is_pending() {
                    ready!(until.as_mut().poll(cx));
                }
                return Poll::Ready(Some(Err(status.clone())));
            }
            let frame = ready!(polled);
            if frame.is_none() && self.is_without_request() {
                // It is said once.
                self.complete = 1;
                return Poll::Ready(Some(Err(Status::unimplemented("no request, where one is due"))));
            }
            let Some(Ok(passing)) = &frame else { return Poll::Ready(frame) };
            match self.passed(passing) {
                Ok(()) => return Poll::Ready(frame),
                Err(status) => self.refused = Some((status, Box::pin(sleep(READ_REST)))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.refused.is_none() && !self.is_without_request() && self.body.as_ref().is_none_or(Body::is_end_stream)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(body), Ok(runtime)) =
            (self.body.take().filter(|body| !body.is_end_stream()), Handle::try_current())
        {
            #[expect(clippy::disallowed_methods, reason = "one a stream, and in time")]
            runtime.spawn(read_rest(body));
        }
    }
}
