//! A panic is logged with its backtrace before anything else happens, answered INTERNAL where a call waits, and then
//! the process drains, flushes and ends: after a panic nobody knows what its memory is worth.
use std::{
    backtrace::Backtrace,
    future::Future,
    panic::{self, AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::Poll,
    thread,
};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::error;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Something panicked; the hook has logged it.
#[derive(Debug)]
pub(crate) struct Panicked;

impl Panicked {
    pub(crate) fn status(&self) -> Status {
        Status::internal("the handler panicked")
    }
}

/// Logs every panic, on whatever thread, counts it, and asks for the end of the process.
pub(crate) fn hook(end: CancellationToken) {
    panic::set_hook(Box::new(move |info| {
        COUNT.fetch_add(1, Relaxed);
        log(info);
        end.cancel();
    }));
}

/// A panic of `future` becomes an error.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| match caught_now(|| future.as_mut().poll(cx)) {
        Ok(poll) => poll.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

/// A panic of `f` becomes an error.
pub(crate) fn caught_now<T>(f: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|_payload| Panicked)
}

/// Panics so far.
pub(crate) fn count() -> u64 {
    COUNT.load(Relaxed)
}

fn log(info: &panic::PanicHookInfo<'_>) {
    error!(
        panic = info.payload_as_str().unwrap_or("(no message)"),
        location = info.location().map(ToString::to_string),
        thread = thread::current().name().unwrap_or("?"),
        backtrace = %Backtrace::force_capture(),
        "panic"
    );
}
