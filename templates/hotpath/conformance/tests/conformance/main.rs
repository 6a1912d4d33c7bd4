//! What must hold under any API: each test names the trap that it keeps shut.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "tests"
)]
#[cfg(feature = "tls")]
mod authority;
mod balancing;
#[cfg(feature = "tls")]
mod called_by_tls;
mod cancellation;
mod codes;
mod compression;
mod connections;
mod downstream;
mod healthy_streams;
mod logs;
mod memory;
mod metrics;
mod probes;
mod process;
mod resending;
mod seams;
mod settings;
mod silent_replicas;
mod slow_readers;
mod state;
mod stop;
mod streams;
mod support;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "otlp")]
mod traces;
mod uploads;
