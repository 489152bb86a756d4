//! Counters that a program keeps for each account.

use super::Selector;
use crate::domain::id::{CounterId, Label, UnitId};
use crate::domain::time::CalendarPeriod;

/// A named count or sum over a window, kept for each account in the program's time zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CounterTerms {
    pub id: CounterId,
    pub counts: Counts,
    pub window: CounterWindow,
    /// Of orders, the lines that count. An order counts when one of them does.
    pub lines: Selector,
    /// Empty: orders of any channel.
    pub channels: Vec<Label>,
    /// Empty: orders of any store.
    pub stores: Vec<Label>,
}

/// What is counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Counts {
    /// Orders. One that comes back whole counts no more.
    Orders,
    /// Days, by the program's calendar, on which there was an order.
    Visits,
    /// Whole items of the lines that count.
    Items,
    /// What earns on the lines that count, in minor units of the program's first currency.
    Spend,
    /// Units granted, less what is taken back.
    Units(UnitId),
    /// Events of any of these types.
    Events(Vec<Label>),
    /// What events of any of these types carry as their value.
    EventValue(Vec<Label>),
    /// Friends who qualified, less those who no longer do.
    Friends,
}

/// Over what time a counter counts. The day, month, ... in which something happened is that of its effective
/// instant by the program's calendar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CounterWindow {
    Lifetime,
    /// The calendar period in which one asks.
    Calendar(CalendarPeriod),
    /// The year since the last anniversary of joining.
    MembershipYear,
    /// The day on which one asks and those before it, so many in all.
    Days(u16),
    /// Not how much, but in how many periods on end there was anything: up to `gap` empty ones in between are
    /// forgiven, and the period in which one asks breaks nothing while it lasts.
    Streak {
        of: CalendarPeriod,
        gap: u16,
    },
}

impl CounterWindow {
    /// The longest window in days: two years.
    pub const DAYS_MAX: u16 = 731;

    /// For people.
    pub fn text(self) -> String {
        match self {
            CounterWindow::Lifetime => "lifetime".to_owned(),
            CounterWindow::Calendar(period) => period.name().to_owned(),
            CounterWindow::MembershipYear => "membership year".to_owned(),
            CounterWindow::Days(days) => format!("{days} days"),
            CounterWindow::Streak { of, gap } => format!("streak by {} with gaps up to {gap}", of.name()),
        }
    }
}
