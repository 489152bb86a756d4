//! The functional core: what a purchase earns, what it may redeem, what a return reverses, who brought whom.
//!
//! Pure: no async, no I/O, no clock, no randomness, no protobuf, no floats.

pub mod account;
pub mod answer;
pub mod awards;
pub mod boards;
pub mod command;
mod compact;
pub mod conditions;
pub mod counters;
pub mod decide;
pub mod desk;
pub mod draw;
pub mod earn;
pub mod event_record;
pub mod goals;
pub mod id;
pub mod ledger;
pub mod money;
pub mod occasions;
pub mod order;
pub mod order_record;
pub mod payouts;
pub mod predicate;
pub mod program;
pub mod progress;
pub mod quota;
pub mod quote;
pub mod reapply;
pub mod recurrence;
pub mod redeem;
pub mod referral;
pub mod sent_order;
pub mod sight;
pub mod stats;
pub mod stock;
pub mod tiers;
pub mod time;
pub mod value;
