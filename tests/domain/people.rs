//! What is known of members: what a change makes of a profile, what it refuses, and what the ledger holds of it.

use guerdon::domain::account::{AttributeValue, Birthday, Person, Profile};
use guerdon::domain::answer::Answer;
use guerdon::domain::command::{Command, Enroll, ProfileChange, UpdateMember};
use guerdon::domain::id::{Label, MemberId};
use guerdon::domain::ledger::Fact;
use guerdon::domain::referral::signal::Signals;
use guerdon::program::compile;

use super::kit::*;

const DECLARED: &str = "attributes: {plan: text, adult: bool, visits: int}\n";

fn labels(raw: &[&str]) -> Vec<Label> {
    raw.iter().map(|raw| label(raw)).collect()
}

fn set(attributes: &[(&str, AttributeValue)]) -> ProfileChange {
    let set_attributes = attributes.iter().map(|(name, value)| (label(name), value.clone())).collect();
    ProfileChange { set_attributes, ..ProfileChange::default() }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::Text(value.into())
}

impl World {
    fn update(&mut self, member: &str, change: ProfileChange) -> (bool, Vec<String>) {
        let decision = self.decide(member, Command::UpdateMember(UpdateMember { change, signals: Signals::None }));
        let Answer::UpdateMember(answer) = &decision.answer else { panic!("{:?}", decision.answer) };
        (answer.updated, told(&decision))
    }

    fn person(&self, member: &str) -> &Person {
        let member = MemberId::parse(member).unwrap();
        self.accounts[&account(member.as_str())].person(&member).unwrap()
    }
}

#[test]
fn a_change_sets_clears_and_keeps_field_by_field() {
    let mut world = World::new(DECLARED).with("mia", 0);
    assert_eq!(world.person("mia").profile_digest, None);
    let plan = set(&[("visits", AttributeValue::Int(-3)), ("plan", text("gold"))]);
    let change = ProfileChange {
        add_tags: labels(&["vip", "early", "vip"]),
        add_segments: labels(&["city"]),
        birthday: Some(Some(Birthday::new(2, 29, None).unwrap())),
        zone: Some(Some("Asia/Tokyo".into())),
        leaderboard_opt_out: Some(true),
        ..plan
    };
    assert_eq!(world.update("mia", change.clone()), (true, vec![]));
    let profile = world.person("mia").profile.clone();
    assert_eq!(profile.tags, labels(&["early", "vip"]), "sorted, each once");
    assert_eq!(profile.attribute(&label("plan")), Some(&text("gold")));
    assert_eq!(profile.attributes[0].0, label("plan"), "sorted by name");
    assert_eq!(profile.time_zone().unwrap().iana_name(), Some("Asia/Tokyo"));
    let before = world.ledgers[&account("mia")].len();
    assert_eq!(world.update("mia", change), (true, vec![]));
    assert_eq!(world.ledgers[&account("mia")].len(), before, "what changes nothing leaves no entry");

    let change = ProfileChange {
        clear_attributes: labels(&["plan", "adult"]),
        remove_tags: labels(&["vip", "unknown"]),
        add_tags: labels(&["vip"]),
        birthday: Some(None),
        ..set(&[("adult", AttributeValue::Bool(true))])
    };
    assert_eq!(world.update("mia", change), (true, vec![]));
    let after = &world.person("mia").profile;
    let names: Vec<&str> = after.attributes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["adult", "visits"], "removals come first");
    assert_eq!((&after.tags, after.birthday, after.leaderboard_opt_out), (&labels(&["early", "vip"]), None, true));
    assert!(world.update("mia", ProfileChange { clear_attributes: labels(&["adult"]), ..Default::default() }).0);
}

#[test]
fn what_cannot_be_is_answered_by_name_and_nothing_is_changed() {
    let mut world = World::new(DECLARED).with("mia", 0);
    let wrong = set(&[
        ("plan", AttributeValue::Int(1)),
        ("adult", text("yes")),
        ("shoe size", AttributeValue::Int(44)),
        ("visits", AttributeValue::Int(1)),
    ]);
    let many: Vec<String> = (0..65).map(|n| format!("t{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let change = ProfileChange { add_tags: labels(&many), ..wrong.clone() };
    let expected = [
        "no attribute plan: AttributeType",
        "no attribute adult: AttributeType",
        "no attribute shoe size: AttributeUnknown",
        "no profile tags: TooLarge, asks 65, has 64",
    ];
    assert_eq!(world.update("mia", change), (false, expected.map(str::to_owned).to_vec()));
    assert!(world.person("mia").profile.is_blank());
    assert_eq!(world.ledgers[&account("mia")].len(), 1);

    // Who enrols becomes a member all the same, with what can be known of them.
    let member = MemberId::parse("ben").unwrap();
    let decision = world.decide(
        "ben",
        Command::Enroll(Enroll { member, codes: Vec::new(), profile: wrong, visitor: None, signals: Signals::None }),
    );
    let Answer::Enroll(answer) = &decision.answer else { panic!() };
    assert!(answer.enrolled);
    assert_eq!(told(&decision), &expected[..3]);
    assert_eq!(world.person("ben").profile.attributes, [(label("visits"), AttributeValue::Int(1))]);
}

#[test]
fn the_ledger_holds_a_salted_digest_and_nothing_of_the_profile() {
    let mut world = World::new(DECLARED).with("mia", 0);
    world.update("mia", set(&[("plan", text("secret-plan"))]));
    let ledger = &world.ledgers[&account("mia")];
    assert!(!format!("{ledger:?}").contains("secret-plan"));
    let Fact::ProfileChanged { digest, .. } = &ledger.last().unwrap().fact else { panic!("{ledger:?}") };
    let profile = world.person("mia").profile.clone();
    assert_eq!(*digest, profile.digest());
    assert_ne!(*digest, Profile { salt: [8; 16], ..profile.clone() }.digest(), "another salt, another digest");

    // A profile that is not what the ledger says is found.
    let mut state = world.accounts[&account("mia")].clone();
    assert!(state.faults().is_empty());
    state.people[0].profile.attributes[0].1 = text("forged");
    assert_eq!(state.faults(), ["the profile of person 0 is not what the ledger says"]);
    // Cleared, nothing is left: no digest either.
    world.update("mia", ProfileChange { clear_attributes: labels(&["plan"]), ..Default::default() });
    assert_eq!(world.person("mia").profile_digest, None);
}

#[test]
fn attributes_are_declared_with_a_type() {
    let program = program("attributes: {plan: text, adult: bool}\n");
    assert_eq!(program.attributes.len(), 2);
    let text = "guerdon: 1\nprogram: p\ntitle: P\ntime_zone: UTC\ncurrencies: [GBP]\nattributes: {plan: string}\n";
    let faults = compile(text).unwrap_err().to_string();
    assert!(faults.contains("expected `int`, `bool` or `text`"), "{faults}");
    assert!(faults.contains("attributes.plan"), "{faults}");
}

#[test]
fn a_birthday_is_a_day_that_exists() {
    for (month, day, year, exists) in [
        (2, 29, None, true),
        (2, 29, Some(2024), true),
        (2, 29, Some(1900), false),
        (2, 30, None, false),
        (12, 31, Some(2100), true),
        (12, 31, Some(2101), false),
        (1, 1, Some(1899), false),
        (0, 1, None, false),
        (1, 0, None, false),
        (300, 1, None, false),
    ] {
        assert_eq!(Birthday::new(month, day, year).is_some(), exists, "{month}-{day} {year:?}");
    }
}
