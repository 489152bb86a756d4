//! What projections of the feed have in common: how their items are told from effects, how a fold ends, and how what all
//! partitions hold is read.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::write::{read, send};
use super::{Error, Inner};
use crate::domain::ledger::{DecodeError, decode, encode};
use crate::store::{Commit, Key, Outcome, Partition};

/// Readers of partitions at a time, for one call.
const READERS: u16 = 16;

/// The first byte of an item on the feed that is for a projection. Effects begin with their format, which is another.
#[derive(Clone, Copy)]
pub(super) struct Mark(u8);

impl Mark {
    /// Each projection has a letter of its own: they are stored, so none is ever given to another.
    pub(super) const ACCRUALS: Mark = Mark(b'a');
    pub(super) const AUDIT: Mark = Mark(b'u');
    pub(super) const BOARDS: Mark = Mark(b'b');
    pub(super) const NOTICES: Mark = Mark(b'n');
    pub(super) const STATS: Mark = Mark(b's');
    pub(super) const TREES: Mark = Mark(b't');

    /// An item, as it goes on the feed.
    pub(super) fn item<T: Serialize>(self, told: &T) -> Vec<u8> {
        let mut body = vec![self.0];
        body.extend(encode(told));
        body
    }

    pub(super) fn is_on(self, body: &[u8]) -> bool {
        body.first() == Some(&self.0)
    }

    /// What an item of this mark says; one of another cannot be read.
    pub(super) fn read<T: DeserializeOwned>(self, body: &[u8]) -> Result<T, DecodeError> {
        decode(body.strip_prefix(&[self.0]).unwrap_or_default())
    }
}

/// Sends the commit of a fold; answers how many items left the feed.
///
/// # Errors
/// [`Error::Contention`] where somebody else folds the same partition. Records know up to which position they have the feed, so
/// nothing further on may be folded before what is left here was: the next walk begins there.
pub(super) async fn settle(inner: &Inner, commit: &Commit) -> Result<u64, Error> {
    match send(inner, commit, &mut 0).await? {
        Outcome::Applied => Ok(commit.feed_done.len() as u64),
        Outcome::Conflict(_) => Err(Error::Contention),
        Outcome::Seen(_) | Outcome::GuardFailed { .. } => {
            Err(Error::Internal("a projection met a condition that it did not state".to_owned()))
        }
    }
}

/// The records that partitions have under the key that `key` gives for each, read by a few at a time.
pub(super) async fn of_all_partitions<T, K>(inner: &Arc<Inner>, key: K) -> Result<Vec<T>, Error>
where
    T: DeserializeOwned + Send + 'static,
    K: Fn(Partition) -> Key + Clone + Send + Sync + 'static,
{
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let (inner, key) = (Arc::clone(inner), key.clone());
        readers.spawn(async move {
            let mut records = Vec::new();
            for partition in (reader..inner.layout.partitions()).step_by(usize::from(READERS)).map(Partition) {
                let key = key(partition);
                let found = inner.store.load(partition, std::slice::from_ref(&key)).await?;
                let found = read::<T>(&key, found.into_iter().next().flatten())?;
                records.extend(found.map(|(_, record)| record));
            }
            Ok::<_, Error>(records)
        });
    }
    let mut all = Vec::new();
    while let Some(read) = readers.join_next().await {
        let read = read.map_err(|_| Error::Internal("a reader of partitions stopped".to_owned()))?;
        all.extend(read?);
    }
    Ok(all)
}
