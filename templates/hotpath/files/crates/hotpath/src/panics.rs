//! A panic is logged with its backtrace before anything else happens, answered INTERNAL where a call waits, and then
//! the process drains, flushes and ends: after a panic nobody knows what its memory is worth.
use hotpath_telemetry::logs;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// What a caller is told; the hook has logged the rest.
pub(crate) fn status() -> Status {
    Status::internal("the handler panicked")
}

/// Logs and counts every panic, on whatever thread, and asks for the end of the process.
pub(crate) fn hook(end: CancellationToken) {
    panic::set_hook(Box::new(move |info| {
        logs::panicked(info);
        end.cancel();
    }));
}

/// A panic of `f` becomes an error.
pub(crate) fn caught<T>(f: impl FnOnce() -> T) -> Result<T, Status> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|_panic| status())
}
