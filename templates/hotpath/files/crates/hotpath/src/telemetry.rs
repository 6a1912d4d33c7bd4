//! What the process is told of logs and traces by its environment.
use crate::app::App;
use crate::env::Env;
use hotpath_telemetry::{Failure, logs, trace, trace::Exporter};

/// Sets up logs and traces.
///
/// # Errors
/// If a setting is malformed, or they are set up already.
pub(crate) fn init(app: &App, env: &Env) -> Result<Exporter, Failure> {
    let lines = logs::Settings { filter: env.text("LOG"), format: env.text("LOG_FORMAT") };
    let spans = trace::Settings {
        name: app.name,
        version: app.version,
        revision: app.revision,
        instance: instance(env),
        ratio: ratio(env)?,
        spans: env.text("TRACE_SPANS"),
        collector: env.text("OTEL_EXPORTER_OTLP_ENDPOINT"),
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
