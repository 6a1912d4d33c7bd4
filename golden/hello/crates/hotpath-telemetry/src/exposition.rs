//! The page of metrics, in the format that the scraper asks for: Prometheus' text, or OpenMetrics, which has exemplars.
use crate::exemplars;
use crate::failure::Failure;
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{Registry, TextEncoder};

/// Prometheus text, and UTF-8, as promhttp says it.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All that is in `registry`, for a scraper with this `accept` header. Returns the content type, and the page.
///
/// # Errors
/// If a metric of the service's own is malformed.
pub fn page(registry: &Registry, accept: &str) -> Result<(&'static str, String), Failure> {
    let families = registry.gather();
    if quality(accept, "application/openmetrics-text") > quality(accept, "text/plain") {
        return Ok((OPEN_METRICS, open_metrics(&families)?));
    }
    Ok((TEXT, TextEncoder::new().encode_to_string(&families)?))
}

/// How much a scraper wants a media type, from 0 to 1: the most of the ranges that name it.
fn quality(accept: &str, media_type: &str) -> f64 {
    let of_range = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(media_type));
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if named { quality } else { 0.0 }
    };
    accept.split(',').map(of_range).fold(0.0, f64::max)
}

/// The samples are those of the text format; what differs is the head of a family, the exemplars and the end.
fn open_metrics(families: &[MetricFamily]) -> Result<String, Failure> {
    let mut page = String::new();
    for family in families {
        let (name, kind) = match (family.get_field_type(), family.name().strip_suffix("_total")) {
            (MetricType::COUNTER, Some(name)) => (name, "counter"),
            // OpenMetrics has no counter without this suffix; so says Go's client library, too.
            (MetricType::COUNTER | MetricType::UNTYPED, _) => (family.name(), "unknown"),
            (MetricType::GAUGE, _) => (family.name(), "gauge"),
            (MetricType::HISTOGRAM, _) => (family.name(), "histogram"),
            (MetricType::SUMMARY, _) => (family.name(), "summary"),
        };
        let help = family.help().replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
        page.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        let samples = TextEncoder::new().encode_to_string(std::slice::from_ref(family))?;
        for sample in samples.lines().filter(|line| !line.starts_with('#')) {
            page.push_str(sample);
            let bucket = sample.rsplit_once(' ').map_or("", |(bucket, _value)| bucket);
            if let Some(exemplar) = exemplars::of(bucket) {
                page.push_str(&format!(" # {exemplar}"));
            }
            page.push('\n');
        }
    }
    page.push_str("# EOF\n");
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge};

    #[test]
    fn the_format_is_what_the_scraper_prefers() {
        let registry = Registry::new();
        let format = |accept: &str| page(&registry, accept).unwrap().0;
        let of_prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        for accept in [of_prometheus, "application/openmetrics-text"] {
            assert_eq!(format(accept), OPEN_METRICS, "{accept}");
        }
        let text_first = "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4";
        for accept in ["", "*/*", "text/html", text_first, "application/openmetrics-text;q=0"] {
            assert_eq!(format(accept), TEXT, "{accept}");
        }
    }

    #[test]
    fn open_metrics_has_heads_exemplars_and_an_end() {
        let registry = Registry::new();
        let calls = IntCounter::new("calls_total", "Calls, \"all\".").unwrap();
        let hits = IntCounter::new("hits", "Hits.").unwrap();
        let depth = IntGauge::new("depth", "Depth.").unwrap();
        let options = HistogramOpts::new("exposition_test_seconds", "Time.").buckets(vec![0.1, 1.0]);
        let seconds = Histogram::with_opts(options.const_label("method", "a")).unwrap();
        registry.register(Box::new(calls)).unwrap();
        registry.register(Box::new(hits)).unwrap();
        registry.register(Box::new(depth)).unwrap();
        registry.register(Box::new(seconds.clone())).unwrap();
        for (time, trace) in [(0.5, "abc"), (7.0, "def")] {
            seconds.observe(time);
            exemplars::set(&seconds, time, trace);
        }
        let (_, page) = page(&registry, "application/openmetrics-text").unwrap();
        // Without the times of the exemplars.
        let untimed = |line| if str::contains(line, " # ") { line.rsplit_once(' ').unwrap().0 } else { line };
        let expected = [
            "# HELP calls Calls, \\\"all\\\".",
            "# TYPE calls counter",
            "calls_total 0",
            "# HELP depth Depth.",
            "# TYPE depth gauge",
            "depth 0",
            "# HELP exposition_test_seconds Time.",
            "# TYPE exposition_test_seconds histogram",
            "exposition_test_seconds_bucket{method=\"a\",le=\"0.1\"} 0",
            "exposition_test_seconds_bucket{method=\"a\",le=\"1\"} 1 # {trace_id=\"abc\"} 0.5",
            "exposition_test_seconds_bucket{method=\"a\",le=\"+Inf\"} 2 # {trace_id=\"def\"} 7",
            "exposition_test_seconds_sum{method=\"a\"} 7.5",
            "exposition_test_seconds_count{method=\"a\"} 2",
            "# HELP hits Hits.",
            "# TYPE hits unknown",
            "hits 0",
            "# EOF",
        ];
        assert_eq!(page.lines().map(untimed).collect::<Vec<_>>(), expected);
    }
}
