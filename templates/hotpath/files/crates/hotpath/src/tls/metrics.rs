//! What is counted of handshakes and certificates.
use super::certificate::Certificate;
use hotpath_telemetry::Failure;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use std::time::{SystemTime, UNIX_EPOCH};

/// How a handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The connection is one for calls.
    Done,
    /// The peer went before it was done.
    Gone,
    /// The peer took too long.
    Late,
    /// The peer said nothing for a while, and another took its place.
    Displaced,
    /// The peer spoke plain text.
    Plaintext,
    /// Certificates, versions or protocols did not fit.
    Refused,
}

impl End {
    const ALL: [Self; 6] = [Self::Done, Self::Gone, Self::Late, Self::Displaced, Self::Plaintext, Self::Refused];

    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Gone => "gone",
            Self::Late => "late",
            Self::Displaced => "displaced",
            Self::Plaintext => "plaintext",
            Self::Refused => "refused",
        }
    }
}

/// What is counted.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    handshakes: IntCounterVec,
    pub(super) under_way: IntGauge,
    not_before: IntGauge,
    not_after: IntGauge,
}

impl Metrics {
    /// All of them at zero.
    ///
    /// # Errors
    /// If the service registered a metric of the same name.
    pub(super) fn register(registry: &Registry) -> Result<Self, Failure> {
        let counter = |name, help| {
            let counter = IntCounterVec::new(Opts::new(name, help), &["result"])?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let gauge = |name, help| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        let metrics = Self {
            handshakes: counter("hotpath_tls_handshakes_total", "TLS handshakes, by how they ended.")?,
            under_way: gauge("hotpath_tls_handshakes", "TLS handshakes under way.")?,
            not_before: gauge(
                "hotpath_tls_certificate_not_before_seconds",
                "When the certificate in use began, in seconds since 1970.",
            )?,
            not_after: gauge(
                "hotpath_tls_certificate_not_after_seconds",
                "When the certificate in use ends, in seconds since 1970.",
            )?,
        };
        for end in End::ALL {
            metrics.handshakes.with_label_values(&[end.label()]);
        }
        Ok(metrics)
    }

    /// Counts the end of a handshake.
    pub(super) fn ended(&self, end: End) {
        self.handshakes.with_label_values(&[end.label()]).inc();
    }

    /// Shows how long the certificate in use is valid.
    pub(super) fn show(&self, leaf: &Certificate) {
        self.not_before.set(seconds(leaf.not_before));
        self.not_after.set(seconds(leaf.not_after));
    }
}

/// Counts looks at files that had changed, by whether they could be used.
#[derive(Clone, Debug)]
pub(super) struct Reloads(IntCounterVec);

impl Reloads {
    /// Both of them at zero.
    ///
    /// # Errors
    /// Never; prometheus would refuse a malformed name.
    pub(super) fn new() -> Result<Self, Failure> {
        let (name, help) = (
            "hotpath_tls_reloads_total",
            "Times that changed certificate files were read, by whether they could be used.",
        );
        let reloads = Self(IntCounterVec::new(Opts::new(name, help), &["result"])?);
        for used in [false, true] {
            reloads.counter(used);
        }
        Ok(reloads)
    }

    /// Shows them in `registry`.
    ///
    /// # Errors
    /// If it has a metric of the same name.
    pub(super) fn register(&self, registry: &Registry) -> Result<(), Failure> {
        Ok(registry.register(Box::new(self.0.clone()))?)
    }

    /// Counts one.
    pub(super) fn count(&self, used: bool) {
        self.counter(used).inc();
    }

    fn counter(&self, used: bool) -> IntCounter {
        self.0.with_label_values(&[if used { "used" } else { "failed" }])
    }
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
