//! Traces over OTLP, continuing those of callers.

use std::time::Duration;

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::config::TraceSettings;

/// How long the end of the process waits for traces.
pub(super) const END_LIMIT: Duration = Duration::from_secs(3);
const EXPORT_LIMIT: Duration = Duration::from_secs(3);

pub(super) fn provider(settings: &TraceSettings) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(settings.endpoint.expose())
        .with_timeout(EXPORT_LIMIT)
        .build()?;
    let resource = Resource::builder()
        .with_service_name("guerdon")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    // A caller that samples its trace wants our part of it: only traces that begin here are thinned out.
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share(settings.sample_permille))));
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler).with_resource(resource).build())
}

#[allow(clippy::float_arithmetic, reason = "the sampler takes a share; no money or unit is near")]
fn share(permille: u32) -> f64 {
    f64::from(permille) / 1_000.0
}

/// Sends the spans of this program and none of its libraries'.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let ours = Targets::new().with_target("guerdon", tracing::Level::INFO);
    tracing_opentelemetry::layer().with_tracer(provider.tracer("guerdon")).with_filter(ours)
}

/// The trace that a caller began, from the header `traceparent` (W3C); empty without a valid one.
pub fn caller_context(headers: &http::HeaderMap) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

struct Headers<'a>(&'a http::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TraceContextExt;

    use super::*;

    #[test]
    fn a_trace_is_continued_from_its_header() {
        // header                                                      trace id
        for (header, expected) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some("4bf92f3577b34da6a3ce929d0e0e4736")),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None),
            ("nonsense", None),
        ] {
            let headers = http::HeaderMap::from_iter([(
                "traceparent".parse().expect("a name"),
                header.parse().expect("a value"),
            )]);
            let context = caller_context(&headers);
            let span = context.span().span_context().clone();
            let found = span.is_valid().then(|| span.trace_id().to_string());
            assert_eq!(found.as_deref(), expected, "{header}");
            assert_eq!(span.is_remote(), expected.is_some(), "{header}");
        }
    }
}
