//! What is told of calls and of the process, in the words of the fleet's Go services: metrics in the dialect of
//! go-grpc-middleware, traces, logs.
mod account;
mod grpc_prometheus;
pub mod logs;
mod metrics;
mod name;
mod page;
#[path = "trace_otlp.rs"]
pub mod trace;

pub use account::Account;
pub use grpc_prometheus::{Dialect, Series};
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
