//! Expiry by hand: units that are to live longer, and units that are to come back.

use super::super::account::AccountState;
use super::super::answer::{AdjustAnswer, Answer, Effect, Reason, Refusal, Subject};
use super::super::command::{Extend, Reinstate};
use super::super::desk::{Desk, dates};
use super::super::id::UnitId;
use super::super::ledger::{Dates, Fact, Part, sum};
use super::super::program::Activity;
use super::super::time::Instant;
use super::{Decision, Halt, OVERFLOW, Scene, no};

/// The unit that is meant, if the program has it.
pub(super) fn unit_of(scene: &Scene<'_>, stated: Option<&UnitId>) -> Result<UnitId, Halt> {
    let unit = stated.cloned().or_else(|| scene.program.units.first().map(|terms| terms.unit.clone()));
    let unit = unit.filter(|unit| scene.program.unit(unit).is_some());
    unit.ok_or_else(|| no(Subject::Adjustment, Reason::UnitUnknown))
}

/// Moves the expiry of what is spendable. What is pending or held keeps its dates: others count on them.
pub(super) fn extend(scene: &Scene<'_>, command: &Extend) -> Result<Decision, Halt> {
    scene.check_times(Subject::Adjustment)?;
    let at = scene.times.effective_at;
    let mut desk = scene.desk()?;
    let unit = unit_of(scene, command.unit.as_ref())?;
    if command.expires_at <= desk.now {
        return Err(no(Subject::Adjustment, Reason::OutOfBounds));
    }
    let before = command.expiring_before.unwrap_or(command.expires_at).min(command.expires_at);
    let book = desk.state.book(&unit);
    let lots = book.into_iter().flat_map(|book| book.spendable().filter(|lot| book.ends_at(lot.dates) < before));
    let parts: Vec<Part> = lots.map(|lot| Part { dates: lot.dates, amount: lot.free }).collect();
    let amount = sum(&parts).ok_or(OVERFLOW)?;
    if amount == 0 {
        return Err(no(Subject::Adjustment, Reason::NothingToExtend));
    }
    let idle_at = book.map_or(Instant::MAX, |book| book.idle_at);
    let expires_at = command.expires_at;
    let moved: Vec<Part> = parts.into_iter().filter(|part| part.dates.expires_at < expires_at).collect();
    let sequence = desk.next_sequence();
    let (reason, agent) = (command.reason, command.agent.clone());
    desk.post(at, Fact::Extended { reason, agent, unit: unit.clone(), parts: moved, expires_at })?;
    if idle_at < expires_at {
        // Want of activity would end them before.
        desk.post(at, Fact::Active { until: vec![(unit.clone(), expires_at)] })?;
    }
    let mut decided = scene.decided();
    decided.effects.push(Effect::Extended { unit, amount, expires_at });
    desk.advance(scene.timeline)?;
    let answer = AdjustAnswer { adjusted: true, decided, balances: desk.state.balances() };
    let note = command.note.clone().map(|note| (sequence, note));
    Ok(Decision { note, ..scene.done(desk, Answer::Extend(answer)) })
}

/// Gives back what has expired, as far as it is remembered.
pub(super) fn reinstate(scene: &Scene<'_>, command: &Reinstate) -> Result<Decision, Halt> {
    scene.check_times(Subject::Adjustment)?;
    let at = scene.times.effective_at;
    let mut desk = scene.desk()?;
    let unit = unit_of(scene, command.unit.as_ref())?;
    let expires_at = command.expires_at.unwrap_or_else(|| dates(scene.program, &unit, None, at).expires_at);
    if expires_at <= desk.now {
        return Err(no(Subject::Adjustment, Reason::OutOfBounds));
    }
    let dates = Dates { activates_at: at, expires_at };
    let parts = expired_last(&desk, &unit, command.amount);
    let amount = sum(&parts).ok_or(OVERFLOW)?;
    let wanted = command.amount.unwrap_or(amount.max(1));
    if amount < wanted {
        return Err(Refusal::short(Subject::Adjustment, Reason::NothingExpired, wanted, amount).into());
    }
    if desk.state.book(&unit).is_some_and(|book| !book.has_room(dates, desk.now)) {
        let max = AccountState::LOTS_GRANTED_MAX as i64;
        return Err(Refusal::short(Subject::Adjustment, Reason::TooLarge, max + 1, max).into());
    }
    let repaid = desk.repays(&unit, amount, dates);
    let sequence = desk.next_sequence();
    let (reason, agent) = (command.reason, command.agent.clone());
    desk.post(at, Fact::Reinstated { reason, agent, unit: unit.clone(), parts, repaid, dates })?;
    desk.stir(scene.program, Some(&unit), Activity::Adjust, at)?;
    let mut decided = scene.decided();
    decided.effects.push(Effect::Reinstated { unit, amount, repaid, expires_at });
    desk.advance(scene.timeline)?;
    let answer = AdjustAnswer { adjusted: true, decided, balances: desk.state.balances() };
    let note = command.note.clone().map(|note| (sequence, note));
    Ok(Decision { note, ..scene.done(desk, Answer::Reinstate(answer)) })
}

/// So many of the units that have expired, by lot, what expired last first.
fn expired_last(desk: &Desk, unit: &UnitId, amount: Option<i64>) -> Vec<Part> {
    let Some(book) = desk.state.book(unit) else { return Vec::new() };
    let mut left = amount.unwrap_or(i64::MAX);
    let mut parts = Vec::new();
    // In the order in which they expired.
    for part in book.lapsed.iter().rev() {
        let here = left.min(part.amount);
        left -= here;
        if 0 < here {
            parts.push(Part { dates: part.dates, amount: here });
        }
    }
    parts
}
