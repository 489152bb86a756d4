//! How rules go together, what bounds them, and on which days they act.

use jiff::civil::Date;
use serde_json::json;

use super::*;
use crate::domain::id::GroupId;
use crate::domain::program::{
    BaseRules, Brake, Combine, ExchangeRate, Group, GroupPick, Limit, LimitOf, LimitOver, LimitPer, OnReach,
    RuleCampaign, UnitLimits,
};
use crate::domain::recurrence::{Days, Recurrence};
use crate::domain::time::Day;
use crate::program::read::declared;
use crate::program::value::scaled;
use crate::program::{DATES_MAX, LIMITS_MAX};

declared!(GroupName -> GroupId, "groups", "group");
declared!(RuleCampaignName -> CampaignId, "campaigns", "campaign");

words!(BaseRulesWord -> BaseRules {
    "add" => BaseRules::Add, "they add up";
    "first" => BaseRules::First, "only the first, by priority, whose conditions hold";
});

words!(PickWord -> GroupPick {
    "all" => GroupPick::All, "all whose conditions hold";
    "first" => GroupPick::First, "the first, by priority, whose conditions hold";
    "best" => GroupPick::Best, "the one that gives most, each taken by itself; the earlier one when equal";
});

words!(OnReachWord -> OnReach {
    "clamp" => OnReach::Clamp, "what is left is given";
    "refuse" => OnReach::Refuse, "nothing is given";
});

words!(LimitOverWord -> LimitOver {
    "member" => LimitOver::Member, "each account by itself";
    "program" => LimitOver::Program, "all accounts together";
    "store" => LimitOver::Store, "all accounts together, each store by itself";
});

section! {
    /// How a rule goes together with others.
    CombineSection = "combine" {
        /// Rules are considered from the highest priority down, equal ones in the order of the file.
        priority: Whole<-1000, 1000>, Default("0");
        /// Which group it belongs to.
        group: GroupName, Without("none");
        /// Whether it applies alone or not at all: alone in its group, or without one alone of all rules that give its
        /// unit. The first rule that applies wins.
        exclusive: Flag, Default("false");
        /// Whether, when it applies, no rule after it is considered.
        stop: Flag, Default("false");
    }
}

impl Build for CombineSection {
    type Out = Combine;

    fn build(self, _: Pos, _: &mut Reader) -> Option<Combine> {
        Some(Combine {
            priority: i32::try_from(self.priority?.value).unwrap_or(0),
            group: self.group.map(|at| at.value),
            exclusive: self.exclusive?.value,
            stop: self.stop?.value,
        })
    }
}

section! {
    /// Which rules of a group apply.
    GroupSection = "group" {
        /// Of those whose conditions hold.
        pick: PickWord, Default("all");
        /// Bounds on what its rules give together.
        limits: Items<LimitSection, 0, LIMITS_MAX>, Default("[]");
    }
}

impl Build for GroupSection {
    type Out = (GroupPick, Vec<Limit>);

    fn build(self, _: Pos, _: &mut Reader) -> Option<Self::Out> {
        Some((self.pick?.value, self.limits?.value))
    }
}

pub(super) fn groups(named: Vec<(GroupId, (GroupPick, Vec<Limit>))>) -> Vec<Group> {
    named.into_iter().map(|(id, (pick, limits))| Group { id, pick, limits }).collect()
}

section! {
    /// A bound on what is given: on `units` or on `times`.
    LimitSection = "limit" {
        /// At most so many units (stamps, for a rule that gives stamps).
        units: Units, Without("`times` is stated");
        /// At most so often.
        times: Whole<1, 1_000_000_000>, Without("`units` is stated");
        /// In what: each `order` (or whatever else fires the rule) by itself, or a window as counters have.
        per: LimitPerText, Default("lifetime");
        /// What happens when more would be given.
        on_reach: OnReachWord, Default("clamp");
        /// Whose giving is bounded. Over all accounts together `per` is `lifetime` or a period of the calendar.
        of: LimitOverWord, Default("member");
    }
}

impl Build for LimitSection {
    type Out = Limit;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Limit> {
        let (counts, most) = match (&self.units, &self.times) {
            (Some(units), None) => (LimitOf::Units, units.value),
            (None, Some(times)) => (LimitOf::Times, times.value),
            (Some(_), Some(times)) => {
                r.fault_at(times, "a limit is on `units` or on `times`", Some("write two limits"));
                return None;
            }
            (None, None) => {
                r.lacks(pos, "bounds nothing", Some("state `units` or `times`"));
                return None;
            }
        };
        let (per, over) = (self.per?, self.of?);
        if counts == LimitOf::Times && per.value == LimitPer::Order {
            r.fault_at(&per, "a rule gives once per order anyway", Some("state a window, or bound `units`"));
        }
        let of_all = matches!(per.value, LimitPer::Window(CounterWindow::Lifetime | CounterWindow::Calendar(_)));
        if over.value != LimitOver::Member && !of_all {
            let hint = "state `lifetime`, `day`, `week`, `month`, `quarter` or `year`";
            r.fault_at(&per, "over all accounts together nothing is kept by such a window", Some(hint));
        }
        Some(Limit { counts, most, per: per.value, on_reach: self.on_reach?.value, over: over.value })
    }
}

/// `order`, or a counter's window.
pub(in crate::program) struct LimitPerText;

impl Value for LimitPerText {
    type Out = LimitPer;

    fn read(node: &Node, r: &mut Reader) -> Option<LimitPer> {
        if node.text() == Some("order") {
            return Some(LimitPer::Order);
        }
        WindowText::read(node, r).map(LimitPer::Window)
    }

    fn phrase() -> String {
        format!("`order`, {}", WindowText::phrase())
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

section! {
    /// What bounds all rules that give a unit. The bounds of a unit, of a rule, its group and its campaign all hold.
    UnitLimitsSection = "unit limits" {
        /// Bounds on what all rules give of it together.
        limits: Items<LimitSection, 0, LIMITS_MAX>, Default("[]");
        /// Rules give no more than fits under this; what is pending or held counts.
        balance_max: Units, Without("no bound");
        /// What all members together may have of it: rules give no more than fits under this. What is pending or held
        /// counts, and what comes in otherwise (by hand, by referral, with a return) counts against it and is refused to
        /// nobody. What is redeemed, expires or is taken back makes room again. An account counts from its first entry
        /// under a program that states this.
        outstanding_max: Units, Without("no bound");
        /// The same as an amount of money, by what the unit is worth in `pay_with`; rounded down to whole units, and in
        /// each currency.
        liability_max: Money, Without("no bound");
    }
}

/// Bounds on a unit, as written.
pub(in crate::program) struct UnitBounds {
    limits: Vec<Limit>,
    balance_max: Option<i64>,
    outstanding_max: Option<i64>,
    liability_max: Option<At<PerCurrency>>,
}

impl Build for UnitLimitsSection {
    type Out = UnitBounds;

    fn build(self, _: Pos, _: &mut Reader) -> Option<UnitBounds> {
        Some(UnitBounds {
            limits: self.limits?.value,
            balance_max: self.balance_max.map(|at| at.value),
            outstanding_max: self.outstanding_max.map(|at| at.value),
            liability_max: self.liability_max,
        })
    }
}

pub(super) fn unit_limits(
    named: Vec<(UnitId, UnitBounds)>,
    payments: &[PaymentTerms],
    r: &mut Reader,
) -> Vec<UnitLimits> {
    let of = |(unit, bounds): (UnitId, UnitBounds)| {
        let UnitBounds { limits, balance_max, outstanding_max, liability_max } = bounds;
        let worth = liability_max.and_then(|most| {
            let terms = payments.iter().find(|terms| terms.unit == unit);
            if terms.is_none() {
                let message = format!("nothing says what `{unit}` is worth");
                let hint = "name it in `pay_with`, or bound it by `outstanding_max`";
                let step = |name: &'static str| Step::Key(Cow::Borrowed(name));
                r.within(step("unit_limits"), |r| {
                    r.within(Step::Key(Cow::Owned(unit.to_string())), |r| {
                        r.within(step("liability_max"), |r| r.fault(most.pos, message, Some(hint)));
                    });
                });
            }
            terms?.units_worth(&most.value)
        });
        let outstanding_max = outstanding_max.into_iter().chain(worth).min();
        UnitLimits { unit, limits, balance_max, outstanding_max }
    };
    named.into_iter().map(of).collect()
}

section! {
    /// Rules under one schedule and shared bounds. A rule of it applies only while it runs.
    RuleCampaignSection = "campaign" {
        /// Names it in reports and explanations.
        id: Name<CampaignId>, Required;
        /// What people call it.
        title: Title, Required;
        /// From this instant on.
        starts_at: Moment, Without("since ever");
        /// Until before this instant.
        ends_at: Moment, Without("for ever");
        /// Inside at least one of these recurring hours.
        hours: Items<HoursSection, 1, HOURS_MAX>, Without("at any hour");
        /// On which days.
        days: DaysSection, Without("on any day");
        /// Bounds on what its rules give together.
        limits: Items<LimitSection, 0, LIMITS_MAX>, Default("[]");
        /// When it gives far more than was expected, it pauses until somebody has looked.
        brake: BrakeSection, Without("none");
    }
}

section! {
    /// Pauses a campaign that gives more than so many times its forecast. The rules of the campaign give up to that and
    /// then nothing; what other rules give stands. It stays paused, in later periods too, until the file says `resumed_at`.
    BrakeSection = "brake" {
        /// What its rules are expected to give to all members together, of all units, ...
        forecast: Units, Required;
        /// ... in each such period of the program's calendar.
        per: CalendarPeriodWord, Default("day");
        /// It pauses above this many times the forecast.
        times: Factor, Default("3");
        /// Somebody has looked: the campaign goes on, and what was given before does not count. State a new instant each
        /// time.
        resumed_at: Moment, Without("it has never been paused");
    }
}

impl Build for BrakeSection {
    type Out = Brake;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Brake> {
        let (forecast, times) = (self.forecast?.value, self.times?.value);
        let Some(most) = Brake::most(forecast, times) else {
            r.fault(pos, "so many times the forecast is more than can be counted", Some("state less"));
            return None;
        };
        Some(Brake { most, per: self.per?.value, resumed_at: self.resumed_at.map(|at| at.value) })
    }
}

impl Build for RuleCampaignSection {
    type Out = RuleCampaign;

    fn build(self, _: Pos, r: &mut Reader) -> Option<RuleCampaign> {
        check_span(self.starts_at.as_ref(), self.ends_at.as_ref(), r);
        Some(RuleCampaign {
            id: self.id?.value,
            title: self.title?.value,
            starts_at: self.starts_at.map(|at| at.value),
            ends_at: self.ends_at.map(|at| at.value),
            windows: self.hours.map(|at| at.value).unwrap_or_default(),
            days: self.days.map(|at| at.value).unwrap_or_default(),
            limits: self.limits?.value,
            brake: self.brake.map(|at| at.value),
        })
    }
}

/// Campaigns by id, which is how rules find theirs.
pub(super) fn rule_campaigns(mut campaigns: Vec<RuleCampaign>) -> Vec<RuleCampaign> {
    campaigns.sort_by(|a, b| a.id.cmp(&b.id));
    campaigns
}

/// The place of a campaign among all, by id.
pub(super) fn place_of(campaign: &CampaignId, r: &Reader) -> Option<usize> {
    let mut known = r.names.declared("campaigns");
    known.sort_unstable();
    known.iter().position(|name| *name == campaign.as_str())
}

/// A day of the calendar.
pub(in crate::program) struct DateText;

impl Value for DateText {
    type Out = Day;

    fn read(node: &Node, r: &mut Reader) -> Option<Day> {
        let text = r.scalar(node, "a date such as 2026-12-24")?;
        let parsed = text.parse::<Date>().ok().filter(|date| text.len() == 10 && (2000..=8999).contains(&date.year()));
        if parsed.is_none() {
            r.wrong(node, "a date such as 2026-12-24", None);
        }
        parsed.map(Day::of)
    }

    fn phrase() -> String {
        "a date such as `2026-12-24`".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "string", "format": "date" })
    }
}

/// A recurrence rule as RFC 5545 writes it.
pub(in crate::program) struct RecurrenceText;

impl Value for RecurrenceText {
    type Out = Recurrence;

    fn read(node: &Node, r: &mut Reader) -> Option<Recurrence> {
        let text = r.scalar(node, "a recurrence rule such as FREQ=MONTHLY;BYDAY=1FR")?;
        if Recurrence::LEN_MAX < text.len() {
            r.fault(node.pos, format!("is longer than {} bytes", Recurrence::LEN_MAX), None);
            return None;
        }
        match Recurrence::parse(text) {
            Ok(rule) => Some(rule),
            Err(why) => {
                r.fault(node.pos, why.to_string(), Some("a recurrence rule looks like FREQ=MONTHLY;BYDAY=1FR"));
                None
            }
        }
    }

    fn phrase() -> String {
        "a recurrence rule as RFC 5545 writes it, such as `FREQ=MONTHLY;BYDAY=1FR`, of the parts `FREQ` (`DAILY`, `WEEKLY`, \
         `MONTHLY`, `YEARLY`), `INTERVAL`, `DTSTART`, `UNTIL`, `BYDAY`, `BYMONTHDAY` and `BYMONTH`"
            .to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

section! {
    /// On which days of the calendar, by the clock on the wall of the order's store, else of the program.
    DaysSection = "days" {
        /// On these days. With `recurs`, one of the two is enough.
        on: Distinct<DateText, 1, DATES_MAX>, Without("any day");
        /// Not on these, whatever else holds.
        not_on: Distinct<DateText, 1, DATES_MAX>, Without("no exception");
        /// On days that recur.
        recurs: RecurrenceText, Without("any day");
    }
}

impl Build for DaysSection {
    type Out = Days;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Days> {
        let sorted = |at: Option<At<Vec<Day>>>| {
            let mut days = at.map(|at| at.value).unwrap_or_default();
            days.sort_unstable();
            days
        };
        let days = Days { on: sorted(self.on), not_on: sorted(self.not_on), recurs: self.recurs.map(|at| at.value) };
        if days.is_empty() {
            r.lacks(pos, "says nothing", Some("leave it out"));
            return None;
        }
        if !days.on.is_empty() && days.recurs.is_none() && days.on.iter().all(|day| days.not_on.contains(day)) {
            r.fault(pos, "holds on no day: `not_on` takes out all", Some("remove one of the two"));
            return None;
        }
        Some(days)
    }
}

section! {
    /// What another currency is worth in the program's first, from a day on. The last rate that began counts.
    RateSection = "rate" {
        /// From the beginning of this day, by the program's calendar.
        from: DateText, Required;
        /// Of what.
        currency: CurrencyCode, Required;
        /// How much of the program's first currency one of it is worth, in major units: `"0.86"`.
        rate: RateText, Required;
        /// Where fractions of a minor unit go.
        rounding: RoundingWord, Default("half_even");
    }
}

impl Build for RateSection {
    type Out = ExchangeRate;

    fn build(self, _: Pos, r: &mut Reader) -> Option<ExchangeRate> {
        let currency = self.currency?;
        if r.names.currencies.as_ref().and_then(|listed| listed.first()) == Some(&currency.value) {
            r.fault_at(&currency, "the program's first currency is worth itself", Some("remove the rate"));
        }
        let zone = r.names.zone.clone().unwrap_or(jiff::tz::TimeZone::UTC);
        Some(ExchangeRate {
            from: self.from?.value.begins(&zone),
            currency: currency.value,
            rate_scaled: self.rate?.value,
            rounding: self.rounding?.value,
        })
    }
}

/// A positive decimal with at most six decimals, in millionths.
pub(in crate::program) struct RateText;

impl Value for RateText {
    type Out = i64;

    fn read(node: &Node, r: &mut Reader) -> Option<i64> {
        let expected = "a rate such as \"0.86\"";
        let text = r.scalar(node, expected)?;
        match scaled(text, 6) {
            Ok(rate) if 0 < rate && rate <= 1_000_000 * ExchangeRate::SCALE => Some(rate),
            _ => {
                let message = format!("{} is no rate", quoted(text));
                r.fault(node.pos, message, Some("write a number above 0 with at most six decimals"));
                None
            }
        }
    }

    fn phrase() -> String {
        "a number above 0 and at most 1,000,000 with up to six decimals, in quotes or not, such as `\"0.86\"`"
            .to_owned()
    }

    fn schema() -> Json {
        json!({ "type": ["number", "string"] })
    }
}

/// Sums for limits that an account has to keep. Fewer than it has room for, so that a new version's find room.
const LIMITS_KEPT_MAX: usize = 400;

/// What limits and groups ask of the rules in them.
pub(super) fn check_rules(
    (rules, rules_at): (&[Rule], &[Pos]),
    groups: &[Group],
    campaigns: &[RuleCampaign],
    units: &[UnitLimits],
    r: &mut Reader,
) {
    let shared = groups.iter().map(|group| &group.limits).chain(campaigns.iter().map(|campaign| &campaign.limits));
    let shared = shared.chain(units.iter().map(|unit| &unit.limits));
    let mut kept: usize = shared.map(|limits| sums_of(limits, false)).sum();
    for (index, (rule, pos)) in rules.iter().zip(rules_at).enumerate() {
        let fits = kept <= LIMITS_KEPT_MAX;
        kept = kept.saturating_add(sums_of(&rule.limits, rule.cool_down.is_some()));
        let group = rule.combine.group.as_ref();
        let best = groups.iter().find(|known| Some(&known.id) == group && known.pick == GroupPick::Best);
        let gives_units = matches!(rule.then, Then::Earn(_) | Then::Multiply(_) | Then::Bonus(_));
        let mut fault = |message: String, hint: &str| {
            let rules = Step::Key(Cow::Borrowed("rules"));
            r.within(rules, |r| r.within(Step::Index(index), |r| r.fault(*pos, message, Some(hint))));
        };
        if let Some(group) = best.filter(|_| !gives_units) {
            let message = format!("group `{}` picks the rule that gives most units, and this one gives none", group.id);
            fault(message, "leave it out of the group, or let the group pick `first`");
        }
        let Combine { priority, exclusive, stop, .. } = rule.combine;
        let picked = groups.iter().any(|known| Some(&known.id) == group && known.pick != GroupPick::All);
        if rule.on != Trigger::Order && (priority != 0 || exclusive || stop || picked) {
            let message = "only rules on `order` are weighed against each other".to_owned();
            fault(message, "leave of `combine` only the `group`, for its limits, and let the group pick `all`");
        }
        if fits && LIMITS_KEPT_MAX < kept {
            let message =
                format!("with this rule, each account has to keep more than {LIMITS_KEPT_MAX} sums for limits");
            fault(message, "bound several rules together, by a group or a campaign");
        }
    }
}

/// How many sums limits need for each account: units and times, each once however many windows look at them.
fn sums_of(limits: &[Limit], pauses: bool) -> usize {
    let kept = |counts: LimitOf| {
        let of_account = |limit: &&Limit| limit.over == LimitOver::Member && limit.per != LimitPer::Order;
        limits.iter().filter(of_account).any(|limit| limit.counts == counts)
    };
    usize::from(kept(LimitOf::Units)) + usize::from(kept(LimitOf::Times) || pauses)
}
