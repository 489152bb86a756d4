//! Returns: what comes back reverses what was granted for it and gives back what was spent on it.
//!
//! Everything is computed as a target from the record and all that has come back so far, less what was reversed or
//! given back before. Parts returned one by one therefore sum exactly to the whole, in any order.

use super::super::answer::{
    Answer, Decided, Effect, OrderState, Reason, Refund, Refusal, RestoredLot, ReturnAnswer, ReturnStatus, Subject,
};
use super::super::command::{Return, ReturnCause, ReturnWhat, Tender};
use super::super::counters::{self, CounterChange};
use super::super::desk::{Desk, dates as unit_dates};
use super::super::id::{GrantId, UnitId};
use super::super::ledger::{Dates, Fact, Part, digest, encode, sum};
use super::super::money::{share_floor, split};
use super::super::order_record::{LineRecord, NotReturnable, OrderRecord, ReturnRecord, Returned, UseRecord};
use super::super::program::{Overdraw, Shortfall};
use super::super::time::Instant;
use super::{Decision, Halt, OVERFLOW, Scene, awards, elsewhere, no, order_event, readjudicate, referral, ripple};

pub(super) fn give_back(scene: &Scene<'_>, command: &Return) -> Result<Decision, Halt> {
    let mut desk = scene.desk_of_any()?;
    let Some(record) = &scene.snapshot.order else { return Err(no(Subject::Order, Reason::OrderUnknown)) };
    let content = digest(&encode(&(&command.what, command.cause)));
    if let Some(known) = record.returns.iter().find(|r| r.return_id == command.return_id && !scene.preview) {
        if known.content != content {
            return Err(no(Subject::Return, Reason::ReturnDiffers));
        }
        let answer = Answer::Return(ReturnAnswer {
            status: ReturnStatus::AlreadyApplied,
            decided: known.decided.clone(),
            refund: Some(known.refund.clone()),
            order_state: Some(record.state),
            balances: desk.state.balances(),
        });
        return Ok(scene.unchanged(answer, true));
    }
    scene.check_times(Subject::Return)?;
    if scene.times.stated && scene.times.effective_at < record.committed_at {
        return Err(no(Subject::Return, Reason::BeforeOrder));
    }
    if OrderRecord::RETURNS_MAX <= record.returns.len() {
        return Err(no(Subject::Return, Reason::TooLarge));
    }
    let mut record = record.clone();
    record.call_off(desk.now, &desk.state);
    mark_returned(&mut record, &command.what, command.cause)?;
    let mut decided = scene.decided();
    // Units come back before grants go: what is given back may cover what is taken.
    let units = restore(scene, &mut desk, &mut record, &mut decided)?;
    // What came back to a lot that has expired expires first: it covers nothing.
    desk.advance(scene.timeline)?;
    let before = ripple::look(scene, &desk);
    reverse(scene, &mut desk, &mut record, &mut decided)?;
    awards::return_vouchers(scene, &mut desk, &mut record, &mut decided)?;
    return_stock(&mut desk, &mut record)?;
    awards::undo_for(scene, &mut desk, &mut record, &mut decided)?;
    uncount(scene, &mut desk, &mut record)?;
    // Units of an erased member come back to nobody.
    let units = if desk.state.erased_at.is_some() { Vec::new() } else { units };
    let refund = Refund { units, ..refund(&mut record)? };
    let outgoing = elsewhere::on_return(scene, &mut desk, &mut record, &mut decided)?;
    let mut transfers = Vec::new();
    referral::on_return(scene, &mut desk, &mut record, &command.return_id, &mut decided, &mut transfers)?;
    ripple::settle(scene, &mut desk, before, &mut decided)?;
    record.state = match (record.is_all_returned(), command.cause) {
        (true, ReturnCause::Cancel) => OrderState::Cancelled,
        (true, ReturnCause::Return) => OrderState::Returned,
        (false, _) => OrderState::PartiallyReturned,
    };
    record.returns.push(ReturnRecord {
        return_id: command.return_id.clone(),
        content,
        effective_at: scene.times.effective_at,
        cause: command.cause,
        refund: refund.clone(),
        decided: decided.clone(),
    });
    let digest = digest(&record.to_stored());
    let (order, return_id) = (record.order_id.clone(), command.return_id.clone());
    let whole = record.is_all_returned();
    desk.post(scene.times.effective_at, Fact::OrderReturned { order, return_id, digest, whole })?;
    desk.advance(scene.timeline)?;
    let answer = Answer::Return(ReturnAnswer {
        status: ReturnStatus::Applied,
        decided,
        refund: Some(refund),
        order_state: Some(record.state),
        balances: desk.state.balances(),
    });
    Ok(Decision { order: Some(record), transfers, outgoing, ..scene.done(desk, answer) })
}

/// Notes on each line what has come back; all faults at once would be several refusals, the first is told.
pub(super) fn mark_returned(record: &mut OrderRecord, what: &ReturnWhat, cause: ReturnCause) -> Result<(), Halt> {
    if record.is_all_returned() {
        return Err(no(Subject::Return, Reason::NothingLeft));
    }
    let lines = match (what, cause) {
        (ReturnWhat::Everything, _) | (_, ReturnCause::Cancel) => {
            record.lines.iter_mut().for_each(|line| line.returned = Returned::All);
            return Ok(());
        }
        (ReturnWhat::Lines(lines), ReturnCause::Return) => lines,
    };
    for (line_id, measure) in lines {
        let subject = || Subject::Line(line_id.clone());
        let line = record.lines.iter_mut().find(|line| line.line_id == *line_id);
        let line = line.ok_or_else(|| no(subject(), Reason::LineUnknown))?;
        line.returned = line.after(*measure).map_err(|why| match why {
            NotReturnable::MixedMeasure => no(subject(), Reason::MixedMeasure),
            NotReturnable::MoreThanLeft { left } => {
                let asked = match measure {
                    super::super::command::Measure::Quantity(n) | super::super::command::Measure::Amount(n) => *n,
                };
                Refusal::short(subject(), Reason::MoreThanLeft, asked, left).into()
            }
        })?;
    }
    // Of a line without items and amount nothing can be named: it is back when all others are.
    let done = |line: &LineRecord| line.returned == Returned::All || (line.quantity == 0 && line.amount_minor == 0);
    if record.lines.iter().all(done) {
        record.lines.iter_mut().for_each(|line| line.returned = Returned::All);
    }
    Ok(())
}

/// Puts back into stock what was used on what has come back, as far as the program did: each when all that it lowered is
/// back, or all of the order where it lowered nothing.
pub(super) fn return_stock(desk: &mut Desk, record: &mut OrderRecord) -> Result<(), Halt> {
    let all = record.is_all_returned();
    for at in 0..record.stock.len() {
        let Some(used) = record.stock.get(at).filter(|used| used.comes_back && !used.given_back) else { continue };
        let whole = used.shares.iter().try_fold(0i64, |sum, n| sum.checked_add(*n)).ok_or(OVERFLOW)?;
        let back = record.returned_of(&used.shares).ok_or(OVERFLOW)?;
        if !all && (whole == 0 || back < whole) {
            continue;
        }
        if let Some(used) = record.stock.get_mut(at) {
            used.given_back = true;
            desk.freed.push(used.taken.clone());
        }
    }
    Ok(())
}

/// What goes back of units that were spent, and where it goes.
pub(super) struct Back {
    /// To lots, those included that expire again at once.
    pub(super) parts: Vec<Part>,
    /// For people.
    pub(super) lots: Vec<RestoredLot>,
    /// Of the debt.
    pub(super) repaid: i64,
    /// Of `parts`, what expires again.
    pub(super) expired: i64,
    /// Units that lay idle live on until then.
    pub(super) revived_until: Option<Instant>,
}

/// Gives back what was spent on what has come back.
pub(super) fn restore(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &mut OrderRecord,
    decided: &mut Decided,
) -> Result<Vec<(UnitId, i64)>, Halt> {
    let mut units: Vec<(UnitId, i64)> = Vec::new();
    for at in 0..record.uses.len() {
        let Some(used) = record.uses.get(at) else { continue };
        let target = record.returned_of(&used.shares).ok_or(OVERFLOW)?;
        let (before, used) = (used.restored, used.clone());
        let amount = target.checked_sub(before).ok_or(OVERFLOW)?;
        if amount <= 0 {
            continue;
        }
        let unforgiven = put_back(scene, desk, record, &used, before, target, decided)?;
        let amount = amount.checked_sub(unforgiven).ok_or(OVERFLOW)?;
        if let Some(used) = record.uses.get_mut(at) {
            used.restored = target;
        }
        if amount == 0 {
            continue;
        }
        match units.iter_mut().find(|(unit, _)| *unit == used.unit) {
            Some((_, sum)) => *sum = sum.checked_add(amount).ok_or(OVERFLOW)?,
            None => units.push((used.unit.clone(), amount)),
        }
    }
    Ok(units)
}

/// Posts units `before..target` of a use as given back. Answers how many of those nobody has paid for.
fn put_back(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &OrderRecord,
    used: &UseRecord,
    before: i64,
    target: i64,
    decided: &mut Decided,
) -> Result<i64, Halt> {
    let Back { parts, lots, repaid, expired, revived_until } = back_of(scene, desk, used, before, target)?;
    let unit = used.unit.clone();
    let paid = used.units.saturating_sub(used.forgiven);
    let unforgiven = (target - before.max(paid)).max(0);
    let fact = Fact::Restored { order: record.order_id.clone(), unit: unit.clone(), parts, repaid, unforgiven };
    desk.post(scene.times.effective_at, fact)?;
    revive(scene, desk, &unit, revived_until)?;
    let amount = target - before - unforgiven;
    if 0 < amount {
        decided.effects.push(Effect::Restored { unit, amount, lots, repaid, expired });
    }
    Ok(unforgiven)
}

/// Lets units live on that lay idle too long, where some came back to them.
pub(super) fn revive(scene: &Scene<'_>, desk: &mut Desk, unit: &UnitId, until: Option<Instant>) -> Result<(), Halt> {
    match until {
        Some(until) => Ok(desk.post(scene.times.effective_at, Fact::Active { until: vec![(unit.clone(), until)] })?),
        None => Ok(()),
    }
}

/// Units `before..target` of a use, counted from the debt, then from the lot spent last: what lives longest comes
/// back first, and last what nobody has paid for, which goes nowhere. Which units those are depends on the counts alone,
/// not on the steps.
pub(super) fn back_of(
    scene: &Scene<'_>,
    desk: &Desk,
    used: &UseRecord,
    before: i64,
    target: i64,
) -> Result<Back, Halt> {
    let at = scene.times.effective_at;
    let overlap = |from: i64, until: i64| (target.min(until) - before.max(from)).max(0);
    let from_debt = overlap(0, used.debt);
    let owed = desk.state.debt(&used.unit);
    let mut repaid = from_debt.min(owed);
    let mut back: Vec<Part> = Vec::new();
    let mut lapsed: Vec<Part> = Vec::new();
    // A debt that has been repaid since was repaid with units: they come back as new ones.
    if repaid < from_debt {
        let fresh = unit_dates(scene.program, &used.unit, None, at);
        let dates = Dates { activates_at: at, expires_at: fresh.expires_at };
        back.push(Part { dates, amount: from_debt - repaid });
    }
    let idle_at = desk.state.book(&used.unit).map_or(Instant::MAX, |book| book.idle_at);
    let mut revived_until = None;
    let mut position = used.debt;
    for part in used.parts.iter().rev() {
        let amount = overlap(position, position + part.amount);
        position += part.amount;
        if amount == 0 {
            continue;
        }
        if desk.now < part.dates.expires_at && desk.now < idle_at {
            back.push(Part { dates: part.dates, amount });
            continue;
        }
        match scene.program.returns.lapsed_grace {
            Some(grace) => {
                let expires_at = grace.after(desk.now, &scene.program.zone);
                revived_until = Some(expires_at);
                back.push(Part { dates: Dates { activates_at: part.dates.activates_at, expires_at }, amount });
            }
            None => lapsed.push(Part { dates: part.dates, amount }),
        }
    }
    // What is owed is repaid first, from what would expire first.
    back.sort_by_key(|part| part.dates.spend_order());
    for part in &mut back {
        let here = part.amount.min(owed - repaid);
        part.amount -= here;
        repaid += here;
    }
    back.retain(|part| 0 < part.amount);
    let expired = sum(&lapsed).ok_or(OVERFLOW)?;
    let lots = back.iter().map(|part| RestoredLot { amount: part.amount, expires_at: part.dates.expires_at }).collect();
    back.extend(lapsed);
    let revived_until = revived_until.filter(|_| idle_at <= desk.now);
    Ok(Back { parts: back, lots, repaid, expired, revived_until })
}

/// Takes back what was granted for what has come back.
pub(super) fn reverse(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &mut OrderRecord,
    decided: &mut Decided,
) -> Result<(), Halt> {
    let mut kept = readjudicate::kept(scene, desk, record)?;
    for at in 0..record.grants.len() {
        let Some(grant) = record.grants.get(at) else { continue };
        if grant.awaits.is_some() {
            order_event::reverse(scene, desk, record, at, decided)?;
            continue;
        }
        let target = match kept.iter_mut().find(|(rule, _)| *rule == grant.rule) {
            // Of several grants of one rule, which an amended order may have, the first stand longest.
            Some((_, left)) => {
                let stands = grant.amount.min(*left);
                *left -= stands;
                grant.amount - stands
            }
            None => record.returned_of(&grant.shares).ok_or(OVERFLOW)?,
        };
        let amount = target.checked_sub(grant.reversed).ok_or(OVERFLOW)?;
        if amount <= 0 {
            continue;
        }
        take_back(
            scene,
            desk,
            &grant.grant,
            &grant.unit,
            grant.dates,
            record.committed_at,
            amount,
            TakeBack::Return,
            decided,
        )?;
        if let Some(grant) = record.grants.get_mut(at) {
            grant.reversed = target;
        }
    }
    Ok(())
}

/// Takes off the counters what has come back of what the order added to them, in the buckets in which it counted.
pub(super) fn uncount(scene: &Scene<'_>, desk: &mut Desk, record: &mut OrderRecord) -> Result<(), Halt> {
    let all = record.is_all_returned();
    // By the terms under which it was given.
    let then = scene.timeline.at(record.committed_at).unwrap_or(scene.program);
    let frees_limits = then.returns.frees_limits;
    let mut changes = Vec::new();
    for at in 0..record.counts.len() {
        let Some(tally) = record.counts.get(at) else { continue };
        if tally.counter.is_of_limit() && !frees_limits {
            continue;
        }
        let target = match tally.shares.as_slice() {
            [] if all => tally.amount,
            [] => 0,
            shares => record.returned_of(shares).ok_or(OVERFLOW)?,
        };
        let change = tally.reversed.checked_sub(target).ok_or(OVERFLOW)?;
        changes.push(CounterChange { counter: tally.counter.clone(), day: tally.day, change });
        if let Some(tally) = record.counts.get_mut(at) {
            tally.reversed = target;
        }
    }
    Ok(desk.count(scene.times.effective_at, changes)?)
}

/// Why units are taken back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TakeBack {
    /// What earned them came back.
    Return,
    /// A referral's reward is called back.
    Clawback,
}

/// Where units that are taken back come from.
pub(super) struct Source {
    pub(super) taken: Vec<Part>,
    pub(super) lapsed: i64,
    pub(super) debt: i64,
    pub(super) forgiven: i64,
}

/// First the grant's own lot; if that has expired, what expired of it (the member never had the use of that); then
/// other lots in spend order; the rest by the program's policy.
pub(super) fn sources(
    scene: &Scene<'_>,
    desk: &Desk,
    unit: &UnitId,
    own: Dates,
    amount: i64,
    cause: TakeBack,
) -> Result<Source, Halt> {
    let own = own.lot_at(desk.now);
    let mut left = amount;
    let mut taken: Vec<Part> = Vec::new();
    let mut lapsed = 0;
    if let Some(book) = desk.state.book(unit) {
        if let Some(lot) = book.lots.iter().find(|lot| lot.dates == own && 0 < lot.free) {
            let here = left.min(lot.free);
            taken.push(Part { dates: own, amount: here });
            left -= here;
        }
        lapsed = left.min(book.lapsed.iter().find(|part| part.dates == own).map_or(0, |part| part.amount));
        left -= lapsed;
        for lot in book.spendable().filter(|lot| lot.dates != own) {
            if left == 0 {
                break;
            }
            let here = left.min(lot.free);
            taken.push(Part { dates: lot.dates, amount: here });
            left -= here;
        }
    }
    let of_unit = scene.program.unit(unit);
    let terms = of_unit.map(|terms| terms.debt).unwrap_or_default();
    let stated = match cause {
        TakeBack::Return => terms.on_return,
        TakeBack::Clawback => terms.on_clawback,
    };
    // What is money is owed: the next payout is so much less.
    let is_money = of_unit.is_some_and(|terms| terms.paid_out.is_some());
    let overdraw = if is_money { Some(Overdraw::Allow) } else { stated };
    let overdraw = overdraw.unwrap_or(match scene.program.returns.shortfall {
        Shortfall::Debt => Overdraw::Allow,
        Shortfall::Forgive => Overdraw::Clamp,
    });
    let debt = match (overdraw, cause) {
        (Overdraw::Refuse, TakeBack::Return) if 0 < left => {
            return Err(Refusal::short(Subject::Return, Reason::BalanceTooLow, amount, amount - left).into());
        }
        (Overdraw::Allow, _) => terms.room(desk.state.debt(unit), left),
        (Overdraw::Refuse | Overdraw::Clamp, _) => 0,
    };
    let forgiven = left.checked_sub(debt).ok_or(OVERFLOW)?;
    Ok(Source { taken, lapsed, debt, forgiven })
}

/// Posts the reversal of a grant of `granted_at`, or part of it.
#[expect(clippy::too_many_arguments, reason = "each names one thing of the grant")]
pub(super) fn take_back(
    scene: &Scene<'_>,
    desk: &mut Desk,
    grant: &GrantId,
    unit: &UnitId,
    own: Dates,
    granted_at: Instant,
    amount: i64,
    cause: TakeBack,
    decided: &mut Decided,
) -> Result<(), Halt> {
    let uncounted = counters::of_units(scene.program, unit, amount.checked_neg().ok_or(OVERFLOW)?, granted_at);
    take_uncounted(scene, desk, grant, unit, own, amount, cause, decided)?;
    Ok(desk.count(scene.times.effective_at, uncounted)?)
}

/// Posts the reversal of a grant, or part of it, and leaves the counters alone.
#[expect(clippy::too_many_arguments, reason = "each names one thing of the grant")]
pub(super) fn take_uncounted(
    scene: &Scene<'_>,
    desk: &mut Desk,
    grant: &GrantId,
    unit: &UnitId,
    own: Dates,
    amount: i64,
    cause: TakeBack,
    decided: &mut Decided,
) -> Result<(), Halt> {
    let Source { taken, lapsed, debt, forgiven } = sources(scene, desk, unit, own, amount, cause)?;
    decided.effects.push(Effect::Reversed {
        grant: grant.clone(),
        unit: unit.clone(),
        amount,
        debt,
        forgiven,
        expired: lapsed,
    });
    let (grant, unit) = (grant.clone(), unit.clone());
    desk.post(scene.times.effective_at, Fact::Reversed { grant, unit, dates: own, taken, lapsed, debt, forgiven })?;
    Ok(())
}

/// The money for what has come back, and how it falls on the tenders. What each tender gets when everything is back
/// is fixed from the first return on: its share of all the money, by largest remainder; that is what it paid, where
/// the tenders sum to the money. On the way each gets its part of that, rounded down, and what rounding leaves goes
/// where there is room. So the last return leaves every tender whole, whatever the steps.
pub(super) fn refund(record: &mut OrderRecord) -> Result<Refund, Halt> {
    let money: Vec<i64> = record.lines.iter().map(|line| line.money_minor).collect();
    let target = record.returned_of(&money).ok_or(OVERFLOW)?;
    let money_minor = target.checked_sub(record.money_refunded_minor).ok_or(OVERFLOW)?;
    record.money_refunded_minor = target;
    let paid: Vec<i64> = record.tenders.iter().map(|t| t.tender.amount_minor).collect();
    let whole = split(record.money_minor, &paid);
    let mut owed = Vec::with_capacity(whole.len());
    let mut room = Vec::with_capacity(whole.len());
    for (whole, tender) in whole.iter().zip(&record.tenders) {
        let left = whole.checked_sub(tender.refunded_minor).ok_or(OVERFLOW)?;
        let fair = share_floor(target, *whole, record.money_minor.max(1)).ok_or(OVERFLOW)?;
        let due = (fair - tender.refunded_minor).clamp(0, left);
        owed.push(due);
        room.push(left - due);
    }
    let mut tenders = Vec::new();
    for (part, tender) in spread(money_minor, &owed, &room)?.iter().zip(record.tenders.iter_mut()) {
        tender.refunded_minor = tender.refunded_minor.checked_add(*part).ok_or(OVERFLOW)?;
        if *part != 0 {
            tenders.push(Tender { tender: tender.tender.tender.clone(), amount_minor: *part });
        }
    }
    Ok(Refund { money_minor, tenders, units: Vec::new() })
}

/// Gives each tender what it is owed, as far as the money goes, and what is over where there is room.
fn spread(money_minor: i64, owed: &[i64], room: &[i64]) -> Result<Vec<i64>, Halt> {
    let all_owed = owed.iter().try_fold(0i64, |sum, n| sum.checked_add(*n)).ok_or(OVERFLOW)?;
    if money_minor <= all_owed {
        return Ok(split(money_minor, owed));
    }
    let extra = split(money_minor - all_owed, room);
    Ok(owed.iter().zip(extra).map(|(owed, extra)| owed + extra).collect())
}
