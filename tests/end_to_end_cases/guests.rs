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
    let answer = clients.send(&give_back("", "r1", "o", "ret-1", some)).await.r#return();
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
    use guerdon::domain::ledger::{digest, encode};
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
        let body = encode(&MemberRecord::Alias(AccountId::parse("mia").unwrap()));
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
