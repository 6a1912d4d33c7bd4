//! TLS on the port for calls, by rustls with the cryptography of ring.
//!
//! Certificates are read from files at the start, and again while the process runs: see [`reload`]. A connection takes one of
//! few places while its handshake is under way, and one of the places of connections only after it: strangers hold none of
//! those. For connections that prove who calls there is no resumption, which would skip the proof.
mod certificate;
mod files;
mod handshakes;
mod metrics;
mod reload;

pub(crate) use handshakes::Handshakes;
