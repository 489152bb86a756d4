//! Limits over all members: never exceeded, and the last unit can be had.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use guerdon::domain::time::SECOND_MS;
use guerdon::grpc::wire;
use guerdon::service::Calls;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::faulty::{Fault, FaultyStore};
use crate::support::server::*;

const AGENT: &str = "
adjustments:
  units:
    points: {agent_day_units_max: 40, units_max: 25}
";

fn pass(world: &impl World, ms: i64) {
    world.clock().set(world.clock().now(None).plus_ms(ms));
}

async fn limited<W: World>(world: &W, sections: &str) -> (Arc<FaultyStore>, Server) {
    let store = FaultyStore::new(world.store());
    let program = format!("{PROGRAM}{sections}");
    let server = Server::start_idle_with(store.clone(), world.clock(), options(), &program).await;
    (store, server)
}

async fn enrol_all(server: &Server, members: usize) -> Vec<String> {
    let members: Vec<String> = (0..members).map(|n| format!("m{n}")).collect();
    for member in &members {
        server.clients.enroll(member).await;
    }
    members
}

pub(crate) async fn a13_global_many_at_once_are_granted_what_there_is_and_no_more<W: World>() {
    let world = W::start();
    let (one, two) = (world.serve_with(AGENT).await, world.serve_with(AGENT).await);
    let members = enrol_all(&one, 64).await;
    let mut tasks = JoinSet::new();
    for (n, member) in members.iter().enumerate() {
        let clients = [&one, &two][n % 2].clients.clone();
        let write = adjust(member, "a", 1);
        tasks.spawn(async move { clients.send_until_answered(&write).await });
    }
    let answers = tasks.join_all().await;
    let granted = answers.iter().filter(|answer| (*answer).clone().adjust().adjusted).count();
    assert_eq!(granted, 40, "all that there is, the last one too");
    let refused = answers.iter().filter(|answer| answer.refusals() == [wire::RefusalReason::AgentLimit]);
    assert_eq!(refused.count(), 24);
    let mut credited = 0;
    for member in &members {
        credited += one.clients.available(member).await - 100;
        one.clients.verify(member).await;
    }
    assert_eq!(credited, 40);
    pass(&world, DAY_MS);
    assert!(two.clients.send(&adjust("m0", "tomorrow", 25)).await.adjust().adjusted, "a day has a limit of its own");
}

pub(crate) async fn a13_global_a_resend_uses_what_its_first_attempt_has_claimed<W: World>() {
    let world = W::start();
    let (store, server) = limited(&world, AGENT).await;
    enrol_all(&server, 3).await;
    // The claim is made; what would use it is lost.
    store.plan(|commit| if commit.receipts.is_empty() { Fault::None } else { Fault::LoseRequest });
    let write = adjust("m0", "a", 25);
    assert!(server.clients.try_send(&write).await.is_err());
    store.plan(|_| Fault::None);
    let refused = server.clients.send(&adjust("m1", "b", 16)).await;
    assert_eq!(refused.refusals(), [wire::RefusalReason::AgentLimit]);
    let refusal = refused.adjust().decision.unwrap().refusals.remove(0);
    assert_eq!((refusal.required, refusal.available), (Some(16), Some(15)));
    assert!(server.clients.send(&write).await.adjust().adjusted);
    assert!(server.clients.send(&write).await.replayed());
    assert!(server.clients.send(&adjust("m2", "c", 15)).await.adjust().adjusted, "claimed once, however often sent");
    let refused = server.clients.send(&adjust("m1", "d", 1)).await;
    assert_eq!(refused.refusals(), [wire::RefusalReason::AgentLimit]);
}

pub(crate) async fn a13_global_what_a_dead_write_has_claimed_comes_back_once<W: World>() {
    let world = W::start();
    let (store, server) = limited(&world, AGENT).await;
    enrol_all(&server, 3).await;
    store.plan(|commit| if commit.receipts.is_empty() { Fault::None } else { Fault::LoseRequest });
    let lost = adjust("m0", "lost", 25);
    assert!(server.clients.try_send(&lost).await.is_err());
    // It is applied, and nobody learns of it: its claim stays open.
    store.plan(|commit| if commit.receipts.is_empty() { Fault::None } else { Fault::LoseAnswer });
    let applied = adjust("m1", "applied", 10);
    server.clients.try_send(&applied).await.ok();
    store.plan(|_| Fault::None);
    assert_eq!(server.clients.available("m1").await, 110);
    pass(&world, 61 * SECOND_MS);
    for _ in 0..2 {
        server.service.end_day(world.clock().now(None)).await.unwrap();
    }
    assert!(server.clients.send(&adjust("m2", "back", 25)).await.adjust().adjusted);
    let refused = server.clients.send(&adjust("m2", "more", 6)).await.adjust().decision.unwrap().refusals.remove(0);
    assert_eq!((refused.required, refused.available), (Some(6), Some(5)), "25 of 40 came back, 10 are used for good");
    // The lost one comes after all, and takes its chance like any other.
    assert_eq!(server.clients.send(&lost).await.refusals(), [wire::RefusalReason::AgentLimit]);
    assert!(server.clients.send(&adjust("m0", "rest", 5)).await.adjust().adjusted);
}

pub(crate) async fn a13_global_a_write_that_was_taken_for_dead_claims_anew<W: World>() {
    let world = W::start();
    let (store, server) = limited(&world, AGENT).await;
    enrol_all(&server, 2).await;
    let (gate, waiting) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicBool::new(false)));
    let (held, seen) = (gate.clone(), waiting.clone());
    // The request's own receipt, and the mark of its claim.
    store.plan(move |commit| {
        if commit.receipts.len() < 2 {
            return Fault::None;
        }
        seen.store(true, Ordering::Release);
        Fault::Wait(held.clone())
    });
    let clients = server.clients.clone();
    let mut slow = JoinSet::new();
    slow.spawn(async move { clients.send(&adjust("m0", "slow", 25)).await });
    eventually("it has claimed", async || waiting.load(Ordering::Acquire)).await;
    pass(&world, 61 * SECOND_MS);
    server.service.end_day(world.clock().now(None)).await.unwrap();
    store.plan(|_| Fault::None);
    // What it had claimed is there for others now.
    assert!(server.clients.send(&adjust("m1", "fast", 25)).await.adjust().adjusted);
    gate.add_permits(8);
    let answer = slow.join_next().await.unwrap().unwrap();
    assert_eq!(answer.refusals(), [wire::RefusalReason::AgentLimit], "15 are left, not what it had claimed");
    assert_eq!(server.clients.available("m0").await, 100);
}

pub(crate) async fn a13_global_a_capacity_changed_by_a_new_version_counts_what_was_granted<W: World>() {
    let world = W::start();
    let sections = |max: i64| format!("\nadjustments:\n  units:\n    points: {{agent_day_units_max: {max}}}\n");
    let one = world.serve_with(&sections(40)).await;
    enrol_all(&one, 1).await;
    assert!(one.clients.send(&adjust("m0", "a", 30)).await.adjust().adjusted);
    let left = async |server: &Server, request: &str| {
        let refused = server.clients.send(&adjust("m0", request, 1_000)).await.adjust();
        refused.decision.unwrap().refusals.remove(0).available
    };
    for (n, (max, expected)) in [(100, 70), (35, 5), (20, 0), (31, 1)].into_iter().enumerate() {
        pass(&world, SECOND_MS);
        let server = world.serve_with(&sections(max)).await;
        pass(&world, SECOND_MS);
        assert_eq!(left(&server, &format!("r{n}")).await, Some(expected), "of {max}");
    }
}

pub(crate) async fn b7_what_makes_up_for_an_order_is_given_once_and_shown_with_it<W: World>() {
    let world = W::start();
    let (one, two) = (world.serve_idle().await, world.serve_idle().await);
    one.clients.enroll("mia").await;
    one.clients.send(&commit("mia", "c1", order("o1", 1_000))).await;
    assert_eq!(one.clients.order("mia", "o1").await.recovery, None);
    let mut tasks = JoinSet::new();
    for n in 0..16 {
        let clients = [&one, &two][n % 2].clients.clone();
        let write = Write::Adjust(wire::AdjustRequest {
            member_id: "mia".into(),
            request_id: format!("sorry-{n}"),
            amount: 30,
            reason: wire::AdjustReason::ServiceRecovery.into(),
            agent_id: "agent-1".into(),
            order_id: "o1".into(),
            ..Default::default()
        });
        tasks.spawn(async move { clients.send_until_answered(&write).await });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| (*answer).clone().adjust().adjusted).count(), 1);
    let refused = answers.iter().filter(|answer| answer.refusals() == [wire::RefusalReason::AlreadyRecovered]);
    assert_eq!(refused.count(), 15);
    let recovery = two.clients.order("mia", "o1").await.recovery.unwrap();
    assert_eq!((recovery.unit.as_str(), recovery.amount, recovery.agent_id.as_str()), ("points", 30, "agent-1"));
    assert_eq!(recovery.given_at, Some(timestamp(BEGIN)));
    assert_eq!(one.clients.available("mia").await, 140);
    one.clients.verify("mia").await;
}
