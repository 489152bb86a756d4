//! What may be credited and debited by hand.

use serde_json::json;

use super::*;
use crate::domain::command::AdjustReason;
use crate::domain::program::{AdjustmentTerms, RecoveryTerms};
use crate::domain::time::CalendarPeriod;

words!(AdjustReasonWord -> AdjustReason {
    "goodwill" => AdjustReason::Goodwill, "a kindness";
    "service_recovery" => AdjustReason::ServiceRecovery, "making up for something that went wrong";
    "correction" => AdjustReason::Correction, "the books were wrong";
    "migration" => AdjustReason::Migration, "brought along from another system";
});

words!(RecoveryOrdersWord -> bool {
    "known" => false, "those committed here, returned and cancelled ones included, and those reserved in the last days";
    "any" => true, "those, and orders that failed before they came here";
});

section! {
    /// What may be credited and debited by hand.
    AdjustmentsSection = "adjustments" {
        /// Bounds, by unit. A unit that is not listed has none.
        units: ByName<UnitName, AdjustmentSection, 0, UNITS_MAX>, Default("{}");
        /// How long after an order a credit may make up for it: one that states its `order_id`, with the reason `goodwill`
        /// or `service_recovery`, at most once for each order.
        recovery_within: Length, Default("30 days");
        /// Which orders can be made up for.
        recovery_orders: RecoveryOrdersWord, Default("known");
    }
}

impl Build for AdjustmentsSection {
    type Out = (Vec<AdjustmentTerms>, RecoveryTerms);

    fn build(self, _: Pos, _: &mut Reader) -> Option<Self::Out> {
        let units = self.units?.value.into_iter().map(|(unit, terms)| AdjustmentTerms { unit, ..terms });
        let recovery = RecoveryTerms { within: self.recovery_within?.value, any_order: self.recovery_orders?.value };
        Some((units.collect(), recovery))
    }
}

section! {
    /// The bounds of adjustments of one unit. What goes beyond one is refused whole.
    AdjustmentSection = "adjustment" {
        /// The reasons that may be given.
        reasons: Distinct<AdjustReasonWord, 1, 4>, Without("any");
        /// The most in one adjustment, credit or debit.
        units_max: Units, Without("no bound");
        /// The most that one agent may credit in a day of the program's calendar, over all members and instances. The
        /// day is that on which it is done, whatever `occurred_at` says.
        agent_day_units_max: Units, Without("no bound");
        /// The most that one account may be credited in a period.
        member_units_max: Units, Without("no bound");
        /// The period of `member_units_max`.
        member_per: CalendarPeriodWord, Without("`month`");
    }
}

impl Build for AdjustmentSection {
    /// The unit is the key that the section stands under.
    type Out = AdjustmentTerms;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<AdjustmentTerms> {
        if let (None, Some(per)) = (&self.member_units_max, &self.member_per) {
            r.lacks_at(per, "there is no `member_units_max` that it could be about", Some("remove it"));
        }
        let per = self.member_per.map_or(CalendarPeriod::Month, |at| at.value);
        let number = |at: Option<At<i64>>| at.map(|at| at.value);
        let member_units_max = self.member_units_max.map(|at| (at.value, per));
        let (units_max, agent_day_units_max) = (number(self.units_max), number(self.agent_day_units_max));
        if self.reasons.is_none() && (units_max, agent_day_units_max, member_units_max) == (None, None, None) {
            r.lacks(pos, "says nothing", Some("leave it out"));
        }
        Some(AdjustmentTerms {
            unit: UnitId::points(),
            reasons: self.reasons.map(|at| at.value).unwrap_or_default(),
            units_max,
            agent_day_units_max,
            member_units_max,
        })
    }
}
