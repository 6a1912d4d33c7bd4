//! Measured values as a person reads them.

/// `value` with its unit. Memory comes in bytes and is shown in "MiB"; the other units are "ms", "/s", "%", and "" for a
/// count.
pub fn show(value: f64, unit: &str) -> String {
    match unit {
        "MiB" => format!("{:.1} MiB", value / f64::from(1 << 20)),
        "ms" => format!("{value:.1} ms"),
        "/s" => format!("{value:.0}/s"),
        "%" => format!("{value:.1}%"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::show;

    #[test]
    fn each_unit_has_its_digits() {
        for (value, unit, text) in [
            (3.0 * 1_048_576.0, "MiB", "3.0 MiB"),
            (1.25, "ms", "1.2 ms"),
            (99.6, "/s", "100/s"),
            (99.94, "%", "99.9%"),
            (4.0, "", "4"),
        ] {
            assert_eq!(show(value, unit), text);
        }
    }
}
