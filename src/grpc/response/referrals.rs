//! Codes and referrals.

use super::{all, decision, expiry, referral_state, refusal, text, timestamp, wire};
use crate::domain::answer::{
    AttributeAnswer, CodeView, CreateCodeAnswer, ReferralRewardView, ReferralView, RewardState, UpdateCodeAnswer,
};
use crate::domain::referral::{CodeState, QualifiedBy, RejectedFor, Via};
use crate::domain::time::Instant;

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

pub(in crate::grpc) fn referral(view: ReferralView) -> wire::Referral {
    let ReferralView { referral, friend, rewards } = view;
    let (via, agent) = match &referral.via {
        Via::SignUp | Via::Named => (wire::AttributedVia::SignUp, String::new()),
        Via::Checkout => (wire::AttributedVia::Checkout, String::new()),
        Via::Agent(agent) => (wire::AttributedVia::Agent, agent.to_string()),
    };
    let event = match &referral.qualified_by {
        Some(QualifiedBy::Event(event)) => event.to_string(),
        Some(QualifiedBy::SignUp | QualifiedBy::Order(_)) | None => String::new(),
    };
    let rejected_for = match &referral.rejected_for {
        None => wire::ReferralRejection::Unspecified,
        Some(RejectedFor::Returned(_)) => wire::ReferralRejection::Returned,
        Some(RejectedFor::Revoked(_)) => wire::ReferralRejection::Revoked,
        Some(RejectedFor::Budget) => wire::ReferralRejection::Budget,
        Some(RejectedFor::Circle) => wire::ReferralRejection::Circle,
        Some(RejectedFor::ChainTooLong) => wire::ReferralRejection::ChainTooLong,
    };
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
    }
}

fn reward(reward: ReferralRewardView) -> wire::ReferralReward {
    let side = if reward.to_advocate { wire::ReferralSide::Advocate } else { wire::ReferralSide::Friend };
    let state = match reward.state {
        RewardState::Pending => wire::RewardState::Pending,
        RewardState::Paid => wire::RewardState::Paid,
        RewardState::Reversed => wire::RewardState::Reversed,
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
    }
}
