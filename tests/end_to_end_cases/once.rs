//! Exactly once: whatever is sent again, by whom and when.

use std::sync::Arc;

use guerdon::domain::account::{AccountState, MemberRecord};
use guerdon::domain::id::{AccountId, OrderId};
use guerdon::domain::ledger::Stored;
use guerdon::domain::time::Instant;
use guerdon::grpc::wire::{self, OutcomeState};
use guerdon::service::Calls;
use guerdon::store;
use tonic::Code;

use crate::support::server::*;

/// One write of each kind, then some that are refused. Each can be decided when its turn comes.
fn one_of_each(code: &str) -> Vec<Write> {
    let what = wire::ReturnWhat {
        lines: vec![wire::ReturnLine {
            line_id: "1".into(),
            measure: Some(wire::return_line::Measure::AmountMinor(500)),
        }],
        ..Default::default()
    };
    vec![
        enroll("mia"),
        attribute("mia", "attribute", code),
        create_code("mia", "create"),
        adjust("mia", "adjust", 50),
        reserve("mia", "reserve", order("o1", 3_000), points(60)),
        reserve("mia", "reserve-2", order("o2", 3_000), points(10)),
        release("mia", "release", "o2"),
        commit("mia", "commit", order("o1", 3_000)),
        order_event("mia", "event", "o1", ("e1", "delivered"), &["1"]),
        extend("mia", "extend"),
        reinstate("mia", "reinstate"),
        amend("mia", "amend", "o1", "am", &[], vec![line("2", "goods", 1, 700)]),
        give_back("mia", "return", "o1", "ret", what),
        commit_with("mia", "refused-commit", order("o3", 1_000_000), Some(points(99_999))),
        adjust("mia", "refused-adjust", -99_999),
        reserve("mia", "refused-reserve", order("o4", 1_000_000), points(99_999)),
        give_back(
            "mia",
            "refused-return",
            "o1",
            "ret-2",
            wire::ReturnWhat {
                lines: vec![wire::ReturnLine {
                    line_id: "1".into(),
                    measure: Some(wire::return_line::Measure::AmountMinor(2_501)),
                }],
                ..Default::default()
            },
        ),
        attribute("mia", "refused-attribute", code),
        update("mia", "update", wire::ProfileChange { add_tags: vec!["vip".into()], ..Default::default() }),
    ]
}

pub(crate) async fn every_write_sent_again_gets_the_same_answer_and_does_nothing<W: World>() {
    let world = W::start();
    let (server, other) = (world.serve_idle().await, world.serve_idle().await);
    let clients = &server.clients;
    clients.enroll("ann").await;
    let code = clients.code_of("ann").await;
    let writes = one_of_each(&code);
    let mut answers = Vec::new();
    for write in &writes {
        let first = clients.send(write).await;
        assert!(!first.replayed(), "{write:?}");
        assert_eq!(clients.send(write).await, first.as_replayed(), "{write:?}");
        assert_eq!(other.clients.send(write).await, first.as_replayed(), "{write:?}");
        answers.push(first);
    }
    let before = clients.member("mia").await;
    // Days later, in any order, on either instance.
    world.clock().set(Instant(BEGIN.0 + 6 * DAY_MS));
    for (write, first) in writes.iter().zip(&answers).rev() {
        assert_eq!(other.clients.send(write).await, first.as_replayed(), "{write:?}");
        assert_eq!(clients.send(write).await, first.as_replayed(), "{write:?}");
        let outcome = clients.outcome(write.member_id(), write.request_id(), true).await;
        assert_eq!(outcome.state(), OutcomeState::Answered);
        assert_eq!(Answer::of_outcome(outcome.answer.unwrap()), first.as_replayed(), "{write:?}");
    }
    let after = clients.member("mia").await;
    assert_eq!((after.balances, after.entries), (before.balances, before.entries));
    clients.verify("mia").await;
}

pub(crate) async fn a_request_id_used_for_something_else_is_refused_naming_the_field<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll("ann").await;
    let code = clients.code_of("ann").await;
    let writes = one_of_each(&code);
    for write in &writes {
        clients.send(write).await;
    }
    let before = clients.member("mia").await;
    for write in &writes {
        let mut others = vec![(write.at(BEGIN), "occurred_at")];
        match write.clone() {
            Write::Enroll(raw) => {
                others.push((Write::Enroll(wire::EnrollRequest { codes: vec!["x".into()], ..raw }), "codes"));
            }
            Write::Reserve(raw) => {
                let ttl_seconds = Some(60);
                others.push((Write::Reserve(wire::ReserveRequest { ttl_seconds, ..raw.clone() }), "ttl_seconds"));
                let redeem = Some(points(7));
                others.push((Write::Reserve(wire::ReserveRequest { redeem, ..raw }), "redeem"));
            }
            Write::Commit(raw) => {
                let order = Some(order("o1", 3_001));
                others.push((Write::Commit(wire::CommitRequest { order, paid: true, ..raw.clone() }), "order"));
                others.push((Write::Commit(wire::CommitRequest { paid: true, ..raw }), "paid"));
            }
            Write::UpdateCode(raw) => {
                let code = "x".into();
                others.push((Write::UpdateCode(wire::UpdateCodeRequest { code, ..raw }), "code"));
            }
            Write::Release(raw) => {
                let order_id = "o9".into();
                others.push((Write::Release(wire::ReleaseRequest { order_id, ..raw }), "order_id"));
            }
            Write::Return(raw) => {
                let return_id = "ret-9".into();
                others.push((Write::Return(wire::ReturnRequest { return_id, ..raw.clone() }), "return_id"));
                // Asked for what does not exist, it is the same mistake.
                let order_id = "o9".into();
                others.push((Write::Return(wire::ReturnRequest { order_id, ..raw }), "order_id"));
            }
            Write::AmendOrder(raw) => {
                let amendment_id = "am-9".into();
                others.push((Write::AmendOrder(wire::AmendOrderRequest { amendment_id, ..raw }), "amendment_id"));
            }
            Write::RecordOrderEvent(raw) => {
                let event = "lost".into();
                others.push((Write::RecordOrderEvent(wire::RecordOrderEventRequest { event, ..raw }), "event"));
            }
            Write::ExtendExpiry(raw) => {
                let note = "n".into();
                others.push((Write::ExtendExpiry(wire::ExtendExpiryRequest { note, ..raw }), "note"));
            }
            Write::Reinstate(raw) => {
                let note = "n".into();
                others.push((Write::Reinstate(wire::ReinstateRequest { note, ..raw }), "note"));
            }
            Write::ClaimOrder(raw) => {
                let order_id = "o9".into();
                others.push((Write::ClaimOrder(wire::ClaimOrderRequest { order_id, ..raw }), "order_id"));
            }
            Write::Adjust(raw) => {
                let amount = raw.amount + 1;
                others.push((Write::Adjust(wire::AdjustRequest { amount, ..raw.clone() }), "amount"));
                others.push((Write::Adjust(wire::AdjustRequest { note: "n".into(), ..raw }), "note"));
            }
            Write::CreateCode(raw) => {
                let vanity = "MIAMIA".into();
                others.push((Write::CreateCode(wire::CreateCodeRequest { vanity, ..raw }), "vanity"));
            }
            Write::RecordEvent(raw) => {
                let value = Some(raw.value.unwrap_or(0) + 1);
                others.push((Write::RecordEvent(wire::RecordEventRequest { value, ..raw }), "value"));
            }
            Write::ReviewEvent(raw) => {
                let agent_id = "other".into();
                others.push((Write::ReviewEvent(wire::ReviewEventRequest { agent_id, ..raw }), "agent_id"));
            }
            Write::RevokeEvent(raw) => {
                let agent_id = "other".into();
                others.push((Write::RevokeEvent(wire::RevokeEventRequest { agent_id, ..raw }), "agent_id"));
            }
            Write::Merge(_) | Write::Unmerge(_) | Write::Erase(_) | Write::Transfer(_) => {}
            Write::JoinAccount(_) | Write::LeaveAccount(_) | Write::SetRole(_) => {}
            Write::Redeem(_) | Write::FulfilVoucher(_) | Write::CancelVoucher(_) => {}
            Write::PreparePayout(_) | Write::ConfirmPayout(_) | Write::ReviewReward(_) => {}
            Write::UpdateMember(raw) => {
                let change = Some(wire::ProfileChange { add_tags: vec!["new".into()], ..Default::default() });
                others.push((Write::UpdateMember(wire::UpdateMemberRequest { change, ..raw }), "change"));
            }
            Write::SetTier(raw) => {
                others.push((Write::SetTier(wire::SetTierRequest { level: "other".into(), ..raw }), "level"));
            }
            Write::Attribute(raw) => {
                others.push((Write::Attribute(wire::AttributeRequest { code: "x".into(), ..raw }), "code"));
            }
        }
        let method = if matches!(write, Write::Adjust(_)) { release("mia", "", "o1") } else { adjust("mia", "", 1) };
        others.push((method.under(write.request_id()), "method"));
        for (other, field) in others {
            let status = clients.try_send(&other).await.unwrap_err();
            assert_eq!(status.code(), Code::AlreadyExists, "{other:?}");
            assert_eq!(reason(&status), ("REQUEST_ID_REUSED".to_owned(), field.to_owned()), "{other:?}");
        }
    }
    assert_eq!(clients.member("mia").await.entries, before.entries);
}

pub(crate) async fn a_refusal_is_remembered_and_a_new_request_is_decided_anew<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    let write = commit_with("mia", "c1", order("o1", 5_000), Some(points(500)));
    let refused = clients.send(&write).await;
    assert_eq!(refused.refusals(), [wire::RefusalReason::BalanceTooLow]);
    clients.send(&adjust("mia", "a1", 1_000)).await;
    assert_eq!(clients.send(&write).await, refused.as_replayed());
    let anew = clients.send(&write.under("c2")).await.commit();
    assert_eq!(anew.status(), wire::CommitStatus::Committed);
}

pub(crate) async fn a_missing_predecessor_is_not_remembered<W: World>() {
    let world = W::start();
    let (server, other) = (world.serve_idle().await, world.serve_idle().await);
    let clients = &server.clients;
    let write = commit("mia", "c1", order("o1", 5_000));
    for _ in 0..2 {
        let refused = clients.send(&write).await;
        assert_eq!(refused.refusals(), [wire::RefusalReason::MemberUnknown]);
        assert!(!refused.replayed());
    }
    assert_eq!(clients.outcome("mia", "c1", false).await.state(), OutcomeState::NotApplied);
    other.clients.enroll("mia").await;
    let committed = clients.send(&write).await;
    assert_eq!(committed.clone().commit().status(), wire::CommitStatus::Committed);
    assert_eq!(clients.send(&write).await, committed.as_replayed());

    let back = give_back("mia", "b1", "o2", "ret", everything());
    assert_eq!(clients.send(&back).await.refusals(), [wire::RefusalReason::OrderUnknown]);
    other.clients.send(&commit("mia", "c2", order("o2", 500))).await;
    assert_eq!(clients.send(&back).await.r#return().status(), wire::ReturnStatus::Applied);
    let line = wire::ReturnWhat {
        lines: vec![wire::ReturnLine {
            line_id: "nine".into(),
            measure: Some(wire::return_line::Measure::Quantity(1)),
        }],
        ..Default::default()
    };
    let unknown = clients.send(&give_back("mia", "b2", "o1", "ret", line)).await;
    assert_eq!(unknown.refusals(), [wire::RefusalReason::LineUnknown]);
    assert_eq!(clients.outcome("mia", "b2", false).await.state(), OutcomeState::NotApplied);
}

pub(crate) async fn an_order_is_committed_once_whatever_request_id_carries_it<W: World>() {
    let world = W::start();
    let (server, stale) = (world.serve_idle().await, world.serve_idle().await);
    let clients = &server.clients;
    clients.enroll("mia").await;
    // Warms the second instance's cache, which the commits on the first make stale.
    assert_eq!(stale.clients.available("mia").await, 100);
    let first = clients.send(&commit("mia", "c1", order("o1", 4_200))).await.commit();
    for (at, clients) in [&stale.clients, clients, &stale.clients].into_iter().enumerate() {
        let again = clients.send(&commit("mia", &format!("again-{at}"), order("o1", 4_200))).await.commit();
        assert_eq!(again.status(), wire::CommitStatus::AlreadyCommitted);
        assert_eq!(again.decision, first.decision, "what was decided then");
        assert!(!again.replayed);
        let other = clients.send(&commit("mia", &format!("other-{at}"), order("o1", 4_201))).await;
        assert_eq!(other.refusals(), [wire::RefusalReason::OrderDiffers]);
    }
    assert_eq!(clients.available("mia").await, 142);
    assert_eq!(clients.verify("mia").await.orders, 1);
}

pub(crate) async fn a_return_is_applied_once_whatever_request_id_carries_it<W: World>() {
    let world = W::start();
    let (server, stale) = (world.serve_idle().await, world.serve_idle().await);
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&commit("mia", "c1", order_of("o1", vec![line("1", "goods", 4, 4_000)]))).await;
    assert_eq!(stale.clients.available("mia").await, 140);
    let what = |quantity| wire::ReturnWhat {
        lines: vec![wire::ReturnLine {
            line_id: "1".into(),
            measure: Some(wire::return_line::Measure::Quantity(quantity)),
        }],
        ..Default::default()
    };
    let first = clients.send(&give_back("mia", "b1", "o1", "ret", what(1))).await.r#return();
    for (at, clients) in [&stale.clients, clients].into_iter().enumerate() {
        let again = clients.send(&give_back("mia", &format!("again-{at}"), "o1", "ret", what(1))).await.r#return();
        assert_eq!(again.status(), wire::ReturnStatus::AlreadyApplied);
        assert_eq!((&again.refund, &again.decision), (&first.refund, &first.decision));
        let other = clients.send(&give_back("mia", &format!("other-{at}"), "o1", "ret", what(2))).await;
        assert_eq!(other.refusals(), [wire::RefusalReason::ReturnDiffers]);
    }
    assert_eq!(clients.available("mia").await, 130);
}

pub(crate) async fn an_outcome_is_unknown_answered_or_fenced<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    let write = commit("mia", "c1", order("o1", 500));
    assert_eq!(clients.outcome("mia", "c1", false).await.state(), OutcomeState::NotApplied);
    let answer = clients.send(&write).await;
    for fence in [false, true, false] {
        let outcome = clients.outcome("mia", "c1", fence).await;
        assert_eq!(outcome.state(), OutcomeState::Answered, "a fence changes nothing of what is answered");
        assert_eq!(Answer::of_outcome(outcome.answer.unwrap()), answer.as_replayed());
    }

    for (late, member) in [(commit("mia", "c2", order("o2", 500)), "mia"), (enroll("leo").under("e2"), "leo")] {
        for fence in [true, true, false] {
            assert_eq!(clients.outcome(member, late.request_id(), fence).await.state(), OutcomeState::Fenced);
        }
        for _ in 0..2 {
            let status = clients.try_send(&late).await.unwrap_err();
            assert_eq!(status.code(), Code::FailedPrecondition);
            assert_eq!(reason(&status).0, "REQUEST_FENCED");
        }
        assert!(!clients.send(&late.under("new-id")).await.replayed(), "another id is free");
    }
    assert_eq!(clients.available("mia").await, 110);
}

pub(crate) async fn a_callers_clock_that_is_ahead_loses_no_order<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    let now = world.clock().now(None);
    // A little ahead counts as now.
    let answer = clients.send(&commit("mia", "c1", order("o1", 1_000)).at(now.plus_ms(4_000))).await.commit();
    assert_eq!(answer.status(), wire::CommitStatus::Committed);
    assert_eq!(answer.decision.unwrap().effective_at, Some(timestamp(now)));
    // Further ahead is refused, and not for good: time cures it.
    let ahead = commit("mia", "c2", order("o2", 1_000)).at(now.plus_ms(60_000));
    let refused = clients.send(&ahead).await;
    assert_eq!(refused.refusals(), [wire::RefusalReason::InFuture]);
    world.clock().set(now.plus_ms(61_000));
    assert_eq!(clients.send(&ahead).await.commit().status(), wire::CommitStatus::Committed);
}

/// To and fro, by up to days: less than a request id is remembered for.
pub(crate) async fn f1_a_servers_clock_that_jumps_loses_nothing_and_does_nothing_twice<W: World>() {
    const HOUR_MS: i64 = 3_600_000;
    let world = W::start();
    let server = world.serve().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    let begin = world.clock().now(None);
    let mut told: Vec<Write> = Vec::new();
    for (n, hours) in [0, 48, -24, 96, 95, -1, 120, 121].into_iter().enumerate() {
        world.clock().set(begin.plus_ms(hours * HOUR_MS));
        let write = commit("mia", &format!("c{n}"), order(&format!("o{n}"), 1_000));
        let answer = clients.send(&write).await;
        assert!(!answer.replayed());
        assert_eq!(answer.commit().status(), wire::CommitStatus::Committed, "{hours} hours");
        told.push(write);
        for write in &told {
            assert!(clients.send(write).await.replayed(), "{hours} hours");
        }
    }
    assert_eq!(clients.available("mia").await, 100 + 10 * 8);
    let request = wire::VerifyMemberRequest { member_id: "mia".into(), ..wire::VerifyMemberRequest::default() };
    let proof = clients.ledger.clone().verify_member(request).await.unwrap().into_inner();
    assert!(proof.verified, "{:?}", proof.faults);
}

pub(crate) async fn a_quote_of_a_committed_order_says_so<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&commit("mia", "c1", order("o1", 1_000))).await;
    let request = wire::QuoteRequest {
        member_id: "mia".into(),
        order: Some(order("o1", 1_000)),
        ..wire::QuoteRequest::default()
    };
    let refusals = clients.quote(request).await.decision.unwrap().refusals;
    assert_eq!(refusals.iter().map(wire::Refusal::reason).collect::<Vec<_>>(), [wire::RefusalReason::OrderCommitted]);
}

/// Damages what is stored: nothing but this is left under a key.
async fn leave(world: &impl World, key: store::Key, record: Option<store::Record>) {
    let (partition, writes) = (key.partition, vec![store::Write { key, record }]);
    let damage = store::Commit { partition, writes, ..store::Commit::default() };
    assert_eq!(world.store().commit(&damage).await.unwrap(), store::Outcome::Applied);
}

/// A server with one member, whose first order is committed.
async fn with_an_order(world: &impl World) -> Server {
    let server = world.serve_idle().await;
    server.clients.enroll("mia").await;
    server.clients.send(&commit("mia", "c1", order("o1", 1_000))).await;
    server
}

async fn proof_of(clients: &Clients, member: &str) -> wire::VerifyMemberResponse {
    let request = wire::VerifyMemberRequest { member_id: member.into(), ..wire::VerifyMemberRequest::default() };
    clients.ledger.clone().verify_member(request).await.unwrap().into_inner()
}

pub(crate) async fn verification_tells_an_order_that_was_committed_twice_because_its_record_was_lost<W: World>() {
    let world = W::start();
    let server = with_an_order(&world).await;
    let (clients, program) = (&server.clients, server.service.only_program().unwrap());
    let (account, id) = (AccountId::parse("mia").unwrap(), OrderId::parse("o1").unwrap());
    let key = layout().order(&program, &account, &id);
    leave(&world, key, None).await;
    clients.send(&commit("mia", "c2", order("o1", 1_000))).await;
    let proof = proof_of(clients, "mia").await;
    assert!(!proof.verified);
    assert!(proof.faults.iter().any(|fault| fault.contains("order `o1` was committed before")), "{:?}", proof.faults);
}

/// A Quote may go by the account as it was read before under the same token; a proof may not.
pub(crate) async fn verification_looks_at_what_is_stored_and_not_at_what_is_remembered<W: World>() {
    let world = W::start();
    let server = with_an_order(&world).await;
    let (clients, program) = (&server.clients, server.service.only_program().unwrap());
    let key = layout().account(&program, &AccountId::parse("mia").unwrap());
    let found = world.store().load(key.partition, std::slice::from_ref(&key)).await.unwrap().remove(0).unwrap();
    let MemberRecord::Account(state) = MemberRecord::from_stored(&found.body).unwrap() else { panic!("an account") };
    let damaged = AccountState { orders: state.orders + 1, ..AccountState::clone(&state) };
    let body = MemberRecord::Account(Arc::new(damaged)).to_stored();
    let record = Some(store::Record { token: found.token, body });
    leave(&world, key, record).await;
    let proof = proof_of(clients, "mia").await;
    let told = proof.faults.iter().any(|fault| fault.contains("does not give the stored state"));
    assert!(!proof.verified && told, "{:?}", proof.faults);
}

pub(crate) async fn nothing_is_decided_while_the_clock_is_off<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    server.service.trust_clock(false);
    let write = commit("mia", "c1", order("o1", 1_000));
    let refused = clients.try_send(&write).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::Unavailable, "CLOCK_OFF"));
    server.service.trust_clock(true);
    assert_eq!(clients.send(&write).await.commit().status(), wire::CommitStatus::Committed);
}
