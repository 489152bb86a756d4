use guerdon::store::{Commit, Error};

use super::kit::*;

pub(crate) async fn entries_are_read_in_pages<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let all: Vec<String> = (1..=25).map(|n| format!("entry {n}")).collect();
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    // Appended 10, 1 and 14 at a time, with another log beside it.
    for (from, to) in [(0, 10), (10, 11), (11, 25)] {
        let appends = vec![append("log|mia", from as u64 + 1, &names[from..to])];
        apply(&*store, &Commit { appends, ..nothing() }).await;
    }
    apply(&*store, &Commit { appends: vec![append("log|mia2", 1, &["other"])], ..nothing() }).await;

    for (from_sequence, limit, expected) in [
        (1, 10, &names[0..10]),
        (11, 10, &names[10..20]),
        (21, 10, &names[20..25]),
        (25, 1, &names[24..25]),
        (26, 10, &[]),
        (u64::MAX, 10, &[]),
        (7, 0, &[]),
        (10, 2, &names[9..11]),
        (1, 25, &names[..]),
        (1, 1_000_000, &names[..]),
        (0, 2, &names[0..2]), // entries are numbered from 1
    ] {
        let entries = store.entries(&key("log|mia"), from_sequence, limit).await.unwrap();
        let expected: Vec<&[u8]> = expected.iter().map(|entry| entry.as_bytes()).collect();
        assert_eq!(entries, expected, "{limit} from {from_sequence}");
    }
    assert_eq!(store.entries(&key("log|none"), 1, 10).await.unwrap(), Vec::<Vec<u8>>::new());
}

pub(crate) async fn an_append_that_does_not_continue_its_log_is_refused_as_damage<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    apply(&*store, &one_of_everything()).await; // `log|mia` ends at 2
    let before = content(&*store).await;
    for (log, first_sequence) in [
        ("log|mia", 4),
        ("log|mia", 2),
        ("log|mia", 1),
        ("log|mia", 0),
        ("log|mia", 13),
        ("log|mia", u64::MAX),
        ("log|leo", 2),
        ("log|leo", 0),
    ] {
        let appends = vec![append("log|sue", 1, &["fits"]), append(log, first_sequence, &["does not"])];
        let commit = Commit { receipts: vec![receipt("rcp|2", "f", "b")], appends, ..one_more_of_everything() };
        let outcome = store.commit(&commit).await;
        assert!(matches!(outcome, Err(Error::Corrupt { .. })), "{log} from {first_sequence}: {outcome:?}");
        assert_eq!(content(&*store).await, before, "{log} from {first_sequence}");
    }
    assert_eq!(store.entries(&key("log|sue"), 1, 10).await.unwrap(), Vec::<Vec<u8>>::new());
}

pub(crate) async fn an_append_of_nothing_changes_nothing<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    apply(&*store, &Commit { appends: vec![append("log|mia", 1, &[])], ..nothing() }).await;
    apply(&*store, &Commit { appends: vec![append("log|mia", 1, &["first"])], ..nothing() }).await;
    apply(&*store, &Commit { appends: vec![append("log|mia", 2, &[])], ..nothing() }).await;
    assert_eq!(store.entries(&key("log|mia"), 1, 10).await.unwrap(), [b"first"]);
}
