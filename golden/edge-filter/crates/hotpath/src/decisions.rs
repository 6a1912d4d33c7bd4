//! What was decided when this tree was made, for `hotpath_build_info`.
use crate::{alloc, runtime};

/// The labels of the build.
pub(crate) fn labels(version: &str) -> String {
    let (allocator, runtime) = (alloc::NAME, runtime::NAME);
    let built = format!("version=\"{version}\",allocator=\"{allocator}\",runtime=\"{runtime}\"");
    format!("{{{built},state=\"stateless\",panic=\"abort\",target_cpu=\"generic\"}}")
}
