//! Sixty-four tasks at once over one store. Every task retries within a bound, so a race ends.

use std::sync::Arc;

use guerdon::store::{Commit, Outcome, Record, Store, Write};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::kit::*;

const TASKS: usize = 64;
/// Each round that conflicts, another task has won: no task can lose more often than there are others.
const ATTEMPTS_MAX: usize = TASKS;

/// Runs `task` 64 times at once; the answers in no particular order.
async fn race<T, Task>(store: &Arc<dyn Store>, task: impl Fn(usize, Arc<dyn Store>) -> Task) -> Vec<T>
where
    T: Send + 'static,
    Task: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(TASKS));
    let mut tasks = JoinSet::new();
    for n in 0..TASKS {
        let (barrier, task) = (barrier.clone(), task(n, store.clone()));
        tasks.spawn(async move {
            barrier.wait().await;
            task.await
        });
    }
    tasks.join_all().await
}

pub(crate) async fn increments_of_one_account_from_64_tasks_all_count_once<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let attempts = race(&store, |n, store| async move {
        let mut mia: Option<Record> = None; // as a cold cache would have it
        for attempt in 1..=ATTEMPTS_MAX {
            let count = mia.as_ref().map_or(0, |record| String::from_utf8_lossy(&record.body).parse().unwrap()) + 1;
            let next = Record { token: token(count, n as u8), body: count.to_string().into_bytes() };
            let commit = Commit {
                receipts: vec![receipt(&format!("rcp|{n}"), "f", "b")],
                expect: vec![(key("acct|mia"), expected(mia.as_ref()))],
                writes: vec![Write { key: key("acct|mia"), record: Some(next) }],
                appends: vec![append("log|mia", count, &[&format!("task {n}")])],
                deltas: vec![delta("qty|count", 1)],
                feed: vec![format!("task {n}").into_bytes()],
                ..nothing()
            };
            match store.commit(&commit).await.unwrap() {
                Outcome::Applied => return attempt,
                Outcome::Conflict(mut fresh) => {
                    assert_ne!(fresh[0], mia, "a conflict brings another record than was expected");
                    mia = fresh.remove(0);
                }
                other => panic!("task {n}: {other:?}"),
            }
        }
        panic!("task {n} lost more often than there are others");
    })
    .await;
    assert_eq!(attempts.len(), TASKS);

    let mia = store.load(HOME, &[key("acct|mia")]).await.unwrap().remove(0).unwrap();
    assert_eq!((mia.body.as_slice(), mia.token.sequence()), (&b"64"[..], 64));
    assert_eq!(store.left(&key("qty|count")).await, Ok(64));
    let log = store.entries(&key("log|mia"), 1, 1_000).await.unwrap();
    assert_eq!(feed_bodies(&*store, HOME).await, log, "the feed has the order of the log");
    let mut each: Vec<_> = log;
    each.sort();
    let mut expected: Vec<_> = (0..TASKS).map(|n| format!("task {n}").into_bytes()).collect();
    expected.sort();
    assert_eq!(each, expected, "each task once");
}

pub(crate) async fn one_request_id_from_64_tasks_applies_once<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let outcomes = race(&store, |n, store| async move {
        let commit = Commit {
            receipts: vec![receipt("rcp|1", "same", format!("answer {n}"))],
            deltas: vec![delta("qty|stock", 1)],
            feed: vec![format!("answer {n}").into_bytes()],
            ..nothing()
        };
        store.commit(&commit).await.unwrap()
    })
    .await;

    let applied = outcomes.iter().filter(|outcome| **outcome == Outcome::Applied).count();
    assert_eq!(applied, 1);
    let stored = store.receipt(&key("rcp|1")).await.unwrap().unwrap();
    for outcome in outcomes.iter().filter(|outcome| **outcome != Outcome::Applied) {
        let Outcome::Seen(seen) = outcome else { panic!("{outcome:?}") };
        assert!(seen.len() == 1 && seen[0].same_content && seen[0].receipt == stored, "{seen:?}");
    }
    assert_eq!(store.left(&key("qty|stock")).await, Ok(1));
    assert_eq!(feed_bodies(&*store, HOME).await, [stored.body]);
}

pub(crate) async fn sixty_four_tasks_take_no_more_than_there_is<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    apply(&*store, &Commit { deltas: vec![delta("qty|stock", 50)], ..nothing() }).await;
    let outcomes = race(&store, |n, store| async move {
        let commit = Commit {
            receipts: vec![receipt(&format!("rcp|{n}"), "f", "b")],
            writes: vec![put(&format!("ord|{n}"), record(1, "order"))],
            deltas: vec![delta("qty|stock", -1)],
            ..nothing()
        };
        store.commit(&commit).await.unwrap()
    })
    .await;

    let applied = outcomes.iter().filter(|outcome| **outcome == Outcome::Applied).count();
    let refused = outcomes.iter().filter(|outcome| **outcome == sold_out()).count();
    assert_eq!((applied, refused), (50, 14));
    assert_eq!(store.left(&key("qty|stock")).await, Ok(0));
    let orders: Vec<_> = (0..TASKS).map(|n| key(&format!("ord|{n}"))).collect();
    assert_eq!(store.load(HOME, &orders).await.unwrap().into_iter().flatten().count(), 50);
}

fn sold_out() -> Outcome {
    Outcome::GuardFailed { key: key("qty|stock"), left: 0 }
}

pub(crate) async fn one_order_under_64_request_ids_is_made_once<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let outcomes = race(&store, |n, store| async move {
        let commit = Commit {
            receipts: vec![receipt(&format!("rcp|{n}"), "f", "b")],
            expect: vec![absent("ord|1")],
            writes: vec![put("ord|1", record(1, format!("by {n}")))],
            deltas: vec![delta("qty|stock", 1)],
            ..nothing()
        };
        (n, store.commit(&commit).await.unwrap())
    })
    .await;

    let order = store.load(HOME, &[key("ord|1")]).await.unwrap().remove(0).unwrap();
    let mut applied = Vec::new();
    for (n, outcome) in outcomes {
        match outcome {
            Outcome::Applied => applied.push(format!("by {n}").into_bytes()),
            other => {
                assert_eq!(other, Outcome::Conflict(vec![Some(order.clone())]));
                assert_eq!(store.receipt(&key(&format!("rcp|{n}"))).await, Ok(None));
            }
        }
    }
    assert_eq!(applied, [order.body]);
    assert_eq!(store.left(&key("qty|stock")).await, Ok(1));
}
