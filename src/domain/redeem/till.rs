//! The till: takes one reward after the other off the lines, and remembers what that leaves.

use super::items::Cart;
use super::rails::{Fitted, Room, is_reducible};
use super::reduce::{Cut, cut, listed};
use super::stack::{Asked, Stack};
use super::{Cover, Purse, RewardUse};
use crate::domain::answer::{Reason, Refusal, Subject};
use crate::domain::id::{RewardId, UnitId};
use crate::domain::money::split;
use crate::domain::order::{Line, LineKind, Order};
use crate::domain::program::{Program, Reward, RewardBy, RewardKind, Selector};
use crate::domain::time::Instant;

pub(super) struct Till<'a> {
    pub(super) program: &'a Program,
    pub(super) order: &'a Order,
    pub(super) at: Instant,
    /// What each line cost before all rewards.
    pub(super) prices: Vec<i64>,
    /// What each line still costs.
    pub(super) remaining: Vec<i64>,
    /// Items of each line that rewards have given for free.
    pub(super) free: Vec<i64>,
    /// Units that rewards before have used.
    pub(super) used: Vec<(UnitId, i64)>,
    pub(super) room: Room,
    pub(super) stack: Stack,
    pub(super) purse: &'a dyn Purse,
    pub(super) cover: Cover,
}

impl<'a> Till<'a> {
    pub(super) fn new(
        program: &'a Program,
        order: &'a Order,
        at: Instant,
        purse: &'a dyn Purse,
        cover: Cover,
    ) -> Till<'a> {
        let prices: Vec<i64> = order.lines.iter().map(|line| line.amount_minor).collect();
        Till {
            program,
            order,
            at,
            remaining: prices.clone(),
            free: vec![0; prices.len()],
            used: Vec::new(),
            room: Room::new(&program.redemption.rails, order, &prices),
            stack: Stack::default(),
            purse,
            cover,
            prices,
        }
    }

    pub(super) fn available(&self, unit: &UnitId) -> i64 {
        let used = self.used.iter().filter(|(of, _)| of == unit).fold(0i64, |sum, (_, n)| sum.saturating_add(*n));
        self.purse.available(unit).saturating_sub(used).max(0)
    }

    pub(super) fn reduce(&mut self, shares: &[i64]) {
        self.remaining.iter_mut().zip(shares).for_each(|(left, share)| *left -= share);
    }

    pub(super) fn cart(&self) -> Cart<'_> {
        Cart {
            order: self.order,
            rails: &self.program.redemption.rails,
            prices: &self.prices,
            remaining: &self.remaining,
            free: &self.free,
        }
    }

    pub(super) fn take(&mut self, asked: Asked<'_>) -> Result<RewardUse, Refusal> {
        let subject = || asked.subject();
        match asked {
            Asked::Voucher(id) => {
                let reward = self.purse.voucher(id).map_err(|reason| Refusal::new(subject(), reason))?;
                let used = self.give(&Reward { price: None, ..reward }, subject)?;
                Ok(RewardUse { voucher: Some(id.clone()), ..used })
            }
            Asked::Reward(id) => self.reward(id, subject),
        }
    }

    fn reward(&mut self, id: &RewardId, subject: impl Fn() -> Subject) -> Result<RewardUse, Refusal> {
        let no = |reason| Refusal::new(subject(), reason);
        let program = self.program;
        let reward: &Reward = program.reward(id).ok_or_else(|| no(Reason::RewardUnknown))?;
        if reward.by != RewardBy::Request {
            return Err(no(Reason::OnlyByVoucher));
        }
        on_offer(reward, self.at, self.purse).map_err(no)?;
        within_limit(reward, self.purse, &subject)?;
        self.give(reward, subject)
    }

    fn give(&mut self, reward: &Reward, subject: impl Fn() -> Subject) -> Result<RewardUse, Refusal> {
        let no = |reason| Refusal::new(subject(), reason);
        self.stack.check(self.program, reward, &subject)?;
        self.check_orders(&subject)?;
        let rails = &self.program.redemption.rails;
        let cart = self.cart();
        let reach = cart.reach(&reward.lines);
        let cut = cut(&reward.kind, &cart, &reach, self.program.redemption.percent_of).map_err(no)?;
        if cut.is_nothing() {
            return Err(no(self.why_nothing(reward)));
        }
        if let Some(spend_min) = &reward.spend_min {
            let required = listed(spend_min, self.order.currency).map_err(no)?;
            let counts = |line: &&Line| line.kind != LineKind::GiftCard && reward.lines.selects(line);
            let spent: i64 = self.order.lines.iter().filter(counts).map(|line| line.amount_minor).sum();
            if spent < required {
                return Err(Refusal::short(subject(), Reason::SpendTooLow, required, spent));
            }
        }
        let fitted = self.room.fit(&cut, rails.on_reach);
        let Fitted { shares, desired, rail } =
            fitted.map_err(|(rail, wanted, left)| Refusal::short(subject(), rail, wanted, left))?;
        let price = reward.price_for(&|levels| self.purse.has_level(levels));
        if let Some((unit, price)) = &price {
            let there = self.available(unit);
            if there < *price && self.cover == Cover::Balance {
                return Err(Refusal::short(subject(), Reason::BalanceTooLow, *price, there));
            }
            self.used.push((unit.clone(), *price));
        }
        let unit_shares = price.as_ref().map_or_else(|| vec![0; shares.len()], |(_, n)| self.spread(*n, &shares));
        self.reduce(&shares);
        self.room.use_up(&shares);
        self.stack.add(reward);
        let (free, to_add) = match cut {
            Cut::Whole { .. } => (vec![0; shares.len()], None),
            Cut::Items { free, to_add, .. } => (free, to_add),
        };
        self.free.iter_mut().zip(&free).for_each(|(sum, more)| *sum += more);
        let (reward, amount_minor) = (reward.id.clone(), shares.iter().sum());
        let desired_minor = desired;
        Ok(RewardUse {
            reward,
            amount_minor,
            shares,
            price,
            unit_shares,
            voucher: None,
            free,
            desired_minor,
            rail,
            to_add,
        })
    }

    /// How a price in units falls on the lines: as the reduction does; where nothing is reduced, for the product is yet
    /// to be added or costs nothing, as the order's lines cost.
    fn spread(&self, units: i64, shares: &[i64]) -> Vec<i64> {
        if shares.iter().any(|share| 0 < *share) {
            return split(units, shares);
        }
        let lines = self.order.lines.iter();
        let goods = lines.map(|line| if line.kind == LineKind::GiftCard { 0 } else { line.amount_minor });
        split(units, &goods.collect::<Vec<i64>>())
    }

    /// Why a reward takes nothing off: its lines are kept from discounts, or there are none.
    fn why_nothing(&self, reward: &Reward) -> Reason {
        let selectors: &[&Selector] = match &reward.kind {
            RewardKind::BuyGet(terms) => &[&terms.get],
            _ => &[&reward.lines],
        };
        let rails = &self.program.redemption.rails;
        let kept_out =
            |line: &Line| line.kind != LineKind::GiftCard && 0 < line.amount_minor && !is_reducible(rails, line);
        let mut lines = self.order.lines.iter().filter(|line| selectors.iter().any(|lines| lines.selects(line)));
        if lines.any(kept_out) { Reason::LineNotDiscountable } else { Reason::NoMatchingLine }
    }

    /// Whether the account may have another order with a discount.
    pub(super) fn check_orders(&self, subject: impl Fn() -> Subject) -> Result<(), Refusal> {
        let Some((most, window)) = self.program.redemption.rails.orders_max else { return Ok(()) };
        let had = self.purse.discounted(window);
        if most <= had {
            return Err(Refusal::short(subject(), Reason::DiscountedOrdersMax, had.saturating_add(1), most));
        }
        Ok(())
    }
}

/// Whether a reward is on offer at an instant, for this member.
pub(super) fn on_offer(reward: &Reward, at: Instant, purse: &dyn Purse) -> Result<(), Reason> {
    let begun = reward.starts_at.is_none_or(|from| from <= at);
    let over = reward.ends_at.is_some_and(|until| until <= at);
    if !begun || over {
        return Err(Reason::RewardNotActive);
    }
    if purse.entitled(reward) { Ok(()) } else { Err(Reason::TierTooLow) }
}

/// Whether the account may have a reward once more.
pub(super) fn within_limit(reward: &Reward, purse: &dyn Purse, subject: impl Fn() -> Subject) -> Result<(), Refusal> {
    let Some(limit) = reward.limit else { return Ok(()) };
    let had = purse.had(reward, limit);
    if limit.times <= had {
        return Err(Refusal::short(subject(), Reason::RewardLimit, had.saturating_add(1), limit.times));
    }
    Ok(())
}

impl Cut {
    /// Whether it gives nothing. A product is given even where it costs nothing.
    fn is_nothing(&self) -> bool {
        match self {
            Cut::Whole { amount, .. } => *amount == 0,
            Cut::Items { shares, free, to_add } => {
                to_add.is_none() && shares.iter().all(|share| *share == 0) && free.iter().all(|free| *free == 0)
            }
        }
    }
}
