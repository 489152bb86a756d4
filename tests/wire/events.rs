//! Events over the wire: what is malformed, what arrives, and what makes two requests differ.

use guerdon::domain::account::AttributeValue;
use guerdon::domain::command::{Command, Verdict};
use guerdon::grpc::wire;

use super::kit::*;

fn faults(request: impl Rpc) -> Vec<String> {
    let fake = Fake::that(Does::Fits);
    match wait(request.send(routes(&fake))) {
        Ok(_) => Vec::new(),
        Err(status) => paths(&status),
    }
}

#[test]
fn a_malformed_event_is_told_field_by_field() {
    let record = |change: fn(&mut wire::RecordEventRequest)| {
        let mut request = record_event();
        change(&mut request);
        faults(request)
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(record(|_| {}), none);
    for (found, expected) in [
        (record(|r| r.event_id.clear()), "event_id"),
        (record(|r| r.event_type.clear()), "event_type"),
        (record(|r| r.value = Some(-1)), "value"),
        (record(|r| r.proof_id = "x".repeat(257)), "proof_id"),
        (record(|r| r.attributes[0].value = None), "attributes[0].value"),
        (record(|r| r.recipient_member_id = "no id".into()), "recipient_member_id"),
    ] {
        assert_eq!(found, [expected]);
    }
    let empty = faults(wire::RecordEventRequest::default());
    assert_eq!(empty, ["member_id", "request_id", "event_id", "event_type"]);
    let empty = faults(wire::ReviewEventRequest::default());
    assert_eq!(empty, ["member_id", "request_id", "event_id", "verdict", "agent_id"]);
    assert_eq!(faults(wire::RevokeEventRequest::default()), ["member_id", "request_id", "event_id", "agent_id"]);
}

#[test]
fn an_event_arrives_as_it_was_sent() {
    let fake = Fake::that(Does::Fits);
    wait(record_event().send(routes(&fake))).unwrap();
    let Command::RecordEvent(record) = fake.last_write().command else { panic!("another command") };
    assert_eq!((record.event.as_str(), record.kind.as_str(), record.value), ("post-9", "post", Some(3)));
    assert_eq!(record.proof.as_deref(), Some("https://example.com/9"));
    assert_eq!(record.recipient.as_ref().map(|recipient| recipient.as_str()), Some("leo"));
    let first = &record.attributes[0];
    assert!(matches!(first.1, AttributeValue::Text(_) | AttributeValue::Int(_) | AttributeValue::Bool(_)), "{first:?}");
    wait(review_event().send(routes(&fake))).unwrap();
    let Command::ReviewEvent(review) = fake.last_write().command else { panic!("another command") };
    assert_eq!((review.verdict, review.agent.as_str()), (Verdict::Approve, "agent-7"));
    wait(revoke_event().send(routes(&fake))).unwrap();
    let Command::RevokeEvent(revoke) = fake.last_write().command else { panic!("another command") };
    assert_eq!(revoke.event.as_str(), "post-9");
}

#[test]
fn every_field_of_an_event_makes_another_request() {
    let print = |request: wire::RecordEventRequest| {
        let fake = Fake::that(Does::Fits);
        wait(request.send(routes(&fake))).unwrap();
        fake.last_write().fingerprint
    };
    let first = print(record_event());
    let again = wire::RecordEventRequest { request_id: "r-2".into(), program_id: String::new(), ..record_event() };
    assert_eq!(print(again), first);
    for (field, request) in [
        ("member_id", wire::RecordEventRequest { member_id: "ben".into(), ..record_event() }),
        ("event_id", wire::RecordEventRequest { event_id: "post-8".into(), ..record_event() }),
        ("event_type", wire::RecordEventRequest { event_type: "share".into(), ..record_event() }),
        ("value", wire::RecordEventRequest { value: Some(0), ..record_event() }),
        ("attributes", wire::RecordEventRequest { attributes: Vec::new(), ..record_event() }),
        ("proof_id", wire::RecordEventRequest { proof_id: String::new(), ..record_event() }),
        ("occurred_at", wire::RecordEventRequest { occurred_at: None, ..record_event() }),
        ("recipient_member_id", wire::RecordEventRequest { recipient_member_id: "ann".into(), ..record_event() }),
    ] {
        let other = print(request);
        assert_eq!(other.first_difference(&first.to_bytes()), field);
    }
}
