//! The state of one connection, which its calls and the loop that serves it have in common.
use crate::admission::Admission;
use crate::limits::MethodLimits;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// How long a stream may outlive its deadline before its peer counts as one that has stopped reading. Such a peer holds
/// memory.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// What the streams of one connection have in common.
pub(crate) struct Connection {
    pub(crate) admission: Admission,
    /// Where its peer is, for the log.
    pub(crate) peer: Option<SocketAddr>,
    /// Streams that are open now.
    open: AtomicUsize,
    /// Streams that ever began.
    begun: AtomicUsize,
    /// The deadline of the stream that is being started, in milliseconds.
    next_deadline_ms: AtomicU64,
    /// The longest deadline of the service's own methods that were called here, in milliseconds.
    longest_deadline_ms: AtomicU64,
    stopped_reading: Notify,
}

impl Connection {
    pub(crate) fn new(admission: Admission, peer: Option<SocketAddr>) -> Self {
        Self {
            admission,
            peer,
            open: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            next_deadline_ms: AtomicU64::new(0),
            longest_deadline_ms: AtomicU64::new(0),
            stopped_reading: Notify::new(),
        }
    }

    /// Notes the deadline of the call whose stream is being started.
    pub(crate) fn expect_stream(&self, method: &MethodLimits) {
        let millis = method.deadline.as_millis() as u64;
        self.next_deadline_ms.store(millis, Relaxed);
        if method.work > 0 {
            self.longest_deadline_ms.fetch_max(millis, Relaxed);
        }
    }

    /// Counts a stream that begins. Returns how long it may last: to its deadline, and the grace after it.
    pub(crate) fn stream_begins(&self) -> Duration {
        self.open.fetch_add(1, Relaxed);
        self.begun.fetch_add(1, Relaxed);
        GRACE + Duration::from_millis(self.next_deadline_ms.swap(0, Relaxed))
    }

    /// Counts a stream that ended.
    pub(crate) fn stream_ends(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    /// Reports a stream that outlived its deadline. The peer has stopped reading if it has read nothing else of this
    /// connection either since [`Admission::replies_read`] was `replies_read`.
    pub(crate) fn stream_is_late(&self, replies_read: u64) {
        if replies_read == self.admission.replies_read() {
            self.stopped_reading.notify_one();
        }
    }

    /// Waits until the peer has stopped reading.
    pub(crate) async fn stopped_reading(&self) {
        self.stopped_reading.notified().await;
    }

    /// Waits until no stream was open for `limit`, and no reply waited for its reader. Meanwhile it reports a peer that
    /// reads none of the replies that wait: a short reply leaves its stream before anyone has read it, so no stream is
    /// late.
    pub(crate) async fn idle(&self, limit: Duration) {
        let mut last_call = Instant::now();
        let mut last_read = Instant::now();
        let mut begun = self.begun.load(Relaxed);
        let mut waiting = None;
        while last_call.elapsed() < limit {
            sleep(GRACE.min(limit / 4)).await;
            let begun_before = std::mem::replace(&mut begun, self.begun.load(Relaxed));
            let waited = std::mem::replace(&mut waiting, self.admission.replies_waiting());
            if begun != begun_before || self.open.load(Relaxed) > 0 || waiting.is_some() {
                last_call = Instant::now();
            }
            if waiting.is_none() || waiting != waited {
                last_read = Instant::now();
            } else if last_read.elapsed() >= GRACE + Duration::from_millis(self.longest_deadline_ms.load(Relaxed)) {
                self.stopped_reading.notify_one();
            }
        }
    }
}
