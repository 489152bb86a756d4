//! What only the Redis store promises: one command a commit, keys right for a cluster, exact quantities, and
//! calls that end in time when Redis is away. What every store promises is in the conformance suite.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod logs;
    pub(crate) mod redis;
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use guerdon::store::redis::{Durability, RedisSettings, RedisStore, Tls, Topology};
use guerdon::store::{
    Append, Commit, Delta, Due, Error, Expected, Key, Layout, NewReceipt, Outcome, Partition, Receipt, Record, Store,
    Token, Write,
};

use self::support::logs::Logs;
use self::support::redis::RedisServer;

const HERE: Partition = Partition(3);

fn layout() -> Layout {
    Layout::new(16).unwrap()
}

/// A store on a server, patient enough for a busy machine.
fn store(server: &RedisServer) -> RedisStore {
    let settings =
        RedisSettings { connect_timeout_ms: 10_000, response_timeout_ms: 10_000, ..RedisSettings::new(server.url()) };
    RedisStore::connect(settings, layout()).unwrap()
}

/// A store that gives up soon.
fn hasty(server: &RedisServer) -> RedisStore {
    let settings =
        RedisSettings { connect_timeout_ms: 200, response_timeout_ms: 200, ..RedisSettings::new(server.url()) };
    RedisStore::connect(settings, layout()).unwrap()
}

fn key(name: &str) -> Key {
    Key { partition: HERE, name: name.into() }
}

fn record(sequence: u64, body: &str) -> Record {
    Record { token: Token::new(sequence, &[7; 32]), body: body.into() }
}

fn put(name: &str, record: Record) -> Write {
    Write { key: key(name), record: Some(record) }
}

fn receipt(name: &str, body: &str) -> NewReceipt {
    let receipt = Receipt { fingerprint: b"print".to_vec(), body: body.into() };
    NewReceipt { key: key(name), receipt, keep_s: 60 }
}

/// A commit that writes one record under one receipt.
fn simple(name: &str, body: &str) -> Commit {
    Commit {
        partition: HERE,
        receipts: vec![receipt(&format!("rcp|{name}"), body)],
        expect: vec![(key(name), Expected::Absent)],
        writes: vec![put(name, record(1, body))],
        ..Commit::default()
    }
}

/// A commit that uses every field, several of each, and applies on an empty store.
fn everything() -> Commit {
    Commit {
        partition: HERE,
        receipts: vec![receipt("rcp|a", "one"), receipt("rcp|b", "two")],
        expect: vec![(key("acct|a"), Expected::Absent), (key("acct|b"), Expected::Absent)],
        writes: vec![put("acct|a", record(2, "A")), Write { key: key("acct|b"), record: None }],
        appends: vec![
            Append { log: key("log|a"), first_sequence: 1, entries: vec![b"e1".to_vec(), b"e2".to_vec()] },
            Append { log: key("log|b"), first_sequence: 1, entries: vec![b"f1".to_vec()] },
        ],
        deltas: vec![Delta { key: key("bud|a"), delta: 5 }, Delta { key: key("bud|b"), delta: 0 }],
        feed: vec![b"x".to_vec(), b"y".to_vec()],
        feed_done: vec![9, u64::MAX],
        due: vec![
            Due { subject: "bakery|a".into(), at_ms: Some(1_700_000_000_123) },
            Due { subject: "bakery|b".into(), at_ms: None },
        ],
    }
}

/// A commit of the usual shape: a receipt, an account that stood at an entry (0: it is new), an order, the next entry.
fn usual(partition: u16, name: &str, at: u64) -> Commit {
    let partition = Partition(partition);
    let key = |kind: &str| Key { partition, name: format!("{kind}|{name}").into() };
    let receipt = Receipt { fingerprint: b"print".to_vec(), body: format!("{name} {at}").into() };
    let account = if at == 0 { Expected::Absent } else { Expected::At(record(at, "").token) };
    let order = Key { partition, name: format!("ord|{name}-{at}").into() };
    Commit {
        partition,
        receipts: vec![NewReceipt {
            key: Key { partition, name: format!("rcp|{name}-{at}").into() },
            receipt,
            keep_s: 60,
        }],
        expect: vec![(key("acct"), account), (order.clone(), Expected::Absent)],
        writes: vec![
            Write { key: key("acct"), record: Some(record(at + 1, name)) },
            Write { key: order, record: Some(record(at + 1, "order")) },
        ],
        appends: vec![Append { log: key("log"), first_sequence: at + 1, entries: vec![at.to_string().into()] }],
        ..Commit::default()
    }
}

async fn assert_everything_is_there(store: &RedisStore) {
    let found = store.load(HERE, &[key("acct|b"), key("acct|a")]).await.unwrap();
    assert_eq!(found, [None, Some(record(2, "A"))]);
    assert_eq!(store.receipt(&key("rcp|b")).await.unwrap(), Some(receipt("rcp|b", "two").receipt));
    assert_eq!(store.entries(&key("log|a"), 1, 10).await.unwrap(), [b"e1", b"e2"]);
    assert_eq!(store.entries(&key("log|a"), 2, 10).await.unwrap(), [b"e2"]);
    assert_eq!(store.left(&key("bud|a")).await.unwrap(), 5);
    let feed = store.feed(HERE, 10).await.unwrap();
    let feed: Vec<_> = feed.iter().map(|item| (item.position, item.body.as_slice())).collect();
    assert_eq!(feed, [(1, &b"x"[..]), (2, b"y")]);
    let due = store.due_page(Partition(0), 1_700_000_000_123, 10).await.unwrap();
    assert_eq!(due.next, None);
    let due: Vec<_> = due.items.iter().map(|item| (item.partition, &*item.subject, item.at_ms)).collect();
    assert_eq!(due, [(HERE, "bakery|a", 1_700_000_000_123)]);
    assert!(store.due_page(Partition(0), 1_700_000_000_122, 10).await.unwrap().items.is_empty());
}

/// Between two looks at something that nothing announces.
const PAUSE: Duration = Duration::from_millis(10);

/// Resends until an answer comes, for at most twenty seconds.
async fn when_back(store: &RedisStore, commit: &Commit) -> Outcome {
    let started = Instant::now();
    loop {
        match store.commit(commit).await {
            Ok(outcome) => return outcome,
            Err(Error::Unavailable | Error::OutcomeUnknown) if started.elapsed() < Duration::from_secs(20) => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => panic!("{error:?} after {:?}", started.elapsed()),
        }
    }
}

/// What a name in the partition `HERE` is called in Redis.
fn physical(server: &RedisServer, name: &str) -> String {
    let some: Vec<String> = server.command(&["KEYS", "g1:{*"]);
    format!("{}:{name}", some[0].split_inclusive('}').next().unwrap())
}

/// How often a command was called, by any client or script, since the statistics were reset.
fn calls(server: &RedisServer, command: &str) -> u64 {
    let stats: String = server.command(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

/// Commits in every way that the script can end, on an empty store.
async fn every_way_to_end(store: &RedisStore) {
    assert_eq!(store.commit(&everything()).await.unwrap(), Outcome::Applied);
    assert!(matches!(store.commit(&everything()).await.unwrap(), Outcome::Seen(seen) if seen.len() == 2));
    let mut commit = everything();
    commit.receipts.clear();
    assert!(matches!(store.commit(&commit).await.unwrap(), Outcome::Conflict(_)));
    commit.expect.clear();
    assert!(matches!(store.commit(&commit).await, Err(Error::Corrupt { .. })), "the log is longer");
    commit.appends.clear();
    commit.deltas[1].delta = -1;
    assert_eq!(store.commit(&commit).await.unwrap(), Outcome::GuardFailed { key: key("bud|b"), left: 0 });
}

#[tokio::test]
async fn all_that_a_commit_wrote_is_found_and_a_commit_that_is_not_applied_changes_nothing() {
    let server = RedisServer::start();
    let store = store(&server);
    every_way_to_end(&store).await;
    assert_everything_is_there(&store).await;
}

#[tokio::test]
async fn a_cluster_node_that_owns_one_partition_accepts_every_commit_to_it() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"]);
    // This partition's slot and that of the deployment's description; every other key is refused.
    let slots = [3 * 16_384 / 16, server.command(&["CLUSTER", "KEYSLOT", "g1:meta"])].map(|slot: u16| slot.to_string());
    let _: String = server.command(&["CLUSTER", "ADDSLOTS", &slots[0], &slots[1]]);
    let started = Instant::now();
    while !server.command::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
        assert!(started.elapsed() < Duration::from_secs(20), "the node has its slots");
        tokio::time::sleep(PAUSE).await;
    }
    let script = "return redis.call('SET', 'elsewhere', '1')";
    let foreign: redis::RedisResult<()> = server.try_command(&["EVAL", script, "1", "g1:meta"]);
    assert!(foreign.unwrap_err().to_string().contains("non local key"), "the node refuses what it does not own");

    let store = store(&server);
    every_way_to_end(&store).await;
    let elsewhere = Commit { partition: Partition(4), feed: vec![b"x".to_vec()], ..Commit::default() };
    assert_eq!(store.commit(&elsewhere).await, Err(Error::Unavailable), "not this node's: not applied");

    // It takes no call with keys of several slots: those who come together go by themselves.
    let (elsewhere, here) = (usual(4, "c", 0), usual(3, "c", 0));
    let (here, elsewhere) = tokio::join!(store.commit(&here), store.commit(&elsewhere));
    assert_eq!(here, Ok(Outcome::Applied));
    assert!(matches!(elsewhere, Err(Error::Moved | Error::Unavailable)), "{elsewhere:?}");
    let before = calls(&server, "evalsha");
    assert_eq!(store.commit(&usual(3, "c", 1)).await, Ok(Outcome::Applied));
    assert_eq!(calls(&server, "evalsha"), before + 1, "it is not tried again");
}

#[tokio::test]
async fn commits_that_come_at_the_same_time_are_one_command_and_each_is_told_what_became_of_it() {
    let server = RedisServer::start();
    let store = store(&server);
    let before = |partition, name, at| {
        let store = &store;
        async move { assert_eq!(store.commit(&usual(partition, name, at)).await, Ok(Outcome::Applied), "{name} {at}") }
    };
    for (partition, name) in [(1, "seen"), (2, "reused"), (3, "changed"), (4, "lost"), (5, "there")] {
        before(partition, name, 0).await;
    }
    before(3, "changed", 1).await;
    let key = |partition: u16, name: &str| Key { partition: Partition(partition), name: name.into() };
    let tag = |name: &str| {
        let found: Vec<String> = server.command(&["KEYS", &format!("g1:*|{name}")]);
        found[0].split_inclusive('}').next().unwrap().to_owned()
    };
    // The log of one has lost its end; another has an order already, though its account says that it has none.
    let _: String = server.command(&["RPOP", &format!("{}:log|lost", tag("lost"))]);
    let _: i64 = server.command(&["SETRANGE", &format!("{}:ord|there-1", tag("there")), "0", &"x".repeat(30)]);
    // Values of other types under our names.
    for (partition, name, of_type) in [(6, "list", "acct"), (7, "text", "log"), (8, "due", "due")] {
        before(partition, name, 0).await;
        let at = format!("{}:{of_type}|{name}", tag(name));
        let at = if of_type == "due" { format!("{}:due", tag(name)) } else { at };
        let _: i64 = server.command(&["DEL", &at]);
        if of_type == "log" {
            let _: String = server.command(&["SET", &at, "text"]);
        } else {
            let _: i64 = server.command(&["RPUSH", &at, "x"]);
        }
    }

    let mut reused = usual(2, "reused", 0);
    reused.receipts[0].receipt.fingerprint = b"other".to_vec();
    let mut changed = usual(3, "changed", 1);
    changed.receipts[0].key.name = "rcp|another".into();
    let mut due = usual(8, "due", 1);
    due.due = vec![Due { subject: "bakery|due".into(), at_ms: Some(5) }];
    let mut on_time = usual(9, "on-time", 0);
    on_time.due =
        vec![Due { subject: "bakery|b".into(), at_ms: Some(7) }, Due { subject: "bakery|a".into(), at_ms: None }];
    let mut alone = usual(10, "alone", 0);
    alone.deltas = vec![Delta { key: key(10, "bud|a"), delta: -1 }];
    let commits = [
        usual(0, "new", 0),
        usual(1, "seen", 0),
        reused,
        changed,
        usual(4, "lost", 1),
        usual(5, "there", 1),
        usual(6, "list", 1),
        usual(7, "text", 1),
        due,
        on_time,
        alone,
        usual(11, "twice", 0),
        usual(11, "twice", 1),
        usual(12, "last", 0),
    ];
    let _: String = server.command(&["CONFIG", "RESETSTAT"]);
    let trips = store.trips();
    let found = futures_util::future::join_all(commits.iter().map(|commit| store.commit(commit))).await;
    // One for all of them, one for the second of a partition; five by themselves.
    assert_eq!((calls(&server, "evalsha"), store.trips() - trips), (2 + 5, 2 + 5));

    let corrupt = |found: &Result<Outcome, Error>| matches!(found, Err(Error::Corrupt { .. }));
    for (at, name) in [(0, "new"), (9, "on-time"), (11, "twice 0"), (12, "twice 1"), (13, "last")] {
        assert_eq!(found[at], Ok(Outcome::Applied), "{name}");
    }
    assert!(matches!(&found[1], Ok(Outcome::Seen(seen)) if seen[0].same_content), "{:?}", found[1]);
    assert!(matches!(&found[2], Ok(Outcome::Seen(seen)) if !seen[0].same_content), "{:?}", found[2]);
    let fresh = Outcome::Conflict(vec![Some(record(2, "changed")), Some(record(2, "order"))]);
    assert_eq!(found[3], Ok(fresh));
    assert!(corrupt(&found[4]), "{:?}", found[4]);
    let there = |found: &Result<Outcome, Error>| matches!(found, Ok(Outcome::Conflict(fresh)) if fresh[1].is_some());
    assert!(there(&found[5]), "{:?}", found[5]);
    for at in [6, 7, 8] {
        assert!(corrupt(&found[at]), "{at}: {:?}", found[at]);
    }
    assert_eq!(found[10], Ok(Outcome::GuardFailed { key: key(10, "bud|a"), left: 0 }));

    // What was not applied has left nothing, and what was applied is there whole.
    for commit in [&commits[4], &commits[5], &commits[7], &commits[8], &commits[10]] {
        assert_eq!(store.receipt(&commit.receipts[0].key).await, Ok(None));
        assert!(
            store.load(commit.partition, &[commit.writes[0].key.clone()]).await.unwrap()
                != [commit.writes[0].record.clone()]
        );
    }
    assert_eq!(store.entries(&key(4, "log|lost"), 1, 9).await.unwrap().len(), 0);
    assert_eq!(store.entries(&key(5, "log|there"), 1, 9).await.unwrap().len(), 1);
    for commit in [&commits[0], &commits[9], &commits[12], &commits[13]] {
        let keys: Vec<Key> = commit.writes.iter().map(|write| write.key.clone()).collect();
        let records: Vec<_> = commit.writes.iter().map(|write| write.record.clone()).collect();
        assert_eq!(store.load(commit.partition, &keys).await.unwrap(), records);
        let receipt = &commit.receipts[0];
        assert_eq!(store.receipt(&receipt.key).await.unwrap().as_ref(), Some(&receipt.receipt));
        let log = &commit.appends[0];
        assert_eq!(store.entries(&log.log, log.first_sequence, 9).await.unwrap(), log.entries);
    }
    let ttl: i64 = server.command(&["TTL", &format!("{}:rcp|new-0", tag("new"))]);
    assert!((50..=60).contains(&ttl), "{ttl}");
    let due = store.due_page(Partition(9), 7, 10).await.unwrap().items;
    assert_eq!(due.iter().map(|due| (&*due.subject, due.at_ms)).collect::<Vec<_>>(), [("bakery|b", 7)]);
}

#[tokio::test]
async fn commits_that_come_together_are_shared_out_to_calls_that_are_not_too_long() {
    let server = RedisServer::start();
    let settings = RedisSettings { response_timeout_ms: 10_000, ..RedisSettings::new(server.url()) };
    let store = RedisStore::connect(settings, Layout::new(64).unwrap()).unwrap();
    store.ping().await.unwrap();
    let together = async |commits: &[Commit]| {
        let before = calls(&server, "evalsha");
        for found in futures_util::future::join_all(commits.iter().map(|commit| store.commit(commit))).await {
            assert_eq!(found, Ok(Outcome::Applied));
        }
        calls(&server, "evalsha") - before
    };
    let commits: Vec<_> = (0..40).map(|partition| usual(partition, "a", 0)).collect();
    assert_eq!(together(&commits).await, 3);
    let mut large: Vec<_> = (0..8).map(|partition| usual(partition, "large", 0)).collect();
    for commit in &mut large {
        commit.receipts[0].receipt.body = vec![b'x'; 40_000];
    }
    assert_eq!(together(&large).await, 4);
}

#[tokio::test]
async fn a_full_redis_refuses_commits_that_come_together_and_is_not_taken_for_well_meanwhile() {
    let server = RedisServer::start();
    let store = store(&server);
    store.ping().await.unwrap();
    let (logs, _logged) = Logs::begin();
    let commits: Vec<_> = (0..8).map(|partition| usual(partition, "a", 0)).collect();
    let all = async |expected: Result<Outcome, Error>| {
        for found in futures_util::future::join_all(commits.iter().map(|commit| store.commit(commit))).await {
            assert_eq!(found, expected);
        }
    };
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    for _ in 0..5 {
        all(Err(Error::Unavailable)).await;
        assert_eq!(store.ping().await, Err(Error::Unavailable));
    }
    let keys: Vec<String> = server.command(&["KEYS", "g1:{*"]);
    assert_eq!(keys, [""; 0]);
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    for commit in &commits {
        assert_eq!(store.commit(commit).await, Ok(Outcome::Applied));
    }
    assert_eq!(logs.lines_with("Redis refuses commands").len(), 1, "{:#?}", logs.lines_with(""));
}

#[tokio::test]
async fn whoever_leaves_does_not_keep_the_others_of_a_call_from_their_answers() {
    let server = RedisServer::start();
    let store = Arc::new(store(&server));
    store.ping().await.unwrap();
    let (first, second) = (usual(1, "first", 0), usual(2, "second", 0));
    assert_eq!(store.commit(&first).now_or_never(), None, "it waits for others");
    assert_eq!(store.commit(&second).await, Ok(Outcome::Applied));
    // What was asked is done all the same, and who asks again learns it.
    assert!(matches!(store.commit(&first).await, Ok(Outcome::Seen(seen)) if seen[0].same_content));
}

#[tokio::test]
async fn the_script_touches_only_keys_that_its_call_declares() {
    let server = RedisServer::start();
    let store = store(&server);
    store.ping().await.unwrap();
    let mut monitor = server.monitor();
    every_way_to_end(&store).await;

    let _: String = server.command(&["ECHO", "that was all"]);

    let (mut declared, mut calls, mut touched) = (Vec::new(), 0, 0);
    loop {
        let (by_a_script, words) = monitor.next_command();
        match words[0].as_str() {
            "ECHO" => break,
            name if by_a_script => {
                assert!(declared.contains(&words[1]), "{name} {} is not among {declared:?}", words[1]);
                touched += 1;
            }
            "EVALSHA" => {
                let count: usize = words[2].parse().unwrap();
                declared = words[3..3 + count].to_vec();
                calls += 1;
            }
            _ => {}
        }
    }
    assert_eq!(calls, 5);
    assert!(30 < touched, "{touched}");
}

#[tokio::test]
async fn the_keys_of_a_commit_share_one_tag_and_nothing_else_is_written() {
    let server = RedisServer::start();
    let store = store(&server);
    assert_eq!(store.commit(&everything()).await.unwrap(), Outcome::Applied);
    let mut names: Vec<String> = server.command(&["KEYS", "*"]);
    names.sort();
    let tag = names[1].split_inclusive('}').next().unwrap().to_owned();
    let expected = ["acct|a", "bud|a", "bud|b", "due", "feed", "feedseq", "log|a", "log|b", "rcp|a", "rcp|b"];
    let expected = expected.iter().map(|name| format!("{tag}:{name}"));
    assert_eq!(names, ["g1:meta".to_owned()].into_iter().chain(expected).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_commit_is_one_command_and_so_is_a_load() {
    let server = RedisServer::start();
    let store = store(&server);
    assert_eq!(store.load(HERE, &[key("acct|a")]).await.unwrap(), [None], "connected");
    let _: String = server.command(&["CONFIG", "RESETSTAT"]);
    let trips = store.trips();

    assert_eq!(store.commit(&everything()).await.unwrap(), Outcome::Applied);
    let (evalsha, get) = (calls(&server, "evalsha"), calls(&server, "get"));
    assert_eq!((evalsha, calls(&server, "eval"), calls(&server, "mget")), (1, 0, 0));
    assert_eq!(get, 2 + 1, "only the script's own: two quantities, the feed's counter");
    assert_eq!(calls(&server, "exists"), 1, "what must not be there is looked for at once");
    assert_eq!(store.trips(), trips + 1);

    store.load(HERE, &[key("acct|a"), key("acct|b"), key("acct|c")]).await.unwrap();
    assert_eq!((calls(&server, "evalsha"), calls(&server, "mget"), calls(&server, "get")), (1, 1, get));
    assert_eq!(store.trips(), trips + 2);
}

/// One log and no quantity: the answer to the push tells that it did not continue the log, and what was pushed goes again.
#[tokio::test]
async fn a_log_that_is_not_continued_is_left_as_it_was() {
    let server = RedisServer::start();
    let store = store(&server);
    let with = |name: &str, first_sequence: u64, entries: &[&str]| {
        let entries = entries.iter().map(|entry| entry.as_bytes().to_vec()).collect();
        Commit { appends: vec![Append { log: key("log|a"), first_sequence, entries }], ..simple(name, "1") }
    };
    let kept = async || store.entries(&key("log|a"), 1, 100).await.unwrap();
    assert!(matches!(store.commit(&with("a", 2, &["x", "y"])).await, Err(Error::Corrupt { .. })));
    assert_eq!((kept().await.len(), calls(&server, "rpop")), (0, 2 + 2), "what is wrong is told by the script for one");
    assert_eq!(store.commit(&with("a", 1, &["x", "y"])).await, Ok(Outcome::Applied));
    for first_sequence in [0, 1, 2, 4] {
        let refused = store.commit(&with("b", first_sequence, &["z"])).await;
        assert!(matches!(refused, Err(Error::Corrupt { .. })), "{first_sequence}: {refused:?}");
        assert_eq!(kept().await, [b"x", b"y"], "{first_sequence}");
        assert_eq!(store.load(HERE, &[key("b")]).await.unwrap(), [None], "{first_sequence}");
    }
    assert_eq!(store.commit(&with("b", 3, &["z"])).await, Ok(Outcome::Applied));
    assert_eq!(calls(&server, "llen"), 0);
}

#[tokio::test]
async fn a_commit_after_a_script_flush_is_applied_once() {
    let server = RedisServer::start();
    let store = store(&server);
    assert_eq!(store.commit(&simple("a", "1")).await.unwrap(), Outcome::Applied);
    let _: String = server.command(&["SCRIPT", "FLUSH"]);
    let trips = store.trips();
    assert_eq!(store.commit(&simple("b", "1")).await.unwrap(), Outcome::Applied);
    assert_eq!(store.trips(), trips + 2, "the call that found no script counts");
    assert_eq!(store.commit(&simple("c", "1")).await.unwrap(), Outcome::Applied);
    assert_eq!(store.trips(), trips + 3, "the script is known again");
    assert!(matches!(store.commit(&simple("b", "1")).await.unwrap(), Outcome::Seen(_)));

    // The other script, for commits that come together.
    let trips = store.trips();
    let applied = async |commits: [Commit; 2]| {
        let (first, second) = tokio::join!(store.commit(&commits[0]), store.commit(&commits[1]));
        assert_eq!((first, second), (Ok(Outcome::Applied), Ok(Outcome::Applied)));
    };
    for (at, expected) in [(0, 2), (1, 3)] {
        applied([usual(1, "a", at), usual(2, "b", at)]).await;
        assert_eq!(store.trips(), trips + expected);
    }
}

#[tokio::test]
async fn trap_15_noscript_after_a_restart() {
    let mut server = RedisServer::start_durable();
    let store = store(&server);
    assert_eq!(store.commit(&simple("a", "before")).await.unwrap(), Outcome::Applied);
    server.restart();
    assert_eq!(when_back(&store, &simple("b", "after")).await, Outcome::Applied);
    assert!(matches!(store.commit(&simple("a", "before")).await.unwrap(), Outcome::Seen(seen) if seen[0].same_content));
    let found = store.load(HERE, &[key("a"), key("b")]).await.unwrap();
    assert_eq!(found, [Some(record(1, "before")), Some(record(1, "after"))]);
}

#[tokio::test]
async fn trap_15_a_balance_above_2_53_is_not_rounded_by_lua() {
    const ODD: i64 = (1 << 53) + 1;
    let server = RedisServer::start();
    let store = store(&server);
    let budget = key("bud|a");
    let by = async |delta: i64| {
        let deltas = vec![Delta { key: budget.clone(), delta }];
        store.commit(&Commit { partition: HERE, deltas, ..Commit::default() }).await.unwrap()
    };
    let refused = |left| Outcome::GuardFailed { key: budget.clone(), left };
    for (delta, expected, left) in [
        // delta          outcome            left after
        (-1, refused(0), 0),
        (i64::MIN, refused(0), 0),
        (ODD, Outcome::Applied, ODD),
        (1, Outcome::Applied, ODD + 1),
        (-2, Outcome::Applied, ODD - 1),
        (i64::MAX, refused(ODD - 1), ODD - 1),
        (i64::MAX - ODD + 2, refused(ODD - 1), ODD - 1),
        (i64::MAX - ODD + 1, Outcome::Applied, i64::MAX),
        (1, refused(i64::MAX), i64::MAX),
        (0, Outcome::Applied, i64::MAX),
        (i64::MIN, refused(i64::MAX), i64::MAX),
        (-1, Outcome::Applied, i64::MAX - 1),
        (-ODD, Outcome::Applied, i64::MAX - 1 - ODD),
        (ODD, Outcome::Applied, i64::MAX - 1),
        (-(i64::MAX - 1), Outcome::Applied, 0),
        (i64::MAX, Outcome::Applied, i64::MAX),
        (-i64::MAX, Outcome::Applied, 0),
    ] {
        assert_eq!(by(delta).await, expected, "{delta}");
        assert_eq!(store.left(&budget).await.unwrap(), left, "after {delta}");
    }
}

#[tokio::test]
async fn a_failed_guard_puts_back_what_came_before_it() {
    let server = RedisServer::start();
    let store = store(&server);
    let first = Commit { deltas: vec![Delta { key: key("a"), delta: i64::MAX }], ..Commit::default() };
    assert_eq!(store.commit(&Commit { partition: HERE, ..first }).await.unwrap(), Outcome::Applied);
    let deltas = [("a", -7), ("b", 8), ("c", -1), ("d", 1)].map(|(name, delta)| Delta { key: key(name), delta });
    let mut commit = everything();
    commit.deltas = deltas.to_vec();
    let keys_before: u64 = server.command(&["DBSIZE"]);
    assert_eq!(store.commit(&commit).await.unwrap(), Outcome::GuardFailed { key: key("c"), left: 0 });
    assert_eq!(server.command::<u64>(&["DBSIZE"]), keys_before, "no key came or went");
    assert_eq!(store.left(&key("a")).await.unwrap(), i64::MAX);
}

#[tokio::test]
async fn a_full_redis_refuses_a_commit_whole_and_still_answers_reads() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    let first = store(&server);
    assert_eq!(first.commit(&simple("z", "1")).await.unwrap(), Outcome::Applied);
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let second = store(&server);
    for store in [&first, &second] {
        let outcome = store.commit(&everything()).await;
        assert!(matches!(outcome, Err(Error::Unavailable)), "{outcome:?}");
    }
    assert_eq!(second.load(HERE, &[key("z"), key("acct|a")]).await.unwrap(), [Some(record(1, "1")), None]);
    let names: Vec<String> = server.command(&["KEYS", "*"]);
    assert_eq!(names.len(), 3, "nothing of the refused commits is there: {names:?}");
    assert_eq!(first.ping().await, Err(Error::Unavailable), "who asks is told");

    // A commit whose first write frees memory is let through, and then whole.
    let frees = Commit { feed_done: vec![1], due: everything().due, ..Commit::default() };
    assert_eq!(second.commit(&Commit { partition: HERE, ..frees }).await.unwrap(), Outcome::Applied);
    assert_eq!(second.due_page(Partition(0), i64::MAX, 10).await.unwrap().items.len(), 1);

    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(first.ping().await, Ok(()), "no caller has to try it first");
    assert_eq!(second.commit(&everything()).await.unwrap(), Outcome::Applied);
}

#[tokio::test]
async fn what_lasts_is_logged_once_and_not_with_every_call() {
    let server = RedisServer::start();
    let _: String = server.command(&["ACL", "SETUSER", "blind", "on", ">secret", "~*", "+@all", "-info"]);
    let hasty = || RedisSettings { response_timeout_ms: 200, ..RedisSettings::new(server.url()) };
    let (logs, _logged) = Logs::begin();

    let durability = Durability::Replicated { replicas: 1 };
    let alone = RedisStore::connect(RedisSettings { durability, ..hasty() }, layout()).unwrap();
    for n in 0..4 {
        assert_eq!(alone.commit(&simple(&format!("z{n}"), "1")).await, Err(Error::OutcomeUnknown));
    }
    assert_eq!(logs.lines_with("too few replicas").len(), 1);

    // Somebody may have taken a right from the user.
    let url = server.url().replace("//", "//blind:secret@");
    let blind = RedisStore::connect(RedisSettings { url, ..hasty() }, layout()).unwrap();
    for n in 0..4 {
        assert_eq!(blind.commit(&simple(&format!("y{n}"), "1")).await, Err(Error::Unavailable));
        assert_eq!(blind.ping().await, Err(Error::Unavailable));
    }
    let said = logs.lines_with("NOPERM");
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(!said[0].contains("secret"), "{}", said[0]);
    let all = logs.lines_with("");
    assert!(all.len() < 8, "nothing else is logged with every call: {all:#?}");
}

#[tokio::test]
async fn a_replica_refuses_a_commit_and_is_left_for_whoever_is_there_next() {
    let server = RedisServer::start();
    let store = store(&server);
    assert_eq!(store.commit(&simple("z", "1")).await.unwrap(), Outcome::Applied);
    let connection = || {
        let clients: String = server.command(&["CLIENT", "LIST"]);
        let of_the_store = clients.lines().find(|line| line.contains("cmd=evalsha")).unwrap();
        of_the_store.split(' ').next().unwrap().to_owned()
    };
    let first_connection = connection();
    let nobody = RedisServer::start();
    let _: String = server.command(&["REPLICAOF", "127.0.0.1", &nobody.port().to_string()]);
    let outcome = store.commit(&everything()).await;
    assert!(matches!(outcome, Err(Error::Unavailable)), "{outcome:?}");
    let _: String = server.command(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(when_back(&store, &everything()).await, Outcome::Applied);
    // A name may lead elsewhere after a failover: only a new connection follows it.
    assert_ne!(connection(), first_connection);
}

#[tokio::test]
async fn a_foreign_value_under_our_key_is_corrupt_and_nothing_is_applied() {
    for (name, command) in [
        ("feed", ["SET", "x"]),
        ("due", ["SET", "x"]),
        ("log|a", ["SET", "x"]),
        ("feedseq", ["SADD", "x"]),
        ("bud|b", ["SADD", "x"]),
        ("rcp|a", ["SADD", "x"]),
    ] {
        let server = RedisServer::start();
        let store = store(&server);
        assert_eq!(store.commit(&simple("z", "1")).await.unwrap(), Outcome::Applied);
        let _: redis::Value = server.command(&[command[0], &physical(&server, name), command[1]]);
        let keys_before: u64 = server.command(&["DBSIZE"]);
        let outcome = store.commit(&everything()).await;
        assert!(matches!(outcome, Err(Error::Corrupt { .. })), "{name}: {outcome:?}");
        assert_eq!(server.command::<u64>(&["DBSIZE"]), keys_before, "{name}");
    }
}

#[tokio::test]
async fn a_foreign_value_where_a_record_is_looked_for_is_corrupt() {
    let server = RedisServer::start();
    let store = store(&server);
    assert_eq!(store.commit(&simple("z", "1")).await.unwrap(), Outcome::Applied);
    let _: redis::Value = server.command(&["SADD", &physical(&server, "acct|a"), "x"]);
    let found = store.load(HERE, &[key("acct|b"), key("acct|a"), key("z")]).await;
    assert!(matches!(found, Err(Error::Corrupt { .. })), "{found:?}");
    assert_eq!(store.load(HERE, &[key("acct|b"), key("z")]).await.unwrap(), [None, Some(record(1, "1"))]);
}

#[tokio::test]
async fn the_description_of_a_deployment_is_written_again_after_everything_was_flushed() {
    let server = RedisServer::start();
    let store = store(&server);
    store.ping().await.unwrap();
    let _: String = server.command(&["FLUSHALL"]);
    store.ping().await.unwrap();
    assert_eq!(server.command::<String>(&["GET", "g1:meta"]), "format=1 partitions=16");

    // Somebody else was faster: this instance serves no more.
    let _: String = server.command(&["SET", "g1:meta", "format=1 partitions=32"]);
    let other = Error::OtherDeployment { setting: "partitions", found: "32".into(), wanted: "16".into() };
    assert_eq!(store.ping().await, Err(other.clone()));
    assert_eq!(store.commit(&simple("z", "1")).await, Err(other));
}

#[tokio::test]
async fn a_redis_that_forgets_keys_is_refused() {
    let full = ["--maxmemory-policy", "allkeys-lru", "--maxmemory", "64mb"];
    let server = RedisServer::start_with(&full);
    let store = store(&server);
    for outcome in [store.ping().await, store.commit(&simple("z", "1")).await.map(drop)] {
        assert!(matches!(&outcome, Err(Error::Unfit { what }) if what.contains("allkeys-lru")), "{outcome:?}");
    }
    let _: String = server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    assert_eq!(when_back(&store, &simple("z", "1")).await, Outcome::Applied);
}

#[tokio::test]
async fn damaged_bytes_are_corrupt_and_never_a_panic() {
    let server = RedisServer::start();
    let store = store(&server);
    assert_eq!(store.commit(&simple("z", "1")).await.unwrap(), Outcome::Applied);
    let set = |name: &str, bytes: &str| {
        let _: redis::Value = server.command(&["SET", &physical(&server, name), bytes]);
    };
    set("acct|a", "shorter than a token");
    set("rcp|a", "\u{1}\u{1}\u{1}\u{1}less than that many bytes");
    set("rcp|b", "abc");
    set("bud|a", "not eight");
    let feed = physical(&server, "feed");
    let _: redis::Value = server.command(&["ZADD", &feed, "1", "no position"]);

    let corrupt = |error: Error| matches!(error, Error::Corrupt { .. });
    assert!(corrupt(store.load(HERE, &[key("acct|a")]).await.unwrap_err()));
    assert!(corrupt(store.receipt(&key("rcp|a")).await.unwrap_err()));
    assert!(corrupt(store.receipt(&key("rcp|b")).await.unwrap_err()));
    assert!(corrupt(store.left(&key("bud|a")).await.unwrap_err()));
    assert!(corrupt(store.feed(HERE, 1).await.unwrap_err()));
    assert!(corrupt(store.feed_page(HERE, 1).await.unwrap_err()));
    assert!(corrupt(store.commit(&everything()).await.unwrap_err()), "the receipt that is in the way");
    let expect = vec![(key("acct|a"), Expected::Absent)];
    assert!(corrupt(store.commit(&Commit { partition: HERE, expect, ..Commit::default() }).await.unwrap_err()));
}

#[tokio::test]
async fn sixty_four_writers_of_one_record_lose_nothing() {
    let server = RedisServer::start();
    let store = Arc::new(store(&server));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..64_u64 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            let mut expected = Expected::Absent;
            for _ in 0..1_000 {
                let sequence = match expected {
                    Expected::Absent => 1,
                    Expected::At(token) => token.sequence() + 1,
                };
                let commit = Commit {
                    partition: HERE,
                    receipts: vec![receipt(&format!("rcp|{writer}"), "done")],
                    expect: vec![(key("acct|a"), expected)],
                    writes: vec![put("acct|a", record(sequence, "A"))],
                    appends: vec![Append {
                        log: key("log|a"),
                        first_sequence: sequence,
                        entries: vec![writer.to_string().into_bytes()],
                    }],
                    ..Commit::default()
                };
                match store.commit(&commit).await.unwrap() {
                    Outcome::Applied => return,
                    Outcome::Conflict(fresh) => expected = Expected::At(fresh[0].as_ref().unwrap().token),
                    other => panic!("{other:?}"),
                }
            }
            panic!("writer {writer} never got through");
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    let mut entries = store.entries(&key("log|a"), 1, 100).await.unwrap();
    entries.sort();
    let mut expected: Vec<Vec<u8>> = (0..64_u64).map(|writer| writer.to_string().into_bytes()).collect();
    expected.sort();
    assert_eq!(entries, expected);
    assert_eq!(store.load(HERE, &[key("acct|a")]).await.unwrap(), [Some(record(64, "A"))]);
}

#[tokio::test]
async fn sixty_four_callers_are_answered_in_time_while_redis_is_away_and_served_when_it_is_back() {
    let mut server = RedisServer::start_durable();
    let store = Arc::new(hasty(&server));
    assert_eq!(when_back(&store, &simple("a", "1")).await, Outcome::Applied);
    server.kill();
    let started = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..64 {
        let store = Arc::clone(&store);
        callers.spawn(async move { store.commit(&simple(&format!("c{caller}"), "1")).await });
    }
    while let Some(answer) = callers.join_next().await {
        let answer = answer.unwrap();
        assert!(matches!(answer, Err(Error::Unavailable | Error::OutcomeUnknown)), "{answer:?}");
    }
    assert_eq!(store.ping().await, Err(Error::Unavailable));
    assert_eq!(store.load(HERE, &[key("a")]).await, Err(Error::Unavailable));
    assert_eq!(store.commit(&simple("b", "1")).await, Err(Error::Unavailable), "nobody to send it to");
    // Twice what one call may take, and room for a busy machine.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());

    server.restart();
    assert_eq!(when_back(&store, &simple("b", "2")).await, Outcome::Applied);
    assert_eq!(store.load(HERE, &[key("a")]).await.unwrap(), [Some(record(1, "1"))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_resent_while_redis_is_killed_again_and_again_are_applied_once_each() {
    const WRITERS: usize = 16;
    const COMMITS: usize = 40;
    const KILLS: usize = 4;
    let mut server = RedisServer::start_durable();
    let store = Arc::new(hasty(&server));
    let (progress, mut applied) = tokio::sync::mpsc::channel(1);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, progress) = (Arc::clone(&store), progress.clone());
        writers.spawn(async move {
            for number in 0..COMMITS {
                let commit = Commit {
                    partition: HERE,
                    receipts: vec![receipt(&format!("rcp|{writer}|{number}"), "done")],
                    deltas: vec![Delta { key: key("bud|all"), delta: 1 }],
                    feed: vec![format!("{writer}|{number}").into_bytes()],
                    ..Commit::default()
                };
                match when_back(&store, &commit).await {
                    Outcome::Applied => {}
                    Outcome::Seen(seen) => assert!(seen[0].same_content, "an earlier send was applied"),
                    other => panic!("{other:?}"),
                }
                progress.send(()).await.unwrap();
            }
        });
    }
    drop(progress);
    let mut count = 0;
    while applied.recv().await.is_some() {
        count += 1;
        if count % (WRITERS * COMMITS / (KILLS + 1)) == 0 && count < WRITERS * COMMITS {
            server.restart();
        }
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    assert_eq!(count, WRITERS * COMMITS);
    assert_eq!(store.left(&key("bud|all")).await.unwrap(), i64::try_from(count).unwrap());
    let mut feed: Vec<_> = store.feed(HERE, 2 * count).await.unwrap().into_iter().map(|item| item.body).collect();
    feed.sort();
    feed.dedup();
    assert_eq!(feed.len(), count);
    assert_eq!(server.command::<u64>(&["GET", &physical(&server, "feedseq")]), u64::try_from(count).unwrap());
}

#[tokio::test]
async fn a_commit_to_a_hanging_redis_has_an_unknown_outcome_and_a_resend_learns_it() {
    let server = RedisServer::start();
    let store = hasty(&server);
    assert_eq!(when_back(&store, &simple("a", "1")).await, Outcome::Applied);
    server.stop();
    let started = Instant::now();
    assert_eq!(store.commit(&simple("b", "1")).await, Err(Error::OutcomeUnknown), "it was sent");
    assert_eq!(store.commit(&simple("b", "1")).await, Err(Error::Unavailable), "it was not sent again");
    assert_eq!(store.ping().await, Err(Error::Unavailable));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    server.cont();
    // The stopped server works off what it had received: the first call is among it.
    assert!(matches!(when_back(&store, &simple("b", "1")).await, Outcome::Seen(seen) if seen[0].same_content));
    assert_eq!(store.load(HERE, &[key("b")]).await.unwrap(), [Some(record(1, "1"))]);
}

#[tokio::test]
async fn a_store_made_before_redis_is_there_serves_once_it_is() {
    let mut server = RedisServer::start();
    server.kill();
    let store = store(&server);
    assert_eq!(store.ping().await, Err(Error::Unavailable));
    assert_eq!(store.now_ms().await, Err(Error::Unavailable));
    assert_eq!(store.commit(&everything()).await, Err(Error::Unavailable));
    server.restart();
    store.ping().await.unwrap();
    assert_eq!(store.commit(&everything()).await.unwrap(), Outcome::Applied);
}

#[tokio::test]
async fn another_number_of_partitions_or_a_newer_format_is_refused() {
    let server = RedisServer::start();
    store(&server).ping().await.unwrap();
    let other = RedisStore::connect(RedisSettings::new(server.url()), Layout::new(32).unwrap()).unwrap();
    let refused = Error::OtherDeployment { setting: "partitions", found: "16".into(), wanted: "32".into() };
    assert_eq!(other.ping().await, Err(refused.clone()));
    assert_eq!(other.load(HERE, &[key("a")]).await, Err(refused.clone()));
    assert_eq!(other.commit(&simple("a", "1")).await, Err(refused));

    let elsewhere = RedisSettings { namespace: "other".into(), ..RedisSettings::new(server.url()) };
    RedisStore::connect(elsewhere, Layout::new(32).unwrap()).unwrap().ping().await.unwrap();

    let _: String = server.command(&["SET", "g1:meta", "format=2 partitions=16"]);
    assert_eq!(store(&server).ping().await, Err(Error::SchemaTooNew { found: 2, known: 1 }));
}

#[test]
fn bad_settings_are_named_and_the_url_is_not_quoted() {
    let good = || RedisSettings::new("redis://user:secret@127.0.0.1:1/0");
    RedisStore::connect(good(), layout()).unwrap();
    for (setting, bad) in [
        ("url", RedisSettings { url: "".into(), ..good() }),
        ("url", RedisSettings { url: "http://user:secret@127.0.0.1".into(), ..good() }),
        ("url", RedisSettings { url: "redis://user:secret@127.0.0.1:port".into(), ..good() }),
        ("url", RedisSettings { url: "redis://user:secret@a,redis://user:secret@b".into(), ..good() }),
        ("url", RedisSettings { url: "redis://user:secret@a/1".into(), topology: Topology::Cluster, ..good() }),
        ("url", RedisSettings { url: "redis://secret@a,rediss://b".into(), topology: Topology::Cluster, ..good() }),
        ("sentinel_master", RedisSettings { topology: Topology::Sentinel { master: "".into() }, ..good() }),
        ("tls", RedisSettings { tls: Some(Tls { ca: Some(b"no PEM".to_vec()), identity: None }), ..good() }),
        ("namespace", RedisSettings { namespace: "".into(), ..good() }),
        ("namespace", RedisSettings { namespace: "a{b}".into(), ..good() }),
        ("namespace", RedisSettings { namespace: "a".repeat(33), ..good() }),
        ("connect_timeout_ms", RedisSettings { connect_timeout_ms: 0, ..good() }),
        ("response_timeout_ms", RedisSettings { response_timeout_ms: 60_001, ..good() }),
    ] {
        assert!(!format!("{bad:?}").contains("secret"));
        let error = RedisStore::connect(bad, layout()).err().unwrap();
        assert_eq!(error.setting, setting);
        assert!(!error.to_string().contains("secret") && error.to_string().contains(setting), "{error}");
    }
}

#[tokio::test]
async fn a_walk_goes_on_where_it_stopped_and_sees_every_partition() {
    let server = RedisServer::start();
    let settings =
        RedisSettings { connect_timeout_ms: 10_000, response_timeout_ms: 10_000, ..RedisSettings::new(server.url()) };
    let store = RedisStore::connect(settings, Layout::new(1_000).unwrap()).unwrap();
    let busy = [0_u16, 1, 255, 256, 257, 700, 999];
    for partition in busy.map(Partition) {
        let feed = (0..70_u8).map(|n| vec![n]).collect();
        let due = (0..70).map(|n| Due { subject: format!("s{n:02}").into(), at_ms: Some(1_000 - n) }).collect();
        let commit = Commit { partition, feed, due, ..Commit::default() };
        assert_eq!(store.commit(&commit).await.unwrap(), Outcome::Applied);
    }
    for (limit, of_each) in [(1_000_000, 64), (100, 64), (10, 10), (1, 1)] {
        let (mut feed, mut due) = (Vec::new(), Vec::new());
        let mut from = Some(Partition(0));
        while let Some(at) = from {
            let page = store.feed_page(at, limit).await.unwrap();
            assert!(page.items.len() < limit + 64);
            feed.extend(page.items);
            assert!(page.next.is_none_or(|next| at < next), "the walk goes forward");
            from = page.next;
        }
        let mut from = Some(Partition(0));
        while let Some(at) = from {
            let page = store.due_page(at, 1_000, limit).await.unwrap();
            due.extend(page.items);
            assert!(page.next.is_none_or(|next| at < next), "the walk goes forward");
            from = page.next;
        }
        let feed: Vec<_> = feed.iter().map(|item| (item.partition.0, item.position, item.body.clone())).collect();
        let each = |p: u16| (1..=of_each).map(move |n: u64| (p, n, vec![u8::try_from(n - 1).unwrap()]));
        assert_eq!(feed, busy.into_iter().flat_map(each).collect::<Vec<_>>(), "limit {limit}");
        let due: Vec<_> = due.iter().map(|item| (item.partition.0, item.at_ms, item.subject.to_string())).collect();
        // The earliest first: the last of the seventy.
        let each = |p: u16| (0..of_each).map(move |n| (p, 931 + i64::try_from(n).unwrap(), format!("s{:02}", 69 - n)));
        assert_eq!(due, busy.into_iter().flat_map(each).collect::<Vec<_>>(), "limit {limit}");
    }
    for limit in [0, 1, 1_000] {
        assert_eq!(store.feed_page(Partition(1_000), limit).await.unwrap().next, None, "there is no such partition");
    }
    assert!(store.feed_page(Partition(0), 0).await.unwrap().items.is_empty());
    assert!(store.feed(Partition(0), 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_clock_is_the_servers() {
    let server = RedisServer::start();
    let store = store(&server);
    let (before, _): (i64, i64) = server.command(&["TIME"]);
    let now = store.now_ms().await.unwrap().unwrap();
    let (after, _): (i64, i64) = server.command(&["TIME"]);
    assert!(before * 1_000 <= now && now < (after + 1) * 1_000);
}
