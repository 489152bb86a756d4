//! Stock of rewards: never oversold, the last one can be had, and what comes back can be had again, once.

use std::collections::BTreeSet;

use guerdon::domain::time::SECOND_MS;
use guerdon::grpc::wire;
use guerdon::service::Calls;
use tokio::task::JoinSet;

use crate::support::faulty::{Fault, FaultyStore};
use crate::support::server::*;

/// A mug for 2 points, so many of them; a discount that is as scarce; codes of a partner.
fn program(items: i64) -> String {
    let rewards = format!(
        "rewards:
  - {{id: mug, title: Mug, gives: {{handed_over: {{}}}}, price: {{units: 2}}, stock: {items}}}
  - {{id: off, title: Off, gives: {{amount_off: EUR 1.00}}, price: {{units: 2}}, stock: {items}}}
  - {{id: spa, title: Spa, gives: {{handed_over: {{codes: {{numbered: {{prefix: S-, count: {items}}}}}}}}}}}
"
    );
    PROGRAM.replacen("rewards:\n", &rewards, 1)
}

async fn pair<W: World>(world: &W, items: i64) -> (Server, Server) {
    let program = program(items);
    (
        Server::start_idle_with(world.store(), world.clock(), options(), &program).await,
        Server::start_idle_with(world.store(), world.clock(), options(), &program).await,
    )
}

async fn members(server: &Server, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|n| format!("m{n}")).collect();
    for name in &names {
        server.clients.enroll(name).await;
    }
    names
}

fn pass(world: &impl World, ms: i64) {
    world.clock().set(world.clock().now(None).plus_ms(ms));
}

/// Sends all at once, on either server in turn; answers in the order in which they were sent.
async fn at_once(servers: [&Server; 2], writes: Vec<Write>) -> Vec<Answer> {
    let mut tasks = JoinSet::new();
    for (n, write) in writes.into_iter().enumerate() {
        let clients = servers[n % 2].clients.clone();
        tasks.spawn(async move { (n, clients.send_until_answered(&write).await) });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by_key(|(n, _)| *n);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn redeemed(answers: &[Answer]) -> Vec<wire::Voucher> {
    answers.iter().filter_map(|answer| answer.clone().redeem().voucher).collect()
}

fn off() -> wire::Redeem {
    wire::Redeem { reward_ids: vec!["off".into()], ..Default::default() }
}

/// What is left of a reward, as a quote sees it.
async fn left(server: &Server, reward: &str) -> i64 {
    let request = wire::ListRewardsRequest { member_id: "m0".into(), ..Default::default() };
    let rewards = server.clients.rewards.clone().list_rewards(request).await.unwrap().into_inner().rewards;
    rewards.into_iter().find(|offer| offer.reward_id == reward).unwrap().stock_left.unwrap()
}

pub(crate) async fn c9_two_hundred_ask_at_once_for_fifty_and_exactly_fifty_have_one<W: World>() {
    let world = W::start();
    let (one, two) = pair(&world, 50).await;
    let names = members(&one, 40).await;
    let writes: Vec<Write> =
        (0..5).flat_map(|n| names.iter().map(move |name| redeem(name, &format!("r{n}"), "mug"))).collect();
    let answers = at_once([&one, &two], writes.clone()).await;
    assert_eq!(answers.iter().filter(|answer| (*answer).clone().redeem().redeemed).count(), 50);
    let refused = answers.iter().filter(|answer| answer.refusals() == [wire::RefusalReason::OutOfStock]);
    assert_eq!(refused.count(), 150);
    // A resend has what its first attempt had, and no more.
    for (write, answer) in writes.iter().zip(&answers).step_by(7) {
        let again = two.clients.send(write).await.redeem();
        assert_eq!((again.voucher, again.replayed), (answer.clone().redeem().voucher, true));
    }
    let mut paid = 0;
    for name in &names {
        paid += 100 - one.clients.available(name).await;
        one.clients.verify(name).await;
    }
    assert_eq!((paid, left(&two, "mug").await), (100, 0));
}

pub(crate) async fn c9_reservations_hold_stock_and_what_they_give_back_is_had_again<W: World>() {
    let world = W::start();
    let (one, two) = pair(&world, 50).await;
    let names = members(&one, 40).await;
    let order_id = |name: &str, n: usize| format!("{name}-o{n}");
    let reserves = |n: usize| -> Vec<Write> {
        let reserve = |name: &String| reserve(name, &format!("r{n}"), order(&order_id(name, n), 900), off());
        names.iter().map(reserve).collect()
    };
    let all: Vec<Write> = (0..5).flat_map(&reserves).collect();
    let answers = at_once([&one, &two], all.clone()).await;
    let held = |answers: &[Answer], writes: &[Write]| -> Vec<(String, String)> {
        let all = writes.iter().zip(answers).filter(|(_, answer)| (*answer).clone().reserve().reserved);
        let named = all.map(|(write, answer)| {
            (write.member_id().to_owned(), answer.clone().reserve().reservation.unwrap().order_id)
        });
        named.collect()
    };
    let first = held(&answers, &all);
    assert_eq!((first.len(), left(&one, "off").await), (50, 0));
    // Half are released, at once and twice; the others are committed: neither changes how many there are.
    let (back, kept) = first.split_at(25);
    let releases =
        (0..2).flat_map(|n| back.iter().map(move |(name, order)| release(name, &format!("x{n}-{order}"), order)));
    at_once([&one, &two], releases.collect()).await;
    assert_eq!(left(&two, "off").await, 25);
    let commits: Vec<Write> = kept.iter().map(|(name, id)| commit(name, &format!("c-{id}"), order(id, 900))).collect();
    for answer in at_once([&one, &two], commits).await {
        assert_eq!(answer.refusals(), []);
    }
    assert_eq!(left(&one, "off").await, 25);
    let more = reserves(9);
    let answers = at_once([&one, &two], more.clone()).await;
    let second = held(&answers, &more);
    assert_eq!((second.len(), left(&one, "off").await), (25, 0), "the last one too");
    // What nobody releases lapses, though nobody looks at it but the sweeper.
    pass(&world, 3_600 * SECOND_MS);
    for _ in 0..2 {
        pass(&world, SECOND_MS);
        two.service.end_day(world.clock().now(None)).await.unwrap();
    }
    assert_eq!(left(&one, "off").await, 25);
    // And goods that come back bring back what they were lowered by.
    for (name, id) in kept {
        let answer = one.clients.send(&give_back(name, &format!("b-{id}"), id, "ret", everything())).await;
        assert_eq!(answer.r#return().status(), wire::ReturnStatus::Applied);
    }
    assert_eq!(left(&two, "off").await, 50);
    for name in &names {
        one.clients.verify(name).await;
        assert_eq!(one.clients.available(name).await, 100);
    }
}

pub(crate) async fn c9_a_large_stock_is_spread_and_sold_to_the_last_one<W: World>() {
    let world = W::start();
    // With 16 partitions, slices begin at 512.
    let (one, two) = pair(&world, 520).await;
    let names = members(&one, 15).await;
    let ask = |n: usize| names.iter().map(move |name| redeem(name, &format!("r{n}"), "mug"));
    let writes: Vec<Write> = (0..36).flat_map(ask).collect();
    let answers = at_once([&one, &two], writes).await;
    let vouchers = redeemed(&answers);
    assert_eq!(vouchers.len(), 520, "of 540 who would have had one");
    let cancels = vouchers.iter().take(10).map(|voucher| {
        let owner = voucher.voucher_id.split(':').next().unwrap();
        cancel_voucher(owner, &format!("x-{}", voucher.voucher_id.replace(':', "-")), &voucher.voucher_id)
    });
    for answer in at_once([&two, &one], cancels.collect()).await {
        assert!(answer.cancel_voucher().cancelled);
    }
    // The pool is told of what came back by the feed.
    pass(&world, SECOND_MS);
    one.service.end_day(world.clock().now(None)).await.unwrap();
    assert_eq!(left(&one, "mug").await, 10);
    let again = at_once([&one, &two], ask(99).collect()).await;
    assert_eq!(redeemed(&again).len(), 10, "what came back is had again, and no more");
    assert_eq!(left(&one, "mug").await, 0);
}

/// What a slice of returned stock had given back ever was counted again once the pool had forgotten it.
pub(crate) async fn c9_stock_that_comes_back_again_and_again_is_there_once<W: World>() {
    let world = W::start();
    let (one, two) = pair(&world, 1).await;
    members(&one, 2).await;
    let mut voucher = one.clients.send(&redeem("m0", "first", "mug")).await.redeem().voucher.unwrap();
    for round in 0..4 {
        let cancel = cancel_voucher("m0", &format!("x{round}"), &voucher.voucher_id);
        assert!(one.clients.send(&cancel).await.cancel_voucher().cancelled);
        pass(&world, SECOND_MS);
        one.service.end_day(world.clock().now(None)).await.unwrap();
        assert_eq!(left(&two, "mug").await, 1, "round {round}");
        voucher = two.clients.send(&redeem("m0", &format!("r{round}"), "mug")).await.redeem().voucher.unwrap();
        let more = one.clients.send(&redeem("m1", &format!("s{round}"), "mug")).await.redeem();
        assert_eq!(more.voucher, None, "round {round}: there is but one");
    }
}

pub(crate) async fn c9_no_two_get_the_same_code_of_a_partner<W: World>() {
    let world = W::start();
    let (one, two) = pair(&world, 30).await;
    let names = members(&one, 20).await;
    let writes = (0..2).flat_map(|n| names.iter().map(move |name| redeem(name, &format!("r{n}"), "spa")));
    let vouchers = redeemed(&at_once([&one, &two], writes.collect()).await);
    let codes: BTreeSet<String> = vouchers.iter().map(|voucher| voucher.code.clone()).collect();
    assert_eq!((vouchers.len(), codes.len()), (30, 30));
    assert!(codes.iter().all(|code| code.starts_with("S-")), "{codes:?}");
}

pub(crate) async fn c9_what_dies_half_way_loses_no_stock_and_doubles_none<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let server = Server::start_idle_with(store.clone(), world.clock(), options(), &program(2)).await;
    members(&server, 3).await;
    // The claim is made; what would use it is lost.
    store.plan(|commit| if commit.receipts.is_empty() { Fault::None } else { Fault::LoseRequest });
    assert!(server.clients.try_send(&redeem("m0", "lost", "mug")).await.is_err());
    store.plan(|_| Fault::None);
    assert_eq!(left(&server, "mug").await, 1);
    let kept = server.clients.send(&redeem("m1", "kept", "mug")).await.redeem().voucher.unwrap();
    pass(&world, 61 * SECOND_MS);
    server.service.end_day(world.clock().now(None)).await.unwrap();
    assert_eq!(left(&server, "mug").await, 1, "the claim that nobody used came back");
    // It is taken back; that anything lies there again is told late, and then once more.
    store.plan(|commit| if commit.receipts.is_empty() { Fault::LoseRequest } else { Fault::None });
    let cancel = cancel_voucher("m1", "back", &kept.voucher_id);
    assert!(server.clients.send(&cancel).await.cancel_voucher().cancelled);
    assert_eq!(left(&server, "mug").await, 1, "nobody has been told yet");
    store.plan(|commit| if commit.feed_done.is_empty() { Fault::None } else { Fault::LoseRequest });
    pass(&world, SECOND_MS);
    server.service.end_day(world.clock().now(None)).await.ok();
    assert_eq!(left(&server, "mug").await, 2);
    store.plan(|_| Fault::None);
    server.service.end_day(world.clock().now(None)).await.unwrap();
    assert!(server.clients.send(&cancel).await.cancel_voucher().replayed);
    assert_eq!(left(&server, "mug").await, 2, "told twice, counted once");
    for (n, expected) in [(0, true), (1, true), (2, false)] {
        let answer = server.clients.send(&redeem("m2", &format!("r{n}"), "mug")).await.redeem();
        assert_eq!(answer.redeemed, expected);
    }
}

pub(crate) async fn c3_a_quote_tells_what_else_is_on_offer<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    server.clients.enroll("mia").await;
    let quote = async |amount: i64, redeem: Option<wire::Redeem>, list_rewards: bool| {
        let request = wire::QuoteRequest {
            member_id: "mia".into(),
            order: Some(order("o1", amount)),
            redeem,
            list_rewards,
            ..Default::default()
        };
        server.clients.checkout.clone().quote(request).await.unwrap().into_inner()
    };
    assert_eq!(quote(760, None, false).await.rewards, []);
    let near = quote(760, None, true).await.rewards.remove(0);
    assert_eq!(
        (near.reward_id.as_str(), near.available, near.nearest_miss.as_str()),
        ("three-off", false, "EUR 0.40 more")
    );
    let refusal = &near.refusals[0];
    assert_eq!(refusal.reason(), wire::RefusalReason::SpendTooLow);
    assert_eq!((refusal.required, refusal.available, refusal.missing), (Some(800), Some(760), Some(40)));
    let there = quote(900, None, true).await.rewards.remove(0);
    assert_eq!((there.available, there.amount_minor, there.price_units), (true, Some(300), 50));
    assert_eq!(there.price_unit, "points");
    let asked = wire::Redeem { reward_ids: vec!["three-off".into()], ..Default::default() };
    assert_eq!(quote(900, Some(asked), true).await.rewards, [], "it is to be used already");
}

pub(crate) async fn c9_what_lapsed_reservations_held_is_there_for_others_without_a_sweep<W: World>() {
    let world = W::start();
    // Nothing sweeps on either.
    let (one, two) = pair(&world, 1).await;
    let names = members(&one, 2).await;
    let held = one.clients.send(&reserve(&names[0], "r1", order("o1", 2_000), off())).await;
    assert!(held.reserve().reserved);
    let late = two.clients.send(&reserve(&names[1], "r2", order("o2", 2_000), off())).await;
    assert_eq!(late.refusals(), [wire::RefusalReason::OutOfStock]);
    pass(&world, 16 * 60_000);
    let now = two.clients.send(&reserve(&names[1], "r3", order("o2", 2_000), off())).await;
    assert!(now.clone().reserve().reserved, "{now:?}");
}
