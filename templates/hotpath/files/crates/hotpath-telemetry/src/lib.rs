//! What a service tells of its calls and of its process, in the words of a fleet of Go services: metrics in the dialect of
//! go-grpc-middleware or of otelgrpc, traces, logs.
mod call_span;
mod codes;
mod dialect;
mod exemplars;
mod exposition;
mod failure;
mod faults;
mod filter;
mod grpc_prometheus;
mod limiter;
pub mod logs;
mod metrics;
mod name;
mod otelgrpc;
mod panic;
mod process;
mod recorder;
pub mod trace;
mod trace_context;

pub use dialect::{CallMetrics, Dialect, Series};
pub use exposition::page;
pub use failure::Failure;
pub use limiter::Limiter;
pub use metrics::Metrics;
pub use name::{Name, names};
pub use panic::panicked;
pub use recorder::CallRecorder;
