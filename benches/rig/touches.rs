//! Whether there is a key that all commits touch: Redis itself counts, for each key, the commands that read or write it.
//!
//! It does so to know what to evict, and evicts nothing without a limit of memory. Its counter is one byte and forgets nothing here: it
//! is exact and ends at 251, or else counts the further it is the more seldom, by chance, and tells tens of thousands to a tenth or
//! two. Commands that only ask whether a key is there do not count, and a key that was deleted begins anew.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use guerdon::cli::load::pace::Pace;
use guerdon::cli::load::shape::Workload;

use crate::process::Process;
use crate::support::redis::RedisServer;
use crate::{Extent, REDIS, begin_on, checked};

/// The counter of a key that one command has touched; above it, one more is counted with a chance of one in one and `sparsely` times
/// what it is above this.
const FIRST: u64 = 5;
/// The counter stays at this.
const LAST: u64 = 255;
/// So that what a partition has in common, which a few commits touch, stays within what is counted.
const MEASURED_MAX: Duration = Duration::from_secs(3);
const IN_FLIGHT: u64 = 64;
const KEYS_AT_ONCE: usize = 1_000;

/// What was touched, by kind of key.
pub(crate) struct Touches {
    /// What the program asks for.
    subject: &'static str,
    members: u64,
    commits: u64,
    sparsely: u64,
    kinds: BTreeMap<String, Kind>,
}

#[derive(Default)]
struct Kind {
    keys: u64,
    /// Commands on all keys, and on the one that was touched most.
    commands: u64,
    most: u64,
    /// A counter could not go on.
    full: bool,
}

/// Commits of members who are all as likely, on a Redis that nobody else uses, after others that are not counted. `sparsely`: 0 counts
/// each command, 1 counts far.
pub(crate) async fn count(
    subject: &'static str,
    program: &Path,
    sparsely: u64,
    folder: &Path,
    extent: &Extent,
) -> Touches {
    let factor = sparsely.to_string();
    let counting = ["--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", factor.as_str(), "--lfu-decay-time", "0"];
    let redis = RedisServer::start_with(&[&REDIS[..], &counting].concat());
    let server = Process::guerdon("redis", program, folder, Some(&redis));
    let load = begin_on(server.address(), Workload::Uniform, extent).await;
    load.put(Pace::InFlight(IN_FLIGHT), extent.warm_up).await;
    let before = commands(&redis, sparsely).await;
    let measured = checked(subject, load.put(Pace::InFlight(IN_FLIGHT), extent.measured.min(MEASURED_MAX)).await);
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    for (key, after) in commands(&redis, sparsely).await {
        let commands = after.saturating_sub(before.get(&key).copied().unwrap_or(0));
        let kind = kinds.entry(kind_of(&key).to_owned()).or_default();
        kind.keys += 1;
        kind.commands += commands;
        kind.most = kind.most.max(commands);
        kind.full |= after == by_counter(LAST, sparsely);
    }
    Touches { subject, members: extent.members, commits: measured.answered(), sparsely, kinds }
}

/// On each key, so far.
async fn commands(redis: &RedisServer, sparsely: u64) -> HashMap<String, u64> {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut commands = HashMap::new();
    let mut cursor = 0u64;
    loop {
        let (next, keys): (u64, Vec<String>) =
            redis::cmd("SCAN").arg(cursor).arg("COUNT").arg(KEYS_AT_ONCE).query_async(&mut connection).await.unwrap();
        let mut asked = redis::pipe();
        for key in &keys {
            asked.cmd("OBJECT").arg("FREQ").arg(key);
        }
        let counters: Vec<Option<u64>> =
            if keys.is_empty() { Vec::new() } else { asked.query_async(&mut connection).await.unwrap() };
        let there = keys.into_iter().zip(counters).filter_map(|(key, counter)| counter.map(|counter| (key, counter)));
        commands.extend(there.map(|(key, counter)| (key, by_counter(counter, sparsely))));
        cursor = next;
        if cursor == 0 {
            return commands;
        }
    }
}

/// How many commands it takes, on average, for a counter to be there.
fn by_counter(counter: u64, sparsely: u64) -> u64 {
    let above = counter.saturating_sub(FIRST);
    1 + above + sparsely * above * above.saturating_sub(1) / 2
}

/// `acct` of `g1:{3k}:acct|rig|load-member-7`.
fn kind_of(key: &str) -> &str {
    let name = key.split_once("}:").or_else(|| key.split_once(':')).map_or(key, |(_, name)| name);
    name.split('|').next().unwrap_or(name)
}

pub(crate) fn table(all: &[Touches]) -> String {
    let mut text = String::new();
    for Touches { subject, members, commits, sparsely, kinds } in all {
        let about = if *sparsely == 0 { "" } else { ", about" };
        let _ = writeln!(
            text,
            "\n{subject}: {commits} commits of {members} members\n\n\
             | kind of key | keys | commands on all{about} | on the busiest{about} | that is, of all commits at most |\n|---|---|---|---|---|"
        );
        for (name, Kind { keys, commands, most, full }) in kinds {
            let percent = *most as f64 * 100.0 / (*commits).max(1) as f64;
            let or_more = if *full { " or more" } else { "" };
            let _ = writeln!(text, "| {name} | {keys} | {commands} | {most}{or_more} | {percent:.3} %{or_more} |");
        }
    }
    text
}
