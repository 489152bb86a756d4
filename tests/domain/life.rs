//! How units live: waiting, maturing, expiring, owed, brought back.

use guerdon::domain::command::{Adjust, Command, Commit, Extend, OrderEvent, Reinstate, ReturnWhat};
use guerdon::domain::decide::Decision;
use guerdon::domain::id::{LineId, OrderEventId, UnitId};
use guerdon::domain::ledger::Book;
use guerdon::domain::time::Instant;
use proptest::prelude::*;

use super::kit::*;

fn event(order: &str, id: &str, what: &str, lines: &[&str]) -> Command {
    let lines = lines.iter().map(|line| LineId::parse(line).unwrap()).collect();
    Command::OrderEvent(OrderEvent {
        order_id: order_id(order),
        event_id: OrderEventId::parse(id).unwrap(),
        event: label(what),
        lines,
    })
}

fn extend(before: Option<&str>, expires: &str) -> Command {
    Command::Extend(Extend {
        unit: None,
        expiring_before: before.map(at),
        expires_at: at(expires),
        reason: guerdon::domain::command::AdjustReason::Goodwill,
        agent: label("tess"),
        note: None,
    })
}

fn reinstate(amount: Option<i64>, expires: Option<&str>) -> Command {
    Command::Reinstate(Reinstate {
        unit: None,
        amount,
        expires_at: expires.map(at),
        reason: guerdon::domain::command::AdjustReason::Correction,
        agent: label("tess"),
        note: None,
    })
}

/// A member whose units live by these terms, and an order of ten pounds.
fn bought(terms: &str) -> (World, Decision) {
    let mut world = World::new(&format!("units: {{points: {{{terms}}}}}{BASE}")).with("mia", 0);
    let decision = world.buy("mia", order_for("o", 1_000));
    (world, decision)
}

fn unit(name: &str) -> UnitId {
    UnitId::parse(name).unwrap()
}

/// The order is of Monday, 2026-05-04T12:00Z.
#[test]
fn b1_units_become_spendable_at_once_later_or_on_fixed_days() {
    // terms, active from
    for (terms, active) in [
        ("", None),
        ("activates_after: 14 days", Some("2026-05-18T12:00:00Z")),
        ("activates_on: [\"06-01\", \"01-01\"]", Some("2026-06-01T00:00:00Z")),
        ("activates_on: [\"05-04\"]", Some("2027-05-04T00:00:00Z")),
        ("activates_on: [\"02-29\"]", Some("2027-02-28T00:00:00Z")),
        ("activates_after: 30 days, activates_on: [\"06-01\", \"07-01\"]", Some("2026-07-01T00:00:00Z")),
    ] {
        let (mut world, _) = bought(terms);
        let Some(active) = active else {
            assert_eq!(world.has("mia"), "available 10", "{terms}");
            continue;
        };
        assert_eq!(world.accounts[&account("mia")].balances()[0].activations, [(at(active), 10)], "{terms}");
        world.now = Instant(at(active).0 - 1);
        assert_eq!(world.has("mia"), "pending 10", "{terms}");
        world.now = at(active);
        assert_eq!(world.has("mia"), "available 10", "{terms}");
    }
}

#[test]
fn b1_units_wait_for_an_event_and_their_time_counts_from_it() {
    let terms = "activates_on_event: delivered, event_within: 20 days, activates_after: 1 day, expires_after: 10 days";
    let (mut world, decision) = bought(terms);
    assert_eq!(told(&decision), ["base grants 10"]);
    let balance = &world.accounts[&account("mia")].balances()[0];
    assert_eq!((balance.pending, balance.awaiting), (10, 10));
    assert_eq!((balance.activations.len(), &balance.awaited[..]), (0, &[(at("2026-05-24"), 10)][..]));

    world.go("2026-05-10");
    assert_eq!(told(&world.decide("mia", event("o", "e1", "shipped", &[]))), Vec::<String>::new());
    assert_eq!(told(&world.decide("mia", event("o", "e2", "delivered", &[]))), ["o:base releases 10"]);
    let balance = &world.accounts[&account("mia")].balances()[0];
    assert_eq!((balance.awaiting, &balance.activations[..]), (0, &[(at("2026-05-11"), 10)][..]));
    world.go("2026-05-11");
    world.advance("mia");
    assert_eq!(world.has("mia"), "available 10");
    assert_eq!(world.accounts[&account("mia")].balances()[0].expiries, [(at("2026-05-21"), 10)]);
    // It was released before its time to be called off; that is past now.
    world.go("2026-05-25");
    assert_eq!(world.has("mia"), "nothing");
    assert!(!world.advance("mia").entries.iter().any(|entry| entry.fact.name() == "called_off"));
}

#[test]
fn b1_an_event_that_never_comes_calls_the_units_off_at_the_instant_itself() {
    let (mut world, _) = bought("activates_on_event: delivered, event_within: 20 days");
    world.now = Instant(at("2026-05-24").0 - 1);
    assert_eq!(world.has("mia"), "pending 10");
    world.go("2026-05-24");
    world.advance("mia");
    assert_eq!((world.has("mia"), world.facts("mia").last()), ("nothing".into(), Some(&"called_off")));
    let state = &world.accounts[&account("mia")];
    assert_eq!((state.amount(&points(), Book::Issued), state.amount(&points(), Book::Reversed)), (-10, 10));
    // Too late: recorded, and told why it does nothing. The return finds nothing to take.
    let late = world.decide("mia", event("o", "e1", "delivered", &[]));
    assert_eq!(told(&late), ["no event e1: EventTooLate"]);
    assert_eq!(told(&world.give_back("mia", everything("o", "r"))), Vec::<String>::new());
    assert_eq!(world.order("o").events.len(), 1);
    // Without a limit they wait for ever.
    let (mut world, _) = bought("activates_on_event: delivered, event_within: none");
    world.go("2036-05-24");
    assert_eq!(world.has("mia"), "pending 10");
}

#[test]
fn b1_parcels_release_what_is_in_them_and_events_are_recorded_once() {
    let mut world = World::new(&format!("units: {{points: {{activates_on_event: delivered}}}}{BASE}")).with("mia", 0);
    world.buy("mia", order("o", vec![line("a", 1_000), items(2, line("b", 2_000)), line("c", 500)]));
    let first = world.decide("mia", event("o", "e1", "delivered", &["a"]));
    assert_eq!(told(&first), ["o:base releases 10"]);
    assert_eq!(world.has("mia"), "available 10, pending 25");
    let again = world.decide("mia", event("o", "e1", "delivered", &["a"]));
    assert_eq!(told(&again), ["o:base releases 10"]);
    assert!(again.entries.is_empty());
    for other in [event("o", "e1", "shipped", &["a"]), event("o", "e1", "delivered", &["b"])] {
        assert_eq!(told(&world.decide("mia", other)), ["no event e1: EventDiffers"]);
    }
    assert_eq!(told(&world.decide("mia", event("o", "e2", "delivered", &["x"]))), ["no line x: LineUnknown"]);
    assert_eq!(told(&world.decide("mia", event("p", "e2", "delivered", &[]))), ["no order: OrderUnknown"]);
    // One of two comes back before the parcel with them arrives.
    let back = world.give_back("mia", returned("o", "r1", ReturnWhat::Lines(vec![quantity("b", 1)])));
    assert_eq!(told(&back), ["o:base loses 10"]);
    assert_eq!(told(&world.decide("mia", event("o", "e3", "delivered", &[]))), ["o:base releases 15"]);
    assert_eq!(world.has("mia"), "available 25");
    assert_eq!(told(&world.give_back("mia", everything("o", "r2"))), ["o:base loses 10", "o:base loses 15"]);
    assert_eq!(world.has("mia"), "nothing");
}

#[test]
fn b1_a_rule_has_terms_of_its_own_and_grants_outside_orders_wait_for_nothing() {
    let sections = "
units: {points: {activates_on_event: delivered}}
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: now, kind: behavioural, on: order, then: {bonus: {units: 3, life: {activates_on_event: none}}}}
  - {id: hello, kind: emotional, on: enrolment, then: {bonus: {units: 7}}}
";
    let mut world = World::new(sections).with("mia", 0);
    assert_eq!(world.has("mia"), "available 7");
    world.buy("mia", order_for("o", 1_000));
    assert_eq!(world.has("mia"), "available 10, pending 10");
}

#[test]
fn a17_what_has_happened_to_a_guest_order_counts_when_it_is_claimed() {
    use guerdon::domain::command::{Claim, GuestOrder};
    let terms = "units: {points: {activates_on_event: delivered, event_within: 5 days, expires_after: 30 days}}";
    // delivered on, claimed on, has
    for (delivered, claimed, expected) in [
        (Some("2026-05-06"), "2026-05-20", "available 10"),
        (Some("2026-05-06"), "2026-05-05", "pending 10"),
        (Some("2026-05-10"), "2026-05-20", "nothing"),
        (None, "2026-05-20", "nothing"),
    ] {
        let mut world = World::new(&format!("{terms}{BASE}")).with("mia", 0);
        let guest = guerdon::domain::id::MemberId::guest(&order_id("o")).to_string();
        world.buy(&guest, order_for("o", 1_000));
        if let Some(delivered) = delivered.filter(|delivered| at(delivered) <= at(claimed)) {
            world.go(delivered);
            world.decide(&guest, event("o", "e", "delivered", &[]));
        }
        let placed = world.order("o").committed_at;
        let record = Box::new(world.orders.remove(&order_id("o")).unwrap());
        world.go(claimed);
        let claim = Claim { order_id: order_id("o"), claimed_at: world.now, guest: GuestOrder::Claimed(record) };
        world.decide_as_of("mia", Command::Claim(claim), placed);
        assert_eq!(world.has("mia"), expected, "{delivered:?} {claimed}");
        if expected == "available 10" {
            assert_eq!(world.accounts[&account("mia")].balances()[0].expiries, [(at("2026-06-05"), 10)]);
        }
    }
}

/// Expired units are gone at the instant itself, not a moment before.
#[test]
fn b2_units_expire_by_period_calendar_and_rounding() {
    // terms, expires; active from 2026-05-04T12:00Z
    for (terms, expires) in [
        ("expires_after: 10 days", "2026-05-14T12:00:00Z"),
        ("expires_after: 10 days, expiry_rounded_to: end_of_month", "2026-06-01T00:00:00Z"),
        ("expires_after: 10 days, expiry_rounded_to: end_of_quarter", "2026-07-01T00:00:00Z"),
        ("expires_after: 10 days, expiry_rounded_to: end_of_year", "2027-01-01T00:00:00Z"),
        ("expires_on: [\"12-31\"]", "2027-01-01T00:00:00Z"),
        ("expires_on: [\"05-04\", \"11-30\"]", "2026-05-05T00:00:00Z"),
        ("expires_on: [\"05-31\", \"11-30\"], lives_at_least: 30 days", "2026-12-01T00:00:00Z"),
        ("expires_on: [\"05-31\"], lives_at_least: 27 days", "2026-06-01T00:00:00Z"),
        ("expires_on: [\"05-31\"], lives_at_least: 2 years", "2028-06-01T00:00:00Z"),
        ("expires_on: [\"02-29\"]", "2027-03-01T00:00:00Z"),
    ] {
        let (mut world, _) = bought(terms);
        assert_eq!(world.accounts[&account("mia")].balances()[0].expiries, [(at(expires), 10)], "{terms}");
        world.now = Instant(at(expires).0 - 1);
        assert_eq!(world.has("mia"), "available 10", "{terms}");
        world.now = at(expires);
        assert_eq!(world.has("mia"), "nothing", "{terms}");
    }
    let (mut world, _) = bought("");
    world.go("2126-05-04");
    assert_eq!(world.has("mia"), "available 10", "never");
}

#[test]
fn b2_units_expire_for_want_of_activity_and_what_counts_is_listed() {
    let pay = "pay_with: {points: {units: 1, worth: GBP 0.01}}";
    type Act = fn(&mut World);
    let activities: [(&str, Act); 4] = [
        ("order", |world| drop(world.buy("mia", order_for("tiny", 10)))),
        ("adjust", |world| drop(world.adjust("mia", -1, None))),
        ("event", |world| drop(world.decide("mia", event("o", "e", "shipped", &[])))),
        ("redeem", |world| {
            let commit = Commit { redeem: Some(pay_exactly(2)), ..commit(order_for("spend", 50)) };
            world.commit("mia", commit);
        }),
    ];
    for (name, act) in activities {
        for counts in [true, false] {
            let listed = if counts { name } else { "earn" };
            let terms = format!("expires_when_idle: {{after: 30 days, reset_by: [{listed}]}}");
            let mut world = World::new(&format!("units: {{points: {{{terms}}}}}\n{pay}{BASE}")).with("mia", 0);
            world.buy("mia", order_for("o", 1_000));
            let idle = |world: &World| world.accounts[&account("mia")].balances()[0].idle_at;
            assert_eq!(idle(&world), at("2026-06-03"), "{name}");
            world.go("2026-05-20");
            act(&mut world);
            assert_eq!(idle(&world), at(if counts { "2026-06-19" } else { "2026-06-03" }), "{name}, listed {listed}");
            world.now = Instant(idle(&world).0 - 1);
            assert!(world.has("mia").starts_with("available"), "{name}");
            world.now = idle(&world);
            assert_eq!(world.has("mia"), "nothing", "{name}");
            // Whatever comes next begins anew.
            world.go("2026-07-01");
            world.buy("mia", order_for("next", 1_000));
            assert_eq!((world.has("mia"), idle(&world)), ("available 10".into(), at("2026-07-31")), "{name}");
        }
    }
}

#[test]
fn b2_idle_time_of_pending_units_counts_from_their_activation() {
    let terms = "activates_after: 60 days, expires_when_idle: {after: 30 days, rounded_to: end_of_month}";
    let (mut world, _) = bought(terms);
    world.go("2026-07-03");
    assert_eq!(world.has("mia"), "available 10");
    world.go("2026-08-31T23:59:59.999Z");
    assert_eq!(world.has("mia"), "available 10");
    world.go("2026-09-01T00:00:00Z");
    assert_eq!(world.has("mia"), "nothing");
}

#[test]
fn b2_spent_units_that_come_back_after_idle_time_live_for_the_grace() {
    for (grace, expected) in [("30 days", "available 10"), ("none", "nothing")] {
        let sections = format!(
            "units: {{points: {{expires_when_idle: {{after: 30 days}}}}}}
pay_with: {{points: {{units: 1, worth: GBP 0.01}}}}
returns: {{lapsed_grace: {grace}}}{BASE}"
        );
        let mut world = World::new(&sections).with("mia", 0);
        world.buy("mia", order_for("o", 1_000));
        world.commit("mia", Commit { redeem: Some(pay_exactly(10)), ..commit(order_for("p", 50)) });
        world.go("2026-08-04");
        world.give_back("mia", everything("p", "r"));
        assert_eq!(world.has("mia"), expected, "grace {grace}");
    }
}

#[test]
fn b2_expiry_is_extended_and_expired_units_are_reinstated() {
    let (mut world, _) = bought("expires_after: 10 days");
    world.adjust("mia", 5, Some("2026-06-30"));
    assert_eq!(
        told(&world.decide("mia", extend(Some("2026-05-14"), "2026-06-01"))),
        ["no adjustment: NothingToExtend"]
    );
    assert_eq!(told(&world.decide("mia", extend(None, "2026-05-04"))), ["no adjustment: OutOfBounds"]);
    assert_eq!(told(&world.decide("mia", extend(None, "2026-06-01"))), ["10 live longer"]);
    world.go("2026-05-31");
    assert_eq!(world.has("mia"), "available 15");
    world.go("2026-06-01");
    assert_eq!(world.has("mia"), "available 5", "at the new instant itself");
    assert_eq!(
        told(&world.decide("mia", reinstate(Some(11), None))),
        ["no adjustment: NothingExpired, asks 11, has 10"]
    );
    assert_eq!(told(&world.decide("mia", reinstate(Some(4), Some("2026-07-01")))), ["4 are back"]);
    assert_eq!(told(&world.decide("mia", reinstate(None, None))), ["6 are back"]);
    assert_eq!(told(&world.decide("mia", reinstate(None, None))), ["no adjustment: NothingExpired, asks 1, has 0"]);
    assert_eq!(world.has("mia"), "available 15");
    let balance = world.accounts[&account("mia")].balances().remove(0);
    assert_eq!(balance.lifetime_expired, 0);
    assert_eq!(balance.expiries, [(at("2026-06-11"), 6), (at("2026-06-30"), 5), (at("2026-07-01"), 4)]);
    // What has come back is there for the return.
    assert_eq!(told(&world.give_back("mia", everything("o", "r"))), ["o:base loses 10"]);
    assert_eq!(world.has("mia"), "available 5");
}

#[test]
fn b3_what_expires_first_is_spent_first_then_what_is_oldest() {
    let mut world = World::new(&format!("pay_with: {{points: {{units: 1, worth: GBP 0.01}}}}{BASE}")).with("mia", 3);
    world.adjust("mia", 4, Some("2026-08-01"));
    world.adjust("mia", 5, Some("2026-07-01"));
    let commit = Commit { redeem: Some(pay_exactly(10)), ..commit(order_for("o", 1_000)) };
    world.commit("mia", commit);
    let parts: Vec<(Instant, i64)> =
        world.order("o").uses[0].parts.iter().map(|part| (part.dates.expires_at, part.amount)).collect();
    assert_eq!(parts, [(at("2026-07-01"), 5), (at("2026-08-01"), 4), (Instant::MAX, 1)]);
}

#[test]
fn b4_what_is_owed_is_by_cause_and_down_to_a_floor() {
    let units = |debt: &str| {
        format!("units: {{points: {{debt: {{{debt}}}}}}}\npay_with: {{points: {{units: 1, worth: GBP 0.01}}}}{BASE}")
    };
    // Ten points, all spent, then the goods come back.
    for (debt, expected, has) in [
        ("", "o:base loses 10, debt 10", "debt 10"),
        ("on_return: allow", "o:base loses 10, debt 10", "debt 10"),
        ("on_return: allow, floor: 4", "o:base loses 10, debt 4, forgiven 6", "debt 4"),
        ("on_return: clamp", "o:base loses 10, forgiven 10", "nothing"),
        ("on_return: refuse", "no return: BalanceTooLow, asks 10, has 0", "nothing"),
    ] {
        let mut world = World::new(&units(debt)).with("mia", 0);
        world.buy("mia", order_for("o", 1_000));
        world.adjust("mia", -10, None);
        assert_eq!(told(&world.give_back("mia", everything("o", "r"))), [expected], "{debt}");
        assert_eq!(world.has("mia"), has, "{debt}");
        world.buy("mia", order_for("next", 1_000));
        let left = if has == "nothing" { 10 } else { 10 - has.rsplit(' ').next().unwrap().parse::<i64>().unwrap() };
        assert_eq!(world.accounts[&account("mia")].amount(&points(), Book::Available), left, "repaid first: {debt}");
    }
    for (debt, expected, has) in [
        ("", "no adjustment: BalanceTooLow, asks 15, has 10", "available 10"),
        ("on_adjust: clamp", "adjusted by -10", "nothing"),
        ("on_adjust: allow", "adjusted by -15", "debt 5"),
        ("on_adjust: allow, floor: 5", "adjusted by -15", "debt 5"),
        ("on_adjust: allow, floor: 4", "no adjustment: BalanceTooLow, asks 15, has 14", "available 10"),
    ] {
        let mut world = World::new(&units(debt)).with("mia", 10);
        assert_eq!(told(&world.adjust("mia", -15, None)), [expected], "{debt}");
        assert_eq!(world.has("mia"), has, "{debt}");
    }
    for (debt, has, back) in [
        ("", "debt 25", "available 10"),
        ("on_paid_order: allow, floor: 20", "debt 20", "available 10"),
        ("on_paid_order: clamp", "nothing", "available 10"),
    ] {
        let mut world = World::new(&units(debt)).with("mia", 10);
        // Forty pay for all of it, so that nothing is earned beyond five.
        let paid = Commit { redeem: Some(pay_exactly(40)), paid: true, ..commit(order("p", vec![line("a", 45)])) };
        world.commit("mia", paid);
        let owed = if debt.is_empty() {
            30
        } else if has == "nothing" {
            0
        } else {
            20
        };
        assert_eq!(world.accounts[&account("mia")].debt(&points()), owed, "{debt} {has}");
        let refunded = refund(&world.give_back("mia", everything("p", "r"))).units;
        assert_eq!(refunded, [(points(), 10 + owed)], "{debt}");
        assert_eq!(world.has("mia"), back, "{debt}");
    }
}

#[test]
fn b5_the_buckets_say_where_every_unit_is() {
    let sections = format!(
        "units: {{points: {{activates_after: 1 day, expires_after: 10 days}}}}
pay_with: {{points: {{units: 1, worth: GBP 0.01}}}}{BASE}"
    );
    let mut world = World::new(&sections).with("mia", 0);
    world.buy("mia", order_for("a", 10_000));
    world.go("2026-05-06");
    world.buy("mia", order_for("b", 2_000));
    world.reserve("mia", order_for("c", 1_000), pay_exactly(30));
    world.commit("mia", Commit { redeem: Some(pay_exactly(15)), ..commit(order_for("d", 15)) });
    let balance = world.accounts[&account("mia")].balances().remove(0);
    assert_eq!((balance.available, balance.pending, balance.held, balance.debt), (55, 20, 30, 0));
    assert_eq!((balance.lifetime_granted, balance.lifetime_redeemed, balance.lifetime_expired), (120, 15, 0));
    assert_eq!(balance.activations, [(at("2026-05-07"), 20)]);
    assert_eq!(balance.expiries, [(at("2026-05-15"), 55)]);
    world.go("2026-05-30");
    world.advance("mia");
    let balance = world.accounts[&account("mia")].balances().remove(0);
    assert_eq!((balance.available, balance.lifetime_expired), (0, 105));
}

#[test]
fn b6_each_unit_has_rules_and_a_life_of_its_own() {
    let sections = "
units: {points: {expires_after: 10 days}, credit: {}, status: {activates_on: [\"06-01\"]}}
pay_with: {credit: {units: 1, worth: GBP 0.01}}
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: back, kind: transactional, on: order, then: {earn: {units: 5, unit: credit, per: GBP 1.00}}}
  - {id: rank, kind: transactional, on: order, then: {earn: {units: 1, unit: status, per: GBP 10.00}}}
";
    let mut world = World::new(sections).with("mia", 0);
    world.buy("mia", order_for("o", 2_000));
    let has = |world: &World| ["points", "credit", "status"].map(|name| world.has_of("mia", &unit(name)));
    assert_eq!(has(&world), ["available 20", "available 100", "pending 2"]);
    // Status only qualifies, and points pay for nothing here.
    for name in ["points", "status"] {
        let mut redeem = pay_exactly(1);
        redeem.pay.as_mut().unwrap().unit = Some(unit(name));
        let decision = world.commit("mia", Commit { redeem: Some(redeem), ..commit(order_for("p", 100)) });
        assert_eq!(told(&decision), [format!("no payment {name}: UnitNotPayable")]);
    }
    world.decide("mia", Command::Adjust(Adjust { unit: Some(unit("credit")), ..adjust(-30, None) }));
    world.go("2026-06-01T00:00:00Z");
    assert_eq!(has(&world), ["nothing", "available 70", "available 2"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Parcels arrive and items come back in any order, some too late: what is left is what is kept, to the unit.
    #[test]
    fn b1_parts_released_and_parts_returned_in_any_order_sum_exactly(
        amounts in prop::collection::vec((1i64..9_999, 1i64..5), 1..5),
        steps in prop::collection::vec((any::<bool>(), 0usize..5, 1i64..4, 0i64..15), 0..25),
    ) {
        let sections = "
units: {points: {activates_on_event: delivered, event_within: 60 days}}
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 7, per: GBP 3.00}}}
  - {id: more, kind: behavioural, on: order, then: {bonus: {units: 13}}}
";
        let mut world = World::new(sections).with("mia", 0);
        let lines = amounts.iter().enumerate().map(|(n, (amount, items_of))| items(*items_of, line(&format!("l{n}"), *amount)));
        world.buy("mia", order("o", lines.collect()));
        for (number, (is_event, at_line, count, days)) in steps.into_iter().enumerate() {
            world.now = world.now.plus_ms(days * 24 * 3_600_000);
            let name = format!("l{}", at_line % amounts.len());
            if is_event {
                world.decide("mia", event("o", &format!("e{number}"), "delivered", &[&name]));
            } else {
                let what = ReturnWhat::Lines(vec![quantity(&name, count)]);
                world.give_back("mia", returned("o", &format!("r{number}"), what));
            }
            let record = world.order("o");
            let state = guerdon::domain::decide::as_of(
                &world.timeline, world.accounts[&account("mia")].clone(), world.now).unwrap();
            let mut kept = 0i64;
            let mut waits = 0i64;
            let mut record = record.clone();
            record.call_off(world.now, &state);
            for grant in &record.grants {
                for ((stage, share), line) in grant.awaits.as_ref().unwrap().lines.iter().zip(&grant.shares).zip(&record.lines) {
                    let left = share - line.returned_of(*share).unwrap();
                    match stage.stage {
                        guerdon::domain::order_record::Stage::Waiting => waits += left,
                        guerdon::domain::order_record::Stage::Released(_) => kept += left,
                        guerdon::domain::order_record::Stage::CalledOff => {}
                    }
                }
            }
            prop_assert_eq!(state.amount(&points(), Book::Available), kept);
            prop_assert_eq!(state.amount(&points(), Book::Pending), waits);
            prop_assert_eq!(state.debt(&points()), 0);
        }
        world.give_back("mia", everything("o", "last"));
        prop_assert_eq!(world.has("mia"), "nothing");
    }
}
