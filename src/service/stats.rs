//! Figures of referrals: a projection of the feed, by partition, exactly once.
//!
//! What a commit changes in them goes on the feed of its partition in that commit. The relay folds it into the record of
//! the month in the same partition, in a commit that takes it off the feed: cursor and figures move together.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tracing::error;

use super::write::{read, send};
use super::{Error, Inner};
use crate::domain::account::AccountState;
use crate::domain::answer::StatsView;
use crate::domain::id::ProgramId;
use crate::domain::ledger::{Entry, decode, digest, encode};
use crate::domain::program::Timeline;
use crate::domain::stats::{Change, Figure, Orders, StatsRecord, changes, month_of};
use crate::domain::time::{CalendarPeriod, Day, Instant};
use crate::store::{Commit, Expected, FeedItem, Key, Outcome, Partition, Record, Token, Write};

/// The first byte of such an item on the feed; effects begin with their format, others with other marks.
const MARK: u8 = b's';
/// Readers of partitions at a time, for one call.
const READERS: u16 = 16;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Told {
    program: ProgramId,
    changes: Vec<Change>,
}

/// How a decision changes figures, as it goes on the feed; `None`: not at all.
pub(super) fn of(
    program: &ProgramId,
    timeline: &Timeline,
    (before, after): (Option<&AccountState>, &AccountState),
    entries: &[Entry],
    orders: Orders<'_>,
) -> Option<Vec<u8>> {
    let changes = changes(timeline.at(after.posted_at)?, before, after, entries, orders);
    if changes.is_empty() {
        return None;
    }
    let mut body = vec![MARK];
    body.extend(encode(&Told { program: program.clone(), changes }));
    Some(body)
}

pub(super) fn is_on_feed(body: &[u8]) -> bool {
    body.first() == Some(&MARK)
}

/// Folds items of one partition, in their order; answers how many left the feed.
pub(super) async fn fold(inner: &Inner, partition: Partition, items: &[FeedItem]) -> Result<u64, Error> {
    let mut commit = Commit { partition, ..Commit::default() };
    let mut told: Vec<(u64, Key, Change)> = Vec::new();
    let mut keys: Vec<Key> = Vec::new();
    for item in items {
        let Ok(Told { program, changes }) = decode(item.body.get(1..).unwrap_or_default()) else {
            error!(partition = partition.0, position = item.position, "what changes figures cannot be read");
            continue;
        };
        commit.feed_done.push(item.position);
        for change in changes {
            let key = inner.layout.stats(partition, &program, change.month);
            if !keys.contains(&key) {
                keys.push(key.clone());
            }
            told.push((item.position, key, change));
        }
    }
    if keys.is_empty() {
        return Ok(0);
    }
    let stored = inner.store.load(partition, &keys).await?;
    for (key, record) in keys.into_iter().zip(stored) {
        let (expected, mut record) = match read::<StatsRecord>(&key, record)? {
            Some((token, record)) => (Expected::At(token), record),
            None => (Expected::Absent, StatsRecord::default()),
        };
        let here: Vec<(u64, &Change)> =
            told.iter().filter(|(_, of, _)| *of == key).map(|(position, _, change)| (*position, change)).collect();
        for of_item in here.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((position, _)) = of_item.first() else { continue };
            record.take(*position, &of_item.iter().map(|(_, change)| *change).collect::<Vec<_>>());
        }
        let body = encode(&record);
        let token = Token::new(record.version, &digest(&body));
        commit.expect.push((key.clone(), expected));
        commit.writes.push(Write { key, record: Some(Record { token, body }) });
    }
    match send(inner, &commit, &mut 0).await? {
        Outcome::Applied => Ok(commit.feed_done.len() as u64),
        // Somebody else folds this partition; what is left is seen by the next walk.
        Outcome::Conflict(_) => Ok(0),
        Outcome::Seen(_) | Outcome::GuardFailed { .. } => {
            Err(Error::Internal("a figure met a condition that it did not state".to_owned()))
        }
    }
}

/// The figures of the month of an instant, as the feed has told them so far.
pub(super) async fn view(inner: &Arc<Inner>, program: &ProgramId, at: Option<Instant>) -> Result<StatsView, Error> {
    let timeline = inner.timeline(program)?;
    let now = inner.clock.now(None);
    let terms = timeline.at(now).ok_or(Error::ProgramUnknown)?;
    let at = at.unwrap_or(now);
    let month = month_of(terms, at);
    let next = Day::of(CalendarPeriod::Month.next(at.zoned(&terms.zone).date()));
    Ok(StatsView {
        kept: terms.referral_figures,
        starts_at: month.begins(&terms.zone),
        ends_at: next.begins(&terms.zone),
        campaigns: terms.campaigns.iter().map(|campaign| campaign.id.clone()).collect(),
        figures: collect(inner, program, month).await?,
    })
}

/// What all partitions have, read by a few at a time.
async fn collect(inner: &Arc<Inner>, program: &ProgramId, month: Day) -> Result<Vec<(Figure, i64)>, Error> {
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let (inner, program) = (Arc::clone(inner), program.clone());
        readers.spawn(async move {
            let mut sums: BTreeMap<Figure, i64> = BTreeMap::new();
            for partition in (reader..inner.layout.partitions()).step_by(usize::from(READERS)).map(Partition) {
                let key = inner.layout.stats(partition, &program, month);
                let found = inner.store.load(partition, std::slice::from_ref(&key)).await?;
                let found = read::<StatsRecord>(&key, found.into_iter().next().flatten())?;
                add(&mut sums, found.into_iter().flat_map(|(_, record)| record.figures));
            }
            Ok::<_, Error>(sums)
        });
    }
    let mut all = BTreeMap::new();
    while let Some(read) = readers.join_next().await {
        let read = read.map_err(|_| Error::Internal("a reader of figures stopped".to_owned()))?;
        add(&mut all, read?);
    }
    Ok(all.into_iter().collect())
}

fn add(sums: &mut BTreeMap<Figure, i64>, figures: impl IntoIterator<Item = (Figure, i64)>) {
    for (figure, by) in figures {
        let sum = sums.entry(figure).or_default();
        *sum = sum.saturating_add(by);
    }
}
