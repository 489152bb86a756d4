use guerdon::store::{Commit, Outcome, Seen};

use super::kit::*;

pub(crate) async fn everything_is_there_after_a_restart<F: Fixture>() {
    let mut fixture = F::start().await;
    let before = {
        let store = fixture.store();
        apply(&*store, &one_of_everything()).await;
        let positions = store.feed(HOME, 1).await.unwrap();
        let done = Commit { feed_done: vec![positions[0].position], deltas: vec![delta("qty|stock", 1)], ..nothing() };
        apply(&*store, &done).await;
        content(&*store).await
    };
    for _ in 0..2 {
        fixture.reopen().await;
        assert_eq!(content(&*fixture.store()).await, before);
    }

    // The feed counts on from where it was, also when it was empty at the restart.
    let last = {
        let store = fixture.store();
        let last = store.feed(HOME, 10).await.unwrap().pop().unwrap().position;
        apply(&*store, &Commit { feed_done: vec![last], ..nothing() }).await;
        last
    };
    fixture.reopen().await;
    let store = fixture.store();
    apply(&*store, &Commit { feed: vec![b"next".to_vec()], ..nothing() }).await;
    assert!(last < store.feed(HOME, 10).await.unwrap()[0].position);
}

pub(crate) async fn replay_conflict_and_guard_hold_across_a_restart<F: Fixture>() {
    let mut fixture = F::start().await;
    apply(&*fixture.store(), &one_of_everything()).await;
    fixture.reopen().await;
    let store = fixture.store();
    let before = content(&*store).await;

    let stored = receipt("rcp|1", "fingerprint", "answer").receipt;
    let replay = Outcome::Seen(vec![Seen { index: 0, receipt: stored, same_content: true }]);
    assert_eq!(store.commit(&one_of_everything()).await, Ok(replay));

    let new_request = Commit { receipts: vec![receipt("rcp|2", "f", "b")], ..one_of_everything() };
    let fresh = vec![Some(record(2, "mia")), Some(record(2, "order"))];
    assert_eq!(store.commit(&new_request).await, Ok(Outcome::Conflict(fresh)));

    let too_much = Commit { deltas: vec![delta("qty|stock", -8)], ..one_more_of_everything() };
    let failed = Outcome::GuardFailed { key: key("qty|stock"), left: 7 };
    assert_eq!(store.commit(&too_much).await, Ok(failed));
    assert_eq!(content(&*store).await, before);

    apply(&*store, &one_more_of_everything()).await;
}
