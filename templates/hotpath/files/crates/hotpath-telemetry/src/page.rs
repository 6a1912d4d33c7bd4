//! The page of a scrape: what is read at its moment, what Go's client library tells of a process, and the registry.
use prometheus::{Encoder as _, Registry, TextEncoder};
use std::fmt::Write as _;
use std::fs;

/// Prometheus text 0.0.4, as promhttp gives it.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// A metric without labels, of the type `kind`.
    pub fn metric(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help, [(String::new(), value)]);
    }

    /// A metric with one value for each of `labels`, which are written as they are.
    pub fn family(&mut self, name: &str, kind: &str, help: &str, values: impl IntoIterator<Item = (String, f64)>) {
        // Writing to a string cannot fail.
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").ok();
        for (labels, value) in values {
            writeln!(self.0, "{name}{labels} {value}").ok();
        }
    }

    /// What Go's client library exports about a process, from /proc; zeros where there is none.
    #[rustfmt::skip]
    #[expect(clippy::disallowed_methods, reason = "/proc never blocks, and nothing but a scrape waits for it")]
    pub fn process(&mut self) {
        let text = |path: &str| fs::read_to_string(format!("/proc/{path}")).unwrap_or_default();
        let field = |text: &str, name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
        };
        // After the command's name, which may hold anything, from the third field on; ticks of 10 ms on every Linux.
        let stat = text("self/stat");
        let stat: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let seconds = |field: usize| stat.get(field - 3).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default() / 100.0;
        let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let limit = field(&text("self/limits"), "Max open files");
        self.metric("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", field(&text("self/status"), "VmRSS:") * 1024.0);
        self.metric("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", seconds(14) + seconds(15));
        self.metric("process_open_fds", "gauge", "Number of open file descriptors.", open as f64);
        self.metric("process_max_fds", "gauge", "Maximum number of open file descriptors.", limit);
        let started = field(&text("stat"), "btime") + seconds(22);
        self.metric("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.", started);
    }

    /// The whole page, with what is in `registry`.
    pub fn with(self, registry: &Registry) -> Vec<u8> {
        let mut page = self.0.into_bytes();
        drop(TextEncoder::new().encode(&registry.gather(), &mut page));
        page
    }
}
