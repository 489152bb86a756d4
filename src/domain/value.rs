//! The value profile: how lately, how often and for how much a member buys, in which categories, and by which kinds of
//! loyalty units were earned.
//!
//! Recency, frequency and monetary value are the RFM of direct marketing (A. M. Hughes, *Strategic Database Marketing*,
//! 1994), with scores 1 to 5 whose bounds the program states. Frequency, money and affinity are sums with exponential
//! decay over calendar months: what was bought `m` whole months ago weighs `2^(-m / half-life)`, and nothing any more
//! after [`MONTHS`]. The sums are kept by month and weighed when they are looked at, so that a return takes exactly back
//! what its order added, in any order and with any steps. All of it are counters that no program can name: they move
//! with merges, and a return takes from the same bucket that the order put into.
//!
//! Of categories the account keeps [`CATEGORIES_KEPT`] in the spirit of the *space-saving* algorithm (Metwally, Agrawal,
//! El Abbadi 2005): a new one displaces the one that weighs least. Unlike there it does not inherit the weight, so
//! that an affinity is never overstated. What an order displaces comes back when the order comes back whole.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::account::{AccountState, ApplyError};
use super::counters::{Bucket, CounterChange, CounterState, Tally, bucket_of, in_first};
use super::id::{CounterId, Label, UnitId};
use super::money::split;
use super::order::Order;
use super::program::{CounterWindow, Kind, Program, ValueTerms};
use super::time::{CalendarPeriod, Day, Instant};

/// Months that are remembered; older ones weigh nothing.
pub const MONTHS: usize = 24;
/// Days with orders that are told apart, for recency.
const DAYS: usize = 16;
/// Categories of one account. A merge may bring as many again, until the next order.
pub const CATEGORIES_KEPT: usize = 12;
/// What undone orders and merges bring back finds room up to here.
const CATEGORIES_MAX: usize = 2 * CATEGORIES_KEPT;

const MONTH: CounterWindow = CounterWindow::Calendar(CalendarPeriod::Month);

/// `2^(-n / 12)` in parts of [`ONE`], to the nearest.
const DECAY: [i128; 12] =
    [65_536, 61_858, 58_386, 55_109, 52_016, 49_097, 46_341, 43_740, 41_285, 38_968, 36_781, 34_716];
const ONE: i128 = 65_536;

const DAYS_OF_ORDERS: &str = "days";
const ORDERS: &str = "orders";
const SPEND: &str = "spend";
const IN: &str = "in/";
const BY: &str = "by/";

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::Transactional, Kind::Social, Kind::Emotional, Kind::Behavioural, Kind::Advocacy];
}

/// A profile as of an instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValueView {
    /// Whole days by the program's calendar since the last order; `None`: there is none.
    pub recency_days: Option<i64>,
    pub frequency_hundredths: i64,
    /// Minor units of the program's first currency.
    pub monetary_minor: i64,
    pub scores: Option<Scores>,
    /// In thousandths of what was spent, highest first; none is zero.
    pub affinity: Vec<(Label, i64)>,
    /// In thousandths of the units granted; none is zero.
    pub mix: Vec<(Kind, i64)>,
}

/// From 1 to 5; 0 while there is no order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scores {
    pub recency: i64,
    pub frequency: i64,
    pub monetary: i64,
}

/// An account's profile, to be asked.
#[derive(Clone, Copy)]
pub struct Profile<'a> {
    terms: &'a ValueTerms,
    state: &'a AccountState,
    today: Date,
}

impl<'a> Profile<'a> {
    /// `None`: the program keeps none.
    pub fn of(program: &'a Program, state: &'a AccountState, at: Instant) -> Option<Profile<'a>> {
        let terms = program.value.as_ref()?;
        Some(Profile { terms, state, today: at.zoned(&program.zone).date() })
    }

    fn buckets(&self, name: &str, of: &str) -> &'a [Bucket] {
        let found = self.state.counters.iter().find(|known| known.counter.is_value(name, of));
        found.map_or(&[], |known| known.buckets.as_slice())
    }

    /// Rounded down to a part of [`ONE`] for each month.
    fn weight(&self, buckets: &[Bucket]) -> i128 {
        let half_life = self.terms.half_life_months.max(1);
        let of = |bucket: &Bucket| {
            let months = months_between(bucket.day.date(), self.today);
            if MONTHS as i64 <= months {
                return 0;
            }
            let (whole, part) = (months / half_life, months % half_life * 12 / half_life);
            let factor = usize::try_from(part).ok().and_then(|part| DECAY.get(part)).copied().unwrap_or(0);
            i128::from(bucket.count.max(0)) * (factor >> whole)
        };
        buckets.iter().map(of).fold(0, i128::saturating_add)
    }

    pub fn recency_days(&self) -> Option<i64> {
        let last = |name: &str| self.buckets(name, "").iter().rev().find(|bucket| 0 < bucket.count);
        let last = last(DAYS_OF_ORDERS).or_else(|| last(ORDERS))?;
        Some((i64::from(Day::of(self.today).0) - i64::from(last.day.0)).max(0))
    }

    pub fn frequency_hundredths(&self) -> i64 {
        whole(self.weight(self.buckets(ORDERS, "")).saturating_mul(100) / ONE)
    }

    pub fn monetary_minor(&self) -> i64 {
        whole(self.weight(self.buckets(SPEND, "")) / ONE)
    }

    /// `None`: the program states none.
    pub fn scores(&self) -> Option<Scores> {
        let bounds = self.terms.scores.as_ref()?;
        let Some(days) = self.recency_days() else { return Some(Scores { recency: 0, frequency: 0, monetary: 0 }) };
        Some(Scores {
            recency: bounds.recency(days),
            frequency: bounds.frequency(self.frequency_hundredths()),
            monetary: bounds.monetary(self.monetary_minor()),
        })
    }

    /// How much of what was spent was spent on lines of a category; in thousandths, rounded down. A line of several
    /// categories counts for each.
    pub fn affinity(&self, category: &str) -> i64 {
        permille(self.weight(self.buckets(IN, category)), self.weight(self.buckets(SPEND, "")))
    }

    /// How much of what was granted was granted by rules of a kind; in thousandths, rounded down.
    pub fn mix(&self, kind: Kind) -> i64 {
        let of = |kind: Kind| self.weight(self.buckets(BY, kind.name()));
        permille(of(kind), Kind::ALL.into_iter().map(of).fold(0, i128::saturating_add))
    }

    pub fn view(&self) -> ValueView {
        let known = self.state.counters.iter().filter_map(|known| known.counter.category());
        let mut affinity: Vec<(Label, i64)> =
            known.filter_map(|name| Some((Label::parse(name).ok()?, self.affinity(name)))).collect();
        affinity.retain(|(_, permille)| 0 < *permille);
        affinity.sort_by(|(a, most), (b, other)| other.cmp(most).then_with(|| a.cmp(b)));
        let mix = Kind::ALL.into_iter().map(|kind| (kind, self.mix(kind))).filter(|(_, permille)| 0 < *permille);
        ValueView {
            recency_days: self.recency_days(),
            frequency_hundredths: self.frequency_hundredths(),
            monetary_minor: self.monetary_minor(),
            scores: self.scores(),
            affinity,
            mix: mix.collect(),
        }
    }
}

fn permille(part: i128, of: i128) -> i64 {
    if of <= 0 { 0 } else { whole(part.saturating_mul(1_000) / of) }
}

fn whole(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Whole calendar months from the month of one date to that of another; 0 where it lies ahead.
fn months_between(from: Date, to: Date) -> i64 {
    let month = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month());
    (month(to) - month(from)).max(0)
}

/// What an order adds to the profile. `earning`: of each line, what earns.
pub fn of_order(
    program: &Program,
    state: &AccountState,
    order: &Order,
    earning: &[i64],
    at: Instant,
) -> Result<Vec<Tally>, ApplyError> {
    let Some(profile) = Profile::of(program, state, at) else { return Ok(Vec::new()) };
    let month = bucket_of(MONTH, at, &program.zone);
    let tally = |name: &str, of: &str, day: Day, amount: i64, shares: Vec<i64>| Tally {
        counter: CounterId::of_value(name, of),
        day,
        amount,
        shares,
        reversed: 0,
    };
    let mut tallies =
        vec![tally(DAYS_OF_ORDERS, "", Day::of(profile.today), 1, Vec::new()), tally(ORDERS, "", month, 1, Vec::new())];
    // In the program's first currency; `None`: there is no rate that day.
    let spent = |weights: &[i64]| {
        let all = weights.iter().try_fold(0i64, |sum, n| sum.checked_add(*n)).ok_or(ApplyError::Overflow)?;
        Ok(in_first(program, order, all, at).filter(|amount| 0 < *amount))
    };
    let Some(all) = spent(earning)? else { return Ok(tallies) };
    tallies.push(tally(SPEND, "", month, all, split(all, earning)));
    let mut found: BTreeMap<&Label, Vec<i64>> = BTreeMap::new();
    for (n, (line, minor)) in order.lines.iter().zip(earning).enumerate().filter(|(_, (_, minor))| 0 < **minor) {
        for category in &line.categories {
            let weights = found.entry(category).or_insert_with(|| vec![0; earning.len()]);
            if let Some(weight) = weights.get_mut(n) {
                *weight = *minor;
            }
        }
    }
    let mut categories = Vec::with_capacity(found.len());
    for (category, weights) in found {
        if let Some(amount) = spent(&weights)? {
            categories.push((category, amount, weights));
        }
    }
    // The heaviest; of equals, the first by name.
    categories.sort_by(|(a, most, _), (b, other, _)| other.cmp(most).then_with(|| a.cmp(b)));
    categories.truncate(CATEGORIES_KEPT);
    let names: Vec<&str> = categories.iter().map(|(category, ..)| category.as_str()).collect();
    for (category, bucket) in profile.displaced(&names) {
        tallies.push(tally(
            IN,
            category,
            bucket.day,
            bucket.count.checked_neg().ok_or(ApplyError::Overflow)?,
            Vec::new(),
        ));
    }
    let added = categories
        .into_iter()
        .map(|(category, amount, weights)| tally(IN, category.as_str(), month, amount, split(amount, &weights)));
    tallies.extend(added);
    Ok(tallies)
}

impl<'a> Profile<'a> {
    /// What makes room for the categories of an order: all that is known of those that weigh least.
    fn displaced(&self, names: &[&str]) -> impl Iterator<Item = (&'a str, Bucket)> + use<'a> {
        let known = self.state.counters.iter().filter_map(|known| Some((known.counter.category()?, known)));
        let known: Vec<(&'a str, &'a CounterState)> = known.collect();
        let new = names.iter().filter(|name| known.iter().all(|(category, _)| category != *name)).count();
        let surplus = (known.len() + new).saturating_sub(CATEGORIES_KEPT);
        let mut others: Vec<(i128, &'a str, &'a CounterState)> = known
            .into_iter()
            .filter(|(category, _)| !names.contains(category))
            .map(|(category, known)| (self.weight(&known.buckets), category, known))
            .collect();
        others.sort_by_key(|(weight, category, _)| (*weight, *category));
        others.truncate(surplus);
        others.into_iter().flat_map(|(_, category, known)| known.buckets.iter().map(move |bucket| (category, *bucket)))
    }
}

/// What units granted (or, negative, taken back) by a rule of a kind change in the loyalty mix; `at`: when they were
/// granted.
pub fn of_kind(program: &Program, kind: Kind, unit: &UnitId, change: i64, at: Instant) -> Option<CounterChange> {
    program.value.as_ref().filter(|terms| terms.unit == *unit)?;
    let day = bucket_of(MONTH, at, &program.zone);
    Some(CounterChange { counter: CounterId::of_value(BY, kind.name()), day, change })
}

impl CounterId {
    /// Whether it is this part of the value profile.
    fn is_value(&self, name: &str, of: &str) -> bool {
        let rest = self.value_part().and_then(|part| part.strip_prefix(name));
        rest == Some(of)
    }

    /// Of which category it tells how much was spent on it.
    fn category(&self) -> Option<&str> {
        self.value_part()?.strip_prefix(IN)
    }
}

impl AccountState {
    /// Applies a change to a counter of the value profile. It never falls below zero: what was displaced, or is too old
    /// to count, is not missed.
    pub(super) fn count_value(&mut self, change: &CounterChange) -> Result<(), ApplyError> {
        let place = self.counters.iter().position(|known| known.counter == change.counter);
        let place = match place {
            Some(place) => place,
            None if change.change < 0 || self.has_no_room(&change.counter) => return Ok(()),
            None => {
                self.make_room_for_counter();
                let counter = change.counter.clone();
                self.counters.push(CounterState { counter, older: 0, buckets: Vec::new(), last_at: Instant(0) });
                self.counters.len() - 1
            }
        };
        let Some(known) = self.counters.get_mut(place) else { return Ok(()) };
        match known.buckets.binary_search_by_key(&change.day, |bucket| bucket.day) {
            Ok(at) => {
                let Some(bucket) = known.buckets.get_mut(at) else { return Ok(()) };
                bucket.count = bucket.count.checked_add(change.change).ok_or(ApplyError::Overflow)?;
                if bucket.count <= 0 {
                    known.buckets.remove(at);
                }
            }
            Err(at) if 0 < change.change => {
                known.buckets.insert(at, Bucket { day: change.day, count: change.change });
            }
            Err(_) => {}
        }
        let kept = if known.counter.is_value(DAYS_OF_ORDERS, "") { DAYS } else { MONTHS };
        let surplus = known.buckets.len().saturating_sub(kept);
        known.buckets.drain(..surplus);
        if known.buckets.is_empty() {
            self.counters.remove(place);
        }
        Ok(())
    }

    fn has_no_room(&self, counter: &CounterId) -> bool {
        let known = self.counters.iter().filter(|known| known.counter.category().is_some()).count();
        counter.category().is_some() && CATEGORIES_MAX <= known
    }
}
