//! What a call costs.

use crate::support::redis::RedisServer;
use crate::support::server::*;

pub(crate) async fn a_warm_commit_is_one_trip_and_a_cold_one_two<W: World>() {
    let world = W::start();
    let (server, cold) = (world.serve_idle().await, world.serve_idle().await);
    let clients = &server.clients;
    clients.enroll("mia").await;
    for (n, expected) in [(0, 1), (1, 1), (2, 1)] {
        let before = server.service.store().trips();
        clients.send(&commit_with("mia", &format!("c{n}"), order(&format!("o{n}"), 900), Some(points(5)))).await;
        assert_eq!(server.service.store().trips() - before, expected, "commit {n}");
    }
    let before = cold.service.store().trips();
    cold.clients.send(&commit("mia", "c9", order("o9", 900))).await;
    assert_eq!(cold.service.store().trips() - before, 2, "it has never seen the member");
    // The first has been overtaken: it learns so, and decides again on what the conflict told.
    let before = server.service.store().trips();
    clients.send(&commit("mia", "c10", order("o10", 900))).await;
    assert_eq!(server.service.store().trips() - before, 2);
    // Holding and releasing are as cheap.
    for write in
        [reserve("mia", "r1", order("o11", 900), points(5)), release("mia", "l1", "o11"), adjust("mia", "a1", 1)]
    {
        let before = server.service.store().trips();
        clients.send(&write).await;
        assert_eq!(server.service.store().trips() - before, 1, "{write:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_commit_is_one_evalsha_on_redis() {
    let world = RedisWorld::on(RedisServer::start());
    let server = world.serve_idle().await;
    server.clients.enroll("mia").await;
    server.clients.send(&commit("mia", "c1", order("o1", 900))).await;
    let mut monitor = world.server.monitor();
    server.clients.send(&commit("mia", "c2", order("o2", 900))).await;
    let _: String = world.server.command(&["ECHO", "the-end"]);
    let mut called = Vec::new();
    loop {
        let (by_script, words) = monitor.next_command();
        if words.iter().any(|word| word == "the-end") {
            break;
        }
        // What the test's own connection says when it is made is not the service's.
        if !by_script && !words[0].eq_ignore_ascii_case("client") {
            called.push(words[0].to_uppercase());
        }
        assert!(called.len() < 100, "no end in sight");
    }
    assert_eq!(called, ["EVALSHA"]);
    assert_eq!(server.service.store().name(), "redis");
}
