//! Whom a code attributes to whom.
//!
//! A claim is made by the friend's own account, from what the code's record says. Whether it closes a circle only others
//! can tell: see [`cycle`](super::super::super::referral::cycle). Until that is settled the claim stands and nothing is
//! paid; a friend whom nobody can have named yet needs no such walk.

use super::super::super::account::AccountState;
use super::super::super::answer::{Answer, AttributeAnswer, Decided, Effect, Reason, ReferralState, Refusal, Subject};
use super::super::super::command::{Attribute, ConfirmReferral, EnteredCode, Outgoing, SettleReferral};
use super::super::super::desk::Desk;
use super::super::super::id::{AccountId, CampaignId, Code, Label, ReferralId};
use super::super::super::ledger::Fact;
use super::super::super::program::{AttributeAt, Campaign};
use super::super::super::quota::QuotaKey;
use super::super::super::referral::credit::WHOLE_PPM;
use super::super::super::referral::cycle::Verdict;
use super::super::super::referral::fraud::Finding;
use super::super::super::referral::touch::{Touch, TouchKind};
use super::super::super::referral::{
    CodeOwner, CodeState, Considered, Outcome, Referral, RejectedFor, Sharer, Via, Weighing,
};
use super::super::super::time::Instant;
use super::super::{Decision, Halt, Scene};
use super::qualify::{self, OnOrder};
use super::suspect;

mod touches;

/// A code that may attribute.
struct Found<'a> {
    code: Code,
    campaign: &'a Campaign,
    owner: &'a CodeOwner,
}

/// Answers each code: attributes by the first that can be, refuses the others. Where none can be, touches of the visitor
/// may do it. What was considered is told in the ledger.
pub(in super::super) fn take_codes(
    scene: &Scene<'_>,
    desk: &mut Desk,
    codes: &[EnteredCode],
    via: &Via,
    decided: &mut Decided,
    done: &mut OnOrder,
) -> Result<bool, Halt> {
    let mut taken = None;
    let mut considered = Vec::new();
    for entered in codes {
        let found = checked(scene, desk, entered.code.as_ref(), via, via);
        let mut findings = Vec::new();
        let found = found.and_then(|found| {
            findings = suspect::findings(scene, desk, found.campaign, &found.owner.account, None);
            let blocked = suspect::blocks(&findings);
            if blocked { Err(Reason::ReferralSuspected) } else { Ok(found) }
        });
        let found = found.and_then(|found| use_up(scene, desk, &found).map(|()| found));
        let outcome = match found {
            Ok(found) => {
                let claimed = Claimed { findings: findings.clone(), ..Claimed::by_code(scene, &found, via) };
                taken = Some(claim(scene, desk, &claimed, decided, done)?);
                Outcome::Counts(WHOLE_PPM)
            }
            Err(reason) => {
                // What keeps it out is the code before it.
                let lost = taken.is_some() && reason == Reason::AlreadyAttributed;
                let reason = if lost { Reason::Superseded } else { reason };
                decided.refusals.push(Refusal::new(Subject::Code(entered.raw.clone()), reason));
                Outcome::Not(reason)
            }
        };
        let of = entered.code.as_ref().and_then(|code| owned(scene, code));
        considered.push(Considered { code: entered.code.clone(), of, touch: None, outcome, findings });
    }
    let mut models = Vec::new();
    if let Some(visitor) = &scene.snapshot.visitor {
        let weighed = touches::weigh(scene, desk, &visitor.touches, via, taken.is_some());
        if let Some(claimed) = &weighed.claimed {
            taken = Some(claim(scene, desk, claimed, decided, done)?);
        }
        decided.refusals.extend(weighed.refusal(taken.is_some()));
        considered.extend(weighed.considered);
        models = weighed.models;
    }
    if !considered.is_empty() {
        let weighing = Weighing { via: via.clone(), considered, models, referral: taken.clone() };
        desk.post(scene.times.effective_at, Fact::AttributionWeighed { weighing })?;
    }
    Ok(taken.is_some())
}

/// Whose a code is, for the explanation.
fn owned(scene: &Scene<'_>, code: &Code) -> Option<(AccountId, CampaignId)> {
    let owner = scene.snapshot.owner_of(code).filter(|owner| owner.state != CodeState::Erased)?;
    Some((owner.account.clone(), owner.campaign.clone()))
}

/// A claim as it is to be made.
struct Claimed<'a> {
    campaign: &'a Campaign,
    code: Code,
    advocate: AccountId,
    via: Via,
    /// Where the code was.
    channel: Option<Label>,
    sharers: Vec<Sharer>,
    /// What speaks against it.
    findings: Vec<Finding>,
    /// When it must have qualified.
    qualify_by: Instant,
}

impl<'a> Claimed<'a> {
    fn by_code(scene: &Scene<'_>, found: &Found<'a>, via: &Via) -> Claimed<'a> {
        let Found { code, campaign, owner } = found;
        Claimed {
            campaign,
            code: code.clone(),
            advocate: owner.account.clone(),
            via: via.clone(),
            channel: channel_of(scene, code),
            sharers: Vec::new(),
            findings: Vec::new(),
            qualify_by: qualify_by(scene, campaign),
        }
    }
}

/// Where a code was that is named: as the visitor's latest touch by it says, if they had come by it before.
fn channel_of(scene: &Scene<'_>, code: &Code) -> Option<Label> {
    let touches = scene.snapshot.visitor.iter().flat_map(|visitor| &visitor.touches);
    let came =
        |touch: &&Touch| touch.code == *code && touch.kind != TouchKind::Share && touch.at <= scene.times.effective_at;
    touches.filter(came).max_by_key(|touch| touch.at)?.channel.clone()
}

/// By when what is attributed now must have qualified, by the campaign's own terms.
fn qualify_by(scene: &Scene<'_>, campaign: &Campaign) -> Instant {
    let within = campaign.qualify_within;
    within.map_or(Instant::MAX, |within| within.after(scene.times.effective_at, &scene.program.zone))
}

fn claim(
    scene: &Scene<'_>,
    desk: &mut Desk,
    claimed: &Claimed<'_>,
    decided: &mut Decided,
    done: &mut OnOrder,
) -> Result<ReferralId, Halt> {
    let at = scene.times.effective_at;
    if let Some(standing) = &desk.state.referral {
        let (referral, state) = (standing.referral.clone(), ReferralState::Superseded);
        decided.effects.push(Effect::Referral { referral, state });
    }
    let referral = ReferralId::of(&claimed.campaign.id, &desk.state.account);
    let confirmed = desk.state.codes.is_empty();
    desk.post(
        at,
        Fact::Attributed {
            referral: referral.clone(),
            campaign: claimed.campaign.id.clone(),
            code: claimed.code.clone(),
            advocate: claimed.advocate.clone(),
            via: claimed.via.clone(),
            channel: claimed.channel.clone(),
            confirmed,
            qualify_by: claimed.qualify_by,
            sharers: claimed.sharers.clone(),
        },
    )?;
    suspect::note(scene, desk, &referral, claimed.findings.clone())?;
    if !confirmed {
        let (friend, referral) = (desk.state.account.clone(), referral.clone());
        done.outgoing.push(Outgoing::Confirm(ConfirmReferral { friend, referral, attributed_at: at }));
    }
    decided.effects.push(Effect::Referral { referral: referral.clone(), state: ReferralState::Attributed });
    qualify::on_claim(scene, desk, &referral, claimed.campaign, decided, done)?;
    Ok(referral)
}

/// Whether a code attributes here; checks in order of precedence. `place`: on what occasion; `via`: what counts.
fn checked<'a>(
    scene: &'a Scene<'_>,
    desk: &Desk,
    code: Option<&Code>,
    via: &Via,
    place: &Via,
) -> Result<Found<'a>, Reason> {
    let at = scene.times.effective_at;
    let code = code.cloned().ok_or(Reason::CodeUnknown)?;
    let Some(owner) = scene.snapshot.owner_of(&code) else {
        let mistyped = scene.program.campaigns.iter().any(|campaign| campaign.codes.pattern.is_mistyped(&code));
        return Err(if mistyped { Reason::CodeMistyped } else { Reason::CodeUnknown });
    };
    match owner.state {
        CodeState::Active => {}
        CodeState::Claimed => return Err(Reason::CodeUnknown),
        CodeState::Blocked => return Err(Reason::CodeBlocked),
        CodeState::Erased => return Err(Reason::CodeNotActive),
    }
    let campaign = scene.program.campaign(&owner.campaign).ok_or(Reason::CodeNotActive)?;
    if campaign.starts_at.is_some_and(|from| at < from) {
        return Err(Reason::CodeNotStarted);
    }
    if campaign.ends_at.is_some_and(|until| until <= at) || owner.expires_at <= at {
        return Err(Reason::CodeExpired);
    }
    let taken_here = match (campaign.attribute_at, place) {
        (AttributeAt::Both, _) | (_, Via::Agent(_) | Via::Named | Via::Touch) => true,
        (AttributeAt::Enrolment, Via::SignUp) | (AttributeAt::FirstOrder, Via::Checkout) => true,
        (AttributeAt::Enrolment, Via::Checkout) | (AttributeAt::FirstOrder, Via::SignUp) => false,
    };
    if !taken_here {
        return Err(Reason::CodeNotTakenHere);
    }
    let own = desk.state.people.iter().any(|person| person.member.as_str() == owner.account.as_str());
    if own || desk.state.is_home_of(&owner.account) {
        return Err(Reason::SelfReferral);
    }
    if desk.state.referral.as_ref().is_some_and(|standing| !yields(standing, owner, via, at)) {
        return Err(Reason::AlreadyAttributed);
    }
    if !is_new(scene, &desk.state, campaign) {
        return Err(Reason::NotNew);
    }
    Ok(Found { code, campaign, owner })
}

/// Takes one of the friends that the code may bring. Last, for it sets aside.
fn use_up(scene: &Scene<'_>, desk: &Desk, found: &Found<'_>) -> Result<(), Reason> {
    // A code may bring fewer than those of its campaign, never more.
    if let Some(max) = found.owner.uses_max.into_iter().chain(found.campaign.codes.uses_max).min() {
        let quota = QuotaKey::ever(&scene.program.id, &["code", found.code.as_str()]);
        let taken = scene.take(1, vec![scene.want(quota, &["friend", desk.state.account.as_str()], max, true)]);
        if taken.granted < 1 {
            return Err(Reason::CodeUsedUp);
        }
    }
    Ok(())
}

/// Whether a claim that stands gives way while nothing has come of it: to a higher one, and of two alike to the earlier.
/// So calls may be told of out of order, and whoever was named first stands.
fn yields(standing: &Referral, owner: &CodeOwner, via: &Via, at: Instant) -> bool {
    let open = matches!(standing.state, ReferralState::Attributed | ReferralState::Expired);
    let other = standing.advocate != owner.account || standing.campaign != owner.campaign;
    let earlier = standing.via.rank() == via.rank() && at < standing.attributed_at;
    open && other && (standing.via.rank() < via.rank() || earlier)
}

/// No earlier order in the look-back.
fn is_new(scene: &Scene<'_>, state: &AccountState, campaign: &Campaign) -> bool {
    let again = |new_after: super::super::super::time::Period| {
        new_after.after(state.ordered_at, &scene.program.zone) <= scene.times.effective_at
    };
    // Who has left a household takes along when it ordered last, and none of its orders.
    (state.orders == 0 && state.ordered_at == Instant(0)) || campaign.new_after.is_some_and(again)
}

pub(in super::super) fn attribute(scene: &Scene<'_>, command: &Attribute) -> Result<Decision, Halt> {
    scene.check_times(Subject::Code(command.code.raw.clone()))?;
    let mut desk = scene.desk()?;
    let mut decided = scene.decided();
    let mut done = OnOrder::default();
    if let Ok(member) = scene.acting(&desk.state) {
        suspect::keep(scene, &mut desk, &member, &command.signals)?;
    }
    let via = command.agent.clone().map_or(Via::Named, Via::Agent);
    let codes = std::slice::from_ref(&command.code);
    let attributed = take_codes(scene, &mut desk, codes, &via, &mut decided, &mut done)?;
    let answer = Answer::Attribute(AttributeAnswer { attributed, decided });
    desk.advance(scene.timeline)?;
    let OnOrder { transfers, outgoing, .. } = done;
    Ok(Decision { transfers, outgoing, ..scene.done(desk, answer) })
}

/// Settles a claim that was pending. Whatever it had earned by then is paid now, or never.
pub(in super::super) fn confirm(scene: &Scene<'_>, command: &SettleReferral) -> Result<Decision, Halt> {
    let mut desk = scene.desk_of_any()?;
    let meant = |known: &&Referral| {
        known.referral == command.referral && known.attributed_at == command.attributed_at && !known.confirmed
    };
    let settled = Decision { received: true, ..scene.unchanged(Answer::Done, true) };
    let claim = desk.state.referrals().find(meant).cloned();
    // What has come to nothing stays so, whatever another walk has met since.
    let Some(claim) = claim.filter(|claim| claim.state != ReferralState::Rejected) else { return Ok(settled) };
    let at = scene.times.effective_at;
    let (id, mut transfers, mut outgoing) = (claim.referral.clone(), Vec::new(), Vec::new());
    let why = match command.verdict {
        Verdict::Confirm => None,
        Verdict::Circle => Some(RejectedFor::Circle),
        Verdict::ChainTooLong => Some(RejectedFor::ChainTooLong),
        Verdict::Wait => return Ok(Decision { received: false, ..settled }),
    };
    match why {
        Some(why) => desk.post(at, Fact::ReferralRejected { referral: id, why })?,
        None => {
            desk.post(at, Fact::ReferralConfirmed { referral: id.clone() })?;
            // What waits for a review as well goes on waiting.
            if desk.state.referrals().any(|known| known.referral == id && known.sends()) {
                qualify::send_owed(scene, &mut desk, &claim, &mut outgoing)?;
            }
            qualify::pay(scene, &mut desk, &id, &mut scene.decided(), &mut transfers)?;
        }
    }
    desk.advance(scene.timeline)?;
    Ok(Decision { transfers, outgoing, received: true, ..scene.done(desk, Answer::Done) })
}
