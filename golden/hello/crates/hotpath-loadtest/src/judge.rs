//! Whether a run kept the limits.
use crate::{
    calls::Streams,
    cause, disturbance,
    gates::Gates,
    run::{BURST, IDLE, Phase, RECOVERY, Run, SOAK, STEADY},
    schedule::Class,
    units::show,
};
use serde::Serialize;
use tonic::Code;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Passed,
    Broken,
    /// Outside its limit in a run that the machine disturbed: it says nothing of the service.
    Inconclusive,
    /// The run could not measure it; `measured` says what was missing.
    Skipped,
}

/// Whether one gate held, as a person reads it.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    pub gate: &'static str,
    pub what: String,
    pub limit: String,
    pub measured: String,
    pub state: State,
    /// The most likely cause, if the gate is broken; what disturbed the run, if it is inconclusive.
    pub cause: Option<String>,
}

/// Whether a limit is an upper or a lower bound.
#[derive(Clone, Copy)]
enum Bound {
    Most(f64),
    Least(f64),
}

struct Judge<'a> {
    run: &'a Run,
    gates: &'a Gates,
    disturbed: Option<String>,
    verdicts: Vec<Verdict>,
}

/// What all verdicts of a run come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// No gate broke.
    Held,
    Broken,
    /// No gate broke for certain, and some may have.
    Inconclusive,
}

impl Outcome {
    pub fn of(verdicts: &[Verdict]) -> Self {
        let any = |state| verdicts.iter().any(|verdict| verdict.state == state);
        if any(State::Broken) {
            Self::Broken
        } else if any(State::Inconclusive) {
            Self::Inconclusive
        } else {
            Self::Held
        }
    }
}

/// The verdict on every gate, in the order of the phases.
pub fn judge(run: &Run, gates: &Gates) -> Vec<Verdict> {
    let disturbed = disturbance::of(run);
    let mut judge = Judge { run, gates, disturbed, verdicts: Vec::new() };
    judge.steady();
    judge.burst();
    judge.neighbours();
    judge.streams();
    judge.memory();
    judge.errors();
    judge.soak();
    judge.verdicts
}

impl Judge<'_> {
    fn gate(&mut self, gate: &'static str, what: String, bound: Bound, measured: Option<f64>, unit: &str) {
        let show = |value: f64| show(value, unit);
        let (limit, holds) = match bound {
            Bound::Most(limit) => (format!("at most {}", show(limit)), measured.is_none_or(|value| value <= limit)),
            Bound::Least(limit) => (format!("at least {}", show(limit)), measured.is_none_or(|value| value >= limit)),
        };
        let Some(value) = measured else { return self.skip(gate, what, "needs the process: --pid N") };
        let disturbed = self.disturbed.clone().filter(|_| !holds && disturbance::breaks(gate));
        let state = match (holds, &disturbed) {
            (true, _) => State::Passed,
            (false, Some(_)) => State::Inconclusive,
            (false, None) => State::Broken,
        };
        let cause = disturbed.or_else(|| (!holds).then(|| cause::of(gate, self.run, self.gates)));
        self.verdicts.push(Verdict { gate, what, limit, measured: show(value), state, cause });
    }

    fn skip(&mut self, gate: &'static str, what: String, needs: &str) {
        let (limit, measured) = ("-".to_owned(), needs.to_owned());
        self.verdicts.push(Verdict {
            gate,
            what,
            limit,
            measured,
            state: State::Skipped,
            cause: None,
        });
    }

    fn steady(&mut self) {
        let Some(steady) = self.run.phase(STEADY).or_else(|| self.run.phase(SOAK)) else { return };
        let (limits, at) = (&self.gates.steady, percent(self.gates.steady.load));
        let heavy = &steady.log.heavy;
        self.gate(
            "steady-p99",
            format!("p99 at {at} of capacity, with late calls"),
            Bound::Most(limits.p99_ms),
            Some(heavy.p99_with_late),
            "ms",
        );
        self.gate(
            "steady-p999",
            format!("p99.9 at {at}, of {} calls", heavy.answered + heavy.count(Code::DeadlineExceeded)),
            Bound::Most(limits.p999_ms),
            Some(heavy.p999_with_late),
            "ms",
        );
        let answered = Some(heavy.answered_ratio() * 100.0);
        self.gate("steady-answered", format!("answered at {at}"), Bound::Least(limits.answered * 100.0), answered, "%");
    }

    fn burst(&mut self) {
        let (Some(steady), Some(burst)) = (self.run.phase(STEADY), self.run.phase(BURST)) else { return };
        let (limits, at) = (&self.gates.burst, times(self.gates.burst.load));
        let capacity = self.run.capacity_at_burst() * (1.0 - self.run.taken_by_generator());
        self.gate(
            "burst-goodput",
            format!("answered at {at} capacity ({} of {capacity:.0}/s beside the generator)", percent(limits.goodput)),
            Bound::Least(limits.goodput * capacity),
            Some(burst.log.heavy.goodput),
            "/s",
        );
        // A service that is too slow at the steady load already may not take that as its measure.
        let most = limits.p99_ratio * steady.log.heavy.p99.min(self.gates.steady.p99_ms);
        let what = format!(
            "p99 of answered calls at {at} ({} at {})",
            times(limits.p99_ratio),
            percent(self.gates.steady.load)
        );
        self.gate("burst-p99", what, Bound::Most(most), Some(burst.log.heavy.p99), "ms");
    }

    /// Cheap calls and health checks: their p99 in the worst phase under load, and whether all were answered in every phase.
    /// A phase begins when the calls of the one before have ended, so a call lost in the recovery is not the burst's.
    fn neighbours(&mut self) {
        for (gate, class, limit) in [
            ("cheap-p99", Class::Cheap, self.gates.cheap.p99_ms),
            ("health-p99", Class::Health, self.gates.health.p99_ms),
        ] {
            let loaded = || self.run.phases.iter().filter(|phase| [STEADY, BURST, SOAK].contains(&phase.name));
            let worst = loaded().max_by(|a, b| a.log.of(class).p99.total_cmp(&b.log.of(class).p99));
            let Some(worst) = worst else { continue };
            let what = format!("p99 of {} calls, worst phase ({})", class.name(), worst.name);
            self.gate(gate, what, Bound::Most(limit), Some(worst.log.of(class).p99), "ms");
            let lost: u64 =
                self.run.phases.iter().map(|phase| phase.log.of(class).offered - phase.log.of(class).answered).sum();
            let gate = if class == Class::Cheap { "cheap-answered" } else { "health-answered" };
            self.gate(gate, format!("{} calls not answered", class.name()), Bound::Most(0.0), Some(lost as f64), "");
        }
    }

    /// Streams, where the workload has some: their first message and the gaps between messages in the worst phase under load,
    /// and how many were cut in all.
    fn streams(&mut self) {
        let with_streams = self.run.phases.iter().filter(|phase| phase.log.streams.open > 0);
        let loaded = with_streams.clone().filter(|phase| [STEADY, BURST, SOAK].contains(&phase.name));
        let limits = &self.gates.streams;
        let worst = |of: fn(&Streams) -> f64| {
            let values = loaded.clone().map(|phase| (phase.name, of(&phase.log.streams)));
            values.max_by(|a, b| a.1.total_cmp(&b.1))
        };
        let (Some(first), Some(gap)) = (worst(|streams| streams.first_p99), worst(|streams| streams.gap_p99)) else {
            return;
        };
        let cut: u64 = with_streams.map(|phase| phase.log.streams.cut).sum();
        let what = format!("p99 to the first message of a stream, worst phase ({})", first.0);
        self.gate("streams-first-p99", what, Bound::Most(limits.first_p99_ms), Some(first.1), "ms");
        let what = format!("p99 between two messages of a stream, worst phase ({})", gap.0);
        self.gate("streams-gap-p99", what, Bound::Most(limits.gap_p99_ms), Some(gap.1), "ms");
        self.gate(
            "streams-cut",
            "streams that were cut".to_owned(),
            Bound::Most(limits.cut as f64),
            Some(cut as f64),
            "",
        );
    }

    fn memory(&mut self) {
        let limits = &self.gates.memory;
        let peak = self.run.peak_rss().map(|bytes| bytes as f64);
        let what = format!("peak RSS ({} of the budget)", percent(limits.peak));
        match self.run.memory_budget {
            Some(budget) => self.gate("peak-rss", what, Bound::Most(limits.peak * budget as f64), peak, "MiB"),
            None => self.skip("peak-rss", what, "needs the budget: --admin IP:PORT"),
        }
        if self.run.phase(RECOVERY).is_none() {
            return;
        }
        let most = limits.after_burst * self.run.rss_before().unwrap_or(0.0);
        let what = format!("RSS {} s after the burst ({} before)", limits.after_seconds, times(limits.after_burst));
        self.gate("rss-after-burst", what, Bound::Most(most), self.run.rss_after(), "MiB");
    }

    fn errors(&mut self) {
        let allowed = &self.gates.errors.allowed;
        let phases = self.run.phases.iter().filter(|phase| phase.name != IDLE);
        let codes = phases.flat_map(|phase| Class::ALL.map(|class| &phase.log.of(class).codes));
        let other: u64 = codes.flatten().filter(|(code, _)| !allowed.contains(code)).map(|(_, count)| count).sum();
        self.gate(
            "errors",
            format!("errors other than {}", allowed.join(", ")),
            Bound::Most(0.0),
            Some(other as f64),
            "",
        );
        if self.run.own {
            // A service that had to be killed has no exit code: 256 stands for that, which no process returns.
            let exit = self.run.exit.map_or(256.0, f64::from);
            self.gate("stop", "exit code after SIGTERM".to_owned(), Bound::Most(0.0), Some(exit), "");
        }
        let lost: u64 = self.run.phases.iter().map(|phase| phase.log.not_sent).sum();
        self.gate("generator", "calls that were due and not sent".to_owned(), Bound::Most(0.0), Some(lost as f64), "");
    }

    /// Memory must not grow in a soak, which has no burst to recover from.
    fn soak(&mut self) {
        let Some(soak) = self.run.phase(SOAK) else { return };
        let (early, late) = quarters(self.run, soak).unzip();
        let most = self.gates.soak.growth * early.unwrap_or(0.0);
        let what = format!("RSS in the last quarter ({} the second)", times(self.gates.soak.growth));
        self.gate("soak-rss", what, Bound::Most(most), late, "MiB");
    }
}

/// RSS, in bytes, in the second quarter of a phase and in the last. In the first, memory is touched for the first time.
fn quarters(run: &Run, phase: &Phase) -> Option<(f64, f64)> {
    let quarter = (phase.to - phase.from) / 4.0;
    let rss =
        |from: f64| run.median(phase.from + from * quarter, phase.from + (from + 1.0) * quarter, |s| s.rss as f64);
    Some((rss(1.0)?, rss(3.0)?))
}

fn percent(ratio: f64) -> String {
    format!("{:.0}%", ratio * 100.0)
}

fn times(factor: f64) -> String {
    format!("{factor} times")
}

#[cfg(test)]
mod tests;
