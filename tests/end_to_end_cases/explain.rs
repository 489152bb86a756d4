//! Why an order earned what it earned: kept with it, or told from the ledger, over each store.

use guerdon::grpc::wire;

use crate::support::server::*;

impl Clients {
    async fn why(&self, member: &str, order: &str) -> wire::GetOrderResponse {
        let (member_id, order_id) = (member.to_owned(), order.to_owned());
        let request = wire::GetOrderRequest { member_id, order_id, explain: true, ..Default::default() };
        self.checkout.clone().get_order(request).await.unwrap().into_inner()
    }
}

fn explained(member: &str, request: &str, order: wire::Order) -> Write {
    match commit(member, request, order) {
        Write::Commit(commit) => Write::Commit(wire::CommitRequest { explain: true, ..commit }),
        other => other,
    }
}

pub(crate) async fn e4_an_order_is_explained_whether_its_trace_was_kept_or_not<W: World>() {
    for (sample, source) in [(0, wire::ExplanationSource::Ledger), (1_000, wire::ExplanationSource::Kept)] {
        let world = W::start();
        let server = world.serve_with(&format!("explain_sample_per_mille: {sample}\n")).await;
        let clients = &server.clients;
        clients.enroll("mia").await;
        let lines = || vec![line("a", "cake", 2, 1_050), line("b", "bread", 1, 925)];
        let first = clients.send(&explained("mia", "1", order_of("o", lines()))).await.commit();
        let then = first.decision.unwrap().explain.unwrap();
        assert!(then.rules.iter().any(|rule| rule.applied), "{then:?}");
        clients.send(&commit("mia", "2", order_of("p", lines()))).await;
        clients.send(&give_back("mia", "3", "o", "r", everything())).await;
        let told = clients.why("mia", "o").await;
        assert_eq!(told.decision.unwrap().explain, Some(then), "{source:?}");
        let explanation = told.explanation.unwrap();
        assert_eq!((explanation.source(), explanation.reproduces), (source, true));
        assert_eq!(explanation.caveats().count(), 0);
        // Who does not ask is not told, and one that nobody knows is not found.
        let plain = clients.order("mia", "o").await;
        assert_eq!((plain.decision.unwrap().explain, plain.explanation), (None, None));
        let unknown = wire::GetOrderRequest {
            member_id: "mia".into(),
            order_id: "q".into(),
            explain: true,
            ..Default::default()
        };
        let status = clients.checkout.clone().get_order(unknown).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::NotFound);
    }
}

pub(crate) async fn e4_a_guests_order_is_explained_before_and_after_it_is_claimed<W: World>() {
    let world = W::start();
    let server = world.serve_with("guests: {claim_within: 30 days}\n").await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&commit("", "1", order_of("o", vec![line("a", "cake", 2, 1_050)]))).await;
    let guest = clients.why("", "o").await;
    assert!(guest.explanation.unwrap().reproduces);
    let applied = |told: &wire::Decision| -> Vec<String> {
        let rules = told.explain.iter().flat_map(|explain| &explain.rules);
        rules.filter(|rule| rule.applied).map(|rule| rule.rule_id.clone()).collect()
    };
    assert_eq!(applied(&guest.decision.unwrap()), ["base", "cake"]);
    clients.send(&claim("mia", "2", "o")).await;
    let claimed = clients.why("mia", "o").await;
    let explanation = claimed.explanation.unwrap();
    assert_eq!((explanation.source(), explanation.reproduces), (wire::ExplanationSource::Ledger, true));
    assert_eq!(applied(&claimed.decision.unwrap()), ["base", "cake"]);
}

pub(crate) async fn b11_erasing_a_member_removes_the_traces_that_were_kept<W: World>() {
    let world = W::start();
    let server = world.serve_with("explain_sample_per_mille: 1000\n").await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&commit("mia", "1", order_of("o", vec![line("a", "cake", 2, 1_050)]))).await;
    assert_eq!(clients.why("mia", "o").await.explanation.unwrap().source(), wire::ExplanationSource::Kept);
    clients.send(&erase("mia", "2")).await;
    // What the ledger tells holds nothing personal, and stays.
    let explanation = clients.why("mia", "o").await.explanation.unwrap();
    assert_eq!((explanation.source(), explanation.reproduces), (wire::ExplanationSource::Ledger, true));
}

/// Forty points over all members.
const SHARED: &str = "
campaigns:
  - {id: launch, title: Launch, limits: [{units: 40, of: program}]}
";

fn granted(answer: &wire::CommitResponse, rule: &str) -> (i64, i64) {
    let effects = answer.decision.iter().flat_map(|decision| &decision.effects);
    let found = effects.filter_map(|effect| match effect.effect.as_ref() {
        Some(wire::effect::Effect::UnitsGranted(granted)) if granted.rule_id == rule => Some(granted),
        _ => None,
    });
    found.fold((0, 0), |(desired, given), grant| (desired + grant.desired, given + grant.granted))
}

pub(crate) async fn a13_a_limit_over_all_members_is_shared_shown_and_explained<W: World>() {
    let world = W::start();
    let rule = "  - {id: gift, kind: behavioural, on: order, campaign: launch, then: {bonus: {units: 15}}}\n";
    let program = PROGRAM.replacen("rules:\n", &format!("rules:\n{rule}"), 1);
    let server = Server::start_idle_with(world.store(), world.clock(), options(), &format!("{program}{SHARED}")).await;
    let clients = &server.clients;
    let mut orders = Vec::new();
    for (n, expected) in [(0, (15, 15)), (1, (15, 15)), (2, (15, 10)), (3, (0, 0))] {
        let (member, order) = (format!("m{n}"), format!("o{n}"));
        clients.enroll(&member).await;
        let write = explained(&member, "r", order_of(&order, vec![line("a", "milk", 1, 500)]));
        let answer = clients.send(&write).await;
        assert_eq!(granted(&answer.clone().commit(), "gift"), expected, "order {n}");
        assert_eq!(clients.send(&write).await, answer.as_replayed());
        orders.push((member, order, answer.commit().decision.unwrap()));
    }
    let limited: Vec<bool> = orders
        .iter()
        .map(|(_, _, decision)| decision.refusals.iter().any(|no| no.reason() == wire::RefusalReason::LimitReached))
        .collect();
    assert_eq!(limited, [false, false, true, true]);
    for (member, order, then) in orders {
        let told = clients.why(&member, &order).await;
        assert!(told.explanation.unwrap().reproduces, "{order}");
        assert_eq!(told.decision.unwrap().explain, then.explain, "{order}");
    }
}
