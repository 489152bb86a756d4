//! What the cases are written with.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use guerdon::store::{
    Append, ClockMs, Commit, Delta, Due, DueItem, Expected, FeedItem, Key, Layout, NewReceipt, Outcome, Page,
    Partition, Receipt, Record, Store, Token, Write,
};

/// Makes one store, and keeps alive what it stands on.
#[async_trait]
pub(crate) trait Fixture: Sized + Send + Sync + 'static {
    /// A new, empty store of [`layout`].
    async fn start() -> Self;

    fn store(&self) -> Arc<dyn Store>;

    /// Closes the store, restarts what it stands on, and opens it on the same data. The caller holds no store.
    async fn reopen(&mut self);

    /// Lets some of a second pass on the clock that receipts expire by.
    async fn pass(&self);
}

/// A clock that goes only when told.
#[derive(Clone, Default)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(crate) fn pass_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) fn reader(&self) -> ClockMs {
        let now_ms = self.0.clone();
        Arc::new(move || now_ms.load(Ordering::Relaxed))
    }
}

/// Few partitions, so that walks are short.
pub(crate) fn layout() -> Layout {
    Layout::new(16).unwrap()
}

/// Where the cases work unless they say otherwise.
pub(crate) const HOME: Partition = Partition(3);

pub(crate) fn key(name: &str) -> Key {
    key_in(HOME, name)
}

pub(crate) fn key_in(partition: Partition, name: &str) -> Key {
    Key { partition, name: name.into() }
}

/// The token of a chain at `sequence` whose head is all `head`.
pub(crate) fn token(sequence: u64, head: u8) -> Token {
    Token::new(sequence, &[head; 32])
}

pub(crate) fn record(sequence: u64, body: impl AsRef<[u8]>) -> Record {
    Record { token: token(sequence, 0xab), body: body.as_ref().to_vec() }
}

pub(crate) fn put(name: &str, record: Record) -> Write {
    Write { key: key(name), record: Some(record) }
}

pub(crate) fn delete(name: &str) -> Write {
    Write { key: key(name), record: None }
}

pub(crate) fn receipt(name: &str, fingerprint: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> NewReceipt {
    let receipt = Receipt { fingerprint: fingerprint.as_ref().to_vec(), body: body.as_ref().to_vec() };
    NewReceipt { key: key(name), receipt, keep_s: 3_600 }
}

pub(crate) fn absent(name: &str) -> (Key, Expected) {
    (key(name), Expected::Absent)
}

pub(crate) fn at(name: &str, sequence: u64) -> (Key, Expected) {
    (key(name), Expected::At(record(sequence, "").token))
}

/// What a decision made on `record` expects.
pub(crate) fn expected(record: Option<&Record>) -> Expected {
    record.map_or(Expected::Absent, |record| Expected::At(record.token))
}

pub(crate) fn append(log: &str, first_sequence: u64, entries: &[&str]) -> Append {
    Append { log: key(log), first_sequence, entries: entries.iter().map(|entry| entry.as_bytes().to_vec()).collect() }
}

pub(crate) fn delta(name: &str, delta: i64) -> Delta {
    Delta { key: key(name), delta }
}

pub(crate) fn due(subject: &str, at_ms: impl Into<Option<i64>>) -> Due {
    Due { subject: subject.into(), at_ms: at_ms.into() }
}

/// A commit that changes nothing yet.
pub(crate) fn nothing() -> Commit {
    Commit { partition: HOME, ..Commit::default() }
}

/// Commits what must be applied.
pub(crate) async fn apply(store: &dyn Store, commit: &Commit) {
    let outcome = store.commit(commit).await;
    assert_eq!(outcome, Ok(Outcome::Applied), "{commit:?}");
}

/// One change of every sort, to be applied to an empty store.
pub(crate) fn one_of_everything() -> Commit {
    Commit {
        receipts: vec![receipt("rcp|1", "fingerprint", "answer")],
        expect: vec![absent("acct|mia"), absent("ord|1")],
        writes: vec![put("acct|mia", record(2, "mia")), put("ord|1", record(2, "order"))],
        appends: vec![append("log|mia", 1, &["earned", "spent"])],
        deltas: vec![delta("qty|stock", 7)],
        feed: vec![b"to leo".to_vec(), b"to ann".to_vec()],
        due: vec![due("bakery|mia", 5_000)],
        ..nothing()
    }
}

/// Tries to change all of what [`one_of_everything`] left. Applied, it would show in [`Content`].
pub(crate) fn one_more_of_everything() -> Commit {
    Commit {
        writes: vec![put("acct|mia", record(3, "changed")), delete("ord|1")],
        appends: vec![append("log|mia", 3, &["more"])],
        deltas: vec![delta("qty|stock", -1)],
        feed: vec![b"to sue".to_vec()],
        feed_done: vec![1, 2],
        due: vec![due("bakery|mia", None), due("bakery|leo", 9_000)],
        ..nothing()
    }
}

/// All that the port shows of what the cases write in [`HOME`]. Two equal contents: nothing has changed.
#[derive(PartialEq, Debug)]
pub(crate) struct Content {
    records: Vec<Option<Record>>,
    receipts: Vec<Option<Receipt>>,
    logs: Vec<Vec<Vec<u8>>>,
    left: Vec<i64>,
    feed: Vec<FeedItem>,
    due: Vec<DueItem>,
}

pub(crate) async fn content(store: &dyn Store) -> Content {
    let records = ["acct|mia", "acct|leo", "ord|1", "ord|2"].map(key);
    let mut receipts = Vec::new();
    for name in ["rcp|1", "rcp|2", "rcp|3"] {
        receipts.push(store.receipt(&key(name)).await.unwrap());
    }
    let mut logs = Vec::new();
    for name in ["log|mia", "log|leo"] {
        logs.push(store.entries(&key(name), 1, 1_000).await.unwrap());
    }
    let mut left = Vec::new();
    for name in ["qty|stock", "qty|budget"] {
        left.push(store.left(&key(name)).await.unwrap());
    }
    Content {
        records: store.load(HOME, &records).await.unwrap(),
        receipts,
        logs,
        left,
        feed: store.feed(HOME, 1_000).await.unwrap(),
        due: due_walk(store, i64::MAX).await.into_iter().flat_map(|page| page.items).collect(),
    }
}

/// The bodies on a feed, oldest first.
pub(crate) async fn feed_bodies(store: &dyn Store, partition: Partition) -> Vec<Vec<u8>> {
    store.feed(partition, 1_000).await.unwrap().into_iter().map(|item| item.body).collect()
}

/// Every page of a walk over the feeds; fails when the walk does not end.
pub(crate) async fn feed_walk(store: &dyn Store, limit: usize) -> Vec<Page<FeedItem>> {
    let mut pages = Vec::new();
    let mut from = Some(Partition(0));
    while let Some(start) = from {
        let page = store.feed_page(start, limit).await.unwrap();
        from = rises(start, page.next);
        pages.push(page);
    }
    pages
}

/// Every page of a walk over what is due; fails when the walk does not end.
pub(crate) async fn due_walk(store: &dyn Store, through_ms: i64) -> Vec<Page<DueItem>> {
    due_walk_by(store, through_ms, 1_000).await
}

pub(crate) async fn due_walk_by(store: &dyn Store, through_ms: i64, limit: usize) -> Vec<Page<DueItem>> {
    let mut pages = Vec::new();
    let mut from = Some(Partition(0));
    while let Some(start) = from {
        let page = store.due_page(start, through_ms, limit).await.unwrap();
        from = rises(start, page.next);
        pages.push(page);
    }
    pages
}

/// A walk whose next start always lies further on, within the layout, ends.
fn rises(start: Partition, next: Option<Partition>) -> Option<Partition> {
    if let Some(next) = next {
        assert!(start < next && next.0 < layout().partitions(), "a walk from {start:?} goes on at {next:?}");
    }
    next
}

/// Polls until `done` holds; fails after ten seconds.
pub(crate) async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not within ten seconds: {what}");
}

/// Says which case begins, for whoever reads why it failed.
pub(crate) fn case(name: &str) {
    #[allow(clippy::print_stderr, reason = "shown when the test fails")]
    {
        eprintln!("case: {name}");
    }
}
