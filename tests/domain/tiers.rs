//! Status: reached, kept, lost, and what it brings.

use std::sync::Arc;

use guerdon::domain::account::Source;
use guerdon::domain::answer::{Answer, TierView};
use guerdon::domain::command::{AdjustReason, Command, Commit, ReturnWhat, SetTier};
use guerdon::domain::decide::as_of;
use guerdon::domain::id::{LadderId, LevelId};
use guerdon::domain::program::{ProgramVersion, Timeline};
use guerdon::domain::progress;
use guerdon::domain::time::Instant;
use guerdon::program::compile;
use proptest::prelude::*;

use super::kit::*;

/// A ladder on what is spent, with a gift of 100 for gold.
fn ladder(window: &str, terms: &str) -> String {
    format!(
        "
counters: {{spent: {{counts: spend, window: {window}}}, ever: {{counts: spend}}}}
tiers:
  vip:
    counter: spent
    levels:
      - {{id: silver, title: Silver, at_least: 10000}}
      - {{id: gold, title: Gold, at_least: 50000}}
{terms}
rules:
  - {{id: base, kind: transactional, on: order, then: {{earn: {{units: 1, per: GBP 1.00}}}}}}
  - {{id: welcome, kind: emotional, on: tier, tiers: {{vip: [gold]}}, then: {{bonus: {{units: 100}}}}}}
"
    )
}

fn yearly(terms: &str) -> String {
    ladder("year", terms)
}

fn views(world: &World, member: &str) -> Vec<TierView> {
    let state = world.accounts[&account(member)].clone();
    let state = as_of(&world.timeline, state, world.now).unwrap();
    progress::tiers(&world.timeline, &state, world.now).unwrap()
}

fn level(world: &World, member: &str) -> String {
    views(world, member)[0].level.as_ref().map_or_else(|| "none".to_owned(), |(level, _)| level.to_string())
}

fn buy(world: &mut World, id: &str, pounds: i64) -> Vec<String> {
    told(&world.buy("mia", order_for(id, pounds * 100)))
}

fn set(level: Option<&str>, until: Option<&str>) -> Command {
    Command::SetTier(SetTier {
        ladder: None,
        level: level.map(|level| LevelId::parse(level).unwrap()),
        until: until.map(at),
        reason: AdjustReason::Goodwill,
        agent: label("agent-7"),
    })
}

#[test]
fn d1_a_level_begins_with_the_order_that_reaches_the_threshold() {
    let mut world = World::new(&yearly("")).with("mia", 0);
    assert_eq!(buy(&mut world, "o1", 99), ["base grants 99"]);
    assert_eq!(level(&world, "mia"), "none");
    assert_eq!(buy(&mut world, "o2", 1), ["base grants 1", "vip: none -> silver"]);
    assert_eq!(level(&world, "mia"), "silver");
    assert_eq!(buy(&mut world, "o3", 399), ["base grants 399"]);
    assert_eq!(buy(&mut world, "o4", 1), ["base grants 1", "welcome grants 100", "vip: silver -> gold"]);
    // Both at once.
    let mut world = World::new(&yearly("")).with("ben", 0);
    let decision = world.buy("ben", order_for("o", 50_000));
    assert_eq!(told(&decision), ["base grants 500", "welcome grants 100", "vip: none -> gold"]);
}

#[test]
fn d1_whatever_is_counted_can_lead_up() {
    for (counts, first, reached) in [
        ("{counts: orders}", 1, 3),
        ("{counts: visits, window: year}", 1, 3),
        ("{counts: items, window: 90 days}", 1, 3),
        ("{counts: units, unit: points, window: membership_year}", 10, 30),
        ("{counts: spend}", 1_000, 3_000),
    ] {
        let sections = format!(
            "counters: {{c: {counts}}}\ntiers: {{vip: {{counter: c, levels: [{{id: one, title: One, at_least: {first}}}, \
             {{id: three, title: Three, at_least: {reached}}}]}}}}\n{BASE}"
        );
        let mut world = World::new(&sections).with("mia", 0);
        for (day, expected) in [("2026-05-04", "one"), ("2026-05-05", "one"), ("2026-05-06", "three")] {
            world.go(day);
            world.buy("mia", order_for(day, 1_000));
            assert_eq!(level(&world, "mia"), expected, "{counts} on {day}");
        }
    }
}

#[test]
fn d1_friends_lead_up() {
    let sections = "
counters: {friends: {counts: friends}}
tiers: {club: {counter: friends, levels: [{id: host, title: Host, at_least: 2}]}}
referrals: [{id: ref, title: T, advocate: {units: 10}}]
rules: [{id: hello, kind: emotional, on: tier, then: {bonus: {units: 7}}}]
";
    let mut world = World::new(sections).with("mia", 0);
    world.code("AAAA", "mia", "ref");
    for (friend, has) in [("ben", "available 10"), ("eva", "available 27")] {
        world.enrol(friend, &["AAAA"]);
        world.buy(friend, order_for(&format!("o-{friend}"), 1_000));
        world.relay();
        assert_eq!(world.has("mia"), has, "{friend}");
    }
    assert_eq!(level(&world, "mia"), "host");
    // A friend's return takes the level and the gift with it.
    world.give_back("ben", everything("o-ben", "r"));
    world.relay();
    assert_eq!((level(&world, "mia").as_str(), world.has("mia").as_str()), ("none", "available 10"));
}

#[test]
fn d1_an_upgrade_may_wait_for_the_next_period() {
    let mut world = World::new(&yearly("    upgrade: next_period")).with("mia", 0);
    assert_eq!(buy(&mut world, "o1", 600), ["base grants 600"]);
    let view = &views(&world, "mia")[0];
    assert_eq!((view.level.clone(), view.begins_at), (None, Some(at("2027-01-01T00:00:00Z"))));
    for (when, expected, has) in [
        ("2026-12-31T23:59:59.999Z", "none", "available 600"),
        ("2027-01-01T00:00:00.000Z", "gold", "available 700"),
        ("2027-12-31T23:59:59.999Z", "gold", "available 700"),
        ("2028-01-01T00:00:00.000Z", "none", "available 700"),
    ] {
        world.go(when);
        assert_eq!((level(&world, "mia").as_str(), world.has("mia").as_str()), (expected, has), "{when}");
    }
    world.advance("mia");
    assert_eq!(world.has("mia"), "available 700");
    // What came back before the period began reaches nothing.
    let mut world = World::new(&yearly("    upgrade: next_period")).with("mia", 0);
    buy(&mut world, "o1", 600);
    world.go("2026-12-01");
    world.give_back("mia", everything("o1", "r"));
    world.go("2027-06-01");
    assert_eq!(level(&world, "mia"), "none");
}

/// When a level that was reached on a day is lost, by the terms: the instant itself, and the millisecond before.
#[test]
fn d2_a_level_lasts_as_long_as_the_terms_say() {
    for (zone, window, keep, joined, bought, end) in [
        // The rest of the year and the next.
        ("UTC", "year", "{}", "2026-01-10", "2026-03-01", "2028-01-01T00:00:00Z"),
        ("UTC", "year", "{further_periods: 0}", "2026-01-10", "2026-12-31", "2027-01-01T00:00:00Z"),
        ("UTC", "year", "{further_periods: 2}", "2026-01-10", "2026-03-01", "2029-01-01T00:00:00Z"),
        ("Europe/Berlin", "year", "{}", "2026-01-10", "2026-03-01", "2027-12-31T23:00:00Z"),
        // Already next year in Berlin.
        ("Europe/Berlin", "year", "{further_periods: 0}", "2026-01-10", "2026-12-31T23:30", "2027-12-31T23:00:00Z"),
        ("UTC", "month", "{}", "2026-01-10", "2028-01-31", "2028-03-01T00:00:00Z"),
        ("UTC", "quarter", "{}", "2026-01-10", "2026-02-28", "2026-07-01T00:00:00Z"),
        // Who joined on 29 February has the anniversary on 28 February in other years.
        ("UTC", "membership_year", "{further_periods: 0}", "2024-02-29", "2026-02-27", "2026-02-28T00:00:00Z"),
        ("UTC", "membership_year", "{}", "2024-02-29", "2026-02-28", "2028-02-29T00:00:00Z"),
        ("UTC", "membership_year", "{}", "2024-02-29", "2027-02-28", "2029-02-28T00:00:00Z"),
        ("UTC", "30 days", "{}", "2026-01-10", "2028-02-01", "2028-03-02T00:00:00Z"),
        ("UTC", "365 days", "{}", "2026-01-10", "2027-03-01", "2028-02-29T00:00:00Z"),
        ("UTC", "30 days", "{further_periods: 1}", "2026-01-10", "2026-02-01", "2026-04-02T00:00:00Z"),
        ("UTC", "year", "{grace_days: 30}", "2026-01-10", "2026-03-01", "2028-01-31T00:00:00Z"),
    ] {
        let sections = format!("time_zone: {zone}\n{}", ladder(window, &format!("    keep: {keep}")));
        let mut world = World::new(&sections).on(joined).with("mia", 0).on(bought);
        buy(&mut world, "o", 500);
        let end = at(end);
        world.now = end.minus_ms(1);
        assert_eq!(level(&world, "mia"), "gold", "{window} {keep} from {bought} in {zone}");
        world.now = end;
        assert_eq!(level(&world, "mia"), "none", "{window} {keep} from {bought} in {zone}");
        world.advance("mia");
        assert_eq!(level(&world, "mia"), "none");
    }
}

#[test]
fn d2_a_level_that_never_ends_does_not() {
    for sections in [yearly("    keep: {period: lifetime}"), ladder("lifetime", "")] {
        let mut world = World::new(&sections).with("mia", 0);
        buy(&mut world, "o", 500);
        world.go("2100-01-01");
        world.advance("mia");
        assert_eq!(level(&world, "mia"), "gold");
        assert_eq!(views(&world, "mia")[0].until, None);
    }
}

#[test]
fn d2_what_is_reached_anew_is_kept_on_what_is_not_is_lost_to_the_level_that_was() {
    // Spent in 2027: what holds in 2028.
    for (spent, terms, expected) in [
        (500, "", "gold"),
        (499, "", "silver"),
        (99, "", "none"),
        (0, "", "none"),
        (0, "    keep: {soft_landing: true}", "silver"),
        (499, "    keep: {soft_landing: true}", "silver"),
        (0, "    keep: {further_periods: 0, soft_landing: true}", "none"),
    ] {
        let mut world = World::new(&yearly(terms)).with("mia", 0);
        buy(&mut world, "o1", 500);
        world.go("2027-11-30");
        if 0 < spent {
            buy(&mut world, "o2", spent);
        }
        world.go("2028-01-01T00:00:00Z");
        assert_eq!(level(&world, "mia"), expected, "{spent} {terms}");
        // Since when without a break.
        let since = views(&world, "mia")[0].since;
        if expected == "gold" {
            assert_eq!(since, Some(at("2026-05-04")));
        }
    }
    // One step a year down, not more.
    let mut world = World::new(&yearly("    keep: {soft_landing: true}")).with("mia", 0);
    buy(&mut world, "o1", 500);
    for (when, expected) in [
        ("2027-12-31T23:59:59.999Z", "gold"),
        ("2028-01-01T00:00:00Z", "silver"),
        ("2028-12-31T23:59:59.999Z", "silver"),
        ("2029-01-01T00:00:00Z", "none"),
    ] {
        world.go(when);
        assert_eq!(level(&world, "mia"), expected, "{when}");
    }
    assert_eq!(world.has("mia"), "available 600");
}

#[test]
fn d2_grace_lets_a_level_be_reached_anew() {
    for (spent, when, expected) in
        [(500, "2028-01-30", "gold"), (499, "2028-01-30", "silver"), (500, "2028-01-31", "gold")]
    {
        let mut world = World::new(&yearly("    keep: {grace_days: 30}")).with("mia", 0);
        buy(&mut world, "o1", 500);
        world.go("2028-01-02");
        let view = &views(&world, "mia")[0];
        assert!(view.in_grace);
        assert_eq!((view.until, view.at_risk_at), (Some(at("2028-01-31T00:00:00Z")), Some(at("2028-01-31T00:00:00Z"))));
        world.go(when);
        buy(&mut world, "o2", spent);
        world.go("2028-02-01");
        assert_eq!(level(&world, "mia"), expected, "{spent} on {when}");
        // The gift was for the first time, whatever is lost and regained.
        let gifts = world.ledgers[&account("mia")].iter().filter(|e| format!("{:?}", e.fact).contains("\"welcome\""));
        assert_eq!(gifts.count(), 1);
    }
}

#[test]
fn d2_a_purchase_of_a_rolling_window_counts_once() {
    let mut world = World::new(&ladder("100 days", "")).with("mia", 0);
    buy(&mut world, "o1", 500);
    world.go("2026-08-12T00:00:00Z");
    assert_eq!(level(&world, "mia"), "none");
    // Reached on 1 June for 100 days; on 9 September counts what came since.
    for (later, expected) in [(499, "silver"), (500, "gold")] {
        let mut world = World::new(&ladder("100 days", "")).with("mia", 0);
        buy(&mut world, "o1", 100);
        world.go("2026-06-01");
        buy(&mut world, "o2", 400);
        world.go("2026-08-20");
        buy(&mut world, "o3", later);
        world.go("2026-09-09T00:00:00Z");
        assert_eq!(level(&world, "mia"), expected, "{later}");
    }
}

#[test]
fn d2_surplus_rolls_over_into_the_next_period() {
    for (rollover, spent, expected) in [(false, 400, "silver"), (true, 400, "gold"), (true, 399, "silver")] {
        let mut world = World::new(&yearly(&format!("    rollover: {rollover}"))).with("mia", 0);
        buy(&mut world, "o1", 600);
        world.go("2027-03-01");
        assert_eq!(views(&world, "mia")[0].counted, if rollover { 10_000 } else { 0 });
        buy(&mut world, "o2", spent);
        world.go("2028-01-01T00:00:00Z");
        assert_eq!(level(&world, "mia"), expected, "{rollover} {spent}");
    }
    // Also where a level that is reached begins with the next period.
    let terms = yearly("    rollover: true\n    upgrade: next_period");
    let mut world = World::new(&terms).with("mia", 0);
    buy(&mut world, "o1", 600);
    assert_eq!(level(&world, "mia"), "none");
    world.go("2027-01-01T00:00:00Z");
    assert_eq!((level(&world, "mia").as_str(), views(&world, "mia")[0].counted), ("gold", 10_000));
    // What comes back later carries nothing over.
    let mut world = World::new(&yearly("    rollover: true")).with("mia", 0);
    buy(&mut world, "o1", 500);
    buy(&mut world, "o2", 100);
    world.go("2027-01-20");
    world.give_back("mia", everything("o2", "r"));
    assert_eq!(views(&world, "mia")[0].counted, 0);
    assert_eq!(level(&world, "mia"), "gold");
}

#[test]
fn d2_a_level_for_life_is_never_lost() {
    let terms = yearly("").replace(
        "title: Gold, at_least: 50000",
        "title: Gold, at_least: 50000, for_life: {counter: ever, at_least: 80000}",
    );
    let mut world = World::new(&terms).with("mia", 0);
    buy(&mut world, "o1", 400);
    world.go("2027-03-01");
    buy(&mut world, "o2", 400);
    let view = &views(&world, "mia")[0];
    assert_eq!((view.source, view.until), (Some(Source::ForLife), None));
    world.go("2040-01-01");
    world.advance("mia");
    assert_eq!(level(&world, "mia"), "gold");
    // But to returns.
    world.give_back("mia", everything("o2", "r"));
    assert_eq!(level(&world, "mia"), "none");
}

#[test]
fn d2_returns_take_the_level_with_them_or_let_it_run_out() {
    for (terms, after) in [("", "silver"), ("    returns: at_period_end", "gold")] {
        let mut world = World::new(&yearly(terms)).with("mia", 0);
        buy(&mut world, "o1", 450);
        buy(&mut world, "o2", 60);
        assert_eq!(world.has("mia"), "available 610");
        let back = told(&world.give_back("mia", everything("o1", "r1")));
        let undone = back.contains(&"tier:vip:gold:1:welcome loses 100".to_owned());
        assert_eq!(
            (level(&world, "mia").as_str(), undone),
            (if after == "silver" { "none" } else { after }, after == "silver")
        );
        // Regained by an order of its own: what was taken back is granted anew.
        buy(&mut world, "o3", 450);
        assert_eq!(level(&world, "mia"), "gold");
        assert_eq!(world.has("mia"), "available 610", "{terms}");
    }
}

#[test]
fn d2_a_later_return_takes_what_only_it_had_kept() {
    let mut world = World::new(&yearly("")).with("mia", 0);
    buy(&mut world, "o1", 500);
    world.go("2027-05-01");
    buy(&mut world, "o2", 500);
    world.go("2028-01-10");
    assert_eq!(level(&world, "mia"), "gold");
    // Kept by the second year alone.
    world.give_back("mia", everything("o2", "r"));
    assert_eq!(level(&world, "mia"), "none");
}

#[test]
fn d2_status_by_hand_ends_when_it_says_and_stands_beside_what_is_earned() {
    let mut world = World::new(&yearly("")).with("mia", 0);
    let decision = world.decide("mia", set(Some("gold"), Some("2026-06-01T00:00:00Z")));
    assert_eq!(told(&decision), ["welcome grants 100", "vip: none -> gold"]);
    assert!(matches!(decision.answer, Answer::SetTier(ref answer) if answer.set));
    buy(&mut world, "o1", 100);
    let view = &views(&world, "mia")[0];
    assert_eq!((view.source, view.until), (Some(Source::ByHand), Some(at("2026-06-01T00:00:00Z"))));
    assert_eq!(view.projected, Some(LevelId::parse("silver").unwrap()));
    world.go("2026-05-31T23:59:59.999Z");
    assert_eq!(level(&world, "mia"), "gold");
    world.go("2026-06-01T00:00:00Z");
    assert_eq!(level(&world, "mia"), "silver");
    // For ever, and ended by hand. The welcome is not for a second time.
    assert_eq!(told(&world.decide("mia", set(Some("gold"), None))), ["vip: silver -> gold"]);
    assert_eq!(told(&world.decide("mia", set(None, None))), ["vip: gold -> silver"]);
    for (command, expected) in [
        (set(Some("iron"), None), "no tier: LevelUnknown"),
        (set(Some("gold"), Some("2026-05-01T00:00:00Z")), "no tier: OutOfBounds"),
    ] {
        assert_eq!(told(&world.decide("mia", command)), [expected]);
    }
    let unknown = SetTier {
        ladder: Some(LadderId::parse("club").unwrap()),
        level: None,
        until: None,
        reason: AdjustReason::Goodwill,
        agent: label("agent-7"),
    };
    assert_eq!(told(&world.decide("mia", Command::SetTier(unknown))), ["no tier: LadderUnknown"]);
}

#[test]
fn d2_what_falls_due_does_so_under_the_version_active_then() {
    let old = program(&yearly(""));
    let mut new = (*program(&yearly("    keep: {soft_landing: true}"))).clone();
    new.version = ProgramVersion("new".into());
    let mut world = World::of(old.clone()).with("mia", 0);
    buy(&mut world, "o1", 500);
    world.timeline = Timeline { versions: vec![(Instant(0), old), (at("2027-06-01"), Arc::new(new))] };
    world.go("2028-01-01T00:00:00Z");
    world.advance("mia");
    assert_eq!(level(&world, "mia"), "silver");
    assert!(world.ledgers[&account("mia")].iter().rev().take(2).all(|entry| &*entry.version.0 == "new"));
    // A ladder that is gone holds nobody up.
    let mut gone = (*program(BASE)).clone();
    gone.version = ProgramVersion("gone".into());
    world.timeline.versions.push((at("2028-06-01"), Arc::new(gone)));
    world.go("2029-01-01T00:00:00Z");
    world.advance("mia");
    assert!(world.accounts[&account("mia")].ladders[0].held.is_empty());
}

#[test]
fn d3_progress_tells_what_is_missing_at_risk_and_to_come() {
    let mut world = World::new(&yearly("")).with("mia", 0);
    buy(&mut world, "o1", 500);
    world.go("2026-10-01");
    let view = &views(&world, "mia")[0];
    assert_eq!((view.counted, view.next.clone(), view.missing, view.at_risk_at), (50_000, None, 0, None));
    assert_eq!(view.projected, None, "nothing of 2027 is known yet");
    world.go("2027-10-01");
    buy(&mut world, "o2", 120);
    let view = &views(&world, "mia")[0];
    let end = Some(at("2028-01-01T00:00:00Z"));
    assert_eq!((view.until, view.at_risk_at, view.keep_missing), (end, end, 38_000));
    assert_eq!(view.projected, Some(LevelId::parse("silver").unwrap()));
    buy(&mut world, "o3", 380);
    let view = &views(&world, "mia")[0];
    assert_eq!((view.at_risk_at, view.keep_missing), (None, 0));
    assert_eq!(view.projected, Some(LevelId::parse("gold").unwrap()));
    // Nothing yet: the first level is next.
    let mut world = World::new(&yearly("")).with("mia", 0);
    buy(&mut world, "o1", 30);
    let view = &views(&world, "mia")[0];
    let next = view.next.clone().map(|(level, title, at_least)| (level.to_string(), title, at_least));
    assert_eq!((next, view.missing), (Some(("silver".to_owned(), "Silver".to_owned(), 10_000)), 7_000));
}

const PRIVILEGES: &str = "
units: {points: {expires_after: 30 days}}
counters: {spent: {counts: spend, window: year}}
tiers:
  vip:
    counter: spent
    levels:
      - {id: member, title: Member, at_least: 0, perks: [newsletter]}
      - {id: gold, title: Gold, at_least: 10000, multiply: {points: 1.25}, life: {points: {expires_after: 60 days}}, perks: [lounge, free-shipping]}
rewards:
  - {id: treat, title: Treat, gives: {amount_off: GBP 1.00}, tiers: {vip: [gold]}}
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: gold-only, kind: behavioural, on: order, when: {tiers: {vip: [gold]}}, then: {bonus: {units: 3}}}
  - {id: enrol, kind: emotional, on: enrolment, then: {bonus: {units: 5}}}
";

#[test]
fn d4_a_level_multiplies_prolongs_and_unlocks_from_the_next_order_on() {
    let mut world = World::new(PRIVILEGES).with("mia", 0);
    assert_eq!(level(&world, "mia"), "member");
    let view = &views(&world, "mia")[0];
    assert_eq!((view.source, view.perks.clone(), view.since), (None, vec![label("newsletter")], None));
    let treat = |order| Commit { redeem: Some(as_possible(rewards(&["treat"]))), ..commit(order) };
    let first = told(&world.commit("mia", treat(order_for("o1", 10_000))));
    assert_eq!(first, ["base grants 100", "vip: member -> gold", "no reward treat: TierTooLow"]);
    world.go("2026-05-05");
    let second = told(&world.commit("mia", treat(order_for("o2", 10_100))));
    assert_eq!(second, ["treat takes 100 off", "base grants 100", "gold-only grants 3", "vip/gold/points grants 25"]);
    assert_eq!(views(&world, "mia")[0].perks, [label("lounge"), label("free-shipping")]);
    // The first expires after 30 days, the second after 60.
    world.go("2026-06-03T12:00:00Z");
    assert_eq!(world.has("mia"), "available 128");
    world.go("2026-07-04T12:00:00Z");
    assert_eq!(world.has("mia"), "nothing");
}

#[test]
fn d4_a_level_multiplies_next_to_rules_by_the_policy_on_multipliers() {
    for (policy, expected) in [
        ("highest", vec!["base grants 100", "double grants 100"]),
        ("add", vec!["base grants 100", "double grants 100", "vip/gold/points grants 25"]),
    ] {
        let sections = format!(
            "earning: {{multipliers: {policy}}}\ncounters: {{spent: {{counts: spend}}}}
tiers: {{vip: {{counter: spent, levels: [{{id: gold, title: Gold, at_least: 1, multiply: {{points: 1.25}}}}]}}}}
{BASE}  - {{id: double, kind: behavioural, on: order, then: {{multiply: {{by: 2}}}}}}"
        );
        let mut world = World::new(&sections).with("mia", 0);
        buy(&mut world, "o1", 1);
        world.go("2026-05-05");
        assert_eq!(buy(&mut world, "o2", 100), expected, "{policy}");
    }
}

#[test]
fn d4_an_order_of_before_does_not_have_the_level_of_today() {
    let mut world = World::new(PRIVILEGES).with("mia", 0).on("2026-05-20");
    buy(&mut world, "o1", 100);
    let late = world.decide_as_of("mia", Command::Commit(commit(order_for("o2", 10_000))), at("2026-05-10"));
    assert_eq!(told(&late), ["base grants 100"]);
}

#[test]
fn d4_an_entry_gift_comes_once_however_often_the_level_is_reached() {
    let mut world = World::new(&yearly("    keep: {further_periods: 0}")).with("mia", 0);
    let mut gifts = 0;
    for year in 2026..2031 {
        world.go(&format!("{year}-06-01"));
        let told = buy(&mut world, &format!("o{year}"), 500);
        gifts += told.iter().filter(|told| told.starts_with("welcome")).count();
        assert_eq!(level(&world, "mia"), "gold");
    }
    assert_eq!(gifts, 1);
}

#[test]
fn d1_who_stands_above_when_a_ladder_is_introduced_is_not_welcomed() {
    let bare = "counters: {spent: {counts: spend, window: year}}\nrules: []\n";
    let mut world = World::new(bare).with("mia", 0);
    buy(&mut world, "o1", 700);
    let later = program(&yearly(""));
    world.timeline.versions.push((at("2026-05-05"), later));
    world.go("2026-05-06");
    assert_eq!(buy(&mut world, "o2", 1), ["base grants 1", "vip: none -> gold"]);
    // Nor when it is lost and regained.
    world.give_back("mia", everything("o1", "r"));
    assert_eq!(level(&world, "mia"), "none");
}

#[test]
fn d1_what_makes_no_ladder_is_a_fault() {
    let file = |counter: &str, levels: &str, terms: &str| {
        format!(
            "guerdon: 1\nprogram: p\ntitle: P\ntime_zone: UTC\ncurrencies: [GBP]\ncounters: {{c: {counter}}}\n\
             tiers: {{vip: {{counter: c, levels: {levels}{terms}}}}}\n"
        )
    };
    let one = "[{id: a, title: A, at_least: 1}]";
    for (text, fault) in [
        (
            file("{counts: spend}", "[{id: a, title: A, at_least: 5}, {id: b, title: B, at_least: 5}]", ""),
            "5 is the threshold of the level before too",
        ),
        (
            file("{counts: spend}", "[{id: a, title: A, at_least: 5}, {id: b, title: B, at_least: 4}]", ""),
            "4 is below the threshold of the level before, 5",
        ),
        (
            file("{counts: spend}", "[{id: a, title: A, at_least: 5}, {id: a, title: B, at_least: 6}]", ""),
            "`a` is stated twice",
        ),
        (file("{counts: spend}", "[]", ""), "a ladder without levels leads nowhere"),
        (file("{counts: orders, streak: week}", one, ""), "`c` counts periods on end, which no status can last by"),
        (file("{counts: spend}", one, ", upgrade: next_period"), "`c` has no periods of which a next one could begin"),
        (
            file("{counts: spend, window: year}", one, ", upgrade: next_period, keep: {further_periods: 0}"),
            "a level that begins with the next period and lasts for none never counts",
        ),
        (
            file("{counts: spend, window: 30 days}", one, ", rollover: true"),
            "`c` has no periods between which anything rolls over",
        ),
        (
            file("{counts: spend}", one, "")
                + "rules: [{id: r, kind: emotional, on: tier, tiers: {vip: [b]}, then: {bonus: {units: 1}}}]\n",
            "`vip` has no level `b`",
        ),
        (
            file("{counts: spend}", one, "")
                + "rules: [{id: r, kind: emotional, on: order, tiers: {vip: [a]}, then: {bonus: {units: 1}}}]\n",
            "only a rule on `tier` acts on levels",
        ),
        (
            file("{counts: spend}", one, "")
                + "rules: [{id: r, kind: emotional, on: tier, then: {multiply: {by: 2}}}]\n",
            "there is nothing to `earn` or to `multiply`",
        ),
        (
            file("{counts: spend}", one, "")
                + "rules: [{id: r, kind: emotional, on: tier, when: {channels: [web]}, then: {bonus: {units: 1}}}]\n",
            "a tier or a goal has no order",
        ),
        (
            file("{counts: spend}", one, "")
                + "rewards: [{id: r, title: R, gives: {amount_off: GBP 1}, tiers: {club: [a]}}]\n",
            "`club` is no ladder of this program",
        ),
    ] {
        let faults = compile(&text).unwrap_err().to_string();
        assert!(faults.contains(fault), "{faults}\n{text}");
    }
}

/// Orders on days of two years, and which of them come back whole, in any order.
fn steps() -> impl Strategy<Value = Vec<(i64, i64, bool)>> {
    prop::collection::vec((0..500i64, 1..40_000i64, any::<bool>()), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Within one period, where a member stands is where the orders that are kept would have led.
    #[test]
    fn d2_orders_and_returns_end_where_the_kept_orders_do(
        steps in prop::collection::vec((1..40_000i64, any::<bool>()), 1..12),
        by_parts in any::<bool>(),
    ) {
        let mut world = World::new(&yearly("")).with("mia", 0);
        let mut kept = World::new(&yearly("")).with("mia", 0);
        for (n, (minor, comes_back)) in steps.iter().enumerate() {
            let order = order(&format!("o{n}"), vec![items(2, line("a", *minor)), line("b", 100)]);
            world.buy("mia", order.clone());
            if !comes_back {
                kept.buy("mia", order);
            }
        }
        for n in steps.iter().enumerate().filter(|(_, (_, comes_back))| *comes_back).map(|(n, _)| n) {
            let id = format!("o{n}");
            if by_parts {
                for (r, what) in [("1", quantity("a", 1)), ("2", quantity("b", 1))] {
                    world.give_back("mia", returned(&id, r, ReturnWhat::Lines(vec![what])));
                }
            }
            world.give_back("mia", everything(&id, "rest"));
        }
        prop_assert_eq!(level(&world, "mia"), level(&kept, "mia"));
        prop_assert_eq!(world.has("mia"), kept.has("mia"));
        prop_assert_eq!(views(&world, "mia")[0].until, views(&kept, "mia")[0].until);
    }

    /// However time passes, it comes to an end, and looking often ends where looking once does.
    #[test]
    fn d2_looking_often_ends_where_looking_once_does(steps in steps(), soft in any::<bool>(), grace in 0..40u32, rollover in any::<bool>()) {
        let terms = format!("    keep: {{soft_landing: {soft}, grace_days: {grace}}}\n    rollover: {rollover}");
        let mut often = World::new(&yearly(&terms)).with("mia", 0);
        let mut once = often.clone();
        let start = often.now;
        let mut steps = steps;
        steps.sort();
        for (n, (day, minor, _)) in steps.iter().enumerate() {
            let day_ms = 86_400_000;
            let when = start.plus_ms(day * day_ms);
            while often.now.plus_ms(30 * day_ms) < when {
                often.now = often.now.plus_ms(30 * day_ms);
                often.advance("mia");
            }
            often.now = when;
            once.now = when;
            for world in [&mut often, &mut once] {
                world.buy("mia", order_for(&format!("o{n}"), *minor));
            }
        }
        for world in [&mut often, &mut once] {
            world.now = start.plus_ms(900 * 86_400_000);
            world.advance("mia");
        }
        prop_assert_eq!(level(&often, "mia"), level(&once, "mia"));
        let held = |world: &World| world.accounts[&account("mia")].ladders.clone();
        prop_assert_eq!(held(&often), held(&once));
    }
}
