//! The gauges that are read when they are scraped: how full the server is.
use crate::limits::MethodLimits;
use crate::locked::Locked;
use crate::shared::Shared;
use crate::{alloc, runtime};
use hotpath_telemetry::Failure;
use prometheus::{Gauge, IntGauge, IntGaugeVec, Opts, Registry};
use std::time::{Duration, Instant};

/// The level of the CPU that this was compiled for, in `hotpath_build_info`.
#[cfg(target_arch = "x86_64")]
const TARGET_CPU: &str = crate::target_cpu::LEVEL;
/// Levels have names on x86-64 alone.
#[cfg(not(target_arch = "x86_64"))]
const TARGET_CPU: &str = "generic";

/// Gauges that follow the server when they are told to.
pub(crate) struct Saturation {
    memory_in_use: IntGauge,
    cpu_busy: IntGauge,
    workers: IntGauge,
    worker_busy_ratio: Gauge,
    blocking_threads: IntGauge,
    /// Only where the allocator says it.
    allocated: Option<IntGauge>,
    resident: Option<IntGauge>,
    in_flight: IntGaugeVec,
    last: Locked<Scrape>,
}

/// What the last scrape saw.
struct Scrape {
    at: Instant,
    /// How long all async workers together had been busy by then.
    busy: Duration,
}

impl Saturation {
    /// Registers the gauges, and sets those that do not change.
    ///
    /// # Errors
    /// If the service registered a metric of the same name.
    pub(crate) fn register(shared: &Shared) -> Result<Self, Failure> {
        let registry = &shared.metrics.registry;
        let limits = &shared.limits;
        let constant = |name, help, value: usize| gauge(registry, name, help).map(|gauge| gauge.set(value as i64));
        constant(
            "hotpath_memory_limit_bytes",
            "What all admitted calls together may take.",
            shared.memory.limit() as usize,
        )?;
        constant(
            "hotpath_memory_budget_bytes",
            "The memory budget that every bound follows from.",
            limits.memory as usize,
        )?;
        constant("hotpath_cpu_width", "CPU work at once.", limits.cpu_width)?;
        constant("hotpath_connections_limit", "Connections at once.", limits.connections)?;
        let method_labels = ["grpc_service", "grpc_method"];
        let in_flight = gauges(registry, "hotpath_in_flight", "Admitted calls.", &method_labels)?;
        let in_flight_limit =
            gauges(registry, "hotpath_in_flight_limit", "Calls that may be admitted at once.", &method_labels)?;
        for_each_method(shared, &in_flight_limit, |limits| limits.in_flight);
        build_info(shared)?;
        method_info(shared)?;
        let [allocated, resident] = alloc::stats().map(|bytes| bytes.is_some());
        Ok(Self {
            memory_in_use: gauge(registry, "hotpath_memory_in_use_bytes", "What the admitted calls may take.")?,
            cpu_busy: gauge(registry, "hotpath_cpu_busy", "CPU work under way.")?,
            workers: gauge(registry, "hotpath_workers", "Async workers.")?,
            worker_busy_ratio: {
                let help = "Part of the time since the last scrape that the async workers were busy.";
                let ratio = Gauge::new("hotpath_worker_busy_ratio", help)?;
                registry.register(Box::new(ratio.clone()))?;
                ratio
            },
            blocking_threads: gauge(registry, "hotpath_blocking_threads", "Threads of the blocking pool.")?,
            allocated: allocated
                .then(|| gauge(registry, "hotpath_allocator_allocated_bytes", "Bytes that the process asked for."))
                .transpose()?,
            resident: resident
                .then(|| gauge(registry, "hotpath_allocator_resident_bytes", "Bytes that the allocator holds."))
                .transpose()?,
            in_flight,
            last: Locked::new(Scrape { at: Instant::now(), busy: Duration::ZERO }),
        })
    }

    /// Reads everything anew.
    pub(crate) fn read(&self, shared: &Shared) {
        let workers = shared.runtime.num_workers();
        self.memory_in_use.set(shared.memory.used() as i64);
        self.cpu_busy.set(shared.cpu.busy() as i64);
        self.workers.set(workers as i64);
        self.worker_busy_ratio.set(self.busy_ratio(shared));
        self.blocking_threads.set(runtime::blocking_threads(workers) as i64);
        for (gauge, bytes) in [&self.allocated, &self.resident].into_iter().zip(alloc::stats()) {
            if let (Some(gauge), Some(bytes)) = (gauge, bytes) {
                gauge.set(bytes as i64);
            }
        }
        for_each_method(shared, &self.in_flight, MethodLimits::taken);
    }

    /// How busy the async workers were since the last scrape, from 0 to 1.
    fn busy_ratio(&self, shared: &Shared) -> f64 {
        let workers = shared.runtime.num_workers();
        let busy = (0..workers).map(|worker| shared.runtime.worker_total_busy_duration(worker)).sum();
        let last = self.last.with(|last| std::mem::replace(last, Scrape { at: Instant::now(), busy }));
        let available = last.at.elapsed().mul_f64(workers as f64);
        (busy.saturating_sub(last.busy).as_secs_f64() / available.as_secs_f64().max(1e-6)).min(1.0)
    }
}

/// `hotpath_build_info`, which is always 1: what was decided is in its labels.
fn build_info(shared: &Shared) -> Result<(), Failure> {
    let state = if shared.stateful { "stateful" } else { "stateless" };
    let info = Opts::new("hotpath_build_info", "What was decided for this build.")
        .const_label("version", shared.version)
        .const_label("revision", shared.revision)
        .const_label("instance_id", &*shared.instance)
        .const_label("allocator", alloc::NAME)
        .const_label("runtime", runtime::NAME)
        .const_label("state", state)
        .const_label("panic", shared.on_panic.label())
        .const_label("target_cpu", TARGET_CPU);
    let info = IntGauge::with_opts(info)?;
    info.set(1);
    Ok(shared.metrics.registry.register(Box::new(info))?)
}

/// `hotpath_method_info`, which is always 1: whether a method answers once or streams is in its label `grpc_type`, which not
/// every dialect has.
fn method_info(shared: &Shared) -> Result<(), Failure> {
    let labels = ["grpc_type", "grpc_service", "grpc_method"];
    let info = gauges(&shared.metrics.registry, "hotpath_method_info", "What kind of method it is.", &labels)?;
    for method in shared.methods.values() {
        let name = &method.name;
        info.with_label_values(&[name.kind, name.service.as_str(), name.method.as_str()]).set(1);
    }
    Ok(())
}

fn for_each_method(shared: &Shared, gauges: &IntGaugeVec, value: fn(&MethodLimits) -> usize) {
    for method in shared.methods.values() {
        let labels = [method.name.service.as_str(), method.name.method.as_str()];
        gauges.with_label_values(&labels).set(value(&method.limits) as i64);
    }
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, Failure> {
    let gauge = IntGauge::new(name, help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Failure> {
    let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}
