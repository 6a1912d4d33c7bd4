//! Whether the CPU has what the code was compiled for (`target-cpu` in `.cargo/config.toml`). Asked before anything else,
//! so that an older CPU is refused with a line that says what it lacks, rather than by an illegal instruction somewhere.
//! Nothing here may need what is asked for: `is_x86_feature_detected!` is constant under that very option, so the CPU is
//! asked itself; and these are masks, because a shift by a variable is an instruction of x86-64-v3.
#![expect(unsafe_code, reason = "asks which registers the operating system keeps")]
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::io::{Write as _, stderr};

/// A feature of the CPU: the word of [`words`] that tells of it, its bit there, and its name.
type Feature = (usize, u64, &'static str);

/// A level of the x86-64 psABI: its name, and what it asks for beyond the level before it.
struct Level {
    name: &'static str,
    features: &'static [Feature],
}

const UNSAVED: &str = "operating system that keeps its vector registers";

#[rustfmt::skip]
const V2: Level = Level { name: "x86-64-v2", features: &[
    (0, 1, "SSE3"), (0, 1 << 9, "SSSE3"), (0, 1 << 13, "CMPXCHG16B"), (0, 1 << 19, "SSE4.1"), (0, 1 << 20, "SSE4.2"),
    (0, 1 << 23, "POPCNT"), (1, 1, "LAHF"),
] };
#[rustfmt::skip]
const V3: Level = Level { name: "x86-64-v3", features: &[
    (0, 1 << 12, "FMA"), (0, 1 << 22, "MOVBE"), (0, 1 << 27, "OSXSAVE"), (0, 1 << 28, "AVX"), (0, 1 << 29, "F16C"),
    (2, 1 << 3, "BMI1"), (2, 1 << 5, "AVX2"), (2, 1 << 8, "BMI2"), (1, 1 << 5, "LZCNT"),
    (3, 1 << 1, UNSAVED), (3, 1 << 2, UNSAVED),
] };
#[rustfmt::skip]
const V4: Level = Level { name: "x86-64-v4", features: &[
    (2, 1 << 16, "AVX512F"), (2, 1 << 17, "AVX512DQ"), (2, 1 << 28, "AVX512CD"), (2, 1 << 30, "AVX512BW"),
    (2, 1 << 31, "AVX512VL"), (3, 1 << 5, UNSAVED), (3, 1 << 6, UNSAVED), (3, 1 << 7, UNSAVED),
] };

const FOR_V2: bool = cfg!(all(
    target_feature = "cmpxchg16b",
    target_feature = "popcnt",
    target_feature = "sse3",
    target_feature = "sse4.1",
    target_feature = "sse4.2",
    target_feature = "ssse3",
));
const FOR_V3: bool = FOR_V2
    && cfg!(all(
        target_feature = "avx",
        target_feature = "avx2",
        target_feature = "bmi1",
        target_feature = "bmi2",
        target_feature = "f16c",
        target_feature = "fma",
        target_feature = "lzcnt",
        target_feature = "movbe",
    ));
const FOR_V4: bool = FOR_V3
    && cfg!(all(
        target_feature = "avx512bw",
        target_feature = "avx512cd",
        target_feature = "avx512dq",
        target_feature = "avx512f",
        target_feature = "avx512vl",
    ));

/// The levels that the code was compiled for, from the lowest.
const LEVELS: &[Level] = match (FOR_V2, FOR_V3, FOR_V4) {
    (_, _, true) => &[V2, V3, V4],
    (_, true, _) => &[V2, V3],
    (true, ..) => &[V2],
    _ => &[],
};

/// The level that the code was compiled for.
pub(crate) const LEVEL: &str = match LEVELS {
    [.., level] => level.name,
    [] => "generic",
};

/// What this CPU says of itself, and what the operating system keeps of it.
fn words() -> [u64; 4] {
    let basic = __cpuid(1).ecx;
    let extended = __cpuid(0x8000_0001).ecx;
    let more = if __cpuid(0).eax >= 7 { __cpuid_count(7, 0).ebx } else { 0 };
    // SAFETY: OSXSAVE, asked for here, says that `xgetbv` exists.
    let saved = if basic & 1 << 27 != 0 { unsafe { _xgetbv(0) } } else { 0 };
    [basic.into(), extended.into(), more.into(), saved]
}

/// False, and a line in the log, if this is not the CPU that the code was compiled for.
#[inline(never)]
pub(crate) fn is_enough() -> bool {
    let Some(missing) = missing(&words(), LEVELS) else { return true };
    let mut log = stderr().lock();
    for part in [
        "{\"level\":\"ERROR\",\"message\":\"cannot start\",\"error\":\"compiled for ",
        LEVEL,
        ", and this CPU has no ",
        missing,
        "\"}\n",
    ] {
        drop(log.write_all(part.as_bytes()));
    }
    false
}

/// The first feature of `levels` that is lacking.
fn missing(words: &[u64], levels: &[Level]) -> Option<&'static str> {
    for level in levels {
        for &(word, bit, name) in level.features {
            if words.get(word).is_none_or(|word| word & bit == 0) {
                return Some(name);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_that_compiled_this_can_run_it() {
        assert_eq!(missing(&words(), LEVELS), None);
    }

    #[test]
    fn a_cpu_without_any_one_of_them_is_refused_by_its_name() {
        let levels = [V2, V3, V4];
        assert_eq!(levels.iter().map(|level| level.features.len()).collect::<Vec<_>>(), [7, 11, 8]);
        for (word, bit, name) in levels.iter().flat_map(|level| level.features) {
            let mut older = [u64::MAX; 4];
            older[*word] &= !bit;
            assert_eq!(missing(&older, &levels), Some(*name));
        }
    }

    #[test]
    fn nothing_compiled_for_less_is_checked() {
        assert_eq!(missing(&[0; 4], &[]), None);
        let second = V2.features.iter().fold([0; 4], |mut words, (word, bit, _)| {
            words[*word] |= bit;
            words
        });
        assert_eq!(missing(&second, &[V2]), None);
        assert_eq!(missing(&second, &[V2, V3]), Some("FMA"));
    }
}
