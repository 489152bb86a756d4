//! Adjustments by hand, and codes.

use guerdon::domain::account::AccountState;
use guerdon::domain::answer::{Answer, CreateCodeAnswer};
use guerdon::domain::command::{Adjust, Command, CreateCode};
use guerdon::domain::decide::{CodeWanted, code_wanted};
use guerdon::domain::id::{CampaignId, UnitId};

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
        account: Some(state),
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

fn wish(campaign: Option<&str>, vanity: Option<&str>) -> CreateCode {
    CreateCode {
        campaign: campaign.map(|id| CampaignId::parse(id).unwrap()),
        vanity: vanity.and_then(guerdon::domain::code::read),
    }
}

fn created(answer: &Answer) -> &CreateCodeAnswer {
    match answer {
        Answer::CreateCode(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_code_is_claimed_first_and_then_the_members_own() {
    let mut world = World::new(TWO).with("mia", 0);
    let program = world.timeline.at(world.now).unwrap().clone();
    let wanted =
        |world: &World, wish: &CreateCode| code_wanted(&program, world.accounts.get(&account("mia")), wish, world.now);
    let any = wish(Some("two"), None);
    let two = CampaignId::parse("two").unwrap();
    assert_eq!(wanted(&world, &any), CodeWanted::Claim { campaign: two.clone(), vanity: None });
    // Nobody has claimed it: somebody else was faster.
    let decision = world.decide("mia", Command::CreateCode(any.clone()));
    assert_eq!(told(&decision), ["no code : CodeTaken"]);
    world.code("M1A0", "mia", "two");
    let decision = world.decide("mia", Command::CreateCode(any.clone()));
    let answer = created(&decision.answer);
    assert_eq!((answer.code.as_ref().unwrap().as_str(), answer.created), ("M1A0", true));
    // Asked again: the same.
    assert_eq!(wanted(&world, &any), CodeWanted::Nothing);
    let decision = world.decide("mia", Command::CreateCode(any));
    assert!(!created(&decision.answer).created);
    assert!(decision.entries.is_empty());
    // A wish is another code.
    let vanity = wish(Some("two"), Some("mia-rocks"));
    assert!(matches!(wanted(&world, &vanity), CodeWanted::Claim { vanity: Some(_), .. }));
}

#[test]
fn a_code_is_refused_in_this_order() {
    let mut world = World::new(TWO).with("mia", 0).on("2026-06-01");
    for (wish, expected) in [
        (wish(None, None), "no code : CampaignUnknown"),
        (wish(Some("three"), None), "no code : CampaignUnknown"),
        (wish(Some("one"), None), "no code : CodeNotActive"),
        (wish(Some("two"), Some("TAKEN")), "no code TAKEN: CodeTaken"),
    ] {
        let decision = world.decide("mia", Command::CreateCode(wish.clone()));
        assert_eq!(told(&decision), [expected], "{wish:?}");
    }
    assert_eq!(told(&world.decide("nobody", Command::CreateCode(wish(None, None)))), ["no member: MemberUnknown"]);
    for n in 0..AccountState::CODES_MAX {
        let code = format!("C0DE{n:02}");
        world.codes.clear();
        world.code(&code, "mia", "two");
        assert!(created(&world.decide("mia", Command::CreateCode(wish(Some("two"), Some(&code)))).answer).created);
    }
    let more = wish(Some("two"), Some("M0RE"));
    assert_eq!(told(&world.decide("mia", Command::CreateCode(more))), ["no code M0RE: TooManyCodes, asks 21, has 20"]);
}
