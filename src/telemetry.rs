//! Logs, metrics and traces of the process. None of them holds personal data: members appear nowhere, requests
//! only by the id that the caller chose.

mod fields;
pub mod metrics;
mod trace;

use std::backtrace::Backtrace;
use std::io;
use std::panic::PanicHookInfo;

use metrics_exporter_prometheus::BuildError;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{LogFormat, Settings};

pub use trace::caller_context;

/// Why the process could not be made observable.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the log filter is not valid: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("logs are set up already: {0}")]
    Logs(#[from] TryInitError),
    #[error("metrics cannot be served: {0}")]
    Metrics(#[from] BuildError),
    #[error("traces cannot be sent: {0}")]
    Traces(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// What runs for the process until [`Telemetry::end`].
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sets up logs, metrics and traces, once per process and inside a runtime of tokio.
    ///
    /// # Errors
    /// When the address for metrics is taken, or the process has telemetry already.
    pub fn start(settings: &Settings) -> Result<Telemetry, Error> {
        let filter = EnvFilter::builder().parse(&settings.log.filter)?;
        let log = tracing_subscriber::fmt::layer().with_writer(io::stderr);
        let log = match settings.log.format {
            LogFormat::Text => log.with_ansi(false).with_filter(filter).boxed(),
            LogFormat::Json => log.json().flatten_event(true).fmt_fields(fields::AsJson).with_filter(filter).boxed(),
        };
        let traces = settings.traces.as_ref().map(trace::provider).transpose()?;
        let sent = traces.as_ref().map(trace::layer);
        tracing_subscriber::registry().with(log).with(sent).try_init()?;
        std::panic::set_hook(Box::new(log_panic));
        if let Some(address) = settings.metrics_listen {
            metrics::serve(address)?;
            tracing::info!(%address, "metrics are served at http://{address}/metrics");
        }
        Ok(Telemetry { traces })
    }

    /// Sends what traces are left; waits a few seconds at most.
    pub async fn end(self) {
        let Some(traces) = self.traces else { return };
        // It blocks on its own thread's work, so it must not hold up the runtime that does the sending.
        let ended = tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(trace::END_LIMIT)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("some traces may not have been sent");
        }
    }
}

/// A panic is a defect: it goes where the logs go, with where it happened, and never only to the terminal.
fn log_panic(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)");
    let at = info.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = Backtrace::capture();
    tracing::error!(at, %backtrace, "panic: {text}");
}
