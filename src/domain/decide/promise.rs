//! What the shopper was told that they would get, and what of it is otherwise.

use super::super::answer::{Change, Promise, Reason, Refusal, Subject};
use super::super::redeem::Redemption;

/// What a redemption gives.
pub(super) fn of(redemption: &Redemption) -> Vec<Promise> {
    let rewards = redemption.rewards.iter().map(|used| {
        let subject = match &used.voucher {
            Some(voucher) => Subject::Voucher(voucher.clone()),
            None => Subject::Reward(used.reward.clone()),
        };
        Promise { subject, amount: used.amount_minor }
    });
    let payment = redemption.payment.iter();
    let payment = payment.map(|used| Promise { subject: Subject::Payment(used.unit.clone()), amount: used.units });
    rewards.chain(payment).collect()
}

/// What differs, each with why: the refusal about it, else that the order is another.
pub(super) fn changes(quoted: &[Promise], now: &[Promise], refusals: &[Refusal]) -> Vec<Change> {
    let amount = |of: &[Promise], subject: &Subject| {
        of.iter().find(|promise| promise.subject == *subject).map_or(0, |promise| promise.amount)
    };
    let new = now.iter().filter(|promise| quoted.iter().all(|known| known.subject != promise.subject));
    let all = quoted.iter().chain(new).map(|promise| {
        let subject = promise.subject.clone();
        let refused = refusals.iter().find(|refusal| refusal.subject == subject);
        let reason = refused.map_or(Reason::OrderChanged, |refusal| refusal.reason);
        Change { quoted: amount(quoted, &subject), now: amount(now, &subject), subject, reason }
    });
    all.filter(|change| change.quoted != change.now).collect()
}
