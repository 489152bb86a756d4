//! What lies in storage: bytes written once must be read by every later version. Until the first release formats may still
//! move: then `UPDATE=1 cargo test the_scenario` writes the fixtures anew, but for the order of format 1, which nothing writes.

use guerdon::domain::account::AccountState;
use guerdon::domain::answer::OrderState;
use guerdon::domain::command::{Commit, ReturnWhat};
use guerdon::domain::ledger::{DecodeError, Entry, Fact, GENESIS, Stored, chain, decode, encode};
use guerdon::domain::order_record::{OrderRecord, Returned};

use super::kit::*;

const ACCOUNT: &[u8] = include_bytes!("../fixtures/account-1.bin");
const ENTRIES: [&[u8]; 3] = [
    include_bytes!("../fixtures/entry-1-enrolled.bin"),
    include_bytes!("../fixtures/entry-1-credited.bin"),
    include_bytes!("../fixtures/entry-1-held.bin"),
];
const ORDER_1: &[u8] = include_bytes!("../fixtures/order-1.bin");
const ORDER_2: &[u8] = include_bytes!("../fixtures/order-2.bin");

/// What the fixtures were written from: state and record as they stand, and the first entries of the ledger.
fn scenario() -> World {
    let sections = format!("pay_with: {{points: {{units: 100, worth: GBP 1.00}}}}{BASE}");
    let mut world = World::new(&sections).with("mia", 500);
    world.reserve("mia", order_for("held", 1_000), pay_exactly(200));
    let tenders = vec![tender("card", 900)];
    let order = order("o", vec![items(2, line("a", 1_000))]);
    world.commit("mia", Commit { redeem: Some(pay_exactly(100)), tenders, ..commit(order) });
    world.give_back("mia", returned("o", "r", ReturnWhat::Lines(vec![quantity("a", 1)])));
    world
}

#[test]
fn an_account_of_format_1_is_read() {
    let state: AccountState = decode(ACCOUNT).unwrap();
    assert_eq!(encode(&state), ACCOUNT, "and written alike");
    assert_eq!((state.account.as_str(), state.sequence, state.orders), ("mia", 9, 1));
    assert_eq!(state.posted_at, at("2026-05-04"));
    let balance = state.balances().remove(0);
    assert_eq!((balance.available, balance.held, balance.lifetime_adjusted), (255, 200, 500));
    assert_eq!(state.holds.len(), 1);
    assert_eq!(state.hold(&order_id("held")).unwrap().units[0].total(), 200);
    assert_eq!(state.faults(), Vec::<String>::new());
}

#[test]
fn entries_of_format_1_are_read_and_chain_as_they_did() {
    let entries = ENTRIES.map(|stored| decode::<Entry>(stored).unwrap());
    let head = ENTRIES.iter().fold(GENESIS, |head, stored| chain(&head, stored));
    let mut state = AccountState::new(account("mia"));
    for (entry, stored) in entries.iter().zip(ENTRIES) {
        assert_eq!(encode(entry), stored, "and written alike");
        state.apply(entry).unwrap();
    }
    assert_eq!(state.head, head);
    assert!(matches!(entries[0].fact, Fact::Enrolled));
    assert!(matches!(entries[1].fact, Fact::Credited { amount: 500, repaid: 0, .. }));
    assert!(matches!(entries[2].fact, Fact::Held { revision: 1, .. }));
}

#[test]
fn orders_of_both_formats_are_read() {
    for stored in [ORDER_1, ORDER_2] {
        let record = OrderRecord::from_stored(stored).unwrap();
        assert!(record.is_as_written(stored));
        assert_eq!((record.order_id.as_str(), record.state), ("o", OrderState::PartiallyReturned));
        assert_eq!((record.money_minor, record.money_refunded_minor), (900, 450));
        assert_eq!(record.lines[0].returned, Returned::Quantity(1));
        assert_eq!((record.grants[0].amount, record.grants[0].reversed), (10, 5));
        assert_eq!((record.uses[0].units, record.uses[0].restored), (100, 50));
        assert_eq!(record.returns[0].refund.money_minor, 450);
        assert_eq!(record.to_stored(), ORDER_2, "and written as format 2 has it");
    }
}

#[test]
fn an_order_that_was_tampered_with_is_not_as_written() {
    let (mut other, of_1) = (OrderRecord::from_stored(ORDER_2).unwrap(), OrderRecord::from_stored(ORDER_1).unwrap());
    other.money_refunded_minor += 1;
    assert!(!other.is_as_written(ORDER_2));
    assert!(!other.is_as_written(ORDER_1));
    assert!(!of_1.is_as_written(&[ORDER_1, &[0]].concat()));
}

#[test]
fn orders_that_are_newer_or_damaged_are_refused() {
    for (bytes, expected) in [
        ([&[3], &ORDER_2[1..]].concat(), DecodeError::TooNew { found: 3, known: 2 }),
        ([&[0], &ORDER_2[1..]].concat(), DecodeError::Damaged),
        ([ORDER_2, &[0]].concat(), DecodeError::Damaged),
        ([ORDER_1, &[0]].concat(), DecodeError::Damaged),
        (Vec::new(), DecodeError::Damaged),
    ] {
        assert_eq!(OrderRecord::from_stored(&bytes), Err(expected));
    }
    for len in 1..ORDER_2.len() {
        assert_eq!(OrderRecord::from_stored(&ORDER_2[..len]), Err(DecodeError::Damaged), "{len} bytes of it");
    }
}

#[test]
fn the_scenario_still_writes_what_the_fixtures_hold() {
    let world = scenario();
    if std::env::var_os("UPDATE").is_some() {
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR")), bytes).unwrap();
        };
        write("account-1.bin", &encode(&world.accounts[&account("mia")]));
        write("order-2.bin", &world.order("o").to_stored());
        let entries = &world.ledgers[&account("mia")];
        for (name, entry) in ["enrolled", "credited", "held"].iter().zip(entries) {
            write(&format!("entry-1-{name}.bin"), &encode(entry));
        }
        return;
    }
    assert_eq!(encode(&world.accounts[&account("mia")]), ACCOUNT);
    assert_eq!(world.order("o").to_stored(), ORDER_2);
}

#[test]
fn what_is_newer_or_damaged_is_refused() {
    for (bytes, expected) in [
        ([&[2], &ACCOUNT[1..]].concat(), DecodeError::TooNew { found: 2, known: 1 }),
        ([&[0], &ACCOUNT[1..]].concat(), DecodeError::Damaged),
        (ACCOUNT[..ACCOUNT.len() - 1].to_vec(), DecodeError::Damaged),
        ([ACCOUNT, &[0]].concat(), DecodeError::Damaged),
        (Vec::new(), DecodeError::Damaged),
    ] {
        assert_eq!(decode::<AccountState>(&bytes), Err(expected));
    }
}
