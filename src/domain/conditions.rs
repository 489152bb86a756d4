//! Whether what must hold for a rule holds, and the trace of it.

use jiff::tz::TimeZone;

use super::account::{AccountState, AttributeValue};
use super::answer::ExplainCondition;
use super::id::{CampaignId, Label, MemberId};
use super::order::{Currency, Order};
use super::program::{Conditions, Program, RuleCampaign, SpendOf};
use super::recurrence::Days;
use super::time::{Day, Instant, LocalWindow, WindowZone};

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
    /// The event that fires the rule.
    pub event: Option<SeenEvent<'a>>,
}

/// An event under consideration.
#[derive(Clone, Copy, Debug)]
pub struct SeenEvent<'a> {
    pub kind: &'a Label,
    pub value: Option<i64>,
    pub attributes: &'a [(Label, AttributeValue)],
}

/// An order under consideration.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub order: &'a Order,
    /// Of each line, what earns; minor units of `currency`.
    pub earning: &'a [i64],
    /// In which the program's amounts apply: the order's own, or the one that it was converted to.
    pub currency: Currency,
    /// Of each line, the items that rewards gave for free.
    pub free: &'a [i64],
}

impl View<'_> {
    /// The number that the order under consideration has among the member's orders: 1 is the first.
    pub fn order_number(&self) -> u64 {
        self.state.orders.saturating_sub(self.state.orders_returned).saturating_add(1)
    }

    /// The clock on the wall that a window means.
    fn zone(&self, of: WindowZone) -> TimeZone {
        let of_store = || self.order.map_or(&self.program.zone, |seen| self.program.zone_of(seen.order)).clone();
        match of {
            WindowZone::Store => of_store(),
            WindowZone::Program => self.program.zone.clone(),
            WindowZone::Member => {
                let person = self.member.and_then(|member| self.state.person(member));
                let own = person.and_then(|person| person.profile.zone.as_deref());
                // A zone that this build does not know is none.
                own.and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(of_store)
            }
        }
    }

    /// The date on the wall where it happened: of the order's store, else of the program.
    fn date(&self) -> jiff::civil::Date {
        let zone = self.order.map_or(&self.program.zone, |seen| self.program.zone_of(seen.order));
        self.at.zoned(zone).date()
    }
}

/// Collects what is explained; without a trace it stops at the first condition that does not hold.
struct Check<'a> {
    all: bool,
    trace: &'a mut Option<Vec<ExplainCondition>>,
    /// Whose conditions these are, where they are not the rule's own.
    campaign: Option<&'a CampaignId>,
}

impl Check<'_> {
    /// Like [`Check::that`], for what has a distance: how much is missing, and that for people.
    fn so_far(
        &mut self,
        name: &str,
        met: bool,
        actual: impl FnOnce() -> String,
        required: impl FnOnce() -> String,
        missing: impl FnOnce() -> Option<(i64, String)>,
    ) -> bool {
        let on = self.that(met, name, actual, required);
        if let (false, Some(trace)) = (met, self.trace.as_mut())
            && let (Some(condition), Some((missing, text))) = (trace.last_mut(), missing())
        {
            condition.missing = Some(missing).filter(|missing| 0 < *missing);
            condition.missing_text = text;
        }
        on
    }

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
            let (actual, required) = (actual(), required());
            let condition = match self.campaign {
                Some(campaign) => format!("campaigns.{campaign}.{name}"),
                None => name.to_owned(),
            };
            trace.push(ExplainCondition {
                condition,
                met,
                actual,
                required,
                missing: None,
                missing_text: String::new(),
            });
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
    let mut check = Check { all: true, trace, campaign: None };
    let going = times(view, conditions, &mut check)
        && days(view, &conditions.days, &mut check)
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
    within(view, &conditions.windows, check)
}

fn within(view: &View<'_>, windows: &[LocalWindow], check: &mut Check<'_>) -> bool {
    let at = view.at;
    if windows.is_empty() {
        return true;
    }
    let zone = |window: &LocalWindow| view.zone(window.zone);
    let met = windows.iter().any(|window| window.contains(at, &zone(window)));
    let actual = || windows.first().map_or_else(String::new, |w| at.zoned(&zone(w)).to_string());
    let required = || windows.iter().map(LocalWindow::text).collect::<Vec<_>>().join(" or ");
    check.that(met, "hours", actual, required)
}

/// Whether a campaign's schedule includes the instant; for an order, its day must not be closed either.
pub fn is_on(view: &View<'_>, campaign: Option<&RuleCampaign>, trace: &mut Option<Vec<ExplainCondition>>) -> bool {
    let mut check = Check { all: true, trace, campaign: None };
    let closed = &view.program.closed_on;
    let open = closed.is_empty() || view.order.is_none() || {
        let today = Day::of(view.date());
        check.that(
            closed.binary_search(&today).is_err(),
            "closed_on",
            || today.date().to_string(),
            || "not closed".to_owned(),
        )
    };
    let Some(campaign) = campaign else { return open && check.all };
    check.campaign = Some(&campaign.id);
    let schedule = Conditions {
        starts_at: campaign.starts_at,
        ends_at: campaign.ends_at,
        windows: Vec::new(),
        ..Conditions::default()
    };
    let going = open
        && times(view, &schedule, &mut check)
        && within(view, &campaign.windows, &mut check)
        && days(view, &campaign.days, &mut check);
    going && check.all
}

fn days(view: &View<'_>, days: &Days, check: &mut Check<'_>) -> bool {
    if days.is_empty() {
        return true;
    }
    let date = view.date();
    check.that(days.contains(date), "days", || date.to_string(), || days.text())
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
        let missing = || wanted.next(number).map(|missing| (missing, counted(missing, "order")));
        if !check.so_far("order_number", wanted.holds(number), || number.to_string(), || wanted.text(), missing) {
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
        let missing = || {
            let missing = wanted.at_least.and_then(|least| least.checked_sub(count));
            missing.map(|missing| (missing, format!("{missing} of {}", wanted.counter)))
        };
        if !check.so_far(&name, wanted.holds(count), || count.to_string(), required, missing) {
            return false;
        }
    }
    for wanted in &conditions.tiers {
        let level = view.program.ladder(&wanted.ladder).and_then(|ladder| view.state.level(ladder, view.at));
        let met = level.is_some_and(|level| wanted.levels.contains(&level.id));
        let name = if check.trace.is_some() { format!("tiers.{}", wanted.ladder) } else { String::new() };
        let actual = || or_none(level.map(|level| &level.id));
        if !check.that(met, &name, actual, || list(&wanted.levels)) {
            return false;
        }
    }
    true
}

fn of_order(view: &View<'_>, conditions: &Conditions, amounts: &[i64], check: &mut Check<'_>) -> bool {
    let Some(Seen { order, currency, .. }) = view.order else { return false };
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
    let actual = || {
        let lines = amounts.iter().filter(|amount| 0 < **amount).count();
        let (earn, on) = (if lines == 1 { "earns" } else { "earn" }, money(currency, matching));
        format!("{} {earn} on {on}", counted(i64::try_from(lines).unwrap_or(i64::MAX), "line"))
    };
    if !check.that(0 < matching, "lines", actual, || "at least one".to_owned()) {
        return false;
    }
    bounds_of_order(view, conditions, amounts, check)
}

/// Thresholds on what is spent and how much is bought.
fn bounds_of_order(view: &View<'_>, conditions: &Conditions, amounts: &[i64], check: &mut Check<'_>) -> bool {
    let Some(Seen { order, earning, currency, free }) = view.order else { return false };
    let sum = |amounts: &[i64]| amounts.iter().fold(0i64, |sum, amount| sum.saturating_add(*amount));
    let spent = |of: SpendOf| if of == SpendOf::Order { sum(earning) } else { sum(amounts) };
    if let Some(least) = &conditions.spend_min {
        let (actual, required) = (spent(least.of), least.amount.get(currency));
        let met = required.is_some_and(|required| required <= actual);
        let wanted =
            || required.map_or_else(|| "not listed".to_owned(), |r| format!("at least {}", money(currency, r)));
        let missing = || {
            let missing = required.and_then(|required| required.checked_sub(actual));
            missing.map(|missing| (missing, money(currency, missing)))
        };
        if !check.so_far("spend_at_least", met, || money(currency, actual), wanted, missing) {
            return false;
        }
    }
    if let Some(most) = &conditions.spend_max {
        let (actual, required) = (spent(most.of), most.amount.get(currency));
        let met = required.is_some_and(|required| actual <= required);
        let wanted = || required.map_or_else(|| "not listed".to_owned(), |r| format!("at most {}", money(currency, r)));
        if !check.that(met, "spend_at_most", || money(currency, actual), wanted) {
            return false;
        }
    }
    let Some(bounds) = &conditions.quantity else { return true };
    let of = if bounds.of == SpendOf::Order { earning } else { amounts };
    // What a reward gave for free was not bought.
    let lines = order.lines.iter().zip(free).zip(of).filter(|(_, earns)| 0 < **earns);
    let items =
        lines.fold(0i64, |sum, ((line, free), _)| sum.saturating_add(line.quantity.saturating_sub(*free).max(0)));
    if let Some(least) = bounds.at_least {
        let missing = || {
            let missing = least.saturating_sub(items);
            Some((missing, counted(missing, "item")))
        };
        let wanted = || format!("at least {least}");
        if !check.so_far("quantity_at_least", least <= items, || items.to_string(), wanted, missing) {
            return false;
        }
    }
    let most = bounds.at_most.unwrap_or(i64::MAX);
    bounds.at_most.is_none()
        || check.that(items <= most, "quantity_at_most", || items.to_string(), || format!("at most {most}"))
}

/// `1 order`, `4 orders`.
fn counted(number: i64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// An amount as people write it: `GBP 2.40`.
pub fn money(currency: Currency, minor: i64) -> String {
    let digits = currency.exponent() as usize;
    let scale = 10i64.checked_pow(currency.exponent()).unwrap_or(1);
    match digits {
        0 => format!("{currency} {minor}"),
        _ => {
            let (sign, minor) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs());
            let scale = scale.unsigned_abs();
            format!("{currency} {sign}{}.{:0digits$}", minor / scale, minor % scale)
        }
    }
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
