//! The snapshot file of a state, and the lock beside it.
//!
//! A snapshot file is whole or not there. It holds, all little-endian: `HOTPATH2`, the version of the state (u32), the
//! length of the payload (u64), the CRC-32 of version and payload (u32), and the payload. Files of hotpath 1 are read too:
//! `HOTPATH1`, and FNV-1a (u64) in the place of the CRC.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "files, on the state's own thread")]
use bytes::Buf as _;
use hotpath_telemetry::Failure;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

const MAGIC: &[u8; 8] = b"HOTPATH2";
const MAGIC_1: &[u8; 8] = b"HOTPATH1";
/// Of the magic, the version and the length; the checksum follows.
const HEADER: usize = 8 + 4 + 8;

/// What the names of temporary files end with.
const TEMPORARY_SUFFIX: &str = ".tmp";

/// Replaces the snapshot: a temporary file in the same folder is written, synced, and renamed over the old one; then the
/// folder is synced, which makes the rename durable.
pub(crate) fn save(path: &Path, version: u32, payload: &[u8]) -> io::Result<()> {
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
pub(crate) fn remove_unfinished(path: &Path) {
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
pub(crate) fn load(path: &Path, newest: u32) -> Result<Option<(u32, Vec<u8>)>, Failure> {
    let file = path.display();
    let read = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.and_then(|opened| read(&opened)).map_err(|error| format!("{file}: {error}"))?,
    };
    let wrong = match read {
        Ok((version, payload)) if version <= newest => return Ok(Some((version, payload))),
        Ok((version, _)) => format!("has version {version}, and this build reads up to {newest}: run a newer one"),
        Err(what) => format!("is damaged ({what}); bring back a copy of it, or move it away to start with nothing"),
    };
    Err(format!("{file} {wrong}").into())
}

/// The version and the payload of a snapshot file, or what is wrong with it. The payload is in memory once.
fn read(mut file: &File) -> io::Result<Result<(u32, Vec<u8>), &'static str>> {
    let size = file.metadata()?.len();
    let mut head = [0; HEADER];
    if size < HEADER as u64 {
        return Ok(Err("shorter than a header"));
    }
    file.read_exact(&mut head)?;
    let mut header = &head[..];
    let is_1 = header.starts_with(MAGIC_1);
    if !is_1 && !header.starts_with(MAGIC) {
        return Ok(Err("not a snapshot"));
    }
    header.advance(MAGIC.len());
    let version = header.get_u32_le();
    let length = header.get_u64_le();
    let checksum_length = if is_1 { size_of::<u64>() } else { size_of::<u32>() };
    // Before room is made for it.
    if Some(size) != length.checked_add((HEADER + checksum_length) as u64) {
        return Ok(Err("its length is not what it says"));
    }
    let mut checksum = Vec::with_capacity(checksum_length);
    file.take(checksum_length as u64).read_to_end(&mut checksum)?;
    let mut payload = Vec::with_capacity(usize::try_from(length).map_err(io::Error::other)?);
    file.take(length).read_to_end(&mut payload)?;
    let expected = if is_1 {
        fnv1a(version, &payload).to_le_bytes().to_vec()
    } else {
        crc32(version, &payload).to_le_bytes().to_vec()
    };
    Ok(if checksum == expected { Ok((version, payload)) } else { Err("its checksum is wrong") })
}

/// Locks the state whose snapshot is at `path`, for as long as the file is open: the kernel gives the lock back however the
/// process ends.
pub(crate) fn lock(path: &Path) -> Result<File, Failure> {
    let lock = path.with_extension("lock");
    let cannot = |error: io::Error| format!("{}: cannot be locked: {error}", lock.display());
    let file = File::options().create(true).truncate(false).write(true).open(&lock).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(cannot(error).into()),
        Err(TryLockError::WouldBlock) => {
            let snapshot = path.display();
            Err(format!("{snapshot}: another process has this state; stop it, or set STATE_DIR to another folder")
                .into())
        }
    }
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
}
