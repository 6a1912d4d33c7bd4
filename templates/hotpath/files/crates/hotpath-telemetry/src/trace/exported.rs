//! Which spans are sent to the collector: those of sampled calls, and what handlers make inside of them.
use crate::call_span::{TARGET, UNSAMPLED};
use tracing::{Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

/// The spans of sampled calls; and others that `inside` lets pass, where they are inside of one.
pub(super) struct Exported {
    pub(super) inside: Targets,
}

impl Exported {
    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
            && metadata.target() != UNSAMPLED
            && self.inside.would_enable(metadata.target(), metadata.level())
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Filter<S> for Exported {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        // The context shows the spans that passed here: with none, no call is sampled.
        metadata.target() == TARGET || (self.passes(metadata) && context.lookup_current().is_some())
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match metadata.target() {
            TARGET => Interest::always(),
            _ if self.passes(metadata) => Interest::sometimes(),
            _ => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // The spans of calls are at INFO.
        self.inside.iter().map(|(_, level)| level).chain([LevelFilter::INFO]).max()
    }
}
