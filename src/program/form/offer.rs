//! Units as payment, and rewards.

use super::tier::{LevelsOf, levels_of};
use super::*;
use crate::domain::program::{ItemPrice, ItemsOff, PercentOff, Pick};
use serde_json::json;

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
        /// Who gets it.
        by: ByWord, Default("request");
        /// For whoever has, on each ladder named, one of these levels.
        tiers: LevelsOf, Without("for everybody");
    }
}

impl Build for RewardSection {
    type Out = Reward;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Reward> {
        check_span(self.starts_at.as_ref(), self.ends_at.as_ref(), r);
        let by_voucher = self.by?.value;
        if let Some(price) = self.price.as_ref().filter(|_| by_voucher) {
            r.fault_at(price, "a voucher has been paid for already", Some("remove the price, or `by: voucher`"));
        }
        Some(Reward {
            id: self.id?.value,
            title: self.title?.value,
            kind: self.gives?.value,
            price: self.price.map(|at| at.value),
            spend_min: self.spend_at_least.map(|at| at.value),
            lines: self.lines?.value,
            starts_at: self.starts_at.map(|at| at.value),
            ends_at: self.ends_at.map(|at| at.value),
            by_voucher,
            tiers: levels_of(self.tiers),
        })
    }
}

choice! {
    /// What a reward gives: exactly one of these.
    GivesChoice = "gives" -> RewardKind {
        /// So much off the selected lines, never more than they cost.
        amount_off: Money => RewardKind::AmountOff;
        /// A part of what the selected lines cost.
        percent_off: PercentOffSection => RewardKind::PercentOff;
        /// Items of the selected lines for free; they earn no stamp.
        free_item: FreeItemSection => RewardKind::Items;
        /// A part of what items of the selected lines cost.
        item_off: ItemOffSection => RewardKind::Items;
        /// Items of the selected lines for a price of their own.
        fixed_price: FixedPriceSection => RewardKind::Items;
        /// What the order's lines of kind shipping cost.
        free_shipping: FreeShippingSection => free_shipping;
    }
}

fn free_shipping(at_most: Option<PerCurrency>) -> RewardKind {
    RewardKind::FreeShipping { at_most }
}

section! {
    /// A part of what the selected lines cost, split over them in proportion.
    PercentOffSection = "percent off" {
        /// How much of it.
        percent: Share, Required;
        /// Never more than this.
        at_most: Money, Without("any amount");
        /// Where a fraction of a minor unit goes.
        rounding: RoundingWord, Default("floor");
    }
}

impl Build for PercentOffSection {
    type Out = PercentOff;

    fn build(self, _: Pos, _: &mut Reader) -> Option<PercentOff> {
        Some(PercentOff {
            share_bps: self.percent?.value,
            at_most: self.at_most.map(|at| at.value),
            rounding: self.rounding?.value,
        })
    }
}

words!(PickWord -> Pick {
    "cheapest" => Pick::Cheapest, "from the cheapest on; of equal ones, the earlier line";
    "dearest" => Pick::Dearest, "from the dearest on; of equal ones, the earlier line";
});

const ITEMS_MAX: i64 = 1_000;

section! {
    /// Items for free. What an item costs is what its line costs by the line's quantity.
    FreeItemSection = "free item" {
        /// How many.
        items: Whole<1, ITEMS_MAX>, Default("1");
        /// So many for each so many items that the selected lines have: `3` with one item is "buy two, get one".
        for_each: Whole<2, ITEMS_MAX>, Without("once");
        /// Which of them.
        pick: PickWord, Default("cheapest");
    }
}

impl Build for FreeItemSection {
    type Out = ItemsOff;

    fn build(self, _: Pos, r: &mut Reader) -> Option<ItemsOff> {
        check_items(self.items.as_ref(), self.for_each.as_ref(), r);
        Some(ItemsOff {
            items: Some(self.items?.value),
            for_each: self.for_each.map(|at| at.value),
            pick: self.pick?.value,
            to: ItemPrice::Free,
        })
    }
}

/// Of so many items, no more can be meant.
fn check_items(items: Option<&At<i64>>, for_each: Option<&At<i64>>, r: &mut Reader) {
    if let (Some(items), Some(for_each)) = (items, for_each)
        && for_each.value < items.value
    {
        r.fault_at(for_each, "there are more `items` than that", Some("state the items bought and given together"));
    }
}

section! {
    /// A part of what items cost.
    ItemOffSection = "item off" {
        /// How much of it.
        percent: Share, Required;
        /// How many.
        items: Whole<1, ITEMS_MAX>, Default("1");
        /// So many for each so many items that the selected lines have.
        for_each: Whole<2, ITEMS_MAX>, Without("once");
        /// Which of them.
        pick: PickWord, Default("cheapest");
        /// Where a fraction of a minor unit goes.
        rounding: RoundingWord, Default("floor");
    }
}

impl Build for ItemOffSection {
    type Out = ItemsOff;

    fn build(self, _: Pos, r: &mut Reader) -> Option<ItemsOff> {
        check_items(self.items.as_ref(), self.for_each.as_ref(), r);
        Some(ItemsOff {
            items: Some(self.items?.value),
            for_each: self.for_each.map(|at| at.value),
            pick: self.pick?.value,
            to: ItemPrice::PercentOff { share_bps: self.percent?.value, rounding: self.rounding?.value },
        })
    }
}

section! {
    /// Items for a price of their own; one that costs less stays as it is.
    FixedPriceSection = "fixed price" {
        /// Of one item.
        price: Money, Required;
        /// How many.
        items: Whole<1, ITEMS_MAX>, Without("all");
        /// Which of them.
        pick: PickWord, Default("dearest");
    }
}

impl Build for FixedPriceSection {
    type Out = ItemsOff;

    fn build(self, _: Pos, _: &mut Reader) -> Option<ItemsOff> {
        Some(ItemsOff {
            items: self.items.map(|at| at.value),
            for_each: None,
            pick: self.pick?.value,
            to: ItemPrice::Fixed(self.price?.value),
        })
    }
}

section! {
    /// The order's shipping for free.
    FreeShippingSection = "free shipping" {
        /// Never more than this.
        at_most: Money, Without("any amount");
    }
}

impl Build for FreeShippingSection {
    type Out = Option<PerCurrency>;

    fn build(self, _: Pos, _: &mut Reader) -> Option<Option<PerCurrency>> {
        Some(self.at_most.map(|at| at.value))
    }
}

words!(ByWord -> bool {
    "request" => false, "whoever asks for it and pays the price";
    "voucher" => true, "only who has a voucher for it";
});

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
