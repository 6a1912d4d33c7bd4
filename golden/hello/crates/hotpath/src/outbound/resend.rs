//! Which calls may be sent again, and what is kept of them for that.
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::{Request, request::Parts};
use http_body::{Body as _, Frame};
use http_body_util::{BodyStream, StreamBody};
use std::sync::{Arc, atomic::AtomicBool, atomic::Ordering::Relaxed};
use std::{error::Error as _, future::poll_fn, io, pin::Pin, task::Context, task::Poll};
use tonic::{Status, body::Body};

/// The largest request that is kept until its answer begins, in bytes.
const KEPT: usize = 256 << 10;

/// The body of a request.
pub(super) enum Content {
    /// A single message, in hand: it can be sent again.
    Whole(Bytes),
    /// Messages that are made while they are sent, or one that is too large to be kept.
    Streamed(Body),
}

impl Content {
    /// What `body` is, by what is ready of it.
    ///
    /// # Errors
    /// If the message cannot be encoded.
    pub(super) async fn of(mut body: Body) -> Result<Self, Status> {
        let mut frames = Vec::new();
        let ended = poll_fn(|cx| {
            loop {
                match Pin::new(&mut body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => frames.push(frame),
                    Poll::Ready(Some(Err(status))) => return Poll::Ready(Err(status)),
                    Poll::Ready(None) => return Poll::Ready(Ok(true)),
                    Poll::Pending => return Poll::Ready(Ok(false)),
                }
                if frames.len() > 1 {
                    return Poll::Ready(Ok(false));
                }
            }
        });
        let ended = ended.await?;
        if let ([frame], true) = (frames.as_slice(), ended)
            && let Some(message) = frame.data_ref().filter(|message| message.len() <= KEPT)
        {
            return Ok(Self::Whole(message.clone()));
        }
        let begun = stream::iter(frames.into_iter().map(Ok));
        Ok(Self::Streamed(Body::new(StreamBody::new(begun.chain(BodyStream::new(body))))))
    }
}

/// A request that can be sent again.
pub(super) struct Kept {
    parts: Parts,
    message: Bytes,
    handed_over: Arc<AtomicBool>,
}

impl Kept {
    pub(super) fn new(parts: Parts, message: Bytes) -> Self {
        Self { parts, message, handed_over: Arc::default() }
    }

    /// The request, to be sent once.
    pub(super) fn request(&mut self) -> Request<Body> {
        self.handed_over = Arc::default();
        let message = Some(self.message.clone());
        let body = Message { message, handed_over: Arc::clone(&self.handed_over) };
        Request::from_parts(self.parts.clone(), Body::new(body))
    }

    /// Whether a connection took the message of the last [`request`](Self::request). Otherwise no peer has it.
    pub(super) fn handed_over(&self) -> bool {
        self.handed_over.load(Relaxed)
    }
}

/// A message as the body of a request.
struct Message {
    message: Option<Bytes>,
    handed_over: Arc<AtomicBool>,
}

// Not `http_body_util::Full`, whose size becomes a `content-length`: that is a header which gRPC does not have.
impl http_body::Body for Message {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.handed_over.store(true, Relaxed);
        Poll::Ready(self.message.take().map(|message| Ok(Frame::data(message))))
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_none()
    }
}

/// How a peer says that it did not take a call up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// It takes no more calls on this connection, and this one came after the last that it took.
    Leaving,
    /// It refused this call.
    Refused,
}

/// Whether the peer did not take up the call that failed with `error`. A connection that broke does not say so: it may have
/// taken the call, and done all of it.
pub(super) fn not_taken(error: &hyper::Error) -> Option<NotTaken> {
    // h2 gives a remote GOAWAY as the error of those streams alone that are above its last stream id.
    let error = h2_error(error).filter(|error| error.is_remote())?;
    if error.is_go_away() {
        Some(NotTaken::Leaving)
    } else {
        (error.reason() == Some(h2::Reason::REFUSED_STREAM)).then_some(NotTaken::Refused)
    }
}

/// The status of a call that failed with `error`. tonic says INTERNAL of one that a GOAWAY ended, CANCELLED of one that was
/// never sent, and UNKNOWN of one whose connection broke: in all of them the service was not there for it.
pub(super) fn status(error: hyper::Error) -> Status {
    let broke = error.source().is_some_and(|cause| cause.is::<io::Error>());
    let away = h2_error(&error).is_some_and(|error| error.is_remote() && error.is_go_away());
    if broke || away || error.is_canceled() || error.is_closed() || error.is_timeout() {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        return Status::unavailable(format!("{error}{cause}"));
    }
    Status::from_error(error.into())
}

/// hyper does not promise that this is its error's cause; the layer's own tests would tell.
fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    error.source()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    fn body(parts: Vec<Option<&'static str>>) -> Body {
        let mut parts = parts.into_iter();
        Body::new(StreamBody::new(stream::poll_fn(move |_| match parts.next() {
            Some(Some(text)) => Poll::Ready(Some(Ok::<_, Status>(Frame::data(Bytes::from_static(text.as_bytes()))))),
            Some(None) => Poll::Pending,
            None => Poll::Ready(None),
        })))
    }

    #[tokio::test]
    async fn a_single_message_in_hand_is_kept() {
        let Ok(Content::Whole(kept)) = Content::of(body(vec![Some("one")])).await else { panic!() };
        let mut kept = Kept::new(Request::new(()).into_parts().0, kept);
        for _ in 0..2 {
            let request = kept.request();
            assert!(!kept.handed_over());
            assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), "one");
            assert!(kept.handed_over());
        }
    }

    #[tokio::test]
    async fn of_anything_else_nothing_is_lost() {
        for parts in [vec![Some("on"), Some("e")], vec![Some("one"), None], vec![None, Some("one")], vec![]] {
            let whole: String = parts.iter().flatten().copied().collect();
            let Ok(Content::Streamed(rest)) = Content::of(body(parts)).await else { panic!("{whole}") };
            assert_eq!(rest.collect().await.unwrap().to_bytes(), whole);
        }
        let large = Body::new(http_body_util::Full::from(vec![7; KEPT + 1]));
        assert!(matches!(Content::of(large).await, Ok(Content::Streamed(_))));
    }
}
