//! Answers, from domain to wire.

pub(super) mod figures;
mod offers;
pub(super) mod payouts;
pub(super) mod referrals;

pub(super) use offers::{cancel_voucher, draw, drawn_ticket, fulfil_voucher, redeem, rewards, voucher};

use prost_types::Timestamp;

use super::{events, profile, standing, wire};
use crate::domain::answer::{
    AccountView, AdjustAnswer, AmendAnswer, Answer, Balance, Change, ClaimAnswer, ClaimStatus, CommitAnswer,
    CommitStatus, CreateAccountAnswer, Decided, Discount, Effect, EnrollAnswer, EntryView, EraseAnswer, Explain,
    ExplainRule, Explanation, ExplanationCaveat, ExplanationSource, Granted, MemberView, MoveAnswer, MoveKind,
    OrderEventAnswer, OrderEventStatus, OrderState, OrderView, Reason, Redeemed, ReferralState, Refund, Refusal,
    ReleaseAnswer, Reservation, ReservationState, ReserveAnswer, ReturnAnswer, ReturnStatus, SendAnswer, SetRoleAnswer,
    Share, Subject, UpdateMemberAnswer, VerifyView,
};
use crate::domain::command::{AdjustReason, ReturnCause, Tender};
use crate::domain::id::UnitId;
use crate::domain::order::OrderKind;
use crate::domain::program::{Kind, SettlesAs};
use crate::domain::time::Instant;

pub(super) fn enroll(answer: EnrollAnswer, replayed: bool) -> wire::EnrollResponse {
    let EnrollAnswer { enrolled, decided, balances } = answer;
    wire::EnrollResponse { enrolled, decision: Some(decision(decided)), balances: all(balances, balance), replayed }
}

pub(super) fn reserve(answer: ReserveAnswer, replayed: bool) -> wire::ReserveResponse {
    let ReserveAnswer { reserved, reservation: hold, decided } = answer;
    wire::ReserveResponse { reservation: hold.map(reservation), reserved, decision: Some(decision(decided)), replayed }
}

pub(super) fn commit(answer: CommitAnswer, replayed: bool) -> wire::CommitResponse {
    let CommitAnswer { status, decided, balances } = answer;
    let status = match status {
        CommitStatus::Committed => wire::CommitStatus::Committed,
        CommitStatus::Refused => wire::CommitStatus::Refused,
        CommitStatus::AlreadyCommitted => wire::CommitStatus::AlreadyCommitted,
    };
    wire::CommitResponse {
        status: status.into(),
        decision: Some(decision(decided)),
        balances: all(balances, balance),
        replayed,
        mode: wire::CommitMode::Unspecified.into(),
    }
}

/// A commit that is accepted and not decided yet.
pub(super) fn journaled() -> wire::CommitResponse {
    wire::CommitResponse { mode: wire::CommitMode::Journaled.into(), ..wire::CommitResponse::default() }
}

/// The preview of a commit.
pub(super) fn quote(answer: CommitAnswer, sealed: Option<(String, Instant)>) -> wire::QuoteResponse {
    let CommitAnswer { status: _, decided, balances } = answer;
    let (quote_token, until) = sealed.unzip();
    wire::QuoteResponse {
        decision: Some(decision(decided)),
        balances: all(balances, balance),
        quote_token: quote_token.unwrap_or_default(),
        quote_honoured_until: until.map(timestamp),
        ..Default::default()
    }
}

pub(super) fn release(answer: ReleaseAnswer, replayed: bool) -> wire::ReleaseResponse {
    let ReleaseAnswer { released, reservation: hold, refusals } = answer;
    wire::ReleaseResponse { reservation: hold.map(reservation), released, refusals: all(refusals, refusal), replayed }
}

pub(super) fn r#return(answer: ReturnAnswer, replayed: bool) -> wire::ReturnResponse {
    let ReturnAnswer { status, decided, refund: back, order_state: state, balances } = answer;
    wire::ReturnResponse {
        status: return_status(status).into(),
        decision: Some(decision(decided)),
        refund: back.map(refund),
        order_state: state.map_or(wire::OrderState::Unspecified, order_state).into(),
        balances: all(balances, balance),
        replayed,
    }
}

pub(super) fn amend_order(answer: AmendAnswer, replayed: bool) -> wire::AmendOrderResponse {
    let AmendAnswer { status, decided, refund: back, due_minor, order_state: state, balances } = answer;
    wire::AmendOrderResponse {
        status: return_status(status).into(),
        decision: Some(decision(decided)),
        refund: back.map(refund),
        due_minor,
        order_state: state.map_or(wire::OrderState::Unspecified, order_state).into(),
        balances: all(balances, balance),
        replayed,
    }
}

/// The preview of a return.
pub(super) fn quote_return(answer: ReturnAnswer) -> wire::QuoteReturnResponse {
    let ReturnAnswer { status: _, decided, refund: back, order_state: _, balances: _ } = answer;
    wire::QuoteReturnResponse { decision: Some(decision(decided)), refund: back.map(refund) }
}

pub(super) fn adjust(answer: AdjustAnswer, replayed: bool) -> wire::AdjustResponse {
    let AdjustAnswer { adjusted, decided, balances } = answer;
    wire::AdjustResponse { adjusted, decision: Some(decision(decided)), balances: all(balances, balance), replayed }
}

pub(super) fn update_member(answer: UpdateMemberAnswer, replayed: bool) -> wire::UpdateMemberResponse {
    let UpdateMemberAnswer { updated, decided } = answer;
    wire::UpdateMemberResponse { updated, decision: Some(decision(decided)), replayed }
}

pub(super) fn claim_order(answer: ClaimAnswer, replayed: bool) -> wire::ClaimOrderResponse {
    let ClaimAnswer { status, decided, order_state: state, balances } = answer;
    let status = match status {
        ClaimStatus::Claimed => wire::ClaimStatus::Claimed,
        ClaimStatus::Refused => wire::ClaimStatus::Refused,
        ClaimStatus::AlreadyClaimed => wire::ClaimStatus::AlreadyClaimed,
    };
    wire::ClaimOrderResponse {
        status: status.into(),
        decision: Some(decision(decided)),
        order_state: state.map_or(wire::OrderState::Unspecified, order_state).into(),
        balances: all(balances, balance),
        replayed,
    }
}

pub(super) fn record_order_event(answer: OrderEventAnswer, replayed: bool) -> wire::RecordOrderEventResponse {
    let OrderEventAnswer { status, decided, order_state: state, balances } = answer;
    let status = match status {
        OrderEventStatus::Recorded => wire::RecordOrderEventStatus::Recorded,
        OrderEventStatus::Refused => wire::RecordOrderEventStatus::Refused,
        OrderEventStatus::AlreadyRecorded => wire::RecordOrderEventStatus::AlreadyRecorded,
    };
    wire::RecordOrderEventResponse {
        status: status.into(),
        decision: Some(decision(decided)),
        order_state: state.map_or(wire::OrderState::Unspecified, order_state).into(),
        balances: all(balances, balance),
        replayed,
    }
}

pub(super) fn extend_expiry(answer: AdjustAnswer, replayed: bool) -> wire::ExtendExpiryResponse {
    let AdjustAnswer { adjusted: extended, decided, balances } = answer;
    let (decision, balances) = (Some(decision(decided)), all(balances, balance));
    wire::ExtendExpiryResponse { extended, decision, balances, replayed }
}

pub(super) fn reinstate(answer: AdjustAnswer, replayed: bool) -> wire::ReinstateResponse {
    let AdjustAnswer { adjusted: reinstated, decided, balances } = answer;
    let (decision, balances) = (Some(decision(decided)), all(balances, balance));
    wire::ReinstateResponse { reinstated, decision, balances, replayed }
}

pub(super) fn merge(answer: MoveAnswer, replayed: bool) -> wire::MergeResponse {
    let MoveAnswer { moved: merged, decided, balances, .. } = answer;
    wire::MergeResponse { merged, decision: Some(decision(decided)), balances: all(balances, balance), replayed }
}

pub(super) fn unmerge(answer: MoveAnswer, replayed: bool) -> wire::UnmergeResponse {
    let MoveAnswer { moved: unmerged, decided, balances, .. } = answer;
    wire::UnmergeResponse { unmerged, decision: Some(decision(decided)), balances: all(balances, balance), replayed }
}

pub(super) fn join_account(answer: MoveAnswer, replayed: bool) -> wire::JoinAccountResponse {
    let MoveAnswer { moved: joined, decided, balances, .. } = answer;
    wire::JoinAccountResponse { joined, decision: Some(decision(decided)), balances: all(balances, balance), replayed }
}

pub(super) fn leave_account(answer: MoveAnswer, replayed: bool) -> wire::LeaveAccountResponse {
    let MoveAnswer { moved: left, decided, balances, .. } = answer;
    wire::LeaveAccountResponse { left, decision: Some(decision(decided)), balances: all(balances, balance), replayed }
}

pub(super) fn erase(answer: EraseAnswer, replayed: bool) -> wire::EraseResponse {
    let EraseAnswer { erased, decided } = answer;
    wire::EraseResponse { erased, decision: Some(decision(decided)), replayed }
}

pub(super) fn transfer(answer: SendAnswer, replayed: bool) -> wire::TransferResponse {
    let SendAnswer { sent: transferred, decided, balances } = answer;
    let balances = all(balances, balance);
    wire::TransferResponse { transferred, decision: Some(decision(decided)), balances, replayed }
}

pub(super) fn create_account(answer: CreateAccountAnswer, replayed: bool) -> wire::CreateAccountResponse {
    let CreateAccountAnswer { created, decided } = answer;
    wire::CreateAccountResponse { created, decision: Some(decision(decided)), replayed }
}

pub(super) fn set_role(answer: SetRoleAnswer, replayed: bool) -> wire::SetRoleResponse {
    let SetRoleAnswer { set, decided } = answer;
    wire::SetRoleResponse { set, decision: Some(decision(decided)), replayed }
}

pub(super) fn account(view: AccountView) -> wire::GetAccountResponse {
    wire::GetAccountResponse {
        account_id: view.account.to_string(),
        kind: profile::account_kind(view.kind).into(),
        created_at: Some(timestamp(view.created_at)),
        as_of: Some(timestamp(view.as_of)),
        people: all(view.people, |(member, role, joined_at)| wire::AccountPerson {
            member_id: member.to_string(),
            role: profile::role(role).into(),
            joined_at: Some(timestamp(joined_at)),
        }),
        balances: all(view.balances, balance),
        entries: count(view.entries),
    }
}

/// The answer as a resend would get it; `None` for what no caller's write is answered with.
pub(super) fn outcome(answer: Answer) -> Option<wire::get_outcome_response::Answer> {
    use wire::get_outcome_response::Answer as Known;

    match answer {
        Answer::Enroll(answer) => Some(Known::Enroll(enroll(answer, true))),
        Answer::Reserve(answer) => Some(Known::Reserve(reserve(answer, true))),
        Answer::Commit(answer) => Some(Known::Commit(commit(answer, true))),
        Answer::Release(answer) => Some(Known::Release(release(answer, true))),
        Answer::Return(answer) => Some(Known::Return(r#return(answer, true))),
        Answer::Adjust(answer) => Some(Known::Adjust(adjust(answer, true))),
        Answer::CreateCode(answer) => Some(Known::CreateCode(referrals::create_code(answer, true))),
        Answer::Attribute(answer) => Some(Known::Attribute(referrals::attribute(answer, true))),
        Answer::UpdateMember(answer) => Some(Known::UpdateMember(update_member(answer, true))),
        Answer::RecordEvent(answer) => Some(Known::RecordEvent(events::recorded(answer, true))),
        Answer::ReviewEvent(answer) => Some(Known::ReviewEvent(events::reviewed(answer, true))),
        Answer::RevokeEvent(answer) => Some(Known::RevokeEvent(events::revoked(answer, true))),
        Answer::Claim(answer) => Some(Known::ClaimOrder(claim_order(answer, true))),
        Answer::OrderEvent(answer) => Some(Known::RecordOrderEvent(record_order_event(answer, true))),
        Answer::Extend(answer) => Some(Known::ExtendExpiry(extend_expiry(answer, true))),
        Answer::Reinstate(answer) => Some(Known::Reinstate(reinstate(answer, true))),
        Answer::SetTier(answer) => Some(Known::SetTier(standing::set_tier(answer, true))),
        Answer::Move(answer) => Some(match answer.kind {
            MoveKind::Merge => Known::Merge(merge(answer, true)),
            MoveKind::Unmerge => Known::Unmerge(unmerge(answer, true)),
            MoveKind::Join => Known::JoinAccount(join_account(answer, true)),
            MoveKind::Leave => Known::LeaveAccount(leave_account(answer, true)),
        }),
        Answer::Erase(answer) => Some(Known::Erase(erase(answer, true))),
        Answer::Send(answer) => Some(Known::Transfer(transfer(answer, true))),
        Answer::CreateAccount(answer) => Some(Known::CreateAccount(create_account(answer, true))),
        Answer::SetRole(answer) => Some(Known::SetRole(set_role(answer, true))),
        Answer::Amend(answer) => Some(Known::AmendOrder(amend_order(answer, true))),
        Answer::UpdateCode(answer) => Some(Known::UpdateCode(referrals::update_code(answer, true))),
        Answer::ReviewReward(answer) => Some(Known::ReviewReward(referrals::review_reward(answer, true))),
        Answer::RedeemReward(answer) => Some(Known::Redeem(redeem(answer, true))),
        Answer::FulfilVoucher(answer) => Some(Known::FulfilVoucher(fulfil_voucher(answer, true))),
        Answer::CancelVoucher(answer) => Some(Known::CancelVoucher(cancel_voucher(answer, true))),
        Answer::PreparePayout(answer) => Some(Known::PreparePayout(payouts::prepare_payout(answer, true))),
        Answer::ConfirmPayout(answer) => Some(Known::ConfirmPayout(payouts::confirm_payout(answer, true))),
        // A touch has no member to ask for it by.
        Answer::Announced(_) | Answer::Catalogue(_) | Answer::Touch(_) => None,
        Answer::Done | Answer::Fenced => None,
    }
}

pub(super) fn order(mut view: OrderView, why: Option<Explanation>) -> wire::GetOrderResponse {
    let explanation = why.map(|Explanation { source, reproduces, caveats, refusals, trace }| {
        view.decided.refusals = refusals;
        view.decided.explain = Some(trace);
        let source = match source {
            ExplanationSource::Kept => wire::ExplanationSource::Kept,
            ExplanationSource::Ledger => wire::ExplanationSource::Ledger,
        };
        let caveat = |caveat: ExplanationCaveat| match caveat {
            ExplanationCaveat::ProfileChanged => wire::ExplanationCaveat::ProfileChanged.into(),
            ExplanationCaveat::OtherVersion => wire::ExplanationCaveat::OtherVersion.into(),
        };
        wire::OrderExplanation { source: source.into(), reproduces, caveats: all(caveats, caveat) }
    });
    wire::GetOrderResponse {
        order_id: view.order_id.to_string(),
        member_id: if view.member.is_guest() { String::new() } else { view.member.to_string() },
        state: order_state(view.state).into(),
        currency_code: view.currency.to_string(),
        committed_at: Some(timestamp(view.committed_at)),
        lines: all(view.lines, |line| wire::OrderLine {
            line_id: line.line_id.to_string(),
            quantity: line.quantity,
            amount_minor: line.amount_minor,
            reduced_minor: line.reduced_minor,
            returned_quantity: line.returned_quantity,
            returned_amount_minor: line.returned_amount_minor,
        }),
        decision: Some(decision(view.decided)),
        returns: all(view.returns, |back| wire::OrderReturn {
            return_id: back.return_id.to_string(),
            effective_at: Some(timestamp(back.effective_at)),
            cause: return_cause(back.cause).into(),
            refund: Some(refund(back.refund)),
        }),
        events: all(view.events, |event| wire::OrderEvent {
            event_id: event.event_id.to_string(),
            event: event.event.to_string(),
            line_ids: all(event.lines, |line| line.to_string()),
            effective_at: Some(timestamp(event.effective_at)),
        }),
        kind: order_kind(view.kind).into(),
        claimed_at: view.claimed_at.map(timestamp),
        explanation,
        recovery: view.recovery.map(|recovery| wire::OrderRecovery {
            unit: recovery.unit.to_string(),
            amount: recovery.units,
            agent_id: recovery.agent.to_string(),
            given_at: Some(timestamp(recovery.given_at)),
        }),
        amendments: all(view.amendments, |amendment| wire::OrderAmendment {
            amendment_id: amendment.amendment_id.to_string(),
            effective_at: Some(timestamp(amendment.effective_at)),
            refund: Some(refund(amendment.refund)),
            due_minor: amendment.due_minor,
        }),
    }
}

pub(super) fn member(view: MemberView) -> wire::Member {
    wire::Member {
        member_id: view.member.to_string(),
        account_id: view.account.to_string(),
        enrolled_at: Some(timestamp(view.enrolled_at)),
        as_of: Some(timestamp(view.as_of)),
        balances: all(view.balances, balance),
        orders: count(view.orders),
        holds: all(view.holds, |(order, unit, amount, expires_at)| wire::UnitAmountHeld {
            order_id: order.to_string(),
            unit: unit.to_string(),
            amount,
            expires_at: Some(timestamp(expires_at)),
        }),
        referral_id: text(view.referral),
        codes: all(view.codes, |code| code.to_string()),
        friends_qualified: view.friends_qualified,
        entries: count(view.entries),
        role: view.person.as_ref().map_or(wire::Role::Unspecified, |person| profile::role(person.role)).into(),
        account_kind: profile::account_kind(view.kind).into(),
        vouchers: all(offers::usable(view.vouchers), voucher),
        stamp_cards: all(view.cards, offers::card),
        rule_tags: all(view.tags, |tag| tag.to_string()),
        erased_at: view.erased_at.map(timestamp),
        merged_member_ids: all(view.homes, |member| member.to_string()),
        profile: view.person.and_then(|person| profile::shown(person.profile)),
        tiers: all(view.tiers, standing::tier),
        goals: all(view.goals, standing::goal),
        value: view.value.map(standing::value),
    }
}

pub(super) fn entry(view: EntryView) -> wire::Entry {
    wire::Entry {
        sequence: count(view.sequence),
        posted_at: Some(timestamp(view.posted_at)),
        effective_at: Some(timestamp(view.effective_at)),
        fact: view.fact.to_owned(),
        detail_json: view.detail_json,
        postings: all(view.postings, |(book, unit, amount)| wire::Posting {
            book: book.to_owned(),
            unit: unit.to_string(),
            amount,
        }),
        hash: hex(&view.hash),
        balances: all(view.balances, |(unit, [available, pending, held, debt])| wire::RunningBalance {
            unit: unit.to_string(),
            available,
            pending,
            held,
            debt: debt.saturating_neg(),
        }),
    }
}

pub(super) fn verified(view: VerifyView) -> wire::VerifyMemberResponse {
    wire::VerifyMemberResponse {
        verified: view.faults.is_empty(),
        entries: count(view.entries),
        from_sequence: count(view.from_sequence),
        head_hash: view.head.map(|hash| hex(&hash)).unwrap_or_default(),
        faults: view.faults,
        orders: count(view.orders),
    }
}

pub(super) fn decision(decided: Decided) -> wire::Decision {
    let Decided { version, effective_at, effects, refusals, explain: trace, changes } = decided;
    wire::Decision {
        program_version: version.0.as_ref().to_owned(),
        effective_at: Some(timestamp(effective_at)),
        effects: all(effects, effect),
        refusals: all(refusals, refusal),
        explain: trace.map(explain),
        changes: all(changes, change),
    }
}

fn change(change: Change) -> wire::Change {
    let (subject, subject_id) = subject(change.subject);
    wire::Change {
        subject: subject.into(),
        subject_id,
        quoted: change.quoted,
        now: change.now,
        reason: refusal_reason(change.reason).into(),
        message: change.reason.message().to_owned(),
    }
}

fn effect(effect: Effect) -> wire::Effect {
    use wire::effect::Effect as Kind;

    let effect = match effect {
        Effect::Granted(grant) => Kind::UnitsGranted(granted(grant)),
        Effect::Redeemed(payment) => Kind::UnitsRedeemed(redeemed(payment)),
        Effect::Discount(reward) => Kind::Discount(discount(reward)),
        Effect::Reversed { grant, unit, amount, debt, forgiven, expired } => Kind::UnitsReversed(wire::UnitsReversed {
            grant_id: grant.to_string(),
            unit: unit.to_string(),
            amount,
            debt,
            forgiven,
            expired,
        }),
        Effect::Restored { unit, amount, lots, repaid, expired } => Kind::UnitsRestored(wire::UnitsRestored {
            unit: unit.to_string(),
            amount,
            lots: all(lots, |lot| wire::RestoredLot { amount: lot.amount, expires_at: expiry(lot.expires_at) }),
            repaid_debt: repaid,
            expired,
        }),
        Effect::Referral { referral, state } => Kind::ReferralChanged(wire::ReferralChanged {
            referral_id: referral.to_string(),
            state: referral_state(state).into(),
        }),
        Effect::Moved { to, unit, available, pending, debt, short } => Kind::UnitsMoved(wire::UnitsMoved {
            account_id: to.to_string(),
            unit: unit.to_string(),
            available,
            pending,
            debt,
            short,
        }),
        Effect::Forfeited { unit, amount, debt } => {
            Kind::UnitsForfeited(wire::UnitsForfeited { unit: unit.to_string(), amount, debt })
        }
        Effect::Transferred { transfer, to, unit, amount, fee } => Kind::UnitsTransferred(wire::UnitsTransferred {
            transfer_id: transfer.to_string(),
            account_id: to.to_string(),
            unit: unit.to_string(),
            amount,
            fee,
        }),
        Effect::GrantedTo(given) => Kind::UnitsGrantedTo(wire::UnitsGrantedTo {
            account_id: given.to.to_string(),
            grant_id: given.grant.to_string(),
            rule_id: given.rule.to_string(),
            kind: loyalty_kind(given.kind).into(),
            unit: given.unit.to_string(),
            amount: given.amount,
            desired: given.desired,
        }),
        Effect::Adjusted { unit, amount, repaid } => {
            Kind::UnitsAdjusted(wire::UnitsAdjusted { unit: unit.to_string(), amount, repaid_debt: repaid })
        }
        Effect::Released(released) => Kind::UnitsReleased(wire::UnitsReleased {
            grant_id: released.grant.to_string(),
            unit: released.unit.to_string(),
            amount: released.amount,
            repaid_debt: released.repaid,
            activates_at: Some(timestamp(released.activates_at)),
            expires_at: expiry(released.expires_at),
            shares: all(released.shares, share),
        }),
        Effect::Extended { unit, amount, expires_at } => {
            Kind::UnitsExtended(wire::UnitsExtended { unit: unit.to_string(), amount, expires_at: expiry(expires_at) })
        }
        Effect::Reinstated { unit, amount, repaid, expires_at } => Kind::UnitsReinstated(wire::UnitsReinstated {
            unit: unit.to_string(),
            amount,
            repaid_debt: repaid,
            expires_at: expiry(expires_at),
        }),
        Effect::Claimable { granted: grant, claim_by } => Kind::UnitsClaimable(wire::UnitsClaimable {
            would_grant: Some(granted(grant)),
            claim_by: Some(timestamp(claim_by)),
        }),
        Effect::StampsGiven(given) => Kind::StampsGiven(offers::stamps_given(given)),
        Effect::StampsTaken(taken) => Kind::StampsTaken(offers::stamps_taken(taken)),
        Effect::Voucher(changed) => Kind::VoucherChanged(offers::voucher_changed(changed)),
        Effect::Drawn(drawn) => Kind::TicketDrawn(offers::drawn(drawn)),
        Effect::Tags { added, removed } => Kind::TagsChanged(wire::TagsChanged {
            added: all(added, |tag| tag.to_string()),
            removed: all(removed, |tag| tag.to_string()),
        }),
        Effect::TierChanged { ladder, from, to } => {
            Kind::TierChanged(wire::TierChanged { ladder: ladder.to_string(), from: text(from), to: text(to) })
        }
        Effect::GoalMet { goal, number, badge } => Kind::GoalReached(wire::GoalReached {
            goal_id: goal.to_string(),
            number: i64::from(number),
            badge: text(badge),
        }),
        Effect::MemberPrice(used) => Kind::MemberPriceApplied(wire::MemberPriceApplied {
            price_id: used.price.to_string(),
            line_id: used.line_id.to_string(),
            ordinary_minor: used.ordinary_minor,
            member_minor: used.member_minor,
            desired_minor: used.desired_minor,
            clamped_by: used.rail.map_or(wire::RefusalReason::Unspecified, refusal_reason).into(),
            lowest_prior_minor: used.prior_minor,
        }),
        Effect::GoalUndone { goal, number } => {
            Kind::GoalUndone(wire::GoalUndone { goal_id: goal.to_string(), number: i64::from(number) })
        }
    };
    wire::Effect { effect: Some(effect) }
}

fn granted(grant: Granted) -> wire::UnitsGranted {
    wire::UnitsGranted {
        grant_id: grant.grant.into(),
        rule_id: grant.rule.into(),
        kind: loyalty_kind(grant.kind).into(),
        unit: grant.unit.into(),
        desired: grant.desired,
        granted: grant.granted,
        repaid_debt: grant.repaid,
        activates_at: expiry(grant.activates_at),
        expires_at: expiry(grant.expires_at),
        shares: all(grant.shares, share),
        awaits_event: text(grant.awaits.as_ref().map(|(event, _)| event)),
        awaited_until: grant.awaits.and_then(|(_, until)| expiry(until)),
    }
}

fn redeemed(payment: Redeemed) -> wire::UnitsRedeemed {
    let settles_as = match payment.settles_as {
        SettlesAs::Discount => wire::SettlesAs::Discount,
        SettlesAs::Tender => wire::SettlesAs::Tender,
    };
    wire::UnitsRedeemed {
        unit: payment.unit.into(),
        amount: payment.units,
        value_minor: payment.value_minor,
        settles_as: settles_as.into(),
        value_shares: all(payment.value_shares, share),
        unit_shares: all(payment.unit_shares, share),
        debt: payment.debt,
    }
}

fn discount(reward: Discount) -> wire::Discount {
    let (unit, unit_amount) = reward.price.map(|(unit, amount)| (unit.to_string(), amount)).unwrap_or_default();
    wire::Discount {
        reward_id: reward.reward.to_string(),
        amount_minor: reward.amount_minor,
        shares: all(reward.shares, share),
        unit,
        unit_amount,
        unit_shares: all(reward.unit_shares, share),
        debt: reward.debt,
        voucher_id: text(reward.voucher),
        free_items: all(reward.free, share),
        desired_minor: reward.desired_minor,
        clamped_by: reward.rail.map_or(wire::RefusalReason::Unspecified, refusal_reason).into(),
        add_sku: reward.to_add.as_ref().map(|(sku, _)| sku.to_string()).unwrap_or_default(),
        add_items: reward.to_add.map_or(0, |(_, items)| items),
    }
}

fn share(share: Share) -> wire::LineShare {
    wire::LineShare { line_id: share.line_id.into(), amount: share.amount }
}

fn refusal(refusal: Refusal) -> wire::Refusal {
    let missing = refusal.missing();
    let Refusal { subject: about, reason, required, available } = refusal;
    let mut message = reason.message().to_owned();
    if let Subject::Bound(bound) = &about {
        message.push_str(&format!(" (rule {}: {})", bound.rule, bound.text));
    }
    match (required, available) {
        (Some(required), Some(available)) => {
            message.push_str(&format!(": it takes {required}, there is {available}"));
        }
        (Some(required), None) => message.push_str(&format!(": it takes {required}")),
        (None, Some(available)) => message.push_str(&format!(": there is {available}")),
        (None, None) => {}
    }
    let (subject, subject_id) = subject(about);
    wire::Refusal {
        subject: subject.into(),
        subject_id,
        reason: refusal_reason(reason).into(),
        message,
        required,
        available,
        missing,
    }
}

fn subject(subject: Subject) -> (wire::Subject, String) {
    match subject {
        Subject::Order => (wire::Subject::Order, String::new()),
        Subject::Earn => (wire::Subject::Earn, String::new()),
        Subject::Payment(unit) => (wire::Subject::Payment, unit.to_string()),
        Subject::Reward(reward) => (wire::Subject::Reward, reward.to_string()),
        Subject::Code(raw) => (wire::Subject::Code, raw),
        Subject::Reservation => (wire::Subject::Reservation, String::new()),
        Subject::Return => (wire::Subject::Return, String::new()),
        Subject::Line(line) => (wire::Subject::Line, line.to_string()),
        Subject::Member => (wire::Subject::Member, String::new()),
        Subject::Event(event) => (wire::Subject::Event, event.to_string()),
        Subject::Adjustment => (wire::Subject::Adjustment, String::new()),
        Subject::MemberEvent => (wire::Subject::MemberEvent, String::new()),
        Subject::Attribute(name) => (wire::Subject::Attribute, name.to_string()),
        Subject::Profile(field) => (wire::Subject::Profile, field),
        Subject::Card(card) => (wire::Subject::Card, card.to_string()),
        Subject::Draw(draw) => (wire::Subject::Draw, draw.to_string()),
        Subject::Voucher(voucher) => (wire::Subject::Voucher, voucher.to_string()),
        Subject::Tier => (wire::Subject::Tier, String::new()),
        Subject::Account => (wire::Subject::Account, String::new()),
        Subject::Transfer => (wire::Subject::Transfer, String::new()),
        Subject::Recipient => (wire::Subject::Recipient, String::new()),
        Subject::Bound(bound) => (wire::Subject::Earn, bound.of),
        Subject::Units(unit) => (wire::Subject::Units, unit.to_string()),
        Subject::Quote => (wire::Subject::Quote, String::new()),
        Subject::Visitor => (wire::Subject::Visitor, String::new()),
        Subject::Referral(referral) => (wire::Subject::Referral, referral.to_string()),
        Subject::Payout(payout) => (wire::Subject::Payout, payout.to_string()),
    }
}

pub(super) fn adjust_reason(reason: AdjustReason) -> wire::AdjustReason {
    match reason {
        AdjustReason::Goodwill => wire::AdjustReason::Goodwill,
        AdjustReason::ServiceRecovery => wire::AdjustReason::ServiceRecovery,
        AdjustReason::Correction => wire::AdjustReason::Correction,
        AdjustReason::Migration => wire::AdjustReason::Migration,
    }
}

pub(super) fn refusal_reason(reason: Reason) -> wire::RefusalReason {
    use wire::RefusalReason as Wire;

    match reason {
        Reason::MemberUnknown => Wire::MemberUnknown,
        Reason::MemberExists => Wire::MemberExists,
        Reason::OrderUnknown => Wire::OrderUnknown,
        Reason::OrderDiffers => Wire::OrderDiffers,
        Reason::OrderCommitted => Wire::OrderCommitted,
        Reason::CurrencyNotListed => Wire::CurrencyNotListed,
        Reason::TooFarBack => Wire::TooFarBack,
        Reason::InFuture => Wire::InFuture,
        Reason::BalanceTooLow => Wire::BalanceTooLow,
        Reason::BelowMinimum => Wire::BelowMinimum,
        Reason::NotAStep => Wire::NotAStep,
        Reason::AboveShare => Wire::AboveShare,
        Reason::UnitNotPayable => Wire::UnitNotPayable,
        Reason::RewardUnknown => Wire::RewardUnknown,
        Reason::RewardNotActive => Wire::RewardNotActive,
        Reason::SpendTooLow => Wire::SpendTooLow,
        Reason::NoMatchingLine => Wire::NoMatchingLine,
        Reason::CodeUnknown => Wire::CodeUnknown,
        Reason::CodeNotActive => Wire::CodeNotActive,
        Reason::SelfReferral => Wire::SelfReferral,
        Reason::AlreadyAttributed => Wire::AlreadyAttributed,
        Reason::NotNew => Wire::NotNew,
        Reason::CodeNotTakenHere => Wire::CodeNotTakenHere,
        Reason::CampaignUnknown => Wire::CampaignUnknown,
        Reason::CodeTaken => Wire::CodeTaken,
        Reason::ReleasedBefore => Wire::ReleasedBefore,
        Reason::OrderChanged => Wire::OrderChanged,
        Reason::BeforeOrder => Wire::BeforeOrder,
        Reason::BeforeEnrolment => Wire::BeforeEnrolment,
        Reason::ReservationLapsed => Wire::ReservationLapsed,
        Reason::LineExists => Wire::LineExists,
        Reason::AmendmentDiffers => Wire::AmendmentDiffers,
        Reason::NothingKept => Wire::NothingKept,
        Reason::QuoteInvalid => Wire::QuoteInvalid,
        Reason::QuoteForeign => Wire::QuoteForeign,
        Reason::QuoteExpired => Wire::QuoteExpired,
        Reason::QuoteOfOtherCart => Wire::QuoteOfOtherCart,
        Reason::NotAPartner => Wire::NotAPartner,
        Reason::UnitNotPaidOut => Wire::UnitNotPaidOut,
        Reason::PayoutOpen => Wire::PayoutOpen,
        Reason::PayoutTooSmall => Wire::PayoutTooSmall,
        Reason::PayoutUnknown => Wire::PayoutUnknown,
        Reason::PayoutSettled => Wire::PayoutSettled,
        Reason::AccountChanged => Wire::AccountChanged,
        Reason::TouchWindowOver => Wire::TouchWindowOver,
        Reason::TouchNotTaken => Wire::TouchNotTaken,
        Reason::TouchAfterwards => Wire::TouchAfterwards,
        Reason::TouchOfOtherCampaign => Wire::TouchOfOtherCampaign,
        Reason::TouchTooOld => Wire::TouchTooOld,
        Reason::ReferralSuspected => Wire::ReferralSuspected,
        Reason::ReferralUnknown => Wire::ReferralUnknown,
        Reason::ReviewClosed => Wire::ReviewClosed,
        Reason::ReferralInReview => Wire::ReferralInReview,
        Reason::ReferralExpired => Wire::ReferralExpired,
        Reason::NothingReserved => Wire::NothingReserved,
        Reason::TooManyReservations => Wire::TooManyReservations,
        Reason::LineUnknown => Wire::LineUnknown,
        Reason::MoreThanLeft => Wire::MoreThanLeft,
        Reason::MixedMeasure => Wire::MixedMeasure,
        Reason::NothingLeft => Wire::NothingLeft,
        Reason::ReturnDiffers => Wire::ReturnDiffers,
        Reason::UnitUnknown => Wire::UnitUnknown,
        Reason::OutOfBounds => Wire::OutOfBounds,
        Reason::TooLarge => Wire::TooLarge,
        Reason::TooManyCodes => Wire::TooManyCodes,
        Reason::AttributeUnknown => Wire::AttributeUnknown,
        Reason::AttributeType => Wire::AttributeType,
        Reason::KindEarnsNothing => Wire::KindEarnsNothing,
        Reason::AnsweredAtClaim => Wire::AnsweredAtClaim,
        Reason::ClaimedByOther => Wire::ClaimedByOther,
        Reason::ClaimTooLate => Wire::ClaimTooLate,
        Reason::NotClaimable => Wire::NotClaimable,
        Reason::AgentLimit => Wire::AgentLimit,
        Reason::AboveUnitsMax => Wire::AboveUnitsMax,
        Reason::ReasonNotAllowed => Wire::ReasonNotAllowed,
        Reason::CreditLimit => Wire::CreditLimit,
        Reason::TooManyVouchers => Wire::TooManyVouchers,
        Reason::TooManyCards => Wire::TooManyCards,
        Reason::VoucherUnknown => Wire::VoucherUnknown,
        Reason::VoucherHeld => Wire::VoucherHeld,
        Reason::VoucherUsed => Wire::VoucherUsed,
        Reason::VoucherExpired => Wire::VoucherExpired,
        Reason::VoucherCancelled => Wire::VoucherCancelled,
        Reason::OnlyByVoucher => Wire::OnlyByVoucher,
        Reason::DrawOver => Wire::DrawOver,
        Reason::DrawNotReady => Wire::DrawNotReady,
        Reason::DrawEmpty => Wire::DrawEmpty,
        Reason::EventDiffers => Wire::EventDiffers,
        Reason::EventTooLate => Wire::EventTooLate,
        Reason::NothingToExtend => Wire::NothingToExtend,
        Reason::NothingExpired => Wire::NothingExpired,
        Reason::EventTypeUnknown => Wire::EventTypeUnknown,
        Reason::EventValueTooLarge => Wire::EventValueTooLarge,
        Reason::ProofRequired => Wire::ProofRequired,
        Reason::ProofUsed => Wire::ProofUsed,
        Reason::CoolDown => Wire::CoolDown,
        Reason::EventUnknown => Wire::EventUnknown,
        Reason::EventClosed => Wire::EventClosed,
        Reason::RecoveryTooLate => Wire::RecoveryTooLate,
        Reason::AlreadyRecovered => Wire::AlreadyRecovered,
        Reason::LimitReached => Wire::LimitReached,
        Reason::CampaignPaused => Wire::CampaignPaused,
        Reason::CoolingDown => Wire::CoolingDown,
        Reason::TooManyConsequences => Wire::TooManyConsequences,
        Reason::TierTooLow => Wire::TierTooLow,
        Reason::LadderUnknown => Wire::LadderUnknown,
        Reason::LevelUnknown => Wire::LevelUnknown,
        Reason::MemberErased => Wire::MemberErased,
        Reason::ReservationsOpen => Wire::ReservationsOpen,
        Reason::SameAccount => Wire::SameAccount,
        Reason::NotMovable => Wire::NotMovable,
        Reason::UndoOver => Wire::UndoOver,
        Reason::NotMerged => Wire::NotMerged,
        Reason::RoleMayNot => Wire::RoleMayNot,
        Reason::DailyLimit => Wire::DailyLimit,
        Reason::AccountFull => Wire::AccountFull,
        Reason::AccountExists => Wire::AccountExists,
        Reason::TransferNotAllowed => Wire::TransferNotAllowed,
        Reason::AboveMaximum => Wire::AboveMaximum,
        Reason::NotInAccount => Wire::NotInAccount,
        Reason::AbovePaymentMax => Wire::AbovePaymentMax,
        Reason::NotWithOthers => Wire::NotWithOthers,
        Reason::GroupTaken => Wire::GroupTaken,
        Reason::TooManyRewards => Wire::TooManyRewards,
        Reason::TooManyOfKind => Wire::TooManyOfKind,
        Reason::NotWithUnits => Wire::NotWithUnits,
        Reason::DiscountShareMax => Wire::DiscountShareMax,
        Reason::DiscountedOrdersMax => Wire::DiscountedOrdersMax,
        Reason::LineNotDiscountable => Wire::LineNotDiscountable,
        Reason::FloorPrice => Wire::FloorPrice,
        Reason::RewardLimit => Wire::RewardLimit,
        Reason::CodeMistyped => Wire::CodeMistyped,
        Reason::CodeBlocked => Wire::CodeBlocked,
        Reason::CodeNotStarted => Wire::CodeNotStarted,
        Reason::CodeExpired => Wire::CodeExpired,
        Reason::CodeUsedUp => Wire::CodeUsedUp,
        Reason::VanityNotAllowed => Wire::VanityNotAllowed,
        Reason::Superseded => Wire::Superseded,
        Reason::ReferralConditionNotMet => Wire::ReferralConditionNotMet,
        Reason::ReferralBudgetSpent => Wire::ReferralBudgetSpent,
        Reason::OutOfStock => Wire::OutOfStock,
        Reason::NotOnOrders => Wire::NotOnOrders,
    }
}

fn explain(trace: Explain) -> wire::Explain {
    wire::Explain {
        rules: all(trace.rules, explain_rule),
        rules_left_out: i32::try_from(trace.rules_left_out).unwrap_or(i32::MAX),
        nearest_misses: all(trace.nearest, |miss| wire::NearestMiss {
            rule_id: miss.rule.to_string(),
            condition: miss.condition,
            missing: miss.missing,
            text: miss.text,
        }),
    }
}

fn explain_rule(rule: ExplainRule) -> wire::ExplainRule {
    wire::ExplainRule {
        rule_id: rule.rule.to_string(),
        kind: loyalty_kind(rule.kind).into(),
        applied: rule.applied,
        conditions: all(rule.conditions, |condition| wire::ExplainCondition {
            condition: condition.condition,
            met: condition.met,
            actual: condition.actual,
            required: condition.required,
            missing: condition.missing,
        }),
        steps: rule.steps,
        left_out: rule.left_out,
    }
}

pub(super) fn balance(balance: Balance) -> wire::Balance {
    let dated = |(at, amount)| wire::DatedUnits { at: Some(timestamp(at)), amount };
    wire::Balance {
        unit: balance.unit.into(),
        available: balance.available,
        pending: balance.pending,
        held: balance.held,
        debt: balance.debt,
        lifetime_granted: balance.lifetime_granted,
        lifetime_redeemed: balance.lifetime_redeemed,
        lifetime_expired: balance.lifetime_expired,
        lifetime_reversed: balance.lifetime_reversed,
        lifetime_adjusted: balance.lifetime_adjusted,
        lifetime_forgiven: balance.lifetime_forgiven,
        lifetime_forfeited: balance.lifetime_forfeited,
        lifetime_fees: balance.lifetime_fees,
        in_payout: balance.in_payout,
        lifetime_paid_out: balance.lifetime_paid_out,
        activations: all(balance.activations, dated),
        expiries: all(balance.expiries, dated),
        awaiting_event: balance.awaiting,
        awaited_until: all(balance.awaited, dated),
        expires_when_idle_at: expiry(balance.idle_at),
    }
}

fn reservation(reservation: Reservation) -> wire::Reservation {
    let Reservation { order_id, revision, state, expires_at, held } = reservation;
    let state = match state {
        ReservationState::Held => wire::ReservationState::Held,
        ReservationState::Committed => wire::ReservationState::Committed,
        ReservationState::Released => wire::ReservationState::Released,
        ReservationState::Expired => wire::ReservationState::Expired,
    };
    wire::Reservation {
        order_id: order_id.to_string(),
        revision: i64::from(revision),
        state: state.into(),
        expires_at: Some(timestamp(expires_at)),
        held: all(held, unit_amount),
    }
}

fn refund(refund: Refund) -> wire::Refund {
    let tender = |Tender { tender, amount_minor }| wire::Tender {
        tender_id: tender.to_string(),
        amount_minor,
        method: String::new(),
    };
    wire::Refund {
        money_minor: refund.money_minor,
        tenders: all(refund.tenders, tender),
        units: all(refund.units, unit_amount),
    }
}

fn unit_amount((unit, amount): (UnitId, i64)) -> wire::UnitAmount {
    wire::UnitAmount { unit: unit.to_string(), amount }
}

fn order_state(state: OrderState) -> wire::OrderState {
    match state {
        OrderState::Committed => wire::OrderState::Committed,
        OrderState::PartiallyReturned => wire::OrderState::PartiallyReturned,
        OrderState::Returned => wire::OrderState::Returned,
        OrderState::Cancelled => wire::OrderState::Cancelled,
    }
}

fn order_kind(kind: OrderKind) -> wire::OrderKind {
    match kind {
        OrderKind::Ordinary => wire::OrderKind::Ordinary,
        OrderKind::First => wire::OrderKind::First,
        OrderKind::Renewal => wire::OrderKind::Renewal,
        OrderKind::Trial => wire::OrderKind::Trial,
        OrderKind::Replacement => wire::OrderKind::Replacement,
    }
}

fn return_status(status: ReturnStatus) -> wire::ReturnStatus {
    match status {
        ReturnStatus::Applied => wire::ReturnStatus::Applied,
        ReturnStatus::Refused => wire::ReturnStatus::Refused,
        ReturnStatus::AlreadyApplied => wire::ReturnStatus::AlreadyApplied,
    }
}

fn return_cause(cause: ReturnCause) -> wire::ReturnCause {
    match cause {
        ReturnCause::Return => wire::ReturnCause::Return,
        ReturnCause::Cancel => wire::ReturnCause::Cancel,
    }
}

fn referral_state(state: ReferralState) -> wire::ReferralState {
    match state {
        ReferralState::Attributed => wire::ReferralState::Attributed,
        ReferralState::Qualified => wire::ReferralState::Qualified,
        ReferralState::Expired => wire::ReferralState::Expired,
        ReferralState::Rejected => wire::ReferralState::Rejected,
        ReferralState::Superseded => wire::ReferralState::Superseded,
    }
}

pub(super) fn loyalty_kind(kind: Kind) -> wire::LoyaltyKind {
    match kind {
        Kind::Transactional => wire::LoyaltyKind::Transactional,
        Kind::Social => wire::LoyaltyKind::Social,
        Kind::Emotional => wire::LoyaltyKind::Emotional,
        Kind::Behavioural => wire::LoyaltyKind::Behavioural,
        Kind::Advocacy => wire::LoyaltyKind::Advocacy,
    }
}

pub(super) fn all<T, U>(items: Vec<T>, convert: impl FnMut(T) -> U) -> Vec<U> {
    items.into_iter().map(convert).collect()
}

/// Empty where there is none, as the contract has it.
pub(super) fn text(id: Option<impl ToString>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

pub(super) fn timestamp(at: Instant) -> Timestamp {
    // What is left of a second is below 1,000 ms, so the nanoseconds fit.
    let nanos = i32::try_from(at.0.rem_euclid(1_000) * 1_000_000).unwrap_or_default();
    Timestamp { seconds: at.0.div_euclid(1_000), nanos }
}

/// Never is said by leaving it out.
fn expiry(at: Instant) -> Option<Timestamp> {
    (at < Instant::MAX).then(|| timestamp(at))
}

pub(super) fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
