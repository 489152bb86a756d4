//! Expressions of a condition.
#![no_main]

#[path = "../../tests/fuzz_kit/tried.rs"]
#[allow(dead_code, reason = "shared by all targets, each of which tries one kind")]
mod tried;

const PROGRAM: &str = include_str!("../../examples/programs/marlow-bakery.yaml");

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    tried::expression(PROGRAM, input);
});
