//! What a redemption takes and gives: rewards first, in the order asked, then units as payment. Every reduction is
//! split over the lines it acts on; parts sum to the whole and no line falls below zero.

use super::answer::{Reason, Refusal, Subject};
use super::command::{PayAmount, PayWithUnits, Redeem, RedeemMode};
use super::id::{RewardId, UnitId, VoucherId};
use super::money::{Ratio, Rounding, share_floor, split};
use super::order::{Line, LineKind, Order};
use super::program::{
    ItemPrice, ItemsOff, PaymentTerms, PerCurrency, PercentOff, Pick, Program, Reward, RewardKind, Selector, SettlesAs,
};
use super::time::Instant;

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

impl Redemption {
    pub fn is_empty(&self) -> bool {
        self.rewards.is_empty() && self.payment.is_none()
    }

    /// What rewards take off each line.
    pub fn discounts(&self, lines: usize) -> Vec<i64> {
        let mut sums = vec![0i64; lines];
        for used in &self.rewards {
            sums.iter_mut().zip(&used.shares).for_each(|(sum, share)| *sum += share);
        }
        sums
    }

    /// Items of each line that rewards give for free.
    pub fn free_items(&self, lines: usize) -> Vec<i64> {
        let mut sums = vec![0i64; lines];
        for used in &self.rewards {
            sums.iter_mut().zip(&used.free).for_each(|(sum, free)| *sum += free);
        }
        sums
    }

    /// What units pay of each line.
    pub fn payments(&self, lines: usize) -> Vec<i64> {
        self.payment.as_ref().map_or_else(|| vec![0; lines], |payment| payment.shares.clone())
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

/// Works out a redemption on an order at an instant: vouchers first, then rewards, then units as payment.
pub fn redeem(
    program: &Program,
    order: &Order,
    at: Instant,
    redeem: &Redeem,
    purse: &Purse<'_>,
    cover: Cover,
) -> Redemption {
    let remaining = order.lines.iter().map(|line| line.amount_minor).collect();
    let free = vec![0; order.lines.len()];
    let mut till = Till { program, order, at, remaining, used: Vec::new(), purse, cover, free };
    let mut done = Redemption::default();
    for id in &redeem.vouchers {
        match till.voucher(id) {
            Ok(used) => done.rewards.push(used),
            Err(refusal) => {
                done.refusals.push(refusal);
                done.falls_short = true;
            }
        }
    }
    for id in &redeem.rewards {
        match till.reward(id) {
            Ok(used) => done.rewards.push(used),
            Err(refusal) => {
                done.refusals.push(refusal);
                done.falls_short = true;
            }
        }
    }
    if let Some(pay) = &redeem.pay {
        match till.pay(pay, redeem.mode) {
            Ok(used) => done.payment = Some(used),
            Err(refusal) => {
                done.refusals.push(refusal);
                done.falls_short |= matches!(pay.amount, PayAmount::Exactly(_));
            }
        }
    }
    done
}

/// What the account has to redeem with.
pub struct Purse<'a> {
    /// Units that may be used.
    pub available: &'a dyn Fn(&UnitId) -> i64,
    /// What a voucher is for, by the terms that it was issued under; or why it cannot be used.
    pub voucher: &'a dyn Fn(&VoucherId) -> Result<Reward, Reason>,
    /// Whether the member's level allows a reward; vouchers are not asked.
    pub entitled: &'a dyn Fn(&Reward) -> bool,
}

struct Till<'a> {
    program: &'a Program,
    order: &'a Order,
    at: Instant,
    /// What each line still costs.
    remaining: Vec<i64>,
    /// Units that rewards before have used.
    used: Vec<(UnitId, i64)>,
    purse: &'a Purse<'a>,
    cover: Cover,
    /// Items of each line that rewards have given for free.
    free: Vec<i64>,
}

impl Till<'_> {
    fn available(&self, unit: &UnitId) -> i64 {
        let used = self.used.iter().filter(|(of, _)| of == unit).fold(0i64, |sum, (_, n)| sum.saturating_add(*n));
        (self.purse.available)(unit).saturating_sub(used).max(0)
    }

    /// What each line can still give: nothing where the selector does not reach. Stored value is never reduced:
    /// units would turn into money.
    fn payable(&self, selector: &Selector) -> Vec<i64> {
        let lines = self.order.lines.iter().zip(&self.remaining);
        lines
            .map(|(line, left)| if selector.selects(line) && line.kind != LineKind::GiftCard { *left } else { 0 })
            .collect()
    }

    fn reduce(&mut self, shares: &[i64]) {
        self.remaining.iter_mut().zip(shares).for_each(|(left, share)| *left -= share);
    }

    fn voucher(&mut self, id: &VoucherId) -> Result<RewardUse, Refusal> {
        let subject = || Subject::Voucher(id.clone());
        let reward = (self.purse.voucher)(id).map_err(|reason| Refusal::new(subject(), reason))?;
        let used = self.give(&Reward { price: None, ..reward }, subject)?;
        Ok(RewardUse { voucher: Some(id.clone()), ..used })
    }

    fn reward(&mut self, id: &RewardId) -> Result<RewardUse, Refusal> {
        let subject = || Subject::Reward(id.clone());
        let no = |reason| Refusal::new(subject(), reason);
        let program = self.program;
        let reward: &Reward = program.reward(id).ok_or_else(|| no(Reason::RewardUnknown))?;
        if reward.by_voucher {
            return Err(no(Reason::OnlyByVoucher));
        }
        let begun = reward.starts_at.is_none_or(|from| from <= self.at);
        let over = reward.ends_at.is_some_and(|until| until <= self.at);
        if !begun || over {
            return Err(no(Reason::RewardNotActive));
        }
        if !(self.purse.entitled)(reward) {
            return Err(no(Reason::TierTooLow));
        }
        self.give(reward, subject)
    }

    fn give(&mut self, reward: &Reward, subject: impl Fn() -> Subject) -> Result<RewardUse, Refusal> {
        let no = |reason| Refusal::new(subject(), reason);
        let off = self.off(reward).map_err(no)?;
        let amount_minor: i64 = off.shares.iter().sum();
        if amount_minor == 0 {
            return Err(no(Reason::NoMatchingLine));
        }
        if let Some(spend_min) = &reward.spend_min {
            let required = spend_min.get(self.order.currency).ok_or_else(|| no(Reason::CurrencyNotListed))?;
            let counts = |line: &&Line| line.kind != LineKind::GiftCard && reward.lines.selects(line);
            let selected = self.order.lines.iter().filter(counts);
            let spent: i64 = selected.map(|line| line.amount_minor).sum();
            if spent < required {
                return Err(Refusal::short(subject(), Reason::SpendTooLow, required, spent));
            }
        }
        if let Some((unit, price)) = &reward.price {
            let there = self.available(unit);
            if there < *price && self.cover == Cover::Balance {
                return Err(Refusal::short(subject(), Reason::BalanceTooLow, *price, there));
            }
            self.used.push((unit.clone(), *price));
        }
        let Off { shares, free } = off;
        let unit_shares = reward.price.as_ref().map_or_else(|| vec![0; shares.len()], |(_, n)| split(*n, &shares));
        self.reduce(&shares);
        self.free.iter_mut().zip(&free).for_each(|(sum, more)| *sum += more);
        let (reward, price) = (reward.id.clone(), reward.price.clone());
        Ok(RewardUse { reward, amount_minor, shares, price, unit_shares, voucher: None, free })
    }

    /// What a reward takes off each line.
    fn off(&self, reward: &Reward) -> Result<Off, Reason> {
        let currency = self.order.currency;
        let listed = |amount: &PerCurrency| amount.get(currency).ok_or(Reason::CurrencyNotListed);
        let most = |amount: &Option<PerCurrency>| amount.as_ref().map_or(Ok(i64::MAX), &listed);
        let weights = self.payable(&reward.lines);
        let cost: i64 = weights.iter().sum();
        let whole = |amount: i64, weights: &[i64]| {
            let shares = split(amount, weights);
            Off { free: vec![0; shares.len()], shares }
        };
        match &reward.kind {
            RewardKind::AmountOff(off) => Ok(whole(listed(off)?.min(cost), &weights)),
            RewardKind::PercentOff(PercentOff { share_bps, at_most, rounding }) => {
                let part = percent(cost, *share_bps, *rounding).ok_or(Reason::OutOfBounds)?;
                Ok(whole(part.min(cost).min(most(at_most)?), &weights))
            }
            RewardKind::FreeShipping { at_most } => {
                let lines = self.order.lines.iter().zip(weights);
                let shipping: Vec<i64> =
                    lines.map(|(line, left)| if line.kind == LineKind::Shipping { left } else { 0 }).collect();
                let cost: i64 = shipping.iter().sum();
                Ok(whole(cost.min(most(at_most)?), &shipping))
            }
            RewardKind::Items(terms) => self.items_off(terms, &weights),
        }
    }

    /// Items one by one, from the cheapest or the dearest on; of equal ones, those of the earlier line. An item of a
    /// line costs the line's amount by its items: what that leaves over stays on the line.
    fn items_off(&self, terms: &ItemsOff, weights: &[i64]) -> Result<Off, Reason> {
        let lines = self.order.lines.iter().zip(weights).zip(&self.free).enumerate();
        let mut found: Vec<(usize, i64, i64)> = lines
            .filter(|(_, ((line, left), free))| 0 < **left && **free < line.quantity)
            .map(|(at, ((line, left), free))| (at, *left, line.quantity - free))
            .collect();
        found.sort_by(|(a, a_left, a_items), (b, b_left, b_items)| {
            let dearer =
                (i128::from(*a_left) * i128::from(*b_items)).cmp(&(i128::from(*b_left) * i128::from(*a_items)));
            let wanted = if terms.pick == Pick::Cheapest { dearer } else { dearer.reverse() };
            wanted.then(a.cmp(b))
        });
        let there: i64 = found.iter().map(|(_, _, items)| items).sum();
        let rounds = terms.for_each.map_or(1, |each| there / each.max(1));
        let mut left = terms.items.map_or(there, |items| items.saturating_mul(rounds).min(there));
        let mut off = Off { shares: vec![0; weights.len()], free: vec![0; weights.len()] };
        for (at, amount, items) in found {
            let here = left.min(items);
            left -= here;
            let part = share_floor(amount, here, items).ok_or(Reason::OutOfBounds)?;
            let taken = match &terms.to {
                ItemPrice::Free => part,
                ItemPrice::Fixed(price) => {
                    let price = price.get(self.order.currency).ok_or(Reason::CurrencyNotListed)?;
                    part.saturating_sub(price.saturating_mul(here)).max(0)
                }
                ItemPrice::PercentOff { share_bps, rounding } => {
                    percent(part, *share_bps, *rounding).ok_or(Reason::OutOfBounds)?.min(part)
                }
            };
            if let (Some(share), Some(free)) = (off.shares.get_mut(at), off.free.get_mut(at)) {
                *share = taken;
                *free = if terms.to == ItemPrice::Free { here } else { 0 };
            }
        }
        Ok(off)
    }

    fn pay(&mut self, pay: &PayWithUnits, mode: RedeemMode) -> Result<PaymentUse, Refusal> {
        let unit = pay.unit.clone().or_else(|| self.program.units.first().map(|terms| terms.unit.clone()));
        let unit = unit.unwrap_or_else(UnitId::points);
        let subject = || Subject::Payment(unit.clone());
        let no = |reason| Refusal::new(subject(), reason);
        let terms: &PaymentTerms =
            self.program.payments.iter().find(|terms| terms.unit == unit).ok_or_else(|| no(Reason::UnitNotPayable))?;
        let worth = terms.worth.get(self.order.currency).ok_or_else(|| no(Reason::CurrencyNotListed))?;
        let weights = self.payable(&terms.lines);
        let cost: i64 = weights.iter().sum();
        if cost == 0 {
            return Err(no(Reason::NoMatchingLine));
        }
        let value_max = i128::from(cost) * i128::from(terms.share_bps_max) / 10_000;
        let by_share = floor_to(value_max * i128::from(terms.units) / i128::from(worth.max(1)), terms.step);
        let there = self.available(&unit);
        let least = terms.units_min.max(terms.step);
        let units = match (pay.amount, mode) {
            (PayAmount::Exactly(wanted), RedeemMode::AllOrNothing) => {
                if wanted % terms.step.max(1) != 0 {
                    return Err(Refusal { required: Some(terms.step), ..Refusal::new(subject(), Reason::NotAStep) });
                }
                if wanted < terms.units_min {
                    return Err(Refusal::short(subject(), Reason::BelowMinimum, terms.units_min, wanted));
                }
                if by_share < wanted {
                    return Err(Refusal::short(subject(), Reason::AboveShare, wanted, by_share));
                }
                if there < wanted && self.cover == Cover::Balance {
                    return Err(Refusal::short(subject(), Reason::BalanceTooLow, wanted, there));
                }
                wanted
            }
            (PayAmount::Exactly(wanted) | PayAmount::AtMost(wanted), _) => {
                self.most(subject, wanted.min(by_share), terms.step, least, there)?
            }
            (PayAmount::AllPossible, _) => self.most(subject, by_share, terms.step, least, there)?,
        };
        let value = i128::from(units) * i128::from(worth) / i128::from(terms.units.max(1));
        let value_minor = i64::try_from(value).map_err(|_| no(Reason::OutOfBounds))?;
        let shares = split(value_minor, &weights);
        let unit_shares = split(units, &shares);
        self.reduce(&shares);
        Ok(PaymentUse { unit, units, value_minor, settles_as: terms.settles_as, shares, unit_shares })
    }

    /// As many units as possible up to `most`, in whole steps.
    fn most(
        &self,
        subject: impl Fn() -> Subject,
        most: i64,
        step: i64,
        least: i64,
        there: i64,
    ) -> Result<i64, Refusal> {
        let covered = if self.cover == Cover::Balance { most.min(there) } else { most };
        let units = floor_to(i128::from(covered), step);
        if least <= units {
            return Ok(units);
        }
        if covered < most {
            return Err(Refusal::short(subject(), Reason::BalanceTooLow, least, there));
        }
        Err(Refusal::short(subject(), Reason::BelowMinimum, least, most))
    }
}

/// What a reward takes off, and which items are free by it; by line.
struct Off {
    shares: Vec<i64>,
    free: Vec<i64>,
}

fn percent(amount: i64, share_bps: i64, rounding: Rounding) -> Option<i64> {
    let numerator = i128::from(amount) * i128::from(share_bps);
    rounding.apply(Ratio { numerator, denominator: 10_000 })
}

/// The largest multiple of `step` that is at most `value` and fits, for values from zero on.
fn floor_to(value: i128, step: i64) -> i64 {
    let step = i128::from(step.max(1));
    let fits = value.clamp(0, i128::from(i64::MAX));
    i64::try_from(fits / step * step).unwrap_or(0)
}
