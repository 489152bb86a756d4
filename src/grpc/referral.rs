//! Who brought whom.

use tonic::{Request, Response};

use super::request::{self, Envelope};
use super::violations::{Path, Violations, read, shortened};
use super::wire::{self, referral_service_server::ReferralService};
use super::{Face, Reply, fingerprints, response, status, trace};
use crate::domain::answer::Answer;
use crate::domain::code;
use crate::domain::command::{Attribute, Command, CreateCode};
use crate::domain::id::{CampaignId, ProgramId, ReferralId};
use crate::service::{Calls, Write};

pub(super) const METHODS: &[&str] = &[
    "guerdon.v1.ReferralService/CreateCode",
    "guerdon.v1.ReferralService/Attribute",
    "guerdon.v1.ReferralService/GetReferral",
];

#[tonic::async_trait]
impl ReferralService for Face {
    async fn create_code(&self, raw: Request<wire::CreateCodeRequest>) -> Reply<wire::CreateCodeResponse> {
        let write = read(|bad| create_code(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::CreateCode(answer) => Some(response::create_code(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn attribute(&self, raw: Request<wire::AttributeRequest>) -> Reply<wire::AttributeResponse> {
        let write = read(|bad| attribute(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Attribute(answer) => Some(response::attribute(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn get_referral(&self, raw: Request<wire::GetReferralRequest>) -> Reply<wire::GetReferralResponse> {
        let asked = read(|bad| get_referral(bad, &*self.calls, raw.get_ref()));
        let (program, referral) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let view = self.calls.referral(&program, &referral).await.map_err(|error| status::of(&error))?;
        Ok(Response::new(wire::GetReferralResponse { referral: Some(response::referral(view)) }))
    }
}

fn create_code(bad: &mut Violations, calls: &dyn Calls, raw: &wire::CreateCodeRequest) -> Option<Write> {
    let wire::CreateCodeRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let campaign = request::optional(bad, &Path::Of("campaign_id"), &raw.campaign_id, CampaignId::parse);
    let vanity = match raw.vanity.as_str() {
        "" => Some(None),
        raw => {
            let problem = || format!("is {}, must be 4 to 24 letters and digits", shortened(raw));
            let code = Some(raw).filter(|raw| raw.len() <= request::CODE_BYTES_MAX).and_then(code::read);
            bad.take(&Path::Of("vanity"), code.ok_or_else(problem)).map(Some)
        }
    };
    let create_code = CreateCode { campaign: campaign?, vanity: vanity? };
    Some(envelope?.write(fingerprints::create_code(raw), Command::CreateCode(create_code)))
}

fn attribute(bad: &mut Violations, calls: &dyn Calls, raw: &wire::AttributeRequest) -> Option<Write> {
    let wire::AttributeRequest { program_id, member_id, request_id, code, occurred_at } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let code = request::entered_code(bad, &Path::Of("code"), code);
    let attribute = Attribute { code: code? };
    Some(envelope?.write(fingerprints::attribute(raw), Command::Attribute(attribute)))
}

fn get_referral(
    bad: &mut Violations,
    calls: &dyn Calls,
    raw: &wire::GetReferralRequest,
) -> Option<(ProgramId, ReferralId)> {
    let program = request::program(bad, calls, &raw.program_id);
    let referral = bad.take(&Path::Of("referral_id"), ReferralId::parse(&raw.referral_id));
    Some((program?, referral?))
}
