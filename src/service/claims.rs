//! Claims of guests' orders.
//!
//! A guest's order lies in an account of its own. That account becomes an alias of whoever claims it, durably and once;
//! only then is the order decided on the claimant's account. A claim that is sent again after a crash between the two
//! finds itself and goes on; so does any call that names the guest.

use super::write::{Cause, Settled, load, read, read_member, send, settle};
use super::{Error, Inner, Write};
use crate::domain::account::MemberRecord;
use crate::domain::command::{Claim, Command, GuestOrder};
use crate::domain::decide::claimable;
use crate::domain::id::{AccountId, MemberId, OrderId, ProgramId};
use crate::domain::ledger::digest;
use crate::domain::order_record::OrderRecord;
use crate::domain::time::{Instant, Times};
use crate::store::{self, Commit, Expected, Outcome, Record, Token, Write as RecordWrite};

/// Claims the order, then decides it.
pub(super) async fn claim(inner: &Inner, cause: &Cause<'_>, write: &Write, claim: &Claim) -> Result<Settled, Error> {
    let claimed_at = inner.times(write.occurred_at).effective_at;
    let guest = found(inner, cause, &write.member, &claim.order_id, claimed_at).await?;
    decide(inner, cause, &write.member, Claim { guest, claimed_at, ..claim.clone() }).await
}

/// Decides a claim as of the order's own instant.
async fn decide(inner: &Inner, cause: &Cause<'_>, member: &MemberId, claim: Claim) -> Result<Settled, Error> {
    let placed_at = match &claim.guest {
        GuestOrder::Claimed(record) | GuestOrder::Open(record) => Some(record.committed_at),
        GuestOrder::Absent | GuestOrder::Taken => None,
    };
    let times = || match placed_at {
        Some(effective_at) => Times { effective_at, stated: true, ..inner.times(None) },
        None => inner.times(None),
    };
    settle(inner, cause, member, &Command::Claim(claim), &times).await
}

/// What stands under the guest of an order; makes it the claimant's if it may be.
async fn found(
    inner: &Inner,
    cause: &Cause<'_>,
    member: &MemberId,
    order: &OrderId,
    claimed_at: Instant,
) -> Result<GuestOrder, Error> {
    let claimant = AccountId::from(member);
    for _ in 0..inner.options.attempts_max.max(1) {
        let Some((record, of_guest)) = as_stored(inner, cause.program, order).await? else {
            return Ok(GuestOrder::Absent);
        };
        let token = match of_guest {
            (_, MemberRecord::Alias(to)) if to == claimant => return Ok(GuestOrder::Claimed(record)),
            (_, MemberRecord::Alias(_)) => return Ok(GuestOrder::Taken),
            (token, MemberRecord::Account(_)) => token,
        };
        let probe = Claim { order_id: order.clone(), claimed_at, guest: GuestOrder::Absent };
        let basis = load(inner, cause.program, &claimant, &Command::Claim(probe)).await?;
        let may = claimable(cause.timeline, &record, claimed_at).is_ok() && claimed_at <= inner.times(None).now;
        if !may || !basis.has_member() || basis.has_order() {
            return Ok(GuestOrder::Open(record));
        }
        if make_alias(inner, cause.program, order, token, &claimant).await? {
            return Ok(GuestOrder::Claimed(record));
        }
    }
    Err(Error::Contention)
}

type Stored = (Box<OrderRecord>, (Token, MemberRecord));

/// The guest's order and what stands under the guest's name, read at one instant. The order is as it was when it was
/// claimed: later returns go to the claimant.
async fn as_stored(inner: &Inner, program: &ProgramId, order: &OrderId) -> Result<Option<Stored>, Error> {
    let guest = AccountId::from(&MemberId::guest(order));
    let key = inner.layout.account(program, &guest);
    let order_key = inner.layout.order(program, &guest, order);
    let mut records = inner.store.load(key.partition, &[key.clone(), order_key.clone()]).await?.into_iter();
    let Some(of_guest) = records.next().flatten() else { return Ok(None) };
    let of_guest = read_member(inner, &key, &of_guest)?;
    match read::<OrderRecord>(&order_key, records.next().flatten())? {
        Some((_, record)) => Ok(Some((Box::new(record), of_guest))),
        None => {
            let what = format!("`{}` has no order", key.name);
            Err(Error::Store(store::Error::Corrupt { what }))
        }
    }
}

/// The claim itself; false if the guest's record has changed since it was read.
async fn make_alias(
    inner: &Inner,
    program: &ProgramId,
    order: &OrderId,
    token: Token,
    claimant: &AccountId,
) -> Result<bool, Error> {
    let key = inner.layout.account(program, &AccountId::from(&MemberId::guest(order)));
    let body = MemberRecord::Alias(claimant.clone()).to_stored();
    let record = Record { token: Token::new(token.sequence() + 1, &digest(&body)), body };
    let commit = Commit {
        partition: key.partition,
        expect: vec![(key.clone(), Expected::At(token))],
        writes: vec![RecordWrite { key: key.clone(), record: Some(record) }],
        ..Commit::default()
    };
    let outcome = send(inner, &commit, &mut 0).await;
    inner.records.forget(&key);
    match outcome? {
        Outcome::Applied => Ok(true),
        // Perhaps this very write, sent twice: whoever looks again sees whose it is.
        Outcome::Conflict(_) => Ok(false),
        Outcome::Seen(_) | Outcome::GuardFailed { .. } => {
            Err(Error::Internal("a claim met a condition that it did not state".to_owned()))
        }
    }
}

/// A call names a guest whose order has been claimed, and the claimant's account does not have the order yet: the
/// claim stopped half way. Brings it to its end.
pub(super) async fn complete(inner: &Inner, cause: &Cause<'_>, order: &OrderId) -> Result<(), Error> {
    let Some((record, (_, MemberRecord::Alias(to)))) = as_stored(inner, cause.program, order).await? else {
        return Ok(());
    };
    let claimed_at = inner.times(None).now;
    let claim = Claim { order_id: order.clone(), claimed_at, guest: GuestOrder::Claimed(record) };
    let cause = Cause { program: cause.program, timeline: cause.timeline, request: None };
    Box::pin(decide(inner, &cause, &MemberId::from(&to), claim)).await.map(drop)
}
