//! Touches: recorded with their visitor, read when the visitor turns out to be somebody, forgotten when they count no
//! more; and why somebody was attributed, read from their ledger.
//!
//! A visitor's record is no account: it has no ledger, and goes when nothing in it counts. It lies in a partition of the
//! visitor's own, so that nothing is written in one place for a code that is clicked everywhere.

use super::read::{read_entry, stored};
use super::write::{Cause, Settled, answer_of, defect, read, send};
use super::{Error, Inner, Write, codes, stats};
use crate::domain::account::{AccountState, HomeWhy, MemberRecord, Salt};
use crate::domain::answer::{Answer, WeighingView};
use crate::domain::command::{Claim, Command, Enroll, GuestOrder, RecordTouch};
use crate::domain::decide::{Snapshot, decide};
use crate::domain::id::{AccountId, MemberId, ProgramId, VisitorId};
use crate::domain::ledger::{Fact, digest, encode};
use crate::domain::referral::Referral;
use crate::domain::referral::touch::VisitorState;
use crate::domain::time::Instant;
use crate::store::{
    Commit, Due, DueItem, Expected, Key, NewReceipt, Outcome, Receipt, Record, Token, Write as RecordWrite,
};

/// Under whose name a visitor's record lies.
fn account(visitor: &VisitorId) -> AccountId {
    AccountId::from(&MemberId::visitor(visitor))
}

async fn load(inner: &Inner, key: &Key) -> Result<Option<(Token, VisitorState)>, Error> {
    let record = inner.store.load(key.partition, std::slice::from_ref(key)).await?.into_iter().next().flatten();
    read::<VisitorState>(key, record)
}

/// What is kept of the visitor whom a command names. With a guest's order lies what was kept of the guest.
pub(super) async fn of(inner: &Inner, program: &ProgramId, command: &Command) -> Result<Option<VisitorState>, Error> {
    let visitor = match command {
        Command::Enroll(Enroll { visitor, .. }) => visitor.as_ref(),
        Command::Commit(commit) => commit.visitor.as_ref(),
        Command::Claim(Claim { guest: GuestOrder::Claimed(record), .. }) => {
            let touches = record.touches.clone();
            return Ok((!touches.is_empty()).then(|| VisitorState { touches, ..VisitorState::default() }));
        }
        _ => None,
    };
    let Some(visitor) = visitor else { return Ok(None) };
    let key = inner.layout.visitor(program, &account(visitor));
    let found = Box::pin(load(inner, &key)).await?;
    Ok(Some(found.map(|(_, state)| state).unwrap_or_default()))
}

/// Records a touch, once for each request id.
pub(super) async fn record(
    inner: &Inner,
    cause: &Cause<'_>,
    write: &Write,
    touch: &RecordTouch,
) -> Result<Settled, Error> {
    let account = account(&touch.visitor);
    let key = inner.layout.visitor(cause.program, &account);
    let mut resent = 0;
    for _ in 0..inner.options.attempts_max.max(1) {
        let found = load(inner, &key).await?;
        let (token, visitor) = found.map_or((None, VisitorState::default()), |(token, state)| (Some(token), state));
        let codes = codes::named(inner, cause.program, &write.command, None).await?;
        let snapshot = Snapshot {
            program: cause.program.clone(),
            account_id: None,
            account: None,
            order: None,
            codes,
            inbound: None,
            member: None,
            salt: Salt::default(),
            set_aside: Vec::new(),
            deed: None,
            recipient: None,
            code_claim: None,
            visitor: Some(visitor),
            upline: Vec::new(),
            signals: None,
        };
        let times = inner.times(write.occurred_at);
        let request = Some(&write.request_id);
        let decision = decide(cause.timeline, &snapshot, &write.command, times, request, false).map_err(defect)?;
        if !decision.remember {
            return Ok(Settled::answer(decision.answer, false));
        }
        let mut commit = Commit {
            partition: key.partition,
            receipts: vec![NewReceipt {
                key: inner.layout.receipt(cause.program, &account, &write.request_id),
                receipt: Receipt { fingerprint: write.fingerprint.to_bytes(), body: decision.answer.to_receipt() },
                keep_s: inner.options.receipt_keep_s,
            }],
            ..Commit::default()
        };
        if let Some(state) = &decision.visitor {
            put(&mut commit, &key, token, state, next_look(inner, cause.program, state)?);
        }
        commit.feed.extend(decision.figures.iter().map(|change| stats::of_visitor(cause.program, change)));
        match send(inner, &commit, &mut resent).await? {
            Outcome::Applied => {
                if let Answer::Touch(answer) = &decision.answer {
                    inner.meter.touch(touch.kind, answer);
                }
                return Ok(Settled::answer(decision.answer, false));
            }
            Outcome::Seen(seen) => {
                let seen = seen.into_iter().next();
                let seen = seen.ok_or_else(|| Error::Internal("a receipt was seen that is not there".to_owned()))?;
                return Ok(Settled::answer(answer_of(cause, &seen.receipt, seen.same_content)?, resent == 0));
            }
            Outcome::Conflict(_) => inner.meter.conflict(),
            Outcome::GuardFailed { .. } => {
                return Err(Error::Internal("a touch met a condition that it did not state".to_owned()));
            }
        }
    }
    Err(Error::Contention)
}

/// Writes a visitor's record as it is to be; without touches there is none.
fn put(commit: &mut Commit, key: &Key, token: Option<Token>, state: &VisitorState, look_at: Option<Instant>) {
    commit.expect.push((key.clone(), token.map_or(Expected::Absent, Expected::At)));
    let body = encode(state);
    let record = Record { token: Token::new(state.revision, &digest(&body)), body };
    commit.writes.push(RecordWrite { key: key.clone(), record: look_at.map(|_| record) });
    commit.due.push(Due { subject: (&*key.name).into(), at_ms: look_at.map(|at| at.0) });
}

/// When a visitor's record is to be looked at again: what was merely counted is kept for a day.
fn next_look(inner: &Inner, program: &ProgramId, state: &VisitorState) -> Result<Option<Instant>, Error> {
    let now = inner.clock.now(None);
    let timeline = inner.timeline(program)?;
    let until = state.touches.iter().map(|touch| timeline.at(now).map_or(touch.at, |terms| terms.counts_until(touch)));
    let least = now.plus_ms(crate::domain::time::DAY_MS);
    Ok(Some(until.max().map_or(least, |until| until.max(least))))
}

/// Forgets what counts no more of a visitor; answers whether there was something to forget.
pub(super) async fn sweep(
    inner: &Inner,
    item: &DueItem,
    key: &Key,
    program: &ProgramId,
    through: Instant,
) -> Result<bool, Error> {
    let timeline = match inner.timeline(program) {
        Ok(timeline) => timeline,
        // Another instance serves that program.
        Err(Error::ProgramUnknown) => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut commit = Commit { partition: item.partition, ..Commit::default() };
    match load(inner, key).await? {
        None => {
            commit.expect.push((key.clone(), Expected::Absent));
            commit.due.push(Due { subject: item.subject.clone(), at_ms: None });
        }
        Some((token, mut state)) => {
            state.revision = state.revision.saturating_add(1);
            let terms = timeline.at(through);
            let again = state.forget(through, |touch| terms.map_or(touch.at, |terms| terms.counts_until(touch)));
            put(&mut commit, key, Some(token), &state, again);
        }
    }
    Ok(inner.store.commit(&commit).await? == Outcome::Applied)
}

/// Each time that it was asked who brought a member, the latest first: under the account, and under those that became
/// part of it.
pub(super) async fn weighings(
    inner: &Inner,
    program: &ProgramId,
    member: &MemberId,
) -> Result<Vec<WeighingView>, Error> {
    inner.timeline(program)?;
    let (account, state, _) = stored(inner, program, &AccountId::from(member), None).await?;
    let state = state.ok_or(Error::NotFound { field: "member_id" })?;
    let mut views = of_ledger(inner, program, &account, &state, &state).await?;
    for home in state.homes.iter().filter(|home| home.why != HomeWhy::Left) {
        let key = inner.layout.account(program, &home.account);
        let record = inner.store.load(key.partition, std::slice::from_ref(&key)).await?.into_iter().next().flatten();
        if let Some((_, MemberRecord::Account(was))) = read::<MemberRecord>(&key, record)? {
            views.extend(of_ledger(inner, program, &home.account, &was, &state).await?);
        }
    }
    views.sort_by_key(|view| std::cmp::Reverse(view.effective_at));
    Ok(views)
}

async fn of_ledger(
    inner: &Inner,
    program: &ProgramId,
    account: &AccountId,
    state: &AccountState,
    now: &AccountState,
) -> Result<Vec<WeighingView>, Error> {
    let log = inner.layout.log(program, account);
    let mut views = Vec::new();
    for sequence in state.weighed.iter().rev() {
        for bytes in inner.store.entries(&log, *sequence, 1).await? {
            let entry = read_entry(&log, &bytes)?;
            if let Fact::AttributionWeighed { weighing } = entry.fact {
                let (effective_at, version, request) = (entry.effective_at, entry.version, entry.request);
                let came = |known: &&Referral| {
                    Some(&known.referral) == weighing.referral.as_ref() && known.attributed_at == effective_at
                };
                let stands = now.referrals().find(came).map(|known| (known.state, known.rejected_for.clone()));
                views.push(WeighingView { effective_at, version, request, weighing, stands });
            }
        }
    }
    Ok(views)
}
