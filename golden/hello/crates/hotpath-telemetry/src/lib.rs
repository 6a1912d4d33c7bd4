//! What a service tells of its calls and of its process, in the words of a fleet of Go services: metrics in the dialect of
//! go-grpc-middleware or of otelgrpc, traces, logs.
mod account;
mod dialect;
mod grpc_prometheus;
pub mod logs;
mod metrics;
mod name;
mod otelgrpc;
mod page;
pub mod trace;

pub use account::Account;
pub use dialect::{CallMetrics, Dialect, Series};
pub use metrics::Metrics;
pub use name::{Name, names};
pub use page::Page;

/// Why something could not be done at start.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Whether a code is the server's fault, to whoever counts or traces its calls.
fn is_fault(code: tonic::Code) -> bool {
    use tonic::Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}
