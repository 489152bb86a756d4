//! What is counted, and how units live.

use super::*;

/// The units by name, in the order of the file. Rules are read later and fall back to these terms.
pub(in crate::program) struct UnitList;

type UnitsByName = ByName<Name<UnitId>, UnitSection, 1, UNITS_MAX>;

impl Value for UnitList {
    type Out = Vec<UnitTerms>;

    fn read(node: &Node, r: &mut Reader) -> Option<Vec<UnitTerms>> {
        let units = UnitsByName::read(node, r)?;
        let units = units.into_iter().map(|(unit, terms)| UnitTerms { unit, ..terms }).collect::<Vec<_>>();
        let money = units.iter().filter(|terms| terms.paid_out.is_some());
        r.names.paid_out = money.map(|terms| terms.unit.clone()).collect();
        r.names.lives = units.iter().map(|terms| (terms.unit.clone(), terms.life.clone())).collect();
        Some(units)
    }

    fn phrase() -> String {
        UnitsByName::phrase()
    }

    fn schema() -> Json {
        UnitsByName::schema()
    }

    fn sections(into: &mut Vec<SectionInfo>) {
        UnitsByName::sections(into);
    }
}

section! {
    /// How units of one kind live, and what may be owed of them.
    UnitSection = "unit" {
        /// When granted units become spendable, from the instant that earned them or from the event that they wait
        /// for; `none`: at once.
        activates_after: LengthOrNone, Default("none");
        /// When they cease to be, from activation; `none`: never.
        expires_after: LengthOrNone, Default("none");
        /// To which boundary of the program's calendar an expiry is moved, always forward.
        expiry_rounded_to: RoundUpToWord, Default("exact");
        /// Activation moves on to the first of these days, as it begins by the program's calendar.
        activates_on: Distinct<MonthDayText, 1, DAYS_MAX>, Without("on any day");
        /// Units that an order earns wait for this event of it, line by line: see RecordOrderEvent. What no order
        /// earns waits for nothing.
        activates_on_event: LabelText, Without("no event");
        /// From the order until before when the event must have happened, or what waits for it is taken back; `none`:
        /// it may happen at any time.
        event_within: LengthOrNone, Without("`60 days`");
        /// Units expire at the end of the first of these days after activation, by the program's calendar.
        expires_on: Distinct<MonthDayText, 1, DAYS_MAX>, Without("by `expires_after`");
        /// Days of `expires_on` that come sooner than this after activation are passed over.
        lives_at_least: Length, Without("no time");
        /// All units expire when nothing happens for so long, whatever their own expiry.
        expires_when_idle: IdleSection, Without("never");
        /// What happens when more units must be taken than there are.
        debt: DebtSection, Default("{}");
        /// That the unit is money, and partners are paid it out: see `partners` of a referral campaign. What comes back
        /// after it was paid is owed, and the next payout is so much less.
        paid_out: PaidOutSection, Without("it is no money");
    }
}

impl Build for UnitSection {
    /// The unit is the key that the section stands under, which [`UnitList`] fills in.
    type Out = UnitTerms;

    fn build(self, _: Pos, r: &mut Reader) -> Option<UnitTerms> {
        let expires_after = self.expires_after?;
        check_expiry(Some(&expires_after), self.expires_on.as_ref(), self.lives_at_least.as_ref(), r)?;
        let rounded = self.expiry_rounded_to?;
        if expires_after.value.is_none() && rounded.value != crate::domain::time::RoundUpTo::Exact {
            let hint = "state `expires_after`, or leave this out";
            r.fault_at(&rounded, "there is no expiry to round", Some(hint));
            return None;
        }
        if let (None, Some(within)) = (&self.activates_on_event, &self.event_within) {
            let hint = "state `activates_on_event`, or leave this out";
            r.lacks_at(within, "there is no event that it could be about", Some(hint));
            return None;
        }
        let within = self.event_within.map_or(Some(EVENT_WITHIN), |at| at.value);
        let life = LifeTerms {
            activates_after: self.activates_after?.value,
            expires_after: expires_after.value,
            expiry_rounded_to: rounded.value,
            activates_on: self.activates_on.map(|at| at.value).unwrap_or_default(),
            awaits: self.activates_on_event.map(|at| AwaitTerms { event: at.value, within }),
            expires_on: self.expires_on.map(|at| at.value).unwrap_or_default(),
            lives_at_least: self.lives_at_least.map(|at| at.value),
        };
        let idle = self.expires_when_idle.map(|at| at.value);
        let debt = self.debt?;
        if let Some(paid_out) = &self.paid_out {
            let plain = life == LifeTerms::default() && idle.is_none() && debt.value == DebtTerms::default();
            if !plain {
                let hint = Some("leave out the unit's other terms, or `paid_out`");
                r.fault_at(paid_out, "money that is paid out neither waits, expires nor is forgiven", hint);
            }
        }
        Some(UnitTerms {
            unit: UnitId::points(),
            life,
            idle,
            debt: debt.value,
            paid_out: self.paid_out.map(|at| at.value),
        })
    }
}

section! {
    /// What a unit is worth, and from which amount on it is paid out.
    PaidOutSection = "paid_out" {
        /// One unit is one minor unit of this currency, which is the program's first: commission is a part of amounts in
        /// that.
        currency: CurrencyCode, Required;
        /// Units that a payout has at least.
        at_least: Units, Default("1");
    }
}

impl Build for PaidOutSection {
    type Out = PayoutTerms;

    fn build(self, _: Pos, r: &mut Reader) -> Option<PayoutTerms> {
        let currency = self.currency?;
        let first = r.names.currencies.iter().flatten().next().copied();
        if first.is_some_and(|first| first != currency.value) {
            let message = format!("{} is not the program's first currency", currency.value);
            r.fault_at(&currency, message, Some("commission is a part of amounts in that"));
        }
        Some(PayoutTerms { currency: currency.value, least: self.at_least?.value })
    }
}

const EVENT_WITHIN: Period = Period::Days(60);

/// Days of one list of days.
const DAYS_MAX: usize = 12;

/// An expiry is either counted from activation or set by the calendar.
fn check_expiry(
    after: Option<&At<Option<Period>>>,
    on: Option<&At<Vec<MonthDay>>>,
    at_least: Option<&At<Period>>,
    r: &mut Reader,
) -> Option<()> {
    if let (Some(after), Some(on)) = (after, on)
        && after.value.is_some()
    {
        let message = "units cannot expire both some time after activation and on fixed days";
        r.fault_at(on, message, Some("leave out `expires_after` or `expires_on`"));
        return None;
    }
    if let (None, Some(at_least)) = (on, at_least) {
        let hint = "state `expires_on`, or leave this out";
        r.lacks_at(at_least, "there is no `expires_on` whose days it could pass over", Some(hint));
        return None;
    }
    Some(())
}

section! {
    /// Where these terms differ from those of the unit. What is not stated stays as the unit has it.
    LifeSection = "life" {
        /// When granted units become spendable, from the instant that earned them or from the event that they wait
        /// for; `none`: at once.
        activates_after: LengthOrNone, Without("as the unit");
        /// When they cease to be, from activation; `none`: never. Replaces the unit's `expires_on`.
        expires_after: LengthOrNone, Without("as the unit");
        /// To which boundary of the program's calendar an expiry is moved, always forward.
        expiry_rounded_to: RoundUpToWord, Without("as the unit");
        /// Activation moves on to the first of these days, as it begins by the program's calendar.
        activates_on: Distinct<MonthDayText, 1, DAYS_MAX>, Without("as the unit");
        /// Units that an order earns wait for this event of it; `none`: for none.
        activates_on_event: LabelText, Without("as the unit");
        /// From the order until before when the event must have happened; `none`: at any time.
        event_within: LengthOrNone, Without("as the unit, else `60 days`");
        /// Units expire at the end of the first of these days after activation. Replaces the unit's `expires_after`.
        expires_on: Distinct<MonthDayText, 1, DAYS_MAX>, Without("as the unit");
        /// Days of `expires_on` that come sooner than this after activation are passed over.
        lives_at_least: Length, Without("as the unit");
    }
}

impl Build for LifeSection {
    type Out = LifeSection;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<LifeSection> {
        let none = self.activates_after.is_none()
            && self.expires_after.is_none()
            && self.expiry_rounded_to.is_none()
            && self.activates_on.is_none()
            && self.activates_on_event.is_none()
            && self.event_within.is_none()
            && self.expires_on.is_none()
            && self.lives_at_least.is_none();
        if none {
            r.lacks(pos, "states nothing of its own", Some("leave it out"));
            return None;
        }
        check_expiry(self.expires_after.as_ref(), self.expires_on.as_ref(), None, r)?;
        Some(self)
    }
}

/// The unit's terms with what a rule states of its own.
pub(super) fn life_of(unit: &UnitId, stated: Option<At<LifeSection>>, r: &Reader) -> Option<LifeTerms> {
    Some(stated?.value.terms(unit, r))
}

impl LifeSection {
    /// The unit's terms with what is stated here.
    pub(super) fn terms(self, unit: &UnitId, r: &Reader) -> LifeTerms {
        let base = r.names.lives.get(unit).cloned().unwrap_or_default();
        let (base_on, base_after) = match (&self.expires_after, &self.expires_on) {
            (Some(_), _) => (Vec::new(), base.expires_after),
            (None, Some(_)) => (base.expires_on, None),
            (None, None) => (base.expires_on, base.expires_after),
        };
        let base_within = base.awaits.as_ref().map_or(Some(EVENT_WITHIN), |awaits| awaits.within);
        let within = self.event_within.map_or(base_within, |at| at.value);
        let event = match self.activates_on_event {
            Some(at) if at.value.as_str() == "none" => None,
            Some(at) => Some(at.value),
            None => base.awaits.map(|awaits| awaits.event),
        };
        LifeTerms {
            activates_after: self.activates_after.map_or(base.activates_after, |at| at.value),
            expires_after: self.expires_after.map_or(base_after, |at| at.value),
            expiry_rounded_to: self.expiry_rounded_to.map_or(base.expiry_rounded_to, |at| at.value),
            activates_on: self.activates_on.map_or(base.activates_on, |at| at.value),
            awaits: event.map(|event| AwaitTerms { event, within }),
            expires_on: self.expires_on.map_or(base_on, |at| at.value),
            lives_at_least: self.lives_at_least.map_or(base.lives_at_least, |at| Some(at.value)),
        }
    }
}

section! {
    /// When all units of an account expire because nothing happened. The time runs anew with each activity that
    /// counts, and with any once nothing is left.
    IdleSection = "expires when idle" {
        /// How long nothing may happen.
        after: Length, Required;
        /// To which boundary of the program's calendar the expiry is moved, always forward.
        rounded_to: RoundUpToWord, Default("exact");
        /// What counts as something happening.
        reset_by: Distinct<ActivityWord, 1, 5>, Without("all of them");
    }
}

impl Build for IdleSection {
    type Out = IdleTerms;

    fn build(self, _: Pos, _: &mut Reader) -> Option<IdleTerms> {
        Some(IdleTerms {
            after: self.after?.value,
            rounded_to: self.rounded_to?.value,
            reset_by: self.reset_by.map_or_else(|| Activity::ALL.to_vec(), |at| at.value),
        })
    }
}

section! {
    /// What happens when more units must be taken than there are. What is owed is repaid from the next units that
    /// become spendable.
    DebtSection = "debt" {
        /// When goods come back whose units have been spent.
        on_return: OverdrawWord, Without("as `shortfall` of the `returns` says");
        /// When the reward of a referral is called back.
        on_clawback: OverdrawUnrefusedWord, Without("as `shortfall` of the `returns` says");
        /// When somebody debits by hand.
        on_adjust: OverdrawWord, Default("refuse");
        /// When an order has been paid on the strength of units that are gone.
        on_paid_order: OverdrawUnrefusedWord, Default("allow");
        /// The most that may be owed. Beyond it a debit by hand is refused; anything else is forgiven.
        floor: Units, Without("any number");
    }
}

impl Build for DebtSection {
    type Out = DebtTerms;

    fn build(self, _: Pos, _: &mut Reader) -> Option<DebtTerms> {
        Some(DebtTerms {
            on_return: self.on_return.map(|at| at.value),
            on_clawback: self.on_clawback.map(|at| at.value),
            on_adjust: self.on_adjust?.value,
            on_paid_order: self.on_paid_order?.value,
            floor: self.floor.map(|at| at.value),
        })
    }
}

/// The unit stated, else the program's first.
pub(super) fn unit_of(stated: Option<At<UnitId>>, r: &Reader) -> Option<UnitId> {
    stated.map(|at| at.value).or_else(|| r.names.units.first().cloned())
}
