//! Why somebody was, or was not, attributed to whom: what was considered, and what each model would have said. Kept in
//! the ledger of the friend, so that it can be read out months later.

use serde::{Deserialize, Serialize};

use super::super::answer::Reason;
use super::super::id::{AccountId, CampaignId, Code, Label, ReferralId};
use super::super::time::Instant;
use super::Via;
use super::credit::CreditModel;
use super::fraud::Finding;
use super::touch::TouchKind;

/// One time at which it was asked who brought a friend.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Weighing {
    /// On what occasion.
    pub via: Via,
    /// Codes in the order in which they were named, then touches, the earliest first.
    pub considered: Vec<Considered>,
    /// What each model says of the touches that count: the one that the program goes by, then those in shadow. Empty where
    /// no touch counts.
    pub models: Vec<ModelSays>,
    /// What came of it.
    pub referral: Option<ReferralId>,
}

/// A code or a touch that was considered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Considered {
    /// `None`: what was named reads like no code.
    pub code: Option<Code>,
    /// Whose the code is, and of which campaign; `None`: nobody's.
    pub of: Option<(AccountId, CampaignId)>,
    /// `None`: the code was named.
    pub touch: Option<TouchSeen>,
    pub outcome: Outcome,
    /// What speaks against it.
    pub findings: Vec<Finding>,
}

/// What is told of a touch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TouchSeen {
    pub kind: TouchKind,
    pub channel: Option<Label>,
    pub source: Option<Label>,
    pub at: Instant,
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// It counts, and has this part of the credit, in parts per million. A code that is taken has all of it.
    Counts(i64),
    /// It does not count.
    Not(Reason),
}

/// What a model says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ModelSays {
    pub model: CreditModel,
    /// Whether the program goes by it; the others are for comparison.
    pub in_force: bool,
    /// By advocate, in parts per million; sums to a million.
    pub credits: Vec<(AccountId, i64)>,
}
