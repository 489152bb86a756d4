//! Guard rails: how far each line, and the order, may still be reduced.

use super::reduce::Cut;
use crate::domain::answer::Reason;
use crate::domain::money::{Ratio, Rounding, share_floor, split, split_within};
use crate::domain::order::{Line, LineKind, Order};
use crate::domain::program::{FloorPrice, OnReach, Rails};

/// What guard rails still let go.
pub(super) struct Room {
    /// By line; never more than the line still costs.
    pub(super) lines: Vec<i64>,
    /// Of the order as a whole.
    pub(super) order: i64,
}

/// What is taken off, as far as guard rails let it.
pub(super) struct Fitted {
    pub(super) shares: Vec<i64>,
    pub(super) desired: i64,
    pub(super) rail: Option<Reason>,
}

impl Room {
    pub(super) fn new(rails: &Rails, order: &Order, prices: &[i64]) -> Room {
        let lines = order.lines.iter().zip(prices);
        let open = |(line, price): (&Line, &i64)| if is_reducible(rails, line) { *price } else { 0 };
        let all = lines.clone().map(open).fold(0i64, i64::saturating_add);
        let floors = lines.clone().map(|(line, price)| (price - floor(rails, order, line, *price)).max(0));
        Room {
            lines: floors.collect(),
            order: rails.share_bps_max.and_then(|bps| share_floor(all, bps, 10_000)).unwrap_or(i64::MAX),
        }
    }

    pub(super) fn use_up(&mut self, shares: &[i64]) {
        self.lines.iter_mut().zip(shares).for_each(|(room, share)| *room = (*room - share).max(0));
        self.order = self.order.saturating_sub(shares.iter().sum()).max(0);
    }

    /// Fits a reduction in. `Err`: a guard rail refuses it; what was wanted and what it leaves.
    pub(super) fn fit(&self, cut: &Cut, on_reach: OnReach) -> Result<Fitted, (Reason, i64, i64)> {
        let (mut shares, desired) = match cut {
            Cut::Whole { amount, weights } => {
                let open = weights.iter().zip(&self.lines).map(|(weight, room)| if 0 < *weight { *room } else { 0 });
                let fits = open.fold(0i64, i64::saturating_add).min(*amount);
                (split_within(fits, weights, &self.lines), *amount)
            }
            Cut::Items { shares, .. } => {
                let fits = shares.iter().zip(&self.lines).map(|(share, room)| *share.min(room));
                (fits.collect(), shares.iter().sum())
            }
        };
        let sum = |shares: &[i64]| shares.iter().fold(0i64, |sum, share| sum.saturating_add(*share));
        let by_lines = sum(&shares);
        let mut rail = (by_lines < desired).then_some(Reason::FloorPrice);
        if self.order < by_lines {
            rail = Some(Reason::DiscountShareMax);
            shares = split(self.order, &shares);
        }
        let taken = sum(&shares);
        match rail {
            Some(rail) if on_reach == OnReach::Refuse || taken == 0 => Err((rail, desired, taken)),
            rail => Ok(Fitted { shares, desired, rail }),
        }
    }
}

/// Whether discounts may touch a line at all. Stored value is never reduced: units would turn into money.
pub(super) fn is_reducible(rails: &Rails, line: &Line) -> bool {
    line.kind != LineKind::GiftCard && !rails.no_discount.names_any(line)
}

/// The highest of the floors that concern a line; never above what it costs.
fn floor(rails: &Rails, order: &Order, line: &Line, price: i64) -> i64 {
    let mine = rails.floors.iter().filter(|floor| floor.lines.selects(line));
    let floors = mine.map(|floor| match &floor.price {
        FloorPrice::Item(item) => item.get(order.currency).unwrap_or(0).saturating_mul(line.quantity.max(1)),
        FloorPrice::Share(bps) => {
            let exact = Ratio { numerator: i128::from(line.amount_minor) * i128::from(*bps), denominator: 10_000 };
            Rounding::Ceil.apply(exact).unwrap_or(price)
        }
    });
    floors.max().unwrap_or(0).min(price)
}
