//! Occasions that come by themselves, and notices of them, on every store.

use guerdon::domain::time::Instant;
use guerdon::grpc::wire;
use guerdon::service::Calls;

use crate::support::server::*;

/// The club with a birthday present.
fn program() -> String {
    let rule = "
  - id: cake-day
    kind: emotional
    on: birthday
    occasion: {notice: 7 days}
    then: {bonus: {units: 50}}
pay_with:";
    PROGRAM.replace("\npay_with:", rule)
}

async fn serve<W: World>(world: &W) -> Server {
    Server::start_idle_with(world.store(), world.clock(), options(), &program()).await
}

async fn notices(server: &Server, after_position: i64, page_size: i32) -> Vec<wire::Notice> {
    let request = wire::ListNoticesRequest { after_position, page_size, ..Default::default() };
    server.clients.ledger.clone().list_notices(request).await.unwrap().into_inner().notices
}

async fn born(server: &Server, member: &str, month: i32, day: i32) {
    let profile =
        Some(wire::ProfileChange { birthday: Some(wire::Birthday { month, day, year: 0 }), ..Default::default() });
    let request =
        wire::EnrollRequest { member_id: member.into(), request_id: "enroll".into(), profile, ..Default::default() };
    assert!(server.clients.send(&Write::Enroll(request)).await.enroll().enrolled);
}

pub(crate) async fn a9_birthdays_come_without_a_call_and_are_announced_once<W: World>() {
    let world = W::start();
    let (one, two) = (serve(&world).await, serve(&world).await);
    // The tests begin on the first of June.
    for (member, day) in [("mia", 10), ("leo", 12), ("ann", 30)] {
        born(&one, member, 6, day).await;
    }
    assert!(notices(&one, 0, 0).await.is_empty());
    for day in 1..=20 {
        let at = Instant(BEGIN.0 + day * DAY_MS);
        world.clock().set(at);
        // Both sweep and relay: what one has done the other leaves.
        one.service.end_day(at).await.unwrap();
        two.service.end_day(at).await.unwrap();
    }
    one.service.end_day(world.clock().now(None)).await.unwrap();
    let found = notices(&two, 0, 0).await;
    let told: Vec<(i64, &str, &str)> =
        found.iter().map(|notice| (notice.position, notice.member_id.as_str(), notice.rule_id.as_str())).collect();
    assert_eq!(told, [(1, "mia", "cake-day"), (2, "leo", "cake-day")]);
    assert_eq!(found[0].noticed_at, Some(timestamp(Instant(BEGIN.0 + 2 * DAY_MS))));
    assert_eq!(found[0].occasion_at, Some(timestamp(Instant(BEGIN.0 + 9 * DAY_MS))));
    assert_eq!(notices(&one, 1, 1).await, found[1..], "read on from where one was");
    assert!(notices(&one, 2, 1).await.is_empty());
    for (member, points) in [("mia", 150), ("leo", 150), ("ann", 100)] {
        assert_eq!(one.clients.available(member).await, points, "{member}");
        one.clients.verify(member).await;
    }
    let facts: Vec<String> = one.clients.entries("mia", 500).await.into_iter().map(|entry| entry.fact).collect();
    assert_eq!(facts.iter().filter(|fact| *fact == "occurred").count(), 1, "posted by the sweeper: {facts:?}");
    world.clock().set(Instant(BEGIN.0 + 23 * DAY_MS));
    one.service.end_day(world.clock().now(None)).await.unwrap();
    one.service.end_day(world.clock().now(None)).await.unwrap();
    let third = notices(&one, 2, 10).await;
    assert_eq!(third.iter().map(|notice| notice.member_id.as_str()).collect::<Vec<_>>(), ["ann"]);
}

pub(crate) async fn a9_the_first_occasion_of_a_program_reaches_who_sleeps<W: World>() {
    let world = W::start();
    let one = world.serve_with("").await;
    one.clients.enroll("mia").await;
    world.clock().set(Instant(BEGIN.0 + 1_000));
    let rule = "
  - {id: miss-you, kind: emotional, on: inactivity, inactive_for: 40 days, then: {bonus: {units: 20}}}
pay_with:";
    let text = PROGRAM.replace("\npay_with:", rule);
    let two = Server::start_idle_with(world.store(), world.clock(), options(), &text).await;
    // Within four weeks she is looked at, and from then on what comes is known.
    for day in [28, 41] {
        world.clock().set(Instant(BEGIN.0 + day * DAY_MS));
        two.service.end_day(world.clock().now(None)).await.unwrap();
    }
    let facts: Vec<String> = two.clients.entries("mia", 500).await.into_iter().map(|entry| entry.fact).collect();
    assert!(facts.contains(&"occurred".to_owned()), "{facts:?}");
    two.clients.verify("mia").await;
}
