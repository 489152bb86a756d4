//! Status, goals and the value profile, over the wire.

use guerdon::domain::time::{DAY_MS, Instant};
use guerdon::grpc::wire;

use crate::support::server::*;

const TERMS: &str = "
counters: {spent: {counts: spend, window: 100 days}, bought: {counts: orders}}
tiers:
  vip:
    counter: spent
    levels:
      - {id: silver, title: Silver, at_least: 2000, multiply: {points: 1.5}}
      - {id: gold, title: Gold, at_least: 9000, perks: [lounge]}
goals: [{id: two, title: Two, counter: bought, at_least: 2, badge: regular}]
";

fn set(request: &str, level: &str, until: Option<Instant>) -> Write {
    Write::SetTier(wire::SetTierRequest {
        member_id: "mia".into(),
        request_id: request.into(),
        level: level.into(),
        until: until.map(timestamp),
        reason: wire::AdjustReason::Goodwill.into(),
        agent_id: "agent-1".into(),
        ..Default::default()
    })
}

async fn level(clients: &Clients) -> String {
    clients.member("mia").await.tiers[0].level.clone()
}

pub(crate) async fn d3_status_and_goals_are_shown_set_lost_and_verified<W: World>() {
    let world = W::start();
    let server = world.serve_with(TERMS).await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&commit("mia", "c1", order("o1", 2_500))).await;
    let member = clients.member("mia").await;
    let tier = &member.tiers[0];
    assert_eq!((tier.ladder.as_str(), tier.level.as_str(), tier.title.as_str()), ("vip", "silver", "Silver"));
    assert_eq!((tier.source(), tier.counted), (wire::TierSource::Earned, 2_500));
    assert_eq!(tier.until, Some(timestamp(Instant(BEGIN.0 - BEGIN.0 % DAY_MS + 100 * DAY_MS))));
    let next = tier.next.clone().unwrap();
    assert_eq!((next.level.as_str(), next.at_least, next.missing), ("gold", 9_000, 6_500));
    let goal = &member.goals[0];
    assert_eq!((goal.goal_id.as_str(), goal.missing, goal.times, goal.badge.as_str()), ("two", 1, 0, ""));

    let answer = clients.send(&commit("mia", "c2", order("o2", 1_000))).await.commit();
    let effects = answer.decision.unwrap().effects;
    let reached = effects.iter().any(
        |effect| matches!(&effect.effect, Some(wire::effect::Effect::GoalReached(goal)) if goal.badge == "regular"),
    );
    assert!(reached, "{effects:?}");
    let grants = effects.iter().filter_map(|effect| match &effect.effect {
        Some(wire::effect::Effect::UnitsGranted(granted)) => Some((granted.rule_id.clone(), granted.granted)),
        _ => None,
    });
    assert!(grants.into_iter().any(|grant| grant == ("vip/silver/points".to_owned(), 5)));
    assert_eq!(clients.member("mia").await.goals[0].badge, "regular");
    clients.send(&give_back("mia", "r2", "o2", "r2", everything())).await;
    assert_eq!(clients.member("mia").await.goals[0].times, 0);

    // By hand, once for each request id, and beside what is earned.
    let write = set("s1", "gold", Some(Instant(BEGIN.0 + 10 * DAY_MS)));
    let answer = clients.send(&write).await;
    assert!(answer.clone().set_tier().set);
    assert_eq!(clients.send(&write).await, answer.as_replayed());
    let outcome = clients.outcome("mia", "s1", false).await;
    assert_eq!(Answer::of_outcome(outcome.answer.unwrap()), answer.as_replayed());
    let tier = clients.member("mia").await.tiers.remove(0);
    assert_eq!(
        (tier.level.as_str(), tier.source(), tier.perks),
        ("gold", wire::TierSource::ByHand, vec!["lounge".into()])
    );
    let refused = clients.send(&set("s2", "iron", None)).await;
    assert_eq!(refused.refusals(), [wire::RefusalReason::LevelUnknown]);
    // Time alone takes both, whether or not a job runs.
    world.clock().set(Instant(BEGIN.0 + 10 * DAY_MS));
    assert_eq!(level(clients).await, "silver");
    world.clock().set(Instant(BEGIN.0 + 101 * DAY_MS));
    assert_eq!(level(clients).await, "");
    clients.send(&adjust("mia", "a1", 1)).await;
    clients.verify("mia").await;
    let facts: Vec<String> = clients.entries("mia", 100).await.into_iter().map(|entry| entry.fact).collect();
    for fact in ["tier_held", "tier_ended", "tier_set", "tier_arrived", "goal_met", "goal_undone"] {
        assert!(facts.iter().any(|known| known == fact), "{fact} in {facts:?}");
    }
}

const VALUE: &str = "
value: {scores: {recency_days: [7, 30, 60, 90], frequency: [1, 2, 3, 4], monetary_minor: [1000, 2000, 3000, 4000]}}
";

pub(crate) async fn e11_the_value_profile_is_shown_moved_by_returns_and_verified<W: World>() {
    let world = W::start();
    let server = world.serve_with(VALUE).await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    let fresh = clients.member("mia").await.value.unwrap();
    assert_eq!((fresh.recency_days, fresh.scores.unwrap().recency, fresh.affinities.len()), (None, 0, 0));
    let mut bought = order("o1", 2_500);
    bought.lines[0].categories = vec!["coffee".into()];
    let write = commit("mia", "c1", bought);
    let answer = clients.send(&write).await;
    assert_eq!(clients.send(&write).await, answer.as_replayed());
    let value = clients.member("mia").await.value.unwrap();
    assert_eq!((value.recency_days, value.frequency_hundredths, value.monetary_minor), (Some(0), 100, 2_500));
    let scores = value.scores.unwrap();
    assert_eq!((scores.recency, scores.frequency, scores.monetary), (5, 2, 3));
    assert_eq!((value.affinities[0].category.as_str(), value.affinities[0].permille), ("coffee", 1_000));
    // 25 for the order; 100 had been the welcome.
    assert_eq!((value.mix[0].kind(), value.mix[0].permille), (wire::LoyaltyKind::Transactional, 200));
    clients.send(&give_back("mia", "r1", "o1", "r1", everything())).await;
    assert_eq!(clients.member("mia").await.value.unwrap(), fresh);
    clients.verify("mia").await;
}
