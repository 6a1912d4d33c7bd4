//! Certificates for the tests of a service, for its load test, and for a developer's machine.
//!
//! [`Certificates`] are an authority, and what it has signed: a certificate for a service on this machine, and one for a
//! caller of it. The key of the authority is written nowhere.
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

/// Whom the certificate names that callers show here.
pub const CALLER: &str = "spiffe://localhost/caller";

/// What the service's certificate is good for.
const SERVICE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How long a certificate is valid: for tests, and until somebody makes others.
const VALID: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Clocks of containers and virtual machines may be a little behind.
const BEHIND: Duration = Duration::from_secs(60 * 60);

/// Why certificates could not be made or written.
pub type Failure = Box<dyn Error + Send + Sync>;

/// An authority, and a folder with what it has signed:
///
/// | file | |
/// |---|---|
/// | `ca.crt` | the authority's own certificate, which both sides trust |
/// | `tls.crt`, `tls.key` | those of the service |
/// | `client.crt`, `client.key` | those of [`CALLER`] |
pub struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    caller: Signed,
    folder: PathBuf,
    /// Removes the folder at the end, where it is one for a while.
    _temporary: Option<TempDir>,
}

/// A certificate and its key, in PEM.
struct Signed {
    certificate: String,
    key: String,
}

impl Certificates {
    /// Makes them in a folder that is removed with them. A service has read them once it has started.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn new() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().to_owned();
        Self::write(path, Some(folder))
    }

    /// Makes them in `folder`, in the place of those that are there.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn keep(folder: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Self::write(folder.to_owned(), None)
    }

    fn write(folder: PathBuf, temporary: Option<TempDir>) -> Result<Self, Failure> {
        let mut params = params(&[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let service = sign(&authority, &SERVICE)?;
        let caller = sign(&authority, &[CALLER])?;
        let certificates = Self { authority, caller, folder, _temporary: temporary };
        let Signed { certificate, key } = &certificates.caller;
        for (file, text) in [
            ("ca.crt", &certificates.authority.pem()),
            ("tls.crt", &service.certificate),
            ("tls.key", &service.key),
            ("client.crt", certificate),
            ("client.key", key),
        ] {
            write_private(&certificates.path(file), text)?;
        }
        Ok(certificates)
    }

    /// Where `file` is, as `ca.crt`.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// The variables by which a service finds its certificate, its key, and the authority of its callers.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        [("TLS_CERT", "tls.crt"), ("TLS_KEY", "tls.key"), ("TLS_CLIENT_CA", "ca.crt")]
            .map(|(variable, file)| (variable, self.path(file).to_string_lossy().into_owned()))
    }

    /// The way to the service at `address`, for [`CALLER`].
    ///
    /// # Errors
    /// If tonic takes none of this for TLS.
    pub fn endpoint(&self, address: SocketAddr) -> Result<Endpoint, Failure> {
        self.trusting(address, Some(&self.caller))
    }

    /// The way to the service at `address`, for a caller whose certificate has `names`: URIs, addresses or DNS names.
    ///
    /// # Errors
    /// If one of the names is none.
    pub fn endpoint_as(&self, names: &[&str], address: SocketAddr) -> Result<Endpoint, Failure> {
        self.trusting(address, Some(&sign(&self.authority, names)?))
    }

    /// The way to the service at `address`, for a caller without a certificate.
    ///
    /// # Errors
    /// If tonic takes none of this for TLS.
    pub fn endpoint_as_nobody(&self, address: SocketAddr) -> Result<Endpoint, Failure> {
        self.trusting(address, None)
    }

    fn trusting(&self, address: SocketAddr, caller: Option<&Signed>) -> Result<Endpoint, Failure> {
        let trust = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.authority.pem()));
        let tls = match caller {
            Some(Signed { certificate, key }) => trust.identity(Identity::from_pem(certificate, key)),
            None => trust,
        };
        Ok(Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?)
    }
}

/// What a certificate says that is valid from now on.
fn params(names: &[&str]) -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::default();
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) if name.contains("://") => SanType::URI((*name).try_into()?),
            Err(_) => SanType::DnsName((*name).try_into()?),
        });
    }
    let now = SystemTime::now();
    params.not_before = (now - BEHIND).into();
    params.not_after = (now + VALID).into();
    Ok(params)
}

fn sign(authority: &CertifiedIssuer<'static, KeyPair>, names: &[&str]) -> Result<Signed, Failure> {
    let key = KeyPair::generate()?;
    Ok(Signed {
        certificate: params(names)?.signed_by(&key, authority)?.pem(),
        key: key.serialize_pem(),
    })
}

/// Writes a file that its owner alone may read.
fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = open.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("{}: {error}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn they_go_with_their_folder_unless_they_are_kept() {
        let certificates = Certificates::new().unwrap();
        let key = certificates.path("tls.key");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let folder = certificates.path("kept");
        let kept = Certificates::keep(&folder).unwrap().path("client.crt");
        let before = fs::read_to_string(&kept).unwrap();
        Certificates::keep(&folder).unwrap();
        assert_ne!(fs::read_to_string(&kept).unwrap(), before, "others take their place");
        drop(certificates);
        assert!(!key.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let certificates = Certificates::new().unwrap();
        let error = Certificates::keep(&certificates.path("tls.crt")).map(drop).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{}: ", certificates.path("tls.crt").display())), "{error}");
    }

    #[tokio::test]
    async fn a_name_that_is_none_is_refused() {
        let certificates = Certificates::new().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        certificates.endpoint(address).unwrap();
        certificates.endpoint_as(&["checkout.shop", "127.0.0.1"], address).unwrap();
        assert!(certificates.endpoint_as(&["spiffe://a/\u{e9}"], address).is_err());
    }
}
