//! What was decided for this service, in the form that its code needs. `rustgen set` and `rustgen upgrade` keep this file
//! current; the service itself is in the files beside it, which they never touch.
use crate::{handlers, policy};
use hotpath::{App, Defaults, Dialect, OnPanic, Tls};
use std::time::Duration;

/// The root of every bound.
pub const DEFAULTS: Defaults = Defaults {
    memory: 67108864,
    max_message: 1048576,
    deadline: Duration::from_millis(1000),
    reserve: policy::RESERVE,
};

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
        on_panic: OnPanic::Abort,
        tls: Tls::Mutual,
        metrics: Dialect::GoGrpcMiddleware,
        start: |host| Box::pin(handlers::start(host)),
    }
}
