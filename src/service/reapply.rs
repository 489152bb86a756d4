//! What the store has lost, once more, where others have written since: recorded entries are applied to the account as
//! it stands. See [`reapply`](crate::domain::reapply).

use std::sync::Arc;

use async_trait::async_trait;

use super::audit;
use crate::domain::account::{AccountState, Inbound, MemberRecord};
use crate::domain::ledger::{Entry, Stored, decode, encode};
use crate::domain::reapply::reapply;
use crate::store::journal::{Again, Reapply};
use crate::store::{Commit, Expected, Key, Record, Token, Write};

/// Knows what the commits of this program are made of.
#[derive(Clone, Copy, Debug)]
pub struct Reapplier;

#[async_trait]
impl Reapply for Reapplier {
    async fn again(&self, lost: &Commit, fresh: &[Option<Record>]) -> Again {
        again(lost, fresh).unwrap_or_else(Again::Clash)
    }
}

fn kind_of(key: &Key) -> &str {
    key.name.split('|').next().unwrap_or_default()
}

fn again(lost: &Commit, fresh: &[Option<Record>]) -> Result<Again, String> {
    let odd = |what: &str| format!("{what} cannot be read");
    if lost.writes.iter().any(|write| kind_of(&write.key) == "audh") {
        return audit::again(lost, fresh).map(|again| Again::Apply(Box::new(again))).ok_or_else(|| odd("the audit"));
    }
    let written = lost.writes.iter().find(|write| kind_of(&write.key) == "acct");
    let Some((written, record)) = written.and_then(|write| Some((write, write.record.as_ref()?))) else {
        // Without an account nothing was acknowledged to anybody but the program itself.
        return if lost.receipts.is_empty() { Ok(Again::There) } else { Err("it is about no account".to_owned()) };
    };
    let MemberRecord::Account(after) = MemberRecord::from_stored(&record.body).map_err(|_| odd("the account"))? else {
        return Err("it moves an account".to_owned());
    };
    let mut effects = lost.writes.iter().filter(|write| kind_of(&write.key) == "inb");
    let inbound = effects.next();
    if effects.next().is_some() {
        return Err("it takes in several effects, of which some may be there".to_owned());
    }
    if lost.receipts.is_empty() && inbound.is_none() {
        // What comes with time comes again by itself.
        return Ok(Again::There);
    }
    let mut current = None;
    for ((key, expected), fresh) in lost.expect.iter().zip(fresh) {
        if *key == written.key {
            current = fresh.as_ref();
            continue;
        }
        if inbound.is_some_and(|write| write.key == *key) {
            let revision = |record: Option<&Record>| {
                let inbound = record.map(|record| decode::<Inbound>(&record.body).map_err(|_| odd("an effect")));
                inbound.transpose().map(|inbound| inbound.map_or(0, |inbound| inbound.revision))
            };
            let lost = inbound.and_then(|write| write.record.as_ref());
            if revision(lost)? <= revision(fresh.as_ref())? {
                return Ok(Again::There);
            }
        }
        let same = match (expected, fresh) {
            (Expected::Absent, None) => true,
            (Expected::At(token), Some(record)) => *token == record.token,
            _ => false,
        };
        if !same {
            return Err(format!("`{}` was written by something else", key.name));
        }
    }
    let state = match current.map(|record| MemberRecord::from_stored(&record.body)).transpose() {
        Ok(Some(MemberRecord::Account(state))) if state.away.is_none() => Some(Arc::unwrap_or_clone(state)),
        Ok(None) => None,
        Ok(Some(_)) => return Err("the account is part of another by now".to_owned()),
        Err(_) => return Err(odd("the account")),
    };
    let log = lost.appends.first().map_or(&[][..], |append| &append.entries);
    let entries: Result<Vec<Entry>, _> = log.iter().map(|entry| decode(entry)).collect();
    let entries = entries.map_err(|_| odd("an entry"))?;
    let reapplied = reapply(state, &after, &entries).map_err(|error| error.to_string())?;
    Ok(Again::Apply(Box::new(rebuilt(lost, written, current, &reapplied.state, &reapplied.entries))))
}

/// The commit, with what follows from the account as it stands in the place of what followed from what is lost.
fn rebuilt(
    lost: &Commit,
    account: &Write,
    current: Option<&Record>,
    state: &AccountState,
    entries: &[Entry],
) -> Commit {
    let mut commit = lost.clone();
    let token = Token::new(state.sequence, &state.head);
    for (key, expected) in &mut commit.expect {
        if *key == account.key {
            *expected = current.map_or(Expected::Absent, |record| Expected::At(record.token));
        }
    }
    let first = lost.appends.first().map_or(0, |append| append.first_sequence);
    let moved = entries.first().map(|entry| entry.sequence);
    for write in &mut commit.writes {
        if write.key == account.key {
            let body = MemberRecord::Account(Arc::new(state.clone())).to_stored();
            write.record = Some(Record { token, body });
            continue;
        }
        if let Some(record) = &mut write.record {
            record.token = token;
        }
        // A note lies beside the entry that it is about.
        if kind_of(&write.key) == "note"
            && let (Some((rest, digits)), Some(moved)) = (write.key.name.rsplit_once('|'), moved)
            && let Ok(sequence) = digits.parse::<u64>()
        {
            write.key.name = format!("{rest}|{}", sequence.saturating_sub(first).saturating_add(moved)).into();
        }
    }
    if let Some(moved) = moved {
        for item in &mut commit.feed {
            if let Some(renumbered) = audit::renumbered(item, first, moved) {
                *item = renumbered;
            }
        }
    }
    commit.appends.truncate(1);
    match moved {
        Some(first_sequence) => {
            for append in &mut commit.appends {
                append.first_sequence = first_sequence;
                append.entries = entries.iter().map(encode).collect();
            }
        }
        None => {
            commit.appends.clear();
            commit.writes.retain(|write| write.key != account.key);
        }
    }
    let due = state.next_due().map(|at| at.0);
    for next in &mut commit.due {
        next.at_ms = match (next.at_ms, due) {
            (Some(lost), Some(now)) => Some(lost.min(now)),
            (lost, now) => lost.or(now),
        };
    }
    commit
}
