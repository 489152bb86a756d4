//! Codes, claims and what they bring, over the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use guerdon::domain::referral::cycle::HOPS_MAX;
use guerdon::grpc::wire;
use guerdon::service::Calls;
use tokio::task::JoinSet;
use wire::RefusalReason as R;

use crate::support::faulty::{Fault, FaultyStore};
use crate::support::server::*;

const REFERRALS: &str = "guerdon: 1
program: circles
title: Circles
time_zone: UTC
currencies: [EUR]
units: {points: {}, credit: {}}
referrals:
  - {id: friends, title: F, advocate: {units: 100}, friend: {units: 10}, spend_at_least: EUR 10.00, hold: 14 days,
     milestones: [{from: 2, times: 2}], generations: [50%], caps: [{counts: units, most: 250, per: month}],
     commission: {percent: 10%, unit: credit}}
  - {id: few, title: F, friend: {units: 60}, budget: 100, codes: {uses_max: 3, vanity: false, pattern: \"FEW-####\"}}
  - {id: spring, title: S, friend: {units: 1}, starts_at: 2027-03-01T00:00:00Z}
  - {id: past, title: P, friend: {units: 1}, ends_at: 2026-06-02T00:00:00Z, attribute_at: first_order}
";

async fn serve<W: World>(world: &W) -> Server {
    let server = Server::start_idle_with(world.store(), world.clock(), options(), REFERRALS).await;
    server.service.start_jobs();
    server
}

fn asked(member: &str, request: &str, campaign: &str, vanity: &str) -> wire::CreateCodeRequest {
    wire::CreateCodeRequest {
        member_id: member.into(),
        request_id: request.into(),
        campaign_id: campaign.into(),
        vanity: vanity.into(),
        ..Default::default()
    }
}

async fn code_of(server: &Server, member: &str, campaign: &str) -> String {
    let request = asked(member, &format!("code-{campaign}"), campaign, "");
    let answer = server.clients.send(&Write::CreateCode(request)).await.create_code();
    assert!(answer.created, "{answer:?}");
    answer.code
}

fn order_with(member: &str, id: &str, amount: i64, codes: &[&str]) -> Write {
    let codes = codes.iter().map(|code| (*code).to_owned()).collect();
    match commit(member, &format!("commit-{id}"), order(id, amount)) {
        Write::Commit(raw) => Write::Commit(wire::CommitRequest { codes, ..raw }),
        other => other,
    }
}

async fn refused(server: &Server, write: Write) -> Vec<R> {
    server.clients.send(&write).await.refusals()
}

pub(crate) async fn r1_codes_are_made_wished_for_blocked_and_shown<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    clients.enroll("ann").await;
    clients.enroll("leo").await;
    let code = code_of(&server, "ann", "few").await;
    assert!(code.starts_with("FEW") && code.len() == 7, "{code}");
    let label = wire::CreateCodeRequest { label: "video".into(), ..asked("ann", "video", "friends", "ann-films") };
    let vanity = clients.send(&Write::CreateCode(label)).await.create_code();
    assert_eq!((vanity.code.as_str(), vanity.created), ("ANNF11MS", true));
    // A request that is refused takes no code from anybody; one that another has is taken.
    let old = asked("ann", "too-old", "friends", "leo-films");
    let old = wire::CreateCodeRequest { occurred_at: Some(timestamp(BEGIN.minus_ms(400 * DAY_MS))), ..old };
    assert_eq!(refused(&server, Write::CreateCode(old)).await, [R::TooFarBack]);
    let leo = clients.send(&Write::CreateCode(asked("leo", "mine", "friends", "LEO films"))).await.create_code();
    assert!(leo.created);
    assert_eq!(refused(&server, Write::CreateCode(asked("leo", "x", "friends", "ann films"))).await, [R::CodeTaken]);

    let shown = async |raw: &str| {
        let request = wire::GetCodeRequest { code: raw.into(), ..Default::default() };
        clients.referral.clone().get_code(request).await.unwrap().into_inner()
    };
    let few = shown(&code.to_lowercase()).await;
    assert_eq!((few.member_id.as_str(), few.campaign_id.as_str(), few.uses_max), ("ann", "few", 3));
    let block = update_code("ann", "block", "ann films", wire::CodeState::Blocked);
    assert!(clients.send(&block).await.update_code().changed);
    assert_eq!(shown("annfilms").await.state(), wire::CodeState::Blocked);
    clients.enroll("ben").await;
    assert_eq!(refused(&server, attribute("ben", "a1", "annfilms")).await, [R::CodeBlocked]);
    clients.send(&update_code("ann", "unblock", "annfilms", wire::CodeState::Active)).await;
    assert!(clients.send(&attribute("ben", "a2", "annfilms")).await.attribute().attributed);
    assert_eq!(
        refused(&server, update_code("leo", "not-mine", "annfilms", wire::CodeState::Blocked)).await,
        [R::CodeUnknown]
    );
    for member in ["ann", "leo", "ben"] {
        clients.verify(member).await;
    }
}

/// Whoever stands for what it is: every reason for which a code or a referral comes to nothing.
pub(crate) async fn r16_every_reason_is_told<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    for member in ["ann", "zoe", "old", "ben", "cat", "dan", "eve"] {
        clients.enroll(member).await;
    }
    let code = code_of(&server, "ann", "friends").await;
    let (few, spring, past) = (
        code_of(&server, "ann", "few").await,
        code_of(&server, "ann", "spring").await,
        code_of(&server, "ann", "past").await,
    );
    let zoes = code_of(&server, "zoe", "friends").await;
    clients.send(&commit("old", "c", order("o-old", 100))).await;
    let last = if code.ends_with('7') { "8" } else { "7" };
    let mistyped = format!("{}{last}", &code[..7]);
    for (member, named, expected) in [
        ("ben", "no-such-code", R::CodeUnknown),
        ("ben", &mistyped, R::CodeMistyped),
        ("ben", &spring, R::CodeNotStarted),
        ("ann", &code, R::SelfReferral),
        ("old", &code, R::NotNew),
    ] {
        assert_eq!(refused(&server, attribute(member, &format!("a-{named}"), named)).await, [expected]);
    }
    let joining = |member: &str, codes: &[&str]| {
        let codes = codes.iter().map(|code| (*code).to_owned()).collect();
        let (member_id, request_id) = (member.to_owned(), format!("enroll-{member}"));
        Write::Enroll(wire::EnrollRequest { member_id, request_id, codes, ..Default::default() })
    };
    assert_eq!(refused(&server, joining("fay", &[&past])).await, [R::CodeNotTakenHere]);
    assert_eq!(refused(&server, joining("gus", &[&code, &zoes])).await, [R::Superseded]);
    assert_eq!(refused(&server, attribute("gus", "again", &zoes)).await, [R::AlreadyAttributed]);
    // What the terms ask of an order.
    assert_eq!(refused(&server, commit("gus", "g1", order("g1", 999))).await, [R::ReferralConditionNotMet]);
    // The budget covers one friend, the code three.
    for (friend, expected) in [
        ("ben", vec![]),
        ("cat", vec![R::ReferralBudgetSpent]),
        ("dan", vec![R::ReferralBudgetSpent]),
        ("eve", vec![R::CodeUsedUp]),
    ] {
        assert_eq!(
            refused(&server, order_with(friend, &format!("o-{friend}"), 100, &[&few])).await,
            expected,
            "{friend}"
        );
    }
    let budget = clients.referral("few:cat").await;
    assert_eq!(
        (budget.state(), budget.rejected_for()),
        (wire::ReferralState::Rejected, wire::ReferralRejection::Budget)
    );
    // A guest has nobody to attribute yet.
    assert_eq!(refused(&server, order_with("", "o-guest", 100, &[&code])).await, [R::AnsweredAtClaim]);
    let vanity = asked("zoe", "wish", "few", "ZOE0");
    assert_eq!(refused(&server, Write::CreateCode(vanity)).await, [R::VanityNotAllowed]);
    world.clock().set(world.clock().now(None).plus_ms(2 * DAY_MS));
    clients.enroll("ida").await;
    assert_eq!(refused(&server, attribute("ida", "late", &past)).await, [R::CodeExpired]);
}

pub(crate) async fn r11_rewards_are_held_multiplied_capped_and_taken_back<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    clients.enroll("ann").await;
    let code = code_of(&server, "ann", "friends").await;
    for friend in ["ben", "cat"] {
        clients.enroll(friend).await;
        clients.send(&order_with(friend, &format!("o-{friend}"), 1_099, &[&code])).await.commit();
        let id = format!("friends:{friend}");
        let arrived = async || clients.referral(&id).await.rewards.iter().all(|reward| reward.due_at.is_some());
        eventually("the reward arrives", arrived).await;
    }
    let balance = |balances: &[wire::Balance], unit: &str| {
        of_unit(balances, unit).map_or((0, 0), |balance| (balance.available, balance.pending))
    };
    eventually("commission arrives", async || balance(&clients.member("ann").await.balances, "credit") == (0, 218))
        .await;
    // 100 for the first, twice that for the second, of which the cap leaves 150.
    assert_eq!(balance(&clients.member("ann").await.balances, "points"), (0, 250));
    let second = clients.referral("friends:cat").await;
    let of_advocate = second.rewards.iter().find(|reward| reward.side() == wire::ReferralSide::Advocate).unwrap();
    assert_eq!((of_advocate.amount, of_advocate.limited, of_advocate.state()), (150, 50, wire::RewardState::Pending));
    assert!(second.confirmed && second.via() == wire::AttributedVia::Checkout);

    clients.send(&give_back("ben", "r", "o-ben", "ret", everything())).await;
    eventually("it is taken back", async || {
        let ann = clients.member("ann").await;
        balance(&ann.balances, "points") == (0, 150) && balance(&ann.balances, "credit") == (0, 109)
    })
    .await;
    let rejected = clients.referral("friends:ben").await;
    assert_eq!(rejected.rejected_for(), wire::ReferralRejection::Returned);
    assert!(
        rejected
            .rewards
            .iter()
            .all(|reward| reward.state() == wire::RewardState::Reversed && reward.amount == reward.reversed)
    );
    world.clock().set(world.clock().now(None).plus_ms(15 * DAY_MS));
    assert_eq!(balance(&clients.member("ann").await.balances, "points"), (150, 0));
    let paid = clients.referral("friends:cat").await;
    assert!(paid.rewards.iter().all(|reward| reward.state() == wire::RewardState::Paid));
    for member in ["ann", "ben", "cat"] {
        clients.verify(member).await;
    }
}

const RARE: &str = "guerdon: 1
program: circles
title: Circles
time_zone: UTC
currencies: [EUR]
events: {review: {approval: auto}}
referrals:
  - {id: friends, title: F, friend: {units: 10}, codes: {per_member_max: 1}}
  - {id: reviews, title: R, friend: {units: 10}, qualify: {event: review}}
";

/// The reasons that take more to come by.
pub(crate) async fn r16_rare_reasons_are_told_too<W: World>() {
    use wire::ReferralRejection as J;
    let world = W::start();
    let server = Server::start_idle_with(world.store(), world.clock(), options(), RARE).await;
    server.service.start_jobs();
    let clients = &server.clients;
    clients.enroll("ann").await;
    let refusals = async |write: Write| clients.send(&write).await.refusals();
    assert_eq!(refusals(Write::CreateCode(asked("ann", "which", "", ""))).await, [R::CampaignUnknown]);
    assert_eq!(refusals(Write::CreateCode(asked("ann", "none", "nothing", ""))).await, [R::CampaignUnknown]);
    let reviews = code_of(&server, "ann", "reviews").await;
    code_of(&server, "ann", "friends").await;
    assert_eq!(refusals(Write::CreateCode(asked("ann", "more", "friends", "ANN-MORE"))).await, [R::TooManyCodes]);

    // What qualified it is revoked.
    clients.enroll("ben").await;
    clients.send(&attribute("ben", "name", &reviews)).await;
    clients.send(&Write::RecordEvent(event("ben", "tell", "e1", "review"))).await;
    assert_eq!(clients.referral("reviews:ben").await.state(), wire::ReferralState::Qualified);
    clients.send(&revoke("ben", "revoke", "e1")).await;
    assert_eq!(clients.referral("reviews:ben").await.rejected_for(), J::Revoked);

    // Its owner is erased.
    clients.send(&erase("ann", "erase")).await;
    let mut tries = 0;
    eventually("the code leads nowhere", async || {
        tries += 1;
        let friend = format!("c{tries}");
        clients.enroll(&friend).await;
        refusals(attribute(&friend, "name", &reviews)).await == [R::CodeNotActive]
    })
    .await;

    // More advocates stand above a friend than are walked. Who has no code yet when they are brought needs no walk.
    clients.enroll("m0").await;
    let mut code = code_of(&server, "m0", "friends").await;
    for n in 1..HOPS_MAX + 2 {
        let member = format!("m{n}");
        clients.enroll(&member).await;
        let own = if n < HOPS_MAX { None } else { Some(code_of(&server, &member, "friends").await) };
        clients.send(&attribute(&member, "name", &code)).await;
        code = match own {
            Some(own) => own,
            None => code_of(&server, &member, "friends").await,
        };
    }
    let last = async |n: usize| clients.referral(&format!("friends:m{n}")).await;
    eventually("as many are walked", async || last(HOPS_MAX).await.confirmed).await;
    eventually("one more is too many", async || last(HOPS_MAX + 1).await.rejected_for() == J::ChainTooLong).await;
}

/// Both said "I came by the other" before either had ordered; both were paid.
pub(crate) async fn r10_two_who_name_each_other_at_once_are_not_both_attributed<W: World>() {
    let world = W::start();
    let (one, two) = (serve(&world).await, serve(&world).await);
    for round in 0..6 {
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        let mut codes = Vec::new();
        for member in [&a, &b] {
            one.clients.enroll(member).await;
            codes.push(code_of(&one, member, "friends").await);
        }
        let mut calls = JoinSet::new();
        for (server, member, code) in [(&one, &a, codes[1].clone()), (&two, &b, codes[0].clone())] {
            let (clients, write) = (server.clients.clone(), attribute(member, "name", &code));
            calls.spawn(async move { clients.send_until_answered(&write).await.attribute().attributed });
        }
        assert_eq!(calls.join_all().await, [true, true], "a claim is only a claim");
        let ids = [format!("friends:{a}"), format!("friends:{b}")];
        let settled = async || {
            // Who waits for another claim is asked again after a while.
            world.clock().set(world.clock().now(None).plus_ms(2_000));
            let mut settled = 0;
            for id in &ids {
                let claim = one.clients.referral(id).await;
                settled += usize::from(claim.confirmed || claim.state() == wire::ReferralState::Rejected);
            }
            settled == 2
        };
        eventually("both are settled", settled).await;
        let (first, second) = (one.clients.referral(&ids[0]).await, one.clients.referral(&ids[1]).await);
        let fallen: Vec<_> = [&first, &second].into_iter().filter(|claim| !claim.confirmed).collect();
        assert_eq!(fallen.len(), 1, "{first:?} {second:?}");
        assert_eq!(fallen[0].rejected_for(), wire::ReferralRejection::Circle);
        for claim in [&first, &second] {
            let member_id = claim.friend_member_id.clone();
            let request = wire::ExplainAttributionRequest { member_id, ..Default::default() };
            let asked = one.clients.referral.clone().explain_attribution(request).await.unwrap().into_inner().attempts;
            let told: Vec<_> = asked.iter().map(|of| (of.state(), of.rejected_for())).collect();
            assert_eq!(told, [(claim.state(), claim.rejected_for())], "support reads out what became of it");
        }
        for (member, amount) in [(&a, 1_000), (&b, 1_000)] {
            one.clients.send(&commit(member, "buy", order("o", amount))).await.commit();
        }
        let (winner, loser) = if first.confirmed { (&a, &b) } else { (&b, &a) };
        eventually("the one who stands brings the reward", async || {
            world.clock().set(world.clock().now(None).plus_ms(2_000));
            one.clients.member(loser).await.friends_qualified == 1
        })
        .await;
        assert_eq!(one.clients.member(winner).await.friends_qualified, 0);
        for member in [&a, &b] {
            one.clients.verify(member).await;
        }
    }
}

const MANY: &str = "guerdon: 1
program: circles
title: Circles
time_zone: UTC
currencies: [EUR]
units: {points: {}}
referrals: [{id: friends, title: F, advocate: {units: 100}, friend: {units: 10}, milestones: [{from: 31, times: 2}], generations: [50%]}]
";

/// What many friends bring at once is written into the advocate's account a few times, and counted once whatever gets lost.
pub(crate) async fn r9_what_many_friends_bring_is_taken_in_together<W: World>() {
    const FRIENDS: i64 = 60;
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let server = Server::start_idle_with(store.clone(), world.clock(), options(), MANY).await;
    let clients = &server.clients;
    let tell = async || {
        for _ in 0..3 {
            let now = world.clock().now(None).plus_ms(2_000);
            world.clock().set(now);
            server.service.end_day(now).await.unwrap();
        }
    };
    clients.enroll("zoe").await;
    let zoes = code_of(&server, "zoe", "friends").await;
    tell().await;
    clients.enroll("ann").await;
    clients.send(&attribute("ann", "by", &zoes)).await;
    let code = code_of(&server, "ann", "friends").await;
    tell().await;
    for n in 0..FRIENDS {
        let friend = format!("f{n}");
        clients.enroll(&friend).await;
        clients.send(&attribute(&friend, "by", &code)).await;
        clients.send(&commit(&friend, "c", order(&format!("o-{n}"), 100))).await;
    }
    let account = guerdon::domain::id::AccountId::parse("ann").unwrap();
    let key = layout().account(&guerdon::domain::id::ProgramId::parse("circles").unwrap(), &account);
    let written = Arc::new(AtomicU32::new(0));
    let seen = written.clone();
    store.plan(move |commit| {
        if commit.writes.iter().all(|write| write.key != key) {
            return Fault::None;
        }
        match seen.fetch_add(1, Ordering::Relaxed) {
            1 => Fault::LoseAnswer,
            2 => Fault::LoseRequest,
            _ => Fault::None,
        }
    });
    tell().await;
    store.plan(|_| Fault::None);
    let ann = clients.member("ann").await;
    // Twice from the thirty-first on.
    assert_eq!((ann.friends_qualified, available(&ann.balances)), (FRIENDS, 30 * 100 + 30 * 200));
    assert_eq!(clients.available("zoe").await, 50 * FRIENDS, "a share of each goes on, without milestones");
    let written = i64::from(written.load(Ordering::Relaxed));
    assert!(0 < written && written < FRIENDS, "{written} commits");
    for member in ["ann", "zoe", "f0"] {
        clients.verify(member).await;
    }
}
