//! The reference store: plain maps under one lock. It says what the other adapters must do, so it is written
//! to be read, not to be fast. Nothing survives the process and nothing is purged.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{
    ClockMs, Commit, DueItem, Error, Expected, FeedItem, Key, Outcome, PER_PARTITION_MAX, Page, Partition, Receipt,
    Record, Seen, Store,
};

/// See the [module](self).
pub struct MemoryStore {
    state: Mutex<State>,
    clock: ClockMs,
    trips: AtomicU64,
}

#[derive(Clone, Default)]
struct State {
    records: BTreeMap<Key, Record>,
    receipts: BTreeMap<Key, KeptReceipt>,
    /// The entry numbered `n` stands at `n - 1`.
    logs: BTreeMap<Key, Vec<Vec<u8>>>,
    quantities: BTreeMap<Key, i64>,
    feeds: BTreeMap<Partition, Feed>,
    due: BTreeMap<Partition, BTreeMap<Box<str>, i64>>,
}

#[derive(Clone)]
struct KeptReceipt {
    receipt: Receipt,
    expires_at_ms: i64,
}

#[derive(Clone, Default)]
struct Feed {
    last_position: u64,
    items: BTreeMap<u64, Vec<u8>>,
}

impl MemoryStore {
    /// An empty store whose receipts expire by `clock`.
    pub fn new(clock: ClockMs) -> MemoryStore {
        MemoryStore { state: Mutex::default(), clock, trips: AtomicU64::new(0) }
    }

    /// A store of its own that starts with what this one holds now.
    pub fn fork(&self) -> MemoryStore {
        let state = self.state().clone();
        MemoryStore { state: Mutex::new(state), clock: self.clock.clone(), trips: AtomicU64::new(0) }
    }

    /// Goes back to what `image` holds, as a store does that lost its last writes.
    pub fn restore(&self, image: &MemoryStore) {
        let state = image.state().clone(); // released before the next lock: `image` may be this store
        *self.state() = state;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trip(&self) {
        self.trips.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl State {
    fn receipt(&self, key: &Key, now_ms: i64) -> Option<&Receipt> {
        let kept = self.receipts.get(key)?;
        (now_ms < kept.expires_at_ms).then_some(&kept.receipt)
    }

    fn left(&self, key: &Key) -> i64 {
        self.quantities.get(key).copied().unwrap_or(0)
    }

    fn last_sequence(&self, log: &Key) -> u64 {
        self.logs.get(log).map_or(0, |entries| entries.len() as u64)
    }

    /// Looks first, writes after.
    fn commit(&mut self, commit: &Commit, now_ms: i64) -> Result<Outcome, Error> {
        let seen: Vec<Seen> = commit
            .receipts
            .iter()
            .enumerate()
            .filter_map(|(index, new)| Some(Seen::of(index, self.receipt(&new.key, now_ms)?.clone(), new)))
            .collect();
        if !seen.is_empty() {
            return Ok(Outcome::Seen(seen));
        }

        let as_expected = |(key, expected): &(Key, Expected)| match (self.records.get(key), expected) {
            (None, Expected::Absent) => true,
            (Some(record), Expected::At(token)) => record.token == *token,
            (None, Expected::At(_)) | (Some(_), Expected::Absent) => false,
        };
        if !commit.expect.iter().all(as_expected) {
            let fresh = commit.expect.iter().map(|(key, _)| self.records.get(key).cloned()).collect();
            return Ok(Outcome::Conflict(fresh));
        }

        for append in &commit.appends {
            let last = self.last_sequence(&append.log);
            if last.checked_add(1) != Some(append.first_sequence) {
                return Err(Error::log_gap(append, last));
            }
        }

        let mut quantities = Vec::with_capacity(commit.deltas.len());
        for delta in &commit.deltas {
            let left = self.left(&delta.key);
            match left.checked_add(delta.delta) {
                Some(after) if 0 <= after => quantities.push((delta.key.clone(), after)),
                _ => return Ok(Outcome::GuardFailed { key: delta.key.clone(), left }),
            }
        }

        self.apply(commit, quantities, now_ms);
        Ok(Outcome::Applied)
    }

    fn apply(&mut self, commit: &Commit, quantities: Vec<(Key, i64)>, now_ms: i64) {
        for new in &commit.receipts {
            let expires_at_ms = new.expires_at_ms(now_ms);
            self.receipts.insert(new.key.clone(), KeptReceipt { receipt: new.receipt.clone(), expires_at_ms });
        }
        for write in &commit.writes {
            match &write.record {
                Some(record) => self.records.insert(write.key.clone(), record.clone()),
                None => self.records.remove(&write.key),
            };
        }
        for append in &commit.appends {
            self.logs.entry(append.log.clone()).or_default().extend(append.entries.iter().cloned());
        }
        self.quantities.extend(quantities);

        let feed = self.feeds.entry(commit.partition).or_default();
        for position in &commit.feed_done {
            feed.items.remove(position);
        }
        for body in &commit.feed {
            feed.last_position += 1;
            feed.items.insert(feed.last_position, body.clone());
        }

        let due = self.due.entry(commit.partition).or_default();
        for item in &commit.due {
            match item.at_ms {
                Some(at_ms) => due.insert(item.subject.clone(), at_ms),
                None => due.remove(&item.subject),
            };
        }
    }

    fn feed(&self, partition: Partition, limit: usize) -> Vec<FeedItem> {
        let Some(feed) = self.feeds.get(&partition) else { return Vec::new() };
        let item = |(position, body): (&u64, &Vec<u8>)| FeedItem { partition, position: *position, body: body.clone() };
        feed.items.iter().take(limit).map(item).collect()
    }

    /// What is due in one partition, the earliest first.
    fn due(&self, partition: Partition, through_ms: i64, limit: usize) -> Vec<DueItem> {
        let Some(due) = self.due.get(&partition) else { return Vec::new() };
        let mut items: Vec<DueItem> = due
            .iter()
            .filter(|(_, at_ms)| **at_ms <= through_ms)
            .map(|(subject, at_ms)| DueItem { partition, subject: subject.clone(), at_ms: *at_ms })
            .collect();
        items.sort_by(|a, b| (a.at_ms, &a.subject).cmp(&(b.at_ms, &b.subject)));
        items.truncate(limit);
        items
    }
}

/// Takes what is found in one partition after the other until there are `limit` items.
fn page<T>(partitions: impl Iterator<Item = (Partition, Vec<T>)>, limit: usize) -> Page<T> {
    let mut items = Vec::new();
    for (partition, found) in partitions.filter(|(_, found)| !found.is_empty()) {
        if limit <= items.len() {
            return Page { items, next: Some(partition) };
        }
        items.extend(found);
    }
    Page { items, next: None }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, partition: Partition, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        debug_assert!(keys.iter().all(|key| key.partition == partition), "a load reads one partition");
        self.trip();
        let state = self.state();
        Ok(keys.iter().map(|key| state.records.get(key).cloned()).collect())
    }

    async fn commit(&self, commit: &Commit) -> Result<Outcome, Error> {
        self.trip();
        let now_ms = (self.clock)();
        self.state().commit(commit, now_ms)
    }

    async fn receipt(&self, key: &Key) -> Result<Option<Receipt>, Error> {
        let now_ms = (self.clock)();
        Ok(self.state().receipt(key, now_ms).cloned())
    }

    async fn entries(&self, log: &Key, from_sequence: u64, limit: usize) -> Result<Vec<Vec<u8>>, Error> {
        let skipped = usize::try_from(from_sequence.saturating_sub(1)).unwrap_or(usize::MAX);
        let state = self.state();
        let Some(entries) = state.logs.get(log) else { return Ok(Vec::new()) };
        Ok(entries.iter().skip(skipped).take(limit).cloned().collect())
    }

    async fn left(&self, key: &Key) -> Result<i64, Error> {
        Ok(self.state().left(key))
    }

    async fn feed(&self, partition: Partition, limit: usize) -> Result<Vec<FeedItem>, Error> {
        Ok(self.state().feed(partition, limit))
    }

    async fn feed_page(&self, from: Partition, limit: usize) -> Result<Page<FeedItem>, Error> {
        let (limit, of_each, state) = (limit.max(1), limit.clamp(1, PER_PARTITION_MAX), self.state());
        Ok(page(state.feeds.range(from..).map(|(at, _)| (*at, state.feed(*at, of_each))), limit))
    }

    async fn due_page(&self, from: Partition, through_ms: i64, limit: usize) -> Result<Page<DueItem>, Error> {
        let (limit, of_each, state) = (limit.max(1), limit.clamp(1, PER_PARTITION_MAX), self.state());
        Ok(page(state.due.range(from..).map(|(at, _)| (*at, state.due(*at, through_ms, of_each))), limit))
    }

    async fn now_ms(&self) -> Result<Option<i64>, Error> {
        Ok(None)
    }

    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }

    fn trips(&self) -> u64 {
        self.trips.load(Ordering::Relaxed)
    }

    fn name(&self) -> &'static str {
        "memory"
    }
}
