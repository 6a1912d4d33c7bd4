//! The session-ledger service: handlers, state, and what each method may take.
mod handlers;
mod policy;
mod score;
mod state;

/// The messages and the service of `proto/session_ledger/v1`.
#[allow(missing_docs, clippy::all, clippy::restriction, clippy::pedantic, reason = "generated from the proto")]
pub mod pb {
    tonic::include_proto!("session_ledger.v1");

    pub use session_ledger_service_server as server;
}

/// The service, for `main` and for tests.
pub fn app() -> hotpath::App {
    hotpath::App {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        descriptors: include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin")),
        policies: policy::POLICIES,
        defaults: policy::DEFAULTS,
        start: handlers::start,
    }
}
