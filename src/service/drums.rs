//! Drums that tickets are taken out of for good, and the list of what was taken, for everybody to see.
//!
//! A drum is a quota over all members whose claims have numbers. Its definition knows which number is next and which
//! went back; each claim writes it anew, so that no two get the same, and adds a line to the list in the same commit.

use serde::{Deserialize, Serialize};

use super::{Error, Inner, read};
use crate::domain::answer::TicketView;
use crate::domain::draw::drum_ticket;
use crate::domain::id::{AccountId, DrawId, ProgramId};
use crate::domain::ledger::{Hash, decode, digest, encode};
use crate::domain::quota::QuotaKey;
use crate::store::{self, Append};

/// Numbers that wait to be taken again; what goes back beyond is never drawn.
const BACK_MAX: usize = 1_000;

/// Which numbers of a drum are still in it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Drum {
    next: i64,
    /// At most [`BACK_MAX`].
    back: Vec<i64>,
    /// Of the list.
    lines: u64,
}

/// A line of the list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Line {
    number: i64,
    digest: Hash,
    back: bool,
}

impl Drum {
    /// Takes a number out, and tells the line to append; `None`: the drum is empty.
    pub(super) fn take(
        &mut self,
        inner: &Inner,
        quota: &QuotaKey,
        capacity: i64,
        account: &AccountId,
        deed: &str,
    ) -> Option<(i64, Append)> {
        let number = match self.back.pop() {
            Some(number) => number,
            None if self.next < capacity => {
                self.next += 1;
                self.next - 1
            }
            None => return None,
        };
        let digest = digest(format!("{account}|{deed}").as_bytes());
        Some((number, self.append(inner, quota, Line { number, digest, back: false })))
    }

    /// Puts a number back that was not used.
    pub(super) fn put_back(
        &mut self,
        inner: &Inner,
        quota: &QuotaKey,
        number: i64,
        account: &AccountId,
        deed: &str,
    ) -> Append {
        if self.back.len() < BACK_MAX {
            self.back.push(number);
        }
        let digest = digest(format!("{account}|{deed}").as_bytes());
        self.append(inner, quota, Line { number, digest, back: true })
    }

    fn append(&mut self, inner: &Inner, quota: &QuotaKey, line: Line) -> Append {
        self.lines = self.lines.saturating_add(1);
        let log = inner.layout.quota_list(quota);
        Append { log, first_sequence: self.lines, entries: vec![encode(&line)] }
    }
}

/// Up to `limit` lines after a position, in order.
pub(super) async fn list(
    inner: &Inner,
    program: &ProgramId,
    draw: &DrawId,
    after: u64,
    limit: usize,
) -> Result<Vec<TicketView>, Error> {
    let timeline = inner.timeline(program)?;
    let (terms, over) = read::terms_of(inner, &timeline, draw)?;
    if !terms.once {
        return Ok(Vec::new());
    }
    let first = after.saturating_add(1);
    let stored = inner.store.entries(&inner.layout.quota_list(&terms.drum(program)), first, limit).await?;
    let problem = |e| Error::Store(store::Error::Corrupt { what: format!("a ticket {e}") });
    let views = stored.iter().zip(first..).map(|(bytes, position)| {
        let Line { number, digest, back } = decode::<Line>(bytes).map_err(problem)?;
        let seed = terms.seed.as_ref().filter(|_| over);
        let ticket = seed.map(|seed| drum_ticket(seed, &terms.id, number, terms.of));
        let prize = ticket.and_then(|ticket| terms.prize(ticket)).map(|prize| prize.id.clone());
        Ok(TicketView { position, number, digest, back, ticket, prize })
    });
    views.collect()
}
