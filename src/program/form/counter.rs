//! Counters, and what rules may ask of them and of a member's orders.

use super::threshold::{Mark, MarkText, number_of};
use super::*;

section! {
    /// A count or sum that is kept for each account. Give a counter that is to mean something else a new name: what it
    /// has counted stays under the old one.
    CounterSection = "counter" {
        /// What is counted.
        counts: CountsWord, Required;
        /// Which units, for `units`.
        unit: UnitName, Without("the program's first unit");
        /// Which types of events, for `events` and `event_value`.
        events: Distinct<LabelText, 1, SELECTED_MAX>, Without("none");
        /// Over what time.
        window: WindowText, Without("`lifetime`, or a `streak`");
        /// Instead of a window: in how many of these periods on end there was anything to count.
        streak: CalendarPeriodWord, Without("no streak");
        /// How many empty periods in between a streak forgives.
        streak_gap_max: Whole<0, 52>, Without("0");
        /// Of orders, the lines that count; an order counts when one of them does.
        lines: LinesSection, Default("{}");
        /// Orders of these sales channels.
        channels: Distinct<LabelText, 1, SELECTED_MAX>, Without("of any channel");
        /// Orders of these stores.
        stores: Distinct<StoreName, 1, SELECTED_MAX>, Without("of any store");
    }
}

/// What a counter counts, before what it needs besides is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::program) enum CountsOf {
    Orders,
    Visits,
    Items,
    Spend,
    Units,
    Events,
    EventValue,
    Friends,
}

/// Terms that lack nothing but their name.
pub(in crate::program) type Unnamed = (Counts, CounterWindow, Selector, Vec<Label>, Vec<Label>);

impl Build for CounterSection {
    type Out = Unnamed;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Unnamed> {
        let counts = self.counts?.value;
        let of_orders = matches!(counts, CountsOf::Orders | CountsOf::Visits | CountsOf::Items | CountsOf::Spend);
        let of_events = matches!(counts, CountsOf::Events | CountsOf::EventValue);
        if let Some(unit) = self.unit.as_ref().filter(|_| counts != CountsOf::Units) {
            r.fault_at(unit, "only a counter of `units` has a unit", Some("remove it"));
        }
        match &self.events {
            Some(events) if !of_events => {
                r.fault_at(events, "only a counter of events names events", Some("remove it"))
            }
            None if of_events => r.lacks(pos, "names no events to count", Some("add `events: [...]`")),
            _ => {}
        }
        let lines = self.lines?;
        if !of_orders && lines.value != Selector::default() {
            r.fault_at(&lines, "only counters of orders have lines", Some("remove it"));
        }
        for places in [self.channels.as_ref(), self.stores.as_ref()].into_iter().flatten().filter(|_| !of_orders) {
            r.fault_at(places, "only counters of orders have channels and stores", Some("remove it"));
        }
        if let (Some(window), Some(_)) = (&self.window, &self.streak) {
            r.fault_at(window, "a streak has no window", Some("state one of the two"));
        }
        if let (None, Some(gap)) = (&self.streak, &self.streak_gap_max) {
            r.lacks_at(gap, "there is no `streak` that it could be about", Some("remove it"));
        }
        let gap = self.streak_gap_max.and_then(|at| u16::try_from(at.value).ok()).unwrap_or(0);
        let window = match (self.streak, self.window) {
            (Some(streak), _) => CounterWindow::Streak { of: streak.value, gap },
            (None, Some(window)) => window.value,
            (None, None) => CounterWindow::Lifetime,
        };
        let events = self.events.map(|at| at.value).unwrap_or_default();
        let counts = match counts {
            CountsOf::Orders => Counts::Orders,
            CountsOf::Visits => Counts::Visits,
            CountsOf::Items => Counts::Items,
            CountsOf::Spend => Counts::Spend,
            CountsOf::Units => Counts::Units(unit_of(self.unit, r)?),
            CountsOf::Events => Counts::Events(events),
            CountsOf::EventValue => Counts::EventValue(events),
            CountsOf::Friends => Counts::Friends,
        };
        let channels = self.channels.map(|at| at.value).unwrap_or_default();
        let stores = self.stores.map(|at| at.value).unwrap_or_default();
        Some((counts, window, lines.value, channels, stores))
    }
}

/// Gives counters their names.
pub(super) fn named(counters: Vec<(CounterId, Unnamed)>) -> Vec<CounterTerms> {
    let named = counters.into_iter().map(|(id, (counts, window, lines, channels, stores))| CounterTerms {
        id,
        counts,
        window,
        lines,
        channels,
        stores,
    });
    named.collect()
}

section! {
    /// Which of a member's orders it is, by number: the first is 1. Orders that came back whole do not count.
    OrderNumberSection = "order number" {
        /// One of these.
        is: Distinct<Whole<1, 1_000_000>, 1, 100>, Without("any");
        /// Each so-manieth: 5 is the fifth, the tenth and so on.
        every: Whole<2, 1_000_000>, Without("any");
        /// From this one on.
        from: Whole<1, 1_000_000>, Without("the first");
        /// Up to and with this one.
        to: Whole<1, 1_000_000>, Without("no last");
    }
}

impl Build for OrderNumberSection {
    type Out = OrderNumber;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<OrderNumber> {
        let number = |at: Option<At<i64>>| at.and_then(|at| u64::try_from(at.value).ok());
        if let (Some(from), Some(to)) = (&self.from, &self.to)
            && to.value < from.value
        {
            r.fault_at(to, "ends before it begins", Some("`to` must not be below `from`"));
        }
        let is: Vec<u64> =
            self.is.map(|at| at.value).unwrap_or_default().into_iter().filter_map(|n| u64::try_from(n).ok()).collect();
        let wanted = OrderNumber { is, every: number(self.every), from: number(self.from), to: number(self.to) };
        if wanted == OrderNumber::default() {
            r.lacks(pos, "says nothing", Some("leave it out"));
            return None;
        }
        Some(wanted)
    }
}

section! {
    /// What a counter must say, with what happens now counted in. Everything stated must hold.
    CountSection = "count" {
        /// At least so much; equal is reached.
        at_least: MarkText<0>, Without("any");
        /// At most so much, inclusive.
        at_most: MarkText<0>, Without("any");
        /// A multiple of this, but not 0.
        every: MarkText<1>, Without("any");
    }
}

/// What is asked of a counter that is named elsewhere.
pub(in crate::program) struct Count {
    at_least: Option<At<Mark>>,
    at_most: Option<At<Mark>>,
    every: Option<At<Mark>>,
}

impl Count {
    pub(super) fn of(self, counter: CounterId, r: &mut Reader) -> CounterCondition {
        let [at_least, at_most, every] =
            [self.at_least, self.at_most, self.every].map(|at| at.map(|at| number_of(&at, &counter, r)));
        CounterCondition { counter, at_least, at_most, every }
    }
}

impl Build for CountSection {
    type Out = Count;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Self::Out> {
        if let (Some(least), Some(most)) = (&self.at_least, &self.at_most)
            && most.value.number < least.value.number
        {
            r.fault_at(
                most,
                "no count is at once that high and that low",
                Some("`at_most` must not be below `at_least`"),
            );
        }
        if self.at_least.is_none() && self.at_most.is_none() && self.every.is_none() {
            r.lacks(pos, "asks nothing of the counter", Some("state `at_least`, `at_most` or `every`"));
            return None;
        }
        Some(Count { at_least: self.at_least, at_most: self.at_most, every: self.every })
    }
}
