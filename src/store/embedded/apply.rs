//! One commit inside the writer's transaction: looks first, writes after, so that a commit that is not applied
//! has changed nothing and needs no rollback.

use rusqlite::{Connection, params};

use super::super::{Commit, Error, Expected, Key, Outcome, Seen};
use super::{Fault, read};

/// [`Fault::Refused`] only before anything is written; after [`Fault::Sqlite`] the transaction must be rolled
/// back.
pub(super) fn apply(connection: &Connection, commit: &Commit, now_ms: i64) -> Result<Outcome, Fault> {
    let seen = seen(connection, commit, now_ms)?;
    if !seen.is_empty() {
        return Ok(Outcome::Seen(seen));
    }
    if !all_expected(connection, &commit.expect)? {
        let fresh = commit.expect.iter().map(|(key, _)| read::record(connection, key));
        return Ok(Outcome::Conflict(fresh.collect::<Result<_, Fault>>()?));
    }

    let mut first_sequences = Vec::with_capacity(commit.appends.len());
    for append in &commit.appends {
        let last = read::last_sequence(connection, &append.log)?;
        match i64::try_from(append.first_sequence) {
            Ok(first) if last.checked_add(1) == Some(append.first_sequence) => first_sequences.push(first),
            _ => return Err(Fault::Refused(Error::log_gap(append, last))),
        }
    }

    let mut quantities = Vec::with_capacity(commit.deltas.len());
    for delta in &commit.deltas {
        let left = read::left(connection, &delta.key)?;
        match left.checked_add(delta.delta) {
            Some(after) if 0 <= after => quantities.push((&delta.key, after)),
            _ => return Ok(Outcome::GuardFailed { key: delta.key.clone(), left }),
        }
    }

    write(connection, commit, &quantities, &first_sequences, now_ms)?;
    Ok(Outcome::Applied)
}

fn seen(connection: &Connection, commit: &Commit, now_ms: i64) -> Result<Vec<Seen>, Fault> {
    let mut seen = Vec::new();
    for (index, new) in commit.receipts.iter().enumerate() {
        if let Some(stored) = read::receipt(connection, &new.key, now_ms)? {
            seen.push(Seen::of(index, stored, new));
        }
    }
    Ok(seen)
}

fn all_expected(connection: &Connection, expect: &[(Key, Expected)]) -> Result<bool, Fault> {
    for (key, expected) in expect {
        if !read::is_expected(connection, key, *expected)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn write(
    connection: &Connection,
    commit: &Commit,
    quantities: &[(&Key, i64)],
    first_sequences: &[i64],
    now_ms: i64,
) -> rusqlite::Result<()> {
    for new in &commit.receipts {
        // An expired receipt may still lie here.
        let mut put = connection.prepare_cached(
            "INSERT INTO receipts (partition, name, fingerprint, body, expires_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (partition, name) DO UPDATE SET
             fingerprint = excluded.fingerprint, body = excluded.body, expires_at_ms = excluded.expires_at_ms",
        )?;
        let (key, receipt, expires_at_ms) = (&new.key, &new.receipt, new.expires_at_ms(now_ms));
        put.execute(params![key.partition.0, key.name, receipt.fingerprint, receipt.body, expires_at_ms])?;
    }

    for write in &commit.writes {
        let key = &write.key;
        let Some(record) = &write.record else {
            let mut delete = connection.prepare_cached("DELETE FROM records WHERE partition = ?1 AND name = ?2")?;
            delete.execute(params![key.partition.0, key.name])?;
            continue;
        };
        let mut put = connection.prepare_cached(
            "INSERT INTO records (partition, name, token, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (partition, name) DO UPDATE SET token = excluded.token, body = excluded.body",
        )?;
        put.execute(params![key.partition.0, key.name, record.token.0, record.body])?;
    }

    for (append, first_sequence) in commit.appends.iter().zip(first_sequences) {
        let mut insert = connection
            .prepare_cached("INSERT INTO entries (partition, log, sequence, body) VALUES (?1, ?2, ?3, ?4)")?;
        for (sequence, entry) in (*first_sequence..).zip(&append.entries) {
            insert.execute(params![append.log.partition.0, append.log.name, sequence, entry])?;
        }
    }

    for (key, after) in quantities {
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
