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
