//! A snapshot file: whole or not at all, with a checksum and a version, and never guessed at.
//!
//! Layout: `HOTPATH1`, version (u32), length (u64), FNV-1a of version and payload (u64), all little-endian; payload.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "files, on the state's own thread")]
use crate::Failure;
use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

const MAGIC: &[u8; 8] = b"HOTPATH1";
const HEADER: usize = 8 + 4 + 8 + 8;

/// Written beside, synced, renamed over the old one, and the rename synced too.
pub(crate) fn save(path: &Path, version: u32, payload: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    let mut file = File::create(&beside)?;
    file.write_all(MAGIC)?;
    file.write_all(&version.to_le_bytes())?;
    file.write_all(&(payload.len() as u64).to_le_bytes())?;
    file.write_all(&checksum(version, payload).to_le_bytes())?;
    file.write_all(payload)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// The version and the payload of the last snapshot; `None` where there never was one.
pub(crate) fn load(path: &Path, newest: u32) -> Result<Option<(u32, Vec<u8>)>, Failure> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display()).into()),
    };
    let damaged = |what: &str| {
        let file = path.display();
        format!("{file} is damaged ({what}); bring back a copy of it, or move it away to start with nothing")
    };
    let (version, payload) = parse(&bytes).map_err(damaged)?;
    if version > newest {
        let file = path.display();
        return Err(
            format!("{file} has version {version}, and this build reads up to {newest}: run a newer one").into()
        );
    }
    Ok(Some((version, payload.to_vec())))
}

fn parse(bytes: &[u8]) -> Result<(u32, &[u8]), &'static str> {
    let (header, payload) = bytes.split_at_checked(HEADER).ok_or("shorter than a header")?;
    let rest = header.strip_prefix(MAGIC).ok_or("not a snapshot")?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or("shorter than a header")?;
    let (length, sum) = rest.split_first_chunk::<8>().ok_or("shorter than a header")?;
    let version = u32::from_le_bytes(*version);
    if u64::from_le_bytes(*length) != payload.len() as u64 {
        return Err("its length is not what it says");
    }
    if sum != checksum(version, payload).to_le_bytes() {
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
    use std::path::PathBuf;

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
