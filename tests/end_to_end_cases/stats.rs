//! Figures of referrals over the wire: exact, by month and by way, and each change counted once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use guerdon::grpc::wire;
use guerdon::service::Calls;
use guerdon::store::Commit;
use tokio::task::JoinSet;

use crate::support::faulty::{Fault, FaultyStore};
use crate::support::server::*;

const FIGURES: &str = "guerdon: 1
program: figures
title: Figures
time_zone: UTC
currencies: [EUR]
units: {points: {}, credit: {}}
referral_figures: true
referrals:
  - {id: friends, title: F, advocate: {units: 100}, friend: {units: 10}, spend_at_least: EUR 5.00,
     milestones: [{from: 2, times: 2}], commission: {percent: 10%, unit: credit}}
";

async fn serve<W: World>(world: &W) -> Server {
    Server::start_idle_with(world.store(), world.clock(), options(), FIGURES).await
}

async fn tell<W: World>(world: &W, server: &Server) {
    for _ in 0..2 {
        let now = world.clock().now(None).plus_ms(2_000);
        world.clock().set(now);
        server.service.end_day(now).await.unwrap();
    }
}

async fn figures<W: World>(world: &W, server: &Server) -> wire::GetStatsResponse {
    tell(world, server).await;
    let request = wire::GetStatsRequest { at: Some(timestamp(BEGIN)), ..Default::default() };
    server.clients.referral.clone().get_stats(request).await.unwrap().into_inner()
}

/// Members; sign-ups and qualified by way; units and friends of each cost; orders and spend of friends, and of others.
type Told = (i64, Vec<(wire::AttributedVia, i64, i64)>, Vec<(String, i64, i64)>, (i64, i64), (i64, i64));

fn told(found: &wire::GetStatsResponse) -> Told {
    let [of] = &found.campaigns[..] else { panic!("{found:?}") };
    assert!(found.kept && of.campaign_id == "friends");
    let ways = of.channels.iter().map(|way| (way.via(), way.sign_ups, way.qualified)).collect();
    let cost = |cost: &wire::CostFigures| {
        let of = cost.per_friend.unwrap_or_default();
        (cost.unit.clone(), of.numerator, of.denominator)
    };
    let value = |of: &Option<wire::ValueFigures>| of.map_or((0, 0), |of| (of.orders, of.spend_minor));
    let k = of.k_factor.unwrap_or_default();
    assert_eq!((k.numerator, k.denominator), (of.qualified, found.members));
    (found.members, ways, of.costs.iter().map(cost).collect(), value(&of.referred), value(&found.others))
}

async fn code_of(server: &Server, member: &str) -> String {
    server.clients.enroll(member).await;
    let request = wire::CreateCodeRequest { member_id: member.into(), request_id: "code".into(), ..Default::default() };
    server.clients.send(&Write::CreateCode(request)).await.create_code().code
}

pub(crate) async fn r18_figures_follow_what_happens_and_go_back_with_it<W: World>() {
    use wire::AttributedVia::{Agent, Checkout, SignUp};
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    let code = code_of(&server, "ann").await;
    tell(&world, &server).await;
    clients.send(&commit("ann", "c", order("o-ann", 3_000))).await;
    for friend in ["ben", "cat", "dan"] {
        clients.enroll(friend).await;
    }
    clients.send(&attribute("ben", "by", &code)).await;
    let Write::Attribute(raw) = attribute("dan", "by", &code) else { panic!("a claim") };
    clients.send(&Write::Attribute(wire::AttributeRequest { agent_id: "zoe".into(), ..raw })).await;
    let Write::Commit(raw) = commit("cat", "c", order("o-cat", 1_000)) else { panic!("a commit") };
    clients.send(&Write::Commit(wire::CommitRequest { codes: vec![code], ..raw })).await;
    assert_eq!(
        told(&figures(&world, &server).await),
        (
            4,
            vec![(SignUp, 1, 0), (Checkout, 1, 1), (Agent, 1, 0)],
            vec![("credit".into(), 100, 1), ("points".into(), 110, 1)],
            (1, 1_000),
            (1, 3_000)
        )
    );
    // The second friend counts double; an order that is too small qualifies nobody, but is bought by a friend.
    clients.send(&commit("ben", "c", order("o-ben", 2_000))).await;
    clients.send(&commit("dan", "c", order("o-dan", 100))).await;
    assert_eq!(
        told(&figures(&world, &server).await),
        (
            4,
            vec![(SignUp, 1, 1), (Checkout, 1, 1), (Agent, 1, 0)],
            vec![("credit".into(), 300, 2), ("points".into(), 320, 2)],
            (3, 3_100),
            (1, 3_000)
        )
    );
    // All of it goes back where it came from, in its month, however late.
    world.clock().set(world.clock().now(None).plus_ms(3 * DAY_MS));
    clients.send(&give_back("ben", "r", "o-ben", "r", everything())).await;
    clients.send(&give_back("ann", "r", "o-ann", "r", everything())).await;
    let request = wire::UnmergeRequest { member_id: "ann".into(), request_id: "none".into(), ..Default::default() };
    clients.send(&Write::Unmerge(request)).await;
    assert_eq!(
        told(&figures(&world, &server).await),
        (
            4,
            vec![(SignUp, 1, 0), (Checkout, 1, 1), (Agent, 1, 0)],
            vec![("credit".into(), 100, 1), ("points".into(), 110, 1)],
            (3, 1_100),
            (1, 0)
        )
    );
    let later = wire::GetStatsRequest { at: Some(timestamp(BEGIN.plus_ms(62 * DAY_MS))), ..Default::default() };
    let later = clients.referral.clone().get_stats(later).await.unwrap().into_inner();
    assert_eq!((later.members, later.campaigns[0].sign_ups), (0, 0));
    assert!(figures(&world, &server).await.ends_at.unwrap().seconds <= later.starts_at.unwrap().seconds);
    for member in ["ann", "ben", "cat", "dan"] {
        clients.verify(member).await;
    }
}

/// Two instances fold the same feed while their commits get lost or are answered twice: each change counts once.
pub(crate) async fn r18_figures_are_exact_whoever_folds_them_and_however_often<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let one = Server::start_idle_with(store.clone(), world.clock(), options(), FIGURES).await;
    let two = serve(&world).await;
    let code = code_of(&one, "ann").await;
    tell(&world, &one).await;
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
    for n in 0..12 {
        let friend = format!("f{n}");
        one.clients.enroll(&friend).await;
        one.clients.send(&attribute(&friend, "by", &code)).await;
        one.clients.send(&commit(&friend, "c", order(&format!("o{n}"), 1_000))).await;
        if n % 4 == 0 {
            one.clients.send(&give_back(&friend, "r", &format!("o{n}"), "r", everything())).await;
        }
        let now = world.clock().now(None).plus_ms(2_000);
        world.clock().set(now);
        let mut telling = JoinSet::new();
        for service in [&one.service, &two.service] {
            let service = service.clone();
            // What could not be told is told later.
            telling.spawn(async move { service.end_day(now).await.is_ok() });
        }
        telling.join_all().await;
    }
    store.plan(|_| Fault::None);
    let (members, ways, _, referred, others) = told(&figures(&world, &two).await);
    assert_eq!((members, ways), (13, vec![(wire::AttributedVia::SignUp, 12, 9)]));
    assert_eq!((referred, others), ((12, 9_000), (0, 0)));
    assert!(0 < folds.load(Ordering::Relaxed));
}
