//! The program file: parse, check, compile to what decisions read.
//!
//! A text becomes a tree in which every value knows its line and column ([`tree`]); a reader takes the tree apart
//! by declared sections and collects every fault instead of stopping at the first ([`read`], [`form`]); what is
//! left is a [`Program`]. The JSON Schema and the field tables of the reference come from the same declarations.

use sha2::{Digest, Sha256};

use crate::domain::program::{Program, ProgramVersion};

pub use cel::{DEPTH_MAX as CONDITION_DEPTH_MAX, LEN_MAX as CONDITION_LEN_MAX};
pub use describe::{reference, schema};
pub use fault::{Fault, Faults};
pub use tree::DEPTH_MAX;

mod cel;
mod describe;
pub mod document;
mod fault;
mod form;
mod place;
mod read;
mod suspect;
mod tree;
mod value;

/// The longest text that is read, in bytes.
pub const TEXT_LEN_MAX: usize = 1024 * 1024;
pub const RULES_MAX: usize = 10_000;
pub const REWARDS_MAX: usize = 1_000;
pub const CAMPAIGNS_MAX: usize = 100;
pub const STORES_MAX: usize = 10_000;
/// Dates of one list.
pub const DATES_MAX: usize = 1_000;
pub const GROUPS_MAX: usize = 200;
/// Limits of one rule, group, campaign or unit.
pub const LIMITS_MAX: usize = 10;
pub const RATES_MAX: usize = 5_000;
/// Fewer than an account keeps, so that a new version's find room.
pub const STAMP_CARDS_MAX: usize = 20;
pub const DRAWS_MAX: usize = 100;
pub const BOARDS_MAX: usize = 20;
pub const ATTRIBUTES_MAX: usize = 64;
pub const UNITS_MAX: usize = 20;
pub const CURRENCIES_MAX: usize = 50;
pub const EVENTS_MAX: usize = 64;
/// Fewer than an account keeps, so that a new version's find room.
pub const COUNTERS_MAX: usize = 32;
pub const LADDERS_MAX: usize = 8;
pub const GOALS_MAX: usize = 50;
/// Windows of one rule.
pub const HOURS_MAX: usize = 50;
/// Entries of one list of categories, SKUs, brands, sellers, channels or stores.
pub const SELECTED_MAX: usize = 1_000;

/// A program that is free of faults.
#[derive(Clone, Debug)]
pub struct Checked {
    pub program: Program,
    /// What is allowed but surely not meant, such as a rule that never does anything.
    pub warnings: Faults,
}

/// Compiles a program file.
///
/// # Errors
/// Every fault of the text at once, by position. A text that is not YAML has one.
pub fn compile(text: &str) -> Result<Program, Faults> {
    check(text).map(|checked| checked.program)
}

/// Like [`compile`], and says what is suspicious.
///
/// # Errors
/// As [`compile`].
pub fn check(text: &str) -> Result<Checked, Faults> {
    if TEXT_LEN_MAX < text.len() {
        let message = format!("the text is {} bytes long, at most {TEXT_LEN_MAX} are allowed", text.len());
        return Err(Faults::whole(message, None));
    }
    let mut faults = fault::Collector::default();
    let Some(root) = tree::parse(text, &mut faults) else {
        return Err(faults.finish(text));
    };
    let mut reader = read::Reader::new(read::Names::of(&root), place::Source::of(text), faults);
    let compiled = <form::FileSection as read::Value>::read(&root, &mut reader);
    let Some(mut compiled) = compiled.filter(|_| reader.faults.is_empty()) else {
        return Err(reader.faults.finish(text));
    };
    compiled.program.version = version_of(text);
    suspect::warn(&compiled, &mut reader);
    Ok(Checked { program: compiled.program, warnings: reader.warnings.finish(text) })
}

/// The first 16 hex digits of the SHA-256 of the text.
pub fn version_of(text: &str) -> ProgramVersion {
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    ProgramVersion(hex.into())
}
