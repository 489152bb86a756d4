//! The tables, and how a connection is opened.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use tracing::error;

use super::super::{Error, Layout};
use super::{BUSY_WAIT_MAX, Repeated, driver_error};

/// Raised whenever an older version of this program could no longer read the file.
const FORMAT: u32 = 1;
/// More statements than there are, so that each is prepared once per connection.
const STATEMENTS_MAX: usize = 64;

/// Instants are Unix milliseconds. `name` is the logical key; `partition` is its partition's number.
///
/// Where a row is found under a long random name, it lies in the order of arrival and an index finds it: new rows
/// then touch few pages. Entries lie by log, as they are read.
const TABLES: &str = "
CREATE TABLE meta (
    setting TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    name TEXT NOT NULL,
    token BLOB NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (partition, name)
) STRICT;

CREATE TABLE receipts (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    name TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    body BLOB NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    UNIQUE (partition, name)
) STRICT;
CREATE INDEX receipts_by_expiry ON receipts (expires_at_ms);

CREATE TABLE entries (
    partition INTEGER NOT NULL,
    log TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (partition, log, sequence)
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
    if !empty {
        check(&connection, path, layout)?; // before anything is written to a file that may not be ours
    }
    // Checkpoints are the writer's own, so that no commit waits for one.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
             PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;",
        )
        .map_err(failed)?;
    if empty {
        create(&mut connection, layout).map_err(failed)?;
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
        Ok(connection)
    };
    open().map_err(|cause| driver_error(&cause, "opening", &Repeated::default()))
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let count: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(count == 0)
}

fn create(connection: &mut Connection, layout: Layout) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    let insert = "INSERT INTO meta (setting, value) VALUES (?1, ?2)";
    transaction.execute(insert, ("format", FORMAT))?;
    transaction.execute(insert, ("partitions", layout.partitions()))?;
    transaction.commit()
}

fn check(connection: &Connection, path: &Path, layout: Layout) -> Result<(), Error> {
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
    Ok(())
}
