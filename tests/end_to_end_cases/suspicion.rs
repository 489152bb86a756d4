//! Advocates who refer themselves, and reviews, over the wire.

use guerdon::domain::referral::signal::SignalKey;
use guerdon::grpc::wire;
use guerdon::service::Options;
use guerdon::store::Store;
use wire::{
    FraudAction, ReferralRejection, ReferralSide, RefusalReason as R, ReviewState, ReviewVerdict, RewardState,
    Suspicion,
};

use crate::support::server::*;

const SUSPICION: &str = "guerdon: 1
program: circles
title: Circles
time_zone: UTC
currencies: [EUR]
units: {points: {}, credit: {}}
referrals:
  - {id: friends, title: F, advocate: {units: 100}, friend: {units: 10}, commission: {percent: 10%, unit: credit},
     fraud: {ring: block, ring_hops: 3, leak_domains: [coupons.example], velocity: {most: 3, days: 1, action: block},
     review_within: 14 days}}
";

async fn serve<W: World>(world: &W, options: Options) -> Server {
    let server = Server::start_idle_with(world.store(), world.clock(), options, SUSPICION).await;
    server.service.start_jobs();
    server
}

fn email(email: &str) -> wire::Signals {
    wire::Signals { email: email.into(), ..Default::default() }
}

fn device(device_id: &str) -> wire::Signals {
    wire::Signals { device_id: device_id.into(), ..Default::default() }
}

fn joining(member: &str, codes: &[&str], signals: wire::Signals) -> Write {
    Write::Enroll(wire::EnrollRequest {
        member_id: member.into(),
        request_id: format!("enroll-{member}"),
        codes: codes.iter().map(|code| (*code).to_owned()).collect(),
        signals: Some(signals),
        ..Default::default()
    })
}

fn buying(member: &str, id: &str, amount: i64, signals: wire::Signals) -> Write {
    match commit(member, &format!("commit-{id}"), order(id, amount)) {
        Write::Commit(raw) => Write::Commit(wire::CommitRequest { signals: Some(signals), ..raw }),
        other => other,
    }
}

fn reviewing(friend: &str, request: &str, side: ReferralSide, verdict: ReviewVerdict, force: bool) -> Write {
    Write::ReviewReward(wire::ReviewRewardRequest {
        member_id: friend.into(),
        request_id: request.into(),
        referral_id: format!("friends:{friend}"),
        side: side.into(),
        verdict: verdict.into(),
        force,
        agent_id: "tess".into(),
        reason_code: "known-family".into(),
        ..Default::default()
    })
}

async fn reviews(clients: &Clients, page_size: i32, page_token: &str) -> wire::ListReviewsResponse {
    let request = wire::ListReviewsRequest { page_size, page_token: page_token.into(), ..Default::default() };
    clients.referral.clone().list_reviews(request).await.unwrap().into_inner()
}

fn found(findings: &[wire::FraudFinding]) -> Vec<(Suspicion, FraudAction)> {
    findings.iter().map(|finding| (finding.suspicion(), finding.action())).collect()
}

pub(crate) async fn r13_who_refers_themselves_is_refused_flagged_or_told<W: World>() {
    let world = W::start();
    let server = serve(&world, options()).await;
    let clients = &server.clients;
    let known = wire::Signals {
        email: "Ada.L@gmail.com".into(),
        phone: "+44 20 7946 0018".into(),
        payment_instrument: "fp-1".into(),
        address: "1 High Street".into(),
        ip: "192.0.2.7".into(),
        user_agent: "Firefox".into(),
        ..Default::default()
    };
    clients.send(&joining("ada", &[], known)).await;
    let code = clients.code_of("ada").await;
    let same_ip = |user_agent: &str| wire::Signals {
        ip: "192.0.2.7".into(),
        user_agent: user_agent.into(),
        ..Default::default()
    };
    let paying = wire::Signals { payment_instrument: "fp-1".into(), ..Default::default() };
    let living = wire::Signals { address: "1, HIGH ST".into(), ..Default::default() };
    let from = wire::Signals { referrer: "www.coupons.example".into(), ..Default::default() };
    for (friend, signals, refused, expected) in [
        (
            "f1",
            email("ada.l@GMAIL.com"),
            true,
            vec![(Suspicion::SameEmail, FraudAction::Block), (Suspicion::SimilarEmail, FraudAction::Flag)],
        ),
        ("f2", email("adal+shop@googlemail.com"), false, vec![(Suspicion::SimilarEmail, FraudAction::Flag)]),
        (
            "f3",
            wire::Signals { phone: "0044 2079460018".into(), ..Default::default() },
            true,
            vec![(Suspicion::SamePhone, FraudAction::Block)],
        ),
        ("f4", paying, false, vec![(Suspicion::SamePaymentInstrument, FraudAction::Flag)]),
        ("f5", living, false, vec![(Suspicion::SameAddress, FraudAction::Shadow)]),
        ("f6", same_ip("Firefox"), false, vec![(Suspicion::SameIpWithUserAgent, FraudAction::Flag)]),
        ("f7", same_ip("Safari"), false, vec![]),
        ("f8", email("ben@mailinator.com"), false, vec![(Suspicion::DisposableEmail, FraudAction::Flag)]),
        ("f9", from, false, vec![(Suspicion::LeakedCode, FraudAction::Flag)]),
        ("g1", email("ben@example.org"), false, vec![]),
    ] {
        let refusals = clients.send(&joining(friend, &[&code], signals)).await.refusals();
        assert_eq!(refusals, if refused { vec![R::ReferralSuspected] } else { vec![] }, "{friend}");
        let request = wire::ExplainAttributionRequest { member_id: friend.into(), ..Default::default() };
        let attempts = clients.referral.clone().explain_attribution(request).await.unwrap().into_inner().attempts;
        let considered = &attempts[0].considered[0];
        assert_eq!((considered.counts, found(&considered.findings)), (!refused, expected), "{friend}");
        clients.verify(friend).await;
    }
    // What comes to be known with the order counts as well, and so does a resend from elsewhere.
    clients.send(&joining("late", &[&code], email("late@example.org"))).await;
    let first = clients.send(&buying("late", "o1", 1_000, email("ada.l@gmail.com"))).await;
    assert_eq!(first.refusals(), [R::ReferralSuspected]);
    let again = clients.send(&buying("late", "o1", 1_000, same_ip("Safari"))).await;
    assert_eq!(again.as_first(), first, "signals are no part of what tells one request from another");
    assert!(again.replayed());
    let referral = clients.referral("friends:late").await;
    assert_eq!(
        (referral.state(), referral.rejected_for()),
        (wire::ReferralState::Rejected, ReferralRejection::Suspected)
    );
    // A ring: whom Ada's friend brings is Ada again.
    clients.send(&joining("mid", &[&code], email("mid@example.org"))).await;
    let mids = clients.code_of("mid").await;
    assert_eq!(
        clients.send(&joining("ada2", &[&mids], email("ada.l@gmail.com"))).await.refusals(),
        [R::ReferralSuspected]
    );
    // Three friends of a day are paid for; the fourth is too many.
    for friend in ["s1", "s2", "s3"] {
        clients.send(&joining(friend, &[&code], email(&format!("{friend}@example.org")))).await;
        clients.send(&buying(friend, friend, 1_000, wire::Signals::default())).await;
    }
    eventually("three are counted", async || clients.member("ada").await.friends_qualified == 3).await;
    assert_eq!(
        clients.send(&joining("s4", &[&code], wire::Signals::default())).await.refusals(),
        [R::ReferralSuspected]
    );
    world.clock().set(world.clock().now(None).plus_ms(DAY_MS));
    assert_eq!(clients.send(&joining("s5", &[&code], wire::Signals::default())).await.refusals(), []);
    for member in ["ada", "late", "ada2"] {
        clients.verify(member).await;
    }
}

pub(crate) async fn r13_a_quote_tells_what_a_commit_with_the_same_signals_decides<W: World>() {
    let world = W::start();
    let server = serve(&world, options()).await;
    let clients = &server.clients;
    clients.send(&joining("ada", &[], email("ada@example.org"))).await;
    let code = clients.code_of("ada").await;
    for (friend, of_profile, signals, refused) in [
        ("f1", wire::Signals::default(), email("ada@example.org"), true),
        ("f2", wire::Signals::default(), email("ben@example.org"), false),
        // What is known of them already counts, sent with the order or not.
        ("f3", email("ada@example.org"), wire::Signals::default(), true),
    ] {
        clients.send(&joining(friend, &[], of_profile)).await;
        let entries = clients.verify(friend).await.entries;
        let quote = wire::QuoteRequest {
            member_id: friend.into(),
            order: Some(order(friend, 1_000)),
            codes: vec![code.clone()],
            signals: Some(signals.clone()),
            ..Default::default()
        };
        let quoted = clients.quote(quote).await.decision.unwrap();
        assert_eq!(clients.verify(friend).await.entries, entries, "a quote keeps nothing");
        let committed = match buying(friend, friend, 1_000, signals) {
            Write::Commit(raw) => Write::Commit(wire::CommitRequest { codes: vec![code.clone()], ..raw }),
            other => other,
        };
        let committed = clients.send(&committed).await.commit().decision.unwrap();
        assert_eq!((&quoted.effects, &quoted.refusals), (&committed.effects, &committed.refusals), "{friend}");
        let reasons: Vec<R> = quoted.refusals.iter().map(|refusal| refusal.reason()).collect();
        assert_eq!(reasons, if refused { vec![R::ReferralSuspected] } else { vec![] }, "{friend}");
    }
}

/// Whatever lies in the store, nothing in it is what was sent.
pub(crate) async fn r13_nothing_personal_is_stored_and_keys_are_changed<W: World>() {
    let world = W::start();
    let keyed = |keys: &[u8]| {
        let signal_keys = keys.iter().map(|key| SignalKey::of(&[*key; 16]).unwrap()).collect();
        Options { signal_keys, ..options() }
    };
    let signals = wire::Signals {
        email: "mia.quimby@example.org".into(),
        phone: "+44 20 7946 0018".into(),
        device_id: "device-4711".into(),
        payment_instrument: "fingerprint-4711".into(),
        address: "1 Quimby Street".into(),
        ip: "192.0.2.77".into(),
        user_agent: "QuimbyBrowser".into(),
        referrer: "quimby.example".into(),
    };
    let old = serve(&world, keyed(&[1])).await;
    old.clients.send(&joining("mia", &[], signals.clone())).await;
    let code = old.clients.code_of("mia").await;
    let store = world.store();
    let everything = everything_of(&*store, "mia").await;
    for part in ["quimby", "Quimby", "7946", "device-4711", "fingerprint-4711", "192.0.2.77"] {
        let held = everything.windows(part.len()).any(|bytes| bytes == part.as_bytes());
        assert!(!held, "{part} is stored");
    }
    // A new key comes first and the old one stays: she is recognised, and what is new is hashed under the new one.
    let both = serve(&world, keyed(&[2, 1])).await;
    let refused = both.clients.send(&joining("f1", &[&code], email("mia.quimby@example.org"))).await;
    assert_eq!(refused.refusals(), [R::ReferralSuspected]);
    let told = wire::UpdateMemberRequest {
        member_id: "mia".into(),
        request_id: "again".into(),
        signals: Some(signals),
        ..Default::default()
    };
    assert!(both.clients.send(&Write::UpdateMember(told)).await.update_member().updated);
    let new = serve(&world, keyed(&[2])).await;
    let refused = new.clients.send(&joining("f2", &[&code], email("mia.quimby@example.org"))).await;
    assert_eq!(refused.refusals(), [R::ReferralSuspected]);
    // Without a key in the settings all instances share one that is kept in the store: neither of those above.
    let (one, two) = (serve(&world, options()).await, serve(&world, options()).await);
    one.clients.send(&joining("zoe", &[], email("zoe@example.org"))).await;
    let zoes = one.clients.code_of("zoe").await;
    let refused = two.clients.send(&joining("f3", &[&zoes], email("ZOE@example.org"))).await;
    assert_eq!(refused.refusals(), [R::ReferralSuspected]);
    one.clients.verify("mia").await;
}

/// The account and the ledger of a member, and the receipt of their enrolment, as stored.
async fn everything_of(store: &dyn Store, member: &str) -> Vec<u8> {
    use guerdon::domain::id::{AccountId, ProgramId, RequestId};
    let (program, account) = (ProgramId::parse("circles").unwrap(), AccountId::parse(member).unwrap());
    let (key, log) = (layout().account(&program, &account), layout().log(&program, &account));
    let mut bytes = store.load(key.partition, &[key]).await.unwrap().remove(0).expect("an account").body;
    bytes.extend(store.entries(&log, 1, 500).await.unwrap().concat());
    let request = RequestId::parse(&format!("enroll-{member}")).unwrap();
    let receipt = store.receipt(&layout().receipt(&program, &account, &request)).await.unwrap().expect("a receipt");
    bytes.extend(receipt.body.into_iter().chain(receipt.fingerprint));
    bytes
}

pub(crate) async fn r14_flagged_rewards_are_listed_decided_lapse_and_are_forced<W: World>() {
    use {
        ReferralSide::{Advocate, Friend, Unspecified as Both},
        ReviewVerdict::{Approve, Reject},
    };
    let world = W::start();
    let server = serve(&world, options()).await;
    let clients = &server.clients;
    clients.send(&joining("ada", &[], device("d-1"))).await;
    let code = clients.code_of("ada").await;
    for (n, friend) in ["ben", "cat", "dan", "eve"].into_iter().enumerate() {
        world.clock().set(BEGIN.plus_ms(i64::try_from(n).unwrap() * 3_600_000));
        clients.send(&joining(friend, &[&code], device("d-1"))).await;
        let answer = clients.send(&buying(friend, friend, 1_000, wire::Signals::default())).await;
        assert_eq!(answer.clone().commit().status(), wire::CommitStatus::Committed, "the order stands");
        assert_eq!(answer.refusals(), [R::ReferralInReview]);
    }
    eventually("all are listed", async || reviews(clients, 0, "").await.referrals.len() == 4).await;
    // In pages, those that lapse first at the beginning.
    let first = reviews(clients, 3, "").await;
    let rest = reviews(clients, 3, &first.next_page_token).await;
    let names = |page: &wire::ListReviewsResponse| {
        page.referrals.iter().map(|r| r.friend_member_id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (names(&first), names(&rest), rest.next_page_token.as_str()),
        (vec!["ben".into(), "cat".into(), "dan".into()], vec!["eve".into()], "")
    );
    let ben = &first.referrals[0];
    assert_eq!(found(&ben.findings), [(Suspicion::SameDevice, FraudAction::Flag)]);
    let states: Vec<_> = ben.rewards.iter().map(|reward| (reward.side(), reward.amount, reward.state())).collect();
    assert_eq!(states, [(Advocate, 100, RewardState::InReview), (Friend, 10, RewardState::InReview)]);
    let review = ben.review.clone().unwrap();
    assert_eq!((review.friend(), review.advocate(), review.forced), (ReviewState::Open, ReviewState::Open, false));
    assert_eq!(review.lapses_at, Some(timestamp(BEGIN.plus_ms(14 * DAY_MS))));
    let points = async |member: &str| clients.available(member).await;
    assert_eq!((points("ada").await, points("ben").await), (0, 0));

    // Each side by itself.
    let approve = reviewing("ben", "r1", Friend, Approve, false);
    let answer = clients.send(&approve).await;
    assert!(answer.clone().review_reward().changed, "{answer:?}");
    assert_eq!(clients.send(&approve).await, answer.as_replayed());
    assert_eq!(points("ben").await, 10);
    assert_eq!(clients.send(&reviewing("ben", "r2", Both, Approve, false)).await.refusals(), [R::ReviewClosed]);
    clients.send(&reviewing("ben", "r3", Advocate, Approve, false)).await;
    eventually("reward and commission arrive", async || {
        let ada = clients.member("ada").await;
        available(&ada.balances) == 100
            && of_unit(&ada.balances, "credit").is_some_and(|credit| credit.available == 100)
    })
    .await;
    assert!(clients.send(&reviewing("cat", "r1", Both, Reject, false)).await.review_reward().changed);
    let cat = clients.referral("friends:cat").await;
    assert_eq!((cat.state(), cat.rejected_for()), (wire::ReferralState::Rejected, ReferralRejection::Review));
    assert!(cat.rewards.iter().all(|reward| reward.state() == RewardState::Rejected), "{:?}", cat.rewards);
    eventually("what is decided is off the queue", async || names(&reviews(clients, 0, "").await) == ["dan", "eve"])
        .await;

    // Nobody decides about Dan in time: nothing is paid, for good.
    world.clock().set(BEGIN.plus_ms(14 * DAY_MS + 2 * 3_600_000));
    assert_eq!(names(&reviews(clients, 0, "").await), ["eve"]);
    let dan = clients.referral("friends:dan").await;
    assert_eq!(
        (dan.rejected_for(), dan.review.clone().unwrap().advocate()),
        (ReferralRejection::Review, ReviewState::Lapsed)
    );
    assert_eq!(clients.send(&reviewing("dan", "r1", Both, Approve, false)).await.refusals(), [R::ReviewClosed]);
    assert_eq!(points("dan").await, 0);
    assert!(clients.send(&reviewing("dan", "r2", Both, Approve, true)).await.review_reward().changed);
    assert_eq!(points("dan").await, 10);
    let review = clients.referral("friends:dan").await.review.unwrap();
    assert_eq!((review.forced, review.agent_id.as_str(), review.reason_code.as_str()), (true, "tess", "known-family"));
    let entries = clients.entries("dan", 100).await;
    let decided = entries.iter().find(|entry| entry.fact == "review_decided").unwrap();
    for part in ["\"forced\":true", "\"agent\":\"tess\"", "\"reason\":\"known-family\""] {
        assert!(decided.detail_json.contains(part), "{}", decided.detail_json);
    }
    // Force also takes back what was paid.
    assert!(clients.send(&reviewing("ben", "r4", Advocate, Reject, true)).await.review_reward().changed);
    eventually("Ben's is taken back, Dan's has come", async || {
        let of_ada = |referral: wire::Referral| referral.rewards.iter().find(|r| r.side() == Advocate).unwrap().state();
        let (ben, dan) = (clients.referral("friends:ben").await, clients.referral("friends:dan").await);
        (of_ada(ben), of_ada(dan), points("ada").await) == (RewardState::Reversed, RewardState::Paid, 100)
    })
    .await;
    assert_eq!(clients.send(&reviewing("ada", "r1", Both, Approve, false)).await.refusals(), [R::ReferralUnknown]);
    for member in ["ada", "ben", "cat", "dan", "eve"] {
        clients.verify(member).await;
    }
}
