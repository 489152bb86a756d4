//! Files of format 1, which had an index over names for records and for receipts, and entries by log.

use rusqlite::{Connection, Row, TransactionBehavior};
use tracing::info;

use super::super::{Key, NewReceipt, Partition, Receipt, Record};
use super::place::Place;
use super::read::{corrupt, token};
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
        let record = Record { token: token(row, 2, &key)?, body: row.get(3)? };
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
    let mut stretch =
        Stretch { log: Key { partition: Partition(0), name: "".into() }, first_sequence: 1, entries: Vec::new() };
    while let Some(row) = rows.next()? {
        let (log, sequence) = (key(row)?, row.get::<_, i64>(2)?);
        let first_sequence = if log == stretch.log { stretch.next_sequence() } else { 1 };
        if log != stretch.log || stretch.entries.len() == STRETCH_MAX {
            stretch.put(connection)?;
            stretch = Stretch { log, first_sequence, entries: Vec::new() };
        }
        if u64::try_from(sequence) != Ok(stretch.next_sequence()) {
            return Err(corrupt(format!("log `{}` lacks entry {}", stretch.log.name, stretch.next_sequence())));
        }
        stretch.entries.push(row.get(3)?);
        count += 1;
    }
    stretch.put(connection)?; // one without entries puts nothing, as the first of all
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
