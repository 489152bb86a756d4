//! Units that members give to each other.

use super::super::account::AccountState;
use super::super::answer::{Answer, Effect, Reason, Refusal, SendAnswer, Subject};
use super::super::command::{Contents, Outgoing, Parcel, Recipient, SendUnits};
use super::super::desk::{Desk, dates};
use super::super::id::{GrantId, UnitId};
use super::super::ledger::{Book, Dates, Fact, Part, sum};
use super::super::money::Ratio;
use super::super::program::TransferFee;
use super::super::time::Day;
use super::moves::mark;
use super::{Decision, Halt, OVERFLOW, Scene, no};

pub(super) fn send(scene: &Scene<'_>, command: &SendUnits) -> Result<Decision, Halt> {
    const SUBJECT: Subject = Subject::Transfer;
    scene.check_times(SUBJECT)?;
    let mut desk = scene.desk()?;
    let at = scene.times.effective_at;
    let person = scene.acting(&desk.state)?;
    let role = desk.state.person(&person).map(|person| person.role);
    if desk.state.is_shared() && role.is_none_or(|role| !scene.program.accounts.role(role).transfer) {
        return Err(no(SUBJECT, Reason::RoleMayNot));
    }
    let unit = command.unit.clone().or_else(|| scene.program.units.first().map(|terms| terms.unit.clone()));
    let unit = unit.filter(|unit| scene.program.unit(unit).is_some());
    let unit = unit.ok_or_else(|| no(SUBJECT, Reason::UnitUnknown))?;
    let terms = scene.program.transfers.get(&unit).ok_or_else(|| no(SUBJECT, Reason::TransferNotAllowed))?;
    let to = match &command.target {
        Recipient::Unknown => return Err(no(SUBJECT, Reason::MemberUnknown)),
        Recipient::Erased => return Err(no(SUBJECT, Reason::MemberErased)),
        Recipient::Found(account) => account.clone(),
    };
    if desk.state.is_home_of(&to) {
        return Err(no(SUBJECT, Reason::SameAccount));
    }
    let amount = command.amount;
    let short = |reason, required, available| Halt::from(Refusal::short(SUBJECT, reason, required, available));
    if amount < terms.units_min {
        return Err(short(Reason::BelowMinimum, terms.units_min, amount));
    }
    if terms.units_max < amount {
        return Err(short(Reason::AboveMaximum, amount, terms.units_max));
    }
    let day = Day::at(desk.now, &scene.program.zone);
    let today = desk.state.transfers.iter().find(|(of, on, _)| *of == unit && *on == day).map_or(0, |(_, _, n)| *n);
    if terms.per_day_max <= today {
        return Err(short(Reason::DailyLimit, today.saturating_add(1), terms.per_day_max));
    }
    let fee = match terms.fee {
        TransferFee::None => 0,
        TransferFee::Units(units) => units,
        TransferFee::Share(bps, rounding) => {
            let exact = Ratio { numerator: i128::from(amount) * i128::from(bps), denominator: 10_000 };
            rounding.apply(exact).ok_or(OVERFLOW)?
        }
    };
    let wanted = amount.checked_add(fee).ok_or(OVERFLOW)?;
    let there = desk.state.amount(&unit, Book::Available);
    if there < wanted {
        return Err(short(Reason::BalanceTooLow, wanted, there));
    }
    let taken = desk.state.book(&unit).map_or_else(Vec::new, |book| book.pick(wanted));
    // What expires first is given; the fee is what is taken last.
    let mut left = amount;
    let fresh = dates(scene.program, &unit, None, at);
    let given = taken.iter().filter_map(|part| {
        let here = left.min(part.amount);
        left -= here;
        let dates = if terms.keeps_expiry { part.dates } else { Dates { activates_at: at, ..fresh } };
        (0 < here).then_some(Part { dates, amount: here })
    });
    let parts: Vec<Part> = given.collect();
    let request = scene.request.map_or("preview", |request| request.as_str());
    let transfer = GrantId::of(&["transfer", desk.state.account.as_str(), request]);
    desk.post(
        at,
        Fact::TransferredOut {
            transfer: transfer.clone(),
            to: to.clone(),
            unit: unit.clone(),
            parts: taken.clone(),
            fee,
            day,
        },
    )?;
    let mut decided = scene.decided();
    let (transferred, of) = (transfer.clone(), unit.clone());
    decided.effects.push(Effect::Transferred { transfer: transferred, to: to.clone(), unit: of, amount, fee });
    desk.advance(scene.timeline)?;
    let what = Contents::Gift { transfer, unit, parts, taken, fee };
    let parcel = Parcel { target: to, from: desk.state.account.clone(), what, effective_at: at };
    let answer = SendAnswer { sent: true, decided, balances: desk.state.balances() };
    Ok(Decision { outgoing: vec![Outgoing::Parcel(parcel)], ..scene.done(desk, Answer::Send(answer)) })
}

/// Takes in a gift, or one that came back. A gift that finds nobody, or no room, goes back whole.
pub(super) fn take(scene: &Scene<'_>, parcel: &Parcel) -> Result<Decision, Halt> {
    let mut desk = scene.desk_of_any()?;
    let grant = parcel.grant().ok_or(OVERFLOW)?;
    if scene.snapshot.inbound.is_some() {
        return Ok(Decision { received: true, ..scene.unchanged(Answer::Done, true) });
    }
    let at = parcel.effective_at;
    let inbound = Some((grant, mark(1)));
    match &parcel.what {
        Contents::Gift { transfer, unit, parts, taken, fee } => {
            if desk.state.erased_at.is_some() || !has_room(&desk, unit, parts) {
                let (transfer, unit, taken) = (transfer.clone(), unit.clone(), taken.clone());
                let what = Contents::GiftBack { transfer, unit, taken, fee: *fee };
                let (target, from) = (parcel.from.clone(), desk.state.account.clone());
                let outgoing = vec![Outgoing::Parcel(Parcel { target, from, what, effective_at: at })];
                return Ok(Decision { inbound, outgoing, received: true, ..scene.unchanged(Answer::Done, true) });
            }
            let (parts, repaid) = repay(desk.state.debt(unit), parts)?;
            let (transfer, unit, from) = (transfer.clone(), unit.clone(), parcel.from.clone());
            desk.post(at, Fact::TransferredIn { transfer, from, unit, parts, repaid })?;
        }
        Contents::GiftBack { transfer, unit, taken, fee } => {
            let (parts, repaid) = repay(desk.state.debt(unit), taken)?;
            let (transfer, unit) = (transfer.clone(), unit.clone());
            desk.post(at, Fact::TransferReturned { transfer, unit, parts, fee: *fee, repaid })?;
        }
        Contents::Belongings { .. } | Contents::Homecoming { .. } => return Err(OVERFLOW),
    }
    desk.advance(scene.timeline)?;
    Ok(Decision { inbound, received: true, ..scene.done(desk, Answer::Done) })
}

fn has_room(desk: &Desk, unit: &UnitId, parts: &[Part]) -> bool {
    let lots = desk.state.book(unit).map_or(0, |book| book.lots.len());
    lots + parts.len() <= AccountState::LOTS_GRANTED_MAX
}

/// What is owed is repaid first, from what would expire first.
fn repay(owed: i64, parts: &[Part]) -> Result<(Vec<Part>, i64), Halt> {
    let mut left = owed;
    let mut rest = parts.to_vec();
    rest.sort_by_key(|part| part.dates.spend_order());
    for part in &mut rest {
        let here = left.min(part.amount);
        part.amount -= here;
        left -= here;
    }
    rest.retain(|part| 0 < part.amount);
    let all = sum(parts).ok_or(OVERFLOW)?;
    let kept = sum(&rest).ok_or(OVERFLOW)?;
    Ok((rest, all.checked_sub(kept).ok_or(OVERFLOW)?))
}
