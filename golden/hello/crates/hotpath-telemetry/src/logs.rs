//! Logs: one JSON object a line on stderr, with the trace id of the call; written synchronously, so that the last line
//! survives an abort.
use crate::failure::Failure;
use crate::trace::{self, Exporter};
use json_subscriber::fmt;
use prometheus::IntCounter;
use std::sync::LazyLock;
use std::{backtrace::Backtrace, io, panic::PanicHookInfo, thread};
use tracing::error;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};

/// Of the whole process: a panic hook knows no server.
static PANICS: LazyLock<Option<IntCounter>> =
    LazyLock::new(|| IntCounter::new("hotpath_panics_total", "Panics in this process.").ok());

/// What is written where nothing is said.
const FILTER: &str = "info,h2=warn,hyper=warn,opentelemetry=warn";

/// Sets up the logs that `filter` lets pass, as in `info,hello=debug`, and the spans of calls.
///
/// # Errors
/// If the filter is malformed, or logs are set up already.
pub fn init(filter: Option<&str>, spans: trace::Settings<'_>) -> Result<Exporter, Failure> {
    let filter: Targets = filter.unwrap_or(FILTER).parse().map_err(|error| format!("LOG: {error}"))?;
    // The spans of calls are there at every level: the trace id of a line is theirs.
    let filter = filter.with_target(trace::TARGET, LevelFilter::INFO);
    // One filter a layer, never two: a filter on a filter is no longer cached per callsite, and every `trace!` inside h2
    // is then evaluated on every call (2.3 times the instructions).
    let lines = fmt::layer()
        .flatten_event(true)
        .flatten_current_span_on_top_level(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(io::stderr)
        .with_filter(filter);
    trace::install(tracing_subscriber::registry().with(lines), spans)
}

/// The counter of all panics in this process.
pub(crate) fn panics() -> Option<IntCounter> {
    PANICS.clone()
}

/// Logs a panic, with its backtrace, and counts it.
pub fn panicked(info: &PanicHookInfo<'_>) {
    if let Some(panics) = &*PANICS {
        panics.inc();
    }
    error!(
        panic = info.payload_as_str().unwrap_or("(no message)"),
        location = info.location().map(ToString::to_string),
        thread = thread::current().name().unwrap_or("?"),
        backtrace = %Backtrace::force_capture(),
        "panicked"
    );
}
