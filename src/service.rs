//! Use cases: load, decide, commit, with bounded retry on conflict; and the two background jobs, the relay and the
//! sweeper.

mod accruals;
mod audit;
mod boards;
mod cache;
mod claims;
mod codes;
mod confirm;
mod drums;
mod erase;
mod error;
mod explain;
pub mod fingerprint;
mod lengthy;
pub mod meter;
mod moves;
mod notices;
mod programs;
mod projection;
mod promises;
mod queue;
mod quotas;
mod quotes;
mod read;
mod reapply;
mod recipients;
mod relay;
mod reviews;
mod signals;
mod slices;
mod statement;
mod stats;
mod sweeper;
mod touches;
mod trees;
mod unbroken;
mod verify;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use error::Error;
pub use fingerprint::Fingerprint;
pub use programs::Source;
pub use promises::Reading;
pub use reapply::Reapplier;

use crate::clock::Clock;
use crate::domain::answer::{
    AccountView, Answer, AuditView, BoardView, CodeView, DrawView, EntryView, Explanation, MemberView, NoticeView,
    OrderView, PayoutsView, ReferralView, StatsProof, StatsView, TicketView, VerifyView, WeighingView,
};
use crate::domain::command::Command;
use crate::domain::draw::Seed;
use crate::domain::id::{AccountId, BoardId, Code, DrawId, Label, MemberId, OrderId, ProgramId, ReferralId, RequestId};
use crate::domain::program::Timeline;
use crate::domain::quote::QuoteKey;
use crate::domain::referral::signal::SignalKey;
use crate::domain::referral::tree::Node;
use crate::domain::time::{Instant, Times};
use crate::store::journal::Journal;
use crate::store::{Layout, Partition, Store};
use cache::Records;
use meter::Meter;
use programs::Programs;
use queue::Queues;

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
    /// `None`: it is no administrative write.
    pub audit: Option<Box<Audit>>,
}

/// Who is behind an administrative write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audit {
    /// The name of the credential.
    pub principal: Box<str>,
    /// In full: `guerdon.v1.MemberService/Adjust`.
    pub method: &'static str,
    /// To whom the credential belongs: who acts, where the command names nobody.
    pub agent: Option<Label>,
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
#[expect(clippy::large_enum_variant, reason = "one lives at a time, on its way to the caller")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Known {
    NotApplied,
    Answered(Answer),
    Fenced,
}

/// Which entries of a ledger.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entries {
    /// Where the page before ended; `None`: from the beginning.
    pub token: Option<String>,
    /// Most entries of a page.
    pub limit: usize,
    /// Inclusive.
    pub from: Option<Instant>,
    /// Exclusive.
    pub until: Option<Instant>,
    /// The period is about when things happened rather than when they were written.
    pub by_effective_at: bool,
}

/// Which administrative writes. What is `None` does not narrow the list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditEntries {
    /// Where the page before ended; `None`: from the beginning.
    pub token: Option<String>,
    /// Most entries of a page.
    pub limit: usize,
    pub newest_first: bool,
    /// Only those after this position.
    pub after: u64,
    /// Recorded then or later.
    pub from: Option<Instant>,
    /// Recorded before.
    pub until: Option<Instant>,
    pub principal: Option<Label>,
    pub agent: Option<Label>,
    /// In full.
    pub method: Option<&'static str>,
    /// As the request named them.
    pub member: Option<MemberId>,
}

/// What the transport calls. [`Service`] implements it; the trait states the surface in one place.
#[async_trait::async_trait]
pub trait Calls: Send + Sync {
    /// The program meant by an empty `program_id`: the only one served.
    fn only_program(&self) -> Option<ProgramId>;
    /// Whether the server's clock follows the requests (replays).
    fn follows_requests(&self) -> bool;
    /// Decides and commits, exactly once per request id. The write comes in a box, for it is large and goes from hand to hand.
    async fn write(&self, write: Box<Write>) -> Result<Answered, Error>;
    /// Whether [`Calls::promise`] may take one.
    fn keeps_promises(&self) -> bool {
        false
    }
    /// Takes a Commit whose store is away, as the wire has it, to be carried out later; false: it is not taken.
    async fn promise(&self, _program: &ProgramId, _request: Vec<u8>) -> Result<bool, Error> {
        Ok(false)
    }
    /// Decides on fresh state and commits nothing. The answer is that of the write.
    async fn preview(&self, preview: Preview) -> Result<Answer, Error>;
    /// The same of a Commit, with a token that keeps the shopper at it and until when that is honoured; `None`: none is
    /// given.
    async fn quote(&self, preview: Preview) -> Result<(Answer, Option<(String, Instant)>), Error>;
    /// What became of a request id; with `fence`, "nothing" is made final.
    async fn outcome(
        &self,
        program: &ProgramId,
        member: &MemberId,
        request: &RequestId,
        fence: bool,
    ) -> Result<Known, Error>;
    async fn member(&self, program: &ProgramId, member: &MemberId) -> Result<MemberView, Error>;
    async fn order(&self, program: &ProgramId, member: &MemberId, order: &OrderId) -> Result<OrderView, Error>;
    /// Why an order earned what it earned; `None`: that can no longer be told.
    async fn explain(
        &self,
        program: &ProgramId,
        member: &MemberId,
        order: &OrderId,
    ) -> Result<Option<Explanation>, Error>;
    async fn referral(&self, program: &ProgramId, referral: &ReferralId) -> Result<ReferralView, Error>;
    /// Why a member was, or was not, attributed to whom: each time that it was asked, the latest first.
    async fn weighings(&self, program: &ProgramId, member: &MemberId) -> Result<Vec<WeighingView>, Error>;
    /// Up to `limit` referrals that wait for a review, those that lapse first at the beginning, after a place.
    async fn reviews(
        &self,
        program: &ProgramId,
        after: Option<(Instant, ReferralId)>,
        limit: usize,
    ) -> Result<Vec<ReferralView>, Error>;
    async fn code(&self, program: &ProgramId, code: &Code) -> Result<CodeView, Error>;
    async fn draw(&self, program: &ProgramId, draw: &DrawId) -> Result<DrawView, Error>;
    /// Entries as asked for, and the token of the next page.
    async fn entries(
        &self,
        program: &ProgramId,
        member: &MemberId,
        asked: &Entries,
    ) -> Result<(Vec<EntryView>, Option<String>), Error>;
    async fn verify(&self, program: &ProgramId, member: &MemberId) -> Result<VerifyView, Error>;
    /// Up to `limit` notices of a program after a position.
    async fn notices(&self, program: &ProgramId, after: u64, limit: usize) -> Result<Vec<NoticeView>, Error>;
    /// Administrative writes of a program as asked for, and the token of the next page.
    async fn audit(&self, program: &ProgramId, asked: &AuditEntries)
    -> Result<(Vec<AuditView>, Option<String>), Error>;
    /// A leaderboard in the period of an instant, and where a member stands.
    async fn leaderboard(
        &self,
        program: &ProgramId,
        board: &BoardId,
        at: Option<Instant>,
        member: Option<&MemberId>,
    ) -> Result<BoardView, Error>;
    /// Up to `limit` lines of the list of tickets of a draw after a position.
    async fn tickets(
        &self,
        program: &ProgramId,
        draw: &DrawId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TicketView>, Error>;
    async fn account(&self, program: &ProgramId, account: &AccountId) -> Result<AccountView, Error>;
    /// Friends below a member, each right before those whom they have brought, and the token of the next page.
    async fn referral_tree(&self, program: &ProgramId, member: &MemberId, asked: &Tree) -> Result<TreePage, Error>;
    /// Folds the ledgers that figures come from again, partition by partition from `from` on, and compares.
    async fn verify_stats(&self, program: &ProgramId, from: u16) -> Result<StatsProof, Error>;
    /// Referrals of an advocate, and the token of the next page.
    async fn referrals(
        &self,
        program: &ProgramId,
        member: &MemberId,
        asked: &Referrals,
    ) -> Result<(Vec<ReferralView>, Option<String>), Error>;
    /// Figures of referrals in so many months from that of an instant on.
    async fn stats(&self, program: &ProgramId, at: Option<Instant>, months: usize) -> Result<StatsView, Error>;
    /// The payouts of a partner, and where their commission stands.
    async fn payouts(&self, program: &ProgramId, member: &MemberId) -> Result<PayoutsView, Error>;
    /// Delivers effects from before `through`, then sweeps what is due by then: delivered, swept.
    async fn end_day(&self, through: Instant) -> Result<(u64, u64), Error>;
}

/// Bounds of the service.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of recently seen accounts to keep.
    pub cache_bytes_max: u64,
    /// Writes in progress or waiting, in all.
    pub writes_max: usize,
    /// Writes waiting for one account.
    pub writes_per_account_max: usize,
    /// How often a write is decided again when others write to its account, and how often it is resent when its
    /// outcome is unknown.
    pub attempts_max: u32,
    /// How long receipts are kept; the contract promises 7 days.
    pub receipt_keep_s: u64,
    /// How often the relay looks through all partitions for effects that nobody has delivered.
    pub relay_interval: Duration,
    /// How often the sweeper looks for what is due.
    pub sweep_interval: Duration,
    /// Of prize draws; each belongs to the draw that is committed to it.
    pub draw_seeds: Vec<Seed>,
    /// Sign quotes and pages of ledgers: the first signs, all are known. Empty: one that the deployment keeps in its store.
    pub quote_keys: Vec<QuoteKey>,
    /// Hash signals of people: what is new is written under the first, all are compared. Empty: one that the deployment keeps
    /// in its store.
    pub signal_keys: Vec<SignalKey>,
    /// Where Commits are accepted while the store is away; `None`: they are not.
    pub journal: Option<Arc<Journal>>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            cache_bytes_max: 256 * 1024 * 1024,
            writes_max: 4_096,
            writes_per_account_max: 256,
            attempts_max: 16,
            receipt_keep_s: 14 * 24 * 3600,
            relay_interval: Duration::from_secs(2),
            sweep_interval: Duration::from_secs(5),
            draw_seeds: Vec::new(),
            quote_keys: Vec::new(),
            signal_keys: Vec::new(),
            journal: None,
        }
    }
}

/// Which friends below a member are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tree {
    /// 1: those whom the member has brought.
    pub depth: usize,
    pub limit: usize,
    /// Where the page before ended; `None`: from the beginning.
    pub token: Option<String>,
}

/// Which referrals of an advocate are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Referrals {
    pub newest_first: bool,
    pub limit: usize,
    /// Where the page before ended; `None`: from the beginning.
    pub token: Option<String>,
}

/// Friends, and the token of the next page.
pub type TreePage = (Vec<Node>, Option<String>);

/// The use cases over one store. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    layout: Layout,
    clock: Clock,
    options: Options,
    programs: Programs,
    records: Records,
    queues: Queues,
    writes: Arc<tokio::sync::Semaphore>,
    meter: Arc<dyn Meter>,
    /// Counts every write, also one whose caller has left; drain waits for it.
    tracker: TaskTracker,
    /// Set while this instance's clock cannot be trusted.
    clock_off: AtomicBool,
    stop: CancellationToken,
    /// Partitions on whose feed this instance has just put effects.
    relay_hint: mpsc::Sender<Partition>,
    relay_hints: std::sync::Mutex<Option<mpsc::Receiver<Partition>>>,
    slices: slices::Slices,
    /// Known once they were asked for.
    quote_keys: tokio::sync::OnceCell<Vec<QuoteKey>>,
    signal_keys: tokio::sync::OnceCell<Vec<SignalKey>>,
}

/// How far a caller's clock may be ahead; what lies further in the future is refused.
const AHEAD_MS_MAX: i64 = 5_000;

/// Hints beyond this are dropped: the relay's walk finds what they named.
const RELAY_HINTS_MAX: usize = 4_096;

impl Service {
    /// A service that serves nothing until [`Service::publish`] has succeeded once.
    pub fn new(
        store: Arc<dyn Store>,
        layout: Layout,
        clock: Clock,
        sources: Vec<Source>,
        options: Options,
        meter: Arc<dyn Meter>,
    ) -> Service {
        let (relay_hint, hints) = mpsc::channel(RELAY_HINTS_MAX);
        let inner = Inner {
            store,
            layout,
            clock,
            programs: Programs::new(sources, options.draw_seeds.clone()),
            records: Records::new(options.cache_bytes_max),
            queues: Queues::new(options.writes_per_account_max),
            writes: Arc::new(tokio::sync::Semaphore::new(options.writes_max)),
            options,
            meter,
            tracker: TaskTracker::new(),
            clock_off: AtomicBool::new(false),
            stop: CancellationToken::new(),
            relay_hint,
            relay_hints: std::sync::Mutex::new(Some(hints)),
            slices: slices::Slices::default(),
            quote_keys: tokio::sync::OnceCell::new(),
            signal_keys: tokio::sync::OnceCell::new(),
        };
        Service { inner: Arc::new(inner) }
    }

    /// Publishes this instance's programs and reads all versions. Call until it succeeds, before serving.
    pub async fn publish(&self) -> Result<(), Error> {
        let inner = &self.inner;
        let now = inner.clock.now(None);
        Ok(inner.programs.publish(&*inner.store, inner.layout, now).await?)
    }

    /// Starts the relay and the sweeper. With a clock that follows the requests neither runs: the driver says when
    /// a day is over.
    pub fn start_jobs(&self) {
        if self.inner.clock.follows() {
            return;
        }
        relay::start(self);
        sweeper::start(self);
    }

    /// Starts what carries out Commits that were accepted while the store was away. `read` knows the wire.
    pub fn keep_promises(&self, read: Reading) {
        promises::start(self, read);
    }

    /// Refuses new writes, then waits for those in progress and for the jobs' current steps.
    pub async fn drain(&self) {
        self.inner.writes.close();
        self.inner.stop.cancel();
        self.inner.tracker.close();
        self.inner.tracker.wait().await;
    }

    /// Tells whether this instance's clock agrees with the store's. While it does not, nothing is decided here: an
    /// account brought up to a time that has not come would stay there.
    pub fn trust_clock(&self, trusted: bool) {
        self.inner.clock_off.store(!trusted, Ordering::Release);
    }

    /// The store, for health and metrics.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }
}

impl Inner {
    /// The versions of a program, for a decision; none while the clock is off.
    fn timeline(&self, program: &ProgramId) -> Result<Arc<Timeline>, Error> {
        if self.clock_off.load(Ordering::Acquire) {
            return Err(Error::ClockOff);
        }
        if !self.programs.serves(program) {
            return Err(Error::ProgramUnknown);
        }
        self.programs.timeline(program).ok_or(Error::Store(crate::store::Error::Unavailable))
    }

    fn times(&self, occurred_at: Option<Instant>) -> Times {
        let now = self.clock.now(occurred_at);
        let effective_at = match occurred_at {
            // The caller's clock is a little ahead: what it says has happened has.
            Some(at) if now < at && at <= now.plus_ms(AHEAD_MS_MAX) => now,
            Some(at) => at,
            None => now,
        };
        Times { now, effective_at, stated: occurred_at.is_some() }
    }
}

#[async_trait::async_trait]
impl Calls for Service {
    fn only_program(&self) -> Option<ProgramId> {
        self.inner.programs.only()
    }

    fn follows_requests(&self) -> bool {
        self.inner.clock.follows()
    }

    async fn write(&self, write: Box<Write>) -> Result<Answered, Error> {
        write::write(&self.inner, write).await
    }

    fn keeps_promises(&self) -> bool {
        self.inner.options.journal.is_some()
    }

    async fn promise(&self, program: &ProgramId, request: Vec<u8>) -> Result<bool, Error> {
        promises::take(&self.inner, program, request).await
    }

    async fn preview(&self, preview: Preview) -> Result<Answer, Error> {
        read::preview(&self.inner, preview).await
    }

    async fn quote(&self, preview: Preview) -> Result<(Answer, Option<(String, Instant)>), Error> {
        quotes::quote(&self.inner, preview).await
    }

    async fn outcome(
        &self,
        program: &ProgramId,
        member: &MemberId,
        request: &RequestId,
        fence: bool,
    ) -> Result<Known, Error> {
        write::outcome(&self.inner, program, member, request, fence).await
    }

    async fn member(&self, program: &ProgramId, member: &MemberId) -> Result<MemberView, Error> {
        read::member(&self.inner, program, member).await
    }

    async fn order(&self, program: &ProgramId, member: &MemberId, order: &OrderId) -> Result<OrderView, Error> {
        read::order(&self.inner, program, member, order).await
    }

    async fn explain(
        &self,
        program: &ProgramId,
        member: &MemberId,
        order: &OrderId,
    ) -> Result<Option<Explanation>, Error> {
        explain::explain(&self.inner, program, member, order).await
    }

    async fn referral(&self, program: &ProgramId, referral: &ReferralId) -> Result<ReferralView, Error> {
        read::referral(&self.inner, program, referral).await
    }

    async fn weighings(&self, program: &ProgramId, member: &MemberId) -> Result<Vec<WeighingView>, Error> {
        touches::weighings(&self.inner, program, member).await
    }

    async fn reviews(
        &self,
        program: &ProgramId,
        after: Option<(Instant, ReferralId)>,
        limit: usize,
    ) -> Result<Vec<ReferralView>, Error> {
        reviews::list(&self.inner, program, after, limit).await
    }

    async fn code(&self, program: &ProgramId, code: &Code) -> Result<CodeView, Error> {
        codes::view(&self.inner, program, code).await
    }

    async fn draw(&self, program: &ProgramId, draw: &DrawId) -> Result<DrawView, Error> {
        read::draw(&self.inner, program, draw)
    }

    async fn entries(
        &self,
        program: &ProgramId,
        member: &MemberId,
        asked: &Entries,
    ) -> Result<(Vec<EntryView>, Option<String>), Error> {
        statement::entries(&self.inner, program, member, asked).await
    }

    async fn verify(&self, program: &ProgramId, member: &MemberId) -> Result<VerifyView, Error> {
        verify::verify(&self.inner, program, member).await
    }

    async fn notices(&self, program: &ProgramId, after: u64, limit: usize) -> Result<Vec<NoticeView>, Error> {
        notices::list(&self.inner, program, after, limit).await
    }

    async fn audit(
        &self,
        program: &ProgramId,
        asked: &AuditEntries,
    ) -> Result<(Vec<AuditView>, Option<String>), Error> {
        audit::list(&self.inner, program, asked).await
    }

    async fn leaderboard(
        &self,
        program: &ProgramId,
        board: &BoardId,
        at: Option<Instant>,
        member: Option<&MemberId>,
    ) -> Result<BoardView, Error> {
        boards::view(&self.inner, program, board, at, member).await
    }

    async fn tickets(
        &self,
        program: &ProgramId,
        draw: &DrawId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TicketView>, Error> {
        drums::list(&self.inner, program, draw, after, limit).await
    }

    async fn referral_tree(&self, program: &ProgramId, member: &MemberId, asked: &Tree) -> Result<TreePage, Error> {
        let Tree { depth, limit, token } = asked;
        trees::view(&self.inner, program, member, *depth, *limit, token.as_deref()).await
    }

    async fn verify_stats(&self, program: &ProgramId, from: u16) -> Result<StatsProof, Error> {
        stats::verify(&self.inner, program, from).await
    }

    async fn referrals(
        &self,
        program: &ProgramId,
        member: &MemberId,
        asked: &Referrals,
    ) -> Result<(Vec<ReferralView>, Option<String>), Error> {
        let Referrals { newest_first, limit, token } = asked;
        trees::referrals(&self.inner, program, member, *newest_first, *limit, token.as_deref()).await
    }

    async fn stats(&self, program: &ProgramId, at: Option<Instant>, months: usize) -> Result<StatsView, Error> {
        stats::view(&self.inner, program, at, months).await
    }

    async fn payouts(&self, program: &ProgramId, member: &MemberId) -> Result<PayoutsView, Error> {
        accruals::view(&self.inner, program, member).await
    }

    async fn account(&self, program: &ProgramId, account: &AccountId) -> Result<AccountView, Error> {
        read::account(&self.inner, program, account).await
    }

    async fn end_day(&self, through: Instant) -> Result<(u64, u64), Error> {
        // Sets the latest instant seen, by which members are read.
        self.inner.clock.now(Some(through));
        let delivered = relay::deliver_before(&self.inner, through).await?;
        let swept = sweeper::sweep_through(&self.inner, through).await?;
        Ok((delivered, swept))
    }
}
