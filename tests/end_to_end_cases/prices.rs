//! Member prices over the wire: beside ordinary prices, by tier, in the commit, and back with the goods.

use guerdon::grpc::wire;

use crate::support::server::*;

const PRICES: &str = "
counters: {spent: {counts: spend}}
tiers:
  club: {counter: spent, levels: [{id: plain, title: P, at_least: EUR 0.00}, {id: gold, title: Gold, at_least: EUR 50.00}]}
member_prices:
  - {id: tea, title: Tea for members, lines: {categories: [tea]}, percent_off: 10%}
  - {id: gold-tea, title: Tea for gold, lines: {categories: [tea]}, tiers: {club: [gold]}, price: EUR 2.00}
  - {id: rye, title: Rye, lines: {categories: [rye]}, percent_off: 20%, of: lowest_prior}
";

fn shown(member: &str, lines: Vec<wire::Line>) -> wire::QuoteRequest {
    let (member_id, order) = (member.into(), Some(order_of("o", lines)));
    wire::QuoteRequest { member_id, order, list_rewards: true, ..Default::default() }
}

fn applied(decision: Option<wire::Decision>) -> Vec<(String, i64, i64)> {
    let effects = decision.unwrap_or_default().effects.into_iter();
    let prices = effects.filter_map(|effect| match effect.effect {
        Some(wire::effect::Effect::MemberPriceApplied(price)) => {
            Some((price.price_id, price.ordinary_minor, price.member_minor))
        }
        _ => None,
    });
    prices.collect()
}

pub(crate) async fn c12_member_prices_are_shown_side_by_side_and_taken_without_being_asked_for<W: World>() {
    let world = W::start();
    let server = world.serve_with(PRICES).await;
    server.clients.enroll("mia").await;
    let lines = || vec![line("1", "tea", 2, 999)];
    // A guest sees what members pay, and pays the ordinary price.
    let guest = server.clients.quote(shown("", lines())).await;
    assert_eq!(applied(guest.decision), []);
    let beside = &guest.line_prices[0];
    assert_eq!((beside.ordinary_minor, beside.member_minor), (999, None));
    let amounts: Vec<(&str, i64, bool)> =
        beside.prices.iter().map(|price| (price.price_id.as_str(), price.amount_minor, price.for_member)).collect();
    assert_eq!(amounts, [("tea", 900, false), ("gold-tea", 400, false)], "a tenth of 9.99, rounded down, is 0.99");
    // A member pays less without asking for it, and earns on that.
    let quoted = server.clients.quote(shown("mia", lines())).await;
    assert_eq!(quoted.line_prices[0].member_minor, Some(900));
    let done = server.clients.send(&commit("mia", "r1", order_of("o1", lines()))).await.commit();
    assert_eq!(applied(done.decision.clone()), [("tea".to_owned(), 999, 900)]);
    assert_eq!(applied(quoted.decision), applied(done.decision));
    assert_eq!(server.clients.available("mia").await, 109);
    // Another level, another price.
    server.clients.send(&commit("mia", "r2", order("big", 5_000))).await;
    let gold = server.clients.send(&commit("mia", "r3", order_of("o2", lines()))).await.commit();
    assert_eq!(applied(gold.decision), [("gold-tea".to_owned(), 999, 400)]);
    // What comes back is paid back as it was paid.
    let back = server.clients.send(&give_back("mia", "r4", "o2", "ret", everything())).await.r#return();
    assert_eq!(back.refund.unwrap().money_minor, 400);
    assert!(server.clients.verify("mia").await.verified);
}

pub(crate) async fn c12_the_lowest_prior_price_is_what_a_percentage_is_of<W: World>() {
    let world = W::start();
    let server = world.serve_with(PRICES).await;
    server.clients.enroll("mia").await;
    for (n, prior, pays) in [(1, None, 800), (2, Some(700), 560), (3, Some(1_200), 800)] {
        let rye = wire::Line { lowest_prior_amount_minor: prior, ..line("1", "rye", 1, 1_000) };
        let quoted = server.clients.quote(shown("mia", vec![rye.clone()])).await;
        assert_eq!(quoted.line_prices[0].lowest_prior_minor, prior);
        let order = order_of(&format!("o{n}"), vec![rye]);
        let done = server.clients.send(&commit("mia", &format!("r{n}"), order)).await.commit();
        assert_eq!(applied(done.decision), [("rye".to_owned(), 1_000, pays)], "{prior:?}");
    }
}
