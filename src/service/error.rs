//! Why a call could not be answered. A business "no" is never one of these.

use crate::store;

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    #[error("the request id was used for another request; the first field that differs is `{field}`")]
    RequestIdReused { field: String },
    #[error("the request id was fenced before the request arrived")]
    RequestFenced,
    #[error("this server has no such program")]
    ProgramUnknown,
    /// A read named something that does not exist; `field` is the request's.
    #[error("nothing exists under this `{field}`")]
    NotFound { field: &'static str },
    /// A field is malformed in a way that only the service can see (a page token).
    #[error("`{field}` {problem}")]
    Malformed { field: &'static str, problem: String },
    #[error("other instances kept writing to this account; send the request again")]
    Contention,
    #[error("too many calls are waiting")]
    Overloaded,
    #[error("the server is shutting down")]
    Draining,
    /// This instance's clock and the store's are too far apart to decide by.
    #[error("the clock of this instance is off")]
    ClockOff,
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A record would outgrow what the store is meant to hold; `limit` names which.
    #[error("the `{limit}` is reached")]
    LimitReached { limit: &'static str },
    /// A defect of this program.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// Whether whatever else were tried now would fail like this: the store is away, or this instance does nothing more.
    pub(super) fn is_everywhere(&self) -> bool {
        matches!(
            self,
            Error::Draining | Error::ClockOff | Error::Store(store::Error::Unavailable | store::Error::OutcomeUnknown)
        )
    }
}
