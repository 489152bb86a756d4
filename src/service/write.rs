//! A write: load, decide, commit, and again when others were faster; exactly once per request id.

use std::sync::Arc;

use tracing::{Instrument, debug, error};

use super::cache::Seen;
use super::quotas::{self, Claims};
use super::{Answered, Error, Inner, Known, Write, claims, codes, notices};
use crate::domain::account::{AccountState, Inbound, MemberRecord, Salt};
use crate::domain::answer::Answer;
use crate::domain::command::{Claim, Command, EnteredCode, GuestOrder, Transfer};
use crate::domain::decide::{DecideError, Decision, Snapshot, decide};
use crate::domain::event_record::DeedRecord;
use crate::domain::id::{AccountId, GrantId, MemberId, OrderId, ProgramId, RequestId};
use crate::domain::ledger::{decode, encode};
use crate::domain::occasions;
use crate::domain::order_record::OrderRecord;
use crate::domain::program::Timeline;
use crate::domain::quota::Used;
use crate::domain::time::Times;
use crate::store::{
    self, Append, Commit, Due, Expected, Key, NewReceipt, Outcome, Receipt, Record, Token, Write as RecordWrite,
};

/// Members point to an account at most so many times: to a household, and from a merged one to what it became.
const ALIASES_MAX: usize = 4;

/// Largest record of an account; far above what one takes in practice.
const RECORD_BYTES_MAX: usize = 512 * 1024;
/// Largest record of an order: holds the largest request, what was decided for each of its lines, and its returns.
const ORDER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Largest trace that is kept beside an order.
const TRACE_BYTES_MAX: usize = 64 * 1024;

/// Runs a write detached from its caller: the caller may leave, the write may not be cut in half.
pub(super) async fn write(inner: &Arc<Inner>, write: Write) -> Result<Answered, Error> {
    let permit = Arc::clone(&inner.writes).try_acquire_owned().map_err(|error| match error {
        tokio::sync::TryAcquireError::Closed => Error::Draining,
        tokio::sync::TryAcquireError::NoPermits => Error::Overloaded,
    })?;
    let task = {
        let inner = Arc::clone(inner);
        async move {
            let answered = execute(&inner, &write).await;
            drop(permit);
            answered
        }
    };
    let joined = inner.tracker.spawn(task.in_current_span()).await;
    joined.unwrap_or_else(|panic| {
        error!(%panic, "a write panicked");
        Err(Error::Internal("a write panicked".to_owned()))
    })
}

async fn execute(inner: &Arc<Inner>, write: &Write) -> Result<Answered, Error> {
    let timeline = inner.timeline(&write.program)?;
    let cause =
        Cause { program: &write.program, timeline: &timeline, request: Some((&write.request_id, &write.fingerprint)) };
    let times = || inner.times(write.occurred_at);
    let done = match &write.command {
        Command::Claim(claim) => claims::claim(inner, &cause, write, claim).await?,
        command => settle(inner, &cause, &write.member, command, &times).await?,
    };
    done.set_aside.close(inner, &done.used);
    Ok(Answered { answer: done.answer, replayed: done.replayed })
}

/// Why a command is settled, and under what name.
pub(super) struct Cause<'a> {
    pub(super) program: &'a ProgramId,
    pub(super) timeline: &'a Timeline,
    /// `None`: the relay or the sweeper, whose commands are idempotent by themselves.
    pub(super) request: Option<(&'a RequestId, &'a super::Fingerprint)>,
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
}

impl Settled {
    fn answer(answer: Answer, replayed: bool) -> Settled {
        Settled { answer, replayed, entries: 0, received: false, set_aside: Claims::default(), used: Vec::new() }
    }
}

/// The records that a decision is made on.
pub(super) struct Basis {
    account_id: AccountId,
    key: Key,
    account: Option<(Token, AccountState)>,
    order: Option<(Key, Option<(Token, OrderRecord)>)>,
    inbound: Option<(Key, Option<(Token, Inbound)>)>,
    /// What is kept under the name of the event that the command is about.
    deed: Option<(Key, Option<(Token, DeedRecord)>)>,
    /// Whether all of it was just read from the store.
    fresh: bool,
}

/// Random bytes for a profile that a command may change.
fn salt_for(command: &Command) -> Result<Salt, Error> {
    let mut salt = Salt::default();
    if matches!(command, Command::Enroll(_) | Command::UpdateMember(_) | Command::RecordEvent(_)) {
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
    let _turn = inner.queues.turn(&queue_key).await.ok_or(Error::Overloaded)?;
    let mut basis = begin(inner, cause.program, member, command).await?;
    if member.is_guest() && basis.account_id != AccountId::from(member) {
        basis = of_claimed(inner, cause, &basis.account_id, command).await?;
    }
    // The account may be another than the member's own: then its queue is waited for too, always in this order.
    let _account_turn =
        if basis.key == queue_key { None } else { Some(inner.queues.turn(&basis.key).await.ok_or(Error::Overloaded)?) };
    let mut resent = 0;
    let mut set_aside = Claims::default();
    for _ in 0..inner.options.attempts_max.max(1) {
        let times = times();
        let codes = codes::resolve(inner, cause, &basis.account_id, basis.state(), command, times).await?;
        let snapshot =
            Snapshot { member: Some(member.clone()), salt: salt_for(command)?, ..basis.snapshot(cause.program, codes) };
        let decision = match with_claims(inner, cause, &basis, snapshot, command, times, &mut set_aside).await? {
            Step::Decided(decision) => *decision,
            Step::Answered(settled) => return Ok(*settled),
        };
        if !decision.remember {
            // Something is missing. It may be there by now, and the request may have been answered before.
            if !basis.fresh {
                basis = load(inner, cause.program, &basis.account_id, command).await?;
                continue;
            }
            return not_remembered(inner, cause, &basis, decision).await;
        }
        let received = basis.receives(command, &decision);
        let marks = set_aside.marks(inner, cause.program, &decision);
        let Some(commit) = to_commit(inner, cause, &basis, &decision, marks)? else {
            return Ok(Settled { received, ..Settled::answer(decision.answer, false) });
        };
        let outcome = send(inner, &commit, &mut resent).await;
        if outcome.is_err() {
            inner.records.forget(&basis.key);
        }
        match outcome? {
            Outcome::Applied => {
                let used = decision.used.clone();
                return Ok(Settled { received, set_aside, used, ..applied(inner, &basis, decision, &commit) });
            }
            Outcome::Seen(seen) => {
                let Some(seen) = seen.into_iter().next() else {
                    return Err(Error::Internal("a receipt was seen that is not there".to_owned()));
                };
                // After a resend, what is found may well be this very write: then the cache is behind it.
                inner.records.forget(&basis.key);
                if cause.request.is_none() || 0 < seen.index {
                    // A claim was closed or used by somebody else: things stand differently now.
                    set_aside.give_up(inner).await?;
                    basis = load(inner, cause.program, &basis.account_id, command).await?;
                    continue;
                }
                let answer = answer_of(cause, &seen.receipt, seen.same_content)?;
                return Ok(Settled::answer(answer, resent == 0));
            }
            Outcome::Conflict(records) => {
                inner.meter.conflict();
                debug!(key = %basis.key.name, "a commit met newer records, deciding again");
                basis.refresh(inner, records)?;
            }
            Outcome::GuardFailed { key, .. } => {
                return Err(Error::Internal(format!("an unexpected guard failed: {}", key.name)));
            }
        }
    }
    inner.records.forget(&basis.key);
    Err(Error::Contention)
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
    let request = cause.request.map(|(id, _)| id);
    for _ in 0..quotas::ROUNDS_MAX {
        snapshot.set_aside = set_aside.granted();
        let decision = decide(cause.timeline, &snapshot, command, times, request, false).map_err(defect)?;
        if decision.wants.is_empty() {
            return Ok(Step::Decided(Box::new(decision)));
        }
        // A resend would claim in vain.
        if set_aside.is_empty()
            && let Some(settled) = answered_before(inner, cause, basis).await?
        {
            return Ok(Step::Answered(Box::new(settled)));
        }
        quotas::claim(inner, &basis.account_id, &decision.wants, times.now, set_aside).await?;
    }
    Err(Error::Internal("a decision does not come to an end of what it wants".to_owned()))
}

fn defect(error: DecideError) -> Error {
    error!(%error, "a decision could not be made");
    match error {
        DecideError::NoProgram => Error::ProgramUnknown,
        DecideError::Inconsistent(what) => Error::Store(store::Error::Corrupt { what: what.to_owned() }),
    }
}

/// Sends a commit; while its outcome is unknown, sends the very same again: receipts and tokens tell whether it had
/// been applied. Commands without a receipt are safe too: once applied, their tokens no longer match.
pub(super) async fn send(inner: &Inner, commit: &Commit, resent: &mut u32) -> Result<Outcome, Error> {
    const RESENDS_MAX: u32 = 2;
    loop {
        match inner.store.commit(commit).await {
            Err(store::Error::OutcomeUnknown) if *resent < RESENDS_MAX => {
                *resent += 1;
                inner.meter.resent();
            }
            // What was sent before may have been applied: "nothing was done" would be a guess.
            Err(store::Error::Unavailable) if 0 < *resent => return Err(store::Error::OutcomeUnknown.into()),
            outcome => return Ok(outcome?),
        }
    }
}

fn applied(inner: &Inner, basis: &Basis, decision: Decision, commit: &Commit) -> Settled {
    let Decision { answer, account, entries, transfers, .. } = decision;
    if let (Some(state), false) = (account, entries.is_empty()) {
        let written = commit.writes.iter().find(|write| write.key == basis.key);
        let bytes = written.and_then(|write| write.record.as_ref()).map_or(0, |record| record.body.len());
        let token = Token::new(state.sequence, &state.head);
        let record = Arc::new(MemberRecord::Account(Box::new(state)));
        inner.records.keep(basis.key.clone(), Seen { token, record, bytes });
    }
    if !transfers.is_empty() {
        // A lost hint costs time, not the effect: the relay's walk finds it.
        let _ = inner.relay_hint.try_send(basis.key.partition);
    }
    Settled { entries: entries.len(), ..Settled::answer(answer, false) }
}

/// A missing predecessor: nothing is kept, unless the request was answered when it was still there.
async fn not_remembered(inner: &Inner, cause: &Cause<'_>, basis: &Basis, decision: Decision) -> Result<Settled, Error> {
    let before = answered_before(inner, cause, basis).await?;
    Ok(before.unwrap_or_else(|| Settled::answer(decision.answer, false)))
}

/// The answer that the request was given before.
async fn answered_before(inner: &Inner, cause: &Cause<'_>, basis: &Basis) -> Result<Option<Settled>, Error> {
    let Some((request, fingerprint)) = cause.request else { return Ok(None) };
    let key = inner.layout.receipt(cause.program, &basis.account_id, request);
    let Some(receipt) = inner.store.receipt(&key).await? else { return Ok(None) };
    let same = receipt.fingerprint == fingerprint.to_bytes();
    Ok(Some(Settled::answer(answer_of(cause, &receipt, same)?, true)))
}

fn answer_of(cause: &Cause<'_>, receipt: &Receipt, same_content: bool) -> Result<Answer, Error> {
    let answer: Answer =
        decode(&receipt.body).map_err(|e| Error::Store(store::Error::Corrupt { what: format!("a receipt {e}") }))?;
    if answer == Answer::Fenced {
        return Err(Error::RequestFenced);
    }
    if !same_content {
        let field = cause.request.map_or("", |(_, sent)| sent.first_difference(&receipt.fingerprint));
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
        | Command::SetTier(_) => None,
    }
}

/// What a command is about that has a record under a name of its own.
fn deed_of(inner: &Inner, program: &ProgramId, account: &AccountId, command: &Command) -> Option<Key> {
    if let Command::Adjust(adjust) = command {
        return adjust.order.as_ref().map(|order| inner.layout.recovery(program, account, order));
    }
    command.event().map(|event| inner.layout.event(program, account, event))
}

fn grant_of(command: &Command) -> Option<&GrantId> {
    match command {
        Command::Receive(Transfer { grant, .. }) => Some(grant),
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
        )
}

/// The records to decide on: the cached account where a guess will do, else what the store holds.
async fn begin(inner: &Inner, program: &ProgramId, member: &MemberId, command: &Command) -> Result<Basis, Error> {
    let mut account = AccountId::from(member);
    if can_guess(command) {
        for _ in 0..ALIASES_MAX {
            let key = inner.layout.account(program, &account);
            let seen = inner.records.member(&key);
            inner.meter.cache(seen.is_some());
            let Some(seen) = seen else { break };
            match &*seen.record {
                MemberRecord::Alias(to) => account = to.clone(),
                MemberRecord::Account(state) => {
                    let order = order_of(command).map(|order| (inner.layout.order(program, &account, order), None));
                    let state = (**state).clone();
                    return Ok(Basis {
                        account_id: account,
                        key,
                        account: Some((seen.token, state)),
                        order,
                        inbound: None,
                        deed: None,
                        fresh: false,
                    });
                }
            }
        }
    }
    load(inner, program, &account, command).await
}

/// Reads the records that a command needs, in one trip, following aliases.
pub(super) async fn load(
    inner: &Inner,
    program: &ProgramId,
    start: &AccountId,
    command: &Command,
) -> Result<Basis, Error> {
    let mut account = start.clone();
    for _ in 0..ALIASES_MAX {
        let key = inner.layout.account(program, &account);
        let order_key = order_of(command).map(|order| inner.layout.order(program, &account, order));
        let inbound_key = grant_of(command).map(|grant| inner.layout.inbound(program, &account, grant));
        let mut keys = vec![key.clone()];
        keys.extend(order_key.clone());
        keys.extend(inbound_key.clone());
        let deed_key = deed_of(inner, program, &account, command);
        keys.extend(deed_key.clone());
        let mut records = inner.store.load(key.partition, &keys).await?.into_iter();
        let member = records.next().flatten();
        let order_record = order_key.as_ref().and_then(|_| records.next().flatten());
        let inbound_record = inbound_key.as_ref().and_then(|_| records.next().flatten());
        let deed_record = deed_key.as_ref().and_then(|_| records.next().flatten());
        let member = member.map(|record| read_member(inner, &key, &record)).transpose()?;
        let state = match member {
            Some((_, MemberRecord::Alias(to))) => {
                account = to;
                continue;
            }
            Some((token, MemberRecord::Account(state))) => Some((token, *state)),
            None => None,
        };
        let order = order_key.map(|key| read(&key, order_record).map(|found| (key, found))).transpose()?;
        let inbound = inbound_key.map(|key| read(&key, inbound_record).map(|found| (key, found))).transpose()?;
        let deed = deed_key.map(|key| read(&key, deed_record).map(|found| (key, found))).transpose()?;
        return Ok(Basis { account_id: account, key, account: state, order, inbound, deed, fresh: true });
    }
    Err(Error::Store(store::Error::Corrupt { what: format!("the aliases of `{start}` do not end") }))
}

/// Decodes a record found under a member id, checks it against its token, and keeps it for the next call.
pub(super) fn read_member(inner: &Inner, key: &Key, record: &Record) -> Result<(Token, MemberRecord), Error> {
    let (seen, member) = checked_member(key, record)?;
    let token = seen.token;
    inner.records.offer(key.clone(), seen);
    Ok((token, member))
}

fn checked_member(key: &Key, record: &Record) -> Result<(Seen, MemberRecord), Error> {
    let member: MemberRecord = decode(&record.body).map_err(|e| unreadable(key, e))?;
    if let MemberRecord::Account(state) = &member
        && record.token != Token::new(state.sequence, &state.head)
    {
        return Err(Error::Store(store::Error::Corrupt {
            what: format!("`{}` is not what its token names", key.name),
        }));
    }
    let seen = Seen { token: record.token, record: Arc::new(member.clone()), bytes: record.body.len() };
    Ok((seen, member))
}

fn unreadable(key: &Key, error: crate::domain::ledger::DecodeError) -> Error {
    Error::Store(match error {
        crate::domain::ledger::DecodeError::TooNew { found, known } => {
            store::Error::SchemaTooNew { found: u32::from(found), known: u32::from(known) }
        }
        crate::domain::ledger::DecodeError::Damaged => {
            store::Error::Corrupt { what: format!("`{}` cannot be read", key.name) }
        }
    })
}

/// Decodes any other record.
pub(super) fn read<T: serde::de::DeserializeOwned>(
    key: &Key,
    record: Option<Record>,
) -> Result<Option<(Token, T)>, Error> {
    let Some(record) = record else { return Ok(None) };
    let value = decode::<T>(&record.body).map_err(|e| unreadable(key, e))?;
    Ok(Some((record.token, value)))
}

fn expected<T>(found: Option<&(Token, T)>) -> Expected {
    found.map_or(Expected::Absent, |(token, _)| Expected::At(*token))
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

    fn state(&self) -> Option<&AccountState> {
        self.account.as_ref().map(|(_, state)| state)
    }

    fn snapshot(
        &self,
        program: &ProgramId,
        codes: Vec<(crate::domain::id::Code, Option<crate::domain::decide::CodeOwner>)>,
    ) -> Snapshot {
        let of = |found: &Option<(Token, OrderRecord)>| found.as_ref().map(|(_, order)| order.clone());
        Snapshot {
            program: program.clone(),
            account_id: Some(self.account_id.clone()),
            account: self.state().cloned(),
            order: self.order.as_ref().and_then(|(_, found)| of(found)),
            codes,
            inbound: self.inbound.as_ref().and_then(|(_, found)| found.as_ref().map(|(_, inbound)| inbound.clone())),
            member: None,
            salt: Salt::default(),
            set_aside: Vec::new(),
            deed: self.deed.as_ref().and_then(|(_, found)| found.as_ref().map(|(_, deed)| deed.clone())),
        }
    }

    /// Whether an effect is part of the account after the decision. One that was refused is not: taken off the feed
    /// it would be lost.
    fn receives(&self, command: &Command, decision: &Decision) -> bool {
        let Command::Receive(transfer) = command else { return false };
        let known = self.inbound.as_ref().and_then(|(_, found)| found.as_ref());
        decision.inbound.is_some() || known.is_some_and(|(_, known)| transfer.revision <= known.revision)
    }

    /// What the decision was made on, in the order in which a conflict answers it.
    fn expectations(&self) -> Vec<(Key, Expected)> {
        let mut expect = vec![(self.key.clone(), expected(self.account.as_ref()))];
        expect.extend(self.order.as_ref().map(|(key, found)| (key.clone(), expected(found.as_ref()))));
        expect.extend(self.inbound.as_ref().map(|(key, found)| (key.clone(), expected(found.as_ref()))));
        expect.extend(self.deed.as_ref().map(|(key, found)| (key.clone(), expected(found.as_ref()))));
        expect
    }

    /// Takes the records that a conflict answered.
    fn refresh(&mut self, inner: &Inner, records: Vec<Option<Record>>) -> Result<(), Error> {
        let mut records = records.into_iter();
        self.account = match records.next().flatten() {
            Some(record) => {
                let (seen, member) = checked_member(&self.key, &record)?;
                let token = seen.token;
                inner.records.keep(self.key.clone(), seen);
                match member {
                    MemberRecord::Account(state) => Some((token, *state)),
                    // The account has become part of another since: whoever resends finds it there.
                    MemberRecord::Alias(_) => return Err(Error::Contention),
                }
            }
            None => {
                inner.records.forget(&self.key);
                None
            }
        };
        if let Some((key, found)) = &mut self.order {
            *found = read(key, records.next().flatten())?;
        }
        if let Some((key, found)) = &mut self.inbound {
            *found = read(key, records.next().flatten())?;
        }
        if let Some((key, found)) = &mut self.deed {
            *found = read(key, records.next().flatten())?;
        }
        self.fresh = true;
        Ok(())
    }
}

/// Turns a decision into plain data for the store. `None`: there is nothing to keep.
fn to_commit(
    inner: &Inner,
    cause: &Cause<'_>,
    basis: &Basis,
    decision: &Decision,
    marks: Vec<NewReceipt>,
) -> Result<Option<Commit>, Error> {
    let (program, layout) = (cause.program, inner.layout);
    let account_id = &basis.account_id;
    let mut commit = Commit { partition: basis.key.partition, expect: basis.expectations(), ..Commit::default() };
    if let Some((request, fingerprint)) = cause.request {
        commit.receipts.push(NewReceipt {
            key: layout.receipt(program, account_id, request),
            receipt: Receipt { fingerprint: fingerprint.to_bytes(), body: encode(&decision.answer) },
            keep_s: inner.options.receipt_keep_s,
        });
    }
    // After the request's own.
    commit.receipts.extend(marks);
    if let (Some(state), Some(first)) = (&decision.account, decision.entries.first()) {
        let token = Token::new(state.sequence, &state.head);
        let mut put =
            |key: Key, body: Vec<u8>| commit.writes.push(RecordWrite { key, record: Some(Record { token, body }) });
        let member = MemberRecord::Account(Box::new(state.clone()));
        let body = encode(&member);
        if RECORD_BYTES_MAX < body.len() {
            return Err(Error::LimitReached { limit: "account_record_bytes" });
        }
        put(basis.key.clone(), body);
        if let (Some(record), Some((key, _))) = (&decision.order, &basis.order) {
            let body = encode(record);
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
        commit.appends.push(Append {
            log: layout.log(program, account_id),
            first_sequence: first.sequence,
            entries: decision.entries.iter().map(encode).collect(),
        });
        commit.feed = decision.transfers.iter().map(|transfer| encode(&(program, transfer))).collect();
        commit.feed.extend(notices::of(program, account_id, &decision.entries));
        let due = occasions::next_due(cause.timeline, state, state.posted_at);
        let before = basis.state().and_then(|state| occasions::next_due(cause.timeline, state, state.posted_at));
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
        let answer: Answer = decode(&receipt.body).map_err(|e| unreadable(&key, e))?;
        Ok(if answer == Answer::Fenced { Known::Fenced } else { Known::Answered(answer) })
    };
    if let Some(receipt) = inner.store.receipt(&key).await? {
        return known(&receipt);
    }
    if !fence {
        return Ok(Known::NotApplied);
    }
    let body = encode(&Answer::Fenced);
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
