//! Services by name: all the routing that gRPC needs.
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
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.0.insert(S::NAME, BoxCloneSyncService::new(service));
        self
    }

    /// The names of the services.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    pub(crate) async fn call(&self, request: Request<Body>) -> Response<Body> {
        let name = request.uri().path().split('/').nth(1).unwrap_or_default();
        let Some(service) = self.0.get(name) else {
            return Status::unimplemented(format!("unknown service {name}")).into_http();
        };
        let Ok(response) = service.clone().oneshot(request).await;
        response
    }
}
