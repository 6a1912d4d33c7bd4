//! What one run measured: everything that gates, causes and reports are made from.
use crate::{calls::Log, metrics::Gauges, observe::Sample, schedule::Rates};
use serde::Serialize;

/// One step of the search for the capacity.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Callers that wait for their answers.
    pub callers: usize,
    pub goodput: f64,
    pub p99: f64,
    /// Of all calls, the part that was refused.
    pub refused: f64,
}

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

/// Who used how many cores.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pub service: f64,
    pub generator: f64,
    /// Everything else on the machine.
    pub others: f64,
}

/// More cores than this in use by others, and the numbers are not the service's alone.
pub const QUIET: f64 = 0.2;

#[derive(Clone, Debug, Default, Serialize)]
pub struct Run {
    /// The name that the service has in the health protocol.
    pub service: &'static str,
    pub variant: String,
    pub target: String,
    pub seed: u64,
    /// CPUs that this load generator may use, and its service.
    pub cpus: usize,
    /// Heavy calls per second that the service answers when its callers wait for their answers.
    pub capacity: f64,
    /// The same at the end: where it is much less, the machine was not this test's alone.
    pub capacity_after: Option<f64>,
    pub steps: Vec<Step>,
    pub phases: Vec<Phase>,
    pub samples: Vec<Sample>,
    pub gauges: Vec<Gauges>,
    /// Bytes that the service says it may take.
    pub memory_budget: Option<u64>,
    /// How the service ended when it was told to: its exit code, or none if it had to be killed.
    pub exit: Option<i32>,
    /// Whether this run started the service, and so knows how it ended.
    pub own: bool,
}

impl Run {
    pub fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.name == name)
    }

    /// The capacity at the time of the burst, as far as it is known: halfway between what was found before and after it.
    /// One look of a few seconds is off by a tenth where the machine's speed changes.
    pub fn capacity_at_burst(&self) -> f64 {
        f64::midpoint(self.capacity, self.capacity_after.unwrap_or(self.capacity))
    }

    /// The part of the machine's cores that the load generator took in the burst, and not yet at the steady load: each call
    /// that is refused costs it as much as the service, which cannot have those cores too.
    pub fn taken_by_generator(&self) -> f64 {
        let generator = |name| {
            let phase = self.phase(name)?;
            Some(self.cores(phase.from, phase.to)?.generator)
        };
        let more = generator(BURST).zip(generator(STEADY)).map_or(0.0, |(burst, steady)| burst - steady);
        (more / self.cpus.max(1) as f64).clamp(0.0, 0.5)
    }

    /// The median of what `of` says of the samples between two moments.
    pub fn median(&self, from: f64, to: f64, of: impl Fn(&Sample) -> f64) -> Option<f64> {
        let mut seen: Vec<f64> = self.samples.iter().filter(|s| (from..=to).contains(&s.at)).map(of).collect();
        seen.sort_by(f64::total_cmp);
        seen.get(seen.len() / 2).copied()
    }

    pub fn peak_rss(&self) -> Option<u64> {
        self.samples.iter().map(|sample| sample.peak).max()
    }

    /// RSS when the service had settled, before the burst.
    pub fn rss_before(&self) -> Option<f64> {
        let settle = self.phase(SETTLE)?;
        self.median(settle.to - 1.5, settle.to, |sample| sample.rss as f64)
    }

    /// RSS at the end of the recovery.
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
        (seconds > 0.0).then_some(Cores { service, generator, others })
    }

    /// The most cores that everything else took in a phase with heavy load.
    pub fn others(&self) -> f64 {
        let loaded = self.phases.iter().filter(|phase| phase.rates.heavy > 0.0);
        let cores = loaded.filter_map(|phase| self.cores(phase.from, phase.to));
        cores.map(|cores| cores.others).fold(0.0, f64::max)
    }

    /// The highest that a gauge was between two moments; `None` if the service has no such gauge.
    pub fn highest(&self, from: f64, to: f64, of: impl Fn(&Gauges) -> Option<f64>) -> Option<f64> {
        self.gauges.iter().filter(|gauges| (from..=to).contains(&gauges.at)).filter_map(of).reduce(f64::max)
    }

    /// A gauge as it was last seen before a moment.
    pub fn last(&self, before: f64, of: impl Fn(&Gauges) -> Option<f64>) -> Option<f64> {
        self.gauges.iter().rev().filter(|gauges| gauges.at <= before).find_map(of)
    }
}
