//! Orders of guests: recorded when they are placed, decided for the member who claims them.

use std::sync::Arc;

use super::super::account::AccountState;
use super::super::answer::{
    Answer, ClaimAnswer, ClaimStatus, CommitAnswer, CommitStatus, Effect, Granted, Reason, Refusal, Subject,
};
use super::super::command::{Claim, Command, Commit, GuestOrder};
use super::super::desk::dates;
use super::super::id::{AccountId, GrantId, MemberId};
use super::super::ledger::{Fact, digest};
use super::super::order_record::{LineRecord, OrderRecord};
use super::super::program::{Activity, GrantTo, Timeline};
use super::super::redeem::Redemption;
use super::super::referral::signal::Signals;
use super::super::stats;
use super::super::time::Instant;
use super::awards::Given;
use super::checkout::{earn_on, give_all, line_records, record_of, redemption_of, shares_of, show_uses, use_stock};
use super::{Decision, Halt, Scene, awards, elsewhere, giveback, no, order_event, referral, refusal_answer, ripple};

/// Records the order of a guest. Nothing is granted: there is nobody to own it. The answer says what a member would
/// have earned, by the same function.
pub(super) fn commit_as_guest(scene: &Scene<'_>, command: &Commit, content: [u8; 32]) -> Result<Decision, Halt> {
    let (order, at) = (&command.order, scene.times.effective_at);
    let account = AccountId::from(&MemberId::guest(&order.order_id));
    let mut desk = match &scene.snapshot.account {
        Some(state) => scene.desk_of(Arc::clone(state))?,
        None => scene.desk_of(AccountState::new(account))?,
    };
    // Who has no balance owes none either: whatever a guest cannot cover is left out, paid or not.
    let unpaid = Commit { paid: false, ..command.clone() };
    let (redemption, whole) = redemption_of(scene, &desk, &unpaid, None, &[]);
    let mut decided = scene.decided();
    // On a copy: what counters would say of a member, nobody's account keeps.
    let (earned, _) = earn_on(scene, &mut desk.clone(), order, &redemption, command.explain)?;
    if redemption.falls_short && whole && !command.paid {
        scene.ask_nothing();
        decided.explain = earned.explain;
        let wrapped = Command::Commit(command.clone());
        return Ok(scene.unchanged(refusal_answer(&wrapped, decided, redemption.refusals), true));
    }
    decided.refusals = redemption.refusals.clone();
    show_uses(order, &redemption, &mut decided, &[]);
    decided.refusals.extend(earned.refusals.iter().cloned());
    decided.explain = earned.explain.clone();
    if let Some(claim_by) = claim_by(scene.timeline, at) {
        // What would go to somebody else is nothing that a guest could get by a claim.
        for plan in earned.grants.iter().filter(|plan| plan.to == GrantTo::Account) {
            let dates = dates(scene.program, &plan.unit, plan.life.as_ref(), at);
            let granted = Granted {
                grant: GrantId::of(&[order.order_id.as_str(), plan.rule.as_str()]),
                rule: plan.rule.clone(),
                kind: plan.kind,
                unit: plan.unit.clone(),
                desired: plan.amount,
                granted: plan.amount,
                repaid: 0,
                activates_at: dates.activates_at,
                expires_at: dates.expires_at,
                shares: shares_of(&order.lines, &plan.shares),
                awaits: None,
            };
            decided.effects.push(Effect::Claimable { granted, claim_by });
        }
    }
    for code in &command.codes {
        decided.refusals.push(Refusal::new(Subject::Code(code.raw.clone()), Reason::AnsweredAtClaim));
    }
    let lines = line_records(order, &redemption, &earned);
    let mut record = record_of(command, content, MemberId::guest(&order.order_id), lines, at, &decided);
    record.stock = use_stock(scene.program, &mut desk, &redemption);
    record.touches = scene.snapshot.visitor.as_ref().map_or_else(Vec::new, |visitor| visitor.touches.clone());
    record.codes = command.codes.clone();
    let digest = digest(&record.to_stored());
    desk.post(at, Fact::OrderCommitted { order: order.order_id.clone(), digest })?;
    let answer = CommitAnswer { status: CommitStatus::Committed, decided, balances: Vec::new() };
    Ok(Decision { order: Some(record), ..scene.done(desk, Answer::Commit(answer)) })
}

/// Until before when an order of a guest may be claimed; `None`: never.
fn claim_by(timeline: &Timeline, committed_at: Instant) -> Option<Instant> {
    let program = timeline.at(committed_at)?;
    Some(program.guests.claim_within?.after(committed_at, &program.zone))
}

/// Whether a guest's order may be claimed at an instant: by the terms that held when it was placed.
pub fn claimable(timeline: &Timeline, record: &OrderRecord, claimed_at: Instant) -> Result<(), Reason> {
    match claim_by(timeline, record.committed_at) {
        None => Err(Reason::NotClaimable),
        Some(claim_by) if claim_by <= claimed_at => Err(Reason::ClaimTooLate),
        Some(_) => Ok(()),
    }
}

/// Decides a guest's order on the account of the member whose it turned out to be: as it would have been decided
/// when it was placed, less what has come back since.
pub(super) fn claim(scene: &Scene<'_>, command: &Claim) -> Result<Decision, Halt> {
    let mut desk = scene.desk()?;
    if let Some(record) = &scene.snapshot.order {
        if record.claimed_at.is_none() {
            // Under the same id this member has bought something else.
            return Err(no(Subject::Order, Reason::OrderCommitted));
        }
        let (decided, order_state) = (record.decided.clone(), Some(record.state));
        let status = ClaimStatus::AlreadyClaimed;
        let answer = ClaimAnswer { status, decided, order_state, balances: desk.state.balances() };
        return Ok(scene.unchanged(Answer::Claim(answer), true));
    }
    let guest = match &command.guest {
        GuestOrder::Absent => return Err(no(Subject::Order, Reason::OrderUnknown)),
        GuestOrder::Taken => return Err(no(Subject::Order, Reason::ClaimedByOther)),
        GuestOrder::Open(record) => {
            check_claim(scene, command, record)?;
            // What kept it from being claimed was that nobody was enrolled, who is by now.
            return Err(no(Subject::Member, Reason::MemberUnknown));
        }
        GuestOrder::Claimed(record) => record,
    };
    let at = guest.committed_at;
    let commit = Commit {
        order: guest.order(),
        redeem: None,
        codes: guest.codes.clone(),
        paid: true,
        tenders: guest.tenders.iter().map(|tender| tender.tender.clone()).collect(),
        explain: false,
        quote: None,
        // What was kept of them lies with the order.
        visitor: None,
        signals: Signals::None,
    };
    let order = &commit.order;
    let account = AccountId::from(&guest.member);
    desk.post(command.claimed_at, Fact::OrderClaimed { order: order.order_id.clone(), guest: account })?;
    let redemption = Redemption::recorded(guest);
    let mut decided = scene.decided();
    show_uses(order, &redemption, &mut decided, &[]);
    let before = ripple::look(scene, &desk);
    let (earned, mut counts) = earn_on(scene, &mut desk, order, &redemption, false)?;
    let given = give_all(scene, &mut desk, order, &earned, &mut decided)?;
    let Given { grants, consequences, counts: limited, sent: mut sent_grants } = given;
    let mut outgoing = elsewhere::effects(&sent_grants, scene)?;
    counts.extend(limited);
    let brought = referral::on_order(scene, &mut desk, &commit, &earned, &mut decided)?;
    counts.extend(brought.counts);
    let mut transfers = brought.transfers;
    outgoing.extend(brought.outgoing);
    sent_grants.extend(brought.sent_grants);
    desk.stir(scene.program, None, Activity::Order, at)?;
    let mut lines = line_records(order, &redemption, &earned);
    for (line, before) in lines.iter_mut().zip(&guest.lines) {
        // What was paid and what came back is history; what it earns was decided just now.
        *line = LineRecord { earning_minor: line.earning_minor, ..before.clone() };
    }
    let mut record = OrderRecord {
        member: scene.member().clone().unwrap_or_else(|| MemberId::from(&desk.state.account)),
        lines,
        grants,
        counts,
        consequences,
        sent_grants,
        codes: Vec::new(),
        touches: Vec::new(),
        claimed_at: Some(command.claimed_at),
        measured: stats::measured(scene.program, &desk.state, at),
        ..(**guest).clone()
    };
    // What has happened to the order since releases what waits for it.
    let events = std::mem::take(&mut record.events);
    for event in &events {
        order_event::release(scene, &mut desk, &mut record, event, &mut decided)?;
    }
    record.events = events;
    desk.advance(scene.timeline)?;
    record.call_off(desk.now, &desk.state);
    giveback::reverse(scene, &mut desk, &mut record, &mut decided)?;
    outgoing.extend(elsewhere::on_return(scene, &mut desk, &mut record, &mut decided)?);
    awards::undo_for(scene, &mut desk, &mut record, &mut decided)?;
    giveback::uncount(scene, &mut desk, &mut record)?;
    if let Some(last) = record.returns.last() {
        let last = last.return_id.clone();
        referral::on_return(scene, &mut desk, &mut record, &last, &mut decided, &mut transfers)?;
    }
    // What is kept of the order is what leads anywhere.
    ripple::settle(scene, &mut desk, before, &mut decided)?;
    record.decided = super::super::answer::Decided { explain: None, ..decided.clone() };
    let digest = digest(&record.to_stored());
    desk.post(at, Fact::OrderCommitted { order: order.order_id.clone(), digest })?;
    if let Some(last) = record.returns.last() {
        let (order, return_id, whole) = (order.order_id.clone(), last.return_id.clone(), record.is_all_returned());
        desk.post(last.effective_at, Fact::OrderReturned { order, return_id, digest, whole })?;
    }
    desk.advance(scene.timeline)?;
    let (status, order_state) = (ClaimStatus::Claimed, Some(record.state));
    let answer = ClaimAnswer { status, decided, order_state, balances: desk.state.balances() };
    Ok(Decision { order: Some(Box::new(record)), transfers, outgoing, ..scene.done(desk, Answer::Claim(answer)) })
}

fn check_claim(scene: &Scene<'_>, command: &Claim, record: &OrderRecord) -> Result<(), Halt> {
    let now = scene.times.now;
    if now < command.claimed_at {
        return Err(no(Subject::Order, Reason::InFuture));
    }
    if command.claimed_at < now.minus_ms(scene.program.back_dating_ms_max) {
        return Err(no(Subject::Order, Reason::TooFarBack));
    }
    claimable(scene.timeline, record, command.claimed_at).map_err(|reason| no(Subject::Order, reason))
}
