//! What gRPC puts on the wire, as far as the server layer reads it: timeouts, message prefixes, status trailers.
use hotpath_telemetry::CallRecorder;
use http::{HeaderMap, HeaderValue};
use std::time::Duration;
use tonic::{Code, Status, metadata::MetadataValue};

/// What a caller asked for in `grpc-timeout`; `None` where it is absent or malformed.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok().filter(|_| digits.len() <= 8 && !digits.starts_with('+'))?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3_600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
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

/// Records the end of a call whose status is in `headers`; one without a status is UNKNOWN.
pub(crate) fn record_end(recorder: &mut CallRecorder, headers: &HeaderMap) {
    match code_of(headers) {
        Some(Code::Ok) => recorder.end(Code::Ok),
        code => {
            let status = Status::from_header_map(headers);
            recorder.end_with(code.unwrap_or(Code::Unknown), status.as_ref().map_or("", Status::message));
        }
    }
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
    longest: usize,
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

    /// Checks that no message was longer than `most` bytes.
    ///
    /// # Errors
    /// grpc-go's code and words for it, and the pushback that says not to try again.
    pub(crate) fn check_size(&self, what: &str, most: usize) -> Result<(), Status> {
        if self.longest <= most {
            return Ok(());
        }
        let message = format!("grpc: {what} larger than max ({} vs. {most})", self.longest);
        let mut status = Status::resource_exhausted(message);
        status.metadata_mut().insert("grpc-retry-pushback-ms", MetadataValue::from_static("-1"));
        Err(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn read(value: HeaderValue) -> Option<Duration> {
        timeout(&HeaderMap::from_iter([(HeaderName::from_static("grpc-timeout"), value)]))
    }

    #[test]
    fn timeouts_are_read_as_the_protocol_says() {
        let text = |text| read(HeaderValue::from_static(text));
        assert_eq!(text("250m"), Some(Duration::from_millis(250)));
        assert_eq!(text("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        for bad in ["", "m", "1", "-1m", "+1m", "1x", "123456789m"] {
            assert_eq!(text(bad), None, "{bad}");
        }
    }

    #[test]
    fn timeouts_are_written_as_they_are_read() {
        for left in [Duration::ZERO, Duration::from_micros(7), Duration::from_secs(5), Duration::from_secs(900)] {
            assert_eq!(read(timeout_header(left)), Some(left));
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
