//! What is tried with an input of each kind; each answers whether it was understood. Whatever the input is, nothing here may
//! panic. Tried on stable by `tests/fuzz.rs`, and with feedback of what is covered by the targets in `fuzzing`.

use std::fs;
use std::path::Path;

use guerdon::cli::replay::orders;
use guerdon::domain::account::{AccountState, Inbound, MemberRecord};
use guerdon::domain::answer::Answer;
use guerdon::domain::event_record::DeedRecord;
use guerdon::domain::id::AccountId;
use guerdon::domain::ledger::{Entry, Stored, decode, encode};
use guerdon::domain::order_record::OrderRecord;
use guerdon::domain::referral::CodeOwner;
use guerdon::domain::referral::touch::VisitorState;
use guerdon::program;

/// A program that is checked stands: its hash is there; one that is not names at least one fault.
pub(crate) fn program_file(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    match program::check(&text) {
        Ok(checked) => {
            assert_eq!(checked.program.version, program::version_of(&text));
            true
        }
        Err(faults) => {
            assert!(!faults.list.is_empty(), "what is refused has a reason");
            false
        }
    }
}

/// An expression, as the condition of the first rule on orders of a program.
pub(crate) fn expression(program: &str, input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input).replace(['\r', '\n'], " ").replace('\'', "''");
    let file = program.replacen("    on: order\n", &format!("    on: order\n    when: {{expression: '{text}'}}\n"), 1);
    assert_ne!(file, program, "there is such a rule");
    program::check(&file).is_ok()
}

/// A file of orders, which is written to a path first.
pub(crate) fn orders_file(path: &Path, input: &[u8]) -> bool {
    fs::write(path, input).expect("a file that can be written");
    orders::read(path).is_ok_and(|history| !history.orders.is_empty())
}

/// What can be read of any record can be written again.
fn read_again<T: serde::de::DeserializeOwned + serde::Serialize>(input: &[u8]) -> bool {
    decode::<T>(input).is_ok_and(|value| decode::<T>(&encode(&value)).is_ok())
}

/// A stored record of any kind.
pub(crate) fn record(input: &[u8]) -> bool {
    // A ledger that was damaged is told, not believed.
    if let (Ok(entry), Ok(mia)) = (decode::<Entry>(input), AccountId::parse("mia")) {
        let _told = AccountState::new(mia).apply(&entry);
    }
    if let Ok(MemberRecord::Account(state)) = MemberRecord::from_stored(input) {
        let (_told, _shown) = (state.faults(), state.balances());
    }
    let read = [
        read_again::<Entry>(input),
        MemberRecord::from_stored(input).is_ok_and(|record| {
            assert_eq!(MemberRecord::from_stored(&record.to_stored()).as_ref(), Ok(&record));
            true
        }),
        OrderRecord::from_stored(input).is_ok_and(|record| {
            assert_eq!(OrderRecord::from_stored(&record.to_stored()).as_ref(), Ok(&record));
            true
        }),
        Answer::from_receipt(input).is_ok_and(|answer| {
            assert_eq!(Answer::from_receipt(&answer.to_receipt()).as_ref(), Ok(&answer));
            true
        }),
        read_again::<Inbound>(input),
        read_again::<DeedRecord>(input),
        read_again::<CodeOwner>(input),
        read_again::<VisitorState>(input),
    ];
    read.contains(&true)
}
