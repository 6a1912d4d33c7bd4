//! What a call carries: its deadline, whether anyone still waits, its trace context, and its permit.
use crate::admission::CallPermit;
use crate::deadline::deadline_exceeded;
use hotpath_telemetry::{CallRecorder, trace::Parent};
use http::HeaderMap;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// As good as no deadline, and little enough for an [`Instant`]: 30 years.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

tokio::task_local! {
    /// The call that the current task serves.
    pub(crate) static CURRENT: Call;
}

/// The call that a handler serves. Cheap to clone; the permit is given back when the last clone goes, so work that
/// outlives its caller still counts.
#[derive(Clone, Debug)]
pub struct Call(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    deadline: Instant,
    cancelled: CancellationToken,
    parent: Parent,
    /// None outside of calls.
    _permit: Option<CallPermit>,
}

impl Call {
    pub(crate) fn new(recorder: &CallRecorder, permit: CallPermit, parent: Parent) -> Self {
        Self(Arc::new(Inner {
            deadline: recorder.deadline,
            cancelled: recorder.ended.clone(),
            parent,
            _permit: Some(permit),
        }))
    }

    /// What work of the service's own runs under, which no caller waits for: it has no deadline, and ends with `cancelled`.
    pub(crate) fn outside(cancelled: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            deadline: Instant::now() + FOR_EVER,
            cancelled,
            parent: Parent::of(&HeaderMap::new()),
            _permit: None,
        }))
    }

    /// The trace context that the call came with.
    pub(crate) fn parent(&self) -> &Parent {
        &self.0.parent
    }

    /// The call that this task is serving. A background task, and the start of the service, have one too, without a deadline.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// When the caller stops waiting: thirty years from now for a call without a deadline, as streams mostly are.
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// How long the caller still waits: zero once its deadline has passed, thirty years where it has none.
    pub fn remaining(&self) -> Duration {
        self.0.deadline.saturating_duration_since(Instant::now())
    }

    /// Whether anyone still waits for the answer. Loops in CPU work ask this, with `?`, every millisecond or so.
    ///
    /// # Errors
    /// `CANCELLED` if the caller went away, `DEADLINE_EXCEEDED` if its deadline has passed: there is nobody left to answer.
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
