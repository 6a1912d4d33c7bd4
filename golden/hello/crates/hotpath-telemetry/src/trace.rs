//! Traces: W3C trace context in and out. With the feature `otlp`, spans of the calls are sent to a collector; without it,
//! the caller's context is written into the log lines and passed on as it came.
#[cfg(feature = "otlp")]
mod exported;
#[cfg(feature = "otlp")]
mod lost;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(not(feature = "otlp"))]
mod w3c;

#[cfg(feature = "otlp")]
use otlp as implementation;
#[cfg(not(feature = "otlp"))]
use w3c as implementation;

use tonic::transport::Channel;

pub use implementation::{Exporter, Parent, client_span, inject, server_span};
pub(crate) use implementation::{install, is_sampled, lost, record_code, trace_id};

/// Where the spans go, and what they say of this process. They go nowhere without the feature `otlp`.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// The name of the service.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The revision of its source.
    pub revision: &'static str,
    /// The name of the pod or of the host, where it is known.
    pub instance: Option<&'a str>,
    /// The part of the calls that is sampled, from 0 to 1, where the caller has not decided.
    pub ratio: f64,
    /// Which spans that handlers make inside a call are sent with it, as in `info,service=debug`. None is `info`.
    pub spans: Option<&'a str>,
    /// The URL of the collector, where there is one.
    pub collector: Option<&'a str>,
    /// The way to it, where it is not plain text.
    pub channel: Option<Channel>,
}
