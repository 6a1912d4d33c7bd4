//! State that survives a restart: one thread owns it, a bounded queue leads to it, and it is written down at intervals,
//! at the end, and when its own code panics.
//!
//! A snapshot file is whole or not there, and never guessed at: `HOTPATH1`, version (u32), length (u64), FNV-1a of
//! version and payload (u64), all little-endian; payload.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "files, on the state's own thread")]
use crate::queue::{Finish, Queue, Worker};
use crate::{Env, Failure, Metrics, panics};
use bytes::Buf as _;
use prometheus::IntCounterVec;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{thread, time::Duration};
use tokio::time::{Instant, timeout_at};
use tokio::{runtime::Handle, sync::oneshot};
use tonic::Status;
use tracing::{error, info};

const MAGIC: &[u8; 8] = b"HOTPATH1";
const HEADER: usize = 8 + 4 + 8 + 8;

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

/// The way to a [`State`].
pub struct Store<S>(Queue<Work<S>>);

impl<S> Clone for Store<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: State> Store<S> {
    /// Runs `f` on the state's thread, after what was asked before. No lock is held by anyone who waits.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` if too much waits already, `UNAVAILABLE` when the process stops, `INTERNAL` if `f` panics.
    pub async fn with<T: Send + 'static>(&self, f: impl FnOnce(&mut S) -> T + Send + 'static) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        self.0.push(Box::new(move |state| drop(reply.send(f(state)))))?;
        answer.await.map_err(|_gone| Status::internal("the state's thread ended"))
    }

    pub(crate) fn open(name: &str, env: &Env, metrics: &Metrics) -> Result<(Self, Finish), Failure> {
        let folder = PathBuf::from(env.text("STATE_DIR").unwrap_or("./state"));
        fs::create_dir_all(&folder).map_err(|error| format!("STATE_DIR={}: {error}", folder.display()))?;
        let path = folder.join(format!("{name}.snapshot"));
        let state = load(&path, S::VERSION)?.map(|(version, bytes)| S::decode(version, &bytes)).transpose();
        let state = state.map_err(|error| format!("{}: {error}", path.display()))?.unwrap_or_default();
        let interval = env.millis("SNAPSHOT_INTERVAL_MS", Duration::from_secs(10))?.max(Duration::from_millis(1));
        let disk = Disk { path, snapshots: metrics.snapshots.clone() };
        let owner = Owner { state, disk };
        // What cannot be written at the end is better known at the start.
        if !owner.flush() {
            return Err(format!("{}: cannot be written", owner.disk.path.display()).into());
        }
        let (queue, worker, finish) = Queue::new(name, QUEUE, metrics)?;
        let (thread, runtime) = (thread::Builder::new().name(format!("state-{name}")), Handle::current());
        thread.spawn(move || runtime.block_on(owner.run(interval, worker)))?;
        Ok((Self(queue), finish))
    }
}

/// The state, on its thread.
struct Owner<S> {
    state: S,
    disk: Disk,
}

impl<S: State> Owner<S> {
    /// Works until told to stop, or until a change panics: the process is ending then, and nobody touches the state
    /// again. Then writes it down.
    async fn run(mut self, interval: Duration, mut worker: Worker<Work<S>>) {
        let (mut due, mut changed) = (Instant::now() + interval, false);
        let mut writing: Option<thread::JoinHandle<bool>> = None;
        loop {
            let batch = timeout_at(due, worker.next()).await;
            let stop = batch.as_ref().is_ok_and(Vec::is_empty);
            changed |= batch.as_ref().is_ok_and(|batch| !batch.is_empty());
            let mut works = batch.into_iter().flatten();
            if stop || !works.all(|work| panics::caught(|| work(&mut self.state)).is_ok()) {
                // What is written last is the last state.
                drop(writing.map(thread::JoinHandle::join));
                return worker.done(self.flush());
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

    /// Writes on a thread of its own: callers wait for the state, and not for the disk.
    fn flush_aside(&self) -> Option<thread::JoinHandle<bool>> {
        let (disk, payload) = (self.disk.clone(), self.state.encode());
        thread::Builder::new().name("state-write".into()).spawn(move || disk.write(S::VERSION, &payload)).ok()
    }
}

/// Where the state is written down.
#[derive(Clone)]
struct Disk {
    path: PathBuf,
    snapshots: IntCounterVec,
}

impl Disk {
    fn write(&self, version: u32, payload: &[u8]) -> bool {
        let result = save(&self.path, version, payload);
        self.snapshots.with_label_values(&[if result.is_ok() { "written" } else { "failed" }]).inc();
        match &result {
            Ok(()) => info!(path = %self.path.display(), bytes = payload.len(), "state written"),
            Err(error) => error!(path = %self.path.display(), %error, "state not written"),
        }
        result.is_ok()
    }
}

/// Written beside, synced, renamed over the old one, and the rename synced too.
fn save(path: &Path, version: u32, payload: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    let mut file = File::create(&beside)?;
    let (length, sum) = (payload.len() as u64, checksum(version, payload));
    file.write_all(&[&MAGIC[..], &version.to_le_bytes(), &length.to_le_bytes(), &sum.to_le_bytes()].concat())?;
    file.write_all(payload)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// The version and the payload of the last snapshot; `None` where there never was one.
fn load(path: &Path, newest: u32) -> Result<Option<(u32, Vec<u8>)>, Failure> {
    let file = path.display();
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| format!("{file}: {error}"))?,
    };
    let wrong = match parse(&bytes) {
        Ok((version, payload)) if version <= newest => return Ok(Some((version, payload.to_vec()))),
        Ok((version, _)) => format!("has version {version}, and this build reads up to {newest}: run a newer one"),
        Err(what) => format!("is damaged ({what}); bring back a copy of it, or move it away to start with nothing"),
    };
    Err(format!("{file} {wrong}").into())
}

fn parse(bytes: &[u8]) -> Result<(u32, &[u8]), &'static str> {
    let (header, payload) = bytes.split_at_checked(HEADER).ok_or("shorter than a header")?;
    let mut header = header.strip_prefix(MAGIC).ok_or("not a snapshot")?;
    let (version, length, sum) = (header.get_u32_le(), header.get_u64_le(), header.get_u64_le());
    if length != payload.len() as u64 {
        return Err("its length is not what it says");
    }
    if sum != checksum(version, payload) {
        return Err("its checksum is wrong");
    }
    Ok((version, payload))
}

fn checksum(version: u32, payload: &[u8]) -> u64 {
    let bytes = version.to_le_bytes().into_iter().chain(payload.iter().copied());
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("hotpath-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn what_was_saved_is_loaded_and_nothing_is_left_beside_it() {
        let folder = Folder::new("saved");
        let path = folder.0.join("a.snapshot");
        assert!(load(&path, 1).unwrap().is_none());
        save(&path, 1, b"one").unwrap();
        save(&path, 1, b"two").unwrap();
        assert_eq!(load(&path, 1).unwrap(), Some((1, b"two".to_vec())));
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    }

    #[test]
    fn any_damaged_byte_and_any_lost_end_is_refused() {
        let folder = Folder::new("damaged");
        let path = folder.0.join("a.snapshot");
        save(&path, 1, b"payload").unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert!(load(&path, u32::MAX).unwrap_err().to_string().contains("is damaged"), "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert!(load(&path, u32::MAX).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_later_version_is_refused() {
        let folder = Folder::new("later");
        let path = folder.0.join("a.snapshot");
        save(&path, 3, b"").unwrap();
        assert!(load(&path, 2).unwrap_err().to_string().contains("version 3, and this build reads up to 2"));
    }
}
