//! What members do outside orders: recorded once, approved, capped, undone.

use guerdon::domain::account::AttributeValue;
use guerdon::domain::answer::{Answer, EventAnswer};
use guerdon::domain::command::{Command, RecordEvent, ReviewEvent, RevokeEvent, Verdict};
use guerdon::domain::event_record::{DeedRecord, EventState};
use guerdon::domain::id::EventId;

use super::kit::*;

const SOCIAL: &str = "
time_zone: Europe/Berlin
events:
  share: {cool_down: 7 days}
  review: {approval: manual, lapses_after: 14 days, value_max: 5, attributes: {text: text, photos: int}}
  post: {proof: required, proof_scope: program}
  check_in: {proof_scope: member}
  run: {value_max: 100}
counters:
  shares: {counts: events, events: [share, review], window: lifetime}
  kilometres: {counts: event_value, events: [run], window: month}
rules:
  - {id: shared, kind: social, on: event, events: [share], then: {bonus: {units: 10}}}
  - {id: reviewed, kind: behavioural, on: event, events: [review], then: {bonus: {units: 50}}}
  - {id: posted, kind: social, on: event, events: [post, check_in], then: {bonus: {units: 5}}}
  - {id: ran, kind: behavioural, on: event, events: [run], then: {bonus: {units: 3, for_each_value: 10}}}
  - id: far
    kind: behavioural
    on: event
    events: [run]
    when: {counters: {kilometres: {at_least: 42}}}
    then: {bonus: {units: 100}}
";

pub(crate) fn event(id: &str, kind: &str) -> RecordEvent {
    let event = EventId::parse(id).unwrap();
    RecordEvent { event, kind: label(kind), value: None, attributes: Vec::new(), proof: None, recipient: None }
}

pub(crate) fn worth(value: i64, event: RecordEvent) -> RecordEvent {
    RecordEvent { value: Some(value), ..event }
}

fn proven(proof: &str, event: RecordEvent) -> RecordEvent {
    RecordEvent { proof: Some(proof.into()), ..event }
}

fn with(name: &str, value: AttributeValue, event: RecordEvent) -> RecordEvent {
    RecordEvent { attributes: vec![(label(name), value)], ..event }
}

#[test]
fn a10_a_rule_can_ask_for_the_value_and_the_attributes_of_an_event() {
    const RUNS: &str = "
events:
  run: {attributes: {where: text, wet: bool, stops: int}}
  swim: {approval: manual, attributes: {where: text}}
rules:
";
    let on_both = |when: &str| {
        format!(
            "{RUNS}  - {{id: asked, kind: behavioural, on: event, events: [run, swim], when: {when}, then: {{bonus: {{units: 1}}}}}}\n"
        )
    };
    let park = || with("where", AttributeValue::Text("park".into()), event("e", "run"));
    let wet = || with("wet", AttributeValue::Bool(true), event("e", "run"));
    let stops = |n: i64| with("stops", AttributeValue::Int(n), event("e", "run"));
    for (when, event, expected) in [
        ("{event: {value_at_least: 10}}", worth(10, event("e", "run")), true),
        ("{event: {value_at_least: 10}}", worth(9, event("e", "run")), false),
        ("{event: {value_at_least: 10}}", event("e", "run"), false), // none is not zero
        ("{event: {value_at_most: 10}}", worth(10, event("e", "run")), true),
        ("{event: {value_at_most: 10}}", worth(11, event("e", "run")), false),
        ("{event: {attributes: {where: [shore, park]}}}", park(), true),
        ("{event: {attributes: {where: [shore]}}}", park(), false),
        ("{event: {attributes: {wet: [false]}}}", wet(), false),
        ("{event: {attributes: {stops: [2, 3]}}}", stops(3), true),
        ("{expression: \"event.type == 'run'\"}", event("e", "run"), true),
        ("{expression: \"event.type != 'run'\"}", event("e", "run"), false),
        ("{expression: \"event.type in ['run', 'swim'] && event.value % 5 == 0\"}", worth(15, event("e", "run")), true),
        ("{expression: \"has(event.value)\"}", event("e", "run"), false),
        ("{expression: \"event.attr.where.startsWith('p') && !has(event.attr.wet)\"}", park(), true),
        ("{expression: \"event.attr.wet\"}", wet(), true),
        ("{expression: \"!event.attr.wet\"}", park(), false), // what is missing is neither
        ("{expression: \"event.attr.stops * 2 > 5\"}", stops(3), true),
    ] {
        let mut world = World::new(&on_both(when)).with("mia", 0);
        let (state, what) = world.did("mia", event);
        assert_eq!(state, Some(EventState::Approved), "{when}");
        assert_eq!(!what.is_empty(), expected, "{when}");
    }
    // A review decides on what was recorded; nothing of it is kept afterwards.
    let mut world = World::new(&on_both("{event: {attributes: {where: [lake]}}}")).with("mia", 0);
    world.did("mia", with("where", AttributeValue::Text("lake".into()), event("s", "swim")));
    assert_eq!(world.review("mia", "s", Verdict::Approve).1, ["asked grants 1"]);
}

fn answered(answer: &Answer) -> &EventAnswer {
    match answer {
        Answer::RecordEvent(answer) | Answer::ReviewEvent(answer) | Answer::RevokeEvent(answer) => answer,
        other => panic!("{other:?}"),
    }
}

impl World {
    /// The state and what came of it, in words.
    pub(crate) fn did(&mut self, member: &str, event: RecordEvent) -> (Option<EventState>, Vec<String>) {
        self.tell(member, Command::RecordEvent(event))
    }

    pub(crate) fn review(&mut self, member: &str, id: &str, verdict: Verdict) -> (Option<EventState>, Vec<String>) {
        let review = ReviewEvent { event: EventId::parse(id).unwrap(), verdict, agent: label("tess") };
        self.tell(member, Command::ReviewEvent(review))
    }

    pub(crate) fn revoke(&mut self, member: &str, id: &str) -> (Option<EventState>, Vec<String>) {
        let revoke = RevokeEvent { event: EventId::parse(id).unwrap(), agent: label("tess") };
        self.tell(member, Command::RevokeEvent(revoke))
    }

    fn tell(&mut self, member: &str, command: Command) -> (Option<EventState>, Vec<String>) {
        let decision = self.decide(member, command);
        (answered(&decision.answer).state, told(&decision))
    }
}

fn ok(state: EventState, told: &[&str]) -> (Option<EventState>, Vec<String>) {
    (Some(state), told.iter().map(|line| (*line).to_owned()).collect())
}

fn no(told: &str) -> (Option<EventState>, Vec<String>) {
    (None, vec![told.to_owned()])
}

#[test]
fn a10_an_event_counts_once_whatever_request_carries_it() {
    let mut world = World::new(SOCIAL).with("mia", 0);
    assert_eq!(world.did("mia", event("e1", "share")), ok(EventState::Approved, &["shared grants 10"]));
    let entries = world.facts("mia").len();
    // Sent again, and again a year later: what was answered then.
    for when in ["2026-05-04", "2027-05-04"] {
        world.go(when);
        let decision = world.decide("mia", Command::RecordEvent(event("e1", "share")));
        let answer = answered(&decision.answer);
        assert!(!answer.changed);
        assert_eq!((answer.state, told(&decision)), ok(EventState::Approved, &["shared grants 10"]));
    }
    assert_eq!(world.did("mia", worth(1, event("e1", "share"))), no("no memberevent: EventDiffers"));
    assert_eq!(world.did("mia", event("e1", "check_in")), no("no memberevent: EventDiffers"));
    assert_eq!(world.facts("mia").len(), entries);
    assert_eq!(world.has("mia"), "available 10");
}

#[test]
fn a10_what_an_event_must_be_is_told_all_at_once() {
    let mut world = World::new(SOCIAL).with("mia", 0);
    let int = |n| AttributeValue::Int(n);
    let text = |t: &str| AttributeValue::Text(t.into());
    for (event, expected) in [
        (event("e", "jump"), vec!["no memberevent: EventTypeUnknown"]),
        (event("e", "post"), vec!["no memberevent: ProofRequired"]),
        (worth(6, event("e", "review")), vec!["no memberevent: EventValueTooLarge, asks 6, has 5"]),
        (with("stars", int(3), event("e", "review")), vec!["no attribute stars: AttributeUnknown"]),
        (
            with("photos", text("two"), worth(6, event("e", "review"))),
            vec!["no attribute photos: AttributeType", "no memberevent: EventValueTooLarge, asks 6, has 5"],
        ),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(world.did("mia", event.clone()), (None, expected), "{event:?}");
    }
    assert!(world.events.is_empty());
    let good = with("photos", int(2), worth(5, event("e", "review")));
    assert_eq!(world.did("mia", good), ok(EventState::Pending, &[]), "the same id: nothing was recorded before");
    assert_eq!(told(&world.decide("leo", Command::RecordEvent(event("e", "share")))), ["no member: MemberUnknown"]);
}

#[test]
fn a10_a_cool_down_holds_both_ways_by_the_calendar() {
    let mut world = World::new(SOCIAL).with("mia", 0).with("leo", 0);
    world.go("2026-03-25T12:00");
    assert_eq!(world.did("mia", event("e1", "share")).0, Some(EventState::Approved));
    // Seven days by the calendar; the clock went forward in between, so that noon comes an hour early.
    for (id, when, expected) in [
        ("e2", "2026-04-01T10:59", no("no memberevent: CoolDown")),
        ("e3", "2026-04-01T11:00", ok(EventState::Approved, &["shared grants 10"])),
        ("e4", "2026-04-01T11:00", no("no memberevent: CoolDown")),
    ] {
        world.go(when);
        assert_eq!(world.did("mia", event(id, "share")), expected, "{id}");
    }
    let late = |world: &mut World, id: &str, when: &str| {
        told(&world.decide_as_of("mia", Command::RecordEvent(event(id, "share")), at(when)))
    };
    assert_eq!(late(&mut world, "e5", "2026-03-26"), ["no memberevent: CoolDown"], "what is told late gains nothing");
    assert_eq!(late(&mut world, "e6", "2026-03-24"), ["shared grants 10"]);
    assert_eq!(world.did("leo", event("e1", "share")).0, Some(EventState::Approved), "others have ids of their own");
}

#[test]
fn a10_a_proof_counts_once_in_its_scope() {
    let mut world = World::new(SOCIAL).with("mia", 0).with("leo", 0);
    let post = |id: &str| proven("https://example.com/p/1", event(id, "post"));
    let visit = |id: &str| proven("receipt 7", event(id, "check_in"));
    let granted = ok(EventState::Approved, &["posted grants 5"]);
    assert_eq!(world.did("mia", post("e1")), granted);
    assert_eq!(world.did("mia", post("e2")), no("no memberevent: ProofUsed"));
    assert_eq!(world.did("leo", post("e1")), no("no memberevent: ProofUsed"), "whoever brings it");
    assert_eq!(world.did("mia", visit("e3")), granted);
    assert_eq!(world.did("mia", visit("e4")), no("no memberevent: ProofUsed"));
    assert_eq!(world.did("leo", visit("e3")), granted, "once for each account");
    assert_eq!(world.did("mia", event("e5", "check_in")), granted, "none is asked for");
    let keys: Vec<String> = world.quotas.keys().map(|key| key.of.to_string()).collect();
    assert!(keys.iter().all(|key| !key.contains("example")), "{keys:?}");
}

#[test]
fn a10_a_pending_event_counts_when_it_is_approved_as_of_when_it_happened() {
    let mut world = World::new(SOCIAL).with("mia", 0);
    for id in ["good", "bad", "late"] {
        let text = AttributeValue::Text("Lovely".into());
        assert_eq!(world.did("mia", with("text", text, event(id, "review"))), ok(EventState::Pending, &[]));
    }
    assert_eq!(world.has("mia"), "nothing");
    assert_eq!(world.revoke("mia", "good"), no("no memberevent: EventClosed"));
    world.go("2026-05-10");
    assert_eq!(world.review("mia", "good", Verdict::Approve), ok(EventState::Approved, &["reviewed grants 50"]));
    assert_eq!(world.review("mia", "bad", Verdict::Reject), ok(EventState::Rejected, &[]));
    assert_eq!(world.review("mia", "other", Verdict::Approve), no("no memberevent: EventUnknown"));
    let granted = world.ledgers[&account("mia")].iter().find(|entry| entry.fact.name() == "granted").unwrap();
    assert_eq!(granted.effective_at, at("2026-05-04"));
    // What was decided stays; saying it again changes nothing.
    assert_eq!(world.review("mia", "good", Verdict::Approve), ok(EventState::Approved, &["reviewed grants 50"]));
    assert_eq!(world.review("mia", "good", Verdict::Reject), no("no memberevent: EventClosed"));
    assert_eq!(world.review("mia", "bad", Verdict::Approve), no("no memberevent: EventClosed"));
    world.go("2026-05-18T11:59");
    let mut on_time = world.clone();
    assert_eq!(on_time.review("mia", "late", Verdict::Approve).0, Some(EventState::Approved));
    world.go("2026-05-18T12:00");
    assert_eq!(world.review("mia", "late", Verdict::Approve), no("no memberevent: EventClosed"));
    let seen = world.did("mia", with("text", AttributeValue::Text("Lovely".into()), event("late", "review")));
    assert_eq!(seen, ok(EventState::Lapsed, &[]));
    assert_eq!(world.has("mia"), "available 50");
    for deed in world.events.values() {
        let DeedRecord::Event(record) = deed else { panic!("{deed:?}") };
        let waits = record.state == EventState::Pending;
        assert_eq!(record.attributes.is_empty(), !waits, "personal words go with the review: {record:?}");
    }
}

#[test]
fn a10_a_revoked_event_takes_back_what_it_brought_to_the_unit() {
    let mut world = World::new(SOCIAL).with("mia", 0);
    assert_eq!(world.did("mia", worth(39, event("r1", "run"))), ok(EventState::Approved, &["ran grants 9"]));
    let second = ok(EventState::Approved, &["far grants 100"]);
    assert_eq!(world.did("mia", worth(3, event("r2", "run"))), second, "42 in all, and no ten of its own");
    assert_eq!(world.has("mia"), "available 109");
    world.adjust("mia", -50, None);
    let taken = ["event:r2:far loses 100, debt 41"];
    assert_eq!(world.revoke("mia", "r2"), ok(EventState::Revoked, &taken));
    assert_eq!(world.has("mia"), "debt 41");
    assert_eq!(world.revoke("mia", "r2"), ok(EventState::Revoked, &[]), "once");
    assert_eq!(world.has("mia"), "debt 41");
    // Its kilometres are gone, too.
    assert_eq!(world.did("mia", worth(2, event("r3", "run"))), ok(EventState::Approved, &[]));
    assert_eq!(
        world.did("mia", worth(1, event("r4", "run"))),
        ok(EventState::Approved, &["far grants 100, repaid 41"])
    );
    let seen = world.did("mia", worth(3, event("r2", "run")));
    assert_eq!(seen.0, Some(EventState::Revoked), "its id stays used");
}

#[test]
fn a10_every_kind_of_event_can_be_listed_and_fires_its_rules() {
    for kind in [
        "sign_up",
        "profile_completed",
        "share",
        "follow",
        "post",
        "review",
        "survey",
        "referral_shared",
        "check_in",
        "quiz",
        "Käse probiert",
    ] {
        let rules = format!(
            "events: {{{kind:?}: {{}}}}\nrules:\n  - {{id: did, kind: social, on: event, events: [{kind:?}], then: {{bonus: {{units: 7}}}}}}\n"
        );
        let mut world = World::new(&rules).with("mia", 0);
        assert_eq!(world.did("mia", event("e", kind)), ok(EventState::Approved, &["did grants 7"]), "{kind}");
    }
}
