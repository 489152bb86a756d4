//! `guerdon replay-referrals`: feeds a record of who vouched for whom through a server, as referrals, and proves what
//! came of it.
//!
//! The record is sent twice: once in order, and once in any order within short windows, with calls sent twice and the
//! server restarted in the middle. Both must end with the same tree and the same rewards, which is what the record itself
//! says: the first who vouched for somebody brought them, unless that would close a circle.

pub mod drive;
pub mod summary;
pub mod vouchings;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::time::Instant;

use super::client::{Client, Patience};
use super::figures;
use super::local::{Local, LocalStore};
use super::reach::Reach;
use super::replay::{
    EXIT_BAD_INPUT, EXIT_FAILED, EXIT_FINE, EXIT_INTERRUPTED, EXIT_USAGE, Stop, duration, read_program,
};
use crate::domain::id::CampaignId;
use crate::domain::program::Program;
use drive::{Driver, Options, Tally, windows};
use summary::{Figures, Record, Run, Summary, sum_up};
use vouchings::{Graph, Tree, grown};

/// Feeds a record of who vouched for whom through a server, as referrals, and proves what came of it.
///
/// Input is CSV with a header, or JSON Lines: instant, advocate, friend. Who is new joins and gets a code; whoever was
/// vouched for names the code of whoever vouched, and buys once. The first to vouch for somebody is their advocate, unless
/// that closes a circle. Without --target this happens twice, in order and out of order, and must come to the same.
#[derive(Clone, Debug, clap::Args)]
pub struct ReferralsArgs {
    /// Who vouched for whom: CSV (`.csv`) or JSON Lines.
    #[arg(long, value_name = "FILE", required_unless_present = "grow", conflicts_with = "grow")]
    pub vouchings: Option<PathBuf>,
    /// Instead of a file: a graph of so many people, who bring as many others as people in Debian's keyring do.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    pub grow: Option<u32>,
    /// With --grow: later vouchings for each person, which must change nothing.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub later: u32,
    /// Grows the graph and shuffles the calls; the same seed, the same run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The program file; with --target, what the server must be running.
    #[arg(long, value_name = "FILE")]
    pub program: PathBuf,
    /// The campaign, when the program has several.
    #[arg(long, value_name = "ID")]
    pub campaign: Option<String>,
    /// Address of a running server (host:port), started with `--clock follow`. Without it a server runs inside this
    /// process.
    #[arg(long, value_name = "ADDR", conflicts_with = "store")]
    pub target: Option<String>,
    #[command(flatten)]
    pub reach: Reach,
    /// With --target: send in any order within a window, and calls twice.
    #[arg(long, requires = "target")]
    pub rough: bool,
    /// What friends buy, in minor units of the program's first currency.
    #[arg(long, value_name = "MINOR", default_value_t = 2_000, value_parser = clap::value_parser!(i64).range(1..=1_000_000_000))]
    pub amount_minor: i64,
    /// Within so much time the order of calls must not matter; at most how far back the program lets them be dated.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub window: Duration,
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
    pub store: ReplayStore,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Where a server inside this process keeps its data, always in a place of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum ReplayStore {
    /// A SQLite file; the server is restarted on it.
    Embedded,
    /// This process; the server is not restarted, for nothing would be left.
    Memory,
}

/// Runs the command and gives its exit code: 0 fine; 1 the runs disagree, a ledger does not verify or the server could not
/// be used; 2 bad input; 64 bad usage; 130 interrupted.
pub async fn run(args: ReferralsArgs, out: &mut (dyn std::io::Write + Send)) -> i32 {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await; // without signals there is nothing to wait for
        }
    };
    let complain = |message: &str| {
        // Where nobody reads it, the exit code still tells.
        let _ =
            std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("guerdon replay-referrals: {message}\n"));
    };
    tokio::select! {
        result = replay_referrals(&args) => match result {
            Ok(summary) => {
                let json = || serde_json::to_string_pretty(&summary).unwrap_or_default();
                let text = if args.json { json() } else { summary.to_string() };
                let _ = writeln!(out, "{text}");
                if summary.is_good() { EXIT_FINE } else { EXIT_FAILED }
            }
            Err(Stop { code, message }) => {
                complain(&message);
                code
            }
        },
        () = interrupted => {
            complain("interrupted");
            EXIT_INTERRUPTED
        }
    }
}

/// Reads or grows the record, sends it, and sums up.
///
/// # Errors
/// What stands in the way, with the exit code.
pub async fn replay_referrals(args: &ReferralsArgs) -> Result<Summary, Stop> {
    let (text, program) = read_program(&args.program)?;
    let campaign = campaign(args, &program)?;
    let window_ms = i64::try_from(args.window.as_millis()).unwrap_or(i64::MAX).max(1);
    if program.back_dating_ms_max < window_ms {
        return Err(usage("--window is longer than the program lets calls be dated back (`back_dating_max`)"));
    }
    let graph = match (&args.vouchings, args.grow) {
        (Some(path), _) => Graph::read(path)
            .map_err(|error| Stop { code: EXIT_BAD_INPUT, message: format!("{}: {error}", path.display()) })?,
        (None, Some(people)) => grown(people, args.later, args.seed),
        (None, None) => return Err(usage("--vouchings or --grow is needed")),
    };
    let tree = Tree::of(&graph);
    let record = Record::of(&graph, &tree);
    let Some(currency) = program.currencies.first() else { return Err(usage("the program has no currency")) };
    let options = Options {
        program_id: program.id.to_string(),
        program_version: program.version.to_string(),
        campaign,
        currency: currency.as_str().to_owned(),
        amount_minor: args.amount_minor,
        window_ms,
        concurrency: usize::from(args.concurrency),
        rough: None,
        figures: program.referral_figures,
    };
    let (graph, seed) = (Arc::new(graph), Some(args.seed));
    let mut runs = Vec::new();
    match &args.target {
        Some(target) => {
            let options = Options { rough: seed.filter(|_| args.rough), ..options };
            let ground = Ground { args, text: &text, target: Some(target), data: None };
            runs.push(one_run(ground, &graph, &tree, options).await?);
        }
        None => {
            for rough in [None, seed] {
                let dir = tempfile::tempdir().map_err(|error| failed(format!("no temporary directory: {error}")))?;
                let data = dir.path().join("guerdon.db");
                let data = (args.store == ReplayStore::Embedded).then_some(data.as_path());
                let ground = Ground { args, text: &text, target: None, data };
                runs.push(one_run(ground, &graph, &tree, Options { rough, ..options.clone() }).await?);
            }
        }
    }
    Ok(Summary { record, runs })
}

fn usage(message: &str) -> Stop {
    Stop { code: EXIT_USAGE, message: message.to_owned() }
}

fn failed(message: String) -> Stop {
    Stop { code: EXIT_FAILED, message }
}

fn campaign(args: &ReferralsArgs, program: &Program) -> Result<CampaignId, Stop> {
    match (&args.campaign, program.campaigns.as_slice()) {
        (Some(named), all) => all
            .iter()
            .find(|campaign| campaign.id.as_str() == named)
            .map(|campaign| campaign.id.clone())
            .ok_or_else(|| usage("the program has no campaign of the name --campaign")),
        (None, [only]) => Ok(only.id.clone()),
        (None, _) => Err(usage("the program has not exactly one campaign: name one with --campaign")),
    }
}

/// Where a run takes place.
#[derive(Clone, Copy)]
struct Ground<'a> {
    args: &'a ReferralsArgs,
    text: &'a str,
    target: Option<&'a str>,
    data: Option<&'a Path>,
}

impl Ground<'_> {
    async fn start(&self) -> Result<(Option<Local>, Client), Stop> {
        let patience = Patience { deadline: self.args.deadline, retry_for: self.args.retry_for };
        let (local, target) = match self.target {
            Some(target) => (None, target.to_owned()),
            None => {
                let store = if self.data.is_some() { LocalStore::Embedded } else { LocalStore::Memory };
                let local = Local::start(self.text, store, self.data, None).await;
                let local = local.map_err(|error| failed(format!("the server inside this process: {error}")))?;
                let target = local.target();
                (Some(local), target)
            }
        };
        let client = Client::connect_as(&target, &self.args.reach, patience).await;
        Ok((local, client.map_err(|error| failed(error.to_string()))?))
    }
}

async fn one_run(ground: Ground<'_>, graph: &Arc<Graph>, tree: &Tree, options: Options) -> Result<Run, Stop> {
    let began = Instant::now();
    let (mut local, client) = ground.start().await?;
    let restarts_at = if options.rough.is_some() && ground.data.is_some() { 2 } else { 0 };
    let windows = windows(graph, options.window_ms);
    let Some(last) = windows.last().map(|window| window.until) else { return Err(usage("there are no vouchings")) };
    let mut driver = Arc::new(Driver {
        client,
        graph: Arc::clone(graph),
        codes: Arc::new(Mutex::new(vec![String::new(); graph.members.len()])),
        options,
        tally: Arc::<Tally>::default(),
        bar: ProgressBar::hidden(),
    });
    driver.begin().await?;
    let (count, mut restarts, mut repeated) = (windows.len(), 0u64, 0u64);
    for (nth, window) in windows.into_iter().enumerate() {
        // After each third of the record.
        let due = nth.saturating_mul(3).checked_div(count.max(1)).unwrap_or(0) as u64;
        if restarts < due.min(restarts_at) {
            if let Some(running) = local.take() {
                running.stop().await;
            }
            let client;
            (local, client) = ground.start().await?;
            repeated += super::replay::summary::latencies(driver.client.meter()).1;
            driver = Arc::new(driver.over(client));
            restarts += 1;
        }
        driver.send(window).await?;
    }
    driver.finish(last).await?;
    let standings = driver.read().await?;
    let figures = match driver.options.figures {
        true => {
            Some(figures::verify(&driver.client, &driver.options.program_id).await.map_err(|e| failed(e.to_string()))?)
        }
        false => None,
    };
    let figures = figures.map(|of| Figures { compared: of.figures, differing: of.differing, moving: of.moving });
    if let Some(local) = local {
        local.stop().await;
    }
    let (latency, more) = super::replay::summary::latencies(driver.client.meter());
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    Ok(Run {
        calls: read(&driver.tally.sent),
        replayed: read(&driver.tally.replayed),
        differed: read(&driver.tally.differed),
        repeated: repeated + more,
        restarts,
        figures,
        latency,
        elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        ..sum_up(graph, tree, last, &standings)
    })
}
