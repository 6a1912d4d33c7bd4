//! A panic is logged with its backtrace, and ends the process: nothing half-broken lives on.
use hotpath_telemetry::logs;
use std::{panic, process};

/// Logs every panic, on whatever thread, then aborts: in a debug build too, which would unwind by itself.
pub(crate) fn hook() {
    panic::set_hook(Box::new(|info| {
        logs::panicked(info);
        process::abort();
    }));
}
