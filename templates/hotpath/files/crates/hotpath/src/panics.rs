//! A panic is logged with its backtrace before anything else happens. Then the process ends, as the service decided: at
//! once, or after it has answered INTERNAL where a call waits, drained, and flushed.
use hotpath_telemetry::panicked;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::process;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// What a panic does to the process. It never lives on: after a panic nobody knows what its memory is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPanic {
    /// Ends it at once, also in a debug build, which would unwind by itself. For a release, `panic = "abort"` in the
    /// profile leaves out the code that unwinds.
    Abort,
    /// Answers INTERNAL where a call waits, drains, flushes the state, and ends with exit code 70. Needs
    /// `panic = "unwind"` in the profile.
    Drain,
}

impl OnPanic {
    /// The label of `hotpath_build_info`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Drain => "unwind",
        }
    }
}

/// What a caller is told; the hook has logged the rest.
pub(crate) fn status() -> Status {
    Status::internal("the handler panicked")
}

/// Logs and counts every panic, on whatever thread, and then aborts, or asks for the end of the process.
pub(crate) fn hook(on_panic: OnPanic, end: CancellationToken) {
    panic::set_hook(Box::new(move |info| {
        panicked(info);
        match on_panic {
            OnPanic::Abort => process::abort(),
            OnPanic::Drain => end.cancel(),
        }
    }));
}

/// A panic of `f` becomes an error.
pub(crate) fn caught<T>(f: impl FnOnce() -> T) -> Result<T, Status> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|_panic| status())
}
