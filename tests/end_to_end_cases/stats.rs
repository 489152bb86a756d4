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

/// Folds all ledgers again: accounts, figures compared, and those that differ.
async fn proved(server: &Server) -> (i64, i64, Vec<wire::StatsDifference>) {
    let (mut accounts, mut figures, mut differences, mut page_token) = (0, 0, Vec::new(), String::new());
    for _ in 0..1_000 {
        let request = wire::VerifyStatsRequest { page_token, ..Default::default() };
        let page = server.clients.referral.clone().verify_stats(request).await.unwrap().into_inner();
        assert_eq!((page.moving_partitions, page.differing), (0, page.differences.len() as i64), "{page:?}");
        accounts += page.accounts;
        figures += page.figures;
        differences.extend(page.differences);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return (accounts, figures, differences);
        }
    }
    panic!("the pages do not end");
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
    let (accounts, compared, differences) = proved(&server).await;
    assert_eq!((accounts, differences), (4, Vec::new()));
    assert!(10 < compared, "{compared}");
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
        let touched = touch(&format!("v{n}"), "t", wire::TouchKind::Click, ["mail", "post"][n % 2], &code);
        assert!(one.clients.referral.clone().record_touch(touched).await.unwrap().into_inner().recorded);
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
    let found = figures(&world, &two).await;
    let clicks: Vec<(&str, i64)> =
        found.campaigns[0].funnel.iter().map(|of| (of.channel.as_str(), of.clicks)).collect();
    assert_eq!(clicks, [("", 0), ("mail", 6), ("post", 6)]);
    let (members, ways, _, referred, others) = told(&found);
    assert_eq!((members, ways), (13, vec![(wire::AttributedVia::SignUp, 12, 9)]));
    assert_eq!(proved(&two).await.2, []);
    assert_eq!((referred, others), ((12, 9_000), (0, 0)));
    assert!(0 < folds.load(Ordering::Relaxed));
}

/// Channel, shares, clicks, scans, invitations, dropped, sign-ups, qualified.
type Step<'a> = (&'a str, [i64; 7]);

fn funnel(of: &wire::CampaignFigures) -> Vec<Step<'_>> {
    let step =
        |of: &wire::FunnelFigures| [of.shares, of.clicks, of.scans, of.invites, of.dropped, of.sign_ups, of.qualified];
    of.funnel.iter().map(|of| (of.channel.as_str(), step(of))).collect()
}

fn touch(visitor: &str, request: &str, kind: wire::TouchKind, channel: &str, code: &str) -> wire::RecordTouchRequest {
    wire::RecordTouchRequest {
        visitor_id: visitor.into(),
        request_id: request.into(),
        kind: kind.into(),
        code: code.into(),
        channel: channel.into(),
        user_agent: if visitor == "robot" { "curl/8.5.0" } else { "Firefox" }.into(),
        ..Default::default()
    }
}

pub(crate) async fn r18_the_funnel_goes_from_shares_over_touches_to_friends_by_channel_and_period<W: World>() {
    use wire::TouchKind::{Click, Invite, Scan, Share};
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    let code = code_of(&server, "ann").await;
    tell(&world, &server).await;
    for (visitor, request, kind, channel) in [
        ("ann", "t1", Share, "mail"),
        ("ann", "t2", Share, "post"),
        ("v-ben", "t1", Click, "mail"),
        ("v-ben", "t2", Click, "mail"),
        ("v-cat", "t1", Scan, "post"),
        ("v-dan", "t1", Click, "mail"),
        ("v-dan", "t2", Click, ""),
        ("v-eve", "t1", Invite, ""),
        ("robot", "t1", Click, "mail"),
    ] {
        let touch = touch(visitor, request, kind, channel, &code);
        let first = clients.referral.clone().record_touch(touch.clone()).await.unwrap().into_inner();
        assert_eq!(first.recorded, visitor != "robot");
        let again = clients.referral.clone().record_touch(touch).await.unwrap().into_inner();
        assert!(again.replayed, "what is sent again is counted once");
    }
    let joins = async |member: &str, visitor: &str, codes: &[&str]| {
        let request = wire::EnrollRequest {
            member_id: member.into(),
            request_id: "join".into(),
            visitor_id: visitor.into(),
            codes: codes.iter().map(|code| (*code).to_owned()).collect(),
            ..Default::default()
        };
        assert_eq!(clients.send(&Write::Enroll(request)).await.refusals(), [], "{member}");
    };
    // Ben by his clicks; Cat names the code that she has scanned; Dan's latest touch told no channel; Fay saw nothing.
    joins("ben", "v-ben", &[]).await;
    joins("cat", "v-cat", &[&code]).await;
    joins("dan", "v-dan", &[]).await;
    joins("fay", "", &[&code]).await;
    assert_eq!(clients.referral("friends:ben").await.channel, "mail");
    for friend in ["ben", "cat"] {
        clients.send(&commit(friend, "c", order(&format!("o-{friend}"), 1_000))).await;
    }
    let found = figures(&world, &server).await;
    let of = &found.campaigns[0];
    assert_eq!(
        funnel(of),
        [("", [0, 1, 0, 1, 0, 2, 0]), ("mail", [1, 3, 0, 0, 1, 1, 1]), ("post", [1, 0, 1, 0, 0, 1, 1]),]
    );
    assert_eq!((of.shares, of.touches, of.sign_ups, of.qualified), (2, 6, 4, 2));
    // What comes back is taken off where it stood.
    clients.send(&give_back("cat", "r", "o-cat", "r", everything())).await;
    // Another month has figures of its own, and a quarter those of both.
    world.clock().set(BEGIN.plus_ms(40 * DAY_MS));
    let late = touch("v-gus", "t1", Click, "post", &code);
    assert!(clients.referral.clone().record_touch(late).await.unwrap().into_inner().recorded);
    assert_eq!(funnel(&figures(&world, &server).await.campaigns[0])[2], ("post", [1, 0, 1, 0, 0, 1, 0]));
    let asked = async |at, months| {
        let request = wire::GetStatsRequest { at: Some(timestamp(at)), months, ..Default::default() };
        clients.referral.clone().get_stats(request).await.unwrap().into_inner()
    };
    let next = asked(BEGIN.plus_ms(40 * DAY_MS), 1).await;
    assert_eq!(funnel(&next.campaigns[0]), [("post", [0, 1, 0, 0, 0, 0, 0])]);
    let quarter = asked(BEGIN, 3).await;
    assert_eq!(funnel(&quarter.campaigns[0])[2], ("post", [1, 1, 1, 0, 0, 1, 0]));
    assert_eq!((quarter.members, quarter.campaigns[0].touches), (5, 7));
    // What still waits on the feed is part of the proof; what moves with an account moves its figures.
    clients.enroll("ida").await;
    clients.send(&commit("ida", "c", order("o-ida", 700))).await;
    let merge = |member: &str, into: &str| wire::MergeRequest {
        member_id: member.into(),
        into_member_id: into.into(),
        request_id: format!("merge-{member}"),
        ..Default::default()
    };
    clients.send(&Write::Merge(merge("ben", "dan"))).await;
    clients.send(&give_back("ben", "r", "o-ben", "r", everything())).await;
    clients.send(&Write::Merge(merge("ida", "fay"))).await;
    assert_eq!(proved(&server).await.2, []);
    tell(&world, &server).await;
    assert_eq!(proved(&server).await.2, []);
    // A figure that somebody has tampered with is found.
    tamper(&*world.store(), "ann").await;
    let [wrong] = &proved(&server).await.2[..] else { panic!("one is wrong") };
    assert_eq!((wrong.month.as_str(), wrong.kept - wrong.folded), ("2026-06", 1), "{wrong:?}");
    for member in ["ann", "ben", "cat", "dan", "fay"] {
        clients.verify(member).await;
    }
}

/// Adds a member to the figures of the partition of somebody.
async fn tamper(store: &dyn guerdon::store::Store, member: &str) {
    use guerdon::domain::ledger::{decode, digest, encode};
    use guerdon::domain::stats::{Change, Channel, Figure, Measure, StatsRecord, month_of};
    use guerdon::store::{Expected, Record, Token, Write as Put};
    let program = guerdon::program::compile(FIGURES).unwrap();
    let month = month_of(&program, BEGIN);
    let account = guerdon::domain::id::AccountId::parse(member).unwrap();
    let key = layout().stats(layout().of_account(&program.id, &account), &program.id, month);
    let stored = store.load(key.partition, std::slice::from_ref(&key)).await.unwrap().remove(0).unwrap();
    let mut record: StatsRecord = decode(&stored.body).unwrap();
    let figure = Figure { campaign: None, way: None, channel: Channel::Untold, measure: Measure::Members };
    record.take(record.through + 1_000_000, &[&Change { month, figure, by: 1 }]);
    let body = encode(&record);
    let written = Record { token: Token::new(record.version, &digest(&body)), body };
    let commit = Commit {
        partition: key.partition,
        expect: vec![(key.clone(), Expected::At(stored.token))],
        writes: vec![Put { key, record: Some(written) }],
        ..Commit::default()
    };
    assert_eq!(store.commit(&commit).await.unwrap(), guerdon::store::Outcome::Applied);
}
