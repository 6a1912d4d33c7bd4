//! State that survives a restart: one thread owns it, a bounded queue leads to it, and it is written down at intervals,
//! at the end, and when its own code panics.
#![expect(clippy::disallowed_methods, reason = "blocks the state's own thread, and those who start and end it")]
use crate::{Env, Failure, admission::Shed, metrics::Metrics, panics, snapshot};
use prometheus::{IntCounter, IntCounterVec};
use std::{
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use tonic::Status;
use tracing::{error, info};

/// Changes that wait for the thread. A full queue sheds.
const QUEUE: usize = 1_024;

/// What is kept. SIGTERM and a panic lose nothing of it; SIGKILL loses what came after the last snapshot.
pub trait State: Default + Send + 'static {
    /// The version of what [`encode`](Self::encode) writes; one more with every change that an older build cannot read.
    const VERSION: u32;

    /// The whole state as bytes. The thread does nothing else meanwhile.
    fn encode(&self) -> Vec<u8>;

    /// The state from bytes that [`encode`](Self::encode) wrote at `version`, which is never a later one than ours.
    ///
    /// # Errors
    /// If the bytes are not of that version.
    fn decode(version: u32, bytes: &[u8]) -> Result<Self, Failure>;
}

type Work<S> = Box<dyn FnOnce(&mut S) + Send>;

enum Command<S> {
    Work(Work<S>),
    Stop,
}

/// The way to a [`State`].
#[derive(Debug)]
pub struct Store<S> {
    commands: SyncSender<Command<S>>,
    shed: IntCounter,
}

impl<S> Clone for Store<S> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone(), shed: self.shed.clone() }
    }
}

impl<S: State> Store<S> {
    /// Runs `f` on the state's thread, after what was asked before. No lock is held by anyone who waits.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` if too much waits already, `UNAVAILABLE` when the process stops, `INTERNAL` if `f` panics.
    pub async fn with<T, F>(&self, f: F) -> Result<T, Status>
    where
        F: FnOnce(&mut S) -> T + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move |state: &mut S| drop(reply.send(f(state))));
        self.commands.try_send(Command::Work(work)).map_err(|error| match error {
            TrySendError::Full(_) => {
                self.shed.inc();
                Shed::Queue.status()
            }
            TrySendError::Disconnected(_) => Status::unavailable("stopping"),
        })?;
        answer.await.map_err(|_gone| Status::internal("the state's thread ended"))
    }

    pub(crate) fn open(name: &str, env: &Env, metrics: &Metrics) -> Result<(Self, Thread), Failure> {
        let folder = PathBuf::from(env.text("STATE_DIR").unwrap_or("./state"));
        std::fs::create_dir_all(&folder).map_err(|error| format!("STATE_DIR={}: {error}", folder.display()))?;
        let path = folder.join(format!("{name}.snapshot"));
        let state = match snapshot::load(&path, S::VERSION)? {
            Some((version, bytes)) => {
                S::decode(version, &bytes).map_err(|error| format!("{}: {error}", path.display()))?
            }
            None => S::default(),
        };
        let interval = env.millis("SNAPSHOT_INTERVAL_MS", Duration::from_secs(10))?.max(Duration::from_millis(1));
        let owner = Owner { state, path, snapshots: metrics.snapshots.clone() };
        // What cannot be written at the end is better known at the start.
        if !owner.flush() {
            return Err(format!("{}: cannot be written", owner.path.display()).into());
        }
        let (commands, queued) = sync_channel(QUEUE);
        let stop: Box<dyn FnOnce() + Send> = {
            let commands = commands.clone();
            Box::new(move || drop(commands.send(Command::Stop)))
        };
        let thread =
            thread::Builder::new().name(format!("state-{name}")).spawn(move || owner.run(interval, &queued))?;
        Ok((
            Self {
                commands,
                shed: metrics.shed.with_label_values(&[Shed::Queue.reason()]),
            },
            Thread { stop, thread },
        ))
    }
}

/// The state, on its thread.
struct Owner<S> {
    state: S,
    path: PathBuf,
    snapshots: IntCounterVec,
}

impl<S: State> Owner<S> {
    /// Works until told to stop, then writes the state down. False if that failed.
    fn run(mut self, interval: Duration, queued: &Receiver<Command<S>>) -> bool {
        let (mut due, mut changed) = (Instant::now() + interval, false);
        loop {
            match queued.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Command::Work(work)) => {
                    changed = true;
                    if panics::caught_now(|| work(&mut self.state)).is_err() {
                        // The process is ending; nobody touches the state again.
                        return self.flush();
                    }
                }
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return self.flush(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= due {
                if changed {
                    changed = !self.flush();
                }
                due = Instant::now() + interval;
            }
        }
    }

    fn flush(&self) -> bool {
        let payload = self.state.encode();
        let result = snapshot::save(&self.path, S::VERSION, &payload);
        self.snapshots.with_label_values(&[if result.is_ok() { "written" } else { "failed" }]).inc();
        match &result {
            Ok(()) => info!(path = %self.path.display(), bytes = payload.len(), "state written"),
            Err(error) => error!(path = %self.path.display(), %error, "state not written"),
        }
        result.is_ok()
    }
}

/// The thread that owns a state.
pub(crate) struct Thread {
    stop: Box<dyn FnOnce() + Send>,
    thread: JoinHandle<bool>,
}

impl Thread {
    /// Does what is queued, writes the state down, and ends. False if the state was not written.
    pub(crate) async fn finish(self) -> bool {
        let flushed = tokio::task::spawn_blocking(move || {
            (self.stop)();
            self.thread.join().unwrap_or(false)
        });
        flushed.await.unwrap_or(false)
    }
}
