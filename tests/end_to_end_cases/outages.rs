//! Redis goes away, hangs, comes back, and comes back older than it was.

use std::time::{Duration, Instant as Moment};

use guerdon::grpc::wire;
use guerdon::store::redis::{RedisSettings, RedisStore};
use tokio::task::JoinSet;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::redis::RedisServer;
use crate::support::server::*;

/// A server that gives up on Redis as fast as a real one.
async fn serve_impatient(world: &RedisWorld) -> Server {
    let settings = RedisSettings::new(world.server.url());
    let store = std::sync::Arc::new(RedisStore::connect(settings, layout()).unwrap());
    Server::start(store, world.clock(), options()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_calls_fail_fast_and_it_recovers_without_a_restart() {
    let mut world = RedisWorld::on(RedisServer::start_durable());
    let server = serve_impatient(&world).await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&commit("mia", "c1", order("o1", 1_000))).await;
    world.server.kill();

    let write = commit("mia", "c2", order("o2", 1_000));
    // The first may have been sent on a connection that was being lost; from then on nothing is sent.
    let first = clients.try_send(&write).await.unwrap_err();
    assert_eq!(first.code(), Code::Unavailable);
    for _ in 0..5 {
        let asked = Moment::now();
        let status = clients.try_send(&write).await.unwrap_err();
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
        assert_eq!((status.code(), reason(&status).0.as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
        assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
        let quote = wire::QuoteRequest { order: Some(order("o9", 100)), ..Default::default() };
        let quoted = clients.checkout.clone().quote(quote).await;
        assert!(quoted.is_ok(), "a guest's quote needs no store: {quoted:?}");
        let status = clients
            .member
            .clone()
            .get_member(wire::GetMemberRequest { member_id: "mia".into(), ..Default::default() })
            .await
            .unwrap_err();
        assert_eq!(reason(&status).0, "STORE_UNAVAILABLE");
    }
    world.server.restart();
    let answer = clients.send_until_answered(&write).await.commit();
    assert_eq!(answer.status(), wire::CommitStatus::Committed);
    assert_eq!(available(&answer.balances), 120);
    clients.verify("mia").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_leaves_the_outcome_unknown_and_a_resend_settles_it() {
    let world = RedisWorld::on(RedisServer::start());
    let server = serve_impatient(&world).await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    world.server.stop();
    let write = commit("mia", "c1", order("o1", 1_000));
    let asked = Moment::now();
    let status = clients.try_send(&write).await.unwrap_err();
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!((status.code(), reason(&status).0.as_str()), (Code::Unavailable, "OUTCOME_UNKNOWN"));
    world.server.cont();
    let answer = clients.send_until_answered(&write).await.commit();
    assert_eq!(answer.status(), wire::CommitStatus::Committed);
    assert_eq!(clients.available("mia").await, 110);
    clients.verify("mia").await;
}

fn member(n: usize) -> String {
    format!("m{n}")
}

/// Buys, pays with points, and now and then returns.
fn purchases(member: &str) -> Vec<Write> {
    let mut writes = vec![enroll(member)];
    for n in 0..12 {
        let id = format!("{member}-o{n}");
        writes.push(commit_with(member, &format!("c{n}"), order(&id, 1_500), Some(points(10 + n))));
        if n % 4 == 3 {
            writes.push(give_back(member, &format!("b{n}"), &id, "ret", everything()));
        }
    }
    writes
}

const MEMBERS: usize = 6;

async fn shop(servers: &[&Server]) {
    let mut tasks = JoinSet::new();
    for n in 0..MEMBERS {
        let clients = servers[n % servers.len()].clients.clone();
        tasks.spawn(async move {
            for write in purchases(&member(n)) {
                let answer = clients.send_until_answered(&write).await;
                assert_eq!(answer.refusals(), [], "{write:?}");
            }
        });
    }
    tasks.join_all().await;
}

async fn all_balances(clients: &Clients) -> Vec<Vec<wire::Balance>> {
    let mut all = Vec::new();
    for n in 0..MEMBERS {
        clients.verify(&member(n)).await;
        all.push(clients.member(&member(n)).await.balances);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_killed_under_load_changes_no_balance_when_it_writes_before_it_answers() {
    let undisturbed = MemoryWorld::start().serve().await;
    shop(&[&undisturbed]).await;

    let mut world = RedisWorld::on(RedisServer::start_durable());
    let (one, two) = (serve_impatient(&world).await, serve_impatient(&world).await);
    let shopping = async { shop(&[&one, &two]).await };
    let killing = async {
        for orders in [3, 25, 45] {
            eventually("some orders are committed", async || {
                world.server.try_command::<u64>(&["DBSIZE"]).unwrap_or(0) > 20 + 3 * orders
            })
            .await;
            world.server.kill();
            tokio::task::block_in_place(|| world.server.restart());
        }
    };
    tokio::join!(shopping, killing);
    assert_eq!(all_balances(&one.clients).await, all_balances(&undisturbed.clients).await);
    // Whatever is sent again now was answered before.
    for n in 0..MEMBERS {
        for write in purchases(&member(n)) {
            assert!(two.clients.send(&write).await.replayed(), "{write:?}");
        }
    }
}

/// An instance that still knows what Redis has lost must not write on top of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_restored_to_an_older_state_is_written_to_only_on_what_is_there() {
    let mut world = RedisWorld::on(RedisServer::start());
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&commit("mia", "c1", order("o1", 1_000))).await;
    let _: String = world.server.command(&["SAVE"]);
    let lost = [commit("mia", "c2", order("o2", 2_000)), commit_with("mia", "c3", order("o3", 500), Some(points(60)))];
    for write in &lost {
        clients.send(write).await;
    }
    assert_eq!(clients.available("mia").await, 110 + 20 - 60 + 5);
    let entries_known = clients.member("mia").await.entries;
    world.server.restart();

    // As many entries as were lost: the sequence alone would not tell the time lines apart.
    let mut answer = clients.send_until_answered(&commit("mia", "c4", order("o4", 300))).await.commit();
    assert_eq!(available(&answer.balances), 113, "decided on what is there");
    let mut n = 5;
    while clients.member("mia").await.entries < entries_known {
        answer = clients.send(&commit("mia", &format!("c{n}"), order(&format!("o{n}"), 300))).await.commit();
        n += 1;
        assert!(n < 20, "no end in sight");
    }
    assert_eq!(answer.status(), wire::CommitStatus::Committed);
    clients.verify("mia").await;

    // What was lost can be sent again, and then counts.
    let before = clients.available("mia").await;
    for write in &lost {
        let answer = clients.send(write).await;
        assert!(!answer.replayed());
        assert_eq!(answer.commit().status(), wire::CommitStatus::Committed);
    }
    assert_eq!(clients.available("mia").await, before + 20 - 60 + 5);
    clients.verify("mia").await;
}
