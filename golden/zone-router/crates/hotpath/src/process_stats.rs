//! What Go's client library exports about a process, from /proc; zeros where there is none.
use std::{
    fs,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

static STARTED: OnceLock<f64> = OnceLock::new();

/// This is when the process started, as far as its metrics know.
pub(crate) fn started() -> f64 {
    *STARTED.get_or_init(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()))
}

#[derive(Default)]
pub(crate) struct Process {
    pub(crate) resident: u64,
    pub(crate) cpu: f64,
    pub(crate) open_fds: usize,
    pub(crate) max_fds: u64,
    pub(crate) started: f64,
}

impl Process {
    #[expect(clippy::disallowed_methods, reason = "/proc never blocks, and the admin thread serves only scrapes")]
    pub(crate) fn read() -> Self {
        let text = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        let (status, stat, limits) = (text("status"), text("stat"), text("limits"));
        let field = |text: &str, name: &str, at: usize| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().nth(at)?.parse().ok()).unwrap_or_default()
        };
        // After the command's name, which may hold anything, fields 14 and 15: ticks of 10 ms on every Linux.
        let times = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 = times.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<u64>().ok()).sum();
        Self {
            resident: field(&status, "VmRSS:", 0) << 10,
            cpu: ticks as f64 / 100.0,
            open_fds: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            max_fds: field(&limits, "Max open files", 0),
            started: started(),
        }
    }
}
