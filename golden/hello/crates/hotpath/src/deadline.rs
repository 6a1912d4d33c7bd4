//! The end of a call whose time is up.
use bytes::Bytes;
use futures_util::stream::{Stream, poll_fn};
use http_body::{Body as _, Frame};
use std::{pin::Pin, task::Poll, time::Duration};
use tokio::time::{Instant, sleep_until};
use tonic::{Status, body::Body};

/// What stands for "never" where a clock needs a moment: thirty years.
const NEVER: Duration = Duration::from_secs(30 * 365 * 86_400);

/// The moment at which the time of what began at `begun` is up: thirty years later where it has no limit, or a
/// longer one.
pub(crate) fn after(begun: Instant, limit: Option<Duration>) -> Instant {
    begun + limit.map_or(NEVER, |limit| limit.min(NEVER))
}

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
