//! What the goals are stated in: subjects that all run, measured in turns, so that a machine that becomes slower or faster while
//! they are does so for all. Of each ratio the median over the turns counts.

use std::path::Path;

use guerdon::cli::load::Load;
use guerdon::cli::load::measured::quantiles;
use guerdon::cli::load::pace::Pace;
use guerdon::cli::load::shape::Workload;

use crate::process::Process;
use crate::report::{Capacity, Compared};
use crate::support::redis::RedisServer;
use crate::{Extent, Subject, begin, capacity, guerdon, offered};

/// How often each is measured.
const TURNS: usize = 7;
const IN_FLIGHT: u64 = 64;
/// Of the most that Commits on Redis come to, percent: what is offered to them, and to the echo.
const OFFERED_PERCENT: u64 = 70;

pub(crate) async fn compare(program: &Path, answer: &Path, folder: &Path, extent: &Extent) -> Compared {
    let echo = Subject { name: "echo", server: Process::echo(answer, None), redis: None };
    let store = RedisServer::start();
    let get = Subject { name: "echo and GET", server: Process::echo(answer, Some(&store)), redis: Some(store) };
    let redis = guerdon("redis", program, folder);
    let [of_echo, of_get] =
        [begin(&echo, Workload::Uniform, extent).await, begin(&get, Workload::Uniform, extent).await];
    let commits = begin(&redis, Workload::Uniform, extent).await;
    let quotes = begin(&redis, Workload::Quote, extent).await;
    let subjects: [(&Subject, &Load, Workload); 4] = [
        (&echo, &of_echo, Workload::Uniform),
        (&redis, &commits, Workload::Uniform),
        (&get, &of_get, Workload::Uniform),
        (&redis, &quotes, Workload::Quote),
    ];
    let mut turns: [Vec<Capacity>; 4] = Default::default();
    for turn in 0..TURNS {
        for at in order(turn, subjects.len()) {
            let (subject, load, workload) = subjects[at];
            turns[at].push(capacity(subject, load, extent, workload, IN_FLIGHT).await);
        }
    }
    let [echo_turns, commit_turns, get_turns, quote_turns] = &turns;
    let ratio = |a: &[Capacity], b: &[Capacity], of: fn(&Capacity) -> f64| {
        median(a.iter().zip(b).map(|(a, b)| of(a) / of(b)).collect())
    };
    let per_second = |capacity: &Capacity| capacity.per_second as f64;
    let most = median(commit_turns.iter().map(per_second).collect());
    let rate = ((most as u64) * OFFERED_PERCENT / 100).max(1);
    let (mut p99_ms, mut refused): ([Vec<f64>; 2], [u64; 2]) = Default::default();
    let both = [(&echo, &of_echo), (&redis, &commits)];
    for turn in 0..TURNS {
        for at in order(turn, both.len()) {
            let (subject, load) = both[at];
            load.put(Pace::PerSecond(rate), extent.warm_up / 2).await;
            let measured = offered(subject, load.put(Pace::PerSecond(rate), extent.measured).await);
            refused[at] += measured.failed.values().sum::<u64>() + measured.unsent;
            let [_, _, p99_us, ..] = measured.all_us().as_ref().map(quantiles).unwrap_or_default();
            p99_ms[at].push(p99_us as f64 / 1_000.0);
        }
    }
    let [echo_p99, commit_p99] = p99_ms;
    Compared {
        turns: TURNS,
        commit_us: median(commit_turns.iter().map(|c| c.server_us).collect()),
        echo_us: median(echo_turns.iter().map(|c| c.server_us).collect()),
        commit_redis_us: median(commit_turns.iter().map(|c| c.redis_us).collect()),
        quote_us: median(quote_turns.iter().map(|c| c.server_us).collect()),
        get_us: median(get_turns.iter().map(|c| c.server_us).collect()),
        commits_per_second: most,
        cpu: ratio(commit_turns, echo_turns, |c| c.server_us),
        redis_cpu: median(commit_turns.iter().zip(echo_turns).map(|(c, e)| c.redis_us / e.server_us).collect()),
        rate: ratio(commit_turns, echo_turns, per_second),
        quote_rate: ratio(quote_turns, get_turns, per_second),
        quote_cpu: ratio(quote_turns, get_turns, |c| c.server_us),
        offered: rate,
        p99_ms: [median(echo_p99.clone()), median(commit_p99.clone())],
        refused,
        p99: median(commit_p99.iter().zip(&echo_p99).map(|(c, e)| c / e.max(0.001)).collect()),
    }
}

/// Nobody always comes after the same other.
pub(crate) fn order(turn: usize, count: usize) -> Vec<usize> {
    let forwards = 0..count;
    if turn.is_multiple_of(2) { forwards.collect() } else { forwards.rev().collect() }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
