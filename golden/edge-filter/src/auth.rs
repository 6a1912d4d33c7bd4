//! Who may call. A caller is known by its certificate, and who is not named here is refused, whoever signed it. Health and
//! reflection answer every caller with a valid certificate.
use hotpath::{Caller, Env};
use std::sync::Arc;
use tonic::{Request, Status, service::Interceptor};

/// Those who may call: the URI of their certificate, or one of its DNS names where it has no URI.
const CALLERS: &[&str] = &[
    // "spiffe://cluster.local/ns/checkout/sa/checkout",
];

/// Lets the calls of [`CALLERS`] pass, and of those whom the variable of this name adds where the service runs, with commas
/// between. What one of them may do is for the handlers to say, which find who calls by `Caller::of(&request)?`.
#[derive(Clone)]
pub(crate) struct Allowed(Arc<[String]>);

impl Allowed {
    pub(crate) fn new(env: &Env) -> Self {
        let here = env.text("CALLERS").unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
        Self(CALLERS.iter().copied().chain(here).map(str::to_owned).collect())
    }
}

impl Interceptor for Allowed {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let caller = Caller::of(&request)?;
        if self.0.iter().any(|name| caller.is(name)) {
            return Ok(request);
        }
        Err(Status::permission_denied(format!("{caller} may not call this service")))
    }
}
