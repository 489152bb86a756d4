//! Occasions: birthdays, anniversaries of joining, long absences. They come with time, and each once.
//!
//! What is next follows from the account and the program alone, so it is the same whether the account was looked at every
//! day or not for years. Whatever lay before the account was last brought up to date has been dealt with; a birthday that
//! is told on the day itself still counts.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::account::{AccountState, Person};
use super::id::{AccountId, MemberId};
use super::ledger::digest;
use super::program::{Occasion, Program, Rule, Timeline, Trigger};
use super::time::{DAY_MS, Day, Instant};

/// Something that comes with time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Coming {
    pub at: Instant,
    /// By place in the program that is active then.
    pub rule: usize,
    pub member: MemberId,
    /// When the occasion itself is: as its day begins.
    pub occasion_at: Instant,
    /// It is announced; otherwise it is there.
    pub is_notice: bool,
}

/// However often a birthday is changed, it comes once in a calendar year, and not again within so many days.
const APART_MS: i64 = 300 * DAY_MS;
/// Members whom occasions may concern are woken as often: a rule that is published while they sleep reaches them by then.
pub const WAKE_MS: i64 = 28 * DAY_MS;

/// What comes next after everything up to `from` has been dealt with; at or before `until`.
pub fn next(timeline: &Timeline, state: &AccountState, from: Instant, until: Instant) -> Option<Coming> {
    // Who is part of another account has their occasions there; who was erased has none.
    if state.away.is_some() || state.erased_at.is_some() {
        return None;
    }
    let mut first: Option<Coming> = None;
    for (place, (starts, program)) in timeline.versions.iter().enumerate() {
        let starts = if place == 0 { Instant(0) } else { *starts };
        let ends = timeline.versions.get(place + 1).map_or(Instant::MAX, |(next, _)| *next);
        if program.index.occasions.is_empty() || ends <= from || until < starts {
            continue;
        }
        for number in &program.index.occasions {
            let Ok(number) = usize::try_from(*number) else { continue };
            let Some((rule, terms)) = program.rules.get(number).and_then(|rule| Some((rule, rule.occasion?))) else {
                continue;
            };
            let seek =
                Seek { timeline, place, program, state, rule, number, terms, walked: from, from: from.max(starts) };
            let found = seek.all().filter(|coming| starts <= coming.at && coming.at < ends && coming.at <= until);
            first = first.into_iter().chain(found).min_by(|a, b| (a.at, a.rule).cmp(&(b.at, b.rule)));
        }
    }
    first
}

/// When the sweeper should look at an account next that was brought up to date at `now`: for what it holds, for what comes
/// with time, and otherwise every [`WAKE_MS`], whatever its program says: so a program's first occasion rule reaches everybody
/// within that time, as of the days on which occasions came.
pub fn next_due(timeline: &Timeline, state: &AccountState, now: Instant) -> Option<Instant> {
    next_due_of(timeline, state, now, Waking::of(&state.account))
}

/// The same where it is known when the account is woken.
pub fn next_due_of(timeline: &Timeline, state: &AccountState, now: Instant, waking: Waking) -> Option<Instant> {
    let coming = next(timeline, state, now, Instant::MAX).map(|coming| coming.at);
    let here = state.away.is_none() && state.erased_at.is_none() && !state.people.is_empty();
    let wake = here.then(|| waking.after(now));
    state.next_due().into_iter().chain(coming).chain(wake).min().filter(|at| *at < Instant::MAX)
}

/// When an account is woken: on a grid of its own, so that the due index changes once in a while and not with every write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waking {
    phase_ms: i64,
}

impl Waking {
    pub fn of(account: &AccountId) -> Waking {
        let mut head = [0; 8];
        head.iter_mut().zip(digest(account.as_str().as_bytes())).for_each(|(to, from)| *to = from);
        Waking { phase_ms: i64::from_be_bytes(head).rem_euclid(WAKE_MS) }
    }

    fn after(self, now: Instant) -> Instant {
        let into = (now.0 - self.phase_ms).rem_euclid(WAKE_MS);
        now.plus_ms(WAKE_MS - into)
    }
}

/// Looks for the next occasion of one rule.
struct Seek<'a> {
    timeline: &'a Timeline,
    place: usize,
    program: &'a Program,
    state: &'a AccountState,
    rule: &'a Rule,
    number: usize,
    terms: Occasion,
    /// Up to when everything has been dealt with.
    walked: Instant,
    /// The same, but not before the version was active.
    from: Instant,
}

impl Seek<'_> {
    fn all(&self) -> impl Iterator<Item = Coming> {
        let people = match self.rule.on {
            Trigger::Inactivity => Vec::new(),
            _ => self.state.people.iter().flat_map(|person| self.of_person(person)).collect(),
        };
        let absence = if self.rule.on == Trigger::Inactivity { self.absence() } else { None };
        people.into_iter().chain(absence)
    }

    fn coming(&self, at: Instant, member: &MemberId, occasion_at: Instant, is_notice: bool) -> Coming {
        Coming { at, rule: self.number, member: member.clone(), occasion_at, is_notice }
    }

    /// The next notice, and the next day.
    fn of_person(&self, person: &Person) -> Vec<Coming> {
        let own = person.profile.time_zone();
        let zone = own.as_ref().unwrap_or(&self.program.zone);
        let known = self.state.occasion(&self.rule.id, &person.member);
        let (came_at, noticed_at) = known.map_or((Instant(0), Instant(0)), |known| (known.came_at, known.noticed_at));
        let this_year = self.from.zoned(zone).year();
        let mut found = Vec::new();
        for year in this_year.saturating_sub(1)..=this_year.saturating_add(2) {
            let Some(date) = self.date(person, year, zone) else { continue };
            let (begins, ends) = (Day::of(date).begins(zone), Day::of(date).begins_next(zone));
            let apart = |last: Instant| {
                last == Instant(0) || (last.plus_ms(APART_MS) <= begins && last.zoned(zone).year() < date.year())
            };
            let at = begins.max(self.from);
            if !apart(came_at) || ends <= at {
                continue;
            }
            if let Some(notice) = self.terms.notice {
                let at = notice.before(begins, zone).max(self.from);
                if apart(noticed_at) && at < begins {
                    found.push(self.coming(at, &person.member, begins, true));
                }
            }
            found.push(self.coming(at, &person.member, begins, false));
            break;
        }
        found
    }

    /// The day in a year; `None`: there is none.
    fn date(&self, person: &Person, year: i16, zone: &TimeZone) -> Option<Date> {
        let (month, day) = match self.rule.on {
            Trigger::Birthday => {
                let birthday = person.profile.birthday?;
                (birthday.month, birthday.day)
            }
            _ => {
                let joined = person.joined_at.zoned(zone).date();
                if year <= joined.year() {
                    return None;
                }
                (joined.month(), joined.day())
            }
        };
        Date::new(year, month, day).ok().or_else(|| match self.terms.leap_day_later {
            false => Date::new(year, 2, 28).ok(),
            true => Date::new(year, 3, 1).ok(),
        })
    }

    /// When an absence has lasted long enough: after the rule was introduced, and once for each absence.
    fn absence(&self) -> Option<Coming> {
        let person = self.state.people.first()?;
        let since = self.state.active_at.max(self.state.enrolled_at);
        let at = self.terms.inactive_for?.after(since, &self.program.zone);
        let came_at = self.state.occasion(&self.rule.id, &person.member).map_or(Instant(0), |known| known.came_at);
        let due = self.walked < at && self.introduced() <= at && came_at <= since;
        due.then(|| self.coming(at, &person.member, at, false))
    }

    /// When the rule was introduced: with the first of the versions in a row that have it.
    fn introduced(&self) -> Instant {
        let has =
            |program: &Program| program.rules.iter().any(|rule| rule.id == self.rule.id && rule.on == self.rule.on);
        let before = self.timeline.versions.iter().take(self.place + 1).enumerate().rev();
        let run = before.take_while(|(_, (_, program))| has(program)).last();
        run.map_or(Instant(0), |(place, (starts, _))| if place == 0 { Instant(0) } else { *starts })
    }
}
