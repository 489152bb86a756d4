//! Trees of referrals: beside each advocate a list of whom they have brought, one small record a friend.
//!
//! A friend's commit puts how the referral stands on the feed of the friend's partition. The relay writes it into the
//! advocate's list, many friends of one advocate in one commit; only then does it leave the feed. What is said again, or
//! late, changes nothing. No commit of an account touches the list, so that an advocate of a million friends slows nobody.

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tracing::{error, warn};

use super::projection::Mark;
use super::read::{self, from_hex_bytes, hex, stored};
use super::write::{read as read_record, send};
use super::{Error, Inner};
use crate::domain::account::{AccountState, HomeWhy};
use crate::domain::answer::{ReferralState, ReferralView};
use crate::domain::id::{AccountId, MemberId, ProgramId};
use crate::domain::ledger::{decode, digest, encode};
use crate::domain::referral::tree::{Child, Node, Step, Told, changes};
use crate::store::{Commit, Expected, FeedItem, Key, Outcome, Partition, Record, Token, Write};

/// Lists written at a time, of different advocates.
const LISTS_AT_ONCE: usize = 32;
/// Friends read from a list at a time.
const READ_AT_ONCE: u64 = 50;
/// Friends looked at for one page; a page may be short for it, and the next goes on.
const LOOKED_AT_MAX: usize = 1_000;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Item {
    program: ProgramId,
    told: Vec<Told>,
}

/// What a decision says to advocates, as it goes on the feed; `None`: nothing.
pub(super) fn of(program: &ProgramId, before: Option<&AccountState>, after: &AccountState) -> Option<Vec<u8>> {
    let told = changes(before, after);
    if told.is_empty() {
        return None;
    }
    Some(Mark::TREES.item(&Item { program: program.clone(), told }))
}

/// Whose list of friends.
type List = (ProgramId, AccountId);

/// Writes what items of any partitions say; answers the items that are done.
pub(super) async fn deliver(inner: &Inner, items: &[FeedItem]) -> Result<Vec<(Partition, u64)>, Error> {
    let mut lists: Vec<(List, Vec<Child>)> = Vec::new();
    let mut parts: Vec<(Partition, u64, Vec<List>)> = Vec::new();
    for item in items {
        let Ok(Item { program, told }) = Mark::TREES.read(&item.body) else {
            error!(partition = item.partition.0, position = item.position, "what an advocate is told cannot be read");
            continue;
        };
        let mut names = Vec::new();
        for Told { advocate, child } in told {
            let name = (program.clone(), advocate);
            match lists.iter_mut().find(|(known, _)| *known == name) {
                Some((_, children)) => children.push(child),
                None => lists.push((name.clone(), vec![child])),
            }
            names.push(name);
        }
        parts.push((item.partition, item.position, names));
    }
    let mut failed = Vec::new();
    let mut failure = None;
    let writes: Vec<_> = lists.into_iter().map(|(name, children)| write_named(inner, name, children)).collect();
    let mut writes = stream::iter(writes).buffer_unordered(LISTS_AT_ONCE);
    while let Some((name, written)) = writes.next().await {
        match written {
            Ok(true) => {}
            Ok(false) => failed.push(name),
            Err(error) if error.is_everywhere() => failure = Some(error),
            Err(error) => {
                warn!(%error, advocate = %name.1, "a list of friends could not be written; it waits");
                failed.push(name);
            }
        }
    }
    if let Some(error) = failure {
        return Err(error);
    }
    let done = parts.into_iter().filter(|(_, _, names)| names.iter().all(|name| !failed.contains(name)));
    Ok(done.map(|(partition, position, _)| (partition, position)).collect())
}

async fn write_named(inner: &Inner, name: List, children: Vec<Child>) -> (List, Result<bool, Error>) {
    let written = write(inner, &name.0, &name.1, children).await;
    (name, written)
}

fn record<T: Serialize>(sequence: u64, value: &T) -> Record {
    let body = encode(value);
    Record { token: Token::new(sequence, &digest(&body)), body }
}

/// Writes children into the list of an advocate; false if somebody else was writing.
async fn write(inner: &Inner, program: &ProgramId, advocate: &AccountId, children: Vec<Child>) -> Result<bool, Error> {
    let head = inner.layout.children_head(program, advocate);
    let mut latest: Vec<Child> = Vec::new();
    for child in children {
        match latest.iter_mut().find(|known| known.referral == child.referral) {
            Some(known) if known.said < child.said => *known = child,
            Some(_) => {}
            None => latest.push(child),
        }
    }
    let index = |child: &Child| inner.layout.child_index(program, advocate, &child.referral);
    let mut keys = vec![head.clone()];
    keys.extend(latest.iter().map(index));
    let mut found = inner.store.load(head.partition, &keys).await?.into_iter();
    // How many there are, and how often the list was written.
    let (expected, (mut count, written)) = match read_record::<(u64, u64)>(&head, found.next().flatten())? {
        Some((token, head)) => (Expected::At(token), head),
        None => (Expected::Absent, (0, 0)),
    };
    let written = written.saturating_add(1);
    let mut commit = Commit { partition: head.partition, expect: vec![(head.clone(), expected)], ..Commit::default() };
    for child in &latest {
        let key = index(child);
        let place = match read_record::<u64>(&key, found.next().flatten())? {
            Some((_, place)) => {
                let at = inner.layout.child(program, advocate, place);
                let stands = inner.store.load(at.partition, std::slice::from_ref(&at)).await?;
                let stands = read_record::<Child>(&at, stands.into_iter().next().flatten())?;
                if stands.is_some_and(|(_, stands)| child.said <= stands.said) {
                    continue;
                }
                place
            }
            // Who never stood there need not be told that they do no more.
            None if child.state == ReferralState::Superseded => continue,
            None => {
                count += 1;
                commit.writes.push(Write { key, record: Some(record(written, &count)) });
                count
            }
        };
        let key = inner.layout.child(program, advocate, place);
        commit.writes.push(Write { key, record: Some(record(written, child)) });
    }
    if commit.writes.is_empty() {
        return Ok(true);
    }
    commit.writes.push(Write { key: head, record: Some(record(written, &(count, written))) });
    Ok(send(inner, &commit, &mut 0).await? == Outcome::Applied)
}

/// Whose lists are an account's: its own, and those of accounts that have become part of it.
fn lists_of(account: &AccountId, state: Option<&AccountState>) -> Vec<AccountId> {
    let homes = state.into_iter().flat_map(|state| &state.homes).filter(|home| home.why != HomeWhy::Left);
    std::iter::once(account.clone()).chain(homes.map(|home| home.account.clone())).collect()
}

/// Friends below a member, down to a depth, each right before those that they have brought; and the token of the next page.
pub(super) async fn view(
    inner: &Inner,
    program: &ProgramId,
    member: &MemberId,
    depth: usize,
    limit: usize,
    token: Option<&str>,
) -> Result<(Vec<Node>, Option<String>), Error> {
    inner.timeline(program)?;
    let malformed = || Error::Malformed { field: "page_token", problem: "is not one that an answer gave".to_owned() };
    let (account, state, _) = stored(inner, program, &AccountId::from(member), None).await?;
    if state.is_none() {
        return Err(Error::NotFound { field: "member_id" });
    }
    let first = Step { account, home: 0, after: 0 };
    let mut path: Vec<Step> = match token {
        None => vec![first],
        Some(token) => {
            let path: Vec<Step> = from_hex_bytes(token).and_then(|bytes| decode(&bytes).ok()).ok_or_else(malformed)?;
            let begins = path.first().is_some_and(|step| step.account == first.account);
            if !begins || depth < path.len() { return Err(malformed()) } else { path }
        }
    };
    let mut nodes: Vec<Node> = Vec::new();
    let mut looked_at = 0;
    loop {
        let depth_of = path.len();
        let Some(step) = path.last_mut() else { break };
        if limit <= nodes.len() || LOOKED_AT_MAX <= looked_at {
            let body = encode(&path);
            return Ok((nodes, Some(hex(&body))));
        }
        let (_, state, _) = stored(inner, program, &step.account, None).await?;
        let lists = lists_of(&step.account, state.as_deref());
        let nameless = 1 < depth_of && state.as_deref().is_some_and(AccountState::is_nameless);
        let Some(list) = lists.get(step.home) else {
            path.pop();
            continue;
        };
        let room = (limit - nodes.len()) as u64;
        let children = children(inner, program, list, step.after, room.clamp(1, READ_AT_ONCE)).await?;
        if children.is_empty() {
            (step.home, step.after) = (step.home + 1, 0);
            continue;
        }
        let generation = path.len();
        let parent = path.last().map(|step| step.account.clone()).filter(|_| !nameless);
        let mut down = None;
        for (place, child) in children {
            looked_at += 1;
            if let Some(step) = path.last_mut() {
                step.after = place;
            }
            if child.state == ReferralState::Superseded {
                continue;
            }
            let brought = brought(inner, program, &child.friend).await?;
            let friend = child.friend.clone();
            let generation_shown = u32::try_from(generation).unwrap_or(u32::MAX);
            nodes.push(Node { generation: generation_shown, parent: parent.clone(), child, brought });
            // Who brought those above, in a claim that was refused or has come to nothing, is shown and not gone through again.
            let above = path.iter().any(|step| step.account == friend);
            if 0 < brought && generation < depth && !above {
                // First all below, then the next.
                down = Some(friend);
                break;
            }
        }
        path.extend(down.map(|account| Step { account, home: 0, after: 0 }));
    }
    Ok((nodes, None))
}

/// Referrals of an advocate in the order in which the list has them, or against it; and the token of the next page. Friends of
/// accounts that became part of the advocate's come after its own.
pub(super) async fn referrals(
    inner: &Inner,
    program: &ProgramId,
    member: &MemberId,
    newest_first: bool,
    limit: usize,
    token: Option<&str>,
) -> Result<(Vec<ReferralView>, Option<String>), Error> {
    inner.timeline(program)?;
    let malformed = || Error::Malformed { field: "page_token", problem: "is not one that an answer gave".to_owned() };
    let (account, state, _) = stored(inner, program, &AccountId::from(member), None).await?;
    if state.is_none() {
        return Err(Error::NotFound { field: "member_id" });
    }
    let lists = lists_of(&account, state.as_deref());
    // Newest first, `after` is the place of the last friend that was read; 0: the list is new.
    let mut at = match token {
        None => Step { account, home: 0, after: 0 },
        Some(token) => {
            let read: Option<(Step, bool)> = from_hex_bytes(token).and_then(|bytes| decode(&bytes).ok());
            let same = read.filter(|(step, newest)| step.account == account && *newest == newest_first);
            same.ok_or_else(malformed)?.0
        }
    };
    let mut views = Vec::new();
    let mut looked_at = 0;
    while let Some(list) = lists.get(at.home) {
        if limit <= views.len() || LOOKED_AT_MAX <= looked_at {
            return Ok((views, Some(hex(&encode(&(at, newest_first))))));
        }
        let room = (limit - views.len()) as u64;
        let friends = if newest_first {
            let until = if at.after == 0 { count(inner, program, list).await?.saturating_add(1) } else { at.after };
            let from = until.saturating_sub(1 + room.min(READ_AT_ONCE));
            let mut friends = children(inner, program, list, from, until.saturating_sub(1 + from)).await?;
            friends.reverse();
            friends
        } else {
            children(inner, program, list, at.after, room.min(READ_AT_ONCE)).await?
        };
        for (place, child) in &friends {
            looked_at += 1;
            at.after = *place;
            if child.state == ReferralState::Superseded {
                continue;
            }
            match read::referral(inner, program, &child.referral).await {
                Ok(view) => views.push(view),
                // Another campaign has the friend since; the list is told of it soon.
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if friends.is_empty() || (newest_first && at.after <= 1) {
            (at.home, at.after) = (at.home + 1, 0);
        }
    }
    Ok((views, None))
}

/// How many are on a list.
async fn count(inner: &Inner, program: &ProgramId, list: &AccountId) -> Result<u64, Error> {
    let head = inner.layout.children_head(program, list);
    let found = inner.store.load(head.partition, std::slice::from_ref(&head)).await?.into_iter().next().flatten();
    Ok(read_record::<(u64, u64)>(&head, found)?.map_or(0, |(_, (count, _))| count))
}

/// How many an account has ever brought, its homes included.
async fn brought(inner: &Inner, program: &ProgramId, account: &AccountId) -> Result<u64, Error> {
    let (account, state, _) = stored(inner, program, account, None).await?;
    let mut sum = 0u64;
    for list in lists_of(&account, state.as_deref()) {
        sum = sum.saturating_add(count(inner, program, &list).await?);
    }
    Ok(sum)
}

/// Up to `limit` friends of a list after a position.
async fn children(
    inner: &Inner,
    program: &ProgramId,
    advocate: &AccountId,
    after: u64,
    limit: u64,
) -> Result<Vec<(u64, Child)>, Error> {
    let first = after.saturating_add(1);
    let places = first..first.saturating_add(limit);
    let keys: Vec<Key> = places.clone().map(|place| inner.layout.child(program, advocate, place)).collect();
    let Some(partition) = keys.first().map(|key| key.partition) else { return Ok(Vec::new()) };
    let found = inner.store.load(partition, &keys).await?;
    let mut children = Vec::new();
    for ((place, key), record) in places.zip(&keys).zip(found) {
        let Some((_, child)) = read_record::<Child>(key, record)? else { break };
        children.push((place, child));
    }
    Ok(children)
}
