//! Members and what is known of them, over the wire.

use guerdon::grpc::wire;

use crate::support::server::*;

const DECLARED: &str = "attributes: {plan: text, children: int}\n";

pub(crate) async fn a_profile_is_set_changed_shown_and_verified<W: World>() {
    let world = W::start();
    let server = world.serve_with(DECLARED).await;
    let clients = &server.clients;
    let first = wire::ProfileChange {
        set_attributes: vec![text_attribute("plan", "gold"), text_attribute("children", "two")],
        add_tags: vec!["vip".into()],
        birthday: Some(wire::Birthday { month: 2, day: 29, year: 0 }),
        time_zone: "Europe/Berlin".into(),
        ..Default::default()
    };
    let enroll = Write::Enroll(wire::EnrollRequest {
        member_id: "mia".into(),
        request_id: "enroll".into(),
        profile: Some(first),
        ..Default::default()
    });
    let answer = clients.send(&enroll).await;
    assert_eq!(answer.refusals(), [wire::RefusalReason::AttributeType]);
    assert!(answer.enroll().enrolled);
    let member = clients.member("mia").await;
    assert_eq!((member.role(), member.account_kind()), (wire::Role::Owner, wire::AccountKind::Person));
    let profile = member.profile.unwrap();
    assert_eq!(profile.attributes, [text_attribute("plan", "gold")]);
    assert_eq!((profile.tags, profile.time_zone.as_str()), (vec!["vip".to_owned()], "Europe/Berlin"));
    assert_eq!(profile.birthday, Some(wire::Birthday { month: 2, day: 29, year: 0 }));

    let wrong = wire::ProfileChange {
        set_attributes: vec![text_attribute("plan", "basic"), text_attribute("pet", "cat")],
        ..Default::default()
    };
    let answer = clients.send(&update("mia", "u1", wrong)).await;
    assert_eq!(answer.refusals(), [wire::RefusalReason::AttributeUnknown]);
    let refusal = &answer.clone().update_member().decision.unwrap().refusals[0];
    assert_eq!((refusal.subject(), refusal.subject_id.as_str()), (wire::Subject::Attribute, "pet"));
    assert!(!answer.update_member().updated);
    assert_eq!(clients.member("mia").await.profile.unwrap().attributes, [text_attribute("plan", "gold")]);

    let change = wire::ProfileChange { clear_birthday: true, remove_tags: vec!["vip".into()], ..Default::default() };
    let write = update("mia", "u2", change);
    let answer = clients.send(&write).await;
    assert!(answer.clone().update_member().updated);
    assert_eq!(clients.send(&write).await, answer.as_replayed());
    let profile = clients.member("mia").await.profile.unwrap();
    assert_eq!((profile.birthday, profile.tags.len()), (None, 0));
    clients.verify("mia").await;
    let ledger = clients.entries("mia", 100).await;
    assert_eq!(ledger.last().unwrap().fact, "profile_changed");
    let told: String = ledger.iter().map(|entry| entry.detail_json.as_str()).collect();
    assert!(!told.contains("gold") && !told.contains("Berlin"), "{told}");
    // Nobody of that name: not remembered.
    let nobody = update("ben", "u1", wire::ProfileChange { add_tags: vec!["x".into()], ..Default::default() });
    assert_eq!(clients.send(&nobody).await.refusals(), [wire::RefusalReason::MemberUnknown]);
}
