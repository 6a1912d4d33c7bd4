//! Settings from the environment: typed, with the name and the value in the error.
use hotpath_telemetry::Failure;
use std::{collections::HashMap, ffi::OsString, fmt::Display, ops::RangeInclusive, str::FromStr, time::Duration};

/// Where settings come from: the process's environment, or pairs in a test.
#[derive(Clone, Debug, Default)]
pub struct Env(HashMap<String, String>);

impl Env {
    /// The environment of this process. What is not UTF-8 is not seen.
    pub fn process() -> Self {
        let utf8 = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Self(std::env::vars_os().filter_map(utf8).collect())
    }

    /// Only these.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The text of a variable; an empty one counts as absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A value, or `default` where the variable is absent.
    ///
    /// # Errors
    /// If the text does not parse.
    pub fn get<T: FromStr<Err: Display>>(&self, name: &str, default: T) -> Result<T, Failure> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().map_err(|error| format!("{name}={text}: {error}").into())
    }

    /// A number within `range`, or `default` where the variable is absent.
    ///
    /// # Errors
    /// If the text is no number, or one outside of the range.
    pub fn within<T>(&self, name: &str, default: T, range: RangeInclusive<T>) -> Result<T, Failure>
    where
        T: FromStr<Err: Display> + PartialOrd + Display + Copy,
    {
        let value = self.get(name, default)?;
        if self.text(name).is_none() || range.contains(&value) {
            return Ok(value);
        }
        Err(format!("{name}={value}: not from {} to {}", range.start(), range.end()).into())
    }

    /// A number of milliseconds.
    ///
    /// # Errors
    /// If the text is not a whole number.
    pub fn millis(&self, name: &str, default: Duration) -> Result<Duration, Failure> {
        Ok(Duration::from_millis(self.get(name, default.as_millis() as u64)?))
    }

    /// Bytes, plain or with a unit: `536870912`, `512MiB`.
    ///
    /// # Errors
    /// If the text is neither.
    pub fn size(&self, name: &str, default: u64) -> Result<u64, Failure> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match text.strip_prefix(digits) {
            Some("" | "B") => Some(0),
            Some("KiB" | "Ki") => Some(10),
            Some("MiB" | "Mi") => Some(20),
            Some("GiB" | "Gi") => Some(30),
            _ => None,
        };
        unit.zip(digits.parse::<u64>().ok())
            .and_then(|(shift, number)| number.checked_mul(1 << shift))
            .ok_or_else(|| format!("{name}={text}: not a size such as 512MiB").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let env = Env::from_pairs([
            ("A", "512MiB"),
            ("B", "7"),
            ("C", "1.5GiB"),
            ("D", "MiB"),
            ("E", ""),
            ("F", "99999999999999GiB"),
        ]);
        assert_eq!(env.size("A", 0).unwrap(), 512 << 20);
        assert_eq!(env.size("B", 0).unwrap(), 7);
        assert_eq!(env.size("E", 3).unwrap(), 3, "empty is absent");
        for wrong in ["C", "D", "F"] {
            assert!(env.size(wrong, 0).unwrap_err().to_string().starts_with(&format!("{wrong}=")));
        }
    }

    #[test]
    fn an_error_names_the_variable_and_the_value() {
        let error = Env::from_pairs([("WORKERS", "two")]).get("WORKERS", 1usize).unwrap_err();
        assert_eq!(error.to_string(), "WORKERS=two: invalid digit found in string");
    }
}
