//! The bodies of calls: what comes is measured as it comes, and what is sent back holds its permits until the transport has
//! let go of its last byte.
use crate::admission::Waiter;
use crate::budget::MemoryPermit;
use crate::call::{CURRENT, Call};
use crate::connection_state::{Connection, GRACE, RESET_AT};
use crate::deadline::{after, deadline_exceeded};
use crate::methods::Method;
use crate::panics;
use crate::wire::{Messages, record_end, trailers};
use bytes::{Buf as _, Bytes};
use futures_util::stream::poll_fn;
use hotpath_telemetry::CallRecorder;
use http::HeaderMap;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Full, StreamBody};
use std::task::{Context, Poll, ready};
use std::{convert::Infallible, future::Future as _, pin::Pin, sync::Arc, time::Duration};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Status, body::Body};

/// Bytes of a single reply that the transport is given at once: what it has queued cannot be taken back, and the progress of a
/// slow reader is seen in steps of these.
const CHUNK: usize = 16 << 10;
/// How often a stream that is late looks whether its reader has taken what it was sent.
const LATE: Duration = Duration::from_millis(10);

/// A single reply with its trailers.
pub(crate) struct Reply {
    pub(crate) data: Bytes,
    pub(crate) trailers: HeaderMap,
    /// The memory of its bytes, among those of all calls.
    pub(crate) memory: MemoryPermit,
    /// The same, among what waits to be read.
    pub(crate) unread: MemoryPermit,
    /// How long its reader may take nothing of it.
    pub(crate) stalled: Duration,
    /// When its caller stops waiting, if it said so.
    pub(crate) caller_waits: Option<Instant>,
}

/// The body of a single reply. A short one is handed over, and counted, at once. A longer one is pulled by its reader; its
/// stream may last as long as its caller waits and takes some of it now and then.
pub(crate) fn whole(reply: Reply, mut recorder: CallRecorder) -> Body {
    let Reply {
        mut data,
        trailers,
        memory,
        mut unread,
        stalled,
        caller_waits,
    } = reply;
    if data.len() <= CHUNK {
        record_end(&mut recorder, &trailers);
        let data = Full::new(holding(data, (memory, unread)));
        return Body::new(data.with_trailers(std::future::ready(Some(Ok(trailers)))));
    }
    let memory = Arc::new(memory);
    let forever = after(Instant::now(), None);
    let mut trailers = Some(trailers);
    Body::new(StreamBody::new(poll_fn(move |_| {
        let deadline = after(Instant::now(), Some(stalled)).min(caller_waits.unwrap_or(forever));
        Poll::Ready(if data.has_remaining() {
            recorder.deadline = deadline;
            RESET_AT.with(|at| at.set(deadline + GRACE));
            let chunk = data.split_to(CHUNK.min(data.len()));
            let permits = (Arc::clone(&memory), unread.split(chunk.len() as u64));
            Some(Ok::<_, Infallible>(Frame::data(holding(chunk, permits))))
        } else {
            trailers.take().map(|trailers| {
                record_end(&mut recorder, &trailers);
                Ok(Frame::trailers(trailers))
            })
        })
    })))
}

/// A stream of replies, which the transport pulls. Its producer waits while the connection holds all that it may: a slow
/// reader slows it down. It ends at its deadline, and records the end of its call with its last frame.
pub(crate) fn streamed(
    messages: Messages,
    body: Body,
    connection: Arc<Connection>,
    method: Arc<Method>,
    recorder: CallRecorder,
    permits: (Call, MemoryPermit),
) -> Body {
    let mut stream = Streamed {
        frames: body,
        expiry: Box::pin(sleep_until(recorder.deadline)),
        waiter: Waiter::default(),
        expected: 0,
        messages,
        permits: Arc::new(permits),
        connection,
        method,
        recorder,
    };
    Body::new(StreamBody::new(poll_fn(move |cx| stream.poll_next(cx).map(|frame| frame.map(Ok::<_, Infallible>)))))
}

struct Streamed {
    frames: Body,
    expiry: Pin<Box<Sleep>>,
    /// Its place in the queue for room.
    waiter: Waiter,
    /// The bytes that the next frame may have: those of the last one.
    expected: u64,
    messages: Messages,
    /// Every frame that is not yet written has them too.
    permits: Arc<(Call, MemoryPermit)>,
    connection: Arc<Connection>,
    method: Arc<Method>,
    recorder: CallRecorder,
}

impl Streamed {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        if self.recorder.ended.is_cancelled() {
            return Poll::Ready(None);
        }
        // The clock is asked too: a producer that is always ready never lets its timer be polled.
        if Instant::now() >= self.recorder.deadline || self.expiry.as_mut().poll(cx).is_ready() {
            ready!(self.poll_read(cx));
            return Poll::Ready(Some(self.fail(&deadline_exceeded())));
        }
        ready!(self.connection.admission.poll_room(self.expected, &mut self.waiter, cx));
        let span = self.recorder.span.clone();
        let _span = span.enter();
        let frames = &mut self.frames;
        let polled = panics::caught(|| CURRENT.sync_scope(self.permits.0.clone(), || Pin::new(frames).poll_frame(cx)));
        let frame = match polled.unwrap_or_else(|status| Poll::Ready(Some(Err(status)))) {
            Poll::Ready(frame) => frame.unwrap_or_else(|| Ok(Frame::trailers(HeaderMap::new()))),
            Poll::Pending => return Poll::Pending,
        };
        let passed = frame.and_then(|frame| self.pass(frame));
        Poll::Ready(Some(passed.unwrap_or_else(|status| self.fail(&status))))
    }

    /// Counts a frame, and charges it to the connection.
    fn pass(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Status> {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(last) => {
                let trailers = last.into_trailers().unwrap_or_default();
                record_end(&mut self.recorder, &trailers);
                return Ok(Frame::trailers(trailers));
            }
        };
        let sent = self.messages.push_own(&data);
        self.messages.check_size("trying to send message", self.method.limits.reply)?;
        self.method.series.sent(sent);
        self.expected = data.len() as u64;
        let unread = self.connection.admission.charge_frame(self.expected);
        Ok(Frame::data(holding(data, (Arc::clone(&self.permits), unread))))
    }

    /// Waits until the reader has taken all that it was sent. One that never does is reset meanwhile.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while Arc::strong_count(&self.permits) > 1 {
            self.expiry.as_mut().reset(Instant::now() + LATE);
            ready!(self.expiry.as_mut().poll(cx));
        }
        Poll::Ready(())
    }

    /// The end of a stream that failed.
    fn fail(&mut self, status: &Status) -> Frame<Bytes> {
        self.recorder.end_with(status.code(), status.message());
        Frame::trailers(trailers(status))
    }
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
