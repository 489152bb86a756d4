//! The memory store: its fixture, and what is its own.

use std::sync::Arc;

use async_trait::async_trait;
use guerdon::store::memory::MemoryStore;
use guerdon::store::{Commit, Expected, Outcome, Record, Store};

use super::kit::*;

pub(crate) struct MemoryFixture {
    clock: Clock,
    store: Arc<MemoryStore>,
}

#[async_trait]
impl Fixture for MemoryFixture {
    async fn start() -> MemoryFixture {
        let clock = Clock::default();
        let store = Arc::new(MemoryStore::new(clock.reader()));
        MemoryFixture { clock, store }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// A new process has an empty memory.
    async fn reopen(&mut self) {
        self.store = Arc::new(MemoryStore::new(self.clock.reader()));
    }

    async fn pass(&self) {
        self.clock.pass_ms(250);
    }
}

#[tokio::test]
async fn a_fork_goes_its_own_way() {
    let fixture = MemoryFixture::start().await;
    apply(&*fixture.store, &one_of_everything()).await;
    let before = content(&*fixture.store).await;
    let fork = fixture.store.fork();
    assert_eq!(content(&fork).await, before);
    apply(&fork, &one_more_of_everything()).await;
    assert_eq!(content(&*fixture.store).await, before);
    assert_ne!(content(&fork).await, before);
}

#[tokio::test]
async fn a_receipt_is_kept_to_the_millisecond() {
    let fixture = MemoryFixture::start().await;
    let short = guerdon::store::NewReceipt { keep_s: 1, ..receipt("rcp|1", "f", "b") };
    apply(&*fixture.store, &Commit { receipts: vec![short], ..nothing() }).await;
    fixture.clock.pass_ms(999);
    assert!(fixture.store.receipt(&key("rcp|1")).await.unwrap().is_some());
    fixture.clock.pass_ms(1);
    assert!(fixture.store.receipt(&key("rcp|1")).await.unwrap().is_none());
}

/// The store loses its second entry; another one takes the place and the number. An instance that still has the
/// lost one in its cache must not build on it.
#[tokio::test]
async fn a_decision_made_on_a_lost_time_line_is_refused() {
    let fixture = MemoryFixture::start().await;
    let store = &*fixture.store;
    let write = |sequence, head, expect| Commit {
        expect: vec![(key("acct|mia"), expect)],
        writes: vec![put("acct|mia", Record { token: token(sequence, head), body: vec![head] })],
        ..nothing()
    };
    apply(store, &write(1, 0x01, Expected::Absent)).await;
    let image = store.fork();
    apply(store, &write(2, 0x02, Expected::At(token(1, 0x01)))).await;

    store.restore(&image);
    apply(store, &write(2, 0x22, Expected::At(token(1, 0x01)))).await;
    let stands = Record { token: token(2, 0x22), body: vec![0x22] };
    let on_the_lost_one = write(3, 0x03, Expected::At(token(2, 0x02)));
    assert_eq!(store.commit(&on_the_lost_one).await, Ok(Outcome::Conflict(vec![Some(stands)])));
    apply(store, &write(3, 0x33, Expected::At(token(2, 0x22)))).await;
}
