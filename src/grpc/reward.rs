//! What members own besides units.

use tonic::{Request, Response};

use super::violations::{Path, Violations, read};
use super::wire::{self, reward_service_server::RewardService};
use super::{Face, Reply, member, request, response, status, trace};
use crate::domain::account::VoucherState;
use crate::domain::id::{DrawId, MemberId, ProgramId};
use crate::service::Calls;

pub(super) const METHODS: &[&str] = &[
    "guerdon.v1.RewardService/ListVouchers",
    "guerdon.v1.RewardService/GetDraw",
    "guerdon.v1.RewardService/ListDrawTickets",
];

#[tonic::async_trait]
impl RewardService for Face {
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

fn list_draw_tickets(
    bad: &mut Violations,
    calls: &dyn Calls,
    raw: &wire::ListDrawTicketsRequest,
) -> Option<(ProgramId, DrawId, u64, usize)> {
    let wire::ListDrawTicketsRequest { program_id, draw_id, after_position, page_size } = raw;
    let program = request::program(bad, calls, program_id);
    let draw = bad.take(&Path::Of("draw_id"), DrawId::parse(draw_id));
    let after = request::number(bad, &Path::Of("after_position"), *after_position, 0..=i64::MAX);
    let size = request::number(bad, &Path::Of("page_size"), i64::from(*page_size), 0..=1_000);
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
