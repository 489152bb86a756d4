//! What callers are held to, told from the very bounds that hold them.

use tonic::{Request, Response};

use super::violations::Violations;
use super::wire::{self, limit_service_server::LimitService};
use super::{Face, REQUEST_BYTES_MAX, Reply, checkout, ledger, member, referral, request, reward, standing};
use crate::access;
use crate::domain::account::{AccountState, Profile};
use crate::domain::command::{CODES_MAX, REWARDS_MAX, RecordEvent, RecordTouch, TENDERS_MAX, VOUCHERS_MAX};
use crate::domain::id::{Label, LevelId, MemberId, ProgramId, ReferralId, UnitId, VoucherId};
use crate::domain::order::{Line, Order};
use crate::domain::order_record::OrderRecord;
use crate::domain::quote;

pub(super) const METHODS: &[&str] = &["guerdon.v1.LimitService/GetLimits"];

/// Messages in each other that are read: the bound of prost.
const REQUEST_DEPTH_MAX: i64 = 100;

/// What is set beside the wire, and told to callers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// Of all headers of a request.
    pub header_bytes_max: u32,
    /// Worked on at a time.
    pub calls_in_flight_max: usize,
    /// That wait for each other.
    pub calls_per_account_max: usize,
    pub streams_per_connection_max: u32,
    pub programs: ProgramFile,
}

/// The largest program file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProgramFile {
    pub bytes_max: usize,
    pub depth_max: usize,
    pub rules_max: usize,
    pub rewards_max: usize,
    pub campaigns_max: usize,
    pub condition_bytes_max: usize,
    pub condition_depth_max: usize,
}

#[tonic::async_trait]
impl LimitService for Face {
    async fn get_limits(&self, raw: Request<wire::GetLimitsRequest>) -> Reply<wire::GetLimitsResponse> {
        let wire::GetLimitsRequest {} = raw.get_ref();
        let rate = access::caller().and_then(|caller| caller.principal.rate());
        Ok(Response::new(wire::GetLimitsResponse {
            bytes: Some(bytes(&self.told)),
            lists: Some(lists()),
            numbers: Some(wire::NumberLimits {
                amount: Order::AMOUNT_MINOR_MAX,
                quantity: Order::QUANTITY_MAX,
                reservation_ttl_seconds: checkout::TTL_S_MAX,
            }),
            depths: Some(wire::DepthLimits { request: REQUEST_DEPTH_MAX, referral_tree: referral::DEPTH_MAX }),
            pages: Some(pages()),
            accounts: Some(accounts()),
            calls: Some(wire::CallLimits {
                in_flight: whole(self.told.calls_in_flight_max),
                in_flight_of_account: whole(self.told.calls_per_account_max),
                streams_of_connection: self.told.streams_per_connection_max.into(),
                deadline_default_ms: i64::try_from(self.deadline_default.as_millis()).unwrap_or(i64::MAX),
            }),
            programs: Some(programs(&self.told.programs)),
            rate: rate.map(|rate| wire::RateLimit {
                calls_per_second: rate.per_second.get().into(),
                calls_burst: rate.burst.get().into(),
            }),
        }))
    }
}

fn bytes(told: &Told) -> wire::ByteLimits {
    wire::ByteLimits {
        request: whole(REQUEST_BYTES_MAX),
        headers: told.header_bytes_max.into(),
        id: whole(MemberId::LEN_MAX),
        label: whole(Label::LEN_MAX),
        program_id: whole(ProgramId::LEN_MAX),
        level_id: whole(LevelId::LEN_MAX),
        unit_id: whole(UnitId::LEN_MAX),
        voucher_id: whole(VoucherId::LEN_MAX),
        referral_id: whole(ReferralId::LEN_MAX),
        code: whole(request::CODE_BYTES_MAX),
        note: whole(member::NOTE_BYTES_MAX),
        attribute_text: whole(Profile::TEXT_BYTES_MAX),
        proof_id: whole(RecordEvent::PROOF_BYTES_MAX),
        signal: whole(request::SIGNAL_BYTES_MAX),
        user_agent: whole(RecordTouch::USER_AGENT_BYTES_MAX),
        quote_token: whole(quote::TOKEN_BYTES_MAX),
    }
}

fn lists() -> wire::ListLimits {
    wire::ListLimits {
        lines: whole(Order::LINES_MAX),
        labels_of_line: whole(Line::LABELS_MAX),
        labels_of_order: whole(Order::LABELS_MAX),
        codes: whole(CODES_MAX),
        rewards: whole(REWARDS_MAX),
        vouchers: whole(VOUCHERS_MAX),
        tenders: whole(TENDERS_MAX),
        attributes: whole(Profile::ATTRIBUTES_MAX),
        tags: whole(Profile::LABELS_MAX),
        violations: whole(Violations::LISTED_MAX),
    }
}

fn pages() -> wire::PageLimits {
    wire::PageLimits {
        entries: member::PAGE_SIZE_MAX.into(),
        notices: ledger::PAGE_SIZE_MAX,
        reviews: referral::REVIEWS_PAGE_MAX,
        referrals: referral::REFERRALS_PAGE_MAX,
        referral_tree: referral::TREE_PAGE_MAX,
        draw_tickets: reward::TICKETS_PAGE_MAX,
        payouts: whole(AccountState::PAYOUTS_MAX),
        leaderboard: standing::PAGE_SIZE_MAX,
        stats_months: referral::MONTHS_MAX,
        audit_entries: ledger::PAGE_SIZE_MAX,
    }
}

fn accounts() -> wire::AccountLimits {
    wire::AccountLimits {
        reservations_open: whole(AccountState::HOLDS_OPEN_MAX),
        vouchers_open: whole(AccountState::VOUCHERS_OPEN_MAX),
        codes: whole(AccountState::CODES_MAX),
        lots_of_unit: whole(AccountState::LOTS_GRANTED_MAX),
        attributes: whole(Profile::ATTRIBUTES_MAX),
        tags: whole(Profile::LABELS_MAX),
        returns_of_order: whole(OrderRecord::RETURNS_MAX),
        events_of_order: whole(OrderRecord::EVENTS_MAX),
    }
}

fn programs(file: &ProgramFile) -> wire::ProgramLimits {
    wire::ProgramLimits {
        bytes: whole(file.bytes_max),
        depth: whole(file.depth_max),
        rules: whole(file.rules_max),
        rewards: whole(file.rewards_max),
        campaigns: whole(file.campaigns_max),
        condition_bytes: whole(file.condition_bytes_max),
        condition_depth: whole(file.condition_depth_max),
    }
}

fn whole(bound: usize) -> i64 {
    i64::try_from(bound).unwrap_or(i64::MAX)
}
