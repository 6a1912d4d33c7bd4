//! The byte stream of a connection, with TLS or without.
use crate::caller::Caller;
use std::time::Duration;
use std::{io, io::IoSlice, pin::Pin, task::Context, task::Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(feature = "tls")]
use tokio_rustls::TlsStream;

/// What every HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes that are read of a connection before its task yields: a frame of HTTP/2.
const READ_BEFORE_YIELD: usize = 16 << 10;

/// A connection that was accepted, and whose TLS handshake is done where there is one.
pub(crate) struct Accepted {
    pub(crate) socket: Socket,
    /// Who the peer has proven to be; `None` where it was not asked.
    pub(crate) caller: Option<Caller>,
    /// How long the proof holds; `None` where there is none.
    pub(crate) valid: Option<Duration>,
}

/// The byte stream of a connection.
pub(crate) enum Socket {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// The TCP connection beneath.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Reads the preface. False if the peer says something else, or goes.
    ///
    /// # Errors
    /// If the connection is broken.
    pub(crate) async fn speaks_http2(&mut self) -> io::Result<bool> {
        let mut left = &PREFACE[..];
        let mut seen = [0; PREFACE.len()];
        while !left.is_empty() {
            let Some(into) = seen.get_mut(..left.len()) else { return Ok(false) };
            let length = self.read(into).await?;
            let said = into.get(..length).filter(|said| !said.is_empty());
            let Some(rest) = said.and_then(|said| left.strip_prefix(said)) else { return Ok(false) };
            left = rest;
        }
        Ok(true)
    }
}

macro_rules! either {
    ($socket:expr, $inner:ident => $does:expr) => {
        match $socket {
            Socket::Plain($inner) => $does,
            #[cfg(feature = "tls")]
            Socket::Tls($inner) => $does,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_read(cx, into))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        either!(self, inner => inner.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_shutdown(cx))
    }
}

/// A connection whose preface was read, and is read once more by HTTP/2.
///
/// It reads about [`READ_BEFORE_YIELD`] bytes before its task yields to others. Without that a connection would read all that
/// its socket has, up to its window, before its streams see any of it, and a flood on one connection would hold a worker.
pub(crate) struct Greeted<S> {
    socket: S,
    /// What is left of the preface.
    preface: &'static [u8],
    read: usize,
}

impl<S> Greeted<S> {
    pub(crate) fn new(socket: S) -> Self {
        Self { socket, preface: PREFACE, read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.preface.is_empty() {
            let (now, later) = self.preface.split_at(self.preface.len().min(into.remaining()));
            into.put_slice(now);
            self.preface = later;
            return Poll::Ready(Ok(()));
        }
        if self.read >= READ_BEFORE_YIELD {
            self.read = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(cx, into);
        self.read += into.filled().len() - before;
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
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
    use std::{future::poll_fn, pin::pin};
    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    /// A connection, and the peer's end of it.
    async fn connected() -> (TcpStream, Socket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (peer, Socket::Plain(listener.accept().await.unwrap().0))
    }

    #[tokio::test]
    async fn the_preface_is_known_in_pieces_and_anything_else_at_its_first_byte() {
        let (mut peer, mut socket) = connected().await;
        let says = async {
            for piece in PREFACE.chunks(5) {
                peer.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::join!(says, socket.speaks_http2()).1.unwrap());
        let (mut peer, mut socket) = connected().await;
        peer.write_all(b"P_").await.unwrap();
        assert!(!socket.speaks_http2().await.unwrap());
    }

    #[tokio::test]
    async fn others_have_their_turns_while_much_is_read() {
        let (mut peer, socket) = connected().await;
        peer.write_all(&[0; 4 * READ_BEFORE_YIELD]).await.unwrap();
        let mut reading = pin!(async {
            let mut reader = Greeted::new(socket);
            reader.read_exact(&mut [0; PREFACE.len()]).await.unwrap();
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
