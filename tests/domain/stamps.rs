//! Stamp cards, and the vouchers that full ones issue.

use guerdon::domain::command::{Commit, Redeem, ReturnWhat};
use guerdon::domain::id::VoucherId;
use guerdon::domain::order::LineKind;

use super::kit::*;

/// Four coffees, and the fifth is free.
const CARD: &str = "
rewards:
  - {id: free-coffee, title: A coffee, lines: {categories: [coffee]}, gives: {amount_off: GBP 3.00}}
stamp_cards:
  - {id: coffee, title: Coffee card, goal: 4, reward: free-coffee, voucher_valid_for: 30 days}
rules:
  - id: stamp
    kind: transactional
    on: order
    lines: {categories: [coffee]}
    then: {stamps: {card: coffee, for_each: item}}
";

fn coffees(id: &str, quantity: i64) -> guerdon::domain::order::Order {
    order(id, vec![items(quantity, of_category("coffee", line("a", quantity * 300)))])
}

fn cards(world: &World, member: &str) -> String {
    let state = guerdon::domain::decide::as_of(&world.timeline, world.accounts[&account(member)].clone(), world.now);
    let state = state.unwrap();
    let card = &state.cards[0];
    let stands = card.progress().map_or_else(|| "none".to_owned(), |(stands, goal)| format!("{stands}/{goal}"));
    let vouchers: Vec<String> = state.vouchers.iter().map(|v| format!("{:?}", v.state).to_lowercase()).collect();
    format!("{stands}, owed {}, vouchers [{}]", card.owed, vouchers.join(" "))
}

#[test]
fn a16_stamps_fill_a_card_and_a_voucher_follows() {
    let mut world = World::new(CARD).with("mia", 0);
    assert_eq!(told(&world.commit("mia", commit(coffees("o1", 3)))), ["stamp stamps 3: 3 of 4"]);
    // One fills the card, two go on the next.
    let filled = world.commit("mia", commit(coffees("o2", 3)));
    assert_eq!(told(&filled), ["stamp stamps 3: 2 of 4", "mia:card:coffee:1 issued"]);
    assert_eq!(cards(&world, "mia"), "2/4, owed 0, vouchers [issued]");
    // Tea is no coffee.
    let tea = order("o3", vec![of_category("tea", line("a", 300))]);
    assert_eq!(told(&world.commit("mia", commit(tea))), Vec::<String>::new());
    // Nine more fill two cards on the way.
    world.commit("mia", commit(coffees("o4", 9)));
    assert_eq!(cards(&world, "mia"), "3/4, owed 0, vouchers [issued issued issued]");
}

#[test]
fn a16_a_return_takes_stamps_back_and_with_them_an_unused_voucher() {
    let mut world = World::new(CARD).with("mia", 0);
    world.commit("mia", commit(coffees("o1", 3)));
    world.commit("mia", commit(coffees("o2", 3)));
    let one = |id: &str| returned("o2", id, ReturnWhat::Lines(vec![quantity("a", 1)]));
    assert_eq!(told(&world.give_back("mia", one("r1"))), ["1 stamps taken: 1"]);
    assert_eq!(told(&world.give_back("mia", one("r2"))), ["1 stamps taken: 0"]);
    assert_eq!(cards(&world, "mia"), "none, owed 0, vouchers [issued]");
    let third = told(&world.give_back("mia", one("r3")));
    assert_eq!(third, ["1 stamps taken: 3", "mia:card:coffee:1 cancelled"]);
    assert_eq!(cards(&world, "mia"), "3/4, owed 0, vouchers [cancelled]");
    // Filled again, it issues another voucher.
    world.commit("mia", commit(coffees("o3", 1)));
    assert_eq!(cards(&world, "mia"), "none, owed 0, vouchers [cancelled issued]");
}

#[test]
fn a16_expired_cards_and_vouchers_take_their_stamps_along() {
    let sections = CARD.replace("goal: 4,", "goal: 4, expires_after: 10 days,");
    let mut world = World::new(&sections).with("mia", 0);
    world.commit("mia", commit(coffees("o1", 2)));
    world.go("2026-05-14T11:59:59Z");
    assert_eq!(cards(&world, "mia"), "2/4, owed 0, vouchers []");
    world.go("2026-05-14T12:00:00Z");
    assert_eq!(cards(&world, "mia"), "none, owed 0, vouchers []");
    // They are gone already: a return takes nothing more, whatever is on the next card.
    world.commit("mia", commit(coffees("o2", 1)));
    let back = told(&world.give_back("mia", everything("o1", "r")));
    assert_eq!(back, ["2 stamps taken: 1, expired 2"]);
    world.commit("mia", commit(coffees("o3", 3)));
    assert_eq!(cards(&world, "mia"), "none, owed 0, vouchers [issued]");
    world.go("2026-06-13T12:00:00Z");
    assert_eq!(cards(&world, "mia"), "none, owed 0, vouchers [expired]");
    world.give_back("mia", everything("o3", "r"));
    assert_eq!(cards(&world, "mia"), "none, owed 0, vouchers [expired]");
}

#[test]
fn a16_what_earns_a_stamp_is_stated() {
    let of = |for_each: &str| CARD.replace("for_each: item", &format!("for_each: {for_each}, stamps: 2"));
    let basket = |id: &str| {
        let coffee = |id: &str, n: i64| items(n, of_category("coffee", line(id, n * 300)));
        order(id, vec![coffee("a", 1), coffee("b", 1), of_category("tea", line("c", 300))])
    };
    for (for_each, first, second) in [
        ("order", "stamp stamps 2: 2 of 4", Some("stamp stamps 2: 0 of 4")),
        ("line", "stamp stamps 4: 0 of 4", Some("stamp stamps 4: 0 of 4")),
        ("item", "stamp stamps 4: 0 of 4", Some("stamp stamps 4: 0 of 4")),
        // The second order of a day is no visit of its own.
        ("visit", "stamp stamps 2: 2 of 4", None),
    ] {
        let mut world = World::new(&of(for_each)).with("mia", 0);
        assert_eq!(told(&world.commit("mia", commit(basket("o1"))))[0], first, "{for_each}");
        let told_second = told(&world.commit("mia", commit(basket("o2"))));
        assert_eq!(told_second.first().map(String::as_str), second, "{for_each}");
    }
}

#[test]
fn a16_a_visit_that_comes_back_whole_counts_no_more() {
    let sections = CARD.replace("for_each: item", "for_each: visit");
    let mut world = World::new(&sections).with("mia", 0);
    world.commit("mia", commit(coffees("o1", 2)));
    let half = world.give_back("mia", returned("o1", "r1", ReturnWhat::Lines(vec![quantity("a", 1)])));
    assert_eq!(told(&half), Vec::<String>::new());
    assert_eq!(told(&world.give_back("mia", everything("o1", "r2"))), ["1 stamps taken: 0"]);
    assert_eq!(told(&world.commit("mia", commit(coffees("o2", 1)))), ["stamp stamps 1: 1 of 4"]);
}

#[test]
fn a16_head_start_beyond_the_goal_and_cards_at_most() {
    let with = |more: &str| CARD.replace("goal: 4,", &format!("goal: 4, {more},"));
    for (more, first, second) in [
        (
            "start_stamps: 2",
            vec!["stamp stamps 1: 3 of 4"],
            vec![
                "stamp stamps 6: 3 of 4",
                "mia:card:coffee:1 issued",
                "mia:card:coffee:2 issued",
                "mia:card:coffee:3 issued",
            ],
        ),
        (
            "beyond_goal: lost",
            vec!["stamp stamps 1: 1 of 4"],
            vec!["stamp stamps 6: 0 of 4, lost 3", "mia:card:coffee:1 issued"],
        ),
        (
            "cards_max: {cards: 1, per: month}",
            vec!["stamp stamps 1: 1 of 4"],
            vec![
                "stamp stamps 6: 0 of 4, lost 3",
                "mia:card:coffee:1 issued",
                "no card coffee: TooManyCards, asks 2, has 1",
            ],
        ),
    ] {
        let mut world = World::new(&with(more)).with("mia", 0);
        assert_eq!(told(&world.commit("mia", commit(coffees("o1", 1)))), first, "{more}");
        assert_eq!(told(&world.commit("mia", commit(coffees("o2", 6)))), second, "{more}");
    }
    let mut world = World::new(&with("cards_max: {cards: 1, per: month}")).with("mia", 0);
    world.commit("mia", commit(coffees("o1", 4)));
    world.go("2026-06-01");
    assert_eq!(told(&world.commit("mia", commit(coffees("o2", 1)))), ["stamp stamps 1: 1 of 4"]);
}

#[test]
fn a16_stamps_lost_beyond_the_goal_are_the_first_to_come_back() {
    let sections = CARD.replace("goal: 4,", "goal: 4, beyond_goal: lost,");
    let mut world = World::new(&sections).with("mia", 0);
    world.commit("mia", commit(coffees("o1", 6)));
    let two = |id: &str| returned("o1", id, ReturnWhat::Lines(vec![quantity("a", 2)]));
    assert_eq!(told(&world.give_back("mia", two("r1"))), Vec::<String>::new());
    assert_eq!(told(&world.give_back("mia", two("r2"))), ["2 stamps taken: 2", "mia:card:coffee:1 cancelled"]);
}

#[test]
fn a16_rules_hand_out_stamps_vouchers_and_tags_on_joining() {
    let sections = "
rewards: [{id: gift, title: A gift, gives: {amount_off: GBP 5.00}}]
stamp_cards: [{id: c, title: C, goal: 3, reward: gift}]
vouchers: {valid_for: 14 days}
rules:
  - {id: first, kind: emotional, on: enrolment, then: {stamps: {card: c, stamps: 2}}}
  - {id: hello, kind: emotional, on: enrolment, then: {voucher: {reward: gift}}}
  - {id: new, kind: emotional, on: enrolment, then: {tag: {add: [newcomer]}}}
  - {id: old, kind: emotional, on: order, then: {tag: {add: [buyer], remove: [newcomer]}}}
  - {id: big, kind: transactional, on: order, when: {spend_at_least: GBP 50.00}, then: {voucher: {reward: gift, valid_for: 1 day}}}
";
    let mut world = World::new(sections);
    let joined = world.enrol("mia", &[]);
    let expected = ["first stamps 2: 2 of 3", "mia:enrolment:hello issued", "tags +[newcomer] -[]"];
    assert_eq!(told(&joined), expected);
    let lines = vec![line("a", 4_000), line("b", 2_000)];
    let told_order = told(&world.commit("mia", commit(order("o", lines))));
    assert_eq!(told_order, ["tags +[buyer] -[newcomer]", "mia:o:big issued"]);
    assert_eq!(world.accounts[&account("mia")].tags.len(), 1);
    // What is kept no longer comes to what the rule asks; the order as such stands.
    let some = world.give_back("mia", returned("o", "r1", ReturnWhat::Lines(vec![quantity("b", 1)])));
    assert_eq!(told(&some), ["mia:o:big cancelled"]);
    let rest = world.give_back("mia", everything("o", "r2"));
    assert_eq!(told(&rest), ["tags +[newcomer] -[buyer]"]);
    let gift = world.accounts[&account("mia")].vouchers[0].clone();
    assert_eq!(gift.expires_at, at("2026-05-18"));
}

fn by_voucher(ids: &[&str]) -> Redeem {
    Redeem { vouchers: ids.iter().map(|id| VoucherId::parse(id).unwrap()).collect(), ..nothing() }
}

fn use_one(id: &str, quantity: i64, voucher: &str) -> Commit {
    Commit { redeem: Some(by_voucher(&[voucher])), ..commit(coffees(id, quantity)) }
}

/// As above, with a reward that gives an item away.
fn with_free_item() -> String {
    CARD.replace("gives: {amount_off: GBP 3.00}", "by: voucher, gives: {free_item: {}}")
}

const FIRST: &str = "mia:card:coffee:1";
const SECOND: &str = "mia:card:coffee:2";

#[test]
fn trap_7_the_free_item_earns_no_stamp() {
    let mut world = World::new(&with_free_item()).with("mia", 0);
    world.commit("mia", commit(coffees("o1", 4)));
    // Of three, one is free: two stamps.
    let used = world.commit("mia", use_one("o2", 3, FIRST));
    let expected = ["free-coffee takes 300 off", "mia:card:coffee:1 used", "stamp stamps 2: 2 of 4"];
    assert_eq!(told(&used), expected);
    assert_eq!(world.order("o2").money_minor, 600);
    // The free one alone earns none.
    world.commit("mia", commit(coffees("o3", 2)));
    let alone = world.commit("mia", use_one("o4", 1, SECOND));
    assert_eq!(told(&alone), ["free-coffee takes 300 off", "mia:card:coffee:2 used"]);
    // Nor where discounts are not taken off what earns.
    let sections = format!("earning: {{after_discounts: false}}\n{}", with_free_item());
    let mut world = World::new(&sections).with("mia", 0);
    world.commit("mia", commit(coffees("o1", 4)));
    let alone = world.commit("mia", use_one("o2", 1, FIRST));
    assert_eq!(told(&alone), ["free-coffee takes 300 off", "mia:card:coffee:1 used"]);
}

#[test]
fn a16_one_of_the_nine_comes_back_before_or_after_the_free_one() {
    let filled = || {
        let mut world = World::new(&with_free_item()).with("mia", 0);
        for n in 1..=4 {
            world.commit("mia", commit(coffees(&format!("o{n}"), 1)));
        }
        world
    };
    // Before: the voucher goes, three stamps stand.
    let mut world = filled();
    world.give_back("mia", everything("o2", "r"));
    assert_eq!(cards(&world, "mia"), "3/4, owed 0, vouchers [cancelled]");
    let refused = world.commit("mia", use_one("free", 1, FIRST));
    assert_eq!(told(&refused), ["no voucher mia:card:coffee:1: VoucherCancelled"]);
    // After: one stamp is owed, and the next repays it.
    let mut world = filled();
    world.commit("mia", use_one("free", 1, FIRST));
    let back = world.give_back("mia", everything("o2", "r"));
    assert_eq!(told(&back), ["1 stamps taken: 0, owed 1"]);
    let next = world.commit("mia", commit(coffees("o5", 2)));
    assert_eq!(told(&next), ["stamp stamps 2: 1 of 4, repaid 1"]);
    // The free one comes back too: as if neither had been.
    let mut world = filled();
    world.commit("mia", use_one("free", 1, FIRST));
    world.give_back("mia", everything("o2", "r"));
    let back = world.give_back("mia", everything("free", "r"));
    assert_eq!(told(&back), ["mia:card:coffee:1 issued", "mia:card:coffee:1 cancelled"]);
    assert_eq!(cards(&world, "mia"), "3/4, owed 0, vouchers [cancelled]");
    // Or it is forgiven.
    let mut world = World::new(&with_free_item().replace("goal: 4,", "goal: 4, stamps_owed: false,")).with("mia", 0);
    world.commit("mia", commit(coffees("o1", 4)));
    world.commit("mia", use_one("free", 1, FIRST));
    let back = world.give_back("mia", everything("o1", "r"));
    assert_eq!(told(&back), ["4 stamps taken: 0, forgiven 4"]);
}

#[test]
fn a16_a_voucher_is_held_used_released_and_expires() {
    let mut world = World::new(&with_free_item()).with("mia", 0);
    world.commit("mia", commit(coffees("o1", 4)));
    let held = world.reserve("mia", coffees("a", 1), by_voucher(&[FIRST]));
    assert_eq!(told(&held), ["free-coffee takes 300 off", "mia:card:coffee:1 held"]);
    let other = world.reserve("mia", coffees("b", 1), by_voucher(&[FIRST]));
    assert_eq!(told(&other), ["no voucher mia:card:coffee:1: VoucherHeld"]);
    // It cannot be taken back while it is held; when it is free again, it is.
    world.give_back("mia", returned("o1", "r", ReturnWhat::Lines(vec![quantity("a", 1)])));
    assert_eq!(cards(&world, "mia"), "none, owed 1, vouchers [held]");
    world.release("mia", "a");
    assert_eq!(cards(&world, "mia"), "3/4, owed 0, vouchers [cancelled]");

    // Reserved, it outlives its time, and lapses with the hold.
    let mut world = World::new(&with_free_item()).with("mia", 0);
    world.commit("mia", commit(coffees("o1", 4)));
    world.go("2026-06-03T11:55:00Z");
    world.reserve("mia", coffees("a", 1), by_voucher(&[FIRST]));
    world.go("2026-06-03T12:05:00Z");
    assert_eq!(cards(&world, "mia"), "none, owed 0, vouchers [held]");
    let late = world.clone();
    world.commit("mia", commit(coffees("a", 1)));
    assert_eq!(cards(&world, "mia"), "none, owed 0, vouchers [used]");
    // Lapsed: paid it stands, else it is refused.
    let mut world = late;
    world.go("2026-06-03T13:00:00Z");
    assert_eq!(cards(&world, "mia"), "none, owed 0, vouchers [expired]");
    assert_eq!(told(&world.commit("mia", commit(coffees("a", 1)))), ["no voucher mia:card:coffee:1: VoucherExpired"]);
    let paid = world.commit("mia", Commit { paid: true, ..commit(coffees("a", 1)) });
    assert_eq!(told(&paid), ["free-coffee takes 300 off", "mia:card:coffee:1 used"]);
}

#[test]
fn c2_a_voucher_comes_back_with_the_goods_by_policy() {
    for (policy, on, expected) in [
        ("", "2026-05-10", "none, owed 0, vouchers [issued]"),
        ("vouchers: {on_return: keep_used}", "2026-05-10", "none, owed 0, vouchers [used]"),
        // Expired meanwhile: a grace from the return.
        ("", "2026-06-10", "none, owed 0, vouchers [issued]"),
        ("vouchers: {lapsed_grace: none}", "2026-06-10", "none, owed 0, vouchers [used]"),
    ] {
        let mut world = World::new(&format!("{}{policy}\n", with_free_item())).with("mia", 0);
        world.commit("mia", commit(coffees("o1", 4)));
        world.commit("mia", use_one("free", 1, FIRST));
        world.go(on);
        world.give_back("mia", everything("free", "r"));
        assert_eq!(cards(&world, "mia"), expected, "{policy} on {on}");
    }
}

#[test]
fn c2_every_kind_of_reward_takes_off_what_it_says() {
    let basket = || {
        order(
            "o",
            vec![
                items(3, of_category("coffee", line("a", 1_000))),
                items(2, of_category("cake", line("b", 1_000))),
                of_kind(LineKind::Shipping, line("c", 490)),
                of_kind(LineKind::GiftCard, line("d", 2_500)),
            ],
        )
    };
    for (gives, shares) in [
        ("amount_off: GBP 5.00", [201, 201, 98, 0]),
        ("percent_off: {percent: 33.33%}", [333, 333, 163, 0]),
        ("percent_off: {percent: 33.33%, rounding: ceil}", [334, 333, 163, 0]),
        ("percent_off: {percent: 50%, at_most: GBP 5.00}", [201, 201, 98, 0]),
        ("percent_off: {percent: 100%}", [1_000, 1_000, 490, 0]),
        // The cheapest is a coffee: a third of 10.00.
        ("free_item: {items: 1}, lines: {categories: [coffee, cake]}", [333, 0, 0, 0]),
        ("free_item: {items: 1, pick: dearest}, lines: {categories: [coffee, cake]}", [0, 500, 0, 0]),
        ("free_item: {items: 4}, lines: {categories: [coffee, cake]}", [1_000, 500, 0, 0]),
        ("free_item: {items: 9}, lines: {categories: [coffee, cake]}", [1_000, 1_000, 0, 0]),
        // Buy one, get one: of five, two.
        ("free_item: {for_each: 2}, lines: {categories: [coffee, cake]}", [666, 0, 0, 0]),
        ("item_off: {percent: 50%, items: 2, pick: dearest}, lines: {categories: [cake]}", [0, 500, 0, 0]),
        ("fixed_price: {price: GBP 4.00}, lines: {categories: [coffee, cake]}", [0, 200, 0, 0]),
        ("fixed_price: {price: GBP 3.00, items: 3}, lines: {categories: [coffee, cake]}", [33, 400, 0, 0]),
        ("free_shipping: {}", [0, 0, 490, 0]),
        ("free_shipping: {at_most: GBP 3.00}", [0, 0, 300, 0]),
    ] {
        let (gives, lines) = gives.split_once(", lines").unwrap_or((gives, ": {}"));
        let sections = format!("rewards: [{{id: r, title: R, gives: {{{gives}}}, lines{lines}}}]\nrules: []\n");
        let mut world = World::new(&sections).with("mia", 0);
        let decision = world.commit("mia", Commit { redeem: Some(rewards(&["r"])), ..commit(basket()) });
        let record = world.order("o");
        let found: Vec<i64> = record.lines.iter().map(|line| line.reduced_minor).collect();
        assert_eq!(found, shares, "{gives}: {:?}", told(&decision));
        // What came off comes to what is returned, whatever the steps.
        let whole = record.money_minor;
        let one = world.give_back("mia", returned("o", "r1", ReturnWhat::Lines(vec![quantity("a", 1)])));
        let rest = world.give_back("mia", everything("o", "r2"));
        assert_eq!(refund(&one).money_minor + refund(&rest).money_minor, whole, "{gives}");
    }
}

#[test]
fn c2_what_is_given_by_voucher_alone_cannot_be_asked_for() {
    let mut world = World::new(&with_free_item()).with("mia", 0);
    let asked = Commit { redeem: Some(rewards(&["free-coffee"])), ..commit(coffees("o", 1)) };
    assert_eq!(told(&world.commit("mia", asked)), ["no reward free-coffee: OnlyByVoucher"]);
    let unknown = world.commit("mia", use_one("o", 1, "mia:card:coffee:9"));
    assert_eq!(told(&unknown), ["no voucher mia:card:coffee:9: VoucherUnknown"]);
}

#[test]
fn a16_terms_are_those_of_the_first_stamp() {
    let before = program(&with_free_item());
    let after =
        program(&with_free_item().replace("goal: 4", "goal: 2").replace("free_item: {}", "free_item: {items: 2}"));
    let mut world = World::of(before.clone()).with("mia", 0);
    world.commit("mia", commit(coffees("o1", 3)));
    world.timeline =
        guerdon::domain::program::Timeline { versions: vec![(at("2026-01-01"), before), (at("2026-05-10"), after)] };
    world.go("2026-05-10T12:00:00Z");
    // The card begun before still takes four; the next one takes two.
    assert_eq!(
        told(&world.commit("mia", commit(coffees("o2", 2)))),
        ["stamp stamps 2: 1 of 2", "mia:card:coffee:1 issued"]
    );
    // Its voucher gives what was promised then.
    let used = world.commit("mia", use_one("o3", 3, FIRST));
    let expected =
        ["free-coffee takes 300 off", "mia:card:coffee:1 used", "stamp stamps 2: 1 of 2", "mia:card:coffee:2 issued"];
    assert_eq!(told(&used), expected);
}

proptest::proptest! {
    /// Whatever comes back, in whatever order and steps: it ends as if all had come back at once.
    #[test]
    fn a16_stamps_end_alike_in_any_order_of_returns(
        quantities in proptest::collection::vec(1..6i64, 1..5),
        returns in proptest::collection::vec((0..5usize, 1..4i64), 1..12),
        swap in proptest::prelude::any::<u64>(),
        uses in 0..3usize,
    ) {
        let mut start = World::new(&with_free_item()).with("mia", 0);
        for (n, quantity) in quantities.iter().enumerate() {
            start.commit("mia", commit(coffees(&format!("o{n}"), *quantity)));
        }
        for n in 0..uses {
            let voucher = format!("mia:card:coffee:{}", n + 1);
            if start.accounts[&account("mia")].vouchers.iter().any(|v| v.voucher.as_str() == voucher) {
                start.commit("mia", use_one(&format!("free{n}"), 1, &voucher));
            }
        }
        let mut left = quantities.clone();
        let mut steps = Vec::new();
        for (order, n) in returns {
            let order = order % left.len();
            let n = n.min(left[order]);
            if 0 < n {
                left[order] -= n;
                steps.push((format!("o{order}"), n));
            }
        }
        // Free ones come back as well, whole.
        for n in 0..uses {
            if start.orders.contains_key(&order_id(&format!("free{n}"))) && swap & (1 << n) != 0 {
                steps.push((format!("free{n}"), 1));
            }
        }
        let run = |steps: &[(String, i64)]| {
            let mut world = start.clone();
            for (at, (order, n)) in steps.iter().enumerate() {
                let what = ReturnWhat::Lines(vec![quantity("a", *n)]);
                world.give_back("mia", returned(order, &format!("r{at}"), what));
            }
            let state = world.accounts[&account("mia")].clone();
            let card = state.cards[0].clone();
            let open = card.open.as_ref().map(|open| open.stamps);
            let vouchers = state.vouchers.iter().filter(|v| v.state.is_open()).count();
            (open, card.owed, vouchers)
        };
        let forth = run(&steps);
        let mut shuffled = steps.clone();
        let len = shuffled.len().max(1);
        shuffled.rotate_left(usize::try_from(swap % 97).unwrap() % len);
        shuffled.reverse();
        proptest::prop_assert_eq!(forth, run(&shuffled));
        // And as one return each.
        let mut at_once: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::new();
        for (order, n) in &steps {
            *at_once.entry(order.clone()).or_default() += n;
        }
        proptest::prop_assert_eq!(forth, run(&at_once.into_iter().collect::<Vec<_>>()));
    }
}
