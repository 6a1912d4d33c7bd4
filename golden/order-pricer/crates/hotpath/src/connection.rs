//! One connection: it speaks HTTP/2 soon, its streams end, and it goes when it is old, idle, or told to.
use crate::{admission::Share, edge::Edge, limits::Limits, shared::Shared};
use hyper::server::conn::http2::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    future::Future,
    hash::{BuildHasher as _, RandomState},
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// What every HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a stream may outlive its deadline: a peer that neither reads nor resets holds memory.
const LATE: Duration = Duration::from_secs(1);
/// How long a connection that was told to go may stay without a call: calls already under way to it may still arrive.
const LINGER: Duration = Duration::from_secs(1);

/// The process is stopping: first every connection is told, then whatever is left is cut.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    pub(crate) drain: CancellationToken,
    pub(crate) cut: CancellationToken,
}

/// What one connection holds.
#[derive(Default)]
pub(crate) struct Peer {
    pub(crate) share: Arc<Share>,
    streams: AtomicUsize,
    next_deadline_ms: AtomicU64,
}

impl Peer {
    /// The stream of the call being started ends this long from now, or soon after.
    pub(crate) fn expect_stream(&self, deadline: Duration) {
        self.next_deadline_ms.store(deadline.as_millis() as u64, Relaxed);
    }
}

/// Runs a connection's streams, and ends those that outlive their deadline. hyper calls the service and spawns the
/// stream in one go, so what [`Peer::expect_stream`] was told last is this stream's.
#[derive(Clone)]
struct Streams(Arc<Peer>);

impl<F: Future + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let longest = LATE + Duration::from_millis(self.0.next_deadline_ms.swap(0, Relaxed));
        let open = OpenStream::of(Arc::clone(&self.0));
        #[expect(clippy::disallowed_methods, reason = "bounded by connections x streams")]
        tokio::spawn(async move {
            let _open = open;
            drop(timeout(longest, stream).await);
        });
    }
}

struct OpenStream(Arc<Peer>);

impl OpenStream {
    fn of(peer: Arc<Peer>) -> Self {
        peer.streams.fetch_add(1, Relaxed);
        Self(peer)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Relaxed);
    }
}

/// Serves one connection to its end. False if calls were cut.
pub(crate) async fn serve(socket: TcpStream, shared: Arc<Shared>, stop: Stop) -> bool {
    let limits = &shared.limits;
    if !matches!(timeout(limits.handshake, speaks_http2(&socket)).await, Ok(Ok(true))) {
        return true;
    }
    drop(socket.set_nodelay(true));
    let peer = Arc::<Peer>::default();
    let edge = Edge { shared: Arc::clone(&shared), peer: Arc::clone(&peer) };
    let mut connection = pin!(http2(limits, Streams(Arc::clone(&peer))).serve_connection(TokioIo::new(socket), edge));
    let old = Instant::now() + limits.connection_age.mul_f64(0.9 + 0.2 * jitter());
    let mut quiet_since = Instant::now();
    let mut going = false;
    loop {
        let pause = if going { LINGER / 4 } else { limits.idle / 4 };
        let go = tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!(%error, "connection");
                }
                return true;
            }
            () = stop.cut.cancelled() => return peer.streams.load(Relaxed) == 0,
            () = stop.drain.cancelled(), if !going => true,
            () = sleep_until(old), if !going => true,
            () = sleep(pause) => {
                if peer.streams.load(Relaxed) > 0 {
                    quiet_since = Instant::now();
                }
                let quiet = quiet_since.elapsed();
                if going && quiet > LINGER {
                    return true;
                }
                quiet > limits.idle
            }
        };
        if go && !going {
            going = true;
            quiet_since = Instant::now();
            connection.as_mut().graceful_shutdown();
        }
    }
}

/// tonic passes `None` over hyper's safe values for most of these.
fn http2(limits: &Limits, streams: Streams) -> Builder<Streams> {
    let mut http2 = Builder::new(streams);
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(limits.window)
        .initial_connection_window_size(limits.window)
        .max_header_list_size(limits.header_list)
        .max_send_buf_size(limits.send_buffer)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(1_024)
        .keep_alive_interval(limits.keepalive)
        .keep_alive_timeout(limits.keepalive / 3);
    http2
}

/// Waits for the preface, and leaves it unread. False if the peer says something else, or goes.
async fn speaks_http2(socket: &TcpStream) -> io::Result<bool> {
    let mut seen = [0; PREFACE.len()];
    loop {
        let length = socket.peek(&mut seen).await?;
        let so_far = seen.get(..length).unwrap_or_default();
        if length == 0 || !PREFACE.starts_with(so_far) {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
        // A peek does not wait for more than there is.
        sleep(Duration::from_millis(10)).await;
    }
}

/// 0.0 to 1.0; the random keys of std's hasher are all that spreading reconnections needs.
fn jitter() -> f64 {
    (RandomState::new().hash_one(0u8) % 1_000) as f64 / 1_000.0
}
