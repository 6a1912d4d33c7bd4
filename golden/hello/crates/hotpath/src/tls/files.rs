//! The files with the certificate, its key and the authorities, and what rustls makes of them.
use super::certificate::Certificate;
use crate::env::Env;
use hotpath_telemetry::Failure;
use std::time::SystemTime;
use std::{fs, sync::Arc};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};

/// A file, and the variable that names it.
#[derive(Clone, Debug)]
struct File {
    variable: &'static str,
    path: String,
}

impl File {
    fn of(env: &Env, variable: &'static str, default: &str) -> Self {
        Self {
            variable,
            path: env.text(variable).unwrap_or(default).to_owned(),
        }
    }

    /// An error that says which file it is about.
    fn refuse(&self, why: impl std::fmt::Display) -> Failure {
        format!("{}={}: {why}", self.variable, self.path).into()
    }

    #[expect(clippy::disallowed_methods, reason = "at the start, and on a thread for work that blocks")]
    fn read(&self) -> Result<Vec<u8>, Failure> {
        fs::read(&self.path).map_err(|error| self.refuse(error))
    }

    /// The certificates in the file's `text`.
    fn certificates(&self, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Failure> {
        let certificates: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(text).collect();
        let certificates = certificates.map_err(|error| self.refuse(format!("not PEM: {error}")))?;
        if certificates.is_empty() {
            return Err(self.refuse("no certificate in it: it holds blocks of PEM that begin with BEGIN CERTIFICATE"));
        }
        Ok(certificates)
    }
}

/// Where the files are.
#[derive(Clone, Debug)]
pub(super) struct Files {
    certificate: File,
    key: File,
    /// The authorities that sign the certificates of callers; only where callers show theirs.
    clients: Option<File>,
}

/// What the files hold.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    clients: Option<Vec<u8>>,
}

/// What handshakes are made with.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    pub(super) leaf: Arc<Certificate>,
}

impl Files {
    /// Where `env` says that they are. `mutual`: callers show certificates.
    pub(super) fn named(env: &Env, mutual: bool) -> Self {
        Self {
            certificate: File::of(env, "TLS_CERT", "/etc/tls/tls.crt"),
            key: File::of(env, "TLS_KEY", "/etc/tls/tls.key"),
            clients: mutual.then(|| File::of(env, "TLS_CLIENT_CA", "/etc/tls/ca.crt")),
        }
    }

    /// Reads all of them.
    ///
    /// # Errors
    /// Which cannot be read, and why.
    pub(super) fn read(&self) -> Result<Contents, Failure> {
        Ok(Contents {
            certificate: self.certificate.read()?,
            key: self.key.read()?,
            clients: self.clients.as_ref().map(File::read).transpose()?,
        })
    }

    /// Makes of `contents` what handshakes need, if they fit each other.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub(super) fn load(&self, contents: &Contents) -> Result<Loaded, Failure> {
        let chain = self.certificate.certificates(&contents.certificate)?;
        let leaf = chain.first().map(AsRef::as_ref).unwrap_or_default();
        let leaf = Certificate::read(leaf).map_err(|why| self.certificate.refuse(why))?;
        leaf.check(SystemTime::now()).map_err(|why| self.certificate.refuse(why))?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|error| self.key.refuse(format!("no private key in PEM: {error}")))?;
        let provider = Arc::new(ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match self.clients.as_ref().zip(contents.clients.as_ref()) {
            None => builder.with_no_client_auth(),
            Some((file, text)) => {
                let mut roots = RootCertStore::empty();
                for authority in file.certificates(text)? {
                    roots.add(authority).map_err(|error| file.refuse(error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|error| file.refuse(error))?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            self.key.refuse(format!("not the key of {}={}: {error}", self.certificate.variable, self.certificate.path))
        })?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        if self.clients.is_some() {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Loaded { config: Arc::new(config), leaf: Arc::new(leaf) })
    }
}
