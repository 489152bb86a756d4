//! Orders that are edited after they were placed, and goods that are exchanged.

use guerdon::domain::answer::{OrderState, ReturnStatus};
use guerdon::domain::command::{Amend, Command, Measure, Tender};
use guerdon::domain::decide::Decision;
use guerdon::domain::id::{LineId, ReturnId};
use guerdon::domain::order::Line;
use proptest::prelude::*;

use super::kit::*;

const RULES: &str = "
pay_with: {points: {units: 100, worth: GBP 1.00, step: 1}}
counters: {spend: {counts: spend}}
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: fifty, kind: transactional, on: order, when: {spend_at_least: GBP 50.00}, then: {bonus: {units: 30}}}
  - {id: visit, kind: behavioural, on: order, then: {bonus: {units: 5}}}
";

fn amend(order: &str, id: &str, remove: Vec<(LineId, Measure)>, add: Vec<Line>) -> Amend {
    Amend {
        order_id: order_id(order),
        amendment_id: ReturnId::parse(id).unwrap(),
        remove,
        add,
        redeem: None,
        tenders: Vec::new(),
    }
}

fn amended(decision: &Decision) -> (ReturnStatus, i64, i64) {
    match &decision.answer {
        guerdon::domain::answer::Answer::Amend(a) => {
            (a.status, a.refund.clone().unwrap_or_default().money_minor, a.due_minor)
        }
        other => panic!("{other:?}"),
    }
}

fn do_it(world: &mut World, amend: Amend) -> Decision {
    world.decide("mia", Command::Amend(amend))
}

#[test]
fn c8_an_order_that_is_amended_has_earned_what_it_earns_as_it_is_now() {
    let basket = || order("o", vec![items(2, line("a", 4_000)), line("b", 1_500)]);
    // What goes out, what comes in; refunded, due; what is told; what the member has.
    type Case<'a> = (Vec<(LineId, Measure)>, Vec<Line>, i64, i64, &'a [&'a str], &'a str);
    let cases: Vec<Case<'_>> = vec![
        // One size for another.
        (
            vec![quantity("a", 1)],
            vec![line("c", 2_000)],
            2_000,
            2_000,
            &[
                "o:base loses 20",
                "o:fifty loses 11",
                "o:visit loses 2",
                "base grants 20",
                "fifty grants 11",
                "visit grants 2",
            ],
            "available 90",
        ),
        // One more.
        (vec![], vec![line("c", 1_000)], 0, 1_000, &["base grants 10"], "available 100"),
        // Something dear for something cheap: the bonus falls by its part, as when that comes back.
        (
            vec![quantity("a", 2)],
            vec![line("c", 500)],
            4_000,
            500,
            &["o:base loses 40", "o:fifty loses 22", "o:visit loses 4", "base grants 5", "visit grants 4"],
            "available 33",
        ),
        // Nothing comes in: like a return, but that the order is not returned.
        (
            vec![quantity("b", 1)],
            vec![],
            1_500,
            0,
            &["o:base loses 15", "o:fifty loses 8", "o:visit loses 1"],
            "available 66",
        ),
    ];
    for (remove, add, refunded, due, expected, has) in cases {
        let mut world = World::new(RULES).with("mia", 0);
        world.buy("mia", basket());
        assert_eq!(world.has("mia"), "available 90");
        world.go("2026-05-06");
        let asked = amend("o", "x1", remove, add);
        let done = do_it(&mut world, asked.clone());
        assert_eq!(told(&done), expected, "{asked:?}");
        assert_eq!(amended(&done), (ReturnStatus::Applied, refunded, due));
        assert_eq!(world.has("mia"), has);
        assert_eq!(world.order("o").state, OrderState::Committed);
        // Again: the same, and nothing happens.
        let again = do_it(&mut world, asked.clone());
        assert!(again.entries.is_empty());
        assert_eq!(amended(&again), (ReturnStatus::AlreadyApplied, refunded, due));
        let other = do_it(&mut world, Amend { add: vec![line("z", 1)], ..asked });
        assert_eq!(told(&other), ["no order: AmendmentDiffers"]);
        // All of it comes back: all of it, to the unit.
        let back = world.give_back("mia", everything("o", "r"));
        assert_eq!(refund(&back).money_minor, 5_500 - refunded + due);
        assert_eq!(world.has("mia"), "nothing");
    }
}

#[test]
fn c8_an_amendment_keeps_a_bonus_whose_threshold_still_stands_where_the_program_looks_at_what_is_kept() {
    let mut world = World::new(&format!("returns: {{readjudicate: true}}{RULES}")).with("mia", 0);
    world.buy("mia", order("o", vec![items(2, line("a", 4_000)), line("b", 1_500)]));
    let done = do_it(&mut world, amend("o", "x1", vec![quantity("a", 1)], vec![line("c", 2_000)]));
    assert_eq!(told(&done), Vec::<String>::new(), "the same as before, for the same money");
    let done = do_it(&mut world, amend("o", "x2", vec![quantity("c", 1)], vec![line("d", 1_000)]));
    assert_eq!(told(&done), ["o:base loses 10", "o:fifty loses 30"]);
    assert_eq!(world.has("mia"), "available 50");
    world.give_back("mia", everything("o", "r"));
    assert_eq!(world.has("mia"), "nothing");
}

#[test]
fn c8_units_that_come_back_pay_for_what_comes_in() {
    let mut world = World::new(RULES).with("mia", 1_000);
    let tenders = |amount| vec![Tender { tender: label("card"), amount_minor: amount }];
    let pays = guerdon::domain::command::Commit {
        redeem: Some(pay_exactly(1_000)),
        tenders: tenders(1_000),
        ..commit(order("o", vec![line("a", 1_000), line("b", 1_000)]))
    };
    world.commit("mia", pays);
    assert_eq!(world.has("mia"), "available 25");
    let exchange = Amend {
        redeem: Some(pay_exactly(500)),
        tenders: tenders(700),
        ..amend("o", "x1", vec![quantity("a", 1)], vec![line("c", 1_200)])
    };
    let done = do_it(&mut world, exchange);
    assert_eq!(
        told(&done),
        [
            "500 units come back",
            "500 units pay 500",
            "o:base loses 10",
            "o:visit loses 3",
            "base grants 12",
            "visit grants 3"
        ]
    );
    assert_eq!(amended(&done), (ReturnStatus::Applied, 500, 700));
    let back = world.give_back("mia", everything("o", "r"));
    assert_eq!(refund(&back).money_minor, 1_200);
    assert_eq!(
        refund(&back).tenders.iter().map(|tender| tender.amount_minor).collect::<Vec<_>>(),
        [1_200],
        "of one card"
    );
    assert_eq!(world.has("mia"), "available 1000");
}

#[test]
fn c8_what_cannot_be_amended_is_refused() {
    let mut world = World::new(RULES).with("mia", 10);
    world.buy("mia", order("o", vec![items(2, line("a", 4_000)), line("b", 1_500)]));
    world.buy("mia", order_for("gone", 1_000));
    world.give_back("mia", everything("gone", "r"));
    let over = Amend { redeem: Some(pay_exactly(500)), ..amend("o", "x", vec![], vec![line("c", 1_000)]) };
    let has = world.has("mia");
    for (asked, expected) in [
        (amend("none", "x", vec![], vec![line("c", 1)]), "no order: OrderUnknown"),
        (amend("gone", "x", vec![], vec![line("c", 1)]), "no return: NothingLeft"),
        (amend("o", "x", vec![], vec![line("a", 1)]), "no line a: LineExists"),
        (amend("o", "x", vec![quantity("z", 1)], vec![]), "no line z: LineUnknown"),
        (amend("o", "x", vec![quantity("a", 3)], vec![line("c", 1)]), "no line a: MoreThanLeft, asks 3, has 2"),
        (amend("o", "x", vec![quantity("a", 2), quantity("b", 1)], vec![]), "no order: NothingKept"),
        (over, "no payment points: BalanceTooLow, asks 500, has 100"),
    ] {
        let decision = do_it(&mut world, asked.clone());
        assert_eq!(told(&decision), [expected], "{asked:?}");
        assert_eq!(amended(&decision).0, ReturnStatus::Refused);
        assert_eq!(world.has("mia"), has);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(23), ..ProptestConfig::default() })]

    /// However often an order is amended and returned in between: in the end everything is back, to the unit and the cent.
    #[test]
    fn c8_amendments_and_returns_sum_to_nothing(
        readjudicate in any::<bool>(),
        first in prop::collection::vec((1..9_000i64, 1..4i64), 1..4),
        used in 0..500i64,
        steps in prop::collection::vec((0..3u8, 0..8usize, 1..4i64, 0..6_000i64, 0..200i64), 0..8),
    ) {
        let mut world = World::new(&format!("returns: {{readjudicate: {readjudicate}}}{RULES}")).with("mia", 1_000);
        let lines: Vec<Line> =
            first.iter().enumerate().map(|(n, (amount, count))| items(*count, line(&format!("l{n}"), *amount))).collect();
        let pays = guerdon::domain::command::Commit { redeem: Some(as_possible(pay_exactly(used.max(1)))), ..commit(order("o", lines)) };
        world.commit("mia", pays);
        let mut paid = world.order("o").money_minor;
        for (n, (what, at, count, amount, units)) in steps.into_iter().enumerate() {
            let known = &world.order("o").lines;
            let name = known[at % known.len()].line_id.to_string();
            let out = if what == 0 { vec![] } else { vec![quantity(&name, count)] };
            if what == 2 {
                let decision = world.give_back("mia", returned("o", &format!("r{n}"), guerdon::domain::command::ReturnWhat::Lines(out)));
                paid -= refund(&decision).money_minor;
                continue;
            }
            let add = if amount == 0 { vec![] } else { vec![line(&format!("x{n}"), amount)] };
            if out.is_empty() && add.is_empty() {
                continue;
            }
            let asked = Amend { redeem: (units != 0).then(|| as_possible(pay_exactly(units))), ..amend("o", &format!("x{n}"), out, add) };
            let done = do_it(&mut world, asked);
            let (_, refunded, due) = amended(&done);
            paid += due - refunded;
        }
        let back = world.give_back("mia", everything("o", "last"));
        prop_assert_eq!(refund(&back).money_minor, paid);
        prop_assert_eq!(world.has("mia"), "available 1000");
        prop_assert!(world.accounts[&account("mia")].counters.iter().all(|counter| counter.buckets.is_empty()));
    }
}
