//! A resend is told from a reused request id, and the first field that differs is named.

use guerdon::grpc::wire;
use guerdon::service::Fingerprint;

use super::kit::*;

fn fingerprint(request: impl Rpc) -> Fingerprint {
    let fake = Fake::that(Does::Fits);
    wait(request.send(routes(&fake))).unwrap();
    fake.last_write().fingerprint
}

/// Each change of `base` is named; what is no content of the request changes nothing.
fn check<R: Rpc>(base: R, same: Vec<R>, changed: Vec<(&str, R)>) {
    let stored = fingerprint(base.clone()).to_bytes();
    for request in same.into_iter().chain([base]) {
        assert_eq!(fingerprint(request.clone()).to_bytes(), stored, "{request:?}");
    }
    for (expected, request) in changed {
        let sent = fingerprint(request.clone());
        assert_ne!(sent.to_bytes(), stored, "{expected}: {request:?}");
        assert_eq!(sent.first_difference(&stored), expected, "{request:?}");
    }
}

#[test]
fn commits() {
    use wire::CommitRequest as R;
    let mut other_order = order();
    other_order.lines[1].tax_minor += 1;
    let tender = |tender_id: &str| wire::Tender { tender_id: tender_id.into(), amount_minor: 1, ..Default::default() };
    check(
        commit(),
        // The program and the request id are the key that the fingerprint is stored under.
        vec![R { program_id: String::new(), ..commit() }, R { request_id: "r-2".into(), ..commit() }],
        vec![
            ("member_id", R { member_id: "ben".into(), ..commit() }),
            ("order", R { order: Some(other_order.clone()), ..commit() }),
            ("redeem", R { redeem: None, ..commit() }),
            ("redeem", R { redeem: Some(wire::Redeem::default()), ..commit() }),
            ("codes", R { codes: vec![], ..commit() }),
            ("codes", R { codes: vec!["ABCD".into(), "1234".into()], ..commit() }),
            ("occurred_at", R { occurred_at: None, ..commit() }),
            ("occurred_at", R { occurred_at: timestamp(1_767_225_600, 1), ..commit() }),
            ("paid", R { paid: false, ..commit() }),
            ("tenders", R { tenders: vec![tender("a"), tender("b")], ..commit() }),
            ("explain", R { explain: true, ..commit() }),
            ("quote_token", R { quote_token: String::new(), ..commit() }),
            ("visitor_id", R { visitor_id: "v-2".into(), ..commit() }),
            // The first of several is named.
            ("order", R { order: Some(other_order), explain: true, tenders: vec![], ..commit() }),
        ],
    );
    // Neither what a list holds nor where its elements end is lost.
    check(
        R { codes: vec!["AB".into(), "CD".into()], tenders: vec![tender("a"), tender("b")], ..commit() },
        vec![],
        vec![
            ("codes", R { codes: vec!["ABC".into(), "D".into()], tenders: vec![tender("a"), tender("b")], ..commit() }),
            (
                "tenders",
                R {
                    codes: vec!["AB".into(), "CD".into()],
                    tenders: vec![tender("a"), wire::Tender { amount_minor: 2, ..tender("b") }],
                    ..commit()
                },
            ),
        ],
    );
    // There and empty is not the same as left out.
    check(
        R { redeem: None, ..commit() },
        vec![],
        vec![("redeem", R { redeem: Some(wire::Redeem::default()), ..commit() })],
    );
}

#[test]
fn reservations() {
    use wire::ReserveRequest as R;
    check(
        reserve(),
        vec![R { program_id: String::new(), request_id: "r-2".into(), ..reserve() }],
        vec![
            ("member_id", R { member_id: "ben".into(), ..reserve() }),
            ("order", R { order: Some(wire::Order { order_id: "o-2".into(), ..order() }), ..reserve() }),
            ("redeem", R { redeem: Some(wire::Redeem::default()), ..reserve() }),
            ("ttl_seconds", R { ttl_seconds: None, ..reserve() }),
            ("ttl_seconds", R { ttl_seconds: Some(601), ..reserve() }),
            ("occurred_at", R { occurred_at: None, ..reserve() }),
            ("explain", R { explain: true, ..reserve() }),
            ("quote_token", R { quote_token: "c0ffe0".into(), ..reserve() }),
        ],
    );
}

#[test]
fn releases_and_returns() {
    use wire::{ReleaseRequest as L, ReturnRequest as R};
    check(
        release(),
        vec![L { program_id: String::new(), request_id: "r-2".into(), ..release() }],
        vec![
            ("member_id", L { member_id: "ben".into(), ..release() }),
            ("order_id", L { order_id: "o-2".into(), ..release() }),
            ("occurred_at", L { occurred_at: timestamp(1_767_225_600, 0), ..release() }),
        ],
    );
    check(
        give_back(),
        vec![R { program_id: String::new(), request_id: "r-2".into(), ..give_back() }],
        vec![
            ("member_id", R { member_id: "ben".into(), ..give_back() }),
            ("order_id", R { order_id: "o-2".into(), ..give_back() }),
            ("return_id", R { return_id: "b-2".into(), ..give_back() }),
            ("what", R { what: Some(wire::ReturnWhat { everything: true, lines: vec![] }), ..give_back() }),
            ("occurred_at", R { occurred_at: timestamp(1_767_225_600, 0), ..give_back() }),
        ],
    );
    // Cancelling takes no lines.
    let all = || R { what: Some(wire::ReturnWhat { everything: true, lines: vec![] }), ..give_back() };
    check(all(), vec![], vec![("cause", R { cause: 2, ..all() })]);
}

#[test]
fn amendments() {
    use wire::AmendOrderRequest as A;
    check(
        amend_order(),
        vec![A { program_id: String::new(), request_id: "r-2".into(), ..amend_order() }],
        vec![
            ("member_id", A { member_id: "ben".into(), ..amend_order() }),
            ("order_id", A { order_id: "o-2".into(), ..amend_order() }),
            ("amendment_id", A { amendment_id: "a-2".into(), ..amend_order() }),
            ("remove", A { remove: vec![], ..amend_order() }),
            ("add", A { add: vec![], ..amend_order() }),
            ("redeem", A { redeem: Some(wire::Redeem::default()), ..amend_order() }),
            ("tenders", A { tenders: vec![], ..amend_order() }),
            ("occurred_at", A { occurred_at: timestamp(1_767_225_600, 0), ..amend_order() }),
        ],
    );
}

#[test]
fn members_and_referrals() {
    use wire::{
        AdjustRequest as A, AttributeRequest as T, CreateCodeRequest as C, EnrollRequest as E, UpdateCodeRequest as U,
    };
    let when = timestamp(1_767_225_600, 0);
    check(
        enroll(),
        vec![E { program_id: String::new(), request_id: "r-2".into(), ..enroll() }],
        vec![
            ("member_id", E { member_id: "ben".into(), ..enroll() }),
            ("codes", E { codes: vec![], ..enroll() }),
            ("occurred_at", E { occurred_at: when, ..enroll() }),
            ("visitor_id", E { visitor_id: String::new(), ..enroll() }),
        ],
    );
    check(
        adjust(),
        vec![A { program_id: String::new(), request_id: "r-2".into(), ..adjust() }],
        vec![
            ("member_id", A { member_id: "ben".into(), ..adjust() }),
            ("unit", A { unit: "points".into(), ..adjust() }),
            ("amount", A { amount: 51, ..adjust() }),
            ("reason", A { reason: 2, ..adjust() }),
            ("agent_id", A { agent_id: "agent-8".into(), ..adjust() }),
            ("note", A { note: String::new(), ..adjust() }),
            ("expires_at", A { expires_at: None, ..adjust() }),
            ("occurred_at", A { occurred_at: when, ..adjust() }),
        ],
    );
    check(
        create_code(),
        vec![C { program_id: String::new(), request_id: "r-2".into(), ..create_code() }],
        vec![
            ("member_id", C { member_id: "ben".into(), ..create_code() }),
            ("campaign_id", C { campaign_id: String::new(), ..create_code() }),
            // What was sent counts, not what it reads as.
            ("vanity", C { vanity: "MIACOOKS".into(), ..create_code() }),
            ("occurred_at", C { occurred_at: when, ..create_code() }),
            ("label", C { label: "post".into(), ..create_code() }),
            ("expires_at", C { expires_at: when, ..create_code() }),
            ("uses_max", C { uses_max: 5, ..create_code() }),
        ],
    );
    check(
        attribute(),
        vec![T { program_id: String::new(), request_id: "r-2".into(), ..attribute() }],
        vec![
            ("member_id", T { member_id: "mia".into(), ..attribute() }),
            ("code", T { code: "MIACOOKS".into(), ..attribute() }),
            ("occurred_at", T { occurred_at: when, ..attribute() }),
            ("agent_id", T { agent_id: "agent-7".into(), ..attribute() }),
        ],
    );
    check(
        update_code(),
        vec![U { program_id: String::new(), request_id: "r-2".into(), ..update_code() }],
        vec![
            ("member_id", U { member_id: "ben".into(), ..update_code() }),
            ("code", U { code: "MIACOOKS".into(), ..update_code() }),
            ("state", U { state: 1, ..update_code() }),
            ("agent_id", U { agent_id: "agent-8".into(), ..update_code() }),
            ("occurred_at", U { occurred_at: when, ..update_code() }),
        ],
    );
}

#[test]
fn another_method_is_another_request() {
    let all = [
        fingerprint(enroll()),
        fingerprint(reserve()),
        fingerprint(commit()),
        fingerprint(release()),
        fingerprint(give_back()),
        fingerprint(adjust()),
        fingerprint(create_code()),
        fingerprint(attribute()),
    ];
    for (number, (stored, method)) in all.iter().zip(1..).enumerate() {
        // Version and method are stored for good.
        assert_eq!(stored.to_bytes()[..2], [1, method]);
        for other in all.iter().skip(number + 1) {
            assert_eq!(other.first_difference(&stored.to_bytes()), "method");
        }
    }
}
