//! Errors as gRPC statuses: a code, a reason that programs can act on, and the remedy in words.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::violations::Violations;
use super::wire::ErrorReason;
use crate::access::Denied;
use crate::service::Error;
use crate::store;

/// The domain of every `google.rpc.ErrorInfo` sent.
pub const ERROR_DOMAIN: &str = "guerdon.v1";

/// When a resend may find the account free.
const CONTENTION_RETRY: Duration = Duration::from_millis(50);
/// When a queue may have drained.
const OVERLOADED_RETRY: Duration = Duration::from_millis(200);
/// When a store may have come back, or another instance taken over.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(1);

/// What an error turns into.
struct Reply {
    code: Code,
    reason: ErrorReason,
    retry: Option<Duration>,
    metadata: HashMap<String, String>,
    message: String,
}

impl Reply {
    fn new(code: Code, reason: ErrorReason, message: impl Into<String>) -> Reply {
        Reply { code, reason, retry: None, metadata: HashMap::new(), message: message.into() }
    }

    fn retry(mut self, after: Duration) -> Reply {
        self.retry = Some(after);
        self
    }

    fn with(mut self, key: &str, value: impl Into<String>) -> Reply {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    fn status(self) -> Status {
        let mut details = ErrorDetails::with_error_info(name(self.reason), ERROR_DOMAIN, self.metadata);
        if let Some(after) = self.retry {
            details.set_retry_info(Some(after));
        }
        Status::with_error_details(self.code, self.message, details)
    }
}

/// The name of a reason as sent: that of the contract without its prefix.
fn name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

/// What the caller is told about an error. Texts of drivers and of defects stay in the log.
pub(super) fn of(error: &Error) -> Status {
    let reply = match error {
        Error::RequestIdReused { field } => Reply::new(
            Code::AlreadyExists,
            ErrorReason::RequestIdReused,
            format!("{error}; choose a new request id for a new request"),
        )
        .with("field", field.as_str()),
        Error::RequestFenced => Reply::new(
            Code::FailedPrecondition,
            ErrorReason::RequestFenced,
            format!("{error}: it was not applied and never will be; choose a new request id"),
        ),
        Error::ProgramUnknown => Reply::new(
            Code::NotFound,
            ErrorReason::ProgramUnknown,
            format!("{error}; check `program_id`, or leave it empty where the server has only one"),
        ),
        Error::NotFound { field } => {
            Reply::new(Code::NotFound, ErrorReason::NotFound, error.to_string()).with("field", *field)
        }
        Error::Malformed { field, problem } => {
            let details = ErrorDetails::with_bad_request_violation(*field, problem.as_str());
            return malformed(details, format!("1 field is malformed: `{field}` {problem}"));
        }
        Error::Contention => Reply::new(
            Code::Aborted,
            ErrorReason::Contention,
            "other instances kept writing to this account; send the request again with the same request id",
        )
        .retry(CONTENTION_RETRY),
        Error::Overloaded => Reply::new(
            Code::ResourceExhausted,
            ErrorReason::Overloaded,
            "too many calls are waiting; send the request again later with the same request id",
        )
        .retry(OVERLOADED_RETRY),
        Error::ClockOff => Reply::new(
            Code::Unavailable,
            ErrorReason::ClockOff,
            "the clock of this instance is off and nothing was done; send the request to another instance with the \
             same request id",
        )
        .retry(UNAVAILABLE_RETRY),
        Error::LimitReached { limit } => Reply::new(
            Code::ResourceExhausted,
            ErrorReason::LimitReached,
            "a record would outgrow its limit; nothing was done, and sending it again will not help",
        )
        .with("limit", *limit),
        Error::Draining => Reply::new(
            Code::Unavailable,
            ErrorReason::Draining,
            "the server is shutting down; send the request to another instance with the same request id",
        )
        .retry(UNAVAILABLE_RETRY),
        Error::Store(store::Error::Unavailable | store::Error::Moved) => Reply::new(
            Code::Unavailable,
            ErrorReason::StoreUnavailable,
            "the store cannot be reached and nothing was done; send the request again later",
        )
        .retry(UNAVAILABLE_RETRY),
        Error::Store(store::Error::OutcomeUnknown) => Reply::new(
            Code::Unavailable,
            ErrorReason::OutcomeUnknown,
            "the write was sent and not answered; send it again with the same request id, or ask GetOutcome",
        )
        .retry(UNAVAILABLE_RETRY),
        Error::Store(store::Error::Unfit { what }) => {
            Reply::new(Code::FailedPrecondition, ErrorReason::StoreUnfit, format!("the store cannot be used: {what}"))
        }
        Error::Store(store::Error::Corrupt { what }) => {
            tracing::error!(what, "stored data is damaged");
            Reply::new(
                Code::Internal,
                ErrorReason::StoreCorrupt,
                "stored data is damaged; operators find what in the log",
            )
        }
        Error::Store(store::Error::SchemaTooNew { found, known }) => Reply::new(
            Code::FailedPrecondition,
            ErrorReason::StoreTooNew,
            format!("the store has format {found} and this server knows up to {known}; run a newer version"),
        ),
        Error::Store(store::Error::OtherDeployment { setting, found, wanted }) => Reply::new(
            Code::FailedPrecondition,
            ErrorReason::StoreOfOtherDeployment,
            format!(
                "the store was created with {setting} = {found}, this server is set to {wanted}; \
                 change the setting or use another store"
            ),
        )
        .with("setting", *setting),
        Error::Internal(what) => {
            tracing::error!(what, "internal error");
            return internal();
        }
    };
    reply.status()
}

/// Why a call is not let in. Nothing of it tells what exists.
pub(super) fn denied(denied: &Denied) -> Status {
    let reply = match denied {
        Denied::NoCredential => Reply::new(
            Code::Unauthenticated,
            ErrorReason::Unauthenticated,
            "no credential came with the call; send the header `authorization: Bearer <key or token>`, or use a client \
             certificate",
        ),
        Denied::NotAccepted => Reply::new(
            Code::Unauthenticated,
            ErrorReason::Unauthenticated,
            "the credential is not accepted: it is unknown, expired or not for this server; ask its operators for one",
        ),
        Denied::NotAllowed { method } => {
            let mut roles: Vec<&str> = method.roles.iter().map(|role| role.name()).collect();
            roles.sort_unstable();
            let every = if method.whole_deployment { ", for every program" } else { "" };
            let message = format!("the credential does not allow {}; it takes {}{every}", method.name, roles.join(" or "));
            Reply::new(Code::PermissionDenied, ErrorReason::PermissionDenied, message)
                .with("method", method.name)
                .with("roles", roles.join(","))
        }
        Denied::TooOften { retry } => Reply::new(
            Code::ResourceExhausted,
            ErrorReason::RateLimited,
            "the credential has been used more often than it may be; send the request again later with the same request id",
        )
        .retry(*retry),
    };
    reply.status()
}

/// A defect of this program. What it is stands in the log.
pub(super) fn internal() -> Status {
    let message =
        "internal error; the log of the server holds more. A write may be sent again with the same request id";
    Reply::new(Code::Internal, ErrorReason::Internal, message).status()
}

/// What came is no message of the contract.
pub(super) fn undecodable() -> Status {
    let message = "the request cannot be read: it is not the Protobuf message that the method takes, or a text in it is \
                   not UTF-8";
    Reply::new(Code::InvalidArgument, ErrorReason::RequestMalformed, message).status()
}

/// More than a request may be.
pub(super) fn too_large() -> Status {
    let message = "the request is larger than a request may be, as it came or decompressed: see GetLimits, and send less at a time";
    Reply::new(Code::OutOfRange, ErrorReason::RequestMalformed, message).status()
}

/// The caller's deadline, or the server's where the caller stated none, passed before there was an answer.
pub(super) fn deadline_exceeded(after: Duration) -> Status {
    let message = format!(
        "no answer within {} ms; a write may still happen: send it again with the same request id, or ask GetOutcome",
        after.as_millis()
    );
    Reply::new(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded, message).status()
}

/// Every field that is malformed.
pub(super) fn of_violations(violations: Violations) -> Status {
    let (listed, left_out) = violations.into_parts();
    let count = listed.len() + left_out;
    let fields = if count == 1 { "field is" } else { "fields are" };
    let mut message = format!("{count} {fields} malformed");
    if let Some(first) = listed.first() {
        message.push_str(&format!(": `{}` {}", first.field, first.description));
    }
    if 1 < listed.len() {
        message.push_str(&format!(", and {} more in the details", listed.len() - 1));
    }
    if 0 < left_out {
        message.push_str(&format!("; {left_out} more are not listed"));
    }
    malformed(ErrorDetails::with_bad_request(listed), message)
}

fn malformed(mut details: ErrorDetails, message: String) -> Status {
    details.set_error_info(name(ErrorReason::RequestMalformed), ERROR_DOMAIN, HashMap::new());
    Status::with_error_details(Code::InvalidArgument, message, details)
}
