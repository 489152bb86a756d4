//! The compiled program that decisions read. `crate::program` turns files into it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::account::Role;
use super::id::{
    CampaignId, CardId, CounterId, GoalId, GroupId, Label, LadderId, ProgramId, RewardId, RuleId, Sku, UnitId,
};
use super::money::Rounding;
use super::order::{Currency, Line, LineKind, Order, OrderKind};
use super::referral::touch::Touch;
use super::time::{Day, Instant, Period};

pub use adjustment::{AdjustmentTerms, RecoveryTerms};
pub use award::{Beyond, CardsMax, ForEach, GiveStamps, GiveTags, GiveVoucher, StampCard, VoucherTerms};
pub use board::{Board, BoardPeriod};
pub use campaign::{
    AttributeAt, Campaign, Cap, CapOf, CapPer, CodeTerms, Commission, CreditTerms, FraudTerms, Milestone, Qualify,
    SideReward, TouchTerms, TouchWindow, Velocity,
};
pub use counter::{CounterTerms, CounterWindow, Counts};
pub use draw::{Draw, DrawPrize};
pub use event::{Approval, EventTerms, ProofScope};
pub use index::{Candidates, OutOfReach, RuleIndex, Selected};
pub use life::{Activity, AwaitTerms, DebtTerms, IdleTerms, LifeTerms, MonthDay, Overdraw, PayoutTerms, UnitTerms};
pub use price::{LowerPrice, MemberPrice};
pub use redemption::{ApplyOrder, Floor, FloorPrice, PercentBase, Rails, RedemptionTerms};
pub use reward::{
    BuyGet, Codes, ItemPrice, ItemsOff, PercentOff, Pick, Reward, RewardBy, RewardKind, RewardLimit, RewardSort,
    SetPrice, Stock,
};
pub use rule::{
    Bonus, Brake, Combine, Conditions, CounterCondition, Earn, GrantTo, Group, GroupPick, Limit, LimitOf, LimitOver,
    LimitPer, Multiply, Occasion, OnReach, OrderNumber, QuantityBounds, RoundPer, Rule, RuleCampaign, SpendMin,
    SpendOf, Then, Trigger,
};
pub use tier::{Goal, Keep, Ladder, Level, Levels, Repeat, Undo, Upgrade};
pub use uncounted::uncounted;
pub use value::{ValueScores, ValueTerms};

mod adjustment;
mod award;
mod board;
mod campaign;
mod counter;
mod draw;
mod event;
mod index;
mod life;
mod price;
mod redemption;
mod reward;
mod rule;
mod tier;
mod uncounted;
mod value;

/// Names one immutable version of a program: the first 16 hex digits of the SHA-256 of its text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ProgramVersion(pub Arc<str>);

impl std::fmt::Display for ProgramVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// An amount of money for each currency that the program lists; minor units.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PerCurrency(pub BTreeMap<Currency, i64>);

impl PerCurrency {
    pub fn get(&self, currency: Currency) -> Option<i64> {
        self.0.get(&currency).copied()
    }
}

/// One version of a program, checked and indexed.
#[derive(Clone, Debug)]
pub struct Program {
    pub id: ProgramId,
    pub version: ProgramVersion,
    pub title: String,
    pub zone: TimeZone,
    /// Currencies that orders may come in; others earn and redeem nothing, and are told so.
    pub currencies: Vec<Currency>,
    /// At least one; the first is the default.
    pub units: Vec<UnitTerms>,
    pub stores: BTreeMap<Label, StoreTerms>,
    pub earning: EarningTerms,
    /// In the order of the file.
    pub rules: Vec<Rule>,
    pub index: RuleIndex,
    /// At most one per unit.
    pub payments: Vec<PaymentTerms>,
    pub rewards: Vec<Reward>,
    pub campaigns: Vec<Campaign>,
    pub touches: TouchTerms,
    /// Whether figures of referrals are kept.
    pub referral_figures: bool,
    pub reservations: ReservationTerms,
    pub quotes: QuoteTerms,
    pub returns: ReturnTerms,
    /// How far in the past a command may have happened, in milliseconds.
    pub back_dating_ms_max: i64,
    pub counters: Vec<CounterTerms>,
    pub groups: Vec<Group>,
    pub rule_campaigns: Vec<RuleCampaign>,
    /// Days on which no rule for orders applies, by the program's calendar; ascending.
    pub closed_on: Vec<Day>,
    pub rates: Vec<ExchangeRate>,
    /// At most one per unit.
    pub unit_limits: Vec<UnitLimits>,
    pub guests: GuestTerms,
    /// What may be known of members beside what this program defines itself.
    pub attributes: BTreeMap<Label, AttributeType>,
    /// Of units that have bounds.
    pub adjustments: Vec<AdjustmentTerms>,
    pub recovery: RecoveryTerms,
    pub stamp_cards: Vec<StampCard>,
    pub vouchers: VoucherTerms,
    /// Types of events that members may report.
    pub events: BTreeMap<Label, EventTerms>,
    /// Of how many orders in a thousand the trace is kept beside them.
    pub explain_sample_permille: i64,
    pub draws: Vec<Draw>,
    pub ladders: Vec<Ladder>,
    pub goals: Vec<Goal>,
    /// Counters in which what a rule on a tier or a goal grants does not count, for they lead to that tier or goal: no
    /// status carries itself.
    pub uncounted: Vec<(RuleId, Vec<CounterId>)>,
    pub accounts: AccountTerms,
    /// By unit; what is not listed cannot be transferred.
    pub transfers: BTreeMap<UnitId, TransferTerms>,
    /// `None`: no value profile is kept.
    pub value: Option<ValueTerms>,
    pub boards: Vec<Board>,
    pub redemption: RedemptionTerms,
    pub member_prices: Vec<MemberPrice>,
}

/// Accounts that people join, and merges.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountTerms {
    pub members_max: i64,
    /// How long after a merge it can be undone.
    pub merge_undo_within: Period,
    pub owner: RoleTerms,
    pub admin: RoleTerms,
    pub member: RoleTerms,
    pub earner: RoleTerms,
}

impl AccountTerms {
    pub fn role(&self, role: Role) -> &RoleTerms {
        match role {
            Role::Owner => &self.owner,
            Role::Admin => &self.admin,
            Role::Member => &self.member,
            Role::Earner => &self.earner,
        }
    }
}

/// What a role may do in a shared account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoleTerms {
    pub redeem: bool,
    pub transfer: bool,
    pub invite: bool,
    /// The most units of a kind that each person of the role may redeem in a day of the program's calendar.
    pub redeem_per_day_max: BTreeMap<UnitId, i64>,
}

/// How members may give units of one kind to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TransferTerms {
    pub units_min: i64,
    pub units_max: i64,
    /// The most transfers of an account in a day of the program's calendar.
    pub per_day_max: i64,
    pub fee: TransferFee,
    /// Whether units keep their expiry, or expire as if granted now.
    pub keeps_expiry: bool,
}

/// On top of what is transferred.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransferFee {
    None,
    Units(i64),
    /// Of what is transferred, in basis points.
    Share(i64, Rounding),
}

/// What values an attribute of members has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttributeType {
    Int,
    Bool,
    Text,
}

impl Program {
    pub fn unit(&self, unit: &UnitId) -> Option<&UnitTerms> {
        self.units.iter().find(|terms| terms.unit == *unit)
    }

    pub fn reward(&self, reward: &RewardId) -> Option<&Reward> {
        self.rewards.iter().find(|r| r.id == *reward)
    }

    pub fn campaign(&self, campaign: &CampaignId) -> Option<&Campaign> {
        self.campaigns.iter().find(|c| c.id == *campaign)
    }

    /// Until before when a touch may count; one of a campaign that is no more counts no more.
    pub fn counts_until(&self, touch: &Touch) -> Instant {
        let window = self.campaign(&touch.campaign).and_then(|terms| terms.window(touch));
        window.map_or(touch.at, |window| {
            let signed_up_by = window.sign_up_within.after(touch.at, &self.zone);
            window.purchase_within.map_or(signed_up_by, |within| within.after(signed_up_by, &self.zone))
        })
    }

    pub fn event(&self, kind: &Label) -> Option<&EventTerms> {
        self.events.get(kind)
    }

    pub fn adjustment(&self, unit: &UnitId) -> Option<&AdjustmentTerms> {
        self.adjustments.iter().find(|terms| terms.unit == *unit)
    }

    pub fn stamp_card(&self, card: &CardId) -> Option<&StampCard> {
        self.stamp_cards.iter().find(|c| c.id == *card)
    }

    pub fn counter(&self, counter: &CounterId) -> Option<&CounterTerms> {
        self.counters.iter().find(|terms| terms.id == *counter)
    }

    pub fn rule(&self, rule: &RuleId) -> Option<&Rule> {
        self.rules.get(self.index.number(rule)?)
    }

    pub fn group(&self, group: &GroupId) -> Option<&Group> {
        self.groups.iter().find(|known| known.id == *group)
    }

    pub fn limits_of(&self, unit: &UnitId) -> Option<&UnitLimits> {
        self.unit_limits.iter().find(|limits| limits.unit == *unit)
    }

    pub fn campaign_of(&self, rule: &Rule) -> Option<&RuleCampaign> {
        self.rule_campaigns.get(rule.campaign?)
    }

    pub fn ladder(&self, ladder: &LadderId) -> Option<&Ladder> {
        self.ladders.iter().find(|known| known.id == *ladder)
    }

    /// Counters in which what a rule grants does not count.
    pub fn uncounted(&self, rule: &RuleId) -> &[CounterId] {
        self.uncounted.iter().find(|(of, _)| of == rule).map_or(&[], |(_, counters)| counters)
    }

    pub fn goal(&self, goal: &GoalId) -> Option<&Goal> {
        self.goals.iter().find(|known| known.id == *goal)
    }

    /// An amount of an order in the program's first currency, in which sums over orders are kept; `None` for a
    /// currency that has no rate at that time.
    pub fn in_first_currency(&self, currency: Currency, minor: i64, at: Instant) -> Option<i64> {
        let first = *self.currencies.first()?;
        if first == currency {
            return Some(minor);
        }
        self.rate(currency, at)?.convert(minor, first)
    }

    /// The rate of a currency at an instant: the last that began at or before it.
    fn rate(&self, currency: Currency, at: Instant) -> Option<&ExchangeRate> {
        let known = self.rates.iter().filter(|rate| rate.currency == currency && rate.from <= at);
        known.max_by_key(|rate| rate.from)
    }

    /// In which currency an order earns: its own where the program states amounts in it, else the program's first where
    /// there is a rate; `None`: it earns nothing.
    pub fn earning_currency(&self, currency: Currency, at: Instant) -> Option<Currency> {
        if self.currencies.contains(&currency) {
            return Some(currency);
        }
        self.rate(currency, at).and_then(|_| self.currencies.first().copied())
    }

    /// The clock on the wall where the order was made: its store's zone, else its own, else the program's.
    pub fn zone_of<'a>(&'a self, order: &'a Order) -> &'a TimeZone {
        let of_store = order.store.as_ref().and_then(|store| self.stores.get(store)).map(|store| &store.zone);
        of_store.or(order.zone.as_ref()).unwrap_or(&self.zone)
    }
}

/// What bounds all rules that give a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitLimits {
    pub unit: UnitId,
    pub limits: Vec<Limit>,
    /// Rules give no more than fits under this, pending and held units counted; `None`: no bound.
    pub balance_max: Option<i64>,
    /// What all members together may have outstanding, pending and held units counted; `None`: no bound.
    pub outstanding_max: Option<i64>,
}

/// What a currency is worth in the program's first, from an instant on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExchangeRate {
    pub from: Instant,
    pub currency: Currency,
    /// Of the first currency for one of this, in major units, times [`ExchangeRate::SCALE`].
    pub rate_scaled: i64,
    pub rounding: Rounding,
}

impl ExchangeRate {
    pub const SCALE: i64 = 1_000_000;

    /// Minor units of this currency as minor units of the first; `None` when they do not fit.
    pub fn convert(&self, minor: i64, first: Currency) -> Option<i64> {
        let up = 10i128.checked_pow(first.exponent())?;
        let down = 10i128.checked_pow(self.currency.exponent())?;
        let numerator = i128::from(minor).checked_mul(i128::from(self.rate_scaled))?.checked_mul(up)?;
        let denominator = i128::from(ExchangeRate::SCALE).checked_mul(down)?;
        self.rounding.apply(super::money::Ratio { numerator, denominator })
    }
}

/// The versions of one program and when each became active.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// Ascending; the first counts from the beginning of time.
    pub versions: Vec<(Instant, Arc<Program>)>,
}

impl Timeline {
    /// One version for all time.
    pub fn of(program: Arc<Program>) -> Timeline {
        Timeline { versions: vec![(Instant(0), program)] }
    }

    /// The version active at `at`: the last that began at or before it, else the first. `None` when empty.
    pub fn at(&self, at: Instant) -> Option<&Arc<Program>> {
        let started = self.versions.iter().rev().find(|(from, _)| *from <= at);
        started.or(self.versions.first()).map(|(_, program)| program)
    }

    /// From when on the version active at `at` has been; the first counts from the beginning of time.
    pub fn since(&self, at: Instant) -> Instant {
        self.versions.iter().skip(1).rev().map(|(from, _)| *from).find(|from| *from <= at).unwrap_or(Instant(0))
    }
}

#[derive(Clone, Debug)]
pub struct StoreTerms {
    pub zone: TimeZone,
}

/// What amount of a line earns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EarningTerms {
    /// Discounts that this program grants on the order lower what earns (default), or not.
    pub after_discounts: bool,
    /// Tax earns too (default), or not. A reduced line's tax is scaled alike.
    pub tax_included: bool,
    /// Goods always earn, gift cards never do.
    pub shipping_earns: bool,
    pub fees_earn: bool,
    /// The part paid with units earns too (default), or not.
    pub paid_with_units_earns: bool,
    /// Lines that earn nothing under any rule.
    pub excluded: LineMatch,
    /// What happens when several multipliers match a line.
    pub multipliers: MultiplierPolicy,
    /// What happens when several base rates of a unit apply.
    pub base_rules: BaseRules,
    /// Lines that cost less than their list price earn too (default), or not.
    pub discounted_lines_earn: bool,
    /// Sorts of orders that earn.
    pub order_kinds: Vec<OrderKind>,
}

impl EarningTerms {
    /// Whether a line of this kind earns at all.
    pub fn kind_earns(&self, kind: LineKind) -> bool {
        match kind {
            LineKind::Goods => true,
            LineKind::Shipping => self.shipping_earns,
            LineKind::Fee => self.fees_earn,
            LineKind::GiftCard => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BaseRules {
    /// They add up.
    #[default]
    Add,
    /// Only the first, by priority, whose conditions hold.
    First,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MultiplierPolicy {
    /// On each line, the highest factor alone; the earlier rule when equal.
    #[default]
    Highest,
    /// Double and triple together add one and two times the base: four times in all.
    Add,
}

/// Which of the five kinds of loyalty a rule serves; reports are by kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Kind {
    Transactional,
    Social,
    Emotional,
    Behavioural,
    Advocacy,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Transactional => "transactional",
            Kind::Social => "social",
            Kind::Emotional => "emotional",
            Kind::Behavioural => "behavioural",
            Kind::Advocacy => "advocacy",
        }
    }
}

/// Lines that match: any of each non-empty list, all lists together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LineMatch {
    pub categories: Vec<Label>,
    pub skus: Vec<Sku>,
    pub brands: Vec<Label>,
    pub collections: Vec<Label>,
    pub labels: Vec<Label>,
    /// On marketplaces.
    pub sellers: Vec<Label>,
}

impl LineMatch {
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty()
            && self.skus.is_empty()
            && self.brands.is_empty()
            && self.collections.is_empty()
            && self.labels.is_empty()
            && self.sellers.is_empty()
    }

    /// Whether every list that is not empty names the line. An empty match names every line.
    pub fn names(&self, line: &Line) -> bool {
        let category = self.categories.is_empty() || line.categories.iter().any(|c| self.categories.contains(c));
        let sku = self.skus.is_empty() || line.sku.as_ref().is_some_and(|sku| self.skus.contains(sku));
        let brand = self.brands.is_empty() || line.brand.as_ref().is_some_and(|brand| self.brands.contains(brand));
        let collection = self.collections.is_empty() || any(&line.collections, &self.collections);
        let label = self.labels.is_empty() || any(&line.labels, &self.labels);
        let is_seller = |seller: &Label| self.sellers.contains(seller);
        let seller = self.sellers.is_empty() || line.seller.as_ref().is_some_and(is_seller);
        category && sku && brand && collection && label && seller
    }

    /// Whether any list names the line: how exclusions are read. An empty match names none.
    pub fn names_any(&self, line: &Line) -> bool {
        line.categories.iter().any(|c| self.categories.contains(c))
            || line.sku.as_ref().is_some_and(|sku| self.skus.contains(sku))
            || line.brand.as_ref().is_some_and(|brand| self.brands.contains(brand))
            || any(&line.collections, &self.collections)
            || any(&line.labels, &self.labels)
            || line.seller.as_ref().is_some_and(|seller| self.sellers.contains(seller))
    }
}

fn any(has: &[Label], of: &[Label]) -> bool {
    has.iter().any(|label| of.contains(label))
}

/// Lines that a rule, a payment or a reward acts on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selector {
    /// Empty: every line.
    pub include: LineMatch,
    /// A line that any of these names is out.
    pub exclude: LineMatch,
}

impl Selector {
    pub fn selects(&self, line: &Line) -> bool {
        self.include.names(line) && !self.exclude.names_any(line)
    }
}

/// Units as payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentTerms {
    pub unit: UnitId,
    /// So many units ...
    pub units: i64,
    /// ... are worth so much.
    pub worth: PerCurrency,
    /// Only multiples of this may be used; at least 1, and a multiple of `units` or a divisor of it such that a
    /// step is worth whole minor units in every currency (checked with the program).
    pub step: i64,
    /// Fewer than this may not be used.
    pub units_min: i64,
    /// More than this may not be used on an order; a multiple of the step.
    pub units_max: Option<i64>,
    /// More than this may not be paid of an order.
    pub worth_max: Option<PerCurrency>,
    /// Of what the selected lines cost, in basis points; 10,000 is all.
    pub share_bps_max: i64,
    /// Lines that may be paid with units.
    pub lines: Selector,
    pub settles_as: SettlesAs,
}

impl PaymentTerms {
    /// How many whole units an amount covers, in the currency in which it covers fewest; `None` when there is none.
    pub fn units_worth(&self, amount: &PerCurrency) -> Option<i64> {
        let of = |(currency, minor): (&Currency, &i64)| {
            let worth = self.worth.get(*currency).filter(|worth| 0 < *worth)?;
            let units = i128::from(*minor).checked_mul(i128::from(self.units))?.checked_div(i128::from(worth))?;
            i64::try_from(units).ok()
        };
        amount.0.iter().filter_map(of).min()
    }
}

/// How the caller books the part paid with units.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum SettlesAs {
    /// The price falls.
    #[default]
    Discount,
    /// The price stays; units are a means of payment.
    Tender,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QuoteTerms {
    /// How long quotes are honoured; above 0. `None`: they are not.
    pub honoured_for_s: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReservationTerms {
    /// Used when the caller states none.
    pub ttl_s_default: i64,
    pub ttl_s_max: i64,
    pub on_lapsed: OnLapsed,
}

/// What a Commit that is not marked paid does where its reservation has lapsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnLapsed {
    /// It is covered from the balance, whole or not at all.
    #[default]
    Cover,
    /// It is refused.
    Refuse,
}

/// What becomes of the orders of guests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GuestTerms {
    /// From the order until before when a member may claim it; `None`: nobody may.
    pub claim_within: Option<Period>,
}

/// What happens to units when goods come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReturnTerms {
    pub shortfall: Shortfall,
    /// Spent units whose lot has expired in the meantime live this long from the return; `None`: they are gone.
    pub lapsed_grace: Option<Period>,
    /// What is taken back may be given again under the limits that it was given under (default).
    pub frees_limits: bool,
    /// What rules would not grant for what is kept is taken back too; otherwise what falls on what comes back.
    pub readjudicate: bool,
}

/// When a return must take back more units than the member has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Shortfall {
    /// The rest becomes debt, repaid from the next units granted (default).
    #[default]
    Debt,
    /// The rest is forgiven.
    Forgive,
}
