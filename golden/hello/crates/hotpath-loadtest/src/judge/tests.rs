use super::*;
use crate::fixture::{MIB, broken_run, burst, calls, gates, good_run, log};

fn broken(run: &Run) -> Vec<&'static str> {
    judge(run, &gates())
        .into_iter()
        .filter(|verdict| verdict.state == State::Broken)
        .map(|verdict| verdict.gate)
        .collect()
}

fn cause(run: &Run, gate: &str) -> String {
    let verdicts = judge(run, &gates());
    verdicts.into_iter().find(|verdict| verdict.gate == gate).unwrap().cause.unwrap_or_default()
}

#[test]
fn a_good_run_breaks_nothing_and_skips_nothing() {
    let verdicts = judge(&good_run(), &gates());
    assert_eq!(verdicts.len(), 17);
    assert!(verdicts.iter().all(|verdict| verdict.state == State::Passed && verdict.cause.is_none()), "{verdicts:?}");
}

/// What is done to a good run, and the one gate that this breaks.
type Case = (&'static str, fn(&mut Run));

#[test]
fn each_gate_breaks_and_names_itself() {
    let cases: &[Case] = &[
        ("steady-p99", |run| log(run, STEADY).heavy.p99_with_late = 101.0),
        ("steady-p999", |run| log(run, STEADY).heavy.p999_with_late = 201.0),
        ("steady-answered", |run| log(run, STEADY).heavy = calls(2_400, 2_300, 30.0, 40.0)),
        ("burst-goodput", |run| burst(run).heavy.goodput = 89.0),
        ("burst-p99", |run| burst(run).heavy.p99 = 81.0),
        ("cheap-p99", |run| burst(run).cheap.p99 = 21.0),
        ("cheap-answered", |run| log(run, STEADY).cheap = calls(1_500, 1_499, 30.0, 5.0)),
        ("health-p99", |run| log(run, STEADY).health.p99 = 21.0),
        ("health-answered", |run| burst(run).health = calls(100, 99, 10.0, 5.0)),
        ("streams-first-p99", |run| burst(run).streams.first_p99 = 1_001.0),
        ("streams-gap-p99", |run| log(run, STEADY).streams.gap_p99 = 1_001.0),
        ("streams-cut", |run| {
            log(run, RECOVERY).streams.cut = 1;
            log(run, RECOVERY).streams.codes.insert("RESOURCE_EXHAUSTED".to_owned(), 1);
        }),
        ("peak-rss", |run| run.samples[200].peak = 65 * MIB),
        ("rss-after-burst", |run| {
            run.samples.iter_mut().filter(|sample| sample.at > 60.0).for_each(|sample| sample.rss = 25 * MIB)
        }),
        ("errors", |run| {
            burst(run).heavy.codes.insert("UNAVAILABLE".to_owned(), 1);
        }),
        ("stop", |run| run.exit = Some(75)),
        ("generator", |run| burst(run).not_sent = 1),
    ];
    let every: Vec<&str> = judge(&good_run(), &gates()).iter().map(|verdict| verdict.gate).collect();
    assert_eq!(cases.iter().map(|case| case.0).collect::<Vec<_>>(), every, "a gate without a case");
    for (gate, breaks) in cases {
        let mut run = good_run();
        breaks(&mut run);
        assert_eq!(broken(&run), [*gate]);
        assert!(!cause(&run, gate).is_empty(), "{gate}");
    }
}

#[test]
fn a_cheap_call_that_is_lost_counts_in_every_phase() {
    for phase in [IDLE, STEADY, BURST, RECOVERY] {
        let mut run = good_run();
        log(&mut run, phase).cheap = calls(100, 99, 2.0, 5.0);
        assert_eq!(broken(&run), ["cheap-answered"], "{phase}");
    }
}

#[test]
fn the_burst_is_held_to_the_capacity_around_it() {
    let mut run = good_run();
    burst(&mut run).heavy.goodput = 80.0;
    assert_eq!(broken(&run), ["burst-goodput"]);
    run.capacity_after = Some(76.0);
    assert!(broken(&run).is_empty(), "{:?}", broken(&run));
    // Overload that leaves the service slow is no excuse for it.
    (run.capacity_after, burst(&mut run).heavy.goodput) = (Some(50.0), 50.0);
    assert_eq!(broken(&run), ["burst-goodput"]);
}

#[test]
fn a_soak_that_grows_breaks_its_gate() {
    let mut run = good_run();
    run.phases.retain(|phase| phase.name == IDLE || phase.name == STEADY);
    run.phases[1].name = SOAK;
    assert!(broken(&run).is_empty(), "{:?}", broken(&run));
    for (n, sample) in run.samples.iter_mut().enumerate() {
        sample.rss = 20 * MIB + n as u64 * MIB / 8;
    }
    assert_eq!(broken(&run), ["soak-rss"]);
    assert!(cause(&run, "soak-rss").starts_with("a leak: at steady load"), "{}", cause(&run, "soak-rss"));
}

#[test]
fn what_was_not_measured_is_skipped_and_not_passed() {
    let mut run = good_run();
    run.samples.clear();
    run.memory_budget = None;
    let skipped: Vec<&str> = judge(&run, &gates())
        .iter()
        .filter(|verdict| verdict.state == State::Skipped)
        .map(|verdict| verdict.gate)
        .collect();
    assert_eq!(skipped, ["peak-rss", "rss-after-burst"]);
}

#[test]
fn no_admission_is_named() {
    let run = broken_run();
    assert_eq!(broken(&run), ["burst-goodput", "burst-p99"]);
    for gate in broken(&run) {
        assert!(cause(&run, gate).starts_with("no admission limit held: 0% of the calls"), "{}", cause(&run, gate));
    }
}

#[test]
fn a_steady_load_that_drowns_excuses_no_burst() {
    let mut run = good_run();
    let heavy = &mut log(&mut run, STEADY).heavy;
    (heavy.p99, heavy.p99_with_late) = (990.0, 1_000.0);
    burst(&mut run).heavy.p99 = 995.0;
    assert_eq!(broken(&run), ["steady-p99", "burst-p99"]);
}

#[test]
fn cpu_work_on_the_workers_is_named() {
    let mut run = good_run();
    burst(&mut run).cheap.p99 = 60.0;
    run.gauges.iter_mut().for_each(|gauges| (gauges.cpu_busy, gauges.worker_busy) = (Some(0.0), Some(0.98)));
    assert_eq!(broken(&run), ["cheap-p99"]);
    assert!(cause(&run, "cheap-p99").starts_with("CPU work runs on the runtime's workers: they were up to 98% busy"));
    // Seen from outside only.
    run.gauges.clear();
    assert!(cause(&run, "cheap-p99").starts_with("something holds the runtime's workers"));
}

/// Far above its capacity, a service that only waits has busy workers too, from what calls cost in themselves.
#[test]
fn a_service_that_only_waits_is_not_said_to_compute() {
    let mut run = good_run();
    log(&mut run, STEADY).heavy.p99_with_late = 101.0;
    run.gauges.iter_mut().for_each(|gauges| (gauges.cpu_busy, gauges.worker_busy) = (Some(0.0), Some(0.6)));
    let steady = |run: &Run| cause(run, "steady-p99");
    assert!(steady(&run).contains("60% busy, a heavy call took 25.0 ms of CPU"), "{}", steady(&run));
    run.samples.iter_mut().for_each(|sample| (sample.cpu, sample.all_cpu) = (sample.cpu / 100.0, sample.cpu / 100.0));
    assert!(steady(&run).starts_with("the call itself is slow"), "{}", steady(&run));
    run.samples.iter_mut().for_each(|sample| sample.all_cpu += sample.at * 0.5);
    assert!(steady(&run).starts_with("this machine, first: in the phase steady others used 0.5"), "{}", steady(&run));
}

#[test]
fn a_machine_too_small_is_named() {
    let mut run = good_run();
    burst(&mut run).cheap.p99 = 60.0;
    burst(&mut run).lateness_p99 = 40.0;
    assert!(cause(&run, "cheap-p99").starts_with("this machine, first: the load generator"));
    run.samples.iter_mut().for_each(|sample| sample.all_cpu += sample.at * 0.5);
    assert!(
        cause(&run, "cheap-p99").starts_with("this machine, first: in the phase steady others used 0.5 of its 2 cores")
    );
}

#[test]
fn what_kept_the_memory_is_named() {
    let mut run = good_run();
    let keep = |run: &mut Run| {
        run.samples.iter_mut().filter(|sample| sample.at > 45.0).for_each(|sample| sample.rss = 40 * MIB)
    };
    keep(&mut run);
    let cause = |run: &Run| cause(run, "rss-after-burst");
    assert!(cause(&run).starts_with("the allocator keeps"), "{}", cause(&run));

    run.gauges
        .iter_mut()
        .filter(|gauges| gauges.at > 45.0)
        .for_each(|gauges| gauges.allocated = Some((30 * MIB) as f64));
    assert!(cause(&run).starts_with("a leak: live allocations went from 8.0 MiB to 30.0 MiB"), "{}", cause(&run));

    for sample in run.samples.iter_mut().filter(|sample| sample.at > 53.0) {
        (sample.cpu, sample.all_cpu) = (sample.cpu + sample.at - 53.0, sample.all_cpu + sample.at - 53.0);
    }
    assert!(
        cause(&run).starts_with("work that was accepted in the burst went on after it: 1.0 cores"),
        "{}",
        cause(&run)
    );

    run.gauges[50].queue_depth = Some(9_000.0);
    assert!(cause(&run).starts_with("a channel has no bound: 9000 entries waited in a queue of 64"), "{}", cause(&run));
}

#[test]
fn the_burst_is_held_to_what_the_generator_leaves() {
    let mut run = good_run();
    burst(&mut run).heavy.goodput = 81.0;
    assert_eq!(broken(&run), ["burst-goodput"]);
    // A fifth of a core in the burst, of two.
    run.samples.iter_mut().for_each(|sample| sample.own_cpu = (sample.at - 43.0).clamp(0.0, 10.0) * 0.2);
    assert_eq!(broken(&run), [""; 0]);
    burst(&mut run).heavy.goodput = 80.0;
    assert_eq!(broken(&run), ["burst-goodput"]);
}

#[test]
fn errors_are_named_with_their_codes() {
    let mut run = good_run();
    log(&mut run, STEADY).cheap.codes.insert("INTERNAL".to_owned(), 3);
    run.gauges.last_mut().unwrap().panics = Some(2.0);
    assert_eq!(cause(&run, "errors"), "2 panics; 3 INTERNAL of cheap calls in steady");
}

/// Others took a whole core while the gate was measured.
fn disturb(run: &mut Run) {
    run.samples.iter_mut().for_each(|sample| sample.all_cpu += sample.at);
}

#[test]
fn what_a_disturbed_run_measured_late_is_inconclusive_and_the_rest_is_not() {
    let mut run = good_run();
    disturb(&mut run);
    assert_eq!(Outcome::of(&judge(&run, &gates())), Outcome::Held, "what held in spite of it did hold");
    log(&mut run, STEADY).heavy.p99_with_late = 101.0;
    let verdicts = judge(&run, &gates());
    assert_eq!(Outcome::of(&verdicts), Outcome::Inconclusive);
    assert_eq!(broken(&run), [""; 0]);
    assert!(cause(&run, "steady-p99").starts_with("this machine, first: "), "{}", cause(&run, "steady-p99"));
    run.exit = Some(75);
    assert_eq!(broken(&run), ["stop"], "an exit code has nothing to do with it");
    assert_eq!(Outcome::of(&judge(&run, &gates())), Outcome::Broken);
}

#[test]
fn a_workload_without_streams_has_no_gates_of_them() {
    let mut run = good_run();
    for phase in &mut run.phases {
        phase.log.streams = Streams::default();
    }
    let verdicts = judge(&run, &gates());
    assert!(verdicts.iter().all(|verdict| !verdict.gate.starts_with("streams")));
}
