//! Files of versions before, and how records lie in the file.

use guerdon::store::{Commit, Error, Expected, Outcome, Record, Store, Write};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::super::kit::*;
use super::{EmbeddedFixture, open};

/// The tables of format 1, as it made them.
const FORMAT_1: &str = "
CREATE TABLE meta (setting TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE records (id INTEGER PRIMARY KEY, partition INTEGER NOT NULL, name TEXT NOT NULL, token BLOB NOT NULL,
    body BLOB NOT NULL, UNIQUE (partition, name)) STRICT;
CREATE TABLE receipts (id INTEGER PRIMARY KEY, partition INTEGER NOT NULL, name TEXT NOT NULL,
    fingerprint BLOB NOT NULL, body BLOB NOT NULL, expires_at_ms INTEGER NOT NULL, UNIQUE (partition, name)) STRICT;
CREATE INDEX receipts_by_expiry ON receipts (expires_at_ms);
CREATE TABLE entries (partition INTEGER NOT NULL, log TEXT NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (partition, log, sequence)) STRICT, WITHOUT ROWID;
CREATE TABLE quantities (partition INTEGER NOT NULL, name TEXT NOT NULL,
    amount_left INTEGER NOT NULL CHECK (0 <= amount_left), PRIMARY KEY (partition, name)) STRICT, WITHOUT ROWID;
CREATE TABLE feed (partition INTEGER NOT NULL, position INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (partition, position)) STRICT, WITHOUT ROWID;
CREATE TABLE feed_ends (partition INTEGER NOT NULL PRIMARY KEY, last_position INTEGER NOT NULL) STRICT;
CREATE TABLE due (partition INTEGER NOT NULL, subject TEXT NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (partition, subject)) STRICT, WITHOUT ROWID;
CREATE INDEX due_by_time ON due (partition, at_ms);
INSERT INTO meta VALUES ('format', 1), ('partitions', 16);
";

/// Bodies below and above what lies at its place.
const SIZES: [usize; 9] = [0, 1, 384, 385, 512, 513, 880, 881, 20_000];
/// Entries of each log: more than make one stretch.
const ENTRIES: u64 = 150;

fn body(size: usize) -> Vec<u8> {
    (0..size).map(|n| n as u8).collect()
}

/// A file of format 1 with records of all sizes, receipts, two logs, a quantity, a feed and something due.
fn of_format_1(directory: &TempDir) -> std::path::PathBuf {
    let path = directory.path().join("guerdon.db");
    let file = Connection::open(&path).unwrap();
    file.execute_batch("PRAGMA journal_mode = WAL; BEGIN").unwrap();
    file.execute_batch(FORMAT_1).unwrap();
    for size in SIZES {
        let insert = "INSERT INTO records (partition, name, token, body) VALUES (?1, ?2, ?3, ?4)";
        file.execute(insert, params![HOME.0, format!("acct|{size}"), token(7, 1).0, body(size)]).unwrap();
        let insert =
            "INSERT INTO receipts (partition, name, fingerprint, body, expires_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
        file.execute(insert, params![HOME.0, format!("rcp|{size}"), b"f", body(size), 1_000 + size as i64]).unwrap();
    }
    for log in ["log|mia", "log|leo"] {
        for sequence in 1..=ENTRIES {
            let insert = "INSERT INTO entries VALUES (?1, ?2, ?3, ?4)";
            file.execute(insert, params![HOME.0, log, sequence as i64, format!("{log}.{sequence}").into_bytes()])
                .unwrap();
        }
    }
    file.execute("INSERT INTO quantities VALUES (?1, 'qty|a', 5)", [HOME.0]).unwrap();
    file.execute("INSERT INTO feed VALUES (?1, 3, x'66')", [HOME.0]).unwrap();
    file.execute("INSERT INTO feed_ends VALUES (?1, 3)", [HOME.0]).unwrap();
    file.execute("INSERT INTO due VALUES (?1, 'mia', 9)", [HOME.0]).unwrap();
    file.execute_batch("COMMIT").unwrap();
    path
}

#[tokio::test]
async fn a_file_of_format_1_is_brought_up_with_all_that_it_holds() {
    let directory = TempDir::new().unwrap();
    let path = of_format_1(&directory);
    for round in 0..2 {
        let store = open(&path).unwrap(); // the second time it is of the format of today
        for size in SIZES {
            let found = store.load(HOME, &[key(&format!("acct|{size}"))]).await.unwrap();
            assert_eq!(found, [Some(Record { token: token(7, 1), body: body(size) })], "round {round}");
            let found = store.receipt(&key(&format!("rcp|{size}"))).await.unwrap().unwrap();
            assert_eq!((found.fingerprint, found.body), (b"f".to_vec(), body(size)), "round {round}");
        }
        for log in ["log|mia", "log|leo"] {
            let entries = store.entries(&key(log), 1, usize::MAX).await.unwrap();
            let wanted: Vec<Vec<u8>> = (1..=ENTRIES).map(|n| format!("{log}.{n}").into_bytes()).collect();
            assert_eq!(entries, wanted, "round {round}");
        }
        assert_eq!(store.left(&key("qty|a")).await, Ok(5));
        assert_eq!(store.feed(HOME, 10).await.unwrap()[0].position, 3);
    }

    let store = open(&path).unwrap();
    let next = Commit {
        receipts: vec![receipt("rcp|next", "f", "b")],
        expect: vec![at_token("acct|20000"), at_token("acct|1")],
        writes: vec![put("acct|20000", record(8, "small")), put("acct|1", record(8, body(5_000)))],
        appends: vec![append("log|mia", ENTRIES + 1, &["x", "y"])],
        feed: vec![b"g".to_vec()],
        ..nothing()
    };
    apply(&store, &next).await;
    let entries = store.entries(&key("log|mia"), ENTRIES, 10).await.unwrap();
    assert_eq!(entries, [&b"log|mia.150"[..], b"x", b"y"]);
    assert_eq!(store.feed(HOME, 10).await.unwrap()[1].position, 4);
    let again = Commit { receipts: vec![receipt("rcp|512", "f", "b")], ..nothing() };
    assert!(matches!(store.commit(&again).await, Ok(Outcome::Seen(_))), "what was answered once stays answered");
}

fn at_token(name: &str) -> (guerdon::store::Key, Expected) {
    (key(name), Expected::At(token(7, 1)))
}

#[tokio::test]
async fn a_file_of_format_1_that_lacks_an_entry_is_refused_and_left_as_it_is() {
    let directory = TempDir::new().unwrap();
    let path = of_format_1(&directory);
    Connection::open(&path)
        .unwrap()
        .execute("DELETE FROM entries WHERE log = 'log|mia' AND sequence = 70", [])
        .unwrap();
    for _ in 0..2 {
        let refused = open(&path).err();
        assert!(matches!(&refused, Some(Error::Corrupt { what }) if what.contains("log|mia")), "{refused:?}");
    }
    let tool = Connection::open(&path).unwrap();
    let format: i64 = tool.query_row("SELECT value FROM meta WHERE setting = 'format'", [], |row| row.get(0)).unwrap();
    let records: i64 = tool.query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap();
    assert_eq!((format, records), (1, SIZES.len() as i64));
}

#[tokio::test]
async fn a_record_of_any_size_takes_the_place_of_one_of_any_other() {
    let fixture = EmbeddedFixture::start().await;
    let store = fixture.store();
    let name = key("acct|mia");
    let mut sequence = 0;
    let mut stands: Option<Record> = None;
    for before in SIZES {
        for after in SIZES {
            for size in [Some(before), Some(after), None] {
                sequence += 1;
                let new = size.map(|size| record(sequence, body(size)));
                // Every other time nothing is expected, so that the store looks by itself.
                let expect =
                    if sequence % 2 == 0 { vec![(name.clone(), expected(stands.as_ref()))] } else { Vec::new() };
                let write = Write { key: name.clone(), record: new.clone() };
                apply(&*store, &Commit { expect, writes: vec![write], ..nothing() }).await;
                assert_eq!(store.load(HOME, std::slice::from_ref(&name)).await.unwrap(), std::slice::from_ref(&new));
                stands = new;
            }
        }
    }
    let left: i64 = fixture
        .tool()
        .query_row("SELECT (SELECT count(*) FROM places) + (SELECT count(*) FROM large_records)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0, "what was deleted is gone");
}

#[tokio::test]
async fn a_receipt_whose_row_is_gone_is_damage_and_not_a_request_never_seen() {
    let fixture = EmbeddedFixture::start().await;
    let store = fixture.store();
    let commit = Commit { receipts: vec![receipt("rcp|1", "f", "b")], ..nothing() };
    apply(&*store, &commit).await;
    fixture.tool().execute("DELETE FROM receipts", []).unwrap();
    assert!(matches!(store.commit(&commit).await, Err(Error::Corrupt { .. })));
    assert!(matches!(store.receipt(&key("rcp|1")).await, Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn an_account_that_grows_stays_beside_its_orders() {
    let fixture = EmbeddedFixture::start().await;
    let store = fixture.store();
    for (sequence, size) in [160, 600, 880, 300].into_iter().enumerate() {
        apply(&*store, &Commit { writes: vec![put("acct|mia", record(sequence as u64, body(size)))], ..nothing() })
            .await;
    }
    let order = put("ord|mia|1", record(1, body(600)));
    apply(&*store, &Commit { writes: vec![order], ..nothing() }).await;
    let large: String =
        fixture.tool().query_row("SELECT group_concat(name) FROM large_records", [], |row| row.get(0)).unwrap();
    assert_eq!(large, "ord|mia|1");
}

#[tokio::test]
async fn entries_are_read_from_anywhere_over_stretches_of_any_length() {
    let fixture = EmbeddedFixture::start().await;
    let store = fixture.store();
    let mut written: Vec<Vec<u8>> = Vec::new();
    for length in [1, 3, 2, 7, 1, 1, 5] {
        let first = written.len() as u64 + 1;
        let texts: Vec<String> = (first..first + length).map(|n| format!("entry {n}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        // Entries of others lie between.
        let others = append(&format!("log|other-{first}"), 1, &["a", "b"]);
        apply(&*store, &Commit { appends: vec![append("log|mia", first, &texts), others], ..nothing() }).await;
        written.extend(texts.iter().map(|text| text.as_bytes().to_vec()));
    }
    for from in 0..=written.len() as u64 + 2 {
        for limit in [0, 1, 2, 4, 100] {
            let found = store.entries(&key("log|mia"), from, limit).await.unwrap();
            let wanted: Vec<_> = written.iter().skip(from.max(1) as usize - 1).take(limit).cloned().collect();
            assert_eq!(found, wanted, "from {from}, {limit} at most");
        }
    }
}
