//! The recorder of one call, in or out: whatever becomes of the call, it is counted once.
use crate::dialect::Series;
use crate::trace;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tracing::Span;

/// Counts one call when it begins and when it ends. A recorder that is dropped before [`end`](Self::end) counts a caller
/// that went away: DEADLINE_EXCEEDED if the deadline had passed, CANCELLED otherwise.
#[derive(Debug)]
pub struct CallRecorder {
    /// The span of the call.
    pub span: Span,
    /// When the call's time is up.
    pub deadline: Instant,
    /// Cancelled when the call has ended, for whatever still works for it.
    pub ended: CancellationToken,
    series: Series,
    begun: Instant,
}

impl CallRecorder {
    /// Counts a call that began at `begun`.
    pub fn start(series: Series, span: Span, begun: Instant, deadline: Instant) -> Self {
        series.started();
        let ended = CancellationToken::new();
        Self { span, deadline, ended, series, begun }
    }

    /// Counts the end of the call. Only the first end counts.
    pub fn end(&mut self, code: Code) {
        if self.ended.is_cancelled() {
            return;
        }
        trace::record_code(&self.span, code);
        self.series.handled(code, self.begun.elapsed().as_secs_f64());
        self.ended.cancel();
    }
}

impl Drop for CallRecorder {
    fn drop(&mut self) {
        let late = Instant::now() >= self.deadline;
        self.end(if late { Code::DeadlineExceeded } else { Code::Cancelled });
    }
}
