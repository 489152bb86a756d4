//! The embedded store: its fixture, and what is its own.

mod formats;

use std::collections::BTreeSet;
use std::future::ready;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use guerdon::store::embedded::{EmbeddedStore, QUEUE_MAX};
use guerdon::store::{Commit, Error, Expected, Layout, NewReceipt, Outcome, Record, Store, Write};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::kit::*;

pub(crate) struct EmbeddedFixture {
    directory: TempDir,
    clock: Clock,
    store: Option<Arc<EmbeddedStore>>,
}

#[async_trait]
impl Fixture for EmbeddedFixture {
    async fn start() -> EmbeddedFixture {
        let mut fixture = EmbeddedFixture { directory: TempDir::new().unwrap(), clock: Clock::default(), store: None };
        fixture.open();
        fixture
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().unwrap()
    }

    async fn reopen(&mut self) {
        self.close();
        self.open();
    }

    async fn pass(&self) {
        self.clock.pass_ms(250);
    }
}

impl EmbeddedFixture {
    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("guerdon.db")
    }

    fn open(&mut self) {
        self.store = Some(Arc::new(EmbeddedStore::open(&self.path(), layout(), self.clock.reader()).unwrap()));
    }

    fn close(&mut self) {
        let store = Arc::into_inner(self.store.take().unwrap());
        drop(store.expect("the case still holds the store"));
    }

    /// The file as another tool sees it.
    fn tool(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

/// With a clock that stands still.
fn open(path: &Path) -> Result<EmbeddedStore, Error> {
    EmbeddedStore::open(path, layout(), Clock::default().reader())
}

/// Hands the commit to the store and leaves before the answer; `Some` is an answer given at once.
async fn leave(store: &dyn Store, commit: &Commit) -> Option<Result<Outcome, Error>> {
    tokio::select! {
        biased;
        outcome = store.commit(commit) => Some(outcome),
        () = ready(()) => None,
    }
}

fn numbered(n: usize) -> Commit {
    Commit {
        receipts: vec![receipt(&format!("rcp|{n}"), "f", n.to_string())],
        writes: vec![put(&format!("ord|{n}"), record(1, n.to_string()))],
        appends: vec![append(&format!("log|{n}"), 1, &["one", "two", "three"])],
        deltas: vec![delta("qty|count", 1)],
        ..nothing()
    }
}

#[tokio::test]
async fn what_is_queued_when_the_store_is_dropped_is_settled() {
    let mut fixture = EmbeddedFixture::start().await;
    {
        let store = fixture.store();
        for n in 0..600 {
            assert_eq!(leave(&*store, &numbered(n)).await, None);
        }
    }
    fixture.reopen().await;
    assert_eq!(fixture.store().left(&key("qty|count")).await, Ok(600));
}

#[tokio::test]
async fn a_closed_store_is_one_file_that_holds_everything() {
    let mut fixture = EmbeddedFixture::start().await;
    apply(&*fixture.store(), &one_of_everything()).await;
    fixture.close();

    let copy = fixture.directory.path().join("copy.db");
    std::fs::copy(fixture.path(), &copy).unwrap();
    let copied = open(&copy).unwrap();
    assert_eq!(copied.receipt(&key("rcp|1")).await.unwrap().unwrap().body, b"answer");
}

#[tokio::test]
async fn another_tool_reads_the_file_while_the_store_serves() {
    let fixture = EmbeddedFixture::start().await;
    apply(&*fixture.store(), &one_of_everything()).await;
    let tool = fixture.tool();
    let row = "SELECT partition, name, body FROM records WHERE name = 'acct|mia'";
    let found: (u16, String, Vec<u8>) =
        tool.query_row(row, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!(found, (HOME.0, "acct|mia".to_owned(), b"mia".to_vec()));
    let entries: i64 =
        tool.query_row("SELECT count(*) FROM entries WHERE log = 'log|mia'", [], |row| row.get(0)).unwrap();
    assert_eq!(entries, 2);
}

#[tokio::test]
async fn a_second_instance_on_the_same_file_is_refused_until_the_first_has_closed() {
    let mut fixture = EmbeddedFixture::start().await;
    apply(&*fixture.store(), &one_of_everything()).await;
    assert_eq!(open(&fixture.path()).err(), Some(Error::Unavailable));
    apply(&*fixture.store(), &one_more_of_everything()).await; // the first serves on
    fixture.close();
    assert!(open(&fixture.path()).is_ok());
}

#[tokio::test]
async fn a_file_that_is_not_this_deployments_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("guerdon.db");
    drop(open(&path).unwrap());
    let created = std::fs::read(&path).unwrap();

    let other = EmbeddedStore::open(&path, Layout::new(32).unwrap(), Clock::default().reader());
    let other_deployment =
        Error::OtherDeployment { setting: "partitions", found: "16".to_owned(), wanted: "32".to_owned() };
    assert_eq!(other.err(), Some(other_deployment));
    assert!(std::fs::read(&path).unwrap() == created, "a refused file is not written to");

    let alter = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    alter("UPDATE meta SET value = 3 WHERE setting = 'format'");
    assert_eq!(open(&path).err(), Some(Error::SchemaTooNew { found: 3, known: 2 }));

    alter("DELETE FROM meta");
    assert!(matches!(open(&path).err(), Some(Error::Corrupt { .. })));
    alter("DROP TABLE meta");
    assert!(matches!(open(&path).err(), Some(Error::Corrupt { .. })));

    std::fs::write(&path, "these are notes, and no database: ".repeat(100)).unwrap();
    assert!(matches!(open(&path).err(), Some(Error::Corrupt { .. })));
    assert_eq!(open(&directory.path().join("missing/guerdon.db")).err(), Some(Error::Unavailable));
}

#[tokio::test]
async fn a_tool_that_holds_the_write_lock_makes_commits_unavailable_and_reads_go_on() {
    let fixture = EmbeddedFixture::start().await;
    let store = fixture.store();
    apply(&*store, &one_of_everything()).await;
    let before = content(&*store).await;

    let tool = fixture.tool();
    tool.execute_batch("BEGIN IMMEDIATE").unwrap();
    let next = Commit { receipts: vec![receipt("rcp|2", "f", "b")], ..one_more_of_everything() };
    assert_eq!(store.commit(&next).await, Err(Error::Unavailable));
    assert_eq!(content(&*store).await, before);

    tool.execute_batch("ROLLBACK").unwrap();
    apply(&*store, &next).await;
}

#[tokio::test]
async fn a_full_queue_answers_at_once_and_the_store_recovers() {
    let fixture = EmbeddedFixture::start().await;
    let store = fixture.store();
    let tool = fixture.tool();
    tool.execute_batch("BEGIN IMMEDIATE").unwrap(); // the writer waits for the lock with a batch in hand

    // The writer gives a batch up each time it has waited long enough, so a few more may fit than the queue takes.
    let mut refused = None;
    for n in 0..20 * QUEUE_MAX {
        refused = leave(&*store, &numbered(n)).await;
        if refused.is_some() {
            assert!(QUEUE_MAX <= n, "refused after {n}");
            break;
        }
    }
    assert_eq!(refused, Some(Err(Error::Unavailable)));

    tool.execute_batch("ROLLBACK").unwrap();
    // Until the writer has taken some from the queue, it is full.
    eventually("the store takes commits again", async || {
        let outcome = store.commit(&Commit { writes: vec![put("last", record(1, ""))], ..nothing() }).await;
        outcome == Ok(Outcome::Applied)
    })
    .await;
    assert_eq!(store.ping().await, Ok(()));
}

#[tokio::test]
async fn commits_in_one_batch_see_what_those_before_them_did() {
    let fixture = EmbeddedFixture::start().await;
    let store = fixture.store();
    let tool = fixture.tool();
    // While the lock is held, what is queued gathers; the first commit may go alone, the others share a batch.
    tool.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..100_usize {
        let store = store.clone();
        let commit = Commit { expect: vec![absent("ord|1")], writes: vec![put("ord|1", record(1, ""))], ..numbered(n) };
        tasks.spawn(async move { store.commit(&commit).await });
    }
    tokio::task::yield_now().await;
    tool.execute_batch("ROLLBACK").unwrap();
    let outcomes = tasks.join_all().await;
    let applied = outcomes.iter().filter(|outcome| **outcome == Ok(Outcome::Applied)).count();
    let conflicts = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Outcome::Conflict(_)))).count();
    assert_eq!((applied, conflicts), (1, 99));
}

#[tokio::test]
async fn a_receipt_is_kept_to_the_millisecond() {
    let fixture = EmbeddedFixture::start().await;
    let store = fixture.store();
    let short = NewReceipt { keep_s: 1, ..receipt("rcp|1", "f", "first") };
    apply(&*store, &Commit { receipts: vec![short], ..nothing() }).await;
    fixture.clock.pass_ms(999);
    assert!(store.receipt(&key("rcp|1")).await.unwrap().is_some());
    fixture.clock.pass_ms(1);
    assert_eq!(store.receipt(&key("rcp|1")).await, Ok(None));
    // The row may still be there; it is in nobody's way.
    let again = receipt("rcp|1", "f", "second");
    apply(&*store, &Commit { receipts: vec![again.clone()], ..nothing() }).await;
    assert_eq!(store.receipt(&key("rcp|1")).await, Ok(Some(again.receipt)));
}

#[tokio::test]
async fn expired_receipts_are_purged_from_the_file() {
    let fixture = EmbeddedFixture::start().await;
    let store = fixture.store();
    // More than are purged at a time.
    let receipts =
        |n: usize| (0..300).map(move |m| NewReceipt { keep_s: 1, ..receipt(&format!("rcp|{n}.{m}"), "f", "b") });
    for n in 0..4 {
        apply(&*store, &Commit { receipts: receipts(n).collect(), ..nothing() }).await;
    }
    apply(&*store, &Commit { receipts: vec![receipt("rcp|kept", "f", "b")], ..nothing() }).await;
    fixture.clock.pass_ms(1_000);
    let tool = fixture.tool();
    eventually("only the kept receipt is left", async || {
        tool.query_row("SELECT count(*) FROM receipts", [], |row| row.get::<_, i64>(0)).unwrap() == 1
    })
    .await;
    assert!(store.receipt(&key("rcp|kept")).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wal_stays_bounded_under_load() {
    let fixture = EmbeddedFixture::start().await;
    let wal_path = fixture.directory.path().join("guerdon.db-wal");
    let mut wal_bytes_max = 0;
    // 96 MiB over four records of 256 KiB. SQLite writes no page whose bytes stay the same, so they change.
    for round in 0..96_u64 {
        let body = vec![round as u8; 1 << 18];
        let mut tasks = JoinSet::new();
        for name in ["a", "b", "c", "d"] {
            let (store, write) = (fixture.store(), put(name, record(round, &body)));
            tasks.spawn(async move { store.commit(&Commit { writes: vec![write], ..nothing() }).await });
        }
        assert!(tasks.join_all().await.iter().all(|outcome| *outcome == Ok(Outcome::Applied)));
        wal_bytes_max = wal_bytes_max.max(std::fs::metadata(&wal_path).unwrap().len());
    }
    assert!(wal_bytes_max < 48 << 20, "{wal_bytes_max} bytes");
}

/// As in the memory store's test of this name; here the file is put back from a copy.
#[tokio::test]
async fn a_decision_made_on_a_lost_time_line_is_refused() {
    let mut fixture = EmbeddedFixture::start().await;
    let write = |sequence, head, expect| Commit {
        expect: vec![(key("acct|mia"), expect)],
        writes: vec![Write {
            key: key("acct|mia"),
            record: Some(Record { token: token(sequence, head), body: vec![head] }),
        }],
        ..nothing()
    };
    apply(&*fixture.store(), &write(1, 0x01, Expected::Absent)).await;
    fixture.close();
    let image = fixture.directory.path().join("image.db");
    std::fs::copy(fixture.path(), &image).unwrap();
    fixture.open();
    apply(&*fixture.store(), &write(2, 0x02, Expected::At(token(1, 0x01)))).await;

    fixture.close();
    std::fs::copy(&image, fixture.path()).unwrap();
    fixture.open();
    apply(&*fixture.store(), &write(2, 0x22, Expected::At(token(1, 0x01)))).await;
    let stands = Record { token: token(2, 0x22), body: vec![0x22] };
    let on_the_lost_one = write(3, 0x03, Expected::At(token(2, 0x02)));
    assert_eq!(fixture.store().commit(&on_the_lost_one).await, Ok(Outcome::Conflict(vec![Some(stands)])));
}

/// Where the child of the test below finds the file; unset in the test itself.
const CRASH_PATH: &str = "GUERDON_TEST_CRASH_PATH";
/// Callers at once in the child, so that batches hold several commits.
const CRASH_TASKS: usize = 8;

/// The test starts itself as a child that commits without end and prints the number of each commit once it is
/// acknowledged. After some number of them the child is killed, wherever it then stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_commit_survives_kill_9_once() {
    if let Some(path) = std::env::var_os(CRASH_PATH) {
        return commit_until_killed(Path::new(&path)).await;
    }

    let directory = TempDir::new().unwrap();
    let path = directory.path().join("guerdon.db");
    let mut acknowledged = BTreeSet::new();
    for acknowledged_more in [1, 30, 170, 500] {
        let new = kill_child_after(&path, acknowledged_more);
        assert!(acknowledged_more <= new.len());
        acknowledged.extend(new);

        let tool = Connection::open(&path).unwrap();
        let sound: String = tool.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        drop(tool);

        let store = open(&path).unwrap();
        for n in &acknowledged {
            let order = store.load(HOME, &[key(&format!("ord|{n}"))]).await.unwrap();
            assert_eq!(order, [Some(record(1, n.to_string()))], "acknowledged commit {n}");
            let entries = store.entries(&key(&format!("log|{n}")), 1, 10).await.unwrap();
            assert_eq!(entries, [&b"one"[..], b"two", b"three"], "acknowledged commit {n}");
            assert!(matches!(store.commit(&numbered(*n)).await, Ok(Outcome::Seen(_))), "acknowledged commit {n}");
        }
        // Commits that nobody was told of may be there too, and then whole: each receipt has its three entries
        // and its one of the count.
        let tool = Connection::open(&path).unwrap();
        let count = |sql: &str| tool.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let commits = count("SELECT count(*) FROM receipts");
        assert!(acknowledged.len() as i64 <= commits);
        assert_eq!(count("SELECT count(*) FROM records"), commits);
        assert_eq!(count("SELECT count(*) FROM entries"), 3 * commits);
        assert_eq!(store.left(&key("qty|count")).await, Ok(commits));
    }
}

async fn commit_until_killed(path: &Path) {
    let store = Arc::new(open(path).unwrap());
    let first = store.left(&key("qty|count")).await.unwrap() as usize;
    let mut tasks = JoinSet::new();
    for task in 0..CRASH_TASKS {
        let store = store.clone();
        tasks.spawn(async move {
            // Numbers of an earlier run that were not acknowledged may be met again: those are told as seen.
            for n in (first + task..first + 100_000).step_by(CRASH_TASKS) {
                if let Ok(Outcome::Applied) = store.commit(&numbered(n)).await {
                    let line = format!("acknowledged {n}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            }
        });
    }
    tasks.join_all().await;
}

/// The numbers that the child printed whole before it died.
fn kill_child_after(path: &Path, acknowledged_min: usize) -> Vec<usize> {
    let name = "conformance::embedded::every_acknowledged_commit_survives_kill_9_once";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CRASH_PATH, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut killed = false;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).unwrap() == 0 {
            break;
        }
        // The harness writes before the first line, and the last one may be cut short.
        if let Some((_, number)) = line.split_once("acknowledged ")
            && let Some(number) = number.strip_suffix('\n')
        {
            acknowledged.push(number.parse().unwrap());
        }
        if !killed && acknowledged_min <= acknowledged.len() {
            child.kill().unwrap(); // SIGKILL; what it wrote before is still read
            killed = true;
        }
    }
    assert!(killed, "the child ended by itself after {} commits", acknowledged.len());
    assert!(!child.wait().unwrap().success());
    acknowledged
}
