//! The caller's W3C trace context: written into the log lines, and passed on to the services that are called.
#![cfg_attr(feature = "otlp", allow(dead_code, reason = "compiled for its unit tests alone"))]
use super::{Settings, TARGET};
use crate::failure::Failure;
use crate::name::Name;
use http::{HeaderMap, HeaderValue};
use tonic::Code;
use tracing::{Span, Subscriber, field::Empty, info_span};
use tracing_subscriber::util::SubscriberInitExt as _;

const TRACEPARENT: &str = "traceparent";

/// Sends nothing: this build has no exporter.
#[derive(Debug)]
pub struct Exporter(());

impl Exporter {
    /// Does nothing: there is nothing to send.
    pub fn shutdown(self) {}
}

/// Makes `subscriber` the one of this process. The settings are for an exporter, which this build has not.
pub(crate) fn install<S>(subscriber: S, _settings: Settings<'_>) -> Result<Exporter, Failure>
where
    S: Subscriber + Send + Sync + 'static,
{
    subscriber.try_init()?;
    Ok(Exporter(()))
}

/// The context that a call came with, kept with the call and passed on.
#[derive(Clone, Debug)]
pub struct Parent(Option<HeaderValue>);

impl Parent {
    /// The context in the headers of a call that came in.
    pub fn of(headers: &HeaderMap) -> Self {
        Self(headers.get(TRACEPARENT).cloned())
    }
}

/// Writes `parent`, the context of the call that is served, into the headers of an outgoing call.
pub fn inject(parent: Option<&Parent>, _span: &Span, headers: &mut HeaderMap) {
    if let Some(Parent(Some(context))) = parent {
        headers.insert(TRACEPARENT, context.clone());
    }
}

/// The span of a call that came in, for its log lines.
pub fn server_span(name: &Name, headers: &HeaderMap) -> Span {
    let span = info_span!(target: TARGET, "call", rpc = %name, trace_id = Empty);
    if let Some(id) = headers.get(TRACEPARENT).and_then(trace_id) {
        span.record("trace_id", id);
    }
    span
}

/// The span of a call that goes out: that of the call which it serves.
pub fn client_span(_name: &Name) -> Span {
    Span::current()
}

/// Does nothing: no span is sent, so none says how its call ended.
pub(crate) fn record_code(_span: &Span, _code: Code) {}

/// The second field of `00-<32 hex digits>-<16>-<2>`, where it is well-formed.
fn trace_id(parent: &HeaderValue) -> Option<&str> {
    let id = parent.to_str().ok()?.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_read_or_refused() {
        let of = |text| trace_id(&HeaderValue::from_static(text)).map(str::to_owned);
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").as_deref(), Some(id));
        for bad in ["", "00", "00-xyz-1-01", "00-4bf92f3577b34da6a3ce929d0e0e473\"-00f067aa0ba902b7-01"] {
            assert_eq!(of(bad), None);
        }
    }
}
