//! What is allowed but surely not meant.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::fault::Pos;
use super::form::{Compiled, names_nothing};
use super::read::{Reader, Step};
use crate::domain::id::UnitId;
use crate::domain::predicate::Predicate;
use crate::domain::program::{EarningTerms, Program, RoundPer, Rule, RuleCampaign, Then};
use crate::domain::time::LocalWindow;

mod cost;
mod dead;
mod never;
mod shadow;

pub(super) fn warn(compiled: &Compiled, r: &mut Reader) {
    let program = &compiled.program;
    let suspicions = shadow::find(program).into_iter().map(|found| (found, SHADOW_HINT));
    let suspicions = suspicions.chain(cost::find(program).into_iter().map(|found| (found, COST_HINT)));
    let stopped = shadow::stopped(program).into_iter().map(|found| (found, STOP_HINT));
    let hinted = suspicions.chain(stopped).map(|(found, hint)| (found, Some(hint)));
    for ((number, message), hint) in hinted.chain(dead::find(program).into_iter().map(|found| (found, None))) {
        let Some(pos) = compiled.rules_at.get(number) else { continue };
        let rules = Step::Key(Cow::Borrowed("rules"));
        r.within(rules, |r| r.within(Step::Index(number), |r| r.warn(*pos, message, hint)));
    }
    for (id, index, pos) in &compiled.campaigns_at {
        let Some(campaign) = program.rule_campaigns.iter().find(|known| known.id == *id) else { continue };
        r.within(Step::Key(Cow::Borrowed("campaigns")), |r| {
            r.within(Step::Index(*index), |r| warn_of_campaign(program, campaign, *pos, r));
        });
    }
    r.within(Step::Key(Cow::Borrowed("rules")), |r| {
        for (index, (rule, pos)) in program.rules.iter().zip(&compiled.rules_at).enumerate() {
            r.within(Step::Index(index), |r| warn_of_conditions(program, rule, *pos, r));
        }
    });
    let earned = program.rules.iter().filter_map(|rule| match &rule.then {
        Then::Earn(earn) => Some(&earn.unit),
        Then::Bonus(bonus) if bonus.multiplied => Some(&bonus.unit),
        Then::Multiply(_) | Then::Bonus(_) | Then::Stamps(_) | Then::Voucher(_) | Then::Tag(_) | Then::Draw(_) => None,
    });
    let earned: BTreeSet<&UnitId> = earned.collect();
    let mut roundings: BTreeMap<&UnitId, &Rule> = BTreeMap::new();
    r.within(Step::Key(Cow::Borrowed("rules")), |r| {
        for (index, (rule, pos)) in program.rules.iter().zip(&compiled.rules_at).enumerate() {
            r.within(Step::Index(index), |r| warn_of_rounding(rule, *pos, &mut roundings, r));
            r.within(Step::Index(index), |r| warn_of_rule(rule, *pos, &program.earning, &earned, r));
        }
    });
}

const SHADOW_HINT: &str = "of several multipliers on one line the highest counts (`earning.multipliers`)";
const STOP_HINT: &str = "give it a higher `priority`, or remove `stop` from the other";
const COST_HINT: &str =
    "compare what a unit is worth in `pay_with` with what an order must cost; ask for more, or give less";

/// Conditions that never hold, or always.
fn warn_of_conditions(program: &Program, rule: &Rule, pos: Pos, r: &mut Reader) {
    if let Some(why) = never::why(program, &rule.conditions) {
        r.warn(pos, format!("rule `{}` never applies: {why}", rule.id), None);
    }
    if rule.conditions.predicate == Some(Predicate::Constant(true)) {
        r.warn(pos, format!("the expression of rule `{}` is always true", rule.id), Some("leave it out"));
    }
}

fn warn_of_rule(rule: &Rule, pos: Pos, earning: &EarningTerms, earned: &BTreeSet<&UnitId>, r: &mut Reader) {
    if names_nothing(&rule.conditions.lines.include, &earning.excluded) {
        let message = format!("rule `{}` never applies: `earning.exclude` takes out all that it selects", rule.id);
        r.warn(pos, message, None);
    }
    if let Then::Multiply(multiply) = &rule.then
        && !earned.contains(&multiply.unit)
    {
        let message = format!("rule `{}` never does anything: no rule earns {}", rule.id, multiply.unit);
        r.warn(pos, message, Some("a multiplier adds to what `earn` rules give, and bonuses that are `multiplied`"));
    }
    if let Some((before, index)) = overlapping(&rule.conditions.windows) {
        let message = format!("hours {} of rule `{}` overlap hours {}", index + 1, rule.id, before + 1);
        r.warn(pos, message, Some("a rule applies once, however many of its hours hold"));
    }
}

fn warn_of_campaign(program: &Program, campaign: &RuleCampaign, pos: Pos, r: &mut Reader) {
    if let Some(why) = dead::campaign(program, campaign) {
        r.warn(pos, format!("campaign `{}` never runs: {why}", campaign.id), None);
    }
    if let Some((before, index)) = overlapping(&campaign.windows) {
        let message = format!("hours {} of campaign `{}` overlap hours {}", index + 1, campaign.id, before + 1);
        r.warn(pos, message, Some("a campaign runs, however many of its hours hold"));
    }
}

/// The first of some hours that overlap others before them, and those.
fn overlapping(windows: &[LocalWindow]) -> Option<(usize, usize)> {
    windows.iter().enumerate().find_map(|(index, window)| {
        let before = windows.iter().take(index).position(|earlier| overlaps(earlier, window))?;
        Some((before, index))
    })
}

/// Rules of a unit that round per order are rounded together, by the first of them that applies.
fn warn_of_rounding<'p>(rule: &'p Rule, pos: Pos, roundings: &mut BTreeMap<&'p UnitId, &'p Rule>, r: &mut Reader) {
    let Then::Earn(earn) = &rule.then else { return };
    if earn.round_per != RoundPer::Order {
        return;
    }
    let first = roundings.entry(&earn.unit).or_insert(rule);
    if let Then::Earn(before) = &first.then
        && before.rounding != earn.rounding
    {
        let message = format!("rule `{}` states another rounding than rule `{}` before it", rule.id, first.id);
        let hint = "what is rounded per order is rounded together, by the first rule that applies";
        r.warn(pos, message, Some(hint));
    }
}

/// Whether two windows of one clock share a minute of the week.
fn overlaps(a: &LocalWindow, b: &LocalWindow) -> bool {
    a.zone == b.zone
        && spans(a).any(|(a_from, a_until)| spans(b).any(|(b_from, b_until)| a_from < b_until && b_from < a_until))
}

/// The window in minutes since Monday midnight; what runs past Sunday goes on at Monday.
fn spans(window: &LocalWindow) -> impl Iterator<Item = (u32, u32)> {
    const DAY: u32 = 24 * 60;
    const WEEK: u32 = 7 * DAY;
    let (days, from, until) = (window.days, u32::from(window.from_minute), u32::from(window.until_minute));
    let length = if from < until { until - from } else { DAY - from + until };
    (0..7).filter(move |day| days & (1 << day) != 0).flat_map(move |day| {
        let begin = day * DAY + from;
        let end = begin + length;
        let rest = (WEEK < end).then(|| (0, end - WEEK));
        [(begin, end.min(WEEK))].into_iter().chain(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::WindowZone;

    fn window(days: u8, from_hour: u16, until_hour: u16) -> LocalWindow {
        let (from_minute, until_minute) = (from_hour * 60, until_hour * 60);
        LocalWindow { days, from_minute, until_minute, zone: WindowZone::Store }
    }

    #[test]
    fn hours_overlap_when_they_share_a_minute_of_the_week() {
        const MON: u8 = 1;
        const SUN: u8 = 1 << 6;
        for (a, b, expected) in [
            (window(MON, 6, 9), window(MON, 8, 10), true),
            (window(MON, 6, 9), window(MON, 9, 10), false),
            (window(MON, 6, 9), window(SUN, 6, 9), false),
            (window(SUN, 22, 2), window(MON, 1, 3), true),
            (window(SUN, 22, 2), window(MON, 2, 3), false),
        ] {
            assert_eq!(overlaps(&a, &b), expected, "{a:?} and {b:?}");
            assert_eq!(overlaps(&b, &a), expected, "{b:?} and {a:?}");
        }
    }
}
