//! What lies in storage: bytes written once must be read by every later version. Until the first release formats may still
//! move: then `UPDATE=1 cargo test the_scenario` writes the fixtures anew, but for those of format 1 where there is a
//! second, which nothing writes any more.

use guerdon::domain::account::{AccountState, MemberRecord};
use guerdon::domain::answer::{Answer, Decided, Effect, Granted, OrderState, Share};
use guerdon::domain::command::{Commit, ReturnWhat};
use guerdon::domain::ledger::{DecodeError, Entry, Fact, GENESIS, Stored, chain, decode, encode};
use guerdon::domain::order_record::{OrderRecord, Returned};

use guerdon::domain::id::{GrantId, LineId, UnitId};
use guerdon::domain::order::Order;
use guerdon::domain::time::Instant;

use super::kit::*;

const ACCOUNT_1: &[u8] = include_bytes!("../fixtures/account-1.bin");
const ACCOUNT_2: &[u8] = include_bytes!("../fixtures/account-2.bin");
const ENTRIES: [&[u8]; 3] = [
    include_bytes!("../fixtures/entry-1-enrolled.bin"),
    include_bytes!("../fixtures/entry-1-credited.bin"),
    include_bytes!("../fixtures/entry-1-held.bin"),
];
const ORDER_1: &[u8] = include_bytes!("../fixtures/order-1.bin");
const ORDER_2: &[u8] = include_bytes!("../fixtures/order-2.bin");
/// What the Commit of the order was answered.
const ANSWER_1: &[u8] = include_bytes!("../fixtures/answer-1.bin");
const ANSWER_2: &[u8] = include_bytes!("../fixtures/answer-2.bin");

/// What the fixtures were written from: state and record as they stand, the first entries of the ledger, and what the Commit
/// was answered.
fn scenario() -> (World, Answer) {
    let sections = format!("pay_with: {{points: {{units: 100, worth: GBP 1.00}}}}{BASE}");
    let mut world = World::new(&sections).with("mia", 500);
    world.reserve("mia", order_for("held", 1_000), pay_exactly(200));
    let tenders = vec![tender("card", 900)];
    let order = order("o", vec![items(2, line("a", 1_000))]);
    let answer = world.commit("mia", Commit { redeem: Some(pay_exactly(100)), tenders, ..commit(order) }).answer;
    world.give_back("mia", returned("o", "r", ReturnWhat::Lines(vec![quantity("a", 1)])));
    (world, answer)
}

#[test]
fn accounts_of_both_formats_are_read() {
    for stored in [ACCOUNT_1, ACCOUNT_2] {
        let Ok(MemberRecord::Account(state)) = MemberRecord::from_stored(stored) else { panic!("an account") };
        assert_eq!((state.account.as_str(), state.sequence, state.orders), ("mia", 9, 1));
        assert_eq!(state.posted_at, at("2026-05-04"));
        let balance = state.balances().remove(0);
        assert_eq!((balance.available, balance.held, balance.lifetime_adjusted), (255, 200, 500));
        assert_eq!(state.holds.len(), 1);
        assert_eq!(state.hold(&order_id("held")).unwrap().units[0].total(), 200);
        assert_eq!(state.faults(), Vec::<String>::new());
        // The head follows from how the order was stored, which is what the formats differ in.
        let head = state.head;
        let MemberRecord::Account(expected) = MemberRecord::from_stored(ACCOUNT_2).unwrap() else {
            panic!("an account")
        };
        assert_eq!(*state, AccountState { head, ..AccountState::clone(&expected) });
        assert_eq!(MemberRecord::Account(state).to_stored().len(), ACCOUNT_2.len(), "and written as format 2 has it");
    }
}

#[test]
fn an_alias_is_read() {
    let alias = MemberRecord::Alias(account("mia"));
    assert_eq!(alias.to_stored(), [1, 1, 3, b'm', b'i', b'a']);
    assert_eq!(MemberRecord::from_stored(&alias.to_stored()), Ok(alias));
}

#[test]
fn answers_of_both_formats_are_read() {
    let (_, expected) = scenario();
    for stored in [ANSWER_1, ANSWER_2] {
        let answer = Answer::from_receipt(stored).unwrap();
        assert_eq!(answer.to_receipt(), ANSWER_2, "and written as format 2 has it");
        assert_eq!(answer, expected);
    }
    assert_eq!(Answer::from_receipt(&encode(&Answer::Fenced)), Ok(Answer::Fenced));
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

/// A way to make something odd of a value.
type Odd<T> = fn(&mut T);

#[test]
fn orders_that_nothing_follows_from_are_read_as_they_were_written() {
    let odd: [Odd<OrderRecord>; 12] = [
        |o| o.grants[0].shares.push(5),
        |o| o.grants[0].shares.clear(),
        |o| o.grants[0].shares.fill(0),
        |o| o.grants.push(o.grants[0].clone()),
        |o| o.grants[0].grant = GrantId::of(&["o", "base", "more"]),
        |o| o.grants[0].grant = GrantId::of(&["base"]),
        |o| o.grants[0].dates.activates_at = Instant(i64::MIN),
        |o| (o.grants[0].amount, o.grants[0].reversed) = (i64::MAX, i64::MIN),
        |o| (o.lines[0].amount_minor, o.lines[0].reduced_minor) = (i64::MIN, i64::MAX),
        |o| o.lines.clear(),
        |o| o.order_id = order_id("o:base"),
        |o| o.decided.effects.clear(),
    ];
    let odd_granted: [Odd<Granted>; 7] = [
        |g| g.desired = i64::MIN,
        |g| g.granted = i64::MAX,
        |g| g.repaid = i64::MIN,
        |g| g.shares.push(g.shares[0].clone()),
        |g| g.shares.clear(),
        |g| g.expires_at = Instant(i64::MIN),
        |g| g.awaits = Some((label("shipped"), Instant::MAX)),
    ];
    let again = |record: OrderRecord| assert_eq!(OrderRecord::from_stored(&record.to_stored()), Ok(record));
    for change in odd {
        let mut record = OrderRecord::from_stored(ORDER_2).unwrap();
        change(&mut record);
        again(record);
    }
    for change in odd_granted {
        let mut record = OrderRecord::from_stored(ORDER_2).unwrap();
        change(granted_in(&mut record.decided));
        again(record);

        let (_, mut answer) = scenario();
        let Answer::Commit(commit) = &mut answer else { panic!("a Commit") };
        change(granted_in(&mut commit.decided));
        let (mut second, effects) = (granted_in(&mut commit.decided).clone(), &mut commit.decided.effects);
        (second.grant, second.unit) = (GrantId::of(&["of", "another"]), UnitId::parse("gems").unwrap());
        second.shares.insert(0, Share { line_id: LineId::parse("z").unwrap(), amount: i64::MIN });
        effects.push(Effect::Granted(second));
        assert_eq!(Answer::from_receipt(&answer.to_receipt()), Ok(answer));
    }
}

fn granted_in(decided: &mut Decided) -> &mut Granted {
    let mut effects = decided.effects.iter_mut();
    effects
        .find_map(|effect| if let Effect::Granted(granted) = effect { Some(granted) } else { None })
        .expect("something is granted")
}

#[test]
fn a_few_bytes_do_not_become_many() {
    // Each share of a grant takes eight bytes in memory for each line, whatever a line takes as stored.
    let record = OrderRecord::from_stored(ORDER_2).unwrap();
    let mut many = OrderRecord { lines: vec![record.lines[0].clone(); Order::LINES_MAX], ..record.clone() };
    assert!(OrderRecord::from_stored(&many.to_stored()).is_ok());
    many.lines.push(record.lines[0].clone());
    assert_eq!(OrderRecord::from_stored(&many.to_stored()), Err(DecodeError::Damaged));
}

#[test]
fn the_scenario_still_writes_what_the_fixtures_hold() {
    let (world, answer) = scenario();
    let mia = &world.accounts[&account("mia")];
    if std::env::var_os("UPDATE").is_some() {
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR")), bytes).unwrap();
        };
        write("account-2.bin", &stored_account(mia));
        write("answer-2.bin", &answer.to_receipt());
        write("order-2.bin", &world.order("o").to_stored());
        let entries = &world.ledgers[&account("mia")];
        for (name, entry) in ["enrolled", "credited", "held"].iter().zip(entries) {
            write(&format!("entry-1-{name}.bin"), &encode(entry));
        }
        return;
    }
    assert_eq!(stored_account(mia), ACCOUNT_2);
    assert_eq!(answer.to_receipt(), ANSWER_2);
    assert_eq!(world.order("o").to_stored(), ORDER_2);
}

#[test]
fn what_is_newer_or_damaged_is_refused() {
    type Read = fn(&[u8]) -> Result<(), DecodeError>;
    let entry: Read = |bytes| decode::<Entry>(bytes).map(drop);
    let member: Read = |bytes| MemberRecord::from_stored(bytes).map(drop);
    let order: Read = |bytes| OrderRecord::from_stored(bytes).map(drop);
    let answer: Read = |bytes| Answer::from_receipt(bytes).map(drop);
    for (read, stored, known) in [
        (entry, ENTRIES[0], 1),
        (member, ACCOUNT_1, 2),
        (member, ACCOUNT_2, 2),
        (order, ORDER_1, 2),
        (order, ORDER_2, 2),
        (answer, ANSWER_1, 2),
        (answer, ANSWER_2, 2),
    ] {
        let newer = known + 1;
        assert_eq!(read(stored), Ok(()));
        assert_eq!(read(&[&[newer], &stored[1..]].concat()), Err(DecodeError::TooNew { found: newer, known }));
        assert_eq!(read(&[&[0], &stored[1..]].concat()), Err(DecodeError::Damaged));
        assert_eq!(read(&[stored, &[0]].concat()), Err(DecodeError::Damaged));
        for len in 0..stored.len() {
            assert_eq!(read(&stored[..len]), Err(DecodeError::Damaged), "{len} bytes of it");
        }
    }
}
