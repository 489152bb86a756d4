//! Conditions beyond lines and hours: typed selectors and expressions on order, member and time.

use guerdon::domain::account::AttributeValue;
use guerdon::domain::answer::{Effect, ExplainCondition};
use guerdon::domain::command::{Command, Enroll, ProfileChange};
use guerdon::domain::decide::Decision;
use guerdon::domain::id::MemberId;
use guerdon::domain::order::{Currency, Order, OrderKind};
use guerdon::domain::referral::signal::Signals;

use super::kit::*;

/// One rule that grants 100 under a condition.
fn under(when: &str) -> World {
    World::new(&format!(
        "
stores: {{mill-lane: {{}}, ginza: {{time_zone: Asia/Tokyo}}}}
counters: {{visits: {{counts: visits, window: month}}}}
rules:
  - {{id: asked, kind: behavioural, on: order, when: {when}, then: {{bonus: {{units: 100}}}}}}
"
    ))
    .with("mia", 50)
}

fn expression(text: &str) -> World {
    under(&format!("{{expression: {text:?}}}"))
}

fn applied(decision: &Decision) -> bool {
    let decided = decided(&decision.answer);
    decided.effects.iter().any(|effect| matches!(effect, Effect::Granted(granted) if granted.rule.as_str() == "asked"))
}

/// 30.00 in three lines and four items, in a store, in the web shop, with a coupon, by card.
fn full() -> Order {
    let lines = vec![
        of_category("tea", of_sku("TEA-1", line("1", 1_000))),
        of_category("tea", of_brand("Marlow", items(2, line("2", 1_500)))),
        line("3", 500),
    ];
    Order {
        channel: Some(label("web")),
        store: Some(label("mill-lane")),
        kind: OrderKind::Renewal,
        coupons: vec![label("SPRING")],
        payment_methods: vec![label("card"), label("voucher")],
        ..order("o", lines)
    }
}

fn bare() -> Order {
    order_for("o", 3_000)
}

#[test]
fn a11_conditions_an_expression_looks_at_order_member_and_time() {
    // The order is made on Friday 15 May 2026 at 10:30 in UTC.
    #[rustfmt::skip]
    let rows = [
        // expression, with the full order, with one that says little
        ("order.total >= 3000", true, true),
        ("order.total > 3000", false, false),
        ("order.total == 3000 && order.earning == 3000", true, true),
        ("order.quantity == 4", true, false),
        ("order.line_count in [2, 3]", true, false),
        ("order.channel == 'web'", true, false),
        ("order.channel != 'web'", false, false), // what is missing is not different either
        ("!(order.channel == 'app')", true, false),
        ("has(order.channel)", true, false),
        ("!has(order.channel)", false, true),
        ("!has(order.channel) || order.channel == 'web'", true, true),
        ("order.channel == 'web' || order.total > 0", true, true), // true, whatever the unknown is
        ("order.channel in ['app', 'web']", true, false),
        ("order.channel.startsWith('w') && order.channel.endsWith('b') && order.channel.contains('e')", true, false),
        ("order.store == 'mill-lane'", true, false),
        ("order.currency == 'GBP'", true, true),
        ("order.kind == 'renewal'", true, false),
        ("'SPRING' in order.coupons", true, false),
        ("order.coupons.contains('SPRING')", true, false),
        ("!('SPRING' in order.coupons)", false, true),
        ("size(order.coupons) == 0", false, true),
        ("has(order.coupons)", true, false),
        ("'card' in order.payment_methods && size(order.payment_methods) == 2", true, false),
        ("'tea' in order.categories && order.categories.size() == 2", true, false),
        ("'TEA-1' in order.skus || 'Marlow' in order.brands", true, false),
        ("order.channel in order.categories", false, false),
        ("time.hour == 10 && time.minute == 30 && time.weekday == 'fri'", true, true),
        ("time.day == 15 && time.month == 5 && time.year == 2026", true, true),
        ("time.weekday in ['sat', 'sun']", false, false),
        ("member.orders == 0", true, true),
        ("member.orders % 2 == 0 && 7 / 2 == 3", true, true),
        ("member.days_since_joined >= 10 && member.days_since_joined < 11", true, true),
        ("counter.visits == 1", true, true),
        ("balance.points == 50", true, true),
        ("balance['points'] * 2 - 1 == 99", true, true),
        ("-balance.points + 50 == 0", true, true),
        // Sums that leave 64 bits, and divisions by what turns out to be zero, cannot be told.
        ("order.total * 9223372036854775807 > 0", false, false),
        ("!(order.total * 9223372036854775807 > 0)", false, false),
        ("order.total / member.orders > 0", false, false),
        ("order.total / member.orders > 0 || order.total > 0", true, true),
        ("true", true, true),
        ("(order.total > 0) == true", true, true),
        ("(order.total > 0) != true", false, false),
    ];
    for (text, of_full, of_bare) in rows {
        for (order, expected) in [(full(), of_full), (bare(), of_bare)] {
            let mut world = expression(text).on("2026-05-15T10:30:00Z");
            let decision = world.commit("mia", commit(order));
            assert_eq!(applied(&decision), expected, "{text}");
        }
    }
}

#[test]
fn a11_conditions_status_is_what_the_account_had_come_to_before() {
    const CLUB: &str = "
counters: {orders: {counts: orders}}
tiers: {vip: {counter: orders, levels: [{id: blue, title: B, at_least: 1}, {id: gold, title: G, at_least: 3}]}}
goals: [{id: third, title: T, counter: orders, at_least: 3}]
rewards: [{id: mug, title: Mug, gives: {amount_off: GBP 1.00}}]
stamp_cards: [{id: coffee, title: C, goal: 3, reward: mug, start_stamps: 1}]
rules:
  - {id: stamp, kind: transactional, on: order, then: {stamps: {card: coffee}}}
";
    // Of the first to the fourth order, those at which it holds.
    for (expression, holds) in [
        ("!has(tier.vip)", [true, false, false, false]),
        ("tier.vip == 'blue'", [false, true, true, false]),
        ("tier.vip in ['gold']", [false, false, false, true]),
        ("goal.third == 0", [true, true, true, false]),
        ("goal.third == 1", [false, false, false, true]),
        // Two stamps fill a card that begins with one.
        ("stamps.coffee == 2", [false, true, false, true]),
        ("stamps.coffee == 0", [true, false, true, false]),
        ("vouchers.mug == 1", [false, false, true, true]),
    ] {
        let rule = format!(
            "  - {{id: asked, kind: transactional, on: order, when: {{expression: \"{expression}\"}}, then: {{bonus: {{units: 1}}}}}}\n"
        );
        let mut world = World::new(&format!("{CLUB}{rule}")).with("mia", 0);
        let found =
            ["a", "b", "c", "d"].map(|id| grants(&world.buy("mia", order_for(id, 100))) == [("asked".into(), 1)]);
        assert_eq!(found, holds, "{expression}");
    }
}

#[test]
fn a11_conditions_time_is_told_by_the_clock_of_the_store() {
    let mut world = expression("time.hour == 7 && time.weekday == 'sat'").on("2026-05-15T22:30:00Z");
    let order = Order { store: Some(label("ginza")), ..bare() };
    assert!(applied(&world.commit("mia", commit(order))));
}

#[test]
fn a11_conditions_typed_selectors_on_currency_coupon_and_payment_method() {
    for (when, of_full, of_bare) in [
        ("{currencies: [GBP]}", true, true),
        ("{order_kinds: [renewal]}", true, false),
        ("{order_kinds: [ordinary, first]}", false, true),
        ("{coupons: [SUMMER, SPRING]}", true, false),
        ("{coupons: [SUMMER]}", false, false),
        ("{payment_methods: [card]}", true, false),
        ("{payment_methods: [invoice], coupons: [SPRING]}", false, false),
        ("{currencies: [GBP], coupons: [SPRING], expression: order.quantity >= 4}", true, false),
    ] {
        for (order, expected) in [(full(), of_full), (bare(), of_bare)] {
            let decision = under(when).on("2026-05-15T10:30:00Z").commit("mia", commit(order));
            assert_eq!(applied(&decision), expected, "{when}");
        }
    }
    for (currency, expected) in [("GBP", false), ("EUR", true)] {
        let mut world = World::new(
            "
currencies: [GBP, EUR]
rules:
  - {id: asked, kind: behavioural, on: order, when: {currencies: [EUR]}, then: {bonus: {units: 100}}}
",
        )
        .with("mia", 0);
        let order = Order { currency: Currency::parse(currency).expect("a currency"), ..bare() };
        assert_eq!(applied(&world.commit("mia", commit(order))), expected, "{currency}");
    }
}

#[test]
fn a11_conditions_an_expression_holds_for_who_enrols() {
    for (text, expected) in [("time.month == 5", 100), ("time.month == 6", 0)] {
        let mut world = World::new(&format!(
            "
rules:
  - {{id: asked, kind: emotional, on: enrolment, when: {{expression: {text}}}, then: {{bonus: {{units: 100}}}}}}
"
        ))
        .on("2026-05-15T10:30:00Z");
        let decision = world.enrol("leo", &[]);
        assert_eq!(applied(&decision), expected == 100, "{text}");
    }
}

#[test]
fn a11_conditions_typed_selectors_and_names_of_the_member() {
    let profile = |tags: &[&str], attributes: &[(&str, AttributeValue)]| ProfileChange {
        add_tags: tags.iter().map(|tag| label(tag)).collect(),
        add_segments: vec![label("loyal")],
        set_attributes: attributes.iter().map(|(name, value)| (label(name), value.clone())).collect(),
        ..ProfileChange::default()
    };
    let known = profile(
        &["vip", "press"],
        &[
            ("age", AttributeValue::Int(41)),
            ("vegan", AttributeValue::Bool(true)),
            ("home-town", AttributeValue::Text("Ely".into())),
        ],
    );
    let blank = ProfileChange::default();
    for (when, of_known, of_blank) in [
        ("{member: {tags: [vip, staff]}}", true, false),
        ("{member: {tags: [staff]}}", false, false),
        ("{member: {without_tags: [staff]}}", true, true),
        ("{member: {without_tags: [staff, press]}}", false, true),
        ("{member: {segments: [loyal]}}", true, false),
        ("{member: {attributes: {age: [40, 41]}}}", true, false),
        ("{member: {attributes: {age: [40], vegan: [true]}}}", false, false),
        ("{member: {attributes: {vegan: [true], home-town: [Ely, Wells]}}}", true, false),
        ("{expression: \"'vip' in member.tags && member.attr.age >= 18\"}", true, false),
        ("{expression: \"!('vip' in member.tags)\"}", false, true),
        ("{expression: \"member.attr.vegan\"}", true, false),
        ("{expression: \"!member.attr.vegan\"}", false, false),
        ("{expression: \"member.attr['home-town'] == 'Ely' && size(member.segments) == 1\"}", true, false),
        ("{expression: \"!has(member.attr.age)\"}", false, true),
        // Enrolled at noon on 4 May; it is noon on 4 June.
        ("{member: {joined_at_least: 1 month}}", true, true),
        ("{member: {joined_at_least: 32 days}}", false, false),
        ("{member: {joined_at_most: 31 days}}", true, true),
        ("{member: {joined_at_most: 30 days}}", false, false),
        ("{expression: member.days_since_joined == 31}", true, true),
    ] {
        for (profile, expected) in [(&known, of_known), (&blank, of_blank)] {
            let mut world = World::new(&format!(
                "
attributes: {{age: int, vegan: bool, home-town: text}}
rules:
  - {{id: asked, kind: behavioural, on: order, when: {when}, then: {{bonus: {{units: 100}}}}}}
"
            ));
            let member = MemberId::parse("mia").expect("an id");
            world.decide(
                "mia",
                Command::Enroll(Enroll {
                    member,
                    codes: Vec::new(),
                    profile: profile.clone(),
                    visitor: None,
                    signals: Signals::None,
                }),
            );
            world.go("2026-06-04");
            let decision = world.commit("mia", commit(bare()));
            assert_eq!(applied(&decision), expected, "{when}");
        }
    }
}

#[test]
fn a11_conditions_what_is_known_from_the_start_counts_on_enrolment() {
    for (tag, expected) in [("press", true), ("staff", false)] {
        let mut world = World::new(
            "
rules:
  - {id: asked, kind: emotional, on: enrolment, when: {member: {tags: [press]}}, then: {bonus: {units: 100}}}
",
        );
        let profile = ProfileChange { add_tags: vec![label(tag)], ..ProfileChange::default() };
        let member = MemberId::parse("mia").expect("an id");
        let decision = world.decide(
            "mia",
            Command::Enroll(Enroll { member, codes: Vec::new(), profile, visitor: None, signals: Signals::None }),
        );
        assert_eq!(applied(&decision), expected, "{tag}");
    }
}

#[test]
fn a11_conditions_a_quote_says_what_the_commit_does() {
    let mut world = expression("order.total >= 3000 && balance.points >= 50").on("2026-05-15T10:30:00Z");
    let command = Command::Commit(commit(bare()));
    let quote = world.preview("mia", &command, world.times().effective_at);
    assert!(applied(&quote));
    assert!(applied(&world.decide("mia", command)));
}

#[test]
fn a11_conditions_the_trace_names_each_part_with_what_it_found() {
    let mut world = expression(
        "order.total >= 5000 && order.channel in ['app', 'web'] && !('tea' in order.categories) && \
         (has(order.store) || member.orders + 1 > 2) && 4 < order.quantity && order.channel.startsWith('x')",
    )
    .on("2026-05-15T10:30:00Z");
    let mut asked = commit(full());
    asked.explain = true;
    let decision = world.commit("mia", asked);
    let explain = decided(&decision.answer).explain.expect("it was asked for");
    let conditions = &explain.rules[0].conditions;
    let found: Vec<(&str, bool, &str, &str)> = conditions
        .iter()
        .map(|ExplainCondition { condition, met, actual, required, .. }| {
            (condition.as_str(), *met, actual.as_str(), required.as_str())
        })
        .filter(|(condition, ..)| *condition != "lines")
        .collect();
    assert_eq!(
        found,
        [
            ("order.total >= 5000", false, "3000", "at least 5000"),
            ("order.channel in ['app', 'web']", true, "web", "one of ['app', 'web']"),
            ("!('tea' in order.categories)", false, "tea", "without tea"),
            ("has(order.store) || member.orders + 1 > 2", true, "true", "true"),
            ("has(order.store)", true, "mill-lane", "anything"),
            ("member.orders + 1 > 2", false, "1", "more than 2"),
            ("4 < order.quantity", false, "4", "more than 4"),
            ("order.channel.startsWith('x')", false, "web", "begins with x"),
        ]
    );
    assert!(!explain.rules[0].applied);
}
