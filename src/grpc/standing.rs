//! Status, goals and the value profile, from domain to wire.

use super::response::{all, decision, loyalty_kind, text, timestamp};
use super::wire;
use crate::domain::account::Source;
use crate::domain::answer::{GoalView, SetTierAnswer, TierView};
use crate::domain::value::ValueView;

pub(super) fn set_tier(answer: SetTierAnswer, replayed: bool) -> wire::SetTierResponse {
    wire::SetTierResponse { set: answer.set, decision: Some(decision(answer.decided)), replayed }
}

pub(super) fn tier(view: TierView) -> wire::TierStanding {
    let (level, title) = view.level.map(|(level, title)| (level.to_string(), title)).unwrap_or_default();
    let source = match view.source {
        None => wire::TierSource::Unspecified,
        Some(Source::Earned) => wire::TierSource::Earned,
        Some(Source::Landed) => wire::TierSource::Landed,
        Some(Source::ForLife) => wire::TierSource::ForLife,
        Some(Source::ByHand) => wire::TierSource::ByHand,
    };
    wire::TierStanding {
        ladder: view.ladder.to_string(),
        level,
        title,
        source: source.into(),
        since: view.since.map(timestamp),
        until: view.until.map(timestamp),
        in_grace: view.in_grace,
        perks: all(view.perks, |perk| perk.to_string()),
        counted: view.counted,
        next: view.next.map(|(level, title, at_least)| wire::NextTier {
            level: level.to_string(),
            title,
            at_least,
            missing: view.missing,
        }),
        begins_at: view.begins_at.map(timestamp),
        at_risk_at: view.at_risk_at.map(timestamp),
        keep_missing: view.keep_missing,
        projected_level: text(view.projected),
    }
}

pub(super) fn goal(view: GoalView) -> wire::GoalProgress {
    wire::GoalProgress {
        goal_id: view.goal.to_string(),
        title: view.title,
        counted: view.counted,
        at_least: view.at_least,
        missing: view.missing,
        times: i64::from(view.times),
        met_at: view.met_at.map(timestamp),
        badge: text(view.badge),
    }
}

pub(super) fn value(view: ValueView) -> wire::ValueProfile {
    // Scores and thousandths are small.
    let small = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    wire::ValueProfile {
        recency_days: view.recency_days,
        frequency_hundredths: view.frequency_hundredths,
        monetary_minor: view.monetary_minor,
        scores: view.scores.map(|scores| wire::ValueScores {
            recency: small(scores.recency),
            frequency: small(scores.frequency),
            monetary: small(scores.monetary),
        }),
        affinities: all(view.affinity, |(category, permille)| wire::CategoryAffinity {
            category: category.to_string(),
            permille: small(permille),
        }),
        mix: all(view.mix, |(of, permille)| wire::LoyaltyShare {
            kind: loyalty_kind(of).into(),
            permille: small(permille),
        }),
    }
}
