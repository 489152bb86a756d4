//! Keeps programs apart: whoever asks for one that their credential is not for is answered as if it did not exist.

use std::sync::Arc;

use async_trait::async_trait;

use crate::access::{self, Programs};
use crate::domain::answer::{
    AccountView, Answer, AuditView, BoardView, CodeView, DrawView, EntryView, Explanation, MemberView, NoticeView,
    OrderView, PayoutsView, ReferralView, StatsProof, StatsView, TicketView, VerifyView, WeighingView,
};
use crate::domain::id::{AccountId, BoardId, Code, DrawId, MemberId, OrderId, ProgramId, ReferralId, RequestId};
use crate::domain::time::Instant;
use crate::service::{Answered, AuditEntries, Calls, Entries, Error, Known, Preview, Referrals, Tree, TreePage, Write};

/// Every call passes here, and none says of which program it is without being asked whether it may.
pub(super) struct Tenants {
    calls: Arc<dyn Calls>,
}

impl Tenants {
    pub(super) fn new(calls: Arc<dyn Calls>) -> Tenants {
        Tenants { calls }
    }

    /// The calls, for who may reach this program.
    fn of(&self, program: &ProgramId) -> Result<&dyn Calls, Error> {
        let caller = access::caller().ok_or_else(|| Error::Internal("a call is made in nobody's name".to_owned()))?;
        if caller.principal.programs().hold(program) { Ok(&*self.calls) } else { Err(Error::ProgramUnknown) }
    }
}

#[async_trait]
impl Calls for Tenants {
    /// The credential's only program, else the server's.
    fn only_program(&self) -> Option<ProgramId> {
        let caller = access::caller()?;
        match caller.principal.programs() {
            Programs::Every => self.calls.only_program(),
            Programs::Only(programs) => match programs.as_slice() {
                [program] => Some(program.clone()),
                _ => None,
            },
        }
    }

    fn follows_requests(&self) -> bool {
        self.calls.follows_requests()
    }

    async fn write(&self, write: Box<Write>) -> Result<Answered, Error> {
        self.of(&write.program)?.write(write).await
    }

    fn keeps_promises(&self) -> bool {
        self.calls.keeps_promises()
    }

    async fn promise(&self, program: &ProgramId, request: Vec<u8>) -> Result<bool, Error> {
        self.of(program)?.promise(program, request).await
    }

    async fn preview(&self, preview: Preview) -> Result<Answer, Error> {
        self.of(&preview.program)?.preview(preview).await
    }

    async fn quote(&self, preview: Preview) -> Result<(Answer, Option<(String, Instant)>), Error> {
        self.of(&preview.program)?.quote(preview).await
    }

    async fn outcome(
        &self,
        program: &ProgramId,
        member: &MemberId,
        request: &RequestId,
        fence: bool,
    ) -> Result<Known, Error> {
        self.of(program)?.outcome(program, member, request, fence).await
    }

    async fn member(&self, program: &ProgramId, member: &MemberId) -> Result<MemberView, Error> {
        self.of(program)?.member(program, member).await
    }

    async fn order(&self, program: &ProgramId, member: &MemberId, order: &OrderId) -> Result<OrderView, Error> {
        self.of(program)?.order(program, member, order).await
    }

    async fn explain(
        &self,
        program: &ProgramId,
        member: &MemberId,
        order: &OrderId,
    ) -> Result<Option<Explanation>, Error> {
        self.of(program)?.explain(program, member, order).await
    }

    async fn referral(&self, program: &ProgramId, referral: &ReferralId) -> Result<ReferralView, Error> {
        self.of(program)?.referral(program, referral).await
    }

    async fn weighings(&self, program: &ProgramId, member: &MemberId) -> Result<Vec<WeighingView>, Error> {
        self.of(program)?.weighings(program, member).await
    }

    async fn reviews(
        &self,
        program: &ProgramId,
        after: Option<(Instant, ReferralId)>,
        limit: usize,
    ) -> Result<Vec<ReferralView>, Error> {
        self.of(program)?.reviews(program, after, limit).await
    }

    async fn code(&self, program: &ProgramId, code: &Code) -> Result<CodeView, Error> {
        self.of(program)?.code(program, code).await
    }

    async fn leaderboard(
        &self,
        program: &ProgramId,
        board: &BoardId,
        at: Option<Instant>,
        member: Option<&MemberId>,
    ) -> Result<BoardView, Error> {
        self.of(program)?.leaderboard(program, board, at, member).await
    }

    async fn tickets(
        &self,
        program: &ProgramId,
        draw: &DrawId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TicketView>, Error> {
        self.of(program)?.tickets(program, draw, after, limit).await
    }

    async fn draw(&self, program: &ProgramId, draw: &DrawId) -> Result<DrawView, Error> {
        self.of(program)?.draw(program, draw).await
    }

    async fn entries(
        &self,
        program: &ProgramId,
        member: &MemberId,
        asked: &Entries,
    ) -> Result<(Vec<EntryView>, Option<String>), Error> {
        self.of(program)?.entries(program, member, asked).await
    }

    async fn verify(&self, program: &ProgramId, member: &MemberId) -> Result<VerifyView, Error> {
        self.of(program)?.verify(program, member).await
    }

    async fn notices(&self, program: &ProgramId, after: u64, limit: usize) -> Result<Vec<NoticeView>, Error> {
        self.of(program)?.notices(program, after, limit).await
    }

    async fn audit(
        &self,
        program: &ProgramId,
        asked: &AuditEntries,
    ) -> Result<(Vec<AuditView>, Option<String>), Error> {
        self.of(program)?.audit(program, asked).await
    }

    async fn account(&self, program: &ProgramId, account: &AccountId) -> Result<AccountView, Error> {
        self.of(program)?.account(program, account).await
    }

    async fn referral_tree(&self, program: &ProgramId, member: &MemberId, asked: &Tree) -> Result<TreePage, Error> {
        self.of(program)?.referral_tree(program, member, asked).await
    }

    async fn verify_stats(&self, program: &ProgramId, from: u16) -> Result<StatsProof, Error> {
        self.of(program)?.verify_stats(program, from).await
    }

    async fn referrals(
        &self,
        program: &ProgramId,
        member: &MemberId,
        asked: &Referrals,
    ) -> Result<(Vec<ReferralView>, Option<String>), Error> {
        self.of(program)?.referrals(program, member, asked).await
    }

    async fn stats(&self, program: &ProgramId, at: Option<Instant>, months: usize) -> Result<StatsView, Error> {
        self.of(program)?.stats(program, at, months).await
    }

    async fn payouts(&self, program: &ProgramId, member: &MemberId) -> Result<PayoutsView, Error> {
        self.of(program)?.payouts(program, member).await
    }

    /// Of all programs at once: the table of methods lets nobody in who is for some only.
    async fn end_day(&self, through: Instant) -> Result<(u64, u64), Error> {
        self.calls.end_day(through).await
    }
}
