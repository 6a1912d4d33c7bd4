//! How long a replica has not said a word to who asks it.
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// No byte is awaited.
const HEARD: u64 = 0;

/// The silence of a replica, from the first call that it has not answered by a single byte.
#[derive(Debug)]
pub(super) struct Silence {
    /// What `asked` counts from.
    epoch: Instant,
    /// When that call was sent, in milliseconds, and one more; or [`HEARD`].
    asked: AtomicU64,
    /// How long it may last once a call has ended in vain.
    most: Duration,
    over: Notify,
}

impl Silence {
    /// None so far. It may last for `most`.
    pub(super) fn new(most: Duration) -> Self {
        Self {
            epoch: Instant::now(),
            asked: AtomicU64::new(HEARD),
            most,
            over: Notify::new(),
        }
    }

    /// A call is sent `now`.
    pub(super) fn asked(&self, now: Instant) {
        if self.asked.load(Relaxed) == HEARD {
            // Another call may be sent at this moment: either of them is the first.
            self.asked.store(self.millis(now), Relaxed);
        }
    }

    /// Something came.
    pub(super) fn heard(&self) {
        self.asked.store(HEARD, Relaxed);
    }

    /// A call has ended `now`, with an answer or without. True if the replica has been silent for too long before it; whoever waits
    /// for [`too_long`](Self::too_long) is told.
    pub(super) fn ended(&self, now: Instant) -> bool {
        let asked = self.asked.load(Relaxed);
        let over = asked != HEARD && Duration::from_millis(self.millis(now).saturating_sub(asked)) >= self.most;
        if over {
            self.over.notify_one();
        }
        over
    }

    /// Waits until the replica has been silent for too long.
    pub(super) async fn too_long(&self) {
        self.over.notified().await;
    }

    fn millis(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_millis() as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_counts_from_the_first_call_without_an_answer_to_the_next_byte() {
        let silence = Silence::new(Duration::from_secs(3));
        let at = |second| silence.epoch + Duration::from_secs(second);
        assert!(!silence.ended(at(60)), "nobody was asked");
        silence.asked(at(60));
        silence.asked(at(62));
        assert!(!silence.ended(at(62)));
        silence.heard();
        assert!(!silence.ended(at(64)), "it has spoken");
        for second in 64..67 {
            silence.asked(at(second));
            assert!(!silence.ended(at(second)));
        }
        assert!(silence.ended(at(67)));
        silence.too_long().await;
    }
}
