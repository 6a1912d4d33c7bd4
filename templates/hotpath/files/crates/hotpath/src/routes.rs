//! The services that a process serves, by name.
use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture, future::ready};
use http::{Request, Response};
use std::{collections::BTreeMap, error::Error, fmt, sync::Arc};
use tonic::{Status, body::Body, server::NamedService};
use tower::{Service, ServiceExt as _};

/// Calls a service.
type Call = Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// The services that a process serves: what the generated `XServer::new` or `XServer::with_interceptor` returns, or a tower
/// layer around it (tonic's `LayerExt::named_layer`), one after the other.
#[derive(Clone, Default)]
pub struct Routes(BTreeMap<&'static str, Call>);

impl Routes {
    /// Adds a service. An error of a layer around it is answered with the status that it holds, or with UNKNOWN.
    #[must_use]
    pub fn with<S, B>(mut self, service: S) -> Self
    where
        S: NamedService + Clone + Send + Sync + 'static,
        S: Service<Request<Body>, Response = Response<B>, Error: Into<Box<dyn Error + Send + Sync>>, Future: Send>,
        B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let call = move |request| {
            let answered = service.clone().oneshot(request);
            let response = |answer: Result<Response<B>, S::Error>| match answer {
                Ok(response) => response.map(Body::new),
                Err(error) => Status::from_error(error.into()).into_http(),
            };
            answered.map(response).boxed()
        };
        self.0.insert(S::NAME, Arc::new(call));
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
            Some(call) => call(request).left_future(),
            None => ready(Status::unimplemented(format!("unknown service {name}")).into_http()).right_future(),
        }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
