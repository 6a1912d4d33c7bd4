//! CPU work of calls, on a bounded number of threads of the blocking pool.
use crate::call::Call;
use crate::deadline::deadline_exceeded;
use crate::locked::Locked;
use crate::panics;
use hotpath_telemetry::Metrics;
use prometheus::Histogram;
use std::{collections::VecDeque, iter, sync::Arc};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tracing::Span;

type Work = Box<dyn FnOnce() + Send>;

/// Runs CPU work for handlers: off the async workers, no wider than the CPUs, never longer than the caller waits.
#[derive(Clone)]
pub struct Cpu {
    width: usize,
    pending: Arc<Locked<Pending>>,
    wait: Histogram,
}

/// Work that waits for a thread. Every call that waits holds an admission permit, which bounds this queue.
#[derive(Default)]
struct Pending {
    waiting: VecDeque<Work>,
    /// Threads that compute.
    busy: usize,
}

impl Cpu {
    pub(crate) fn new(width: usize, metrics: &Metrics) -> Self {
        Self {
            width,
            pending: Arc::default(),
            wait: metrics.cpu_wait.clone(),
        }
    }

    /// How many threads compute now.
    pub(crate) fn busy(&self) -> usize {
        self.pending.with(|pending| pending.busy)
    }

    /// Runs `work` on a thread of the blocking pool, and waits for it no longer than the caller does. Loops in `work`
    /// ask [`Call::check`], so that they end with their caller.
    ///
    /// The work is in the span of the call: its log lines, and a panic, have the trace id.
    ///
    /// The call's permit lives inside the work: a caller that gives up frees it no sooner than a thread is really done with
    /// the work, or finds that nobody waits for it.
    ///
    /// # Errors
    /// What `work` returns; `DEADLINE_EXCEEDED` if it was not done in time; `INTERNAL` outside a call.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Call) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let call = Call::current().ok_or_else(|| Status::internal("CPU work outside a call"))?;
        let deadline = call.deadline();
        let begun = Instant::now();
        let wait = self.wait.clone();
        let span = Span::current();
        let (answer, answered) = oneshot::channel();
        self.enter(Box::new(move || {
            wait.observe(begun.elapsed().as_secs_f64());
            let result = span.in_scope(|| call.check().and_then(|()| panics::caught(|| work(&call))?));
            drop(call);
            drop(answer.send(result));
        }));
        let answer = timeout_at(deadline, answered).await.map_err(|_elapsed| deadline_exceeded())?;
        answer.unwrap_or_else(|_dropped| Err(Status::unavailable("stopping")))
    }

    /// Queues `work`, and starts a thread if fewer than `width` compute. A thread that is done takes what waits by itself:
    /// where an async worker had to send it the next work, CPUs were idle for an eighth of the time (2 cores, 10 ms a call).
    fn enter(&self, work: Work) {
        let needs_a_thread = |pending: &mut Pending| {
            pending.waiting.push_back(work);
            let free = pending.busy < self.width;
            pending.busy += usize::from(free);
            free
        };
        if !self.pending.with(needs_a_thread) {
            return;
        }
        let pending = Arc::clone(&self.pending);
        #[expect(clippy::disallowed_methods, reason = "bounded by the width")]
        tokio::task::spawn_blocking(move || {
            // A thread that computes gives way to the async workers, which get three times its share of a CPU (the kernel's
            // weights are 335 and 1,024): cheap calls are answered soon beside expensive ones. Elsewhere than on Linux this
            // priority would be that of the whole process.
            #[cfg(target_os = "linux")]
            let _nicer = rustix::process::setpriority_process(None, 5);
            iter::from_fn(|| pending.with(Pending::next)).for_each(|work| work());
        });
    }
}

impl Pending {
    /// The next work of the thread that asks. With none it is no longer busy.
    fn next(&mut self) -> Option<Work> {
        let work = self.waiting.pop_front();
        self.busy -= usize::from(work.is_none());
        work
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    #[tokio::test]
    async fn as_wide_as_it_says_and_nothing_is_left_waiting() {
        let cpu = Cpu::new(2, &Metrics::new(&[]).unwrap());
        let counts = Arc::new([const { AtomicUsize::new(0) }; 3]);
        for _ in 0..100 {
            let counts = Arc::clone(&counts);
            cpu.enter(Box::new(move || {
                let [running, most, done] = &*counts;
                most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                // The first two wait for each other.
                while most.load(SeqCst) < 2 {
                    std::thread::yield_now();
                }
                running.fetch_sub(1, SeqCst);
                done.fetch_add(1, SeqCst);
            }));
        }
        while cpu.busy() > 0 {
            tokio::task::yield_now().await;
        }
        let [_, most, done] = &*counts;
        assert_eq!((most.load(SeqCst), done.load(SeqCst)), (2, 100));
    }
}
