//! What the process is told of logs and traces by its environment.
#[cfg(all(feature = "otlp", feature = "tls"))]
mod collector;

use crate::app::App;
use crate::env::Env;
use hotpath_telemetry::{Failure, logs, trace, trace::Exporter};

/// The variables that name the collector: the first that there is counts.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Sets up logs and traces. Needs a Tokio context.
///
/// # Errors
/// If a setting is malformed, a certificate for the collector is missing, or they are set up already.
pub(crate) fn init(app: &App, env: &Env) -> Result<Exporter, Failure> {
    let lines = logs::Settings { filter: env.text("LOG"), format: env.text("LOG_FORMAT") };
    let collector = ENDPOINTS.iter().find_map(|name| env.text(name));
    let spans = trace::Settings {
        name: app.name,
        version: app.version,
        revision: app.revision,
        instance: instance(env),
        ratio: ratio(env)?,
        spans: env.text("TRACE_SPANS"),
        collector,
        #[cfg(all(feature = "otlp", feature = "tls"))]
        channel: collector.map(|url| collector::channel(url, app, env)).transpose()?.flatten(),
        #[cfg(not(all(feature = "otlp", feature = "tls")))]
        channel: None,
    };
    logs::init(lines, spans)
}

/// The name of the pod: Kubernetes makes it the name of the host, unless the manifest gives it in a variable of its own.
pub(crate) fn instance(env: &Env) -> Option<&str> {
    env.text("POD_NAME").or_else(|| env.text("HOSTNAME"))
}

/// The part of the traces that begin here which is sampled.
fn ratio(env: &Env) -> Result<f64, Failure> {
    let ratio = env.get("TRACE_RATIO", 0.01)?;
    if !(0.0..=1.0).contains(&ratio) {
        return Err(format!("TRACE_RATIO={ratio}: not a number from 0 to 1").into());
    }
    Ok(ratio)
}
