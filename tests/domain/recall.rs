//! Orders explained months later, from what the ledger keeps.

use std::sync::Arc;

use guerdon::domain::account::{AccountState, AttributeValue};
use guerdon::domain::answer::{Explain, Explanation, ExplanationCaveat, ExplanationSource};
use guerdon::domain::command::{Command, Commit, ProfileChange, UpdateMember};
use guerdon::domain::decide::{DeedFinder, Found, recall};
use guerdon::domain::id::ProgramId;
use guerdon::domain::ledger::Fact;
use guerdon::domain::program::Timeline;
use guerdon::domain::referral::signal::Signals;

use super::kit::*;

impl World {
    /// Why an order of a member earned what it earned, as told today.
    pub(crate) fn why(&self, member: &str, order: &str) -> Explanation {
        let account = account(member);
        let order = order_id(order);
        let mut finder = DeedFinder::new(AccountState::new(account.clone()));
        for entry in &self.ledgers[&account] {
            let wanted = |fact: &Fact| matches!(fact, Fact::OrderCommitted { order: of, .. } if *of == order);
            match finder.take(entry.clone(), wanted).unwrap() {
                Found::NotYet(next) => finder = *next,
                Found::Deed(deed) => {
                    let program = ProgramId::parse("p").unwrap();
                    let present = self.accounts.get(&account);
                    return recall(&self.timeline, &program, &deed, &self.orders[&order], present).unwrap();
                }
            }
        }
        panic!("{member} has no order {order}");
    }
}

fn explained(order: guerdon::domain::order::Order) -> Commit {
    Commit { explain: true, ..commit(order) }
}

fn trace(decision: &guerdon::domain::decide::Decision) -> Explain {
    decided(&decision.answer).explain.unwrap()
}

/// Everything that a rule can look back on.
const PROGRAM: &str = "
units: {points: {expires_after: 60 days}}
attributes: {vip: bool}
pay_with: {points: {units: 1, worth: GBP 0.01}}
counters: {spend: {counts: spend}, orders: {counts: orders, window: month}}
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: third, kind: behavioural, on: order, when: {order_number: {is: [3]}}, then: {bonus: {units: 30}}}
  - {id: spender, kind: behavioural, on: order, when: {counters: {spend: {at_least: 5000}}}, then: {multiply: {by: 2}}}
  - {id: vip, kind: emotional, on: order, when: {member: {attributes: {vip: [true]}}}, then: {bonus: {units: 7}}}
  - {id: rich, kind: emotional, on: order, when: {expression: 'balance.points >= 50'}, then: {bonus: {units: 3}}}
";

#[test]
fn e4_the_trace_of_an_order_is_told_from_the_ledger_months_later() {
    let mut world = World::new(PROGRAM).with("mia", 40);
    let mut told = Vec::new();
    for (n, amount) in [2_000, 3_100, 4_000, 500].into_iter().enumerate() {
        world.now = world.now.plus_ms(5 * guerdon::domain::time::DAY_MS);
        let id = format!("o{n}");
        let redeem = (n == 2).then(|| pay_exactly(25));
        let decision = world.commit("mia", Commit { redeem, ..explained(order_for(&id, amount)) });
        told.push((id, trace(&decision)));
    }
    // Since then goods came back, units lapsed, and another program holds.
    world.give_back("mia", everything("o1", "r1"));
    let other =
        program("rules:\n  - {id: base, kind: transactional, on: order, then: {earn: {units: 9, per: GBP 1.00}}}\n");
    let turned = world.now.plus_ms(1);
    let first = world.timeline.versions[0].clone();
    world.timeline = Timeline { versions: vec![first, (turned, Arc::clone(&other))] };
    world.go("2027-03-01");
    world.buy("mia", order_for("later", 700));
    for (order, then) in told {
        let why = world.why("mia", &order);
        assert_eq!(why.trace, then, "{order}");
        assert_eq!((why.source, why.reproduces), (ExplanationSource::Ledger, true), "{order}");
        assert_eq!(why.caveats, [], "{order}");
    }
    let third = world.why("mia", "o2").trace;
    let applied: Vec<&str> = third.rules.iter().filter(|rule| rule.applied).map(|rule| rule.rule.as_str()).collect();
    assert_eq!(applied, ["base", "third", "spender", "rich"], "and not only what is true of any order");
}

#[test]
fn e4_what_was_personal_and_has_changed_since_is_said() {
    let mut world = World::new(PROGRAM).with("mia", 0);
    let update = |vip: bool| {
        let set_attributes = vec![(label("vip"), AttributeValue::Bool(vip))];
        Command::UpdateMember(UpdateMember {
            change: ProfileChange { set_attributes, ..Default::default() },
            signals: Signals::None,
        })
    };
    world.decide("mia", update(true));
    let decision = world.commit("mia", explained(order_for("o", 1_000)));
    assert_eq!(grants(&decision), [("base".to_owned(), 10), ("vip".to_owned(), 7)]);
    let why = world.why("mia", "o");
    assert_eq!((why.reproduces, why.caveats.as_slice(), &why.trace), (true, [].as_slice(), &trace(&decision)));
    world.decide("mia", update(false));
    let why = world.why("mia", "o");
    assert_eq!((why.reproduces, why.caveats.as_slice()), (false, [ExplanationCaveat::ProfileChanged].as_slice()));
    // What is not personal is told as it was.
    let base = why.trace.rules.iter().find(|rule| rule.rule.as_str() == "base").unwrap();
    assert_eq!(base.steps, ["1000 x 1 / 100, floor per order = 10 points"]);
}

#[test]
fn e4_a_program_that_is_gone_is_said() {
    let mut world = World::new(BASE).with("mia", 0);
    world.buy("mia", order_for("o", 1_000));
    world.timeline = Timeline::of(program(
        "rules:\n  - {id: base, kind: transactional, on: order, then: {earn: {units: 2, per: GBP 1.00}}}\n",
    ));
    let why = world.why("mia", "o");
    assert_eq!((why.reproduces, why.caveats.as_slice()), (false, [ExplanationCaveat::OtherVersion].as_slice()));
}

#[test]
fn e4_a_stated_share_of_orders_keeps_its_trace() {
    for (share, orders, least, most) in [(0, 20, 0, 0), (250, 200, 30, 70), (1_000, 20, 20, 20)] {
        let world = World::new(&format!("explain_sample_per_mille: {share}{BASE}")).with("mia", 0);
        let kept = (0..orders).filter(|n| {
            let mut world = world.clone();
            let order = order_for(&format!("order-{n}"), 500);
            let plain = world.clone().decide("mia", Command::Commit(explained(order.clone())));
            let decision = world.buy("mia", order);
            assert_eq!(decided(&decision.answer).explain, None, "nobody asked for it in the answer");
            assert!(decision.trace.is_none() || decision.trace == decided(&plain.answer).explain);
            assert_eq!(decision.trace.is_some(), plain.trace.is_some(), "the same orders whoever asks");
            decision.trace.is_some()
        });
        let kept = kept.count();
        assert!((least..=most).contains(&kept), "{kept} of {orders} at {share} per mille");
    }
    let world = World::new(&format!("explain_sample_per_mille: 1000{BASE}")).with("mia", 0);
    let preview = world.preview("mia", &Command::Commit(commit(order_for("o", 1))), world.now);
    assert_eq!(preview.trace, None, "a preview keeps nothing");
}
