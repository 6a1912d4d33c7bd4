//! What the process and each method may take. Measure, and correct the figures here: permits, connections and calls in
//! flight follow from them (`cargo run -- limits` prints the result).
use crate::downstream;
use hotpath::Policy;
use std::time::Duration;

/// Bytes that live as long as the process, beside its calls: caches, state, queues.
pub(crate) const RESERVE: u64 = 0;

/// One line for each method; a test fails where one is missing.
pub(crate) const POLICIES: &[(&str, Policy)] = &[
    ("Score", Policy::cpu(Duration::from_millis(25), Duration::from_millis(5)).heap(SCORE_HEAP)),
    ("Lookup", Policy::light().request(4 << 10).reply(4 << 10)),
    ("Watch", Policy::light().request(4 << 10).reply(4 << 10)),
];

/// The table of one round, and the answers of the services that are called.
const SCORE_HEAP: u64 = (512 << 10) + downstream::COUNT * downstream::MAX_REPLY;

#[cfg(test)]
mod tests {
    #[test]
    fn every_method_has_its_line() {
        let app = crate::app::app();
        hotpath::check_policies(app.descriptors, app.policies).unwrap();
    }
}
