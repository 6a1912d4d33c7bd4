//! The services that a process serves, by name.
use futures_util::{FutureExt as _, future::ready};
use http::{Request, Response};
use std::{collections::BTreeMap, convert::Infallible};
use tonic::{Status, body::Body, server::NamedService};
use tower::{Service, ServiceExt as _, util::BoxCloneSyncService};

/// The services that a process serves: what the generated `XServer::new` returns, one after the other.
#[derive(Debug, Default)]
pub struct Routes(BTreeMap<&'static str, BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>>);

impl Routes {
    /// Adds a service.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: NamedService + Clone + Send + Sync + 'static,
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>,
    {
        self.0.insert(S::NAME, BoxCloneSyncService::new(service));
        self
    }

    /// The full names of the services, such as `acme.v1.Orders`.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// Calls the service that the path of `request` names.
    pub(crate) fn call(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send + use<> {
        let name = request.uri().path().split('/').nth(1).unwrap_or_default();
        match self.0.get(name) {
            Some(service) => service.clone().oneshot(request).map(|Ok(response)| response).left_future(),
            None => ready(Status::unimplemented(format!("unknown service {name}")).into_http()).right_future(),
        }
    }
}
