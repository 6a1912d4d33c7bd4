//! The two vocabularies in which Go services count their gRPC calls, behind one interface.
use crate::failure::Failure;
use crate::faults::Faults;
use crate::name::Name;
use crate::{exemplars, grpc_prometheus, otelgrpc};
use http::Uri;
use prometheus::Registry;
use std::sync::Arc;
use tonic::Code;

/// The names, labels and buckets under which calls are counted: those that the fleet's Go services already use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `grpc_server_handled_total` and its companions, as go-grpc-middleware's Prometheus provider exports them.
    GoGrpcMiddleware,
    /// `rpc_server_call_duration_seconds`, as otelgrpc exports it through OpenTelemetry's Prometheus exporter.
    Otelgrpc,
}

impl Dialect {
    /// The metrics of calls that come in.
    ///
    /// # Errors
    /// If `registry` has them already.
    pub fn server(self, registry: &Registry) -> Result<CallMetrics, Failure> {
        Ok(CallMetrics(match self {
            Self::GoGrpcMiddleware => Families::GoGrpcMiddleware(grpc_prometheus::Families::server(registry)?),
            Self::Otelgrpc => Families::Otelgrpc(otelgrpc::Families::server(registry)?),
        }))
    }

    /// The metrics of calls that go out.
    ///
    /// # Errors
    /// If `registry` has them already.
    pub fn client(self, registry: &Registry) -> Result<CallMetrics, Failure> {
        Ok(CallMetrics(match self {
            Self::GoGrpcMiddleware => Families::GoGrpcMiddleware(grpc_prometheus::Families::client(registry)?),
            Self::Otelgrpc => Families::Otelgrpc(otelgrpc::Families::client(registry)?),
        }))
    }
}

/// The metric families of one side, server or client.
#[derive(Clone, Debug)]
pub struct CallMetrics(Families);

#[derive(Clone, Debug)]
enum Families {
    GoGrpcMiddleware(grpc_prometheus::Families),
    Otelgrpc(otelgrpc::Families),
}

impl CallMetrics {
    /// The series of a method that is served.
    pub fn series(&self, name: &Name) -> Series {
        let counts = match &self.0 {
            Families::GoGrpcMiddleware(families) => Counts::GoGrpcMiddleware(families.series(name)),
            Families::Otelgrpc(families) => Counts::Otelgrpc(families.series(name)),
        };
        Series(Arc::new(OneMethod { counts, faults: Some(Faults::new()) }))
    }

    /// The series of a method that is called at `peer`, which only otelgrpc's dialect names.
    pub fn client_series(&self, name: &Name, peer: &Uri) -> Series {
        let counts = match &self.0 {
            Families::GoGrpcMiddleware(families) => Counts::GoGrpcMiddleware(families.series(name)),
            Families::Otelgrpc(families) => Counts::Otelgrpc(families.client_series(name, peer)),
        };
        Series(Arc::new(OneMethod { counts, faults: None }))
    }
}

/// The series of one method. Cheap to clone; a call costs a few atomic additions.
#[derive(Clone, Debug)]
pub struct Series(Arc<OneMethod>);

#[derive(Debug)]
struct OneMethod {
    counts: Counts,
    /// Only of a method that is served: a failed call of another service fails a call that is served, or matters to nobody.
    faults: Option<Faults>,
}

#[derive(Debug)]
enum Counts {
    GoGrpcMiddleware(grpc_prometheus::Series),
    Otelgrpc(otelgrpc::Series),
}

impl Series {
    /// Counts a call that begins. Otelgrpc's dialect does not.
    pub fn started(&self) {
        if let Counts::GoGrpcMiddleware(series) = &self.0.counts {
            series.started();
        }
    }

    /// Counts messages that were received. Otelgrpc's dialect does not.
    pub fn received(&self, messages: u64) {
        if let Counts::GoGrpcMiddleware(series) = &self.0.counts {
            series.received(messages);
        }
    }

    /// Counts messages that were sent. Otelgrpc's dialect does not.
    pub fn sent(&self, messages: u64) {
        if let Counts::GoGrpcMiddleware(series) = &self.0.counts {
            series.sent(messages);
        }
    }

    /// Counts a call that ended with `code` after so many seconds. The trace of a sampled one is an exemplar.
    pub fn handled(&self, code: Code, seconds: f64, sampled: Option<String>) {
        let histogram = match &self.0.counts {
            Counts::GoGrpcMiddleware(series) => series.handled(code, seconds),
            Counts::Otelgrpc(series) => &series.handled(code, seconds),
        };
        if let Some(trace_id) = sampled {
            exemplars::set(histogram, seconds, &trace_id);
        }
    }

    /// What is said of calls that failed.
    pub(crate) fn faults(&self) -> Option<&Faults> {
        self.0.faults.as_ref()
    }
}
