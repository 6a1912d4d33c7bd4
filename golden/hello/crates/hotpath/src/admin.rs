//! The admin port: `/metrics`, `/healthz`, `/readyz`, `/debug/heap`, and gRPC health checks. It has a thread and a runtime
//! of its own, so that a scrape is answered while the workers of calls are saturated, and shows it; and connections of its
//! own, so that probes get in when callers have taken all of theirs.
use crate::alloc;
use crate::saturation::Saturation;
use crate::shared::Shared;
use futures_util::TryFutureExt as _;
use hotpath_telemetry::Failure;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{rt::TokioExecutor, rt::TokioIo, rt::TokioTimer, server::conn::auto};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{net, sync::Arc, thread, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tonic::body::Body;

/// What the pages are but for the metrics, which say it themselves.
const CONTENT_TYPE: &str = "text/plain; charset=utf-8";
/// Scrapes and probes at once, and what is connected beside them.
const CONNECTIONS: usize = 64;
/// How long a connection may stay without a request.
const IDLE: Duration = Duration::from_secs(1);
/// How long a connection keeps its place without a request where others want it.
const GRACE: Duration = Duration::from_millis(100);
/// How long a connection may stay.
const LONGEST: Duration = Duration::from_secs(5);
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
    #[expect(clippy::disallowed_methods, reason = "one thread, for as long as the process lives")]
    thread::Builder::new().name("admin".into()).spawn(move || runtime.block_on(listen(port, &admin)))?;
    Ok(())
}

async fn listen(port: net::TcpListener, admin: &Arc<Admin>) {
    let Ok(port) = TcpListener::from_std(port) else { return };
    let mut connections = Connections::default();
    loop {
        match port.accept().await {
            Ok((socket, _)) => connections.add(socket, admin),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// The connections, the oldest first.
#[derive(Default)]
struct Connections(Vec<Connection>);

struct Connection {
    since: Instant,
    activity: Arc<Activity>,
    task: JoinHandle<()>,
}

impl Connections {
    /// Serves `socket`. Where there are too many, the place is that of the oldest which asks for nothing; if all of them ask
    /// for something, or have only just come, the new one is closed.
    fn add(&mut self, socket: TcpStream, admin: &Arc<Admin>) {
        self.0.retain(|connection| !connection.task.is_finished());
        if self.0.len() >= CONNECTIONS {
            let idle = |other: &Connection| other.since.elapsed() >= GRACE && !other.activity.is_asked();
            let Some(oldest) = self.0.iter().position(idle) else { return };
            self.0.remove(oldest).task.abort();
        }
        let activity = Arc::default();
        #[expect(clippy::disallowed_methods, reason = "bounded in number and in time")]
        let task = tokio::spawn(serve(socket, Arc::clone(admin), Arc::clone(&activity)));
        self.0.push(Connection { since: Instant::now(), activity, task });
    }
}

/// What a connection is asked for.
#[derive(Default)]
struct Activity {
    /// Requests that came.
    came: AtomicUsize,
    /// Requests whose answers are not sent yet.
    under_way: AtomicUsize,
}

impl Activity {
    fn is_asked(&self) -> bool {
        self.under_way.load(Relaxed) > 0
    }

    /// Counts a request until what is returned is dropped.
    fn request(self: &Arc<Self>) -> impl Send + Sync + use<> {
        struct UnderWay(Arc<Activity>);
        impl Drop for UnderWay {
            fn drop(&mut self) {
                self.0.under_way.fetch_sub(1, Relaxed);
            }
        }
        self.came.fetch_add(1, Relaxed);
        self.under_way.fetch_add(1, Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Comes when nothing was asked for [`IDLE`].
    async fn idle(&self) {
        let mut before = 0;
        loop {
            sleep(IDLE).await;
            let came = self.came.load(Relaxed);
            if came == before && !self.is_asked() {
                return;
            }
            before = came;
        }
    }
}

async fn serve(socket: TcpStream, admin: Arc<Admin>, activity: Arc<Activity>) {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().keep_alive(false).timer(TokioTimer::new());
    let requests = Arc::clone(&activity);
    let service = service_fn(move |request| {
        let under_way = requests.request();
        answer(Arc::clone(&admin), request).map_ok(move |response| {
            response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _until_it_is_sent = &under_way;
                    frame
                }))
            })
        })
    });
    tokio::select! {
        _ended = timeout(LONGEST, http.serve_connection(TokioIo::new(socket), service)) => {}
        () = activity.idle() => {}
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
        #[expect(clippy::disallowed_methods, reason = "bounded by the connections, and in time")]
        return Ok(admin.calls.spawn(checked).await?);
    }
    let accept = request.headers().get("accept").and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let (status, content_type, body) = page(request.uri().path(), accept, &admin);
    let headed = Response::builder().header("content-type", content_type).header("content-length", body.len());
    Ok(headed.status(status).body(Body::new(Full::from(body)))?)
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
        "/readyz" if shared.readiness.is_serving() => (StatusCode::OK, b"ok\n".to_vec()),
        "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, b"not ready\n".to_vec()),
        "/debug/heap" => match alloc::profile() {
            Ok(profile) => (StatusCode::OK, profile),
            Err(why) => (StatusCode::NOT_FOUND, format!("{why}\n").into_bytes()),
        },
        _ => (StatusCode::NOT_FOUND, Vec::new()),
    };
    (status, CONTENT_TYPE, body)
}
