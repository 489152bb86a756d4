//! What goes over the wire: a commit as one script call, and what its answers mean.

use std::io::Write;

use ::redis::{Cmd, RedisWrite, ToRedisArgs, Value};

use super::{DUE, FEED, FEED_COUNTER, Keys};
use crate::store::{Commit, Error, Expected, Outcome, Receipt, Record, Seen, Token};

/// Positions and scores are doubles in Redis: exact up to here, and no real one comes near.
const EXACT_MAX: i64 = (1 << 53) - 1;
/// A hundred years: a longer time to live could overflow inside Redis, where the script must not fail.
const KEEP_S_MAX: u64 = 100 * 366 * 24 * 60 * 60;
/// Digits before the body of a feed record: its position.
const POSITION_LEN: usize = 16;

/// The counts, and the places of the keys of four writes.
const HEAD_LEN_USUAL: usize = 12 * 4;
/// Arguments of most calls, and the bytes of them that are none of the values: names, numbers, tokens and fingerprints.
const ARGS_USUAL: usize = 32;
const BESIDE_VALUES_USUAL: usize = 1024;

/// What a script around the commit script takes besides: after everything else.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) keys: Vec<String>,
    pub(super) args: Vec<String>,
}

/// The call of the commit script: `EVALSHA` with its hash, or `EVAL` with its text.
pub(super) fn commit_call(
    verb: &str,
    script: &str,
    keys: &Keys,
    commit: &Commit,
    beside: &Beside,
) -> Result<Cmd, Error> {
    let of = commit.partition;
    let done: Vec<u64> = commit.feed_done.iter().copied().filter(|at| *at <= EXACT_MAX.unsigned_abs()).collect();
    let in_order = (commit.receipts.iter().map(|new| &new.key))
        .chain(commit.expect.iter().map(|(key, _)| key))
        .chain(commit.appends.iter().map(|append| &append.log))
        .chain(commit.deltas.iter().map(|delta| &delta.key));
    let mut names: Vec<[&str; 2]> = Vec::with_capacity(16);
    for key in in_order {
        debug_assert!(key.partition == of, "`{}` lies outside the partition of its commit", key.name);
        names.push([keys.prefix(key.partition)?, &key.name]);
    }
    let prefix = keys.prefix(of)?;
    if !commit.feed.is_empty() || !done.is_empty() {
        names.extend([[prefix, FEED], [prefix, FEED_COUNTER]]);
    }
    if !commit.due.is_empty() {
        names.push([prefix, DUE]);
    }
    let mut head = Vec::with_capacity(HEAD_LEN_USUAL);
    for count in [
        commit.receipts.len(),
        commit.expect.len(),
        commit.appends.len(),
        commit.deltas.len(),
        commit.writes.len(),
        commit.feed.len(),
        done.len(),
        commit.due.len(),
    ] {
        head.extend(number(count)?);
    }
    for write in &commit.writes {
        // Most records that are written are expected, too: their keys are sent once.
        let place = match commit.expect.iter().position(|(key, _)| *key == write.key) {
            Some(at) => commit.receipts.len() + at,
            None => {
                names.push([keys.prefix(write.key.partition)?, &write.key.name]);
                names.len() - 1
            }
        };
        head.extend(number(place + 1)?);
    }

    let bodies = commit.writes.iter().filter_map(|write| write.record.as_ref()).map(|record| &record.body);
    let bodies = bodies.chain(commit.receipts.iter().map(|new| &new.receipt.body));
    let values = bodies.chain(commit.appends.iter().flat_map(|append| &append.entries)).chain(&commit.feed);
    let bytes = script.len() + values.map(Vec::len).sum::<usize>() + BESIDE_VALUES_USUAL;
    let mut call = Cmd::with_capacity(ARGS_USUAL, bytes);
    call.arg(verb).arg(script).arg(names.len() + beside.keys.len());
    for parts in names {
        call.arg(Joined(&parts.map(str::as_bytes)));
    }
    call.arg(&beside.keys).arg(head);
    put_stated(&mut call, commit);
    for append in &commit.appends {
        // There is no entry 0: it wraps to a length that no log has.
        call.arg(append.first_sequence.wrapping_sub(1)).arg(append.entries.len());
    }
    for delta in &commit.deltas {
        call.arg(delta.delta);
    }
    for write in &commit.writes {
        match &write.record {
            None => call.arg(""),
            // A record is stored as its token and its body.
            Some(record) => call.arg(Joined(&[&record.token.0, &record.body])),
        };
    }
    for bytes in commit.appends.iter().flat_map(|append| &append.entries).chain(&commit.feed) {
        call.arg(bytes);
    }
    call.arg(done);
    put_due(&mut call, commit);
    call.arg(&beside.args);
    Ok(call)
}

/// What a commit states first: its receipts, and the tokens that it expects.
pub(super) fn put_stated(call: &mut Cmd, commit: &Commit) {
    for new in &commit.receipts {
        let Receipt { fingerprint, body } = &new.receipt;
        call.arg(Joined(&[&receipt_head(fingerprint), fingerprint, body])).arg(new.keep_s.clamp(1, KEEP_S_MAX));
    }
    for (_, expected) in &commit.expect {
        match expected {
            Expected::Absent => call.arg(""),
            Expected::At(token) => call.arg(&token.0[..]),
        };
    }
}

/// What is due of a commit, which is its last.
pub(super) fn put_due(call: &mut Cmd, commit: &Commit) {
    for due in &commit.due {
        call.arg(&*due.subject);
        match due.at_ms {
            None => call.arg(""),
            Some(at_ms) => call.arg(at_ms.clamp(-EXACT_MAX, EXACT_MAX)),
        };
    }
}

/// A count or a place, as the script reads it.
pub(super) fn number(n: usize) -> Result<[u8; 4], Error> {
    u32::try_from(n)
        .map(u32::to_be_bytes)
        .map_err(|_| Error::Corrupt { what: "a commit of more than can be".to_owned() })
}

/// What the script answered.
pub(super) fn outcome(reply: Value, commit: &Commit) -> Result<Outcome, Error> {
    let parts: Vec<Option<Vec<u8>>> =
        ::redis::from_redis_value(reply).map_err(|_| odd("the commit script's answer"))?;
    let mut parts = parts.into_iter();
    match parts.next().flatten().as_deref() {
        Some(b"APPLIED") => Ok(Outcome::Applied),
        Some(b"SEEN") => seen(parts, commit),
        Some(b"CONFLICT") => {
            parts.map(|bytes| bytes.map(record).transpose()).collect::<Result<_, _>>().map(Outcome::Conflict)
        }
        Some(b"GUARD") => {
            let delta = parts.next().flatten().and_then(index).and_then(|index| commit.deltas.get(index));
            let delta = delta.ok_or_else(|| odd("the commit script's answer"))?;
            Ok(Outcome::GuardFailed { key: delta.key.clone(), left: quantity(parts.next().flatten())? })
        }
        Some(b"GAP") => {
            let append = parts.next().flatten().and_then(index).and_then(|index| commit.appends.get(index));
            let append = append.ok_or_else(|| odd("the commit script's answer"))?;
            let (log, first) = (&append.log.name, append.first_sequence);
            Err(Error::Corrupt { what: format!("`{log}` does not end before entry {first}") })
        }
        _ => Err(odd("the commit script's answer")),
    }
}

fn seen(mut parts: impl Iterator<Item = Option<Vec<u8>>>, commit: &Commit) -> Result<Outcome, Error> {
    let mut all = Vec::new();
    while let (Some(at), Some(stored)) = (parts.next().flatten(), parts.next().flatten()) {
        let index = index(at).ok_or_else(|| odd("the commit script's answer"))?;
        let new = commit.receipts.get(index).ok_or_else(|| odd("the commit script's answer"))?;
        all.push(Seen::of(index, receipt(stored)?, new));
    }
    Ok(Outcome::Seen(all))
}

/// One value whose parts lie apart.
pub(super) struct Joined<'a>(pub(super) &'a [&'a [u8]]);

impl ToRedisArgs for Joined<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut value = out.writer_for_next_arg();
        for part in self.0 {
            // To memory: that does not fail.
            let _ = value.write_all(part);
        }
    }
}

pub(super) fn record(bytes: Vec<u8>) -> Result<Record, Error> {
    let (token, body) = bytes.split_first_chunk::<{ Token::LEN }>().ok_or_else(|| odd("a record"))?;
    Ok(Record { token: Token(*token), body: body.to_vec() })
}

/// A receipt is stored as the length of its fingerprint in four bytes (big endian), the fingerprint and the body.
fn receipt_head(fingerprint: &[u8]) -> [u8; 4] {
    u32::try_from(fingerprint.len()).unwrap_or(u32::MAX).to_be_bytes() // Redis refuses a value this long
}

pub(super) fn receipt(bytes: Vec<u8>) -> Result<Receipt, Error> {
    let (len, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| odd("a receipt"))?;
    let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| odd("a receipt"))?;
    let (fingerprint, body) = rest.split_at_checked(len).ok_or_else(|| odd("a receipt"))?;
    Ok(Receipt { fingerprint: fingerprint.to_vec(), body: body.to_vec() })
}

/// A quantity is stored as the eight bytes of an `i64` that is not negative, big endian; absent is zero.
pub(super) fn quantity(bytes: Option<Vec<u8>>) -> Result<i64, Error> {
    let Some(bytes) = bytes else {
        return Ok(0);
    };
    let bytes: [u8; 8] = bytes.try_into().map_err(|_| odd("a quantity"))?;
    let left = i64::from_be_bytes(bytes);
    if left < 0 {
        return Err(odd("a quantity"));
    }
    Ok(left)
}

/// The position and the body of a feed record.
pub(super) fn feed_record(bytes: &[u8]) -> Result<(u64, Vec<u8>), Error> {
    let (digits, body) = bytes.split_at_checked(POSITION_LEN).ok_or_else(|| odd("a feed record"))?;
    let position = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    Ok((position.ok_or_else(|| odd("a feed record"))?, body.to_vec()))
}

fn index(digits: Vec<u8>) -> Option<usize> {
    String::from_utf8(digits).ok()?.parse().ok()
}

pub(super) fn odd(what: &str) -> Error {
    Error::Corrupt { what: format!("{what} cannot be what this program wrote") }
}
