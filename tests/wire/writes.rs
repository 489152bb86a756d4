//! Every write of the contract, found in the contract itself: a method that is added without a row here fails, and so does a field that
//! its fingerprint forgets.

use std::collections::BTreeSet;

use guerdon::access::METHODS;
use guerdon::grpc::wire;
use guerdon::service::{Audit, Write};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage, Value,
};
use tonic::{Code, Status};

use super::kit::*;

/// A method, a request that is as it should be, and how one is sent.
struct Row {
    method: &'static str,
    sample: Vec<u8>,
    send: fn(&[u8]) -> Result<Write, Status>,
}

fn row<R: Rpc + Default>(method: &'static str, sample: R) -> Row {
    let send = |bytes: &[u8]| {
        let fake = Fake::that(Does::Fits);
        wait(R::decode(bytes).unwrap().send(routes(&fake)))?;
        Ok(fake.last_write())
    };
    Row { method, sample: sample.encode_to_vec(), send }
}

fn rows() -> Vec<Row> {
    let (program_id, member_id, request_id) = ("bakery".to_owned(), "mia".to_owned(), "r-1".to_owned());
    let occurred_at = timestamp(1_767_225_600, 0);
    let later = timestamp(1_800_000_000, 0);
    let goodwill: i32 = wire::AdjustReason::Goodwill.into();
    let (order_id, agent_id) = ("o-1".to_owned(), "agent-7".to_owned());
    let claim = wire::ClaimOrderRequest { order_id: order_id.clone(), ..Default::default() };
    let order_event = wire::RecordOrderEventRequest {
        order_id,
        event_id: "parcel-1".into(),
        event: "delivered".into(),
        line_ids: vec!["1".into()],
        ..Default::default()
    };
    let extend = wire::ExtendExpiryRequest {
        expiring_before: later,
        expires_at: timestamp(1_900_000_000, 0),
        reason: goodwill,
        agent_id: agent_id.clone(),
        ..Default::default()
    };
    let reinstate = wire::ReinstateRequest {
        amount: Some(50),
        expires_at: timestamp(1_900_000_000, 0),
        reason: goodwill,
        agent_id,
        ..Default::default()
    };
    let transfer = wire::TransferRequest { to_member_id: "leo".into(), amount: 50, ..Default::default() };
    let create = wire::CreateAccountRequest {
        account_id: "home".into(),
        kind: wire::AccountKind::Household.into(),
        ..Default::default()
    };
    let join = wire::JoinAccountRequest {
        account_id: "home".into(),
        role: wire::Role::Member.into(),
        invited_by_member_id: "leo".into(),
        ..Default::default()
    };
    let set_role =
        wire::SetRoleRequest { person_member_id: "leo".into(), role: wire::Role::Member.into(), ..Default::default() };
    let redeem_reward = wire::RedeemRequest { reward_id: "mug".into(), store_id: "soho".into(), ..Default::default() };
    let fulfil = wire::FulfilVoucherRequest { voucher_id: "mia:redeem:r-1".into(), ..Default::default() };
    let cancel = wire::CancelVoucherRequest { voucher_id: "mia:redeem:r-1".into(), ..Default::default() };
    let prepare_payout =
        wire::PreparePayoutRequest { payout_id: "may".into(), unit: "pence".into(), ..Default::default() };
    let confirm_payout = wire::ConfirmPayoutRequest {
        payout_id: "may".into(),
        state: wire::PayoutState::Paid.into(),
        reference: "bank-1".into(),
        ..Default::default()
    };
    macro_rules! of {
        ($sample:expr, $type:ident) => {
            wire::$type {
                program_id: program_id.clone(),
                member_id: member_id.clone(),
                request_id: request_id.clone(),
                occurred_at,
                ..$sample
            }
        };
        ($type:ident) => {
            wire::$type {
                program_id: program_id.clone(),
                member_id: member_id.clone(),
                request_id: request_id.clone(),
                occurred_at,
            }
        };
    }
    vec![
        row("CheckoutService/Reserve", reserve()),
        row("CheckoutService/Commit", commit()),
        row("CheckoutService/Release", release()),
        row("CheckoutService/Return", give_back()),
        row("CheckoutService/AmendOrder", wire::AmendOrderRequest { redeem: Some(redeem()), ..amend_order() }),
        row("CheckoutService/ClaimOrder", of!(claim, ClaimOrderRequest)),
        row("CheckoutService/RecordOrderEvent", of!(order_event, RecordOrderEventRequest)),
        row("MemberService/Enroll", enroll()),
        row("MemberService/UpdateMember", update_member()),
        row("MemberService/Adjust", adjust()),
        row("MemberService/ExtendExpiry", of!(extend, ExtendExpiryRequest)),
        row("MemberService/Reinstate", of!(reinstate, ReinstateRequest)),
        row("MemberService/SetTier", set_tier()),
        row("MemberService/Transfer", of!(transfer, TransferRequest)),
        row(
            "MemberService/Merge",
            of!(wire::MergeRequest { into_member_id: "leo".into(), ..Default::default() }, MergeRequest),
        ),
        row("MemberService/Unmerge", of!(UnmergeRequest)),
        row("MemberService/Erase", of!(EraseRequest)),
        row("MemberService/RecordEvent", record_event()),
        row("MemberService/ReviewEvent", review_event()),
        row("MemberService/RevokeEvent", revoke_event()),
        row(
            "AccountService/CreateAccount",
            wire::CreateAccountRequest {
                program_id: program_id.clone(),
                request_id: request_id.clone(),
                occurred_at,
                ..create
            },
        ),
        row("AccountService/JoinAccount", of!(join, JoinAccountRequest)),
        row("AccountService/LeaveAccount", of!(LeaveAccountRequest)),
        row("AccountService/SetRole", of!(set_role, SetRoleRequest)),
        row("RewardService/Redeem", of!(redeem_reward, RedeemRequest)),
        row("RewardService/FulfilVoucher", of!(fulfil, FulfilVoucherRequest)),
        row("RewardService/CancelVoucher", of!(cancel, CancelVoucherRequest)),
        row("PayoutService/PreparePayout", of!(prepare_payout, PreparePayoutRequest)),
        row("PayoutService/ConfirmPayout", of!(confirm_payout, ConfirmPayoutRequest)),
        row("ReferralService/CreateCode", create_code()),
        row("ReferralService/UpdateCode", update_code()),
        row("ReferralService/Attribute", attribute()),
        row("ReferralService/RecordTouch", record_touch()),
        row("ReferralService/ReviewReward", review_reward()),
    ]
}

/// A write is what carries a request id; GetOutcome asks about one.
fn writes() -> Vec<(String, MethodDescriptor)> {
    let pool = DescriptorPool::decode(wire::FILE_DESCRIPTOR_SET).unwrap();
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let carries = |method: &MethodDescriptor| method.input().get_field_by_name("request_id").is_some();
    let named = |method: MethodDescriptor| (format!("{}/{}", method.parent_service().name(), method.name()), method);
    let asks = |name: &str| name == "CheckoutService/GetOutcome";
    methods.filter(carries).map(named).filter(|(name, _)| !asks(name)).collect()
}

/// Other things that could stand in a field.
fn others(field: &FieldDescriptor, known: &Value) -> Vec<Value> {
    if field.is_list() {
        let list = known.as_list().unwrap();
        let twice = list.first().cloned().into_iter().chain(list.iter().cloned());
        let changed = list.iter().map(|item| item.as_str().map_or(item.clone(), |s| Value::String(format!("{s}2"))));
        return vec![Value::List(changed.collect()), Value::List(twice.collect()), Value::List(Vec::new())];
    }
    match (field.kind(), known) {
        (Kind::String, Value::String(text)) => {
            vec![Value::String(format!("{text}2")), Value::String("leo".into()), Value::String(String::new())]
        }
        (Kind::Bool, Value::Bool(is)) => vec![Value::Bool(!is)],
        (Kind::Enum(kind), Value::EnumNumber(number)) => {
            kind.values().map(|v| v.number()).filter(|n| n != number).map(Value::EnumNumber).collect()
        }
        (_, Value::I64(n)) => vec![Value::I64(n + 1), Value::I64((n - 1).max(1))],
        (_, Value::I32(n)) => vec![Value::I32(n + 1)],
        (Kind::Message(kind), Value::Message(_)) if kind.full_name() == "google.protobuf.Timestamp" => {
            let mut at = DynamicMessage::new(kind);
            at.set_field_by_name("seconds", Value::I64(1_767_312_000));
            vec![Value::Message(at)]
        }
        (Kind::Message(_), Value::Message(message)) => {
            // With any one field of it that is there left out, and with nothing but one flag.
            let parts: Vec<FieldDescriptor> = message.descriptor().fields().collect();
            let without = parts.iter().filter(|part| message.has_field(part)).map(|part| {
                let mut without = message.clone();
                without.clear_field(part);
                Value::Message(without)
            });
            let flags = parts.iter().filter(|part| part.kind() == Kind::Bool).map(|flag| {
                let mut alone = DynamicMessage::new(message.descriptor());
                alone.set_field(flag, Value::Bool(true));
                Value::Message(alone)
            });
            without.chain(flags).collect()
        }
        (kind, value) => panic!("{kind:?} {value:?}: say here how it can be something else"),
    }
}

#[test]
fn every_write_of_the_contract_has_a_row() {
    let known: BTreeSet<String> = rows().iter().map(|row| row.method.to_owned()).collect();
    let there: BTreeSet<String> = writes().into_iter().map(|(name, _)| name).collect();
    let missing: Vec<&String> = there.difference(&known).collect();
    assert!(missing.is_empty(), "add a row to tests/wire/writes.rs for {missing:?}");
    assert_eq!(known, there);
}

#[test]
fn every_write_answers_what_is_right_and_refuses_what_is_empty() {
    for row in rows() {
        assert!((row.send)(&row.sample).is_ok(), "{}: {:?}", row.method, (row.send)(&row.sample));
        let status = (row.send)(&[]).map(|_| ()).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{}", row.method);
        let paths = paths(&status);
        assert!(paths.iter().any(|path| path == "request_id"), "{}: {paths:?}", row.method);
    }
}

#[test]
fn every_field_of_every_write_is_part_of_its_fingerprint() {
    let methods = writes();
    for row in rows() {
        let (_, method) = methods.iter().find(|(name, _)| name == row.method).unwrap();
        let sample = DynamicMessage::decode(method.input(), row.sample.as_slice()).unwrap();
        let stored = (row.send)(&row.sample).unwrap().fingerprint.to_bytes();
        for field in method.input().fields() {
            // The key that a fingerprint is kept under.
            if matches!(field.name(), "program_id" | "request_id") {
                continue;
            }
            // Circumstances, which may be others when a request is sent again; and a hash without a key tells of people.
            if field.name() == "signals" {
                let Kind::Message(kind) = field.kind() else { panic!("{field:?}") };
                let bytes = prost::Message::encode_to_vec(&signals());
                let mut request = sample.clone();
                request.set_field(&field, Value::Message(DynamicMessage::decode(kind, bytes.as_slice()).unwrap()));
                let sent = (row.send)(&prost::Message::encode_to_vec(&request)).unwrap().fingerprint;
                assert_eq!(sent.to_bytes(), stored, "{}", row.method);
                continue;
            }
            let mut changed: Vec<DynamicMessage> = Vec::new();
            for other in others(&field, &sample.get_field(&field)) {
                let mut request = sample.clone();
                request.set_field(&field, other);
                changed.push(request);
            }
            let mut without = sample.clone();
            without.clear_field(&field);
            changed.push(without);
            let mut told = 0;
            let sent: Vec<Vec<u8>> = changed.iter().map(prost::Message::encode_to_vec).collect();
            for bytes in sent.iter().filter(|bytes| **bytes != row.sample) {
                let Ok(Write { fingerprint: sent, .. }) = (row.send)(bytes) else { continue };
                told += 1;
                assert_ne!(sent.to_bytes(), stored, "{}.{} is no part of it", row.method, field.name());
                assert_eq!(sent.first_difference(&stored), field.name(), "{}", row.method);
            }
            assert!(0 < told, "{}.{}: nothing else can stand there", row.method, field.name());
        }
    }
}

#[test]
fn f5_every_administrative_write_says_who_is_behind_it_and_no_other_does() {
    for row in rows() {
        let method = METHODS.iter().find(|method| method.name.ends_with(row.method)).unwrap();
        let expected =
            method.audited.then(|| Audit { principal: "development".into(), method: method.name, agent: None });
        let write = (row.send)(&row.sample).unwrap();
        assert_eq!(write.audit.as_deref(), expected.as_ref(), "{}", row.method);
        // Whoever acts stands in the request, in all of them that have a place for it.
        let has_place = row.method != "ReferralService/Attribute"
            && DynamicMessage::decode(input_of(row.method), row.sample.as_slice())
                .unwrap()
                .has_field_by_name("agent_id");
        assert_eq!(write.command.agent().is_some(), has_place, "{}", row.method);
        assert!(!has_place || method.audited, "{}", row.method);
    }
    // What a friend says is no decision of the staff; what an agent says in their place is.
    let said = |agent_id: &str| {
        let fake = Fake::that(Does::Fits);
        wait(wire::AttributeRequest { agent_id: agent_id.into(), ..attribute() }.send(routes(&fake))).unwrap();
        fake.last_write().audit.map(|audit| audit.method)
    };
    assert_eq!(said(""), None);
    assert_eq!(said("zoe"), Some("guerdon.v1.ReferralService/Attribute"));
}

fn input_of(name: &str) -> MessageDescriptor {
    writes().into_iter().find(|(known, _)| known == name).unwrap().1.input()
}
