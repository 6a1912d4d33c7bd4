//! Certificates for tests: authorities, what they sign, and the folder in which Kubernetes shows it to a container.
use crate::support::pb::fixture_client::FixtureClient;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::{cell::Cell, fs, io, net::SocketAddr};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring};
use tokio_rustls::{TlsConnector, rustls};
use tonic::transport::{Channel, Endpoint};

/// Who a client of a test is, unless the test says otherwise.
pub const CHECKOUT: &str = "spiffe://acme.example/ns/shop/sa/checkout";

/// An authority that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub struct Signed {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for URIs, DNS names and IP addresses.
    pub fn sign(&self, names: &[&str]) -> Signed {
        self.sign_until(names, SystemTime::now() + Duration::from_secs(3_600))
    }

    /// The same, which ends at `end`.
    pub fn sign_until(&self, names: &[&str], end: SystemTime) -> Signed {
        let mut params = CertificateParams::default();
        let name = |name: &&str| match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) if name.contains("://") => SanType::URI((*name).try_into().unwrap()),
            Err(_) => SanType::DnsName((*name).try_into().unwrap()),
        };
        params.subject_alt_names = names.iter().map(name).collect();
        params.not_after = end.into();
        let key = KeyPair::generate().unwrap();
        Signed {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

/// What a client speaks TLS with: whom it trusts, and who it is.
pub fn client_config(trusted: &Authority, own: Option<&Signed>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(Signed { certificate, key }) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// What a server by hand speaks TLS with, and the protocols that it agrees to.
pub fn serves(Signed { certificate, key }: &Signed, protocols: &[&[u8]]) -> ServerConfig {
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

/// A TLS connection to a server that calls itself `localhost`.
pub async fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::clone(config)).connect(name, TcpStream::connect(address).await?).await
}

/// A client that speaks TLS. It connects at its first call.
pub fn dial(address: SocketAddr, config: &Arc<ClientConfig>) -> FixtureClient<Channel> {
    let config = Arc::clone(config);
    let connector = tower::service_fn(move |_uri: http::Uri| {
        let config = Arc::clone(&config);
        async move { connect(address, &config).await.map(TokioIo::new) }
    });
    FixtureClient::new(Endpoint::from_static("http://fixture").connect_with_connector_lazy(connector))
}

/// Why a client whose handshake failed says that it did.
pub fn is_certificate_error(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(error, Some(rustls::Error::InvalidCertificate(_)))
}

/// A secret as Kubernetes mounts it: each file is a link through `..data`, and a change swaps that link alone.
pub struct Secret {
    folder: TempDir,
    versions: Cell<usize>,
}

impl Secret {
    pub fn new(signed: &Signed, authorities: &[&Authority]) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for file in ["tls.crt", "tls.key", "ca.crt"] {
            symlink(format!("..data/{file}"), folder.path().join(file)).unwrap();
        }
        let secret = Self { folder, versions: Cell::new(0) };
        secret.swap(signed, authorities);
        secret
    }

    /// The secret is this from now on.
    pub fn swap(&self, signed: &Signed, authorities: &[&Authority]) {
        let version = format!("..version_{}", self.versions.replace(self.versions.get() + 1));
        let folder = self.folder.path();
        fs::create_dir(folder.join(&version)).unwrap();
        let authorities: String = authorities.iter().map(|authority| authority.pem()).collect();
        for (file, text) in [("tls.crt", &signed.certificate), ("tls.key", &signed.key), ("ca.crt", &authorities)] {
            fs::write(folder.join(&version).join(file), text).unwrap();
        }
        symlink(version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    }

    /// One file is this from now on, whatever the others are.
    pub fn write(&self, file: &str, text: &str) {
        let fresh = self.folder.path().join("fresh");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, self.folder.path().join("..data").join(file)).unwrap();
    }

    pub fn path(&self, file: &str) -> String {
        self.folder.path().join(file).to_str().unwrap().to_owned()
    }

    /// The settings that name its files, with a look at them every 20 ms.
    pub fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("TLS_CERT", self.path("tls.crt")),
            ("TLS_KEY", self.path("tls.key")),
            ("TLS_CLIENT_CA", self.path("ca.crt")),
            ("TLS_RELOAD_MS", "20".into()),
        ]
    }
}
