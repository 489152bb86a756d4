//! How units live: when they become spendable, when they cease to be, and what may be owed of them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::super::id::{Label, UnitId};
use super::super::ledger::Dates;
use super::super::order::Currency;
use super::super::time::{Instant, Period, RoundUpTo};

/// The terms of one unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitTerms {
    pub unit: UnitId,
    pub life: LifeTerms,
    /// `None`: units never expire for want of activity.
    pub idle: Option<IdleTerms>,
    pub debt: DebtTerms,
    /// `None`: it is no money.
    pub paid_out: Option<PayoutTerms>,
}

/// Units that are money: one unit is one minor unit of the currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PayoutTerms {
    pub currency: Currency,
    /// Units that a payout has at least; at least 1.
    pub least: i64,
}

impl UnitTerms {
    /// Spendable at once and for ever.
    pub fn simple(unit: UnitId) -> UnitTerms {
        UnitTerms { unit, life: LifeTerms::default(), idle: None, debt: DebtTerms::default(), paid_out: None }
    }
}

/// When granted units become spendable and when they cease to be. A rule may override its unit's.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LifeTerms {
    /// From the grant's effective instant, or from the event that the units wait for; `None`: at once.
    pub activates_after: Option<Period>,
    /// From activation; `None`: never.
    pub expires_after: Option<Period>,
    pub expiry_rounded_to: RoundUpTo,
    /// Activation moves on to the first of these days; empty: it stays.
    pub activates_on: Vec<MonthDay>,
    /// Units of an order wait for an event of it.
    pub awaits: Option<AwaitTerms>,
    /// Units expire at the end of the first of these days; empty: by `expires_after`.
    pub expires_on: Vec<MonthDay>,
    /// Days of `expires_on` sooner after activation than this are passed over.
    pub lives_at_least: Option<Period>,
}

/// What units of an order wait for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitTerms {
    pub event: Label,
    /// From the order until before when it must have happened; `None`: no limit.
    pub within: Option<Period>,
}

impl LifeTerms {
    /// The dates of units that begin to live at an instant: when they are earned, or when what they wait for happens.
    pub fn dates(&self, from: Instant, zone: &TimeZone) -> Dates {
        let after = self.activates_after.map_or(from, |period| period.after(from, zone));
        let activates_at = MonthDay::next(&self.activates_on, after, zone).unwrap_or(after);
        let least = self.lives_at_least.map_or(activates_at, |period| period.after(activates_at, zone));
        let rolling = || {
            let period = self.expires_after?;
            Some(self.expiry_rounded_to.apply(period.after(activates_at, zone), zone))
        };
        let expires_at = MonthDay::next_end(&self.expires_on, activates_at, least, zone).or_else(rolling);
        Dates { activates_at, expires_at: expires_at.unwrap_or(Instant::MAX) }
    }
}

/// A day of every year. 29 February is the last of February where there is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct MonthDay {
    pub month: u8,
    pub day: u8,
}

impl MonthDay {
    /// `None` for a day that no year has.
    pub fn new(month: u8, day: u8) -> Option<MonthDay> {
        let this = MonthDay { month, day };
        let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        Date::new(2024, month, day).ok().map(|_| this)
    }

    /// The day in a year of the calendar; `None` outside what calendars know.
    pub fn date_in(self, year: i16) -> Option<Date> {
        let (month, day) = (i8::try_from(self.month).ok()?, i8::try_from(self.day).ok()?);
        Date::new(year, month, day).ok().or_else(|| Date::new(year, month, 1).ok().map(Date::last_of_month))
    }

    /// The first beginning of one of `days` at or after an instant; `None` without days, or past what calendars know.
    fn next(days: &[MonthDay], from: Instant, zone: &TimeZone) -> Option<Instant> {
        MonthDay::boundaries(days, from, zone, Some).filter(|at| from <= *at).min()
    }

    /// The first end of one of `days` after an instant and not before `least`.
    fn next_end(days: &[MonthDay], from: Instant, least: Instant, zone: &TimeZone) -> Option<Instant> {
        let ends = MonthDay::boundaries(days, least, zone, |date| date.tomorrow().ok());
        ends.filter(|at| from < *at && least <= *at).min()
    }

    fn boundaries<'d>(
        days: &'d [MonthDay],
        around: Instant,
        zone: &'d TimeZone,
        of: impl Fn(Date) -> Option<Date> + 'd,
    ) -> impl Iterator<Item = Instant> + 'd {
        let year = around.zoned(zone).year();
        let years = year.saturating_sub(1)..=year.saturating_add(1);
        let dates = years.flat_map(|year| days.iter().filter_map(move |day| day.date_in(year)));
        dates.filter_map(move |date| {
            let begins = of(date)?.to_zoned(zone.clone()).ok()?;
            Some(Instant::from(&begins).min(Instant::MAX))
        })
    }
}

/// When all units of an account expire because nothing happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdleTerms {
    pub after: Period,
    pub rounded_to: RoundUpTo,
    /// What counts as something happening.
    pub reset_by: Vec<Activity>,
}

impl IdleTerms {
    /// When units expire that nothing touches after `at`.
    pub fn ends(&self, at: Instant, zone: &TimeZone) -> Instant {
        self.rounded_to.apply(self.after.after(at, zone), zone)
    }
}

/// What keeps units from expiring for want of activity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activity {
    /// Units of the same kind are granted.
    Earn,
    /// Units of the same kind are spent.
    Redeem,
    /// An order is committed, whatever it earns.
    Order,
    /// Something happens to an order, or a member does something outside orders.
    Event,
    /// Units of the same kind are credited or debited by hand.
    Adjust,
}

impl Activity {
    pub const ALL: [Activity; 5] =
        [Activity::Earn, Activity::Redeem, Activity::Order, Activity::Event, Activity::Adjust];
}

/// What happens when more units must be taken than there are, by what takes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DebtTerms {
    /// `None`: as [`ReturnTerms::shortfall`](super::ReturnTerms::shortfall) says.
    pub on_return: Option<Overdraw>,
    /// A referral's reward that is called back; never refused. `None`: as the return.
    pub on_clawback: Option<Overdraw>,
    pub on_adjust: Overdraw,
    /// An order that was paid on the strength of units; never refused.
    pub on_paid_order: Overdraw,
    /// The most that may be owed; `None`: any amount.
    pub floor: Option<i64>,
}

impl Default for DebtTerms {
    fn default() -> DebtTerms {
        DebtTerms {
            on_return: None,
            on_clawback: None,
            on_adjust: Overdraw::Refuse,
            on_paid_order: Overdraw::Allow,
            floor: None,
        }
    }
}

impl DebtTerms {
    /// Of a shortfall, what becomes debt when so much is owed already, within the floor.
    pub fn room(&self, owed: i64, shortfall: i64) -> i64 {
        let room = self.floor.map_or(i64::MAX, |floor| floor.saturating_sub(owed).max(0));
        shortfall.min(room)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overdraw {
    /// Nothing is taken at all.
    Refuse,
    /// What there is is taken, the rest is forgiven.
    Clamp,
    /// The rest is owed, down to the floor; what goes beyond is forgiven.
    Allow,
}
