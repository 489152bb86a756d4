//! The metrics: every name, with its meaning, stands in this file and nowhere else.

use std::net::SocketAddr;
use std::time::Duration;

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use tonic::Code;

use crate::domain::answer::{Reason, TouchAnswer};
use crate::domain::referral::touch::{Dropped, TouchKind};

const CALLS: &str = "guerdon_calls_total";
const CALL_SECONDS: &str = "guerdon_call_seconds";
const REFUSALS: &str = "guerdon_refusals_total";
const STORE_TRIPS: &str = "guerdon_store_trips_total";
const STORE_UP: &str = "guerdon_store_up";
const COMMIT_CONFLICTS: &str = "guerdon_commit_conflicts_total";
const CAMPAIGNS_PAUSED: &str = "guerdon_campaigns_paused_total";
const COMMIT_RESENDS: &str = "guerdon_commit_resends_total";
const CACHE_LOOKUPS: &str = "guerdon_cache_lookups_total";
const QUEUE_WAITING: &str = "guerdon_queue_waiting";
const CALLS_IN_FLIGHT: &str = "guerdon_calls_in_flight";
const RELAY_LAG: &str = "guerdon_relay_lag_seconds";
const RELAY_PARKED: &str = "guerdon_relay_parked_total";
const SWEEP_LAG: &str = "guerdon_sweep_lag_seconds";
const TOUCHES: &str = "guerdon_touches_total";
const DRAIN_CUT: &str = "guerdon_drain_cut_total";

/// Upper bounds in seconds.
const CALL_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Upper bounds in seconds: from at once to a week.
const LAG_BUCKETS: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3_600.0, 86_400.0, 604_800.0];

/// Serves the metrics of this process at `/metrics`; inside a runtime of tokio. Until then nothing is counted.
pub(super) fn serve(address: SocketAddr) -> Result<(), BuildError> {
    let (recorder, exporter) = PrometheusBuilder::new()
        .with_http_listener(address)
        .set_buckets_for_metric(Matcher::Full(CALL_SECONDS.to_owned()), CALL_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(RELAY_LAG.to_owned()), LAG_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(SWEEP_LAG.to_owned()), LAG_BUCKETS)?
        .build()?;
    ::metrics::set_global_recorder(recorder)?;
    describe();
    #[allow(clippy::disallowed_methods, reason = "serves until the process ends; a drain must not wait for it")]
    tokio::spawn(async move {
        if exporter.await.is_err() {
            tracing::error!("metrics are no longer served");
        }
    });
    Ok(())
}

fn describe() {
    describe_counter!(CALLS, Unit::Count, "Calls answered, by method and gRPC code.");
    describe_histogram!(CALL_SECONDS, Unit::Seconds, "How long calls took, by method.");
    describe_counter!(REFUSALS, Unit::Count, "Refusals answered for the first time or in a preview, by reason.");
    describe_counter!(STORE_TRIPS, Unit::Count, "Round trips to the store for loads and commits.");
    describe_gauge!(
        STORE_UP,
        Unit::Count,
        "1 while this instance can serve; 0 while the store is away or the clock is off."
    );
    describe_counter!(COMMIT_CONFLICTS, Unit::Count, "Commits that met newer records and were decided again.");
    describe_counter!(CAMPAIGNS_PAUSED, Unit::Count, "Campaigns that gave far more than was forecast and were paused.");
    describe_counter!(COMMIT_RESENDS, Unit::Count, "Commits sent again because their outcome was unknown.");
    describe_counter!(CACHE_LOOKUPS, Unit::Count, "Accounts looked for in the cache, by result: hit or miss.");
    describe_histogram!(
        QUEUE_WAITING,
        Unit::Count,
        "Writes waiting for an account, seen by each write that joins them."
    );
    describe_gauge!(CALLS_IN_FLIGHT, Unit::Count, "Calls being worked on.");
    describe_histogram!(RELAY_LAG, Unit::Seconds, "From the decision of an effect to its delivery.");
    describe_counter!(RELAY_PARKED, Unit::Count, "Effects that could not be delivered and wait.");
    describe_histogram!(SWEEP_LAG, Unit::Seconds, "From when an account fell due to when it was brought up to date.");
    describe_counter!(
        TOUCHES,
        Unit::Count,
        "Touches of codes, by kind and outcome: kept, bot, flood_of_visitor, flood_of_code or refused."
    );
    describe_counter!(DRAIN_CUT, Unit::Count, "Shutdowns that reached their limit with work left.");
}

/// A call was answered after `took`. `method` is one of a fixed set, so that nobody can make series at will.
pub fn call_finished(method: &'static str, code: Code, took: Duration) {
    counter!(CALLS, "method" => method, "code" => code_name(code)).increment(1);
    histogram!(CALL_SECONDS, "method" => method).record(took.as_secs_f64());
}

pub fn refused(reason: Reason) {
    counter!(REFUSALS, "reason" => format!("{reason:?}")).increment(1);
}

/// Round trips since the store was opened.
pub fn store_trips(trips: u64) {
    counter!(STORE_TRIPS).absolute(trips);
}

pub fn store_up(up: bool) {
    gauge!(STORE_UP).set(if up { 1.0 } else { 0.0 });
}

pub fn conflict() {
    counter!(COMMIT_CONFLICTS).increment(1);
}

pub fn campaign_paused(program: &str, quota: &str) {
    let campaign = quota.trim_start_matches("brake|").split('|').next().unwrap_or_default().to_owned();
    counter!(CAMPAIGNS_PAUSED, "program" => program.to_owned(), "campaign" => campaign).increment(1);
}

pub fn resent() {
    counter!(COMMIT_RESENDS).increment(1);
}

pub fn cache(hit: bool) {
    counter!(CACHE_LOOKUPS, "result" => if hit { "hit" } else { "miss" }).increment(1);
}

pub fn queued(waiting: usize) {
    histogram!(QUEUE_WAITING).record(f64::from(u32::try_from(waiting).unwrap_or(u32::MAX)));
}

/// A call has begun, or ended.
pub fn in_flight(begun: bool) {
    let calls = gauge!(CALLS_IN_FLIGHT);
    if begun { calls.increment(1.0) } else { calls.decrement(1.0) }
}

pub fn relayed(lag_ms: i64) {
    histogram!(RELAY_LAG).record(seconds(lag_ms));
}

/// What became of a touch; resends are not counted.
pub fn touch(kind: TouchKind, answer: &TouchAnswer) {
    let outcome = match (answer.recorded, answer.dropped) {
        (true, _) => "kept",
        (false, Some(Dropped::Bot)) => "bot",
        (false, Some(Dropped::FloodOfVisitor)) => "flood_of_visitor",
        (false, Some(Dropped::FloodOfCode)) => "flood_of_code",
        (false, None) => "refused",
    };
    counter!(TOUCHES, "kind" => kind.name(), "outcome" => outcome).increment(1);
}

pub fn parked() {
    counter!(RELAY_PARKED).increment(1);
}

pub fn swept(lag_ms: i64) {
    histogram!(SWEEP_LAG).record(seconds(lag_ms));
}

pub fn drain_cut() {
    counter!(DRAIN_CUT).increment(1);
}

/// Lags below zero come from clocks that differ; they count as none.
fn seconds(ms: i64) -> f64 {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0)).as_secs_f64()
}

/// As gRPC spells it.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
