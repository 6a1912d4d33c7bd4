//! The compiler counts on x86-64-v3 (see `.cargo/config.toml`). Asked before anything else, so that an older CPU is
//! refused with a line that says what it lacks, rather than by an illegal instruction somewhere. Nothing here may need
//! what is asked for: `is_x86_feature_detected!` is constant under that very option, so the CPU is asked itself; and
//! these are masks, because a shift by a variable is an instruction of x86-64-v3.
#![expect(unsafe_code, reason = "asks which registers the operating system keeps")]
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::io::{Write as _, stderr};

/// Each feature of the level: the word that tells of it, its bit there, and its name.
#[rustfmt::skip]
const LEVEL: [(usize, u64, &str); 18] = [
    (0, 1, "SSE3"), (0, 1 << 9, "SSSE3"), (0, 1 << 13, "CMPXCHG16B"), (0, 1 << 19, "SSE4.1"), (0, 1 << 20, "SSE4.2"),
    (0, 1 << 23, "POPCNT"), (1, 1, "LAHF"),
    (0, 1 << 12, "FMA"), (0, 1 << 22, "MOVBE"), (0, 1 << 27, "OSXSAVE"), (0, 1 << 28, "AVX"), (0, 1 << 29, "F16C"),
    (2, 1 << 3, "BMI1"), (2, 1 << 5, "AVX2"), (2, 1 << 8, "BMI2"), (1, 1 << 5, "LZCNT"),
    (3, 1 << 1, UNSAVED), (3, 1 << 2, UNSAVED),
];
const UNSAVED: &str = "operating system that keeps its vector registers";

/// What this CPU says of itself, and what the operating system keeps of it.
fn words() -> [u64; 4] {
    let (basic, extended) = (__cpuid(1).ecx, __cpuid(0x8000_0001).ecx);
    let more = if __cpuid(0).eax >= 7 { __cpuid_count(7, 0).ebx } else { 0 };
    // SAFETY: OSXSAVE, asked for here, says that `xgetbv` exists.
    let saved = if basic & 1 << 27 != 0 { unsafe { _xgetbv(0) } } else { 0 };
    [basic.into(), extended.into(), more.into(), saved]
}

/// False, and a line in the log, if this is not the CPU that the code was compiled for.
#[inline(never)]
pub(crate) fn is_enough() -> bool {
    let Some(missing) = missing(&words()) else { return true };
    let mut log = stderr().lock();
    for part in [
        "{\"level\":\"ERROR\",\"message\":\"cannot start\",\"error\":\"compiled for x86-64-v3, and this CPU has no ",
        missing,
        "\"}\n",
    ] {
        drop(log.write_all(part.as_bytes()));
    }
    false
}

/// The first feature of the level that is lacking.
fn missing(words: &[u64]) -> Option<&'static str> {
    for (word, bit, name) in LEVEL {
        if words.get(word).is_none_or(|word| word & bit == 0) {
            return Some(name);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(not(target_feature = "avx2"), ignore = "RUSTFLAGS had it compiled for less")]
    fn the_machine_that_compiled_this_can_run_it() {
        assert_eq!(missing(&words()), None);
    }

    #[test]
    fn a_cpu_without_any_one_of_them_is_refused_by_its_name() {
        for (word, bit, name) in LEVEL {
            let mut older = [u64::MAX; 4];
            older[word] &= !bit;
            assert_eq!(missing(&older), Some(name));
        }
    }
}
