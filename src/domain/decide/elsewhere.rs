//! What a rule grants to another account than the one that earns it: an effect that goes there, and is lowered by
//! the same when what earned it comes back.

use super::super::answer::{Decided, Effect};
use super::super::command::{Outgoing, Transfer};
use super::super::desk::{Desk, dates};
use super::super::earn::Plan;
use super::super::id::{AccountId, GrantId, MemberId};
use super::super::ledger::Fact;
use super::super::order_record::{OrderRecord, SentGrantRecord};
use super::{Halt, OVERFLOW, Scene};

/// Who gets what a rule grants.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(dead_code, reason = "for rules that name a recipient")]
pub(super) enum To {
    /// The account that the member acts for: their own, or the household or company that they joined.
    Account,
    /// Another member's, or a shared one, named by its id.
    Other(MemberId),
}

/// Grants what `plan` says to another account. Answers what the order's record must keep
/// ([`OrderRecord::sent_grants`]) so that a return takes it back; `None`: it is for this account after all, and
/// the caller grants it as any other.
#[expect(dead_code, reason = "for rules that name a recipient")]
pub(super) fn grant_elsewhere(
    scene: &Scene<'_>,
    desk: &mut Desk,
    to: &To,
    grant: GrantId,
    plan: &Plan,
    decided: &mut Decided,
    outgoing: &mut Vec<Outgoing>,
) -> Result<Option<SentGrantRecord>, Halt> {
    let target = match to {
        To::Account => return Ok(None),
        To::Other(member) => AccountId::from(member),
    };
    let own = |account: &AccountId| desk.state.people.iter().any(|person| person.member.as_str() == account.as_str());
    if desk.state.is_home_of(&target) || own(&target) {
        return Ok(None);
    }
    let at = scene.times.effective_at;
    let record = SentGrantRecord {
        grant: grant.clone(),
        rule: plan.rule.clone(),
        kind: plan.kind,
        target: target.clone(),
        unit: plan.unit.clone(),
        amount: plan.amount,
        dates: dates(scene.program, &plan.unit, plan.life.as_ref(), at),
        shares: plan.shares.clone(),
        revision: 1,
        reversed: 0,
    };
    send(scene, desk, &record, plan.amount, outgoing)?;
    let (rule, unit, amount) = (plan.rule.clone(), plan.unit.clone(), plan.amount);
    decided.effects.push(Effect::GrantedTo { to: target, grant, rule, kind: plan.kind, unit, amount });
    Ok(Some(record))
}

/// Lowers what was granted elsewhere by what falls on what has come back.
pub(super) fn on_return(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &mut OrderRecord,
    decided: &mut Decided,
    outgoing: &mut Vec<Outgoing>,
) -> Result<(), Halt> {
    for at in 0..record.sent_grants.len() {
        let Some(sent) = record.sent_grants.get(at) else { continue };
        let target = match sent.shares.as_slice() {
            [] if record.is_all_returned() => sent.amount,
            [] => 0,
            shares => record.returned_of(shares).ok_or(OVERFLOW)?,
        };
        let change = sent.reversed.checked_sub(target).ok_or(OVERFLOW)?;
        if change == 0 {
            continue;
        }
        let revision = sent.revision.checked_add(1).ok_or(OVERFLOW)?;
        let sent = SentGrantRecord { revision, reversed: target, ..sent.clone() };
        send(scene, desk, &sent, change, outgoing)?;
        let (grant, rule, unit) = (sent.grant.clone(), sent.rule.clone(), sent.unit.clone());
        let (to, kind) = (sent.target.clone(), sent.kind);
        decided.effects.push(Effect::GrantedTo { to, grant, rule, kind, unit, amount: change });
        if let Some(place) = record.sent_grants.get_mut(at) {
            *place = sent;
        }
    }
    Ok(())
}

fn send(
    scene: &Scene<'_>,
    desk: &mut Desk,
    sent: &SentGrantRecord,
    change: i64,
    outgoing: &mut Vec<Outgoing>,
) -> Result<(), Halt> {
    let at = scene.times.effective_at;
    let SentGrantRecord { grant, rule, kind, target, unit, dates, revision, .. } = sent.clone();
    desk.post(
        at,
        Fact::GrantedElsewhere {
            grant: grant.clone(),
            rule: rule.clone(),
            kind,
            target: target.clone(),
            unit: unit.clone(),
            revision,
            change,
        },
    )?;
    outgoing.push(Outgoing::Transfer(Transfer {
        target,
        grant,
        rule,
        kind,
        unit,
        revision,
        net: sent.amount.checked_sub(sent.reversed).ok_or(OVERFLOW)?,
        activates_at: dates.activates_at,
        expires_at: dates.expires_at,
        effective_at: at,
    }));
    Ok(())
}
