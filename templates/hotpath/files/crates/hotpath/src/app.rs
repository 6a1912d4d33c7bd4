//! A service, described.
use crate::host::Host;
use crate::limits::Defaults;
use crate::panics::OnPanic;
use crate::policy::Policy;
use crate::routes::Routes;
use crate::transport::Tls;
use futures_util::future::BoxFuture;
use hotpath_telemetry::{Dialect, Failure};

/// A service, described: what `main` hands to [`run`](crate::run), and a test to [`Server::start`](crate::Server::start).
pub struct App {
    /// Its name in logs and traces.
    pub name: &'static str,
    /// Its version in metrics and traces, and what `version` prints.
    pub version: &'static str,
    /// The revision of its source in the same places: what the build was told, or `unknown`.
    pub revision: &'static str,
    /// The descriptors of its proto files, an encoded `FileDescriptorSet`: what reflection answers, and which methods
    /// there are.
    pub descriptors: &'static [u8],
    /// The descriptors of the services that it calls: which methods of theirs there are. Empty where it calls none.
    pub called: &'static [u8],
    /// One line for each method: its name, and what a call of it may take.
    pub policies: &'static [(&'static str, Policy)],
    /// The decisions that every bound follows from.
    pub defaults: Defaults,
    /// What a panic does to the process.
    pub on_panic: OnPanic,
    /// Whether the port for calls speaks TLS.
    pub tls: Tls,
    /// The names under which calls are counted.
    pub metrics: Dialect,
    /// Makes the handlers, once, before the first call. Nothing is served before it is done: `|host|
    /// Box::pin(handlers::start(host))`, where that is an `async fn`.
    pub start: fn(&mut Host) -> BoxFuture<'_, Result<Routes, Failure>>,
}
