//! The books of a call, in or out.
use crate::{Call, metrics::Series};
use tokio::time::Instant;
use tonic::Code;
use tracing::Span;

/// Whatever becomes of a call, it is counted once. Dropped without [`finish`](Self::finish), nobody waited any more.
pub(crate) struct Account {
    pub(crate) span: Span,
    /// Ends with the books, and whatever works for it.
    pub(crate) call: Option<Call>,
    pub(crate) deadline: Instant,
    series: Series,
    begun: Instant,
    pub(crate) done: bool,
}

impl Account {
    pub(crate) fn open(series: Series, span: Span, begun: Instant, deadline: Instant) -> Self {
        series.started();
        Self { span, call: None, deadline, series, begun, done: false }
    }

    pub(crate) fn finish(&mut self, code: Code) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        self.series.handled(code, self.begun.elapsed().as_secs_f64());
        if let Some(call) = self.call.take() {
            call.end();
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let late = Instant::now() >= self.deadline;
        self.finish(if late { Code::DeadlineExceeded } else { Code::Cancelled });
    }
}
