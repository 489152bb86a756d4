//! Member prices: what lines cost members.

use super::{Levels, PerCurrency, Selector};
use crate::domain::id::PriceId;
use crate::domain::money::Rounding;
use crate::domain::order::{Currency, Line};

/// What lines cost members, or members of certain levels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberPrice {
    pub id: PriceId,
    pub title: String,
    pub lines: Selector,
    /// Empty: for every member; else for whoever has, on each ladder named, one of these levels.
    pub tiers: Vec<Levels>,
    pub price: LowerPrice,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LowerPrice {
    /// Of each item; of a line that counts none, of the line. What costs less stays as it is.
    Fixed(PerCurrency),
    PercentOff {
        share_bps: i64,
        rounding: Rounding,
        /// Of the lowest price of late, where the caller tells it, rather than of the ordinary one.
        of_prior: bool,
    },
}

impl MemberPrice {
    /// What a line costs by it; `None`: it is for other lines, or states nothing in this currency. Never more than the line
    /// costs anyway.
    pub fn of(&self, line: &Line, currency: Currency) -> Option<i64> {
        if !self.lines.selects(line) {
            return None;
        }
        let price = match &self.price {
            LowerPrice::Fixed(price) => price.get(currency)?.saturating_mul(line.quantity.max(1)),
            LowerPrice::PercentOff { share_bps, rounding, of_prior } => {
                let prior = line.prior_amount_minor.filter(|_| *of_prior);
                let of = prior.map_or(line.amount_minor, |prior| prior.min(line.amount_minor));
                let numerator = i128::from(of) * i128::from(*share_bps);
                let off = rounding.apply(crate::domain::money::Ratio { numerator, denominator: 10_000 })?;
                of.saturating_sub(off)
            }
        };
        Some(price.clamp(0, line.amount_minor))
    }
}
