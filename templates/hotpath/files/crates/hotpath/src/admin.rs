//! The admin port: `/metrics`, `/healthz`, `/readyz`, `/debug/heap`, and gRPC health checks. It has a thread and a runtime
//! of its own, so that a scrape is answered while the workers of calls are saturated, and shows it; and connections of its
//! own, so that probes get in when callers have taken all of theirs.
use crate::alloc;
use crate::saturation::Saturation;
use crate::shared::Shared;
use hotpath_telemetry::Failure;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{rt::TokioExecutor, rt::TokioIo, rt::TokioTimer, server::conn::auto};
use std::{net, sync::Arc, sync::atomic::Ordering::Relaxed, thread, time::Duration};
use tokio::runtime::{Builder, Handle};
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tonic::body::Body;

/// What the pages are but for the metrics, which say it themselves.
const CONTENT_TYPE: &str = "text/plain; charset=utf-8";
/// Scrapes and probes at once.
const CONNECTIONS: usize = 16;
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// Answers on `port` until the process ends. Called on the runtime of the calls.
///
/// # Errors
/// If a metric of the service has the name of one of ours, or the thread cannot be started.
pub(crate) fn spawn(port: net::TcpListener, shared: Arc<Shared>) -> Result<(), Failure> {
    port.set_nonblocking(true)?;
    let saturation = Saturation::register(&shared)?;
    let admin = Arc::new(Admin { shared, calls: Handle::current(), saturation });
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("admin".into()).spawn(move || runtime.block_on(listen(port, &admin)))?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "bounded by the slots, and in time")]
async fn listen(port: net::TcpListener, admin: &Arc<Admin>) {
    let Ok(port) = TcpListener::from_std(port) else { return };
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let Ok((socket, _)) = port.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let admin = Arc::clone(admin);
        tokio::spawn(async move {
            let mut http = auto::Builder::new(TokioExecutor::new());
            http.http1().keep_alive(false).timer(TokioTimer::new());
            let service = service_fn(move |request| answer(Arc::clone(&admin), request));
            drop(timeout(Duration::from_secs(5), http.serve_connection(TokioIo::new(socket), service)).await);
            drop(slot);
        });
    }
}

struct Admin {
    shared: Arc<Shared>,
    /// The runtime that calls are served on.
    calls: Handle,
    saturation: Saturation,
}

async fn answer(admin: Arc<Admin>, request: Request<Incoming>) -> Result<Response<Body>, Failure> {
    if request.uri().path() == CHECK {
        // Answered by the runtime that serves calls, not by this one: a process that cannot serve calls is not healthy.
        let checked = admin.shared.routes.call(request.map(Body::new));
        #[expect(clippy::disallowed_methods, reason = "bounded by the slots, and in time")]
        return Ok(admin.calls.spawn(checked).await?);
    }
    let accept = request.headers().get("accept").and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let (status, content_type, body) = page(request.uri().path(), accept, &admin);
    let typed = Response::builder().header("content-type", content_type);
    Ok(typed.status(status).body(Body::new(Full::from(body)))?)
}

/// The status, the content type and the text of a page.
fn page(path: &str, accept: &str, Admin { shared, saturation, .. }: &Admin) -> (StatusCode, &'static str, Vec<u8>) {
    let (status, body) = match path {
        "/metrics" => {
            saturation.read(shared);
            match hotpath_telemetry::page(&shared.metrics.registry, accept) {
                Ok((content_type, metrics)) => return (StatusCode::OK, content_type, metrics.into_bytes()),
                Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n").into_bytes()),
            }
        }
        "/healthz" => (StatusCode::OK, b"ok\n".to_vec()),
        "/readyz" if shared.ready.load(Relaxed) => (StatusCode::OK, b"ok\n".to_vec()),
        "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, b"stopping\n".to_vec()),
        "/debug/heap" => match alloc::profile() {
            Ok(profile) => (StatusCode::OK, profile),
            Err(why) => (StatusCode::NOT_FOUND, format!("{why}\n").into_bytes()),
        },
        _ => (StatusCode::NOT_FOUND, Vec::new()),
    };
    (status, CONTENT_TYPE, body)
}
