//! One connection to a replica of a called service.
use crate::limits::HEADER_LIST;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::{io, net::SocketAddr, pin::Pin, sync::Arc, task::Context, task::Poll, task::ready, time::Duration};
use tokio::io::{AsyncRead, ReadBuf, join};
use tokio::net::{TcpStream, tcp::OwnedReadHalf};
use tokio::{sync::oneshot, time::timeout};
use tonic::body::Body;

/// How long a replica may take to accept a connection and to speak HTTP/2 on it.
const CONNECT: Duration = Duration::from_secs(1);
/// How long a replica may be silent while calls are under way; then it is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long it may take to answer that, and to acknowledge what was sent to it.
const UNANSWERED: Duration = Duration::from_secs(10);

/// A connection that calls can be sent on.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) address: SocketAddr,
    requests: http2::SendRequest<Body>,
    /// Calls that have not ended.
    in_flight: AtomicUsize,
    /// It gave a call back. It ends soon, and takes no more until then.
    leaving: AtomicBool,
}

impl Connection {
    /// Calls that have not ended; none where it takes no more calls.
    pub(super) fn load(&self) -> Option<usize> {
        let usable = !self.leaving.load(Relaxed) && !self.requests.is_closed();
        usable.then(|| self.in_flight.load(Relaxed))
    }

    /// No more calls are to be sent on it.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Relaxed);
    }
}

/// The place of one call on a connection, held until the call has ended.
#[derive(Debug)]
pub(super) struct Place(Arc<Connection>);

impl Place {
    pub(super) fn take(connection: &Arc<Connection>) -> Self {
        connection.in_flight.fetch_add(1, Relaxed);
        Self(Arc::clone(connection))
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.0
    }

    /// Sends a request. The error has it where no byte of it was sent.
    pub(super) async fn send(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Incoming>, TrySendError<http::Request<Body>>> {
        self.0.requests.clone().try_send_request(request).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Connects to `address`, and waits until it speaks: what a kernel accepts for a process that is about to end, or that has
/// no room, is no connection yet. The future beside it serves the connection; it ends when the peer takes no more calls,
/// or when nobody holds the connection any longer, and calls that are under way then go on.
///
/// # Errors
/// Why it could not be reached.
pub(super) async fn connect(address: SocketAddr) -> io::Result<(Arc<Connection>, impl Future<Output = ()> + Send)> {
    let connect = async {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        sockopt::set_socket_keepalive(&socket, true)?;
        sockopt::set_tcp_keepidle(&socket, KEEPALIVE)?;
        sockopt::set_tcp_keepintvl(&socket, UNANSWERED)?;
        #[cfg(target_os = "linux")]
        sockopt::set_tcp_user_timeout(&socket, UNANSWERED.as_millis() as u32)?;
        let (greeting, greeted) = oneshot::channel();
        let (from, to) = socket.into_split();
        let io = TokioIo::new(join(Greeted { from, greeting: Some(greeting) }, to));
        let (requests, serving) = builder().handshake(io).await.map_err(io::Error::other)?;
        let mut serving = Box::pin(serving);
        tokio::select! {
            biased;
            greeted = greeted => greeted.map_err(|_| closed())?,
            _ended = &mut serving => return Err(closed()),
        }
        let connection = Connection {
            address,
            requests,
            in_flight: AtomicUsize::new(0),
            leaving: AtomicBool::new(false),
        };
        Ok((Arc::new(connection), async move { drop(serving.await) }))
    };
    timeout(CONNECT, connect).await.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "closed before it said anything")
}

fn builder() -> http2::Builder<Tasks> {
    let mut builder = http2::Builder::new(Tasks);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .max_header_list_size(HEADER_LIST)
        // Only while calls are under way: a Go server closes a connection that is pinged without any.
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(UNANSWERED)
        .keep_alive_while_idle(false);
    builder
}

/// Runs what hyper does for a connection and for each call on it.
#[derive(Clone, Copy)]
struct Tasks;

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        #[expect(clippy::disallowed_methods, reason = "one a connection, and one a call, which are bounded")]
        tokio::spawn(task);
    }
}

/// Reads from a peer, and tells when the first bytes came.
struct Greeted {
    from: OwnedReadHalf,
    greeting: Option<oneshot::Sender<()>>,
}

impl AsyncRead for Greeted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.from).poll_read(cx, into))?;
        if into.filled().len() > before
            && let Some(greeting) = self.greeting.take()
        {
            // Whoever connects may have given up.
            greeting.send(()).ok();
        }
        Poll::Ready(Ok(()))
    }
}
