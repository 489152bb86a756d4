//! Limits over all members: never exceeded, whoever decides where, and the last unit can be had.
//!
//! What is left of a quota is a guarded quantity in a partition of the quota's own. A claim sets part of it aside for a
//! deed of an account, in one commit; then the deed is decided and committed where the account lies, together with a
//! *mark* that says what of the claim was used. A claim is closed by what its mark says; what was not used goes back.
//!
//! A write that dies between claim and commit leaves an open claim. Whoever does the same deed again finds it and goes on
//! with it. If nobody does, the sweeper puts a mark that says "nothing used", which makes any commit that still relies on
//! the claim fail, and gives it back. So a claim is used at most once, and nothing is lost, however late a write comes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::drums::Drum;
use super::write::{read, send};
use super::{Error, Inner, slices};
use crate::domain::decide::Decision;
use crate::domain::id::{AccountId, ProgramId};
use crate::domain::ledger::{decode, digest, encode};
use crate::domain::quota::{QuotaKey, SetAside, Used, Want};
use crate::domain::time::{Instant, SECOND_MS};
use crate::store::{
    self, Commit, Delta, Due, DueItem, Expected, Key, NewReceipt, Outcome, Receipt, Record, Token, Write,
};

/// How long a claim may stay open before the sweeper closes it.
const OPEN_MS: i64 = 60 * SECOND_MS;
/// Marks outlive any commit that may still be on its way.
const MARK_KEEP_S: u64 = 14 * 24 * 3600;
/// How often one decision is made again with more claims: each round answers the next limit of each award.
pub(super) const ROUNDS_MAX: usize = 16;
/// How often a claim is tried while others take from the same quota.
const ATTEMPTS_MAX: usize = 64;

/// How much a quota is in all.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Definition {
    pub(super) capacity: i64,
    /// Of the program version that states the capacity.
    pub(super) since: Instant,
    /// By how much more was granted than a capacity that was lowered since. What comes back makes up for it first.
    pub(super) excess: i64,
    /// Of a quota whose claims have numbers.
    pub(super) drum: Drum,
}

/// What is set aside, as stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Open {
    quota: QuotaKey,
    account: AccountId,
    granted: i64,
    /// Names the claim's mark.
    nonce: [u8; 16],
    /// Of a drum: the number that was taken, and for which deed.
    number: Option<(i64, Box<str>)>,
}

/// The end of a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Mark {
    Used(i64),
    /// It can be used no more.
    Closed,
}

/// Claims that a write has made or found.
#[derive(Default)]
pub(super) struct Claims {
    held: Vec<Held>,
    look: Look,
}

/// Whether stock that was refused has been looked for where it may lie unused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Look {
    #[default]
    NotNeeded,
    Needed,
    Done,
}

struct Held {
    claim: SetAside,
    source: Source,
}

/// Where what is set aside comes from.
enum Source {
    /// Nothing could be set aside.
    Nothing,
    /// The account's own commit takes it from a slice beside it.
    Slice(Key),
    Claim(Key, Token, Open),
}

impl Claims {
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn granted(&self) -> Vec<SetAside> {
        self.held.iter().map(|held| held.claim.clone()).collect()
    }

    /// Whether something that could come back by itself is refused, and nobody has looked for it yet.
    pub(super) fn wants_a_look(&self) -> bool {
        self.look == Look::Needed
    }

    /// Forgets what could not be had: it is asked for once more.
    pub(super) fn looked(&mut self) {
        self.held.retain(|held| !matches!(held.source, Source::Nothing));
        self.look = Look::Done;
    }

    /// Closes them, for one was closed or used by somebody else: what is wanted next is claimed anew.
    pub(super) async fn give_up(&mut self, inner: &Inner) -> Result<(), Error> {
        for held in self.held.drain(..) {
            if let Source::Claim(key, token, open) = held.source {
                close_found(inner, &key, token, &open).await?;
            }
        }
        Ok(())
    }

    /// The marks that go into the commit of a decision.
    pub(super) fn marks(&self, inner: &Inner, program: &ProgramId, decision: &Decision) -> Vec<NewReceipt> {
        let used = decision.used.iter().filter_map(|used| {
            let open = self.of(&used.quota, &used.deed)?;
            Some(mark(inner, program, open, Mark::Used(used.amount)))
        });
        used.collect()
    }

    fn of(&self, quota: &QuotaKey, deed: &str) -> Option<&Open> {
        match &self.held(quota, deed)?.source {
            Source::Claim(_, _, open) => Some(open),
            Source::Nothing | Source::Slice(_) => None,
        }
    }

    fn held(&self, quota: &QuotaKey, deed: &str) -> Option<&Held> {
        self.held.iter().find(|held| held.claim.quota == *quota && *held.claim.deed == *deed)
    }

    /// What the commit of a decision takes from slices; each of them once.
    pub(super) fn deltas(&self, decision: &Decision) -> Vec<Delta> {
        let mut deltas: Vec<Delta> = Vec::new();
        for used in &decision.used {
            let Some(Held { source: Source::Slice(key), .. }) = self.held(&used.quota, &used.deed) else { continue };
            match deltas.iter_mut().find(|delta| delta.key == *key) {
                Some(delta) => delta.delta = delta.delta.saturating_sub(used.amount),
                None => deltas.push(Delta { key: key.clone(), delta: used.amount.saturating_neg() }),
            }
        }
        deltas
    }

    /// Forgets what was to come from slices: it is looked for anew.
    pub(super) fn drop_slices(&mut self) {
        self.held.retain(|held| !matches!(held.source, Source::Slice(_)));
    }

    /// Whether all that is wanted lies in slices that are known to hold it; then it is taken note of.
    pub(super) fn take_at_hand(&mut self, inner: &Inner, account: &AccountId, wants: &[Want]) -> bool {
        let before = self.held.len();
        for want in wants {
            let partition = inner.layout.of_account(&want.quota.program, account);
            let Some(key) = slices::at_hand(inner, &self.with_others(want), partition) else {
                self.held.truncate(before);
                return false;
            };
            self.held.push(Held::of_slice(want, key));
        }
        true
    }

    /// The want, and what else of the same decision comes from the same slice.
    fn with_others(&self, want: &Want) -> Want {
        let others = self.held.iter().filter(|held| held.claim.quota == want.quota);
        let others = others.filter(|held| matches!(held.source, Source::Slice(_)));
        let amount = others.fold(want.amount, |sum, held| sum.saturating_add(held.claim.granted));
        Want { amount, ..want.clone() }
    }

    /// After a commit: closes the claims. What fails here is left to the sweeper.
    pub(super) fn close(self, inner: &Arc<Inner>, used: &[Used]) {
        for held in self.held {
            let Source::Claim(key, token, open) = held.source else { continue };
            let used_of = used.iter().find(|used| used.quota == open.quota && used.deed == held.claim.deed);
            let used = used_of.map(|used| used.amount);
            let task = {
                let inner = Arc::clone(inner);
                async move {
                    let closed = match used {
                        Some(used) => finish(&inner, &key, token, &open, used).await,
                        // Another write may be about to use it: its end is settled by a mark.
                        None => close_found(&inner, &key, token, &open).await,
                    };
                    if let Err(error) = closed {
                        warn!(%error, claim = %key.name, "a claim could not be closed; the sweeper will");
                    }
                }
            };
            inner.tracker.spawn(task);
        }
    }
}

fn mark(inner: &Inner, program: &ProgramId, open: &Open, mark: Mark) -> NewReceipt {
    let nonce = super::read::hex(&open.nonce);
    let key = inner.layout.claim_used(program, &open.account, &nonce);
    NewReceipt { key, receipt: Receipt { fingerprint: Vec::new(), body: encode(&mark) }, keep_s: MARK_KEEP_S }
}

impl Held {
    fn of_slice(want: &Want, key: Key) -> Held {
        let claim = SetAside {
            quota: want.quota.clone(),
            deed: want.deed.clone(),
            granted: want.amount,
            left: 0,
            number: None,
        };
        Held { claim, source: Source::Slice(key) }
    }
}

pub(super) fn record<T: Serialize>(value: &T) -> Record {
    let body = encode(value);
    Record { token: Token::new(1, &digest(&body)), body }
}

/// Claims what a decision wants and has no claim for.
pub(super) async fn claim(
    inner: &Inner,
    account: &AccountId,
    wants: &[Want],
    now: Instant,
    claims: &mut Claims,
) -> Result<(), Error> {
    for want in wants {
        if claims.held.iter().all(|held| !want.is_of(&held.claim)) {
            let partition = inner.layout.of_account(&want.quota.program, account);
            let held = match slices::filled(inner, &claims.with_others(want), partition).await? {
                Some(key) => Held::of_slice(want, key),
                None => claim_one(inner, account, want, now).await?,
            };
            // Of a reservation that has lapsed, whose account nobody has asked about since.
            if held.claim.granted < want.amount && want.comes_back && claims.look == Look::NotNeeded {
                claims.look = Look::Needed;
            }
            claims.held.push(held);
        }
    }
    Ok(())
}

/// What a quota holds when a claim is made.
struct Stock {
    definition_key: Key,
    definition: Option<(Token, Definition)>,
}

impl Stock {
    /// What is left as the want's program has it, given what the store holds. A capacity counts from the version on that
    /// states it; an earlier version, which back-dated deeds are decided under, changes nothing.
    fn left(&self, want: &Want, stored: i64) -> i64 {
        match &self.definition {
            None => want.capacity,
            Some((_, stands)) => stored.saturating_sub(stands.excess).saturating_add(stands.change(want)).max(0),
        }
    }

    /// What has to be set right before anything is claimed: the capacity of a newer version, or what came back while more
    /// was granted than there is now.
    async fn correction(&self, inner: &Inner, want: &Want) -> Result<Option<Commit>, Error> {
        let Some((token, stands)) = &self.definition else { return Ok(None) };
        let newer = stands.since < want.since;
        if !newer && stands.excess == 0 {
            return Ok(None);
        }
        let left_key = inner.layout.quota_left(&want.quota);
        let stored = inner.store.left(&left_key).await?;
        if !newer && stored == 0 {
            return Ok(None);
        }
        let exact = stored.saturating_sub(stands.excess).saturating_add(stands.change(want));
        let (capacity, since) = if newer { (want.capacity, want.since) } else { (stands.capacity, stands.since) };
        let corrected = Definition { capacity, since, excess: exact.min(0).saturating_neg(), ..stands.clone() };
        let delta = exact.max(0).saturating_sub(stored);
        Ok(Some(Commit {
            partition: left_key.partition,
            expect: vec![(self.definition_key.clone(), Expected::At(*token))],
            writes: vec![Write { key: self.definition_key.clone(), record: Some(record(&corrected)) }],
            deltas: if delta == 0 { Vec::new() } else { vec![Delta { key: left_key, delta }] },
            ..Commit::default()
        }))
    }
}

impl Definition {
    /// By how much the capacity changes with a want's program.
    fn change(&self, want: &Want) -> i64 {
        if self.since < want.since { want.capacity.saturating_sub(self.capacity) } else { 0 }
    }
}

async fn claim_one(inner: &Inner, account: &AccountId, want: &Want, now: Instant) -> Result<Held, Error> {
    let key = inner.layout.claim(&want.quota, account, &want.deed);
    let left_key = inner.layout.quota_left(&want.quota);
    let made = |granted: i64, left: i64| SetAside {
        quota: want.quota.clone(),
        deed: want.deed.clone(),
        granted,
        left,
        number: None,
    };
    // Claims with numbers change one record: here they queue for it, other instances are met by trying again.
    let turn = if want.numbered { Some(inner.queues.turn(&inner.layout.quota(&want.quota)).await) } else { None };
    let _turn = turn.map(|turn| turn.ok_or(Error::Overloaded)).transpose()?;
    let mut amount = want.amount;
    for _ in 0..ATTEMPTS_MAX {
        let (found, stock) = look(inner, &key, &want.quota).await?;
        if let Some((token, open)) = found {
            let number = open.number.as_ref().map(|(number, _)| *number);
            let claim = SetAside { number, ..made(open.granted, 0) };
            return Ok(Held { claim, source: Source::Claim(key, token, open) });
        }
        if let Some(correction) = stock.correction(inner, want).await? {
            // Whatever comes of it, things stand differently now.
            send(inner, &correction, &mut 0).await?;
            continue;
        }
        if is_paused(inner, want).await? {
            return Ok(Held { claim: made(0, 0), source: Source::Nothing });
        }
        let first = stock.definition.is_none();
        if first {
            if want.capacity < amount {
                pause(inner, want).await?;
            }
            amount = amount.min(want.capacity);
            if amount <= 0 || (want.whole && amount < want.amount) {
                return Ok(Held { claim: made(0, want.capacity), source: Source::Nothing });
            }
        }
        let mut definition = match &stock.definition {
            Some((_, definition)) => definition.clone(),
            None => Definition { capacity: want.capacity, since: want.since, excess: 0, drum: Drum::default() },
        };
        let taken = if want.numbered {
            let taken = definition.drum.take(inner, &want.quota, want.capacity, account, &want.deed);
            let Some(taken) = taken else { return Ok(Held { claim: made(0, 0), source: Source::Nothing }) };
            Some(taken)
        } else {
            None
        };
        let number = taken.as_ref().map(|(number, _)| *number);
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|_| Error::Internal("the machine gives no random bytes".to_owned()))?;
        let open = Open {
            quota: want.quota.clone(),
            account: account.clone(),
            granted: amount,
            nonce,
            number: number.map(|number| (number, want.deed.clone())),
        };
        let claim = record(&open);
        let token = claim.token;
        let mut commit = Commit {
            partition: key.partition,
            expect: vec![(key.clone(), Expected::Absent)],
            writes: vec![Write { key: key.clone(), record: Some(claim) }],
            deltas: vec![Delta { key: left_key.clone(), delta: if first { want.capacity - amount } else { -amount } }],
            due: vec![Due { subject: (&*key.name).into(), at_ms: Some(now.plus_ms(OPEN_MS).0) }],
            ..Commit::default()
        };
        if first || number.is_some() {
            let expected = stock.definition.map_or(Expected::Absent, |(token, _)| Expected::At(token));
            commit.expect.push((stock.definition_key.clone(), expected));
            commit.writes.push(Write { key: stock.definition_key, record: Some(record(&definition)) });
            commit.appends.extend(taken.map(|(_, line)| line));
        }
        match send(inner, &commit, &mut 0).await? {
            Outcome::Applied => {
                let left = if amount < want.amount { amount } else { 0 };
                let claim = SetAside { number, ..made(amount, left) };
                return Ok(Held { claim, source: Source::Claim(key, token, open) });
            }
            // Somebody claimed for the same deed, or the capacity has changed: look again.
            Outcome::Conflict(_) => {}
            Outcome::GuardFailed { left, .. } => {
                // What lies in slices is there for everybody, before anybody is refused.
                if left < want.amount {
                    let came = slices::drain(inner, &want.quota).await?;
                    // Somebody else may have brought it back while this one waited for its turn.
                    if came || left < inner.store.left(&left_key).await? {
                        amount = want.amount;
                        continue;
                    }
                    pause(inner, want).await?;
                }
                if left <= 0 || want.whole {
                    return Ok(Held { claim: made(0, left), source: Source::Nothing });
                }
                amount = left.min(want.amount);
            }
            Outcome::Seen(_) => return Err(Error::Internal("a claim has no receipt to be seen".to_owned())),
        }
    }
    Err(Error::Contention)
}

/// Whether it is noted that a quota gives nothing any more, in no period.
pub(super) async fn is_paused(inner: &Inner, want: &Want) -> Result<bool, Error> {
    let Some(quota) = &want.pause else { return Ok(false) };
    if inner.slices.is_paused(quota) {
        return Ok(true);
    }
    let key = inner.layout.quota(quota);
    let noted = inner.store.load(key.partition, std::slice::from_ref(&key)).await?.into_iter().next().flatten();
    if noted.is_some() {
        inner.slices.pause(quota);
    }
    Ok(noted.is_some())
}

/// Notes that a quota is used up for good, if its want says so.
async fn pause(inner: &Inner, want: &Want) -> Result<(), Error> {
    let Some(quota) = want.pause.as_ref().filter(|quota| !inner.slices.is_paused(quota)) else { return Ok(()) };
    let key = inner.layout.quota(quota);
    let commit = Commit {
        partition: key.partition,
        expect: vec![(key.clone(), Expected::Absent)],
        writes: vec![Write { key, record: Some(record(&want.quota.period)) }],
        ..Commit::default()
    };
    if send(inner, &commit, &mut 0).await? == Outcome::Applied {
        warn!(program = %quota.program, quota = %want.quota.of, period = %want.quota.period, "a campaign gave far more than was expected and is paused");
        inner.meter.campaign_paused(&quota.program, &want.quota.of);
    }
    inner.slices.pause(quota);
    Ok(())
}

async fn look(inner: &Inner, key: &Key, quota: &QuotaKey) -> Result<(Option<(Token, Open)>, Stock), Error> {
    let definition_key = inner.layout.quota(quota);
    let keys = [key.clone(), definition_key.clone()];
    let mut records = inner.store.load(key.partition, &keys).await?.into_iter();
    let found = read::<Open>(key, records.next().flatten())?;
    let definition = read::<Definition>(&definition_key, records.next().flatten())?;
    Ok((found, Stock { definition_key, definition }))
}

/// What is left, for a preview: nothing is set aside, and nothing promised.
pub(super) async fn peek(inner: &Inner, wants: &[Want], seen: &mut Vec<SetAside>) -> Result<(), Error> {
    for want in wants {
        if seen.iter().any(|claim| want.is_of(claim)) {
            continue;
        }
        let key = inner.layout.quota(&want.quota);
        let record = inner.store.load(key.partition, std::slice::from_ref(&key)).await?.into_iter().next().flatten();
        let stock = Stock { definition: read::<Definition>(&key, record)?, definition_key: key };
        let stored = inner.store.left(&inner.layout.quota_left(&want.quota)).await?;
        if is_paused(inner, want).await? {
            seen.push(SetAside {
                quota: want.quota.clone(),
                deed: want.deed.clone(),
                granted: 0,
                left: 0,
                number: None,
            });
            continue;
        }
        let before: i64 = seen.iter().filter(|claim| claim.quota == want.quota).map(|claim| claim.granted).sum();
        let mut left = stock.left(want, stored).saturating_sub(before).max(0);
        if left < want.amount {
            left = left.saturating_add(slices::held(inner, &want.quota).await?);
        }
        let granted = left.min(want.amount);
        let granted = if want.whole && granted < want.amount { 0 } else { granted };
        seen.push(SetAside { quota: want.quota.clone(), deed: want.deed.clone(), granted, left, number: None });
    }
    Ok(())
}

/// Takes a claim off, of which `used` was used; the rest goes back. Answers whether it was there.
async fn finish(inner: &Inner, key: &Key, token: Token, open: &Open, used: i64) -> Result<bool, Error> {
    let back = open.granted.saturating_sub(used).max(0);
    let mut commit = Commit {
        partition: key.partition,
        expect: vec![(key.clone(), Expected::At(token))],
        writes: vec![Write { key: key.clone(), record: None }],
        due: vec![Due { subject: (&*key.name).into(), at_ms: None }],
        ..Commit::default()
    };
    for _ in 0..ATTEMPTS_MAX {
        if 0 < back {
            let (_, stock) = look(inner, key, &open.quota).await?;
            commit.expect.truncate(1);
            commit.writes.truncate(1);
            commit.deltas.clear();
            commit.appends.clear();
            if let Some((at, definition)) = stock.definition {
                let made_up = definition.excess.min(back);
                commit.expect.push((stock.definition_key.clone(), Expected::At(at)));
                let mut changed = Definition { excess: definition.excess - made_up, ..definition.clone() };
                if let Some((number, deed)) = &open.number {
                    commit.appends.push(changed.drum.put_back(inner, &open.quota, *number, &open.account, deed));
                }
                if changed != definition {
                    commit.writes.push(Write { key: stock.definition_key, record: Some(record(&changed)) });
                }
                commit.deltas.push(Delta { key: inner.layout.quota_left(&open.quota), delta: back - made_up });
            }
        }
        match send(inner, &commit, &mut 0).await? {
            Outcome::Applied => return Ok(true),
            Outcome::Conflict(records) => {
                let stands = records.into_iter().next().flatten().is_some_and(|record| record.token == token);
                if !stands {
                    // Somebody else has closed it.
                    return Ok(false);
                }
            }
            Outcome::Seen(_) | Outcome::GuardFailed { .. } => {
                return Err(Error::Internal("the end of a claim met a condition that it did not state".to_owned()));
            }
        }
    }
    Err(Error::Contention)
}

/// Closes a claim by its mark; puts one if there is none.
async fn close_found(inner: &Inner, key: &Key, token: Token, open: &Open) -> Result<bool, Error> {
    let closed = mark(inner, &open.quota.program, open, Mark::Closed);
    let commit = Commit { partition: closed.key.partition, receipts: vec![closed], ..Commit::default() };
    let stands = match send(inner, &commit, &mut 0).await? {
        Outcome::Applied => Mark::Closed,
        Outcome::Seen(seen) => {
            let body = seen.first().map(|seen| seen.receipt.body.as_slice()).unwrap_or_default();
            let problem = |e| Error::Store(store::Error::Corrupt { what: format!("the mark of a claim {e}") });
            decode::<Mark>(body).map_err(problem)?
        }
        Outcome::Conflict(_) | Outcome::GuardFailed { .. } => {
            return Err(Error::Internal("a mark met a condition that it did not state".to_owned()));
        }
    };
    let used = match stands {
        Mark::Used(used) => used,
        Mark::Closed => 0,
    };
    finish(inner, key, token, open, used).await
}

/// Closes a claim that was left open; answers whether there was one.
pub(super) async fn sweep(inner: &Inner, item: &DueItem, key: &Key) -> Result<bool, Error> {
    let record = inner.store.load(key.partition, std::slice::from_ref(key)).await?.into_iter().next().flatten();
    if let Some((token, open)) = read::<Open>(key, record)? {
        return close_found(inner, key, token, &open).await;
    }
    let due = vec![Due { subject: item.subject.clone(), at_ms: None }];
    let expect = vec![(key.clone(), Expected::Absent)];
    let commit = Commit { partition: item.partition, expect, due, ..Commit::default() };
    Ok(inner.store.commit(&commit).await? == Outcome::Applied)
}
