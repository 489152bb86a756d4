//! Traps that others fell into, as far as the decision alone can fall into them.

use guerdon::domain::answer::CommitStatus;
use guerdon::domain::command::{Command, Commit, Redeem, Return, ReturnCause, ReturnWhat};
use guerdon::domain::decide::decide;
use guerdon::domain::program::ProgramVersion;

use super::kit::*;

const SHOP: &str = "
pay_with: {points: {units: 100, worth: GBP 1.00}}
rewards: [{id: off, title: T, gives: {amount_off: GBP 5.00}}]
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
";

/// Two checkouts read the same balance. Decided on it both would redeem; the second is applied only after it has
/// been decided again on what the first left.
#[test]
fn trap_1_two_checkouts_at_once_redeem_the_same_balance() {
    let mut world = World::new(SHOP).with("mia", 100);
    let spends = |id: &str| Command::Commit(Commit { redeem: Some(pay_exactly(100)), ..commit(order_for(id, 500)) });
    let stale = world.snapshot(Some(&account("mia")), &spends("b"));
    let first = world.decide("mia", spends("a"));
    assert_eq!(told(&first)[0], "100 units pay 100");
    let second = decide(&world.timeline, &stale, &spends("b"), world.times(), None, false).unwrap();
    let (one, other) = (&first.entries[0], &second.entries[0]);
    assert_eq!(one.sequence, other.sequence, "they claim the same place in the ledger: only one can have it");
    assert_eq!(told(&world.decide("mia", spends("b"))), ["no payment points: BalanceTooLow, asks 100, has 5"]);
}

#[test]
fn trap_2_a_redelivered_order_event_awards_again() {
    let mut world = World::new(SHOP).with("mia", 0);
    let first = world.buy("mia", order_for("o", 1_000));
    world.go("2027-05-04");
    let again = world.buy("mia", order_for("o", 1_000));
    assert_eq!(committed(&again).status, CommitStatus::AlreadyCommitted);
    assert_eq!(committed(&again).decided.effects, committed(&first).decided.effects, "what was decided then");
    assert!(again.entries.is_empty() && again.order.is_none());
    assert_eq!(told(&world.buy("mia", order_for("o", 1_001))), ["no order: OrderDiffers"]);
    assert_eq!(world.has("mia"), "available 10");
}

#[test]
fn trap_3_buy_earn_spend_return_and_keep_the_points() {
    let mut world = World::new(SHOP).with("mia", 0);
    for round in 0..5 {
        let (bought, spent) = (format!("b{round}"), format!("s{round}"));
        world.buy("mia", order_for(&bought, 10_000));
        let redeem = Some(pay_exactly(100));
        world.commit("mia", Commit { redeem, ..commit(order_for(&spent, 100)) });
        world.give_back("mia", everything(&bought, "r"));
        world.give_back("mia", everything(&spent, "r"));
        assert_eq!(world.has("mia"), "nothing", "round {round}");
    }
}

/// A return recomputed with today's rule takes 100 for 50 granted, or nothing because the rule is gone.
#[test]
fn trap_4_a_return_recomputed_with_todays_rule() {
    for rules in
        [SHOP.replace("units: 1,", "units: 2,"), "pay_with: {points: {units: 100, worth: GBP 1.00}}\n".to_owned()]
    {
        let mut world = World::new(SHOP).with("mia", 1_000);
        world.buy("mia", order("o", vec![items(2, line("a", 5_000))]));
        let mut today = (*program(&rules)).clone();
        today.version = ProgramVersion("today".into());
        world.timeline.versions.push((at("2026-05-05"), std::sync::Arc::new(today)));
        world.go("2026-05-06");
        let half = ReturnWhat::Lines(vec![quantity("a", 1)]);
        assert_eq!(told(&world.give_back("mia", returned("o", "r1", half))), ["o:base loses 25"]);
        assert_eq!(told(&world.give_back("mia", everything("o", "r2"))), ["o:base loses 25"]);
    }
}

/// The part paid with points is paid back as cash; or spent points are deducted again on a partial return.
#[test]
fn trap_5_the_part_paid_with_points_comes_back_as_points() {
    for settles in ["discount", "tender"] {
        let sections = format!("pay_with: {{points: {{units: 100, worth: GBP 1.00, settles_as: {settles}}}}}\n");
        let mut world = World::new(&sections).with("mia", 400);
        let tenders = vec![tender("card", 600)];
        let order = order("o", vec![items(4, line("a", 1_000))]);
        world.commit("mia", Commit { redeem: Some(pay_exactly(400)), tenders, ..commit(order) });
        for (id, balance) in [("r1", 100), ("r2", 200), ("r3", 300), ("r4", 400)] {
            let back = refund(&world.give_back("mia", returned("o", id, ReturnWhat::Lines(vec![quantity("a", 1)]))));
            assert_eq!((back.money_minor, back.units), (150, vec![(points(), 100)]), "{settles} {id}");
            assert_eq!(back.tenders, [tender("card", 150)]);
            assert_eq!(world.has("mia"), format!("available {balance}"), "{settles} {id}");
        }
    }
}

#[test]
fn trap_6_parts_miss_the_total_by_a_cent() {
    let mut world = World::new(SHOP).with("mia", 100);
    let thirds = order("o", vec![line("a", 333), line("b", 333), line("c", 334)]);
    let redeem = Redeem { pay: pay_exactly(100).pay, ..rewards(&["off"]) };
    world.commit("mia", Commit { redeem: Some(redeem), ..commit(thirds) });
    let record = world.order("o").clone();
    assert_eq!(record.lines.iter().map(|line| line.reduced_minor).sum::<i64>(), 600);
    assert_eq!(record.money_minor, 400);
    let mut money = 0;
    for id in ["b", "c", "a"] {
        money +=
            refund(&world.give_back("mia", returned("o", id, ReturnWhat::Lines(vec![quantity(id, 1)])))).money_minor;
    }
    assert_eq!(money, 400);
    assert_eq!(world.has("mia"), "available 100");
}

#[test]
fn trap_7_the_reward_counts_as_spend() {
    let sections = format!(
        "{SHOP}  - {{id: big, kind: transactional, on: order, when: {{spend_at_least: GBP 10.00}}, then: {{bonus: {{units: 50}}}}}}\n"
    );
    for (costs, expected) in [
        (1_500, vec!["off takes 500 off", "base grants 10", "big grants 50"]),
        (1_499, vec!["off takes 500 off", "base grants 9"]),
    ] {
        let mut world = World::new(&sections).with("mia", 0);
        let commit = Commit { redeem: Some(rewards(&["off"])), ..commit(order_for("o", costs)) };
        assert_eq!(told(&world.commit("mia", commit)), expected, "{costs}");
    }
}

#[test]
fn trap_8_a_hold_that_ignores_other_holds() {
    let mut world = World::new(SHOP).with("mia", 300);
    assert!(reserved(&world.reserve("mia", order_for("a", 1_000), pay_exactly(200))).reserved);
    assert!(!reserved(&world.reserve("mia", order_for("b", 1_000), pay_exactly(200))).reserved);
    assert!(reserved(&world.reserve("mia", order_for("b", 1_000), pay_exactly(100))).reserved);
    assert_eq!(told(&world.adjust("mia", -1, None)), ["no adjustment: BalanceTooLow, asks 1, has 0"]);
    world.go("2026-05-05");
    assert_eq!(world.has("mia"), "available 300", "no hold is without an end");
}

#[test]
fn trap_9_expiry_is_off_by_one_at_the_instant_itself() {
    let spends = || Commit { redeem: Some(pay_exactly(100)), ..commit(order_for("o", 100)) };
    for (when, expected) in [
        ("2026-05-10T11:59:59.999Z", "100 units pay 100"),
        ("2026-05-10T12:00:00.000Z", "no payment points: BalanceTooLow, asks 100, has 0"),
    ] {
        let mut world = World::new(SHOP).with("mia", 0);
        world.adjust("mia", 100, Some("2026-05-10T12:00:00Z"));
        world.go(when);
        assert_eq!(told(&world.commit("mia", spends()))[0], expected, "{when}");
    }
}

/// Cancelled, then completed again: never awarded again. Registered, redeemed, earned, cancelled: the balance of before.
#[test]
fn trap_10_cancelled_then_completed_again() {
    let mut world = World::new(SHOP).with("mia", 100);
    let pays = || Commit { redeem: Some(pay_exactly(100)), ..commit(order_for("o", 5_000)) };
    world.reserve("mia", order_for("o", 5_000), pay_exactly(100));
    world.commit("mia", pays());
    assert_eq!(world.has("mia"), "available 50");
    let cancel = Return { cause: ReturnCause::Cancel, ..everything("o", "cancel") };
    world.give_back("mia", cancel);
    assert_eq!(world.has("mia"), "available 100");
    let again = world.commit("mia", pays());
    assert_eq!(committed(&again).status, CommitStatus::AlreadyCommitted);
    assert_eq!(
        told(&world.reserve("mia", order_for("o", 5_000), pay_exactly(100))),
        ["no reservation: OrderCommitted"]
    );
    assert_eq!(told(&world.give_back("mia", everything("o", "again"))), ["no return: NothingLeft"]);
    assert_eq!(world.has("mia"), "available 100");
}

/// Daylight saving moves a happy hour; months end on different days; 29 February comes every fourth year.
#[test]
fn trap_11_clocks_that_change_and_months_that_end() {
    let happy = "time_zone: Europe/Berlin
rules:
  - {id: happy, kind: behavioural, on: order, when: {hours: [{from: \"17:00\", until: \"18:00\"}]}, then: {bonus: {units: 1}}}
";
    for (when, expected) in [
        ("2026-03-28T16:00:00Z", 1), // 17:00 in winter
        ("2026-03-28T15:59:59Z", 0),
        ("2026-03-29T15:00:00Z", 1), // 17:00 on the day on which summer begins
        ("2026-03-29T16:00:00Z", 0), // 18:00
        ("2026-10-24T15:00:00Z", 1),
        ("2026-10-25T15:59:59Z", 0), // 16:59:59 on the day on which it ends
        ("2026-10-25T16:00:00Z", 1),
        ("2026-10-25T17:00:00Z", 0),
    ] {
        let world = World::new(happy).on("2026-03-01").with("mia", 0);
        let decision = world.preview("mia", &Command::Commit(commit(order_for("o", 100))), at(when));
        assert_eq!(grants(&decision).len(), expected, "{when}");
    }
    for (terms, bought, last, first_after) in [
        ("expires_after: 1 month", "2026-01-31T11:00:00Z", "2026-02-28T10:59:59.999Z", "2026-02-28T11:00:00Z"),
        ("expires_after: 12 months", "2028-02-29T11:00:00Z", "2029-02-28T10:59:59.999Z", "2029-02-28T11:00:00Z"),
        // The end of March is in summer, the order was in winter.
        (
            "expires_after: 1 month, expiry_rounded_to: end_of_month",
            "2026-02-28T23:30:00Z",
            "2026-04-30T21:59:59.999Z",
            "2026-04-30T22:00:00Z",
        ),
    ] {
        let sections = format!(
            "time_zone: Europe/Berlin
units: {{points: {{{terms}}}}}
rules:
  - {{id: base, kind: transactional, on: order, then: {{earn: {{units: 1, per: GBP 1.00}}}}}}
"
        );
        let mut world = World::new(&sections).on(bought).with("mia", 0);
        world.buy("mia", order_for("o", 1_000));
        world.go(last);
        assert_eq!(world.has("mia"), "available 10", "{terms}, {last}");
        world.go(first_after);
        assert_eq!(world.has("mia"), "nothing", "{terms}, {first_after}");
    }
}

/// The retry comes when the request's receipt is long gone: the order and the return are known by their own ids.
#[test]
fn trap_14_the_retry_of_a_timed_out_call_runs_again() {
    let mut world = World::new(SHOP).with("mia", 100);
    let pays = || Commit { redeem: Some(pay_exactly(100)), ..commit(order("o", vec![items(2, line("a", 5_000))])) };
    let half = || returned("o", "r", ReturnWhat::Lines(vec![quantity("a", 1)]));
    world.commit("mia", pays());
    world.give_back("mia", half());
    let before = world.accounts.clone();
    world.go("2029-05-04");
    assert!(world.commit("mia", pays()).entries.is_empty());
    let again = world.give_back("mia", half());
    assert!(again.entries.is_empty());
    assert_eq!(refund(&again).money_minor, 2_450);
    assert_eq!(world.accounts, before);
}
