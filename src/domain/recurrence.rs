//! Days of the calendar on which something holds: listed, excluded, or recurring as RFC 5545 (section 3.3.10) says.
//!
//! Only whether a given day matches is ever asked, so nothing is expanded. Of a recurrence rule the parts that need
//! counting from the start (`COUNT`, `BYSETPOS`) and those finer than a day are not known here.

use jiff::civil::{Date, Weekday};

use super::time::{CalendarPeriod, Day};

/// Days on which something holds. The empty one holds always.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Days {
    /// Ascending. With `recurs`, one of the two is enough.
    pub on: Vec<Day>,
    /// Ascending.
    pub not_on: Vec<Day>,
    pub recurs: Option<Recurrence>,
}

impl Days {
    pub fn is_empty(&self) -> bool {
        self.on.is_empty() && self.not_on.is_empty() && self.recurs.is_none()
    }

    pub fn contains(&self, date: Date) -> bool {
        let day = Day::of(date);
        if self.not_on.binary_search(&day).is_ok() {
            return false;
        }
        if self.on.is_empty() && self.recurs.is_none() {
            return true;
        }
        self.on.binary_search(&day).is_ok() || self.recurs.as_ref().is_some_and(|recurs| recurs.contains(date))
    }

    /// For people.
    pub fn text(&self) -> String {
        let list = |days: &[Day]| days.iter().map(|day| day.date().to_string()).collect::<Vec<_>>().join(", ");
        let on = (!self.on.is_empty()).then(|| format!("on {}", list(&self.on)));
        let recurs = self.recurs.as_ref().map(|recurs| recurs.text.to_string());
        let not_on = (!self.not_on.is_empty()).then(|| format!("not on {}", list(&self.not_on)));
        let yes = [on, recurs].into_iter().flatten().collect::<Vec<_>>().join(" or ");
        [yes, not_on.unwrap_or_default()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// A recurrence rule; lists are empty where the rule does not state them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recurrence {
    pub frequency: Frequency,
    /// At least 1.
    pub interval: i32,
    /// From which intervals are counted, and before which nothing matches; `None`: 1970-01-01, a Thursday.
    pub start: Option<Date>,
    /// Inclusive.
    pub until: Option<Date>,
    /// With an ordinal: the first (1), the last (-1) of the month, or of the year in a yearly rule without months.
    pub weekdays: Vec<(Option<i8>, Weekday)>,
    /// 1 to 31, or -1 to -31 from the end of the month.
    pub month_days: Vec<i8>,
    pub months: Vec<i8>,
    /// As written.
    pub text: Box<str>,
}

impl Recurrence {
    pub fn contains(&self, date: Date) -> bool {
        let start = self.start.unwrap_or(EPOCH);
        if (self.start.is_some() && date < start) || self.until.is_some_and(|until| until < date) {
            return false;
        }
        self.in_interval(start, date)
            && (self.months.is_empty() || self.months.contains(&date.month()))
            && self.on_month_day(start, date)
            && self.on_weekday(start, date)
    }

    /// Whether no calendar has such a day, as far as that is plain to see: a sixth Friday of a month, a 30 February.
    pub fn never_comes(&self) -> bool {
        const LONGEST: [i8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let in_year = self.frequency == Frequency::Yearly && self.months.is_empty();
        let most = if in_year { 53 } else { 5 };
        let no_weekday = !self.weekdays.is_empty()
            && self.weekdays.iter().all(|(ordinal, _)| ordinal.is_some_and(|ordinal| most < ordinal.unsigned_abs()));
        let months = (1i8..).zip(LONGEST).filter(|(month, _)| self.months.is_empty() || self.months.contains(month));
        let longest = months.map(|(_, days)| days.unsigned_abs()).max().unwrap_or(0);
        let no_day = !self.month_days.is_empty() && self.month_days.iter().all(|day| longest < day.unsigned_abs());
        no_weekday || no_day
    }

    /// Whether so many days, weeks, months or years lie between.
    fn in_interval(&self, start: Date, date: Date) -> bool {
        let interval = self.interval.max(1);
        let months = |date: Date| i32::from(date.year()) * 12 + i32::from(date.month());
        let apart = match self.frequency {
            Frequency::Daily => Day::of(date).0 - Day::of(start).0,
            Frequency::Weekly => {
                let week = |date: Date| Day::of(CalendarPeriod::Week.start(date)).0;
                (week(date) - week(start)) / 7
            }
            Frequency::Monthly => months(date) - months(start),
            Frequency::Yearly => i32::from(date.year()) - i32::from(start.year()),
        };
        apart.rem_euclid(interval) == 0
    }

    fn on_month_day(&self, start: Date, date: Date) -> bool {
        if self.month_days.is_empty() {
            // What neither weekdays nor days narrow down falls on the day of the start.
            let by_start = self.weekdays.is_empty() && self.start.is_some();
            return match self.frequency {
                Frequency::Daily => true,
                Frequency::Weekly => !by_start || date.weekday() == start.weekday(),
                Frequency::Monthly => !by_start || date.day() == start.day(),
                Frequency::Yearly if self.months.is_empty() => {
                    !by_start || (date.month(), date.day()) == (start.month(), start.day())
                }
                Frequency::Yearly => !by_start || date.day() == start.day(),
            };
        }
        let from_end = date.day() - date.days_in_month() - 1;
        self.month_days.contains(&date.day()) || self.month_days.contains(&from_end)
    }

    fn on_weekday(&self, _: Date, date: Date) -> bool {
        self.weekdays.is_empty()
            || self.weekdays.iter().any(|(ordinal, weekday)| {
                *weekday == date.weekday() && ordinal.is_none_or(|ordinal| self.is_nth(ordinal, date))
            })
    }

    /// Whether a day is the so-manieth of its weekday in its month, or in its year where a yearly rule names no month.
    fn is_nth(&self, ordinal: i8, date: Date) -> bool {
        let in_year = self.frequency == Frequency::Yearly && self.months.is_empty();
        let (nth, days) = if in_year {
            (date.day_of_year(), date.days_in_year())
        } else {
            (i16::from(date.day()), i16::from(date.days_in_month()))
        };
        let from_start = (nth - 1) / 7 + 1;
        let from_end = -((days - nth) / 7 + 1);
        i16::from(ordinal) == from_start || i16::from(ordinal) == from_end
    }
}

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// Why a text is no recurrence rule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecurrenceError {
    #[error("{0:?} is not `NAME=value`")]
    Part(String),
    #[error("{0} is stated twice")]
    Twice(String),
    #[error("{0} is not understood; known are FREQ, INTERVAL, DTSTART, UNTIL, BYDAY, BYMONTHDAY and BYMONTH")]
    Unknown(String),
    #[error("FREQ is missing; it is DAILY, WEEKLY, MONTHLY or YEARLY")]
    NoFrequency,
    #[error("{value:?} is no {name}: {wanted}")]
    Value { name: &'static str, value: String, wanted: &'static str },
    #[error("an INTERVAL above 1 counts from a DTSTART, which is missing")]
    IntervalWithoutStart,
    #[error("{0}")]
    Senseless(&'static str),
}

impl Recurrence {
    /// Longest text, in bytes.
    pub const LEN_MAX: usize = 500;

    /// Reads a recurrence rule such as `FREQ=MONTHLY;BYDAY=1FR`, with `DTSTART` as one more part.
    pub fn parse(text: &str) -> Result<Recurrence, RecurrenceError> {
        let mut rule = Recurrence {
            frequency: Frequency::Daily,
            interval: 1,
            start: None,
            until: None,
            weekdays: Vec::new(),
            month_days: Vec::new(),
            months: Vec::new(),
            text: text.into(),
        };
        let body = text.strip_prefix("RRULE:").unwrap_or(text);
        let mut seen: Vec<String> = Vec::new();
        let mut frequency = None;
        for part in body.split(';') {
            let (name, value) = part.split_once('=').ok_or_else(|| RecurrenceError::Part(part.to_owned()))?;
            let name = name.trim().to_ascii_uppercase();
            if seen.contains(&name) {
                return Err(RecurrenceError::Twice(name));
            }
            let value = value.trim();
            match name.as_str() {
                "FREQ" => frequency = Some(frequency_of(value)?),
                "INTERVAL" => rule.interval = number(value, "INTERVAL", 1, 1_000, "a whole number from 1 to 1000")?,
                "DTSTART" => rule.start = Some(date_of(value, "DTSTART")?),
                "UNTIL" => rule.until = Some(date_of(value, "UNTIL")?),
                "BYDAY" => rule.weekdays = list(value, weekday_of)?,
                "BYMONTHDAY" => {
                    rule.month_days = list(value, |value| {
                        let wanted = "1 to 31, or -1 to -31 from the end of the month";
                        let day = number(value, "BYMONTHDAY", -31, 31, wanted)?;
                        nonzero(day, value, "BYMONTHDAY", wanted)
                    })?;
                }
                "BYMONTH" => {
                    rule.months = list(value, |value| {
                        let month = number(value, "BYMONTH", 1, 12, "1 to 12")?;
                        nonzero(month, value, "BYMONTH", "1 to 12")
                    })?;
                }
                _ => return Err(RecurrenceError::Unknown(name)),
            }
            seen.push(name);
        }
        rule.frequency = frequency.ok_or(RecurrenceError::NoFrequency)?;
        rule.check()?;
        Ok(rule)
    }

    fn check(&self) -> Result<(), RecurrenceError> {
        if 1 < self.interval && self.start.is_none() {
            return Err(RecurrenceError::IntervalWithoutStart);
        }
        let ordinals = self.weekdays.iter().any(|(ordinal, _)| ordinal.is_some());
        if ordinals && matches!(self.frequency, Frequency::Daily | Frequency::Weekly) {
            return Err(RecurrenceError::Senseless("only in a month or a year is there a first or last weekday"));
        }
        if self.frequency == Frequency::Weekly && !self.month_days.is_empty() {
            return Err(RecurrenceError::Senseless("a weekly rule has no days of the month"));
        }
        let open = self.weekdays.is_empty() && self.month_days.is_empty() && self.start.is_none();
        if open && self.frequency != Frequency::Daily && (self.frequency != Frequency::Yearly || self.months.is_empty())
        {
            return Err(RecurrenceError::Senseless("says on no day; state BYDAY, BYMONTHDAY or DTSTART"));
        }
        if let (Some(start), Some(until)) = (self.start, self.until)
            && until < start
        {
            return Err(RecurrenceError::Senseless("UNTIL lies before DTSTART"));
        }
        Ok(())
    }
}

fn frequency_of(value: &str) -> Result<Frequency, RecurrenceError> {
    match value.to_ascii_uppercase().as_str() {
        "DAILY" => Ok(Frequency::Daily),
        "WEEKLY" => Ok(Frequency::Weekly),
        "MONTHLY" => Ok(Frequency::Monthly),
        "YEARLY" => Ok(Frequency::Yearly),
        _ => Err(RecurrenceError::Value {
            name: "FREQ",
            value: value.to_owned(),
            wanted: "DAILY, WEEKLY, MONTHLY or YEARLY",
        }),
    }
}

fn number(
    value: &str,
    name: &'static str,
    least: i32,
    most: i32,
    wanted: &'static str,
) -> Result<i32, RecurrenceError> {
    let parsed = value.parse::<i32>().ok().filter(|n| least <= *n && *n <= most);
    parsed.ok_or_else(|| RecurrenceError::Value { name, value: value.to_owned(), wanted })
}

fn nonzero(n: i32, value: &str, name: &'static str, wanted: &'static str) -> Result<i8, RecurrenceError> {
    let small = i8::try_from(n).ok().filter(|n| *n != 0);
    small.ok_or_else(|| RecurrenceError::Value { name, value: value.to_owned(), wanted })
}

/// A date as RFC 5545 writes it (`20260501`) or with hyphens.
fn date_of(value: &str, name: &'static str) -> Result<Date, RecurrenceError> {
    let parsed = value.parse::<Date>().or_else(|_| Date::strptime("%Y%m%d", value)).ok();
    let parsed = parsed.filter(|date| (1970..=9000).contains(&date.year()));
    parsed.ok_or_else(|| RecurrenceError::Value { name, value: value.to_owned(), wanted: "a date such as 2026-05-01" })
}

fn weekday_of(value: &str) -> Result<(Option<i8>, Weekday), RecurrenceError> {
    const WANTED: &str = "MO, TU, WE, TH, FR, SA or SU, with a number such as 1 or -1 before it for the first or last";
    let wrong = || RecurrenceError::Value { name: "BYDAY", value: value.to_owned(), wanted: WANTED };
    let at = value.len().checked_sub(2).filter(|at| value.is_char_boundary(*at)).ok_or_else(wrong)?;
    let (ordinal, day) = value.split_at(at);
    let weekday = match day.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return Err(wrong()),
    };
    if ordinal.is_empty() {
        return Ok((None, weekday));
    }
    let n = number(ordinal, "BYDAY", -53, 53, WANTED)?;
    Ok((Some(nonzero(n, value, "BYDAY", WANTED)?), weekday))
}

fn list<T>(value: &str, item: impl Fn(&str) -> Result<T, RecurrenceError>) -> Result<Vec<T>, RecurrenceError> {
    value.split(',').map(|value| item(value.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    #[test]
    fn a_recurrence_holds_on_its_days() {
        for (rule, yes, no) in [
            ("FREQ=MONTHLY;BYDAY=1FR", "2026-05-01", "2026-05-08"),
            ("FREQ=MONTHLY;BYDAY=-1FR", "2026-05-29", "2026-05-22"),
            ("FREQ=MONTHLY;BYMONTHDAY=-1", "2024-02-29", "2024-02-28"),
            ("FREQ=MONTHLY;BYMONTHDAY=31", "2026-05-31", "2026-04-30"),
            // Friday the thirteenth
            ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "2026-02-13", "2026-05-13"),
            ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", "2026-11-26", "2026-11-19"),
            ("FREQ=YEARLY;BYDAY=-1MO", "2026-12-28", "2026-12-21"),
            ("FREQ=YEARLY;BYMONTH=12", "2026-12-06", "2026-11-30"),
            ("FREQ=WEEKLY;BYDAY=MO,WE", "2026-05-06", "2026-05-05"),
            ("FREQ=WEEKLY;INTERVAL=2;DTSTART=2026-05-04;BYDAY=MO", "2026-05-18", "2026-05-11"),
            ("FREQ=WEEKLY;INTERVAL=2;DTSTART=2026-05-06;BYDAY=MO,WE", "2026-05-18", "2026-05-04"),
            ("FREQ=DAILY;INTERVAL=3;DTSTART=20260501", "2026-05-07", "2026-05-06"),
            ("FREQ=DAILY;DTSTART=20260501;UNTIL=20260510", "2026-05-10", "2026-05-11"),
            ("FREQ=YEARLY;DTSTART=2024-02-29", "2028-02-29", "2026-02-28"),
            ("FREQ=MONTHLY;DTSTART=2026-01-15", "2026-06-15", "2026-06-14"),
            ("RRULE:FREQ=WEEKLY;DTSTART=2026-05-04", "2026-05-11", "2026-05-12"),
        ] {
            let recurrence = Recurrence::parse(rule).expect(rule);
            assert!(recurrence.contains(date(yes)), "{rule} on {yes}");
            assert!(!recurrence.contains(date(no)), "{rule} not on {no}");
        }
    }

    #[test]
    fn what_is_no_recurrence_is_told_why() {
        for (rule, why) in [
            ("", "is not `NAME=value`"),
            ("BYDAY=MO", "FREQ is missing"),
            ("FREQ=HOURLY", "is no FREQ"),
            ("FREQ=DAILY;COUNT=3", "COUNT is not understood"),
            ("FREQ=DAILY;FREQ=DAILY", "FREQ is stated twice"),
            ("FREQ=WEEKLY;BYDAY=1MO", "first or last weekday"),
            ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "DTSTART, which is missing"),
            ("FREQ=MONTHLY;BYDAY=0FR", "is no BYDAY"),
            ("FREQ=MONTHLY;BYDAY=é", "is no BYDAY"),
            ("FREQ=MONTHLY;BYMONTHDAY=32", "is no BYMONTHDAY"),
            ("FREQ=MONTHLY", "says on no day"),
            ("FREQ=DAILY;DTSTART=2026-02-30", "is no DTSTART"),
            ("FREQ=DAILY;DTSTART=2026-05-02;UNTIL=2026-05-01", "before DTSTART"),
        ] {
            let error = Recurrence::parse(rule).expect_err(rule).to_string();
            assert!(error.contains(why), "{rule}: {error}");
        }
    }

    #[test]
    fn listed_days_and_exceptions() {
        let day = |text: &str| Day::of(date(text));
        let days = Days { on: vec![day("2026-12-24")], not_on: vec![day("2026-05-01")], recurs: None };
        assert!(days.contains(date("2026-12-24")) && !days.contains(date("2026-12-25")));
        let days = Days { recurs: Recurrence::parse("FREQ=DAILY").ok(), ..days };
        assert!(days.contains(date("2026-12-25")) && !days.contains(date("2026-05-01")));
        assert!(Days::default().contains(date("2026-05-01")));
    }
}
