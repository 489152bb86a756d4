//! Counts and sums over time, kept for each account: what "the fifth order", "500 in a year" and "three weeks on end"
//! are decided on.

use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::account::{AccountState, ApplyError};
use super::id::{CounterId, UnitId};
use super::money::split;
use super::order::{Line, Order};
use super::program::{CounterTerms, CounterWindow, Counts, Program};
use super::time::{CalendarPeriod, Day, Instant};

/// What an account has counted under one name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CounterState {
    pub counter: CounterId,
    /// Sums of buckets that are no longer told apart.
    pub older: i64,
    /// By first day of what they sum, ascending; at most [`CounterState::BUCKETS_MAX`]. None is zero.
    pub buckets: Vec<Bucket>,
    /// When what was counted last happened; a return does not take it back.
    pub last_at: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bucket {
    pub day: Day,
    pub count: i64,
}

/// A change to one bucket of a counter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CounterChange {
    pub counter: CounterId,
    pub day: Day,
    pub change: i64,
}

impl CounterState {
    /// Enough for a day each over two years.
    pub const BUCKETS_MAX: usize = 800;
    /// Counters of one account, those of limits and of earlier program versions included.
    pub const COUNTERS_MAX: usize = 600;

    fn add(&mut self, day: Day, change: i64) -> Result<(), ApplyError> {
        match self.buckets.binary_search_by_key(&day, |bucket| bucket.day) {
            Ok(at) => {
                let Some(bucket) = self.buckets.get_mut(at) else { return Ok(()) };
                bucket.count = bucket.count.checked_add(change).ok_or(ApplyError::Overflow)?;
                if bucket.count == 0 {
                    self.buckets.remove(at);
                }
            }
            Err(at) => self.buckets.insert(at, Bucket { day, count: change }),
        }
        if CounterState::BUCKETS_MAX < self.buckets.len() {
            let oldest = self.buckets.remove(0);
            self.older = self.older.checked_add(oldest.count).ok_or(ApplyError::Overflow)?;
        }
        Ok(())
    }

    fn bucket(&self, day: Day) -> i64 {
        let found = self.buckets.binary_search_by_key(&day, |bucket| bucket.day).ok();
        found.and_then(|at| self.buckets.get(at)).map_or(0, |bucket| bucket.count)
    }

    fn between(&self, first: Day, last: Day) -> impl Iterator<Item = &Bucket> {
        self.buckets.iter().filter(move |bucket| first <= bucket.day && bucket.day <= last)
    }
}

impl AccountState {
    /// Applies changes to counters.
    pub(super) fn count(&mut self, changes: &[CounterChange], at: Instant) -> Result<(), ApplyError> {
        for change in changes.iter().filter(|change| change.change != 0) {
            if change.counter.value_part().is_some() {
                self.count_value(change)?;
                continue;
            }
            let place = match self.counters.iter().position(|known| known.counter == change.counter) {
                Some(place) => place,
                None => {
                    self.make_room_for_counter();
                    let counter = change.counter.clone();
                    self.counters.push(CounterState { counter, older: 0, buckets: Vec::new(), last_at: Instant(0) });
                    self.counters.len() - 1
                }
            };
            if let Some(counter) = self.counters.get_mut(place) {
                counter.add(change.day, change.change)?;
                if 0 < change.change {
                    counter.last_at = counter.last_at.max(at);
                }
            }
        }
        Ok(())
    }

    /// Adds whole counters, or with a `sign` of -1 takes them off: they came from another account, or go to one.
    pub(super) fn count_along(&mut self, counters: &[CounterState], sign: i64) -> Result<(), ApplyError> {
        for moved in counters {
            let changes = moved.buckets.iter().map(|bucket| {
                let change = bucket.count.checked_mul(sign).ok_or(ApplyError::Overflow)?;
                Ok(CounterChange { counter: moved.counter.clone(), day: bucket.day, change })
            });
            let last_at = if 0 < sign { moved.last_at } else { Instant(0) };
            self.count(&changes.collect::<Result<Vec<_>, ApplyError>>()?, last_at)?;
            let own = self.counters.iter_mut().find(|known| known.counter == moved.counter);
            if let (Some(own), true) = (own, moved.older != 0) {
                let older = moved.older.checked_mul(sign).and_then(|n| own.older.checked_add(n));
                own.older = older.ok_or(ApplyError::Overflow)?;
            }
        }
        Ok(())
    }

    /// Makes room by the counter that has stood still the longest: one of an earlier version of the program, for a
    /// version has fewer than fit.
    pub(super) fn make_room_for_counter(&mut self) {
        if self.counters.len() < CounterState::COUNTERS_MAX {
            return;
        }
        let last = |counter: &CounterState| counter.buckets.last().map(|bucket| bucket.day);
        let stale = self.counters.iter().enumerate().min_by_key(|(_, counter)| last(counter)).map(|(at, _)| at);
        if let Some(stale) = stale {
            self.counters.remove(stale);
        }
    }

    /// What a counter says at an instant; 0 for one that has counted nothing yet.
    pub fn counted(&self, program: &Program, counter: &CounterId, at: Instant) -> i64 {
        let Some(terms) = program.counter(counter) else { return 0 };
        let Some(state) = self.counters.iter().find(|known| known.counter == *counter) else { return 0 };
        let today = at.zoned(&program.zone).date();
        value(terms, state, today, self.joined(&program.zone))
    }

    /// The most that the counter of a limit says in any of its windows that an instant lies in. What is told of late is
    /// bounded by what came after it, too: otherwise the window in which both lie would hold more than it may.
    pub fn counted_around(&self, program: &Program, counter: &CounterId, window: CounterWindow, at: Instant) -> i64 {
        let Some(state) = self.counters.iter().find(|known| known.counter == *counter) else { return 0 };
        around(window, state, at.zoned(&program.zone).date(), self.joined(&program.zone))
    }

    /// When what a counter counted last happened.
    pub fn last_counted(&self, counter: &CounterId) -> Option<Instant> {
        let known = self.counters.iter().find(|known| known.counter == *counter);
        known.map(|known| known.last_at).filter(|at| Instant(0) < *at)
    }

    /// The day of joining, by the calendar of a zone.
    pub fn joined(&self, zone: &TimeZone) -> Date {
        self.enrolled_at.zoned(zone).date()
    }
}

impl AccountState {
    /// What the buckets of a counter sum to in the calendar period that an instant lies in.
    pub fn counted_in(&self, counter: &CounterId, period: CalendarPeriod, at: Instant, zone: &TimeZone) -> i64 {
        let Some(state) = self.counters.iter().find(|known| known.counter == *counter) else { return 0 };
        let today = at.zoned(zone).date();
        let first = Day::of(period.start(today));
        let next = Day::of(period.next(today));
        let inside = state.buckets.iter().filter(|bucket| first <= bucket.day && bucket.day < next);
        inside.map(|bucket| bucket.count).fold(0, i64::saturating_add)
    }
}

impl AccountState {
    /// What a counter has counted in all.
    pub fn counted_ever(&self, counter: &CounterId) -> i64 {
        let known = self.counters.iter().find(|known| known.counter == *counter);
        known.map_or(0, |known| known.buckets.iter().map(|bucket| bucket.count).fold(known.older, i64::saturating_add))
    }

    /// What a counter has counted from a day until before another.
    pub fn counted_from(&self, counter: &CounterId, first: Day, until: Day) -> i64 {
        let known = self.counters.iter().find(|known| known.counter == *counter);
        let buckets = known.into_iter().flat_map(|known| &known.buckets);
        let inside = buckets.filter(|bucket| first <= bucket.day && bucket.day < until);
        inside.map(|bucket| bucket.count).fold(0, i64::saturating_add)
    }
}

/// What a counter says on a day.
pub(super) fn value(terms: &CounterTerms, state: &CounterState, today: Date, joined: Date) -> i64 {
    within(terms.window, terms.counts == Counts::Visits, state, today, joined)
}

fn within(window: CounterWindow, visits: bool, state: &CounterState, today: Date, joined: Date) -> i64 {
    let sum = |buckets: &mut dyn Iterator<Item = &Bucket>| {
        let counts = buckets.map(|bucket| if visits { i64::from(0 < bucket.count) } else { bucket.count });
        counts.fold(0i64, i64::saturating_add)
    };
    match window {
        CounterWindow::Lifetime => sum(&mut state.buckets.iter()).saturating_add(state.older),
        CounterWindow::Calendar(period) => sum(&mut state.between(Day::of(period.start(today)), Day::of(today))),
        CounterWindow::MembershipYear => sum(&mut state.between(Day::of(anniversary(joined, today)), Day::of(today))),
        CounterWindow::Days(days) => {
            let first = Day(Day::of(today).0.saturating_sub(i32::from(days.max(1)) - 1));
            sum(&mut state.between(first, Day::of(today)))
        }
        CounterWindow::Streak { of, gap } => streak(state, of, gap, today),
    }
}

/// See [`AccountState::counted_around`].
fn around(window: CounterWindow, state: &CounterState, today: Date, joined: Date) -> i64 {
    let sum = |first: Day, last: Day| {
        let counts = state.between(first, last).map(|bucket| bucket.count);
        counts.fold(0i64, i64::saturating_add)
    };
    let before = |day: Date| Day(Day::of(day).0.saturating_sub(1));
    let today_day = Day::of(today);
    match window {
        CounterWindow::Calendar(period) => sum(Day::of(period.start(today)), before(period.next(today))),
        CounterWindow::MembershipYear => {
            let first = anniversary(joined, today);
            // As far as to the next anniversary, and not to the one after.
            let later = first.checked_add(Span::new().days(366)).unwrap_or(first);
            sum(Day::of(first), before(anniversary(joined, later)))
        }
        CounterWindow::Days(days) => {
            let reach = i32::from(days.max(1)) - 1;
            let from = |last: Day| Day(last.0.saturating_sub(reach));
            let farthest = Day(today_day.0.saturating_add(reach));
            // A window that holds more ends where something was counted, if not today.
            let later = state.between(Day(today_day.0.saturating_add(1)), farthest).map(|bucket| bucket.day);
            let ends = std::iter::once(today_day).chain(later);
            ends.map(|last| sum(from(last), last)).max().unwrap_or(0)
        }
        CounterWindow::Lifetime | CounterWindow::Streak { .. } => within(window, false, state, today, joined),
    }
}

/// The last anniversary of joining on or before a day; who joined on 29 February has it on 28 February in other years.
pub fn anniversary(joined: Date, today: Date) -> Date {
    let years = i32::from(today.year()) - i32::from(joined.year());
    let of = |years: i32| joined.checked_add(Span::new().years(years.clamp(0, 10_000))).unwrap_or(joined);
    let this_year = of(years);
    if this_year <= today { this_year } else { of(years - 1) }
}

/// Periods on end in which something was counted, up to the one of `today`.
fn streak(state: &CounterState, of: CalendarPeriod, gap: u16, today: Date) -> i64 {
    let mut run = 0;
    let mut missed = 0;
    let mut period = of.start(today);
    if state.bucket(Day::of(period)) <= 0 {
        // It lasts: nothing is missed yet.
        period = of.previous(period);
    }
    let oldest = state.buckets.first().map_or(Day(i32::MAX), |bucket| bucket.day);
    while oldest <= Day::of(period) {
        if 0 < state.bucket(Day::of(period)) {
            run += 1;
            missed = 0;
        } else {
            missed += 1;
            if gap < missed {
                break;
            }
        }
        period = of.previous(period);
    }
    run
}

/// The bucket in which a counter counts what happened at an instant.
pub fn bucket_day(terms: &CounterTerms, at: Instant, zone: &TimeZone) -> Day {
    // Visits are days, told apart as long as they can be.
    let is_visits = terms.counts == Counts::Visits && !matches!(terms.window, CounterWindow::Streak { .. });
    bucket_of(if is_visits { CounterWindow::Days(1) } else { terms.window }, at, zone)
}

/// The bucket in which what is asked for by a window is counted.
pub fn bucket_of(window: CounterWindow, at: Instant, zone: &TimeZone) -> Day {
    let date = at.zoned(zone).date();
    match window {
        CounterWindow::Lifetime => Day(0),
        CounterWindow::Calendar(period) | CounterWindow::Streak { of: period, .. } => Day::of(period.start(date)),
        CounterWindow::MembershipYear | CounterWindow::Days(_) => Day::of(date),
    }
}

/// What an order adds to one counter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tally {
    pub counter: CounterId,
    pub day: Day,
    pub amount: i64,
    /// How it falls on the lines; empty: on the order as a whole, and it goes when all lines have come back.
    pub shares: Vec<i64>,
    /// What returns have taken from it.
    pub reversed: i64,
}

impl Tally {
    pub fn change(&self) -> CounterChange {
        CounterChange { counter: self.counter.clone(), day: self.day, change: self.amount }
    }
}

/// What an order adds to the program's counters. `earning`: of each line, what earns.
/// `free`: items of each line that a reward gave: nobody has bought them.
pub fn of_order(
    program: &Program,
    order: &Order,
    earning: &[i64],
    free: &[i64],
    at: Instant,
) -> Result<Vec<Tally>, ApplyError> {
    let mut tallies = Vec::new();
    for terms in &program.counters {
        let here = |of: &[super::id::Label], is: Option<&super::id::Label>| {
            of.is_empty() || is.is_some_and(|is| of.contains(is))
        };
        if !here(&terms.channels, order.channel.as_ref()) || !here(&terms.stores, order.store.as_ref()) {
            continue;
        }
        let counts = |at: usize| order.lines.get(at).is_some_and(|line| terms.lines.selects(line));
        let any = (0..order.lines.len()).any(counts);
        let (amount, shares) = match &terms.counts {
            Counts::Orders | Counts::Visits => (i64::from(any), Vec::new()),
            Counts::Items => {
                let lines = order.lines.iter().zip(free).enumerate();
                let bought = |line: &Line, free: i64| line.quantity.saturating_sub(free).max(0);
                let shares: Vec<i64> =
                    lines.map(|(n, (line, free))| if counts(n) { bought(line, *free) } else { 0 }).collect();
                (total(&shares)?, shares)
            }
            Counts::Spend => {
                let lines = earning.iter().enumerate();
                let weights: Vec<i64> = lines.map(|(n, minor)| if counts(n) { *minor } else { 0 }).collect();
                let Some(amount) = in_first(program, order, total(&weights)?, at) else { continue };
                (amount, split(amount, &weights))
            }
            Counts::Units(_) | Counts::Events(_) | Counts::EventValue(_) | Counts::Friends => continue,
        };
        if amount != 0 {
            let day = bucket_day(terms, at, &program.zone);
            tallies.push(Tally { counter: terms.id.clone(), day, amount, shares, reversed: 0 });
        }
    }
    Ok(tallies)
}

/// What earns is in the program's first currency already where the order's own is not listed.
pub(super) fn in_first(program: &Program, order: &Order, minor: i64, at: Instant) -> Option<i64> {
    let listed = program.currencies.contains(&order.currency);
    if listed { program.in_first_currency(order.currency, minor, at) } else { Some(minor) }
}

fn total(amounts: &[i64]) -> Result<i64, ApplyError> {
    amounts.iter().try_fold(0i64, |sum, n| sum.checked_add(*n)).ok_or(ApplyError::Overflow)
}

/// The changes to all counters that count something of one sort.
fn changes(
    program: &Program,
    at: Instant,
    change: i64,
    counts: impl Fn(&Counts) -> bool,
) -> impl Iterator<Item = CounterChange> {
    program.counters.iter().filter(move |terms| counts(&terms.counts)).map(move |terms| CounterChange {
        counter: terms.id.clone(),
        day: bucket_day(terms, at, &program.zone),
        change,
    })
}

/// What units granted (or, negative, taken back) at an instant change in the program's counters.
pub fn of_units(program: &Program, unit: &UnitId, change: i64, at: Instant) -> Vec<CounterChange> {
    changes(program, at, change, |counts| matches!(counts, Counts::Units(of) if of == unit)).collect()
}

/// What a friend who qualified (1) or no longer does (-1) changes in the program's counters.
pub fn of_friend(program: &Program, change: i64, at: Instant) -> Vec<CounterChange> {
    changes(program, at, change, |counts| *counts == Counts::Friends).collect()
}

/// What an event changes in the program's counters.
pub fn of_event(program: &Program, event: &super::id::Label, value: Option<i64>, at: Instant) -> Vec<CounterChange> {
    let events = changes(program, at, 1, |counts| matches!(counts, Counts::Events(types) if types.contains(event)));
    let values = changes(
        program,
        at,
        value.unwrap_or(0),
        |counts| matches!(counts, Counts::EventValue(types) if types.contains(event)),
    );
    events.chain(values).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::program::Selector;

    fn terms(counts: Counts, window: CounterWindow) -> CounterTerms {
        let id = CounterId::parse("c").expect("an id");
        CounterTerms { id, counts, window, lines: Selector::default(), channels: Vec::new(), stores: Vec::new() }
    }

    fn state(days: &[(&str, i64)]) -> CounterState {
        let mut state = CounterState {
            counter: CounterId::parse("c").expect("an id"),
            older: 0,
            buckets: Vec::new(),
            last_at: Instant(0),
        };
        for (day, count) in days {
            state.add(Day::of(date(day)), *count).expect("fits");
        }
        state
    }

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    #[test]
    fn windows_end_where_they_say() {
        let days = [("2026-01-31", 1), ("2026-02-01", 2), ("2026-02-28", 4), ("2026-03-01", 8)];
        let joined = date("2024-02-29");
        for (window, today, expected) in [
            (CounterWindow::Calendar(CalendarPeriod::Month), "2026-02-28", 6),
            (CounterWindow::Calendar(CalendarPeriod::Month), "2026-03-01", 8),
            (CounterWindow::Calendar(CalendarPeriod::Quarter), "2026-03-31", 15),
            (CounterWindow::Calendar(CalendarPeriod::Year), "2027-01-01", 0),
            (CounterWindow::Days(1), "2026-03-01", 8),
            (CounterWindow::Days(2), "2026-03-01", 12),
            (CounterWindow::Days(30), "2026-03-01", 15),
            (CounterWindow::Days(29), "2026-03-01", 14),
            (CounterWindow::Lifetime, "2030-01-01", 15),
            // Joined on 29 February: the year turns on 28 February.
            (CounterWindow::MembershipYear, "2026-03-01", 12),
            (CounterWindow::MembershipYear, "2026-02-27", 3),
        ] {
            let found = value(&terms(Counts::Items, window), &state(&days), date(today), joined);
            assert_eq!(found, expected, "{window:?} on {today}");
        }
    }

    #[test]
    fn what_a_limit_has_counted_is_looked_for_on_both_sides() {
        let days = [("2026-01-31", 1), ("2026-02-01", 2), ("2026-02-28", 4), ("2026-03-01", 8)];
        let joined = date("2024-02-29");
        for (window, today, expected) in [
            (CounterWindow::Calendar(CalendarPeriod::Month), "2026-02-10", 6),
            (CounterWindow::Calendar(CalendarPeriod::Year), "2026-01-01", 15),
            (CounterWindow::Calendar(CalendarPeriod::Day), "2026-02-27", 0),
            (CounterWindow::Days(1), "2026-02-28", 4),
            (CounterWindow::Days(2), "2026-02-28", 12),
            (CounterWindow::Days(2), "2026-02-27", 4),
            (CounterWindow::Days(2), "2026-01-30", 1),
            (CounterWindow::Days(3), "2026-01-30", 3),
            (CounterWindow::Lifetime, "2020-01-01", 15),
            (CounterWindow::MembershipYear, "2026-02-27", 3),
            (CounterWindow::MembershipYear, "2026-02-28", 12),
        ] {
            assert_eq!(around(window, &state(&days), date(today), joined), expected, "{window:?} on {today}");
        }
    }

    #[test]
    fn a_visit_is_a_day() {
        let days = [("2026-05-01", 3), ("2026-05-02", 1)];
        let found = value(
            &terms(Counts::Visits, CounterWindow::Calendar(CalendarPeriod::Month)),
            &state(&days),
            date("2026-05-31"),
            date("2026-01-01"),
        );
        assert_eq!(found, 2);
    }

    #[test]
    fn a_streak_forgives_its_gap_and_lasts_through_today() {
        // Mondays
        let weeks = [("2026-05-04", 1), ("2026-05-11", 2), ("2026-05-25", 1)];
        for (gap, today, expected) in [
            (0, "2026-05-17", 2),
            (0, "2026-05-24", 2), // the week of 18 May is not over
            (0, "2026-05-31", 1),
            (1, "2026-05-31", 3),
            (1, "2026-06-07", 3),
            (0, "2026-06-07", 1),
            (0, "2026-06-08", 0),
            (1, "2026-06-14", 3),
            (1, "2026-06-21", 0),
        ] {
            let window = CounterWindow::Streak { of: CalendarPeriod::Week, gap };
            let found = value(&terms(Counts::Orders, window), &state(&weeks), date(today), date("2026-01-01"));
            assert_eq!(found, expected, "gap {gap}, {today}");
        }
    }

    #[test]
    fn a_counter_stays_bounded_and_forgets_nothing_of_a_lifetime() {
        let mut state = state(&[]);
        for day in 0..2_000 {
            state.add(Day(day), 1).expect("fits");
        }
        assert_eq!(state.buckets.len(), CounterState::BUCKETS_MAX);
        let all = value(&terms(Counts::Items, CounterWindow::Lifetime), &state, date("2026-01-01"), date("2026-01-01"));
        assert_eq!(all, 2_000);
    }
}
