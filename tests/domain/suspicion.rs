//! Advocates who refer themselves, and what is not paid before somebody has looked.

use guerdon::domain::answer::{Answer, Reason, ReferralState};
use guerdon::domain::command::{Attribute, Command, Commit, Enroll, ProfileChange, ReviewReward, Sides, UpdateMember};
use guerdon::domain::id::{MemberId, ReferralId, UnitId};
use guerdon::domain::ledger::Fact;
use guerdon::domain::referral::fraud::{Action, Finding, SideState, Suspicion};
use guerdon::domain::referral::signal::{RawSignals, SignalKind, Signals};
use guerdon::domain::referral::touch::TouchKind;
use guerdon::domain::referral::{Outcome, Referral, RejectedFor};

use super::kit::*;

/// A campaign with these terms of fraud, and Ada who has a code for it.
fn world(fraud: &str) -> World {
    world_of(&format!("advocate: {{units: 100}}, friend: {{units: 10}}, fraud: {{{fraud}}}"))
}

fn world_of(terms: &str) -> World {
    let rules = "rules: [{id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1000.00}}}]\n";
    let referrals = format!("referrals: [{{id: ref, title: T, {terms}}}]\n");
    let mut world = World::new(&format!("units: {{points: {{}}, credit: {{}}}}\n{referrals}{rules}"));
    world.enrol("ada", &[]);
    world.code("ADA0", "ada", "ref");
    world
}

fn of(kind: SignalKind, text: &str) -> RawSignals {
    let text = text.to_owned();
    let none = RawSignals::default();
    match kind {
        SignalKind::Email | SignalKind::Mailbox => RawSignals { email: text, ..none },
        SignalKind::Phone => RawSignals { phone: text, ..none },
        SignalKind::Device => RawSignals { device_id: text, ..none },
        SignalKind::PaymentInstrument => RawSignals { payment_instrument: text, ..none },
        SignalKind::Address => RawSignals { address: text, ..none },
        SignalKind::IpWithUserAgent => RawSignals { ip: text, user_agent: "Firefox".to_owned(), ..none },
    }
}

fn email(text: &str) -> Signals {
    hashed(of(SignalKind::Email, text))
}

/// What is known of a member from now on.
fn known(w: &mut World, member: &str, signals: Signals) {
    w.decide(member, Command::UpdateMember(UpdateMember { change: ProfileChange::default(), signals }));
}

fn enrolled(w: &mut World, member: &str, codes: &[&str], signals: Signals) -> Vec<String> {
    let codes = codes.iter().map(|raw| entered(raw)).collect();
    let (profile, visitor, member_id) = (ProfileChange::default(), None, MemberId::parse(member).unwrap());
    told(&w.decide(member, Command::Enroll(Enroll { member: member_id, codes, profile, visitor, signals })))
}

fn bought(w: &mut World, member: &str, order: &str, signals: Signals) -> Vec<String> {
    let decision = w.commit(member, Commit { signals, ..commit(order_for(order, 1_000)) });
    w.relay();
    told(&decision)
}

fn referral(w: &World, friend: &str) -> Referral {
    w.accounts[&account(friend)].referral.clone().unwrap()
}

fn findings(w: &World, friend: &str) -> Vec<(Suspicion, Action)> {
    let found = w.accounts[&account(friend)].referral.iter().flat_map(|referral| referral.findings.clone());
    found.map(|finding| (finding.suspicion, finding.action)).collect()
}

fn decided_by(w: &mut World, friend: &str, sides: Sides, approve: bool, forced: bool) -> Result<(), Reason> {
    let (agent, reason) = (label("zoe"), label("looked-fine"));
    let referral = ReferralId::parse(&format!("ref:{friend}")).unwrap();
    let decision =
        w.decide(friend, Command::ReviewReward(ReviewReward { referral, sides, approve, forced, agent, reason }));
    w.relay();
    let Answer::ReviewReward(answer) = decision.answer else { panic!("{:?}", decision.answer) };
    match answer.decided.refusals.first() {
        Some(refusal) => Err(refusal.reason),
        None => {
            assert!(answer.changed);
            Ok(())
        }
    }
}

const FRIEND: Sides = Sides { friend: true, advocate: false };
const ADVOCATE: Sides = Sides { friend: false, advocate: true };

#[test]
fn r13_each_signal_is_off_shadow_flag_or_block() {
    let kinds = [
        (SignalKind::Email, "email", "Ada@Example.org", "ada@example.org"),
        (SignalKind::Mailbox, "similar_email", "a.da+x@gmail.com", "ada@googlemail.com"),
        (SignalKind::Phone, "phone", "+44 20 7946 0018", "0044 2079460018"),
        (SignalKind::Device, "device", "d-1", "d-1"),
        (SignalKind::PaymentInstrument, "payment_instrument", "fp-1", "fp-1"),
        (SignalKind::Address, "address", "1 High Street", "1, HIGH ST"),
        (SignalKind::IpWithUserAgent, "ip_with_user_agent", "192.0.2.7", "192.0.2.7"),
    ];
    for (kind, name, theirs, own) in kinds {
        for action in ["off", "shadow", "flag", "block"] {
            // The mailbox is that of the address, too: of the two only the one in question.
            let other = if kind == SignalKind::Email { "similar_email: off, " } else { "email: off, " };
            let mut w = world(&format!("{other}{name}: {action}"));
            known(&mut w, "ada", hashed(of(kind, theirs)));
            let told_so = enrolled(&mut w, "ben", &["ADA0"], hashed(of(kind, own)));
            let (attributed, expected, paid): (bool, Vec<Action>, &str) = match action {
                "off" => (true, vec![], "available 100"),
                "shadow" => (true, vec![Action::Shadow], "available 100"),
                "flag" => (true, vec![Action::Flag], "nothing"),
                _ => (false, vec![], "nothing"),
            };
            let refused = vec!["no code ADA0: ReferralSuspected".to_owned()];
            assert_eq!(told_so == refused, !attributed, "{name} {action}: {told_so:?}");
            let found: Vec<Action> = findings(&w, "ben")
                .into_iter()
                .map(|(suspicion, action)| {
                    assert_eq!(suspicion, Suspicion::Same(kind), "{name} {action:?}");
                    action
                })
                .collect();
            assert_eq!(found, expected, "{name} {action}");
            bought(&mut w, "ben", "o", Signals::None);
            assert_eq!(w.has("ada"), paid, "{name} {action}");
        }
    }
}

/// A same-IP rule once blocked a whole office.
#[test]
fn trap_13_a_network_alone_is_no_suspicion() {
    let mut w = world("ip_with_user_agent: block");
    let at_the_office = |user_agent: &str| {
        hashed(RawSignals { ip: "192.0.2.7".to_owned(), user_agent: user_agent.to_owned(), ..RawSignals::default() })
    };
    known(&mut w, "ada", at_the_office("Firefox"));
    for (friend, user_agent, attributed) in [("ben", "Safari", true), ("cat", "", true), ("dan", "Firefox", false)] {
        enrolled(&mut w, friend, &["ADA0"], at_the_office(user_agent));
        assert_eq!(w.accounts[&account(friend)].referral.is_some(), attributed, "{friend}");
    }
}

#[test]
fn r13_what_an_older_key_has_hashed_is_still_recognised() {
    for (keys, recognised) in [(vec![[2; 16], [1; 16]], true), (vec![[2; 16]], false)] {
        let mut w = world("");
        known(&mut w, "ada", email("ada@example.org"));
        let sent = hashed_under(of(SignalKind::Email, "ada@example.org"), &keys);
        let told_so = enrolled(&mut w, "ben", &["ADA0"], sent);
        assert_eq!(told_so == ["no code ADA0: ReferralSuspected"], recognised, "{keys:?}");
    }
}

#[test]
fn r13_what_becomes_known_with_the_order_counts_as_well() {
    for (terms, expected, state) in [
        ("payment_instrument: block", Some(RejectedFor::Suspected), ReferralState::Rejected),
        ("payment_instrument: flag", None, ReferralState::Qualified),
    ] {
        let mut w = world(terms);
        known(&mut w, "ada", hashed(of(SignalKind::PaymentInstrument, "fp-1")));
        enrolled(&mut w, "ben", &["ADA0"], email("ben@example.org"));
        assert!(findings(&w, "ben").is_empty());
        let told_so = bought(&mut w, "ben", "o", hashed(of(SignalKind::PaymentInstrument, "fp-1")));
        let stands = referral(&w, "ben");
        assert_eq!((stands.rejected_for.clone(), stands.state), (expected.clone(), state), "{terms} {told_so:?}");
        assert_eq!(stands.review.is_some(), expected.is_none());
        assert_eq!((w.has("ada").as_str(), w.has("ben").as_str()), ("nothing", "nothing"), "{terms}");
    }
    // And what the advocate is known by only then.
    let mut w = world("");
    enrolled(&mut w, "ben", &["ADA0"], email("ada@example.org"));
    known(&mut w, "ada", email("ada@example.org"));
    bought(&mut w, "ben", "o", Signals::None);
    assert_eq!(referral(&w, "ben").rejected_for, Some(RejectedFor::Suspected));
}

#[test]
fn r13_a_ring_is_found_as_far_up_as_the_program_looks() {
    for (hops, found) in [(3, true), (2, false)] {
        let mut w = world(&format!("ring: block, ring_hops: {hops}"));
        known(&mut w, "ada", email("ada@example.org"));
        for (friend, code, own) in [("ben", "ADA0", "BEN0"), ("cat", "BEN0", "CAT0")] {
            enrolled(&mut w, friend, &[code], email(&format!("{friend}@example.org")));
            w.code(own, friend, "ref");
        }
        // Ada again, brought by Cat.
        let told_so = enrolled(&mut w, "ada2", &["CAT0"], email("ada@example.org"));
        assert_eq!(told_so == ["no code CAT0: ReferralSuspected"], found, "{hops}: {told_so:?}");
    }
    // Who lives in one house is no ring.
    let mut w = world("ring: block, ring_hops: 3");
    known(&mut w, "ada", hashed(of(SignalKind::Address, "1 High Street")));
    enrolled(&mut w, "ben", &["ADA0"], Signals::None);
    w.code("BEN0", "ben", "ref");
    enrolled(&mut w, "cat", &["BEN0"], hashed(of(SignalKind::Address, "1 High Street")));
    assert!(findings(&w, "cat").is_empty());
}

#[test]
fn r13_speed_mailboxes_and_leaks_are_told() {
    let mut w = world(
        "velocity: {most: 2, days: 2, action: block}, disposable_domains: [throw.example], leak_domains: [coupons.example]",
    );
    let site = |referrer: &str| hashed(RawSignals { referrer: referrer.to_owned(), ..RawSignals::default() });
    for (friend, day, signals, expected) in [
        ("f1", "2026-05-04", email("a@mailinator.com"), vec![(Suspicion::DisposableEmail, Action::Flag)]),
        ("f2", "2026-05-04", email("a@eu.throw.example"), vec![(Suspicion::DisposableEmail, Action::Flag)]),
        ("f3", "2026-05-04", site("www.Coupons.example"), vec![(Suspicion::LeakedCode, Action::Flag)]),
        ("f4", "2026-05-04", site("notcoupons.example"), vec![]),
        ("f5", "2026-05-04", Signals::None, vec![]),
    ] {
        w.go(day);
        enrolled(&mut w, friend, &["ADA0"], signals);
        assert_eq!(findings(&w, friend), expected, "{friend}");
        bought(&mut w, friend, friend, Signals::None);
    }
    // Two have qualified and were paid: within two days one more is too many.
    for (friend, day, attributed) in [("g1", "2026-05-05T23:59:59Z", false), ("g2", "2026-05-06T00:00:00Z", true)] {
        w.go(day);
        let told_so = enrolled(&mut w, friend, &["ADA0"], Signals::None);
        assert_eq!(told_so != ["no code ADA0: ReferralSuspected"], attributed, "{friend}");
    }
    // A touch tells where it came from.
    w.go("2026-05-09");
    let touch = guerdon::domain::command::RecordTouch {
        visitor: guerdon::domain::id::VisitorId::parse("v").unwrap(),
        kind: TouchKind::Click,
        code: entered("ADA0"),
        channel: None,
        source: Some(label("coupons.example")),
        user_agent: String::new(),
    };
    assert!(w.record_touch(touch).recorded);
    w.enrol_visitor("h1", &[], "v");
    assert_eq!(findings(&w, "h1"), [(Suspicion::LeakedCode, Action::Flag)]);
}

#[test]
fn r13_what_was_found_is_explained_and_holds_nothing_personal() {
    let mut w = world("");
    known(&mut w, "ada", email("ada@example.org"));
    enrolled(&mut w, "ben", &["ADA0"], email("ada@example.org"));
    let ledger = &w.ledgers[&account("ben")];
    let weighing = ledger.iter().find_map(|entry| match &entry.fact {
        Fact::AttributionWeighed { weighing } => Some(weighing.clone()),
        _ => None,
    });
    let considered = weighing.unwrap().considered.remove(0);
    assert_eq!(considered.outcome, Outcome::Not(Reason::ReferralSuspected));
    let finding =
        |kind, action| Finding { suspicion: Suspicion::Same(kind), action, advocate: account("ada"), hops: 1 };
    assert_eq!(
        considered.findings,
        [finding(SignalKind::Email, Action::Block), finding(SignalKind::Mailbox, Action::Flag)]
    );
    // The ledger knows a digest of the profile, and neither what was sent nor its hashes.
    let hashes = &w.accounts[&account("ben")].people[0].profile.signals;
    assert_eq!(hashes.len(), 2);
    let written: Vec<u8> = ledger.iter().flat_map(guerdon::domain::ledger::encode).collect();
    for part in hashes.iter().map(|signal| &signal.hash[..]).chain([&b"ada@example"[..]]) {
        assert!(!written.windows(part.len()).any(|bytes| bytes == part), "{part:?}");
    }
    w.decide("ben", Command::Erase);
    assert!(w.accounts[&account("ben")].people[0].profile.signals.is_empty());
}

#[test]
fn r13_of_each_kind_the_latest_are_kept() {
    let mut w = world("");
    for n in 0..9 {
        known(&mut w, "ada", email(&format!("ada{n}@example.org")));
    }
    let kept = |w: &World| w.accounts[&account("ada")].people[0].profile.signals.len();
    assert_eq!(kept(&w), 10, "five addresses and their mailboxes");
    for (address, recognised) in [("ada3@example.org", false), ("ada4@example.org", true), ("ada8@example.org", true)] {
        let friend = format!("f-{}", &address[..4]);
        let told_so = enrolled(&mut w, &friend, &["ADA0"], email(address));
        assert_eq!(told_so == ["no code ADA0: ReferralSuspected"], recognised, "{address}");
    }
}

/// One that is flagged and has qualified.
fn flagged(terms: &str) -> World {
    let mut w = world_of(&format!("advocate: {{units: 100}}, friend: {{units: 10}}, hold: 3 days, {terms}"));
    known(&mut w, "ada", hashed(of(SignalKind::Device, "d-1")));
    enrolled(&mut w, "ben", &["ADA0"], hashed(of(SignalKind::Device, "d-1")));
    bought(&mut w, "ben", "o", Signals::None);
    assert_eq!((w.has("ada").as_str(), w.has("ben").as_str()), ("nothing", "nothing"), "nothing is paid before");
    assert_eq!(w.accounts[&account("ada")].friends_qualified, 0);
    w
}

#[test]
fn r14_each_side_is_approved_or_rejected_by_itself() {
    // What is decided in order, then what each has, how it stands, and whether it counts as a friend.
    type Steps = &'static [(Sides, bool)];
    let rows: [(Steps, &str, &str, ReferralState, i64); 6] = [
        (&[(Sides::BOTH, true)], "pending 10", "pending 100", ReferralState::Qualified, 1),
        (&[(FRIEND, true), (ADVOCATE, false)], "pending 10", "nothing", ReferralState::Qualified, 0),
        (&[(ADVOCATE, true), (FRIEND, false)], "nothing", "pending 100", ReferralState::Qualified, 1),
        (&[(ADVOCATE, true), (FRIEND, true)], "pending 10", "pending 100", ReferralState::Qualified, 1),
        (&[(Sides::BOTH, false)], "nothing", "nothing", ReferralState::Rejected, 0),
        (&[(FRIEND, false), (ADVOCATE, false)], "nothing", "nothing", ReferralState::Rejected, 0),
    ];
    for (steps, friend, advocate, state, friends) in rows {
        let mut w = flagged("");
        w.go("2026-05-06");
        for (sides, approve) in steps {
            assert_eq!(decided_by(&mut w, "ben", *sides, *approve, false), Ok(()), "{steps:?}");
        }
        assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), (friend, advocate), "{steps:?}");
        let stands = referral(&w, "ben");
        assert_eq!((stands.state, w.accounts[&account("ada")].friends_qualified), (state, friends), "{steps:?}");
        assert_eq!(stands.rejected_for.is_some(), state == ReferralState::Rejected);
        // Decided is decided.
        for (sides, approve) in steps.iter() {
            assert_eq!(decided_by(&mut w, "ben", *sides, *approve, false), Err(Reason::ReviewClosed), "{steps:?}");
        }
        // What was approved late is held from when it was earned, not from when somebody looked.
        w.go("2026-05-08T00:00:00Z");
        assert_eq!(w.has("ben"), friend.replace("pending", "available"), "{steps:?}");
        // And what is approved goes back with the goods, like any other.
        w.give_back("ben", everything("o", "r"));
        w.relay();
        assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("nothing", "nothing"), "{steps:?}");
    }
}

/// A review that nobody decided once paid out for good.
#[test]
fn trap_13_a_review_that_lapses_pays_nothing() {
    let mut w = flagged("fraud: {review_within: 14 days}");
    w.go("2026-05-18T11:59:59.999Z");
    w.advance("ben");
    assert_eq!(referral(&w, "ben").review.unwrap().friend, Some(SideState::Open));
    w.go("2026-05-18T12:00:00Z");
    w.advance("ben");
    w.relay();
    let stands = referral(&w, "ben");
    assert_eq!((stands.state, stands.rejected_for), (ReferralState::Rejected, Some(RejectedFor::Review)));
    assert_eq!(stands.review.unwrap().advocate, Some(SideState::Lapsed));
    w.go("2027-05-18");
    assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("nothing", "nothing"));
    // By force alone it is paid after all, and labelled so.
    assert_eq!(decided_by(&mut w, "ben", Sides::BOTH, true, false), Err(Reason::ReviewClosed));
    assert_eq!(decided_by(&mut w, "ben", Sides::BOTH, true, true), Ok(()));
    assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("available 10", "available 100"));
    let last = referral(&w, "ben").review.unwrap().decided.unwrap();
    assert_eq!((last.agent, last.reason, last.forced), (label("zoe"), label("looked-fine"), true));

    // Or it waits until somebody decides, and is not paid either.
    let mut w = flagged("fraud: {on_lapse: stay}");
    w.go("2028-05-18");
    w.advance("ben");
    assert_eq!(referral(&w, "ben").review.unwrap().advocate, Some(SideState::Open));
    assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("nothing", "nothing"));
    assert_eq!(decided_by(&mut w, "ben", Sides::BOTH, true, false), Ok(()));
}

#[test]
fn r14_force_takes_back_what_was_paid_and_never_pays_twice() {
    let mut w = world("");
    enrolled(&mut w, "ben", &["ADA0"], Signals::None);
    bought(&mut w, "ben", "o", Signals::None);
    assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("available 10", "available 100"));
    assert_eq!(decided_by(&mut w, "ben", ADVOCATE, false, false), Err(Reason::ReviewClosed), "it was never flagged");
    assert_eq!(decided_by(&mut w, "ben", ADVOCATE, false, true), Ok(()));
    assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("available 10", "nothing"));
    assert_eq!(w.accounts[&account("ada")].friends_qualified, 0);
    assert_eq!(decided_by(&mut w, "ben", ADVOCATE, true, true), Err(Reason::ReviewClosed), "it was paid once");
    assert_eq!(decided_by(&mut w, "ben", FRIEND, false, true), Ok(()));
    assert_eq!(referral(&w, "ben").rejected_for, Some(RejectedFor::Review));
    assert_eq!(w.has("ben"), "nothing");
    let unknown = decided_by(&mut w, "ada", FRIEND, true, false);
    assert_eq!(unknown, Err(Reason::ReferralUnknown));
}

#[test]
fn r14_commission_waits_for_the_review_and_is_paid_with_it_or_never() {
    let credit = UnitId::parse("credit").unwrap();
    for (approve, returned_before, expected) in [
        (true, false, "available 150"),
        (true, true, "available 100"),
        (false, false, "nothing"),
        (false, true, "nothing"),
    ] {
        let mut w = world_of("friend: {units: 10}, commission: {percent: 10%, unit: credit}");
        known(&mut w, "ada", hashed(of(SignalKind::Device, "d-1")));
        enrolled(&mut w, "ben", &["ADA0"], hashed(of(SignalKind::Device, "d-1")));
        w.buy("ben", order("o1", vec![line("a", 500), line("b", 500)]));
        w.buy("ben", order_for("o2", 500));
        w.relay();
        assert_eq!(w.has_of("ada", &credit), "nothing");
        if returned_before {
            w.give_back(
                "ben",
                returned("o1", "r", guerdon::domain::command::ReturnWhat::Lines(vec![quantity("b", 1)])),
            );
            w.relay();
        }
        assert_eq!(decided_by(&mut w, "ben", ADVOCATE, approve, false), Ok(()));
        assert_eq!(w.has_of("ada", &credit), expected, "{approve} {returned_before}");
        bought(&mut w, "ben", "o3", Signals::None);
        let more = if approve {
            expected.replace("150", "250").replace("available 100", "available 200")
        } else {
            expected.into()
        };
        assert_eq!(w.has_of("ada", &credit), more, "{approve} {returned_before}");
        for order in ["o1", "o2", "o3"] {
            w.give_back("ben", everything(order, "rest"));
        }
        w.relay();
        assert_eq!(w.has_of("ada", &credit), "nothing", "{approve} {returned_before}");
    }
}

#[test]
fn r14_a_return_before_anybody_decided_ends_the_review() {
    let mut w = flagged("");
    w.give_back("ben", everything("o", "r"));
    w.relay();
    let stands = referral(&w, "ben");
    assert!(matches!(stands.rejected_for, Some(RejectedFor::Returned(_))), "{stands:?}");
    assert_eq!(stands.review.unwrap().friend, Some(SideState::Lapsed));
    assert_eq!(decided_by(&mut w, "ben", Sides::BOTH, true, true), Err(Reason::ReviewClosed), "not even by force");
}

#[test]
fn r14_what_the_budget_does_not_cover_stays_open() {
    let mut w = flagged("budget: 50");
    assert_eq!(decided_by(&mut w, "ben", Sides::BOTH, true, false), Err(Reason::ReferralBudgetSpent));
    assert_eq!(decided_by(&mut w, "ben", FRIEND, true, false), Ok(()));
    assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("pending 10", "nothing"));
    let attribute = Attribute { code: entered("ADA0"), agent: None, signals: Signals::None };
    assert_eq!(told(&w.decide("ben", Command::Attribute(attribute)))[0], "no code ADA0: AlreadyAttributed");
}
