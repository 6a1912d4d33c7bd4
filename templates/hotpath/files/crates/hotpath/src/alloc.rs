//! The allocator: one feature swaps it, and everything that tunes it stands here.
//!
//! Never musl's own: a static binary takes jemalloc or mimalloc, or links glibc statically.
#![allow(unsafe_code, reason = "the C interface of those that have one")]

pub(crate) use heap::{NAME, stats, tune};

#[cfg(all(target_env = "musl", not(any(feature = "alloc-jemalloc", feature = "alloc-mimalloc"))))]
compile_error!(
    "musl's allocator takes one lock for all threads: build with alloc-jemalloc or alloc-mimalloc, or static glibc"
);

#[cfg(feature = "alloc-jemalloc")]
mod heap {
    use tikv_jemalloc_ctl::{epoch, stats};

    #[global_allocator]
    static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

    pub(crate) const NAME: &str = "jemalloc";

    /// Compiled in: `MALLOC_CONF` is not read under the prefix that the crate builds with. What a burst leaves behind
    /// goes back to the system within seconds, by threads of the allocator's own.
    #[unsafe(export_name = "_rjem_malloc_conf")]
    pub static OPTIONS: &[u8] = b"background_thread:true,dirty_decay_ms:2000,muzzy_decay_ms:0\0";

    pub(crate) fn tune() {}

    pub(crate) fn stats() -> Option<[usize; 2]> {
        epoch::advance().ok()?;
        Some([stats::allocated::read().ok()?, stats::resident::read().ok()?])
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
}
