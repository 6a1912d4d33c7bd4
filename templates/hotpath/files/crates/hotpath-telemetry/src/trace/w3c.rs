//! The caller's W3C trace context: written into the log lines, and passed on to the services that are called.
use super::Settings;
use crate::call_span::{CallSpan, UNSAMPLED};
use crate::failure::Failure;
use crate::name::Name;
use crate::trace_context::{TRACEPARENT, TRACESTATE, TraceContext};
use http::{HeaderMap, HeaderValue};
use prometheus::IntCounterVec;
use std::sync::Arc;
use tonic::Code;
use tracing::{Span, Subscriber, info_span};
use tracing_subscriber::util::SubscriberInitExt as _;

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

/// No span is sent, so none is lost.
pub(crate) fn lost() -> Option<IntCounterVec> {
    None
}

/// The context that a call came with, kept with the call and passed on.
#[derive(Clone, Debug)]
pub struct Parent {
    context: Option<HeaderValue>,
    state: Option<HeaderValue>,
}

impl Parent {
    /// The context in the headers of a call that came in.
    pub fn of(headers: &HeaderMap) -> Self {
        Self {
            context: headers.get(TRACEPARENT).cloned(),
            state: headers.get(TRACESTATE).cloned(),
        }
    }
}

/// Writes `parent`, the context of the call that is served, into the headers of an outgoing call.
pub fn inject(parent: Option<&Parent>, _span: &Span, headers: &mut HeaderMap) {
    let Some(Parent { context: Some(context), state }) = parent else { return };
    headers.insert(TRACEPARENT, context.clone());
    if let Some(state) = state {
        headers.insert(TRACESTATE, state.clone());
    }
}

/// The span of a call that came in, for its log lines.
pub fn server_span(name: &Name, headers: &HeaderMap) -> Span {
    let span = info_span!(target: UNSAMPLED, parent: None, "call");
    CallSpan {
        method: Arc::clone(&name.full),
        context: TraceContext::read(headers),
    }
    .attach_to(&span);
    span
}

/// The span of a call that goes out: that of the call which it serves.
pub fn client_span(_name: &Name) -> Span {
    Span::current()
}

/// No span is sent, so no call can be found by its trace.
pub(crate) fn is_sampled(_span: &Span) -> bool {
    false
}

/// The same.
pub(crate) fn trace_id(_span: &Span) -> Option<String> {
    None
}

/// Does nothing: no span is sent, so none says how its call ended.
pub(crate) fn record_code(_span: &Span, _code: Code) {}
