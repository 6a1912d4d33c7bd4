//! Logs: a line on stderr for each event, with the method and the trace id of its call. A thread of its own writes them,
//! so that an output which nobody reads holds up no call: what finds its buffer full is dropped, and counted.
mod fields;
mod layer;
mod line;
mod writer;

use crate::call_span::TARGET;
use crate::failure::Failure;
use crate::filter;
use crate::trace::{self, Exporter};
use fields::{Fields, Value};
use layer::Lines;
pub use line::Format;
use line::Line;
use prometheus::IntCounter;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, SystemTime};
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};
use writer::Writer;

/// What is written where nothing is said.
const FILTER: &str = "info";
/// How long the end of the process waits for what is still to be written.
const FLUSH: Duration = Duration::from_secs(1);

/// Of the whole process, as its output is.
static DROPPED: LazyLock<Option<IntCounter>> = LazyLock::new(|| {
    let help = "Log lines dropped because nobody read the output of the process fast enough.";
    IntCounter::new("hotpath_log_lines_dropped_total", help).ok()
});
static OUTPUT: OnceLock<Output> = OnceLock::new();

/// Where lines go, and how they look.
struct Output {
    writer: Writer,
    format: Format,
    filter: Targets,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// What passes, as in `info,hello=debug`. None is `info`.
    pub filter: Option<&'a str>,
    /// `json` or `text`. None is text where a person reads it, at a terminal, and JSON elsewhere.
    pub format: Option<&'a str>,
}

/// Sets up the logs, and the spans of calls.
///
/// # Errors
/// If a setting is malformed, or logs are set up already.
pub fn init(logs: Settings<'_>, spans: trace::Settings<'_>) -> Result<Exporter, Failure> {
    let filter = targets(logs.filter.unwrap_or(FILTER))?;
    let format = format(logs.format)?;
    let dropped = DROPPED.clone().ok_or("the counter of dropped log lines")?;
    let writer = Writer::start(io::stderr(), dropped, dropped_line)?;
    let output = OUTPUT.get_or_init(|| Output { writer, format, filter: filter.clone() });
    // One filter a layer, never two: a filter on a filter is no longer cached per callsite, and every `trace!` inside h2
    // is then evaluated on every call (2.3 times the instructions).
    trace::install(tracing_subscriber::registry().with(Lines(output).with_filter(filter)), spans)
}

/// Waits until all lines are written, for a second at most. False if some are not.
pub fn flush() -> bool {
    OUTPUT.get().is_none_or(|output| output.writer.flush(FLUSH))
}

/// Logs `message` with fields that may be JSON objects, which a field of `tracing` cannot be. `target` says where it is from,
/// as [`module_path!`] does; it passes the filter at level INFO, or is not written.
pub fn info<'a>(
    target: &'a str,
    message: &'a str,
    fields: impl IntoIterator<Item = (&'static str, serde_json::Value)>,
) {
    let Some(output) = OUTPUT.get().filter(|output| output.filter.would_enable(target, &Level::INFO)) else { return };
    let mut named = Fields::default();
    for (name, value) in fields {
        named.set(
            name,
            match value {
                serde_json::Value::String(text) => Value::Text(text),
                value => Value::Json(value),
            },
        );
    }
    let line = Line {
        time: SystemTime::now(),
        level: Level::INFO,
        target,
        message,
        fields: &named,
    };
    output.writer.put(&line.text(output.format));
}

/// Writes an error that ends the process, or keeps it from starting, also where logs are not set up. It does not go
/// through `tracing`, whose locks may be held. Waits until it is written, for a second at most where logs are set up.
pub fn last_words(message: &str, fields: impl IntoIterator<Item = (&'static str, String)>) {
    let mut named = Fields::default();
    for (name, value) in fields {
        named.set(name, Value::Text(value));
    }
    let (time, level, target) = (SystemTime::now(), Level::ERROR, "hotpath");
    let line = Line { time, level, target, message, fields: &named };
    match OUTPUT.get() {
        Some(output) => output.writer.put_last(&line.text(output.format), FLUSH),
        // Nobody can be told that even this fails.
        None => drop(io::stderr().write_all(line.text(of_terminal()).as_bytes())),
    }
}

/// The counter of lines that were dropped.
pub(crate) fn dropped() -> Option<IntCounter> {
    DROPPED.clone()
}

/// What passes. The spans of calls do at every level: the trace id of a line is theirs.
fn targets(text: &str) -> Result<Targets, Failure> {
    let targets = filter::quieted(text, LevelFilter::WARN).map_err(|error| format!("LOG={text}: {error}"))?;
    Ok(targets.with_target(TARGET, LevelFilter::INFO))
}

fn format(setting: Option<&str>) -> Result<Format, Failure> {
    match setting {
        None => Ok(of_terminal()),
        Some("json") => Ok(Format::Json),
        Some("text") => Ok(Format::Text { colour: io::stderr().is_terminal() && takes_colours() }),
        Some(other) => Err(format!("LOG_FORMAT={other}: not json, nor text").into()),
    }
}

fn of_terminal() -> Format {
    if io::stderr().is_terminal() { Format::Text { colour: takes_colours() } } else { Format::Json }
}

/// The convention of <https://no-color.org>.
fn takes_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The line that says how many lines are not there.
fn dropped_line(lines: u64) -> String {
    let mut fields = Fields::default();
    fields.set("lines", Value::Uint(lines.into()));
    let message = "log lines were dropped: nobody read them fast enough";
    let line = Line {
        time: SystemTime::now(),
        level: Level::WARN,
        target: "hotpath",
        message,
        fields: &fields,
    };
    line.text(OUTPUT.get().map_or(Format::Json, |output| output.format))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quiet_unless_they_are_named() {
        let passes = |text: &str, target: &str, level: Level| targets(text).unwrap().would_enable(target, &level);
        for text in ["info", "debug", "trace", "debug,service=trace"] {
            assert!(passes(text, "service", Level::INFO) && passes(text, "hyper_util::client", Level::WARN), "{text}");
            assert!(!passes(text, "h2::codec", Level::INFO) && !passes(text, "hyper", Level::DEBUG), "{text}");
        }
        assert!(passes("debug", "service", Level::DEBUG) && passes("h2=trace", "h2::codec", Level::TRACE));
        assert!(
            passes("debug,h2=debug", "h2::codec", Level::DEBUG) && !passes("debug,h2=debug", "hyper", Level::DEBUG)
        );
        assert!(!passes("error", "h2", Level::WARN) && !passes("service=info", "h2", Level::ERROR));
        for text in ["error", "off", "service=warn"] {
            assert!(passes(text, TARGET, Level::INFO), "spans of calls: {text}");
        }
        assert!(targets("x=y=z").unwrap_err().to_string().starts_with("LOG=x=y=z: "));
    }

    #[test]
    fn the_format_is_json_text_or_refused() {
        assert_eq!(format(Some("json")).unwrap(), Format::Json);
        assert!(matches!(format(Some("text")).unwrap(), Format::Text { .. }));
        assert_eq!(format(Some("xml")).unwrap_err().to_string(), "LOG_FORMAT=xml: not json, nor text");
    }
}
