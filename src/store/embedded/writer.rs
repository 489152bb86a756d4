//! The one thread that writes: groups commits, and tidies up between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, params};
use tokio::sync::oneshot;
use tracing::{error, warn};

use super::super::{ClockMs, Commit, Error, Key, Outcome, Partition};
use super::apply::apply;
use super::mover::{self, Log, Mover};
use super::place::Place;
use super::{BATCH_MAX, Fault, Repeated, driver_error};

/// Pages of 4 KiB in the log that are worth moving when nobody waits.
const MOVE_PAGES_IDLE: i64 = 256;
/// Pages in the log that call for moving while commits wait.
const MOVE_PAGES_BUSY: i64 = 1_024;
/// Pages that commits may wait for: the writer moves so many itself, so that the log begins anew.
const REST_PAGES_MAX: i64 = 128;
/// How often the mover tries to leave no more than that.
const MOVES_MAX: u8 = 4;
/// Pages in the log, moved or not, for which commits wait for the mover: 64 MiB.
const LOG_PAGES_MAX: i64 = 16_384;
/// How long no commit must come for the writer to count as idle.
const IDLE_AFTER: Duration = Duration::from_millis(50);
/// Expired receipts are looked for this often.
const PURGE_EVERY: Duration = Duration::from_secs(1);
/// Expired receipts removed at a time: a commit that comes meanwhile waits for no more.
const PURGE_MAX: usize = 128;

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
    /// `None`: the writer moves all by itself.
    mover: Option<Mover>,
    /// Pages in the log, and not in the main file yet, for which moving begins while busy. Rises when
    /// a reader keeps it from getting through, so that not every batch tries again.
    move_pages: i64,
    /// How often the mover was asked since the log was last moved whole.
    moves: u8,
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
        mover: Option<Mover>,
    ) -> Writer {
        let (move_pages, moves, purged) = (MOVE_PAGES_BUSY, 0, Instant::now());
        Writer { connection, clock, stopped, failing, told, mover, move_pages, moves, purged }
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
                    self.tidy(true);
                    wait = if self.purge_is_due() { IDLE_AFTER } else { PURGE_EVERY };
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return self.close(),
            }
            batch.extend(jobs.try_iter().take(BATCH_MAX - 1));
            self.settle(&mut batch);
            self.tidy(false);
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

    /// What need not be done while a commit waits: callers have their answers. `idle`: nobody waits at all.
    fn tidy(&mut self, idle: bool) {
        if self.purge_is_due() && self.purge() < PURGE_MAX {
            self.purged = Instant::now(); // else there may be more: go on after the next batch
        }
        if let Err(cause) = self.move_log(idle) {
            mover::tell_of(&cause, &self.told);
        }
    }

    fn purge_is_due(&self) -> bool {
        PURGE_EVERY <= self.purged.elapsed()
    }

    /// How many expired receipts were removed.
    fn purge(&self) -> usize {
        self.purge_expired().unwrap_or_else(|cause| {
            driver_error(&cause, "purging receipts", &self.told);
            if !self.connection.is_autocommit() {
                self.roll_back();
            }
            0
        })
    }

    fn purge_expired(&self) -> rusqlite::Result<usize> {
        let expired =
            "SELECT id, partition, name FROM receipts WHERE expires_at_ms <= ?1 ORDER BY expires_at_ms LIMIT ?2";
        let row = |row: &rusqlite::Row<'_>| {
            let key = Key { partition: Partition(row.get(1)?), name: row.get(2)? };
            Ok((row.get(0)?, Place::of_receipt(&key)))
        };
        let mut expired = self.connection.prepare_cached(expired)?;
        let values = params![(self.clock)(), PURGE_MAX as i64];
        let expired: Vec<(i64, Place)> = expired.query_map(values, row)?.collect::<rusqlite::Result<_>>()?;
        if expired.is_empty() {
            return Ok(0);
        }
        self.run_cached("BEGIN IMMEDIATE")?;
        for (id, place) in &expired {
            let place_of = "DELETE FROM places WHERE place = ?1 AND last_sequence = 0";
            self.connection.prepare_cached(place_of)?.execute([place])?;
            self.connection.prepare_cached("DELETE FROM receipts WHERE id = ?1")?.execute([id])?;
        }
        self.run_cached("COMMIT")?;
        Ok(expired.len())
    }

    /// Moves the log into the main file once it is long enough, as far as that is the writer's to do.
    fn move_log(&mut self, idle: bool) -> rusqlite::Result<()> {
        let log = Log::look(&self.connection)?;
        if let Some(mover) = &mut self.mover
            && mover.is_moving()
        {
            if log.written_pages < LOG_PAGES_MAX {
                return Ok(());
            }
            mover.wait();
        }
        let log = Log::look(&self.connection)?;
        let backlog_pages = log.backlog_pages();
        let is_rest = 0 < self.moves && backlog_pages <= REST_PAGES_MAX;
        let is_due = 0 < self.moves || backlog_pages >= if idle { MOVE_PAGES_IDLE } else { self.move_pages };
        if !is_due && !is_rest {
            return Ok(());
        }
        match &mut self.mover {
            // A commit may come at any time, so much is the mover's also while nobody waits.
            Some(mover) if !is_rest && self.moves < MOVES_MAX && (!idle || MOVE_PAGES_BUSY < backlog_pages) => {
                self.moves += 1;
                mover.ask();
            }
            _ => {
                self.moves = 0;
                let left_over = Log::move_on(&self.connection)?.backlog_pages();
                self.move_pages = left_over + MOVE_PAGES_BUSY;
            }
        }
        Ok(())
    }

    fn close(mut self) {
        self.mover = None; // a checkpoint under way would keep the last from its work
        if let Err(cause) = Log::empty(&self.connection) {
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
        Writer::new(connection, Arc::new(|| 0), Arc::default(), Arc::default(), Arc::default(), None)
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
        let sabotage = "CREATE TABLE sabotage (id INTEGER REFERENCES large_records (id) DEFERRABLE INITIALLY DEFERRED);
                        CREATE TRIGGER sabotaged AFTER INSERT ON large_records WHEN new.name = 'bad'
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
                writer.tidy(true);
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
        writer.tidy(false);
        assert_eq!(count(&writer), 2 * PURGE_MAX + 1);
        assert!(!writer.purge_is_due());

        writer.clock = Arc::new(|| 1_000);
        writer.purged = Instant::now().checked_sub(PURGE_EVERY).unwrap();
        for left in [PURGE_MAX + 1, 1, 0] {
            assert!(writer.purge_is_due());
            writer.tidy(false);
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
        let backlog = |writer: &Writer| Log::look(&writer.connection).unwrap().backlog_pages();
        let before = backlog(&writer);
        assert!(0 < before);
        writer.move_pages = before + 1;
        writer.move_log(false).unwrap();
        assert_eq!(backlog(&writer), before);
        writer.move_pages = before;
        writer.move_log(false).unwrap();
        assert_eq!(backlog(&writer), 0);
    }

    #[test]
    fn the_mover_moves_while_commits_go_on_and_the_log_begins_anew() {
        let directory = TempDir::new().unwrap();
        let mut writer = writer(&directory);
        let connection = schema::open_for_moving(&directory.path().join("guerdon.db")).unwrap();
        writer.mover = Some(Mover::start(connection, Arc::default()).unwrap());
        settle(&mut writer, &["first"]);
        let mover = writer.mover.as_mut().unwrap();
        mover.ask();
        mover.wait();
        let mut before = Log::look(&writer.connection).unwrap();
        assert_eq!(before.backlog_pages(), 0);

        let (mut asked, mut began_anew) = (0, 0);
        for n in 0..2_000 {
            settle(&mut writer, &[&format!("{n}")]);
            writer.tidy(false);
            let log = Log::look(&writer.connection).unwrap();
            asked += usize::from(0 < writer.moves);
            began_anew += usize::from(log.written_pages < before.written_pages);
            assert!(log.written_pages < LOG_PAGES_MAX + 64, "{log:?}");
            before = log;
        }
        assert!(0 < asked && 0 < began_anew, "{asked}, {began_anew}");
        assert!(stored(&writer, "0") && stored(&writer, "1999"));
        writer.close();
        assert!(!directory.path().join("guerdon.db-wal").exists());
    }
}
