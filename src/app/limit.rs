//! Bounds how many calls are worked on at once: one more is refused at once, so that none queues without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::domain::answer::{
    AccountView, Answer, BoardView, CodeView, DrawView, EntryView, Explanation, MemberView, NoticeView, OrderView,
    PayoutsView, ReferralView, StatsProof, StatsView, TicketView, VerifyView, WeighingView,
};
use crate::domain::id::{AccountId, BoardId, Code, DrawId, MemberId, OrderId, ProgramId, ReferralId, RequestId};
use crate::domain::time::Instant;
use crate::service::{Answered, Calls, Entries, Error, Known, Preview, Referrals, Tree, TreePage, Write};
use crate::telemetry::metrics;

/// Passes on at most so many calls at once.
pub(super) struct Limited {
    calls: Arc<dyn Calls>,
    places: Semaphore,
    places_max: u32,
    draining: AtomicBool,
}

impl Limited {
    pub(super) fn new(calls: Arc<dyn Calls>, places_max: u32) -> Limited {
        let places = Semaphore::new(usize::try_from(places_max).unwrap_or(usize::MAX));
        Limited { calls, places, places_max, draining: AtomicBool::new(false) }
    }

    /// Refuses calls from now on, and waits until none is being worked on.
    pub(super) async fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        // An error would mean that the places were closed, which nobody does.
        drop(self.places.acquire_many(self.places_max).await);
    }

    fn place(&self) -> Result<Place<'_>, Error> {
        if self.draining.load(Ordering::Acquire) {
            return Err(Error::Draining);
        }
        let permit = self.places.try_acquire().map_err(|_| Error::Overloaded)?;
        metrics::in_flight(true);
        Ok(Place { _permit: permit })
    }
}

/// Held by a call while it is worked on; given back also when the caller leaves early.
struct Place<'a> {
    _permit: SemaphorePermit<'a>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        metrics::in_flight(false);
    }
}

#[async_trait]
impl Calls for Limited {
    fn only_program(&self) -> Option<ProgramId> {
        self.calls.only_program()
    }

    fn follows_requests(&self) -> bool {
        self.calls.follows_requests()
    }

    async fn write(&self, write: Write) -> Result<Answered, Error> {
        let _place = self.place()?;
        self.calls.write(write).await
    }

    async fn promise(&self, program: &ProgramId, request: Vec<u8>) -> Result<bool, Error> {
        let _place = self.place()?;
        self.calls.promise(program, request).await
    }

    async fn preview(&self, preview: Preview) -> Result<Answer, Error> {
        let _place = self.place()?;
        self.calls.preview(preview).await
    }

    async fn quote(&self, preview: Preview) -> Result<(Answer, Option<(String, Instant)>), Error> {
        let _place = self.place()?;
        self.calls.quote(preview).await
    }

    async fn outcome(
        &self,
        program: &ProgramId,
        member: &MemberId,
        request: &RequestId,
        fence: bool,
    ) -> Result<Known, Error> {
        let _place = self.place()?;
        self.calls.outcome(program, member, request, fence).await
    }

    async fn member(&self, program: &ProgramId, member: &MemberId) -> Result<MemberView, Error> {
        let _place = self.place()?;
        self.calls.member(program, member).await
    }

    async fn order(&self, program: &ProgramId, member: &MemberId, order: &OrderId) -> Result<OrderView, Error> {
        let _place = self.place()?;
        self.calls.order(program, member, order).await
    }

    async fn explain(
        &self,
        program: &ProgramId,
        member: &MemberId,
        order: &OrderId,
    ) -> Result<Option<Explanation>, Error> {
        let _place = self.place()?;
        self.calls.explain(program, member, order).await
    }

    async fn referral(&self, program: &ProgramId, referral: &ReferralId) -> Result<ReferralView, Error> {
        let _place = self.place()?;
        self.calls.referral(program, referral).await
    }

    async fn weighings(&self, program: &ProgramId, member: &MemberId) -> Result<Vec<WeighingView>, Error> {
        let _place = self.place()?;
        self.calls.weighings(program, member).await
    }

    async fn reviews(
        &self,
        program: &ProgramId,
        after: Option<(Instant, ReferralId)>,
        limit: usize,
    ) -> Result<Vec<ReferralView>, Error> {
        let _place = self.place()?;
        self.calls.reviews(program, after, limit).await
    }

    async fn code(&self, program: &ProgramId, code: &Code) -> Result<CodeView, Error> {
        let _place = self.place()?;
        self.calls.code(program, code).await
    }

    async fn draw(&self, program: &ProgramId, draw: &DrawId) -> Result<DrawView, Error> {
        let _place = self.place()?;
        self.calls.draw(program, draw).await
    }

    async fn entries(
        &self,
        program: &ProgramId,
        member: &MemberId,
        asked: &Entries,
    ) -> Result<(Vec<EntryView>, Option<String>), Error> {
        let _place = self.place()?;
        self.calls.entries(program, member, asked).await
    }

    async fn verify(&self, program: &ProgramId, member: &MemberId) -> Result<VerifyView, Error> {
        let _place = self.place()?;
        self.calls.verify(program, member).await
    }

    async fn notices(&self, program: &ProgramId, after: u64, limit: usize) -> Result<Vec<NoticeView>, Error> {
        let _place = self.place()?;
        self.calls.notices(program, after, limit).await
    }

    async fn leaderboard(
        &self,
        program: &ProgramId,
        board: &BoardId,
        at: Option<Instant>,
        member: Option<&MemberId>,
    ) -> Result<BoardView, Error> {
        let _place = self.place()?;
        self.calls.leaderboard(program, board, at, member).await
    }

    async fn tickets(
        &self,
        program: &ProgramId,
        draw: &DrawId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TicketView>, Error> {
        let _place = self.place()?;
        self.calls.tickets(program, draw, after, limit).await
    }

    async fn account(&self, program: &ProgramId, account: &AccountId) -> Result<AccountView, Error> {
        let _place = self.place()?;
        self.calls.account(program, account).await
    }

    async fn referral_tree(&self, program: &ProgramId, member: &MemberId, asked: &Tree) -> Result<TreePage, Error> {
        let _place = self.place()?;
        self.calls.referral_tree(program, member, asked).await
    }

    async fn verify_stats(&self, program: &ProgramId, from: u16) -> Result<StatsProof, Error> {
        let _place = self.place()?;
        self.calls.verify_stats(program, from).await
    }

    async fn referrals(
        &self,
        program: &ProgramId,
        member: &MemberId,
        asked: &Referrals,
    ) -> Result<(Vec<ReferralView>, Option<String>), Error> {
        let _place = self.place()?;
        self.calls.referrals(program, member, asked).await
    }

    async fn stats(&self, program: &ProgramId, at: Option<Instant>, months: usize) -> Result<StatsView, Error> {
        let _place = self.place()?;
        self.calls.stats(program, at, months).await
    }

    async fn payouts(&self, program: &ProgramId, member: &MemberId) -> Result<PayoutsView, Error> {
        let _place = self.place()?;
        self.calls.payouts(program, member).await
    }

    async fn end_day(&self, through: Instant) -> Result<(u64, u64), Error> {
        let _place = self.place()?;
        self.calls.end_day(through).await
    }
}
