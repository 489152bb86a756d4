//! Recently seen records, so that a warm write needs one trip. What it holds may be stale: every write is
//! committed under the tokens it was decided on, and a stale one is told so.

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::domain::account::{AccountState, MemberRecord, Person, UnitBook};
use crate::domain::referral::CodeOwner;
use crate::domain::time::{Instant, SECOND_MS};
use crate::store::{Key, Token};

/// An account or alias as last seen, with the token it was stored under.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) token: Token,
    pub(super) record: MemberRecord,
    /// Size as stored.
    pub(super) bytes: usize,
}

#[derive(Clone, Debug)]
struct ByBytes;

/// What an entry costs besides its record: key, list links, and of most accounts a unit and a person.
const OVERHEAD: usize = 512 + size_of::<UnitBook>() + size_of::<Person>();

impl Weighter<Key, Seen> for ByBytes {
    fn weight(&self, key: &Key, seen: &Seen) -> u64 {
        // What is empty takes a bit as stored, and its place as decoded; lots and the like a few times their stored size.
        (OVERHEAD + size_of::<AccountState>() + key.name.len() + 3 * seen.bytes) as u64
    }
}

/// Bounded in bytes.
#[derive(Debug)]
pub(super) struct Records {
    members: Cache<Key, Seen, ByBytes>,
    /// With the instant at which each was read.
    codes: Cache<Key, (CodeOwner, Instant)>,
}

const CODES_MAX: usize = 100_000;
/// For so long an instance may take a code whose owner another instance has erased; what that brings is forfeited.
const CODE_KEEP_MS: i64 = 60 * SECOND_MS;

impl Records {
    pub(super) fn new(bytes_max: u64) -> Records {
        let items = (bytes_max / 2_048).clamp(1, 10_000_000) as usize;
        Records { members: Cache::with_weighter(items, bytes_max, ByBytes), codes: Cache::new(CODES_MAX) }
    }

    pub(super) fn member(&self, key: &Key) -> Option<Seen> {
        self.members.get(key)
    }

    /// Keeps what was written, or what a conflict said is there.
    pub(super) fn keep(&self, key: Key, seen: Seen) {
        self.members.insert(key, seen);
    }

    /// Keeps what was read, unless more is known: a write may have overtaken the read. After the store has lost its
    /// tail the cache stays ahead of it until the next write, which a conflict puts right.
    pub(super) fn offer(&self, key: Key, seen: Seen) {
        let known = self.members.peek(&key);
        if known.is_none_or(|known| known.token.sequence() <= seen.token.sequence()) {
            self.members.insert(key, seen);
        }
    }

    pub(super) fn forget(&self, key: &Key) {
        self.members.remove(key);
    }

    /// A code never changes hands, but it is blocked when its owner is erased: so it is read again now and then.
    pub(super) fn code(&self, key: &Key, now: Instant) -> Option<CodeOwner> {
        let (owner, read_at) = self.codes.get(key)?;
        (read_at <= now && now < read_at.plus_ms(CODE_KEEP_MS)).then_some(owner)
    }

    pub(super) fn keep_code(&self, key: Key, owner: CodeOwner, now: Instant) {
        self.codes.insert(key, (owner, now));
    }

    pub(super) fn forget_code(&self, key: &Key) {
        self.codes.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::account::AccountState;
    use crate::domain::id::AccountId;
    use crate::store::Partition;

    fn at(sequence: u64) -> Seen {
        let account = AccountState::new(AccountId::parse("mia").expect("an id"));
        let record = MemberRecord::Account(Arc::new(account));
        Seen { token: Token::new(sequence, &[7; 32]), record, bytes: 100 }
    }

    /// A slow read once put an old record over the one that a write had just left.
    #[test]
    fn a_read_that_was_overtaken_replaces_nothing() {
        let records = Records::new(1 << 20);
        let key = Key { partition: Partition(3), name: "mia".into() };
        let sequence = || records.member(&key).map(|seen| seen.token.sequence());
        // kept?  sequence  then known
        for (written, given, expected) in [(false, 3, 3), (true, 5, 5), (false, 4, 5), (false, 6, 6), (true, 2, 2)] {
            if written {
                records.keep(key.clone(), at(given));
            } else {
                records.offer(key.clone(), at(given));
            }
            assert_eq!(sequence(), Some(expected), "{given}");
        }
    }
}
