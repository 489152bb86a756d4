//! Confirms claims: walks from a friend's advocate upwards, and settles the claim by what it met.
//!
//! Every account on the way is read from the store, never from the cache: a claim counts from the moment in which it is
//! durable. See [`cycle`](crate::domain::referral::cycle) for why no circle is ever confirmed.

use std::collections::VecDeque;

use super::read::stored;
use super::write::{Cause, settle};
use super::{Error, Inner};
use crate::domain::answer::ReferralState;
use crate::domain::command::{Command, ConfirmReferral, SettleReferral};
use crate::domain::id::{AccountId, MemberId, ProgramId};
use crate::domain::referral::Referral;
use crate::domain::referral::cycle::{End, HOPS_MAX, Link, verdict};
use crate::domain::time::Times;

/// Whether the claim is settled now; otherwise another one of its circle is to be settled first.
pub(super) async fn confirm(inner: &Inner, program: &ProgramId, claim: &ConfirmReferral) -> Result<bool, Error> {
    let (friend, state, _) = stored(inner, program, &claim.friend, None).await?;
    let meant = |known: &&Referral| known.referral == claim.referral && known.attributed_at == claim.attributed_at;
    let open = state.as_ref().and_then(|state| state.referrals().find(meant)).filter(|known| !known.confirmed);
    let Some(open) = open.filter(|known| known.state != ReferralState::Rejected) else { return Ok(true) };
    let own = link(&friend, open);
    let (above, end) = walk(inner, program, &friend, open).await?;
    let verdict = verdict(&own, &above, end);
    let command = Command::SettleReferral(SettleReferral {
        referral: claim.referral.clone(),
        attributed_at: claim.attributed_at,
        verdict,
    });
    let timeline = inner.timeline(program)?;
    let cause = Cause { program, timeline: &timeline, request: None };
    let effective_at = claim.attributed_at;
    let times = || Times { now: inner.clock.now(Some(effective_at)), effective_at, stated: true };
    let settled = settle(inner, &cause, &MemberId::from(&friend), &command, &times).await?;
    Ok(settled.received)
}

fn link(friend: &AccountId, claim: &Referral) -> Link {
    Link { friend: friend.clone(), attributed_at: claim.attributed_at, confirmed: claim.confirmed }
}

/// The claims from a claim upwards, as far as to whoever was brought by nobody. Who shares the credit for a friend has
/// brought them, too: the walk goes to each.
async fn walk(
    inner: &Inner,
    program: &ProgramId,
    friend: &AccountId,
    from: &Referral,
) -> Result<(Vec<Link>, End), Error> {
    let mut above: Vec<Link> = Vec::new();
    let brought_by = |claim: &Referral| -> Vec<AccountId> {
        claim.credits().into_iter().map(|(advocate, _)| advocate.clone()).collect()
    };
    let mut next = VecDeque::from(brought_by(from));
    let mut closes = false;
    for _ in 0..HOPS_MAX {
        let Some(account) = next.pop_front() else {
            return Ok((above, if closes { End::Friend } else { End::Root }));
        };
        let (account, state, _) = stored(inner, program, &account, None).await?;
        if account == *friend {
            closes = true;
            continue;
        }
        // Accounts that were merged may form a circle of which the friend is no part: it has no root either.
        let known = above.iter().any(|link| link.friend == account);
        let claim =
            state.and_then(|state| state.referral.clone()).filter(|claim| claim.state != ReferralState::Rejected);
        let Some(claim) = claim.filter(|_| !known) else { continue };
        above.push(link(&account, &claim));
        next.extend(brought_by(&claim));
    }
    let end = match (closes, next.is_empty()) {
        (true, _) => End::Friend,
        (false, true) => End::Root,
        (false, false) => End::TooFar,
    };
    Ok((above, end))
}
