//! The relay and the sweeper, which nobody calls.

use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use guerdon::domain::command::{Outgoing, Transfer};
use guerdon::domain::id::{AccountId, MemberId, ProgramId};
use guerdon::domain::ledger::{decode, encode};
use guerdon::domain::time::Instant;
use guerdon::service::Calls;
use guerdon::store::{Commit, DueItem, FeedItem, Outcome, Partition, Store};

use crate::support::faulty::{Fault, FaultyStore};
use crate::support::server::*;

fn partition_of(member: &str) -> Partition {
    let (program, account) = (ProgramId::parse("club").unwrap(), AccountId::parse(member).unwrap());
    layout().of_account(&program, &account)
}

async fn feed(store: &dyn Store, member: &str) -> Vec<FeedItem> {
    store.feed(partition_of(member), 100).await.unwrap()
}

/// Effects for other accounts alone: what boards, trees and figures are told lies on the feed beside them.
async fn effects(store: &dyn Store, member: &str) -> Vec<FeedItem> {
    let is_transfer =
        |item: &FeedItem| matches!(decode::<(ProgramId, Outgoing)>(&item.body), Ok((_, Outgoing::Transfer(_))));
    feed(store, member).await.into_iter().filter(is_transfer).collect()
}

async fn facts(clients: &Clients, member: &str) -> Vec<String> {
    clients.entries(member, 500).await.into_iter().map(|entry| entry.fact).collect()
}

/// Ann brings Ben, who qualifies with order `o1`.
async fn refer(clients: &Clients) {
    clients.enroll("ann").await;
    let code = clients.code_of("ann").await;
    clients.enroll("ben").await;
    clients.send(&attribute("ben", "attribute", &code)).await;
    clients.send(&commit("ben", "c1", order("o1", 2_000))).await;
}

pub(crate) async fn a_reservation_lapses_and_points_expire_without_a_call<W: World>() {
    let world = W::start();
    let server = world.serve().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&reserve("mia", "r1", order("o1", 900), points(40))).await;
    world.clock().set(Instant(BEGIN.0 + 15 * 60 * 1_000 - 1));
    assert_eq!(clients.available("mia").await, 60, "a millisecond before it is held");
    assert!(!facts(clients, "mia").await.contains(&"unheld".to_owned()));

    // What is read does not wait for the sweeper, and is what the sweeper posts.
    world.clock().set(Instant(BEGIN.0 + 15 * 60 * 1_000));
    assert_eq!(clients.available("mia").await, 100);
    eventually("the reservation lapses", async || facts(clients, "mia").await.contains(&"unheld".to_owned())).await;
    world.clock().set(Instant(BEGIN.0 + 60 * DAY_MS));
    assert_eq!(clients.available("mia").await, 0);
    eventually("the points expire", async || facts(clients, "mia").await.contains(&"expired".to_owned())).await;
    eventually("both sweeps are counted", async || 2 <= server.counts.swept.load(Ordering::Relaxed)).await;
    assert_eq!(facts(clients, "mia").await, ["enrolled", "granted", "held", "unheld", "expired"]);
    clients.verify("mia").await;
}

pub(crate) async fn without_the_sweeper_the_answers_are_the_same<W: World>() {
    let mut told = Vec::new();
    for sweeps in [true, false] {
        let world = W::start();
        let server = if sweeps { world.serve().await } else { world.serve_idle().await };
        let clients = &server.clients;
        clients.enroll("mia").await;
        clients.send(&commit("mia", "c1", order("o1", 5_000))).await;
        clients.send(&reserve("mia", "r1", order("o2", 900), points(40))).await;
        world.clock().set(Instant(BEGIN.0 + 20 * DAY_MS));
        if sweeps {
            eventually("the sweep", async || facts(clients, "mia").await.contains(&"unheld".to_owned())).await;
        }
        let second = clients.send(&commit("mia", "c2", order("o2", 900))).await;
        world.clock().set(Instant(BEGIN.0 + 61 * DAY_MS));
        if sweeps {
            eventually("the sweep", async || facts(clients, "mia").await.contains(&"expired".to_owned())).await;
        }
        let third = clients.send(&commit_with("mia", "c3", order("o3", 900), Some(points(9)))).await;
        let back = clients.send(&give_back("mia", "b1", "o1", "ret", everything())).await;
        let ledger: Vec<_> = clients
            .entries("mia", 500)
            .await
            .into_iter()
            .map(|entry| (entry.fact, entry.effective_at, entry.postings))
            .collect();
        told.push((second, third, back, clients.member("mia").await.balances, ledger));
        clients.verify("mia").await;
    }
    assert_eq!(told[0], told[1]);
}

/// The sweeper once took an account off the index when a call had brought it up to date in between, and with it the
/// next instant at which something falls due.
pub(crate) async fn a_sweep_keeps_the_due_time_that_a_call_has_set<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let server = Server::start(store.clone(), world.clock(), options()).await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&reserve("mia", "r1", order("o1", 900), points(40))).await;
    store.show_due(DueItem { partition: partition_of("mia"), subject: "club|mia".into(), at_ms: BEGIN.0 });
    eventually("a sweep sees it", async || store.has_shown_due()).await;
    // The next sweep comes only when the one that saw it is over.
    store.show_due(DueItem { partition: partition_of("leo"), subject: "club|leo".into(), at_ms: BEGIN.0 });
    eventually("another sweep", async || store.has_shown_due()).await;
    world.clock().set(Instant(BEGIN.0 + 15 * 60 * 1_000));
    eventually("the reservation lapses", async || facts(clients, "mia").await.contains(&"unheld".to_owned())).await;
}

pub(crate) async fn an_effect_counts_once_though_the_relay_stops_before_it_says_so<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let mut failures = 3;
    store.plan(move |commit: &Commit| {
        if commit.feed_done.is_empty() || failures == 0 {
            return Fault::None;
        }
        failures -= 1;
        if failures == 1 { Fault::LoseRequest } else { Fault::Away }
    });
    let server = Server::start(store.clone(), world.clock(), options()).await;
    refer(&server.clients).await;
    eventually("the feed is delivered", async || feed(&*store, "ben").await.is_empty()).await;
    assert!(4 <= server.counts.relayed.load(Ordering::Relaxed), "delivered again each time");
    assert_eq!(server.clients.available("ann").await, 350);
    assert_eq!(server.clients.member("ann").await.friends_qualified, 1);
    server.clients.verify("ann").await;
}

pub(crate) async fn effects_may_come_twice_and_in_any_order<W: World>() {
    // Which revisions arrive, in which order: the reward is 1, its claw-back 2.
    for (orders, received) in
        [(vec![1, 2], true), (vec![2, 1], false), (vec![1, 1, 2, 1, 2], true), (vec![2, 2, 1, 1], false)]
    {
        let world = W::start();
        let store = world.store();
        let idle = Server::start_idle(store.clone(), world.clock(), options()).await;
        refer(&idle.clients).await;
        idle.clients.send(&give_back("ben", "b1", "o1", "ret", everything())).await;
        let items = effects(&*store, "ben").await;
        assert_eq!(items.len(), 2);
        let change = Commit {
            partition: partition_of("ben"),
            feed: orders.iter().map(|revision| items[revision - 1].body.clone()).collect(),
            feed_done: items.iter().map(|item| item.position).collect(),
            ..Commit::default()
        };
        assert_eq!(store.commit(&change).await, Ok(Outcome::Applied));
        idle.service.start_jobs();
        eventually("the feed is delivered", async || feed(&*store, "ben").await.is_empty()).await;
        assert_eq!(idle.clients.available("ann").await, 100, "{orders:?}");
        assert_eq!(idle.clients.member("ann").await.friends_qualified, 0, "{orders:?}");
        let took_in = facts(&idle.clients, "ann").await.contains(&"received".to_owned());
        assert_eq!(took_in, received, "{orders:?}");
        idle.clients.verify("ann").await;
    }
}

/// An effect that found no account was once taken off the feed as if it had been delivered.
pub(crate) async fn an_effect_waits_for_its_account_and_blocks_no_other<W: World>() {
    let world = W::start();
    let store = world.store();
    let server = Server::start_idle(store.clone(), world.clock(), options()).await;
    let clients = &server.clients;
    refer(clients).await;
    let item = effects(&*store, "ben").await.remove(0);
    let (program, effect) = decode::<(ProgramId, Outgoing)>(&item.body).unwrap();
    let Outgoing::Transfer(transfer) = effect else { panic!("{effect:?}") };
    let to_zoe = Outgoing::Transfer(Transfer { target: AccountId::parse("zoe").unwrap(), ..transfer });
    let change = Commit {
        partition: item.partition,
        feed: vec![encode(&(&program, &to_zoe)), item.body],
        feed_done: vec![item.position],
        ..Commit::default()
    };
    assert_eq!(store.commit(&change).await, Ok(Outcome::Applied));
    server.service.start_jobs();
    eventually("the effect behind it is delivered", async || clients.available("ann").await == 350).await;
    // It is counted when the store has said so, and the two are delivered at the same time.
    eventually("it is counted", async || 1 <= server.counts.parked.load(Ordering::Relaxed)).await;
    eventually("it alone waits", async || feed(&*store, "ben").await.len() == 1).await;
    clients.enroll("zoe").await;
    // By the clock of the test it may be tried again.
    world.clock().set(Instant(BEGIN.0 + 600_000));
    eventually("it is delivered after all", async || clients.available("zoe").await == 350).await;
    eventually("the feed is empty", async || feed(&*store, "ben").await.is_empty()).await;
}

/// On the memory store nothing else is waited for.
pub(crate) async fn a_long_verification_lets_others_in() {
    let world = MemoryWorld::start();
    let server = world.serve_idle().await;
    server.clients.enroll("mia").await;
    for n in 0..200 {
        server.clients.send(&commit("mia", &format!("c{n}"), order(&format!("o{n}"), 1_000))).await;
    }
    let (program, member) = (ProgramId::parse("club").unwrap(), MemberId::parse("mia").unwrap());
    let mut verifying = std::pin::pin!(server.service.verify(&program, &member));
    let once = verifying.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(once.is_pending(), "it reads some 400 entries without standing back once");
    let verified = verifying.await.unwrap();
    assert!(verified.faults.is_empty() && 400 <= verified.entries, "{verified:?}");
}
