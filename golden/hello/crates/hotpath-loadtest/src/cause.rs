//! Why a gate most likely broke: the first rule that fits what was measured, with its evidence.
use crate::{
    calls::Log,
    gates::Gates,
    run::{BURST, IDLE, NOTICED_CORES, Phase, RECOVERY, Run, STEADY},
    schedule::Class,
    units::show,
};

/// The most likely cause of a broken gate.
pub fn of<'a>(gate: &str, run: &'a Run, gates: &'a Gates) -> String {
    let facts = Facts { run, gates };
    let rules: &[Rule<'a>] = match gate {
        "steady-p99" | "steady-p999" => {
            &[Facts::cpu_on_workers, Facts::other_load, Facts::late_generator, Facts::workers_held]
        }
        "steady-answered" => &[Facts::cpu_on_workers, Facts::other_load, Facts::limits_too_low, Facts::workers_held],
        "burst-goodput" => &[Facts::cpu_on_workers, Facts::not_shed, Facts::other_load, Facts::workers_held],
        "burst-p99" => &[Facts::queue, Facts::cpu_on_workers, Facts::not_shed, Facts::other_load],
        "cheap-p99" | "health-p99" | "cheap-answered" | "health-answered" => {
            &[Facts::cpu_on_workers, Facts::other_load, Facts::late_generator, Facts::workers_held]
        }
        "peak-rss" | "rss-after-burst" | "soak-rss" => {
            &[Facts::queue, Facts::backlog, Facts::not_shed, Facts::leak, Facts::cpu_on_workers]
        }
        "streams-first-p99" | "streams-gap-p99" => {
            &[Facts::cpu_on_workers, Facts::other_load, Facts::late_generator, Facts::workers_held]
        }
        "streams-cut" => &[Facts::cut],
        "errors" => &[Facts::codes],
        "stop" => &[Facts::exit],
        _ => &[],
    };
    rules.iter().find_map(|rule| rule(&facts)).unwrap_or_else(|| general(gate).to_owned())
}

/// The most likely cause where no rule fits.
fn general(gate: &str) -> &'static str {
    match gate {
        "burst-goodput" => "the service spends more on refusing than it should, or works for callers that have gone",
        "burst-p99" => "more calls are let in than the cores can finish: lower the method's calls in flight",
        "steady-p99" | "steady-p999" => {
            "the call itself is slow, or its latency varies: look at the downstreams and at what it waits for"
        }
        "steady-answered" => "calls fail or come too late below capacity",
        "cheap-p99" | "health-p99" | "cheap-answered" | "health-answered" => {
            "the heavy calls take what the cheap ones need: a lock, a pool, or the limit on calls in flight"
        }
        "streams-first-p99" | "streams-gap-p99" => {
            "the heavy calls take what the streams need: a lock, a pool, or the workers that send their messages"
        }
        "streams-cut" => "the service ends streams whose readers do nothing wrong",
        "peak-rss" => "calls take more memory than their policy reserves: measure the method's worst case",
        "rss-after-burst" | "soak-rss" => {
            "the allocator keeps what the burst needed: decay, arenas, or buffers that grew and never shrink"
        }
        _ => {
            "the generator reached its limit of calls in flight: the service answers none, or the machine is too small"
        }
    }
}

/// Milliseconds of CPU above which a call is taken to compute. Transport and runtime alone cost well below that.
const COMPUTES: f64 = 1.0;

type Rule<'a> = fn(&Facts<'a>) -> Option<String>;

struct Facts<'a> {
    run: &'a Run,
    gates: &'a Gates,
}

impl Facts<'_> {
    /// The service did not refuse what it could not do.
    fn not_shed(&self) -> Option<String> {
        let burst = self.run.phase(BURST)?;
        let (refused, due) = (burst.log.heavy.refused(), 1.0 - 1.0 / self.gates.burst.load);
        (refused < due * 0.75).then(|| {
            format!(
                "no admission limit held: {:.0}% of the calls at {} times capacity were refused where about {:.0}% must be{}; \
                 a limit on calls in flight is missing, or far above what the cores can finish",
                refused * 100.0,
                self.gates.burst.load,
                due * 100.0,
                self.run
                    .highest(burst.from, burst.to, |gauges| gauges.in_flight)
                    .map_or_else(String::new, |calls| format!(" ({calls:.0} calls were in flight)"))
            )
        })
    }

    /// The runtime's workers compute while `hotpath::Cpu` is not used, as the service's own gauges show. Busy workers alone
    /// prove nothing: far above its capacity, a service that only waits has them too.
    fn cpu_on_workers(&self) -> Option<String> {
        let burst = self.run.phase(BURST).or_else(|| self.run.phases.last())?;
        let steady = self.run.phase(STEADY).unwrap_or(burst);
        let pool = self.run.highest(steady.from, burst.to, |gauges| gauges.cpu_busy)?;
        let workers = self.run.highest(steady.from, burst.to, |gauges| gauges.worker_busy)?;
        let each = self.cost(steady)?;
        (pool < 0.5 && workers > 0.3 && each > COMPUTES).then(|| {
            format!(
                "CPU work runs on the runtime's workers: they were up to {:.0}% busy, a heavy call took {each:.1} ms of \
                 CPU, and hotpath::Cpu was not in use; move the work into Cpu::run",
                workers * 100.0
            )
        })
    }

    /// Milliseconds of CPU for each heavy call of a phase, less what the service uses without any.
    fn cost(&self, phase: &Phase) -> Option<f64> {
        let idle = self.run.phase(IDLE).and_then(|idle| self.run.cores(idle.from, idle.to));
        let service = self.run.cores(phase.from, phase.to)?.service - idle.map_or(0.0, |cores| cores.service);
        (phase.rates.heavy > 0.0).then(|| service / phase.rates.heavy * 1e3)
    }

    /// Something holds the runtime's workers, as far as it shows from outside: cheap calls wait beside heavy ones.
    fn workers_held(&self) -> Option<String> {
        let idle = self.run.phase(IDLE)?;
        let (before, during) = (neighbours(&idle.log), self.worst(neighbours));
        (during > 3.0 * before).then(|| {
            format!(
                "something holds the runtime's workers: CPU work outside the blocking pool, blocking I/O, or a lock \
                 (cheap calls and health checks took {during:.1} ms, {before:.1} ms without load)"
            )
        })
    }

    /// The generator sent calls late, which is part of their latency.
    fn late_generator(&self) -> Option<String> {
        let (late, cheap) = (self.worst(|log| log.lateness_p99), self.worst(neighbours));
        (late > 0.4 * cheap).then(|| {
            format!(
                "this machine, first: the load generator itself sent calls up to {late:.1} ms late (p99), and cheap \
                 calls took {cheap:.1} ms with that; give it cores of its own"
            )
        })
    }

    /// The highest value of `of` in the phases with heavy load.
    fn worst(&self, of: impl Fn(&Log) -> f64) -> f64 {
        let loaded = self.run.phases.iter().filter(|phase| phase.rates.heavy > 0.0);
        loaded.map(|phase| of(&phase.log)).fold(0.0, f64::max)
    }

    /// Other processes used the machine, or it became slower.
    fn other_load(&self) -> Option<String> {
        let others = self.run.others();
        let before = self.run.capacity;
        let drift = self.run.capacity_after.filter(|after| *after < 0.9 * before);
        let drift = drift.map(|after| format!(", and the capacity went from {before:.0}/s to {after:.0}/s"));
        (others > NOTICED_CORES || drift.is_some()).then(|| {
            format!(
                "this machine, first: others used up to {others:.1} of its cores{}; measure again without other load on it",
                drift.unwrap_or_default()
            )
        })
    }

    /// Calls below the capacity were refused.
    fn limits_too_low(&self) -> Option<String> {
        let heavy = &self.run.phase(STEADY)?.log.heavy;
        (heavy.refused() > 0.5 * (1.0 - heavy.answered_ratio())).then(|| {
            format!(
                "{:.1}% of the calls below capacity were refused: the method's calls in flight are too few for arrivals in a bunch",
                heavy.refused() * 100.0
            )
        })
    }

    /// A queue holds more than its capacity.
    fn queue(&self) -> Option<String> {
        let depth = self.run.highest(0.0, f64::MAX, |gauges| gauges.queue_depth)?;
        let capacity = self.run.highest(0.0, f64::MAX, |gauges| gauges.queue_capacity)?;
        (depth > capacity).then(|| {
            format!("a channel has no bound: {depth:.0} entries waited in a queue of {capacity:.0}; use a bounded channel and refuse when it is full")
        })
    }

    /// The service still works although nobody waits for a reply.
    fn backlog(&self) -> Option<String> {
        let recovery = self.run.phase(RECOVERY)?;
        let idle = self.run.phase(IDLE)?;
        let before = self.run.cores(idle.from, idle.to)?.service;
        let after = self.run.cores(recovery.from + 3.0, recovery.to)?.service;
        (after > before + 0.2).then(|| {
            format!("work that was accepted in the burst went on after it: {after:.1} cores were busy without load; a channel or a set of tasks has no bound")
        })
    }

    /// Memory grows with every call that is answered, and does not come back.
    fn leak(&self) -> Option<String> {
        let phase = self.run.phase(STEADY).or_else(|| self.run.phases.last())?;
        if phase.log.heavy.answered_ratio() < 0.95 {
            // The service is overloaded already: what grows is its backlog, not a leak.
            return None;
        }
        let third = (phase.to - phase.from) / 3.0;
        let at =
            |from: f64| self.run.median(phase.from + from * third, phase.from + (from + 1.0) * third, |s| s.rss as f64);
        // From the middle of the second third to the middle of the last: in the first, memory is touched for the first time.
        let (grown, calls) = (at(2.0)? - at(1.0)?, phase.log.heavy.answered as f64 / 3.0);
        let live = self
            .run
            .last(phase.from, |gauges| gauges.allocated)
            .zip(self.run.last(f64::MAX, |gauges| gauges.allocated));
        if grown > 0.02 * at(1.0)? && calls > 0.0 {
            return Some(format!(
                "a leak: at steady load memory grew by {:.1} KiB for every call answered, and never came back",
                grown / calls / 1_024.0
            ));
        }
        let (before, after) = live?;
        (after > 1.2 * before)
            .then(|| format!("a leak: live allocations went from {} to {}", show(before, "MiB"), show(after, "MiB")))
    }

    /// Which codes came back, of which calls.
    fn codes(&self) -> Option<String> {
        let panics = self.run.last(f64::MAX, |gauges| gauges.panics).unwrap_or(0.0);
        let mut seen: Vec<String> = Vec::new();
        for phase in &self.run.phases {
            for class in Class::ALL {
                let calls = phase.log.of(class);
                let codes = calls.codes.iter().filter(|(code, _)| !self.gates.errors.allowed.contains(code));
                seen.extend(codes.map(|(code, count)| {
                    let said = calls.messages.get(code).map_or_else(String::new, |said| format!(" (\"{said}\")"));
                    format!("{count} {code}{said} of {} calls in {}", class.name(), phase.name)
                }));
            }
        }
        let panicked = if panics > 0.0 { format!("{panics:.0} panics; ") } else { String::new() };
        (!seen.is_empty()).then(|| format!("{panicked}{}", seen.join(", ")))
    }

    /// With which codes streams were cut.
    fn cut(&self) -> Option<String> {
        let mut seen = Vec::new();
        for phase in &self.run.phases {
            let streams = &phase.log.streams;
            seen.extend(streams.codes.iter().map(|(code, count)| {
                let said = streams.said.get(code).map_or_else(String::new, |said| format!(" (\"{said}\")"));
                format!("{count} {code}{said} in {}", phase.name)
            }));
        }
        (!seen.is_empty()).then(|| seen.join(", "))
    }

    /// What the exit code of the service means.
    fn exit(&self) -> Option<String> {
        Some(match self.run.exit {
            None => "it ended by a signal, or had to be killed 30 s after SIGTERM: something never ends".to_owned(),
            Some(70) => "it had panicked".to_owned(),
            Some(75) => "calls were cut when the drain's time was up".to_owned(),
            Some(code) => format!("exit code {code}: see server.log"),
        })
    }
}

/// The p99 of cheap calls or of health checks, whichever is higher, in milliseconds.
fn neighbours(log: &Log) -> f64 {
    log.cheap.p99.max(log.health.p99)
}
