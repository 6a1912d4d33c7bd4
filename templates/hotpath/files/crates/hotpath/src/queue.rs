//! Bounded queues and their workers: for work that no caller waits for, and for changes of a state.
use crate::admission::{RETRY_LATER, Shed};
use futures_util::{FutureExt as _, future::BoxFuture};
use hotpath_telemetry::{Failure, Metrics};
use prometheus::{IntCounter, IntGauge};
use tokio::sync::{mpsc, mpsc::error::TrySendError, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// The most items that a worker takes at once.
const BATCH: usize = 256;

/// Ends a queue: it takes nothing more, and what is queued is worked off. False if that failed.
pub(crate) type Finish = BoxFuture<'static, bool>;

/// A bounded queue. Full, it refuses; it never grows.
#[derive(Debug)]
pub struct Queue<T> {
    items: mpsc::Sender<T>,
    depth: IntGauge,
    dropped: IntCounter,
    shed: IntCounter,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self {
            items: self.items.clone(),
            depth: self.depth.clone(),
            dropped: self.dropped.clone(),
            shed: self.shed.clone(),
        }
    }
}

impl<T: Send + 'static> Queue<T> {
    /// Queues `item`, or sheds the call that brought it.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` if the queue is full, `UNAVAILABLE` if its worker is gone.
    pub fn push(&self, item: T) -> Result<(), Status> {
        self.depth.inc();
        self.items.try_send(item).map_err(|error| {
            self.depth.dec();
            self.dropped.inc();
            if let TrySendError::Closed(_) = error {
                return Status::unavailable("stopping");
            }
            self.shed.inc();
            Shed::Queue.status(RETRY_LATER)
        })
    }

    /// A queue of at most `length` items, its worker, and what ends both.
    pub(crate) fn new(name: &str, length: usize, metrics: &Metrics) -> Result<(Self, Worker<T>, Finish), Failure> {
        metrics.queue_capacity.with_label_values(&[name]).set(i64::try_from(length)?);
        let (items, queued) = mpsc::channel(length);
        let (done, all_done) = oneshot::channel();
        let ended = CancellationToken::new();
        let end = ended.clone();
        let finish = async move {
            end.cancel();
            all_done.await.unwrap_or(false)
        };
        let depth = metrics.queue_depth.with_label_values(&[name]);
        let dropped = metrics.queue_dropped.with_label_values(&[name]);
        let shed = metrics.shed.with_label_values(&[Shed::Queue.reason()]);
        let worker = Worker { queued, ended, depth: depth.clone(), done };
        Ok((Self { items, depth, dropped, shed }, worker, finish.boxed()))
    }
}

/// The end of a queue that takes the items.
pub(crate) struct Worker<T> {
    queued: mpsc::Receiver<T>,
    /// Cancelled when the queue shall take nothing more.
    ended: CancellationToken,
    depth: IntGauge,
    done: oneshot::Sender<bool>,
}

impl<T> Worker<T> {
    /// The next items, in their order. Empty when the queue has ended and all were taken.
    pub(crate) async fn next(&mut self) -> Vec<T> {
        let mut batch = Vec::new();
        if !self.queued.is_closed() {
            tokio::select! {
                // Closed, it gives out all that it took: nothing is lost of what `push` said OK to.
                () = self.ended.cancelled() => self.queued.close(),
                _count = self.queued.recv_many(&mut batch, BATCH) => {}
            }
        }
        if batch.is_empty() {
            self.queued.recv_many(&mut batch, BATCH).await;
        }
        self.depth.sub(batch.len() as i64);
        batch
    }

    /// Hands all items to `work`, to the end.
    pub(crate) async fn run<W: Future<Output = ()>>(mut self, mut work: impl FnMut(Vec<T>) -> W) {
        loop {
            let batch = self.next().await;
            if batch.is_empty() {
                return self.done(true);
            }
            work(batch).await;
        }
    }

    /// Tells whoever ended the queue whether all was worked off well.
    pub(crate) fn done(self, well: bool) {
        // It may have given up waiting by now.
        self.done.send(well).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locked::Locked;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_full_queue_sheds_and_what_is_queued_is_worked_off() {
        let metrics = Metrics::new(&[]).unwrap();
        let done = Arc::new(Locked::new(Vec::new()));
        let worked = Arc::clone(&done);
        let (queue, worker, finish) = Queue::new("test", 2, &metrics).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test")]
        tokio::spawn(worker.run(move |batch: Vec<u32>| {
            worked.with(|worked| worked.extend(batch));
            std::future::ready(())
        }));
        // Nothing is awaited in between, so the worker has not run yet.
        queue.push(1).unwrap();
        queue.push(2).unwrap();
        assert_eq!(queue.push(3).unwrap_err().code(), tonic::Code::ResourceExhausted);
        assert_eq!((queue.depth.get(), queue.dropped.get()), (2, 1));
        assert!(finish.await);
        assert_eq!((queue.depth.get(), done.with(|done| done.clone())), (0, vec![1, 2]));
        assert_eq!(queue.push(4).unwrap_err().code(), tonic::Code::Unavailable);
    }

    /// What was pushed between the end of a queue and the moment at which its worker saw that was lost, though `push` had
    /// taken it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_pushed_while_a_queue_ends_is_worked_off_or_refused() {
        let metrics = Metrics::new(&[]).unwrap();
        for _ in 0..200 {
            let done = Arc::new(Locked::new(0));
            let worked = Arc::clone(&done);
            let (queue, worker, finish) = Queue::new("test", 1 << 16, &metrics).unwrap();
            #[expect(clippy::disallowed_methods, reason = "a test")]
            tokio::spawn(worker.run(move |batch: Vec<u32>| {
                worked.with(|worked| *worked += batch.len());
                std::future::ready(())
            }));
            #[expect(clippy::disallowed_methods, reason = "a test")]
            let pushing = tokio::task::spawn_blocking(move || (0..).take_while(|n| queue.push(*n).is_ok()).count());
            assert!(finish.await);
            let taken = pushing.await.unwrap();
            assert_eq!(done.with(|done| *done), taken);
        }
    }
}
