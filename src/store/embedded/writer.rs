//! The one thread that writes: groups commits, and tidies up between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;
use tracing::{error, warn};

use super::super::{ClockMs, Commit, Error, Outcome};
use super::apply::apply;
use super::{BATCH_MAX, Fault, Repeated, driver_error};

/// Pages of 4 KiB in the WAL that are worth a checkpoint when nobody waits.
const CHECKPOINT_PAGES_IDLE: i64 = 256;
/// Pages in the WAL that call for a checkpoint while commits wait, so that the WAL stays near 4 MiB. Commits wait for all of it:
/// eight times as many took 65 ms at a time.
const CHECKPOINT_PAGES_BUSY: i64 = 1_024;
/// How long no commit must come for the writer to count as idle.
const IDLE_AFTER: Duration = Duration::from_millis(50);
/// Expired receipts are looked for this often.
const PURGE_EVERY: Duration = Duration::from_secs(1);
/// Expired receipts removed at a time: a commit that comes meanwhile waits for no more.
const PURGE_MAX: usize = 512;

/// A commit that waits, and where its answer goes. Nobody may be left to take it.
pub(super) struct Job {
    pub(super) commit: Commit,
    pub(super) reply: oneshot::Sender<Result<Outcome, Error>>,
}

pub(super) struct Writer {
    connection: Connection,
    clock: ClockMs,
    stopped: Arc<AtomicBool>,
    failing: Arc<AtomicBool>,
    told: Arc<Repeated>,
    /// Pages in the WAL, and not in the main file yet, for the next checkpoint while busy. Rises when
    /// a reader keeps one from getting through, so that not every batch tries again.
    checkpoint_pages: i64,
    purged: Instant,
}

/// How a batch ended that was not committed.
enum Abort {
    /// Certainly nothing of it was applied.
    Nothing(Error),
    /// `COMMIT` failed: what would have been applied may have been.
    Unknown,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        clock: ClockMs,
        stopped: Arc<AtomicBool>,
        failing: Arc<AtomicBool>,
        told: Arc<Repeated>,
    ) -> Writer {
        let checkpoint_pages = CHECKPOINT_PAGES_BUSY;
        Writer { connection, clock, stopped, failing, told, checkpoint_pages, purged: Instant::now() }
    }

    /// Until the store is dropped and all that was queued is settled, or the file can no longer be trusted.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut wait = IDLE_AFTER;
        while !self.stopped.load(Ordering::Acquire) {
            match jobs.recv_timeout(wait) {
                Ok(job) => batch.push(job),
                Err(RecvTimeoutError::Timeout) => {
                    if self.failing.load(Ordering::Acquire) {
                        self.probe();
                        wait = IDLE_AFTER;
                        continue;
                    }
                    self.tidy(CHECKPOINT_PAGES_IDLE);
                    wait = if self.purge_is_due() { IDLE_AFTER } else { PURGE_EVERY };
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return self.close(),
            }
            batch.extend(jobs.try_iter().take(BATCH_MAX - 1));
            self.settle(&mut batch);
            self.tidy(self.checkpoint_pages);
            wait = IDLE_AFTER;
        }
        for job in jobs.try_iter().take(super::QUEUE_MAX) {
            answer(job, Err(Error::Unavailable));
        }
    }

    /// Answers every job of the batch after its transaction has ended, and leaves the batch empty.
    fn settle(&mut self, batch: &mut Vec<Job>) {
        let mut answers = Vec::with_capacity(batch.len());
        let ended = self.transact(batch, &mut answers);
        self.failing.store(ended.is_err(), Ordering::Release);
        if ended.is_err() && !self.connection.is_autocommit() {
            self.roll_back();
        }
        match ended {
            Ok(()) => batch.drain(..).zip(answers).for_each(|(job, outcome)| answer(job, outcome)),
            Err(Abort::Nothing(error)) => batch.drain(..).for_each(|job| answer(job, Err(error.clone()))),
            // What was not applied in any case may have been judged by what another job of the batch wrote.
            Err(Abort::Unknown) => batch.drain(..).zip(answers).for_each(|(job, outcome)| match outcome {
                Ok(Outcome::Applied) => answer(job, Err(Error::OutcomeUnknown)),
                _ => answer(job, Err(Error::Unavailable)),
            }),
        }
    }

    fn transact(&mut self, batch: &[Job], answers: &mut Vec<Result<Outcome, Error>>) -> Result<(), Abort> {
        let before = |cause: rusqlite::Error| Abort::Nothing(driver_error(&cause, "writing", &self.told));
        let now_ms = (self.clock)();
        self.run_cached("BEGIN IMMEDIATE").map_err(before)?;
        for job in batch {
            match apply(&self.connection, &job.commit, now_ms) {
                Ok(outcome) => answers.push(Ok(outcome)),
                Err(fault @ Fault::Refused(_)) => answers.push(Err(fault.into_port("writing", &self.told))),
                Err(Fault::Sqlite(cause)) => return Err(before(cause)),
            }
        }
        self.run_cached("COMMIT").map_err(|cause| {
            if self.told.is_news(&format!("committing: {cause}")) {
                error!(%cause, "the embedded store cannot tell whether its last commits are durable");
            }
            // After a failed fsync the system may have dropped the pages and call the next one a success.
            if cause.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
                self.stop();
            }
            Abort::Unknown
        })
    }

    /// Tries whether the file takes writes again, so that health can tell without a caller's write at stake.
    fn probe(&self) {
        let tried = self.run_cached("BEGIN IMMEDIATE").and_then(|()| {
            // More than what may still fit where there is no room: nothing of it stays.
            self.run_cached("CREATE TABLE IF NOT EXISTS probe (bytes BLOB NOT NULL) STRICT")?;
            self.run_cached("INSERT INTO probe VALUES (zeroblob(262144))")?;
            self.run_cached("COMMIT")?;
            self.run_cached("DROP TABLE probe")
        });
        if tried.is_ok() {
            self.failing.store(false, Ordering::Release);
        } else if !self.connection.is_autocommit() {
            self.roll_back();
        }
    }

    fn run_cached(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(|_| ())
    }

    fn roll_back(&self) {
        if let Err(cause) = self.run_cached("ROLLBACK") {
            error!(%cause, "the embedded store cannot roll back");
            self.stop();
        }
    }

    fn stop(&self) {
        error!("the embedded store takes no more commits until it is opened anew");
        self.stopped.store(true, Ordering::Release);
    }

    /// What need not be done while a commit waits: callers have their answers.
    fn tidy(&mut self, checkpoint_pages: i64) {
        if self.purge_is_due() && self.purge() < PURGE_MAX {
            self.purged = Instant::now(); // else there may be more: go on after the next batch
        }
        if let Err(cause) = self.checkpoint(checkpoint_pages)
            && self.told.is_news(&format!("checkpoint: {cause}"))
        {
            warn!(%cause, "a checkpoint of the embedded store failed; the next one takes over");
        }
    }

    fn purge_is_due(&self) -> bool {
        PURGE_EVERY <= self.purged.elapsed()
    }

    /// How many expired receipts were removed.
    fn purge(&self) -> usize {
        let now_ms = (self.clock)();
        let purge = || {
            let expired = "SELECT EXISTS (SELECT 1 FROM receipts WHERE expires_at_ms <= ?1)";
            if !self.connection.prepare_cached(expired)?.query_row([now_ms], |row| row.get(0))? {
                return Ok(0);
            }
            let delete = "DELETE FROM receipts WHERE id IN
                          (SELECT id FROM receipts WHERE expires_at_ms <= ?1 ORDER BY expires_at_ms LIMIT ?2)";
            self.connection.prepare_cached(delete)?.execute((now_ms, PURGE_MAX as i64))
        };
        purge().unwrap_or_else(|cause| {
            driver_error(&cause, "purging receipts", &self.told);
            0
        })
    }

    /// Moves the WAL into the main file once it has `pages` that are not there yet.
    fn checkpoint(&mut self, pages: i64) -> rusqlite::Result<()> {
        if self.wal("PRAGMA wal_checkpoint(NOOP)")? < pages {
            return Ok(());
        }
        let left_over = self.wal("PRAGMA wal_checkpoint(PASSIVE)")?;
        self.checkpoint_pages = left_over + CHECKPOINT_PAGES_BUSY;
        Ok(())
    }

    /// Pages in the WAL that are not in the main file after the checkpoint that `pragma` asks for.
    fn wal(&self, pragma: &str) -> rusqlite::Result<i64> {
        let counts = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
        let (written, checkpointed) = self.connection.prepare_cached(pragma)?.query_row([], counts)?;
        Ok(written - checkpointed)
    }

    fn close(self) {
        if let Err(cause) = self.wal("PRAGMA wal_checkpoint(TRUNCATE)") {
            warn!(%cause, "the last checkpoint of the embedded store failed; the next start takes over");
        }
        if let Err((_, cause)) = self.connection.close() {
            warn!(%cause, "the embedded store did not close cleanly");
        }
    }
}

/// The caller may have left; the commit stands all the same.
fn answer(job: Job, outcome: Result<Outcome, Error>) {
    drop(job.reply.send(outcome));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc::sync_channel;

    use tempfile::TempDir;
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};

    use super::super::super::{Expected, Key, Layout, NewReceipt, Partition, Receipt, Record, Token, Write};
    use super::super::{read, schema};
    use super::*;

    fn writer(directory: &TempDir) -> Writer {
        let connection = schema::open(&directory.path().join("guerdon.db"), Layout::new(16).unwrap()).unwrap();
        Writer::new(connection, Arc::new(|| 0), Arc::default(), Arc::default(), Arc::default())
    }

    fn key(name: &str) -> Key {
        Key { partition: Partition(3), name: name.into() }
    }

    /// Puts a record of 5,000 bytes that must not be there yet.
    fn put(name: &str) -> Commit {
        let record = Record { token: Token::default(), body: vec![0; 5_000] };
        Commit {
            partition: Partition(3),
            expect: vec![(key(name), Expected::Absent)],
            writes: vec![Write { key: key(name), record: Some(record) }],
            ..Commit::default()
        }
    }

    type Answer = oneshot::Receiver<Result<Outcome, Error>>;

    fn jobs(names: &[&str]) -> (Vec<Job>, Vec<Answer>) {
        let job = |name: &&str| {
            let (reply, answer) = oneshot::channel();
            (Job { commit: put(name), reply }, answer)
        };
        names.iter().map(job).unzip()
    }

    fn settle(writer: &mut Writer, names: &[&str]) -> Vec<Result<Outcome, Error>> {
        let (mut batch, answers) = jobs(names);
        writer.settle(&mut batch);
        assert!(batch.is_empty());
        answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect()
    }

    fn stored(writer: &Writer, name: &str) -> bool {
        read::record(&writer.connection, &key(name)).is_ok_and(|record| record.is_some())
    }

    #[test]
    fn when_commit_fails_what_would_be_applied_is_unknown_and_the_rest_is_not_applied() {
        let directory = TempDir::new().unwrap();
        let mut writer = writer(&directory);
        // A reference to nothing that is only looked at by COMMIT.
        let sabotage = "CREATE TABLE sabotage (id INTEGER REFERENCES records (id) DEFERRABLE INITIALLY DEFERRED);
                        CREATE TRIGGER sabotaged AFTER INSERT ON records WHEN new.name = 'bad'
                        BEGIN INSERT INTO sabotage (id) VALUES (-1); END;";
        writer.connection.execute_batch(sabotage).unwrap();

        let answers = settle(&mut writer, &["a", "bad", "a"]);
        // The second `a` conflicts with one that may not be there.
        assert_eq!(answers, [Err(Error::OutcomeUnknown), Err(Error::OutcomeUnknown), Err(Error::Unavailable)]);
        assert!(!stored(&writer, "a"));
        assert_eq!(settle(&mut writer, &["a"]), [Ok(Outcome::Applied)]);
        assert!(stored(&writer, "a"));
    }

    #[test]
    fn when_a_write_fails_nothing_of_its_batch_is_applied() {
        let directory = TempDir::new().unwrap();
        let mut writer = writer(&directory);
        writer.connection.execute_batch("PRAGMA max_page_count = 40").unwrap();
        let names: Vec<String> = (0..100).map(|n| format!("{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();

        assert_eq!(settle(&mut writer, &names), vec![Err(Error::Unavailable); 100]);
        assert!(names.iter().all(|name| !stored(&writer, name)));
        assert_eq!(settle(&mut writer, &["a"]), [Ok(Outcome::Applied)]);
    }

    /// As if the disk had room for so many more pages of 4 KiB.
    fn leave_room(writer: &Writer, pages: i64) {
        let there: i64 = writer.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        writer.connection.pragma_update(None, "max_page_count", there + pages).unwrap();
    }

    /// Tries to write a record of a mebibyte.
    fn settle_big(writer: &mut Writer) -> Result<Outcome, Error> {
        let mut commit = put("big");
        commit.writes[0].record = Some(Record { token: Token::default(), body: vec![7; 1 << 20] });
        let (reply, mut answer) = oneshot::channel();
        writer.settle(&mut vec![Job { commit, reply }]);
        answer.try_recv().unwrap()
    }

    #[test]
    fn a_file_that_takes_no_writes_is_told_until_it_does() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(&directory);
        let failing = writer.failing.clone();
        leave_room(&writer, 0);
        assert_eq!(settle_big(&mut writer), Err(Error::Unavailable));
        assert!(failing.load(Ordering::Acquire), "a write failed");
        leave_room(&writer, 1 << 10);
        writer.probe();
        assert!(!failing.load(Ordering::Acquire), "the file takes writes again");
    }

    #[test]
    fn a_store_with_little_room_left_says_so_until_there_is_more() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(&directory);
        let failing = writer.failing.clone();
        // A small write still fits, and the next large one would fail again.
        leave_room(&writer, 30);
        assert_eq!(settle_big(&mut writer), Err(Error::Unavailable));
        for _ in 0..3 {
            writer.probe();
            assert!(failing.load(Ordering::Acquire), "there is little room");
        }
        leave_room(&writer, 1 << 10);
        writer.probe();
        assert!(!failing.load(Ordering::Acquire), "there is room again");
        assert_eq!(settle_big(&mut writer), Ok(Outcome::Applied));
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'probe'";
        let left_over: i64 = writer.connection.query_row(tables, [], |row| row.get(0)).unwrap();
        assert_eq!(left_over, 0, "what was tried is gone");
    }

    /// Counts what is logged as a warning or worse.
    #[derive(Clone, Default)]
    struct Warnings(Arc<AtomicUsize>);

    impl<S: tracing::Subscriber> Layer<S> for Warnings {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            if *event.metadata().level() <= tracing::Level::WARN {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn a_full_disk_is_logged_once_however_many_writes_it_fails() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(&directory);
        leave_room(&writer, 0);
        let warnings = Warnings::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(warnings.clone()), || {
            for _ in 0..50 {
                assert_eq!(settle(&mut writer, &["a"]), [Err(Error::Unavailable)]);
                writer.tidy(CHECKPOINT_PAGES_IDLE);
                writer.probe();
            }
        });
        assert_eq!(warnings.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_writer_that_has_stopped_answers_that_nothing_is_applied() {
        let directory = TempDir::new().unwrap();
        let writer = writer(&directory);
        writer.stop();
        let (queue, queued) = sync_channel(8);
        let (batch, answers) = jobs(&["a", "b", "c"]);
        batch.into_iter().for_each(|job| queue.try_send(job).unwrap());
        writer.run(&queued);
        for mut answer in answers {
            assert_eq!(answer.try_recv(), Ok(Err(Error::Unavailable)));
        }
    }

    #[test]
    fn a_purge_that_found_much_goes_on_at_once_and_then_rests() {
        let directory = TempDir::new().unwrap();
        let mut writer = writer(&directory);
        let receipt = |n: usize| {
            let receipt = Receipt { fingerprint: Vec::new(), body: Vec::new() };
            NewReceipt { key: key(&format!("rcp|{n}")), receipt, keep_s: 1 }
        };
        let commit = Commit { receipts: (0..2 * PURGE_MAX + 1).map(receipt).collect(), ..put("a") };
        let (reply, _answer) = oneshot::channel();
        writer.settle(&mut vec![Job { commit, reply }]);
        let count = |writer: &Writer| {
            let count = "SELECT count(*) FROM receipts";
            writer.connection.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap() as usize
        };

        writer.clock = Arc::new(|| 999);
        writer.purged = Instant::now().checked_sub(PURGE_EVERY).unwrap();
        assert!(writer.purge_is_due());
        writer.tidy(i64::MAX);
        assert_eq!(count(&writer), 2 * PURGE_MAX + 1);
        assert!(!writer.purge_is_due());

        writer.clock = Arc::new(|| 1_000);
        writer.purged = Instant::now().checked_sub(PURGE_EVERY).unwrap();
        for left in [PURGE_MAX + 1, 1, 0] {
            assert!(writer.purge_is_due());
            writer.tidy(i64::MAX);
            assert_eq!(count(&writer), left);
        }
        assert!(!writer.purge_is_due());
    }

    #[test]
    fn a_commit_syncs_the_wal_and_only_the_writer_makes_checkpoints() {
        let directory = TempDir::new().unwrap();
        let mut writer = writer(&directory);
        let pragma = |writer: &Writer, name: &str| -> String {
            let value = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
            format!("{:?}", writer.connection.query_row(&format!("PRAGMA {name}"), [], value).unwrap())
        };
        assert_eq!(pragma(&writer, "journal_mode"), "Text(\"wal\")");
        assert_eq!(pragma(&writer, "synchronous"), "Integer(2)"); // FULL
        assert_eq!(pragma(&writer, "wal_autocheckpoint"), "Integer(0)");

        settle(&mut writer, &["a", "b"]);
        // Looking at the backlog must not work it off: that would sync the main file after every batch.
        let backlog = writer.wal("PRAGMA wal_checkpoint(NOOP)").unwrap();
        assert!(0 < backlog);
        writer.checkpoint(backlog + 1).unwrap();
        assert_eq!(writer.wal("PRAGMA wal_checkpoint(NOOP)").unwrap(), backlog);
        writer.checkpoint(backlog).unwrap();
        assert_eq!(writer.wal("PRAGMA wal_checkpoint(NOOP)").unwrap(), 0);
    }
}
