//! The thread that moves SQLite's log (the WAL) into the main file while commits go on.
//!
//! A commit is on disk once it is in the log. Later the log is moved into the file (a checkpoint), which writes and syncs
//! every page that has changed: commits that waited for all of that took tens of milliseconds. So a thread of its own
//! moves what there is, again until little has been added meanwhile, and the writer moves that rest and syncs the file: the
//! log begins anew only when all of it is moved and nobody adds to it, which the writer alone can say.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tracing::{error, warn};

use super::Repeated;

/// Pages in the log, and how many of them are in the main file, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Log {
    pub(super) written_pages: i64,
    pub(super) moved_pages: i64,
}

impl Log {
    /// Looks only.
    pub(super) fn look(connection: &Connection) -> rusqlite::Result<Log> {
        Log::asked(connection, "PRAGMA wal_checkpoint(NOOP)")
    }

    /// Moves what no reader keeps from being moved.
    pub(super) fn move_on(connection: &Connection) -> rusqlite::Result<Log> {
        Log::asked(connection, "PRAGMA wal_checkpoint(PASSIVE)")
    }

    /// Moves all, waits for readers, and empties the file of the log.
    pub(super) fn empty(connection: &Connection) -> rusqlite::Result<Log> {
        Log::asked(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    }

    fn asked(connection: &Connection, pragma: &str) -> rusqlite::Result<Log> {
        let row = |row: &rusqlite::Row<'_>| Ok(Log { written_pages: row.get(1)?, moved_pages: row.get(2)? });
        connection.prepare_cached(pragma)?.query_row([], row)
    }

    pub(super) fn backlog_pages(self) -> i64 {
        self.written_pages - self.moved_pages
    }
}

/// Dropping it ends the thread once it has moved what it is moving.
pub(super) struct Mover {
    /// `None` only while it is dropped.
    ask: Option<SyncSender<()>>,
    done: Receiver<()>,
    moving: bool,
    thread: Option<JoinHandle<()>>,
}

impl Mover {
    /// With a connection of its own.
    pub(super) fn start(connection: Connection, told: Arc<Repeated>) -> std::io::Result<Mover> {
        let (ask, asked) = sync_channel::<()>(1);
        let (tell, done) = sync_channel(1);
        let work = move || {
            for () in asked {
                if let Err(cause) = Log::move_on(&connection) {
                    tell_of(&cause, &told);
                }
                if tell.send(()).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("embedded-mover".to_owned()).spawn(work)?;
        Ok(Mover { ask: Some(ask), done, moving: false, thread: Some(thread) })
    }

    /// Asks for what there is now to be moved; nothing while that goes on.
    pub(super) fn ask(&mut self) {
        if !self.is_moving() {
            // It takes what it is asked: it has told that it is done with what it was asked before.
            self.moving = self.ask.as_ref().is_some_and(|ask| ask.send(()).is_ok());
        }
    }

    pub(super) fn is_moving(&mut self) -> bool {
        self.moving = self.moving && self.done.try_recv() == Err(TryRecvError::Empty);
        self.moving
    }

    /// Waits for what it was asked last.
    pub(super) fn wait(&mut self) {
        if self.moving {
            // A thread that has ended moves nothing any more.
            let _moved_or_gone = self.done.recv();
            self.moving = false;
        }
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        drop(self.ask.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread that moves the log of the embedded store panicked");
        }
    }
}

/// A failed checkpoint loses nothing: the log still has it.
pub(super) fn tell_of(cause: &rusqlite::Error, told: &Repeated) {
    if told.is_news(&format!("checkpoint: {cause}")) {
        warn!(%cause, "a checkpoint of the embedded store failed; the next one takes over");
    }
}
