//! What passes of what the service and its libraries say.
use crate::failure::Failure;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// The libraries that speak of every frame and every connection.
const QUIET: [&str; 5] = ["h2", "hyper", "opentelemetry", "tonic", "tower"];

/// The filter that `text` says, as in `info,hello=debug`. Libraries that speak of every frame say no more than `most`,
/// unless `text` names them.
pub(crate) fn quieted(text: &str, most: LevelFilter) -> Result<Targets, Failure> {
    let mut targets: Targets = text.parse()?;
    let most = targets.default_level().unwrap_or(LevelFilter::OFF).min(most);
    let named: Vec<String> = targets.iter().map(|(target, _)| target.to_owned()).collect();
    for library in QUIET {
        if !named.iter().any(|target| target.starts_with(library)) {
            targets = targets.with_target(library, most);
        }
    }
    Ok(targets)
}
