//! Work that no caller waits for: a bounded queue, and the worker behind it.
use crate::{Failure, admission::Shed, metrics::Metrics};
use prometheus::{IntCounter, IntGauge};
use std::{future::Future, time::Duration};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::error;

/// The most that the worker takes at once.
const BATCH: usize = 256;
/// How long the worker may take for what is still queued when the process stops.
const FINISH: Duration = Duration::from_secs(5);

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
            match error {
                mpsc::error::TrySendError::Full(_) => {
                    self.shed.inc();
                    Shed::Queue.status()
                }
                mpsc::error::TrySendError::Closed(_) => Status::unavailable("stopping"),
            }
        })
    }

    pub(crate) fn start<F, W>(
        name: &str,
        depth: usize,
        metrics: &Metrics,
        mut work: F,
    ) -> Result<(Self, Worker), Failure>
    where
        F: FnMut(Vec<T>) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        metrics.queue_capacity.with_label_values(&[name]).set(i64::try_from(depth)?);
        let (items, mut queued) = mpsc::channel(depth);
        let queue = Self {
            items,
            depth: metrics.queue_depth.with_label_values(&[name]),
            dropped: metrics.queue_dropped.with_label_values(&[name]),
            shed: metrics.shed.with_label_values(&[Shed::Queue.reason()]),
        };
        let (stop, depth) = (CancellationToken::new(), queue.depth.clone());
        let stopping = stop.clone();
        #[expect(clippy::disallowed_methods, reason = "one worker a queue, made at start")]
        let task = tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            loop {
                let taken = tokio::select! {
                    taken = queued.recv_many(&mut batch, BATCH) => taken,
                    () = stopping.cancelled(), if !queued.is_closed() => {
                        queued.close();
                        continue;
                    }
                };
                if taken == 0 {
                    return;
                }
                depth.sub(taken as i64);
                work(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))).await;
            }
        });
        Ok((queue, Worker { stop, task }))
    }
}

/// The task behind a queue.
pub(crate) struct Worker {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Worker {
    /// Takes nothing more, and works off what is queued.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        if !matches!(timeout(FINISH, self.task).await, Ok(Ok(()))) {
            error!("the queue was not worked off");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Locked;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_full_queue_sheds_and_what_is_queued_is_worked_off() {
        let metrics = Metrics::new().unwrap();
        let done = Arc::new(Locked::new(Vec::new()));
        let worked = Arc::clone(&done);
        let (queue, worker) = Queue::start("test", 2, &metrics, move |batch: Vec<u32>| {
            worked.with(|worked| worked.extend(batch));
            std::future::ready(())
        })
        .unwrap();
        // Nothing is awaited in between, so the worker has not run yet.
        queue.push(1).unwrap();
        queue.push(2).unwrap();
        assert_eq!(queue.push(3).unwrap_err().code(), tonic::Code::ResourceExhausted);
        assert_eq!((queue.depth.get(), queue.dropped.get(), queue.shed.get()), (2, 1, 1));
        worker.finish().await;
        assert_eq!((queue.depth.get(), done.with(|done| done.clone())), (0, vec![1, 2]));
        assert_eq!(queue.push(4).unwrap_err().code(), tonic::Code::Unavailable);
    }
}
