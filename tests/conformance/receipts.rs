use guerdon::store::{Commit, NewReceipt, Outcome, Seen};

use super::kit::*;

pub(crate) async fn a_replay_answers_what_was_stored_first_and_changes_nothing<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    apply(&*store, &one_of_everything()).await;
    let before = content(&*store).await;

    // The caller decided again, on what the first attempt wrote, and came to another answer.
    let resent = receipt("rcp|1", "fingerprint", "another answer");
    let again = Commit { receipts: vec![resent.clone()], expect: vec![at("acct|mia", 2)], ..one_more_of_everything() };
    let first = Seen::of(0, receipt("rcp|1", "fingerprint", "answer").receipt, &resent);
    assert!(first.same_content);
    for _ in 0..2 {
        assert_eq!(store.commit(&again).await, Ok(Outcome::Seen(vec![first.clone()])));
        assert_eq!(content(&*store).await, before);
    }
}

pub(crate) async fn a_reused_id_is_told_from_a_replay<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    apply(&*store, &one_of_everything()).await;
    let before = content(&*store).await;

    for fingerprint in ["", "other", "fingerprint ", "fingerprin", "FINGERPRINT"] {
        let reused = receipt("rcp|1", fingerprint, "answer");
        let outcome = store.commit(&Commit { receipts: vec![reused], ..one_more_of_everything() }).await;
        let stored = receipt("rcp|1", "fingerprint", "answer").receipt;
        let seen = Seen { index: 0, receipt: stored, same_content: false };
        assert_eq!(outcome, Ok(Outcome::Seen(vec![seen])), "{fingerprint:?}");
        assert_eq!(content(&*store).await, before);
    }
}

pub(crate) async fn one_receipt_of_several_that_exists_stops_the_whole_commit<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let first = Commit { receipts: vec![receipt("rcp|1", "f1", "b1"), receipt("rcp|3", "f3", "b3")], ..nothing() };
    apply(&*store, &first).await;
    apply(&*store, &Commit { receipts: Vec::new(), ..one_of_everything() }).await;
    let before = content(&*store).await;

    let several = Commit {
        receipts: vec![receipt("rcp|3", "f3", "new"), receipt("rcp|2", "f2", "new"), receipt("rcp|1", "other", "new")],
        ..one_more_of_everything()
    };
    let seen = vec![
        Seen { index: 0, receipt: receipt("rcp|3", "f3", "b3").receipt, same_content: true },
        Seen { index: 2, receipt: receipt("rcp|1", "f1", "b1").receipt, same_content: false },
    ];
    assert_eq!(store.commit(&several).await, Ok(Outcome::Seen(seen)));
    assert_eq!(content(&*store).await, before);
    assert_eq!(store.receipt(&key("rcp|2")).await, Ok(None));

    let fresh = Commit { receipts: vec![receipt("rcp|2", "f2", "new")], ..one_more_of_everything() };
    apply(&*store, &fresh).await;
}

pub(crate) async fn a_receipt_that_is_no_longer_kept_counts_as_absent<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let short = NewReceipt { keep_s: 1, ..receipt("rcp|1", "short", "first") };
    let long = NewReceipt { keep_s: u64::MAX, ..receipt("rcp|2", "long", "kept") };
    apply(&*store, &Commit { receipts: vec![short.clone(), long.clone()], ..nothing() }).await;
    assert_eq!(store.receipt(&key("rcp|1")).await, Ok(Some(short.receipt.clone())));

    eventually("a receipt kept for one second is gone", async || {
        fixture.pass().await;
        store.receipt(&key("rcp|1")).await.unwrap().is_none()
    })
    .await;

    let again = NewReceipt { keep_s: 3_600, ..receipt("rcp|1", "again", "second") };
    apply(&*store, &Commit { receipts: vec![again.clone()], ..nothing() }).await;
    assert_eq!(store.receipt(&key("rcp|1")).await, Ok(Some(again.receipt)));
    assert_eq!(store.receipt(&key("rcp|2")).await, Ok(Some(long.receipt)));
}

pub(crate) async fn a_commit_that_is_not_applied_leaves_no_receipt<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    apply(&*store, &one_of_everything()).await;

    let conflict = Commit {
        receipts: vec![receipt("rcp|2", "f", "b")],
        expect: vec![absent("acct|mia")],
        ..one_more_of_everything()
    };
    assert!(matches!(store.commit(&conflict).await, Ok(Outcome::Conflict(_))));
    let guard = Commit {
        receipts: vec![receipt("rcp|2", "f", "b")],
        deltas: vec![delta("qty|stock", -8)],
        ..one_more_of_everything()
    };
    assert!(matches!(store.commit(&guard).await, Ok(Outcome::GuardFailed { .. })));
    assert_eq!(store.receipt(&key("rcp|2")).await, Ok(None));

    // So the same request may be decided again and applied.
    let decided_again = Commit { expect: vec![at("acct|mia", 2)], deltas: Vec::new(), ..conflict };
    apply(&*store, &decided_again).await;
}
