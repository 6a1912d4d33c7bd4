//! The golden signals under the names, labels, help and buckets of go-grpc-middleware's Prometheus provider.
use crate::failure::Failure;
use crate::name::Name;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Registry};
use prometheus::{
    register_histogram_vec_with_registry as histograms, register_int_counter_vec_with_registry as counters,
};
use tonic::Code;

/// gRPC's codes by number, in the Go spelling.
#[rustfmt::skip]
const CODES: [&str; 17] = [
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
    "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
    "DataLoss", "Unauthenticated",
];
/// `prometheus.DefBuckets` of client_golang.
pub(crate) const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const LABELS: [&str; 3] = ["grpc_type", "grpc_service", "grpc_method"];

/// The metric families of one side.
#[derive(Clone, Debug)]
pub(crate) struct Families {
    started: IntCounterVec,
    handled: IntCounterVec,
    received: IntCounterVec,
    sent: IntCounterVec,
    seconds: HistogramVec,
}

impl Families {
    /// Of calls that come in.
    ///
    /// # Errors
    /// If `registry` has them already.
    pub(crate) fn server(registry: &Registry) -> Result<Self, Failure> {
        let handling =
            "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.";
        let names = [
            ("grpc_server_started_total", "Total number of RPCs started on the server."),
            (
                "grpc_server_handled_total",
                "Total number of RPCs completed on the server, regardless of success or failure.",
            ),
            ("grpc_server_msg_received_total", "Total number of RPC stream messages received on the server."),
            ("grpc_server_msg_sent_total", "Total number of gRPC stream messages sent by the server."),
            ("grpc_server_handling_seconds", handling),
        ];
        Self::new(registry, names)
    }

    /// Of calls that go out.
    ///
    /// # Errors
    /// If `registry` has them already.
    pub(crate) fn client(registry: &Registry) -> Result<Self, Failure> {
        let handling = "Histogram of response latency (seconds) of the gRPC until it is finished by the application.";
        let names = [
            ("grpc_client_started_total", "Total number of RPCs started on the client."),
            (
                "grpc_client_handled_total",
                "Total number of RPCs completed by the client, regardless of success or failure.",
            ),
            ("grpc_client_msg_received_total", "Total number of RPC stream messages received by the client."),
            ("grpc_client_msg_sent_total", "Total number of gRPC stream messages sent by the client."),
            ("grpc_client_handling_seconds", handling),
        ];
        Self::new(registry, names)
    }

    fn new(registry: &Registry, names: [(&str, &str); 5]) -> Result<Self, Failure> {
        let [started, handled, received, sent, seconds] = names;
        let coded: Vec<&str> = LABELS.into_iter().chain(["grpc_code"]).collect();
        let buckets = HistogramOpts::new(seconds.0, seconds.1).buckets(BUCKETS.to_vec());
        Ok(Self {
            started: counters!(started.0, started.1, &LABELS, registry)?,
            handled: counters!(handled.0, handled.1, &coded, registry)?,
            received: counters!(received.0, received.1, &LABELS, registry)?,
            sent: counters!(sent.0, sent.1, &LABELS, registry)?,
            seconds: histograms!(buckets, &LABELS, registry)?,
        })
    }

    /// The series of one method, all at zero.
    pub(crate) fn series(&self, name: &Name) -> Series {
        let labels = [name.kind, &name.service, &name.method];
        let [kind, service, method] = labels;
        Series {
            started: self.started.with_label_values(&labels),
            received: self.received.with_label_values(&labels),
            sent: self.sent.with_label_values(&labels),
            seconds: self.seconds.with_label_values(&labels),
            handled: CODES.map(|code| self.handled.with_label_values(&[kind, service, method, code])),
        }
    }
}

/// One method's series: a call costs a few atomic additions.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    started: IntCounter,
    received: IntCounter,
    sent: IntCounter,
    seconds: Histogram,
    handled: [IntCounter; 17],
}

impl Series {
    /// Counts a call that begins.
    pub(crate) fn started(&self) {
        self.started.inc();
    }

    /// Counts messages that came.
    pub(crate) fn received(&self, messages: u64) {
        self.received.inc_by(messages);
    }

    /// Counts messages that went.
    pub(crate) fn sent(&self, messages: u64) {
        self.sent.inc_by(messages);
    }

    /// Counts a call that ended, after so many seconds. Returns where the seconds are.
    pub(crate) fn handled(&self, code: Code, seconds: f64) -> &Histogram {
        if let Some(counter) = self.handled.get(code as usize) {
            counter.inc();
        }
        self.seconds.observe(seconds);
        &self.seconds
    }
}
