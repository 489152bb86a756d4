//! The ledger for reading: page by page, by period, with running balances.
//!
//! The hash of an entry is known only by going there from the beginning, and so are the balances after it: a page
//! token carries both on, so that each entry is read once. It is signed, for what it carries is shown as what the ledger
//! says.

use serde::{Deserialize, Serialize};

use super::lengthy::Lengthy;
use super::quotes::keys;
use super::read::{read_entry, stored, view};
use super::{Entries, Error, Inner};
use crate::domain::answer::EntryView;
use crate::domain::id::{AccountId, MemberId, ProgramId, UnitId};
use crate::domain::ledger::{Book, Entry, GENESIS, Hash, chain};
use crate::domain::quote::{self, Purpose};
use crate::domain::time::Instant;

/// Entries read from the store at a time.
const CHUNK: usize = 500;
/// Entries looked through for one page; a page may be short for it, and the next goes on.
const LOOKED_AT_MAX: usize = 20_000;

/// What a member has of each unit: available, pending, held, owed.
type Running = Vec<(UnitId, [i64; 4])>;

const SHOWN: [Book; 4] = [Book::Available, Book::Pending, Book::Held, Book::Debt];

/// What is listed, whatever the size of its pages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Listed {
    program: ProgramId,
    account: AccountId,
    from: Option<Instant>,
    until: Option<Instant>,
    by_effective_at: bool,
}

/// Where a page ended.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    of: Listed,
    sequence: u64,
    head: Hash,
    running: Running,
}

impl Mark {
    /// Goes on by one entry.
    fn pass(&mut self, entry: &Entry, bytes: &[u8]) -> Option<()> {
        for posting in entry.postings()? {
            let Some(column) = SHOWN.iter().position(|book| *book == posting.book) else { continue };
            let at = self.running.iter().position(|(unit, _)| *unit == posting.unit).unwrap_or_else(|| {
                self.running.push((posting.unit.clone(), [0; 4]));
                self.running.len() - 1
            });
            let sum = self.running.get_mut(at).and_then(|(_, sums)| sums.get_mut(column))?;
            *sum = sum.checked_add(posting.amount)?;
        }
        self.sequence = entry.sequence;
        self.head = chain(&self.head, bytes);
        Some(())
    }
}

pub(super) async fn entries(
    inner: &Inner,
    program: &ProgramId,
    member: &MemberId,
    asked: &Entries,
) -> Result<(Vec<EntryView>, Option<String>), Error> {
    inner.timeline(program)?;
    let malformed = || Error::Malformed { field: "page_token", problem: "is not one that an answer gave".to_owned() };
    let (account, state, _) = stored(inner, program, &AccountId::from(member), None).await?;
    let last = state.ok_or(Error::NotFound { field: "member_id" })?.sequence;
    let Entries { token, limit: _, from, until, by_effective_at } = asked;
    let (from, until, by_effective_at) = (*from, *until, *by_effective_at);
    let of = Listed { program: program.clone(), account: account.clone(), from, until, by_effective_at };
    let mut mark = match token {
        Some(token) => {
            let signed: Option<Mark> = quote::open_as(Purpose::Page, Box::pin(keys(inner)).await?, token);
            signed.filter(|mark| mark.of == of).ok_or_else(malformed)?
        }
        None => Mark { of, sequence: 0, head: GENESIS, running: Vec::new() },
    };
    let log = inner.layout.log(program, &account);
    let mut views = Vec::new();
    let mut looked_at = 0;
    let mut work = Lengthy::begins();
    while looked_at < LOOKED_AT_MAX && views.len() < asked.limit && mark.sequence < last {
        let first = mark.sequence.checked_add(1).ok_or_else(malformed)?;
        let page = inner.store.entries(&log, first, CHUNK).await?;
        work.goes_on();
        if page.is_empty() {
            break;
        }
        for bytes in page {
            if asked.limit <= views.len() {
                break;
            }
            work.step().await;
            let entry = read_entry(&log, &bytes)?;
            if !by_effective_at && until.is_some_and(|until| until <= entry.posted_at) {
                // Entries are in the order in which they were posted: nothing more will fit.
                return Ok((views, None));
            }
            looked_at += 1;
            mark.pass(&entry, &bytes).ok_or_else(malformed)?;
            let at = if by_effective_at { entry.effective_at } else { entry.posted_at };
            if from.is_none_or(|from| from <= at) && until.is_none_or(|until| at < until) {
                let mut view = view(&entry, mark.head)?;
                let moved = |unit: &UnitId| view.postings.iter().any(|(_, of, _)| of == unit);
                view.balances = mark.running.iter().filter(|(unit, _)| moved(unit)).cloned().collect();
                views.push(view);
            }
        }
    }
    if last <= mark.sequence {
        return Ok((views, None));
    }
    let key = Box::pin(keys(inner)).await?.first();
    Ok((views, key.map(|key| quote::seal_as(Purpose::Page, key, &mark))))
}
