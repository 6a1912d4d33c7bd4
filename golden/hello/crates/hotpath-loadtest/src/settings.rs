//! What every phase of a run is given.
use crate::{gates::Gates, plan::Plan, workload::Workload};
use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Everything that a run needs to know.
pub struct Settings {
    pub workload: Arc<Workload>,
    pub gates: Gates,
    pub plan: Plan,
    pub seed: u64,
    /// The folder for what a run writes.
    pub out: PathBuf,
}

/// The folder of the service's load test: where cargo says that it runs it, or else where it was compiled.
pub fn home(workload: &Workload) -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| workload.home.clone(), PathBuf::from)
}

/// The folder of the workspace, which is the service's.
pub fn workspace(workload: &Workload) -> PathBuf {
    home(workload).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
