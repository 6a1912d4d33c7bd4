//! What a service tells of its calls and of its process, in the words of a fleet of Go services: metrics in the dialect of
//! go-grpc-middleware or of otelgrpc, traces, logs.
mod codes;
mod dialect;
mod failure;
mod grpc_prometheus;
pub mod logs;
mod metrics;
mod name;
mod otelgrpc;
mod process;
mod recorder;
pub mod trace;

pub use dialect::{CallMetrics, Dialect, Series};
pub use failure::Failure;
pub use metrics::Metrics;
pub use name::{Name, names};
pub use recorder::CallRecorder;
