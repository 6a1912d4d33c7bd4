//! What is told of calls and of the process, in the words of the fleet's Go services: metrics in the dialect of
//! otelgrpc, traces, logs.
mod account;
pub mod logs;
mod metrics;
mod name;
mod otelgrpc;
mod page;
#[path = "trace_otlp.rs"]
pub mod trace;

pub use account::Account;
pub use metrics::Metrics;
pub use name::{Name, names};
pub use otelgrpc::{Dialect, Series};
pub use page::Page;

/// Why something could not be done at start.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Whether a code is the server's fault, to whoever counts or traces its calls.
fn is_fault(code: tonic::Code) -> bool {
    use tonic::Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}
