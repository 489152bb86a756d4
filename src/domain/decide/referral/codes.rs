//! The codes of an advocate: made, wished for, blocked.
//!
//! A code lies in a partition of its own, where it is claimed before it is written into the account of its owner. It is
//! claimed once the decision is otherwise made: a request that is refused takes no code from anybody.

use serde::{Deserialize, Serialize};

use super::super::super::account::{AccountKind, AccountState};
use super::super::super::answer::{Answer, CreateCodeAnswer, Reason, Refusal, Subject, UpdateCodeAnswer};
use super::super::super::command::{CodeEffect, CreateCode, Outgoing, UpdateCode};
use super::super::super::id::{CampaignId, Code, Label};
use super::super::super::ledger::Fact;
use super::super::super::program::{Campaign, Program};
use super::super::super::referral::OwnCode;
use super::super::super::referral::code::Pattern;
use super::super::super::time::Instant;
use super::super::{Decision, Halt, Scene, no};

/// A code that has to be claimed before it can be created.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeWanted {
    pub campaign: CampaignId,
    pub label: Option<Label>,
    /// The one wished for; `None`: the first free one of those made.
    pub vanity: Option<Code>,
    pub pattern: Pattern,
}

/// What became of the claim.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CodeClaim {
    Mine(Code),
    Taken,
}

fn existing<'s>(state: &'s AccountState, campaign: &CampaignId, command: &CreateCode) -> Option<&'s OwnCode> {
    let mut codes = state.codes.iter().filter(|own| own.campaign == *campaign);
    match &command.vanity {
        Some(wished) => codes.find(|own| own.code == *wished),
        None => codes.find(|own| own.label == command.label),
    }
}

fn campaign_of<'p>(program: &'p Program, command: &CreateCode, at: Instant) -> Result<&'p Campaign, Reason> {
    let campaign = match (&command.campaign, program.campaigns.as_slice()) {
        (Some(id), _) => program.campaign(id).ok_or(Reason::CampaignUnknown)?,
        (None, [only]) => only,
        (None, _) => return Err(Reason::CampaignUnknown),
    };
    if campaign.ends_at.is_some_and(|until| until <= at) {
        return Err(Reason::CodeExpired);
    }
    Ok(campaign)
}

pub(in super::super) fn create_code(scene: &Scene<'_>, command: &CreateCode) -> Result<Decision, Halt> {
    scene.check_times(Subject::Member)?;
    let at = scene.times.effective_at;
    let mut desk = scene.desk()?;
    let wished = command.vanity.as_ref().map_or_else(String::new, |code| code.as_str().to_owned());
    let subject = || Subject::Code(wished.clone());
    let campaign = campaign_of(scene.program, command, at).map_err(|reason| no(subject(), reason))?;
    let answer = |code: Option<Code>, created: bool| {
        Answer::CreateCode(CreateCodeAnswer { code, created, refusals: Vec::new() })
    };
    if let Some(own) = existing(&desk.state, &campaign.id, command) {
        return Ok(scene.unchanged(answer(Some(own.code.clone()), false), true));
    }
    if campaign.for_partners && desk.state.kind != AccountKind::Partner {
        return Err(no(Subject::Account, Reason::NotAPartner));
    }
    if command.vanity.is_some() && !campaign.codes.vanity {
        return Err(no(subject(), Reason::VanityNotAllowed));
    }
    let here = desk.state.codes.iter().filter(|own| own.campaign == campaign.id).count();
    let full = AccountState::CODES_MAX <= desk.state.codes.len();
    if full || campaign.codes.per_member_max <= here {
        let max = if full { AccountState::CODES_MAX } else { campaign.codes.per_member_max };
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        return Err(Refusal::short(subject(), Reason::TooManyCodes, max.saturating_add(1), max).into());
    }
    let by_terms = campaign.codes.valid_for.map_or(Instant::MAX, |valid| valid.after(at, &scene.program.zone));
    let expires_at = command.expires_at.map_or(by_terms, |wished| wished.min(by_terms));
    if expires_at <= at {
        return Err(no(subject(), Reason::CodeExpired));
    }
    let code = match &scene.snapshot.code_claim {
        None => {
            let wanted = CodeWanted {
                campaign: campaign.id.clone(),
                label: command.label.clone(),
                vanity: command.vanity.clone(),
                pattern: campaign.codes.pattern.clone(),
            };
            return Ok(Decision { wants_code: Some(wanted), ..scene.unchanged(answer(None, false), true) });
        }
        Some(CodeClaim::Taken) => return Err(no(subject(), Reason::CodeTaken)),
        Some(CodeClaim::Mine(code)) => code.clone(),
    };
    let own = OwnCode {
        campaign: campaign.id.clone(),
        code: code.clone(),
        label: command.label.clone(),
        vanity: command.vanity.is_some(),
        expires_at,
        uses_max: command.uses_max,
        blocked: false,
        revision: 1,
    };
    let outgoing = vec![tell(scene, &desk.state, &own)];
    desk.post(at, Fact::CodeCreated { own })?;
    Ok(Decision { outgoing, ..scene.done(desk, answer(Some(code), true)) })
}

pub(in super::super) fn update_code(scene: &Scene<'_>, command: &UpdateCode) -> Result<Decision, Halt> {
    scene.check_times(Subject::Member)?;
    let at = scene.times.effective_at;
    let mut desk = scene.desk()?;
    let subject = Subject::Code(command.code.raw.clone());
    let known = |own: &&OwnCode| command.code.code.as_ref() == Some(&own.code);
    let Some(own) = desk.state.codes.iter().find(known).cloned() else { return Err(no(subject, Reason::CodeUnknown)) };
    let answer = |changed: bool| Answer::UpdateCode(UpdateCodeAnswer { changed, refusals: Vec::new() });
    if own.blocked == command.blocked {
        return Ok(scene.unchanged(answer(false), true));
    }
    let revision = own.revision.checked_add(1).ok_or(super::super::OVERFLOW)?;
    let own = OwnCode { blocked: command.blocked, revision, ..own };
    let outgoing = vec![tell(scene, &desk.state, &own)];
    let (code, blocked, agent) = (own.code.clone(), own.blocked, command.agent.clone());
    desk.post(at, Fact::CodeChanged { code, blocked, agent, revision })?;
    Ok(Decision { outgoing, ..scene.done(desk, answer(true)) })
}

fn tell(scene: &Scene<'_>, state: &AccountState, own: &OwnCode) -> Outgoing {
    let (account, code) = (state.account.clone(), own.code.clone());
    let owner = own.owner(&account);
    Outgoing::Code(CodeEffect { account, code, owner, effective_at: scene.times.effective_at })
}
