//! What no sequence of orders and returns gets around: limits, and rules that lose.

use std::collections::BTreeMap;

use guerdon::domain::answer::Effect;
use guerdon::domain::command::{Command, Commit, ProfileChange, ReturnWhat, UpdateMember};
use guerdon::domain::decide::Decision;
use guerdon::domain::order::Order;
use guerdon::domain::referral::signal::Signals;
use guerdon::domain::time::{DAY_MS, HOUR_MS, Instant, Times};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::kit::*;

fn by_rule(sections: &str, order: Order) -> Vec<(String, i64)> {
    let world = World::new(sections).with("mia", 0);
    grants(&world.preview("mia", &Command::Commit(commit(order)), world.now))
}

fn given(pairs: &[(&str, i64)]) -> Vec<(String, i64)> {
    pairs.iter().map(|(rule, units)| ((*rule).to_owned(), *units)).collect()
}

#[test]
fn a12_a_rule_that_loses_stops_and_excludes_nobody() {
    for (rules, expected) in [
        // The loser of a group would have stopped the last rule.
        (
            "groups: {g: {pick: best}}
rules:
  - {id: less, kind: transactional, on: order, combine: {group: g, priority: 1}, then: {bonus: {units: 30}}}
  - {id: lost, kind: transactional, on: order, combine: {group: g, stop: true}, then: {bonus: {units: 10}}}
  - {id: last, kind: transactional, on: order, then: {bonus: {units: 5}}}
",
            given(&[("less", 30), ("last", 5)]),
        ),
        // One that is best stops what comes after it.
        (
            "groups: {g: {pick: best}}
rules:
  - {id: less, kind: transactional, on: order, combine: {group: g, priority: 1}, then: {bonus: {units: 3}}}
  - {id: best, kind: transactional, on: order, combine: {group: g, stop: true}, then: {bonus: {units: 10}}}
  - {id: last, kind: transactional, on: order, then: {bonus: {units: 5}}}
",
            given(&[("best", 10)]),
        ),
        // Nothing to be on top of: it applies alone no more than at all.
        (
            "rules:
  - {id: top, kind: transactional, on: order, combine: {exclusive: true}, then: {bonus: {units: 30, needs_base: true}}}
  - {id: other, kind: transactional, on: order, then: {bonus: {units: 5}}}
",
            given(&[("other", 5)]),
        ),
        // The loser would have been the reason why another cannot be alone.
        (
            "groups: {g: {pick: best}}
units: {points: {}, miles: {}}
rules:
  - {id: lost, kind: transactional, on: order, combine: {group: g, priority: 9}, then: {bonus: {units: 10}}}
  - {id: won, kind: transactional, on: order, combine: {group: g, priority: 8}, then: {bonus: {units: 30, unit: miles}}}
  - {id: alone, kind: transactional, on: order, combine: {exclusive: true}, then: {bonus: {units: 5}}}
",
            given(&[("won", 30), ("alone", 5)]),
        ),
    ] {
        assert_eq!(by_rule(rules, order_for("o", 1_000)), expected, "{rules}");
    }
}

#[test]
fn a12_why_a_rule_lost_is_told_when_others_were_asked_again() {
    let world = World::new(
        "groups: {g: {pick: best}}
rules:
  - {id: less, kind: transactional, on: order, combine: {group: g, priority: 1}, then: {bonus: {units: 30}}}
  - {id: lost, kind: transactional, on: order, combine: {group: g, stop: true}, then: {bonus: {units: 10}}}
  - {id: last, kind: transactional, on: order, then: {bonus: {units: 5}}}
",
    )
    .with("mia", 0);
    let explained = Commit { explain: true, ..commit(order_for("o", 1_000)) };
    let decision = world.preview("mia", &Command::Commit(explained), world.now);
    let told = decided(&decision.answer).explain.unwrap().rules;
    let told: Vec<(&str, bool, &str)> =
        told.iter().map(|rule| (rule.rule.as_str(), rule.applied, rule.left_out.as_str())).collect();
    let why = "rule less gives most in group g: 30";
    assert_eq!(told, [("less", true, ""), ("lost", false, why), ("last", true, "")]);
}

/// The faults of a program with these sections.
fn faults(sections: &str) -> String {
    let head = "guerdon: 1\nprogram: p\ntitle: P\ntime_zone: UTC\ncurrencies: [GBP]\n";
    guerdon::program::compile(&format!("{head}{sections}")).map_or_else(|faults| faults.to_string(), |_| String::new())
}

#[test]
fn a12_a_group_that_picks_what_gives_most_has_rules_that_give_units() {
    let group = |pick: &str, then: &str| {
        format!(
            "groups: {{g: {{pick: {pick}}}}}
rules:
  - {{id: x, kind: transactional, on: order, combine: {{group: g}}, then: {{{then}}}}}
"
        )
    };
    let tag = "tag: {add: [fan]}";
    let told = faults(&group("best", tag));
    assert!(told.contains("group `g` picks the rule that gives most units, and this one gives none"), "{told}");
    assert_eq!(faults(&group("first", tag)), "");
    assert_eq!(faults(&group("best", "bonus: {units: 1}")), "");
}

#[test]
fn a12_only_rules_on_orders_are_weighed_against_each_other() {
    let rule = |pick: &str, combine: &str| {
        format!(
            "groups: {{g: {{pick: {pick}, limits: [{{units: 5}}]}}}}
rules:
  - {{id: x, kind: emotional, on: enrolment, combine: {{{combine}}}, then: {{bonus: {{units: 9}}}}}}
"
        )
    };
    for (pick, combine) in [
        ("all", "stop: true"),
        ("all", "priority: 1"),
        ("all", "exclusive: true"),
        ("first", "group: g"),
        ("best", "group: g"),
    ] {
        let told = faults(&rule(pick, combine));
        assert!(told.contains("only rules on `order` are weighed against each other"), "{pick} {combine}: {told}");
    }
    let mut world = World::new(&rule("all", "group: g"));
    let welcome = world.enrol("mia", &[]);
    assert_eq!(grants(&welcome), given(&[("x", 5)]), "the limits of its group hold");
}

#[test]
fn a7_a_campaign_bounds_rules_that_no_order_fires_and_closed_days_do_not() {
    let sections = "campaigns: [{id: may, title: May, starts_at: 2026-05-01T00:00, ends_at: 2026-06-01T00:00}]
closed_on: [2026-05-04]
rules:
  - {id: x, kind: emotional, on: enrolment, campaign: may, then: {bonus: {units: 9}}}
";
    for (when, expected) in [("2026-04-30", 0), ("2026-05-01", 1), ("2026-05-04", 1), ("2026-06-01", 0)] {
        assert_eq!(grants(&World::new(sections).on(when).enrol("mia", &[])).len(), expected, "{when}");
    }
}

#[test]
fn a13_more_limits_than_an_account_can_keep_are_a_fault() {
    let program = |rules: usize, limits: &str| {
        let rule = |n: usize| {
            format!(
                "  - {{id: r{n}, kind: transactional, on: order, limits: [{limits}], then: {{bonus: {{units: 1}}}}}}\n"
            )
        };
        format!("rules:\n{}", (0..rules).map(rule).collect::<String>())
    };
    let told = faults(&program(401, "{units: 5, per: month}, {units: 9}"));
    assert!(told.contains("more than 400 sums for limits") && told.contains("rules[400]"), "{told}");
    assert_eq!(faults(&program(400, "{units: 5, per: month}, {units: 9}")), "");
    // What is kept elsewhere or nowhere does not count.
    assert_eq!(faults(&program(401, "{units: 5, per: order}, {units: 9, of: program}")), "");
}

/// What `base` granted on each order, told of late or not; a point for each pound of orders of ten.
fn as_of(sections: &str, orders: &[(&str, &str)]) -> Vec<i64> {
    let mut world = World::new(sections).on("2026-04-20").with("mia", 0);
    let mut granted = Vec::new();
    for (n, (now, happened)) in orders.iter().enumerate() {
        world.go(now);
        let command = Command::Commit(commit(order_for(&format!("o{n}"), 1_000)));
        let times = Times { now: world.now, effective_at: at(happened), stated: true };
        let decision = world.decide_at("mia", command, times).unwrap();
        granted.push(grants(&decision).iter().map(|(_, units)| units).sum());
    }
    granted
}

#[test]
fn a13_what_is_told_of_late_fits_under_the_limits_of_its_time() {
    for (limits, expected) in [
        // On the 10th eight; then one of the 5th is told of, for which two are left.
        ("[{units: 8, per: day}, {units: 10, per: month}]", [8, 2, 0]),
        // The 5th and the 10th are in a window of six days.
        ("[{units: 12, per: 6 days}]", [10, 2, 10]),
        ("[{units: 12, per: 5 days}]", [10, 10, 2]),
        ("[{times: 1, per: 6 days}]", [10, 0, 10]),
    ] {
        let sections = format!(
            "rules:
  - {{id: base, kind: transactional, on: order, limits: {limits}, then: {{earn: {{units: 1, per: GBP 1.00}}}}}}
"
        );
        let orders = [("2026-05-10", "2026-05-10"), ("2026-05-11", "2026-05-05"), ("2026-05-11", "2026-05-04")];
        let orders =
            if limits.contains("6 days") { [orders[0], orders[1], ("2026-05-16", "2026-05-16")] } else { orders };
        assert_eq!(as_of(&sections, &orders), expected, "{limits}");
    }
}

#[test]
fn a13_two_limits_of_an_order_look_at_one_sum() {
    let sections = "rules:
  - {id: a, kind: transactional, on: order, campaign: c, then: {bonus: {units: 30}}}
  - {id: b, kind: transactional, on: order, campaign: c, then: {bonus: {units: 30}}}
campaigns: [{id: c, title: C, limits: [{units: 70, per: order}, {units: 80, per: order, on_reach: refuse}]}]
";
    assert_eq!(by_rule(sections, order_for("o", 1_000)), given(&[("a", 30), ("b", 30)]));
}

#[test]
fn a13_what_comes_back_frees_its_limit_or_not() {
    for (frees, expected) in [("true", 10), ("false", 5)] {
        let mut world = World::new(&format!(
            "returns: {{frees_limits: {frees}}}
rules:
  - {{id: base, kind: transactional, on: order, limits: [{{units: 15}}], then: {{earn: {{units: 1, per: GBP 1.00}}}}}}
"
        ))
        .with("mia", 0);
        world.buy("mia", order_for("o1", 1_000));
        world.give_back("mia", everything("o1", "r"));
        let again = world.buy("mia", order_for("o2", 1_000));
        assert_eq!(grants(&again), given(&[("base", expected)]), "{frees}");
    }
}

#[test]
fn a7_recurring_days_and_hours_hold_through_changes_of_the_clock() {
    // Europe/Berlin: forward on 29 March 2026 at 02:00, back on 25 October 2026 at 03:00; both are Sundays.
    let sections = "time_zone: Europe/Berlin
rules:
  - id: sunday
    kind: behavioural
    on: order
    when: {days: {recurs: 'FREQ=MONTHLY;BYDAY=-1SU', not_on: [2026-04-26]}, hours: [{from: \"02:00\", until: \"04:00\"}]}
    then: {bonus: {units: 1}}
";
    for (when, expected) in [
        ("2026-03-29T00:59:59Z", 0), // 01:59:59
        ("2026-03-29T01:00:00Z", 1), // the clock jumps from 02:00 to 03:00
        ("2026-03-29T01:59:59Z", 1), // 03:59:59
        ("2026-03-29T02:00:00Z", 0), // 04:00
        ("2026-03-28T23:30:00Z", 0), // 00:30 of the Sunday, before the hours
        ("2026-10-25T00:00:00Z", 1), // 02:00, the first time
        ("2026-10-25T01:30:00Z", 1), // 02:30, the second time
        ("2026-10-25T02:59:59Z", 1), // 03:59:59
        ("2026-10-25T03:00:00Z", 0), // 04:00
        ("2026-04-26T00:30:00Z", 0), // a last Sunday, but an exception
        ("2026-05-24T00:30:00Z", 0), // a Sunday, but not the last
        ("2026-05-31T00:30:00Z", 1),
    ] {
        let world = World::new(sections).on("2026-03-01").with("mia", 0);
        let decision = world.preview("mia", &Command::Commit(commit(order_for("o", 100))), at(when));
        assert_eq!(grants(&decision).len(), expected, "{when}");
    }
}

#[test]
fn a7_hours_by_the_clock_of_the_member() {
    let sections = "time_zone: Europe/London
rules:
  - id: morning
    kind: emotional
    on: order
    when: {hours: [{from: \"07:00\", until: \"09:00\", zone: member}]}
    then: {bonus: {units: 1}}
";
    // 08:00 in London, 03:00 in New York, 17:00 in Tokyo; an hour later in the year the same.
    for (lives_in, when, expected) in [
        (None, "2026-01-10T08:00:00Z", 1),
        (Some("America/New_York"), "2026-01-10T08:00:00Z", 0),
        (Some("America/New_York"), "2026-01-10T12:00:00Z", 1),
        // Daylight saving there, and not yet here.
        (Some("America/New_York"), "2026-03-10T11:00:00Z", 1),
        (Some("America/New_York"), "2026-03-10T13:00:00Z", 0),
        (Some("Asia/Tokyo"), "2026-01-10T23:00:00Z", 1),
    ] {
        let mut world = World::new(sections).on("2026-01-01").with("mia", 0);
        if let Some(zone) = lives_in {
            let change = ProfileChange { zone: Some(Some(zone.to_owned())), ..ProfileChange::default() };
            world.decide("mia", Command::UpdateMember(UpdateMember { change, signals: Signals::None }));
        }
        // Where the order comes from does not matter to who lives elsewhere.
        let order = Order { zone: lives_in.and_then(|_| TimeZone::get("Asia/Kolkata").ok()), ..order_for("o", 100) };
        let decision = world.preview("mia", &Command::Commit(commit(order)), at(when));
        assert_eq!(grants(&decision).len(), expected, "{lives_in:?} {when}");
    }
}

#[test]
fn a11_spend_in_a_listed_currency_counts_by_its_rate() {
    let sections = "currencies: [GBP, EUR]
rates: [{from: 2026-01-01, currency: EUR, rate: \"0.86\"}]
counters: {spend: {counts: spend}}
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: {GBP: 1.00, EUR: 1.00}}}}
  - {id: big, kind: transactional, on: order, when: {counters: {spend: {at_least: 860}}}, then: {bonus: {units: 5}}}
";
    let euros = |minor: i64| Order {
        currency: guerdon::domain::order::Currency::parse("EUR").unwrap(),
        ..order_for("o", minor)
    };
    assert_eq!(by_rule(sections, euros(1_000)), given(&[("base", 10), ("big", 5)]), "by its own amounts");
    assert_eq!(by_rule(sections, euros(999)), given(&[("base", 9)]));
}

const LIMITED: &str = "
groups: {g: {pick: best, limits: [{units: 90, per: 10 days}]}}
campaigns: [{id: c, title: C, limits: [{units: 60, per: week}, {times: 4, per: month}]}]
unit_limits: {points: {limits: [{units: 150, per: month, on_reach: refuse}], balance_max: 400}}
earning: {multipliers: add}
rules:
  - {id: base, kind: transactional, on: order, limits: [{units: 40, per: day}, {units: 25, per: order}], then: {earn: {units: 1, per: GBP 1.00, rounding: half_up}}}
  - {id: tea, kind: behavioural, on: order, lines: {categories: [tea]}, combine: {group: g}, limits: [{units: 70, per: 10 days, on_reach: refuse}], then: {multiply: {by: 2.5, rounding: ceil}}}
  - {id: many, kind: behavioural, on: order, combine: {group: g, priority: 2}, then: {bonus: {units: 7, for_each: item, units_max: 35}}}
  - {id: promo, kind: behavioural, on: order, campaign: c, combine: {priority: 1}, then: {bonus: {units: 18, needs_base: true}}}
  - {id: last, kind: behavioural, on: order, campaign: c, when: {spend_at_most: GBP 30.00}, combine: {exclusive: true, group: g}, then: {bonus: {units: 3}}}
";

/// Which rules a bound is about, over how many days or which period, and how much it allows.
type Bound = (&'static [&'static str], Span, i64);

#[derive(Clone, Copy, Debug)]
enum Span {
    Days(i64),
    /// From Monday.
    Week,
    Month,
}

const BOUNDS: &[Bound] = &[
    (&["base"], Span::Days(1), 40),
    (&["tea"], Span::Days(10), 70),
    (&["tea", "many", "last"], Span::Days(10), 90),
    (&["promo", "last"], Span::Week, 60),
    (&["base", "tea", "many", "promo", "last"], Span::Month, 150),
];

/// The number of the period that a day lies in.
fn period(span: Span, day: i64) -> i64 {
    match span {
        Span::Days(_) => day,
        Span::Week => (day + 3).div_euclid(7),
        Span::Month => {
            let date = Instant(day * DAY_MS).zoned(&TimeZone::UTC).date();
            i64::from(date.year()) * 12 + i64::from(date.month())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(11), ..ProptestConfig::default() })]

    /// Whatever is bought, told of late, and brought back: what stands of it never exceeds a limit in any of its windows,
    /// what was quoted is what is granted, and asking why changes nothing.
    #[test]
    fn a13_limits_are_never_exceeded(
        steps in prop::collection::vec((0..60i64, 0..200i64, 1..6_000i64, 1..5i64, any::<bool>(), 0..4u8), 1..30),
    ) {
        let mut world = World::new(LIMITED).on("2026-03-01").with("mia", 0).on("2026-03-10");
        // By order: the day, and what stands of each rule.
        let mut stands: BTreeMap<String, (i64, BTreeMap<String, i64>)> = BTreeMap::new();
        for (n, (hours, late_h, amount, quantity, tea, what)) in steps.into_iter().enumerate() {
            world.now = world.now.plus_ms(hours * HOUR_MS);
            if what == 0 && let Some(id) = stands.keys().nth(n % stands.len().max(1)).cloned() {
                let some = ReturnWhat::Lines(vec![self::amount("a", 1 + i64::from(tea) * amount / 2)]);
                let what = if quantity == 1 { ReturnWhat::Everything } else { some };
                world.give_back("mia", returned(&id, &format!("r{n}"), what));
                let record = world.order(&id);
                let left = record.grants.iter().map(|grant| (grant.grant.as_str().rsplit(':').next().unwrap().to_owned(), grant.amount - grant.reversed));
                stands.get_mut(&id).unwrap().1 = left.collect();
                continue;
            }
            let id = format!("o{n:02}");
            let line = items(quantity, line("a", amount));
            let line = if tea { of_category("tea", line) } else { line };
            let command = |explain| Command::Commit(Commit { explain, ..commit(order(&id, vec![line.clone()])) });
            let effective_at = world.now.minus_ms(late_h * HOUR_MS);
            let plain = world.preview("mia", &command(false), effective_at);
            let told = world.preview("mia", &command(true), effective_at);
            prop_assert_eq!(decided(&plain.answer).effects, decided(&told.answer).effects, "asking why changes nothing");
            let times = Times { now: world.now, effective_at, stated: true };
            let done: Decision = world.decide_at("mia", command(true), times).unwrap();
            prop_assert_eq!(&decided(&done.answer).effects, &decided(&plain.answer).effects);
            let sane = |effect: &Effect| match effect {
                Effect::Granted(granted) => 0 < granted.granted && granted.granted <= granted.desired,
                _ => true,
            };
            prop_assert!(decided(&done.answer).effects.iter().all(sane));
            let day = effective_at.0.div_euclid(DAY_MS);
            stands.insert(id, (day, grants(&done).into_iter().collect()));
            for (rules, span, most) in BOUNDS {
                for (day, _) in stands.values() {
                    let inside = |other: i64| match span {
                        Span::Days(days) => *day <= other && other < day + days,
                        _ => period(*span, *day) == period(*span, other),
                    };
                    let sum: i64 = stands.values().filter(|(other, _)| inside(*other)).flat_map(|(_, given)| given)
                        .filter(|(rule, _)| rules.contains(&rule.as_str())).map(|(_, units)| units).sum();
                    prop_assert!(sum <= *most, "{rules:?} gave {sum} of {most} within {span:?} of day {day}: {stands:?}");
                }
            }
            let balance = world.accounts[&account("mia")].balances().remove(0);
            prop_assert!(balance.available + balance.pending <= 400);
        }
        // Months later, each order is explained as it was decided.
        for (order, then) in &world.traces {
            let why = world.why("mia", order.as_str());
            prop_assert!(why.reproduces);
            prop_assert_eq!(&why.trace, then, "{}", order);
        }
    }
}
