//! Stamp cards, and the vouchers that full ones issue.

use guerdon::domain::command::ReturnWhat;

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
