//! The books.

use tonic::{Request, Response};

use super::violations::read;
use super::wire::{self, ledger_service_server::LedgerService};
use super::{Face, Reply, member, response, status, trace};

pub(super) const METHODS: &[&str] = &["guerdon.v1.LedgerService/VerifyMember"];

#[tonic::async_trait]
impl LedgerService for Face {
    async fn verify_member(&self, raw: Request<wire::VerifyMemberRequest>) -> Reply<wire::VerifyMemberResponse> {
        let wire::VerifyMemberRequest { program_id, member_id } = raw.get_ref();
        let asked = read(|bad| member::member(bad, &*self.calls, program_id, member_id));
        let (program, member) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let view = self.calls.verify(&program, &member).await.map_err(|error| status::of(&error))?;
        Ok(Response::new(response::verified(view)))
    }
}
