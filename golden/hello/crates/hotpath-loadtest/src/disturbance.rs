//! Whether the machine disturbed a run: then what it measured says little of the service, for better or worse.
use crate::run::{Cores, NOTICED_CORES, Phase, Run};

/// The share of the machine's cores that others may take in a phase with heavy load.
const OTHERS: f64 = 0.1;
/// Milliseconds by which the generator may send calls late (p99) while there are cores for it.
const LATE: f64 = 10.0;
/// The share of the machine's cores above which service and generator themselves are why the generator is late.
const FULL: f64 = 0.8;

/// Gates that a disturbance can break. Memory, codes and the exit code are the service's whatever else runs.
const TIMED: [&str; 12] = [
    "steady-p99",
    "steady-p999",
    "steady-answered",
    "burst-goodput",
    "burst-p99",
    "cheap-p99",
    "cheap-answered",
    "health-p99",
    "health-answered",
    "streams-first-p99",
    "streams-gap-p99",
    "generator",
];

/// Whether a disturbance can break this gate.
pub fn breaks(gate: &str) -> bool {
    TIMED.contains(&gate)
}

/// What disturbed the run, if anything did.
pub fn of(run: &Run) -> Option<String> {
    let loaded = run.phases.iter().filter(|phase| phase.rates.heavy > 0.0);
    loaded.filter_map(|phase| in_phase(run, phase)).next()
}

fn in_phase(run: &Run, phase: &Phase) -> Option<String> {
    let cores = run.cores(phase.from, phase.to);
    let cpus = run.cpus.max(1) as f64;
    let name = phase.name;
    if let Some(Cores { others, stolen, .. }) = cores
        && others > NOTICED_CORES.max(OTHERS * cpus)
    {
        return Some(format!(
            "this machine, first: in the phase {name} others used {others:.1} of its {cpus:.0} cores ({stolen:.1} of them its host)"
        ));
    }
    let full = cores.is_some_and(|cores| cores.service + cores.generator > FULL * cpus);
    let late = phase.log.lateness_p99;
    (late > LATE && !full).then(|| {
        format!(
            "this machine, first: in the phase {name} the load generator itself sent calls {late:.1} ms late (p99), while service \
             and generator left cores free"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{good_run, log};
    use crate::run::STEADY;

    #[test]
    fn a_quiet_machine_disturbs_nothing() {
        assert_eq!(of(&good_run()), None);
    }

    #[test]
    fn others_that_take_cores() {
        let mut run = good_run();
        for sample in &mut run.samples {
            sample.all_cpu += 0.5 * sample.at;
            sample.stolen += 0.3 * sample.at;
        }
        let told = of(&run).unwrap();
        assert!(told.contains("steady others used 0.5 of its 2 cores (0.3 of them its host)"), "{told}");
    }

    #[test]
    fn a_late_generator_counts_only_where_cores_were_free() {
        let mut run = good_run();
        log(&mut run, STEADY).lateness_p99 = 20.0;
        assert_eq!(of(&run), None, "the service had taken both cores");
        for sample in &mut run.samples {
            (sample.cpu, sample.all_cpu) = (0.5 * sample.at, 0.5 * sample.at);
        }
        assert!(of(&run).unwrap().contains("sent calls 20.0 ms late"));
    }
}
