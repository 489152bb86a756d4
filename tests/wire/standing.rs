//! Status by hand: what is malformed, and what makes the fingerprint.

use guerdon::grpc::wire;

use super::kit::*;

fn with(change: impl FnOnce(&mut wire::SetTierRequest)) -> wire::SetTierRequest {
    let mut request = set_tier();
    change(&mut request);
    request
}

#[test]
fn d2_malformed_status_names_every_field() {
    for (name, request, expected) in [
        ("as it should be", set_tier(), vec![]),
        ("the only ladder", with(|r| r.ladder.clear()), vec![]),
        ("for ever", with(|r| r.until = None), vec![]),
        ("ended", with(|r| (r.level, r.until) = (String::new(), None)), vec![]),
        ("ended with an end", with(|r| r.level.clear()), vec!["until"]),
        ("empty", wire::SetTierRequest::default(), vec!["member_id", "request_id", "reason", "agent_id"]),
        ("odd names", with(|r| (r.ladder, r.level) = ("a|b".into(), "x".repeat(33))), vec!["ladder", "level"]),
        ("an odd agent", with(|r| r.agent_id = " x".into()), vec!["agent_id"]),
    ] {
        let fake = Fake::that(Does::Fits);
        let found = wait(request.send(routes(&fake))).map_or_else(|status| paths(&status), |_| Vec::new());
        assert_eq!(found, expected, "{name}");
    }
}
