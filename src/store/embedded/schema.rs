//! The tables, and how a connection is opened.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use tracing::{error, info};

use super::super::{Error, Layout};
use super::mover::Log;
use super::{BUSY_WAIT_MAX, Repeated, driver_error, format_1};

/// Raised whenever an older version of this program could no longer read the file.
const FORMAT: u32 = 2;
/// More statements than there are, so that each is prepared once per connection.
const STATEMENTS_MAX: usize = 64;
/// What the log's file is cut to when it begins anew: a reader of long ago may have let it grow.
const LOG_BYTES_KEPT: u64 = 64 << 20;
/// Pages that the writer keeps, in KiB. A commit needs few that are not the last of their table, and what the system keeps
/// of the file is near; SQLite goes through all that it keeps at the end of nearly every transaction (where a page is split, it
/// takes the number of the lock page for a while, and then looks for pages beyond the end), so more is slower.
const WRITER_CACHE_KIB: u32 = 8_192;

/// Instants are Unix milliseconds. `name` and `log` are logical keys; `partition` is the number of their partition.
///
/// A commit changes few pages: all that it looks for it finds in `places`, where what belongs to one account lies side by
/// side, and what is large lies in the order of arrival. Anything else would write a page of 4 KiB for each thing that
/// has a name, twice.
pub(super) const FOUND_BY_KEY: &str = "
-- Where things are: one row for each record, receipt and stretch of a log (see place.rs for the key).
CREATE TABLE places (
    place BLOB NOT NULL,
    -- Of a stretch of a log the number of its last entry; 0 for anything else.
    last_sequence INTEGER NOT NULL,
    -- The row in large_records, in receipts, or in entries, of the stretch's last entry. NULL: a small record, which is here.
    id INTEGER,
    partition INTEGER,
    name TEXT,
    -- Of a record, small or large.
    token BLOB,
    body BLOB,
    PRIMARY KEY (place, last_sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE large_records (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    name TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE receipts (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    name TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    body BLOB NOT NULL,
    expires_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX receipts_by_expiry ON receipts (expires_at_ms);

-- Entries of one stretch have ids that follow each other, as their numbers do.
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    log TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- For people who look into the file.
CREATE VIEW records AS
    SELECT partition, name, body FROM places WHERE body IS NOT NULL
    UNION ALL
    SELECT partition, name, body FROM large_records;
";

const OTHERS: &str = "
CREATE TABLE meta (
    setting TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE quantities (
    partition INTEGER NOT NULL,
    name TEXT NOT NULL,
    amount_left INTEGER NOT NULL CHECK (0 <= amount_left),
    PRIMARY KEY (partition, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE feed (
    partition INTEGER NOT NULL,
    position INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (partition, position)
) STRICT, WITHOUT ROWID;

-- A position is never given twice, also when all before it have left the feed.
CREATE TABLE feed_ends (
    partition INTEGER NOT NULL PRIMARY KEY,
    last_position INTEGER NOT NULL
) STRICT;

CREATE TABLE due (
    partition INTEGER NOT NULL,
    subject TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (partition, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX due_by_time ON due (partition, at_ms);
";

/// Opens the file for writing; creates the tables in an empty one.
pub(super) fn open(path: &Path, layout: Layout) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |cause: rusqlite::Error| {
        error!(path = %path.display(), "the embedded store cannot be opened");
        driver_error(&cause, "opening", &Repeated::default())
    };

    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_WAIT_MAX).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    let empty = is_empty(&connection).map_err(failed)?;
    // Before anything is written to a file that may not be ours.
    let format = if empty { FORMAT } else { check(&connection, path, layout)? };
    // Checkpoints are the mover's and the writer's, see mover.rs.
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = {LOG_BYTES_KEPT}; PRAGMA cache_size = -{WRITER_CACHE_KIB}; PRAGMA temp_store = MEMORY;"
        ))
        .map_err(failed)?;
    keep_plans(&connection).map_err(failed)?;
    if empty {
        create(&mut connection, layout).map_err(failed)?;
    }
    if format == 1 {
        info!(path = %path.display(), "the embedded store is brought from format 1 to {FORMAT}; this takes a while for a large file");
        // What is dropped is overwritten: of somebody who is erased later nothing stays in pages that are free.
        connection.execute_batch("PRAGMA secure_delete = ON").map_err(failed)?;
        format_1::bring_up(&mut connection, FORMAT)
            .map_err(|fault| fault.into_port("opening", &Repeated::default()))?;
        connection.execute_batch("PRAGMA secure_delete = OFF").map_err(failed)?;
        // All of it is in the log: no commit is to wait for that.
        Log::empty(&connection).map_err(failed)?;
    }
    Ok(connection)
}

/// Opens the file for reading. The connection may write the WAL's index, as reading a WAL demands.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_WAIT_MAX)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;")?;
        keep_plans(&connection)?;
        Ok(connection)
    };
    open().map_err(|cause| driver_error(&cause, "opening", &Repeated::default()))
}

/// Opens the file for nothing but moving the log into it.
pub(super) fn open_for_moving(path: &Path) -> Result<Connection, Error> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_WAIT_MAX)?;
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")?;
        Ok(connection)
    };
    open().map_err(|cause| driver_error(&cause, "opening", &Repeated::default()))
}

/// A plan does not depend on values: SQLite would else prepare some statements anew for each.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let count: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(count == 0)
}

fn create(connection: &mut Connection, layout: Layout) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(OTHERS)?;
    transaction.execute_batch(FOUND_BY_KEY)?;
    let insert = "INSERT INTO meta (setting, value) VALUES (?1, ?2)";
    transaction.execute(insert, ("format", FORMAT))?;
    transaction.execute(insert, ("partitions", layout.partitions()))?;
    transaction.commit()
}

/// The format of the file.
fn check(connection: &Connection, path: &Path, layout: Layout) -> Result<u32, Error> {
    let foreign = || {
        error!(path = %path.display(), "the file is a database of another program");
        Error::Corrupt { what: "the file holds another program's tables".to_owned() }
    };
    let failed = |cause: rusqlite::Error| driver_error(&cause, "opening", &Repeated::default());

    let has_meta = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'meta'";
    let count: i64 = connection.query_row(has_meta, [], |row| row.get(0)).map_err(failed)?;
    if count == 0 {
        return Err(foreign());
    }
    let setting = |name: &str| -> Result<i64, Error> {
        connection
            .query_row("SELECT value FROM meta WHERE setting = ?1", [name], |row| row.get(0))
            .optional()
            .map_err(failed)?
            .ok_or_else(foreign)
    };

    let format = u32::try_from(setting("format")?).map_err(|_| foreign())?;
    if FORMAT < format {
        return Err(Error::SchemaTooNew { found: format, known: FORMAT });
    }
    let found = setting("partitions")?;
    if found != i64::from(layout.partitions()) {
        let (found, wanted) = (found.to_string(), layout.partitions().to_string());
        return Err(Error::OtherDeployment { setting: "partitions", found, wanted });
    }
    Ok(format)
}
