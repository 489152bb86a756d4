//! What an account has to redeem with.

use std::cell::RefCell;

use super::super::account::{Hold, VoucherState};
use super::super::answer::{Effect, Reason, Share};
use super::super::command::Redeem;
use super::super::counters::{Tally, bucket_of};
use super::super::desk::Desk;
use super::super::id::{CounterId, Label, OrderId, RewardId, UnitId, VoucherId};
use super::super::ledger::{Book, sum};
use super::super::order_record::OrderRecord;
use super::super::program::{CounterWindow, Levels, Reward, RewardLimit};
use super::super::redeem::{Purse, Redemption};
use super::super::stock::{self, StockItem};
use super::super::time::Instant;
use super::{Halt, OVERFLOW, Scene};

/// What an account may redeem on an order.
pub(super) struct Wallet<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) desk: &'a Desk,
    /// Reservations of other orders count against limits; `None`: it is about no order.
    pub(super) order: Option<&'a OrderId>,
    /// Levels are those of this instant.
    pub(super) at: Instant,
    /// Vouchers that stand whatever has become of them.
    pub(super) promised: Option<&'a Redeem>,
    /// Whoever was told of a price when reserving keeps it, whatever became of levels and limits.
    pub(super) kept: bool,
    /// Whether the reservation counted against limits until now: one that has lapsed does not.
    pub(super) counted: bool,
    /// Of the stock of rewards, what is there for the order already.
    pub(super) stock: RefCell<Vec<StockItem>>,
    /// Names what is done, the same for every resend: what is taken out of stock for it is taken once.
    pub(super) deed: &'a [&'a str],
    /// Where the rewards are had.
    pub(super) store: Option<&'a Label>,
    /// What the order itself earns and may be used on it, besides the balance.
    pub(super) own: &'a [(UnitId, i64)],
    /// What was redeemed on the order before.
    pub(super) before: &'a Before,
}

/// What stands on an order that is amended.
#[derive(Clone, Default)]
pub(super) struct Before {
    rewards: Vec<Reward>,
    /// Unit, how many, and how much they paid.
    paid: Vec<(UnitId, i64, i64)>,
    /// Whether the order counts as one with a discount.
    discounted: bool,
}

/// What an order is that was not amended.
pub(super) const NOTHING_BEFORE: &Before = &Before { rewards: Vec::new(), paid: Vec::new(), discounted: false };

impl Before {
    /// What was redeemed on an order and has not come back.
    pub(super) fn of(scene: &Scene<'_>, record: &OrderRecord) -> Result<Before, Halt> {
        let then = scene.timeline.at(record.committed_at).unwrap_or(scene.program);
        let orders = discounted_orders()?;
        let counted = record.counts.iter().any(|tally| tally.counter == orders && tally.reversed < tally.amount);
        let mut before = Before { discounted: counted, ..Before::default() };
        let line = |share: &Share| record.lines.iter().find(|line| line.line_id == share.line_id);
        let left = |shares: &[Share]| {
            shares.iter().fold(0i64, |sum, share| {
                let back = line(share).and_then(|line| line.returned_of(share.amount)).unwrap_or(0);
                sum.saturating_add(share.amount.saturating_sub(back))
            })
        };
        let amendments = record.amendments.iter().flat_map(|amendment| &amendment.decided.effects);
        for effect in record.decided.effects.iter().chain(amendments) {
            match effect {
                Effect::Discount(discount) => {
                    let rests_on = if discount.shares.is_empty() { &discount.free } else { &discount.shares };
                    let reward = scene.program.reward(&discount.reward).or_else(|| then.reward(&discount.reward));
                    if rests_on.is_empty() || 0 < left(rests_on) {
                        before.rewards.extend(reward.cloned());
                    }
                }
                Effect::Redeemed(paid) => {
                    let (units, minor) = (left(&paid.unit_shares), left(&paid.value_shares));
                    if 0 < units {
                        before.paid.push((paid.unit.clone(), units, minor));
                    }
                }
                _ => {}
            }
        }
        Ok(before)
    }
}

impl Purse for Wallet<'_> {
    fn available(&self, unit: &UnitId) -> i64 {
        let own = self.own.iter().find(|(known, _)| known == unit).map_or(0, |(_, units)| *units);
        self.desk.state.amount(unit, Book::Available).saturating_add(own)
    }

    fn voucher(&self, id: &VoucherId) -> Result<Reward, Reason> {
        let known = self.desk.state.voucher(id).ok_or(Reason::VoucherUnknown)?;
        let promised = self.promised.is_some_and(|redeem| redeem.vouchers.contains(id));
        if let Some(reason) = known.state.refusal().filter(|_| !promised) {
            return Err(reason);
        }
        let program = self.scene.timeline.at(known.terms_at).unwrap_or(self.scene.program);
        program.reward(&known.reward).cloned().ok_or(Reason::RewardUnknown)
    }

    fn voucher_price(&self, id: &VoucherId) -> Option<(UnitId, i64)> {
        let known = self.desk.state.voucher(id).filter(|known| known.state == VoucherState::Cancelled)?;
        let paid = known.bought.as_ref()?.paid.as_ref()?;
        Some((paid.unit.clone(), sum(&paid.parts)?))
    }

    fn standing(&self) -> Vec<Reward> {
        self.before.rewards.clone()
    }

    fn paid_before(&self) -> &[(UnitId, i64, i64)] {
        &self.before.paid
    }

    fn is_of_member(&self) -> bool {
        !self.desk.state.account.is_guest()
    }

    fn entitled(&self, reward: &Reward) -> bool {
        self.kept || self.has_level(&reward.tiers)
    }

    fn has_level(&self, levels: &[Levels]) -> bool {
        self.desk.state.has_level(self.scene.program, levels, self.at)
    }

    fn had(&self, reward: &Reward, limit: RewardLimit) -> i64 {
        if self.kept && self.counted {
            return 0;
        }
        let asked = |redeem: &Redeem| redeem.rewards.contains(&reward.id);
        self.counted(reward_counter(&reward.id), limit.per).saturating_add(self.reserved(asked))
    }

    fn discounted(&self, window: CounterWindow) -> i64 {
        if (self.kept && self.counted) || self.before.discounted {
            return 0;
        }
        let lowers =
            |redeem: &Redeem| !redeem.rewards.is_empty() || !redeem.vouchers.is_empty() || redeem.pay.is_some();
        self.counted(discounted_orders(), window).saturating_add(self.reserved(lowers))
    }

    fn take_stock(&self, reward: &Reward) -> Result<Option<StockItem>, i64> {
        if let Some(held) = stock::take_from(&mut self.stock.borrow_mut(), &reward.id) {
            return Ok(Some(held));
        }
        let Some((stock, quota)) = reward.stock_in(self.scene.program, self.store, self.at) else { return Ok(None) };
        self.scene.take_stock(stock, &quota, &[self.deed, &[reward.id.as_str()]].concat())?;
        Ok(Some(StockItem { reward: reward.id.clone(), quota }))
    }
}

impl Wallet<'_> {
    /// What is left of the stock of a reward.
    pub(super) fn stock_left(&self, reward: &Reward) -> Option<i64> {
        let (stock, quota) = reward.stock_in(self.scene.program, self.store, self.at)?;
        let here = self.stock.borrow().iter().any(|taken| taken.reward == reward.id);
        Some(self.scene.left_of(stock, &quota, &reward.id).saturating_add(i64::from(here)))
    }

    fn counted(&self, counter: Result<CounterId, Halt>, window: CounterWindow) -> i64 {
        let counted = |id: CounterId| self.desk.state.counted_around(self.scene.program, &id, window, self.at);
        counter.ok().map_or(0, counted)
    }

    /// Open reservations of other orders that ask for something.
    fn reserved(&self, asked: impl Fn(&Redeem) -> bool) -> i64 {
        let open = self.desk.state.holds.iter().filter(|hold| hold.is_open() && Some(&hold.order) != self.order);
        let asking = open.filter(|hold: &&Hold| hold.redeem.as_ref().is_some_and(&asked));
        i64::try_from(asking.count()).unwrap_or(i64::MAX)
    }
}

pub(super) fn reward_counter(reward: &RewardId) -> Result<CounterId, Halt> {
    CounterId::parse(&format!("reward:{reward}:times")).map_err(|_| OVERFLOW)
}

fn discounted_orders() -> Result<CounterId, Halt> {
    CounterId::parse("orders:discounted").map_err(|_| OVERFLOW)
}

/// What a redemption adds to the counters of limits. It stands until all of the order has come back.
pub(super) fn tallies(scene: &Scene<'_>, redemption: &Redemption, at: Instant) -> Result<Vec<Tally>, Halt> {
    let tally = |counter: CounterId, window: CounterWindow| {
        let day = bucket_of(window, at, &scene.program.zone);
        Tally { counter, day, amount: 1, shares: Vec::new(), reversed: 0 }
    };
    let mut made = Vec::new();
    for used in redemption.rewards.iter().filter(|used| used.voucher.is_none()) {
        if let Some(limit) = scene.program.reward(&used.reward).and_then(|reward| reward.limit) {
            made.push(tally(reward_counter(&used.reward)?, limit.per));
        }
    }
    if let Some((_, window)) = scene.program.redemption.rails.orders_max.filter(|_| redemption.is_discount()) {
        made.push(tally(discounted_orders()?, window));
    }
    Ok(made)
}

/// What a redemption on lines that come into an order adds: the order is one order with a discount all the same.
pub(super) fn more_tallies(
    scene: &Scene<'_>,
    redemption: &Redemption,
    known: &[Tally],
    at: Instant,
) -> Result<Vec<Tally>, Halt> {
    let orders = discounted_orders()?;
    let counted = known.iter().any(|tally| tally.counter == orders && tally.reversed < tally.amount);
    let mut made = tallies(scene, redemption, at)?;
    made.retain(|tally| !counted || tally.counter != orders);
    Ok(made)
}
