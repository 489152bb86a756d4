//! Measures Guerdon next to the services that it is judged against, all in one run on one machine: `yardsticks/run`.
//!
//! Each turn starts every subject anew, with a Redis of its own where it has one, and sends it calls from the same client. Turns
//! follow one another, so that a machine that becomes slower or faster does so for all.

mod load;
mod process;
mod report;
mod subject;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use load::Load;
use report::Report;
use subject::{Programs, Running, SUBJECTS, Subject};

// The program and its hundred rules are those of the rig: figures of both are of the same work.
#[path = "../../benches/rig/program.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the rig uses all of it")]
mod program;

const IN_FLIGHT: [usize; 3] = [1, 8, 64];
/// After the start, with the most calls in flight: what is compiled while it runs has been compiled.
const WARM_UP: Duration = Duration::from_secs(2);
/// Before each figure.
const SETTLE: Duration = Duration::from_millis(500);

#[derive(Parser)]
struct Args {
    /// The release binary of Guerdon.
    #[arg(long)]
    guerdon: PathBuf,
    /// limitador's own server, as it is shipped; without it, its library behind a thin server alone.
    #[arg(long)]
    limitador_server: Option<PathBuf>,
    /// How long each figure of each turn is measured, seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How often every subject is measured.
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// Whom the calls are for, all alike often. limitador caches the counters of 10,000 at most.
    #[arg(long, default_value_t = 5_000)]
    members: u64,
    /// Only subjects whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// limitador counts everybody by one counter instead of each member by their own.
    #[arg(long)]
    one_counter: bool,
    /// Where the report goes.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/report.md"))]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // Whatever ends the run, it is dropped, and all that it started with it.
    tokio::select! {
        done = run(&args) => done,
        _ = interrupt.recv() => Err("interrupted".into()),
        _ = terminate.recv() => Err("terminated".into()),
    }
}

async fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let programs = Programs {
        guerdon: args.guerdon.clone(),
        limitador: std::env::current_exe()?.with_file_name("limitador"),
        limitador_server: args.limitador_server.clone(),
        node: Path::new(env!("CARGO_MANIFEST_DIR")).join("node/server.js"),
        rules: program::write(folder.path()),
        one_counter: args.one_counter,
    };
    let chosen = SUBJECTS.iter().filter(|subject| subject.name.contains(&args.only) && subject.is_there(&programs));
    let mut chosen: Vec<&Subject> = chosen.collect();
    let mut report = Report::begin(&programs, args.one_counter);
    for turn in 1..=args.turns {
        for subject in &chosen {
            measure(subject, &programs, args, &mut report)
                .await
                .map_err(|error| format!("{}: {error}", subject.name))?;
            eprintln!("turn {turn}: {}", report.last());
        }
        // Nobody always comes after the same other.
        chosen.reverse();
    }
    let text = report.text();
    std::fs::write(&args.out, &text)?;
    println!("{text}");
    eprintln!("written to {}", args.out.display());
    Ok(())
}

async fn measure(
    subject: &'static Subject,
    programs: &Programs,
    args: &Args,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let running = Running::start(subject, programs, folder.path()).await?;
    let load = Load::begin(subject.call, running.address(), args.members).await?;
    load.put(IN_FLIGHT[IN_FLIGHT.len() - 1], WARM_UP).await?;
    for in_flight in IN_FLIGHT {
        load.put(in_flight, SETTLE).await?;
        let before = running.cpu();
        let answered = load.put(in_flight, Duration::from_secs(args.seconds)).await?;
        let after = running.cpu();
        let spent = [0, 1].map(|at| after[at].saturating_sub(before[at]));
        report.add(subject.name, in_flight, answered, spent);
    }
    Ok(())
}
