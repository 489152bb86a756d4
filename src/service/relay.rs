//! The relay: delivers effects to other accounts, each exactly once in effect.
//!
//! An effect is put on its partition's feed by the commit that caused it, and states a whole ("this grant stands at
//! 50, revision 2"). Delivery is a decision of the target account; only when that is committed is the effect taken
//! off the feed. A crash in between delivers it again, and the target sees that it has the revision already.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::{StreamExt, stream};
use tracing::{error, warn};

use super::projection::Mark;
use super::write::{Cause, receive_all, settle};
use super::{
    Error, Inner, Service, accruals, audit, boards, codes, confirm, erase, notices, reviews, slices, stats, trees,
};
use crate::domain::command::{Command, Outgoing, Transfer};
use crate::domain::id::{AccountId, MemberId, ProgramId};
use crate::domain::ledger::decode;
use crate::domain::time::{Instant, SECOND_MS, Times};
use crate::store::{self, Commit, FeedItem, Outcome, Partition};

/// Effects read at a time.
const PAGE: usize = 256;
/// Accounts that are delivered to at a time, and partitions whose records are written: what one waits for keeps no other
/// waiting, and a store that groups commits has some to group.
const AT_ONCE: usize = 32;
/// Effects that an account takes in with one commit.
const RECEIVED_AT_ONCE: usize = 32;
/// Partitions that are looked at together when several hints wait.
const HINTS_AT_ONCE: usize = 32;
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
    /// A clock that was ahead, and is right again, makes nobody wait for longer than was meant.
    fn is_waiting(&self, target: &(ProgramId, AccountId), now: Instant) -> bool {
        self.0.get(target).is_some_and(|(until, wait)| now < *until && *until <= now.plus_ms(*wait))
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
        let mut hinted = Vec::with_capacity(HINTS_AT_ONCE);
        loop {
            hinted.clear();
            let step = tokio::select! {
                () = inner.stop.cancelled() => return,
                1.. = hints.recv_many(&mut hinted, HINTS_AT_ONCE) => {
                    let partitions = hinted.drain(..).collect::<BTreeSet<_>>().into_iter().collect();
                    deliver_partitions(&inner, partitions, &mut parked).await
                }
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

/// Delivers what some partitions have on their feeds, some of each at a time, until nothing more can be.
async fn deliver_partitions(inner: &Inner, mut partitions: Vec<Partition>, parked: &mut Parked) -> Result<(), Error> {
    while !partitions.is_empty() {
        let feeds: Vec<_> =
            partitions.iter().map(|partition| inner.store.feed(*partition, store::PER_PARTITION_MAX)).collect();
        let mut feeds = stream::iter(feeds).buffer_unordered(AT_ONCE);
        let (mut items, mut longer) = (Vec::new(), Vec::new());
        while let Some(feed) = feeds.next().await {
            let feed = feed?;
            longer.extend(feed.get(store::PER_PARTITION_MAX - 1).map(|last| last.partition));
            items.extend(feed);
        }
        if deliver(inner, items, None, parked).await? == 0 {
            return Ok(());
        }
        partitions = longer;
    }
    Ok(())
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

/// Whom an effect is for.
type Target = (ProgramId, AccountId);

/// An effect, and where it lies on the feed.
struct Effect {
    at: (Partition, u64),
    effect: Outgoing,
}

/// A page of the feed, sorted by what is to be done with it.
#[derive(Default)]
struct Sorted {
    /// What is for one account, in its order.
    effects: Vec<(Target, Vec<Effect>)>,
    /// What goes into records beside it: of one partition each, in its order.
    projected: Vec<Vec<FeedItem>>,
    lists: Vec<FeedItem>,
    notices: Vec<FeedItem>,
    audit: Vec<FeedItem>,
}

impl Sorted {
    fn of(inner: &Inner, items: Vec<FeedItem>, before: Option<Instant>, parked: &Parked) -> Sorted {
        let mut sorted = Sorted::default();
        let mut places: HashMap<Target, usize> = HashMap::new();
        for item in items {
            if Mark::TREES.is_on(&item.body) {
                sorted.lists.push(item);
            } else if is_projected(&item.body) {
                let here = |of: &&mut Vec<FeedItem>| of.first().is_some_and(|first| first.partition == item.partition);
                match sorted.projected.last_mut().filter(here) {
                    Some(of_partition) => of_partition.push(item),
                    None => sorted.projected.push(vec![item]),
                }
            } else if Mark::NOTICES.is_on(&item.body) {
                sorted.notices.push(item);
            } else if Mark::AUDIT.is_on(&item.body) {
                sorted.audit.push(item);
            } else if let Ok((program, effect)) = decode::<(ProgramId, Outgoing)>(&item.body) {
                let effective_at = effect.effective_at();
                let now = inner.clock.now(Some(effective_at));
                let target = (program, effect.target().clone());
                let later = before.is_some_and(|before| before <= effective_at);
                if later || (before.is_none() && parked.is_waiting(&target, now)) {
                    continue;
                }
                let place = *places.entry(target).or_insert_with_key(|target| {
                    sorted.effects.push((target.clone(), Vec::new()));
                    sorted.effects.len() - 1
                });
                if let Some((_, effects)) = sorted.effects.get_mut(place) {
                    effects.push(Effect { at: (item.partition, item.position), effect });
                }
            } else {
                let FeedItem { partition, position, .. } = item;
                error!(partition = partition.0, position, "an effect on the feed cannot be read");
            }
        }
        sorted
    }
}

/// What came of delivering to one account.
struct Delivered {
    target: Target,
    done: Vec<(Partition, u64)>,
    /// Since when it takes nothing.
    parked_at: Option<Instant>,
    /// What keeps everything else from being delivered, too.
    error: Option<Error>,
}

/// Delivers what is for one account, in its order: what it is sent several at a time, anything else by itself.
async fn deliver_to(inner: &Inner, target: Target, effects: Vec<Effect>, goes_on: bool) -> Delivered {
    let mut delivered = Delivered { target, done: Vec::new(), parked_at: None, error: None };
    let (program, account) = &delivered.target;
    let mut rest = effects.as_slice();
    while let Some((first, others)) = rest.split_first() {
        if inner.stop.is_cancelled() || (delivered.parked_at.is_some() && !goes_on) {
            break;
        }
        let effective_at = first.effect.effective_at();
        let now = inner.clock.now(Some(effective_at));
        let together = match receive_together(inner, program, account, rest).await {
            Ok(0) => deliver_one(inner, program, first.effect.clone()).await.map(usize::from),
            together => together,
        };
        match together {
            Ok(0) => {
                warn!(%account, "an effect was not taken in, for there is no such account or it is full; it waits");
                inner.meter.parked();
                delivered.parked_at = Some(now);
                rest = others;
            }
            Ok(count) => {
                let (done, after) = rest.split_at(count.min(rest.len()));
                for Effect { at, effect } in done {
                    inner.meter.relayed(now.0.saturating_sub(effect.effective_at().0));
                    delivered.done.push(*at);
                }
                rest = after;
            }
            // The store is away from all targets alike. Damage is of one target, which blocks no other.
            Err(error) if error.is_everywhere() => {
                delivered.error = Some(error);
                break;
            }
            Err(error) => {
                warn!(%account, %error, "an effect could not be delivered; it waits");
                inner.meter.parked();
                delivered.parked_at = Some(now);
                rest = others;
            }
        }
    }
    delivered
}

/// Takes in what an account is sent, as far as that can be done in one commit; answers how many of the effects that is.
async fn receive_together(
    inner: &Inner,
    program: &ProgramId,
    account: &AccountId,
    effects: &[Effect],
) -> Result<usize, Error> {
    let sent = effects.iter().take(RECEIVED_AT_ONCE).map_while(|of| match &of.effect {
        Outgoing::Transfer(transfer) => Some(transfer),
        _ => None,
    });
    let transfers: Vec<&Transfer> = sent.collect();
    // A journal brings back commits one by one: of one with several effects some may be there already.
    if transfers.len() < 2 || inner.options.journal.is_some() {
        return Ok(0);
    }
    let timeline = inner.timeline(program)?;
    let cause = Cause { program, timeline: &timeline, request: None };
    match receive_all(inner, &cause, account, &transfers).await {
        Err(error) if error.is_everywhere() => Err(error),
        Err(error) => {
            // One of them may be damaged: each by itself shows which.
            warn!(%account, %error, "effects could not be taken in together");
            Ok(0)
        }
        taken => taken,
    }
}

/// Delivers a page of the feed: to several accounts, and into records of several partitions, at once.
async fn deliver(
    inner: &Inner,
    items: Vec<FeedItem>,
    before: Option<Instant>,
    parked: &mut Parked,
) -> Result<u64, Error> {
    let Sorted { effects, projected, lists, notices, audit } = Sorted::of(inner, items, before, parked);
    let mut done: Vec<(Partition, u64)> = Vec::new();
    let mut failure = None;
    let goes_on = before.is_some();
    let effects: Vec<_> =
        effects.into_iter().map(|(target, effects)| deliver_to(inner, target, effects, goes_on)).collect();
    let mut effects = stream::iter(effects).buffer_unordered(AT_ONCE);
    while let Some(delivered) = effects.next().await {
        done.extend(delivered.done);
        if let Some(at) = delivered.parked_at {
            parked.park(delivered.target, at);
        }
        failure = failure.or(delivered.error);
    }
    if failure.is_none() {
        failure = append(inner, notices, &mut done).await.err();
    }
    if failure.is_none() {
        failure = record(inner, audit, &mut done).await.err();
    }
    let mut count = done.len() as u64;
    acknowledge(inner, done).await?;
    if let Some(error) = failure {
        return Err(error);
    }
    let folds: Vec<_> = projected.into_iter().map(|items| fold(inner, items)).collect();
    let mut folds = stream::iter(folds).buffer_unordered(AT_ONCE);
    while let Some(folded) = folds.next().await {
        match folded {
            Ok(folded) => count += folded,
            Err(error) => failure = Some(error),
        }
    }
    if let Some(error) = failure {
        return Err(error);
    }
    // Friends of one advocate lie in many partitions: their list is written once for all of them.
    let written = trees::deliver(inner, &lists).await?;
    count += written.len() as u64;
    acknowledge(inner, written).await?;
    Ok(count)
}

/// Appends notices to the log of their program, in their order.
async fn append(inner: &Inner, items: Vec<FeedItem>, done: &mut Vec<(Partition, u64)>) -> Result<(), Error> {
    for item in items {
        match notices::on_feed(&item.body) {
            Some(Ok(notice)) => match notices::append(inner, &notice).await {
                Ok(()) => done.push((item.partition, item.position)),
                Err(error @ Error::Store(store::Error::Unavailable | store::Error::OutcomeUnknown)) => {
                    return Err(error);
                }
                Err(error) => warn!(%error, "a notice could not be appended; it waits"),
            },
            Some(Err(error)) => {
                error!(%error, partition = item.partition.0, position = item.position, "a notice cannot be read");
            }
            None => {}
        }
    }
    Ok(())
}

/// Appends administrative writes to the audit of their programs.
async fn record(inner: &Inner, items: Vec<FeedItem>, done: &mut Vec<(Partition, u64)>) -> Result<(), Error> {
    type Told = (Vec<audit::Told>, Vec<(Partition, u64)>);
    let mut by_program: BTreeMap<ProgramId, Told> = BTreeMap::new();
    for FeedItem { partition, position, body } in items {
        match audit::on_feed(&body) {
            Ok(one) => {
                let (told, places) = by_program.entry(one.program().clone()).or_default();
                told.push(one);
                places.push((partition, position));
            }
            Err(error) => error!(%error, partition = partition.0, position, "an entry of the audit cannot be read"),
        }
    }
    for (program, (told, places)) in by_program {
        match audit::append(inner, &program, &told).await {
            Ok(()) => done.extend(places),
            Err(error) if error.is_everywhere() => return Err(error),
            Err(error) => warn!(%error, %program, "entries of the audit could not be appended; they wait"),
        }
    }
    Ok(())
}

/// Whether an item goes into records beside it, rather than to another account.
fn is_projected(body: &[u8]) -> bool {
    [Mark::BOARDS, Mark::ACCRUALS, Mark::STATS].iter().any(|mark| mark.is_on(body))
}

/// Tells records beside the feed what one partition has for them, at most [`store::PER_PARTITION_MAX`] items, with one commit
/// for each kind: were there several, one that met a conflict might be overtaken by the next, and records take in nothing
/// that is older than what they have. What cannot be told now waits.
async fn fold(inner: &Inner, items: Vec<FeedItem>) -> Result<u64, Error> {
    let Some(partition) = items.first().map(|first| first.partition) else { return Ok(0) };
    let of = |mark: Mark| items.iter().filter(|item| mark.is_on(&item.body)).cloned().collect::<Vec<_>>();
    let mut folded = 0;
    for (what, outcome) in [
        ("boards", boards::fold(inner, partition, &of(Mark::BOARDS)).await),
        ("records of partners", accruals::fold(inner, partition, &of(Mark::ACCRUALS)).await),
        ("figures", stats::fold(inner, partition, &of(Mark::STATS)).await),
    ] {
        match outcome {
            Ok(count) => folded += count,
            Err(error) if error.is_everywhere() => return Err(error),
            // Somebody else is about it.
            Err(Error::Contention) => {}
            Err(error) => warn!(%error, partition = partition.0, what, "what is told waits, for it could not be told"),
        }
    }
    Ok(folded)
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

/// Takes what is done off the feeds.
async fn acknowledge(inner: &Inner, done: Vec<(Partition, u64)>) -> Result<(), Error> {
    let mut by_partition: BTreeMap<Partition, Vec<u64>> = BTreeMap::new();
    for (partition, position) in done {
        by_partition.entry(partition).or_default().push(position);
    }
    let commits: Vec<_> = by_partition
        .into_iter()
        .map(|(partition, feed_done)| acknowledge_one(inner, Commit { partition, feed_done, ..Commit::default() }))
        .collect();
    let mut commits = stream::iter(commits).buffer_unordered(AT_ONCE);
    let mut outcome = Ok(());
    while let Some(acknowledged) = commits.next().await {
        outcome = outcome.and(acknowledged);
    }
    outcome
}

async fn acknowledge_one(inner: &Inner, commit: Commit) -> Result<(), Error> {
    match inner.store.commit(&commit).await {
        Ok(Outcome::Applied) => Ok(()),
        Ok(_) => Err(Error::Internal("an acknowledgement met a condition that it did not state".to_owned())),
        // It stays on the feed and is delivered again, which changes nothing.
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_longer_than_was_meant_for_a_clock_that_was_ahead() {
        let mut parked = Parked::default();
        let target = (ProgramId::parse("club").expect("an id"), AccountId::parse("ann").expect("an id"));
        let ahead = Instant(3 * 86_400_000);
        parked.park(target.clone(), ahead);
        for (now, waits) in [
            (ahead, true),
            (ahead.plus_ms(PARK_MS - 1), true),
            (ahead.plus_ms(PARK_MS), false),
            // Right again.
            (Instant(0), false),
        ] {
            assert_eq!(parked.is_waiting(&target, now), waits, "{now:?}");
        }
    }
}
