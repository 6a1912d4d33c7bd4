//! What calls to others speak TLS with: the authorities that sign the certificates of those who are called, and the
//! certificate that is shown to who asks for one.
use super::files::{File, Pair, PairText, use_ring};
use super::loader::{Current, Files, Loader};
use crate::env::Env;
use hotpath_telemetry::Failure;
use std::{io, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, crypto::ring};
use tokio_rustls::{TlsConnector, TlsStream};
use tracing::info;

/// What names the authorities of all who are called, where nothing narrower does, and the file where that does not either.
const AUTHORITIES: (&str, &str) = ("TLS_CA", "/etc/tls/ca.crt");

/// The variables that name files for a client: the first that there is counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    /// The authorities. `TLS_CA` comes after them.
    pub(crate) authorities: &'a [&'a str],
    /// A certificate and its key. The service's own come after them.
    pub(crate) own: &'a [(&'a str, &'a str)],
}

/// Whom a client believes, and what it shows. What connects next has what the files hold by then.
#[derive(Clone)]
pub(crate) struct Trust(Current<Arc<ClientConfig>>);

impl Trust {
    /// Reads the files, and has `loader` read them again. The service's own certificate is shown where it has one for its
    /// port (`certified`), or `TLS_CERT` names one.
    ///
    /// # Errors
    /// If a file cannot be read or used: its variable, its path, and why.
    pub(crate) fn of(names: Names<'_>, env: &Env, certified: bool, loader: &Loader) -> Result<Self, Failure> {
        use_ring();
        let authorities = names.authorities.iter().find_map(|variable| File::named(env, variable));
        let (variable, default) = AUTHORITIES;
        let authorities = authorities.unwrap_or_else(|| File::of(env, variable, default));
        let files = ClientFiles { authorities, own: own(names.own, env, certified)? };
        loader.load(files).map(Self)
    }

    /// Makes the handshake with the server `name`, which has to agree to HTTP/2.
    ///
    /// # Errors
    /// If the connection breaks, or the server is not one to be believed.
    pub(crate) async fn connect(&self, name: ServerName<'static>, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let connected = TlsConnector::from(self.0.get()).connect(name, tcp).await;
        let tls = connected.map_err(|error| io::Error::new(error.kind(), format!("TLS: {error}")))?;
        if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
            let why = "TLS: the server does not agree to HTTP/2 (h2) by ALPN";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(tls.into())
    }
}

/// The certificate to show, and its key.
fn own(names: &[(&str, &str)], env: &Env, certified: bool) -> Result<Option<Pair>, Failure> {
    for (certificate, key) in names {
        match (File::named(env, certificate), File::named(env, key)) {
            (None, None) => {}
            (Some(certificate), Some(key)) => return Ok(Some(Pair { certificate, key })),
            (Some(file), None) => return Err(file.refuse(format!("{key} names no key for it"))),
            (None, Some(file)) => return Err(file.refuse(format!("{certificate} names no certificate for it"))),
        }
    }
    let certified = certified || env.text("TLS_CERT").is_some();
    Ok(certified.then(|| Pair::of_service(env)))
}

/// Where the files are.
struct ClientFiles {
    authorities: File,
    own: Option<Pair>,
}

impl Files for ClientFiles {
    type Contents = (Vec<u8>, Option<PairText>);
    type Loaded = Arc<ClientConfig>;

    fn read(&self) -> Result<Self::Contents, Failure> {
        Ok((self.authorities.read()?, self.own.as_ref().map(Pair::read).transpose()?))
    }

    fn load(&self, (authorities, own): &Self::Contents) -> Result<Arc<ClientConfig>, Failure> {
        let roots = self.authorities.authorities(authorities)?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match self.own.as_ref().zip(own.as_ref()) {
            None => builder.with_no_client_auth(),
            Some((pair, text)) => {
                let own = pair.load(text)?;
                builder.with_client_auth_cert(own.chain, own.key).map_err(|error| pair.mismatch(error))?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    fn in_use(&self, _loaded: &Arc<ClientConfig>, again: bool) {
        if again {
            info!(authorities = %self.authorities, "certificates for calls to others reloaded");
        }
    }
}
