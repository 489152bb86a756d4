//! Who brought whom as a tree, and boards of who brings the most, over the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use guerdon::grpc::wire;
use guerdon::service::Calls;
use guerdon::store::Commit;
use tokio::task::JoinSet;

use crate::support::faulty::{Fault, FaultyStore};
use crate::support::server::*;

const TREES: &str = "guerdon: 1
program: trees
title: Trees
time_zone: UTC
currencies: [EUR]
units: {points: {}}
counters: {brought: {counts: friends, window: month}}
leaderboards: [{id: bringers, title: Who brings the most, counter: brought, top: 5, periods_kept: 1}]
referrals: [{id: friends, title: F, advocate: {units: 100}, friend: {units: 10}}]
";

async fn serve<W: World>(world: &W) -> Server {
    Server::start_idle_with(world.store(), world.clock(), options(), TREES).await
}

/// Delivers all that there is; the jobs do not run.
async fn tell<W: World>(world: &W, server: &Server) {
    for _ in 0..2 {
        let now = world.clock().now(None).plus_ms(2_000);
        world.clock().set(now);
        server.service.end_day(now).await.unwrap();
    }
}

/// Joins by the code of somebody, and gets one.
async fn join_by<W: World>(world: &W, server: &Server, member: &str, code: &str) -> String {
    server.clients.enroll(member).await;
    if !code.is_empty() {
        let claimed = server.clients.send(&attribute(member, "by", code)).await.attribute();
        assert!(claimed.attributed, "{member}: {claimed:?}");
    }
    let request = wire::CreateCodeRequest { member_id: member.into(), request_id: "code".into(), ..Default::default() };
    let code = server.clients.send(&Write::CreateCode(request)).await.create_code().code;
    tell(world, server).await;
    code
}

async fn page(
    server: &Server,
    member: &str,
    depth: i32,
    page_size: i32,
    page_token: String,
) -> wire::GetReferralTreeResponse {
    let request =
        wire::GetReferralTreeRequest { member_id: member.into(), depth, page_size, page_token, ..Default::default() };
    server.clients.referral.clone().get_referral_tree(request).await.unwrap().into_inner()
}

/// All nodes, read in pages: generation, parent, friend, how many they brought.
async fn tree(server: &Server, member: &str, depth: i32, page_size: i32) -> Vec<(i32, String, String, i64)> {
    let mut nodes = Vec::new();
    let mut token = String::new();
    for _ in 0..100 {
        let found = page(server, member, depth, page_size, token).await;
        assert!(found.nodes.len() <= usize::try_from(page_size).unwrap());
        nodes.extend(found.nodes);
        token = found.next_page_token;
        if token.is_empty() {
            let row = |n: wire::ReferralNode| (n.generation, n.parent_member_id, n.member_id, n.brought);
            return nodes.into_iter().map(row).collect();
        }
    }
    panic!("the pages do not end");
}

fn rows(expected: &[(i32, &str, &str, i64)]) -> Vec<(i32, String, String, i64)> {
    expected.iter().map(|(g, p, f, n)| (*g, (*p).to_owned(), (*f).to_owned(), *n)).collect()
}

pub(crate) async fn r17_a_tree_is_shown_to_a_depth_in_pages_and_follows_what_happens<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    let ann = join_by(&world, &server, "ann", "").await;
    let ben = join_by(&world, &server, "ben", &ann).await;
    join_by(&world, &server, "cat", &ann).await;
    let dan = join_by(&world, &server, "dan", &ben).await;
    join_by(&world, &server, "eve", &dan).await;
    join_by(&world, &server, "fay", &ann).await;
    let whole = rows(&[
        (1, "ann", "ben", 1),
        (2, "ben", "dan", 1),
        (3, "dan", "eve", 0),
        (1, "ann", "cat", 0),
        (1, "ann", "fay", 0),
    ]);
    for page_size in [1, 2, 3, 100] {
        assert_eq!(tree(&server, "ann", 8, page_size).await, whole, "{page_size}");
        assert_eq!(tree(&server, "ann", 2, page_size).await, [&whole[..2], &whole[3..]].concat(), "{page_size}");
    }
    assert_eq!(tree(&server, "ann", 1, 10).await, [&whole[..1], &whole[3..]].concat());
    assert_eq!(tree(&server, "eve", 3, 10).await, []);
    assert_eq!(page(&server, "ann", 0, 0, String::new()).await.nodes.len(), 5, "three generations unless asked");
    let unknown = wire::GetReferralTreeRequest { member_id: "nobody".into(), ..Default::default() };
    assert_eq!(clients.referral.clone().get_referral_tree(unknown).await.unwrap_err().code(), tonic::Code::NotFound);
    for page_token in ["x", "00ff", "0103616263"] {
        let odd = wire::GetReferralTreeRequest {
            member_id: "ann".into(),
            page_token: page_token.into(),
            ..Default::default()
        };
        let status = clients.referral.clone().get_referral_tree(odd).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{page_token}");
    }

    // How far each has come; who was named at checkout after all; who came to nothing.
    clients.send(&commit("cat", "c", order("o-cat", 100))).await;
    clients.send(&commit("dan", "c", order("o-dan", 100))).await;
    clients.send(&give_back("dan", "r", "o-dan", "r", everything())).await;
    let Write::Commit(raw) = commit("fay", "c", order("o-fay", 100)) else { panic!("a commit") };
    clients.send(&Write::Commit(wire::CommitRequest { codes: vec![ben], ..raw })).await;
    tell(&world, &server).await;
    let nodes = page(&server, "ann", 8, 100, String::new()).await.nodes;
    let states: Vec<_> = nodes.iter().map(|n| (n.member_id.as_str(), n.state(), n.qualified_at.is_some())).collect();
    use wire::ReferralState as S;
    assert_eq!(
        states,
        [
            ("ben", S::Attributed, false),
            ("dan", S::Rejected, true),
            ("eve", S::Attributed, false),
            ("fay", S::Qualified, true),
            ("cat", S::Qualified, true),
        ]
    );
    assert!(nodes.iter().all(|n| n.campaign_id == "friends" && n.confirmed && n.attributed_at.is_some()));

    // Who does not want to be shown has no name, and neither has who was erased; those below them stay.
    let hide = wire::ProfileChange { leaderboard_opt_out: Some(true), ..Default::default() };
    clients.send(&update("ben", "hide", hide)).await;
    clients.send(&erase("cat", "e")).await;
    tell(&world, &server).await;
    assert_eq!(
        tree(&server, "ann", 8, 10).await,
        rows(&[(1, "ann", "", 2), (2, "", "dan", 1), (3, "dan", "eve", 0), (2, "", "fay", 0), (1, "ann", "", 0)])
    );
    // Whom a member has brought comes along when they turn out to be somebody else.
    clients.send(&merge("dan", "m", "eve")).await;
    tell(&world, &server).await;
    let names: Vec<String> = tree(&server, "ben", 1, 10).await.into_iter().map(|(_, _, name, _)| name).collect();
    assert_eq!(names, ["eve", "fay"]);
    for member in ["ann", "ben", "cat", "eve", "fay"] {
        clients.verify(member).await;
    }
}

/// Two instances deliver at once while their commits get lost or are answered twice: each friend stands there once.
pub(crate) async fn r17_a_friend_stands_in_a_tree_once_whoever_writes_it_and_however_often<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let one = Server::start_idle_with(store.clone(), world.clock(), options(), TREES).await;
    let two = serve(&world).await;
    let ann = join_by(&world, &one, "ann", "").await;
    let faults = Arc::new(AtomicU32::new(0));
    let seen = faults.clone();
    store.plan(move |commit: &Commit| {
        let of_delivery = !commit.feed_done.is_empty() || commit.receipts.is_empty();
        match (of_delivery, seen.fetch_add(1, Ordering::Relaxed) % 5) {
            (true, 1) => Fault::LoseAnswer,
            (true, 3) => Fault::LoseRequest,
            _ => Fault::None,
        }
    });
    let mut expected = Vec::new();
    for round in 0..3 {
        for n in 0..6 {
            let friend = format!("f{round}-{n}");
            two.clients.enroll(&friend).await;
            two.clients.send(&attribute(&friend, "by", &ann)).await;
            two.clients.send(&commit(&friend, "c", order(&format!("o-{friend}"), 100))).await;
            expected.push(friend);
        }
        let now = world.clock().now(None).plus_ms(2_000);
        world.clock().set(now);
        let mut telling = JoinSet::new();
        for service in [&one.service, &two.service, &one.service] {
            let service = service.clone();
            // What could not be told is told later.
            telling.spawn(async move { service.end_day(now).await.is_ok() });
        }
        telling.join_all().await;
    }
    store.plan(|_| Fault::None);
    tell(&world, &two).await;
    let nodes = page(&two, "ann", 1, 100, String::new()).await.nodes;
    let mut found: Vec<String> = nodes.iter().map(|node| node.member_id.clone()).collect();
    found.sort();
    assert_eq!(found, expected);
    assert!(nodes.iter().all(|node| node.state() == wire::ReferralState::Qualified));
    assert!(0 < faults.load(Ordering::Relaxed));
}

/// Of who brings the most in a month: equal numbers have one rank, who hides is not there.
pub(crate) async fn r17_a_board_of_who_brings_the_most<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    for (advocate, friends) in [("ann", 2), ("bob", 3), ("eve", 2), ("zoe", 1)] {
        let code = join_by(&world, &server, advocate, "").await;
        for n in 0..friends {
            let friend = format!("{advocate}-{n}");
            clients.enroll(&friend).await;
            clients.send(&attribute(&friend, "by", &code)).await;
            clients.send(&commit(&friend, "c", order(&format!("o-{friend}"), 100))).await;
            tell(&world, &server).await;
        }
    }
    let board = async || {
        tell(&world, &server).await;
        let request = wire::GetLeaderboardRequest { leaderboard_id: "bringers".into(), ..Default::default() };
        let found = clients.member.clone().get_leaderboard(request).await.unwrap().into_inner();
        found.places.into_iter().map(|place| (place.rank, place.account_id, place.score)).collect::<Vec<_>>()
    };
    let is = |rows: &[(i32, &str, i64)]| rows.iter().map(|(r, n, s)| (*r, (*n).to_owned(), *s)).collect::<Vec<_>>();
    assert_eq!(board().await, is(&[(1, "bob", 3), (2, "ann", 2), (2, "eve", 2), (4, "zoe", 1)]));
    // A friend whose order comes back counts no more.
    clients.send(&give_back("bob-0", "r", "o-bob-0", "r", everything())).await;
    clients.send(&give_back("bob-1", "r", "o-bob-1", "r", everything())).await;
    let hide = wire::ProfileChange { leaderboard_opt_out: Some(true), ..Default::default() };
    clients.send(&update("eve", "hide", hide)).await;
    tell(&world, &server).await;
    let found = board().await;
    assert_eq!(found[0], (1, "ann".to_owned(), 2));
    let ranks: Vec<(i32, i64)> = found.iter().map(|(rank, _, score)| (*rank, *score)).collect();
    assert_eq!(ranks, [(1, 2), (2, 1), (2, 1)]);
    // The next month begins anew.
    world.clock().set(world.clock().now(None).plus_ms(32 * DAY_MS));
    assert_eq!(board().await, is(&[]));
}

/// Referral, state and what the advocate has of it, by page.
async fn listed(server: &Server, member: &str, page_size: i32, newest_first: bool) -> Vec<(String, String, i64)> {
    let (mut rows, mut page_token) = (Vec::new(), String::new());
    for _ in 0..100 {
        let request = wire::ListReferralsRequest {
            member_id: member.into(),
            page_size,
            page_token,
            newest_first,
            ..Default::default()
        };
        let page = server.clients.referral.clone().list_referrals(request).await.unwrap().into_inner();
        assert!(page.referrals.len() <= usize::try_from(page_size).unwrap());
        for referral in page.referrals {
            assert_eq!(referral.advocate_member_id, member);
            let rewards = referral.rewards.iter().filter(|reward| reward.beneficiary_member_id == member);
            let stands = rewards.map(|reward| reward.amount - reward.reversed).sum();
            rows.push((referral.referral_id.clone(), referral.state().as_str_name().to_owned(), stands));
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return rows;
        }
    }
    panic!("the pages do not end");
}

pub(crate) async fn r17_referrals_of_an_advocate_are_listed_with_status_and_rewards<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    let ann = join_by(&world, &server, "ann", "").await;
    let zoe = join_by(&world, &server, "zoe", "").await;
    for friend in ["ben", "cat", "dan", "eve"] {
        join_by(&world, &server, friend, &ann).await;
    }
    join_by(&world, &server, "fay", &zoe).await;
    clients.send(&commit("ben", "c", order("o-ben", 100))).await;
    clients.send(&commit("cat", "c", order("o-cat", 100))).await;
    clients.send(&give_back("cat", "r", "o-cat", "r", everything())).await;
    // At checkout Dan names another code: he is no friend of Ann's any more.
    let Write::Commit(raw) = commit("dan", "c", order("o-dan", 100)) else { panic!("a commit") };
    clients.send(&Write::Commit(wire::CommitRequest { codes: vec![zoe], ..raw })).await;
    tell(&world, &server).await;
    let row = |id: &str, state: &str, stands| (format!("friends:{id}"), format!("REFERRAL_STATE_{state}"), stands);
    let expected = [row("ben", "QUALIFIED", 100), row("cat", "REJECTED", 0), row("eve", "ATTRIBUTED", 0)];
    let backwards: Vec<_> = expected.iter().rev().cloned().collect();
    for page_size in [1, 2, 3, 200] {
        assert_eq!(listed(&server, "ann", page_size, false).await, expected, "{page_size}");
        assert_eq!(listed(&server, "ann", page_size, true).await, backwards, "{page_size}");
    }
    let zoes = [row("fay", "ATTRIBUTED", 0), row("dan", "QUALIFIED", 100)];
    assert_eq!(listed(&server, "zoe", 10, false).await, zoes);
    assert_eq!(listed(&server, "ben", 10, true).await, []);

    // Whoever becomes part of Ann brings their friends along, after her own.
    let merge = wire::MergeRequest {
        member_id: "zoe".into(),
        into_member_id: "ann".into(),
        request_id: "merge".into(),
        ..Default::default()
    };
    clients.send(&Write::Merge(merge)).await;
    tell(&world, &server).await;
    let request = wire::ListReferralsRequest { member_id: "ann".into(), ..Default::default() };
    let all = clients.referral.clone().list_referrals(request).await.unwrap().into_inner().referrals;
    let ids: Vec<&str> = all.iter().map(|referral| referral.friend_member_id.as_str()).collect();
    assert_eq!(ids, ["ben", "cat", "eve", "fay", "dan"]);
    for (member, newest_first, page_token, code) in [
        ("nobody", false, String::new(), tonic::Code::NotFound),
        ("ann", false, "zz".to_owned(), tonic::Code::InvalidArgument),
        ("ann", true, String::new(), tonic::Code::Ok),
    ] {
        let request =
            wire::ListReferralsRequest { member_id: member.into(), page_token, newest_first, ..Default::default() };
        let answer = clients.referral.clone().list_referrals(request).await;
        assert_eq!(answer.map_or_else(|status| status.code(), |_| tonic::Code::Ok), code, "{member} {newest_first}");
    }
}
