//! Random commits must fare on every store as they fare on the reference store.

use std::sync::Arc;

use guerdon::store::memory::MemoryStore;
use guerdon::store::{
    Append, Commit, Delta, Due, Error, Expected, Key, NewReceipt, Outcome, Partition, Receipt, Record, Store, Write,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Handle;

use super::kit::*;

const CASES: u32 = 24;
const STEPS_MAX: usize = 40;

/// So few names that commits meet each other.
const PARTITIONS: [u16; 2] = [2, 9];
const RECORDS: [&str; 3] = ["acct|mia", "ord|1", "ord|2"];
const RECEIPTS: [&str; 4] = ["rcp|1", "rcp|2", "rcp|3", "rcp|4"];
const LOGS: [&str; 2] = ["log|mia", "log|leo"];
const QUANTITIES: [&str; 2] = ["qty|stock", "qty|budget"];
const SUBJECTS: [&str; 3] = ["mia", "leo", "ann"];

/// A commit before it is known what it meets: what it expects may be made to hold when its turn comes.
#[derive(Clone, Debug)]
struct Step {
    partition: u16,
    receipts: Vec<(&'static str, u8)>,
    expect: Vec<(&'static str, Guess)>,
    writes: Vec<(&'static str, Option<Vec<u8>>)>,
    appends: Vec<(&'static str, Vec<Vec<u8>>)>,
    /// Added to the number that would continue the log.
    gap: u64,
    deltas: Vec<(&'static str, i64)>,
    feed: Vec<Vec<u8>>,
    /// Indices into the feed as it is.
    feed_done: Vec<usize>,
    due: Vec<(&'static str, Option<i64>)>,
}

#[derive(Clone, Copy, Debug)]
enum Guess {
    Right,
    Absent,
    Stale,
}

fn some_of(names: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(names, 0..=names.len()).prop_shuffle()
}

/// Some of the names, each with a value.
fn with<T: Clone + std::fmt::Debug + 'static>(
    names: &'static [&'static str],
    value: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = Vec<(&'static str, T)>> {
    some_of(names).prop_flat_map(move |some| {
        let count = some.len();
        vec(value.clone(), count).prop_map(move |values| some.iter().copied().zip(values).collect())
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> + Clone {
    vec(any::<u8>(), 0..12)
}

fn change() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![
        4 => -20_i64..40,
        1 => any::<i64>(),
        1 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX - 1, (1 << 53) + 1, -(1 << 53) - 1]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let guess = prop_oneof![8 => Just(Guess::Right), 1 => Just(Guess::Absent), 1 => Just(Guess::Stale)];
    // Few receipts, else almost every step would be a replay.
    let receipts = prop_oneof![3 => Just(Vec::new()), 1 => with(&RECEIPTS, 0..2_u8)];
    let deltas = prop_oneof![1 => Just(Vec::new()), 1 => with(&QUANTITIES, change())];
    let checked = (receipts, with(&RECORDS, guess), deltas, prop_oneof![9 => Just(0), 1 => 1..3_u64]);
    let changed = (
        with(&RECORDS, option::weighted(0.8, body())),
        with(&LOGS, vec(body(), 0..3)),
        vec(body(), 0..3),
        vec(0..8_usize, 0..3),
        with(&SUBJECTS, option::weighted(0.7, 0..5_i64)),
    );
    (prop::sample::select(PARTITIONS.to_vec()), checked, changed).prop_map(|(partition, checked, changed)| {
        let (receipts, expect, deltas, gap) = checked;
        let (writes, appends, feed, feed_done, due) = changed;
        Step { partition, receipts, expect, writes, appends, gap, deltas, feed, feed_done, due }
    })
}

impl Step {
    /// The commit for a store that stands where `store` stands; `n` makes its tokens its own.
    async fn commit(&self, n: usize, store: &dyn Store) -> Commit {
        let partition = Partition(self.partition);
        let key = |name: &str| key_in(partition, name);
        let written = token(n as u64 + 1, n as u8);

        let mut expect = Vec::new();
        for (name, guess) in &self.expect {
            let stands = store.load(partition, &[key(name)]).await.unwrap().remove(0);
            let expected = match guess {
                Guess::Right => expected(stands.as_ref()),
                Guess::Absent => Expected::Absent,
                Guess::Stale => Expected::At(token(n as u64, 0xee)),
            };
            expect.push((key(name), expected));
        }
        let mut appends = Vec::new();
        for (log, entries) in &self.appends {
            let count = store.entries(&key(log), 1, 10_000).await.unwrap().len() as u64;
            let first_sequence = count + 1 + self.gap;
            appends.push(Append { log: key(log), first_sequence, entries: entries.clone() });
        }
        let feed = store.feed(partition, 1_000).await.unwrap();
        let mut feed_done: Vec<u64> =
            self.feed_done.iter().filter_map(|index| feed.get(*index)).map(|item| item.position).collect();
        feed_done.sort_unstable();
        feed_done.dedup();

        let receipt = |(name, fingerprint): &(&str, u8)| NewReceipt {
            key: key(name),
            receipt: Receipt { fingerprint: vec![*fingerprint], body: vec![n as u8] },
            keep_s: 3_600,
        };
        let write = |(name, body): &(&str, Option<Vec<u8>>)| Write {
            key: key(name),
            record: body.clone().map(|body| Record { token: written, body }),
        };
        Commit {
            partition,
            receipts: self.receipts.iter().map(receipt).collect(),
            expect,
            writes: self.writes.iter().map(write).collect(),
            appends,
            deltas: self.deltas.iter().map(|(name, delta)| Delta { key: key(name), delta: *delta }).collect(),
            feed: self.feed.clone(),
            feed_done,
            due: self.due.iter().map(|(subject, at_ms)| Due { subject: (*subject).into(), at_ms: *at_ms }).collect(),
        }
    }
}

/// What a store shows of one partition. Positions are not compared: where they start is the store's affair.
#[derive(PartialEq, Debug)]
struct Shown {
    records: Vec<Option<Record>>,
    receipts: Vec<Option<Receipt>>,
    logs: Vec<Vec<Vec<u8>>>,
    left: Vec<i64>,
    feed: Vec<Vec<u8>>,
    due: Vec<(Box<str>, i64)>,
}

async fn shown(store: &dyn Store, partition: Partition) -> Shown {
    let keys = |names: &[&str]| -> Vec<Key> { names.iter().map(|name| key_in(partition, name)).collect() };
    let mut receipts = Vec::new();
    for key in keys(&RECEIPTS) {
        receipts.push(store.receipt(&key).await.unwrap());
    }
    let mut logs = Vec::new();
    for log in keys(&LOGS) {
        logs.push(store.entries(&log, 1, 10_000).await.unwrap());
    }
    let mut left = Vec::new();
    for key in keys(&QUANTITIES) {
        left.push(store.left(&key).await.unwrap());
    }
    let due = due_walk(store, 3).await.into_iter().flat_map(|page| page.items);
    let mut due: Vec<(Box<str>, i64)> =
        due.filter(|item| item.partition == partition).map(|item| (item.subject, item.at_ms)).collect();
    assert!(due.is_sorted_by_key(|(_, at_ms)| *at_ms), "the earliest first");
    due.sort(); // the order of equal instants is the store's affair
    Shown {
        records: store.load(partition, &keys(&RECORDS)).await.unwrap(),
        receipts,
        logs,
        left,
        feed: feed_bodies(store, partition).await,
        due,
    }
}

/// The words of an error are the store's affair.
fn comparable(outcome: Result<Outcome, Error>) -> Result<Outcome, Error> {
    outcome.map_err(|error| match error {
        Error::Corrupt { .. } => Error::Corrupt { what: String::new() },
        other => other,
    })
}

async fn compare(steps: &[Step], oracle: &dyn Store, store: &dyn Store) -> Result<(), TestCaseError> {
    for (n, step) in steps.iter().enumerate() {
        let wanted = comparable(oracle.commit(&step.commit(n, oracle).await).await);
        let found = comparable(store.commit(&step.commit(n, store).await).await);
        prop_assert_eq!(&found, &wanted, "step {}", n);
    }
    for partition in PARTITIONS.map(Partition) {
        prop_assert_eq!(shown(store, partition).await, shown(oracle, partition).await);
    }
    Ok(())
}

pub(crate) async fn random_commits_fare_as_on_the_reference_store<F: Fixture>() {
    let handle = Handle::current();
    let run = move || {
        let config = Config { cases: CASES, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
        TestRunner::new(config).run(&vec(step(), 1..STEPS_MAX), |steps| {
            handle.block_on(async {
                let fixture = F::start().await;
                let oracle = MemoryStore::new(Arc::new(|| 0));
                compare(&steps, &oracle, &*fixture.store()).await
            })
        })
    };
    if let Err(failure) = tokio::task::spawn_blocking(run).await.unwrap() {
        panic!("{failure}");
    }
}
