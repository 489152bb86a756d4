//! Slices of limits over all members: parts of a large one that lie beside the accounts, so that a commit takes from its
//! slice with no further trip.
//!
//! The pool (what [`super::quotas`] keeps) says in one record how much it has given to the slice of each partition, ever,
//! and how much has come back, ever; beside the accounts lies how much of that the slice has taken in and given back. Each
//! step changes one side and is found again by comparing the sums, so one that dies in between is finished by whoever comes
//! next, and nothing is counted twice or lost. What lies in slices is not in the pool, so the two together never exceed the
//! limit.
//!
//! Slices are of one version's capacity: should the capacity change, they are left behind, and come back to the pool when
//! it runs short. That a limit is used up is the pool's answer alone, once every slice has given back what it had.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::drums::Drum;
use super::quotas::{Definition, record};
use super::write::{read, send};
use super::{Error, Inner};
use crate::domain::command::{Overdrawn, StockBack};
use crate::domain::quota::{OutstandingChange, QuotaKey, Want};
use crate::domain::time::Instant;
use crate::store::{Commit, Delta, Expected, Key, Outcome, Partition, Token, Write};

/// A slice is worth having from so many awards on; a smaller limit is served by its pool alone.
const AWARDS_MIN: i64 = 8;
/// All slices together are given at most one part in so many of what the pool has left.
const SHARE: i64 = 4;
/// What comes back lies in a slice of no version: nobody takes from it, so that it makes up first for what more was
/// granted than there is now.
const RETURNED: Instant = Instant(i64::MIN);
/// Where it is summed up what was used although nothing was set aside: no slice, for nothing can be taken from it.
const OVERDRAWN: Instant = Instant(i64::MIN + 1);
/// How often a step is tried while others take theirs.
const ATTEMPTS_MAX: usize = 64;
/// A pool that is too small for slices is asked again after so many wants: it may have been enlarged.
const DIRECT_FOR: u32 = 256;
/// Slices that an instance remembers; more are asked for anew.
const KNOWN_MAX: usize = 65_536;
/// Slices that give back at the same time.
const AT_ONCE: usize = 16;

/// What the pool has given and got back, by the version whose capacity it is of, and the slice's partition.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Ledger {
    slices: BTreeMap<(Instant, u16), Given>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Given {
    /// Ever.
    given: i64,
    back: i64,
    /// It has given back all that it had.
    drained: bool,
    /// How often something came back to it that had been taken, or more often.
    returns: u64,
}

/// The other side of it, beside the accounts. What the slice holds is a guarded quantity of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Slice {
    /// Of what the pool has given, ever.
    taken_in: i64,
    given_back: i64,
}

/// Whoever holds it goes on, the others wait.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// What this instance knows of slices. Hints: what is wrong costs a trip, for each taking is guarded by the store.
#[derive(Default)]
pub(super) struct Slices {
    /// By key of the quantity: what it held when last heard of.
    known: Mutex<HashMap<Key, i64>>,
    /// Quotas that are served by their pools, for so many wants.
    direct: Mutex<HashMap<QuotaKey, u32>>,
    /// One at a time gives or drains slices of a quota, and one at a time fills the slice of a partition.
    turns: Mutex<HashMap<(QuotaKey, Option<Partition>), Turn>>,
    /// What is noted as paused. A pause is never taken back: who goes on does so under another name.
    paused: Mutex<HashSet<QuotaKey>>,
}

impl Slices {
    fn holds(&self, key: &Key) -> i64 {
        lock(&self.known).get(key).copied().unwrap_or(0)
    }

    /// Notes what a slice holds.
    pub(super) fn heard(&self, key: Key, left: i64) {
        let mut known = lock(&self.known);
        if KNOWN_MAX <= known.len() && !known.contains_key(&key) {
            known.clear();
        }
        known.insert(key, left);
    }

    /// Notes what a commit has taken.
    pub(super) fn took(&self, deltas: &[Delta]) {
        let mut known = lock(&self.known);
        for Delta { key, delta } in deltas {
            if let Some(left) = known.get_mut(key) {
                *left = left.saturating_add(*delta);
            }
        }
    }

    fn is_direct(&self, quota: &QuotaKey) -> bool {
        let mut direct = lock(&self.direct);
        match direct.get_mut(quota) {
            Some(wants) if 0 < *wants => {
                *wants -= 1;
                true
            }
            _ => false,
        }
    }

    fn serve_directly(&self, quota: &QuotaKey) {
        let mut direct = lock(&self.direct);
        if KNOWN_MAX <= direct.len() {
            direct.clear();
        }
        direct.insert(quota.clone(), DIRECT_FOR);
    }

    pub(super) fn is_paused(&self, quota: &QuotaKey) -> bool {
        lock(&self.paused).contains(quota)
    }

    pub(super) fn pause(&self, quota: &QuotaKey) {
        lock(&self.paused).insert(quota.clone());
    }

    fn turn(&self, quota: &QuotaKey, partition: Option<Partition>) -> Turn {
        let mut turns = lock(&self.turns);
        if KNOWN_MAX <= turns.len() {
            turns.retain(|_, turn| 1 < Arc::strong_count(turn));
        }
        Arc::clone(turns.entry((quota.clone(), partition)).or_default())
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A slice that is known to hold enough for a want, without a trip.
pub(super) fn at_hand(inner: &Inner, want: &Want, partition: Partition) -> Option<Key> {
    let key = inner.layout.slice_left(&want.quota, want.since, partition);
    (want.amount <= inner.slices.holds(&key)).then_some(key)
}

/// A slice that holds enough for a want, which the pool fills up if need be; `None`: the pool serves it.
pub(super) async fn filled(inner: &Inner, want: &Want, partition: Partition) -> Result<Option<Key>, Error> {
    let parts = SHARE.saturating_mul(i64::from(inner.layout.partitions()));
    // Claims with numbers come out of one drum.
    if want.numbered
        || want.capacity.checked_div(parts).unwrap_or(0) < AWARDS_MIN.saturating_mul(want.amount)
        || inner.slices.is_direct(&want.quota)
        || super::quotas::is_paused(inner, want).await?
    {
        return Ok(None);
    }
    let turn = inner.slices.turn(&want.quota, Some(partition));
    let _turn = turn.lock().await;
    if let Some(key) = at_hand(inner, want, partition) {
        return Ok(Some(key));
    }
    let given = match waits_for(inner, want, partition).await? {
        Some(given) => Some(given),
        None => given_to(inner, want, partition).await?,
    };
    let Some(given) = given else {
        inner.slices.serve_directly(&want.quota);
        return Ok(None);
    };
    let left = take_in(inner, want, partition, given).await?;
    let key = inner.layout.slice_left(&want.quota, want.since, partition);
    inner.slices.heard(key.clone(), left);
    Ok((want.amount <= left).then_some(key))
}

/// What the pool has given to a slice, ever, where the slice has not taken in all of it: then there is nothing to queue for.
async fn waits_for(inner: &Inner, want: &Want, partition: Partition) -> Result<Option<i64>, Error> {
    let ((slice, _), pool) =
        futures_util::future::try_join(look(inner, want, partition), Pool::read(inner, &want.quota)).await?;
    let known = pool.ledger.slices.get(&(want.since, partition.0)).copied().unwrap_or_default();
    let taken_in = slice.map_or(0, |(_, slice)| slice.taken_in);
    Ok((taken_in < known.given).then_some(known.given))
}

/// What the pool has given to a slice, ever; it gives more if the slice has taken in all of it. `None`: the pool is too
/// small for slices, or of another version.
async fn given_to(inner: &Inner, want: &Want, partition: Partition) -> Result<Option<i64>, Error> {
    let turn = inner.slices.turn(&want.quota, None);
    let _turn = turn.lock().await;
    let place = (want.since, partition.0);
    let (slice, _) = look(inner, want, partition).await?;
    let taken_in = slice.map_or(0, |(_, slice)| slice.taken_in);
    for _ in 0..ATTEMPTS_MAX {
        let pool = Pool::read(inner, &want.quota).await?;
        let known = pool.ledger.slices.get(&place).copied().unwrap_or_default();
        if taken_in < known.given {
            return Ok(Some(known.given));
        }
        let stored = match &pool.definition {
            Some((_, stands)) if stands.since != want.since || stands.excess != 0 => return Ok(None),
            Some(_) => inner.store.left(&inner.layout.quota_left(&want.quota)).await?,
            None => want.capacity,
        };
        let parts = SHARE.saturating_mul(i64::from(inner.layout.partitions()));
        let size = stored.checked_div(parts).unwrap_or(0);
        if size < AWARDS_MIN.saturating_mul(want.amount) {
            return Ok(None);
        }
        let mut ledger = pool.ledger.clone();
        // The first of all is given to every partition: later ones need not ask.
        let places: Vec<(Instant, u16)> = match ledger.slices.keys().any(|(since, _)| *since == want.since) {
            true => vec![place],
            false => (0..inner.layout.partitions()).map(|partition| (want.since, partition)).collect(),
        };
        for place in &places {
            let known = ledger.slices.entry(*place).or_default();
            *known = Given { given: known.given.saturating_add(size), drained: false, ..*known };
        }
        let all = size.saturating_mul(i64::try_from(places.len()).unwrap_or(i64::MAX));
        let mut commit = pool.commit(inner, &want.quota, ledger.clone());
        let delta = match &pool.definition {
            Some(_) => all.saturating_neg(),
            None => want.capacity.saturating_sub(all),
        };
        if pool.definition.is_none() {
            let first = Definition { capacity: want.capacity, since: want.since, excess: 0, drum: Drum::default() };
            commit.writes.push(Write { key: pool.definition_key.clone(), record: Some(record(&first)) });
        }
        commit.deltas.push(Delta { key: inner.layout.quota_left(&want.quota), delta });
        match send(inner, &commit, &mut 0).await? {
            Outcome::Applied => return Ok(ledger.slices.get(&place).map(|known| known.given)),
            Outcome::Conflict(_) => {}
            // Others have taken from it meanwhile.
            Outcome::GuardFailed { .. } => return Ok(None),
            Outcome::Seen(_) => return Err(Error::Internal("a slice has no receipt to be seen".to_owned())),
        }
    }
    Err(Error::Contention)
}

/// Takes in what the pool has given and the slice has not; answers what it holds.
async fn take_in(inner: &Inner, want: &Want, partition: Partition, given: i64) -> Result<i64, Error> {
    let left_key = inner.layout.slice_left(&want.quota, want.since, partition);
    for _ in 0..ATTEMPTS_MAX {
        let (slice, key) = look(inner, want, partition).await?;
        let before = slice.map_or_else(Slice::default, |(_, slice)| slice);
        let more = given.saturating_sub(before.taken_in);
        if 0 < more {
            let after = Slice { taken_in: given, ..before };
            let commit = Commit {
                partition,
                expect: vec![(key.clone(), expected(slice.map(|(token, _)| token)))],
                writes: vec![Write { key, record: Some(record(&after)) }],
                deltas: vec![Delta { key: left_key.clone(), delta: more }],
                ..Commit::default()
            };
            if send(inner, &commit, &mut 0).await? != Outcome::Applied {
                continue;
            }
        }
        return Ok(inner.store.left(&left_key).await?);
    }
    Err(Error::Contention)
}

/// Brings back to the pool what slices hold; answers whether anything has come back. Whoever is refused by the pool asks
/// for this first.
pub(super) async fn drain(inner: &Inner, quota: &QuotaKey) -> Result<bool, Error> {
    let turn = inner.slices.turn(quota, None);
    let _turn = turn.lock().await;
    let mut came = false;
    for _ in 0..ATTEMPTS_MAX {
        let pool = Pool::read(inner, quota).await?;
        let open: Vec<((Instant, u16), Given)> =
            pool.ledger.slices.iter().filter(|(_, known)| !known.drained).map(|(at, known)| (*at, *known)).collect();
        if open.is_empty() {
            return Ok(came);
        }
        let mut back: Vec<((Instant, u16), Given, i64)> = Vec::with_capacity(open.len());
        for some in open.chunks(AT_ONCE) {
            let each = some.iter().map(|(at, known)| give_back(inner, quota, at.0, Partition(at.1), known.given));
            let all = futures_util::future::try_join_all(each).await?;
            back.extend(some.iter().zip(all).map(|((at, known), given_back)| (*at, *known, given_back)));
        }
        came |= credit(inner, quota, &back).await?;
    }
    Err(Error::Contention)
}

/// Empties a slice; answers what it has given back, ever. What it had not taken in goes back as well, for good.
async fn give_back(
    inner: &Inner,
    quota: &QuotaKey,
    since: Instant,
    partition: Partition,
    given: i64,
) -> Result<i64, Error> {
    let (key, left_key) =
        (inner.layout.slice(quota, since, partition), inner.layout.slice_left(quota, since, partition));
    for _ in 0..ATTEMPTS_MAX {
        // In this order: whoever emptied it before has said so in what is read after. The other way round nothing would
        // be left and nothing given back, and what they bring would be taken for settled.
        let left = inner.store.left(&left_key).await?;
        let slice = inner.store.load(partition, std::slice::from_ref(&key)).await?.into_iter().next().flatten();
        let slice = read::<Slice>(&key, slice)?;
        let before = slice.map_or_else(Slice::default, |(_, slice)| slice);
        let not_in = given.saturating_sub(before.taken_in).max(0);
        let back = left.saturating_add(not_in);
        inner.slices.heard(left_key.clone(), 0);
        if back == 0 {
            return Ok(before.given_back);
        }
        let after = Slice { taken_in: before.taken_in.max(given), given_back: before.given_back.saturating_add(back) };
        let emptied = Delta { key: left_key.clone(), delta: left.saturating_neg() };
        let commit = Commit {
            partition,
            expect: vec![(key.clone(), expected(slice.map(|(token, _)| token)))],
            writes: vec![Write { key: key.clone(), record: Some(record(&after)) }],
            deltas: if left == 0 { Vec::new() } else { vec![emptied] },
            ..Commit::default()
        };
        // Otherwise somebody has taken from it, or filled it up, in between.
        if send(inner, &commit, &mut 0).await? == Outcome::Applied {
            return Ok(after.given_back);
        }
    }
    Err(Error::Contention)
}

/// Notes at the pool what slices have given back; answers whether that is anything new.
async fn credit(inner: &Inner, quota: &QuotaKey, back: &[((Instant, u16), Given, i64)]) -> Result<bool, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let pool = Pool::read(inner, quota).await?;
        let Some((_, definition)) = &pool.definition else { return Ok(false) };
        let mut ledger = pool.ledger.clone();
        let mut more = 0i64;
        for (place, seen, given_back) in back {
            let Some(known) = ledger.slices.get_mut(place) else { continue };
            more = more.saturating_add(given_back.saturating_sub(known.back).max(0));
            known.back = known.back.max(*given_back);
            // One that was filled up meanwhile, or that something came back to, has something again.
            known.drained |= known.given == seen.given && known.returns == seen.returns;
        }
        // Slices of versions that are over and empty are of no more use. Those of no version fill up again, and what they
        // have given back ever would be counted anew.
        let is_over = |since: Instant| since != RETURNED && since != OVERDRAWN && since < definition.since;
        ledger.slices.retain(|(since, _), known| !(known.drained && is_over(*since)));
        let mut commit = pool.commit(inner, quota, ledger);
        let made_up = definition.excess.min(more);
        if 0 < made_up {
            let lowered = Definition { excess: definition.excess - made_up, ..definition.clone() };
            commit.writes.push(Write { key: pool.definition_key.clone(), record: Some(record(&lowered)) });
        }
        if made_up < more {
            commit.deltas.push(Delta { key: inner.layout.quota_left(quota), delta: more - made_up });
        }
        match send(inner, &commit, &mut 0).await? {
            Outcome::Applied => return Ok(made_up < more),
            Outcome::Conflict(_) => {}
            Outcome::Seen(_) | Outcome::GuardFailed { .. } => {
                return Err(Error::Internal("what slices give back met a condition that was not stated".to_owned()));
            }
        }
    }
    Err(Error::Contention)
}

/// Where the commit of an account puts what comes back of a quota: beside the account, so that it comes back when all
/// else of the commit happens, and once.
pub(super) fn back(inner: &Inner, quota: &QuotaKey, amount: i64, partition: Partition) -> Delta {
    Delta { key: inner.layout.slice_left(quota, RETURNED, partition), delta: amount }
}

/// Where the commit of an account puts what it uses of a quota although nothing was set aside: a sum of all that ever was.
pub(super) fn over(inner: &Inner, change: &OutstandingChange, partition: Partition) -> Delta {
    Delta { key: inner.layout.slice_left(&change.quota, OVERDRAWN, partition), delta: change.back.saturating_neg() }
}

/// Tells the pool that something lies there again. It may be told again: it looks, and counts nothing.
pub(super) async fn came_back(inner: &Inner, back: &StockBack) -> Result<(), Error> {
    let place = (RETURNED, inner.layout.of_account(&back.quota.program, &back.account).0);
    let turn = inner.slices.turn(&back.quota, None);
    let _turn = turn.lock().await;
    for _ in 0..ATTEMPTS_MAX {
        let pool = Pool::read(inner, &back.quota).await?;
        let mut ledger = pool.ledger.clone();
        let known = ledger.slices.entry(place).or_default();
        *known = Given { drained: false, returns: known.returns.saturating_add(1), ..*known };
        match send(inner, &pool.commit(inner, &back.quota, ledger), &mut 0).await? {
            Outcome::Applied => return Ok(()),
            Outcome::Conflict(_) => {}
            Outcome::Seen(_) | Outcome::GuardFailed { .. } => {
                return Err(Error::Internal("what came back met a condition that was not stated".to_owned()));
            }
        }
    }
    Err(Error::Contention)
}

/// Takes out of the pool what was used beyond what had been set aside, as far as there is so much; what comes back makes up
/// for the rest. It may be told again: what was taken before is known by the sum of it.
pub(super) async fn overdrawn(inner: &Inner, told: &Overdrawn) -> Result<(), Error> {
    let Overdrawn { account, quota, capacity, since, effective_at: _ } = told;
    let partition = inner.layout.of_account(&quota.program, account);
    let place = (OVERDRAWN, partition.0);
    let turn = inner.slices.turn(quota, None);
    let _turn = turn.lock().await;
    for _ in 0..ATTEMPTS_MAX {
        let used = inner.store.left(&inner.layout.slice_left(quota, OVERDRAWN, partition)).await?;
        let pool = Pool::read(inner, quota).await?;
        let mut ledger = pool.ledger.clone();
        let known = ledger.slices.entry(place).or_default();
        let more = used.saturating_sub(known.given);
        if more <= 0 {
            return Ok(());
        }
        // Nothing is ever given back of it.
        *known = Given { given: used, drained: true, ..*known };
        let mut commit = pool.commit(inner, quota, ledger);
        let left_key = inner.layout.quota_left(quota);
        let (stands, stored) = match &pool.definition {
            Some((_, stands)) => (stands.clone(), inner.store.left(&left_key).await?),
            None => (Definition { capacity: *capacity, since: *since, excess: 0, drum: Drum::default() }, *capacity),
        };
        let taken = more.min(stored);
        let raised = Definition { excess: stands.excess.saturating_add(more - taken), ..stands.clone() };
        if pool.definition.is_none() || raised != stands {
            commit.writes.push(Write { key: pool.definition_key.clone(), record: Some(record(&raised)) });
        }
        let delta = if pool.definition.is_none() { stored - taken } else { taken.saturating_neg() };
        if delta != 0 {
            commit.deltas.push(Delta { key: left_key, delta });
        }
        match send(inner, &commit, &mut 0).await? {
            Outcome::Applied => return Ok(()),
            // Others have taken from it meanwhile.
            Outcome::Conflict(_) | Outcome::GuardFailed { .. } => {}
            Outcome::Seen(_) => return Err(Error::Internal("a pool has no receipt to be seen".to_owned())),
        }
    }
    Err(Error::Contention)
}

/// What lies in slices, for a preview: it changes nothing.
pub(super) async fn held(inner: &Inner, quota: &QuotaKey) -> Result<i64, Error> {
    let pool = Pool::read(inner, quota).await?;
    let mut all = 0i64;
    let open: Vec<(&(Instant, u16), &Given)> = pool.ledger.slices.iter().filter(|(_, known)| !known.drained).collect();
    for some in open.chunks(AT_ONCE) {
        let each = some.iter().map(|((since, partition), known)| async move {
            let partition = Partition(*partition);
            let key = inner.layout.slice(quota, *since, partition);
            let slice = inner.store.load(partition, std::slice::from_ref(&key)).await?.into_iter().next().flatten();
            let taken_in = read::<Slice>(&key, slice)?.map_or(0, |(_, slice)| slice.taken_in);
            let left = inner.store.left(&inner.layout.slice_left(quota, *since, partition)).await?;
            Ok::<i64, Error>(left.saturating_add(known.given.saturating_sub(taken_in).max(0)))
        });
        let lefts = futures_util::future::try_join_all(each).await?;
        all = lefts.into_iter().fold(all, i64::saturating_add);
    }
    Ok(all)
}

async fn look(inner: &Inner, want: &Want, partition: Partition) -> Result<(Option<(Token, Slice)>, Key), Error> {
    let key = inner.layout.slice(&want.quota, want.since, partition);
    let found = inner.store.load(partition, std::slice::from_ref(&key)).await?.into_iter().next().flatten();
    Ok((read::<Slice>(&key, found)?, key))
}

fn expected(token: Option<Token>) -> Expected {
    token.map_or(Expected::Absent, Expected::At)
}

/// What lies at the pool.
struct Pool {
    definition_key: Key,
    definition: Option<(Token, Definition)>,
    ledger_key: Key,
    ledger_token: Option<Token>,
    ledger: Ledger,
}

impl Pool {
    async fn read(inner: &Inner, quota: &QuotaKey) -> Result<Pool, Error> {
        let (definition_key, ledger_key) = (inner.layout.quota(quota), inner.layout.slices(quota));
        let keys = [definition_key.clone(), ledger_key.clone()];
        let mut records = inner.store.load(definition_key.partition, &keys).await?.into_iter();
        let definition = read::<Definition>(&definition_key, records.next().flatten())?;
        let ledger = read::<Ledger>(&ledger_key, records.next().flatten())?;
        let ledger_token = ledger.as_ref().map(|(token, _)| *token);
        let ledger = ledger.map_or_else(Ledger::default, |(_, ledger)| ledger);
        Ok(Pool { definition_key, definition, ledger_key, ledger_token, ledger })
    }

    /// A commit that changes the ledger, if everything stands as it was read.
    fn commit(&self, inner: &Inner, quota: &QuotaKey, ledger: Ledger) -> Commit {
        let definition = self.definition.as_ref().map(|(token, _)| *token);
        Commit {
            partition: inner.layout.quota(quota).partition,
            expect: vec![
                (self.definition_key.clone(), expected(definition)),
                (self.ledger_key.clone(), expected(self.ledger_token)),
            ],
            writes: vec![Write { key: self.ledger_key.clone(), record: Some(record(&ledger)) }],
            ..Commit::default()
        }
    }
}
