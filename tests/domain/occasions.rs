//! Birthdays, anniversaries and long absences: each once, on its day, by the member's calendar.

use guerdon::domain::account::Birthday;
use guerdon::domain::command::{Command, Enroll, ProfileChange, UpdateMember};
use guerdon::domain::id::MemberId;
use guerdon::domain::ledger::Fact;
use guerdon::domain::occasions::{WAKE_MS, next_due};
use guerdon::domain::program::Timeline;
use guerdon::domain::referral::signal::Signals;
use guerdon::domain::time::Instant;

use super::kit::*;

const BIRTHDAY: &str = "
time_zone: Europe/Berlin
rules:
  - id: cake
    kind: emotional
    on: birthday
    occasion: {notice: 7 days, valid_for: 14 days}
    then: {bonus: {units: 50}}
";

fn born(text: &str) -> ProfileChange {
    let date: jiff::civil::Date = text.parse().unwrap();
    let (month, day, year) = (i64::from(date.month()), i64::from(date.day()), i64::from(date.year()));
    ProfileChange { birthday: Some(Birthday::new(month, day, Some(year))), ..ProfileChange::default() }
}

fn living_in(zone: &str, change: ProfileChange) -> ProfileChange {
    ProfileChange { zone: Some(Some(zone.into())), ..change }
}

impl World {
    fn enrol_as(&mut self, member: &str, profile: ProfileChange) {
        let id = MemberId::parse(member).unwrap();
        let enroll = Enroll { member: id, codes: Vec::new(), profile, visitor: None, signals: Signals::None };
        self.decide(member, Command::Enroll(enroll));
    }

    fn change(&mut self, member: &str, change: ProfileChange) {
        self.decide(member, Command::UpdateMember(UpdateMember { change, signals: Signals::None }));
    }

    /// What came and was announced, and as of when; `!` marks a notice.
    fn came(&self, member: &str) -> Vec<String> {
        let entries = self.ledgers[&account(member)].iter();
        let came = entries.filter_map(|entry| match &entry.fact {
            Fact::Occurred { .. } => Some(entry.effective_at.text()),
            Fact::Noticed { .. } => Some(format!("!{}", entry.effective_at.text())),
            _ => None,
        });
        came.collect()
    }

    fn grants(&self, member: &str) -> Vec<String> {
        let entries = self.ledgers[&account(member)].iter();
        let made = entries.filter_map(|entry| match &entry.fact {
            Fact::Granted { amount, dates, .. } => Some(format!("{amount} until {}", dates.expires_at.text())),
            _ => None,
        });
        made.collect()
    }

    /// Wakes the account whenever the index says so, as the sweeper does.
    fn sweep(&mut self, member: &str, until: &str) {
        let until = at(until);
        for _ in 0..1_000 {
            let state = &self.accounts[&account(member)];
            let Some(due) = next_due(&self.timeline, state, self.now.max(state.posted_at)) else { break };
            if until < due {
                break;
            }
            self.now = due;
            self.advance(member);
        }
        self.now = until;
    }
}

#[test]
fn a9_a_birthday_is_announced_and_comes_as_its_day_begins_where_the_member_lives() {
    // The clock goes forward in Berlin on 29 March, and has in New York on 8 March.
    for (zone, notice, day, until) in [
        ("Europe/Berlin", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z", "2026-04-12T22:00:00Z"),
        ("Asia/Tokyo", "2026-03-22T15:00:00Z", "2026-03-29T15:00:00Z", "2026-04-12T15:00:00Z"),
        ("America/New_York", "2026-03-23T04:00:00Z", "2026-03-30T04:00:00Z", "2026-04-13T04:00:00Z"),
    ] {
        let mut world = World::new(BIRTHDAY).on("2026-01-10");
        world.enrol_as("mia", living_in(zone, born("1990-03-30")));
        world.sweep("mia", "2026-04-01");
        assert_eq!(world.came("mia"), [format!("!{notice}"), day.to_owned()], "{zone}");
        assert_eq!(world.grants("mia"), [format!("50 until {until}")], "{zone}");
        world.sweep("mia", "2026-12-31");
        assert_eq!(world.has("mia"), "nothing", "it was good for a fortnight");
    }
}

#[test]
fn a9_it_comes_once_a_year_whatever_is_replayed_or_changed() {
    let mut world = World::new(BIRTHDAY).on("2026-01-10");
    world.enrol_as("mia", born("1990-12-20"));
    world.sweep("mia", "2026-12-20");
    world.advance("mia");
    world.advance("mia");
    assert_eq!(world.grants("mia").len(), 1);
    // Moved to next week, and to next year's first week: not again so soon.
    world.change("mia", born("1990-12-28"));
    world.sweep("mia", "2026-12-30");
    world.change("mia", born("1990-01-05"));
    world.sweep("mia", "2027-12-31");
    assert_eq!(world.grants("mia").len(), 1);
    world.sweep("mia", "2028-01-05T23:00");
    assert_eq!(world.grants("mia").len(), 2, "a year on it comes again");
    let mut gap = World::new(BIRTHDAY).on("2026-01-10");
    gap.enrol_as("leo", born("1990-06-15"));
    gap.sweep("leo", "2031-01-01");
    assert_eq!(gap.grants("leo").len(), 5, "every year");
}

#[test]
fn a9_born_or_joined_on_29_february() {
    for (leap_day, days) in [
        ("28_february", ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29", "2029-02-28"]),
        ("1_march", ["2025-03-01", "2026-03-01", "2027-03-01", "2028-02-29", "2029-03-01"]),
    ] {
        let rules = format!(
            "rules:
  - {{id: cake, kind: emotional, on: birthday, occasion: {{leap_day: {leap_day:?}}}, then: {{bonus: {{units: 1}}}}}}
  - {{id: years, kind: emotional, on: anniversary, occasion: {{leap_day: {leap_day:?}}}, then: {{bonus: {{units: 2}}}}}}
"
        );
        let mut world = World::new(&rules).on("2024-02-29");
        world.enrol_as("mia", born("1992-02-29"));
        assert_eq!(world.came("mia"), ["2024-02-29T12:00:00Z"], "the birthday is today; no year has passed");
        world.sweep("mia", "2029-12-31");
        let days: Vec<String> =
            days.iter().flat_map(|day| [format!("{day}T00:00:00Z"), format!("{day}T00:00:00Z")]).collect();
        assert_eq!(world.came("mia")[1..], days, "{leap_day}");
    }
}

#[test]
fn a9_missed_while_nothing_ran_it_comes_late_and_once_and_as_of_its_day() {
    let mut world = World::new(BIRTHDAY).on("2026-01-10");
    world.enrol_as("mia", born("1990-12-31"));
    let mut watched = world.clone();
    watched.sweep("mia", "2028-06-01");
    world.go("2028-06-01");
    world.advance("mia");
    assert_eq!(world.came("mia"), watched.came("mia"), "as if it had been looked at every day");
    assert_eq!(world.came("mia").len(), 4, "{:?}", world.came("mia"));
    assert_eq!(world.grants("mia"), watched.grants("mia"));
    assert_eq!((world.has("mia"), watched.has("mia")), ("nothing".into(), "nothing".into()));
    // An answer does not depend on it either: it is there on the day, without any sweep.
    let mut lazy = World::new(BIRTHDAY).on("2026-01-10");
    lazy.enrol_as("leo", born("1990-06-15"));
    lazy.go("2026-06-14T22:00");
    assert_eq!(lazy.has("leo"), "available 50");
}

#[test]
fn a9_a_birthday_that_is_told_on_the_day_counts_and_one_told_after_it_does_not() {
    for (now, birthday, expected) in [
        ("2026-05-04", "1990-05-04", 1),
        ("2026-05-04T21:59", "1990-05-04", 1),
        ("2026-05-04T22:00", "1990-05-04", 0),
        ("2026-05-04", "1990-05-03", 0),
    ] {
        let mut world = World::new(BIRTHDAY).on(now);
        world.enrol_as("mia", born(birthday));
        assert_eq!(world.grants("mia").len(), expected, "{now} {birthday}");
        let mut told = World::new(BIRTHDAY).on("2026-01-01");
        told.enrol_as("leo", ProfileChange::default());
        told.go(now);
        told.change("leo", born(birthday));
        told.advance("leo");
        assert_eq!(told.grants("leo").len(), expected, "{now} {birthday}");
    }
}

const ABSENCE: &str = "
events: {visit: {}}
rules:
  - {id: back, kind: emotional, on: inactivity, inactive_for: 90 days, then: {bonus: {units: 20}}}
";

#[test]
fn a9_we_miss_you_comes_once_for_each_absence() {
    let mut world = World::new(ABSENCE).on("2026-01-01");
    world.enrol("mia", &[]);
    world.sweep("mia", "2026-12-31");
    assert_eq!(world.came("mia"), ["2026-04-01T12:00:00Z"], "90 days after joining, and not again");
    world.buy("mia", order_for("o1", 1_000));
    world.sweep("mia", "2027-03-31T11:59");
    assert_eq!(world.came("mia").len(), 1);
    world.sweep("mia", "2027-12-31");
    assert_eq!(world.came("mia")[1..], ["2027-03-31T12:00:00Z"]);
}

#[test]
fn a9_a_new_rule_does_not_reach_back() {
    let (without, with) = (program(""), program(ABSENCE));
    let timeline = Timeline { versions: vec![(Instant(0), without), (at("2026-06-01"), with)] };
    let of = |joined: &str| {
        let mut world = World::of(program("")).on(joined);
        world.timeline = timeline.clone();
        world.enrol("mia", &[]);
        world.go("2027-01-01");
        world.advance("mia");
        world.came("mia")
    };
    assert_eq!(of("2026-01-01"), Vec::<String>::new(), "away for long when the rule came");
    assert_eq!(of("2026-03-03T12:00"), ["2026-06-01T12:00:00Z"], "the last day to cross it");
    assert_eq!(of("2026-03-03T11:59"), Vec::<String>::new());
}

#[test]
fn a9_everybody_is_woken_every_four_weeks() {
    let mut world = World::new(ABSENCE).on("2026-01-01");
    world.enrol("mia", &[]);
    world.sweep("mia", "2026-05-01");
    let state = world.accounts[&account("mia")].clone();
    let first = next_due(&world.timeline, &state, world.now).unwrap();
    assert!(world.now < first && first.0 <= world.now.0 + WAKE_MS);
    assert_eq!(next_due(&world.timeline, &state, Instant(first.0 - 1)), Some(first), "not moved by looking");
    assert_eq!(next_due(&world.timeline, &state, first), Some(Instant(first.0 + WAKE_MS)));
    let none = Timeline::of(program(""));
    assert_eq!(next_due(&none, &state, world.now), Some(first), "for a version to come may have the first rule");
    world.erase("mia");
    assert_eq!(next_due(&none, &world.accounts[&account("mia")], world.now), None);
}
