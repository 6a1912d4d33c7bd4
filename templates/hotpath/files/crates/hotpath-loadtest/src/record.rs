//! Records calls as they end: histograms of latency and a time line.
//! Latency counts from the moment that a call was due, not from when the generator sent it: a stall of the service then
//! counts against every call that was due in it (no coordinated omission).
use crate::{
    calls::{Calls, Log, Point, Streams, code_name},
    schedule::Class,
};
use hdrhistogram::Histogram;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tonic::Code;

/// A call that has ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub class: Class,
    pub due: Instant,
    pub sent: Instant,
    pub done: Instant,
    pub code: Code,
    /// The message of its status, if its code is not one that overload gives.
    pub message: Option<Box<str>>,
}

/// The most steps in the time line of a phase, so that a soak of hours can be drawn like a run of a minute.
const STEPS: u32 = 600;

/// Takes the outcomes of one phase.
pub struct Recorder {
    /// The start of the run, from which the time line counts.
    origin: Instant,
    start: Instant,
    length: Duration,
    /// How long callers wait for a reply.
    deadline: Duration,
    step: Duration,
    classes: [Stats; 3],
    lateness: Histogram<u64>,
    not_sent: u64,
}

struct Stats {
    answered: Histogram<u64>,
    /// Answered and late calls.
    waited_for: Histogram<u64>,
    refused: Histogram<u64>,
    codes: BTreeMap<&'static str, u64>,
    messages: BTreeMap<&'static str, Box<str>>,
    offered: u64,
    in_time: u64,
    steps: Vec<Step>,
}

#[derive(Clone)]
struct Step {
    offered: u64,
    answered: Histogram<u64>,
    refused: u64,
    late: u64,
    failed: u64,
}

impl Recorder {
    pub fn new(origin: Instant, start: Instant, length: Duration, deadline: Duration) -> Self {
        let step = (length / STEPS).max(Duration::from_secs(1));
        Self {
            origin,
            start,
            length,
            deadline,
            step,
            classes: std::array::from_fn(|_| Stats::new()),
            lateness: histogram(3),
            not_sent: 0,
        }
    }

    /// Counts calls that were due and not sent.
    pub fn not_sent(&mut self, calls: u64) {
        self.not_sent += calls;
    }

    /// Records a call.
    pub fn record(&mut self, outcome: Outcome) {
        keep(&mut self.lateness, outcome.sent - outcome.due);
        let (due, done) = (self.step_of(outcome.due), self.step_of(outcome.done));
        let in_time = outcome.done <= self.start + self.length;
        let took = outcome.done - outcome.due;
        let deadline = self.deadline;
        let Some(stats) = self.classes.get_mut(outcome.class as usize) else { return };
        stats.offered += 1;
        stats.step(due).offered += 1;
        let step = stats.step(done);
        match outcome.code {
            Code::Ok => keep(&mut step.answered, took),
            Code::ResourceExhausted => step.refused += 1,
            Code::DeadlineExceeded => step.late += 1,
            _ => step.failed += 1,
        }
        match outcome.code {
            Code::Ok => {
                keep(&mut stats.answered, took);
                keep(&mut stats.waited_for, took);
                stats.in_time += u64::from(in_time);
                return;
            }
            Code::ResourceExhausted => keep(&mut stats.refused, took),
            // The service may give up before the deadline; its caller would have waited until then.
            Code::DeadlineExceeded => keep(&mut stats.waited_for, took.max(deadline)),
            _ => {}
        }
        *stats.codes.entry(code_name(outcome.code)).or_default() += 1;
        if let Some(message) = outcome.message {
            stats.messages.entry(code_name(outcome.code)).or_insert(message);
        }
    }

    fn step_of(&self, at: Instant) -> usize {
        let after = at.saturating_duration_since(self.start).as_secs_f64();
        (after / self.step.as_secs_f64()) as usize
    }

    /// The results of the phase.
    pub fn finish(self) -> Log {
        let seconds = self.length.as_secs_f64();
        let begin = (self.start - self.origin).as_secs_f64();
        let step = self.step.as_secs_f64();
        // A call that ended after the phase is an answer, but no part of its time line.
        let shown = (seconds / step).ceil() as usize;
        let [heavy, cheap, health] = self.classes.map(|stats| {
            let line = stats
                .steps
                .iter()
                .take(shown)
                .enumerate()
                .map(|(at, each)| each.point(begin + (at as f64 + 0.5) * step, step));
            (line.collect(), stats.calls(seconds))
        });
        Log {
            heavy: heavy.1,
            cheap: cheap.1,
            health: health.1,
            heavy_line: heavy.0,
            cheap_line: cheap.0,
            health_line: health.0,
            streams: Streams::default(),
            lateness_p99: at(&self.lateness, 0.99),
            not_sent: self.not_sent,
        }
    }
}

impl Stats {
    fn new() -> Self {
        Self {
            answered: histogram(3),
            waited_for: histogram(3),
            refused: histogram(2),
            codes: BTreeMap::new(),
            messages: BTreeMap::new(),
            offered: 0,
            in_time: 0,
            steps: Vec::new(),
        }
    }

    fn step(&mut self, index: usize) -> &mut Step {
        if self.steps.len() <= index {
            let empty = Step {
                offered: 0,
                answered: histogram(2),
                refused: 0,
                late: 0,
                failed: 0,
            };
            self.steps.resize(index + 1, empty);
        }
        #[expect(clippy::indexing_slicing, reason = "the line above makes it long enough")]
        &mut self.steps[index]
    }

    fn calls(&self, seconds: f64) -> Calls {
        Calls {
            offered: self.offered,
            answered: self.answered.len(),
            goodput: self.in_time as f64 / seconds,
            p50: at(&self.answered, 0.5),
            p90: at(&self.answered, 0.9),
            p99: at(&self.answered, 0.99),
            p999: at(&self.answered, 0.999),
            max: at(&self.answered, 1.0),
            p99_with_late: at(&self.waited_for, 0.99),
            p999_with_late: at(&self.waited_for, 0.999),
            refused_p99: at(&self.refused, 0.99),
            codes: self.codes.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect(),
            messages: self.messages.iter().map(|(code, said)| ((*code).to_owned(), said.to_string())).collect(),
            curve: if self.answered.is_empty() {
                Vec::new()
            } else {
                self.answered.iter_quantiles(4).map(|v| (v.quantile(), v.value_iterated_to() as f64 / 1e3)).collect()
            },
        }
    }
}

impl Step {
    fn point(&self, when: f64, seconds: f64) -> Point {
        let some = |quantile| (!self.answered.is_empty()).then(|| at(&self.answered, quantile));
        Point {
            at: when,
            offered: self.offered as f64 / seconds,
            answered: self.answered.len() as f64 / seconds,
            refused: self.refused as f64 / seconds,
            late: self.late as f64 / seconds,
            failed: self.failed as f64 / seconds,
            p50: some(0.5),
            p99: some(0.99),
        }
    }
}

/// A histogram of microseconds with so many significant digits, which grows to hold any value.
pub fn histogram(digits: u8) -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "fails only for more than five digits")]
    Histogram::new(digits).expect("two or three digits")
}

/// Records how long something took.
pub fn keep(histogram: &mut Histogram<u64>, took: Duration) {
    // Not `saturating_record`, which would cut a value to the highest so far instead of growing.
    let _ = histogram.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
}

/// Milliseconds at a quantile; 0 where nothing was recorded.
pub fn at(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    if histogram.is_empty() { 0.0 } else { histogram.value_at_quantile(quantile) as f64 / 1e3 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_millis(1_000);

    /// Records (due ms, sent ms, done ms, code) of heavy calls in a phase of two seconds.
    fn log(outcomes: &[(u64, u64, u64, Code)]) -> Log {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut recorder = Recorder::new(start, start, Duration::from_secs(2), DEADLINE);
        for &(due, sent, done, code) in outcomes {
            recorder.record(Outcome {
                class: Class::Heavy,
                due: ms(due),
                sent: ms(sent),
                done: ms(done),
                code,
                message: None,
            });
        }
        recorder.finish()
    }

    #[test]
    fn latency_counts_from_when_the_call_was_due() {
        // The generator was held up for 400 ms; the calls took 10 ms from when they were sent.
        let log = log(&[(0, 400, 410, Code::Ok), (100, 400, 410, Code::Ok)]);
        assert!((log.heavy.max - 410.0).abs() < 1.0, "{}", log.heavy.max);
        assert!((log.lateness_p99 - 400.0).abs() < 1.0, "{}", log.lateness_p99);
    }

    #[test]
    fn goodput_is_what_was_answered_within_the_phase() {
        let log = log(&[(0, 0, 10, Code::Ok), (1_990, 1_990, 2_010, Code::Ok), (5, 5, 6, Code::ResourceExhausted)]);
        assert_eq!((log.heavy.offered, log.heavy.answered), (3, 2));
        assert_eq!(log.heavy.goodput, 0.5);
        assert_eq!(log.heavy.count(Code::ResourceExhausted), 1);
        assert_eq!(log.cheap.offered, 0);
    }

    #[test]
    fn only_answered_calls_are_in_the_percentiles() {
        let log =
            log(&[(0, 0, 20, Code::Ok), (0, 0, 1_000, Code::DeadlineExceeded), (0, 0, 1, Code::ResourceExhausted)]);
        assert!((log.heavy.p999 - 20.0).abs() < 0.1);
        assert!((log.heavy.refused_p99 - 1.0).abs() < 0.1);
    }

    #[test]
    fn a_late_call_counts_as_long_as_its_caller_waits() {
        let deadline = DEADLINE.as_millis() as u64;
        for (early, late) in [(deadline, deadline + 1), (1, deadline)] {
            let log = log(&[(0, 0, 1, Code::Ok), (0, 0, early, Code::DeadlineExceeded)]);
            let (p99, deadline) = (log.heavy.p99_with_late, deadline as f64);
            assert!((log.heavy.p99 - 1.0).abs() < 0.1, "{}", log.heavy.p99);
            assert!((deadline..1.01 * late as f64).contains(&p99), "{p99}");
            assert_eq!(log.heavy.p999_with_late, p99);
        }
    }

    #[test]
    fn the_time_line_has_a_point_a_second() {
        let log = log(&[
            (100, 100, 150, Code::Ok),
            (900, 900, 1_100, Code::Ok),
            (1_500, 1_500, 2_400, Code::DeadlineExceeded),
        ]);
        assert_eq!(log.heavy_line.len(), 2);
        assert_eq!((log.heavy_line[0].offered, log.heavy_line[0].answered), (2.0, 1.0));
        assert_eq!((log.heavy_line[1].offered, log.heavy_line[1].late), (1.0, 0.0));
    }
}
