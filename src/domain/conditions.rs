//! Whether what must hold for a rule holds, and the trace of it.

use super::account::AccountState;
use super::answer::ExplainCondition;
use super::id::MemberId;
use super::order::Order;
use super::program::{Conditions, Program, SpendOf};
use super::time::{Instant, LocalWindow};

/// What a rule may look at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub program: &'a Program,
    /// When what is being decided happened.
    pub at: Instant,
    /// The account as it stands, with what happens now counted in already.
    pub state: &'a AccountState,
    /// Who acts; `None`: a guest, or the passing of time.
    pub member: Option<&'a MemberId>,
    pub order: Option<Seen<'a>>,
}

/// An order under consideration.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub order: &'a Order,
    /// Of each line, what earns; minor units.
    pub earning: &'a [i64],
    /// Of each line, the items that rewards gave for free.
    pub free: &'a [i64],
}

impl View<'_> {
    /// The number that the order under consideration has among the member's orders: 1 is the first.
    pub fn order_number(&self) -> u64 {
        self.state.orders.saturating_sub(self.state.orders_returned).saturating_add(1)
    }
}

/// Collects what is explained; without a trace it stops at the first condition that does not hold.
struct Check<'a> {
    all: bool,
    trace: &'a mut Option<Vec<ExplainCondition>>,
}

impl Check<'_> {
    /// Whether to go on.
    fn that(
        &mut self,
        met: bool,
        name: &str,
        actual: impl FnOnce() -> String,
        required: impl FnOnce() -> String,
    ) -> bool {
        self.all &= met;
        if let Some(trace) = self.trace {
            trace.push(ExplainCondition { condition: name.to_owned(), met, actual: actual(), required: required() });
        }
        met || self.trace.is_some()
    }
}

/// Whether every condition holds. `amounts`: of each line that the rule selects, what earns; `None` where there is no
/// order.
pub fn holds(
    view: &View<'_>,
    conditions: &Conditions,
    amounts: Option<&[i64]>,
    trace: &mut Option<Vec<ExplainCondition>>,
) -> bool {
    let mut check = Check { all: true, trace };
    let going = times(view, conditions, &mut check)
        && history(view, conditions, &mut check)
        && amounts.is_none_or(|amounts| of_order(view, conditions, amounts, &mut check))
        && of_predicate(view, conditions, &mut check);
    going && check.all
}

fn times(view: &View<'_>, conditions: &Conditions, check: &mut Check<'_>) -> bool {
    let at = view.at;
    if let Some(from) = conditions.starts_at
        && !check.that(from <= at, "starts_at", || at.text(), || format!("from {}", from.text()))
    {
        return false;
    }
    if let Some(until) = conditions.ends_at
        && !check.that(at < until, "ends_at", || at.text(), || format!("before {}", until.text()))
    {
        return false;
    }
    if conditions.windows.is_empty() {
        return true;
    }
    let zone = |window: &LocalWindow| match view.order {
        Some(seen) => view.program.window_zone(window.zone, seen.order),
        None => view.program.zone.clone(),
    };
    let met = conditions.windows.iter().any(|window| window.contains(at, &zone(window)));
    let actual = || conditions.windows.first().map_or_else(String::new, |w| at.zoned(&zone(w)).to_string());
    let required = || conditions.windows.iter().map(LocalWindow::text).collect::<Vec<_>>().join(" or ");
    check.that(met, "hours", actual, required)
}

fn history(view: &View<'_>, conditions: &Conditions, check: &mut Check<'_>) -> bool {
    let joined = view.member.and_then(|member| view.state.person(member)).map(|person| person.joined_at);
    let ages = [("joined_at_least", conditions.joined_at_least), ("joined_at_most", conditions.joined_at_most)];
    for (name, period) in ages {
        let Some(period) = period else { continue };
        let turns = joined.map(|joined| period.after(joined, &view.program.zone));
        let met = turns.is_some_and(|turns| match name {
            "joined_at_least" => turns <= view.at,
            _ => view.at <= turns,
        });
        let actual = || joined.map_or_else(|| "nobody joined".to_owned(), |joined| format!("joined {}", joined.text()));
        if !check.that(met, name, actual, || format!("{} ago", period.text())) {
            return false;
        }
    }
    if let Some(wanted) = &conditions.order_number {
        let number = view.order_number();
        if !check.that(wanted.holds(number), "order_number", || number.to_string(), || wanted.text()) {
            return false;
        }
    }
    for wanted in &conditions.counters {
        let count = view.state.counted(view.program, &wanted.counter, view.at);
        let name = if check.trace.is_some() { format!("counters.{}", wanted.counter) } else { String::new() };
        let required = || {
            let least = wanted.at_least.map(|n| format!("at least {n}"));
            let most = wanted.at_most.map(|n| format!("at most {n}"));
            let every = wanted.every.map(|n| format!("a multiple of {n}"));
            [least, most, every].into_iter().flatten().collect::<Vec<_>>().join(", ")
        };
        if !check.that(wanted.holds(count), &name, || count.to_string(), required) {
            return false;
        }
    }
    true
}

fn of_order(view: &View<'_>, conditions: &Conditions, amounts: &[i64], check: &mut Check<'_>) -> bool {
    let Some(Seen { order, earning, .. }) = view.order else { return false };
    if !conditions.channels.is_empty() {
        let met = order.channel.as_ref().is_some_and(|channel| conditions.channels.contains(channel));
        if !check.that(met, "channels", || or_none(order.channel.as_ref()), || list(&conditions.channels)) {
            return false;
        }
    }
    if !conditions.stores.is_empty() {
        let met = order.store.as_ref().is_some_and(|store| conditions.stores.contains(store));
        if !check.that(met, "stores", || or_none(order.store.as_ref()), || list(&conditions.stores)) {
            return false;
        }
    }
    let matching: i64 = amounts.iter().fold(0, |sum, amount| sum.saturating_add(*amount));
    let count = || amounts.iter().filter(|amount| 0 < **amount).count();
    let actual = || format!("{} lines earn on {matching}", count());
    if !check.that(0 < matching, "lines", actual, || "at least one".to_owned()) {
        return false;
    }
    let Some(spend) = &conditions.spend_min else { return true };
    let actual = match spend.of {
        SpendOf::Order => earning.iter().fold(0i64, |sum, amount| sum.saturating_add(*amount)),
        SpendOf::Matching => matching,
    };
    let required = spend.amount.get(order.currency);
    let met = required.is_some_and(|required| required <= actual);
    let wanted = || required.map_or_else(|| "not listed".to_owned(), |r| format!("at least {r}"));
    check.that(met, "spend_at_least", || actual.to_string(), wanted)
}

/// Each part that must hold by itself is one condition; under one that leaves a choice, the trace shows the ways.
fn of_predicate(view: &View<'_>, conditions: &Conditions, check: &mut Check<'_>) -> bool {
    let Some(predicate) = &conditions.predicate else { return true };
    let Some(trace) = check.trace else {
        check.all &= predicate.holds(view);
        return check.all;
    };
    for part in predicate.parts() {
        check.all &= part.holds(view);
        trace.extend(part.explain(view));
    }
    true
}

fn or_none<T: std::fmt::Display>(value: Option<&T>) -> String {
    value.map_or_else(|| "none".to_owned(), ToString::to_string)
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
