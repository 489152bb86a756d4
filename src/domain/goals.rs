//! Which goals counters that moved have reached, and which they no longer reach.

use super::account::{AccountState, Gifts, GoalState};
use super::counters::CounterState;
use super::program::{CounterWindow, Goal, Program, Repeat};
use super::tiers::{Gauge, next_start, start};
use super::time::{Day, Instant};

/// How a goal moves.
#[derive(Default)]
pub struct Moves {
    /// By number, with what is to be taken back.
    pub undone: Vec<(u32, Gifts)>,
    /// The day whose count reached it, and how many times the threshold that is.
    pub met: Vec<(Day, i64)>,
    /// Reached before the goal was there, and lost now: reaching it again is no news.
    pub forgone: Option<(Day, i64)>,
    /// Reached so often at once that the last ones count for nothing.
    pub too_often: bool,
}

/// What counters that moved mean for a goal. It is reached by crossing the threshold: who stood above it before, which
/// is how everybody stands who did when the goal was introduced, reaches nothing.
pub fn moves(
    program: &Program,
    goal: &Goal,
    state: &AccountState,
    before: &[CounterState],
    at: Instant,
    now: Instant,
) -> Moves {
    let mut moves = Moves::default();
    let joined = state.joined(&program.zone);
    let gauge = |counters| Gauge::of(program, counters, joined, &goal.counter);
    let Some(window) = program.counter(&goal.counter).map(|terms| terms.window) else { return moves };
    let (Some(after), Some(before)) = (gauge(&state.counters), gauge(before)) else { return moves };
    let today = Day::at(now, &program.zone);
    let then = Day::at(at, &program.zone).min(today);
    let known = state.goal(&goal.id);
    let here = |day: Day| start_of(window, day, joined);
    undo(goal, known, &after, window, joined, today, &mut moves);
    if goal.starts_at.is_some_and(|from| at < from) {
        return moves;
    }
    let stands = |met: &&super::account::Met| moves.undone.iter().all(|(number, _)| *number != met.number);
    let listed = || known.into_iter().flat_map(|known| &known.met).filter(stands);
    let ever = known.is_some_and(|known| 0 < known.older) || listed().next().is_some();
    let mut met = Vec::new();
    let mut too_often = false;
    match goal.repeat {
        Repeat::Once | Repeat::PerPeriod => {
            let done = |day: Day| match goal.repeat {
                Repeat::PerPeriod => listed().any(|met| here(met.day) == here(day)),
                Repeat::Once | Repeat::Every => ever,
            };
            let day = after.first_reach(goal.at_least, then, today);
            met.extend(day.filter(|day| before.on(*day) < goal.at_least && !done(*day)).map(|day| (day, 1)));
        }
        Repeat::Every => {
            let day = if here(then) == here(today) { today } else { then };
            let before_it = listed().filter(|met| here(met.day) == here(day)).map(|met| met.step).max().unwrap_or(0);
            let from = (before.on(day) / goal.at_least.max(1)).max(before_it);
            let to = after.on(day) / goal.at_least.max(1);
            let most = from.saturating_add(GoalState::MET_MAX as i64);
            too_often = most < to;
            met.extend((from..to.min(most)).map(|step| (day, step.saturating_add(1))));
        }
    }
    // Times that were not paid before, lost now.
    let steps = |gauge: &Gauge<'_>| match goal.repeat {
        Repeat::Every => gauge.on(then) / goal.at_least.max(1),
        Repeat::Once | Repeat::PerPeriod => i64::from(goal.at_least <= gauge.on(then)),
    };
    let (had, has) = (steps(&before), steps(&after));
    let paid = known.into_iter().flat_map(|known| &known.met).filter(|met| here(met.day) == here(then));
    let paid = paid.map(|met| met.step).max().unwrap_or(0);
    moves.forgone = (has < had && paid < had).then_some((then, had));
    moves.met = met;
    moves.too_often = too_often;
    moves
}

fn start_of(window: CounterWindow, day: Day, joined: jiff::civil::Date) -> Option<Day> {
    // A window that never ends, and one that rolls, has but one beginning.
    matches!(window, CounterWindow::Calendar(_) | CounterWindow::MembershipYear).then(|| start(window, day, joined))
}

/// What returns have taken below the threshold again, the latest first.
fn undo(
    goal: &Goal,
    known: Option<&GoalState>,
    gauge: &Gauge<'_>,
    window: CounterWindow,
    joined: jiff::civil::Date,
    today: Day,
    moves: &mut Moves,
) {
    let listed = known.into_iter().flat_map(|known| known.met.iter().rev()).filter(|met| met.counts);
    for met in listed {
        let needed = goal.at_least.saturating_mul(met.step);
        let end = match goal.repeat {
            Repeat::Once => None,
            Repeat::PerPeriod | Repeat::Every => next_start(window, met.day, joined),
        };
        let last = end.map_or(today, |end| Day(end.0.saturating_sub(1)).min(today));
        if gauge.on(met.day) < needed && gauge.first_reach(needed, met.day, last).is_none() {
            moves.undone.push((met.number, met.gifts.clone()));
        }
    }
}
