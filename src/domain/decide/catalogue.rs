//! Rewards outside an order: what is on offer, and vouchers that members ask for, get, and give up.

use std::cell::RefCell;

use super::super::account::{AccountState, Bought, Voucher, VoucherIssue, VoucherState};
use super::super::answer::{
    Answer, CatalogueAnswer, Decided, Effect, Reason, Refusal, Subject, VoucherAnswer, VoucherEffect,
};
use super::super::command::{Catalogue, RedeemReward};
use super::super::counters::{CounterChange, bucket_of};
use super::super::desk::Desk;
use super::super::id::{AccountId, GrantId, Label, MemberId, OrderId, VoucherId};
use super::super::ledger::{Fact, Unhold, UnitParts};
use super::super::order_record::UseRecord;
use super::super::program::{Activity, Reward, RewardKind};
use super::super::redeem::{Cover, check_outside, on_order, outside, redeem as reduce, side_by_side};
use super::super::stock::StockItem;
use super::super::time::Instant;
use super::checkout::{check_enrolled, may_redeem, note_redeemed};
use super::giveback::{Back, back_of, revive};
use super::purse::{NOTHING_BEFORE, Wallet, reward_counter};
use super::{Decision, Halt, OVERFLOW, Scene, no, same_order};

/// What is on offer, as of the instant asked about.
pub(super) fn list(scene: &Scene<'_>, asked: &Catalogue) -> Result<Decision, Halt> {
    let at = scene.times.effective_at;
    scene.check_times(Subject::Member)?;
    let order_id = asked.order.as_ref().map(|order| &order.order_id);
    let mut desk = match &scene.snapshot.account_id {
        Some(_) => scene.desk()?,
        // What nobody in particular may have.
        None => {
            let nobody = OrderId::parse("nobody").map_err(|_| OVERFLOW)?;
            let guest = MemberId::guest(order_id.unwrap_or(&nobody));
            scene.desk_of(AccountState::new(AccountId::from(&guest)))?
        }
    };
    let held = order_id.and_then(|order| desk.state.hold(order)).map_or_else(Vec::new, |hold| hold.stock.clone());
    if let Some(order) = order_id {
        desk.unhold(order, Unhold::Committed, at)?;
    }
    let store = match &asked.order {
        Some(order) => order.store.as_ref(),
        None => asked.store.as_ref(),
    };
    let own = asked.order.as_ref().map_or(Ok(Vec::new()), |order| {
        same_order::usable(scene, &desk, order, |apart, more| {
            let wallet = Wallet { own: more, ..wallet(apart, &desk, order_id, store, held.clone()) };
            reduce(apart.program, order, at, &asked.redeem, &wallet, Cover::Balance)
        })
    })?;
    let wallet = Wallet { own: &own, ..wallet(scene, &desk, order_id, store, held) };
    let stock_left = |reward: &Reward| wallet.stock_left(reward);
    let offers = match &asked.order {
        Some(order) => on_order(scene.program, order, at, &asked.redeem, &wallet, &stock_left),
        None => outside(scene.program, at, &wallet, &stock_left),
    };
    let prices = asked.order.as_ref().map_or_else(Vec::new, |order| side_by_side(scene.program, order, &wallet));
    let answer = CatalogueAnswer { offers, prices, decided: scene.decided() };
    Ok(scene.unchanged(Answer::Catalogue(answer), false))
}

/// Gives a voucher for a reward, for the units that it costs.
pub(super) fn redeem(scene: &Scene<'_>, command: &RedeemReward) -> Result<Decision, Halt> {
    let at = scene.times.effective_at;
    let subject = || Subject::Reward(command.reward.clone());
    scene.check_times(subject())?;
    let mut desk = scene.desk()?;
    check_enrolled(scene, &desk)?;
    let reward = scene.program.reward(&command.reward).ok_or_else(|| no(subject(), Reason::RewardUnknown))?;
    let request = scene.request.map_or("preview", |request| request.as_str());
    let voucher = VoucherId::of(&desk.state.account, &GrantId::of(&["redeem", request]));
    if desk.state.voucher(&voucher).is_some() {
        // Asked for before, longer ago than answers are kept.
        return Ok(scene.unchanged(Answer::RedeemReward(answer(&desk, &voucher, false, scene.decided())), true));
    }
    if AccountState::VOUCHERS_OPEN_MAX <= desk.state.vouchers_open() {
        let max = AccountState::VOUCHERS_OPEN_MAX as i64;
        return Err(Refusal::short(subject(), Reason::TooManyVouchers, max + 1, max).into());
    }
    let price = check_outside(reward, at, &wallet(scene, &desk, None, command.store.as_ref(), Vec::new()))?;
    may_redeem(scene, &desk, price.iter().cloned().collect())?;
    // Last, so that nothing is set aside in vain.
    let (stock, code) = take_stock(scene, reward, command.store.as_ref(), request)?;
    let paid = price.map(|(unit, units)| {
        let parts = desk.state.book(&unit).map_or_else(Vec::new, |book| book.pick(units));
        UnitParts { unit, parts }
    });
    let counted_on = reward.limit.map(|limit| bucket_of(limit.per, at, &scene.program.zone));
    let valid_for = scene.program.vouchers.valid_for;
    let issue = VoucherIssue {
        voucher: voucher.clone(),
        reward: reward.id.clone(),
        terms_at: at,
        expires_at: valid_for.map_or(Instant::MAX, |period| period.after(at, &scene.program.zone)),
        bought: Some(Bought { paid: paid.clone(), stock, code, counted_on }),
    };
    desk.post(at, Fact::VoucherBought { issue })?;
    if let Some(paid) = &paid {
        desk.stir(scene.program, Some(&paid.unit), Activity::Redeem, at)?;
        note_redeemed(scene, &mut desk, &[use_of(paid)])?;
    }
    if let Some(day) = counted_on {
        desk.count(at, vec![CounterChange { counter: reward_counter(&reward.id)?, day, change: 1 }])?;
    }
    let mut decided = scene.decided();
    show(&desk, &voucher, &mut decided);
    desk.advance(scene.timeline)?;
    let answer = answer(&desk, &voucher, true, decided);
    Ok(scene.done(desk, Answer::RedeemReward(answer)))
}

/// Takes one of a reward out of its stock, and the code that it is.
fn take_stock(
    scene: &Scene<'_>,
    reward: &Reward,
    store: Option<&Label>,
    request: &str,
) -> Result<(Option<StockItem>, Option<Box<str>>), Halt> {
    let Some((stock, quota)) = reward.stock_in(scene.program, store, scene.times.effective_at) else {
        return Ok((None, None));
    };
    let none = |left| Refusal::short(Subject::Reward(reward.id.clone()), Reason::OutOfStock, 1, left);
    let number = scene.take_stock(stock, &quota, &["redeem", request]).map_err(none)?;
    let code = match &reward.kind {
        RewardKind::HandedOver(Some(codes)) => Some(codes.get(number.unwrap_or(0)).ok_or_else(|| none(0))?),
        _ => None,
    };
    Ok((Some(StockItem { reward: reward.id.clone(), quota }), code))
}

/// Notes that what a voucher is for was handed over outside an order.
pub(super) fn fulfil(scene: &Scene<'_>, voucher: &VoucherId) -> Result<Decision, Halt> {
    scene.check_times(Subject::Voucher(voucher.clone()))?;
    let mut desk = scene.desk()?;
    unused(&desk, voucher)?;
    desk.post(scene.times.effective_at, Fact::VoucherFulfilled { voucher: voucher.clone() })?;
    let mut decided = scene.decided();
    show(&desk, voucher, &mut decided);
    desk.advance(scene.timeline)?;
    let answer = answer(&desk, voucher, true, decided);
    Ok(scene.done(desk, Answer::FulfilVoucher(answer)))
}

/// Takes a voucher back that was not used, and gives back what was paid for it: units to their lots, what it had of a
/// stock to that stock. A code of somebody else that was shown goes back to nobody.
pub(super) fn cancel(scene: &Scene<'_>, voucher: &VoucherId) -> Result<Decision, Halt> {
    let at = scene.times.effective_at;
    scene.check_times(Subject::Voucher(voucher.clone()))?;
    let mut desk = scene.desk()?;
    let known = unused(&desk, voucher)?.clone();
    may_redeem(scene, &desk, Vec::new())?;
    let mut decided = scene.decided();
    let bought = known.bought.clone();
    let paid = bought.as_ref().and_then(|bought| bought.paid.as_ref());
    let (units, repaid, revived_until) = match paid {
        Some(paid) => {
            let Back { parts, lots, repaid, expired, revived_until } =
                back_of(scene, &desk, &use_of(paid), 0, paid.total())?;
            let (unit, amount) = (paid.unit.clone(), paid.total());
            decided.effects.push(Effect::Restored { unit: unit.clone(), amount, lots, repaid, expired });
            (Some(UnitParts { unit, parts }), repaid, revived_until)
        }
        None => (None, 0, None),
    };
    desk.post(at, Fact::VoucherGivenUp { voucher: voucher.clone(), units, repaid })?;
    if let Some(paid) = paid {
        revive(scene, &mut desk, &paid.unit, revived_until)?;
    }
    if let Some(Bought { stock, code, counted_on, .. }) = &bought {
        if let Some(day) = *counted_on {
            desk.count(at, vec![CounterChange { counter: reward_counter(&known.reward)?, day, change: -1 }])?;
        }
        desk.freed.extend(stock.clone().filter(|_| code.is_none()));
    }
    show(&desk, voucher, &mut decided);
    desk.advance(scene.timeline)?;
    let answer = answer(&desk, voucher, true, decided);
    Ok(scene.done(desk, Answer::CancelVoucher(answer)))
}

/// A voucher that can be used.
fn unused<'d>(desk: &'d Desk, voucher: &VoucherId) -> Result<&'d Voucher, Halt> {
    let subject = || Subject::Voucher(voucher.clone());
    let known = desk.state.voucher(voucher).ok_or_else(|| no(subject(), Reason::VoucherUnknown))?;
    match known.state.refusal() {
        Some(reason) => Err(no(subject(), reason)),
        None => Ok(known),
    }
}

fn use_of(paid: &UnitParts) -> UseRecord {
    UseRecord {
        unit: paid.unit.clone(),
        units: paid.total(),
        shares: Vec::new(),
        parts: paid.parts.clone(),
        debt: 0,
        restored: 0,
        forgiven: 0,
    }
}

fn wallet<'a>(
    scene: &'a Scene<'a>,
    desk: &'a Desk,
    order: Option<&'a OrderId>,
    store: Option<&'a Label>,
    held: Vec<StockItem>,
) -> Wallet<'a> {
    let at = scene.times.effective_at;
    Wallet {
        scene,
        desk,
        order,
        at,
        promised: None,
        kept: false,
        counted: true,
        stock: RefCell::new(held),
        deed: &["stock"],
        store,
        own: &[],
        before: NOTHING_BEFORE,
    }
}

fn show(desk: &Desk, voucher: &VoucherId, decided: &mut Decided) {
    let Some(Voucher { voucher, reward, state, expires_at, .. }) = desk.state.voucher(voucher).cloned() else { return };
    decided.effects.push(Effect::Voucher(VoucherEffect { voucher, reward, state, expires_at, rule: None, kind: None }));
}

fn answer(desk: &Desk, voucher: &VoucherId, changed: bool, decided: Decided) -> VoucherAnswer {
    let voucher = desk.state.voucher(voucher).cloned().map(Box::new);
    VoucherAnswer { changed, voucher, decided, balances: desk.state.balances() }
}

impl VoucherState {
    /// Why a voucher cannot be used.
    pub(super) fn refusal(self) -> Option<Reason> {
        match self {
            VoucherState::Issued => None,
            VoucherState::Held => Some(Reason::VoucherHeld),
            VoucherState::Used => Some(Reason::VoucherUsed),
            VoucherState::Expired => Some(Reason::VoucherExpired),
            VoucherState::Cancelled => Some(Reason::VoucherCancelled),
        }
    }
}
