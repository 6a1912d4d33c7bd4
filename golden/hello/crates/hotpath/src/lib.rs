//! The server layer: what makes a gRPC service hold its latency and its memory.
//!
//! A service describes itself in an [`App`] and hands it to [`run`]. Its handlers meet these things:
//!
//! - [`Policy`]: one line a method, from which its permits follow. A call is admitted or shed by its head alone.
//! - [`Call`]: the deadline of the call that is served, and whether anyone still waits.
//! - [`Cpu`]: the one door for work that computes.
//! - [`stream`](fn@stream): replies from an ordinary loop.
//! - [`Locked`]: shared values, without a guard that could span an await.
//! - [`Queue`]: work that the caller need not wait for.
//! - [`Store`]: state that survives a restart.
//! - [`Outbound`]: calls to other services.
mod admin;
mod admission;
mod alloc;
mod body;
mod call;
mod connections;
mod cpu;
mod edge;
mod env;
mod host;
mod limits;
mod locked;
mod methods;
mod outbound;
mod panics;
mod policy;
mod process;
mod queue;
mod server;
mod store;
mod stream;
#[cfg(target_arch = "x86_64")]
mod target_cpu;
mod wire;

pub use call::Call;
pub use cpu::Cpu;
pub use env::Env;
pub use host::{App, Host, Routes};
use hotpath_telemetry::Metrics;
pub use hotpath_telemetry::{Dialect, Failure};
pub use limits::{Defaults, Limits};
pub use locked::Locked;
pub use methods::check_policies;
pub use outbound::Outbound;
pub use panics::OnPanic;
pub use policy::Policy;
pub use process::{run, serve};
pub use prometheus;
pub use queue::Queue;
pub use server::{Server, Stopped};
pub use store::{State, Store};
pub use stream::{Replies, Sink, stream};
