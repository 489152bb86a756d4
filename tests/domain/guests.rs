//! Orders of guests: recorded, returned, and claimed by members.

use guerdon::domain::answer::{Answer, ClaimStatus, OrderState};
use guerdon::domain::command::{Claim, Command, Commit, GuestOrder, ReturnWhat};
use guerdon::domain::decide::{Decision, claimable};
use guerdon::domain::id::{AccountId, MemberId};
use guerdon::domain::ledger::Stored;
use guerdon::domain::order::{LineKind, Order, OrderKind};
use guerdon::domain::program::Timeline;
use guerdon::domain::time::Instant;

use super::kit::*;

/// The stand-in for whoever placed the order.
pub(crate) fn guest_of(order: &str) -> String {
    MemberId::guest(&order_id(order)).to_string()
}

pub(crate) fn buy_as_guest(world: &mut World, commit: Commit) -> Decision {
    let guest = guest_of(commit.order.order_id.as_str());
    world.commit(&guest, commit)
}

/// What the service does: sees what stands under the guest, makes it the member's if it may be, then decides.
fn claim_as(world: &mut World, member: &str, order: &str, guest: GuestOrder) -> Decision {
    let claim = Claim { order_id: order_id(order), claimed_at: world.now, guest };
    let placed = match &claim.guest {
        GuestOrder::Claimed(record) | GuestOrder::Open(record) => record.committed_at,
        GuestOrder::Absent | GuestOrder::Taken => world.now,
    };
    world.decide_as_of(member, Command::Claim(claim), placed)
}

pub(crate) fn claim(world: &mut World, member: &str, order: &str) -> Decision {
    let record = Box::new(world.order(order).clone());
    let may = claimable(&world.timeline, &record, world.now).is_ok() && world.accounts.contains_key(&account(member));
    if may {
        // From here on the order is found under the member alone.
        world.orders.remove(&order_id(order));
    }
    let guest = if may { GuestOrder::Claimed(record.clone()) } else { GuestOrder::Open(record.clone()) };
    if !may {
        world.orders.remove(&order_id(order));
    }
    let decision = claim_as(world, member, order, guest);
    if !may {
        world.orders.insert(order_id(order), *record);
    }
    decision
}

fn status(decision: &Decision) -> ClaimStatus {
    match &decision.answer {
        Answer::Claim(answer) => answer.status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a17_a_guest_sees_what_a_member_would_have_earned_and_gets_it_by_claiming() {
    let mut world = World::new(&format!("guests: {{claim_within: 14 days}}{BASE}"));
    let order = order("o", vec![items(3, line("a", 3_000)), line("b", 1_000)]);
    let decision = buy_as_guest(&mut world, commit(order.clone()));
    assert_eq!(told(&decision), ["base would grant 40"]);
    assert!(committed(&decision).balances.is_empty());
    assert_eq!(world.facts(&guest_of("o")), ["order_committed"]);
    // Sent again it stands as it did.
    assert_eq!(told(&buy_as_guest(&mut world, commit(order))), ["base would grant 40"]);

    world.give_back(&guest_of("o"), returned("o", "r1", ReturnWhat::Lines(vec![quantity("a", 1)])));
    world.go("2026-05-10");
    world.enrol("mia", &[]);
    let decision = claim(&mut world, "mia", "o");
    assert_eq!(status(&decision), ClaimStatus::Claimed);
    assert_eq!(told(&decision), ["base grants 40", "o:base loses 10"]);
    assert_eq!(world.has("mia"), "available 30");
    assert_eq!(world.facts("mia")[1..], ["order_claimed", "granted", "reversed", "order_committed", "order_returned"]);
    let record = world.order("o");
    assert_eq!((record.member.as_str(), record.state), ("mia", OrderState::PartiallyReturned));
    assert_eq!(record.committed_at, at("2026-05-04"));

    let again = claim_as(&mut world, "mia", "o", GuestOrder::Absent);
    assert_eq!(status(&again), ClaimStatus::AlreadyClaimed);
    // What comes back later comes off the member's account, to nothing.
    assert_eq!(told(&world.give_back("mia", everything("o", "r2"))), ["o:base loses 30"]);
    assert_eq!(world.has("mia"), "nothing");
}

#[test]
fn a17_who_may_claim_what_and_when() {
    let days = |n: i64| n * 24 * 3_600_000;
    // terms, after so many milliseconds, told
    for (terms, after_ms, expected) in [
        ("", days(30) - 1, "base grants 10"),
        ("", days(30), "no order: ClaimTooLate"),
        ("guests: {claim_within: 2 days}", days(2) - 1, "base grants 10"),
        ("guests: {claim_within: 2 days}", days(2), "no order: ClaimTooLate"),
        ("guests: {claim_within: none}", 0, "no order: NotClaimable"),
    ] {
        let mut world = World::new(&format!("{terms}\n{BASE}")).with("mia", 0);
        buy_as_guest(&mut world, commit(order_for("o", 1_000)));
        world.now = world.now.plus_ms(after_ms);
        assert_eq!(told(&claim(&mut world, "mia", "o")), [expected], "{terms} after {after_ms} ms");
    }
    let mut world = World::new(BASE).with("mia", 0);
    buy_as_guest(&mut world, commit(order_for("o", 1_000)));
    assert_eq!(told(&claim(&mut world, "nobody", "o")), ["no member: MemberUnknown"]);
    world.orders.clear();
    let absent = claim_as(&mut world, "mia", "o", GuestOrder::Absent);
    assert_eq!((told(&absent), absent.remember), (vec!["no order: OrderUnknown".to_owned()], false));
    let taken = claim_as(&mut world, "mia", "o", GuestOrder::Taken);
    assert_eq!((told(&taken), taken.remember), (vec!["no order: ClaimedByOther".to_owned()], true));
    // The member has bought something else under the same id.
    world.buy("mia", order_for("o", 500));
    assert_eq!(told(&claim_as(&mut world, "mia", "o", GuestOrder::Absent)), ["no order: OrderCommitted"]);
}

#[test]
fn a17_a_guest_spends_nothing_owes_nothing_and_keeps_free_rewards() {
    let sections = format!(
        "pay_with: {{points: {{units: 100, worth: GBP 1.00}}}}
rewards:
  - {{id: free, title: F, gives: {{amount_off: GBP 2.00}}}}
  - {{id: dear, title: D, gives: {{amount_off: GBP 2.00}}, price: {{units: 5}}}}
{BASE}"
    );
    let with = |redeem, paid| Commit { redeem: Some(redeem), paid, ..commit(order_for("o", 1_000)) };
    for (redeem, paid, expected) in [
        (pay_exactly(100), false, vec!["no payment points: BalanceTooLow, asks 100, has 0"]),
        (pay_exactly(100), true, vec!["base would grant 10", "no payment points: BalanceTooLow, asks 100, has 0"]),
        (rewards(&["free"]), false, vec!["free takes 200 off", "base would grant 8"]),
        (rewards(&["dear"]), true, vec!["base would grant 10", "no reward dear: BalanceTooLow, asks 5, has 0"]),
    ] {
        let mut world = World::new(&sections);
        let decision = buy_as_guest(&mut world, with(redeem.clone(), paid));
        assert_eq!(told(&decision), expected, "{redeem:?} paid {paid}");
    }
    let mut world = World::new(&sections).with("mia", 0);
    buy_as_guest(&mut world, with(rewards(&["free"]), false));
    assert_eq!(told(&claim(&mut world, "mia", "o")), ["free takes 200 off", "base grants 8"]);
    assert_eq!(refund(&world.give_back("mia", everything("o", "r"))).money_minor, 800);
}

#[test]
fn a17_codes_of_a_guest_are_answered_when_the_order_is_claimed() {
    let sections = format!(
        "referrals:
  - {{id: friends, title: F, advocate: {{units: 50}}, friend: {{units: 20}}, spend_at_least: GBP 5.00}}
{BASE}"
    );
    let mut world = World::new(&sections).with("ann", 0).with("leo", 0);
    world.code("ANN1", "ann", "friends");
    let codes = vec![entered("ANN1")];
    let decision = buy_as_guest(&mut world, Commit { codes, ..commit(order_for("o", 1_000)) });
    assert_eq!(told(&decision), ["base would grant 10", "no code ANN1: AnsweredAtClaim"]);
    let decision = claim(&mut world, "leo", "o");
    assert_eq!(
        told(&decision),
        ["base grants 10", "friends:leo is Attributed", "friends:leo is Qualified", "friends grants 20"]
    );
    world.relay();
    assert_eq!((world.has("ann"), world.has("leo")), ("available 50".into(), "available 30".into()));
}

#[test]
fn a17_the_whole_order_is_kept_as_it_was_sent() {
    let lines = vec![
        of_category("tea", of_sku("s-1", taxed(20, items(2, line("a", 1_000))))),
        of_brand("b", of_category("tea", line("b", 500))),
        of_kind(LineKind::Shipping, line("c", 300)),
    ];
    let sent = Order {
        channel: Some(label("web")),
        store: Some(label("north")),
        zone: Some(jiff::tz::TimeZone::get("Asia/Tokyo").unwrap()),
        kind: OrderKind::First,
        ..order("o", lines)
    };
    let mut world = World::new(BASE);
    buy_as_guest(&mut world, commit(sent.clone()));
    assert_eq!(world.order("o").order(), sent);
    let stored = world.order("o").to_stored();
    let read = guerdon::domain::order_record::OrderRecord::from_stored(&stored).unwrap();
    assert_eq!(read.order(), sent);
}

/// A claimed order is decided with what held when it was placed: version, hours, dates.
#[test]
fn a18_a_late_order_is_decided_with_the_version_and_windows_that_applied() {
    let of = |units: u32| {
        program(&format!(
            "units: {{points: {{expires_after: 10 days}}}}
rules:
  - {{id: base, kind: transactional, on: order, then: {{earn: {{units: {units}, per: GBP 1.00}}}}}}
  - {{id: happy, kind: behavioural, on: order, when: {{hours: [{{from: \"11:00\", until: \"13:00\"}}]}}, \
              then: {{multiply: {{by: 2}}}}}}
"
        ))
    };
    let timeline = Timeline { versions: vec![(Instant(0), of(1)), (at("2026-05-06"), of(5))] };
    let late = |world: &mut World, when: &str, claimed: bool| {
        if claimed {
            world.now = at(when);
            buy_as_guest(world, commit(order_for("o", 1_000)));
            world.go("2026-05-08T20:00:00Z");
            claim(world, "mia", "o")
        } else {
            world.go("2026-05-08T20:00:00Z");
            world.decide_as_of("mia", Command::Commit(commit(order_for("o", 1_000))), at(when))
        }
    };
    for claimed in [false, true] {
        // placed, granted, expires
        for (placed, granted, expires) in [
            ("2026-05-05T12:00:00Z", 20, "2026-05-15T12:00:00Z"),
            ("2026-05-05T13:00:00Z", 10, "2026-05-15T13:00:00Z"),
            ("2026-05-06T11:59:59Z", 20, "2026-05-16T11:59:59Z"),
            ("2026-05-06T12:00:00Z", 100, "2026-05-16T12:00:00Z"),
        ] {
            let mut world = World::of(of(1));
            world.timeline = timeline.clone();
            world.now = at("2026-05-01");
            world.enrol("mia", &[]);
            let decision = late(&mut world, placed, claimed);
            let sum: i64 = grants(&decision).iter().map(|(_, n)| n).sum();
            assert_eq!(sum, granted, "{placed}, claimed {claimed}");
            let balance = &world.accounts[&account("mia")].balances()[0];
            assert_eq!(balance.expiries, [(at(expires), granted)], "{placed}, claimed {claimed}");
            // The window in which a happy hour counts twice is the order's, not that of its arrival.
            assert_eq!(world.order("o").committed_at, at(placed));
        }
    }
}

#[test]
fn a18_orders_from_too_far_back_or_ahead_are_refused() {
    // said to have happened, told
    for (when, expected) in [
        ("2026-05-02T12:00:00Z", "base grants 10"),
        ("2026-05-02T11:59:59.999Z", "no order: TooFarBack"),
        ("2026-05-04T12:00:00Z", "base grants 10"),
        ("2026-05-04T12:00:00.001Z", "no order: InFuture"),
    ] {
        let program = format!("back_dating_max: 2 days{BASE}");
        let mut world = World::new(&program).on("2026-05-01").with("mia", 0).on("2026-05-04");
        let decision = world.decide_as_of("mia", Command::Commit(commit(order_for("o", 1_000))), at(when));
        assert_eq!(told(&decision), [expected], "{when}");
    }
}

#[test]
fn a18_units_of_a_late_order_that_have_expired_by_now_are_gone() {
    let mut world = World::new(&format!("units: {{points: {{expires_after: 1 day}}}}{BASE}")).with("mia", 0);
    world.go("2026-05-10");
    let commit = Command::Commit(commit(order_for("o", 1_000)));
    world.decide_as_of("mia", commit, at("2026-05-09T12:00:00Z"));
    assert_eq!(world.has("mia"), "nothing");
    assert_eq!(world.facts("mia").last(), Some(&"expired"));
    // They come back to nobody.
    assert_eq!(told(&world.give_back("mia", everything("o", "r"))), ["o:base loses 10, expired 10"]);
}

#[test]
fn order_kinds_that_earn_are_the_programs_choice() {
    use OrderKind::{First, Ordinary, Renewal, Replacement, Trial};
    let no = "no earn: KindEarnsNothing";
    let yes = "base grants 10";
    for (terms, expected) in [
        ("", [(Ordinary, yes), (First, yes), (Renewal, yes), (Trial, no), (Replacement, no)]),
        (
            "earning: {order_kinds: [trial, renewal]}",
            [(Ordinary, no), (First, no), (Renewal, yes), (Trial, yes), (Replacement, no)],
        ),
    ] {
        for (kind, told_of) in expected {
            let mut world = World::new(&format!("{terms}\n{BASE}")).with("mia", 0);
            let order = Order { kind, ..order_for("o", 1_000) };
            let decision = world.commit("mia", Commit { explain: true, ..commit(order) });
            assert_eq!(told(&decision), [told_of], "{kind:?} {terms}");
            assert_eq!(
                committed(&decision).decided.explain.as_ref().map(|e| e.rules.len()),
                Some((told_of == yes).into())
            );
        }
    }
    assert!(AccountId::parse(&guest_of("o")).unwrap().is_guest());
}
