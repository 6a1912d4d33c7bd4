//! Trailers of a call that ends with OK, for which tonic has no API.
use futures_util::{FutureExt as _, TryFutureExt as _, future::BoxFuture};
use http_body::Frame;
use http_body_util::BodyExt as _;
use std::task::{Context, Poll};
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::{body::Body, codegen::Service, server::NamedService};

/// An extension of a response: what its trailers have beside its status.
#[derive(Clone, Debug)]
pub struct Trailers(pub HeaderMap);

/// A service whose responses are sent with their [`Trailers`].
#[derive(Clone, Debug)]
pub struct WithTrailers<S>(pub S);

impl<S: NamedService> NamedService for WithTrailers<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for WithTrailers<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Future: Send + 'static>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request).map_ok(with_trailers).boxed()
    }
}

fn with_trailers(mut response: Response<Body>) -> Response<Body> {
    let Some(Trailers(more)) = response.extensions_mut().remove() else { return response };
    response.map(|body| {
        Body::new(body.map_frame(move |frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                trailers.extend(more.clone());
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        }))
    })
}
