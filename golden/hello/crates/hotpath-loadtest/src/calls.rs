//! The results of calls, in numbers: the recorder makes them; gates, causes and reports read them.
use crate::schedule::Class;
use serde::Serialize;
use std::collections::BTreeMap;
use tonic::Code;

/// The results of the calls of one class in one phase.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Calls {
    /// Calls that were sent.
    pub offered: u64,
    /// Calls that were answered with OK before their deadline.
    pub answered: u64,
    /// Answered with OK within the phase, per second.
    pub goodput: f64,
    /// Milliseconds, of answered calls.
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
    /// Milliseconds, of answered and of late calls. A late call counts for as long as its caller waited: left out, a
    /// service would look the better the more of its calls run out of time.
    pub p99_with_late: f64,
    pub p999_with_late: f64,
    /// Milliseconds, of calls refused with RESOURCE_EXHAUSTED: a refusal must be quick to be of use.
    pub refused_p99: f64,
    /// How many calls ended with each code but OK.
    pub codes: BTreeMap<String, u64>,
    /// The message of the first call with each code.
    pub messages: BTreeMap<String, String>,
    /// (percentile, milliseconds) of answered calls.
    pub curve: Vec<(f64, f64)>,
}

impl Calls {
    /// How many calls ended with a code that is not OK.
    pub fn count(&self, code: Code) -> u64 {
        self.codes.get(code_name(code)).copied().unwrap_or(0)
    }

    /// The share of calls that were refused, from 0 to 1.
    pub fn refused(&self) -> f64 {
        ratio(self.count(Code::ResourceExhausted), self.offered)
    }

    /// Every code but OK, with its count and the message of the first call.
    pub fn refusals(&self) -> String {
        let one = |(code, count): (&String, &u64)| {
            let said = self.messages.get(code).map_or_else(String::new, |said| format!(" (\"{said}\")"));
            format!("{count} {code}{said}")
        };
        self.codes.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// The share of calls that were answered, from 0 to 1.
    pub fn answered_ratio(&self) -> f64 {
        ratio(self.answered, self.offered)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// One step of the time line of one class. Calls are per second, percentiles in milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Point {
    /// Seconds after the start of the run, in the middle of the step.
    pub at: f64,
    pub offered: f64,
    pub answered: f64,
    pub refused: f64,
    pub late: f64,
    pub failed: f64,
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

/// What the readers of streams saw in one phase.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Streams {
    /// Streams at once.
    pub open: usize,
    /// Streams that were opened, again after each end.
    pub opened: u64,
    /// Streams that ended with another code than OK. What is still open at the end of the phase is not one of them.
    pub cut: u64,
    pub messages: u64,
    pub messages_per_second: f64,
    /// Milliseconds from the call to the first message.
    pub first_p50: f64,
    pub first_p99: f64,
    /// Milliseconds between two messages of a stream.
    pub gap_p50: f64,
    pub gap_p99: f64,
    pub gap_max: f64,
    /// How many ended with each code but OK, and the message of the first.
    pub codes: BTreeMap<String, u64>,
    pub said: BTreeMap<String, String>,
}

/// The results of a phase.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Log {
    pub heavy: Calls,
    pub cheap: Calls,
    pub health: Calls,
    pub heavy_line: Vec<Point>,
    pub cheap_line: Vec<Point>,
    pub health_line: Vec<Point>,
    pub streams: Streams,
    /// By how many milliseconds the generator itself sent calls late (p99); it is part of every latency above.
    pub lateness_p99: f64,
    /// Calls that were due and not sent, because too many were in flight.
    pub not_sent: u64,
}

impl Log {
    pub const fn of(&self, class: Class) -> &Calls {
        match class {
            Class::Heavy => &self.heavy,
            Class::Cheap => &self.cheap,
            Class::Health => &self.health,
        }
    }

    pub fn line(&self, class: Class) -> &[Point] {
        match class {
            Class::Heavy => &self.heavy_line,
            Class::Cheap => &self.cheap_line,
            Class::Health => &self.health_line,
        }
    }
}

/// A code as the gRPC specification writes it.
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
