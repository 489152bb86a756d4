//! What is kept of codes and of referrals.

use serde::{Deserialize, Serialize};

use super::super::answer::ReferralState;
use super::super::id::{AccountId, CampaignId, Code, EventId, GrantId, Label, OrderId, ReferralId, ReturnId, UnitId};
use super::super::ledger::Dates;
use super::super::time::{Day, Instant};
use super::credit::WHOLE_PPM;
use super::fraud::{Action, Finding, Review, SideState};

/// Whose a code is, as it lies in the code's own partition. The owner's account says what holds; this follows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CodeOwner {
    pub account: AccountId,
    pub campaign: CampaignId,
    pub state: CodeState,
    /// Of what the owner's account says of the code; the highest stands.
    pub revision: u32,
    /// [`Instant::MAX`]: never.
    pub expires_at: Instant,
    /// Friends whom it may bring; `None`: as the campaign says.
    pub uses_max: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CodeState {
    /// Taken by an account that may not own it yet: until that says so, it leads nowhere.
    Claimed,
    Active,
    /// It leads nowhere until it is unblocked.
    Blocked,
    /// Its owner was erased: it is nobody's, and leads nowhere for good.
    Erased,
}

/// A code of an account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OwnCode {
    pub campaign: CampaignId,
    pub code: Code,
    /// What the advocate uses it for, where there are several.
    pub label: Option<Label>,
    /// Whether it is one that the advocate wished for.
    pub vanity: bool,
    /// [`Instant::MAX`]: never.
    pub expires_at: Instant,
    pub uses_max: Option<i64>,
    pub blocked: bool,
    /// Rises with each change; the first is 1.
    pub revision: u32,
}

impl OwnCode {
    /// What the record of the code is to say.
    pub fn owner(&self, account: &AccountId) -> CodeOwner {
        CodeOwner {
            account: account.clone(),
            campaign: self.campaign.clone(),
            state: if self.blocked { CodeState::Blocked } else { CodeState::Active },
            revision: self.revision,
            expires_at: self.expires_at,
            uses_max: self.uses_max,
        }
    }
}

/// How a friend came to be attributed. Of two claims the higher one stands, of two alike the earlier, while nothing has
/// come of the other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Via {
    /// A code named at sign-up.
    SignUp,
    /// A code named at checkout.
    Checkout,
    /// Somebody of the staff said so.
    Agent(Label),
    /// A code named after sign-up, by a call of its own.
    Named,
    /// No code was named: they had come by one before, as a visitor.
    Touch,
}

impl Via {
    /// The order of precedence.
    pub fn rank(&self) -> u8 {
        match self {
            Via::Touch => 0,
            Via::SignUp | Via::Named => 1,
            Via::Checkout => 2,
            Via::Agent(_) => 3,
        }
    }
}

/// How the account's owner came to the program.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Referral {
    pub referral: ReferralId,
    pub campaign: CampaignId,
    pub code: Code,
    pub advocate: AccountId,
    pub via: Via,
    /// Where the code was, as the latest touch by it said that had come by then; `None`: no touch says.
    pub channel: Option<Label>,
    pub state: ReferralState,
    /// Whether it is certain that it closes no circle. Until then nothing is paid.
    pub confirmed: bool,
    /// Pins the terms.
    pub attributed_at: Instant,
    /// [`Instant::MAX`]: no limit.
    pub qualify_by: Instant,
    pub qualified_at: Option<Instant>,
    pub qualified_by: Option<QualifiedBy>,
    /// Why it was rejected.
    pub rejected_for: Option<RejectedFor>,
    /// Whether both sides have been granted theirs.
    pub paid: bool,
    /// The friend's own reward, and what of it was taken back.
    pub friend: Option<SideGrant>,
    /// What was sent to the advocate, as it stands.
    pub advocate_grant: Option<SentGrant>,
    /// Commission on orders from before it is confirmed; at most [`Referral::OWED_MAX`] for each advocate.
    pub owed: Vec<Owed>,
    /// Other advocates who share the credit; the rest of it is the advocate's own.
    pub sharers: Vec<Sharer>,
    /// What speaks against it, each suspicion once.
    pub findings: Vec<Finding>,
    /// `Some`: the rewards wait, or have waited, for somebody to decide.
    pub review: Option<Review>,
}

/// An advocate who has a part of the credit for a friend, beside the one to whom the friend is attributed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sharer {
    pub advocate: AccountId,
    pub code: Code,
    /// In parts per million.
    pub ppm: i64,
    /// What was sent to them, as it stands.
    pub sent: Option<SentGrant>,
}

impl Referral {
    /// Credit is shared by so many advocates at most, for so many touches are weighed.
    pub const TOUCHES_WEIGHED_MAX: usize = 20;

    /// Who has which part of the credit, in parts per million: the advocate, then those who share. Sums to a million.
    pub fn credits(&self) -> Vec<(&AccountId, i64)> {
        let shared: i64 = self.sharers.iter().map(|sharer| sharer.ppm).sum();
        let own = (&self.advocate, WHOLE_PPM.saturating_sub(shared));
        std::iter::once(own).chain(self.sharers.iter().map(|sharer| (&sharer.advocate, sharer.ppm))).collect()
    }

    /// The name of the grant to the advocate, or to the `place`th who shares the credit, from 1 on.
    pub fn grant_of(&self, place: usize) -> GrantId {
        let id = self.referral.as_str();
        match place {
            0 => GrantId::of(&["referral", id, "advocate"]),
            place => GrantId::of(&["referral", id, "advocate", &place.to_string()]),
        }
    }

    /// Whether it has not come to nothing.
    pub fn is_undecided(&self) -> bool {
        !matches!(self.state, ReferralState::Rejected | ReferralState::Superseded)
    }

    /// Whether its rewards must wait for a review.
    pub fn is_flagged(&self) -> bool {
        self.findings.iter().any(|finding| Action::Flag <= finding.action)
    }

    /// Whether commission goes to the advocates as it is earned; otherwise it is owed until that is certain.
    pub fn sends(&self) -> bool {
        let released = self.review.as_ref().map_or(self.paid || !self.is_flagged(), |review| review.released);
        self.confirmed && released
    }

    /// Whether the advocates get nothing any more.
    pub fn advocate_is_out(&self) -> bool {
        let side = self.review.as_ref().and_then(|review| review.advocate.as_ref());
        matches!(side, Some(SideState::Rejected | SideState::Lapsed))
    }

    /// What was sent under each of those names.
    pub fn sent(&self, place: usize) -> Option<&SentGrant> {
        match place.checked_sub(1) {
            None => self.advocate_grant.as_ref(),
            Some(sharer) => self.sharers.get(sharer)?.sent.as_ref(),
        }
    }
    /// Orders of one friend while a claim is being confirmed, which takes moments.
    pub const OWED_MAX: usize = 64;

    pub fn order(&self) -> Option<&OrderId> {
        match &self.qualified_by {
            Some(QualifiedBy::Order(order)) => Some(order),
            Some(QualifiedBy::SignUp | QualifiedBy::Event(_)) | None => None,
        }
    }
}

/// What met the terms.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum QualifiedBy {
    SignUp,
    Order(OrderId),
    Event(EventId),
}

/// Commission that is sent when the claim is confirmed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Owed {
    pub grant: GrantId,
    /// Whose it is.
    pub target: AccountId,
    pub unit: UnitId,
    pub net: i64,
    pub dates: Dates,
    pub effective_at: Instant,
}

/// Why a referral came to nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RejectedFor {
    /// What qualified it came back.
    Returned(ReturnId),
    /// The event that qualified it was revoked.
    Revoked(EventId),
    /// Nothing was left of the campaign's budget.
    Budget,
    /// The advocate was, in the end, brought by the friend.
    Circle,
    /// Too many stand between the friend and whoever was brought by nobody.
    ChainTooLong,
    /// What is known of friend and advocate forbids it.
    Suspected,
    /// A review has approved nothing of it, or nobody decided in time.
    Review,
    /// Friend and advocate have one account by now.
    Oneself,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SideGrant {
    pub grant: GrantId,
    pub unit: UnitId,
    pub amount: i64,
    pub reversed: i64,
    pub dates: Dates,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SentGrant {
    pub grant: GrantId,
    pub unit: UnitId,
    pub revision: u32,
    /// Granted at first.
    pub amount: i64,
    /// Granted as it stands.
    pub net: i64,
}

/// What an account that was granted something for a friend must know of it when that changes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct BroughtState {
    /// What it would be without limits.
    pub desired: i64,
    /// What it is.
    pub granted: i64,
    /// By which it was multiplied, for the friend's number; 0: no number was given yet.
    pub times: i64,
    /// The day in whose period it counts.
    pub day: Day,
    /// Whether it counts as a friend.
    pub counted: bool,
    /// Whom a share went on to.
    pub onward: Option<AccountId>,
    pub onward_net: i64,
}
