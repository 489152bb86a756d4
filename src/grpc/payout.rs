//! What partners are paid.

use tonic::{Request, Response};

use super::request::{self, Envelope};
use super::response::payouts;
use super::violations::{Path, Violations, read};
use super::wire::{self, payout_service_server::PayoutService};
use super::{Face, Reply, fingerprints, status, trace};
use crate::domain::account::AccountState;
use crate::domain::answer::Answer;
use crate::domain::command::{Command, ConfirmPayout, PreparePayout};
use crate::domain::id::{Label, MemberId, PayoutId, ProgramId, UnitId};
use crate::service::{Calls, Write};

pub(super) const METHODS: &[&str] = &[
    "guerdon.v1.PayoutService/PreparePayout",
    "guerdon.v1.PayoutService/ConfirmPayout",
    "guerdon.v1.PayoutService/ListPayouts",
];

/// Payouts on a page unless the caller says otherwise.
const PAGE_DEFAULT: usize = 50;

#[tonic::async_trait]
impl PayoutService for Face {
    async fn prepare_payout(&self, raw: Request<wire::PreparePayoutRequest>) -> Reply<wire::PreparePayoutResponse> {
        let write = read(|bad| prepare_payout(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::PreparePayout(answer) => Some(payouts::prepare_payout(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn confirm_payout(&self, raw: Request<wire::ConfirmPayoutRequest>) -> Reply<wire::ConfirmPayoutResponse> {
        let write = read(|bad| confirm_payout(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::ConfirmPayout(answer) => Some(payouts::confirm_payout(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn list_payouts(&self, raw: Request<wire::ListPayoutsRequest>) -> Reply<wire::ListPayoutsResponse> {
        let asked = read(|bad| list_payouts(bad, &*self.calls, raw.get_ref()));
        let (program, member, before, size) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let view = self.calls.payouts(&program, &member).await.map_err(|error| status::of(&error))?;
        Ok(Response::new(payouts::list(view, before, size)))
    }
}

fn prepare_payout(bad: &mut Violations, calls: &dyn Calls, raw: &wire::PreparePayoutRequest) -> Option<Write> {
    let wire::PreparePayoutRequest { program_id, member_id, request_id, payout_id, unit, occurred_at } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let payout = bad.take(&Path::Of("payout_id"), PayoutId::parse(payout_id));
    let unit = request::optional(bad, &Path::Of("unit"), unit, UnitId::parse);
    let prepare = PreparePayout { payout: payout?, unit: unit? };
    Some(envelope?.write(fingerprints::prepare_payout(raw), Command::PreparePayout(prepare)))
}

fn confirm_payout(bad: &mut Violations, calls: &dyn Calls, raw: &wire::ConfirmPayoutRequest) -> Option<Write> {
    let wire::ConfirmPayoutRequest { program_id, member_id, request_id, payout_id, state, reference, occurred_at } =
        raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let payout = bad.take(&Path::Of("payout_id"), PayoutId::parse(payout_id));
    let paid = match request::known(bad, &Path::Of("state"), *state) {
        Some(wire::PayoutState::Paid) => Some(true),
        Some(wire::PayoutState::Failed) => Some(false),
        Some(wire::PayoutState::Prepared | wire::PayoutState::Unspecified) => {
            bad.add(&Path::Of("state"), "must be PAYOUT_STATE_PAID or PAYOUT_STATE_FAILED");
            None
        }
        None => None,
    };
    let reference = request::optional(bad, &Path::Of("reference"), reference, Label::parse);
    let confirm = ConfirmPayout { payout: payout?, paid: paid?, reference: reference? };
    Some(envelope?.write(fingerprints::confirm_payout(raw), Command::ConfirmPayout(confirm)))
}

fn list_payouts(
    bad: &mut Violations,
    calls: &dyn Calls,
    raw: &wire::ListPayoutsRequest,
) -> Option<(ProgramId, MemberId, u32, usize)> {
    let wire::ListPayoutsRequest { program_id, member_id, before_number, page_size } = raw;
    let program = request::program(bad, calls, program_id);
    let member = bad.take(&Path::Of("member_id"), MemberId::parse(member_id));
    let before = request::number(bad, &Path::Of("before_number"), i64::from(*before_number), 0..=i64::from(i32::MAX));
    let most = AccountState::PAYOUTS_MAX as i64;
    let size = request::number(bad, &Path::Of("page_size"), i64::from(*page_size), 0..=most);
    let size = size.map(|size| if size == 0 { PAGE_DEFAULT } else { usize::try_from(size).unwrap_or(PAGE_DEFAULT) });
    let before = before.map(|before| u32::try_from(before).ok().filter(|n| 0 < *n).unwrap_or(u32::MAX));
    Some((program?, member?, before?, size?))
}
