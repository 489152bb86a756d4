//! Events: what members do outside orders.

use std::collections::BTreeMap;

use super::AttributeType;
use crate::domain::id::Label;
use crate::domain::time::Period;

/// A type of event that members may report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventTerms {
    /// An event without a proof is refused. A proof that is given counts once in any case.
    pub proof_required: bool,
    pub proof_scope: ProofScope,
    pub approval: Approval,
    /// Between two events of the type and member, whichever way; `None`: none.
    pub cool_down: Option<Period>,
    /// The largest value that an event may carry; `None`: no bound.
    pub value_max: Option<i64>,
    /// What an event may carry besides.
    pub attributes: BTreeMap<Label, AttributeType>,
}

/// Where a proof counts once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ProofScope {
    Member,
    #[default]
    Program,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Approval {
    /// What the event brings is granted at once.
    #[default]
    Auto,
    /// It waits for a review, at most so long.
    Manual { lapses_after: Period },
}
