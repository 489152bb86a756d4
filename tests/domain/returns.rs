//! What comes back.

use guerdon::domain::answer::{OrderState, ReturnStatus};
use guerdon::domain::command::{Commit, Measure, Return, ReturnCause, ReturnWhat};
use guerdon::domain::id::LineId;
use guerdon::domain::order::Order;

use super::kit::*;

const PAY: &str = "pay_with: {points: {units: 100, worth: GBP 1.00, step: 1}}\n";

fn lines(parts: Vec<(LineId, Measure)>) -> ReturnWhat {
    ReturnWhat::Lines(parts)
}

/// Three of one thing for 10.00, and something weighed for 3.33 that counts no items.
fn basket(id: &str) -> Order {
    order(id, vec![items(3, line("a", 1_000)), items(0, line("w", 333))])
}

#[test]
fn c8_each_part_reverses_what_falls_on_it() {
    let mut world = World::new(BASE).with("mia", 0);
    world.buy("mia", basket("o"));
    assert_eq!(world.has("mia"), "available 13");
    for (id, what, expected, left, money) in [
        // 10 points fall on `a` and 3 on `w`.
        ("r1", vec![quantity("a", 1)], vec!["o:base loses 3"], "available 10", 333),
        ("r2", vec![amount("w", 100)], vec![], "available 10", 100),
        ("r3", vec![amount("w", 11), quantity("a", 1)], vec!["o:base loses 4"], "available 6", 344),
        ("r4", vec![amount("w", 222), quantity("a", 1)], vec!["o:base loses 6"], "nothing", 556),
    ] {
        let decision = world.give_back("mia", returned("o", id, lines(what)));
        assert_eq!(told(&decision), expected, "{id}");
        assert_eq!(world.has("mia"), left, "{id}");
        assert_eq!(refund(&decision).money_minor, money, "{id}");
    }
    assert_eq!(world.order("o").state, OrderState::Returned);
}

#[test]
fn c8_what_cannot_come_back_is_refused_in_this_order() {
    let mut world = World::new(BASE).with("mia", 0).with("ben", 0);
    world.buy("mia", basket("o"));
    world.give_back("mia", returned("o", "r1", lines(vec![quantity("a", 1)])));
    let cancel = Return { cause: ReturnCause::Cancel, ..returned("o", "r9", lines(vec![quantity("b", 1)])) };
    for (what, expected) in [
        (everything("x", "r"), "no order: OrderUnknown"),
        (returned("o", "r1", lines(vec![quantity("a", 2)])), "no return: ReturnDiffers"),
        (returned("o", "r", lines(vec![quantity("b", 1)])), "no line b: LineUnknown"),
        (returned("o", "r", lines(vec![amount("a", 1)])), "no line a: MixedMeasure"),
        (returned("o", "r", lines(vec![quantity("a", 3)])), "no line a: MoreThanLeft, asks 3, has 2"),
        (returned("o", "r", lines(vec![quantity("w", 1)])), "no line w: MoreThanLeft, asks 1, has 0"),
        (returned("o", "r", lines(vec![amount("w", 334)])), "no line w: MoreThanLeft, asks 334, has 333"),
    ] {
        let decision = world.give_back("mia", what.clone());
        assert_eq!(told(&decision), [expected], "{what:?}");
        assert_eq!(gave_back(&decision).status, ReturnStatus::Refused);
    }
    // A cancellation takes everything, whatever lines it names.
    world.give_back("mia", cancel);
    assert_eq!(world.order("o").state, OrderState::Cancelled);
    assert_eq!(world.has("mia"), "nothing");
    assert_eq!(told(&world.give_back("mia", everything("o", "r"))), ["no return: NothingLeft"]);
    // The same return again, even then.
    let again = world.give_back("mia", returned("o", "r1", lines(vec![quantity("a", 1)])));
    assert_eq!(gave_back(&again).status, ReturnStatus::AlreadyApplied);
    assert_eq!(refund(&again).money_minor, 333);
    assert!(again.entries.is_empty());
}

/// A line without items and amount cannot be named: it kept an order from ever being returned line by line.
#[test]
fn c8_an_empty_line_does_not_keep_an_order_open() {
    let mut world = World::new(BASE).with("mia", 0);
    world.buy("mia", order("o", vec![line("a", 1_000), items(0, line("note", 0))]));
    world.give_back("mia", returned("o", "r", lines(vec![quantity("a", 1)])));
    assert_eq!(world.order("o").state, OrderState::Returned);
}

#[test]
fn c8_a_free_item_comes_back_for_nothing() {
    let mut world = World::new(BASE).with("mia", 0);
    world.buy("mia", order("o", vec![line("a", 1_000), items(2, line("gift", 0))]));
    let decision = world.give_back("mia", returned("o", "r1", lines(vec![quantity("gift", 2)])));
    assert_eq!(refund(&decision).money_minor, 0);
    assert_eq!(told(&decision), Vec::<String>::new());
    assert_eq!(world.order("o").state, OrderState::PartiallyReturned);
}

#[test]
fn c8_units_that_are_gone_become_debt_or_are_forgiven() {
    for (policy, reversed, after, next) in [
        ("debt", "o:base loses 10, debt 10", "debt 10", "available 5"),
        ("forgive", "o:base loses 10, forgiven 10", "nothing", "available 15"),
    ] {
        let mut world = World::new(&format!("returns: {{shortfall: {policy}}}\n{PAY}{BASE}")).with("mia", 0);
        world.buy("mia", order_for("o", 1_000));
        world.adjust("mia", -10, None);
        assert_eq!(told(&world.give_back("mia", everything("o", "r"))), [reversed], "{policy}");
        assert_eq!(world.has("mia"), after, "{policy}");
        world.buy("mia", order_for("o2", 1_500));
        assert_eq!(world.has("mia"), next, "{policy}");
    }
}

/// A grant of which part repaid a debt is taken back whole: what repaid the debt is owed again.
#[test]
fn c8_a_grant_that_repaid_a_debt_comes_back_whole() {
    let mut world = World::new(BASE).with("mia", 0);
    world.buy("mia", order_for("o1", 1_000));
    world.adjust("mia", -10, None);
    world.give_back("mia", everything("o1", "r"));
    assert_eq!(told(&world.buy("mia", order_for("o2", 1_500))), ["base grants 15, repaid 10"]);
    assert_eq!(told(&world.give_back("mia", everything("o2", "r"))), ["o2:base loses 15, debt 10"]);
    assert_eq!(world.has("mia"), "debt 10");
}

#[test]
fn c8_spent_units_come_back_to_their_lots() {
    let mut world = World::new(&format!("{PAY}{BASE}")).with("mia", 0);
    world.adjust("mia", 100, Some("2026-06-01"));
    world.adjust("mia", 100, Some("2026-07-01"));
    let redeem = Some(pay_exactly(150));
    world.commit("mia", Commit { redeem, ..commit(order("o", vec![items(3, line("a", 1_000))])) });
    assert_eq!(world.has("mia"), "available 60"); // 10 earned: what units paid earns too
    for (id, units, expires) in [("r1", 50, "2026-07-01"), ("r2", 50, "2026-06-01"), ("r3", 50, "2026-06-01")] {
        let decision = world.give_back("mia", returned("o", id, lines(vec![quantity("a", 1)])));
        assert_eq!(refund(&decision).units, [(points(), units)], "{id}");
        let back = decided(&decision.answer).effects.into_iter().find_map(|effect| match effect {
            guerdon::domain::answer::Effect::Restored { lots, .. } => Some(lots),
            _ => None,
        });
        assert_eq!(back.unwrap()[0].expires_at, at(expires), "{id}");
    }
    assert_eq!(world.has("mia"), "available 200");
}

#[test]
fn c8_spent_units_whose_lot_has_expired_live_for_the_grace_or_expire_again() {
    for (grace, told_back, after, later) in [
        ("30 days", "100 units come back", "available 100", "nothing"),
        ("none", "100 units come back, expired 100", "nothing", "nothing"),
    ] {
        let sections = format!("returns: {{lapsed_grace: {grace}}}\n{PAY}");
        let mut world = World::new(&sections).with("mia", 0);
        world.adjust("mia", 100, Some("2026-06-01"));
        world.commit("mia", Commit { redeem: Some(pay_exactly(100)), ..commit(order_for("o", 1_000)) });
        world.go("2026-06-10");
        assert_eq!(told(&world.give_back("mia", everything("o", "r"))), [told_back], "{grace}");
        assert_eq!(world.has("mia"), after, "{grace}");
        world.go("2026-07-10");
        assert_eq!(world.has("mia"), later, "{grace}");
    }
}

/// Granted, spent, expired, everything returned: the member had the use of nothing and owed it all the same, for
/// what expired on its way back was not remembered.
#[test]
fn c8_who_returns_everything_owes_nothing() {
    let sections =
        format!("units: {{points: {{expires_after: 1 month}}}}\nreturns: {{lapsed_grace: none}}\n{PAY}{BASE}");
    let mut world = World::new(&sections).with("mia", 0);
    world.buy("mia", order_for("o1", 10_000));
    let redeem = Some(pay_exactly(100));
    world.commit("mia", Commit { redeem, ..commit(order_for("o2", 100)) });
    world.go("2026-07-01");
    assert_eq!(
        told(&world.give_back("mia", everything("o2", "r"))),
        ["100 units come back, expired 100", "o2:base loses 1, expired 1"]
    );
    assert_eq!(told(&world.give_back("mia", everything("o1", "r"))), ["o1:base loses 100, expired 100"]);
    assert_eq!(world.has("mia"), "nothing");
}

#[test]
fn c8_what_expired_of_a_grant_is_taken_from_what_expired() {
    let sections = format!("units: {{points: {{expires_after: 1 month, expiry_rounded_to: end_of_month}}}}\n{BASE}");
    let mut world = World::new(&sections).with("mia", 0);
    // Both grants are one lot: they expire together.
    world.buy("mia", order_for("o1", 1_000));
    world.buy("mia", order_for("o2", 1_000));
    world.adjust("mia", -5, None);
    world.go("2026-07-02");
    assert_eq!(told(&world.give_back("mia", everything("o1", "r"))), ["o1:base loses 10, expired 10"]);
    assert_eq!(told(&world.give_back("mia", everything("o2", "r"))), ["o2:base loses 10, debt 5, expired 5"]);
}

#[test]
fn c8_a_pending_grant_is_taken_back_from_what_is_pending() {
    let sections = format!("units: {{points: {{activates_after: 14 days}}}}\n{BASE}");
    let mut world = World::new(&sections).with("mia", 7);
    world.buy("mia", order("o", vec![items(2, line("a", 1_000))]));
    assert_eq!(world.has("mia"), "available 7, pending 10");
    world.give_back("mia", returned("o", "r1", lines(vec![quantity("a", 1)])));
    assert_eq!(world.has("mia"), "available 7, pending 5");
    world.go("2026-05-18");
    assert_eq!(world.has("mia"), "available 12");
    world.give_back("mia", everything("o", "r2"));
    assert_eq!(world.has("mia"), "available 7");
}

/// Units came back while something was owed: whoever held them could spend them and stay in debt.
#[test]
fn c8_what_comes_back_repays_what_is_owed() {
    let mut world = World::new(&format!("{PAY}{BASE}")).with("mia", 0);
    world.buy("mia", order_for("o1", 10_000));
    world.commit("mia", Commit { redeem: Some(pay_exactly(100)), ..commit(order_for("o2", 100)) });
    assert_eq!(told(&world.give_back("mia", everything("o1", "r"))), ["o1:base loses 100, debt 99"]);
    let decision = world.give_back("mia", everything("o2", "r"));
    assert_eq!(told(&decision)[0], "100 units come back, repaid 99");
    assert_eq!(world.has("mia"), "nothing");
}

#[test]
fn c8_what_a_release_frees_repays_what_is_owed() {
    for lapses in [false, true] {
        let mut world = World::new(&format!("{PAY}{BASE}")).with("mia", 0);
        world.buy("mia", order_for("o1", 10_000));
        world.reserve("mia", order_for("o2", 1_000), pay_exactly(100));
        world.give_back("mia", everything("o1", "r"));
        assert_eq!(world.has("mia"), "held 100, debt 100");
        if lapses {
            world.go("2026-05-04T13:00:00Z");
            world.advance("mia");
        } else {
            world.release("mia", "o2");
        }
        assert_eq!(world.has("mia"), "nothing", "lapses: {lapses}");
        assert_eq!(world.facts("mia").last(), Some(&"settled"));
    }
}

#[test]
fn c8_money_falls_on_the_tenders_and_sums_exactly() {
    for (tenders, expected) in [
        (vec![("card", 700), ("cash", 300)], vec![700, 300]),
        (vec![("card", 1_000)], vec![1_000]),
        (vec![("a", 334), ("b", 333), ("c", 333)], vec![334, 333, 333]),
        (vec![("card", 1_000), ("nothing", 0)], vec![1_000, 0]),
        // The tenders say more or less than the order cost: in proportion.
        (vec![("card", 1_500), ("cash", 500)], vec![750, 250]),
        (vec![("card", 1), ("cash", 2)], vec![333, 667]),
        (vec![("card", 0)], vec![1_000]),
        (vec![], vec![]),
    ] {
        for steps in [vec![7], vec![1, 1, 1, 1, 1, 1, 1], vec![3, 4], vec![6, 1], vec![2, 2, 3]] {
            let mut world = World::new(BASE).with("mia", 0);
            let named = tenders.iter().map(|(name, amount)| tender(name, *amount)).collect();
            let order = order("o", vec![items(7, line("a", 1_000))]);
            world.commit("mia", Commit { tenders: named, ..commit(order) });
            for (number, n) in steps.iter().enumerate() {
                let what = lines(vec![quantity("a", *n)]);
                let back = refund(&world.give_back("mia", returned("o", &format!("r{number}"), what)));
                let by_tender: i64 = back.tenders.iter().map(|t| t.amount_minor).sum();
                assert!(tenders.is_empty() || by_tender == back.money_minor, "{back:?}");
            }
            let refunded: Vec<i64> = world.order("o").tenders.iter().map(|t| t.refunded_minor).collect();
            assert_eq!(refunded, expected, "{tenders:?} in {steps:?}");
        }
    }
}

#[test]
fn c8_the_tax_of_a_reduced_line_comes_back_in_proportion() {
    for (includes_tax, settles, money) in [
        (true, "discount", 900),
        // 2.00 of tax on 10.00; a tenth less of both, or only of the price.
        (false, "discount", 1_080),
        (false, "tender", 1_100),
    ] {
        let sections = format!("pay_with: {{points: {{units: 100, worth: GBP 1.00, settles_as: {settles}}}}}\n");
        let mut world = World::new(&sections).with("mia", 100);
        let order =
            Order { prices_include_tax: includes_tax, ..order("o", vec![taxed(200, items(2, line("a", 1_000)))]) };
        world.commit("mia", Commit { redeem: Some(pay_exactly(100)), ..commit(order) });
        let decision = world.give_back("mia", returned("o", "r", lines(vec![quantity("a", 1)])));
        assert_eq!(refund(&decision).money_minor, money / 2, "{includes_tax} {settles}");
        let decision = world.give_back("mia", everything("o", "r2"));
        assert_eq!(refund(&decision).money_minor, money / 2, "{includes_tax} {settles}");
    }
}

#[test]
fn c8_a_debt_that_an_order_made_is_lowered_first_when_it_comes_back() {
    let mut world = World::new(PAY).with("mia", 40);
    let paid =
        Commit { paid: true, redeem: Some(pay_exactly(100)), ..commit(order("o", vec![items(2, line("a", 1_000))])) };
    assert_eq!(told(&world.commit("mia", paid)), ["100 units pay 100, debt 60"]);
    let half = lines(vec![quantity("a", 1)]);
    assert_eq!(told(&world.give_back("mia", returned("o", "r1", half))), ["50 units come back, repaid 50"]);
    assert_eq!(told(&world.give_back("mia", everything("o", "r2"))), ["50 units come back, repaid 10"]);
    assert_eq!(world.has("mia"), "available 40");
}

#[test]
fn c8_a_debt_that_was_repaid_since_comes_back_as_new_units() {
    let mut world = World::new(PAY).with("mia", 0);
    let paid = Commit { paid: true, redeem: Some(pay_exactly(100)), ..commit(order_for("o", 1_000)) };
    world.commit("mia", paid);
    world.adjust("mia", 70, None);
    assert_eq!(world.has("mia"), "debt 30");
    assert_eq!(told(&world.give_back("mia", everything("o", "r"))), ["100 units come back, repaid 30"]);
    assert_eq!(world.has("mia"), "available 70");
}

const BONUS: &str = "
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: fifty, kind: transactional, on: order, when: {spend_at_least: GBP 50.00}, then: {bonus: {units: 30}}}
  - {id: tea, kind: behavioural, on: order, lines: {categories: [tea]}, then: {multiply: {by: 2}}}
";

#[test]
fn c8_what_is_kept_earns_what_its_rules_would_grant_for_it_where_the_program_says_so() {
    let basket = || order("o", vec![items(3, line("a", 3_600)), of_category("tea", line("t", 2_000))]);
    // Policy; what comes back, one after another; what each leaves of base, bonus and multiplier.
    type Case = (&'static str, &'static [(&'static str, i64)], &'static [[i64; 3]]);
    let cases: &[Case] = &[
        ("false", &[("a", 1), ("t", 1), ("a", 2)], &[[44, 24, 20], [24, 13, 0], [0, 0, 0]]),
        // 44.00 is less than 50.00: the bonus is gone whole.
        ("true", &[("a", 1), ("t", 1), ("a", 2)], &[[44, 0, 20], [24, 0, 0], [0, 0, 0]]),
        ("true", &[("t", 1), ("a", 1), ("a", 2)], &[[36, 0, 0], [24, 0, 0], [0, 0, 0]]),
    ];
    for (policy, steps, expected) in cases {
        let mut world = World::new(&format!("returns: {{readjudicate: {policy}}}{BONUS}")).with("mia", 0);
        let bought = world.buy("mia", basket());
        let given = [("base".into(), 56), ("fifty".into(), 30), ("tea".into(), 20)];
        assert_eq!(grants(&bought), given);
        for (at, ((line, n), left)) in steps.iter().zip(*expected).enumerate() {
            let what = returned("o", &format!("r{at}"), lines(vec![quantity(line, *n)]));
            let preview = world.preview("mia", &guerdon::domain::command::Command::Return(what.clone()), world.now);
            let done = world.give_back("mia", what);
            assert_eq!(told(&preview), told(&done), "previewed and done alike");
            let stands: Vec<i64> = world.order("o").grants.iter().map(|grant| grant.amount - grant.reversed).collect();
            assert_eq!(stands, left, "{policy}, step {at}");
        }
        assert_eq!(world.has("mia"), "nothing");
    }
}

#[test]
fn c8_what_a_return_leaves_is_judged_by_the_version_that_granted_it_and_by_the_order_alone() {
    let first = "returns: {readjudicate: true}
rules:
  - {id: welcome, kind: transactional, on: order, when: {order_number: {is: [1]}, spend_at_least: GBP 20.00}, then: {bonus: {units: 50}}}
";
    for (back, left) in [(1, 50), (2, 0)] {
        let mut world = World::new(first).with("mia", 0);
        world.buy("mia", order("o", vec![items(3, line("a", 3_000))]));
        assert_eq!(world.has("mia"), "available 50");
        // By now it is no first order any more, and the rule is gone.
        world.buy("mia", order_for("later", 5_000));
        world.go("2026-05-06");
        let since = at("2026-05-05");
        let mut versions = world.timeline.versions.clone();
        versions.push((since, program(BASE)));
        world.timeline = guerdon::domain::program::Timeline { versions };
        world.give_back("mia", returned("o", "r", lines(vec![quantity("a", back)])));
        assert_eq!(world.order("o").grants[0].amount - world.order("o").grants[0].reversed, left, "{back} of 3 back");
    }
}

#[test]
fn c8_nothing_comes_back_before_it_was_bought() {
    let mut world = World::new(BASE).on("2026-05-01").with("mia", 0).on("2026-05-04");
    world.buy("mia", basket("o"));
    let back = || guerdon::domain::command::Command::Return(everything("o", "r"));
    let refused = world.decide_as_of("mia", back(), world.now.plus_ms(-1));
    assert_eq!(told(&refused), ["no return: BeforeOrder"]);
    let done = world.decide_as_of("mia", back(), world.now);
    assert_eq!(gave_back(&done).status, ReturnStatus::Applied);
}
