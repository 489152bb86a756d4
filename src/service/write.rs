//! A write: load, decide, commit, and again when others were faster; exactly once per request id.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tracing::{debug, error};

use super::cache::Seen;
use super::quotas::{self, Claims};
use super::unbroken::Unbroken;
use super::{
    Answered, Error, Inner, Known, Write, accruals, audit, boards, claims, codes, moves, notices, quotes, recipients,
    reviews, signals, slices, stats, sweeper, touches, trees,
};
use crate::domain::account::{AccountState, HomeWhy, Inbound, MemberRecord, Salt};
use crate::domain::answer::Answer;
use crate::domain::command::{Claim, Command, EnteredCode, GuestOrder, Outgoing, Overdrawn, StockBack, Transfer};
use crate::domain::decide::{DecideError, Decision, Snapshot, decide};
use crate::domain::event_record::DeedRecord;
use crate::domain::id::{AccountId, EventId, GrantId, MemberId, OrderId, ProgramId, RequestId};
use crate::domain::ledger::{DecodeError, Stored, encode};
use crate::domain::occasions;
use crate::domain::order_record::OrderRecord;
use crate::domain::program::Timeline;
use crate::domain::quota::{OutstandingChange, QuotaKey, Used};
use crate::domain::stats::Orders;
use crate::domain::time::Times;
use crate::store::{
    self, Append, Commit, Due, Expected, Home, Key, NewReceipt, Outcome, Receipt, Record, Token, Write as RecordWrite,
};

/// Members point to an account at most so many times: to a household, and from a merged one to what it became.
/// An account has a bounded number of homes, and each is one step at most.
pub(super) const ALIASES_MAX: usize = 2 * AccountState::HOMES_MAX + 2;

/// Largest record of an account; far above what one takes in practice.
const RECORD_BYTES_MAX: usize = 512 * 1024;
/// Largest record of an order: holds the largest request, what was decided for each of its lines, and its returns.
const ORDER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Largest trace that is kept beside an order.
const TRACE_BYTES_MAX: usize = 64 * 1024;

/// Runs a write: the caller may leave, the write may not be cut in half.
pub(super) async fn write(inner: &Arc<Inner>, write: Box<Write>) -> Result<Answered, Error> {
    let permit = Arc::clone(&inner.writes).try_acquire_owned().map_err(|error| match error {
        tokio::sync::TryAcquireError::Closed => Error::Draining,
        tokio::sync::TryAcquireError::NoPermits => Error::Overloaded,
    })?;
    let work = {
        let inner = Arc::clone(inner);
        // In a box at once: on its way it is moved several times, and it is large.
        Box::pin(async move {
            let answered = execute(&inner, &write).await;
            drop(permit);
            answered
        })
    };
    // What panics says so by itself.
    Unbroken::new(&inner.tracker, AssertUnwindSafe(work).catch_unwind()).await.unwrap_or_else(|_told| {
        error!("a write panicked");
        Err(Error::Internal("a write panicked".to_owned()))
    })
}

async fn execute(inner: &Arc<Inner>, write: &Write) -> Result<Answered, Error> {
    let timeline = inner.timeline(&write.program)?;
    let cause = Cause { program: &write.program, timeline: &timeline, request: Some(write) };
    let times = || inner.times(write.occurred_at);
    // What is seldom asked for takes no room in the task of every write, here and below: a task of some hundred kilobytes
    // costs more to move and to keep in the processor's cache than the decision.
    let done = match &write.command {
        Command::Claim(claim) => Box::pin(claims::claim(inner, &cause, write, claim)).await?,
        Command::Relocate(relocate) => Box::pin(moves::relocate(inner, &cause, write, relocate)).await?,
        Command::Send(send) => Box::pin(moves::send(inner, &cause, write, send)).await?,
        Command::RecordTouch(record) => Box::pin(touches::record(inner, &cause, write, record)).await?,
        command => {
            let opened = quotes::opened(inner, command).await?;
            let command = opened.as_deref().unwrap_or(command);
            let hashed = signals::hashed(inner, &write.program, command).await?;
            let command = hashed.as_deref().unwrap_or(command);
            settle(inner, &cause, &write.member, command, &times).await?
        }
    };
    let done = if moves::is_finished(&done) { done } else { Box::pin(moves::finish(inner, &cause, done)).await };
    done.set_aside.close(inner, &done.used);
    Ok(Answered { answer: done.answer, replayed: done.replayed })
}

/// Why a command is settled, and under what name.
pub(super) struct Cause<'a> {
    pub(super) program: &'a ProgramId,
    pub(super) timeline: &'a Timeline,
    /// What was sent; `None`: the relay or the sweeper, whose commands are idempotent by themselves.
    pub(super) request: Option<&'a Write>,
}

/// What settling a command came to.
pub(super) struct Settled {
    pub(super) answer: Answer,
    pub(super) replayed: bool,
    /// Entries posted.
    pub(super) entries: usize,
    /// For an effect: whether the account has it now, by this delivery or an earlier one.
    pub(super) received: bool,
    /// What was claimed of limits over all members, and what of it is used now. The sweeper closes claims that nobody else
    /// does.
    set_aside: Claims,
    used: Vec<Used>,
    /// What was put on the feed besides, for whoever delivers it at once.
    pub(super) outgoing: Vec<Outgoing>,
}

impl Settled {
    pub(super) fn answer(answer: Answer, replayed: bool) -> Settled {
        let (set_aside, used, outgoing) = (Claims::default(), Vec::new(), Vec::new());
        Settled { answer, replayed, entries: 0, received: false, set_aside, used, outgoing }
    }
}

/// The records that a decision is made on.
pub(super) struct Basis {
    pub(super) account_id: AccountId,
    key: Key,
    account: Option<(Token, Arc<AccountState>)>,
    /// What is kept under the name of the event that the command is about.
    deed: Option<(Key, Found<DeedRecord>)>,
    order: Option<(Key, Found<Box<OrderRecord>>)>,
    inbound: Option<(Key, Found<Inbound>)>,
    /// Accounts that led here, beginning with the member's own.
    pub(super) path: Vec<AccountId>,
    /// Whether all of it was just read from the store.
    fresh: bool,
}

/// Where a record was found: under the account, or under a home of it, whence it is carried over when it changes.
type Place = Option<Token>;

/// A record and where it was found, if there is one.
type Found<T> = Option<(Place, T)>;

/// Random bytes for a profile that a command may change.
fn salt_for(command: &Command) -> Result<Salt, Error> {
    let mut salt = Salt::default();
    let may =
        matches!(command, Command::Enroll(_) | Command::UpdateMember(_) | Command::RecordEvent(_) | Command::Take(_));
    if may || signals::sent(command).is_some() {
        getrandom::fill(&mut salt).map_err(|_| Error::Internal("the machine gives no random bytes".to_owned()))?;
    }
    Ok(salt)
}

/// Decides and commits a command of one account until it is settled.
pub(super) async fn settle(
    inner: &Inner,
    cause: &Cause<'_>,
    member: &MemberId,
    command: &Command,
    times: &(dyn Fn() -> Times + Sync),
) -> Result<Settled, Error> {
    let queue_key = inner.layout.member(cause.program, member);
    inner.meter.queued(inner.queues.depth(&queue_key));
    let mut turn = inner.queues.turn(&queue_key).await.ok_or(Error::Overloaded)?;
    let mut basis = begin(inner, cause.program, member, &queue_key, command).await?;
    if member.is_guest() && basis.account_id != AccountId::from(member) {
        // What was asked before the claim was answered under the guest.
        let path = std::mem::take(&mut basis.path);
        basis = Box::pin(of_claimed(inner, cause, &basis.account_id, command)).await?.led_by(&path);
    }
    // The account may be another than the member's own: then its queue is the one to wait in. One at a time is held,
    // for accounts may become part of each other in either direction.
    if basis.key != queue_key {
        drop(turn);
        turn = inner.queues.turn(&basis.key).await.ok_or(Error::Overloaded)?;
    }
    let mut resent = 0;
    let mut set_aside = Claims::default();
    for _ in 0..inner.options.attempts_max.max(1) {
        if let Some(settled) = answered_elsewhere(inner, cause, &basis).await? {
            return Ok(settled);
        }
        match once(inner, cause, &mut basis, member, command, times(), &mut resent, &mut set_aside).await? {
            Once::Settled(settled) => return Ok(*settled),
            Once::Newer => {}
            Once::UsedUp => {
                // Whoever brings others up to date holds no turn of their own.
                drop(turn);
                Box::pin(sweeper::look(inner)).await?;
                set_aside.looked();
                turn = inner.queues.turn(&basis.key).await.ok_or(Error::Overloaded)?;
                basis = Box::pin(load(inner, cause.program, &AccountId::from(member), command)).await?;
            }
            Once::Gone => basis = Box::pin(load(inner, cause.program, &AccountId::from(member), command)).await?,
        }
    }
    drop(turn);
    inner.records.forget(&basis.key);
    Err(Error::Contention)
}

/// Takes in several effects for one account: decided one after another, committed at once, so that an account that many send to
/// is not written once for each. Answers how many are taken in, from the first on; what comes after that, or has to be looked
/// for elsewhere, is for [`settle`].
pub(super) async fn receive_all(
    inner: &Inner,
    cause: &Cause<'_>,
    account: &AccountId,
    transfers: &[&Transfer],
) -> Result<usize, Error> {
    let key = inner.layout.account(cause.program, account);
    let turn = inner.queues.turn(&key).await.ok_or(Error::Overloaded)?;
    let inbound = |transfer: &&Transfer| inner.layout.inbound(cause.program, account, &transfer.grant);
    let keys: Vec<Key> = std::iter::once(key.clone()).chain(transfers.iter().map(inbound)).collect();
    let mut records = inner.store.load(key.partition, &keys).await?.into_iter();
    let found = records.next().flatten().map(|record| read_member(inner, &key, &record)).transpose()?;
    let Some((token, MemberRecord::Account(state))) = found else { return Ok(0) };
    if state.away.is_some() || !state.homes.is_empty() {
        return Ok(0);
    }
    let mut basis = Basis {
        account_id: account.clone(),
        key: key.clone(),
        account: Some((token, state)),
        deed: None,
        order: None,
        inbound: None,
        path: Vec::new(),
        fresh: true,
    };
    let (mut all, mut taken) = (Commit { partition: key.partition, ..Commit::default() }, 0);
    let inbound_keys = keys.iter().skip(1);
    for (place, (transfer, (inbound_key, record))) in transfers.iter().zip(inbound_keys.zip(records)).enumerate() {
        // Of one grant the next revision goes by what this one makes of it.
        if transfers.iter().take(place).any(|before| before.grant == transfer.grant) {
            break;
        }
        basis.inbound = Some((inbound_key.clone(), read_placed(inbound_key, record)?));
        let effective_at = transfer.effective_at;
        let times = Times { now: inner.clock.now(Some(effective_at)), effective_at, stated: true };
        let member = Some(MemberId::from(account));
        let snapshot = Snapshot { member, ..basis.snapshot(cause.program, Vec::new()) };
        let command = Command::Receive((*transfer).clone());
        let mut decision = decide(cause.timeline, &snapshot, &command, times, None, false).map_err(defect)?;
        let is_whole = decision.wants.is_empty() && decision.wants_code.is_none() && decision.remember;
        if !is_whole || !decision.received {
            break;
        }
        taken += 1;
        if let Some(commit) = to_commit(inner, cause, &basis, &mut decision, Vec::new())? {
            merge(&mut all, commit);
        }
        if let (Some(state), false) = (decision.account, decision.entries.is_empty()) {
            basis.account = Some((Token::new(state.sequence, &state.head), state));
        }
    }
    if all.writes.is_empty() {
        return Ok(taken);
    }
    let outcome = send(inner, &all, &mut 0).await;
    drop(turn);
    if outcome.is_err() {
        inner.records.forget(&key);
    }
    match outcome? {
        Outcome::Applied => {
            inner.slices.took(&all.deltas);
            let written = all.writes.iter().find(|write| write.key == key).and_then(|write| write.record.as_ref());
            if let (Some(record), Some((token, state))) = (written, basis.account) {
                let bytes = record.body.len();
                let record = MemberRecord::Account(state);
                inner.records.keep(key, Seen { token, record, bytes });
            }
            if !all.feed.is_empty() {
                // A lost hint costs time, not the effect: the relay's walk finds it.
                let _ = inner.relay_hint.try_send(all.partition);
            }
            Ok(taken)
        }
        // Others were faster, or something is short: each by itself sees what there is.
        Outcome::Conflict(_) | Outcome::GuardFailed { .. } => {
            inner.meter.conflict();
            inner.records.forget(&key);
            Ok(0)
        }
        Outcome::Seen(_) => Err(Error::Internal("effects met a receipt that they did not state".to_owned())),
    }
}

/// Adds what a further decision on the same account changes.
fn merge(all: &mut Commit, commit: Commit) {
    let Commit { partition: _, receipts, expect, writes, appends, deltas, feed, feed_done, due } = commit;
    all.receipts.extend(receipts);
    for (key, expected) in expect {
        // What the earlier decisions expect is what is stored.
        if all.expect.iter().all(|(known, _)| *known != key) {
            all.expect.push((key, expected));
        }
    }
    for write in writes {
        match all.writes.iter_mut().find(|known| known.key == write.key) {
            Some(known) => *known = write,
            None => all.writes.push(write),
        }
    }
    for append in appends {
        match all.appends.iter_mut().find(|known| known.log == append.log) {
            Some(known) => known.entries.extend(append.entries),
            None => all.appends.push(append),
        }
    }
    for delta in deltas {
        match all.deltas.iter_mut().find(|known| known.key == delta.key) {
            Some(known) => known.delta = known.delta.saturating_add(delta.delta),
            None => all.deltas.push(delta),
        }
    }
    all.feed.extend(feed);
    all.feed_done.extend(feed_done);
    for item in due {
        match all.due.iter_mut().find(|known| known.subject == item.subject) {
            Some(known) => *known = item,
            None => all.due.push(item),
        }
    }
}

/// The records for a call that names the guest of a claimed order: the claimant's, with the order in it.
async fn of_claimed(inner: &Inner, cause: &Cause<'_>, account: &AccountId, command: &Command) -> Result<Basis, Error> {
    let basis = load(inner, cause.program, account, command).await?;
    match order_of(command) {
        Some(order) if !basis.has_order() => {
            claims::complete(inner, cause, order).await?;
            load(inner, cause.program, account, command).await
        }
        _ => Ok(basis),
    }
}

enum Step {
    Decided(Box<Decision>),
    /// The request was answered before.
    Answered(Box<Settled>),
}

/// Decides, and claims what the decision wants of limits over all members, until there is nothing more to want.
async fn with_claims(
    inner: &Inner,
    cause: &Cause<'_>,
    basis: &Basis,
    mut snapshot: Snapshot,
    command: &Command,
    times: Times,
    set_aside: &mut Claims,
) -> Result<Step, Error> {
    let request = cause.request.map(|write| &write.request_id);
    for _ in 0..quotas::ROUNDS_MAX {
        snapshot.set_aside = set_aside.granted();
        let decision = decide(cause.timeline, &snapshot, command, times, request, false).map_err(defect)?;
        if decision.wants.is_empty() && decision.wants_code.is_none() {
            return Ok(Step::Decided(decision));
        }
        if decision.wants_code.is_none() && set_aside.take_at_hand(inner, &basis.account_id, &decision.wants) {
            continue;
        }
        // A resend would claim in vain.
        if set_aside.is_empty()
            && snapshot.code_claim.is_none()
            && let Some(settled) = Box::pin(answered(inner, cause, &basis.account_id)).await?
        {
            return Ok(Step::Answered(Box::new(settled)));
        }
        if let Some(wanted) = &decision.wants_code {
            let claim = Box::pin(codes::claim(inner, cause.program, &basis.account_id, wanted));
            snapshot.code_claim = Some(claim.await?);
        }
        Box::pin(quotas::claim(inner, &basis.account_id, &decision.wants, times.now, set_aside)).await?;
    }
    Err(Error::Internal("a decision does not come to an end of what it wants".to_owned()))
}

/// What one attempt came to.
pub(super) enum Once {
    Settled(Box<Settled>),
    /// Records were newer: the basis has them now.
    Newer,
    /// Stock is refused that may lie in reservations that have lapsed: they are looked for before it is.
    UsedUp,
    /// The account has become part of another since, or another part of it: everything is to be looked for again.
    Gone,
}

/// Decides and commits once.
#[expect(clippy::too_many_arguments, reason = "the state of one attempt, and of those before")]
pub(super) async fn once(
    inner: &Inner,
    cause: &Cause<'_>,
    basis: &mut Basis,
    member: &MemberId,
    command: &Command,
    times: Times,
    resent: &mut u32,
    set_aside: &mut Claims,
) -> Result<Once, Error> {
    let settled = |settled| Ok(Once::Settled(Box::new(settled)));
    let visitor = touches::of(inner, cause.program, command).await?;
    let codes = codes::named(inner, cause.program, command, visitor.as_ref()).await?;
    let upline = signals::upline(inner, cause.program, command, basis.state(), &codes).await?;
    let signals = signals::sent(command);
    let recipient = recipients::named(inner, cause.program, command, basis.deed()).await?;
    let (member, salt) = (Some(member.clone()), salt_for(command)?);
    let snapshot =
        Snapshot { member, salt, recipient, visitor, upline, signals, ..basis.snapshot(cause.program, codes) };
    let mut decision = match with_claims(inner, cause, basis, snapshot, command, times, set_aside).await? {
        Step::Decided(decision) => decision,
        Step::Answered(before) => return settled(*before),
    };
    if set_aside.wants_a_look() {
        return Ok(Once::UsedUp);
    }
    if !decision.remember {
        // Something is missing. It may be there by now, and the request may have been answered before.
        if !basis.fresh {
            *basis = again(inner, cause, basis, command).await?;
            return Ok(Once::Newer);
        }
        return settled(Box::pin(not_remembered(inner, cause, basis, *decision)).await?);
    }
    let received = decision.received;
    let marks = set_aside.marks(inner, cause.program, &decision);
    let Some(mut commit) = to_commit(inner, cause, basis, &mut decision, marks)? else {
        return settled(Settled { received, ..Settled::answer(decision.answer, false) });
    };
    commit.deltas.extend(set_aside.deltas(&decision));
    let mut after = AfterCommit::of(decision);
    after.has_effects |= cause.request.is_some_and(|write| write.audit.is_some());
    let outcome = send(inner, &commit, resent).await;
    if outcome.is_err() {
        inner.records.forget(&basis.key);
    }
    match outcome? {
        Outcome::Applied => {
            inner.slices.took(&commit.deltas);
            settled(Settled { received, set_aside: std::mem::take(set_aside), ..applied(inner, basis, after, &commit) })
        }
        Outcome::Seen(seen) => {
            let Some(seen) = seen.into_iter().next() else {
                return Err(Error::Internal("a receipt was seen that is not there".to_owned()));
            };
            // After a resend, what is found may well be this very write: then the cache is behind it.
            inner.records.forget(&basis.key);
            if cause.request.is_none() || 0 < seen.index {
                // A claim was closed or used by somebody else: things stand differently now.
                Box::pin(set_aside.give_up(inner)).await?;
                *basis = again(inner, cause, basis, command).await?;
                return Ok(Once::Newer);
            }
            let answer = answer_of(cause, &seen.receipt, seen.same_content)?;
            settled(Settled::answer(answer, *resent == 0))
        }
        Outcome::Conflict(records) => {
            inner.meter.conflict();
            set_aside.drop_slices();
            debug!(key = %basis.key.name, "a commit met newer records, deciding again");
            Ok(if basis.refresh(inner, records)? { Once::Newer } else { Once::Gone })
        }
        Outcome::GuardFailed { key, left } => {
            // Others have taken from the slice since this instance heard of it.
            inner.slices.heard(key, left);
            set_aside.drop_slices();
            Ok(Once::Newer)
        }
    }
}

/// The records as they are stored now.
async fn again(inner: &Inner, cause: &Cause<'_>, basis: &Basis, command: &Command) -> Result<Basis, Error> {
    Ok(Box::pin(load(inner, cause.program, &basis.account_id, command)).await?.led_by(&basis.path))
}

/// The answer to a request that was answered while the member belonged to another account.
async fn answered_elsewhere(inner: &Inner, cause: &Cause<'_>, basis: &Basis) -> Result<Option<Settled>, Error> {
    let left = basis.state().into_iter().flat_map(|state| &state.homes).filter(|home| home.why == HomeWhy::Left);
    for account in basis.path.iter().chain(left.map(|home| &home.account)) {
        if let Some(settled) = Box::pin(answered(inner, cause, account)).await? {
            return Ok(Some(settled));
        }
    }
    Ok(None)
}

/// The answer that is kept under an account.
pub(super) async fn answered(inner: &Inner, cause: &Cause<'_>, account: &AccountId) -> Result<Option<Settled>, Error> {
    let Some(Write { request_id, fingerprint, .. }) = cause.request else { return Ok(None) };
    let key = inner.layout.receipt(cause.program, account, request_id);
    let Some(receipt) = inner.store.receipt(&key).await? else { return Ok(None) };
    let same = receipt.fingerprint == fingerprint.to_bytes();
    Ok(Some(Settled::answer(answer_of(cause, &receipt, same)?, true)))
}

pub(super) fn defect(error: DecideError) -> Error {
    error!(%error, "a decision could not be made");
    match error {
        DecideError::NoProgram => Error::ProgramUnknown,
        DecideError::Inconsistent(what) => Error::Store(store::Error::Corrupt { what: what.to_owned() }),
    }
}

/// Sends a commit; while its outcome is unknown, sends the very same again: receipts and tokens tell whether it had
/// been applied. Commands without a receipt are safe too: once applied, their tokens no longer match. While the data
/// is moving to another server it waits a little, and sends again what certainly was not applied.
pub(super) async fn send(inner: &Inner, commit: &Commit, resent: &mut u32) -> Result<Outcome, Error> {
    const RESENDS_MAX: u32 = 2;
    const MOVED_PAUSES_MS: [u64; 7] = [0, 2, 10, 25, 50, 100, 200];
    let mut pauses = MOVED_PAUSES_MS.into_iter();
    loop {
        match inner.store.commit(commit).await {
            Err(store::Error::Moved) if let Some(pause_ms) = pauses.next() => {
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            }
            Err(store::Error::OutcomeUnknown) if *resent < RESENDS_MAX => {
                *resent += 1;
                inner.meter.resent();
            }
            // What was sent before may have been applied: "nothing was done" would be a guess.
            Err(store::Error::Unavailable | store::Error::Moved) if 0 < *resent => {
                return Err(store::Error::OutcomeUnknown.into());
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// What of a decision is needed once the store has applied it. The rest goes before the store is waited for: while many calls
/// wait, what each of them holds decides whether it is still in the processor's cache when its answer comes.
struct AfterCommit {
    answer: Answer,
    /// Where it has changed.
    account: Option<Arc<AccountState>>,
    entries: usize,
    used: Vec<Used>,
    outgoing: Vec<Outgoing>,
    /// Whether there is something for the relay.
    has_effects: bool,
}

impl AfterCommit {
    fn of(decision: Box<Decision>) -> AfterCommit {
        let told = told(&decision);
        let Decision { answer, account, entries, transfers, mut outgoing, used, .. } = *decision;
        outgoing.extend(told);
        let has_effects = !transfers.is_empty() || !outgoing.is_empty();
        let account = account.filter(|_| !entries.is_empty());
        AfterCommit { answer, account, entries: entries.len(), used, outgoing, has_effects }
    }
}

fn applied(inner: &Inner, basis: &Basis, after: AfterCommit, commit: &Commit) -> Settled {
    let AfterCommit { answer, account, entries, used, outgoing, has_effects } = after;
    if let Some(state) = account {
        let written = commit.writes.iter().find(|write| write.key == basis.key);
        let bytes = written.and_then(|write| write.record.as_ref()).map_or(0, |record| record.body.len());
        let token = Token::new(state.sequence, &state.head);
        let record = MemberRecord::Account(state);
        inner.records.keep(basis.key.clone(), Seen { token, record, bytes });
    }
    if has_effects {
        // A lost hint costs time, not the effect: the relay's walk finds it.
        let _ = inner.relay_hint.try_send(basis.key.partition);
    }
    Settled { entries, used, outgoing, ..Settled::answer(answer, false) }
}

/// What has come back to quotas: each, and how much.
fn came_back(decision: &Decision) -> Vec<(&QuotaKey, i64)> {
    let of_stock = decision.stock_back.iter().map(|quota| (quota, 1));
    let outstanding = decision.outstanding.iter().filter(|change| 0 < change.back);
    let mut all: Vec<(&QuotaKey, i64)> = Vec::new();
    for (quota, back) in of_stock.chain(outstanding.map(|change| (&change.quota, change.back))) {
        match all.iter_mut().find(|(known, _)| *known == quota) {
            Some((_, sum)) => *sum = sum.saturating_add(back),
            None => all.push((quota, back)),
        }
    }
    all
}

/// What was used of quotas although it had not been set aside.
fn overdrawn(decision: &Decision) -> impl Iterator<Item = &OutstandingChange> + '_ {
    decision.outstanding.iter().filter(|change| change.back < 0)
}

/// Tells pools what lies beside the account for them, each once.
fn told(decision: &Decision) -> Vec<Outgoing> {
    let Some((state, last)) = decision.account.as_ref().zip(decision.entries.last()) else { return Vec::new() };
    let (account, effective_at) = (&state.account, last.effective_at);
    let back = came_back(decision).into_iter().map(|(quota, _)| {
        let at_once = decision.stock_back.contains(quota);
        Outgoing::StockBack(StockBack { account: account.clone(), quota: quota.clone(), at_once, effective_at })
    });
    let overdrawn = overdrawn(decision).map(|change| {
        let OutstandingChange { quota, capacity, since, back: _ } = change.clone();
        Outgoing::Overdrawn(Overdrawn { account: account.clone(), quota, capacity, since, effective_at })
    });
    back.chain(overdrawn).collect()
}

/// A missing predecessor: nothing is kept, unless the request was answered when it was still there.
async fn not_remembered(inner: &Inner, cause: &Cause<'_>, basis: &Basis, decision: Decision) -> Result<Settled, Error> {
    let before = answered(inner, cause, &basis.account_id).await?;
    Ok(before.unwrap_or_else(|| Settled::answer(decision.answer, false)))
}

pub(super) fn answer_of(cause: &Cause<'_>, receipt: &Receipt, same_content: bool) -> Result<Answer, Error> {
    let answer = Answer::from_receipt(&receipt.body).map_err(|e| undecoded("a receipt", e))?;
    if answer == Answer::Fenced {
        return Err(Error::RequestFenced);
    }
    if !same_content {
        let field = cause.request.map_or("", |write| write.fingerprint.first_difference(&receipt.fingerprint));
        return Err(Error::RequestIdReused { field: field.to_owned() });
    }
    Ok(answer)
}

/// The order that a command reads or writes.
fn order_of(command: &Command) -> Option<&OrderId> {
    match command {
        Command::Adjust(adjust) => adjust.order.as_ref(),
        Command::Reserve(reserve) => Some(&reserve.order.order_id),
        Command::Commit(commit) => Some(&commit.order.order_id),
        Command::Release(release) => Some(&release.order_id),
        Command::Return(what) => Some(&what.order_id),
        Command::Amend(amend) => Some(&amend.order_id),
        Command::Claim(claim) => Some(&claim.order_id),
        Command::OrderEvent(event) => Some(&event.order_id),
        Command::Enroll(_)
        | Command::Extend(_)
        | Command::Reinstate(_)
        | Command::CreateCode(_)
        | Command::Attribute(_)
        | Command::Receive(_)
        | Command::Advance
        | Command::UpdateMember(_)
        | Command::RecordEvent(_)
        | Command::ReviewEvent(_)
        | Command::RevokeEvent(_)
        | Command::SetTier(_)
        | Command::Relocate(_)
        | Command::Announce(_)
        | Command::Depart(_)
        | Command::Take(_)
        | Command::Erase
        | Command::Send(_)
        | Command::CreateAccount(_)
        | Command::SetRole(_)
        | Command::UpdateCode(_)
        | Command::SettleReferral(_)
        | Command::RedeemReward(_)
        | Command::FulfilVoucher(_)
        | Command::CancelVoucher(_)
        | Command::RecordTouch(_)
        | Command::ReviewReward(_)
        | Command::PreparePayout(_)
        | Command::ConfirmPayout(_)
        | Command::Catalogue(_) => None,
    }
}

/// What a command is about that has a record under a name of its own.
fn deed_of(command: &Command) -> Option<Deed<'_>> {
    if let Command::Adjust(adjust) = command {
        return adjust.order.as_ref().map(Deed::Recovery);
    }
    command.event().map(Deed::Event)
}

/// Names a [`DeedRecord`].
#[derive(Clone, Copy)]
pub(super) enum Deed<'a> {
    Event(&'a EventId),
    /// What makes up for an order.
    Recovery(&'a OrderId),
}

impl Deed<'_> {
    fn key(self, inner: &Inner, program: &ProgramId, account: &AccountId) -> Key {
        match self {
            Deed::Event(event) => inner.layout.event(program, account, event),
            Deed::Recovery(order) => inner.layout.recovery(program, account, order),
        }
    }
}

fn grant_of(command: &Command) -> Option<GrantId> {
    match command {
        Command::Receive(Transfer { grant, .. }) => Some(grant.clone()),
        Command::Take(parcel) => parcel.grant(),
        _ => None,
    }
}

/// Codes that a command names.
pub(super) fn codes_of(command: &Command) -> &[EnteredCode] {
    match command {
        Command::Enroll(enroll) => &enroll.codes,
        Command::Commit(commit) => &commit.codes,
        Command::Claim(Claim { guest: GuestOrder::Claimed(record), .. }) => &record.codes,
        Command::Attribute(attribute) => std::slice::from_ref(&attribute.code),
        Command::RecordTouch(record) => std::slice::from_ref(&record.code),
        _ => &[],
    }
}

/// Whether a command can be decided on a cached account while its order is taken to be absent: the commit proves
/// it, and a wrong guess costs what asking first would have cost.
fn can_guess(command: &Command) -> bool {
    // What was given for an order has a record of its own, which only a load shows.
    matches!(command, Command::Adjust(adjust) if adjust.order.is_none())
        || matches!(
            command,
            Command::Commit(_)
                | Command::Reserve(_)
                | Command::Release(_)
                | Command::Extend(_)
                | Command::Reinstate(_)
                | Command::Attribute(_)
                | Command::CreateCode(_)
                | Command::SetTier(_)
                | Command::RedeemReward(_)
                | Command::FulfilVoucher(_)
                | Command::CancelVoucher(_)
                | Command::PreparePayout(_)
                | Command::ConfirmPayout(_)
        )
}

/// The records to decide on: the cached account where a guess will do, else what the store holds.
/// `own_key` is that of the member's own account.
async fn begin(
    inner: &Inner,
    program: &ProgramId,
    member: &MemberId,
    own_key: &Key,
    command: &Command,
) -> Result<Basis, Error> {
    let own = AccountId::from(member);
    let (mut account, mut key) = (own.clone(), own_key.clone());
    if can_guess(command) {
        let mut path = Vec::new();
        for _ in 0..ALIASES_MAX {
            let seen = inner.records.member(&key);
            inner.meter.cache(seen.is_some());
            let Some(seen) = seen else { break };
            match &seen.record {
                MemberRecord::Alias(to) => {
                    path.push(account);
                    account = to.clone();
                    key = inner.layout.account(program, &account);
                }
                MemberRecord::Account(state) => {
                    if let Some(away) = &state.away {
                        path.push(account);
                        account = away.to.clone();
                        key = inner.layout.account(program, &account);
                        continue;
                    }
                    // Orders may lie under another account, and who was led here may have left: the store tells.
                    let elsewhere = !state.homes.is_empty() && order_of(command).is_some();
                    if elsewhere || !(path.is_empty() || state.is_home_of(&own)) {
                        break;
                    }
                    let home = Home::at(key.partition, program, &account);
                    let order = order_of(command).map(|order| (home.order(order), None));
                    let (account_id, account) = (account, Some((seen.token, Arc::clone(state))));
                    let (inbound, deed, fresh) = (None, None, false);
                    return Ok(Basis { account_id, key, account, order, inbound, deed, path, fresh });
                }
            }
        }
    }
    Box::pin(load(inner, program, &own, command)).await
}

/// Reads the records that a command needs.
pub(super) async fn load(
    inner: &Inner,
    program: &ProgramId,
    start: &AccountId,
    command: &Command,
) -> Result<Basis, Error> {
    let grant = grant_of(command);
    let stays = matches!(command, Command::Take(parcel) if parcel.is_homecoming());
    let wanted =
        Wanted { order: order_of(command), grant: grant.as_ref(), deed: deed_of(command), stays, known_will_do: false };
    find(inner, program, start, wanted).await
}

/// What is looked for besides the account.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    pub(super) order: Option<&'a OrderId>,
    pub(super) grant: Option<&'a GrantId>,
    pub(super) deed: Option<Deed<'a>>,
    /// Whether the account of that very name is meant, even while it is part of another.
    pub(super) stays: bool,
    /// Whether an account that was read before under the same token will do, for a token names what it came to. Not for
    /// whoever verifies what is stored.
    pub(super) known_will_do: bool,
}

/// Reads records, in one trip, following aliases; looks for what is not under the account under its homes.
pub(super) async fn find(
    inner: &Inner,
    program: &ProgramId,
    start: &AccountId,
    wanted: Wanted<'_>,
) -> Result<Basis, Error> {
    let mut account = start.clone();
    let mut path = Vec::new();
    for _ in 0..ALIASES_MAX {
        let home = inner.layout.home(program, &account);
        let key = home.account();
        let order_key = wanted.order.map(|order| home.order(order));
        let inbound_key = wanted.grant.map(|grant| inner.layout.inbound(program, &account, grant));
        let mut keys = vec![key.clone()];
        keys.extend(order_key.clone());
        keys.extend(inbound_key.clone());
        let deed_key = wanted.deed.map(|deed| deed.key(inner, program, &account));
        keys.extend(deed_key.clone());
        let mut records = inner.store.load(key.partition, &keys).await?.into_iter();
        let member = records.next().flatten();
        let order_record = order_key.as_ref().and_then(|_| records.next().flatten());
        let inbound_record = inbound_key.as_ref().and_then(|_| records.next().flatten());
        let deed_record = deed_key.as_ref().and_then(|_| records.next().flatten());
        let member = member.map(|record| {
            let known = if wanted.known_will_do { known_member(inner, &key, &record) } else { None };
            known.map_or_else(|| read_member(inner, &key, &record), Ok)
        });
        let state = match member.transpose()? {
            Some((_, MemberRecord::Alias(to))) => {
                path.push(std::mem::replace(&mut account, to));
                continue;
            }
            Some((token, MemberRecord::Account(state))) => match &state.away {
                Some(away) if !wanted.stays => {
                    path.push(std::mem::replace(&mut account, away.to.clone()));
                    continue;
                }
                _ => Some((token, state)),
            },
            None => None,
        };
        let homes = state.as_ref().map_or(&[][..], |(_, state)| &state.homes);
        if let (Some(order), Some((_, state))) = (wanted.order, &state)
            && let Some(left) = left_behind(inner, program, state, order).await?
        {
            // What was ordered as part of another account stays with that.
            path.push(std::mem::replace(&mut account, left));
            continue;
        }
        let mut order = order_key.map(|key| read_placed(&key, order_record).map(|found| (key, found))).transpose()?;
        let mut inbound =
            inbound_key.map(|key| read_placed(&key, inbound_record).map(|found| (key, found))).transpose()?;
        let mut deed = deed_key.map(|key| read_placed(&key, deed_record).map(|found| (key, found))).transpose()?;
        for home in homes.iter().filter(|home| home.why != HomeWhy::Left) {
            if let (Some((_, found @ None)), Some(id)) = (&mut order, wanted.order) {
                *found = at_home(inner, &inner.layout.order(program, &home.account, id)).await?;
            }
            if let (Some((_, found @ None)), Some(grant)) = (&mut inbound, wanted.grant) {
                *found = at_home(inner, &inner.layout.inbound(program, &home.account, grant)).await?;
            }
            if let (Some((_, found @ None)), Some(named)) = (&mut deed, wanted.deed) {
                *found = at_home(inner, &named.key(inner, program, &home.account)).await?;
            }
        }
        return Ok(Basis { account_id: account, key, account: state, order, inbound, deed, path, fresh: true });
    }
    Err(Error::Store(store::Error::Corrupt { what: format!("the aliases of `{start}` do not end") }))
}

/// The account that this one was part of when it placed the order, if that has it.
async fn left_behind(
    inner: &Inner,
    program: &ProgramId,
    state: &AccountState,
    order: &OrderId,
) -> Result<Option<AccountId>, Error> {
    for home in state.homes.iter().filter(|home| home.why == HomeWhy::Left) {
        let found: Found<OrderRecord> = at_home(inner, &inner.layout.order(program, &home.account, order)).await?;
        if found.is_some_and(|(_, record)| state.is_home_of(&AccountId::from(&record.member))) {
            return Ok(Some(home.account.clone()));
        }
    }
    Ok(None)
}

async fn at_home<T: Stored>(inner: &Inner, key: &Key) -> Result<Found<T>, Error> {
    let record = inner.store.load(key.partition, std::slice::from_ref(key)).await?.into_iter().next().flatten();
    Ok(read::<T>(key, record)?.map(|(_, value)| (None, value)))
}

fn read_placed<T: Stored>(key: &Key, record: Option<Record>) -> Result<Found<T>, Error> {
    Ok(read::<T>(key, record)?.map(|(token, value)| (Some(token), value)))
}

/// Decodes a record found under a member id, checks it against its token, and keeps it for the next call.
pub(super) fn read_member(inner: &Inner, key: &Key, record: &Record) -> Result<(Token, MemberRecord), Error> {
    let (seen, member) = checked_member(key, record)?;
    let token = seen.token;
    inner.records.offer(key.clone(), seen);
    Ok((token, member))
}

/// The account as it was read before, if what is stored is the same.
fn known_member(inner: &Inner, key: &Key, record: &Record) -> Option<(Token, MemberRecord)> {
    let Seen { token, record: member, bytes } = inner.records.member(key)?;
    let is_same = token == record.token && bytes == record.body.len();
    (is_same && matches!(member, MemberRecord::Account(_))).then_some((token, member))
}

fn checked_member(key: &Key, record: &Record) -> Result<(Seen, MemberRecord), Error> {
    let member = MemberRecord::from_stored(&record.body).map_err(|e| unreadable(key, e))?;
    if let MemberRecord::Account(state) = &member
        && record.token != Token::new(state.sequence, &state.head)
    {
        return Err(Error::Store(store::Error::Corrupt {
            what: format!("`{}` is not what its token names", key.name),
        }));
    }
    let seen = Seen { token: record.token, record: member.clone(), bytes: record.body.len() };
    Ok((seen, member))
}

fn unreadable(key: &Key, error: DecodeError) -> Error {
    undecoded(&format!("`{}`", key.name), error)
}

fn undecoded(what: &str, error: DecodeError) -> Error {
    Error::Store(match error {
        DecodeError::TooNew { found, known } => {
            store::Error::SchemaTooNew { found: u32::from(found), known: u32::from(known) }
        }
        DecodeError::Damaged => store::Error::Corrupt { what: format!("{what} cannot be read") },
    })
}

/// Decodes any other record.
pub(super) fn read<T: Stored>(key: &Key, record: Option<Record>) -> Result<Option<(Token, T)>, Error> {
    let Some(record) = record else { return Ok(None) };
    let value = T::from_stored(&record.body).map_err(|e| unreadable(key, e))?;
    Ok(Some((record.token, value)))
}

fn expected(token: Option<Token>) -> Expected {
    token.map_or(Expected::Absent, Expected::At)
}

impl Basis {
    /// Whether somebody is enrolled.
    pub(super) fn has_member(&self) -> bool {
        self.account.is_some()
    }

    /// Whether the order that the command names is recorded.
    pub(super) fn has_order(&self) -> bool {
        self.order.as_ref().is_some_and(|(_, found)| found.is_some())
    }

    pub(super) fn state(&self) -> Option<&AccountState> {
        self.account.as_ref().map(|(_, state)| &**state)
    }

    pub(super) fn inbound(&self) -> Option<&Inbound> {
        self.inbound.as_ref().and_then(|(_, found)| found.as_ref()).map(|(_, inbound)| inbound)
    }

    pub(super) fn deed(&self) -> Option<&DeedRecord> {
        self.deed.as_ref().and_then(|(_, found)| found.as_ref()).map(|(_, deed)| deed)
    }

    /// State and order, as found.
    pub(super) fn into_found(self) -> (AccountId, Option<Arc<AccountState>>, Option<Box<OrderRecord>>) {
        let order = self.order.and_then(|(_, found)| found).map(|(_, order)| order);
        (self.account_id, self.account.map(|(_, state)| state), order)
    }

    /// The same, reached by a way that was known before.
    fn led_by(mut self, path: &[AccountId]) -> Basis {
        let before = path.iter().filter(|account| !self.path.contains(account)).cloned();
        self.path = before.chain(self.path.iter().cloned()).collect();
        self
    }

    fn snapshot(
        &self,
        program: &ProgramId,
        codes: Vec<(crate::domain::id::Code, Option<crate::domain::referral::CodeOwner>)>,
    ) -> Snapshot {
        let of = |found: &Found<Box<OrderRecord>>| found.as_ref().map(|(_, order)| order.clone());
        Snapshot {
            program: program.clone(),
            account_id: Some(self.account_id.clone()),
            account: self.account.as_ref().map(|(_, state)| Arc::clone(state)),
            order: self.order.as_ref().and_then(|(_, found)| of(found)),
            codes,
            inbound: self.inbound.as_ref().and_then(|(_, found)| found.as_ref().map(|(_, inbound)| inbound.clone())),
            member: None,
            salt: Salt::default(),
            set_aside: Vec::new(),
            code_claim: None,
            visitor: None,
            upline: Vec::new(),
            signals: None,
            deed: self.deed().cloned(),
            recipient: None,
        }
    }

    /// What the decision was made on, in the order in which a conflict answers it.
    fn expectations(&self) -> Vec<(Key, Expected)> {
        fn place<T>(found: &Found<T>) -> Expected {
            expected(found.as_ref().and_then(|(place, _)| *place))
        }
        let mut expect = vec![(self.key.clone(), expected(self.account.as_ref().map(|(token, _)| *token)))];
        expect.extend(self.order.as_ref().map(|(key, found)| (key.clone(), place(found))));
        expect.extend(self.inbound.as_ref().map(|(key, found)| (key.clone(), place(found))));
        expect.extend(self.deed.as_ref().map(|(key, found)| (key.clone(), place(found))));
        expect
    }

    /// Takes the records that a conflict answered; false if records may lie elsewhere by now.
    fn refresh(&mut self, inner: &Inner, records: Vec<Option<Record>>) -> Result<bool, Error> {
        let was_away = self.state().is_some_and(|state| state.away.is_some());
        let homes = |state: Option<&AccountState>| -> Vec<(AccountId, u32)> {
            let homes = state.into_iter().flat_map(|state| &state.homes);
            homes.map(|home| (home.account.clone(), home.revision)).collect()
        };
        let homes_before = homes(self.state());
        let mut records = records.into_iter();
        self.account = match records.next().flatten() {
            Some(record) => {
                let (seen, member) = checked_member(&self.key, &record)?;
                let token = seen.token;
                inner.records.keep(self.key.clone(), seen);
                match member {
                    MemberRecord::Account(state) if was_away || state.away.is_none() => Some((token, state)),
                    MemberRecord::Account(_) | MemberRecord::Alias(_) => return Ok(false),
                }
            }
            None => {
                inner.records.forget(&self.key);
                None
            }
        };
        // What was found under a home is still there, unless somebody has carried it over.
        if let Some((key, found)) = &mut self.order {
            let newer = read_placed(key, records.next().flatten())?;
            *found = newer.or(found.take().filter(|(at, _)| at.is_none()));
        }
        if let Some((key, found)) = &mut self.inbound {
            let newer = read_placed(key, records.next().flatten())?;
            *found = newer.or(found.take().filter(|(at, _)| at.is_none()));
        }
        if let Some((key, found)) = &mut self.deed {
            let newer = read_placed(key, records.next().flatten())?;
            *found = newer.or(found.take().filter(|(at, _)| at.is_none()));
        }
        // Homes that have come since may hold what was not found.
        self.fresh = true;
        Ok(homes_before == homes(self.state()))
    }
}

/// Turns a decision into plain data for the store, for which it gives away what it has in stored form. `None`: there is
/// nothing to keep.
fn to_commit(
    inner: &Inner,
    cause: &Cause<'_>,
    basis: &Basis,
    decision: &mut Decision,
    marks: Vec<NewReceipt>,
) -> Result<Option<Commit>, Error> {
    let (program, layout) = (cause.program, inner.layout);
    let account_id = &basis.account_id;
    let home = Home::at(basis.key.partition, program, account_id);
    let mut commit = Commit { partition: basis.key.partition, expect: basis.expectations(), ..Commit::default() };
    if let Some(write @ Write { request_id, fingerprint, .. }) = cause.request {
        commit.feed.extend(audit::of(inner, write, account_id, decision));
        commit.receipts.push(NewReceipt {
            key: home.receipt(request_id),
            receipt: Receipt { fingerprint: fingerprint.to_bytes(), body: decision.answer.to_receipt() },
            keep_s: inner.options.receipt_keep_s,
        });
    }
    // After the request's own.
    commit.receipts.extend(marks);
    let (entries_stored, order_stored) = (std::mem::take(&mut decision.stored), decision.order_stored.take());
    let decision = &*decision;
    if let (Some(state), Some(first)) = (&decision.account, decision.entries.first()) {
        let token = Token::new(state.sequence, &state.head);
        let mut put =
            |key: Key, body: Vec<u8>| commit.writes.push(RecordWrite { key, record: Some(Record { token, body }) });
        let body = MemberRecord::Account(Arc::clone(state)).to_stored();
        if RECORD_BYTES_MAX < body.len() {
            return Err(Error::LimitReached { limit: "account_record_bytes" });
        }
        put(basis.key.clone(), body);
        if let (Some(record), Some((key, _))) = (&decision.order, &basis.order) {
            let body = order_stored.unwrap_or_else(|| record.to_stored());
            if ORDER_BYTES_MAX < body.len() {
                return Err(Error::LimitReached { limit: "order_record_bytes" });
            }
            put(key.clone(), body);
        }
        if let Some((grant, inbound)) = &decision.inbound {
            put(layout.inbound(program, account_id, grant), encode(inbound));
        }
        if let (Some(deed), Some((key, _))) = (&decision.deed, &basis.deed) {
            put(key.clone(), encode(deed));
        }
        if let Some((sequence, note)) = &decision.note {
            put(layout.note(program, account_id, *sequence), encode(note));
        }
        if let (Some(trace), Some(record)) = (&decision.trace, &decision.order) {
            let body = encode(trace);
            // One that is too long to keep is worked out again when somebody asks.
            if body.len() <= TRACE_BYTES_MAX {
                put(layout.trace(program, account_id, &record.order_id), body);
            }
        }
        commit.appends.push(Append { log: home.log(), first_sequence: first.sequence, entries: entries_stored });
        let partition = basis.key.partition;
        let back = came_back(decision).into_iter();
        commit.deltas.extend(back.map(|(quota, amount)| slices::back(inner, quota, amount, partition)));
        commit.deltas.extend(overdrawn(decision).map(|change| slices::over(inner, change, partition)));
        commit.feed.extend(notices::of(program, account_id, &decision.entries));
        commit.feed.extend(reviews::of(program, state, &decision.entries));
        commit.feed.extend(accruals::of(program, &decision.entries));
        let order = basis.order.as_ref().and_then(|(_, found)| found.as_ref()).map(|(_, order)| &**order);
        let orders = Orders { before: order, after: decision.order.as_deref() };
        commit.feed.extend(stats::of(program, cause.timeline, (basis.state(), state), &decision.entries, orders));
        commit.feed.extend(trees::of(program, basis.state(), state));
        commit.feed.extend(boards::of(program, cause.timeline, basis.state(), state));
        let waking = occasions::Waking::of(&state.account);
        let due_of = |state: &AccountState| occasions::next_due_of(cause.timeline, state, state.posted_at, waking);
        let (due, before) = (due_of(state), basis.state().and_then(due_of));
        if due != before {
            let subject = format!("{program}|{account_id}").into();
            commit.due.push(Due { subject, at_ms: due.map(|at| at.0) });
        }
    } else if let (Some((grant, inbound)), Some(_)) = (&decision.inbound, &decision.account) {
        // An effect that changes nothing still has its revision kept.
        let token = basis.account.as_ref().map(|(token, _)| *token).unwrap_or_default();
        let record = Some(Record { token, body: encode(inbound) });
        commit.writes.push(RecordWrite { key: layout.inbound(program, account_id, grant), record });
    }
    let transfers = decision.transfers.iter().cloned().map(Outgoing::Transfer);
    let effects = transfers.chain(decision.outgoing.iter().cloned()).chain(told(decision));
    commit.feed.extend(effects.map(|effect| encode(&(program, effect))));
    let nothing = commit.receipts.is_empty() && commit.writes.is_empty();
    Ok((!nothing).then_some(commit))
}

/// What became of a request id; with `fence`, burns it if nothing did.
pub(super) async fn outcome(
    inner: &Arc<Inner>,
    program: &ProgramId,
    member: &MemberId,
    request: &RequestId,
    fence: bool,
) -> Result<Known, Error> {
    inner.timeline(program)?;
    let basis = load(inner, program, &AccountId::from(member), &Command::Advance).await?;
    let key = inner.layout.receipt(program, &basis.account_id, request);
    let known = |receipt: &Receipt| -> Result<Known, Error> {
        let answer = Answer::from_receipt(&receipt.body).map_err(|e| unreadable(&key, e))?;
        Ok(if answer == Answer::Fenced { Known::Fenced } else { Known::Answered(answer) })
    };
    // It may have been answered while the member belonged to another account.
    let left = basis.state().into_iter().flat_map(|state| &state.homes).filter(|home| home.why == HomeWhy::Left);
    let elsewhere = basis.path.iter().chain(left.map(|home| &home.account));
    let elsewhere = elsewhere.map(|account| inner.layout.receipt(program, account, request));
    for key in std::iter::once(key.clone()).chain(elsewhere) {
        if let Some(receipt) = inner.store.receipt(&key).await? {
            return known(&receipt);
        }
    }
    if !fence {
        return Ok(Known::NotApplied);
    }
    let body = Answer::Fenced.to_receipt();
    let receipt = Receipt { fingerprint: Vec::new(), body };
    let keep_s = inner.options.receipt_keep_s;
    let commit = Commit {
        partition: key.partition,
        receipts: vec![NewReceipt { key: key.clone(), receipt, keep_s }],
        ..Commit::default()
    };
    match send(inner, &commit, &mut 0).await? {
        Outcome::Applied => Ok(Known::Fenced),
        Outcome::Seen(seen) => match seen.first() {
            Some(seen) => known(&seen.receipt),
            None => Err(Error::Internal("a receipt was seen that is not there".to_owned())),
        },
        Outcome::Conflict(_) | Outcome::GuardFailed { .. } => {
            Err(Error::Internal("a fence met a condition that it did not state".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a future that is never made.
    fn bytes_of<F>(_: impl FnOnce(&'static Arc<Inner>, &'static Write) -> F) -> usize {
        size_of::<F>()
    }

    /// It was 170 KB once, for all that is seldom asked for: moving it cost more than the decision.
    #[test]
    fn the_task_of_a_write_is_small() {
        const BYTES_MAX: usize = 6 * 1024;
        let bytes = bytes_of(execute);
        assert!(bytes <= BYTES_MAX, "{bytes}");
    }
}
