//! What a call carries: its deadline, whether anyone still waits, and the permit that pays for it.
use crate::{admission::Permit, wire::deadline_exceeded};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

tokio::task_local! { static CURRENT: Call; }

/// The call that a handler serves. Cheap to clone; the permit is given back when the last clone goes, so work that
/// outlives its caller still counts.
#[derive(Clone, Debug)]
pub struct Call(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    deadline: Instant,
    cancelled: CancellationToken,
    _permit: Permit,
}

impl Call {
    pub(crate) fn new(deadline: Instant, permit: Permit) -> Self {
        let cancelled = CancellationToken::new();
        Self(Arc::new(Inner { deadline, cancelled, _permit: permit }))
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

    /// Nobody waits any more.
    pub(crate) fn end(&self) {
        self.0.cancelled.cancel();
    }

    pub(crate) async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    pub(crate) fn sync_scope<T>(&self, f: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.clone(), f)
    }
}
