//! Rewards on single items: those of goods, one by one. What an item costs is what its line still costs by the items in
//! it that no reward has given for free; what that leaves over stays on the line.

use super::rails::is_reducible;
use super::reduce::{Cut, listed, percent, sum};
use crate::domain::answer::Reason;
use crate::domain::id::Sku;
use crate::domain::money::{share_floor, split};
use crate::domain::order::{Currency, LineKind, Order};
use crate::domain::program::{BuyGet, ItemPrice, ItemsOff, Pick, Rails, Selector, SetPrice};

/// The order as rewards before have left it.
pub(super) struct Cart<'a> {
    pub(super) order: &'a Order,
    pub(super) rails: &'a Rails,
    /// What each line cost before all rewards.
    pub(super) prices: &'a [i64],
    /// What each line still costs.
    pub(super) remaining: &'a [i64],
    /// Items of each line that rewards have given for free.
    pub(super) free: &'a [i64],
}

/// Items of one line that cost the same.
#[derive(Clone, Copy)]
struct Run {
    /// Place of the line.
    at: usize,
    /// What all of them cost.
    cost: i64,
    items: i64,
}

impl Run {
    /// What the first so many cost. Never falls as they grow, and is `cost` at the end.
    fn first(&self, items: i64) -> Result<i64, Reason> {
        share_floor(self.cost, items, self.items).ok_or(Reason::OutOfBounds)
    }
}

impl Cart<'_> {
    /// What each line can still give that a selector reaches.
    pub(super) fn reach(&self, selector: &Selector) -> Vec<i64> {
        let lines = self.order.lines.iter().zip(self.remaining);
        let open =
            lines.map(|(line, left)| if selector.selects(line) && is_reducible(self.rails, line) { *left } else { 0 });
        open.collect()
    }

    /// Items that cost something, from the cheapest or the dearest on; of equal ones, those of the earlier line.
    fn runs(&self, reach: &[i64], pick: Pick) -> Vec<Run> {
        let lines = self.order.lines.iter().zip(reach).zip(self.free).enumerate();
        let goods = lines.filter(|(_, ((line, _), _))| line.kind == LineKind::Goods);
        let mut found: Vec<Run> = goods
            .filter(|(_, ((line, left), free))| 0 < **left && **free < line.quantity)
            .map(|(at, ((line, left), free))| Run { at, cost: *left, items: line.quantity - free })
            .collect();
        found.sort_by(|a, b| {
            let dearer = (i128::from(a.cost) * i128::from(b.items)).cmp(&(i128::from(b.cost) * i128::from(a.items)));
            let wanted = if pick == Pick::Cheapest { dearer } else { dearer.reverse() };
            wanted.then(a.at.cmp(&b.at))
        });
        found
    }

    fn nothing(&self) -> (Vec<i64>, Vec<i64>) {
        (vec![0; self.order.lines.len()], vec![0; self.order.lines.len()])
    }
}

/// What so many items that cost `part` cost less.
fn lowered(to: &ItemPrice, part: i64, items: i64, currency: Currency) -> Result<i64, Reason> {
    match to {
        ItemPrice::Free => Ok(part),
        ItemPrice::Fixed(price) => Ok(part.saturating_sub(listed(price, currency)?.saturating_mul(items)).max(0)),
        ItemPrice::PercentOff { share_bps, rounding } => {
            Ok(percent(part, *share_bps, *rounding).ok_or(Reason::OutOfBounds)?.min(part))
        }
    }
}

/// Lowers items of the runs, so many in all, of each line at most `caps`.
fn lower(
    cart: &Cart<'_>,
    runs: &[Run],
    items: i64,
    cap: impl Fn(&Run, i64) -> i64,
    to: &ItemPrice,
) -> Result<Cut, Reason> {
    let (mut shares, mut free) = cart.nothing();
    let mut left = items;
    for run in runs {
        let here = cap(run, left.min(run.items));
        if here <= 0 {
            continue;
        }
        left -= here;
        let taken = lowered(to, run.first(here)?, here, cart.order.currency)?;
        if let (Some(share), Some(free)) = (shares.get_mut(run.at), free.get_mut(run.at)) {
            *share = taken;
            *free = if *to == ItemPrice::Free { here } else { 0 };
        }
    }
    Ok(Cut::Items { shares, free, to_add: None })
}

pub(super) fn off(terms: &ItemsOff, cart: &Cart<'_>, reach: &[i64]) -> Result<Cut, Reason> {
    let runs = cart.runs(reach, terms.pick);
    let there = count(&runs);
    let rounds = terms.for_each.map_or(1, |each| there / each.max(1)).min(terms.times_max.unwrap_or(i64::MAX));
    let items = terms.items.map_or(there, |items| items.saturating_mul(rounds).min(there));
    lower(cart, &runs, items, |_, wanted| wanted, &terms.to)
}

/// Items of one product: those in the cart are free, even where the shop has put them there for nothing; the rest is to
/// be added.
pub(super) fn product(sku: &Sku, items: i64, cart: &Cart<'_>) -> Cut {
    let (mut shares, mut free) = cart.nothing();
    let mut left = items;
    for (at, line) in cart.order.lines.iter().enumerate() {
        let mine = line.sku.as_ref() == Some(sku) && line.kind == LineKind::Goods && is_reducible(cart.rails, line);
        let there = line.quantity.saturating_sub(cart.free.get(at).copied().unwrap_or(0));
        let here = left.min(there);
        if !mine || here <= 0 {
            continue;
        }
        left -= here;
        let cost = cart.remaining.get(at).copied().unwrap_or(0);
        if let (Some(share), Some(free)) = (shares.get_mut(at), free.get_mut(at)) {
            *share = share_floor(cost, here, there).unwrap_or(0);
            *free = here;
        }
    }
    Cut::Items { shares, free, to_add: (0 < left).then(|| (sku.clone(), left)) }
}

/// As many items as possible for less: each so many of them need others that are bought, and what is bought is not
/// given. An item that both name serves where it is needed.
pub(super) fn buy_get(terms: &BuyGet, cart: &Cart<'_>) -> Result<Cut, Reason> {
    let currency = cart.order.currency;
    if let ItemPrice::Fixed(price) = &terms.to {
        listed(price, currency)?;
    }
    let bought = cart.bought(&terms.buy);
    let runs = cart.runs(&cart.reach(&terms.get), terms.pick);
    let is_bought = |at: usize| bought.get(at).is_some_and(|items| 0 < *items);
    let both: i64 = runs.iter().filter(|run| is_bought(run.at)).map(|run| run.items).sum();
    let only_got = count(&runs) - both;
    let only_bought = sum(&bought) - both;
    let rounds = |got: i64| got.div_euclid(terms.get_items) + i64::from(0 < got.rem_euclid(terms.get_items));
    // How many of the items that both name are left to be given when so many are.
    let spare = |got: i64| {
        let needed = i128::from(rounds(got)) * i128::from(terms.buy_items) - i128::from(only_bought);
        i128::from(both) - needed.max(0)
    };
    let fits = |got: i64| rounds(got) <= terms.times_max && i128::from(got - only_got).max(0) <= spare(got);
    // The more are given, the fewer are spare: the largest number that fits.
    let (mut most, mut beyond) = (0, count(&runs).saturating_add(1));
    while most + 1 < beyond {
        let middle = most + (beyond - most) / 2;
        if fits(middle) { most = middle } else { beyond = middle }
    }
    let spare = std::cell::Cell::new(i64::try_from(spare(most)).unwrap_or(0));
    let cap = |run: &Run, wanted: i64| {
        if !is_bought(run.at) {
            return wanted;
        }
        let here = wanted.min(spare.get()).max(0);
        spare.set(spare.get() - here);
        here
    };
    lower(cart, &runs, most, cap, &terms.to)
}

impl Cart<'_> {
    /// Items of goods that a selector reaches and that are paid for, by line.
    fn bought(&self, selector: &Selector) -> Vec<i64> {
        let lines = self.order.lines.iter().zip(self.free);
        let items = lines.map(|(line, free)| {
            let counts = line.kind == LineKind::Goods && 0 < line.amount_minor && selector.selects(line);
            if counts { line.quantity.saturating_sub(*free).max(0) } else { 0 }
        });
        items.collect()
    }
}

/// Items of one line that go into a set.
struct Piece {
    at: usize,
    cost: i64,
}

/// Set after set, as long as the items last.
pub(super) fn set(terms: &SetPrice, cart: &Cart<'_>) -> Result<Cut, Reason> {
    let price = listed(&terms.price, cart.order.currency)?;
    let (mut shares, free) = cart.nothing();
    let mut used = vec![0i64; cart.order.lines.len()];
    let parts: Vec<(Vec<Run>, i64)> =
        terms.parts.iter().map(|(lines, items)| (cart.runs(&cart.reach(lines), terms.pick), *items)).collect();
    for _ in 0..terms.times_max {
        let Some(pieces) = one_set(&parts, &mut used)? else { break };
        let costs: Vec<i64> = pieces.iter().map(|piece| piece.cost).collect();
        let off = sum(&costs).saturating_sub(price);
        if off <= 0 {
            continue;
        }
        for (piece, part) in pieces.iter().zip(split(off, &costs)) {
            if let Some(share) = shares.get_mut(piece.at) {
                *share += part;
            }
        }
    }
    Ok(Cut::Items { shares, free, to_add: None })
}

/// `None`: there are not enough items for another one.
fn one_set(parts: &[(Vec<Run>, i64)], used: &mut [i64]) -> Result<Option<Vec<Piece>>, Reason> {
    let mut pieces = Vec::new();
    for (runs, items) in parts {
        let mut lacks = *items;
        for run in runs {
            let Some(used) = used.get_mut(run.at) else { continue };
            let here = lacks.min(run.items - *used);
            if here <= 0 {
                continue;
            }
            pieces.push(Piece { at: run.at, cost: run.first(*used + here)? - run.first(*used)? });
            *used += here;
            lacks -= here;
            if lacks == 0 {
                break;
            }
        }
        if 0 < lacks {
            return Ok(None);
        }
    }
    Ok(Some(pieces))
}

fn count(runs: &[Run]) -> i64 {
    runs.iter().fold(0i64, |sum, run| sum.saturating_add(run.items))
}
