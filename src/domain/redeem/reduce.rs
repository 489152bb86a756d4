//! What each kind of reward takes off the lines, before guard rails.

use super::items::{self, Cart};
use crate::domain::answer::Reason;
use crate::domain::id::Sku;
use crate::domain::money::{Ratio, Rounding};
use crate::domain::order::{Currency, LineKind};
use crate::domain::program::{PerCurrency, PercentBase, PercentOff, RewardKind};

/// What a reward takes off.
pub(super) enum Cut {
    /// A sum over lines, in proportion to weights.
    Whole { amount: i64, weights: Vec<i64> },
    /// What single items cost less, by line; which of them are free; what the cart lacks of a product.
    Items { shares: Vec<i64>, free: Vec<i64>, to_add: Option<(Sku, i64)> },
}

/// `reach`: what each line that the reward selects still costs; 0 on all others.
pub(super) fn cut(kind: &RewardKind, cart: &Cart<'_>, reach: &[i64], percent_of: PercentBase) -> Result<Cut, Reason> {
    let currency = cart.order.currency;
    let cost = sum(reach);
    match kind {
        RewardKind::AmountOff(off) => {
            Ok(Cut::Whole { amount: listed(off, currency)?.min(cost), weights: reach.to_vec() })
        }
        RewardKind::PercentOff(PercentOff { share_bps, at_most, rounding }) => {
            let weights: Vec<i64> = match percent_of {
                PercentBase::Remaining => reach.to_vec(),
                PercentBase::Original => {
                    reach.iter().zip(cart.prices).map(|(left, price)| if 0 < *left { *price } else { 0 }).collect()
                }
            };
            let part = percent(sum(&weights), *share_bps, *rounding).ok_or(Reason::OutOfBounds)?;
            Ok(Cut::Whole { amount: part.min(cost).min(most(at_most, currency)?), weights })
        }
        RewardKind::FreeShipping { at_most } => {
            let lines = cart.order.lines.iter().zip(reach);
            let weights: Vec<i64> =
                lines.map(|(line, left)| if line.kind == LineKind::Shipping { *left } else { 0 }).collect();
            Ok(Cut::Whole { amount: sum(&weights).min(most(at_most, currency)?), weights })
        }
        RewardKind::Items(terms) => items::off(terms, cart, reach),
        RewardKind::Product { sku, items } => Ok(items::product(sku, *items, cart)),
        RewardKind::BuyGet(terms) => items::buy_get(terms, cart),
        RewardKind::Set(terms) => items::set(terms, cart),
        RewardKind::HandedOver(_) => Err(Reason::NotOnOrders),
    }
}

pub(super) fn listed(amount: &PerCurrency, currency: Currency) -> Result<i64, Reason> {
    amount.get(currency).ok_or(Reason::CurrencyNotListed)
}

fn most(amount: &Option<PerCurrency>, currency: Currency) -> Result<i64, Reason> {
    amount.as_ref().map_or(Ok(i64::MAX), |amount| listed(amount, currency))
}

/// Amounts of lines are bounded such that their sum is far inside `i64`.
pub(super) fn sum(amounts: &[i64]) -> i64 {
    amounts.iter().fold(0i64, |sum, n| sum.saturating_add(*n))
}

pub(super) fn percent(amount: i64, share_bps: i64, rounding: Rounding) -> Option<i64> {
    let numerator = i128::from(amount) * i128::from(share_bps);
    rounding.apply(Ratio { numerator, denominator: 10_000 })
}
