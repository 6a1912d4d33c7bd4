//! The two vocabularies in which Go services count their gRPC calls, behind one interface.
use crate::exemplars::Due;
use crate::failure::Failure;
use crate::faults::Faults;
use crate::name::Name;
use crate::{exemplars, grpc_prometheus, otelgrpc};
use http::Uri;
use prometheus::{IntCounter, IntCounterVec, Registry, register_int_counter_vec_with_registry as counters};
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
        let families = match self {
            Self::GoGrpcMiddleware => Families::GoGrpcMiddleware(grpc_prometheus::Families::server(registry)?),
            Self::Otelgrpc => Families::Otelgrpc(otelgrpc::Families::server(registry)?),
        };
        let help = "Calls ended by the service's own deadline, where their callers would have waited longer.";
        let own_deadlines = counters!("hotpath_own_deadline_total", help, &["grpc_service", "grpc_method"], registry)?;
        Ok(CallMetrics { families, own_deadlines: Some(own_deadlines) })
    }

    /// The metrics of calls that go out.
    ///
    /// # Errors
    /// If `registry` has them already.
    pub fn client(self, registry: &Registry) -> Result<CallMetrics, Failure> {
        let families = match self {
            Self::GoGrpcMiddleware => Families::GoGrpcMiddleware(grpc_prometheus::Families::client(registry)?),
            Self::Otelgrpc => Families::Otelgrpc(otelgrpc::Families::client(registry)?),
        };
        Ok(CallMetrics { families, own_deadlines: None })
    }
}

/// The metric families of one side, server or client.
#[derive(Clone, Debug)]
pub struct CallMetrics {
    families: Families,
    /// Only of calls that are served, in either dialect.
    own_deadlines: Option<IntCounterVec>,
}

#[derive(Clone, Debug)]
enum Families {
    GoGrpcMiddleware(grpc_prometheus::Families),
    Otelgrpc(otelgrpc::Families),
}

impl CallMetrics {
    /// The series of a method that is served.
    pub fn series(&self, name: &Name) -> Series {
        let counts = match &self.families {
            Families::GoGrpcMiddleware(families) => Counts::GoGrpcMiddleware(families.series(name)),
            Families::Otelgrpc(families) => Counts::Otelgrpc(families.series(name)),
        };
        let own_deadlines = self.own_deadlines.as_ref();
        let own_deadline = own_deadlines.map(|family| family.with_label_values(&[&name.service, &name.method]));
        Series(Arc::new(OneMethod {
            counts,
            faults: Some(Faults::new()),
            own_deadline,
            due: Due::default(),
        }))
    }

    /// The series of a method that is called at `peer`, which only otelgrpc's dialect names.
    pub fn client_series(&self, name: &Name, peer: &Uri) -> Series {
        let counts = match &self.families {
            Families::GoGrpcMiddleware(families) => Counts::GoGrpcMiddleware(families.series(name)),
            Families::Otelgrpc(families) => Counts::Otelgrpc(families.client_series(name, peer)),
        };
        Series(Arc::new(OneMethod {
            counts,
            faults: None,
            own_deadline: None,
            due: Due::default(),
        }))
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
    own_deadline: Option<IntCounter>,
    /// When an exemplar was taken last.
    due: Due,
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

    /// Counts a call that ended with `code` after so many seconds. Once a second the trace of
    /// one that was sampled is the exemplar of its bucket: to write one costs more than all other counting of a call.
    pub fn handled(&self, code: Code, seconds: f64, trace_id: Option<impl FnOnce() -> Option<String>>) {
        let (histogram, buckets) = match &self.0.counts {
            Counts::GoGrpcMiddleware(series) => (series.handled(code, seconds), &grpc_prometheus::BUCKETS[..]),
            Counts::Otelgrpc(series) => (&series.handled(code, seconds), &otelgrpc::BUCKETS[..]),
        };
        let Some(trace_id) = trace_id else { return };
        let bucket = buckets.partition_point(|bound| seconds > *bound);
        if self.0.due.is_due(bucket)
            && let Some(trace_id) = trace_id()
        {
            self.0.due.taken(bucket);
            exemplars::set(histogram, seconds, &trace_id);
        }
    }

    /// Counts a call that the service's own deadline ended.
    pub(crate) fn own_deadline(&self) {
        if let Some(count) = &self.0.own_deadline {
            count.inc();
        }
    }

    /// What is said of calls that failed.
    pub(crate) fn faults(&self) -> Option<&Faults> {
        self.0.faults.as_ref()
    }
}
