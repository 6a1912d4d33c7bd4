//! Handshakes: a bounded number at once, each bounded in time, and none on the way of another.
use super::certificate::Certificate;
use super::files::use_ring;
use super::loader::{Current, Loader};
use super::metrics::{End, Metrics};
use super::server::{Loaded, ServerFiles};
use crate::env::Env;
use crate::socket::{Accepted, Socket};
use hotpath_telemetry::{Failure, Limiter};
use prometheus::Registry;
use std::collections::VecDeque;
use std::io::ErrorKind::InvalidData;
use std::net::SocketAddr;
use std::sync::{Arc, Once};
use std::time::{Duration, SystemTime};
use std::{future::pending, io};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConnection;
use tracing::warn;

/// Handshakes at once, unless a setting says otherwise. One takes up to some 64 KiB, while a peer sends the longest
/// message that rustls takes.
const PLACES: usize = 128;
/// How long a handshake keeps its place where others want it. An honest peer's is over by then.
const GRACE: Duration = Duration::from_millis(100);
/// Bytes that a connection keeps encrypted for a peer that does not read them.
const UNREAD: usize = 32 << 10;
/// The first byte of every TLS connection: a record of a handshake.
const HANDSHAKE_RECORD: u8 = 22;

/// Accepts connections, and passes on those whose handshake is done.
pub(crate) struct Handshakes {
    maker: Arc<Maker>,
    /// Those under way. Each ends with the connection, if it is one for calls.
    under_way: JoinSet<Option<Accepted>>,
    /// When those under way began, the oldest first.
    begun: VecDeque<(Instant, AbortHandle)>,
    most: usize,
}

impl Handshakes {
    /// Reads the certificates, and has `loader` read them again. `mutual`: callers show certificates. A handshake may take as
    /// long as `limit`.
    ///
    /// # Errors
    /// If they cannot be used, or a setting is malformed.
    pub(crate) fn prepare(
        mutual: bool,
        env: &Env,
        limit: Duration,
        registry: &Registry,
        loader: &Loader,
    ) -> Result<Self, Failure> {
        use_ring();
        let most = env.get("TLS_HANDSHAKES", PLACES)?.max(1);
        let metrics = Metrics::register(registry)?;
        let current = loader.load(ServerFiles::named(env, mutual, metrics.clone()))?;
        let maker = Maker {
            current,
            metrics,
            limit,
            mutual,
            plaintext: Once::new(),
            lines: Limiter::new(1, Duration::from_secs(10)),
        };
        Ok(Self {
            maker: Arc::new(maker),
            under_way: JoinSet::new(),
            begun: VecDeque::new(),
            most,
        })
    }

    /// The next connection whose handshake is done. May be dropped and called anew: no handshake is lost.
    ///
    /// # Errors
    /// If the listener cannot accept.
    pub(crate) async fn accept(&mut self, listener: &TcpListener) -> io::Result<Accepted> {
        loop {
            // Where all places are taken, a new connection waits in the kernel until the oldest handshake has had its time.
            let oldest = self.begun.front().map(|(begun, _)| *begun + GRACE).filter(|_| self.begun.len() >= self.most);
            let room = oldest.is_none_or(|ends| ends <= Instant::now());
            tokio::select! {
                Some(ended) = self.under_way.join_next() => {
                    self.begun.retain(|(_, handshake)| !handshake.is_finished());
                    if let Ok(Some(accepted)) = ended {
                        return Ok(accepted);
                    }
                }
                accepted = listener.accept(), if room => self.begin(accepted?.0),
                () = until(oldest), if !room => {}
            }
        }
    }

    /// Begins a handshake, in the place of the oldest where all are taken.
    fn begin(&mut self, socket: TcpStream) {
        self.begun.retain(|(_, handshake)| !handshake.is_finished());
        if self.begun.len() >= self.most
            && let Some((_, oldest)) = self.begun.pop_front()
        {
            oldest.abort();
            self.maker.metrics.ended(End::Displaced);
        }
        #[expect(clippy::disallowed_methods, reason = "bounded in number and in time")]
        let handshake = self.under_way.spawn(Arc::clone(&self.maker).make(socket));
        self.begun.push_back((Instant::now(), handshake));
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

/// Makes handshakes.
struct Maker {
    current: Current<Loaded>,
    metrics: Metrics,
    /// How long one may take.
    limit: Duration,
    /// Whether callers show certificates.
    mutual: bool,
    /// Whether it was said that a peer spoke plain text.
    plaintext: Once,
    /// How often it is said why a handshake was refused.
    lines: Limiter,
}

impl Maker {
    /// Makes the handshake of one connection. `None` where it does not come to one.
    async fn make(self: Arc<Self>, socket: TcpStream) -> Option<Accepted> {
        let _under_way = UnderWay::new(&self.metrics);
        let peer = socket.peer_addr().ok();
        let made = timeout(self.limit, self.negotiate(socket)).await.unwrap_or(Err((End::Late, None)));
        let (end, accepted) = match made {
            Ok(accepted) => (End::Done, Some(accepted)),
            Err((end, why)) => {
                self.tell(end, why, peer);
                (end, None)
            }
        };
        self.metrics.ended(end);
        accepted
    }

    /// Says why a handshake failed, if the peer is likely to be one that should get in.
    fn tell(&self, end: End, why: Option<String>, peer: Option<SocketAddr>) {
        let peer = peer.map(tracing::field::display);
        match end {
            End::Plaintext => self.plaintext.call_once(|| {
                warn!(peer, "a peer spoke plain text to the TLS port; others are counted, and not said");
            }),
            End::Refused => {
                if let Some(suppressed) = self.lines.pass() {
                    warn!(peer, error = why, suppressed, "TLS handshake refused");
                }
            }
            _ => {}
        }
    }

    async fn negotiate(&self, socket: TcpStream) -> Result<Accepted, (End, Option<String>)> {
        let mut first = [0];
        match socket.peek(&mut first).await {
            Ok(1) if first == [HANDSHAKE_RECORD] => {}
            Ok(1) => return Err((End::Plaintext, None)),
            _ => return Err((End::Gone, None)),
        }
        socket.set_nodelay(true).ok();
        let acceptor = TlsAcceptor::from(self.current.get().config);
        let limit_buffer = |connection: &mut ServerConnection| connection.set_buffer_limit(Some(UNREAD));
        let tls = acceptor.accept_with(socket, limit_buffer).await.map_err(|error| match error.kind() {
            InvalidData => (End::Refused, Some(error.to_string())),
            _ => (End::Gone, None),
        })?;
        let refused = |why: &str| (End::Refused, Some(why.to_owned()));
        let connection = tls.get_ref().1;
        if connection.alpn_protocol() != Some(b"h2") {
            return Err(refused("the peer did not offer HTTP/2 (h2) by ALPN"));
        }
        let proof = connection.peer_certificates().and_then(<[_]>::first);
        let (caller, valid) = match proof {
            Some(leaf) if self.mutual => {
                let leaf = Certificate::read(leaf).map_err(|why| refused(&why))?;
                let valid = leaf.left(SystemTime::now());
                (Some(leaf.into_caller().map_err(|why| refused(&why))?), Some(valid))
            }
            // rustls has refused peers without a certificate; this does too, whatever rustls does.
            None if self.mutual => return Err(refused("the peer showed no certificate")),
            _ => (None, None),
        };
        Ok(Accepted { socket: Socket::Tls(Box::new(tls.into())), caller, valid })
    }
}

/// Counts a handshake as under way until it is dropped.
struct UnderWay(Metrics);

impl UnderWay {
    fn new(metrics: &Metrics) -> Self {
        metrics.under_way.inc();
        Self(metrics.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.dec();
    }
}
