//! Ties what the transport and the service report to the metrics and traces of the process.

use std::time::Duration;

use tonic::Code;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::domain::answer::{Reason, TouchAnswer};
use crate::domain::id::ProgramId;
use crate::domain::referral::touch::TouchKind;
use crate::grpc::Observer;
use crate::service::meter::Meter;
use crate::telemetry::{caller_context, metrics};

/// Counts calls, and continues the traces of callers where traces are on.
pub(super) struct Calls {
    pub(super) traces: bool,
}

impl Observer for Calls {
    fn call_began(&self, span: &tracing::Span, method: &'static str, headers: &http::HeaderMap) {
        if !self.traces {
            return;
        }
        span.record("otel.name", method);
        span.record("otel.kind", "server");
        span.record("rpc.system", "grpc");
        if let Err(error) = span.set_parent(caller_context(headers)) {
            tracing::debug!(%error, "a call is not part of its caller's trace");
        }
    }

    fn call_finished(&self, method: &'static str, code: Code, took: Duration) {
        metrics::call_finished(method, code, took);
    }

    fn refused(&self, reason: Reason) {
        metrics::refused(reason);
    }
}

/// Counts what the service does behind the calls.
pub(super) struct Work;

impl Meter for Work {
    fn conflict(&self) {
        metrics::conflict();
    }

    fn campaign_paused(&self, program: &ProgramId, quota: &str) {
        metrics::campaign_paused(program.as_str(), quota);
    }

    fn resent(&self) {
        metrics::resent();
    }

    fn cache(&self, hit: bool) {
        metrics::cache(hit);
    }

    fn queued(&self, waiting: usize) {
        metrics::queued(waiting);
    }

    fn relayed(&self, lag_ms: i64) {
        metrics::relayed(lag_ms);
    }

    fn parked(&self) {
        metrics::parked();
    }

    fn swept(&self, lag_ms: i64) {
        metrics::swept(lag_ms);
    }

    fn touch(&self, kind: TouchKind, answer: &TouchAnswer) {
        metrics::touch(kind, answer);
    }
}
