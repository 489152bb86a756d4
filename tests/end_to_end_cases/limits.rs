//! Limits of rules over all accounts together: from many parallel orders on two instances exactly the limit is given.

use guerdon::grpc::wire::{self, effect::Effect};
use tokio::task::JoinSet;

use crate::support::server::*;

/// The club with 3 points more for each order, as far as the limits go.
fn program(limits: &str) -> String {
    let rule = format!(
        "\n  - {{id: gift, kind: social, on: order, limits: [{limits}], then: {{bonus: {{units: 3}}}}}}\npay_with:"
    );
    PROGRAM.replace("\npay_with:", &rule)
}

async fn serve<W: World>(world: &W, limits: &str) -> Server {
    Server::start_idle_with(world.store(), world.clock(), options(), &program(limits)).await
}

fn in_store(store: &str, order: wire::Order) -> wire::Order {
    wire::Order { store_id: store.into(), ..order }
}

/// What the gift would have been and what it was; `None`: nothing.
fn gift(answer: &Answer) -> Option<(i64, i64)> {
    let effects = answer.clone().commit().decision.unwrap().effects.into_iter().filter_map(|effect| effect.effect);
    let mut given = effects.filter_map(|effect| match effect {
        Effect::UnitsGranted(granted) if granted.rule_id == "gift" => Some((granted.desired, granted.granted)),
        _ => None,
    });
    given.next()
}

/// Many orders at once, each of another member and in one of the stores by turns.
async fn rush(servers: [&Server; 2], members: usize, stores: &[&str]) -> Vec<(String, Answer)> {
    let mut tasks = JoinSet::new();
    for n in 0..members {
        let (member, store) = (format!("m{n}"), stores[n % stores.len()].to_owned());
        servers[0].clients.enroll(&member).await;
        let clients = servers[n % 2].clients.clone();
        tasks.spawn(async move {
            let write = commit(&member, "rush", in_store(&store, order("o", 100)));
            (store, clients.send_until_answered(&write).await)
        });
    }
    tasks.join_all().await
}

/// What was given of it, and that whoever got less was told.
fn given(answers: &[(String, Answer)], store: Option<&str>) -> i64 {
    let of_store = answers.iter().filter(|(of, _)| store.is_none_or(|store| store == of));
    let each = of_store.map(|(_, answer)| {
        assert_eq!(answer.clone().commit().status(), wire::CommitStatus::Committed, "no order is refused for it");
        let (desired, granted) = gift(answer).unwrap_or((3, 0));
        assert_eq!(desired, 3);
        let short = answer.refusals() == [wire::RefusalReason::LimitReached];
        assert_eq!(short, granted < 3, "{answer:?}");
        granted
    });
    each.sum()
}

pub(crate) async fn a13_program_many_orders_at_once_are_given_exactly_the_limit<W: World>() {
    let world = W::start();
    let (one, two) =
        (serve(&world, "{units: 100, of: program}").await, serve(&world, "{units: 100, of: program}").await);
    let answers = rush([&one, &two], 48, &[""]).await;
    assert_eq!(given(&answers, None), 100, "48 would like 144; the last one that there is is given, too");
    let clamped = answers.iter().filter_map(|(_, answer)| gift(answer)).filter(|(_, granted)| *granted < 3);
    assert_eq!(clamped.collect::<Vec<_>>(), [(3, 1)], "100 is 33 times 3, and 1");
    for n in [0, 1, 31, 47] {
        two.clients.verify(&format!("m{n}")).await;
    }
    // Whoever comes later gets nothing, and a resend takes nothing.
    one.clients.enroll("late").await;
    let late = commit("late", "l", order("o", 100));
    assert_eq!(gift(&one.clients.send(&late).await), None);
    assert!(one.clients.send(&late).await.replayed());
}

pub(crate) async fn a13_program_all_or_nothing_leaves_what_is_too_little_for_one<W: World>() {
    let world = W::start();
    let limits = "{units: 100, of: program, on_reach: refuse}";
    let (one, two) = (serve(&world, limits).await, serve(&world, limits).await);
    let answers = rush([&one, &two], 40, &[""]).await;
    assert_eq!(given(&answers, None), 99);
    assert_eq!(answers.iter().filter(|(_, answer)| gift(answer).is_some()).count(), 33);
}

pub(crate) async fn a13_program_so_many_times_and_each_day_anew<W: World>() {
    let world = W::start();
    let limits = "{times: 7, per: day, of: program}";
    let (one, two) = (serve(&world, limits).await, serve(&world, limits).await);
    for day in 0..2 {
        let mut tasks = JoinSet::new();
        for n in 0..24 {
            let member = format!("m{n}");
            if day == 0 {
                one.clients.enroll(&member).await;
            }
            let clients = [&one, &two][n % 2].clients.clone();
            tasks.spawn(async move {
                let write = commit(&member, &format!("day-{day}"), order(&format!("o{day}"), 100));
                clients.send_until_answered(&write).await
            });
        }
        let answers = tasks.join_all().await;
        assert_eq!(answers.iter().filter_map(gift).collect::<Vec<_>>(), [(3, 3); 7], "on day {day}");
        world.clock().set(world.clock().now(None).plus_ms(DAY_MS));
    }
}

pub(crate) async fn a13_store_each_store_has_a_limit_of_its_own<W: World>() {
    let world = W::start();
    let limits = "{units: 20, of: store}";
    let (one, two) = (serve(&world, limits).await, serve(&world, limits).await);
    let answers = rush([&one, &two], 30, &["north", "south", ""]).await;
    for store in ["north", "south", ""] {
        assert_eq!(given(&answers, Some(store)), 20, "in `{store}`");
    }
    // Where nobody has been yet there is all of it.
    one.clients.enroll("late").await;
    let quoted = wire::QuoteRequest {
        member_id: "late".into(),
        order: Some(in_store("west", order("o", 100))),
        ..Default::default()
    };
    let effects = two.clients.quote(quoted).await.decision.unwrap().effects;
    let granted = effects.into_iter().filter_map(|effect| effect.effect).filter_map(|effect| match effect {
        Effect::UnitsGranted(granted) if granted.rule_id == "gift" => Some(granted.granted),
        _ => None,
    });
    assert_eq!(granted.collect::<Vec<_>>(), [3]);
    assert_eq!(gift(&one.clients.send(&commit("late", "l", in_store("west", order("o", 100)))).await), Some((3, 3)));
    let south = one.clients.send(&commit("late", "s", in_store("south", order("p", 100)))).await;
    assert_eq!(gift(&south), None);
}

/// Of two limits the tighter one counts, and what the other had set aside can be had by others.
pub(crate) async fn a13_program_and_store_together_hold_and_lose_nothing<W: World>() {
    let world = W::start();
    let limits = "{units: 14, of: store}, {units: 20, of: program}";
    let (one, two) = (serve(&world, limits).await, serve(&world, limits).await);
    let answers = rush([&one, &two], 20, &["north"]).await;
    assert_eq!(given(&answers, None), 14);
    // Six are left for all stores together: to the last one.
    let answers = rush_in(&[&two, &one], "south", 6).await;
    assert_eq!(answers.iter().filter_map(gift).map(|(_, granted)| granted).sum::<i64>(), 6);
}

/// One order after the other, each of another member.
async fn rush_in(servers: &[&Server], store: &str, members: usize) -> Vec<Answer> {
    let mut answers = Vec::new();
    for n in 0..members {
        let clients = &servers[n % servers.len()].clients;
        let member = format!("{store}-{n}");
        clients.enroll(&member).await;
        answers.push(clients.send(&commit(&member, "c", in_store(store, order("o", 100)))).await);
    }
    answers
}
