//! Asking for administrative writes: what is malformed, what is asked for, and how they are shown.

use guerdon::domain::id::{Label, MemberId};
use guerdon::domain::time::Instant;
use guerdon::grpc::wire;
use guerdon::service::AuditEntries;

use super::kit::*;

fn asked() -> wire::ListAuditEntriesRequest {
    wire::ListAuditEntriesRequest {
        program_id: "bakery".into(),
        page_size: 500,
        page_token: "41".into(),
        newest_first: true,
        after_position: 3,
        from: timestamp(1_767_225_600, 0),
        until: timestamp(1_767_225_601, 500_000_000),
        principal: "help desk".into(),
        agent_id: "zoe".into(),
        method: "Adjust".into(),
        member_id: "mia".into(),
    }
}

fn with(change: impl FnOnce(&mut wire::ListAuditEntriesRequest)) -> wire::ListAuditEntriesRequest {
    let mut request = asked();
    change(&mut request);
    request
}

#[test]
fn f5_what_is_wrong_with_asking_for_the_audit() {
    for (name, request, expected) in [
        ("as it should be", asked(), vec![]),
        ("nothing in particular", wire::ListAuditEntriesRequest::default(), vec![]),
        ("an odd program", with(|r| r.program_id = "a|b".into()), vec!["program_id"]),
        ("too long a page", with(|r| r.page_size = 501), vec!["page_size"]),
        (
            "less than nothing",
            with(|r| (r.page_size, r.after_position) = (-1, -1)),
            vec!["page_size", "after_position"],
        ),
        ("a long token", with(|r| r.page_token = "1".repeat(21)), vec!["page_token"]),
        ("out of time", with(|r| r.from = timestamp(i64::MAX, 0)), vec!["from"]),
        ("an empty period", with(|r| r.until = r.from), vec!["until"]),
        ("a period that ends first", with(|r| r.until = timestamp(1_767_225_599, 0)), vec!["until"]),
        ("odd names", with(|r| (r.principal, r.agent_id) = (" x".into(), "y ".into())), vec!["principal", "agent_id"]),
        ("no method", with(|r| r.method = "MemberService/Adjust".into()), vec!["method"]),
        ("a method in full", with(|r| r.method = "guerdon.v1.MemberService/Adjust".into()), vec![]),
        ("an odd member", with(|r| r.member_id = "a b".into()), vec!["member_id"]),
    ] {
        let fake = Fake::that(Does::Fits);
        let found = wait(request.send(routes(&fake))).map_or_else(|status| paths(&status), |_| Vec::new());
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn f5_the_audit_is_asked_for_as_the_request_says() {
    let fake = Fake::that(Does::Fits);
    for request in [asked(), wire::ListAuditEntriesRequest::default()] {
        wait(request.send(routes(&fake))).unwrap();
    }
    let narrow = AuditEntries {
        token: Some("41".into()),
        limit: 500,
        newest_first: true,
        after: 3,
        from: Some(Instant(1_767_225_600_000)),
        until: Some(Instant(1_767_225_601_500)),
        principal: Some(Label::parse("help desk").unwrap()),
        agent: Some(Label::parse("zoe").unwrap()),
        method: Some("guerdon.v1.MemberService/Adjust"),
        member: Some(MemberId::parse("mia").unwrap()),
    };
    assert_eq!(*fake.audits.lock().unwrap(), [narrow, AuditEntries { limit: 100, ..AuditEntries::default() }]);
}

#[test]
fn f5_an_entry_of_the_audit_is_shown_whole() {
    let fake = Fake::that(Does::Fits);
    let answer = wait(asked().send(routes(&fake))).unwrap();
    let plain = wire::AuditEntry {
        position: 7,
        recorded_at: timestamp(1_767_225_600, 500_000_000),
        decided_at: timestamp(1_767_225_600, 123_000_000),
        principal: "help-desk".into(),
        agent_id: String::new(),
        method: "guerdon.v1.MemberService/Erase".into(),
        request_id: "r-1".into(),
        member_id: "mia".into(),
        account_id: "home".into(),
        reason: wire::AdjustReason::Unspecified.into(),
        reason_code: String::new(),
        note: String::new(),
        refused_for: Vec::new(),
    };
    let full = wire::AuditEntry {
        position: 8,
        agent_id: "zoe".into(),
        reason: wire::AdjustReason::Migration.into(),
        reason_code: "known-family".into(),
        note: "for the long wait".into(),
        refused_for: vec![wire::RefusalReason::MemberErased.into(), wire::RefusalReason::DailyLimit.into()],
        ..plain.clone()
    };
    assert_eq!(answer.entries, [plain, full]);
    assert_eq!(answer.next_page_token, "9");
}
