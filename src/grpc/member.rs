//! Members, what they own, and why.

use tonic::{Request, Response};

use super::request::{self, Envelope};
use super::violations::{Path, Violations, read};
use super::wire::{self, member_service_server::MemberService};
use super::{Face, Reply, account, events, fingerprints, profile, response, standing, status, trace};
use crate::domain::answer::Answer;
use crate::domain::command::{Adjust, AdjustReason, Command, Enroll, Extend, ProfileChange, Reinstate, SetTier};
use crate::domain::id::{LadderId, LevelId, MemberId, OrderId, ProgramId, UnitId};
use crate::domain::order::Order;
use crate::service::{Calls, Entries, Write};

pub(super) const METHODS: &[&str] = &[
    "guerdon.v1.MemberService/Enroll",
    "guerdon.v1.MemberService/GetMember",
    "guerdon.v1.MemberService/UpdateMember",
    "guerdon.v1.MemberService/Adjust",
    "guerdon.v1.MemberService/ExtendExpiry",
    "guerdon.v1.MemberService/Reinstate",
    "guerdon.v1.MemberService/SetTier",
    "guerdon.v1.MemberService/Transfer",
    "guerdon.v1.MemberService/Merge",
    "guerdon.v1.MemberService/Unmerge",
    "guerdon.v1.MemberService/Erase",
    "guerdon.v1.MemberService/ListEntries",
    "guerdon.v1.MemberService/GetLeaderboard",
    "guerdon.v1.MemberService/RecordEvent",
    "guerdon.v1.MemberService/ReviewEvent",
    "guerdon.v1.MemberService/RevokeEvent",
];

pub(super) const NOTE_BYTES_MAX: usize = 500;
pub(super) const PAGE_SIZE_MAX: i32 = 500;
const PAGE_SIZE_DEFAULT: usize = 100;
/// Far above what this server hands out.
const PAGE_TOKEN_BYTES_MAX: usize = 8 * 1024;

#[tonic::async_trait]
impl MemberService for Face {
    async fn enroll(&self, raw: Request<wire::EnrollRequest>) -> Reply<wire::EnrollResponse> {
        let write = read(|bad| enroll(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Enroll(answer) => Some(response::enroll(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn get_member(&self, raw: Request<wire::GetMemberRequest>) -> Reply<wire::GetMemberResponse> {
        let wire::GetMemberRequest { program_id, member_id } = raw.get_ref();
        let asked = read(|bad| member(bad, &*self.calls, program_id, member_id));
        let (program, member) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let view = self.calls.member(&program, &member).await.map_err(|error| status::of(&error))?;
        Ok(Response::new(wire::GetMemberResponse { member: Some(response::member(view)) }))
    }

    async fn get_leaderboard(&self, raw: Request<wire::GetLeaderboardRequest>) -> Reply<wire::GetLeaderboardResponse> {
        let asked = read(|bad| standing::asked(bad, &*self.calls, raw.get_ref()));
        let asked = asked.map_err(status::of_violations)?;
        trace(&asked.program, None);
        let view = self.calls.leaderboard(&asked.program, &asked.board, asked.at, asked.member.as_ref()).await;
        let view = view.map_err(|error| status::of(&error))?;
        Ok(Response::new(standing::leaderboard(view, &asked)))
    }

    async fn update_member(&self, raw: Request<wire::UpdateMemberRequest>) -> Reply<wire::UpdateMemberResponse> {
        let write = read(|bad| profile::update_member(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::UpdateMember(answer) => Some(response::update_member(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn adjust(&self, raw: Request<wire::AdjustRequest>) -> Reply<wire::AdjustResponse> {
        let write = read(|bad| adjust(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Adjust(answer) => Some(response::adjust(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn extend_expiry(&self, raw: Request<wire::ExtendExpiryRequest>) -> Reply<wire::ExtendExpiryResponse> {
        let write = read(|bad| extend_expiry(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Extend(answer) => Some(response::extend_expiry(answer, replayed)),
            _ => None,
        })
        .await
    }
    async fn transfer(&self, raw: Request<wire::TransferRequest>) -> Reply<wire::TransferResponse> {
        let write = read(|bad| account::transfer(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Send(answer) => Some(response::transfer(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn record_event(&self, raw: Request<wire::RecordEventRequest>) -> Reply<wire::RecordEventResponse> {
        let write = read(|bad| events::record(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::RecordEvent(answer) => Some(events::recorded(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn reinstate(&self, raw: Request<wire::ReinstateRequest>) -> Reply<wire::ReinstateResponse> {
        let write = read(|bad| reinstate(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Reinstate(answer) => Some(response::reinstate(answer, replayed)),
            _ => None,
        })
        .await
    }
    async fn merge(&self, raw: Request<wire::MergeRequest>) -> Reply<wire::MergeResponse> {
        let write = read(|bad| account::merge(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Move(answer) => Some(response::merge(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn unmerge(&self, raw: Request<wire::UnmergeRequest>) -> Reply<wire::UnmergeResponse> {
        let write = read(|bad| account::unmerge(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Move(answer) => Some(response::unmerge(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn erase(&self, raw: Request<wire::EraseRequest>) -> Reply<wire::EraseResponse> {
        let write = read(|bad| account::erase(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Erase(answer) => Some(response::erase(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn review_event(&self, raw: Request<wire::ReviewEventRequest>) -> Reply<wire::ReviewEventResponse> {
        let write = read(|bad| events::review(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::ReviewEvent(answer) => Some(events::reviewed(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn revoke_event(&self, raw: Request<wire::RevokeEventRequest>) -> Reply<wire::RevokeEventResponse> {
        let write = read(|bad| events::revoke(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::RevokeEvent(answer) => Some(events::revoked(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn set_tier(&self, raw: Request<wire::SetTierRequest>) -> Reply<wire::SetTierResponse> {
        let write = read(|bad| set_tier(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::SetTier(answer) => Some(standing::set_tier(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn list_entries(&self, raw: Request<wire::ListEntriesRequest>) -> Reply<wire::ListEntriesResponse> {
        let raw = raw.get_ref();
        let asked = read(|bad| page(bad, &*self.calls, raw));
        let (program, member, asked) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let found = self.calls.entries(&program, &member, &asked).await;
        let (entries, next) = found.map_err(|error| status::of(&error))?;
        Ok(Response::new(wire::ListEntriesResponse {
            entries: entries.into_iter().map(response::entry).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }
}

fn enroll(bad: &mut Violations, calls: &dyn Calls, raw: &wire::EnrollRequest) -> Option<Write> {
    let wire::EnrollRequest { program_id, member_id, request_id, codes, occurred_at, profile, visitor_id, signals } =
        raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let codes = request::codes(bad, codes);
    let profile = match profile {
        Some(raw) => profile::change(bad, &Path::Of("profile"), raw),
        None => Some(ProfileChange::default()),
    };
    let visitor = request::visitor(bad, visitor_id);
    let signals = request::signals(bad, signals.as_ref());
    let envelope = envelope?;
    let enroll = Enroll {
        member: envelope.member().clone(),
        codes: codes?,
        profile: profile?,
        visitor: visitor?,
        signals: signals?,
    };
    Some(envelope.write(fingerprints::enroll(raw), Command::Enroll(enroll)))
}

fn adjust(bad: &mut Violations, calls: &dyn Calls, raw: &wire::AdjustRequest) -> Option<Write> {
    let wire::AdjustRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let unit = request::optional(bad, &Path::Of("unit"), &raw.unit, UnitId::parse);
    let amount_at = &Path::Of("amount");
    let bounds = -Order::AMOUNT_MINOR_MAX..=Order::AMOUNT_MINOR_MAX;
    let amount = request::number(bad, amount_at, raw.amount, bounds);
    if raw.amount == 0 {
        bad.add(amount_at, "must not be 0: positive credits, negative debits");
    }
    let reason = reason(bad, raw.reason);
    let agent = request::agent(bad, &raw.agent_id);
    if NOTE_BYTES_MAX < raw.note.len() {
        bad.add(&Path::Of("note"), format!("is {} bytes long, at most {NOTE_BYTES_MAX} are allowed", raw.note.len()));
    }
    let expires_at = request::instant(bad, &Path::Of("expires_at"), raw.expires_at.as_ref());
    if raw.expires_at.is_some() && raw.amount < 0 {
        bad.add(&Path::Of("expires_at"), "must not be set for a debit");
    }
    let order_at = &Path::Of("order_id");
    let order = request::optional(bad, order_at, &raw.order_id, OrderId::parse);
    if !raw.order_id.is_empty() && raw.amount < 0 {
        bad.add(order_at, "must not be set for a debit");
    }
    let adjust = Adjust {
        order: order?,
        unit: unit?,
        amount: amount?,
        reason: reason?,
        agent: agent?,
        note: (!raw.note.is_empty()).then(|| raw.note.clone()),
        expires_at: expires_at?,
    };
    Some(envelope?.write(fingerprints::adjust(raw), Command::Adjust(adjust)))
}

fn extend_expiry(bad: &mut Violations, calls: &dyn Calls, raw: &wire::ExtendExpiryRequest) -> Option<Write> {
    let wire::ExtendExpiryRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let unit = request::optional(bad, &Path::Of("unit"), &raw.unit, UnitId::parse);
    let expiring_before = request::instant(bad, &Path::Of("expiring_before"), raw.expiring_before.as_ref());
    let expires_at = request::instant(bad, &Path::Of("expires_at"), raw.expires_at.as_ref());
    if raw.expires_at.is_none() {
        bad.add(&Path::Of("expires_at"), "is required");
    }
    let reason = reason(bad, raw.reason);
    let agent = request::agent(bad, &raw.agent_id);
    let note = note(bad, &raw.note);
    let extend = Extend {
        unit: unit?,
        expiring_before: expiring_before?,
        expires_at: expires_at??,
        reason: reason?,
        agent: agent?,
        note,
    };
    Some(envelope?.write(fingerprints::extend_expiry(raw), Command::Extend(extend)))
}

fn reinstate(bad: &mut Violations, calls: &dyn Calls, raw: &wire::ReinstateRequest) -> Option<Write> {
    let wire::ReinstateRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let unit = request::optional(bad, &Path::Of("unit"), &raw.unit, UnitId::parse);
    let amount = match raw.amount {
        Some(amount) => request::number(bad, &Path::Of("amount"), amount, request::SOME_AMOUNT).map(Some),
        None => Some(None),
    };
    let expires_at = request::instant(bad, &Path::Of("expires_at"), raw.expires_at.as_ref());
    let reason = reason(bad, raw.reason);
    let agent = request::agent(bad, &raw.agent_id);
    let note = note(bad, &raw.note);
    let reinstate =
        Reinstate { unit: unit?, amount: amount?, expires_at: expires_at?, reason: reason?, agent: agent?, note };
    Some(envelope?.write(fingerprints::reinstate(raw), Command::Reinstate(reinstate)))
}

/// Words for people that are kept beside the ledger; empty is none.
fn note(bad: &mut Violations, raw: &str) -> Option<String> {
    if NOTE_BYTES_MAX < raw.len() {
        bad.add(&Path::Of("note"), format!("is {} bytes long, at most {NOTE_BYTES_MAX} are allowed", raw.len()));
    }
    (!raw.is_empty()).then(|| raw.to_owned())
}

fn set_tier(bad: &mut Violations, calls: &dyn Calls, raw: &wire::SetTierRequest) -> Option<Write> {
    let wire::SetTierRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let ladder = request::optional(bad, &Path::Of("ladder"), &raw.ladder, LadderId::parse);
    let level = request::optional(bad, &Path::Of("level"), &raw.level, LevelId::parse);
    let until = request::instant(bad, &Path::Of("until"), raw.until.as_ref());
    if raw.until.is_some() && raw.level.is_empty() {
        bad.add(&Path::Of("until"), "must not be set without a level");
    }
    let reason = reason(bad, raw.reason);
    let agent = request::agent(bad, &raw.agent_id);
    let set = SetTier { ladder: ladder?, level: level?, until: until?, reason: reason?, agent: agent? };
    Some(envelope?.write(fingerprints::set_tier(raw), Command::SetTier(set)))
}

fn reason(bad: &mut Violations, raw: i32) -> Option<AdjustReason> {
    let at = &Path::Of("reason");
    match request::known(bad, at, raw)? {
        wire::AdjustReason::Unspecified => {
            bad.add(at, "is required");
            None
        }
        wire::AdjustReason::Goodwill => Some(AdjustReason::Goodwill),
        wire::AdjustReason::ServiceRecovery => Some(AdjustReason::ServiceRecovery),
        wire::AdjustReason::Correction => Some(AdjustReason::Correction),
        wire::AdjustReason::Migration => Some(AdjustReason::Migration),
    }
}

/// Whom a read is about.
pub(super) fn member(
    bad: &mut Violations,
    calls: &dyn Calls,
    program_id: &str,
    member_id: &str,
) -> Option<(ProgramId, MemberId)> {
    let program = request::program(bad, calls, program_id);
    let member = bad.take(&Path::Of("member_id"), MemberId::parse(member_id));
    Some((program?, member?))
}

fn page(
    bad: &mut Violations,
    calls: &dyn Calls,
    raw: &wire::ListEntriesRequest,
) -> Option<(ProgramId, MemberId, Entries)> {
    let asked = member(bad, calls, &raw.program_id, &raw.member_id);
    let bounds = 0..=i64::from(PAGE_SIZE_MAX);
    let size = request::number(bad, &Path::Of("page_size"), i64::from(raw.page_size), bounds);
    if PAGE_TOKEN_BYTES_MAX < raw.page_token.len() {
        bad.add(&Path::Of("page_token"), "is none that this server has given");
    }
    let period = request::period(bad, raw.from.as_ref(), raw.until.as_ref());
    let by_effective_at = request::known(bad, &Path::Of("period_of"), raw.period_of).map(|of| match of {
        wire::EntryTime::Unspecified | wire::EntryTime::Posted => false,
        wire::EntryTime::Effective => true,
    });
    let (program, member) = asked?;
    let limit = match usize::try_from(size?) {
        Ok(0) | Err(_) => PAGE_SIZE_DEFAULT,
        Ok(size) => size,
    };
    let token = (!raw.page_token.is_empty()).then(|| raw.page_token.clone());
    let (from, until) = period?;
    let asked = Entries { token, limit, from, until, by_effective_at: by_effective_at? };
    Some((program, member, asked))
}
