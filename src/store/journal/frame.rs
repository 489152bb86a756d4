//! How the journal's files are laid out: a head of eight bytes, then frames. A frame is a mark, a length, a checksum,
//! how far the file was synced when it was written, and what it says.

use serde::{Deserialize, Serialize};

use crate::domain::ledger::{DecodeError, decode, encode};
use crate::store::{Commit, Partition};

/// The first bytes of every file; the last of them is the format.
pub(super) const HEAD: &[u8; 8] = b"GDNJRNL\x01";
const MARK: &[u8; 4] = b"GJfr";
/// Mark, length, checksum, synced.
pub(super) const FRAME_HEAD_LEN: usize = 4 + 4 + 4 + 8;
/// The largest commit that is written: an account, an order and a trace, each of them as large as it may be, and more.
pub(super) const BODY_LEN_MAX: usize = 16 * 1024 * 1024;

/// What a frame says. `C`: a commit, or a reference to one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Says<C> {
    /// A commit that is about to be sent.
    Sent { id: u64, commit: C },
    /// One that the store has applied, under these numbers.
    Applied { id: u64, partition: Partition, number: Number },
    /// Nothing is to be done about one any more: it was refused, or came back by other means.
    Settled { id: u64 },
    /// The last commit of each partition that was known to be applied when the file was begun.
    Heads(Vec<(Partition, Number)>),
    /// A request that was accepted while the store was away.
    Promised { id: u64, request: Vec<u8> },
    /// One of those that was carried out.
    Kept { id: u64 },
}

/// Which of a partition's commits: the epoch in which it was applied, and its number in the partition. Numbers go on
/// rising from one epoch to the next; but where a store has lost the end of an epoch, the next one gives them again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Number {
    pub epoch: u64,
    pub sequence: u64,
}

pub(super) fn frame(says: &Says<&Commit>, synced: u64) -> Vec<u8> {
    let body = encode(says);
    let mut frame = Vec::with_capacity(FRAME_HEAD_LEN + body.len());
    frame.extend_from_slice(MARK);
    frame.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend_from_slice(&checksum(synced, &body).to_le_bytes());
    frame.extend_from_slice(&synced.to_le_bytes());
    frame.extend_from_slice(&body);
    frame
}

fn checksum(synced: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&synced.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// A whole frame at the beginning of `bytes`: how far the file was synced when it was written, its body, its length.
fn whole(bytes: &[u8]) -> Option<(u64, &[u8], usize)> {
    let (mark, rest) = bytes.split_first_chunk::<4>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (synced, rest) = rest.split_first_chunk::<8>()?;
    let (len, synced) = (usize::try_from(u32::from_le_bytes(*len)).ok()?, u64::from_le_bytes(*synced));
    let body = (len <= BODY_LEN_MAX).then(|| rest.get(..len)).flatten()?;
    let fine = mark == MARK && checksum(synced, body) == u32::from_le_bytes(*sum);
    fine.then_some((synced, body, FRAME_HEAD_LEN + len))
}

/// Why a file cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Flaw {
    /// At this offset there is something that was synced once and is not whole.
    Damaged {
        at: u64,
    },
    TooNew {
        found: u8,
    },
}

/// What a file holds: each frame with its offset, and where the whole ones end.
pub(super) struct Contents {
    pub(super) frames: Vec<(u64, Says<Commit>)>,
    pub(super) end: u64,
}

/// Reads a file. A tail that was never synced may be torn: that is not a flaw, and it is left out. `last`: the file
/// that was being written; every other was synced whole.
pub(super) fn read(bytes: &[u8], last: bool) -> Result<Contents, Flaw> {
    let format = HEAD.len() - 1;
    match bytes.split_at_checked(HEAD.len()) {
        Some((head, _)) if head == HEAD => {}
        Some((head, _)) if head.get(..format) == HEAD.get(..format) && HEAD.last() < head.last() => {
            return Err(Flaw::TooNew { found: head.last().copied().unwrap_or_default() });
        }
        // A file whose head was not written whole holds nothing yet.
        None if last => return Ok(Contents { frames: Vec::new(), end: 0 }),
        _ => return Err(Flaw::Damaged { at: 0 }),
    }
    let mut frames = Vec::new();
    let mut at = HEAD.len();
    while let Some((_, body, len)) = bytes.get(at..).and_then(whole) {
        let says = match decode(body) {
            Ok(says) => says,
            Err(DecodeError::TooNew { found, .. }) => return Err(Flaw::TooNew { found }),
            Err(DecodeError::Damaged) => return Err(Flaw::Damaged { at: at as u64 }),
        };
        frames.push((at as u64, says));
        at += len;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    // What follows may tell that this was synced once.
    let missed = rest.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    let mut whole_ones = missed.filter_map(|(offset, _)| rest.get(offset..).and_then(whole));
    if (!last && !rest.is_empty()) || whole_ones.any(|(synced, _, _)| (at as u64) < synced) {
        return Err(Flaw::Damaged { at: at as u64 });
    }
    Ok(Contents { frames, end: at as u64 })
}

/// The commit in the frame at the beginning of `bytes`.
pub(super) fn commit_in(bytes: &[u8]) -> Option<Commit> {
    let (_, body, _) = whole(bytes)?;
    match decode(body) {
        Ok(Says::Sent { commit, .. }) => Some(commit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(frames: &[Vec<u8>]) -> Vec<u8> {
        [&HEAD[..], &frames.concat()].concat()
    }

    fn sent(id: u64, synced: u64) -> Vec<u8> {
        frame(&Says::Sent { id, commit: &Commit::default() }, synced)
    }

    #[test]
    fn f1_a_torn_tail_of_the_journal_is_left_out_wherever_it_is_torn() {
        let two = file(&[sent(1, 0), sent(2, 0)]);
        let first_end = file(&[sent(1, 0)]).len();
        for cut in 0..two.len() {
            let found = read(&two[..cut], true).map(|found| (found.frames.len(), found.end as usize));
            let expected = match cut {
                _ if cut < HEAD.len() => (0, 0),
                _ if cut < first_end => (0, HEAD.len()),
                _ => (1, first_end),
            };
            assert_eq!(found, Ok(expected), "cut at {cut}");
        }
    }

    #[test]
    fn f1_damage_to_what_was_synced_is_refused_and_what_was_not_synced_is_left_out() {
        let first = sent(1, 0).len();
        for at in 0..first {
            // The second frame says how far the file was synced when it was written.
            let damaged = |synced: usize| {
                let mut bytes = file(&[sent(1, 0), sent(2, synced as u64)]);
                bytes[HEAD.len() + at] ^= 0x40;
                read(&bytes, true).map(|found| found.frames.len())
            };
            assert_eq!(damaged(HEAD.len() + first), Err(Flaw::Damaged { at: HEAD.len() as u64 }), "at {at}");
            assert_eq!(damaged(HEAD.len()), Ok(0), "at {at}: pages of a tail may be written in any order");
        }
        let whole = file(&[sent(1, 0)]);
        assert!(matches!(read(&whole[..whole.len() - 1], false), Err(Flaw::Damaged { .. })), "not the last file");
    }

    #[test]
    fn a_newer_format_is_refused() {
        let mut bytes = file(&[]);
        bytes[HEAD.len() - 1] = 2;
        assert_eq!(read(&bytes, true).err(), Some(Flaw::TooNew { found: 2 }));
    }
}
