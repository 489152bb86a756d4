//! Adjustments by hand, and codes.

use guerdon::domain::account::AccountState;
use guerdon::domain::answer::{Answer, CreateCodeAnswer};
use guerdon::domain::command::{Adjust, Command, CreateCode};
use guerdon::domain::id::UnitId;

use super::kit::*;

#[test]
fn an_adjustment_credits_or_debits_what_is_there() {
    let unit = |name: &str| Some(UnitId::parse(name).unwrap());
    for (unit, amount, expires, expected, has) in [
        (None, 5, None, "adjusted by 5", "available 15"),
        (None, -10, None, "adjusted by -10", "nothing"),
        (None, -11, None, "no adjustment: BalanceTooLow, asks 11, has 10", "available 10"),
        (None, 5, Some("2026-05-04T12:00:00.001Z"), "adjusted by 5", "available 15"),
        (None, 5, Some("2026-05-04T12:00:00.000Z"), "no adjustment: OutOfBounds", "available 10"),
        (unit("crumbs"), 5, None, "adjusted by 5", "available 10"),
        (unit("gold"), 5, None, "no adjustment: UnitUnknown", "available 10"),
        (None, i64::MAX, None, "no adjustment: OutOfBounds", "available 10"),
        (None, i64::MAX - 10, None, "adjusted by 9223372036854775797", "available 9223372036854775807"),
        (None, i64::MIN, None, "no adjustment: OutOfBounds", "available 10"),
    ] {
        let mut world = World::new("units: {points: {}, crumbs: {}}\n").with("mia", 10);
        let decision = world.decide("mia", Command::Adjust(Adjust { unit: unit.clone(), ..adjust(amount, expires) }));
        assert_eq!(told(&decision), [expected], "{unit:?} {amount} {expires:?}");
        assert_eq!(world.has("mia"), has, "{unit:?} {amount} {expires:?}");
    }
}

#[test]
fn a_credit_repays_what_is_owed_and_its_note_lies_beside_its_entry() {
    let mut world = World::new(BASE).with("mia", 0);
    world.buy("mia", order_for("o", 1_000));
    world.adjust("mia", -10, None);
    world.give_back("mia", everything("o", "r"));
    assert_eq!(world.has("mia"), "debt 10");
    let noted = Adjust { note: Some("sorry".to_owned()), ..adjust(15, None) };
    let decision = world.decide("mia", Command::Adjust(noted));
    assert_eq!(told(&decision), ["adjusted by 15, repaid 10"]);
    assert_eq!(world.has("mia"), "available 5");
    let (sequence, note) = decision.note.clone().unwrap();
    assert_eq!(note, "sorry");
    assert_eq!(decision.entries.iter().find(|entry| entry.sequence == sequence).unwrap().fact.name(), "credited");
}

/// Lots that hardly ever expire together are bounded: a grant beyond is refused, and the order stands.
#[test]
fn an_account_that_is_full_takes_orders_and_returns() {
    let mut world = World::new(&format!("units: {{points: {{expires_after: 12 months}}}}\n{BASE}")).with("mia", 0);
    world.buy("mia", order_for("first", 1_000));
    let mut state = world.accounts[&account("mia")].clone();
    // Fills the account without going through as many decisions.
    let book = &mut state.units[0];
    let lot = book.lots[0];
    let room = AccountState::LOTS_GRANTED_MAX - book.lots.len();
    for n in 0..room {
        let mut lot = lot;
        lot.dates.expires_at = lot.dates.expires_at.plus_ms(n as i64 + 1);
        book.lots.push(lot);
    }
    book.books[0] += 10 * room as i64;
    book.books[4] -= 10 * room as i64;
    let snapshot = guerdon::domain::decide::Snapshot {
        account: Some(std::sync::Arc::new(state)),
        ..world.snapshot(Some(&account("mia")), &Command::Commit(commit(order_for("o", 1_000))))
    };
    let times = guerdon::domain::time::Times { now: at("2026-05-05"), effective_at: at("2026-05-05"), stated: false };
    let order = Command::Commit(commit(order_for("o", 1_000)));
    let decision = guerdon::domain::decide::decide(&world.timeline, &snapshot, &order, times, None, false).unwrap();
    assert_eq!(told(&decision), ["no earn: TooLarge"]);
    assert!(decision.order.is_some());
}

const TWO: &str = "referrals:
  - {id: one, title: T, friend: {units: 1}, ends_at: 2026-06-01T00:00:00Z}
  - {id: two, title: T, friend: {units: 1}}
";

fn created(answer: &Answer) -> &CreateCodeAnswer {
    match answer {
        Answer::CreateCode(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn r1_a_code_is_made_once_for_each_campaign_and_label_and_wished_for_besides() {
    let mut world = World::new(TWO).with("mia", 0).with("leo", 0);
    let mut ask = |member: &str, wish: CreateCode| {
        let decision = world.decide(member, Command::CreateCode(wish));
        let answer = created(&decision.answer).clone();
        (answer.code.map(|code| code.to_string()).unwrap_or_default(), answer.created, told(&decision))
    };
    let labelled = |name: &str| CreateCode { label: Some(label(name)), ..wish(Some("two"), None) };
    let (first, made, _) = ask("mia", wish(Some("two"), None));
    assert!(made && first.len() == 8);
    // Asked again: the same. For something else: another.
    assert_eq!(ask("mia", wish(Some("two"), None)), (first.clone(), false, vec![]));
    let (video, made, _) = ask("mia", labelled("video"));
    assert!(made && video != first);
    assert_eq!(ask("mia", labelled("video")), (video, false, vec![]));
    let (vanity, made, _) = ask("mia", wish(Some("two"), Some("mia-rocks")));
    assert_eq!((vanity.as_str(), made), ("M1AR0CKS", true));
    assert_eq!(ask("leo", wish(Some("two"), Some("MIA rocks"))).2, ["no code M1AR0CKS: CodeTaken"]);
    assert!(ask("leo", wish(Some("one"), None)).1);
    assert_eq!(ask("mia", wish(Some("one"), Some("mia-rocks"))).2, ["no code M1AR0CKS: CodeTaken"]);
}

/// A code that was wished for was claimed before the request was refused: nobody could have it any more.
#[test]
fn r1_a_request_that_is_refused_takes_no_code() {
    let mut world = World::new(TWO).with("mia", 0).with("leo", 0).on("2026-06-01");
    let refused = world.decide_as_of("mia", Command::CreateCode(wish(Some("two"), Some("ROCKS"))), at("2020-01-01"));
    assert_eq!(told(&refused), ["no member: TooFarBack"]);
    assert!(world.codes.is_empty());
    assert!(created(&world.decide("leo", Command::CreateCode(wish(Some("two"), Some("ROCKS")))).answer).created);
}

#[test]
fn r1_a_code_is_refused_in_this_order() {
    let sections = TWO.replace(
        "{id: two,",
        "{id: three, title: T, friend: {units: 1}, codes: {vanity: false, \
                                             per_member_max: 1, valid_for: 2 days}}\n  - {id: two,",
    );
    let mut world = World::new(&sections).with("mia", 0).with("leo", 0).on("2026-06-01");
    world.decide("leo", Command::CreateCode(wish(Some("two"), Some("TAKEN"))));
    let expired = CreateCode { expires_at: Some(at("2026-06-01")), ..wish(Some("two"), None) };
    let labelled = CreateCode { label: Some(label("more")), ..wish(Some("three"), None) };
    assert!(created(&world.decide("mia", Command::CreateCode(wish(Some("three"), None))).answer).created);
    for (wish, expected) in [
        (wish(None, None), "no code : CampaignUnknown"),
        (wish(Some("four"), None), "no code : CampaignUnknown"),
        (wish(Some("one"), None), "no code : CodeExpired"),
        (wish(Some("three"), Some("M1A0")), "no code M1A0: VanityNotAllowed"),
        (labelled, "no code : TooManyCodes, asks 2, has 1"),
        (expired, "no code : CodeExpired"),
        (wish(Some("two"), Some("TAKEN")), "no code TAKEN: CodeTaken"),
    ] {
        let decision = world.decide("mia", Command::CreateCode(wish.clone()));
        assert_eq!(told(&decision), [expected], "{wish:?}");
    }
    assert_eq!(told(&world.decide("nobody", Command::CreateCode(wish(None, None)))), ["no member: MemberUnknown"]);
    for n in 1..AccountState::CODES_MAX {
        let code = format!("C0DE{n:02}");
        assert!(created(&world.decide("mia", Command::CreateCode(wish(Some("two"), Some(&code)))).answer).created);
    }
    let more = wish(Some("two"), Some("M0RE"));
    assert_eq!(told(&world.decide("mia", Command::CreateCode(more))), ["no code M0RE: TooManyCodes, asks 21, has 20"]);
}

#[test]
fn r1_a_code_is_blocked_unblocked_and_expires() {
    let mut world = World::new(TWO).with("mia", 0);
    let code = CreateCode { expires_at: Some(at("2026-06-03")), ..wish(Some("two"), Some("MIA0")) };
    world.decide("mia", Command::CreateCode(code));
    world.relay();
    let update = |world: &mut World, blocked: bool| {
        let (code, agent) = (entered("mia-0"), label("zoe"));
        let update = guerdon::domain::command::UpdateCode { code, blocked, agent };
        let decision = world.decide("mia", Command::UpdateCode(update));
        world.relay();
        decision.entries.len()
    };
    assert_eq!(update(&mut world, true), 1);
    assert_eq!(update(&mut world, true), 0, "it is blocked already");
    assert_eq!(told(&world.enrol("ben", &["MIA0"])), ["no code MIA0: CodeBlocked"]);
    assert_eq!(update(&mut world, false), 1);
    world.go("2026-06-02");
    assert_eq!(told(&world.enrol("cat", &["MIA0"])), ["two:cat is Attributed"]);
    world.go("2026-06-03");
    assert_eq!(told(&world.enrol("dan", &["MIA0"])), ["no code MIA0: CodeExpired"]);
    let unknown = guerdon::domain::command::UpdateCode { code: entered("N0PE"), blocked: true, agent: label("zoe") };
    assert_eq!(told(&world.decide("mia", Command::UpdateCode(unknown))), ["no code N0PE: CodeUnknown"]);
}

#[test]
fn r1_a_code_brings_so_many_friends_and_no_more() {
    let mut world = World::new(TWO).with("mia", 0);
    let code = CreateCode { uses_max: Some(2), ..wish(Some("two"), Some("MIA0")) };
    world.decide("mia", Command::CreateCode(code));
    world.relay();
    for (friend, expected) in
        [("ben", "two:ben is Attributed"), ("cat", "two:cat is Attributed"), ("dan", "no code MIA0: CodeUsedUp")]
    {
        assert_eq!(told(&world.enrol(friend, &["MIA0"])), [expected]);
    }
}

#[test]
fn r1_a_wrong_character_is_told_from_an_unknown_code() {
    let mut world = World::new(TWO).with("mia", 0);
    let answer = world.decide("mia", Command::CreateCode(wish(Some("two"), None))).answer;
    world.relay();
    let code = created(&answer).code.clone().unwrap().to_string();
    let other = if code.ends_with('7') { '8' } else { '7' };
    let wrong = format!("{}{other}", &code[..7]);
    assert_eq!(told(&world.enrol("ben", &[&wrong])), [format!("no code {wrong}: CodeMistyped")]);
    assert_eq!(told(&world.enrol("cat", &["N0SUCHC0DE"])), ["no code N0SUCHC0DE: CodeUnknown"]);
    let written = format!("{}-{}", code[..4].to_lowercase(), &code[4..]);
    assert_eq!(told(&world.enrol("dan", &[&written])), ["two:dan is Attributed"]);
}
