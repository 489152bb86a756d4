//! The queue of reviews: which referrals wait for somebody to decide, of all partitions.
//!
//! A review lies in the friend's account. That one has opened or closed goes on the feed, as something to look at: whoever
//! delivers it reads the account, and puts the referral on its shard of the queue or takes it off. So it may be told late, twice or
//! in any order. A review that has closed never opens again by itself; what a slow delivery has put there all the same is
//! taken off when the queue is read, for each line is read from its account.

use serde::{Deserialize, Serialize};

use super::read::{self, stored};
use super::write::{read as read_record, send};
use super::{Error, Inner};
use crate::domain::account::AccountState;
use crate::domain::answer::ReferralView;
use crate::domain::command::{Outgoing, ReviewEffect};
use crate::domain::decide::as_of;
use crate::domain::id::{AccountId, ProgramId, ReferralId};
use crate::domain::ledger::{Entry, Fact, digest, encode};
use crate::domain::time::Instant;
use crate::store::{Commit, Expected, Key, Layout, Outcome, Record, Token, Write};

/// Reviews of one shard: what has no room waits on its feed until some are decided.
const SHARD_MAX: usize = 1_000;
/// How often a shard is changed again because somebody else did.
const TRIES_MAX: usize = 16;

/// What a shard holds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Shard {
    revision: u64,
    open: Vec<Waiting>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Waiting {
    referral: ReferralId,
    friend: AccountId,
    /// [`Instant::MAX`]: never.
    due_at: Instant,
}

/// What goes on the feed with entries that open or close reviews.
pub(super) fn of(program: &ProgramId, state: &AccountState, entries: &[Entry]) -> Vec<Vec<u8>> {
    let reviewed = |id: &ReferralId| state.referrals().any(|known| known.referral == *id && known.review.is_some());
    let mut effects: Vec<ReviewEffect> = Vec::new();
    for entry in entries {
        let referral = match &entry.fact {
            Fact::ReviewOpened { referral, .. }
            | Fact::ReviewDecided { referral, .. }
            | Fact::ReviewLapsed { referral } => referral,
            Fact::ReferralRejected { referral, .. } if reviewed(referral) => referral,
            _ => continue,
        };
        effects.retain(|known| known.referral != *referral);
        let (friend, referral) = (state.account.clone(), referral.clone());
        effects.push(ReviewEffect { friend, referral, effective_at: entry.effective_at });
    }
    effects.into_iter().map(|effect| encode(&(program, Outgoing::Review(effect)))).collect()
}

/// When an open review lapses; `None`: there is none.
async fn due(
    inner: &Inner,
    program: &ProgramId,
    friend: &AccountId,
    id: &ReferralId,
) -> Result<Option<Instant>, Error> {
    let timeline = inner.timeline(program)?;
    let (_, state, _) = stored(inner, program, friend, None).await?;
    let Some(state) = state else { return Ok(None) };
    let now = inner.clock.now(None).max(state.posted_at);
    let state = as_of(&timeline, state, now).map_err(read::damaged)?;
    let review = state.referrals().find(|known| known.referral == *id).and_then(|known| known.review.as_ref());
    Ok(review.filter(|review| review.is_open()).map(|review| review.due_at))
}

/// Puts a referral on the queue, or takes it off, as its account says now. False: there is no room.
pub(super) async fn apply(inner: &Inner, program: &ProgramId, effect: &ReviewEffect) -> Result<bool, Error> {
    let key = inner.layout.reviews(program, Layout::shard_of(effect.referral.as_str()));
    for _ in 0..TRIES_MAX {
        let (token, mut shard) = load(inner, &key).await?;
        let due_at = due(inner, program, &effect.friend, &effect.referral).await?;
        let known = shard.open.iter().any(|waiting| waiting.referral == effect.referral);
        match due_at {
            Some(_) if known => return Ok(true),
            None if !known => return Ok(true),
            Some(_) if SHARD_MAX <= shard.open.len() => return Ok(false),
            Some(due_at) => {
                let (referral, friend) = (effect.referral.clone(), effect.friend.clone());
                shard.open.push(Waiting { referral, friend, due_at });
            }
            None => shard.open.retain(|waiting| waiting.referral != effect.referral),
        }
        if put(inner, &key, token, shard).await? {
            return Ok(true);
        }
    }
    Err(Error::Contention)
}

async fn load(inner: &Inner, key: &Key) -> Result<(Option<Token>, Shard), Error> {
    let record = inner.store.load(key.partition, std::slice::from_ref(key)).await?.into_iter().next().flatten();
    Ok(read_record::<Shard>(key, record)?.map_or((None, Shard::default()), |(token, shard)| (Some(token), shard)))
}

async fn put(inner: &Inner, key: &Key, token: Option<Token>, shard: Shard) -> Result<bool, Error> {
    let shard = Shard { revision: shard.revision.saturating_add(1), ..shard };
    let body = encode(&shard);
    let record = Record { token: Token::new(shard.revision, &digest(&body)), body };
    let commit = Commit {
        partition: key.partition,
        expect: vec![(key.clone(), token.map_or(Expected::Absent, Expected::At))],
        writes: vec![Write { key: key.clone(), record: Some(record) }],
        ..Commit::default()
    };
    Ok(send(inner, &commit, &mut 0).await? == Outcome::Applied)
}

/// Open reviews, those that lapse first at the beginning: after a place, up to `limit`; and the place of the last.
pub(super) async fn list(
    inner: &Inner,
    program: &ProgramId,
    after: Option<(Instant, ReferralId)>,
    limit: usize,
) -> Result<Vec<ReferralView>, Error> {
    inner.timeline(program)?;
    let mut waiting: Vec<Waiting> = Vec::new();
    for shard in 0..Layout::SHARDS {
        let (_, found) = load(inner, &inner.layout.reviews(program, shard)).await?;
        waiting.extend(found.open);
    }
    waiting.sort_by(|a, b| (a.due_at, &a.referral).cmp(&(b.due_at, &b.referral)));
    if let Some(after) = after {
        waiting.retain(|one| after < (one.due_at, one.referral.clone()));
    }
    let mut views = Vec::new();
    for one in waiting {
        if limit <= views.len() {
            break;
        }
        let view = match read::referral(inner, program, &one.referral).await {
            Ok(view) => Some(view),
            // Merged away, or undone: the account has it no more under this name.
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let is_open = |view: &ReferralView| view.referral.review.as_ref().is_some_and(|review| review.is_open());
        match view.filter(is_open) {
            Some(view) => views.push(view),
            None => {
                let effect =
                    ReviewEffect { friend: one.friend, referral: one.referral, effective_at: inner.clock.now(None) };
                apply(inner, program, &effect).await?;
            }
        }
    }
    Ok(views)
}
