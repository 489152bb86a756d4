//! A store whose answers are lost: every write still happens exactly once and is answered.

use std::sync::Arc;
use std::time::Duration;

use guerdon::grpc::wire::{self, OutcomeState};
use tokio::sync::Semaphore;
use tonic::Code;

use super::flows::Dice;
use crate::support::faulty::{Fault, FaultyStore};
use crate::support::server::*;

/// Writes that depend on each other, so that one done twice or not at all shows in the end.
fn story(code: &str) -> Vec<Write> {
    let mut writes = vec![enroll("ben"), attribute("ben", "attribute", code), create_code("ben", "create")];
    for n in 0..8 {
        let (id, cents) = (format!("o{n}"), 700 * (n + 1));
        writes.push(adjust("ben", &format!("a{n}"), 30));
        writes.push(reserve("ben", &format!("r{n}"), order(&id, cents), points(20 + n)));
        if n % 3 == 2 {
            writes.push(release("ben", &format!("l{n}"), &id));
        }
        writes.push(commit("ben", &format!("c{n}"), order(&id, cents)));
        if n % 2 == 1 {
            writes.push(give_back("ben", &format!("b{n}"), &id, "ret", everything()));
        }
    }
    writes
}

type Told = (Vec<Answer>, Vec<wire::Balance>, Vec<wire::Balance>, Vec<(String, Vec<wire::Posting>)>);

async fn tell(server: &Server) -> Told {
    let clients = &server.clients;
    clients.send_until_answered(&enroll("ann")).await;
    let code = clients.send_until_answered(&create_code("ann", "code")).await.create_code().code;
    let mut answers = Vec::new();
    for write in story(&code) {
        answers.push(clients.send_until_answered(&write).await.as_first());
    }
    eventually("the advocate is rewarded", async || clients.available("ann").await == 350).await;
    for member in ["ann", "ben"] {
        clients.verify(member).await;
    }
    let ledger = clients.entries("ben", 500).await.into_iter().map(|entry| (entry.fact, entry.postings));
    (answers, clients.member("ann").await.balances, clients.member("ben").await.balances, ledger.collect())
}

pub(crate) async fn lost_requests_and_lost_answers_change_nothing<W: World>() {
    let undisturbed = tell(&W::start().serve().await).await;
    for seed in [3, 77, 4_711] {
        let world = W::start();
        let store = FaultyStore::new(world.store());
        let server = Server::start(store.clone(), world.clock(), options()).await;
        let mut dice = Dice(seed);
        store.plan(move |_| match dice.below(6) {
            0 | 1 => Fault::LoseAnswer,
            2 => Fault::LoseRequest,
            3 => Fault::Away,
            _ => Fault::None,
        });
        assert_eq!(tell(&server).await, undisturbed, "seed {seed}");
    }
}

pub(crate) async fn a_write_whose_outcome_stays_unknown_says_so_and_is_settled_by_a_resend<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let server = Server::start_idle(store.clone(), world.clock(), options()).await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    for (n, fault) in [Fault::LoseAnswer, Fault::LoseRequest].into_iter().enumerate() {
        let planned = fault.clone();
        store.plan(move |_| planned.clone());
        let write = commit("mia", &format!("c{n}"), order(&format!("o{n}"), 1_000));
        let status = clients.try_send(&write).await;
        store.plan(|_| Fault::None);
        let status = match (status, &fault) {
            // The resend inside found the receipt of the first: that is an answer.
            (Ok(answer), Fault::LoseAnswer) => {
                assert_eq!(answer.commit().status(), wire::CommitStatus::Committed);
                continue;
            }
            (answer, _) => answer.unwrap_err(),
        };
        assert_eq!((status.code(), reason(&status).0.as_str()), (Code::Unavailable, "OUTCOME_UNKNOWN"));
        let answer = clients.send(&write).await.commit();
        assert_eq!(answer.status(), wire::CommitStatus::Committed);
    }
    assert_eq!(clients.available("mia").await, 120);
    clients.verify("mia").await;
}

pub(crate) async fn a_caller_that_leaves_does_not_cut_its_write_in_half<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let server = Server::start_idle(store.clone(), world.clock(), options()).await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    let gate = Arc::new(Semaphore::new(0));
    let (gate_of_plan, reached) = (gate.clone(), Arc::new(Semaphore::new(0)));
    let reached_of_plan = reached.clone();
    store.plan(move |_| {
        reached_of_plan.add_permits(1);
        Fault::Wait(gate_of_plan.clone())
    });

    // One states a deadline that passes, one hangs up.
    let mut timed = tonic::Request::new(match commit("mia", "c1", order("o1", 1_000)) {
        Write::Commit(raw) => raw,
        other => panic!("{other:?}"),
    });
    timed.set_timeout(Duration::from_millis(500));
    let status = clients.checkout.clone().commit(timed).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    reached.acquire().await.unwrap().forget();
    gate.add_permits(1);
    eventually("the write completes", async || {
        clients.outcome("mia", "c1", false).await.state() == OutcomeState::Answered
    })
    .await;

    let write = commit("mia", "c2", order("o2", 1_000));
    tokio::select! {
        answer = clients.try_send(&write) => panic!("{answer:?}"),
        permit = reached.acquire() => permit.unwrap().forget(),
    }
    gate.add_permits(1_000);
    eventually("the write completes", async || {
        clients.outcome("mia", "c2", false).await.state() == OutcomeState::Answered
    })
    .await;
    assert_eq!(clients.available("mia").await, 120);
    let answer = clients.send(&write).await;
    assert!(answer.replayed());
    clients.verify("mia").await;
}

pub(crate) async fn draining_answers_what_was_accepted_and_refuses_what_comes_after<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let server = Server::start(store.clone(), world.clock(), options()).await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    let (gate, reached) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (gate_of_plan, reached_of_plan) = (gate.clone(), reached.clone());
    store.plan(move |commit| {
        if commit.receipts.is_empty() {
            return Fault::None;
        }
        reached_of_plan.add_permits(1);
        Fault::Wait(gate_of_plan.clone())
    });
    let write = commit("mia", "c1", order("o1", 1_000));
    let accepted = clients.send(&write);
    let drained = async {
        reached.acquire().await.unwrap().forget();
        let mut draining = std::pin::pin!(server.service.drain());
        assert!(leave(draining.as_mut()).await.is_none(), "a write is in progress");
        let status = clients.try_send(&commit("mia", "c2", order("o2", 1_000))).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).0.as_str()), (Code::Unavailable, "DRAINING"));
        gate.add_permits(1);
        draining.await;
    };
    let (answer, ()) = tokio::join!(accepted, drained);
    assert_eq!(answer.commit().status(), wire::CommitStatus::Committed);
}
