//! Reviews: rewards of a referral that is suspected wait for somebody to decide. What nobody decides is not paid.

use super::super::super::answer::{Answer, Decided, Effect, Reason, ReferralState, ReviewAnswer, Subject};
use super::super::super::command::{ReviewReward, Sides};
use super::super::super::desk::Desk;
use super::super::super::ledger::Fact;
use super::super::super::program::Campaign;
use super::super::super::referral::fraud::{Review, SideState};
use super::super::super::referral::{Referral, RejectedFor};
use super::super::super::time::Instant;
use super::super::{Decision, Halt, Scene, no};
use super::qualify;

/// Opens the review of a referral that would have been paid now.
pub(super) fn open(scene: &Scene<'_>, desk: &mut Desk, terms: &Campaign, referral: &Referral) -> Result<(), Halt> {
    let at = scene.times.effective_at;
    let within = Some(terms.fraud.review_within).filter(|_| terms.fraud.lapses);
    let due_at = within.map_or(Instant::MAX, |within| within.after(at, &scene.program.zone));
    let gets = |is: bool| is.then_some(SideState::Open);
    let review = Review {
        opened_at: at,
        due_at,
        friend: gets(terms.friend.is_some()),
        advocate: gets(terms.advocate.is_some() || terms.commission.is_some()),
        decided: None,
        released: false,
    };
    Ok(desk.post(at, Fact::ReviewOpened { referral: referral.referral.clone(), review })?)
}

/// How one side stands.
enum Stands {
    /// The campaign gives it nothing, or it is too early for that.
    NotThere,
    Open,
    /// Approved, or paid without a review.
    Approved,
    /// Rejected or lapsed; and whether it had been paid before.
    Closed {
        paid: bool,
    },
}

fn stands(referral: &Referral, advocate: bool) -> Stands {
    let paid = if advocate { referral.advocate_grant.is_some() } else { referral.friend.is_some() };
    let side = match &referral.review {
        Some(review) if advocate => &review.advocate,
        Some(review) => &review.friend,
        None if paid => return Stands::Approved,
        None => return Stands::NotThere,
    };
    match side {
        None => Stands::NotThere,
        Some(SideState::Open) => Stands::Open,
        Some(SideState::Approved) => Stands::Approved,
        Some(SideState::Rejected | SideState::Lapsed) => Stands::Closed { paid },
    }
}

/// Whether a side may be decided so: what is open by anybody, anything else by force alone. What was paid and taken back is
/// not paid again. `None`: there is nothing to decide.
fn may(side: &Stands, command: &ReviewReward) -> Option<bool> {
    match (side, command.approve) {
        (Stands::NotThere, _) => None,
        (Stands::Open, _) => Some(true),
        (Stands::Closed { paid }, true) => Some(command.forced && !paid),
        (Stands::Approved, false) => Some(command.forced),
        (Stands::Approved, true) | (Stands::Closed { .. }, false) => Some(false),
    }
}

/// Approves or rejects what one side, or both, get of a referral.
pub(in super::super) fn review(scene: &Scene<'_>, command: &ReviewReward) -> Result<Decision, Halt> {
    let subject = || Subject::Referral(command.referral.clone());
    let mut desk = scene.desk()?;
    let known = desk.state.referrals().find(|known| known.referral == command.referral).cloned();
    let Some(referral) = known else { return Err(no(subject(), Reason::ReferralUnknown)) };
    let reviewable = match referral.state {
        ReferralState::Qualified => true,
        ReferralState::Rejected => referral.rejected_for == Some(RejectedFor::Review),
        ReferralState::Attributed | ReferralState::Expired | ReferralState::Superseded => false,
    };
    let (friend, advocate) = (stands(&referral, false), stands(&referral, true));
    let of_friend = Some(&friend).filter(|_| command.sides.friend).and_then(|side| may(side, command));
    let of_advocate = Some(&advocate).filter(|_| command.sides.advocate).and_then(|side| may(side, command));
    let sides = Sides { friend: of_friend.is_some(), advocate: of_advocate.is_some() };
    let allowed = of_friend.unwrap_or(true) && of_advocate.unwrap_or(true) && (sides.friend || sides.advocate);
    if !reviewable || !allowed {
        return Err(no(subject(), Reason::ReviewClosed));
    }
    let mut decided = scene.decided();
    // Only what reverses a decision, or its absence, is forced, whatever was asked for.
    let forced = matches!((of_friend, &friend), (Some(_), Stands::Approved | Stands::Closed { .. }))
        || matches!((of_advocate, &advocate), (Some(_), Stands::Approved | Stands::Closed { .. }));
    let (mut transfers, mut outgoing) = (Vec::new(), Vec::new());
    let Some(terms) = qualify::terms_of(scene, &referral) else { return Err(no(subject(), Reason::ReviewClosed)) };
    let post = |desk: &mut Desk| {
        desk.post(
            scene.times.effective_at,
            Fact::ReviewDecided {
                referral: command.referral.clone(),
                friend: sides.friend,
                advocate: sides.advocate,
                approved: command.approve,
                forced,
                agent: command.agent.clone(),
                reason: command.reason.clone(),
            },
        )
    };
    if command.approve {
        qualify::may_be_paid(scene, &desk, &referral, terms)?;
        // The budget first: what it does not cover stays open.
        let paid = qualify::pay_sides(scene, &mut desk, &referral, terms, sides, &mut decided, &mut transfers)?;
        if let Some(refusal) = paid {
            return Err(refusal.into());
        }
        post(&mut desk)?;
        if sides.advocate {
            qualify::send_owed(scene, &mut desk, &referral, &mut outgoing)?;
        }
    } else {
        if sides.friend {
            qualify::claw_friend(scene, &mut desk, &referral, &mut decided)?;
        }
        if sides.advocate {
            qualify::claw_advocates(scene, &mut desk, &referral, terms, &mut transfers)?;
        }
        post(&mut desk)?;
    }
    told(&desk, &referral, &mut decided);
    desk.advance(scene.timeline)?;
    let answer = Answer::ReviewReward(ReviewAnswer { changed: true, decided });
    Ok(Decision { transfers, outgoing, ..scene.done(desk, answer) })
}

/// Tells what has become of the referral, where it is something else now.
fn told(desk: &Desk, before: &Referral, decided: &mut Decided) {
    let now = desk.state.referrals().find(|known| known.referral == before.referral);
    if let Some(now) = now.filter(|now| now.state != before.state) {
        decided.effects.push(Effect::Referral { referral: now.referral.clone(), state: now.state });
    }
}
