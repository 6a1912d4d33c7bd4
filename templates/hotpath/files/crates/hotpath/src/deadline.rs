//! The end of a call whose time is up.
use bytes::Bytes;
use futures_util::stream::{Stream, poll_fn};
use http_body::{Body as _, Frame};
use std::{pin::Pin, task::Poll};
use tokio::time::{Instant, sleep_until};
use tonic::{Status, body::Body};

/// The status of a call whose deadline has passed, as grpc-go gives it (tonic's own timeouts say CANCELLED).
pub(crate) fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("context deadline exceeded")
}

/// The frames of `body`, and DEADLINE_EXCEEDED when the deadline passes before their end.
pub(crate) fn until(deadline: Instant, mut body: Body) -> impl Stream<Item = Result<Frame<Bytes>, Status>> + Unpin {
    let mut expiry = Box::pin(sleep_until(deadline));
    poll_fn(move |cx| match Pin::new(&mut body).poll_frame(cx) {
        // The clock is asked too: a body that is always ready never lets its timer be polled.
        polled if Instant::now() < deadline && (polled.is_ready() || expiry.as_mut().poll(cx).is_pending()) => polled,
        _ => Poll::Ready(Some(Err(deadline_exceeded()))),
    })
}
