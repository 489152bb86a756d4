//! The yardstick of the store: commits like those that the server has just made, sent to the same Redis through the adapter
//! alone, with as many under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use guerdon::store::redis::{RedisSettings, RedisStore};
use guerdon::store::{
    Append, Commit, Due, Expected, Key, Layout, NewReceipt, Outcome, Partition, Receipt, Record, Store, Token, Write,
};
use redis::AsyncCommands;
use tokio::task::JoinSet;

use crate::process;
use crate::report::Capacity;
use crate::support::redis::RedisServer;

const IN_FLIGHT: u64 = 64;

/// How large what a Commit writes is, read off what the server wrote.
#[derive(Clone, Copy)]
struct Sizes {
    account: usize,
    order: usize,
    receipt: usize,
    /// Of one entry of the ledger.
    entry: usize,
}

pub(crate) async fn commits(redis: &RedisServer, extent: &Duration) -> Capacity {
    let sizes = sizes(redis).await;
    let layout = Layout::new(Layout::PARTITIONS_DEFAULT).unwrap();
    let settings = RedisSettings { response_timeout_ms: 10_000, ..RedisSettings::new(redis.url()) };
    let store: Arc<dyn Store> = Arc::new(RedisStore::connect(settings, layout).unwrap());
    run(&store, sizes, 0, *extent / 4).await;
    let before = process::cpu(redis.pid());
    let began = Instant::now();
    let done = run(&store, sizes, 1, *extent).await;
    let took = began.elapsed();
    let spent = process::cpu(redis.pid()) - before;
    Capacity {
        subject: format!("Redis alone ({}, {}, {}, {} bytes)", sizes.account, sizes.order, sizes.receipt, sizes.entry),
        workload: "Commit".to_owned(),
        in_flight: IN_FLIGHT,
        per_second: (done as f64 / took.as_secs_f64()) as u64,
        server_us: 0.0,
        redis_us: spent.as_secs_f64() * 1e6 / done.max(1) as f64,
        latency_us: None,
    }
}

async fn run(store: &Arc<dyn Store>, sizes: Sizes, round: u64, extent: Duration) -> u64 {
    let mut lanes = JoinSet::new();
    for lane in 0..IN_FLIGHT {
        let store = Arc::clone(store);
        lanes.spawn(async move {
            let mut member = Member { name: format!("yardstick-{round}-{lane}"), lane, orders: 0, sizes };
            let began = Instant::now();
            while began.elapsed() < extent {
                assert_eq!(store.commit(&member.order()).await, Ok(Outcome::Applied));
            }
            member.orders
        });
    }
    let mut sum = 0;
    while let Some(done) = lanes.join_next().await {
        sum += done.unwrap();
    }
    sum
}

/// Of one of each kind of record that is there.
async fn sizes(redis: &RedisServer) -> Sizes {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut found = [None; 4];
    let mut cursor = 0u64;
    while found.iter().any(Option::is_none) {
        let (next, keys): (u64, Vec<String>) =
            redis::cmd("SCAN").arg(cursor).arg("COUNT").arg(1_000).query_async(&mut connection).await.unwrap();
        for key in keys {
            for (at, kind) in ["acct|", "ord|", "rcp|", "log|"].iter().enumerate() {
                let is_commit = *kind != "rcp|" || key.contains("|commit-");
                if found[at].is_none() && key.contains(kind) && is_commit {
                    found[at] = Some(match *kind {
                        "log|" => connection.lindex::<_, Vec<u8>>(&key, -1).await.unwrap().len(),
                        _ => connection.strlen(&key).await.unwrap(),
                    });
                }
            }
        }
        cursor = next;
        assert!(cursor != 0 || found.iter().all(Option::is_some), "a kind of record is not there: {found:?}");
    }
    let [account, order, receipt, entry] = found.map(Option::unwrap);
    Sizes { account, order, receipt, entry }
}

struct Member {
    name: String,
    lane: u64,
    orders: u64,
    sizes: Sizes,
}

impl Member {
    fn key(&self, kind: &str, rest: &str) -> Key {
        let partition = Partition(u16::try_from(self.lane * 61 % 4_096).unwrap());
        Key { partition, name: format!("{kind}|rig|{}{rest}", self.name).into() }
    }

    /// Three entries, as for an order that earns by two rules. When something falls due changes with the first alone.
    fn order(&mut self) -> Commit {
        let token = |orders: u64| Token::new(3 * orders, &[0x55; 32]);
        let (before, first_sequence) = (token(self.orders), 3 * self.orders + 1);
        self.orders += 1;
        let (account, order) = (self.key("acct", ""), self.key("ord", &format!("|{}", self.orders)));
        let expected = if first_sequence == 1 { Expected::Absent } else { Expected::At(before) };
        let body = |len: usize| vec![0x33; len.saturating_sub(Token::LEN)];
        let record = |len| Some(Record { token: token(self.orders), body: body(len) });
        let receipt = Receipt { fingerprint: vec![0x11; 64], body: vec![0x22; self.sizes.receipt.saturating_sub(68)] };
        let key = self.key("rcp", &format!("|request-{}", self.orders));
        Commit {
            partition: account.partition,
            receipts: vec![NewReceipt { key, receipt, keep_s: 604_800 }],
            expect: vec![(account.clone(), expected), (order.clone(), Expected::Absent)],
            writes: vec![
                Write { key: account, record: record(self.sizes.account) },
                Write { key: order, record: record(self.sizes.order) },
            ],
            appends: vec![Append {
                log: self.key("log", ""),
                first_sequence,
                entries: vec![vec![0x44; self.sizes.entry]; 3],
            }],
            due: if first_sequence == 1 {
                vec![Due { subject: format!("rig|{}", self.name).into(), at_ms: Some(1) }]
            } else {
                Vec::new()
            },
            ..Commit::default()
        }
    }
}
