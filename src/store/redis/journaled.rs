//! Redis with a local journal: what was acknowledged and Redis has lost is brought back by the instances that have it.
//!
//! Redis numbers what it applies, by partition. When it restarts or another master serves, no partition is open in that
//! *life* of the server, and the script refuses: nothing is read and nothing written there until every instance that is
//! alive has applied again, in the order of the numbers, what the survivor lacks. What survives is the beginning of what
//! there was, so what is applied again meets the very records that it met before.

mod recovery;
mod safe;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::Value;
use tokio::sync::{Notify, RwLock, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::link::{Failed, Link, Live, Sent};
use super::route::Router;
use super::wire::{self, Beside};
use super::{Keys, SCRIPT};
use crate::store::journal::{Journal, Number, Reapply};
use crate::store::{Commit, Error, Outcome, Partition};

const FENCE: &str = include_str!("journaled/fence.lua");

/// What is settled about journals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct JournalTerms {
    /// How long a call waits for its partition to be open again.
    pub(super) patience: Duration,
    /// How long an instance that does not answer any more is waited for.
    pub(super) wait: Duration,
    /// For so long commits are kept beyond the moment in which Redis is known to write to disk and to its replicas.
    pub(super) keep: Duration,
}

/// The part of the store that goes with a journal.
pub(super) struct Journaled {
    journal: Arc<Journal>,
    router: Arc<Router>,
    keys: Arc<Keys>,
    reapply: Arc<dyn Reapply>,
    terms: JournalTerms,
    script: String,
    script_hash: String,
    /// By partition: in which life of its server it is open, as far as is known here; 0: in none.
    opened: Vec<AtomicU64>,
    /// By partition: the highest number that was heard of.
    seen: Vec<AtomicU64>,
    /// Commits that are on their way hold it; whoever reads the journal waits for them.
    busy: RwLock<()>,
    /// Tells that partitions were opened, or that they cannot be.
    changed: watch::Sender<u64>,
    /// Asks for partitions to be looked after.
    wake: Notify,
    /// Whether all partitions were open when last looked at.
    whole: AtomicBool,
    /// Why nothing can be opened, until somebody does something about it.
    unfit: Mutex<Option<String>>,
}

/// Ends the work in the background with the store.
pub(super) struct Keeper {
    _stop: DropGuard,
}

/// What the fenced script answered.
enum Fenced {
    Applied(Number),
    Closed,
    Other(Outcome),
}

impl Journaled {
    pub(super) fn new(
        journal: Arc<Journal>,
        reapply: Arc<dyn Reapply>,
        terms: JournalTerms,
        router: Arc<Router>,
        keys: Arc<Keys>,
    ) -> Journaled {
        let script = behind(FENCE);
        let layout = keys.layout;
        let per_partition = || (0..layout.partitions()).map(|_| AtomicU64::new(0)).collect();
        Journaled {
            journal,
            router,
            keys,
            reapply,
            terms,
            script_hash: ::redis::Script::new(&script).get_hash().to_owned(),
            script,
            opened: per_partition(),
            seen: per_partition(),
            busy: RwLock::new(()),
            changed: watch::Sender::new(0),
            wake: Notify::new(),
            whole: AtomicBool::new(false),
            unfit: Mutex::new(None),
        }
    }

    /// Starts what keeps partitions open, for as long as the guard lives.
    pub(super) fn start(self: &Arc<Journaled>) -> Keeper {
        let stop = CancellationToken::new();
        let (journaled, token) = (Arc::clone(self), stop.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "it ends with the store, and holds no write that drain must wait for"
        )]
        tokio::spawn(async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = recovery::keep(&journaled) => {}
            }
        });
        Keeper { _stop: stop.drop_guard() }
    }

    /// Whether everything can be served.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while partitions are not open or the journal takes nothing; [`Error::Unfit`] when they
    /// cannot be opened.
    pub(super) fn ready(&self) -> Result<(), Error> {
        if let Some(what) = self.unfit.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Err(Error::Unfit { what });
        }
        if self.whole.load(Ordering::Acquire) && self.journal.is_well() { Ok(()) } else { Err(Error::Unavailable) }
    }

    /// Lets through to a partition once it is open in the life of the server that the link leads to; waits a little.
    pub(super) async fn pass(&self, partition: Partition, link: &Link) -> Result<(), Error> {
        if self.is_open(partition, &*link.live().await?) {
            return Ok(());
        }
        let mut changed = self.changed.subscribe();
        let opened = async {
            loop {
                changed.mark_unchanged();
                if self.is_open(partition, &*link.live().await?) {
                    return Ok(());
                }
                self.wake.notify_one();
                if changed.changed().await.is_err() {
                    return Err(Error::Unavailable);
                }
            }
        };
        tokio::time::timeout(self.terms.patience, opened).await.unwrap_or(Err(Error::Unavailable))
    }

    fn is_open(&self, partition: Partition, live: &Live) -> bool {
        let opened = self.opened.get(usize::from(partition.0));
        opened.is_some_and(|opened| opened.load(Ordering::Acquire) == life(live))
    }

    fn close(&self, partition: Partition) {
        if let Some(opened) = self.opened.get(usize::from(partition.0)) {
            opened.store(0, Ordering::Release);
        }
        self.whole.store(false, Ordering::Release);
        self.wake.notify_one();
    }

    /// Applies a commit; it is acknowledged once Redis has applied it and the journal has it on disk.
    pub(super) async fn commit(&self, commit: &Commit, trips: &AtomicU64) -> Result<Outcome, Error> {
        let link = self.router.of(self.keys.slot(commit.partition)?).await?;
        self.pass(commit.partition, &link).await?;
        let _busy = self.busy.read().await;
        let live = link.live().await?;
        if !self.is_open(commit.partition, &live) {
            return Err(Error::Moved);
        }
        self.commit_over(&link, &live, commit, trips).await
    }

    /// The same over this connection, whether or not it is known here that the partition is open.
    async fn commit_over(
        &self,
        link: &Link,
        live: &Arc<Live>,
        commit: &Commit,
        trips: &AtomicU64,
    ) -> Result<Outcome, Error> {
        let written = self.journal.send(commit)?;
        match self.send(link, live, commit, trips).await {
            Ok(Fenced::Applied(number)) => {
                self.journal.applied(written.id, commit.partition, number)?;
                if let Some(seen) = self.seen.get(usize::from(commit.partition.0)) {
                    seen.fetch_max(number.sequence, Ordering::AcqRel);
                }
                if !self.journal.synced(written.through).await {
                    return Err(Error::OutcomeUnknown);
                }
                Ok(Outcome::Applied)
            }
            Ok(Fenced::Closed) => {
                self.journal.settled(written.id);
                self.close(commit.partition);
                Err(Error::Moved)
            }
            Ok(Fenced::Other(outcome)) => {
                self.journal.settled(written.id);
                Ok(outcome)
            }
            Err(error) => {
                // What may have been applied is kept: it is tried again should Redis lose what it did meanwhile.
                if error != Error::OutcomeUnknown {
                    self.journal.settled(written.id);
                }
                Err(error)
            }
        }
    }

    async fn send(&self, link: &Link, live: &Arc<Live>, commit: &Commit, trips: &AtomicU64) -> Result<Fenced, Error> {
        let seen = self.seen.get(usize::from(commit.partition.0)).map_or(0, |seen| seen.load(Ordering::Acquire));
        let beside = self.beside(commit.partition, live, vec![seen.to_string()])?;
        let call = wire::commit_call("EVALSHA", &self.script_hash, &self.keys, commit, &beside)?;
        trips.fetch_add(1, Ordering::Relaxed);
        let reply = match link.call(live, &call, Sent::Write).await {
            Err(Failed::NoScript) => {
                let call = wire::commit_call("EVAL", &self.script, &self.keys, commit, &beside)?;
                trips.fetch_add(1, Ordering::Relaxed);
                link.call(live, &call, Sent::Write).await?
            }
            reply => reply?,
        };
        if let Value::Array(words) = &reply {
            match words.as_slice() {
                [Value::BulkString(word)] if word == b"CLOSED" => return Ok(Fenced::Closed),
                [Value::BulkString(word), Value::BulkString(epoch), Value::BulkString(sequence)]
                    if word == b"APPLIED" =>
                {
                    let odd = || wire::odd("the commit script's answer");
                    let (epoch, sequence) = number(epoch).zip(number(sequence)).ok_or_else(odd)?;
                    return Ok(Fenced::Applied(Number { epoch, sequence }));
                }
                _ => {}
            }
        }
        Ok(Fenced::Other(wire::outcome(reply, commit)?))
    }

    /// What a script is told of a partition besides the commit.
    fn beside(&self, partition: Partition, live: &Live, more: Vec<String>) -> Result<Beside, Error> {
        let keys = vec![self.keys.life(partition)?, self.keys.sequence(partition)?];
        Ok(Beside { keys, args: std::iter::once(live.run_id.to_string()).chain(more).collect() })
    }
}

/// The commit script as a function, and what goes behind it.
fn behind(rest: &str) -> String {
    format!("local function commit()\n{SCRIPT}\nend\n{rest}")
}

/// A life of a server in eight bytes: the beginning of its `run_id`, which is random; never 0.
fn life(live: &Live) -> u64 {
    let head = live.run_id.get(..16).and_then(|head| u64::from_str_radix(head, 16).ok());
    head.unwrap_or_default().max(1)
}

fn number<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
