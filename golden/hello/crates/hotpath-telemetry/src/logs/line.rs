//! The text of a log line: one JSON object for machines, or plain text for people.
use super::fields::{Fields, Value};
use prost_types::Timestamp;
use std::fmt::Write as _;
use std::time::SystemTime;
use tracing::Level;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Text for people; the level in colour where that is asked for.
    Text {
        /// Whether the output takes ANSI colours.
        colour: bool,
    },
}

/// The field that holds a backtrace, which text shows line by line.
const BACKTRACE: &str = "backtrace";

/// What a line says.
pub(crate) struct Line<'a> {
    pub(crate) time: SystemTime,
    pub(crate) level: Level,
    pub(crate) target: &'a str,
    pub(crate) message: &'a str,
    pub(crate) fields: &'a Fields,
}

impl Line<'_> {
    /// The whole line, with its end.
    pub(crate) fn text(&self, format: Format) -> String {
        let mut line = String::with_capacity(256);
        match format {
            Format::Json => self.json(&mut line),
            Format::Text { colour } => self.plain(&mut line, colour),
        }
        line.push('\n');
        line
    }

    fn json(&self, line: &mut String) {
        // Writing to a string cannot fail.
        _ = write!(line, "{{\"timestamp\":\"{}\",\"level\":\"{}\"", timestamp(self.time), self.level);
        _ = write!(line, ",\"target\":{},\"message\":{}", quoted(self.target), quoted(self.message));
        for (name, value) in self.fields.iter() {
            // No name twice: those of the head are taken.
            let prefix = if matches!(name, "timestamp" | "level" | "target" | "message") { "field." } else { "" };
            _ = write!(line, ",{}:", quoted(&format!("{prefix}{name}")));
            _ = match value {
                Value::Text(text) => write!(line, "{}", quoted(text)),
                Value::Float(number) if !number.is_finite() => write!(line, "\"{number}\""),
                other => write!(line, "{other}"),
            };
        }
        line.push('}');
    }

    fn plain(&self, line: &mut String, colour: bool) {
        let (on, off) = if colour { (ansi(self.level), "\x1b[0m") } else { ("", "") };
        let message = self.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        _ = write!(line, "{} {on}{:>5}{off} {}: {message}", timestamp(self.time), self.level, self.target);
        for (name, value) in self.fields.iter().filter(|(name, _)| *name != BACKTRACE) {
            _ = match value {
                // What callers send must not reach the terminal as it is.
                Value::Text(text) if !is_word(text) => write!(line, " {name}={text:?}"),
                other => write!(line, " {name}={other}"),
            };
        }
        for (_, frames) in self.fields.iter().filter(|(name, _)| *name == BACKTRACE) {
            _ = write!(line, "\n{}", frames.to_string().trim_end());
        }
    }
}

/// RFC 3339 in UTC, to the microsecond.
fn timestamp(time: SystemTime) -> Timestamp {
    let mut timestamp = Timestamp::from(time);
    timestamp.nanos -= timestamp.nanos % 1_000;
    timestamp
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'))
}

fn ansi(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn line(format: Format) -> String {
        let mut fields = Fields::default();
        fields.set("calls", Value::Uint(3));
        fields.set("level", Value::Text("its own".into()));
        fields.set("ratio", Value::Float(f64::NAN));
        fields.set("peer", Value::Text("a\n\x1b[2J\"".into()));
        fields.set("backtrace", Value::Text("0: a\n1: b\n".into()));
        let time = UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        let (target, message) = ("hotpath::server", "a \"line\"");
        Line { time, level: Level::WARN, target, message, fields: &fields }.text(format)
    }

    #[test]
    fn json_is_one_object_and_no_name_is_there_twice() {
        let expected = concat!(
            r#"{"timestamp":"2023-11-14T22:13:20.123456Z","level":"WARN","target":"hotpath::server","#,
            r#""message":"a \"line\"","calls":3,"field.level":"its own","ratio":"NaN","#,
            r#""peer":"a\n\u001b[2J\"","backtrace":"0: a\n1: b\n"}"#,
            "\n"
        );
        assert_eq!(line(Format::Json), expected);
        serde_json::from_str::<serde_json::Value>(expected).unwrap();
    }

    #[test]
    fn text_is_for_people_and_controls_no_terminal() {
        let expected = concat!(
            "2023-11-14T22:13:20.123456Z  WARN hotpath::server: a \"line\" calls=3 level=\"its own\" ratio=NaN ",
            "peer=\"a\\n\\u{1b}[2J\\\"\"\n0: a\n1: b\n"
        );
        assert_eq!(line(Format::Text { colour: false }), expected);
        assert!(line(Format::Text { colour: true }).contains(" \x1b[33m WARN\x1b[0m hotpath"));
    }
}
