//! What rewards give, how they go together, and what keeps them from going too deep.

use guerdon::domain::command::{Commit, PayAmount, Redeem};
use guerdon::domain::order::{Currency, Line, LineKind, Order};

use super::kit::*;

/// What is told when a member with 1,000 points redeems; earns nothing.
fn told_of(sections: &str, lines: Vec<Line>, redeem: Redeem) -> Vec<String> {
    let mut world = World::new(sections).with("mia", 1_000);
    told(&world.commit("mia", Commit { redeem: Some(redeem), ..commit(order("o", lines)) }))
}

/// What rewards take off each line.
fn reduced(sections: &str, lines: Vec<Line>, asked: &[&str]) -> Vec<i64> {
    let mut world = World::new(sections).with("mia", 1_000);
    world.commit("mia", Commit { redeem: Some(as_possible(rewards(asked))), ..commit(order("o", lines)) });
    world.order("o").lines.iter().map(|line| line.reduced_minor).collect()
}

fn reward(gives: &str) -> String {
    format!("rewards:\n  - {{id: r, title: T, gives: {{{gives}}}}}\n")
}

#[test]
fn c1_the_most_of_an_order_by_units_by_worth_and_by_share() {
    let exactly = |n| pay(PayAmount::Exactly(n));
    let at_most = |n| pay(PayAmount::AtMost(n));
    for (bounds, redeem, expected) in [
        ("units_max: 300", exactly(300), "300 units pay 300"),
        ("units_max: 300", exactly(350), "no payment points: AbovePaymentMax, asks 350, has 300"),
        ("units_max: 300", at_most(900), "300 units pay 300"),
        ("units_max: 300", pay(PayAmount::AllPossible), "300 units pay 300"),
        (
            "units_max: 300",
            as_possible(exactly(350)),
            "300 units pay 300; no payment points: AbovePaymentMax, asks 350, has 300",
        ),
        ("worth_max: GBP 2.75", pay(PayAmount::AllPossible), "250 units pay 250"),
        ("worth_max: GBP 2.75", exactly(300), "no payment points: AbovePaymentMax, asks 300, has 250"),
        // The tightest is told.
        (
            "units_max: 300, worth_max: GBP 2.00, share_max: 10%",
            exactly(150),
            "no payment points: AboveShare, asks 150, has 100",
        ),
        (
            "units_max: 300, worth_max: GBP 2.00, share_max: 90%",
            exactly(250),
            "no payment points: AbovePaymentMax, asks 250, has 200",
        ),
        // What may not be exceeded leaves less than the fewest.
        (
            "units_min: 200, worth_max: GBP 1.99",
            pay(PayAmount::AllPossible),
            "no payment points: BelowMinimum, asks 200, has 150",
        ),
    ] {
        let sections = format!("pay_with: {{points: {{units: 100, worth: GBP 1.00, step: 50, {bounds}}}}}\n");
        assert_eq!(
            told_of(&sections, vec![line("a", 1_000)], redeem.clone()).join("; "),
            expected,
            "{bounds} {redeem:?}"
        );
    }
}

#[test]
fn c1_units_of_currencies_without_and_with_three_decimals() {
    for (currency, worth, costs, wanted, expected) in [
        ("JPY", "JPY 1", 999, 1_000, "no payment points: AboveShare, asks 1000, has 999"),
        ("JPY", "JPY 1", 1_000, 1_000, "1000 units pay 1000"),
        ("BHD", "BHD 0.001", 12, 12, "12 units pay 12"),
        ("BHD", "BHD 1.005", 2_009, 2, "no payment points: AboveShare, asks 2, has 1"),
        ("BHD", "BHD 1.005", 2_010, 2, "2 units pay 2010"),
    ] {
        let sections = format!("currencies: [{currency}]\npay_with: {{points: {{units: 1, worth: {worth}}}}}\n");
        let mut world = World::new(&sections).with("mia", 5_000);
        let order = Order { currency: Currency::parse(currency).unwrap(), ..order_for("o", costs) };
        let decision = world.commit("mia", Commit { redeem: Some(pay_exactly(wanted)), ..commit(order) });
        assert_eq!(told(&decision), [expected], "{worth} {costs} {wanted}");
    }
}

#[test]
fn c2_percent_off_rounds_as_named_and_is_capped() {
    for (gives, costs, expected) in [
        ("percent_off: {percent: 10%}", 999, "r takes 99 off"),
        ("percent_off: {percent: 10%, rounding: half_up}", 995, "r takes 100 off"),
        ("percent_off: {percent: 10%, rounding: half_even}", 985, "r takes 98 off"),
        ("percent_off: {percent: 10%, rounding: ceil}", 991, "r takes 100 off"),
        ("percent_off: {percent: 12.5%}", 1_000, "r takes 125 off"),
        ("percent_off: {percent: 50%, at_most: GBP 3.00}", 600, "r takes 300 off"),
        ("percent_off: {percent: 50%, at_most: GBP 3.00}", 601, "r takes 300 off"),
        ("percent_off: {percent: 50%, at_most: GBP 3.00}", 9_999, "r takes 300 off"),
        ("percent_off: {percent: 100%}", 777, "r takes 777 off"),
        ("percent_off: {percent: 1%}", 99, "no reward r: NoMatchingLine"), // 0.99 of a penny is nothing
        ("percent_off: {percent: 1%, rounding: ceil}", 1, "r takes 1 off"),
    ] {
        assert_eq!(told_of(&reward(gives), vec![line("a", costs)], rewards(&["r"])), [expected], "{gives} of {costs}");
    }
}

#[test]
fn c2_single_items_from_the_cheapest_or_the_dearest() {
    let cart = || {
        vec![
            items(3, line("a", 900)),
            line("b", 250),
            items(2, line("c", 1_001)),
            of_kind(LineKind::Shipping, line("s", 99)),
        ]
    };
    for (gives, expected) in [
        ("free_item: {}", [0, 250, 0, 0]),
        ("free_item: {items: 2}", [300, 250, 0, 0]),
        ("free_item: {pick: dearest}", [0, 0, 500, 0]), // half of 10.01, rounded down: the odd penny is paid
        ("free_item: {items: 2, pick: dearest}", [0, 0, 1_001, 0]),
        ("free_item: {items: 9}", [900, 250, 1_001, 0]), // shipping is no item
        ("free_item: {for_each: 3}", [300, 250, 0, 0]),
        ("free_item: {for_each: 2}", [600, 250, 0, 0]),
        ("free_item: {for_each: 2, times_max: 2}", [300, 250, 0, 0]),
        ("item_off: {percent: 50%}", [0, 125, 0, 0]),
        ("item_off: {percent: 33%, items: 2, pick: dearest, rounding: half_up}", [0, 0, 330, 0]),
        ("fixed_price: {price: GBP 2.00, items: 4}", [200, 0, 601, 0]),
        ("fixed_price: {price: GBP 2.80}", [60, 0, 441, 0]), // one that costs less stays as it is
    ] {
        assert_eq!(reduced(&reward(gives), cart(), &["r"]), expected, "{gives}");
    }
}

#[test]
fn c2_free_product_in_the_cart_partly_or_not_at_all() {
    let mug = |items_n, costs| items(items_n, of_sku("mug", line("m", costs)));
    for (gives, lines, expected, off) in [
        ("product: {sku: mug}", vec![line("a", 500), mug(1, 800)], "r takes 800 off", vec![0, 800]),
        ("product: {sku: mug}", vec![line("a", 500)], "r takes 0 off, add 1 mug", vec![0]),
        (
            "product: {sku: mug, items: 3}",
            vec![line("a", 500), mug(2, 801)],
            "r takes 801 off, add 1 mug",
            vec![0, 801],
        ),
        ("product: {sku: mug}", vec![line("a", 500), mug(2, 801)], "r takes 400 off", vec![0, 400]),
        // The shop has put it there for nothing.
        ("product: {sku: mug}", vec![line("a", 500), mug(1, 0)], "r takes 0 off", vec![0, 0]),
    ] {
        assert_eq!(told_of(&reward(gives), lines.clone(), rewards(&["r"])), [expected], "{gives} {lines:?}");
        assert_eq!(reduced(&reward(gives), lines, &["r"]), off);
    }
}

#[test]
fn c2_the_price_of_a_product_that_is_still_to_be_added_comes_back_with_the_order() {
    let sections = "rewards: [{id: r, title: T, gives: {product: {sku: mug}}, price: {units: 100}}]\n";
    let mut world = World::new(sections).with("mia", 1_000);
    let lines = vec![line("a", 300), of_kind(LineKind::GiftCard, line("g", 900)), line("b", 100)];
    let decision = world.commit("mia", Commit { redeem: Some(rewards(&["r"])), ..commit(order("o", lines)) });
    assert_eq!(told(&decision), ["r takes 0 off for 100, add 1 mug"]);
    assert_eq!(world.order("o").uses[0].shares, [75, 0, 25]);
    world.give_back("mia", returned("o", "r1", guerdon::domain::command::ReturnWhat::Lines(vec![quantity("a", 1)])));
    assert_eq!(world.has("mia"), "available 975");
    world.give_back("mia", everything("o", "r2"));
    assert_eq!(world.has("mia"), "available 1000");
}

#[test]
fn c2_buy_some_get_others() {
    let tea = |n, costs| items(n, of_category("tea", line("t", costs)));
    let cake = |n, costs| items(n, of_category("cake", line("c", costs)));
    let both = |n, costs| items(n, Line { categories: vec![label("tea"), label("cake")], ..line("b", costs) });
    let gives =
        |more: &str| reward(&format!("buy_get: {{buy: {{categories: [tea]}}, get: {{categories: [cake]}}, {more}}}"));
    for (more, lines, expected) in [
        ("buy_items: 2", vec![tea(2, 600), cake(1, 450)], vec![0, 450]),
        ("buy_items: 2", vec![tea(1, 600), cake(1, 450)], vec![0, 0]),
        ("buy_items: 2", vec![tea(5, 600), cake(3, 900)], vec![0, 600]),
        ("buy_items: 2, times_max: 1", vec![tea(5, 600), cake(3, 900)], vec![0, 300]),
        ("get_items: 2", vec![tea(1, 600), cake(3, 900)], vec![0, 600]),
        ("get_items: 2", vec![tea(1, 600), cake(1, 900)], vec![0, 900]),
        ("percent: 50%", vec![tea(1, 600), cake(1, 901)], vec![0, 450]),
        ("price: GBP 1.00", vec![tea(1, 600), cake(1, 901)], vec![0, 801]),
        // What is bought is not given: of four that are both, two pay for two.
        ("buy_items: 1", vec![both(4, 400)], vec![200]),
        ("buy_items: 1", vec![both(1, 400)], vec![0]),
        ("buy_items: 2", vec![both(3, 300)], vec![100]),
        ("buy_items: 2", vec![both(5, 500)], vec![100]),
        ("buy_items: 2", vec![both(6, 600)], vec![200]),
        // What only one names serves first.
        ("buy_items: 1", vec![tea(1, 600), both(1, 400)], vec![0, 400]),
        ("buy_items: 1", vec![cake(1, 500), both(1, 400)], vec![500, 0]),
        ("buy_items: 1, get_items: 2", vec![cake(1, 500), both(2, 400)], vec![500, 200]),
        // What cost nothing was not bought.
        ("buy_items: 1", vec![tea(1, 0), cake(1, 500)], vec![0, 0]),
    ] {
        assert_eq!(reduced(&gives(more), lines.clone(), &["r"]), expected, "{more} {lines:?}");
    }
}

#[test]
fn c2_a_set_for_one_price() {
    let tea = |id: &str, n, costs| items(n, of_category("tea", line(id, costs)));
    let cake = |n, costs| items(n, of_category("cake", line("c", costs)));
    for (set, lines, expected) in [
        (
            "parts: [{lines: {categories: [tea]}}, {lines: {categories: [cake]}}]",
            vec![tea("t", 1, 300), cake(1, 400)],
            vec![86, 114],
        ),
        ("parts: [{lines: {categories: [tea]}}, {lines: {categories: [cake]}}]", vec![tea("t", 1, 300)], vec![0]),
        (
            "parts: [{lines: {categories: [tea]}}, {lines: {categories: [cake]}}]",
            vec![tea("t", 1, 100), cake(1, 400)],
            vec![0, 0],
        ),
        // Two sets, and an item left over; the odd penny is in the set that it falls into.
        ("parts: [{items: 3, lines: {categories: [tea]}}]", vec![tea("t", 7, 1_401)], vec![200]),
        // The dearest go first, or the cheapest.
        (
            "parts: [{items: 2, lines: {categories: [tea]}}]",
            vec![tea("t", 1, 300), tea("u", 1, 400), tea("v", 1, 500)],
            vec![0, 178, 222],
        ),
        (
            "pick: cheapest, parts: [{items: 2, lines: {categories: [tea]}}]",
            vec![tea("t", 1, 300), tea("u", 1, 400), tea("v", 1, 500)],
            vec![86, 114, 0],
        ),
        ("times_max: 1, parts: [{items: 2, lines: {categories: [tea]}}]", vec![tea("t", 4, 2_000)], vec![500]),
        // An item serves the first part that names it.
        ("parts: [{lines: {}}, {lines: {categories: [cake]}}]", vec![tea("t", 1, 500), cake(1, 400)], vec![222, 178]),
    ] {
        let sections = reward(&format!("set_price: {{price: GBP 5.00, {set}}}"));
        assert_eq!(reduced(&sections, lines.clone(), &["r"]), expected, "{set} {lines:?}");
    }
}

#[test]
fn c2_priced_in_units_of_any_kind_by_tier_or_free() {
    let sections = "
units: {points: {}, stamps: {}}
counters: {visits: {counts: orders, window: lifetime}}
tiers: {status: {counter: visits, levels: [{id: basic, title: B, at_least: 0}, {id: gold, title: G, at_least: 1}]}}
rules:
  - {id: base, kind: transactional, on: order, then: {bonus: {units: 5, unit: stamps}}}
rewards:
  - {id: dear, title: T, gives: {amount_off: GBP 1.00}, price: {units: 300, by_tier: [{tiers: {status: [gold]}, units: 100}]}}
  - {id: gift, title: T, gives: {amount_off: GBP 1.00}, price: {units: 300, by_tier: [{tiers: {status: [gold]}, units: 0}]}}
  - {id: tenth, title: T, gives: {free_item: {}}, price: {units: 10, unit: stamps}}
";
    let mut world = World::new(sections).with("mia", 1_000);
    let mut bought = |id: &str, asked: &[&str]| {
        let commit = Commit { redeem: Some(rewards(asked)), ..commit(order_for(id, 1_000)) };
        told(&world.commit("mia", commit)).into_iter().filter(|line| !line.contains("grants")).collect::<Vec<_>>()
    };
    assert_eq!(bought("o1", &["dear"]), ["dear takes 100 off for 300", "status: basic -> gold"]);
    assert_eq!(bought("o2", &["dear"]), ["dear takes 100 off for 100"]);
    assert_eq!(bought("o3", &["gift"]), ["gift takes 100 off"]);
    assert_eq!(bought("o4", &["tenth"]), ["tenth takes 1000 off for 10"]);
    // What was free brought no stamp.
    assert_eq!(bought("o5", &["tenth"]), ["no reward tenth: BalanceTooLow, asks 10, has 5"]);
}

#[test]
fn c4_what_goes_together_and_what_does_not() {
    let sections = "
pay_with: {points: {units: 1, worth: GBP 0.01}}
redemption: {rewards_max: 3, kinds_max: {percent_off: 1}}
rewards:
  - {id: lone, title: T, gives: {amount_off: GBP 1.00}, alone: true}
  - {id: a, title: T, gives: {amount_off: GBP 1.00}, group: x}
  - {id: b, title: T, gives: {amount_off: GBP 1.00}, group: x}
  - {id: c, title: T, gives: {percent_off: {percent: 10%}}}
  - {id: d, title: T, gives: {percent_off: {percent: 10%}}}
  - {id: e, title: T, gives: {amount_off: GBP 1.00}, with_units: false}
  - {id: f, title: T, gives: {amount_off: GBP 1.00}}
";
    for (asked, expected) in [
        (vec!["lone"], vec!["lone takes 100 off"]),
        (vec!["lone", "f"], vec!["lone takes 100 off", "no reward f: NotWithOthers"]),
        (vec!["f", "lone"], vec!["f takes 100 off", "no reward lone: NotWithOthers"]),
        (vec!["a", "b"], vec!["a takes 100 off", "no reward b: GroupTaken"]),
        (vec!["b", "a", "f"], vec!["b takes 100 off", "f takes 100 off", "no reward a: GroupTaken"]),
        (vec!["c", "d"], vec!["c takes 100 off", "no reward d: TooManyOfKind, asks 2, has 1"]),
        (
            vec!["a", "c", "e", "f"],
            vec!["a takes 100 off", "c takes 90 off", "e takes 100 off", "no reward f: TooManyRewards, asks 4, has 3"],
        ),
        // What is refused keeps nobody out.
        (vec!["gone", "lone"], vec!["lone takes 100 off", "no reward gone: RewardUnknown"]),
    ] {
        let told = told_of(sections, vec![line("o", 1_000)], as_possible(rewards(&asked)));
        assert_eq!(told, expected, "{asked:?}");
    }
    let with_units = |asked: &[&str]| Redeem { pay: pay_exactly(50).pay, ..rewards(asked) };
    assert_eq!(told_of(sections, vec![line("o", 1_000)], with_units(&["e"])), ["no payment points: NotWithUnits"]);
    let both = told_of(sections, vec![line("o", 1_000)], with_units(&["lone"]));
    assert_eq!(both, ["lone takes 100 off", "50 units pay 50"]);
}

#[test]
fn c4_the_order_in_which_rewards_act_and_what_percentages_are_of() {
    let listed = "
rewards:
  - {id: ten, title: T, gives: {percent_off: {percent: 10%}}}
  - {id: half, title: T, gives: {percent_off: {percent: 50%}}}
  - {id: pound, title: T, gives: {amount_off: GBP 1.00}}
";
    for (redemption, asked, expected) in [
        ("{}", ["pound", "ten"], ["pound takes 100 off", "ten takes 90 off"]),
        ("{apply: file}", ["pound", "ten"], ["ten takes 100 off", "pound takes 100 off"]),
        ("{percent_of: original}", ["pound", "ten"], ["pound takes 100 off", "ten takes 100 off"]),
        ("{}", ["half", "ten"], ["half takes 500 off", "ten takes 50 off"]),
        ("{percent_of: original}", ["half", "ten"], ["half takes 500 off", "ten takes 100 off"]),
    ] {
        let sections = format!("redemption: {redemption}\n{listed}");
        assert_eq!(told_of(&sections, vec![line("a", 1_000)], rewards(&asked)), expected, "{redemption} {asked:?}");
    }
    // Never more than is left, on any line.
    let sections = "redemption: {percent_of: original}\nrewards:
  - {id: most, title: T, gives: {percent_off: {percent: 90%}}, lines: {categories: [tea]}}
  - {id: ten, title: T, gives: {percent_off: {percent: 50%}}}\n";
    let lines = vec![of_category("tea", line("a", 1_000)), line("b", 100)];
    assert_eq!(reduced(sections, lines, &["most", "ten"]), [1_000, 100]);
}

const RAILS: &str = "
rewards:
  - {id: pound, title: T, gives: {amount_off: GBP 1.00}}
  - {id: half, title: T, gives: {percent_off: {percent: 50%}}}
  - {id: free, title: T, gives: {free_item: {}}}
pay_with: {points: {units: 1, worth: GBP 0.01}}
";

#[test]
fn c11_the_largest_share_of_an_order() {
    for (on_reach, asked, expected) in [
        ("clamp", vec!["half"], vec!["half takes 300 off of 500 by DiscountShareMax"]),
        ("refuse", vec!["half"], vec!["no reward half: DiscountShareMax, asks 500, has 300"]),
        ("clamp", vec!["pound"], vec!["pound takes 100 off"]),
        ("clamp", vec!["pound", "half"], vec!["pound takes 100 off", "half takes 200 off of 450 by DiscountShareMax"]),
        (
            "clamp",
            vec!["half", "pound"],
            vec!["half takes 300 off of 500 by DiscountShareMax", "no reward pound: DiscountShareMax, asks 100, has 0"],
        ),
    ] {
        let sections = format!("redemption: {{guard_rails: {{share_max: 30%, on_reach: {on_reach}}}}}{RAILS}");
        // A gift card is nothing that could be reduced: 30% are of 10.00.
        let lines = vec![line("a", 400), line("b", 600), of_kind(LineKind::GiftCard, line("g", 5_000))];
        assert_eq!(told_of(&sections, lines, as_possible(rewards(&asked))), expected, "{on_reach} {asked:?}");
    }
    let sections = format!("redemption: {{guard_rails: {{share_max: 30%}}}}{RAILS}");
    let all = |amount| Redeem { pay: pay(amount).pay, ..rewards(&["pound"]) };
    let told = told_of(&sections, vec![line("a", 1_000)], all(PayAmount::AllPossible));
    assert_eq!(told, ["pound takes 100 off", "200 units pay 200"]);
    let told = told_of(&sections, vec![line("a", 1_000)], all(PayAmount::Exactly(201)));
    assert_eq!(told, ["no payment points: DiscountShareMax, asks 201, has 200"]);
    // A tender lowers no price.
    let tender = sections.replace("worth: GBP 0.01", "worth: GBP 0.01, settles_as: tender");
    let told = told_of(&tender, vec![line("a", 1_000)], all(PayAmount::AllPossible));
    assert_eq!(told, ["pound takes 100 off", "900 units pay 900"]);
}

#[test]
fn c11_lines_that_no_discount_touches() {
    let sections = format!("redemption: {{guard_rails: {{no_discount: {{categories: [tobacco]}}}}}}{RAILS}");
    let tobacco = || of_category("tobacco", line("t", 500));
    assert_eq!(reduced(&sections, vec![tobacco(), line("a", 500)], &["half"]), [0, 250]);
    assert_eq!(reduced(&sections, vec![tobacco(), line("a", 600)], &["free"]), [0, 600]);
    let alone = told_of(&sections, vec![tobacco()], rewards(&["half"]));
    assert_eq!(alone, ["no reward half: LineNotDiscountable"]);
    let paid = told_of(&sections, vec![tobacco()], pay_exactly(100));
    assert_eq!(paid, ["no payment points: LineNotDiscountable"]);
    let told = told_of(&sections, vec![tobacco(), line("a", 50)], pay(PayAmount::AllPossible));
    assert_eq!(told, ["50 units pay 50"]);
    let tender = sections.replace("worth: GBP 0.01", "worth: GBP 0.01, settles_as: tender");
    assert_eq!(told_of(&tender, vec![tobacco()], pay(PayAmount::AllPossible)), ["500 units pay 500"]);
}

#[test]
fn c11_prices_that_lines_may_not_fall_below() {
    let floors = |floors: &str, on_reach: &str| {
        format!("redemption: {{guard_rails: {{floors: [{floors}], on_reach: {on_reach}}}}}{RAILS}")
    };
    let cart = || vec![items(2, of_sku("mug", line("m", 1_000))), line("a", 1_000)];
    for (stated, asked, expected) in [
        ("{lines: {skus: [mug]}, price: GBP 4.50}", vec!["half"], vec![100, 900]), // what does not fit goes on
        ("{share: 60%}", vec!["half"], vec![400, 400]),
        ("{share: 33.33%}", vec!["half"], vec![500, 500]),
        ("{share: 60%}, {lines: {skus: [mug]}, price: GBP 4.00}", vec!["half"], vec![200, 400]),
        ("{lines: {skus: [mug]}, price: GBP 4.50}", vec!["free"], vec![100, 0]),
        ("{price: GBP 99.00}, {lines: {skus: [cup]}, share: 1%}", vec!["pound"], vec![0, 0]),
    ] {
        assert_eq!(reduced(&floors(stated, "clamp"), cart(), &asked), expected, "{stated} {asked:?}");
    }
    let told = told_of(&floors("{share: 60%}", "clamp"), cart(), rewards(&["half"]));
    assert_eq!(told, ["half takes 800 off of 1000 by FloorPrice"]);
    let told = told_of(&floors("{share: 60%}", "refuse"), cart(), rewards(&["half"]));
    assert_eq!(told, ["no reward half: FloorPrice, asks 1000, has 800"]);
    let told = told_of(&floors("{share: 100%}", "clamp"), cart(), rewards(&["pound"]));
    assert_eq!(told, ["no reward pound: FloorPrice, asks 100, has 0"]);
    let told = told_of(&floors("{share: 60%}", "clamp"), cart(), pay_exactly(801));
    assert_eq!(told, ["no payment points: FloorPrice, asks 801, has 800"]);
    // A fraction of a minor unit is not given away.
    assert_eq!(reduced(&floors("{share: 33.33%}", "clamp"), vec![line("a", 101)], &["pound"]), [67]);
}

#[test]
fn c11_so_many_orders_with_a_discount() {
    let sections = format!("redemption: {{guard_rails: {{orders_max: {{orders: 2, per: month}}}}}}{RAILS}");
    let mut world = World::new(&sections).with("mia", 1_000);
    let asks = |world: &mut World, id: &str, redeem: Redeem| {
        told(&world.commit("mia", Commit { redeem: Some(redeem), ..commit(order_for(id, 1_000)) }))
    };
    let refused = ["no reward pound: DiscountedOrdersMax, asks 3, has 2"];
    assert_eq!(asks(&mut world, "o1", rewards(&["pound"])), ["pound takes 100 off"]);
    assert_eq!(asks(&mut world, "o2", pay_exactly(5)), ["5 units pay 5"]);
    assert_eq!(asks(&mut world, "o3", rewards(&["pound"])), refused);
    assert_eq!(asks(&mut world, "o3", pay_exactly(5)), ["no payment points: DiscountedOrdersMax, asks 3, has 2"]);
    // What comes back whole counts no more; what comes back in part does.
    world.give_back("mia", everything("o1", "r1"));
    assert_eq!(asks(&mut world, "o4", rewards(&["pound"])), ["pound takes 100 off"]);
    assert_eq!(asks(&mut world, "o5", rewards(&["pound"])), refused);
    world.go("2026-06-01");
    // Reservations count while they are open; the order's own does not stand in its way.
    world.reserve("mia", order_for("o6", 1_000), rewards(&["pound"]));
    world.reserve("mia", order_for("o7", 1_000), rewards(&["pound"]));
    assert_eq!(asks(&mut world, "o8", rewards(&["pound"])), refused);
    assert_eq!(told(&world.commit("mia", commit(order_for("o6", 1_000)))), ["pound takes 100 off"]);
    assert_eq!(told(&world.commit("mia", commit(order_for("o7", 1_000)))), ["pound takes 100 off"]);
    assert_eq!(asks(&mut world, "o8", rewards(&["pound"])), refused);
}

#[test]
fn c9_so_often_for_each_account() {
    let sections = "rewards: [{id: r, title: T, gives: {amount_off: GBP 1.00}, limit: {times: 1, per: 7 days}}]\n";
    let mut world = World::new(sections).with("mia", 0);
    let asks = |world: &mut World, id: &str| {
        told(&world.commit("mia", Commit { redeem: Some(rewards(&["r"])), ..commit(order_for(id, 1_000)) }))
    };
    let refused = ["no reward r: RewardLimit, asks 2, has 1"];
    assert_eq!(asks(&mut world, "o1"), ["r takes 100 off"]);
    assert_eq!(asks(&mut world, "o2"), refused);
    world.go("2026-05-10");
    assert_eq!(asks(&mut world, "o2"), refused);
    world.go("2026-05-11");
    world.reserve("mia", order_for("o3", 1_000), rewards(&["r"]));
    assert_eq!(asks(&mut world, "o4"), refused);
    world.release("mia", "o3");
    assert_eq!(asks(&mut world, "o4"), ["r takes 100 off"]);
}

#[test]
fn trap_7_what_a_reward_gives_is_neither_spend_nor_bought() {
    // Shops that earn before discounts still earn nothing on what was given away.
    let sections = "
earning: {after_discounts: false}
counters: {bought: {counts: items, window: lifetime}}
goals: [{id: three, title: T, counter: bought, at_least: 3}]
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 0.01}}}
  - {id: each, kind: transactional, on: order, then: {bonus: {units: 1_000, for_each: item}}}
  - {id: many, kind: transactional, on: order, when: {quantity_at_least: 3}, then: {bonus: {units: 50_000}}}
rewards:
  - {id: mug, title: T, gives: {product: {sku: mug}}}
  - {id: one, title: T, gives: {free_item: {}}}
  - {id: pound, title: T, gives: {amount_off: GBP 1.00}}
";
    let sections = sections.replace("1_000", "1000").replace("50_000", "50000");
    let mug = || of_sku("mug", line("m", 700));
    for (asked, lines, expected) in [
        (
            vec![],
            vec![items(2, line("a", 400)), mug()],
            vec!["base grants 1100", "each grants 3000", "many grants 50000", "goal three met (1)"],
        ),
        (
            vec!["mug"],
            vec![items(2, line("a", 400)), mug()],
            vec!["mug takes 700 off", "base grants 400", "each grants 2000"],
        ),
        (
            vec!["mug"],
            vec![items(2, line("a", 400)), of_sku("mug", line("m", 0))],
            vec!["mug takes 0 off", "base grants 400", "each grants 2000"],
        ),
        (vec!["one"], vec![items(3, line("a", 900))], vec!["one takes 300 off", "base grants 600", "each grants 2000"]),
        // A discount is no gift.
        (
            vec!["pound"],
            vec![items(2, line("a", 400))],
            vec!["pound takes 100 off", "base grants 400", "each grants 2000"],
        ),
    ] {
        let mut world = World::new(&sections).with("mia", 0);
        let redeem = Some(rewards(&asked));
        let told = told(&world.commit("mia", Commit { redeem, ..commit(order("o", lines.clone())) }));
        assert_eq!(told, expected, "{asked:?} {lines:?}");
    }
}
