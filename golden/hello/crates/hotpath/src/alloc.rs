//! The allocator: one feature swaps it, and everything that tunes it, or asks it, stands here.
//!
//! Never musl's own: a static binary takes jemalloc or mimalloc, or links glibc statically.
#![allow(unsafe_code, reason = "the C interface of those that have one")]
use hotpath_telemetry::Failure;

pub(crate) use heap::{NAME, stats};

#[cfg(all(target_env = "musl", not(any(feature = "alloc-jemalloc", feature = "alloc-mimalloc"))))]
compile_error!(
    "musl's allocator takes one lock for all threads: build with alloc-jemalloc or alloc-mimalloc, or static glibc"
);

/// What an allocator says of itself, where it does: bytes that the process asked for, and bytes that it holds for them.
pub(crate) type Stats = [Option<usize>; 2];

#[cfg(feature = "alloc-jemalloc")]
mod heap {
    use tikv_jemalloc_ctl::{epoch, stats};

    #[global_allocator]
    static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

    pub(crate) const NAME: &str = "jemalloc";

    /// Compiled in: `MALLOC_CONF` is not read under the prefix that the crate builds with. What a burst leaves behind
    /// goes back to the system within seconds, by threads of the allocator's own. Where what is live was allocated is
    /// sampled from when the environment says `_RJEM_MALLOC_CONF=prof_active:true`.
    #[unsafe(export_name = "_rjem_malloc_conf")]
    pub static OPTIONS: &[u8] =
        b"background_thread:true,dirty_decay_ms:2000,muzzy_decay_ms:0,prof:true,prof_active:false\0";

    pub(crate) fn stats() -> super::Stats {
        // What is read is of the last epoch.
        epoch::advance().ok();
        [stats::allocated::read().ok(), stats::resident::read().ok()]
    }
}

#[cfg(all(feature = "alloc-mimalloc", not(feature = "alloc-jemalloc")))]
mod heap {
    use libmimalloc_sys::mi_process_info;
    use std::ptr::null_mut;

    #[global_allocator]
    static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

    pub(crate) const NAME: &str = "mimalloc";

    /// It counts what it holds, and not what it was asked for.
    pub(crate) fn stats() -> super::Stats {
        let none = null_mut();
        let mut held = 0;
        // SAFETY: whatever is not wanted may be null.
        unsafe { mi_process_info(none, none, none, none, none, &mut held, none, none) };
        [None, Some(held)]
    }
}

#[cfg(not(any(feature = "alloc-jemalloc", feature = "alloc-mimalloc")))]
mod heap {
    pub(crate) const NAME: &str = "system";

    pub(crate) fn stats() -> super::Stats {
        #[cfg(target_env = "gnu")]
        {
            // SAFETY: takes no argument, returns a plain struct.
            let info = unsafe { libc::mallinfo2() };
            [info.uordblks, info.arena].map(|bytes| Some(bytes + info.hblkhd))
        }
        #[cfg(not(target_env = "gnu"))]
        [None; 2]
    }
}

/// Two arenas of glibc, and two for each CPU, rather than eight: each keeps what it once had, and under a burst they grow to
/// GiB. With two in all, threads that compute may have to share one, and wait for its lock: two CPUs then do less than one.
pub(crate) fn tune() {
    #[cfg(all(target_env = "gnu", not(any(feature = "alloc-jemalloc", feature = "alloc-mimalloc"))))]
    // SAFETY: called before any other thread exists.
    unsafe {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        libc::mallopt(libc::M_ARENA_MAX, 2 + 2 * cpus as i32);
    }
}

/// What is live, by where it was allocated, as `jeprof` reads it.
#[cfg(all(feature = "alloc-jemalloc", target_os = "linux"))]
#[expect(clippy::disallowed_types, reason = "a file in memory blocks nobody")]
pub(crate) fn profile() -> Result<Vec<u8>, Failure> {
    use std::os::fd::{AsRawFd as _, FromRawFd as _};
    use std::{ffi::CString, fs::File, io, io::Read as _};
    use tikv_jemalloc_ctl::raw;
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

#[cfg(not(all(feature = "alloc-jemalloc", target_os = "linux")))]
pub(crate) fn profile() -> Result<Vec<u8>, Failure> {
    Err("this build keeps no profile of the heap: one with jemalloc does, on Linux".into())
}
