//! Commission of partners: a projection of the feed, by partition, exactly once; and its way to the partner.
//!
//! What a friend's commit brings a partner goes on the feed of the friend's partition in that commit. The relay folds it
//! into the partner's record in the same partition, in a commit that takes it off the feed. When it is due the sweeper
//! takes it out of that record and puts an effect on the feed, both in one commit: a sum of many friends, under a name
//! that is never used again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::error;

use super::projection::{self, Mark};
use super::write::{read, send};
use super::{Error, Inner};
use crate::domain::account::AccountState;
use crate::domain::answer::PayoutsView;
use crate::domain::command::{Outgoing, Transfer};
use crate::domain::id::{AccountId, GrantId, MemberId, ProgramId, RuleId, UnitId};
use crate::domain::ledger::{Book, Entry, digest, encode};
use crate::domain::payouts::{Accrual, AccrualRecord, Commission, accruals};
use crate::domain::program::Kind;
use crate::domain::time::Instant;
use crate::store::{Commit, Due, DueItem, Expected, FeedItem, Key, Outcome, Partition, Record, Token, Write};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Told {
    program: ProgramId,
    accruals: Vec<Accrual>,
}

/// What entries bring partners, as it goes on the feed; `None`: nothing.
pub(super) fn of(program: &ProgramId, entries: &[Entry]) -> Option<Vec<u8>> {
    let accruals = accruals(entries);
    if accruals.is_empty() {
        return None;
    }
    Some(Mark::ACCRUALS.item(&Told { program: program.clone(), accruals }))
}

fn written(record: &AccrualRecord) -> Record {
    let body = encode(record);
    Record { token: Token::new(record.version, &digest(&body)), body }
}

/// Looks at the record again when something in it is due.
fn due(key: &Key, record: &AccrualRecord) -> Due {
    Due { subject: (&*key.name).into(), at_ms: record.next_due().map(|at| at.0) }
}

/// Folds items of one partition, in their order; answers how many left the feed.
pub(super) async fn fold(inner: &Inner, partition: Partition, items: &[FeedItem]) -> Result<u64, Error> {
    let mut commit = Commit { partition, ..Commit::default() };
    let mut told: Vec<(u64, Key, Accrual)> = Vec::new();
    let mut keys: Vec<Key> = Vec::new();
    for item in items {
        let Ok(Told { program, accruals }) = Mark::ACCRUALS.read(&item.body) else {
            error!(partition = partition.0, position = item.position, "what accrues cannot be read");
            continue;
        };
        commit.feed_done.push(item.position);
        for accrual in accruals {
            let key = inner.layout.accrual(partition, &program, &accrual.partner, &accrual.unit);
            if !keys.contains(&key) {
                keys.push(key.clone());
            }
            told.push((item.position, key, accrual));
        }
    }
    if keys.is_empty() {
        return Ok(0);
    }
    let now = inner.clock.now(None);
    let stored = inner.store.load(partition, &keys).await?;
    for (key, record) in keys.into_iter().zip(stored) {
        let (expected, mut record) = match read::<AccrualRecord>(&key, record)? {
            Some((token, record)) => (Expected::At(token), record),
            None => (Expected::Absent, AccrualRecord::default()),
        };
        let here: Vec<(u64, &Accrual)> =
            told.iter().filter(|(_, of, _)| *of == key).map(|(position, _, accrual)| (*position, accrual)).collect();
        for of_item in here.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((position, _)) = of_item.first() else { continue };
            record.take(*position, &of_item.iter().map(|(_, accrual)| *accrual).collect::<Vec<_>>(), now);
        }
        commit.due.push(due(&key, &record));
        commit.expect.push((key.clone(), expected));
        commit.writes.push(Write { key, record: Some(written(&record)) });
    }
    projection::settle(inner, &commit).await
}

/// Sends the partner what is due; answers whether that is done.
pub(super) async fn sweep(inner: &Inner, item: &DueItem, key: &Key, through: Instant) -> Result<bool, Error> {
    let parsed = parts(key);
    let record = inner.store.load(key.partition, std::slice::from_ref(key)).await?.into_iter().next().flatten();
    let (Some((program, partner, unit)), Some((token, mut record))) = (parsed, read::<AccrualRecord>(key, record)?)
    else {
        let due = vec![Due { subject: item.subject.clone(), at_ms: None }];
        let commit = Commit { partition: item.partition, due, ..Commit::default() };
        return Ok(send(inner, &commit, &mut 0).await? == Outcome::Applied);
    };
    let now = inner.clock.now(None).max(through);
    let mut commit =
        Commit { partition: key.partition, expect: vec![(key.clone(), Expected::At(token))], ..Commit::default() };
    if let Some((batch, net)) = record.send(now) {
        let rule = RuleId::parse("payouts").map_err(|error| Error::Internal(error.to_string()))?;
        let transfer = Transfer {
            target: partner,
            grant: GrantId::of(&["accrued", &key.partition.0.to_string(), unit.as_str(), &batch.to_string()]),
            rule,
            kind: Kind::Advocacy,
            unit,
            revision: 1,
            net,
            activates_at: now,
            expires_at: Instant::MAX,
            effective_at: now,
            brought: None,
        };
        commit.feed.push(encode(&(program, Outgoing::Transfer(transfer))));
    }
    commit.due.push(due(key, &record));
    commit.writes.push(Write { key: key.clone(), record: Some(written(&record)) });
    let applied = send(inner, &commit, &mut 0).await? == Outcome::Applied;
    if applied {
        // A lost hint costs time: the relay's walk finds it.
        let _ = inner.relay_hint.try_send(key.partition);
    }
    Ok(applied)
}

/// Program, partner and unit that a record is about.
fn parts(key: &Key) -> Option<(ProgramId, AccountId, UnitId)> {
    let mut parts = key.name.split('|').skip(1);
    let program = ProgramId::parse(parts.next()?).ok()?;
    let partner = AccountId::parse(parts.next()?).ok()?;
    Some((program, partner, UnitId::parse(parts.next()?).ok()?))
}

/// The payouts of a partner, and where their commission stands.
pub(super) async fn view(inner: &Arc<Inner>, program: &ProgramId, member: &MemberId) -> Result<PayoutsView, Error> {
    let timeline = inner.timeline(program)?;
    let now = inner.clock.now(None);
    let terms = timeline.at(now).ok_or(Error::ProgramUnknown)?;
    let (account, state, _) = super::read::stored(inner, program, &AccountId::from(member), None).await?;
    let state = state.ok_or(Error::NotFound { field: "member_id" })?;
    let mut commissions = Vec::new();
    for unit in &terms.units {
        let Some(paid_out) = unit.paid_out else { continue };
        let gathered = collect(inner, program, &account, &unit.unit, now).await?;
        let commission = standing(&state, &unit.unit, gathered);
        commissions.push((unit.unit.clone(), paid_out.currency, commission));
    }
    Ok(PayoutsView { payouts: state.payouts.clone(), commissions })
}

/// What an account has of a unit, with what is still to reach it.
fn standing(state: &AccountState, unit: &UnitId, gathered: Commission) -> Commission {
    let here = state.amount(unit, Book::Available).saturating_sub(state.debt(unit));
    Commission {
        due: gathered.due.saturating_add(here),
        in_payout: state.amount(unit, Book::InPayout),
        paid: state.amount(unit, Book::PaidOut),
        ..gathered
    }
}

/// What all partitions have for a partner.
async fn collect(
    inner: &Arc<Inner>,
    program: &ProgramId,
    partner: &AccountId,
    unit: &UnitId,
    now: Instant,
) -> Result<Commission, Error> {
    let (layout, program, partner, unit) = (inner.layout, program.clone(), partner.clone(), unit.clone());
    let key = move |partition| layout.accrual(partition, &program, &partner, &unit);
    let mut all = Commission::default();
    for record in projection::of_all_partitions::<AccrualRecord, _>(inner, key).await? {
        all.pending = all.pending.saturating_add(record.not_due(now));
        all.due = all.due.saturating_add(record.is_due(now));
        all.voided = all.voided.saturating_add(record.voided);
    }
    Ok(all)
}
