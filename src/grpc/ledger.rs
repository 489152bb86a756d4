//! The books.

use tonic::{Request, Response};

use super::violations::{Path, Violations, read, shortened};
use super::wire::{self, ledger_service_server::LedgerService};
use super::{Face, Reply, member, request, response, status, trace};
use crate::access;
use crate::domain::answer::AuditView;
use crate::domain::id::{Label, MemberId, ProgramId};
use crate::service::{AuditEntries, Calls};

pub(super) const METHODS: &[&str] = &[
    "guerdon.v1.LedgerService/VerifyMember",
    "guerdon.v1.LedgerService/ListNotices",
    "guerdon.v1.LedgerService/ListAuditEntries",
];

/// Notices, or entries of the audit, on a page.
pub(super) const PAGE_SIZE_MAX: i64 = 500;
const PAGE_SIZE_DEFAULT: usize = 100;
/// A token is a position.
const PAGE_TOKEN_BYTES_MAX: usize = 20;

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

    async fn list_audit_entries(
        &self,
        raw: Request<wire::ListAuditEntriesRequest>,
    ) -> Reply<wire::ListAuditEntriesResponse> {
        let asked = read(|bad| audit_entries(bad, &*self.calls, raw.get_ref()));
        let (program, asked) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let found = self.calls.audit(&program, &asked).await;
        let (entries, next) = found.map_err(|error| status::of(&error))?;
        Ok(Response::new(wire::ListAuditEntriesResponse {
            entries: entries.into_iter().map(audit_entry).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
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
    Some((program?, u64::try_from(after?).ok()?, limit(size?)))
}

fn limit(page_size: i64) -> usize {
    match usize::try_from(page_size) {
        Ok(0) | Err(_) => PAGE_SIZE_DEFAULT,
        Ok(size) => size,
    }
}

fn audit_entries(
    bad: &mut Violations,
    calls: &dyn Calls,
    raw: &wire::ListAuditEntriesRequest,
) -> Option<(ProgramId, AuditEntries)> {
    let program = request::program(bad, calls, &raw.program_id);
    let size = request::number(bad, &Path::Of("page_size"), i64::from(raw.page_size), 0..=PAGE_SIZE_MAX);
    if PAGE_TOKEN_BYTES_MAX < raw.page_token.len() {
        bad.add(&Path::Of("page_token"), "is not one that an answer gave");
    }
    let after = request::number(bad, &Path::Of("after_position"), raw.after_position, 0..=i64::MAX);
    let period = request::period(bad, raw.from.as_ref(), raw.until.as_ref());
    // Credentials are named like labels.
    let principal = request::optional(bad, &Path::Of("principal"), &raw.principal, Label::parse);
    let agent = request::optional(bad, &Path::Of("agent_id"), &raw.agent_id, Label::parse);
    let method = match raw.method.as_str() {
        "" => Some(None),
        name => {
            let problem = || format!("is {}, must be a method of the contract", shortened(name));
            bad.take(&Path::Of("method"), access::named(name).ok_or_else(problem)).map(|method| Some(method.name))
        }
    };
    let member = request::optional(bad, &Path::Of("member_id"), &raw.member_id, MemberId::parse);
    let (from, until) = period?;
    let asked = AuditEntries {
        token: (!raw.page_token.is_empty()).then(|| raw.page_token.clone()),
        limit: limit(size?),
        newest_first: raw.newest_first,
        after: u64::try_from(after?).ok()?,
        from,
        until,
        principal: principal?,
        agent: agent?,
        method: method?,
        member: member?,
    };
    Some((program?, asked))
}

fn audit_entry(view: AuditView) -> wire::AuditEntry {
    let reason = view.reason.map_or(wire::AdjustReason::Unspecified, response::adjust_reason);
    wire::AuditEntry {
        position: response::count(view.position),
        recorded_at: Some(response::timestamp(view.recorded_at)),
        decided_at: Some(response::timestamp(view.decided_at)),
        principal: view.principal,
        agent_id: response::text(view.agent),
        method: view.method,
        request_id: view.request.to_string(),
        member_id: view.member.to_string(),
        account_id: view.account.to_string(),
        reason: reason.into(),
        reason_code: response::text(view.reason_code),
        note: view.note.unwrap_or_default(),
        refused_for: response::all(view.refused_for, |reason| response::refusal_reason(reason).into()),
    }
}
