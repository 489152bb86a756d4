//! What members do outside orders: record it, review it, undo it.

use super::super::account::AttributeValue;
use super::super::answer::{Answer, Decided, EventAnswer, Reason, Refusal, Subject};
use super::super::command::{RecordEvent, ReviewEvent, RevokeEvent, Transfer, Verdict};
use super::super::conditions::SeenEvent;
use super::super::counters::{self, CounterChange, Tally};
use super::super::desk::Desk;
use super::super::event_record::{DeedRecord, EventRecord, EventState};
use super::super::id::Label;
use super::super::ledger::{Fact, digest, encode};
use super::super::program::{Activity, Approval, EventTerms, GrantTo, ProofScope, Trigger};
use super::super::quota::QuotaKey;
use super::super::time::Instant;
use super::giveback::{TakeBack, take_back};
use super::{Decision, Halt, OVERFLOW, Scene, awards, elsewhere, no, referral, ripple, rules};

pub(super) fn record(scene: &Scene<'_>, command: &RecordEvent) -> Result<Decision, Halt> {
    if let Some(record) = scene.event() {
        return seen(scene, command, record);
    }
    scene.check_times(Subject::MemberEvent)?;
    let at = scene.times.effective_at;
    let mut desk = scene.desk()?;
    let member = scene.acting(&desk.state)?;
    let terms = scene.program.event(&command.kind).ok_or_else(|| no(Subject::MemberEvent, Reason::EventTypeUnknown))?;
    let refusals = check(command, terms);
    let mut decided = scene.decided();
    if !refusals.is_empty() {
        decided.refusals = refusals;
        return Ok(scene.unchanged(Answer::RecordEvent(EventAnswer::of_nothing(decided)), true));
    }
    if let Some(cool_down) = terms.cool_down {
        let zone = &scene.program.zone;
        let near = |last: Instant| at < cool_down.after(last, zone) && last < cool_down.after(at, zone);
        if desk.state.last_event(&command.kind, &member).is_some_and(near) {
            return Err(no(Subject::MemberEvent, Reason::CoolDown));
        }
    }
    if let Some(proof) = &command.proof {
        check_proof(scene, &desk, command, terms, proof)?;
    }
    let lapses_at = match terms.approval {
        Approval::Auto => Instant::MAX,
        // From when it is recorded: whoever reviews has that long, however late the event was reported.
        Approval::Manual { lapses_after } => lapses_after.after(desk.now, &scene.program.zone),
    };
    let salt = scene.snapshot.salt;
    let mut record = EventRecord {
        event: command.event.clone(),
        kind: command.kind.clone(),
        member,
        value: command.value,
        attributes: command.attributes.clone(),
        content: EventRecord::content_of(
            &salt,
            &command.kind,
            command.value,
            &command.attributes,
            command.proof.as_deref(),
            command.recipient.as_ref(),
        ),
        salt,
        effective_at: at,
        state: EventState::Pending,
        lapses_at,
        grants: Vec::new(),
        consequences: Vec::new(),
        counts: Vec::new(),
        decided: scene.decided(),
        recipient: command.recipient.clone(),
        sent_grants: Vec::new(),
    };
    let mut transfers = Vec::new();
    if terms.approval == Approval::Auto {
        transfers = happen(scene, &mut desk, &mut record, &mut decided)?;
    }
    let outgoing = elsewhere::effects(&record.sent_grants, scene)?;
    let decision = finish(scene, desk, record, decided, None, Answer::RecordEvent)?;
    Ok(Decision { transfers, outgoing, ..decision })
}

/// The event was recorded before, by this request or another.
fn seen(scene: &Scene<'_>, command: &RecordEvent, record: &EventRecord) -> Result<Decision, Halt> {
    let proof = command.proof.as_deref();
    let recipient = command.recipient.as_ref();
    let content =
        EventRecord::content_of(&record.salt, &command.kind, command.value, &command.attributes, proof, recipient);
    if content != record.content {
        return Err(no(Subject::MemberEvent, Reason::EventDiffers));
    }
    let desk = scene.desk()?;
    let state = record.state_at(desk.now);
    let balances = desk.state.balances();
    let told = EventAnswer { changed: false, state: Some(state), decided: record.decided.clone(), balances };
    Ok(scene.unchanged(Answer::RecordEvent(told), true))
}

/// What the terms of the type do not allow, all of it.
fn check(command: &RecordEvent, terms: &EventTerms) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for (name, value) in &command.attributes {
        let reason = match terms.attributes.get(name) {
            None => Reason::AttributeUnknown,
            Some(kind) if !AttributeValue::is_of(value, *kind) => Reason::AttributeType,
            Some(_) => continue,
        };
        refusals.push(Refusal::new(Subject::Attribute(name.clone()), reason));
    }
    if let (Some(value), Some(max)) = (command.value, terms.value_max)
        && max < value
    {
        refusals.push(Refusal::short(Subject::MemberEvent, Reason::EventValueTooLarge, value, max));
    }
    if terms.proof_required && command.proof.is_none() {
        refusals.push(Refusal::new(Subject::MemberEvent, Reason::ProofRequired));
    }
    refusals
}

/// A proof counts once in its scope, whatever became of the event that brought it.
fn check_proof(
    scene: &Scene<'_>,
    desk: &Desk,
    command: &RecordEvent,
    terms: &EventTerms,
    proof: &str,
) -> Result<(), Halt> {
    let scope = match terms.proof_scope {
        ProofScope::Member => desk.state.account.as_str(),
        ProofScope::Program => "*",
    };
    // Its hash alone: proofs are addresses of posts, numbers of receipts.
    let hash: String = digest(proof.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let quota = QuotaKey::ever(&scene.program.id, &["proof", command.kind.as_str(), scope, &hash]);
    let taken = scene.take(1, vec![scene.want(quota, &["event", command.event.as_str()], 1, true)]);
    if taken.granted < 1 {
        return Err(no(Subject::MemberEvent, Reason::ProofUsed));
    }
    Ok(())
}

/// Counts the event and lets it fire rules.
fn happen(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &mut EventRecord,
    decided: &mut Decided,
) -> Result<Vec<Transfer>, Halt> {
    let at = scene.times.effective_at;
    record.state = EventState::Approved;
    record.counts = counters::of_event(scene.program, &record.kind, record.value, at);
    record.counts.retain(|change| change.change != 0);
    let before = ripple::look(scene, desk);
    desk.count(at, record.counts.clone())?;
    desk.stir(scene.program, None, Activity::Event, at)?;
    let acts = |rule: &super::super::program::Rule| {
        let for_somebody = rule.to == GrantTo::Account || record.recipient.is_some();
        rule.on == Trigger::Event && rule.events.contains(&record.kind) && for_somebody
    };
    let event = SeenEvent { kind: &record.kind, value: record.value, attributes: &record.attributes };
    let cause = ["event", record.event.as_str()];
    let given = rules::fire_by(scene, desk, acts, &cause, at, Some(event), decided)?;
    // What limits let through stays let through; the profile forgets it with the event.
    let valued = given.counts.iter().filter(|tally| tally.counter.value_part().is_some());
    record.counts.extend(valued.map(Tally::change));
    (record.grants, record.consequences, record.sent_grants) = (given.grants, given.consequences, given.sent);
    let transfers = referral::on_event(scene, desk, &record.event, &record.kind, decided)?;
    ripple::settle(scene, desk, before, decided)?;
    record.decided = Decided { explain: None, ..decided.clone() };
    Ok(transfers)
}

/// Puts down what the event is now.
fn finish(
    scene: &Scene<'_>,
    mut desk: Desk,
    mut record: EventRecord,
    decided: Decided,
    agent: Option<&Label>,
    answer: fn(EventAnswer) -> Answer,
) -> Result<Decision, Halt> {
    if record.state != EventState::Pending {
        record.attributes = Vec::new();
    }
    let deed = DeedRecord::Event(Box::new(record.clone()));
    let fact = Fact::EventRecorded {
        event: record.event.clone(),
        kind: record.kind.clone(),
        member: record.member.clone(),
        state: record.state,
        agent: agent.cloned(),
        digest: digest(&encode(&deed)),
    };
    desk.post(scene.times.effective_at, fact)?;
    desk.advance(scene.timeline)?;
    let told = EventAnswer { changed: true, state: Some(record.state), decided, balances: desk.state.balances() };
    Ok(Decision { deed: Some(deed), ..scene.done(desk, answer(told)) })
}

pub(super) fn review(scene: &Scene<'_>, command: &ReviewEvent) -> Result<Decision, Halt> {
    let mut desk = scene.desk()?;
    let record = scene.event().ok_or_else(|| no(Subject::MemberEvent, Reason::EventUnknown))?;
    let wanted = match command.verdict {
        Verdict::Approve => EventState::Approved,
        Verdict::Reject => EventState::Rejected,
    };
    let state = record.state_at(desk.now);
    if state == wanted {
        let balances = desk.state.balances();
        let told = EventAnswer { changed: false, state: Some(state), decided: record.decided.clone(), balances };
        return Ok(scene.unchanged(Answer::ReviewEvent(told), true));
    }
    if state != EventState::Pending {
        return Err(no(Subject::MemberEvent, Reason::EventClosed));
    }
    let (mut record, mut decided) = (record.clone(), scene.decided());
    let mut transfers = Vec::new();
    match command.verdict {
        Verdict::Approve => transfers = happen(scene, &mut desk, &mut record, &mut decided)?,
        Verdict::Reject => record.state = EventState::Rejected,
    }
    let outgoing = elsewhere::effects(&record.sent_grants, scene)?;
    let decision = finish(scene, desk, record, decided, Some(&command.agent), Answer::ReviewEvent)?;
    Ok(Decision { transfers, outgoing, ..decision })
}

/// Takes back what the event has brought, all of it. A pending one is rejected by a review.
pub(super) fn revoke(scene: &Scene<'_>, command: &RevokeEvent) -> Result<Decision, Halt> {
    let mut desk = scene.desk()?;
    let record = scene.event().ok_or_else(|| no(Subject::MemberEvent, Reason::EventUnknown))?;
    let mut decided = scene.decided();
    match record.state_at(desk.now) {
        EventState::Approved => {}
        EventState::Revoked => {
            let balances = desk.state.balances();
            let told = EventAnswer { changed: false, state: Some(EventState::Revoked), decided, balances };
            return Ok(scene.unchanged(Answer::RevokeEvent(told), true));
        }
        EventState::Pending | EventState::Rejected | EventState::Lapsed => {
            return Err(no(Subject::MemberEvent, Reason::EventClosed));
        }
    }
    let mut record = record.clone();
    let before = ripple::look(scene, &desk);
    for grant in &mut record.grants {
        let amount = grant.amount.checked_sub(grant.reversed).ok_or(OVERFLOW)?;
        if 0 < amount {
            let at = record.effective_at;
            take_back(
                scene,
                &mut desk,
                &grant.grant,
                &grant.unit,
                grant.dates,
                at,
                amount,
                TakeBack::Clawback,
                &mut decided,
            )?;
            grant.reversed = grant.amount;
        }
    }
    let outgoing = elsewhere::call_back(scene, &mut desk, &mut record.sent_grants, &mut decided)?;
    // The last thing that was brought goes first.
    for consequence in record.consequences.iter_mut().rev() {
        let all = consequence.count;
        awards::undo(scene, &mut desk, consequence, all, &mut decided)?;
    }
    let back = record.counts.iter().map(|counted| CounterChange { change: -counted.change, ..counted.clone() });
    desk.count(record.effective_at, back.collect())?;
    let transfers = referral::on_revoke(scene, &mut desk, &record.event, &mut decided)?;
    ripple::settle(scene, &mut desk, before, &mut decided)?;
    record.state = EventState::Revoked;
    let decision = finish(scene, desk, record, decided, Some(&command.agent), Answer::RevokeEvent)?;
    Ok(Decision { transfers, outgoing, ..decision })
}
