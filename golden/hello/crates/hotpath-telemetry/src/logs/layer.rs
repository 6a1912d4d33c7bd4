//! The layer that makes log lines of events. Of a span it keeps the typed fields; text is made of them only when a line
//! is written. A line has the fields of all spans that it lies in, and the method and the trace of its call.
use super::Output;
use super::fields::{Fields, Value};
use super::line::Line;
use crate::call_span::CallSpan;
use std::time::SystemTime;
use tracing::field::Visit;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// Writes a line for each event.
pub(crate) struct Lines(pub(crate) &'static Output);

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !CallSpan::is_target(attributes.metadata().target()) {
            keep(context.span(id), |fields| attributes.record(fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).filter(|span| !CallSpan::is_target(span.metadata().target()));
        keep(span, |fields| values.record(fields));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.take_text("message").unwrap_or_default();
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            if let Some(call) = extensions.get::<CallSpan>() {
                describe(call, &mut fields);
            } else if !CallSpan::is_target(span.metadata().target()) {
                fields.set_if_missing("span", || Value::Text(span.name().to_owned()));
                if let Some(others) = extensions.get::<Fields>() {
                    fields.complete_from(others);
                }
            }
        }
        let metadata = event.metadata();
        let (level, target) = (*metadata.level(), metadata.target());
        let line = Line {
            time: SystemTime::now(),
            level,
            target,
            message: &message,
            fields: &fields,
        };
        self.0.writer.put(&line.text(self.0.format));
    }
}

/// Adds what a call says of itself.
fn describe(call: &CallSpan, fields: &mut Fields) {
    fields.set_if_missing("method", || Value::Text(call.method.to_string()));
    if let Some(context) = &call.context {
        fields.set_if_missing("trace_id", || Value::Text(context.trace_id()));
    }
}

/// Keeps what `record` finds with `span`. Code of the service runs in `record`, so no lock is held meanwhile: it may panic.
fn keep<'s, S: LookupSpan<'s>>(span: Option<SpanRef<'s, S>>, record: impl FnOnce(&mut dyn Visit)) {
    let mut fields = Fields::default();
    record(&mut fields);
    let (Some(span), Some(_)) = (span, fields.iter().next()) else { return };
    let mut extensions = span.extensions_mut();
    if let Some(before) = extensions.get_mut::<Fields>() {
        fields.complete_from(before);
    }
    extensions.replace(fields);
}
