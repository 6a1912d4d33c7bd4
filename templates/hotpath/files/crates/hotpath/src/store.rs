//! State that survives a restart: one thread owns it, a bounded queue leads to it, and it is written to a snapshot file at
//! intervals, at the end, and when its own code panics.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "files, on the state's own thread")]
use crate::env::Env;
use crate::panics;
use crate::queue::{Finish, Queue, Worker};
use crate::snapshot::{load, lock, remove_unfinished, save};
use hotpath_telemetry::{Failure, Metrics};
use prometheus::IntCounterVec;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::{thread, time::Duration};
use tokio::time::{Instant, timeout_at};
use tokio::{runtime::Builder, sync::oneshot};
use tonic::Status;
use tracing::{Span, error, info};

/// Changes that wait for the thread. A full queue sheds.
const QUEUE: usize = 1_024;

/// What is kept. SIGTERM and a panic lose nothing of it; SIGKILL loses what came after the last snapshot.
///
/// A snapshot is encoded from a clone, so callers wait for the clone and for no more. While it is written there are three of
/// the state: itself, the clone, and its bytes; the service's `RESERVE` counts all of them. At the start there are two, the
/// bytes and the state. Where the clone of a large state takes too long, share its parts (`Arc`), or keep it in a persistent
/// map, whose clone takes no time.
pub trait State: Clone + Default + Send + 'static {
    /// The version of what [`encode`](Self::encode) writes; one more with every change that an older build cannot read.
    const VERSION: u32;

    /// The whole state as bytes.
    fn encode(&self) -> Vec<u8>;

    /// The state from bytes that [`encode`](Self::encode) wrote at `version`, which is never a later one than ours.
    ///
    /// # Errors
    /// If the bytes are not of that version.
    fn decode(version: u32, bytes: &[u8]) -> Result<Self, Failure>;
}

type Work<S> = Box<dyn FnOnce(&mut S) + Send>;

/// The way to a [`State`].
pub struct Store<S>(Queue<Work<S>>);

impl<S> Clone for Store<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: State> Store<S> {
    /// Runs `f` on the state's thread, after what was asked before, in the span of the call. No lock is held by anyone who
    /// waits. What has been queued is done, also if its caller gives up waiting: a call that was DEADLINE_EXCEEDED may have
    /// changed the state.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` if too much waits already, `UNAVAILABLE` when the process stops, `INTERNAL` if `f` panics.
    pub async fn with<T: Send + 'static>(&self, f: impl FnOnce(&mut S) -> T + Send + 'static) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        let span = Span::current();
        self.0.push(Box::new(move |state| span.in_scope(|| drop(reply.send(f(state))))))?;
        answer.await.map_err(|_gone| Status::internal("the state's thread ended"))
    }

    pub(crate) fn open(name: &str, env: &Env, metrics: &Metrics) -> Result<(Self, Finish), Failure> {
        let folder = PathBuf::from(env.text("STATE_DIR").unwrap_or("./state"));
        fs::create_dir_all(&folder).map_err(|error| format!("STATE_DIR={}: {error}", folder.display()))?;
        let path = folder.join(format!("{name}.snapshot"));
        let lock = lock(&path)?;
        let state = load(&path, S::VERSION)?.map(|(version, bytes)| S::decode(version, &bytes)).transpose();
        let state = state.map_err(|error| format!("{}: {error}", path.display()))?.unwrap_or_default();
        let interval = env.within("SNAPSHOT_INTERVAL_MS", 10_000, 1..=86_400_000)?;
        remove_unfinished(&path);
        let disk = Disk { path, snapshots: metrics.snapshots.clone(), save };
        let owner = Owner { state, disk, _lock: Some(lock) };
        // A folder that cannot be written to is found at the start, and not at the end.
        if !owner.flush() {
            return Err(format!("{}: cannot be written", owner.disk.path.display()).into());
        }
        owner.start(name, Duration::from_millis(interval), metrics)
    }
}

/// The state, on its thread.
struct Owner<S> {
    state: S,
    disk: Disk,
    /// Keeps other processes out. None in tests that have no file.
    _lock: Option<File>,
}

impl<S: State> Owner<S> {
    /// Moves the state to a thread of its own.
    fn start(self, name: &str, interval: Duration, metrics: &Metrics) -> Result<(Store<S>, Finish), Failure> {
        let (queue, worker, finish) = Queue::new(name, QUEUE, metrics)?;
        // Its own clock: the state may be written down when the runtime of the calls has ended.
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let thread = thread::Builder::new().name(format!("state-{name}"));
        thread.spawn(move || runtime.block_on(self.run(interval, worker)))?;
        Ok((Store(queue), finish))
    }

    /// Works until told to stop, or until a change panics: the process is ending then, and nobody touches the state
    /// again. Then writes it down.
    async fn run(mut self, interval: Duration, mut worker: Worker<Work<S>>) {
        let mut due = Instant::now() + interval;
        let mut changed = false;
        let mut writing: Option<thread::JoinHandle<bool>> = None;
        loop {
            let batch = timeout_at(due, worker.next()).await;
            let stop = batch.as_ref().is_ok_and(Vec::is_empty);
            changed |= batch.as_ref().is_ok_and(|batch| !batch.is_empty());
            let mut works = batch.into_iter().flatten();
            if stop || !works.all(|work| panics::caught(|| work(&mut self.state)).is_ok()) {
                // What is written last is the last state.
                drop(writing.map(thread::JoinHandle::join));
                let written = self.flush();
                // The next process may have the state before anyone hears that this one is done with it.
                drop(self);
                return worker.done(written);
            }
            if Instant::now() < due {
                continue;
            }
            due = Instant::now() + interval;
            if writing.as_ref().is_none_or(thread::JoinHandle::is_finished) {
                changed |= writing.take().is_some_and(|last| !last.join().unwrap_or(false));
                if changed {
                    writing = self.flush_aside();
                    changed = writing.is_none();
                }
            }
        }
    }

    fn flush(&self) -> bool {
        self.disk.write(S::VERSION, &self.state.encode())
    }

    /// Encodes and writes a clone on a thread of its own: callers wait for neither.
    fn flush_aside(&self) -> Option<thread::JoinHandle<bool>> {
        let disk = self.disk.clone();
        let state = self.state.clone();
        let write = move || {
            let payload = state.encode();
            drop(state);
            disk.write(S::VERSION, &payload)
        };
        thread::Builder::new().name("state-write".into()).spawn(write).ok()
    }
}

/// Where the state is written to.
#[derive(Clone)]
struct Disk {
    path: PathBuf,
    /// Snapshots, by whether they were written.
    snapshots: IntCounterVec,
    /// [`save`], but in tests of a disk that hangs.
    save: fn(&Path, u32, &[u8]) -> io::Result<()>,
}

impl Disk {
    fn write(&self, version: u32, payload: &[u8]) -> bool {
        let result = (self.save)(&self.path, version, payload);
        self.snapshots.with_label_values(&[if result.is_ok() { "written" } else { "failed" }]).inc();
        match &result {
            Ok(()) => info!(path = %self.path.display(), bytes = payload.len(), "state written"),
            Err(error) => error!(path = %self.path.display(), %error, "state not written"),
        }
        result.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    #[derive(Clone, Default)]
    struct Sum(u64);

    impl State for Sum {
        const VERSION: u32 = 1;

        fn encode(&self) -> Vec<u8> {
            self.0.to_le_bytes().into()
        }

        fn decode(_version: u32, bytes: &[u8]) -> Result<Self, Failure> {
            Ok(Self(u64::from_le_bytes(bytes.try_into()?)))
        }
    }

    /// A sync that takes its time on a busy disk was the p99 of every call that touched the state.
    #[tokio::test]
    async fn a_disk_that_hangs_holds_up_no_call() {
        /// A disk on which writes begin, and end when the test is over.
        static DISK: (AtomicBool, AtomicBool) = (AtomicBool::new(false), AtomicBool::new(false));
        fn hang(_: &Path, _: u32, _: &[u8]) -> io::Result<()> {
            let (writing, over) = &DISK;
            writing.store(true, SeqCst);
            while !over.load(SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        }
        let (writing, over) = &DISK;
        let metrics = Metrics::new(&[]).unwrap();
        let disk = Disk {
            path: PathBuf::new(),
            snapshots: metrics.snapshots.clone(),
            save: hang,
        };
        let owner = Owner { state: Sum::default(), disk, _lock: None };
        let (store, finish) = owner.start("test", Duration::from_millis(1), &metrics).unwrap();
        let mut sum = 0;
        while !writing.load(SeqCst) || sum < 40 {
            sum += 1;
            let answer = store.with(|state| {
                state.0 += 1;
                state.0
            });
            assert_eq!(answer.await.unwrap(), sum);
        }
        over.store(true, SeqCst);
        assert!(finish.await);
    }

    /// A state whose encoding takes until the test is over.
    #[derive(Clone, Default)]
    struct Slow(u64);

    static ENCODING: (AtomicBool, AtomicBool) = (AtomicBool::new(false), AtomicBool::new(false));

    impl State for Slow {
        const VERSION: u32 = 1;

        fn encode(&self) -> Vec<u8> {
            let (encoding, over) = &ENCODING;
            encoding.store(true, SeqCst);
            while !over.load(SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            self.0.to_le_bytes().into()
        }

        fn decode(_version: u32, _bytes: &[u8]) -> Result<Self, Failure> {
            Ok(Self::default())
        }
    }

    /// Each snapshot held every call that touched the state, for as long as its encoding took.
    #[tokio::test]
    async fn encoding_holds_up_no_call() {
        let (encoding, over) = &ENCODING;
        let metrics = Metrics::new(&[]).unwrap();
        let disk = Disk {
            path: PathBuf::new(),
            snapshots: metrics.snapshots.clone(),
            save: |_, _, _| Ok(()),
        };
        let owner = Owner { state: Slow::default(), disk, _lock: None };
        let (store, finish) = owner.start("test", Duration::from_millis(1), &metrics).unwrap();
        let mut sum = 0;
        while !encoding.load(SeqCst) || sum < 40 {
            sum += 1;
            let answer = store.with(|state| {
                state.0 += 1;
                state.0
            });
            assert_eq!(answer.await.unwrap(), sum);
        }
        over.store(true, SeqCst);
        assert!(finish.await);
    }

    /// Its thread panicked at the end of every test that did not stop its server.
    #[test]
    fn a_state_is_written_down_when_the_runtime_of_the_calls_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let env = Env::from_pairs([("STATE_DIR", folder.path().to_str().unwrap())]);
        let metrics = Metrics::new(&[]).unwrap();
        let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
        let of_calls = runtime();
        let (_store, finish) = of_calls.block_on(async { Store::<Sum>::open("a", &env, &metrics) }).unwrap();
        drop(of_calls);
        assert!(runtime().block_on(finish));
    }

    #[tokio::test]
    async fn a_state_is_one_process_s_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let env = Env::from_pairs([("STATE_DIR", folder.path().to_str().unwrap())]);
        let metrics = Metrics::new(&[]).unwrap();
        let (store, finish) = Store::<Sum>::open("a", &env, &metrics).unwrap();
        let error = Store::<Sum>::open("a", &env, &metrics).err().unwrap().to_string();
        assert!(
            error.ends_with("another process has this state; stop it, or set STATE_DIR to another folder"),
            "{error}"
        );
        let (_, other) = Store::<Sum>::open("b", &env, &metrics).unwrap();
        drop(store);
        assert!(finish.await && other.await);
        let (_, again) = Store::<Sum>::open("a", &env, &metrics).unwrap();
        assert!(again.await);
    }
}
