//! What a call carries: its deadline, whether anyone still waits, and the permit that pays for it.
use crate::{admission::Permit, wire::deadline_exceeded};
use hotpath_telemetry::{Account, trace::Parent};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
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
    parent: Parent,
    _permit: Permit,
}

impl Call {
    pub(crate) fn new(account: &Account, permit: Permit, parent: Parent) -> Self {
        let (deadline, cancelled) = (account.deadline, account.ended.clone());
        Self(Arc::new(Inner { deadline, cancelled, parent, _permit: permit }))
    }

    /// The trace context that the call came with.
    pub(crate) fn parent(&self) -> &Parent {
        &self.0.parent
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
