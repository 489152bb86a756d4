//! What an order earns.

use guerdon::domain::command::{Command, PayAmount};
use guerdon::domain::order::{Currency, Line, LineKind, Order};
use jiff::tz::TimeZone;

use super::kit::*;

/// What the rules grant on an order, by rule, previewed at an instant.
fn granted_at(sections: &str, order: Order, when: &str) -> Vec<(String, i64)> {
    let world = World::new(sections).with("mia", 0);
    grants(&world.preview("mia", &Command::Commit(commit(order)), at(when)))
}

fn granted(sections: &str, order: Order) -> Vec<(String, i64)> {
    granted_at(sections, order, "2026-05-04")
}

fn total(sections: &str, lines: Vec<Line>) -> i64 {
    granted(sections, order("o", lines)).iter().map(|(_, n)| n).sum()
}

#[test]
fn a_base_rate_rounds_as_named_on_lines_rules_or_the_order() {
    // Three lines of 1.50, a point for each pound; two more of 0.25 are of another category, with a rule of their own.
    let lines = || {
        let tea = |id| of_category("tea", line(id, 150));
        let milk = |id| of_category("milk", line(id, 25));
        vec![tea("a"), tea("b"), tea("c"), milk("d"), milk("e")]
    };
    for (rounding, per_line, per_rule, per_order) in [
        // 1.5 three times and 0.25 twice | 4.5 and 0.5 | 5.0
        ("floor", 3, 4, 5),
        ("ceil", 8, 6, 5),
        ("half_up", 6, 6, 5),
        ("half_even", 6, 4, 5),
    ] {
        for (scope, expected) in [("line", per_line), ("rule", per_rule), ("order", per_order)] {
            let rule = |id: &str| {
                format!(
                    "  - {{id: {id}, kind: transactional, on: order, lines: {{categories: [{id}]}}, then: {{earn: \
                     {{units: 1, per: GBP 1.00, rounding: {rounding}, round_per: {scope}}}}}}}\n"
                )
            };
            let sections = format!("rules:\n{}{}", rule("tea"), rule("milk"));
            assert_eq!(total(&sections, lines()), expected, "{rounding} per {scope}");
        }
    }
}

#[test]
fn rounding_per_order_goes_by_the_first_rule_of_the_unit() {
    for (first, second, expected) in [("floor", "ceil", 1), ("ceil", "floor", 2)] {
        let sections = format!(
            "rules:
  - {{id: one, kind: transactional, on: order, then: {{earn: {{units: 1, per: GBP 1.00, rounding: {first}}}}}}}
  - {{id: two, kind: transactional, on: order, then: {{earn: {{units: 1, per: GBP 2.00, rounding: {second}}}}}}}
"
        );
        // 0.99 + 0.495
        assert_eq!(total(&sections, vec![line("a", 99)]), expected, "{first} then {second}");
    }
}

#[test]
fn several_base_rates_add_up() {
    let sections = "rules:
  - {id: all, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: tea, kind: transactional, on: order, lines: {categories: [tea]}, then: {earn: {units: 3, per: GBP 2.00}}}
";
    let lines = vec![of_category("tea", line("a", 400)), line("b", 100)];
    assert_eq!(granted(sections, order("o", lines)), [("all".to_owned(), 5), ("tea".to_owned(), 6)]);
}

#[test]
fn lines_earn_by_kind_and_exclusion() {
    let earning = |terms: &str| format!("earning: {{{terms}}}{BASE}");
    let brew = || of_brand("Brew", of_sku("T-1", of_category("tea", line("a", 1_000))));
    for (terms, line, expected) in [
        ("", line("a", 1_000), 10),
        ("", of_kind(LineKind::GiftCard, line("a", 1_000)), 0),
        ("", of_kind(LineKind::Shipping, line("a", 1_000)), 0),
        ("shipping_earns: true", of_kind(LineKind::Shipping, line("a", 1_000)), 10),
        ("shipping_earns: true", of_kind(LineKind::Fee, line("a", 1_000)), 0),
        ("fees_earn: true", of_kind(LineKind::Fee, line("a", 1_000)), 10),
        ("exclude: {categories: [tea]}", brew(), 0),
        ("exclude: {skus: [T-1]}", brew(), 0),
        ("exclude: {brands: [Brew]}", brew(), 0),
        ("exclude: {categories: [milk], skus: [T-2], brands: [Other]}", brew(), 10),
        ("", line("a", 0), 0),
        ("", items(0, line("a", 1_000)), 10),
    ] {
        let words = format!("{terms} {line:?}");
        assert_eq!(total(&earning(terms), vec![line]), expected, "{words}");
    }
}

#[test]
fn tax_earns_as_stated() {
    for (included_earns, prices_include, expected) in [
        // 12.00, of which or on top of which 2.00 is tax.
        (true, true, 12),
        (false, true, 10),
        (true, false, 14),
        (false, false, 12),
    ] {
        let sections = format!("earning: {{tax_included: {included_earns}}}{BASE}");
        let order = Order { prices_include_tax: prices_include, ..order("o", vec![taxed(200, line("a", 1_200))]) };
        let sum: i64 = granted(&sections, order).iter().map(|(_, n)| n).sum();
        assert_eq!(sum, expected, "tax earns: {included_earns}, prices include it: {prices_include}");
    }
}

#[test]
fn what_our_own_effects_take_off_earns_as_stated() {
    // Of 10.00, a free reward takes 2.00 and 300 points pay 3.00; on the rest, half the tax of 1.00 is due.
    let terms = |terms: &str| {
        format!(
            "earning: {{{terms}}}{BASE}
pay_with: {{points: {{units: 100, worth: GBP 1.00}}}}
rewards: [{{id: two-off, title: T, gives: {{amount_off: GBP 2.00}}}}]
"
        )
    };
    for (earning, expected) in [
        ("", 8),
        ("after_discounts: false", 10),
        ("paid_with_units_earns: false", 5),
        ("after_discounts: false, paid_with_units_earns: false", 7),
        ("paid_with_units_earns: false, tax_included: false", 4), // 5.00 less 0.50
    ] {
        let world = World::new(&terms(earning)).with("mia", 300);
        let redeem = guerdon::domain::command::Redeem { pay: pay_exactly(300).pay, ..rewards(&["two-off"]) };
        let order = order("o", vec![taxed(100, line("a", 1_000))]);
        let decision = world.preview(
            "mia",
            &Command::Commit(guerdon::domain::command::Commit { redeem: Some(redeem), ..commit(order) }),
            world.now,
        );
        assert_eq!(grants(&decision), [("base".to_owned(), expected)], "{earning}");
    }
}

#[test]
fn a_multiplier_acts_on_its_lines_and_on_what_earns_there() {
    let times = |by: &str, lines: &str| {
        format!(
            "{BASE}  - {{id: more, kind: behavioural, on: order, lines: {lines}, then: {{multiply: {{by: {by}}}}}}}\n"
        )
    };
    for (by, lines, expected) in [
        ("2", "{}", vec![("base", 15), ("more", 15)]),
        ("2", "{categories: [tea]}", vec![("base", 15), ("more", 10)]),
        ("2.5", "{categories: [milk]}", vec![("base", 15), ("more", 7)]), // 7.5 rounded down
        ("1.001", "{categories: [milk]}", vec![("base", 15)]),
        ("3", "{categories: [wine]}", vec![("base", 15)]),
        ("3", "{exclude: {categories: [tea]}}", vec![("base", 15), ("more", 10)]),
    ] {
        let basket = vec![of_category("tea", line("a", 1_000)), of_category("milk", line("b", 500))];
        let expected: Vec<(String, i64)> = expected.iter().map(|(rule, n)| ((*rule).to_owned(), *n)).collect();
        assert_eq!(granted(&times(by, lines), order("o", basket)), expected, "{by} on {lines}");
    }
}

#[test]
fn a_multiplier_without_a_base_earns_nothing_and_touches_no_bonus() {
    let sections = "rules:
  - {id: base, kind: transactional, on: order, lines: {categories: [milk]}, then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: gift, kind: transactional, on: order, then: {bonus: {units: 7}}}
  - {id: more, kind: behavioural, on: order, lines: {categories: [tea]}, then: {multiply: {by: 3}}}
";
    let basket = vec![of_category("tea", line("a", 1_000)), of_category("milk", line("b", 500))];
    assert_eq!(granted(sections, order("o", basket)), [("base".to_owned(), 5), ("gift".to_owned(), 7)]);
}

#[test]
fn several_multipliers_on_a_line_combine_by_policy() {
    for (policy, double, triple) in [
        // Tea is doubled and tripled, milk only doubled. 10 on tea, 5 on milk.
        ("highest", 5, 20),
        ("add", 15, 20),
    ] {
        let sections = format!(
            "earning: {{multipliers: {policy}}}{BASE}
  - {{id: double, kind: behavioural, on: order, then: {{multiply: {{by: 2}}}}}}
  - {{id: triple, kind: behavioural, on: order, lines: {{categories: [tea]}}, then: {{multiply: {{by: 3}}}}}}
"
        );
        let basket = vec![of_category("tea", line("a", 1_000)), of_category("milk", line("b", 500))];
        let expected = [("base".to_owned(), 15), ("double".to_owned(), double), ("triple".to_owned(), triple)];
        assert_eq!(granted(&sections, order("o", basket)), expected, "{policy}");
    }
    // Of equals, the earlier.
    let equal = format!(
        "{BASE}
  - {{id: one, kind: behavioural, on: order, then: {{multiply: {{by: 2}}}}}}
  - {{id: two, kind: behavioural, on: order, then: {{multiply: {{by: 2}}}}}}
"
    );
    assert_eq!(granted(&equal, order_for("o", 100)), [("base".to_owned(), 1), ("one".to_owned(), 1)]);
}

#[test]
fn happy_hour_is_what_the_clock_on_the_wall_of_the_shop_shows() {
    let sections = format!(
        "time_zone: Europe/London
stores: {{paris: {{time_zone: Europe/Paris}}, high-street: {{}}}}
{BASE}  - id: happy
    kind: behavioural
    on: order
    when: {{hours: [{{days: [sun], from: \"07:00\", until: \"09:00\", zone: store}}]}}
    then: {{multiply: {{by: 2}}}}
"
    );
    for (when, store, zone, expected) in [
        // The clocks went forward on 2026-03-29, a Sunday.
        ("2026-03-22T07:00:00Z", Some("high-street"), None, 2),
        ("2026-03-22T06:59:59Z", Some("high-street"), None, 1),
        ("2026-03-29T06:00:00Z", Some("high-street"), None, 2),
        ("2026-03-29T05:59:59Z", Some("high-street"), None, 1),
        ("2026-03-29T07:59:59Z", Some("high-street"), None, 2),
        ("2026-03-29T08:00:00Z", Some("high-street"), None, 1),
        ("2026-03-29T05:00:00Z", Some("paris"), None, 2),
        ("2026-03-29T07:00:00Z", Some("paris"), None, 1),
        // The order's own zone counts where no store is known, the program's where neither is.
        ("2026-03-29T11:30:00Z", None, Some("America/New_York"), 2),
        ("2026-03-29T11:30:00Z", Some("nowhere"), Some("America/New_York"), 2),
        ("2026-03-29T11:30:00Z", Some("paris"), Some("America/New_York"), 1),
        ("2026-03-29T06:30:00Z", None, None, 2),
        // Monday.
        ("2026-03-30T06:30:00Z", None, None, 1),
    ] {
        let order = Order {
            store: store.map(label),
            zone: zone.map(|name| TimeZone::get(name).unwrap()),
            ..order_for("o", 100)
        };
        let mut world = World::new(&sections).on("2026-03-01").with("mia", 0).on(when);
        let decision = world.buy("mia", order);
        let sum: i64 = grants(&decision).iter().map(|(_, n)| n).sum();
        assert_eq!(sum, expected, "{when} in {store:?} {zone:?}");
    }
}

#[test]
fn a_threshold_is_reached_at_equality() {
    for (of, tea, milk, expected) in [
        ("order", 1_000, 1_000, true),
        ("order", 1_000, 999, false),
        ("matching", 2_000, 0, true),
        ("matching", 1_999, 1, false),
        // Something of it must match.
        ("order", 0, 5_000, false),
    ] {
        let sections = format!(
            "rules:
  - id: bonus
    kind: transactional
    on: order
    when: {{spend_at_least: GBP 20.00, spend_of: {of}}}
    lines: {{categories: [tea]}}
    then: {{bonus: {{units: 50}}}}
"
        );
        let basket = vec![of_category("tea", line("a", tea)), of_category("milk", line("b", milk))];
        let sum = total(&sections, basket);
        assert_eq!(sum, if expected { 50 } else { 0 }, "tea {tea}, milk {milk}, {of}");
    }
}

#[test]
fn channels_and_stores_must_match() {
    let sections = "stores: {north: {}, south: {}}
rules:
  - {id: web, kind: transactional, on: order, when: {channels: [web, app]}, then: {bonus: {units: 1}}}
  - {id: north, kind: transactional, on: order, when: {stores: [north]}, then: {bonus: {units: 10}}}
";
    for (channel, store, expected) in [
        (None, None, 0),
        (Some("web"), None, 1),
        (Some("app"), Some("south"), 1),
        (Some("till"), Some("north"), 10),
        (Some("web"), Some("north"), 11),
    ] {
        let order = Order { channel: channel.map(label), store: store.map(label), ..order_for("o", 100) };
        let sum: i64 = granted(sections, order).iter().map(|(_, n)| n).sum();
        assert_eq!(sum, expected, "{channel:?} {store:?}");
    }
}

#[test]
fn a_schedule_begins_at_its_first_instant_and_ends_before_its_last() {
    let sections = "rules:
  - id: may
    kind: transactional
    on: order
    when: {starts_at: 2026-05-10T00:00:00Z, ends_at: 2026-05-11T00:00:00Z}
    then: {bonus: {units: 1}}
";
    for (when, expected) in [
        ("2026-05-09T23:59:59.999Z", 0),
        ("2026-05-10T00:00:00.000Z", 1),
        ("2026-05-10T23:59:59.999Z", 1),
        ("2026-05-11T00:00:00.000Z", 0),
    ] {
        let sum: i64 = granted_at(sections, order_for("o", 1), when).iter().map(|(_, n)| n).sum();
        assert_eq!(sum, expected, "{when}");
    }
}

#[test]
fn joining_earns_the_welcome_bonus_within_its_schedule() {
    let sections = "time_zone: Europe/London
rules:
  - id: welcome
    kind: emotional
    on: enrolment
    when:
      starts_at: 2026-05-01T00:00:00Z
      ends_at: 2026-06-01T00:00:00Z
    then: {bonus: {units: 100}}
";
    for (when, expected) in [
        ("2026-04-30T23:59:59Z", "nothing"),
        ("2026-05-01T00:00:00Z", "available 100"),
        ("2026-05-31T23:59:59Z", "available 100"),
        ("2026-06-01T00:00:00Z", "nothing"),
    ] {
        let mut world = World::new(sections).on(when);
        world.enrol("mia", &[]);
        assert_eq!(world.has("mia"), expected, "{when}");
        assert_eq!(told(&world.enrol("mia", &[])), ["no member: MemberExists"], "{when}");
    }
}

#[test]
fn an_order_in_a_currency_that_is_not_listed_earns_nothing_and_is_committed() {
    let mut world = World::new(BASE).with("mia", 0);
    let order = Order { currency: Currency::parse("EUR").unwrap(), ..order_for("o", 1_000) };
    let decision = world.buy("mia", order);
    assert_eq!(told(&decision), ["no earn: CurrencyNotListed"]);
    assert_eq!(committed(&decision).status, guerdon::domain::answer::CommitStatus::Committed);
    assert_eq!(world.order("o").money_minor, 1_000);
    assert_eq!(world.has("mia"), "nothing");
}

/// Found in review: numbers that do not fit refused the whole order, which may have been paid.
#[test]
fn the_largest_orders_are_committed_whatever_they_earn() {
    let sections = "rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 100, per: GBP 0.01}}}
  - {id: more, kind: behavioural, on: order, then: {multiply: {by: 100}}}
";
    let lines = |n: usize| -> Vec<Line> {
        (0..n).map(|i| taxed(Order::AMOUNT_MINOR_MAX, line(&format!("l{i}"), Order::AMOUNT_MINOR_MAX))).collect()
    };
    let mut world = World::new(sections).with("mia", 0);
    for (id, count, expected) in [
        ("small", 1, vec!["base grants 100000000000000", "more grants 9900000000000000"]),
        ("large", Order::LINES_MAX, vec!["base grants 50000000000000000", "more grants 4950000000000000000"]),
    ] {
        let decision = world.buy("mia", order(id, lines(count)));
        assert_eq!(told(&decision), expected, "{id}");
    }
    // The balance has no room for as much again: what cannot be counted is refused, not wrapped.
    let decision = world.buy("mia", order("again", lines(Order::LINES_MAX)));
    assert_eq!(told(&decision), ["no order: OutOfBounds"]);
    assert_eq!(
        world.has("mia"),
        "available 5009999999999999900".replace(
            "5009999999999999900",
            &(50_000_000_000_000_000i64 + 4_950_000_000_000_000_000 + 100_000_000_000_000 + 9_900_000_000_000_000)
                .to_string()
        )
    );
    // With the tax on top, not even the grant can be counted: the order stands, the earning does not.
    let order = Order { prices_include_tax: false, ..order("tax", lines(Order::LINES_MAX)) };
    let decision = world.buy("mia", order);
    assert_eq!(told(&decision), ["no earn: OutOfBounds"]);
    assert_eq!(world.order("tax").money_minor, 2 * 500 * Order::AMOUNT_MINOR_MAX);
    world.give_back("mia", everything("large", "r"));
    assert_eq!(world.order("large").grants[1].reversed, 4_950_000_000_000_000_000);
}

#[test]
fn the_trace_says_why_a_rule_did_not_apply() {
    let sections = format!(
        "{BASE}  - {{id: tea, kind: behavioural, on: order, lines: {{categories: [tea]}}, then: {{multiply: {{by: 2}}}}}}
  - {{id: big, kind: transactional, on: order, when: {{spend_at_least: GBP 20.00}}, then: {{bonus: {{units: 5}}}}}}
"
    );
    let world = World::new(&sections).with("mia", 0);
    let explained = guerdon::domain::command::Commit { explain: true, ..commit(order_for("o", 1_999)) };
    let decision = world.preview("mia", &Command::Commit(explained), world.now);
    let trace = decided(&decision.answer).explain.unwrap();
    assert_eq!(trace.rules_left_out, 1, "no line is tea");
    let big = trace.rules.iter().find(|rule| rule.rule.as_str() == "big").unwrap();
    assert!(!big.applied);
    let missed = big.conditions.iter().find(|condition| !condition.met).unwrap();
    assert_eq!((missed.actual.as_str(), missed.required.as_str()), ("GBP 19.99", "at least GBP 20.00"));
    let base = trace.rules.iter().find(|rule| rule.rule.as_str() == "base").unwrap();
    assert_eq!(base.steps, ["1999 x 1 / 100, floor per order = 19 points"]);
}

#[test]
fn a_guest_sees_what_a_member_would_get() {
    let world = World::new(BASE);
    let decision = world.preview("", &Command::Commit(commit(order_for("o", 500))), world.now);
    assert_eq!(told(&decision), ["base grants 5"]);
    let redeem =
        guerdon::domain::command::Commit { redeem: Some(pay(PayAmount::AllPossible)), ..commit(order_for("o", 500)) };
    let decision = world.preview("", &Command::Commit(redeem), world.now);
    assert_eq!(told(&decision), ["base grants 5", "no payment points: UnitNotPayable"]);
}
