//! What surrounds every call: its span, its deadline, a net under panics, and its measure.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Code, Status};
use tower::Service;
use tracing::Instrument;

use super::{Gate, Observer, Options, status};
use crate::access::{self, Access, Bearer, Caller, Denied, Presented};
use crate::stream::to_the_end_of_the_queue;

/// A service whose calls are guarded.
#[derive(Clone)]
pub(super) struct Guarded<S> {
    inner: S,
    /// Full names of the methods served: what is asked for beyond them is counted under one name, for callers
    /// choose it.
    methods: &'static [&'static str],
    /// For callers that state none; `None`: such calls may take as long as they take.
    deadline_default: Option<Duration>,
    observer: Arc<dyn Observer>,
    access: Arc<Access>,
    gate: Arc<dyn Gate>,
}

impl<S> Guarded<S> {
    pub(super) fn new(
        inner: S,
        methods: &'static [&'static str],
        deadline_default: Option<Duration>,
        options: &Options,
    ) -> Guarded<S> {
        let Options { deadline_default: _, observer, access, gate, told: _ } = options;
        let (observer, access, gate) = (Arc::clone(observer), Arc::clone(access), Arc::clone(gate));
        Guarded { inner, methods, deadline_default, observer, access, gate }
    }
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

type Answer = Result<http::Response<Body>, Infallible>;

impl<S> Service<http::Request<Body>> for Guarded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if !is_grpc(&request) {
            return Box::pin(std::future::ready(Ok(unsupported())));
        }
        let begun = Instant::now();
        let path = request.uri().path().trim_start_matches('/');
        let method = self.methods.iter().copied().find(|known| *known == path).unwrap_or("unknown");
        let span = tracing::info_span!(
            "call",
            otel.name = tracing::field::Empty,
            otel.kind = tracing::field::Empty,
            rpc.system = tracing::field::Empty,
            rpc.method = method,
            rpc.grpc.status_code = tracing::field::Empty,
            program.id = tracing::field::Empty,
            request.id = tracing::field::Empty,
        );
        self.observer.call_began(&span, method, request.headers());
        let deadline = stated_deadline(request.headers()).or(self.deadline_default);
        let observer = Arc::clone(&self.observer);
        let call = admit(&self.access, method, &request).map_err(|denied| {
            tracing::debug!(?denied, "a call is not let in");
            status::denied(&denied)
        });
        // Who may not call at all takes no place.
        let call = call.and_then(|caller| {
            let place = self.gate.enter().map_err(|error| status::of(&error))?;
            let audited = caller.method.filter(|method| method.audited).map(|_| Arc::clone(&caller.principal));
            Ok((place, audited, access::as_caller(caller, self.inner.call(request))))
        });
        let answer = async move {
            let (answered, audited) = match call {
                Ok((mut place, audited, call)) => {
                    let call = async {
                        to_the_end_of_the_queue().await;
                        place.begin();
                        without_panic(call).await
                    };
                    (within(deadline, call).await.map(told_apart), audited)
                }
                Err(status) => (Err(status), None),
            };
            let code = answered.as_ref().map_or_else(Status::code, code_of);
            tracing::Span::current().record("rpc.grpc.status_code", i32::from(code));
            if let Some(principal) = audited {
                // Also of calls that came to no decision, which the list of `service/audit.rs` does not have. Program and request
                // id stand in the span.
                let principal = principal.name();
                tracing::info!(target: "guerdon::audit", principal, method, ?code, "an administrative write");
            }
            observer.call_finished(method, code, begun.elapsed());
            Ok(answered.unwrap_or_else(Status::into_http))
        };
        Box::pin(answer.instrument(span))
    }
}

/// Who calls, if they may.
fn admit(access: &Access, method: &str, request: &http::Request<Body>) -> Result<Caller, Denied> {
    let method = access::method(method);
    let certificates =
        request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>().and_then(TlsConnectInfo::peer_certs);
    // The client's own comes first, then what leads to its authority.
    let certificate = certificates.as_deref().and_then(|chain| chain.first()).map(|certificate| &**certificate);
    let principal = access.admit(method, Presented { bearer: bearer(request.headers()), certificate })?;
    Ok(Caller { principal, method })
}

fn bearer(headers: &http::HeaderMap) -> Bearer<'_> {
    let mut values = headers.get_all(http::header::AUTHORIZATION).iter();
    let (first, second) = (values.next(), values.next());
    match (first, second) {
        (None, _) => Bearer::None,
        (Some(value), None) => {
            let text = value.to_str().ok().and_then(|text| text.split_once(' '));
            match text {
                Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer") => Bearer::Text(secret.trim()),
                Some(_) | None => Bearer::Unreadable,
            }
        }
        (Some(_), Some(_)) => Bearer::Unreadable,
    }
}

/// Ends a call at its deadline. tonic's own timer, which cannot be turned off, answers CANCELLED where gRPC says
/// DEADLINE_EXCEEDED: so this one goes off a moment earlier, which also gives the answer time to arrive. A deadline
/// too short for that is not worth beginning. It counts from when a worker has come to the call: what it has waited for that
/// nobody knows.
async fn within(
    deadline: Option<Duration>,
    call: impl Future<Output = Result<http::Response<Body>, Status>>,
) -> Result<http::Response<Body>, Status> {
    let Some(deadline) = deadline else {
        return call.await;
    };
    let time = deadline.saturating_sub(head_start(deadline));
    if time.is_zero() {
        return Err(status::deadline_exceeded(deadline));
    }
    match tokio::time::timeout(time, call).await {
        Ok(answered) => answered,
        Err(_elapsed) => Err(status::deadline_exceeded(deadline)),
    }
}

fn head_start(deadline: Duration) -> Duration {
    (deadline / 10).clamp(Duration::from_millis(2), Duration::from_millis(20))
}

/// A panic ends its call, not the connection with the calls of others on it.
async fn without_panic(
    call: impl Future<Output = Result<http::Response<Body>, Infallible>>,
) -> Result<http::Response<Body>, Status> {
    let mut call = std::pin::pin!(call);
    // Unwind safety: the future is not polled again after a panic, and what calls share is behind locks.
    let caught = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(Ok(response))) => Poll::Ready(Ok(response)),
        Ok(Poll::Ready(Err(never))) => match never {},
        Err(panic) => Poll::Ready(Err(panic)),
    });
    caught.await.map_err(|panic| {
        tracing::error!(what = panic_text(&*panic), "a call panicked");
        status::internal()
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}

/// What the library answers by itself has no details. It calls a request that is no message of the contract an internal
/// error, and one that is too large once it is decompressed a lack of resources: both are the caller's.
fn told_apart(response: http::Response<Body>) -> http::Response<Body> {
    if response.headers().contains_key("grpc-status-details-bin") {
        return response;
    }
    match code_of(&response) {
        Code::Internal => status::undecodable().into_http(),
        Code::ResourceExhausted | Code::OutOfRange => status::too_large().into_http(),
        _ => response,
    }
}

/// Whether a request is one of gRPC at all.
fn is_grpc(request: &http::Request<Body>) -> bool {
    let kind = request.headers().get(http::header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let rest = kind.strip_prefix(b"application/grpc");
    request.method() == http::Method::POST && rest.is_some_and(|rest| matches!(rest, [] | [b'+' | b';', ..]))
}

fn unsupported() -> http::Response<Body> {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

/// The status stands in the headers of a response that holds nothing else; one with a message is OK, for every
/// method is unary.
fn code_of(response: &http::Response<Body>) -> Code {
    let header = response.headers().get("grpc-status");
    header.map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()))
}

/// The header `grpc-timeout`: at most eight digits and a unit. A malformed one counts as none.
fn stated_deadline(headers: &http::HeaderMap) -> Option<Duration> {
    let raw = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = raw.split_at_checked(raw.len().checked_sub(1)?)?;
    if digits.is_empty() || 8 < digits.len() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(n * 3_600)),
        "M" => Some(Duration::from_secs(n * 60)),
        "S" => Some(Duration::from_secs(n)),
        "m" => Some(Duration::from_millis(n)),
        "u" => Some(Duration::from_micros(n)),
        "n" => Some(Duration::from_nanos(n)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_header_is_read() {
        for (raw, expected) in [
            ("2H", Some(Duration::from_secs(7_200))),
            ("3M", Some(Duration::from_secs(180))),
            ("4S", Some(Duration::from_secs(4))),
            ("50m", Some(Duration::from_millis(50))),
            ("60u", Some(Duration::from_micros(60))),
            ("70n", Some(Duration::from_nanos(70))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("0m", Some(Duration::ZERO)),
            ("123456789m", None),
            ("-1m", None),
            ("+1m", None),
            ("1", None),
            ("m", None),
            ("", None),
            ("1s", None),
        ] {
            let mut headers = http::HeaderMap::new();
            headers.insert("grpc-timeout", raw.parse().expect("a header value"));
            assert_eq!(stated_deadline(&headers), expected, "{raw:?}");
        }
        assert_eq!(stated_deadline(&http::HeaderMap::new()), None);
    }

    #[test]
    fn the_head_start_stays_small() {
        for (deadline_ms, expected_ms) in [(0, 2), (10, 2), (100, 10), (1_000, 20), (60_000, 20)] {
            let head_start = head_start(Duration::from_millis(deadline_ms));
            assert_eq!(head_start, Duration::from_millis(expected_ms), "{deadline_ms}");
        }
    }
}
