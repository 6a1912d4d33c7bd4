//! The saturation of this process, and the registry that `/metrics` reads. Calls are counted in the dialect of the fleet.
use crate::Failure;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Registry};
use prometheus::{register_histogram_with_registry as histogram, register_int_counter_vec_with_registry as counters};
use prometheus::{register_int_counter_with_registry as counter, register_int_gauge_with_registry as gauge};

/// What is counted as it happens; what can be read at any time is read by the scrape.
#[derive(Debug)]
pub struct Metrics {
    /// All of them, and the service's own.
    pub registry: Registry,
    /// Calls refused, by reason.
    pub shed: IntCounterVec,
    /// Seconds that calls waited for a thread to compute on.
    pub cpu_wait: Histogram,
    /// Open connections.
    pub connections: IntGauge,
    /// Connections closed at the limit.
    pub refused: IntCounter,
}

#[rustfmt::skip]
impl Metrics {
    /// At zero, also the calls refused for each of `reasons`.
    ///
    /// # Errors
    /// If two metrics have one name.
    pub fn new(reasons: &[&str]) -> Result<Self, Failure> {
        let registry = Registry::new();
        let wait = HistogramOpts::new("hotpath_cpu_wait_seconds", "Time a call waited for the CPU door.")
            .buckets(vec![0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0]);
        let metrics = Self {
            shed: counters!("hotpath_shed_total", "Calls refused for want of a permit, by what was short.", &["reason"], registry)?,
            cpu_wait: histogram!(wait, registry)?,
            connections: gauge!("hotpath_connections", "Open connections.", registry)?,
            refused: counter!("hotpath_connections_refused_total", "Connections closed at the limit.", registry)?,
            registry,
        };
        for reason in reasons {
            metrics.shed.with_label_values(&[reason]);
        }
        Ok(metrics)
    }
}
