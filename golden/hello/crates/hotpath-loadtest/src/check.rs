//! What a run would trip over later, found without one.
use crate::{
    compare::Features,
    gates::Gates,
    settings::{home, workspace},
    workload::Workload,
};

/// Reads the gates of the service, and looks for the Cargo features by which its variants are built: a test of the
/// service's load test that takes no time.
///
/// # Errors
///
/// The gates cannot be read or have an unknown key; or a feature is missing, by its name.
pub fn check(workload: &Workload) -> Result<(), String> {
    Gates::read(&home(workload).join("gates.toml"))?;
    Features::read(&workspace(workload))?.complete()
}
