//! What a commit costs on each store, through the port: an order of one member, alone and with others at once.
//!
//! Every commit reads a member's record by its token and writes it anew (400 bytes), with an order record, a
//! receipt, three entries of 100 bytes and a due time. The embedded store syncs its file,
//! Redis its append-only file (`appendfsync always`) before they answer; both on the machine's temporary directory.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a bench fails by panicking")]

#[path = "../tests/support/redis.rs"]
mod redis_server;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use guerdon::clock::Clock;
use guerdon::store::embedded::EmbeddedStore;
use guerdon::store::memory::MemoryStore;
use guerdon::store::redis::{RedisSettings, RedisStore};
use guerdon::store::{
    Append, Commit, Due, Expected, Key, Layout, NewReceipt, Outcome, Partition, Receipt, Record, Store, Token, Write,
};
use redis_server::RedisServer;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const CONCURRENT: [u64; 3] = [1, 8, 64];

/// A member who orders again and again; nobody else writes to the account.
struct Member {
    name: String,
    partition: Partition,
    orders: u64,
}

impl Member {
    /// Under a name that no bench has used before.
    fn new() -> Member {
        static MEMBERS: AtomicU64 = AtomicU64::new(0);
        let n = MEMBERS.fetch_add(1, Ordering::Relaxed);
        Member { name: format!("member-{n:08}"), partition: Partition((n % 4_096) as u16), orders: 0 }
    }

    fn key(&self, kind: &str, rest: &str) -> Key {
        Key { partition: self.partition, name: format!("{kind}|bakery|{}{rest}", self.name).into() }
    }

    fn order(&mut self) -> Commit {
        let before = self.token();
        let first_sequence = 3 * self.orders + 1;
        self.orders += 1;
        let (account, order) = (self.key("acct", ""), self.key("ord", &format!("|{}", self.orders)));
        let expected = if first_sequence == 1 { Expected::Absent } else { Expected::At(before) };
        let receipt = Receipt { fingerprint: vec![0x11; 64], body: vec![0x22; 120] };
        let record = |len| Some(Record { token: self.token(), body: vec![0x33; len] });
        Commit {
            partition: self.partition,
            receipts: vec![NewReceipt {
                key: self.key("rcp", &format!("|request-{}", self.orders)),
                receipt,
                keep_s: 604_800,
            }],
            expect: vec![(account.clone(), expected), (order.clone(), Expected::Absent)],
            writes: vec![Write { key: account, record: record(400) }, Write { key: order, record: record(300) }],
            appends: vec![Append { log: self.key("log", ""), first_sequence, entries: vec![vec![0x44; 100]; 3] }],
            due: vec![Due { subject: format!("bakery|{}", self.name).into(), at_ms: Some(self.orders as i64) }],
            ..Commit::default()
        }
    }

    fn token(&self) -> Token {
        Token::new(3 * self.orders, &[0x55; 32])
    }
}

/// The time of `commits` commits by `concurrent` members at once.
fn commits(runtime: &Runtime, store: &Arc<dyn Store>, concurrent: u64, commits: u64) -> Duration {
    runtime.block_on(async {
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for n in 0..concurrent {
            let store = store.clone();
            let share = commits / concurrent + u64::from(n < commits % concurrent);
            tasks.spawn(async move {
                let mut member = Member::new();
                for _ in 0..share {
                    assert_eq!(store.commit(&member.order()).await, Ok(Outcome::Applied));
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        started.elapsed()
    })
}

/// The time of `loads` loads of an account and an order, one after the other.
fn loads(runtime: &Runtime, store: &Arc<dyn Store>, loads: u64) -> Duration {
    runtime.block_on(async {
        let mut member = Member::new();
        assert_eq!(store.commit(&member.order()).await, Ok(Outcome::Applied));
        let keys = [member.key("acct", ""), member.key("ord", "|1")];
        let started = Instant::now();
        for _ in 0..loads {
            black_box(store.load(member.partition, &keys).await.unwrap());
        }
        started.elapsed()
    })
}

fn bench(criterion: &mut Criterion, store: &Arc<dyn Store>, runtime: &Runtime) {
    let mut group = criterion.benchmark_group(format!("store/{}", store.name()));
    group.throughput(Throughput::Elements(1));
    for concurrent in CONCURRENT {
        group.bench_function(BenchmarkId::new("commit", concurrent), |bencher| {
            bencher.iter_custom(|count| commits(runtime, store, concurrent, count));
        });
    }
    group.bench_function("load", |bencher| bencher.iter_custom(|count| loads(runtime, store, count)));
    group.finish();
}

fn stores(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let layout = Layout::new(Layout::PARTITIONS_DEFAULT).unwrap();
    let clock = Clock::system().for_store();

    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone()));
    bench(criterion, &memory, &runtime);

    let directory = TempDir::new().unwrap();
    let embedded = EmbeddedStore::open(&directory.path().join("guerdon.db"), layout, clock).unwrap();
    let embedded: Arc<dyn Store> = Arc::new(embedded);
    bench(criterion, &embedded, &runtime);

    let server = RedisServer::start_durable();
    let settings = RedisSettings { response_timeout_ms: 10_000, ..RedisSettings::new(server.url()) };
    let redis: Arc<dyn Store> = Arc::new(RedisStore::connect(settings, layout).unwrap());
    bench(criterion, &redis, &runtime);
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3));
    targets = stores
}
criterion_main!(benches);
