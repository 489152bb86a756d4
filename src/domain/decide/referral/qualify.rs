//! When a referral has come to something, what it pays, and what takes that back.
//!
//! What counts towards it (orders, spend, commission) are counters of the friend's account that no program can name, and
//! an order remembers what it added to them, by line. So what comes back is taken off exactly, in whatever steps.

use std::sync::Arc;

use super::super::super::answer::{Decided, Effect, Granted, Reason, ReferralState, Refusal, Subject};
use super::super::super::command::{Brought, Commit, Outgoing, Sides, Transfer};
use super::super::super::counters::{CounterChange, Tally, in_first};
use super::super::super::desk::{Desk, dates};
use super::super::super::earn::{Earned, Plan};
use super::super::super::id::{
    AccountId, CampaignId, CounterId, EventId, GrantId, Label, ReferralId, ReturnId, RuleId, UnitId,
};
use super::super::super::ledger::{Dates, Fact};
use super::super::super::money::{share_floor, split};
use super::super::super::order::Order;
use super::super::super::order_record::{OrderRecord, Returned, SentGrantRecord};
use super::super::super::program::{Campaign, Commission, GrantTo, Kind, LifeTerms, Program, Qualify, SideReward};
use super::super::super::quota::QuotaKey;
use super::super::super::referral::{Owed, QualifiedBy, Referral, RejectedFor, SideGrant, Via};
use super::super::super::time::{Day, Instant};
use super::super::super::value;
use super::super::checkout::grant_dated;
use super::super::giveback::{TakeBack, take_back};
use super::super::{Halt, OVERFLOW, Scene, elsewhere};
use super::attribute::take_codes;
use super::{review, suspect};

/// What an order has brought about for a referral.
#[derive(Default)]
pub(in super::super) struct OnOrder {
    pub(in super::super) transfers: Vec<Transfer>,
    pub(in super::super) outgoing: Vec<Outgoing>,
    /// What it added to counters, for its record.
    pub(in super::super) counts: Vec<Tally>,
    /// Commission, for its record.
    pub(in super::super) sent_grants: Vec<SentGrantRecord>,
}

/// Everything of one account is counted in one bucket where no window asks for more.
const WHENEVER: Day = Day(0);

/// The referral side of an order: takes its codes, then sees whether the order qualifies the referral, and what the
/// advocate gets of it.
pub(in super::super) fn on_order(
    scene: &Scene<'_>,
    desk: &mut Desk,
    command: &Commit,
    earned: &Earned,
    decided: &mut Decided,
) -> Result<OnOrder, Halt> {
    let mut done = OnOrder::default();
    if let Ok(member) = scene.acting(&desk.state) {
        suspect::keep(scene, desk, &member, &command.signals)?;
    }
    take_codes(scene, desk, &command.codes, &Via::Checkout, decided, &mut done)?;
    suspect::look_again(scene, desk, decided)?;
    let at = scene.times.effective_at;
    // What counts is when the order happened: one that is told of late qualifies although the time has run out.
    if let Some((referral, terms)) = open(scene, desk, at).or_else(|| settled(scene, desk, at)) {
        count_order(scene, desk, &referral, terms, &command.order, earned, decided, &mut done)?;
    } else if let Some(referral) = too_late(desk, at) {
        let subject = Subject::Referral(referral.referral.clone());
        decided.refusals.push(Refusal::new(subject, Reason::ReferralExpired));
    }
    pay_commission(scene, desk, &command.order, earned, decided, &mut done)?;
    Ok(done)
}

/// The referral that something at an instant may qualify, and its terms: those of the day on which the friend came.
fn open<'s>(scene: &'s Scene<'_>, desk: &Desk, at: Instant) -> Option<(Referral, &'s Campaign)> {
    let is_open = |referral: &&Referral| {
        let undecided = matches!(referral.state, ReferralState::Attributed | ReferralState::Expired);
        undecided && referral.attributed_at <= at && at < referral.qualify_by
    };
    let referral = desk.state.referrals().find(is_open)?.clone();
    let terms = terms_of(scene, &referral)?;
    Some((referral, terms))
}

/// The referral that has qualified and goes on counting while it might have qualified: so a return takes nothing back as
/// long as what is kept meets the terms.
fn settled<'s>(scene: &'s Scene<'_>, desk: &Desk, at: Instant) -> Option<(Referral, &'s Campaign)> {
    let counts = |referral: &&Referral| {
        referral.state == ReferralState::Qualified && referral.attributed_at <= at && at < referral.qualify_by
    };
    let referral = desk.state.referrals().find(counts)?.clone();
    let terms = terms_of(scene, &referral).filter(|terms| terms.claw_back)?;
    Some((referral, terms))
}

/// The referral for which an order comes too late. The first that does says so; of those after it nobody asks any more.
fn too_late(desk: &Desk, at: Instant) -> Option<&Referral> {
    let is_over = |referral: &&Referral| {
        let over = referral.state == ReferralState::Expired && referral.qualify_by <= at;
        over && desk.state.ordered_at < referral.qualify_by
    };
    desk.state.referrals().find(is_over)
}

/// Whether friend and advocate have one account by now. Nobody brings themselves, whenever they became one.
fn is_oneself(desk: &Desk, referral: &Referral) -> bool {
    referral.credits().iter().any(|(advocate, _)| desk.state.is_home_of(advocate))
}

fn oneself(referral: &Referral) -> Refusal {
    Refusal::new(Subject::Referral(referral.referral.clone()), Reason::SelfReferral)
}

/// Refuses to review what friend and advocate, who are one by now, would pay themselves, and what no longer meets the terms.
pub(super) fn may_be_paid(
    scene: &Scene<'_>,
    desk: &Desk,
    referral: &Referral,
    terms: &Campaign,
) -> Result<(), Refusal> {
    if is_oneself(desk, referral) {
        return Err(oneself(referral));
    }
    let still = still_met(scene, desk, terms, Some(&referral.referral));
    if terms.claw_back && !still {
        return Err(Refusal::new(Subject::Referral(referral.referral.clone()), Reason::ReferralConditionNotMet));
    }
    Ok(())
}

/// Whether what is kept meets the terms: once for each referral of the account that has qualified, of which there are several
/// where friends have become one account. `besides`: one that counts as if it had.
fn still_met(scene: &Scene<'_>, desk: &Desk, terms: &Campaign, besides: Option<&ReferralId>) -> bool {
    let qualified = desk.state.referrals().filter(|known| {
        let qualified = known.state == ReferralState::Qualified || Some(&known.referral) == besides;
        qualified && known.campaign == terms.id
    });
    let many = i64::try_from(qualified.count()).unwrap_or(i64::MAX).max(1);
    let so_far = |what: &str| desk.state.counted_ever(&CounterId::referral(&terms.id, what));
    match terms.qualify {
        Qualify::Orders(number) => number.saturating_mul(many) <= so_far("orders"),
        // A threshold of nothing is missed only when nothing is kept.
        Qualify::Spend => in_first_of(scene, terms).unwrap_or(0).max(1).saturating_mul(many) <= so_far("spend"),
        Qualify::SignUp | Qualify::Event(_) => true,
    }
}

pub(super) fn terms_of<'s>(scene: &'s Scene<'_>, referral: &Referral) -> Option<&'s Campaign> {
    scene.timeline.at(referral.attributed_at)?.campaign(&referral.campaign)
}

#[expect(clippy::too_many_arguments, reason = "an order, the referral that it is held against, and what comes of both")]
fn count_order(
    scene: &Scene<'_>,
    desk: &mut Desk,
    referral: &Referral,
    terms: &Campaign,
    order: &Order,
    earned: &Earned,
    decided: &mut Decided,
    done: &mut OnOrder,
) -> Result<(), Halt> {
    let at = scene.times.effective_at;
    let is_open = referral.state != ReferralState::Qualified;
    let Some(currency) = scene.program.earning_currency(order.currency, at) else { return Ok(()) };
    let Some(required) = terms.spend_min.get(currency) else { return Ok(()) };
    let spent = total(&earned.earning)?;
    let met = match terms.qualify {
        Qualify::Orders(_) if spent < required => {
            if is_open {
                decided.refusals.push(below(referral, required, spent));
            }
            return Ok(());
        }
        Qualify::Orders(number) => {
            let counter = CounterId::referral(&terms.id, "orders");
            let tally = Tally { counter, day: WHENEVER, amount: 1, shares: Vec::new(), reversed: 0 };
            number <= count(desk, tally, at, done)?
        }
        Qualify::Spend => {
            let Some(amount) = in_first(scene.program, order, spent, at) else { return Ok(()) };
            let counter = CounterId::referral(&terms.id, "spend");
            let shares = split(amount, &earned.earning);
            let so_far = count(desk, Tally { counter, day: WHENEVER, amount, shares, reversed: 0 }, at, done)?;
            let required = in_first_of(scene, terms).unwrap_or(required);
            if is_open && so_far < required {
                decided.refusals.push(below(referral, required, so_far));
            }
            required <= so_far
        }
        Qualify::SignUp | Qualify::Event(_) => false,
    };
    if is_open && met {
        qualify(scene, desk, &referral.referral, QualifiedBy::Order(order.order_id.clone()), decided, done)?;
    }
    Ok(())
}

/// What all orders together must come to, in the program's first currency.
fn in_first_of(scene: &Scene<'_>, terms: &Campaign) -> Option<i64> {
    terms.spend_min.get(*scene.program.currencies.first()?)
}

fn below(referral: &Referral, required: i64, there: i64) -> Refusal {
    Refusal::short(Subject::Referral(referral.referral.clone()), Reason::ReferralConditionNotMet, required, there)
}

/// Counts, and answers what there is then.
fn count(desk: &mut Desk, tally: Tally, at: Instant, done: &mut OnOrder) -> Result<i64, Halt> {
    desk.count(at, vec![tally.change()])?;
    let counted = desk.state.counted_ever(&tally.counter);
    done.counts.push(tally);
    Ok(counted)
}

fn total(amounts: &[i64]) -> Result<i64, Halt> {
    amounts.iter().try_fold(0i64, |sum, n| sum.checked_add(*n)).ok_or(OVERFLOW)
}

/// A claim was made: where that is all it takes, it has qualified.
pub(super) fn on_claim(
    scene: &Scene<'_>,
    desk: &mut Desk,
    referral: &ReferralId,
    campaign: &Campaign,
    decided: &mut Decided,
    done: &mut OnOrder,
) -> Result<(), Halt> {
    if campaign.qualify == Qualify::SignUp {
        qualify(scene, desk, referral, QualifiedBy::SignUp, decided, done)?;
    }
    Ok(())
}

/// An event happened.
pub(in super::super) fn on_event(
    scene: &Scene<'_>,
    desk: &mut Desk,
    event: &EventId,
    kind: &Label,
    decided: &mut Decided,
) -> Result<Vec<Transfer>, Halt> {
    let mut done = OnOrder::default();
    if let Some((referral, terms)) = open(scene, desk, scene.times.effective_at)
        && terms.qualify == Qualify::Event(kind.clone())
    {
        qualify(scene, desk, &referral.referral, QualifiedBy::Event(event.clone()), decided, &mut done)?;
    }
    Ok(done.transfers)
}

fn qualify(
    scene: &Scene<'_>,
    desk: &mut Desk,
    id: &ReferralId,
    by: QualifiedBy,
    decided: &mut Decided,
    done: &mut OnOrder,
) -> Result<(), Halt> {
    let same = desk.state.referrals().find(|known| known.referral == *id && is_oneself(desk, known)).map(oneself);
    if let Some(refusal) = same {
        decided.refusals.push(refusal);
        return reject(scene, desk, id, RejectedFor::Oneself, decided);
    }
    desk.post(scene.times.effective_at, Fact::Qualified { referral: id.clone(), by })?;
    decided.effects.push(Effect::Referral { referral: id.clone(), state: ReferralState::Qualified });
    pay(scene, desk, id, decided, &mut done.transfers)
}

/// Pays both sides, once it is qualified and confirmed.
pub(super) fn pay(
    scene: &Scene<'_>,
    desk: &mut Desk,
    id: &ReferralId,
    decided: &mut Decided,
    transfers: &mut Vec<Transfer>,
) -> Result<(), Halt> {
    let ready = |known: &&Referral| {
        let waits = known.paid || known.review.is_some();
        known.referral == *id && known.state == ReferralState::Qualified && known.confirmed && !waits
    };
    let Some(referral) = desk.state.referrals().find(ready).cloned() else { return Ok(()) };
    let Some(terms) = terms_of(scene, &referral) else { return Ok(()) };
    if is_oneself(desk, &referral) {
        decided.refusals.push(oneself(&referral));
        return reject(scene, desk, id, RejectedFor::Oneself, decided);
    }
    if referral.is_flagged() {
        decided.refusals.push(Refusal::new(Subject::Referral(id.clone()), Reason::ReferralInReview));
        return review::open(scene, desk, terms, &referral);
    }
    match pay_sides(scene, desk, &referral, terms, Sides::BOTH, decided, transfers)? {
        Some(refusal) => {
            decided.refusals.push(refusal);
            reject(scene, desk, id, RejectedFor::Budget, decided)
        }
        None => Ok(()),
    }
}

/// Pays sides of a referral, as of when it qualified. What the budget does not cover is refused, and nothing is paid.
pub(super) fn pay_sides(
    scene: &Scene<'_>,
    desk: &mut Desk,
    referral: &Referral,
    terms: &Campaign,
    sides: Sides,
    decided: &mut Decided,
    transfers: &mut Vec<Transfer>,
) -> Result<Option<Refusal>, Halt> {
    let id = &referral.referral;
    let (now, at) = (scene.times.effective_at, referral.qualified_at.unwrap_or(scene.times.effective_at));
    let of_friend = terms.friend.as_ref().filter(|_| sides.friend);
    let of_advocate = terms.advocate.as_ref().filter(|_| sides.advocate);
    let all = total(&[of_friend, of_advocate].map(|side| side.map_or(0, |side| side.units)))?;
    if let Some(budget) = terms.budget.filter(|_| 0 < all) {
        let quota = QuotaKey::ever(&scene.program.id, &["referral", terms.id.as_str()]);
        let side = match sides {
            Sides { friend: true, advocate: false } => Some("friend"),
            Sides { friend: false, .. } => Some("advocate"),
            Sides::BOTH => None,
        };
        let deed: Vec<&str> = ["referral", id.as_str()].into_iter().chain(side).collect();
        let taken = scene.take(all, vec![scene.want(quota, &deed, budget, true)]);
        if taken.granted < all {
            let left = taken.short.unwrap_or(0);
            return Ok(Some(Refusal::short(Subject::Referral(id.clone()), Reason::ReferralBudgetSpent, all, left)));
        }
    }
    let friend = match of_friend {
        Some(side) => Some(grant_side(scene, desk, terms, id, side, at, decided)?),
        None => None,
    };
    desk.post(now, Fact::ReferralPaid { referral: id.clone(), friend })?;
    if let Some(side) = of_advocate {
        let dates = held(scene, terms, &side.unit, side.life.as_ref(), at);
        for (place, (target, units)) in shared(referral, side.units).into_iter().enumerate() {
            // Who shares with so many that nothing is left for them is still told of the friend.
            if units == 0 && 0 < place {
                continue;
            }
            let (grant, unit, revision) = (referral.grant_of(place), side.unit.clone(), 1);
            if terms.for_partners {
                let (campaign, due_at) = (terms.id.clone(), due(scene, dates.activates_at));
                let fact = Fact::Accrued { grant, campaign, partner: target, unit, revision, change: units, due_at };
                desk.post(now, fact)?;
                continue;
            }
            desk.post(
                now,
                Fact::Sent {
                    grant: grant.clone(),
                    target: target.clone(),
                    unit: unit.clone(),
                    revision,
                    change: units,
                },
            )?;
            transfers.push(Transfer {
                target,
                grant,
                rule: rule_of(&terms.id)?,
                kind: Kind::Advocacy,
                unit,
                revision,
                net: units,
                activates_at: dates.activates_at,
                expires_at: dates.expires_at,
                effective_at: now,
                brought: Some(Brought::by_friend(referral, units, at).for_place(place)),
            });
        }
    }
    Ok(None)
}

/// What each of those who have the credit gets of so many units: the parts sum exactly.
fn shared(referral: &Referral, units: i64) -> Vec<(AccountId, i64)> {
    let credits = referral.credits();
    let weights: Vec<i64> = credits.iter().map(|(_, ppm)| *ppm).collect();
    credits.into_iter().map(|(advocate, _)| advocate.clone()).zip(split(units, &weights)).collect()
}

/// The campaign stands where a rule would: its id names what granted.
pub(super) fn rule_of(campaign: &CampaignId) -> Result<RuleId, Halt> {
    RuleId::parse(campaign.as_str()).map_err(|_| OVERFLOW)
}

/// The dates of a reward: what is held back becomes spendable as a day begins, so an account with any number of friends
/// has as many pending lots as the hold has days.
pub(super) fn held(scene: &Scene<'_>, terms: &Campaign, unit: &UnitId, life: Option<&LifeTerms>, at: Instant) -> Dates {
    held_by(scene.program, terms, unit, life, at)
}

fn held_by(program: &Arc<Program>, terms: &Campaign, unit: &UnitId, life: Option<&LifeTerms>, at: Instant) -> Dates {
    let zone = &program.zone;
    let from = terms.hold.map_or(at, |hold| {
        let over = hold.after(at, zone);
        let day = Day::at(over, zone);
        if day.begins(zone) == over { over } else { day.begins_next(zone) }
    });
    dates(program, unit, life, from)
}

/// Whether what a friend brings is a partner's.
pub(in super::super) fn is_for_partners(scene: &Scene<'_>, brought: &Brought) -> bool {
    let terms = scene.timeline.at(brought.terms_at).and_then(|program| program.campaign(&brought.campaign));
    terms.is_some_and(|terms| terms.for_partners)
}

/// When what a partner has coming falls due: as the day begins, so that there is one sum for each.
pub(in super::super) fn due(scene: &Scene<'_>, from: Instant) -> Instant {
    due_by(scene.program, from)
}

fn due_by(program: &Program, from: Instant) -> Instant {
    let zone = &program.zone;
    let day = Day::at(from, zone);
    if day.begins(zone) == from { from } else { day.begins_next(zone) }
}

/// When a partner's reward for a referral falls due, by the dates of the program as it was when the referral qualified; `None`:
/// it is not a partner's, or there is none.
pub fn partner_due(program: &Arc<Program>, terms: &Campaign, qualified_at: Instant) -> Option<Instant> {
    let side = terms.advocate.as_ref().filter(|_| terms.for_partners)?;
    let dates = held_by(program, terms, &side.unit, side.life.as_ref(), qualified_at);
    Some(due_by(program, dates.activates_at))
}

fn grant_side(
    scene: &Scene<'_>,
    desk: &mut Desk,
    terms: &Campaign,
    referral: &ReferralId,
    side: &SideReward,
    at: Instant,
    decided: &mut Decided,
) -> Result<SideGrant, Halt> {
    let plan = Plan {
        rule: rule_of(&terms.id)?,
        kind: Kind::Advocacy,
        unit: side.unit.clone(),
        amount: side.units,
        shares: Vec::new(),
        life: side.life.clone(),
        to: GrantTo::Account,
        builds: None,
    };
    let dates = held(scene, terms, &side.unit, side.life.as_ref(), at);
    let grant = GrantId::of(&["referral", referral.as_str(), "friend"]);
    let granted: Granted = grant_dated(scene, desk, grant, &plan, dates)?;
    let valued = value::of_kind(scene.program, plan.kind, &plan.unit, plan.amount, dates.activates_at);
    desk.count(scene.times.effective_at, valued.into_iter().collect())?;
    let side = SideGrant { grant: granted.grant.clone(), unit: plan.unit, amount: plan.amount, reversed: 0, dates };
    decided.effects.push(Effect::Granted(granted));
    Ok(side)
}

/// The advocate's part of an order, as long as there is one.
fn pay_commission(
    scene: &Scene<'_>,
    desk: &mut Desk,
    order: &Order,
    earned: &Earned,
    decided: &mut Decided,
    done: &mut OnOrder,
) -> Result<(), Halt> {
    let at = scene.times.effective_at;
    let qualified = |referral: &&Referral| referral.state == ReferralState::Qualified && referral.attributed_at <= at;
    let Some(referral) = desk.state.referrals().find(qualified).cloned() else { return Ok(()) };
    let Some(terms) = terms_of(scene, &referral) else { return Ok(()) };
    let is_out = referral.advocate_is_out() || is_oneself(desk, &referral);
    let Some(commission) = terms.commission.as_ref().filter(|_| !is_out) else { return Ok(()) };
    let zone = &scene.program.zone;
    if commission.within.is_some_and(|within| within.after(referral.attributed_at, zone) <= at) {
        return Ok(());
    }
    let orders = CounterId::referral(&terms.id, "commissioned");
    if commission.orders_max.is_some_and(|most| most <= desk.state.counted_ever(&orders)) {
        return Ok(());
    }
    let Some(amount) = commission_of(scene, desk, terms, commission, order, earned)? else { return Ok(()) };
    let owed = referral.owed.iter().filter(|owed| owed.target == referral.advocate).count();
    if !referral.sends() && Referral::OWED_MAX <= owed {
        let subject = Subject::Referral(referral.referral.clone());
        decided.refusals.push(Refusal::new(subject, Reason::TooLarge));
        return Ok(());
    }
    let shares = split(amount, &earned.earning);
    count(desk, Tally { counter: orders, day: WHENEVER, amount: 1, shares: Vec::new(), reversed: 0 }, at, done)?;
    let counter = CounterId::referral(&terms.id, "commission");
    count(desk, Tally { counter, day: WHENEVER, amount, shares, reversed: 0 }, at, done)?;
    let cause = ["commission", referral.referral.as_str(), order.order_id.as_str()];
    send_commission(scene, desk, &referral, terms, commission, (&cause, amount, &earned.earning), decided, done)
}

/// Commission goes on its way to each of those who have the credit, or waits until it may. It falls on lines by `weights`.
#[expect(clippy::too_many_arguments, reason = "the referral, its terms, and what comes of both")]
fn send_commission(
    scene: &Scene<'_>,
    desk: &mut Desk,
    referral: &Referral,
    terms: &Campaign,
    commission: &Commission,
    (cause, amount, weights): (&[&str], i64, &[i64]),
    decided: &mut Decided,
    done: &mut OnOrder,
) -> Result<(), Halt> {
    let at = scene.times.effective_at;
    let dates = held(scene, terms, &commission.unit, commission.life.as_ref(), at);
    for (place, (target, amount)) in shared(referral, amount).into_iter().enumerate() {
        if amount == 0 {
            continue;
        }
        let number = place.to_string();
        let name: Vec<&str> = cause.iter().copied().chain((0 < place).then_some(number.as_str())).collect();
        let record = SentGrantRecord {
            grant: GrantId::of(&name),
            rule: rule_of(&terms.id)?,
            kind: Kind::Advocacy,
            target: target.clone(),
            unit: commission.unit.clone(),
            amount,
            dates,
            shares: split(amount, weights),
            revision: u32::from(referral.sends()),
            reversed: 0,
            brought: Some(Brought::by_order(referral, amount, at).for_place(place)),
        };
        if referral.sends() {
            done.outgoing.extend(elsewhere::send(scene, desk, &record, amount, amount, decided)?);
        } else {
            let (referral, grant, unit) = (referral.referral.clone(), record.grant.clone(), record.unit.clone());
            desk.post(at, Fact::CommissionOwed { referral, grant, target, unit, change: amount, dates })?;
            decided.effects.push(elsewhere::shown(&record, amount, amount));
        }
        done.sent_grants.push(record);
    }
    Ok(())
}

/// The referral side of an amendment: what came in counts as if it had been ordered at once, and what no longer meets the
/// terms is taken back. `places`: lines from before.
pub(in super::super) fn on_amend(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &mut OrderRecord,
    amendment: &ReturnId,
    places: usize,
    decided: &mut Decided,
) -> Result<OnOrder, Halt> {
    let mut done = OnOrder::default();
    let came_in = places < record.lines.len();
    let counted = |known: &&Referral| {
        let spend = CounterId::referral(&known.campaign, "spend");
        known.state == ReferralState::Qualified && record.counts.iter().any(|tally| tally.counter == spend)
    };
    // What has qualified by the spend of this order among others goes on counting it: an exchange takes nothing back.
    let settled = desk.state.referrals().find(counted).cloned();
    let settled = settled.and_then(|known| terms_of(scene, &known).map(|terms| (known, terms)));
    let counting = open(scene, desk, record.committed_at).or(settled).filter(|_| came_in);
    if let Some((referral, terms)) = counting {
        count_amended(scene, desk, &referral, terms, record, places, decided, &mut done)?;
        record.counts.append(&mut done.counts);
    }
    on_return(scene, desk, record, amendment, decided, &mut done.transfers)?;
    if came_in {
        more_commission(scene, desk, record, amendment, places, decided, &mut done)?;
        record.counts.append(&mut done.counts);
        record.sent_grants.append(&mut done.sent_grants);
    }
    Ok(done)
}

/// Of each line what earns, of those that came in alone.
fn added(record: &OrderRecord, places: usize) -> Vec<i64> {
    let lines = record.lines.iter().enumerate();
    lines.map(|(at, line)| if at < places { 0 } else { line.earning_minor }).collect()
}

/// What of an order is kept and earns.
fn kept(record: &OrderRecord) -> Result<i64, Halt> {
    let earning: Vec<i64> = record.lines.iter().map(|line| line.earning_minor).collect();
    let back = record.returned_of(&earning).ok_or(OVERFLOW)?;
    total(&earning)?.checked_sub(back).ok_or(OVERFLOW)
}

#[expect(clippy::too_many_arguments, reason = "an order, the referral that it is held against, and what comes of both")]
fn count_amended(
    scene: &Scene<'_>,
    desk: &mut Desk,
    referral: &Referral,
    terms: &Campaign,
    record: &OrderRecord,
    places: usize,
    decided: &mut Decided,
    done: &mut OnOrder,
) -> Result<(), Halt> {
    let (now, at) = (scene.times.effective_at, record.committed_at);
    let is_open = referral.state != ReferralState::Qualified;
    let Some(then) = scene.timeline.at(at) else { return Ok(()) };
    let Some(currency) = then.earning_currency(record.currency, at) else { return Ok(()) };
    let Some(required) = terms.spend_min.get(currency) else { return Ok(()) };
    let met = match terms.qualify {
        Qualify::Orders(number) if is_open => {
            let counter = CounterId::referral(&terms.id, "orders");
            let counted = record.counts.iter().any(|t| t.counter == counter && t.reversed < t.amount);
            let there = kept(record)?;
            if !counted && there < required {
                decided.refusals.push(below(referral, required, there));
            }
            let counts = !counted && required <= there;
            let tally = Tally { counter, day: WHENEVER, amount: 1, shares: Vec::new(), reversed: 0 };
            counts && number <= count(desk, tally, now, done)?
        }
        Qualify::Spend => {
            let earning = added(record, places);
            let Some(amount) = in_first(then, &record.order(), total(&earning)?, at) else { return Ok(()) };
            let counter = CounterId::referral(&terms.id, "spend");
            let shares = split(amount, &earning);
            let so_far = count(desk, Tally { counter, day: WHENEVER, amount, shares, reversed: 0 }, now, done)?;
            is_open && in_first_of(scene, terms).unwrap_or(required) <= so_far
        }
        Qualify::Orders(_) | Qualify::SignUp | Qualify::Event(_) => false,
    };
    if met {
        qualify(scene, desk, &referral.referral, QualifiedBy::Order(record.order_id.clone()), decided, done)?;
    }
    Ok(())
}

/// The advocate's part of an order as it is now, less what stands of it: so it is rounded once, whatever came and went.
fn more_commission(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &OrderRecord,
    amendment: &ReturnId,
    places: usize,
    decided: &mut Decided,
    done: &mut OnOrder,
) -> Result<(), Halt> {
    let at = record.committed_at;
    let qualified = |referral: &&Referral| referral.state == ReferralState::Qualified && referral.attributed_at <= at;
    let Some(referral) = desk.state.referrals().find(qualified).cloned() else { return Ok(()) };
    let Some(terms) = terms_of(scene, &referral) else { return Ok(()) };
    let is_out = referral.advocate_is_out() || is_oneself(desk, &referral);
    let Some(commission) = terms.commission.as_ref().filter(|_| !is_out) else { return Ok(()) };
    let brought = |sent: &&SentGrantRecord| sent.brought.as_ref().is_some_and(|of| of.referral == referral.referral);
    let standing: Vec<i64> = record
        .sent_grants
        .iter()
        .filter(brought)
        .map(|sent| sent.amount.checked_sub(sent.reversed).ok_or(OVERFLOW))
        .collect::<Result<_, _>>()?;
    let is_first = standing.is_empty();
    // An order from before it qualified brings nothing, unless it is this one that has qualified it.
    if is_first && referral.order() != Some(&record.order_id) {
        return Ok(());
    }
    let Some(then) = scene.timeline.at(at) else { return Ok(()) };
    let Some(base) = in_first(then, &record.order(), kept(record)?, at) else { return Ok(()) };
    let whole = share_floor(commission.bps, base.max(0), 10_000).ok_or(OVERFLOW)?;
    let before = desk.state.counted_ever(&CounterId::referral(&terms.id, "commission"));
    let left = commission.units_max.map_or(i64::MAX, |most| most.saturating_sub(before));
    let amount = whole.checked_sub(total(&standing)?).ok_or(OVERFLOW)?.min(left);
    if amount <= 0 {
        return Ok(());
    }
    let owed = referral.owed.iter().filter(|owed| owed.target == referral.advocate).count();
    if !referral.sends() && Referral::OWED_MAX <= owed {
        let subject = Subject::Referral(referral.referral.clone());
        decided.refusals.push(Refusal::new(subject, Reason::TooLarge));
        return Ok(());
    }
    let whole_lines = record.lines.iter().map(|line| match line.returned {
        Returned::None => line.earning_minor,
        Returned::Quantity(_) | Returned::Amount(_) | Returned::All => 0,
    });
    let weights = if is_first { whole_lines.collect() } else { added(record, places) };
    let shares = split(amount, &weights);
    let now = scene.times.effective_at;
    if is_first {
        let counter = CounterId::referral(&terms.id, "commissioned");
        count(desk, Tally { counter, day: WHENEVER, amount: 1, shares: Vec::new(), reversed: 0 }, now, done)?;
    }
    let counter = CounterId::referral(&terms.id, "commission");
    count(desk, Tally { counter, day: WHENEVER, amount, shares, reversed: 0 }, now, done)?;
    let order = record.order_id.as_str();
    let cause = ["commission", referral.referral.as_str(), order, "amended", amendment.as_str()];
    send_commission(scene, desk, &referral, terms, commission, (&cause, amount, &weights), decided, done)
}

/// So many units; `None`: nothing.
fn commission_of(
    scene: &Scene<'_>,
    desk: &Desk,
    terms: &Campaign,
    commission: &Commission,
    order: &Order,
    earned: &Earned,
) -> Result<Option<i64>, Halt> {
    let at = scene.times.effective_at;
    let Some(base) = in_first(scene.program, order, total(&earned.earning)?, at) else { return Ok(None) };
    let amount = share_floor(commission.bps, base.max(0), 10_000).ok_or(OVERFLOW)?;
    let before = desk.state.counted_ever(&CounterId::referral(&terms.id, "commission"));
    let left = commission.units_max.map_or(i64::MAX, |most| most.saturating_sub(before));
    Ok(Some(amount.min(left)).filter(|amount| 0 < *amount))
}

/// Commission that waited for the claim to be confirmed goes on its way.
pub(super) fn send_owed(
    scene: &Scene<'_>,
    desk: &mut Desk,
    referral: &Referral,
    outgoing: &mut Vec<Outgoing>,
) -> Result<(), Halt> {
    if is_oneself(desk, referral) {
        return Ok(());
    }
    for Owed { grant, target, unit, net, dates, effective_at } in referral.owed.iter().filter(|owed| 0 < owed.net) {
        let place = usize::from(*target != referral.advocate);
        let record = SentGrantRecord {
            grant: grant.clone(),
            rule: rule_of(&referral.campaign)?,
            kind: Kind::Advocacy,
            target: target.clone(),
            unit: unit.clone(),
            amount: *net,
            dates: *dates,
            shares: Vec::new(),
            revision: 1,
            reversed: 0,
            brought: Some(Brought::by_order(referral, *net, *effective_at).for_place(place)),
        };
        outgoing.extend(elsewhere::send(scene, desk, &record, *net, *net, &mut scene.decided())?);
    }
    Ok(())
}

/// Whether something was sent to an advocate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Unsent {
    No,
    /// It waits for the claim to be confirmed.
    Owed,
    /// It never will be: the claim was rejected.
    Void,
}

/// What of a grant comes back: if it was not sent yet, less of it is owed.
pub(in super::super) fn unsent(
    scene: &Scene<'_>,
    desk: &mut Desk,
    sent: &SentGrantRecord,
    change: i64,
) -> Result<Unsent, Halt> {
    let Some(brought) = sent.brought.as_ref().filter(|_| sent.revision == 0) else { return Ok(Unsent::No) };
    let referral = desk.state.referrals().find(|known| known.referral == brought.referral);
    let Some(referral) = referral else { return Ok(Unsent::Void) };
    if referral.sends() {
        return Ok(Unsent::No);
    }
    if !referral.owed.iter().any(|owed| owed.grant == sent.grant) {
        return Ok(Unsent::Void);
    }
    let referral = referral.referral.clone();
    let (grant, target, unit) = (sent.grant.clone(), sent.target.clone(), sent.unit.clone());
    let dates = sent.dates;
    desk.post(scene.times.effective_at, Fact::CommissionOwed { referral, grant, target, unit, change, dates })?;
    Ok(Unsent::Owed)
}

/// The referral side of a return: if what is kept no longer meets the terms, what was paid is taken back.
pub(in super::super) fn on_return(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &mut OrderRecord,
    return_id: &ReturnId,
    decided: &mut Decided,
    transfers: &mut Vec<Transfer>,
) -> Result<(), Halt> {
    let counted = |referral: &&Referral| {
        let of = |what: &str| CounterId::referral(&referral.campaign, what);
        let (orders, spend) = (of("orders"), of("spend"));
        record.counts.iter().any(|tally| tally.counter == orders || tally.counter == spend)
    };
    // Of several, where friends have become one account, the one that this order has qualified.
    let its_own = |known: &&Referral| counted(known) && known.order() == Some(&record.order_id);
    let qualified = |known: &&Referral| counted(known) && known.state == ReferralState::Qualified;
    let all = || desk.state.referrals();
    let found = all().find(its_own).or_else(|| all().find(qualified)).or_else(|| all().find(counted));
    let Some(referral) = found.cloned() else { return Ok(()) };
    let Some(terms) = terms_of(scene, &referral) else { return Ok(()) };
    if matches!(terms.qualify, Qualify::Orders(_)) {
        uncount_order(scene, desk, record, terms)?;
    }
    let still = still_met(scene, desk, terms, None);
    if still || !terms.claw_back || referral.state != ReferralState::Qualified {
        return Ok(());
    }
    claw_back(scene, desk, &referral, RejectedFor::Returned(return_id.clone()), decided, transfers)
}

/// An order of which too little is kept counts no more.
fn uncount_order(scene: &Scene<'_>, desk: &mut Desk, record: &mut OrderRecord, terms: &Campaign) -> Result<(), Halt> {
    let then = scene.timeline.at(record.committed_at);
    let currency = then.and_then(|program| program.earning_currency(record.currency, record.committed_at));
    let required = currency.and_then(|currency| terms.spend_min.get(currency)).unwrap_or(0);
    let earning: Vec<i64> = record.lines.iter().map(|line| line.earning_minor).collect();
    let all = total(&earning)?;
    let kept = record.returned_of(&earning).and_then(|back| all.checked_sub(back)).ok_or(OVERFLOW)?;
    // A threshold of nothing is missed only when nothing is kept.
    if required <= kept && !record.is_all_returned() {
        return Ok(());
    }
    let counter = CounterId::referral(&terms.id, "orders");
    let tally = record.counts.iter_mut().find(|tally| tally.counter == counter && tally.reversed < tally.amount);
    let Some(tally) = tally else { return Ok(()) };
    let change = tally.reversed.checked_sub(tally.amount).ok_or(OVERFLOW)?;
    tally.reversed = tally.amount;
    let change = CounterChange { counter, day: tally.day, change };
    Ok(desk.count(scene.times.effective_at, vec![change])?)
}

/// An event was revoked.
pub(in super::super) fn on_revoke(
    scene: &Scene<'_>,
    desk: &mut Desk,
    event: &EventId,
    decided: &mut Decided,
) -> Result<Vec<Transfer>, Halt> {
    let by = Some(QualifiedBy::Event(event.clone()));
    let qualified = |referral: &&Referral| referral.state == ReferralState::Qualified && referral.qualified_by == by;
    let mut transfers = Vec::new();
    let Some(referral) = desk.state.referrals().find(qualified).cloned() else { return Ok(transfers) };
    if terms_of(scene, &referral).is_some_and(|terms| terms.claw_back) {
        let why = RejectedFor::Revoked(event.clone());
        claw_back(scene, desk, &referral, why, decided, &mut transfers)?;
    }
    Ok(transfers)
}

pub(super) fn reject(
    scene: &Scene<'_>,
    desk: &mut Desk,
    id: &ReferralId,
    why: RejectedFor,
    decided: &mut Decided,
) -> Result<(), Halt> {
    desk.post(scene.times.effective_at, Fact::ReferralRejected { referral: id.clone(), why })?;
    decided.effects.push(Effect::Referral { referral: id.clone(), state: ReferralState::Rejected });
    Ok(())
}

/// Takes both rewards back, whole.
fn claw_back(
    scene: &Scene<'_>,
    desk: &mut Desk,
    referral: &Referral,
    why: RejectedFor,
    decided: &mut Decided,
    transfers: &mut Vec<Transfer>,
) -> Result<(), Halt> {
    claw_friend(scene, desk, referral, decided)?;
    reject(scene, desk, &referral.referral, why, decided)?;
    let Some(terms) = terms_of(scene, referral) else { return Ok(()) };
    claw_advocates(scene, desk, referral, terms, transfers)
}

/// Takes the friend's reward back.
pub(super) fn claw_friend(
    scene: &Scene<'_>,
    desk: &mut Desk,
    referral: &Referral,
    decided: &mut Decided,
) -> Result<(), Halt> {
    let at = scene.times.effective_at;
    let granted_at = referral.qualified_at.unwrap_or(at);
    let Some(side) = &referral.friend else { return Ok(()) };
    let amount = side.amount.checked_sub(side.reversed).ok_or(OVERFLOW)?;
    if amount == 0 {
        return Ok(());
    }
    take_back(scene, desk, &side.grant, &side.unit, side.dates, granted_at, amount, TakeBack::Clawback, decided)?;
    let back = amount.checked_neg().ok_or(OVERFLOW)?;
    let valued = value::of_kind(scene.program, Kind::Advocacy, &side.unit, back, side.dates.activates_at);
    Ok(desk.count(at, valued.into_iter().collect())?)
}

/// Takes the reward of each advocate back.
pub(super) fn claw_advocates(
    scene: &Scene<'_>,
    desk: &mut Desk,
    referral: &Referral,
    terms: &Campaign,
    transfers: &mut Vec<Transfer>,
) -> Result<(), Halt> {
    let at = scene.times.effective_at;
    let granted_at = referral.qualified_at.unwrap_or(at);
    for (place, (target, _)) in referral.credits().into_iter().enumerate() {
        let Some(sent) = referral.sent(place).cloned() else { continue };
        // The first is told that the friend counts no more, whatever they got.
        if sent.net == 0 && 0 < place {
            continue;
        }
        let revision = sent.revision.checked_add(1).ok_or(OVERFLOW)?;
        // The same dates as the first time: should this arrive before it, nothing tells that it did.
        let life = terms.advocate.as_ref().and_then(|side| side.life.as_ref());
        let dates = held(scene, terms, &sent.unit, life, granted_at);
        let change = sent.net.checked_neg().ok_or(OVERFLOW)?;
        let (target, unit) = (target.clone(), sent.unit.clone());
        if terms.for_partners {
            let (grant, campaign, due_at) = (sent.grant, terms.id.clone(), due(scene, dates.activates_at));
            let fact = Fact::Accrued { grant, campaign, partner: target, unit, revision, change, due_at };
            desk.post(at, fact)?;
            continue;
        }
        desk.post(
            at,
            Fact::Sent { grant: sent.grant.clone(), target: target.clone(), unit: unit.clone(), revision, change },
        )?;
        transfers.push(Transfer {
            target,
            grant: sent.grant,
            rule: rule_of(&referral.campaign)?,
            kind: Kind::Advocacy,
            unit,
            revision,
            net: 0,
            activates_at: dates.activates_at,
            expires_at: dates.expires_at,
            effective_at: at,
            brought: Some(Brought::by_friend(referral, 0, granted_at).for_place(place)),
        });
    }
    Ok(())
}
