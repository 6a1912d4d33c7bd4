//! The saturation of this process, and the registry that `/metrics` reads. Calls are counted in the dialect
//! of the fleet, by `hotpath-telemetry`.
use crate::{Failure, admission::Shed};
use prometheus::register_int_gauge_vec_with_registry as gauges;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use prometheus::{register_histogram_with_registry as histogram, register_int_counter_vec_with_registry as counters};
use prometheus::{register_int_counter_with_registry as counter, register_int_gauge_with_registry as gauge};

/// What is counted as it happens; what can be read at any time is read by the scrape.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    pub(crate) shed: IntCounterVec,
    pub(crate) cpu_wait: Histogram,
    pub(crate) connections: IntGauge,
    pub(crate) refused: IntCounter,
    pub(crate) queue_depth: IntGaugeVec,
    pub(crate) queue_capacity: IntGaugeVec,
    pub(crate) queue_dropped: IntCounterVec,
    pub(crate) snapshots: IntCounterVec,
}

#[rustfmt::skip]
impl Metrics {
    pub(crate) fn new() -> Result<Self, Failure> {
        let registry = Registry::new();
        let wait = HistogramOpts::new("hotpath_cpu_wait_seconds", "Time a call waited for the CPU door.")
            .buckets(vec![0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0]);
        let metrics = Self {
            shed: counters!("hotpath_shed_total", "Calls refused for want of a permit, by what was short.", &["reason"], registry)?,
            cpu_wait: histogram!(wait, registry)?,
            connections: gauge!("hotpath_connections", "Open connections.", registry)?,
            refused: counter!("hotpath_connections_refused_total", "Connections closed at the limit.", registry)?,
            queue_depth: gauges!("hotpath_queue_depth", "Items that wait for the worker.", &["queue"], registry)?,
            queue_capacity: gauges!("hotpath_queue_capacity", "Items that may wait.", &["queue"], registry)?,
            queue_dropped: counters!("hotpath_queue_dropped_total", "Items that found the queue full.", &["queue"], registry)?,
            snapshots: counters!("hotpath_snapshots_total", "Snapshots of the state, by whether they were written.", &["result"], registry)?,
            registry,
        };
        for reason in [Shed::InFlight, Shed::Memory, Shed::Connection, Shed::Queue] {
            metrics.shed.with_label_values(&[reason.reason()]);
        }
        Ok(metrics)
    }

    /// Counts a call that is shed.
    pub(crate) fn shed(&self, because: Shed) -> Shed {
        self.shed.with_label_values(&[because.reason()]).inc();
        because
    }
}
