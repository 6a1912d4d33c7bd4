//! What the process and each method may take. Measure, and correct the figures here: permits, connections and calls in
//! flight follow from them (`cargo run -- limits` prints the result).
use hotpath::Policy;

/// Bytes that live as long as the process, beside its calls: caches, state, queues.
pub(crate) const RESERVE: u64 = 0;

/// One line for each method; a test fails where one is missing.
pub(crate) const POLICIES: &[(&str, Policy)] = &[
    ("ride.v1.Rides/Start", Policy::light()),
    ("ride.v1.Rides/Find", Policy::light()),
    ("ride.v1.Rides/Watch", Policy::light()),
    ("ride.v1.Rides/Upload", Policy::light()),
    ("ride.v1.Rides/Type", Policy::light()),
    ("ride.v1.Rides/Connect", Policy::light()),
    ("ride.v2.Rides/Start", Policy::light()),
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_method_has_its_line() {
        let app = crate::app::app();
        hotpath::check_policies(app.descriptors, app.policies).unwrap();
    }
}
