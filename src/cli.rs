//! The commands of the binary.

pub mod audit;
pub mod cases;
pub mod check;
pub mod client;
pub mod demo;
pub mod draw;
pub mod explain;
pub mod figures;
pub mod health;
pub mod key;
pub mod load;
pub mod local;
pub mod payouts;
pub mod reach;
pub mod referrals;
pub mod replay;
pub mod schema;

use std::ffi::OsString;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread::{self, available_parallelism};

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::app::{self, EXIT_SETTINGS, EXIT_UNAVAILABLE};
use crate::config::{Environment, Flags, Settings};

/// Loyalty and referral decisions inside a checkout call: exactly once, to the unit, with the reason.
#[derive(Debug, Parser)]
#[command(name = "guerdon", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve gRPC. Settings come from flags, variables and a file, in this order of precedence.
    Serve(Box<Flags>),
    Check(check::CheckArgs),
    Schema(schema::SchemaArgs),
    /// Ask a server whether it serves.
    Health(health::HealthArgs),
    Test(cases::CasesArgs),
    Replay(Box<replay::ReplayArgs>),
    ReplayReferrals(Box<referrals::ReferralsArgs>),
    Demo(demo::DemoArgs),
    Explain(explain::ExplainArgs),
    Draw(draw::DrawArgs),
    Key(key::KeyArgs),
    Load(load::LoadArgs),
    Payouts(payouts::PayoutsArgs),
    Audit(audit::AuditArgs),
    VerifyFigures(figures::FiguresArgs),
}

/// Runs the command that `args` name, the first being the program's own name, and gives the exit code. Usage that
/// cannot be understood ends with 64, like settings that are wrong.
pub fn run(args: impl IntoIterator<Item = OsString>, environment: &Environment) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for and go to standard output; nothing is left to do if that is closed.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(EXIT_SETTINGS) } else { ExitCode::SUCCESS };
        }
    };
    let mut out = io::stdout();
    match cli.command {
        Command::Serve(flags) => match Settings::gather(&flags, environment) {
            Ok(settings) => block_on(for_calls(settings.worker_threads), app::run(settings)),
            Err(faults) => {
                let _ = writeln!(io::stderr(), "{faults}");
                ExitCode::from(EXIT_SETTINGS)
            }
        },
        Command::Check(args) => exit(check::check_command(&args, &mut out)),
        Command::Schema(args) => match schema::schema_command(&args, &mut out) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => exit(check::EXIT_NO_OUTPUT),
        },
        Command::Test(args) => in_runtime(async { exit(cases::cases_command(&args, &mut out).await) }),
        Command::Replay(mut args) => {
            args.reach = args.reach.with_key_of(environment);
            in_runtime(async { exit(replay::run(*args).await) })
        }
        Command::ReplayReferrals(mut args) => {
            args.reach = args.reach.with_key_of(environment);
            in_runtime(async { exit(referrals::run(*args, &mut out).await) })
        }
        Command::Demo(args) => in_runtime(async { exit(demo::run(args).await) }),
        Command::Load(mut args) => {
            args.reach = args.reach.with_key_of(environment);
            block_on(for_load(args.threads), async { exit(load::load_command(&args, &mut out).await) })
        }
        Command::Payouts(mut args) => {
            args.server = args.server.with_key_of(environment);
            in_runtime(async { exit(payouts::payouts_command(&args, &mut out).await) })
        }
        Command::Audit(mut args) => {
            args.server = args.server.with_key_of(environment);
            in_runtime(async { exit(audit::audit_command(&args, &mut out).await) })
        }
        Command::VerifyFigures(mut args) => {
            args.server = args.server.with_key_of(environment);
            in_runtime(async { exit(figures::figures_command(&args, &mut out).await) })
        }
        Command::Draw(args) => exit(draw::draw_command(&args, &mut io::stdin(), &mut out, &mut io::stderr())),
        Command::Explain(mut args) => {
            args.reach = args.reach.with_key_of(environment);
            in_runtime(async { exit(explain::explain_command(&args, &mut out).await) })
        }
        Command::Key(args) => exit(key::key_command(&args, &mut out, &mut io::stderr())),
        Command::Health(args) => in_runtime(async { ExitCode::from(health::health_command(&args, &mut out).await) }),
    }
}

fn exit(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// What the tasks of a server run in. `None`: with one thread for each core.
///
/// # Errors
/// Threads cannot be started.
pub fn for_calls(worker_threads: Option<NonZeroUsize>) -> io::Result<Runtime> {
    runtime(worker_threads.map_or_else(cores, usize::from))
}

/// What the tasks of a load run in. `None`: with one thread for each core but one, and one at the least, for what it calls may be on
/// the same machine; one thread sends more than a server of two cores answers.
///
/// # Errors
/// Threads cannot be started.
pub fn for_load(threads: Option<NonZeroUsize>) -> io::Result<Runtime> {
    runtime(threads.map_or_else(|| cores().saturating_sub(1).max(1), usize::from))
}

fn cores() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}

fn runtime(worker_threads: usize) -> io::Result<Runtime> {
    try_to_start(worker_threads)?;
    Builder::new_multi_thread().worker_threads(worker_threads).enable_all().build()
}

/// Whether so many threads can be started at once: where one cannot, the runtime panics, and then waits for ever for the others.
fn try_to_start(threads: usize) -> io::Result<()> {
    let gate = Mutex::new(());
    let closed = gate.lock();
    thread::scope(|scope| {
        let through = || drop(gate.lock());
        let failed = (0..threads).find_map(|_| thread::Builder::new().spawn_scoped(scope, through).err());
        drop(closed);
        failed.map_or(Ok(()), Err)
    })
}

fn in_runtime(work: impl Future<Output = ExitCode>) -> ExitCode {
    block_on(runtime(cores()), work)
}

fn block_on(runtime: io::Result<Runtime>, work: impl Future<Output = ExitCode>) -> ExitCode {
    match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            let _ = writeln!(
                io::stderr(),
                "guerdon: threads cannot be started: {error}; allow this user more, or ask for fewer (--worker-threads, --threads)"
            );
            ExitCode::from(EXIT_UNAVAILABLE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_the_threads_asked_for_or_all_cores_and_a_client_leaves_it_one() {
        let workers = |runtime: io::Result<Runtime>| runtime.expect("threads").metrics().num_workers();
        assert_eq!(workers(for_calls(NonZeroUsize::new(3))), 3);
        assert_eq!(workers(for_calls(None)), cores());
        assert_eq!(workers(for_load(NonZeroUsize::new(3))), 3);
        assert_eq!(workers(for_load(None)), if cores() == 1 { 1 } else { cores() - 1 });
    }
}
