//! A fake behind the face, well-formed requests, and one way to send any of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use guerdon::access::Access;
use guerdon::domain::account::{AccountKind, Payout, PayoutState, Role};
use guerdon::domain::answer::*;
use guerdon::domain::command::{AdjustReason, Command};
use guerdon::domain::id::{
    AccountId, BoardId, CampaignId, DrawId, Label, MemberId, OrderId, ProgramId, ReferralId, RequestId,
};
use guerdon::domain::order::{Currency, OrderKind};
use guerdon::domain::payouts::Commission;
use guerdon::domain::program::ProgramVersion;
use guerdon::domain::referral::credit::CreditModel;
use guerdon::domain::referral::fraud::{self, Action, Finding, Review, SideState, Suspicion};
use guerdon::domain::referral::touch::TouchKind;
use guerdon::domain::referral::tree::{Child, Node};
use guerdon::domain::referral::{
    CodeOwner, CodeState, Considered, ModelSays, Outcome, Referral, RejectedFor, TouchSeen, Via, Weighing,
};
use guerdon::domain::stats::{Channel, Difference, Figure, Measure, Way};
use guerdon::domain::time::Instant;
use guerdon::grpc::wire::account_service_client::AccountServiceClient;
use guerdon::grpc::wire::checkout_service_client::CheckoutServiceClient;
use guerdon::grpc::wire::ledger_service_client::LedgerServiceClient;
use guerdon::grpc::wire::member_service_client::MemberServiceClient;
use guerdon::grpc::wire::payout_service_client::PayoutServiceClient;
use guerdon::grpc::wire::referral_service_client::ReferralServiceClient;
use guerdon::grpc::wire::reward_service_client::RewardServiceClient;
use guerdon::grpc::wire::simulation_service_client::SimulationServiceClient;
use guerdon::grpc::{self, Observer, wire};
use guerdon::service::{
    Answered, AuditEntries, Calls, Entries, Error, Known, Preview, Referrals, Tree, TreePage, Write,
};
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// What the fake does with a call.
#[derive(Clone)]
pub(crate) enum Does {
    /// Answers with something that fits.
    Fits,
    Answers(Answered),
    Knows(Known),
    Fails(Error),
    /// Never answers.
    Hangs,
    Panics,
}

/// Stands in for the service.
pub(crate) struct Fake {
    pub(crate) does: Mutex<Does>,
    pub(crate) only_program: Option<ProgramId>,
    pub(crate) follows_requests: bool,
    pub(crate) writes: Mutex<Vec<Write>>,
    pub(crate) previews: Mutex<Vec<Preview>>,
    /// Token and limit of each page asked for.
    pub(crate) pages: Mutex<Vec<(Option<String>, usize)>>,
    pub(crate) days: Mutex<Vec<Instant>>,
    pub(crate) audits: Mutex<Vec<AuditEntries>>,
}

impl Fake {
    pub(crate) fn that(does: Does) -> Arc<Fake> {
        Arc::new(Fake {
            does: Mutex::new(does),
            only_program: Some(ProgramId::parse("bakery").unwrap()),
            follows_requests: true,
            writes: Mutex::default(),
            previews: Mutex::default(),
            pages: Mutex::default(),
            days: Mutex::default(),
            audits: Mutex::default(),
        })
    }

    pub(crate) fn last_write(&self) -> Write {
        self.writes.lock().unwrap().last().cloned().expect("a write")
    }

    pub(crate) fn last_preview(&self) -> Preview {
        self.previews.lock().unwrap().last().cloned().expect("a preview")
    }

    async fn act(&self) -> Result<Does, Error> {
        let does = self.does.lock().unwrap().clone();
        match does {
            Does::Fails(error) => Err(error),
            Does::Hangs => std::future::pending().await,
            Does::Panics => panic!("as told"),
            does => Ok(does),
        }
    }
}

#[async_trait::async_trait]
impl Calls for Fake {
    fn only_program(&self) -> Option<ProgramId> {
        self.only_program.clone()
    }

    fn follows_requests(&self) -> bool {
        self.follows_requests
    }

    async fn write(&self, write: Box<Write>) -> Result<Answered, Error> {
        let fitting = fitting(&write.command);
        self.writes.lock().unwrap().push(*write);
        match self.act().await? {
            Does::Answers(answered) => Ok(answered),
            _ => Ok(Answered { answer: fitting, replayed: false }),
        }
    }

    async fn preview(&self, preview: Preview) -> Result<Answer, Error> {
        let fitting = fitting(&preview.command);
        self.previews.lock().unwrap().push(preview);
        match self.act().await? {
            Does::Answers(answered) => Ok(answered.answer),
            _ => Ok(fitting),
        }
    }

    async fn quote(&self, preview: Preview) -> Result<(Answer, Option<(String, Instant)>), Error> {
        Ok((self.preview(preview).await?, Some(("c0ffee".into(), at()))))
    }

    async fn outcome(&self, _: &ProgramId, _: &MemberId, _: &RequestId, fence: bool) -> Result<Known, Error> {
        match self.act().await? {
            Does::Knows(known) => Ok(known),
            _ => Ok(if fence { Known::Fenced } else { Known::NotApplied }),
        }
    }

    async fn member(&self, _: &ProgramId, member: &MemberId) -> Result<MemberView, Error> {
        self.act().await?;
        Ok(MemberView {
            member: member.clone(),
            account: member.into(),
            enrolled_at: at(),
            as_of: at(),
            balances: Vec::new(),
            orders: 0,
            holds: Vec::new(),
            referral: None,
            codes: Vec::new(),
            friends_qualified: 0,
            vouchers: Vec::new(),
            cards: Vec::new(),
            tags: Vec::new(),
            entries: 1,
            kind: AccountKind::Person,
            person: None,
            tiers: Vec::new(),
            goals: Vec::new(),
            erased_at: None,
            homes: Vec::new(),
            value: None,
        })
    }

    async fn account(&self, _: &ProgramId, account: &AccountId) -> Result<AccountView, Error> {
        self.act().await?;
        Ok(AccountView {
            account: account.clone(),
            kind: AccountKind::Household,
            created_at: at(),
            as_of: at(),
            people: vec![(MemberId::parse("mia").unwrap(), Role::Owner, at())],
            balances: Vec::new(),
            entries: 1,
        })
    }

    async fn referral_tree(&self, _: &ProgramId, member: &MemberId, asked: &Tree) -> Result<TreePage, Error> {
        self.act().await?;
        let child = Child {
            referral: ReferralId::parse("friends:leo").unwrap(),
            campaign: CampaignId::parse("friends").unwrap(),
            friend: AccountId::parse("leo").unwrap(),
            state: ReferralState::Attributed,
            confirmed: true,
            attributed_at: at(),
            qualified_at: None,
            nameless: asked.depth == 2,
            said: (at(), 1),
        };
        let generation = u32::try_from(asked.depth).unwrap();
        let node = Node { generation, parent: Some(AccountId::from(member)), child, brought: asked.limit as u64 };
        Ok((vec![node], asked.token.clone()))
    }

    async fn verify_stats(&self, _: &ProgramId, from: u16) -> Result<StatsProof, Error> {
        self.act().await?;
        let figure = Figure {
            campaign: CampaignId::parse("friends").ok(),
            way: Some(Way::Agent),
            channel: Channel::Others,
            measure: Measure::SignUps,
        };
        let difference = Difference { month: guerdon::domain::time::Day(20_605), figure, kept: 2, folded: 3 };
        Ok(StatsProof {
            accounts: 4,
            entries: 5,
            figures: 6,
            differences: vec![difference; 101],
            moving: 1,
            next: Some(from + 7),
        })
    }

    async fn referrals(
        &self,
        _: &ProgramId,
        _: &MemberId,
        asked: &Referrals,
    ) -> Result<(Vec<ReferralView>, Option<String>), Error> {
        self.act().await?;
        let views = if asked.newest_first { ["b", "a"] } else { ["a", "b"] }.map(in_review);
        Ok((views.into_iter().take(asked.limit).collect(), asked.token.clone()))
    }

    async fn stats(&self, _: &ProgramId, at: Option<Instant>, months: usize) -> Result<StatsView, Error> {
        self.act().await?;
        let friends = CampaignId::parse("friends").unwrap();
        let of = |way, measure| Figure { campaign: Some(friends.clone()), way, channel: Channel::Untold, measure };
        let all = |measure| Figure { campaign: None, way: None, channel: Channel::Untold, measure };
        let mail = Channel::Named(Label::parse("mail").unwrap());
        let touched = |channel: &Channel, measure| Figure { channel: channel.clone(), ..of(None, measure) };
        Ok(StatsView {
            kept: at.is_some(),
            starts_at: Instant(1_000),
            ends_at: Instant(1_000 * i64::try_from(1 + months).unwrap()),
            campaigns: vec![friends.clone()],
            figures: vec![
                (all(Measure::Members), 7),
                (all(Measure::OtherOrders), 8),
                (all(Measure::OtherSpend), 9),
                (of(None, Measure::Cost(guerdon::domain::id::UnitId::points())), 10),
                (of(None, Measure::ReferredOrders), 11),
                (of(None, Measure::ReferredSpend), 12),
                (of(Some(Way::SignUp), Measure::SignUps), 4),
                (Figure { channel: mail.clone(), ..of(Some(Way::SignUp), Measure::SignUps) }, 1),
                (of(Some(Way::SignUp), Measure::Qualified), 2),
                (of(Some(Way::Agent), Measure::SignUps), 1),
                (of(Some(Way::Agent), Measure::Qualified), 1),
                (touched(&mail, Measure::Touches(TouchKind::Share)), 3),
                (touched(&mail, Measure::Touches(TouchKind::Click)), 20),
                (touched(&mail, Measure::Touches(TouchKind::Scan)), 0),
                (touched(&Channel::Others, Measure::Touches(TouchKind::Invite)), 6),
                (touched(&Channel::Others, Measure::TouchesDropped), 9),
            ],
        })
    }

    async fn payouts(&self, _: &ProgramId, _: &MemberId) -> Result<PayoutsView, Error> {
        self.act().await?;
        let payout = |number: u32, state| Payout {
            payout: guerdon::domain::id::PayoutId::parse(&format!("p{number}")).unwrap(),
            number,
            unit: guerdon::domain::id::UnitId::parse("pence").unwrap(),
            currency: Currency::parse("GBP").unwrap(),
            amount: 1_000,
            state,
            prepared_at: at(),
            settled_at: (state != PayoutState::Prepared).then(at),
            reference: None,
            parts: Vec::new(),
        };
        let commission = Commission { pending: 1, due: -2, in_payout: 3, paid: 4, voided: 5 };
        let unit = guerdon::domain::id::UnitId::parse("pence").unwrap();
        Ok(PayoutsView {
            payouts: vec![
                payout(1, PayoutState::Paid),
                payout(2, PayoutState::Failed),
                payout(3, PayoutState::Prepared),
            ],
            commissions: vec![(unit, Currency::parse("GBP").unwrap(), commission)],
        })
    }

    async fn order(&self, _: &ProgramId, member: &MemberId, order: &OrderId) -> Result<OrderView, Error> {
        self.act().await?;
        Ok(OrderView {
            recovery: None,
            amendments: Vec::new(),
            order_id: order.clone(),
            member: member.clone(),
            state: OrderState::Committed,
            currency: Currency::parse("EUR").unwrap(),
            committed_at: at(),
            lines: Vec::new(),
            decided: decided(),
            returns: Vec::new(),
            kind: OrderKind::Ordinary,
            events: Vec::new(),
            claimed_at: None,
        })
    }

    async fn explain(&self, _: &ProgramId, _: &MemberId, _: &OrderId) -> Result<Option<Explanation>, Error> {
        self.act().await?;
        Ok(None)
    }

    async fn referral(&self, _: &ProgramId, _: &ReferralId) -> Result<ReferralView, Error> {
        self.act().await?;
        Err(Error::NotFound { field: "referral_id" })
    }

    async fn weighings(&self, _: &ProgramId, _: &MemberId) -> Result<Vec<WeighingView>, Error> {
        self.act().await?;
        let code = guerdon::domain::id::Code::parse("M1AC00KS").unwrap();
        let (mia, campaign) = (AccountId::parse("mia").unwrap(), CampaignId::parse("friends").unwrap());
        let channel = Some(Label::parse("email").unwrap());
        let seen = TouchSeen { kind: TouchKind::Invite, channel, source: None, at: at() };
        let of = Some((mia.clone(), campaign));
        let findings = Vec::new();
        let outcome = Outcome::Not(Reason::CodeUnknown);
        let named = Considered { code: None, of: None, touch: None, outcome, findings: findings.clone() };
        let touched =
            Considered { code: Some(code), of, touch: Some(seen), outcome: Outcome::Counts(1_000_000), findings };
        let model = ModelSays { model: CreditModel::Linear, in_force: true, credits: vec![(mia, 1_000_000)] };
        let weighing = Weighing {
            via: Via::SignUp,
            considered: vec![named, touched],
            models: vec![model],
            referral: Some(ReferralId::parse("friends:ben").unwrap()),
        };
        let version = ProgramVersion("0123456789abcdef".into());
        let stands = Some((ReferralState::Rejected, Some(RejectedFor::Circle)));
        Ok(vec![WeighingView { effective_at: at(), version, request: None, weighing, stands }])
    }

    async fn reviews(
        &self,
        _: &ProgramId,
        after: Option<(Instant, ReferralId)>,
        limit: usize,
    ) -> Result<Vec<ReferralView>, Error> {
        self.act().await?;
        let first = after.is_none();
        let names = if first { ["ben", "cat", "dan"].as_slice() } else { &["eve"] };
        Ok(names.iter().take(limit).map(|name| in_review(name)).collect())
    }

    async fn code(&self, _: &ProgramId, code: &guerdon::domain::id::Code) -> Result<CodeView, Error> {
        self.act().await?;
        let owner = CodeOwner {
            account: AccountId::from(&MemberId::parse("mia").unwrap()),
            campaign: CampaignId::parse("friends").unwrap(),
            state: CodeState::Active,
            revision: 1,
            expires_at: Instant::MAX,
            uses_max: None,
        };
        Ok(CodeView { code: code.clone(), owner, uses_max: Some(10), campaign_over: false })
    }

    async fn draw(&self, _: &ProgramId, _: &DrawId) -> Result<DrawView, Error> {
        self.act().await?;
        Err(Error::NotFound { field: "draw_id" })
    }

    async fn entries(
        &self,
        _: &ProgramId,
        _: &MemberId,
        asked: &Entries,
    ) -> Result<(Vec<EntryView>, Option<String>), Error> {
        self.act().await?;
        self.pages.lock().unwrap().push((asked.token.clone(), asked.limit));
        Ok((Vec::new(), Some("next".into())))
    }

    async fn tickets(&self, _: &ProgramId, _: &DrawId, after: u64, _: usize) -> Result<Vec<TicketView>, Error> {
        self.act().await?;
        let position = after + 1;
        Ok(vec![TicketView { position, number: 7, digest: [0xab; 32], back: false, ticket: None, prize: None }])
    }

    async fn leaderboard(
        &self,
        _: &ProgramId,
        _: &BoardId,
        _: Option<Instant>,
        member: Option<&MemberId>,
    ) -> Result<BoardView, Error> {
        self.act().await?;
        let own = member.map(|_| OwnPlace { score: 5, rank: None, hidden: false });
        Ok(BoardView {
            title: "Of the month".into(),
            starts_at: None,
            ends_at: None,
            as_of: at(),
            places: Vec::new(),
            own,
        })
    }

    async fn notices(&self, _: &ProgramId, after: u64, _: usize) -> Result<Vec<NoticeView>, Error> {
        self.act().await?;
        let (occasion_at, noticed_at) = (Instant(1_800_000_000_000), Instant(1_799_395_200_000));
        let (member, rule) = (MemberId::parse("mia").unwrap(), guerdon::domain::id::RuleId::parse("cake").unwrap());
        Ok(vec![NoticeView { position: after + 1, member, rule, occasion_at, noticed_at }])
    }

    async fn audit(&self, _: &ProgramId, asked: &AuditEntries) -> Result<(Vec<AuditView>, Option<String>), Error> {
        self.act().await?;
        self.audits.lock().unwrap().push(asked.clone());
        let plain = AuditView {
            position: 7,
            recorded_at: Instant(1_767_225_600_500),
            decided_at: at(),
            principal: "help-desk".into(),
            agent: None,
            method: "guerdon.v1.MemberService/Erase".into(),
            request: RequestId::parse("r-1").unwrap(),
            member: MemberId::parse("mia").unwrap(),
            account: AccountId::parse("home").unwrap(),
            reason: None,
            reason_code: None,
            note: None,
            refused_for: Vec::new(),
        };
        let full = AuditView {
            position: 8,
            agent: Some(Label::parse("zoe").unwrap()),
            reason: Some(AdjustReason::Migration),
            reason_code: Some(Label::parse("known-family").unwrap()),
            note: Some("for the long wait".into()),
            refused_for: vec![Reason::MemberErased, Reason::DailyLimit],
            ..plain.clone()
        };
        Ok((vec![plain, full], Some("9".into())))
    }

    async fn verify(&self, _: &ProgramId, _: &MemberId) -> Result<VerifyView, Error> {
        self.act().await?;
        Ok(VerifyView { entries: 3, from_sequence: 1, head: Some([0xAB; 32]), orders: 1, faults: Vec::new() })
    }

    async fn end_day(&self, through: Instant) -> Result<(u64, u64), Error> {
        self.act().await?;
        self.days.lock().unwrap().push(through);
        Ok((2, 3))
    }
}

/// A referral that waits for a review.
fn in_review(friend: &str) -> ReferralView {
    let mia = AccountId::parse("mia").unwrap();
    let finding = Finding { suspicion: Suspicion::Velocity, action: Action::Flag, advocate: mia.clone(), hops: 1 };
    let decided = Some(fraud::Decided {
        agent: Label::parse("agent-7").unwrap(),
        reason: Label::parse("known-family").unwrap(),
        forced: true,
        at: at(),
    });
    let review = Review {
        opened_at: at(),
        due_at: Instant(1_800_000_000_000),
        friend: Some(SideState::Approved),
        advocate: Some(SideState::Open),
        decided,
        released: false,
    };
    let referral = Referral {
        referral: ReferralId::parse(&format!("friends:{friend}")).unwrap(),
        campaign: CampaignId::parse("friends").unwrap(),
        code: guerdon::domain::id::Code::parse("M1AC00KS").unwrap(),
        advocate: mia,
        via: Via::Touch,
        channel: Label::parse("email").ok(),
        state: ReferralState::Qualified,
        confirmed: true,
        attributed_at: at(),
        qualify_by: Instant::MAX,
        qualified_at: Some(at()),
        qualified_by: None,
        rejected_for: None,
        paid: false,
        friend: None,
        advocate_grant: None,
        owed: Vec::new(),
        sharers: Vec::new(),
        findings: vec![finding],
        review: Some(review),
    };
    ReferralView { referral, friend: AccountId::parse(friend).unwrap(), rewards: Vec::new() }
}

pub(crate) fn at() -> Instant {
    Instant(1_767_225_600_123)
}

pub(crate) fn decided() -> Decided {
    Decided::empty(ProgramVersion("0123456789abcdef".into()), at())
}

/// An answer of the kind that the command asks for.
fn fitting(command: &Command) -> Answer {
    let decided = decided();
    let balances = Vec::new();
    match command {
        Command::Enroll(_) => Answer::Enroll(EnrollAnswer { enrolled: true, decided, balances }),
        Command::Reserve(_) => Answer::Reserve(ReserveAnswer { reserved: true, reservation: None, decided }),
        Command::Commit(_) => Answer::Commit(CommitAnswer { status: CommitStatus::Committed, decided, balances }),
        Command::Release(_) => {
            Answer::Release(ReleaseAnswer { released: true, reservation: None, refusals: Vec::new() })
        }
        Command::Return(_) => Answer::Return(ReturnAnswer {
            status: ReturnStatus::Applied,
            decided,
            refund: None,
            order_state: Some(OrderState::Returned),
            balances,
        }),
        Command::Amend(_) => Answer::Amend(AmendAnswer {
            status: ReturnStatus::Applied,
            decided,
            refund: None,
            due_minor: 0,
            order_state: Some(OrderState::Committed),
            balances,
        }),
        Command::Adjust(_) => Answer::Adjust(AdjustAnswer { adjusted: true, decided, balances }),
        Command::CreateCode(_) => {
            Answer::CreateCode(CreateCodeAnswer { code: None, created: true, refusals: Vec::new() })
        }
        Command::UpdateCode(_) => Answer::UpdateCode(UpdateCodeAnswer { changed: true, refusals: Vec::new() }),
        Command::Attribute(_) => Answer::Attribute(AttributeAnswer { attributed: true, decided }),
        Command::RecordEvent(_) => Answer::RecordEvent(EventAnswer { changed: true, state: None, decided, balances }),
        Command::ReviewEvent(_) => Answer::ReviewEvent(EventAnswer { changed: true, state: None, decided, balances }),
        Command::RevokeEvent(_) => Answer::RevokeEvent(EventAnswer { changed: true, state: None, decided, balances }),
        Command::UpdateMember(_) => Answer::UpdateMember(UpdateMemberAnswer { updated: true, decided }),
        Command::Claim(_) => Answer::Claim(ClaimAnswer {
            status: ClaimStatus::Claimed,
            decided,
            order_state: Some(OrderState::Committed),
            balances,
        }),
        Command::OrderEvent(_) => Answer::OrderEvent(OrderEventAnswer {
            status: OrderEventStatus::Recorded,
            decided,
            order_state: Some(OrderState::Committed),
            balances,
        }),
        Command::Extend(_) => Answer::Extend(AdjustAnswer { adjusted: true, decided, balances }),
        Command::Reinstate(_) => Answer::Reinstate(AdjustAnswer { adjusted: true, decided, balances }),
        Command::SetTier(_) => Answer::SetTier(SetTierAnswer { set: true, decided }),
        Command::Relocate(_) | Command::Depart(_) => {
            let kind = MoveKind::Merge;
            Answer::Move(MoveAnswer { kind, moved: true, decided, account: None, balances })
        }
        Command::Erase => Answer::Erase(EraseAnswer { erased: true, decided }),
        Command::Send(_) => Answer::Send(SendAnswer { sent: true, decided, balances }),
        Command::CreateAccount(_) => Answer::CreateAccount(CreateAccountAnswer { created: true, decided }),
        Command::SetRole(_) => Answer::SetRole(SetRoleAnswer { set: true, decided }),
        Command::RedeemReward(_) => {
            Answer::RedeemReward(VoucherAnswer { changed: true, voucher: None, decided, balances })
        }
        Command::FulfilVoucher(_) => {
            Answer::FulfilVoucher(VoucherAnswer { changed: true, voucher: None, decided, balances })
        }
        Command::CancelVoucher(_) => {
            Answer::CancelVoucher(VoucherAnswer { changed: true, voucher: None, decided, balances })
        }
        Command::ReviewReward(_) => Answer::ReviewReward(ReviewAnswer { changed: true, decided }),
        Command::RecordTouch(_) => Answer::Touch(TouchAnswer { recorded: true, dropped: None, refusals: Vec::new() }),
        Command::PreparePayout(_) => {
            Answer::PreparePayout(PayoutAnswer { changed: true, payout: None, decided, balances })
        }
        Command::ConfirmPayout(_) => {
            Answer::ConfirmPayout(PayoutAnswer { changed: true, payout: None, decided, balances })
        }
        Command::Catalogue(_) => Answer::Catalogue(CatalogueAnswer { offers: Vec::new(), prices: Vec::new(), decided }),
        Command::Receive(_)
        | Command::Advance
        | Command::Announce(_)
        | Command::Take(_)
        | Command::SettleReferral(_) => {
            panic!("no caller sends {command:?}")
        }
    }
}

/// Writes down what it is told.
#[derive(Default)]
pub(crate) struct Watcher {
    pub(crate) finished: Mutex<Vec<(&'static str, Code)>>,
    pub(crate) refused: Mutex<Vec<Reason>>,
}

impl Observer for Watcher {
    fn call_finished(&self, method: &'static str, code: Code, _: Duration) {
        self.finished.lock().unwrap().push((method, code));
    }

    fn refused(&self, reason: Reason) {
        self.refused.lock().unwrap().push(reason);
    }
}

pub(crate) fn options(watcher: &Arc<Watcher>) -> grpc::Options {
    let access = Arc::new(Access::development());
    grpc::Options {
        deadline_default: Duration::from_secs(30),
        observer: watcher.clone(),
        access,
        gate: Arc::new(grpc::OpenGate),
        told: guerdon::app::told(100, 10),
    }
}

pub(crate) fn routes(fake: &Arc<Fake>) -> Routes {
    grpc::routes(fake.clone(), &options(&Arc::default()))
}

/// A request of the contract, and how it is sent to its method without a network between.
pub(crate) trait Rpc: prost::Message + Clone + std::fmt::Debug + 'static {
    type Response;

    async fn send(self, routes: Routes) -> Result<Self::Response, Status>;
}

macro_rules! rpc {
    ($($request:ident, $response:ident, $client:ident, $method:ident;)*) => {$(
        impl Rpc for wire::$request {
            type Response = wire::$response;

            async fn send(self, routes: Routes) -> Result<wire::$response, Status> {
                Ok($client::new(routes).$method(self).await?.into_inner())
            }
        }
    )*};
}

rpc! {
    QuoteRequest, QuoteResponse, CheckoutServiceClient, quote;
    ReserveRequest, ReserveResponse, CheckoutServiceClient, reserve;
    CommitRequest, CommitResponse, CheckoutServiceClient, commit;
    ReleaseRequest, ReleaseResponse, CheckoutServiceClient, release;
    QuoteReturnRequest, QuoteReturnResponse, CheckoutServiceClient, quote_return;
    ReturnRequest, ReturnResponse, CheckoutServiceClient, r#return;
    GetOrderRequest, GetOrderResponse, CheckoutServiceClient, get_order;
    GetOutcomeRequest, GetOutcomeResponse, CheckoutServiceClient, get_outcome;
    EnrollRequest, EnrollResponse, MemberServiceClient, enroll;
    GetMemberRequest, GetMemberResponse, MemberServiceClient, get_member;
    UpdateMemberRequest, UpdateMemberResponse, MemberServiceClient, update_member;
    RecordEventRequest, RecordEventResponse, MemberServiceClient, record_event;
    ReviewEventRequest, ReviewEventResponse, MemberServiceClient, review_event;
    RevokeEventRequest, RevokeEventResponse, MemberServiceClient, revoke_event;
    AmendOrderRequest, AmendOrderResponse, CheckoutServiceClient, amend_order;
    ClaimOrderRequest, ClaimOrderResponse, CheckoutServiceClient, claim_order;
    RecordOrderEventRequest, RecordOrderEventResponse, CheckoutServiceClient, record_order_event;
    ExtendExpiryRequest, ExtendExpiryResponse, MemberServiceClient, extend_expiry;
    ReinstateRequest, ReinstateResponse, MemberServiceClient, reinstate;
    SetTierRequest, SetTierResponse, MemberServiceClient, set_tier;
    MergeRequest, MergeResponse, MemberServiceClient, merge;
    UnmergeRequest, UnmergeResponse, MemberServiceClient, unmerge;
    EraseRequest, EraseResponse, MemberServiceClient, erase;
    TransferRequest, TransferResponse, MemberServiceClient, transfer;
    CreateAccountRequest, CreateAccountResponse, AccountServiceClient, create_account;
    GetAccountRequest, GetAccountResponse, AccountServiceClient, get_account;
    JoinAccountRequest, JoinAccountResponse, AccountServiceClient, join_account;
    LeaveAccountRequest, LeaveAccountResponse, AccountServiceClient, leave_account;
    SetRoleRequest, SetRoleResponse, AccountServiceClient, set_role;
    AdjustRequest, AdjustResponse, MemberServiceClient, adjust;
    ListEntriesRequest, ListEntriesResponse, MemberServiceClient, list_entries;
    CreateCodeRequest, CreateCodeResponse, ReferralServiceClient, create_code;
    AttributeRequest, AttributeResponse, ReferralServiceClient, attribute;
    UpdateCodeRequest, UpdateCodeResponse, ReferralServiceClient, update_code;
    GetCodeRequest, GetCodeResponse, ReferralServiceClient, get_code;
    ListReferralsRequest, ListReferralsResponse, ReferralServiceClient, list_referrals;
    GetReferralTreeRequest, GetReferralTreeResponse, ReferralServiceClient, get_referral_tree;
    VerifyStatsRequest, VerifyStatsResponse, ReferralServiceClient, verify_stats;
    GetStatsRequest, GetStatsResponse, ReferralServiceClient, get_stats;
    GetReferralRequest, GetReferralResponse, ReferralServiceClient, get_referral;
    RecordTouchRequest, RecordTouchResponse, ReferralServiceClient, record_touch;
    ReviewRewardRequest, ReviewRewardResponse, ReferralServiceClient, review_reward;
    ListReviewsRequest, ListReviewsResponse, ReferralServiceClient, list_reviews;
    ExplainAttributionRequest, ExplainAttributionResponse, ReferralServiceClient, explain_attribution;
    PreparePayoutRequest, PreparePayoutResponse, PayoutServiceClient, prepare_payout;
    ConfirmPayoutRequest, ConfirmPayoutResponse, PayoutServiceClient, confirm_payout;
    ListPayoutsRequest, ListPayoutsResponse, PayoutServiceClient, list_payouts;
    GetLeaderboardRequest, GetLeaderboardResponse, MemberServiceClient, get_leaderboard;
    ListRewardsRequest, ListRewardsResponse, RewardServiceClient, list_rewards;
    RedeemRequest, RedeemResponse, RewardServiceClient, redeem;
    FulfilVoucherRequest, FulfilVoucherResponse, RewardServiceClient, fulfil_voucher;
    CancelVoucherRequest, CancelVoucherResponse, RewardServiceClient, cancel_voucher;
    ListDrawTicketsRequest, ListDrawTicketsResponse, RewardServiceClient, list_draw_tickets;
    ListNoticesRequest, ListNoticesResponse, LedgerServiceClient, list_notices;
    ListAuditEntriesRequest, ListAuditEntriesResponse, LedgerServiceClient, list_audit_entries;
    VerifyMemberRequest, VerifyMemberResponse, LedgerServiceClient, verify_member;
    EndDayRequest, EndDayResponse, SimulationServiceClient, end_day;
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The paths of the fields that an error calls malformed, in its order.
pub(crate) fn paths(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!((info.domain.as_str(), info.reason.as_str()), ("guerdon.v1", "REQUEST_MALFORMED"));
    let bad = details.bad_request().expect("a BadRequest");
    assert!(bad.field_violations.iter().all(|violation| !violation.description.is_empty()), "{bad:?}");
    bad.field_violations.iter().map(|violation| violation.field.clone()).collect()
}

pub(crate) fn timestamp(seconds: i64, nanos: i32) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos })
}

pub(crate) fn line(line_id: &str) -> wire::Line {
    wire::Line {
        line_id: line_id.into(),
        sku: "RYE-1".into(),
        categories: vec!["bread".into(), "Käse & Brot".into()],
        brand: "Marlow".into(),
        quantity: 2,
        amount_minor: 760,
        list_amount_minor: Some(800),
        lowest_prior_amount_minor: Some(650),
        tax_minor: 50,
        collections: Vec::new(),
        labels: Vec::new(),
        kind: wire::LineKind::Goods.into(),
        seller: String::new(),
    }
}

pub(crate) fn order() -> wire::Order {
    wire::Order {
        order_id: "o-1".into(),
        currency_code: "EUR".into(),
        channel: "web".into(),
        store_id: "north".into(),
        time_zone: "Europe/Berlin".into(),
        prices_include_tax: true,
        lines: vec![line("1"), line("2")],
        kind: wire::OrderKind::Renewal.into(),
        coupons: vec!["SPRING".into()],
        payment_methods: vec!["card".into()],
        recipient_member_id: "leo".into(),
    }
}

pub(crate) fn redeem() -> wire::Redeem {
    wire::Redeem {
        mode: wire::RedeemMode::AsPossible.into(),
        pay_with_units: Some(wire::PayWithUnits {
            unit: "points".into(),
            amount: Some(wire::pay_with_units::Amount::Exactly(100)),
        }),
        reward_ids: vec!["free-coffee".into()],
        voucher_ids: vec!["mia:card:coffee:1".into()],
    }
}

pub(crate) fn quote() -> wire::QuoteRequest {
    wire::QuoteRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        order: Some(order()),
        redeem: Some(redeem()),
        codes: vec!["ABCD-1234".into()],
        occurred_at: timestamp(1_767_225_600, 123_999_999),
        explain: true,
        list_rewards: false,
        visitor_id: "v-1".into(),
        signals: None,
    }
}

pub(crate) fn reserve() -> wire::ReserveRequest {
    wire::ReserveRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        order: Some(order()),
        redeem: Some(redeem()),
        ttl_seconds: Some(600),
        occurred_at: timestamp(1_767_225_600, 0),
        explain: false,
        quote_token: "c0ffee".into(),
    }
}

pub(crate) fn commit() -> wire::CommitRequest {
    wire::CommitRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        order: Some(order()),
        redeem: Some(redeem()),
        codes: vec!["ABCD-1234".into()],
        occurred_at: timestamp(1_767_225_600, 0),
        paid: true,
        tenders: vec![wire::Tender { tender_id: "card-1".into(), amount_minor: 1_420, method: "visa".into() }],
        explain: false,
        quote_token: "c0ffee".into(),
        visitor_id: "v-1".into(),
        signals: None,
    }
}

pub(crate) fn release() -> wire::ReleaseRequest {
    wire::ReleaseRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        order_id: "o-1".into(),
        occurred_at: None,
    }
}

pub(crate) fn what() -> wire::ReturnWhat {
    let line = |line_id: &str, measure| wire::ReturnLine { line_id: line_id.into(), measure: Some(measure) };
    wire::ReturnWhat {
        everything: false,
        lines: vec![
            line("1", wire::return_line::Measure::Quantity(1)),
            line("2", wire::return_line::Measure::AmountMinor(5)),
        ],
    }
}

pub(crate) fn quote_return() -> wire::QuoteReturnRequest {
    wire::QuoteReturnRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        order_id: "o-1".into(),
        what: Some(what()),
        cause: 0,
        occurred_at: None,
    }
}

pub(crate) fn give_back() -> wire::ReturnRequest {
    wire::ReturnRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        order_id: "o-1".into(),
        return_id: "b-1".into(),
        what: Some(what()),
        cause: 0,
        occurred_at: None,
    }
}

pub(crate) fn amend_order() -> wire::AmendOrderRequest {
    wire::AmendOrderRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        order_id: "o-1".into(),
        amendment_id: "a-1".into(),
        remove: what().lines,
        add: vec![wire::Line { line_id: "9".into(), quantity: 1, amount_minor: 250, ..wire::Line::default() }],
        redeem: None,
        tenders: vec![wire::Tender { tender_id: "card".into(), amount_minor: 250, method: String::new() }],
        occurred_at: None,
    }
}

pub(crate) fn get_order() -> wire::GetOrderRequest {
    wire::GetOrderRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        order_id: "o-1".into(),
        explain: false,
    }
}

pub(crate) fn get_outcome() -> wire::GetOutcomeRequest {
    wire::GetOutcomeRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        fence: false,
        guest_order_id: String::new(),
    }
}

pub(crate) fn enroll() -> wire::EnrollRequest {
    wire::EnrollRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        codes: vec!["ABCD-1234".into()],
        occurred_at: None,
        profile: None,
        visitor_id: "v-1".into(),
        signals: None,
    }
}

pub(crate) fn change() -> wire::ProfileChange {
    let attribute = |name: &str, value| wire::Attribute { name: name.into(), value: Some(value) };
    wire::ProfileChange {
        set_attributes: vec![
            attribute("children", wire::attribute::Value::IntValue(2)),
            attribute("pet", wire::attribute::Value::TextValue("cat".into())),
        ],
        clear_attributes: vec!["car".into()],
        add_tags: vec!["vip".into()],
        remove_tags: vec!["new".into()],
        add_segments: vec!["city".into()],
        remove_segments: vec!["country".into()],
        birthday: Some(wire::Birthday { month: 2, day: 29, year: 0 }),
        clear_birthday: false,
        time_zone: "Europe/Berlin".into(),
        clear_time_zone: false,
        leaderboard_opt_out: Some(true),
    }
}

pub(crate) fn update_member() -> wire::UpdateMemberRequest {
    wire::UpdateMemberRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        change: Some(change()),
        occurred_at: None,
        signals: None,
    }
}

pub(crate) fn record_event() -> wire::RecordEventRequest {
    wire::RecordEventRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        event_id: "post-9".into(),
        event_type: "post".into(),
        value: Some(3),
        attributes: change().set_attributes,
        proof_id: "https://example.com/9".into(),
        occurred_at: timestamp(1_767_225_600, 0),
        recipient_member_id: "leo".into(),
    }
}

pub(crate) fn review_event() -> wire::ReviewEventRequest {
    wire::ReviewEventRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        event_id: "post-9".into(),
        verdict: wire::EventVerdict::Approve.into(),
        agent_id: "agent-7".into(),
    }
}

pub(crate) fn revoke_event() -> wire::RevokeEventRequest {
    wire::RevokeEventRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        event_id: "post-9".into(),
        agent_id: "agent-7".into(),
    }
}

pub(crate) fn set_tier() -> wire::SetTierRequest {
    wire::SetTierRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        ladder: "vip".into(),
        level: "gold".into(),
        until: timestamp(1_800_000_000, 0),
        reason: wire::AdjustReason::Goodwill.into(),
        agent_id: "agent-7".into(),
        occurred_at: None,
    }
}

pub(crate) fn get_member() -> wire::GetMemberRequest {
    wire::GetMemberRequest { program_id: "bakery".into(), member_id: "mia".into() }
}

pub(crate) fn adjust() -> wire::AdjustRequest {
    wire::AdjustRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        unit: String::new(),
        amount: 50,
        reason: wire::AdjustReason::Goodwill.into(),
        agent_id: "agent-7".into(),
        note: "the bread was stale".into(),
        expires_at: timestamp(1_800_000_000, 0),
        occurred_at: None,
        order_id: String::new(),
    }
}

pub(crate) fn list_entries() -> wire::ListEntriesRequest {
    wire::ListEntriesRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        page_size: 0,
        page_token: String::new(),
        from: None,
        until: None,
        period_of: 0,
    }
}

pub(crate) fn create_code() -> wire::CreateCodeRequest {
    wire::CreateCodeRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        campaign_id: "friends".into(),
        vanity: "mia-cooks".into(),
        occurred_at: None,
        label: "video".into(),
        expires_at: timestamp(1_800_000_000, 0),
        uses_max: 3,
    }
}

pub(crate) fn attribute() -> wire::AttributeRequest {
    wire::AttributeRequest {
        program_id: "bakery".into(),
        member_id: "ben".into(),
        request_id: "r-1".into(),
        code: "MIA-C00KS".into(),
        occurred_at: None,
        agent_id: String::new(),
        signals: None,
    }
}

pub(crate) fn update_code() -> wire::UpdateCodeRequest {
    wire::UpdateCodeRequest {
        program_id: "bakery".into(),
        member_id: "mia".into(),
        request_id: "r-1".into(),
        code: "MIA-C00KS".into(),
        state: wire::CodeState::Blocked.into(),
        agent_id: "agent-7".into(),
        occurred_at: None,
    }
}

pub(crate) fn record_touch() -> wire::RecordTouchRequest {
    wire::RecordTouchRequest {
        program_id: "bakery".into(),
        visitor_id: "v-1".into(),
        request_id: "r-1".into(),
        kind: wire::TouchKind::Scan.into(),
        code: "MIA-C00KS".into(),
        channel: "email".into(),
        source: "spring letter".into(),
        user_agent: "Mozilla/5.0".into(),
        occurred_at: None,
    }
}

pub(crate) fn review_reward() -> wire::ReviewRewardRequest {
    wire::ReviewRewardRequest {
        program_id: "bakery".into(),
        member_id: "ben".into(),
        request_id: "r-1".into(),
        referral_id: "friends:ben".into(),
        side: wire::ReferralSide::Advocate.into(),
        verdict: wire::ReviewVerdict::Approve.into(),
        force: true,
        agent_id: "agent-7".into(),
        reason_code: "known-family".into(),
    }
}

pub(crate) fn list_reviews() -> wire::ListReviewsRequest {
    wire::ListReviewsRequest { program_id: "bakery".into(), page_size: 0, page_token: String::new() }
}

pub(crate) fn signals() -> wire::Signals {
    wire::Signals {
        email: "mia@example.org".into(),
        phone: "+44 20 7946 0018".into(),
        device_id: "d-1".into(),
        payment_instrument: "fp-1".into(),
        address: "1 High Street".into(),
        ip: "192.0.2.7".into(),
        user_agent: "Firefox".into(),
        referrer: "blog.example".into(),
    }
}

pub(crate) fn explain_attribution() -> wire::ExplainAttributionRequest {
    wire::ExplainAttributionRequest { program_id: "bakery".into(), member_id: "ben".into() }
}

pub(crate) fn get_referral() -> wire::GetReferralRequest {
    wire::GetReferralRequest { program_id: "bakery".into(), referral_id: "friends:ben".into() }
}

pub(crate) fn verify_member() -> wire::VerifyMemberRequest {
    wire::VerifyMemberRequest { program_id: "bakery".into(), member_id: "mia".into() }
}

pub(crate) fn end_day() -> wire::EndDayRequest {
    wire::EndDayRequest { through: timestamp(1_767_225_600, 0) }
}
