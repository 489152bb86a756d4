//! Where a member stands: on ladders and towards goals, what is missing, and what is about to be lost.

use super::account::{AccountState, Holding, Source};
use super::answer::{GoalView, TierView};
use super::decide::{DecideError, as_of};
use super::program::{Goal, Ladder, Program, Repeat, Timeline};
use super::tiers::{Gauge, next_start};
use super::time::{Day, Instant};

/// By ladder of the program active then. `state` is up to date as of `now`.
pub fn tiers(timeline: &Timeline, state: &AccountState, now: Instant) -> Result<Vec<TierView>, DecideError> {
    let program = timeline.at(now).ok_or(DecideError::NoProgram)?;
    program.ladders.iter().map(|ladder| tier(timeline, program, ladder, state, now)).collect()
}

fn tier(
    timeline: &Timeline,
    program: &Program,
    ladder: &Ladder,
    state: &AccountState,
    now: Instant,
) -> Result<TierView, DecideError> {
    let today = Day::at(now, &program.zone);
    let joined = state.joined(&program.zone);
    let known = state.ladder(&ladder.id);
    let carry = known.and_then(|known| known.carry);
    let gauge = Gauge::of(program, &state.counters, joined, &ladder.counter).map(|gauge| gauge.with(carry));
    let counted = gauge.as_ref().map_or(0, |gauge| gauge.on(today));
    let standing = state.standing(ladder, now);
    let level = state.level(ladder, now);
    let rank = level.and_then(|level| ladder.rank(&level.id));
    let next = ladder.levels.get(rank.map_or(0, |rank| rank.saturating_add(1)));
    let due = standing.map(|(_, held)| held.due()).filter(|due| *due < Instant::MAX);
    // What would become of the level if nothing more were counted.
    let projected = match due {
        Some(due) => as_of(timeline, state.clone(), due)?.level(ladder, due).map(|level| level.id.clone()),
        None => level.map(|level| level.id.clone()),
    };
    let falls = projected.as_ref().and_then(|level| ladder.rank(level)) < rank;
    let last_chance = |held: &Holding| {
        let end = Day::at(held.until, &program.zone);
        held.grace_until.is_some() || next_start(ladder.window, today, joined).is_none_or(|next| end <= next)
    };
    let at_risk_at = standing.filter(|(_, held)| falls && last_chance(held)).and(due);
    let earned = standing.filter(|(_, held)| matches!(held.source, Source::Earned | Source::Landed));
    let needed = level.filter(|_| at_risk_at.is_some() && earned.is_some()).map(|level| level.at_least);
    Ok(TierView {
        ladder: ladder.id.clone(),
        level: level.map(|level| (level.id.clone(), level.title.clone())),
        source: standing.map(|(_, held)| held.source),
        since: standing.map(|(_, held)| held.since),
        until: due,
        in_grace: standing.is_some_and(|(_, held)| held.grace_until.is_some()),
        perks: level.map_or_else(Vec::new, |level| level.perks.clone()),
        counted,
        next: next.map(|next| (next.id.clone(), next.title.clone(), next.at_least)),
        missing: next.map_or(0, |next| next.at_least.saturating_sub(counted).max(0)),
        begins_at: known.and_then(|known| known.waits_until),
        at_risk_at,
        keep_missing: needed.map_or(0, |needed| needed.saturating_sub(counted).max(0)),
        projected,
    })
}

/// Goals of the program active then.
pub fn goals(program: &Program, state: &AccountState, now: Instant) -> Vec<GoalView> {
    let today = Day::at(now, &program.zone);
    let joined = state.joined(&program.zone);
    let view = |goal: &Goal| {
        let gauge = Gauge::of(program, &state.counters, joined, &goal.counter);
        let counted = gauge.map_or(0, |gauge| gauge.on(today));
        let known = state.goal(&goal.id);
        let times = known.map_or(0, |known| known.times());
        let at = match goal.repeat {
            Repeat::Once | Repeat::PerPeriod => goal.at_least,
            // The next multiple.
            Repeat::Every => (counted / goal.at_least.max(1)).saturating_add(1).saturating_mul(goal.at_least),
        };
        GoalView {
            goal: goal.id.clone(),
            title: goal.title.clone(),
            counted,
            at_least: at,
            missing: at.saturating_sub(counted).max(0),
            times,
            met_at: known.and_then(|known| known.met.iter().rev().find(|met| met.counts)).map(|met| met.at),
            badge: goal.badge.clone().filter(|_| 0 < times),
        }
    };
    program.goals.iter().map(view).collect()
}
