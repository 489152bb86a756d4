//! Real servers for tests: the gRPC face over a real service, on a loopback port, with clients.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy's own exemption does not reach functions that tests share"
)]

use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guerdon::access::Access;
use guerdon::clock::Clock;
use guerdon::domain::answer::Reason;
use guerdon::domain::time::Instant;
use guerdon::grpc;
use guerdon::grpc::wire::account_service_client::AccountServiceClient;
use guerdon::grpc::wire::checkout_service_client::CheckoutServiceClient;
use guerdon::grpc::wire::ledger_service_client::LedgerServiceClient;
use guerdon::grpc::wire::member_service_client::MemberServiceClient;
use guerdon::grpc::wire::payout_service_client::PayoutServiceClient;
use guerdon::grpc::wire::referral_service_client::ReferralServiceClient;
use guerdon::grpc::wire::reward_service_client::RewardServiceClient;
use guerdon::grpc::wire::{self, get_outcome_response};
use guerdon::service::meter::Meter;
use guerdon::service::{Options, Service, Source};
use guerdon::store::embedded::EmbeddedStore;
use guerdon::store::memory::MemoryStore;
use guerdon::store::redis::{RedisSettings, RedisStore};
use guerdon::store::{Layout, Store};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::redis::RedisServer;

/// 2026-06-01T00:00:00Z, when the tests begin.
pub const BEGIN: Instant = Instant(1_780_272_000_000);
pub const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// One point for each euro, twice that for cake, 100 for joining. A point pays a cent. A friend who spends twenty
/// euros brings 250 points to the advocate and 100 to themselves.
pub const PROGRAM: &str = r#"
guerdon: 1
program: club
title: The club of the tests
time_zone: UTC
currencies: [EUR]
units:
  points:
    expires_after: 60 days
  crumbs: {}
rules:
  - id: base
    kind: transactional
    on: order
    then:
      earn: {units: 1, unit: points, per: EUR 1.00, rounding: floor, round_per: order}
  - id: cake
    kind: behavioural
    on: order
    lines:
      categories: [cake]
    then:
      multiply: {unit: points, by: 2}
  - id: bread
    kind: behavioural
    on: order
    lines:
      categories: [bread]
    then:
      earn: {units: 3, unit: crumbs, per: EUR 2.50, rounding: half_up, round_per: line}
  - id: welcome
    kind: emotional
    on: enrolment
    then:
      bonus: {units: 100, unit: points}
pay_with:
  points:
    units: 1
    worth: EUR 0.01
    step: 1
    units_min: 1
    share_max: 100%
rewards:
  - id: three-off
    title: 3 off
    gives:
      amount_off: EUR 3.00
    price: {units: 50, unit: points}
    spend_at_least: EUR 8.00
referrals:
  - id: friends
    title: Bring a friend
    attribute_at: both
    spend_at_least: EUR 20.00
    qualify_within: 30 days
    advocate: {units: 250, unit: points}
    friend: {units: 100, unit: points}
    claw_back: true
reservations:
  ttl_default: 15 minutes
  ttl_max: 2 hours
returns:
  shortfall: debt
  lapsed_grace: 30 days
"#;

/// Few partitions, so that walks are short.
pub fn layout() -> Layout {
    Layout::new(16).unwrap()
}

/// Bounds for tests: jobs look often.
pub fn options() -> Options {
    Options {
        relay_interval: Duration::from_millis(20),
        sweep_interval: Duration::from_millis(20),
        ..Options::default()
    }
}

/// Where stores come from: one deployment's data, and the clock that its servers go by.
pub trait World: Sized + Send + Sync + 'static {
    fn start() -> Self;

    fn clock(&self) -> &Clock;

    /// A store on the world's data; for Redis one with connections of its own.
    fn store(&self) -> Arc<dyn Store>;

    /// A server with jobs on a store of its own.
    fn serve(&self) -> impl Future<Output = Server> + Send {
        Server::start(self.store(), self.clock(), options())
    }

    /// A server without jobs, for a program with further sections.
    fn serve_with(&self, sections: &str) -> impl Future<Output = Server> + Send {
        let program = format!("{PROGRAM}{sections}");
        async move { Server::start_idle_with(self.store(), self.clock(), options(), &program).await }
    }

    /// A server without relay and sweeper: what only they do does not happen.
    fn serve_idle(&self) -> impl Future<Output = Server> + Send {
        Server::start_idle(self.store(), self.clock(), options())
    }
}

pub struct MemoryWorld {
    clock: Clock,
    store: Arc<MemoryStore>,
}

impl World for MemoryWorld {
    fn start() -> MemoryWorld {
        let clock = Clock::manual(BEGIN);
        let store = Arc::new(MemoryStore::new(clock.for_store()));
        MemoryWorld { clock, store }
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }
}

pub struct EmbeddedWorld {
    clock: Clock,
    store: Arc<EmbeddedStore>,
    _directory: TempDir,
}

impl World for EmbeddedWorld {
    fn start() -> EmbeddedWorld {
        let clock = Clock::manual(BEGIN);
        let directory = TempDir::new().unwrap();
        let store = open_embedded(directory.path(), &clock);
        EmbeddedWorld { clock, store, _directory: directory }
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The file takes one owner: two servers in one process share it.
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }
}

fn open_embedded(directory: &Path, clock: &Clock) -> Arc<EmbeddedStore> {
    Arc::new(EmbeddedStore::open(&directory.join("guerdon.db"), layout(), clock.for_store()).unwrap())
}

pub struct RedisWorld {
    clock: Clock,
    pub server: RedisServer,
}

impl RedisWorld {
    pub fn on(server: RedisServer) -> RedisWorld {
        RedisWorld { clock: Clock::manual(BEGIN), server }
    }
}

impl World for RedisWorld {
    fn start() -> RedisWorld {
        RedisWorld::on(RedisServer::start())
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn store(&self) -> Arc<dyn Store> {
        connect(&self.server)
    }
}

/// Patient, for the machine may be busy.
pub fn connect(server: &RedisServer) -> Arc<RedisStore> {
    let settings =
        RedisSettings { connect_timeout_ms: 10_000, response_timeout_ms: 10_000, ..RedisSettings::new(server.url()) };
    Arc::new(RedisStore::connect(settings, layout()).unwrap())
}

/// Counts what the service reports.
#[derive(Default)]
pub struct Counts {
    pub conflicts: AtomicU64,
    pub resent: AtomicU64,
    pub relayed: AtomicU64,
    pub parked: AtomicU64,
    pub swept: AtomicU64,
}

impl Meter for Counts {
    fn conflict(&self) {
        self.conflicts.fetch_add(1, Ordering::Relaxed);
    }

    fn resent(&self) {
        self.resent.fetch_add(1, Ordering::Relaxed);
    }

    fn relayed(&self, _lag_ms: i64) {
        self.relayed.fetch_add(1, Ordering::Relaxed);
    }

    fn parked(&self) {
        self.parked.fetch_add(1, Ordering::Relaxed);
    }

    fn swept(&self, _lag_ms: i64) {
        self.swept.fetch_add(1, Ordering::Relaxed);
    }
}

struct Unobserved;

impl grpc::Observer for Unobserved {
    fn call_finished(&self, _method: &'static str, _code: Code, _took: Duration) {}

    fn refused(&self, _reason: Reason) {}
}

/// One running server and its clients. Ends when dropped.
pub struct Server {
    pub clients: Clients,
    pub service: Service,
    pub counts: Arc<Counts>,
    stop: CancellationToken,
}

impl Server {
    pub async fn start(store: Arc<dyn Store>, clock: &Clock, options: Options) -> Server {
        let server = Server::start_idle(store, clock, options).await;
        server.service.start_jobs();
        server
    }

    pub async fn start_idle(store: Arc<dyn Store>, clock: &Clock, options: Options) -> Server {
        Server::start_idle_with(store, clock, options, PROGRAM).await
    }

    /// Serves another version of the program.
    pub async fn start_idle_with(store: Arc<dyn Store>, clock: &Clock, options: Options, program: &str) -> Server {
        let counts = Arc::new(Counts::default());
        let sources = vec![Source::compile(program).unwrap()];
        let told = guerdon::app::told(options.writes_max, options.writes_per_account_max);
        let service = Service::new(store, layout(), clock.clone(), sources, options, counts.clone());
        service.publish().await.unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let options = grpc::Options {
            deadline_default: Duration::from_secs(30),
            observer: Arc::new(Unobserved),
            access: Arc::new(Access::development()),
            gate: Arc::new(grpc::OpenGate),
            told,
        };
        let routes = grpc::routes(Arc::new(service.clone()), &options);
        let serving = tonic::transport::Server::builder().add_routes(routes).serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            stop.clone().cancelled_owned(),
        );
        #[allow(clippy::disallowed_methods, reason = "ends with the test, which drains nothing")]
        tokio::spawn(serving);
        Server { clients: Clients::connect(&format!("http://{address}")).await, service, counts, stop }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Clients of one server, over one connection.
#[derive(Clone)]
pub struct Clients {
    pub channel: Channel,
    pub checkout: CheckoutServiceClient<Channel>,
    pub member: MemberServiceClient<Channel>,
    pub referral: ReferralServiceClient<Channel>,
    pub rewards: RewardServiceClient<Channel>,
    pub payouts: PayoutServiceClient<Channel>,
    pub ledger: LedgerServiceClient<Channel>,
    pub account: AccountServiceClient<Channel>,
}

impl Clients {
    pub async fn connect(url: &str) -> Clients {
        Clients::over(Endpoint::from_shared(url.to_owned()).unwrap().connect().await.unwrap())
    }

    /// Connects at the first call, and again when the connection is lost.
    pub fn connect_lazy(url: &str) -> Clients {
        Clients::over(Endpoint::from_shared(url.to_owned()).unwrap().connect_lazy())
    }

    fn over(channel: Channel) -> Clients {
        Clients {
            checkout: CheckoutServiceClient::new(channel.clone()),
            member: MemberServiceClient::new(channel.clone()),
            referral: ReferralServiceClient::new(channel.clone()),
            rewards: RewardServiceClient::new(channel.clone()),
            payouts: PayoutServiceClient::new(channel.clone()),
            ledger: LedgerServiceClient::new(channel.clone()),
            account: AccountServiceClient::new(channel.clone()),
            channel,
        }
    }

    pub async fn quote(&self, request: wire::QuoteRequest) -> wire::QuoteResponse {
        self.checkout.clone().quote(request).await.unwrap().into_inner()
    }

    pub async fn member(&self, member: &str) -> wire::Member {
        let request = wire::GetMemberRequest { member_id: member.into(), ..Default::default() };
        self.member.clone().get_member(request).await.unwrap().into_inner().member.unwrap()
    }

    /// What is spendable of the default unit.
    pub async fn available(&self, member: &str) -> i64 {
        available(&self.member(member).await.balances)
    }

    pub async fn order(&self, member: &str, order: &str) -> wire::GetOrderResponse {
        let request = wire::GetOrderRequest { member_id: member.into(), order_id: order.into(), ..Default::default() };
        self.checkout.clone().get_order(request).await.unwrap().into_inner()
    }

    pub async fn referral(&self, referral: &str) -> wire::Referral {
        let request = wire::GetReferralRequest { referral_id: referral.into(), ..Default::default() };
        self.referral.clone().get_referral(request).await.unwrap().into_inner().referral.unwrap()
    }

    pub async fn outcome(&self, member: &str, request: &str, fence: bool) -> wire::GetOutcomeResponse {
        let request = wire::GetOutcomeRequest {
            member_id: member.into(),
            request_id: request.into(),
            fence,
            ..Default::default()
        };
        self.checkout.clone().get_outcome(request).await.unwrap().into_inner()
    }

    /// Fails unless the member's books are in order; answers what was read.
    pub async fn verify(&self, member: &str) -> wire::VerifyMemberResponse {
        let request = wire::VerifyMemberRequest { member_id: member.into(), ..Default::default() };
        let verified = self.ledger.clone().verify_member(request).await.unwrap().into_inner();
        assert!(verified.verified, "{member}: {:?}", verified.faults);
        verified
    }

    /// All entries of a member, read in pages.
    pub async fn entries(&self, member: &str, page_size: i32) -> Vec<wire::Entry> {
        let mut entries = Vec::new();
        let mut page_token = String::new();
        for _ in 0..10_000 {
            let request =
                wire::ListEntriesRequest { member_id: member.into(), page_size, page_token, ..Default::default() };
            let page = self.member.clone().list_entries(request).await.unwrap().into_inner();
            assert!(page.entries.len() <= usize::try_from(page_size).unwrap());
            entries.extend(page.entries);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return entries;
            }
        }
        panic!("the pages do not end");
    }

    /// Sends a write that must be answered.
    pub async fn send(&self, write: &Write) -> Answer {
        self.try_send(write).await.unwrap_or_else(|status| panic!("{write:?}: {status:?}"))
    }

    pub async fn try_send(&self, write: &Write) -> Result<Answer, Status> {
        Ok(match write.clone() {
            Write::Enroll(raw) => Answer::Enroll(self.member.clone().enroll(raw).await?.into_inner()),
            Write::Reserve(raw) => Answer::Reserve(self.checkout.clone().reserve(raw).await?.into_inner()),
            Write::Commit(raw) => Answer::Commit(self.checkout.clone().commit(raw).await?.into_inner()),
            Write::Release(raw) => Answer::Release(self.checkout.clone().release(raw).await?.into_inner()),
            Write::Return(raw) => Answer::Return(self.checkout.clone().r#return(raw).await?.into_inner()),
            Write::AmendOrder(raw) => Answer::AmendOrder(self.checkout.clone().amend_order(raw).await?.into_inner()),
            Write::Adjust(raw) => Answer::Adjust(self.member.clone().adjust(raw).await?.into_inner()),
            Write::UpdateCode(raw) => Answer::UpdateCode(self.referral.clone().update_code(raw).await?.into_inner()),
            Write::CreateCode(raw) => Answer::CreateCode(self.referral.clone().create_code(raw).await?.into_inner()),
            Write::Attribute(raw) => Answer::Attribute(self.referral.clone().attribute(raw).await?.into_inner()),
            Write::ReviewReward(raw) => {
                Answer::ReviewReward(self.referral.clone().review_reward(raw).await?.into_inner())
            }
            Write::RecordOrderEvent(raw) => {
                Answer::RecordOrderEvent(self.checkout.clone().record_order_event(raw).await?.into_inner())
            }
            Write::ExtendExpiry(raw) => {
                Answer::ExtendExpiry(self.member.clone().extend_expiry(raw).await?.into_inner())
            }
            Write::Reinstate(raw) => Answer::Reinstate(self.member.clone().reinstate(raw).await?.into_inner()),
            Write::ClaimOrder(raw) => Answer::ClaimOrder(self.checkout.clone().claim_order(raw).await?.into_inner()),
            Write::RecordEvent(raw) => Answer::RecordEvent(self.member.clone().record_event(raw).await?.into_inner()),
            Write::ReviewEvent(raw) => Answer::ReviewEvent(self.member.clone().review_event(raw).await?.into_inner()),
            Write::RevokeEvent(raw) => Answer::RevokeEvent(self.member.clone().revoke_event(raw).await?.into_inner()),
            Write::Merge(raw) => Answer::Merge(self.member.clone().merge(raw).await?.into_inner()),
            Write::Unmerge(raw) => Answer::Unmerge(self.member.clone().unmerge(raw).await?.into_inner()),
            Write::Erase(raw) => Answer::Erase(self.member.clone().erase(raw).await?.into_inner()),
            Write::Transfer(raw) => Answer::Transfer(self.member.clone().transfer(raw).await?.into_inner()),
            Write::JoinAccount(raw) => Answer::JoinAccount(self.account.clone().join_account(raw).await?.into_inner()),
            Write::LeaveAccount(raw) => {
                Answer::LeaveAccount(self.account.clone().leave_account(raw).await?.into_inner())
            }
            Write::SetRole(raw) => Answer::SetRole(self.account.clone().set_role(raw).await?.into_inner()),
            Write::UpdateMember(raw) => {
                Answer::UpdateMember(self.member.clone().update_member(raw).await?.into_inner())
            }
            Write::SetTier(raw) => Answer::SetTier(self.member.clone().set_tier(raw).await?.into_inner()),
            Write::Redeem(raw) => Answer::Redeem(self.rewards.clone().redeem(raw).await?.into_inner()),
            Write::FulfilVoucher(raw) => {
                Answer::FulfilVoucher(self.rewards.clone().fulfil_voucher(raw).await?.into_inner())
            }
            Write::CancelVoucher(raw) => {
                Answer::CancelVoucher(self.rewards.clone().cancel_voucher(raw).await?.into_inner())
            }
            Write::PreparePayout(raw) => {
                Answer::PreparePayout(self.payouts.clone().prepare_payout(raw).await?.into_inner())
            }
            Write::ConfirmPayout(raw) => {
                Answer::ConfirmPayout(self.payouts.clone().confirm_payout(raw).await?.into_inner())
            }
        })
    }

    /// Sends a write again, under the same request id, for as long as the answer invites it. Bounded.
    pub async fn send_until_answered(&self, write: &Write) -> Answer {
        for _ in 0..1_000 {
            match self.try_send(write).await {
                Ok(answer) => return answer,
                Err(status) => {
                    let again = matches!(
                        status.code(),
                        Code::Unavailable
                            | Code::Aborted
                            | Code::ResourceExhausted
                            | Code::DeadlineExceeded
                            | Code::Unknown
                    );
                    assert!(again, "{write:?}: {status:?}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        panic!("never answered: {write:?}");
    }

    pub async fn enroll(&self, member: &str) -> wire::EnrollResponse {
        self.send(&enroll(member)).await.enroll()
    }

    /// Enrols and sets the balance of points, which enrolling makes 100.
    pub async fn enroll_with(&self, member: &str, points: i64) {
        assert!(self.enroll(member).await.enrolled);
        let write = adjust(member, &format!("fund-{member}"), points - 100);
        if points != 100 {
            assert!(self.send(&write).await.adjust().adjusted);
        }
    }

    /// The code of a member.
    pub async fn code_of(&self, member: &str) -> String {
        let created = self.send(&create_code(member, &format!("code-{member}"))).await.create_code();
        assert!(created.created, "{created:?}");
        created.code
    }
}

/// Any write of the contract.
#[derive(Clone, PartialEq, Debug)]
pub enum Write {
    Enroll(wire::EnrollRequest),
    Reserve(wire::ReserveRequest),
    Commit(wire::CommitRequest),
    Release(wire::ReleaseRequest),
    Return(wire::ReturnRequest),
    AmendOrder(wire::AmendOrderRequest),
    Adjust(wire::AdjustRequest),
    UpdateCode(wire::UpdateCodeRequest),
    CreateCode(wire::CreateCodeRequest),
    Attribute(wire::AttributeRequest),
    ReviewReward(wire::ReviewRewardRequest),
    UpdateMember(wire::UpdateMemberRequest),
    RecordEvent(wire::RecordEventRequest),
    ReviewEvent(wire::ReviewEventRequest),
    RevokeEvent(wire::RevokeEventRequest),
    ClaimOrder(wire::ClaimOrderRequest),
    Reinstate(wire::ReinstateRequest),
    ExtendExpiry(wire::ExtendExpiryRequest),
    RecordOrderEvent(wire::RecordOrderEventRequest),
    SetTier(wire::SetTierRequest),
    Merge(wire::MergeRequest),
    Unmerge(wire::UnmergeRequest),
    Erase(wire::EraseRequest),
    Transfer(wire::TransferRequest),
    JoinAccount(wire::JoinAccountRequest),
    LeaveAccount(wire::LeaveAccountRequest),
    SetRole(wire::SetRoleRequest),
    Redeem(wire::RedeemRequest),
    FulfilVoucher(wire::FulfilVoucherRequest),
    CancelVoucher(wire::CancelVoucherRequest),
    PreparePayout(wire::PreparePayoutRequest),
    ConfirmPayout(wire::ConfirmPayoutRequest),
}

macro_rules! each_write {
    ($write:expr, $raw:ident => $body:expr) => {
        match $write {
            Write::Enroll($raw) => $body,
            Write::Reserve($raw) => $body,
            Write::Commit($raw) => $body,
            Write::Release($raw) => $body,
            Write::Return($raw) => $body,
            Write::AmendOrder($raw) => $body,
            Write::Adjust($raw) => $body,
            Write::UpdateCode($raw) => $body,
            Write::CreateCode($raw) => $body,
            Write::Attribute($raw) => $body,
            Write::ReviewReward($raw) => $body,
            Write::UpdateMember($raw) => $body,
            Write::RecordEvent($raw) => $body,
            Write::ReviewEvent($raw) => $body,
            Write::RevokeEvent($raw) => $body,
            Write::ClaimOrder($raw) => $body,
            Write::Reinstate($raw) => $body,
            Write::ExtendExpiry($raw) => $body,
            Write::RecordOrderEvent($raw) => $body,
            Write::SetTier($raw) => $body,
            Write::Merge($raw) => $body,
            Write::Unmerge($raw) => $body,
            Write::Erase($raw) => $body,
            Write::Transfer($raw) => $body,
            Write::JoinAccount($raw) => $body,
            Write::LeaveAccount($raw) => $body,
            Write::SetRole($raw) => $body,
            Write::Redeem($raw) => $body,
            Write::FulfilVoucher($raw) => $body,
            Write::CancelVoucher($raw) => $body,
            Write::PreparePayout($raw) => $body,
            Write::ConfirmPayout($raw) => $body,
        }
    };
}

impl Write {
    pub fn request_id(&self) -> &str {
        each_write!(self, raw => &raw.request_id)
    }

    pub fn member_id(&self) -> &str {
        each_write!(self, raw => &raw.member_id)
    }

    /// The same under another request id.
    pub fn under(&self, request_id: &str) -> Write {
        let mut write = self.clone();
        each_write!(&mut write, raw => raw.request_id = request_id.into());
        write
    }

    /// The same, as having happened at an instant.
    pub fn at(&self, at: Instant) -> Write {
        let mut write = self.clone();
        each_write!(&mut write, raw => raw.happened(at));
        write
    }
}

/// A request that may say when it happened.
trait Happens {
    fn happened(&mut self, at: Instant);
}

macro_rules! happens {
    ($($request:ident)*) => {$(
        impl Happens for wire::$request {
            fn happened(&mut self, at: Instant) {
                self.occurred_at = Some(timestamp(at));
            }
        }
    )*};
}

happens! { AmendOrderRequest UpdateCodeRequest EnrollRequest ReserveRequest CommitRequest ReleaseRequest ReturnRequest AdjustRequest CreateCodeRequest AttributeRequest UpdateMemberRequest RecordEventRequest ClaimOrderRequest ReinstateRequest ExtendExpiryRequest RecordOrderEventRequest SetTierRequest }

happens! {
    MergeRequest UnmergeRequest EraseRequest TransferRequest JoinAccountRequest LeaveAccountRequest SetRoleRequest
    RedeemRequest FulfilVoucherRequest CancelVoucherRequest PreparePayoutRequest ConfirmPayoutRequest
}

impl Happens for wire::ReviewEventRequest {
    fn happened(&mut self, _: Instant) {}
}

impl Happens for wire::ReviewRewardRequest {
    fn happened(&mut self, _: Instant) {}
}

impl Happens for wire::RevokeEventRequest {
    fn happened(&mut self, _: Instant) {}
}

/// The answer to any write of the contract.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    Enroll(wire::EnrollResponse),
    Reserve(wire::ReserveResponse),
    Commit(wire::CommitResponse),
    Release(wire::ReleaseResponse),
    Return(wire::ReturnResponse),
    AmendOrder(wire::AmendOrderResponse),
    Adjust(wire::AdjustResponse),
    UpdateCode(wire::UpdateCodeResponse),
    CreateCode(wire::CreateCodeResponse),
    Attribute(wire::AttributeResponse),
    ReviewReward(wire::ReviewRewardResponse),
    UpdateMember(wire::UpdateMemberResponse),
    RecordEvent(wire::RecordEventResponse),
    ReviewEvent(wire::ReviewEventResponse),
    RevokeEvent(wire::RevokeEventResponse),
    ClaimOrder(wire::ClaimOrderResponse),
    Reinstate(wire::ReinstateResponse),
    ExtendExpiry(wire::ExtendExpiryResponse),
    RecordOrderEvent(wire::RecordOrderEventResponse),
    SetTier(wire::SetTierResponse),
    Merge(wire::MergeResponse),
    Unmerge(wire::UnmergeResponse),
    Erase(wire::EraseResponse),
    Transfer(wire::TransferResponse),
    JoinAccount(wire::JoinAccountResponse),
    LeaveAccount(wire::LeaveAccountResponse),
    SetRole(wire::SetRoleResponse),
    Redeem(wire::RedeemResponse),
    FulfilVoucher(wire::FulfilVoucherResponse),
    CancelVoucher(wire::CancelVoucherResponse),
    PreparePayout(wire::PreparePayoutResponse),
    ConfirmPayout(wire::ConfirmPayoutResponse),
}

macro_rules! answers {
    ($($variant:ident $name:ident $response:ident)*) => {
        impl Answer {
            $(
                pub fn $name(self) -> wire::$response {
                    match self {
                        Answer::$variant(answer) => answer,
                        other => panic!("not an answer of that kind: {other:?}"),
                    }
                }
            )*

            pub fn replayed(&self) -> bool {
                match self {
                    $(Answer::$variant(answer) => answer.replayed,)*
                }
            }

            /// As if given for the first time.
            pub fn as_first(&self) -> Answer {
                self.marked(false)
            }

            /// As if given again.
            pub fn as_replayed(&self) -> Answer {
                self.marked(true)
            }

            fn marked(&self, replayed: bool) -> Answer {
                match self.clone() {
                    $(Answer::$variant(answer) => Answer::$variant(wire::$response { replayed, ..answer }),)*
                }
            }
        }
    };
}

answers! {
    Enroll enroll EnrollResponse
    Reserve reserve ReserveResponse
    Commit commit CommitResponse
    Release release ReleaseResponse
    Return r#return ReturnResponse
    AmendOrder amend_order AmendOrderResponse
    Adjust adjust AdjustResponse
    UpdateCode update_code UpdateCodeResponse
    CreateCode create_code CreateCodeResponse
    Attribute attribute AttributeResponse
    ReviewReward review_reward ReviewRewardResponse
    UpdateMember update_member UpdateMemberResponse
    RecordEvent record_event RecordEventResponse
    ReviewEvent review_event ReviewEventResponse
    RevokeEvent revoke_event RevokeEventResponse
    ClaimOrder claim_order ClaimOrderResponse
    Reinstate reinstate ReinstateResponse
    ExtendExpiry extend_expiry ExtendExpiryResponse
    RecordOrderEvent record_order_event RecordOrderEventResponse
    SetTier set_tier SetTierResponse
    Merge merge MergeResponse
    Unmerge unmerge UnmergeResponse
    Erase erase EraseResponse
    Transfer transfer TransferResponse
    JoinAccount join_account JoinAccountResponse
    LeaveAccount leave_account LeaveAccountResponse
    SetRole set_role SetRoleResponse
    Redeem redeem RedeemResponse
    FulfilVoucher fulfil_voucher FulfilVoucherResponse
    CancelVoucher cancel_voucher CancelVoucherResponse
    PreparePayout prepare_payout PreparePayoutResponse
    ConfirmPayout confirm_payout ConfirmPayoutResponse
}

impl Answer {
    pub fn of_outcome(outcome: get_outcome_response::Answer) -> Answer {
        use get_outcome_response::Answer as Of;
        match outcome {
            Of::Enroll(answer) => Answer::Enroll(answer),
            Of::Reserve(answer) => Answer::Reserve(answer),
            Of::Commit(answer) => Answer::Commit(answer),
            Of::Release(answer) => Answer::Release(answer),
            Of::Return(answer) => Answer::Return(answer),
            Of::AmendOrder(answer) => Answer::AmendOrder(answer),
            Of::Adjust(answer) => Answer::Adjust(answer),
            Of::UpdateCode(answer) => Answer::UpdateCode(answer),
            Of::CreateCode(answer) => Answer::CreateCode(answer),
            Of::Attribute(answer) => Answer::Attribute(answer),
            Of::ReviewReward(answer) => Answer::ReviewReward(answer),
            Of::UpdateMember(answer) => Answer::UpdateMember(answer),
            Of::RecordEvent(answer) => Answer::RecordEvent(answer),
            Of::ReviewEvent(answer) => Answer::ReviewEvent(answer),
            Of::RevokeEvent(answer) => Answer::RevokeEvent(answer),
            Of::ClaimOrder(answer) => Answer::ClaimOrder(answer),
            Of::Reinstate(answer) => Answer::Reinstate(answer),
            Of::ExtendExpiry(answer) => Answer::ExtendExpiry(answer),
            Of::RecordOrderEvent(answer) => Answer::RecordOrderEvent(answer),
            Of::SetTier(answer) => Answer::SetTier(answer),
            Of::Merge(answer) => Answer::Merge(answer),
            Of::Unmerge(answer) => Answer::Unmerge(answer),
            Of::Erase(answer) => Answer::Erase(answer),
            Of::Transfer(answer) => Answer::Transfer(answer),
            Of::JoinAccount(answer) => Answer::JoinAccount(answer),
            Of::LeaveAccount(answer) => Answer::LeaveAccount(answer),
            Of::SetRole(answer) => Answer::SetRole(answer),
            Of::Redeem(answer) => Answer::Redeem(answer),
            Of::FulfilVoucher(answer) => Answer::FulfilVoucher(answer),
            Of::CancelVoucher(answer) => Answer::CancelVoucher(answer),
            Of::PreparePayout(answer) => Answer::PreparePayout(answer),
            Of::ConfirmPayout(answer) => Answer::ConfirmPayout(answer),
            Of::CreateAccount(answer) => panic!("not of a member: {answer:?}"),
        }
    }

    pub fn refusals(&self) -> Vec<wire::RefusalReason> {
        let decided = |decision: &Option<wire::Decision>| decision.clone().unwrap_or_default().refusals;
        let refusals = match self {
            Answer::Enroll(answer) => decided(&answer.decision),
            Answer::Reserve(answer) => decided(&answer.decision),
            Answer::Commit(answer) => decided(&answer.decision),
            Answer::Return(answer) => decided(&answer.decision),
            Answer::AmendOrder(answer) => decided(&answer.decision),
            Answer::Adjust(answer) => decided(&answer.decision),
            Answer::Attribute(answer) => decided(&answer.decision),
            Answer::ReviewReward(answer) => decided(&answer.decision),
            Answer::UpdateMember(answer) => decided(&answer.decision),
            Answer::RecordEvent(answer) => decided(&answer.decision),
            Answer::ReviewEvent(answer) => decided(&answer.decision),
            Answer::RevokeEvent(answer) => decided(&answer.decision),
            Answer::ClaimOrder(answer) => decided(&answer.decision),
            Answer::Reinstate(answer) => decided(&answer.decision),
            Answer::ExtendExpiry(answer) => decided(&answer.decision),
            Answer::RecordOrderEvent(answer) => decided(&answer.decision),
            Answer::SetTier(answer) => decided(&answer.decision),
            Answer::Merge(answer) => decided(&answer.decision),
            Answer::Unmerge(answer) => decided(&answer.decision),
            Answer::Erase(answer) => decided(&answer.decision),
            Answer::Transfer(answer) => decided(&answer.decision),
            Answer::JoinAccount(answer) => decided(&answer.decision),
            Answer::LeaveAccount(answer) => decided(&answer.decision),
            Answer::SetRole(answer) => decided(&answer.decision),
            Answer::Redeem(answer) => decided(&answer.decision),
            Answer::FulfilVoucher(answer) => decided(&answer.decision),
            Answer::CancelVoucher(answer) => decided(&answer.decision),
            Answer::PreparePayout(answer) => decided(&answer.decision),
            Answer::ConfirmPayout(answer) => decided(&answer.decision),
            Answer::Release(answer) => answer.refusals.clone(),
            Answer::UpdateCode(answer) => answer.refusals.clone(),
            Answer::CreateCode(answer) => answer.refusals.clone(),
        };
        refusals.iter().map(wire::Refusal::reason).collect()
    }
}

/// What is spendable of the default unit; nothing where the member never had any.
pub fn available(balances: &[wire::Balance]) -> i64 {
    of_unit(balances, "points").map_or(0, |balance| balance.available)
}

pub fn of_unit<'a>(balances: &'a [wire::Balance], unit: &str) -> Option<&'a wire::Balance> {
    balances.iter().find(|balance| balance.unit == unit)
}

/// The identity that the contract states, and that nothing is below zero which must not be.
pub fn assert_adds_up(balances: &[wire::Balance]) {
    for b in balances {
        let there = b.available + b.pending + b.held - b.debt;
        let should = b.lifetime_granted - b.lifetime_reversed - b.lifetime_redeemed - b.lifetime_expired
            + b.lifetime_adjusted
            + b.lifetime_forgiven
            - b.lifetime_forfeited
            - b.lifetime_fees
            - b.in_payout
            - b.lifetime_paid_out;
        assert_eq!(there, should, "{b:?}");
        assert!([b.available, b.pending, b.held, b.debt].iter().all(|n| 0 <= *n), "{b:?}");
    }
}

pub fn timestamp(at: Instant) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.0.div_euclid(1_000),
        nanos: i32::try_from(at.0.rem_euclid(1_000)).unwrap() * 1_000_000,
    }
}

/// A line of goods: id, category, quantity, amount in cents.
pub fn line(id: &str, category: &str, quantity: i64, amount_minor: i64) -> wire::Line {
    wire::Line { line_id: id.into(), categories: vec![category.into()], quantity, amount_minor, ..Default::default() }
}

pub fn order_of(id: &str, lines: Vec<wire::Line>) -> wire::Order {
    wire::Order {
        order_id: id.into(),
        currency_code: "EUR".into(),
        channel: "web".into(),
        prices_include_tax: true,
        lines,
        ..Default::default()
    }
}

/// An order of one line.
pub fn order(id: &str, amount_minor: i64) -> wire::Order {
    order_of(id, vec![line("1", "goods", 1, amount_minor)])
}

pub fn pay(amount: wire::pay_with_units::Amount) -> wire::Redeem {
    wire::Redeem {
        pay_with_units: Some(wire::PayWithUnits { unit: String::new(), amount: Some(amount) }),
        ..Default::default()
    }
}

/// Pays with exactly so many points.
pub fn points(amount: i64) -> wire::Redeem {
    pay(wire::pay_with_units::Amount::Exactly(amount))
}

pub fn enroll(member: &str) -> Write {
    Write::Enroll(wire::EnrollRequest {
        member_id: member.into(),
        request_id: format!("enroll-{member}"),
        ..Default::default()
    })
}

pub fn reserve(member: &str, request: &str, order: wire::Order, redeem: wire::Redeem) -> Write {
    Write::Reserve(wire::ReserveRequest {
        member_id: member.into(),
        request_id: request.into(),
        order: Some(order),
        redeem: Some(redeem),
        ..Default::default()
    })
}

pub fn commit(member: &str, request: &str, order: wire::Order) -> Write {
    commit_with(member, request, order, None)
}

pub fn commit_with(member: &str, request: &str, order: wire::Order, redeem: Option<wire::Redeem>) -> Write {
    Write::Commit(wire::CommitRequest {
        member_id: member.into(),
        request_id: request.into(),
        order: Some(order),
        redeem,
        ..Default::default()
    })
}

pub fn redeem(member: &str, request: &str, reward: &str) -> Write {
    Write::Redeem(wire::RedeemRequest {
        member_id: member.into(),
        request_id: request.into(),
        reward_id: reward.into(),
        ..Default::default()
    })
}

pub fn cancel_voucher(member: &str, request: &str, voucher: &str) -> Write {
    Write::CancelVoucher(wire::CancelVoucherRequest {
        member_id: member.into(),
        request_id: request.into(),
        voucher_id: voucher.into(),
        ..Default::default()
    })
}

pub fn release(member: &str, request: &str, order: &str) -> Write {
    Write::Release(wire::ReleaseRequest {
        member_id: member.into(),
        request_id: request.into(),
        order_id: order.into(),
        ..Default::default()
    })
}

pub fn everything() -> wire::ReturnWhat {
    wire::ReturnWhat { everything: true, lines: Vec::new() }
}

pub fn give_back(member: &str, request: &str, order: &str, return_id: &str, what: wire::ReturnWhat) -> Write {
    Write::Return(wire::ReturnRequest {
        member_id: member.into(),
        request_id: request.into(),
        order_id: order.into(),
        return_id: return_id.into(),
        what: Some(what),
        ..Default::default()
    })
}

/// Takes out one item of each line named, and puts in others.
pub fn amend(member: &str, request: &str, order: &str, id: &str, remove: &[&str], add: Vec<wire::Line>) -> Write {
    let measure = Some(wire::return_line::Measure::Quantity(1));
    Write::AmendOrder(wire::AmendOrderRequest {
        member_id: member.into(),
        request_id: request.into(),
        order_id: order.into(),
        amendment_id: id.into(),
        remove: remove.iter().map(|line| wire::ReturnLine { line_id: (*line).into(), measure }).collect(),
        add,
        ..Default::default()
    })
}

pub fn adjust(member: &str, request: &str, amount: i64) -> Write {
    Write::Adjust(wire::AdjustRequest {
        member_id: member.into(),
        request_id: request.into(),
        amount,
        reason: wire::AdjustReason::Correction.into(),
        agent_id: "agent-1".into(),
        ..Default::default()
    })
}

pub fn create_code(member: &str, request: &str) -> Write {
    Write::CreateCode(wire::CreateCodeRequest {
        member_id: member.into(),
        request_id: request.into(),
        ..Default::default()
    })
}

pub fn update_code(member: &str, request: &str, code: &str, state: wire::CodeState) -> Write {
    Write::UpdateCode(wire::UpdateCodeRequest {
        member_id: member.into(),
        request_id: request.into(),
        code: code.into(),
        state: state.into(),
        agent_id: "zoe".into(),
        ..Default::default()
    })
}

pub fn attribute(member: &str, request: &str, code: &str) -> Write {
    Write::Attribute(wire::AttributeRequest {
        member_id: member.into(),
        request_id: request.into(),
        code: code.into(),
        ..Default::default()
    })
}

pub fn update(member: &str, request: &str, change: wire::ProfileChange) -> Write {
    Write::UpdateMember(wire::UpdateMemberRequest {
        member_id: member.into(),
        request_id: request.into(),
        change: Some(change),
        ..Default::default()
    })
}

/// An event without anything beside its type.
pub fn event(member: &str, request: &str, event_id: &str, event_type: &str) -> wire::RecordEventRequest {
    wire::RecordEventRequest {
        member_id: member.into(),
        request_id: request.into(),
        event_id: event_id.into(),
        event_type: event_type.into(),
        ..Default::default()
    }
}

pub fn review(member: &str, request: &str, event_id: &str, verdict: wire::EventVerdict) -> Write {
    Write::ReviewEvent(wire::ReviewEventRequest {
        member_id: member.into(),
        request_id: request.into(),
        event_id: event_id.into(),
        verdict: verdict.into(),
        agent_id: "agent-1".into(),
        ..Default::default()
    })
}
pub fn merge(member: &str, request: &str, into: &str) -> Write {
    Write::Merge(wire::MergeRequest {
        member_id: member.into(),
        request_id: request.into(),
        into_member_id: into.into(),
        ..Default::default()
    })
}

pub fn revoke(member: &str, request: &str, event_id: &str) -> Write {
    Write::RevokeEvent(wire::RevokeEventRequest {
        member_id: member.into(),
        request_id: request.into(),
        event_id: event_id.into(),
        agent_id: "agent-1".into(),
        ..Default::default()
    })
}
pub fn unmerge(member: &str, request: &str) -> Write {
    Write::Unmerge(wire::UnmergeRequest { member_id: member.into(), request_id: request.into(), ..Default::default() })
}

pub fn erase(member: &str, request: &str) -> Write {
    Write::Erase(wire::EraseRequest { member_id: member.into(), request_id: request.into(), ..Default::default() })
}

pub fn transfer(member: &str, request: &str, to: &str, amount: i64) -> Write {
    Write::Transfer(wire::TransferRequest {
        member_id: member.into(),
        request_id: request.into(),
        to_member_id: to.into(),
        amount,
        ..Default::default()
    })
}

pub fn join(member: &str, request: &str, account: &str, role: wire::Role, invited_by: &str) -> Write {
    Write::JoinAccount(wire::JoinAccountRequest {
        member_id: member.into(),
        request_id: request.into(),
        account_id: account.into(),
        role: role.into(),
        invited_by_member_id: invited_by.into(),
        ..Default::default()
    })
}

pub fn leave_account(member: &str, request: &str) -> Write {
    Write::LeaveAccount(wire::LeaveAccountRequest {
        member_id: member.into(),
        request_id: request.into(),
        ..Default::default()
    })
}

/// An attribute whose value is text.
pub fn claim(member: &str, request: &str, order: &str) -> Write {
    Write::ClaimOrder(wire::ClaimOrderRequest {
        member_id: member.into(),
        request_id: request.into(),
        order_id: order.into(),
        ..Default::default()
    })
}

pub fn order_event(member: &str, request: &str, order: &str, event: (&str, &str), lines: &[&str]) -> Write {
    Write::RecordOrderEvent(wire::RecordOrderEventRequest {
        member_id: member.into(),
        request_id: request.into(),
        order_id: order.into(),
        event_id: event.0.into(),
        event: event.1.into(),
        line_ids: lines.iter().map(|line| (*line).to_owned()).collect(),
        ..Default::default()
    })
}

/// To the end of the century.
pub fn extend(member: &str, request: &str) -> Write {
    Write::ExtendExpiry(wire::ExtendExpiryRequest {
        member_id: member.into(),
        request_id: request.into(),
        expires_at: Some(timestamp(Instant(4_070_908_800_000))),
        reason: wire::AdjustReason::Goodwill.into(),
        agent_id: "tess".into(),
        ..Default::default()
    })
}

/// All that has expired.
pub fn reinstate(member: &str, request: &str) -> Write {
    Write::Reinstate(wire::ReinstateRequest {
        member_id: member.into(),
        request_id: request.into(),
        reason: wire::AdjustReason::Goodwill.into(),
        agent_id: "tess".into(),
        ..Default::default()
    })
}

pub fn text_attribute(name: &str, text: &str) -> wire::Attribute {
    wire::Attribute { name: name.into(), value: Some(wire::attribute::Value::TextValue(text.into())) }
}

/// The machine-readable reason of a status, and its metadata `field`.
pub fn reason(status: &Status) -> (String, String) {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    (info.reason, info.metadata.get("field").cloned().unwrap_or_default())
}

/// Polls until `done` holds; fails after twenty seconds.
pub async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within twenty seconds: {what}");
}

/// Polls a future once and drops it: a caller that leaves after its request is on the way.
pub async fn leave<T>(call: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        answer = call => Some(answer),
        () = ready(()) => None,
    }
}
