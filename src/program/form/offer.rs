//! Units as payment, and rewards.

use super::*;

section! {
    /// Units as payment: so many are worth so much.
    PaymentSection = "pay with" {
        /// So many units ...
        units: Units, Required;
        /// ... are worth so much.
        worth: Money, Required;
        /// Only multiples of this may be used. A multiple or a divisor of `units`, and worth whole minor units.
        step: Units, Without("the same as `units`");
        /// The fewest that may be used; a multiple of the step.
        units_min: Units, Without("one step");
        /// The largest share of what the selected lines cost that may be paid so.
        share_max: Share, Default("100%");
        /// What may be paid so.
        lines: LinesSection, Default("{}");
        /// How the part paid so is booked.
        settles_as: SettlesAsWord, Default("discount");
    }
}

impl Build for PaymentSection {
    /// The unit is the key that the section stands under, which [`FileSection`] fills in.
    type Out = PaymentTerms;

    fn build(self, _: Pos, r: &mut Reader) -> Option<PaymentTerms> {
        let (units, worth) = (self.units, self.worth);
        let units = units?.value;
        if let Some(step) = &self.step {
            check_step(units, step, worth.as_ref().map(|at| &at.value), r)?;
        }
        let step = self.step.map_or(units, |at| at.value);
        if let Some(units_min) = &self.units_min
            && units_min.value % step != 0
        {
            let next = (units_min.value / step + 1) * step;
            let message = format!("{} is no multiple of the step, {step}", units_min.value);
            r.fault_at(units_min, message, Some(&format!("the fewest that can be used then are {next}")));
        }
        Some(PaymentTerms {
            unit: UnitId::points(),
            units,
            worth: worth?.value,
            step,
            units_min: self.units_min.map_or(step, |at| at.value),
            share_bps_max: self.share_max?.value,
            lines: self.lines?.value,
            settles_as: self.settles_as?.value,
        })
    }
}

pub(super) fn check_step(units: i64, step: &At<i64>, worth: Option<&PerCurrency>, r: &mut Reader) -> Option<()> {
    if step.value % units != 0 && units % step.value != 0 {
        let message = format!("the step {} is neither a multiple nor a divisor of {units}", step.value);
        r.fault_at(step, message, None);
        return None;
    }
    let exact = |minor: i64| i128::from(step.value) * i128::from(minor) % i128::from(units) == 0;
    let broken = worth.and_then(|worth| worth.0.iter().find(|(_, minor)| !exact(**minor)));
    if let Some((currency, _)) = broken {
        let message = format!("a step of {} is worth a fraction of a minor unit of {currency}", step.value);
        r.fault_at(step, message, Some("choose a larger step, or another worth"));
        return None;
    }
    Some(())
}

section! {
    /// Something on offer at checkout.
    RewardSection = "reward" {
        /// Names the reward in orders and in the ledger.
        id: Name<RewardId>, Required;
        /// What people call it.
        title: Title, Required;
        /// What it gives.
        gives: GivesChoice, Required;
        /// What it costs.
        price: PriceSection, Without("free");
        /// The least that the selected lines must cost, before anything that this program takes off; equal is enough.
        spend_at_least: Money, Without("any amount");
        /// The lines it acts on.
        lines: LinesSection, Default("{}");
        /// From this instant on.
        starts_at: Moment, Without("since ever");
        /// Until before this instant.
        ends_at: Moment, Without("for ever");
    }
}

impl Build for RewardSection {
    type Out = Reward;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Reward> {
        check_span(self.starts_at.as_ref(), self.ends_at.as_ref(), r);
        Some(Reward {
            id: self.id?.value,
            title: self.title?.value,
            kind: self.gives?.value,
            price: self.price.map(|at| at.value),
            spend_min: self.spend_at_least.map(|at| at.value),
            lines: self.lines?.value,
            starts_at: self.starts_at.map(|at| at.value),
            ends_at: self.ends_at.map(|at| at.value),
        })
    }
}

choice! {
    /// What a reward gives: exactly one of these.
    GivesChoice = "gives" -> RewardKind {
        /// So much off the selected lines, never more than they cost.
        amount_off: Money => RewardKind::AmountOff;
    }
}

section! {
    /// What a reward costs.
    PriceSection = "price" {
        /// How many.
        units: Units, Required;
        /// Of what.
        unit: UnitName, Without("the program's first unit");
    }
}

impl Build for PriceSection {
    type Out = (UnitId, i64);

    fn build(self, _: Pos, r: &mut Reader) -> Option<(UnitId, i64)> {
        Some((unit_of(self.unit, r)?, self.units?.value))
    }
}
