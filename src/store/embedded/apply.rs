//! One commit inside the writer's transaction: looks first, writes after, so that a commit that is not applied
//! has changed nothing and needs no rollback.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::super::{Commit, Error, Expected, Key, NewReceipt, Outcome, Record, Seen, Write};
use super::Fault;
use super::place::Place;
use super::read::{self, Stands, bounded};

/// Bytes of body up to which a new record lies in `places` itself; a larger one has a row of its own that the place names.
/// What commits change begins small and what they add is larger: an account lies beside where its orders are found, orders lie in
/// the order of arrival, where what comes together is written together. An account that begins larger comes over when it is
/// changed first.
const SMALL_MAX: usize = 128;
/// Bytes up to which one that lies there may grow: with its name the row still fits the part of a page that SQLite gives one.
const GROWN_MAX: usize = 880;
/// Bytes up to which a large one comes over when it is changed; far below, so that none goes to and fro.
const BACK_MAX: usize = 384;

/// What was found while looking, for the writes.
struct Looked<'a> {
    /// Of each receipt its place, and the row of an expired one that still lies there.
    receipts: Vec<(Place, Option<i64>)>,
    /// How each expected record stands.
    expected: HashMap<Place, Option<Stands>>,
    /// Of each append the place of its log.
    logs: Vec<Place>,
    /// What each quantity is to be.
    quantities: Vec<(&'a Key, i64)>,
}

/// [`Fault::Refused`] only before anything is written; after [`Fault::Sqlite`] the transaction must be rolled
/// back.
pub(super) fn apply(connection: &Connection, commit: &Commit, now_ms: i64) -> Result<Outcome, Fault> {
    let mut seen = Vec::new();
    let mut receipts = Vec::with_capacity(commit.receipts.len());
    for (index, new) in commit.receipts.iter().enumerate() {
        let place = Place::of_receipt(&new.key);
        let row = read::row_at(connection, &place)?;
        if let Some(id) = row
            && let Some(stored) = read::kept(connection, &new.key, id, now_ms)?
        {
            seen.push(Seen::of(index, stored, new));
        }
        receipts.push((place, row));
    }
    if !seen.is_empty() {
        return Ok(Outcome::Seen(seen));
    }

    let mut expected = HashMap::with_capacity(commit.expect.len());
    for (key, wanted) in &commit.expect {
        let place = Place::of_record(key);
        let stands = read::stands(connection, key, &place)?;
        let as_stated = match (&stands, wanted) {
            (None, Expected::Absent) => true,
            (Some(stands), Expected::At(token)) => stands.token == *token,
            (None, Expected::At(_)) | (Some(_), Expected::Absent) => false,
        };
        if !as_stated {
            let fresh = commit.expect.iter().map(|(key, _)| read::record(connection, key));
            return Ok(Outcome::Conflict(fresh.collect::<Result<_, Fault>>()?));
        }
        expected.insert(place, stands);
    }

    let mut logs = Vec::with_capacity(commit.appends.len());
    for append in &commit.appends {
        let place = Place::of_log(&append.log);
        let last = read::last_sequence(connection, &append.log, &place)?;
        let end = append.first_sequence.checked_add(append.entries.len() as u64);
        let fits = end.is_some_and(|end| i64::try_from(end).is_ok());
        if !fits || last.checked_add(1) != Some(append.first_sequence) {
            return Err(Fault::Refused(Error::log_gap(append, last)));
        }
        logs.push(place);
    }

    let mut quantities = Vec::with_capacity(commit.deltas.len());
    for delta in &commit.deltas {
        let left = read::left(connection, &delta.key)?;
        match left.checked_add(delta.delta) {
            Some(after) if 0 <= after => quantities.push((&delta.key, after)),
            _ => return Ok(Outcome::GuardFailed { key: delta.key.clone(), left }),
        }
    }

    write(connection, commit, &Looked { receipts, expected, logs, quantities }, now_ms)?;
    Ok(Outcome::Applied)
}

fn write(connection: &Connection, commit: &Commit, looked: &Looked<'_>, now_ms: i64) -> Result<(), Fault> {
    for (new, (place, expired)) in commit.receipts.iter().zip(&looked.receipts) {
        put_receipt(connection, new, place, *expired, new.expires_at_ms(now_ms))?;
    }

    for Write { key, record } in &commit.writes {
        let place = Place::of_record(key);
        // What is written was mostly looked at before, as something expected.
        let stands = match looked.expected.get(&place) {
            Some(stands) => *stands,
            None => read::stands(connection, key, &place)?,
        };
        match record {
            Some(record) => put_record(connection, key, record, &place, stands)?,
            None => delete_record(connection, &place, stands)?,
        }
    }

    for (append, place) in commit.appends.iter().zip(&looked.logs) {
        put_entries(connection, &append.log, place, append.first_sequence, &append.entries)?;
    }

    for (key, after) in &looked.quantities {
        let mut put = connection.prepare_cached(
            "INSERT INTO quantities (partition, name, amount_left) VALUES (?1, ?2, ?3)
             ON CONFLICT (partition, name) DO UPDATE SET amount_left = excluded.amount_left",
        )?;
        put.execute(params![key.partition.0, key.name, after])?;
    }

    feed(connection, commit)?;

    for due in &commit.due {
        let Some(at_ms) = due.at_ms else {
            let mut delete = connection.prepare_cached("DELETE FROM due WHERE partition = ?1 AND subject = ?2")?;
            delete.execute(params![commit.partition.0, due.subject])?;
            continue;
        };
        let mut put = connection.prepare_cached(
            "INSERT INTO due (partition, subject, at_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT (partition, subject) DO UPDATE SET at_ms = excluded.at_ms WHERE at_ms <> excluded.at_ms",
        )?;
        put.execute(params![commit.partition.0, due.subject, at_ms])?;
    }
    Ok(())
}

pub(super) fn put_receipt(
    connection: &Connection,
    new: &NewReceipt,
    place: &Place,
    expired: Option<i64>,
    expires_at_ms: i64,
) -> rusqlite::Result<()> {
    let NewReceipt { key, receipt, .. } = new;
    if let Some(id) = expired {
        let mut replace = connection
            .prepare_cached("UPDATE receipts SET fingerprint = ?2, body = ?3, expires_at_ms = ?4 WHERE id = ?1")?;
        replace.execute(params![id, receipt.fingerprint, receipt.body, expires_at_ms])?;
        return Ok(());
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO receipts (partition, name, fingerprint, body, expires_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    insert.execute(params![key.partition.0, key.name, receipt.fingerprint, receipt.body, expires_at_ms])?;
    point(connection, place, 0, connection.last_insert_rowid(), None)
}

pub(super) fn put_record(
    connection: &Connection,
    key: &Key,
    record: &Record,
    place: &Place,
    stands: Option<Stands>,
) -> rusqlite::Result<()> {
    let Record { token, body } = record;
    let fits = match stands {
        None => body.len() <= SMALL_MAX,
        Some(Stands { large: None, .. }) => body.len() <= GROWN_MAX,
        Some(Stands { large: Some(_), .. }) => body.len() <= BACK_MAX,
    };
    match stands {
        Some(Stands { large: Some(id), .. }) if !fits => {
            let mut change = connection.prepare_cached("UPDATE large_records SET body = ?2 WHERE id = ?1")?;
            change.execute(params![id, body])?;
            let mut mark =
                connection.prepare_cached("UPDATE places SET token = ?2 WHERE place = ?1 AND last_sequence = 0")?;
            mark.execute(params![place, token.0])?;
        }
        Some(Stands { large: None, .. }) if fits => {
            let mut change = connection
                .prepare_cached("UPDATE places SET token = ?2, body = ?3 WHERE place = ?1 AND last_sequence = 0")?;
            change.execute(params![place, token.0, body])?;
        }
        _ => {
            delete_record(connection, place, stands)?;
            insert_record(connection, key, record, place, fits)?;
        }
    }
    Ok(())
}

fn insert_record(
    connection: &Connection,
    key: &Key,
    record: &Record,
    place: &Place,
    small: bool,
) -> rusqlite::Result<()> {
    let Record { token, body } = record;
    if small {
        let mut insert = connection.prepare_cached(
            "INSERT INTO places (place, last_sequence, partition, name, token, body) VALUES (?1, 0, ?2, ?3, ?4, ?5)",
        )?;
        insert.execute(params![place, key.partition.0, key.name, token.0, body])?;
        return Ok(());
    }
    let mut insert =
        connection.prepare_cached("INSERT INTO large_records (partition, name, body) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![key.partition.0, key.name, body])?;
    point(connection, place, 0, connection.last_insert_rowid(), Some(&token.0))
}

fn delete_record(connection: &Connection, place: &Place, stands: Option<Stands>) -> rusqlite::Result<()> {
    let Some(Stands { large, .. }) = stands else { return Ok(()) };
    if let Some(id) = large {
        connection.prepare_cached("DELETE FROM large_records WHERE id = ?1")?.execute([id])?;
    }
    let mut delete = connection.prepare_cached("DELETE FROM places WHERE place = ?1 AND last_sequence = 0")?;
    delete.execute([place])?;
    Ok(())
}

/// A stretch of a log: rows with numbers that follow each other, found by the last.
pub(super) fn put_entries(
    connection: &Connection,
    log: &Key,
    place: &Place,
    first_sequence: u64,
    entries: &[Vec<u8>],
) -> rusqlite::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut insert =
        connection.prepare_cached("INSERT INTO entries (partition, log, sequence, body) VALUES (?1, ?2, ?3, ?4)")?;
    let mut last_sequence = 0;
    for (sequence, entry) in (first_sequence..).zip(entries) {
        last_sequence = bounded(sequence);
        insert.execute(params![log.partition.0, log.name, last_sequence, entry])?;
    }
    point(connection, place, last_sequence, connection.last_insert_rowid(), None)
}

/// Makes the row `id` of another table be found at `place`.
fn point(
    connection: &Connection,
    place: &Place,
    last_sequence: i64,
    id: i64,
    token: Option<&[u8]>,
) -> rusqlite::Result<()> {
    let mut insert =
        connection.prepare_cached("INSERT INTO places (place, last_sequence, id, token) VALUES (?1, ?2, ?3, ?4)")?;
    insert.execute(params![place, last_sequence, id, token])?;
    Ok(())
}

fn feed(connection: &Connection, commit: &Commit) -> rusqlite::Result<()> {
    for position in &commit.feed_done {
        let Ok(position) = i64::try_from(*position) else { continue }; // no position is that high
        let mut delete = connection.prepare_cached("DELETE FROM feed WHERE partition = ?1 AND position = ?2")?;
        delete.execute(params![commit.partition.0, position])?;
    }
    for body in &commit.feed {
        let mut advance = connection.prepare_cached(
            "INSERT INTO feed_ends (partition, last_position) VALUES (?1, 1)
             ON CONFLICT (partition) DO UPDATE SET last_position = last_position + 1
             RETURNING last_position",
        )?;
        let position: i64 = advance.query_row([commit.partition.0], |row| row.get(0))?;
        let mut insert =
            connection.prepare_cached("INSERT INTO feed (partition, position, body) VALUES (?1, ?2, ?3)")?;
        insert.execute(params![commit.partition.0, position, body])?;
    }
    Ok(())
}
