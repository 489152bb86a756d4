//! Every discount falls on lines without loss, whatever the program and the cart.

use guerdon::domain::answer::Effect;
use guerdon::domain::command::{Commit, Measure, PayAmount, Redeem, ReturnWhat};
use guerdon::domain::order::{Line, LineKind};
use proptest::prelude::*;

use super::kit::*;

/// One way to write each kind of reward, with numbers drawn.
fn a_reward(at: usize) -> impl Strategy<Value = String> {
    let kinds = prop_oneof![
        (1..3_000i64).prop_map(|n| format!("amount_off: GBP {}.{:02}", n / 100, n % 100)),
        (1..10_000i64, 1..900i64).prop_map(|(bps, n)| {
            format!("percent_off: {{percent: {}.{:02}%, at_most: GBP {n}.00, rounding: half_up}}", bps / 100, bps % 100)
        }),
        (1..4i64, 4..9i64, any::<bool>()).prop_map(|(n, each, dearest)| {
            let pick = if dearest { "dearest" } else { "cheapest" };
            format!("free_item: {{items: {n}, for_each: {each}, pick: {pick}}}")
        }),
        (1..10_000i64, 1..5i64)
            .prop_map(|(bps, n)| format!("item_off: {{percent: {}.{:02}%, items: {n}}}", bps / 100, bps % 100)),
        (1..900i64).prop_map(|n| format!("fixed_price: {{price: GBP {}.{:02}}}", n / 100, n % 100)),
        Just("free_shipping: {}".to_owned()),
        (1..4i64).prop_map(|n| format!("product: {{sku: mug, items: {n}}}")),
        (1..3i64, 1..3i64, 1..4i64).prop_map(|(buy, get, times)| {
            format!("buy_get: {{buy: {{}}, buy_items: {buy}, get: {{categories: [tea]}}, get_items: {get}, times_max: {times}}}")
        }),
        (1..2_000i64, 1..4i64).prop_map(|(n, items)| {
            let parts = format!("[{{lines: {{categories: [tea]}}}}, {{lines: {{}}, items: {items}}}]");
            format!("set_price: {{price: GBP {}.{:02}, parts: {parts}}}", n / 100, n % 100)
        }),
    ];
    (kinds, any::<bool>(), 0..300i64).prop_map(move |(gives, tea, price)| {
        let lines = if tea { ", lines: {categories: [tea]}" } else { "" };
        let price = if price < 100 { String::new() } else { format!(", price: {{units: {price}}}") };
        format!("  - {{id: r{at}, title: T, gives: {{{gives}}}{lines}{price}}}\n")
    })
}

fn a_program() -> impl Strategy<Value = String> {
    let rails = prop_oneof![
        Just(String::new()),
        (1..9_999i64).prop_map(|bps| format!("share_max: {}.{:02}%", bps / 100, bps % 100)),
        (1..9_999i64, 1..400i64).prop_map(|(bps, n)| format!(
            "floors: [{{share: {}.{:02}%}}, {{price: GBP {}.{:02}}}], no_discount: {{skus: [mug]}}",
            bps / 100,
            bps % 100,
            n / 100,
            n % 100
        )),
    ];
    let rewards = (a_reward(0), a_reward(1), a_reward(2));
    let policy = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (rewards, rails, policy).prop_map(|((a, b, c), rails, (file, original, tender, refuse))| {
        let apply = if file { "file" } else { "asked" };
        let of = if original { "original" } else { "remaining" };
        let settles = if tender { "tender" } else { "discount" };
        let reach = if refuse { "refuse" } else { "clamp" };
        let rails = if rails.is_empty() { rails } else { format!("{rails}, on_reach: {reach}") };
        format!(
            "redemption: {{apply: {apply}, percent_of: {of}, guard_rails: {{{rails}}}}}
pay_with: {{points: {{units: 3, worth: GBP 0.02, step: 3, share_max: 73%, settles_as: {settles}}}}}
rules: [{{id: base, kind: transactional, on: order, then: {{earn: {{units: 7, per: GBP 1.00}}}}}}]
rewards:\n{a}{b}{c}"
        )
    })
}

fn a_cart() -> impl Strategy<Value = Vec<Line>> {
    let kinds = prop_oneof![
        6 => Just(LineKind::Goods), 1 => Just(LineKind::Shipping), 1 => Just(LineKind::Fee), 1 => Just(LineKind::GiftCard),
    ];
    let a_line =
        (kinds, prop_oneof![1 => Just(0i64), 8 => 1..3_000i64], 0..7i64, any::<bool>(), any::<bool>(), 0..40i64);
    prop::collection::vec(a_line, 1..6).prop_map(|lines| {
        let made = lines.into_iter().enumerate().map(|(at, (kind, amount, n, tea, mug, tax))| {
            let plain = taxed(tax.min(amount), items(n, of_kind(kind, line(&format!("l{at}"), amount))));
            let named = if tea { of_category("tea", plain) } else { plain };
            if mug { of_sku("mug", named) } else { named }
        });
        made.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn c5_parts_sum_to_the_whole_and_no_line_falls_below_zero_and_all_comes_back(
        program in a_program(),
        cart in a_cart(),
        paid_units in 0..3u8,
        steps in prop::collection::vec((0..6usize, 1..4i64), 0..8),
    ) {
        let mut world = World::new(&program).with("mia", 5_000);
        let pay = (0 < paid_units).then(|| pay(PayAmount::AllPossible).pay).flatten();
        let redeem = as_possible(Redeem { pay, ..rewards(&["r0", "r1", "r2"]) });
        let decision = world.commit("mia", Commit { redeem: Some(redeem), ..commit(order("o", cart.clone())) });
        let mut off = vec![0i64; cart.len()];
        for effect in &decided(&decision.answer).effects {
            let (whole, shares) = match effect {
                Effect::Discount(d) => {
                    prop_assert_eq!(d.unit_shares.iter().map(|s| s.amount).sum::<i64>(), d.price.as_ref().map_or(0, |p| p.1));
                    prop_assert!(d.amount_minor <= d.desired_minor);
                    (d.amount_minor, &d.shares)
                }
                Effect::Redeemed(r) => {
                    prop_assert_eq!(r.unit_shares.iter().map(|s| s.amount).sum::<i64>(), r.units);
                    (r.value_minor, &r.value_shares)
                }
                _ => continue,
            };
            prop_assert_eq!(shares.iter().map(|s| s.amount).sum::<i64>(), whole);
            for share in shares {
                prop_assert!(0 < share.amount);
                let at = cart.iter().position(|line| line.line_id == share.line_id).unwrap();
                prop_assert!(cart[at].kind != LineKind::GiftCard, "stored value is never reduced");
                off[at] += share.amount;
            }
        }
        for (line, off) in cart.iter().zip(&off) {
            prop_assert!(*off <= line.amount_minor, "{line:?} is reduced by {off}");
        }
        let record = world.order("o").clone();
        prop_assert_eq!(record.lines.iter().map(|l| l.reduced_minor).collect::<Vec<_>>(), off);
        // In whatever steps it comes back, at the end everything is as before.
        let mut refunded = 0;
        for (step, (at, n)) in steps.iter().enumerate() {
            let Some(line) = cart.get(*at) else { continue };
            let what = ReturnWhat::Lines(vec![(line.line_id.clone(), Measure::Quantity(*n))]);
            let back = world.give_back("mia", returned("o", &format!("s{step}"), what));
            refunded += refund(&back).money_minor;
        }
        let back = world.give_back("mia", everything("o", "rest"));
        refunded += refund(&back).money_minor;
        prop_assert_eq!(refunded, record.money_minor);
        prop_assert_eq!(world.has("mia"), "available 5000");
    }
}
