//! What is told of calls and of the process, in the words of the fleet's Go services: metrics in the dialect of
//! go-grpc-middleware, traces, logs.
mod account;
mod grpc_prometheus;
pub mod logs;
mod metrics;
mod name;
mod page;
#[path = "trace_w3c.rs"]
pub mod trace;

pub use account::Account;
pub use grpc_prometheus::{Dialect, Series};
pub use metrics::Metrics;
pub use name::{Name, names};
pub use page::Page;

/// Why something could not be done at start.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
