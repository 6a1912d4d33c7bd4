//! Puts a gRPC service under open-loop load and holds it to gates: tail latency, goodput under overload, memory that
//! comes back. The service describes its callers in a [`Workload`], and its load test is a `main` that calls [`main`].
//!
//! A run builds the service as it is shipped, starts it on free ports of this machine, and loads it in phases: idle,
//! the search for its capacity, a steady load, a burst of several times its capacity, and the recovery. Calls arrive as a
//! Poisson process and their latency counts from the moment that they were due, so that a stall of the service counts
//! against every call that was due in it.
mod callers;
mod calls;
mod capacity;
mod cause;
mod check;
mod cli;
pub mod client;
mod compare;
mod disturbance;
mod error;
#[cfg(test)]
mod fixture;
mod gates;
mod generate;
mod interrupt;
mod judge;
mod made;
mod measure;
mod metrics;
mod observe;
mod plan;
mod progress;
mod record;
mod report;
mod run;
mod schedule;
mod service;
mod session;
mod settings;
mod streams;
mod transport;
mod units;
mod versus;
mod workload;

pub use check::check;
pub use cli::main;
pub use client::Caller;
pub use transport::Transport;
pub use workload::{Call, Messages, Opening, Optional, Simulated, StreamCall, Streams, Workload, call, streams};
