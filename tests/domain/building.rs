//! What rules give on top of what other rules give, when limits leave less of that.

use guerdon::domain::account::VoucherState;
use guerdon::domain::command::Commit;
use guerdon::domain::order::Order;

use super::kit::*;

/// What an order grants, and what it is refused.
fn order_of(world: &mut World, id: &str, amount: i64) -> Vec<String> {
    told(&world.buy("mia", order_for(id, amount)))
}

const TIER: &str = "
counters: {n: {counts: orders}}
tiers: {club: {counter: n, levels: [{id: all, title: All, at_least: 0, multiply: {points: 2}}]}}
";

/// A base of one for each pound, with what bounds it, and a level that doubles it.
fn bounded(bound: &str) -> String {
    format!(
        "{TIER}rules:\n  - {{id: base, kind: transactional, on: order, then: {{earn: {{units: 1, per: GBP 1.00}}}}, {bound}}}\n"
    )
}

#[test]
fn a6_a_multiplier_multiplies_what_a_limit_has_left_of_the_base_and_not_what_was_planned() {
    let limit = "limits: [{units: 10, per: day}]";
    let mut world = World::new(&bounded(limit)).with("mia", 0);
    let first = order_of(&mut world, "o1", 10_000);
    assert_eq!(first[..2], ["base grants 10", "club/all/points grants 10"], "{first:?}");
    let second = order_of(&mut world, "o2", 10_000);
    assert!(second.iter().all(|what| !what.contains("grants")), "{second:?}");
    assert_eq!(world.has("mia"), "available 20");
    // Refused as a whole, it is no base either; a bonus on top of it has nothing to be on top of.
    let refused = format!(
        "{}  - {{id: top, kind: behavioural, on: order, then: {{bonus: {{units: 7, needs_base: true}}}}}}\n",
        bounded("limits: [{units: 10, per: day, on_reach: refuse}]")
    );
    let mut world = World::new(&refused).with("mia", 0);
    let first = order_of(&mut world, "o1", 1_100);
    assert!(first.iter().all(|what| !what.contains("grants")), "{first:?}");
    let second = order_of(&mut world, "o2", 900);
    assert_eq!(second, ["base grants 9", "top grants 7", "club/all/points grants 9"]);
    // A pause is a limit too.
    let mut world = World::new(&bounded("cool_down: 7 days")).with("mia", 0);
    assert_eq!(order_of(&mut world, "o1", 200), ["base grants 2", "club/all/points grants 2"]);
    let second = order_of(&mut world, "o2", 200);
    assert!(second.iter().all(|what| !what.contains("grants")), "{second:?}");
}

#[test]
fn a6_a_multiplier_follows_its_base_also_where_a_campaign_or_a_group_bounds_it() {
    let sections = format!(
        "{TIER}campaigns: [{{id: may, title: May, limits: [{{units: 10, per: day}}]}}]
groups: {{g: {{limits: [{{units: 4, per: day}}]}}}}
rules:
  - {{id: base, kind: transactional, on: order, campaign: may, then: {{earn: {{units: 1, per: GBP 1.00}}}}}}
  - {{id: more, kind: transactional, on: order, combine: {{group: g}}, then: {{earn: {{units: 1, per: GBP 2.00}}}}}}
"
    );
    let mut world = World::new(&sections).with("mia", 0);
    let granted = order_of(&mut world, "o1", 10_000);
    assert_eq!(granted[..2], ["base grants 10", "more grants 4"], "{granted:?}");
    assert!(granted.contains(&"club/all/points grants 14".to_owned()), "{granted:?}");
}

#[test]
fn a6_what_was_cut_and_multiplied_comes_back_whole() {
    let mut world = World::new(&bounded("limits: [{units: 10, per: day}]")).with("mia", 0);
    world.buy("mia", order("o", vec![items(3, line("a", 10_000)), line("b", 3_333)]));
    assert_eq!(world.has("mia"), "available 20");
    for part in ["r1", "r2", "r3"] {
        world
            .give_back("mia", returned("o", part, guerdon::domain::command::ReturnWhat::Lines(vec![quantity("a", 1)])));
    }
    world.give_back("mia", everything("o", "r4"));
    assert_eq!(world.has("mia"), "nothing");
}

#[test]
fn a12_a_multiplier_at_its_limit_leaves_the_line_to_the_next() {
    let rules = "
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: triple, kind: behavioural, on: order, then: {multiply: {by: 3}}, limits: [{times: 1, per: day}]}
  - {id: double, kind: behavioural, on: order, then: {multiply: {by: 2}}}
";
    let mut world = World::new(rules).with("mia", 0);
    assert_eq!(order_of(&mut world, "o1", 1_000), ["base grants 10", "triple grants 20"]);
    let second = order_of(&mut world, "o2", 1_000);
    assert_eq!(
        second.iter().filter(|what| what.contains("grants")).collect::<Vec<_>>(),
        ["base grants 10", "double grants 10"]
    );
}

#[test]
fn a12_a_rule_that_pauses_or_is_at_its_limit_keeps_nobody_out() {
    for (groups, first_of, other) in [
        ("groups: {g: {pick: first}}", "combine: {group: g, priority: 2}", "combine: {group: g}"),
        ("groups: {g: {pick: best}}", "combine: {group: g}", "combine: {group: g}"),
        ("", "combine: {exclusive: true, priority: 2}", "combine: {}"),
        ("", "combine: {stop: true, priority: 2}", "combine: {}"),
    ] {
        for bound in ["cool_down: 7 days", "limits: [{times: 1, per: day}]", "limits: [{units: 30, on_reach: refuse}]"]
        {
            let sections = format!(
                "{groups}
rules:
  - {{id: big, kind: transactional, on: order, {first_of}, {bound}, then: {{bonus: {{units: 20}}}}}}
  - {{id: small, kind: transactional, on: order, {other}, then: {{bonus: {{units: 5}}}}}}
"
            );
            let mut world = World::new(&sections).with("mia", 0);
            let grants = |what: Vec<String>| what.into_iter().filter(|w| w.contains("grants")).collect::<Vec<_>>();
            assert_eq!(grants(order_of(&mut world, "o1", 1_000)), ["big grants 20"], "{sections}");
            assert_eq!(grants(order_of(&mut world, "o2", 1_000)), ["small grants 5"], "{sections}");
        }
    }
}

#[test]
fn b10_a_level_that_multiplies_two_units_makes_two_grants_of_different_names() {
    let sections = "
units: {p: {}, s: {}}
counters: {n: {counts: orders}}
tiers: {club: {counter: n, levels: [{id: b, title: B, at_least: 0, multiply: {p: 2, s: 2}}]}}
rules:
  - {id: club.b, kind: transactional, on: order, then: {earn: {units: 1, unit: p, per: GBP 1.00}}}
  - {id: s, kind: transactional, on: order, then: {earn: {units: 3, unit: s, per: GBP 1.00}}}
";
    let mut world = World::new(sections).with("mia", 0);
    let decision = world.buy("mia", order_for("o", 1_000));
    let mut names: Vec<String> = decided(&decision.answer)
        .effects
        .iter()
        .filter_map(|effect| match effect {
            guerdon::domain::answer::Effect::Granted(granted) => Some(granted.grant.to_string()),
            _ => None,
        })
        .collect();
    names.sort();
    assert_eq!(names, ["o:club.b", "o:club/b/p", "o:club/b/s", "o:s"]);
}

/// Order `a` brings a voucher, order `b` uses it.
fn with_voucher_used() -> World {
    let sections = "
rewards: [{id: free, title: Free, by: voucher, gives: {amount_off: GBP 1.00}}]
rules:
  - {id: v, kind: behavioural, on: order, when: {spend_at_least: GBP 40.00}, then: {voucher: {reward: free}}}
";
    let mut world = World::new(sections).with("mia", 0);
    world.buy("mia", order_for("a", 4_000));
    let voucher = world.accounts[&account("mia")].vouchers[0].voucher.clone();
    let redeem = guerdon::domain::command::Redeem { vouchers: vec![voucher], ..as_possible(rewards(&[])) };
    let used: Order = order_for("b", 1_000);
    world.commit("mia", Commit { redeem: Some(redeem), ..commit(used) });
    world
}

#[test]
fn c8_a_voucher_that_a_returned_order_brought_does_not_come_back_whichever_order_comes_back_first() {
    for sequence in [["a", "b"], ["b", "a"]] {
        let mut world = with_voucher_used();
        for order in sequence {
            world.give_back("mia", everything(order, "r"));
        }
        let vouchers = &world.accounts[&account("mia")].vouchers;
        assert_eq!(vouchers.iter().map(|v| v.state).collect::<Vec<_>>(), [VoucherState::Cancelled], "{sequence:?}");
    }
    // Without the return of the order that brought it, it comes back.
    let mut world = with_voucher_used();
    world.give_back("mia", everything("b", "r"));
    assert_eq!(world.accounts[&account("mia")].vouchers[0].state, VoucherState::Issued);
}
