//! The trace context of W3C, as the header `traceparent` carries it.
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A place in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    /// Whether whoever began the trace wants its spans.
    pub(crate) sampled: bool,
    /// What tracing systems add, passed on as it came.
    pub(crate) state: Option<HeaderValue>,
}

impl TraceContext {
    /// The context in the headers of a call, where it is well-formed.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let (trace_id, span_id, sampled) = parse(headers.get(TRACEPARENT)?.to_str().ok()?)?;
        Some(Self {
            trace_id,
            span_id,
            sampled,
            state: headers.get(TRACESTATE).cloned(),
        })
    }

    /// Writes the context into the headers of a call.
    #[cfg(feature = "otlp")]
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::try_from(self.to_string()) {
            headers.insert(TRACEPARENT, value);
        }
        if let Some(state) = &self.state {
            headers.insert(TRACESTATE, state.clone());
        }
    }

    /// The trace's number as everybody writes it.
    pub(crate) fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

/// Trace, span and whether it is sampled, of `<version>-<32 hex digits>-<16>-<2>`. What a later version adds is not read.
fn parse(text: &str) -> Option<(u128, u64, bool)> {
    let mut fields = text.split('-');
    let mut next = |length| fields.next().filter(|field| field.len() == length && field.bytes().all(is_hex));
    let (version, trace, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
    if version == "ff" || (version == "00" && fields.next().is_some()) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
    let span = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
    Some((trace, span, u8::from_str_radix(flags, 16).ok()? & 1 == 1))
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_read_and_written_or_refused() {
        let read = |text: &'static str| {
            TraceContext::read(&[(TRACEPARENT, HeaderValue::from_static(text))].into_iter().collect())
        };
        for well in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-0000000000000000000000000e0e4736-00f067aa0ba902b7-00",
        ] {
            assert_eq!(read(well).unwrap().to_string(), well);
        }
        let later = read("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more").unwrap();
        assert!(later.sampled && later.trace_id() == "4bf92f3577b34da6a3ce929d0e0e4736");
        for bad in [
            "",
            "00",
            "00-xyz-1-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\"-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
