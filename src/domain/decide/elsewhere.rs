//! What a rule grants to another account than the one that earns it: an effect that goes there, and is lowered by
//! the same when what earned it comes back.

use super::super::answer::{Decided, Effect, GrantedTo, Reason};
use super::super::command::{Brought, Outgoing, Recipient, Transfer};
use super::super::desk::{Desk, dates};
use super::super::earn::Plan;
use super::super::id::{AccountId, GrantId};
use super::super::ledger::Fact;
use super::super::order_record::{OrderRecord, SentGrantRecord};
use super::super::program::GrantTo;
use super::referral::{self, Unsent};
use super::{Halt, OVERFLOW, Scene};

/// Where granted units go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The account that is decided on.
    Here,
    There(AccountId),
}

/// Where units go that a rule grants to `to`; or why they can go nowhere.
pub(super) fn place(scene: &Scene<'_>, desk: &Desk, to: GrantTo) -> Result<Place, Reason> {
    match (to, &scene.snapshot.recipient) {
        (GrantTo::Account, _) => Ok(Place::Here),
        (GrantTo::Recipient, None | Some(Recipient::Unknown)) => Err(Reason::MemberUnknown),
        (GrantTo::Recipient, Some(Recipient::Erased)) => Err(Reason::MemberErased),
        (GrantTo::Recipient, Some(Recipient::Found(account))) if desk.state.is_home_of(account) => Ok(Place::Here),
        (GrantTo::Recipient, Some(Recipient::Found(account))) => Ok(Place::There(account.clone())),
    }
}

/// What names a grant for good. Where it goes, others may send what they name alike: theirs bear their own account. A
/// multiplier grants twice where it acts on units of both.
pub(super) fn grant_of(desk: &Desk, cause: &[&str], to: GrantTo) -> GrantId {
    match to {
        GrantTo::Account => GrantId::of(cause),
        GrantTo::Recipient => {
            let cause: Vec<&str> = [desk.state.account.as_str()].into_iter().chain(cause.iter().copied()).collect();
            GrantId::of(&cause)
        }
    }
}

/// Grants what `plan` says to another account. Answers what must be kept so that it can be taken back. `desired`: what it
/// would have been without limits.
pub(super) fn grant(
    scene: &Scene<'_>,
    desk: &mut Desk,
    target: AccountId,
    grant: GrantId,
    plan: &Plan,
    desired: i64,
    decided: &mut Decided,
) -> Result<SentGrantRecord, Halt> {
    let at = scene.times.effective_at;
    let record = SentGrantRecord {
        grant,
        rule: plan.rule.clone(),
        kind: plan.kind,
        target,
        unit: plan.unit.clone(),
        amount: plan.amount,
        dates: dates(scene.program, &plan.unit, plan.life.as_ref(), at),
        shares: plan.shares.clone(),
        revision: 1,
        reversed: 0,
        brought: None,
    };
    post(scene, desk, &record, plan.amount, desired, decided)?;
    Ok(record)
}

/// Takes back all that was granted elsewhere.
pub(super) fn call_back(
    scene: &Scene<'_>,
    desk: &mut Desk,
    sent: &mut [SentGrantRecord],
    decided: &mut Decided,
) -> Result<Vec<Outgoing>, Halt> {
    sent.iter_mut().filter_map(|sent| lower(scene, desk, sent, sent.amount, decided).transpose()).collect()
}

/// Lowers what an order granted elsewhere by what falls on what has come back.
pub(super) fn on_return(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &mut OrderRecord,
    decided: &mut Decided,
) -> Result<Vec<Outgoing>, Halt> {
    let mut outgoing = Vec::new();
    let mut sent_grants = std::mem::take(&mut record.sent_grants);
    for sent in &mut sent_grants {
        let back = record.returned_of(&sent.shares).ok_or(OVERFLOW)?;
        outgoing.extend(lower(scene, desk, sent, back, decided)?);
    }
    record.sent_grants = sent_grants;
    Ok(outgoing)
}

/// `back`: how much of it is taken back in all. `None`: it is already.
fn lower(
    scene: &Scene<'_>,
    desk: &mut Desk,
    sent: &mut SentGrantRecord,
    back: i64,
    decided: &mut Decided,
) -> Result<Option<Outgoing>, Halt> {
    let change = sent.reversed.checked_sub(back).ok_or(OVERFLOW)?;
    if change == 0 {
        return Ok(None);
    }
    sent.reversed = back;
    match referral::unsent(scene, desk, sent, change)? {
        // It is on its way: what comes after it says that it is less now.
        Unsent::No => sent.revision = sent.revision.max(1).checked_add(1).ok_or(OVERFLOW)?,
        Unsent::Owed => {
            decided.effects.push(shown(sent, change, change));
            return Ok(None);
        }
        Unsent::Void => return Ok(None),
    }
    send(scene, desk, sent, change, change, decided)
}

/// Posts that so much more, or less, is granted elsewhere. Answers the effect that goes there; `None`: it is a partner's,
/// and gathers beside this account until it is due.
pub(super) fn send(
    scene: &Scene<'_>,
    desk: &mut Desk,
    sent: &SentGrantRecord,
    change: i64,
    desired: i64,
    decided: &mut Decided,
) -> Result<Option<Outgoing>, Halt> {
    let partners = sent.brought.as_ref().filter(|brought| referral::is_for_partners(scene, brought));
    let Some(brought) = partners else {
        post(scene, desk, sent, change, desired, decided)?;
        return effect(sent, scene).map(Some);
    };
    decided.effects.push(shown(sent, change, desired));
    let fact = Fact::Accrued {
        grant: sent.grant.clone(),
        campaign: brought.campaign.clone(),
        partner: sent.target.clone(),
        unit: sent.unit.clone(),
        revision: sent.revision,
        change,
        due_at: referral::due(scene, sent.dates.activates_at),
    };
    desk.post(scene.times.effective_at, fact)?;
    Ok(None)
}

/// For the answer: what was granted to another account, or (negative) is taken back.
pub(super) fn shown(sent: &SentGrantRecord, amount: i64, desired: i64) -> Effect {
    let (grant, rule, unit) = (sent.grant.clone(), sent.rule.clone(), sent.unit.clone());
    Effect::GrantedTo(GrantedTo { to: sent.target.clone(), grant, rule, kind: sent.kind, unit, amount, desired })
}

fn post(
    scene: &Scene<'_>,
    desk: &mut Desk,
    sent: &SentGrantRecord,
    change: i64,
    desired: i64,
    decided: &mut Decided,
) -> Result<(), Halt> {
    let SentGrantRecord { grant, rule, kind, target, unit, revision, .. } = sent.clone();
    decided.effects.push(shown(sent, change, desired));
    let fact = Fact::GrantedElsewhere { grant, rule, kind, target, unit, revision, change };
    Ok(desk.post(scene.times.effective_at, fact)?)
}

/// What goes to the other accounts, for each grant as a whole as it stands.
pub(super) fn effects(sent: &[SentGrantRecord], scene: &Scene<'_>) -> Result<Vec<Outgoing>, Halt> {
    sent.iter().map(|sent| effect(sent, scene)).collect()
}

fn effect(sent: &SentGrantRecord, scene: &Scene<'_>) -> Result<Outgoing, Halt> {
    let SentGrantRecord { grant, rule, kind, target, unit, dates, revision, .. } = sent.clone();
    let net = sent.amount.checked_sub(sent.reversed).ok_or(OVERFLOW)?;
    Ok(Outgoing::Transfer(Transfer {
        target,
        grant,
        rule,
        kind,
        unit,
        revision,
        net,
        activates_at: dates.activates_at,
        expires_at: dates.expires_at,
        effective_at: scene.times.effective_at,
        brought: sent.brought.clone().map(|brought| Brought { base: net, ..brought }),
    }))
}
