//! Finds whose the codes are that a command names, and claims new ones.
//!
//! A code lies in a partition of its own. It is claimed there first, by the account that will own it; only then is
//! it written into that account. A request that is sent again after a crash between the two finds its own claim.

use super::write::{Cause, codes_of, read, send};
use super::{Error, Inner};
use crate::domain::account::AccountState;
use crate::domain::code::{ATTEMPTS_MAX, made};
use crate::domain::command::{Command, CreateCode};
use crate::domain::decide::{CodeOwner, CodeWanted, code_wanted};
use crate::domain::id::{AccountId, Code, ProgramId};
use crate::domain::ledger::{digest, encode};
use crate::domain::time::Times;
use crate::store::{Commit, Expected, Outcome, Record, Token, Write};

/// The codes of a command with their owners; for CreateCode, the one that was claimed.
pub(super) async fn resolve(
    inner: &Inner,
    cause: &Cause<'_>,
    account: &AccountId,
    state: Option<&AccountState>,
    command: &Command,
    times: Times,
) -> Result<Vec<(Code, Option<CodeOwner>)>, Error> {
    if let Command::CreateCode(create) = command {
        return claim(inner, cause, account, state, create, times).await;
    }
    named(inner, cause.program, command).await
}

/// Whose the codes are that a command names.
pub(super) async fn named(
    inner: &Inner,
    program: &ProgramId,
    command: &Command,
) -> Result<Vec<(Code, Option<CodeOwner>)>, Error> {
    let mut found: Vec<(Code, Option<CodeOwner>)> = Vec::new();
    for code in codes_of(command).iter().filter_map(|entered| entered.code.as_ref()) {
        if found.iter().all(|(known, _)| known != code) {
            found.push((code.clone(), owner(inner, program, code).await?));
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
    let record = inner.store.load(key.partition, std::slice::from_ref(&key)).await?.into_iter().next().flatten();
    let owner = read::<CodeOwner>(&key, record)?.map(|(_, owner)| owner);
    if let Some(owner) = &owner {
        inner.records.keep_code(key, owner.clone(), now);
    }
    Ok(owner)
}

async fn claim(
    inner: &Inner,
    cause: &Cause<'_>,
    account: &AccountId,
    state: Option<&AccountState>,
    create: &CreateCode,
    times: Times,
) -> Result<Vec<(Code, Option<CodeOwner>)>, Error> {
    let Some(program) = cause.timeline.at(times.effective_at) else { return Err(Error::ProgramUnknown) };
    let CodeWanted::Claim { campaign, vanity } = code_wanted(program, state, create, times.effective_at) else {
        return Ok(Vec::new());
    };
    let mine = CodeOwner { account: account.clone(), campaign: campaign.clone(), blocked: false };
    let attempts = if vanity.is_some() { 1 } else { ATTEMPTS_MAX };
    for attempt in 0..attempts {
        let code = vanity.clone().or_else(|| made(cause.program, &campaign, account, attempt));
        let Some(code) = code else { break };
        let owner = claim_one(inner, cause.program, &code, &mine).await?;
        if owner == mine {
            return Ok(vec![(code, Some(owner))]);
        }
    }
    Ok(Vec::new())
}

/// Claims a code; answers whose it is then.
async fn claim_one(inner: &Inner, program: &ProgramId, code: &Code, mine: &CodeOwner) -> Result<CodeOwner, Error> {
    let key = inner.layout.code(program, code);
    if let Some(owner) = owner(inner, program, code).await? {
        return Ok(owner);
    }
    let body = encode(mine);
    let token = Token::new(1, &digest(&body));
    let commit = Commit {
        partition: key.partition,
        expect: vec![(key.clone(), Expected::Absent)],
        writes: vec![Write { key: key.clone(), record: Some(Record { token, body }) }],
        ..Commit::default()
    };
    match send(inner, &commit, &mut 0).await? {
        Outcome::Applied => Ok(mine.clone()),
        Outcome::Conflict(records) => {
            let record = records.into_iter().next().flatten();
            let found = read::<CodeOwner>(&key, record)?;
            found.map(|(_, owner)| owner).ok_or(Error::Contention)
        }
        Outcome::Seen(_) | Outcome::GuardFailed { .. } => {
            Err(Error::Internal("a claim met a condition that it did not state".to_owned()))
        }
    }
}
