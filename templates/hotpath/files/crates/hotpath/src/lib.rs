//! The server layer: what makes a gRPC service hold its latency and its memory.
//!
//! A service describes itself in an [`App`] and hands it to [`run`]. Its handlers use:
//!
//! - [`Policy`]: one line a method, from which its permits follow. A call is admitted or shed by its head alone.
//! - [`Call`]: the deadline of the call that is served, and whether anyone still waits.
//! - [`Cpu`]: threads for work that computes, as many as there are CPUs.
//! - [`stream`](fn@stream): replies from an ordinary loop.
//! - [`Locked`]: shared values, without a guard that could span an await.
//! - [`Queue`]: work that the caller need not wait for.
//! - [`Store`]: state that survives a restart.
//! - [`Outbound`]: calls to other services.
//! - [`Caller`]: who calls, where callers show certificates ([`Tls::Mutual`]).
//!
//! What it has beside its handlers, it is given by [`Host`] at its start: background tasks, [`Readiness`], hooks at the end.
mod admin;
mod admission;
mod alloc;
mod app;
mod background;
mod body;
mod budget;
mod call;
mod caller;
mod connection_state;
mod connections;
mod cpu;
mod deadline;
mod env;
mod gzip;
mod health;
mod host;
mod limits;
mod locked;
mod methods;
mod outbound;
mod panics;
mod policy;
mod ports;
mod process;
mod queue;
mod routes;
mod runtime;
mod saturation;
mod server;
mod service;
mod shared;
mod signals;
mod snapshot;
mod socket;
mod store;
mod stream;
#[cfg(target_arch = "x86_64")]
mod target_cpu;
mod telemetry;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod upload;
mod wire;

pub use app::App;
pub use call::Call;
pub use caller::Caller;
pub use cpu::Cpu;
pub use env::Env;
pub use health::Readiness;
pub use host::Host;
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
pub use routes::Routes;
pub use server::{Server, Stopped};
pub use store::{State, Store};
pub use stream::{Replies, Sink, stream};
pub use tokio_util::sync::CancellationToken;
pub use transport::Tls;
