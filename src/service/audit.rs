//! The audit: administrative writes, carried out or refused, in order, one log for each program.
//!
//! An entry is put on the feed by the commit that its write is made of: there is none without the other. The relay appends
//! it to the log of its program, at most once, for the append carries a receipt; only then does it leave the feed. The log
//! holds no words for people: a note stays beside the ledger, whence it is read, and where erasing the member removes it.

use std::sync::atomic::Ordering;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::lengthy::Lengthy;
use super::projection::Mark;
use super::write::{read, send};
use super::{Audit, AuditEntries, Error, Inner, Write};
use crate::domain::answer::{AuditView, Reason};
use crate::domain::command::AdjustReason;
use crate::domain::decide::Decision;
use crate::domain::id::{AccountId, Label, MemberId, ProgramId, RequestId};
use crate::domain::ledger::{decode, digest, encode};
use crate::domain::time::Instant;
use crate::store::{self, Append, Commit, Expected, Key, NewReceipt, Outcome, Receipt, Record, Token};

/// Far longer than an entry that was appended may stay on the feed.
const RECEIPT_KEEP_S: u64 = 90 * 24 * 3600;
/// Tries while others append to the same log.
const ATTEMPTS_MAX: usize = 64;
/// Entries appended with one commit.
const APPENDED_AT_ONCE: usize = 64;
/// Entries read from the store at a time.
const CHUNK: usize = 500;
/// Entries looked through for one page; a page may be short for it, and the next goes on.
const LOOKED_AT_MAX: usize = 20_000;
/// Notes read at a time: each lies beside an account.
const NOTES_AT_ONCE: usize = 16;

/// An administrative write and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    program: ProgramId,
    account: AccountId,
    member: MemberId,
    request: RequestId,
    principal: String,
    agent: Option<Label>,
    method: String,
    decided_at: Instant,
    reason: Option<AdjustReason>,
    reason_code: Option<Label>,
    /// Beside which entry of the account's ledger the note lies.
    note: Option<u64>,
    refused_for: Vec<Reason>,
}

/// The same, as it stands in the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Listed {
    /// Never falls from one to the next.
    recorded_at: Instant,
    told: Told,
}

/// How many there are, and when the last was recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Head {
    count: u64,
    last: Instant,
}

/// What goes on the feed with the commit of a write, if it is an administrative one.
pub(super) fn of(inner: &Inner, write: &Write, account: &AccountId, decision: &Decision) -> Option<Vec<u8>> {
    let Audit { principal, method, agent } = write.audit.as_deref()?;
    let posted_at = decision.entries.last().map(|entry| entry.posted_at);
    let told = Told {
        program: write.program.clone(),
        account: account.clone(),
        member: write.member.clone(),
        request: write.request_id.clone(),
        principal: principal.to_string(),
        agent: write.command.agent().or(agent.as_ref()).cloned(),
        method: (*method).to_owned(),
        decided_at: posted_at.unwrap_or_else(|| inner.clock.now(write.occurred_at)),
        reason: write.command.adjust_reason(),
        reason_code: write.command.reason_code().cloned(),
        note: decision.note.as_ref().map(|(sequence, _)| *sequence),
        refused_for: decision.answer.refusals().iter().map(|refusal| refusal.reason).collect(),
    };
    Some(Mark::AUDIT.item(&told))
}

/// The entry that a feed item is.
pub(super) fn on_feed(body: &[u8]) -> Result<Told, Error> {
    Mark::AUDIT.read(body).map_err(damaged)
}

/// A feed item whose commit is made again, with other numbers: those of the ledger that were `first` and following are `moved`
/// and following. `None`: it stays as it is.
pub(super) fn renumbered(body: &[u8], first: u64, moved: u64) -> Option<Vec<u8>> {
    let told = Some(body).filter(|body| Mark::AUDIT.is_on(body)).and_then(|body| on_feed(body).ok())?;
    let note = told.note?.saturating_sub(first).saturating_add(moved);
    Some(Mark::AUDIT.item(&Told { note: Some(note), ..told }))
}

impl Told {
    pub(super) fn program(&self) -> &ProgramId {
        &self.program
    }
}

fn damaged(e: impl std::fmt::Display) -> Error {
    Error::Store(store::Error::Corrupt { what: format!("an entry of the audit {e}") })
}

async fn head(inner: &Inner, key: &Key) -> Result<(Expected, Head), Error> {
    let record = inner.store.load(key.partition, std::slice::from_ref(key)).await?.into_iter().next().flatten();
    let found = read::<Head>(key, record)?;
    Ok(found.map_or((Expected::Absent, Head::default()), |(token, head)| (Expected::At(token), head)))
}

/// Appends entries to the log of their program; those that are there already stay as they are.
pub(super) async fn append(inner: &Inner, program: &ProgramId, told: &[Told]) -> Result<(), Error> {
    // A journal brings back commits one by one: of one with several entries some may be there already.
    let at_once = if inner.options.journal.is_some() { 1 } else { APPENDED_AT_ONCE };
    for some in told.chunks(at_once) {
        append_some(inner, program, some).await?;
    }
    Ok(())
}

async fn append_some(inner: &Inner, program: &ProgramId, told: &[Told]) -> Result<(), Error> {
    // Nothing could be recorded at its time after what was recorded at one that has not come.
    if inner.clock_off.load(Ordering::Acquire) {
        return Err(Error::ClockOff);
    }
    let head_key = inner.layout.audit_head(program);
    let log = inner.layout.audit(program);
    let mut rest: Vec<(Key, &Told)> = Vec::with_capacity(told.len());
    for one in told {
        let key = inner.layout.audit_seen(program, &one.account, &one.request, one.decided_at);
        if rest.iter().all(|(known, _)| *known != key) {
            rest.push((key, one));
        }
    }
    let receipt = |(key, _): &(Key, _)| NewReceipt {
        key: key.clone(),
        receipt: Receipt { fingerprint: Vec::new(), body: Vec::new() },
        keep_s: RECEIPT_KEEP_S,
    };
    for _ in 0..ATTEMPTS_MAX {
        if rest.is_empty() {
            return Ok(());
        }
        let before = head(inner, &head_key).await?;
        let now = inner.clock.now(None);
        let listed = rest.iter().map(|(_, told)| Listed { recorded_at: now, told: (*told).clone() }).collect();
        let receipts = rest.iter().map(receipt).collect();
        match send(inner, &appending(&head_key, &log, before, listed, receipts), &mut 0).await? {
            Outcome::Applied => return Ok(()),
            Outcome::Seen(seen) => {
                let is_there = |place: usize| seen.iter().any(|seen| seen.index == place);
                rest =
                    rest.into_iter().enumerate().filter(|(place, _)| !is_there(*place)).map(|(_, one)| one).collect();
            }
            Outcome::Conflict(_) => {}
            Outcome::GuardFailed { .. } => {
                return Err(Error::Internal("the audit has no guard that could fail".into()));
            }
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(Error::Contention) }
}

/// A commit that appends entries to a log that ends as is said, none recorded before what is there.
fn appending(
    head_key: &Key,
    log: &Key,
    (expected, before): (Expected, Head),
    mut listed: Vec<Listed>,
    receipts: Vec<NewReceipt>,
) -> Commit {
    let mut last = before.last;
    for one in &mut listed {
        last = last.max(one.recorded_at);
        one.recorded_at = last;
    }
    let count = before.count.saturating_add(listed.len() as u64);
    let body = encode(&Head { count, last });
    let record = Record { token: Token::new(count, &digest(&body)), body };
    let entries = listed.iter().map(encode).collect();
    Commit {
        partition: head_key.partition,
        receipts,
        expect: vec![(head_key.clone(), expected)],
        writes: vec![store::Write { key: head_key.clone(), record: Some(record) }],
        appends: vec![Append { log: log.clone(), first_sequence: before.count.saturating_add(1), entries }],
        ..Commit::default()
    }
}

/// A commit that appended entries, which the store has lost while others were appended: it appends them after those. `fresh` is
/// what stands in the place of what it expected. `None`: something cannot be read.
pub(super) fn again(lost: &Commit, fresh: &[Option<Record>]) -> Option<Commit> {
    let ([append], [(head_key, _)], [fresh]) = (&lost.appends[..], &lost.expect[..], fresh) else { return None };
    let before = match fresh {
        Some(record) => (Expected::At(record.token), decode::<Head>(&record.body).ok()?),
        None => (Expected::Absent, Head::default()),
    };
    let listed: Option<Vec<Listed>> = append.entries.iter().map(|bytes| decode(bytes).ok()).collect();
    Some(appending(head_key, &append.log, before, listed?, lost.receipts.clone()))
}

async fn listed(inner: &Inner, log: &Key, first: u64, limit: usize) -> Result<Vec<Listed>, Error> {
    let stored = inner.store.entries(log, first, limit).await?;
    stored.iter().map(|bytes| decode::<Listed>(bytes).map_err(damaged)).collect()
}

/// The first of `count` positions at which something was recorded at an instant or later; one past the last if nothing was.
async fn since(inner: &Inner, log: &Key, count: u64, at: Instant) -> Result<u64, Error> {
    let (mut low, mut high) = (1, count.saturating_add(1));
    while low < high {
        let middle = low + (high - low) / 2;
        match listed(inner, log, middle, 1).await?.first() {
            Some(one) if one.recorded_at < at => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

impl AuditEntries {
    fn asks_for(&self, Listed { recorded_at, told }: &Listed) -> bool {
        let Told { member, principal, agent, method, .. } = told;
        self.from.is_none_or(|from| from <= *recorded_at)
            && self.until.is_none_or(|until| *recorded_at < until)
            && self.principal.as_ref().is_none_or(|asked| asked.as_str() == principal)
            && self.agent.as_ref().is_none_or(|asked| Some(asked) == agent.as_ref())
            && self.method.is_none_or(|asked| asked == method)
            && self.member.as_ref().is_none_or(|asked| asked == member)
    }

    /// Whether neither it nor what comes after it, in the order asked for, is within the period.
    fn is_over_with(&self, recorded_at: Instant) -> bool {
        if self.newest_first {
            self.from.is_some_and(|from| recorded_at < from)
        } else {
            self.until.is_some_and(|until| until <= recorded_at)
        }
    }

    /// Whether any entry of the period is asked for.
    fn asks_for_all(&self) -> bool {
        self.principal.is_none() && self.agent.is_none() && self.method.is_none() && self.member.is_none()
    }
}

/// Entries as asked for, and the token of the next page.
pub(super) async fn list(
    inner: &Inner,
    program: &ProgramId,
    asked: &AuditEntries,
) -> Result<(Vec<AuditView>, Option<String>), Error> {
    inner.timeline(program)?;
    let log = inner.layout.audit(program);
    let (_, Head { count, .. }) = head(inner, &inner.layout.audit_head(program)).await?;
    // What is left to look at, from either end.
    let (mut first, mut last) = (asked.after.saturating_add(1), count);
    match (&asked.token, asked.newest_first, asked.from, asked.until) {
        (Some(token), newest_first, ..) => {
            let place = token.parse::<u64>().ok().filter(|place| (1..=count).contains(place));
            let problem = "is not one that an answer gave".to_owned();
            let place = place.ok_or(Error::Malformed { field: "page_token", problem })?;
            if newest_first { last = place } else { first = first.max(place) }
        }
        (None, true, _, Some(until)) => last = since(inner, &log, count, until).await?.saturating_sub(1),
        (None, false, Some(from), _) => first = first.max(since(inner, &log, count, from).await?),
        (None, ..) => {}
    }
    let mut found: Vec<(u64, Told, Instant)> = Vec::new();
    let mut looked_at = 0;
    let mut work = Lengthy::begins();
    while looked_at < LOOKED_AT_MAX && found.len() < asked.limit && first <= last {
        let most = if asked.asks_for_all() { CHUNK.min(asked.limit - found.len()) } else { CHUNK };
        let left = usize::try_from(last - first).unwrap_or(usize::MAX).saturating_add(1);
        let size = most.min(left);
        let begins = if asked.newest_first { last + 1 - size as u64 } else { first };
        let mut page: Vec<(u64, Listed)> = (begins..).zip(listed(inner, &log, begins, size).await?).collect();
        if page.is_empty() {
            return Err(damaged(format!("is missing: number {begins} of {count}")));
        }
        if asked.newest_first {
            page.reverse();
        }
        for (position, one) in page {
            if asked.limit <= found.len() {
                break;
            }
            if asked.is_over_with(one.recorded_at) {
                return Ok((with_notes(inner, found).await?, None));
            }
            work.step().await;
            looked_at += 1;
            if asked.newest_first {
                last = position - 1
            } else {
                first = position + 1
            }
            if asked.asks_for(&one) {
                found.push((position, one.told, one.recorded_at));
            }
        }
    }
    let goes_on = if asked.newest_first { last } else { first };
    let next = (first <= last).then(|| goes_on.to_string());
    Ok((with_notes(inner, found).await?, next))
}

async fn with_notes(inner: &Inner, found: Vec<(u64, Told, Instant)>) -> Result<Vec<AuditView>, Error> {
    let views: Vec<_> = found.into_iter().map(|(position, told, at)| view(inner, position, told, at)).collect();
    stream::iter(views).buffered(NOTES_AT_ONCE).try_collect().await
}

async fn view(inner: &Inner, position: u64, told: Told, recorded_at: Instant) -> Result<AuditView, Error> {
    let note = match told.note {
        Some(sequence) => {
            let key = inner.layout.note(&told.program, &told.account, sequence);
            let record =
                inner.store.load(key.partition, std::slice::from_ref(&key)).await?.into_iter().next().flatten();
            read::<String>(&key, record)?.map(|(_, note)| note)
        }
        None => None,
    };
    Ok(AuditView {
        position,
        recorded_at,
        decided_at: told.decided_at,
        principal: told.principal,
        agent: told.agent,
        method: told.method,
        request: told.request,
        member: told.member,
        account: told.account,
        reason: told.reason,
        reason_code: told.reason_code,
        note,
        refused_for: told.refused_for,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Layout;

    fn told(note: Option<u64>) -> Told {
        Told {
            program: ProgramId::parse("bakery").unwrap(),
            account: AccountId::parse("mia").unwrap(),
            member: MemberId::parse("mia").unwrap(),
            request: RequestId::parse("r-1").unwrap(),
            principal: "help-desk".to_owned(),
            agent: None,
            method: "guerdon.v1.MemberService/Adjust".to_owned(),
            decided_at: Instant(1_767_225_600_000),
            reason: None,
            reason_code: None,
            note,
            refused_for: Vec::new(),
        }
    }

    #[test]
    fn a_note_is_found_where_its_entry_has_moved() {
        let item = |note| Mark::AUDIT.item(&told(note));
        // The entries 7 and following became 20 and following.
        assert_eq!(renumbered(&item(Some(8)), 7, 20), Some(item(Some(21))));
        assert_eq!(renumbered(&item(None), 7, 20), None, "there is none");
        assert_eq!(renumbered(&encode(&told(Some(8))), 7, 20), None, "it is something else");
        assert_eq!(on_feed(&item(Some(8))), Ok(told(Some(8))));
    }
    #[test]
    fn what_was_lost_is_appended_after_what_others_have_appended_since() {
        let layout = Layout::new(16).unwrap();
        let program = ProgramId::parse("bakery").unwrap();
        let (head_key, log) = (layout.audit_head(&program), layout.audit(&program));
        let receipt = |n: i64| NewReceipt {
            key: layout.audit_seen(&program, &told(None).account, &told(None).request, Instant(n)),
            receipt: Receipt { fingerprint: Vec::new(), body: Vec::new() },
            keep_s: RECEIPT_KEEP_S,
        };
        let at = |ms, note| Listed { recorded_at: Instant(ms), told: told(note) };
        let before = |token, count, last| (token, Head { count, last: Instant(last) });
        let empty = before(Expected::Absent, 0, 0);
        let lost = appending(&head_key, &log, empty, vec![at(70, Some(3))], vec![receipt(1)]);
        let since = appending(&head_key, &log, empty, vec![at(90, None)], vec![receipt(2)]);
        let record = since.writes[0].record.clone().unwrap();
        // Recorded no earlier than what is there, and under the receipt that it had.
        let expected = appending(
            &head_key,
            &log,
            before(Expected::At(record.token), 1, 90),
            vec![at(90, Some(3))],
            vec![receipt(1)],
        );
        assert_eq!(expected.appends[0].first_sequence, 2);
        assert_eq!(again(&lost, &[Some(record)]), Some(expected));
        assert_eq!(again(&lost, &[None]), Some(lost.clone()), "the others' is lost, too");
        let odd = Record { token: Token::default(), body: b"odd".to_vec() };
        assert_eq!(again(&lost, &[Some(odd)]), None);
    }
}
