//! The books of a call, in or out.
use crate::Series;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tracing::Span;

/// Whatever becomes of a call, it is counted once. Dropped without [`finish`](Self::finish), nobody waited any more.
#[derive(Debug)]
pub struct Account {
    /// The span of the call.
    pub span: Span,
    /// When it counts as late.
    pub deadline: Instant,
    /// Cancelled when the books are closed: for whatever works for the call.
    pub ended: CancellationToken,
    series: Series,
    begun: Instant,
}

impl Account {
    /// Counts a call that begins.
    pub fn open(series: Series, span: Span, begun: Instant, deadline: Instant) -> Self {
        series.started();
        let ended = CancellationToken::new();
        Self { span, deadline, ended, series, begun }
    }

    /// Closes the books, if they are open.
    pub fn finish(&mut self, code: Code) {
        if self.ended.is_cancelled() {
            return;
        }
        crate::trace::record_code(&self.span, code);
        self.series.handled(code, self.begun.elapsed().as_secs_f64());
        self.ended.cancel();
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let late = Instant::now() >= self.deadline;
        self.finish(if late { Code::DeadlineExceeded } else { Code::Cancelled });
    }
}
