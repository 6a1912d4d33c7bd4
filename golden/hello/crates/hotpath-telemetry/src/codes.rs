//! What the status codes of gRPC are called, and what they say about who is at fault.
use tonic::Code;

/// gRPC's codes by number, in the protocol's spelling.
#[rustfmt::skip]
const NAMES: [&str; 17] = [
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
];

/// The name of a code in the protocol's spelling.
pub(crate) fn name(code: Code) -> &'static str {
    NAMES.get(code as usize).copied().unwrap_or_default()
}

/// Whether a code is the server's fault, to whoever counts, traces or logs its calls. The list is OpenTelemetry's.
pub(crate) fn is_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}
