//! Use cases: load, decide, commit, with bounded retry on conflict; and the two background jobs, the relay and the
//! sweeper.

mod error;
pub mod fingerprint;

pub use error::Error;
pub use fingerprint::Fingerprint;

use crate::domain::answer::{Answer, EntryView, MemberView, OrderView, ReferralView, VerifyView};
use crate::domain::command::Command;
use crate::domain::id::{MemberId, OrderId, ProgramId, ReferralId, RequestId};
use crate::domain::time::Instant;

/// A write as it arrives from the wire.
#[derive(Clone, Debug)]
pub struct Write {
    pub program: ProgramId,
    pub member: MemberId,
    pub request_id: RequestId,
    pub fingerprint: Fingerprint,
    /// As the caller says; `None`: now.
    pub occurred_at: Option<Instant>,
    pub command: Command,
}

/// The preview of a write, or a read that passes through a decision.
#[derive(Clone, Debug)]
pub struct Preview {
    pub program: ProgramId,
    /// `None`: a guest.
    pub member: Option<MemberId>,
    pub occurred_at: Option<Instant>,
    pub command: Command,
}

/// An answer, and whether it was given before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    pub answer: Answer,
    pub replayed: bool,
}

/// What is known of a request id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Known {
    NotApplied,
    Answered(Answer),
    Fenced,
}

/// What the transport calls. `service::Service` implements it; the trait states the surface in one place.
#[async_trait::async_trait]
pub trait Calls: Send + Sync {
    /// The programs served: an empty `program_id` on the wire means the only one.
    fn only_program(&self) -> Option<ProgramId>;
    /// Whether the server's clock follows the requests (replays).
    fn follows_requests(&self) -> bool;
    /// Decides and commits, exactly once per request id.
    async fn write(&self, write: Write) -> Result<Answered, Error>;
    /// Decides on fresh state and commits nothing. The answer is that of the write.
    async fn preview(&self, preview: Preview) -> Result<Answer, Error>;
    async fn outcome(
        &self,
        program: &ProgramId,
        member: &MemberId,
        request: &RequestId,
        fence: bool,
    ) -> Result<Known, Error>;
    async fn member(&self, program: &ProgramId, member: &MemberId) -> Result<MemberView, Error>;
    async fn order(&self, program: &ProgramId, member: &MemberId, order: &OrderId) -> Result<OrderView, Error>;
    async fn referral(&self, program: &ProgramId, referral: &ReferralId) -> Result<ReferralView, Error>;
    /// Up to `limit` entries after `token`, and the token of the next page.
    async fn entries(
        &self,
        program: &ProgramId,
        member: &MemberId,
        token: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<EntryView>, Option<String>), Error>;
    async fn verify(&self, program: &ProgramId, member: &MemberId) -> Result<VerifyView, Error>;
    /// Delivers effects from before `through`, then sweeps what is due by then: delivered, swept.
    async fn end_day(&self, through: Instant) -> Result<(u64, u64), Error>;
}
