//! Units as payment, and rewards.

use super::gives::GivesChoice;
use super::tier::{LevelsOf, levels_of};
use super::*;
use crate::domain::program::{Codes, CounterWindow, Levels, RewardBy, RewardLimit, Stock};
use crate::program::value::{AMOUNT_MAX, WindowText};
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
        /// The most that may be used on an order; a multiple of the step, and at least `units_min`.
        units_max: Units, Without("any number");
        /// The most that may be paid so on an order.
        worth_max: Money, Without("any amount");
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
        if let Some(units_max) = &self.units_max {
            let least = self.units_min.as_ref().map_or(step, |at| at.value);
            if units_max.value < least {
                let message = format!("{} is fewer than the {least} that must be used", units_max.value);
                r.fault_at(units_max, message, Some("nothing could be paid so: state more, or remove the section"));
            } else if units_max.value % step != 0 {
                let most = units_max.value / step * step;
                let message = format!("{} is no multiple of the step, {step}", units_max.value);
                r.fault_at(units_max, message, Some(&format!("the most that can be used then are {most}")));
            }
        }
        Some(PaymentTerms {
            unit: UnitId::points(),
            units,
            worth: worth?.value,
            step,
            units_min: self.units_min.map_or(step, |at| at.value),
            units_max: self.units_max.map(|at| at.value),
            worth_max: self.worth_max.map(|at| at.value),
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
    /// Something on offer: on orders, and outside of them for a voucher.
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
        /// The lines it acts on, and that `spend_at_least` counts: all but gift cards, shipping and fees included, where none
        /// are named. What names lines or a product of its own acts on those.
        lines: LinesSection, Default("{}");
        /// From this instant on.
        starts_at: Moment, Without("since ever");
        /// Until before this instant.
        ends_at: Moment, Without("for ever");
        /// How one comes by it.
        by: ByWord, Default("request");
        /// For whoever has, on each ladder named, one of these levels.
        tiers: LevelsOf, Without("for everybody");
        /// Whether no other reward goes with it on an order. What comes first stands.
        alone: Flag, Default("false");
        /// Of the rewards that name the same group, one goes on an order. What comes first stands.
        group: LabelText, Without("none");
        /// Whether units may pay on the same order.
        with_units: Flag, Default("true");
        /// How often an account may have it. What is given by voucher does not count.
        limit: RewardLimitSection, Without("any number of times");
        /// How many there are for all members together. A reservation holds one, a voucher that a member asked for has
        /// one; what rules hand out takes none.
        stock: StockOf, Without("any number");
    }
}

impl Build for RewardSection {
    type Out = Reward;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Reward> {
        check_span(self.starts_at.as_ref(), self.ends_at.as_ref(), r);
        let by = self.by?.value;
        if by == RewardBy::Voucher {
            if let Some(price) = &self.price {
                r.fault_at(price, "a voucher has been paid for already", Some("remove the price, or `by: voucher`"));
            }
            if let Some(limit) = &self.limit {
                let hint = "bound the rules that hand the vouchers out";
                r.fault_at(limit, "nobody asks for it: rules hand out its vouchers", Some(hint));
            }
            if let Some(stock) = &self.stock {
                let hint = "bound the rules that hand the vouchers out";
                r.fault_at(stock, "nobody asks for it: rules hand out its vouchers", Some(hint));
            }
        }
        if let Some(gives) = self.gives.as_ref().filter(|at| matches!(at.value, RewardKind::HandedOver(_))) {
            if let Some(spend) = &self.spend_at_least {
                r.fault_at(spend, "it is about orders, and this reward is for none", Some("leave it out"));
            }
            if let Some(group) = &self.group {
                r.fault_at(group, "it is about orders, and this reward is for none", Some("leave it out"));
            }
            for (flag, idle) in [(&self.alone, false), (&self.with_units, true)] {
                if let Some(flag) = flag.as_ref().filter(|flag| flag.value != idle) {
                    r.fault_at(flag, "it is about orders, and this reward is for none", Some("leave it out"));
                }
            }
            if let (RewardKind::HandedOver(Some(_)), Some(stock)) = (&gives.value, &self.stock) {
                r.fault_at(stock, "there are as many as codes", Some("leave it out"));
            }
        }
        let codes = self.gives.as_ref().and_then(|at| match &at.value {
            RewardKind::HandedOver(codes) => codes.as_ref().map(Codes::count),
            _ => None,
        });
        let of_codes = |items| Stock { items, per: None, by_store: false, comes_back: false, is_codes: true };
        let stock = codes.map(of_codes).or(self.stock.map(|at| at.value));
        let (price, tier_prices) = match self.price.map(|at| at.value) {
            Some((unit, units, tier_prices)) => (Some((unit, units)), tier_prices),
            None => (None, Vec::new()),
        };
        Some(Reward {
            id: self.id?.value,
            title: self.title?.value,
            kind: self.gives?.value,
            price,
            spend_min: self.spend_at_least.map(|at| at.value),
            lines: self.lines?.value,
            starts_at: self.starts_at.map(|at| at.value),
            ends_at: self.ends_at.map(|at| at.value),
            by,
            tiers: levels_of(self.tiers),
            tier_prices,
            alone: self.alone?.value,
            group: self.group.map(|at| at.value),
            with_units: self.with_units?.value,
            limit: self.limit.map(|at| at.value),
            stock,
        })
    }
}

words!(ByWord -> RewardBy {
    "request" => RewardBy::Request, "whoever asks for it and pays the price";
    "voucher" => RewardBy::Voucher, "only who has a voucher for it, which rules hand out";
});

/// A number, or more about it.
pub(in crate::program) struct StockOf;

impl Value for StockOf {
    type Out = Stock;

    fn read(node: &Node, r: &mut Reader) -> Option<Stock> {
        if let Content::Map(_) = &node.content {
            return StockSection::read(node, r);
        }
        let items = Whole::<1, AMOUNT_MAX>::read(node, r)?;
        Some(Stock { items, per: None, by_store: false, comes_back: true, is_codes: false })
    }

    fn phrase() -> String {
        format!("{}, or {}", Whole::<1, AMOUNT_MAX>::phrase(), StockSection::phrase())
    }

    fn schema() -> Json {
        json!({ "anyOf": [Whole::<1, AMOUNT_MAX>::schema(), StockSection::schema()] })
    }

    fn sections(into: &mut Vec<SectionInfo>) {
        StockSection::sections(into);
    }
}

section! {
    /// How many of a reward there are for all members together. A number alone says the same as `items`.
    StockSection = "stock" {
        /// So many.
        items: Whole<1, AMOUNT_MAX>, Required;
        /// Whether there are so many in each period of the program's calendar; what is left does not go on.
        per: CalendarPeriodWord, Without("so many ever");
        /// Whether there are so many in each store: by the store of the order, or of the request. Without one it is a
        /// store of its own.
        by_store: Flag, Default("false");
        /// What becomes of one that was used when the goods that it was used on come back.
        on_return: StockReturnWord, Default("back");
    }
}

words!(StockReturnWord -> bool {
    "back" => true, "it goes back into stock, once all that it lowered has come back";
    "written_off" => false, "it is gone";
});

impl Build for StockSection {
    type Out = Stock;

    fn build(self, _: Pos, _: &mut Reader) -> Option<Stock> {
        Some(Stock {
            items: self.items?.value,
            per: self.per.map(|at| at.value),
            by_store: self.by_store?.value,
            comes_back: self.on_return?.value,
            is_codes: false,
        })
    }
}

section! {
    /// How often an account may have a reward. Open reservations count.
    RewardLimitSection = "reward limit" {
        /// So often ...
        times: Whole<1, 1_000_000>, Required;
        /// ... in this window.
        per: WindowText, Default("lifetime");
    }
}

impl Build for RewardLimitSection {
    type Out = RewardLimit;

    fn build(self, _: Pos, _: &mut Reader) -> Option<RewardLimit> {
        let per: CounterWindow = self.per?.value;
        Some(RewardLimit { times: self.times?.value, per })
    }
}

section! {
    /// What a reward costs.
    PriceSection = "price" {
        /// How many.
        units: Units, Required;
        /// Of what.
        unit: UnitName, Without("the program's first unit");
        /// What it costs members of certain levels instead. The first that fits counts.
        by_tier: Items<TierPriceSection, 1, 32>, Without("the same for all");
    }
}

impl Build for PriceSection {
    type Out = (UnitId, i64, Vec<(Vec<Levels>, i64)>);

    fn build(self, _: Pos, r: &mut Reader) -> Option<Self::Out> {
        let by_tier = self.by_tier.map(|at| at.value).unwrap_or_default();
        Some((unit_of(self.unit, r)?, self.units?.value, by_tier))
    }
}

section! {
    /// What a reward costs members of certain levels.
    TierPriceSection = "tier price" {
        /// For whoever has, on each ladder named, one of these levels.
        tiers: LevelsOf, Required;
        /// How many units; 0 is free.
        units: Whole<0, AMOUNT_MAX>, Required;
    }
}

impl Build for TierPriceSection {
    type Out = (Vec<Levels>, i64);

    fn build(self, _: Pos, _: &mut Reader) -> Option<Self::Out> {
        let levels = self.tiers?;
        Some((levels_of(Some(levels)), self.units?.value))
    }
}
