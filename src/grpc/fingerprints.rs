//! Which bytes of a write make its fingerprint: every field that the caller may set, in the order of the contract.
//! The program and the request id are left out, for they are the key that the fingerprint is stored under. What is
//! left out of a request gives no bytes, as on the wire. Signals of people are no part of it: they tell of the circumstances
//! of a request, which may be others when it is sent again, and a hash without a key would tell what they were.

use prost::Message;

use super::wire;
use crate::service::Fingerprint;

/// Numbers of the writes. Stored with every receipt: never reuse or change one.
const ENROLL: u8 = 1;
const RESERVE: u8 = 2;
const COMMIT: u8 = 3;
const RELEASE: u8 = 4;
const RETURN: u8 = 5;
const ADJUST: u8 = 6;
const CREATE_CODE: u8 = 7;
const ATTRIBUTE: u8 = 8;
const UPDATE_MEMBER: u8 = 10;
const CLAIM_ORDER: u8 = 20;
const RECORD_ORDER_EVENT: u8 = 21;
const EXTEND_EXPIRY: u8 = 22;
const REINSTATE: u8 = 23;
const AMEND_ORDER: u8 = 50;
const RECORD_EVENT: u8 = 25;
const REVIEW_EVENT: u8 = 26;
const REVOKE_EVENT: u8 = 27;
const SET_TIER: u8 = 40;
const MERGE: u8 = 11;
const UNMERGE: u8 = 12;
const ERASE: u8 = 13;
const TRANSFER: u8 = 14;
const CREATE_ACCOUNT: u8 = 15;
const JOIN_ACCOUNT: u8 = 16;
const LEAVE_ACCOUNT: u8 = 17;
const SET_ROLE: u8 = 18;
const UPDATE_CODE: u8 = 70;
const REDEEM: u8 = 80;
const FULFIL_VOUCHER: u8 = 81;
const CANCEL_VOUCHER: u8 = 82;
const RECORD_TOUCH: u8 = 90;
const REVIEW_REWARD: u8 = 91;
const PREPARE_PAYOUT: u8 = 110;
const CONFIRM_PAYOUT: u8 = 111;

pub(super) fn review_reward(raw: &wire::ReviewRewardRequest) -> Fingerprint {
    let wire::ReviewRewardRequest {
        program_id: _,
        member_id,
        request_id: _,
        referral_id,
        side,
        verdict,
        force,
        agent_id,
        reason_code,
    } = raw;
    Fingerprint::of(REVIEW_REWARD)
        .field("member_id", member_id.as_bytes())
        .field("referral_id", referral_id.as_bytes())
        .field("side", &number(i64::from(*side)))
        .field("verdict", &number(i64::from(*verdict)))
        .field("force", &flag(*force))
        .field("agent_id", agent_id.as_bytes())
        .field("reason_code", reason_code.as_bytes())
        .done()
}

pub(super) fn record_touch(raw: &wire::RecordTouchRequest) -> Fingerprint {
    let wire::RecordTouchRequest {
        program_id: _,
        visitor_id,
        request_id: _,
        kind,
        code,
        channel,
        source,
        user_agent,
        occurred_at,
    } = raw;
    Fingerprint::of(RECORD_TOUCH)
        .field("visitor_id", visitor_id.as_bytes())
        .field("kind", &number(i64::from(*kind)))
        .field("code", code.as_bytes())
        .field("channel", channel.as_bytes())
        .field("source", source.as_bytes())
        .field("user_agent", user_agent.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn redeem(raw: &wire::RedeemRequest) -> Fingerprint {
    let wire::RedeemRequest { program_id: _, member_id, request_id: _, reward_id, store_id, occurred_at } = raw;
    Fingerprint::of(REDEEM)
        .field("member_id", member_id.as_bytes())
        .field("reward_id", reward_id.as_bytes())
        .field("store_id", store_id.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn prepare_payout(raw: &wire::PreparePayoutRequest) -> Fingerprint {
    let wire::PreparePayoutRequest { program_id: _, member_id, request_id: _, payout_id, unit, occurred_at } = raw;
    Fingerprint::of(PREPARE_PAYOUT)
        .field("member_id", member_id.as_bytes())
        .field("payout_id", payout_id.as_bytes())
        .field("unit", unit.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn confirm_payout(raw: &wire::ConfirmPayoutRequest) -> Fingerprint {
    let wire::ConfirmPayoutRequest {
        program_id: _,
        member_id,
        request_id: _,
        payout_id,
        state,
        reference,
        occurred_at,
    } = raw;
    Fingerprint::of(CONFIRM_PAYOUT)
        .field("member_id", member_id.as_bytes())
        .field("payout_id", payout_id.as_bytes())
        .field("state", &number(i64::from(*state)))
        .field("reference", reference.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn fulfil_voucher(raw: &wire::FulfilVoucherRequest) -> Fingerprint {
    let wire::FulfilVoucherRequest { program_id: _, member_id, request_id: _, voucher_id, occurred_at } = raw;
    Fingerprint::of(FULFIL_VOUCHER)
        .field("member_id", member_id.as_bytes())
        .field("voucher_id", voucher_id.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn cancel_voucher(raw: &wire::CancelVoucherRequest) -> Fingerprint {
    let wire::CancelVoucherRequest { program_id: _, member_id, request_id: _, voucher_id, occurred_at } = raw;
    Fingerprint::of(CANCEL_VOUCHER)
        .field("member_id", member_id.as_bytes())
        .field("voucher_id", voucher_id.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn enroll(raw: &wire::EnrollRequest) -> Fingerprint {
    let wire::EnrollRequest {
        program_id: _,
        member_id,
        request_id: _,
        codes,
        occurred_at,
        profile,
        visitor_id,
        signals: _,
    } = raw;
    Fingerprint::of(ENROLL)
        .field("member_id", member_id.as_bytes())
        .field("codes", &list(codes.iter().map(|code| code.as_bytes().to_vec())))
        .field("occurred_at", &message(occurred_at.as_ref()))
        .field("profile", &message(profile.as_ref()))
        .field("visitor_id", visitor_id.as_bytes())
        .done()
}

pub(super) fn update_member(raw: &wire::UpdateMemberRequest) -> Fingerprint {
    let wire::UpdateMemberRequest { program_id: _, member_id, request_id: _, change, occurred_at, signals: _ } = raw;
    Fingerprint::of(UPDATE_MEMBER)
        .field("member_id", member_id.as_bytes())
        .field("change", &message(change.as_ref()))
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn reserve(raw: &wire::ReserveRequest) -> Fingerprint {
    let wire::ReserveRequest {
        program_id: _,
        member_id,
        request_id: _,
        order,
        redeem,
        ttl_seconds,
        occurred_at,
        explain,
        quote_token,
    } = raw;
    Fingerprint::of(RESERVE)
        .field("member_id", member_id.as_bytes())
        .field("order", &message(order.as_ref()))
        .field("redeem", &message(redeem.as_ref()))
        .field("ttl_seconds", &ttl_seconds.map(|s| s.to_be_bytes().to_vec()).unwrap_or_default())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .field("explain", &flag(*explain))
        .field("quote_token", quote_token.as_bytes())
        .done()
}

pub(super) fn commit(raw: &wire::CommitRequest) -> Fingerprint {
    let wire::CommitRequest {
        program_id: _,
        member_id,
        request_id: _,
        order,
        redeem,
        codes,
        occurred_at,
        paid,
        tenders,
        explain,
        quote_token,
        visitor_id,
        signals: _,
    } = raw;
    Fingerprint::of(COMMIT)
        .field("member_id", member_id.as_bytes())
        .field("order", &message(order.as_ref()))
        .field("redeem", &message(redeem.as_ref()))
        .field("codes", &list(codes.iter().map(|code| code.as_bytes().to_vec())))
        .field("occurred_at", &message(occurred_at.as_ref()))
        .field("paid", &flag(*paid))
        .field("tenders", &list(tenders.iter().map(Message::encode_to_vec)))
        .field("explain", &flag(*explain))
        .field("quote_token", quote_token.as_bytes())
        .field("visitor_id", visitor_id.as_bytes())
        .done()
}

pub(super) fn release(raw: &wire::ReleaseRequest) -> Fingerprint {
    let wire::ReleaseRequest { program_id: _, member_id, request_id: _, order_id, occurred_at } = raw;
    Fingerprint::of(RELEASE)
        .field("member_id", member_id.as_bytes())
        .field("order_id", order_id.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn r#return(raw: &wire::ReturnRequest) -> Fingerprint {
    let wire::ReturnRequest { program_id: _, member_id, request_id: _, order_id, return_id, what, cause, occurred_at } =
        raw;
    Fingerprint::of(RETURN)
        .field("member_id", member_id.as_bytes())
        .field("order_id", order_id.as_bytes())
        .field("return_id", return_id.as_bytes())
        .field("what", &message(what.as_ref()))
        .field("cause", &number(i64::from(*cause)))
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn amend_order(raw: &wire::AmendOrderRequest) -> Fingerprint {
    let wire::AmendOrderRequest {
        program_id: _,
        member_id,
        request_id: _,
        order_id,
        amendment_id,
        remove,
        add,
        redeem,
        tenders,
        occurred_at,
    } = raw;
    Fingerprint::of(AMEND_ORDER)
        .field("member_id", member_id.as_bytes())
        .field("order_id", order_id.as_bytes())
        .field("amendment_id", amendment_id.as_bytes())
        .field("remove", &list(remove.iter().map(Message::encode_to_vec)))
        .field("add", &list(add.iter().map(Message::encode_to_vec)))
        .field("redeem", &message(redeem.as_ref()))
        .field("tenders", &list(tenders.iter().map(Message::encode_to_vec)))
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn adjust(raw: &wire::AdjustRequest) -> Fingerprint {
    let wire::AdjustRequest {
        program_id: _,
        member_id,
        request_id: _,
        unit,
        amount,
        reason,
        agent_id,
        note,
        expires_at,
        occurred_at,
        order_id,
    } = raw;
    Fingerprint::of(ADJUST)
        .field("member_id", member_id.as_bytes())
        .field("unit", unit.as_bytes())
        .field("amount", &number(*amount))
        .field("reason", &number(i64::from(*reason)))
        .field("agent_id", agent_id.as_bytes())
        .field("note", note.as_bytes())
        .field("expires_at", &message(expires_at.as_ref()))
        .field("occurred_at", &message(occurred_at.as_ref()))
        .field("order_id", order_id.as_bytes())
        .done()
}

pub(super) fn set_tier(raw: &wire::SetTierRequest) -> Fingerprint {
    let wire::SetTierRequest {
        program_id: _,
        member_id,
        request_id: _,
        ladder,
        level,
        until,
        reason,
        agent_id,
        occurred_at,
    } = raw;
    Fingerprint::of(SET_TIER)
        .field("member_id", member_id.as_bytes())
        .field("ladder", ladder.as_bytes())
        .field("level", level.as_bytes())
        .field("until", &message(until.as_ref()))
        .field("reason", &number(i64::from(*reason)))
        .field("agent_id", agent_id.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn create_code(raw: &wire::CreateCodeRequest) -> Fingerprint {
    let wire::CreateCodeRequest {
        program_id: _,
        member_id,
        request_id: _,
        campaign_id,
        vanity,
        occurred_at,
        label,
        expires_at,
        uses_max,
    } = raw;
    Fingerprint::of(CREATE_CODE)
        .field("member_id", member_id.as_bytes())
        .field("campaign_id", campaign_id.as_bytes())
        .field("vanity", vanity.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .field("label", label.as_bytes())
        .field("expires_at", &message(expires_at.as_ref()))
        .field("uses_max", &number(*uses_max))
        .done()
}

pub(super) fn attribute(raw: &wire::AttributeRequest) -> Fingerprint {
    let wire::AttributeRequest { program_id: _, member_id, request_id: _, code, occurred_at, agent_id, signals: _ } =
        raw;
    Fingerprint::of(ATTRIBUTE)
        .field("member_id", member_id.as_bytes())
        .field("code", code.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .field("agent_id", agent_id.as_bytes())
        .done()
}

pub(super) fn update_code(raw: &wire::UpdateCodeRequest) -> Fingerprint {
    let wire::UpdateCodeRequest { program_id: _, member_id, request_id: _, code, state, agent_id, occurred_at } = raw;
    Fingerprint::of(UPDATE_CODE)
        .field("member_id", member_id.as_bytes())
        .field("code", code.as_bytes())
        .field("state", &number(i64::from(*state)))
        .field("agent_id", agent_id.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn claim_order(raw: &wire::ClaimOrderRequest) -> Fingerprint {
    let wire::ClaimOrderRequest { program_id: _, member_id, request_id: _, order_id, occurred_at } = raw;
    Fingerprint::of(CLAIM_ORDER)
        .field("member_id", member_id.as_bytes())
        .field("order_id", order_id.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn record_order_event(raw: &wire::RecordOrderEventRequest) -> Fingerprint {
    let wire::RecordOrderEventRequest {
        program_id: _,
        member_id,
        request_id: _,
        order_id,
        event_id,
        event,
        line_ids,
        occurred_at,
    } = raw;
    Fingerprint::of(RECORD_ORDER_EVENT)
        .field("member_id", member_id.as_bytes())
        .field("order_id", order_id.as_bytes())
        .field("event_id", event_id.as_bytes())
        .field("event", event.as_bytes())
        .field("line_ids", &list(line_ids.iter().map(|line| line.as_bytes().to_vec())))
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}
pub(super) fn merge(raw: &wire::MergeRequest) -> Fingerprint {
    let wire::MergeRequest { program_id: _, member_id, request_id: _, into_member_id, occurred_at } = raw;
    Fingerprint::of(MERGE)
        .field("member_id", member_id.as_bytes())
        .field("into_member_id", into_member_id.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn record_event(raw: &wire::RecordEventRequest) -> Fingerprint {
    let wire::RecordEventRequest {
        program_id: _,
        member_id,
        request_id: _,
        event_id,
        event_type,
        value,
        attributes,
        proof_id,
        occurred_at,
        recipient_member_id,
    } = raw;
    Fingerprint::of(RECORD_EVENT)
        .field("member_id", member_id.as_bytes())
        .field("event_id", event_id.as_bytes())
        .field("event_type", event_type.as_bytes())
        .field("value", &value.map(|value| value.to_be_bytes().to_vec()).unwrap_or_default())
        .field("attributes", &list(attributes.iter().map(Message::encode_to_vec)))
        .field("proof_id", proof_id.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .field("recipient_member_id", recipient_member_id.as_bytes())
        .done()
}

pub(super) fn extend_expiry(raw: &wire::ExtendExpiryRequest) -> Fingerprint {
    let wire::ExtendExpiryRequest {
        program_id: _,
        member_id,
        request_id: _,
        unit,
        expiring_before,
        expires_at,
        reason,
        agent_id,
        note,
        occurred_at,
    } = raw;
    Fingerprint::of(EXTEND_EXPIRY)
        .field("member_id", member_id.as_bytes())
        .field("unit", unit.as_bytes())
        .field("expiring_before", &message(expiring_before.as_ref()))
        .field("expires_at", &message(expires_at.as_ref()))
        .field("reason", &number(i64::from(*reason)))
        .field("agent_id", agent_id.as_bytes())
        .field("note", note.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}
pub(super) fn unmerge(raw: &wire::UnmergeRequest) -> Fingerprint {
    let wire::UnmergeRequest { program_id: _, member_id, request_id: _, occurred_at } = raw;
    Fingerprint::of(UNMERGE)
        .field("member_id", member_id.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn erase(raw: &wire::EraseRequest) -> Fingerprint {
    let wire::EraseRequest { program_id: _, member_id, request_id: _, occurred_at } = raw;
    Fingerprint::of(ERASE)
        .field("member_id", member_id.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn transfer(raw: &wire::TransferRequest) -> Fingerprint {
    let wire::TransferRequest { program_id: _, member_id, request_id: _, to_member_id, unit, amount, occurred_at } =
        raw;
    Fingerprint::of(TRANSFER)
        .field("member_id", member_id.as_bytes())
        .field("to_member_id", to_member_id.as_bytes())
        .field("unit", unit.as_bytes())
        .field("amount", &number(*amount))
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn reinstate(raw: &wire::ReinstateRequest) -> Fingerprint {
    let wire::ReinstateRequest {
        program_id: _,
        member_id,
        request_id: _,
        unit,
        amount,
        expires_at,
        reason,
        agent_id,
        note,
        occurred_at,
    } = raw;
    Fingerprint::of(REINSTATE)
        .field("member_id", member_id.as_bytes())
        .field("unit", unit.as_bytes())
        .field("amount", &amount.map(|n| n.to_be_bytes().to_vec()).unwrap_or_default())
        .field("expires_at", &message(expires_at.as_ref()))
        .field("reason", &number(i64::from(*reason)))
        .field("agent_id", agent_id.as_bytes())
        .field("note", note.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}
pub(super) fn create_account(raw: &wire::CreateAccountRequest) -> Fingerprint {
    let wire::CreateAccountRequest { program_id: _, account_id, request_id: _, kind, occurred_at } = raw;
    Fingerprint::of(CREATE_ACCOUNT)
        .field("account_id", account_id.as_bytes())
        .field("kind", &number(i64::from(*kind)))
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn join_account(raw: &wire::JoinAccountRequest) -> Fingerprint {
    let wire::JoinAccountRequest {
        program_id: _,
        member_id,
        request_id: _,
        account_id,
        role,
        invited_by_member_id,
        occurred_at,
    } = raw;
    Fingerprint::of(JOIN_ACCOUNT)
        .field("member_id", member_id.as_bytes())
        .field("account_id", account_id.as_bytes())
        .field("role", &number(i64::from(*role)))
        .field("invited_by_member_id", invited_by_member_id.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn leave_account(raw: &wire::LeaveAccountRequest) -> Fingerprint {
    let wire::LeaveAccountRequest { program_id: _, member_id, request_id: _, occurred_at } = raw;
    Fingerprint::of(LEAVE_ACCOUNT)
        .field("member_id", member_id.as_bytes())
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn set_role(raw: &wire::SetRoleRequest) -> Fingerprint {
    let wire::SetRoleRequest { program_id: _, member_id, request_id: _, person_member_id, role, occurred_at } = raw;
    Fingerprint::of(SET_ROLE)
        .field("member_id", member_id.as_bytes())
        .field("person_member_id", person_member_id.as_bytes())
        .field("role", &number(i64::from(*role)))
        .field("occurred_at", &message(occurred_at.as_ref()))
        .done()
}

pub(super) fn review_event(raw: &wire::ReviewEventRequest) -> Fingerprint {
    let wire::ReviewEventRequest { program_id: _, member_id, request_id: _, event_id, verdict, agent_id } = raw;
    Fingerprint::of(REVIEW_EVENT)
        .field("member_id", member_id.as_bytes())
        .field("event_id", event_id.as_bytes())
        .field("verdict", &number(i64::from(*verdict)))
        .field("agent_id", agent_id.as_bytes())
        .done()
}

pub(super) fn revoke_event(raw: &wire::RevokeEventRequest) -> Fingerprint {
    let wire::RevokeEventRequest { program_id: _, member_id, request_id: _, event_id, agent_id } = raw;
    Fingerprint::of(REVOKE_EVENT)
        .field("member_id", member_id.as_bytes())
        .field("event_id", event_id.as_bytes())
        .field("agent_id", agent_id.as_bytes())
        .done()
}

/// A message that is there but empty differs from none, so a mark goes before it.
fn message(raw: Option<&impl Message>) -> Vec<u8> {
    let Some(raw) = raw else { return Vec::new() };
    let mut bytes = Vec::with_capacity(MESSAGE_BYTES_USUAL);
    bytes.push(1);
    raw.encode_raw(&mut bytes);
    bytes
}

/// Most orders fit; what does not grows.
const MESSAGE_BYTES_USUAL: usize = 1024;

/// Each element after its length, so that no two lists look alike.
fn list(elements: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for element in elements {
        bytes.extend((element.len() as u64).to_be_bytes());
        bytes.extend(element);
    }
    bytes
}

fn number(raw: i64) -> Vec<u8> {
    if raw == 0 { Vec::new() } else { raw.to_be_bytes().to_vec() }
}

fn flag(raw: bool) -> Vec<u8> {
    if raw { vec![1] } else { Vec::new() }
}
