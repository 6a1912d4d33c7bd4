//! The gates of the service: open-loop load, tail latency, and memory that comes back. See `gates.toml` and `workload.rs`.
mod calls;
mod capacity;
mod cause;
mod cli;
mod client;
mod compare;
#[cfg(test)]
mod fixture;
mod gates;
mod generate;
mod measure;
mod metrics;
mod observe;
mod plan;
mod progress;
mod record;
mod report;
mod run;
mod schedule;
mod service;
mod session;
mod simulated;
mod workload;

mod pb {
    #![allow(clippy::all, clippy::pedantic, clippy::allow_attributes_without_reason, unused, reason = "generated code")]
    include!(concat!(env!("OUT_DIR"), "/protos.rs"));
}

use clap::Parser as _;
use std::process::ExitCode;

const FAILED: u8 = 1;
const GATE_BROKE: u8 = 4;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    service::kill_on_panic();
    match cli::run(cli::Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(GATE_BROKE),
        Err(_) if generate::interrupted() => {
            eprintln!("interrupted");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(FAILED)
        }
    }
}
