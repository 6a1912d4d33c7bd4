//! What the process and each method may take. Measure, and correct the figures here: permits, connections and calls in
//! flight follow from them (`cargo run -- limits` prints the result).
use crate::handlers;
use crate::state;
use hotpath::Policy;
use std::time::Duration;

/// Bytes that live as long as the process, beside its calls: caches, state, queues.
pub(crate) const RESERVE: u64 = state::MAX_BYTES + handlers::QUEUE_BYTES;

/// One line for each method; a test fails where one is missing.
pub(crate) const POLICIES: &[(&str, Policy)] = &[
    ("Score", Policy::cpu(Duration::from_millis(10), Duration::from_millis(5)).heap(SCORE_HEAP)),
    ("Lookup", Policy::light().request(4 << 10).reply(4 << 10)),
    ("Watch", Policy::light().request(4 << 10).reply(4 << 10)),
];

/// The table of one round.
const SCORE_HEAP: u64 = 512 << 10;

#[cfg(test)]
mod tests {
    #[test]
    fn every_method_has_its_line() {
        let app = crate::app::app();
        hotpath::check_policies(app.descriptors, app.policies).unwrap();
    }
}
