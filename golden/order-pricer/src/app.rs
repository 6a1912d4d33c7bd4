//! What was decided for this service, in the form that its code needs. `rustgen set` and `rustgen upgrade` keep this file
//! current; the service itself is in the files beside it, which they never touch.
use crate::{handlers, policy};
use hotpath::{App, Defaults, Dialect, OnPanic, Tls};
use std::time::Duration;

/// The root of every bound.
pub const DEFAULTS: Defaults = Defaults {
    memory: 1073741824,
    max_message: 262144,
    deadline: Duration::from_millis(250),
    reserve: policy::RESERVE,
};

/// How many items a queue to background work may hold: `host.queue("NAME", app::QUEUE, worker)` makes one.
pub const QUEUE: usize = 256;

/// The services that this one calls: a transport for the client of each one's proto, made in `start` of the handlers, as
/// in `FeaturesServiceClient::new(app::downstream::features(host)?)`.
pub mod downstream {
    use hotpath::{Failure, Host, Outbound};

    /// The way to `features`, whose address stands in `DOWNSTREAM_FEATURES`.
    ///
    /// # Errors
    /// If the address is not a URI.
    pub fn features(host: &Host) -> Result<Outbound, Failure> {
        host.downstream("features", "http://127.0.0.1:50061")
    }

    /// The way to `user-profiles`, whose address stands in `DOWNSTREAM_USER_PROFILES`.
    ///
    /// # Errors
    /// If the address is not a URI.
    pub fn user_profiles(host: &Host) -> Result<Outbound, Failure> {
        host.downstream("user-profiles", "http://127.0.0.1:50062")
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
        metrics: Dialect::Otelgrpc,
        start: |host| Box::pin(handlers::start(host)),
    }
}
