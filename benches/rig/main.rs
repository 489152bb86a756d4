//! What Guerdon does in a second and how long its answers take, next to what this machine allows.
//!
//! `cargo bench --bench rig` starts real processes on loopback: the server on each store; a bare gRPC echo that reads and
//! writes messages of the same sizes, alone and with one GET from Redis for each call; and Redis itself, driven through the
//! adapter by commits of the same shape; and several instances on one Redis or on a cluster. All share this machine and are measured in
//! one run, so that the ratios hold where the figures do not. The report and the plot go to `target/rig`, or to `--out DIR`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a rig fails by panicking, prints for people, plots with fractions, and ends with its processes"
)]

mod echo;
mod masters;
mod plot;
mod process;
mod program;
mod report;
mod scale;
mod support;
mod touches;
mod turns;
mod yardstick;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use guerdon::cli::load::measured::Measured;
use guerdon::cli::load::pace::Pace;
use guerdon::cli::load::shape::Workload;
use guerdon::cli::load::{Load, LoadArgs};
use process::Process;
use report::{Capacity, Curve, Report};
use support::redis::RedisServer;

// That of the server: the echo is to be no dearer for want of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Args {
    /// Where report and plot go.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/rig"))]
    out: PathBuf,
    /// How long each measurement takes, seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    #[arg(long, default_value_t = 10_000)]
    members: u64,
    /// Only subjects whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Of the subject `scale`: how often each row is measured.
    #[arg(long, default_value_t = 1)]
    turns: usize,
    /// Only shows that everything works: no figure means anything.
    #[arg(long)]
    test: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What else this program does, as a process of its own.
#[derive(clap::Subcommand)]
enum Role {
    #[command(hide = true)]
    Echo(echo::EchoArgs),
}

fn main() {
    let args = Args::parse();
    match args.role {
        Some(Role::Echo(echo)) => guerdon::cli::for_calls(None).unwrap().block_on(echo::serve(echo)),
        None => guerdon::cli::for_load(None).unwrap().block_on(rig(args)),
    }
}

/// In percent of the most that a subject does, how much it is offered for its curve of latencies.
const OFFERED_PERCENT: [u64; 6] = [10, 30, 50, 70, 80, 90];
const IN_FLIGHT: [u64; 3] = [1, 8, 64];
pub(crate) const WITH_BUDGET: &str = "redis, each order from one budget";
pub(crate) const WITHOUT_BUDGET: &str = "redis, without";
/// How often what is compared is measured, one after the other.
const TURNS: usize = 3;

/// Something that answers calls: processes, and whose processor time counts.
pub(crate) struct Subject {
    name: &'static str,
    server: Process,
    redis: Option<RedisServer>,
}

/// How long everything takes.
struct Extent {
    measured: Duration,
    warm_up: Duration,
    members: u64,
}

async fn rig(args: Args) {
    let extent = if args.test {
        Extent { measured: Duration::from_millis(200), warm_up: Duration::from_millis(50), members: 50 }
    } else {
        Extent { measured: Duration::from_secs(args.seconds), warm_up: Duration::from_secs(2), members: args.members }
    };
    let mut report = Report::default();
    let folder = tempfile::tempdir().unwrap();
    let program = program::write(folder.path());
    let answer = echo::answer_of(&program, folder.path()).await;
    let wanted = |name: &str| name.contains(&args.only);

    for with_get in [false, true] {
        let name = if with_get { "echo and GET" } else { "echo" };
        if !wanted(name) {
            continue;
        }
        let redis = with_get.then(RedisServer::start);
        let server = Process::echo(&answer, redis.as_ref());
        let subject = Subject { name, server, redis };
        commits_and_curve(&subject, &extent, &mut report, Workload::Uniform, !with_get).await;
    }
    for store in ["memory", "embedded", "redis"] {
        if !wanted(store) {
            continue;
        }
        let subject = guerdon(store, &program, folder.path());
        commits_and_curve(&subject, &extent, &mut report, Workload::Uniform, true).await;
        for workload in [Workload::Quote, Workload::Zipf, Workload::HotMember, Workload::Shop] {
            let load = begin(&subject, workload, &extent).await;
            report.capacity(capacity(&subject, &load, &extent, workload, 64).await);
            println!("{}", report.last());
        }
        if let Some(redis) = &subject.redis {
            report.capacity(yardstick::commits(redis, &extent.measured).await);
            println!("{}", report.last());
        }
    }
    if wanted("in turns") {
        report.compared = Some(turns::compare(&program, &answer, folder.path(), &extent).await);
    }
    if wanted(WITH_BUDGET) {
        hot_budget(&program, folder.path(), &extent, &mut report).await;
    }
    if wanted("scale") {
        report.scaled = scale::compare(folder.path(), &extent, args.turns).await;
        let budgeted = program::write_with_budget(folder.path());
        for (name, program, sparsely) in
            [("Without a limit", &program, 0), ("Each order from one budget", &budgeted, 1)]
        {
            report.touches.push(touches::count(name, program, sparsely, folder.path(), &extent).await);
        }
    }
    std::fs::create_dir_all(&args.out).unwrap();
    std::fs::write(args.out.join("report.md"), report.text()).unwrap();
    plot::write(&args.out.join("latency.svg"), &report.curves);
    println!("{}\nwritten to {}", report.text(), args.out.display());
}

/// Redis as the README says to run it, but that it acknowledges before it has synced; and that it never writes its file anew. It does
/// that in a process of its own, which takes a core from everything else for seconds: whether it happens while something is measured is
/// chance. See docs/PERFORMANCE.md for what it costs.
const REDIS: [&str; 6] = ["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"];

/// The server on a store.
fn guerdon(store: &'static str, program: &Path, folder: &Path) -> Subject {
    let redis = (store == "redis").then(|| RedisServer::start_with(&REDIS));
    let server = Process::guerdon(store, program, folder, redis.as_ref());
    Subject { name: store, server, redis }
}

/// Commits at each number of calls in flight; then latency at shares of the most that it does.
async fn commits_and_curve(subject: &Subject, extent: &Extent, report: &mut Report, workload: Workload, curve: bool) {
    let load = begin(subject, workload, extent).await;
    let mut most = 0;
    for in_flight in IN_FLIGHT {
        let capacity = capacity(subject, &load, extent, workload, in_flight).await;
        most = most.max(capacity.per_second);
        report.capacity(capacity);
        println!("{}", report.last());
    }
    if !curve {
        return;
    }
    let mut points = Vec::new();
    for percent in OFFERED_PERCENT {
        let rate = (most * percent / 100).max(1);
        load.put(Pace::PerSecond(rate), extent.warm_up).await;
        points.push(offered(subject, load.put(Pace::PerSecond(rate), extent.measured).await));
    }
    report.curve(Curve { subject: subject.name, most, points });
}

async fn begin(subject: &Subject, workload: Workload, extent: &Extent) -> Load {
    begin_on(subject.server.address(), workload, extent).await
}

async fn begin_on(address: &str, workload: Workload, extent: &Extent) -> Load {
    let args = load_args(address, workload, extent);
    Load::begin(&args).await.unwrap_or_else(|error| panic!("{address}: {error}"))
}

fn load_args(address: &str, workload: Workload, extent: &Extent) -> LoadArgs {
    LoadArgs {
        reach: guerdon::cli::reach::Reach::default(),
        target: address.to_owned(),
        program_id: String::new(),
        workload,
        rate: None,
        in_flight: 64,
        duration: extent.measured,
        warm_up: extent.warm_up,
        members: extent.members,
        connections: 4,
        threads: None,
        lines: 10,
        categories: (0..10).map(|n| format!("category-{n}")).collect(),
        currency: "GBP".to_owned(),
        code: String::new(),
        campaign: String::new(),
        deadline: Duration::from_secs(10),
        seed: 1,
        json: false,
    }
}

async fn capacity(subject: &Subject, load: &Load, extent: &Extent, workload: Workload, in_flight: u64) -> Capacity {
    load.put(Pace::InFlight(in_flight), extent.warm_up).await;
    let spent =
        || (subject.server.cpu(), subject.redis.as_ref().map_or(Duration::ZERO, |redis| process::cpu(redis.pid())));
    let before = spent();
    let measured = checked(subject.name, load.put(Pace::InFlight(in_flight), extent.measured).await);
    let after = spent();
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / measured.answered().max(1) as f64;
    Capacity {
        subject: subject.name.to_owned(),
        workload: format!("{workload:?}"),
        in_flight,
        per_second: measured.per_second(),
        server_us: each(after.0 - before.0),
        redis_us: each(after.1 - before.1),
        latency_us: measured.all_us(),
    }
}

/// The same commits on Redis with and without a budget that each of them takes from: in turns, the best turn of each.
async fn hot_budget(program: &Path, folder: &Path, extent: &Extent, report: &mut Report) {
    let budgeted = program::write_with_budget(folder);
    let with = Subject { name: WITH_BUDGET, ..guerdon("redis", &budgeted, folder) };
    let without = Subject { name: WITHOUT_BUDGET, ..guerdon("redis", program, folder) };
    let mut best: [Option<Capacity>; 2] = [None, None];
    let loads = [begin(&without, Workload::Uniform, extent).await, begin(&with, Workload::Uniform, extent).await];
    for _ in 0..TURNS {
        for (at, subject) in [&without, &with].into_iter().enumerate() {
            let turn = capacity(subject, &loads[at], extent, Workload::Uniform, 64).await;
            if best[at].as_ref().is_none_or(|best| best.per_second < turn.per_second) {
                best[at] = Some(turn);
            }
        }
    }
    for capacity in best.into_iter().flatten() {
        report.capacity(capacity);
        println!("{}", report.last());
    }
}

/// A machine that does less for a moment than it did before is offered more than it can do: what it refuses then is told. The echo
/// refuses nothing by itself: with tens of thousands of calls waiting, its connections fail.
fn offered(subject: &Subject, measured: Measured) -> Measured {
    let is_echo = subject.name.starts_with("echo");
    let is_refused = |what: &String| report::REFUSED.iter().any(|refused| what.ends_with(refused));
    let others = measured.failed.keys().any(|what| !is_echo && !is_refused(what));
    assert!(!others && measured.wrong.is_empty(), "{}: {}", subject.name, measured.table());
    measured
}

/// Every answer counts only if it is what it must be.
fn checked(subject: &str, measured: Measured) -> Measured {
    assert!(measured.failed.is_empty() && measured.wrong.is_empty(), "{subject}: {}", measured.table());
    measured
}
