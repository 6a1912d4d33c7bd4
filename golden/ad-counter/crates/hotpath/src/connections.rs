//! Connections: a bounded number of them, an `accept` that backs off, a drain that ends. Each speaks HTTP/2 soon, its
//! streams end, and it goes when it is old, idle, deaf, or told to.
use crate::limits::{HEADER_LIST, MethodLimits, SEND_BUFFER, STREAMS, WINDOW};
use crate::{admission::Admission, edge::Edge, server::Shared};
use hyper::server::conn::http2::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::{io, pin::Pin, pin::pin, sync::Arc, task::Context, task::Poll, time::Duration};
use tokio::io::{AsyncRead, ReadBuf, join};
use tokio::net::{TcpListener, TcpStream, tcp::OwnedReadHalf};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// What every HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What is read of a connection in one go: a frame of HTTP/2.
const TURN: usize = 16 << 10;
/// How long a stream may outlive its deadline: a peer that neither reads nor resets holds memory.
const LATE: Duration = Duration::from_secs(1);
/// How long a connection that was told to go may stay without a call: calls already under way to it may still arrive.
const LINGER: Duration = Duration::from_secs(1);

/// Serves until `drain`, then tells every connection and waits for its calls, at most `limits.drain`. False if calls were
/// cut.
pub(crate) async fn listen(listener: TcpListener, shared: Arc<Shared>, drain: CancellationToken) -> bool {
    let slots = Arc::new(Semaphore::new(shared.limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let socket = tokio::select! {
            biased;
            () = drain.cancelled() => break,
            Some(_ended) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
                        // Out of descriptors, say: without a pause this loop would spin.
                        warn!(%error, "accept");
                        sleep(Duration::from_millis(100)).await;
                    }
                    continue;
                }
            },
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            shared.metrics.refused.inc();
            continue;
        };
        let (shared, drain) = (Arc::clone(&shared), drain.clone());
        connections.spawn(async move {
            shared.metrics.connections.inc();
            serve(socket, &shared, drain).await;
            shared.metrics.connections.dec();
            drop(slot);
        });
    }
    drop(listener);
    info!(connections = connections.len(), memory_in_use = shared.memory.used(), "draining");
    let gone = async { while connections.join_next().await.is_some() {} };
    let whole = timeout(shared.limits.drain, gone).await.is_ok() || shared.memory.used() == 0;
    connections.shutdown().await;
    whole
}

/// What the streams of one connection have in common.
#[derive(Default)]
pub(crate) struct Peer {
    pub(crate) admission: Admission,
    /// Open now, and ever begun.
    streams: AtomicUsize,
    begun: AtomicUsize,
    next_deadline_ms: AtomicU64,
    /// Of the service's own calls.
    longest_deadline_ms: AtomicU64,
    deaf: Notify,
}

impl Peer {
    /// The stream of the call being started ends with its deadline, or soon after.
    pub(crate) fn expect_stream(&self, method: &MethodLimits) {
        let millis = method.deadline.as_millis() as u64;
        self.next_deadline_ms.store(millis, Relaxed);
        if method.work > 0 {
            self.longest_deadline_ms.fetch_max(millis, Relaxed);
        }
    }

    /// Comes when no stream was open for that long, and nothing waited to be read. Meanwhile it notices a peer that reads
    /// nothing of what waits: a short reply leaves its stream before anyone has read it.
    async fn quiet(&self, limit: Duration) {
        let (mut called, mut read) = (Instant::now(), Instant::now());
        let (mut begun, mut waiting) = (self.begun.load(Relaxed), None);
        while called.elapsed() < limit {
            sleep(LATE.min(limit / 4)).await;
            let (begun_before, waited) = (begun, waiting);
            (begun, waiting) = (self.begun.load(Relaxed), self.admission.waiting());
            if begun != begun_before || self.streams.load(Relaxed) > 0 || waiting.is_some() {
                called = Instant::now();
            }
            if waiting.is_none() || waiting != waited {
                read = Instant::now();
            } else if read.elapsed() >= LATE + Duration::from_millis(self.longest_deadline_ms.load(Relaxed)) {
                self.deaf.notify_one();
            }
        }
    }
}

/// Runs a connection's streams, and ends those that outlive their deadline. hyper calls the service and spawns the
/// stream in one go, so what [`Peer::expect_stream`] was told last is this stream's.
#[derive(Clone)]
struct Streams(Arc<Peer>);

impl<F: Future + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let peer = Arc::clone(&self.0);
        let longest = LATE + Duration::from_millis(peer.next_deadline_ms.swap(0, Relaxed));
        let progress = peer.admission.progress();
        peer.streams.fetch_add(1, Relaxed);
        peer.begun.fetch_add(1, Relaxed);
        #[expect(clippy::disallowed_methods, reason = "bounded by connections x streams")]
        tokio::spawn(async move {
            let mut stream = pin!(stream);
            // Late, and nothing else of this connection was read meanwhile either.
            if timeout(longest, stream.as_mut()).await.is_err() && progress == peer.admission.progress() {
                peer.deaf.notify_one();
            }
            peer.streams.fetch_sub(1, Relaxed);
        });
    }
}

/// Serves one connection to its end.
async fn serve(socket: TcpStream, shared: &Arc<Shared>, drain: CancellationToken) {
    let limits = &shared.limits;
    if !matches!(timeout(limits.handshake, speaks_http2(&socket)).await, Ok(Ok(true))) {
        return;
    }
    drop(socket.set_nodelay(true));
    let admission = Admission::new(&shared.memory, &shared.unread);
    let peer = Arc::new(Peer { admission, ..Peer::default() });
    let edge = Edge { shared: Arc::clone(shared), peer: Arc::clone(&peer) };
    // tonic passes `None` over hyper's safe values for most of these.
    let mut http2 = Builder::new(Streams(Arc::clone(&peer)));
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW as u32)
        .initial_connection_window_size(WINDOW as u32)
        .max_header_list_size(HEADER_LIST)
        .max_send_buf_size(SEND_BUFFER as usize)
        // What a caller of 1,000 calls a second, with 50 ms for each, gives up in a stall of 100 ms.
        .max_pending_accept_reset_streams(STREAMS as usize / 2)
        // Counted as long as the connection lives; a caller that stops when it is told to causes none.
        .max_local_error_reset_streams(STREAMS as usize)
        .keep_alive_interval(limits.keepalive)
        .keep_alive_timeout(limits.keepalive / 3);
    let (from, to) = socket.into_split();
    let io = TokioIo::new(join(Paced { from, read: 0 }, to));
    let mut connection = pin!(http2.serve_connection(io, edge));
    // The random keys of std's hasher are all that spreading reconnections needs.
    let jitter = (RandomState::new().hash_one(0u8) % 1_000) as f64 / 1_000.0;
    let age = limits.connection_age.mul_f64(0.9 + 0.2 * jitter);
    tokio::select! {
        _ended = connection.as_mut() => return,
        // What it left unread would be followed by more.
        () = peer.deaf.notified() => return,
        () = drain.cancelled() => {}
        () = sleep(age) => {}
        () = peer.quiet(limits.idle) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ended = connection => {}
        () = peer.deaf.notified() => {}
        () = peer.quiet(LINGER) => {}
    }
}

/// Reads no more than about a [`TURN`] before its task gives others theirs. Else a connection would take all that its
/// socket has, up to its window, before its streams see any of it, and a flood on one would hold a worker.
struct Paced {
    from: OwnedReadHalf,
    read: usize,
}

impl AsyncRead for Paced {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read >= TURN {
            self.read = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        let polled = Pin::new(&mut self.from).poll_read(cx, into);
        self.read += into.filled().len() - before;
        polled
    }
}

/// Waits for the preface, and leaves it unread. False if the peer says something else, or goes.
async fn speaks_http2(socket: &TcpStream) -> io::Result<bool> {
    let mut seen = [0; PREFACE.len()];
    let mut length = 0;
    while length < PREFACE.len() {
        // A peek does not wait for more than there is.
        if length > 0 {
            sleep(Duration::from_millis(10)).await;
        }
        length = socket.peek(&mut seen).await?;
        if length == 0 || !seen.get(..length).is_some_and(|so_far| PREFACE.starts_with(so_far)) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn others_have_their_turns_while_much_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        peer.write_all(&[0; 4 * TURN]).await.unwrap();
        let (from, _to) = listener.accept().await.unwrap().0.into_split();
        let mut reading = pin!(async {
            let mut paced = Paced { from, read: 0 };
            for _ in 0..16 {
                paced.read_exact(&mut [0; TURN / 4]).await.unwrap();
            }
        });
        let mut turns = 0;
        poll_fn(|cx| {
            turns += 1;
            reading.as_mut().poll(cx)
        })
        .await;
        assert!(turns >= 4, "read in {turns} turns");
    }
}
