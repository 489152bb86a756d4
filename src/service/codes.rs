//! Finds whose the codes are that a command names, and claims new ones.
//!
//! A code lies in a partition of its own. It is claimed there once its owner's decision is otherwise made; then it is
//! written into the owner's account; then its record says so. A code that is claimed and no more leads nowhere, unless
//! the account has it by now. A request that is sent again after a crash in between finds its own claim.

use super::read::stored;
use super::write::{codes_of, read, send};
use super::{Error, Inner};
use crate::domain::answer::CodeView;
use crate::domain::command::{CodeEffect, Command};
use crate::domain::decide::{CodeClaim, CodeWanted};
use crate::domain::id::{AccountId, Code, ProgramId};
use crate::domain::ledger::{digest, encode};
use crate::domain::referral::code::{ATTEMPTS_MAX, Maker, made};
use crate::domain::referral::touch::VisitorState;
use crate::domain::referral::{CodeOwner, CodeState};
use crate::domain::time::Instant;
use crate::store::{Commit, Expected, Key, Outcome, Record, Token, Write};

/// How often the record of a code is changed again because somebody else did.
const TRIES_MAX: usize = 16;

/// Whose the codes are that a command names, and those by which its visitor came.
pub(super) async fn named(
    inner: &Inner,
    program: &ProgramId,
    command: &Command,
    visitor: Option<&VisitorState>,
) -> Result<Vec<(Code, Option<CodeOwner>)>, Error> {
    let mut found: Vec<(Code, Option<CodeOwner>)> = Vec::new();
    let touched = visitor.into_iter().flat_map(|visitor| &visitor.touches).map(|touch| &touch.code);
    for code in codes_of(command).iter().filter_map(|entered| entered.code.as_ref()).chain(touched) {
        if found.iter().all(|(known, _)| known != code) {
            found.push((code.clone(), Box::pin(owner(inner, program, code)).await?));
        }
    }
    Ok(found)
}

async fn owner(inner: &Inner, program: &ProgramId, code: &Code) -> Result<Option<CodeOwner>, Error> {
    let key = inner.layout.code(program, code);
    let now = inner.clock.now(None);
    if let Some(owner) = inner.records.code(&key, now) {
        return Ok(Some(owner));
    }
    let Some((_, owner)) = load(inner, &key).await? else { return Ok(None) };
    let owner = if owner.state == CodeState::Claimed { as_owned(inner, program, code, owner).await? } else { owner };
    if owner.state != CodeState::Claimed {
        inner.records.keep_code(key, owner.clone(), now);
    }
    Ok(Some(owner))
}

async fn load(inner: &Inner, key: &Key) -> Result<Option<(Token, CodeOwner)>, Error> {
    let record = inner.store.load(key.partition, std::slice::from_ref(key)).await?.into_iter().next().flatten();
    read::<CodeOwner>(key, record)
}

/// What the account says of a code that it has claimed: whoever made it owned may have stopped before saying so.
async fn as_owned(inner: &Inner, program: &ProgramId, code: &Code, claim: CodeOwner) -> Result<CodeOwner, Error> {
    let (_, state, _) = stored(inner, program, &claim.account, None).await?;
    let own = state.iter().flat_map(|state| &state.codes).find(|own| own.code == *code);
    Ok(own.map_or_else(|| claim.clone(), |own| own.owner(&claim.account)))
}

/// Claims the code that a decision wants.
pub(super) async fn claim(
    inner: &Inner,
    program: &ProgramId,
    account: &AccountId,
    wanted: &CodeWanted,
) -> Result<CodeClaim, Error> {
    let CodeWanted { campaign, label, vanity, pattern } = wanted;
    let mine = CodeOwner {
        account: account.clone(),
        campaign: campaign.clone(),
        state: CodeState::Claimed,
        revision: 0,
        expires_at: Instant::MAX,
        uses_max: None,
    };
    let attempts = if vanity.is_some() { 1 } else { ATTEMPTS_MAX };
    let maker = Maker { program, campaign, account, label: label.as_ref() };
    for attempt in 0..attempts {
        let Some(code) = vanity.clone().or_else(|| made(maker, pattern, attempt)) else { break };
        if claim_one(inner, program, &code, &mine).await? == mine {
            return Ok(CodeClaim::Mine(code));
        }
    }
    Ok(CodeClaim::Taken)
}

/// Claims a code; answers whose it is then.
async fn claim_one(inner: &Inner, program: &ProgramId, code: &Code, mine: &CodeOwner) -> Result<CodeOwner, Error> {
    let key = inner.layout.code(program, code);
    if let Some((_, owner)) = load(inner, &key).await? {
        return Ok(owner);
    }
    let commit = replacing(&key, Expected::Absent, 1, mine);
    match send(inner, &commit, &mut 0).await? {
        Outcome::Applied => Ok(mine.clone()),
        Outcome::Conflict(records) => {
            let found = read::<CodeOwner>(&key, records.into_iter().next().flatten())?;
            found.map(|(_, owner)| owner).ok_or(Error::Contention)
        }
        Outcome::Seen(_) | Outcome::GuardFailed { .. } => {
            Err(Error::Internal("a claim met a condition that it did not state".to_owned()))
        }
    }
}

fn replacing(key: &Key, expected: Expected, sequence: u64, owner: &CodeOwner) -> Commit {
    let body = encode(owner);
    let token = Token::new(sequence, &digest(&body));
    Commit {
        partition: key.partition,
        expect: vec![(key.clone(), expected)],
        writes: vec![Write { key: key.clone(), record: Some(Record { token, body }) }],
        ..Commit::default()
    }
}

/// Brings the record of a code to what its owner's account says; again, or late, changes nothing.
pub(super) async fn apply(inner: &Inner, program: &ProgramId, effect: &CodeEffect) -> Result<(), Error> {
    change(inner, program, &effect.code, |stands| {
        let newer = stands.state != CodeState::Erased && stands.revision < effect.owner.revision;
        // Whoever claimed it is found under that name for good, wherever the account has gone since.
        newer.then(|| CodeOwner { account: stands.account.clone(), ..effect.owner.clone() })
    })
    .await
}

/// From now on the code attributes nobody. It stays taken.
pub(super) async fn erase(inner: &Inner, program: &ProgramId, code: &Code) -> Result<(), Error> {
    change(inner, program, code, |stands| {
        (stands.state != CodeState::Erased).then(|| CodeOwner { state: CodeState::Erased, ..stands.clone() })
    })
    .await
}

async fn change(
    inner: &Inner,
    program: &ProgramId,
    code: &Code,
    to: impl Fn(&CodeOwner) -> Option<CodeOwner>,
) -> Result<(), Error> {
    let key = inner.layout.code(program, code);
    for _ in 0..TRIES_MAX {
        let found = load(inner, &key).await?;
        let Some((token, owner)) = found.and_then(|(token, stands)| Some((token, to(&stands)?))) else {
            return Ok(());
        };
        let commit = replacing(&key, Expected::At(token), token.sequence() + 1, &owner);
        if send(inner, &commit, &mut 0).await? == Outcome::Applied {
            inner.records.forget_code(&key);
            return Ok(());
        }
    }
    Err(Error::Contention)
}

/// A code as it stands.
pub(super) async fn view(inner: &Inner, program: &ProgramId, code: &Code) -> Result<CodeView, Error> {
    const NOT_FOUND: Error = Error::NotFound { field: "code" };
    let timeline = inner.timeline(program)?;
    let (_, owner) = load(inner, &inner.layout.code(program, code)).await?.ok_or(NOT_FOUND)?;
    let owner = if owner.state == CodeState::Claimed { as_owned(inner, program, code, owner).await? } else { owner };
    if owner.state == CodeState::Claimed {
        return Err(NOT_FOUND);
    }
    let now = inner.clock.now(None);
    let terms = timeline.at(now).and_then(|program| program.campaign(&owner.campaign));
    let uses_max = owner.uses_max.or(terms.and_then(|terms| terms.codes.uses_max));
    let campaign_over = terms.is_none_or(|terms| terms.ends_at.is_some_and(|until| until <= now));
    Ok(CodeView { code: code.clone(), owner, uses_max, campaign_over })
}
