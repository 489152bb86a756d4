//! What touches of a visitor say of who brought a friend: which of them count, and who shares the credit.

use super::super::super::super::answer::{Reason, Refusal, Subject};
use super::super::super::super::desk::Desk;
use super::super::super::super::id::{AccountId, Code, Label};
use super::super::super::super::program::TouchWindow;
use super::super::super::super::referral::credit::{CreditModel, WHOLE_PPM};
use super::super::super::super::referral::fraud::Finding;
use super::super::super::super::referral::touch::Touch;
use super::super::super::super::referral::{Considered, ModelSays, Outcome, Referral, Sharer, TouchSeen, Via};
use super::super::super::super::time::Instant;
use super::super::super::Scene;
use super::super::suspect;
use super::{Claimed, Found, checked, owned, qualify_by, use_up};

/// What was found of a visitor's touches.
pub(super) struct Weighed<'a> {
    pub(super) considered: Vec<Considered>,
    pub(super) models: Vec<ModelSays>,
    /// `None`: no touch counts, or a code comes before all of them.
    pub(super) claimed: Option<Claimed<'a>>,
}

impl Weighed<'_> {
    /// Why nobody is attributed although the visitor had come by codes: what is wrong with the latest of them.
    pub(super) fn refusal(&self, attributed: bool) -> Option<Refusal> {
        match self.considered.last()?.outcome {
            Outcome::Not(reason) if !attributed => Some(Refusal::new(Subject::Visitor, reason)),
            Outcome::Not(_) | Outcome::Counts(_) => None,
        }
    }
}

/// A touch that may count.
struct Counting<'a> {
    /// Its place among all touches.
    place: usize,
    touch: &'a Touch,
    found: Found<'a>,
    /// When the purchase must be made.
    purchase_by: Option<Instant>,
    findings: Vec<Finding>,
}

/// Weighs touches. `place`: on what occasion; `by_code`: whether a code has attributed already.
pub(super) fn weigh<'a>(
    scene: &'a Scene<'_>,
    desk: &Desk,
    touches: &'a [Touch],
    place: &Via,
    by_code: bool,
) -> Weighed<'a> {
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(touches.len());
    let mut counting: Vec<Counting<'_>> = Vec::new();
    let mut all_findings: Vec<Vec<Finding>> = Vec::with_capacity(touches.len());
    for (number, touch) in touches.iter().enumerate() {
        match may_count(scene, desk, touch, place, by_code) {
            Ok((found, purchase_by)) => {
                let source = touch.source.as_ref().map(Label::as_str);
                let findings = suspect::findings(scene, desk, found.campaign, &found.owner.account, source);
                all_findings.push(findings.clone());
                if suspect::blocks(&findings) {
                    outcomes.push(Outcome::Not(Reason::ReferralSuspected));
                    continue;
                }
                counting.push(Counting { place: number, touch, found, purchase_by, findings });
                outcomes.push(Outcome::Counts(0));
            }
            Err(reason) => {
                all_findings.push(Vec::new());
                outcomes.push(Outcome::Not(reason));
            }
        }
    }
    let mut refuse = |counting: &mut Vec<Counting<'_>>, reason: Reason, is: &dyn Fn(&Counting<'_>) -> bool| {
        for gone in counting.extract_if(.., |one| is(one)) {
            if let Some(outcome) = outcomes.get_mut(gone.place) {
                *outcome = Outcome::Not(reason);
            }
        }
    };
    // One campaign has the friend: that of the latest touch.
    if let Some(campaign) = counting.last().map(|last| last.found.campaign.id.clone()) {
        refuse(&mut counting, Reason::TouchOfOtherCampaign, &|one| one.found.campaign.id != campaign);
    }
    let surplus = counting.len().saturating_sub(Referral::TOUCHES_WEIGHED_MAX);
    let oldest: Vec<usize> = counting.iter().take(surplus).map(|one| one.place).collect();
    refuse(&mut counting, Reason::TouchTooOld, &|one| oldest.contains(&one.place));
    // Each round but the last leaves out a code that is used up.
    let (mut parts, mut taken) = (Vec::new(), Vec::new());
    for _ in 0..=touches.len() {
        let Some(terms) = counting.last().map(|last| &last.found.campaign.credit) else { break };
        parts = shares(terms.model, &counting);
        let credited = counting.iter().zip(&parts).filter(|(_, part)| 0 < **part);
        let codes: Vec<&Code> = credited.map(|(one, _)| &one.found.code).collect();
        let Some(gone) = used_up(scene, desk, &counting, &codes, &mut taken) else { break };
        refuse(&mut counting, Reason::CodeUsedUp, &|one| one.found.code == gone);
    }
    let mut models = Vec::new();
    if let Some(terms) = counting.last().map(|last| &last.found.campaign.credit) {
        for (model, in_force) in std::iter::once((terms.model, true)).chain(terms.shadow.iter().map(|m| (*m, false))) {
            let credits = by_advocate(&counting, &shares(model, &counting));
            let credits = credits.into_iter().map(|(advocate, _, ppm)| (advocate, ppm)).collect();
            models.push(ModelSays { model, in_force, credits });
        }
    }
    for (one, part) in counting.iter().zip(&parts) {
        if let Some(outcome) = outcomes.get_mut(one.place) {
            *outcome = Outcome::Counts(*part);
        }
    }
    let claimed = claimed(scene, &counting, &parts);
    let seen = |touch: &Touch| TouchSeen {
        kind: touch.kind,
        channel: touch.channel.clone(),
        source: touch.source.clone(),
        at: touch.at,
    };
    let considered = touches.iter().zip(outcomes.into_iter().zip(all_findings));
    let considered = considered.map(|(touch, (outcome, findings))| Considered {
        code: Some(touch.code.clone()),
        of: owned(scene, &touch.code),
        touch: Some(seen(touch)),
        outcome,
        findings,
    });
    Weighed { considered: considered.collect(), models, claimed }
}

/// Whether a touch may count, and until before when the purchase must be made; checks in order of precedence.
fn may_count<'a>(
    scene: &'a Scene<'_>,
    desk: &Desk,
    touch: &Touch,
    place: &Via,
    by_code: bool,
) -> Result<(Found<'a>, Option<Instant>), Reason> {
    if scene.times.effective_at < touch.at {
        return Err(Reason::TouchAfterwards);
    }
    if by_code {
        return Err(Reason::Superseded);
    }
    let found = checked(scene, desk, Some(&touch.code), &Via::Touch, place)?;
    let window = found.campaign.window(touch).ok_or(Reason::TouchNotTaken)?;
    let purchase_by = in_window(scene, desk, touch, window)?;
    Ok((found, purchase_by))
}

/// Until before when the purchase must be made; `None`: the window does not say. Where the time is over at an instant, it
/// is over at that instant.
fn in_window(scene: &Scene<'_>, desk: &Desk, touch: &Touch, window: &TouchWindow) -> Result<Option<Instant>, Reason> {
    let (at, signed_up, zone) = (scene.times.effective_at, desk.state.enrolled_at, &scene.program.zone);
    let before = touch.at <= signed_up;
    // Who came by a code as a member has signed up already: what is left is the purchase.
    let late = if before { signed_up } else { at };
    if window.sign_up_within.after(touch.at, zone) <= late && (before || window.purchase_within.is_none()) {
        return Err(Reason::TouchWindowOver);
    }
    let from = if before { signed_up } else { touch.at };
    let purchase_by = window.purchase_within.map(|within| within.after(from, zone));
    match purchase_by {
        Some(until) if until <= at => Err(Reason::TouchWindowOver),
        purchase_by => Ok(purchase_by),
    }
}

fn shares(model: CreditModel, counting: &[Counting<'_>]) -> Vec<i64> {
    let at: Vec<Instant> = counting.iter().map(|one| one.touch.at).collect();
    model.shares(&at)
}

/// Takes one of the friends that each of these codes may bring, once; answers the first that may bring nobody any more.
fn used_up(
    scene: &Scene<'_>,
    desk: &Desk,
    counting: &[Counting<'_>],
    codes: &[&Code],
    taken: &mut Vec<Code>,
) -> Option<Code> {
    for code in codes {
        if taken.contains(code) {
            continue;
        }
        let found = &counting.iter().find(|one| one.found.code == **code)?.found;
        if use_up(scene, desk, found).is_err() {
            return Some((*code).clone());
        }
        taken.push((*code).clone());
    }
    None
}

/// The credit of each advocate, in the order in which they came first: with the code of their latest touch.
fn by_advocate(counting: &[Counting<'_>], parts: &[i64]) -> Vec<(AccountId, Code, i64)> {
    let mut credits: Vec<(AccountId, Code, i64)> = Vec::new();
    for (one, part) in counting.iter().zip(parts).filter(|(_, part)| 0 < **part) {
        let (advocate, code) = (&one.found.owner.account, &one.found.code);
        match credits.iter_mut().find(|(known, ..)| known == advocate) {
            Some((_, latest, sum)) => {
                latest.clone_from(code);
                *sum = sum.saturating_add(*part);
            }
            None => credits.push((advocate.clone(), code.clone(), *part)),
        }
    }
    credits
}

/// The claim: of whoever has most of the credit, of equal ones whoever came latest; the others share it. What rounding adds
/// to a part, less than one in a million for each touch, makes nobody's greater.
fn claimed<'a>(scene: &Scene<'_>, counting: &[Counting<'a>], parts: &[i64]) -> Option<Claimed<'a>> {
    let last = counting.last()?;
    let mut credits = by_advocate(counting, parts);
    debug_assert!(credits.iter().map(|(_, _, ppm)| *ppm).sum::<i64>() == WHOLE_PPM, "credit sums exactly");
    let latest = |advocate: &AccountId| counting.iter().rposition(|one| one.found.owner.account == *advocate);
    let rounded = i64::try_from(counting.len()).unwrap_or(i64::MAX);
    let most = credits.iter().map(|(_, _, ppm)| *ppm).max()?.saturating_sub(rounded);
    let equal = credits.iter().filter(|(_, _, ppm)| most <= *ppm);
    let most = equal.max_by_key(|(advocate, ..)| latest(advocate))?.0.clone();
    let (advocate, code, _) = credits.extract_if(.., |(known, ..)| *known == most).next()?;
    let sharers = credits.into_iter().map(|(advocate, code, ppm)| Sharer { advocate, code, ppm, sent: None });
    let by_campaign = qualify_by(scene, last.found.campaign);
    let channel = counting.iter().rfind(|one| one.found.code == code).and_then(|one| one.touch.channel.clone());
    Some(Claimed {
        campaign: last.found.campaign,
        code,
        advocate,
        via: Via::Touch,
        channel,
        sharers: sharers.collect(),
        findings: counting
            .iter()
            .zip(parts)
            .filter(|(_, part)| 0 < **part)
            .flat_map(|(one, _)| one.findings.clone())
            .collect(),
        qualify_by: last.purchase_by.unwrap_or(by_campaign),
    })
}
