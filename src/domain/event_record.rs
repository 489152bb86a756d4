//! Events as they are recorded: enough to review one later and to undo it exactly.

use serde::{Deserialize, Serialize};

use super::account::{AttributeValue, Salt};
use super::answer::Decided;
use super::awards::Consequence;
use super::counters::CounterChange;
use super::id::{EventId, Label, MemberId, OrderId, RequestId, UnitId};
use super::ledger::{Hash, digest, encode};
use super::order_record::{GrantRecord, SentGrantRecord};
use super::time::Instant;

/// What an account holds beside its state under a name of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DeedRecord {
    Event(Box<EventRecord>),
    Recovery(RecoveryRecord),
}

/// Something that a member did outside an order. An event id is recorded once per account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventRecord {
    pub event: EventId,
    pub kind: Label,
    pub member: MemberId,
    pub value: Option<i64>,
    /// Kept while the event waits for its review, and no longer: they may be personal.
    pub attributes: Vec<(Label, AttributeValue)>,
    /// Of what the caller sent, over a salt that is kept here alone.
    pub content: Hash,
    pub salt: Salt,
    pub effective_at: Instant,
    pub state: EventState,
    /// For a pending one: from when on it can no longer be approved.
    pub lapses_at: Instant,
    pub grants: Vec<GrantRecord>,
    /// Stamps, vouchers and tags.
    pub consequences: Vec<Consequence>,
    /// What it added to counters.
    pub counts: Vec<CounterChange>,
    /// Of the decision that recorded, or else approved, the event.
    pub decided: Decided,
    /// For whom it was done.
    pub recipient: Option<MemberId>,
    /// What was granted to them.
    pub sent_grants: Vec<SentGrantRecord>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EventState {
    /// Waits for a review.
    Pending,
    Approved,
    Rejected,
    /// Nobody reviewed it in time.
    Lapsed,
    /// Approved, and undone since.
    Revoked,
}

impl EventRecord {
    /// The state as of an instant.
    pub fn state_at(&self, now: Instant) -> EventState {
        match self.state {
            EventState::Pending if self.lapses_at <= now => EventState::Lapsed,
            state => state,
        }
    }

    /// The hash of what a caller sent, by which a resend is told from something else.
    pub fn content_of(
        salt: &Salt,
        kind: &Label,
        value: Option<i64>,
        attributes: &[(Label, AttributeValue)],
        proof: Option<&str>,
        recipient: Option<&MemberId>,
    ) -> Hash {
        digest(&encode(&(salt, kind, value, attributes, proof, recipient)))
    }
}

/// What was given to make up for an order that went wrong: at most once per order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecoveryRecord {
    pub order: OrderId,
    pub unit: UnitId,
    pub units: i64,
    pub agent: Label,
    pub request: Option<RequestId>,
    pub given_at: Instant,
}
