//! What `guerdon check` finds suspicious: rules that can never apply, that others outdo, and that give back more than is
//! paid.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use guerdon::program;

/// The warnings of a program with these rules, each as `path: message`.
fn warnings(head: &str, rules: &[&str]) -> Vec<String> {
    let mut text = String::from(
        "guerdon: 1\nprogram: shop\ntitle: Shop\ntime_zone: Europe/London\ncurrencies: [GBP]\n\
         stores: {mill-lane: {}, quay: {}}\ncounters: {visits: {counts: visits, window: month}}\n\
         attributes: {age: int, vegan: bool}\n",
    );
    text.push_str(head);
    text.push_str("rules:\n");
    for (number, rule) in rules.iter().enumerate() {
        text.push_str(&format!("  - {{id: r{number}, kind: behavioural, on: order, {rule}}}\n"));
    }
    let checked = program::check(&text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    let shown = checked.warnings.list.iter().map(|warning| format!("{}: {}", warning.path, warning.message));
    shown.collect()
}

const BASE: &str = "then: {earn: {units: 1, per: GBP 1.00}}";

#[test]
fn e7_program_as_code_a_rule_that_can_never_apply_is_found() {
    // what the rule asks for, why it never applies; empty: it can
    #[rustfmt::skip]
    let rows = [
        ("expression: \"1 > 2\"", "its expression is never true"),
        ("expression: \"order.total > 5000 && order.total < 3000\"", "contradicts itself"),
        ("expression: \"order.total > 3000 && order.total < 5000\"", ""),
        ("expression: \"order.total > 4999 && order.total < 5000\"", "contradicts itself"),
        ("expression: \"order.total == 5 && order.total != 5\"", "contradicts itself"),
        ("expression: \"time.hour >= 24\"", "more than there can be"),
        ("expression: \"time.hour in [24, 25]\"", "more than there can be"),
        ("expression: \"time.hour in [23, 25]\"", ""),
        ("expression: \"order.line_count > 500\"", "more than there can be"),
        ("expression: \"order.total > 1000000000000\"", "more than there can be"),
        ("expression: \"member.orders < 0\"", "more than there can be"),
        ("expression: \"order.channel == 'web' && order.channel == 'app'\"", "contradicts itself"),
        ("expression: \"order.channel in ['web', 'app'] && order.channel != 'web' && order.channel != 'app'\"", "contradicts itself"),
        ("expression: \"!has(order.channel) && order.channel == 'web'\"", "contradicts itself"),
        ("expression: \"!has(order.channel) || order.channel == 'web'\"", ""),
        ("expression: \"'a' in order.coupons && !('a' in order.coupons)\"", "contradicts itself"),
        ("expression: \"'a' in order.coupons && !('b' in order.coupons)\"", ""),
        ("expression: \"member.attr.vegan && !member.attr.vegan\"", "contradicts itself"),
        ("expression: \"(time.hour < 6 || time.hour > 22) && time.hour > 8 && time.hour < 12\"", "contradicts itself"),
        ("expression: \"(time.hour < 6 || time.hour > 22) && time.hour > 8\"", ""),
        ("channels: [web], expression: \"order.channel == 'app'\"", "contradicts the other conditions"),
        ("channels: [web, app], expression: \"order.channel == 'app'\"", ""),
        ("stores: [quay], expression: \"order.store != 'quay'\"", "contradicts the other conditions"),
        ("spend_at_least: GBP 50.00, expression: \"order.earning < 5000\"", "contradicts the other conditions"),
        ("spend_at_least: GBP 50.00, expression: \"order.earning <= 5000\"", ""),
        ("order_number: {from: 5}, expression: \"member.orders < 4\"", "contradicts the other conditions"),
        ("order_number: {from: 5}, expression: \"member.orders <= 4\"", ""),
        ("order_number: {is: [1]}, expression: \"member.orders > 0\"", "contradicts the other conditions"),
        ("counters: {visits: {at_least: 3}}, expression: \"counter.visits < 3\"", "contradicts the other conditions"),
        ("member: {tags: [a]}, expression: \"!('a' in member.tags)\"", "contradicts itself"),
        ("member: {attributes: {age: [17]}}, expression: \"member.attr.age >= 18\"", "contradicts itself"),
        // 4 May 2026 is a Monday.
        ("starts_at: 2026-05-04T00:00, ends_at: 2026-05-09T00:00, hours: [{days: [sat], from: \"02:00\", until: \"23:00\", zone: program}]", "outside of"),
        ("starts_at: 2026-05-04T00:00, ends_at: 2026-05-09T02:01, hours: [{days: [sat], from: \"02:00\", until: \"23:00\", zone: program}]", ""),
        ("starts_at: 2026-05-04T00:00, ends_at: 2026-05-09T00:00, hours: [{days: [sun], from: \"22:00\", until: \"02:00\", zone: program}]", ""),
        ("starts_at: 2026-05-04T02:00, ends_at: 2026-05-09T00:00, hours: [{days: [sun], from: \"22:00\", until: \"02:00\", zone: program}]", "outside of"),
        // The clock of some store may be on Saturday already.
        ("starts_at: 2026-05-04T00:00, ends_at: 2026-05-09T00:00, hours: [{days: [sat], from: \"02:00\", until: \"23:00\"}]", ""),
        ("starts_at: 2026-05-04T00:00, ends_at: 2026-05-07T00:00, hours: [{days: [sat], from: \"02:00\", until: \"23:00\"}]", "outside of"),
        ("starts_at: 2026-05-04T00:00, ends_at: 2026-05-14T00:00, hours: [{days: [sat], from: \"02:00\", until: \"23:00\", zone: program}]", ""),
    ];
    let mut wrong = Vec::new();
    for (when, why) in rows {
        let found = warnings("", &[&format!("when: {{{when}}}, {BASE}")]);
        let as_told = match (why, found.as_slice()) {
            ("", found) => found.is_empty(),
            (why, [warning]) => warning.starts_with("rules[0]: rule `r0` never applies") && warning.contains(why),
            _ => false,
        };
        if !as_told {
            wrong.push(format!("{when}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn e7_program_as_code_an_expression_that_is_always_true_is_found() {
    let found = warnings("", &[&format!("when: {{expression: \"2 > 1 || order.total > 5\"}}, {BASE}")]);
    assert_eq!(found, ["rules[0]: the expression of rule `r0` is always true"]);
}

#[test]
fn e7_program_as_code_a_multiplier_that_others_outdo_is_found() {
    // two multipliers, what is said of one of them
    #[rustfmt::skip]
    let rows = [
        ("then: {multiply: {by: 3}}", "then: {multiply: {by: 2}}", "rules[2]: rule `r2` never does anything: wherever it applies, rule `r1`"),
        ("then: {multiply: {by: 2}}", "then: {multiply: {by: 3}}", "rules[1]: rule `r1` never does anything: wherever it applies, rule `r2`"),
        ("then: {multiply: {by: 2}}", "then: {multiply: {by: 2}}", "rules[2]: rule `r2` never does anything"),
        ("then: {multiply: {by: 2}}", "when: {channels: [web]}, then: {multiply: {by: 3}}", ""),
        ("then: {multiply: {by: 3}}", "when: {channels: [web]}, then: {multiply: {by: 2}}", "rules[2]: rule `r2` never does anything"),
        ("when: {channels: [web, app]}, then: {multiply: {by: 3}}", "when: {channels: [web]}, then: {multiply: {by: 2}}", "rules[2]"),
        ("when: {channels: [app]}, then: {multiply: {by: 3}}", "when: {channels: [web]}, then: {multiply: {by: 2}}", ""),
        ("lines: {categories: [tea]}, then: {multiply: {by: 3}}", "then: {multiply: {by: 2}}", ""),
        ("lines: {categories: [tea, jam]}, then: {multiply: {by: 3}}", "lines: {categories: [tea]}, then: {multiply: {by: 2}}", "rules[2]"),
        ("lines: {exclude: {skus: [a]}}, then: {multiply: {by: 3}}", "then: {multiply: {by: 2}}", ""),
        ("when: {spend_at_least: GBP 5}, then: {multiply: {by: 3}}", "when: {spend_at_least: GBP 9}, then: {multiply: {by: 2}}", "rules[2]"),
        ("when: {spend_at_least: GBP 9}, then: {multiply: {by: 3}}", "when: {spend_at_least: GBP 5}, then: {multiply: {by: 2}}", ""),
        ("when: {member: {tags: [a]}}, then: {multiply: {by: 3}}", "when: {member: {tags: [a], segments: [b]}}, then: {multiply: {by: 2}}", "rules[2]"),
        ("when: {member: {tags: [a]}}, then: {multiply: {by: 3}}", "when: {member: {segments: [b]}}, then: {multiply: {by: 2}}", ""),
        ("when: {ends_at: 2026-05-09T00:00}, then: {multiply: {by: 3}}", "when: {ends_at: 2026-05-08T00:00}, then: {multiply: {by: 2}}", "rules[2]"),
        ("when: {ends_at: 2026-05-09T00:00}, then: {multiply: {by: 3}}", "then: {multiply: {by: 2}}", ""),
        // As much, at times that overlap.
        ("when: {hours: [{from: \"08:00\", until: \"12:00\"}]}, then: {multiply: {by: 2}}", "when: {hours: [{from: \"11:00\", until: \"14:00\"}]}, then: {multiply: {by: 2}}", "rules[2]: rule `r2` overlaps rule `r1`"),
        ("when: {hours: [{from: \"08:00\", until: \"12:00\"}]}, then: {multiply: {by: 2}}", "when: {hours: [{from: \"12:00\", until: \"14:00\"}]}, then: {multiply: {by: 2}}", ""),
        ("when: {hours: [{from: \"08:00\", until: \"12:00\"}]}, then: {multiply: {by: 2}}", "when: {hours: [{from: \"11:00\", until: \"14:00\"}]}, then: {multiply: {by: 3}}", ""),
        ("when: {ends_at: 2026-05-09T00:00}, then: {multiply: {by: 2}}", "when: {starts_at: 2026-05-08T00:00}, then: {multiply: {by: 2}}", "rules[2]: rule `r2` overlaps rule `r1`"),
        ("when: {ends_at: 2026-05-09T00:00}, then: {multiply: {by: 2}}", "when: {starts_at: 2026-05-09T00:00}, then: {multiply: {by: 2}}", ""),
    ];
    let mut wrong = Vec::new();
    for (first, second, expected) in rows {
        let found = warnings("", &[BASE, first, second]);
        let as_told = match found.as_slice() {
            [] => expected.is_empty(),
            [warning] => !expected.is_empty() && warning.starts_with(expected),
            _ => false,
        };
        if !as_told {
            wrong.push(format!("{first} | {second}: {found:?}"));
        }
        // Where multipliers add up, each does something.
        assert!(warnings("earning: {multipliers: add}\n", &[BASE, first, second]).is_empty());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn e7_program_as_code_cost_without_bound_is_found() {
    let penny = "pay_with: {points: {units: 100, worth: GBP 1.00}}\n";
    // the head, the rules, what is said
    #[rustfmt::skip]
    let rows = [
        (penny, vec![BASE], ""),
        (penny, vec!["then: {earn: {units: 100, per: GBP 1.00}}"], ""),
        (penny, vec!["then: {earn: {units: 101, per: GBP 1.00}}"], "rules[0]: rule `r0` gives back 101% of what is paid, in GBP"),
        ("", vec!["then: {earn: {units: 101, per: GBP 1.00}}"], ""),
        (penny, vec!["then: {earn: {units: 50, per: GBP 1.00}}", "then: {multiply: {by: 2}}"], ""),
        (penny, vec!["then: {earn: {units: 50, per: GBP 1.00}}", "then: {multiply: {by: 2.5}}"], "rules[1]: rule `r1` makes up to 125%"),
        (penny, vec!["then: {bonus: {units: 500}}"], "rules[0]: rule `r0` gives 500 points for every order"),
        (penny, vec!["when: {spend_at_least: GBP 5.00}, then: {bonus: {units: 500}}"], ""),
        (penny, vec!["when: {spend_at_least: GBP 4.99}, then: {bonus: {units: 500}}"], "it asks for less"),
        (penny, vec!["when: {order_number: {is: [1]}}, then: {bonus: {units: 500}}"], ""),
        (penny, vec!["when: {order_number: {every: 5}}, then: {bonus: {units: 500}}"], "rule `r0` gives 500"),
        ("", vec!["then: {bonus: {units: 500}}"], ""),
    ];
    let mut wrong = Vec::new();
    for (head, rules, expected) in rows {
        let found = warnings(head, &rules);
        let as_told = match found.as_slice() {
            [] => expected.is_empty(),
            [warning] => !expected.is_empty() && warning.contains(expected),
            _ => false,
        };
        if !as_told {
            wrong.push(format!("{rules:?}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let adding = [
        "then: {earn: {units: 40, per: GBP 1.00}}",
        "then: {multiply: {by: 2}}",
        "when: {channels: [web]}, then: {multiply: {by: 2}}",
    ];
    assert!(warnings(penny, &adding[..2]).is_empty());
    let found = warnings(&format!("earning: {{multipliers: add}}\n{penny}"), &adding);
    assert!(found.len() == 1 && found[0].starts_with("rules[2]: rule `r2` makes up to 120%"), "{found:?}");
}

#[test]
fn e7_program_as_code_a_rule_behind_one_that_stops_is_found() {
    let stop = "combine: {stop: true}";
    for (rules, found) in [
        ([format!("{BASE}, {stop}"), BASE.to_owned()], "rules[1]: rule `r1` is never considered: rule `r0` applies to"),
        ([format!("{BASE}, {stop}"), format!("{BASE}, combine: {{priority: 1}}")], ""),
        ([format!("{BASE}, {stop}, when: {{channels: [web]}}"), BASE.to_owned()], ""),
        ([BASE.to_owned(), format!("{BASE}, {stop}")], ""),
    ] {
        let told = warnings("", &rules.each_ref().map(String::as_str));
        let expected = if found.is_empty() { told.is_empty() } else { told.len() == 1 && told[0].starts_with(found) };
        assert!(expected, "{rules:?}: {told:?}");
    }
}

#[test]
fn e7_program_as_code_what_a_limit_bounds_costs_within_bounds() {
    let head = "pay_with: {points: {units: 1, worth: GBP 1.00}}\n";
    let steep = "then: {earn: {units: 2, per: GBP 1.00}}";
    assert_eq!(warnings(head, &[steep]).len(), 1);
    assert_eq!(warnings(head, &[&format!("{steep}, limits: [{{units: 100, per: month}}]")]), Vec::<String>::new());
    let capped = format!("{head}unit_limits: {{points: {{balance_max: 500}}}}\n");
    assert_eq!(warnings(&capped, &[steep]), Vec::<String>::new());
}
