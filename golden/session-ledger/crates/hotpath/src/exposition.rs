//! The text of `/metrics`: the registry, and what is read at the moment of the scrape.
use crate::{admission::Class, alloc, decisions, panics, process_stats::Process, runtime, shared::Shared};
use prometheus::{Encoder as _, TextEncoder};
use std::{
    fmt::Display,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

/// Text in the making: every family has its help and its type, every series a value.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.0 += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn series(&mut self, name: &str, labels: &str, value: impl Display) {
        self.0 += &format!("{name}{labels} {value}\n");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.series(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.series(name, "", value);
    }
}

/// How busy the async workers were since the last scrape.
pub(crate) struct Busy {
    since: Instant,
    /// Microseconds, both.
    last: AtomicU64,
    last_busy: AtomicU64,
}

impl Default for Busy {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            last: AtomicU64::new(0),
            last_busy: AtomicU64::new(0),
        }
    }
}

impl Busy {
    fn ratio(&self, shared: &Shared) -> f64 {
        let workers = shared.runtime.num_workers();
        let busy: u64 =
            (0..workers).map(|worker| shared.runtime.worker_total_busy_duration(worker).as_micros() as u64).sum();
        let now = self.since.elapsed().as_micros() as u64;
        let worked = busy.saturating_sub(self.last_busy.swap(busy, Relaxed));
        let passed = now.saturating_sub(self.last.swap(now, Relaxed)).max(1) * workers as u64;
        (worked as f64 / passed as f64).min(1.0)
    }
}

pub(crate) fn text(shared: &Shared, version: &str, busy: &Busy) -> Vec<u8> {
    let mut page = Page(String::with_capacity(16 << 10));
    calls(&mut page, shared);
    let (workers, process) = (shared.runtime.num_workers(), Process::read());
    page.gauge("hotpath_cpu_width", "CPU work at once.", shared.limits.cpu_width);
    page.gauge("hotpath_cpu_busy", "CPU work under way.", shared.cpu.busy());
    page.gauge("hotpath_connections_limit", "Connections at once.", shared.limits.connections);
    page.gauge("hotpath_workers", "Async workers.", workers);
    page.gauge(
        "hotpath_worker_busy_ratio",
        "Part of the time since the last scrape that the async workers were busy.",
        busy.ratio(shared),
    );
    page.gauge("hotpath_blocking_threads", "Threads of the blocking pool.", runtime::blocking_threads());
    page.gauge("hotpath_memory_budget_bytes", "The memory budget that every bound follows from.", shared.limits.memory);
    page.counter("hotpath_panics_total", "Panics in this process.", panics::count());
    page.family("hotpath_build_info", "gauge", "What was decided for this build.");
    page.series("hotpath_build_info", &decisions::labels(version), 1);
    if let Some(heap) = alloc::stats() {
        page.gauge("hotpath_allocator_allocated_bytes", "Bytes that the process asked for.", heap.allocated);
        page.gauge("hotpath_allocator_resident_bytes", "Bytes that the allocator holds.", heap.resident);
    }
    page.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", process.resident);
    page.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", process.cpu);
    page.gauge("process_open_fds", "Number of open file descriptors.", process.open_fds);
    page.gauge("process_max_fds", "Maximum number of open file descriptors.", process.max_fds);
    page.gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", process.started);
    let mut out = page.0.into_bytes();
    drop(TextEncoder::new().encode(&shared.metrics.registry.gather(), &mut out));
    out
}

fn calls(page: &mut Page, shared: &Shared) {
    page.gauge("hotpath_memory_limit_bytes", "What all admitted calls together may take.", shared.admission.limit());
    page.gauge("hotpath_memory_in_use_bytes", "What the admitted calls may take.", shared.admission.in_use());
    for (name, help, value) in [
        ("hotpath_in_flight", "Admitted calls.", Class::in_flight as fn(&Class) -> usize),
        ("hotpath_in_flight_limit", "Calls that may be admitted at once.", Class::limit),
    ] {
        page.family(name, "gauge", help);
        for method in shared.methods.values() {
            let labels = format!("{{grpc_service=\"{}\",grpc_method=\"{}\"}}", method.name.service, method.name.method);
            page.series(name, &labels, value(&method.class));
        }
    }
}
