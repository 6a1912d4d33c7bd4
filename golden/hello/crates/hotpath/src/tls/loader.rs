//! Certificates are read again while the process runs.
//!
//! The files are read and compared, because watchers do not see how Kubernetes changes them: it swaps a link above them. What
//! changed is used for new connections if certificate, key and authorities fit each other; until then the old ones stay.
use super::metrics::Reloads;
use crate::env::Env;
use crate::locked::Locked;
use hotpath_telemetry::Failure;
use std::collections::BTreeSet;
use std::{num::NonZeroU64, sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Between two looks at the files, unless a setting says otherwise.
const PERIOD: NonZeroU64 = NonZeroU64::new(10_000).unwrap();

/// Files that fit each other, and what is made of them.
pub(super) trait Files: Send + Sync + 'static {
    /// What they hold.
    type Contents: PartialEq + Send;
    /// What connections are made with.
    type Loaded: Clone + Send;

    /// Reads all of them.
    ///
    /// # Errors
    /// Which cannot be read, and why.
    fn read(&self) -> Result<Self::Contents, Failure>;

    /// Makes of `contents` what connections need, if they fit each other.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    fn load(&self, contents: &Self::Contents) -> Result<Self::Loaded, Failure>;

    /// Tells what is in use from now on. `again`: the files have changed.
    fn in_use(&self, loaded: &Self::Loaded, again: bool);
}

/// What is made of files, as they are now.
pub(super) struct Current<T>(Arc<Locked<T>>);

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone> Current<T> {
    /// What a connection takes that is made now.
    pub(super) fn get(&self) -> T {
        self.0.with(|current| current.clone())
    }
}

/// Looks at all files with certificates from time to time. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Loader {
    sets: Arc<Locked<Vec<Arc<dyn Look>>>>,
    period: Duration,
    reloads: Reloads,
}

impl Loader {
    /// A loader of no files as yet.
    ///
    /// # Errors
    /// If the setting of its period is malformed.
    pub(crate) fn new(env: &Env) -> Result<Self, Failure> {
        Ok(Self {
            sets: Arc::default(),
            period: Duration::from_millis(env.get("TLS_RELOAD_MS", PERIOD)?.get()),
            reloads: Reloads::new()?,
        })
    }

    /// Shows in `registry` how often files have changed.
    ///
    /// # Errors
    /// If it has a metric of the same name.
    pub(crate) fn register(&self, registry: &prometheus::Registry) -> Result<(), Failure> {
        self.reloads.register(registry)
    }

    /// Reads `files` now, and from now on again when they change.
    ///
    /// # Errors
    /// If they cannot be used.
    pub(super) fn load<F: Files>(&self, files: F) -> Result<Current<F::Loaded>, Failure> {
        let contents = files.read()?;
        let loaded = files.load(&contents)?;
        files.in_use(&loaded, false);
        let current = Current(Arc::new(Locked::new(loaded)));
        let set = Set {
            files,
            seen: Locked::new(Ok(contents)),
            current: current.clone(),
        };
        self.sets.with(|sets| sets.push(Arc::new(set)));
        Ok(current)
    }

    /// Looks at the files until it is told to `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut clock = interval(self.period);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        clock.tick().await;
        while stop.run_until_cancelled(clock.tick()).await.is_some() {
            let sets = self.sets.with(|sets| sets.clone());
            #[expect(clippy::disallowed_methods, reason = "one at a time, now and then")]
            let looked = tokio::task::spawn_blocking(move || sets.iter().filter_map(|set| set.look()).collect());
            let Ok(changes) = looked.await else { return };
            self.tell(changes);
        }
    }

    /// Counts a look that found changes, and says what is wrong with them.
    fn tell(&self, changes: Vec<Result<(), String>>) {
        if changes.is_empty() {
            return;
        }
        // A file that several have in common is wrong for all of them.
        let errors: BTreeSet<String> = changes.into_iter().filter_map(Result::err).collect();
        for error in &errors {
            warn!(error, "certificates not reloaded: the old ones stay in use");
        }
        self.reloads.count(errors.is_empty());
    }
}

/// Files, what they held when they were last looked at, and what is in use.
struct Set<F: Files> {
    files: F,
    seen: Locked<Result<F::Contents, String>>,
    current: Current<F::Loaded>,
}

/// Looks at files, and uses them if they have changed and are whole.
trait Look: Send + Sync {
    /// `None` where nothing has changed.
    fn look(&self) -> Option<Result<(), String>>;
}

impl<F: Files> Look for Set<F> {
    fn look(&self) -> Option<Result<(), String>> {
        let read = self.files.read().map_err(|error| error.to_string());
        if self.seen.with(|seen| *seen == read) {
            return None;
        }
        let loaded = match &read {
            Ok(contents) => self.files.load(contents).map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        self.seen.with(|seen| *seen = read);
        Some(loaded.map(|loaded| {
            self.files.in_use(&loaded, true);
            self.current.0.with(|current| *current = loaded);
        }))
    }
}
