//! A real store that is made to fail at chosen moments.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use guerdon::store::{Commit, DueItem, Error, FeedItem, Key, Outcome, Page, Partition, Receipt, Record, Store};
use tokio::sync::Semaphore;

/// What happens to a commit.
#[derive(Clone, Debug)]
pub enum Fault {
    None,
    /// It is applied, and its answer is lost.
    LoseAnswer,
    /// It is lost on the way, and nobody knows.
    LoseRequest,
    /// The store is away, and says so.
    Away,
    /// Somebody else was faster, so that nothing is applied.
    Overtaken,
    /// It waits for a permit.
    Wait(Arc<Semaphore>),
}

type Plan = Box<dyn FnMut(&Commit) -> Fault + Send>;

pub struct FaultyStore {
    store: Arc<dyn Store>,
    plan: Mutex<Plan>,
    /// Shown by the next walk over what is due, as if the index had named it a moment ago.
    stale_due: Mutex<Vec<DueItem>>,
}

impl FaultyStore {
    pub fn new(store: Arc<dyn Store>) -> Arc<FaultyStore> {
        Arc::new(FaultyStore { store, plan: Mutex::new(Box::new(|_| Fault::None)), stale_due: Mutex::default() })
    }

    /// From now on `plan` says what happens to each commit.
    pub fn plan(&self, plan: impl FnMut(&Commit) -> Fault + Send + 'static) {
        *self.plan.lock().unwrap() = Box::new(plan);
    }

    pub fn show_due(&self, item: DueItem) {
        self.stale_due.lock().unwrap().push(item);
    }

    pub fn has_shown_due(&self) -> bool {
        self.stale_due.lock().unwrap().is_empty()
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn load(&self, partition: Partition, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        self.store.load(partition, keys).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Outcome, Error> {
        let fault = (self.plan.lock().unwrap())(commit);
        match fault {
            Fault::None => self.store.commit(commit).await,
            Fault::LoseAnswer => self.store.commit(commit).await.and(Err(Error::OutcomeUnknown)),
            Fault::LoseRequest => Err(Error::OutcomeUnknown),
            Fault::Away => Err(Error::Unavailable),
            Fault::Overtaken => {
                let keys: Vec<Key> = commit.expect.iter().map(|(key, _)| key.clone()).collect();
                self.store.load(commit.partition, &keys).await.map(Outcome::Conflict)
            }
            Fault::Wait(gate) => {
                gate.acquire().await.unwrap().forget();
                self.store.commit(commit).await
            }
        }
    }

    async fn receipt(&self, key: &Key) -> Result<Option<Receipt>, Error> {
        self.store.receipt(key).await
    }

    async fn entries(&self, log: &Key, from_sequence: u64, limit: usize) -> Result<Vec<Vec<u8>>, Error> {
        self.store.entries(log, from_sequence, limit).await
    }

    async fn left(&self, key: &Key) -> Result<i64, Error> {
        self.store.left(key).await
    }

    async fn feed(&self, partition: Partition, limit: usize) -> Result<Vec<FeedItem>, Error> {
        self.store.feed(partition, limit).await
    }

    async fn feed_page(&self, from: Partition, limit: usize) -> Result<Page<FeedItem>, Error> {
        self.store.feed_page(from, limit).await
    }

    async fn due_page(&self, from: Partition, through_ms: i64, limit: usize) -> Result<Page<DueItem>, Error> {
        let mut page = self.store.due_page(from, through_ms, limit).await?;
        page.items.append(&mut self.stale_due.lock().unwrap());
        Ok(page)
    }

    async fn now_ms(&self) -> Result<Option<i64>, Error> {
        self.store.now_ms().await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.store.ping().await
    }

    fn trips(&self) -> u64 {
        self.store.trips()
    }

    fn name(&self) -> &'static str {
        self.store.name()
    }
}
