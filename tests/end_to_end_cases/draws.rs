//! Draws with a fixed pool of prizes: never overdrawn, and everybody can look at the drum afterwards.

use std::collections::{BTreeMap, BTreeSet};

use guerdon::domain::draw::{Seed, drum_ticket};
use guerdon::domain::id::DrawId;
use guerdon::domain::ledger::digest;
use guerdon::domain::time::SECOND_MS;
use guerdon::grpc::wire;
use guerdon::service::{Calls, Options};
use tokio::task::JoinSet;

use crate::support::faulty::{Fault, FaultyStore};
use crate::support::server::*;

const SEED: &str = "000102030405060708090a0b0c0d0e0f";
const HOUR_MS: i64 = 3_600_000;

fn sections(of: i64) -> String {
    format!(
        "
draws:
  - id: spring
    title: Spring draw
    commitment: \"be45cb2605bf36bebde684841a28f0fd43c69850a3dce5fedba69928ee3a8991\"
    ends_at: {}
    of: {of}
    once: true
    prizes: [{{id: points, tickets: 7, gives: {{bonus: {{units: 1000}}}}}}]
",
        BEGIN.plus_ms(HOUR_MS).text()
    )
}

fn seeded() -> Options {
    Options { draw_seeds: vec![Seed::parse(SEED).unwrap()], ..options() }
}

async fn serve<W: World>(world: &W, of: i64) -> Server {
    let program = program_with(&sections(of));
    Server::start_idle_with(world.store(), world.clock(), seeded(), &program).await
}

/// The program of the other cases, with a ticket for each order.
fn program_with(sections: &str) -> String {
    let lucky = "  - {id: lucky, kind: behavioural, on: order, then: {draw: {draw: spring}}}\n";
    format!("{}{sections}", PROGRAM.replacen("rules:\n", &format!("rules:\n{lucky}"), 1))
}

fn drawn(answer: &Answer) -> Option<wire::TicketDrawn> {
    let effects = answer.clone().commit().decision.unwrap().effects;
    effects.into_iter().find_map(|effect| match effect.effect {
        Some(wire::effect::Effect::TicketDrawn(drawn)) => Some(drawn),
        _ => None,
    })
}

async fn list(clients: &Clients, after_position: i64, page_size: i32) -> Vec<wire::DrawTicket> {
    let request =
        wire::ListDrawTicketsRequest { draw_id: "spring".into(), after_position, page_size, ..Default::default() };
    clients.rewards.clone().list_draw_tickets(request).await.unwrap().into_inner().tickets
}

pub(crate) async fn d7_pool_a_race_draws_every_ticket_once_and_the_list_proves_it<W: World>() {
    const OF: i64 = 24;
    let world = W::start();
    let (one, two) = (serve(&world, OF).await, serve(&world, OF).await);
    for n in 0..16 {
        one.clients.enroll(&format!("m{n}")).await;
    }
    let mut tasks = JoinSet::new();
    for n in 0..40 {
        let clients = [&one, &two][n % 2].clients.clone();
        let (member, id) = (format!("m{}", n % 16), format!("o{n}"));
        tasks.spawn(async move {
            let write = commit(&member, &id, order(&id, 1_000));
            let answer = clients.send_until_answered(&write).await;
            assert_eq!(clients.send_until_answered(&write).await, answer.as_replayed());
            answer
        });
    }
    let answers = tasks.join_all().await;
    let drawn: Vec<wire::TicketDrawn> = answers.iter().filter_map(drawn).collect();
    let empty = answers.iter().filter(|answer| answer.refusals() == [wire::RefusalReason::DrawEmpty]).count();
    assert_eq!((drawn.len(), empty), (24, 16), "all that there are, and no more");
    let tickets: BTreeSet<i64> = drawn.iter().map(|drawn| drawn.ticket.unwrap()).collect();
    assert_eq!(tickets, (0..OF).collect());
    assert_eq!(drawn.iter().filter(|drawn| drawn.prize_id == "points").count(), 7);
    for n in 0..16 {
        one.clients.verify(&format!("m{n}")).await;
    }

    let before = list(&one.clients, 0, 1_000).await;
    assert!(before.iter().all(|line| line.ticket.is_none() && line.prize_id.is_empty()), "nothing is told yet");
    world.clock().set(BEGIN.plus_ms(HOUR_MS + 60 * SECOND_MS));
    let mut lines = list(&two.clients, 0, 10).await;
    while let more @ [_, ..] = &list(&two.clients, lines.last().unwrap().position, 10).await[..] {
        lines.extend_from_slice(more);
    }
    assert!(lines.iter().zip(1..).all(|(line, position)| line.position == position));
    // Whoever has the list and the seed can tell for themselves what each number is, and find their own.
    let request = wire::GetDrawRequest { draw_id: "spring".into(), ..Default::default() };
    let draw = one.clients.rewards.clone().get_draw(request).await.unwrap().into_inner();
    assert!(draw.once && draw.formula.contains("Feistel"));
    let seed = Seed::parse(&draw.seed).unwrap();
    let spring = DrawId::parse("spring").unwrap();
    let mut out = BTreeMap::new();
    for line in &lines {
        match line.went_back {
            true => out.remove(&line.number),
            false => out.insert(line.number, line.digest.clone()),
        };
        let ticket = drum_ticket(&seed, &spring, line.number, draw.of);
        assert_eq!(line.ticket, Some(ticket));
        assert_eq!(line.prize_id.is_empty(), 7 <= ticket);
    }
    assert_eq!(out.len(), 24);
    for drawn in drawn {
        let hash = digest(format!("{}|{}", drawn.account_id, drawn.cause).as_bytes());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(out[&drawn.number.unwrap()], hash, "{drawn:?}");
    }
}

pub(crate) async fn d7_pool_what_a_dead_write_took_out_goes_back_into_the_drum<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let server = Server::start_idle_with(store.clone(), world.clock(), seeded(), &program_with(&sections(7))).await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.enroll("leo").await;
    let keeps = |commit: &guerdon::store::Commit| commit.receipts.is_empty();
    store.plan(move |commit| if keeps(commit) { Fault::None } else { Fault::LoseRequest });
    assert!(clients.try_send(&commit("mia", "lost", order("lost", 100))).await.is_err());
    store.plan(|_| Fault::None);
    assert_eq!(drawn(&clients.send(&commit("leo", "o1", order("o1", 100))).await).unwrap().number, Some(1));
    world.clock().set(world.clock().now(None).plus_ms(61 * SECOND_MS));
    server.service.end_day(world.clock().now(None)).await.unwrap();
    assert_eq!(drawn(&clients.send(&commit("leo", "o2", order("o2", 100))).await).unwrap().number, Some(0));
    let lines: Vec<(i64, bool)> =
        list(clients, 0, 0).await.into_iter().map(|line| (line.number, line.went_back)).collect();
    assert_eq!(lines, [(0, false), (1, false), (0, true), (0, false)]);
}
