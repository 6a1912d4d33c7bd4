//! Services by name: all the routing that gRPC needs.
use http::{Request, Response};
use std::{collections::BTreeMap, convert::Infallible, fmt, future::Future, future::poll_fn, pin::Pin};
use tonic::{Status, body::Body, server::NamedService};
use tower_service::Service;

pub(crate) type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// The services that a process serves: what the generated `XServer::new` returns, one after the other.
#[derive(Default)]
pub struct Routes(BTreeMap<&'static str, Box<dyn Route>>);

impl Routes {
    /// Adds a service.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.0.insert(S::NAME, Box::new(service));
        self
    }

    /// The names of the services.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    pub(crate) fn call(&self, request: Request<Body>) -> Answer {
        let name = request.uri().path().split('/').nth(1).unwrap_or_default();
        match self.0.get(name) {
            Some(service) => service.answer(request),
            None => Box::pin(std::future::ready(Status::unimplemented(format!("unknown service {name}")).into_http())),
        }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A service whose type is forgotten.
trait Route: Send + Sync {
    fn answer(&self, request: Request<Body>) -> Answer;
}

impl<S> Route for S
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    fn answer(&self, request: Request<Body>) -> Answer {
        let mut service = self.clone();
        Box::pin(async move {
            let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
            let Ok(response) = service.call(request).await;
            response
        })
    }
}
