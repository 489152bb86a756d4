//! Program files.
#![no_main]

#[path = "../../tests/fuzz_kit/tried.rs"]
#[allow(dead_code, reason = "shared by all targets, each of which tries one kind")]
mod tried;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    tried::program_file(input);
});
