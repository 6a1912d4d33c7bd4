//! Certificates are read again while the process runs.
//!
//! The files are read and compared, because watchers do not see how Kubernetes changes them: it swaps a link above them. What
//! changed is used for new connections if certificate, key and authorities fit each other; until then the old ones stay.
use super::files::{Contents, Files, Loaded};
use super::metrics::Metrics;
use crate::locked::Locked;
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The certificates in use.
#[derive(Clone)]
pub(super) struct Current(Arc<Locked<Loaded>>);

impl Current {
    pub(super) fn new(loaded: Loaded) -> Self {
        Self(Arc::new(Locked::new(loaded)))
    }

    /// Those that a handshake takes which begins now.
    pub(super) fn get(&self) -> Loaded {
        self.0.with(|loaded| loaded.clone())
    }
}

/// Looks at `files` every `period` until it is told to `stop`.
pub(super) struct Reload {
    pub(super) files: Files,
    pub(super) period: Duration,
    pub(super) current: Current,
    pub(super) metrics: Metrics,
}

impl Reload {
    /// `seen` is what the files held when they were loaded.
    pub(super) async fn run(self, seen: Contents, stop: CancellationToken) {
        let mut seen = Ok(seen);
        let mut clock = interval(self.period);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        clock.tick().await;
        while stop.run_until_cancelled(clock.tick()).await.is_some() {
            let files = self.files.clone();
            #[expect(clippy::disallowed_methods, reason = "one at a time, now and then")]
            let read = tokio::task::spawn_blocking(move || files.read());
            let Ok(read) = read.await else { return };
            let read = read.map_err(|error| error.to_string());
            if read != seen {
                self.take(&read);
                seen = read;
            }
        }
    }

    /// Uses what was read, if it is whole; or else counts it, and says what is wrong with it.
    fn take(&self, read: &Result<Contents, String>) {
        let loaded = match read {
            Ok(contents) => self.files.load(contents).map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        let used = loaded.is_ok();
        match loaded {
            Ok(loaded) => {
                info!(ends = loaded.leaf.ends, "certificates reloaded");
                self.metrics.show(&loaded.leaf);
                self.current.0.with(|current| *current = loaded);
            }
            Err(error) => warn!(error, "certificates not reloaded: the old ones stay in use"),
        }
        self.metrics.reloaded(used);
    }
}
