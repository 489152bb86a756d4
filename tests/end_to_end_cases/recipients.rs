//! Units that go to somebody else than the one who acts, over the wire.

use guerdon::grpc::wire;
use tokio::task::JoinSet;

use crate::support::faulty::{Fault, FaultyStore};
use crate::support::server::*;

/// The club with 5 points for whoever is given something, and 3 for who is thanked.
fn program() -> String {
    let rules = "
  - {id: present, kind: social, on: order, to: recipient, then: {bonus: {units: 5}}}
  - {id: thanked, kind: social, on: event, events: [thank], to: recipient, then: {bonus: {units: 3}}}
pay_with:";
    format!("{}events: {{thank: {{approval: manual}}}}\n", PROGRAM.replace("\npay_with:", rules))
}

async fn serve<W: World>(world: &W) -> Server {
    let server = Server::start_idle_with(world.store(), world.clock(), options(), &program()).await;
    server.service.start_jobs();
    server
}

fn gift(to: &str, order: wire::Order) -> wire::Order {
    wire::Order { recipient_member_id: to.into(), ..order }
}

/// What was granted to others: to whom and how much.
fn given(decision: Option<wire::Decision>) -> Vec<(String, i64)> {
    let effects = decision.unwrap().effects.into_iter().filter_map(|effect| effect.effect);
    let given = effects.filter_map(|kind| match kind {
        wire::effect::Effect::UnitsGrantedTo(given) => Some((given.account_id, given.amount)),
        _ => None,
    });
    given.collect()
}

pub(crate) async fn a14_a_gift_reaches_whom_it_is_for_once_and_comes_back<W: World>() {
    let world = W::start();
    let (one, two) = (serve(&world).await, serve(&world).await);
    one.clients.enroll("mia").await;
    one.clients.enroll("leo").await;
    let quoted = wire::QuoteRequest {
        member_id: "mia".into(),
        order: Some(gift("leo", order("o1", 1_000))),
        ..Default::default()
    };
    assert_eq!(given(one.clients.quote(quoted).await.decision), [("leo".to_owned(), 5)]);
    let write = commit("mia", "c1", gift("leo", order("o1", 1_000)));
    let first = one.clients.send(&write).await;
    assert_eq!(given(first.clone().commit().decision), [("leo".to_owned(), 5)]);
    assert_eq!(two.clients.send(&write).await, first.as_replayed());
    eventually("it has arrived", async || two.clients.available("leo").await == 105).await;
    // For somebody else it would be another order.
    let other = two.clients.send(&commit("mia", "c2", gift("ann", order("o1", 1_000)))).await;
    assert_eq!(other.refusals(), [wire::RefusalReason::OrderDiffers]);
    let unknown = two.clients.send(&commit("mia", "c3", gift("ann", order("o2", 1_000)))).await;
    assert_eq!(unknown.refusals(), [wire::RefusalReason::MemberUnknown]);
    let unknown = unknown.commit();
    assert_eq!(unknown.status(), wire::CommitStatus::Committed, "the order is not refused for it");
    assert_eq!(unknown.decision.unwrap().refusals[0].subject(), wire::Subject::Recipient);

    let back = two.clients.send(&give_back("mia", "b1", "o1", "ret", everything())).await.r#return();
    assert_eq!(given(back.decision), [("leo".to_owned(), -5)]);
    eventually("it has gone", async || one.clients.available("leo").await == 100).await;

    let thanks = wire::RecordEventRequest { recipient_member_id: "leo".into(), ..event("mia", "e1", "t1", "thank") };
    one.clients.send(&Write::RecordEvent(thanks)).await;
    let approved = two.clients.send(&review("mia", "v1", "t1", wire::EventVerdict::Approve)).await.review_event();
    assert_eq!(given(approved.decision), [("leo".to_owned(), 3)]);
    eventually("it has arrived", async || one.clients.available("leo").await == 103).await;
    one.clients.send(&revoke("mia", "k1", "t1")).await;
    eventually("it has gone", async || two.clients.available("leo").await == 100).await;
    for member in ["mia", "leo"] {
        one.clients.verify(member).await;
        assert_adds_up(&one.clients.member(member).await.balances);
    }
}

pub(crate) async fn a14_gifts_to_one_member_from_many_at_once_all_arrive<W: World>() {
    let world = W::start();
    let (one, two) = (serve(&world).await, serve(&world).await);
    one.clients.enroll("leo").await;
    let mut tasks = JoinSet::new();
    for n in 0..16 {
        let giver = format!("m{n}");
        one.clients.enroll(&giver).await;
        let clients = [&one, &two][n % 2].clients.clone();
        tasks.spawn(async move {
            let write = commit(&giver, "c", gift("leo", order("o", 100)));
            clients.send_until_answered(&write).await;
            clients.send_until_answered(&write).await
        });
    }
    tasks.join_all().await;
    eventually("all have arrived", async || one.clients.available("leo").await == 100 + 16 * 5).await;
    one.clients.verify("leo").await;
}

/// The order is committed and nothing is delivered; another instance finds the effect on the feed.
pub(crate) async fn a14_a_crash_before_delivery_loses_no_gift<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let server = Server::start_idle_with(store.clone(), world.clock(), options(), &program()).await;
    server.clients.enroll("mia").await;
    server.clients.enroll("leo").await;
    // It is applied, and nobody learns of it.
    store.plan(|_| Fault::LoseAnswer);
    let write = commit("mia", "c1", gift("leo", order("o1", 1_000)));
    server.clients.try_send(&write).await.ok();
    drop(server);
    let heir = serve(&world).await;
    eventually("it has arrived", async || heir.clients.available("leo").await == 105).await;
    assert!(heir.clients.send(&write).await.replayed());
    assert_eq!(heir.clients.available("leo").await, 105);
    for member in ["mia", "leo"] {
        heir.clients.verify(member).await;
    }
}
