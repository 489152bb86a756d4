//! The passing of time.

use std::sync::Arc;

use guerdon::domain::command::{Command, Commit, Reserve};
use guerdon::domain::ledger::Fact;
use guerdon::domain::program::{ProgramVersion, Timeline};
use guerdon::domain::time::Instant;

use super::kit::*;

fn living(terms: &str) -> String {
    format!("units: {{points: {{{terms}}}}}\n{BASE}")
}

#[test]
fn units_become_spendable_and_cease_to_be_at_the_instant_itself() {
    let mut world = World::new(&living("activates_after: 2 hours, expires_after: 3 hours")).with("mia", 0);
    world.buy("mia", order_for("o", 1_000));
    for (when, has) in [
        ("2026-05-04T12:00:00.000Z", "pending 10"),
        ("2026-05-04T13:59:59.999Z", "pending 10"),
        ("2026-05-04T14:00:00.000Z", "available 10"),
        ("2026-05-04T16:59:59.999Z", "available 10"),
        ("2026-05-04T17:00:00.000Z", "nothing"),
    ] {
        world.go(when);
        assert_eq!(world.has("mia"), has, "{when}");
    }
    world.advance("mia");
    assert_eq!(world.facts("mia"), ["enrolled", "granted", "order_committed", "matured", "expired"]);
}

#[test]
fn lives_end_by_the_calendar_of_the_program() {
    for (zone, terms, bought, last, first_after) in [
        ("UTC", "expires_after: 1 month", "2026-01-31T10:00:00Z", "2026-02-28T09:59:59.999Z", "2026-02-28T10:00:00Z"),
        ("UTC", "expires_after: 12 months", "2028-02-29T10:00:00Z", "2029-02-28T09:59:59.999Z", "2029-02-28T10:00:00Z"),
        ("UTC", "expires_after: 1 month", "2028-01-30T10:00:00Z", "2028-02-29T09:59:59.999Z", "2028-02-29T10:00:00Z"),
        (
            "Europe/Berlin",
            "expires_after: 1 month, expiry_rounded_to: end_of_month",
            "2026-02-10T10:00:00Z",
            "2026-03-31T21:59:59.999Z",
            "2026-03-31T22:00:00Z",
        ),
        // A day is a day on the wall, whatever the clocks do.
        (
            "Europe/Berlin",
            "expires_after: 1 days",
            "2026-03-28T11:00:00Z",
            "2026-03-29T09:59:59.999Z",
            "2026-03-29T10:00:00Z",
        ),
        (
            "America/New_York",
            "expires_after: 1 days, expiry_rounded_to: end_of_year",
            "2026-06-01T10:00:00Z",
            "2027-01-01T04:59:59.999Z",
            "2027-01-01T05:00:00Z",
        ),
    ] {
        let mut world = World::new(&format!("time_zone: {zone}\n{}", living(terms))).on(bought).with("mia", 0);
        world.buy("mia", order_for("o", 1_000));
        world.go(last);
        assert_eq!(world.has("mia"), "available 10", "{terms} from {bought} in {zone}");
        world.go(first_after);
        assert_eq!(world.has("mia"), "nothing", "{terms} from {bought} in {zone}");
    }
}

#[test]
fn units_that_expire_together_are_one_lot_however_many_orders_earned_them() {
    for (terms, lots) in [
        ("", 1),
        ("expires_after: 12 months, expiry_rounded_to: end_of_month", 1),
        ("activates_after: 1 hours, expires_after: 12 months, expiry_rounded_to: end_of_month", 1),
        ("expires_after: 12 months", 50),
    ] {
        let mut world = World::new(&living(terms)).with("mia", 0);
        for n in 0..50 {
            world.now = world.now.plus_ms(1_000);
            world.buy("mia", order_for(&format!("o{n}"), 1_000));
        }
        world.go("2026-05-05");
        world.advance("mia");
        assert_eq!(world.accounts[&account("mia")].book(&points()).unwrap().lots.len(), lots, "{terms}");
        assert_eq!(world.has("mia"), "available 500", "{terms}");
    }
}

#[test]
fn equal_instants_are_handled_in_one_order() {
    // At two o'clock a lot matures, a hold lapses, and the lot that it held from expires.
    let sections = "
pay_with: {points: {units: 1, worth: GBP 0.01}}
units: {points: {activates_after: 2 hours}}
rules: [{id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}]
referrals: [{id: ref, title: T, qualify_within: 2 hours, spend_at_least: GBP 20.00, friend: {units: 1}}]
";
    let mut world = World::new(sections);
    world.code("AAAA", "ben", "ref");
    world.enrol("mia", &["AAAA"]);
    world.adjust("mia", 100, Some("2026-05-04T14:00:00Z"));
    let hold = Reserve { ttl_s: Some(7_200), ..reserve(order_for("held", 1_000), pay_exactly(60)) };
    world.decide("mia", Command::Reserve(hold));
    let gift = order("o", vec![of_kind(guerdon::domain::order::LineKind::GiftCard, line("g", 500)), line("a", 1_000)]);
    // Too small an order, so that the referral stays open.
    world.buy("mia", gift);
    world.go("2026-05-04T13:59:59.998Z");
    world.advance("mia");
    let count = world.facts("mia").len();
    world.go("2026-05-04T14:00:00Z");
    world.advance("mia");
    assert_eq!(world.facts("mia")[count..], ["matured", "unheld", "expired", "referral_expired"]);
    assert_eq!(world.has("mia"), "available 10");
}

#[test]
fn entries_are_posted_in_order_even_when_the_clock_goes_back() {
    let mut world = World::new(BASE).with("mia", 0);
    let posted = world.now;
    world.now = posted.minus_ms(5_000);
    world.buy("mia", order_for("o", 1_000));
    let entries = &world.ledgers[&account("mia")];
    assert!(entries.iter().all(|entry| entry.posted_at == posted));
    assert_eq!(entries.last().unwrap().effective_at, posted.minus_ms(5_000));
}

#[test]
fn what_is_due_is_posted_under_the_version_that_was_active_then() {
    let old = program(&living("expires_after: 1 days"));
    let mut new = (*program(&living("expires_after: 9 days"))).clone();
    new.version = ProgramVersion("new".into());
    let began = at("2026-05-05T13:00:00Z");
    let mut world = World::of(old.clone()).with("mia", 0);
    world.timeline = Timeline { versions: vec![(Instant(0), old.clone()), (began, Arc::new(new.clone()))] };
    world.buy("mia", order_for("o1", 1_000));
    world.go("2026-05-04T14:00:00Z");
    world.buy("mia", order_for("o2", 1_000));
    world.go("2026-06-01");
    world.advance("mia");
    let expired = world.ledgers[&account("mia")].iter().filter(|entry| matches!(entry.fact, Fact::Expired { .. }));
    let expired: Vec<_> = expired.map(|entry| (entry.effective_at, entry.version.clone())).collect();
    let expected =
        [(at("2026-05-05T12:00:00Z"), old.version.clone()), (at("2026-05-05T14:00:00Z"), new.version.clone())];
    assert_eq!(expired, expected);
}

#[test]
fn a_late_order_is_decided_as_of_when_it_happened() {
    let sections = format!("back_dating_max: 30 days\n{}", living("expires_after: 10 days"));
    let mut world = World::new(&sections).on("2026-04-01").with("mia", 0).on("2026-05-24T12:00:00Z");
    for (id, when, expected, has) in [
        ("future", "2026-05-24T12:00:00.001Z", "no order: InFuture", "nothing"),
        ("ages-ago", "2026-04-24T11:59:59.999Z", "no order: TooFarBack", "nothing"),
        // Granted, and gone before anybody knew.
        ("gone", "2026-05-14T12:00:00Z", "base grants 10", "nothing"),
        ("just", "2026-05-14T12:00:00.001Z", "base grants 10", "available 10"),
        ("oldest", "2026-04-24T12:00:00Z", "base grants 10", "available 10"),
    ] {
        let decision = world.decide_as_of("mia", Command::Commit(commit(order_for(id, 1_000))), at(when));
        assert_eq!(told(&decision), [expected], "{id}");
        assert_eq!(world.has("mia"), has, "{id}");
        assert_eq!(decision.remember, id != "future", "{id}");
    }
}

#[test]
fn a_preview_of_the_future_sees_the_account_as_it_will_be() {
    let sections = format!(
        "pay_with: {{points: {{units: 1, worth: GBP 0.01}}}}\n{}",
        living("activates_after: 1 days, expires_after: 1 days")
    );
    let mut world = World::new(&sections).with("mia", 0);
    world.buy("mia", order_for("o", 1_000));
    let pays = Command::Commit(Commit { redeem: Some(pay_exactly(10)), ..commit(order_for("o2", 50)) });
    for (when, expected) in [
        ("2026-05-05T11:59:59Z", "no payment points: BalanceTooLow, asks 10, has 0"),
        ("2026-05-05T12:00:00Z", "10 units pay 10"),
        ("2026-05-06T12:00:00Z", "no payment points: BalanceTooLow, asks 10, has 0"),
    ] {
        assert_eq!(told(&world.preview("mia", &pays, at(when))), [expected], "{when}");
    }
}

/// What comes back to lots that have expired repays nothing, whenever it is looked at.
#[test]
fn what_comes_back_too_late_repays_no_debt() {
    for released in [false, true] {
        let mut world =
            World::new(&format!("pay_with: {{points: {{units: 1, worth: GBP 0.01}}}}{BASE}")).with("mia", 0);
        world.buy("mia", order_for("o", 10_000));
        world.adjust("mia", -100, None);
        world.adjust("mia", 50, Some("2026-05-04T12:01:00Z"));
        world.adjust("mia", 50, Some("2026-05-04T12:02:00Z"));
        let hold = Reserve { ttl_s: Some(600), ..reserve(order_for("held", 1_000), pay_exactly(100)) };
        world.decide("mia", Command::Reserve(hold));
        world.give_back("mia", everything("o", "r"));
        assert_eq!(world.has("mia"), "held 100, debt 100");
        world.go("2026-05-04T12:05:00Z");
        if released {
            world.release("mia", "held");
        }
        world.go("2026-05-04T12:20:00Z");
        assert_eq!(world.has("mia"), "debt 100", "released: {released}");
    }
}
