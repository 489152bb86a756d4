//! Payouts of partners.

use super::{all, balance, decision, text, timestamp, wire};
use crate::domain::account::{Payout, PayoutState};
use crate::domain::answer::{PayoutAnswer, PayoutsView};
use crate::domain::payouts::Commission;

pub(in crate::grpc) fn prepare_payout(answer: PayoutAnswer, replayed: bool) -> wire::PreparePayoutResponse {
    let PayoutAnswer { changed, payout: stands, decided, balances } = answer;
    wire::PreparePayoutResponse {
        prepared: changed,
        payout: stands.map(|known| payout(*known)),
        decision: Some(decision(decided)),
        balances: all(balances, balance),
        replayed,
    }
}

pub(in crate::grpc) fn confirm_payout(answer: PayoutAnswer, replayed: bool) -> wire::ConfirmPayoutResponse {
    let PayoutAnswer { changed, payout: stands, decided, balances } = answer;
    wire::ConfirmPayoutResponse {
        confirmed: changed,
        payout: stands.map(|known| payout(*known)),
        decision: Some(decision(decided)),
        balances: all(balances, balance),
        replayed,
    }
}

/// The payouts with a lower number than `before`, at most `size`, the latest first.
pub(in crate::grpc) fn list(view: PayoutsView, before: u32, size: usize) -> wire::ListPayoutsResponse {
    let PayoutsView { mut payouts, commissions } = view;
    payouts.retain(|known| known.number < before);
    payouts.sort_by_key(|known| std::cmp::Reverse(known.number));
    payouts.truncate(size);
    let commission = |(unit, currency, of)| {
        let Commission { pending, due, in_payout, paid, voided } = of;
        wire::Commission {
            unit: crate::domain::id::UnitId::to_string(&unit),
            currency_code: crate::domain::order::Currency::to_string(&currency),
            pending_minor: pending,
            due_minor: due,
            in_payout_minor: in_payout,
            paid_minor: paid,
            voided_minor: voided,
        }
    };
    wire::ListPayoutsResponse { payouts: all(payouts, payout), commissions: all(commissions, commission) }
}

fn payout(payout: Payout) -> wire::Payout {
    let state = match payout.state {
        PayoutState::Prepared => wire::PayoutState::Prepared,
        PayoutState::Paid => wire::PayoutState::Paid,
        PayoutState::Failed => wire::PayoutState::Failed,
    };
    wire::Payout {
        payout_id: payout.payout.to_string(),
        number: i32::try_from(payout.number).unwrap_or(i32::MAX),
        unit: payout.unit.to_string(),
        currency_code: payout.currency.to_string(),
        amount_minor: payout.amount,
        state: state.into(),
        prepared_at: Some(timestamp(payout.prepared_at)),
        settled_at: payout.settled_at.map(timestamp),
        reference: text(payout.reference),
    }
}
