//! The one door to the blocking pool: off the async workers, no wider than the CPUs, never longer than the caller
//! waits. Its queue needs no bound of its own: whoever waits here holds an admission permit.
use crate::{Call, metrics::Metrics, wire::deadline_exceeded};
use prometheus::Histogram;
use std::sync::Arc;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tonic::Status;

/// Runs CPU work for handlers.
#[derive(Clone, Debug)]
pub struct Cpu {
    slots: Arc<Semaphore>,
    width: usize,
    wait: Histogram,
}

impl Cpu {
    pub(crate) fn new(width: usize, metrics: &Metrics) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(width)),
            width,
            wait: metrics.cpu_wait.clone(),
        }
    }

    pub(crate) fn busy(&self) -> usize {
        self.width - self.slots.available_permits()
    }

    /// Runs `work` on a thread of the blocking pool, and waits for it no longer than the caller does. Loops in `work`
    /// ask [`Call::check`], so that they end with their caller.
    ///
    /// The slot and the call's permit live inside the work: a caller that gives up frees neither until the thread is
    /// really done.
    ///
    /// # Errors
    /// What `work` returns; `DEADLINE_EXCEEDED` if no slot came free in time; `INTERNAL` outside a call.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Status>
    where
        F: FnOnce(&Call) -> Result<T, Status> + Send + 'static,
        T: Send + 'static,
    {
        let call = Call::current().ok_or_else(|| Status::internal("CPU work outside a call"))?;
        let begun = Instant::now();
        let slot = timeout_at(call.deadline(), Arc::clone(&self.slots).acquire_owned())
            .await
            .map_err(|_elapsed| deadline_exceeded())?
            .map_err(|_closed| Status::unavailable("stopping"))?;
        self.wait.observe(begun.elapsed().as_secs_f64());
        #[expect(clippy::disallowed_methods, reason = "the one bounded door to the blocking pool")]
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&call);
            drop((slot, call));
            result
        });
        match done.await {
            Ok(result) => result,
            // To the edge, as if the handler itself had panicked.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => Err(Status::unavailable("stopping")),
            },
        }
    }
}
