//! What the span of a call carries: its method and its trace, for every log line of the call, and for calls that it makes
//! to other services. Whatever is run in the span, or in a span below it, finds them.
use crate::trace_context::TraceContext;
use std::sync::Arc;
use tracing::{Dispatch, Span, span::Id};
use tracing_subscriber::registry::{LookupSpan as _, Registry};

/// The target of the spans of calls.
pub(crate) const TARGET: &str = "hotpath::call";
/// The target of those that no collector gets. Apart, so that it is decided once for each place in the code, and not once
/// for each call, who is interested in a span.
pub(crate) const UNSAMPLED: &str = "hotpath::call::unsampled";

/// The call of a span.
#[derive(Debug)]
pub(crate) struct CallSpan {
    pub(crate) method: Arc<str>,
    /// None where nobody gave the call a trace.
    pub(crate) context: Option<TraceContext>,
}

impl CallSpan {
    /// Whether spans of `target` are those of calls.
    pub(crate) fn is_target(target: &str) -> bool {
        matches!(target, TARGET | UNSAMPLED)
    }

    /// Makes this the call of `span`, if anybody is interested in the span.
    pub(crate) fn attach_to(self, span: &Span) {
        span.with_subscriber(|(id, dispatch)| {
            if let Some(span) = dispatch.downcast_ref::<Registry>().and_then(|registry| registry.span(id)) {
                span.extensions_mut().replace(self);
            }
        });
    }

    /// What `read` makes of the call that `span` belongs to.
    #[cfg(feature = "otlp")]
    pub(crate) fn of<T>(span: &Span, read: impl FnOnce(&Self) -> T) -> Option<T> {
        span.with_subscriber(|(id, dispatch)| Self::find(dispatch, id, read)).flatten()
    }

    /// The same, of a span that only its number is known of.
    pub(crate) fn find<T>(dispatch: &Dispatch, id: &Id, read: impl FnOnce(&Self) -> T) -> Option<T> {
        let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
        let span = span.scope().find(|span| span.extensions().get::<Self>().is_some())?;
        span.extensions().get::<Self>().map(read)
    }
}
