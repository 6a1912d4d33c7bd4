//! What one run measured: gates, causes and reports are made from it.
use crate::{calls::Log, made::Made, metrics::Gauges, observe::Sample, schedule::Rates};
use serde::Serialize;

/// One step of the search for the capacity.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Callers that wait for their answers.
    pub callers: usize,
    /// Calls per second.
    pub goodput: f64,
    /// Milliseconds.
    pub p99: f64,
    /// The share of calls that were refused, from 0 to 1.
    pub refused: f64,
}

/// One phase of open-loop load.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Phase {
    pub name: &'static str,
    /// Seconds after the start of the run.
    pub from: f64,
    pub to: f64,
    pub rates: Rates,
    #[serde(flatten)]
    pub log: Log,
}

pub const IDLE: &str = "idle";
pub const STEADY: &str = "steady";
pub const SETTLE: &str = "settle";
pub const BURST: &str = "burst";
pub const RECOVERY: &str = "recovery";
pub const SOAK: &str = "soak";

/// How many cores were in use, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pub service: f64,
    pub generator: f64,
    /// Everything else on the machine, and what its host took away.
    pub others: f64,
    /// What its host took away.
    pub stolen: f64,
}

/// The number of cores in use by other processes above which a report warns of them.
pub const NOTICED_CORES: f64 = 0.2;

/// What one run measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Run {
    pub made: Made,
    /// The name that the service has in the health protocol.
    pub service: &'static str,
    pub variant: String,
    pub target: String,
    pub seed: u64,
    /// CPUs that the service and this load generator may use together.
    pub cpus: usize,
    /// Heavy calls per second that the service answers when its callers wait for their answers.
    pub capacity: f64,
    /// The same at the end of the run. If it is much less, something else slowed the machine.
    pub capacity_after: Option<f64>,
    pub steps: Vec<Step>,
    pub phases: Vec<Phase>,
    pub samples: Vec<Sample>,
    pub gauges: Vec<Gauges>,
    /// Bytes that the service says it may take.
    pub memory_budget: Option<u64>,
    /// The exit code of the service after SIGTERM; none if it had to be killed.
    pub exit: Option<i32>,
    /// Whether this run started the service, and so can stop it.
    pub own: bool,
}

impl Run {
    pub fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.name == name)
    }

    /// An estimate of the capacity at the time of the burst: halfway between what was measured before and after it. A single
    /// measurement of a few seconds is off by a tenth where the machine's speed changes.
    pub fn capacity_at_burst(&self) -> f64 {
        f64::midpoint(self.capacity, self.capacity_after.unwrap_or(self.capacity))
    }

    /// The share of the machine's cores that the load generator took in the burst beyond what it took at the steady load. A
    /// refused call costs the generator as much CPU as the service, which cannot have those cores too.
    pub fn taken_by_generator(&self) -> f64 {
        let generator = |name| {
            let phase = self.phase(name)?;
            Some(self.cores(phase.from, phase.to)?.generator)
        };
        let more = generator(BURST).zip(generator(STEADY)).map_or(0.0, |(burst, steady)| burst - steady);
        (more / self.cpus.max(1) as f64).clamp(0.0, 0.5)
    }

    /// The median of `of` over the samples between two moments, in seconds after the start of the run.
    pub fn median(&self, from: f64, to: f64, of: impl Fn(&Sample) -> f64) -> Option<f64> {
        let mut seen: Vec<f64> = self.samples.iter().filter(|s| (from..=to).contains(&s.at)).map(of).collect();
        seen.sort_by(f64::total_cmp);
        seen.get(seen.len() / 2).copied()
    }

    /// The most resident bytes of the run.
    pub fn peak_rss(&self) -> Option<u64> {
        self.samples.iter().map(|sample| sample.peak).max()
    }

    /// Resident bytes when the service had settled, before the burst.
    pub fn rss_before(&self) -> Option<f64> {
        let settle = self.phase(SETTLE)?;
        self.median(settle.to - 1.5, settle.to, |sample| sample.rss as f64)
    }

    /// Resident bytes at the end of the recovery.
    pub fn rss_after(&self) -> Option<f64> {
        let recovery = self.phase(RECOVERY)?;
        self.median(recovery.to - 2.0, recovery.to, |sample| sample.rss as f64)
    }

    /// Cores in use between two moments.
    pub fn cores(&self, from: f64, to: f64) -> Option<Cores> {
        let mut seen = self.samples.iter().filter(|sample| (from..=to).contains(&sample.at));
        let first = seen.next()?;
        let last = seen.next_back()?;
        let seconds = last.at - first.at;
        let service = (last.cpu - first.cpu) / seconds;
        let generator = (last.own_cpu - first.own_cpu) / seconds;
        let others = ((last.all_cpu - first.all_cpu) / seconds - service - generator).max(0.0);
        let stolen = (last.stolen - first.stolen) / seconds;
        (seconds > 0.0).then_some(Cores { service, generator, others, stolen })
    }

    /// The most cores that other processes took in a phase with heavy load.
    pub fn others(&self) -> f64 {
        let loaded = self.phases.iter().filter(|phase| phase.rates.heavy > 0.0);
        let cores = loaded.filter_map(|phase| self.cores(phase.from, phase.to));
        cores.map(|cores| cores.others).fold(0.0, f64::max)
    }

    /// The highest value of a gauge between two moments; `None` if the service has no such gauge.
    pub fn highest(&self, from: f64, to: f64, of: impl Fn(&Gauges) -> Option<f64>) -> Option<f64> {
        self.gauges.iter().filter(|gauges| (from..=to).contains(&gauges.at)).filter_map(of).reduce(f64::max)
    }

    /// The last value of a gauge before a moment.
    pub fn last(&self, before: f64, of: impl Fn(&Gauges) -> Option<f64>) -> Option<f64> {
        self.gauges.iter().rev().filter(|gauges| gauges.at <= before).find_map(of)
    }
}
