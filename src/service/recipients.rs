//! Finds the account of whom an order or an event is for.

use super::read::stored;
use super::{Error, Inner};
use crate::domain::command::{Command, GuestOrder, Recipient};
use crate::domain::event_record::DeedRecord;
use crate::domain::id::{AccountId, MemberId, ProgramId};

/// What is found of the recipient that a command names, or that was named when what it is about was recorded.
pub(super) async fn named(
    inner: &Inner,
    program: &ProgramId,
    command: &Command,
    deed: Option<&DeedRecord>,
) -> Result<Option<Recipient>, Error> {
    match of(command, deed) {
        Some(member) => Box::pin(find(inner, program, member)).await.map(Some),
        None => Ok(None),
    }
}

/// What is found of a member.
pub(super) async fn find(inner: &Inner, program: &ProgramId, member: &MemberId) -> Result<Recipient, Error> {
    let (account, state, _) = stored(inner, program, &AccountId::from(member), None).await?;
    Ok(match state {
        None => Recipient::Unknown,
        Some(state) if state.erased_at.is_some() => Recipient::Erased,
        Some(_) => Recipient::Found(account),
    })
}

fn of<'c>(command: &'c Command, deed: Option<&'c DeedRecord>) -> Option<&'c MemberId> {
    match (command, deed) {
        (Command::Commit(commit), _) => commit.order.recipient.as_ref(),
        (Command::RecordEvent(record), _) => record.recipient.as_ref(),
        (Command::ReviewEvent(_), Some(DeedRecord::Event(event))) => event.recipient.as_ref(),
        (Command::Claim(claim), _) => match &claim.guest {
            GuestOrder::Claimed(record) => record.sent.recipient.as_ref(),
            GuestOrder::Absent | GuestOrder::Taken | GuestOrder::Open(_) => None,
        },
        _ => None,
    }
}
