//! The limits that the team sets in `gates.toml`.
use serde::Deserialize;
use std::{fs, path::Path, time::Duration};

/// Every limit. A key that is unknown is an error, and so is one that is missing, but for those of the streams.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    pub steady: Steady,
    pub burst: Burst,
    pub cheap: Limit,
    pub health: Limit,
    pub memory: Memory,
    pub errors: Errors,
    pub soak: Soak,
    #[serde(default)]
    pub streams: StreamLimits,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steady {
    /// The share of the capacity that is offered.
    pub load: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    /// The least share of calls that must be answered, from 0 to 1.
    pub answered: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// How many times the capacity is offered.
    pub load: f64,
    /// The least goodput, as a share of the capacity.
    pub goodput: f64,
    /// The most that p99 may be, as a multiple of the p99 at the steady load.
    pub p99_ratio: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub p99_ms: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// The highest peak, as a share of the memory budget.
    pub peak: f64,
    /// The most RSS after the burst, as a multiple of what it was before.
    pub after_burst: f64,
    /// Seconds that the service is given for that.
    pub after_seconds: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// The codes that calls under load may end with, as the gRPC specification writes them.
    pub allowed: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Soak {
    /// The most RSS in the last quarter of a soak, as a multiple of that in the second.
    pub growth: f64,
}

/// The limits of a workload with streams. Files that are older than they have none of these keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamLimits {
    /// The p99 of the time from the call to the first message, in the worst phase under load.
    pub first_p99_ms: f64,
    /// The p99 of the time between two messages of a stream, in the worst phase under load.
    pub gap_p99_ms: f64,
    /// How many streams may end with another code than OK, in all phases together.
    pub cut: u64,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self { first_p99_ms: 1_000.0, gap_p99_ms: 1_000.0, cut: 0 }
    }
}

impl Gates {
    /// Reads the file. The error names it, and the line of a mistake in it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// A line for each limit that no call can break, because callers give up before it. They are warnings and not errors:
    /// both numbers are the team's to set.
    pub fn out_of_reach(&self, deadline: Duration) -> Vec<String> {
        let deadline = deadline.as_secs_f64() * 1e3;
        let limits = [
            ("steady.p99_ms", self.steady.p99_ms),
            ("steady.p999_ms", self.steady.p999_ms),
            ("cheap.p99_ms", self.cheap.p99_ms),
            ("health.p99_ms", self.health.p99_ms),
        ];
        let line = |(name, limit)| {
            format!("{name} = {limit} is not below the DEADLINE of {deadline} ms in workload.rs: no call can break it")
        };
        limits.into_iter().filter(|(_, limit)| *limit >= deadline).map(line).collect()
    }

    /// How long memory may take to come back after the burst.
    pub const fn recovery(&self) -> Duration {
        Duration::from_secs(self.memory.after_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::gates;

    #[test]
    fn a_limit_that_no_call_can_break_is_told() {
        let told = |deadline| gates().out_of_reach(Duration::from_millis(deadline));
        assert!(told(201).is_empty(), "{:?}", told(201));
        assert_eq!(
            told(200),
            ["steady.p999_ms = 200 is not below the DEADLINE of 200 ms in workload.rs: no call can break it"]
        );
        assert_eq!(told(20).len(), 4);
    }

    #[test]
    fn a_file_without_limits_of_streams_has_defaults() {
        let limits = |text: &str| toml::from_str::<StreamLimits>(text);
        assert_eq!(limits("").unwrap().gap_p99_ms, 1_000.0);
        assert_eq!(limits("cut = 3\n").unwrap().cut, 3);
        limits("gap_ms = 1.0\n").unwrap_err();
    }

    #[test]
    fn a_misspelt_limit_is_an_error_that_says_where() {
        let path = std::env::temp_dir().join(format!("gates-{}.toml", std::process::id()));
        fs::write(&path, "[steady]\nload = 0.8\np99 = 1.0\n").unwrap();
        let error = Gates::read(&path).unwrap_err();
        fs::remove_file(&path).unwrap();
        assert!(error.contains("line 3") && error.contains("p99"), "{error}");
    }
}
