use guerdon::store::{Commit, Outcome};

use super::kit::*;

pub(crate) async fn a_failed_guard_names_key_and_rest_and_changes_nothing<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    apply(&*store, &one_of_everything()).await;
    let before = content(&*store).await;

    // The delta before the failing one, and the one after, hold by themselves.
    let commit = Commit {
        receipts: vec![receipt("rcp|2", "f", "b")],
        deltas: vec![delta("qty|budget", 5), delta("qty|stock", -8), delta("qty|more", 1)],
        ..one_more_of_everything()
    };
    let failed = Outcome::GuardFailed { key: key("qty|stock"), left: 7 };
    assert_eq!(store.commit(&commit).await, Ok(failed));
    assert_eq!(content(&*store).await, before);
    assert_eq!(store.left(&key("qty|more")).await, Ok(0));

    // Of two that fail, the first is named.
    let commit = Commit { deltas: vec![delta("qty|none", -1), delta("qty|stock", -8)], ..one_more_of_everything() };
    assert_eq!(store.commit(&commit).await, Ok(Outcome::GuardFailed { key: key("qty|none"), left: 0 }));
    assert_eq!(content(&*store).await, before);
}

const F53: i64 = 1 << 53;

pub(crate) async fn quantities_are_exact_up_to_the_largest_integer<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    // Each row goes on from the one before. A number that goes through a double comes out rounded.
    for (change, left) in [
        (F53 - 1, F53 - 1),
        (1, F53),
        (1, F53 + 1),
        (1, F53 + 2),
        (-3, F53 - 1),
        (i64::MAX - F53, i64::MAX - 1),
        (0, i64::MAX - 1),
        (1, i64::MAX),
        (0, i64::MAX),
        (-1, i64::MAX - 1),
        (-(i64::MAX - 2), 1),
        (-1, 0),
        (0, 0),
        (i64::MAX, i64::MAX),
        (-i64::MAX, 0),
    ] {
        apply(&*store, &Commit { deltas: vec![delta("q", change)], ..nothing() }).await;
        assert_eq!(store.left(&key("q")).await, Ok(left), "after {change}");
    }
}

pub(crate) async fn a_quantity_never_leaves_its_bounds<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    for (left, change) in [
        (0, -1),
        (0, i64::MIN),
        (1, -2),
        (1, i64::MAX),
        (1, i64::MIN),
        (F53, -(F53 + 1)),
        (F53 + 1, -(F53 + 2)),
        (F53, i64::MAX),
        (i64::MAX - 1, 2),
        (i64::MAX, 1),
        (i64::MAX, i64::MAX),
        (i64::MAX, i64::MIN),
    ] {
        let name = format!("q|{left}|{change}");
        if 0 < left {
            apply(&*store, &Commit { deltas: vec![delta(&name, left)], ..nothing() }).await;
        }
        let commit = Commit { deltas: vec![delta(&name, change)], ..one_more_of_everything() };
        let commit = Commit { appends: Vec::new(), ..commit };
        let failed = Outcome::GuardFailed { key: key(&name), left };
        assert_eq!(store.commit(&commit).await, Ok(failed), "{left} and {change}");
        assert_eq!(store.left(&key(&name)).await, Ok(left), "{left} and {change}");
    }
    assert_eq!(feed_bodies(&*store, HOME).await, Vec::<Vec<u8>>::new());
}
