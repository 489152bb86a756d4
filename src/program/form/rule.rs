//! Rules: on what they act, when they apply, and what follows.

use super::event::AskedEventSection;
use super::member::{MemberSection, texts};
use super::tier::{GoalNames, LevelsOf, levels_of};
use super::words::GrantToWord;
use super::*;
use crate::domain::predicate::{Field, Needs, Predicate, Text};
use crate::domain::program::{ForEach, Limit, LimitOf, LimitOver, LimitPer, OnReach, QuantityBounds};
use crate::domain::time::CalendarPeriod;
use crate::program::LIMITS_MAX;
use crate::program::cel::Expression;
use crate::program::value::OwnCurrency;

section! {
    /// One rule: on what it acts, when it applies, and what follows.
    RuleSection = "rule" {
        /// Names the rule in the ledger, in reports and in explanations.
        id: Name<RuleId>, Required;
        /// Which kind of loyalty it serves; reports are by kind.
        kind: KindWord, Required;
        /// What it acts on.
        on: TriggerWord, Required;
        /// What must hold; everything stated must. On `enrolment` only `starts_at`, `ends_at`, `member` (but not how
        /// long ago they joined) and an `expression` that asks for nothing of an order can be stated.
        when: WhenSection, Default("{}");
        /// The lines it acts on. On `order`, the rule applies only when one of them earns on more than nothing.
        lines: LinesSection, Default("{}");
        /// What follows. On anything but `order`, neither `earn` nor `multiply`.
        then: ThenChoice, Required;
        /// On `event`: which types.
        events: Distinct<EventName, 1, EVENTS_MAX>, Without("none");
        /// On `birthday` and `anniversary`: how it comes.
        occasion: OccasionSection, Without("no notice; what follows is good for as long as such things are");
        /// On `inactivity`: how long there was neither an order nor an event. Only who crosses it after the rule was
        /// introduced counts, once for each absence.
        inactive_for: Length, Without("none");
        /// How it goes together with other rules.
        combine: CombineSection, Default("{}");
        /// Bounds on what it gives; all of them hold.
        limits: Items<LimitSection, 0, LIMITS_MAX>, Default("[]");
        /// After it gave something, it gives nothing more to the same account for so long.
        cool_down: Length, Without("no pause");
        /// Which of the `campaigns` it belongs to.
        campaign: RuleCampaignName, Without("none");
        /// On `tier`: which levels, by ladder. A rule fires for each level that is reached, passed levels included, and
        /// once for each member and level, whatever runs out and is regained. Where returns took the level away, and with it
        /// what the rule gave, it fires again when the level is reached again.
        tiers: LevelsOf, Without("all levels of all ladders");
        /// On `goal`: which goals.
        goals: GoalNames, Without("all goals");
        /// Whose the units are that `earn` or `bonus` grants. What `multiply` adds goes where the base goes.
        to: GrantToWord, Default("account");
    }
}

impl Build for RuleSection {
    type Out = Rule;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Rule> {
        if let (Some(on), Some(when)) = (&self.on, &self.when)
            && on.value == Trigger::Enrolment
        {
            let stated = &when.value.conditions;
            let Conditions { starts_at, ends_at, .. } = *stated;
            let predicate = stated.predicate.clone();
            if *stated != (Conditions { starts_at, ends_at, predicate, ..Conditions::default() }) {
                let message = "who enrols has no order and no past: only `starts_at`, `ends_at`, `member` and `expression` can hold";
                r.fault_at(when, message, Some("remove the other conditions"));
            }
            for (field, pos) in when.value.uses.iter().filter(|(field, _)| field.needs() == Needs::Order) {
                let message = format!("who enrols has no order, hence no `{field}`");
                r.fault(*pos, message, Some("ask for something of the member or the time"));
            }
        }
        if let (Some(on), Some(lines)) = (&self.on, &self.lines)
            && on.value == Trigger::Enrolment
            && lines.value != Selector::default()
        {
            r.fault_at(lines, "who enrols has no order, hence no lines", Some("remove `lines`"));
        }
        if let (Some(on), Some(then)) = (&self.on, &self.then)
            && on.value == Trigger::Enrolment
            && matches!(then.value, Then::Earn(_) | Then::Multiply(_))
        {
            r.fault_at(then, "who enrols has spent nothing yet: there is nothing to `earn` or to `multiply`", None);
        }
        self.check_status(r);
        recipient::check(&self, r);
        event::check(&self, r);
        let occasion = occasion::check(&self, r);
        let events = self.events.map(|at| at.value).unwrap_or_default();
        let (id, kind, on): (RuleId, Kind, Trigger) = (self.id?.value, self.kind?.value, self.on?.value);
        let conditions = Conditions { lines: self.lines?.value, ..self.when?.value.conditions };
        let (tiers, goals) = (levels_of(self.tiers), self.goals.map(|at| at.value).unwrap_or_default());
        let then = self.then?.value;
        let combine = self.combine?;
        let gives_units = matches!(then, Then::Earn(_) | Then::Multiply(_) | Then::Bonus(_));
        if combine.value.exclusive && combine.value.group.is_none() && !gives_units {
            let hint = "name a `group` in which it applies alone";
            r.fault_at(&combine, "it gives no unit of which it could be the only rule", Some(hint));
        }
        let mut limits = self.limits?.value;
        if let Then::Bonus(Bonus { for_each: ForEach::Visit, .. }) = &then {
            let per = LimitPer::Window(CounterWindow::Calendar(CalendarPeriod::Day));
            let (counts, on_reach, over) = (LimitOf::Times, OnReach::Refuse, LimitOver::Member);
            limits.push(Limit { counts, most: 1, per, on_reach, over });
        }
        let to = self.to?.value;
        let campaign = self.campaign.and_then(|at| combine::place_of(&at.value, r));
        let cool_down = self.cool_down.map(|at| at.value);
        Some(Rule {
            id,
            kind,
            on,
            conditions,
            then,
            combine: combine.value,
            limits,
            cool_down,
            campaign,
            events,
            occasion,
            tiers,
            goals,
            to,
        })
    }
}

impl RuleSection {
    /// What rules on tiers and goals can say, and what only they can.
    fn check_status(&self, r: &mut Reader) {
        let Some(on) = &self.on else { return };
        if let Some(tiers) = self.tiers.as_ref().filter(|_| on.value != Trigger::Tier) {
            r.fault_at(
                tiers,
                "only a rule on `tier` acts on levels",
                Some("to ask for a level write `when: {tiers: ...}`"),
            );
        }
        if let Some(goals) = self.goals.as_ref().filter(|_| on.value != Trigger::Goal) {
            r.fault_at(goals, "only a rule on `goal` acts on goals", Some("remove it"));
        }
        if !matches!(on.value, Trigger::Tier | Trigger::Goal) {
            return;
        }
        if let Some(when) = &self.when {
            let stated = &when.value.conditions;
            if !stated.channels.is_empty() || !stated.stores.is_empty() || stated.spend_min.is_some() {
                let message = "a tier or a goal has no order: no `channels`, `stores` or `spend_at_least` can hold";
                r.fault_at(when, message, Some("remove them"));
            }
            for (field, pos) in when.value.uses.iter().filter(|(field, _)| field.needs() == Needs::Order) {
                let message = format!("a tier or a goal has no order, hence no `{field}`");
                r.fault(*pos, message, Some("ask for something of the member or the time"));
            }
        }
        if let Some(lines) = self.lines.as_ref().filter(|lines| lines.value != Selector::default()) {
            r.fault_at(lines, "a tier or a goal has no order, hence no lines", Some("remove `lines`"));
        }
        if let Some(then) = self.then.as_ref().filter(|then| matches!(then.value, Then::Earn(_) | Then::Multiply(_))) {
            r.fault_at(then, "a tier or a goal has spent nothing: there is nothing to `earn` or to `multiply`", None);
        }
    }
}

section! {
    /// What must hold before a rule applies. Everything stated must hold.
    WhenSection = "when" {
        /// From this instant on.
        starts_at: Moment, Without("since ever");
        /// Until before this instant.
        ends_at: Moment, Without("for ever");
        /// Inside at least one of these recurring hours.
        hours: Items<HoursSection, 1, HOURS_MAX>, Without("at any hour");
        /// In one of these sales channels.
        channels: Distinct<LabelText, 1, SELECTED_MAX>, Without("in any channel");
        /// In one of these stores.
        stores: Distinct<StoreName, 1, SELECTED_MAX>, Without("in any store or none");
        /// With at least this amount that earns; equal is enough.
        spend_at_least: Money, Without("with any amount");
        /// Over which lines `spend_at_least` sums.
        spend_of: SpendOfWord, Without("`order`");
        /// With at most this amount that earns, inclusive; over the same lines.
        spend_at_most: Money, Without("with any amount");
        /// With at least so many whole items on lines that earn; equal is enough.
        quantity_at_least: Whole<1, 1_000_000_000>, Without("with any number");
        /// With at most so many whole items on lines that earn, inclusive.
        quantity_at_most: Whole<1, 1_000_000_000>, Without("with any number");
        /// Over which lines the quantities sum.
        quantity_of: SpendOfWord, Without("`order`");
        /// On which days.
        days: DaysSection, Without("on any day");
        /// Which of the member's orders it is.
        order_number: OrderNumberSection, Without("any order");
        /// What counters must say, by name.
        counters: ByName<CounterName, CountSection, 1, COUNTERS_MAX>, Without("anything");
        /// In one of these currencies.
        currencies: Distinct<OwnCurrency, 1, CURRENCIES_MAX>, Without("in any currency of the program");
        /// With at least one of these coupons of others.
        coupons: Distinct<LabelText, 1, ASKED_MAX>, Without("with any coupons or none");
        /// Paid, at least in part, by one of these methods.
        payment_methods: Distinct<LabelText, 1, ASKED_MAX>, Without("however it is paid");
        /// Of one of these kinds.
        order_kinds: Distinct<OrderKindWord, 1, 5>, Without("of any kind that earns");
        /// What is known of who acts.
        member: MemberSection, Without("anybody");
        /// What nothing else here can say.
        expression: Expression, Without("anything");
        /// On each ladder named, the member has one of these levels.
        tiers: LevelsOf, Without("whatever the level");
        /// With something of at least one of these sellers.
        sellers: Distinct<LabelText, 1, ASKED_MAX>, Without("of any seller or none");
        /// On `event`: what is asked of the event.
        event: AskedEventSection, Without("any");
    }
}

const ASKED_MAX: usize = Predicate::LISTED_MAX;

/// What must hold, and where an expression names what it looks at.
pub(in crate::program) struct When {
    pub(super) conditions: Conditions,
    pub(super) uses: Vec<(Field, Pos)>,
}

/// What the order has at least one of.
fn lists<T: std::fmt::Display>(list: Field, asked: Option<At<Vec<T>>>) -> Option<Predicate> {
    asked.map(|at| Predicate::ListsOneOf { list, of: texts(&at.value), wanted: true })
}

/// An amount means something else in each currency.
fn warn_of_currencies(uses: &[(Field, Pos)], r: &mut Reader) {
    let several = r.names.currencies.as_ref().is_some_and(|currencies| 1 < currencies.len());
    let told_apart = uses.iter().any(|(field, _)| *field == Field::OrderCurrency);
    if !several || told_apart {
        return;
    }
    for (field, pos) in uses.iter().filter(|(field, _)| field.is_money()) {
        let message = format!("`{field}` counts minor units of the order's currency, and the program lists several");
        let hint = "state `currencies`, compare order.currency too, or use `spend_at_least`";
        r.within(Step::Key(Cow::Borrowed("expression")), |r| r.warn(*pos, message, Some(hint)));
    }
}

impl Build for WhenSection {
    type Out = When;

    fn build(self, _: Pos, r: &mut Reader) -> Option<When> {
        check_span(self.starts_at.as_ref(), self.ends_at.as_ref(), r);
        if let (None, None, Some(of)) = (&self.spend_at_least, &self.spend_at_most, &self.spend_of) {
            r.lacks_at(of, "there is no `spend_at_least` that it could be about", Some("remove it"));
        }
        if let (Some(least), Some(most)) = (&self.spend_at_least, &self.spend_at_most) {
            let crossed =
                least.value.0.iter().any(|(currency, least)| most.value.get(*currency).is_some_and(|m| m < *least));
            if crossed {
                r.fault_at(
                    most,
                    "no order is at once that dear and that cheap",
                    Some("`spend_at_most` must not be below `spend_at_least`"),
                );
            }
        }
        if let (None, None, Some(of)) = (&self.quantity_at_least, &self.quantity_at_most, &self.quantity_of) {
            r.lacks_at(of, "there is no `quantity_at_least` that it could be about", Some("remove it"));
        }
        if let (Some(least), Some(most)) = (&self.quantity_at_least, &self.quantity_at_most)
            && most.value < least.value
        {
            let hint = "`quantity_at_most` must not be below `quantity_at_least`";
            r.fault_at(most, "no order has at once that many and that few", Some(hint));
        }
        let at_least = self.quantity_at_least.map(|at| at.value);
        let at_most = self.quantity_at_most.map(|at| at.value);
        let quantity_of = self.quantity_of.map_or(SpendOf::default(), |at| at.value);
        let bounds = QuantityBounds { at_least, at_most, of: quantity_of };
        let quantity = (at_least.is_some() || at_most.is_some()).then_some(bounds);
        let of = self.spend_of.map_or(SpendOf::default(), |at| at.value);
        let counters = self.counters.map(|at| at.value).unwrap_or_default().into_iter();
        let counters: Vec<CounterCondition> = counters
            .map(|(counter, count)| {
                let name = Step::Key(Cow::Owned(counter.to_string()));
                r.within(Step::Key(Cow::Borrowed("counters")), |r| r.within(name, |r| count.of(counter, r)))
            })
            .collect();
        let stated = [
            (Field::OrderCurrency, self.currencies.as_ref().map(|at| at.pos)),
            (Field::OrderKind, self.order_kinds.as_ref().map(|at| at.pos)),
            (Field::OrderCoupons, self.coupons.as_ref().map(|at| at.pos)),
            (Field::OrderPaymentMethods, self.payment_methods.as_ref().map(|at| at.pos)),
            (Field::OrderSellers, self.sellers.as_ref().map(|at| at.pos)),
        ];
        let mut uses: Vec<(Field, Pos)> = stated.into_iter().filter_map(|(field, pos)| Some((field, pos?))).collect();
        let by_currency = self.currencies.map(|at| Predicate::TextOneOf {
            value: Text::Field(Field::OrderCurrency),
            of: texts(&at.value),
            wanted: true,
        });
        let by_kind = self.order_kinds.map(|at| Predicate::TextOneOf {
            value: Text::Field(Field::OrderKind),
            of: at.value.iter().map(|kind| kind.name().into()).collect(),
            wanted: true,
        });
        let stated = self.expression.map(|at| {
            uses.extend(at.value.uses);
            at.value.predicate
        });
        warn_of_currencies(&uses, r);
        let coupons = lists(Field::OrderCoupons, self.coupons);
        let methods = lists(Field::OrderPaymentMethods, self.payment_methods);
        let sellers = lists(Field::OrderSellers, self.sellers);
        let of_event = self.event.map(|at| {
            uses.extend(at.value.fields().map(|field| (field, at.pos)));
            at.value.all
        });
        let member = self.member.map(|at| at.value).unwrap_or_default();
        let asked = [by_currency, by_kind, coupons, methods, sellers]
            .into_iter()
            .flatten()
            .chain(member.all)
            .chain(of_event.into_iter().flatten())
            .chain(stated);
        let asked: Vec<Predicate> = asked.collect();
        let predicate = (!asked.is_empty()).then(|| Predicate::all(asked));
        let conditions = Conditions {
            starts_at: self.starts_at.map(|at| at.value),
            ends_at: self.ends_at.map(|at| at.value),
            windows: self.hours.map(|at| at.value).unwrap_or_default(),
            channels: self.channels.map(|at| at.value).unwrap_or_default(),
            stores: self.stores.map(|at| at.value).unwrap_or_default(),
            spend_min: self.spend_at_least.map(|at| SpendMin { amount: at.value, of }),
            lines: Selector::default(),
            order_number: self.order_number.map(|at| at.value),
            counters,
            predicate,
            joined_at_least: member.joined_at_least,
            joined_at_most: member.joined_at_most,
            spend_max: self.spend_at_most.map(|at| SpendMin { amount: at.value, of }),
            quantity,
            days: self.days.map(|at| at.value).unwrap_or_default(),
            tiers: levels_of(self.tiers),
        };
        Some(When { conditions, uses })
    }
}

pub(super) fn check_span(starts_at: Option<&At<Instant>>, ends_at: Option<&At<Instant>>, r: &mut Reader) {
    if let (Some(starts_at), Some(ends_at)) = (starts_at, ends_at)
        && ends_at.value <= starts_at.value
    {
        r.fault_at(ends_at, "ends before it starts", Some("`ends_at` must be later than `starts_at`"));
    }
}

section! {
    /// Recurring hours of local time. Until before `from`: past midnight, and belonging to the day they began on.
    HoursSection = "hours" {
        /// The days on which the hours begin.
        days: Distinct<DayWord, 1, 7>, Without("every day");
        /// The first minute inside.
        from: Clock<0, 1_439>, Required;
        /// The first minute outside.
        until: Clock<1, 1_440>, Required;
        /// Whose clock on the wall.
        zone: WindowZoneWord, Default("store");
    }
}

impl Build for HoursSection {
    type Out = LocalWindow;

    fn build(self, _: Pos, r: &mut Reader) -> Option<LocalWindow> {
        let days = match self.days {
            None => 0b111_1111,
            Some(days) => days.value.iter().fold(0, |bits: u8, day| bits | (1 << day)),
        };
        let (from, until) = (self.from?, self.until?);
        if from.value == until.value {
            let hint = "for whole days write from \"00:00\" until \"24:00\"";
            r.fault_at(&until, "the hours end as they begin", Some(hint));
            return None;
        }
        Some(LocalWindow { days, from_minute: from.value, until_minute: until.value, zone: self.zone?.value })
    }
}

choice! {
    /// What follows when a rule applies: exactly one of these.
    ThenChoice = "then" -> Then {
        /// Units for each so much of what earns.
        earn: EarnSection => Then::Earn;
        /// A multiple of what `earn` rules give on the same lines.
        multiply: MultiplySection => Then::Multiply;
        /// A fixed number of units.
        bonus: BonusSection => Then::Bonus;
        /// Stamps on a card.
        stamps: StampsSection => Then::Stamps;
        /// A voucher for a reward.
        voucher: VoucherSection => Then::Voucher;
        /// Tags for the account.
        tag: TagSection => Then::Tag;
        /// A ticket in a draw.
        draw: DrawTicketSection => Then::Draw;
    }
}

section! {
    /// `units` for each `per` of the amount that earns. Several such rules add up.
    EarnSection = "earn" {
        /// How many.
        units: Units, Required;
        /// Of what.
        unit: UnitName, Without("the program's first unit");
        /// For each so much. At most 100 units for each minor unit of money.
        per: Money, Required;
        /// Where fractions go.
        rounding: RoundingWord, Default("floor");
        /// What is rounded.
        round_per: RoundPerWord, Default("order");
        /// Terms that differ from the unit's.
        life: LifeSection, Without("as the unit");
    }
}

/// Keeps what the largest order earns inside 64 bits, whatever multiplies it.
const UNITS_PER_MINOR_MAX: i64 = 100;

impl Build for EarnSection {
    type Out = Earn;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Earn> {
        if let (Some(units), Some(per)) = (&self.units, &self.per) {
            let steep = per.value.0.iter().find(|(_, minor)| minor.saturating_mul(UNITS_PER_MINOR_MAX) < units.value);
            if let Some((currency, _)) = steep {
                let message = format!("gives more than {UNITS_PER_MINOR_MAX} units for a minor unit of {currency}");
                r.fault_at(units, message, Some("amounts are in major units: 1.00 is one"));
                return None;
            }
        }
        let unit = unit_of(self.unit, r)?;
        let life = life_of(&unit, self.life, r);
        Some(Earn {
            unit,
            units: self.units?.value,
            per: self.per?.value,
            rounding: self.rounding?.value,
            round_per: self.round_per?.value,
            life,
        })
    }
}

section! {
    /// Adds to what `earn` rules of the unit give on the lines selected, so that the sum is `by` times as much.
    MultiplySection = "multiply" {
        /// Which units.
        unit: UnitName, Without("the program's first unit");
        /// The factor.
        by: Factor, Required;
        /// Where fractions of what is added go.
        rounding: RoundingWord, Default("floor");
    }
}

impl Build for MultiplySection {
    type Out = Multiply;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Multiply> {
        let unit = unit_of(self.unit, r)?;
        Some(Multiply { unit, factor_permille: self.by?.value, rounding: self.rounding?.value })
    }
}

section! {
    /// A fixed number of units.
    BonusSection = "bonus" {
        /// How many.
        units: Units, Required;
        /// Of what.
        unit: UnitName, Without("the program's first unit");
        /// Terms that differ from the unit's.
        life: LifeSection, Without("as the unit");
        /// On `event`: so many for each so much of the event's value; a part of that gives nothing.
        for_each_value: Whole<1, 1_000_000_000_000>, Without("whatever the value");
        /// For each of what; outside orders, once.
        for_each: ForEachWord, Default("order");
        /// At most so many in all on one order.
        units_max: Units, Without("as many as there are");
        /// Whether multipliers of the unit act on it as on what `earn` gives.
        multiplied: Flag, Default("false");
        /// Whether it is given only where `earn` rules of its unit give something on the lines selected.
        needs_base: Flag, Default("false");
    }
}

impl Build for BonusSection {
    type Out = Bonus;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Bonus> {
        let unit = unit_of(self.unit, r)?;
        let life = life_of(&unit, self.life, r);
        let for_each_value = self.for_each_value.map(|at| at.value);
        Some(Bonus {
            unit,
            units: self.units?.value,
            life,
            for_each: self.for_each?.value,
            units_max: self.units_max.map(|at| at.value),
            multiplied: self.multiplied?.value,
            needs_base: self.needs_base?.value,
            for_each_value,
        })
    }
}
