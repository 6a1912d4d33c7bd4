//! What was decided for this service, in the form that its code needs. `rustgen set` and `rustgen upgrade` keep this file
//! current; the service itself is in the files beside it, which they never touch.
use crate::{handlers, policy};
use hotpath::{App, Defaults, Dialect, OnPanic, Tls};
use std::time::Duration;

/// The root of every bound.
pub const DEFAULTS: Defaults = Defaults {
    memory: 2147483648,
    max_message: 1048576,
    deadline: Duration::from_millis(1000),
    reserve: policy::RESERVE,
};

/// The services that this one calls: a transport for the client of each one's proto, made in `start` of the handlers, as
/// in `BidsServiceClient::new(app::downstream::bids(host)?)`.
pub mod downstream {
    use hotpath::{Failure, Host, Outbound};

    /// The way to `bids`, whose address stands in `DOWNSTREAM_BIDS`.
    ///
    /// # Errors
    /// If the address is not a URI.
    pub fn bids(host: &Host) -> Result<Outbound, Failure> {
        host.downstream("bids", "http://127.0.0.1:50061")
    }
}

/// The service, for `main` and for tests.
pub fn app() -> App {
    App {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        revision: option_env!("REVISION").unwrap_or("unknown"),
        descriptors: include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin")),
        called: include_bytes!(concat!(env!("OUT_DIR"), "/foreign.bin")),
        policies: policy::POLICIES,
        defaults: DEFAULTS,
        on_panic: OnPanic::Drain,
        tls: Tls::None,
        metrics: Dialect::GoGrpcMiddleware,
        start: |host| Box::pin(handlers::start(host)),
    }
}
