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

#[test]
fn d6_d7_what_is_wrong_with_asking_for_boards_and_tickets() {
    let board = || wire::GetLeaderboardRequest { leaderboard_id: "spenders".into(), ..Default::default() };
    let tickets = || wire::ListDrawTicketsRequest { draw_id: "spring".into(), ..Default::default() };
    let fake = Fake::that(Does::Fits);
    wait(async {
        for (request, expected) in [
            (board(), &[][..]),
            (wire::GetLeaderboardRequest { member_id: "mia".into(), page_size: 200, ..board() }, &[]),
            (wire::GetLeaderboardRequest::default(), &["leaderboard_id"]),
            (
                wire::GetLeaderboardRequest { page_size: 201, after_position: -1, ..board() },
                &["after_position", "page_size"],
            ),
            (wire::GetLeaderboardRequest { member_id: "a b".into(), ..board() }, &["member_id"]),
            (wire::GetLeaderboardRequest { at: timestamp(i64::MAX, 0), ..board() }, &["at"]),
        ] {
            match request.clone().send(routes(&fake)).await {
                Ok(answer) => assert_eq!((answer.title.as_str(), expected.len()), ("Of the month", 0), "{request:?}"),
                Err(status) => assert_eq!(paths(&status), expected, "{request:?}"),
            }
        }
        for (request, expected) in [
            (tickets(), &[][..]),
            (wire::ListDrawTicketsRequest::default(), &["draw_id"]),
            (
                wire::ListDrawTicketsRequest { page_size: 1_001, after_position: -1, ..tickets() },
                &["after_position", "page_size"],
            ),
        ] {
            match request.clone().send(routes(&fake)).await {
                Ok(answer) => {
                    let line = &answer.tickets[0];
                    assert_eq!((line.position, line.number, line.ticket), (1, 7, None));
                    assert_eq!((line.digest.as_str(), expected.len()), ("ab".repeat(32).as_str(), 0), "{request:?}");
                }
                Err(status) => assert_eq!(paths(&status), expected, "{request:?}"),
            }
        }
    });
}
