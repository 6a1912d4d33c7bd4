//! How callers reach the service: by plain text, or by TLS with certificates that are made for the run.
#[cfg(feature = "tls")]
use hotpath_certificates::{CALLER, Certificates};
use std::net::SocketAddr;
#[cfg(feature = "tls")]
use std::{fs, path::Path, path::PathBuf};
use tonic::transport::Endpoint;
#[cfg(feature = "tls")]
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// How callers reach the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// By plain text.
    Plain,
    /// By TLS. The service is given certificates that are made for the run, and in `CALLERS` the name of the load test, which
    /// shows a certificate of its own where the service asks for one.
    #[cfg(feature = "tls")]
    Tls,
}

/// What callers and service need to trust each other in one run. The files of certificates last as long as this.
pub struct Trust {
    #[cfg(feature = "tls")]
    certificates: Option<Certificates>,
}

impl Trust {
    #[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "without TLS nothing is made"))]
    pub fn make(transport: Transport) -> Result<Self, String> {
        Ok(Self {
            #[cfg(feature = "tls")]
            certificates: match transport {
                Transport::Plain => None,
                Transport::Tls => Some(Certificates::new().map_err(|error| format!("no certificates: {error}"))?),
            },
        })
    }

    /// The variables that the service is to have.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        #[cfg(feature = "tls")]
        if let Some(certificates) = &self.certificates {
            return environment(certificates);
        }
        Vec::new()
    }

    /// The way to the service that listens at `address`.
    pub fn endpoint(&self, address: SocketAddr) -> Result<Endpoint, String> {
        #[cfg(feature = "tls")]
        if let Some(certificates) = &self.certificates {
            return certificates.endpoint(address).map_err(|error| error.to_string());
        }
        remote(&format!("http://{address}"))
    }
}

/// The way to the service at a URI.
pub fn remote(target: &str) -> Result<Endpoint, String> {
    Endpoint::from_shared(target.to_owned()).map_err(|error| format!("{target} is no URI: {error}"))
}

#[cfg(feature = "tls")]
fn environment(certificates: &Certificates) -> Vec<(&'static str, String)> {
    let callers = ("CALLERS", CALLER.to_owned());
    certificates.settings().into_iter().chain([callers]).collect()
}

/// Makes certificates in `folder`. Returns the variables by which a service uses them, as `env` takes them.
#[cfg(feature = "tls")]
pub fn certificates(folder: &Path) -> Result<String, String> {
    let certificates = Certificates::keep(folder).map_err(|error| error.to_string())?;
    let environment = environment(&certificates).into_iter().map(|(name, value)| format!("{name}={value}"));
    Ok(environment.collect::<Vec<_>>().join(" "))
}

/// What a service that runs already is called with by TLS.
#[cfg(feature = "tls")]
#[derive(clap::Args)]
pub struct Files {
    /// The authority that signed its certificate, in PEM, where the URI begins with https
    #[arg(long, value_name = "FILE", requires = "target")]
    cacert: Option<PathBuf>,
    /// The certificate to show to it, in PEM
    #[arg(long, value_name = "FILE", requires = "key", requires = "cacert")]
    cert: Option<PathBuf>,
    /// The key of that certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

#[cfg(feature = "tls")]
impl Files {
    /// The same way, by TLS where these say whom to trust.
    pub fn trusted(&self, endpoint: Endpoint) -> Result<Endpoint, String> {
        let read = |path: &PathBuf| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let https = endpoint.uri().scheme_str() == Some("https");
        let Some(cacert) = &self.cacert else {
            return if https { Err(format!("{}: --cacert FILE is missing", endpoint.uri())) } else { Ok(endpoint) };
        };
        if !https {
            return Err(format!("{}: --cacert is of use with https:// alone", endpoint.uri()));
        }
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(cacert)?));
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
        }
        endpoint.tls_config(tls).map_err(|error| format!("{}: {error}", cacert.display()))
    }
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_runs_already_is_trusted_by_files() {
        let folder = std::env::temp_dir().join(format!("files-{}", std::process::id()));
        let said = certificates(&folder).unwrap();
        let file = |name: &str| Some(folder.join(name));
        let https = || remote("https://localhost:50051").unwrap();
        let whole = Files {
            cacert: file("ca.crt"),
            cert: file("client.crt"),
            key: file("client.key"),
        };
        let none = Files { cacert: None, cert: None, key: None };
        let (trusted, missing) = (whole.trusted(https()), none.trusted(https()).unwrap_err());
        let plain = whole.trusted(remote("http://localhost:50051").unwrap()).unwrap_err();
        fs::remove_dir_all(&folder).unwrap();
        assert!(said.starts_with("TLS_CERT=") && said.ends_with(&format!(" CALLERS={CALLER}")), "{said}");
        trusted.unwrap();
        assert!(missing.contains("--cacert FILE is missing") && plain.contains("https:// alone"), "{missing} {plain}");
        none.trusted(remote("http://localhost:50051").unwrap()).unwrap();
    }
}
