//! The bodies of calls: what comes is measured as it comes, and what is sent back holds what pays for it until the
//! transport has let go of its last byte.
use crate::wire::{Messages, code_of, deadline_exceeded, trailers};
use crate::{Call, admission::Held, call::CURRENT, edge::Edge, methods::Method, panics};
use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt as _, poll_fn};
use hotpath_telemetry::Account;
use http::HeaderMap;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, BodyStream, Full, StreamBody};
use hyper::body::Incoming;
use std::{convert::Infallible, pin::Pin, sync::Arc, task::Poll};
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Status, body::Body};

/// A request: its messages are counted, and one that is too long is refused by its prefix, before its bytes have come.
pub(crate) fn received(body: Incoming, method: Arc<Method>) -> Body {
    let mut messages = Messages::default();
    Body::new(StreamBody::new(BodyStream::new(body).map(move |frame| {
        let frame = frame.map_err(|error| Status::from_error(error.into()))?;
        method.series.received(frame.data_ref().map_or(0, |data| messages.push(data)));
        // tonic's own check would say OUT_OF_RANGE.
        messages.fit("received message", method.limits.request)?;
        Ok::<_, Status>(frame)
    })))
}

/// The frames of `body`, until the deadline.
pub(crate) fn until(deadline: Instant, mut body: Body) -> impl Stream<Item = Result<Frame<Bytes>, Status>> + Unpin {
    let mut expiry = Box::pin(sleep_until(deadline));
    poll_fn(move |cx| match Pin::new(&mut body).poll_frame(cx) {
        // The clock is asked too: a body that is always ready leaves its timer no turn.
        polled if Instant::now() < deadline && (polled.is_ready() || expiry.as_mut().poll(cx).is_pending()) => polled,
        _ => Poll::Ready(Some(Err(deadline_exceeded()))),
    })
}

/// A single reply with its trailers.
pub(crate) fn whole(data: Bytes, trailers: Option<HeaderMap>, paid: (Held, Held)) -> Body {
    match trailers {
        Some(trailers) => Body::new(Full::new(held(data, paid)).with_trailers(std::future::ready(Some(Ok(trailers))))),
        None => Body::empty(),
    }
}

/// A stream of replies, pulled by the transport: ends at its deadline, or where too much waits for the same peer, and
/// counts the call when its last frame is taken.
pub(crate) fn streamed(body: Body, method: Arc<Method>, mut account: Account, edge: Edge, paid: (Call, Held)) -> Body {
    let mut frames = until(paid.0.deadline(), body);
    let mut messages = Messages::default();
    let paid = Arc::new(paid);
    let mut unread = None;
    Body::new(StreamBody::new(poll_fn(move |cx| {
        // Asked for more, so what was given before is on its way.
        drop(unread.take());
        if account.ended.is_cancelled() {
            return Poll::Ready(None);
        }
        let span = account.span.clone();
        let _span = span.enter();
        let polled = CURRENT.sync_scope(paid.0.clone(), || panics::caught(|| frames.poll_next_unpin(cx)));
        let frame = match polled.unwrap_or_else(|status| Poll::Ready(Some(Err(status)))) {
            Poll::Ready(frame) => frame.unwrap_or_else(|| Ok(Frame::trailers(HeaderMap::new()))),
            Poll::Pending => return Poll::Pending,
        };
        let passed = frame.and_then(|frame| match frame.into_data() {
            Ok(data) => {
                let sent = messages.push(&data);
                messages.fit("trying to send message", method.limits.reply)?;
                unread = Some(edge.hand_over(method.limits.unread(), true)?);
                method.series.sent(sent);
                Ok(Frame::data(held(data, Arc::clone(&paid))))
            }
            Err(last) => {
                let trailers = last.into_trailers().unwrap_or_default();
                account.finish(code_of(&trailers).unwrap_or(Code::Unknown));
                Ok(Frame::trailers(trailers))
            }
        });
        let frame = passed.unwrap_or_else(|status| {
            account.finish(status.code());
            Frame::trailers(trailers(&status))
        });
        Poll::Ready(Some(Ok::<_, Infallible>(frame)))
    })))
}

/// Bytes that keep `paid` until the last of them is written.
fn held(data: Bytes, paid: impl Send + 'static) -> Bytes {
    struct Paid<P>(Bytes, P);
    impl<P> AsRef<[u8]> for Paid<P> {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Bytes::from_owner(Paid(data, paid))
}
