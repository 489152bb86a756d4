//! What partners earn, and how it is paid out, over the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use guerdon::domain::time::Instant;
use guerdon::grpc::wire;
use guerdon::service::Calls;
use guerdon::store::Commit;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wire::RefusalReason as R;

use crate::support::faulty::{Fault, FaultyStore};
use crate::support::server::*;

pub(super) const PARTNERS: &str = "guerdon: 1
program: partners
title: Partners
time_zone: UTC
currencies: [EUR]
units: {points: {}, cents: {paid_out: {currency: EUR, at_least: 1000}}}
referrals:
  - {id: partners, title: P, partners: true, advocate: {units: 500, unit: cents}, friend: {units: 10}, hold: 14 days,
     commission: {percent: 10%, unit: cents}}
";

async fn serve<W: World>(world: &W) -> Server {
    Server::start_idle_with(world.store(), world.clock(), options(), PARTNERS).await
}

/// An account of a partner, and its code.
pub(super) async fn partner<W: World>(world: &W, server: &Server, account: &str) -> String {
    let request = wire::CreateAccountRequest {
        account_id: account.into(),
        request_id: "create".into(),
        kind: wire::AccountKind::Partner.into(),
        ..Default::default()
    };
    let created = server.clients.account.clone().create_account(request).await.unwrap().into_inner();
    assert!(created.created, "{created:?}");
    let request =
        wire::CreateCodeRequest { member_id: account.into(), request_id: "code".into(), ..Default::default() };
    let answer = server.clients.send(&Write::CreateCode(request)).await.create_code();
    tell(world, server, None).await;
    assert!(answer.created, "{answer:?}");
    answer.code
}

/// Delivers and sweeps all that there is; the jobs do not run.
pub(super) async fn tell<W: World>(world: &W, server: &Server, at: Option<Instant>) {
    for step in 0..3 {
        let now = at.map(|at| at.plus_ms(step));
        let now = now.unwrap_or_else(|| world.clock().now(None).plus_ms(step + 1));
        world.clock().set(now);
        server.service.end_day(now).await.unwrap();
    }
}

pub(super) async fn bring(server: &Server, friend: &str, code: &str, minor: i64) {
    server.clients.enroll(friend).await;
    let id = format!("o-{friend}");
    let Write::Commit(raw) = commit(friend, &format!("c-{friend}"), order(&id, minor)) else { panic!("a commit") };
    let codes = vec![code.to_owned()];
    let answer = server.clients.send(&Write::Commit(wire::CommitRequest { codes, ..raw })).await;
    assert_eq!(answer.refusals(), [], "{friend}");
}

async fn list(server: &Server, partner: &str) -> wire::ListPayoutsResponse {
    let request = wire::ListPayoutsRequest { member_id: partner.into(), ..Default::default() };
    server.clients.payouts.clone().list_payouts(request).await.unwrap().into_inner()
}

/// Pending, due, in payouts, paid, voided.
async fn stands(server: &Server, partner: &str) -> [i64; 5] {
    let listed = list(server, partner).await;
    let [of] = &listed.commissions[..] else { panic!("{listed:?}") };
    assert_eq!((of.unit.as_str(), of.currency_code.as_str()), ("cents", "EUR"));
    [of.pending_minor, of.due_minor, of.in_payout_minor, of.paid_minor, of.voided_minor]
}

pub(super) fn prepare(partner: &str, request: &str, payout: &str) -> Write {
    Write::PreparePayout(wire::PreparePayoutRequest {
        member_id: partner.into(),
        request_id: request.into(),
        payout_id: payout.into(),
        ..Default::default()
    })
}

pub(super) fn confirm(partner: &str, request: &str, payout: &str, state: wire::PayoutState) -> Write {
    Write::ConfirmPayout(wire::ConfirmPayoutRequest {
        member_id: partner.into(),
        request_id: request.into(),
        payout_id: payout.into(),
        state: state.into(),
        reference: "bank-7".into(),
        ..Default::default()
    })
}

pub(crate) async fn r19_commission_is_pending_due_paid_or_voided_and_carried_over<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    let code = partner(&world, &server, "acme").await;
    clients.enroll("zoe").await;
    let request = wire::CreateCodeRequest { member_id: "zoe".into(), request_id: "code".into(), ..Default::default() };
    assert_eq!(clients.send(&Write::CreateCode(request)).await.refusals(), [R::NotAPartner]);

    let entries = clients.verify("acme").await.entries;
    for friend in ["ben", "cat", "dan"] {
        bring(&server, friend, &code, 10_000).await;
    }
    tell(&world, &server, None).await;
    assert_eq!(stands(&server, "acme").await, [4_500, 0, 0, 0, 0]);
    assert_eq!(clients.verify("acme").await.entries, entries, "a friend is no entry of the partner");
    clients.send(&give_back("ben", "r", "o-ben", "ret", everything())).await;
    tell(&world, &server, None).await;
    assert_eq!(stands(&server, "acme").await, [3_000, 0, 0, 0, 1_500]);
    let reward = async |friend: &str| {
        let rewards = clients.referral(&format!("partners:{friend}")).await.rewards;
        let mut of_partner = rewards.iter().filter(|reward| reward.side() == wire::ReferralSide::Advocate);
        let reward = of_partner.next().expect("the partner's");
        (reward.state(), reward.due_at.is_some(), reward.reversed)
    };
    assert_eq!(reward("ben").await, (wire::RewardState::Reversed, true, 500));
    assert_eq!(reward("cat").await, (wire::RewardState::Pending, true, 0));
    assert_eq!(clients.send(&prepare("acme", "p0", "p0")).await.refusals(), [R::PayoutTooSmall]);
    let Write::PreparePayout(raw) = prepare("acme", "p-1", "p-1") else { panic!("a payout") };
    let of_points = wire::PreparePayoutRequest { unit: "points".into(), ..raw };
    assert_eq!(clients.send(&Write::PreparePayout(of_points)).await.refusals(), [R::UnitNotPaidOut]);

    tell(&world, &server, Some(BEGIN.plus_ms(16 * DAY_MS))).await;
    assert_eq!(stands(&server, "acme").await, [0, 3_000, 0, 0, 1_500]);
    assert_eq!(reward("cat").await, (wire::RewardState::Paid, true, 0));
    let first = clients.send(&prepare("acme", "p1", "may")).await;
    let payout = first.clone().prepare_payout().payout.unwrap();
    assert_eq!((payout.amount_minor, payout.currency_code.as_str(), payout.number), (3_000, "EUR", 1));
    assert_eq!(clients.send(&prepare("acme", "p1", "may")).await, first.as_replayed());
    let again = clients.send(&prepare("acme", "p2", "may")).await.prepare_payout();
    assert_eq!((again.prepared, again.payout), (false, Some(payout)), "the same payout, whatever the request");
    assert_eq!(clients.send(&prepare("acme", "p3", "june")).await.refusals(), [R::PayoutOpen]);
    assert_eq!(stands(&server, "acme").await, [0, 0, 3_000, 0, 1_500]);

    // It does not arrive, and is paid the second time.
    let failed = clients.send(&confirm("acme", "f1", "may", wire::PayoutState::Failed)).await.confirm_payout();
    assert_eq!((failed.confirmed, failed.payout.unwrap().state()), (true, wire::PayoutState::Failed));
    clients.send(&prepare("acme", "p4", "june")).await;
    let paid = clients.send(&confirm("acme", "f2", "june", wire::PayoutState::Paid)).await.confirm_payout();
    assert_adds_up(&paid.balances);
    let payout = paid.payout.unwrap();
    assert_eq!((payout.state(), payout.reference.as_str()), (wire::PayoutState::Paid, "bank-7"));
    let other = confirm("acme", "f3", "june", wire::PayoutState::Failed);
    assert_eq!(clients.send(&other).await.refusals(), [R::PayoutSettled]);
    assert_eq!(
        clients.send(&confirm("acme", "f4", "july", wire::PayoutState::Paid)).await.refusals(),
        [R::PayoutUnknown]
    );
    assert_eq!(stands(&server, "acme").await, [0, 0, 0, 3_000, 1_500]);

    // What comes back after that is carried over.
    clients.send(&give_back("cat", "r", "o-cat", "ret", everything())).await;
    tell(&world, &server, None).await;
    assert_eq!(stands(&server, "acme").await, [0, -1_500, 0, 3_000, 1_500]);
    bring(&server, "eve", &code, 30_000).await;
    tell(&world, &server, None).await;
    assert_eq!(stands(&server, "acme").await, [3_500, -1_500, 0, 3_000, 1_500]);
    tell(&world, &server, Some(BEGIN.plus_ms(40 * DAY_MS))).await;
    let next = clients.send(&prepare("acme", "p5", "july")).await.prepare_payout().payout.unwrap();
    assert_eq!(next.amount_minor, 2_000);
    let ids: Vec<String> = list(&server, "acme").await.payouts.into_iter().map(|payout| payout.payout_id).collect();
    assert_eq!(ids, ["july", "june", "may"]);
    let request =
        wire::ListPayoutsRequest { member_id: "acme".into(), before_number: 3, page_size: 1, ..Default::default() };
    let page = clients.payouts.clone().list_payouts(request).await.unwrap().into_inner();
    assert_eq!(page.payouts[0].payout_id, "june");
    for member in ["acme", "ben", "cat", "dan", "eve"] {
        clients.verify(member).await;
    }
}

/// Two instances fold and sweep at once while their commits get lost or are answered twice: each unit counts once.
pub(crate) async fn r19_commission_is_counted_once_whoever_sweeps_it_and_however_often<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let one = Server::start_idle_with(store.clone(), world.clock(), options(), PARTNERS).await;
    let two = serve(&world).await;
    let code = partner(&world, &one, "acme").await;
    let faults = Arc::new(AtomicU32::new(0));
    let seen = faults.clone();
    store.plan(move |commit: &Commit| {
        let of_projection = !commit.feed_done.is_empty() || !commit.due.is_empty() && commit.appends.is_empty();
        if !of_projection {
            return Fault::None;
        }
        match seen.fetch_add(1, Ordering::Relaxed) % 4 {
            0 => Fault::LoseAnswer,
            1 => Fault::LoseRequest,
            _ => Fault::None,
        }
    });
    let mut expected = 0;
    for round in 0..4 {
        for n in 0..6 {
            let friend = format!("f{round}-{n}");
            bring(&one, &friend, &code, 1_000).await;
            expected += 600;
            if n % 3 == 0 {
                one.clients.send(&give_back(&friend, "r", &format!("o-{friend}"), "r", everything())).await;
                expected -= 600;
            }
        }
        let now = world.clock().now(None).plus_ms(5 * DAY_MS);
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
    tell(&world, &two, Some(BEGIN.plus_ms(60 * DAY_MS))).await;
    let [pending, due, ..] = stands(&two, "acme").await;
    assert_eq!((pending, due), (0, expected));
    assert!(0 < faults.load(Ordering::Relaxed));
    one.clients.verify("acme").await;
}

/// A later part of a feed was once folded although an earlier part had met a conflict: what that said was lost.
pub(crate) async fn r19_commission_that_met_a_conflict_is_not_overtaken<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let gifts = "rules: [{id: gift, kind: emotional, on: order, to: recipient, then: {bonus: {units: 1}}}]\n";
    let program = format!("{PARTNERS}{gifts}");
    let server = Server::start_idle_with(store.clone(), world.clock(), options(), &program).await;
    let code = partner(&world, &server, "acme").await;
    bring(&server, "ben", &code, 10_000).await;
    for n in 0..100 {
        let write = commit("ben", &format!("more-{n}"), order(&format!("o-{n}"), 10_000));
        assert_eq!(server.clients.send(&write).await.refusals(), []);
    }
    // What goes to somebody else is a hint to the relay, which then looks at all that there is.
    server.clients.enroll("leo").await;
    let gift = wire::Order { recipient_member_id: "leo".into(), ..order("gift", 100) };
    assert_eq!(server.clients.send(&commit("ben", "gift", gift)).await.refusals(), []);
    // Whoever folds most of it is overtaken, time and again; a smaller part is not.
    let (conflicts, conflicted) = (AtomicU32::new(0), Arc::new(Semaphore::new(0)));
    let seen = conflicted.clone();
    store.plan(move |commit: &Commit| {
        let many = 50 < commit.feed_done.len() && !commit.writes.is_empty();
        if !many || 6 <= conflicts.fetch_add(1, Ordering::Relaxed) {
            return Fault::None;
        }
        seen.add_permits(1);
        Fault::Overtaken
    });
    // By then the relay has followed the hint that an order left, and walked once.
    server.service.start_jobs();
    conflicted.acquire_many(3).await.unwrap().forget();
    for _ in 0..4 {
        tell(&world, &server, None).await;
    }
    assert_eq!(stands(&server, "acme").await, [500 + 101 * 1_000 + 10, 0, 0, 0, 0]);
}

/// A claim that is not confirmed yet earns nothing; what it has earned by then accrues with the confirmation.
pub(crate) async fn r19_commission_of_a_pending_claim_accrues_once_it_is_confirmed<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    let code = partner(&world, &server, "acme").await;
    // Somebody who has a code themselves might have been named: their claim is walked first.
    let other = partner(&world, &server, "bolt").await;
    let request = wire::AttributeRequest {
        member_id: "bolt".into(),
        request_id: "claim".into(),
        code: code.clone(),
        ..Default::default()
    };
    assert!(clients.send(&Write::Attribute(request)).await.attribute().attributed);
    clients.send(&commit("bolt", "c", order("o", 10_000))).await;
    assert_eq!(stands(&server, "acme").await, [0, 0, 0, 0, 0]);
    tell(&world, &server, None).await;
    tell(&world, &server, None).await;
    assert_eq!(stands(&server, "acme").await, [1_500, 0, 0, 0, 0]);
    bring(&server, "cat", &other, 10_000).await;
    tell(&world, &server, None).await;
    assert_eq!(stands(&server, "bolt").await, [1_500, 0, 0, 0, 0]);
    for member in ["acme", "bolt", "cat"] {
        clients.verify(member).await;
    }
}

/// What a partner's friend brings waits for the review like any other reward, and is paid to the partner with it or never.
pub(crate) async fn r14_commission_of_a_partner_waits_for_the_review<W: World>() {
    let world = W::start();
    let program = PARTNERS.replace("hold: 14 days,", "hold: 14 days, fraud: {device: flag, review_within: 10 days},");
    let server = Server::start_idle_with(world.store(), world.clock(), options(), &program).await;
    let clients = &server.clients;
    let code = partner(&world, &server, "acme").await;
    let device = || Some(wire::Signals { device_id: "d-1".into(), ..Default::default() });
    // What is known of the people of a partner is known of the partner.
    clients.enroll("ann").await;
    let known = wire::UpdateMemberRequest {
        member_id: "ann".into(),
        request_id: "known".into(),
        signals: device(),
        ..Default::default()
    };
    assert_eq!(clients.send(&Write::UpdateMember(known)).await.refusals(), []);
    let joins = join("ann", "join", "acme", wire::Role::Owner, "");
    assert_eq!(clients.send(&joins).await.refusals(), []);
    let buys = async |friend: &str, signals: Option<wire::Signals>| {
        clients.enroll(friend).await;
        let Write::Commit(raw) = commit(friend, "c", order(&format!("o-{friend}"), 10_000)) else { panic!("a commit") };
        let request = wire::CommitRequest { codes: vec![code.clone()], signals, ..raw };
        let flagged = request.signals.is_some();
        let expected = if flagged { vec![R::ReferralInReview] } else { Vec::new() };
        assert_eq!(clients.send(&Write::Commit(request)).await.refusals(), expected, "{friend}");
    };
    for friend in ["ben", "cat", "dan"] {
        buys(friend, device()).await;
    }
    buys("eve", None).await;
    tell(&world, &server, None).await;
    assert_eq!(stands(&server, "acme").await, [1_500, 0, 0, 0, 0], "Eve alone is above suspicion");
    let review = |friend: &str, verdict: wire::ReviewVerdict| {
        Write::ReviewReward(wire::ReviewRewardRequest {
            member_id: friend.into(),
            request_id: "review".into(),
            referral_id: format!("partners:{friend}"),
            verdict: verdict.into(),
            agent_id: "tess".into(),
            reason_code: "looked-at".into(),
            ..Default::default()
        })
    };
    for (friend, verdict) in [("ben", wire::ReviewVerdict::Approve), ("cat", wire::ReviewVerdict::Reject)] {
        assert!(clients.send(&review(friend, verdict)).await.review_reward().changed, "{friend}");
    }
    tell(&world, &server, None).await;
    assert_eq!(stands(&server, "acme").await, [3_000, 0, 0, 0, 0], "Ben's as well, Cat's never");
    // Nobody decides about Dan.
    tell(&world, &server, Some(BEGIN.plus_ms(20 * DAY_MS))).await;
    assert_eq!(stands(&server, "acme").await, [0, 3_000, 0, 0, 0]);
    let payout = clients.send(&prepare("acme", "p1", "june")).await.prepare_payout().payout.unwrap();
    assert_eq!(payout.amount_minor, 3_000);
    for member in ["acme", "ben", "cat", "dan", "eve"] {
        clients.verify(member).await;
    }
}

/// Partners whose touches share the credit for a friend share commission and reward, to the cent.
pub(crate) async fn r5_partners_share_what_a_friend_brings_to_the_cent<W: World>() {
    let world = W::start();
    let program = PARTNERS.replace("hold: 14 days,", "hold: 14 days, credit: {model: linear},");
    let server = Server::start_idle_with(world.store(), world.clock(), options(), &program).await;
    let clients = &server.clients;
    let partners = ["acme", "bolt", "coil"];
    let mut codes = Vec::new();
    for account in partners {
        codes.push(partner(&world, &server, account).await);
    }
    for (n, code) in codes.iter().enumerate() {
        let touch = wire::RecordTouchRequest {
            visitor_id: "v".into(),
            request_id: format!("t{n}"),
            kind: wire::TouchKind::Click.into(),
            code: code.clone(),
            ..Default::default()
        };
        assert!(clients.referral.clone().record_touch(touch).await.unwrap().into_inner().recorded);
    }
    clients.enroll("ben").await;
    let Write::Commit(raw) = commit("ben", "c", order("o", 10_010)) else { panic!("a commit") };
    clients.send(&Write::Commit(wire::CommitRequest { visitor_id: "v".into(), ..raw })).await;
    tell(&world, &server, None).await;
    let mut pending = Vec::new();
    for account in partners {
        pending.push(stands(&server, account).await[0]);
    }
    // 500 for the friend, and a tenth of 100.10.
    assert_eq!(pending.iter().sum::<i64>(), 500 + 1_001, "{pending:?}");
    assert!(pending.iter().all(|part| (499..=502).contains(part)), "{pending:?}");
    clients.send(&give_back("ben", "r", "o", "r", everything())).await;
    tell(&world, &server, None).await;
    for (account, voided) in partners.into_iter().zip(pending) {
        assert_eq!(stands(&server, account).await, [0, 0, 0, 0, voided], "{account}");
        clients.verify(account).await;
    }
    clients.verify("ben").await;
}
