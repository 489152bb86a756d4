//! A gRPC client of the service that does not give up at the first failure: every call has a deadline, is sent again
//! under the same request id while that can help, and is timed.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use hdrhistogram::Histogram;
use tokio::time::{Instant, timeout};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

use super::reach::{Reach, ReachError, Shows};
use crate::config::Environment;
use crate::domain::time;
use crate::grpc::wire;
use wire::checkout_service_client::CheckoutServiceClient;
use wire::ledger_service_client::LedgerServiceClient;
use wire::member_service_client::MemberServiceClient;
use wire::payout_service_client::PayoutServiceClient;
use wire::referral_service_client::ReferralServiceClient;
use wire::simulation_service_client::SimulationServiceClient;

/// The domain of the service's own error details.
const ERROR_DOMAIN: &str = "guerdon.v1";

/// The end of a day touches every account that something falls due for. Each attempt goes on where the one before was cut
/// off, so it is made again, up to so often.
const END_DAY_DEADLINE_MIN: Duration = Duration::from_secs(120);
const END_DAY_ATTEMPTS_MAX: usize = 100;

/// Answers hold at most an order's decision with its trace.
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 20;

const RETRY_DELAY_MIN: Duration = Duration::from_millis(20);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(2);

/// The server that a command asks about a program.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerArgs {
    /// The server (host:port).
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7060")]
    pub target: String,
    /// The program, when the server has several.
    #[arg(long, value_name = "ID", default_value = "")]
    pub program_id: String,
    #[command(flatten)]
    pub reach: Reach,
}

impl ServerArgs {
    /// With the key of the environment, if there is one.
    #[must_use]
    pub fn with_key_of(self, environment: &Environment) -> ServerArgs {
        ServerArgs { reach: self.reach.with_key_of(environment), ..self }
    }

    /// Connects. A call may take as long as `deadline`, and is sent again for no longer.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self, deadline: Duration) -> Result<Client, ConnectError> {
        Client::connect_as(&self.target, &self.reach, Patience { deadline, retry_for: deadline }).await
    }
}

/// How long a call may take, and for how long it is sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Of one attempt.
    pub deadline: Duration,
    /// From the first attempt; no attempt begins later.
    pub retry_for: Duration,
}

/// Why a call came to nothing.
#[derive(Clone, Debug)]
pub struct CallError {
    pub method: &'static str,
    pub status: Status,
    pub attempts: u32,
    pub waited: Duration,
}

impl CallError {
    /// The service's own reason, such as `STORE_UNAVAILABLE`; `None` when the failure is not the service's answer.
    pub fn reason(&self) -> Option<String> {
        reason(&self.status)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CallError { method, status, attempts, waited } = self;
        write!(f, "{method} failed with {:?}", status.code())?;
        if let Some(reason) = self.reason() {
            write!(f, " ({reason})")?;
        }
        write!(f, ": {}", status.message())?;
        let details = status.get_error_details();
        let violations = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations);
        // The service names them in its message already.
        for violation in violations.filter(|violation| !status.message().contains(&violation.description)) {
            write!(f, "; `{}` {}", violation.field, violation.description)?;
        }
        if 1 < *attempts {
            write!(f, "; given up after {attempts} attempts in {} s", waited.as_secs())?;
        }
        Ok(())
    }
}

impl std::error::Error for CallError {}

/// Why no connection could be set up.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error("nothing answers at {target}: {cause}")]
    Unreachable { target: String, cause: String },
}

/// What one method took: latency of answered attempts in microseconds, and attempts that failed and were repeated.
#[derive(Clone, Debug)]
pub struct Timing {
    pub latency_us: Histogram<u64>,
    pub repeated: u64,
}

/// Timings of all methods that were called, by name.
#[derive(Debug, Default)]
pub struct Meter(Mutex<BTreeMap<&'static str, Timing>>);

impl Meter {
    pub fn snapshot(&self) -> BTreeMap<&'static str, Timing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, method: &'static str, answered_in: Option<Duration>) {
        let mut timings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !timings.contains_key(method) {
            // One microsecond to one hour; three digits are exact.
            let Ok(latency_us) = Histogram::new_with_bounds(1, 3_600_000_000, 3) else { return };
            timings.insert(method, Timing { latency_us, repeated: 0 });
        }
        let Some(timing) = timings.get_mut(method) else { return };
        match answered_in {
            Some(took) => timing.latency_us.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
            None => timing.repeated += 1,
        }
    }
}

/// The connection, and the key that goes with every call.
pub(super) type Shown = InterceptedService<Channel, Shows>;

/// A connection to one server. Cheap to clone; all clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    checkout: CheckoutServiceClient<Shown>,
    members: MemberServiceClient<Shown>,
    referrals: ReferralServiceClient<Shown>,
    payouts: PayoutServiceClient<Shown>,
    ledger: LedgerServiceClient<Shown>,
    simulation: SimulationServiceClient<Shown>,
    patience: Patience,
    meter: Arc<Meter>,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident: $service:ident, $label:literal, $request:ident -> $response:ident;)*) => {
        impl Client {
            $(
                $(#[$doc])*
                pub async fn $name(&self, message: wire::$request) -> Result<wire::$response, CallError> {
                    self.call($label, self.patience.deadline, message, |request| {
                        let mut client = self.$service.clone();
                        async move { client.$name(request).await }
                    })
                    .await
                }
            )*
        }
    };
}

methods! {
    quote: checkout, "Quote", QuoteRequest -> QuoteResponse;
    reserve: checkout, "Reserve", ReserveRequest -> ReserveResponse;
    commit: checkout, "Commit", CommitRequest -> CommitResponse;
    release: checkout, "Release", ReleaseRequest -> ReleaseResponse;
    r#return: checkout, "Return", ReturnRequest -> ReturnResponse;
    get_order: checkout, "GetOrder", GetOrderRequest -> GetOrderResponse;
    enroll: members, "Enroll", EnrollRequest -> EnrollResponse;
    get_member: members, "GetMember", GetMemberRequest -> GetMemberResponse;
    adjust: members, "Adjust", AdjustRequest -> AdjustResponse;
    list_entries: members, "ListEntries", ListEntriesRequest -> ListEntriesResponse;
    create_code: referrals, "CreateCode", CreateCodeRequest -> CreateCodeResponse;
    record_touch: referrals, "RecordTouch", RecordTouchRequest -> RecordTouchResponse;
    attribute: referrals, "Attribute", AttributeRequest -> AttributeResponse;
    get_referral: referrals, "GetReferral", GetReferralRequest -> GetReferralResponse;
    verify_stats: referrals, "VerifyStats", VerifyStatsRequest -> VerifyStatsResponse;
    list_payouts: payouts, "ListPayouts", ListPayoutsRequest -> ListPayoutsResponse;
    list_audit_entries: ledger, "ListAuditEntries", ListAuditEntriesRequest -> ListAuditEntriesResponse;
    verify_member: ledger, "VerifyMember", VerifyMemberRequest -> VerifyMemberResponse;
}

impl Client {
    /// Connects to `target`, trying again while nothing answers, as long as `patience` says. A connection that breaks
    /// later is made anew by the calls that need it.
    pub async fn connect(target: &str, patience: Patience) -> Result<Client, ConnectError> {
        Client::connect_as(target, &Reach::default(), patience).await
    }

    /// As [`Client::connect`], showing a key or speaking TLS.
    pub async fn connect_as(target: &str, reach: &Reach, patience: Patience) -> Result<Client, ConnectError> {
        let endpoint = reach.endpoint(target)?.connect_timeout(patience.deadline).tcp_nodelay(true);
        Client::dialling(target, || endpoint.connect(), reach.shows()?, patience).await
    }

    async fn dialling<F>(
        target: &str,
        dial: impl Fn() -> F,
        shows: Shows,
        patience: Patience,
    ) -> Result<Client, ConnectError>
    where
        F: Future<Output = Result<Channel, tonic::transport::Error>>,
    {
        let began = Instant::now();
        let channel = dial.retry(backoff(patience)).when(|_| began.elapsed() < patience.retry_for).await;
        let channel = channel.map_err(|error| {
            let source = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            ConnectError::Unreachable { target: target.to_owned(), cause: source }
        })?;
        let channel = InterceptedService::new(channel, shows);
        Ok(Client {
            checkout: CheckoutServiceClient::new(channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX),
            members: MemberServiceClient::new(channel.clone()),
            referrals: ReferralServiceClient::new(channel.clone()),
            payouts: PayoutServiceClient::new(channel.clone()),
            ledger: LedgerServiceClient::new(channel.clone()),
            simulation: SimulationServiceClient::new(channel),
            patience,
            meter: Arc::default(),
        })
    }

    /// The same connection, by which calls are sent again for so long.
    pub fn patient(&self, retry_for: Duration) -> Client {
        Client { patience: Patience { retry_for, ..self.patience }, ..self.clone() }
    }

    /// See [`Meter`].
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Tells the server that the replayed past has reached `through`.
    pub async fn end_day(&self, through: time::Instant) -> Result<wire::EndDayResponse, CallError> {
        let deadline = self.patience.deadline.max(END_DAY_DEADLINE_MIN);
        let message = wire::EndDayRequest { through: Some(stamp(through)) };
        let attempt = || {
            self.call("EndDay", deadline, message, |request| {
                let mut client = self.simulation.clone();
                async move { client.end_day(request).await }
            })
        };
        for _ in 1..END_DAY_ATTEMPTS_MAX {
            match attempt().await {
                Err(error) if error.status.code() == Code::DeadlineExceeded => {}
                ended => return ended,
            }
        }
        attempt().await
    }

    async fn call<T, R, F, Fut>(
        &self,
        method: &'static str,
        deadline: Duration,
        message: T,
        send: F,
    ) -> Result<R, CallError>
    where
        T: Clone,
        F: Fn(Request<T>) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        let began = Instant::now();
        let mut attempts: u32 = 0;
        let attempt = || {
            attempts += 1;
            let mut request = Request::new(message.clone());
            request.set_timeout(deadline);
            let sent = Instant::now();
            let answer = timeout(deadline, send(request));
            async move {
                let status = match answer.await {
                    Ok(Ok(response)) => {
                        self.meter.note(method, Some(sent.elapsed()));
                        return Ok(response.into_inner());
                    }
                    Ok(Err(status)) => status,
                    Err(_) => Status::deadline_exceeded(format!("no answer within {} ms", deadline.as_millis())),
                };
                Err(status)
            }
        };
        let result = attempt
            .retry(backoff(self.patience))
            .when(|status| can_help(status) && began.elapsed() < self.patience.retry_for)
            .adjust(|status: &Status, planned| planned.map(|planned| planned.max(asked_delay(status))))
            .notify(|_, _| self.meter.note(method, None))
            .await;
        result.map_err(|status| CallError { method, status, attempts, waited: began.elapsed() })
    }
}

/// Delays double from the least to the most; how long in all is decided by the clock.
fn backoff(patience: Patience) -> ExponentialBuilder {
    let builder = ExponentialBuilder::default().with_min_delay(RETRY_DELAY_MIN).with_max_delay(RETRY_DELAY_MAX);
    builder.with_jitter().without_max_times().with_total_delay(Some(patience.retry_for))
}

/// How long the server asks to wait, within reason.
fn asked_delay(status: &Status) -> Duration {
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
    asked.unwrap_or_default().min(RETRY_DELAY_MAX)
}

/// The service's own reason.
pub(super) fn reason(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == ERROR_DOMAIN).then_some(info.reason)
}

/// Whether sending again can help. What the service says counts; a failure that is not its answer (the connection
/// broke, the deadline passed) says nothing about the request, which may be sent again under its request id.
fn can_help(status: &Status) -> bool {
    match (reason(status), status.code()) {
        (Some(reason), Code::ResourceExhausted) => reason != "LIMIT_REACHED",
        (_, Code::Unavailable | Code::Aborted | Code::ResourceExhausted | Code::DeadlineExceeded) => true,
        (None, Code::Unknown | Code::Cancelled | Code::Internal) => true,
        _ => false,
    }
}

/// The instant as the wire has it.
pub fn stamp(at: time::Instant) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(1_000)).unwrap_or(0) * 1_000_000; // below one second
    prost_types::Timestamp { seconds: at.0.div_euclid(1_000), nanos }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn only_what_may_pass_is_sent_again() {
        let ours = |code, reason: &str| {
            let mut details = ErrorDetails::new();
            details.set_error_info(reason, ERROR_DOMAIN, std::collections::HashMap::new());
            Status::with_error_details(code, "", details)
        };
        for (status, expected) in [
            (ours(Code::Unavailable, "STORE_UNAVAILABLE"), true),
            (ours(Code::Aborted, "CONTENTION"), true),
            (ours(Code::ResourceExhausted, "OVERLOADED"), true),
            (ours(Code::ResourceExhausted, "LIMIT_REACHED"), false),
            (ours(Code::Internal, "STORE_CORRUPT"), false),
            (ours(Code::InvalidArgument, "REQUEST_MALFORMED"), false),
            (ours(Code::AlreadyExists, "REQUEST_ID_REUSED"), false),
            // The connection broke in the middle of an answer.
            (Status::unknown("transport error"), true),
            (Status::internal("h2 protocol error"), true),
            (Status::unimplemented(""), false),
        ] {
            assert_eq!(can_help(&status), expected, "{status:?}");
        }
    }

    #[test]
    fn instants_travel_whole() {
        assert_eq!(stamp(time::Instant(1_500)), prost_types::Timestamp { seconds: 1, nanos: 500_000_000 });
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_dialled_is_said_at_once() {
        let patience = Patience { deadline: Duration::from_secs(1), retry_for: Duration::ZERO };
        for (target, expected) in [
            ("https://example.org:7700", "--tls-ca"),
            ("no port", "is not an address"),
            ("localhost", "is not an address"),
            ("ftp://localhost:21", "is not an address"),
            ("http://localhost:7700/v1", "is not an address"),
            ("http://who:secret@localhost:7700", "is not an address"),
            ("127.0.0.1:1", "nothing answers"),
        ] {
            let error = Client::connect(target, patience).await.expect_err(target).to_string();
            assert!(error.contains(expected), "{target}: {error}");
        }
    }
}
