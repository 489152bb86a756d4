//! Signals of people: hashed before anything is decided on them, and what is known of those above a friend.

use super::quotes::secret_of_deployment;
use super::read::stored;
use super::{Error, Inner};
use crate::domain::account::AccountState;
use crate::domain::command::{Attribute, Command, Commit as CommitOrder, Enroll, UpdateMember};
use crate::domain::counters::CounterState;
use crate::domain::decide::Known;
use crate::domain::id::{AccountId, Code, ProgramId};
use crate::domain::program::FraudTerms;
use crate::domain::referral::CodeOwner;
use crate::domain::referral::signal::{HashedSignals, SignalKey, Signals};
use crate::store;

/// Accounts that are looked at above one friend, whatever codes and touches lead to.
const LOOKS_MAX: usize = 40;

/// What a command tells of a person.
fn of(command: &Command) -> Option<&Signals> {
    match command {
        Command::Enroll(Enroll { signals, .. })
        | Command::Commit(CommitOrder { signals, .. })
        | Command::Attribute(Attribute { signals, .. })
        | Command::UpdateMember(UpdateMember { signals, .. }) => Some(signals),
        _ => None,
    }
}

/// What a command tells, as hashed.
pub(super) fn sent(command: &Command) -> Option<HashedSignals> {
    of(command).and_then(Signals::hashed).cloned()
}

/// The command with its signals hashed, where it has any: from here on nobody sees what they were.
pub(super) async fn hashed(
    inner: &Inner,
    program: &ProgramId,
    command: &Command,
) -> Result<Option<Box<Command>>, Error> {
    let Some(raw) = of(command).and_then(Signals::raw) else { return Ok(None) };
    let hashed = Signals::Hashed(Box::new(raw.hashed(program, Box::pin(keys(inner)).await?)));
    Ok(Some(Box::new(match command.clone() {
        Command::Enroll(enroll) => Command::Enroll(Enroll { signals: hashed, ..enroll }),
        Command::Commit(commit) => Command::Commit(CommitOrder { signals: hashed, ..commit }),
        Command::Attribute(attribute) => Command::Attribute(Attribute { signals: hashed, ..attribute }),
        Command::UpdateMember(update) => Command::UpdateMember(UpdateMember { signals: hashed, ..update }),
        other => other,
    })))
}

/// Those above a friend: of each advocate whom the command may attribute them to, or whom they are attributed to, as many
/// as the program looks at. None where nothing is known of the friend to compare with.
pub(super) async fn upline(
    inner: &Inner,
    program: &ProgramId,
    command: &Command,
    friend: Option<&AccountState>,
    codes: &[(Code, Option<CodeOwner>)],
) -> Result<Vec<Known>, Error> {
    let asks = matches!(command, Command::Enroll(_) | Command::Commit(_) | Command::Attribute(_) | Command::Claim(_));
    let open = friend.and_then(|state| state.referral.as_ref()).filter(|known| known.is_undecided() && !known.paid);
    if !asks || (codes.is_empty() && open.is_none()) {
        return Ok(Vec::new());
    }
    let timeline = inner.timeline(program)?;
    let versions = timeline.versions.iter().map(|(_, version)| version);
    let terms: Vec<&FraudTerms> =
        versions.flat_map(|version| &version.campaigns).map(|campaign| &campaign.fraud).collect();
    let known = friend.is_some_and(|state| state.people.iter().any(|person| !person.profile.signals.is_empty()));
    let compares = known || of(command).and_then(Signals::hashed).is_some();
    let counts = terms.iter().any(|terms| terms.velocity.is_some());
    let looks_up = counts || (compares && terms.iter().any(|terms| terms.looks_up()));
    if !looks_up {
        return Ok(Vec::new());
    }
    let hops_max = if compares { terms.iter().map(|terms| terms.hops()).max().unwrap_or(1) } else { 1 };
    let owners = codes.iter().filter_map(|(_, owner)| owner.as_ref()).map(|owner| &owner.account);
    let attributed = open.into_iter().flat_map(|open| open.credits().into_iter().map(|(advocate, _)| advocate));
    let mut advocates: Vec<&AccountId> = Vec::new();
    for advocate in owners.chain(attributed) {
        if !advocates.contains(&advocate) {
            advocates.push(advocate);
        }
    }
    let mut found = Vec::new();
    for advocate in advocates {
        let mut next = Some(advocate.clone());
        for hops in 1..=hops_max {
            let Some(account) = next.take().filter(|_| found.len() < LOOKS_MAX) else { break };
            let (_, state, _) = Box::pin(stored(inner, program, &account, None)).await?;
            let Some(state) = state else { break };
            next = state.referral.as_ref().map(|referral| referral.advocate.clone());
            let hops = u32::try_from(hops).unwrap_or(u32::MAX);
            found.push(Known { advocate: advocate.clone(), hops, state: bare(&state) });
        }
    }
    Ok(found)
}

/// Who somebody is, what is known of them and how many friends they brought; nothing else.
fn bare(state: &AccountState) -> AccountState {
    let of_friends = |known: &CounterState| known.counter.as_str().starts_with("{referral.");
    let counters = state.counters.iter().filter(|known| of_friends(known)).cloned().collect();
    AccountState { counters, people: state.people.clone(), ..AccountState::new(state.account.clone()) }
}

/// Those of the settings, else that of the deployment.
async fn keys(inner: &Inner) -> Result<&Vec<SignalKey>, Error> {
    let known = async {
        match inner.options.signal_keys.as_slice() {
            [] => Ok(vec![of_deployment(inner).await?]),
            keys => Ok(keys.to_vec()),
        }
    };
    inner.signal_keys.get_or_try_init(|| known).await
}

async fn of_deployment(inner: &Inner) -> Result<SignalKey, Error> {
    let what = "the key of signals";
    let secret = secret_of_deployment(inner, &inner.layout.signal_key(), what).await?;
    SignalKey::of(&secret).ok_or_else(|| Error::Store(store::Error::Corrupt { what: what.to_owned() }))
}
