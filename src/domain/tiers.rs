//! What counters say of status and goals: which levels are reached, kept and lost, and when.
//!
//! Each level of a ladder is held by itself: who reaches the second holds the first too. A level lasts for the rest of
//! the period in which it was reached and for so many further ones. When it ends, what was counted in the periods since
//! decides whether it goes on: the last day on which the count reached the threshold carries it anew. So what is held
//! depends on what was counted alone, not on the order in which it came.

use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::account::{AccountState, Carry, Ended, Gifts, Holding, Source, TierChange};
use super::conditions::View;
use super::counters::{CounterState, anniversary, value};
use super::id::{CounterId, LadderId, LevelId, UnitId};
use super::program::{CounterTerms, CounterWindow, Ladder, Level, Levels, LifeTerms, Program, Rule, Undo, Upgrade};
use super::time::{Day, Instant};

/// What a counter says, day by day, with what carried over.
pub struct Gauge<'a> {
    terms: &'a CounterTerms,
    counted: Option<&'a CounterState>,
    joined: Date,
    carries: Vec<Carry>,
}

impl<'a> Gauge<'a> {
    /// `None`: the program has no such counter.
    pub fn of(program: &'a Program, counters: &'a [CounterState], joined: Date, id: &CounterId) -> Option<Gauge<'a>> {
        let terms = program.counter(id)?;
        let counted = counters.iter().find(|known| known.counter == *id);
        Some(Gauge { terms, counted, joined, carries: Vec::new() })
    }

    pub fn with(self, carries: impl IntoIterator<Item = Carry>) -> Gauge<'a> {
        Gauge { carries: carries.into_iter().collect(), ..self }
    }

    /// What counts on a day.
    pub fn on(&self, day: Day) -> i64 {
        let counted = self.counted.map_or(0, |state| value(self.terms, state, day.date(), self.joined));
        let here = |carry: &&Carry| {
            carry.from <= day && next_start(self.terms.window, carry.from, self.joined).is_none_or(|end| day < end)
        };
        self.carries.iter().filter(here).fold(counted, |sum, carry| sum.saturating_add(carry.amount))
    }

    /// The days on which the count may rise, within a span.
    fn days(&self, from: Day, to: Day) -> impl DoubleEndedIterator<Item = Day> {
        let buckets = self.counted.map_or(&[] as &[_], |state| &state.buckets);
        let inner = buckets.iter().map(|bucket| bucket.day).filter(move |day| from < *day && *day < to);
        let first = (from < to).then_some(from);
        let last = (from <= to).then_some(to);
        first.into_iter().chain(inner).chain(last)
    }

    /// The first day of a span on which the count reaches a threshold.
    pub fn first_reach(&self, at_least: i64, from: Day, to: Day) -> Option<Day> {
        self.days(from, to).find(|day| at_least <= self.on(*day))
    }

    /// The last.
    pub fn last_reach(&self, at_least: i64, from: Day, to: Day) -> Option<Day> {
        self.days(from, to).rev().find(|day| at_least <= self.on(*day))
    }
}

/// The first day of the window that follows the one of a day; of a rolling window, the first that no longer sees the
/// day. `None`: the window never ends.
pub fn next_start(window: CounterWindow, day: Day, joined: Date) -> Option<Day> {
    match window {
        CounterWindow::Calendar(period) => Some(Day::of(period.next(day.date()))),
        CounterWindow::MembershipYear => {
            let years = i32::from(anniversary(joined, day.date()).year()) - i32::from(joined.year()) + 1;
            let next = joined.checked_add(Span::new().years(years.clamp(0, 10_000))).ok()?;
            Some(Day::of(next))
        }
        CounterWindow::Days(days) => Some(Day(day.0.saturating_add(i32::from(days.max(1))))),
        CounterWindow::Lifetime | CounterWindow::Streak { .. } => None,
    }
}

/// The first day of the window of a day.
pub fn start(window: CounterWindow, day: Day, joined: Date) -> Day {
    match window {
        CounterWindow::Calendar(period) => Day::of(period.start(day.date())),
        CounterWindow::MembershipYear => Day::of(anniversary(joined, day.date())),
        _ => day,
    }
}

/// What the calendar and the program say of one account's ladder.
struct Climb<'a> {
    program: &'a Program,
    ladder: &'a Ladder,
    joined: Date,
}

impl<'a> Climb<'a> {
    fn of(program: &'a Program, ladder: &'a Ladder, state: &AccountState) -> Climb<'a> {
        Climb { program, ladder, joined: state.joined(&program.zone) }
    }

    fn zone(&self) -> &TimeZone {
        &self.program.zone
    }

    fn gauge<'b>(&self, counters: &'b [CounterState]) -> Option<Gauge<'b>>
    where
        'a: 'b,
    {
        Gauge::of(self.program, counters, self.joined, &self.ladder.counter)
    }

    fn windows_after(&self, day: Day, windows: u32) -> Instant {
        if self.ladder.keep.for_ever {
            return Instant::MAX;
        }
        let mut day = day;
        for _ in 0..windows {
            match next_start(self.ladder.window, day, self.joined) {
                Some(next) => day = next,
                None => return Instant::MAX,
            }
        }
        day.begins(self.zone())
    }

    /// How long a level lasts that the count of a day carries.
    fn lasts(&self, by: Day) -> Instant {
        self.windows_after(by, self.ladder.keep.further_periods.saturating_add(1))
    }

    /// How long a level lasts on which one landed.
    fn lands(&self, at: Instant) -> Instant {
        let day = Day::at(at, self.zone());
        self.windows_after(day, self.ladder.keep.further_periods.max(1))
    }

    /// What exceeds the highest threshold that a count reaches.
    fn surplus(&self, count: i64) -> i64 {
        let reached = self.ladder.levels.iter().rev().find(|level| 0 < level.at_least && level.at_least <= count);
        reached.map_or(0, |level| count.saturating_sub(level.at_least))
    }

    fn carry(&self, from: Day, before: Option<i64>, amount: i64) -> Option<Carry> {
        let rolls_at = next_start(self.ladder.window, from, self.joined)?.begins(self.zone());
        Some(Carry { from, before, amount, rolls_at })
    }

    fn held(&self, level: &Level, since: Instant, by: Day) -> Holding {
        let (level, source) = (level.id.clone(), Source::Earned);
        Holding { level, source, since, by, until: self.lasts(by), grace_until: None }
    }
}

/// How the status on one ladder moves.
#[derive(Default)]
pub struct Moves {
    pub changes: Vec<TierChange>,
    /// Levels that begin, and whether what happened now reached them: where the count stood there before, nothing did.
    pub reached: Vec<(LevelId, bool)>,
    /// Levels that returns have taken.
    pub undone: Vec<LevelId>,
}

/// What counters that moved mean for a ladder. `before`: the counters before; `at`: when what moved them happened.
pub fn moves(
    program: &Program,
    ladder: &Ladder,
    state: &AccountState,
    before: &[CounterState],
    at: Instant,
    now: Instant,
) -> Moves {
    let mut moves = Moves::default();
    let climb = Climb::of(program, ladder, state);
    let known = state.ladder(&ladder.id);
    let today = Day::at(now, climb.zone());
    let then = Day::at(at, climb.zone()).min(today);
    let (Some(gauge), Some(gauge_before)) = (climb.gauge(&state.counters), climb.gauge(before)) else { return moves };
    let old_carry = known.and_then(|known| known.carry);
    let carry = old_carry.map(|carry| recounted(&climb, &gauge, carry));
    if carry != old_carry {
        moves.changes.push(TierChange::Carries { carry });
    }
    let (gauge, gauge_before) = (gauge.with(carry), gauge_before.with(old_carry));
    for level in ladder.levels.iter().filter(|level| 0 < level.at_least) {
        let held = known.and_then(|known| known.holding(&level.id, Source::Earned));
        match held {
            Some(held) => keeps(&climb, &gauge, level, held, today, now, &mut moves),
            None => {
                if let Some(day) = gauge.first_reach(level.at_least, then, today) {
                    let crossed = gauge_before.on(day) < level.at_least;
                    let since = if day == Day::at(at, climb.zone()) { at } else { day.begins(climb.zone()) };
                    reaches(&climb, level, day, since, crossed, now, known.and_then(|k| k.waits_until), &mut moves);
                }
            }
        }
        for_life(&climb, level, state, before, today, at, &mut moves);
    }
    let begun = |change: &TierChange| matches!(change, TierChange::Held(_) | TierChange::Waits { until: Some(_) });
    let begins = moves.changes.iter().any(begun);
    if ladder.carries_surplus && carry.is_none() && begins {
        let carry = climb.carry(start(ladder.window, today, climb.joined), None, 0);
        moves.changes.push(TierChange::Carries { carry });
    }
    moves
}

/// What carried over, by what the period before counts now.
fn recounted(climb: &Climb<'_>, gauge: &Gauge<'_>, carry: Carry) -> Carry {
    let Some(before) = carry.before else { return carry };
    let last = Day(carry.from.0.saturating_sub(1));
    Carry { amount: climb.surplus(gauge.on(last).saturating_add(before)), ..carry }
}

/// A level that is held may have lost what carries it, or have found it anew while its grace runs.
fn keeps(
    climb: &Climb<'_>,
    gauge: &Gauge<'_>,
    level: &Level,
    held: &Holding,
    today: Day,
    now: Instant,
    moves: &mut Moves,
) {
    if climb.ladder.undo == Undo::AtOnce && gauge.on(held.by) < level.at_least {
        let again = gauge.first_reach(level.at_least, held.by, today);
        let again = again.map(|day| climb.held(level, day.begins(climb.zone()), day)).filter(|held| now < held.until);
        match again {
            Some(held) => moves.changes.push(TierChange::Held(held)),
            None => {
                let (level, source, why) = (level.id.clone(), Source::Earned, Ended::Undone);
                moves.undone.push(level.clone());
                moves.changes.push(TierChange::Ended { level, source, why });
            }
        }
        return;
    }
    if held.grace_until.is_none() {
        return;
    }
    let from = next_start(climb.ladder.window, held.by, climb.joined).unwrap_or(today);
    if let Some(day) = gauge.last_reach(level.at_least, from, today) {
        let anew = climb.held(level, held.since, day);
        if now < anew.until {
            moves.changes.push(TierChange::Held(anew));
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "each names one thing of the level that is reached")]
fn reaches(
    climb: &Climb<'_>,
    level: &Level,
    day: Day,
    since: Instant,
    crossed: bool,
    now: Instant,
    waits_until: Option<Instant>,
    moves: &mut Moves,
) {
    let begins = match climb.ladder.upgrade {
        Upgrade::AtOnce => since,
        Upgrade::NextPeriod => match next_start(climb.ladder.window, day, climb.joined) {
            Some(next) => next.begins(climb.zone()),
            None => since,
        },
    };
    if begins <= now {
        let held = climb.held(level, begins, day);
        if now < held.until {
            moves.changes.push(TierChange::Held(held));
            moves.reached.push((level.id.clone(), crossed));
        }
        return;
    }
    let waits = TierChange::Waits { until: Some(begins) };
    if waits_until.is_none() && !moves.changes.contains(&waits) {
        moves.changes.push(waits);
    }
    if !crossed && waits_until.is_none() {
        // What was reached before the ladder was there is no arrival when the level begins.
        moves.changes.push(TierChange::Arrived { level: level.id.clone(), gifts: Gifts::default() });
    }
}

fn for_life(
    climb: &Climb<'_>,
    level: &Level,
    state: &AccountState,
    before: &[CounterState],
    today: Day,
    at: Instant,
    moves: &mut Moves,
) {
    let Some((counter, at_least)) = &level.for_life else { return };
    let count = |counters: &[CounterState]| {
        Gauge::of(climb.program, counters, climb.joined, counter).map_or(0, |gauge| gauge.on(today))
    };
    let known = state.ladder(&climb.ladder.id).and_then(|known| known.holding(&level.id, Source::ForLife));
    let reached = *at_least <= count(&state.counters);
    match known {
        None if reached => {
            let (since, by) = (at, today);
            let level = level.id.clone();
            moves.reached.push((level.clone(), count(before) < *at_least));
            let (source, until) = (Source::ForLife, Instant::MAX);
            moves.changes.push(TierChange::Held(Holding { level, source, since, by, until, grace_until: None }));
        }
        Some(_) if !reached && climb.ladder.undo == Undo::AtOnce => {
            let (level, source, why) = (level.id.clone(), Source::ForLife, Ended::Undone);
            moves.undone.push(level.clone());
            moves.changes.push(TierChange::Ended { level, source, why });
        }
        _ => {}
    }
}

/// What falls due at an instant on one ladder: it moves each thing that is due, so that time goes on.
pub fn falls_due(program: &Program, id: &LadderId, state: &AccountState, at: Instant) -> Moves {
    let mut moves = Moves::default();
    let Some(known) = state.ladder(id) else { return moves };
    let waited = known.waits_until.is_some_and(|due| due <= at);
    if waited {
        moves.changes.push(TierChange::Waits { until: None });
    }
    let due = |held: &&Holding| held.due() <= at;
    let ladder = program.ladder(id);
    let climb = ladder.map(|ladder| Climb::of(program, ladder, state));
    let gauge = climb.as_ref().and_then(|climb| climb.gauge(&state.counters));
    let (Some(climb), Some(gauge)) = (climb, gauge) else {
        if known.carry.is_some_and(|carry| carry.rolls_at <= at) {
            moves.changes.push(TierChange::Carries { carry: None });
        }
        for held in known.held.iter().filter(due) {
            let (level, source, why) = (held.level.clone(), held.source, Ended::Gone);
            moves.changes.push(TierChange::Ended { level, source, why });
        }
        return moves;
    };
    let today = Day::at(at, climb.zone());
    let yesterday = Day(today.0.saturating_sub(1));
    let mut carries: Vec<Carry> = known.carry.into_iter().collect();
    if let Some(carry) = known.carry.filter(|carry| carry.rolls_at <= at) {
        let counted = climb.surplus(Gauge { carries: carries.clone(), ..gauge }.on(yesterday));
        let goes_on = 0 < counted || waited || known.held.iter().any(|held| held.source == Source::Earned);
        let next = climb.carry(today, Some(carry.amount), counted).filter(|_| goes_on && climb.ladder.carries_surplus);
        carries.extend(next);
        moves.changes.push(TierChange::Carries { carry: next });
    }
    let Some(gauge) = climb.gauge(&state.counters) else { return moves };
    let gauge = gauge.with(carries);
    for held in known.held.iter().filter(due) {
        ends(&climb, &gauge, held, at, &mut moves);
    }
    if waited {
        for level in climb.ladder.levels.iter().filter(|level| 0 < level.at_least) {
            let has = known.holding(&level.id, Source::Earned).is_some();
            if !has && level.at_least <= gauge.on(yesterday) {
                let held = climb.held(level, at, yesterday);
                if at < held.until {
                    moves.changes.push(TierChange::Held(held));
                    moves.reached.push((level.id.clone(), true));
                }
            }
        }
    }
    moves
}

/// The time of a holding is over: it goes on, has a grace, or is lost.
fn ends(climb: &Climb<'_>, gauge: &Gauge<'_>, held: &Holding, at: Instant, moves: &mut Moves) {
    let keep = climb.ladder.keep;
    let ended = |why| TierChange::Ended { level: held.level.clone(), source: held.source, why };
    let Some(rank) = climb.ladder.rank(&held.level) else {
        moves.changes.push(ended(Ended::Gone));
        return;
    };
    let level = climb.ladder.levels.get(rank).filter(|_| matches!(held.source, Source::Earned | Source::Landed));
    let Some(level) = level else {
        moves.changes.push(ended(Ended::Lapsed));
        return;
    };
    if held.grace_until.is_none() {
        let today = Day::at(at, climb.zone());
        let rolling = matches!(climb.ladder.window, CounterWindow::Days(_));
        // At the turn of a period, what counts is the one that is over.
        let last = if rolling || keep.further_periods == 0 { today } else { Day(today.0.saturating_sub(1)) };
        let from = next_start(climb.ladder.window, held.by, climb.joined);
        let day = from.and_then(|from| gauge.last_reach(level.at_least, from, last));
        let anew = day.map(|day| climb.held(level, held.since, day)).filter(|anew| at < anew.until);
        let stays = keep.for_ever.then(|| Holding { until: Instant::MAX, ..held.clone() });
        if let Some(anew) = stays.or(anew) {
            if anew.source != held.source {
                moves.changes.push(ended(Ended::Lapsed));
            }
            moves.changes.push(TierChange::Held(anew));
            return;
        }
        if 0 < keep.grace_days {
            let until = Day(today.0.saturating_add(i32::try_from(keep.grace_days).unwrap_or(i32::MAX)));
            let grace_until = Some(until.begins(climb.zone()));
            moves.changes.push(TierChange::Held(Holding { grace_until, ..held.clone() }));
            return;
        }
    }
    moves.changes.push(ended(Ended::Lapsed));
    let below = rank.checked_sub(1).and_then(|rank| climb.ladder.levels.get(rank));
    if let Some(below) = below.filter(|below| keep.soft_landing && 0 < below.at_least) {
        let by = Day(Day::at(held.until, climb.zone()).0.saturating_sub(1));
        let until = climb.lands(held.until);
        if at < until {
            let (level, source) = (below.id.clone(), Source::Landed);
            moves.changes.push(TierChange::Held(Holding { level, source, since: at, by, until, grace_until: None }));
        }
    }
}

impl AccountState {
    /// The holding that carries the level at an instant; `None` for a level that everybody has, or none.
    pub fn standing(&self, ladder: &Ladder, at: Instant) -> Option<(usize, &Holding)> {
        let held = self.ladder(&ladder.id)?.held.iter().filter(|held| held.since <= at && at < held.due());
        held.filter_map(|held| Some((ladder.rank(&held.level)?, held))).max_by_key(|(rank, held)| (*rank, held.due()))
    }

    /// The level that counts at an instant.
    pub fn level<'p>(&self, ladder: &'p Ladder, at: Instant) -> Option<&'p Level> {
        let everybody = || ladder.levels.first().filter(|level| level.at_least == 0);
        self.standing(ladder, at).and_then(|(rank, _)| ladder.levels.get(rank)).or_else(everybody)
    }

    /// Whether the level on each ladder named is one of those wanted. Nothing named: everybody's is.
    pub fn has_level(&self, program: &Program, wanted: &[Levels], at: Instant) -> bool {
        let has = |wanted: &Levels| {
            let level = program.ladder(&wanted.ladder).and_then(|ladder| self.level(ladder, at));
            level.is_some_and(|level| wanted.levels.contains(&level.id))
        };
        wanted.iter().all(has)
    }
}

/// What the levels that count multiply, as rules; in the order of the ladders.
pub fn multipliers<'a>(view: &View<'a>) -> Vec<&'a Rule> {
    let levels = view.program.ladders.iter().filter_map(|ladder| view.state.level(ladder, view.at));
    levels.flat_map(|level| &level.multipliers).collect()
}

/// The terms that a level gives to units of a kind: those of the first ladder that has some.
pub fn life(program: &Program, state: &AccountState, unit: &UnitId, at: Instant) -> Option<LifeTerms> {
    let levels = program.ladders.iter().filter_map(|ladder| state.level(ladder, at));
    levels.flat_map(|level| &level.lives).find(|(of, _)| of == unit).map(|(_, life)| life.clone())
}
