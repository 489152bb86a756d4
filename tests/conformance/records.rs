use guerdon::store::{Commit, Error, Expected, Outcome, Partition, Record, Write};

use super::kit::*;

pub(crate) async fn absent_and_present_records_load_in_the_order_asked<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    apply(&*store, &Commit { writes: vec![put("a", record(1, "A")), put("b", record(2, "B"))], ..nothing() }).await;

    let loaded = store.load(HOME, &["b", "missing", "a", "b"].map(key)).await.unwrap();
    assert_eq!(loaded, [Some(record(2, "B")), None, Some(record(1, "A")), Some(record(2, "B"))]);
    assert_eq!(store.load(HOME, &[key("missing")]).await.unwrap(), [None]);
    assert_eq!(store.load(HOME, &[]).await.unwrap(), []);
}

pub(crate) async fn a_commit_applies_everything_at_once<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    apply(&*store, &one_of_everything()).await;

    let loaded = store.load(HOME, &["acct|mia", "ord|1"].map(key)).await.unwrap();
    assert_eq!(loaded, [Some(record(2, "mia")), Some(record(2, "order"))]);
    let stored = store.receipt(&key("rcp|1")).await.unwrap();
    assert_eq!(stored, Some(receipt("rcp|1", "fingerprint", "answer").receipt));
    assert_eq!(store.entries(&key("log|mia"), 1, 10).await.unwrap(), [&b"earned"[..], b"spent"]);
    assert_eq!(store.left(&key("qty|stock")).await.unwrap(), 7);
    assert_eq!(feed_bodies(&*store, HOME).await, [&b"to leo"[..], b"to ann"]);
    let due = store.due_page(Partition(0), 5_000, 10).await.unwrap().items;
    assert_eq!(
        due.iter().map(|item| (item.partition, &*item.subject, item.at_ms)).collect::<Vec<_>>(),
        [(HOME, "bakery|mia", 5_000)]
    );

    let before = content(&*store).await;
    let next = Commit {
        receipts: vec![receipt("rcp|2", "f", "b")],
        expect: vec![at("acct|mia", 2), at("ord|1", 2), absent("ord|2")],
        ..one_more_of_everything()
    };
    apply(&*store, &next).await;
    assert_ne!(content(&*store).await, before);
    assert_eq!(store.entries(&key("log|mia"), 1, 10).await.unwrap(), [&b"earned"[..], b"spent", b"more"]);
    assert_eq!(store.left(&key("qty|stock")).await.unwrap(), 6);
}

pub(crate) async fn a_write_replaces_and_a_delete_removes<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    for (write, expected) in [
        (delete("a"), None), // deleting what is not there is no fault
        (put("a", record(1, "first")), Some(record(1, "first"))),
        (put("a", record(2, "second")), Some(record(2, "second"))),
        (delete("a"), None),
        (put("a", record(3, "third")), Some(record(3, "third"))),
    ] {
        apply(&*store, &Commit { writes: vec![write.clone()], ..nothing() }).await;
        assert_eq!(store.load(HOME, &[key("a")]).await.unwrap(), [expected], "{write:?}");
    }
    // A deleted record is absent to an expectation too.
    apply(&*store, &Commit { expect: vec![at("a", 3)], writes: vec![delete("a")], ..nothing() }).await;
    apply(&*store, &Commit { expect: vec![absent("a")], ..nothing() }).await;
}

pub(crate) async fn a_conflict_returns_every_expected_record_fresh_and_in_order<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    apply(&*store, &one_of_everything()).await;
    let before = content(&*store).await;

    let stale = Commit {
        // The first, the third and the fourth hold.
        expect: vec![at("ord|1", 2), at("acct|mia", 1), absent("ord|2"), at("acct|mia", 2), at("acct|leo", 1)],
        ..one_more_of_everything()
    };
    let mia = Some(record(2, "mia"));
    let fresh = vec![Some(record(2, "order")), mia.clone(), None, mia, None];
    assert_eq!(store.commit(&stale).await, Ok(Outcome::Conflict(fresh)));
    assert_eq!(content(&*store).await, before);
}

pub(crate) async fn a_record_expected_absent_that_is_there_conflicts<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    apply(&*store, &one_of_everything()).await;
    let before = content(&*store).await;

    let again = Commit { expect: vec![absent("ord|1")], ..one_more_of_everything() };
    assert_eq!(store.commit(&again).await, Ok(Outcome::Conflict(vec![Some(record(2, "order"))])));
    assert_eq!(content(&*store).await, before);
}

pub(crate) async fn a_record_expected_at_a_token_that_is_gone_conflicts<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let commit = Commit { expect: vec![at("a", 1)], writes: vec![put("b", record(1, ""))], ..nothing() };
    assert_eq!(store.commit(&commit).await, Ok(Outcome::Conflict(vec![None])));
    assert_eq!(store.load(HOME, &[key("b")]).await.unwrap(), [None]);
}

/// A store that loses its tail counts on from an earlier number. What was decided on the lost entry 2 must not be
/// applied to the entry 2 that took its place.
pub(crate) async fn the_same_sequence_under_another_head_is_refused<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let stands = Record { token: token(2, 0x01), body: b"stands".to_vec() };
    apply(&*store, &Commit { writes: vec![put("a", stands.clone())], ..nothing() }).await;

    // The heads differ in their first byte, and only in the last that a token keeps.
    let mut last_byte = token(2, 0x01);
    last_byte.0[23] ^= 0x01;
    for lost in [token(2, 0x02), last_byte] {
        let decided = Commit {
            expect: vec![(key("a"), Expected::At(lost))],
            writes: vec![put("a", record(3, "decided on what was lost"))],
            ..nothing()
        };
        assert_eq!(store.commit(&decided).await, Ok(Outcome::Conflict(vec![Some(stands.clone())])), "{lost:?}");
    }
    assert_eq!(store.load(HOME, &[key("a")]).await.unwrap(), [Some(stands)]);
}

pub(crate) async fn checks_stand_in_order_receipts_expectations_logs_guards<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    apply(&*store, &one_of_everything()).await;
    let before = content(&*store).await;

    let seen = |outcome: &Result<Outcome, Error>| matches!(outcome, Ok(Outcome::Seen(_)));
    let conflict = |outcome: &Result<Outcome, Error>| matches!(outcome, Ok(Outcome::Conflict(_)));
    let guard = |outcome: &Result<Outcome, Error>| matches!(outcome, Ok(Outcome::GuardFailed { .. }));
    let damage = |outcome: &Result<Outcome, Error>| matches!(outcome, Err(Error::Corrupt { .. }));
    type Check<'a> = &'a dyn Fn(&Result<Outcome, Error>) -> bool;
    let rows: [(&str, &str, &str, u64, u64, Check<'_>); 5] = [
        // receipt, fingerprint, token expected, first sequence; the guard always fails
        ("receipt first", "rcp|1", "fingerprint", 1, 9, &seen),
        ("reused, also first", "rcp|1", "other", 1, 9, &seen),
        ("then the expectation", "rcp|2", "f", 1, 9, &conflict),
        ("then the log", "rcp|2", "f", 2, 9, &damage),
        ("then the guard", "rcp|2", "f", 2, 3, &guard),
    ];
    for (what, name, fingerprint, sequence, first_sequence, expected) in rows {
        let commit = Commit {
            receipts: vec![receipt(name, fingerprint, "b")],
            expect: vec![at("acct|mia", sequence)],
            deltas: vec![delta("qty|stock", -8)],
            appends: vec![append("log|mia", first_sequence, &["more"])],
            ..one_more_of_everything()
        };
        let outcome = store.commit(&commit).await;
        assert!(expected(&outcome), "{what}: {outcome:?}");
        assert_eq!(content(&*store).await, before, "{what}");
    }
}

pub(crate) async fn bodies_and_fingerprints_keep_every_byte<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let bodies: [Vec<u8>; 7] = [
        Vec::new(),
        vec![0x00],
        vec![0xff; 3],
        b"\r\n$5\r\n*3\r\n".to_vec(),
        b"'; DROP TABLE records; --".to_vec(),
        every_byte.clone(),
        every_byte.repeat(256), // 64 KiB
    ];
    let mut log = Vec::new();
    for (n, body) in bodies.iter().enumerate() {
        let (sequence, name, subject) = (n as u64 + 1, format!("r|{n}"), format!("rcp|{n}"));
        let written = Record { token: token(sequence, 0x00), body: body.clone() };
        let commit = Commit {
            receipts: vec![receipt(&subject, body, body)],
            writes: vec![put(&name, written.clone())],
            appends: vec![guerdon::store::Append {
                log: key("log"),
                first_sequence: sequence,
                entries: vec![body.clone()],
            }],
            feed: vec![body.clone()],
            ..nothing()
        };
        apply(&*store, &commit).await;
        log.push(body.clone());

        let stored = store.receipt(&key(&subject)).await.unwrap().unwrap();
        assert!(stored.fingerprint == *body && stored.body == *body, "the receipt with body {n}");
        let Ok(Outcome::Seen(seen)) = store.commit(&commit).await else { panic!("a replay of body {n} is not seen") };
        assert!(seen[0].same_content && seen[0].receipt.body == *body, "the replay of body {n}");
        assert!(store.load(HOME, &[key(&name)]).await.unwrap() == [Some(written.clone())], "record {n}");
        // What a conflict brings must be as whole as what a load brings.
        let outcome = store.commit(&Commit { expect: vec![absent(&name)], ..nothing() }).await;
        assert!(outcome == Ok(Outcome::Conflict(vec![Some(written)])), "the conflict over record {n}");
    }
    assert!(store.entries(&key("log"), 1, 100).await.unwrap() == log, "the log");
    assert!(feed_bodies(&*store, HOME).await == log, "the feed");
}

pub(crate) async fn keys_with_any_legal_character_stay_apart<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let graphic: String = ('!'..='~').filter(|c| !matches!(c, '|' | '{' | '}')).collect();
    let names = [
        "a|p|mia",
        "a|p|Mia",
        "a|p|MIA",
        "a|p|mia:",
        "a|p|mi%",
        "a|p|mi_",
        "a|p|mi*",
        "a|p|mi?",
        "a|p|[mia]",
        "a|p|'mia'",
        "a|p|\"mia\"",
        "a|p|mia\\",
        "a|p|mia;--",
        "a|p|gid://shop/Customer/7",
        "a|p|mia|1",
        "a|p|mia|10",
        "a|p|mia|1:0",
        "a|p|0",
        "a|p|00",
        "a|p|-0",
        "a|p|1e3",
        "a|p|nil",
        "a|p|$1",
        "a|p|?1",
        "a|p|KEYS[1]",
        "a|p|\u{7e}",
        &graphic,
    ];
    let writes: Vec<Write> = names.iter().map(|name| put(name, record(1, name))).collect();
    apply(&*store, &Commit { writes, ..nothing() }).await;
    for (n, name) in names.iter().enumerate() {
        let sequence = n as i64 + 1;
        let commit = Commit {
            receipts: vec![receipt(&format!("rcp|{name}"), "f", name)],
            expect: vec![at(name, 1)],
            appends: vec![append(&format!("log|{name}"), 1, &[name])],
            deltas: vec![delta(&format!("qty|{name}"), sequence)],
            due: vec![due(name, sequence)],
            ..nothing()
        };
        apply(&*store, &commit).await;
    }
    let subjects: Vec<Box<str>> =
        due_walk(&*store, i64::MAX).await.into_iter().flat_map(|page| page.items).map(|item| item.subject).collect();
    assert_eq!(subjects, names.map(Box::from));
    for (n, name) in names.iter().enumerate() {
        let loaded = store.load(HOME, &[key(name)]).await.unwrap();
        assert_eq!(loaded, [Some(record(1, name))]);
        assert_eq!(store.receipt(&key(&format!("rcp|{name}"))).await.unwrap().unwrap().body, name.as_bytes());
        assert_eq!(store.entries(&key(&format!("log|{name}")), 1, 10).await.unwrap(), [name.as_bytes()]);
        assert_eq!(store.left(&key(&format!("qty|{name}"))).await.unwrap(), n as i64 + 1);
    }
}

pub(crate) async fn the_same_name_in_two_partitions_is_two_records<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let partitions = [Partition(0), Partition(1), Partition(11), Partition(15)];
    for partition in partitions {
        let body = partition.0.to_string();
        let commit = Commit {
            partition,
            writes: vec![Write { key: key_in(partition, "a"), record: Some(record(1, &body)) }],
            expect: vec![(key_in(partition, "a"), Expected::Absent)],
            feed: vec![body.into_bytes()],
            ..Commit::default()
        };
        apply(&*store, &commit).await;
    }
    for partition in partitions {
        let body = partition.0.to_string();
        assert_eq!(store.load(partition, &[key_in(partition, "a")]).await.unwrap(), [Some(record(1, &body))]);
        assert_eq!(feed_bodies(&*store, partition).await, [body.as_bytes()]);
    }
    assert_eq!(store.load(Partition(2), &[key_in(Partition(2), "a")]).await.unwrap(), [None]);
}

pub(crate) async fn an_empty_commit_applies<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    apply(&*store, &nothing()).await;
    apply(&*store, &Commit { expect: vec![absent("acct|mia")], ..nothing() }).await;
}

pub(crate) async fn the_store_counts_its_trips_and_answers_pings<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    assert_eq!(store.trips(), 0);
    apply(&*store, &one_of_everything()).await;
    store.load(HOME, &[key("acct|mia"), key("ord|1")]).await.unwrap();
    store.commit(&one_of_everything()).await.unwrap();
    assert_eq!(store.trips(), 3);
    assert_eq!(store.ping().await, Ok(()));
    assert_eq!(store.trips(), 3);
}
