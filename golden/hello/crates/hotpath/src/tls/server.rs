//! What the port for calls speaks TLS with.
use super::certificate::Certificate;
use super::files::{File, Pair, PairText};
use super::loader::Files;
use super::metrics::Metrics;
use crate::env::Env;
use hotpath_telemetry::Failure;
use std::sync::Arc;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{ServerConfig, crypto::ring};
use tracing::info;

/// Where the files are.
pub(super) struct ServerFiles {
    own: Pair,
    /// The authorities that sign the certificates of callers; only where callers show theirs.
    clients: Option<File>,
    metrics: Metrics,
}

impl ServerFiles {
    /// Where `env` says that they are. `mutual`: callers show certificates.
    pub(super) fn named(env: &Env, mutual: bool, metrics: Metrics) -> Self {
        Self {
            own: Pair::of_service(env),
            clients: mutual.then(|| File::of(env, "TLS_CLIENT_CA", "/etc/tls/ca.crt")),
            metrics,
        }
    }
}

/// What handshakes are made with.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    leaf: Arc<Certificate>,
}

impl Files for ServerFiles {
    type Contents = (PairText, Option<Vec<u8>>);
    type Loaded = Loaded;

    fn read(&self) -> Result<Self::Contents, Failure> {
        Ok((self.own.read()?, self.clients.as_ref().map(File::read).transpose()?))
    }

    fn load(&self, (own, clients): &Self::Contents) -> Result<Loaded, Failure> {
        let own = self.own.load(own)?;
        let provider = Arc::new(ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match self.clients.as_ref().zip(clients.as_ref()) {
            None => builder.with_no_client_auth(),
            Some((file, text)) => {
                let roots = Arc::new(file.authorities(text)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|error| file.refuse(error))?)
            }
        };
        let config = builder.with_single_cert(own.chain, own.key);
        let mut config = config.map_err(|error| self.own.mismatch(error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        if self.clients.is_some() {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Loaded { config: Arc::new(config), leaf: Arc::new(own.leaf) })
    }

    fn in_use(&self, loaded: &Loaded, again: bool) {
        self.metrics.show(&loaded.leaf);
        if again {
            info!(ends = loaded.leaf.ends, "certificates reloaded");
        }
    }
}
