//! A panic is logged with its backtrace before anything else happens, answered INTERNAL where a call waits, and then
//! the process drains, flushes and ends: after a panic nobody knows what its memory is worth.
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::{backtrace::Backtrace, thread};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::error;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// What a caller is told; the hook has logged the rest.
pub(crate) fn status() -> Status {
    Status::internal("the handler panicked")
}

/// Logs every panic, on whatever thread, counts it, and asks for the end of the process.
pub(crate) fn hook(end: CancellationToken) {
    panic::set_hook(Box::new(move |info| {
        record(info);
        end.cancel();
    }));
}

/// A panic of `f` becomes an error.
pub(crate) fn caught<T>(f: impl FnOnce() -> T) -> Result<T, Status> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|_panic| status())
}

/// Panics so far.
pub(crate) fn count() -> u64 {
    COUNT.load(Relaxed)
}

fn record(info: &panic::PanicHookInfo<'_>) {
    COUNT.fetch_add(1, Relaxed);
    error!(
        panic = info.payload_as_str().unwrap_or("(no message)"),
        location = info.location().map(ToString::to_string),
        thread = thread::current().name().unwrap_or("?"),
        backtrace = %Backtrace::force_capture(),
        "panicked"
    );
}
