//! Who brought whom.

use guerdon::domain::answer::ReferralState;
use guerdon::domain::command::{Command, Commit, ReturnWhat};
use guerdon::domain::decide::Decision;

use super::kit::*;

/// 250 for the advocate, 100 for the friend, when the friend's order earns on 20.00 within ten days.
fn campaign(more: &str) -> String {
    format!(
        "referrals: [{{id: ref, title: T, spend_at_least: GBP 20.00, qualify_within: 10 days, advocate: {{units: 250}}, \
         friend: {{units: 100}}{more}}}]\nrules: [{{id: base, kind: transactional, on: order, then: {{earn: {{units: 1, \
         per: GBP 1000.00}}}}}}]\nback_dating_max: 30 days\n"
    )
}

fn world(more: &str) -> World {
    let mut world = World::new(&campaign(more)).with("ada", 0);
    world.code("ADA0", "ada", "ref");
    world
}

fn attribute(world: &mut World, member: &str, code: &str) -> Vec<String> {
    told(&world.decide(member, named(code)))
}

fn state(world: &World, member: &str) -> Option<ReferralState> {
    world.accounts[&account(member)].referral.as_ref().map(|referral| referral.state)
}

#[test]
fn a_code_attributes_where_the_campaign_takes_it() {
    let refused = vec!["no code ADA0: CodeNotTakenHere".to_owned()];
    let attributed = vec!["ref:ben is Attributed".to_owned()];
    for (taken_at, at_enrolment, at_order) in
        [("enrolment", true, false), ("first_order", false, true), ("both", true, true)]
    {
        let told_as = |taken: bool| if taken { attributed.clone() } else { refused.clone() };
        let mut w = world(&format!(", attribute_at: {taken_at}"));
        assert_eq!(told(&w.enrol("ben", &["ADA0"])), told_as(at_enrolment), "{taken_at}");
        let mut w = world(&format!(", attribute_at: {taken_at}")).with("ben", 0);
        let with_code = Commit { codes: vec![entered("ada-0")], ..commit(order_for("o", 100)) };
        let told_at_order: Vec<String> =
            told(&w.commit("ben", with_code)).iter().map(|s| s.replace("ada-0", "ADA0")).collect();
        let told_at_order: Vec<String> =
            told_at_order.into_iter().filter(|told| !told.contains("ReferralConditionNotMet")).collect();
        assert_eq!(told_at_order, told_as(at_order), "{taken_at}");
        // By hand, wherever.
        let mut w = world(&format!(", attribute_at: {taken_at}")).with("ben", 0);
        assert_eq!(attribute(&mut w, "ben", "ADA0"), attributed, "{taken_at}");
    }
}

#[test]
fn a_code_is_refused_for_the_first_of_these_reasons() {
    for (code, prepare, expected) in [
        ("N0PE", "nothing", "CodeUnknown"),
        ("?!", "nothing", "CodeUnknown"),
        ("ADA0", "campaign over", "CodeExpired"),
        ("ADA0", "campaign not begun", "CodeNotStarted"),
        ("BEN0", "nothing", "SelfReferral"),
        ("ADA0", "attributed", "AlreadyAttributed"),
        ("ADA0", "attributed and ordered", "AlreadyAttributed"),
        ("ADA0", "ordered", "NotNew"),
        ("ADA0", "ordered and returned", "NotNew"),
    ] {
        let mut w = world(", starts_at: 2026-05-01T00:00:00Z, ends_at: 2026-06-01T00:00:00Z").with("ben", 0);
        w.code("BEN0", "ben", "ref");
        if prepare.starts_with("attributed") {
            attribute(&mut w, "ben", "ADA0");
        }
        if prepare.contains("ordered") {
            w.buy("ben", order_for("o", 100));
        }
        if prepare.ends_with("returned") {
            w.give_back("ben", everything("o", "r"));
        }
        match prepare {
            "campaign over" => w.go("2026-06-01T00:00:00Z"),
            "campaign not begun" => {
                let early = at("2026-04-30T23:59:59.999Z");
                let decision = w.decide_as_of("ben", named(code), early);
                assert_eq!(told(&decision), [format!("no code {code}: {expected}")]);
                continue;
            }
            _ => {}
        }
        assert_eq!(attribute(&mut w, "ben", code), [format!("no code {code}: {expected}")], "{prepare}");
    }
}

#[test]
fn of_several_codes_the_first_that_can_attributes_and_each_is_answered() {
    let mut w = world("").with("eve", 0);
    w.code("EVE0", "eve", "ref");
    let decision = w.enrol("ben", &["N0PE", "EVE0", "ADA0"]);
    let expected = ["ref:ben is Attributed", "no code N0PE: CodeUnknown", "no code ADA0: Superseded"];
    assert_eq!(told(&decision), expected);
    assert_eq!(w.accounts[&account("ben")].referral.as_ref().unwrap().advocate, account("eve"));
}

#[test]
fn an_order_qualifies_at_the_threshold_and_within_the_window() {
    // What the order earns on, when it happened, when it was told of.
    for (amount, happened, told_of, qualifies) in [
        (2_000, "2026-05-04T12:00:00Z", "2026-05-04T12:00:00Z", true),
        (1_999, "2026-05-04T12:00:00Z", "2026-05-04T12:00:00Z", false),
        (2_000, "2026-05-14T11:59:59.999Z", "2026-05-14T11:59:59.999Z", true),
        (2_000, "2026-05-14T12:00:00Z", "2026-05-14T12:00:00Z", false),
        // An order within the window counts whenever it is told of; one from before the attribution never does.
        (2_000, "2026-05-14T11:59:59.999Z", "2026-05-20T12:00:00Z", true),
        (2_000, "2026-05-04T11:59:59.999Z", "2026-05-04T12:00:00Z", false),
    ] {
        let mut w = world("");
        w.enrol("ben", &["ADA0"]);
        w.go(told_of);
        w.decide_as_of("ben", Command::Commit(commit(order_for("o", amount))), at(happened));
        w.relay();
        let expected = if qualifies { ("available 100", "available 250") } else { ("nothing", "nothing") };
        assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), expected, "{amount} {happened} {told_of}");
        assert_eq!(w.accounts[&account("ada")].friends_qualified, i64::from(qualifies));
    }
}

#[test]
fn a_later_order_may_qualify_and_only_one_does() {
    let mut w = world("");
    w.enrol("ben", &["ADA0"]);
    w.buy("ben", order_for("small", 500));
    let decision = w.buy("ben", order_for("large", 2_500));
    assert_eq!(told(&decision), ["ref:ben is Qualified", "ref grants 100"]);
    assert!(told(&w.buy("ben", order_for("larger", 9_500))).is_empty());
    w.relay();
    assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("available 100", "available 250"));
}

#[test]
fn a_return_below_the_threshold_takes_both_rewards_back_once() {
    for (claw_back, kept, both) in [(true, 500, false), (true, 2_000, true), (false, 500, true)] {
        let mut w = world(&format!(", claw_back: {claw_back}"));
        w.enrol("ben", &["ADA0"]);
        w.buy("ben", order("o", vec![line("a", kept), line("b", 2_000), line("c", 1)]));
        w.relay();
        assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), ("available 100", "available 250"));
        w.give_back("ben", returned("o", "r1", ReturnWhat::Lines(vec![quantity("b", 1)])));
        w.relay();
        let expected = if both { ("available 100", "available 250") } else { ("nothing", "nothing") };
        assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), expected, "{claw_back} {kept}");
        w.give_back("ben", everything("o", "r2"));
        w.relay();
        let expected = if claw_back { ("nothing", "nothing") } else { ("available 100", "available 250") };
        assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), expected, "{claw_back} {kept}");
        assert_eq!(w.accounts[&account("ada")].friends_qualified, i64::from(!claw_back));
        let state = state(&w, "ben");
        assert_eq!(state, Some(if claw_back { ReferralState::Rejected } else { ReferralState::Qualified }));
        // Neither a later return nor a later order brings anything back.
        w.buy("ben", order_for("again", 9_000));
        w.relay();
        assert_eq!((w.has("ben").as_str(), w.has("ada").as_str()), expected, "{claw_back} {kept}");
    }
}

/// The friend was never granted what went to the advocate: taken back, it counted as granted to both.
#[test]
fn what_is_called_back_counts_as_granted_to_nobody() {
    let mut w = world("");
    w.enrol("ben", &["ADA0"]);
    w.buy("ben", order_for("o", 2_000));
    w.give_back("ben", everything("o", "r"));
    w.relay();
    let of = |member: &str| w.accounts[&account(member)].balances().remove(0);
    assert_eq!((of("ben").lifetime_granted, of("ben").lifetime_reversed), (100, 100));
    assert_eq!((of("ada").lifetime_granted, of("ada").lifetime_reversed), (0, 0));
}

#[test]
fn an_advocate_who_has_spent_the_reward_owes_it() {
    let mut w = world("");
    w.enrol("ben", &["ADA0"]);
    w.buy("ben", order_for("o", 2_000));
    w.relay();
    w.adjust("ada", -200, None);
    w.give_back("ben", everything("o", "r"));
    w.relay();
    assert_eq!(w.has("ada"), "debt 200");
}

/// The reversal overtook the grant: it was remembered with dates of its own, unlike everywhere else.
#[test]
fn effects_that_overtake_each_other_end_alike() {
    let mut w = world("");
    w.enrol("ben", &["ADA0"]);
    w.buy("ben", order_for("o", 2_000));
    w.go("2026-05-06");
    w.give_back("ben", everything("o", "r"));
    let sent = w.sent();
    let mut ends = Vec::new();
    for arrivals in [vec![0, 1], vec![1, 0], vec![1], vec![0, 0, 1, 0, 1], vec![1, 1, 0]] {
        let mut w = w.clone();
        for arrival in &arrivals {
            w.decide("ada", Command::Receive(sent[*arrival].clone()));
        }
        ends.push((w.inbound.clone(), w.has("ada"), w.accounts[&account("ada")].friends_qualified));
    }
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    assert_eq!(ends[0].1, "nothing");
}

#[test]
fn the_terms_are_those_of_the_day_the_friend_came() {
    let mut w = world("");
    w.enrol("ben", &["ADA0"]);
    let mut dearer = (*program(&campaign("").replace("20.00", "50.00").replace("units: 100", "units: 999"))).clone();
    dearer.version = guerdon::domain::program::ProgramVersion("dearer".into());
    w.timeline.versions.push((at("2026-05-05"), std::sync::Arc::new(dearer)));
    w.go("2026-05-06");
    w.buy("ben", order_for("o", 2_000));
    assert_eq!(w.has("ben"), "available 100");
}

#[test]
fn a_referral_whose_time_runs_out_is_expired() {
    let mut w = world("");
    w.enrol("ben", &["ADA0"]);
    w.go("2026-05-14T11:59:59.999Z");
    w.advance("ben");
    assert_eq!(state(&w, "ben"), Some(ReferralState::Attributed));
    w.go("2026-05-14T12:00:00Z");
    w.advance("ben");
    assert_eq!(state(&w, "ben"), Some(ReferralState::Expired));
}

#[test]
fn r16_the_first_order_that_comes_too_late_for_a_referral_says_so() {
    let mut w = world("");
    w.enrol("ben", &["ADA0"]);
    w.enrol("cat", &["ADA0"]);
    // Too little, within the time.
    let first = w.buy("cat", order_for("o-1", 1_999));
    assert_eq!(refusals(&first), ["no referral(\"ref:cat\"): ReferralConditionNotMet, asks 2000, has 1999"]);
    w.go("2026-05-14T12:00:00Z");
    for member in ["ben", "cat"] {
        for (order, expected) in [("late", 1), ("later", 0)] {
            let told = refusals(&w.buy(member, order_for(&format!("{member}-{order}"), 5_000)));
            let refusal = format!("no referral(\"ref:{member}\"): ReferralExpired");
            assert_eq!(told, vec![refusal; expected], "{order}");
        }
        assert_eq!(state(&w, member), Some(ReferralState::Expired));
    }
}

fn refusals(decision: &Decision) -> Vec<String> {
    told(decision).into_iter().filter(|told| told.starts_with("no ")).collect()
}
