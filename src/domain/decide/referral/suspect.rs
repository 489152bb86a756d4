//! Whether a referral is what it says: what friend and advocate have in common, rings, speed, mailboxes that nobody keeps.
//!
//! The advocates are others' accounts, as they stood when the service looked: what is found is a reason to look closer, and
//! never the only thing that keeps the books right.

use super::super::super::account::AccountState;
use super::super::super::answer::{Decided, Reason, Refusal, Subject};
use super::super::super::desk::Desk;
use super::super::super::id::{AccountId, CounterId, MemberId, ReferralId};
use super::super::super::ledger::Fact;
use super::super::super::program::{Campaign, FraudTerms};
use super::super::super::referral::fraud::{Action, Finding, Suspicion};
use super::super::super::referral::signal::{HashedSignals, SignalHash, SignalKind, Signals, is_disposable, is_within};
use super::super::super::referral::{Referral, RejectedFor};
use super::super::super::time::Day;
use super::super::{Halt, Scene};
use super::qualify;

/// Somebody above the friend, as the service found them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// The advocate from whom they were reached, or who they are.
    pub advocate: AccountId,
    /// How far above the friend; 1: the advocate.
    pub hops: u32,
    /// Who they are, what is known of them, and what they have counted; nothing else of it is there.
    pub state: AccountState,
}

/// Keeps what was sent of a person with their profile: the latest of each kind.
pub(in super::super) fn keep(
    scene: &Scene<'_>,
    desk: &mut Desk,
    member: &MemberId,
    signals: &Signals,
) -> Result<(), Halt> {
    let (Some(sent), Some(person)) = (signals.hashed(), desk.state.person(member)) else { return Ok(()) };
    let profile = person.profile.knowing(&sent.kept, scene.snapshot.salt);
    if profile != person.profile {
        let fact = Fact::ProfileChanged { member: member.clone(), digest: profile.digest() };
        desk.post(scene.times.effective_at, fact)?;
        desk.state_mut().put_profile(member, profile)?;
    }
    Ok(())
}

/// What speaks against a friend's having been brought by this advocate, the gravest first. `source`: where a touch came
/// from.
pub(super) fn findings(
    scene: &Scene<'_>,
    desk: &Desk,
    campaign: &Campaign,
    advocate: &AccountId,
    source: Option<&str>,
) -> Vec<Finding> {
    let terms = &campaign.fraud;
    let sent = scene.snapshot.signals.as_ref();
    let own: Vec<SignalHash> = known_as(&desk.state, sent);
    let mut found: Vec<Finding> = Vec::new();
    let mut note = |suspicion: Suspicion, action: Option<Action>, whom: &AccountId, hops: u32| {
        let Some(action) = action else { return };
        if found.iter().all(|known| known.suspicion != suspicion) {
            found.push(Finding { suspicion, action, advocate: whom.clone(), hops });
        }
    };
    for above in scene.snapshot.upline.iter().filter(|above| above.advocate == *advocate) {
        let theirs = above.state.people.iter().flat_map(|person| &person.profile.signals);
        for kind in theirs.filter(|theirs| own.contains(theirs)).map(|theirs| theirs.kind) {
            match above.hops {
                1 => note(Suspicion::Same(kind), terms.of(kind), advocate, 1),
                hops if tells_who(kind) && is_near(hops, terms) => {
                    note(Suspicion::Ring, terms.ring, &above.state.account, hops)
                }
                _ => {}
            }
        }
        if let (1, Some(velocity)) = (above.hops, terms.velocity) {
            let today = Day::at(scene.times.effective_at, &scene.program.zone);
            let first = Day(today.0.saturating_sub(velocity.days.saturating_sub(1)));
            let until = Day(today.0.saturating_add(1));
            let friends = CounterId::referral(&campaign.id, "friends");
            if velocity.most <= above.state.counted_from(&friends, first, until) {
                note(Suspicion::Velocity, Some(velocity.action), advocate, 1);
            }
        }
    }
    if let Some(domain) = sent.and_then(|sent| sent.email_domain.as_deref())
        && is_disposable(domain, &terms.disposable_domains)
    {
        note(Suspicion::DisposableEmail, terms.disposable_email, advocate, 1);
    }
    let referrer = sent.and_then(|sent| sent.referrer.as_deref());
    if referrer.into_iter().chain(source).any(|host| is_leak(host, terms)) {
        note(Suspicion::LeakedCode, terms.leaked_code, advocate, 1);
    }
    found.sort_by(|a, b| b.action.cmp(&a.action).then(a.suspicion.cmp(&b.suspicion)));
    found
}

/// Whether it is no further up than the program looks.
fn is_near(hops: u32, terms: &FraudTerms) -> bool {
    usize::try_from(hops).is_ok_and(|hops| hops <= terms.hops())
}

/// A ring is not of a family or an office.
fn tells_who(kind: SignalKind) -> bool {
    !matches!(kind, SignalKind::Address | SignalKind::IpWithUserAgent)
}

fn is_leak(host: &str, terms: &FraudTerms) -> bool {
    let host = host.to_lowercase();
    terms.leak_domains.iter().any(|domain| is_within(&host, domain))
}

/// What the friend is known as: by what was just sent, under every key, and by what was sent before.
fn known_as(state: &AccountState, sent: Option<&HashedSignals>) -> Vec<SignalHash> {
    let before = state.people.iter().flat_map(|person| &person.profile.signals);
    sent.into_iter().flat_map(|sent| &sent.known_as).chain(before).copied().collect()
}

/// Whether what was found forbids the referral.
pub(super) fn blocks(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.action == Action::Block)
}

/// Notes what was found of a referral, each suspicion once.
pub(super) fn note(scene: &Scene<'_>, desk: &mut Desk, id: &ReferralId, findings: Vec<Finding>) -> Result<(), Halt> {
    let known = desk.state.referrals().find(|known| known.referral == *id);
    let known = known.map_or(&[][..], |known| &known.findings);
    let new = |finding: &Finding| known.iter().all(|known| known.suspicion != finding.suspicion);
    let mut new: Vec<Finding> = findings.into_iter().filter(new).collect();
    new.sort_by(|a, b| a.suspicion.cmp(&b.suspicion).then(b.action.cmp(&a.action)));
    new.dedup_by(|a, b| a.suspicion == b.suspicion);
    let findings = new;
    if !findings.is_empty() {
        let referral = id.clone();
        desk.post(scene.times.effective_at, Fact::ReferralSuspected { referral, findings })?;
    }
    Ok(())
}

/// Looks again at a referral of which nothing has been paid: more may be known of both by now.
pub(in super::super) fn look_again(scene: &Scene<'_>, desk: &mut Desk, decided: &mut Decided) -> Result<(), Halt> {
    let unpaid = |known: &&Referral| known.is_undecided() && !known.paid && known.review.is_none();
    let Some(referral) = desk.state.referral.as_ref().filter(unpaid).cloned() else { return Ok(()) };
    let Some(terms) = qualify::terms_of(scene, &referral) else { return Ok(()) };
    let credits = referral.credits();
    let found = credits.iter().flat_map(|(advocate, _)| findings(scene, desk, terms, advocate, None)).collect();
    let id = referral.referral.clone();
    note(scene, desk, &id, found)?;
    let stands = desk.state.referrals().find(|known| known.referral == id);
    if stands.is_some_and(|stands| blocks(&stands.findings)) {
        decided.refusals.push(Refusal::new(Subject::Referral(id.clone()), Reason::ReferralSuspected));
        qualify::reject(scene, desk, &id, RejectedFor::Suspected, decided)?;
    }
    Ok(())
}
