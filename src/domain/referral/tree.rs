//! Whom an advocate has brought, friend by friend, as it lies beside the advocate.
//!
//! A friend's account says how its referral stands; the list of an advocate follows that. What is said states the whole, so
//! that it may be said late and more than once: the latest stands.

use serde::{Deserialize, Serialize};

use super::super::account::AccountState;
use super::super::answer::ReferralState;
use super::super::id::{AccountId, CampaignId, ReferralId};
use super::super::time::Instant;
use super::Referral;

/// A friend in the list of whoever brought them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Child {
    pub referral: ReferralId,
    pub campaign: CampaignId,
    pub friend: AccountId,
    /// [`ReferralState::Superseded`]: somebody else has brought them after all.
    pub state: ReferralState,
    pub confirmed: bool,
    pub attributed_at: Instant,
    pub qualified_at: Option<Instant>,
    /// Whether the friend is shown without a name: erased, or does not want to be shown.
    pub nameless: bool,
    /// When it was said, and by which entry: the latest stands.
    pub said: (Instant, u64),
}

/// What is to be said to an advocate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told {
    pub advocate: AccountId,
    pub child: Child,
}

/// A position in somebody's list, on the way through a tree.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Whose list.
    pub account: AccountId,
    /// Lists of accounts that became part of it come after its own; which of them is being read.
    pub home: usize,
    /// Read up to here.
    pub after: u64,
}

/// A friend somewhere below the member who was asked about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// 1: brought by the member; 2: by one of those; ...
    pub generation: u32,
    /// Who brought them; `None`: is shown without a name.
    pub parent: Option<AccountId>,
    pub child: Child,
    /// How many they have ever brought, before any claim of them fell.
    pub brought: u64,
}

impl AccountState {
    /// Whether it is shown without a name.
    pub fn is_nameless(&self) -> bool {
        self.erased_at.is_some() || self.people.iter().any(|person| person.profile.leaderboard_opt_out)
    }

    fn child(&self, referral: &Referral, state: ReferralState) -> Told {
        let child = Child {
            referral: referral.referral.clone(),
            campaign: referral.campaign.clone(),
            friend: self.account.clone(),
            state,
            confirmed: referral.confirmed,
            attributed_at: referral.attributed_at,
            qualified_at: referral.qualified_at,
            nameless: self.is_nameless(),
            said: (self.posted_at, self.sequence),
        };
        Told { advocate: referral.advocate.clone(), child }
    }
}

/// What a decision changes in the lists of advocates. A referral that leaves with the account is told of where it arrives.
pub fn changes(before: Option<&AccountState>, after: &AccountState) -> Vec<Told> {
    let mut told = Vec::new();
    let renamed = before.is_some_and(|before| before.is_nameless() != after.is_nameless());
    let had =
        |referral: &Referral| before.and_then(|b| b.referrals().find(|known| known.referral == referral.referral));
    for referral in after.referrals() {
        let known = had(referral);
        let same = known.is_some_and(|known| {
            let shown = |r: &Referral| (r.advocate.clone(), r.state, r.confirmed, r.attributed_at, r.qualified_at);
            shown(known) == shown(referral)
        });
        if !same || renamed {
            told.push(after.child(referral, referral.state));
        }
        if let Some(gone) = known.filter(|known| known.advocate != referral.advocate) {
            told.push(after.child(gone, ReferralState::Superseded));
        }
    }
    // Another campaign has taken the place of the one before.
    let replaced = before.and_then(|before| before.referral.as_ref()).filter(|gone| {
        let stays = after.referrals().any(|known| known.referral == gone.referral);
        !stays && after.referral.is_some() && after.away.is_none()
    });
    told.extend(replaced.map(|gone| after.child(gone, ReferralState::Superseded)));
    told
}
