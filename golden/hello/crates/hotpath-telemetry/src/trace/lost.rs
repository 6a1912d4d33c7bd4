//! Spans that never reach the collector are counted, and said. The SDK's own queue drops them without a word.
use crate::limiter::Limiter;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use prometheus::{IntCounter, IntCounterVec, Opts};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tracing::warn;

/// Spans that may wait for the collector.
const QUEUE: usize = 2_048;
/// What a span was lost to, in the metric.
const REASONS: [&str; 2] = ["queue_full", "export_failed"];
/// One line in this time says that spans are lost.
static LINES: Limiter = Limiter::new(1, Duration::from_secs(60));
/// Of the whole process, as its exporter is.
static LOST: LazyLock<Option<IntCounterVec>> = LazyLock::new(|| {
    let options = Opts::new("hotpath_spans_dropped_total", "Spans that never reached the collector, by why.");
    let lost = IntCounterVec::new(options, &["reason"]).ok()?;
    REASONS.iter().for_each(|reason| drop(lost.with_label_values(&[reason])));
    Some(lost)
});

/// The counter of spans that were lost, by reason.
pub(crate) fn lost() -> Option<IntCounterVec> {
    LOST.clone()
}

/// Sends spans in batches. What waits is bounded, and nobody waits for it.
#[derive(Debug)]
pub(super) struct Counted {
    batches: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    full: Loss,
}

impl Counted {
    pub(super) fn new(exporter: impl SpanExporter + 'static) -> Self {
        let waiting = Arc::<AtomicUsize>::default();
        let [full, failed] = REASONS.map(Loss::of);
        let exporter = Watched { exporter, waiting: Arc::clone(&waiting), failed };
        let config = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
        let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        Self { batches, waiting, full }
    }
}

impl SpanProcessor for Counted {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        // Counted here and not in the queue, which is never full then.
        if self.waiting.fetch_add(1, Relaxed) < QUEUE {
            self.batches.on_end(span);
        } else {
            self.waiting.fetch_sub(1, Relaxed);
            self.full.of_spans(1, "the collector does not take them fast enough");
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let result = self.batches.shutdown_with_timeout(timeout);
        let left = self.waiting.load(Relaxed);
        if left > 0 {
            warn!(spans = left, "spans are lost: the collector did not take them before the end");
        }
        result
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// An exporter whose failures are counted.
#[derive(Debug)]
struct Watched<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
    failed: Loss,
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        self.waiting.fetch_sub(spans, Relaxed);
        if let Err(error) = &result {
            self.failed.of_spans(spans, &error.to_string());
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// What is lost for one reason.
#[derive(Debug)]
struct Loss(Option<IntCounter>);

impl Loss {
    fn of(reason: &str) -> Self {
        Self(LOST.as_ref().map(|lost| lost.with_label_values(&[reason])))
    }

    /// Counts spans that were lost to `error`, and says so, once in a while.
    fn of_spans(&self, spans: usize, error: &str) {
        let Some(lost) = &self.0 else { return };
        lost.inc_by(spans as u64);
        if LINES.pass().is_some() {
            warn!(error, lost = lost.get(), "spans are lost; hotpath_spans_dropped_total goes on counting");
        }
    }
}
