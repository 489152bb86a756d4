//! What is on offer, and what members own besides units.

use tonic::{Request, Response};

use super::request::{self, Envelope};
use super::violations::{Path, Violations, read};
use super::wire::{self, reward_service_server::RewardService};
use super::{Face, Reply, fingerprints, member, response, status, trace};
use crate::domain::account::VoucherState;
use crate::domain::answer::Answer;
use crate::domain::command::{Catalogue, Command, RedeemReward};
use crate::domain::id::{DrawId, Label, MemberId, ProgramId, RewardId, VoucherId};
use crate::service::{Calls, Preview, Write};

pub(super) const METHODS: &[&str] = &[
    "guerdon.v1.RewardService/ListRewards",
    "guerdon.v1.RewardService/Redeem",
    "guerdon.v1.RewardService/FulfilVoucher",
    "guerdon.v1.RewardService/CancelVoucher",
    "guerdon.v1.RewardService/ListVouchers",
    "guerdon.v1.RewardService/GetDraw",
    "guerdon.v1.RewardService/ListDrawTickets",
];

/// Tickets of a draw on a page.
pub(super) const TICKETS_PAGE_MAX: i64 = 1_000;

#[tonic::async_trait]
impl RewardService for Face {
    async fn list_rewards(&self, raw: Request<wire::ListRewardsRequest>) -> Reply<wire::ListRewardsResponse> {
        let preview = read(|bad| list_rewards(bad, &*self.calls, raw.get_ref()));
        self.preview(preview, |answer| match answer {
            Answer::Catalogue(answer) => Some(response::rewards(answer)),
            _ => None,
        })
        .await
    }

    async fn redeem(&self, raw: Request<wire::RedeemRequest>) -> Reply<wire::RedeemResponse> {
        let write = read(|bad| redeem(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::RedeemReward(answer) => Some(response::redeem(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn fulfil_voucher(&self, raw: Request<wire::FulfilVoucherRequest>) -> Reply<wire::FulfilVoucherResponse> {
        let write = read(|bad| fulfil_voucher(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::FulfilVoucher(answer) => Some(response::fulfil_voucher(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn cancel_voucher(&self, raw: Request<wire::CancelVoucherRequest>) -> Reply<wire::CancelVoucherResponse> {
        let write = read(|bad| cancel_voucher(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::CancelVoucher(answer) => Some(response::cancel_voucher(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn list_vouchers(&self, raw: Request<wire::ListVouchersRequest>) -> Reply<wire::ListVouchersResponse> {
        let asked = read(|bad| list_vouchers(bad, &*self.calls, raw.get_ref()));
        let (program, member, state) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let view = self.calls.member(&program, &member).await.map_err(|error| status::of(&error))?;
        let wanted = view.vouchers.into_iter().filter(|voucher| state.is_none_or(|state| voucher.state == state));
        Ok(Response::new(wire::ListVouchersResponse { vouchers: wanted.map(response::voucher).collect() }))
    }

    async fn get_draw(&self, raw: Request<wire::GetDrawRequest>) -> Reply<wire::GetDrawResponse> {
        let raw = raw.get_ref();
        let asked = read(|bad| {
            let program = request::program(bad, &*self.calls, &raw.program_id);
            let draw = bad.take(&Path::Of("draw_id"), DrawId::parse(&raw.draw_id));
            Some((program?, draw?))
        });
        let (program, draw) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let view = self.calls.draw(&program, &draw).await.map_err(|error| status::of(&error))?;
        Ok(Response::new(response::draw(view)))
    }

    async fn list_draw_tickets(
        &self,
        raw: Request<wire::ListDrawTicketsRequest>,
    ) -> Reply<wire::ListDrawTicketsResponse> {
        let asked = read(|bad| list_draw_tickets(bad, &*self.calls, raw.get_ref()));
        let (program, draw, after, limit) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let found = self.calls.tickets(&program, &draw, after, limit).await.map_err(|error| status::of(&error))?;
        Ok(Response::new(wire::ListDrawTicketsResponse { tickets: response::all(found, response::drawn_ticket) }))
    }
}

fn list_rewards(bad: &mut Violations, calls: &dyn Calls, raw: &wire::ListRewardsRequest) -> Option<Preview> {
    let wire::ListRewardsRequest { program_id, member_id, order, redeem, store_id, occurred_at } = raw;
    let program = request::program(bad, calls, program_id);
    let member = request::optional(bad, &Path::Of("member_id"), member_id, MemberId::parse);
    let order = match order {
        Some(_) => request::order(bad, order.as_ref()).map(Some),
        None => Some(None),
    };
    let redeem = request::redeem(bad, redeem.as_ref());
    let store = request::optional(bad, &Path::Of("store_id"), store_id, Label::parse);
    let occurred_at = request::instant(bad, &Path::Of("occurred_at"), occurred_at.as_ref());
    let catalogue = Catalogue { order: order?, redeem: redeem?.unwrap_or_default(), store: store? };
    let command = Command::Catalogue(catalogue);
    Some(Preview { program: program?, member: member?, occurred_at: occurred_at?, command })
}

fn redeem(bad: &mut Violations, calls: &dyn Calls, raw: &wire::RedeemRequest) -> Option<Write> {
    let wire::RedeemRequest { program_id, member_id, request_id, reward_id, store_id, occurred_at } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let reward = bad.take(&Path::Of("reward_id"), RewardId::parse(reward_id));
    let store = request::optional(bad, &Path::Of("store_id"), store_id, Label::parse);
    let redeem = RedeemReward { reward: reward?, store: store? };
    Some(envelope?.write(fingerprints::redeem(raw), Command::RedeemReward(redeem)))
}

fn fulfil_voucher(bad: &mut Violations, calls: &dyn Calls, raw: &wire::FulfilVoucherRequest) -> Option<Write> {
    let wire::FulfilVoucherRequest { program_id, member_id, request_id, voucher_id, occurred_at } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let voucher = bad.take(&Path::Of("voucher_id"), VoucherId::parse(voucher_id));
    Some(envelope?.write(fingerprints::fulfil_voucher(raw), Command::FulfilVoucher(voucher?)))
}

fn cancel_voucher(bad: &mut Violations, calls: &dyn Calls, raw: &wire::CancelVoucherRequest) -> Option<Write> {
    let wire::CancelVoucherRequest { program_id, member_id, request_id, voucher_id, occurred_at } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let voucher = bad.take(&Path::Of("voucher_id"), VoucherId::parse(voucher_id));
    Some(envelope?.write(fingerprints::cancel_voucher(raw), Command::CancelVoucher(voucher?)))
}

fn list_draw_tickets(
    bad: &mut Violations,
    calls: &dyn Calls,
    raw: &wire::ListDrawTicketsRequest,
) -> Option<(ProgramId, DrawId, u64, usize)> {
    let wire::ListDrawTicketsRequest { program_id, draw_id, after_position, page_size } = raw;
    let program = request::program(bad, calls, program_id);
    let draw = bad.take(&Path::Of("draw_id"), DrawId::parse(draw_id));
    let after = request::number(bad, &Path::Of("after_position"), *after_position, 0..=i64::MAX);
    let size = request::number(bad, &Path::Of("page_size"), i64::from(*page_size), 0..=TICKETS_PAGE_MAX);
    let limit = match usize::try_from(size?) {
        Ok(0) | Err(_) => 100,
        Ok(size) => size,
    };
    Some((program?, draw?, u64::try_from(after?).ok()?, limit))
}

fn list_vouchers(
    bad: &mut Violations,
    calls: &dyn Calls,
    raw: &wire::ListVouchersRequest,
) -> Option<(ProgramId, MemberId, Option<VoucherState>)> {
    let asked = member::member(bad, calls, &raw.program_id, &raw.member_id);
    let state = request::known(bad, &Path::Of("state"), raw.state).map(|state| match state {
        wire::VoucherState::Unspecified => None,
        wire::VoucherState::Issued => Some(VoucherState::Issued),
        wire::VoucherState::Held => Some(VoucherState::Held),
        wire::VoucherState::Used => Some(VoucherState::Used),
        wire::VoucherState::Expired => Some(VoucherState::Expired),
        wire::VoucherState::Cancelled => Some(VoucherState::Cancelled),
    });
    let (program, member) = asked?;
    Some((program, member, state?))
}
