//! Generates load. In the open loop, calls are sent when they are due, whether or not earlier ones have ended. In the
//! closed loop, each caller waits for its reply, which finds what a service can do without overloading it.
use crate::{
    callers::Callers,
    calls::Log,
    interrupt::Interrupt,
    progress::Progress,
    record::{Outcome, Recorder},
    schedule::{Class, Rates, Schedule},
    streams::Readers,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::mpsc};
use tonic::Code;

/// The most calls in flight: a bound on the generator's own memory.
const MAX_IN_FLIGHT: usize = 20_000;
/// How long a caller of the closed loop waits after a call that failed: as long as the service's pushback asks.
const PUSHBACK: Duration = Duration::from_millis(100);

/// Where the calls of a phase go, what ends them, and who is told.
pub struct Target<'a> {
    pub callers: &'a Arc<Callers>,
    pub interrupt: &'a Interrupt,
    /// The start of the run, from which time lines count.
    pub origin: Instant,
    pub progress: &'a Progress,
}

/// Offers `rates` for `length`, and returns the results when the last call has ended.
pub async fn open_loop(target: &Target<'_>, rates: Rates, length: Duration, seed: u64) -> Log {
    let (sink, outcomes) = mpsc::channel(1_024);
    let (start, runtime) = (Instant::now(), Handle::current());
    let (callers, interrupt) = (Arc::clone(target.callers), target.interrupt.clone());
    let readers = Readers::start(target.callers, target.interrupt, length);
    // A separate thread keeps the time: the runtime's timer has a granularity of a millisecond, and shares its workers.
    let pacer =
        thread::spawn(move || pace(&callers, &interrupt, &runtime, &sink, start, Schedule::new(seed, rates, length)));
    let mut recorder = collect(target, outcomes, start, length).await;
    recorder.not_sent(pacer.join().unwrap_or_default());
    Log { streams: readers.finish().await, ..recorder.finish() }
}

/// Sends each call when it is due, and returns how many it could not send.
fn pace(
    callers: &Arc<Callers>,
    interrupt: &Interrupt,
    runtime: &Handle,
    sink: &mpsc::Sender<Outcome>,
    start: Instant,
    schedule: Schedule,
) -> u64 {
    let in_flight = Arc::new(AtomicUsize::new(0));
    let mut not_sent = 0;
    for arrival in schedule {
        let due = start + arrival.at;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if interrupt.is_set() {
            break;
        }
        if in_flight.fetch_add(1, Ordering::Relaxed) >= MAX_IN_FLIGHT {
            in_flight.fetch_sub(1, Ordering::Relaxed);
            not_sent += 1;
            continue;
        }
        let (callers, sink, in_flight) = (Arc::clone(callers), sink.clone(), Arc::clone(&in_flight));
        runtime.spawn(async move {
            let sent = Instant::now();
            let (code, message) = callers.call(arrival.class, due).await;
            let done = Instant::now();
            in_flight.fetch_sub(1, Ordering::Relaxed);
            let _ = sink.send(Outcome { class: arrival.class, due, sent, done, code, message }).await;
        });
    }
    not_sent
}

/// `callers` heavy callers, each of which sends its next call when it has its reply, for `length`.
pub async fn closed_loop(target: &Target<'_>, callers: usize, length: Duration) -> Log {
    let (sink, outcomes) = mpsc::channel(1_024);
    let start = Instant::now();
    let readers = Readers::start(target.callers, target.interrupt, length);
    for _ in 0..callers {
        let (callers, interrupt, sink) = (Arc::clone(target.callers), target.interrupt.clone(), sink.clone());
        tokio::spawn(async move {
            while start.elapsed() < length && !interrupt.is_set() {
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
    let recorder = collect(target, outcomes, start, length).await;
    Log { streams: readers.finish().await, ..recorder.finish() }
}

/// Records every outcome until the last sender is gone.
async fn collect(
    target: &Target<'_>,
    mut outcomes: mpsc::Receiver<Outcome>,
    start: Instant,
    length: Duration,
) -> Recorder {
    let deadline = target.callers.deadline();
    let mut recorder = Recorder::new(target.origin, start, length, deadline);
    target.progress.begin(length);
    // Every call ends at its deadline; this bound is for a workload that blocks past it.
    let end = start + length + deadline * 2 + Duration::from_secs(5);
    while let Ok(Some(outcome)) = tokio::time::timeout_at(end.into(), outcomes.recv()).await {
        target.progress.count(&outcome);
        recorder.record(outcome);
    }
    target.progress.end();
    recorder
}
