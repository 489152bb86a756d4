//! What members own besides units.

use tonic::{Request, Response};

use super::violations::{Path, Violations, read};
use super::wire::{self, reward_service_server::RewardService};
use super::{Face, Reply, member, request, response, status, trace};
use crate::domain::account::VoucherState;
use crate::domain::id::{DrawId, MemberId, ProgramId};
use crate::service::Calls;

pub(super) const METHODS: &[&str] = &["guerdon.v1.RewardService/ListVouchers", "guerdon.v1.RewardService/GetDraw"];

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
