//! Quote tokens over the wire, between instances, and when keys change.

use guerdon::domain::quote::QuoteKey;
use guerdon::domain::time::{Instant, MINUTE_MS};
use guerdon::grpc::wire;
use guerdon::service::Options;

use crate::support::server::*;

const HONOURS: &str = "quotes:\n  honoured_for: 30 minutes\n";

fn asks(member: &str, id: &str, spend: i64) -> wire::QuoteRequest {
    wire::QuoteRequest {
        member_id: member.into(),
        order: Some(order(id, spend)),
        redeem: Some(points(40)),
        ..Default::default()
    }
}

fn commits(member: &str, request: &str, id: &str, token: &str) -> Write {
    match commit_with(member, request, order(id, 5_000), Some(points(40))) {
        Write::Commit(raw) => Write::Commit(wire::CommitRequest { quote_token: token.into(), ..raw }),
        other => panic!("{other:?}"),
    }
}

fn granted(answer: &Answer) -> i64 {
    let effects = answer.clone().commit().decision.unwrap_or_default().effects;
    let units = effects.into_iter().filter_map(|effect| match effect.effect {
        Some(wire::effect::Effect::UnitsGranted(granted)) => Some(granted.granted),
        _ => None,
    });
    units.sum()
}

pub(crate) async fn c6_a_token_of_one_instance_is_honoured_by_another_under_a_later_version<W: World>() {
    let world = W::start();
    let one = world.serve_with(HONOURS).await;
    one.clients.enroll("mia").await;
    one.clients.enroll("leo").await;
    let quoted = one.clients.quote(asks("mia", "cart", 5_000)).await;
    assert!(!quoted.quote_token.is_empty());
    let until = quoted.quote_honoured_until.unwrap();
    assert_eq!(until.seconds, (BEGIN.0 + 30 * MINUTE_MS) / 1_000);
    world.clock().set(Instant(BEGIN.0 + MINUTE_MS));
    let dearer =
        format!("{PROGRAM}{HONOURS}").replace("earn: {units: 1, unit: points", "earn: {units: 2, unit: points");
    let two = Server::start_idle_with(world.store(), world.clock(), options(), &dearer).await;
    world.clock().set(Instant(BEGIN.0 + 2 * MINUTE_MS));
    let done = two.clients.send(&commits("mia", "c1", "o1", &quoted.quote_token)).await;
    assert_eq!(granted(&done), 50, "as quoted");
    assert_eq!(done.clone().commit().decision.unwrap().changes, vec![]);
    let again = two.clients.send(&commits("mia", "c1", "o1", &quoted.quote_token)).await;
    assert_eq!(again, done.as_replayed());
    assert_eq!(granted(&two.clients.send(&commits("mia", "c2", "o2", "")).await), 100, "as of now");
    // A token is its member's, and its cart's, for its time.
    let foreign = two.clients.send(&commits("leo", "c3", "o3", &quoted.quote_token)).await;
    assert_eq!(foreign.refusals(), [wire::RefusalReason::QuoteForeign]);
    let other = two.clients.quote(asks("leo", "cart", 4_000)).await.quote_token;
    let other = two.clients.send(&commits("leo", "c4", "o3", &other)).await;
    assert_eq!(other.refusals(), [wire::RefusalReason::QuoteOfOtherCart]);
    world.clock().set(Instant(BEGIN.0 + 30 * MINUTE_MS));
    let late = two.clients.send(&commits("mia", "c5", "o5", &quoted.quote_token)).await;
    assert_eq!(late.refusals(), [wire::RefusalReason::QuoteExpired]);
    let changed = format!("00{}", &quoted.quote_token[2..]);
    let wrong = two.clients.send(&commits("mia", "c6", "o5", &changed)).await;
    assert_eq!(wrong.refusals(), [wire::RefusalReason::QuoteInvalid]);
    one.clients.verify("mia").await;
}

pub(crate) async fn c6_keys_of_quotes_are_changed_one_after_the_other<W: World>() {
    let world = W::start();
    let serve = |keys: &[u8]| {
        let quote_keys = keys.iter().map(|key| QuoteKey::of(&[*key; 16]).unwrap()).collect();
        let options = Options { quote_keys, ..options() };
        let program = format!("{PROGRAM}{HONOURS}");
        let (store, clock) = (world.store(), world.clock().clone());
        async move { Server::start_idle_with(store, &clock, options, &program).await }
    };
    let (stored, old, both, new) = (serve(&[]).await, serve(&[1]).await, serve(&[2, 1]).await, serve(&[2]).await);
    old.clients.enroll("mia").await;
    let of_old = old.clients.quote(asks("mia", "cart", 5_000)).await.quote_token;
    let of_both = both.clients.quote(asks("mia", "cart", 5_000)).await.quote_token;
    for (n, (server, token, honoured)) in [
        (&both, &of_old, true),
        (&new, &of_both, true),
        (&old, &of_both, false),
        (&new, &of_old, false),
        (&stored, &of_old, false),
    ]
    .into_iter()
    .enumerate()
    {
        let write = commits("mia", &format!("c{n}"), &format!("o{n}"), token);
        let expected = if honoured { vec![] } else { vec![wire::RefusalReason::QuoteInvalid] };
        assert_eq!(server.clients.send(&write).await.refusals(), expected, "case {n}");
    }
    // Without `quotes` none is given.
    let plain = Server::start_idle_with(world.store(), world.clock(), options(), PROGRAM).await;
    world.clock().set(Instant(BEGIN.0 + MINUTE_MS));
    assert_eq!(plain.clients.quote(asks("mia", "cart", 5_000)).await.quote_token, "");
}
