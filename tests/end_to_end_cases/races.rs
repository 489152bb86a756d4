//! Many at once, on one instance and on two.

use std::sync::atomic::Ordering;

use guerdon::grpc::wire;
use tokio::task::JoinSet;

use crate::support::server::*;

/// Sends all of it at once, in turn over the servers.
async fn all_at_once(servers: &[&Server], writes: Vec<Write>) -> Vec<Answer> {
    let mut tasks = JoinSet::new();
    for (at, write) in writes.into_iter().enumerate() {
        let clients = servers[at % servers.len()].clients.clone();
        tasks.spawn(async move { clients.send_until_answered(&write).await });
    }
    tasks.join_all().await
}

pub(crate) async fn c13_two_hundred_reserves_on_a_balance_for_fifty_hold_fifty<W: World>() {
    let world = W::start();
    let (one, two) = (world.serve_idle().await, world.serve_idle().await);
    one.clients.enroll_with("mia", 50 * 50).await;
    let writes =
        (0..200).map(|n| reserve("mia", &format!("r{n}"), order(&format!("o{n}"), 5_000), points(50))).collect();
    let answers = all_at_once(&[&one, &two], writes).await;
    let (held, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|a| a.clone().reserve().reserved);
    assert_eq!(held.len(), 50);
    assert!(refused.iter().all(|answer| answer.refusals() == [wire::RefusalReason::BalanceTooLow]));
    let member = two.clients.member("mia").await;
    let points = of_unit(&member.balances, "points").unwrap();
    assert_eq!((points.available, points.held, member.holds.len()), (0, 2_500, 50));
    one.clients.verify("mia").await;
}

pub(crate) async fn c13_two_hundred_checkouts_spend_no_more_than_there_is<W: World>() {
    let world = W::start();
    let (one, two) = (world.serve_idle().await, world.serve_idle().await);
    one.clients.enroll_with("mia", 50 * 10).await;
    // Ten cents each, paid whole, which earns nothing.
    let writes =
        (0..200).map(|n| commit_with("mia", &format!("c{n}"), order(&format!("o{n}"), 10), Some(points(10)))).collect();
    let answers = all_at_once(&[&one, &two], writes).await;
    let (paid, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|a| a.clone().commit().status() == wire::CommitStatus::Committed);
    assert_eq!(paid.len(), 50);
    assert!(refused.iter().all(|answer| answer.refusals() == [wire::RefusalReason::BalanceTooLow]));
    let member = two.clients.member("mia").await;
    assert_eq!((available(&member.balances), member.orders), (0, 50));
    assert_eq!(one.clients.verify("mia").await.orders, 50);
}

pub(crate) async fn c13_parallel_commits_of_one_member_are_all_served_and_none_told_to_retry<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    server.clients.enroll("mia").await;
    let mut tasks = JoinSet::new();
    for n in 0..64 {
        let clients = server.clients.clone();
        let write = commit("mia", &format!("c{n}"), order(&format!("o{n}"), 1_000));
        tasks.spawn(async move { clients.try_send(&write).await });
    }
    for answer in tasks.join_all().await {
        assert_eq!(answer.expect("no status").commit().status(), wire::CommitStatus::Committed);
    }
    assert_eq!(server.clients.available("mia").await, 100 + 64 * 10);
    assert_eq!(server.counts.conflicts.load(Ordering::Relaxed), 0, "in order, each on what the one before left");
    server.clients.verify("mia").await;
}

pub(crate) async fn two_instances_with_stale_caches_decide_again_on_what_is_there<W: World>() {
    let world = W::start();
    let (one, two) = (world.serve_idle().await, world.serve_idle().await);
    one.clients.enroll("mia").await;
    for n in 0..20 {
        let clients = if n % 2 == 0 { &one.clients } else { &two.clients };
        // Each spends what the other has just granted.
        let spend = if n == 0 { 100 } else { 10 };
        let write = commit_with("mia", &format!("c{n}"), order(&format!("o{n}"), 1_000), Some(points(spend)));
        let committed = clients.try_send(&write).await.expect("no status").commit();
        assert_eq!(committed.status(), wire::CommitStatus::Committed, "order {n}");
        assert_eq!(available(&committed.balances), 10);
    }
    let conflicts = [&one, &two].map(|server| server.counts.conflicts.load(Ordering::Relaxed));
    assert_eq!(conflicts.iter().sum::<u64>(), 18, "each write but the first two, which began without a cache");
    one.clients.verify("mia").await;
}

pub(crate) async fn one_request_sent_by_many_at_once_happens_once<W: World>() {
    let world = W::start();
    let (one, two) = (world.serve_idle().await, world.serve_idle().await);
    one.clients.enroll("mia").await;
    let write = commit_with("mia", "c1", order("o1", 2_000), Some(points(30)));
    let answers = all_at_once(&[&one, &two], vec![write; 40]).await;
    assert_eq!(answers.iter().filter(|answer| !answer.replayed()).count(), 1);
    assert!(answers.iter().all(|answer| answer.as_first() == answers[0].as_first()));
    assert_eq!(one.clients.available("mia").await, 90);
}

pub(crate) async fn a_code_wished_for_by_many_belongs_to_one<W: World>() {
    let world = W::start();
    let (one, two) = (world.serve_idle().await, world.serve_idle().await);
    let members: Vec<String> = (0..10).map(|n| format!("m{n}")).collect();
    for member in &members {
        one.clients.enroll(member).await;
    }
    let writes = members.iter().map(|member| {
        Write::CreateCode(wire::CreateCodeRequest {
            member_id: member.clone(),
            request_id: "vanity".into(),
            vanity: "BAKERY".into(),
            ..Default::default()
        })
    });
    let answers = all_at_once(&[&one, &two], writes.collect()).await;
    assert_eq!(answers.iter().filter(|answer| (*answer).clone().create_code().created).count(), 1);
    let taken = answers.iter().filter(|answer| answer.refusals() == [wire::RefusalReason::CodeTaken]);
    assert_eq!(taken.count(), 9);
}
