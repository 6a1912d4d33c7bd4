//! The edge-filter service: handlers, and what each method may take.
mod handlers;
mod policy;
mod score;

/// The messages and the service of `proto/acme/edge/v2`.
#[allow(missing_docs, clippy::all, clippy::restriction, clippy::pedantic, reason = "generated from the proto")]
pub mod pb {
    tonic::include_proto!("acme.edge.v2");

    pub use edge_filter_service_server as server;
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
