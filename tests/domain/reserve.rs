//! Reservations: held, replaced, lapsed, released, committed.

use guerdon::domain::account::AccountState;
use guerdon::domain::answer::{CommitStatus, Reason, ReservationState};
use guerdon::domain::command::{Command, Commit, Reserve};
use guerdon::domain::time::{SECOND_MS, Times};

use super::kit::*;

const PAY: &str = "
pay_with: {points: {units: 100, worth: GBP 1.00, step: 50, units_min: 100}}
rewards: [{id: two-off, title: T, gives: {amount_off: GBP 2.00}, price: {units: 100}, spend_at_least: GBP 5.00}]
reservations: {ttl_default: 15 minutes, ttl_max: 1 hour}
";

fn paid(commit: Commit) -> Commit {
    Commit { paid: true, ..commit }
}

#[test]
fn c6_reserving_again_replaces_the_hold_and_a_refusal_keeps_it() {
    let mut world = World::new(PAY).with("mia", 300);
    for (units, reserved_now, revision, has) in [
        (200, true, 1, "available 100, held 200"),
        (300, true, 2, "held 300"),
        (400, false, 2, "held 300"),
        (120, false, 2, "held 300"),
        (100, true, 3, "available 200, held 100"),
    ] {
        let decision = world.reserve("mia", order_for("o", 1_000), pay_exactly(units));
        let answer = reserved(&decision);
        assert_eq!(answer.reserved, reserved_now, "{units}");
        assert_eq!(answer.reservation.as_ref().unwrap().revision, revision, "{units}");
        assert_eq!(world.has("mia"), has, "{units}");
    }
}

#[test]
fn c6_a_hold_lives_as_long_as_asked_within_the_maximum() {
    for (ttl_s, lives_s) in [(None, 900), (Some(60), 60), (Some(3_600), 3_600), (Some(9_000), 3_600)] {
        let mut world = World::new(PAY).with("mia", 300);
        let reserve = Reserve { ttl_s, ..reserve(order_for("o", 1_000), pay_exactly(200)) };
        world.decide("mia", Command::Reserve(reserve));
        let begun = world.now;
        world.now = begun.plus_ms(lives_s * SECOND_MS - 1);
        assert_eq!(world.has("mia"), "available 100, held 200", "{ttl_s:?}");
        world.now = begun.plus_ms(lives_s * SECOND_MS);
        assert_eq!(world.has("mia"), "available 300", "{ttl_s:?}");
    }
}

#[test]
fn c7_a_commit_settles_its_reservation() {
    // What happens between, whether it is paid, what is told, what is left.
    let cases: &[(&str, bool, &[&str], &str)] = &[
        ("nothing", false, &["200 units pay 200"], "available 100"),
        ("nothing", true, &["200 units pay 200"], "available 100"),
        ("lapse", false, &["200 units pay 200"], "available 100"),
        ("lapse", true, &["200 units pay 200"], "available 100"),
        ("lapse and spend", false, &["no reservation: BalanceTooLow, asks 200, has 50"], "available 50"),
        ("lapse and spend", true, &["200 units pay 200, debt 150"], "debt 150"),
        ("release", false, &[], "available 300"),
        ("release", true, &["200 units pay 200"], "available 100"),
        ("release and spend", true, &["200 units pay 200, debt 150"], "debt 150"),
    ];
    for (between, is_paid, expected, has) in cases {
        let mut world = World::new(PAY).with("mia", 300);
        world.reserve("mia", order_for("o", 1_000), pay_exactly(200));
        if between.starts_with("lapse") {
            world.go("2026-05-04T12:15:00Z");
        }
        if between.starts_with("release") {
            world.release("mia", "o");
        }
        if between.ends_with("spend") {
            world.adjust("mia", -250, None);
        }
        let commit = Commit { paid: *is_paid, ..commit(order_for("o", 1_000)) };
        let decision = world.commit("mia", commit);
        assert_eq!(told(&decision), *expected, "{between}, paid: {is_paid}");
        assert_eq!(world.has("mia"), *has, "{between}, paid: {is_paid}");
    }
}

#[test]
fn c7_a_refused_commit_leaves_the_hold() {
    let mut world = World::new(PAY).with("mia", 300);
    world.reserve("mia", order_for("o", 1_000), pay_exactly(200));
    let decision = world.commit("mia", Commit { redeem: Some(pay_exactly(400)), ..commit(order_for("o", 1_000)) });
    assert_eq!(committed(&decision).status, CommitStatus::Refused);
    assert_eq!(told(&decision), ["no payment points: BalanceTooLow, asks 400, has 300"]);
    assert_eq!(world.has("mia"), "available 100, held 200");
}

#[test]
fn c7_a_commit_of_fewer_lines_uses_what_fits_and_releases_the_rest() {
    let both = guerdon::domain::command::Redeem { pay: pay_exactly(200).pay, ..rewards(&["two-off"]) };
    let reserved = || order("o", vec![line("a", 400), line("b", 400)]);
    for (lines, expected, has) in [
        (
            vec![line("a", 400), line("b", 400)],
            vec!["two-off takes 200 off for 100", "200 units pay 200"],
            "available 0",
        ),
        // Below what the reward asks: only the units are used.
        (
            vec![line("a", 400)],
            vec!["200 units pay 200", "no reward two-off: SpendTooLow, asks 500, has 400"],
            "available 100",
        ),
        (
            vec![line("a", 170)],
            vec![
                "150 units pay 150",
                "no reward two-off: SpendTooLow, asks 500, has 170",
                "no payment points: AboveShare, asks 200, has 150",
            ],
            "available 150",
        ),
        (
            vec![line("a", 99)],
            vec![
                "no reward two-off: SpendTooLow, asks 500, has 99",
                "no payment points: BelowMinimum, asks 100, has 50",
            ],
            "available 300",
        ),
    ] {
        let mut world = World::new(PAY).with("mia", 300);
        world.reserve("mia", reserved(), both.clone());
        let decision = world.buy("mia", order("o", lines.clone()));
        assert_eq!(told(&decision), expected, "{lines:?}");
        let has = if has == "available 0" { "nothing" } else { has };
        assert_eq!(world.has("mia"), has, "{lines:?}");
        assert_eq!(committed(&decision).status, CommitStatus::Committed);
    }
}

#[test]
fn c7_a_commit_with_its_own_redemption_takes_held_units_first() {
    let mut world = World::new(PAY).with("mia", 300);
    world.reserve("mia", order_for("o", 1_000), pay_exactly(300));
    world.commit("mia", Commit { redeem: Some(pay_exactly(100)), ..commit(order_for("o", 1_000)) });
    assert_eq!(world.has("mia"), "available 200");
}

#[test]
fn c6_a_release_answers_how_the_reservation_stands() {
    let mut world = World::new(PAY).with("mia", 300);
    world.reserve("mia", order_for("held", 1_000), pay_exactly(100));
    world.reserve("mia", order_for("committed", 1_000), pay_exactly(100));
    world.buy("mia", order_for("committed", 1_000));
    for (order, now, state) in [
        ("held", true, ReservationState::Released),
        ("held", false, ReservationState::Released),
        ("committed", false, ReservationState::Committed),
        ("never", true, ReservationState::Released),
    ] {
        let decision = world.release("mia", order);
        assert_eq!(released(&decision).released, now, "{order}");
        assert_eq!(released(&decision).reservation.as_ref().unwrap().state, state, "{order}");
        // Bug: nothing was released of a committed order, and nothing said why.
        let why: Vec<Reason> = released(&decision).refusals.iter().map(|refusal| refusal.reason).collect();
        let expected = if order == "committed" { vec![Reason::OrderCommitted] } else { Vec::new() };
        assert_eq!(why, expected, "{order}");
    }
    world.reserve("mia", order_for("lapsed", 1_000), pay_exactly(100));
    world.go("2026-05-04T12:15:00Z");
    let decision = world.release("mia", "lapsed");
    assert_eq!(released(&decision).reservation.as_ref().unwrap().state, ReservationState::Expired);
    assert!(!released(&decision).released);
    assert_eq!(world.has("mia"), "available 200");
}

#[test]
fn c6_a_release_that_overtakes_its_reserve_stops_it() {
    // Seconds after the release at which a Reserve comes, and when it says it happened.
    for (after_s, stated_s, reserves) in [
        (1, None, false),
        (599, None, false),
        (600, None, true),
        (1, Some(0), false),
        (1, Some(-5), false),
        (1, Some(1), true),
    ] {
        let mut world = World::new(PAY).with("mia", 300);
        let released_at = world.now;
        world.release("mia", "o");
        world.now = released_at.plus_ms(after_s * SECOND_MS);
        let command = Command::Reserve(reserve(order_for("o", 1_000), pay_exactly(100)));
        let effective_at = stated_s.map_or(world.now, |s| released_at.plus_ms(s * SECOND_MS));
        let times = Times { now: world.now, effective_at, stated: stated_s.is_some() };
        let decision = world.decide_at("mia", command, times).unwrap();
        assert_eq!(reserved(&decision).reserved, reserves, "{after_s} {stated_s:?}");
        if !reserves {
            assert_eq!(told(&decision), ["no reservation: ReleasedBefore"], "{after_s} {stated_s:?}");
        }
    }
}

#[test]
fn c6_a_reservation_is_refused_in_this_order() {
    let mut world = World::new(PAY).with("mia", 300);
    world.buy("mia", order_for("done", 1_000));
    let unknown = world.reserve("nobody", order_for("o", 1_000), pay_exactly(100));
    assert_eq!(told(&unknown), ["no member: MemberUnknown"]);
    assert!(!unknown.remember, "the member may yet enrol");
    let decision = world.reserve("mia", order_for("done", 1_000), pay_exactly(100));
    assert_eq!(told(&decision), ["no reservation: OrderCommitted"]);
    let max = AccountState::HOLDS_OPEN_MAX;
    for n in 0..max {
        assert!(reserved(&world.reserve("mia", order_for(&format!("o{n}"), 1_000), nothing())).reserved);
    }
    let decision = world.reserve("mia", order_for("more", 1_000), nothing());
    assert_eq!(told(&decision), [format!("no reservation: TooManyReservations, asks {}, has {max}", max + 1)]);
    assert!(reserved(&world.reserve("mia", order_for("o0", 1_000), nothing())).reserved, "one that exists is replaced");
}

#[test]
fn c7_every_lapse_is_remembered_for_a_commit_that_was_paid() {
    let mut world = World::new(PAY).with("mia", 10_000);
    for n in 0..AccountState::HOLDS_OPEN_MAX {
        world.reserve("mia", order_for(&format!("o{n}"), 1_000), pay_exactly(100));
    }
    world.go("2026-05-05");
    let decision = world.commit("mia", paid(commit(order_for("o0", 1_000))));
    assert_eq!(told(&decision), ["100 units pay 100"]);
    assert_eq!(world.has("mia"), "available 9900");
}

#[test]
fn c6_an_open_hold_keeps_its_units_past_their_expiry() {
    let mut world = World::new(PAY).with("mia", 0);
    world.adjust("mia", 300, Some("2026-05-04T12:05:00Z"));
    world.reserve("mia", order_for("o", 1_000), pay_exactly(200));
    world.go("2026-05-04T12:10:00Z");
    assert_eq!(world.has("mia"), "held 200", "what was free expired");
    let mut other = world.clone();
    other.release("mia", "o");
    assert_eq!(other.has("mia"), "nothing", "what is released expires");
    let decision = world.buy("mia", order_for("o", 150));
    assert_eq!(told(&decision), ["150 units pay 150", "no payment points: AboveShare, asks 200, has 150"]);
    assert_eq!(world.has("mia"), "nothing", "what is left over expires");
}

#[test]
fn c7_what_a_commit_changes_of_its_reservation_is_listed() {
    let both = || guerdon::domain::command::Redeem { pay: pay_exactly(200).pay, ..rewards(&["two-off"]) };
    let none: &[&str] = &[];
    for (lines, asked, expected) in [
        (vec![line("a", 400), line("b", 400)], None, none),
        (vec![line("a", 400)], None, &["reward two-off: 200 -> 0, SpendTooLow"]),
        (
            vec![line("a", 170)],
            None,
            &["reward two-off: 200 -> 0, SpendTooLow", "payment points: 200 -> 150, AboveShare"],
        ),
        (
            vec![line("a", 99)],
            None,
            &["reward two-off: 200 -> 0, SpendTooLow", "payment points: 200 -> 0, BelowMinimum"],
        ),
        (
            vec![line("a", 400), line("b", 400)],
            Some(pay_exactly(250)),
            &["reward two-off: 200 -> 0, OrderChanged", "payment points: 200 -> 250, OrderChanged"],
        ),
    ] {
        let mut world = World::new(PAY).with("mia", 300);
        world.reserve("mia", order("o", vec![line("a", 400), line("b", 400)]), both());
        let decision = world.commit("mia", Commit { redeem: asked, ..commit(order("o", lines.clone())) });
        assert_eq!(changes(&decision), expected, "{lines:?}");
        assert_eq!(world.order("o").decided.changes.len(), expected.len(), "kept with the order");
    }
}

#[test]
fn c7_a_reservation_that_has_lapsed_is_covered_or_refused_as_the_program_says() {
    for (policy, is_paid, expected, has) in [
        ("cover", false, "200 units pay 200", "available 100"),
        ("refuse", false, "no reservation: ReservationLapsed", "available 300"),
        ("refuse", true, "200 units pay 200", "available 100"),
    ] {
        let terms = PAY.replace("reservations: {", &format!("reservations: {{on_lapsed: {policy}, "));
        let mut world = World::new(&terms).with("mia", 300);
        world.reserve("mia", order_for("o", 1_000), pay_exactly(200));
        world.go("2026-05-04T12:15:00Z");
        let decision = world.commit("mia", Commit { paid: is_paid, ..commit(order_for("o", 1_000)) });
        assert_eq!(told(&decision), [expected], "{policy}, paid: {is_paid}");
        assert_eq!(world.has("mia"), has, "{policy}, paid: {is_paid}");
        if policy == "refuse" && !is_paid {
            let again = world.reserve("mia", order_for("o", 1_000), pay_exactly(200));
            assert!(reserved(&again).reserved, "whoever is refused reserves again");
            world.buy("mia", order_for("o", 1_000));
            assert_eq!(world.has("mia"), "available 100");
        }
    }
}

#[test]
fn c7_nobody_buys_before_they_enrol() {
    let mut world = World::new(PAY).with("mia", 300);
    let early = world.now.plus_ms(-1);
    let refused = ["no order: BeforeEnrolment"];
    assert_eq!(told(&world.decide_as_of("mia", Command::Commit(commit(order_for("o", 1_000))), early)), refused);
    let reserve = Command::Reserve(reserve(order_for("o", 1_000), nothing()));
    assert_eq!(told(&world.decide_as_of("mia", reserve, early)), refused);
    let at_once = world.now;
    let commit = Command::Commit(commit(order_for("o", 1_000)));
    assert_eq!(committed(&world.decide_as_of("mia", commit, at_once)).status, CommitStatus::Committed);
}
