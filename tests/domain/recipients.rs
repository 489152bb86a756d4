//! Units that a rule grants to another member than the one who acts.

use guerdon::domain::command::{Command, Commit, GuestOrder, Recipient, ReturnWhat};
use guerdon::domain::event_record::{DeedRecord, EventState};
use guerdon::domain::id::{AccountId, MemberId};
use guerdon::domain::order::Order;

use super::kit::*;

use super::events::{event, worth};
use super::guests::{buy_as_guest, claim, guest_of};
use guerdon::domain::account::Role;
use guerdon::domain::command::{RecordEvent, Verdict};

impl World {
    /// What the service would find of the recipient that a command names.
    pub(crate) fn recipient_of(&self, command: &Command, account: Option<&AccountId>) -> Option<Recipient> {
        let named = match command {
            Command::Commit(commit) => commit.order.recipient.clone(),
            Command::RecordEvent(record) => record.recipient.clone(),
            Command::ReviewEvent(review) => match self.events.get(&(account?.clone(), review.event.clone())) {
                Some(DeedRecord::Event(record)) => record.recipient.clone(),
                _ => None,
            },
            Command::Claim(claim) => match &claim.guest {
                GuestOrder::Claimed(record) => record.sent.recipient.clone(),
                _ => None,
            },
            _ => None,
        };
        let account = self.home_of(&AccountId::from(&named?));
        Some(match self.accounts.get(&account) {
            None => Recipient::Unknown,
            Some(state) if state.erased_at.is_some() => Recipient::Erased,
            Some(_) => Recipient::Found(account),
        })
    }
}

fn for_member(recipient: &str, order: Order) -> Order {
    Order { recipient: Some(MemberId::parse(recipient).unwrap()), ..order }
}

fn done_for(recipient: &str, event: RecordEvent) -> RecordEvent {
    RecordEvent { recipient: Some(MemberId::parse(recipient).unwrap()), ..event }
}

/// A point for each pound to who pays, one for each two pounds to who gets it, and 5 more.
const GIFTS: &str = "
events: {thank: {}, praise: {approval: manual, value_max: 5}}
guests: {claim_within: 14 days}
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: theirs, kind: social, on: order, to: recipient, then: {earn: {units: 1, per: GBP 2.00}}}
  - {id: extra, kind: social, on: order, to: recipient, then: {bonus: {units: 5}}}
  - {id: thanked, kind: social, on: event, events: [thank], to: recipient, then: {bonus: {units: 3}}}
  - id: praised
    kind: social
    on: event
    events: [praise]
    to: recipient
    then: {bonus: {units: 2, for_each_value: 1}}
";

fn gifts() -> World {
    World::new(GIFTS).with("mia", 0).with("leo", 0)
}

#[test]
fn a14_recipient_gets_what_rules_grant_to_them_and_loses_what_comes_back() {
    let mut w = gifts();
    let gift = for_member("leo", order("o", vec![line("a", 1_000), line("b", 501), line("c", 499)]));
    let bought = w.buy("mia", gift.clone());
    assert_eq!(told(&bought), ["base grants 20", "theirs grants 10 to leo", "extra grants 5 to leo"]);
    assert_eq!((w.has("mia").as_str(), w.has("leo").as_str()), ("available 20", "nothing"), "it is on its way");
    w.relay();
    assert_eq!(w.has("leo"), "available 15");
    // Told once more, it is what it was.
    let again = w.buy("mia", gift);
    assert_eq!((told(&again), w.outbox.len()), (told(&bought), 0));
    // Whichever way it comes back, all of it has come back in the end, and each part is what falls on the line.
    let part = w.give_back("mia", returned("o", "r1", ReturnWhat::Lines(vec![quantity("b", 1)])));
    assert_eq!(told(&part), ["o:base loses 5", "theirs grants -3 to leo", "extra grants -1 to leo"]);
    w.relay();
    assert_eq!(w.has("leo"), "available 11");
    w.give_back("mia", everything("o", "r2"));
    w.relay();
    assert_eq!((w.has("mia").as_str(), w.has("leo").as_str()), ("nothing", "nothing"));
    assert_eq!(w.ledgers[&account("mia")].iter().filter(|e| e.fact.name() == "granted_elsewhere").count(), 6);
}

#[test]
fn a14_recipient_is_told_the_whole_so_that_effects_may_come_twice_and_in_any_order() {
    let mut w = gifts();
    w.buy("mia", for_member("leo", order_for("o", 2_000)));
    w.give_back("mia", returned("o", "r", ReturnWhat::Lines(vec![amount("a", 1_000)])));
    let effects = std::mem::take(&mut w.outbox);
    assert_eq!(effects.len(), 4);
    for effect in effects.iter().rev().chain(&effects) {
        w.deliver(effect.clone());
    }
    assert_eq!(w.has("leo"), "available 8", "half of 10, and 3 of 5");
}

/// A grant was named by order and rule alone: of two orders of one id, the second gift was taken for the first.
#[test]
fn a14_recipient_gets_every_gift_though_givers_name_their_orders_alike() {
    let mut w = gifts().with("ann", 0);
    for giver in ["mia", "ann"] {
        w.buy(giver, for_member("leo", order_for("o", 2_000)));
        w.orders.clear();
        w.did(giver, done_for("leo", event("t", "thank")));
    }
    w.relay();
    assert_eq!(w.has("leo"), "available 36");
}

#[test]
fn a14_recipient_who_has_spent_what_comes_back_owes_it() {
    let mut w = World::new(&format!("{GIFTS}pay_with: {{points: {{units: 1, worth: GBP 0.01}}}}\n"));
    w = w.with("mia", 0).with("leo", 0);
    w.buy("mia", for_member("leo", order_for("o", 2_000)));
    w.relay();
    w.commit("leo", Commit { redeem: Some(pay_exactly(12)), ..commit(order_for("p", 90)) });
    w.give_back("mia", everything("o", "r"));
    w.relay();
    assert_eq!(w.has("leo"), "debt 12");
}

#[test]
fn a14_recipient_refused_refuses_the_units_never_the_order() {
    // Who is named, what comes of it.
    let base = "base grants 20".to_owned();
    let refused = |why: &str| vec![base.clone(), format!("no recipient: {why}"), format!("no recipient: {why}")];
    let mut erased = gifts();
    erased.erase("leo");
    for (world, named, expected) in [
        (gifts(), Some("nobody"), refused("MemberUnknown")),
        (erased, Some("leo"), refused("MemberErased")),
        (gifts(), None, vec![base.clone()]),
        // A gift to oneself is none: it is granted as anything else.
        (gifts(), Some("mia"), vec![base.clone(), "theirs grants 10".into(), "extra grants 5".into()]),
    ] {
        let mut w = world;
        let order = order_for("o", 2_000);
        let order = named.map_or(order.clone(), |named| for_member(named, order));
        let command = Command::Commit(commit(order.clone()));
        assert_eq!(told(&w.preview("mia", &command, w.now)), expected, "a preview says the same");
        assert_eq!(told(&w.buy("mia", order)), expected, "{named:?}");
        assert!(w.outbox.is_empty());
    }
}

#[test]
fn a14_recipient_erased_on_the_way_leaves_a_sound_ledger_and_nothing_behind() {
    let mut w = gifts();
    w.buy("mia", for_member("leo", order_for("o", 2_000)));
    let effects = std::mem::take(&mut w.outbox);
    w.erase("leo");
    effects.into_iter().for_each(|effect| w.deliver(effect));
    assert_eq!(w.has("leo"), "nothing");
    assert!(w.facts("leo").contains(&"received"));
    w.give_back("mia", everything("o", "r"));
    w.relay();
    assert_eq!((w.has("mia").as_str(), w.has("leo").as_str()), ("nothing", "nothing"));
}

#[test]
fn a14_account_is_where_a_member_of_a_household_earns_and_gets_gifts() {
    let mut w = gifts().with("ann", 0);
    w.household("home");
    w.join("ann", "home", Role::Member, "");
    w.join("leo", "home", Role::Member, "ann");
    // What a member of the household earns is the household's.
    assert_eq!(told(&w.buy("ann", order_for("own", 1_000))), ["base grants 10"]);
    assert_eq!(w.has("home"), "available 10");
    // So is what they are given from outside; from inside it is no gift to anybody else.
    let gift = told(&w.buy("mia", for_member("leo", order_for("o", 2_000))));
    assert_eq!(gift, ["base grants 20", "theirs grants 10 to home", "extra grants 5 to home"]);
    w.relay();
    assert_eq!(w.has("leo"), "available 25");
    let inside = told(&w.buy("ann", for_member("leo", order_for("p", 200))));
    assert_eq!(inside, ["base grants 2", "theirs grants 1", "extra grants 5"]);
    // It comes back from where it went.
    w.leave("leo");
    w.give_back("mia", everything("o", "r"));
    w.relay();
    assert_eq!((w.has("home").as_str(), w.has("leo").as_str()), ("available 18", "nothing"));
}

#[test]
fn a14_recipient_of_an_event_gets_its_units_at_once_or_once_approved() {
    let mut w = gifts();
    let thanks = done_for("leo", event("t", "thank"));
    let (state, what) = w.did("mia", thanks.clone());
    assert_eq!((state, what), (Some(EventState::Approved), vec!["thanked grants 3 to leo".to_owned()]));
    w.relay();
    assert_eq!(w.has("leo"), "available 3");
    assert_eq!(w.did("mia", done_for("ann", event("t", "thank"))).1, ["no memberevent: EventDiffers"], "for another");
    assert!(w.did("mia", event("u", "thank")).1.is_empty(), "for nobody");
    assert_eq!(w.did("mia", done_for("ann", event("v", "thank"))).1, ["no recipient: MemberUnknown"]);

    w.did("mia", done_for("leo", worth(4, event("p", "praise"))));
    assert!(w.outbox.is_empty(), "it waits for its review");
    assert_eq!(w.review("mia", "p", Verdict::Approve).1, ["praised grants 8 to leo"]);
    w.relay();
    assert_eq!(w.has("leo"), "available 11");
    for id in ["p", "t"] {
        w.revoke("mia", id);
        w.relay();
    }
    assert_eq!((w.has("mia").as_str(), w.has("leo").as_str()), ("nothing", "nothing"));
}

#[test]
fn a14_multipliers_go_where_the_base_goes() {
    let mut w = World::new(
        "
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 3, per: GBP 2.00}}}
  - {id: theirs, kind: social, on: order, to: recipient, then: {earn: {units: 1, per: GBP 2.00}}}
  - {id: double, kind: behavioural, on: order, then: {multiply: {by: 1.5}}}
",
    );
    w = w.with("mia", 0).with("leo", 0);
    let gift = told(&w.buy("mia", for_member("leo", order_for("o", 1_000))));
    let expected = ["base grants 15", "theirs grants 5 to leo", "double grants 7", "double grants 2 to leo"];
    assert_eq!(gift, expected, "7.5 and 2.5, each rounded down by itself");
    assert_eq!(told(&w.buy("mia", order_for("p", 1_000))), ["base grants 15", "double grants 7"]);
    w.relay();
    assert_eq!(w.has("leo"), "available 7");
    w.give_back("mia", everything("o", "r"));
    w.relay();
    assert_eq!((w.has("mia").as_str(), w.has("leo").as_str()), ("available 22", "nothing"));
}

#[test]
fn a14_limits_bound_what_is_given_away_and_say_what_it_would_have_been() {
    let mut w = World::new(
        "
unit_limits: {points: {balance_max: 1}}
rules:
  - id: theirs
    kind: social
    on: order
    to: recipient
    limits: [{units: 12}]
    then: {earn: {units: 1, per: GBP 1.00}}
",
    );
    w = w.with("mia", 1).with("leo", 0);
    let first = w.buy("mia", for_member("leo", order_for("o", 1_000)));
    assert_eq!(told(&first), ["theirs grants 10 to leo"], "the giver's balance bounds what the giver gets");
    let second = w.buy("mia", for_member("leo", order_for("p", 1_000)));
    assert_eq!(
        told(&second),
        ["theirs grants 2 to leo", "no more of theirs by rule:theirs: LimitReached, asks 10, has 2"]
    );
    let guerdon::domain::answer::Effect::GrantedTo(given) = &decided(&second.answer).effects[0] else { panic!() };
    assert_eq!((given.amount, given.desired), (2, 10));
    // What comes back can be given again.
    w.give_back("mia", everything("o", "r"));
    assert_eq!(told(&w.buy("mia", for_member("leo", order_for("q", 600)))), ["theirs grants 6 to leo"]);
}

#[test]
fn a14_a_guests_gift_is_given_when_somebody_claims_the_order() {
    let mut w = gifts();
    let gift = for_member("leo", order("o", vec![line("a", 1_000), line("b", 1_000)]));
    assert_eq!(told(&buy_as_guest(&mut w, commit(gift))), ["base would grant 20"]);
    w.give_back(&guest_of("o"), returned("o", "r", ReturnWhat::Lines(vec![quantity("a", 1)])));
    let claimed = claim(&mut w, "mia", "o");
    let expected = [
        "base grants 20",
        "theirs grants 10 to leo",
        "extra grants 5 to leo",
        "o:base loses 10",
        "theirs grants -5 to leo",
        "extra grants -3 to leo",
    ];
    assert_eq!(told(&claimed), expected);
    w.relay();
    assert_eq!((w.has("mia").as_str(), w.has("leo").as_str()), ("available 10", "available 7"));
}

#[test]
fn a14_recipient_is_named_in_the_trace_now_and_months_later() {
    let mut w = gifts();
    let order = |id: &str| order_for(id, 2_000);
    w.commit("mia", Commit { explain: true, ..commit(for_member("leo", order("o"))) });
    w.commit("mia", Commit { explain: true, ..commit(order("p")) });
    w.commit("mia", Commit { explain: true, ..commit(for_member("nobody", order("q"))) });
    w.commit("mia", Commit { explain: true, ..commit(for_member("mia", order("s"))) });
    w.go("2026-11-04");
    let steps = |rule: &str, trace: &guerdon::domain::answer::Explain| {
        let rule = trace.rules.iter().find(|considered| considered.rule.as_str() == rule).unwrap().clone();
        (rule.applied, rule.steps, rule.left_out)
    };
    let given = (true, vec!["goes to leo".to_owned(), "a fixed 5 points".to_owned()], String::new());
    assert_eq!(steps("extra", &w.traces[&order_id("o")]), given);
    let for_nobody = (false, Vec::new(), "the order names no recipient".to_owned());
    assert_eq!(steps("extra", &w.traces[&order_id("p")]), for_nobody);
    for id in ["o", "p", "q", "s"] {
        let told = w.why("mia", id);
        assert!(told.reproduces, "{id}");
        assert_eq!(told.trace, w.traces[&order_id(id)], "{id}");
    }
}
