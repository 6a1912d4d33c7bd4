//! How connections come in: plain, or by TLS.
use crate::host::Host;
use crate::socket::{Accepted, Socket};
#[cfg(feature = "tls")]
use crate::tls::Handshakes;
use hotpath_telemetry::Failure;
use std::io;
use tokio::net::TcpListener;

/// Whether the port for calls speaks TLS. The admin port never does: probes and scrapes have no certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Plain text.
    None,
    /// TLS with the certificate in the file `TLS_CERT` and the key in `TLS_KEY`: callers know whom they call.
    #[cfg(feature = "tls")]
    Server,
    /// The same, and each caller shows a certificate that an authority in the file `TLS_CLIENT_CA` has signed: handlers find
    /// in [`Caller`](crate::Caller) who calls.
    #[cfg(feature = "tls")]
    Mutual,
}

/// Accepts connections.
pub(crate) struct Transport {
    #[cfg(feature = "tls")]
    handshakes: Option<Handshakes>,
}

impl Transport {
    /// Reads what `tls` needs, before a service that may take its time to start.
    ///
    /// # Errors
    /// If a certificate, its key or the authorities cannot be used.
    #[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "without TLS nothing is read"))]
    pub(crate) fn prepare(tls: Tls, host: &Host) -> Result<Self, Failure> {
        #[cfg(feature = "tls")]
        let prepare = |mutual| {
            let Host { env, limits, metrics, loader, .. } = host;
            Handshakes::prepare(mutual, env, limits.handshake, &metrics.registry, loader)
        };
        Ok(Self {
            #[cfg(feature = "tls")]
            handshakes: match tls {
                Tls::None => None,
                Tls::Server => Some(prepare(false)?),
                Tls::Mutual => Some(prepare(true)?),
            },
        })
    }

    /// The next connection. May be dropped and called anew: no connection is lost.
    ///
    /// # Errors
    /// If the listener cannot accept.
    pub(crate) async fn accept(&mut self, listener: &TcpListener) -> io::Result<Accepted> {
        #[cfg(feature = "tls")]
        if let Some(handshakes) = &mut self.handshakes {
            return handshakes.accept(listener).await;
        }
        let socket = Socket::Plain(listener.accept().await?.0);
        Ok(Accepted { socket, caller: None, valid: None })
    }
}
