//! W3C trace context: read from the caller, written into the log lines, passed on to the services that are called.
use crate::Name;
use http::{HeaderMap, HeaderValue};
use tracing::{Span, field::Empty, info_span};

/// The spans of calls, and only these.
pub(crate) const TARGET: &str = "call";
const PARENT: &str = "traceparent";

/// The span of a call that came in, for its log lines.
pub fn server_span(name: &Name, headers: &HeaderMap) -> Span {
    let span = info_span!(target: TARGET, "call", rpc = %name, trace_id = Empty);
    if let Some(id) = headers.get(PARENT).and_then(trace_id) {
        span.record("trace_id", id);
    }
    span
}

/// `00-<32 hex digits>-<16>-<2>`: the 32.
fn trace_id(parent: &HeaderValue) -> Option<&str> {
    let id = parent.to_str().ok()?.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(id)
}

/// The caller's context, to be passed on.
pub fn context(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(PARENT).cloned()
}

/// The span of a call that goes out: the one of the call that it serves.
pub fn client_span(_name: &Name) -> Span {
    Span::current()
}

/// Writes a caller's context into the headers of an outgoing call.
pub fn inject(headers: &mut HeaderMap, parent: HeaderValue) {
    headers.insert(PARENT, parent);
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
