//! What is known of members: malformed changes, fingerprints, and what changes mean to the domain.

use guerdon::domain::account::{AttributeValue, Birthday};
use guerdon::domain::answer::*;
use guerdon::domain::command::{Command, ProfileChange};
use guerdon::domain::id::Label;
use guerdon::grpc::wire::{self, attribute::Value};
use guerdon::service::Known;

use super::kit::*;

fn with(change: impl FnOnce(&mut wire::ProfileChange)) -> wire::UpdateMemberRequest {
    let mut request = update_member();
    change(request.change.as_mut().unwrap());
    request
}

fn refused(request: wire::UpdateMemberRequest) -> Vec<String> {
    let fake = Fake::that(Does::Fits);
    match wait(request.send(routes(&fake))) {
        Ok(_) => Vec::new(),
        Err(status) => paths(&status),
    }
}

#[test]
fn malformed_changes_name_every_field() {
    let attribute = |name: &str, value| wire::Attribute { name: name.into(), value };
    let day = |month, day, year| Some(wire::Birthday { month, day, year });
    let many = |n: usize| (0..n).map(|i| format!("t{i}")).collect::<Vec<_>>();
    for (name, request, expected) in [
        ("as it should be", update_member(), vec![]),
        ("empty", wire::UpdateMemberRequest::default(), vec!["member_id", "request_id", "change"]),
        ("29 February of a leap year", with(|c| c.birthday = day(2, 29, 2024)), vec![]),
        ("of another", with(|c| c.birthday = day(2, 29, 2023)), vec!["change.birthday"]),
        ("30 February", with(|c| c.birthday = day(2, 30, 0)), vec!["change.birthday"]),
        ("month 13", with(|c| c.birthday = day(13, 1, 0)), vec!["change.birthday"]),
        ("in 1899", with(|c| c.birthday = day(1, 1, 1899)), vec!["change.birthday"]),
        ("in 2101", with(|c| c.birthday = day(1, 1, 2101)), vec!["change.birthday"]),
        ("set and cleared", with(|c| c.clear_birthday = true), vec!["change.clear_birthday"]),
        ("zone set and cleared", with(|c| c.clear_time_zone = true), vec!["change.clear_time_zone"]),
        ("an offset", with(|c| c.time_zone = "+02:00".into()), vec!["change.time_zone"]),
        ("64 tags", with(|c| c.add_tags = many(64)), vec![]),
        ("65 tags", with(|c| c.add_tags = many(65)), vec!["change.add_tags"]),
        (
            "several",
            with(|c| {
                c.set_attributes = vec![
                    attribute("a|b", Some(Value::IntValue(1))),
                    attribute("text", Some(Value::TextValue("x".repeat(257)))),
                    attribute("none", None),
                    attribute("none", Some(Value::BoolValue(true))),
                ];
                c.remove_segments = vec![" x".into()];
            }),
            vec![
                "change.set_attributes[0].name",
                "change.set_attributes[1].text_value",
                "change.set_attributes[2].value",
                "change.set_attributes[3].name",
                "change.remove_segments[0]",
            ],
        ),
    ] {
        assert_eq!(refused(request), expected, "{name}");
    }
    let fake = Fake::that(Does::Fits);
    let enroll = wire::EnrollRequest {
        profile: Some(wire::ProfileChange { birthday: day(4, 31, 0), ..Default::default() }),
        ..enroll()
    };
    assert_eq!(paths(&wait(enroll.send(routes(&fake))).unwrap_err()), ["profile.birthday"]);
}

#[test]
fn a_change_means_to_the_domain_what_it_says() {
    let label = |raw: &str| Label::parse(raw).unwrap();
    let fake = Fake::that(Does::Fits);
    wait(update_member().send(routes(&fake))).unwrap();
    let Command::UpdateMember(update) = fake.last_write().command else { panic!("another command") };
    let expected = ProfileChange {
        set_attributes: vec![
            (label("children"), AttributeValue::Int(2)),
            (label("pet"), AttributeValue::Text("cat".into())),
        ],
        clear_attributes: vec![label("car")],
        add_tags: vec![label("vip")],
        remove_tags: vec![label("new")],
        add_segments: vec![label("city")],
        remove_segments: vec![label("country")],
        birthday: Some(Some(Birthday { month: 2, day: 29, year: None })),
        zone: Some(Some("Europe/Berlin".into())),
        leaderboard_opt_out: Some(true),
    };
    assert_eq!(update.change, expected);
    let cleared = with(|c| {
        *c = wire::ProfileChange { clear_birthday: true, clear_time_zone: true, ..Default::default() };
    });
    wait(cleared.send(routes(&fake))).unwrap();
    let Command::UpdateMember(update) = fake.last_write().command else { panic!("another command") };
    let expected = ProfileChange { birthday: Some(None), zone: Some(None), ..ProfileChange::default() };
    assert_eq!(update.change, expected);
}

#[test]
fn a_changed_request_is_told_from_a_resend() {
    let print = |request: wire::UpdateMemberRequest| {
        let fake = Fake::that(Does::Fits);
        wait(request.send(routes(&fake))).unwrap();
        fake.last_write().fingerprint
    };
    let stored = print(update_member()).to_bytes();
    let same = wire::UpdateMemberRequest { request_id: "r-2".into(), program_id: String::new(), ..update_member() };
    assert_eq!(print(same).to_bytes(), stored);
    for (expected, request) in [
        ("member_id", wire::UpdateMemberRequest { member_id: "ben".into(), ..update_member() }),
        ("change", with(|c| c.leaderboard_opt_out = Some(false))),
        ("change", with(|c| c.leaderboard_opt_out = None)),
        ("occurred_at", wire::UpdateMemberRequest { occurred_at: timestamp(1_767_225_600, 0), ..update_member() }),
    ] {
        assert_eq!(print(request).first_difference(&stored), expected);
    }
}

#[test]
fn the_outcome_of_every_move() {
    use wire::get_outcome_response::Answer as Shown;

    let moved =
        |kind| Answer::Move(MoveAnswer { kind, moved: true, decided: decided(), account: None, balances: Vec::new() });
    let answers = [
        moved(MoveKind::Merge),
        moved(MoveKind::Unmerge),
        moved(MoveKind::Join),
        moved(MoveKind::Leave),
        Answer::Erase(EraseAnswer { erased: true, decided: decided() }),
        Answer::Send(SendAnswer { sent: true, decided: decided(), balances: Vec::new() }),
        Answer::CreateAccount(CreateAccountAnswer { created: true, decided: decided() }),
        Answer::SetRole(SetRoleAnswer { set: true, decided: decided() }),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let fake = Fake::that(Does::Knows(Known::Answered(answer)));
        let found = match wait(get_outcome().send(routes(&fake))).unwrap().answer.unwrap() {
            Shown::Merge(shown) => (0, shown.merged && shown.replayed),
            Shown::Unmerge(shown) => (1, shown.unmerged && shown.replayed),
            Shown::JoinAccount(shown) => (2, shown.joined && shown.replayed),
            Shown::LeaveAccount(shown) => (3, shown.left && shown.replayed),
            Shown::Erase(shown) => (4, shown.erased && shown.replayed),
            Shown::Transfer(shown) => (5, shown.transferred && shown.replayed),
            Shown::CreateAccount(shown) => (6, shown.created && shown.replayed),
            Shown::SetRole(shown) => (7, shown.set && shown.replayed),
            other => panic!("{other:?}"),
        };
        assert_eq!(found, (number, true));
    }
}

#[test]
fn malformed_moves_name_every_field() {
    macro_rules! refused {
        ($request:expr) => {
            paths(&wait($request.send(routes(&Fake::that(Does::Fits)))).unwrap_err())
        };
    }
    assert_eq!(refused!(wire::MergeRequest::default()), ["member_id", "request_id", "into_member_id"]);
    assert_eq!(refused!(wire::UnmergeRequest::default()), ["member_id", "request_id"]);
    assert_eq!(refused!(wire::EraseRequest::default()), ["member_id", "request_id"]);
    assert_eq!(refused!(wire::TransferRequest::default()), ["member_id", "request_id", "to_member_id", "amount"]);
    assert_eq!(refused!(wire::CreateAccountRequest::default()), ["account_id", "request_id", "kind"]);
    assert_eq!(refused!(wire::GetAccountRequest::default()), ["account_id"]);
    assert_eq!(refused!(wire::JoinAccountRequest::default()), ["member_id", "request_id", "account_id"]);
    assert_eq!(refused!(wire::LeaveAccountRequest::default()), ["member_id", "request_id"]);
    assert_eq!(refused!(wire::SetRoleRequest::default()), ["member_id", "request_id", "person_member_id", "role"]);
}
