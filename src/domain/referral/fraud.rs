//! What speaks for a referral being none, and what follows from it.

use serde::{Deserialize, Serialize};

use super::super::id::{AccountId, Label};
use super::super::time::Instant;
use super::signal::SignalKind;

/// A reason to suspect.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Suspicion {
    /// Friend and advocate have this in common.
    Same(SignalKind),
    /// The friend has something in common with somebody further up: a ring of one person's accounts.
    Ring,
    /// The advocate brings friends faster than people do.
    Velocity,
    /// The friend's e-mail is of a mailbox that nobody keeps.
    DisposableEmail,
    /// The code was found where codes are collected.
    LeakedCode,
}

/// What follows from a suspicion.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Action {
    /// It is told, and nothing more.
    Shadow,
    /// The rewards wait for a review.
    Flag,
    /// The referral is refused.
    Block,
}

/// A suspicion, as found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    pub suspicion: Suspicion,
    pub action: Action,
    /// Whom it was found by.
    pub advocate: AccountId,
    /// How far above the friend that one is; 1: the advocate.
    pub hops: u32,
}

/// Whether somebody may have a reward.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SideState {
    /// Nobody has decided.
    Open,
    Approved,
    Rejected,
    /// Nobody decided in time.
    Lapsed,
}

/// A review of a referral's rewards.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Review {
    pub opened_at: Instant,
    /// When what is open lapses; [`Instant::MAX`]: never.
    pub due_at: Instant,
    /// `None`: the campaign gives that side nothing.
    pub friend: Option<SideState>,
    pub advocate: Option<SideState>,
    /// The last of those who decided.
    pub decided: Option<Decided>,
    /// Whether what the advocates earn has been let go once.
    pub released: bool,
}

/// Who decided what.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Decided {
    pub agent: Label,
    /// Why, as a code.
    pub reason: Label,
    /// Against what was decided, or had lapsed, before.
    pub forced: bool,
    pub at: Instant,
}

impl Review {
    pub fn is_open(&self) -> bool {
        [&self.friend, &self.advocate].into_iter().any(|side| *side == Some(SideState::Open))
    }

    /// Whether any side has been approved.
    pub fn is_approved(&self) -> bool {
        [&self.friend, &self.advocate].into_iter().any(|side| *side == Some(SideState::Approved))
    }

    /// What is open lapses, or falls with its referral.
    pub fn close(&mut self) {
        for side in [&mut self.friend, &mut self.advocate].into_iter().flatten() {
            if *side == SideState::Open {
                *side = SideState::Lapsed;
            }
        }
    }
}
