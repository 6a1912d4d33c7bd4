//! Of what a run was, when, and on which machine: without it two reports cannot be compared.
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

/// The head of a report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Made {
    /// When the run began, in UTC, as RFC 3339 writes it.
    pub date: String,
    /// The version in the service's Cargo.toml. Empty for a service that this run did not build.
    pub version: String,
    /// The commit that was built; with `+edited` where the tree differs from it. Empty where there is none.
    pub revision: String,
    /// The decisions in `.rustgen/answers.yaml`. Empty where there is no such file.
    pub decisions: BTreeMap<String, String>,
    pub machine: Machine,
    /// The command line of the load test.
    pub command: String,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Machine {
    pub cpus: usize,
    /// As the kernel names it. Empty where it does not.
    pub cpu: String,
    pub memory_bytes: u64,
    pub kernel: String,
}

impl Made {
    /// Of this machine, now. `workspace` is that of the service, where this run builds it.
    pub fn now(workspace: Option<&Path>) -> Self {
        let of = |read: fn(&Path) -> String| workspace.map(read).unwrap_or_default();
        Self {
            date: date(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())),
            version: of(version),
            revision: of(revision),
            decisions: workspace.map(decisions).unwrap_or_default(),
            machine: machine(),
            command: command(std::env::args()),
        }
    }

    /// Its parts by name, as a person reads them; those that are not known are left out.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let Machine { cpus, cpu, memory_bytes, kernel } = &self.machine;
        let gib = *memory_bytes as f64 / f64::from(1 << 30);
        let decisions = self.decisions.iter().map(|(name, value)| format!("{name}={value}"));
        let lines = [
            ("date", self.date.clone()),
            ("version", self.version.clone()),
            ("revision", self.revision.clone()),
            ("decisions", decisions.collect::<Vec<_>>().join(" ")),
            ("machine", format!("{cpus} CPUs{}, {gib:.1} GiB, {kernel}", prefixed(cpu))),
            ("command", self.command.clone()),
        ];
        lines.into_iter().filter(|(_, text)| !text.is_empty()).collect()
    }
}

fn prefixed(cpu: &str) -> String {
    if cpu.is_empty() { String::new() } else { format!(" of {cpu}") }
}

/// The command as somebody else would type it: the program without its folder.
fn command(args: impl Iterator<Item = String>) -> String {
    let mut args = args;
    let program = args.next().unwrap_or_default();
    let name = Path::new(&program).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    std::iter::once(name).chain(args).collect::<Vec<_>>().join(" ")
}

fn version(workspace: &Path) -> String {
    let manifest = fs::read_to_string(workspace.join("Cargo.toml")).unwrap_or_default();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap_or_default();
    let version = manifest.get("package").and_then(|package| package.get("version")).and_then(toml::Value::as_str);
    version.unwrap_or_default().to_owned()
}

fn revision(workspace: &Path) -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).current_dir(workspace).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return String::new() };
    let edited = git(&["status", "--porcelain", "--untracked-files=no", "."]).is_some_and(|files| !files.is_empty());
    if edited { commit + "+edited" } else { commit }
}

/// The decisions that the service was rendered from: lines `  id: {value: VALUE, from: ...}`.
fn decisions(workspace: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(workspace.join(".rustgen/answers.yaml")).unwrap_or_default();
    let line = |line: &str| {
        let (name, rest) = line.strip_prefix("  ")?.split_once(": {value: ")?;
        let (value, _) = rest.rsplit_once(", from: ")?;
        Some((name.to_owned(), value.trim_matches('"').to_owned()))
    };
    text.lines().filter_map(line).collect()
}

fn machine() -> Machine {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kib: Option<u64> = memory.and_then(|text| text.split_whitespace().next()?.parse().ok());
    Machine {
        cpus: thread::available_parallelism().map_or(1, usize::from),
        cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
        memory_bytes: kib.unwrap_or_default() * 1_024,
        kernel: format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease").trim()),
    }
}

/// A moment, given in seconds after 1970, as RFC 3339 writes it in UTC.
fn date(seconds: u64) -> String {
    // Days are counted from 0000-03-01, so that a leap day is the last of its year (H. Hinnant, "chrono-Compatible
    // Low-Level Date Algorithms").
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn what_a_service_was_built_of() {
        let folder = std::env::temp_dir().join(format!("made-{}", std::process::id()));
        fs::create_dir_all(folder.join(".rustgen")).unwrap();
        fs::write(folder.join("Cargo.toml"), "[package]\nname = \"x\"\nversion = \"1.2.3\"\n").unwrap();
        let answers = "format: 1\ndecisions:\n  allocator: {value: jemalloc, from: chosen}\n  downstream: {value: [a, b], from: chosen}\nsnapshot: \"\"\n";
        fs::write(folder.join(".rustgen/answers.yaml"), answers).unwrap();
        let made = Made::now(Some(&folder));
        let again = Made::now(Some(&folder.join("nothing")));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(made.version, "1.2.3");
        let decisions: Vec<_> = made.decisions.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(decisions, ["allocator=jemalloc", "downstream=[a, b]"]);
        assert!(made.lines().iter().any(|(name, text)| *name == "machine" && text.contains("CPUs")));
        assert_eq!((again.version.as_str(), again.decisions.len()), ("", 0));
        assert!(again.lines().iter().all(|(name, _)| !["version", "revision", "decisions"].contains(name)));
    }

    #[test]
    fn a_command_names_no_folder() {
        assert_eq!(
            command(["/some/where/loadtest", "run", "--quick"].map(str::to_owned).into_iter()),
            "loadtest run --quick"
        );
    }
}
