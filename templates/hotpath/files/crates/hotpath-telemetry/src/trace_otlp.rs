//! Traces: W3C context in and out, spans to an OTLP collector where there is one, sampled as the caller decided, or else
//! at a ratio. The exporter's queue is bounded, and never waited for.
use crate::{Failure, Name, is_fault};
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
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

/// The spans of calls, and only these.
pub(crate) const TARGET: &str = "call";

/// Where the spans go.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Of the service.
    pub name: &'static str,
    /// The part of the calls without a caller's decision that is sampled.
    pub ratio: f64,
    /// Its URL, where there is one.
    pub collector: Option<&'a str>,
}

/// Sends spans until it is shut down.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Sends what is queued, for a bounded time.
    pub fn shutdown(self) {
        drop(self.0.shutdown_with_timeout(Duration::from_secs(2)));
    }
}

/// Needs a Tokio context where there is a collector: the exporter's channel lives on the runtime.
pub(crate) fn layer<S: Subscriber + for<'span> LookupSpan<'span>>(
    Settings { name, ratio, collector }: Settings<'_>,
) -> Result<(impl Layer<S> + use<S>, Exporter), Failure> {
    let mut builder = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name(name).build())
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))));
    if let Some(endpoint) = collector {
        builder = builder.with_batch_exporter(SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?);
    }
    let provider = builder.build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(name))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_filter(filter_fn(|meta| meta.is_span() && meta.target() == TARGET));
    Ok((layer, Exporter(provider)))
}

/// The span of a call that came in: child of what the caller sent.
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

/// Closes the books of a call.
pub(crate) fn record_code(span: &Span, code: Code) {
    span.record("rpc.grpc.status_code", code as i32);
    if is_fault(code) {
        span.set_status(Status::error(format!("{code:?}")));
    }
}

/// The span of a call that goes out.
pub fn client_span(name: &Name) -> Span {
    info_span!(
        target: TARGET, "call",
        otel.name = %name, otel.kind = "client", rpc.system = "grpc", rpc.grpc.status_code = Empty,
    )
}

/// Writes the current context into the headers of an outgoing call.
pub fn inject(headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut HeaderInjector(headers));
}
