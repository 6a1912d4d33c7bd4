//! Files with certificates and keys.
use super::certificate::Certificate;
use crate::env::Env;
use hotpath_telemetry::Failure;
use std::fmt::{self, Display};
use std::time::SystemTime;
use std::{borrow::Cow, fs};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{RootCertStore, crypto::ring};

/// Makes ring the cryptography of whatever speaks TLS in this process. It may have been done.
pub(super) fn use_ring() {
    ring::default_provider().install_default().ok();
}

/// A file, and the variable that names it.
#[derive(Clone, Debug)]
pub(super) struct File {
    variable: Cow<'static, str>,
    path: String,
}

impl Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl File {
    /// The file that `variable` names, or `default`.
    pub(super) fn of(env: &Env, variable: &'static str, default: &str) -> Self {
        Self {
            variable: variable.into(),
            path: env.text(variable).unwrap_or(default).to_owned(),
        }
    }

    /// The file that `variable` names, if there is such a variable.
    pub(super) fn named(env: &Env, variable: &str) -> Option<Self> {
        let path = env.text(variable)?.to_owned();
        Some(Self { variable: variable.to_owned().into(), path })
    }

    /// An error that says which file it is about.
    pub(super) fn refuse(&self, why: impl Display) -> Failure {
        format!("{}={}: {why}", self.variable, self.path).into()
    }

    /// What it holds.
    ///
    /// # Errors
    /// If it cannot be read.
    #[expect(clippy::disallowed_methods, reason = "at the start, and on a thread for work that blocks")]
    pub(super) fn read(&self) -> Result<Vec<u8>, Failure> {
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

    /// The authorities in the file's `text`.
    ///
    /// # Errors
    /// If there are none, or one of them cannot be used.
    pub(super) fn authorities(&self, text: &[u8]) -> Result<RootCertStore, Failure> {
        let mut roots = RootCertStore::empty();
        for authority in self.certificates(text)? {
            roots.add(authority).map_err(|error| self.refuse(error))?;
        }
        Ok(roots)
    }
}

/// Where a certificate and its key are.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) certificate: File,
    pub(super) key: File,
}

/// What a certificate's file and its key's hold.
#[derive(PartialEq, Eq)]
pub(super) struct PairText {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// A certificate that is valid, those between it and its authority, and a key.
pub(super) struct Own {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) leaf: Certificate,
}

impl Pair {
    /// Those of the service.
    pub(super) fn of_service(env: &Env) -> Self {
        Self {
            certificate: File::of(env, "TLS_CERT", "/etc/tls/tls.crt"),
            key: File::of(env, "TLS_KEY", "/etc/tls/tls.key"),
        }
    }

    /// Reads both.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub(super) fn read(&self) -> Result<PairText, Failure> {
        Ok(PairText { certificate: self.certificate.read()?, key: self.key.read()? })
    }

    /// What is in `text`. Whether the key is that of the certificate is for rustls to say.
    ///
    /// # Errors
    /// If one of them is not what it should be, or the certificate has ended.
    pub(super) fn load(&self, text: &PairText) -> Result<Own, Failure> {
        let chain = self.certificate.certificates(&text.certificate)?;
        let leaf = chain.first().map(AsRef::as_ref).unwrap_or_default();
        let leaf = Certificate::read(leaf).map_err(|why| self.certificate.refuse(why))?;
        leaf.check(SystemTime::now()).map_err(|why| self.certificate.refuse(why))?;
        let key = PrivateKeyDer::from_pem_slice(&text.key)
            .map_err(|error| self.key.refuse(format!("no private key in PEM: {error}")))?;
        Ok(Own { chain, key, leaf })
    }

    /// The error where rustls does not take the key for the certificate.
    pub(super) fn mismatch(&self, error: impl Display) -> Failure {
        let File { variable, path } = &self.certificate;
        self.key.refuse(format!("not the key of {variable}={path}: {error}"))
    }
}
