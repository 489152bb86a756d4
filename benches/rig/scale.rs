//! What scaling rests on: several instances of the server on one Redis, one on a Redis Cluster of several masters, and both.
//!
//! All of them share the processors of this machine, so calls a second cannot rise with their number. What can be told is what a call
//! costs with more of them, how evenly calls and commands are spread, and how often instances write to the same member at once.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use guerdon::cli::load::measured::{Measured, quantiles};
use guerdon::cli::load::pace::Pace;
use guerdon::cli::load::shape::Workload;
use guerdon::cli::load::{Load, LoadArgs};
use hdrhistogram::Histogram;

use crate::masters::{Done, Masters};
use crate::process::Process;
use crate::{Extent, REDIS, checked, load_args, program};

/// Of commits that met newer records, as the server counts them.
const CONFLICTS: &str = "guerdon_commit_conflicts_total";
/// Of accounts that were not in the cache, and read before anything was decided.
const READ_FIRST: &str = "guerdon_cache_lookups_total{result=\"miss\"}";

/// What is measured in a row.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    instances: u64,
    on: On,
    members: Members,
    /// Calls in flight, of all instances together.
    in_flight: u64,
}

#[derive(Clone, Copy)]
enum On {
    /// A server by itself.
    Redis,
    /// A cluster of so many masters.
    Masters(usize),
}

/// Whose calls an instance gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Members {
    /// Anybody's: what it remembers of a member may be older than what another instance wrote.
    Shared,
    /// Those of members that no other instance hears of, as where calls are routed by member. Each has a program of its own, with the
    /// same rules.
    Own,
}

const fn row(instances: u64, on: On, members: Members, in_flight: u64) -> Row {
    Row { instances, on, members, in_flight }
}

/// One instance with a half and a third of the calls comes first: the fewer are on their way together, the more each costs, which is
/// nothing that several instances add.
const ROWS: [Row; 11] = [
    row(1, On::Redis, Members::Shared, 64),
    row(1, On::Redis, Members::Shared, 32),
    row(1, On::Redis, Members::Shared, 21),
    row(2, On::Redis, Members::Shared, 64),
    row(3, On::Redis, Members::Shared, 64),
    row(2, On::Redis, Members::Own, 64),
    row(3, On::Redis, Members::Own, 64),
    row(1, On::Masters(1), Members::Shared, 64),
    row(1, On::Masters(2), Members::Shared, 64),
    row(1, On::Masters(3), Members::Shared, 64),
    row(2, On::Masters(3), Members::Shared, 64),
];

/// What a row came to.
pub(crate) struct Scaled {
    row: Row,
    per_second: u64,
    /// Processor time for one call in microseconds: of all instances, and of all masters.
    server_us: f64,
    redis_us: f64,
    /// Commits that met newer records and were decided again, of a hundred calls.
    conflicts_percent: f64,
    /// Accounts that were read first, of a hundred calls: the fewer, the longer the instances have run.
    read_first_percent: f64,
    /// Of the idlest and the busiest, percent of all: calls by instance; processor time and commands by master.
    calls: [f64; 2],
    cpu: [f64; 2],
    commands: [f64; 2],
    /// Commands for one call, those of walks over the partitions among them.
    commands_each: f64,
    latency_us: Option<Histogram<u64>>,
}

/// Each row in turn, every second time backwards. Of each the turn counts that is in the middle by the processor time of the servers.
pub(crate) async fn compare(folder: &Path, extent: &Extent, turns: usize) -> Vec<Scaled> {
    let mut all: Vec<Vec<Scaled>> = ROWS.iter().map(|_| Vec::new()).collect();
    for turn in 0..turns.max(1) {
        for at in crate::turns::order(turn, ROWS.len()) {
            let scaled = measure(ROWS[at], folder, extent).await;
            println!("{}", line(&scaled));
            all[at].push(scaled);
        }
    }
    let middle = |mut of_row: Vec<Scaled>| {
        of_row.sort_by(|a, b| a.server_us.total_cmp(&b.server_us));
        of_row.swap_remove(of_row.len() / 2)
    };
    all.into_iter().map(middle).collect()
}

async fn measure(row: Row, folder: &Path, extent: &Extent) -> Scaled {
    let masters = match row.on {
        On::Redis => Masters::one(&REDIS),
        On::Masters(count) => Masters::cluster(count, &REDIS),
    };
    let programs: Vec<PathBuf> = match row.members {
        Members::Shared => vec![program::write(folder)],
        Members::Own => (0..row.instances).map(|nth| program::write_as(&program_id(nth), folder)).collect(),
    };
    let instances: Vec<Process> = (0..row.instances).map(|_| Process::instance(&programs, &masters)).collect();
    let mut loads = Vec::new();
    for (nth, instance) in (0..).zip(&instances) {
        loads.push(begin(row, nth, instance, extent).await);
    }
    put(row, &loads, extent.warm_up).await;
    let counted = |series| instances.iter().map(|instance| instance.counted(series)).sum::<u64>();
    let counters = || [CONFLICTS, READ_FIRST].map(counted);
    let servers = || instances.iter().map(Process::cpu).sum::<Duration>();
    let before = (servers(), masters.done(), counters());
    let measured = put(row, &loads, extent.measured).await;
    let after = (servers(), masters.done(), counters());
    let measured: Vec<Measured> = measured.into_iter().map(|measured| checked("scale", measured)).collect();

    let answered: Vec<f64> = measured.iter().map(|measured| measured.answered() as f64).collect();
    let calls = answered.iter().sum::<f64>().max(1.0);
    let by_master = |of: fn(&Done) -> f64| -> Vec<f64> {
        after.1.iter().zip(&before.1).map(|(after, before)| of(after) - of(before)).collect()
    };
    let cpu_s = by_master(|done| done.cpu.as_secs_f64());
    let commands = by_master(|done| done.commands as f64);
    let [again, read_first] = [0, 1].map(|at| after.2[at] - before.2[at]);
    Scaled {
        row,
        per_second: measured.iter().map(Measured::per_second).sum(),
        server_us: (after.0 - before.0).as_secs_f64() * 1e6 / calls,
        redis_us: cpu_s.iter().sum::<f64>() * 1e6 / calls,
        conflicts_percent: again as f64 * 100.0 / calls,
        read_first_percent: read_first as f64 * 100.0 / calls,
        calls: extremes_percent(&answered),
        cpu: extremes_percent(&cpu_s),
        commands: extremes_percent(&commands),
        commands_each: commands.iter().sum::<f64>() / calls,
        latency_us: measured.iter().filter_map(Measured::all_us).reduce(|mut sum, part| {
            // All have the same bounds.
            let _ = sum.add(part);
            sum
        }),
    }
}

fn program_id(nth: u64) -> String {
    format!("rig-{nth}")
}

/// Draws other members than the loads of other instances do at the same moment.
async fn begin(row: Row, nth: u64, instance: &Process, extent: &Extent) -> Load {
    let own = row.members == Members::Own;
    let args = LoadArgs {
        seed: nth + 1,
        program_id: if own { program_id(nth) } else { String::new() },
        members: if own { (extent.members / row.instances).max(1) } else { extent.members },
        ..load_args(instance.address(), Workload::Uniform, extent)
    };
    Load::begin(&args).await.unwrap_or_else(|error| panic!("scale: {error}"))
}

/// All loads at once, each with its part of the calls.
async fn put(row: Row, loads: &[Load], duration: Duration) -> Vec<Measured> {
    let part = |nth: u64| row.in_flight / row.instances + u64::from(nth < row.in_flight % row.instances);
    join_all((0..).zip(loads).map(|(nth, load)| load.put(Pace::InFlight(part(nth)), duration))).await
}

/// The least and the most of some, percent of their sum.
fn extremes_percent(of: &[f64]) -> [f64; 2] {
    let sum: f64 = of.iter().sum();
    let percent = |value: f64| if sum == 0.0 { 0.0 } else { value * 100.0 / sum };
    [percent(of.iter().copied().fold(f64::MAX, f64::min)), percent(of.iter().copied().fold(0.0, f64::max))]
}

/// Of the idlest and the busiest where there are several.
pub(crate) fn table(rows: &[Scaled]) -> String {
    let mut text = String::from(
        "| instances | on | members | in flight | calls/s | server µs/call | Redis µs/call | decided again | read first | calls by instance | Redis CPU by master | \
         commands by master | commands/call | p50 ms | p99 ms |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let _ = writeln!(text, "{}", line(row));
    }
    text
}

fn line(scaled: &Scaled) -> String {
    let Row { instances, on, members, in_flight } = scaled.row;
    let (on, masters) = match on {
        On::Redis => ("one Redis".to_owned(), 1),
        On::Masters(count) => (format!("a cluster of {count}"), count),
    };
    let members = match members {
        Members::Own => "own",
        Members::Shared => "shared",
    };
    let shares = |[least, most]: [f64; 2], several: bool| {
        if several { format!("{least:.0} to {most:.0} %") } else { "all".to_owned() }
    };
    let Scaled { per_second, server_us, redis_us, conflicts_percent, read_first_percent, commands_each, .. } = scaled;
    let [p50, _, p99, ..] = scaled.latency_us.as_ref().map(quantiles).unwrap_or_default().map(|us| us as f64 / 1_000.0);
    format!(
        "| {instances} | {on} | {members} | {in_flight} | {per_second} | {server_us:.1} | {redis_us:.1} | {conflicts_percent:.1} % | {read_first_percent:.1} % | {} | {} | {} | \
         {commands_each:.1} | {p50:.2} | {p99:.2} |",
        shares(scaled.calls, 1 < instances),
        shares(scaled.cpu, 1 < masters),
        shares(scaled.commands, 1 < masters),
    )
}
