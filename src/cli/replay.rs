//! `guerdon replay`: feeds an order history through a server and proves what came of it.
//!
//! The history is sent over gRPC as a checkout would have sent it: members side by side, each member's orders one
//! after another, every day closed before the next begins. All request ids are made from the order ids, so a replay
//! that was cut off is simply begun again from the start: nothing happens twice.

pub mod drive;
pub mod orders;
pub mod plan;
pub mod pool;
pub mod summary;

mod from_csv;
mod from_parquet;

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::client::{Client, Patience};
use super::local::{Local, LocalStore};
use super::reach::Reach;
use crate::program;
use drive::{DriveError, Driver, Options, Tally};
use orders::History;
use summary::{Calls, Input, Summary};

/// Every order is committed and every ledger verified.
pub const EXIT_FINE: i32 = 0;
/// A ledger did not verify, an order was refused, or the server could not be used.
pub const EXIT_FAILED: i32 = 1;
/// The orders or the program cannot be used.
pub const EXIT_BAD_INPUT: i32 = 2;
/// Options that do not go together (`EX_USAGE`).
pub const EXIT_USAGE: i32 = 64;
/// Interrupted from the keyboard.
pub const EXIT_INTERRUPTED: i32 = 130;

/// Feeds an order history through a server and proves what came of it.
///
/// Input is Parquet or CSV, one row a line: order_id, member_id, occurred_at, currency_code, line_id, quantity,
/// amount_minor, and optionally channel, store_id, sku, category, brand, list_amount_minor. An order is as old as its
/// earliest row. A replay that was cut off is begun again from the start: nothing happens twice.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplayArgs {
    /// The order history: Parquet (uncompressed or Snappy) or CSV with a header.
    #[arg(long, value_name = "FILE")]
    pub orders: PathBuf,
    /// The program file. With --target: what the server must be running; without it any program will do.
    #[arg(long, value_name = "FILE", required_unless_present = "target")]
    pub program: Option<PathBuf>,
    /// Address of a running server (host:port), started with `--clock follow`. Without it a server runs inside this
    /// process.
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["store", "data", "redis_url"])]
    pub target: Option<String>,
    #[command(flatten)]
    pub reach: Reach,
    /// Before each order, pay with as many units as possible.
    #[arg(long)]
    pub redeem: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
    /// Leave bad rows out instead of refusing the file.
    #[arg(long)]
    pub skip_bad_rows: bool,
    /// Members served at a time.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// How long a call that fails for the moment is sent again, so that a server may be restarted meanwhile.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub retry_for: Duration,
    /// How long one attempt of a call may take.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub deadline: Duration,
    /// Where the server inside this process keeps its data.
    #[arg(long, value_name = "STORE", default_value = "embedded")]
    pub store: LocalStore,
    /// The file of the embedded store; kept afterwards, and continued if it exists. Without it: a temporary one.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Address of Redis, for `--store redis`.
    #[arg(long, value_name = "URL")]
    pub redis_url: Option<String>,
}

/// `60s`, `500ms`, `1m 30s`: more than nothing and at most a day.
pub(super) fn duration(raw: &str) -> Result<Duration, String> {
    let parsed = raw.parse::<jiff::SignedDuration>().map_err(|_| "write it as 60s, 500ms or 2m".to_owned())?;
    let parsed = Duration::try_from(parsed).map_err(|_| "must not be negative".to_owned())?;
    if parsed.is_zero() || Duration::from_secs(86_400) < parsed {
        return Err("must be more than nothing and at most a day".to_owned());
    }
    Ok(parsed)
}

/// Runs the command and gives its exit code: 0 fine; 1 a ledger does not verify, an order was refused or the server
/// could not be used; 2 bad input; 64 bad usage; 130 interrupted.
pub async fn run(args: ReplayArgs) -> i32 {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await; // without signals there is nothing to wait for
        }
    };
    tokio::select! {
        result = replay(&args) => match result {
            Ok(summary) => print(&summary, args.json),
            Err(Stop { code, message }) => {
                complain(&message);
                code
            }
        },
        () = interrupted => {
            complain(&"interrupted; begin again with the same command, nothing will happen twice");
            EXIT_INTERRUPTED
        }
    }
}

/// Why there is no summary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stop {
    /// The exit code.
    pub code: i32,
    pub message: String,
}

fn bad_input(path: &Path, error: &impl Display) -> Stop {
    Stop { code: EXIT_BAD_INPUT, message: format!("{}: {error}", path.display()) }
}

impl From<DriveError> for Stop {
    fn from(error: DriveError) -> Stop {
        let code = match error {
            DriveError::Call(_) | DriveError::ClockNotFollowing => EXIT_FAILED,
            DriveError::OtherProgram { .. } => EXIT_BAD_INPUT,
        };
        Stop { code, message: error.to_string() }
    }
}

/// Reads the history, sends it, and sums up. Prints nothing but what is wrong with the input, to standard error.
///
/// # Errors
/// What stands in the way, with the exit code.
pub async fn replay(args: &ReplayArgs) -> Result<Summary, Stop> {
    check_usage(args)?;
    let program = args.program.as_deref().map(read_program).transpose()?;
    let history = read_orders(args)?;
    let input = Input { rows: history.rows, rows_skipped: history.bad.count };
    let failed = |message: String| Stop { code: EXIT_FAILED, message };

    let (local, target) = match (&args.target, &program) {
        (Some(target), _) => (None, target.clone()),
        (None, Some((text, _))) => {
            let local = Local::start(text, args.store, args.data.as_deref(), args.redis_url.as_deref()).await;
            let local = local.map_err(|error| failed(format!("the server inside this process: {error}")))?;
            let target = local.target();
            (Some(local), target)
        }
        (None, None) => return Err(usage("--program or --target is needed")),
    };
    let patience = Patience { deadline: args.deadline, retry_for: args.retry_for };
    let client = Client::connect_as(&target, &args.reach, patience).await.map_err(|error| failed(error.to_string()))?;
    let options = Options {
        program_id: program.as_ref().map_or(String::new(), |(_, program)| program.id.to_string()),
        program_version: program.as_ref().map(|(_, program)| program.version.to_string()),
        redeem: args.redeem,
        concurrency: usize::from(args.concurrency),
    };
    let began = Instant::now();
    let bar = progress(history.orders.len() as u64);
    let days = plan::days(&history);
    let Some(as_of) = days.last().map(|day| day.through) else {
        return Err(bad_input(&args.orders, &"holds no orders"));
    };
    let driver = Arc::new(Driver { client, history, options, tally: Tally::default(), bar });
    let sent = driver.send(days).await;
    let settled = match sent {
        Ok(()) => driver.settle(as_of).await,
        Err(error) => Err(error),
    };
    driver.bar.finish_and_clear();
    if let Some(local) = local {
        local.stop().await;
    }
    let (totals, verification) = settled?;
    let (latency, repeated) = summary::latencies(driver.client.meter());
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let tally = &driver.tally;
    let calls = Calls {
        committed: read(&tally.committed),
        committed_before: read(&tally.committed_before),
        refused: read(&tally.refused),
        refused_first: tally.refused_first(),
        reservations: read(&tally.reservations),
        replayed: read(&tally.replayed),
        repeated,
    };
    let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Summary { totals, verification, calls, input, latency, elapsed_ms })
}

fn usage(message: &str) -> Stop {
    Stop { code: EXIT_USAGE, message: message.to_owned() }
}

fn check_usage(args: &ReplayArgs) -> Result<(), Stop> {
    if args.data.is_some() && args.store != LocalStore::Embedded {
        return Err(usage("--data is the file of the embedded store; it does not go with another --store"));
    }
    match (args.store, &args.redis_url) {
        (LocalStore::Redis, None) => Err(usage("--store redis needs --redis-url, such as redis://127.0.0.1:6379")),
        (LocalStore::Embedded | LocalStore::Memory, Some(_)) => Err(usage("--redis-url goes with --store redis")),
        _ => Ok(()),
    }
}

/// The text of a program file, and what it compiles to.
pub(super) fn read_program(path: &Path) -> Result<(String, crate::domain::program::Program), Stop> {
    let text = std::fs::read_to_string(path).map_err(|error| bad_input(path, &error))?;
    let compiled = program::compile(&text).map_err(|faults| Stop {
        code: EXIT_BAD_INPUT,
        message: faults.of_file(&path.display().to_string()).to_string(),
    })?;
    Ok((text, compiled))
}

/// Reads the orders; bad rows are reported, and refused unless they may be skipped.
fn read_orders(args: &ReplayArgs) -> Result<History, Stop> {
    let history = orders::read(&args.orders).map_err(|error| bad_input(&args.orders, &error))?;
    let name = args.orders.display();
    if !history.ignored_columns.is_empty() {
        complain(&format!("{name}: columns left out: {}", history.ignored_columns.join(", ")));
    }
    let bad = &history.bad;
    for (at, reason) in &bad.first {
        complain(&format!("{name}: {at}: {reason}"));
    }
    let more = bad.count - bad.first.len() as u64;
    if 0 < more {
        complain(&format!("{name}: and {more} more bad rows"));
    }
    if 0 < bad.count && !args.skip_bad_rows {
        let message = format!("{} of {} rows are bad; --skip-bad-rows leaves them out", bad.count, history.rows);
        return Err(bad_input(&args.orders, &message));
    }
    if 0 < bad.count {
        complain(&format!("{name}: {} of {} rows left out", bad.count, history.rows));
    }
    Ok(history)
}

/// To the terminal alone: nothing is drawn when errors go to a file.
fn progress(orders: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{msg}  {wide_bar} {human_pos}/{human_len} orders, {per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(orders).with_style(style)
}

fn print(summary: &Summary, json: bool) -> i32 {
    let text = if json { serde_json::to_string_pretty(summary) } else { Ok(summary.to_string()) };
    let printed = text.map_err(std::io::Error::from).and_then(|text| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", text.trim_end())?;
        out.flush()
    });
    match printed {
        Err(error) => {
            complain(&format!("cannot print the summary: {error}"));
            EXIT_FAILED
        }
        Ok(()) if summary.is_good() => EXIT_FINE,
        Ok(()) => EXIT_FAILED,
    }
}

/// To standard error; if even that is closed, the exit code still tells.
fn complain(message: &impl Display) {
    let _ = writeln!(std::io::stderr(), "{message}");
}
