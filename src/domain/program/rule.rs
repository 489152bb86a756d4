//! Rules: on what they act, when they apply, and what follows.

use jiff::tz::TimeZone;

use super::{
    CounterWindow, ForEach, GiveStamps, GiveTags, GiveVoucher, Kind, Levels, LifeTerms, PerCurrency, Selector,
};
use crate::domain::id::{CampaignId, CounterId, DrawId, GoalId, GroupId, Label, ProgramId, RuleId, UnitId};
use crate::domain::money::Rounding;
use crate::domain::predicate::Predicate;
use crate::domain::quota::QuotaKey;
use crate::domain::recurrence::Days;
use crate::domain::time::{CalendarPeriod, Instant, LocalWindow, Period};

/// What a rule acts on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    Order,
    Enrolment,
    /// Something that a member did outside an order.
    Event,
    Birthday,
    /// Of joining.
    Anniversary,
    /// Neither an order nor an event for a time.
    Inactivity,
    /// A level of a ladder that is reached.
    Tier,
    /// A goal that is reached.
    Goal,
}

/// What must hold before a rule applies. Everything stated must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conditions {
    /// Inclusive; by effective instant.
    pub starts_at: Option<Instant>,
    /// Exclusive.
    pub ends_at: Option<Instant>,
    /// Empty: any time; else inside at least one.
    pub windows: Vec<LocalWindow>,
    /// Empty: any.
    pub channels: Vec<Label>,
    /// Empty: any.
    pub stores: Vec<Label>,
    /// At least this much; equal is reached.
    pub spend_min: Option<SpendMin>,
    pub lines: Selector,
    /// Which of the member's orders it is; `None`: any.
    pub order_number: Option<OrderNumber>,
    /// What counters must say; what happens now is counted in.
    pub counters: Vec<CounterCondition>,
    /// Everything else that is asked of order, member and time, typed selectors and expression together.
    pub predicate: Option<Predicate>,
    /// Who acts joined at least so long ago; equal is enough.
    pub joined_at_least: Option<Period>,
    /// Who acts joined at most so long ago, inclusive.
    pub joined_at_most: Option<Period>,
    /// At most this much, inclusive.
    pub spend_max: Option<SpendMin>,
    /// How many whole items.
    pub quantity: Option<QuantityBounds>,
    /// On which days of the calendar.
    pub days: Days,
    /// On each ladder named, the member has one of these levels.
    pub tiers: Vec<Levels>,
}

/// Which orders of a member, by their number: 1 is the first. Orders that came back whole do not count.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OrderNumber {
    /// Empty: any.
    pub is: Vec<u64>,
    /// Multiples of this; `None`: any.
    pub every: Option<u64>,
    pub from: Option<u64>,
    /// Inclusive.
    pub to: Option<u64>,
}

impl OrderNumber {
    /// For people.
    pub fn text(&self) -> String {
        let list = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        let is = (!self.is.is_empty()).then(|| format!("one of {}", list(&self.is)));
        let every = self.every.map(|n| format!("a multiple of {n}"));
        let from = self.from.map(|n| format!("from {n}"));
        let to = self.to.map(|n| format!("up to {n}"));
        [is, every, from, to].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// How many more orders it takes; `None`: no later one will do, or none within the next hundred.
    pub fn next(&self, number: u64) -> Option<i64> {
        (1..=100i64).find(|more| number.checked_add(more.unsigned_abs()).is_some_and(|number| self.holds(number)))
    }

    pub fn holds(&self, number: u64) -> bool {
        (self.is.is_empty() || self.is.contains(&number))
            && self.every.is_none_or(|every| number.is_multiple_of(every))
            && self.from.is_none_or(|from| from <= number)
            && self.to.is_none_or(|to| number <= to)
    }
}

/// What a counter must say. Everything stated must hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CounterCondition {
    pub counter: CounterId,
    /// Equal is reached.
    pub at_least: Option<i64>,
    /// Inclusive.
    pub at_most: Option<i64>,
    /// Positive multiples of this.
    pub every: Option<i64>,
}

impl CounterCondition {
    pub fn holds(&self, count: i64) -> bool {
        self.at_least.is_none_or(|least| least <= count)
            && self.at_most.is_none_or(|most| count <= most)
            && self.every.is_none_or(|every| 0 < count && 0 < every && count % every == 0)
    }
}

/// A threshold on what earns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpendMin {
    pub amount: PerCurrency,
    pub of: SpendOf,
}

/// Over which lines a threshold sums.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SpendOf {
    /// All lines that earn.
    #[default]
    Order,
    /// The lines that the rule selects.
    Matching,
}

/// How many whole items there must be on lines that earn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuantityBounds {
    /// Equal is reached.
    pub at_least: Option<i64>,
    /// Inclusive.
    pub at_most: Option<i64>,
    pub of: SpendOf,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub id: RuleId,
    pub kind: Kind,
    pub on: Trigger,
    pub conditions: Conditions,
    pub then: Then,
    /// On [`Trigger::Event`], which types; at least one.
    pub events: Vec<Label>,
    /// On a trigger that time pulls.
    pub occasion: Option<Occasion>,
    pub combine: Combine,
    pub limits: Vec<Limit>,
    /// After it gave something, it gives nothing more for so long.
    pub cool_down: Option<Period>,
    /// Its place among the program's campaigns of rules.
    pub campaign: Option<usize>,
    /// On [`Trigger::Tier`], which levels; empty: any.
    pub tiers: Vec<Levels>,
    /// On [`Trigger::Goal`], which; empty: any.
    pub goals: Vec<GoalId>,
    /// Whose the units are that it grants.
    pub to: GrantTo,
}

/// Whose units are that a rule grants. What a multiplier adds goes where the base goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GrantTo {
    /// The account that the member acts for: their own, or the household or company that they joined.
    #[default]
    Account,
    /// The member that the order or the event names as its recipient; without one the rule does not apply.
    Recipient,
}

impl Rule {
    /// What it gives units of.
    pub fn gives_unit(&self) -> Option<&UnitId> {
        match &self.then {
            Then::Earn(earn) => Some(&earn.unit),
            Then::Multiply(multiply) => Some(&multiply.unit),
            Then::Bonus(bonus) => Some(&bonus.unit),
            Then::Stamps(_) | Then::Voucher(_) | Then::Tag(_) | Then::Draw(_) => None,
        }
    }

    /// Whether this rule, which is exclusive, tolerates no other such rule beside it.
    pub fn excludes(&self, other: &Rule) -> bool {
        match &self.combine.group {
            Some(group) => other.combine.group.as_ref() == Some(group),
            None => self.gives_unit().is_some() && self.gives_unit() == other.gives_unit(),
        }
    }
}

impl Trigger {
    /// Whether time pulls it.
    pub fn is_occasion(self) -> bool {
        matches!(self, Trigger::Birthday | Trigger::Anniversary | Trigger::Inactivity)
    }
}

/// How an occasion comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Occasion {
    /// How long before there is a notice; `None`: there is none.
    pub notice: Option<Period>,
    /// How long what follows is good for, where its own terms do not say; `None`: as its kind by default.
    pub valid_for: Option<Period>,
    /// Of an absence: how long it must have lasted.
    pub inactive_for: Option<Period>,
    /// Who was born or joined on 29 February has it on 1 March in other years, rather than on 28 February.
    pub leap_day_later: bool,
}

/// How a rule goes together with others.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Combine {
    /// Rules are considered from the highest down, equal ones in the order of the file.
    pub priority: i32,
    pub group: Option<GroupId>,
    /// Of the rules of its group, or without one of all rules of its unit, it applies alone or not at all.
    pub exclusive: bool,
    /// When it applies, no rule after it is considered.
    pub stop: bool,
}

/// Which rules of a group apply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    pub id: GroupId,
    pub pick: GroupPick,
    pub limits: Vec<Limit>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GroupPick {
    #[default]
    All,
    /// The first, by priority, whose conditions hold.
    First,
    /// The one that gives most, taken by itself; the earlier one when equal.
    Best,
}

/// Rules under one schedule and shared limits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleCampaign {
    pub id: CampaignId,
    pub title: String,
    pub starts_at: Option<Instant>,
    pub ends_at: Option<Instant>,
    /// Empty: any time; else inside at least one.
    pub windows: Vec<LocalWindow>,
    pub days: Days,
    pub limits: Vec<Limit>,
    pub brake: Option<Brake>,
}

/// Pauses a campaign that gives far more than was expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Brake {
    /// Units of all kinds in a period; giving more pauses the campaign.
    pub most: i64,
    pub per: CalendarPeriod,
    /// What was given before does not count, and a pause from before is over.
    pub resumed_at: Option<Instant>,
}

impl Brake {
    /// What is so many thousandths of a forecast, rounded down; `None`: more than there are numbers.
    pub fn most(forecast: i64, times_permille: i64) -> Option<i64> {
        let most = i128::from(forecast).checked_mul(i128::from(times_permille))?.checked_div(1_000)?;
        i64::try_from(most).ok()
    }

    /// What stands between one resumption and the next: `start`, or `since.1767225600000`.
    fn run(&self) -> String {
        self.resumed_at.map_or_else(|| "start".to_owned(), |at| format!("since.{}", at.0))
    }

    /// What the period of an instant leaves to a campaign.
    pub fn quota(&self, program: &ProgramId, campaign: &CampaignId, at: Instant, zone: &TimeZone) -> QuotaKey {
        QuotaKey::of_period(program, &["brake", campaign.as_str(), &self.run()], self.per, at, zone)
    }

    /// Under which it is noted that a campaign is paused.
    pub fn pause(&self, program: &ProgramId, campaign: &CampaignId) -> QuotaKey {
        QuotaKey::ever(program, &["paused", campaign.as_str(), &self.run()])
    }
}

/// A bound on what is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limit {
    pub counts: LimitOf,
    /// At least 1.
    pub most: i64,
    pub per: LimitPer,
    pub on_reach: OnReach,
    pub over: LimitOver,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitOf {
    /// Units given (stamps, for a rule that gives stamps), less what is taken back.
    Units,
    /// How often it gave anything; an order that comes back whole counts no more.
    Times,
}

impl LimitOf {
    /// As the program file has it.
    pub fn word(self) -> &'static str {
        match self {
            LimitOf::Units => "units",
            LimitOf::Times => "times",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitPer {
    /// Each order, or whatever else fires the rule, by itself.
    Order,
    Window(CounterWindow),
}

/// Whose giving is limited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LimitOver {
    /// Each account by itself.
    #[default]
    Member,
    /// All accounts together.
    Program,
    /// All accounts together, in each store by itself; orders without a store are one more.
    Store,
}

/// What happens when more would be given than a limit allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnReach {
    /// What is left is given.
    #[default]
    Clamp,
    /// Nothing is given.
    Refuse,
}

/// What follows when a rule applies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Then {
    Earn(Earn),
    Multiply(Multiply),
    Bonus(Bonus),
    Stamps(GiveStamps),
    Voucher(GiveVoucher),
    Tag(GiveTags),
    /// A ticket.
    Draw(DrawId),
}

/// `units` for each `per` of the amount that earns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Earn {
    pub unit: UnitId,
    pub units: i64,
    pub per: PerCurrency,
    pub rounding: Rounding,
    pub round_per: RoundPer,
    /// Overrides the unit's terms.
    pub life: Option<LifeTerms>,
}

/// Where a base rate's fractions are rounded away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RoundPer {
    /// Each line by itself.
    Line,
    /// The rule's lines together.
    Rule,
    /// All rules of the unit that round per order together, by the rounding of the first of them.
    #[default]
    Order,
}

/// Adds `(factor − 1) × base` on the lines selected; the base is what [`Then::Earn`] rules give there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Multiply {
    pub unit: UnitId,
    /// The factor times 1,000: 2,500 is two and a half. At least 1,001.
    pub factor_permille: i64,
    pub rounding: Rounding,
}

/// A fixed number of units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bonus {
    pub unit: UnitId,
    pub units: i64,
    pub life: Option<LifeTerms>,
    /// On an event: so many units for each so much of its value, in whole parts; `None`: whatever the value.
    pub for_each_value: Option<i64>,
    pub for_each: ForEach,
    /// In all, on one order; `None`: as many as there are.
    pub units_max: Option<i64>,
    /// Multipliers of the unit act on it as on a base (default: they do not touch it).
    pub multiplied: bool,
    /// It is given only where base rates of its unit give something on the lines selected.
    pub needs_base: bool,
}
