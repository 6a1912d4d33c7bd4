//! Streams of replies from an ordinary loop.
use futures_util::stream::{BoxStream, StreamExt as _, poll_fn};
use std::task::Poll;
use tokio::sync::mpsc::{self, Sender};
use tonic::Status;

/// A stream of replies; see [`stream`].
pub type Replies<T> = BoxStream<'static, Result<T, Status>>;

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
/// caller, at its deadline, with the status that it returns, and with INTERNAL if it panics: never with OK and half the
/// replies.
///
/// ```
/// # async fn demo() -> impl futures_util::Stream<Item = Result<u64, tonic::Status>> {
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
    T: Send + 'static,
    P: FnOnce(Sink<T>) -> F,
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (sender, mut items) = mpsc::channel(1);
    let (mut producer, mut error) = (Some(Box::pin(produce(Sink(sender)))), None);
    let next = poll_fn(move |cx| {
        if let Some(Poll::Ready(result)) = producer.as_mut().map(|producer| producer.as_mut().poll(cx)) {
            producer = None;
            error = result.err();
        }
        items.poll_recv(cx).map(|item| item.map(Ok).or_else(|| error.take().map(Err)))
    });
    next.boxed()
}
