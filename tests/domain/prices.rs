//! Member prices: what lines cost members, beside what they cost others.

use guerdon::domain::answer::{Answer, LinePrices};
use guerdon::domain::command::{Catalogue, Command, Commit, PayAmount, ReturnWhat};
use guerdon::domain::order::{Line, LineKind};

use super::kit::*;

const CLUB: &str = "
counters: {spent: {counts: spend}}
tiers:
  club: {counter: spent, levels: [{id: gold, title: Gold, at_least: 50000}]}
pay_with: {points: {units: 1, worth: GBP 0.01}}
member_prices:
  - {id: bread, title: Bread for members, lines: {skus: [rye]}, price: GBP 2.50}
  - {id: tea, title: Tea for members, lines: {categories: [tea]}, percent_off: 5%}
  - {id: gold-tea, title: Tea for gold, lines: {categories: [tea]}, tiers: {club: [gold]}, percent_off: 10%}
rewards:
  - {id: tenth, title: T, gives: {percent_off: {percent: 10%}}}
  - {id: off, title: T, gives: {amount_off: GBP 1.00}, spend_at_least: GBP 3.00}
";

fn rye(id: &str, quantity: i64, costs: i64) -> Line {
    items(quantity, of_sku("rye", line(id, costs)))
}

fn tea(id: &str, costs: i64) -> Line {
    of_category("tea", line(id, costs))
}

fn side_by_side(world: &World, member: &str, lines: Vec<Line>) -> Vec<LinePrices> {
    let command = Command::Catalogue(Catalogue { order: Some(order("o", lines)), redeem: nothing(), store: None });
    match world.look(member, &command).answer {
        Answer::Catalogue(answer) => answer.prices,
        other => panic!("{other:?}"),
    }
}

fn paid_of(world: &World) -> Vec<i64> {
    world.order("o").lines.iter().map(|line| line.money_minor).collect()
}

#[test]
fn c12_lines_cost_members_less_and_guests_what_they_cost() {
    for (lines, expected, paid) in [
        (vec![rye("a", 2, 600)], vec!["a costs 500 instead of 600 by bread"], vec![500]),
        // What costs less anyway stays as it is, and so does what counts no price.
        (vec![rye("a", 2, 480), line("b", 100)], vec![], vec![480, 100]),
        (vec![tea("a", 999)], vec!["a costs 950 instead of 999 by tea"], vec![950]),
        (vec![of_kind(LineKind::GiftCard, tea("a", 1_000))], vec![], vec![1_000]),
        (vec![of_sku("rye", tea("a", 1_000))], vec!["a costs 250 instead of 1000 by bread"], vec![250]),
    ] {
        let mut world = World::new(CLUB).with("mia", 0);
        assert_eq!(told(&world.buy("mia", order("o", lines.clone()))), expected, "{lines:?}");
        assert_eq!(paid_of(&world), paid, "{lines:?}");
        let mut world = World::new(CLUB);
        super::guests::buy_as_guest(&mut world, commit(order("o", lines.clone())));
        assert_eq!(paid_of(&world), lines.iter().map(|line| line.amount_minor).collect::<Vec<_>>());
    }
}

#[test]
fn c12_a_level_has_its_own_price_and_both_stand_side_by_side() {
    let mut world = World::new(CLUB).with("mia", 0).with("leo", 0);
    world.buy("mia", order_for("first", 60_000));
    let lines = || vec![tea("a", 1_000), line("b", 70)];
    let gold = side_by_side(&world, "mia", lines());
    let [of_tea] = gold.as_slice() else { panic!("a line without member prices is not listed: {gold:?}") };
    assert_eq!((of_tea.ordinary_minor, of_tea.member_minor), (1_000, Some(900)));
    let each: Vec<(&str, i64, bool)> =
        of_tea.prices.iter().map(|p| (p.price.as_str(), p.amount_minor, p.is_for_member)).collect();
    assert_eq!(each, [("tea", 950, true), ("gold-tea", 900, true)]);
    let base = side_by_side(&world, "leo", lines());
    assert_eq!((base[0].member_minor, base[0].prices[1].is_for_member), (Some(950), false));
    assert_eq!(side_by_side(&world, "", lines())[0].member_minor, None, "a guest sees what members would pay");
    assert_eq!(told(&world.buy("mia", order("o", lines())))[0], "a costs 900 instead of 1000 by gold-tea");
    assert_eq!(told(&world.buy("leo", order("p", lines()))), ["a costs 950 instead of 1000 by tea"]);
}

#[test]
fn c12_the_lowest_prior_price_is_told_and_is_what_a_percentage_is_of() {
    let prior = |minor: i64| Line { prior_amount_minor: Some(minor), ..tea("a", 1_000) };
    for (of, line, expected) in [
        ("ordinary", prior(800), "a costs 900 instead of 1000 by tea, before 800"),
        ("lowest_prior", prior(800), "a costs 720 instead of 1000 by tea, before 800"),
        ("lowest_prior", prior(1_200), "a costs 900 instead of 1000 by tea, before 1200"),
        ("lowest_prior", tea("a", 1_000), "a costs 900 instead of 1000 by tea"),
    ] {
        let sections = format!("member_prices: [{{id: tea, title: T, percent_off: 10%, of: {of}}}]\n");
        let mut world = World::new(&sections).with("mia", 0);
        assert_eq!(side_by_side(&world, "mia", vec![line.clone()])[0].prior_minor, line.prior_amount_minor);
        assert_eq!(told(&world.buy("mia", order("o", vec![line.clone()]))), [expected]);
        assert_eq!(world.order("o").order().lines, [line], "it is kept with the order");
    }
}

#[test]
fn c12_rewards_and_units_act_on_what_the_member_price_leaves() {
    let lines = || vec![tea("a", 1_000)];
    let mut world = World::new(&format!("{CLUB}{BASE}")).with("mia", 5_000);
    let asked = Commit { redeem: Some(rewards(&["tenth"])), ..commit(order("o", lines())) };
    assert_eq!(
        told(&world.commit("mia", asked)),
        ["a costs 950 instead of 1000 by tea", "tenth takes 95 off", "base grants 8"]
    );
    // What a reward asks for is of the ordinary price.
    let asked = Commit { redeem: Some(rewards(&["off"])), ..commit(order("p", vec![tea("a", 300)])) };
    assert_eq!(told(&world.commit("mia", asked))[..2], ["a costs 285 instead of 300 by tea", "off takes 100 off"]);
    let all = Commit { redeem: Some(pay(PayAmount::AllPossible)), ..commit(order("q", lines())) };
    assert_eq!(
        told(&world.commit("mia", all)),
        ["a costs 950 instead of 1000 by tea", "950 units pay 950", "base grants 9"]
    );
}

#[test]
fn c12_what_was_reserved_is_committed_and_what_was_paid_comes_back() {
    let mut world = World::new(CLUB).with("mia", 500);
    let lines = || vec![tea("a", 1_000), rye("b", 2, 700)];
    world.reserve("mia", order("o", lines()), pay_exactly(300));
    let decision = world.buy("mia", order("o", lines()));
    assert_eq!(
        told(&decision),
        ["a costs 950 instead of 1000 by tea", "b costs 500 instead of 700 by bread", "300 units pay 300"]
    );
    assert_eq!(changes(&decision), Vec::<String>::new());
    let whole = world.order("o").money_minor;
    assert_eq!(whole, 950 + 500 - 300);
    let one = refund(&world.give_back("mia", returned("o", "r1", ReturnWhat::Lines(vec![quantity("b", 1)]))));
    let rest = refund(&world.give_back("mia", everything("o", "r2")));
    assert_eq!(one.money_minor + rest.money_minor, whole);
    assert_eq!(world.has("mia"), "available 500");
}

#[test]
fn c12_guard_rails_bind_member_prices_too() {
    let prices = "member_prices: [{id: half, title: H, percent_off: 50%}]\n";
    for (rails, expected) in [
        ("floors: [{share: 70%}]", "a costs 700 instead of 1000 by half instead of 500 by FloorPrice"),
        ("share_max: 20%", "a costs 800 instead of 1000 by half instead of 500 by DiscountShareMax"),
        ("share_max: 50%", "a costs 500 instead of 1000 by half"),
    ] {
        let sections = format!("redemption: {{guard_rails: {{{rails}}}}}\n{prices}");
        let mut world = World::new(&sections).with("mia", 0);
        assert_eq!(told(&world.buy("mia", order("o", vec![line("a", 1_000)]))), [expected], "{rails}");
    }
    let sections = format!("redemption: {{guard_rails: {{no_discount: {{categories: [tea]}}}}}}\n{prices}");
    let mut world = World::new(&sections).with("mia", 0);
    assert_eq!(told(&world.buy("mia", order("o", vec![tea("a", 1_000)]))), Vec::<String>::new());
}
