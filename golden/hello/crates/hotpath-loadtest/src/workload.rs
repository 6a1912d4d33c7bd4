//! What the load test has to know of a service.
use crate::client::Caller;
use std::{collections::BTreeMap, path::PathBuf, pin::Pin, time::Duration};
use tonic::Status;

/// A kind of call: it is given a connection, and a number that differs for every call of the run. Made by [`call`].
pub type Call = Box<dyn Fn(Caller, u64) -> Pin<Box<dyn Future<Output = Result<(), Status>> + Send>> + Send + Sync>;

/// Starts the services that the service under test calls, and returns the environment variables that lead it to them. It
/// runs within a Tokio runtime that lasts as long as the load. An error is told as it is, and ends the run.
pub type Simulated = fn() -> Result<BTreeMap<&'static str, String>, String>;

/// What the load test has to know of a service.
pub struct Workload {
    /// The folder of the service's load test, with its `gates.toml`: `env!("CARGO_MANIFEST_DIR")`. `cargo run` says at run
    /// time where it is; this value is for a binary that is started without cargo. The workspace is the folder above.
    pub home: PathBuf,
    /// The binary that `cargo build` makes of the service.
    pub binary: &'static str,
    /// The name that the service has in the health protocol.
    pub service: &'static str,
    /// What callers allow a call to take. It is sent along, and a call without a reply by then counts as late.
    pub deadline: Duration,
    /// Cheap calls per second, in every phase alike.
    pub cheap_rate: f64,
    /// The call that the service exists for.
    pub heavy: Call,
    /// A call that costs next to nothing: its latency shows what the heavy ones do to other callers.
    pub cheap: Call,
    /// The services that the service calls.
    pub simulated: Simulated,
}

/// An async function as a [`Call`].
pub fn call<F, R>(function: F) -> Call
where
    F: Fn(Caller, u64) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), Status>> + Send + 'static,
{
    Box::new(move |caller, number| Box::pin(function(caller, number)))
}
