//! The saturation of this process, and the registry that `/metrics` reads. Calls are counted by their own recorder.
use crate::failure::Failure;
use crate::{logs, panic, process, trace};
use prometheus::register_int_gauge_vec_with_registry as gauges;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use prometheus::{register_histogram_with_registry as histogram, register_int_counter_vec_with_registry as counters};
use prometheus::{register_int_counter_with_registry as counter, register_int_gauge_with_registry as gauge};

/// What is counted as it happens. What can be read at any time is read when it is scraped.
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
    /// How often a connection came to have all of its streams open.
    pub streams_full: IntCounter,
    /// Items that wait, by queue.
    pub queue_depth: IntGaugeVec,
    /// Items that may wait, by queue.
    pub queue_capacity: IntGaugeVec,
    /// Items that found the queue full, by queue.
    pub queue_dropped: IntCounterVec,
    /// Snapshots of the state, by result.
    pub snapshots: IntCounterVec,
}

#[rustfmt::skip]
impl Metrics {
    /// At zero, also the calls refused for each of `reasons`.
    ///
    /// # Errors
    /// If two metrics have one name.
    pub fn new(reasons: &[&str]) -> Result<Self, Failure> {
        let registry = Registry::new();
        let wait = HistogramOpts::new("hotpath_cpu_wait_seconds", "Time a call waited for a thread to compute on.")
            .buckets(vec![0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0]);
        let metrics = Self {
            shed: counters!("hotpath_shed_total", "Calls refused for want of a permit, by what was short.", &["reason"], registry)?,
            cpu_wait: histogram!(wait, registry)?,
            connections: gauge!("hotpath_connections", "Open connections.", registry)?,
            refused: counter!("hotpath_connections_refused_total", "Connections closed at the limit.", registry)?,
            streams_full: counter!("hotpath_stream_limit_reached_total", "Times a connection had all its streams open: more calls on it wait at the caller.", registry)?,
            queue_depth: gauges!("hotpath_queue_depth", "Items that wait for the worker.", &["queue"], registry)?,
            queue_capacity: gauges!("hotpath_queue_capacity", "Items that may wait.", &["queue"], registry)?,
            queue_dropped: counters!("hotpath_queue_dropped_total", "Items that found the queue full.", &["queue"], registry)?,
            snapshots: counters!("hotpath_snapshots_total", "Snapshots of the state, by whether they were written.", &["result"], registry)?,
            registry,
        };
        process::register(&metrics.registry)?;
        // Of the whole process: they have no server.
        for counter in [panic::counter(), logs::dropped()].into_iter().flatten() {
            metrics.registry.register(Box::new(counter))?;
        }
        if let Some(lost) = trace::lost() {
            metrics.registry.register(Box::new(lost))?;
        }
        for reason in reasons {
            metrics.shed.with_label_values(&[reason]);
        }
        Ok(metrics)
    }
}
