//! Visitors who came by codes: which touches count, for how long, and who has the credit.

use guerdon::domain::answer::{Reason, TouchAnswer};
use guerdon::domain::command::{Claim, Command, Commit, CreateCode, GuestOrder, RecordTouch};
use guerdon::domain::id::{AccountId, VisitorId};
use guerdon::domain::ledger::Fact;
use guerdon::domain::order::Order;
use guerdon::domain::referral::signal::Signals;
use guerdon::domain::referral::touch::{Dropped, TouchKind};
use guerdon::domain::referral::{Outcome, Referral, Via, Weighing};

use super::kit::*;

/// A campaign with these terms, another one, and four advocates who have codes.
fn world(terms: &str) -> World {
    let rules = "rules: [{id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1000.00}}}]\n";
    let campaigns =
        format!("referrals: [{{id: ref, title: T, {terms}}}, {{id: other, title: O, friend: {{units: 1}}}}]\n");
    let mut world = World::new(&format!("units: {{points: {{}}, credit: {{}}}}\n{campaigns}{rules}"));
    for advocate in ["ada", "eve", "fay", "gil"] {
        world.enrol(advocate, &[]);
        world.code(&format!("{}0", advocate.to_uppercase()), advocate, "ref");
    }
    world.code("0THER", "gil", "other");
    world
}

const ONE: &str = "advocate: {units: 100}, friend: {units: 10}";

fn click(w: &mut World, code: &str) {
    assert_eq!(
        w.touch("v", TouchKind::Click, code, ""),
        TouchAnswer { recorded: true, dropped: None, refusals: vec![] }
    );
}

fn referral(w: &World, friend: &str) -> Option<Referral> {
    w.accounts[&account(friend)].referral.clone()
}

/// The last that is told of why a friend was attributed.
fn weighed(w: &World, friend: &str) -> Weighing {
    let mut entries = w.ledgers[&account(friend)].iter().rev();
    let found = entries.find_map(|entry| match &entry.fact {
        Fact::AttributionWeighed { weighing } => Some(weighing.clone()),
        _ => None,
    });
    found.unwrap()
}

fn outcomes(w: &World, friend: &str) -> Vec<Outcome> {
    weighed(w, friend).considered.into_iter().map(|considered| considered.outcome).collect()
}

fn bought_as(w: &mut World, member: &str, order: Order, visitor: &str) -> Vec<String> {
    let visitor = Some(VisitorId::parse(visitor).unwrap());
    let decision = w.commit(member, Commit { visitor, ..commit(order) });
    w.relay();
    told(&decision)
}

#[test]
fn r2_a_touch_is_kept_dropped_or_refused() {
    let mut w = world(ONE);
    let of = |code: &str, user_agent: &str| RecordTouch {
        visitor: VisitorId::parse("v").unwrap(),
        kind: TouchKind::Scan,
        code: entered(code),
        channel: None,
        source: None,
        user_agent: user_agent.to_owned(),
    };
    let mut told = Vec::new();
    for (code, user_agent) in [("ada-0", "Mozilla/5.0"), ("ADA0", "Googlebot/2.1"), ("N0PE", ""), ("?!", "")] {
        let TouchAnswer { recorded, dropped, refusals } = w.record_touch(of(code, user_agent));
        told.push((recorded, dropped, refusals.first().map(|refusal| refusal.reason)));
    }
    let expected = [
        (true, None, None),
        (false, Some(Dropped::Bot), None),
        (false, None, Some(Reason::CodeUnknown)),
        (false, None, Some(Reason::CodeUnknown)),
    ];
    assert_eq!(told, expected);
    // Ten by one code within the hour, and the default of thirty in all.
    for n in 0..9 {
        w.go(&format!("2026-05-04T12:0{n}"));
        assert!(w.record_touch(of("ADA0", "")).recorded, "{n}");
    }
    assert_eq!(w.record_touch(of("ADA0", "")).dropped, Some(Dropped::FloodOfCode));
    assert!(w.record_touch(of("EVE0", "")).recorded);
    let visitor = &w.visitors[&VisitorId::parse("v").unwrap()];
    assert_eq!((visitor.touches.len(), visitor.bots, visitor.floods), (11, 1, 1));
}

#[test]
fn r3_a_touch_counts_until_before_its_window_ends() {
    const OVER: Outcome = Outcome::Not(Reason::TouchWindowOver);
    const COUNTS: Outcome = Outcome::Counts(1_000_000);
    let windows = "windows: [{kinds: [scan], sign_up_within: 2 hours}, {channels: [email], sign_up_within: 3 days}, \
                   {kinds: [click], sign_up_within: 30 days}]";
    // Touched at noon of 4 May: kind, channel, signed up, what becomes of it.
    for (kind, channel, signed_up, expected) in [
        (TouchKind::Scan, "", "2026-05-04T13:59:59.999Z", COUNTS),
        (TouchKind::Scan, "", "2026-05-04T14:00:00Z", OVER),
        // The first window that takes it is its own.
        (TouchKind::Scan, "email", "2026-05-04T14:00:00Z", OVER),
        (TouchKind::Click, "email", "2026-05-07T11:59:59.999Z", COUNTS),
        (TouchKind::Click, "email", "2026-05-07T12:00:00Z", OVER),
        (TouchKind::Click, "insta", "2026-06-03T11:59:59.999Z", COUNTS),
        (TouchKind::Click, "insta", "2026-06-03T12:00:00Z", OVER),
        (TouchKind::Invite, "email", "2026-05-04T12:00:00Z", COUNTS),
        (TouchKind::Invite, "insta", "2026-05-04T12:00:00Z", Outcome::Not(Reason::TouchNotTaken)),
        (TouchKind::Share, "email", "2026-05-04T12:00:00Z", Outcome::Not(Reason::TouchNotTaken)),
    ] {
        let mut w = world(&format!("{ONE}, {windows}"));
        assert!(w.touch("v", kind, "ADA0", channel).recorded);
        w.go(signed_up);
        w.enrol_visitor("ben", &[], "v");
        assert_eq!(outcomes(&w, "ben"), [expected], "{kind:?} {channel} {signed_up}");
        assert_eq!(referral(&w, "ben").is_some(), expected == COUNTS, "{kind:?} {channel} {signed_up}");
    }
}

#[test]
fn r3_from_sign_up_to_purchase_it_has_its_own_time() {
    let terms =
        format!("{ONE}, qualify_within: 30 days, windows: [{{sign_up_within: 2 days, purchase_within: 5 days}}]");
    // Touched at noon of 4 May, signed up on the 5th: bought when, and whether it qualifies.
    for (bought, qualifies) in [("2026-05-10T11:59:59.999Z", true), ("2026-05-10T12:00:00Z", false)] {
        let mut w = world(&terms);
        click(&mut w, "ADA0");
        w.go("2026-05-05");
        w.enrol_visitor("ben", &[], "v");
        assert_eq!(referral(&w, "ben").unwrap().qualify_by, at("2026-05-10"));
        w.go(bought);
        w.buy("ben", order_for("o", 100));
        w.relay();
        assert_eq!(w.has("ada"), if qualifies { "available 100" } else { "nothing" }, "{bought}");
    }
    // Named at checkout alone: when they signed up, when they came by the code, when they bought, and whether it counts.
    for (signed_up, touched, bought, counts) in [
        ("2026-05-05", "2026-05-04", "2026-05-10T11:59:59.999Z", true),
        ("2026-05-05", "2026-05-04", "2026-05-10T12:00:00Z", false),
        ("2026-05-06T11:59:59.999Z", "2026-05-04", "2026-05-07", true),
        ("2026-05-06T12:00:00Z", "2026-05-04", "2026-05-07", false),
        // A member already: from the touch to the purchase.
        ("2026-05-01", "2026-05-20", "2026-05-25T11:59:59.999Z", true),
        ("2026-05-01", "2026-05-20", "2026-05-25T12:00:00Z", false),
    ] {
        let mut w = world(&terms);
        let mut events = vec![(signed_up, "enrol"), (touched, "touch"), (bought, "buy")];
        events.sort_by_key(|(when, _)| at(when));
        for (when, what) in events {
            w.now = at(when);
            match what {
                "enrol" => drop(w.enrol("ben", &[])),
                "touch" => click(&mut w, "ADA0"),
                _ => drop(bought_as(&mut w, "ben", order_for("o", 100), "v")),
            }
        }
        assert_eq!(w.has("ada") == "available 100", counts, "{signed_up} {touched} {bought}");
    }
}

#[test]
fn r3_what_came_afterwards_brought_nobody() {
    let mut w = world(ONE);
    w.go("2026-05-06");
    click(&mut w, "ADA0");
    let visitor = Some(VisitorId::parse("v").unwrap());
    let profile = guerdon::domain::command::ProfileChange::default();
    let member = guerdon::domain::id::MemberId::parse("ben").unwrap();
    let enroll =
        guerdon::domain::command::Enroll { member, codes: Vec::new(), profile, visitor, signals: Signals::None };
    w.decide_as_of("ben", Command::Enroll(enroll), at("2026-05-05"));
    assert_eq!(outcomes(&w, "ben"), [Outcome::Not(Reason::TouchAfterwards)]);
}

#[test]
fn r4_codes_come_before_touches_at_sign_up_and_at_checkout() {
    let mut w = world("friend: {units: 1}, spend_at_least: GBP 5.00");
    click(&mut w, "ADA0");
    // A code that leads nowhere leaves it to the touch.
    let decision = w.enrol_visitor("ben", &["N0PE"], "v");
    assert_eq!(told(&decision), ["ref:ben is Attributed", "no code N0PE: CodeUnknown"]);
    let stands = referral(&w, "ben").unwrap();
    assert_eq!((stands.advocate, stands.via), (account("ada"), Via::Touch));
    assert_eq!(outcomes(&w, "ben"), [Outcome::Not(Reason::CodeUnknown), Outcome::Counts(1_000_000)]);
    // Any code takes its place, as long as nothing has come of it.
    assert_eq!(told(&w.decide("ben", named("EVE0"))), ["ref:ben is Superseded", "ref:ben is Attributed"]);
    assert_eq!(referral(&w, "ben").unwrap().advocate, account("eve"));

    w.enrol_visitor("cat", &["EVE0"], "v");
    assert_eq!(referral(&w, "cat").unwrap().via, Via::SignUp);
    assert_eq!(outcomes(&w, "cat"), [Outcome::Counts(1_000_000), Outcome::Not(Reason::Superseded)]);
    // Touches never take the place of a code, at whatever occasion.
    w.touch("w", TouchKind::Click, "FAY0", "");
    let told_so = bought_as(&mut w, "cat", order_for("o1", 500), "w");
    assert!(told_so.contains(&"ref:cat is Qualified".to_owned()), "{told_so:?}");
    assert!(
        !told_so.iter().any(|told| told.contains("Visitor")),
        "who is attributed is told nothing of it: {told_so:?}"
    );
    assert_eq!(outcomes(&w, "cat"), [Outcome::Not(Reason::AlreadyAttributed)]);

    // At checkout a code comes before touches, too.
    w.enrol("dan", &[]);
    let visitor = Some(VisitorId::parse("v").unwrap());
    let with_code = Commit { codes: vec![entered("FAY0")], visitor, ..commit(order_for("o2", 500)) };
    w.commit("dan", with_code);
    assert_eq!(referral(&w, "dan").unwrap().via, Via::Checkout);
}

#[test]
fn r4_a_touch_is_refused_for_the_first_of_these_reasons() {
    for (code, prepare, expected) in [
        ("ADA0", "blocked", Reason::CodeBlocked),
        ("BEN0", "", Reason::SelfReferral),
        ("ADA0", "ordered", Reason::NotNew),
        ("ADA0", "attributed", Reason::AlreadyAttributed),
    ] {
        let mut w = world(ONE).with("ben", 0);
        w.code("BEN0", "ben", "ref");
        w.touch("v", TouchKind::Click, code, "");
        match prepare {
            "blocked" => {
                let code = guerdon::domain::referral::code::read(code).unwrap();
                w.codes.get_mut(&code).unwrap().state = guerdon::domain::referral::CodeState::Blocked;
            }
            "ordered" => drop(w.buy("ben", order_for("before", 100))),
            "attributed" => drop(w.decide("ben", named("EVE0"))),
            _ => {}
        }
        let told_so = bought_as(&mut w, "ben", order_for("o", 100), "v");
        assert_eq!(outcomes(&w, "ben"), [Outcome::Not(expected)], "{prepare}");
        let of_visitor = format!("no visitor: {expected:?}");
        assert!(told_so.contains(&of_visitor), "{told_so:?}");
    }
}

#[test]
fn r5_several_advocates_share_what_a_friend_brings_to_the_unit() {
    let models =
        "advocate: {units: 100}, friend: {units: 10}, commission: {percent: 10%, unit: credit}, generations: [50%]";
    // Ada first, then Eve twice, then Fay: model, and what each has of points and credit.
    for (model, expected) in [
        ("model: first", [(100, 101), (0, 0), (0, 0)]),
        ("model: last", [(0, 0), (0, 0), (100, 101)]),
        ("model: linear", [(25, 25), (50, 51), (25, 25)]),
        ("model: position", [(40, 40), (20, 20), (40, 41)]),
        ("model: position, first: 10%, last: 20%", [(10, 10), (70, 71), (20, 20)]),
        ("model: decay, half_life: 1 day", [(7, 7), (40, 40), (53, 54)]),
    ] {
        let mut w = world(&format!("{models}, credit: {{{model}}}"));
        for (day, code) in
            [("2026-05-04", "ADA0"), ("2026-05-05", "EVE0"), ("2026-05-06", "EVE0"), ("2026-05-07", "FAY0")]
        {
            w.go(day);
            click(&mut w, code);
        }
        w.enrol_visitor("ben", &[], "v");
        w.buy("ben", order_for("o", 1_019));
        w.relay();
        let credit = guerdon::domain::id::UnitId::parse("credit").unwrap();
        let of = |w: &World, member: &str| (w.has(member), w.has_of(member, &credit));
        let text = |n: i64| if n == 0 { "nothing".to_owned() } else { format!("available {n}") };
        for (advocate, (points, share)) in ["ada", "eve", "fay"].iter().zip(expected) {
            assert_eq!(of(&w, advocate), (text(points), text(share)), "{model}: {advocate}");
        }
        // One advocate has the friend.
        let friends: i64 = ["ada", "eve", "fay"].map(|a| w.accounts[&account(a)].friends_qualified).iter().sum();
        assert_eq!(friends, 1, "{model}");
        w.give_back("ben", everything("o", "r"));
        w.relay();
        for advocate in ["ada", "eve", "fay"] {
            assert_eq!(of(&w, advocate), (text(0), text(0)), "{model}: {advocate} after the return");
            assert_eq!(w.accounts[&account(advocate)].friends_qualified, 0);
        }
    }
}

#[test]
fn r5_other_models_are_told_in_shadow_and_move_nothing() {
    let mut w = world(&format!("{ONE}, credit: {{model: last, shadow: [first, linear]}}"));
    for code in ["ADA0", "EVE0", "0THER", "FAY0"] {
        click(&mut w, code);
    }
    w.enrol_visitor("ben", &[], "v");
    let Weighing { models, considered, referral: id, .. } = weighed(&w, "ben");
    type Said = (&'static str, bool, Vec<(AccountId, i64)>);
    let said: Vec<Said> = models.into_iter().map(|says| (says.model.name(), says.in_force, says.credits)).collect();
    let (ada, eve, fay) = (account("ada"), account("eve"), account("fay"));
    let expected = [
        ("last", true, vec![(fay.clone(), 1_000_000)]),
        ("first", false, vec![(ada.clone(), 1_000_000)]),
        ("linear", false, vec![(ada, 333_334), (eve, 333_333), (fay, 333_333)]),
    ];
    assert_eq!(said, expected);
    let counts = [
        Outcome::Counts(0),
        Outcome::Counts(0),
        Outcome::Not(Reason::TouchOfOtherCampaign),
        Outcome::Counts(1_000_000),
    ];
    assert_eq!(considered.iter().map(|one| one.outcome).collect::<Vec<_>>(), counts);
    assert_eq!(id.unwrap().as_str(), "ref:ben");
    assert!(referral(&w, "ben").unwrap().sharers.is_empty());
}

#[test]
fn r5_no_more_touches_are_weighed_than_can_share() {
    let mut w = world(&format!("{ONE}, credit: {{model: linear}}"));
    for n in 0..24 {
        w.go(&format!("2026-05-04T12:{n:02}"));
        assert!(w.touch("v", TouchKind::Click, ["ADA0", "EVE0", "FAY0"][n % 3], "").recorded);
    }
    w.enrol_visitor("ben", &[], "v");
    let outcomes = outcomes(&w, "ben");
    assert_eq!(outcomes[..4], [Outcome::Not(Reason::TouchTooOld); 4]);
    assert_eq!(outcomes[4..], [Outcome::Counts(50_000); 20]);
    let stands = referral(&w, "ben").unwrap();
    // Eve, Fay, then Ada and so on: seven, seven, six; of two equal ones who came latest.
    assert_eq!(stands.credits().iter().map(|(_, ppm)| *ppm).sum::<i64>(), 1_000_000);
    assert_eq!(stands.advocate, account("fay"));
}

/// A code that may bring one friend more, or none.
#[test]
fn r5_a_code_that_is_used_up_leaves_the_credit_to_the_others() {
    let mut w = world(&format!("{ONE}, codes: {{uses_max: 1}}, credit: {{model: last}}"));
    for (friend, expected) in [
        ("f1", [Outcome::Counts(0), Outcome::Counts(1_000_000)]),
        ("f2", [Outcome::Counts(1_000_000), Outcome::Not(Reason::CodeUsedUp)]),
        ("f3", [Outcome::Not(Reason::CodeUsedUp), Outcome::Not(Reason::CodeUsedUp)]),
    ] {
        let visitor = format!("v-{friend}");
        w.touch(&visitor, TouchKind::Click, "ADA0", "");
        w.touch(&visitor, TouchKind::Click, "EVE0", "");
        w.enrol_visitor(friend, &[], &visitor);
        assert_eq!(outcomes(&w, friend), expected, "{friend}");
    }
}

/// Who shares the credit brought the friend, too: of a circle that goes by them the latest claim falls.
#[test]
fn r10_no_circle_closes_by_those_who_share_the_credit() {
    let mut w = world("advocate: {units: 100}, qualify: {sign_up: true}, credit: {model: linear}");
    w.enrol("ben", &[]);
    let campaign = Some(guerdon::domain::id::CampaignId::parse("ref").unwrap());
    w.decide("ben", Command::CreateCode(CreateCode { campaign, ..wish(None, Some("BEN0")) }));
    w.relay();
    assert_eq!(told(&w.decide("ada", named("BEN0")))[0], "ref:ada is Attributed");
    w.relay();
    w.go("2026-05-06");
    click(&mut w, "ADA0");
    click(&mut w, "EVE0");
    bought_as(&mut w, "ben", order_for("o", 100), "v");
    let stands = referral(&w, "ben").unwrap();
    assert_eq!((stands.advocate.clone(), stands.sharers.len(), stands.confirmed), (account("eve"), 1, false));
    assert_eq!(stands.rejected_for, Some(guerdon::domain::referral::RejectedFor::Circle));
    assert_eq!(w.has("eve"), "nothing");
}

#[test]
fn r2_touches_of_a_guest_wait_with_the_order() {
    let mut w = world(ONE);
    click(&mut w, "ADA0");
    let guest = guerdon::domain::id::MemberId::guest(&order_id("o"));
    let visitor = Some(VisitorId::parse("v").unwrap());
    w.commit(guest.as_str(), Commit { visitor, ..commit(order_for("o", 500)) });
    w.visitors.clear();
    let record = w.orders.remove(&order_id("o")).unwrap();
    assert_eq!(record.touches.len(), 1);
    w.go("2026-05-06");
    w.enrol("ben", &[]);
    let guest = GuestOrder::Claimed(Box::new(record.clone()));
    let claim = Claim { order_id: order_id("o"), claimed_at: at("2026-05-06"), guest };
    let decision = w.decide_as_of("ben", Command::Claim(claim), record.committed_at);
    w.relay();
    assert!(told(&decision).contains(&"ref:ben is Qualified".to_owned()), "{:?}", told(&decision));
    assert_eq!(w.has("ada"), "available 100");
}

#[test]
fn r5_what_was_considered_is_kept_for_the_latest_times_alone() {
    let mut w = world(ONE).with("ben", 0);
    for _ in 0..20 {
        w.decide("ben", named("N0PE"));
    }
    let state = &w.accounts[&account("ben")];
    assert_eq!(state.weighed.len(), guerdon::domain::account::AccountState::WEIGHED_MAX);
    assert!(state.referral.is_none());
}
