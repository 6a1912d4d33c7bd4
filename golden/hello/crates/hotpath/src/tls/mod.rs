//! TLS by rustls with the cryptography of ring: on the port for calls, and for calls to others.
//!
//! Certificates are read from files at the start, and again while the process runs: see [`loader`]. A connection that comes in
//! takes one of few places while its handshake is under way, and one of the places of connections only after it: strangers
//! hold none of those. Nothing is resumed where a certificate proves who speaks, for resumption skips the proof.
mod certificate;
mod client;
mod files;
mod handshakes;
mod loader;
mod metrics;
mod server;

pub(crate) use client::{Names, Trust};
pub(crate) use handshakes::Handshakes;
pub(crate) use loader::Loader;
