//! Streams of replies from an ordinary loop.
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_stream::Stream;
use tonic::Status;

type Producer = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// A stream of replies; see [`stream`].
pub struct Replies<T> {
    producer: Option<Producer>,
    items: Receiver<T>,
    error: Option<Status>,
}

/// Where a producer puts its replies.
#[derive(Debug)]
pub struct Sink<T>(Sender<T>);

impl<T> Sink<T> {
    /// Waits until the transport has taken the reply before, so a slow reader slows the producer down.
    ///
    /// # Errors
    /// `CANCELLED` if nobody reads any more.
    pub async fn send(&self, reply: T) -> Result<(), Status> {
        self.0.send(reply).await.map_err(|_closed| Status::cancelled("context canceled"))
    }
}

/// Makes a stream of replies from a loop that sends them.
///
/// The loop is part of the stream and runs only when it is pulled: no task and no unbounded channel. It ends with its
/// caller, at its deadline, with the status that it returns, and with INTERNAL if it
/// panics: never with OK and half the replies.
///
/// ```
/// # async fn demo() -> impl tokio_stream::Stream<Item = Result<u64, tonic::Status>> {
/// hotpath::stream(async |replies| {
///     for seq in 1..=3 {
///         replies.send(seq).await?;
///     }
///     Ok(())
/// })
/// # }
/// ```
pub fn stream<T, P, F>(produce: P) -> Replies<T>
where
    P: FnOnce(Sink<T>) -> F,
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (sender, items) = mpsc::channel(1);
    Replies {
        producer: Some(Box::pin(produce(Sink(sender)))),
        items,
        error: None,
    }
}

impl<T> Stream for Replies<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(producer) = &mut self.producer
            && let Poll::Ready(result) = producer.as_mut().poll(cx)
        {
            self.producer = None;
            self.error = result.err();
        }
        match self.items.poll_recv(cx) {
            Poll::Ready(None) => Poll::Ready(self.error.take().map(Err)),
            polled => polled.map(|item| item.map(Ok)),
        }
    }
}
