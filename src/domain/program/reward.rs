//! Rewards: what is on offer at checkout.

use super::{CounterWindow, Instant, Label, Levels, PerCurrency, RewardId, Selector, Sku, UnitId};
use crate::domain::money::Rounding;
use crate::domain::time::CalendarPeriod;

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
    pub by: RewardBy,
    /// Empty: for everybody; else for whoever has, on each ladder named, one of these levels.
    pub tiers: Vec<Levels>,
    /// What it costs whoever has such levels, instead of the price; the first that fits counts. 0 is free.
    pub tier_prices: Vec<(Vec<Levels>, i64)>,
    /// No other reward goes with it on an order.
    pub alone: bool,
    /// Of the rewards of a group, one goes on an order.
    pub group: Option<Label>,
    /// Whether units may pay on the same order.
    pub with_units: bool,
    /// How often an account may have it.
    pub limit: Option<RewardLimit>,
    /// How many there are for all members together; `None`: any number.
    pub stock: Option<Stock>,
}

/// How many of a reward there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stock {
    /// In each store, and in each period, where it is by these.
    pub items: i64,
    /// It begins anew with each; `None`: never.
    pub per: Option<CalendarPeriod>,
    pub by_store: bool,
    /// Whether one that was used goes back into stock when the goods that it was used on come back.
    pub comes_back: bool,
    /// What is given are codes of somebody else, each once. None of them goes back.
    pub is_codes: bool,
}

/// Codes of somebody else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Codes {
    List(Vec<Box<str>>),
    /// A text and a number of at least so many digits, from `first` on.
    Numbered {
        prefix: Box<str>,
        first: i64,
        count: i64,
        digits: usize,
    },
}

impl Codes {
    /// How many there are.
    pub fn count(&self) -> i64 {
        match self {
            Codes::List(codes) => i64::try_from(codes.len()).unwrap_or(i64::MAX),
            Codes::Numbered { count, .. } => *count,
        }
    }

    /// The code of a number from 0 on; `None`: there are not so many.
    pub fn get(&self, number: i64) -> Option<Box<str>> {
        match self {
            Codes::List(codes) => codes.get(usize::try_from(number).ok()?).cloned(),
            Codes::Numbered { prefix, first, count, digits } => {
                if *count <= number {
                    return None;
                }
                let number = first.checked_add(number)?;
                Some(format!("{prefix}{number:0digits$}").into())
            }
        }
    }
}

/// How one comes by a reward.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RewardBy {
    /// By asking for it.
    #[default]
    Request,
    /// Only who has a voucher for it gets it.
    Voucher,
}

/// So often in a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RewardLimit {
    pub times: i64,
    pub per: CounterWindow,
}

impl Reward {
    /// What it costs whoever has the levels that `has` says; `None`: nothing.
    pub fn price_for(&self, has: &dyn Fn(&[Levels]) -> bool) -> Option<(UnitId, i64)> {
        let (unit, ordinary) = self.price.clone()?;
        let units = self.tier_prices.iter().find(|(levels, _)| has(levels)).map_or(ordinary, |(_, units)| *units);
        (0 < units).then_some((unit, units))
    }
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
    /// So many items of one product for free, in the cart or to be put there.
    Product { sku: Sku, items: i64 },
    /// For so many items bought, others for less.
    BuyGet(Box<BuyGet>),
    /// Items together for one price.
    Set(SetPrice),
    /// Nothing on an order: it is handed over by somebody else, or at another time.
    HandedOver(Option<Codes>),
}

/// The sorts of rewards that a program may bound by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RewardSort {
    AmountOff,
    PercentOff,
    Items,
    FreeShipping,
    Product,
    BuyGet,
    Set,
    HandedOver,
}

impl RewardKind {
    pub fn sort(&self) -> RewardSort {
        match self {
            RewardKind::AmountOff(_) => RewardSort::AmountOff,
            RewardKind::PercentOff(_) => RewardSort::PercentOff,
            RewardKind::Items(_) => RewardSort::Items,
            RewardKind::FreeShipping { .. } => RewardSort::FreeShipping,
            RewardKind::Product { .. } => RewardSort::Product,
            RewardKind::BuyGet(_) => RewardSort::BuyGet,
            RewardKind::Set(_) => RewardSort::Set,
            RewardKind::HandedOver(_) => RewardSort::HandedOver,
        }
    }
}

/// "Buy two of these, get one of those": an item that was bought is none that is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuyGet {
    pub buy: Selector,
    pub buy_items: i64,
    pub get: Selector,
    /// For each so many bought, at most so many.
    pub get_items: i64,
    pub pick: Pick,
    pub to: ItemPrice,
    pub times_max: i64,
}

/// A set: of each part so many items, all together for one price.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetPrice {
    /// An item serves the first part that names it and still lacks one.
    pub parts: Vec<(Selector, i64)>,
    /// A set that costs less stays as it is.
    pub price: PerCurrency,
    pub times_max: i64,
    pub pick: Pick,
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
    /// So often at most.
    pub times_max: Option<i64>,
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
