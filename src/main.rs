//! The binary: hands the command line and the environment over, as values.

use std::process::ExitCode;

use guerdon::cli;
use guerdon::config::Environment;

fn main() -> ExitCode {
    cli::run(std::env::args_os(), &Environment::of_process())
}
