//! The golden signals as otelgrpc exports them through OpenTelemetry's Prometheus exporter: `rpc.server.call.duration`
//! of the semantic conventions, in seconds, with their buckets and attributes.
use crate::codes::{is_fault, name};
use crate::failure::Failure;
use crate::name::Name;
use http::Uri;
use prometheus::core::{Collector, Desc};
use prometheus::{Histogram, HistogramOpts, HistogramVec, Registry, proto::MetricFamily};
use tonic::Code;

/// Of the semantic conventions.
pub(crate) const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
#[rustfmt::skip]
const LABELS: [&str; 9] = [
    "rpc_system_name", "rpc_method", "rpc_response_status_code", "error_type", "server_address", "server_port",
    "otel_scope_name", "otel_scope_version", "otel_scope_schema_url",
];

/// The metric family of one side.
#[derive(Clone, Debug)]
pub(crate) struct Families(HistogramVec);

impl Families {
    /// Of calls that come in.
    ///
    /// # Errors
    /// If `registry` has them already.
    pub(crate) fn server(registry: &Registry) -> Result<Self, Failure> {
        let help = "Measures the duration of an incoming Remote Procedure Call (RPC).";
        Self::new(registry, "rpc_server_call_duration_seconds", help)
    }

    /// Of calls that go out.
    ///
    /// # Errors
    /// If `registry` has them already.
    pub(crate) fn client(registry: &Registry) -> Result<Self, Failure> {
        let help = "Measures the duration of an outgoing Remote Procedure Call (RPC).";
        Self::new(registry, "rpc_client_call_duration_seconds", help)
    }

    fn new(registry: &Registry, name: &str, help: &str) -> Result<Self, Failure> {
        let family = HistogramVec::new(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()), &LABELS)?;
        registry.register(Box::new(Sparse(family.clone())))?;
        Ok(Self(family))
    }

    /// The series of a method that is served.
    pub(crate) fn series(&self, name: &Name) -> Series {
        let labels = [name.to_string(), String::new(), String::new()];
        Series { family: self.0.clone(), labels, is_error: is_fault }
    }

    /// The series of a method that is called at `peer`. To a client, every code but OK is an error.
    pub(crate) fn client_series(&self, name: &Name, peer: &Uri) -> Series {
        let port = peer.port().map(|port| port.to_string()).unwrap_or_default();
        let labels = [name.to_string(), peer.host().unwrap_or_default().to_owned(), port];
        Series {
            family: self.0.clone(),
            labels,
            is_error: |code| code != Code::Ok,
        }
    }
}

/// One method's series, made when they are first needed, as OpenTelemetry does.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    family: HistogramVec,
    /// Method, address and port.
    labels: [String; 3],
    is_error: fn(Code) -> bool,
}

impl Series {
    /// Counts a call that ended, after so many seconds. Returns where the seconds are.
    pub(crate) fn handled(&self, code: Code, seconds: f64) -> Histogram {
        let [method, address, port] = &self.labels;
        let error = if (self.is_error)(code) { name(code) } else { "" };
        let scope = ["hotpath", env!("CARGO_PKG_VERSION"), "https://opentelemetry.io/schemas/1.43.0"];
        let labels = ["grpc", method, name(code), error, address, port, scope[0], scope[1], scope[2]];
        let histogram = self.family.with_label_values(&labels);
        histogram.observe(seconds);
        histogram
    }
}

/// Leaves out labels without a value, which OpenTelemetry would not have set.
#[derive(Clone)]
struct Sparse(HistogramVec);

impl Collector for Sparse {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.0.collect();
        for metric in families.iter_mut().flat_map(MetricFamily::mut_metric) {
            let labels = metric.get_label().iter().filter(|label| !label.value().is_empty()).cloned().collect();
            metric.set_label(labels);
        }
        families
    }
}
