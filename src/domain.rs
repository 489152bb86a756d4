//! The functional core: what a purchase earns, what it may redeem, what a return reverses, who brought whom.
//!
//! Pure: no async, no I/O, no clock, no randomness, no protobuf, no floats.

pub mod answer;
pub mod command;
pub mod id;
pub mod money;
pub mod order;
pub mod program;
pub mod time;
