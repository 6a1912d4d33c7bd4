//! Simulations of the services that this one calls.
use std::collections::BTreeMap;

/// Starts none, since this service calls none.
pub fn start() -> Result<BTreeMap<&'static str, String>, String> {
    Ok(BTreeMap::new())
}
