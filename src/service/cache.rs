//! Recently seen records, so that a warm write needs one trip. What it holds may be stale: every write is
//! committed under the tokens it was decided on, and a stale one is told so.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::domain::account::MemberRecord;
use crate::domain::decide::CodeOwner;
use crate::store::{Key, Token};

/// An account or alias as last seen, with the token it was stored under.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) token: Token,
    pub(super) record: Arc<MemberRecord>,
    /// Size as stored.
    pub(super) bytes: usize,
}

#[derive(Clone, Debug)]
struct ByBytes;

/// What an entry costs besides its record: key, list links, decoded vectors.
const OVERHEAD: usize = 512;

impl Weighter<Key, Seen> for ByBytes {
    fn weight(&self, key: &Key, seen: &Seen) -> u64 {
        // A decoded record takes a few times its stored size.
        (OVERHEAD + key.name.len() + 3 * seen.bytes) as u64
    }
}

/// Bounded in bytes.
#[derive(Debug)]
pub(super) struct Records {
    members: Cache<Key, Seen, ByBytes>,
    codes: Cache<Key, CodeOwner>,
}

const CODES_MAX: usize = 100_000;

impl Records {
    pub(super) fn new(bytes_max: u64) -> Records {
        let items = (bytes_max / 2_048).clamp(1, 10_000_000) as usize;
        Records { members: Cache::with_weighter(items, bytes_max, ByBytes), codes: Cache::new(CODES_MAX) }
    }

    pub(super) fn member(&self, key: &Key) -> Option<Seen> {
        self.members.get(key)
    }

    pub(super) fn keep(&self, key: Key, seen: Seen) {
        self.members.insert(key, seen);
    }

    pub(super) fn forget(&self, key: &Key) {
        self.members.remove(key);
    }

    /// A code never changes hands, so what is known of it stays true.
    pub(super) fn code(&self, key: &Key) -> Option<CodeOwner> {
        self.codes.get(key)
    }

    pub(super) fn keep_code(&self, key: Key, owner: CodeOwner) {
        self.codes.insert(key, owner);
    }
}
