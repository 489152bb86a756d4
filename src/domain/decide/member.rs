//! Enrol, adjust, let time pass.

use std::sync::Arc;

use super::super::account::AccountState;
use super::super::answer::{AdjustAnswer, Answer, Effect, EnrollAnswer, Reason, Refusal, Subject};
use super::super::command::{Adjust, AdjustReason, Enroll};
use super::super::counters::CounterChange;
use super::super::desk::{Desk, dates};
use super::super::event_record::{DeedRecord, RecoveryRecord};
use super::super::id::{AccountId, CounterId, RequestId, UnitId};
use super::super::ledger::{Book, Dates, Fact, sum};
use super::super::program::{Activity, Overdraw, Trigger};
use super::super::quota::QuotaKey;
use super::super::referral::Via;
use super::super::time::Day;
use super::referral::{self, OnOrder};
use super::{Decision, Halt, Scene, expiry, no, people, ripple, rules};

pub(super) fn enroll(scene: &Scene<'_>, command: &Enroll) -> Result<Decision, Halt> {
    scene.check_times(Subject::Member)?;
    let at = scene.times.effective_at;
    if let Some(state) = &scene.snapshot.account {
        if state.erased_at.is_some() {
            return Err(no(Subject::Member, Reason::MemberErased));
        }
        let mut decided = scene.decided();
        decided.refusals.push(Refusal::new(Subject::Member, Reason::MemberExists));
        let desk = scene.desk_of(Arc::clone(state))?;
        let answer = EnrollAnswer { enrolled: false, decided, balances: desk.state.balances() };
        return Ok(scene.unchanged(Answer::Enroll(answer), true));
    }
    let mut desk = scene.desk_of(AccountState::new(AccountId::from(&command.member)))?;
    desk.post(at, Fact::Enrolled)?;
    let mut decided = scene.decided();
    // What cannot be known of them as stated is answered and left out; it never refuses the enrolment.
    let refusals = people::change_profile(scene, &mut desk, &command.member, &command.profile)?;
    decided.refusals.extend(refusals);
    referral::keep(scene, &mut desk, &command.member, &command.signals)?;
    let before = ripple::look(scene, &desk);
    rules::fire(scene, &mut desk, |rule| rule.on == Trigger::Enrolment, &["enrolment"], at, &mut decided)?;
    ripple::settle(scene, &mut desk, before, &mut decided)?;
    let mut brought = OnOrder::default();
    referral::take_codes(scene, &mut desk, &command.codes, &Via::SignUp, &mut decided, &mut brought)?;
    desk.advance(scene.timeline)?;
    let answer = EnrollAnswer { enrolled: true, decided, balances: desk.state.balances() };
    let OnOrder { transfers, outgoing, .. } = brought;
    Ok(Decision { transfers, outgoing, ..scene.done(desk, Answer::Enroll(answer)) })
}

pub(super) fn adjust(scene: &Scene<'_>, command: &Adjust) -> Result<Decision, Halt> {
    scene.check_times(Subject::Adjustment)?;
    let at = scene.times.effective_at;
    let mut desk = scene.desk()?;
    let unit = expiry::unit_of(scene, command.unit.as_ref())?;
    let sequence = desk.next_sequence();
    let (reason, agent) = (command.reason, command.agent.clone());
    let deed = recovery(scene, &desk, command, &unit)?;
    check_adjustment(scene, &desk, command, &unit)?;
    let (mut repaid, mut taken) = (0, 0i64);
    if 0 < command.amount {
        let terms = dates(scene.program, &unit, None, at);
        let expires_at = command.expires_at.unwrap_or(terms.expires_at);
        // A correction is spendable at once; what would expire before it is even posted is nothing to give.
        let dates = Dates { activates_at: at, expires_at };
        if expires_at <= desk.now {
            return Err(no(Subject::Adjustment, Reason::OutOfBounds));
        }
        if desk.state.book(&unit).is_some_and(|book| !book.has_room(dates, desk.now)) {
            let max = AccountState::LOTS_GRANTED_MAX as i64;
            return Err(Refusal::short(Subject::Adjustment, Reason::TooLarge, max + 1, max).into());
        }
        repaid = desk.repays(&unit, command.amount, dates);
        let (amount, order) = (command.amount, command.order.clone());
        desk.post(at, Fact::Credited { reason, agent, unit: unit.clone(), amount, repaid, dates, order })?;
        count_credit(scene, &mut desk, &unit, command.amount)?;
    } else {
        let wanted = command.amount.checked_neg().ok_or(super::OVERFLOW)?;
        let there = desk.state.amount(&unit, Book::Available);
        let short = wanted.saturating_sub(there).max(0);
        let terms = scene.program.unit(&unit).map(|terms| terms.debt).unwrap_or_default();
        let debt = match terms.on_adjust {
            Overdraw::Allow => terms.room(desk.state.debt(&unit), short),
            Overdraw::Refuse | Overdraw::Clamp => 0,
        };
        if debt < short && terms.on_adjust != Overdraw::Clamp {
            let least = there.saturating_add(debt);
            return Err(Refusal::short(Subject::Adjustment, Reason::BalanceTooLow, wanted, least).into());
        }
        let parts = desk.state.book(&unit).map_or_else(Vec::new, |book| book.pick(wanted));
        taken = sum(&parts).and_then(|parts| parts.checked_add(debt)).ok_or(super::OVERFLOW)?;
        desk.post(at, Fact::Debited { reason, agent, unit: unit.clone(), parts, debt })?;
    }
    desk.stir(scene.program, Some(&unit), Activity::Adjust, at)?;
    let mut decided = scene.decided();
    let amount = if 0 < command.amount { command.amount } else { -taken };
    decided.effects.push(Effect::Adjusted { unit, amount, repaid });
    desk.advance(scene.timeline)?;
    let answer = AdjustAnswer { adjusted: true, decided, balances: desk.state.balances() };
    let note = command.note.clone().map(|note| (sequence, note));
    Ok(Decision { note, deed, ..scene.done(desk, Answer::Adjust(answer)) })
}

/// What is kept of a credit that makes up for an order; refuses one that cannot.
fn recovery(scene: &Scene<'_>, desk: &Desk, command: &Adjust, unit: &UnitId) -> Result<Option<DeedRecord>, Halt> {
    let Some(order) = &command.order else { return Ok(None) };
    let at = scene.times.effective_at;
    if !matches!(command.reason, AdjustReason::Goodwill | AdjustReason::ServiceRecovery) {
        return Err(no(Subject::Adjustment, Reason::ReasonNotAllowed));
    }
    if scene.snapshot.deed.is_some() {
        return Err(no(Subject::Order, Reason::AlreadyRecovered));
    }
    let terms = scene.program.recovery;
    let committed = scene.snapshot.order.as_ref().map(|record| record.committed_at);
    let placed_at = committed.or_else(|| desk.state.hold(order).map(|hold| hold.effective_at));
    match placed_at {
        Some(placed_at) if terms.within.after(placed_at, &scene.program.zone) <= at => {
            return Err(no(Subject::Order, Reason::RecoveryTooLate));
        }
        None if !terms.any_order => return Err(no(Subject::Order, Reason::OrderUnknown)),
        Some(_) | None => {}
    }
    Ok(Some(DeedRecord::Recovery(RecoveryRecord {
        order: order.clone(),
        unit: unit.clone(),
        units: command.amount,
        agent: command.agent.clone(),
        request: scene.request.cloned(),
        given_at: at,
    })))
}

/// Refuses an adjustment that the program does not allow: by reason, by size, by member and period, by agent and day.
fn check_adjustment(scene: &Scene<'_>, desk: &Desk, command: &Adjust, unit: &UnitId) -> Result<(), Halt> {
    let program = scene.program;
    let Some(terms) = program.adjustment(unit) else { return Ok(()) };
    if !terms.reasons.is_empty() && !terms.reasons.contains(&command.reason) {
        return Err(no(Subject::Adjustment, Reason::ReasonNotAllowed));
    }
    let size = command.amount.checked_abs().ok_or(super::OVERFLOW)?;
    if let Some(max) = terms.units_max.filter(|max| *max < size) {
        return Err(Refusal::short(Subject::Adjustment, Reason::AboveUnitsMax, size, max).into());
    }
    if command.amount <= 0 {
        return Ok(());
    }
    if let Some((max, period)) = terms.member_units_max {
        let counter = CounterId::adjusted(unit);
        let before = desk.state.counted_in(&counter, period, scene.times.effective_at, &program.zone);
        let left = max.saturating_sub(before).max(0);
        if left < size {
            return Err(Refusal::short(Subject::Adjustment, Reason::CreditLimit, size, left).into());
        }
    }
    if let Some(max) = terms.agent_day_units_max {
        // By the day on which it is done: no agent gains a day by stating another.
        let quota = QuotaKey::agent_day(&program.id, &command.agent, unit, scene.times.now, &program.zone);
        let request = scene.request.map_or("", RequestId::as_str);
        let taken = scene.take(size, vec![scene.want(quota, &["request", request], max, true)]);
        if let Some(left) = taken.short {
            return Err(Refusal::short(Subject::Adjustment, Reason::AgentLimit, size, left).into());
        }
    }
    Ok(())
}

/// Counts what is credited by hand of a unit that is bounded by member and period.
fn count_credit(scene: &Scene<'_>, desk: &mut Desk, unit: &UnitId, amount: i64) -> Result<(), Halt> {
    let bounded = scene.program.adjustment(unit).is_some_and(|terms| terms.member_units_max.is_some());
    if !bounded {
        return Ok(());
    }
    let at = scene.times.effective_at;
    let change =
        CounterChange { counter: CounterId::adjusted(unit), day: Day::at(at, &scene.program.zone), change: amount };
    desk.count(at, vec![change])?;
    Ok(())
}

/// Posts what is due, so that it shows near the time at which it happens.
pub(super) fn advance(scene: &Scene<'_>) -> Result<Decision, Halt> {
    let desk: Desk = scene.desk_of_any()?;
    Ok(scene.done(desk, Answer::Done))
}
