//! Accounts that become part of each other, over the wire: crashes between the steps, races, resends.

use guerdon::grpc::wire;
use tokio::task::JoinSet;

use crate::support::faulty::{Fault, FaultyStore};
use crate::support::server::*;

const TERMS: &str = "transfers: {points: {fee: {units: 2}}}\nattributes: {plan: text}\n";

pub(crate) async fn b9_a_merge_is_answered_with_what_is_there_and_survives_resends<W: World>() {
    let world = W::start();
    let (one, two) = (world.serve_idle().await, world.serve_idle().await);
    one.clients.enroll_with("ann", 300).await;
    one.clients.enroll_with("ben", 40).await;
    one.clients.send(&commit("ben", "c1", order("o1", 1_000))).await;
    two.clients.send(&commit("ben", "c0", order("o0", 2_000))).await;
    let old = adjust("ben", "a1", 5);
    let first = one.clients.send(&old).await;
    let write = merge("ben", "m1", "ann");
    let merged = one.clients.send(&write).await;
    assert!(merged.clone().merge().merged);
    assert_eq!(available(&merged.clone().merge().balances), 300 + 40 + 10 + 20 + 5);
    assert_eq!(two.clients.send(&write).await, merged.as_replayed());
    // What was answered before the merge is answered alike after it, and done once.
    assert_eq!(two.clients.send(&old).await, first.as_replayed());
    for member in ["ann", "ben"] {
        let shown = two.clients.member(member).await;
        assert_eq!((shown.account_id.as_str(), available(&shown.balances)), ("ann", 375));
        assert_eq!(shown.merged_member_ids, ["ben"]);
        assert_adds_up(&shown.balances);
        two.clients.verify(member).await;
    }
    // The stale cache of the first instance, a redelivery of an old order, and its return under either name.
    assert_eq!(
        one.clients.send(&commit("ben", "c2", order("o2", 1_000))).await.commit().status(),
        wire::CommitStatus::Committed
    );
    let again = two.clients.send(&commit("ben", "c1-again", order("o1", 1_000))).await.commit();
    assert_eq!(again.status(), wire::CommitStatus::AlreadyCommitted);
    let back = two.clients.send(&give_back("ann", "b1", "o1", "ret", everything())).await;
    assert_eq!(back.clone().r#return().status(), wire::ReturnStatus::Applied);
    assert_eq!(
        one.clients.send(&give_back("ben", "b2", "o1", "ret", everything())).await.r#return().status(),
        wire::ReturnStatus::AlreadyApplied
    );
    assert_eq!(one.clients.available("ben").await, 375);
    assert_eq!(one.clients.order("ben", "o1").await.state(), wire::OrderState::Returned);

    let undone = two.clients.send(&unmerge("ben", "u1")).await;
    assert!(undone.clone().unmerge().unmerged);
    assert_eq!(two.clients.send(&unmerge("ben", "u1")).await, undone.as_replayed(), "found where it was decided");
    assert_eq!((one.clients.available("ann").await, one.clients.available("ben").await), (300, 75));
    // An order that came back in the meantime stays with the other, and is not given back twice.
    let twice = one.clients.send(&give_back("ben", "b3", "o1", "ret-2", everything())).await;
    assert_eq!(twice.refusals(), [wire::RefusalReason::NothingLeft]);
    assert_eq!(
        one.clients.send(&give_back("ben", "b4", "o0", "ret", everything())).await.r#return().status(),
        wire::ReturnStatus::Applied
    );
    assert_eq!((one.clients.available("ann").await, one.clients.available("ben").await), (300, 55));
    for member in ["ann", "ben"] {
        one.clients.verify(member).await;
        two.clients.verify(member).await;
    }
}

/// Stops the machine after each number of commits; the resend, or the relay, brings the move to its end.
pub(crate) async fn b9_a_crash_between_the_steps_of_a_merge_loses_and_doubles_nothing<W: World>() {
    for survives in 0..6usize {
        for relay_finishes in [false, true] {
            let world = W::start();
            let store = FaultyStore::new(world.store());
            let server = Server::start_idle(store.clone(), world.clock(), options()).await;
            server.clients.enroll_with("ann", 300).await;
            server.clients.enroll_with("ben", 40).await;
            let mut left = survives;
            store.plan(move |_| {
                if left == 0 {
                    return Fault::Away;
                }
                left -= 1;
                Fault::None
            });
            let write = merge("ben", "m1", "ann");
            let _ = server.clients.try_send(&write).await;
            drop(server);
            let next = if relay_finishes { world.serve().await } else { world.serve_idle().await };
            let merged = next.clients.send_until_answered(&write).await.merge();
            assert!(merged.merged, "after {survives} commits: {merged:?}");
            if survives < 2 || relay_finishes {
                eventually("all is there", async || next.clients.available("ann").await == 340).await;
            } else {
                let relayed = world.serve().await;
                eventually("all is there", async || relayed.clients.available("ann").await == 340).await;
            }
            let member = next.clients.member("ben").await;
            assert_eq!((member.account_id.as_str(), available(&member.balances)), ("ann", 340));
            next.clients.verify("ben").await;
        }
    }
}

pub(crate) async fn b9_merges_of_the_same_members_at_once_end_in_one_account<W: World>() {
    let world = W::start();
    let (one, two) = (world.serve().await, world.serve().await);
    for round in 0..6 {
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        one.clients.enroll_with(&a, 100).await;
        one.clients.enroll_with(&b, 200).await;
        let mut tasks = JoinSet::new();
        for (server, from, into) in [(&one, &a, &b), (&two, &b, &a), (&two, &a, &b), (&one, &b, &a)] {
            let clients = server.clients.clone();
            let write = merge(from, &format!("{from}-{round}-{}", tasks.len()), into);
            tasks.spawn(async move { clients.send_until_answered(&write).await });
        }
        let merged = tasks.join_all().await.into_iter().filter(|answer| answer.clone().merge().merged).count();
        assert_eq!(merged, 1, "one of them, and no circle");
        let (of_a, of_b) = (two.clients.member(&a).await, one.clients.member(&b).await);
        assert_eq!(of_a.account_id, of_b.account_id);
        assert_eq!((available(&of_a.balances), available(&of_b.balances)), (300, 300));
        one.clients.verify(&a).await;
    }
}

pub(crate) async fn b9_orders_that_run_against_a_merge_are_committed_once<W: World>() {
    let world = W::start();
    let (one, two) = (world.serve().await, world.serve().await);
    one.clients.enroll("ann").await;
    one.clients.enroll("ben").await;
    let mut tasks = JoinSet::new();
    for n in 0..24 {
        let clients = if n % 2 == 0 { one.clients.clone() } else { two.clients.clone() };
        let write = if n == 9 {
            merge("ben", "m", "ann")
        } else {
            commit("ben", &format!("c{n}"), order(&format!("o{n}"), 1_000))
        };
        tasks.spawn(async move { (write.clone(), clients.send_until_answered(&write).await) });
    }
    for (write, answer) in tasks.join_all().await {
        match &answer {
            Answer::Merge(merged) => assert!(merged.merged),
            answer => assert_eq!(answer.clone().commit().status(), wire::CommitStatus::Committed, "{write:?}"),
        }
        assert_eq!(two.clients.send_until_answered(&write).await.as_first().refusals(), answer.refusals());
    }
    for member in ["ann", "ben"] {
        let shown = two.clients.member(member).await;
        assert_eq!((available(&shown.balances), shown.orders), (200 + 23 * 10, 23));
        one.clients.verify(member).await;
    }
}

pub(crate) async fn b8_a_gift_arrives_once_or_comes_back<W: World>() {
    let world = W::start();
    let server = world.serve_with(TERMS).await;
    let clients = &server.clients;
    clients.enroll_with("ann", 100).await;
    clients.enroll_with("ben", 10).await;
    let write = transfer("ann", "t1", "ben", 40);
    let sent = clients.send(&write).await;
    assert!(sent.clone().transfer().transferred);
    assert_eq!(available(&sent.clone().transfer().balances), 58);
    assert_eq!(clients.send(&write).await, sent.as_replayed());
    assert_eq!((clients.available("ann").await, clients.available("ben").await), (58, 50));
    assert_eq!(
        clients.send(&transfer("ann", "t2", "nobody", 1)).await.refusals(),
        [wire::RefusalReason::MemberUnknown]
    );
    for member in ["ann", "ben"] {
        assert_adds_up(&clients.member(member).await.balances);
        clients.verify(member).await;
    }
    let plain = W::start();
    let plain = plain.serve_idle().await;
    plain.clients.enroll("ann").await;
    plain.clients.enroll("ben").await;
    let refused = plain.clients.send(&transfer("ann", "t", "ben", 1)).await;
    assert_eq!(refused.refusals(), [wire::RefusalReason::TransferNotAllowed]);
}

pub(crate) async fn b8_a_household_is_made_joined_shared_and_left<W: World>() {
    let world = W::start();
    let (server, other) = (world.serve_with(TERMS).await, world.serve_with(TERMS).await);
    let clients = &server.clients;
    let create = wire::CreateAccountRequest {
        account_id: "home".into(),
        request_id: "create".into(),
        kind: wire::AccountKind::Household.into(),
        ..Default::default()
    };
    let mut accounts = clients.account.clone();
    assert!(accounts.create_account(create.clone()).await.unwrap().into_inner().created);
    assert!(accounts.create_account(create).await.unwrap().into_inner().replayed);
    for (member, points) in [("ann", 100), ("ben", 30), ("kid", 10)] {
        clients.enroll_with(member, points).await;
    }
    clients.send(&commit("ben", "before", order("before", 1_000))).await;
    let joined = clients.send(&join("ann", "j", "home", wire::Role::Member, "")).await.join_account();
    assert_eq!((joined.joined, available(&joined.balances)), (true, 100));
    assert!(clients.send(&join("ben", "j", "home", wire::Role::Member, "ann")).await.join_account().joined);
    assert!(clients.send(&join("kid", "j", "home", wire::Role::Earner, "ann")).await.join_account().joined);
    other.clients.send(&commit("kid", "k1", order("k1", 1_000))).await;
    let get = wire::GetAccountRequest { account_id: "kid".into(), ..Default::default() };
    let account = accounts.get_account(get).await.unwrap().into_inner();
    assert_eq!((account.account_id.as_str(), available(&account.balances)), ("home", 160));
    let people: Vec<_> = account.people.iter().map(|person| (person.member_id.as_str(), person.role())).collect();
    assert_eq!(people, [("ann", wire::Role::Owner), ("ben", wire::Role::Member), ("kid", wire::Role::Earner)]);
    let refused = clients.send(&commit_with("kid", "k2", order("k2", 1_000), Some(points(10)))).await;
    assert_eq!(refused.refusals(), [wire::RefusalReason::RoleMayNot]);
    // What was bought before is returned in the household; what was bought in it, after leaving too.
    clients.send(&give_back("ann", "b1", "before", "ret", everything())).await;
    clients.send(&commit("ben", "in", order("in", 2_000))).await;
    assert_eq!(clients.available("home").await, 170);
    let left = clients.send(&leave_account("ben", "l1")).await;
    assert_eq!((left.clone().leave_account().left, available(&left.clone().leave_account().balances)), (true, 0));
    assert_eq!(other.clients.send(&leave_account("ben", "l1")).await, left.as_replayed());
    other.clients.send(&commit("ben", "after", order("after", 1_000))).await;
    let back = other.clients.send(&give_back("ben", "b2", "in", "ret", everything())).await.r#return();
    assert_eq!(back.status(), wire::ReturnStatus::Applied);
    assert_eq!((clients.available("home").await, clients.available("ben").await), (150, 10));
    for member in ["home", "ann", "ben", "kid"] {
        assert_adds_up(&clients.member(member).await.balances);
        other.clients.verify(member).await;
    }
}

pub(crate) async fn b11_erasure_leaves_a_sound_ledger_and_nothing_personal<W: World>() {
    let world = W::start();
    let server = world.serve_with(TERMS).await;
    let clients = &server.clients;
    clients.enroll("ann").await;
    let change = wire::ProfileChange { set_attributes: vec![text_attribute("plan", "secret")], ..Default::default() };
    clients.send(&update("ann", "u", change)).await;
    let code = clients.code_of("ann").await;
    let mut noted = adjust("ann", "a", 7);
    if let Write::Adjust(raw) = &mut noted {
        raw.note = "secret note".into();
    }
    clients.send(&noted).await;
    clients.send(&commit("ann", "c", order("o", 1_000))).await;
    clients.enroll("fay").await;
    clients.send(&attribute("fay", "at", &code)).await;
    clients.send(&commit("fay", "c", order("f", 3_000))).await;

    let write = erase("ann", "e");
    let erased = clients.send(&write).await;
    assert!(erased.clone().erase().erased);
    assert_eq!(clients.send(&write).await, erased.as_replayed());
    let member = clients.member("ann").await;
    assert!(member.erased_at.is_some() && member.profile.is_none() && member.codes.is_empty());
    assert_eq!(clients.send(&adjust("ann", "a2", 1)).await.refusals(), [wire::RefusalReason::MemberErased]);
    assert_eq!(clients.send(&enroll("ann").under("again")).await.refusals(), [wire::RefusalReason::MemberErased]);
    clients.enroll("gus").await;
    assert_eq!(clients.send(&attribute("gus", "at", &code)).await.refusals(), [wire::RefusalReason::CodeNotActive]);
    // The reward for the friend arrives after all, for nobody.
    server.service.start_jobs();
    eventually("it is forfeited", async || {
        of_unit(&clients.member("ann").await.balances, "points").unwrap().lifetime_forfeited == 100 + 7 + 10 + 250
    })
    .await;
    assert_eq!(clients.available("fay").await, 100 + 30 + 100);
    let back = clients.send(&give_back("ann", "b", "o", "ret", everything())).await.r#return();
    assert_eq!((back.refund.clone().unwrap().money_minor, back.refund.unwrap().units.len()), (1_000, 0));
    assert_eq!(clients.available("ann").await, 0);
    assert_adds_up(&clients.member("ann").await.balances);
    for member in ["ann", "fay"] {
        clients.verify(member).await;
    }
    let ledger: String = clients.entries("ann", 100).await.iter().map(|entry| entry.detail_json.clone()).collect();
    assert!(!ledger.contains("secret"), "{ledger}");
}
