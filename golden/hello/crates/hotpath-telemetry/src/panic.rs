//! The log line of a panic. It does not go through `tracing`: a panic inside of it may have left a lock behind, and the line
//! would wait for it for ever.
use crate::call_span::CallSpan;
use crate::logs;
use prometheus::IntCounter;
use std::sync::{LazyLock, mpsc::sync_channel};
use std::{backtrace::Backtrace, panic::PanicHookInfo, thread, time::Duration};
use tracing::{Dispatch, dispatcher, span::Id};

/// Of the whole process: a panic hook knows no server.
static PANICS: LazyLock<Option<IntCounter>> =
    LazyLock::new(|| IntCounter::new("hotpath_panics_total", "Panics in this process.").ok());
/// How long the trace of the call is looked for. It is there at once, unless the panic left a lock of the span behind.
const LOOK_UP: Duration = Duration::from_millis(100);

/// The counter of all panics in this process.
pub(crate) fn counter() -> Option<IntCounter> {
    PANICS.clone()
}

/// Logs a panic, with its backtrace and with the method and the trace id of the call that it happened in, and counts it.
pub fn panicked(info: &PanicHookInfo<'_>) {
    if let Some(panics) = &*PANICS {
        panics.inc();
    }
    let mut fields = vec![
        ("panic", info.payload_as_str().unwrap_or("(no message)").to_owned()),
        ("location", info.location().map(ToString::to_string).unwrap_or_default()),
        ("thread", thread::current().name().unwrap_or("?").to_owned()),
        ("backtrace", Backtrace::force_capture().to_string()),
    ];
    fields.extend(call().unwrap_or_default());
    logs::last_words("panicked", fields);
}

/// What the call that this thread is at says of itself.
fn call() -> Option<Vec<(&'static str, String)>> {
    let dispatch = dispatcher::get_default(Dispatch::clone);
    let id = dispatch.current_span().id().cloned()?;
    look_up(dispatch, id)
}

/// Looks the call of the span `id` up on a thread of its own, for a short time: whoever waits for a lock must not be the
/// one that holds it.
#[expect(clippy::disallowed_methods, reason = "the process is ending, and the wait is bounded")]
fn look_up(dispatch: Dispatch, id: Id) -> Option<Vec<(&'static str, String)>> {
    let (answer, answered) = sync_channel(1);
    let read = |call: &CallSpan| {
        let trace_id = call.context.as_ref().map(|context| ("trace_id", context.trace_id()));
        [("method", call.method.to_string())].into_iter().chain(trace_id).collect()
    };
    let look_up = move || answer.try_send(CallSpan::find(&dispatch, &id, read));
    thread::Builder::new().name("panic".into()).spawn(look_up).ok()?;
    answered.recv_timeout(LOOK_UP).ok().flatten()
}
