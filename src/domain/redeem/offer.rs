//! What is on offer: each reward with all that keeps a member from having it.

use super::till::{Till, on_offer, within_limit};
use super::{Cover, Purse, stack};
use crate::domain::answer::{Offer, Reason, Refusal, Subject};
use crate::domain::command::Redeem;
use crate::domain::conditions::money;
use crate::domain::id::UnitId;
use crate::domain::order::{Currency, Order};
use crate::domain::program::{ApplyOrder, Program, Reward, RewardBy, RewardKind};
use crate::domain::time::Instant;

/// What is on offer on an order, besides what is to be used on it already. What can be had could be had alone with that.
pub fn on_order(
    program: &Program,
    order: &Order,
    at: Instant,
    redeem: &Redeem,
    purse: &dyn Purse,
    stock_left: &dyn Fn(&Reward) -> Option<i64>,
) -> Vec<Offer> {
    let mut till = Till::new(program, order, at, purse, Cover::Balance);
    // What is refused takes nothing off.
    let in_order = stack::in_order(program, redeem, purse).into_iter();
    let refused: Vec<Refusal> = in_order.filter_map(|asked| till.take(asked).err()).collect();
    let beside = |reward: &Reward| {
        let with = Redeem { rewards: redeem.rewards.iter().chain([&reward.id]).cloned().collect(), ..redeem.clone() };
        let mut till = Till::new(program, order, at, purse, Cover::Balance);
        let mut amount_minor = None;
        let mut refusals = Vec::new();
        for asked in stack::in_order(program, &with, purse) {
            match till.take(asked) {
                Ok(used) if used.reward == reward.id && used.voucher.is_none() => {
                    amount_minor = Some(used.amount_minor)
                }
                Ok(_) => {}
                Err(refusal) if refused.contains(&refusal) => {}
                Err(refusal) => refusals.push(refusal),
            }
        }
        (amount_minor, refusals)
    };
    let apart = |reward: &Reward| matches!(reward.kind, RewardKind::HandedOver(_));
    let open = listed(program).filter(|reward| !redeem.rewards.contains(&reward.id) && !apart(reward));
    let offers = open.map(|reward| {
        let subject = || Subject::Reward(reward.id.clone());
        let price = reward.price_for(&|levels| purse.has_level(levels));
        let fits = till.fit(reward, subject);
        let amount_minor = fits.as_ref().ok().map(|(_, fitted)| fitted.shares.iter().sum());
        let refusals = [
            of_member(reward, at, purse),
            vec![
                till.stack.check(program, reward, subject),
                till.check_orders(subject),
                fits.map(|_| ()),
                till.check_spend(reward, subject),
                till.check_price(price.as_ref(), subject),
            ],
        ];
        let mut made = offer(reward, price, amount_minor, stock_left(reward), refusals.concat(), Some(order.currency));
        // What acts before others that are asked for takes from them, too.
        if program.redemption.apply == ApplyOrder::Listed && made.refusals.is_empty() {
            let (amount_minor, refusals) = beside(reward);
            (made.amount_minor, made.refusals) = (amount_minor, refusals);
        }
        made
    });
    offers.collect()
}

/// What can be asked for outside an order.
pub fn outside(
    program: &Program,
    at: Instant,
    purse: &dyn Purse,
    stock_left: &dyn Fn(&Reward) -> Option<i64>,
) -> Vec<Offer> {
    let offers = listed(program).map(|reward| {
        let price = reward.price_for(&|levels| purse.has_level(levels));
        let mut refusals = of_member(reward, at, purse);
        refusals.push(affords(reward, price.as_ref(), purse));
        offer(reward, price, None, stock_left(reward), refusals, None)
    });
    offers.collect()
}

/// Whether a reward can be had outside an order, but for its stock; the first reason why not.
pub fn check_outside(reward: &Reward, at: Instant, purse: &dyn Purse) -> Result<Option<(UnitId, i64)>, Refusal> {
    if reward.by != RewardBy::Request {
        return Err(Refusal::new(Subject::Reward(reward.id.clone()), Reason::OnlyByVoucher));
    }
    let price = reward.price_for(&|levels| purse.has_level(levels));
    of_member(reward, at, purse).into_iter().collect::<Result<(), Refusal>>()?;
    affords(reward, price.as_ref(), purse)?;
    Ok(price)
}

/// What rules alone hand out is a surprise: it is not listed.
fn listed(program: &Program) -> impl Iterator<Item = &Reward> {
    program.rewards.iter().filter(|reward| reward.by == RewardBy::Request)
}

/// Whether a reward is for this member, now and once more.
fn of_member(reward: &Reward, at: Instant, purse: &dyn Purse) -> Vec<Result<(), Refusal>> {
    let subject = || Subject::Reward(reward.id.clone());
    let offered = on_offer(reward, at, purse).map_err(|reason| Refusal::new(subject(), reason));
    vec![offered, within_limit(reward, purse, subject)]
}

fn affords(reward: &Reward, price: Option<&(UnitId, i64)>, purse: &dyn Purse) -> Result<(), Refusal> {
    let Some((unit, price)) = price else { return Ok(()) };
    let there = purse.available(unit);
    let refusal = || Refusal::short(Subject::Reward(reward.id.clone()), Reason::BalanceTooLow, *price, there);
    if there < *price { Err(refusal()) } else { Ok(()) }
}

fn offer(
    reward: &Reward,
    price: Option<(UnitId, i64)>,
    amount_minor: Option<i64>,
    stock_left: Option<i64>,
    checks: Vec<Result<(), Refusal>>,
    currency: Option<Currency>,
) -> Offer {
    let mut refusals: Vec<Refusal> = checks.into_iter().filter_map(Result::err).collect();
    refusals.dedup();
    if let Some(left) = stock_left.filter(|left| *left < 1) {
        refusals.push(Refusal::short(Subject::Reward(reward.id.clone()), Reason::OutOfStock, 1, left));
    }
    let nearest = match (refusals.as_slice(), currency, &price) {
        ([only], Some(currency), _) if only.reason == Reason::SpendTooLow => {
            only.missing().map(|missing| format!("{} more", money(currency, missing)))
        }
        ([only], _, Some((unit, _))) if only.reason == Reason::BalanceTooLow => {
            only.missing().map(|missing| format!("{missing} {unit} more"))
        }
        _ => None,
    };
    Offer {
        reward: reward.id.clone(),
        title: reward.title.clone(),
        price,
        ordinary_price: reward.price.clone(),
        amount_minor,
        stock_left,
        refusals,
        nearest: nearest.unwrap_or_default(),
    }
}
