//! The books.

use tonic::{Request, Response};

use super::violations::{Path, Violations, read};
use super::wire::{self, ledger_service_server::LedgerService};
use super::{Face, Reply, member, request, response, status, trace};
use crate::domain::id::ProgramId;
use crate::service::Calls;

pub(super) const METHODS: &[&str] = &["guerdon.v1.LedgerService/VerifyMember", "guerdon.v1.LedgerService/ListNotices"];

/// Notices on a page.
pub(super) const PAGE_SIZE_MAX: i64 = 500;

#[tonic::async_trait]
impl LedgerService for Face {
    async fn list_notices(&self, raw: Request<wire::ListNoticesRequest>) -> Reply<wire::ListNoticesResponse> {
        let asked = read(|bad| notices(bad, &*self.calls, raw.get_ref()));
        let (program, after, limit) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let found = self.calls.notices(&program, after, limit).await.map_err(|error| status::of(&error))?;
        let notices = found.into_iter().map(|notice| wire::Notice {
            position: response::count(notice.position),
            member_id: notice.member.to_string(),
            rule_id: notice.rule.to_string(),
            occasion_at: Some(response::timestamp(notice.occasion_at)),
            noticed_at: Some(response::timestamp(notice.noticed_at)),
        });
        Ok(Response::new(wire::ListNoticesResponse { notices: notices.collect() }))
    }

    async fn verify_member(&self, raw: Request<wire::VerifyMemberRequest>) -> Reply<wire::VerifyMemberResponse> {
        let wire::VerifyMemberRequest { program_id, member_id } = raw.get_ref();
        let asked = read(|bad| member::member(bad, &*self.calls, program_id, member_id));
        let (program, member) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let view = self.calls.verify(&program, &member).await.map_err(|error| status::of(&error))?;
        Ok(Response::new(response::verified(view)))
    }
}

fn notices(bad: &mut Violations, calls: &dyn Calls, raw: &wire::ListNoticesRequest) -> Option<(ProgramId, u64, usize)> {
    let wire::ListNoticesRequest { program_id, after_position, page_size } = raw;
    let program = request::program(bad, calls, program_id);
    let after = request::number(bad, &Path::Of("after_position"), *after_position, 0..=i64::MAX);
    let size = request::number(bad, &Path::Of("page_size"), i64::from(*page_size), 0..=PAGE_SIZE_MAX);
    let limit = match usize::try_from(size?) {
        Ok(0) | Err(_) => 100,
        Ok(size) => size,
    };
    Some((program?, u64::try_from(after?).ok()?, limit))
}
