//! How rewards go together, and guard rails.

use serde_json::json;

use super::*;
use crate::domain::program::{
    ApplyOrder, CounterWindow, Floor, FloorPrice, OnReach, PercentBase, Rails, RedemptionTerms, RewardSort,
};
use crate::program::value::WindowText;

words!(ApplyWord -> ApplyOrder {
    "asked" => ApplyOrder::Asked, "vouchers, then rewards, each as they were asked for";
    "file" => ApplyOrder::Listed, "as this file lists the rewards, a voucher where its reward stands";
});

words!(PercentBaseWord -> PercentBase {
    "remaining" => PercentBase::Remaining, "what rewards before have left";
    "original" => PercentBase::Original, "what the lines cost before all rewards; never more than is left is taken";
});

words!(SortWord -> RewardSort {
    "amount_off" => RewardSort::AmountOff, "amounts off";
    "percent_off" => RewardSort::PercentOff, "parts off";
    "items" => RewardSort::Items, "free items, items off and fixed prices";
    "free_shipping" => RewardSort::FreeShipping, "free shipping";
    "product" => RewardSort::Product, "products";
    "buy_get" => RewardSort::BuyGet, "items for items bought";
    "set_price" => RewardSort::Set, "sets";
});

words!(RailWord -> OnReach {
    "clamp" => OnReach::Clamp, "what is left is given, and the answer names the rail";
    "refuse" => OnReach::Refuse, "the reward is refused";
});

section! {
    /// How rewards go together on an order. Units pay last, from what rewards leave.
    RedemptionSection = "redemption" {
        /// In which order rewards act.
        apply: ApplyWord, Default("asked");
        /// What percentages are of.
        percent_of: PercentBaseWord, Default("remaining");
        /// The most rewards on an order, those given by voucher included.
        rewards_max: Whole<1, 40>, Without("40");
        /// The most of each kind on an order.
        kinds_max: ByName<SortWord, Whole<1, 40>, 0, 7>, Default("{}");
        /// What keeps discounts from going too deep or coming too often. A discount is what rewards take off, and what
        /// units pay that settles as a discount.
        guard_rails: RailsSection, Default("{}");
        /// When what an order earns can be used. Units that are pending cannot be used yet in any case.
        own_earn: OwnEarnWord, Default("later");
    }
}

words!(OwnEarnWord -> bool {
    "later" => false, "on later orders";
    "at_once" => true, "on the order itself as well: as much as it still earns once that has been used. Not on lines that come \
                        into it later";
});

impl Build for RedemptionSection {
    type Out = RedemptionTerms;

    fn build(self, _: Pos, _: &mut Reader) -> Option<RedemptionTerms> {
        Some(RedemptionTerms {
            apply: self.apply?.value,
            percent_of: self.percent_of?.value,
            rewards_max: self.rewards_max.map(|at| at.value),
            sorts_max: self.kinds_max?.value,
            rails: self.guard_rails?.value,
            with_own_earn: self.own_earn?.value,
        })
    }
}

section! {
    /// Guard rails. A refusal names the one that it came from.
    RailsSection = "guard rails" {
        /// The largest share of an order that discounts may take: of what lines cost that may be reduced at all.
        share_max: Share, Without("any share");
        /// How many orders with a discount an account may have. Open reservations count; an order that comes back whole
        /// counts no more, where `returns` frees limits.
        orders_max: OrdersMaxSection, Without("any number");
        /// Lines that no discount touches: those that any of these lists names. Gift cards are never reduced.
        no_discount: MatchSection, Default("{}");
        /// Prices that lines may not fall below. Of several, the highest counts.
        floors: Items<FloorSection, 0, 100>, Default("[]");
        /// What happens to a reward that would go too deep. Units as payment are used as far as they go, unless a number
        /// was asked for exactly.
        on_reach: RailWord, Default("clamp");
    }
}

impl Build for RailsSection {
    type Out = Rails;

    fn build(self, _: Pos, _: &mut Reader) -> Option<Rails> {
        Some(Rails {
            share_bps_max: self.share_max.map(|at| at.value),
            orders_max: self.orders_max.map(|at| at.value),
            no_discount: self.no_discount?.value,
            floors: self.floors?.value,
            on_reach: self.on_reach?.value,
        })
    }
}

section! {
    /// How often an account may have a discount.
    OrdersMaxSection = "orders max" {
        /// So many orders ...
        orders: Whole<1, 1_000_000>, Required;
        /// ... in this window.
        per: WindowText, Default("lifetime");
    }
}

impl Build for OrdersMaxSection {
    type Out = (i64, CounterWindow);

    fn build(self, _: Pos, _: &mut Reader) -> Option<(i64, CounterWindow)> {
        Some((self.orders?.value, self.per?.value))
    }
}

section! {
    /// What the price of lines may not fall below: exactly one of `price` and `share`.
    FloorSection = "floor" {
        /// Which lines.
        lines: LinesSection, Default("{}");
        /// Of each item; of a line that counts no items, of the line.
        price: Money, Without("`share` is stated");
        /// Of what the line costs; a fraction counts as a whole minor unit.
        share: Share, Without("`price` is stated");
    }
}

impl Build for FloorSection {
    type Out = Floor;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Floor> {
        let price = match (self.price, self.share) {
            (Some(price), None) => FloorPrice::Item(price.value),
            (None, Some(share)) => FloorPrice::Share(share.value),
            (Some(_), Some(share)) => {
                r.fault_at(&share, "both `price` and `share` are stated", Some("leave one of them out"));
                return None;
            }
            (None, None) => {
                r.fault(pos, "says nothing", Some("state `price` or `share`"));
                return None;
            }
        };
        Some(Floor { lines: self.lines?.value, price })
    }
}
