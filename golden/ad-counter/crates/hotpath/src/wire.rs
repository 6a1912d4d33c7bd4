//! What gRPC puts on the wire, as far as the server layer reads it: timeouts, message prefixes, status trailers.
use http::{HeaderMap, HeaderValue};
use std::time::Duration;
use tonic::{Code, Status, metadata::MetadataValue};

/// The code that grpc-go gives for a passed deadline (tonic's own timeouts say CANCELLED).
pub(crate) fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("context deadline exceeded")
}

/// grpc-go's code and words for a message over its cap; the pushback tells a client not to try again.
pub(crate) fn too_large(what: &str, size: usize, most: usize) -> Status {
    let mut status = Status::resource_exhausted(format!("grpc: {what} larger than max ({size} vs. {most})"));
    status.metadata_mut().insert("grpc-retry-pushback-ms", MetadataValue::from_static("-1"));
    status
}

/// What a caller asked for in `grpc-timeout`; `None` where it is absent or malformed.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    parse_timeout(headers.get("grpc-timeout")?.as_bytes())
}

fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(amount * 3_600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// `grpc-timeout` for an outgoing call: at most eight digits.
pub(crate) fn timeout_header(left: Duration) -> HeaderValue {
    let micros = left.as_micros();
    let text =
        if micros < 100_000_000 { format!("{micros}u") } else { format!("{}m", left.as_millis().min(99_999_999)) };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("0u"))
}

/// The code in a header block, where it has one.
pub(crate) fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}

/// The trailers that end a stream with `status`.
pub(crate) fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", HeaderValue::from(status.code() as u16));
    }
    trailers
}

/// Follows length-prefixed messages as their bytes go past: counts the complete ones, and knows the length of the
/// longest from its prefix, before its bytes have come.
#[derive(Default)]
pub(crate) struct Messages {
    /// Bytes of the current prefix seen; five make one.
    prefix: u8,
    length: u32,
    rest: usize,
    /// The longest message announced so far.
    pub(crate) longest: usize,
}

impl Messages {
    /// The messages that `data` completes.
    pub(crate) fn push(&mut self, mut data: &[u8]) -> u64 {
        let mut complete = 0;
        while let Some((&byte, after)) = data.split_first() {
            if self.prefix < 5 {
                // The first byte is the compression flag; it leaves by the top.
                self.length = self.length << 8 | u32::from(byte);
                self.prefix += 1;
                data = after;
                if self.prefix == 5 {
                    self.rest = self.length as usize;
                    self.longest = self.longest.max(self.rest);
                }
            } else {
                let (message, after) = data.split_at(self.rest.min(data.len()));
                self.rest -= message.len();
                data = after;
            }
            if self.prefix == 5 && self.rest == 0 {
                complete += 1;
                (self.prefix, self.length) = (0, 0);
            }
        }
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_says() {
        assert_eq!(parse_timeout(b"250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse_timeout(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        for bad in [&b""[..], b"m", b"1", b"-1m", b"1x", b"123456789m"] {
            assert_eq!(parse_timeout(bad), None);
        }
    }

    #[test]
    fn timeouts_are_written_as_they_are_read() {
        for left in [Duration::ZERO, Duration::from_micros(7), Duration::from_secs(5), Duration::from_secs(900)] {
            assert_eq!(parse_timeout(timeout_header(left).as_bytes()), Some(left));
        }
    }

    #[test]
    fn messages_are_counted_across_any_split() {
        let wire = [0, 0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9];
        for cut in 0..wire.len() {
            let mut messages = Messages::default();
            let (head, tail) = wire.split_at(cut);
            assert_eq!(messages.push(head) + messages.push(tail), 3, "cut at {cut}");
            assert_eq!(messages.longest, 3);
        }
    }
}
