//! Removes what lies beside the ledger of an erased account: notes, and the codes that would lead to it.

use super::read::read_entry;
use super::write::{read, send};
use super::{Error, Inner};
use crate::domain::command::Forget;
use crate::domain::decide::CodeOwner;
use crate::domain::id::{AccountId, Code, ProgramId};
use crate::domain::ledger::{Fact, digest, encode};
use crate::store::{Commit, Expected, Key, Outcome, Record, Token, Write};

/// Entries read, and notes removed, at a time.
const PAGE: usize = 500;
/// Pages of one ledger: more entries than any account has.
const PAGES_MAX: usize = 1_000_000;
/// How often a code is blocked again because somebody else changed its record.
const ATTEMPTS_MAX: usize = 8;

/// Does it; again is as well.
pub(super) async fn forget(inner: &Inner, program: &ProgramId, forget: &Forget) -> Result<(), Error> {
    for code in &forget.codes {
        block(inner, program, code).await?;
    }
    for account in std::iter::once(&forget.account).chain(&forget.homes) {
        remove_notes(inner, program, account).await?;
    }
    Ok(())
}

/// From now on the code attributes nobody. It stays taken.
async fn block(inner: &Inner, program: &ProgramId, code: &Code) -> Result<(), Error> {
    let key = inner.layout.code(program, code);
    inner.records.forget_code(&key);
    for _ in 0..ATTEMPTS_MAX {
        let record = inner.store.load(key.partition, std::slice::from_ref(&key)).await?.into_iter().next().flatten();
        let Some((token, owner)) = read::<CodeOwner>(&key, record)? else { return Ok(()) };
        if owner.blocked {
            return Ok(());
        }
        let body = encode(&CodeOwner { blocked: true, ..owner });
        let record = Record { token: Token::new(token.sequence() + 1, &digest(&body)), body };
        let commit = Commit {
            partition: key.partition,
            expect: vec![(key.clone(), Expected::At(token))],
            writes: vec![Write { key: key.clone(), record: Some(record) }],
            ..Commit::default()
        };
        if send(inner, &commit, &mut 0).await? == Outcome::Applied {
            return Ok(());
        }
    }
    Err(Error::Contention)
}

async fn remove_notes(inner: &Inner, program: &ProgramId, account: &AccountId) -> Result<(), Error> {
    let log = inner.layout.log(program, account);
    let mut after = 0;
    for _ in 0..PAGES_MAX {
        let entries = inner.store.entries(&log, after + 1, PAGE).await?;
        if entries.is_empty() {
            return Ok(());
        }
        let mut notes: Vec<Key> = Vec::new();
        for bytes in &entries {
            let entry = read_entry(&log, bytes)?;
            after = entry.sequence;
            match &entry.fact {
                Fact::Credited { .. } | Fact::Debited { .. } | Fact::Extended { .. } | Fact::Reinstated { .. } => {
                    notes.push(inner.layout.note(program, account, entry.sequence));
                }
                // A trace shows what conditions found, of the member too.
                Fact::OrderCommitted { order, .. } => notes.push(inner.layout.trace(program, account, order)),
                _ => {}
            }
        }
        if !notes.is_empty() {
            let writes = notes.into_iter().map(|key| Write { key, record: None }).collect();
            let commit = Commit { partition: log.partition, writes, ..Commit::default() };
            send(inner, &commit, &mut 0).await?;
        }
    }
    Ok(())
}
