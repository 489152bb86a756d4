//! Rewards over the wire: what is malformed, and what a catalogue becomes.

use guerdon::domain::answer::{
    Answer, CatalogueAnswer, Decided, LinePrices, Offer, PriceOffer, Reason, Refusal, Subject,
};
use guerdon::domain::command::Command;
use guerdon::domain::id::{LadderId, LevelId, LineId, PriceId, RewardId, UnitId};
use guerdon::domain::program::ProgramVersion;
use guerdon::domain::time::Instant;
use guerdon::grpc::wire;
use guerdon::service::Answered;

use super::kit::*;

fn found(request: impl Rpc) -> Vec<String> {
    let fake = Fake::that(Does::Fits);
    wait(request.send(routes(&fake))).map_or_else(|status| paths(&status), |_| Vec::new())
}

#[test]
fn c9_what_is_wrong_with_asking_for_rewards_and_vouchers() {
    let list = || wire::ListRewardsRequest { member_id: "mia".into(), ..Default::default() };
    for (name, request, expected) in [
        ("as it should be", list(), &[][..]),
        ("a guest", wire::ListRewardsRequest::default(), &[]),
        ("on an order", wire::ListRewardsRequest { order: Some(order()), redeem: Some(redeem()), ..list() }, &[]),
        (
            "on an empty order",
            wire::ListRewardsRequest { order: Some(wire::Order::default()), ..list() },
            &["order.order_id", "order.currency_code", "order.lines"],
        ),
        (
            "odd names",
            wire::ListRewardsRequest { member_id: "a b".into(), store_id: " x".into(), ..list() },
            &["member_id", "store_id"],
        ),
    ] {
        assert_eq!(found(request), expected, "{name}");
    }
    assert_eq!(found(wire::RedeemRequest::default()), ["member_id", "request_id", "reward_id"]);
    assert_eq!(found(wire::FulfilVoucherRequest::default()), ["member_id", "request_id", "voucher_id"]);
    assert_eq!(found(wire::CancelVoucherRequest::default()), ["member_id", "request_id", "voucher_id"]);
}

#[test]
fn c3_a_catalogue_says_of_each_reward_what_is_missing() {
    let reward = RewardId::parse("mug").unwrap();
    let refusal = Refusal::short(Subject::Reward(reward.clone()), Reason::BalanceTooLow, 150, 110);
    let points = |units| Some((UnitId::points(), units));
    let offer = Offer {
        reward,
        title: "A mug".into(),
        price: points(150),
        ordinary_price: points(200),
        amount_minor: Some(500),
        stock_left: Some(7),
        refusals: vec![refusal],
        nearest: "40 points more".into(),
    };
    let free = Offer { price: None, amount_minor: None, stock_left: None, refusals: Vec::new(), ..offer.clone() };
    let price = PriceOffer {
        price: PriceId::parse("gold").unwrap(),
        title: "Gold".into(),
        levels: vec![(LadderId::parse("club").unwrap(), vec![LevelId::parse("gold").unwrap()])],
        amount_minor: 80,
        is_for_member: true,
    };
    let prices = LinePrices {
        line_id: LineId::parse("1").unwrap(),
        ordinary_minor: 100,
        member_minor: Some(80),
        prior_minor: Some(90),
        prices: vec![price],
    };
    let decided = Decided::empty(ProgramVersion("v".into()), Instant(0));
    let answer = Answer::Catalogue(CatalogueAnswer { offers: vec![offer, free], prices: vec![prices], decided });
    let fake = Fake::that(Does::Answers(Answered { answer, replayed: false }));
    let response = wait(wire::ListRewardsRequest::default().send(routes(&fake))).unwrap();
    let priced = &response.line_prices[0];
    assert_eq!((priced.ordinary_minor, priced.member_minor, priced.lowest_prior_minor), (100, Some(80), Some(90)));
    let gold = &priced.prices[0];
    assert_eq!((gold.price_id.as_str(), gold.amount_minor, gold.for_member), ("gold", 80, true));
    assert_eq!((gold.levels[0].ladder.as_str(), gold.levels[0].levels[0].as_str()), ("club", "gold"));
    let shown = response.rewards;
    let [first, second] = shown.as_slice() else { panic!("{shown:?}") };
    assert_eq!((first.available, first.price_units, first.ordinary_price_units), (false, 150, 200));
    assert_eq!((first.price_unit.as_str(), first.amount_minor, first.stock_left), ("points", Some(500), Some(7)));
    assert_eq!(first.nearest_miss, "40 points more");
    let told = &first.refusals[0];
    assert_eq!((told.required, told.available, told.missing), (Some(150), Some(110), Some(40)));
    assert_eq!((second.available, second.price_units, second.ordinary_price_units), (true, 0, 200));
    assert_eq!((second.amount_minor, second.stock_left), (None, None));
}

#[test]
fn c3_a_quote_that_asks_for_rewards_asks_with_what_it_is_to_use() {
    let asked = |list_rewards: bool| {
        let fake = Fake::that(Does::Fits);
        wait(wire::QuoteRequest { list_rewards, ..quote() }.send(routes(&fake))).unwrap();
        fake.previews.lock().unwrap().clone()
    };
    assert_eq!(asked(false).len(), 1);
    let both = asked(true);
    let [quoted, listed] = both.as_slice() else { panic!("{both:?}") };
    let (Command::Commit(commit), Command::Catalogue(catalogue)) = (&quoted.command, &listed.command) else {
        panic!("{both:?}")
    };
    assert_eq!(catalogue.order.as_ref(), Some(&commit.order));
    assert_eq!(Some(&catalogue.redeem), commit.redeem.as_ref());
    assert_eq!(
        (&listed.program, &listed.member, listed.occurred_at),
        (&quoted.program, &quoted.member, quoted.occurred_at)
    );
}
