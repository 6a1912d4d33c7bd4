//! The runtime of the calls. A feature chooses it, so that `cargo run --release -p loadtest -- compare-runtimes` can
//! build each.
use crate::{Env, Failure};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::runtime::{Builder, Runtime};

/// Threads that the runtime started, and those of them that are async workers.
static THREADS: AtomicUsize = AtomicUsize::new(0);
static WORKERS: AtomicUsize = AtomicUsize::new(0);
/// Beyond CPU work: the flush of telemetry and state, name look-ups.
const SPARE_THREADS: usize = 4;

pub(crate) fn build(env: &Env, cpu_width: usize) -> Result<Runtime, Failure> {
    builder(env)?
        .on_thread_start(|| {
            THREADS.fetch_add(1, Relaxed);
        })
        .on_thread_stop(|| {
            THREADS.fetch_sub(1, Relaxed);
        })
        .max_blocking_threads(cpu_width + SPARE_THREADS)
        .enable_all()
        .build()
        .map_err(Failure::from)
}

/// Threads of the blocking pool.
pub(crate) fn blocking_threads() -> usize {
    THREADS.load(Relaxed).saturating_sub(WORKERS.load(Relaxed))
}

#[cfg(not(feature = "runtime-current-thread"))]
pub(crate) const NAME: &str = "multi-thread";

/// A worker for each CPU of the cgroup's quota; with no quota tokio would see the whole node.
#[cfg(not(feature = "runtime-current-thread"))]
fn builder(env: &Env) -> Result<Builder, Failure> {
    let workers = env.get("WORKERS", std::thread::available_parallelism().map_or(1, usize::from))?.max(1);
    WORKERS.store(workers, Relaxed);
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers);
    Ok(builder)
}

#[cfg(feature = "runtime-current-thread")]
pub(crate) const NAME: &str = "current-thread";

/// The main thread is the only worker: nothing is stolen, nothing is shared.
#[cfg(feature = "runtime-current-thread")]
fn builder(env: &Env) -> Result<Builder, Failure> {
    match env.get("WORKERS", 1)? {
        1 => Ok(Builder::new_current_thread()),
        more => Err(format!("WORKERS={more}: this was built for one async thread").into()),
    }
}
