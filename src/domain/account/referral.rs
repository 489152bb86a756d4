//! Codes, and who brought the account's owner.

use super::{AccountState, ApplyError};
use crate::domain::answer::ReferralState;
use crate::domain::id::{GrantId, ReferralId, UnitId};
use crate::domain::ledger::{Entry, Fact};
use crate::domain::referral::fraud::{Decided, Review, SideState};
use crate::domain::referral::{Owed, Referral, RejectedFor, SentGrant};
use crate::domain::time::Instant;

impl AccountState {
    pub(super) fn apply_referral(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        match &entry.fact {
            Fact::CodeCreated { own } => {
                if AccountState::CODES_MAX <= self.codes.len() {
                    return Err(ApplyError::TooLarge);
                }
                self.codes.push(own.clone());
            }
            Fact::CodeChanged { code, blocked, revision, .. } => {
                let own = self.codes.iter_mut().find(|own| own.code == *code);
                let own = own.ok_or(ApplyError::Inconsistent("there is no such code"))?;
                (own.blocked, own.revision) = (*blocked, *revision);
            }
            Fact::AttributionWeighed { .. } => {
                self.weighed.push(entry.sequence);
                let surplus = self.weighed.len().saturating_sub(AccountState::WEIGHED_MAX);
                self.weighed.drain(..surplus);
            }
            Fact::Attributed { referral, campaign, code, advocate, via, channel, confirmed, qualify_by, sharers } => {
                self.referral = Some(Referral {
                    referral: referral.clone(),
                    campaign: campaign.clone(),
                    code: code.clone(),
                    advocate: advocate.clone(),
                    via: via.clone(),
                    channel: channel.clone(),
                    state: ReferralState::Attributed,
                    confirmed: *confirmed,
                    attributed_at: entry.effective_at,
                    qualify_by: *qualify_by,
                    qualified_at: None,
                    qualified_by: None,
                    rejected_for: None,
                    paid: false,
                    friend: None,
                    advocate_grant: None,
                    owed: Vec::new(),
                    sharers: sharers.clone(),
                    findings: Vec::new(),
                    review: None,
                });
            }
            Fact::ReferralConfirmed { referral } => {
                let referral = self.referral_of(referral)?;
                referral.confirmed = true;
                if referral.sends() {
                    referral.owed.clear();
                }
            }
            Fact::Qualified { referral, by } => {
                let referral = self.referral_of(referral)?;
                referral.state = ReferralState::Qualified;
                referral.qualified_at = Some(entry.effective_at);
                referral.qualified_by = Some(by.clone());
            }
            Fact::ReferralPaid { referral, friend } => {
                let referral = self.referral_of(referral)?;
                referral.paid = true;
                referral.friend = friend.clone().or(referral.friend.take());
            }
            Fact::CommissionOwed { referral, grant, target, unit, change, dates } => {
                let effective_at = entry.effective_at;
                let owed = &mut self.referral_of(referral)?.owed;
                let full = Referral::OWED_MAX * Referral::TOUCHES_WEIGHED_MAX <= owed.len();
                match owed.iter_mut().find(|owed| owed.grant == *grant) {
                    Some(owed) => owed.net = owed.net.checked_add(*change).ok_or(ApplyError::Overflow)?,
                    None if full => return Err(ApplyError::TooLarge),
                    None => {
                        let (grant, target, unit) = (grant.clone(), target.clone(), unit.clone());
                        owed.push(Owed { grant, target, unit, net: *change, dates: *dates, effective_at });
                    }
                }
            }
            Fact::ReferralExpired { referral } => self.referral_of(referral)?.state = ReferralState::Expired,
            Fact::ReferralRejected { referral, why } => {
                let referral = self.referral_of(referral)?;
                referral.state = ReferralState::Rejected;
                referral.rejected_for = Some(why.clone());
                referral.owed.clear();
                if let Some(review) = &mut referral.review {
                    review.close();
                }
            }
            Fact::ReferralSuspected { referral, findings } => {
                self.referral_of(referral)?.findings.extend(findings.iter().cloned());
            }
            Fact::ReviewOpened { referral, review } => self.referral_of(referral)?.review = Some(review.clone()),
            Fact::ReviewDecided { referral, friend, advocate, approved, forced, agent, reason } => {
                let at = entry.effective_at;
                let decided = Decided { agent: agent.clone(), reason: reason.clone(), forced: *forced, at };
                self.referral_of(referral)?.decide(*friend, *advocate, *approved, decided);
            }
            Fact::ReviewLapsed { referral } => self.referral_of(referral)?.lapse(),
            _ => return Err(ApplyError::Inconsistent("a fact that is not about a referral")),
        }
        Ok(())
    }

    /// Notes how a grant stands that was sent to the advocate: it is named after the referral.
    pub(super) fn note_sent(
        &mut self,
        grant: &GrantId,
        unit: &UnitId,
        revision: u32,
        change: i64,
    ) -> Result<(), ApplyError> {
        let places =
            |referral: &Referral| (0..=referral.sharers.len()).find(|place| referral.grant_of(*place) == *grant);
        let found = self.referrals_mut().find_map(|referral| places(referral).map(|place| (referral, place)));
        let (referral, place) =
            found.ok_or(ApplyError::Inconsistent("there is no referral that sends such a grant"))?;
        let before = referral.sent(place);
        let net = before.map_or(0, |sent| sent.net).checked_add(change).ok_or(ApplyError::Overflow)?;
        let amount = before.map_or(net, |sent| sent.amount);
        let sent = Some(SentGrant { grant: grant.clone(), unit: unit.clone(), revision, amount, net });
        match place.checked_sub(1).and_then(|sharer| referral.sharers.get_mut(sharer)) {
            Some(sharer) => sharer.sent = sent,
            None => referral.advocate_grant = sent,
        }
        Ok(())
    }

    /// When reviews lapse.
    pub(crate) fn reviews_due(&self) -> impl Iterator<Item = Instant> {
        let open = self.referrals().filter_map(|known| known.review.as_ref()).filter(|review| review.is_open());
        open.map(|review| review.due_at)
    }

    /// As [`AccountState::note_sent`], where it is the reward for the friend as such; commission is told by its order.
    pub(super) fn note_accrued(
        &mut self,
        grant: &GrantId,
        unit: &UnitId,
        revision: u32,
        change: i64,
    ) -> Result<(), ApplyError> {
        let is_reward = grant.as_str().starts_with("referral:");
        if is_reward { self.note_sent(grant, unit, revision, change) } else { Ok(()) }
    }

    fn referral_of(&mut self, id: &ReferralId) -> Result<&mut Referral, ApplyError> {
        let found = self.referrals_mut().find(|referral| referral.referral == *id);
        found.ok_or(ApplyError::Inconsistent("there is no such referral"))
    }
}

impl Referral {
    /// What somebody decided. What was paid without a review is one now.
    fn decide(&mut self, friend: bool, advocate: bool, approved: bool, decided: Decided) {
        let paid = |is: bool| is.then_some(SideState::Approved);
        let (own, theirs) = (paid(self.friend.is_some()), paid(self.advocate_grant.is_some()));
        let (opened_at, due_at) = (decided.at, Instant::MAX);
        let released = theirs.is_some();
        let unreviewed = || Review { opened_at, due_at, friend: own, advocate: theirs, decided: None, released };
        let review = self.review.get_or_insert_with(unreviewed);
        let to = if approved { SideState::Approved } else { SideState::Rejected };
        for (side, is_meant) in [(&mut review.friend, friend), (&mut review.advocate, advocate)] {
            if is_meant && let Some(side) = side {
                *side = to.clone();
            }
        }
        review.decided = Some(decided);
        if advocate && approved {
            review.released = true;
            if self.confirmed {
                self.owed.clear();
            }
        }
        self.reviewed();
    }

    fn lapse(&mut self) {
        if let Some(review) = &mut self.review {
            review.close();
        }
        self.reviewed();
    }

    /// A referral of which nothing is approved, and nothing can be any more without force, has come to nothing.
    fn reviewed(&mut self) {
        let Some(review) = &self.review else { return };
        if review.is_approved() && self.rejected_for == Some(RejectedFor::Review) {
            (self.state, self.rejected_for) = (ReferralState::Qualified, None);
        } else if !review.is_approved() && !review.is_open() {
            // What is owed stays: force may still approve it, as of when it was earned.
            (self.state, self.rejected_for) = (ReferralState::Rejected, Some(RejectedFor::Review));
        }
    }
}
