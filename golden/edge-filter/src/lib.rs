//! The service: its handlers, and what each method may take.
pub mod app;
mod auth;
mod handlers;
mod policy;
mod score;

/// The messages, clients and servers of the protos, in modules that are nested as their packages are.
#[allow(missing_docs, non_camel_case_types, clippy::all, clippy::restriction, clippy::pedantic, reason = "generated")]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/pb.rs"));
}
