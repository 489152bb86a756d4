//! Moves between accounts: the order of their steps, and their delivery.

use tracing::warn;

use super::quotas::Claims;
use super::read::stored;
use super::relay::deliver_one;
use super::write::{Cause, Once, Settled, Wanted, answered, find, once, settle};
use super::{Error, Inner, Write, recipients};
use crate::domain::account::AccountState;
use crate::domain::answer::{Answer, MoveAnswer};
use crate::domain::command::{Announce, Command, Outgoing, Relocate, SendUnits, Target};
use crate::domain::decide::as_of;
use crate::domain::id::AccountId;

/// Makes the member's own account a part of another. It is read first, then the other is asked, then it moves if it
/// has stood still since: see [`crate::domain::decide`] for why no circle closes.
pub(super) async fn relocate(
    inner: &Inner,
    cause: &Cause<'_>,
    write: &Write,
    command: &Relocate,
) -> Result<Settled, Error> {
    let own = AccountId::from(&write.member);
    let mut resent = 0;
    let mut set_aside = Claims::default();
    for _ in 0..inner.options.attempts_max.max(1) {
        let wanted = Wanted { stays: true, ..Wanted::default() };
        let mut basis = find(inner, cause.program, &own, wanted).await?;
        if let Some(settled) = answered(inner, cause, &own).await? {
            return Ok(settled);
        }
        let target = match basis.state() {
            Some(state) if state.away.is_none() && state.erased_at.is_none() => {
                ask(inner, cause, write, command, state).await?
            }
            // It cannot move in any case.
            _ => Target::Unknown,
        };
        let moving = Command::Relocate(Relocate { target, why: command.why.clone() });
        let times = inner.times(write.occurred_at);
        match once(inner, cause, &mut basis, &write.member, &moving, times, &mut resent, &mut set_aside).await? {
            Once::Settled(settled) => return Ok(*settled),
            // Whatever has happened to it, the other is asked again after it was read.
            Once::Newer | Once::Gone | Once::UsedUp => {}
        }
    }
    Err(Error::Contention)
}

async fn ask(
    inner: &Inner,
    cause: &Cause<'_>,
    write: &Write,
    command: &Relocate,
    state: &AccountState,
) -> Result<Target, Error> {
    let belongings = state.belongings();
    let announce = Announce {
        from: state.account.clone(),
        why: command.why.clone(),
        member: write.member.clone(),
        lots: belongings.lots(),
        homes: belongings.homes.len(),
    };
    let cause = Cause { request: None, ..*cause };
    let times = || inner.times(write.occurred_at);
    let asked = settle(inner, &cause, &command.why.target(), &Command::Announce(announce), &times).await?;
    match asked.answer {
        Answer::Announced(answer) => match (answer.found, answer.refusals.into_iter().next()) {
            (Some((account, why)), _) => Ok(Target::Found { account, why }),
            (None, Some(refusal)) => Ok(Target::Refused(refusal)),
            (None, None) => Err(Error::Internal("an announcement was neither heard nor refused".to_owned())),
        },
        _ => Err(Error::Internal("an answer of another kind than asked".to_owned())),
    }
}

/// Gives units to another member, whose account is looked for first.
pub(super) async fn send(
    inner: &Inner,
    cause: &Cause<'_>,
    write: &Write,
    command: &SendUnits,
) -> Result<Settled, Error> {
    let target = recipients::find(inner, cause.program, &command.to).await?;
    let command = Command::Send(SendUnits { target, ..command.clone() });
    let times = || inner.times(write.occurred_at);
    settle(inner, cause, &write.member, &command, &times).await
}

/// Whether [`finish`] has nothing to do.
pub(super) fn is_finished(done: &Settled) -> bool {
    done.outgoing.is_empty() && !matches!(done.answer, Answer::Move(_))
}

/// Delivers at once what a write has sent to other accounts, so that its caller finds it there. What fails is
/// delivered by the relay: it is on the feed.
pub(super) async fn finish(inner: &Inner, cause: &Cause<'_>, mut done: Settled) -> Settled {
    let mut waiting: Vec<Outgoing> = done.outgoing.drain(..).collect();
    // A gift that comes back is an effect of its own, which the relay delivers; nor does anybody wait for sums over all.
    let later = |effect: &Outgoing| match effect {
        Outgoing::Transfer(_) | Outgoing::Confirm(_) | Outgoing::Overdrawn(_) => true,
        Outgoing::StockBack(back) => !back.at_once,
        _ => false,
    };
    for effect in waiting.drain(..).filter(|effect| !later(effect)) {
        if let Err(error) = deliver_one(inner, cause.program, effect).await {
            warn!(%error, "an effect could not be delivered at once; the relay will");
        }
    }
    if let Answer::Move(answer) = &mut done.answer
        && let Err(error) = show_balances(inner, cause, answer).await
    {
        warn!(%error, "the balances after a move could not be read");
    }
    done
}

async fn show_balances(inner: &Inner, cause: &Cause<'_>, answer: &mut MoveAnswer) -> Result<(), Error> {
    let Some(account) = &answer.account else { return Ok(()) };
    let (_, state, _) = stored(inner, cause.program, account, None).await?;
    let Some(state) = state else { return Ok(()) };
    let now = inner.clock.now(None).max(state.posted_at);
    let state = as_of(cause.timeline, state, now).map_err(|error| Error::Internal(error.to_string()))?;
    answer.balances = state.balances();
    Ok(())
}
