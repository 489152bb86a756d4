//! The ledger for reading: page by page, by period, with running balances.
//!
//! The hash of an entry is known only by going there from the beginning, and so are the balances after it: a page
//! token carries both on, so that each entry is read once.

use super::read::{from_hex, hex, read_entry, stored, view};
use super::{Entries, Error, Inner};
use crate::domain::answer::EntryView;
use crate::domain::id::{AccountId, MemberId, ProgramId, UnitId};
use crate::domain::ledger::{Book, Entry, GENESIS, Hash, chain, decode, encode};

/// Entries read from the store at a time.
const CHUNK: usize = 500;
/// Entries looked through for one page; a page may be short for it, and the next goes on.
const LOOKED_AT_MAX: usize = 20_000;

/// What a member has of each unit: available, pending, held, owed.
type Running = Vec<(UnitId, [i64; 4])>;

const SHOWN: [Book; 4] = [Book::Available, Book::Pending, Book::Held, Book::Debt];

/// Where a page ended.
struct Mark {
    sequence: u64,
    head: Hash,
    running: Running,
}

impl Mark {
    fn parse(token: &str) -> Option<Mark> {
        let mut parts = token.splitn(3, '.');
        let sequence = parts.next()?.parse().ok()?;
        let head = from_hex(parts.next()?)?;
        let bytes: Option<Vec<u8>> = parts.next()?.as_bytes().chunks(2).map(byte).collect();
        Some(Mark { sequence, head, running: decode(&bytes?).ok()? })
    }

    fn text(&self) -> String {
        format!("{}.{}.{}", self.sequence, hex(&self.head), hex(&encode(&self.running)))
    }

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

fn byte(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

pub(super) async fn entries(
    inner: &Inner,
    program: &ProgramId,
    member: &MemberId,
    asked: &Entries,
) -> Result<(Vec<EntryView>, Option<String>), Error> {
    inner.timeline(program)?;
    let malformed = || Error::Malformed { field: "page_token", problem: "is not one that an answer gave".to_owned() };
    let mut mark = match &asked.token {
        Some(token) => Mark::parse(token).ok_or_else(malformed)?,
        None => Mark { sequence: 0, head: GENESIS, running: Vec::new() },
    };
    let (account, state, _) = stored(inner, program, &AccountId::from(member), None).await?;
    let last = state.ok_or(Error::NotFound { field: "member_id" })?.sequence;
    let log = inner.layout.log(program, &account);
    let mut views = Vec::new();
    let mut looked_at = 0;
    while looked_at < LOOKED_AT_MAX && views.len() < asked.limit && mark.sequence < last {
        let first = mark.sequence.checked_add(1).ok_or_else(malformed)?;
        let page = inner.store.entries(&log, first, CHUNK).await?;
        if page.is_empty() {
            break;
        }
        for bytes in page {
            if asked.limit <= views.len() {
                break;
            }
            let entry = read_entry(&log, &bytes)?;
            if !asked.by_effective_at && asked.until.is_some_and(|until| until <= entry.posted_at) {
                // Entries are in the order in which they were posted: nothing more will fit.
                return Ok((views, None));
            }
            looked_at += 1;
            mark.pass(&entry, &bytes).ok_or_else(malformed)?;
            let at = if asked.by_effective_at { entry.effective_at } else { entry.posted_at };
            if asked.from.is_none_or(|from| from <= at) && asked.until.is_none_or(|until| at < until) {
                let mut view = view(&entry, mark.head)?;
                let moved = |unit: &UnitId| view.postings.iter().any(|(_, of, _)| of == unit);
                view.balances = mark.running.iter().filter(|(unit, _)| moved(unit)).cloned().collect();
                views.push(view);
            }
        }
    }
    Ok((views, (mark.sequence < last).then(|| mark.text())))
}
