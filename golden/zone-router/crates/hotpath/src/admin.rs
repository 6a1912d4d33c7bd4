//! The admin port: `/metrics` (Prometheus text 0.0.4, as promhttp gives), `/healthz`, `/readyz`. It has a thread and a
//! runtime of its own, so that a scrape is answered, and says so, while the data plane is saturated.
use crate::{Locked, alloc, limits::MethodLimits, panics, process::RUNTIME, process::blocking_threads, server::Shared};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Encoder as _, TextEncoder};
use std::sync::{Arc, OnceLock, atomic::Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{convert::Infallible, fs, io, net, thread};
use tokio::{net::TcpListener, runtime::Builder, time::timeout};

/// Answers on `port` until the process ends.
pub(crate) fn spawn(port: net::TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    port.set_nonblocking(true)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let scraped = Locked::new((Instant::now(), Duration::ZERO));
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
                    let (status, body) = answer(request.uri().path(), &shared, &scraped);
                    let mut response = Response::new(Full::new(Bytes::from(body)));
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

/// When the last scrape was, and how long the async workers had been busy by then.
type Scraped = Locked<(Instant, Duration)>;

fn answer(path: &str, shared: &Shared, scraped: &Scraped) -> (StatusCode, Vec<u8>) {
    match path {
        "/metrics" => (StatusCode::OK, metrics(shared, busy_ratio(shared, scraped))),
        "/healthz" => (StatusCode::OK, b"ok\n".to_vec()),
        "/readyz" if shared.ready.load(Relaxed) => (StatusCode::OK, b"ok\n".to_vec()),
        "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, b"stopping\n".to_vec()),
        _ => (StatusCode::NOT_FOUND, Vec::new()),
    }
}

/// A metric that is read when it is asked for: its name, type, help and value.
type Row = (&'static str, &'static str, &'static str, f64);

/// The registry, and what is read at the moment of the scrape.
#[rustfmt::skip]
fn metrics(shared: &Shared, busy: f64) -> Vec<u8> {
    let Shared { limits, memory, runtime, .. } = shared;
    let mut rows = vec![
        ("hotpath_memory_limit_bytes", "gauge", "What all admitted calls together may take.", memory.most as f64),
        ("hotpath_memory_in_use_bytes", "gauge", "What the admitted calls may take.", memory.used() as f64),
        ("hotpath_memory_budget_bytes", "gauge", "The memory budget that every bound follows from.", limits.memory as f64),
        ("hotpath_cpu_width", "gauge", "CPU work at once.", limits.cpu_width as f64),
        ("hotpath_cpu_busy", "gauge", "CPU work under way.", shared.cpu.busy() as f64),
        ("hotpath_connections_limit", "gauge", "Connections at once.", limits.connections as f64),
        ("hotpath_workers", "gauge", "Async workers.", runtime.num_workers() as f64),
        ("hotpath_worker_busy_ratio", "gauge", "Part of the time since the last scrape that the async workers were busy.", busy),
        ("hotpath_blocking_threads", "gauge", "Threads of the blocking pool.", blocking_threads() as f64),
        ("hotpath_panics_total", "counter", "Panics in this process.", panics::count() as f64),
    ];
    rows.extend(process());
    if let Some([allocated, resident]) = alloc::stats() {
        rows.push(("hotpath_allocator_allocated_bytes", "gauge", "Bytes that the process asked for.", allocated as f64));
        rows.push(("hotpath_allocator_resident_bytes", "gauge", "Bytes that the allocator holds.", resident as f64));
    }
    let mut page = String::with_capacity(16 << 10);
    for (name, kind, help, value) in rows {
        page += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
    let families = [
        ("hotpath_in_flight", "Admitted calls.", MethodLimits::taken as fn(&MethodLimits) -> usize),
        ("hotpath_in_flight_limit", "Calls that may be admitted at once.", |limits| limits.in_flight),
    ];
    for (name, help, value) in families {
        page += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
        for method in shared.methods.values() {
            let labels = format!("grpc_service=\"{}\",grpc_method=\"{}\"", method.name.service, method.name.method);
            page += &format!("{name}{{{labels}}} {}\n", value(&method.limits));
        }
    }
    let built = format!("version=\"{}\",allocator=\"{}\",runtime=\"{}\"", shared.version, alloc::NAME, RUNTIME);
    const DECIDED: &str = "state=\"stateless\",panic=\"unwind\",target_cpu=\"x86-64-v2\"";
    let name = "hotpath_build_info";
    page += &format!("# HELP {name} What was decided for this build.\n# TYPE {name} gauge\n{name}{{{built},{DECIDED}}} 1\n");
    let mut page = page.into_bytes();
    drop(TextEncoder::new().encode(&shared.metrics.registry.gather(), &mut page));
    page
}

/// How busy the async workers were since the last scrape.
fn busy_ratio(shared: &Shared, scraped: &Scraped) -> f64 {
    let workers = shared.runtime.num_workers();
    let total = (0..workers).map(|worker| shared.runtime.worker_total_busy_duration(worker)).sum();
    let (at, before) = scraped.with(|last| std::mem::replace(last, (Instant::now(), total)));
    let passed = at.elapsed().mul_f64(workers as f64);
    (total.saturating_sub(before).as_secs_f64() / passed.as_secs_f64().max(1e-6)).min(1.0)
}

static STARTED: OnceLock<f64> = OnceLock::new();

/// This is when the process started, as far as its metrics know.
pub(crate) fn started() -> f64 {
    *STARTED.get_or_init(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()))
}

/// What Go's client library exports about a process, from /proc; zeros where there is none.
#[rustfmt::skip]
#[expect(clippy::disallowed_methods, reason = "/proc never blocks, and the admin thread serves only scrapes")]
fn process() -> [Row; 5] {
    let text = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let field = |text: &str, name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    };
    // After the command's name, which may hold anything, fields 14 and 15: ticks of 10 ms on every Linux.
    let stat = text("stat");
    let times = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 = times.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<f64>().ok()).sum();
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count) as f64;
    [
        ("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", field(&text("status"), "VmRSS:") * 1024.0),
        ("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", ticks / 100.0),
        ("process_open_fds", "gauge", "Number of open file descriptors.", open),
        ("process_max_fds", "gauge", "Maximum number of open file descriptors.", field(&text("limits"), "Max open files")),
        ("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.", started()),
    ]
}
