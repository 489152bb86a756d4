//! Touches and who has the credit for them, over the wire.

use guerdon::domain::id::{AccountId, MemberId, ProgramId, VisitorId};
use guerdon::grpc::wire;
use guerdon::store::{Record, Store};
use tokio::task::JoinSet;
use wire::{RefusalReason as R, TouchDrop, TouchKind};

use crate::support::server::*;

const TOUCHES: &str = "guerdon: 1
program: circles
title: Circles
time_zone: UTC
currencies: [EUR]
touches: {bots: [acme-monitor], per_visitor_max: 4, per_code_max: 2, within: 1 hour}
referrals:
  - {id: friends, title: F, advocate: {units: 100}, friend: {units: 10}, windows: [{kinds: [click, scan], channels:
     [email], sign_up_within: 2 days, purchase_within: 10 days}, {channels: [poster], sign_up_within: 1 hour}],
     credit: {model: linear, shadow: [first, last, position, decay]}}
  - {id: other, title: O, friend: {units: 1}}
";

async fn serve<W: World>(world: &W) -> Server {
    let server = Server::start_idle_with(world.store(), world.clock(), options(), TOUCHES).await;
    server.service.start_jobs();
    server
}

fn touch(visitor: &str, request: &str, code: &str) -> wire::RecordTouchRequest {
    wire::RecordTouchRequest {
        visitor_id: visitor.into(),
        request_id: request.into(),
        kind: TouchKind::Click.into(),
        code: code.into(),
        channel: "email".into(),
        source: "spring letter".into(),
        user_agent: "Mozilla/5.0 (X11; Linux)".into(),
        ..Default::default()
    }
}

async fn record(clients: &Clients, touch: wire::RecordTouchRequest) -> wire::RecordTouchResponse {
    clients.referral.clone().record_touch(touch).await.unwrap().into_inner()
}

async fn code_of(clients: &Clients, member: &str, campaign: &str) -> String {
    clients.enroll(member).await;
    let (member_id, request_id) = (member.to_owned(), "code".to_owned());
    let request = wire::CreateCodeRequest { member_id, request_id, campaign_id: campaign.into(), ..Default::default() };
    clients.send(&Write::CreateCode(request)).await.create_code().code
}

fn joining(member: &str, codes: &[&str], visitor: &str) -> Write {
    Write::Enroll(wire::EnrollRequest {
        member_id: member.into(),
        request_id: format!("enroll-{member}"),
        codes: codes.iter().map(|code| (*code).to_owned()).collect(),
        visitor_id: visitor.into(),
        ..Default::default()
    })
}

async fn explained(clients: &Clients, member: &str) -> Vec<wire::AttributionAttempt> {
    let request = wire::ExplainAttributionRequest { member_id: member.into(), ..Default::default() };
    clients.referral.clone().explain_attribution(request).await.unwrap().into_inner().attempts
}

/// The record of a visitor, as stored.
async fn stored(store: &dyn Store, visitor: &str) -> Option<Record> {
    let account = AccountId::from(&MemberId::visitor(&VisitorId::parse(visitor).unwrap()));
    let key = layout().visitor(&ProgramId::parse("circles").unwrap(), &account);
    assert!(!key.name.contains(visitor), "the visitor's own id is stored nowhere: {}", key.name);
    store.load(key.partition, &[key]).await.unwrap().remove(0)
}

pub(crate) async fn r2_touches_are_kept_once_dropped_and_forgotten<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    let code = code_of(clients, "ann", "friends").await;
    let first = record(clients, touch("v-1", "t1", &code.to_lowercase())).await;
    assert!(first.recorded && !first.replayed && first.refusals.is_empty(), "{first:?}");
    let again = record(clients, touch("v-1", "t1", &code.to_lowercase())).await;
    assert_eq!(again, wire::RecordTouchResponse { replayed: true, ..first });
    let scan = wire::RecordTouchRequest { kind: TouchKind::Scan.into(), ..touch("v-1", "t1", &code.to_lowercase()) };
    let status = clients.referral.clone().record_touch(scan).await.unwrap_err();
    assert_eq!(reason(&status), ("REQUEST_ID_REUSED".to_owned(), "kind".to_owned()));

    let bot = |user_agent: &str| wire::RecordTouchRequest {
        user_agent: user_agent.into(),
        ..touch("v-1", user_agent, &code)
    };
    for user_agent in ["Googlebot/2.1", "Acme-Monitor"] {
        let dropped = record(clients, bot(user_agent)).await;
        assert_eq!((dropped.recorded, dropped.dropped()), (false, TouchDrop::Bot), "{user_agent}");
    }
    assert!(record(clients, touch("v-1", "t2", &code)).await.recorded);
    assert_eq!(record(clients, touch("v-1", "t3", &code)).await.dropped(), TouchDrop::FloodOfCode);
    let other = code_of(clients, "zoe", "friends").await;
    for request in ["t4", "t5"] {
        assert!(record(clients, touch("v-1", request, &other)).await.recorded);
    }
    let third = code_of(clients, "eve", "friends").await;
    assert_eq!(record(clients, touch("v-1", "t6", &third)).await.dropped(), TouchDrop::FloodOfVisitor);
    let unknown = record(clients, touch("v-1", "t7", "N0PE")).await;
    assert_eq!((unknown.recorded, unknown.refusals[0].reason()), (false, R::CodeUnknown));
    let early =
        wire::RecordTouchRequest { occurred_at: Some(timestamp(BEGIN.plus_ms(60_000))), ..touch("v-1", "t8", &code) };
    assert_eq!(record(clients, early).await.refusals[0].reason(), R::InFuture);

    let store = world.store();
    let kept = stored(&*store, "v-1").await.expect("a record");
    for personal in ["v-1", "Mozilla", "Googlebot"] {
        let held = kept.body.windows(personal.len()).any(|part| part == personal.as_bytes());
        assert!(!held, "{personal} is kept");
    }
    // They count for two days to sign-up and ten more to the purchase; then nothing is left.
    world.clock().set(BEGIN.plus_ms(12 * DAY_MS - 1));
    assert!(stored(&*store, "v-1").await.is_some());
    world.clock().set(BEGIN.plus_ms(12 * DAY_MS));
    eventually("the visitor is forgotten", async || stored(&*store, "v-1").await.is_none()).await;
    assert!(record(clients, touch("v-1", "later", &code)).await.recorded, "and may come again");
}

/// Every instance records; the code's own record is written by none of them.
pub(crate) async fn r2_many_touches_of_one_code_write_nothing_in_one_place<W: World>() {
    let world = W::start();
    let (one, two) = (serve(&world).await, serve(&world).await);
    let code = code_of(&one.clients, "ann", "friends").await;
    let key =
        layout().code(&ProgramId::parse("circles").unwrap(), &guerdon::domain::referral::code::read(&code).unwrap());
    let store = world.store();
    let active = async || store.load(key.partition, std::slice::from_ref(&key)).await.unwrap();
    eventually("the code is made", async || {
        let shown = wire::GetCodeRequest { code: code.clone(), ..Default::default() };
        let shown = one.clients.referral.clone().get_code(shown).await.unwrap().into_inner();
        shown.state() == wire::CodeState::Active && active().await[0].as_ref().is_some_and(|r| 1 < r.token.sequence())
    })
    .await;
    let before = active().await;
    let mut calls = JoinSet::new();
    for n in 0..60 {
        let clients = if n % 2 == 0 { one.clients.clone() } else { two.clients.clone() };
        // Ten visitors, six calls each at once.
        let touch = touch(&format!("v-{}", n % 10), &format!("t{n}"), &code);
        calls.spawn(async move { record(&clients, touch).await });
    }
    let answers = calls.join_all().await;
    // Two of each visitor are kept, whatever instance they came to.
    let kept = answers.iter().filter(|answer| answer.recorded).count();
    let dropped = answers.iter().filter(|answer| answer.dropped() == TouchDrop::FloodOfCode).count();
    assert_eq!((kept, dropped), (20, 40));
    assert_eq!(active().await, before, "of the code nothing is written");
}

pub(crate) async fn r4_codes_come_before_touches_and_it_is_told_why<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    let (anns, zoes, others) = (
        code_of(clients, "ann", "friends").await,
        code_of(clients, "zoe", "friends").await,
        code_of(clients, "eve", "other").await,
    );
    let hour = 3_600_000;
    // A share, one by poster that is an hour old by then, one of another campaign, two that count.
    let share = wire::RecordTouchRequest { kind: TouchKind::Share.into(), ..touch("v", "t1", &anns) };
    let poster = wire::RecordTouchRequest { channel: "poster".into(), ..touch("v", "t2", &zoes) };
    for (touch, later) in [
        (share, 0),
        (poster, 0),
        (touch("v", "t3", &others), 0),
        (touch("v", "t4", &anns), hour / 2),
        (touch("v", "t5", &zoes), hour / 2),
    ] {
        world.clock().set(world.clock().now(None).plus_ms(later));
        assert!(record(clients, touch).await.recorded);
    }
    // What a Quote shows a guest who came by codes.
    let quote = wire::QuoteRequest { order: Some(order("q", 500)), visitor_id: "v".into(), ..Default::default() };
    let effects = clients.quote(quote).await.decision.unwrap().effects;
    assert!(
        effects.iter().any(|effect| matches!(&effect.effect, Some(wire::effect::Effect::ReferralChanged(_)))),
        "{effects:?}"
    );
    let joined = clients.send(&joining("ben", &["N0PE"], "v")).await;
    assert_eq!(joined.refusals(), [R::CodeUnknown]);
    let attempts = explained(clients, "ben").await;
    let [attempt] = attempts.as_slice() else { panic!("{attempts:?}") };
    assert_eq!((attempt.occasion(), attempt.referral_id.as_str()), (wire::AttributedVia::SignUp, "friends:ben"));
    assert_eq!(attempt.request_id, "enroll-ben");
    let told: Vec<(&str, TouchKind, bool, i64, R)> = attempt
        .considered
        .iter()
        .map(|one| (one.advocate_member_id.as_str(), one.touch_kind(), one.counts, one.share_ppm, one.reason()))
        .collect();
    let expected = [
        ("", TouchKind::Unspecified, false, 0, R::CodeUnknown),
        ("ann", TouchKind::Share, false, 0, R::TouchNotTaken),
        ("zoe", TouchKind::Click, false, 0, R::TouchWindowOver),
        // The other campaign takes every channel for thirty days; the latest touch decides.
        ("eve", TouchKind::Click, false, 0, R::TouchOfOtherCampaign),
        ("ann", TouchKind::Click, true, 500_000, R::Unspecified),
        ("zoe", TouchKind::Click, true, 500_000, R::Unspecified),
    ];
    assert_eq!(told, expected);
    assert!(attempt.considered.iter().all(|one| one.counts || !one.message.is_empty()));
    let models: Vec<(&str, bool, i64)> = attempt
        .models
        .iter()
        .map(|model| (model.model.as_str(), model.in_force, model.credits.iter().map(|c| c.share_ppm).sum()))
        .collect();
    let whole = 1_000_000;
    let expected = [
        ("linear", true, whole),
        ("first", false, whole),
        ("last", false, whole),
        ("position", false, whole),
        ("decay", false, whole),
    ];
    assert_eq!(models, expected);
    let referral = clients.referral("friends:ben").await;
    assert_eq!((referral.via(), referral.advocate_member_id.as_str()), (wire::AttributedVia::Touch, "zoe"));
    let qualify_by = BEGIN.plus_ms(hour + 10 * DAY_MS);
    assert_eq!(referral.qualify_by, Some(timestamp(qualify_by)));

    // A code named at checkout takes the place of touches, as long as nothing has come of them.
    let with_code = |id: &str, code: &str| match commit("ben", id, order(id, 500)) {
        Write::Commit(raw) => Write::Commit(wire::CommitRequest { codes: vec![code.to_owned()], ..raw }),
        other => other,
    };
    clients.send(&with_code("o1", &anns)).await.commit();
    let referral = clients.referral("friends:ben").await;
    assert_eq!((referral.via(), referral.advocate_member_id.as_str()), (wire::AttributedVia::Checkout, "ann"));
    let attempts = explained(clients, "ben").await;
    assert_eq!(
        attempts.iter().map(|attempt| attempt.occasion()).collect::<Vec<_>>(),
        [wire::AttributedVia::Checkout, wire::AttributedVia::SignUp]
    );
    clients.verify("ben").await;

    // Whom nothing was ever named for.
    clients.enroll("dan").await;
    assert!(explained(clients, "dan").await.is_empty());
    let unknown = wire::ExplainAttributionRequest { member_id: "nobody".into(), ..Default::default() };
    assert_eq!(clients.referral.clone().explain_attribution(unknown).await.unwrap_err().code(), tonic::Code::NotFound);
    // A touch that is made known too late, and one whose code is blocked by then.
    assert!(record(clients, touch("w", "t1", &anns)).await.recorded);
    clients.send(&update_code("ann", "block", &anns, wire::CodeState::Blocked)).await;
    world.clock().set(world.clock().now(None).plus_ms(60_001));
    assert_eq!(clients.send(&joining("gus", &[], "w")).await.refusals(), [R::CodeBlocked]);
}

pub(crate) async fn r5_a_shared_reward_arrives_with_each_advocate_and_goes_back<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    let mut codes = Vec::new();
    for advocate in ["ann", "zoe", "eve"] {
        codes.push(code_of(clients, advocate, "friends").await);
    }
    for (n, code) in codes.iter().enumerate() {
        assert!(record(clients, touch("v", &format!("t{n}"), code)).await.recorded);
    }
    clients.send(&joining("ben", &[], "v")).await;
    clients.send(&commit("ben", "c", order("o1", 500))).await.commit();
    let has = async |member: &str| clients.available(member).await;
    eventually("each has a part", async || (has("ann").await, has("zoe").await, has("eve").await) == (34, 33, 33))
        .await;
    let referral = clients.referral("friends:ben").await;
    let shares: Vec<(&str, i64, i64)> = referral
        .rewards
        .iter()
        .map(|reward| (reward.beneficiary_member_id.as_str(), reward.share_ppm, reward.amount))
        .collect();
    assert_eq!(shares, [("eve", 333_333, 33), ("ann", 333_334, 34), ("zoe", 333_333, 33), ("ben", 1_000_000, 10)]);
    clients.send(&give_back("ben", "r", "o1", "ret", everything())).await;
    eventually("it goes back", async || (has("ann").await, has("zoe").await, has("eve").await) == (0, 0, 0)).await;
    for member in ["ann", "zoe", "eve", "ben"] {
        clients.verify(member).await;
    }
}

pub(crate) async fn r16_touches_that_are_too_late_or_too_old_are_told<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    let codes = [code_of(clients, "ann", "friends").await, code_of(clients, "zoe", "friends").await];
    // Four an hour: the first of 24 are older than what is weighed.
    for n in 0..24usize {
        world.clock().set(BEGIN.plus_ms(i64::try_from(n / 4).unwrap() * 3_600_000 + i64::try_from(n).unwrap()));
        assert!(record(clients, touch("v", &format!("t{n}"), &codes[n % 2])).await.recorded, "{n}");
    }
    let last = world.clock().now(None);
    let early = |member: &str, at| match joining(member, &[], "v") {
        Write::Enroll(raw) => Write::Enroll(wire::EnrollRequest { occurred_at: Some(timestamp(at)), ..raw }),
        other => other,
    };
    // One who had signed up before any of it, and one who signed up before the last of it.
    assert_eq!(clients.send(&early("ben", BEGIN.minus_ms(1_000))).await.refusals(), [R::TouchAfterwards]);
    clients.send(&early("cat", last.minus_ms(1))).await;
    let considered = explained(clients, "cat").await.remove(0).considered;
    let reasons: Vec<R> = considered.iter().map(|one| one.reason()).collect();
    assert_eq!(reasons[..3], [R::TouchTooOld; 3]);
    assert_eq!(reasons[3..23], [R::Unspecified; 20]);
    assert_eq!(reasons[23], R::TouchAfterwards);
    assert_eq!(considered.iter().map(|one| one.share_ppm).sum::<i64>(), 1_000_000);
    clients.verify("cat").await;
}
