//! What callers are told. Answers are kept as receipts, so that a resend is answered alike.

mod receipt;

use serde::{Deserialize, Serialize};

use super::account::{AccountKind, Payout, Person, Role, Source, Voucher, VoucherState};
use super::command::{AdjustReason, ReturnCause, Tender};
use super::event_record::{EventState, RecoveryRecord};
use super::id::{
    AccountId, CampaignId, CardId, Code, DrawId, GoalId, GrantId, Label, LadderId, LevelId, LineId, OrderEventId,
    OrderId, PayoutId, PriceId, ReferralId, ReturnId, RewardId, RuleId, Sku, UnitId, VoucherId,
};
use super::ledger::MoveWhy;
use super::order::{Currency, OrderKind};
use super::payouts::Commission;
use super::program::{Kind, ProgramVersion, SettlesAs};
use super::referral::touch::Dropped;
use super::referral::{CodeOwner, Referral, RejectedFor, Weighing};
use super::stats::{Difference, Figure};
use super::time::Instant;

/// The answer to a write or to its preview.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    Enroll(EnrollAnswer),
    Reserve(ReserveAnswer),
    Commit(CommitAnswer),
    Release(ReleaseAnswer),
    Return(ReturnAnswer),
    Adjust(AdjustAnswer),
    CreateCode(CreateCodeAnswer),
    Attribute(AttributeAnswer),
    /// An effect was taken in, or time has passed: nobody waits for it.
    Done,
    /// The request id was burnt before the request came.
    Fenced,
    UpdateMember(UpdateMemberAnswer),
    RecordEvent(EventAnswer),
    ReviewEvent(EventAnswer),
    RevokeEvent(EventAnswer),
    Claim(ClaimAnswer),
    OrderEvent(OrderEventAnswer),
    Extend(AdjustAnswer),
    Reinstate(AdjustAnswer),
    SetTier(SetTierAnswer),
    Move(MoveAnswer),
    /// What the service asked the other account of a move.
    Announced(AnnouncedAnswer),
    Erase(EraseAnswer),
    Send(SendAnswer),
    CreateAccount(CreateAccountAnswer),
    SetRole(SetRoleAnswer),
    Amend(AmendAnswer),
    UpdateCode(UpdateCodeAnswer),
    RedeemReward(VoucherAnswer),
    FulfilVoucher(VoucherAnswer),
    CancelVoucher(VoucherAnswer),
    Catalogue(CatalogueAnswer),
    Touch(TouchAnswer),
    ReviewReward(ReviewAnswer),
    PreparePayout(PayoutAnswer),
    ConfirmPayout(PayoutAnswer),
}

impl Answer {
    /// What was refused, wherever an answer keeps it.
    pub fn refusals(&self) -> &[Refusal] {
        match self {
            Answer::Enroll(answer) => &answer.decided.refusals,
            Answer::Reserve(answer) => &answer.decided.refusals,
            Answer::Commit(answer) => &answer.decided.refusals,
            Answer::Release(answer) => &answer.refusals,
            Answer::Return(answer) => &answer.decided.refusals,
            Answer::Adjust(answer) => &answer.decided.refusals,
            Answer::CreateCode(answer) => &answer.refusals,
            Answer::Attribute(answer) => &answer.decided.refusals,
            Answer::UpdateMember(answer) => &answer.decided.refusals,
            Answer::RecordEvent(answer) | Answer::ReviewEvent(answer) | Answer::RevokeEvent(answer) => {
                &answer.decided.refusals
            }
            Answer::Claim(answer) => &answer.decided.refusals,
            Answer::OrderEvent(answer) => &answer.decided.refusals,
            Answer::Extend(answer) | Answer::Reinstate(answer) => &answer.decided.refusals,
            Answer::SetTier(answer) => &answer.decided.refusals,
            Answer::Move(answer) => &answer.decided.refusals,
            Answer::Announced(answer) => &answer.refusals,
            Answer::Erase(answer) => &answer.decided.refusals,
            Answer::Send(answer) => &answer.decided.refusals,
            Answer::CreateAccount(answer) => &answer.decided.refusals,
            Answer::SetRole(answer) => &answer.decided.refusals,
            Answer::Amend(answer) => &answer.decided.refusals,
            Answer::UpdateCode(answer) => &answer.refusals,
            Answer::Touch(answer) => &answer.refusals,
            Answer::ReviewReward(answer) => &answer.decided.refusals,
            Answer::RedeemReward(answer) | Answer::FulfilVoucher(answer) | Answer::CancelVoucher(answer) => {
                &answer.decided.refusals
            }
            Answer::PreparePayout(answer) | Answer::ConfirmPayout(answer) => &answer.decided.refusals,
            // What is on offer and cannot be had was not asked for.
            Answer::Catalogue(answer) => &answer.decided.refusals,
            Answer::Done | Answer::Fenced => &[],
        }
    }
}

/// What became of a review.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReviewAnswer {
    /// Whether this command decided it.
    pub changed: bool,
    pub decided: Decided,
}

/// What became of a touch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TouchAnswer {
    /// Whether it is kept.
    pub recorded: bool,
    /// Why it was counted and not kept.
    pub dropped: Option<Dropped>,
    pub refusals: Vec<Refusal>,
}

/// What became of a payout.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PayoutAnswer {
    /// Whether this command changed it.
    pub changed: bool,
    /// As it stands; `None`: there is none.
    pub payout: Option<Box<Payout>>,
    pub decided: Decided,
    pub balances: Vec<Balance>,
}

/// The payouts of a partner, and where their commission stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PayoutsView {
    pub payouts: Vec<Payout>,
    /// By unit that is paid out, with its currency.
    pub commissions: Vec<(UnitId, Currency, Commission)>,
}

/// Figures of referrals in a month.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatsView {
    /// Whether the program keeps them.
    pub kept: bool,
    pub starts_at: Instant,
    pub ends_at: Instant,
    /// Campaigns of the program, in its order.
    pub campaigns: Vec<CampaignId>,
    /// Of all partitions together, ascending.
    pub figures: Vec<(Figure, i64)>,
}

/// What folding ledgers again says of the figures that are kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StatsProof {
    pub accounts: u64,
    pub entries: u64,
    /// Figures that were compared.
    pub figures: u64,
    pub differences: Vec<Difference>,
    /// Partitions in which something happened meanwhile: of them nothing is said.
    pub moving: u64,
    /// Where to go on; `None`: all were looked at.
    pub next: Option<u16>,
}

impl PayoutAnswer {
    pub fn of_nothing(decided: Decided) -> PayoutAnswer {
        PayoutAnswer { changed: false, payout: None, decided, balances: Vec::new() }
    }
}

/// What became of a voucher.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VoucherAnswer {
    /// Whether this command changed it.
    pub changed: bool,
    /// As it stands; `None`: there is none.
    pub voucher: Option<Box<Voucher>>,
    pub decided: Decided,
    pub balances: Vec<Balance>,
}

impl VoucherAnswer {
    pub fn of_nothing(decided: Decided) -> VoucherAnswer {
        VoucherAnswer { changed: false, voucher: None, decided, balances: Vec::new() }
    }
}

/// What is on offer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CatalogueAnswer {
    /// In the order of the program.
    pub offers: Vec<Offer>,
    /// Of the lines of the order that have member prices.
    pub prices: Vec<LinePrices>,
    pub decided: Decided,
}

/// A reward as it is offered to a member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Offer {
    pub reward: RewardId,
    pub title: String,
    /// For this member; `None`: free.
    pub price: Option<(UnitId, i64)>,
    /// For members of no level that it costs less for; `None`: free.
    pub ordinary_price: Option<(UnitId, i64)>,
    /// What it would take off the order; `None`: there is none, or it takes nothing off.
    pub amount_minor: Option<i64>,
    /// What is left for all members; `None`: any number.
    pub stock_left: Option<i64>,
    /// Why it cannot be had, each reason; none: it can be.
    pub refusals: Vec<Refusal>,
    /// For people, where one thing alone is missing: `GBP 2.40 more`; else empty.
    pub nearest: String,
}

/// Which kind of move between accounts was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MoveKind {
    Merge,
    Unmerge,
    Join,
    Leave,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MoveAnswer {
    pub kind: MoveKind,
    pub moved: bool,
    pub decided: Decided,
    /// The account that the member belongs to since.
    pub account: Option<AccountId>,
    /// Of that account. Not kept: as they are when this is answered.
    pub balances: Vec<Balance>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AnnouncedAnswer {
    pub refusals: Vec<Refusal>,
    pub found: Option<(AccountId, MoveWhy)>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EraseAnswer {
    pub erased: bool,
    pub decided: Decided,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SendAnswer {
    pub sent: bool,
    pub decided: Decided,
    pub balances: Vec<Balance>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CreateAccountAnswer {
    pub created: bool,
    pub decided: Decided,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SetRoleAnswer {
    pub set: bool,
    pub decided: Decided,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EnrollAnswer {
    pub enrolled: bool,
    pub decided: Decided,
    pub balances: Vec<Balance>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReserveAnswer {
    pub reserved: bool,
    pub reservation: Option<Reservation>,
    pub decided: Decided,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CommitAnswer {
    pub status: CommitStatus,
    pub decided: Decided,
    pub balances: Vec<Balance>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CommitStatus {
    Committed,
    Refused,
    AlreadyCommitted,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReleaseAnswer {
    pub released: bool,
    pub reservation: Option<Reservation>,
    pub refusals: Vec<Refusal>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReturnAnswer {
    pub status: ReturnStatus,
    pub decided: Decided,
    pub refund: Option<Refund>,
    pub order_state: Option<OrderState>,
    pub balances: Vec<Balance>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReturnStatus {
    Applied,
    Refused,
    AlreadyApplied,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClaimAnswer {
    pub status: ClaimStatus,
    pub decided: Decided,
    pub order_state: Option<OrderState>,
    pub balances: Vec<Balance>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ClaimStatus {
    Claimed,
    Refused,
    AlreadyClaimed,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AmendAnswer {
    pub status: ReturnStatus,
    pub decided: Decided,
    /// For what went out.
    pub refund: Option<Refund>,
    /// What is paid in money for the lines that came in.
    pub due_minor: i64,
    pub order_state: Option<OrderState>,
    pub balances: Vec<Balance>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OrderEventAnswer {
    pub status: OrderEventStatus,
    pub decided: Decided,
    pub order_state: Option<OrderState>,
    pub balances: Vec<Balance>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum OrderEventStatus {
    Recorded,
    Refused,
    AlreadyRecorded,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AdjustAnswer {
    pub adjusted: bool,
    pub decided: Decided,
    pub balances: Vec<Balance>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CreateCodeAnswer {
    pub code: Option<Code>,
    pub created: bool,
    pub refusals: Vec<Refusal>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UpdateCodeAnswer {
    pub changed: bool,
    pub refusals: Vec<Refusal>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AttributeAnswer {
    pub attributed: bool,
    pub decided: Decided,
}

/// Holds nothing of the profile: answers are kept longer than that may be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UpdateMemberAnswer {
    pub updated: bool,
    pub decided: Decided,
}

/// What became of an event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventAnswer {
    /// Whether this command changed it.
    pub changed: bool,
    /// `None`: it is not recorded.
    pub state: Option<EventState>,
    pub decided: Decided,
    pub balances: Vec<Balance>,
}

impl EventAnswer {
    pub fn of_nothing(decided: Decided) -> EventAnswer {
        EventAnswer { changed: false, state: None, decided, balances: Vec::new() }
    }
}

/// Effects, refusals and the trace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Decided {
    pub version: ProgramVersion,
    pub effective_at: Instant,
    pub effects: Vec<Effect>,
    pub refusals: Vec<Refusal>,
    pub explain: Option<Explain>,
    /// What is not as it was promised before.
    pub changes: Vec<Change>,
}

/// How much of something the shopper was told they would get: minor units taken off by a reward or a voucher, units used
/// as payment, units earned.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Promise {
    pub subject: Subject,
    pub amount: i64,
}

/// What was promised and is otherwise now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    pub subject: Subject,
    /// In the measure of [`Promise::amount`].
    pub quoted: i64,
    pub now: i64,
    pub reason: Reason,
}

impl Decided {
    pub fn empty(version: ProgramVersion, effective_at: Instant) -> Decided {
        Decided { version, effective_at, effects: Vec::new(), refusals: Vec::new(), explain: None, changes: Vec::new() }
    }
}

/// Part of an amount that falls on one line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Share {
    pub line_id: LineId,
    pub amount: i64,
}

/// One typed outcome.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Effect {
    Granted(Granted),
    Redeemed(Redeemed),
    Discount(Discount),
    Reversed {
        grant: GrantId,
        unit: UnitId,
        amount: i64,
        debt: i64,
        forgiven: i64,
        expired: i64,
    },
    Restored {
        unit: UnitId,
        amount: i64,
        lots: Vec<RestoredLot>,
        repaid: i64,
        expired: i64,
    },
    Referral {
        referral: ReferralId,
        state: ReferralState,
    },
    Adjusted {
        unit: UnitId,
        amount: i64,
        repaid: i64,
    },
    /// What a guest's order would have earned a member, and will when it is claimed in time.
    Claimable {
        granted: Granted,
        claim_by: Instant,
    },
    StampsGiven(StampsGiven),
    StampsTaken(StampsTaken),
    Voucher(VoucherEffect),
    Drawn(Drawn),
    Tags {
        added: Vec<Label>,
        removed: Vec<Label>,
    },
    Released(Released),
    Extended {
        unit: UnitId,
        amount: i64,
        expires_at: Instant,
    },
    Reinstated {
        unit: UnitId,
        amount: i64,
        repaid: i64,
        expires_at: Instant,
    },
    /// The level that counts; `None`: no level.
    TierChanged {
        ladder: LadderId,
        from: Option<LevelId>,
        to: Option<LevelId>,
    },
    /// For the so-manieth time, those that were undone included.
    GoalMet {
        goal: GoalId,
        number: u32,
        badge: Option<Label>,
    },
    GoalUndone {
        goal: GoalId,
        number: u32,
    },
    /// Units went to another account together with all else. `short`: what was brought once and is no longer there.
    Moved {
        to: AccountId,
        unit: UnitId,
        available: i64,
        pending: i64,
        debt: i64,
        short: i64,
    },
    /// `debt`: what was owed and no longer is.
    Forfeited {
        unit: UnitId,
        amount: i64,
        debt: i64,
    },
    Transferred {
        transfer: GrantId,
        to: AccountId,
        unit: UnitId,
        amount: i64,
        fee: i64,
    },
    /// Units granted to another account.
    GrantedTo(GrantedTo),
    MemberPrice(PriceUse),
}

/// A line costs a member less.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PriceUse {
    pub price: PriceId,
    pub line_id: LineId,
    /// What it costs whoever is no member.
    pub ordinary_minor: i64,
    /// What it costs the member.
    pub member_minor: i64,
    /// What it would cost the member but for guard rails.
    pub desired_minor: i64,
    /// The guard rail that raised it.
    pub rail: Option<Reason>,
    /// The lowest that it would have cost in the last 30 days, as the caller says.
    pub prior_minor: Option<i64>,
}

/// What a line costs by a member price, whomever it is for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PriceOffer {
    pub price: PriceId,
    pub title: String,
    /// Empty: for every member; else by ladder for one of these levels of each.
    pub levels: Vec<(LadderId, Vec<LevelId>)>,
    pub amount_minor: i64,
    /// Whether it is for the member who asks.
    pub is_for_member: bool,
}

/// The prices of a line, side by side.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinePrices {
    pub line_id: LineId,
    pub ordinary_minor: i64,
    /// The lowest that is for the member who asks; `None`: none is.
    pub member_minor: Option<i64>,
    pub prior_minor: Option<i64>,
    /// In the order of the program.
    pub prices: Vec<PriceOffer>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GrantedTo {
    pub to: AccountId,
    pub grant: GrantId,
    pub rule: RuleId,
    pub kind: Kind,
    pub unit: UnitId,
    /// Negative: taken back.
    pub amount: i64,
    /// What it would have been without limits.
    pub desired: i64,
}

/// A ticket of a draw.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Drawn {
    pub draw: DrawId,
    pub rule: RuleId,
    pub account: AccountId,
    pub cause: GrantId,
    pub of: i64,
    /// `None`: not drawn yet, for this is a preview.
    pub ticket: Option<i64>,
    pub prize: Option<Label>,
    /// Of a drum that nothing is put back into: how many tickets had been taken out before.
    pub number: Option<i64>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StampsGiven {
    pub card: CardId,
    pub rule: RuleId,
    pub kind: Kind,
    /// In all.
    pub stamps: i64,
    /// Of `stamps`, what repaid stamps that were owed.
    pub repaid: i64,
    /// Of `stamps`, what found no room.
    pub lost: i64,
    /// On the open card since, those for free included.
    pub stands: i64,
    /// What fills it.
    pub goal: i64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StampsTaken {
    pub card: CardId,
    /// In all.
    pub stamps: i64,
    /// What the member owes since.
    pub owed: i64,
    /// Of `stamps`.
    pub forgiven: i64,
    /// Of `stamps`, what had been lost with an expired card.
    pub expired: i64,
    /// On the open card since, those for free included.
    pub stands: i64,
}

/// A voucher came into a state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VoucherEffect {
    pub voucher: VoucherId,
    pub reward: RewardId,
    pub state: VoucherState,
    /// [`Instant::MAX`]: never.
    pub expires_at: Instant,
    /// Which issued it, where that is what happened or is undone.
    pub rule: Option<RuleId>,
    pub kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Granted {
    pub grant: GrantId,
    pub rule: RuleId,
    pub kind: Kind,
    pub unit: UnitId,
    pub desired: i64,
    pub granted: i64,
    /// Of `granted`, what repaid a debt at once.
    pub repaid: i64,
    pub activates_at: Instant,
    /// [`Instant::MAX`]: never.
    pub expires_at: Instant,
    pub shares: Vec<Share>,
    /// The event of the order that it waits for, and when it is called off if that does not come; the dates count
    /// from the event and are not known before.
    pub awaits: Option<(Label, Instant)>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Redeemed {
    pub unit: UnitId,
    pub units: i64,
    pub value_minor: i64,
    pub settles_as: SettlesAs,
    pub value_shares: Vec<Share>,
    pub unit_shares: Vec<Share>,
    /// Of `units`, what became debt.
    pub debt: i64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Discount {
    pub reward: RewardId,
    pub amount_minor: i64,
    pub shares: Vec<Share>,
    /// `None`: free.
    pub price: Option<(UnitId, i64)>,
    pub unit_shares: Vec<Share>,
    /// Of the price, what became debt.
    pub debt: i64,
    /// By which it is given, instead of for its price.
    pub voucher: Option<VoucherId>,
    /// Items given for free, by line.
    pub free: Vec<Share>,
    /// What it would take off but for guard rails.
    pub desired_minor: i64,
    /// The guard rail that lowered it.
    pub rail: Option<Reason>,
    /// Items of a product that it gives and the order lacks.
    pub to_add: Option<(Sku, i64)>,
}

/// What a grant waited for has happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Released {
    pub grant: GrantId,
    pub unit: UnitId,
    pub amount: i64,
    /// Of `amount`, what repaid a debt at once.
    pub repaid: i64,
    pub activates_at: Instant,
    /// [`Instant::MAX`]: never.
    pub expires_at: Instant,
    pub shares: Vec<Share>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RestoredLot {
    pub amount: i64,
    /// [`Instant::MAX`]: never.
    pub expires_at: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReferralState {
    Attributed,
    Qualified,
    Expired,
    Rejected,
    /// A higher claim has taken its place.
    Superseded,
}

/// What a refusal is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Subject {
    Order,
    Earn,
    /// By unit.
    Payment(UnitId),
    Reward(RewardId),
    /// As entered.
    Code(String),
    Reservation,
    Return,
    Line(LineId),
    Member,
    Adjustment,
    /// By name.
    Attribute(Label),
    /// By field.
    Profile(String),
    Card(CardId),
    Voucher(VoucherId),
    Draw(DrawId),
    /// By id.
    Event(OrderEventId),
    /// Something that a member did outside an order.
    MemberEvent,
    Tier,
    /// The other account, or the one that people join.
    Account,
    Transfer,
    /// For whom an order or an event is.
    Recipient,
    /// What keeps a rule from giving all that it would.
    Bound(Bound),
    /// Units earned, by unit.
    Units(UnitId),
    /// The quote that the command relies on.
    Quote,
    Referral(ReferralId),
    /// Who came by codes before it was known who they were.
    Visitor,
    Payout(PayoutId),
}

/// What kept a rule from giving all that it would, or anything.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bound {
    pub rule: RuleId,
    /// Whose it is: `rule:base`, `group:promo`, `campaign:may` or `unit:points`.
    pub of: String,
    /// For people: `the limit of group:promo, 100 units per day`.
    pub text: String,
}

/// Why not. Each has one value of the same name in the contract, where its meaning is documented.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Reason {
    MemberUnknown,
    MemberExists,
    OrderUnknown,
    OrderDiffers,
    OrderCommitted,
    CurrencyNotListed,
    TooFarBack,
    InFuture,
    BalanceTooLow,
    BelowMinimum,
    NotAStep,
    AboveShare,
    UnitNotPayable,
    RewardUnknown,
    RewardNotActive,
    SpendTooLow,
    NoMatchingLine,
    CodeUnknown,
    CodeNotActive,
    SelfReferral,
    AlreadyAttributed,
    NotNew,
    CodeNotTakenHere,
    CampaignUnknown,
    CodeTaken,
    ReleasedBefore,
    NothingReserved,
    TooManyReservations,
    LineUnknown,
    MoreThanLeft,
    MixedMeasure,
    NothingLeft,
    ReturnDiffers,
    UnitUnknown,
    OutOfBounds,
    TooLarge,
    TooManyCodes,
    AttributeUnknown,
    AttributeType,
    KindEarnsNothing,
    AnsweredAtClaim,
    ClaimedByOther,
    ClaimTooLate,
    NotClaimable,
    AgentLimit,
    AboveUnitsMax,
    ReasonNotAllowed,
    CreditLimit,
    TooManyVouchers,
    TooManyCards,
    VoucherUnknown,
    VoucherHeld,
    VoucherUsed,
    VoucherExpired,
    VoucherCancelled,
    OnlyByVoucher,
    DrawOver,
    DrawNotReady,
    /// Every ticket of the drum has been drawn.
    DrawEmpty,
    EventDiffers,
    EventTooLate,
    NothingToExtend,
    NothingExpired,
    EventTypeUnknown,
    EventValueTooLarge,
    ProofRequired,
    ProofUsed,
    CoolDown,
    EventUnknown,
    EventClosed,
    RecoveryTooLate,
    AlreadyRecovered,
    LimitReached,
    CampaignPaused,
    CoolingDown,
    TooManyConsequences,
    TierTooLow,
    LadderUnknown,
    LevelUnknown,
    MemberErased,
    ReservationsOpen,
    SameAccount,
    NotMovable,
    UndoOver,
    NotMerged,
    RoleMayNot,
    DailyLimit,
    AccountFull,
    AccountExists,
    TransferNotAllowed,
    AboveMaximum,
    NotInAccount,
    AbovePaymentMax,
    NotWithOthers,
    GroupTaken,
    TooManyRewards,
    TooManyOfKind,
    NotWithUnits,
    DiscountShareMax,
    DiscountedOrdersMax,
    LineNotDiscountable,
    FloorPrice,
    RewardLimit,
    OrderChanged,
    BeforeOrder,
    BeforeEnrolment,
    ReservationLapsed,
    LineExists,
    AmendmentDiffers,
    NothingKept,
    CodeMistyped,
    CodeBlocked,
    CodeNotStarted,
    CodeExpired,
    CodeUsedUp,
    VanityNotAllowed,
    Superseded,
    ReferralConditionNotMet,
    ReferralBudgetSpent,
    OutOfStock,
    NotOnOrders,
    /// Nobody of this deployment signed the quote.
    QuoteInvalid,
    /// It was given to another member, or of another program.
    QuoteForeign,
    QuoteExpired,
    /// It was of another cart.
    QuoteOfOtherCart,
    /// In changes only.
    AccountChanged,
    /// The time in which the touch counts is over.
    TouchWindowOver,
    /// No window takes touches of its kind and channel.
    TouchNotTaken,
    /// It came after what it is to have brought about.
    TouchAfterwards,
    /// A later touch is of another campaign.
    TouchOfOtherCampaign,
    /// So many later ones count that it does not.
    TouchTooOld,
    /// What is known of friend and advocate forbids it.
    ReferralSuspected,
    ReferralUnknown,
    /// It has been decided, has lapsed, or there is nothing to decide.
    ReviewClosed,
    NotAPartner,
    UnitNotPaidOut,
    PayoutOpen,
    PayoutTooSmall,
    PayoutUnknown,
    PayoutSettled,
    /// It has qualified, and somebody has to decide.
    ReferralInReview,
    /// It had to qualify before.
    ReferralExpired,
}

impl Reason {
    /// A refusal for a missing predecessor is not remembered: what is missing may yet arrive. Nor is one for an instant
    /// that lies in the future: it will come.
    pub fn is_remembered(self) -> bool {
        !matches!(
            self,
            Reason::MemberUnknown
                | Reason::OrderUnknown
                | Reason::PayoutUnknown
                | Reason::LineUnknown
                | Reason::InFuture
                | Reason::EventUnknown
                | Reason::NotMerged
        )
    }

    /// The words for people. Metrics use the variant's name.
    pub fn message(self) -> &'static str {
        match self {
            Reason::MemberUnknown => "no such member is enrolled; enrol first, then send this again",
            Reason::MemberExists => "the member is enrolled already",
            Reason::OrderUnknown => "no such order was committed",
            Reason::OrderDiffers => "the order was committed before with other content",
            Reason::OrderCommitted => "the order was committed before",
            Reason::CurrencyNotListed => "the program lists no amounts for this currency",
            Reason::TooFarBack => "it happened longer ago than the program allows",
            Reason::InFuture => "it lies in the future",
            Reason::BalanceTooLow => "more units are needed than are available",
            Reason::BelowMinimum => "fewer units than the least that may be used",
            Reason::NotAStep => "not a multiple of the step in which units may be used",
            Reason::AboveShare => "more than the part of the order that may be paid with units",
            Reason::UnitNotPayable => "this unit does not exist or cannot pay",
            Reason::RewardUnknown => "the program has no such reward",
            Reason::RewardNotActive => "the reward is not on offer at this time",
            Reason::SpendTooLow => "the order costs less than is asked",
            Reason::NoMatchingLine => "no line of the order can take it",
            Reason::CodeUnknown => "no such code",
            Reason::CodeNotActive => "the campaign of this code is no more, or its owner",
            Reason::CodeMistyped => "a character of the code is wrong: its check character does not fit",
            Reason::CodeBlocked => "the code is blocked",
            Reason::CodeNotStarted => "the campaign of this code has not begun",
            Reason::CodeExpired => "the code has expired, or its campaign is over",
            Reason::CodeUsedUp => "the code has brought as many friends as it may",
            Reason::VanityNotAllowed => "the campaign makes its codes itself",
            Reason::Superseded => "another code of the same request was taken",
            Reason::ReferralConditionNotMet => "it takes more for the referral to count",
            Reason::ReferralBudgetSpent => "what is left of the campaign's budget is not enough for this referral",
            Reason::SelfReferral => "members cannot refer themselves",
            Reason::AlreadyAttributed => "the member was referred before",
            Reason::NotNew => "the member has ordered before",
            Reason::CodeNotTakenHere => "the campaign does not take its codes at this moment",
            Reason::CampaignUnknown => "the program has no such campaign, or several and none was named",
            Reason::CodeTaken => "the code belongs to somebody else",
            Reason::ReleasedBefore => "it was released before it arrived",
            Reason::NothingReserved => "nothing is reserved for this order",
            Reason::TooManyReservations => "the member has as many open reservations as allowed",
            Reason::LineUnknown => "the order has no such line",
            Reason::MoreThanLeft => "more is returned than is left",
            Reason::MixedMeasure => "the line was returned in the other measure before: by quantity or by amount",
            Reason::NothingLeft => "nothing of the order is left to return",
            Reason::ReturnDiffers => "the return was applied before with other content",
            Reason::UnitUnknown => "the program has no such unit",
            Reason::OutOfBounds => "a number would leave its bounds",
            Reason::TooLarge => "a record would grow past its limit",
            Reason::TooManyCodes => "the member has as many codes as allowed",
            Reason::AttributeUnknown => "the program declares no such attribute",
            Reason::MemberErased => "the member was erased",
            Reason::ReservationsOpen => "reservations are open; commit or release them first",
            Reason::SameAccount => "both are the same account already",
            Reason::NotMovable => {
                "the account cannot move: it is part of another one (leave it, or undo the merge, first) or shared by several"
            }
            Reason::UndoOver => "the time in which it can be undone is over",
            Reason::NotMerged => "the member has not been merged",
            Reason::RoleMayNot => "the role in the account does not allow it",
            Reason::DailyLimit => "the limit of the day is reached",
            Reason::AccountFull => "as many belong to the account as may",
            Reason::AccountExists => "the id is taken by an account or a member",
            Reason::TransferNotAllowed => "the program does not allow units of this kind to be transferred",
            Reason::AboveMaximum => "more units than may be transferred at once",
            Reason::OrderChanged => "the order, or what is to be used on it, is not what it was",
            Reason::BeforeOrder => "it is said to have happened before the order was placed",
            Reason::BeforeEnrolment => "it is said to have happened before the member enrolled",
            Reason::LineExists => "the order has, or has had, a line of this name",
            Reason::AmendmentDiffers => "the amendment was applied before with other content",
            Reason::OutOfStock => "none of the reward is left",
            Reason::NotOnOrders => "the reward is handed over outside of orders",
            Reason::NothingKept => "nothing would be left of the order; return it instead",
            Reason::QuoteInvalid => "the quote token was not given by this deployment, or has been changed",
            Reason::QuoteForeign => "the quote was given to another member, or under another program",
            Reason::QuoteExpired => "the quote is honoured no longer; ask for another one",
            Reason::QuoteOfOtherCart => "the quote was of another cart; ask for another one",
            Reason::NotAPartner => "only partners have that",
            Reason::UnitNotPaidOut => "the unit is not paid out, or several are and none was named",
            Reason::PayoutOpen => "another payout is prepared and has to be confirmed first",
            Reason::PayoutTooSmall => "less is due than a payout has at least",
            Reason::PayoutUnknown => "the account lists no such payout",
            Reason::PayoutSettled => "it was said before what became of the payout",
            Reason::AccountChanged => "the account is not as it was when this was quoted",
            Reason::TouchWindowOver => "the time in which the touch counts is over",
            Reason::TouchNotTaken => "the campaign counts no touches of this kind and channel",
            Reason::TouchAfterwards => "it came after what it is to have brought about",
            Reason::TouchOfOtherCampaign => "a later touch is of another campaign",
            Reason::ReferralSuspected => "what is known of friend and advocate forbids the referral",
            Reason::ReferralUnknown => "the member has no such referral",
            Reason::ReviewClosed => "there is nothing open to decide; what was decided, or has lapsed, takes force",
            Reason::ReferralInReview => "the rewards of the referral wait for a review",
            Reason::ReferralExpired => "the time in which the referral had to qualify is over",
            Reason::TouchTooOld => "as many later touches count as are weighed",
            Reason::ReservationLapsed => "the reservation has lapsed",
            Reason::NotInAccount => "the person does not belong to the account",
            Reason::AbovePaymentMax => "more units than the program lets pay for one order",
            Reason::NotWithOthers => "the reward goes with no other on an order",
            Reason::GroupTaken => "another reward of its group is on the order",
            Reason::TooManyRewards => "more rewards than the program allows on one order",
            Reason::TooManyOfKind => "more rewards of this kind than the program allows on one order",
            Reason::NotWithUnits => "a reward on the order does not go with units as payment",
            Reason::DiscountShareMax => "guard rail: the largest share of an order that discounts may reach",
            Reason::DiscountedOrdersMax => "guard rail: the most orders of an account that discounts may be on",
            Reason::LineNotDiscountable => "guard rail: the lines are kept from discounts",
            Reason::FloorPrice => "guard rail: the price that lines may not fall below",
            Reason::RewardLimit => "the account has had the reward as often as it may",
            Reason::AttributeType => "the value is not of the type that the program declares",
            Reason::KindEarnsNothing => "orders of this kind earn nothing",
            Reason::AnsweredAtClaim => {
                "a guest has nothing that a code could change; it is answered when the order is claimed"
            }
            Reason::ClaimedByOther => "another member has claimed the order",
            Reason::ClaimTooLate => "the time in which the order could be claimed is over",
            Reason::EventTooLate => "what waited for the event had been called off before",
            Reason::NothingToExtend => "no units expire before that instant",
            Reason::NothingExpired => "fewer units have expired of late than are to be reinstated",
            Reason::NotClaimable => "the program lets nobody claim the orders of guests",
            Reason::AgentLimit => "the agent would credit more than is allowed in a day",
            Reason::AboveUnitsMax => "more units than are allowed at once",
            Reason::ReasonNotAllowed => "this unit is not adjusted for this reason",
            Reason::EventTypeUnknown => "the program has no such type of event",
            Reason::EventValueTooLarge => "the value is larger than an event of this type may carry",
            Reason::ProofRequired => "an event of this type needs a proof",
            Reason::ProofUsed => "the proof has counted before",
            Reason::CoolDown => "the member had an event of this type too short a time ago",
            Reason::EventDiffers => "the event was recorded before with other content",
            Reason::EventUnknown => "no such event was recorded",
            Reason::RecoveryTooLate => "the order was too long ago to be made up for",
            Reason::AlreadyRecovered => "the order was made up for before",
            Reason::EventClosed => "the event was reviewed or revoked before, or has lapsed",
            Reason::CreditLimit => "the account would be credited more by hand than is allowed in this period",
            Reason::TooManyVouchers => "the account has as many vouchers as fit",
            Reason::TooManyCards => "the account has begun as many cards as the program allows",
            Reason::VoucherUnknown => "the account has no such voucher",
            Reason::VoucherHeld => "the voucher is held for another order",
            Reason::VoucherUsed => "the voucher was used before",
            Reason::VoucherExpired => "the voucher has expired",
            Reason::VoucherCancelled => "the voucher was taken back",
            Reason::OnlyByVoucher => "the reward is given by voucher alone",
            Reason::LimitReached => "a limit of the program is reached",
            Reason::CampaignPaused => "the campaign gave far more than was expected and is paused",
            Reason::CoolingDown => "the rule gave something a short while ago and pauses",
            Reason::DrawOver => "the draw is over",
            Reason::DrawEmpty => "all tickets of the draw have been drawn",
            Reason::DrawNotReady => "the server lacks the seed that the draw is committed to",
            Reason::TooManyConsequences => "what tiers and goals grant reaches more of them than are followed at once",
            Reason::TierTooLow => "the reward is for members of another level",
            Reason::LadderUnknown => "the program has no such ladder, or several and none was named",
            Reason::LevelUnknown => "the ladder has no such level",
        }
    }
}

/// A business "no".
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    pub subject: Subject,
    pub reason: Reason,
    pub required: Option<i64>,
    pub available: Option<i64>,
}

impl Refusal {
    pub fn new(subject: Subject, reason: Reason) -> Refusal {
        Refusal { subject, reason, required: None, available: None }
    }

    /// With what it takes and what there is.
    pub fn short(subject: Subject, reason: Reason, required: i64, available: i64) -> Refusal {
        Refusal { subject, reason, required: Some(required), available: Some(available) }
    }

    /// What is missing: `required − available`, where both are stated and it makes sense.
    pub fn missing(&self) -> Option<i64> {
        let missing = self.required?.checked_sub(self.available?)?;
        (0 < missing).then_some(missing)
    }
}

/// How many units there are, by state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Balance {
    pub unit: UnitId,
    pub available: i64,
    pub pending: i64,
    pub held: i64,
    /// Owed; never negative.
    pub debt: i64,
    pub lifetime_granted: i64,
    pub lifetime_redeemed: i64,
    pub lifetime_expired: i64,
    pub lifetime_reversed: i64,
    /// Credits less debits by hand; may be negative.
    pub lifetime_adjusted: i64,
    /// Should have been taken back and was forgiven.
    pub lifetime_forgiven: i64,
    /// Lost when the member was erased, less what was owed then.
    pub lifetime_forfeited: i64,
    /// Paid for transfers.
    pub lifetime_fees: i64,
    /// In payouts that are prepared.
    pub in_payout: i64,
    pub lifetime_paid_out: i64,
    /// At most [`Balance::DATED_MAX`].
    pub activations: Vec<(Instant, i64)>,
    /// At most [`Balance::DATED_MAX`].
    pub expiries: Vec<(Instant, i64)>,
    /// Of what is pending, what waits for an event of its order.
    pub awaiting: i64,
    /// When that is called off if the event does not come; [`Instant::MAX`]: never. At most
    /// [`Balance::DATED_MAX`].
    pub awaited: Vec<(Instant, i64)>,
    /// When all of it expires unless something happens; [`Instant::MAX`]: never.
    pub idle_at: Instant,
}

impl Balance {
    pub const DATED_MAX: usize = 12;
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reservation {
    pub order_id: OrderId,
    pub revision: u32,
    pub state: ReservationState,
    pub expires_at: Instant,
    pub held: Vec<(UnitId, i64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReservationState {
    Held,
    Committed,
    Released,
    Expired,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum OrderState {
    Committed,
    PartiallyReturned,
    Returned,
    Cancelled,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Refund {
    pub money_minor: i64,
    pub tenders: Vec<Tender>,
    pub units: Vec<(UnitId, i64)>,
}

/// The trace of a decision.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Explain {
    pub rules: Vec<ExplainRule>,
    /// Order rules that no line can match.
    pub rules_left_out: u32,
    /// At most [`Explain::MISSES_MAX`], in the order in which rules are considered.
    pub nearest: Vec<NearestMiss>,
}

impl Explain {
    pub const MISSES_MAX: usize = 5;
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExplainRule {
    pub rule: RuleId,
    pub kind: Kind,
    pub applied: bool,
    pub conditions: Vec<ExplainCondition>,
    pub steps: Vec<String>,
    /// Why it gave nothing although its conditions held; empty otherwise.
    pub left_out: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExplainCondition {
    pub condition: String,
    pub met: bool,
    pub actual: String,
    pub required: String,
    /// How much is missing, where that can be told; above 0.
    pub missing: Option<i64>,
    /// The same for people, with its unit; empty where nothing is missing.
    pub missing_text: String,
}

/// A rule of which only one condition did not hold, and by how much.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NearestMiss {
    pub rule: RuleId,
    pub condition: String,
    pub missing: i64,
    /// For people: `GBP 2.40 more would give 50 points`.
    pub text: String,
}

/// An order as recorded, for reading.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderView {
    pub order_id: OrderId,
    pub member: super::id::MemberId,
    pub state: OrderState,
    pub currency: Currency,
    pub committed_at: Instant,
    pub lines: Vec<OrderLineView>,
    pub decided: Decided,
    pub returns: Vec<OrderReturnView>,
    pub events: Vec<OrderEventView>,
    pub kind: OrderKind,
    pub claimed_at: Option<Instant>,
    /// What was given to make up for it.
    pub recovery: Option<RecoveryRecord>,
    pub amendments: Vec<OrderAmendmentView>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderLineView {
    pub line_id: LineId,
    pub quantity: i64,
    pub amount_minor: i64,
    pub reduced_minor: i64,
    pub returned_quantity: i64,
    pub returned_amount_minor: i64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderEventView {
    pub event_id: OrderEventId,
    pub event: Label,
    /// Empty: all lines.
    pub lines: Vec<LineId>,
    pub effective_at: Instant,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderAmendmentView {
    pub amendment_id: ReturnId,
    pub effective_at: Instant,
    pub refund: Refund,
    pub due_minor: i64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderReturnView {
    pub return_id: ReturnId,
    pub effective_at: Instant,
    pub cause: ReturnCause,
    pub refund: Refund,
}

/// How far a member has come on a stamp card.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CardView {
    pub card: CardId,
    /// On the open card, those for free included; 0: no card is open.
    pub stamps: i64,
    pub goal: i64,
    /// Of the open card; [`Instant::MAX`]: never, or there is none.
    pub expires_at: Instant,
    pub owed: i64,
}

/// A draw as of an instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DrawView {
    pub draw: DrawId,
    pub title: String,
    pub commitment: [u8; 32],
    pub ends_at: Instant,
    pub of: i64,
    /// With the tickets that win each, in this order from ticket 0 on.
    pub prizes: Vec<(Label, i64)>,
    /// Whether this server has the seed.
    pub ready: bool,
    /// In hexadecimal; `None` before the draw is over.
    pub seed: Option<String>,
    /// Each ticket is drawn at most once.
    pub once: bool,
}

/// A leaderboard in one period.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BoardView {
    pub title: String,
    /// `None`: the board has no periods.
    pub starts_at: Option<Instant>,
    pub ends_at: Option<Instant>,
    pub as_of: Instant,
    /// All that are ranked.
    pub places: Vec<super::boards::Ranked>,
    /// Of the member that was asked about.
    pub own: Option<OwnPlace>,
}

/// Where a member stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnPlace {
    /// What the board's counter says.
    pub score: i64,
    /// `None`: not among those that are ranked.
    pub rank: Option<i64>,
    /// The member is not to be shown.
    pub hidden: bool,
}

/// A line of the list of tickets that were taken out of a drum, or went back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TicketView {
    pub position: u64,
    pub number: i64,
    /// SHA-256 of `account|cause`.
    pub digest: [u8; 32],
    /// It was not used, and is drawn again.
    pub back: bool,
    /// `None` before the draw is over.
    pub ticket: Option<i64>,
    pub prize: Option<Label>,
}

/// A member as of an instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberView {
    pub member: super::id::MemberId,
    pub account: AccountId,
    pub enrolled_at: Instant,
    pub as_of: Instant,
    pub balances: Vec<Balance>,
    pub orders: u64,
    /// Order, unit, amount, expiry of the hold.
    pub holds: Vec<(OrderId, UnitId, i64, Instant)>,
    pub referral: Option<ReferralId>,
    pub codes: Vec<Code>,
    pub friends_qualified: i64,
    pub entries: u64,
    pub kind: AccountKind,
    /// The member as one of the account's people.
    pub person: Option<Person>,
    /// Oldest first, closed ones included.
    pub vouchers: Vec<Voucher>,
    pub cards: Vec<CardView>,
    /// Given by rules.
    pub tags: Vec<Label>,
    pub tiers: Vec<TierView>,
    pub goals: Vec<GoalView>,
    pub erased_at: Option<Instant>,
    /// Members merged into the account.
    pub homes: Vec<super::id::MemberId>,
    /// `None`: the program keeps none.
    pub value: Option<super::value::ValueView>,
}

/// An account as of an instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountView {
    pub account: AccountId,
    pub kind: AccountKind,
    pub created_at: Instant,
    pub as_of: Instant,
    pub people: Vec<(super::id::MemberId, Role, Instant)>,
    pub balances: Vec<Balance>,
    pub entries: u64,
}

/// A referral as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReferralView {
    pub referral: Referral,
    pub friend: AccountId,
    pub rewards: Vec<ReferralRewardView>,
}

/// Why somebody was, or was not, attributed at some time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WeighingView {
    /// When it was asked, as it happened.
    pub effective_at: Instant,
    pub version: ProgramVersion,
    pub request: Option<super::id::RequestId>,
    pub weighing: Weighing,
    /// How the referral that came of it stands by now, and why it came to nothing; `None`: none did, or another has taken its
    /// place.
    pub stands: Option<(ReferralState, Option<RejectedFor>)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReferralRewardView {
    pub to_advocate: bool,
    /// Whose it is.
    pub beneficiary: AccountId,
    /// Which part of the credit they have, in parts per million.
    pub share_ppm: i64,
    pub unit: UnitId,
    /// What it was at first, milestones included.
    pub amount: i64,
    pub reversed: i64,
    /// What the advocate's limits left out.
    pub limited: i64,
    pub state: RewardState,
    /// When it becomes spendable.
    pub due_at: Instant,
}

/// How far a reward has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RewardState {
    /// It is on its way, or held back.
    Pending,
    Paid,
    /// All of it was taken back.
    Reversed,
    /// It waits for somebody to decide.
    InReview,
    /// A review has rejected it, or lapsed.
    Rejected,
}

/// A code as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeView {
    pub code: Code,
    pub owner: CodeOwner,
    /// Friends whom it may bring; `None`: any number.
    pub uses_max: Option<i64>,
    pub campaign_over: bool,
}

/// One entry of the ledger for reading.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryView {
    pub sequence: u64,
    pub posted_at: Instant,
    pub effective_at: Instant,
    pub fact: &'static str,
    pub detail_json: String,
    /// Book, unit, amount.
    pub postings: Vec<(&'static str, UnitId, i64)>,
    pub hash: [u8; 32],
    /// After it, of each unit that it moves: available, pending, held, and what is owed, which is not above zero.
    pub balances: Vec<(UnitId, [i64; 4])>,
}

/// A notice of what is to come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoticeView {
    /// 1, 2, 3, ... within the program.
    pub position: u64,
    pub member: super::id::MemberId,
    pub rule: RuleId,
    pub occasion_at: Instant,
    pub noticed_at: Instant,
}

/// An administrative write, carried out or refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditView {
    /// 1, 2, 3, ... within the program.
    pub position: u64,
    /// When it came to the list; never falls from one to the next.
    pub recorded_at: Instant,
    pub decided_at: Instant,
    /// The name of the credential.
    pub principal: String,
    pub agent: Option<Label>,
    /// In full.
    pub method: String,
    pub request: super::id::RequestId,
    /// As the request named them.
    pub member: super::id::MemberId,
    /// In whose ledger it stands.
    pub account: AccountId,
    pub reason: Option<AdjustReason>,
    pub reason_code: Option<Label>,
    /// As long as it is kept.
    pub note: Option<String>,
    /// Empty: it was carried out.
    pub refused_for: Vec<Reason>,
}

/// What verification of a ledger found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyView {
    pub entries: u64,
    pub from_sequence: u64,
    pub head: Option<[u8; 32]>,
    pub orders: u64,
    /// At most 100; empty when all agrees.
    pub faults: Vec<String>,
}

/// Why an order earned what it earned, told after the fact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    pub source: ExplanationSource,
    /// Whether it comes to the very grants that were made.
    pub reproduces: bool,
    pub caveats: Vec<ExplanationCaveat>,
    /// What was not earned.
    pub refusals: Vec<Refusal>,
    pub trace: Explain,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExplanationSource {
    /// Kept when the order was committed.
    Kept,
    /// Worked out again from the ledger.
    Ledger,
}

/// What an explanation cannot know for certain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExplanationCaveat {
    /// The profile of somebody was another then, or has been erased: conditions on it show what is known now.
    ProfileChanged,
    /// The version of the program that decided is not at hand: the one active at the time of the order stands in.
    OtherVersion,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SetTierAnswer {
    pub set: bool,
    pub decided: Decided,
}

/// Where a member stands on a ladder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TierView {
    pub ladder: LadderId,
    /// With its title; `None`: no level.
    pub level: Option<(LevelId, String)>,
    /// `None`: nothing holds it; it is no level, or everybody's.
    pub source: Option<Source>,
    pub since: Option<Instant>,
    /// `None`: for ever.
    pub until: Option<Instant>,
    pub in_grace: bool,
    pub perks: Vec<Label>,
    /// What counts today, with what rolled over.
    pub counted: i64,
    /// With its title and threshold; `None`: there is no higher one.
    pub next: Option<(LevelId, String, i64)>,
    pub missing: i64,
    /// When a level that was reached begins.
    pub begins_at: Option<Instant>,
    /// When the level is lost if nothing more is counted; told in the last period in which that can be helped.
    pub at_risk_at: Option<Instant>,
    /// What keeps it.
    pub keep_missing: i64,
    /// What the level is after `until` if nothing more is counted.
    pub projected: Option<LevelId>,
}

/// How far a goal is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GoalView {
    pub goal: GoalId,
    pub title: String,
    pub counted: i64,
    /// What the counter must say next.
    pub at_least: i64,
    pub missing: i64,
    /// Times it was met, as it stands.
    pub times: u32,
    pub met_at: Option<Instant>,
    /// Once it was met.
    pub badge: Option<Label>,
}
