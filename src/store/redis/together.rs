//! Commits that come at the same time go to Redis in one call.
//!
//! What a script costs before it does anything, and what each command costs that it calls, is shared by all commits of one
//! call (`redis/together.lua`). Each of them is applied or not by itself, as if it came alone. That goes for commits of the
//! usual shape, which lie in different partitions and so have no key in common; all others go by themselves.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use ::redis::{Arg, Cmd, Value};
use tokio::sync::oneshot;

use super::link::{Failed, Link, Live, Sent};
use super::wire::{Joined, number, put_due, put_stated};
use super::{DUE, Keys};
use crate::store::{Commit, Error, Partition};
use crate::stream::to_the_end_of_the_queue;

pub(super) const SCRIPT: &str = concat!(include_str!("told.lua"), include_str!("together.lua"));
static SCRIPT_HASH: LazyLock<String> = LazyLock::new(|| ::redis::Script::new(SCRIPT).get_hash().to_owned());

/// What the script answers for a commit that it has applied.
const APPLIED: Value = Value::Int(1);
/// Commits of one call: what Redis does in a fraction of a millisecond, for meanwhile it does nothing else.
const COMMITS_MAX: usize = 16;
/// Keys, entries and due subjects of a commit of the usual shape: a call is far from what Lua's stack takes.
const PARTS_MAX: usize = 64;
/// Bytes of a call to which no further commit is added.
const BYTES_MAX: usize = 64 * 1024;
/// Keys and values of most commits, and the bytes of those that are neither records nor entries.
const PARTS_USUAL: usize = 16;
const BESIDE_VALUES_USUAL: usize = 512;

/// A commit of the usual shape, as it goes into a call: nothing but receipts, records that are expected and written, entries
/// of one log, and what is due.
pub(super) struct Usual {
    partition: Partition,
    head: [u8; 16],
    keys: usize,
    /// The keys, then the values.
    parts: Cmd,
}

impl Usual {
    /// `None`: it is of another shape.
    pub(super) fn of(keys: &Keys, commit: &Commit) -> Result<Option<Usual>, Error> {
        let Commit { partition, receipts, expect, writes, appends, deltas, feed, feed_done, due } = commit;
        let [append] = appends.as_slice() else { return Ok(None) };
        let few = [receipts.len(), expect.len(), append.entries.len(), due.len()].iter().all(|len| *len <= PARTS_MAX);
        let nothing_else = deltas.is_empty() && feed.is_empty() && feed_done.is_empty();
        if !few || !nothing_else || append.entries.is_empty() || writes.len() != expect.len() {
            return Ok(None);
        }
        let mut records = Vec::with_capacity(writes.len());
        for ((expected, _), write) in expect.iter().zip(writes) {
            match &write.record {
                Some(record) if *expected == write.key => records.push(record),
                _ => return Ok(None),
            }
        }

        let values = records.iter().map(|record| record.body.len()).chain(append.entries.iter().map(Vec::len));
        let values = values.chain(receipts.iter().map(|new| new.receipt.body.len()));
        let mut parts = Cmd::with_capacity(PARTS_USUAL, values.sum::<usize>() + BESIDE_VALUES_USUAL);
        let named = receipts.iter().map(|new| &new.key).chain(expect.iter().map(|(key, _)| key)).chain([&append.log]);
        for key in named {
            debug_assert!(key.partition == *partition, "`{}` lies outside the partition of its commit", key.name);
            parts.arg(Joined(&[keys.prefix(key.partition)?.as_bytes(), key.name.as_bytes()]));
        }
        if !due.is_empty() {
            parts.arg(Joined(&[keys.prefix(*partition)?.as_bytes(), DUE.as_bytes()]));
        }
        let keys = receipts.len() + expect.len() + 1 + usize::from(!due.is_empty());
        let mut head = [0; 16];
        let counts = [receipts.len(), records.len(), append.entries.len(), due.len()];
        for (into, count) in head.chunks_exact_mut(4).zip(counts) {
            into.copy_from_slice(&number(count)?);
        }

        put_stated(&mut parts, commit);
        for record in records {
            parts.arg(Joined(&[&record.token.0, &record.body]));
        }
        // There is no entry 0: it wraps to a length that no log has.
        parts.arg(append.first_sequence.wrapping_sub(1));
        for entry in &append.entries {
            parts.arg(entry);
        }
        put_due(&mut parts, commit);
        Ok(Some(Usual { partition: *partition, head, keys, parts }))
    }

    fn bytes(&self) -> usize {
        self.arguments().map(<[u8]>::len).sum()
    }

    fn arguments(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.args_iter().map(|part| match part {
            Arg::Simple(bytes) => bytes,
            _ => &[],
        })
    }
}

/// What became of one commit of a call.
pub(super) enum Answer {
    Applied,
    /// What the script for one commit answers.
    Told(Value),
    /// Nothing was written: tried by itself it tells why.
    ByItself,
}

struct Waiting {
    usual: Usual,
    answer: oneshot::Sender<Result<Answer, Failed>>,
}

/// What of one connection goes together.
#[derive(Default)]
pub(super) struct Together {
    /// Who waits for the others of a call.
    waiting: Mutex<Vec<Waiting>>,
    /// Set when the server takes only keys of one slot in one call, as a node of a cluster does, and what stands before one.
    apart: AtomicBool,
}

impl Together {
    /// Sends a commit once, with those that come before all tasks that are ready now have had their turn.
    pub(super) async fn commit(
        link: &Arc<Link>,
        live: &Arc<Live>,
        usual: Usual,
        trips: &Arc<AtomicU64>,
    ) -> Result<Answer, Failed> {
        // While the server refuses, each would be tried twice.
        if live.together.apart.load(Ordering::Relaxed) || link.is_refusing() {
            return Ok(Answer::ByItself);
        }
        let (answer, answered) = oneshot::channel();
        let first = {
            let mut waiting = live.together.waiting();
            waiting.push(Waiting { usual, answer });
            waiting.len() == 1
        };
        if first {
            let (link, live, trips) = (Arc::clone(link), Arc::clone(live), Arc::clone(trips));
            #[expect(clippy::disallowed_methods, reason = "a drain waits for those who wait for their answers")]
            tokio::spawn(async move {
                to_the_end_of_the_queue().await;
                let waiting = std::mem::take(&mut *live.together.waiting());
                let calls = calls(waiting).into_iter().map(|call| send(&link, &live, call, &trips));
                futures_util::future::join_all(calls).await;
            });
        }
        // Without an answer the runtime has ended, and nobody knows how far it came.
        answered.await.unwrap_or(Err(Failed::Store(Error::OutcomeUnknown)))
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shares commits out to calls, in their order: none has two of a partition.
fn calls(waiting: Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let mut calls: Vec<(Vec<Waiting>, usize)> = Vec::new();
    for commit in waiting {
        let takes = |(call, bytes): &&mut (Vec<Waiting>, usize)| {
            let same_partition = |other: &Waiting| other.usual.partition == commit.usual.partition;
            call.len() < COMMITS_MAX && *bytes < BYTES_MAX && !call.iter().any(same_partition)
        };
        let bytes = commit.usual.bytes();
        match calls.iter_mut().find(takes) {
            Some((call, sum)) => {
                call.push(commit);
                *sum += bytes;
            }
            None => calls.push((vec![commit], bytes)),
        }
    }
    calls.into_iter().map(|(call, _)| call).collect()
}

/// Sends one call, and tells each of its commits what became of it.
async fn send(link: &Link, live: &Arc<Live>, commits: Vec<Waiting>, trips: &AtomicU64) {
    trips.fetch_add(1, Ordering::Relaxed);
    let answer = match link.call(live, &call("EVALSHA", &SCRIPT_HASH, &commits), Sent::Writes).await {
        // Redis dropped its scripts: nothing was applied. The text goes along this once.
        Err(Failed::NoScript) => {
            trips.fetch_add(1, Ordering::Relaxed);
            link.call(live, &call("EVAL", SCRIPT, &commits), Sent::Writes).await
        }
        answer => answer,
    };
    match answer {
        Ok(Value::Array(answers)) if answers.len() == commits.len() => {
            if answers.contains(&APPLIED) {
                link.took_a_write();
            }
            for (commit, answer) in commits.into_iter().zip(answers) {
                let answer = match answer {
                    APPLIED => Answer::Applied,
                    Value::Nil => Answer::ByItself,
                    told => Answer::Told(told),
                };
                // Whoever has left is told nothing.
                let _ = commit.answer.send(Ok(answer));
            }
        }
        Err(Failed::CrossSlot) => {
            live.together.apart.store(true, Ordering::Relaxed);
            for commit in commits {
                let _ = commit.answer.send(Ok(Answer::ByItself));
            }
        }
        Ok(_) => tell_all(commits, &Failed::Store(super::wire::odd("the answer to commits"))),
        Err(failed) => tell_all(commits, &failed),
    }
}

fn tell_all(commits: Vec<Waiting>, failed: &Failed) {
    for commit in commits {
        let _ = commit.answer.send(Err(failed.clone()));
    }
}

fn call(verb: &str, script: &str, commits: &[Waiting]) -> Cmd {
    let commits = || commits.iter().map(|commit| &commit.usual);
    let bytes = script.len() + commits().map(|usual| usual.bytes() + usual.head.len()).sum::<usize>();
    let parts = commits().map(|usual| usual.parts.args_iter().len()).sum::<usize>();
    let mut call = Cmd::with_capacity(parts + 4, bytes + 32);
    call.arg(verb).arg(script).arg(commits().map(|usual| usual.keys).sum::<usize>());
    for usual in commits() {
        for key in usual.arguments().take(usual.keys) {
            call.arg(key);
        }
    }
    let heads: Vec<&[u8]> = commits().map(|usual| &usual.head[..]).collect();
    call.arg(Joined(&heads));
    for usual in commits() {
        for value in usual.arguments().skip(usual.keys) {
            call.arg(value);
        }
    }
    call
}
