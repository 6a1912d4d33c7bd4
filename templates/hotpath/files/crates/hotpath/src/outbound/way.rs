//! How the replicas of a called service are spoken to: in plain text, or by TLS.
#[cfg(feature = "tls")]
use crate::tls::Trust;
use crate::{env::Env, socket::Socket};
use hotpath_telemetry::Failure;
use http::{Uri, uri::Scheme};
use std::io;
#[cfg(feature = "tls")]
use std::sync::Arc;
use tokio::net::TcpStream;
#[cfg(feature = "tls")]
use tokio_rustls::rustls::pki_types::ServerName;

/// What TLS needs of the process: who reads its files, and whether the service has a certificate for its port.
#[cfg(feature = "tls")]
pub(crate) type Certificates = (crate::tls::Loader, bool);
/// Nothing, in a build without TLS.
#[cfg(not(feature = "tls"))]
pub(crate) type Certificates = ();

/// How replicas are spoken to. Cheap to clone.
#[derive(Clone)]
pub(super) enum Way {
    /// In plain text.
    Plain,
    /// By TLS. A replica shows a certificate for the name that led to it; the resolver says which of them.
    #[cfg(feature = "tls")]
    Tls { trust: Trust, names: Arc<[ServerName<'static>]> },
}

impl Way {
    /// The way to `addresses`, all of which are `https` or none. `variable` is that of the service.
    ///
    /// # Errors
    /// If TLS lacks a file, or a host's name is none that a certificate could have.
    #[cfg(feature = "tls")]
    pub(super) fn to(
        addresses: &[Uri],
        variable: &str,
        env: &Env,
        (loader, certified): &Certificates,
    ) -> Result<Self, Failure> {
        if !addresses.iter().any(is_https) {
            return Ok(Self::Plain);
        }
        let name = |uri: &Uri| {
            let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            ServerName::try_from(host.clone()).map_err(|_invalid| format!("{variable}: no certificate is for {host:?}"))
        };
        let names = addresses.iter().map(name).collect::<Result<Vec<_>, _>>()?;
        let authorities = format!("{variable}_CA");
        let files = crate::tls::Names { authorities: &[&authorities], own: &[] };
        Ok(Self::Tls {
            trust: Trust::of(files, env, *certified, loader)?,
            names: names.into(),
        })
    }

    /// Plain: a build without TLS has no other addresses.
    ///
    /// # Errors
    /// Never.
    #[cfg(not(feature = "tls"))]
    pub(super) fn to(_: &[Uri], _: &str, _: &Env, (): &Certificates) -> Result<Self, Failure> {
        Ok(Self::Plain)
    }

    /// The scheme of calls.
    pub(super) fn scheme(&self) -> Scheme {
        match self {
            Self::Plain => Scheme::HTTP,
            #[cfg(feature = "tls")]
            Self::Tls { .. } => Scheme::HTTPS,
        }
    }

    /// Makes of a TCP connection one for calls. `name`: which of the names led to its address.
    ///
    /// # Errors
    /// If the replica is not one to be believed.
    #[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "names are for certificates"))]
    pub(super) async fn over(&self, tcp: TcpStream, name: usize) -> io::Result<Socket> {
        match self {
            Self::Plain => Ok(Socket::Plain(tcp)),
            #[cfg(feature = "tls")]
            Self::Tls { trust, names } => {
                let name = names.get(name).or(names.first()).cloned().ok_or(io::ErrorKind::InvalidInput)?;
                Ok(Socket::Tls(Box::new(trust.connect(name, tcp).await?)))
            }
        }
    }
}

/// Whether `uri` asks for TLS.
pub(super) fn is_https(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}
