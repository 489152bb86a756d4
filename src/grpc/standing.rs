//! Status, goals, the value profile and leaderboards, from domain to wire.

use super::response::{all, decision, loyalty_kind, text, timestamp};
use super::violations::{Path, Violations};
use super::{request, wire};
use crate::domain::account::Source;
use crate::domain::answer::{BoardView, GoalView, SetTierAnswer, TierView};
use crate::domain::id::{BoardId, MemberId, ProgramId};
use crate::domain::time::Instant;
use crate::domain::value::ValueView;
use crate::service::Calls;

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

/// A leaderboard, as asked for.
pub(super) struct AskedBoard {
    pub(super) program: ProgramId,
    pub(super) board: BoardId,
    pub(super) at: Option<Instant>,
    pub(super) member: Option<MemberId>,
    after: usize,
    size: usize,
}

const PLACES_DEFAULT: usize = 50;
pub(super) const PAGE_SIZE_MAX: i64 = 200;

pub(super) fn asked(bad: &mut Violations, calls: &dyn Calls, raw: &wire::GetLeaderboardRequest) -> Option<AskedBoard> {
    let program = request::program(bad, calls, &raw.program_id);
    let board = bad.take(&Path::Of("leaderboard_id"), BoardId::parse(&raw.leaderboard_id));
    let at = request::instant(bad, &Path::Of("at"), raw.at.as_ref());
    let member = (!raw.member_id.is_empty()).then(|| bad.take(&Path::Of("member_id"), MemberId::parse(&raw.member_id)));
    let after = request::number(bad, &Path::Of("after_position"), i64::from(raw.after_position), 0..=i64::MAX);
    let size = request::number(bad, &Path::Of("page_size"), i64::from(raw.page_size), 0..=PAGE_SIZE_MAX);
    let size = match usize::try_from(size?) {
        Ok(0) | Err(_) => PLACES_DEFAULT,
        Ok(size) => size,
    };
    let member = match member {
        Some(member) => Some(member?),
        None => None,
    };
    Some(AskedBoard { program: program?, board: board?, at: at?, member, after: usize::try_from(after?).ok()?, size })
}

pub(super) fn leaderboard(view: BoardView, asked: &AskedBoard) -> wire::GetLeaderboardResponse {
    // Boards are short.
    let small = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    let ranked = i32::try_from(view.places.len()).unwrap_or(i32::MAX);
    let places = (1i32..).zip(view.places).skip(asked.after).take(asked.size);
    let places = places.map(|(position, ranked)| wire::LeaderboardPlace {
        position,
        rank: small(ranked.rank),
        account_id: ranked.place.account.to_string(),
        score: ranked.place.score,
    });
    wire::GetLeaderboardResponse {
        leaderboard_id: asked.board.to_string(),
        title: view.title,
        starts_at: view.starts_at.map(timestamp),
        ends_at: view.ends_at.map(timestamp),
        as_of: Some(timestamp(view.as_of)),
        places: places.collect(),
        ranked,
        member: view.own.map(|own| wire::LeaderboardStanding {
            score: own.score,
            rank: own.rank.map_or(0, small),
            hidden: own.hidden,
        }),
    }
}
