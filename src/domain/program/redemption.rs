//! What bounds redeeming on an order: how rewards go together, and how deep a price may fall.

use super::{CounterWindow, LineMatch, OnReach, PerCurrency, RewardSort, Selector};

/// How rewards go together on an order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RedemptionTerms {
    pub apply: ApplyOrder,
    pub percent_of: PercentBase,
    /// Vouchers included.
    pub rewards_max: Option<i64>,
    pub sorts_max: Vec<(RewardSort, i64)>,
    pub rails: Rails,
    /// Whether what an order earns at once can be used on that order.
    pub with_own_earn: bool,
}

/// In which order rewards act on the lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ApplyOrder {
    /// Vouchers as asked, then rewards as asked.
    #[default]
    Asked,
    /// As the program lists them, vouchers where their rewards stand.
    Listed,
}

/// What a percentage is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PercentBase {
    /// What rewards before have left.
    #[default]
    Remaining,
    /// What the lines cost before all rewards; never more than is left is taken.
    Original,
}

/// What keeps discounts from going too deep or coming too often. A discount is what rewards take off, and what units
/// pay where that settles as a discount.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rails {
    /// Of what the order's lines cost that can be reduced at all, in basis points.
    pub share_bps_max: Option<i64>,
    /// Orders of an account with a discount.
    pub orders_max: Option<(i64, CounterWindow)>,
    /// Lines that any of these names are never reduced.
    pub no_discount: LineMatch,
    pub floors: Vec<Floor>,
    pub on_reach: OnReach,
}

/// What a line's price may not fall below.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Floor {
    pub lines: Selector,
    pub price: FloorPrice,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FloorPrice {
    /// Of each item; of a line that counts none, of the line.
    Item(PerCurrency),
    /// Of what the line costs, in basis points; a fraction counts as a whole minor unit.
    Share(i64),
}
