//! What follows from counters that moved: levels of status and goals that are reached or no longer are, the rules on
//! them, and what follows from what those grant in turn.

use super::super::account::{ApplyError, Gift, Gifts, GoalChange, Holding, LadderState, Met, TierChange};
use super::super::answer::{Decided, Effect, Reason, Refusal, Subject};
use super::super::counters::{self, CounterChange, CounterState, Tally};
use super::super::desk::Desk;
use super::super::goals;
use super::super::id::{LadderId, LevelId};
use super::super::ledger::Fact;
use super::super::order_record::GrantRecord;
use super::super::program::{Goal, Levels, Rule, Timeline, Trigger};
use super::super::tiers::{self, Moves};
use super::super::time::{Instant, Times};
use super::giveback::{TakeBack, take_uncounted};
use super::{Halt, Scene, Snapshot, awards, rules};

/// What rules on tiers and goals grant may reach others, so often and no further.
const ROUNDS_MAX: usize = 4;

/// How things stand before a decision moves them.
pub(super) struct Before {
    counters: Vec<CounterState>,
    levels: Vec<(LadderId, Option<LevelId>)>,
}

/// Looks before counters move; `None` where nothing follows from them.
pub(super) fn look(scene: &Scene<'_>, desk: &Desk) -> Option<Before> {
    let program = scene.program;
    if program.ladders.is_empty() && program.goals.is_empty() {
        return None;
    }
    Some(Before { counters: desk.state.counters.clone(), levels: levels(scene, desk) })
}

fn levels(scene: &Scene<'_>, desk: &Desk) -> Vec<(LadderId, Option<LevelId>)> {
    let ladders = scene.program.ladders.iter();
    let level = |ladder| desk.state.level(ladder, desk.now).map(|level| level.id.clone());
    ladders.map(|ladder| (ladder.id.clone(), level(ladder))).collect()
}

/// Sees what follows from what has moved since.
pub(super) fn settle(
    scene: &Scene<'_>,
    desk: &mut Desk,
    before: Option<Before>,
    decided: &mut Decided,
) -> Result<(), Halt> {
    let Some(before) = before else { return Ok(()) };
    rounds(scene, desk, before.counters, decided)?;
    for ((ladder, from), (_, to)) in before.levels.into_iter().zip(levels(scene, desk)) {
        if from != to {
            decided.effects.push(Effect::TierChanged { ladder, from, to });
        }
    }
    Ok(())
}

fn rounds(
    scene: &Scene<'_>,
    desk: &mut Desk,
    mut before: Vec<CounterState>,
    decided: &mut Decided,
) -> Result<(), Halt> {
    for _ in 0..ROUNDS_MAX {
        if before == desk.state.counters {
            return Ok(());
        }
        let now = desk.state.counters.clone();
        round(scene, desk, &before, decided)?;
        before = now;
    }
    if before != desk.state.counters {
        decided.refusals.push(Refusal::new(Subject::Earn, Reason::TooManyConsequences));
    }
    Ok(())
}

fn round(scene: &Scene<'_>, desk: &mut Desk, before: &[CounterState], decided: &mut Decided) -> Result<(), Halt> {
    let at = scene.times.effective_at;
    for ladder in &scene.program.ladders {
        let moves = tiers::moves(scene.program, ladder, &desk.state, before, at, desk.now);
        climb(scene, desk, &ladder.id, moves, at, decided)?;
    }
    for goal in &scene.program.goals {
        let moves = goals::moves(scene.program, goal, &desk.state, before, at, desk.now);
        reach(scene, desk, goal, moves, decided)?;
    }
    Ok(())
}

/// Posts how the status moves, takes back what is undone, and fires the rules on levels that begin.
fn climb(
    scene: &Scene<'_>,
    desk: &mut Desk,
    ladder: &LadderId,
    moves: Moves,
    at: Instant,
    decided: &mut Decided,
) -> Result<(), Halt> {
    for change in moves.changes {
        desk.post(at, Fact::Tier { ladder: ladder.clone(), change })?;
    }
    for level in moves.undone {
        let known = desk.state.ladder(ladder);
        let still = known.is_some_and(|known| known.held.iter().any(|held| held.level == level));
        let arrival = known.and_then(|known| known.arrival(&level)).filter(|arrival| !arrival.undone && !still);
        let Some(gifts) = arrival.map(|arrival| arrival.gifts.clone()) else { continue };
        take_gifts(scene, desk, gifts, decided)?;
        desk.post(at, Fact::Tier { ladder: ladder.clone(), change: TierChange::Undone { level } })?;
    }
    for (level, crossed) in moves.reached {
        arrive(scene, desk, ladder, level, crossed, at, decided)?;
    }
    Ok(())
}

/// The rules on a level fire once, whatever is lost and regained; only where returns have undone them, again.
pub(super) fn arrive(
    scene: &Scene<'_>,
    desk: &mut Desk,
    ladder: &LadderId,
    level: LevelId,
    fires: bool,
    at: Instant,
    decided: &mut Decided,
) -> Result<(), Halt> {
    let arrival = desk.state.ladder(ladder).and_then(|known: &LadderState| known.arrival(&level));
    if arrival.is_some_and(|arrival| !arrival.undone) {
        return Ok(());
    }
    let times = arrival.map_or(0, |arrival| arrival.times).saturating_add(1).to_string();
    let mut gifts = Gifts::default();
    if fires {
        let names = |tiers: &[Levels]| {
            tiers.is_empty() || tiers.iter().any(|of| of.ladder == *ladder && of.levels.contains(&level))
        };
        let acts = |rule: &Rule| rule.on == Trigger::Tier && names(&rule.tiers);
        let cause = ["tier", ladder.as_str(), level.as_str(), &times];
        gifts = fire(scene, desk, acts, &cause, at, decided)?;
    }
    desk.post(at, Fact::Tier { ladder: ladder.clone(), change: TierChange::Arrived { level, gifts } })?;
    Ok(())
}

/// Fires rules on a tier or a goal, and tells what they granted and what that added to counters: taken back, it goes from
/// there again, whatever the program has become meanwhile.
fn fire(
    scene: &Scene<'_>,
    desk: &mut Desk,
    acts: impl Fn(&Rule) -> bool,
    cause: &[&str],
    at: Instant,
    decided: &mut Decided,
) -> Result<Gifts, Halt> {
    let effects = decided.effects.len();
    let made = rules::fire(scene, desk, acts, cause, at, decided)?;
    let granted = decided.effects.iter().skip(effects).filter_map(|effect| match effect {
        Effect::Granted(granted) => Some((&granted.grant, &granted.rule)),
        _ => None,
    });
    let rules: Vec<_> = granted.collect();
    let gift = |grant: GrantRecord| {
        let GrantRecord { grant, unit, amount, dates, .. } = grant;
        let mut counted = counters::of_units(scene.program, &unit, amount, at);
        let rule = rules.iter().find(|(of, _)| **of == grant).map(|(_, rule)| *rule);
        let out = rule.map_or(&[] as &[_], |rule| scene.program.uncounted(rule));
        counted.retain(|change| !out.contains(&change.counter));
        Gift { grant, unit, amount, dates, counted }
    };
    let counts = made.counts.iter().map(Tally::change).collect();
    Ok(Gifts { units: made.grants.into_iter().map(gift).collect(), others: made.consequences, counts })
}

fn take_gifts(scene: &Scene<'_>, desk: &mut Desk, gifts: Gifts, decided: &mut Decided) -> Result<(), Halt> {
    // The last thing that was brought goes first.
    for mut other in gifts.others.into_iter().rev() {
        let all = other.count;
        awards::undo(scene, desk, &mut other, all, decided)?;
    }
    for gift in gifts.units {
        let Gift { grant, unit, amount, dates, counted } = gift;
        take_uncounted(scene, desk, &grant, &unit, dates, amount, TakeBack::Return, decided)?;
        let back = counted.into_iter().map(|change| CounterChange { change: change.change.saturating_neg(), ..change });
        desk.count(scene.times.effective_at, back.collect())?;
    }
    let back =
        gifts.counts.into_iter().map(|change| CounterChange { change: change.change.saturating_neg(), ..change });
    Ok(desk.count(scene.times.effective_at, back.collect())?)
}

/// Posts how a goal moves, takes back what is undone, and fires the rules on it.
fn reach(
    scene: &Scene<'_>,
    desk: &mut Desk,
    goal: &Goal,
    moves: goals::Moves,
    decided: &mut Decided,
) -> Result<(), Halt> {
    let at = scene.times.effective_at;
    for (number, gifts) in moves.undone {
        take_gifts(scene, desk, gifts, decided)?;
        desk.post(at, Fact::Goal { goal: goal.id.clone(), change: GoalChange::Undone { number } })?;
        decided.effects.push(Effect::GoalUndone { goal: goal.id.clone(), number });
    }
    if let Some((day, step)) = moves.forgone {
        let met = Met { number: next(desk, goal), at, day, step, counts: false, gifts: Gifts::default() };
        desk.post(at, Fact::Goal { goal: goal.id.clone(), change: GoalChange::Met(met) })?;
    }
    for (day, step) in moves.met {
        let number = next(desk, goal);
        let acts = |rule: &Rule| rule.on == Trigger::Goal && (rule.goals.is_empty() || rule.goals.contains(&goal.id));
        decided.effects.push(Effect::GoalMet { goal: goal.id.clone(), number, badge: goal.badge.clone() });
        let cause = ["goal", goal.id.as_str(), &number.to_string()];
        let gifts = fire(scene, desk, acts, &cause, at, decided)?;
        let met = Met { number, at, day, step, counts: true, gifts };
        desk.post(at, Fact::Goal { goal: goal.id.clone(), change: GoalChange::Met(met) })?;
    }
    if moves.too_often {
        decided.refusals.push(Refusal::new(Subject::Earn, Reason::TooManyConsequences));
    }
    Ok(())
}

fn next(desk: &Desk, goal: &Goal) -> u32 {
    desk.state.goal(&goal.id).map_or(0, |known| known.numbers).saturating_add(1)
}

/// What falls due of the status at an instant, under the version of the program active then.
pub(in crate::domain) fn time_passes(desk: &mut Desk, timeline: &Timeline, at: Instant) -> Result<(), ApplyError> {
    let Some(program) = timeline.at(at) else { return Err(ApplyError::Inconsistent("there is no program")) };
    let snapshot = Snapshot::empty(program.id.clone());
    let times = Times { now: desk.now, effective_at: at, stated: false };
    let scene = Scene::new(timeline, program, &snapshot, times, None, false);
    let version = std::mem::replace(&mut desk.version, program.version.clone());
    let request = desk.request.take();
    let passed = pass(&scene, desk, at);
    desk.version = version;
    desk.request = request;
    match passed {
        Ok(()) => Ok(()),
        Err(Halt::Apply(error)) => Err(error),
        Err(Halt::Refused(_)) => Err(ApplyError::Inconsistent("the passing of time is refused")),
    }
}

fn pass(scene: &Scene<'_>, desk: &mut Desk, at: Instant) -> Result<(), Halt> {
    let counters = desk.state.counters.clone();
    let mut decided = scene.decided();
    let due = |known: &LadderState| {
        let held = known.held.iter().map(Holding::due);
        held.chain(known.waits_until).chain(known.carry.map(|carry| carry.rolls_at)).any(|due| due <= at)
    };
    let ladders: Vec<LadderId> =
        desk.state.ladders.iter().filter(|known| due(known)).map(|known| known.ladder.clone()).collect();
    for ladder in ladders {
        let moves = tiers::falls_due(scene.program, &ladder, &desk.state, at);
        climb(scene, desk, &ladder, moves, at, &mut decided)?;
    }
    rounds(scene, desk, counters, &mut decided)
}
