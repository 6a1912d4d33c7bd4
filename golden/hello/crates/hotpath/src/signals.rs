//! SIGTERM and SIGINT. They have a thread and a runtime of their own, so that a second one ends the process whatever the
//! workers of calls do.
use hotpath_telemetry::{Failure, logs};
use std::{process, thread};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The first signal that asks the process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// SIGTERM: balancers may still send calls, and are given time to notice.
    Terminate,
    /// SIGINT, as Ctrl-C at a terminal sends it: there is no balancer to wait for.
    Interrupt,
}

impl Stop {
    /// The name of the signal.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }
}

/// Installs the handlers: from now on no signal is lost, also not where this is process 1 of a container, which has no
/// default handlers. Returns what tells of the first signal; the second ends the process with `cut`, once its log lines are
/// written, which may take a second.
///
/// # Errors
/// If the thread cannot be started.
pub(crate) fn listen(cut: u8) -> Result<oneshot::Receiver<Stop>, Failure> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let context = runtime.enter();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    drop(context);
    let (first, told) = oneshot::channel();
    let wait = async move {
        // Nobody is told if the process is ending by itself.
        first.send(next(&mut terminate, &mut interrupt).await).ok();
        let because = next(&mut terminate, &mut interrupt).await.name().to_owned();
        logs::last_words("ended by a second signal, before the drain was over", [("because", because)]);
        #[expect(clippy::disallowed_methods, reason = "asked twice: nothing but the log is waited for")]
        process::exit(cut.into());
    };
    #[expect(clippy::disallowed_methods, reason = "one thread, for as long as the process lives")]
    thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(wait))?;
    Ok(told)
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> Stop {
    tokio::select! {
        _ = terminate.recv() => Stop::Terminate,
        _ = interrupt.recv() => Stop::Interrupt,
    }
}
