//! Logs: one JSON object a line on stderr, with the trace id of the call; written synchronously, so that the last line
//! survives an abort. `LOG` filters them, as in `LOG=info,hello=debug`.
use crate::{Env, Failure};
use json_subscriber::fmt;
use std::io;
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// One filter a layer, never two: a filter on a filter is no longer cached per callsite, and every `trace!` inside h2
/// is then evaluated on every call (2.3 times the instructions).
pub(crate) fn init(env: &Env) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(env.text("LOG").unwrap_or("info,h2=warn,hyper=warn"))
        .map_err(|error| format!("LOG: {error}"))?;
    let lines = fmt::layer()
        .flatten_event(true)
        .flatten_current_span_on_top_level(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(io::stderr)
        .with_filter(filter);
    tracing_subscriber::registry().with(lines).try_init()?;
    Ok(())
}
