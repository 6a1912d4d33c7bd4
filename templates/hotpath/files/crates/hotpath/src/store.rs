//! State that survives a restart: one thread owns it, a bounded queue leads to it, and it is written to a snapshot file at
//! intervals, at the end, and when its own code panics.
//!
//! A snapshot file is whole or not there. It holds, all little-endian: `HOTPATH2`, the version of the state (u32), the
//! length of the payload (u64), the CRC-32 of version and payload (u32), and the payload. Files of hotpath 1 are read too:
//! `HOTPATH1`, and FNV-1a (u64) in the place of the CRC.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "files, on the state's own thread")]
use crate::env::Env;
use crate::panics;
use crate::queue::{Finish, Queue, Worker};
use bytes::Buf as _;
use hotpath_telemetry::{Failure, Metrics};
use prometheus::IntCounterVec;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{thread, time::Duration};
use tokio::time::{Instant, timeout_at};
use tokio::{runtime::Handle, sync::oneshot};
use tonic::Status;
use tracing::{Span, error, info};

const MAGIC: &[u8; 8] = b"HOTPATH2";
const MAGIC_1: &[u8; 8] = b"HOTPATH1";
/// Of the magic, the version and the length; the checksum follows.
const HEADER: usize = 8 + 4 + 8;

/// What the names of temporary files end with.
const TEMPORARY_SUFFIX: &str = ".tmp";

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
    /// Runs `f` on the state's thread, after what was asked before, in the span of the call. No lock is held by anyone who
    /// waits.
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
        let state = load(&path, S::VERSION)?.map(|(version, bytes)| S::decode(version, &bytes)).transpose();
        let state = state.map_err(|error| format!("{}: {error}", path.display()))?.unwrap_or_default();
        let interval = env.millis("SNAPSHOT_INTERVAL_MS", Duration::from_secs(10))?.max(Duration::from_millis(1));
        remove_unfinished(&path);
        let disk = Disk { path, snapshots: metrics.snapshots.clone(), save };
        let owner = Owner { state, disk };
        // A folder that cannot be written to is found at the start, and not at the end.
        if !owner.flush() {
            return Err(format!("{}: cannot be written", owner.disk.path.display()).into());
        }
        owner.start(name, interval, metrics)
    }
}

/// The state, on its thread.
struct Owner<S> {
    state: S,
    disk: Disk,
}

impl<S: State> Owner<S> {
    /// Moves the state to a thread of its own.
    fn start(self, name: &str, interval: Duration, metrics: &Metrics) -> Result<(Store<S>, Finish), Failure> {
        let (queue, worker, finish) = Queue::new(name, QUEUE, metrics)?;
        let runtime = Handle::current();
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
        let disk = self.disk.clone();
        let payload = self.state.encode();
        thread::Builder::new().name("state-write".into()).spawn(move || disk.write(S::VERSION, &payload)).ok()
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

/// Replaces the snapshot: a temporary file in the same folder is written, synced, and renamed over the old one; then the
/// folder is synced, which makes the rename durable.
fn save(path: &Path, version: u32, payload: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let prefix = temporary_prefix(path);
    let mut temporary = tempfile::Builder::new();
    temporary.prefix(&prefix).suffix(TEMPORARY_SUFFIX);
    // As any other file of the process: the umask decides who may read it.
    #[cfg(unix)]
    temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = temporary.tempfile_in(folder)?;
    let length = payload.len() as u64;
    let checksum = crc32(version, payload);
    file.write_all(&[&MAGIC[..], &version.to_le_bytes(), &length.to_le_bytes(), &checksum.to_le_bytes()].concat())?;
    file.write_all(payload)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

/// What the names of temporary files for the snapshot at `path` begin with.
fn temporary_prefix(path: &Path) -> String {
    format!("{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Removes what a process that was killed while it wrote left beside the snapshot at `path`.
fn remove_unfinished(path: &Path) {
    let prefix = temporary_prefix(path);
    let entries = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    for entry in entries.into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&prefix) && name.ends_with(TEMPORARY_SUFFIX) {
            // If it cannot be removed it takes room, and no more.
            drop(fs::remove_file(entry.path()));
        }
    }
    // The name in hotpath 1.
    drop(fs::remove_file(path.with_extension("tmp")));
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

/// The version and the payload of a snapshot file.
fn parse(bytes: &[u8]) -> Result<(u32, &[u8]), &'static str> {
    let (mut header, rest) = bytes.split_at_checked(HEADER).ok_or("shorter than a header")?;
    let is_1 = header.starts_with(MAGIC_1);
    if !is_1 && !header.starts_with(MAGIC) {
        return Err("not a snapshot");
    }
    let checksum_length = if is_1 { size_of::<u64>() } else { size_of::<u32>() };
    let (mut checksum, payload) = rest.split_at_checked(checksum_length).ok_or("shorter than a header")?;
    header.advance(MAGIC.len());
    let version = header.get_u32_le();
    if header.get_u64_le() != payload.len() as u64 {
        return Err("its length is not what it says");
    }
    let intact = if is_1 {
        checksum.get_u64_le() == fnv1a(version, payload)
    } else {
        checksum.get_u32_le() == crc32(version, payload)
    };
    if !intact {
        return Err("its checksum is wrong");
    }
    Ok((version, payload))
}

/// The checksum of a snapshot.
fn crc32(version: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&version.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// The checksum of a snapshot of hotpath 1.
fn fnv1a(version: u32, payload: &[u8]) -> u64 {
    let bytes = version.to_le_bytes().into_iter().chain(payload.iter().copied());
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    #[test]
    fn what_was_saved_is_loaded_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.snapshot");
        assert!(load(&path, 1).unwrap().is_none());
        save(&path, 1, b"one").unwrap();
        save(&path, 1, b"two").unwrap();
        assert_eq!(load(&path, 1).unwrap(), Some((1, b"two".to_vec())));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn any_damaged_byte_and_any_lost_end_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.snapshot");
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
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.snapshot");
        save(&path, 3, b"").unwrap();
        assert!(load(&path, 2).unwrap_err().to_string().contains("version 3, and this build reads up to 2"));
    }

    #[test]
    fn a_snapshot_of_hotpath_1_is_read_and_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.snapshot");
        // As hotpath 1.7.0 wrote the version 2 and the eight bytes of 42.
        let written = [
            &b"HOTPATH1"[..],
            &[2, 0, 0, 0],
            &[8, 0, 0, 0, 0, 0, 0, 0],
            &0xd828_4372_7231_d6dd_u64.to_le_bytes(),
            &[42, 0, 0, 0, 0, 0, 0, 0],
        ];
        fs::write(&path, written.concat()).unwrap();
        assert_eq!(load(&path, 2).unwrap(), Some((2, 42u64.to_le_bytes().to_vec())));
        let mut damaged = written.concat();
        damaged[35] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert!(load(&path, 2).unwrap_err().to_string().contains("its checksum is wrong"));
    }

    #[test]
    fn what_a_killed_process_left_beside_a_snapshot_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        for name in ["a.snapshot", "a.snapshot.1x2y3z.tmp", "a.tmp", "b.snapshot.1x2y3z.tmp", "a.snapshot.copy"] {
            fs::write(file(name), b"").unwrap();
        }
        remove_unfinished(&file("a.snapshot"));
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["a.snapshot", "a.snapshot.copy", "b.snapshot.1x2y3z.tmp"]);
    }

    #[derive(Default)]
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
        let owner = Owner { state: Sum::default(), disk };
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
}
