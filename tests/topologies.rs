//! What happens to the Redis store when its servers change places: a failover by a sentinel, one inside a cluster,
//! slots that move under load; and who is let in over TLS and by access rules.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod redis;
    pub(crate) mod topologies;
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use guerdon::store::redis::{Identity, RedisSettings, RedisStore, Tls};
use guerdon::store::{
    Commit, Delta, Error, Expected, Key, Layout, NewReceipt, Outcome, Partition, Receipt, Record, Store, Token, Write,
};

use self::support::redis::RedisServer;
use self::support::topologies::{Cluster, Sentinels, WAIT_MAX, until};

const PAUSE: Duration = Duration::from_millis(10);
const PARTITIONS: u16 = 16;

fn store(settings: RedisSettings) -> Arc<RedisStore> {
    let settings = RedisSettings { connect_timeout_ms: 500, response_timeout_ms: 500, ..settings };
    Arc::new(RedisStore::connect(settings, Layout::new(PARTITIONS).unwrap()).unwrap())
}

fn key(partition: u16, name: &str) -> Key {
    Key { partition: Partition(partition), name: name.into() }
}

fn record(body: &str) -> Record {
    Record { token: Token::new(1, &[7; 32]), body: body.into() }
}

/// One record under one receipt, and one more of a quantity.
fn put(partition: u16, name: &str) -> Commit {
    let receipt = Receipt { fingerprint: b"print".to_vec(), body: b"done".to_vec() };
    Commit {
        partition: Partition(partition),
        receipts: vec![NewReceipt { key: key(partition, &format!("rcp|{name}")), receipt, keep_s: 600 }],
        expect: vec![(key(partition, name), Expected::Absent)],
        writes: vec![Write { key: key(partition, name), record: Some(record(name)) }],
        deltas: vec![Delta { key: key(partition, "count"), delta: 1 }],
        ..Commit::default()
    }
}

/// Sends until there is an answer: as the service does, and the caller behind it. Panics after as long as anything may take.
async fn settle(store: &RedisStore, commit: &Commit) {
    let started = Instant::now();
    loop {
        match store.commit(commit).await {
            Ok(Outcome::Applied) => return,
            Ok(Outcome::Seen(seen)) if seen[0].same_content => return,
            Err(Error::Unavailable | Error::OutcomeUnknown | Error::Moved) if started.elapsed() < WAIT_MAX => {
                tokio::time::sleep(PAUSE).await;
            }
            other => panic!("{other:?} after {:?}", started.elapsed()),
        }
    }
}

async fn assert_put_once(store: &RedisStore, partition: u16, names: &[String]) {
    let keys: Vec<Key> = names.iter().map(|name| key(partition, name)).collect();
    let expected: Vec<_> = names.iter().map(|name| Some(record(name))).collect();
    assert_eq!(store.load(Partition(partition), &keys).await.unwrap(), expected);
    let count = i64::try_from(names.len()).unwrap();
    assert_eq!(store.left(&key(partition, "count")).await.unwrap(), count, "each was counted once");
}

/// Until what the master has taken is with its replicas.
fn until_replicated(server: &RedisServer) {
    until("the replica has everything", || {
        let info: String = server.command(&["INFO", "replication"]);
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        let offset = field("master_repl_offset:").unwrap();
        field("slave0:").is_some_and(|slave| slave.contains(&format!("offset={offset},")))
    });
}

#[tokio::test]
async fn a_store_behind_a_sentinel_follows_a_killed_master_and_a_demoted_one() {
    let mut both = Sentinels::start(&[]);
    let store = store(both.settings());
    let mut names = Vec::new();
    for round in 0..3 {
        let name = format!("round-{round}");
        settle(&store, &put(3, &name)).await;
        names.push(name);
        assert_put_once(&store, 3, &names).await;
        let master = both.master();
        until_replicated(&both.data[master]);
        match round {
            // Killed: the other one takes over; the first comes back as a replica.
            0 => {
                both.data[master].kill();
                until("the other one is the master", || both.master() != master);
                both.restart_as_replica(master);
                both.until_watched();
            }
            // Demoted by hand: it lives on and refuses.
            1 => {
                let _: String = both.sentinel.command(&["SENTINEL", "FAILOVER", "club"]);
                until("the other one is the master", || both.master() != master);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_cluster_serves_on_while_one_of_its_masters_is_replaced() {
    let mut cluster = Cluster::start(1, &[]);
    let store = store(cluster.settings());
    for partition in 0..PARTITIONS {
        settle(&store, &put(partition, "before")).await;
    }
    let lost = cluster.owner(0);
    until_replicated(&cluster.nodes[lost]);
    cluster.nodes[lost].kill();
    // All partitions are served again by whoever took over.
    for partition in 0..PARTITIONS {
        settle(&store, &put(partition, "after")).await;
        assert_put_once(&store, partition, &["before".to_owned(), "after".to_owned()]).await;
    }
    assert_eq!(store.feed_page(Partition(0), 10).await.unwrap().next, None);
    assert_eq!(store.due_page(Partition(0), i64::MAX, 10).await.unwrap().next, None);
    store.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_under_load_lose_and_double_nothing() {
    const WRITERS: usize = 4;
    const MOVES: usize = 6;
    let cluster = Cluster::start(0, &[]);
    let store = store(cluster.settings());
    settle(&store, &put(0, "first")).await;
    let moving = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let settled = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, moving, settled) = (Arc::clone(&store), Arc::clone(&moving), Arc::clone(&settled));
        writers.spawn(async move {
            let mut names = Vec::new();
            while moving.load(std::sync::atomic::Ordering::Acquire) {
                let name = format!("{writer}-{}", names.len());
                settle(&store, &put(0, &name)).await;
                names.push(name);
                settled.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
            }
            names
        });
    }
    let pauses = tokio::task::spawn_blocking(move || {
        let mut pauses = Vec::new();
        let mut owner = cluster.owner(0);
        for _ in 0..MOVES {
            let next = (owner + 1) % Cluster::MASTERS;
            pauses.push(cluster.move_slot(0, owner, next));
            owner = next;
            // While a slot is on its way writes wait; between two moves each has its chance.
            let before = settled.load(std::sync::atomic::Ordering::Acquire);
            until("writes go on", || before + WRITERS < settled.load(std::sync::atomic::Ordering::Acquire));
        }
        (pauses, cluster)
    });
    let (pauses, _cluster) = pauses.await.unwrap();
    moving.store(false, std::sync::atomic::Ordering::Release);
    let mut names = vec!["first".to_owned()];
    while let Some(ended) = writers.join_next().await {
        names.extend(ended.unwrap());
    }
    assert_put_once(&store, 0, &names).await;
    let longest = pauses.iter().max().unwrap();
    #[allow(clippy::print_stderr, reason = "the figure that the contract states")]
    {
        eprintln!("{} writes while a slot moved {MOVES} times; a move took {longest:?} at most", names.len());
    }
}

#[tokio::test]
async fn a_tls_server_serves_whom_it_knows_and_is_believed_by_its_certificate() {
    let server = RedisServer::start_tls(&[]);
    let other = RedisServer::start_tls(&[]);
    let pem = |server: &RedisServer, name: &str| Some(server.pem(name));
    let me = |server: &RedisServer| Identity { certificate: server.pem("client.pem"), key: server.pem("client.key") };
    // authority                 shown                served
    for (ca, identity, served) in [
        (pem(&server, "ca.pem"), Some(me(&server)), true),
        (pem(&server, "ca.pem"), None, false),
        (pem(&server, "ca.pem"), Some(me(&other)), false),
        (pem(&other, "ca.pem"), Some(me(&server)), false),
        (None, Some(me(&server)), false),
    ] {
        let tls = Some(Tls { ca, identity });
        let store = store(RedisSettings { tls, ..RedisSettings::new(server.url()) });
        let expected = if served { Ok(()) } else { Err(Error::Unavailable) };
        assert_eq!(store.ping().await, expected);
    }
    let plain = store(RedisSettings::new(server.url().replace("rediss", "redis")));
    assert_eq!(plain.ping().await, Err(Error::Unavailable));
}

#[tokio::test]
async fn a_user_may_do_what_the_rules_let_them_do() {
    let rules = ["--user", "shop", "on", ">hunter2", "~g1:*", "+@read", "+@write", "+@scripting", "+@connection"];
    let server = RedisServer::start_with(&[&rules[..], &["-@dangerous", "+info"]].concat());
    let url = |login: &str| server.url().replace("//", &format!("//{login}@"));
    let fine = store(RedisSettings::new(url("shop:hunter2")));
    settle(&fine, &put(3, "a")).await;
    assert_put_once(&fine, 3, &["a".to_owned()]).await;
    assert_eq!(store(RedisSettings::new(url("shop:wrong"))).ping().await, Err(Error::Unavailable));
    // Another namespace is closed to them.
    let elsewhere = store(RedisSettings { namespace: "g2".into(), ..RedisSettings::new(url("shop:hunter2")) });
    assert!(elsewhere.ping().await.is_err());
}
