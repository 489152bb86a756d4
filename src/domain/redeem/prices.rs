//! Member prices: what lines cost a member, before rewards.

use super::Purse;
use super::rails::{Room, is_reducible};
use crate::domain::answer::{LinePrices, PriceOffer, PriceUse, Reason};
use crate::domain::order::{Line, LineKind, Order};
use crate::domain::program::Program;

/// Takes off each line what it costs the member less: by the lowest of the prices that are for them, as far as guard rails
/// let it. Answers what each of these lines costs since.
pub(super) fn take(program: &Program, order: &Order, purse: &dyn Purse, room: &mut Room) -> Vec<PriceUse> {
    if !purse.is_of_member() {
        return Vec::new();
    }
    let mut used = Vec::new();
    let rails = &program.redemption.rails;
    for (at, line) in order.lines.iter().enumerate().filter(|(_, line)| is_reducible(rails, line)) {
        let mine = program.member_prices.iter().filter(|price| purse.has_level(&price.tiers));
        let priced = mine.filter_map(|price| Some((price.of(line, order.currency)?, price)));
        // Of equal ones the first.
        let Some((desired_minor, price)) = priced.min_by_key(|(minor, _)| *minor) else { continue };
        let wanted = line.amount_minor.saturating_sub(desired_minor);
        if wanted <= 0 {
            continue;
        }
        let by_line = room.lines.get(at).copied().unwrap_or(0);
        let off = wanted.min(by_line).min(room.order);
        let rail = match (off < wanted, by_line <= room.order) {
            (false, _) => None,
            (true, true) => Some(Reason::FloorPrice),
            (true, false) => Some(Reason::DiscountShareMax),
        };
        if off <= 0 {
            continue;
        }
        let shares: Vec<i64> = (0..order.lines.len()).map(|index| if index == at { off } else { 0 }).collect();
        room.use_up(&shares);
        used.push(PriceUse {
            price: price.id.clone(),
            line_id: line.line_id.clone(),
            ordinary_minor: line.amount_minor,
            member_minor: line.amount_minor - off,
            desired_minor,
            rail,
            prior_minor: line.prior_amount_minor,
        });
    }
    used
}

/// All prices of the lines that have any, whomever they are for. Guard rails are not looked at.
pub fn side_by_side(program: &Program, order: &Order, purse: &dyn Purse) -> Vec<LinePrices> {
    let member = purse.is_of_member();
    let of = |line: &Line| {
        let prices = program.member_prices.iter().filter_map(|price| {
            let levels = price.tiers.iter().map(|levels| (levels.ladder.clone(), levels.levels.clone()));
            Some(PriceOffer {
                price: price.id.clone(),
                title: price.title.clone(),
                levels: levels.collect(),
                amount_minor: price.of(line, order.currency)?,
                is_for_member: member && purse.has_level(&price.tiers),
            })
        });
        let prices: Vec<PriceOffer> = prices.collect();
        let mine = prices.iter().filter(|price| price.is_for_member).map(|price| price.amount_minor).min();
        (!prices.is_empty()).then(|| LinePrices {
            line_id: line.line_id.clone(),
            ordinary_minor: line.amount_minor,
            member_minor: mine,
            prior_minor: line.prior_amount_minor,
            prices,
        })
    };
    order.lines.iter().filter(|line| line.kind != LineKind::GiftCard).filter_map(of).collect()
}
