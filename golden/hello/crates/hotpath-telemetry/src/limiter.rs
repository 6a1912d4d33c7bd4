//! A bound on how often something is said, which counts what is held back.
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What windows are counted from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Lets so many pass in each window of time, and counts the others.
#[derive(Debug)]
pub struct Limiter {
    window: Duration,
    most: u64,
    /// The number of the window that `passed` belongs to; windows are numbered from 1.
    current: AtomicU64,
    passed: AtomicU64,
    held_back: AtomicU64,
}

impl Limiter {
    /// Lets `most` pass in each `window`.
    pub const fn new(most: u64, window: Duration) -> Self {
        Self {
            window,
            most,
            current: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
        }
    }

    /// How many were held back since the last one that passed, if this one may pass.
    pub fn pass(&self) -> Option<u64> {
        self.pass_at(START.elapsed())
    }

    /// Two threads that meet where a window begins may let one more pass: that harms nothing.
    fn pass_at(&self, now: Duration) -> Option<u64> {
        let window = 1 + (now.as_nanos() / self.window.as_nanos()) as u64;
        if self.current.swap(window, Relaxed) != window {
            self.passed.store(0, Relaxed);
        }
        if self.passed.fetch_add(1, Relaxed) < self.most {
            return Some(self.held_back.swap(0, Relaxed));
        }
        self.held_back.fetch_add(1, Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_back_is_said_by_the_next_that_passes() {
        let limiter = Limiter::new(2, Duration::from_secs(1));
        let at = |millis| limiter.pass_at(Duration::from_millis(millis));
        assert_eq!([at(0), at(1), at(2), at(999)], [Some(0), Some(0), None, None]);
        assert_eq!([at(1_000), at(1_001), at(1_002)], [Some(2), Some(0), None]);
        assert_eq!(at(9_000), Some(1));
    }
}
