//! The life of the process: settings, runtime, signals, drain, exit code.
#![expect(clippy::disallowed_macros, reason = "what is said before there is a log, or to whoever asked")]
use crate::app::App;
use crate::env::Env;
use crate::limits::Limits;
use crate::server::{Server, Stopped};
use crate::signals::Stop;
use crate::transport::Tls;
use crate::{alloc, methods, panics, ports, runtime, signals, telemetry};
use hotpath_telemetry::{Failure, logs};
use std::io::{Write as _, stdout};
use std::{process::ExitCode, time::Duration};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tracing::info;

const DONE: u8 = 0;
const UNHEALTHY: u8 = 1;
/// `EX_SOFTWARE`: something panicked, the log says what, and the state was flushed.
const PANICKED: u8 = 70;
/// `EX_IOERR`: the state could not be written down.
const NOT_WRITTEN: u8 = 74;
/// `EX_TEMPFAIL`: calls were cut at the end of the drain, or everything by a second signal.
const CUT: u8 = 75;
/// `EX_CONFIG`: it cannot start as it is told to.
const CONFIGURATION: u8 = 78;

/// Runs the service: what `main` is.
///
/// Without an argument it serves until SIGTERM or SIGINT; a second of them ends it at once. `healthcheck` asks the process
/// that listens here whether it serves, and is 0 or 1; `limits` prints the bounds as JSON; `version` prints name, version
/// and revision.
///
/// The exit code is 0 after a whole stop, 70 after a panic, 74 if the state could not be written, 75 if calls were cut at
/// the end of the drain or a second signal came, and 78 if the service cannot start as it is told to.
pub fn run(app: App) -> ExitCode {
    #[cfg(target_arch = "x86_64")]
    if !crate::target_cpu::is_enough() {
        return ExitCode::from(CONFIGURATION);
    }
    main(app)
}

/// What [`run`] does after the check of the CPU: apart from it, so that nothing of this is compiled into it, which might need
/// instructions that the CPU has not.
#[inline(never)]
fn main(app: App) -> ExitCode {
    let env = Env::process();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.join(" ").as_str() {
        "" => Ok(serve(&app, env)),
        "limits" => limits(&app, &env),
        "healthcheck" => healthcheck(&app, &env),
        "version" => version(&app),
        _ => Err(format!("{}: no argument to serve, or one of: healthcheck, limits, version", app.name).into()),
    };
    ExitCode::from(result.unwrap_or_else(|error| refuse(&error)))
}

/// Serves until SIGTERM or SIGINT, or until something panics. Returns the exit code; see [`run`].
pub fn serve(app: &App, env: Env) -> u8 {
    // Before anything else that could take its time.
    let signal = signals::listen(CUT);
    alloc::tune();
    signal.and_then(|signal| until_stopped(app, env, signal)).unwrap_or_else(|error| refuse(&error))
}

/// Says why the service cannot start: one log line, also where no log is set up yet.
fn refuse(error: &Failure) -> u8 {
    logs::last_words("cannot start", [("error", error.to_string())]);
    CONFIGURATION
}

fn until_stopped(app: &App, env: Env, signal: oneshot::Receiver<Stop>) -> Result<u8, Failure> {
    let bounds = Limits::derive(&app.defaults, &env)?;
    let runtime = runtime::build(&env, bounds.cpu_width)?;
    let code = runtime.block_on(async {
        let exporter = telemetry::init(app, &env)?;
        let panicked = CancellationToken::new();
        panics::hook(app.on_panic, panicked.clone());
        let code = live(app, env, signal, &panicked).await;
        #[expect(clippy::disallowed_methods, reason = "one call, at the end")]
        drop(tokio::task::spawn_blocking(|| exporter.shutdown()).await);
        code.inspect(|code| info!(code, "the end"))
    });
    // Blocking work cannot be cancelled: without a bound, dropping the runtime would wait for it for ever.
    runtime.shutdown_timeout(Duration::from_secs(1));
    logs::flush();
    code
}

fn version(App { name, version, revision, .. }: &App) -> Result<u8, Failure> {
    // A reader that has seen enough is no error.
    writeln!(stdout(), "{name} {version} ({revision})").ok();
    Ok(DONE)
}

/// Starts, serves, stops. Returns the exit code.
async fn live(
    app: &App,
    env: Env,
    mut signal: oneshot::Receiver<Stop>,
    panicked: &CancellationToken,
) -> Result<u8, Failure> {
    let started = tokio::select! {
        started = Server::start(app, env) => started,
        Ok(stop) = &mut signal => {
            info!(because = stop.name(), "stopped before it served");
            return Ok(DONE);
        }
    };
    let server = match started {
        Err(_) if panicked.is_cancelled() => return Ok(PANICKED),
        started => started?,
    };
    let (because, at_once) = tokio::select! {
        Ok(stop) = signal => (stop.name(), stop == Stop::Interrupt),
        () = panicked.cancelled() => ("panic", true),
    };
    info!(because, "stopping");
    let stopped = server.stop(at_once).await;
    info!(?stopped, "stopped");
    Ok(match stopped {
        _ if panicked.is_cancelled() => PANICKED,
        Stopped { flushed: false, .. } => NOT_WRITTEN,
        Stopped { whole: false, .. } => CUT,
        _ => DONE,
    })
}

fn limits(app: &App, env: &Env) -> Result<u8, Failure> {
    let limits = Limits::derive(&app.defaults, env)?;
    let metrics = app.metrics.server(&prometheus::Registry::new())?;
    let methods = methods::build(app.descriptors, app.policies, &limits, &metrics)?;
    // A reader that has seen enough is no error.
    writeln!(stdout(), "{:#}", methods::describe(&limits, &methods)).ok();
    Ok(DONE)
}

/// For an image without a shell: exit 0 if the process that listens here says SERVING within a second.
fn healthcheck(app: &App, env: &Env) -> Result<u8, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // The admin port for when callers have all connections of the other, and where that one speaks TLS.
    let calls = if app.tls == Tls::None { ports::CALLS.loopbacks(env)? } else { Vec::new() };
    for address in [calls, ports::ADMIN.loopbacks(env)?].concat() {
        let answer = runtime.block_on(async {
            let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
            let check = async move { HealthClient::new(channel).check(HealthCheckRequest::default()).await };
            Ok::<_, Failure>(timeout(Duration::from_secs(1), check).await??.into_inner())
        });
        let said = answer.map_or_else(|error| error.to_string(), |reply| reply.status().as_str_name().to_owned());
        if said == ServingStatus::Serving.as_str_name() {
            return Ok(DONE);
        }
        eprintln!("{address}: {said}");
    }
    Ok(UNHEALTHY)
}
