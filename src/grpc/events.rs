//! What members do outside orders, from the wire and to it.

use super::request::{self, AMOUNT, Envelope};
use super::response::{all, balance, decision};
use super::violations::{Path, Violations};
use super::{fingerprints, profile, wire};
use crate::domain::account::Profile;
use crate::domain::answer::EventAnswer;
use crate::domain::command::{Command, RecordEvent, ReviewEvent, RevokeEvent, Verdict};
use crate::domain::event_record::EventState;
use crate::domain::id::{EventId, Label, MemberId};
use crate::service::{Calls, Write};

pub(super) fn record(bad: &mut Violations, calls: &dyn Calls, raw: &wire::RecordEventRequest) -> Option<Write> {
    let wire::RecordEventRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let event = bad.take(&Path::Of("event_id"), EventId::parse(&raw.event_id));
    let kind = bad.take(&Path::Of("event_type"), Label::parse(&raw.event_type));
    let value = match raw.value {
        Some(value) => request::number(bad, &Path::Of("value"), value, AMOUNT).map(Some),
        None => Some(None),
    };
    let attributes_at = &Path::Of("attributes");
    let attributes = request::each(bad, attributes_at, &raw.attributes, Profile::ATTRIBUTES_MAX, profile::attribute);
    let (proof, max) = (&raw.proof_id, RecordEvent::PROOF_BYTES_MAX);
    if max < proof.len() {
        bad.add(&Path::Of("proof_id"), format!("is {} bytes long, at most {max} are allowed", proof.len()));
    }
    let proof = (!proof.is_empty()).then(|| proof.clone());
    let recipient_at = &Path::Of("recipient_member_id");
    let recipient = request::optional(bad, recipient_at, &raw.recipient_member_id, MemberId::parse);
    let (event, kind, value, attributes) = (event?, kind?, value?, attributes?);
    let record = RecordEvent { event, kind, value, attributes, proof, recipient: recipient? };
    Some(envelope?.write(fingerprints::record_event(raw), Command::RecordEvent(record)))
}

pub(super) fn review(bad: &mut Violations, calls: &dyn Calls, raw: &wire::ReviewEventRequest) -> Option<Write> {
    let wire::ReviewEventRequest { program_id, member_id, request_id, event_id, verdict, agent_id } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, None);
    let event = bad.take(&Path::Of("event_id"), EventId::parse(event_id));
    let verdict_at = &Path::Of("verdict");
    let verdict = request::known(bad, verdict_at, *verdict).and_then(|verdict| match verdict {
        wire::EventVerdict::Unspecified => {
            bad.add(verdict_at, "is required");
            None
        }
        wire::EventVerdict::Approve => Some(Verdict::Approve),
        wire::EventVerdict::Reject => Some(Verdict::Reject),
    });
    let agent = request::agent(bad, agent_id);
    let review = ReviewEvent { event: event?, verdict: verdict?, agent: agent? };
    Some(envelope?.write(fingerprints::review_event(raw), Command::ReviewEvent(review)))
}

pub(super) fn revoke(bad: &mut Violations, calls: &dyn Calls, raw: &wire::RevokeEventRequest) -> Option<Write> {
    let wire::RevokeEventRequest { program_id, member_id, request_id, event_id, agent_id } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, None);
    let event = bad.take(&Path::Of("event_id"), EventId::parse(event_id));
    let agent = request::agent(bad, agent_id);
    let revoke = RevokeEvent { event: event?, agent: agent? };
    Some(envelope?.write(fingerprints::revoke_event(raw), Command::RevokeEvent(revoke)))
}

pub(super) fn recorded(answer: EventAnswer, replayed: bool) -> wire::RecordEventResponse {
    let EventAnswer { changed, state: is, decided, balances } = answer;
    let (state, balances) = (state(is).into(), all(balances, balance));
    wire::RecordEventResponse { recorded: changed, state, decision: Some(decision(decided)), balances, replayed }
}

pub(super) fn reviewed(answer: EventAnswer, replayed: bool) -> wire::ReviewEventResponse {
    let EventAnswer { changed, state: is, decided, balances } = answer;
    let (state, balances) = (state(is).into(), all(balances, balance));
    wire::ReviewEventResponse { reviewed: changed, state, decision: Some(decision(decided)), balances, replayed }
}

pub(super) fn revoked(answer: EventAnswer, replayed: bool) -> wire::RevokeEventResponse {
    let EventAnswer { changed, state: is, decided, balances } = answer;
    let (state, balances) = (state(is).into(), all(balances, balance));
    wire::RevokeEventResponse { revoked: changed, state, decision: Some(decision(decided)), balances, replayed }
}

fn state(state: Option<EventState>) -> wire::EventState {
    match state {
        None => wire::EventState::Unspecified,
        Some(EventState::Pending) => wire::EventState::Pending,
        Some(EventState::Approved) => wire::EventState::Approved,
        Some(EventState::Rejected) => wire::EventState::Rejected,
        Some(EventState::Lapsed) => wire::EventState::Lapsed,
        Some(EventState::Revoked) => wire::EventState::Revoked,
    }
}
