//! Verification: folding a member's entries gives the stored state, and order records are what the ledger says.

use std::collections::{BTreeMap, BTreeSet};

use super::lengthy::Lengthy;
use super::read::{read_entry, stored};
use super::write::{Wanted, find};
use super::{Error, Inner};
use crate::domain::account::AccountState;
use crate::domain::answer::VerifyView;
use crate::domain::id::{AccountId, EventId, GrantId, MemberId, OrderId, ProgramId};
use crate::domain::ledger::{Fact, GENESIS, Hash, Stored, chain, digest};
use crate::domain::order_record::OrderRecord;

const FAULTS_MAX: usize = 100;
const PAGE: usize = 500;
/// How often verification begins anew because the account moved on meanwhile.
const ATTEMPTS_MAX: usize = 5;

pub(super) async fn verify(inner: &Inner, program: &ProgramId, member: &MemberId) -> Result<VerifyView, Error> {
    inner.timeline(program)?;
    for _ in 0..ATTEMPTS_MAX {
        let (account, state, _) = stored(inner, program, &AccountId::from(member), None).await?;
        let state = state.ok_or(Error::NotFound { field: "member_id" })?;
        let mut view = verify_state(inner, program, &account, &state).await?;
        view.faults.extend(verify_own(inner, program, member).await?);
        view.faults.truncate(FAULTS_MAX);
        if view.faults.is_empty() {
            return Ok(view);
        }
        // Orders are read after the state; a fault counts only if the account stood still meanwhile.
        let (_, after, _) = stored(inner, program, &AccountId::from(member), None).await?;
        if after.is_some_and(|after| after.head == state.head) {
            return Ok(view);
        }
    }
    Err(Error::Contention)
}

/// What is wrong with the ledger of a member who is part of another account: their own stands still meanwhile.
async fn verify_own(inner: &Inner, program: &ProgramId, member: &MemberId) -> Result<Vec<String>, Error> {
    let own = AccountId::from(member);
    let wanted = Wanted { stays: true, ..Wanted::default() };
    let (account, state, _) = find(inner, program, &own, wanted).await?.into_found();
    match state.filter(|state| account == own && state.away.is_some()) {
        Some(state) => {
            let view = verify_state(inner, program, &own, &state).await?;
            Ok(view
                .faults
                .into_iter()
                .map(|fault| format!("before it became part of another account: {fault}"))
                .collect())
        }
        None => Ok(Vec::new()),
    }
}

async fn verify_state(
    inner: &Inner,
    program: &ProgramId,
    account: &AccountId,
    state: &AccountState,
) -> Result<VerifyView, Error> {
    let log = inner.layout.log(program, account);
    let mut folded = AccountState::new(account.clone());
    let mut head = GENESIS;
    let mut orders: BTreeMap<OrderId, Hash> = BTreeMap::new();
    let mut grants: BTreeSet<GrantId> = BTreeSet::new();
    let mut events: BTreeMap<EventId, Hash> = BTreeMap::new();
    let mut faults = Vec::new();
    let mut entries = 0u64;
    let mut work = Lengthy::begins();
    'pages: while entries < state.sequence {
        let page = inner.store.entries(&log, entries + 1, PAGE).await?;
        work.goes_on();
        if page.is_empty() {
            faults.push(format!("the ledger ends at entry {entries}, the state at {}", state.sequence));
            break;
        }
        for bytes in page {
            if entries == state.sequence {
                break 'pages;
            }
            work.step().await;
            let entry = match read_entry(&log, &bytes) {
                Ok(entry) => entry,
                Err(_) => {
                    faults.push(format!("entry {} cannot be read", entries + 1));
                    break 'pages;
                }
            };
            head = chain(&head, &bytes);
            if let Err(error) = folded.apply(&entry) {
                faults.push(format!("entry {}: {error}", entry.sequence));
                break 'pages;
            }
            // What folds well may still be wrong: a record that was lost lets its order be committed again.
            match &entry.fact {
                Fact::OrderCommitted { order, digest } => {
                    let before = orders.insert(order.clone(), *digest);
                    if before.is_some() {
                        faults.push(format!("entry {}: order `{order}` was committed before", entry.sequence));
                    }
                }
                Fact::EventRecorded { event, digest, .. } => {
                    events.insert(event.clone(), *digest);
                }
                Fact::OrderReturned { order, digest, .. } | Fact::OrderAmended { order, digest, .. } => {
                    orders.insert(order.clone(), *digest);
                }
                Fact::OrderEvent { order, digest, .. } => {
                    orders.insert(order.clone(), *digest);
                }
                Fact::Granted { grant, .. } | Fact::Awaited { grant, .. } if !grants.insert(grant.clone()) => {
                    faults.push(format!("entry {}: grant `{grant}` was made before", entry.sequence));
                }
                _ => {}
            }
            entries += 1;
        }
    }
    if faults.is_empty() {
        if !state.is_told_by(&folded) {
            faults.push("folding the entries does not give the stored state".to_owned());
        }
        if head != state.head {
            faults.push("the hash chain does not end at the state's head".to_owned());
        }
    }
    faults.extend(state.faults());
    let compared = orders.len() as u64;
    let orders: Vec<(OrderId, Hash)> = orders.into_iter().collect();
    for chunk in orders.chunks(PAGE) {
        let keys: Vec<_> = chunk.iter().map(|(order, _)| inner.layout.order(program, account, order)).collect();
        let records = inner.store.load(log.partition, &keys).await?;
        work.goes_on();
        for ((order, expected), record) in chunk.iter().zip(records) {
            work.step().await;
            match record {
                None => faults.push(format!("the record of order `{order}` is missing")),
                Some(record) if digest(&record.body) != *expected => {
                    faults.push(format!("the record of order `{order}` is not what the ledger says"));
                }
                Some(record) => check_order(order, &record.body, &mut faults),
            }
        }
    }
    let events: Vec<(EventId, Hash)> = events.into_iter().collect();
    for chunk in events.chunks(PAGE) {
        let keys: Vec<_> = chunk.iter().map(|(event, _)| inner.layout.event(program, account, event)).collect();
        let records = inner.store.load(log.partition, &keys).await?;
        work.goes_on();
        for ((event, expected), record) in chunk.iter().zip(records) {
            work.step().await;
            if record.is_none_or(|record| digest(&record.body) != *expected) {
                faults.push(format!("the record of event `{event}` is not what the ledger says"));
            }
        }
    }
    faults.truncate(FAULTS_MAX);
    Ok(VerifyView { entries, from_sequence: 1, head: (0 < entries).then_some(head), orders: compared, faults })
}

/// Parts sum to their wholes, and no more has gone back than was given.
fn check_order(order: &OrderId, body: &[u8], faults: &mut Vec<String>) {
    let Ok(record) = OrderRecord::from_stored(body) else {
        faults.push(format!("the record of order `{order}` cannot be read"));
        return;
    };
    if !record.is_as_written(body) {
        faults.push(format!("the record of order `{order}` is not in its canonical form"));
    }
    let sums = |shares: &[i64], whole: i64| shares.iter().map(|n| i128::from(*n)).sum::<i128>() == i128::from(whole);
    for grant in &record.grants {
        if !sums(&grant.shares, grant.amount) || !(0..=grant.amount).contains(&grant.reversed) {
            faults.push(format!("grant `{}` of order `{order}` does not add up", grant.grant));
        }
    }
    for used in &record.uses {
        if !sums(&used.shares, used.units) || !(0..=used.units).contains(&used.restored) {
            faults.push(format!("what order `{order}` spent of {} does not add up", used.unit));
        }
    }
    if !(0..=record.money_minor).contains(&record.money_refunded_minor) {
        faults.push(format!("order `{order}` refunded more than was paid"));
    }
}
