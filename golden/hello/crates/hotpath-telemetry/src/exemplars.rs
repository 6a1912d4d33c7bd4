//! Exemplars: for each bucket of a histogram, the trace of the last sampled call that fell into it. They lead from a slow
//! bucket on a dashboard to the trace of a slow call.
#![expect(clippy::disallowed_types, reason = "held for an insertion by sampled calls, and for a scrape")]
use prometheus::Histogram;
use prometheus::core::{Collector as _, Metric as _};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Of the whole process, by bucket as the page of metrics writes it: as many as there are buckets.
static LAST: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Makes a call that took so many seconds the exemplar of its bucket of `histogram`.
pub(crate) fn set(histogram: &Histogram, seconds: f64, trace_id: &str) {
    let Some(name) = histogram.desc().first().map(|desc| desc.fq_name.clone()) else { return };
    let metric = histogram.metric();
    let labels = metric.get_label().iter().filter(|label| !label.value().is_empty());
    let labels: String = labels.map(|label| format!("{}=\"{}\",", label.name(), label.value())).collect();
    let bounds = metric.get_histogram().get_bucket().iter().map(prometheus::proto::Bucket::upper_bound);
    let bound = bounds.filter(|bound| seconds <= *bound).map(|bound| bound.to_string()).next();
    let bucket = format!("{name}_bucket{{{labels}le=\"{}\"}}", bound.as_deref().unwrap_or("+Inf"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let exemplar = format!("{{trace_id=\"{trace_id}\"}} {seconds} {now:.3}");
    LAST.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket, exemplar);
}

/// The exemplar of a bucket, as OpenMetrics writes it.
pub(crate) fn of(bucket: &str) -> Option<String> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).cloned()
}
