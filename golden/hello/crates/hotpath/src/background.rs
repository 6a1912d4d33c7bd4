//! Work that no call waits for: tasks that run as long as the process, and hooks at its end.
use crate::call::{CURRENT, Call};
use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::error;

/// How long background tasks, a queue's worker, or a hook may take when the process stops.
pub(crate) const FINISH: Duration = Duration::from_secs(5);

/// Runs `work` outside of any call, so that CPU work and calls to other services find a deadline (none) and a trace (none).
/// What it left on a CPU thread ends with it.
pub(crate) async fn outside_calls<W: Future>(work: W) -> W::Output {
    let ended = CancellationToken::new();
    let _ends = ended.clone().drop_guard();
    CURRENT.scope(Call::outside(ended), work).await
}

/// The background tasks of a service.
#[derive(Default)]
pub(crate) struct Tasks {
    /// Told when the process drains.
    pub(crate) stop: CancellationToken,
    running: Vec<(&'static str, JoinHandle<()>)>,
}

impl Tasks {
    pub(crate) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        #[expect(clippy::disallowed_methods, reason = "told to stop, and awaited")]
        self.running.push((name, tokio::spawn(outside_calls(task))));
    }

    /// Waits for the tasks, at most [`FINISH`], and ends those that are left. They were told to stop before.
    pub(crate) async fn finish(mut self) {
        let end = Instant::now() + FINISH;
        for (name, task) in &mut self.running {
            // One that panicked has ended too, and the panic hook has seen to the rest.
            if timeout_at(end, task).await.is_err() {
                error!(task = name, "a background task did not end in time");
            }
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for (_, task) in &self.running {
            task.abort();
        }
    }
}

/// A hook at the end of the process.
pub(crate) struct Hook {
    pub(crate) name: &'static str,
    pub(crate) run: BoxFuture<'static, ()>,
}

impl Hook {
    /// Runs it, at most [`FINISH`].
    pub(crate) async fn finish(self) {
        if timeout(FINISH, outside_calls(self.run)).await.is_err() {
            error!(hook = self.name, "a hook at the end did not end in time");
        }
    }
}
