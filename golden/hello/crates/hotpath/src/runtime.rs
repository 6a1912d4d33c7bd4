//! The async runtime: its kind, which a Cargo feature chooses, its workers, and its pool of blocking threads.
use crate::env::Env;
use crate::limits::MOST_THREADS;
use hotpath_telemetry::Failure;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::runtime::{Builder, Runtime};

/// A feature chooses, so that the load test can build each kind and compare them.
const ONE_THREAD: bool = cfg!(feature = "runtime-current-thread");
/// The kind of the runtime, as metrics name it.
pub(crate) const NAME: &str = if ONE_THREAD { "current-thread" } else { "multi-thread" };

/// Threads that the runtime started.
static THREADS: AtomicUsize = AtomicUsize::new(0);
/// Blocking threads beyond those for CPU work: the flush of telemetry and state, name look-ups.
const SPARE_THREADS: usize = 4;

/// Builds the runtime. With one thread, the main thread is the only worker. Otherwise there is a worker for each CPU of
/// the cgroup's quota; tokio's own default without a quota would be one for each CPU of the node.
///
/// # Errors
/// If `WORKERS` is malformed, or more than the runtime can have.
pub(crate) fn build(env: &Env, cpu_width: usize) -> Result<Runtime, Failure> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = env.within("WORKERS", if ONE_THREAD { 1 } else { cpus }, 1..=MOST_THREADS)?;
    if ONE_THREAD && workers > 1 {
        return Err(format!("WORKERS={workers}: this was built for one async thread").into());
    }
    let mut builder = if ONE_THREAD { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    Ok(builder
        .worker_threads(workers)
        .max_blocking_threads(cpu_width + SPARE_THREADS)
        .on_thread_start(|| _ = THREADS.fetch_add(1, Relaxed))
        .on_thread_stop(|| _ = THREADS.fetch_sub(1, Relaxed))
        .enable_all()
        .build()?)
}

/// Threads of the blocking pool, beside `workers` async ones. The runtime did not start the only worker of one thread.
pub(crate) fn blocking_threads(workers: usize) -> usize {
    THREADS.load(Relaxed).saturating_sub(if ONE_THREAD { 0 } else { workers })
}
