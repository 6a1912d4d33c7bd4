//! What the status codes of gRPC say about who is at fault.
use tonic::Code;

/// Whether a code is the server's fault, to whoever counts or traces its calls. The list is OpenTelemetry's.
pub(crate) fn is_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}
