//! Member prices.

use serde_json::json;

use super::tier::{LevelsOf, levels_of};
use super::*;
use crate::domain::id::PriceId;
use crate::domain::program::{LowerPrice, MemberPrice};

section! {
    /// What lines cost members: exactly one of `price` and `percent_off`. Of several that are for a member, the lowest
    /// counts; a line that costs less anyway stays as it is. It is taken off before rewards, and is a discount for the
    /// guard rails on shares and floors. Guests pay the ordinary price.
    MemberPriceSection = "member price" {
        /// Names the price in orders.
        id: Name<PriceId>, Required;
        /// What people call it.
        title: Title, Required;
        /// Which lines. Gift cards have no member price.
        lines: LinesSection, Default("{}");
        /// For whoever has, on each ladder named, one of these levels.
        tiers: LevelsOf, Without("for every member");
        /// Of each item; of a line that counts no items, of the line.
        price: Money, Without("`percent_off` is stated");
        /// So much less.
        percent_off: Share, Without("`price` is stated");
        /// What `percent_off` is of.
        of: PercentOfWord, Default("ordinary");
        /// Where a fraction of a minor unit of `percent_off` goes.
        rounding: RoundingWord, Default("floor");
    }
}

words!(PercentOfWord -> bool {
    "ordinary" => false, "what the line costs";
    "lowest_prior" => true, "the lowest that it would have cost in the last 30 days, where that is told and less";
});

impl Build for MemberPriceSection {
    type Out = MemberPrice;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<MemberPrice> {
        let (of_prior, rounding) = (self.of?.value, self.rounding?.value);
        let price = match (self.price, self.percent_off) {
            (Some(price), None) => LowerPrice::Fixed(price.value),
            (None, Some(share)) => LowerPrice::PercentOff { share_bps: share.value, rounding, of_prior },
            (Some(_), Some(share)) => {
                r.fault_at(&share, "both `price` and `percent_off` are stated", Some("leave one of them out"));
                return None;
            }
            (None, None) => {
                r.fault(pos, "says nothing", Some("state `price` or `percent_off`"));
                return None;
            }
        };
        Some(MemberPrice {
            id: self.id?.value,
            title: self.title?.value,
            lines: self.lines?.value,
            tiers: levels_of(self.tiers),
            price,
        })
    }
}
