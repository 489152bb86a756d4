//! Rewards outside an order, what is on offer, and stock.

use guerdon::domain::account::{Voucher, VoucherState};
use guerdon::domain::answer::{Answer, Offer, VoucherAnswer};
use guerdon::domain::command::{Catalogue, Command, Commit, PayAmount, Redeem, RedeemReward, ReturnWhat};
use guerdon::domain::decide::Decision;
use guerdon::domain::id::{Label, RewardId, UnitId, VoucherId};
use guerdon::domain::order::Order;
use guerdon::domain::program::Timeline;
use guerdon::domain::time::Instant;

use super::kit::*;

const SHOP: &str = "
pay_with: {points: {units: 1, worth: GBP 0.01}}
rewards:
  - {id: two-off, title: T, gives: {amount_off: GBP 2.00}, price: {units: 200}, spend_at_least: GBP 10.00, stock: 3}
  - {id: mug, title: Mug, gives: {handed_over: {}}, price: {units: 150}, stock: 2, limit: {times: 1, per: lifetime}}
  - {id: spa, title: Spa, gives: {handed_over: {codes: {list: [A-1, B-2]}}}}
";

fn ask(reward: &str) -> Command {
    asked_in(reward, None)
}

fn asked_in(reward: &str, store: Option<Label>) -> Command {
    Command::RedeemReward(RedeemReward { reward: RewardId::parse(reward).unwrap(), store })
}

fn voucher_answer(decision: &Decision) -> VoucherAnswer {
    match &decision.answer {
        Answer::RedeemReward(a) | Answer::FulfilVoucher(a) | Answer::CancelVoucher(a) => a.clone(),
        other => panic!("{other:?}"),
    }
}

/// The voucher that a member gets who asks.
fn voucher(decision: &Decision) -> Voucher {
    let answer = voucher_answer(decision);
    assert!(answer.changed, "{answer:?}");
    *answer.voucher.unwrap()
}

fn by_voucher(voucher: &Voucher) -> Redeem {
    Redeem { vouchers: vec![voucher.voucher.clone()], ..nothing() }
}

/// What a member is offered: a line each.
fn offered(world: &World, member: &str, order: Option<Order>, redeem: Redeem) -> Vec<String> {
    let line = |offer: &Offer| {
        let price = offer.price.as_ref().map_or_else(|| "free".to_owned(), |(_, units)| format!("for {units}"));
        let off = offer.amount_minor.map_or_else(String::new, |off| format!(" takes {off} off"));
        let why: Vec<String> = offer.refusals.iter().map(refusal).collect();
        let near = if offer.nearest.is_empty() { String::new() } else { format!("; {}", offer.nearest) };
        format!("{} {price}{off}: {}{near}", offer.reward, if why.is_empty() { "yes".into() } else { why.join("; ") })
    };
    offers(world, member, order, redeem).iter().map(line).collect()
}

fn offers(world: &World, member: &str, order: Option<Order>, redeem: Redeem) -> Vec<Offer> {
    let command = Command::Catalogue(Catalogue { order, redeem, store: None });
    match world.look(member, &command).answer {
        Answer::Catalogue(answer) => answer.offers,
        other => panic!("{other:?}"),
    }
}

fn left(world: &World, of: &str) -> Vec<i64> {
    world.quotas.iter().filter(|(quota, _)| &*quota.of == of).map(|(_, left)| *left).collect()
}

#[test]
fn c9_a_reward_is_asked_for_outside_an_order_and_used_on_one() {
    let mut world = World::new(SHOP).with("mia", 500);
    let decision = world.decide("mia", ask("two-off"));
    let bought = voucher(&decision);
    assert_eq!(bought.state, VoucherState::Issued);
    assert_eq!(bought.bought.as_ref().unwrap().paid.as_ref().unwrap().total(), 200);
    assert_eq!(world.has("mia"), "available 300");
    assert_eq!(left(&world, "stock|two-off|"), [2], "what a voucher is for is out of stock at once");
    let used = Commit { redeem: Some(by_voucher(&bought)), ..commit(order_for("o", 1_000)) };
    assert_eq!(told(&world.commit("mia", used))[0], "two-off takes 200 off");
    assert_eq!(world.has("mia"), "available 300", "it was paid for before");
    assert_eq!(left(&world, "stock|two-off|"), [2], "and it was out of stock before");
    // What comes back of the order gives the voucher back, and nothing more.
    world.give_back("mia", everything("o", "r"));
    assert_eq!(world.accounts[&account("mia")].voucher(&bought.voucher).unwrap().state, VoucherState::Issued);
    let back = world.decide("mia", Command::CancelVoucher(bought.voucher.clone()));
    assert_eq!(voucher(&back).state, VoucherState::Cancelled);
    assert_eq!((world.has("mia"), left(&world, "stock|two-off|")), ("available 500".to_owned(), vec![3]));
}

#[test]
fn c9_a_voucher_is_fulfilled_once_and_then_can_be_neither_used_nor_cancelled() {
    let mut world = World::new(SHOP).with("mia", 500);
    let mug = voucher(&world.decide("mia", ask("mug")));
    let used = Commit { redeem: Some(as_possible(by_voucher(&mug))), ..commit(order_for("o", 1_000)) };
    assert_eq!(told(&world.commit("mia", used)), [format!("no voucher {}: NotOnOrders", mug.voucher)]);
    let fulfilled = world.decide("mia", Command::FulfilVoucher(mug.voucher.clone()));
    assert_eq!(voucher(&fulfilled).state, VoucherState::Used);
    for command in [Command::FulfilVoucher(mug.voucher.clone()), Command::CancelVoucher(mug.voucher.clone())] {
        assert_eq!(told(&world.decide("mia", command)), [format!("no voucher {}: VoucherUsed", mug.voucher)]);
    }
    let unknown = VoucherId::parse("mia:redeem:x").unwrap();
    assert_eq!(
        told(&world.decide("mia", Command::FulfilVoucher(unknown))),
        ["no voucher mia:redeem:x: VoucherUnknown"]
    );
    assert_eq!((world.has("mia"), left(&world, "stock|mug|")), ("available 350".to_owned(), vec![1]));
}

#[test]
fn c9_cancelling_gives_units_back_to_their_lots_and_the_limit_counts_no_more() {
    let mut world = World::new(SHOP);
    world.enrol("mia", &[]);
    for (units, expires) in [(100, "2026-06-01"), (80, "2026-07-01"), (50, "2026-08-01")] {
        world.adjust("mia", units, Some(expires));
    }
    let before = world.accounts[&account("mia")].units.clone();
    let mug = voucher(&world.decide("mia", ask("mug")));
    assert_eq!(world.has("mia"), "available 80");
    assert_eq!(told(&world.decide("mia", ask("mug"))), ["no reward mug: RewardLimit, asks 2, has 1"]);
    let back = world.decide("mia", Command::CancelVoucher(mug.voucher.clone()));
    assert_eq!(told(&back), ["150 units come back".to_owned(), format!("{} cancelled", mug.voucher)]);
    assert_eq!(world.accounts[&account("mia")].units[0].lots, before[0].lots, "each to the lot that it came from");
    // It can be had again; what has expired meanwhile comes back as a return would have it.
    let again = voucher(&world.decide("mia", ask("mug")));
    world.go("2026-06-15");
    let back = world.decide("mia", Command::CancelVoucher(again.voucher));
    assert_eq!(told(&back)[0], "150 units come back");
    assert_eq!(world.has("mia"), "available 230", "the lot of 1 June lives on for a grace");
}

#[test]
fn c9_what_is_given_back_repays_what_is_owed_first() {
    let sections = format!("returns: {{shortfall: debt}}\n{SHOP}{}", BASE);
    let mut world = World::new(&sections);
    world.enrol("mia", &[]);
    world.buy("mia", order_for("o", 15_000));
    let mug = voucher(&world.decide("mia", ask("mug")));
    world.give_back("mia", everything("o", "r"));
    assert_eq!(world.has("mia"), "debt 150");
    let back = world.decide("mia", Command::CancelVoucher(mug.voucher));
    assert_eq!(told(&back)[0], "150 units come back, repaid 150");
    assert_eq!(world.has("mia"), "nothing");
}

#[test]
fn c9_stock_is_held_with_the_units_until_commit_release_or_lapse() {
    let stock = |world: &World| left(world, "stock|two-off|");
    let order = |id: &str| order_for(id, 1_000);
    let mut world = World::new(SHOP).with("mia", 5_000);
    assert!(reserved(&world.reserve("mia", order("o"), rewards(&["two-off"]))).reserved);
    assert_eq!(stock(&world), [2]);
    // Reserving again keeps what is held; asking for something else gives it back.
    assert!(reserved(&world.reserve("mia", order("o"), rewards(&["two-off"]))).reserved);
    assert_eq!(stock(&world), [2]);
    assert!(reserved(&world.reserve("mia", order("o"), pay_exactly(10))).reserved);
    assert_eq!(stock(&world), [3]);
    assert!(reserved(&world.reserve("mia", order("o"), rewards(&["two-off"]))).reserved);
    assert_eq!(stock(&world), [2]);
    // A Reserve that is refused changes nothing.
    assert!(!reserved(&world.reserve("mia", order("o"), rewards(&["two-off", "mug"]))).reserved);
    assert_eq!(stock(&world), [2]);
    world.release("mia", "o");
    assert_eq!(stock(&world), [3]);
    world.release("mia", "o");
    assert_eq!(stock(&world), [3], "given back once");
    world.reserve("mia", order("lapses"), rewards(&["two-off"]));
    world.go("2026-05-05");
    world.advance("mia");
    assert_eq!(stock(&world), [3]);
    // A Commit uses what was reserved, or takes one of its own.
    world.reserve("mia", order("p"), rewards(&["two-off"]));
    assert_eq!(told(&world.buy("mia", order("p"))), ["two-off takes 200 off for 200"]);
    assert_eq!(stock(&world), [2]);
    world.commit("mia", Commit { redeem: Some(rewards(&["two-off"])), ..commit(order("q")) });
    assert_eq!(stock(&world), [1]);
    // One that is not used after all goes back.
    world.reserve("mia", order("r"), rewards(&["two-off"]));
    assert_eq!(stock(&world), [0]);
    assert_eq!(told(&world.buy("mia", order_for("r", 100))), ["no reward two-off: SpendTooLow, asks 1000, has 100"]);
    assert_eq!(stock(&world), [1]);
}

#[test]
fn c9_the_last_one_is_had_once_and_a_paid_order_keeps_what_was_promised() {
    let sections = SHOP.replace("stock: 3", "stock: 1");
    let mut world = World::new(&sections).with("mia", 1_000).with("leo", 1_000);
    world.reserve("mia", order_for("o", 1_000), rewards(&["two-off"]));
    let refused = ["no reward two-off: OutOfStock, asks 1, has 0"];
    assert_eq!(told(&world.reserve("leo", order_for("p", 1_000), rewards(&["two-off"]))), refused);
    assert_eq!(told(&world.decide("leo", ask("two-off"))), refused);
    assert_eq!(world.has("leo"), "available 1000");
    // The reservation lapses, and the other has it.
    world.go("2026-05-05");
    world.advance("mia");
    assert!(reserved(&world.reserve("leo", order_for("p", 1_000), rewards(&["two-off"]))).reserved);
    let unpaid = world.buy("mia", order_for("o", 1_000));
    assert_eq!(told(&unpaid), refused, "whole or not at all");
    let paid = world.commit("mia", Commit { paid: true, ..commit(order_for("o", 1_000)) });
    assert_eq!(told(&paid), ["two-off takes 200 off for 200", refused[0]], "it stands, and is told");
    assert_eq!(left(&world, "stock|two-off|"), [0]);
    // What had none of it gives none back.
    world.give_back("mia", everything("o", "r"));
    assert_eq!(left(&world, "stock|two-off|"), [0]);
}

#[test]
fn c8_stock_comes_back_with_the_goods_or_is_written_off() {
    for (stock, expected) in [
        ("stock: 2", [1, 1, 2, 2]),
        ("stock: {items: 2, on_return: back}", [1, 1, 2, 2]),
        ("stock: {items: 2, on_return: written_off}", [1, 1, 1, 1]),
    ] {
        let sections = SHOP.replace("stock: 3", stock);
        let mut world = World::new(&sections).with("mia", 1_000);
        let lines = vec![line("a", 600), line("b", 600)];
        world.commit("mia", Commit { redeem: Some(rewards(&["two-off"])), ..commit(order("o", lines)) });
        let mut seen = left(&world, "stock|two-off|");
        world.give_back("mia", returned("o", "r1", ReturnWhat::Lines(vec![quantity("a", 1)])));
        seen.extend(left(&world, "stock|two-off|"));
        world.give_back("mia", everything("o", "r2"));
        seen.extend(left(&world, "stock|two-off|"));
        world.give_back("mia", everything("o", "r2"));
        seen.extend(left(&world, "stock|two-off|"));
        assert_eq!(seen, expected, "{stock}: all that it lowered has to come back, once");
    }
}

#[test]
fn c9_a_guest_takes_stock_too_and_gives_it_back() {
    let sections = "
guests: {claim_within: 30 days}
rewards:
  - {id: off, title: T, gives: {amount_off: GBP 2.00}, stock: 2}
";
    let mut world = World::new(sections).with("mia", 0);
    let guest = &super::guests::guest_of("o");
    let asked = Commit { redeem: Some(rewards(&["off"])), ..commit(order_for("o", 1_000)) };
    assert_eq!(told(&world.commit(guest, asked))[0], "off takes 200 off");
    assert_eq!(left(&world, "stock|off|"), [1]);
    world.give_back(guest, everything("o", "r"));
    assert_eq!(left(&world, "stock|off|"), [2]);
}

#[test]
fn c9_stock_by_store_and_by_period_and_codes_of_a_partner() {
    let sections = "
stores: {soho: {}, bank: {}}
rewards:
  - {id: mug, title: M, gives: {handed_over: {}}, stock: {items: 1, by_store: true, per: month}}
  - {id: spa, title: S, gives: {handed_over: {codes: {list: [A-1, B-2]}}}}
  - {id: zoo, title: Z, gives: {handed_over: {codes: {numbered: {prefix: ZOO-, first: 98, count: 3, digits: 3}}}}}
";
    let mut world = World::new(sections).with("mia", 0);
    let ask_in = |world: &mut World, store: &str| {
        let store = (!store.is_empty()).then(|| label(store));
        told(&world.decide("mia", asked_in("mug", store))).join("; ")
    };
    let none = "no reward mug: OutOfStock, asks 1, has 0";
    for store in ["soho", "bank", ""] {
        assert!(ask_in(&mut world, store).ends_with("issued"), "{store}");
        assert_eq!(ask_in(&mut world, store), none, "{store}");
    }
    world.go("2026-06-01");
    assert!(ask_in(&mut world, "soho").ends_with("issued"), "a month has its own");
    let code = |decision: &Decision| {
        let voucher = voucher_answer(decision).voucher;
        voucher.and_then(|voucher| voucher.bought.unwrap().code).map_or_else(String::new, String::from)
    };
    let first = world.decide("mia", ask("spa"));
    assert_eq!(code(&first), "A-1");
    // One that was shown is given to nobody else, though it is taken back.
    world.decide("mia", Command::CancelVoucher(voucher(&first).voucher));
    assert_eq!(code(&world.decide("mia", ask("spa"))), "B-2");
    assert_eq!(told(&world.decide("mia", ask("spa"))), ["no reward spa: OutOfStock, asks 1, has 0"]);
    let zoo: Vec<String> = (0..3).map(|_| code(&world.decide("mia", ask("zoo")))).collect();
    assert_eq!(zoo, ["ZOO-098", "ZOO-099", "ZOO-100"]);
    assert_eq!(told(&world.decide("mia", ask("zoo"))), ["no reward zoo: OutOfStock, asks 1, has 0"]);
}

#[test]
fn c9_a_voucher_that_was_asked_for_moves_with_its_owner_and_is_cancelled_there() {
    let mut world = World::new(SHOP).with("mia", 500).with("leo", 10);
    let mug = voucher(&world.decide("mia", ask("mug")));
    world.merge("mia", "leo");
    world.relay();
    let back = world.decide("leo", Command::CancelVoucher(mug.voucher));
    assert_eq!(told(&back)[0], "150 units come back");
    assert_eq!((world.has("leo"), left(&world, "stock|mug|")), ("available 510".to_owned(), vec![2]));
}

#[test]
fn c3_the_catalogue_tells_of_each_reward_whether_why_not_and_what_is_missing() {
    let mut world = World::new(SHOP).with("mia", 160).with("leo", 1_000);
    assert_eq!(
        offered(&world, "mia", None, nothing()),
        [
            "two-off for 200: no reward two-off: BalanceTooLow, asks 200, has 160; 40 points more",
            "mug for 150: yes",
            "spa free: yes"
        ]
    );
    assert_eq!(
        offered(&world, "", None, nothing())[1],
        "mug for 150: no reward mug: BalanceTooLow, asks 150, has 0; 150 points more"
    );
    world.decide("mia", ask("mug"));
    world.decide("leo", ask("mug"));
    // Each reason is told; then no single thing is missing.
    assert_eq!(
        offered(&world, "mia", None, nothing())[1],
        "mug for 150: no reward mug: RewardLimit, asks 2, has 1; no reward mug: BalanceTooLow, asks 150, has 10; no reward mug: OutOfStock, asks 1, has 0"
    );
    let stock = offers(&world, "leo", None, nothing()).iter().map(|offer| offer.stock_left).collect::<Vec<_>>();
    assert_eq!(stock, [Some(3), Some(0), Some(2)]);
}

#[test]
fn c3_at_checkout_each_reward_is_available_or_not_with_the_nearest_miss() {
    let mut world = World::new(SHOP).with("mia", 300);
    let on = |world: &World, costs: i64, redeem: Redeem| offered(world, "mia", Some(order_for("o", costs)), redeem);
    assert_eq!(
        on(&world, 760, nothing()),
        ["two-off for 200 takes 200 off: no reward two-off: SpendTooLow, asks 1000, has 760; GBP 2.40 more"],
        "what is handed over outside of orders is not among them"
    );
    assert_eq!(on(&world, 1_000, nothing())[0], "two-off for 200 takes 200 off: yes");
    // What is to be used already is not offered again, and leaves less.
    assert_eq!(on(&world, 1_000, rewards(&["two-off"])), Vec::<String>::new());
    // What the order's own reservation holds is there for it.
    world.reserve("mia", order_for("o", 1_000), rewards(&["two-off"]));
    assert_eq!(on(&world, 1_000, nothing())[0], "two-off for 200 takes 200 off: yes");
    let other = offered(&world, "mia", Some(order_for("p", 1_000)), nothing());
    assert_eq!(
        other[0],
        "two-off for 200 takes 200 off: no reward two-off: BalanceTooLow, asks 200, has 100; 100 points more"
    );
}

#[test]
fn c3_what_is_listed_as_available_can_be_had_and_what_is_not_cannot() {
    let sections = "
pay_with: {points: {units: 1, worth: GBP 0.01}}
redemption: {rewards_max: 2, guard_rails: {share_max: 60%, floors: [{price: GBP 1.00}], no_discount: {categories: [books]}, on_reach: refuse}}
rewards:
  - {id: five, title: T, gives: {amount_off: GBP 5.00}, price: {units: 100}, spend_at_least: GBP 8.00}
  - {id: half, title: T, gives: {percent_off: {percent: 50%}}, price: {units: 300}, group: a}
  - {id: tenth, title: T, gives: {percent_off: {percent: 10%}}, group: a, stock: 1}
  - {id: free, title: T, gives: {free_item: {}}, lines: {categories: [cake]}, alone: true}
  - {id: ship, title: T, gives: {free_shipping: {}}, limit: {times: 1}}
";
    let (mut yes, mut no) = (0, 0);
    for balance in [0, 150, 1_000] {
        for costs in [90, 500, 900, 2_000] {
            for (before, category) in
                [(&[][..], "cake"), (&["five"], "cake"), (&["tenth"], "books"), (&["free"], "toys")]
            {
                let mut world = World::new(sections).with("mia", balance).with("leo", 0);
                if costs == 900 {
                    world.reserve("leo", order_for("x", 1_000), rewards(&["tenth"]));
                }
                let cart = || order("o", vec![of_category(category, line("a", costs))]);
                for offer in offers(&world, "mia", Some(cart()), as_possible(rewards(before))) {
                    let mut asked: Vec<&str> = before.to_vec();
                    asked.push(offer.reward.as_str());
                    let mut tried = world.clone();
                    let decision = tried.reserve("mia", cart(), as_possible(rewards(&asked)));
                    let all = told(&decision);
                    let about = format!("no reward {}:", offer.reward);
                    let had = !all.iter().any(|text| text.starts_with(&about));
                    assert_eq!(offer.refusals.is_empty(), had, "{balance} {costs} {before:?} {offer:?}: {all:?}");
                    *(if had { &mut yes } else { &mut no }) += 1;
                }
            }
        }
    }
    assert!(20 < yes && 20 < no, "{yes} {no}");
}

#[test]
fn c10_earn_of_this_order_is_for_later_ones_unless_the_program_says_otherwise() {
    let sections = format!("pay_with: {{points: {{units: 1, worth: GBP 0.01}}}}{BASE}");
    let mut world = World::new(&sections).with("mia", 0);
    let asked = Commit { redeem: Some(pay_exactly(10)), ..commit(order_for("o", 1_000)) };
    assert_eq!(told(&world.commit("mia", asked)), ["no payment points: BalanceTooLow, asks 10, has 0"]);
    let asked = Commit { redeem: Some(as_possible(pay_exactly(10))), ..commit(order_for("p", 1_000)) };
    assert_eq!(
        told(&world.commit("mia", asked)),
        ["base grants 10", "no payment points: BalanceTooLow, asks 1, has 0"]
    );
    // On the next it can.
    let asked = Commit { redeem: Some(pay_exactly(10)), ..commit(order_for("q", 1_000)) };
    assert_eq!(told(&world.commit("mia", asked))[0], "10 units pay 10");
}

/// Earns `units` for each pound that is paid in money.
fn at_once(units: i64) -> String {
    format!(
        "pay_with: {{points: {{units: 1, worth: GBP 0.01}}}}
redemption: {{own_earn: at_once}}
earning: {{paid_with_units_earns: false}}
rewards:
  - {{id: one-off, title: T, gives: {{amount_off: GBP 1.00}}, price: {{units: 10}}}}
rules:
  - {{id: base, kind: transactional, on: order, then: {{earn: {{units: {units}, per: GBP 1.00}}}}}}
"
    )
}

#[test]
fn c10_own_earn_can_be_used_as_far_as_the_order_still_earns_it() {
    for (units, balance, asked, tells) in [
        (1, 0, pay_exactly(9), &["base grants 9", "9 units pay 9"][..]),
        // Ten would leave 9.90 to earn on, which is nine.
        (1, 0, pay_exactly(10), &["no payment points: BalanceTooLow, asks 10, has 9"]),
        (1, 1, pay_exactly(10), &["base grants 9", "10 units pay 10"]),
        (1, 0, pay(PayAmount::AllPossible), &["base grants 9", "9 units pay 9"]),
        // 5.56 earn 444 where 444 were used; 5.55 earn 444, too, where 445 were.
        (80, 0, pay(PayAmount::AllPossible), &["base grants 444", "444 units pay 444"]),
        (1, 1, rewards(&["one-off"]), &["base grants 9", "one-off takes 100 off for 10"]),
        (1, 0, rewards(&["one-off"]), &["no reward one-off: BalanceTooLow, asks 10, has 9"]),
    ] {
        let mut world = World::new(&at_once(units)).with("mia", balance);
        let whole = Commit { redeem: Some(asked.clone()), ..commit(order_for("o", 1_000)) };
        let quoted = told(&world.look("mia", &Command::Commit(whole)));
        let done = world.commit("mia", Commit { redeem: Some(asked.clone()), ..commit(order_for("o", 1_000)) });
        assert_eq!(told(&done), tells, "{units} {balance} {asked:?}");
        assert_eq!(quoted, told(&done));
        let left = done.account.as_ref().unwrap();
        assert_eq!(left.debt(&UnitId::points()), 0, "what is used is covered");
    }
}

#[test]
fn c10_own_earn_that_is_reserved_is_there_at_the_commit_and_goes_back_with_the_goods() {
    let mut world = World::new(&at_once(1)).with("mia", 5);
    let held = world.reserve("mia", order_for("o", 1_000), pay_exactly(14));
    assert!(reserved(&held).reserved, "{:?}", told(&held));
    let done = world.commit("mia", commit(order_for("o", 1_000)));
    assert_eq!(told(&done), ["base grants 9", "14 units pay 14"]);
    assert_eq!(world.has("mia"), "nothing");
    let back = world.give_back("mia", everything("o", "r"));
    assert_eq!(world.has("mia"), "available 5", "{:?}", told(&back));
    // Pending units are no means of payment.
    let later = at_once(1).replace("per: GBP 1.00}", "per: GBP 1.00, life: {activates_after: 1 day}}");
    let mut world = World::new(&later).with("mia", 0);
    let done = world.commit("mia", Commit { redeem: Some(pay_exactly(5)), ..commit(order_for("o", 1_000)) });
    assert_eq!(told(&done), ["no payment points: BalanceTooLow, asks 5, has 0"]);
}

/// Of all members together.
const BOUNDED: &str = "
pay_with: {points: {units: 1, worth: GBP 0.01}}
unit_limits: {points: {liability_max: GBP 0.25}}
";

#[test]
fn e2_liability_of_all_members_stays_below_the_cap() {
    let mut world = World::new(&format!("{BOUNDED}{BASE}")).with("mia", 0).with("ben", 0);
    assert_eq!(told(&world.buy("mia", order_for("o1", 2_000))), ["base grants 20"]);
    assert_eq!(
        told(&world.buy("ben", order_for("o2", 2_000))),
        ["base grants 5", "no more of base by unit:points: LimitReached, asks 20, has 5"]
    );
    assert_eq!(
        told(&world.buy("ben", order_for("o3", 2_000))),
        ["no more of base by unit:points: LimitReached, asks 20, has 0"]
    );
    // What is redeemed makes room, at once for the order itself no more than before.
    let asked = Commit { redeem: Some(pay_exactly(20)), ..commit(order_for("o4", 3_000)) };
    assert_eq!(told(&world.commit("mia", asked))[0], "20 units pay 20");
    assert_eq!(told(&world.buy("ben", order_for("o5", 2_000))), ["base grants 20"]);
    // What comes by hand is refused to nobody, and counts.
    world.adjust("mia", 7, None);
    let asked = Commit { redeem: Some(pay_exactly(5)), ..commit(order_for("o6", 500)) };
    world.commit("ben", asked);
    assert_eq!(told(&world.buy("ben", order_for("o7", 2_000))).len(), 1, "two over the cap still");
    let asked = Commit { redeem: Some(pay_exactly(5)), ..commit(order_for("o8", 500)) };
    world.commit("ben", asked);
    assert_eq!(told(&world.buy("mia", order_for("o9", 2_000)))[0], "base grants 3");
}

#[test]
fn e2_liability_counts_a_balance_from_before_the_cap_once() {
    let before = format!("pay_with: {{points: {{units: 1, worth: GBP 0.01}}}}{BASE}");
    let mut world = World::new(&before).with("mia", 10);
    let (before, after) = (program(&before), program(&format!("{BOUNDED}{BASE}")));
    world.timeline = Timeline { versions: vec![(Instant(0), before), (world.now.plus_ms(1), after)] };
    world.now = world.now.plus_ms(2);
    let asked = Commit { redeem: Some(pay_exactly(4)), ..commit(order_for("o1", 100)) };
    world.commit("mia", asked);
    // 7 are there: 10 less 4 and 1 more.
    assert_eq!(told(&world.buy("mia", order_for("o2", 9_900)))[0], "base grants 18");
}

#[test]
fn e3_brake_pauses_a_campaign_above_a_multiple_of_its_forecast() {
    let sections = |resumed: &str| {
        format!(
            "campaigns: [{{id: may, title: M, brake: {{forecast: 10, per: day, times: 2.5{resumed}}}}}]
rules:
  - {{id: base, kind: transactional, on: order, then: {{earn: {{units: 1, per: GBP 1.00}}}}}}
  - {{id: gift, kind: behavioural, on: order, campaign: may, then: {{bonus: {{units: 10}}}}}}
"
        )
    };
    let mut world = World::new(&sections("")).with("mia", 0);
    for n in 0..2 {
        assert_eq!(told(&world.buy("mia", order_for(&format!("o{n}"), 100))), ["base grants 1", "gift grants 10"]);
    }
    assert_eq!(
        told(&world.buy("mia", order_for("o3", 100))),
        ["base grants 1", "gift grants 5", "no more of gift by campaign:may: CampaignPaused, asks 10, has 5"]
    );
    assert_eq!(
        told(&world.buy("mia", order_for("o4", 100))),
        ["base grants 1", "no more of gift by campaign:may: CampaignPaused, asks 10, has 0"],
        "what other rules give stands"
    );
}
