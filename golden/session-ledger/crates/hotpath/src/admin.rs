//! The admin port: `/metrics` (Prometheus text 0.0.4, as promhttp gives), `/healthz`, `/readyz`. It has a thread and a
//! runtime of its own, so that a scrape is answered, and says so, while the data plane is saturated.
use crate::{App, exposition, shared::Shared};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    io, net,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};
use tokio::{net::TcpListener, runtime::Builder, time::timeout};

/// What the admin port answers from.
pub(crate) struct Pages {
    version: &'static str,
    shared: Arc<Shared>,
    busy: exposition::Busy,
}

impl Pages {
    pub(crate) fn new(app: &App, shared: Arc<Shared>) -> Self {
        Self {
            version: app.version,
            shared,
            busy: exposition::Busy::default(),
        }
    }

    fn answer(&self, path: &str) -> (StatusCode, Vec<u8>) {
        match path {
            "/metrics" => (StatusCode::OK, exposition::text(&self.shared, self.version, &self.busy)),
            "/healthz" => (StatusCode::OK, b"ok\n".to_vec()),
            "/readyz" if self.shared.ready.load(Relaxed) => (StatusCode::OK, b"ok\n".to_vec()),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, b"stopping\n".to_vec()),
            _ => (StatusCode::NOT_FOUND, Vec::new()),
        }
    }
}

/// Answers on `port` until the process ends.
pub(crate) fn spawn(port: net::TcpListener, pages: Pages) -> io::Result<()> {
    port.set_nonblocking(true)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("admin".into()).spawn(move || {
        runtime.block_on(async {
            let Ok(port) = TcpListener::from_std(port) else { return };
            loop {
                // One connection at a time is enough for a scraper, and is a bound.
                let Ok((socket, _)) = port.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let service = service_fn(async |request: Request<Incoming>| {
                    let (status, body) = pages.answer(request.uri().path());
                    let mut response = Response::new(Full::new(bytes::Bytes::from(body)));
                    *response.status_mut() = status;
                    let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                    response.headers_mut().insert("content-type", plain);
                    Ok::<_, Infallible>(response)
                });
                let mut http1 = http1::Builder::new();
                http1.keep_alive(false).timer(TokioTimer::new());
                drop(timeout(Duration::from_secs(5), http1.serve_connection(TokioIo::new(socket), service)).await);
            }
        });
    })?;
    Ok(())
}
