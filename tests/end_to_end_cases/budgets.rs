//! Budgets over all members, large enough to be spread over slices: never overspent, and the last unit can be had.

use std::collections::BTreeMap;

use guerdon::grpc::wire;
use guerdon::service::Calls;
use tokio::task::JoinSet;

use crate::support::faulty::{Fault, FaultyStore};
use crate::support::server::*;

/// A rule that gives `units` for each order while `most` of its campaign last. With 16 partitions, slices begin at 512
/// times what one order is given.
fn program(units: i64, most: i64) -> String {
    let rule = format!(
        "  - {{id: gift, kind: behavioural, on: order, campaign: launch, then: {{bonus: {{units: {units}}}}}}}\n"
    );
    let campaign = format!("campaigns:\n  - {{id: launch, title: L, limits: [{{units: {most}, of: program}}]}}\n");
    format!("{}{campaign}", PROGRAM.replacen("rules:\n", &format!("rules:\n{rule}"), 1))
}

/// What the rule gave, of what it would have given.
fn gift(answer: &Answer) -> (i64, i64) {
    let effects = answer.clone().commit().decision.unwrap_or_default().effects;
    let given = effects.into_iter().find_map(|effect| match effect.effect {
        Some(wire::effect::Effect::UnitsGranted(granted)) if granted.rule_id == "gift" => {
            Some((granted.granted, granted.desired))
        }
        _ => None,
    });
    given.unwrap_or_default()
}

async fn members(server: &Server, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|n| format!("m{n}")).collect();
    for name in &names {
        server.clients.enroll(name).await;
    }
    names
}

fn buys(member: &str, n: usize) -> Write {
    commit(member, &format!("c{n}"), order_of(&format!("{member}-o{n}"), vec![line("1", "goods", 1, 100)]))
}

/// Each member buys so many times, all of it at once, on either server in turn.
async fn all_buy(servers: [&Server; 2], names: &[String], times: usize) -> Vec<Answer> {
    let mut tasks = JoinSet::new();
    for n in 0..times {
        for (at, name) in names.iter().enumerate() {
            let clients = servers[(n + at) % 2].clients.clone();
            let write = buys(name, n);
            tasks.spawn(async move { clients.send_until_answered(&write).await });
        }
    }
    tasks.join_all().await
}

/// What members were given in all, by their own ledgers.
async fn given(server: &Server, names: &[String], base: i64) -> i64 {
    let mut sum = 0;
    for name in names {
        let verified = server.clients.verify(name).await;
        sum += server.clients.available(name).await - 100 - base * verified.orders;
    }
    sum
}

pub(crate) async fn e1_a_commit_takes_from_its_slice_in_one_trip<W: World>() {
    let world = W::start();
    let program = program(10, 1_000_000);
    let server = Server::start_idle_with(world.store(), world.clock(), options(), &program).await;
    let names = members(&server, 1).await;
    assert_eq!(gift(&server.clients.send(&buys(&names[0], 0)).await), (10, 10));
    for n in 1..40 {
        let before = server.service.store().trips();
        assert_eq!(gift(&server.clients.send(&buys(&names[0], n)).await), (10, 10));
        assert_eq!(server.service.store().trips() - before, 1, "as without a budget");
    }
    let again = server.clients.send(&buys(&names[0], 7)).await;
    assert!(again.replayed());
    assert_eq!(given(&server, &names, 1).await, 400, "a resend takes nothing");
}

pub(crate) async fn e1_a_budget_is_spent_to_the_last_unit_and_no_further<W: World>() {
    let world = W::start();
    // Spread over slices at first.
    let program = program(1, 520);
    let (one, two) = (
        Server::start_idle_with(world.store(), world.clock(), options(), &program).await,
        Server::start_idle_with(world.store(), world.clock(), options(), &program).await,
    );
    let names = members(&one, 30).await;
    let answers = all_buy([&one, &two], &names, 20).await;
    let granted: i64 = answers.iter().map(|answer| gift(answer).0).sum();
    assert_eq!(granted, 520, "all of it, for 600 who would have had one each");
    assert_eq!(given(&one, &names, 1).await, 520);
    let late = two.clients.send(&buys("m3", 99)).await;
    assert_eq!((gift(&late), late.refusals()), ((0, 0), vec![wire::RefusalReason::LimitReached]));
}

pub(crate) async fn e1_what_is_short_is_granted_as_far_as_it_goes<W: World>() {
    let world = W::start();
    let program = program(15, 7_700);
    let server = Server::start_idle_with(world.store(), world.clock(), options(), &program).await;
    let names = members(&server, 7).await;
    let mut told = BTreeMap::new();
    for n in 0..75 {
        for name in &names {
            *told.entry(gift(&server.clients.send(&buys(name, n)).await)).or_insert(0) += 1;
        }
    }
    assert_eq!(told, BTreeMap::from([((15, 15), 513), ((5, 15), 1), ((0, 0), 11)]), "desired next to granted");
    assert_eq!(given(&server, &names, 1).await, 7_700);
}

pub(crate) async fn e1_a_quote_sees_what_lies_in_slices<W: World>() {
    let world = W::start();
    let server = Server::start_idle_with(world.store(), world.clock(), options(), &program(1, 520)).await;
    let names = members(&server, 8).await;
    for n in 0..65 {
        for name in &names {
            let asked = wire::QuoteRequest {
                member_id: name.clone(),
                order: Some(order_of(&format!("{name}-o{n}"), vec![line("1", "goods", 1, 100)])),
                ..Default::default()
            };
            let decision = server.clients.quote(asked).await.decision;
            let quoted = Answer::Commit(wire::CommitResponse { decision, ..Default::default() });
            let done = server.clients.send(&buys(name, n)).await;
            assert_eq!(gift(&quoted), gift(&done));
            assert_eq!(gift(&done), (1, 1));
        }
    }
    assert_eq!(gift(&server.clients.send(&buys("m0", 99)).await), (0, 0));
}

/// Every step between pool and slice is lost, or its answer, again and again.
pub(crate) async fn e1_what_dies_between_pool_and_slice_is_neither_lost_nor_doubled<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let program = program(1, 600);
    let server = Server::start_idle_with(store.clone(), world.clock(), options(), &program).await;
    let names = members(&server, 20).await;
    let mut count = 0u32;
    store.plan(move |commit| {
        // Commits of accounts carry a receipt; those of pools and slices do not.
        if !commit.receipts.is_empty() {
            return Fault::None;
        }
        count += 1;
        match count % 3 {
            0 => Fault::LoseRequest,
            1 => Fault::LoseAnswer,
            _ => Fault::None,
        }
    });
    for n in 0..32 {
        for name in &names {
            let write = buys(name, n);
            for _ in 0..50 {
                if server.clients.try_send(&write).await.is_ok() {
                    break;
                }
            }
        }
    }
    store.plan(|_| Fault::None);
    for _ in 0..2 {
        world.clock().set(world.clock().now(None).plus_ms(61_000));
        server.service.end_day(world.clock().now(None)).await.unwrap();
    }
    let mut answered = 0;
    for n in 0..32 {
        for name in &names {
            answered += gift(&server.clients.send(&buys(name, n)).await).0;
        }
    }
    // What was refused while others' claims were open stays refused; what is left can be had.
    for n in 100..140 {
        for name in &names {
            answered += gift(&server.clients.send(&buys(name, n)).await).0;
        }
    }
    assert_eq!(answered, 600);
    assert_eq!(given(&server, &names, 1).await, 600);
}

/// Delivers what was sent by now.
async fn deliver(world: &impl World, server: &Server) {
    world.clock().set(world.clock().now(None).plus_ms(1_000));
    server.service.end_day(world.clock().now(None)).await.unwrap();
}

/// What the members have outstanding in all.
async fn outstanding(server: &Server, names: &[String]) -> i64 {
    let mut sum = 0;
    for name in names {
        sum += server.clients.available(name).await;
    }
    sum
}

pub(crate) async fn e2_liability_is_capped_over_all_members_and_makes_room_again<W: World>() {
    let world = W::start();
    // Twenty members begin with 100 each; the cap leaves 520 more, of which slices hold most at first.
    let cap = "unit_limits: {points: {outstanding_max: 2520}}\n";
    let program = format!("{}{cap}", program(1, 1_000_000));
    let (one, two) = (
        Server::start_idle_with(world.store(), world.clock(), options(), &program).await,
        Server::start_idle_with(world.store(), world.clock(), options(), &program).await,
    );
    let names = members(&one, 20).await;
    all_buy([&one, &two], &names, 20).await;
    assert_eq!(outstanding(&one, &names).await, 2_520, "of 800 more that 400 orders would have earned");
    let late = two.clients.send(&buys("m3", 99)).await;
    assert_eq!(gift(&late).0, 0);
    assert!(late.refusals().contains(&wire::RefusalReason::LimitReached), "{late:?}");
    // By hand comes whatever there is room for.
    one.clients.send(&adjust("m1", "by-hand", 40)).await;
    deliver(&world, &one).await;
    // Redeemed: 100 by m0. Its own order is decided before that is told.
    let order = order_of("big", vec![line("1", "goods", 1, 100)]);
    two.clients.send(&commit_with("m0", "spends", order, Some(points(100)))).await;
    deliver(&world, &two).await;
    let before = outstanding(&one, &names).await;
    assert_eq!(before, 2_460, "40 over the cap before, and 100 fewer");
    for n in 200..210 {
        for name in &names {
            one.clients.send(&buys(name, n)).await;
        }
    }
    assert_eq!(outstanding(&one, &names).await, 2_520);
    for name in &names {
        assert!(one.clients.verify(name).await.verified);
    }
}

pub(crate) async fn e3_brake_holds_over_instances_days_and_restarts<W: World>() {
    let world = W::start();
    let braked = |resumed: &str| {
        let rules = program(10, 1_000_000);
        let brake = format!("brake: {{forecast: 100, times: 2{resumed}}}, limits: [");
        rules.replacen("limits: [", &brake, 1)
    };
    let start = |program: String| {
        let (store, clock) = (world.store(), world.clock());
        async move { Server::start_idle_with(store, clock, options(), &program).await }
    };
    let (one, two) = (start(braked("")).await, start(braked("")).await);
    let names = members(&one, 30).await;
    let granted: i64 = all_buy([&one, &two], &names, 1).await.iter().map(|answer| gift(answer).0).sum();
    assert_eq!(granted, 200, "twice the forecast, of 300");
    // Not the next day either, nor with an instance that knows nothing of it.
    world.clock().set(world.clock().now(None).plus_ms(2 * 86_400_000));
    let three = start(braked("")).await;
    for server in [&one, &three] {
        let late = server.clients.send(&buys("m0", 1)).await;
        let quoted = server.clients.quote(wire::QuoteRequest {
            member_id: "m1".into(),
            order: Some(order_of("m1-o9", vec![line("1", "goods", 1, 100)])),
            ..Default::default()
        });
        let refusals = quoted.await.decision.unwrap().refusals;
        assert!(refusals.iter().any(|r| r.reason() == wire::RefusalReason::CampaignPaused), "{refusals:?}");
        assert_eq!((gift(&late), late.refusals()), ((0, 0), vec![wire::RefusalReason::CampaignPaused]));
    }
    // Somebody has looked.
    let resumed = start(braked(", resumed_at: \"2020-01-01T00:00:00Z\"")).await;
    assert_eq!(gift(&resumed.clients.send(&buys("m0", 2)).await), (10, 10));
}
