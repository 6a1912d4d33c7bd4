//! The load test of the service. What its callers do is in `workload.rs`, what the services that it calls do is in
//! `simulated.rs`, and the limits are in `gates.toml`.
mod simulated;
#[allow(dead_code, reason = "the workload is the team's, and may hold more than is used here")]
mod workload;

use hotpath_loadtest::{Optional, Transport, Workload, client};
use service::pb;
use std::process::ExitCode;

/// What the workload may leave out: a function in an `impl Callers` there takes the place of the one of [`Optional`].
struct Callers;

impl Optional for Callers {}

fn main() -> ExitCode {
    hotpath_loadtest::main(workload())
}

fn workload() -> Workload {
    Workload {
        home: env!("CARGO_MANIFEST_DIR").into(),
        binary: "edge-filter",
        service: workload::SERVICE,
        transport: Transport::Tls,
        deadline: workload::DEADLINE,
        cheap_rate: workload::CHEAP_RATE,
        heavy: hotpath_loadtest::call(workload::heavy),
        cheap: hotpath_loadtest::call(workload::cheap),
        simulated: simulated::start,
        streams: Callers::streams(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_gates_are_readable_and_every_variant_can_be_built() {
        hotpath_loadtest::check(&super::workload()).unwrap();
    }
}
