//! The bodies of calls: what comes is measured as it comes, and what is sent back holds its permits until the transport has
//! let go of its last byte.
use crate::admission::MemoryPermit;
use crate::call::{CURRENT, Call};
use crate::connection_state::Connection;
use crate::deadline::until;
use crate::methods::Method;
use crate::panics;
use crate::wire::{Messages, record_end, trailers};
use bytes::Bytes;
use futures_util::stream::{StreamExt as _, poll_fn};
use hotpath_telemetry::CallRecorder;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt as _, BodyStream, Full, StreamBody};
use hyper::body::Incoming;
use std::{convert::Infallible, sync::Arc, task::Poll};
use tonic::{Status, body::Body};

/// A request: its messages are counted, and one that is too long is refused by its prefix, before its bytes have come.
pub(crate) fn received(body: Incoming, method: Arc<Method>) -> Body {
    let mut messages = Messages::default();
    Body::new(StreamBody::new(BodyStream::new(body).map(move |frame| {
        let frame = frame.map_err(|error| Status::from_error(error.into()))?;
        method.series.received(frame.data_ref().map_or(0, |data| messages.push(data)));
        // tonic's own check would say OUT_OF_RANGE.
        messages.check_size("received message", method.limits.request)?;
        Ok::<_, Status>(frame)
    })))
}

/// A single reply with its trailers.
pub(crate) fn whole(data: Bytes, trailers: Option<HeaderMap>, permits: (MemoryPermit, MemoryPermit)) -> Body {
    let Some(trailers) = trailers else { return Body::empty() };
    let data = Full::new(holding(data, permits));
    Body::new(data.with_trailers(std::future::ready(Some(Ok(trailers)))))
}

/// A stream of replies, which the transport pulls. It ends at its deadline, or where too many replies wait for the same
/// peer, and records the end of its call with its last frame.
pub(crate) fn streamed(
    body: Body,
    connection: Arc<Connection>,
    method: Arc<Method>,
    mut recorder: CallRecorder,
    permits: (Call, MemoryPermit),
) -> Body {
    let mut frames = until(permits.0.deadline(), body);
    let mut messages = Messages::default();
    let permits = Arc::new(permits);
    let mut unread = None;
    Body::new(StreamBody::new(poll_fn(move |cx| {
        // The transport asks for more when it has sent what it was given before.
        drop(unread.take());
        if recorder.ended.is_cancelled() {
            return Poll::Ready(None);
        }
        let span = recorder.span.clone();
        let _span = span.enter();
        let polled = CURRENT.sync_scope(permits.0.clone(), || panics::caught(|| frames.poll_next_unpin(cx)));
        let frame = match polled.unwrap_or_else(|status| Poll::Ready(Some(Err(status)))) {
            Poll::Ready(frame) => frame.unwrap_or_else(|| Ok(Frame::trailers(HeaderMap::new()))),
            Poll::Pending => return Poll::Pending,
        };
        let passed = frame.and_then(|frame| match frame.into_data() {
            Ok(data) => {
                let sent = messages.push(&data);
                messages.check_size("trying to send message", method.limits.reply)?;
                unread = Some(connection.admission.admit_stream_reply(method.limits.unread())?);
                method.series.sent(sent);
                Ok(Frame::data(holding(data, Arc::clone(&permits))))
            }
            Err(last) => {
                let trailers = last.into_trailers().unwrap_or_default();
                record_end(&mut recorder, &trailers);
                Ok(Frame::trailers(trailers))
            }
        });
        let frame = passed.unwrap_or_else(|status| {
            recorder.end_with(status.code(), status.message());
            Frame::trailers(trailers(&status))
        });
        Poll::Ready(Some(Ok::<_, Infallible>(frame)))
    })))
}

/// Bytes that hold `permits` until the last of them is written.
fn holding(data: Bytes, permits: impl Send + 'static) -> Bytes {
    struct Holding<P> {
        data: Bytes,
        _permits: P,
    }
    impl<P> AsRef<[u8]> for Holding<P> {
        fn as_ref(&self) -> &[u8] {
            &self.data
        }
    }
    Bytes::from_owner(Holding { data, _permits: permits })
}
