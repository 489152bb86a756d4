//! Files of orders, as CSV.
#![no_main]

use std::sync::LazyLock;

#[path = "../../tests/fuzz_kit/tried.rs"]
#[allow(dead_code, reason = "shared by all targets, each of which tries one kind")]
mod tried;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    tried::orders_file(&FOLDER.path().join("orders.csv"), input);
});
