//! A run in which every gate holds, for tests to change.
use crate::{
    calls::{Calls, Log, Point, Streams, code_name},
    gates::{Burst, Errors, Gates, Limit, Memory, Soak, Steady, StreamLimits},
    metrics::Gauges,
    observe::Sample,
    run::{BURST, IDLE, Phase, RECOVERY, Run, SETTLE, STEADY},
    schedule::Rates,
};
use tonic::Code;

pub const MIB: u64 = 1 << 20;

pub fn gates() -> Gates {
    let allowed = [Code::ResourceExhausted, Code::DeadlineExceeded].map(|code| code_name(code).to_owned());
    Gates {
        steady: Steady { load: 0.8, p99_ms: 100.0, p999_ms: 200.0, answered: 0.98 },
        burst: Burst { load: 5.0, goodput: 0.9, p99_ratio: 2.0 },
        cheap: Limit { p99_ms: 20.0 },
        health: Limit { p99_ms: 20.0 },
        memory: Memory { peak: 1.0, after_burst: 1.2, after_seconds: 30 },
        errors: Errors { allowed: allowed.to_vec() },
        soak: Soak { growth: 1.1 },
        streams: StreamLimits::default(),
    }
}

pub fn calls(offered: u64, answered: u64, seconds: f64, p99: f64) -> Calls {
    let mut calls = Calls {
        offered,
        answered,
        goodput: answered as f64 / seconds,
        p50: p99 / 2.0,
        p90: p99 / 1.2,
        p99,
        p999: p99 * 1.5,
        max: p99 * 2.0,
        p99_with_late: p99,
        p999_with_late: p99 * 1.5,
        refused_p99: 1.0,
        curve: vec![(0.0, p99 / 4.0), (0.5, p99 / 2.0), (0.99, p99)],
        ..Calls::default()
    };
    if offered > answered {
        calls.codes.insert(code_name(Code::ResourceExhausted).to_owned(), offered - answered);
    }
    calls
}

fn phase(name: &'static str, from: f64, to: f64, heavy: Calls, neighbours: f64) -> Phase {
    let seconds = to - from;
    let cheap = |rate: f64| calls((rate * seconds) as u64, (rate * seconds) as u64, seconds, neighbours);
    let point = Point {
        at: from,
        offered: 100.0,
        answered: 100.0,
        p50: Some(10.0),
        p99: Some(20.0),
        ..Point::default()
    };
    let log = Log {
        heavy,
        cheap: cheap(50.0),
        health: cheap(10.0),
        heavy_line: vec![point],
        streams: Streams {
            open: 20,
            opened: 40,
            messages: 1_000,
            first_p99: neighbours,
            gap_p99: neighbours,
            ..Streams::default()
        },
        ..Log::default()
    };
    let rates = Rates {
        heavy: log.heavy.offered as f64 / seconds,
        cheap: 50.0,
        health: 10.0,
    };
    Phase { name, from, to, rates, log }
}

/// A run of a service with a capacity of 100 calls a second and 20 MiB, in which every gate holds.
pub fn good_run() -> Run {
    let phases = vec![
        phase(IDLE, 0.0, 2.0, Calls::default(), 2.0),
        phase(STEADY, 10.0, 40.0, calls(2_400, 2_400, 30.0, 40.0), 5.0),
        phase(SETTLE, 40.0, 43.0, Calls::default(), 2.0),
        phase(BURST, 43.0, 53.0, calls(5_000, 980, 10.0, 60.0), 6.0),
        phase(RECOVERY, 53.0, 83.0, Calls::default(), 2.0),
    ];
    let samples = (0..360).map(|n| Sample {
        at: f64::from(n) / 4.0,
        rss: 20 * MIB,
        peak: 24 * MIB,
        threads: 6,
        descriptors: 30,
        // Two cores in use while there is heavy load.
        cpu: (f64::from(n) / 4.0).clamp(10.0, 53.0) * 2.0,
        own_cpu: 0.0,
        all_cpu: (f64::from(n) / 4.0).clamp(10.0, 53.0) * 2.0,
        stolen: 0.0,
    });
    let gauges = (0..90).map(|n| Gauges {
        at: f64::from(n),
        memory_budget: Some((64 * MIB) as f64),
        worker_busy: Some(0.1),
        cpu_busy: Some(if (10..53).contains(&n) { 2.0 } else { 0.0 }),
        cpu_width: Some(2.0),
        in_flight: Some(6.0),
        queue_depth: Some(3.0),
        queue_capacity: Some(64.0),
        allocated: Some((8 * MIB) as f64),
        panics: Some(0.0),
        ..Gauges::default()
    });
    Run {
        target: "http://127.0.0.1:1".to_owned(),
        cpus: 2,
        capacity: 100.0,
        capacity_after: Some(99.0),
        phases,
        samples: samples.collect(),
        gauges: gauges.collect(),
        memory_budget: Some(64 * MIB),
        exit: Some(0),
        own: true,
        ..Run::default()
    }
}

/// A run of a service without a limit on calls in flight: nothing is refused, and nearly every call is late.
pub fn broken_run() -> Run {
    let mut run = good_run();
    burst(&mut run).heavy = calls(5_000, 100, 10.0, 990.0);
    let late = burst(&mut run).heavy.codes.remove("RESOURCE_EXHAUSTED").unwrap();
    burst(&mut run).heavy.codes.insert("DEADLINE_EXCEEDED".to_owned(), late);
    run
}

pub fn burst(run: &mut Run) -> &mut Log {
    log(run, BURST)
}

pub fn log<'a>(run: &'a mut Run, name: &str) -> &'a mut Log {
    &mut run.phases.iter_mut().find(|phase| phase.name == name).unwrap().log
}
