//! The allocator: one feature swaps it, and everything that tunes it stands here.
//!
//! Never musl's own: a static binary takes jemalloc or mimalloc, or links glibc statically.
#![cfg_attr(
    any(feature = "alloc-jemalloc", not(feature = "alloc-mimalloc")),
    expect(unsafe_code, reason = "the allocator's C interface")
)]

pub(crate) use heap::{NAME, stats, tune};

/// What the allocator says of itself.
pub(crate) struct Stats {
    pub(crate) allocated: u64,
    pub(crate) resident: u64,
}

#[cfg(all(target_env = "musl", not(any(feature = "alloc-jemalloc", feature = "alloc-mimalloc"))))]
compile_error!(
    "musl's allocator takes one lock for all threads: build with alloc-jemalloc or alloc-mimalloc, or static glibc"
);

#[cfg(feature = "alloc-jemalloc")]
mod heap {
    use super::Stats;
    use tikv_jemalloc_ctl::{epoch, stats};

    #[global_allocator]
    static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

    pub(crate) const NAME: &str = "jemalloc";

    /// Compiled in: `MALLOC_CONF` is not read under the prefix that the crate builds with. What a burst leaves behind
    /// goes back to the system within seconds, by threads of the allocator's own.
    #[unsafe(export_name = "_rjem_malloc_conf")]
    pub static OPTIONS: &[u8] = b"background_thread:true,dirty_decay_ms:2000,muzzy_decay_ms:0\0";

    pub(crate) fn tune() {}

    pub(crate) fn stats() -> Option<Stats> {
        epoch::advance().ok()?;
        Some(Stats {
            allocated: stats::allocated::read().ok()? as u64,
            resident: stats::resident::read().ok()? as u64,
        })
    }
}

#[cfg(all(feature = "alloc-mimalloc", not(feature = "alloc-jemalloc")))]
mod heap {
    use super::Stats;

    #[global_allocator]
    static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

    pub(crate) const NAME: &str = "mimalloc";

    pub(crate) fn tune() {}

    pub(crate) fn stats() -> Option<Stats> {
        None
    }
}

#[cfg(not(any(feature = "alloc-jemalloc", feature = "alloc-mimalloc")))]
mod heap {
    use super::Stats;

    pub(crate) const NAME: &str = "system";

    /// Two arenas rather than eight a CPU: each keeps what it once had, and under a burst they grow to GiB.
    pub(crate) fn tune() {
        // SAFETY: called before any other thread exists.
        #[cfg(target_env = "gnu")]
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, 2);
        }
    }

    pub(crate) fn stats() -> Option<Stats> {
        // SAFETY: takes no argument, returns a plain struct.
        #[cfg(target_env = "gnu")]
        let info = unsafe { libc::mallinfo2() };
        #[cfg(target_env = "gnu")]
        return Some(Stats {
            allocated: (info.uordblks + info.hblkhd) as u64,
            resident: (info.arena + info.hblkhd) as u64,
        });
        #[cfg(not(target_env = "gnu"))]
        None
    }
}
