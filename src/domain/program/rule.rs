//! Rules: on what they act, when they apply, and what follows.

use super::{GiveStamps, GiveTags, GiveVoucher, Kind, LifeTerms, PerCurrency, Selector};
use crate::domain::id::{CounterId, Label, RuleId, UnitId};
use crate::domain::money::Rounding;
use crate::domain::predicate::Predicate;
use crate::domain::time::{Instant, LocalWindow, Period};

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

/// What follows when a rule applies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Then {
    Earn(Earn),
    Multiply(Multiply),
    Bonus(Bonus),
    Stamps(GiveStamps),
    Voucher(GiveVoucher),
    Tag(GiveTags),
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

/// A fixed number of units, once per order or enrolment; no multiplier touches it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bonus {
    pub unit: UnitId,
    pub units: i64,
    pub life: Option<LifeTerms>,
    /// On an event: so many units for each so much of its value, in whole parts; `None`: whatever the value.
    pub for_each_value: Option<i64>,
}
