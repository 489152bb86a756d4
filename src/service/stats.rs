//! Figures of referrals: a projection of the feed, by partition, exactly once.
//!
//! What a commit changes in them goes on the feed of its partition in that commit. The relay folds it into the record of
//! the month in the same partition, in a commit that takes it off the feed: cursor and figures move together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::error;

use super::lengthy::Lengthy;
use super::projection::{self, Mark};
use super::read::read_entry;
use super::write::read;
use super::{Error, Inner};
use crate::domain::account::AccountState;
use crate::domain::answer::{StatsProof, StatsView};
use crate::domain::id::{AccountId, OrderId, ProgramId};
use crate::domain::ledger::{DecodeError, Entry, Fact, decode, digest, encode};
use crate::domain::order_record::OrderRecord;
use crate::domain::program::Timeline;
use crate::domain::referral::Referral;
use crate::domain::stats::{Change, Figure, Orders, Refolded, StatsRecord, changes, month_of};
use crate::domain::time::{CalendarPeriod, Day, Instant};
use crate::store::{self, Append, Commit, Expected, FeedItem, Key, Partition, Record, Token, Write};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Told {
    program: ProgramId,
    /// Whose ledger makes it so; `None`: a visitor has no ledger.
    account: Option<AccountId>,
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
    Some(Mark::STATS.item(&Told { program: program.clone(), account: Some(after.account.clone()), changes }))
}

/// How a visitor changes figures, as it goes on the feed.
pub(super) fn of_visitor(program: &ProgramId, change: &Change) -> Vec<u8> {
    Mark::STATS.item(&Told { program: program.clone(), account: None, changes: vec![change.clone()] })
}

/// Folds items of one partition, in their order; answers how many left the feed.
pub(super) async fn fold(inner: &Inner, partition: Partition, items: &[FeedItem]) -> Result<u64, Error> {
    let mut commit = Commit { partition, ..Commit::default() };
    let mut told: Vec<(u64, Key, Change)> = Vec::new();
    let mut keys: Vec<Key> = Vec::new();
    let mut accounts: BTreeMap<ProgramId, BTreeSet<AccountId>> = BTreeMap::new();
    for item in items {
        let Ok(Told { program, account, changes }) = Mark::STATS.read(&item.body) else {
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
        accounts.entry(program).or_default().extend(account);
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
    for (program, accounts) in accounts {
        list(inner, &program, &accounts, &mut commit).await?;
    }
    projection::settle(inner, &commit).await
}

/// Puts accounts on the list of those that have changed figures, unless they are on it.
async fn list(
    inner: &Inner,
    program: &ProgramId,
    accounts: &BTreeSet<AccountId>,
    commit: &mut Commit,
) -> Result<(), Error> {
    let (layout, partition) = (inner.layout, commit.partition);
    let head = layout.stats_head(partition, program);
    let mut keys = vec![head.clone()];
    keys.extend(accounts.iter().map(|account| layout.stats_account(partition, program, account)));
    let mut stored = inner.store.load(partition, &keys).await?.into_iter();
    let found = read::<u64>(&head, stored.next().flatten())?;
    let (expected, count) = found.map_or((Expected::Absent, 0), |(token, count)| (Expected::At(token), count));
    let new: Vec<(&AccountId, &Key)> = accounts
        .iter()
        .zip(keys.iter().skip(1))
        .zip(stored)
        .filter(|(_, known)| known.is_none())
        .map(|(new, _)| new)
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let record = |sequence: u64, body: Vec<u8>| Some(Record { token: Token::new(sequence, &digest(&body)), body });
    let after = count.saturating_add(new.len() as u64);
    commit.expect.push((head.clone(), expected));
    commit.writes.push(Write { key: head, record: record(after, encode(&after)) });
    commit.writes.extend(new.iter().map(|(_, key)| Write { key: (*key).clone(), record: record(after, encode(&())) }));
    commit.appends.push(Append {
        log: layout.stats_accounts(partition, program),
        first_sequence: count.saturating_add(1),
        entries: new.iter().map(|(account, _)| encode(*account)).collect(),
    });
    Ok(())
}

/// The figures of `months` months from that of an instant on, as the feed has told them so far.
pub(super) async fn view(
    inner: &Arc<Inner>,
    program: &ProgramId,
    at: Option<Instant>,
    months: usize,
) -> Result<StatsView, Error> {
    let timeline = inner.timeline(program)?;
    let now = inner.clock.now(None);
    let terms = timeline.at(now).ok_or(Error::ProgramUnknown)?;
    let mut first_days = vec![CalendarPeriod::Month.start(at.unwrap_or(now).zoned(&terms.zone).date())];
    for _ in 0..months.max(1) {
        first_days.extend(first_days.last().map(|first| CalendarPeriod::Month.next(*first)));
    }
    let days: Vec<Day> = first_days.into_iter().map(Day::of).collect();
    let [first, .., next] = days.as_slice() else {
        return Err(Error::Internal("a period of figures has no end".to_owned()));
    };
    let (starts_at, ends_at) = (first.begins(&terms.zone), next.begins(&terms.zone));
    Ok(StatsView {
        kept: terms.referral_figures,
        starts_at,
        ends_at,
        campaigns: terms.campaigns.iter().map(|campaign| campaign.id.clone()).collect(),
        figures: collect(inner, program, days.split_last().map_or(&[], |(_, months)| months)).await?,
    })
}

/// What all partitions have of these months together.
async fn collect(inner: &Arc<Inner>, program: &ProgramId, months: &[Day]) -> Result<Vec<(Figure, i64)>, Error> {
    let mut sums: BTreeMap<Figure, i64> = BTreeMap::new();
    for month in months.iter().copied() {
        let (layout, program) = (inner.layout, program.clone());
        let key = move |partition| layout.stats(partition, &program, month);
        for (figure, by) in
            projection::of_all_partitions::<StatsRecord, _>(inner, key).await?.into_iter().flat_map(|of| of.figures)
        {
            let sum = sums.entry(figure).or_default();
            *sum = sum.saturating_add(by);
        }
    }
    Ok(sums.into_iter().collect())
}

/// Partitions that a call looks through, and accounts after which it looks at no further one.
const PARTITIONS_MAX: u16 = 512;
const ACCOUNTS_MAX: u64 = 500;
/// Items that wait on the feed of a partition, beyond which it is busy.
const WAITING_MAX: usize = 1_024;
/// Accounts or entries read at a time.
const PAGE: usize = 500;
/// Months that are looked through for figures that no ledger makes: from the first of which there is something.
const MONTHS_MAX: usize = 240;
/// How often a partition is looked at again because it moved on meanwhile.
const LOOKS_MAX: usize = 3;

/// Folds the ledgers of partitions from `from` on again, and compares what they make with what is kept.
pub(super) async fn verify(inner: &Inner, program: &ProgramId, from: u16) -> Result<StatsProof, Error> {
    let timeline = inner.timeline(program)?;
    let mut proof = StatsProof::default();
    let until = inner.layout.partitions();
    let mut work = Lengthy::begins();
    for number in from..until {
        if PARTITIONS_MAX <= number - from || ACCOUNTS_MAX <= proof.accounts {
            proof.next = Some(number);
            break;
        }
        verify_partition(inner, program, &timeline, Partition(number), &mut proof, &mut work).await?;
    }
    Ok(proof)
}

/// What is kept in a partition, and what is to come there.
#[derive(PartialEq, Eq)]
struct Kept {
    accounts: u64,
    waiting: Vec<(u64, Told)>,
    records: BTreeMap<Day, StatsRecord>,
}

async fn verify_partition(
    inner: &Inner,
    program: &ProgramId,
    timeline: &Timeline,
    partition: Partition,
    proof: &mut StatsProof,
    work: &mut Lengthy,
) -> Result<(), Error> {
    let mut seen = Vec::new();
    for _ in 0..LOOKS_MAX {
        let Some((accounts, waiting)) = told(inner, program, partition).await? else { break };
        let names = listed(inner, program, partition, accounts, &waiting, work).await?;
        let mut folded = Refolded::default();
        let mut entries = 0;
        for account in &names {
            entries += refold(inner, program, timeline, account, &mut folded, work).await?;
        }
        let months = months(inner, timeline, &folded, &waiting);
        let kept = Kept { accounts, records: records(inner, program, partition, &months).await?, waiting };
        let Some((accounts, waiting)) = told(inner, program, partition).await? else { break };
        let again = Kept { accounts, records: records(inner, program, partition, &months).await?, waiting };
        if kept != again {
            continue;
        }
        // What waits on the feed is as good as folded.
        let mut records = kept.records;
        for (position, Told { changes, .. }) in &kept.waiting {
            for month in changes.iter().map(|change| change.month).collect::<BTreeSet<_>>() {
                let here: Vec<&Change> = changes.iter().filter(|change| change.month == month).collect();
                records.entry(month).or_default().take(*position, &here);
            }
        }
        let (compared, differences) = folded.differences(&records);
        // A commit that came to an account after it was folded, and was told already when records were read, differs once.
        if differences != seen {
            seen = differences;
            continue;
        }
        proof.accounts += names.len() as u64;
        proof.entries += entries;
        proof.figures += compared;
        proof.differences.extend(differences);
        return Ok(());
    }
    proof.moving += 1;
    Ok(())
}

/// How many accounts are listed, and what waits on the feed; `None`: too much does.
async fn told(
    inner: &Inner,
    program: &ProgramId,
    partition: Partition,
) -> Result<Option<(u64, Vec<(u64, Told)>)>, Error> {
    let head = inner.layout.stats_head(partition, program);
    let found = inner.store.load(partition, std::slice::from_ref(&head)).await?.into_iter().next().flatten();
    let accounts = read::<u64>(&head, found)?.map_or(0, |(_, count)| count);
    let items = inner.store.feed(partition, WAITING_MAX).await?;
    if WAITING_MAX <= items.len() {
        return Ok(None);
    }
    let of_figures = items.iter().filter(|item| Mark::STATS.is_on(&item.body));
    let read = of_figures.filter_map(|item| Some((item.position, Mark::STATS.read::<Told>(&item.body).ok()?)));
    Ok(Some((accounts, read.filter(|(_, told)| told.program == *program).collect())))
}

/// The accounts of a partition that have changed figures.
async fn listed(
    inner: &Inner,
    program: &ProgramId,
    partition: Partition,
    count: u64,
    waiting: &[(u64, Told)],
    work: &mut Lengthy,
) -> Result<BTreeSet<AccountId>, Error> {
    let log = inner.layout.stats_accounts(partition, program);
    let mut names: BTreeSet<AccountId> = waiting.iter().filter_map(|(_, told)| told.account.clone()).collect();
    let mut read = 0;
    while read < count {
        let page = inner.store.entries(&log, read + 1, PAGE).await?;
        if page.is_empty() {
            return Err(damaged(&log));
        }
        read += page.len() as u64;
        for body in page {
            work.step().await;
            names.insert(decode(&body).map_err(|_: DecodeError| damaged(&log))?);
        }
    }
    Ok(names)
}

fn damaged(log: &Key) -> Error {
    Error::Store(store::Error::Corrupt { what: format!("`{}` cannot be read", log.name) })
}

/// Months that may hold figures.
fn months(inner: &Inner, timeline: &Timeline, folded: &Refolded, waiting: &[(u64, Told)]) -> BTreeSet<Day> {
    let mut months = folded.months();
    months.extend(waiting.iter().flat_map(|(_, told)| &told.changes).map(|change| change.month));
    let now = inner.clock.now(None);
    if let (Some(first), Some(terms)) = (months.first().copied(), timeline.at(now)) {
        let last = month_of(terms, now);
        let mut date = first.date();
        for _ in 0..MONTHS_MAX {
            let month = Day::of(date);
            if last < month {
                break;
            }
            months.insert(month);
            date = CalendarPeriod::Month.next(date);
        }
    }
    months
}

async fn records(
    inner: &Inner,
    program: &ProgramId,
    partition: Partition,
    months: &BTreeSet<Day>,
) -> Result<BTreeMap<Day, StatsRecord>, Error> {
    let keys: Vec<Key> = months.iter().map(|month| inner.layout.stats(partition, program, *month)).collect();
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let stored = inner.store.load(partition, &keys).await?;
    let mut records = BTreeMap::new();
    for ((month, key), record) in months.iter().zip(&keys).zip(stored) {
        records.extend(read::<StatsRecord>(key, record)?.map(|(_, record)| (*month, record)));
    }
    Ok(records)
}

/// Folds the ledger of one account; answers how many entries that are.
async fn refold(
    inner: &Inner,
    program: &ProgramId,
    timeline: &Timeline,
    account: &AccountId,
    folded: &mut Refolded,
    work: &mut Lengthy,
) -> Result<u64, Error> {
    let log = inner.layout.log(program, account);
    let mut state = AccountState::new(account.clone());
    // Each order, and whether it was placed with this account.
    let mut orders: BTreeMap<OrderId, bool> = BTreeMap::new();
    loop {
        let page = inner.store.entries(&log, state.sequence + 1, PAGE).await?;
        work.goes_on();
        if page.is_empty() {
            break;
        }
        for body in page {
            work.step().await;
            let entry = read_entry(&log, &body)?;
            let before: Vec<Referral> = state.referrals().cloned().collect();
            state.apply(&entry).map_err(|_| damaged(&log))?;
            if let Some(terms) = timeline.at(entry.posted_at) {
                folded.entry(terms, &before, &state, &entry);
            }
            match &entry.fact {
                Fact::OrderCommitted { order, .. } => {
                    orders.insert(order.clone(), true);
                }
                Fact::OrderReturned { order, .. }
                | Fact::OrderAmended { order, .. }
                | Fact::OrderEvent { order, .. } => {
                    orders.entry(order.clone()).or_insert(false);
                }
                _ => {}
            }
        }
    }
    for (order, is_own) in orders {
        work.step().await;
        let key = inner.layout.order(program, account, &order);
        let Some(after) = order_at(inner, &key).await? else { continue };
        // One that came with another account was counted there as it was then.
        let mut before = None;
        for home in state.homes.iter().filter(|_| !is_own) {
            if before.is_none() {
                before = order_at(inner, &inner.layout.order(program, &home.account, &order)).await?;
            }
        }
        if let Some(terms) = timeline.at(after.committed_at) {
            folded.order(terms, Orders { before: before.as_ref(), after: Some(&after) });
        }
    }
    Ok(state.sequence)
}

async fn order_at(inner: &Inner, key: &Key) -> Result<Option<OrderRecord>, Error> {
    let found = inner.store.load(key.partition, std::slice::from_ref(key)).await?.into_iter().next().flatten();
    Ok(read::<OrderRecord>(key, found)?.map(|(_, record)| record))
}
