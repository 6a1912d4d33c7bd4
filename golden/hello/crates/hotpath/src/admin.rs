//! The admin port: `/metrics`, `/healthz`, `/readyz`, `/debug/heap`, and gRPC health checks. It has a thread and a runtime
//! of its own, so that a scrape is answered, and says so, while the data plane is saturated; and connections of its own,
//! so that probes get in when callers have taken all of theirs.
use crate::process::{RUNTIME, blocking_threads};
use crate::{Failure, Locked, alloc, limits::MethodLimits, server::Shared};
use hotpath_telemetry::{Name, Page, logs};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{rt::TokioExecutor, rt::TokioIo, rt::TokioTimer, server::conn::auto};
use std::time::{Duration, Instant};
use std::{io, net, sync::Arc, sync::atomic::Ordering::Relaxed, thread};
use tokio::runtime::{Builder, Handle};
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tonic::body::Body;

/// Scrapes and probes at once.
const CONNECTIONS: usize = 16;
/// The label of `hotpath_build_info`: levels have names on this architecture alone.
#[cfg(target_arch = "x86_64")]
const TARGET_CPU: &str = crate::target_cpu::LEVEL;
#[cfg(not(target_arch = "x86_64"))]
const TARGET_CPU: &str = "generic";
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// Answers on `port` until the process ends. Called on the runtime of the calls.
pub(crate) fn spawn(port: net::TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    port.set_nonblocking(true)?;
    let scraped = Locked::new((Instant::now(), Duration::ZERO));
    let admin = Arc::new(Admin { shared, calls: Handle::current(), scraped });
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
    /// When the last scrape was, and how long the async workers had been busy by then.
    scraped: Locked<(Instant, Duration)>,
}

async fn answer(admin: Arc<Admin>, request: Request<Incoming>) -> Result<Response<Body>, Failure> {
    if request.uri().path() == CHECK {
        // Where calls are served, not here: a process that cannot serve them is not well.
        let checked = admin.shared.routes.call(request.map(Body::new));
        #[expect(clippy::disallowed_methods, reason = "bounded by the slots, and in time")]
        return Ok(admin.calls.spawn(checked).await?);
    }
    let (status, body) = page(request.uri().path(), &admin);
    let plain = Response::builder().header("content-type", "text/plain; version=0.0.4; charset=utf-8");
    Ok(plain.status(status).body(Body::new(Full::from(body)))?)
}

fn page(path: &str, Admin { shared, scraped, .. }: &Admin) -> (StatusCode, Vec<u8>) {
    match path {
        "/metrics" => (StatusCode::OK, metrics(shared, busy_ratio(shared, scraped))),
        "/healthz" => (StatusCode::OK, b"ok\n".to_vec()),
        "/readyz" if shared.ready.load(Relaxed) => (StatusCode::OK, b"ok\n".to_vec()),
        "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, b"stopping\n".to_vec()),
        "/debug/heap" => match alloc::profile() {
            Ok(profile) => (StatusCode::OK, profile),
            Err(why) => (StatusCode::NOT_FOUND, format!("{why}\n").into_bytes()),
        },
        _ => (StatusCode::NOT_FOUND, Vec::new()),
    }
}

/// The registry, and what is read at the moment of the scrape.
#[rustfmt::skip]
fn metrics(shared: &Shared, busy: f64) -> Vec<u8> {
    let Shared { limits, memory, runtime, .. } = shared;
    let mut page = Page::default();
    let mut gauge = |name, help, value| page.metric(name, "gauge", help, value);
    gauge("hotpath_memory_limit_bytes", "What all admitted calls together may take.", memory.most as f64);
    gauge("hotpath_memory_in_use_bytes", "What the admitted calls may take.", memory.used() as f64);
    gauge("hotpath_memory_budget_bytes", "The memory budget that every bound follows from.", limits.memory as f64);
    gauge("hotpath_cpu_width", "CPU work at once.", limits.cpu_width as f64);
    gauge("hotpath_cpu_busy", "CPU work under way.", shared.cpu.busy() as f64);
    gauge("hotpath_connections_limit", "Connections at once.", limits.connections as f64);
    gauge("hotpath_workers", "Async workers.", runtime.num_workers() as f64);
    gauge("hotpath_worker_busy_ratio", "Part of the time since the last scrape that the async workers were busy.", busy);
    gauge("hotpath_blocking_threads", "Threads of the blocking pool.", blocking_threads(runtime.num_workers()) as f64);
    let [allocated, held] = alloc::stats().map(|bytes| bytes.map(|bytes| bytes as f64));
    if let Some(bytes) = allocated { gauge("hotpath_allocator_allocated_bytes", "Bytes that the process asked for.", bytes); }
    if let Some(bytes) = held { gauge("hotpath_allocator_resident_bytes", "Bytes that the allocator holds.", bytes); }
    page.metric("hotpath_panics_total", "counter", "Panics in this process.", logs::panics() as f64);
    let methods = |value: fn(&MethodLimits) -> usize| shared.methods.values().map(move |method| {
        let Name { service, method: name, .. } = &method.name;
        (format!("{{grpc_service=\"{service}\",grpc_method=\"{name}\"}}"), value(&method.limits) as f64)
    });
    page.family("hotpath_in_flight", "gauge", "Admitted calls.", methods(MethodLimits::taken));
    page.family("hotpath_in_flight_limit", "gauge", "Calls that may be admitted at once.", methods(|limits| limits.in_flight));
    let (version, allocator, panic) = (shared.version, alloc::NAME, shared.on_panic.label());
    let state = if shared.stateful { "stateful" } else { "stateless" };
    let built = format!("{{version=\"{version}\",allocator=\"{allocator}\",runtime=\"{RUNTIME}\",state=\"{state}\",panic=\"{panic}\",target_cpu=\"{TARGET_CPU}\"}}");
    page.family("hotpath_build_info", "gauge", "What was decided for this build.", [(built, 1.0)]);
    page.process();
    page.with(&shared.metrics.registry)
}

/// How busy the async workers were since the last scrape.
fn busy_ratio(shared: &Shared, scraped: &Locked<(Instant, Duration)>) -> f64 {
    let workers = shared.runtime.num_workers();
    let total = (0..workers).map(|worker| shared.runtime.worker_total_busy_duration(worker)).sum();
    let (at, before) = scraped.with(|last| std::mem::replace(last, (Instant::now(), total)));
    let passed = at.elapsed().mul_f64(workers as f64);
    (total.saturating_sub(before).as_secs_f64() / passed.as_secs_f64().max(1e-6)).min(1.0)
}
