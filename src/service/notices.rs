//! Notices of what is to come, in order, one log for each program.
//!
//! A notice is put on the feed by the commit that posts it. The relay appends it to the log of its program, at most once,
//! for the append carries a receipt; only then does it leave the feed.

use serde::{Deserialize, Serialize};

use super::projection::Mark;
use super::write::{read, send};
use super::{Error, Inner};
use crate::domain::answer::NoticeView;
use crate::domain::id::{AccountId, MemberId, ProgramId, RuleId};
use crate::domain::ledger::{Entry, Fact, decode, digest, encode};
use crate::domain::time::Instant;
use crate::store::{self, Append, Commit, Expected, NewReceipt, Outcome, Receipt, Record, Token, Write};

/// Far longer than a notice that was appended may stay on the feed.
const RECEIPT_KEEP_S: u64 = 90 * 24 * 3600;
/// Tries while others append to the same log.
const ATTEMPTS_MAX: usize = 64;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Notice {
    program: ProgramId,
    account: AccountId,
    member: MemberId,
    rule: RuleId,
    occasion_at: Instant,
    noticed_at: Instant,
}

/// The notices that entries hold, as they go on the feed.
pub(super) fn of(program: &ProgramId, account: &AccountId, entries: &[Entry]) -> impl Iterator<Item = Vec<u8>> {
    entries.iter().filter_map(move |entry| {
        let Fact::Noticed { rule, member, occasion_at } = &entry.fact else { return None };
        let notice = Notice {
            program: program.clone(),
            account: account.clone(),
            member: member.clone(),
            rule: rule.clone(),
            occasion_at: *occasion_at,
            noticed_at: entry.effective_at,
        };
        Some(Mark::NOTICES.item(&notice))
    })
}

/// The notice that a feed item is; `None`: it is an effect.
pub(super) fn on_feed(body: &[u8]) -> Option<Result<Notice, Error>> {
    let damaged = |e| Error::Store(store::Error::Corrupt { what: format!("a notice {e}") });
    Mark::NOTICES.is_on(body).then(|| Mark::NOTICES.read(body).map_err(damaged))
}

/// Appends a notice to the log of its program; one that is there already stays as it is.
pub(super) async fn append(inner: &Inner, notice: &Notice) -> Result<(), Error> {
    let head = inner.layout.notices_head(&notice.program);
    let log = inner.layout.notices(&notice.program);
    let Notice { account, member, rule, occasion_at, .. } = notice;
    let key = inner.layout.notice_seen(&notice.program, account, &format!("{member}|{rule}|{}", occasion_at.0));
    let receipt = Receipt { fingerprint: Vec::new(), body: Vec::new() };
    for _ in 0..ATTEMPTS_MAX {
        let record = inner.store.load(head.partition, std::slice::from_ref(&head)).await?.into_iter().next().flatten();
        let found = read::<u64>(&head, record)?;
        let next = found.as_ref().map_or(0, |(_, last)| *last).saturating_add(1);
        let body = encode(&next);
        let token = Token::new(next, &digest(&body));
        let expected = found.map_or(Expected::Absent, |(token, _)| Expected::At(token));
        let commit = Commit {
            partition: head.partition,
            receipts: vec![NewReceipt { key: key.clone(), receipt: receipt.clone(), keep_s: RECEIPT_KEEP_S }],
            expect: vec![(head.clone(), expected)],
            writes: vec![Write { key: head.clone(), record: Some(Record { token, body }) }],
            appends: vec![Append { log: log.clone(), first_sequence: next, entries: vec![encode(notice)] }],
            ..Commit::default()
        };
        match send(inner, &commit, &mut 0).await? {
            Outcome::Applied | Outcome::Seen(_) => return Ok(()),
            Outcome::Conflict(_) => {}
            Outcome::GuardFailed { .. } => return Err(Error::Internal("a notice has no guard that could fail".into())),
        }
    }
    Err(Error::Contention)
}

/// Up to `limit` notices after a position, in order.
pub(super) async fn list(
    inner: &Inner,
    program: &ProgramId,
    after: u64,
    limit: usize,
) -> Result<Vec<NoticeView>, Error> {
    inner.timeline(program)?;
    let first = after.saturating_add(1);
    let stored = inner.store.entries(&inner.layout.notices(program), first, limit).await?;
    let problem = |e| Error::Store(store::Error::Corrupt { what: format!("a notice {e}") });
    let views = stored.iter().zip(first..).map(|(bytes, position)| {
        let Notice { member, rule, occasion_at, noticed_at, .. } = decode::<Notice>(bytes).map_err(problem)?;
        Ok(NoticeView { position, member, rule, occasion_at, noticed_at })
    });
    views.collect()
}
