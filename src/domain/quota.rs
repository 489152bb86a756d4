//! Limits over all members: a campaign's budget, an agent's day, a proof that counts once.
//!
//! What is left of a quota lies in a partition of its own, so no decision can hold it. A decision says what it wants;
//! the service claims that first, under a name that is the same whoever asks for the same deed, and then the command is
//! decided again with what was granted. What a decision does not use goes back.

use serde::{Deserialize, Serialize};

use super::id::{Label, ProgramId, UnitId};
use super::time::{CalendarPeriod, Instant};

/// Which quota, and of what time. Parts are joined by `|`, which no id contains, so names are unambiguous.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct QuotaKey {
    pub program: ProgramId,
    /// What is limited: `agent|zoe|points`.
    pub of: Box<str>,
    /// `ever`, or the calendar period: `day.2026-05-01`.
    pub period: Box<str>,
}

impl QuotaKey {
    /// A quota that is never filled up again.
    pub fn ever(program: &ProgramId, of: &[&str]) -> QuotaKey {
        QuotaKey { program: program.clone(), of: of.join("|").into(), period: "ever".into() }
    }

    /// A quota that begins anew with each period of the calendar of `zone`.
    pub fn of_period(
        program: &ProgramId,
        of: &[&str],
        period: CalendarPeriod,
        at: Instant,
        zone: &jiff::tz::TimeZone,
    ) -> QuotaKey {
        let name = match period {
            CalendarPeriod::Day => "day",
            CalendarPeriod::Week => "week",
            CalendarPeriod::Month => "month",
            CalendarPeriod::Quarter => "quarter",
            CalendarPeriod::Year => "year",
        };
        let start = period.start(at.zoned(zone).date());
        QuotaKey { program: program.clone(), of: of.join("|").into(), period: format!("{name}.{start}").into() }
    }

    /// What an agent may credit of a unit in a day.
    pub fn agent_day(
        program: &ProgramId,
        agent: &Label,
        unit: &UnitId,
        at: Instant,
        zone: &jiff::tz::TimeZone,
    ) -> QuotaKey {
        QuotaKey::of_period(program, &["agent", agent.as_str(), unit.as_str()], CalendarPeriod::Day, at, zone)
    }
}

/// What a decision wants of a quota before it can be made for good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Want {
    pub quota: QuotaKey,
    /// Names the deed within account and quota, the same for every request that asks for it: `order|o-1|rule-7`. At most
    /// [`Want::DEED_BYTES_MAX`] bytes.
    pub deed: Box<str>,
    /// Of the whole quota.
    pub capacity: i64,
    /// When the program version that states the capacity became active: of two versions the later one's counts.
    pub since: Instant,
    /// At least 1.
    pub amount: i64,
    /// All of it or nothing; otherwise as much as is left.
    pub whole: bool,
    /// What is granted has a number of its own, from 0 to below the capacity: tickets of a drum. The amount is 1 then.
    pub numbered: bool,
    /// Where it is noted, once this one is used up, that those of later periods give nothing either; `None`: each period
    /// begins anew.
    pub pause: Option<QuotaKey>,
    /// Whether what was taken may come back when time passes.
    pub comes_back: bool,
}

impl Want {
    pub const DEED_BYTES_MAX: usize = 300;

    /// Whether a claim was made for this want.
    pub fn is_of(&self, claim: &SetAside) -> bool {
        claim.quota == self.quota && claim.deed == self.deed
    }
}

/// What of a quota is set aside for a deed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetAside {
    pub quota: QuotaKey,
    pub deed: Box<str>,
    /// 0: nothing was left, or not enough.
    pub granted: i64,
    /// Where less was granted than wanted: what had been left of the quota then.
    pub left: i64,
    /// Of a numbered want that was granted.
    pub number: Option<i64>,
}

/// What goes back to a quota, or is taken from it whether or not there is so much, for what an account has of a unit has
/// changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutstandingChange {
    pub quota: QuotaKey,
    /// Above zero: so much goes back; below: so much is taken.
    pub back: i64,
    /// See [`Want::capacity`].
    pub capacity: i64,
    /// See [`Want::since`].
    pub since: Instant,
}

/// What a decision uses of a claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Used {
    pub quota: QuotaKey,
    pub deed: Box<str>,
    /// At least 1.
    pub amount: i64,
}

/// What a decision asked for and used; kept while it is made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Asked {
    pub(super) wants: Vec<Want>,
    pub(super) used: Vec<Used>,
}

impl Asked {
    pub(super) fn append(&mut self, more: Asked) {
        self.wants.extend(more.wants);
        self.used.extend(more.used);
    }

    /// How much of `desired` the quotas of `wants` allow, and the tightest of them where that is less. Each is asked for
    /// what the one before has granted, so that nothing is set aside in vain. Until all have been claimed the answer is
    /// provisional, and the decision is made again.
    pub(super) fn take(&mut self, claims: &[SetAside], desired: i64, wants: Vec<Want>) -> Taken {
        let mut taken = Taken { granted: desired, short: None };
        for want in &wants {
            if taken.granted <= 0 {
                break;
            }
            let Some(claim) = claims.iter().find(|claim| want.is_of(claim)) else {
                self.wants.push(Want { amount: taken.granted, ..want.clone() });
                return taken;
            };
            let granted = claim.granted.min(taken.granted);
            let granted = if want.whole && granted < taken.granted { 0 } else { granted };
            if granted < taken.granted {
                taken = Taken { granted, short: Some(claim.left) };
            }
        }
        if 0 < taken.granted {
            self.used.extend(wants.into_iter().map(|Want { quota, deed, .. }| Used {
                quota,
                deed,
                amount: taken.granted,
            }));
        }
        taken
    }
}

/// What quotas allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Taken {
    pub(super) granted: i64,
    /// What is left of the quota that allows less than desired.
    pub(super) short: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(of: &str, whole: bool) -> Want {
        let program = ProgramId::parse("bakery").expect("an id");
        let quota = QuotaKey::ever(&program, &[of]);
        Want {
            quota,
            deed: "order|o-1".into(),
            capacity: 100,
            since: Instant(0),
            amount: 0,
            whole,
            numbered: false,
            pause: None,
            comes_back: false,
        }
    }

    fn claim(of: &str, granted: i64, left: i64) -> SetAside {
        let Want { quota, deed, .. } = want(of, false);
        SetAside { quota, deed, granted, left, number: None }
    }

    #[test]
    fn each_quota_is_asked_for_what_the_one_before_has_granted() {
        for (claims, wanted, granted, short, used) in [
            (vec![], Some(("rule", 50)), 50, None, 0),
            (vec![claim("rule", 30, 30)], Some(("store", 30)), 30, Some(30), 0),
            (vec![claim("rule", 30, 30), claim("store", 30, 0)], None, 30, Some(30), 2),
            (vec![claim("rule", 30, 30), claim("store", 7, 7)], None, 7, Some(7), 2),
            (vec![claim("rule", 0, 0)], None, 0, Some(0), 0),
        ] {
            let mut asked = Asked::default();
            let taken = asked.take(&claims, 50, vec![want("rule", false), want("store", false)]);
            assert_eq!(taken, Taken { granted, short }, "{claims:?}");
            let asked_for = asked.wants.first().map(|want| (want.quota.of.to_string(), want.amount));
            assert_eq!(asked_for, wanted.map(|(of, amount)| (of.to_owned(), amount)), "{claims:?}");
            assert_eq!(asked.used.len(), used, "{claims:?}");
        }
        let mut asked = Asked::default();
        let taken = asked.take(&[claim("rule", 30, 30)], 50, vec![want("rule", true)]);
        assert_eq!((taken, asked.used.len()), (Taken { granted: 0, short: Some(30) }, 0));
    }

    #[test]
    fn a_day_is_one_of_the_programs_calendar() {
        let program = ProgramId::parse("bakery").expect("an id");
        let zone = jiff::tz::TimeZone::get("Europe/Berlin").expect("a zone");
        let (agent, unit) = (Label::parse("zoe").expect("a label"), UnitId::points());
        let at = |text: &str| Instant(text.parse::<jiff::Timestamp>().expect("a timestamp").as_millisecond());
        for (when, period) in [("2026-03-28T22:59:59Z", "day.2026-03-28"), ("2026-03-28T23:00:00Z", "day.2026-03-29")] {
            let key = QuotaKey::agent_day(&program, &agent, &unit, at(when), &zone);
            assert_eq!((&*key.of, &*key.period), ("agent|zoe|points", period));
        }
    }
}
