//! The binary: hands the command line and the environment over, as values.

use std::process::ExitCode;

use guerdon::cli;
use guerdon::config::Environment;

/// A call makes some hundreds of short-lived allocations on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(std::env::args_os(), &Environment::of_process())
}
