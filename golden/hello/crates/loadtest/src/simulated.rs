//! The services that this one calls, played by the load test.
use std::collections::BTreeMap;

/// This service calls none.
pub fn start() -> Result<BTreeMap<&'static str, String>, String> {
    Ok(BTreeMap::new())
}
