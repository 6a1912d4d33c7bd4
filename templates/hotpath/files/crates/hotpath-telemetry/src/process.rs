//! What Go's client library exports about a process, from the prometheus crate's own collector.
#[cfg(target_os = "linux")]
pub(crate) use linux::register;

/// Elsewhere than on Linux nothing is exported about the process.
#[cfg(not(target_os = "linux"))]
pub(crate) fn register(_registry: &prometheus::Registry) -> Result<(), crate::failure::Failure> {
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use crate::failure::Failure;
    use prometheus::core::{Collector, Desc};
    use prometheus::process_collector::ProcessCollector;
    use prometheus::{Counter, Registry, proto::MetricFamily};
    use rustix::time::{ClockId, clock_gettime};

    /// Adds the metrics of this process to `registry`.
    pub(crate) fn register(registry: &Registry) -> Result<(), Failure> {
        let cpu = Counter::new("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")?;
        Ok(registry.register(Box::new(Process { collector: ProcessCollector::for_self(), cpu }))?)
    }

    /// The crate's collector counts CPU time in whole seconds, too coarse for a rate over a minute: Go's client library
    /// exports fractions, and so does this.
    struct Process {
        collector: ProcessCollector,
        cpu: Counter,
    }

    impl Collector for Process {
        fn desc(&self) -> Vec<&Desc> {
            self.collector.desc()
        }

        fn collect(&self) -> Vec<MetricFamily> {
            let time = clock_gettime(ClockId::ProcessCPUTime);
            let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
            self.cpu.inc_by((seconds - self.cpu.get()).max(0.0));
            let families = self.collector.collect().into_iter();
            let others = families.filter(|family| family.name() != "process_cpu_seconds_total");
            others.chain(self.cpu.collect()).collect()
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use prometheus::{Registry, TextEncoder};
    use std::time::Instant;

    #[test]
    fn what_gos_client_library_exports_is_there_and_cpu_time_has_fractions() {
        let registry = Registry::new();
        register(&registry).unwrap();
        let begun = Instant::now();
        while begun.elapsed().as_millis() < 20 {}
        let page = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for (kind, name) in [
            ("counter", "process_cpu_seconds_total"),
            ("gauge", "process_open_fds"),
            ("gauge", "process_max_fds"),
            ("gauge", "process_virtual_memory_bytes"),
            ("gauge", "process_resident_memory_bytes"),
            ("gauge", "process_start_time_seconds"),
        ] {
            assert!(page.contains(&format!("# TYPE {name} {kind}\n{name} ")), "{name}\n{page}");
            assert_eq!(page.matches(&format!("\n{name} ")).count(), 1, "{name}\n{page}");
        }
        let cpu = page.split("\nprocess_cpu_seconds_total ").nth(1).unwrap().lines().next().unwrap();
        assert!(cpu.parse::<f64>().unwrap() > 0.0 && cpu.contains('.'), "{cpu}");
    }
}
