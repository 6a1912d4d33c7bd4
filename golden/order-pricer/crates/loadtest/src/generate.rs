//! Load. Open loop: calls leave when they are due, whatever became of the ones before. Closed loop: each caller waits
//! for its answer, which finds out how much a service can do without drowning it.
use crate::{
    calls::Log,
    client::Callers,
    progress::Progress,
    record::{Outcome, Recorder},
    schedule::{Class, Rates, Schedule},
    workload::DEADLINE,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::mpsc};
use tonic::Code;

/// Calls out at once, at most: a bound on the generator's own memory.
const MAX_OUT: usize = 20_000;
/// A refused caller of the closed loop waits as the service's pushback asks.
const PUSHBACK: Duration = Duration::from_millis(100);

/// Set by Ctrl-C: every phase ends at once.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Where the calls of a phase go, and who is told.
pub struct Target<'a> {
    pub callers: &'a Arc<Callers>,
    /// Of the run: time lines count from here.
    pub origin: Instant,
    pub progress: &'a Progress,
}

/// Offers `rates` for `length`, and returns when the last call is over.
pub async fn open_loop(target: &Target<'_>, rates: Rates, length: Duration, seed: u64) -> Log {
    let (sink, outcomes) = mpsc::channel(1_024);
    let (start, callers, runtime) = (Instant::now(), Arc::clone(target.callers), Handle::current());
    // A thread of its own paces: the runtime's timer has a granularity of a millisecond, and shares its workers.
    let pacer = thread::spawn(move || pace(&callers, &runtime, &sink, start, Schedule::new(seed, rates, length)));
    let mut recorder = collect(target, outcomes, start, length).await;
    recorder.not_sent(pacer.join().unwrap_or_default());
    recorder.finish()
}

/// Sends each call when it is due; returns how many it could not.
fn pace(
    callers: &Arc<Callers>,
    runtime: &Handle,
    sink: &mpsc::Sender<Outcome>,
    start: Instant,
    schedule: Schedule,
) -> u64 {
    let out = Arc::new(AtomicUsize::new(0));
    let mut not_sent = 0;
    for arrival in schedule {
        let due = start + arrival.at;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if interrupted() {
            break;
        }
        if out.fetch_add(1, Ordering::Relaxed) >= MAX_OUT {
            out.fetch_sub(1, Ordering::Relaxed);
            not_sent += 1;
            continue;
        }
        let (callers, sink, out) = (Arc::clone(callers), sink.clone(), Arc::clone(&out));
        runtime.spawn(async move {
            let sent = Instant::now();
            let (code, message) = callers.call(arrival.class, due).await;
            let done = Instant::now();
            out.fetch_sub(1, Ordering::Relaxed);
            let _ = sink.send(Outcome { class: arrival.class, due, sent, done, code, message }).await;
        });
    }
    not_sent
}

/// `callers` heavy callers, each sending its next call when it has its answer, for `length`.
pub async fn closed_loop(target: &Target<'_>, callers: usize, length: Duration) -> Log {
    let (sink, outcomes) = mpsc::channel(1_024);
    let start = Instant::now();
    for _ in 0..callers {
        let (callers, sink) = (Arc::clone(target.callers), sink.clone());
        tokio::spawn(async move {
            while start.elapsed() < length && !interrupted() {
                let due = Instant::now();
                let (code, message) = callers.call(Class::Heavy, due).await;
                let done = Instant::now();
                let _ = sink.send(Outcome { class: Class::Heavy, due, sent: due, done, code, message }).await;
                if code != Code::Ok {
                    tokio::time::sleep(PUSHBACK).await;
                }
            }
        });
    }
    drop(sink);
    collect(target, outcomes, start, length).await.finish()
}

async fn collect(
    target: &Target<'_>,
    mut outcomes: mpsc::Receiver<Outcome>,
    start: Instant,
    length: Duration,
) -> Recorder {
    let mut recorder = Recorder::new(target.origin, start, length);
    target.progress.begin(length);
    // Every call is over at its deadline: this only guards against a caller that ignores it.
    let end = start + length + DEADLINE * 2 + Duration::from_secs(5);
    while let Ok(Some(outcome)) = tokio::time::timeout_at(end.into(), outcomes.recv()).await {
        target.progress.count(&outcome);
        recorder.record(outcome);
    }
    target.progress.end();
    recorder
}
