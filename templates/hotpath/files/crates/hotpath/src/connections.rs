//! Connections: a bounded number of them, an `accept` that backs off, a drain that ends. A connection must speak HTTP/2
//! soon after it was accepted. It is closed when it is old or idle, when its peer has stopped reading, and at the drain.
use crate::admission::Admission;
use crate::connection_state::{Connection, Peer, RESET_AT};
use crate::deadline::after;
use crate::limits::{CONNECTION_WINDOW, Limits, SEND_BUFFER, STREAM_WINDOW};
use crate::service::CallService;
use crate::shared::Shared;
use crate::socket::{Accepted, Greeted};
use crate::transport::Transport;
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
use std::{pin::Pin, pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpConnectInfo;
use tracing::{info, warn};

/// Calls that were reset before the service has seen them. A caller of 1,000 calls a second with 50 ms for each gives up this
/// many in a stall of 100 ms.
const PENDING_RESETS: usize = 64;
/// Streams on which a peer may break the protocol.
const LOCAL_ERRORS: usize = 128;
/// How long a connection that was told to go may stay without a call: calls already under way to it may still arrive.
const LINGER: Duration = Duration::from_secs(1);
/// How long the end of a connection may take to be written.
const CLOSE: Duration = Duration::from_millis(100);

/// Serves until `drain`, then tells every connection and waits for its calls, at most `limits.drain`. False if calls were
/// cut.
pub(crate) async fn listen(
    listener: TcpListener,
    mut transport: Transport,
    shared: Arc<Shared>,
    drain: CancellationToken,
) -> bool {
    let slots = Arc::new(Semaphore::new(shared.limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = drain.cancelled() => break,
            Some(_ended) = connections.join_next() => continue,
            accepted = transport.accept(&listener) => match accepted {
                Ok(accepted) => accepted,
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
            serve(accepted, &shared, drain).await;
            shared.metrics.connections.dec();
            drop(slot);
        });
    }
    drop((listener, transport));
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
async fn serve(accepted: Accepted, shared: &Arc<Shared>, drain: CancellationToken) {
    let Accepted { mut socket, caller, valid } = accepted;
    let limits = &shared.limits;
    if !matches!(timeout(limits.handshake, socket.speaks_http2()).await, Ok(Ok(true))) {
        return;
    }
    drop(socket.tcp().set_nodelay(true));
    let info = connect_info(socket.tcp());
    let peer = Peer {
        address: socket.tcp().peer_addr().ok(),
        caller: caller.clone(),
    };
    let admission = Admission::new(&shared.memory, &shared.unread, limits.connection_share, &shared.metrics.shed);
    let connection = Arc::new(Connection::new(admission, peer, limits.streams, shared.metrics.streams_full.clone()));
    let service = CallService {
        shared: Arc::clone(shared),
        connection: Arc::clone(&connection),
    };
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(info.clone());
        if let Some(caller) = &caller {
            request.extensions_mut().insert(caller.clone());
        }
        service.call(request)
    });
    // The random keys of std's hasher are random enough to spread reconnections.
    let jitter = (RandomState::new().hash_one(0u8) % 1_000) as f64 / 1_000.0;
    let age = limits.connection_age.mul_f64(0.9 + 0.2 * jitter).min(valid.unwrap_or(Duration::MAX));
    // The last calls of a peer whose certificate has ended have the time of a drain.
    let cut = after(Instant::now(), valid.map(|valid| valid.saturating_add(limits.drain)));
    let mut socket = Greeted::new(socket);
    {
        let serving = builder(&connection, limits).serve_connection(TokioIo::new(&mut socket), service);
        let mut serving = pin!(serving);
        tokio::select! {
            _ended = serving.as_mut() => return,
            // Closed at once: a peer that has not read its last replies would only have more of them queued.
            () = connection.stopped_reading() => return,
            () = drain.cancelled() => {}
            () = sleep(age) => {}
            () = connection.idle(limits.idle) => {}
        }
        serving.as_mut().graceful_shutdown();
        tokio::select! {
            _ended = serving => return,
            () = connection.stopped_reading() => return,
            () = connection.idle(LINGER) => {}
            () = sleep_until(cut) => {}
        }
    }
    // TLS says where its stream ends, so that a peer can tell an end from a cut. hyper does it where it comes to its own end.
    drop(timeout(CLOSE, socket.shutdown()).await);
}

/// HTTP/2 with the bounds of a connection. tonic passes `None` over hyper's safe values for most of these.
fn builder(connection: &Arc<Connection>, limits: &Limits) -> Builder<Streams> {
    let mut http2 = Builder::new(Streams(Arc::clone(connection)));
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
    http2
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
