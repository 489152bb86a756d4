//! Leaderboards over the wire: ranked, paged, by period, and told exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use guerdon::domain::time::{DAY_MS, Instant};
use guerdon::grpc::wire;
use guerdon::service::Calls;
use guerdon::store::Commit;
use tokio::task::JoinSet;

use crate::support::faulty::{Fault, FaultyStore};
use crate::support::server::*;

const BOARDS: &str = "
counters: {spent: {counts: spend, window: month}}
leaderboards: [{id: spenders, title: Of the month, counter: spent, top: 5, periods_kept: 1}]
";

type Board = wire::GetLeaderboardResponse;

async fn board(clients: &Clients, change: impl FnOnce(&mut wire::GetLeaderboardRequest)) -> Board {
    let mut request = wire::GetLeaderboardRequest { leaderboard_id: "spenders".into(), ..Default::default() };
    change(&mut request);
    clients.member.clone().get_leaderboard(request).await.unwrap().into_inner()
}

fn rows(board: &Board) -> Vec<(i32, i32, &str, i64)> {
    board.places.iter().map(|p| (p.position, p.rank, p.account_id.as_str(), p.score)).collect()
}

/// Tells boards what there is to tell; the jobs do not run.
async fn tell<W: World>(world: &W, server: &Server) {
    server.service.end_day(world.clock().now(None)).await.unwrap();
}

async fn spend(clients: &Clients, member: &str, id: &str, minor: i64) {
    clients.send(&commit(member, id, order(id, minor))).await;
}

fn step(world: &impl World) {
    world.clock().set(world.clock().now(None).plus_ms(1_000));
}

pub(crate) async fn d6_ties_pages_periods_and_ones_own_rank<W: World>() {
    let world = W::start();
    let server = world.serve_with(BOARDS).await;
    let clients = &server.clients;
    for (member, minor) in [("ann", 500), ("bob", 900), ("eve", 500), ("leo", 300), ("mia", 200), ("zoe", 100)] {
        clients.enroll(member).await;
        spend(clients, member, &format!("o-{member}"), minor).await;
        step(&world);
    }
    assert_eq!(rows(&board(clients, |_| {}).await), [], "nobody has told it yet");
    tell(&world, &server).await;
    let found = board(clients, |asked| asked.member_id = "zoe".into()).await;
    let all = [(1, 1, "bob", 900), (2, 2, "ann", 500), (3, 2, "eve", 500), (4, 4, "leo", 300), (5, 5, "mia", 200)];
    assert_eq!(rows(&found), all);
    assert_eq!((found.title.as_str(), found.ranked), ("Of the month", 5));
    let own = found.member.unwrap();
    assert_eq!((own.score, own.rank, own.hidden), (100, 0, false), "six are too many for five places");
    assert_eq!(board(clients, |asked| asked.member_id = "eve".into()).await.member.unwrap().rank, 2);
    let page = board(clients, |asked| (asked.after_position, asked.page_size) = (1, 2)).await;
    assert_eq!(rows(&page), all[1..3]);

    // A return lowers a score, and who stands behind comes forward.
    clients.send(&give_back("bob", "r1", "o-bob", "r1", everything())).await;
    tell(&world, &server).await;
    let found = board(clients, |_| {}).await;
    let names: Vec<&str> = found.places.iter().map(|place| place.account_id.as_str()).collect();
    assert_eq!(names, ["ann", "eve", "leo", "mia", "zoe"]);

    // The next month is a board of its own; the one before stays, the one before that is gone.
    let (starts_at, ends_at) = (found.starts_at.unwrap(), found.ends_at.unwrap());
    assert!(starts_at.seconds <= BEGIN.0 / 1_000 && BEGIN.0 / 1_000 < ends_at.seconds);
    let next = Instant(ends_at.seconds * 1_000 + 1);
    world.clock().set(next);
    spend(clients, "mia", "next", 50).await;
    tell(&world, &server).await;
    assert_eq!(rows(&board(clients, |_| {}).await), [(1, 1, "mia", 50)]);
    assert_eq!(rows(&board(clients, |asked| asked.at = Some(starts_at)).await), rows(&found));
    world.clock().set(next.plus_ms(40 * DAY_MS));
    tell(&world, &server).await;
    let request =
        wire::GetLeaderboardRequest { leaderboard_id: "spenders".into(), at: Some(starts_at), ..Default::default() };
    assert_eq!(clients.member.clone().get_leaderboard(request).await.unwrap_err().code(), tonic::Code::NotFound);
    let unknown = wire::GetLeaderboardRequest { leaderboard_id: "talkers".into(), ..Default::default() };
    assert_eq!(clients.member.clone().get_leaderboard(unknown).await.unwrap_err().code(), tonic::Code::NotFound);
}

pub(crate) async fn d6_who_hides_is_merged_or_erased_vanishes<W: World>() {
    let world = W::start();
    let server = world.serve_with(BOARDS).await;
    let clients = &server.clients;
    for (member, minor) in [("ann", 400), ("bob", 300), ("eve", 200)] {
        clients.enroll(member).await;
        spend(clients, member, &format!("o-{member}"), minor).await;
    }
    let names = async || {
        tell(&world, &server).await;
        let found = board(clients, |_| {}).await;
        found.places.into_iter().map(|place| (place.account_id, place.score)).collect::<Vec<_>>()
    };
    let is = |expected: &[(&str, i64)]| expected.iter().map(|(n, s)| ((*n).to_owned(), *s)).collect::<Vec<_>>();
    assert_eq!(names().await, is(&[("ann", 400), ("bob", 300), ("eve", 200)]));
    let hide = |hidden: bool| wire::ProfileChange { leaderboard_opt_out: Some(hidden), ..Default::default() };
    clients.send(&update("ann", "hide", hide(true))).await;
    assert_eq!(names().await, is(&[("bob", 300), ("eve", 200)]));
    let own = board(clients, |asked| asked.member_id = "ann".into()).await.member.unwrap();
    assert_eq!((own.score, own.rank, own.hidden), (400, 0, true));
    clients.send(&update("ann", "show", hide(false))).await;
    assert_eq!(names().await.len(), 3);
    clients.send(&merge("eve", "m", "bob")).await;
    assert_eq!(names().await, is(&[("bob", 500), ("ann", 400)]));
    clients.send(&unmerge("eve", "u")).await;
    assert_eq!(names().await, is(&[("ann", 400), ("bob", 300), ("eve", 200)]));
    clients.send(&erase("ann", "e")).await;
    assert_eq!(names().await, is(&[("bob", 300), ("eve", 200)]));
}

/// Two instances fold the same feed while their commits get lost or answered twice: each item counts once.
pub(crate) async fn d6_a_board_is_told_once_whoever_tells_it_and_however_often<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let program = format!("{PROGRAM}{BOARDS}");
    let one = Server::start_idle_with(store.clone(), world.clock(), options(), &program).await;
    let two = Server::start_idle_with(world.store(), world.clock(), options(), &program).await;
    let members = ["ann", "bob", "eve", "leo"];
    for member in members {
        one.clients.enroll(member).await;
    }
    let folds = Arc::new(AtomicU32::new(0));
    let seen = folds.clone();
    store.plan(move |commit: &Commit| {
        if commit.feed_done.is_empty() {
            return Fault::None;
        }
        match seen.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => Fault::LoseAnswer,
            1 => Fault::LoseRequest,
            _ => Fault::None,
        }
    });
    for round in 0..5 {
        for (n, member) in members.iter().enumerate() {
            let id = format!("{member}-{round}");
            spend(&one.clients, member, &id, 100 + 10 * n as i64).await;
            if round % 2 == 0 {
                one.clients.send(&give_back(member, &format!("r{id}"), &id, "r", everything())).await;
            }
        }
        let mut telling = JoinSet::new();
        for service in [&one.service, &two.service, &one.service] {
            let (service, now) = (service.clone(), world.clock().now(None));
            // What could not be told is told later.
            telling.spawn(async move { service.end_day(now).await.is_ok() });
        }
        telling.join_all().await;
    }
    store.plan(|_| Fault::None);
    tell(&world, &two).await;
    let found = board(&two.clients, |_| {}).await;
    assert_eq!(rows(&found), [(1, 1, "leo", 260), (2, 2, "eve", 240), (3, 3, "bob", 220), (4, 4, "ann", 200)]);
    assert!(0 < folds.load(Ordering::Relaxed));
    for member in members {
        one.clients.verify(member).await;
    }
}
