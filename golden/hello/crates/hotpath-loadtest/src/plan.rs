//! How long each phase takes.
use std::time::Duration;

/// The length of each phase.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub idle: Duration,
    pub warm_up: Duration,
    /// Each step of the search for the capacity.
    pub step: Duration,
    /// The longer measurement of the capacity with the best number of callers.
    pub hold: Duration,
    pub steady: Duration,
    pub settle: Duration,
    pub burst: Duration,
    /// As long as the gate allows memory to take to come back, whatever the scale.
    pub recovery: Duration,
}

impl Plan {
    /// The phases of a whole run: about three minutes.
    pub fn full(recovery: Duration) -> Self {
        let seconds = Duration::from_secs;
        Self {
            idle: seconds(5),
            warm_up: seconds(5),
            step: seconds(2),
            hold: seconds(10),
            steady: seconds(60),
            settle: seconds(4),
            burst: seconds(30),
            recovery,
        }
    }

    /// Shorter phases for a pipeline: about a minute and a half.
    pub fn quick(recovery: Duration) -> Self {
        let seconds = Duration::from_secs;
        Self {
            idle: seconds(2),
            warm_up: seconds(2),
            step: seconds(1),
            hold: seconds(4),
            steady: seconds(15),
            settle: seconds(3),
            burst: seconds(10),
            recovery,
        }
    }

    /// Every phase but the recovery, times `factor`.
    pub fn scaled(self, factor: f64) -> Self {
        let scale = |length: Duration| length.mul_f64(factor).max(Duration::from_millis(500));
        Self {
            idle: scale(self.idle),
            warm_up: scale(self.warm_up),
            step: scale(self.step),
            hold: scale(self.hold),
            steady: scale(self.steady),
            settle: scale(self.settle),
            burst: scale(self.burst),
            recovery: self.recovery,
        }
    }
}
