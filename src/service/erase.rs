//! Removes what lies beside the ledger of an erased account: notes, and the codes that would lead to it.

use super::lengthy::Lengthy;
use super::read::read_entry;
use super::write::send;
use super::{Error, Inner, codes};
use crate::domain::command::Forget;
use crate::domain::id::{AccountId, ProgramId};
use crate::domain::ledger::Fact;
use crate::store::{Commit, Key, Write};

/// Entries read, and notes removed, at a time.
const PAGE: usize = 500;
/// Pages of one ledger: more entries than any account has.
const PAGES_MAX: usize = 1_000_000;

/// Does it; again is as well.
pub(super) async fn forget(inner: &Inner, program: &ProgramId, forget: &Forget) -> Result<(), Error> {
    for code in &forget.codes {
        codes::erase(inner, program, code).await?;
    }
    for account in std::iter::once(&forget.account).chain(&forget.homes) {
        remove_notes(inner, program, account).await?;
    }
    Ok(())
}

async fn remove_notes(inner: &Inner, program: &ProgramId, account: &AccountId) -> Result<(), Error> {
    let log = inner.layout.log(program, account);
    let mut after = 0;
    let mut work = Lengthy::begins();
    for _ in 0..PAGES_MAX {
        let entries = inner.store.entries(&log, after + 1, PAGE).await?;
        work.goes_on();
        if entries.is_empty() {
            return Ok(());
        }
        let mut notes: Vec<Key> = Vec::new();
        for bytes in &entries {
            work.step().await;
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
