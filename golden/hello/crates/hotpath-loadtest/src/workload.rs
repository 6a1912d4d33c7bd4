//! What the load test has to know of a service.
use crate::{client::Caller, transport::Transport};
use std::{collections::BTreeMap, path::PathBuf, pin::Pin, time::Duration};
use tonic::{Response, Status, Streaming};

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
    /// How callers reach the service.
    pub transport: Transport,
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
    /// Streams that are open in every phase, if the service has any.
    pub streams: Option<Streams>,
}

/// Streams that are open while there is load, each opened again when it ends.
pub struct Streams {
    /// How many at once.
    pub open: usize,
    /// Opens one.
    pub call: StreamCall,
}

/// What a workload may leave out. The load test of a service implements it for its `Callers`, without a line; a function of
/// the same name in an `impl Callers` of the workload takes the place of the one here.
pub trait Optional {
    /// The streams of the workload.
    fn streams() -> Option<Streams> {
        None
    }
}

/// A call that is answered by a stream. Made by [`streams`].
pub type StreamCall = Box<dyn Fn(Caller, u64) -> Opening + Send + Sync>;

/// A stream that is being opened.
pub type Opening = Pin<Box<dyn Future<Output = Result<Box<dyn Messages>, Status>> + Send>>;

/// The messages of a stream.
pub trait Messages: Send {
    /// Waits for the next one. False at the end of the stream.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<bool, Status>> + Send + '_>>;
}

impl<T: Send + 'static> Messages for Streaming<T> {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<bool, Status>> + Send + '_>> {
        Box::pin(async { Ok(self.message().await?.is_some()) })
    }
}

/// `open` streams at once, each opened by `function`: a call of a generated client, as it is.
pub fn streams<F, R, T>(open: usize, function: F) -> Option<Streams>
where
    F: Fn(Caller, u64) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Response<Streaming<T>>, Status>> + Send + 'static,
    T: Send + 'static,
{
    let call = move |caller, number| -> Opening {
        let opened = function(caller, number);
        Box::pin(async { Ok(Box::new(opened.await?.into_inner()) as Box<dyn Messages>) })
    };
    Some(Streams { open, call: Box::new(call) })
}

/// An async function as a [`Call`].
pub fn call<F, R>(function: F) -> Call
where
    F: Fn(Caller, u64) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), Status>> + Send + 'static,
{
    Box::new(move |caller, number| Box::pin(function(caller, number)))
}
