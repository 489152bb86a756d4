//! What callers ask for, checked for shape and not yet decided.

use serde::{Deserialize, Serialize};

use super::account::{AccountKind, AttributeValue, Belongings, Birthday, Profile, Role};
use super::answer::Refusal;
use super::id::{
    AccountId, CampaignId, Code, EventId, GrantId, Label, LadderId, LevelId, LineId, MemberId, OrderEventId, OrderId,
    PayoutId, ReferralId, ReturnId, RewardId, RuleId, UnitId, VisitorId, VoucherId,
};
use super::ledger::{MoveWhy, Part};
use super::order::{Line, Order};
use super::order_record::OrderRecord;
use super::program::{Campaign, Kind};
use super::quota::QuotaKey;
use super::quote::Relied;
use super::referral::cycle::Verdict as CircleVerdict;
use super::referral::signal::Signals;
use super::referral::touch::TouchKind;
use super::referral::{CodeOwner, Referral};
use super::time::Instant;

/// A write, or the preview of one. `decide` is the same for both.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    Enroll(Enroll),
    Reserve(Reserve),
    Commit(Commit),
    Release(Release),
    Return(Return),
    Adjust(Adjust),
    CreateCode(CreateCode),
    Attribute(Attribute),
    /// An effect from another account, delivered by the relay.
    Receive(Transfer),
    /// Nothing but the passing of time.
    Advance,
    UpdateMember(UpdateMember),
    RecordEvent(RecordEvent),
    ReviewEvent(ReviewEvent),
    RevokeEvent(RevokeEvent),
    Claim(Claim),
    OrderEvent(OrderEvent),
    Extend(Extend),
    Reinstate(Reinstate),
    SetTier(SetTier),
    /// The member's account becomes part of another one.
    Relocate(Relocate),
    /// Another account is about to become part of this one: may it?
    Announce(Announce),
    /// The acting member's own account is to be one of its own again.
    Depart(Depart),
    /// What another account sends, delivered by the relay.
    Take(Parcel),
    Erase,
    Send(SendUnits),
    CreateAccount(CreateAccount),
    SetRole(SetRole),
    Amend(Amend),
    UpdateCode(UpdateCode),
    /// A claim that was pending is settled, by the relay.
    SettleReferral(SettleReferral),
    /// A reward is asked for outside an order.
    RedeemReward(RedeemReward),
    /// What a voucher is for was handed over outside an order.
    FulfilVoucher(VoucherId),
    /// A voucher is taken back before it is used.
    CancelVoucher(VoucherId),
    /// What is on offer, and what of it can be had; changes nothing.
    Catalogue(Catalogue),
    /// Somebody came by a code.
    RecordTouch(RecordTouch),
    ReviewReward(ReviewReward),
    PreparePayout(PreparePayout),
    ConfirmPayout(ConfirmPayout),
}

/// Decides about the rewards of a referral.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReviewReward {
    pub referral: ReferralId,
    pub sides: Sides,
    pub approve: bool,
    /// Also against what was decided, or has lapsed, before.
    pub forced: bool,
    pub agent: Label,
    /// Why, as a code.
    pub reason: Label,
}

/// Sides of a referral.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sides {
    pub friend: bool,
    pub advocate: bool,
}

impl Sides {
    pub const BOTH: Sides = Sides { friend: true, advocate: true };
}

/// Somebody came by a code, as a visitor.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordTouch {
    pub visitor: VisitorId,
    pub kind: TouchKind,
    pub code: EnteredCode,
    pub channel: Option<Label>,
    pub source: Option<Label>,
    /// As the browser calls itself; empty: not told. It is looked at and not kept.
    pub user_agent: String,
}

impl std::fmt::Debug for RecordTouch {
    /// Without what tells of a person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let RecordTouch { visitor: _, kind, code, channel, source, user_agent: _ } = self;
        let mut shown = f.debug_struct("RecordTouch");
        shown.field("kind", kind).field("code", code).field("channel", channel).field("source", source);
        shown.finish_non_exhaustive()
    }
}

impl RecordTouch {
    pub const USER_AGENT_BYTES_MAX: usize = 1_024;
}

/// All that a partner has coming and that is due is to be paid out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreparePayout {
    pub payout: PayoutId,
    /// `None`: the only unit that is paid out.
    pub unit: Option<UnitId>,
}

/// What became of a payout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfirmPayout {
    pub payout: PayoutId,
    /// Otherwise it failed, and is due again.
    pub paid: bool,
    /// What it is called where it was paid.
    pub reference: Option<Label>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RedeemReward {
    pub reward: RewardId,
    /// Where it is handed over.
    pub store: Option<Label>,
}

/// Asks what is on offer.
#[derive(Clone, PartialEq, Debug)]
pub struct Catalogue {
    /// On this order; `None`: outside any order.
    pub order: Option<Order>,
    /// What is to be used on the order already.
    pub redeem: Redeem,
    /// Where it would be handed over, outside an order.
    pub store: Option<Label>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Enroll {
    pub member: MemberId,
    /// As entered, at most [`CODES_MAX`].
    pub codes: Vec<EnteredCode>,
    /// What is known of them from the start.
    pub profile: ProfileChange,
    /// Who they were before they signed up.
    pub visitor: Option<VisitorId>,
    pub signals: Signals,
}

/// What is to change in a profile; fields that it leaves out stay. Removals come before additions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProfileChange {
    pub set_attributes: Vec<(Label, AttributeValue)>,
    pub clear_attributes: Vec<Label>,
    pub add_tags: Vec<Label>,
    pub remove_tags: Vec<Label>,
    pub add_segments: Vec<Label>,
    pub remove_segments: Vec<Label>,
    /// The inner `None` clears it.
    pub birthday: Option<Option<Birthday>>,
    /// An IANA name; the inner `None` clears it.
    pub zone: Option<Option<String>>,
    pub leaderboard_opt_out: Option<bool>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpdateMember {
    pub change: ProfileChange,
    pub signals: Signals,
}

/// Most codes in one request.
pub const CODES_MAX: usize = 10;
/// Most rewards in one redemption.
pub const REWARDS_MAX: usize = 20;
/// Most vouchers in one redemption.
pub const VOUCHERS_MAX: usize = 20;
/// Most tenders of one order.
pub const TENDERS_MAX: usize = 20;

/// A code as the shopper typed it, and what it reads as.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EnteredCode {
    /// For the answer; up to 64 bytes.
    pub raw: String,
    /// `None`: no code can read like this.
    pub code: Option<Code>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Reserve {
    pub order: Order,
    pub redeem: Redeem,
    /// `None`: the program's default. More than the program's maximum is shortened to it by the decision.
    pub ttl_s: Option<i64>,
    pub explain: bool,
    /// The quote on whose strength it is reserved.
    pub quote: Option<Relied>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Commit {
    pub order: Order,
    /// `None`: what the order's reservation redeems, else nothing.
    pub redeem: Option<Redeem>,
    pub codes: Vec<EnteredCode>,
    /// The shopper has paid already: what was redeemed stands, a shortfall becomes debt.
    pub paid: bool,
    pub tenders: Vec<Tender>,
    pub explain: bool,
    /// The quote on whose strength it is bought.
    pub quote: Option<Relied>,
    /// Who they are to those who do not know them.
    pub visitor: Option<VisitorId>,
    pub signals: Signals,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Release {
    pub order_id: OrderId,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Return {
    pub order_id: OrderId,
    pub return_id: ReturnId,
    pub what: ReturnWhat,
    pub cause: ReturnCause,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReturnWhat {
    /// All that is left.
    Everything,
    /// Each line at most once.
    Lines(Vec<(LineId, Measure)>),
}

/// How much of a line comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Measure {
    /// Whole items, at least 1.
    Quantity(i64),
    /// Minor units of the line's amount, at least 1.
    Amount(i64),
}

/// Lines go out of an order and others come in, as one decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Amend {
    pub order_id: OrderId,
    /// Names it within its order, among the returns.
    pub amendment_id: ReturnId,
    /// Each line at most once.
    pub remove: Vec<(LineId, Measure)>,
    /// Under names that the order has not had.
    pub add: Vec<Line>,
    /// What is used on the lines that come in.
    pub redeem: Option<Redeem>,
    /// How the lines that come in were paid.
    pub tenders: Vec<Tender>,
}

/// Something happened to an order after it was bought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderEvent {
    pub order_id: OrderId,
    pub event_id: OrderEventId,
    pub event: Label,
    /// Each at most once; empty: all.
    pub lines: Vec<LineId>,
}

/// Units that would expire are to live longer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extend {
    /// `None`: the program's default unit.
    pub unit: Option<UnitId>,
    /// Lots that expire before it; `None`: all that expire before `expires_at`.
    pub expiring_before: Option<Instant>,
    /// When they expire instead.
    pub expires_at: Instant,
    pub reason: AdjustReason,
    pub agent: Label,
    pub note: Option<String>,
}

/// Units that have expired are to be given back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reinstate {
    /// `None`: the program's default unit.
    pub unit: Option<UnitId>,
    /// What expired last comes back first; `None`: all that is remembered.
    pub amount: Option<i64>,
    /// `None`: by the unit's terms.
    pub expires_at: Option<Instant>,
    pub reason: AdjustReason,
    pub agent: Label,
    pub note: Option<String>,
}

/// A member says that a guest's order was theirs.
#[derive(Clone, PartialEq, Debug)]
pub struct Claim {
    pub order_id: OrderId,
    pub claimed_at: Instant,
    pub guest: GuestOrder,
}

/// What was found under the guest of the order that is claimed.
#[derive(Clone, PartialEq, Debug)]
pub enum GuestOrder {
    /// No guest has committed such an order.
    Absent,
    /// Somebody else has claimed it.
    Taken,
    /// Nobody has claimed it, and this member may not.
    Open(Box<OrderRecord>),
    /// It is this member's for good; as it stood when it became so.
    Claimed(Box<OrderRecord>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReturnCause {
    Return,
    /// Returns all that is left, whatever lines are named.
    Cancel,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adjust {
    /// `None`: the program's default unit.
    pub unit: Option<UnitId>,
    /// Positive credits, negative debits; not zero.
    pub amount: i64,
    pub reason: AdjustReason,
    pub agent: Label,
    /// Up to 500 bytes; kept beside the ledger.
    pub note: Option<String>,
    /// For credits alone; `None`: by the unit's terms.
    pub expires_at: Option<Instant>,
    /// A credit that makes up for this order.
    pub order: Option<OrderId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AdjustReason {
    Goodwill,
    ServiceRecovery,
    Correction,
    Migration,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateCode {
    /// `None`: the program's only campaign.
    pub campaign: Option<CampaignId>,
    /// The advocate's own wish, as stored.
    pub vanity: Option<Code>,
    /// What it is for, where an advocate has several.
    pub label: Option<Label>,
    /// `None`: by the campaign's terms; never later than those.
    pub expires_at: Option<Instant>,
    /// `None`: by the campaign's terms.
    pub uses_max: Option<i64>,
}

/// Blocks a code of the member, or unblocks it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpdateCode {
    pub code: EnteredCode,
    pub blocked: bool,
    pub agent: Label,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attribute {
    pub code: EnteredCode,
    /// Who of the staff says so; `None`: the friend.
    pub agent: Option<Label>,
    pub signals: Signals,
}

/// What became of a claim that was pending.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettleReferral {
    pub referral: ReferralId,
    /// Which claim is meant: a higher one may have taken its place.
    pub attributed_at: Instant,
    pub verdict: CircleVerdict,
}

/// Makes the member's account a part of another one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relocate {
    pub why: Relocation,
    /// What was found out about the other account.
    pub target: Target,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Relocation {
    /// The member is the same person as `into`.
    Merge { into: MemberId },
    /// The member joins an account. The first who does is its owner; others are brought in by one who may.
    Join { account: AccountId, role: Role, invited_by: Option<MemberId> },
}

impl Relocation {
    /// Whose account is looked for.
    pub fn target(&self) -> MemberId {
        match self {
            Relocation::Merge { into } => into.clone(),
            Relocation::Join { account, .. } => MemberId::from(account),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Nobody has looked yet.
    Unknown,
    Refused(Refusal),
    Found {
        account: AccountId,
        why: MoveWhy,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announce {
    pub from: AccountId,
    pub why: Relocation,
    /// Who moves.
    pub member: MemberId,
    /// The most lots of any unit that will arrive.
    pub lots: usize,
    /// How many homes will arrive.
    pub homes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depart {
    /// Undoes the merge of the acting member.
    Undo,
    /// The acting member leaves the account that they joined.
    Leave,
}

/// Gives units to another member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SendUnits {
    pub to: MemberId,
    /// `None`: the program's default unit.
    pub unit: Option<UnitId>,
    pub amount: i64,
    pub target: Recipient,
}

/// What was found out about who is to get something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recipient {
    Unknown,
    Erased,
    Found(AccountId),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateAccount {
    pub account: AccountId,
    pub kind: AccountKind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetRole {
    /// Whose role it is to be.
    pub person: MemberId,
    pub role: Role,
}

/// An effect on another account, as it waits on the feed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outgoing {
    Transfer(Transfer),
    Parcel(Parcel),
    /// The notes and codes of an erased account, to be removed from beside the ledger.
    Forget(Forget),
    /// What the record of a code is to say.
    Code(CodeEffect),
    /// A claim that is to be confirmed.
    Confirm(ConfirmReferral),
    /// A review has opened or closed.
    Review(ReviewEffect),
    /// Something has gone back into the stock of a reward, or to another quota.
    StockBack(StockBack),
    /// More of a quota was used than had been set aside of it.
    Overdrawn(Overdrawn),
}

/// More of a quota was used than had been set aside of it, which lies beside the account, as a sum of all that ever was.
/// It may be told any number of times.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Overdrawn {
    pub account: AccountId,
    pub quota: QuotaKey,
    /// See [`Want::capacity`](super::quota::Want::capacity).
    pub capacity: i64,
    /// See [`Want::since`](super::quota::Want::since).
    pub since: Instant,
    pub effective_at: Instant,
}

/// Something has gone back into the stock of a reward, beside the account that had it. Tells where it lies: what it says
/// may be told any number of times.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StockBack {
    pub account: AccountId,
    pub quota: QuotaKey,
    /// Whether callers may wait for it: what comes back of stock is there for others before the answer.
    pub at_once: bool,
    pub effective_at: Instant,
}

impl Outgoing {
    pub fn target(&self) -> &AccountId {
        match self {
            Outgoing::Transfer(transfer) => &transfer.target,
            Outgoing::Parcel(parcel) => &parcel.target,
            Outgoing::Forget(forget) => &forget.account,
            Outgoing::Code(code) => &code.account,
            Outgoing::Confirm(confirm) => &confirm.friend,
            Outgoing::Review(review) => &review.friend,
            Outgoing::StockBack(back) => &back.account,
            Outgoing::Overdrawn(overdrawn) => &overdrawn.account,
        }
    }

    pub fn effective_at(&self) -> Instant {
        match self {
            Outgoing::Transfer(transfer) => transfer.effective_at,
            Outgoing::Parcel(parcel) => parcel.effective_at,
            Outgoing::Forget(forget) => forget.effective_at,
            Outgoing::Code(code) => code.effective_at,
            Outgoing::Confirm(confirm) => confirm.attributed_at,
            Outgoing::Review(review) => review.effective_at,
            Outgoing::StockBack(back) => back.effective_at,
            Outgoing::Overdrawn(overdrawn) => overdrawn.effective_at,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Forget {
    pub account: AccountId,
    /// The homes of the account, whose notes go as well.
    pub homes: Vec<AccountId>,
    pub codes: Vec<Code>,
    pub effective_at: Instant,
}

/// What an account says of a code of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CodeEffect {
    pub account: AccountId,
    pub code: Code,
    pub owner: CodeOwner,
    pub effective_at: Instant,
}

/// A claim of which nobody knows yet whether it closes a circle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConfirmReferral {
    pub friend: AccountId,
    pub referral: ReferralId,
    pub attributed_at: Instant,
}

/// That something has become of a review; what that is, the friend's account says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReviewEffect {
    pub friend: AccountId,
    pub referral: ReferralId,
    pub effective_at: Instant,
}

/// What one account hands over to another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Parcel {
    pub target: AccountId,
    pub from: AccountId,
    pub what: Contents,
    /// When what caused it happened at its origin.
    pub effective_at: Instant,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Contents {
    /// All that an account owns that becomes part of the target. The profile is personal: it waits on the feed and
    /// goes from there into the record, and is in no ledger.
    Belongings { why: MoveWhy, revision: u32, belongings: Box<Belongings>, profile: Box<Profile> },
    /// The target is an account of its own again, with this.
    Homecoming { revision: u32, belongings: Box<Belongings>, profile: Box<Profile> },
    /// Units that a member gives.
    Gift { transfer: GrantId, unit: UnitId, parts: Vec<Part>, taken: Vec<Part>, fee: i64 },
    /// A gift that could not be taken, as it was taken from its giver.
    GiftBack { transfer: GrantId, unit: UnitId, taken: Vec<Part>, fee: i64 },
}

impl Parcel {
    /// Names what came in for good, so that it is taken in once; `None`: the account itself tells.
    pub fn grant(&self) -> Option<GrantId> {
        match &self.what {
            Contents::Belongings { .. } => Some(GrantId::of(&["moved", self.from.as_str()])),
            Contents::Homecoming { .. } => None,
            Contents::Gift { transfer, .. } => Some(transfer.clone()),
            Contents::GiftBack { transfer, .. } => Some(GrantId::of(&["back", transfer.as_str()])),
        }
    }

    /// Whether it is for the account of that name, even while that is part of another.
    pub fn is_homecoming(&self) -> bool {
        matches!(self.what, Contents::Homecoming { .. })
    }
}

/// What the member wants to use on an order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Redeem {
    pub mode: RedeemMode,
    pub pay: Option<PayWithUnits>,
    /// Each at most once; applied in this order, before units as payment.
    pub rewards: Vec<RewardId>,
    /// Each at most once; applied in this order, before rewards.
    pub vouchers: Vec<VoucherId>,
}

impl Redeem {
    /// Whether it asks for nothing.
    pub fn is_nothing(&self) -> bool {
        self.pay.is_none() && self.rewards.is_empty() && self.vouchers.is_empty()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum RedeemMode {
    #[default]
    AllOrNothing,
    AsPossible,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PayWithUnits {
    /// `None`: the program's default unit.
    pub unit: Option<UnitId>,
    pub amount: PayAmount,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PayAmount {
    Exactly(i64),
    AtMost(i64),
    AllPossible,
}

/// How money was paid.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tender {
    pub tender: Label,
    pub amount_minor: i64,
}

/// Units granted here for an account elsewhere. States the whole as it stands, not a change: whatever order such
/// effects arrive in and however often, the last revision wins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Transfer {
    pub target: AccountId,
    pub grant: GrantId,
    pub rule: RuleId,
    pub kind: Kind,
    pub unit: UnitId,
    /// Rises with each change of `net`; the first is 1.
    pub revision: u32,
    /// What the target should have been granted in all.
    pub net: i64,
    pub activates_at: Instant,
    pub expires_at: Instant,
    /// When what caused it happened at its origin.
    pub effective_at: Instant,
    /// For whom it is that the origin was brought by.
    pub brought: Option<Brought>,
}

/// That units are granted for a friend who was brought.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Brought {
    pub referral: ReferralId,
    pub campaign: CampaignId,
    /// Pins the terms: when the friend came.
    pub terms_at: Instant,
    /// 1: the friend's advocate; 2: that one's; ...
    pub generation: u8,
    /// Whether it is for the friend as such: one more that counts. Commission is not.
    pub counts: bool,
    /// What the first of the generations is granted, of which the others get their share.
    pub base: i64,
    /// When it was earned, whatever has become of it since: by that it counts in limits.
    pub earned_at: Instant,
    /// Whether shares of it go on to further generations: they do from the advocate to whom the friend is attributed, not
    /// from those who share the credit.
    pub goes_on: bool,
}

impl Brought {
    pub fn by_friend(referral: &Referral, base: i64, earned_at: Instant) -> Brought {
        Brought {
            referral: referral.referral.clone(),
            campaign: referral.campaign.clone(),
            terms_at: referral.attributed_at,
            generation: 1,
            counts: true,
            base,
            earned_at,
            goes_on: true,
        }
    }

    /// The same for the `place`th of those who have the credit: the first alone counts the friend.
    pub fn for_place(self, place: usize) -> Brought {
        Brought { counts: self.counts && place == 0, goes_on: place == 0, ..self }
    }

    pub fn by_order(referral: &Referral, base: i64, earned_at: Instant) -> Brought {
        Brought { counts: false, ..Brought::by_friend(referral, base, earned_at) }
    }

    /// What whoever brought this generation gets, in basis points of the base.
    pub fn generation_share(&self, terms: &Campaign) -> Option<i64> {
        terms.generations.get(usize::from(self.generation.checked_sub(1)?)).copied().filter(|_| self.goes_on)
    }

    /// The name of the grant from which that of this generation is made.
    pub fn origin<'g>(&self, grant: &'g GrantId) -> &'g str {
        let name = grant.as_str();
        if self.generation <= 1 { name } else { name.split_once(':').map_or(name, |(_, origin)| origin) }
    }
}

/// Something that a member did outside an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordEvent {
    pub event: EventId,
    pub kind: Label,
    /// Not below 0.
    pub value: Option<i64>,
    /// Each name once.
    pub attributes: Vec<(Label, AttributeValue)>,
    /// Up to [`RecordEvent::PROOF_BYTES_MAX`].
    pub proof: Option<String>,
    /// For whom it was done.
    pub recipient: Option<MemberId>,
}

impl RecordEvent {
    pub const PROOF_BYTES_MAX: usize = 256;
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReviewEvent {
    pub event: EventId,
    pub verdict: Verdict,
    pub agent: Label,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Approve,
    Reject,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevokeEvent {
    pub event: EventId,
    pub agent: Label,
}

impl Command {
    /// The event that a command is about.
    pub fn event(&self) -> Option<&EventId> {
        match self {
            Command::RecordEvent(RecordEvent { event, .. })
            | Command::ReviewEvent(ReviewEvent { event, .. })
            | Command::RevokeEvent(RevokeEvent { event, .. }) => Some(event),
            _ => None,
        }
    }

    /// Who of the staff acts; `None`: the command names nobody.
    pub fn agent(&self) -> Option<&Label> {
        match self {
            Command::Adjust(Adjust { agent, .. })
            | Command::Extend(Extend { agent, .. })
            | Command::Reinstate(Reinstate { agent, .. })
            | Command::SetTier(SetTier { agent, .. })
            | Command::ReviewEvent(ReviewEvent { agent, .. })
            | Command::RevokeEvent(RevokeEvent { agent, .. })
            | Command::UpdateCode(UpdateCode { agent, .. })
            | Command::ReviewReward(ReviewReward { agent, .. }) => Some(agent),
            Command::Attribute(Attribute { agent, .. }) => agent.as_ref(),
            _ => None,
        }
    }

    /// Why a correction is made, where a command says so.
    pub fn adjust_reason(&self) -> Option<AdjustReason> {
        match self {
            Command::Adjust(Adjust { reason, .. })
            | Command::Extend(Extend { reason, .. })
            | Command::Reinstate(Reinstate { reason, .. })
            | Command::SetTier(SetTier { reason, .. }) => Some(*reason),
            _ => None,
        }
    }

    /// Why something is decided so, where a command says it as a code.
    pub fn reason_code(&self) -> Option<&Label> {
        match self {
            Command::ReviewReward(ReviewReward { reason, .. }) => Some(reason),
            _ => None,
        }
    }
}

/// A level of status by hand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetTier {
    /// `None`: the program's only ladder.
    pub ladder: Option<LadderId>,
    /// `None`: ends the level that was given by hand.
    pub level: Option<LevelId>,
    /// `None`: for ever.
    pub until: Option<Instant>,
    pub reason: AdjustReason,
    pub agent: Label,
}
