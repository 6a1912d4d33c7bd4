//! Spans for an OTLP collector, sampled as the caller decided, or else at a ratio. The exporter's queue is bounded, and
//! no call waits for it.
use super::{Settings, TARGET};
use crate::codes::is_fault;
use crate::failure::Failure;
use crate::name::Name;
use http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Status, TraceContextExt as _, TracerProvider as _};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator};
use std::time::Duration;
use tonic::Code;
use tracing::{Span, Subscriber, field::Empty, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, filter::filter_fn, registry::LookupSpan};

/// Sends spans until it is shut down.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Sends what is queued, for two seconds at most. Blocks its thread.
    pub fn shutdown(self) {
        drop(self.0.shutdown_with_timeout(Duration::from_secs(2)));
    }
}

/// Makes `subscriber`, with the spans of calls added, the one of this process. Needs a Tokio context where there is a
/// collector: the exporter's channel lives on the runtime.
pub(crate) fn install<S>(subscriber: S, Settings { name, ratio, collector }: Settings<'_>) -> Result<Exporter, Failure>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
{
    let mut builder = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name(name).build())
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))));
    if let Some(endpoint) = collector {
        builder = builder.with_batch_exporter(SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?);
    }
    let provider = builder.build();
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(name))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_filter(filter_fn(|meta| meta.is_span() && meta.target() == TARGET));
    subscriber.with(spans).try_init()?;
    Ok(Exporter(provider))
}

/// The context that a call came with. The spans hold it here, so there is nothing to keep beside them.
#[derive(Clone, Copy, Debug)]
pub struct Parent;

impl Parent {
    /// The context in the headers of a call that came in.
    pub fn of(_headers: &HeaderMap) -> Self {
        Self
    }
}

/// Writes the context of `span` into the headers of an outgoing call.
pub fn inject(_parent: Option<&Parent>, span: &Span, headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(&span.context(), &mut HeaderInjector(headers));
}

/// The span of a call that came in: the child of the span in its headers, where there is one.
pub fn server_span(name: &Name, headers: &HeaderMap) -> Span {
    let span = info_span!(
        target: TARGET, "call",
        otel.name = %name, otel.kind = "server", rpc.system = "grpc", rpc.grpc.status_code = Empty, trace_id = Empty,
    );
    drop(span.set_parent(TraceContextPropagator::new().extract(&HeaderExtractor(headers))));
    let id = span.context().span().span_context().trace_id();
    span.record("trace_id", tracing::field::display(id));
    span
}

/// The span of a call that goes out: a child of the current span.
pub fn client_span(name: &Name) -> Span {
    info_span!(
        target: TARGET, "call",
        otel.name = %name, otel.kind = "client", rpc.system = "grpc", rpc.grpc.status_code = Empty,
    )
}

/// Writes into the span how its call ended.
pub(crate) fn record_code(span: &Span, code: Code) {
    span.record("rpc.grpc.status_code", code as i32);
    if is_fault(code) {
        span.set_status(Status::error(format!("{code:?}")));
    }
}
