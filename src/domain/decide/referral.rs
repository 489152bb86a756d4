//! Who brought whom, and what each side gets.

use super::super::account::{Inbound, Referral, SideGrant};
use super::super::answer::{Answer, AttributeAnswer, Decided, Effect, Reason, ReferralState, Refusal, Subject};
use super::super::command::{Attribute, Commit, EnteredCode, Transfer};
use super::super::counters;
use super::super::desk::{Desk, dates};
use super::super::earn::{Earned, Plan};
use super::super::id::{GrantId, ReferralId, ReturnId, RuleId};
use super::super::ledger::{Dates, Fact};
use super::super::order_record::OrderRecord;
use super::super::program::{AttributeAt, Campaign, GrantTo, Kind, SideReward};
use super::super::time::Instant;
use super::super::value;
use super::checkout::grant_units;
use super::giveback::{TakeBack, take_back};
use super::{Decision, Halt, OVERFLOW, Scene, ripple};

/// When in a member's life a code is named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Enrolment,
    Order,
    /// By a call of its own: allowed wherever the campaign takes codes at all.
    ByHand,
}

/// Answers each code: attributes by the first that can be, refuses the others.
pub(super) fn take_codes(
    scene: &Scene<'_>,
    desk: &mut Desk,
    codes: &[EnteredCode],
    moment: Moment,
    decided: &mut Decided,
) -> Result<(), Halt> {
    for code in codes {
        match checked(scene, desk, code, moment) {
            Ok((campaign, advocate)) => {
                let at = scene.times.effective_at;
                let referral = ReferralId::of(&campaign.id, &desk.state.account);
                let qualify_by =
                    campaign.qualify_within.map_or(Instant::MAX, |within| within.after(at, &scene.program.zone));
                let Some(code) = code.code.clone() else { continue };
                desk.post(
                    at,
                    Fact::Attributed {
                        referral: referral.clone(),
                        campaign: campaign.id.clone(),
                        code,
                        advocate,
                        qualify_by,
                    },
                )?;
                decided.effects.push(Effect::Referral { referral, state: ReferralState::Attributed });
            }
            Err(reason) => decided.refusals.push(Refusal::new(Subject::Code(code.raw.clone()), reason)),
        }
    }
    Ok(())
}

/// Whether a code attributes here; checks in order of precedence.
fn checked<'a>(
    scene: &'a Scene<'_>,
    desk: &Desk,
    entered: &EnteredCode,
    moment: Moment,
) -> Result<(&'a Campaign, super::super::id::AccountId), Reason> {
    let owner = entered.code.as_ref().and_then(|code| scene.snapshot.owner_of(code)).ok_or(Reason::CodeUnknown)?;
    if owner.blocked {
        return Err(Reason::CodeNotActive);
    }
    let campaign = scene.program.campaign(&owner.campaign).ok_or(Reason::CodeNotActive)?;
    let at = scene.times.effective_at;
    if campaign.starts_at.is_some_and(|from| at < from) || campaign.ends_at.is_some_and(|until| until <= at) {
        return Err(Reason::CodeNotActive);
    }
    let taken_here = match (campaign.attribute_at, moment) {
        (AttributeAt::Both, _) | (_, Moment::ByHand) => true,
        (AttributeAt::Enrolment, Moment::Enrolment) | (AttributeAt::FirstOrder, Moment::Order) => true,
        (AttributeAt::Enrolment, Moment::Order) | (AttributeAt::FirstOrder, Moment::Enrolment) => false,
    };
    if !taken_here {
        return Err(Reason::CodeNotTakenHere);
    }
    let own = desk.state.people.iter().any(|person| person.member.as_str() == owner.account.as_str());
    if own || desk.state.is_home_of(&owner.account) {
        return Err(Reason::SelfReferral);
    }
    if desk.state.referral.is_some() {
        return Err(Reason::AlreadyAttributed);
    }
    if 0 < desk.state.orders {
        return Err(Reason::NotNew);
    }
    Ok((campaign, owner.account.clone()))
}

pub(super) fn attribute(scene: &Scene<'_>, command: &Attribute) -> Result<Decision, Halt> {
    scene.check_times(Subject::Code(command.code.raw.clone()))?;
    let mut desk = scene.desk()?;
    let mut decided = scene.decided();
    take_codes(scene, &mut desk, std::slice::from_ref(&command.code), Moment::ByHand, &mut decided)?;
    let attributed = decided.refusals.is_empty();
    let answer = Answer::Attribute(AttributeAnswer { attributed, decided });
    if !attributed {
        return Ok(scene.unchanged(answer, true));
    }
    desk.advance(scene.timeline)?;
    Ok(scene.done(desk, answer))
}

/// The referral side of an order: takes its codes, then sees whether the order qualifies the referral.
pub(super) fn on_order(
    scene: &Scene<'_>,
    desk: &mut Desk,
    command: &Commit,
    earned: &Earned,
    decided: &mut Decided,
    transfers: &mut Vec<Transfer>,
) -> Result<(), Halt> {
    take_codes(scene, desk, &command.codes, Moment::Order, decided)?;
    let at = scene.times.effective_at;
    // What counts is when the order happened: one that is told of late qualifies although the time has run out.
    let is_open = |referral: &&Referral| {
        let undecided = matches!(referral.state, ReferralState::Attributed | ReferralState::Expired);
        undecided && referral.attributed_at <= at && at < referral.qualify_by
    };
    let Some(referral) = desk.state.referrals().find(is_open).cloned() else { return Ok(()) };
    // The terms are those of the day the friend came.
    let terms = scene.timeline.at(referral.attributed_at).and_then(|program| program.campaign(&referral.campaign));
    let Some(terms) = terms else { return Ok(()) };
    let currency = scene.program.earning_currency(command.order.currency, at);
    let Some(required) = currency.and_then(|currency| terms.spend_min.get(currency)) else { return Ok(()) };
    let spent = earned.earning.iter().try_fold(0i64, |sum, n| sum.checked_add(*n)).ok_or(OVERFLOW)?;
    if spent < required {
        return Ok(());
    }
    let id = &referral.referral;
    let friend = match &terms.friend {
        Some(side) => Some(grant_side(scene, desk, id, side, decided)?),
        None => None,
    };
    let order = command.order.order_id.clone();
    desk.post(at, Fact::Qualified { referral: id.clone(), order, friend })?;
    decided.effects.push(Effect::Referral { referral: id.clone(), state: ReferralState::Qualified });
    if let Some(side) = &terms.advocate {
        let dates = dates(scene.program, &side.unit, side.life.as_ref(), at);
        let grant = GrantId::of(&["referral", id.as_str(), "advocate"]);
        let target = referral.advocate.clone();
        let (unit, revision, change) = (side.unit.clone(), 1, side.units);
        desk.post(
            at,
            Fact::Sent { grant: grant.clone(), target: target.clone(), unit: unit.clone(), revision, change },
        )?;
        transfers.push(Transfer {
            target,
            grant,
            rule: rule_of(id)?,
            kind: Kind::Advocacy,
            unit,
            revision,
            net: side.units,
            activates_at: dates.activates_at,
            expires_at: dates.expires_at,
            effective_at: at,
        });
    }
    Ok(())
}

/// The campaign stands where a rule would: its id names what granted.
fn rule_of(referral: &ReferralId) -> Result<RuleId, Halt> {
    let campaign = referral.as_str().split(':').next().unwrap_or_default();
    RuleId::parse(campaign).map_err(|_| OVERFLOW)
}

fn grant_side(
    scene: &Scene<'_>,
    desk: &mut Desk,
    referral: &ReferralId,
    side: &SideReward,
    decided: &mut Decided,
) -> Result<SideGrant, Halt> {
    let plan = Plan {
        rule: rule_of(referral)?,
        kind: Kind::Advocacy,
        unit: side.unit.clone(),
        amount: side.units,
        shares: Vec::new(),
        life: side.life.clone(),
        to: GrantTo::Account,
        builds: None,
    };
    let granted = grant_units(scene, desk, GrantId::of(&["referral", referral.as_str(), "friend"]), &plan)?;
    let valued = value::of_kind(scene.program, plan.kind, &plan.unit, plan.amount, scene.times.effective_at);
    desk.count(scene.times.effective_at, valued.into_iter().collect())?;
    let dates = Dates { activates_at: granted.activates_at, expires_at: granted.expires_at };
    let side = SideGrant { grant: granted.grant.clone(), unit: plan.unit, amount: plan.amount, reversed: 0, dates };
    decided.effects.push(Effect::Granted(granted));
    Ok(side)
}

/// The referral side of a return: if what is kept of the qualifying order no longer meets the terms, both rewards
/// are taken back.
pub(super) fn on_return(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &OrderRecord,
    return_id: &ReturnId,
    decided: &mut Decided,
    transfers: &mut Vec<Transfer>,
) -> Result<(), Halt> {
    let qualified_here = |referral: &&Referral| {
        referral.state == ReferralState::Qualified && referral.order.as_ref() == Some(&record.order_id)
    };
    let Some(referral) = desk.state.referrals().find(qualified_here).cloned() else { return Ok(()) };
    let terms = scene.timeline.at(referral.attributed_at).and_then(|program| program.campaign(&referral.campaign));
    let Some(terms) = terms else { return Ok(()) };
    let then = scene.timeline.at(record.committed_at);
    let currency = then.and_then(|program| program.earning_currency(record.currency, record.committed_at));
    let required = currency.and_then(|currency| terms.spend_min.get(currency)).unwrap_or(0);
    let earning: Vec<i64> = record.lines.iter().map(|line| line.earning_minor).collect();
    let all = earning.iter().try_fold(0i64, |sum, n| sum.checked_add(*n)).ok_or(OVERFLOW)?;
    let kept = record.returned_of(&earning).and_then(|back| all.checked_sub(back)).ok_or(OVERFLOW)?;
    // A threshold of nothing is missed only when nothing is kept.
    let met = required <= kept && !record.is_all_returned();
    if met || !terms.claw_back {
        return Ok(());
    }
    let at = scene.times.effective_at;
    let id = referral.referral.clone();
    if let Some(side) = &referral.friend {
        let amount = side.amount.checked_sub(side.reversed).ok_or(OVERFLOW)?;
        let granted_at = referral.qualified_at.unwrap_or(at);
        take_back(scene, desk, &side.grant, &side.unit, side.dates, granted_at, amount, TakeBack::Clawback, decided)?;
        let back = amount.checked_neg().ok_or(OVERFLOW)?;
        let valued = value::of_kind(scene.program, Kind::Advocacy, &side.unit, back, granted_at);
        desk.count(at, valued.into_iter().collect())?;
    }
    desk.post(at, Fact::ReferralRejected { referral: id.clone(), return_id: return_id.clone() })?;
    decided.effects.push(Effect::Referral { referral: id.clone(), state: ReferralState::Rejected });
    if let Some(sent) = referral.advocate_grant.filter(|sent| sent.net != 0) {
        let revision = sent.revision.checked_add(1).ok_or(OVERFLOW)?;
        // The same dates as the first time: should this arrive before it, nothing tells that it did.
        let granted_at = referral.qualified_at.unwrap_or(at);
        let program = scene.timeline.at(granted_at).unwrap_or(scene.program);
        let dates = dates(program, &sent.unit, terms.advocate.as_ref().and_then(|side| side.life.as_ref()), granted_at);
        let change = sent.net.checked_neg().ok_or(OVERFLOW)?;
        let (target, unit) = (referral.advocate.clone(), sent.unit.clone());
        desk.post(
            at,
            Fact::Sent { grant: sent.grant.clone(), target: target.clone(), unit: unit.clone(), revision, change },
        )?;
        transfers.push(Transfer {
            target,
            grant: sent.grant,
            rule: rule_of(&id)?,
            kind: Kind::Advocacy,
            unit,
            revision,
            net: 0,
            activates_at: dates.activates_at,
            expires_at: dates.expires_at,
            effective_at: at,
        });
    }
    Ok(())
}

/// Takes in an effect from another account. It states the whole, so what came before it, after it or twice does
/// not matter: the highest revision stands.
pub(super) fn receive(scene: &Scene<'_>, transfer: &Transfer) -> Result<Decision, Halt> {
    let mut desk = scene.desk_of_any()?;
    let before = scene.snapshot.inbound.as_ref();
    if before.is_some_and(|known| transfer.revision <= known.revision) {
        return Ok(Decision { received: true, ..scene.unchanged(Answer::Done, true) });
    }
    let had = before.map_or(0, |known| known.net);
    let own =
        before.map_or(Dates { activates_at: transfer.activates_at, expires_at: transfer.expires_at }, |k| k.dates);
    let change = transfer.net.checked_sub(had).ok_or(OVERFLOW)?;
    let at = transfer.effective_at;
    let before = ripple::look(scene, &desk);
    if 0 < change {
        let repaid = desk.repays(&transfer.unit, change, own);
        desk.post(
            at,
            Fact::Received {
                grant: transfer.grant.clone(),
                rule: transfer.rule.clone(),
                kind: transfer.kind,
                unit: transfer.unit.clone(),
                revision: transfer.revision,
                net: transfer.net,
                amount: change,
                repaid,
                dates: own,
            },
        )?;
        let friend = if transfer.net == change { counters::of_friend(scene.program, 1, at) } else { Vec::new() };
        let units = counters::of_units(scene.program, &transfer.unit, change, at);
        desk.count(at, units.into_iter().chain(friend).collect())?;
    } else if change < 0 {
        let amount = change.checked_neg().ok_or(OVERFLOW)?;
        let source = super::giveback::sources(scene, &desk, &transfer.unit, own, amount, TakeBack::Clawback)?;
        desk.post(
            at,
            Fact::Recalled {
                grant: transfer.grant.clone(),
                unit: transfer.unit.clone(),
                revision: transfer.revision,
                net: transfer.net,
                dates: own,
                taken: source.taken,
                lapsed: source.lapsed,
                debt: source.debt,
                forgiven: source.forgiven,
            },
        )?;
        let friend = if transfer.net == 0 { counters::of_friend(scene.program, -1, at) } else { Vec::new() };
        let units = counters::of_units(scene.program, &transfer.unit, change, at);
        desk.count(at, units.into_iter().chain(friend).collect())?;
    }
    // By what is the same of all revisions, in whatever order they come.
    let valued = value::of_kind(scene.program, transfer.kind, &transfer.unit, change, own.activates_at);
    desk.count(at, valued.into_iter().collect())?;
    ripple::settle(scene, &mut desk, before, &mut scene.decided())?;
    desk.advance(scene.timeline)?;
    let inbound = Inbound { revision: transfer.revision, net: transfer.net, dates: own };
    let inbound = Some((transfer.grant.clone(), inbound));
    Ok(Decision { inbound, received: true, ..scene.done(desk, Answer::Done) })
}
