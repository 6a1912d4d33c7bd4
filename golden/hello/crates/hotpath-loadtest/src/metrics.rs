//! Reads the metrics of the service while it is under load: evidence for the cause of a broken gate.
use serde::Serialize;
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long the service may take to connect, and for each read.
const TIMEOUT: Duration = Duration::from_millis(500);
/// The most bytes of a page that are read.
const MAX_PAGE: u64 = 4 << 20;

/// The signals of saturation at one moment; `None` where the service does not export one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Gauges {
    /// Seconds after the start of the run.
    pub at: f64,
    pub memory_budget: Option<f64>,
    pub memory_in_use: Option<f64>,
    pub worker_busy: Option<f64>,
    pub cpu_busy: Option<f64>,
    pub cpu_width: Option<f64>,
    /// Calls in flight of the method that has the most.
    pub in_flight: Option<f64>,
    pub shed: Option<f64>,
    pub queue_depth: Option<f64>,
    pub queue_capacity: Option<f64>,
    pub allocated: Option<f64>,
    pub panics: Option<f64>,
}

/// Reads the page once, over HTTP/1.1. `None` if the service does not answer in time.
pub fn scrape(admin: SocketAddr, at: Duration) -> Option<Gauges> {
    let mut stream = TcpStream::connect_timeout(&admin, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut page = String::new();
    stream.take(MAX_PAGE).read_to_string(&mut page).ok()?;
    page.starts_with("HTTP/1.1 200").then(|| Gauges { at: at.as_secs_f64(), ..parse(&page) })
}

fn parse(page: &str) -> Gauges {
    let values = |name: &'static str| {
        page.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            // Labels or the value follow the name; anything else is a longer name.
            let value = match rest.strip_prefix('{') {
                Some(labelled) => labelled.rsplit_once('}')?.1,
                None => rest.strip_prefix(' ')?,
            };
            value.split_whitespace().next()?.parse::<f64>().ok()
        })
    };
    let one = |name| values(name).next();
    Gauges {
        at: 0.0,
        memory_budget: one("hotpath_memory_budget_bytes"),
        memory_in_use: one("hotpath_memory_in_use_bytes"),
        worker_busy: one("hotpath_worker_busy_ratio"),
        cpu_busy: one("hotpath_cpu_busy"),
        cpu_width: one("hotpath_cpu_width"),
        in_flight: values("hotpath_in_flight").reduce(f64::max),
        shed: values("hotpath_shed_total").reduce(|a, b| a + b),
        queue_depth: values("hotpath_queue_depth").reduce(f64::max),
        queue_capacity: values("hotpath_queue_capacity").reduce(f64::max),
        allocated: one("hotpath_allocator_allocated_bytes"),
        panics: one("hotpath_panics_total"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_exposition() {
        let page = "HTTP/1.1 200 OK\r\n\r\n# HELP hotpath_cpu_busy x\nhotpath_cpu_busy 2\nhotpath_cpu_width 4 1700000000\n\
            hotpath_in_flight{grpc_service=\"a\",grpc_method=\"b\"} 3\nhotpath_in_flight{grpc_service=\"a\",grpc_method=\"c\"} 7\n\
            hotpath_in_flight_limit{grpc_service=\"a\",grpc_method=\"c\"} 900\n\
            hotpath_shed_total{reason=\"memory\"} 1\nhotpath_shed_total{reason=\"in_flight\"} 4e2\n";
        let gauges = parse(page);
        assert_eq!((gauges.cpu_busy, gauges.cpu_width), (Some(2.0), Some(4.0)));
        assert_eq!(gauges.in_flight, Some(7.0));
        assert_eq!(gauges.shed, Some(401.0));
        assert_eq!(gauges.queue_depth, None);
    }
}
