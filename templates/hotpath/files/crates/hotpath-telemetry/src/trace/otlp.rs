//! Spans for an OTLP collector, sampled as the caller decided, or else at a ratio. The exporter's queue is bounded, and
//! no call waits for it. A call that is not sampled has no span of OpenTelemetry's at all: its trace is in its
//! [`CallSpan`].
use super::Settings;
use super::exported::Exported;
use super::lost::Counted;
pub(crate) use super::lost::lost;
use crate::call_span::{CallSpan, TARGET, UNSAMPLED};
use crate::codes::is_fault;
use crate::failure::Failure;
use crate::filter;
use crate::name::Name;
use crate::trace_context::TraceContext;
use http::HeaderMap;
use opentelemetry::trace::{SpanContext, Status, TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue, propagation::TextMapPropagator as _};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, Sampler, SdkTracerProvider};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tonic::Code;
use tracing::{Span, Subscriber, field::Empty, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, filter::LevelFilter, registry::LookupSpan};

/// The handlers' own spans that are sent where nothing is said.
const SPANS: &str = "info";

/// What becomes of calls, from the moment that spans are set up.
static SAMPLING: OnceLock<Sampling> = OnceLock::new();

#[derive(Debug)]
struct Sampling {
    /// The part of the traces that begin here which is sampled.
    ratio: f64,
    /// Whether there is anybody to send them to.
    collected: bool,
}

/// Sends spans until it is shut down. None where there is no collector.
#[derive(Debug)]
pub struct Exporter(Option<SdkTracerProvider>);

impl Exporter {
    /// Sends what is queued, for two seconds at most. Blocks its thread.
    pub fn shutdown(self) {
        if let Some(provider) = self.0 {
            drop(provider.shutdown_with_timeout(Duration::from_secs(2)));
        }
    }
}

/// Makes `subscriber` the one of this process, with the spans of calls added where there is a collector. Then it needs a
/// Tokio context: the exporter's channel lives on the runtime.
pub(crate) fn install<S>(subscriber: S, settings: Settings<'_>) -> Result<Exporter, Failure>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
{
    let spans = settings.spans.unwrap_or(SPANS);
    let inside = filter::quieted(spans, LevelFilter::OFF).map_err(|error| format!("TRACE_SPANS={spans}: {error}"))?;
    let provider = settings.collector.map(|endpoint| provider(endpoint, &settings)).transpose()?;
    match &provider {
        None => subscriber.try_init()?,
        Some(provider) => {
            let spans = tracing_opentelemetry::layer()
                .with_tracer(provider.tracer(settings.name))
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_target(false)
                .with_filter(Exported { inside });
            subscriber.with(spans).try_init()?;
        }
    }
    let sampling = Sampling { ratio: settings.ratio, collected: provider.is_some() };
    SAMPLING.set(sampling).map_err(|_| "spans are set up already")?;
    Ok(Exporter(provider))
}

/// What makes the spans, and sends them to the collector at `endpoint`.
fn provider(endpoint: &str, settings: &Settings<'_>) -> Result<SdkTracerProvider, Failure> {
    let builder = SpanExporter::builder().with_tonic().with_endpoint(endpoint);
    let builder = match settings.channel.clone() {
        Some(channel) => builder.with_channel(channel),
        None if endpoint.starts_with("https:") => return Err(unusable(endpoint, &"this build speaks no TLS")),
        None => builder,
    };
    let exporter = builder.build().map_err(|error| unusable(endpoint, &error))?;
    let builder = SdkTracerProvider::builder().with_resource(resource(settings));
    // What is not sampled never comes here.
    Ok(builder.with_sampler(Sampler::AlwaysOn).with_span_processor(Counted::new(exporter)).build())
}

/// What every span says of this process.
fn resource(Settings { name, version, revision, instance, .. }: &Settings<'_>) -> Resource {
    let mut attributes = vec![KeyValue::new("service.version", *version)];
    attributes.push(KeyValue::new("vcs.ref.head.revision", *revision));
    for key in ["service.instance.id", "k8s.pod.name"] {
        attributes.extend(instance.map(|instance| KeyValue::new(key, instance.to_owned())));
    }
    Resource::builder().with_service_name(*name).with_attributes(attributes).build()
}

fn unusable(endpoint: &str, error: &impl std::fmt::Display) -> Failure {
    let address = endpoint.split_once("://").map_or(endpoint, |(_scheme, address)| address);
    let what = "OTEL_EXPORTER_OTLP_ENDPOINT";
    format!(
        "{what}={endpoint}: {error}; without TLS it is {what}=http://{address}, and rustgen set tls=server adds TLS"
    )
    .into()
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
    let context = span.context();
    if context.span().span_context().is_valid() {
        TraceContextPropagator::new().inject_context(&context, &mut HeaderInjector(headers));
    } else if let Some(Some(context)) = CallSpan::of(span, |call| call.context.clone()) {
        context.write(headers);
    }
}

/// The span of a call that came in: the child of the span in its headers, where there is one.
pub fn server_span(name: &Name, headers: &HeaderMap) -> Span {
    let parent = TraceContext::read(headers);
    let context = parent.map_or_else(new_trace, below);
    if !is_collected(&context) {
        return unsampled(name, context);
    }
    let span = info_span!(
        target: TARGET, parent: None, "call",
        otel.name = %name, otel.kind = "server", rpc.system = "grpc", rpc.grpc.status_code = Empty,
    );
    drop(span.set_parent(TraceContextPropagator::new().extract(&HeaderExtractor(headers))));
    attach(&span, name);
    span
}

/// The span of a call that goes out: a child of the current span.
pub fn client_span(name: &Name) -> Span {
    let is_child = Context::map_current(|current| current.span().span_context().is_sampled());
    if !is_child {
        let current = Span::current();
        if CallSpan::of(&current, |_call| ()).is_some() {
            return current;
        }
        let context = new_trace();
        if !is_collected(&context) {
            return unsampled(name, context);
        }
    }
    let span = info_span!(
        target: TARGET, "call",
        otel.name = %name, otel.kind = "client", rpc.system = "grpc", rpc.grpc.status_code = Empty,
    );
    if !is_child {
        attach(&span, name);
    }
    span
}

/// The trace of a call.
pub(crate) fn trace_id(span: &Span) -> Option<String> {
    CallSpan::of(span, |call| call.context.as_ref().map(TraceContext::trace_id))?
}

/// Whether the collector gets a call.
pub(crate) fn is_sampled(span: &Span) -> bool {
    span.metadata().is_some_and(|metadata| metadata.target() == TARGET)
}

/// Writes into the span how its call ended.
pub(crate) fn record_code(span: &Span, code: Code) {
    if !is_sampled(span) {
        return;
    }
    span.record("rpc.grpc.status_code", code as i32);
    if is_fault(code) {
        span.set_status(Status::error(format!("{code:?}")));
    }
}

/// A span for the log lines of a call, and for the calls that it makes.
fn unsampled(name: &Name, context: TraceContext) -> Span {
    let span = info_span!(target: UNSAMPLED, parent: None, "call");
    CallSpan { method: Arc::clone(&name.full), context: Some(context) }.attach_to(&span);
    span
}

/// Gives the span of a sampled call the context that OpenTelemetry has for it.
fn attach(span: &Span, name: &Name) {
    let context = span.context();
    let context = Some(of_opentelemetry(context.span().span_context()));
    CallSpan { method: Arc::clone(&name.full), context }.attach_to(span);
}

fn of_opentelemetry(context: &SpanContext) -> TraceContext {
    TraceContext {
        trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(context.span_id().to_bytes()),
        sampled: context.is_sampled(),
        state: None,
    }
}

/// The context of a trace that begins here.
fn new_trace() -> TraceContext {
    let generator = RandomIdGenerator::default();
    let trace_id = u128::from_be_bytes(generator.new_trace_id().to_bytes());
    // The lower half of the number, as a part of its greatest value.
    let part = trace_id as u64 as f64 / u64::MAX as f64;
    let sampled = SAMPLING.get().is_some_and(|sampling| part < sampling.ratio);
    below(TraceContext { trace_id, span_id: 0, sampled, state: None })
}

/// The context of a span below another.
fn below(parent: TraceContext) -> TraceContext {
    let span_id = u64::from_be_bytes(RandomIdGenerator::default().new_span_id().to_bytes());
    TraceContext { span_id, ..parent }
}

/// Whether the spans of a call are sent to anybody.
fn is_collected(context: &TraceContext) -> bool {
    context.sampled && SAMPLING.get().is_some_and(|sampling| sampling.collected)
}
