//! Orders of guests, over the wire and over each store.

use guerdon::grpc::wire;
use tokio::task::JoinSet;

use crate::support::server::*;

fn claimed(answer: &Answer) -> wire::ClaimStatus {
    answer.clone().claim_order().status()
}

pub(crate) async fn a17_a_guest_order_is_recorded_returned_and_claimed_once<W: World>() {
    let world = W::start();
    let server = world.serve().await;
    let clients = &server.clients;
    let write = commit("", "c1", order_of("o", vec![line("a", "bread", 2, 1_000), line("b", "bread", 1, 1_000)]));
    let first = clients.send(&write).await;
    assert_eq!(clients.send(&write).await, first.as_replayed());
    let committed = first.clone();
    let decision = first.commit().decision.unwrap();
    let would: Vec<i64> = decision
        .effects
        .iter()
        .filter_map(|effect| match effect.effect.as_ref() {
            Some(wire::effect::Effect::UnitsClaimable(claimable)) => Some(claimable.would_grant.as_ref()?.granted),
            Some(_) | None => panic!("a guest is granted nothing: {effect:?}"),
        })
        .collect();
    let would: i64 = would.iter().sum();
    assert!(0 < would);
    let fenced = wire::GetOutcomeRequest { request_id: "c1".into(), guest_order_id: "o".into(), ..Default::default() };
    let outcome = clients.checkout.clone().get_outcome(fenced).await.unwrap().into_inner();
    assert_eq!(outcome.state(), wire::OutcomeState::Answered);

    let back = wire::ReturnLine { line_id: "b".into(), measure: Some(wire::return_line::Measure::Quantity(1)) };
    let some = wire::ReturnWhat { lines: vec![back], ..Default::default() };
    let returned = clients.send(&give_back("", "r1", "o", "ret-1", some.clone())).await;
    let answer = returned.clone().r#return();
    assert_eq!((answer.status(), answer.refund.unwrap().money_minor), (wire::ReturnStatus::Applied, 1_000));
    assert_eq!(clients.order("", "o").await.member_id, "");

    // Nobody of that name yet: not remembered, and nobody has it.
    assert_eq!(clients.send(&claim("mia", "cl", "o")).await.refusals(), [wire::RefusalReason::MemberUnknown]);
    clients.enroll("mia").await;
    clients.enroll("ben").await;
    let had = clients.available("mia").await;
    let first = clients.send(&claim("mia", "cl", "o")).await;
    assert_eq!(claimed(&first), wire::ClaimStatus::Claimed);
    assert_eq!(clients.send(&claim("mia", "cl", "o")).await, first.as_replayed());
    assert_eq!(claimed(&clients.send(&claim("mia", "cl2", "o")).await), wire::ClaimStatus::AlreadyClaimed);
    let late = clients.send(&claim("ben", "cl", "o")).await;
    assert_eq!(late.refusals(), [wire::RefusalReason::ClaimedByOther]);
    assert_eq!(clients.send(&claim("ben", "cl", "o")).await, late.as_replayed());
    assert!(had < clients.available("mia").await);

    // What was sent before the claim is answered as it was then. It was decided anew once.
    assert_eq!(clients.send(&write).await, committed.as_replayed());
    assert_eq!(clients.send(&give_back("", "r1", "o", "ret-1", some)).await, returned.as_replayed());

    // Who knows of the guest alone reaches the member's order: the shop's commit comes again, more goods come back.
    let again = clients.send(&write.under("c9")).await.commit();
    assert_eq!(again.status(), wire::CommitStatus::AlreadyCommitted);
    let rest = clients.send(&give_back("", "r2", "o", "ret-2", everything())).await.r#return();
    assert_eq!((rest.status(), rest.refund.unwrap().money_minor), (wire::ReturnStatus::Applied, 1_000));
    assert_eq!(clients.available("mia").await, had);
    let record = clients.order("", "o").await;
    assert_eq!((record.member_id.as_str(), record.state()), ("mia", wire::OrderState::Returned));
    assert!(record.claimed_at.is_some());
    clients.verify("mia").await;
    let absent = clients.send(&claim("ben", "cl3", "nothing")).await;
    assert_eq!(absent.refusals(), [wire::RefusalReason::OrderUnknown]);
}

pub(crate) async fn a17_of_many_claimants_at_once_one_has_the_order<W: World>() {
    let world = W::start();
    let (one, two) = (world.serve_idle().await, world.serve_idle().await);
    for n in 0..8 {
        one.clients.enroll(&format!("m{n}")).await;
    }
    let mut had = Vec::new();
    for n in 0..8 {
        had.push(one.clients.available(&format!("m{n}")).await);
    }
    one.clients.send(&commit("", "c1", order("o", 1_000))).await;
    let mut tasks = JoinSet::new();
    // Each sends it three times, under one request id.
    for n in 0..24 {
        let clients = if n % 2 == 0 { one.clients.clone() } else { two.clients.clone() };
        tasks.spawn(
            async move { (n % 8, clients.send_until_answered(&claim(&format!("m{}", n % 8), "cl", "o")).await) },
        );
    }
    let answers = tasks.join_all().await;
    let mut winners: Vec<usize> =
        answers.iter().filter(|(_, answer)| claimed(answer) == wire::ClaimStatus::Claimed).map(|(n, _)| *n).collect();
    winners.sort_unstable();
    winners.dedup();
    let [winner] = winners.as_slice() else { panic!("{winners:?} have claimed one order") };
    for (n, answer) in &answers {
        if n != winner {
            assert_eq!(answer.refusals(), [wire::RefusalReason::ClaimedByOther]);
        }
    }
    for (n, had) in had.iter().enumerate() {
        let member = format!("m{n}");
        assert_eq!(*had < one.clients.available(&member).await, n == *winner, "{member}");
        two.clients.verify(&member).await;
    }
}

/// The process dies between the claim and the decision on it: the next call that names the order finishes the claim.
pub(crate) async fn a17_a_claim_that_stopped_half_way_is_finished_by_any_call<W: World>() {
    use guerdon::domain::account::MemberRecord;
    use guerdon::domain::id::{AccountId, MemberId, OrderId, ProgramId};
    use guerdon::domain::ledger::digest;
    use guerdon::store::{Commit, Expected, Outcome, Record, Token, Write as Put};

    for by_claim in [true, false] {
        let world = W::start();
        let server = world.serve_idle().await;
        let clients = &server.clients;
        clients.enroll("mia").await;
        let had = clients.available("mia").await;
        clients.send(&commit("", "c1", order("o", 3_000))).await;
        let program = ProgramId::parse("club").unwrap();
        let guest = AccountId::from(&MemberId::guest(&OrderId::parse("o").unwrap()));
        let key = layout().account(&program, &guest);
        let before = world.store().load(key.partition, std::slice::from_ref(&key)).await.unwrap().remove(0).unwrap();
        let body = MemberRecord::Alias(AccountId::parse("mia").unwrap()).to_stored();
        let record = Record { token: Token::new(before.token.sequence() + 1, &digest(&body)), body };
        let half = Commit {
            partition: key.partition,
            expect: vec![(key.clone(), Expected::At(before.token))],
            writes: vec![Put { key, record: Some(record) }],
            ..Commit::default()
        };
        assert_eq!(world.store().commit(&half).await.unwrap(), Outcome::Applied);
        // A new process, which has seen nothing.
        drop(server);
        let server = world.serve_idle().await;
        let clients = &server.clients;
        if by_claim {
            let answer = clients.send(&claim("mia", "cl", "o")).await;
            assert_eq!(claimed(&answer), wire::ClaimStatus::Claimed);
            assert!(had < clients.available("mia").await);
        } else {
            let answer = clients.send(&give_back("", "r1", "o", "ret-1", everything())).await.r#return();
            assert_eq!((answer.status(), answer.refund.unwrap().money_minor), (wire::ReturnStatus::Applied, 3_000));
            assert_eq!(clients.available("mia").await, had);
        }
        assert_eq!(clients.order("mia", "o").await.member_id, "mia");
        clients.verify("mia").await;
    }
}

const WAITING: &str = "
guerdon: 1
program: club
title: Club
time_zone: Europe/Berlin
currencies: [EUR]
units: {points: {activates_on_event: delivered, expires_after: 10 days}}
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: EUR 1.00}}}
";

async fn waiting<W: World>(world: &W) -> Server {
    Server::start_idle_with(world.store(), world.clock(), options(), WAITING).await
}

pub(crate) async fn b1_a_parcel_releases_what_waits_for_it_once<W: World>() {
    let world = W::start();
    let server = waiting(&world).await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    let lines = vec![line("a", "bread", 1, 1_000), line("b", "bread", 1, 500)];
    clients.send(&commit("mia", "c", order_of("o", lines))).await;
    let balance = clients.member("mia").await.balances.remove(0);
    assert_eq!((balance.available, balance.pending, balance.awaiting_event), (0, 15, 15));
    let mut tasks = JoinSet::new();
    for n in 0..12 {
        let clients = clients.clone();
        tasks.spawn(async move {
            clients
                .send_until_answered(&order_event("mia", &format!("r{}", n % 3), "o", ("e1", "delivered"), &["a"]))
                .await
        });
    }
    let answers = tasks.join_all().await;
    let recorded = |answer: &Answer| {
        answer.clone().record_order_event().status() == wire::RecordOrderEventStatus::Recorded && !answer.replayed()
    };
    assert_eq!(answers.iter().filter(|answer| recorded(answer)).count(), 1);
    let balance = clients.member("mia").await.balances.remove(0);
    assert_eq!((balance.available, balance.pending), (10, 5));
    let other = clients.send(&order_event("mia", "r9", "o", ("e1", "delivered"), &["b"])).await;
    assert_eq!(other.refusals(), [wire::RefusalReason::EventDiffers]);
    assert_eq!(clients.order("mia", "o").await.events[0].line_ids, ["a"]);
    clients.verify("mia").await;
}

pub(crate) async fn b2_expiry_is_extended_and_undone_over_the_wire<W: World>() {
    let world = W::start();
    let server = waiting(&world).await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&adjust("mia", "fund", 40)).await;
    let nothing = clients.send(&reinstate("mia", "re")).await;
    assert_eq!(nothing.refusals(), [wire::RefusalReason::NothingExpired]);
    let first = clients.send(&extend("mia", "ex")).await;
    assert!(first.clone().extend_expiry().extended);
    assert_eq!(clients.send(&extend("mia", "ex")).await, first.as_replayed());
    let expiries = clients.member("mia").await.balances.remove(0).expiries;
    assert_eq!(
        expiries,
        [wire::DatedUnits { at: Some(prost_types::Timestamp { seconds: 4_070_908_800, nanos: 0 }), amount: 40 }]
    );
    world.clock().set(guerdon::domain::time::Instant(4_070_908_800_000));
    assert_eq!(clients.available("mia").await, 0);
    let back = clients.send(&reinstate("mia", "re-2")).await;
    assert!(back.clone().reinstate().reinstated);
    assert_eq!(clients.send(&reinstate("mia", "re-2")).await, back.as_replayed());
    assert_eq!(clients.available("mia").await, 40);
    clients.verify("mia").await;
}

pub(crate) async fn b10_a_statement_covers_its_period_and_its_balances_run<W: World>() {
    let world = W::start();
    let server = waiting(&world).await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    for n in 0..7 {
        world.clock().set(BEGIN.plus_ms(n * 3_600_000));
        clients.send(&adjust("mia", &format!("a{n}"), 10)).await;
    }
    let all = clients.entries("mia", 100).await;
    // Page by page it is the same, and the running balance is the sum so far.
    assert_eq!(clients.entries("mia", 2).await, all);
    let mut sum = 0;
    for entry in &all {
        for posting in entry.postings.iter().filter(|posting| posting.book == "available") {
            sum += posting.amount;
        }
        assert_eq!(entry.balances.iter().map(|balance| balance.available).next().unwrap_or(sum), sum);
    }
    assert_eq!(sum, 70);
    let instant = |entry: &wire::Entry| entry.posted_at;
    for period_of in [wire::EntryTime::Posted, wire::EntryTime::Effective] {
        let (from, until) = (instant(&all[2]), instant(&all[5]));
        let request = wire::ListEntriesRequest {
            member_id: "mia".into(),
            from,
            until,
            period_of: period_of.into(),
            ..Default::default()
        };
        let found = clients.member.clone().list_entries(request).await.unwrap().into_inner();
        let key = |entry: &wire::Entry| entry.posted_at.as_ref().map(|at| (at.seconds, at.nanos));
        let expected: Vec<wire::Entry> =
            all.iter().filter(|entry| key(&all[2]) <= key(entry) && key(entry) < key(&all[5])).cloned().collect();
        assert_eq!(found.entries, expected, "{period_of:?}");
    }
}
