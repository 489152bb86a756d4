//! Codes and referrals.

use super::{all, decision, expiry, referral_state, refusal, refusal_reason, text, timestamp, wire};
use crate::domain::answer::{
    AttributeAnswer, CodeView, CreateCodeAnswer, Reason, ReferralRewardView, ReferralView, ReviewAnswer, RewardState,
    TouchAnswer, UpdateCodeAnswer, WeighingView,
};
use crate::domain::id::AccountId;
use crate::domain::referral::fraud::{Action, Finding, Review, SideState, Suspicion};
use crate::domain::referral::signal::SignalKind;
use crate::domain::referral::touch::{Dropped, TouchKind};
use crate::domain::referral::tree::Node;
use crate::domain::referral::{CodeState, Considered, ModelSays, Outcome, QualifiedBy, RejectedFor, TouchSeen, Via};
use crate::domain::time::Instant;
use crate::service::TreePage;

pub(in crate::grpc) fn create_code(answer: CreateCodeAnswer, replayed: bool) -> wire::CreateCodeResponse {
    let CreateCodeAnswer { code, created, refusals } = answer;
    wire::CreateCodeResponse { code: text(code), created, refusals: all(refusals, refusal), replayed }
}

pub(in crate::grpc) fn update_code(answer: UpdateCodeAnswer, replayed: bool) -> wire::UpdateCodeResponse {
    let UpdateCodeAnswer { changed, refusals } = answer;
    wire::UpdateCodeResponse { changed, refusals: all(refusals, refusal), replayed }
}

pub(in crate::grpc) fn attribute(answer: AttributeAnswer, replayed: bool) -> wire::AttributeResponse {
    let AttributeAnswer { attributed, decided } = answer;
    wire::AttributeResponse { attributed, decision: Some(decision(decided)), replayed }
}

pub(in crate::grpc) fn code(view: CodeView) -> wire::GetCodeResponse {
    let CodeView { code, owner, uses_max, campaign_over } = view;
    let state = match owner.state {
        CodeState::Active => wire::CodeState::Active,
        CodeState::Blocked => wire::CodeState::Blocked,
        CodeState::Erased => wire::CodeState::Erased,
        CodeState::Claimed => wire::CodeState::Unspecified,
    };
    let erased = owner.state == CodeState::Erased;
    wire::GetCodeResponse {
        code: code.to_string(),
        member_id: if erased { String::new() } else { owner.account.to_string() },
        campaign_id: owner.campaign.to_string(),
        state: state.into(),
        expires_at: expiry(owner.expires_at),
        uses_max: uses_max.unwrap_or(0),
        campaign_over,
    }
}

fn rejection(why: Option<&RejectedFor>) -> wire::ReferralRejection {
    match why {
        None => wire::ReferralRejection::Unspecified,
        Some(RejectedFor::Returned(_)) => wire::ReferralRejection::Returned,
        Some(RejectedFor::Revoked(_)) => wire::ReferralRejection::Revoked,
        Some(RejectedFor::Budget) => wire::ReferralRejection::Budget,
        Some(RejectedFor::Oneself) => wire::ReferralRejection::Oneself,
        Some(RejectedFor::Circle) => wire::ReferralRejection::Circle,
        Some(RejectedFor::ChainTooLong) => wire::ReferralRejection::ChainTooLong,
        Some(RejectedFor::Suspected) => wire::ReferralRejection::Suspected,
        Some(RejectedFor::Review) => wire::ReferralRejection::Review,
    }
}

pub(in crate::grpc) fn referral(view: ReferralView) -> wire::Referral {
    let ReferralView { referral, friend, rewards } = view;
    let (via, agent) = attributed_via(&referral.via);
    let event = match &referral.qualified_by {
        Some(QualifiedBy::Event(event)) => event.to_string(),
        Some(QualifiedBy::SignUp | QualifiedBy::Order(_)) | None => String::new(),
    };
    let rejected_for = rejection(referral.rejected_for.as_ref());
    wire::Referral {
        order_id: text(referral.order().cloned()),
        referral_id: referral.referral.to_string(),
        campaign_id: referral.campaign.to_string(),
        advocate_member_id: referral.advocate.to_string(),
        friend_member_id: friend.to_string(),
        code: referral.code.to_string(),
        state: referral_state(referral.state).into(),
        attributed_at: Some(timestamp(referral.attributed_at)),
        qualified_at: referral.qualified_at.map(timestamp),
        rewards: all(rewards, reward),
        via: via.into(),
        agent_id: agent,
        confirmed: referral.confirmed,
        qualify_by: expiry(referral.qualify_by),
        rejected_for: rejected_for.into(),
        event_id: event,
        channel: text(referral.channel),
        findings: all(referral.findings, finding),
        review: referral.review.map(review),
    }
}

fn attributed_via(via: &Via) -> (wire::AttributedVia, String) {
    match via {
        Via::SignUp | Via::Named => (wire::AttributedVia::SignUp, String::new()),
        Via::Checkout => (wire::AttributedVia::Checkout, String::new()),
        Via::Agent(agent) => (wire::AttributedVia::Agent, agent.to_string()),
        Via::Touch => (wire::AttributedVia::Touch, String::new()),
    }
}

pub(in crate::grpc) fn touch(answer: TouchAnswer, replayed: bool) -> wire::RecordTouchResponse {
    let TouchAnswer { recorded, dropped, refusals } = answer;
    let dropped = match dropped {
        None => wire::TouchDrop::Unspecified,
        Some(Dropped::Bot) => wire::TouchDrop::Bot,
        Some(Dropped::FloodOfVisitor) => wire::TouchDrop::FloodOfVisitor,
        Some(Dropped::FloodOfCode) => wire::TouchDrop::FloodOfCode,
    };
    wire::RecordTouchResponse { recorded, dropped: dropped.into(), refusals: all(refusals, refusal), replayed }
}

pub(in crate::grpc) fn attempt(view: WeighingView) -> wire::AttributionAttempt {
    let WeighingView { effective_at, version, request, weighing, stands } = view;
    let (occasion, agent_id) = attributed_via(&weighing.via);
    wire::AttributionAttempt {
        effective_at: Some(timestamp(effective_at)),
        program_version: version.to_string(),
        request_id: text(request),
        occasion: occasion.into(),
        agent_id,
        referral_id: text(weighing.referral),
        considered: all(weighing.considered, considered),
        models: all(weighing.models, model),
        state: stands.as_ref().map_or(wire::ReferralState::Unspecified, |(state, _)| referral_state(*state)).into(),
        rejected_for: rejection(stands.as_ref().and_then(|(_, why)| why.as_ref())).into(),
    }
}

fn considered(considered: Considered) -> wire::ConsideredClaim {
    let Considered { code, of, touch, outcome, findings } = considered;
    let (advocate, campaign) = of.unzip();
    let (counts, share_ppm, refused) = match outcome {
        Outcome::Counts(ppm) => (true, ppm, None),
        Outcome::Not(why) => (false, 0, Some(why)),
    };
    let (kind, channel, source, at) = match touch {
        None => (wire::TouchKind::Unspecified, None, None, None),
        Some(TouchSeen { kind, channel, source, at }) => (touch_kind(kind), channel, source, Some(at)),
    };
    wire::ConsideredClaim {
        code: text(code),
        advocate_member_id: text(advocate),
        campaign_id: text(campaign),
        touch_kind: kind.into(),
        channel: text(channel),
        source: text(source),
        touched_at: at.map(timestamp),
        counts,
        share_ppm,
        reason: refused.map_or(wire::RefusalReason::Unspecified, refusal_reason).into(),
        message: refused.map_or("", Reason::message).to_owned(),
        findings: all(findings, finding),
    }
}

fn finding(found: Finding) -> wire::FraudFinding {
    let suspicion = match found.suspicion {
        Suspicion::Same(SignalKind::Email) => wire::Suspicion::SameEmail,
        Suspicion::Same(SignalKind::Mailbox) => wire::Suspicion::SimilarEmail,
        Suspicion::Same(SignalKind::Phone) => wire::Suspicion::SamePhone,
        Suspicion::Same(SignalKind::Device) => wire::Suspicion::SameDevice,
        Suspicion::Same(SignalKind::PaymentInstrument) => wire::Suspicion::SamePaymentInstrument,
        Suspicion::Same(SignalKind::Address) => wire::Suspicion::SameAddress,
        Suspicion::Same(SignalKind::IpWithUserAgent) => wire::Suspicion::SameIpWithUserAgent,
        Suspicion::Ring => wire::Suspicion::Ring,
        Suspicion::Velocity => wire::Suspicion::Velocity,
        Suspicion::DisposableEmail => wire::Suspicion::DisposableEmail,
        Suspicion::LeakedCode => wire::Suspicion::LeakedCode,
    };
    let action = match found.action {
        Action::Shadow => wire::FraudAction::Shadow,
        Action::Flag => wire::FraudAction::Flag,
        Action::Block => wire::FraudAction::Block,
    };
    wire::FraudFinding {
        suspicion: suspicion.into(),
        action: action.into(),
        advocate_member_id: found.advocate.to_string(),
        hops: i32::try_from(found.hops).unwrap_or(i32::MAX),
    }
}

fn review(review: Review) -> wire::ReferralReview {
    let side = |side: Option<SideState>| match side {
        None => wire::ReviewState::Unspecified,
        Some(SideState::Open) => wire::ReviewState::Open,
        Some(SideState::Approved) => wire::ReviewState::Approved,
        Some(SideState::Rejected) => wire::ReviewState::Rejected,
        Some(SideState::Lapsed) => wire::ReviewState::Lapsed,
    };
    let Review { opened_at, due_at, friend, advocate, decided, released: _ } = review;
    wire::ReferralReview {
        opened_at: Some(timestamp(opened_at)),
        lapses_at: expiry(due_at),
        friend: side(friend).into(),
        advocate: side(advocate).into(),
        forced: decided.as_ref().is_some_and(|decided| decided.forced),
        decided_at: decided.as_ref().map(|decided| timestamp(decided.at)),
        agent_id: text(decided.as_ref().map(|decided| decided.agent.clone())),
        reason_code: text(decided.map(|decided| decided.reason)),
    }
}

pub(in crate::grpc) fn review_reward(answer: ReviewAnswer, replayed: bool) -> wire::ReviewRewardResponse {
    let ReviewAnswer { changed, decided } = answer;
    wire::ReviewRewardResponse { changed, decision: Some(decision(decided)), replayed }
}

fn touch_kind(kind: TouchKind) -> wire::TouchKind {
    match kind {
        TouchKind::Click => wire::TouchKind::Click,
        TouchKind::Scan => wire::TouchKind::Scan,
        TouchKind::Share => wire::TouchKind::Share,
        TouchKind::Invite => wire::TouchKind::Invite,
    }
}

fn model(says: ModelSays) -> wire::ModelOutcome {
    let credit =
        |(advocate, share_ppm): (AccountId, i64)| wire::AdvocateCredit { member_id: advocate.to_string(), share_ppm };
    wire::ModelOutcome {
        model: says.model.name().to_owned(),
        in_force: says.in_force,
        credits: all(says.credits, credit),
    }
}

pub(in crate::grpc) fn tree((nodes, token): TreePage) -> wire::GetReferralTreeResponse {
    let node = |Node { generation, parent, child, brought }| wire::ReferralNode {
        member_id: if child.nameless { String::new() } else { child.friend.to_string() },
        parent_member_id: text(parent),
        generation: i32::try_from(generation).unwrap_or(i32::MAX),
        campaign_id: child.campaign.to_string(),
        state: referral_state(child.state).into(),
        confirmed: child.confirmed,
        attributed_at: Some(timestamp(child.attributed_at)),
        qualified_at: child.qualified_at.map(timestamp),
        brought: i64::try_from(brought).unwrap_or(i64::MAX),
    };
    wire::GetReferralTreeResponse { nodes: all(nodes, node), next_page_token: token.unwrap_or_default() }
}

fn reward(reward: ReferralRewardView) -> wire::ReferralReward {
    let side = if reward.to_advocate { wire::ReferralSide::Advocate } else { wire::ReferralSide::Friend };
    let state = match reward.state {
        RewardState::Pending => wire::RewardState::Pending,
        RewardState::Paid => wire::RewardState::Paid,
        RewardState::Reversed => wire::RewardState::Reversed,
        RewardState::InReview => wire::RewardState::InReview,
        RewardState::Rejected => wire::RewardState::Rejected,
    };
    let known = reward.due_at != Instant::MAX;
    wire::ReferralReward {
        side: side.into(),
        unit: reward.unit.to_string(),
        amount: reward.amount,
        reversed: reward.reversed,
        limited: reward.limited,
        state: state.into(),
        due_at: known.then(|| timestamp(reward.due_at)),
        beneficiary_member_id: reward.beneficiary.to_string(),
        share_ppm: reward.share_ppm,
    }
}
