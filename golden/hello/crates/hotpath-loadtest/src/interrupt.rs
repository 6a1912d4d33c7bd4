//! Ctrl-C and SIGTERM end the phase and with it the run; the service is stopped on the way out.
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

/// Whether this run was told to end.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for both signals for as long as the runtime lasts.
    pub fn listen(runtime: &Runtime) -> Self {
        let interrupt = Self::default();
        let told = Arc::clone(&interrupt.0);
        runtime.spawn(async move {
            let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            told.store(true, Ordering::Relaxed);
        });
        interrupt
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
