//! The ledger: immutable, hash-chained entries, each a fact whose postings sum to zero.
//!
//! An account's state changes only by applying entries, so folding them gives the state; see
//! [`AccountState::apply`](super::account::AccountState::apply).

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::account::{AccountKind, Belongings, GoalChange, NewCard, Role, Tag, TakenStamps, TierChange, VoucherIssue};
use super::answer::{Promise, ReservationState};
use super::command::{AdjustReason, Redeem};
use super::counters::CounterChange;
use super::event_record::EventState;
use super::id::EventId;
use super::id::{
    AccountId, CampaignId, CardId, Code, DrawId, GoalId, GrantId, Label, LadderId, MemberId, OrderEventId, OrderId,
    PayoutId, ReferralId, RequestId, ReturnId, RuleId, UnitId, VoucherId,
};
use super::order::Currency;
use super::program::{Kind, ProgramVersion};
use super::quote::Pin;
use super::referral::fraud::{Finding, Review};
use super::referral::{OwnCode, QualifiedBy, RejectedFor, Sharer, SideGrant, Via, Weighing};
use super::stock::StockItem;
use super::time::{Day, Instant};

/// SHA-256 of an entry chained to all before it.
pub type Hash = [u8; 32];

/// The head of an empty ledger.
pub const GENESIS: Hash = [0; 32];

/// A named side of the books. What the member has, and what the program has given and taken; all of them always
/// sum to zero per unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Book {
    /// Spendable.
    Available,
    /// Granted, not spendable yet.
    Pending,
    /// Held for orders.
    Held,
    /// Owed: never above zero.
    Debt,
    /// Granted by the program: never above zero.
    Issued,
    /// Grants taken back.
    Reversed,
    /// Spent, less what was given back.
    Redeemed,
    /// Expired, less what was revived.
    Expired,
    /// Credited (below zero) or debited by hand.
    Adjusted,
    /// Should have been taken back, was no longer there, and is not owed: never above zero.
    Forgiven,
    /// On the way to another account (above zero) or come from one (below zero).
    InTransit,
    /// Lost with the erasure of the member, less what was owed then.
    Forfeited,
    /// Paid for transfers.
    Fees,
    /// In payouts that are prepared.
    InPayout,
    /// Paid out in money.
    PaidOut,
}

impl Book {
    pub const COUNT: usize = 15;
    pub const ALL: [Book; Book::COUNT] = [
        Book::Available,
        Book::Pending,
        Book::Held,
        Book::Debt,
        Book::Issued,
        Book::Reversed,
        Book::Redeemed,
        Book::Expired,
        Book::Adjusted,
        Book::Forgiven,
        Book::InTransit,
        Book::Forfeited,
        Book::Fees,
        Book::InPayout,
        Book::PaidOut,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Book::Available => "available",
            Book::Pending => "pending",
            Book::Held => "held",
            Book::Debt => "debt",
            Book::Issued => "issued",
            Book::Reversed => "reversed",
            Book::Redeemed => "redeemed",
            Book::Expired => "expired",
            Book::Adjusted => "adjusted",
            Book::Forgiven => "forgiven",
            Book::InTransit => "in_transit",
            Book::Forfeited => "forfeited",
            Book::Fees => "fees",
            Book::InPayout => "in_payout",
            Book::PaidOut => "paid_out",
        }
    }
}

/// One side of a movement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Posting {
    pub book: Book,
    pub unit: UnitId,
    pub amount: i64,
}

/// The dates of granted units, and those of a lot: see [`Dates::lot_at`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Dates {
    pub activates_at: Instant,
    /// [`Instant::MAX`]: never.
    pub expires_at: Instant,
}

impl Dates {
    /// Whether units with these dates are spendable rather than pending. An account is always brought up to date
    /// before an entry is posted, so the instant of posting tells.
    pub fn active_at(&self, posted_at: Instant) -> bool {
        self.activates_at <= posted_at
    }

    /// The lot in which units with these dates lie at an instant. While they are pending it is theirs alone; once
    /// they are active it no longer matters since when, and units that expire together are one lot: so an account
    /// has as many lots as dates on which something expires, not as many as it had orders.
    pub fn lot_at(self, at: Instant) -> Dates {
        if self.active_at(at) { Dates { activates_at: Instant(0), ..self } } else { self }
    }

    /// The order in which lots are spent: earliest expiry first, then oldest.
    pub fn spend_order(&self) -> (Instant, Instant) {
        (self.expires_at, self.activates_at)
    }
}

/// Units of one lot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    pub dates: Dates,
    pub amount: i64,
}

/// Units of one kind, by lot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UnitParts {
    pub unit: UnitId,
    pub parts: Vec<Part>,
}

impl UnitParts {
    pub fn total(&self) -> i64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.amount))
    }
}

/// Why a hold ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Unhold {
    /// The caller gave it back.
    Released,
    /// Its time ran out.
    Lapsed,
    /// The order was reserved again.
    Replaced,
    /// The order was committed; what it used is spent by a fact of its own.
    Committed,
}

impl Unhold {
    /// The state in which the reservation is left; `None`: it is gone.
    pub fn leaves(self) -> Option<ReservationState> {
        match self {
            Unhold::Released => Some(ReservationState::Released),
            Unhold::Lapsed => Some(ReservationState::Expired),
            Unhold::Replaced | Unhold::Committed => None,
        }
    }
}

/// Why one account becomes part of another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MoveWhy {
    /// The member is the same person as this one.
    Merge { into: MemberId },
    /// The member joins.
    Join { member: MemberId, role: Role },
}

/// What an entry records.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Fact {
    Enrolled,
    /// Units from the program. `amount` includes `repaid`, which lowers the debt and goes to no lot; it is zero
    /// while the units are pending.
    Granted {
        grant: GrantId,
        rule: RuleId,
        kind: Kind,
        unit: UnitId,
        amount: i64,
        repaid: i64,
        dates: Dates,
    },
    /// A pending lot becomes spendable; `repaid` of it lowers the debt instead.
    Matured {
        unit: UnitId,
        dates: Dates,
        amount: i64,
        repaid: i64,
    },
    /// What is left of a lot ceases to be.
    Expired {
        unit: UnitId,
        dates: Dates,
        amount: i64,
    },
    /// Units are set aside for an order. `redeem` is what they are for; `effective_at` of the entry pins the
    /// program version that its Commit redeems under.
    Held {
        order: OrderId,
        revision: u32,
        expires_at: Instant,
        redeem: Redeem,
        units: Vec<UnitParts>,
        /// What the shopper was told that it gives.
        promises: Vec<Promise>,
        /// What it holds of the stock of rewards.
        stock: Vec<StockItem>,
        /// The quote that its Commit is decided under.
        pin: Option<Box<Pin>>,
        /// Who reserved it, in an account that several share.
        by: Option<MemberId>,
    },
    /// A hold ends; `units` go back to their lots. Without a hold: the mark of a release that came first.
    Unheld {
        order: OrderId,
        why: Unhold,
        units: Vec<UnitParts>,
    },
    /// Units pay for an order. `debt` is what the balance did not cover, `forgiven` what is not even owed.
    Spent {
        order: OrderId,
        unit: UnitId,
        parts: Vec<Part>,
        debt: i64,
        forgiven: i64,
    },
    /// An order was committed; `digest` is the SHA-256 of its record.
    OrderCommitted {
        order: OrderId,
        digest: Hash,
    },
    /// Something of an order came back; `digest` is the SHA-256 of its record since. `whole`: nothing is left of it.
    OrderReturned {
        order: OrderId,
        return_id: ReturnId,
        digest: Hash,
        whole: bool,
    },
    /// A grant, or part of it, taken back: `taken` from lots, `lapsed` from what had expired of the grant's own
    /// lot `dates`, the rest owed or forgiven.
    Reversed {
        grant: GrantId,
        unit: UnitId,
        dates: Dates,
        taken: Vec<Part>,
        lapsed: i64,
        debt: i64,
        forgiven: i64,
    },
    /// Spent units given back: to their lots, or to the debt; `unforgiven` had been forgiven and goes to nobody. What goes back to a lot that has expired expires
    /// again by an entry of its own.
    Restored {
        order: OrderId,
        unit: UnitId,
        parts: Vec<Part>,
        repaid: i64,
        unforgiven: i64,
    },
    /// A credit by hand.
    Credited {
        reason: AdjustReason,
        agent: Label,
        unit: UnitId,
        amount: i64,
        repaid: i64,
        dates: Dates,
        /// The order that it makes up for.
        order: Option<OrderId>,
    },
    /// A debit by hand.
    Debited {
        reason: AdjustReason,
        agent: Label,
        unit: UnitId,
        parts: Vec<Part>,
        /// What there was not, and is owed.
        debt: i64,
    },
    CodeCreated {
        own: OwnCode,
    },
    /// A code was blocked, or unblocked.
    CodeChanged {
        code: Code,
        blocked: bool,
        agent: Label,
        revision: u32,
    },
    /// Takes the place of a lower claim.
    Attributed {
        referral: ReferralId,
        campaign: CampaignId,
        code: Code,
        advocate: AccountId,
        via: Via,
        /// Where the code was, as a touch said.
        channel: Option<Label>,
        /// Whether it is certain that it closes no circle.
        confirmed: bool,
        qualify_by: Instant,
        /// Who shares the credit with the advocate.
        sharers: Vec<Sharer>,
    },
    /// Something speaks against the referral.
    ReferralSuspected {
        referral: ReferralId,
        findings: Vec<Finding>,
    },
    /// Its rewards wait for somebody to decide.
    ReviewOpened {
        referral: ReferralId,
        review: Review,
    },
    /// Somebody decided about one side, or both.
    ReviewDecided {
        referral: ReferralId,
        friend: bool,
        advocate: bool,
        approved: bool,
        /// Against what was decided, or had lapsed, before.
        forced: bool,
        agent: Label,
        reason: Label,
    },
    /// Nobody decided in time.
    ReviewLapsed {
        referral: ReferralId,
    },
    /// It was asked who brought the owner: what was considered, and what came of it.
    AttributionWeighed {
        weighing: Weighing,
    },
    ReferralConfirmed {
        referral: ReferralId,
    },
    /// The terms were met.
    Qualified {
        referral: ReferralId,
        by: QualifiedBy,
    },
    /// Both sides have been granted theirs; the friend's is a grant of its own.
    ReferralPaid {
        referral: ReferralId,
        friend: Option<SideGrant>,
    },
    /// Commission waits for the claim to be confirmed: so much more, or less.
    CommissionOwed {
        referral: ReferralId,
        grant: GrantId,
        /// Whose it is.
        target: AccountId,
        unit: UnitId,
        change: i64,
        dates: Dates,
    },
    ReferralExpired {
        referral: ReferralId,
    },
    ReferralRejected {
        referral: ReferralId,
        why: RejectedFor,
    },
    /// An effect goes to another account: `change` units since the revision before.
    Sent {
        grant: GrantId,
        target: AccountId,
        unit: UnitId,
        revision: u32,
        change: i64,
    },
    /// An effect came in that raises what another account's deed has granted here, to `net` in all.
    Received {
        grant: GrantId,
        rule: RuleId,
        kind: Kind,
        unit: UnitId,
        revision: u32,
        net: i64,
        amount: i64,
        repaid: i64,
        dates: Dates,
        /// 1: a friend counts from here on.
        friends: i64,
    },
    /// An effect came in that lowers it, to `net` in all.
    Recalled {
        grant: GrantId,
        rule: RuleId,
        unit: UnitId,
        revision: u32,
        net: i64,
        dates: Dates,
        taken: Vec<Part>,
        lapsed: i64,
        debt: i64,
        forgiven: i64,
        /// -1: a friend counts no more.
        friends: i64,
    },
    /// Units that became free again while something was owed: they repay it.
    Settled {
        unit: UnitId,
        parts: Vec<Part>,
    },
    /// Counters move.
    Counted {
        changes: Vec<CounterChange>,
    },
    /// What is known of a person changed, to what has this digest; `None`: to nothing.
    ProfileChanged {
        member: MemberId,
        digest: Option<Hash>,
    },
    /// An order that a guest had placed is this account's from here on.
    OrderClaimed {
        order: OrderId,
        guest: AccountId,
    },
    /// Stamps on the open card, or on the one that they begin; `repaid` cover what was owed and are on no card.
    Stamped {
        card: CardId,
        cause: GrantId,
        rule: RuleId,
        kind: Kind,
        stamps: i64,
        repaid: i64,
        begins: Option<NewCard>,
        visit: Option<Day>,
    },
    /// The open card is full; the voucher was issued before.
    CardFilled {
        card: CardId,
        voucher: VoucherId,
    },
    /// The open card ceases to be, with the stamps on it.
    CardExpired {
        card: CardId,
        number: u32,
        stamps: i64,
    },
    /// Stamps are taken back.
    Unstamped {
        card: CardId,
        cause: GrantId,
        what: TakenStamps,
    },
    /// Stamps were owed while a voucher that a full card had issued was not used: it is taken back, its stamps cover
    /// what is owed, and the rest of them stands on the card again.
    CardReopened {
        card: CardId,
        voucher: VoucherId,
    },
    VoucherIssued {
        issue: VoucherIssue,
        cause: GrantId,
        rule: RuleId,
        kind: Kind,
    },
    VoucherUsed {
        voucher: VoucherId,
        order: OrderId,
    },
    /// The goods that it was used on came back, and so does it.
    VoucherReturned {
        issue: VoucherIssue,
        order: OrderId,
    },
    VoucherExpired {
        voucher: VoucherId,
    },
    /// What issued it was undone.
    VoucherCancelled {
        voucher: VoucherId,
        cause: GrantId,
    },
    /// A rule gave tags and took others away.
    Tagged {
        cause: GrantId,
        rule: RuleId,
        add: Vec<Label>,
        remove: Vec<Label>,
    },
    /// That is undone.
    Untagged {
        cause: GrantId,
        given: Vec<(Label, u64)>,
        back: Vec<Tag>,
    },
    /// A ticket was drawn, from 0 to below `of`. `number`: how many had been taken out of its drum before.
    Drawn {
        draw: DrawId,
        cause: GrantId,
        rule: RuleId,
        ticket: i64,
        of: i64,
        prize: Option<Label>,
        number: Option<i64>,
    },
    /// Units from the program that are pending until an event of their order, without dates before it.
    Awaited {
        grant: GrantId,
        rule: RuleId,
        kind: Kind,
        unit: UnitId,
        amount: i64,
        order: OrderId,
        event: Label,
        lapses_at: Instant,
    },
    /// What they waited for has happened, to some lines at least: so many have these dates from here on.
    Released {
        grant: GrantId,
        event_id: OrderEventId,
        unit: UnitId,
        amount: i64,
        repaid: i64,
        dates: Dates,
    },
    /// Units that waited are taken back: their goods came back, or (`returned` is false) the event never came.
    CalledOff {
        grant: GrantId,
        unit: UnitId,
        amount: i64,
        returned: bool,
    },
    /// Something happened to an order; `digest` is the SHA-256 of its record since.
    OrderEvent {
        order: OrderId,
        event_id: OrderEventId,
        event: Label,
        digest: Hash,
    },
    /// Activity: until when units live if nothing else happens; [`Instant::MAX`]: whatever happens.
    Active {
        until: Vec<(UnitId, Instant)>,
    },
    /// What the account has of a unit since, where the program bounds what all members together have outstanding.
    Outstanding {
        unit: UnitId,
        amount: i64,
    },
    /// Lots expire later than they would have.
    Extended {
        reason: AdjustReason,
        agent: Label,
        unit: UnitId,
        parts: Vec<Part>,
        expires_at: Instant,
    },
    /// Expired units are given back; `parts` by the lots that had expired.
    Reinstated {
        reason: AdjustReason,
        agent: Label,
        unit: UnitId,
        parts: Vec<Part>,
        repaid: i64,
        dates: Dates,
    },
    /// An event was recorded, reviewed or revoked; `digest` is the SHA-256 of its record since.
    EventRecorded {
        event: EventId,
        kind: Label,
        member: MemberId,
        state: EventState,
        /// Who reviewed or revoked it.
        agent: Option<Label>,
        digest: Hash,
    },
    /// An occasion came: a birthday, an anniversary, a long absence. What follows is granted by facts of its own.
    Occurred {
        rule: RuleId,
        member: MemberId,
        occasion_at: Instant,
    },
    /// Notice was given of an occasion that is to come.
    Noticed {
        rule: RuleId,
        member: MemberId,
        occasion_at: Instant,
    },
    /// The status on a ladder changes.
    Tier {
        ladder: LadderId,
        change: TierChange,
    },
    /// A goal is met, or no longer.
    Goal {
        goal: GoalId,
        change: GoalChange,
    },
    /// An account that members can join.
    AccountCreated {
        kind: AccountKind,
    },
    /// Another account is about to become part of this one. Moves nothing: it is posted so that whatever was decided
    /// on this account before is decided anew. So no two accounts ever become part of each other.
    Announced {
        from: AccountId,
        why: MoveWhy,
    },
    /// This account becomes part of another one, with all that it owns.
    Departed {
        to: AccountId,
        why: MoveWhy,
        belongings: Box<Belongings>,
    },
    /// Another account has become part of this one. `digest` is that of the profile of the person concerned since.
    Arrived {
        from: AccountId,
        revision: u32,
        why: MoveWhy,
        belongings: Box<Belongings>,
        digest: Option<Hash>,
    },
    /// A part of this account is an account of its own again, with this.
    GaveBack {
        to: AccountId,
        why: MoveWhy,
        belongings: Box<Belongings>,
    },
    /// This account is an account of its own again.
    CameBack {
        from: AccountId,
        revision: u32,
        belongings: Box<Belongings>,
        digest: Option<Hash>,
    },
    RoleSet {
        member: MemberId,
        role: Role,
    },
    /// The members are forgotten; what the account owns is forfeited by facts of their own.
    Erased,
    /// Units of an erased account go to nobody, and `debt` is no longer owed.
    Forfeited {
        unit: UnitId,
        parts: Vec<Part>,
        debt: i64,
    },
    /// Units given to another member; `fee` of them stay with the program.
    TransferredOut {
        transfer: GrantId,
        to: AccountId,
        unit: UnitId,
        parts: Vec<Part>,
        fee: i64,
        day: Day,
    },
    /// Units that another member has given, in their lots; `repaid` more lowered the debt.
    TransferredIn {
        transfer: GrantId,
        from: AccountId,
        unit: UnitId,
        parts: Vec<Part>,
        repaid: i64,
    },
    /// Units given to a member who could not take them, back with their fee; `repaid` of all lowered the debt.
    TransferReturned {
        transfer: GrantId,
        unit: UnitId,
        parts: Vec<Part>,
        fee: i64,
        repaid: i64,
    },
    /// A rule grants to another account: `change` units since the revision before.
    GrantedElsewhere {
        grant: GrantId,
        rule: RuleId,
        kind: Kind,
        target: AccountId,
        unit: UnitId,
        revision: u32,
        change: i64,
    },
    /// What a person has redeemed of the account, where the program limits that by day.
    PersonRedeemed {
        member: MemberId,
        unit: UnitId,
        amount: i64,
        day: Day,
    },
    /// What issued the voucher was undone while it was held or used: it does not come back from there.
    VoucherRevoked {
        voucher: VoucherId,
        cause: GrantId,
    },
    /// A member asked for a reward outside an order, and paid for it.
    VoucherBought {
        issue: VoucherIssue,
    },
    /// What the voucher is for was handed over outside an order.
    VoucherFulfilled {
        voucher: VoucherId,
    },
    /// A voucher that was not used is taken back on request. `units` go back to their lots, and `repaid` of what was
    /// paid to the debt.
    VoucherGivenUp {
        voucher: VoucherId,
        units: Option<UnitParts>,
        repaid: i64,
    },
    /// Lines of an order were exchanged for others; `digest` is the SHA-256 of its record since.
    OrderAmended {
        order: OrderId,
        amendment_id: ReturnId,
        digest: Hash,
    },
    /// What a friend brings a partner: `change` units since the revision before. It gathers beside this account until it is
    /// due.
    Accrued {
        grant: GrantId,
        campaign: CampaignId,
        partner: AccountId,
        unit: UnitId,
        revision: u32,
        change: i64,
        due_at: Instant,
    },
    /// All that was due is set aside to be paid out.
    PayoutPrepared {
        payout: PayoutId,
        number: u32,
        unit: UnitId,
        currency: Currency,
        parts: Vec<Part>,
    },
    /// A payout was paid, or it failed: `back` is what went to lots again, and what repaid a debt.
    PayoutSettled {
        payout: PayoutId,
        unit: UnitId,
        amount: i64,
        back: Option<(Vec<Part>, i64)>,
        reference: Option<Label>,
    },
}

impl Fact {
    pub fn name(&self) -> &'static str {
        match self {
            Fact::Enrolled => "enrolled",
            Fact::Granted { .. } => "granted",
            Fact::Matured { .. } => "matured",
            Fact::Expired { .. } => "expired",
            Fact::Held { .. } => "held",
            Fact::Unheld { .. } => "unheld",
            Fact::Spent { .. } => "spent",
            Fact::OrderCommitted { .. } => "order_committed",
            Fact::OrderReturned { .. } => "order_returned",
            Fact::OrderAmended { .. } => "order_amended",
            Fact::Reversed { .. } => "reversed",
            Fact::Restored { .. } => "restored",
            Fact::Credited { .. } => "credited",
            Fact::Debited { .. } => "debited",
            Fact::CodeCreated { .. } => "code_created",
            Fact::CodeChanged { .. } => "code_changed",
            Fact::Attributed { .. } => "attributed",
            Fact::AttributionWeighed { .. } => "attribution_weighed",
            Fact::ReferralSuspected { .. } => "referral_suspected",
            Fact::ReviewOpened { .. } => "review_opened",
            Fact::ReviewDecided { .. } => "review_decided",
            Fact::ReviewLapsed { .. } => "review_lapsed",
            Fact::ReferralConfirmed { .. } => "referral_confirmed",
            Fact::ReferralPaid { .. } => "referral_paid",
            Fact::CommissionOwed { .. } => "commission_owed",
            Fact::Qualified { .. } => "qualified",
            Fact::ReferralExpired { .. } => "referral_expired",
            Fact::ReferralRejected { .. } => "referral_rejected",
            Fact::Sent { .. } => "sent",
            Fact::Received { .. } => "received",
            Fact::Recalled { .. } => "recalled",
            Fact::Settled { .. } => "settled",
            Fact::Counted { .. } => "counted",
            Fact::ProfileChanged { .. } => "profile_changed",
            Fact::EventRecorded { .. } => "event_recorded",
            Fact::Occurred { .. } => "occurred",
            Fact::Noticed { .. } => "noticed",
            Fact::OrderClaimed { .. } => "order_claimed",
            Fact::Stamped { .. } => "stamped",
            Fact::CardFilled { .. } => "card_filled",
            Fact::CardExpired { .. } => "card_expired",
            Fact::Unstamped { .. } => "unstamped",
            Fact::CardReopened { .. } => "card_reopened",
            Fact::VoucherIssued { .. } => "voucher_issued",
            Fact::VoucherUsed { .. } => "voucher_used",
            Fact::VoucherReturned { .. } => "voucher_returned",
            Fact::VoucherExpired { .. } => "voucher_expired",
            Fact::VoucherCancelled { .. } => "voucher_cancelled",
            Fact::VoucherRevoked { .. } => "voucher_revoked",
            Fact::VoucherBought { .. } => "voucher_bought",
            Fact::VoucherFulfilled { .. } => "voucher_fulfilled",
            Fact::VoucherGivenUp { .. } => "voucher_given_up",
            Fact::Tagged { .. } => "tagged",
            Fact::Untagged { .. } => "untagged",
            Fact::Drawn { .. } => "drawn",
            Fact::Awaited { .. } => "awaited",
            Fact::Released { .. } => "released",
            Fact::CalledOff { .. } => "called_off",
            Fact::OrderEvent { .. } => "order_event",
            Fact::Active { .. } => "active",
            Fact::Outstanding { .. } => "outstanding",
            Fact::Extended { .. } => "extended",
            Fact::Reinstated { .. } => "reinstated",
            Fact::Tier { change, .. } => change.name(),
            Fact::Goal { change, .. } => change.name(),
            Fact::AccountCreated { .. } => "account_created",
            Fact::Announced { .. } => "announced",
            Fact::Departed { .. } => "departed",
            Fact::Arrived { .. } => "arrived",
            Fact::GaveBack { .. } => "gave_back",
            Fact::CameBack { .. } => "came_back",
            Fact::RoleSet { .. } => "role_set",
            Fact::Erased => "erased",
            Fact::Forfeited { .. } => "forfeited",
            Fact::TransferredOut { .. } => "transferred_out",
            Fact::TransferredIn { .. } => "transferred_in",
            Fact::TransferReturned { .. } => "transfer_returned",
            Fact::GrantedElsewhere { .. } => "granted_elsewhere",
            Fact::PersonRedeemed { .. } => "person_redeemed",
            Fact::Accrued { .. } => "accrued",
            Fact::PayoutPrepared { .. } => "payout_prepared",
            Fact::PayoutSettled { back: None, .. } => "payout_paid",
            Fact::PayoutSettled { back: Some(_), .. } => "payout_failed",
        }
    }
}

/// One immutable line of an account's ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// 1, 2, 3, ... within the account.
    pub sequence: u64,
    /// When it was written; never falls.
    pub posted_at: Instant,
    /// When what it records happened.
    pub effective_at: Instant,
    /// The version of the program that decided it.
    pub version: ProgramVersion,
    /// The request that caused it; `None`: the passing of time, or another account.
    pub request: Option<RequestId>,
    pub fact: Fact,
}

/// Why stored bytes are not what this program wrote.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("has format {found}, this program knows up to {known}")]
    TooNew { found: u8, known: u8 },
    #[error("cannot be read")]
    Damaged,
}

/// The format of what is stored as it is in memory, field after field. A format is the first byte of everything stored: accounts, orders
/// and the answers to Commits have their own.
pub const FORMAT: u8 = 1;

/// Encodes for storage: the format byte, then `postcard`.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ENCODED_LEN_USUAL);
    bytes.push(FORMAT);
    write(&mut bytes, value);
    bytes
}

/// Most of what is stored fits; what does not grows.
pub(super) const ENCODED_LEN_USUAL: usize = 512;

/// Writes a value on at the end, without a format of its own.
pub(super) fn write<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) {
    let written = postcard::serialize_with_flavor(value, Bytes(bytes));
    debug_assert!(written.is_ok(), "plain data fails only where it has no length, and all of ours has one");
}

/// Bytes that are written on at the end: a slice at a time, where the flavor of `postcard` for vectors takes byte by byte.
struct Bytes<'a>(&'a mut Vec<u8>);

impl Flavor for Bytes<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        // Lengths and small numbers come as slices of one byte: a call of `memcpy` for each would cost more than all else.
        match bytes {
            [byte] => self.0.push(*byte),
            bytes => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// The inverse of [`encode`]; refuses what a newer version wrote, and trailing bytes.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    match bytes.split_first() {
        Some((&FORMAT, body)) => match postcard::take_from_bytes(body) {
            Ok((value, [])) => Ok(value),
            _ => Err(DecodeError::Damaged),
        },
        Some((&found, _)) if FORMAT < found => Err(DecodeError::TooNew { found, known: FORMAT }),
        _ => Err(DecodeError::Damaged),
    }
}

/// What is stored under a key of its own, and read by it.
pub trait Stored: Sized {
    /// # Errors
    /// [`DecodeError`]: these bytes are not what this program wrote.
    fn from_stored(bytes: &[u8]) -> Result<Self, DecodeError>;
}

impl<T: serde::de::DeserializeOwned> Stored for T {
    fn from_stored(bytes: &[u8]) -> Result<T, DecodeError> {
        decode(bytes)
    }
}

/// The hash of stored bytes.
pub fn digest(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// The head after an entry: SHA-256 of the head before and the entry as stored.
pub fn chain(head: &Hash, stored: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(head);
    hash.update(stored);
    hash.finalize().into()
}

impl Entry {
    /// How the fact moves units between the books. Sums to zero per unit; `None` when a sum leaves `i64`.
    pub fn postings(&self) -> Option<Vec<Posting>> {
        let mut to = Postings(Vec::new());
        match &self.fact {
            Fact::Granted { unit, amount, repaid, dates, .. } => {
                let book = if dates.active_at(self.posted_at) { Book::Available } else { Book::Pending };
                to.add(Book::Issued, unit, amount.checked_neg()?);
                to.add(Book::Debt, unit, *repaid);
                to.add(book, unit, amount.checked_sub(*repaid)?);
            }
            Fact::Received { unit, amount, repaid, dates, .. } => {
                let book = if dates.active_at(self.posted_at) { Book::Available } else { Book::Pending };
                to.add(Book::InTransit, unit, amount.checked_neg()?);
                to.add(Book::Debt, unit, *repaid);
                to.add(book, unit, amount.checked_sub(*repaid)?);
            }
            Fact::Matured { unit, amount, repaid, .. } => {
                to.add(Book::Pending, unit, amount.checked_neg()?);
                to.add(Book::Debt, unit, *repaid);
                to.add(Book::Available, unit, amount.checked_sub(*repaid)?);
            }
            Fact::Expired { unit, amount, .. } => {
                to.add(Book::Available, unit, amount.checked_neg()?);
                to.add(Book::Expired, unit, *amount);
            }
            Fact::Held { units, .. } => {
                for held in units {
                    to.add(Book::Available, &held.unit, sum(&held.parts)?.checked_neg()?);
                    to.add(Book::Held, &held.unit, sum(&held.parts)?);
                }
            }
            Fact::Unheld { units, .. } => {
                for held in units {
                    to.add(Book::Held, &held.unit, sum(&held.parts)?.checked_neg()?);
                    to.add(Book::Available, &held.unit, sum(&held.parts)?);
                }
            }
            Fact::Spent { unit, parts, debt, forgiven, .. } => {
                let covered = sum(parts)?;
                to.add(Book::Available, unit, covered.checked_neg()?);
                to.add(Book::Debt, unit, debt.checked_neg()?);
                to.add(Book::Forgiven, unit, forgiven.checked_neg()?);
                to.add(Book::Redeemed, unit, covered.checked_add(*debt)?.checked_add(*forgiven)?);
            }
            Fact::Reversed { unit, taken, lapsed, debt, forgiven, .. } => {
                let all = to.take_back(unit, self.posted_at, taken, *lapsed, *debt, *forgiven)?;
                to.add(Book::Reversed, unit, all);
            }
            Fact::Recalled { unit, taken, lapsed, debt, forgiven, .. } => {
                let all = to.take_back(unit, self.posted_at, taken, *lapsed, *debt, *forgiven)?;
                to.add(Book::InTransit, unit, all);
            }
            Fact::Restored { unit, parts, repaid, unforgiven, .. } => {
                let back = sum(parts)?;
                let all = back.checked_add(*repaid)?.checked_add(*unforgiven)?;
                to.add(Book::Redeemed, unit, all.checked_neg()?);
                to.add(Book::Forgiven, unit, *unforgiven);
                to.add(Book::Available, unit, back);
                to.add(Book::Debt, unit, *repaid);
            }
            Fact::Settled { unit, parts } => {
                to.add(Book::Available, unit, sum(parts)?.checked_neg()?);
                to.add(Book::Debt, unit, sum(parts)?);
            }
            Fact::Credited { unit, amount, repaid, .. } => {
                to.add(Book::Adjusted, unit, amount.checked_neg()?);
                to.add(Book::Debt, unit, *repaid);
                to.add(Book::Available, unit, amount.checked_sub(*repaid)?);
            }
            Fact::Debited { unit, parts, debt, .. } => {
                to.add(Book::Available, unit, sum(parts)?.checked_neg()?);
                to.add(Book::Debt, unit, debt.checked_neg()?);
                to.add(Book::Adjusted, unit, sum(parts)?.checked_add(*debt)?);
            }
            Fact::Departed { belongings, .. } | Fact::GaveBack { belongings, .. } => {
                to.0.extend(belongings.postings(self.posted_at, true)?);
            }
            Fact::Arrived { belongings, .. } | Fact::CameBack { belongings, .. } => {
                to.0.extend(belongings.postings(self.posted_at, false)?);
            }
            Fact::Forfeited { unit, parts, debt } => {
                let all = to.take_back(unit, self.posted_at, parts, 0, 0, 0)?;
                to.add(Book::Debt, unit, *debt);
                to.add(Book::Forfeited, unit, all.checked_sub(*debt)?);
            }
            Fact::TransferredOut { unit, parts, fee, .. } => {
                let all = sum(parts)?;
                to.add(Book::Available, unit, all.checked_neg()?);
                to.add(Book::Fees, unit, *fee);
                to.add(Book::InTransit, unit, all.checked_sub(*fee)?);
            }
            Fact::TransferredIn { unit, parts, repaid, .. } => {
                let lots = sum(parts)?;
                to.add(Book::InTransit, unit, lots.checked_add(*repaid)?.checked_neg()?);
                to.add(Book::Debt, unit, *repaid);
                to.add(Book::Available, unit, lots);
            }
            Fact::TransferReturned { unit, parts, fee, repaid, .. } => {
                let lots = sum(parts)?;
                to.add(Book::InTransit, unit, lots.checked_add(*repaid)?.checked_sub(*fee)?.checked_neg()?);
                to.add(Book::Fees, unit, fee.checked_neg()?);
                to.add(Book::Debt, unit, *repaid);
                to.add(Book::Available, unit, lots);
            }
            Fact::PayoutPrepared { unit, parts, .. } => {
                to.add(Book::Available, unit, sum(parts)?.checked_neg()?);
                to.add(Book::InPayout, unit, sum(parts)?);
            }
            Fact::PayoutSettled { unit, amount, back, .. } => {
                to.add(Book::InPayout, unit, amount.checked_neg()?);
                match back {
                    None => to.add(Book::PaidOut, unit, *amount),
                    Some((parts, repaid)) => {
                        to.add(Book::Available, unit, sum(parts)?);
                        to.add(Book::Debt, unit, *repaid);
                    }
                }
            }
            Fact::Sent { unit, change, .. }
            | Fact::GrantedElsewhere { unit, change, .. }
            | Fact::Accrued { unit, change, .. } => {
                // What is called back was never this member's: it counts as not issued, rather than as granted
                // here and reversed.
                to.add(Book::Issued, unit, change.checked_neg()?);
                to.add(Book::InTransit, unit, *change);
            }
            Fact::VoucherBought { issue } => {
                if let Some(paid) = issue.bought.as_ref().and_then(|bought| bought.paid.as_ref()) {
                    to.add(Book::Available, &paid.unit, sum(&paid.parts)?.checked_neg()?);
                    to.add(Book::Redeemed, &paid.unit, sum(&paid.parts)?);
                }
            }
            Fact::VoucherGivenUp { units, repaid, .. } => {
                if let Some(UnitParts { unit, parts }) = units {
                    let back = sum(parts)?;
                    to.add(Book::Redeemed, unit, back.checked_add(*repaid)?.checked_neg()?);
                    to.add(Book::Available, unit, back);
                    to.add(Book::Debt, unit, *repaid);
                }
            }
            Fact::Enrolled
            | Fact::OrderCommitted { .. }
            | Fact::OrderReturned { .. }
            | Fact::OrderAmended { .. }
            | Fact::Counted { .. }
            | Fact::CodeCreated { .. }
            | Fact::CodeChanged { .. }
            | Fact::AttributionWeighed { .. }
            | Fact::ReferralSuspected { .. }
            | Fact::ReviewOpened { .. }
            | Fact::ReviewDecided { .. }
            | Fact::ReviewLapsed { .. }
            | Fact::Attributed { .. }
            | Fact::ReferralConfirmed { .. }
            | Fact::ReferralPaid { .. }
            | Fact::CommissionOwed { .. }
            | Fact::Qualified { .. }
            | Fact::ReferralExpired { .. }
            | Fact::ReferralRejected { .. }
            | Fact::ProfileChanged { .. }
            | Fact::EventRecorded { .. }
            | Fact::Occurred { .. }
            | Fact::Noticed { .. }
            | Fact::OrderClaimed { .. }
            | Fact::Stamped { .. }
            | Fact::CardFilled { .. }
            | Fact::CardExpired { .. }
            | Fact::Unstamped { .. }
            | Fact::CardReopened { .. }
            | Fact::VoucherIssued { .. }
            | Fact::VoucherUsed { .. }
            | Fact::VoucherReturned { .. }
            | Fact::VoucherExpired { .. }
            | Fact::VoucherCancelled { .. }
            | Fact::VoucherRevoked { .. }
            | Fact::VoucherFulfilled { .. }
            | Fact::Tagged { .. }
            | Fact::Untagged { .. }
            | Fact::Drawn { .. }
            | Fact::OrderEvent { .. }
            | Fact::Active { .. }
            | Fact::Outstanding { .. }
            | Fact::Extended { .. }
            | Fact::Tier { .. }
            | Fact::Goal { .. } => {}
            Fact::Awaited { unit, amount, .. } => {
                to.add(Book::Issued, unit, amount.checked_neg()?);
                to.add(Book::Pending, unit, *amount);
            }
            Fact::Released { unit, amount, repaid, dates, .. } => {
                let book = if dates.active_at(self.posted_at) { Book::Available } else { Book::Pending };
                to.add(Book::Pending, unit, amount.checked_neg()?);
                to.add(Book::Debt, unit, *repaid);
                to.add(book, unit, amount.checked_sub(*repaid)?);
            }
            Fact::CalledOff { unit, amount, .. } => {
                to.add(Book::Pending, unit, amount.checked_neg()?);
                to.add(Book::Reversed, unit, *amount);
            }
            Fact::Reinstated { unit, parts, repaid, .. } => {
                let all = sum(parts)?;
                to.add(Book::Expired, unit, all.checked_neg()?);
                to.add(Book::Debt, unit, *repaid);
                to.add(Book::Available, unit, all.checked_sub(*repaid)?);
            }
            Fact::AccountCreated { .. }
            | Fact::Announced { .. }
            | Fact::RoleSet { .. }
            | Fact::Erased
            | Fact::PersonRedeemed { .. } => {}
        }
        Some(to.0)
    }
}

/// The units of several parts; `None` on overflow.
pub fn sum(parts: &[Part]) -> Option<i64> {
    parts.iter().try_fold(0i64, |sum, part| sum.checked_add(part.amount))
}

struct Postings(Vec<Posting>);

impl Postings {
    fn add(&mut self, book: Book, unit: &UnitId, amount: i64) {
        if amount != 0 {
            self.0.push(Posting { book, unit: unit.clone(), amount });
        }
    }

    /// Everything that a take-back lowers; answers how much it is in all. Units that are not active yet are
    /// pending; others are available.
    fn take_back(
        &mut self,
        unit: &UnitId,
        posted_at: Instant,
        taken: &[Part],
        lapsed: i64,
        debt: i64,
        forgiven: i64,
    ) -> Option<i64> {
        let mut pending = 0i64;
        let mut available = 0i64;
        for part in taken {
            let to = if part.dates.active_at(posted_at) { &mut available } else { &mut pending };
            *to = to.checked_add(part.amount)?;
        }
        self.add(Book::Pending, unit, pending.checked_neg()?);
        self.add(Book::Available, unit, available.checked_neg()?);
        self.add(Book::Expired, unit, lapsed.checked_neg()?);
        self.add(Book::Debt, unit, debt.checked_neg()?);
        self.add(Book::Forgiven, unit, forgiven.checked_neg()?);
        pending.checked_add(available)?.checked_add(lapsed)?.checked_add(debt)?.checked_add(forgiven)
    }
}
