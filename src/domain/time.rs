//! Instants, civil dates and recurring local-time windows. No clock is read here: time is an argument.

use jiff::civil::{Date, Time as CivilTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};
use serde::{Deserialize, Serialize};

pub const SECOND_MS: i64 = 1_000;
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Instant(pub i64);

impl Instant {
    /// 2000-01-01T00:00:00Z: nothing in a program happens before.
    pub const MIN: Instant = Instant(946_684_800_000);
    /// 9000-01-01T00:00:00Z: far enough for "never", within what calendars can compute with.
    pub const MAX: Instant = Instant(221_845_392_000_000);

    /// Whether the instant lies within what the service computes with.
    pub fn in_bounds(self) -> bool {
        Instant::MIN <= self && self <= Instant::MAX
    }

    pub fn plus_ms(self, ms: i64) -> Instant {
        Instant(self.0.saturating_add(ms)).min(Instant::MAX)
    }

    pub fn minus_ms(self, ms: i64) -> Instant {
        Instant(self.0.saturating_sub(ms)).max(Instant(0))
    }

    /// The civil date and time in a zone. Instants out of bounds are clamped into them.
    pub fn zoned(self, zone: &TimeZone) -> Zoned {
        let clamped = self.clamp(Instant(0), Instant::MAX);
        let timestamp = jiff::Timestamp::from_millisecond(clamped.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        timestamp.to_zoned(zone.clone())
    }

    /// RFC 3339 in UTC, for people.
    pub fn text(self) -> String {
        self.zoned(&TimeZone::UTC).timestamp().to_string()
    }
}

impl From<&Zoned> for Instant {
    fn from(zoned: &Zoned) -> Instant {
        Instant(zoned.timestamp().as_millisecond())
    }
}

/// A length of time as a program states it. Days and longer are calendar lengths in a zone: one day after
/// noon is noon, whatever daylight saving does; one month after 31 January is the last day of February.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Period {
    Seconds(u32),
    Minutes(u32),
    Hours(u32),
    Days(u32),
    Weeks(u32),
    Months(u32),
    Years(u32),
}

impl Period {
    /// As programs write it: `14 days`.
    pub fn text(self) -> String {
        let (count, word) = match self {
            Period::Seconds(n) => (n, "second"),
            Period::Minutes(n) => (n, "minute"),
            Period::Hours(n) => (n, "hour"),
            Period::Days(n) => (n, "day"),
            Period::Weeks(n) => (n, "week"),
            Period::Months(n) => (n, "month"),
            Period::Years(n) => (n, "year"),
        };
        format!("{count} {word}{}", if count == 1 { "" } else { "s" })
    }

    /// `from` moved forward by the period, by the calendar of `zone`; clamped to [`Instant::MAX`].
    pub fn after(self, from: Instant, zone: &TimeZone) -> Instant {
        let span = match self {
            Period::Seconds(n) => return from.plus_ms(i64::from(n) * SECOND_MS),
            Period::Minutes(n) => return from.plus_ms(i64::from(n) * MINUTE_MS),
            Period::Hours(n) => return from.plus_ms(i64::from(n) * HOUR_MS),
            Period::Days(n) => Span::new().try_days(n),
            Period::Weeks(n) => Span::new().try_weeks(n),
            Period::Months(n) => Span::new().try_months(n),
            Period::Years(n) => Span::new().try_years(n),
        };
        let moved = span.and_then(|span| from.zoned(zone).checked_add(span));
        moved.map_or(Instant::MAX, |zoned| Instant::from(&zoned).min(Instant::MAX))
    }
}

impl Period {
    /// `from` moved back by the period, by the calendar of `zone`; not before 1970.
    pub fn before(self, from: Instant, zone: &TimeZone) -> Instant {
        let span = match self {
            Period::Seconds(n) => return from.minus_ms(i64::from(n) * SECOND_MS),
            Period::Minutes(n) => return from.minus_ms(i64::from(n) * MINUTE_MS),
            Period::Hours(n) => return from.minus_ms(i64::from(n) * HOUR_MS),
            Period::Days(n) => Span::new().try_days(n),
            Period::Weeks(n) => Span::new().try_weeks(n),
            Period::Months(n) => Span::new().try_months(n),
            Period::Years(n) => Span::new().try_years(n),
        };
        let moved = span.and_then(|span| from.zoned(zone).checked_sub(span));
        moved.map_or(Instant(0), |zoned| Instant::from(&zoned).max(Instant(0)))
    }
}

/// A period of the calendar. Weeks begin on Monday.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CalendarPeriod {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl CalendarPeriod {
    pub fn name(self) -> &'static str {
        match self {
            CalendarPeriod::Day => "day",
            CalendarPeriod::Week => "week",
            CalendarPeriod::Month => "month",
            CalendarPeriod::Quarter => "quarter",
            CalendarPeriod::Year => "year",
        }
    }

    /// The first day of the period that `date` lies in.
    pub fn start(self, date: Date) -> Date {
        match self {
            CalendarPeriod::Day => date,
            CalendarPeriod::Week => {
                let since_monday = i32::from(date.weekday().to_monday_zero_offset());
                date.checked_sub(Span::new().days(since_monday)).unwrap_or(date)
            }
            CalendarPeriod::Month => date.first_of_month(),
            CalendarPeriod::Quarter => {
                let month = (date.month() - 1) / 3 * 3 + 1;
                date.with().day(1).month(month).build().unwrap_or_else(|_| date.first_of_month())
            }
            CalendarPeriod::Year => date.first_of_year(),
        }
    }

    fn span(self) -> Span {
        match self {
            CalendarPeriod::Day => Span::new().days(1),
            CalendarPeriod::Week => Span::new().weeks(1),
            CalendarPeriod::Month => Span::new().months(1),
            CalendarPeriod::Quarter => Span::new().months(3),
            CalendarPeriod::Year => Span::new().years(1),
        }
    }

    /// The first day of the period after the one that `date` lies in.
    pub fn next(self, date: Date) -> Date {
        self.start(date).checked_add(self.span()).unwrap_or(Date::MAX)
    }

    /// The first day of the period before the one that `date` lies in.
    pub fn previous(self, date: Date) -> Date {
        self.start(date).checked_sub(self.span()).unwrap_or(Date::MIN)
    }
}

/// A civil day, counted from 1970-01-01: small to store, and ordered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Day(pub i32);

impl Day {
    /// The day that the calendar of `zone` shows at an instant.
    pub fn at(at: Instant, zone: &TimeZone) -> Day {
        Day::of(at.zoned(zone).date())
    }

    pub fn of(date: Date) -> Day {
        // Civil days all have 24 hours. This is asked often, and a span by units would take several times as long.
        Day(i32::try_from(date.duration_since(EPOCH).as_hours() / 24).unwrap_or(0))
    }

    pub fn date(self) -> Date {
        EPOCH.checked_add(Span::new().days(self.0.clamp(DAYS_MIN, DAYS_MAX))).unwrap_or(EPOCH)
    }

    /// The first instant of the day after in a zone.
    pub fn begins_next(self, zone: &TimeZone) -> Instant {
        Day(self.0.saturating_add(1)).begins(zone)
    }

    /// The first instant of the day in a zone.
    pub fn begins(self, zone: &TimeZone) -> Instant {
        self.date().to_zoned(zone.clone()).map_or(Instant::MAX, |zoned| Instant::from(&zoned).min(Instant::MAX))
    }
}

const EPOCH: Date = jiff::civil::date(1970, 1, 1);
/// Within what calendars compute with.
const DAYS_MIN: i32 = -700_000;
const DAYS_MAX: i32 = 2_900_000;

/// To which boundary an expiry is moved, always forward: units never live shorter than stated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum RoundUpTo {
    #[default]
    Exact,
    EndOfDay,
    EndOfMonth,
    EndOfQuarter,
    EndOfYear,
}

impl RoundUpTo {
    /// The first instant of the period that follows the one `at` lies in, by the calendar of `zone`:
    /// "end of month" expires as the next month begins. An instant on a boundary stays there.
    pub fn apply(self, at: Instant, zone: &TimeZone) -> Instant {
        if self == RoundUpTo::Exact {
            return at;
        }
        let date = at.zoned(zone).date();
        let start = match self {
            RoundUpTo::Exact | RoundUpTo::EndOfDay => date,
            RoundUpTo::EndOfMonth => date.first_of_month(),
            RoundUpTo::EndOfQuarter => {
                let month = (date.month() - 1) / 3 * 3 + 1;
                date.with().day(1).month(month).build().unwrap_or_else(|_| date.first_of_month())
            }
            RoundUpTo::EndOfYear => date.first_of_year(),
        };
        let next = match self {
            RoundUpTo::Exact | RoundUpTo::EndOfDay => start.tomorrow(),
            RoundUpTo::EndOfMonth => start.checked_add(Span::new().months(1)),
            RoundUpTo::EndOfQuarter => start.checked_add(Span::new().months(3)),
            RoundUpTo::EndOfYear => start.checked_add(Span::new().years(1)),
        };
        let begins = |date: Date| date.to_zoned(zone.clone()).map(|zoned| Instant::from(&zoned));
        if begins(start).is_ok_and(|begin| begin == at) {
            return at;
        }
        next.and_then(begins).map_or(Instant::MAX, |end| end.min(Instant::MAX))
    }
}

/// Whose clock on the wall a window means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum WindowZone {
    /// The store of the order, else the zone the order carries, else the program's.
    #[default]
    Store,
    /// The program's.
    Program,
    /// That of who acts, as their profile says, else as `Store`.
    Member,
}

/// A recurring window of local time: on some days of the week, from one time of day to another. `from` is
/// inside, `until` is not; a window that ends before it begins runs past midnight and belongs to the day on
/// which it began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalWindow {
    /// Bit 0 is Monday.
    pub days: u8,
    /// Minutes since local midnight, 0 to 1439.
    pub from_minute: u16,
    /// Minutes since local midnight, 1 to 1440.
    pub until_minute: u16,
    pub zone: WindowZone,
}

impl LocalWindow {
    /// Whether the clock on the wall, at `at` in `zone`, is inside. What the wall shows is what counts: an hour
    /// that daylight saving repeats is inside twice, one that it skips never is.
    pub fn contains(&self, at: Instant, zone: &TimeZone) -> bool {
        let zoned = at.zoned(zone);
        let time: CivilTime = zoned.time();
        let minute = u16::from(time.hour() as u8) * 60 + u16::from(time.minute() as u8);
        let today = zoned.weekday();
        if self.from_minute < self.until_minute {
            return self.on(today) && self.from_minute <= minute && minute < self.until_minute;
        }
        (self.on(today) && self.from_minute <= minute) || (self.on(today.previous()) && minute < self.until_minute)
    }

    /// For people: `Mon Tue 07:00-09:00`.
    pub fn text(&self) -> String {
        const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let days = DAYS.iter().enumerate().filter(|(day, _)| self.days & (1 << day) != 0).map(|(_, name)| *name);
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let (from, until) = (clock(self.from_minute), clock(self.until_minute));
        format!("{} {from}-{until}", days.collect::<Vec<_>>().join(" "))
    }

    fn on(&self, day: Weekday) -> bool {
        self.days & (1 << day.to_monday_zero_offset()) != 0
    }
}

/// The two instants of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// When it is decided. Orders entries.
    pub now: Instant,
    /// When it happened, as the caller says; picks program version, windows and the dates of lots.
    pub effective_at: Instant,
    /// Whether the caller said so; otherwise it is `now`.
    pub stated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("a bundled zone")
    }

    fn at(text: &str) -> Instant {
        Instant(text.parse::<jiff::Timestamp>().expect("a timestamp").as_millisecond())
    }

    #[test]
    fn periods_follow_the_calendar_of_the_zone() {
        let berlin = zone("Europe/Berlin");
        for (from, period, expected) in [
            // The clock goes forward on 2026-03-29: the day has 23 hours.
            ("2026-03-28T11:00:00Z", Period::Days(1), "2026-03-29T10:00:00Z"),
            ("2026-03-28T11:00:00Z", Period::Hours(24), "2026-03-29T11:00:00Z"),
            ("2026-01-31T11:00:00Z", Period::Months(1), "2026-02-28T11:00:00Z"),
            ("2024-02-29T11:00:00Z", Period::Years(1), "2025-02-28T11:00:00Z"),
        ] {
            assert_eq!(period.after(at(from), &berlin), at(expected), "{from} + {period:?}");
        }
        assert_eq!(Period::Years(9_999).after(at("2026-01-01T00:00:00Z"), &berlin), Instant::MAX);
    }

    #[test]
    fn expiry_is_rounded_forward() {
        let berlin = zone("Europe/Berlin");
        for (when, to, expected) in [
            ("2026-05-10T08:00:00Z", RoundUpTo::Exact, "2026-05-10T08:00:00Z"),
            ("2026-05-10T08:00:00Z", RoundUpTo::EndOfDay, "2026-05-10T22:00:00Z"),
            ("2026-05-10T08:00:00Z", RoundUpTo::EndOfMonth, "2026-05-31T22:00:00Z"),
            ("2026-05-10T08:00:00Z", RoundUpTo::EndOfQuarter, "2026-06-30T22:00:00Z"),
            ("2026-05-10T08:00:00Z", RoundUpTo::EndOfYear, "2026-12-31T23:00:00Z"),
            // On the boundary already.
            ("2026-05-31T22:00:00Z", RoundUpTo::EndOfMonth, "2026-05-31T22:00:00Z"),
        ] {
            assert_eq!(to.apply(at(when), &berlin), at(expected), "{when} {to:?}");
        }
    }

    #[test]
    fn trap_11_a_happy_hour_stays_put_when_the_clock_changes() {
        let berlin = zone("Europe/Berlin");
        let window =
            LocalWindow { days: 0b111_1111, from_minute: 7 * 60, until_minute: 9 * 60, zone: WindowZone::Store };
        for (when, inside) in [
            ("2026-03-28T06:00:00Z", true),  // 07:00 winter time
            ("2026-03-28T05:59:59Z", false), // 06:59:59
            ("2026-03-29T05:00:00Z", true),  // 07:00 summer time
            ("2026-03-29T07:00:00Z", false), // 09:00, the end is outside
            ("2026-03-29T06:59:59Z", true),
        ] {
            assert_eq!(window.contains(at(when), &berlin), inside, "{when}");
        }
    }

    #[test]
    fn a_window_past_midnight_belongs_to_the_day_it_began() {
        let utc = TimeZone::UTC;
        let friday_night =
            LocalWindow { days: 1 << 4, from_minute: 22 * 60, until_minute: 2 * 60, zone: WindowZone::Program };
        for (when, inside) in [
            ("2026-05-08T22:00:00Z", true), // a Friday
            ("2026-05-09T01:59:00Z", true), // Saturday, but the window is Friday's
            ("2026-05-09T02:00:00Z", false),
            ("2026-05-08T01:00:00Z", false), // the early hours of Friday belong to Thursday
        ] {
            assert_eq!(friday_night.contains(at(when), &utc), inside, "{when}");
        }
    }
}
