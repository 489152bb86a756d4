//! What happens to an order after it was bought, and the units that wait for it.

use super::super::account::AccountState;
use super::super::answer::{
    Answer, Decided, Effect, Granted, OrderEventAnswer, OrderEventStatus, Reason, Refusal, Released, Subject,
};
use super::super::command::OrderEvent;
use super::super::counters;
use super::super::desk::Desk;
use super::super::earn::Plan;
use super::super::id::GrantId;
use super::super::ledger::{Dates, Fact, digest};
use super::super::order::Order;
use super::super::order_record::{AwaitsLine, AwaitsRecord, EventRecord, GrantRecord, OrderRecord, Stage};
use super::super::program::{Activity, AwaitTerms, LifeTerms};
use super::super::time::Instant;
use super::checkout::shares_of;
use super::giveback::{TakeBack, take_back};
use super::{Decision, Halt, OVERFLOW, Scene, no};

/// The dates of units that have none yet.
const UNDATED: Dates = Dates { activates_at: Instant::MAX, expires_at: Instant::MAX };

pub(super) fn record(scene: &Scene<'_>, command: &OrderEvent) -> Result<Decision, Halt> {
    let mut desk = scene.desk()?;
    let Some(before) = &scene.snapshot.order else { return Err(no(Subject::Order, Reason::OrderUnknown)) };
    let subject = || Subject::Event(command.event_id.clone());
    let mut lines = Vec::with_capacity(command.lines.len());
    for line in &command.lines {
        let place = before.lines.iter().position(|known| known.line_id == *line);
        let place = place.ok_or_else(|| no(Subject::Line(line.clone()), Reason::LineUnknown))?;
        lines.push(u32::try_from(place).map_err(|_| OVERFLOW)?);
    }
    lines.sort_unstable();
    let answer = |status, decided, record: &OrderRecord, desk: &Desk| {
        let (order_state, balances) = (Some(record.state), desk.state.balances());
        Answer::OrderEvent(OrderEventAnswer { status, decided, order_state, balances })
    };
    if let Some(known) = before.events.iter().find(|known| known.event_id == command.event_id) {
        if known.event != command.event || known.lines != lines {
            return Err(no(subject(), Reason::EventDiffers));
        }
        let answer = answer(OrderEventStatus::AlreadyRecorded, known.decided.clone(), before, &desk);
        return Ok(scene.unchanged(answer, true));
    }
    scene.check_times(subject())?;
    if OrderRecord::EVENTS_MAX <= before.events.len() {
        return Err(no(subject(), Reason::TooLarge));
    }
    let at = scene.times.effective_at;
    let mut record = before.clone();
    record.call_off(desk.now, &desk.state);
    let mut decided = scene.decided();
    let mut event = EventRecord {
        event_id: command.event_id.clone(),
        event: command.event.clone(),
        lines,
        effective_at: at,
        decided: scene.decided(),
    };
    let too_late = release(scene, &mut desk, &mut record, &event, &mut decided)?;
    if too_late {
        decided.refusals.push(Refusal::new(subject(), Reason::EventTooLate));
    }
    desk.stir(scene.program, None, Activity::Event, at)?;
    event.decided = decided.clone();
    record.events.push(event);
    let digest = digest(&record.to_stored());
    let (order, event_id, event) = (record.order_id.clone(), command.event_id.clone(), command.event.clone());
    desk.post(at, Fact::OrderEvent { order, event_id, event, digest })?;
    desk.advance(scene.timeline)?;
    let answer = answer(OrderEventStatus::Recorded, decided, &record, &desk);
    Ok(Decision { order: Some(record), ..scene.done(desk, answer) })
}

/// Releases what waits for an event, line by line, as far as it has not come back: the grant's own shares tell how
/// much that is, so parts released and parts returned in any order sum exactly. Answers whether something had been
/// called off before.
pub(super) fn release(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &mut OrderRecord,
    event: &EventRecord,
    decided: &mut Decided,
) -> Result<bool, Halt> {
    let mut too_late = false;
    let meant = |place: usize| event.lines.is_empty() || event.lines.iter().any(|line| *line as usize == place);
    for GrantRecord { grant, unit, shares, awaits, .. } in &mut record.grants {
        let Some(awaits) = awaits.as_mut().filter(|awaits| awaits.event == event.event) else { continue };
        let next = u32::try_from(awaits.releases.len()).map_err(|_| OVERFLOW)?;
        let mut released = vec![0i64; shares.len()];
        let mut any = false;
        for (place, (line, share)) in awaits.lines.iter_mut().zip(shares.iter()).enumerate() {
            if !meant(place) {
                continue;
            }
            match line.stage {
                Stage::Waiting if event.effective_at < awaits.lapses_at => {
                    line.stage = Stage::Released(next);
                    any = true;
                    if let Some(slot) = released.get_mut(place) {
                        *slot = share.checked_sub(line.reversed).ok_or(OVERFLOW)?;
                    }
                }
                Stage::Waiting | Stage::CalledOff => too_late |= line.reversed < *share,
                Stage::Released(_) => {}
            }
        }
        if !any {
            continue;
        }
        // Something may not have happened before what it happened to.
        let from = event.effective_at.max(record.committed_at);
        let dates = awaits.life.dates(from, &scene.program.zone);
        awaits.releases.push(dates);
        let amount = released.iter().try_fold(0i64, |sum, n| sum.checked_add(*n)).ok_or(OVERFLOW)?;
        if amount == 0 {
            continue;
        }
        let repaid = desk.repays(unit, amount, dates);
        let (grant, unit, event_id) = (grant.clone(), unit.clone(), event.event_id.clone());
        desk.post(
            event.effective_at,
            Fact::Released { grant: grant.clone(), event_id, unit: unit.clone(), amount, repaid, dates },
        )?;
        // Their time begins only now.
        desk.stir(scene.program, Some(&unit), Activity::Earn, dates.activates_at)?;
        let Dates { activates_at, expires_at } = dates;
        let of_line = record.lines.iter().zip(released).filter(|(_, amount)| *amount != 0);
        let shares = of_line
            .map(|(line, amount)| super::super::answer::Share { line_id: line.line_id.clone(), amount })
            .collect();
        decided.effects.push(Effect::Released(Released {
            grant,
            unit,
            amount,
            repaid,
            activates_at,
            expires_at,
            shares,
        }));
    }
    Ok(too_late)
}

/// Whether a grant that waits finds room.
pub(super) fn has_room(desk: &Desk, plan: &Plan) -> bool {
    desk.state.book(&plan.unit).is_none_or(|book| book.awaiting.len() < AccountState::AWAITING_MAX)
}

/// Posts a grant that waits for an event of its order.
pub(super) fn await_units(
    scene: &Scene<'_>,
    desk: &mut Desk,
    grant: GrantId,
    plan: &Plan,
    order: &Order,
    (life, awaits): (&LifeTerms, &AwaitTerms),
    decided: &mut Decided,
) -> Result<GrantRecord, Halt> {
    let at = scene.times.effective_at;
    let lapses_at = awaits.within.map_or(Instant::MAX, |within| within.after(at, &scene.program.zone));
    let (unit, amount) = (plan.unit.clone(), plan.amount);
    let fact = Fact::Awaited {
        grant: grant.clone(),
        rule: plan.rule.clone(),
        kind: plan.kind,
        unit: unit.clone(),
        amount,
        order: order.order_id.clone(),
        event: awaits.event.clone(),
        lapses_at,
    };
    desk.post(at, fact)?;
    desk.count(at, counters::of_units(scene.program, &unit, amount, at))?;
    decided.effects.push(Effect::Granted(Granted {
        grant: grant.clone(),
        rule: plan.rule.clone(),
        kind: plan.kind,
        unit: unit.clone(),
        desired: amount,
        granted: amount,
        repaid: 0,
        activates_at: UNDATED.activates_at,
        expires_at: UNDATED.expires_at,
        shares: shares_of(&order.lines, &plan.shares),
        awaits: Some((awaits.event.clone(), lapses_at)),
    }));
    let waiting = AwaitsLine { stage: Stage::Waiting, reversed: 0 };
    let awaits = AwaitsRecord {
        event: awaits.event.clone(),
        lapses_at,
        life: LifeTerms { awaits: None, ..life.clone() },
        lines: vec![waiting; plan.shares.len()],
        releases: Vec::new(),
    };
    let shares = plan.shares.clone();
    let rule = plan.rule.clone();
    Ok(GrantRecord { grant, unit, amount, dates: UNDATED, shares, reversed: 0, awaits: Some(awaits), rule })
}

/// Takes back what has come back of a grant that waits or has waited: line by line from what waits, from what was
/// released, or from nowhere where it was called off.
pub(super) fn reverse(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &mut OrderRecord,
    place: usize,
    decided: &mut Decided,
) -> Result<(), Halt> {
    let committed_at = record.committed_at;
    let Some(grant) = record.grants.get_mut(place) else { return Ok(()) };
    let Some(awaits) = &mut grant.awaits else { return Ok(()) };
    let mut waiting = 0i64;
    let mut released = vec![0i64; awaits.releases.len()];
    for ((line, share), of) in awaits.lines.iter_mut().zip(&grant.shares).zip(&record.lines) {
        let target = of.returned_of(*share).ok_or(OVERFLOW)?;
        let more = target.checked_sub(line.reversed).ok_or(OVERFLOW)?;
        line.reversed = target;
        grant.reversed = grant.reversed.checked_add(more).ok_or(OVERFLOW)?;
        match line.stage {
            Stage::Waiting => waiting = waiting.checked_add(more).ok_or(OVERFLOW)?,
            Stage::Released(at) => {
                if let Some(sum) = released.get_mut(at as usize) {
                    *sum = sum.checked_add(more).ok_or(OVERFLOW)?;
                }
            }
            Stage::CalledOff => {}
        }
    }
    let (id, unit, at) = (grant.grant.clone(), grant.unit.clone(), scene.times.effective_at);
    if 0 < waiting {
        let fact = Fact::CalledOff { grant: id.clone(), unit: unit.clone(), amount: waiting, returned: true };
        desk.post(at, fact)?;
        let less = waiting.checked_neg().ok_or(OVERFLOW)?;
        desk.count(at, counters::of_units(scene.program, &unit, less, committed_at))?;
        let (grant, unit) = (id.clone(), unit.clone());
        let effect = Effect::Reversed { grant, unit, amount: waiting, debt: 0, forgiven: 0, expired: 0 };
        decided.effects.push(effect);
    }
    for (dates, amount) in awaits.releases.clone().into_iter().zip(released).filter(|(_, amount)| 0 < *amount) {
        take_back(scene, desk, &id, &unit, dates, committed_at, amount, TakeBack::Return, decided)?;
    }
    Ok(())
}
