//! What a store has lost, applied again: to the account as it was, and to one that has gone another way since.

use guerdon::domain::account::{AccountState, ApplyError};
use guerdon::domain::command::Commit;
use guerdon::domain::ledger::{Entry, Fact};
use guerdon::domain::reapply::{Reapplied, reapply};

use super::kit::*;

/// What both time lines begin with: a member with 500 points.
fn common() -> World {
    let sections = format!("pay_with: {{points: {{units: 100, worth: GBP 1.00}}}}{BASE}");
    World::new(&sections).with("mia", 500)
}

fn state(world: &World) -> AccountState {
    world.accounts[&account("mia")].clone()
}

/// An order of ten pounds of which so many points pay a part; it earns ten.
fn pays(world: &mut World, id: &str, units: i64) {
    let tenders = vec![tender("card", 1_000 - units)];
    world.commit("mia", Commit { redeem: Some(pay_exactly(units)), tenders, ..commit(order_for(id, 1_000)) });
}

/// The account after `deeds`, and the entries that they posted.
fn lost(deeds: impl FnOnce(&mut World)) -> (AccountState, Vec<Entry>) {
    let mut world = common();
    let before = world.ledgers[&account("mia")].len();
    deeds(&mut world);
    let entries = world.ledgers[&account("mia")][before..].to_vec();
    assert!(!entries.is_empty());
    (state(&world), entries)
}

/// What of the entries is left of the way that they had been posted.
fn facts(entries: &[Entry]) -> Vec<&Fact> {
    entries.iter().map(|entry| &entry.fact).collect()
}

/// That the account folds from its entries, and owns what was granted and not spent.
fn is_sound(reapplied: &Reapplied, before: &AccountState) {
    assert_eq!(reapplied.state.faults(), Vec::<String>::new());
    let mut folded = before.clone();
    for entry in &reapplied.entries {
        folded.apply(entry).unwrap();
    }
    assert_eq!(folded, reapplied.state);
}

#[test]
fn f1_what_was_lost_and_nothing_else_has_happened_since_is_as_it_was() {
    let (after, entries) = lost(|world| {
        pays(world, "o1", 300);
        world.give_back("mia", everything("o1", "r1"));
        world.reserve("mia", order_for("held", 1_000), pay_exactly(200));
        world.adjust("mia", 70, None);
    });
    let before = state(&common());
    let again = reapply(Some(before.clone()), &after, &entries).unwrap();
    assert_eq!(again.state, after, "to the hash");
    assert_eq!(facts(&again.entries), facts(&entries));
    is_sound(&again, &before);
}

#[test]
fn f1_a_whole_account_that_was_lost_is_there_again() {
    let mut world = common();
    world.enrol("mia", &[]);
    pays(&mut world, "o1", 300);
    let entries = world.ledgers[&account("mia")].clone();
    let again = reapply(None, &state(&world), &entries).unwrap();
    assert_eq!(again.state.head, state(&world).head);
    is_sound(&again, &AccountState::new(account("mia")));
}

#[test]
fn f1_units_that_were_spent_otherwise_meanwhile_are_owed() {
    let (after, entries) = lost(|world| pays(world, "o1", 300));
    // The other time line: 400 of the same 500 points are gone, and 10 were earned.
    let mut other = common();
    pays(&mut other, "o2", 400);
    let before = state(&other);
    assert_eq!(before.balances()[0].available, 110);

    let again = reapply(Some(before.clone()), &after, &entries).unwrap();
    is_sound(&again, &before);
    // Granted and spent stand as they were: of 110 and the 10 that the order earned, 300 are gone.
    let balance = again.state.balances().remove(0);
    assert_eq!(balance.available - balance.debt, 110 - 300 + 10);
    assert_eq!(balance.available, 0);
    assert_eq!((again.state.orders, before.orders), (2, 1));
    let ids = |entries: &[Entry]| entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>();
    let first = before.sequence + 1;
    assert_eq!(ids(&again.entries), (first..first + entries.len() as u64).collect::<Vec<_>>(), "behind what is there");
}

#[test]
fn f1_who_has_been_enrolled_again_meanwhile_is_not_enrolled_twice() {
    let mut world = common();
    let before = world.ledgers[&account("mia")].len();
    world.enrol("mia", &[]);
    let entries = world.ledgers[&account("mia")][before..].to_vec();
    let enrolled = |entries: &[Entry]| entries.iter().filter(|entry| matches!(entry.fact, Fact::Enrolled)).count();
    let there = state(&world);
    let again = reapply(Some(there.clone()), &there, &entries).unwrap();
    assert_eq!(enrolled(&again.entries), 0);
    is_sound(&again, &there);
}

#[test]
fn f1_a_hold_of_units_that_are_gone_is_refused_and_one_that_is_over_is_not_ended_twice() {
    let (after, entries) = lost(|world| {
        world.reserve("mia", order_for("held", 1_000), pay_exactly(300));
    });
    let mut other = common();
    pays(&mut other, "o2", 400);
    let again = reapply(Some(state(&other)), &after, &entries);
    assert_eq!(again.unwrap_err(), ApplyError::Inconsistent("units that were held are gone"));

    // The release of a hold that nobody knows tells nothing.
    let (after, entries) = lost(|world| {
        world.reserve("mia", order_for("held", 1_000), pay_exactly(300));
        world.release("mia", "held");
    });
    let released: Vec<Entry> = entries.into_iter().filter(|entry| matches!(entry.fact, Fact::Unheld { .. })).collect();
    assert_eq!(released.len(), 1);
    let before = state(&common());
    let again = reapply(Some(before.clone()), &after, &released).unwrap();
    assert_eq!((again.entries.len(), again.state), (0, before));
}

#[test]
fn f1_what_comes_with_time_is_not_told_again() {
    let mut world = common();
    let before = world.ledgers[&account("mia")].len();
    world.adjust("mia", 80, Some("2026-06-01"));
    world.go("2026-07-01");
    world.advance("mia");
    let entries = world.ledgers[&account("mia")][before..].to_vec();
    assert!(entries.iter().any(|entry| matches!(entry.fact, Fact::Expired { .. })), "{entries:?}");
    let there = state(&common());
    let again = reapply(Some(there.clone()), &state(&world), &entries).unwrap();
    is_sound(&again, &there);
    assert!(!again.entries.iter().any(|entry| matches!(entry.fact, Fact::Expired { .. })));
    assert_eq!(again.state.balances()[0].available, 580, "they expire by themselves when somebody looks");
}
