//! The store port: compares and applies, and knows no rule of the business.
//!
//! A store holds named records, each under a [`Token`], plus receipts, logs, guarded quantities, a feed and a
//! due index. Two verbs carry the hot path: [`Store::load`] and [`Store::commit`]. A commit happens whole or
//! not at all, and at most once per receipt; every adapter passes the same conformance suite.

pub mod journal;
pub mod key;
pub mod memory;

pub mod embedded;
pub mod redis;

mod repeated;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use key::{Home, Key, Layout, Partition};

/// Which version of a record a decision was made on: the sequence of the account's last entry and the first
/// 16 bytes of its chain head. The hash is there because a store that lost its tail counts on from an earlier
/// number: a bare counter would let a decision made on the lost time line pass.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Token(pub [u8; Token::LEN]);

impl Token {
    /// Bytes: eight of sequence (big endian), sixteen of hash.
    pub const LEN: usize = 24;

    /// The token of a record written when its chain stood at `sequence` with this `head`.
    pub fn new(sequence: u64, head: &[u8; 32]) -> Token {
        let mut bytes = [0; Token::LEN];
        bytes[..8].copy_from_slice(&sequence.to_be_bytes());
        bytes[8..].copy_from_slice(&head[..16]);
        Token(bytes)
    }

    /// The sequence that the token names.
    pub fn sequence(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(bytes)
    }
}

/// A stored value with the version it was written under. The body is opaque to the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    pub token: Token,
    pub body: Vec<u8>,
}

/// The stored answer to one request id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// What the caller sent, hashed field by field; opaque to the store, compared byte by byte.
    pub fingerprint: Vec<u8>,
    /// The answer; opaque to the store.
    pub body: Vec<u8>,
}

/// A receipt to be written. It must not exist yet, else the commit is not applied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewReceipt {
    pub key: Key,
    pub receipt: Receipt,
    /// Seconds from the commit for which the receipt is kept, by the store's own clock; at least 1.
    pub keep_s: u64,
}

impl NewReceipt {
    /// When a receipt committed at `now_ms` is no longer kept; one kept for too long to count is kept forever.
    pub fn expires_at_ms(&self, now_ms: i64) -> i64 {
        let keep_s = i64::try_from(self.keep_s.max(1)).unwrap_or(i64::MAX);
        now_ms.saturating_add(keep_s.saturating_mul(1_000))
    }
}

/// What a decision assumed about a record it read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Expected {
    Absent,
    At(Token),
}

/// A record to put, or to delete when `record` is `None`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Write {
    pub key: Key,
    pub record: Option<Record>,
}

/// Entries to append to a log, in order. A log is numbered from 1 without gaps.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Append {
    pub log: Key,
    /// The number that the first of `entries` gets. The writer knows it from the record it expects at a token,
    /// so the adapter need not look it up; an adapter whose log ends elsewhere reports [`Error::Corrupt`].
    pub first_sequence: u64,
    pub entries: Vec<Vec<u8>>,
}

/// A change to a guarded quantity: what is left of a budget or a stock. An absent quantity counts as zero.
/// The commit is refused when the result would be below zero or above `i64::MAX`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delta {
    pub key: Key,
    pub delta: i64,
}

/// When the sweeper should next look at a subject; `None` takes it off the index.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Due {
    /// Names the subject within the partition (`program|account`); opaque to the store.
    pub subject: Box<str>,
    /// Unix milliseconds.
    pub at_ms: Option<i64>,
}

/// One unit of change to one partition: plain data, safe to resend.
///
/// Checked in this order: receipts (all absent), `expect` (all as stated), `appends` (each continues its log),
/// `deltas` (all within bounds). Then all of it happens, or none of it. No key appears twice within one of the lists.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Commit {
    /// Every key below lies in this partition.
    pub partition: Partition,
    pub receipts: Vec<NewReceipt>,
    pub expect: Vec<(Key, Expected)>,
    pub writes: Vec<Write>,
    pub appends: Vec<Append>,
    pub deltas: Vec<Delta>,
    /// Effects for other accounts, put on this partition's feed, in order.
    pub feed: Vec<Vec<u8>>,
    /// Positions on this partition's feed that are delivered and leave it; an unknown position is ignored.
    pub feed_done: Vec<u64>,
    pub due: Vec<Due>,
}

/// A receipt that was there before the commit came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Index into [`Commit::receipts`].
    pub index: usize,
    pub receipt: Receipt,
    /// Whether the fingerprints are equal: a replay. Otherwise the id was used for something else.
    pub same_content: bool,
}

impl Seen {
    /// Compares what is stored with what was about to be written.
    pub fn of(index: usize, stored: Receipt, new: &NewReceipt) -> Seen {
        let same_content = stored.fingerprint == new.receipt.fingerprint;
        Seen { index, receipt: stored, same_content }
    }
}

/// What became of a commit. In every case but `Applied` nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    Applied,
    /// One or more receipts existed: all of those, by index. Replayed or reused, as each says.
    Seen(Vec<Seen>),
    /// At least one expectation failed: every expected record as it stands, in the order of `expect`.
    Conflict(Vec<Option<Record>>),
    /// A quantity would leave its bounds; the first such key, and what is left of it.
    GuardFailed {
        key: Key,
        left: i64,
    },
}

/// An effect on a feed that awaits delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeedItem {
    pub partition: Partition,
    /// Rises within a partition; has gaps once items are done.
    pub position: u64,
    pub body: Vec<u8>,
}

/// A subject that is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueItem {
    pub partition: Partition,
    pub subject: Box<str>,
    pub at_ms: i64,
}

/// The most that a walk shows of one partition: a crowded one keeps no other waiting.
pub const PER_PARTITION_MAX: usize = 64;

/// Part of a walk over all partitions. A walk visits each partition once, so it ends even if nobody acts on
/// what it shows; what a crowded partition has beyond [`PER_PARTITION_MAX`] is seen by the next walk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the walk goes on, always past the start given; `None` at its end.
    pub next: Option<Partition>,
}

/// Reads the time in Unix milliseconds: what a store that shares this machine's clock lets receipts expire by.
pub type ClockMs = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Why a store could not answer. Carries no driver text outward: that is logged where it happens.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was sent, or certainly nothing was applied. Try again later.
    #[error("the store is unavailable")]
    Unavailable,
    /// A write was sent and no answer came: it may have been applied. Resend the same commit to learn.
    #[error("the outcome of the write is unknown")]
    OutcomeUnknown,
    /// Stored data cannot be what this program wrote.
    #[error("stored data is damaged: {what}")]
    Corrupt { what: String },
    /// The data was written by a newer version of this program.
    #[error("the store has format {found}, this program knows up to {known}")]
    SchemaTooNew { found: u32, known: u32 },
    /// The store belongs to a deployment with other fixed settings.
    #[error("the store was created with {setting} = {found}, this instance is set to {wanted}")]
    OtherDeployment { setting: &'static str, found: String, wanted: String },
    /// Certainly nothing was applied: what the commit names has moved to another server, or is about to. Send it again.
    #[error("the data is moving to another server")]
    Moved,
    /// What the store stands on cannot keep its promise.
    #[error("the store cannot be used: {what}")]
    Unfit { what: String },
}

impl Error {
    /// An append that does not continue its log, which ends at `last` (0: it is empty).
    pub(crate) fn log_gap(append: &Append, last: u64) -> Error {
        let Append { log, first_sequence, .. } = append;
        Error::Corrupt { what: format!("log `{}` ends at {last}, so {first_sequence} does not follow", log.name) }
    }
}

/// Where accounts live. Adapters know neither rules nor what a body means.
#[async_trait]
pub trait Store: Send + Sync {
    /// The named records of one partition, read at one instant, in the order asked; `None` where absent.
    async fn load(&self, partition: Partition, keys: &[Key]) -> Result<Vec<Option<Record>>, Error>;

    /// All of `commit` or none of it; at most once per receipt. Safe to resend: a resend answers
    /// [`Outcome::Seen`] with what was stored first. `Applied` means durable as the adapter's contract states.
    async fn commit(&self, commit: &Commit) -> Result<Outcome, Error>;

    /// The receipt under a key, if it is still kept.
    async fn receipt(&self, key: &Key) -> Result<Option<Receipt>, Error>;

    /// Up to `limit` entries of a log from `from_sequence` on, in order.
    async fn entries(&self, log: &Key, from_sequence: u64, limit: usize) -> Result<Vec<Vec<u8>>, Error>;

    /// What is left of a guarded quantity.
    async fn left(&self, key: &Key) -> Result<i64, Error>;

    /// Up to `limit` undelivered effects of one partition, oldest first.
    async fn feed(&self, partition: Partition, limit: usize) -> Result<Vec<FeedItem>, Error>;

    /// Undelivered effects of all partitions from `from` on: about `limit` (at least 1), the oldest of each
    /// partition, at most `limit` and 64 of any one.
    async fn feed_page(&self, from: Partition, limit: usize) -> Result<Page<FeedItem>, Error>;

    /// Subjects due at or before `through_ms` in partitions from `from` on: about `limit` (at least 1), the earliest
    /// of each partition first, at most `limit` and 64 of any one.
    async fn due_page(&self, from: Partition, through_ms: i64, limit: usize) -> Result<Page<DueItem>, Error>;

    /// The store's own clock in Unix milliseconds, or `None` when it shares this machine's.
    async fn now_ms(&self) -> Result<Option<i64>, Error>;

    /// Whether the store can serve now.
    async fn ping(&self) -> Result<(), Error>;

    /// Round trips made for [`Store::load`] and [`Store::commit`] since the start, for tests and metrics.
    fn trips(&self) -> u64;

    /// A short name for logs and metrics: `memory`, `embedded`, `redis`.
    fn name(&self) -> &'static str;
}
