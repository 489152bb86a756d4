//! What a redemption takes and gives: rewards first, then units as payment. Every reduction is split over the lines it
//! acts on; parts sum to the whole, no line falls below zero, and none below what guard rails leave.

use super::answer::{PriceUse, Reason, Refusal};
use super::command::{PayAmount, Redeem};
use super::id::{RewardId, Sku, UnitId, VoucherId};
use super::order::{Line, Order};
use super::program::{CounterWindow, Levels, Program, Reward, RewardLimit, SettlesAs};
use super::stock::StockItem;
use super::time::Instant;
pub use offer::{check_outside, on_order, outside};
pub use prices::side_by_side;
use till::Till;

mod items;
mod offer;
mod pay;
mod prices;
mod rails;
mod recorded;
mod reduce;
mod stack;
mod till;

/// What covers the units that a redemption needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cover {
    /// The balance: more is refused.
    Balance,
    /// The shopper has paid on the strength of it: what the balance does not cover becomes debt.
    Debt,
}

/// What a redemption comes to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Redemption {
    /// What lines cost a member less, whatever is redeemed.
    pub prices: Vec<PriceUse>,
    pub rewards: Vec<RewardUse>,
    pub payment: Option<PaymentUse>,
    pub refusals: Vec<Refusal>,
    /// Whether a refusal concerns something asked for exactly.
    pub falls_short: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RewardUse {
    pub reward: RewardId,
    pub amount_minor: i64,
    /// By line; sums to `amount_minor`.
    pub shares: Vec<i64>,
    pub price: Option<(UnitId, i64)>,
    /// By line; sums to the price.
    pub unit_shares: Vec<i64>,
    /// By which it is given, instead of for its price.
    pub voucher: Option<VoucherId>,
    /// Items given for free, by line.
    pub free: Vec<i64>,
    /// What it would take off but for guard rails.
    pub desired_minor: i64,
    /// The guard rail that lowered it.
    pub rail: Option<Reason>,
    /// Items of a product that it gives and the order lacks.
    pub to_add: Option<(Sku, i64)>,
    /// What it takes of the reward's stock.
    pub stock: Option<StockItem>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentUse {
    pub unit: UnitId,
    pub units: i64,
    pub value_minor: i64,
    pub settles_as: SettlesAs,
    /// By line; sums to `value_minor`.
    pub shares: Vec<i64>,
    /// By line; sums to `units`.
    pub unit_shares: Vec<i64>,
}

impl RewardUse {
    /// What has to come back before it counts as returned, by line: what it took off, or where that is nothing the items that
    /// it gave. All zero: it rests on no line, but on the whole order.
    pub fn rests_on(&self) -> &[i64] {
        if self.shares.iter().any(|share| 0 < *share) { &self.shares } else { &self.free }
    }
}

impl Redemption {
    pub fn is_empty(&self) -> bool {
        self.rewards.is_empty() && self.payment.is_none()
    }

    /// What it takes of the stock of rewards.
    pub fn stock(&self) -> Vec<StockItem> {
        self.rewards.iter().filter_map(|used| used.stock.clone()).collect()
    }

    /// What member prices and rewards take off a line.
    pub fn discount(&self, at: usize, line: &Line) -> i64 {
        let mine = self.prices.iter().filter(|used| used.line_id == line.line_id);
        let by_price =
            mine.fold(0i64, |sum, used| sum.saturating_add(used.ordinary_minor.saturating_sub(used.member_minor)));
        by_price + self.rewards.iter().filter_map(|used| used.shares.get(at)).sum::<i64>()
    }

    /// Items of each line that rewards give for free.
    pub fn free_items(&self, lines: usize) -> Vec<i64> {
        let mut sums = vec![0i64; lines];
        for used in &self.rewards {
            sums.iter_mut().zip(&used.free).for_each(|(sum, free)| *sum += free);
        }
        sums
    }

    /// What items of a line given for free would have cost.
    pub fn given(&self, at: usize) -> i64 {
        let gives = self.rewards.iter().filter(|used| used.free.get(at).is_some_and(|free| 0 < *free));
        gives.filter_map(|used| used.shares.get(at)).sum()
    }

    /// Whether the price falls for the member.
    pub fn is_discount(&self) -> bool {
        let lowers = |payment: &PaymentUse| payment.settles_as == SettlesAs::Discount && payment.value_minor != 0;
        self.rewards.iter().any(|used| used.amount_minor != 0) || self.payment.as_ref().is_some_and(lowers)
    }

    /// What units pay of a line.
    pub fn payment(&self, at: usize) -> i64 {
        self.payment.as_ref().and_then(|payment| payment.shares.get(at)).copied().unwrap_or(0)
    }

    /// Units needed, by unit.
    pub fn units(&self) -> Vec<(UnitId, i64)> {
        let mut needed: Vec<(UnitId, i64)> = Vec::new();
        let prices = self.rewards.iter().filter_map(|used| used.price.clone());
        let payment = self.payment.iter().map(|payment| (payment.unit.clone(), payment.units));
        for (unit, units) in prices.chain(payment) {
            match needed.iter_mut().find(|(known, _)| *known == unit) {
                Some((_, sum)) => *sum = sum.saturating_add(units),
                None => needed.push((unit, units)),
            }
        }
        needed
    }
}

/// What the account has to redeem with.
pub trait Purse {
    /// Units that may be used.
    fn available(&self, unit: &UnitId) -> i64;
    /// What a voucher is for, by the terms that it was issued under; or why it cannot be used.
    fn voucher(&self, id: &VoucherId) -> Result<Reward, Reason>;
    /// What was given for a voucher and has been given back since: it is due again where the voucher stands all the same.
    fn voucher_price(&self, id: &VoucherId) -> Option<(UnitId, i64)>;
    /// Rewards that stand on the order already, before what is redeemed now.
    fn standing(&self) -> Vec<Reward>;
    /// What units have paid of the order already: unit, how many, and how much.
    fn paid_before(&self) -> &[(UnitId, i64, i64)];
    /// Whether it is a member's: guests pay the ordinary price.
    fn is_of_member(&self) -> bool;
    /// Whether the member's level allows a reward; vouchers are not asked.
    fn entitled(&self, reward: &Reward) -> bool;
    /// Whether the member has such levels: for what rewards cost.
    fn has_level(&self, levels: &[Levels]) -> bool;
    /// How often the account has had a reward in the window of its limit, open reservations included.
    fn had(&self, reward: &Reward, limit: RewardLimit) -> i64;
    /// Orders with a discount in a window, open reservations included.
    fn discounted(&self, window: CounterWindow) -> i64;
    /// Takes one of a reward out of its stock: `None` where that has no end. `Err`: what is left is too little.
    fn take_stock(&self, reward: &Reward) -> Result<Option<StockItem>, i64>;
}

/// Works out a redemption on an order at an instant: vouchers and rewards, then units as payment.
pub fn redeem(
    program: &Program,
    order: &Order,
    at: Instant,
    redeem: &Redeem,
    purse: &dyn Purse,
    cover: Cover,
) -> Redemption {
    // Mostly nothing is redeemed, and nothing costs a member less.
    if redeem.is_nothing() && program.member_prices.is_empty() {
        return Redemption::default();
    }
    let mut till = Till::new(program, order, at, purse, cover);
    let mut done = Redemption { prices: till.member_prices.clone(), ..Redemption::default() };
    for asked in stack::in_order(program, redeem, purse) {
        match till.take(asked) {
            Ok(used) => done.rewards.push(used),
            Err(refusal) => {
                done.refusals.push(refusal);
                done.falls_short = true;
            }
        }
    }
    done.refusals.append(&mut till.short_of_stock);
    if let Some(pay) = &redeem.pay {
        match till.pay(pay, redeem.mode) {
            Ok((used, shortfall)) => {
                done.payment = Some(used);
                done.refusals.extend(shortfall);
            }
            Err(refusal) => {
                done.refusals.push(refusal);
                done.falls_short |= matches!(pay.amount, PayAmount::Exactly(_));
            }
        }
    }
    done
}
