//! The relay: delivers effects to other accounts, each exactly once in effect.
//!
//! An effect is put on its partition's feed by the commit that caused it, and states a whole ("this grant stands at
//! 50, revision 2"). Delivery is a decision of the target account; only when that is committed is the effect taken
//! off the feed. A crash in between delivers it again, and the target sees that it has the revision already.

use std::collections::HashMap;

use tracing::{error, warn};

use super::projection::Mark;
use super::write::{Cause, settle};
use super::{Error, Inner, Service, accruals, boards, codes, confirm, erase, notices, reviews, slices, stats, trees};
use crate::domain::command::{Command, Outgoing};
use crate::domain::id::{AccountId, MemberId, ProgramId};
use crate::domain::ledger::decode;
use crate::domain::time::{Instant, SECOND_MS, Times};
use crate::store::{self, Commit, FeedItem, Outcome, Partition};

/// Effects read at a time.
const PAGE: usize = 256;
/// A target that takes nothing is left alone for so long, then twice that, up to the maximum.
const PARK_MS: i64 = SECOND_MS;
const PARK_MS_MAX: i64 = 300 * SECOND_MS;
const PARKED_MAX: usize = 100_000;
/// Walks made to deliver the effects of one day.
const WALKS_MAX: usize = 100_000;

/// Targets that could not be delivered to: when to try again, and how long the wait was.
#[derive(Debug, Default)]
struct Parked(HashMap<(ProgramId, AccountId), (Instant, i64)>);

impl Parked {
    fn is_waiting(&self, target: &(ProgramId, AccountId), now: Instant) -> bool {
        self.0.get(target).is_some_and(|(until, _)| now < *until)
    }

    fn park(&mut self, target: (ProgramId, AccountId), now: Instant) {
        if PARKED_MAX <= self.0.len() {
            self.0.retain(|_, (until, _)| now < *until);
        }
        let wait = self.0.get(&target).map_or(PARK_MS, |(_, wait)| (wait * 2).min(PARK_MS_MAX));
        self.0.insert(target, (now.plus_ms(wait), wait));
    }
}

pub(super) fn start(service: &Service) {
    let inner = service.inner.clone();
    let hints = inner.relay_hints.lock().ok().and_then(|mut hints| hints.take());
    let Some(mut hints) = hints else { return };
    let tracker = inner.tracker.clone();
    tracker.spawn(async move {
        let mut parked = Parked::default();
        let mut walk = tokio::time::interval(inner.options.relay_interval);
        walk.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let step = tokio::select! {
                () = inner.stop.cancelled() => return,
                Some(partition) = hints.recv() => deliver_partition(&inner, partition, &mut parked).await,
                _ = walk.tick() => deliver_all(&inner, None, &mut parked).await.map(|_| ()),
            };
            if let Err(error) = step {
                warn!(%error, "the relay could not go on; it will look again");
            }
        }
    });
}

/// Delivers everything that happened before an instant, for a driver that says when a day is over.
pub(super) async fn deliver_before(inner: &Inner, through: Instant) -> Result<u64, Error> {
    let mut parked = Parked::default();
    let mut delivered = 0;
    // A walk shows a bounded number of effects of each partition: it is made until one delivers nothing.
    for _ in 0..WALKS_MAX {
        match deliver_all(inner, Some(through), &mut parked).await? {
            0 => return Ok(delivered),
            more => delivered += more,
        }
    }
    Ok(delivered)
}

/// Delivers what a partition has on its feed, some at a time, until nothing more can be.
async fn deliver_partition(inner: &Inner, partition: Partition, parked: &mut Parked) -> Result<(), Error> {
    loop {
        let items = inner.store.feed(partition, store::PER_PARTITION_MAX).await?;
        let all = items.len() < store::PER_PARTITION_MAX;
        if deliver(inner, items, None, parked).await? == 0 || all {
            return Ok(());
        }
    }
}

/// One walk over all partitions.
async fn deliver_all(inner: &Inner, before: Option<Instant>, parked: &mut Parked) -> Result<u64, Error> {
    let mut delivered = 0;
    let mut from = Partition::default();
    // Each page but the last moves on by at least one partition.
    for _ in 0..=inner.layout.partitions() {
        let page = inner.store.feed_page(from, PAGE).await?;
        delivered += deliver(inner, page.items, before, parked).await?;
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    Ok(delivered)
}

/// Delivers items that were read together: of each partition the oldest, at most [`store::PER_PARTITION_MAX`]. What goes into
/// records of a partition is folded with one commit: were there several, one that met a conflict might be overtaken by the
/// next, and records take in nothing that is older than what they have.
async fn deliver(
    inner: &Inner,
    items: Vec<FeedItem>,
    before: Option<Instant>,
    parked: &mut Parked,
) -> Result<u64, Error> {
    let mut delivered = 0;
    let mut done: Option<(Partition, Vec<u64>)> = None;
    let mut standings: Vec<FeedItem> = Vec::new();
    let mut lists: Vec<FeedItem> = Vec::new();
    for item in items {
        if inner.stop.is_cancelled() {
            break;
        }
        if standings.first().is_some_and(|first| first.partition != item.partition) {
            delivered += fold(inner, &mut standings).await?;
        }
        if Mark::TREES.is_on(&item.body) {
            lists.push(item);
            continue;
        }
        if is_projected(&item.body) {
            standings.push(item);
            continue;
        }
        if done.as_ref().is_some_and(|(partition, _)| *partition != item.partition) {
            acknowledge(inner, done.take()).await?;
        }
        if let Some(notice) = notices::on_feed(&item.body) {
            match notice {
                Ok(notice) => match notices::append(inner, &notice).await {
                    Ok(()) => {
                        delivered += 1;
                        done.get_or_insert_with(|| (item.partition, Vec::new())).1.push(item.position);
                    }
                    Err(error @ Error::Store(store::Error::Unavailable | store::Error::OutcomeUnknown)) => {
                        acknowledge(inner, done.take()).await?;
                        return Err(error);
                    }
                    Err(error) => warn!(%error, "a notice could not be appended; it waits"),
                },
                Err(error) => {
                    error!(%error, partition = item.partition.0, position = item.position, "a notice cannot be read")
                }
            }
            continue;
        }
        let Ok((program, effect)) = decode::<(ProgramId, Outgoing)>(&item.body) else {
            error!(partition = item.partition.0, position = item.position, "an effect on the feed cannot be read");
            continue;
        };
        let effective_at = effect.effective_at();
        let now = inner.clock.now(Some(effective_at));
        let target = (program.clone(), effect.target().clone());
        let later = before.is_some_and(|before| before <= effective_at);
        if later || (before.is_none() && parked.is_waiting(&target, now)) {
            continue;
        }
        match deliver_one(inner, &program, effect).await {
            Ok(true) => {
                delivered += 1;
                inner.meter.relayed(now.0.saturating_sub(effective_at.0));
                done.get_or_insert_with(|| (item.partition, Vec::new())).1.push(item.position);
            }
            Ok(false) => {
                warn!(account = %target.1, "an effect was not taken in, for there is no such account or it is full; it waits");
                inner.meter.parked();
                parked.park(target, now);
            }
            // The store is away from all targets alike. Damage is of one target, which blocks no other.
            Err(
                error @ (Error::Store(store::Error::Unavailable | store::Error::OutcomeUnknown)
                | Error::Draining
                | Error::ClockOff),
            ) => {
                acknowledge(inner, done.take()).await?;
                return Err(error);
            }
            Err(error) => {
                warn!(account = %target.1, %error, "an effect could not be delivered; it waits");
                inner.meter.parked();
                parked.park(target, now);
            }
        }
    }
    acknowledge(inner, done).await?;
    delivered += fold(inner, &mut standings).await?;
    // Friends of one advocate lie in many partitions: their list is written once for all of them.
    let written = trees::deliver(inner, &lists).await?;
    for of_partition in written.chunk_by(|(a, _), (b, _)| a == b) {
        let Some((partition, _)) = of_partition.first() else { continue };
        delivered += of_partition.len() as u64;
        acknowledge(inner, Some((*partition, of_partition.iter().map(|(_, position)| *position).collect()))).await?;
    }
    Ok(delivered)
}

/// Whether an item goes into records beside it, rather than to another account.
fn is_projected(body: &[u8]) -> bool {
    [Mark::BOARDS, Mark::ACCRUALS, Mark::STATS].iter().any(|mark| mark.is_on(body))
}

/// Tells boards and partners' records what they have not been told; what cannot be told now waits.
async fn fold(inner: &Inner, standings: &mut Vec<FeedItem>) -> Result<u64, Error> {
    let items = std::mem::take(standings);
    let Some(partition) = items.first().map(|first| first.partition) else { return Ok(0) };
    let (of_boards, others): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| Mark::BOARDS.is_on(&item.body));
    let (figures, others): (Vec<_>, Vec<_>) = others.into_iter().partition(|item| Mark::STATS.is_on(&item.body));
    let mut folded = 0;
    for (what, outcome) in [
        ("boards", boards::fold(inner, partition, &of_boards).await),
        ("records of partners", accruals::fold(inner, partition, &others).await),
        ("figures", stats::fold(inner, partition, &figures).await),
    ] {
        match outcome {
            Err(error) if !is_everywhere(&error) => {
                warn!(%error, partition = partition.0, what, "what is told waits, for it could not be told");
            }
            outcome => folded += outcome?,
        }
    }
    Ok(folded)
}

/// Whether whatever is delivered would fail like this.
fn is_everywhere(error: &Error) -> bool {
    matches!(
        error,
        Error::Store(store::Error::Unavailable | store::Error::OutcomeUnknown) | Error::Draining | Error::ClockOff
    )
}

/// Whether the target took it in.
pub(super) async fn deliver_one(inner: &Inner, program: &ProgramId, effect: Outgoing) -> Result<bool, Error> {
    let timeline = inner.timeline(program)?;
    let member = MemberId::from(effect.target());
    let effective_at = effect.effective_at();
    // However late it arrives, what it says happened when it did: no bound on back-dating applies.
    let times = || Times { now: inner.clock.now(Some(effective_at)), effective_at, stated: true };
    let cause = Cause { program, timeline: &timeline, request: None };
    let command = match effect {
        Outgoing::Transfer(transfer) => Command::Receive(transfer),
        Outgoing::Parcel(parcel) => Command::Take(parcel),
        Outgoing::StockBack(back) => return slices::came_back(inner, &back).await.map(|()| true),
        Outgoing::Overdrawn(overdrawn) => return slices::overdrawn(inner, &overdrawn).await.map(|()| true),
        Outgoing::Forget(forget) => return erase::forget(inner, program, &forget).await.map(|()| true),
        Outgoing::Code(effect) => return codes::apply(inner, program, &effect).await.map(|()| true),
        Outgoing::Confirm(claim) => return confirm::confirm(inner, program, &claim).await,
        Outgoing::Review(review) => return reviews::apply(inner, program, &review).await,
    };
    let settled = settle(inner, &cause, &member, &command, &times).await?;
    Ok(settled.received)
}

async fn acknowledge(inner: &Inner, done: Option<(Partition, Vec<u64>)>) -> Result<(), Error> {
    let Some((partition, feed_done)) = done else { return Ok(()) };
    let commit = Commit { partition, feed_done, ..Commit::default() };
    match inner.store.commit(&commit).await {
        Ok(Outcome::Applied) => Ok(()),
        Ok(_) => Err(Error::Internal("an acknowledgement met a condition that it did not state".to_owned())),
        // It stays on the feed and is delivered again, which changes nothing.
        Err(error) => Err(error.into()),
    }
}
