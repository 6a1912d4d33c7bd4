//! What gRPC puts on the wire, as far as the server layer reads it: timeouts, message prefixes, status trailers.
use bytes::Bytes;
use hotpath_telemetry::CallRecorder;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use std::time::Duration;
use tonic::{Code, Status, body::Body, metadata::MetadataValue};

/// The answer to a request that is not gRPC: 405 for a verb other than POST, 415 for another type of content. It has a body,
/// for whoever is not a gRPC client.
pub(crate) fn not_grpc<B>(request: &Request<B>) -> Option<Response<Body>> {
    let content = request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let format = content.strip_prefix(b"application/grpc").map(|rest| rest.strip_prefix(b"+proto").unwrap_or(rest));
    let (code, why) = if request.method() != Method::POST {
        (StatusCode::METHOD_NOT_ALLOWED, format!("{} where POST is due\n", request.method()))
    } else if !matches!(format, Some([] | [b';', ..])) {
        let content = String::from_utf8_lossy(content);
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("content-type {content:?} where application/grpc is due\n"))
    } else {
        return None;
    };
    let mut refusal = Response::new(Body::new(Full::<Bytes>::from(why)));
    *refusal.status_mut() = code;
    refusal.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if code == StatusCode::METHOD_NOT_ALLOWED {
        refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    Some(refusal)
}

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
    /// Whether compressed messages are those of gzip.
    gzip: bool,
    /// Whether the current message is compressed.
    compressed: bool,
    /// Bytes of the current prefix seen; five make one.
    prefix: u8,
    length: u32,
    rest: usize,
    /// The longest message announced so far.
    longest: usize,
}

/// Part of a message that gzip compressed.
pub(crate) struct Compressed<'a> {
    pub(crate) part: &'a [u8],
    pub(crate) ends: bool,
}

impl Messages {
    /// Of a body that comes with `headers`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let gzip = headers.get("grpc-encoding").is_some_and(|encoding| encoding == "gzip");
        Self { gzip, ..Self::default() }
    }

    /// Whether a message has begun that is not complete.
    pub(crate) fn is_within(&self) -> bool {
        self.prefix > 0
    }

    /// The messages that `data` completes.
    pub(crate) fn push(&mut self, data: &[u8]) -> u64 {
        self.push_each(data, |_| {})
    }

    /// The messages that `data` completes. Those that gzip compressed are shown to `see`, in parts.
    pub(crate) fn push_each(&mut self, mut data: &[u8], mut see: impl FnMut(Compressed<'_>)) -> u64 {
        let mut complete = 0;
        while let Some((&byte, after)) = data.split_first() {
            if self.prefix < 5 {
                // The first byte is the compression flag, and leaves `length` by the top.
                self.compressed = if self.prefix == 0 { byte == 1 } else { self.compressed };
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
                if self.compressed && self.gzip {
                    see(Compressed { part: message, ends: self.rest == 0 });
                }
            }
            if self.prefix == 5 && self.rest == 0 {
                complete += 1;
                (self.prefix, self.length) = (0, 0);
            }
        }
        complete
    }

    /// The messages of our own that `data` completes, which holds whole messages. What gzip compressed counts with its length
    /// before, which is how gzip ends.
    pub(crate) fn push_own(&mut self, data: &[u8]) -> u64 {
        let mut longest = 0;
        let complete = self.push_each(data, |Compressed { part, .. }| {
            let length = part.last_chunk().map_or(0, |length| u32::from_le_bytes(*length));
            longest = longest.max(length as usize);
        });
        self.longest = self.longest.max(longest);
        complete
    }

    /// Checks that no message was longer than `most` bytes.
    ///
    /// # Errors
    /// See [`too_long`].
    pub(crate) fn check_size(&self, what: &str, most: usize) -> Result<(), Status> {
        if self.longest <= most {
            return Ok(());
        }
        Err(too_long(&format!("grpc: {what} larger than max ({} vs. {most})", self.longest)))
    }
}

/// What is said of a message that is too long: grpc-go's code, and the pushback that says not to try again.
pub(crate) fn too_long(message: &str) -> Status {
    let mut status = Status::resource_exhausted(message);
    status.metadata_mut().insert("grpc-retry-pushback-ms", MetadataValue::from_static("-1"));
    status
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
    fn what_is_not_grpc_is_told_from_what_is() {
        let status = |verb: Method, content: &str| {
            let request = Request::builder().method(verb).header("content-type", content).body(()).unwrap();
            not_grpc(&request).map(|refusal| refusal.status().as_u16())
        };
        for grpc in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
            assert_eq!(status(Method::POST, grpc), None, "{grpc}");
        }
        for other in [
            "application/json",
            "application/grpc-web",
            "application/grpc+json",
            "application/grpc+proto2",
            "",
            "application",
        ] {
            assert_eq!(status(Method::POST, other), Some(415), "{other}");
        }
        assert_eq!(status(Method::GET, "application/grpc"), Some(405));
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

    #[test]
    fn what_gzip_compressed_is_shown_in_parts_and_counts_with_its_length_before() {
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static("grpc-encoding"), HeaderValue::from_static("gzip"))]);
        let wire = [1, 0, 0, 0, 6, 9, 9, 0, 16, 0, 0, 0, 0, 0, 0, 1, 7];
        let mut messages = Messages::of(&headers);
        let mut seen = Vec::new();
        let (head, tail) = wire.split_at(7);
        for data in [head, tail] {
            messages.push_each(data, |Compressed { part, ends }| seen.push((part.to_vec(), ends)));
        }
        assert_eq!(seen, [(vec![9, 9], false), (vec![0, 16, 0, 0], true)]);
        let mut own = Messages::of(&headers);
        assert_eq!((own.push_own(&wire), own.longest), (2, 4_096));
        assert!(own.check_size("trying to send message", 4_095).is_err());
    }
}
