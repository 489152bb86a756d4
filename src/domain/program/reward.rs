//! Rewards: what is on offer at checkout.

use super::{Instant, Levels, PerCurrency, RewardId, Selector, UnitId};
use crate::domain::money::Rounding;

/// Something on offer at checkout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reward {
    pub id: RewardId,
    pub title: String,
    pub kind: RewardKind,
    /// What it costs; `None`: free. A voucher has paid for it already.
    pub price: Option<(UnitId, i64)>,
    /// Of the lines selected, before our effects.
    pub spend_min: Option<PerCurrency>,
    pub lines: Selector,
    /// When it may be asked for; a voucher has its own time.
    pub starts_at: Option<Instant>,
    pub ends_at: Option<Instant>,
    /// Only who has a voucher for it gets it.
    pub by_voucher: bool,
    /// Empty: for everybody; else for whoever has, on each ladder named, one of these levels.
    pub tiers: Vec<Levels>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RewardKind {
    /// So much off the selected lines, never more than they cost.
    AmountOff(PerCurrency),
    /// A part of what the selected lines cost.
    PercentOff(PercentOff),
    /// Single items of the selected lines for less.
    Items(ItemsOff),
    /// What the order's shipping costs; at most so much.
    FreeShipping { at_most: Option<PerCurrency> },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PercentOff {
    /// 10,000 is all.
    pub share_bps: i64,
    pub at_most: Option<PerCurrency>,
    pub rounding: Rounding,
}

/// Items for less. What one item of a line costs is what the line still costs by the items in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ItemsOff {
    /// `None`: all.
    pub items: Option<i64>,
    /// So many items for each so many that the selected lines have: of three, one.
    pub for_each: Option<i64>,
    pub pick: Pick,
    pub to: ItemPrice,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pick {
    #[default]
    Cheapest,
    Dearest,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ItemPrice {
    Free,
    /// An item that costs less stays as it is.
    Fixed(PerCurrency),
    PercentOff {
        share_bps: i64,
        rounding: Rounding,
    },
}
