//! The compiler counts on x86-64-v2 (see `.cargo/config.toml`). Asked before anything else, so that an older CPU is
//! refused with a line that says what it lacks, rather than by an illegal instruction somewhere. Nothing here may need
//! what is asked for: `is_x86_feature_detected!` is constant under that very option, so the CPU is asked itself.
use std::arch::x86_64::__cpuid;
use std::io::{Write as _, stderr};

/// False, and a line in the log, if this is not the CPU that the code was compiled for.
#[inline(never)]
pub(crate) fn is_enough() -> bool {
    let Some(missing) = missing() else { return true };
    let mut log = stderr().lock();
    for part in [
        "{\"level\":\"ERROR\",\"message\":\"cannot start\",\"error\":\"compiled for x86-64-v2, and this CPU has no ",
        missing,
        "\"}\n",
    ] {
        drop(log.write_all(part.as_bytes()));
    }
    false
}

/// The first feature of the level that the CPU lacks.
fn missing() -> Option<&'static str> {
    let (basic, extended) = (__cpuid(1).ecx, __cpuid(0x8000_0001).ecx);
    #[rustfmt::skip]
    let levels = [
        (basic, 0, "SSE3"),
        (basic, 9, "SSSE3"),
        (basic, 13, "CMPXCHG16B"),
        (basic, 19, "SSE4.1"),
        (basic, 20, "SSE4.2"),
        (basic, 23, "POPCNT"),
        (extended, 0, "LAHF"),
    ];
    for (register, bit, name) in levels {
        if register >> bit & 1 == 0 {
            return Some(name);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_machine_that_compiled_this_can_run_it() {
        assert_eq!(super::missing(), None);
    }
}
