//! The saturation of this process, and the registry that `/metrics` reads. The golden signals of calls are in the
//! dialect of the fleet: see the module beside this one.
pub(crate) use crate::grpc_prometheus::{Dialect, Series};
use crate::{Failure, admission::Shed};
use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use std::fmt;

/// A method, as every dialect labels it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// `unary`, `client_stream`, `server_stream` or `bidi_stream`.
    pub(crate) kind: &'static str,
    /// With its package.
    pub(crate) service: String,
    pub(crate) method: String,
}

impl Name {
    /// Whether `line` names it, with or without package and service.
    pub(crate) fn is(&self, line: &str) -> bool {
        self.to_string().strip_suffix(line).is_some_and(|before| before.is_empty() || before.ends_with(['.', '/']))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.method)
    }
}

/// What is counted as it happens; what can be read at any time is read by the scrape.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    pub(crate) shed: IntCounterVec,
    pub(crate) cpu_wait: Histogram,
    pub(crate) connections: IntGauge,
    pub(crate) refused: IntCounter,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, Failure> {
        let registry = Registry::new();
        let shed = IntCounterVec::new(
            Opts::new("hotpath_shed_total", "Calls refused for want of a permit, by what was short."),
            &["reason"],
        )?;
        for reason in [Shed::InFlight, Shed::Memory, Shed::Connection] {
            shed.with_label_values(&[reason.reason()]);
        }
        let cpu_wait = HistogramOpts::new("hotpath_cpu_wait_seconds", "Time a call waited for the CPU door.")
            .buckets(vec![0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0]);
        Ok(Self {
            shed: register(&registry, shed)?,
            cpu_wait: register(&registry, Histogram::with_opts(cpu_wait)?)?,
            connections: register(&registry, IntGauge::new("hotpath_connections", "Open connections.")?)?,
            refused: register(
                &registry,
                IntCounter::new("hotpath_connections_refused_total", "Connections closed at the limit.")?,
            )?,
            registry,
        })
    }

    pub(crate) fn shed(&self, shed: Shed) {
        self.shed.with_label_values(&[shed.reason()]).inc();
    }
}

pub(crate) fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, Failure> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
