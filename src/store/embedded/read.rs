//! The questions that the store answers. Each sees one instant.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::super::{DueItem, Error, FeedItem, Key, PER_PARTITION_MAX, Page, Partition, Receipt, Record, Token};
use super::Fault;
use super::place::Place;

/// SQLite counts in `i64`; what lies beyond is beyond every stored number.
pub(super) fn bounded(n: impl TryInto<i64>) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

pub(super) fn corrupt(what: String) -> Fault {
    Fault::Refused(Error::Corrupt { what })
}

pub(super) fn ping(connection: &Connection) -> Result<(), Fault> {
    connection.prepare_cached("SELECT value FROM meta WHERE setting = 'format'")?.query_row([], |_| Ok(()))?;
    Ok(())
}

/// The records under `keys`, in that order.
pub(super) fn records(connection: &Connection, keys: &[Key]) -> Result<Vec<Option<Record>>, Fault> {
    if keys.len() <= 1 {
        return keys.iter().map(|key| record(connection, key)).collect();
    }
    let instant = connection.unchecked_transaction()?; // only reads, so dropping it loses nothing
    keys.iter().map(|key| record(&instant, key)).collect()
}

pub(super) fn record(connection: &Connection, key: &Key) -> Result<Option<Record>, Fault> {
    let place = Place::of_record(key);
    let mut statement =
        connection.prepare_cached("SELECT token, id, body FROM places WHERE place = ?1 AND last_sequence = 0")?;
    let mut rows = statement.query([place])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let token = token(row, 0, key)?;
    let Some(id) = row.get::<_, Option<i64>>(1)? else { return Ok(Some(Record { token, body: row.get(2)? })) };
    let mut large = connection.prepare_cached("SELECT body FROM large_records WHERE id = ?1")?;
    let body = large.query_row([id], |row| row.get(0)).optional()?;
    let body = body.ok_or_else(|| corrupt(format!("record `{}` has a place and no body", key.name)))?;
    Ok(Some(Record { token, body }))
}

/// How a record stands, without its body.
#[derive(Clone, Copy)]
pub(super) struct Stands {
    pub(super) token: Token,
    /// Its row in `large_records`; a small one lies at its place.
    pub(super) large: Option<i64>,
}

pub(super) fn stands(connection: &Connection, key: &Key, place: &Place) -> Result<Option<Stands>, Fault> {
    let mut statement =
        connection.prepare_cached("SELECT token, id FROM places WHERE place = ?1 AND last_sequence = 0")?;
    let mut rows = statement.query([place])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Stands { token: token(row, 0, key)?, large: row.get(1)? }))
}

pub(super) fn token(row: &Row<'_>, column: usize, key: &Key) -> Result<Token, Fault> {
    let bytes = row.get_ref(column)?.as_blob().ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(Token).ok_or_else(|| corrupt(format!("record `{}` has a token of another length", key.name)))
}

/// The row of `receipts` at a place.
pub(super) fn row_at(connection: &Connection, place: &Place) -> Result<Option<i64>, Fault> {
    let mut statement = connection.prepare_cached("SELECT id FROM places WHERE place = ?1 AND last_sequence = 0")?;
    Ok(statement.query_row([place], |row| row.get(0)).optional()?)
}

/// The receipt in a row, if it is still kept.
pub(super) fn kept(connection: &Connection, key: &Key, id: i64, now_ms: i64) -> Result<Option<Receipt>, Fault> {
    let mut statement =
        connection.prepare_cached("SELECT fingerprint, body, expires_at_ms FROM receipts WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    // Not as if it had expired: the request may have been answered.
    let row = rows.next()?.ok_or_else(|| corrupt(format!("receipt `{}` has a place and no row", key.name)))?;
    if row.get::<_, i64>(2)? <= now_ms {
        return Ok(None);
    }
    Ok(Some(Receipt { fingerprint: row.get(0)?, body: row.get(1)? }))
}

pub(super) fn receipt(connection: &Connection, key: &Key, now_ms: i64) -> Result<Option<Receipt>, Fault> {
    let instant = connection.unchecked_transaction()?;
    match row_at(&instant, &Place::of_receipt(key))? {
        Some(id) => kept(&instant, key, id, now_ms),
        None => Ok(None),
    }
}

/// The number of a log's last entry; 0 when it is empty.
pub(super) fn last_sequence(connection: &Connection, log: &Key, place: &Place) -> Result<u64, Fault> {
    let mut statement = connection.prepare_cached("SELECT max(last_sequence) FROM places WHERE place = ?1")?;
    let last: Option<i64> = statement.query_row([place], |row| row.get(0))?;
    let last = u64::try_from(last.unwrap_or(0));
    last.map_err(|_| corrupt(format!("log `{}` has an entry with a number below zero", log.name)))
}

pub(super) fn entries(
    connection: &Connection,
    log: &Key,
    from_sequence: u64,
    limit: usize,
) -> Result<Vec<Vec<u8>>, Fault> {
    let (place, from) = (Place::of_log(log), bounded(from_sequence.max(1)));
    let instant = connection.unchecked_transaction()?;
    let mut before =
        instant.prepare_cached("SELECT max(last_sequence) FROM places WHERE place = ?1 AND last_sequence < ?2")?;
    let before: Option<i64> = before.query_row(params![place, from], |row| row.get(0))?;
    let mut stretches = instant.prepare_cached(
        "SELECT last_sequence, id FROM places WHERE place = ?1 AND ?2 <= last_sequence ORDER BY last_sequence",
    )?;
    let mut stretches = stretches.query(params![place, from])?;
    let mut rows =
        instant.prepare_cached("SELECT sequence, body FROM entries WHERE ?1 <= id AND id <= ?2 ORDER BY id")?;

    let missing = || corrupt(format!("log `{}` has entries that are not where they should be", log.name));
    let mut next = before.unwrap_or(0) + 1;
    let mut entries = Vec::new();
    while entries.len() < limit
        && let Some(stretch) = stretches.next()?
    {
        let (last, last_id): (i64, i64) = (stretch.get(0)?, stretch.get(1)?);
        let first_id = last_id - (last - next);
        let mut rows = rows.query([first_id, last_id])?;
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(0)? != next {
                return Err(missing());
            }
            if from <= next && entries.len() < limit {
                entries.push(row.get(1)?);
            }
            next += 1;
        }
        if next != last + 1 {
            return Err(missing());
        }
    }
    Ok(entries)
}

pub(super) fn left(connection: &Connection, key: &Key) -> Result<i64, Fault> {
    let mut statement =
        connection.prepare_cached("SELECT amount_left FROM quantities WHERE partition = ?1 AND name = ?2")?;
    let left = statement.query_row(params![key.partition.0, key.name], |row| row.get(0)).optional()?;
    Ok(left.unwrap_or(0))
}

pub(super) fn feed(connection: &Connection, partition: Partition, limit: usize) -> Result<Vec<FeedItem>, Fault> {
    let mut statement =
        connection.prepare_cached("SELECT position, body FROM feed WHERE partition = ?1 ORDER BY position LIMIT ?2")?;
    let mut rows = statement.query(params![partition.0, bounded(limit)])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let position = u64::try_from(row.get::<_, i64>(0)?);
        let position = position.map_err(|_| corrupt("the feed has a position below zero".to_owned()))?;
        items.push(FeedItem { partition, position, body: row.get(1)? });
    }
    Ok(items)
}

fn due(connection: &Connection, partition: Partition, through_ms: i64, limit: usize) -> Result<Vec<DueItem>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT subject, at_ms FROM due WHERE partition = ?1 AND at_ms <= ?2 ORDER BY at_ms, subject LIMIT ?3",
    )?;
    let item = |row: &Row<'_>| Ok(DueItem { partition, subject: row.get(0)?, at_ms: row.get(1)? });
    let values = params![partition.0, through_ms, bounded(limit)];
    Ok(statement.query_map(values, item)?.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn feed_page(connection: &Connection, from: Partition, limit: usize) -> Result<Page<FeedItem>, Fault> {
    let instant = connection.unchecked_transaction()?;
    let mut next = instant.prepare_cached("SELECT min(partition) FROM feed WHERE ?1 <= partition")?;
    page(limit, from, |at| partition(&mut next, params![at]), |at, of_each| feed(&instant, at, of_each))
}

pub(super) fn due_page(
    connection: &Connection,
    from: Partition,
    through_ms: i64,
    limit: usize,
) -> Result<Page<DueItem>, Fault> {
    let instant = connection.unchecked_transaction()?;
    // Goes from partition to partition by the index, past those where nothing is due yet.
    let mut next = instant.prepare_cached(
        "WITH RECURSIVE populated (partition) AS (
             SELECT min(partition) FROM due WHERE ?1 <= partition
             UNION ALL
             SELECT (SELECT min(due.partition) FROM due WHERE populated.partition < due.partition)
             FROM populated WHERE populated.partition IS NOT NULL
         )
         SELECT min(partition) FROM (
             SELECT partition FROM populated
             WHERE EXISTS (SELECT 1 FROM due WHERE due.partition = populated.partition AND at_ms <= ?2)
             LIMIT 1
         )",
    )?;
    page(
        limit,
        from,
        |at| partition(&mut next, params![at, through_ms]),
        |at, of_each| due(&instant, at, through_ms, of_each),
    )
}

/// The partition that `statement` finds: one row, `NULL` when there is none.
fn partition(statement: &mut CachedStatement<'_>, values: &[&dyn rusqlite::ToSql]) -> Result<Option<Partition>, Fault> {
    let found: Option<u16> = statement.query_row(values, |row| row.get(0))?;
    Ok(found.map(Partition))
}

/// Takes what `of` finds in one partition after the other until there are `limit` items. `next` finds the first partition
/// at or after a number that has any, so the walk rises; partitions are below `u16::MAX`, so it ends.
fn page<T>(
    limit: usize,
    from: Partition,
    mut next: impl FnMut(u32) -> Result<Option<Partition>, Fault>,
    of: impl Fn(Partition, usize) -> Result<Vec<T>, Fault>,
) -> Result<Page<T>, Fault> {
    let (limit, of_each) = (limit.max(1), limit.clamp(1, PER_PARTITION_MAX));
    let mut items = Vec::new();
    let mut at = next(u32::from(from.0))?;
    while let Some(partition) = at {
        if limit <= items.len() {
            break;
        }
        items.extend(of(partition, of_each)?);
        at = next(u32::from(partition.0) + 1)?;
    }
    Ok(Page { items, next: at })
}
