//! Exemplars: for each bucket of a histogram, the trace of the last sampled call that fell into it. They lead from a slow
//! bucket on a dashboard to the trace of a slow call.
#![expect(clippy::disallowed_types, reason = "held for an insertion by one call a second, and for a scrape")]
use prometheus::Histogram;
use prometheus::core::{Collector as _, Metric as _};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The buckets of the histogram with the most of them, with that which has no upper bound.
const BUCKETS: usize = 15;
/// What seconds are counted from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Of the whole process, by bucket as the page of metrics writes it: as many as there are buckets.
static LAST: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// When each bucket of one method was given its last exemplar: the second, counted from 1.
#[derive(Debug, Default)]
pub(crate) struct Due([AtomicU64; BUCKETS]);

impl Due {
    /// Whether a bucket has had none in this second.
    pub(crate) fn is_due(&self, bucket: usize) -> bool {
        self.0.get(bucket).is_some_and(|last| last.load(Relaxed) != second())
    }

    /// Notes that a bucket was given one.
    pub(crate) fn taken(&self, bucket: usize) {
        if let Some(last) = self.0.get(bucket) {
            last.store(second(), Relaxed);
        }
    }
}

fn second() -> u64 {
    1 + START.elapsed().as_secs()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_takes_one_a_second_and_the_buckets_do_not_share_it() {
        let due = Due::default();
        assert!((0..BUCKETS).all(|bucket| due.is_due(bucket)) && !due.is_due(BUCKETS));
        let before = second();
        due.taken(3);
        assert!(due.is_due(4));
        assert!(!due.is_due(3) || second() > before);
    }
}
