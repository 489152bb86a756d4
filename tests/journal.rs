//! What a journal is for: Redis loses what it has acknowledged, and it is there again. Each loss here is certain, not
//! left to chance: Redis comes back with a snapshot that was made before, or a replica takes over that had been cut off.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and tells more where the environment says so"
)]

mod support {
    pub(crate) mod chance;
    pub(crate) mod redis;
    pub(crate) mod topologies;
}

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::task::{JoinSet, block_in_place};

use guerdon::store::journal::{Again, Journal, JournalSettings, OpenError, Reapply};
use guerdon::store::redis::{RedisSettings, RedisStore};
use guerdon::store::{
    Commit, Delta, Error, Expected, Key, Layout, NewReceipt, Outcome, Partition, Receipt, Record, Store, Token, Write,
};

use self::support::chance::Chance;
use self::support::redis::RedisServer;
use self::support::topologies::{Cluster, Sentinels, WAIT_MAX, until};

const PAUSE: Duration = Duration::from_millis(5);
const PARTITIONS: u16 = 4;
const BYTES_MAX: u64 = 1 << 30;
/// How long instances that are gone are waited for.
const WAIT: Duration = Duration::from_secs(2);
const KEEP: Duration = Duration::from_secs(60);

/// What the commits of this test do: each adds one to the sum that a record holds.
struct Sums;

#[async_trait]
impl Reapply for Sums {
    async fn again(&self, lost: &Commit, fresh: &[Option<Record>]) -> Again {
        // Nobody was answered.
        let Some(answered) = lost.receipts.first() else { return Again::There };
        let name = String::from_utf8(answered.receipt.body.clone()).unwrap();
        let again = add(lost.partition.0, &name, fresh[0].as_ref());
        Again::Apply(Box::new(Commit { feed: lost.feed.clone(), ..again }))
    }
}

fn key(partition: u16, name: &str) -> Key {
    Key { partition: Partition(partition), name: name.into() }
}

/// Adds one to the sum, decided on the record as it was found; under a receipt.
fn add(partition: u16, name: &str, found: Option<&Record>) -> Commit {
    let sum = found.map_or(0, |record| record.token.sequence()) + 1;
    let mut head = [0; 32];
    head[..8].copy_from_slice(&sum.to_be_bytes());
    // The hash of a chain: it depends on all that came before.
    let before = found.map_or([0; 16], |record| record.token.0[8..].try_into().unwrap());
    for (byte, (old, new)) in head.iter_mut().zip(before.iter().zip(name.bytes().cycle())) {
        *byte = byte.wrapping_add(old.rotate_left(3)).wrapping_add(new);
    }
    let record = Record { token: Token::new(sum, &head), body: name.into() };
    let receipt = Receipt { fingerprint: b"print".to_vec(), body: name.into() };
    Commit {
        partition: Partition(partition),
        receipts: vec![NewReceipt { key: key(partition, &format!("rcp|{name}")), receipt, keep_s: 600 }],
        expect: vec![(key(partition, "sum"), found.map_or(Expected::Absent, |record| Expected::At(record.token)))],
        writes: vec![Write { key: key(partition, "sum"), record: Some(record) }],
        deltas: vec![Delta { key: key(partition, "count"), delta: 1 }],
        ..Commit::default()
    }
}

/// Once whoever had it open has let go of it, which a store does in the background.
fn try_open(dir: &Path, bytes_max: u64) -> Result<Journal, OpenError> {
    let mut opened = None;
    until("the journal is free", || {
        let tried = Journal::open(&JournalSettings { dir: dir.to_owned(), bytes_max });
        let busy = matches!(tried, Err(OpenError::InUse { .. }));
        opened = Some(tried);
        !busy
    });
    opened.unwrap()
}

fn open(dir: &Path) -> Arc<Journal> {
    Arc::new(block_in_place(|| try_open(dir, BYTES_MAX)).unwrap())
}

fn settings(settings: RedisSettings) -> RedisSettings {
    if let Ok(filter) = std::env::var("GUERDON_TEST_LOG") {
        let told = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        let _once = told.try_init();
    }
    RedisSettings { connect_timeout_ms: 500, response_timeout_ms: 500, ..settings }
}

fn journaled(at: RedisSettings, dir: &Path) -> Arc<RedisStore> {
    let layout = Layout::new(PARTITIONS).unwrap();
    Arc::new(RedisStore::connect_journaled(settings(at), layout, open(dir), Arc::new(Sums), WAIT, KEEP).unwrap())
}

fn plain(at: RedisSettings) -> Arc<RedisStore> {
    Arc::new(RedisStore::connect(settings(at), Layout::new(PARTITIONS).unwrap()).unwrap())
}

/// Writes until it is acknowledged, as the service does and the caller behind it.
async fn settle(store: &RedisStore, partition: u16, name: &str) {
    settle_with(store, partition, name, &[]).await;
}

/// The same, with effects for others.
async fn settle_with(store: &RedisStore, partition: u16, name: &str, effects: &[&str]) {
    let started = Instant::now();
    let feed: Vec<Vec<u8>> = effects.iter().map(|effect| effect.as_bytes().to_vec()).collect();
    let mut found: Option<Record> = None;
    loop {
        match store.commit(&Commit { feed: feed.clone(), ..add(partition, name, found.as_ref()) }).await {
            Ok(Outcome::Applied | Outcome::Seen(_)) => return,
            Ok(Outcome::Conflict(fresh)) => found = fresh.into_iter().next().flatten(),
            Err(Error::Unavailable | Error::OutcomeUnknown | Error::Moved) if started.elapsed() < WAIT_MAX => {
                tokio::time::sleep(PAUSE).await;
            }
            other => panic!("{name}: {other:?} after {:?}", started.elapsed()),
        }
    }
}

/// Writers that go on until told otherwise, and what was acknowledged to them.
struct Load {
    enough: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    writers: JoinSet<Vec<(u16, String)>>,
}

impl Load {
    fn start(stores: &[Arc<RedisStore>]) -> Load {
        let (enough, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut writers = JoinSet::new();
        for (at, store) in stores.iter().enumerate() {
            for partition in 0..PARTITIONS {
                let (store, enough) = (Arc::clone(store), Arc::clone(&enough));
                let acknowledged = Arc::clone(&acknowledged);
                writers.spawn(async move {
                    let mut told = Vec::new();
                    while !enough.load(Ordering::Acquire) {
                        let name = format!("{at}-{partition}-{}", told.len());
                        settle(&store, partition, &name).await;
                        told.push((partition, name));
                        acknowledged.fetch_add(1, Ordering::AcqRel);
                    }
                    told
                });
            }
        }
        Load { enough, acknowledged, writers }
    }

    /// Until so many more were acknowledged.
    fn until_more(&self, more: usize) {
        let before = self.acknowledged.load(Ordering::Acquire);
        until("writes are acknowledged", || before + more <= self.acknowledged.load(Ordering::Acquire));
    }

    async fn end(mut self) -> Vec<(u16, String)> {
        self.enough.store(true, Ordering::Release);
        let mut told = Vec::new();
        while let Some(ended) = self.writers.join_next().await {
            told.extend(ended.unwrap());
        }
        told
    }
}

/// What was acknowledged and is not there; whatever else is there was applied once.
async fn lost(store: &RedisStore, told: &[(u16, String)]) -> usize {
    let mut missing = 0;
    let mut there = [0; PARTITIONS as usize];
    for (partition, name) in told {
        match store.receipt(&key(*partition, &format!("rcp|{name}"))).await.unwrap() {
            Some(_) => there[usize::from(*partition)] += 1,
            None => missing += 1,
        }
    }
    for partition in 0..PARTITIONS {
        let count = store.left(&key(partition, "count")).await.unwrap();
        let sum = store.load(Partition(partition), &[key(partition, "sum")]).await.unwrap();
        let sum = sum[0].as_ref().map_or(0, |record| record.token.sequence());
        assert_eq!((count, sum), (there[usize::from(partition)], count as u64), "in partition {partition}");
    }
    missing
}

/// Acknowledged writes of two instances, while something breaks. How many were acknowledged, and how many of them are lost.
async fn through(stores: &[Arc<RedisStore>], breaks: impl FnOnce(&Load)) -> (usize, usize) {
    let load = Load::start(stores);
    block_in_place(|| {
        load.until_more(40);
        breaks(&load);
        load.until_more(40);
    });
    let told = load.end().await;
    (told.len(), lost(&stores[0], &told).await)
}

/// A Redis that comes back as it was some writes ago.
async fn after_loss(redis: &mut RedisServer, stores: &[Arc<RedisStore>], losses: usize) -> (usize, usize) {
    let breaks = |load: &Load| {
        let _: String = redis.command(&["SAVE"]);
        for _ in 0..losses {
            load.until_more(200);
            redis.restart();
        }
    };
    through(stores, breaks).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_killed_redis_loses_what_it_acknowledged_and_with_a_journal_nothing() {
    let mut redis = RedisServer::start();
    let at = || RedisSettings::new(redis.url());
    let stores = [plain(at()), plain(at())];
    let (acknowledged, lost_by_store) = after_loss(&mut redis, &stores, 1).await;
    assert!(200 < lost_by_store, "the loss is certain: {lost_by_store} of {acknowledged}");
    drop(stores);

    let mut pair = Pair::start();
    let stores = [pair.instance(0), pair.instance(1)];
    // The second time the same snapshot comes back: what was brought back is lost once more.
    let (all, lost_by_journal) = after_loss(&mut pair.redis, &stores, 2).await;
    assert_eq!(lost_by_journal, 0, "of {all}");
    #[allow(clippy::print_stderr, reason = "the figures that the documents state")]
    {
        eprintln!(
            "killed Redis: `store` lost {lost_by_store} of {acknowledged}, `journaled` {lost_by_journal} of {all}"
        );
    }
}

/// One by one, and two that come back at about the same time: each instance finds another of them first.
const LOSSES: &[(usize, usize)] = &[(0, 0), (1, 1), (0, 1), (1, 2), (2, 0), (0, 1), (2, 1)];

/// Masters that come back as they were some writes ago.
async fn after_losses(cluster: &mut Cluster, stores: &[Arc<RedisStore>], losses: &[(usize, usize)]) -> (usize, usize) {
    let breaks = |load: &Load| {
        for node in &cluster.nodes {
            let _: String = node.command(&["SAVE"]);
        }
        for &(one, other) in losses {
            load.until_more(100);
            cluster.nodes[one].kill();
            cluster.nodes[other].restart();
            if one != other {
                cluster.nodes[one].restart();
            }
            cluster.until_up();
        }
    };
    through(stores, breaks).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_killed_masters_of_a_cluster_lose_nothing_with_a_journal() {
    let mut cluster = Cluster::start(0, &[]);
    let stores = [plain(cluster.settings()), plain(cluster.settings())];
    let (acknowledged, lost_by_store) = after_losses(&mut cluster, &stores, &LOSSES[..3]).await;
    assert!(200 < lost_by_store, "the loss is certain: {lost_by_store} of {acknowledged}");
    drop((stores, cluster));

    let mut cluster = Cluster::start(0, &[]);
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let stores = [journaled(cluster.settings(), one.path()), journaled(cluster.settings(), other.path())];
    let (all, lost_by_journal) = after_losses(&mut cluster, &stores, LOSSES).await;
    assert_eq!(lost_by_journal, 0, "of {all}");
    #[allow(clippy::print_stderr, reason = "the figures that the documents state")]
    {
        eprintln!(
            "killed masters: `store` lost {lost_by_store} of {acknowledged}, `journaled` {lost_by_journal} of {all}"
        );
    }
}

/// Cuts the replica off, so that it misses what is written from now on.
fn cut_off(both: &Sentinels) {
    let (master, replica) = (both.master(), 1 - both.master());
    let _: String = both.data[replica].command(&["CONFIG", "SET", "masteruser", "nobody"]);
    let _: String = both.data[replica].command(&["CONFIG", "SET", "masterauth", "nothing"]);
    let _: i64 = both.data[master].command(&["CLIENT", "KILL", "TYPE", "replica"]);
    until("the replica is cut off", || {
        both.data[replica].command::<String>(&["INFO", "replication"]).contains("master_link_status:down")
    });
}

async fn after_failover(both: &mut Sentinels, stores: &[Arc<RedisStore>]) -> (usize, usize) {
    let breaks = |load: &Load| {
        // In the first moments a replica is sent nothing.
        let replica = 1 - both.master();
        until("the replica follows", || 20 < both.data[replica].command::<i64>(&["DBSIZE"]));
        cut_off(both);
        load.until_more(200);
        let master = both.master();
        both.data[master].kill();
        until("the other one is the master", || both.master() != master);
    };
    through(stores, breaks).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_failover_to_a_replica_that_lagged_loses_nothing_with_a_journal() {
    let mut both = Sentinels::start(&[]);
    let stores = [plain(both.settings()), plain(both.settings())];
    let (acknowledged, lost_by_store) = after_failover(&mut both, &stores).await;
    assert!(200 <= lost_by_store, "the loss is certain: {lost_by_store} of {acknowledged}");
    drop((stores, both));

    let mut both = Sentinels::start(&[]);
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let stores = [journaled(both.settings(), one.path()), journaled(both.settings(), other.path())];
    let (all, lost_by_journal) = after_failover(&mut both, &stores).await;
    assert_eq!(lost_by_journal, 0, "of {all}");
    #[allow(clippy::print_stderr, reason = "the figures that the documents state")]
    {
        eprintln!("failover: `store` lost {lost_by_store} of {acknowledged}, `journaled` {lost_by_journal} of {all}");
    }
}

/// So many writes of each instance in turn, to one partition.
async fn in_turn(stores: &[&Arc<RedisStore>], prefix: &str, rounds: usize) -> Vec<(u16, String)> {
    let mut told = Vec::new();
    for round in 0..rounds {
        for (at, store) in stores.iter().enumerate() {
            let name = format!("{prefix}-{at}-{round}");
            settle(store, 1, &name).await;
            told.push((1, name));
        }
    }
    told
}

/// A Redis that comes back as it was when it was last told to save, and the journals of two instances on it.
struct Pair {
    redis: RedisServer,
    folders: [TempDir; 2],
}

impl Pair {
    fn start() -> Pair {
        Pair { redis: RedisServer::start(), folders: [TempDir::new().unwrap(), TempDir::new().unwrap()] }
    }

    /// One of the two, as it is now or comes back.
    fn instance(&self, at: usize) -> Arc<RedisStore> {
        journaled(RedisSettings::new(self.redis.url()), self.folders[at].path())
    }

    /// With both instances, and what they wrote in turn before Redis saved.
    async fn saved(rounds: usize) -> (Pair, [Arc<RedisStore>; 2], Vec<(u16, String)>) {
        let pair = Pair::start();
        let both = [pair.instance(0), pair.instance(1)];
        let told = in_turn(&[&both[0], &both[1]], "before", rounds).await;
        let _: String = pair.redis.command(&["SAVE"]);
        (pair, both, told)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_an_instance_that_was_away_brings_what_it_has_when_it_comes_back() {
    let (mut pair, [first, second], mut told) = Pair::saved(5).await;
    told.extend(in_turn(&[&first, &second], "lost", 20).await);
    // Every other commit is in the journal of an instance that is gone.
    drop(second);
    block_in_place(|| pair.redis.restart());
    let waited = Instant::now();
    told.extend(in_turn(&[&first], "after", 5).await);
    assert!(WAIT / 2 < waited.elapsed(), "it is waited for: {:?}", waited.elapsed());
    assert_eq!(lost(&first, &told).await, 20, "what the other one has is missing, and nothing else");

    let second = pair.instance(1);
    told.extend(in_turn(&[&second, &first], "again", 5).await);
    until_all_is_there(&second, &told).await;
}

/// Until all that was acknowledged is there again.
async fn until_all_is_there(store: &RedisStore, told: &[(u16, String)]) {
    until("all is there", || block_in_place(|| Handle::current().block_on(missing(store, told))) == 0);
    assert_eq!(lost(store, told).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_number_that_was_given_again_hides_nothing_that_had_it_before() {
    let (mut pair, [first, second], mut told) = Pair::saved(3).await;
    told.extend(in_turn(&[&first, &second], "lost", 5).await);
    told.extend(in_turn(&[&second], "beyond", 10).await);
    drop(second);
    // Of the numbers that the second one's had, the first one's next get some; and get them again when all is lost once more.
    block_in_place(|| pair.redis.restart());
    told.extend(in_turn(&[&first], "instead", 20).await);
    block_in_place(|| pair.redis.restart());
    told.extend(in_turn(&[&first], "after", 2).await);
    let second = pair.instance(1);
    told.extend(in_turn(&[&second, &first], "again", 2).await);
    until_all_is_there(&first, &told).await;
    // What came back late comes back once more.
    block_in_place(|| pair.redis.restart());
    told.extend(in_turn(&[&second, &first], "and-again", 2).await);
    until_all_is_there(&second, &told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_two_lives_that_began_alike_are_told_apart() {
    let (mut pair, [first, second], mut told) = Pair::saved(3).await;
    told.extend(in_turn(&[&first], "one", 3).await);
    drop(first);
    block_in_place(|| pair.redis.restart());
    told.extend(in_turn(&[&second], "two", 5).await);
    drop(second);
    // Of the life before nobody is left to tell.
    block_in_place(|| pair.redis.restart());
    let first = pair.instance(0);
    told.extend(in_turn(&[&first], "three", 5).await);
    let second = pair.instance(1);
    told.extend(in_turn(&[&second, &first], "again", 2).await);
    until_all_is_there(&first, &told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_what_nobody_was_answered_comes_back_late_where_what_it_was_decided_on_still_stands_and_else_not() {
    for goes_on in [false, true] {
        let (mut pair, [first, second], _told) = Pair::saved(3).await;
        let sum = key(1, "sum");
        let found = second.load(Partition(1), std::slice::from_ref(&sum)).await.unwrap().remove(0);
        // Only the answer is lost: whoever reads the record may go on from it.
        let unanswered = Commit { receipts: Vec::new(), ..add(1, "unanswered", found.as_ref()) };
        pair.redis.stop();
        assert_eq!(second.commit(&unanswered).await, Err(Error::OutcomeUnknown));
        pair.redis.cont();
        until("it is applied", || block_in_place(|| sum_of(&first)) == Some((7, "unanswered".to_owned())));
        drop(second);
        block_in_place(|| pair.redis.restart());
        if goes_on {
            settle(&first, 1, "instead").await;
        }
        until("the partition is open", || block_in_place(|| sum_of(&first)).is_some());

        let second = pair.instance(1);
        until("it is open to the other one, too", || block_in_place(|| sum_of(&second)).is_some());
        let expected = if goes_on { "instead" } else { "unanswered" };
        assert_eq!(block_in_place(|| sum_of(&second)), Some((7, expected.to_owned())));
        assert_eq!(second.left(&key(1, "count")).await, Ok(7));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_what_took_a_lost_effect_off_the_feed_takes_no_other_off_that_got_its_position() {
    let (mut pair, [first, second], _told) = Pair::saved(3).await;
    settle_with(&second, 1, "lost", &["delivered"]).await;
    let delivered = second.feed(Partition(1), 10).await.unwrap().remove(0);
    let acknowledged = Commit { partition: Partition(1), feed_done: vec![delivered.position], ..Commit::default() };
    until("it is off the feed", || {
        block_in_place(|| Handle::current().block_on(second.commit(&acknowledged))) == Ok(Outcome::Applied)
    });
    drop(second);
    block_in_place(|| pair.redis.restart());
    settle_with(&first, 1, "instead", &["waiting"]).await;
    let waiting = first.feed(Partition(1), 10).await.unwrap().remove(0);
    assert_eq!((&*waiting.body, waiting.position), (&b"waiting"[..], delivered.position));

    let second = pair.instance(1);
    until("it is open to the other one, too", || block_in_place(|| sum_of(&second)).is_some());
    let feed = second.feed(Partition(1), 10).await.unwrap().into_iter().map(|item| item.body);
    assert_eq!(feed.collect::<Vec<_>>(), [b"waiting".to_vec(), b"delivered".to_vec()]);
}

/// The sum of the partition that is written in turn, and who wrote it last; `None`: it cannot be read now.
fn sum_of(store: &RedisStore) -> Option<(u64, String)> {
    let sum = key(1, "sum");
    let loaded = Handle::current().block_on(store.load(sum.partition, std::slice::from_ref(&sum)));
    let record = loaded.ok()?.remove(0)?;
    Some((record.token.sequence(), String::from_utf8(record.body).unwrap()))
}

/// How many steps a drawn history has: more in the long form of the fault suite.
fn steps() -> usize {
    let asked = std::env::var("GUERDON_FAULTS").ok().and_then(|asked| asked.parse::<usize>().ok());
    asked.map_or(12, |asked| asked.max(12))
}

/// What was done so far: told when the test fails, however it does.
struct History {
    seed: u64,
    steps: Vec<String>,
}

impl Drop for History {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[allow(clippy::print_stderr, reason = "how to do it again")]
            {
                eprintln!("seed {}:\n{}", self.seed, self.steps.join("\n"));
            }
        }
    }
}

/// Instances come and go, and Redis comes back as it was some time ago, in whatever order: in the end all is there that any of
/// them had acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_whatever_order_instances_and_losses_come_in_nothing_is_lost() {
    const INSTANCES: usize = 3;
    let (seed, mut chance) = Chance::seeded();
    let mut history = History { seed, steps: Vec::new() };
    let mut redis = RedisServer::start();
    let folders: Vec<TempDir> = (0..INSTANCES).map(|_| TempDir::new().unwrap()).collect();
    let start = |redis: &RedisServer, at: usize| journaled(RedisSettings::new(redis.url()), folders[at].path());
    let mut stores: Vec<Option<Arc<RedisStore>>> = (0..INSTANCES).map(|at| Some(start(&redis, at))).collect();
    let mut told = Vec::new();
    for (at, store) in stores.iter().enumerate() {
        settle(store.as_ref().unwrap(), 1, &format!("first-{at}")).await;
        told.push((1, format!("first-{at}")));
    }
    let _: String = redis.command(&["SAVE"]);
    for step in 0..steps() {
        let at = chance.below(INSTANCES);
        let alive = stores.iter().flatten().count();
        match (chance.below(10), &stores[at]) {
            (0, _) => {
                history.steps.push("SAVE".to_owned());
                let _: String = redis.command(&["SAVE"]);
            }
            (1 | 2, _) => {
                history.steps.push("Redis as it was".to_owned());
                block_in_place(|| redis.restart());
            }
            (3, _) => {
                history.steps.push("Redis as it was, in the middle of writes".to_owned());
                let live: Vec<Arc<RedisStore>> = stores.iter().flatten().cloned().collect();
                let mut writers = JoinSet::new();
                for (writer, store) in live.into_iter().enumerate() {
                    writers.spawn(async move {
                        let names: Vec<String> = (0..8).map(|n| format!("{step}-under-{writer}-{n}")).collect();
                        for name in &names {
                            settle(&store, 1, name).await;
                        }
                        names
                    });
                }
                block_in_place(|| redis.restart());
                while let Some(ended) = writers.join_next().await {
                    told.extend(ended.unwrap().into_iter().map(|name| (1, name)));
                }
            }
            (4 | 5, Some(_)) if 1 < alive => {
                history.steps.push(format!("{at} goes"));
                stores[at] = None;
            }
            (_, None) => {
                history.steps.push(format!("{at} comes"));
                stores[at] = Some(start(&redis, at));
            }
            (_, Some(store)) => {
                let count = 1 + chance.below(6);
                history.steps.push(format!("{at} writes {count}"));
                for n in 0..count {
                    let name = format!("{step}-{at}-{n}");
                    settle(store, 1, &name).await;
                    told.push((1, name));
                }
            }
        }
    }
    let all: Vec<Arc<RedisStore>> =
        stores.into_iter().enumerate().map(|(at, store)| store.unwrap_or_else(|| start(&redis, at))).collect();
    // Each of them has the partition open, and has brought what it had.
    for (at, store) in all.iter().enumerate() {
        settle(store, 1, &format!("last-{at}")).await;
        told.push((1, format!("last-{at}")));
    }
    assert_eq!(lost(&all[0], &told).await, 0, "of {}", told.len());
}

async fn missing(store: &RedisStore, told: &[(u16, String)]) -> usize {
    let mut missing = 0;
    for (partition, name) in told {
        let receipt = store.receipt(&key(*partition, &format!("rcp|{name}"))).await.unwrap();
        missing += usize::from(receipt.is_none());
    }
    missing
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_redis_that_lost_more_than_the_journal_holds_is_not_served() {
    let mut redis = RedisServer::start();
    let dir = TempDir::new().unwrap();
    let first = journaled(RedisSettings::new(redis.url()), dir.path());
    in_turn(&[&first], "before", 3).await;
    // Nothing was saved: Redis comes back empty.
    block_in_place(|| redis.restart());
    until("it says so", || {
        let ping = block_in_place(|| Handle::current().block_on(first.ping()));
        matches!(ping, Err(Error::Unfit { .. }))
    });
    assert_eq!(first.commit(&add(1, "more", None)).await, Err(Error::Unavailable));
    assert_eq!(redis.command::<i64>(&["DBSIZE"]), 1, "nothing but the description of the deployment is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_full_journal_refuses_and_what_it_refuses_is_not_done() {
    let redis = RedisServer::start();
    let dir = TempDir::new().unwrap();
    let layout = Layout::new(PARTITIONS).unwrap();
    let journal = Arc::new(try_open(dir.path(), 16 * 1024).unwrap());
    let at = settings(RedisSettings::new(redis.url()));
    let store = RedisStore::connect_journaled(at, layout, journal, Arc::new(Sums), WAIT, KEEP).unwrap();
    let store = Arc::new(store);
    settle(&store, 1, "first").await;
    let (mut applied, mut perhaps) = (1, 0);
    let refused = loop {
        let found = store.load(Partition(1), &[key(1, "sum")]).await.unwrap().remove(0);
        match store.commit(&add(1, &format!("next-{applied}"), found.as_ref())).await {
            Ok(Outcome::Applied | Outcome::Seen(_)) => (applied, perhaps) = (applied + 1, 0),
            // A machine that has other things to do: it is sent again.
            Err(Error::OutcomeUnknown) => perhaps = 1,
            other => break other,
        }
        assert!(applied < 1_000, "it is full some time");
    };
    assert_eq!(refused, Err(Error::Unavailable));
    let there = store.left(&key(1, "count")).await.unwrap();
    assert!((applied..=applied + perhaps).contains(&there), "{there} of {applied} and {perhaps}");
    assert_eq!(store.ping().await, Err(Error::Unavailable), "who asks is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_journal_that_was_torn_at_its_end_opens_and_one_that_is_damaged_does_not() {
    let redis = RedisServer::start();
    let dir = TempDir::new().unwrap();
    let first = journaled(RedisSettings::new(redis.url()), dir.path());
    let told = in_turn(&[&first], "before", 10).await;
    drop(first);
    let file = || {
        let mut files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "journal"));
        files.sort();
        files.pop().unwrap()
    };
    let bytes = std::fs::read(file()).unwrap();
    std::fs::write(file(), &bytes[..bytes.len() - 7]).unwrap();
    let again = journaled(RedisSettings::new(redis.url()), dir.path());
    assert_eq!(lost(&again, &told).await, 0);
    settle(&again, 1, "more").await;
    drop(again);

    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "journal") {
            names.insert(path);
        }
    }
    // Not the last file: all of it had been on disk.
    let oldest = names.first().unwrap();
    let mut bytes = std::fs::read(oldest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(oldest, bytes).unwrap();
    let opened = block_in_place(|| try_open(dir.path(), BYTES_MAX));
    assert!(matches!(opened.err(), Some(OpenError::Damaged { path, .. }) if path == *oldest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_has_one_owner_and_keeps_its_name() {
    let dir = TempDir::new().unwrap();
    let first = open(dir.path());
    let name = first.instance().to_owned();
    let second = Journal::open(&JournalSettings { dir: dir.path().to_owned(), bytes_max: BYTES_MAX });
    assert!(matches!(second.err(), Some(OpenError::InUse { .. })));
    drop(first);
    assert_eq!(open(dir.path()).instance(), name);
}
