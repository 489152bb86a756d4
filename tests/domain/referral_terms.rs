//! What a referral takes, what it pays, and what takes that back.

use guerdon::domain::account::AccountState;
use guerdon::domain::answer::ReferralState;
use guerdon::domain::command::{Amend, Attribute, Command, Commit, Measure, RecordEvent, ReturnWhat, SettleReferral};
use guerdon::domain::id::{EventId, LineId, ReturnId, UnitId};
use guerdon::domain::ledger::Book;
use guerdon::domain::order::Line;
use guerdon::domain::referral::cycle::Verdict;
use guerdon::domain::referral::signal::Signals;
use guerdon::domain::referral::{RejectedFor, Via};

use super::kit::*;

const BASE_RULE: &str =
    "rules: [{id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1000.00}}}]\n";

/// A campaign with these terms, and Ada who has a code for it.
fn world(terms: &str) -> World {
    let head = "units: {points: {}, credit: {}}\nevents: {review: {approval: auto}}\n";
    let mut world = World::new(&format!("{head}referrals: [{{id: ref, title: T, {terms}}}]\n{BASE_RULE}"));
    world.enrol("ada", &[]);
    code(&mut world, "ada", "ADA0");
    world
}

fn code(world: &mut World, member: &str, code: &str) {
    world.decide(member, Command::CreateCode(wish(None, Some(code))));
    world.relay();
}

fn referral(world: &World, friend: &str) -> guerdon::domain::referral::Referral {
    world.accounts[&account(friend)].referral.clone().unwrap()
}

fn credit() -> UnitId {
    UnitId::parse("credit").unwrap()
}

fn bought(world: &mut World, member: &str, order: &str, amount: i64) {
    world.buy(member, order_for(order, amount));
    world.relay();
}

/// Two calls of one friend overtook each other: whoever was named second stood.
#[test]
fn r4_of_two_codes_alike_the_one_that_was_named_first_stands_whenever_it_is_told_of() {
    // When the second is said to have happened; what has come of the first; who stands.
    for (at_second, qualified, expected) in [
        ("2026-05-03T12:00:00Z", false, "eve"),
        ("2026-05-04T12:00:00Z", false, "ada"),
        ("2026-05-04T12:00:01Z", false, "ada"),
        ("2026-05-03T12:00:00Z", true, "ada"),
    ] {
        let mut w = world("friend: {units: 1}, spend_at_least: GBP 5.00");
        w.enrol("eve", &[]);
        code(&mut w, "eve", "EVE0");
        w.enrol("ben", &[]);
        w.decide("ben", named("ADA0"));
        if qualified {
            bought(&mut w, "ben", "o", 500);
        }
        w.go("2026-05-05T12:00:00Z");
        let decision = w.decide_as_of("ben", named("EVE0"), at(at_second));
        let stands = referral(&w, "ben");
        assert_eq!(stands.advocate, account(expected), "{at_second} {qualified}");
        if expected == "eve" {
            assert_eq!(told(&decision), ["ref:ben is Superseded", "ref:ben is Attributed"]);
            assert_eq!(stands.attributed_at, at(at_second));
        } else {
            assert_eq!(told(&decision), ["no code EVE0: AlreadyAttributed"]);
        }
    }
}

#[test]
fn r4_a_code_at_checkout_comes_before_one_at_sign_up_and_an_agent_before_both() {
    let mut w = world("friend: {units: 1}, spend_at_least: GBP 5.00");
    for (member, named) in [("eve", "EVE0"), ("fay", "FAY0")] {
        w.enrol(member, &[]);
        code(&mut w, member, named);
    }
    let by_agent = |code: &str| {
        Command::Attribute(Attribute { code: entered(code), agent: Some(label("zoe")), signals: Signals::None })
    };
    let at_checkout =
        |id: &str, amount: i64, code: &str| Commit { codes: vec![entered(code)], ..commit(order_for(id, amount)) };
    w.enrol("ben", &["ADA0"]);
    assert_eq!(
        told(&w.decide("ben", named("EVE0"))),
        ["no code EVE0: AlreadyAttributed"],
        "of two equal ones the first"
    );
    let decision = w.commit("ben", at_checkout("o1", 100, "EVE0"));
    let told_so: Vec<String> = told(&decision);
    let expected =
        ["ref:ben is Superseded", "ref:ben is Attributed", "no referral(\"ref:ben\"): ReferralConditionNotMet"];
    assert!(expected.iter().zip(&told_so).all(|(wanted, told)| told.starts_with(wanted)), "{told_so:?}");
    assert_eq!((referral(&w, "ben").advocate, referral(&w, "ben").via), (account("eve"), Via::Checkout));
    // The friend has ordered: whatever is named now comes too late.
    assert_eq!(told(&w.decide("ben", by_agent("FAY0"))), ["no code FAY0: NotNew"]);

    w.enrol("cat", &["ADA0"]);
    assert_eq!(told(&w.decide("cat", by_agent("ADA0"))), ["no code ADA0: AlreadyAttributed"], "to whom they are");
    let decision = w.decide("cat", by_agent("FAY0"));
    assert_eq!(told(&decision), ["ref:cat is Superseded", "ref:cat is Attributed"]);
    assert_eq!(referral(&w, "cat").via, Via::Agent(label("zoe")));
    let decision = w.commit("cat", at_checkout("o2", 500, "EVE0"));
    let told_so = told(&decision).join(", ");
    assert!(told_so.contains("ref:cat is Qualified") && told_so.contains("EVE0: AlreadyAttributed"), "{told_so}");
}

#[test]
fn r6_who_has_ordered_is_not_new_but_after_so_long() {
    for (terms, when, expected) in [
        ("", "2029-05-04", "no code ADA0: NotNew"),
        (", new_after: 1 year", "2027-05-04T11:59:59Z", "no code ADA0: NotNew"),
        (", new_after: 1 year", "2027-05-04T12:00:00Z", "ref:ben is Attributed"),
    ] {
        let mut w = world(&format!("friend: {{units: 1}}{terms}"));
        w.enrol("ben", &[]);
        bought(&mut w, "ben", "o", 100);
        w.go(when);
        assert_eq!(told(&w.decide("ben", named("ADA0"))), [expected], "{terms} {when}");
        assert_eq!(told(&w.decide("ben", named("ADA0"))).len(), 1, "once");
    }
}

#[test]
fn r7_it_qualifies_by_what_the_terms_say() {
    // Terms, orders, and after how many of them it is qualified.
    for (terms, orders, after) in [
        ("qualify: {sign_up: true}", vec![], 0),
        ("qualify: {orders: 3}", vec![100, 100, 100], 3),
        ("qualify: {orders: 2}, spend_at_least: GBP 5.00", vec![500, 499, 500], 3),
        ("qualify: {spend: true}, spend_at_least: GBP 10.00", vec![999, 1], 2),
        ("qualify: {spend: true}, spend_at_least: GBP 10.00", vec![1_000], 1),
    ] {
        let mut w = world(&format!("{terms}, advocate: {{units: 50}}, friend: {{units: 10}}"));
        w.enrol("ben", &["ADA0"]);
        w.relay();
        for (number, amount) in orders.iter().enumerate() {
            assert_eq!(referral(&w, "ben").state, ReferralState::Attributed, "{terms} before {number}");
            bought(&mut w, "ben", &format!("o{number}"), *amount);
        }
        assert_eq!((orders.len(), referral(&w, "ben").state), (after, ReferralState::Qualified), "{terms}");
        assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("available 10", "available 50"), "{terms}");
    }
}

#[test]
fn r7_an_event_qualifies_and_its_revocation_takes_the_rewards_back() {
    let mut w = world("qualify: {event: review}, qualify_within: 10 days, advocate: {units: 50}, friend: {units: 10}");
    w.enrol("ben", &["ADA0"]);
    bought(&mut w, "ben", "o", 5_000);
    assert_eq!(referral(&w, "ben").state, ReferralState::Attributed);
    let event = EventId::parse("e1").unwrap();
    let (kind, value, attributes, proof) = (label("review"), Some(1), Vec::new(), None);
    w.decide(
        "ben",
        Command::RecordEvent(RecordEvent { event: event.clone(), kind, value, attributes, proof, recipient: None }),
    );
    w.relay();
    assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("available 10", "available 50"));
    let revoke = guerdon::domain::command::RevokeEvent { event: event.clone(), agent: label("zoe") };
    w.decide("ben", Command::RevokeEvent(revoke));
    w.relay();
    assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("nothing", "nothing"));
    assert_eq!(referral(&w, "ben").rejected_for, Some(RejectedFor::Revoked(event)));
}

#[test]
fn r8_commission_is_a_part_of_each_order_as_long_as_the_terms_say() {
    // Terms, then orders (day, amount), and what the advocate has of credit after each.
    type Row = (&'static str, &'static [(&'static str, i64, i64)]);
    let rows: [Row; 4] = [
        // 10 % of 9.99 is 99.9: rounded down.
        ("percent: 10%, unit: credit", &[("2026-05-04", 999, 99), ("2026-05-05", 10, 100), ("2026-05-06", 9, 100)]),
        (
            "percent: 10%, unit: credit, orders_max: 2",
            &[("2026-05-04", 1_000, 100), ("2026-05-05", 1_000, 200), ("2026-05-06", 1_000, 200)],
        ),
        (
            "percent: 10%, unit: credit, within: 2 days",
            &[("2026-05-04", 1_000, 100), ("2026-05-06T11:59:59Z", 1_000, 200), ("2026-05-06T12:00:00Z", 1_000, 200)],
        ),
        (
            "percent: 10%, unit: credit, units_max: 150",
            &[("2026-05-04", 1_000, 100), ("2026-05-05", 1_000, 150), ("2026-05-06", 1_000, 150)],
        ),
    ];
    for (terms, orders) in rows {
        let mut w = world(&format!("commission: {{{terms}}}"));
        w.enrol("ben", &["ADA0"]);
        for (number, (when, amount, expected)) in orders.iter().enumerate() {
            w.go(when);
            bought(&mut w, "ben", &format!("o{number}"), *amount);
            assert_eq!(w.has_of("ada", &credit()), format!("available {expected}"), "{terms} {when}");
        }
    }
}

#[test]
fn r8_commission_goes_back_with_the_lines_in_whatever_steps() {
    for steps in [vec!["a", "b", "c"], vec!["c", "a", "b"], vec!["b", "c", "a"]] {
        let mut w = world("commission: {percent: 7%, unit: credit}");
        w.enrol("ben", &["ADA0"]);
        w.buy("ben", order("o", vec![line("a", 333), line("b", 1_001), line("c", 50)]));
        w.relay();
        // 7 % of 13.84.
        assert_eq!(w.has_of("ada", &credit()), "available 96");
        for (number, step) in steps.iter().enumerate() {
            w.give_back("ben", returned("o", &format!("r{number}"), ReturnWhat::Lines(vec![quantity(step, 1)])));
            w.relay();
        }
        assert_eq!(w.has_of("ada", &credit()), "nothing", "{steps:?}");
    }
}

#[test]
fn r9_from_a_friend_on_the_reward_is_a_multiple() {
    let mut w = world("advocate: {units: 100}, milestones: [{from: 3, times: 2}, {from: 5, times: 3}]");
    let mut has = Vec::new();
    for n in 1..=5 {
        let friend = format!("f{n}");
        w.enrol(&friend, &["ADA0"]);
        bought(&mut w, &friend, &format!("o{n}"), 100);
        has.push(w.has("ada"));
    }
    let expected = ["available 100", "available 200", "available 400", "available 600", "available 900"];
    assert_eq!(has, expected);
    // One who is taken back takes what was given for them; the next friend is the fifth again.
    w.give_back("f5", everything("o5", "r"));
    w.relay();
    assert_eq!((w.has("ada").as_str(), w.accounts[&account("ada")].friends_qualified), ("available 600", 4));
    w.enrol("f6", &["ADA0"]);
    bought(&mut w, "f6", "o6", 100);
    assert_eq!(w.has("ada"), "available 900");
}

#[test]
fn r9_a_bonus_at_so_many_friends_is_a_goal() {
    let sections = "referrals: [{id: ref, title: T, advocate: {units: 10}}]\ncounters: {friends: {counts: friends, window: \
                    lifetime}}\ngoals: [{id: two, title: T, counter: friends, at_least: 2}]\nrules: [{id: bonus, kind: \
                    advocacy, on: goal, goals: [two], then: {bonus: {units: 500}}}]\n";
    let mut w = World::new(sections).with("ada", 0);
    code(&mut w, "ada", "ADA0");
    for n in 1..=2 {
        w.enrol(&format!("f{n}"), &["ADA0"]);
        bought(&mut w, &format!("f{n}"), &format!("o{n}"), 100);
    }
    assert_eq!(w.has("ada"), "available 520");
}

/// Ada brought Ben, who brought Cat, who brought Dan.
fn line_of_four(terms: &str) -> World {
    let mut w = world(terms);
    for (friend, named, own) in [("ben", "ADA0", "BEN0"), ("cat", "BEN0", "CAT0"), ("dan", "CAT0", "DAN0")] {
        w.enrol(friend, &[named]);
        w.relay();
        code(&mut w, friend, own);
    }
    w
}

#[test]
fn r10_those_above_get_their_share_and_lose_it_again() {
    let mut w = line_of_four("advocate: {units: 100}, generations: [25%, 10%]");
    bought(&mut w, "dan", "o", 100);
    let has = |w: &World| ["ada", "ben", "cat", "dan"].map(|member| w.has(member)).join("; ");
    assert_eq!(has(&w), "available 10; available 25; available 100; nothing");
    let friends = |w: &World, member: &str| w.accounts[&account(member)].friends_qualified;
    assert_eq!((friends(&w, "ada"), friends(&w, "cat")), (0, 1), "friends of friends are not friends");
    w.give_back("dan", everything("o", "r"));
    w.relay();
    assert_eq!(has(&w), "nothing; nothing; nothing; nothing");
}

#[test]
fn r10_shares_of_commission_follow_it_down() {
    let mut w = line_of_four("commission: {percent: 10%}, generations: [50%]");
    w.buy("dan", order("o", vec![line("a", 1_000), line("b", 500)]));
    w.relay();
    assert_eq!(
        (w.has("cat").as_str(), w.has("ben").as_str(), w.has("ada").as_str()),
        ("available 150", "available 75", "nothing")
    );
    w.give_back("dan", returned("o", "r", ReturnWhat::Lines(vec![quantity("b", 1)])));
    w.relay();
    assert_eq!((w.has("cat").as_str(), w.has("ben").as_str()), ("available 100", "available 50"));
}

/// Claims of a circle that all stand before any of them is settled, settled in every order.
#[test]
fn r10_no_circle_closes_whatever_is_settled_first() {
    let circle = [("ada", "BEN0"), ("ben", "CAT0"), ("cat", "ADA0")];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut w = world("advocate: {units: 100}, qualify: {sign_up: true}");
        for (member, own) in [("ben", "BEN0"), ("cat", "CAT0")] {
            w.enrol(member, &[]);
            code(&mut w, member, own);
        }
        for (minute, (friend, named_code)) in circle.iter().enumerate() {
            w.go(&format!("2026-05-05T12:0{minute}"));
            assert_eq!(told(&w.decide(friend, named(named_code)))[0], format!("ref:{friend} is Attributed"));
            assert!(!referral(&w, friend).confirmed);
        }
        let pending = std::mem::take(&mut w.outbox);
        for place in order {
            w.outbox.push(pending[place].clone());
        }
        w.relay();
        // The last of them falls; nobody is paid for it, and everybody else is.
        let states = circle.map(|(friend, _)| (referral(&w, friend).state, referral(&w, friend).confirmed));
        let stands = (ReferralState::Qualified, true);
        assert_eq!(states, [stands, stands, (ReferralState::Rejected, false)], "{order:?}");
        assert_eq!(referral(&w, "cat").rejected_for, Some(RejectedFor::Circle));
        let has = ["ada", "ben", "cat"].map(|member| w.has(member));
        assert_eq!(has, ["nothing", "available 100", "available 100"], "{order:?}");
    }
}

/// A walk that had begun earlier confirmed a claim that another one had rejected by then.
#[test]
fn r10_what_was_rejected_is_confirmed_by_no_later_walk() {
    let mut w = world("advocate: {units: 100}, qualify: {sign_up: true}");
    w.enrol("ben", &[]);
    code(&mut w, "ben", "BEN0");
    w.decide("ben", named("ADA0"));
    w.outbox.clear();
    let claim = referral(&w, "ben");
    for verdict in [Verdict::Circle, Verdict::Confirm] {
        let settle = SettleReferral { referral: claim.referral.clone(), attributed_at: claim.attributed_at, verdict };
        assert!(w.decide("ben", Command::SettleReferral(settle)).received);
    }
    w.relay();
    let stands = referral(&w, "ben");
    assert_eq!((stands.confirmed, stands.rejected_for), (false, Some(RejectedFor::Circle)));
    assert_eq!(w.has("ada"), "nothing");
}

/// What an order earned the advocate before the claim was settled is paid when it is, less what came back by then.
#[test]
fn r10_what_waits_for_the_confirmation_is_paid_with_it_or_never() {
    for (circle, returned_before, expected) in [
        (false, false, "available 150"),
        (false, true, "available 100"),
        (true, false, "nothing"),
        (true, true, "nothing"),
    ] {
        let mut w = world("advocate: {units: 50}, friend: {units: 5}, commission: {percent: 10%}");
        w.enrol("ben", &[]);
        code(&mut w, "ben", "BEN0");
        if circle {
            w.decide("ada", named("BEN0"));
            w.go("2026-05-04T12:01");
        }
        w.decide("ben", named("ADA0"));
        let settling = std::mem::take(&mut w.outbox);
        let mut order = order("o", vec![line("a", 500), line("b", 500)]);
        order.lines[1].quantity = 1;
        w.buy("ben", order);
        assert_eq!(w.has("ben"), "nothing", "nothing is paid before");
        if returned_before {
            w.give_back("ben", returned("o", "r", ReturnWhat::Lines(vec![quantity("b", 1)])));
        }
        w.outbox.extend(settling);
        w.relay();
        assert_eq!(w.has("ada"), expected, "circle: {circle}, returned: {returned_before}");
        w.give_back("ben", everything("o", "rest"));
        w.relay();
        assert_eq!((w.has("ada").as_str(), w.has("ben").as_str()), ("nothing", "nothing"));
    }
}

#[test]
fn r11_a_reward_is_pending_until_the_midnight_after_the_hold() {
    let terms = "advocate: {units: 50}, friend: {units: 10}, hold: 14 days";
    let mut w = world(terms);
    w.enrol("ben", &["ADA0"]);
    bought(&mut w, "ben", "o", 100);
    for (when, friend, advocate) in [
        ("2026-05-04", "pending 10", "pending 50"),
        ("2026-05-18T23:59:59Z", "pending 10", "pending 50"),
        ("2026-05-19T00:00:00Z", "available 10", "available 50"),
    ] {
        w.go(when);
        assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), (friend, advocate), "{when}");
    }
    // Inside the hold and after it, a return takes the rewards back.
    for when in ["2026-05-06", "2026-05-20"] {
        let mut w = world(terms);
        w.enrol("ben", &["ADA0"]);
        bought(&mut w, "ben", "o", 100);
        w.go(when);
        w.give_back("ben", everything("o", "r"));
        w.relay();
        assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("nothing", "nothing"), "{when}");
    }
}

/// Rewards of many friends would be a pending lot each.
#[test]
fn r11_pending_rewards_of_a_day_are_one_lot() {
    let mut w = world("advocate: {units: 50}, hold: 14 days");
    for n in 0..60 {
        let friend = format!("f{n}");
        w.go(&format!("2026-05-04T12:{n:02}"));
        w.enrol(&friend, &["ADA0"]);
        bought(&mut w, &friend, &format!("o{n}"), 100);
    }
    let ada = &w.accounts[&account("ada")];
    assert_eq!(ada.units.iter().map(|book| book.lots.len()).sum::<usize>(), 1);
    assert_eq!(w.has("ada"), "pending 3000");
}

/// The record of an advocate once grew with each friend.
#[test]
fn r9_an_account_holds_nothing_for_each_friend() {
    let size = |friends: usize| {
        let mut w = world(
            "advocate: {units: 50}, milestones: [{from: 3, times: 2}], caps: [{counts: units, most: 100000, per: year}]",
        );
        for n in 0..friends {
            let friend = format!("f{n:03}");
            w.enrol(&friend, &["ADA0"]);
            bought(&mut w, &friend, &format!("o{n}"), 100);
        }
        let ada: &AccountState = &w.accounts[&account("ada")];
        stored_account(ada).len()
    };
    // A few bytes for greater numbers.
    assert!(size(120) < size(20) + 24, "{} {}", size(20), size(120));
}

#[test]
fn r12_an_advocate_gets_no_more_than_the_caps_leave() {
    // Caps, then on which day each friend qualifies, and what the advocate has after each.
    let rows: [(&str, &[(&str, i64)]); 4] = [
        (
            "{counts: friends, most: 2, per: month}",
            &[("2026-05-04", 100), ("2026-05-31", 200), ("2026-05-31", 200), ("2026-06-01", 300)],
        ),
        ("{counts: units, most: 150, per: year}", &[("2026-05-04", 100), ("2026-12-31", 150), ("2027-01-01", 250)]),
        (
            "{counts: units, most: 150, per: year, year_from: 04-06}",
            &[("2027-04-05", 100), ("2027-04-05", 150), ("2027-04-06", 250)],
        ),
        ("{counts: friends, most: 1, per: ever}", &[("2026-05-04", 100), ("2031-05-04", 100)]),
    ];
    for (caps, friends) in rows {
        let mut w = world(&format!("advocate: {{units: 100}}, caps: [{caps}]"));
        for (n, (when, expected)) in friends.iter().enumerate() {
            w.go(when);
            w.enrol(&format!("f{n}"), &["ADA0"]);
            bought(&mut w, &format!("f{n}"), &format!("o{n}"), 100);
            assert_eq!(w.has("ada"), format!("available {expected}"), "{caps} {n}");
        }
        assert_eq!(w.accounts[&account("ada")].friends_qualified, friends.len() as i64, "all of them count");
    }
}

/// What one friend loses again makes room for the next.
#[test]
fn r12_what_is_taken_back_frees_the_cap() {
    let mut w = world("advocate: {units: 100}, caps: [{counts: units, most: 150, per: ever}]");
    for n in 0..2 {
        w.enrol(&format!("f{n}"), &["ADA0"]);
        bought(&mut w, &format!("f{n}"), &format!("o{n}"), 100);
    }
    assert_eq!(w.has("ada"), "available 150");
    w.give_back("f0", everything("o0", "r"));
    w.relay();
    assert_eq!(w.has("ada"), "available 50");
    w.enrol("f2", &["ADA0"]);
    bought(&mut w, "f2", "o2", 100);
    assert_eq!(w.has("ada"), "available 150");
}

#[test]
fn r12_a_campaign_pays_what_its_budget_covers_and_no_more() {
    let mut w = world("advocate: {units: 100}, friend: {units: 50}, budget: 320");
    for n in 0..3 {
        w.enrol(&format!("f{n}"), &["ADA0"]);
        let decision = w.buy("f2".replace('2', &n.to_string()).as_str(), order_for(&format!("o{n}"), 100));
        w.relay();
        let refused = told(&decision).iter().any(|told| told.contains("ReferralBudgetSpent, asks 150, has 20"));
        assert_eq!(refused, n == 2, "{n}");
    }
    assert_eq!(
        (w.has("ada").as_str(), w.has("f1").as_str(), w.has("f2").as_str()),
        ("available 200", "available 50", "nothing")
    );
    assert_eq!(referral(&w, "f2").rejected_for, Some(RejectedFor::Budget));
}

#[test]
fn r15_the_nth_order_and_the_sum_are_held_against_what_is_kept() {
    for terms in ["qualify: {orders: 2}", "qualify: {spend: true}, spend_at_least: GBP 10.00"] {
        let mut w = world(&format!("{terms}, advocate: {{units: 50}}, friend: {{units: 10}}"));
        w.enrol("ben", &["ADA0"]);
        bought(&mut w, "ben", "o1", 600);
        bought(&mut w, "ben", "o2", 400);
        assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("available 10", "available 50"), "{terms}");
        w.give_back("ben", everything("o1", "r"));
        w.relay();
        assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("nothing", "nothing"), "{terms}");
    }
}

/// Lines that came into an order later brought the advocate nothing, and an exchange took the referral back.
#[test]
fn r7_r8_what_an_amendment_brings_counts_as_if_it_had_been_ordered_at_once() {
    // Terms; the order; what is taken out of it and what comes in; what Ada has of it, what Ben has.
    let commission = "friend: {units: 1}, spend_at_least: GBP 10.00, commission: {percent: 10%, unit: credit}";
    let spend = "friend: {units: 1}, qualify: {spend: true}, spend_at_least: GBP 10.00";
    for (terms, minor, remove, add, credit_of_ada, points_of_ben) in [
        (commission, 1_000, 0, 500, 150, 1),
        // The order did not reach it, and does now: the whole of it brings commission.
        (commission, 900, 0, 300, 120, 1),
        (commission, 900, 0, 99, 0, 0),
        // Rounded once, over what is kept.
        (commission, 1_005, 0, 5, 101, 1),
        (commission, 1_005, 0, 4, 100, 1),
        // Exchanged for as much, for more, and for less.
        (commission, 1_000, 1, 1_000, 100, 1),
        (commission, 1_000, 1, 1_200, 120, 1),
        (commission, 1_000, 1, 900, 0, 0),
        (spend, 1_000, 1, 1_000, 0, 1),
        (spend, 1_000, 1, 999, 0, 0),
        (spend, 600, 0, 400, 0, 1),
        (spend, 600, 0, 399, 0, 0),
    ] {
        let case = format!("{terms}: {minor} less {remove} lines and {add} more");
        let mut w = world(terms);
        w.enrol("ben", &["ADA0"]);
        bought(&mut w, "ben", "o", minor);
        w.decide("ben", Command::Amend(exchange("o", "a1", remove == 1, add)));
        w.relay();
        let has = |w: &World, who: &str, unit: &UnitId| w.accounts[&account(who)].amount(unit, Book::Available);
        assert_eq!(has(&w, "ada", &credit()), credit_of_ada, "{case}");
        assert_eq!(has(&w, "ben", &UnitId::points()), points_of_ben, "{case}");
        w.give_back("ben", everything("o", "r"));
        w.relay();
        assert_eq!((has(&w, "ada", &credit()), has(&w, "ben", &UnitId::points())), (0, 0), "{case}: all comes back");
    }
}

/// Takes out the order's only line, or nothing, and puts one in.
fn exchange(order: &str, id: &str, whole: bool, minor: i64) -> Amend {
    let of_order = order_for(order, minor).lines.remove(0);
    let out = (of_order.line_id.clone(), Measure::Quantity(of_order.quantity));
    Amend {
        order_id: order_id(order),
        amendment_id: ReturnId::parse(id).unwrap(),
        remove: if whole { vec![out] } else { Vec::new() },
        add: vec![Line { line_id: LineId::parse("new").unwrap(), ..of_order }],
        redeem: None,
        tenders: Vec::new(),
    }
}
