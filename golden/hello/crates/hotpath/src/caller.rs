//! Who calls, as the certificate of the connection proves.
use std::fmt;
use std::sync::Arc;
use tonic::{Request, Status};

/// Who calls, as the certificate of the connection proves: a service that takes certificates of its callers
/// ([`Tls::Mutual`](crate::Tls)) finds it in the extensions of every request.
///
/// ```
/// # use hotpath::Caller;
/// # fn demo<T>(request: &tonic::Request<T>) -> Result<(), tonic::Status> {
/// let caller = Caller::of(request)?;
/// if !caller.is("spiffe://acme.example/ns/shop/sa/checkout") {
///     return Err(tonic::Status::permission_denied(format!("{caller} may not")));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    identity: Arc<str>,
    /// The other DNS names of its certificate.
    others: Arc<[String]>,
}

impl Caller {
    /// A caller that is known by `identity`, and by the names in `others` as well.
    #[cfg(feature = "tls")]
    pub(crate) fn new(identity: &str, others: Vec<String>) -> Self {
        Self { identity: identity.into(), others: others.into() }
    }

    /// The caller of `request`.
    ///
    /// # Errors
    /// UNAUTHENTICATED where no certificate proves who it is.
    pub fn of<T>(request: &Request<T>) -> Result<&Self, Status> {
        request.extensions().get().ok_or_else(|| Status::unauthenticated("no certificate says who calls"))
    }

    /// The one URI that the certificate names as its subject (`spiffe://...`); the first of its DNS names where it has no URI.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether this is `name`: the URI, or one of the DNS names where the certificate has no URI.
    pub fn is(&self, name: &str) -> bool {
        *self.identity == *name || self.others.iter().any(|other| other == name)
    }

    /// The identity, for the line of a call that failed.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.identity)
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.identity)
    }
}
