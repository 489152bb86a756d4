//! Why an order earned what it earned: as kept when it was committed, else worked out again from the ledger.

use super::lengthy::Lengthy;
use super::read::{read_entry, stored};
use super::write::read;
use super::{Error, Inner};
use crate::domain::account::AccountState;
use crate::domain::answer::{Explain, Explanation, ExplanationSource};
use crate::domain::decide::{DecideError, Deed, DeedFinder, Found, recall};
use crate::domain::id::{AccountId, MemberId, OrderId, ProgramId};
use crate::domain::ledger::Fact;
use crate::store;

const PAGE: usize = 500;
/// A million entries of one account are read before the order is given up.
const PAGES_MAX: usize = 2_000;

/// `None`: the ledger of the account does not tell of the order, for it was committed under another that has become part
/// of this one.
pub(super) async fn explain(
    inner: &Inner,
    program: &ProgramId,
    member: &MemberId,
    order: &OrderId,
) -> Result<Option<Explanation>, Error> {
    let timeline = inner.timeline(program)?;
    let (account, state, record) = stored(inner, program, &AccountId::from(member), Some(order)).await?;
    if state.is_none() && !member.is_guest() {
        return Err(Error::NotFound { field: "member_id" });
    }
    let record = record.ok_or(Error::NotFound { field: "order_id" })?;
    let key = inner.layout.trace(program, &account, order);
    let kept = inner.store.load(key.partition, std::slice::from_ref(&key)).await?.into_iter().next().flatten();
    if let Some((_, trace)) = read::<Explain>(&key, kept)? {
        let source = ExplanationSource::Kept;
        let kept = Explanation { source, reproduces: true, caveats: Vec::new(), refusals: Vec::new(), trace };
        return Ok(Some(kept));
    }
    let entries = state.as_ref().map_or(0, |state| state.sequence);
    let Some(deed) = deed_of(inner, program, &account, order, entries).await? else { return Ok(None) };
    let told = recall(&timeline, program, &deed, &record, state.as_deref()).map_err(|error| match error {
        DecideError::NoProgram => Error::ProgramUnknown,
        DecideError::Inconsistent(what) => Error::Store(store::Error::Corrupt { what: what.to_owned() }),
    })?;
    Ok(Some(told))
}

/// What committed the order, found among the account's first `entries`.
async fn deed_of(
    inner: &Inner,
    program: &ProgramId,
    account: &AccountId,
    order: &OrderId,
    entries: u64,
) -> Result<Option<Deed>, Error> {
    let log = inner.layout.log(program, account);
    let committed = |fact: &Fact| matches!(fact, Fact::OrderCommitted { order: of, .. } if of == order);
    let mut finder = DeedFinder::new(AccountState::new(account.clone()));
    let mut after = 0u64;
    let mut work = Lengthy::begins();
    for _ in 0..PAGES_MAX {
        let page = inner.store.entries(&log, after + 1, PAGE).await?;
        work.goes_on();
        if page.is_empty() || entries <= after {
            return Ok(None);
        }
        for bytes in &page {
            work.step().await;
            let entry = read_entry(&log, bytes)?;
            after = entry.sequence;
            let found = finder.take(entry, committed).map_err(|error| {
                let what = format!("entry {after} of `{}`: {error}", log.name);
                Error::Store(store::Error::Corrupt { what })
            })?;
            finder = match found {
                Found::Deed(deed) => return Ok(Some(*deed)),
                Found::NotYet(finder) => *finder,
            };
        }
    }
    Err(Error::LimitReached { limit: "entries_to_explain" })
}
