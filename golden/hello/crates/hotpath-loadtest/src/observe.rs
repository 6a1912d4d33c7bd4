//! Watches the service while it is under load: its memory, threads, descriptors and CPU from /proc, and its own metrics
//! from the admin port.
use crate::metrics::{self, Gauges};
use serde::Serialize;
use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How often the process is sampled. The peak of its memory between two samples is known from the kernel.
const EVERY: Duration = Duration::from_millis(250);
/// How often the metrics are read.
const SCRAPE_EVERY: Duration = Duration::from_secs(1);

/// The process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Seconds after the start of the run.
    pub at: f64,
    /// Resident bytes.
    pub rss: u64,
    /// The most resident bytes so far, as the kernel counts them.
    pub peak: u64,
    pub threads: u64,
    pub descriptors: u64,
    /// CPU seconds that the service has used so far.
    pub cpu: f64,
    /// CPU seconds that this load generator has used so far.
    pub own_cpu: f64,
    /// CPU seconds that everything on this machine has used so far, with what its host took away.
    pub all_cpu: f64,
    /// CPU seconds that its host took away so far, for other machines on it.
    pub stolen: f64,
}

/// The threads that take samples.
pub struct Observer {
    stop: Arc<AtomicBool>,
    /// Resident bytes in the last sample, for the progress line.
    pub rss: Arc<AtomicU64>,
    process: Option<JoinHandle<Vec<Sample>>>,
    admin: Option<JoinHandle<Vec<Gauges>>>,
}

impl Observer {
    /// Samples the process and reads the metrics, of each that is given, until [`Observer::finish`].
    pub fn start(origin: Instant, pid: Option<u32>, admin: Option<SocketAddr>) -> Self {
        let (stop, rss) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let process = pid.map(|pid| {
            let (stop, rss) = (Arc::clone(&stop), Arc::clone(&rss));
            thread::spawn(move || {
                every(EVERY, &stop, || {
                    let sample = sample(pid, origin.elapsed())?;
                    rss.store(sample.rss, Ordering::Relaxed);
                    Some(sample)
                })
            })
        });
        let admin = admin.map(|admin| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || every(SCRAPE_EVERY, &stop, || metrics::scrape(admin, origin.elapsed())))
        });
        Self { stop, rss, process, admin }
    }

    /// Stops both threads and returns what they saw.
    pub fn finish(self) -> (Vec<Sample>, Vec<Gauges>) {
        self.stop.store(true, Ordering::Relaxed);
        (self.process.map(joined).unwrap_or_default(), self.admin.map(joined).unwrap_or_default())
    }
}

fn joined<T>(thread: JoinHandle<Vec<T>>) -> Vec<T> {
    thread.join().unwrap_or_default()
}

fn every<T>(period: Duration, stop: &AtomicBool, mut look: impl FnMut() -> Option<T>) -> Vec<T> {
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        seen.extend(look());
        thread::sleep(period);
    }
    seen
}

/// `None` once the process is gone.
fn sample(pid: u32, at: Duration) -> Option<Sample> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let (rss, peak, threads) = memory(&status)?;
    let (all_cpu, stolen) = machine(&fs::read_to_string("/proc/stat").ok()?)?;
    Some(Sample {
        at: at.as_secs_f64(),
        rss,
        peak,
        threads,
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |fds| fds.count() as u64),
        cpu: cpu(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?,
        own_cpu: cpu(&fs::read_to_string("/proc/self/stat").ok()?)?,
        all_cpu,
        stolen,
    })
}

/// Resident bytes, their peak, and threads, from /proc/PID/status.
fn memory(status: &str) -> Option<(u64, u64, u64)> {
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some((field("VmRSS:")? * 1_024, field("VmHWM:")? * 1_024, field("Threads:")?))
}

/// Seconds in user and kernel mode, from /proc/PID/stat; the kernel counts in hundredths there.
fn cpu(stat: &str) -> Option<f64> {
    // The name of the program comes second, in brackets, and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let kernel: f64 = fields.next()?.parse().ok()?;
    Some((user + kernel) / 100.0)
}

/// Seconds of all CPUs that were not idle, and of those the seconds that the host took away, from /proc/stat.
fn machine(stat: &str) -> Option<(f64, f64)> {
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user nice system idle iowait irq softirq steal; guest time is in user already.
    let fields: Vec<f64> = all.split_whitespace().take(8).filter_map(|ticks| ticks.parse().ok()).collect();
    let busy: f64 = fields.iter().enumerate().filter(|(n, _)| *n != 3 && *n != 4).map(|(_, ticks)| ticks).sum();
    Some((busy / 100.0, fields.get(7).copied().unwrap_or(0.0) / 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let status = "Name:\thello\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nThreads:\t7\n";
        assert_eq!(memory(status), Some((10_240 * 1_024, 20_480 * 1_024, 7)));
        assert_eq!(memory("Name:\tzombie\n"), None);
        let stat = "1 (a ) b) S 2 3 4 5 6 7 8 9 10 11 250 50 0 0";
        assert_eq!(cpu(stat), Some(3.0));
        assert_eq!(machine("cpu  100 10 90 5000 700 5 15 80 40 0\ncpu0 1 2 3\n"), Some((3.0, 0.8)));
    }

    #[test]
    fn samples_this_process() {
        let sample = sample(std::process::id(), Duration::from_secs(1)).unwrap();
        assert!(sample.rss > 1 << 20 && sample.peak >= sample.rss && sample.threads >= 1 && sample.descriptors >= 3);
        assert_eq!(super::sample(u32::MAX, Duration::ZERO), None);
    }
}
