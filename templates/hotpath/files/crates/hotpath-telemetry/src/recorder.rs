//! The recorder of one call, in or out: whatever becomes of the call, it is counted once.
use crate::dialect::Series;
use crate::faults::Origin;
use crate::trace;
use std::{net::SocketAddr, sync::Arc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tracing::Span;

/// Counts one call when it begins and when it ends; a call that is served and fails by the service's fault is logged. A
/// recorder that is dropped before [`end`](Self::end) counts a caller that went away: DEADLINE_EXCEEDED if the deadline had
/// passed, CANCELLED otherwise.
#[derive(Debug)]
pub struct CallRecorder {
    /// The span of the call.
    pub span: Span,
    /// When the call's time is up.
    pub deadline: Instant,
    /// Whether it is the service that says so, and not the caller.
    pub own_deadline: bool,
    /// Cancelled when the call has ended, for whatever still works for it.
    pub ended: CancellationToken,
    /// Who called, where that is known: for the log line of a call that failed.
    pub peer: Option<SocketAddr>,
    /// Who the caller has proven to be, for the same line; `None` where it was not asked.
    pub caller: Option<Arc<str>>,
    series: Series,
    begun: Instant,
}

impl CallRecorder {
    /// Counts a call that began at `begun`.
    pub fn start(series: Series, span: Span, begun: Instant, deadline: Instant) -> Self {
        series.started();
        let ended = CancellationToken::new();
        Self {
            span,
            deadline,
            own_deadline: false,
            ended,
            peer: None,
            caller: None,
            series,
            begun,
        }
    }

    /// Counts the end of the call. Only the first end counts.
    pub fn end(&mut self, code: Code) {
        self.end_with(code, "");
    }

    /// Counts the end of the call, whose status says `message`. Only the first end counts.
    pub fn end_with(&mut self, code: Code, message: &str) {
        if self.ended.is_cancelled() {
            return;
        }
        trace::record_code(&self.span, code);
        let trace_id = trace::is_sampled(&self.span).then_some(|| trace::trace_id(&self.span));
        self.series.handled(code, self.begun.elapsed().as_secs_f64(), trace_id);
        if self.own_deadline && code == Code::DeadlineExceeded && Instant::now() >= self.deadline {
            self.series.own_deadline();
        }
        if let Some(faults) = self.series.faults() {
            let from = Origin { peer: self.peer, caller: self.caller.as_deref() };
            faults.tell(code, message, from, &self.span);
        }
        self.ended.cancel();
    }
}

impl Drop for CallRecorder {
    fn drop(&mut self) {
        if Instant::now() >= self.deadline {
            self.end_with(Code::DeadlineExceeded, "the caller went away when its deadline had passed");
        } else {
            self.end(Code::Cancelled);
        }
    }
}
