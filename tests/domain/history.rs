//! Rules that look back: the Nth order, counts within a window, streaks.

use guerdon::domain::answer::Effect;
use guerdon::domain::decide::Decision;

use super::kit::*;

/// A point for each pound, and one rule that grants a bonus of 100 under a condition on what was before.
fn looking_back(counters: &str, when: &str) -> World {
    World::new(&format!(
        "
counters: {counters}
rules:
  - {{id: base, kind: transactional, on: order, then: {{earn: {{units: 1, per: GBP 1.00}}}}}}
  - {{id: back, kind: behavioural, on: order, when: {when}, then: {{bonus: {{units: 100}}}}}}
"
    ))
    .with("mia", 0)
}

/// What a rule granted.
fn granted_by(decision: &Decision, rule: &str) -> i64 {
    let decided = decided(&decision.answer);
    let granted = decided.effects.iter().filter_map(|effect| match effect {
        Effect::Granted(granted) if granted.rule.as_str() == rule => Some(granted.granted),
        _ => None,
    });
    granted.sum()
}

fn available(world: &World) -> i64 {
    world.accounts[&account("mia")].balances().first().map_or(0, |balance| balance.available)
}

/// Whether each of the orders, one a day, earned the bonus.
fn bonuses(world: &mut World, days: &[&str]) -> Vec<bool> {
    let mut earned = Vec::new();
    for (n, day) in days.iter().enumerate() {
        world.now = at(day);
        let answer = world.commit("mia", commit(order_for(&format!("o{n}"), 1_000)));
        earned.push(granted_by(&answer, "back") == 100);
    }
    earned
}

#[test]
fn a8_order_history_the_first_the_nth_and_every_nth_order() {
    let days = ["2026-05-05", "2026-05-06", "2026-05-07", "2026-05-08", "2026-05-09", "2026-05-10"];
    for (when, expected) in [
        ("{order_number: {is: [1]}}", [true, false, false, false, false, false]),
        ("{order_number: {is: [2, 3]}}", [false, true, true, false, false, false]),
        ("{order_number: {every: 2}}", [false, true, false, true, false, true]),
        ("{order_number: {from: 5}}", [false, false, false, false, true, true]),
        ("{order_number: {from: 2, to: 4, every: 2}}", [false, true, false, true, false, false]),
    ] {
        assert_eq!(bonuses(&mut looking_back("{}", when), &days), expected, "{when}");
    }
}

#[test]
fn a8_order_history_counts_and_sums_within_a_window() {
    for (counters, when, days, expected) in [
        (
            "{orders: {counts: orders, window: month}}",
            "{counters: {orders: {at_least: 2}}}",
            ["2026-05-30", "2026-05-31", "2026-06-01", "2026-06-30"],
            [false, true, false, true],
        ),
        (
            "{spend: {counts: spend, window: 30 days}}",
            "{counters: {spend: {at_least: 2000}}}",
            // Day 30 is inside, day 31 is not.
            ["2026-05-05", "2026-06-03", "2026-07-04", "2026-07-05"],
            [false, true, false, true],
        ),
        (
            "{spend: {counts: spend, window: lifetime}}",
            "{counters: {spend: {every: 2000}}}",
            ["2026-05-05", "2026-06-03", "2026-07-04", "2026-07-05"],
            [false, true, false, true],
        ),
        (
            "{weeks: {counts: orders, streak: week}}",
            "{counters: {weeks: {at_least: 3}}}",
            ["2026-05-10", "2026-05-11", "2026-05-24", "2026-05-31"],
            [false, false, true, true],
        ),
        (
            "{visits: {counts: visits, window: week}}",
            "{counters: {visits: {at_least: 2}}}",
            ["2026-05-11T08:00:00Z", "2026-05-11T20:00:00Z", "2026-05-12", "2026-05-18"],
            [false, false, true, false],
        ),
    ] {
        assert_eq!(bonuses(&mut looking_back(counters, when), &days), expected, "{counters} {when}");
    }
}

#[test]
fn a8_order_history_forgets_what_comes_back() {
    let counters = "{spend: {counts: spend, window: lifetime}, orders: {counts: orders}}";
    let when = "{counters: {spend: {at_least: 2000}, orders: {at_most: 2}}}";
    let mut world = looking_back(counters, when);
    assert_eq!(bonuses(&mut world, &["2026-05-05"]), [false]);
    world.give_back("mia", everything("o0", "r0"));
    world.now = at("2026-05-06");
    let second = world.commit("mia", commit(order_for("second", 1_900)));
    assert_eq!(granted_by(&second, "back"), 0, "19 kept, for the first came back");
    let third = world.commit("mia", commit(order_for("third", 100)));
    assert_eq!(granted_by(&third, "back"), 100);
    let fourth = world.commit("mia", commit(order_for("fourth", 100)));
    assert_eq!(granted_by(&fourth, "back"), 0, "the third order that was kept");
}

#[test]
fn trap_3_a_first_order_that_came_back_whole_is_the_first_no_more_and_its_bonus_is_gone() {
    let mut world = looking_back("{}", "{order_number: {is: [1]}}");
    assert_eq!(bonuses(&mut world, &["2026-05-05"]), [true]);
    world.give_back("mia", everything("o0", "r0"));
    assert_eq!(available(&world), 0);
    let again = world.commit("mia", commit(order_for("again", 1_000)));
    assert_eq!(granted_by(&again, "back"), 100);
    assert_eq!(available(&world), 110);
}
