//! The sweeper: posts what is due near the time at which it happens. No answer depends on it, for every load brings
//! its account up to date first.

use futures_util::{StreamExt, stream};
use tracing::warn;

use super::write::{Cause, read_member, settle};
use super::{Error, Inner, Service, accruals, boards, moves, quotas, touches};
use crate::domain::account::MemberRecord;
use crate::domain::command::Command;
use crate::domain::id::{AccountId, MemberId, ProgramId};
use crate::domain::occasions;
use crate::domain::program::Timeline;
use crate::domain::time::{Instant, Times};
use crate::store::{Commit, Due, DueItem, Expected, Layout, Outcome, Partition};

/// Subjects read at a time.
const PAGE: usize = 256;
/// Of these, subjects swept at a time.
const AT_ONCE: usize = 32;
/// Rounds of one sweep: each round resolves what it found, up to a bounded number per partition.
const ROUNDS_MAX: usize = 10_000;

pub(super) fn start(service: &Service) {
    let inner = service.inner.clone();
    let tracker = inner.tracker.clone();
    tracker.spawn(async move {
        let mut tick = tokio::time::interval(inner.options.sweep_interval);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = inner.stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = inner.programs.refresh(&*inner.store, inner.layout).await {
                warn!(%error, "programs could not be read again; those known stay");
            }
            let now = inner.clock.now(None);
            if let Err(error) = sweep_through(&inner, now).await {
                warn!(%error, "the sweeper could not go on; it will look again");
            }
        }
    });
}

/// Brings every account up to date that has something due by an instant; answers how many.
pub(super) async fn sweep_through(inner: &Inner, through: Instant) -> Result<u64, Error> {
    let mut swept = 0;
    for _ in 0..ROUNDS_MAX {
        let before = swept;
        let mut from = Partition::default();
        for _ in 0..=inner.layout.partitions() {
            if inner.stop.is_cancelled() {
                return Ok(swept);
            }
            let page = inner.store.due_page(from, through.0, PAGE).await?;
            let sweeps: Vec<_> = page.items.iter().map(|item| sweep_if_running(inner, item, through)).collect();
            let mut sweeps = stream::iter(sweeps).buffer_unordered(AT_ONCE);
            let mut failure = None;
            while let Some(done) = sweeps.next().await {
                match done {
                    Ok(done) => swept += u64::from(done),
                    Err(error) => failure = Some(error),
                }
            }
            if let Some(error) = failure {
                return Err(error);
            }
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        if swept == before {
            break;
        }
    }
    Ok(swept)
}

/// Pages of what is due that a look reads: a bound on what it costs whoever waits for it.
const LOOK_PAGES: usize = 4;

/// Brings up to date what fell due first, wherever it lies, so that what lapsed reservations held is there again. It is no
/// sweep: of much that is due at once it sees the beginning.
pub(super) async fn look(inner: &Inner) -> Result<(), Error> {
    let through = inner.clock.now(None);
    let mut from = Partition::default();
    for _ in 0..LOOK_PAGES {
        let page = inner.store.due_page(from, through.0, PAGE).await?;
        for item in page.items {
            sweep(inner, &item, through).await?;
        }
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    Ok(())
}

async fn sweep_if_running(inner: &Inner, item: &DueItem, through: Instant) -> Result<bool, Error> {
    if inner.stop.is_cancelled() { Ok(false) } else { sweep(inner, item, through).await }
}

/// Whether the account could be brought up to date.
async fn sweep(inner: &Inner, item: &DueItem, through: Instant) -> Result<bool, Error> {
    if let Some(key) = Layout::due_board(item.partition, &item.subject) {
        return boards::sweep(inner, item, &key).await;
    }
    if let Some((key, program)) = Layout::due_visitor(item.partition, &item.subject) {
        return touches::sweep(inner, item, &key, &program, through).await;
    }
    if let Some(key) = Layout::due_accrual(item.partition, &item.subject) {
        return match accruals::sweep(inner, item, &key, through).await {
            Err(error) if !error.is_everywhere() => {
                warn!(%error, subject = %item.subject, "what is due to a partner could not be sent; others are");
                Ok(false)
            }
            sent => sent,
        };
    }
    if let Some(key) = Layout::due_claim(item.partition, &item.subject) {
        return match quotas::sweep(inner, item, &key).await {
            Err(error) if !error.is_everywhere() => {
                warn!(%error, subject = %item.subject, "a claim could not be closed; others are");
                Ok(false)
            }
            closed => closed,
        };
    }
    let parsed = item
        .subject
        .split_once('|')
        .and_then(|(program, account)| Some((ProgramId::parse(program).ok()?, MemberId::parse(account).ok()?)));
    let Some((program, member)) = parsed else {
        warn!(subject = %item.subject, "a due subject cannot be read; it is taken off the index");
        return drop_due(inner, item).await;
    };
    let timeline = match inner.timeline(&program) {
        Ok(timeline) => timeline,
        // Another instance serves that program.
        Err(Error::ProgramUnknown) => return Ok(false),
        Err(error) => return Err(error),
    };
    let cause = Cause { program: &program, timeline: &timeline, request: None };
    let times = || {
        let now = inner.clock.now(Some(through)).max(through);
        Times { now, effective_at: now, stated: false }
    };
    match settle(inner, &cause, &member, &Command::Advance, &times).await {
        Ok(settled) if settled.entries == 0 => correct_due(inner, item, &program, &member, &timeline, through).await,
        Ok(settled) => {
            moves::finish(inner, &cause, settled).await;
            inner.meter.swept(through.0.saturating_sub(item.at_ms));
            Ok(true)
        }
        // Whoever keeps writing to the account brings it up to date as well.
        Err(Error::Contention | Error::Overloaded) => Ok(false),
        Err(error) if error.is_everywhere() => Err(error),
        Err(error) => {
            warn!(%error, subject = %item.subject, "an account could not be brought up to date; others are");
            Ok(false)
        }
    }
}

/// The account had nothing due although the index named it: a call brought it up to date in between, or it is a
/// leftover. The index is set right under the token that was read, for the account may be moving on.
async fn correct_due(
    inner: &Inner,
    item: &DueItem,
    program: &ProgramId,
    member: &MemberId,
    timeline: &Timeline,
    through: Instant,
) -> Result<bool, Error> {
    let key = inner.layout.account(program, &AccountId::from(member));
    let record = inner.store.load(key.partition, std::slice::from_ref(&key)).await?.into_iter().next().flatten();
    let found = record.map(|record| read_member(inner, &key, &record)).transpose()?;
    let (expected, next) = match &found {
        Some((token, MemberRecord::Account(state))) => {
            (Expected::At(*token), occasions::next_due(timeline, state, through))
        }
        Some((token, MemberRecord::Alias(_))) => (Expected::At(*token), None),
        None => (Expected::Absent, None),
    };
    if next.is_some_and(|at| at <= through) {
        return Ok(false);
    }
    let due = vec![Due { subject: item.subject.clone(), at_ms: next.map(|at| at.0) }];
    let commit = Commit { partition: item.partition, expect: vec![(key, expected)], due, ..Commit::default() };
    Ok(inner.store.commit(&commit).await? == Outcome::Applied)
}

/// Takes off the index what names no account.
async fn drop_due(inner: &Inner, item: &DueItem) -> Result<bool, Error> {
    let due = vec![Due { subject: item.subject.clone(), at_ms: None }];
    let commit = Commit { partition: item.partition, due, ..Commit::default() };
    match inner.store.commit(&commit).await? {
        Outcome::Applied => Ok(true),
        _ => Err(Error::Internal("a due subject could not be taken off the index".to_owned())),
    }
}
