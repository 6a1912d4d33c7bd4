//! Traces: W3C trace context in and out. With the feature `otlp`, spans of the calls are sent to a collector; without it,
//! the caller's context is written into the log lines and passed on as it came.
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(any(test, not(feature = "otlp")))]
mod w3c;

#[cfg(feature = "otlp")]
use otlp as implementation;
#[cfg(not(feature = "otlp"))]
use w3c as implementation;

pub use implementation::{Exporter, Parent, client_span, inject, server_span};
pub(crate) use implementation::{install, record_code};

/// The target of the spans of calls, which are the only ones that are traced.
pub(crate) const TARGET: &str = "call";

/// Where the spans go. Nowhere without the feature `otlp`.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The name of the service.
    pub name: &'static str,
    /// The part of the calls that is sampled, from 0 to 1, where the caller has not decided.
    pub ratio: f64,
    /// The URL of the collector, where there is one.
    pub collector: Option<&'a str>,
}
