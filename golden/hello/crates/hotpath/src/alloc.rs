//! The allocator: one feature swaps it, and everything that tunes it stands here.
//!
//! Never musl's own: a static binary takes jemalloc or mimalloc, or links glibc statically.
#![allow(unsafe_code, reason = "the C interface of those that have one")]

pub(crate) use heap::{NAME, profile, stats, tune};

#[cfg(all(target_env = "musl", not(any(feature = "alloc-jemalloc", feature = "alloc-mimalloc"))))]
compile_error!(
    "musl's allocator takes one lock for all threads: build with alloc-jemalloc or alloc-mimalloc, or static glibc"
);

#[cfg(feature = "alloc-jemalloc")]
mod heap {
    use crate::Failure;
    use tikv_jemalloc_ctl::{epoch, raw, stats};

    #[global_allocator]
    static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

    pub(crate) const NAME: &str = "jemalloc";

    /// Compiled in: `MALLOC_CONF` is not read under the prefix that the crate builds with. What a burst leaves behind
    /// goes back to the system within seconds, by threads of the allocator's own. Where what is live was allocated is
    /// sampled from when the environment says `_RJEM_MALLOC_CONF=prof_active:true`.
    #[unsafe(export_name = "_rjem_malloc_conf")]
    pub static OPTIONS: &[u8] =
        b"background_thread:true,dirty_decay_ms:2000,muzzy_decay_ms:0,prof:true,prof_active:false\0";

    pub(crate) fn tune() {}

    pub(crate) fn stats() -> Option<[usize; 2]> {
        epoch::advance().ok()?;
        Some([stats::allocated::read().ok()?, stats::resident::read().ok()?])
    }

    /// What is live, by where it was allocated, as `jeprof` reads it.
    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_types, reason = "a file in memory blocks nobody")]
    pub(crate) fn profile() -> Result<Vec<u8>, Failure> {
        use std::os::fd::{AsRawFd as _, FromRawFd as _};
        use std::{ffi::CString, fs::File, io, io::Read as _};
        // SAFETY: the name ends with a zero byte, and its type is a bool.
        if !unsafe { raw::read(b"prof.active\0") }.unwrap_or(false) {
            return Err("the heap is not sampled: start with _RJEM_MALLOC_CONF=prof_active:true".into());
        }
        // In memory, because the files of an image are read-only.
        // SAFETY: the name is a C string, and whoever made a descriptor owns it.
        let mut file = match unsafe { libc::memfd_create(c"heap".as_ptr(), libc::MFD_CLOEXEC) } {
            -1 => return Err(io::Error::last_os_error().into()),
            made => unsafe { File::from_raw_fd(made) },
        };
        let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        // SAFETY: the name ends with a zero byte, and its type is a C string, which lives until the end of the call.
        unsafe { raw::write(b"prof.dump\0", path.as_ptr()) }.map_err(|error| error.to_string())?;
        let mut profile = Vec::new();
        file.read_to_end(&mut profile)?;
        Ok(profile)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn profile() -> Result<Vec<u8>, Failure> {
        Err("a profile of the heap needs Linux".into())
    }
}

#[cfg(all(target_env = "gnu", not(any(feature = "alloc-jemalloc", feature = "alloc-mimalloc"))))]
mod heap {
    pub(crate) const NAME: &str = "system";

    /// Two arenas rather than eight a CPU: each keeps what it once had, and under a burst they grow to GiB.
    pub(crate) fn tune() {
        // SAFETY: called before any other thread exists.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, 2);
        }
    }

    pub(crate) fn stats() -> Option<[usize; 2]> {
        // SAFETY: takes no argument, returns a plain struct.
        let info = unsafe { libc::mallinfo2() };
        Some([info.uordblks + info.hblkhd, info.arena + info.hblkhd])
    }

    pub(crate) fn profile() -> Result<Vec<u8>, crate::Failure> {
        Err("this allocator keeps no profile of the heap: jemalloc does".into())
    }
}

/// Nothing to tune, and nothing that it says of itself.
#[cfg(all(not(feature = "alloc-jemalloc"), any(feature = "alloc-mimalloc", not(target_env = "gnu"))))]
mod heap {
    #[cfg(feature = "alloc-mimalloc")]
    #[global_allocator]
    static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

    pub(crate) const NAME: &str = if cfg!(feature = "alloc-mimalloc") { "mimalloc" } else { "system" };

    pub(crate) fn tune() {}

    pub(crate) fn stats() -> Option<[usize; 2]> {
        None
    }

    pub(crate) fn profile() -> Result<Vec<u8>, crate::Failure> {
        Err("this allocator keeps no profile of the heap: jemalloc does".into())
    }
}
