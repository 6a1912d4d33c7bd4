//! One connection to a replica of a called service.
use super::settings::Bounds;
use super::silence::Silence;
use super::way::Way;
use crate::limits::HEADER_LIST;
use crate::socket::Socket;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::{
    io, io::IoSlice, net::SocketAddr, pin::Pin, sync::Arc, task::Context, task::Poll, task::ready, time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tonic::body::Body;

/// A connection without traffic is probed by TCP after this time, and again after each of the second. This costs a packet, and
/// no server counts it, as Go's count pings of HTTP/2.
const PROBES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3));
/// How long a replica's machine may take to acknowledge what was sent to it, probes included.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
/// The longest that a replica may take to answer a ping.
const PONG: Duration = Duration::from_secs(10);

/// A connection that calls can be sent on.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) address: SocketAddr,
    requests: http2::SendRequest<Body>,
    /// Calls that have not ended.
    in_flight: AtomicUsize,
    /// It gave a call back. It ends soon, and takes no more until then.
    leaving: AtomicBool,
    silence: Arc<Silence>,
}

impl Connection {
    /// Waits until the replica has let calls end without a word for too long.
    pub(super) async fn silent(&self) {
        self.silence.too_long().await;
    }

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
        self.0.silence.asked(Instant::now());
        self.0.requests.clone().try_send_request(request).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
        if self.0.silence.ended(Instant::now()) {
            self.0.leave();
        }
    }
}

/// Connects to `address`, where the name of this number leads, and waits until it speaks: what a kernel accepts for a process
/// that is about to end, or that has no room, is no connection yet. The future beside it serves the connection; it ends when
/// the peer takes no more calls, or when nobody holds the connection any longer, and calls that are under way then go on.
///
/// # Errors
/// Why it could not be reached, or is not to be believed.
pub(super) async fn connect(
    address: SocketAddr,
    name: usize,
    way: &Way,
    bounds: &Bounds,
) -> io::Result<(Arc<Connection>, impl Future<Output = ()> + Send + 'static)> {
    let connect = async {
        let socket = way.over(dial(address).await?, name).await?;
        let silence = Arc::new(Silence::new(bounds.silent));
        let (greeting, greeted) = oneshot::channel();
        let io = Heard {
            socket,
            silence: Arc::clone(&silence),
            greeting: Some(greeting),
        };
        let (requests, serving) =
            builder(bounds.keepalive).handshake(TokioIo::new(io)).await.map_err(io::Error::other)?;
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
            silence,
        };
        Ok((Arc::new(connection), async move { drop(serving.await) }))
    };
    timeout(bounds.connect, connect).await.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
}

/// A TCP connection that ends when the machine at its other end is gone, whether calls wait or not.
async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, PROBES.0)?;
    sockopt::set_tcp_keepintvl(&socket, PROBES.1)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(&socket, UNACKNOWLEDGED.as_millis() as u32)?;
    Ok(socket)
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "closed before it said anything")
}

/// `keepalive`: how long a call may be quiet before the replica is pinged.
fn builder(keepalive: Duration) -> http2::Builder<Tasks> {
    let mut builder = http2::Builder::new(Tasks);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .max_header_list_size(HEADER_LIST)
        // Only while calls are under way: a Go server closes a connection that is pinged without any.
        .keep_alive_interval(keepalive)
        .keep_alive_timeout(PONG.min(keepalive / 3))
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

/// A byte stream that tells when something comes, and when it does for the first time.
struct Heard {
    socket: Socket,
    silence: Arc<Silence>,
    greeting: Option<oneshot::Sender<()>>,
}

impl AsyncRead for Heard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, into))?;
        if into.filled().len() > before {
            self.silence.heard();
            if let Some(greeting) = self.greeting.take() {
                // Whoever connects may have given up.
                greeting.send(()).ok();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A machine that is gone answers no probe, and acknowledges nothing: the kernel ends the connection in both cases.
    #[tokio::test]
    async fn a_connection_to_a_machine_that_is_gone_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = dial(listener.local_addr().unwrap()).await.unwrap();
        assert!(sockopt::socket_keepalive(&socket).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&socket).unwrap(), PROBES.0);
        assert_eq!(sockopt::tcp_keepintvl(&socket).unwrap(), PROBES.1);
        #[cfg(target_os = "linux")]
        assert_eq!(sockopt::tcp_user_timeout(&socket).unwrap(), 10_000);
    }
}
