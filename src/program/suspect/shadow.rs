//! Multipliers that others always outdo.

use std::collections::BTreeMap;

use crate::domain::id::UnitId;
use crate::domain::program::{
    Combine, Conditions, Levels, LineMatch, MultiplierPolicy, Multiply, Program, Rule, Then, Trigger,
};

use super::overlaps;

/// More are not compared with each other: it takes quadratic time.
const COMPARED_MAX: usize = 500;

/// What is suspicious about one rule: its number, and what to say.
pub(super) type Suspicion = (usize, String);

pub(super) fn find(program: &Program) -> Vec<Suspicion> {
    if program.earning.multipliers != MultiplierPolicy::Highest {
        return Vec::new();
    }
    let mut by_unit: BTreeMap<&UnitId, Vec<(usize, &Rule, &Multiply)>> = BTreeMap::new();
    for (number, rule) in program.rules.iter().enumerate() {
        if let (Then::Multiply(multiply), Trigger::Order) = (&rule.then, rule.on) {
            by_unit.entry(&multiply.unit).or_default().push((number, rule, multiply));
        }
    }
    let mut found = Vec::new();
    for rules in by_unit.values().filter(|rules| rules.len() <= COMPARED_MAX) {
        for (number, rule, multiply) in rules {
            let beaten = rules.iter().find(|(other, wider, by)| {
                let outdoes = multiply.factor_permille < by.factor_permille
                    || (multiply.factor_permille == by.factor_permille && other < number);
                other != number && outdoes && is_free(wider) && covers(&wider.conditions, &rule.conditions)
            });
            if let Some((_, wider, _)) = beaten {
                let message = format!(
                    "rule `{}` never does anything: wherever it applies, rule `{}` multiplies by as much or more",
                    rule.id, wider.id
                );
                found.push((*number, message));
                continue;
            }
            let twin = rules.iter().take_while(|(other, ..)| other < number).find(|(_, twin, by)| {
                let equal = by.factor_permille == multiply.factor_permille;
                equal && is_free(twin) && is_free(rule) && meet(&twin.conditions, &rule.conditions)
            });
            if let Some((_, twin, _)) = twin {
                let message = format!(
                    "rule `{}` overlaps rule `{}`, which multiplies by as much: where both apply, one counts",
                    rule.id, twin.id
                );
                found.push((*number, message));
            }
        }
    }
    found
}

/// Whether nothing but its conditions keeps a rule from applying.
fn is_free(rule: &Rule) -> bool {
    rule.combine == Combine::default() && rule.limits.is_empty() && rule.cool_down.is_none() && rule.campaign.is_none()
}

/// Rules after one that applies to every order and stops what comes after it.
pub(super) fn stopped(program: &Program) -> Vec<Suspicion> {
    let rank = |number: usize| u32::try_from(number).map_or(u32::MAX, |number| program.index.rank(number));
    let orders = || program.rules.iter().enumerate().filter(|(_, rule)| rule.on == Trigger::Order);
    let always = |rule: &Rule| {
        rule.combine.stop
            && !rule.combine.exclusive
            && rule.combine.group.is_none()
            && rule.campaign.is_none()
            && rule.conditions == Conditions::default()
    };
    let Some((last, stops)) = orders().filter(|(_, rule)| always(rule)).min_by_key(|(number, _)| rank(*number)) else {
        return Vec::new();
    };
    let after = orders().filter(|(number, _)| rank(last) < rank(*number));
    let told = after.map(|(number, rule)| {
        let message = format!(
            "rule `{}` is never considered: rule `{}` applies to every order and stops what comes after it",
            rule.id, stops.id
        );
        (number, message)
    });
    told.collect()
}

/// Whether the first holds wherever the second does, as far as that is plain to see.
fn covers(wide: &Conditions, narrow: &Conditions) -> bool {
    let Conditions {
        starts_at,
        ends_at,
        windows,
        channels,
        stores,
        spend_min,
        lines,
        order_number,
        counters,
        predicate,
        joined_at_least,
        joined_at_most,
        spend_max,
        quantity,
        days,
        tiers,
    } = wide;
    let since = starts_at.is_none_or(|wide| narrow.starts_at.is_some_and(|narrow| wide <= narrow));
    let until = ends_at.is_none_or(|wide| narrow.ends_at.is_some_and(|narrow| narrow <= wide));
    let spend = spend_min.as_ref().is_none_or(|wide| {
        narrow.spend_min.as_ref().is_some_and(|narrow| {
            wide.of == narrow.of
                && wide
                    .amount
                    .0
                    .iter()
                    .all(|(currency, least)| narrow.amount.get(*currency).is_some_and(|n| *least <= n))
        })
    });
    let asked = predicate.as_ref().is_none_or(|wide| {
        let narrow = narrow.predicate.as_ref().map_or(&[][..], |narrow| narrow.parts());
        wide.parts().iter().all(|part| narrow.contains(part))
    });
    since
        && until
        && spend
        && asked
        && (windows.is_empty() || (!narrow.windows.is_empty() && narrow.windows.iter().all(|w| windows.contains(w))))
        && any_of(channels, &narrow.channels)
        && any_of(stores, &narrow.stores)
        && any_of(&lines.include.categories, &narrow.lines.include.categories)
        && any_of(&lines.include.skus, &narrow.lines.include.skus)
        && any_of(&lines.include.brands, &narrow.lines.include.brands)
        && any_of(&lines.include.collections, &narrow.lines.include.collections)
        && any_of(&lines.include.labels, &narrow.lines.include.labels)
        && any_of(&lines.include.sellers, &narrow.lines.include.sellers)
        && within(&lines.exclude, &narrow.lines.exclude)
        && (order_number.is_none() || *order_number == narrow.order_number)
        && counters.iter().all(|wide| narrow.counters.contains(wide))
        && (joined_at_least.is_none() || *joined_at_least == narrow.joined_at_least)
        && (joined_at_most.is_none() || *joined_at_most == narrow.joined_at_most)
        && (spend_max.is_none() || *spend_max == narrow.spend_max)
        && (quantity.is_none() || *quantity == narrow.quantity)
        && (days.is_empty() || *days == narrow.days)
        && tiers.iter().all(|wide| narrow.tiers.iter().any(|narrow| takes(wide, narrow)))
}

/// Whether a list, of which any entry is enough, takes all that a narrower one takes. Empty takes everything.
fn any_of<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|item| wide.contains(item)))
}

/// Whether the levels of one ladder take in those of the other.
fn takes(wide: &Levels, narrow: &Levels) -> bool {
    wide.ladder == narrow.ladder && narrow.levels.iter().all(|level| wide.levels.contains(level))
}

/// Whether every exclusion of the wide one is one of the narrow one too.
fn within(wide: &LineMatch, narrow: &LineMatch) -> bool {
    wide.categories.iter().all(|item| narrow.categories.contains(item))
        && wide.skus.iter().all(|item| narrow.skus.contains(item))
        && wide.brands.iter().all(|item| narrow.brands.contains(item))
        && wide.collections.iter().all(|item| narrow.collections.contains(item))
        && wide.labels.iter().all(|item| narrow.labels.contains(item))
        && wide.sellers.iter().all(|item| narrow.sellers.contains(item))
}

/// Whether two rules differ only in when they hold, and both hold at some time.
fn meet(a: &Conditions, b: &Conditions) -> bool {
    let timeless = |of: &Conditions| Conditions { windows: Vec::new(), starts_at: None, ends_at: None, ..of.clone() };
    let begins = a.starts_at.max(b.starts_at);
    let ends = match (a.ends_at, b.ends_at) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let spans = begins.zip(ends).is_none_or(|(begins, ends)| begins < ends);
    let hours = a.windows.is_empty()
        || b.windows.is_empty()
        || a.windows.iter().any(|a| b.windows.iter().any(|b| overlaps(a, b)));
    spans && hours && timeless(a) == timeless(b)
}
