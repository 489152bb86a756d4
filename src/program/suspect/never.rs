//! Rules whose conditions contradict each other.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::domain::predicate::{Field, Predicate, Relation, Text, Whole, can_hold};
use crate::domain::program::{Conditions, Program, SpendOf};
use crate::domain::time::{DAY_MS, HOUR_MS, Instant, LocalWindow, WindowZone};

/// Why the rule never applies, if that is certain.
pub(super) fn why(program: &Program, conditions: &Conditions) -> Option<&'static str> {
    if conditions.predicate == Some(Predicate::Constant(false)) {
        return Some("its expression is never true");
    }
    if conditions.predicate.as_ref().is_some_and(|predicate| !can_hold(predicate)) {
        return Some("what it asks for contradicts itself, or is more than there can be");
    }
    if !can_hold(&together(program, conditions)) {
        return Some(match conditions.predicate {
            Some(_) => "its expression contradicts the other conditions",
            None => "its conditions contradict each other",
        });
    }
    outside(program, conditions).then_some("its hours lie outside of `starts_at` and `ends_at`")
}

/// What is asked in other ways, in the terms of expressions.
fn together(program: &Program, conditions: &Conditions) -> Predicate {
    let one_of = |field: Field, of: Vec<Box<str>>| {
        let stated = !of.is_empty();
        stated.then(|| Predicate::TextOneOf { value: Text::Field(field), of: of.into(), wanted: true })
    };
    let compare = |field: Field, how: Relation, number: i64| {
        Some(Predicate::Compare { left: Whole::Field(field), how, right: Whole::Constant(number) })
    };
    let labels = |labels: &[crate::domain::id::Label]| labels.iter().map(|label| label.as_str().into()).collect();
    let mut parts = vec![
        conditions.predicate.clone(),
        one_of(Field::OrderChannel, labels(&conditions.channels)),
        one_of(Field::OrderStore, labels(&conditions.stores)),
    ];
    // With several currencies, an amount in one of them says nothing of another.
    if let ([currency], Some(spend)) = (program.currencies.as_slice(), &conditions.spend_min)
        && let (Some(least), SpendOf::Order) = (spend.amount.get(*currency), spend.of)
    {
        parts.push(compare(Field::OrderEarning, Relation::AtLeast, least));
    }
    if let Some(wanted) = &conditions.order_number {
        let before = |number: u64| i64::try_from(number).unwrap_or(i64::MAX).saturating_sub(1);
        parts.extend(wanted.from.map(|from| compare(Field::MemberOrders, Relation::AtLeast, before(from))));
        parts.extend(wanted.to.map(|to| compare(Field::MemberOrders, Relation::AtMost, before(to))));
        if !wanted.is.is_empty() {
            let of = wanted.is.iter().map(|number| before(*number)).collect();
            parts.push(Some(Predicate::OneOf { value: Whole::Field(Field::MemberOrders), of, wanted: true }));
        }
    }
    for wanted in &conditions.counters {
        let field = || Field::Counter(wanted.counter.clone());
        parts.extend(wanted.at_least.map(|least| compare(field(), Relation::AtLeast, least)));
        parts.extend(wanted.at_most.map(|most| compare(field(), Relation::AtMost, most)));
    }
    Predicate::all(parts.into_iter().flatten())
}

/// Whether no hour of the schedule is inside of any window.
pub(super) fn outside(program: &Program, conditions: &Conditions) -> bool {
    let (Some(from), Some(until)) = (conditions.starts_at, conditions.ends_at) else { return false };
    if conditions.windows.is_empty() || 8 * DAY_MS <= until.0.saturating_sub(from.0) {
        return false;
    }
    !conditions.windows.iter().any(|window| meets(window, from, until, &program.zone))
}

/// Whether a window has an hour in a span of a few days.
fn meets(window: &LocalWindow, from: Instant, until: Instant, program: &TimeZone) -> bool {
    let (from, until): (DateTime, DateTime) = match window.zone {
        WindowZone::Program => (from.zoned(program).datetime(), until.zoned(program).datetime()),
        // The clock of a store or of a person may be anywhere between those of the ends of the world.
        WindowZone::Store | WindowZone::Member => (
            from.minus_ms(12 * HOUR_MS).zoned(&TimeZone::UTC).datetime(),
            until.plus_ms(14 * HOUR_MS).zoned(&TimeZone::UTC).datetime(),
        ),
    };
    let minutes = |of_day: u16| jiff::Span::new().minutes(i64::from(of_day));
    let mut day = from.date().yesterday().ok();
    while let Some(date) = day.filter(|date| *date <= until.date()) {
        let midnight = date.to_datetime(jiff::civil::Time::midnight());
        let past = window.until_minute <= window.from_minute;
        let closes = if past { window.until_minute.saturating_add(24 * 60) } else { window.until_minute };
        let begins = midnight.checked_add(minutes(window.from_minute));
        let ends = midnight.checked_add(minutes(closes));
        let on = window.days & (1 << date.weekday().to_monday_zero_offset()) != 0;
        if on && begins.is_ok_and(|begins| begins < until) && ends.is_ok_and(|ends| from < ends) {
            return true;
        }
        day = date.tomorrow().ok();
    }
    false
}
