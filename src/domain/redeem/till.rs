//! The till: takes one reward after the other off the lines, and remembers what that leaves.

use super::items::Cart;
use super::prices;
use super::rails::{Fitted, Room, is_reducible};
use super::reduce::{Cut, cut, listed};
use super::stack::{Asked, Stack};
use super::{Cover, Purse, RewardUse};
use crate::domain::answer::{PriceUse, Reason, Refusal, Subject};
use crate::domain::id::{RewardId, UnitId};
use crate::domain::money::split;
use crate::domain::order::{Line, LineKind, Order};
use crate::domain::program::{Program, Reward, RewardBy, RewardKind, Selector};
use crate::domain::stock::StockItem;
use crate::domain::time::Instant;

pub(super) struct Till<'a> {
    pub(super) program: &'a Program,
    pub(super) order: &'a Order,
    pub(super) at: Instant,
    /// What each line cost the member before all rewards.
    pub(super) prices: Vec<i64>,
    /// What each line still costs.
    pub(super) remaining: Vec<i64>,
    /// Items of each line that rewards have given for free.
    pub(super) free: Vec<i64>,
    /// Units that rewards before have used.
    pub(super) used: Vec<(UnitId, i64)>,
    pub(super) room: Room,
    /// What lines cost the member less.
    pub(super) member_prices: Vec<PriceUse>,
    pub(super) stack: Stack,
    pub(super) purse: &'a dyn Purse,
    pub(super) cover: Cover,
    /// Of rewards that stand though none of them is left.
    pub(super) short_of_stock: Vec<Refusal>,
}

impl<'a> Till<'a> {
    pub(super) fn new(
        program: &'a Program,
        order: &'a Order,
        at: Instant,
        purse: &'a dyn Purse,
        cover: Cover,
    ) -> Till<'a> {
        let ordinary: Vec<i64> = order.lines.iter().map(|line| line.amount_minor).collect();
        let mut room = Room::new(&program.redemption.rails, order, &ordinary);
        let member_prices = prices::take(program, order, purse, &mut room);
        let cost = |line: &Line| {
            let mine = member_prices.iter().find(|used| used.line_id == line.line_id);
            mine.map_or(line.amount_minor, |used| used.member_minor)
        };
        let prices: Vec<i64> = order.lines.iter().map(cost).collect();
        let mut stack = Stack::default();
        purse.standing().iter().for_each(|reward| stack.add(reward));
        stack.units_paid = !purse.paid_before().is_empty();
        Till {
            program,
            order,
            at,
            remaining: prices.clone(),
            free: vec![0; prices.len()],
            used: Vec::new(),
            room,
            member_prices,
            stack,
            purse,
            cover,
            short_of_stock: Vec::new(),
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
                let due = self.purse.voucher_price(id);
                let reward = Reward { price: due.clone(), tier_prices: Vec::new(), ..reward };
                let mut used = RewardUse { voucher: Some(id.clone()), ..self.give(&reward, subject)? };
                if due.is_some() {
                    // It stands all the same.
                    used.stock = self.stock_of(&reward, true, subject)?;
                }
                self.keep(&reward, &used);
                Ok(used)
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
        let mut used = self.give(reward, &subject)?;
        // Last, so that nothing is set aside in vain.
        used.stock = self.stock_of(reward, self.cover == Cover::Debt, &subject)?;
        self.keep(reward, &used);
        Ok(used)
    }

    /// One out of the stock of a reward. What has been promised stands where none is left, and what is missing is told.
    fn stock_of(
        &mut self,
        reward: &Reward,
        promised: bool,
        subject: impl Fn() -> Subject,
    ) -> Result<Option<StockItem>, Refusal> {
        match self.purse.take_stock(reward) {
            Ok(stock) => Ok(stock),
            Err(left) => {
                let refusal = Refusal::short(subject(), Reason::OutOfStock, 1, left);
                if !promised {
                    return Err(refusal);
                }
                self.short_of_stock.push(refusal);
                Ok(None)
            }
        }
    }

    /// What a reward gives as the order stands; nothing is taken yet.
    fn give(&self, reward: &Reward, subject: impl Fn() -> Subject) -> Result<RewardUse, Refusal> {
        self.stack.check(self.program, reward, &subject)?;
        self.check_orders(&subject)?;
        let fits = self.fit(reward, &subject);
        // What takes nothing off is told before what is not spent.
        if !matches!(&fits, Err(refusal) if is_of_lines(refusal.reason)) {
            self.check_spend(reward, &subject)?;
        }
        let (cut, Fitted { shares, desired, rail }) = fits?;
        let price = reward.price_for(&|levels| self.purse.has_level(levels));
        if self.cover == Cover::Balance {
            self.check_price(price.as_ref(), &subject)?;
        }
        let (free, to_add) = match cut {
            Cut::Whole { .. } => (vec![0; shares.len()], None),
            Cut::Items { free, to_add, .. } => (free, to_add),
        };
        let spread = |(_, units): &(UnitId, i64)| self.spread(*units, &shares, &free);
        let unit_shares = price.as_ref().map_or_else(|| vec![0; shares.len()], spread);
        Ok(RewardUse {
            reward: reward.id.clone(),
            amount_minor: shares.iter().sum(),
            shares,
            price,
            unit_shares,
            voucher: None,
            free,
            desired_minor: desired,
            rail,
            to_add,
            stock: None,
        })
    }

    /// Takes what a reward gives off the order.
    fn keep(&mut self, reward: &Reward, used: &RewardUse) {
        self.used.extend(used.price.clone());
        self.reduce(&used.shares);
        self.room.use_up(&used.shares);
        self.stack.add(reward);
        self.free.iter_mut().zip(&used.free).for_each(|(sum, more)| *sum += more);
    }

    /// What a reward takes off, as far as guard rails let it.
    pub(super) fn fit(&self, reward: &Reward, subject: impl Fn() -> Subject) -> Result<(Cut, Fitted), Refusal> {
        let no = |reason| Refusal::new(subject(), reason);
        let redemption = &self.program.redemption;
        let cart = self.cart();
        let reach = cart.reach(&reward.lines);
        if self.order.lines.is_empty() {
            return Err(no(Reason::NoMatchingLine));
        }
        let cut = cut(&reward.kind, &cart, &reach, redemption.percent_of).map_err(no)?;
        if cut.is_nothing() {
            return Err(no(self.why_nothing(reward)));
        }
        let fitted = self.room.fit(&cut, redemption.rails.on_reach);
        let fitted = fitted.map_err(|(rail, wanted, left)| Refusal::short(subject(), rail, wanted, left))?;
        Ok((cut, fitted))
    }

    /// Whether the lines cost what a reward asks.
    pub(super) fn check_spend(&self, reward: &Reward, subject: impl Fn() -> Subject) -> Result<(), Refusal> {
        let Some(spend_min) = &reward.spend_min else { return Ok(()) };
        let required = listed(spend_min, self.order.currency).map_err(|reason| Refusal::new(subject(), reason))?;
        let counts = |line: &&Line| line.kind != LineKind::GiftCard && reward.lines.selects(line);
        let spent: i64 = self.order.lines.iter().filter(counts).map(|line| line.amount_minor).sum();
        if spent < required {
            return Err(Refusal::short(subject(), Reason::SpendTooLow, required, spent));
        }
        Ok(())
    }

    /// Whether there are as many units as a reward costs.
    pub(super) fn check_price(
        &self,
        price: Option<&(UnitId, i64)>,
        subject: impl Fn() -> Subject,
    ) -> Result<(), Refusal> {
        let Some((unit, price)) = price else { return Ok(()) };
        let there = self.available(unit);
        if there < *price {
            return Err(Refusal::short(subject(), Reason::BalanceTooLow, *price, there));
        }
        Ok(())
    }

    /// How a price in units falls on the lines: as the reduction does; where nothing is reduced, for what is given costs
    /// nothing, on the items given; and where those are yet to be added, as the order's lines cost.
    fn spread(&self, units: i64, shares: &[i64], free: &[i64]) -> Vec<i64> {
        for weights in [shares, free] {
            if weights.iter().any(|weight| 0 < *weight) {
                return split(units, weights);
            }
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

/// Whether a reason says that a reward finds nothing to take off, whatever the order costs.
fn is_of_lines(reason: Reason) -> bool {
    !matches!(reason, Reason::FloorPrice | Reason::DiscountShareMax)
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
