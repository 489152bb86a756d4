//! Events over the wire, on every store.

use guerdon::grpc::wire::{self, EventState, EventVerdict};
use tokio::task::JoinSet;

use crate::support::server::*;

const SOCIAL: &str = "
events:
  share: {cool_down: 7 days}
  review: {approval: manual, value_max: 5, attributes: {text: text}}
  post: {proof: required}
";

/// The club with rules on events.
fn program() -> String {
    let rules = "
  - {id: shared, kind: social, on: event, events: [share], then: {bonus: {units: 10}}}
  - {id: reviewed, kind: behavioural, on: event, events: [review], then: {bonus: {units: 5, for_each_value: 1}}}
  - {id: posted, kind: social, on: event, events: [post], then: {bonus: {units: 20}}}
pay_with:";
    format!("{}{SOCIAL}", PROGRAM.replace("\npay_with:", rules))
}

async fn serve<W: World>(world: &W) -> Server {
    Server::start_idle_with(world.store(), world.clock(), options(), &program()).await
}

pub(crate) async fn a10_events_are_recorded_reviewed_and_revoked<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    let share = Write::RecordEvent(event("mia", "e1", "s-1", "share"));
    let answer = clients.send(&share).await.record_event();
    assert_eq!((answer.recorded, answer.state(), available(&answer.balances)), (true, EventState::Approved, 110));
    assert!(clients.send(&share).await.replayed());
    let again = clients.send(&share.under("e2")).await.record_event();
    assert_eq!((again.recorded, again.state(), again.replayed), (false, EventState::Approved, false));
    let other = clients.send(&Write::RecordEvent(event("mia", "e3", "s-2", "share"))).await;
    assert_eq!(other.refusals(), [wire::RefusalReason::CoolDown]);

    let mut raw = event("mia", "e4", "r-1", "review");
    raw.value = Some(4);
    raw.attributes = vec![text_attribute("text", "Lovely bread")];
    let pending = clients.send(&Write::RecordEvent(raw)).await.record_event();
    assert_eq!((pending.recorded, pending.state(), available(&pending.balances)), (true, EventState::Pending, 110));
    let unknown = clients.send(&review("mia", "v0", "r-9", EventVerdict::Approve)).await;
    assert_eq!(unknown.refusals(), [wire::RefusalReason::EventUnknown]);
    let approved = clients.send(&review("mia", "v1", "r-1", EventVerdict::Approve)).await.review_event();
    assert_eq!((approved.reviewed, approved.state(), available(&approved.balances)), (true, EventState::Approved, 130));
    clients.verify("mia").await;
    let revoked = clients.send(&revoke("mia", "k1", "r-1")).await.revoke_event();
    assert_eq!((revoked.revoked, revoked.state(), available(&revoked.balances)), (true, EventState::Revoked, 110));
    assert!(!clients.send(&revoke("mia", "k2", "r-1")).await.revoke_event().revoked, "once");
    assert_eq!(clients.available("mia").await, 110);
    clients.verify("mia").await;
    let outcome = clients.outcome("mia", "v1", false).await;
    assert!(matches!(outcome.answer, Some(wire::get_outcome_response::Answer::ReviewEvent(_))), "{outcome:?}");
    let facts = clients.entries("mia", 500).await;
    let words = facts.iter().any(|entry| entry.detail_json.contains("Lovely"));
    assert!(!words, "the ledger holds no words of members");
}

pub(crate) async fn a10_a_proof_brought_by_many_at_once_counts_for_one<W: World>() {
    let world = W::start();
    let (one, two) = (serve(&world).await, serve(&world).await);
    for n in 0..24 {
        one.clients.enroll(&format!("m{n}")).await;
    }
    let mut tasks = JoinSet::new();
    for n in 0..24 {
        let clients = [&one, &two][n % 2].clients.clone();
        let mut raw = event(&format!("m{n}"), "e", &format!("p-{n}"), "post");
        raw.proof_id = "https://example.com/the-one".into();
        tasks.spawn(async move { clients.send_until_answered(&Write::RecordEvent(raw)).await });
    }
    let answers = tasks.join_all().await;
    let counted = answers.iter().filter(|answer| (*answer).clone().record_event().recorded).count();
    let refused = answers.iter().filter(|answer| answer.refusals() == [wire::RefusalReason::ProofUsed]).count();
    assert_eq!((counted, refused), (1, 23));
}
