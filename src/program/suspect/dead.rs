//! Rules and campaigns that can never do anything: by when they hold, and by what bounds them.

use jiff::tz::TimeZone;

use crate::domain::predicate::{Field, Predicate, Text, TextRelation};
use crate::domain::program::{
    BaseRules, Combine, Conditions, GroupPick, Limit, LimitOf, OnReach, Program, Rule, RuleCampaign, Then, Trigger,
};
use crate::domain::recurrence::Days;
use crate::domain::time::{DAY_MS, HOUR_MS, Instant, LocalWindow, WindowZone};

use super::never;
use super::shadow::Suspicion;

/// A bit for each day of the week, Monday first.
type Weekdays = u8;

const ALL_WEEK: Weekdays = 0x7f;

const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub(super) fn find(program: &Program) -> Vec<Suspicion> {
    let never_applies = |id: &str, why: &str| format!("rule `{id}` never applies: {why}");
    let rules = program.rules.iter().enumerate();
    let mut found: Vec<Suspicion> = rules
        .filter_map(|(number, rule)| {
            let why = by_calendar(program, rule).or_else(|| by_level(program, rule)).map(str::to_owned);
            let message = why.map(|why| never_applies(rule.id.as_str(), &why));
            let message = message.or_else(|| by_limit(program, rule)).or_else(|| by_base(program, rule));
            Some((number, message?))
        })
        .collect();
    found.extend(kept_out(program));
    found
}

/// Why a campaign never runs, if that is certain.
pub(super) fn campaign(program: &Program, campaign: &RuleCampaign) -> Option<&'static str> {
    let schedule = Conditions {
        starts_at: campaign.starts_at,
        ends_at: campaign.ends_at,
        windows: campaign.windows.clone(),
        ..Conditions::default()
    };
    if never::outside(program, &schedule) {
        return Some("its hours lie outside of `starts_at` and `ends_at`");
    }
    if in_windows(&campaign.windows) & on_days(&campaign.days) == 0 {
        return Some("its hours and its days never meet");
    }
    days(&campaign.days, campaign.starts_at, campaign.ends_at)
}

/// Why days never come, or not in a span.
fn days(days: &Days, starts_at: Option<Instant>, ends_at: Option<Instant>) -> Option<&'static str> {
    if days.on.is_empty() && days.recurs.as_ref().is_some_and(|recurs| recurs.never_comes()) {
        return Some("there is no such day: `recurs` matches none");
    }
    // The clock of a store may be anywhere between those of the ends of the world.
    let (east, west) = (14 * HOUR_MS, 12 * HOUR_MS);
    let in_span = |begins: Instant| {
        let (begins, ends) = (begins.minus_ms(east), begins.plus_ms(DAY_MS + west));
        starts_at.is_none_or(|starts| starts < ends) && ends_at.is_none_or(|until| begins < until)
    };
    let listed = !days.on.is_empty() && days.recurs.is_none();
    (listed && !days.on.iter().any(|day| in_span(day.begins(&TimeZone::UTC))))
        .then_some("its days lie outside of `starts_at` and `ends_at`")
}

fn by_calendar(program: &Program, rule: &Rule) -> Option<&'static str> {
    let conditions = &rule.conditions;
    let campaign = program.campaign_of(rule);
    let mut week = in_windows(&conditions.windows) & on_days(&conditions.days);
    week &= conditions.predicate.as_ref().map_or(ALL_WEEK, by_expression);
    if let Some(campaign) = campaign {
        week &= in_windows(&campaign.windows) & on_days(&campaign.days);
    }
    if week == 0 {
        return Some("its hours, its days and what it asks of the day of the week never meet");
    }
    let starts_at = conditions.starts_at.max(campaign.and_then(|campaign| campaign.starts_at));
    let ends_at = [conditions.ends_at, campaign.and_then(|campaign| campaign.ends_at)].into_iter().flatten().min();
    if starts_at.zip(ends_at).is_some_and(|(starts, ends)| ends <= starts) {
        return Some("it ends before its campaign begins, or begins after that ends");
    }
    days(&conditions.days, starts_at, ends_at)
}

/// On which days of the week the hours hold, as far as that does not depend on where somebody is.
fn in_windows(windows: &[LocalWindow]) -> Weekdays {
    let of = |window: &LocalWindow| match window.zone {
        WindowZone::Store if window.until_minute <= window.from_minute => {
            // Past midnight it is the next day.
            window.days | ((window.days << 1) & ALL_WEEK) | (window.days >> 6)
        }
        WindowZone::Store => window.days,
        WindowZone::Program | WindowZone::Member => ALL_WEEK,
    };
    if windows.is_empty() { ALL_WEEK } else { windows.iter().map(of).fold(0, |week, days| week | days) }
}

fn on_days(days: &Days) -> Weekdays {
    if days.on.is_empty() && days.recurs.is_none() {
        return ALL_WEEK;
    }
    let bit = |weekday: jiff::civil::Weekday| 1 << weekday.to_monday_zero_offset();
    let listed = days.on.iter().fold(0, |week, day| week | bit(day.date().weekday()));
    let recurs = days.recurs.as_ref().map_or(0, |recurs| match recurs.weekdays.as_slice() {
        [] => ALL_WEEK,
        weekdays => weekdays.iter().fold(0, |week, (_, weekday)| week | bit(*weekday)),
    });
    listed | recurs
}

/// The days of the week that the parts of an expression leave, as far as that is plain to see.
fn by_expression(predicate: &Predicate) -> Weekdays {
    let bit = |word: &str| WEEK.iter().position(|day| *day == word).map_or(0, |at| 1 << at);
    let is_weekday = |text: &Text| *text == Text::Field(Field::TimeWeekday);
    let of = |part: &Predicate| match part {
        Predicate::Text { left, how: TextRelation::Equals, right: Text::Constant(word), wanted: true }
            if is_weekday(left) =>
        {
            bit(word)
        }
        Predicate::Text { left: Text::Constant(word), how: TextRelation::Equals, right, wanted: true }
            if is_weekday(right) =>
        {
            bit(word)
        }
        Predicate::TextOneOf { value, of, wanted: true } if is_weekday(value) => {
            of.iter().fold(0, |week, word| week | bit(word))
        }
        _ => ALL_WEEK,
    };
    predicate.parts().iter().fold(ALL_WEEK, |week, part| week & of(part))
}

/// Nobody reaches a level that everybody has.
fn by_level(program: &Program, rule: &Rule) -> Option<&'static str> {
    if rule.on != Trigger::Tier || rule.tiers.is_empty() {
        return None;
    }
    let reached = rule.tiers.iter().any(|named| {
        let ladder = program.ladder(&named.ladder);
        let levels = ladder.into_iter().flat_map(|ladder| &ladder.levels);
        levels.into_iter().any(|level| named.levels.contains(&level.id) && level.at_least != 0)
    });
    (!reached).then_some("every member has its level from the start, and nobody reaches it")
}

/// The bounds on units of a rule, and whose they are.
fn bounds<'p>(program: &'p Program, rule: &'p Rule) -> Vec<(String, &'p Limit)> {
    let of = |owner: String, limits: &'p [Limit]| limits.iter().map(move |limit| (owner.clone(), limit));
    let mut found: Vec<(String, &Limit)> = of("its own".to_owned(), &rule.limits).collect();
    if let Some(group) = rule.combine.group.as_ref().and_then(|group| program.group(group)) {
        found.extend(of(format!("group `{}`", group.id), &group.limits));
    }
    if let Some(campaign) = program.campaign_of(rule) {
        found.extend(of(format!("campaign `{}`", campaign.id), &campaign.limits));
    }
    if let Then::Bonus(bonus) = &rule.then
        && let Some(limits) = program.limits_of(&bonus.unit)
    {
        found.extend(of(format!("unit `{}`", bonus.unit), &limits.limits));
    }
    found
}

/// A bonus that is more than a limit ever leaves, where that refuses what it cannot give whole.
fn by_limit(program: &Program, rule: &Rule) -> Option<String> {
    let Then::Bonus(bonus) = &rule.then else { return None };
    let least = bonus.units_max.map_or(bonus.units, |most| most.min(bonus.units));
    let refuses = |limit: &Limit| limit.counts == LimitOf::Units && limit.on_reach == OnReach::Refuse;
    let (owner, limit) = bounds(program, rule).into_iter().find(|(_, limit)| refuses(limit) && limit.most < least)?;
    let owner = if owner == "its own" { "its own limit".to_owned() } else { format!("the limit of {owner}") };
    let most = limit.most;
    Some(format!(
        "rule `{}` never gives anything: it gives {least} at once, and {owner} refuses more than {most}",
        rule.id
    ))
}

/// A bonus on top of a base that nothing gives.
fn by_base(program: &Program, rule: &Rule) -> Option<String> {
    let Then::Bonus(bonus) = &rule.then else { return None };
    if !bonus.needs_base {
        return None;
    }
    let gives = |other: &Rule| match &other.then {
        Then::Earn(earn) => earn.unit == bonus.unit,
        Then::Bonus(other) => other.unit == bonus.unit && !other.needs_base,
        Then::Multiply(_) | Then::Stamps(_) | Then::Voucher(_) | Then::Tag(_) | Then::Draw(_) => false,
    };
    let has_base = program.rules.iter().any(|other| other.on == Trigger::Order && gives(other));
    (!has_base).then(|| format!("rule `{}` never gives anything: no rule earns {} as its base", rule.id, bonus.unit))
}

/// Exclusive rules next to one that applies to every order.
fn kept_out(program: &Program) -> Vec<Suspicion> {
    let rank = |number: usize| u32::try_from(number).map_or(u32::MAX, |number| program.index.rank(number));
    let orders = || program.rules.iter().enumerate().filter(|(_, rule)| rule.on == Trigger::Order);
    let always = |rule: &Rule| {
        let picked = rule.combine.group.as_ref().and_then(|group| program.group(group));
        let drops = matches!(&rule.then, Then::Bonus(bonus) if bonus.needs_base)
            || (matches!(rule.then, Then::Earn(_)) && program.earning.base_rules == BaseRules::First);
        rule.conditions == Conditions::default()
            && rule.campaign.is_none()
            && picked.is_none_or(|group| group.pick == GroupPick::All)
            && Combine { priority: 0, group: None, ..rule.combine.clone() } == Combine::default()
            && !drops
    };
    // The first that applies to every order, of each unit and group.
    let mut firsts: Vec<(usize, &Rule)> = Vec::new();
    let mut every: Vec<(usize, &Rule)> = orders().filter(|(_, rule)| always(rule)).collect();
    every.sort_by_key(|(number, _)| rank(*number));
    for (number, rule) in every {
        let same = |known: &Rule| known.combine.group == rule.combine.group && known.gives_unit() == rule.gives_unit();
        if !firsts.iter().any(|(_, known)| same(known)) {
            firsts.push((number, rule));
        }
    }
    let exclusive = orders().filter(|(_, rule)| rule.combine.exclusive);
    let told = exclusive.filter_map(|(number, rule)| {
        let (_, before) = firsts.iter().find(|(first, known)| rank(*first) < rank(number) && rule.excludes(known))?;
        let message = format!(
            "rule `{}` never applies: it applies alone, and rule `{}` before it applies to every order",
            rule.id, before.id
        );
        Some((number, message))
    });
    told.collect()
}
