//! Files of format 1, which had an index over names for records and for receipts, and entries by log.

use rusqlite::{Connection, Row, TransactionBehavior};
use tracing::info;

use super::super::{Error, Key, NewReceipt, Partition, Receipt, Record, Token};
use super::place::Place;
use super::schema::FOUND_BY_KEY;
use super::{Fault, apply};

/// Entries that make one stretch, at most.
const STRETCH_MAX: usize = 64;

/// Brings a file of format 1 to `format`, whole or not at all.
pub(super) fn bring_up(connection: &mut Connection, format: u32) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "DROP INDEX receipts_by_expiry;
         ALTER TABLE records RENAME TO records_1;
         ALTER TABLE receipts RENAME TO receipts_1;
         ALTER TABLE entries RENAME TO entries_1;",
    )?;
    transaction.execute_batch(FOUND_BY_KEY)?;
    let records = records(&transaction)?;
    let receipts = receipts(&transaction)?;
    let entries = entries(&transaction)?;
    transaction.execute_batch("DROP TABLE records_1; DROP TABLE receipts_1; DROP TABLE entries_1;")?;
    transaction.execute("UPDATE meta SET value = ?1 WHERE setting = 'format'", [format])?;
    transaction.commit()?;
    info!(records, receipts, entries, "the embedded store has format {format} now");
    Ok(())
}

fn key(row: &Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key { partition: Partition(row.get(0)?), name: row.get(1)? })
}

fn records(connection: &Connection) -> Result<u64, Fault> {
    let mut rows = connection.prepare("SELECT partition, name, token, body FROM records_1 ORDER BY id")?;
    let mut rows = rows.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let key = key(row)?;
        let token = row.get_ref(2)?.as_blob().ok().and_then(|bytes| bytes.try_into().ok()).map(Token);
        let token = token.ok_or_else(|| corrupt(format!("record `{}` has a token of another length", key.name)))?;
        let record = Record { token, body: row.get(3)? };
        apply::put_record(connection, &key, &record, &Place::of_record(&key), None)?;
        count += 1;
    }
    Ok(count)
}

fn receipts(connection: &Connection) -> Result<u64, Fault> {
    let all = "SELECT partition, name, fingerprint, body, expires_at_ms FROM receipts_1 ORDER BY id";
    let mut rows = connection.prepare(all)?;
    let mut rows = rows.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let receipt = Receipt { fingerprint: row.get(2)?, body: row.get(3)? };
        let new = NewReceipt { key: key(row)?, receipt, keep_s: 0 };
        apply::put_receipt(connection, &new, &Place::of_receipt(&new.key), None, row.get(4)?)?;
        count += 1;
    }
    Ok(count)
}

fn entries(connection: &Connection) -> Result<u64, Fault> {
    let mut rows =
        connection.prepare("SELECT partition, log, sequence, body FROM entries_1 ORDER BY partition, log, sequence")?;
    let mut rows = rows.query([])?;
    let mut count = 0;
    let mut stretch: Option<Stretch> = None;
    while let Some(row) = rows.next()? {
        let log = key(row)?;
        let sequence: i64 = row.get(2)?;
        let sequence =
            u64::try_from(sequence).map_err(|_| corrupt(format!("log `{}` has an entry below zero", log.name)))?;
        let next = match stretch.take() {
            Some(done) if done.log != log => {
                done.put(connection)?;
                Stretch { log, first_sequence: 1, entries: Vec::new() }
            }
            Some(done) if done.entries.len() == STRETCH_MAX => {
                let first_sequence = done.next_sequence();
                done.put(connection)?;
                Stretch { log, first_sequence, entries: Vec::new() }
            }
            Some(stretch) => stretch,
            None => Stretch { log, first_sequence: 1, entries: Vec::new() },
        };
        if next.next_sequence() != sequence {
            return Err(corrupt(format!("log `{}` lacks entry {}", next.log.name, next.next_sequence())));
        }
        let mut next = next;
        next.entries.push(row.get(3)?);
        stretch = Some(next);
        count += 1;
    }
    if let Some(last) = stretch {
        last.put(connection)?;
    }
    Ok(count)
}

/// Entries of one log, in order.
struct Stretch {
    log: Key,
    first_sequence: u64,
    entries: Vec<Vec<u8>>,
}

impl Stretch {
    fn next_sequence(&self) -> u64 {
        self.first_sequence + self.entries.len() as u64
    }

    fn put(self, connection: &Connection) -> rusqlite::Result<()> {
        apply::put_entries(connection, &self.log, &Place::of_log(&self.log), self.first_sequence, &self.entries)
    }
}

fn corrupt(what: String) -> Fault {
    Fault::Refused(Error::Corrupt { what })
}
