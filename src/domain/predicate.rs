//! Conditions in their lowered form: what a typed selector or an expression of the program file becomes.
//!
//! Deciding on one allocates nothing, cannot fail and looks at a bounded number of values. What cannot be told (a
//! value that is missing, a sum that leaves 64 bits) is neither true nor false: `false && unknown` is false,
//! `true || unknown` is true, everything else made of it is unknown, and what is unknown at the end does not hold.
//! That is how the Common Expression Language treats errors. Negation stands at the leaves only.

use super::account::Tag;
use super::answer::ExplainCondition;
use super::id::{CardId, CounterId, GoalId, Label, LadderId, RewardId, UnitId};
use super::order::{Line, Order};
use super::program::Kind;

pub use reach::can_hold;

mod reach;
mod text;

/// Something that a condition may look at.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Field {
    /// All lines, before any effect of ours; minor units of the order's currency.
    OrderTotal,
    /// What of it earns; minor units.
    OrderEarning,
    /// Items over all lines.
    OrderQuantity,
    OrderLineCount,
    OrderChannel,
    OrderStore,
    OrderCurrency,
    OrderKind,
    /// Coupons of others that the order names.
    OrderCoupons,
    /// How the rest is paid.
    OrderPaymentMethods,
    /// Of each line; what several lines carry is there several times.
    OrderCategories,
    OrderSkus,
    OrderBrands,
    OrderSellers,
    /// By the clock of the order's store, 0 to 23.
    TimeHour,
    TimeMinute,
    /// `mon` to `sun`.
    TimeWeekday,
    /// Of the month, from 1.
    TimeDay,
    /// From 1.
    TimeMonth,
    TimeYear,
    MemberTags,
    MemberSegments,
    /// Of a type that the program declares.
    MemberAttribute(Label),
    /// Committed before this one.
    MemberOrders,
    /// Whole days by the stopwatch.
    MemberDaysSinceJoined,
    /// What happens now is counted in.
    Counter(CounterId),
    /// Available units.
    Balance(UnitId),
    /// Whole days since the last order before this one.
    ValueRecency,
    /// Hundredths of an order; decayed.
    ValueFrequency,
    /// Minor units of the program's first currency; decayed.
    ValueMonetary,
    /// From 0 to 5.
    ValueScoreR,
    ValueScoreF,
    ValueScoreM,
    /// Thousandths of what was spent.
    ValueAffinity(Label),
    /// Thousandths of the units granted.
    ValueMix(Kind),
    /// Of the event that fires the rule.
    EventType,
    EventValue,
    /// Of a type that the program declares for events.
    EventAttribute(Label),
    /// The level that counts on a ladder.
    Tier(LadderId),
    /// Times that a goal was reached, as it stands.
    Goal(GoalId),
    /// On the open card.
    Stamps(CardId),
    /// For a reward, that can be used.
    Vouchers(RewardId),
}

/// What must be there for a field ever to be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Nothing but the time.
    Nothing,
    Member,
    Order,
    Event,
}

impl Field {
    /// What has to be decided on for this field to be seen.
    pub fn needs(&self) -> Needs {
        use Field::*;
        match self {
            OrderTotal | OrderEarning | OrderQuantity | OrderLineCount | OrderChannel | OrderStore | OrderCurrency
            | OrderKind | OrderCoupons | OrderPaymentMethods | OrderCategories | OrderSkus | OrderBrands
            | OrderSellers => Needs::Order,
            TimeHour | TimeMinute | TimeWeekday | TimeDay | TimeMonth | TimeYear => Needs::Nothing,
            MemberTags
            | MemberSegments
            | MemberAttribute(_)
            | MemberOrders
            | MemberDaysSinceJoined
            | Counter(_)
            | Balance(_)
            | ValueRecency
            | ValueFrequency
            | ValueMonetary
            | ValueScoreR
            | ValueScoreF
            | ValueScoreM
            | ValueAffinity(_)
            | ValueMix(_) => Needs::Member,
            Tier(_) | Goal(_) | Stamps(_) | Vouchers(_) => Needs::Member,
            EventType | EventValue | EventAttribute(_) => Needs::Event,
        }
    }

    /// Whether it counts minor units of the order's currency.
    pub fn is_money(&self) -> bool {
        matches!(self, Field::OrderTotal | Field::OrderEarning)
    }

    /// The least and the most that a whole number seen here can be.
    pub fn range(&self) -> (i64, i64) {
        use Field::*;
        match self {
            TimeHour => (0, 23),
            TimeMinute => (0, 59),
            TimeDay => (1, 31),
            TimeMonth => (1, 12),
            TimeYear => (1_970, 9_000),
            OrderTotal => (0, Order::AMOUNT_MINOR_MAX),
            OrderLineCount => (1, Order::LINES_MAX as i64),
            OrderEarning
            | OrderQuantity
            | MemberOrders
            | MemberDaysSinceJoined
            | Balance(_)
            | ValueRecency
            | ValueFrequency
            | ValueMonetary => (0, i64::MAX),
            ValueScoreR | ValueScoreF | ValueScoreM => (0, 5),
            ValueAffinity(_) | ValueMix(_) => (0, 1_000),
            EventValue | Goal(_) | Stamps(_) | Vouchers(_) => (0, i64::MAX),
            _ => (i64::MIN, i64::MAX),
        }
    }
}

/// What a condition sees of a field.
#[derive(Clone, Copy)]
pub enum Seen<'a> {
    Whole(i64),
    Flag(bool),
    Text(&'a str),
    /// A list; nothing on it is an empty list, not [`Seen::Missing`].
    Texts(Texts<'a>),
    Missing,
}

/// A list of texts, wherever they lie.
#[derive(Clone, Copy)]
pub enum Texts<'a> {
    Labels(&'a [Label]),
    Categories(&'a [Line]),
    Skus(&'a [Line]),
    Brands(&'a [Line]),
    Sellers(&'a [Line]),
    /// The shop's own, and those that rules have given.
    Tags {
        profile: &'a [Label],
        rules: &'a [Tag],
    },
    Other(&'a dyn TextList),
}

/// Texts that lie in some other way. The list is bounded by whoever keeps it.
pub trait TextList {
    /// Calls `test` with each text until one passes; whether one did.
    fn any(&self, test: &mut dyn FnMut(&str) -> bool) -> bool;
}

impl Texts<'_> {
    /// Whether one passes.
    pub fn any(self, mut test: impl FnMut(&str) -> bool) -> bool {
        match self {
            Texts::Labels(labels) => labels.iter().any(|label| test(label.as_str())),
            Texts::Categories(lines) => lines.iter().flat_map(|line| &line.categories).any(|c| test(c.as_str())),
            Texts::Skus(lines) => lines.iter().filter_map(|line| line.sku.as_ref()).any(|sku| test(sku.as_str())),
            Texts::Brands(lines) => lines.iter().filter_map(|line| line.brand.as_ref()).any(|b| test(b.as_str())),
            Texts::Sellers(lines) => lines.iter().filter_map(|line| line.seller.as_ref()).any(|s| test(s.as_str())),
            Texts::Tags { profile, rules } => {
                let given = rules.iter().map(|known| &known.tag).filter(|tag| !profile.contains(tag));
                profile.iter().chain(given).any(|tag| test(tag.as_str()))
            }
            Texts::Other(list) => list.any(&mut test),
        }
    }

    /// How many there are, each as often as it is there.
    pub fn count(self) -> i64 {
        let mut count = 0i64;
        self.any(|_| {
            count = count.saturating_add(1);
            false
        });
        count
    }
}

/// What is decided on, as conditions look at it.
pub trait Sight {
    fn see<'a>(&'a self, field: &Field) -> Seen<'a>;
}

/// A condition. Built by the program's checker, which bounds it to [`Predicate::NODES_MAX`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Predicate {
    Constant(bool),
    All(Box<[Predicate]>),
    Any(Box<[Predicate]>),
    /// The flag is as wanted.
    Flag {
        field: Field,
        wanted: bool,
    },
    /// A value is there (of a list: at least one), or is not.
    Has {
        field: Field,
        wanted: bool,
    },
    Compare {
        left: Whole,
        how: Relation,
        right: Whole,
    },
    /// The number is one of these, or is not.
    OneOf {
        value: Whole,
        of: Box<[i64]>,
        wanted: bool,
    },
    Text {
        left: Text,
        how: TextRelation,
        right: Text,
        wanted: bool,
    },
    /// The text is one of these, or is not.
    TextOneOf {
        value: Text,
        of: Box<[Box<str>]>,
        wanted: bool,
    },
    /// The list has the text, or has it not.
    Lists {
        list: Field,
        value: Text,
        wanted: bool,
    },
    /// The list has at least one of these, or none of them.
    ListsOneOf {
        list: Field,
        of: Box<[Box<str>]>,
        wanted: bool,
    },
}

/// A whole number. What leaves 64 bits, or divides by zero, is unknown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whole {
    Constant(i64),
    Field(Field),
    /// How many entries the list has.
    Size(Field),
    Negative(Box<Whole>),
    Of(Box<(Whole, Arithmetic, Whole)>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arithmetic {
    Plus,
    Minus,
    Times,
    /// Towards zero.
    Over,
    /// What is left of it; has the sign of the left side.
    Modulo,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Text {
    Constant(Box<str>),
    Field(Field),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    Equal,
    Different,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Relation {
    pub fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Relation::Equal => left == right,
            Relation::Different => left != right,
            Relation::Less => left < right,
            Relation::AtMost => left <= right,
            Relation::More => right < left,
            Relation::AtLeast => right <= left,
        }
    }

    /// True exactly when this is not.
    pub fn opposite(self) -> Relation {
        match self {
            Relation::Equal => Relation::Different,
            Relation::Different => Relation::Equal,
            Relation::Less => Relation::AtLeast,
            Relation::AtMost => Relation::More,
            Relation::More => Relation::AtMost,
            Relation::AtLeast => Relation::Less,
        }
    }

    /// The same with its sides exchanged.
    pub fn mirrored(self) -> Relation {
        match self {
            Relation::Equal | Relation::Different => self,
            Relation::Less => Relation::More,
            Relation::AtMost => Relation::AtLeast,
            Relation::More => Relation::Less,
            Relation::AtLeast => Relation::AtMost,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextRelation {
    Equals,
    StartsWith,
    EndsWith,
    Contains,
}

impl TextRelation {
    fn holds(self, left: &str, right: &str) -> bool {
        match self {
            TextRelation::Equals => left == right,
            TextRelation::StartsWith => left.starts_with(right),
            TextRelation::EndsWith => left.ends_with(right),
            TextRelation::Contains => left.contains(right),
        }
    }
}

impl Predicate {
    /// Most conditions, connectives and operands in one expression.
    pub const NODES_MAX: usize = 64;
    /// Most constants in one list.
    pub const LISTED_MAX: usize = 100;
    /// Longest constant text, in bytes.
    pub const TEXT_LEN_MAX: usize = 128;

    /// All of these together; what is certain already is left out.
    pub fn all(parts: impl IntoIterator<Item = Predicate>) -> Predicate {
        Predicate::joined(parts, true)
    }

    /// At least one of these.
    pub fn any(parts: impl IntoIterator<Item = Predicate>) -> Predicate {
        Predicate::joined(parts, false)
    }

    /// `neutral` is what an empty conjunction or disjunction is.
    fn joined(parts: impl IntoIterator<Item = Predicate>, neutral: bool) -> Predicate {
        let mut flat = Vec::new();
        for part in parts {
            match (part, neutral) {
                (Predicate::Constant(constant), _) if constant == neutral => {}
                (Predicate::Constant(_), _) => return Predicate::Constant(!neutral),
                (Predicate::All(inner), true) | (Predicate::Any(inner), false) => flat.extend(inner),
                (other, _) => flat.push(other),
            }
        }
        match (flat.len(), neutral) {
            (0, _) => Predicate::Constant(neutral),
            (1, _) => flat.pop().unwrap_or(Predicate::Constant(neutral)),
            (_, true) => Predicate::All(flat.into()),
            (_, false) => Predicate::Any(flat.into()),
        }
    }

    /// True exactly when this is false; unknown when this is.
    #[must_use]
    pub fn negated(self) -> Predicate {
        match self {
            Predicate::Constant(constant) => Predicate::Constant(!constant),
            Predicate::All(parts) => Predicate::Any(parts.into_iter().map(Predicate::negated).collect()),
            Predicate::Any(parts) => Predicate::All(parts.into_iter().map(Predicate::negated).collect()),
            Predicate::Flag { field, wanted } => Predicate::Flag { field, wanted: !wanted },
            Predicate::Has { field, wanted } => Predicate::Has { field, wanted: !wanted },
            Predicate::Compare { left, how, right } => Predicate::Compare { left, how: how.opposite(), right },
            Predicate::OneOf { value, of, wanted } => Predicate::OneOf { value, of, wanted: !wanted },
            Predicate::Text { left, how, right, wanted } => Predicate::Text { left, how, right, wanted: !wanted },
            Predicate::TextOneOf { value, of, wanted } => Predicate::TextOneOf { value, of, wanted: !wanted },
            Predicate::Lists { list, value, wanted } => Predicate::Lists { list, value, wanted: !wanted },
            Predicate::ListsOneOf { list, of, wanted } => Predicate::ListsOneOf { list, of, wanted: !wanted },
        }
    }

    /// Whether it holds. What cannot be told does not.
    pub fn holds(&self, sight: &dyn Sight) -> bool {
        self.truth(sight) == Some(true)
    }

    /// `None`: it cannot be told.
    pub fn truth(&self, sight: &dyn Sight) -> Option<bool> {
        match self {
            Predicate::Constant(constant) => Some(*constant),
            Predicate::All(parts) => joined_truth(parts, sight, true),
            Predicate::Any(parts) => joined_truth(parts, sight, false),
            Predicate::Flag { field, wanted } => match sight.see(field) {
                Seen::Flag(flag) => Some(flag == *wanted),
                _ => None,
            },
            Predicate::Has { field, wanted } => {
                let there = match sight.see(field) {
                    Seen::Missing => false,
                    Seen::Texts(texts) => texts.any(|_| true),
                    Seen::Whole(_) | Seen::Flag(_) | Seen::Text(_) => true,
                };
                Some(there == *wanted)
            }
            Predicate::Compare { left, how, right } => Some(how.holds(left.value(sight)?, right.value(sight)?)),
            Predicate::OneOf { value, of, wanted } => Some(of.contains(&value.value(sight)?) == *wanted),
            Predicate::Text { left, how, right, wanted } => {
                Some(how.holds(left.value(sight)?, right.value(sight)?) == *wanted)
            }
            Predicate::TextOneOf { value, of, wanted } => {
                let value = value.value(sight)?;
                Some(of.iter().any(|one| **one == *value) == *wanted)
            }
            Predicate::Lists { list, value, wanted } => {
                let value = value.value(sight)?;
                match sight.see(list) {
                    Seen::Texts(texts) => Some(texts.any(|text| text == value) == *wanted),
                    _ => None,
                }
            }
            Predicate::ListsOneOf { list, of, wanted } => match sight.see(list) {
                Seen::Texts(texts) => Some(texts.any(|text| of.iter().any(|one| **one == *text)) == *wanted),
                _ => None,
            },
        }
    }

    /// Calls `each` with every field that it looks at, again for every place.
    pub fn fields<'p>(&'p self, each: &mut dyn FnMut(&'p Field)) {
        match self {
            Predicate::Constant(_) => {}
            Predicate::All(parts) | Predicate::Any(parts) => parts.iter().for_each(|part| part.fields(each)),
            Predicate::Flag { field, .. } | Predicate::Has { field, .. } => each(field),
            Predicate::Compare { left, right, .. } => {
                left.fields(each);
                right.fields(each);
            }
            Predicate::OneOf { value, .. } => value.fields(each),
            Predicate::Text { left, right, .. } => {
                left.fields(each);
                right.fields(each);
            }
            Predicate::TextOneOf { value, .. } => value.fields(each),
            Predicate::Lists { list, value, .. } => {
                each(list);
                value.fields(each);
            }
            Predicate::ListsOneOf { list, .. } => each(list),
        }
    }

    /// What must hold together; itself when it is no conjunction.
    pub fn parts(&self) -> &[Predicate] {
        match self {
            Predicate::All(parts) => parts,
            other => std::slice::from_ref(other),
        }
    }

    /// What it found and what it asks for. A choice comes first, then each of its ways, whether or not it is met.
    pub fn explain(&self, sight: &dyn Sight) -> Vec<ExplainCondition> {
        let mut found = Vec::new();
        self.explain_into(sight, &mut found);
        found
    }

    fn explain_into(&self, sight: &dyn Sight, found: &mut Vec<ExplainCondition>) {
        let (actual, required) = self.actual_and_required(sight);
        found.push(ExplainCondition {
            condition: self.to_string(),
            met: self.holds(sight),
            actual,
            required,
            missing: None,
            missing_text: String::new(),
        });
        if let Predicate::All(parts) | Predicate::Any(parts) = self {
            parts.iter().for_each(|part| part.explain_into(sight, found));
        }
    }
}

/// `absorbing` is the opposite of `neutral`: one part that is so decides, even when another is unknown.
fn joined_truth(parts: &[Predicate], sight: &dyn Sight, neutral: bool) -> Option<bool> {
    let mut truth = Some(neutral);
    for part in parts {
        match part.truth(sight) {
            Some(found) if found == neutral => {}
            Some(found) => return Some(found),
            None => truth = None,
        }
    }
    truth
}

impl Whole {
    /// `None`: it is missing, or a step leaves 64 bits.
    pub fn value(&self, sight: &dyn Sight) -> Option<i64> {
        match self {
            Whole::Constant(constant) => Some(*constant),
            Whole::Field(field) => match sight.see(field) {
                Seen::Whole(value) => Some(value),
                _ => None,
            },
            Whole::Size(field) => match sight.see(field) {
                Seen::Texts(texts) => Some(texts.count()),
                _ => None,
            },
            Whole::Negative(inner) => inner.value(sight)?.checked_neg(),
            Whole::Of(sides) => {
                let (left, how, right) = &**sides;
                how.apply(left.value(sight)?, right.value(sight)?)
            }
        }
    }

    fn fields<'p>(&'p self, each: &mut dyn FnMut(&'p Field)) {
        match self {
            Whole::Constant(_) => {}
            Whole::Field(field) | Whole::Size(field) => each(field),
            Whole::Negative(inner) => inner.fields(each),
            Whole::Of(sides) => {
                sides.0.fields(each);
                sides.2.fields(each);
            }
        }
    }
}

impl Arithmetic {
    /// `None`: the result leaves 64 bits, or there is none.
    pub fn apply(self, left: i64, right: i64) -> Option<i64> {
        match self {
            Arithmetic::Plus => left.checked_add(right),
            Arithmetic::Minus => left.checked_sub(right),
            Arithmetic::Times => left.checked_mul(right),
            Arithmetic::Over => left.checked_div(right),
            Arithmetic::Modulo => left.checked_rem(right),
        }
    }
}

impl Text {
    fn value<'a>(&'a self, sight: &'a dyn Sight) -> Option<&'a str> {
        match self {
            Text::Constant(constant) => Some(constant),
            Text::Field(field) => match sight.see(field) {
                Seen::Text(text) => Some(text),
                _ => None,
            },
        }
    }

    fn fields<'p>(&'p self, each: &mut dyn FnMut(&'p Field)) {
        if let Text::Field(field) = self {
            each(field);
        }
    }
}
