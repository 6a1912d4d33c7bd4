//! Connections: a bounded number of them, an `accept` that backs off, a drain that ends. A connection must speak HTTP/2
//! soon after it was accepted. It is closed when it is old or idle, when its peer has stopped reading, and at the drain.
use crate::admission::{Admission, Shed};
use crate::age;
use crate::connection_state::{Connection, RESET_AT};
use crate::limits::{CONNECTION_WINDOW, SEND_BUFFER, STREAM_WINDOW};
use crate::service::CallService;
use crate::shared::Shared;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::Cell;
use std::future::poll_fn;
use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
use std::net::SocketAddr;
use std::{io, pin::Pin, pin::pin, sync::Arc, task::Context, task::Poll, time::Duration};
use tokio::io::{AsyncRead, ReadBuf, join};
use tokio::net::{TcpListener, TcpStream, tcp::OwnedReadHalf};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpConnectInfo;
use tracing::{info, warn};

/// What every HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes that are read of a connection before its task yields: a frame of HTTP/2.
const READ_BEFORE_YIELD: usize = 16 << 10;
/// Calls that were reset before the service has seen them. A caller of 1,000 calls a second with 50 ms for each gives up this
/// many in a stall of 100 ms.
const PENDING_RESETS: usize = 64;
/// Streams on which a peer may break the protocol.
const LOCAL_ERRORS: usize = 128;
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
        let shared = Arc::clone(&shared);
        let drain = drain.clone();
        #[expect(clippy::disallowed_methods, reason = "bounded by the slots")]
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

/// Runs the streams of a connection, and resets those that outlive their deadline, each alone: a stream that is dropped is
/// reset, and what the transport has of it is dropped too. hyper calls the service and then hands over the stream, in one go:
/// what [`Connection::expect_stream`] was told last is this stream's.
#[derive(Clone)]
struct Streams(Arc<Connection>);

impl<F: Future + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let connection = Arc::clone(&self.0);
        let reset_at = connection.stream_begins();
        let run = async move {
            let mut stream = pin!(stream);
            if !in_time(stream.as_mut()).await {
                connection.stream_is_late();
            }
            connection.stream_ends();
        };
        #[expect(clippy::disallowed_methods, reason = "bounded by connections x streams")]
        tokio::spawn(RESET_AT.scope(Cell::new(reset_at), run));
    }
}

/// Runs a stream to its end, or until [`RESET_AT`], which the stream may move. Says whether it ended.
async fn in_time(mut stream: Pin<&mut impl Future>) -> bool {
    let mut clock = pin!(sleep_until(RESET_AT.with(Cell::get)));
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        let reset_at = RESET_AT.with(Cell::get);
        if clock.deadline() != reset_at {
            clock.as_mut().reset(reset_at);
        }
        clock.as_mut().poll(cx).map(|()| false)
    })
    .await
}

/// Serves one connection to its end.
async fn serve(socket: TcpStream, shared: &Arc<Shared>, drain: CancellationToken) {
    let limits = &shared.limits;
    if !matches!(timeout(limits.handshake, speaks_http2(&socket)).await, Ok(Ok(true))) {
        return;
    }
    drop(socket.set_nodelay(true));
    let info = connect_info(&socket);
    let peer = socket.peer_addr().ok();
    let admission = Admission::new(&shared.memory, &shared.unread, limits.connection_share, &shared.metrics.shed);
    let connection = Arc::new(Connection::new(admission, peer, limits.streams, shared.metrics.streams_full.clone()));
    let service = CallService {
        shared: Arc::clone(shared),
        connection: Arc::clone(&connection),
    };
    // tonic passes `None` over hyper's safe values for most of these.
    let mut http2 = Builder::new(Streams(Arc::clone(&connection)));
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(STREAM_WINDOW as u32)
        .initial_connection_window_size(CONNECTION_WINDOW as u32)
        .max_header_list_size(limits.header_list)
        .max_send_buf_size(SEND_BUFFER as usize)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        // Counted as long as the connection lives. What comes for a call that was refused or is late is read for a while, so
        // a caller that stops sending when it has its answer causes none.
        .max_local_error_reset_streams(LOCAL_ERRORS)
        .keep_alive_interval(limits.keepalive)
        .keep_alive_timeout(limits.keepalive / 3);
    let (from, to) = socket.into_split();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(info.clone());
        service.call(request)
    });
    let io = TokioIo::new(join(YieldingReader { from, read: 0 }, to));
    let mut serving = pin!(http2.serve_connection(io, service));
    // The random keys of std's hasher are random enough to spread reconnections.
    let jitter = (RandomState::new().hash_one(0u8) % 1_000) as f64 / 1_000.0;
    let age = limits.connection_age.mul_f64(0.9 + 0.2 * jitter);
    let overload = || Shed::overload(&shared.metrics.shed);
    tokio::select! {
        _ended = serving.as_mut() => return,
        // Closed at once: a peer that has not read its last replies would only have more of them queued.
        () = connection.stopped_reading() => return,
        () = drain.cancelled() => {}
        () = age::reached(age, overload) => {}
        () = connection.idle(limits.idle) => {}
    }
    serving.as_mut().graceful_shutdown();
    tokio::select! {
        _ended = serving => {}
        () = connection.stopped_reading() => {}
        () = connection.idle(LINGER) => {}
    }
}

/// The two ends of a connection, as `Request::remote_addr` and `Request::local_addr` tell handlers. An IPv4 address is one
/// also where it came to a port of both families.
fn connect_info(socket: &TcpStream) -> TcpConnectInfo {
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    TcpConnectInfo {
        local_addr: socket.local_addr().ok().map(canonical),
        remote_addr: socket.peer_addr().ok().map(canonical),
    }
}

/// Reads about [`READ_BEFORE_YIELD`] bytes before its task yields to others. Without it a connection would read all that its
/// socket has, up to its window, before its streams see any of it, and a flood on one connection would hold a worker.
struct YieldingReader {
    from: OwnedReadHalf,
    read: usize,
}

impl AsyncRead for YieldingReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read >= READ_BEFORE_YIELD {
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn others_have_their_turns_while_much_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        peer.write_all(&[0; 4 * READ_BEFORE_YIELD]).await.unwrap();
        let (from, _to) = listener.accept().await.unwrap().0.into_split();
        let mut reading = pin!(async {
            let mut reader = YieldingReader { from, read: 0 };
            for _ in 0..16 {
                reader.read_exact(&mut [0; READ_BEFORE_YIELD / 4]).await.unwrap();
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
