//! Figures of referrals: a projection of the feed, by partition, exactly once.
//!
//! What a commit changes in them goes on the feed of its partition in that commit. The relay folds it into the record of
//! the month in the same partition, in a commit that takes it off the feed: cursor and figures move together.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::error;

use super::projection::{self, Mark};
use super::write::read;
use super::{Error, Inner};
use crate::domain::account::AccountState;
use crate::domain::answer::StatsView;
use crate::domain::id::ProgramId;
use crate::domain::ledger::{Entry, digest, encode};
use crate::domain::program::Timeline;
use crate::domain::stats::{Change, Figure, Orders, StatsRecord, changes, month_of};
use crate::domain::time::{CalendarPeriod, Day, Instant};
use crate::store::{Commit, Expected, FeedItem, Key, Partition, Record, Token, Write};

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
    Some(Mark::STATS.item(&Told { program: program.clone(), changes }))
}

/// Folds items of one partition, in their order; answers how many left the feed.
pub(super) async fn fold(inner: &Inner, partition: Partition, items: &[FeedItem]) -> Result<u64, Error> {
    let mut commit = Commit { partition, ..Commit::default() };
    let mut told: Vec<(u64, Key, Change)> = Vec::new();
    let mut keys: Vec<Key> = Vec::new();
    for item in items {
        let Ok(Told { program, changes }) = Mark::STATS.read(&item.body) else {
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
    projection::settle(inner, &commit).await
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

/// What all partitions have.
async fn collect(inner: &Arc<Inner>, program: &ProgramId, month: Day) -> Result<Vec<(Figure, i64)>, Error> {
    let (layout, program) = (inner.layout, program.clone());
    let key = move |partition| layout.stats(partition, &program, month);
    let mut sums: BTreeMap<Figure, i64> = BTreeMap::new();
    for (figure, by) in
        projection::of_all_partitions::<StatsRecord, _>(inner, key).await?.into_iter().flat_map(|of| of.figures)
    {
        let sum = sums.entry(figure).or_default();
        *sum = sum.saturating_add(by);
    }
    Ok(sums.into_iter().collect())
}
