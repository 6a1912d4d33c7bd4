//! A panic is logged with its backtrace, and ends the process: nothing half-broken lives on.
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::{backtrace::Backtrace, panic, process, thread};
use tracing::error;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Logs every panic, on whatever thread, then aborts: in a debug build too, which would unwind by itself.
pub(crate) fn hook() {
    panic::set_hook(Box::new(|info| {
        record(info);
        process::abort();
    }));
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
