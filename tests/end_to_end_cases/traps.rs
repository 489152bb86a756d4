//! What others fell into, by the number it has in the list of traps.

use guerdon::domain::time::Instant;
use guerdon::grpc::wire::{self, effect::Effect};
use tokio::task::JoinSet;

use crate::support::redis::RedisServer;
use crate::support::server::*;

pub(crate) async fn trap_1_two_checkouts_at_once_redeem_the_same_balance<W: World>() {
    let world = W::start();
    let servers = [world.serve_idle().await, world.serve_idle().await];
    for round in 0..10 {
        let member = format!("m{round}");
        servers[0].clients.enroll(&member).await;
        servers[1].clients.member(&member).await; // warm
        let mut tasks = JoinSet::new();
        for (at, server) in servers.iter().enumerate() {
            let id = format!("{member}-o{at}");
            let write = commit_with(&member, &format!("c{at}"), order(&id, 99), Some(points(99)));
            let clients = server.clients.clone();
            tasks.spawn(async move { clients.send_until_answered(&write).await.commit().status() });
        }
        let statuses = tasks.join_all().await;
        let paid = statuses.iter().filter(|status| **status == wire::CommitStatus::Committed).count();
        assert_eq!(paid, 1, "{statuses:?}");
        assert_eq!(servers[0].clients.available(&member).await, 1);
    }
}

pub(crate) async fn trap_2_a_redelivered_order_event_awards_again<W: World>() {
    let world = W::start();
    let servers = [world.serve_idle().await, world.serve_idle().await];
    servers[0].clients.enroll("mia").await;
    for n in 0..6 {
        let request = format!("delivery-{}", n / 2);
        servers[n % 2].clients.send(&commit("mia", &request, order("o1", 7_700))).await;
    }
    assert_eq!(servers[1].clients.available("mia").await, 177);
    assert_eq!(servers[1].clients.member("mia").await.orders, 1);
}

pub(crate) async fn trap_3_buy_earn_spend_return_and_keep_the_points<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll_with("mia", 1).await;
    for n in 0..3 {
        let (large, small) = (format!("large-{n}"), format!("small-{n}"));
        clients.send(&commit("mia", &format!("c{n}"), order(&large, 50_000))).await;
        let there = clients.available("mia").await;
        let paid = clients.send(&commit_with("mia", &format!("s{n}"), order(&small, 600), Some(points(there)))).await;
        assert_eq!(paid.clone().commit().status(), wire::CommitStatus::Committed, "{paid:?}");
        clients.send(&give_back("mia", &format!("b{n}"), &large, "ret", everything())).await;
        let balances = clients.member("mia").await.balances;
        assert_adds_up(&balances);
        let points = of_unit(&balances, "points").unwrap();
        // What is left: the point they had, what the small orders earn, less what those cost.
        let small_earned = 6 * (n + 1);
        let spent = points.lifetime_redeemed;
        assert_eq!(points.available - points.debt, 1 + small_earned - spent, "round {n}");
    }
    clients.verify("mia").await;
}

pub(crate) async fn trap_4_a_return_recomputed_with_todays_rule<W: World>() {
    let world = W::start();
    let first = world.serve_idle().await;
    first.clients.enroll("mia").await;
    first.clients.send(&commit("mia", "c1", order_of("o1", vec![line("1", "goods", 2, 5_000)]))).await;
    assert_eq!(first.clients.available("mia").await, 150);
    let half = wire::ReturnWhat {
        lines: vec![wire::ReturnLine { line_id: "1".into(), measure: Some(wire::return_line::Measure::Quantity(1)) }],
        ..Default::default()
    };

    let doubled = PROGRAM.replace("earn: {units: 1, unit: points", "earn: {units: 2, unit: points");
    assert_ne!(doubled, PROGRAM);
    world.clock().set(Instant(BEGIN.0 + DAY_MS));
    let second = Server::start_idle_with(world.store(), world.clock(), options(), &doubled).await;
    world.clock().set(Instant(BEGIN.0 + DAY_MS + 1));
    second.clients.send(&commit("mia", "c2", order("o2", 1_000))).await;
    assert_eq!(second.clients.available("mia").await, 170, "the new rule holds");
    second.clients.send(&give_back("mia", "b1", "o1", "ret-1", half)).await;
    assert_eq!(second.clients.available("mia").await, 145, "half of what was granted then");

    let gone = PROGRAM.replace(
        "on: order\n    then:\n      earn: {units: 1, unit: points",
        "on: order\n    lines:\n      categories: [nothing]\n    then:\n      earn: {units: 1, unit: points",
    );
    assert_ne!(gone, PROGRAM);
    world.clock().set(Instant(BEGIN.0 + 2 * DAY_MS));
    let third = Server::start_idle_with(world.store(), world.clock(), options(), &gone).await;
    world.clock().set(Instant(BEGIN.0 + 2 * DAY_MS + 1));
    third.clients.send(&give_back("mia", "b2", "o1", "ret-2", everything())).await;
    assert_eq!(third.clients.available("mia").await, 120, "the other half");
    third.clients.verify("mia").await;
}

pub(crate) async fn trap_5_the_part_paid_with_points_is_paid_back_as_cash<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll_with("mia", 1_000).await;
    let basket = order_of("o1", vec![line("1", "goods", 3, 1_000), line("2", "goods", 1, 500)]);
    clients.send(&commit_with("mia", "c1", basket, Some(points(700)))).await;
    let one = |n: i64| wire::ReturnWhat {
        lines: vec![wire::ReturnLine { line_id: "1".into(), measure: Some(wire::return_line::Measure::Quantity(n)) }],
        ..Default::default()
    };
    let (mut money, mut units) = (0, 0);
    for (n, what) in [one(1), one(1), one(1), everything()].into_iter().enumerate() {
        let back = clients.send(&give_back("mia", &format!("b{n}"), "o1", &format!("ret-{n}"), what)).await.r#return();
        let refund = back.refund.unwrap();
        money += refund.money_minor;
        units += refund.units.iter().map(|unit| unit.amount).sum::<i64>();
        assert!(units <= 700 && money <= 800, "{units} units and {money} cents");
    }
    assert_eq!((money, units), (800, 700));
    assert_eq!(clients.available("mia").await, 1_000);
    clients.verify("mia").await;
}

pub(crate) async fn trap_6_parts_miss_the_total_by_a_cent<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll_with("mia", 10_000).await;
    for (n, amounts) in [[333, 333, 334], [1, 1, 998], [100, 100, 100], [7, 11, 13]].into_iter().enumerate() {
        let total: i64 = amounts.iter().sum();
        let pay_with = total * 2 / 3;
        let id = format!("o{n}");
        let lines = amounts.iter().enumerate().map(|(at, cents)| line(&at.to_string(), "goods", 1, *cents)).collect();
        let committed =
            clients.send(&commit_with("mia", &format!("c{n}"), order_of(&id, lines), Some(points(pay_with)))).await;
        for effect in committed.commit().decision.unwrap().effects {
            let (amount, shares) = match effect.effect.unwrap() {
                Effect::UnitsGranted(granted) => (granted.granted, granted.shares),
                Effect::UnitsRedeemed(redeemed) => {
                    let units: i64 = redeemed.unit_shares.iter().map(|share| share.amount).sum();
                    assert_eq!(units, redeemed.amount);
                    (redeemed.value_minor, redeemed.value_shares)
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(shares.iter().map(|share| share.amount).sum::<i64>(), amount);
        }
        let mut money = 0;
        for at in [2, 0, 1] {
            let what = wire::ReturnWhat {
                lines: vec![wire::ReturnLine {
                    line_id: at.to_string(),
                    measure: Some(wire::return_line::Measure::Quantity(1)),
                }],
                ..Default::default()
            };
            let request = format!("b{n}-{at}");
            let back = clients.send(&give_back("mia", &request, &id, &request, what)).await.r#return();
            money += back.refund.unwrap().money_minor;
        }
        assert_eq!(money, total - pay_with);
        assert_eq!(clients.available("mia").await, 10_000);
    }
    clients.verify("mia").await;
}

pub(crate) async fn trap_7_the_reward_counts_as_spend<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    let redeem = wire::Redeem { reward_ids: vec!["three-off".into()], ..Default::default() };
    let committed = clients.send(&commit_with("mia", "c1", order("o1", 1_000), Some(redeem))).await.commit();
    assert_eq!(available(&committed.balances), 100 - 50 + 7, "three of the ten euros were not spent");
    let back = clients.send(&give_back("mia", "b1", "o1", "ret", everything())).await.r#return();
    assert_eq!(back.refund.unwrap().money_minor, 700);
    assert_eq!(clients.available("mia").await, 100);
}

pub(crate) async fn trap_8_a_commit_after_its_hold_has_lapsed<W: World>() {
    for paid in [false, true] {
        let world = W::start();
        let server = world.serve_idle().await;
        let clients = &server.clients;
        clients.enroll("mia").await;
        clients.send(&reserve("mia", "r1", order("o1", 1_000), points(80))).await;
        world.clock().set(Instant(BEGIN.0 + 16 * 60 * 1_000));
        // Somebody else's turn: most of it is spent before the late Commit comes.
        clients.send(&commit_with("mia", "c2", order("o2", 90), Some(points(90)))).await;
        let late = match commit("mia", "c1", order("o1", 1_000)) {
            Write::Commit(raw) => Write::Commit(wire::CommitRequest { paid, ..raw }),
            other => panic!("{other:?}"),
        };
        let late = clients.send(&late).await.commit();
        if paid {
            assert_eq!(late.status(), wire::CommitStatus::Committed);
            let points = of_unit(&late.balances, "points").unwrap();
            let earned = 10;
            // The discount stands: 10 were there, 70 are owed, and what the order earns goes there first.
            assert_eq!((points.available, points.debt), (0, 70 - earned));
            assert_adds_up(&late.balances);
        } else {
            // Nobody has paid yet: the shopper was told of a price that no longer holds, so nothing happens.
            assert_eq!(late.status(), wire::CommitStatus::Refused);
            let refusals = late.decision.unwrap().refusals;
            assert!(refusals.iter().any(|r| r.reason() == wire::RefusalReason::BalanceTooLow), "{refusals:?}");
        }
        clients.verify("mia").await;
    }
}

pub(crate) async fn trap_9_expiry_is_off_by_one_at_the_instant_itself<W: World>() {
    for (ms, expected) in [(-1, wire::CommitStatus::Committed), (0, wire::CommitStatus::Refused)] {
        let world = W::start();
        let server = world.serve_idle().await;
        let clients = &server.clients;
        clients.enroll("mia").await;
        world.clock().set(Instant(BEGIN.0 + 60 * DAY_MS + ms));
        let answer = clients.send(&commit_with("mia", "c1", order("o1", 90), Some(points(90)))).await.commit();
        assert_eq!(answer.status(), expected, "{ms} ms from the expiry");
        clients.verify("mia").await;
    }
}

pub(crate) async fn trap_10_cancelled_then_completed_again<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&commit_with("mia", "c1", order("o1", 3_000), Some(points(40)))).await;
    let cancel = match give_back("mia", "b1", "o1", "cancel", everything()) {
        Write::Return(raw) => Write::Return(wire::ReturnRequest { cause: wire::ReturnCause::Cancel.into(), ..raw }),
        other => panic!("{other:?}"),
    };
    let cancelled = clients.send(&cancel).await.r#return();
    assert_eq!(cancelled.order_state(), wire::OrderState::Cancelled);
    assert_eq!(available(&cancelled.balances), 100);
    let again = clients.send(&commit_with("mia", "c2", order("o1", 3_000), Some(points(40)))).await.commit();
    assert_eq!(again.status(), wire::CommitStatus::AlreadyCommitted);
    assert_eq!(clients.available("mia").await, 100);
    clients.verify("mia").await;
}

pub(crate) async fn trap_14_the_retry_of_a_timed_out_call_runs_again<W: World>() {
    let world = W::start();
    let (server, other) = (world.serve_idle().await, world.serve_idle().await);
    server.clients.enroll("mia").await;
    let write = commit("mia", "c1", order("o1", 3_000));
    let first = server.clients.send(&write).await;
    // The time of the server is no part of what was asked, and a week is within what is remembered.
    for days in [0, 1, 7] {
        world.clock().set(Instant(BEGIN.0 + days * DAY_MS));
        assert_eq!(other.clients.send(&write).await, first.as_replayed(), "after {days} days");
    }
    assert_eq!(server.clients.available("mia").await, 130);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_15_noscript_after_a_restart_or_a_flush() {
    let mut world = RedisWorld::on(RedisServer::start_durable());
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&commit("mia", "c1", order("o1", 1_000))).await;
    let _: String = world.server.command(&["SCRIPT", "FLUSH"]);
    let flushed = clients.send(&commit("mia", "c2", order("o2", 1_000))).await.commit();
    assert_eq!(flushed.status(), wire::CommitStatus::Committed, "without a retry by the caller");
    world.server.restart();
    let restarted = clients.send_until_answered(&commit("mia", "c3", order("o3", 1_000))).await.commit();
    assert_eq!(restarted.status(), wire::CommitStatus::Committed);
    assert_eq!(clients.available("mia").await, 130);
    clients.verify("mia").await;
}
