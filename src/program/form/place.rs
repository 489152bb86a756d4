//! Stores, and what amount of a line earns.

use super::*;

section! {
    /// A place that sells.
    StoreSection = "store" {
        /// The clock on its wall.
        time_zone: ZoneName, Without("the program's");
    }
}

impl Build for StoreSection {
    type Out = Option<jiff::tz::TimeZone>;

    fn build(self, _: Pos, _: &mut Reader) -> Option<Option<jiff::tz::TimeZone>> {
        Some(self.time_zone.map(|at| at.value))
    }
}

section! {
    /// What amount of a line earns. Goods always earn, gift cards never do: they earn when they are spent.
    EarningSection = "earning" {
        /// Whether discounts that this program grants on the order lower what earns.
        after_discounts: Flag, Default("true");
        /// Whether tax earns too. A reduced line's tax is reduced alike.
        tax_included: Flag, Default("true");
        /// Whether lines of kind shipping earn.
        shipping_earns: Flag, Default("false");
        /// Whether lines of kind fee earn.
        fees_earn: Flag, Default("false");
        /// Whether the part of an order that is paid with units earns.
        paid_with_units_earns: Flag, Default("true");
        /// What happens when several multipliers match a line.
        multipliers: MultiplierWord, Default("highest");
        /// What happens when several base rates of a unit apply.
        base_rules: BaseRulesWord, Default("add");
        /// Whether lines earn that cost less than their list price, where the caller states that.
        discounted_lines_earn: Flag, Default("true");
        /// Lines that earn nothing under any rule.
        exclude: MatchSection, Default("{}");
        /// Sorts of orders that earn, as their `kind` says.
        order_kinds: Distinct<OrderKindWord, 1, 5>, Without("`ordinary`, `first` and `renewal`");
    }
}

/// A trial may never be bought, and what is replaced has earned already.
fn earning_kinds() -> Vec<OrderKind> {
    vec![OrderKind::Ordinary, OrderKind::First, OrderKind::Renewal]
}

impl Build for EarningSection {
    type Out = EarningTerms;

    fn build(self, _: Pos, _: &mut Reader) -> Option<EarningTerms> {
        Some(EarningTerms {
            after_discounts: self.after_discounts?.value,
            tax_included: self.tax_included?.value,
            shipping_earns: self.shipping_earns?.value,
            fees_earn: self.fees_earn?.value,
            paid_with_units_earns: self.paid_with_units_earns?.value,
            excluded: self.exclude?.value,
            multipliers: self.multipliers?.value,
            base_rules: self.base_rules?.value,
            discounted_lines_earn: self.discounted_lines_earn?.value,
            order_kinds: self.order_kinds.map_or_else(earning_kinds, |at| at.value),
        })
    }
}
