//! What an order redeems.

use guerdon::domain::command::{Command, Commit, PayAmount, Redeem};
use guerdon::domain::order::{Currency, Line, LineKind, Order};

use super::kit::*;

/// What is told when a member with so many points redeems; earns nothing.
fn redeemed(sections: &str, balance: i64, order: Order, redeem: Redeem) -> Vec<String> {
    let mut world = World::new(sections).with("mia", balance);
    told(&world.commit("mia", Commit { redeem: Some(redeem), ..commit(order) }))
}

/// 100 points are worth a pound; steps of 50, from 100 on, for half of what the order costs.
const PAY: &str = "pay_with: {points: {units: 100, worth: GBP 1.00, step: 50, units_min: 100, share_max: 50%}}\n";

#[test]
fn c1_units_pay_by_rate_step_minimum_and_share() {
    let exactly = PayAmount::Exactly;
    let at_most = PayAmount::AtMost;
    for (wanted, as_far, balance, costs, expected) in [
        (exactly(100), false, 1_000, 1_000, "100 units pay 100"),
        (exactly(500), false, 1_000, 1_000, "500 units pay 500"),
        (exactly(550), false, 1_000, 1_000, "no payment points: AboveShare, asks 550, has 500"),
        (exactly(120), false, 1_000, 1_000, "no payment points: NotAStep, asks 50"),
        (exactly(50), false, 1_000, 1_000, "no payment points: BelowMinimum, asks 100, has 50"),
        (exactly(200), false, 199, 1_000, "no payment points: BalanceTooLow, asks 200, has 199"),
        (exactly(200), false, 200, 1_000, "200 units pay 200"),
        // The first that is wrong is told: step, minimum, share, balance.
        (exactly(9_999), false, 0, 10, "no payment points: NotAStep, asks 50"),
        (exactly(50), false, 0, 10, "no payment points: BelowMinimum, asks 100, has 50"),
        (exactly(500), false, 0, 10, "no payment points: AboveShare, asks 500, has 0"),
        // As far as possible.
        (exactly(550), true, 1_000, 1_000, "500 units pay 500; no payment points: AboveShare, asks 550, has 500"),
        (exactly(120), true, 1_000, 1_000, "100 units pay 100; no payment points: NotAStep, asks 120, has 100"),
        (exactly(200), true, 199, 1_000, "150 units pay 150; no payment points: BalanceTooLow, asks 200, has 199"),
        // Of what is short, the tightest is told.
        (exactly(600), true, 300, 1_000, "300 units pay 300; no payment points: BalanceTooLow, asks 600, has 300"),
        (exactly(600), true, 550, 1_000, "500 units pay 500; no payment points: AboveShare, asks 600, has 500"),
        (exactly(200), true, 99, 1_000, "no payment points: BalanceTooLow, asks 100, has 99"),
        (exactly(90), true, 1_000, 1_000, "no payment points: BelowMinimum, asks 100, has 90"),
        (at_most(275), false, 1_000, 1_000, "250 units pay 250"),
        (at_most(9_999), false, 1_000, 1_000, "500 units pay 500"),
        (at_most(9_999), false, 149, 1_000, "100 units pay 100"),
        (PayAmount::AllPossible, false, 1_000, 1_000, "500 units pay 500"),
        (PayAmount::AllPossible, true, 320, 1_000, "300 units pay 300"),
        (PayAmount::AllPossible, false, 1_000, 250, "100 units pay 100"), // half of 2.50 is 1.25
        (PayAmount::AllPossible, false, 1_000, 199, "no payment points: BelowMinimum, asks 100, has 50"),
        (PayAmount::AllPossible, false, 1_000, 0, "no payment points: NoMatchingLine"),
        (PayAmount::AllPossible, false, 0, 1_000, "no payment points: BalanceTooLow, asks 100, has 0"),
    ] {
        let redeem = if as_far { as_possible(pay(wanted)) } else { pay(wanted) };
        let told = redeemed(PAY, balance, order_for("o", costs), redeem);
        assert_eq!(told.join("; "), expected, "{wanted:?} of {balance} on {costs}");
    }
}

#[test]
fn c1_as_possible_tells_what_was_left_out() {
    for (step, balance, wanted, expected) in [
        (1, 100, 105, "100 units pay 100; no payment points: BalanceTooLow, asks 105, has 100"),
        (5, 100, 47, "45 units pay 45; no payment points: NotAStep, asks 47, has 45"),
        (5, 100, 45, "45 units pay 45"),
    ] {
        let sections = format!("pay_with: {{points: {{units: 1, worth: GBP 0.01, step: {step}}}}}\n");
        let asked = as_possible(pay_exactly(wanted));
        let told_on_commit = redeemed(&sections, balance, order_for("o", 1_000), asked.clone());
        assert_eq!(told_on_commit.join("; "), expected, "{wanted} of {balance}");
        let mut world = World::new(&sections).with("mia", balance);
        let decision = world.reserve("mia", order_for("o", 1_000), asked);
        assert!(reserved(&decision).reserved, "what is possible is held");
        assert_eq!(told(&decision).join("; "), expected, "{wanted} of {balance}");
        // The Commit redeems what was held, and nothing falls short of that.
        assert_eq!(told(&world.buy("mia", order_for("o", 1_000))).len(), 1);
    }
}

#[test]
fn c1_the_share_is_of_the_lines_that_may_be_paid() {
    let sections =
        "pay_with: {points: {units: 1, worth: GBP 0.01, share_max: 50%, lines: {exclude: {categories: [tobacco]}}}}\n";
    let lines = vec![
        of_category("tobacco", line("a", 1_000)),
        of_kind(LineKind::GiftCard, line("b", 1_000)),
        of_category("tea", line("c", 300)),
        of_kind(LineKind::Shipping, line("d", 100)),
    ];
    let mut world = World::new(sections).with("mia", 5_000);
    let redeem = Some(pay(PayAmount::AllPossible));
    assert_eq!(told(&world.commit("mia", Commit { redeem, ..commit(order("o", lines)) })), ["200 units pay 200"]);
    let reduced: Vec<i64> = world.order("o").lines.iter().map(|line| line.reduced_minor).collect();
    assert_eq!(reduced, [0, 0, 150, 50]);
    assert_eq!(world.order("o").uses[0].shares, [0, 0, 150, 50]);
}

#[test]
fn what_cannot_pay_says_so() {
    let two_units = "units: {points: {}, crumbs: {}}\n";
    let euros = |order: Order| Order { currency: Currency::parse("EUR").unwrap(), ..order };
    for (sections, order, expected) in [
        (two_units.to_owned(), order_for("o", 1_000), "no payment points: UnitNotPayable"),
        (PAY.to_owned(), euros(order_for("o", 1_000)), "no payment points: CurrencyNotListed"),
    ] {
        let told = redeemed(&sections, 1_000, order, pay_exactly(100));
        assert_eq!(told, [expected]);
    }
}

const REWARDS: &str = "
pay_with: {points: {units: 100, worth: GBP 1.00, step: 1}}
rewards:
  - {id: free, title: T, gives: {amount_off: GBP 2.00}}
  - {id: dear, title: T, gives: {amount_off: GBP 5.00}, price: {units: 300}, spend_at_least: GBP 8.00}
  - {id: tea, title: T, gives: {amount_off: GBP 5.00}, price: {units: 100}, lines: {categories: [tea]}}
  - {id: may, title: T, gives: {amount_off: GBP 1.00}, starts_at: 2026-05-05T00:00:00Z, ends_at: 2026-05-06T00:00:00Z}
";

#[test]
fn c2_a_reward_takes_its_amount_off_and_never_more_than_the_lines_cost() {
    let tea = |n| of_category("tea", line("t", n));
    for (asked, balance, lines, expected) in [
        (vec!["free"], 0, vec![line("a", 1_000)], vec!["free takes 200 off"]),
        (vec!["free"], 0, vec![line("a", 150)], vec!["free takes 150 off"]),
        (vec!["dear"], 300, vec![line("a", 800)], vec!["dear takes 500 off for 300"]),
        (vec!["dear"], 300, vec![line("a", 799)], vec!["no reward dear: SpendTooLow, asks 800, has 799"]),
        (vec!["dear"], 299, vec![line("a", 800)], vec!["no reward dear: BalanceTooLow, asks 300, has 299"]),
        (vec!["tea"], 100, vec![line("a", 800), tea(300)], vec!["tea takes 300 off for 100"]),
        (vec!["tea"], 100, vec![line("a", 800)], vec!["no reward tea: NoMatchingLine"]),
        (vec!["tea"], 100, vec![tea(0)], vec!["no reward tea: NoMatchingLine"]),
        (vec!["gone"], 100, vec![line("a", 800)], vec!["no reward gone: RewardUnknown"]),
        (vec!["may"], 0, vec![line("a", 800)], vec!["no reward may: RewardNotActive"]),
        // Stored value is never reduced, and buying it reaches no threshold.
        (vec!["free"], 0, vec![of_kind(LineKind::GiftCard, line("a", 1_000))], vec!["no reward free: NoMatchingLine"]),
        (
            vec!["dear"],
            300,
            vec![of_kind(LineKind::GiftCard, line("a", 1_000)), line("b", 100)],
            vec!["no reward dear: SpendTooLow, asks 800, has 100"],
        ),
        // Several, in the order asked; units that one has used the next has not.
        (vec!["free", "dear"], 300, vec![line("a", 800)], vec!["free takes 200 off", "dear takes 500 off for 300"]),
        (
            vec!["dear", "tea"],
            350,
            vec![line("a", 800), tea(300)],
            vec!["no reward tea: BalanceTooLow, asks 100, has 50"],
        ),
        // All or nothing.
        (vec!["free", "gone"], 0, vec![line("a", 800)], vec!["no reward gone: RewardUnknown"]),
    ] {
        let told = redeemed(REWARDS, balance, order("o", lines.clone()), rewards(&asked));
        assert_eq!(told, expected, "{asked:?} of {balance} on {lines:?}");
    }
    // As possible: what can be is, the rest is told.
    let told = redeemed(REWARDS, 0, order_for("o", 800), as_possible(rewards(&["gone", "free", "dear"])));
    let expected =
        ["free takes 200 off", "no reward gone: RewardUnknown", "no reward dear: BalanceTooLow, asks 300, has 0"];
    assert_eq!(told, expected);
}

#[test]
fn rewards_go_first_and_units_pay_what_is_left() {
    let redeem = Redeem { pay: pay(PayAmount::AllPossible).pay, ..rewards(&["free", "dear"]) };
    let mut world = World::new(REWARDS).with("mia", 1_000);
    let basket = vec![line("a", 600), of_kind(LineKind::GiftCard, line("g", 500)), line("b", 200), line("c", 0)];
    let decision = world.commit("mia", Commit { redeem: Some(redeem), ..commit(order("o", basket)) });
    assert_eq!(told(&decision), ["free takes 200 off", "dear takes 500 off for 300", "100 units pay 100"]);
    let record = world.order("o");
    assert_eq!(record.lines.iter().map(|line| line.reduced_minor).collect::<Vec<_>>(), [600, 0, 200, 0]);
    assert_eq!(record.money_minor, 500, "the gift card alone is paid in money");
    assert_eq!(world.has("mia"), "available 600");
}

#[test]
fn a_reward_is_on_offer_from_its_first_instant_until_before_its_last() {
    for (when, offered) in [
        ("2026-05-04T23:59:59.999Z", false),
        ("2026-05-05T00:00:00.000Z", true),
        ("2026-05-05T23:59:59.999Z", true),
        ("2026-05-06T00:00:00.000Z", false),
    ] {
        let world = World::new(REWARDS).with("mia", 0);
        let command = Command::Commit(Commit { redeem: Some(rewards(&["may"])), ..commit(order_for("o", 800)) });
        let told = told(&world.preview("mia", &command, at(when)));
        assert_eq!(told == ["may takes 100 off"], offered, "{when} {told:?}");
    }
}

#[test]
fn a_paid_commit_stands_whatever_the_balance() {
    for (redeem, expected, has) in [
        (pay_exactly(500), "500 units pay 500, debt 400", "debt 400"),
        (rewards(&["dear"]), "dear takes 500 off for 300, debt 200", "debt 200"),
        // What was not named exactly is what there is.
        (pay(PayAmount::AtMost(500)), "100 units pay 100", "nothing"),
        (pay(PayAmount::AllPossible), "100 units pay 100", "nothing"),
        // What the order cannot take is refused, and the order stands.
        (pay_exactly(5_000), "no payment points: AboveShare, asks 5000, has 1000", "available 100"),
    ] {
        let mut world = World::new(REWARDS).with("mia", 100);
        let commit = Commit { paid: true, redeem: Some(redeem), ..commit(order_for("o", 1_000)) };
        assert_eq!(told(&world.commit("mia", commit)), [expected]);
        assert_eq!(world.has("mia"), has, "{expected}");
    }
}

#[test]
fn what_pays_earliest_is_what_expires_first() {
    let mut world = World::new(REWARDS).with("mia", 100);
    world.adjust("mia", 100, Some("2026-08-01"));
    world.adjust("mia", 100, Some("2026-07-01"));
    world.commit("mia", Commit { redeem: Some(pay_exactly(150)), ..commit(order_for("o", 1_000)) });
    world.go("2026-07-01");
    assert_eq!(world.has("mia"), "available 150");
    world.go("2026-08-01");
    assert_eq!(world.has("mia"), "available 100");
}

#[test]
fn the_largest_amounts_are_split_without_loss() {
    let max = Order::AMOUNT_MINOR_MAX;
    let sections = format!("pay_with: {{points: {{units: {max}, worth: GBP 0.01, step: {max}}}}}\n");
    let lines: Vec<Line> = (0..Order::LINES_MAX).map(|n| line(&format!("l{n}"), max - n as i64)).collect();
    let mut world = World::new(&sections).with("mia", i64::MAX / 4);
    let redeem = Some(pay(PayAmount::AllPossible));
    let decision = world.commit("mia", Commit { redeem, ..commit(order("o", lines)) });
    let whole = i64::MAX / 4 / max * max;
    assert_eq!(told(&decision), [format!("{whole} units pay {}", whole / max)]);
    world.give_back("mia", everything("o", "r"));
    assert_eq!(world.has("mia"), format!("available {}", i64::MAX / 4));
}
