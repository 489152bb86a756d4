//! Friends and advocates who become one account, and what has qualified when some of it comes back, over the wire.

use guerdon::grpc::wire;
use guerdon::service::Calls;
use wire::{ReferralRejection, ReferralState, RefusalReason as R, ReviewVerdict};

use crate::support::server::*;

const CIRCLES: &str = "guerdon: 1
program: circles
title: Circles
time_zone: UTC
currencies: [EUR]
units: {points: {}, credit: {}}
referrals:
  - {id: ref, title: R, advocate: {units: 100}, friend: {units: 50}, commission: {percent: 10%, unit: credit}, TERMS}
";

async fn serve<W: World>(world: &W, terms: &str) -> Server {
    let program = CIRCLES.replace("TERMS", terms);
    Server::start_idle_with(world.store(), world.clock(), options(), &program).await
}

/// Delivers and sweeps all that there is, a few times over, for what arrives may send something on.
async fn tell<W: World>(world: &W, server: &Server) {
    for _ in 0..4 {
        let now = world.clock().now(None).plus_ms(1);
        world.clock().set(now);
        server.service.end_day(now).await.unwrap();
    }
}

/// Somebody new, who names a code unless it is empty.
async fn join_by(server: &Server, member: &str, code: &str) {
    let codes = Some(code.to_owned()).filter(|code| !code.is_empty()).into_iter().collect();
    let request =
        wire::EnrollRequest { member_id: member.into(), request_id: "enroll".into(), codes, ..Default::default() };
    assert_eq!(server.clients.send(&Write::Enroll(request)).await.refusals(), [], "{member}");
}

/// A household, company or partner's account.
async fn create_account(server: &Server, account: &str, kind: wire::AccountKind) {
    let request = wire::CreateAccountRequest {
        account_id: account.into(),
        request_id: "create".into(),
        kind: kind.into(),
        ..Default::default()
    };
    assert!(server.clients.account.clone().create_account(request).await.unwrap().into_inner().created);
}

async fn buy(server: &Server, member: &str, id: &str, minor: i64) -> Vec<R> {
    server.clients.send(&commit(member, &format!("c-{id}"), order(id, minor))).await.refusals()
}

async fn take_back(server: &Server, member: &str, id: &str) {
    let back = give_back(member, &format!("r-{id}"), id, &format!("r-{id}"), everything());
    assert_eq!(server.clients.send(&back).await.refusals(), []);
}

async fn stands(server: &Server, friend: &str) -> (ReferralState, ReferralRejection) {
    let referral = server.clients.referral(&format!("ref:{friend}")).await;
    (referral.state(), referral.rejected_for())
}

const QUALIFIED: (ReferralState, ReferralRejection) = (ReferralState::Qualified, ReferralRejection::Unspecified);
const ONESELF: (ReferralState, ReferralRejection) = (ReferralState::Rejected, ReferralRejection::Oneself);

async fn of_unit_available(server: &Server, member: &str, unit: &str) -> i64 {
    let member = server.clients.member(member).await;
    of_unit(&member.balances, unit).map_or(0, |balance| balance.available + balance.pending)
}

pub(crate) async fn r13_friend_and_advocate_who_are_merged_bring_each_other_nothing<W: World>() {
    let world = W::start();
    let server = serve(&world, "").await;
    for (advocate, friend, merged, into) in [("ann", "ben", "ben", "ann"), ("cat", "dan", "cat", "dan")] {
        join_by(&server, advocate, "").await;
        let code = server.clients.code_of(advocate).await;
        tell(&world, &server).await;
        join_by(&server, friend, &code).await;
        tell(&world, &server).await;
        server.clients.send(&merge(merged, "merge", into)).await;
        tell(&world, &server).await;
        assert_eq!(buy(&server, into, &format!("o-{into}"), 1_000).await, [R::SelfReferral], "{merged} into {into}");
        tell(&world, &server).await;
        assert_eq!(stands(&server, friend).await, ONESELF);
        for unit in ["points", "credit"] {
            assert_eq!(of_unit_available(&server, into, unit).await, 0, "{merged} into {into}");
        }
        // Nor later.
        assert_eq!(buy(&server, into, &format!("p-{into}"), 1_000).await, []);
        tell(&world, &server).await;
        assert_eq!(of_unit_available(&server, into, "credit").await, 0);
        server.clients.verify(into).await;
    }
}

pub(crate) async fn r13_friends_who_join_the_household_of_their_advocate_bring_it_nothing_more<W: World>() {
    let world = W::start();
    let server = serve(&world, "").await;
    for (early, expected) in [(true, 0), (false, 100)] {
        let [ann, ben, home] = ["ann", "ben", "home"].map(|name| format!("{name}-{early}"));
        join_by(&server, &ann, "").await;
        let code = server.clients.code_of(&ann).await;
        create_account(&server, &home, wire::AccountKind::Household).await;
        server.clients.send(&join(&ann, "join", &home, wire::Role::Owner, "")).await;
        tell(&world, &server).await;
        join_by(&server, &ben, &code).await;
        tell(&world, &server).await;
        if !early {
            assert_eq!(buy(&server, &ben, &format!("first-{early}"), 1_000).await, []);
            tell(&world, &server).await;
            assert_eq!(stands(&server, &ben).await, QUALIFIED);
        }
        server.clients.send(&join(&ben, "join", &home, wire::Role::Member, &ann)).await;
        tell(&world, &server).await;
        buy(&server, &ben, &format!("second-{early}"), 5_000).await;
        buy(&server, &ann, &format!("third-{early}"), 5_000).await;
        tell(&world, &server).await;
        assert_eq!(of_unit_available(&server, &ann, "credit").await, expected, "early: {early}");
        assert_eq!(stands(&server, &ben).await, if early { ONESELF } else { QUALIFIED });
        server.clients.verify(&ann).await;
    }
}

pub(crate) async fn r6_who_has_ordered_and_left_a_household_is_not_new<W: World>() {
    let world = W::start();
    let server = serve(&world, "").await;
    join_by(&server, "ann", "").await;
    let code = server.clients.code_of("ann").await;
    join_by(&server, "ben", "").await;
    buy(&server, "ben", "o1", 1_000).await;
    create_account(&server, "home", wire::AccountKind::Household).await;
    server.clients.send(&join("ann", "join", "home", wire::Role::Owner, "")).await;
    tell(&world, &server).await;
    server.clients.send(&join("ben", "join", "home", wire::Role::Member, "ann")).await;
    tell(&world, &server).await;
    server.clients.send(&leave_account("ben", "leave")).await;
    tell(&world, &server).await;
    assert_eq!(server.clients.send(&attribute("ben", "named", &code)).await.refusals(), [R::NotNew]);
}

pub(crate) async fn r15_of_two_friends_who_become_one_each_is_taken_back_with_its_own_order<W: World>() {
    let world = W::start();
    let server = serve(&world, "").await;
    join_by(&server, "ann", "").await;
    let code = server.clients.code_of("ann").await;
    tell(&world, &server).await;
    for friend in ["ben", "cat"] {
        join_by(&server, friend, &code).await;
        tell(&world, &server).await;
        assert_eq!(buy(&server, friend, &format!("o-{friend}"), 1_000).await, []);
    }
    tell(&world, &server).await;
    assert_eq!(of_unit_available(&server, "ann", "points").await, 200);
    server.clients.send(&merge("cat", "merge", "ben")).await;
    tell(&world, &server).await;
    for (id, left, both) in [("o-cat", 100, 50), ("o-ben", 0, 0)] {
        take_back(&server, "ben", id).await;
        tell(&world, &server).await;
        assert_eq!(of_unit_available(&server, "ann", "points").await, left, "{id}");
        assert_eq!(of_unit_available(&server, "ben", "points").await, both, "{id}");
    }
    for friend in ["ben", "cat"] {
        assert_eq!(stands(&server, friend).await, (ReferralState::Rejected, ReferralRejection::Returned));
    }
}

/// Terms; orders; those that come back one by one, and whether it is still qualified after each.
type Case = (&'static str, &'static [i64], &'static [(usize, bool)]);

pub(crate) async fn r15_what_is_kept_and_meets_the_terms_is_taken_back_by_no_return<W: World>() {
    let cases: [Case; 4] = [
        ("qualify: {spend: true}, spend_at_least: EUR 50.00", &[5_000, 5_000], &[(0, true), (1, false)]),
        ("qualify: {orders: 2}", &[100, 100, 100, 100], &[(0, true), (3, true), (1, false)]),
        ("spend_at_least: EUR 10.00", &[1_000, 999, 1_000], &[(0, true), (1, true), (2, false)]),
        ("qualify: {orders: 2}", &[100, 100], &[(1, false)]),
    ];
    for (terms, orders, returns) in cases {
        let world = W::start();
        let server = serve(&world, terms).await;
        join_by(&server, "ann", "").await;
        let code = server.clients.code_of("ann").await;
        join_by(&server, "ben", &code).await;
        tell(&world, &server).await;
        for (nth, minor) in orders.iter().enumerate() {
            buy(&server, "ben", &format!("o{nth}"), *minor).await;
        }
        tell(&world, &server).await;
        assert_eq!(stands(&server, "ben").await, QUALIFIED, "{terms}");
        for (nth, still) in returns {
            take_back(&server, "ben", &format!("o{nth}")).await;
            tell(&world, &server).await;
            let expected = if *still { 100 } else { 0 };
            assert_eq!(of_unit_available(&server, "ann", "points").await, expected, "{terms}: o{nth} came back");
            assert_eq!(stands(&server, "ben").await.0 == ReferralState::Qualified, *still, "{terms}: o{nth}");
        }
        server.clients.verify("ben").await;
    }
}

pub(crate) async fn r14_force_pays_what_was_earned_commission_too_and_never_for_what_came_back<W: World>() {
    for comes_back in [false, true] {
        let world = W::start();
        let server = serve(&world, "fraud: {device: flag, review_within: 2 days}").await;
        let device = || Some(wire::Signals { device_id: "d".into(), ..Default::default() });
        join_by(&server, "ann", "").await;
        let known = wire::UpdateMemberRequest {
            member_id: "ann".into(),
            request_id: "known".into(),
            signals: device(),
            ..Default::default()
        };
        server.clients.send(&Write::UpdateMember(known)).await;
        let code = server.clients.code_of("ann").await;
        join_by(&server, "ben", &code).await;
        tell(&world, &server).await;
        let Write::Commit(raw) = commit("ben", "c", order("o", 1_000)) else { panic!("a commit") };
        server.clients.send(&Write::Commit(wire::CommitRequest { signals: device(), ..raw })).await;
        world.clock().set(world.clock().now(None).plus_ms(3 * DAY_MS));
        tell(&world, &server).await;
        assert_eq!(stands(&server, "ben").await, (ReferralState::Rejected, ReferralRejection::Review));
        if comes_back {
            take_back(&server, "ben", "o").await;
        }
        let approves = Write::ReviewReward(wire::ReviewRewardRequest {
            member_id: "ben".into(),
            request_id: "review".into(),
            referral_id: "ref:ben".into(),
            verdict: ReviewVerdict::Approve.into(),
            force: true,
            agent_id: "tess".into(),
            reason_code: "looked-at".into(),
            ..Default::default()
        });
        let refusals = server.clients.send(&approves).await.refusals();
        tell(&world, &server).await;
        let (refused, paid): (&[R], i64) = if comes_back { (&[R::ReferralConditionNotMet], 0) } else { (&[], 100) };
        assert_eq!(refusals, refused);
        for unit in ["points", "credit"] {
            assert_eq!(of_unit_available(&server, "ann", unit).await, paid, "{unit}, came back: {comes_back}");
        }
        assert_eq!(of_unit_available(&server, "ben", "points").await, paid / 2);
        server.clients.verify("ann").await;
    }
}

pub(crate) async fn r17_a_claim_that_would_close_a_circle_is_shown_once<W: World>() {
    let world = W::start();
    let server = serve(&world, "").await;
    join_by(&server, "ann", "").await;
    let code = server.clients.code_of("ann").await;
    join_by(&server, "ben", &code).await;
    tell(&world, &server).await;
    let back = server.clients.code_of("ben").await;
    server.clients.send(&attribute("ann", "named", &back)).await;
    tell(&world, &server).await;
    assert_eq!(stands(&server, "ann").await, (ReferralState::Rejected, ReferralRejection::Circle));
    let asked = wire::GetReferralTreeRequest { member_id: "ann".into(), depth: 8, ..Default::default() };
    let tree = server.clients.referral.clone().get_referral_tree(asked).await.unwrap().into_inner();
    let shown: Vec<&str> = tree.nodes.iter().map(|node| node.member_id.as_str()).collect();
    assert_eq!(shown, ["ben", "ann"]);
}

pub(crate) async fn r1_a_code_brings_no_more_than_those_of_its_campaign_may<W: World>() {
    let world = W::start();
    let server = serve(&world, "codes: {uses_max: 1}").await;
    join_by(&server, "ann", "").await;
    let request = wire::CreateCodeRequest {
        member_id: "ann".into(),
        request_id: "code".into(),
        uses_max: 5,
        ..Default::default()
    };
    let code = server.clients.send(&Write::CreateCode(request)).await.create_code().code;
    for (friend, refused) in [("ben", vec![]), ("cat", vec![R::CodeUsedUp])] {
        join_by(&server, friend, "").await;
        assert_eq!(server.clients.send(&attribute(friend, "named", &code)).await.refusals(), refused, "{friend}");
        tell(&world, &server).await;
    }
}
