//! Payouts of partners: all that is due goes into one, and comes out of it paid, or back.

use super::super::account::{AccountKind, AccountState, Payout, PayoutState};
use super::super::answer::{Answer, PayoutAnswer, Reason, Refusal, Subject};
use super::super::command::{ConfirmPayout, PreparePayout};
use super::super::desk::Desk;
use super::super::id::{PayoutId, UnitId};
use super::super::ledger::{Book, Fact, Part};
use super::super::program::PayoutTerms;
use super::{Decision, Halt, OVERFLOW, Scene, no};

/// The unit asked for, else the only one that is paid out.
fn unit_of(scene: &Scene<'_>, asked: Option<&UnitId>) -> Result<(UnitId, PayoutTerms), Reason> {
    let money = |terms: &super::super::program::UnitTerms| Some((terms.unit.clone(), terms.paid_out?));
    let mut known = scene.program.units.iter().filter_map(money);
    match asked {
        Some(asked) => known.find(|(unit, _)| unit == asked).ok_or(Reason::UnitNotPaidOut),
        None => match (known.next(), known.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(Reason::UnitNotPaidOut),
        },
    }
}

fn answer(desk: &Desk, id: &PayoutId, changed: bool, scene: &Scene<'_>) -> PayoutAnswer {
    let payout = desk.state.payout(id).cloned().map(Box::new);
    PayoutAnswer { changed, payout, decided: scene.decided(), balances: desk.state.balances() }
}

/// Sets aside all that is due.
pub(super) fn prepare(scene: &Scene<'_>, command: &PreparePayout) -> Result<Decision, Halt> {
    let subject = || Subject::Payout(command.payout.clone());
    scene.check_times(subject())?;
    let mut desk = scene.desk()?;
    if desk.state.payout(&command.payout).is_some() {
        let answer = answer(&desk, &command.payout, false, scene);
        return Ok(scene.unchanged(Answer::PreparePayout(answer), true));
    }
    if desk.state.kind != AccountKind::Partner {
        return Err(no(Subject::Account, Reason::NotAPartner));
    }
    let (unit, terms) = unit_of(scene, command.unit.as_ref()).map_err(|reason| no(subject(), reason))?;
    if let Some(open) = desk.state.payout_open(&unit) {
        return Err(no(Subject::Payout(open.payout.clone()), Reason::PayoutOpen));
    }
    let due = desk.state.amount(&unit, Book::Available);
    let least = terms.least.max(1);
    if due < least {
        // What is owed is below nothing.
        let there = due.checked_sub(desk.state.debt(&unit)).ok_or(OVERFLOW)?;
        return Err(Refusal::short(subject(), Reason::PayoutTooSmall, least, there).into());
    }
    let parts = desk.state.book(&unit).map_or_else(Vec::new, |book| book.pick(due));
    let number = desk.state.payouts.iter().map(|known| known.number).max().unwrap_or(0).saturating_add(1);
    let (payout, currency) = (command.payout.clone(), terms.currency);
    desk.post(scene.times.effective_at, Fact::PayoutPrepared { payout, number, unit, currency, parts })?;
    desk.advance(scene.timeline)?;
    let answer = answer(&desk, &command.payout, true, scene);
    Ok(scene.done(desk, Answer::PreparePayout(answer)))
}

/// Says what became of a payout, for good.
pub(super) fn confirm(scene: &Scene<'_>, command: &ConfirmPayout) -> Result<Decision, Halt> {
    let subject = || Subject::Payout(command.payout.clone());
    scene.check_times(subject())?;
    let mut desk = scene.desk()?;
    let known = desk.state.payout(&command.payout).cloned();
    let Payout { unit, amount, state, parts, .. } = known.ok_or_else(|| no(subject(), Reason::PayoutUnknown))?;
    let wanted = if command.paid { PayoutState::Paid } else { PayoutState::Failed };
    if state == wanted {
        let answer = answer(&desk, &command.payout, false, scene);
        return Ok(scene.unchanged(Answer::ConfirmPayout(answer), true));
    }
    if state != PayoutState::Prepared {
        return Err(no(subject(), Reason::PayoutSettled));
    }
    let back = if command.paid { None } else { Some(repaying(&desk.state, &unit, parts)) };
    let (payout, reference) = (command.payout.clone(), command.reference.clone());
    desk.post(scene.times.effective_at, Fact::PayoutSettled { payout, unit, amount, back, reference })?;
    desk.advance(scene.timeline)?;
    let answer = answer(&desk, &command.payout, true, scene);
    Ok(scene.done(desk, Answer::ConfirmPayout(answer)))
}

/// What of units that come back goes to lots, and how much to what is owed by now.
fn repaying(state: &AccountState, unit: &UnitId, mut parts: Vec<Part>) -> (Vec<Part>, i64) {
    let mut owed = state.debt(unit);
    let mut repaid = 0;
    for part in &mut parts {
        let here = owed.min(part.amount);
        part.amount -= here;
        owed -= here;
        repaid += here;
    }
    parts.retain(|part| 0 < part.amount);
    (parts, repaid)
}
