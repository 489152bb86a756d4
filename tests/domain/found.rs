//! What the model test and trials by hand found, each by the name of what was wrong.

use guerdon::domain::account::{Voucher, VoucherState};
use guerdon::domain::answer::{Answer, CommitStatus, OrderState};
use guerdon::domain::command::{Amend, Catalogue, Command, Commit, Measure, Redeem, RedeemReward, Reserve, ReturnWhat};
use guerdon::domain::decide::Decision;
use guerdon::domain::id::{LineId, ReturnId, RewardId};
use guerdon::domain::order::Line;
use guerdon::domain::time::MINUTE_MS;

use super::kit::*;

#[test]
fn f1_a_commit_done_before_was_not_told_why_it_got_less() {
    let mut world = World::new(
        "
rules:
  - {id: base, kind: transactional, on: order, limits: [{units: 30}], then: {earn: {units: 1, per: GBP 1.00}}}
",
    )
    .with("mia", 0);
    let first = world.commit("mia", commit(order_for("o", 5_000)));
    let again = world.commit("mia", commit(order_for("o", 5_000)));
    assert_eq!(committed(&again).status, CommitStatus::AlreadyCommitted);
    assert_eq!(told(&first), ["base grants 30", "no more of base by rule:base: LimitReached, asks 50, has 30"]);
    assert_eq!(told(&again), told(&first), "what was decided then");
}

const SHOP: &str = "
pay_with: {points: {units: 1, worth: GBP 0.01, units_max: 100}}
redemption: {rewards_max: 2}
rewards:
  - {id: five, title: T, gives: {amount_off: GBP 5.00}, price: {units: 100}, stock: 3}
  - {id: mug, title: T, gives: {product: {sku: MUG, items: 2}}, price: {units: 50}}
  - {id: alone, title: T, gives: {amount_off: GBP 1.00}, alone: true}
  - {id: one, title: T, gives: {amount_off: GBP 1.00}, group: g}
  - {id: two, title: T, gives: {amount_off: GBP 1.00}, group: g}
  - {id: dry, title: T, gives: {amount_off: GBP 1.00}, with_units: false}
  - {id: few, title: T, gives: {amount_off: GBP 1.00}, limit: {times: 1, per: lifetime}}
";

fn asks(world: &mut World, reward: &str) -> Voucher {
    let redeem = RedeemReward { reward: RewardId::parse(reward).unwrap(), store: None };
    match world.decide("mia", Command::RedeemReward(redeem)).answer {
        Answer::RedeemReward(answer) => *answer.voucher.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn by(voucher: &Voucher) -> Redeem {
    Redeem { vouchers: vec![voucher.voucher.clone()], ..nothing() }
}

fn state_of(world: &World, voucher: &Voucher) -> VoucherState {
    world.accounts[&account("mia")].voucher(&voucher.voucher).unwrap().state
}

fn change(world: &mut World, remove: Vec<(LineId, Measure)>, add: Vec<Line>, redeem: Redeem) -> Decision {
    let known = world.order("o").amendments.len();
    let amend = Amend {
        order_id: order_id("o"),
        amendment_id: ReturnId::parse(&format!("a{known}")).unwrap(),
        remove,
        add,
        redeem: Some(redeem),
        tenders: Vec::new(),
    };
    world.decide("mia", Command::Amend(amend))
}

#[test]
fn c7_a_voucher_cancelled_while_its_order_was_being_paid_came_back_and_was_cancelled_again() {
    let mut world = World::new(SHOP).with("mia", 1_000);
    let voucher = asks(&mut world, "five");
    for n in 0..3 {
        let order = order_for(&format!("o{n}"), 2_000);
        let hold = Reserve { ttl_s: Some(60), ..reserve(order.clone(), by(&voucher)) };
        assert_eq!(reserved(&world.decide("mia", Command::Reserve(hold))).reserved, n == 0);
        world.now = world.now.plus_ms(2 * MINUTE_MS);
        world.decide("mia", Command::CancelVoucher(voucher.voucher.clone()));
        assert_eq!(world.has("mia"), "available 1000");
        let paid = world.commit("mia", Commit { paid: true, ..commit(order) });
        if n == 0 {
            assert!(told(&paid).iter().any(|text| text == "five takes 500 off for 100"), "{:?}", told(&paid));
            assert_eq!(world.has("mia"), "available 900", "it stands, and is paid for again");
        }
        assert_eq!(state_of(&world, &voucher), VoucherState::Cancelled);
        world.give_back("mia", everything(&format!("o{n}"), "r"));
        assert_eq!(world.has("mia"), "available 1000", "as before, not more");
        assert_eq!(state_of(&world, &voucher), VoucherState::Cancelled);
    }
}

#[test]
fn c8_an_amendment_without_lines_gave_products_that_rested_on_none() {
    let mut world = World::new(SHOP).with("mia", 1_000);
    let voucher = asks(&mut world, "mug");
    world.buy("mia", order("o", vec![line("a", 1_000), line("b", 77)]));
    let removed = change(&mut world, vec![quantity("b", 1)], vec![], rewards(&["mug"]));
    assert_eq!(told(&removed), ["no reward mug: NoMatchingLine"]);
    let removed = change(&mut world, vec![quantity("b", 1)], vec![], by(&voucher));
    assert_eq!(told(&removed), [format!("no voucher {}: NoMatchingLine", voucher.voucher)]);
    assert_eq!(state_of(&world, &voucher), VoucherState::Issued);
}

#[test]
fn c2_a_product_at_none_rested_on_other_goods() {
    let mugs = || items(2, of_sku("MUG", line("m", 0)));
    // For units: they come back with the mugs, not with what was bought beside them.
    let mut world = World::new(SHOP).with("mia", 50);
    let asked = Commit { redeem: Some(rewards(&["mug"])), ..commit(order("o", vec![line("a", 1_000), mugs()])) };
    world.commit("mia", asked);
    world.give_back("mia", returned("o", "r1", ReturnWhat::Lines(vec![quantity("a", 1)])));
    assert_eq!(world.has("mia"), "nothing");
    world.give_back("mia", returned("o", "r2", ReturnWhat::Lines(vec![quantity("m", 1)])));
    assert_eq!(world.has("mia"), "available 25");
    world.give_back("mia", everything("o", "r3"));
    assert_eq!((world.has("mia"), world.order("o").state), ("available 50".to_owned(), OrderState::Returned));
    // By voucher: it comes back with the mugs alone, whether they were there or came in later.
    for later in [false, true] {
        let mut world = World::new(SHOP).with("mia", 50);
        let voucher = asks(&mut world, "mug");
        if later {
            world.buy("mia", order("o", vec![line("a", 1_000)]));
            change(&mut world, vec![], vec![mugs()], by(&voucher));
        } else {
            let lines = vec![line("a", 1_000), mugs()];
            world.commit("mia", Commit { redeem: Some(by(&voucher)), ..commit(order("o", lines)) });
        }
        assert_eq!(state_of(&world, &voucher), VoucherState::Used, "{later}");
        world.give_back("mia", returned("o", "r1", ReturnWhat::Lines(vec![amount("a", 1)])));
        assert_eq!(state_of(&world, &voucher), VoucherState::Used, "{later}");
        world.give_back("mia", returned("o", "r2", ReturnWhat::Lines(vec![quantity("m", 2)])));
        assert_eq!(state_of(&world, &voucher), VoucherState::Issued, "{later}");
    }
}

#[test]
fn c4_what_goes_together_on_an_order_was_not_asked_of_amendments() {
    for (first, then, expected) in [
        (rewards(&["alone"]), rewards(&["one"]), "no reward one: NotWithOthers"),
        (rewards(&["one"]), rewards(&["alone"]), "no reward alone: NotWithOthers"),
        (rewards(&["one"]), rewards(&["two"]), "no reward two: GroupTaken"),
        (rewards(&["one", "few"]), rewards(&["dry"]), "no reward dry: TooManyRewards, asks 3, has 2"),
        (rewards(&["dry"]), pay_exactly(10), "no payment points: NotWithUnits"),
        (pay_exactly(10), rewards(&["dry"]), "no reward dry: NotWithUnits"),
        (pay_exactly(70), pay_exactly(40), "no payment points: AbovePaymentMax, asks 40, has 30"),
    ] {
        let mut world = World::new(SHOP).with("mia", 1_000);
        world.commit("mia", Commit { redeem: Some(first.clone()), ..commit(order_for("o", 2_000)) });
        let more = change(&mut world, vec![], vec![line("z", 2_000)], then.clone());
        assert_eq!(told(&more), [expected], "{first:?} {then:?}");
        // What has come back stands no more.
        world.give_back("mia", returned("o", "r", ReturnWhat::Lines(vec![quantity("a", 1)])));
    }
    let mut world = World::new(SHOP).with("mia", 1_000);
    world.commit("mia", Commit { redeem: Some(rewards(&["alone"])), ..commit(order_for("o", 2_000)) });
    let exchanged = change(&mut world, vec![quantity("a", 1)], vec![line("z", 2_000)], rewards(&["one"]));
    assert!(told(&exchanged).contains(&"one takes 100 off".to_owned()), "{:?}", told(&exchanged));
}

#[test]
fn c7_an_unpaid_commit_of_a_lapsed_reservation_passed_limits() {
    for paid in [false, true] {
        let mut world = World::new(SHOP).with("mia", 1_000);
        let hold = Reserve { ttl_s: Some(60), ..reserve(order_for("held", 2_000), rewards(&["few"])) };
        world.decide("mia", Command::Reserve(hold));
        world.now = world.now.plus_ms(2 * MINUTE_MS);
        world.commit("mia", Commit { redeem: Some(rewards(&["few"])), ..commit(order_for("other", 2_000)) });
        let done = world.commit("mia", Commit { paid, ..commit(order_for("held", 2_000)) });
        let status = if paid { CommitStatus::Committed } else { CommitStatus::Refused };
        assert_eq!(committed(&done).status, status, "{:?}", told(&done));
    }
}

#[test]
fn c11_an_order_that_counts_as_discounted_could_not_be_amended_at_the_limit() {
    let sections = format!("{}{SHOP}", "")
        .replace("redemption: {rewards_max: 2}", "redemption: {guard_rails: {orders_max: {orders: 1, per: lifetime}}}");
    let mut world = World::new(&sections).with("mia", 1_000);
    world.commit("mia", Commit { redeem: Some(rewards(&["one"])), ..commit(order_for("o", 2_000)) });
    let more = change(&mut world, vec![], vec![line("z", 2_000)], rewards(&["few"]));
    assert_eq!(told(&more), ["few takes 100 off"]);
    let other = Commit { redeem: Some(rewards(&["dry"])), ..commit(order_for("p", 2_000)) };
    assert_eq!(told(&world.commit("mia", other)), ["no reward dry: DiscountedOrdersMax, asks 2, has 1"]);
}

#[test]
fn c3_what_was_listed_beside_others_was_not_what_came_of_it_in_the_order_of_the_file() {
    let mut world = World::new(
        "
redemption: {apply: file}
rewards:
  - {id: half, title: T, gives: {percent_off: {percent: 50%}}, price: {units: 8}}
  - {id: five, title: T, gives: {amount_off: GBP 5.00}, price: {units: 1}}
",
    )
    .with("mia", 8);
    let offered = |world: &World| {
        let order = Some(order_for("o", 1_000));
        let listed = Catalogue { order, redeem: rewards(&["five"]), store: None };
        match world.look("mia", &Command::Catalogue(listed)).answer {
            Answer::Catalogue(answer) => {
                let offer = answer.offers.into_iter().next().unwrap();
                (offer.amount_minor, offer.refusals.iter().map(refusal).collect::<Vec<String>>())
            }
            other => panic!("{other:?}"),
        }
    };
    let (_, refusals) = offered(&world);
    assert_eq!(refusals, ["no reward half: BalanceTooLow, asks 8, has 7"], "five costs one of the eight");
    world.adjust("mia", 1, None);
    assert_eq!(offered(&world), (Some(500), vec![]), "half of it all, before five");
    let both =
        world.commit("mia", Commit { redeem: Some(rewards(&["five", "half"])), ..commit(order_for("o", 1_000)) });
    assert_eq!(told(&both), ["half takes 500 off for 8", "five takes 500 off for 1"]);
}

#[test]
fn c9_a_reservation_that_had_just_lapsed_kept_its_stock_from_its_own_commit() {
    let one = SHOP.replace("stock: 3", "stock: 1");
    let mut world = World::new(&one).with("mia", 1_000);
    let hold = Reserve { ttl_s: Some(60), ..reserve(order_for("o", 2_000), rewards(&["five"])) };
    world.decide("mia", Command::Reserve(hold));
    world.now = world.now.plus_ms(2 * MINUTE_MS);
    let done = world.commit("mia", commit(order_for("o", 2_000)));
    assert_eq!(told(&done), ["five takes 500 off for 100"]);
}
