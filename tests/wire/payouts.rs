//! Payouts, trees and figures of referrals on the wire.

use guerdon::grpc::wire;

use super::kit::*;

fn found<R: Rpc>(request: R) -> Vec<String> {
    match wait(request.send(routes(&Fake::that(Does::Fits)))) {
        Ok(_) => Vec::new(),
        Err(status) => paths(&status),
    }
}

#[test]
fn r19_what_is_wrong_with_requests_about_payouts() {
    let prepare = || wire::PreparePayoutRequest {
        member_id: "acme".into(),
        request_id: "r".into(),
        payout_id: "may".into(),
        ..Default::default()
    };
    let confirm = || wire::ConfirmPayoutRequest {
        member_id: "acme".into(),
        request_id: "r".into(),
        payout_id: "may".into(),
        state: wire::PayoutState::Paid.into(),
        ..Default::default()
    };
    let list = || wire::ListPayoutsRequest { member_id: "acme".into(), ..Default::default() };
    assert_eq!(found(prepare()), [""; 0]);
    assert_eq!(found(confirm()), [""; 0]);
    assert_eq!(found(list()), [""; 0]);
    assert_eq!(found(wire::PreparePayoutRequest::default()), ["member_id", "request_id", "payout_id"]);
    assert_eq!(found(wire::PreparePayoutRequest { unit: "a b".into(), ..prepare() }), ["unit"]);
    assert_eq!(found(wire::ConfirmPayoutRequest::default()), ["member_id", "request_id", "payout_id", "state"]);
    for state in [wire::PayoutState::Prepared, wire::PayoutState::Unspecified] {
        assert_eq!(found(wire::ConfirmPayoutRequest { state: state.into(), ..confirm() }), ["state"]);
    }
    assert_eq!(found(wire::ConfirmPayoutRequest { state: 99, ..confirm() }), ["state"]);
    assert_eq!(found(wire::ConfirmPayoutRequest { reference: " x".into(), ..confirm() }), ["reference"]);
    for (before_number, page_size, expected) in
        [(-1, 0, &["before_number"][..]), (0, -1, &["page_size"]), (0, 121, &["page_size"]), (1, 120, &[])]
    {
        assert_eq!(found(wire::ListPayoutsRequest { before_number, page_size, ..list() }), expected);
    }
}

#[test]
fn r19_payouts_are_listed_the_latest_first_and_in_pages() {
    for (before_number, page_size, expected) in
        [(0, 0, &["p3", "p2", "p1"][..]), (3, 0, &["p2", "p1"]), (3, 1, &["p2"]), (1, 5, &[])]
    {
        let request =
            wire::ListPayoutsRequest { member_id: "acme".into(), before_number, page_size, ..Default::default() };
        let response = wait(request.send(routes(&Fake::that(Does::Fits)))).unwrap();
        let ids: Vec<&str> = response.payouts.iter().map(|payout| payout.payout_id.as_str()).collect();
        assert_eq!(ids, expected, "{before_number} {page_size}");
        let of = &response.commissions[0];
        let stands = (of.pending_minor, of.due_minor, of.in_payout_minor, of.paid_minor, of.voided_minor);
        assert_eq!((of.currency_code.as_str(), stands), ("GBP", (1, -2, 3, 4, 5)));
    }
}

#[test]
fn r17_what_is_wrong_with_asking_for_a_tree_and_what_is_asked_unless_it_is_said() {
    let ask = || wire::GetReferralTreeRequest { member_id: "mia".into(), ..Default::default() };
    assert_eq!(found(wire::GetReferralTreeRequest::default()), ["member_id"]);
    for (depth, page_size, expected) in
        [(-1, 0, &["depth"][..]), (9, 0, &["depth"]), (8, 500, &[]), (0, 501, &["page_size"]), (0, -1, &["page_size"])]
    {
        assert_eq!(found(wire::GetReferralTreeRequest { depth, page_size, ..ask() }), expected);
    }
    assert_eq!(found(wire::GetReferralTreeRequest { page_token: "0".repeat(4_097), ..ask() }), ["page_token"]);
    for (depth, page_size, shown) in [(0, 0, (3, 100, "leo")), (2, 7, (2, 7, ""))] {
        let request = wire::GetReferralTreeRequest { depth, page_size, page_token: "00".into(), ..ask() };
        let response = wait(request.send(routes(&Fake::that(Does::Fits)))).unwrap();
        let node = &response.nodes[0];
        assert_eq!((node.generation, node.brought, node.member_id.as_str()), shown);
        assert_eq!((node.parent_member_id.as_str(), response.next_page_token.as_str()), ("mia", "00"));
        assert_eq!(node.state(), wire::ReferralState::Attributed);
    }
}

#[test]
fn r17_referrals_of_an_advocate_are_listed_in_either_order_and_in_pages() {
    let ask = || wire::ListReferralsRequest { member_id: "mia".into(), ..Default::default() };
    assert_eq!(found(wire::ListReferralsRequest::default()), ["member_id"]);
    for (page_size, expected) in [(-1, &["page_size"][..]), (200, &[]), (201, &["page_size"])] {
        assert_eq!(found(wire::ListReferralsRequest { page_size, ..ask() }), expected);
    }
    assert_eq!(found(wire::ListReferralsRequest { page_token: "0".repeat(4_097), ..ask() }), ["page_token"]);
    for (newest_first, page_size, expected) in
        [(false, 0, &["friends:a", "friends:b"][..]), (true, 0, &["friends:b", "friends:a"]), (true, 1, &["friends:b"])]
    {
        let request = wire::ListReferralsRequest { newest_first, page_size, page_token: "00".into(), ..ask() };
        let response = wait(request.send(routes(&Fake::that(Does::Fits)))).unwrap();
        let ids: Vec<&str> = response.referrals.iter().map(|referral| referral.referral_id.as_str()).collect();
        assert_eq!((ids.as_slice(), response.next_page_token.as_str()), (expected, "00"));
        assert_eq!(response.referrals[0].channel, "email");
    }
}

#[test]
fn r18_figures_are_shown_as_whole_numbers_and_ratios_of_such() {
    let bad = prost_types::Timestamp { seconds: 0, nanos: -1 };
    assert_eq!(found(wire::GetStatsRequest { at: Some(bad), ..Default::default() }), ["at"]);
    let request = wire::GetStatsRequest { at: timestamp(1_800_000_000, 0), ..Default::default() };
    let shown = wait(request.send(routes(&Fake::that(Does::Fits)))).unwrap();
    assert_eq!((shown.kept, shown.members), (true, 7));
    let others = shown.others.unwrap();
    assert_eq!((others.orders, others.spend_minor), (8, 9));
    let of = &shown.campaigns[0];
    assert_eq!((of.campaign_id.as_str(), of.sign_ups, of.qualified), ("friends", 6, 3));
    assert_eq!(of.k_factor, Some(wire::Ratio { numerator: 3, denominator: 7 }));
    assert_eq!(of.costs[0].per_friend, Some(wire::Ratio { numerator: 10, denominator: 3 }));
    let ways: Vec<_> = of.channels.iter().map(|way| (way.via(), way.sign_ups, way.qualified)).collect();
    assert_eq!(ways, [(wire::AttributedVia::SignUp, 5, 2), (wire::AttributedVia::Agent, 1, 1)]);
    assert_eq!(of.referred, Some(wire::ValueFigures { orders: 11, spend_minor: 12 }));
    let funnel: Vec<_> = of.funnel.iter().map(|of| (of.channel.as_str(), of.others)).collect();
    assert_eq!(funnel, [("", false), ("mail", false), ("", true)]);
    let counts = |at: usize| {
        let of = &of.funnel[at];
        [of.shares, of.clicks, of.scans, of.invites, of.dropped, of.sign_ups, of.qualified]
    };
    assert_eq!((counts(0), counts(1)), ([0, 0, 0, 0, 0, 5, 3], [3, 20, 0, 0, 0, 1, 0]));
    assert_eq!(counts(2), [0, 0, 0, 6, 9, 0, 0]);
    assert_eq!((of.shares, of.touches), (3, 26));
    // One month unless more are asked for, up to a year.
    for (months, ends_at, expected) in [(0, 2, &[][..]), (12, 13, &[]), (13, 0, &["months"]), (-1, 0, &["months"])] {
        let request = wire::GetStatsRequest { months, ..Default::default() };
        assert_eq!(found(request.clone()), expected, "{months}");
        if expected.is_empty() {
            let shown = wait(request.send(routes(&Fake::that(Does::Fits)))).unwrap();
            assert_eq!(shown.ends_at, timestamp(ends_at, 0), "{months}");
        }
    }
    assert!(!wait(wire::GetStatsRequest::default().send(routes(&Fake::that(Does::Fits)))).unwrap().kept);
}

#[test]
fn r18_figures_that_ledgers_do_not_make_are_told() {
    for page_token in ["x", "-1", "65536"] {
        let request = wire::VerifyStatsRequest { page_token: page_token.into(), ..Default::default() };
        assert_eq!(found(request), ["page_token"], "{page_token}");
    }
    for (page_token, next) in [("", "7"), ("7", "14")] {
        let request = wire::VerifyStatsRequest { page_token: page_token.into(), ..Default::default() };
        let shown = wait(request.send(routes(&Fake::that(Does::Fits)))).unwrap();
        assert_eq!(shown.next_page_token, next);
        assert_eq!((shown.accounts, shown.entries, shown.figures, shown.moving_partitions), (4, 5, 6, 1));
        assert_eq!((shown.differing, shown.differences.len()), (101, 100));
        let wire::StatsDifference { month, campaign_id, figure, kept, folded } = &shown.differences[0];
        assert_eq!((month.as_str(), campaign_id.as_str(), *kept, *folded), ("2026-06", "friends", 2, 3));
        assert!(figure.contains("SignUps") && figure.contains("Agent"), "{figure}");
    }
}
