//! The state of one connection, which its calls and the loop that serves it have in common.
use crate::admission::Admission;
use crate::caller::Caller;
use crate::deadline;
use crate::limits::MethodLimits;
use prometheus::IntCounter;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::{cell::Cell, time::Duration};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// How long a stream may outlive its deadline before it is reset: its peer may hold memory no longer.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

tokio::task_local! {
    /// When the stream that the current task runs is reset if it has not ended.
    pub(crate) static RESET_AT: Cell<Instant>;
}

/// The peer of a connection, for the log.
pub(crate) struct Peer {
    /// Where it is.
    pub(crate) address: Option<SocketAddr>,
    /// Who it has proven to be, where it was asked.
    pub(crate) caller: Option<Caller>,
}

/// What the streams of one connection have in common.
pub(crate) struct Connection {
    pub(crate) admission: Admission,
    pub(crate) peer: Peer,
    /// Streams that may be open at once.
    streams: usize,
    /// Counts how often all of them were.
    full: IntCounter,
    /// Streams that are open now.
    open: AtomicUsize,
    /// Streams that ever began.
    begun: AtomicUsize,
    /// How long the stream that is being started may last, in milliseconds; [`u64::MAX`] where it has no deadline.
    next_deadline_ms: AtomicU64,
    /// The longest deadline of the service's own methods that were called here, in milliseconds; the same.
    longest_deadline_ms: AtomicU64,
    /// Streams that had begun when one was reset because its reader was late; none where that never was.
    begun_when_late: AtomicUsize,
    stopped_reading: Notify,
}

impl Connection {
    /// `streams` may be open at once, and `full` counts how often they are.
    pub(crate) fn new(admission: Admission, peer: Peer, streams: u32, full: IntCounter) -> Self {
        Self {
            admission,
            peer,
            streams: streams as usize,
            full,
            open: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            next_deadline_ms: AtomicU64::new(0),
            longest_deadline_ms: AtomicU64::new(0),
            begun_when_late: AtomicUsize::new(0),
            stopped_reading: Notify::new(),
        }
    }

    /// Notes how long the call may take whose stream is being started.
    pub(crate) fn expect_stream(&self, method: &MethodLimits, limit: Option<Duration>) {
        let millis = |limit: Option<Duration>| limit.map_or(u64::MAX, |limit| limit.as_millis() as u64);
        self.next_deadline_ms.store(millis(limit), Relaxed);
        if method.work > 0 {
            self.longest_deadline_ms.fetch_max(millis(method.deadline), Relaxed);
        }
    }

    /// Counts a stream that begins. Returns when it is reset if it has not ended: at its deadline, and the grace after it.
    pub(crate) fn stream_begins(&self) -> Instant {
        if self.open.fetch_add(1, Relaxed) + 1 >= self.streams {
            self.full.inc();
        }
        self.begun.fetch_add(1, Relaxed);
        let limit = Duration::from_millis(self.next_deadline_ms.swap(0, Relaxed));
        deadline::after(Instant::now(), Some(limit.saturating_add(GRACE)))
    }

    /// Counts a stream that ended.
    pub(crate) fn stream_ends(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    /// Reports a stream that outlived its deadline and is about to be reset.
    pub(crate) fn stream_is_late(&self) {
        self.begun_when_late.store(self.begun.load(Relaxed), Relaxed);
    }

    /// Whether the peer has not called since a stream of it was late, and has no other.
    fn has_gone_quiet(&self) -> bool {
        let late = self.begun_when_late.load(Relaxed);
        late > 0 && late == self.begun.load(Relaxed) && self.open.load(Relaxed) == 0
    }

    fn longest_deadline(&self, of_endless: Duration) -> Duration {
        Some(self.longest_deadline_ms.load(Relaxed))
            .filter(|&millis| millis < u64::MAX)
            .map_or(of_endless, Duration::from_millis)
    }

    /// Waits until the peer has stopped reading.
    pub(crate) async fn stopped_reading(&self) {
        self.stopped_reading.notified().await;
    }

    /// Waits until no stream was open for `limit`, and no reply waited for its reader; for a peer whose last stream was late,
    /// only a second or two. Meanwhile it reports a peer that reads none of the replies that wait: a short reply leaves its
    /// stream before anyone has read it, so no stream is late. Calls without a deadline count as if `limit` was theirs.
    pub(crate) async fn idle(&self, limit: Duration) {
        let mut last_call = Instant::now();
        let mut last_read = Instant::now();
        let mut begun = self.begun.load(Relaxed);
        let mut waiting = None;
        let mut quiet = false;
        while last_call.elapsed() < limit {
            sleep(GRACE.min(limit / 4)).await;
            self.admission.retry_streams();
            if std::mem::replace(&mut quiet, self.has_gone_quiet()) && quiet {
                return;
            }
            let begun_before = std::mem::replace(&mut begun, self.begun.load(Relaxed));
            let waited = std::mem::replace(&mut waiting, self.admission.replies_waiting());
            if begun != begun_before || self.open.load(Relaxed) > 0 || waiting.is_some() {
                last_call = Instant::now();
            }
            if waiting.is_none() || waiting != waited {
                last_read = Instant::now();
            } else if last_read.elapsed() >= GRACE + self.longest_deadline(limit) {
                self.stopped_reading.notify_one();
            }
        }
    }
}
