//! What a call carries: its deadline, whether anyone still waits, and the permit that pays for it. And the one door to
//! the blocking pool, through which it computes.
use crate::{Metrics, admission::Permit, wire::deadline_exceeded};
use hotpath_telemetry::Account;
use http::HeaderValue;
use prometheus::Histogram;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::Status;

tokio::task_local! { pub(crate) static CURRENT: Call; }

/// The call that a handler serves. Cheap to clone; the permit is given back when the last clone goes, so work that
/// outlives its caller still counts.
#[derive(Clone, Debug)]
pub struct Call(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    deadline: Instant,
    cancelled: CancellationToken,
    _permit: Permit,
    traceparent: Option<HeaderValue>,
}

impl Call {
    pub(crate) fn new(account: &Account, permit: Permit, traceparent: Option<HeaderValue>) -> Self {
        let (deadline, cancelled) = (account.deadline, account.ended.clone());
        Self(Arc::new(Inner { deadline, cancelled, _permit: permit, traceparent }))
    }

    pub(crate) fn traceparent(&self) -> Option<&HeaderValue> {
        self.0.traceparent.as_ref()
    }

    /// The call that this task is serving, if it is serving one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// When the caller stops waiting.
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// How long the caller still waits.
    pub fn remaining(&self) -> Duration {
        self.0.deadline.saturating_duration_since(Instant::now())
    }

    /// Whether anyone still waits for the answer. CPU loops ask this, with `?`, every millisecond or so.
    ///
    /// # Errors
    /// `DEADLINE_EXCEEDED` or `CANCELLED`: there is nobody left to answer.
    pub fn check(&self) -> Result<(), Status> {
        if self.0.cancelled.is_cancelled() {
            return Err(Status::cancelled("context canceled"));
        }
        if self.remaining().is_zero() {
            return Err(deadline_exceeded());
        }
        Ok(())
    }
}

thread_local! {
    /// Touched by a thread that computes: it gives way to the async workers, which get three times its share of a CPU (the
    /// kernel's weights are 335 and 1,024). What is cheap is answered soon beside what is not.
    static GIVES_WAY: () = {
        // Elsewhere this would be of the whole process.
        #[cfg(target_os = "linux")]
        let _nicer = rustix::process::nice(5);
    };
}

/// Runs CPU work for handlers: off the async workers, no wider than the CPUs, never longer than the caller waits. Its
/// queue needs no bound of its own: whoever waits here holds an admission permit.
#[derive(Clone, Debug)]
pub struct Cpu {
    pub(crate) slots: Arc<Semaphore>,
    wait: Histogram,
}

impl Cpu {
    pub(crate) fn new(width: usize, metrics: &Metrics) -> Self {
        let (slots, wait) = (Arc::new(Semaphore::new(width)), metrics.cpu_wait.clone());
        Self { slots, wait }
    }

    /// Runs `work` on a thread of the blocking pool, and waits for it no longer than the caller does. Loops in `work`
    /// ask [`Call::check`], so that they end with their caller.
    ///
    /// The slot and the call's permit live inside the work: a caller that gives up frees neither until the thread is
    /// really done.
    ///
    /// # Errors
    /// What `work` returns; `DEADLINE_EXCEEDED` if no slot came free in time; `INTERNAL` outside a call.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Call) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let call = Call::current().ok_or_else(|| Status::internal("CPU work outside a call"))?;
        let begun = Instant::now();
        let slot = timeout_at(call.deadline(), Arc::clone(&self.slots).acquire_owned())
            .await
            .map_err(|_elapsed| deadline_exceeded())?
            .map_err(|_closed| Status::unavailable("stopping"))?;
        self.wait.observe(begun.elapsed().as_secs_f64());
        #[expect(clippy::disallowed_methods, reason = "the one bounded door to the blocking pool")]
        let done = tokio::task::spawn_blocking(move || {
            GIVES_WAY.with(|()| ());
            let result = work(&call);
            drop((slot, call));
            result
        });
        done.await.unwrap_or_else(|error| match error.try_into_panic() {
            // To the edge, as if the handler itself had panicked.
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => Err(Status::unavailable("stopping")),
        })
    }
}
