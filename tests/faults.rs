//! The promise under fire: real servers, on every store, are hit by one fault after the other while customers go on
//! buying. Then every acknowledged write is there once, no other one twice, every ledger verifies, and every balance
//! is what the model says. Prints a table; `./faults` runs it, `./faults 1000` its long form.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, its customers end with it, and its table is what it is for"
)]

mod support {
    pub(crate) mod chance;
    pub(crate) mod redis;
    pub(crate) mod server;
    pub(crate) mod topologies;
}

mod fault_kit {
    pub(crate) mod check;
    pub(crate) mod clock;
    pub(crate) mod load;
    pub(crate) mod proxy;
    pub(crate) mod stand;
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use guerdon::grpc::wire;
use tokio::task::{JoinSet, block_in_place};
use tonic::Code;

use self::fault_kit::check::{Found, check};
use self::fault_kit::load::{CUSTOMERS, Progress, Told, customer, is_journaled};
use self::fault_kit::proxy::{Mode, Proxy};
use self::fault_kit::stand::{Instance, Stand};
use self::support::chance::Chance;
use self::support::redis::RedisServer;
use self::support::server::{Clients, commit, enroll, eventually, order, points, reason, reserve};
use self::support::topologies::{Cluster, Sentinels, until};

/// Faults of the short form, all stores together: what the long form is measured in.
const FAULTS_SHORT: usize = 94;
/// Writes that are acknowledged between the end of one fault and the next.
const CALM: u64 = 6;
/// For so long no write at all may be acknowledged.
const STANDSTILL_MAX: Duration = Duration::from_secs(90);
/// How long a failover that was asked for may take.
const FAILOVER_MAX: Duration = Duration::from_secs(15);
/// How long a fault lasts, between these.
const HOLD_MS_MIN: i64 = 30;
const HOLD_MS_MAX: i64 = 250;
const PAUSE: Duration = Duration::from_millis(5);
const JUMP_S_MAX: i64 = 3 * 24 * 3_600;
/// A server compares its clock with that of Redis more often than that.
const CLOCK_LOOKED_AT: Duration = Duration::from_millis(2_500);

/// How often each fault of the short form is injected.
fn times(short: usize) -> usize {
    let asked = std::env::var("GUERDON_FAULTS").ok().and_then(|asked| asked.parse::<usize>().ok());
    asked.map_or(short, |asked| (short * asked).div_ceil(FAULTS_SHORT))
}

/// How far a clock is off: up to three days, either way.
fn jump_s(chance: &mut Chance) -> i64 {
    chance.within(-JUMP_S_MAX, JUMP_S_MAX)
}

async fn hold(chance: &mut Chance) {
    let hold_ms = chance.within(HOLD_MS_MIN, HOLD_MS_MAX);
    tokio::time::sleep(Duration::from_millis(hold_ms.unsigned_abs())).await;
}

/// The rows of one store.
struct Table {
    store: &'static str,
    seed: u64,
    chance: Chance,
    failed: Vec<String>,
}

impl Table {
    fn new(store: &'static str) -> Table {
        let (seed, chance) = Chance::seeded();
        println!(
            "{:34} {:20} {:>5} {:>7} {:>12} {:>5} {:>7} {:>8} {:>5}",
            "fault", "store", "runs", "calls", "acknowledged", "lost", "doubled", "diverged", "held"
        );
        Table { store, seed, chance, failed: Vec::new() }
    }

    /// Injects a fault so many times under load, then checks everything.
    async fn row(&mut self, fault: &str, urls: &[String], runs: usize, mut inject: impl AsyncFnMut(&mut Chance)) {
        let run = fault.split(|letter: char| !letter.is_ascii_alphanumeric()).collect::<Vec<_>>().join("-");
        let progress = Arc::new(Progress::default());
        let mut customers = JoinSet::new();
        for number in 0..CUSTOMERS {
            customers.spawn(customer(run.clone(), number, urls.to_vec(), Arc::clone(&progress)));
        }
        for _ in 0..runs {
            self.calm(fault, &progress).await;
            inject(&mut self.chance).await;
        }
        self.calm(fault, &progress).await;
        progress.enough.store(true, Ordering::Release);
        let mut told: Vec<Told> = Vec::new();
        while let Some(ended) = customers.join_next().await {
            told.extend(ended.unwrap());
        }
        let found: Found = check(&urls[0], &told).await;
        let (calls, held) = (progress.calls.load(Ordering::Relaxed), progress.held.load(Ordering::Relaxed));
        println!(
            "{fault:34} {:20} {runs:>5} {calls:>7} {:>12} {:>5} {:>7} {:>8} {held:>5}",
            self.store,
            found.acknowledged,
            found.lost.len(),
            found.doubled.len(),
            found.diverged.len()
        );
        if !found.is_fine() || 0 < held {
            let history: Vec<String> = told.iter().map(|told| format!("{told:?}")).collect();
            eprintln!("history of `{fault}` on {}, seed {}:\n{}", self.store, self.seed, history.join("\n"));
            self.failed.push(format!("{fault}: {found:#?}"));
        }
    }

    /// Until some more writes were acknowledged.
    async fn calm(&self, fault: &str, progress: &Progress) {
        let enough = progress.answered.load(Ordering::Acquire) + CALM;
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let answered = progress.answered.load(Ordering::Acquire);
            if enough <= answered {
                return;
            }
            if last < answered {
                (last, since) = (answered, Instant::now());
            }
            let still = since.elapsed();
            assert!(still < STANDSTILL_MAX, "`{fault}` on {}: nothing for {still:?}; seed {}", self.store, self.seed);
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn end(self) {
        assert!(self.failed.is_empty(), "{}: seed {}\n{}", self.store, self.seed, self.failed.join("\n"));
    }
}

/// Short timeouts, so that much happens in little time.
const ON_REDIS: [&str; 6] = ["--store", "redis", "--store-timeout-ms", "400", "--store-connect-timeout-ms", "300"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_faults_of_the_embedded_store_and_its_server() {
    let folder = Stand::folder();
    let data = folder.path().join("guerdon.db").display().to_string();
    let mut stand = Stand::start(folder, 1, &["--store", "embedded", "--data", &data]);
    let urls = stand.urls();
    let mut table = Table::new("embedded");
    table
        .row("server killed", &urls, times(6), async |_chance| {
            block_in_place(|| stand.without(0, || ()));
        })
        .await;
    table
        .row("writes to disk fail, server killed", &urls, times(6), async |chance| {
            stand.instances[0].limit_files(Some(4096));
            hold(chance).await;
            block_in_place(|| stand.without(0, || ()));
        })
        .await;
    table
        .row("clock of the server jumps", &urls, times(4), async |chance| {
            stand.instances[0].clock.set_ahead(jump_s(chance));
            hold(chance).await;
        })
        .await;
    table.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_faults_of_one_redis_of_the_way_to_it_and_of_its_servers() {
    let mut redis = RedisServer::start_durable();
    let proxy = Proxy::start(redis.port()).await;
    let mut stand = Stand::start(Stand::folder(), 2, &[&ON_REDIS[..], &["--redis-url", &proxy.url()]].concat());
    let urls = stand.urls();
    let mut table = Table::new("redis");
    for (fault, mode) in [("connections refused", Mode::Refuse), ("stalled", Mode::Stall), ("slow", Mode::Slow)] {
        table
            .row(fault, &urls, times(5), async |chance| {
                proxy.set(mode);
                hold(chance).await;
                proxy.set(Mode::Pass);
            })
            .await;
    }
    for (fault, mode) in [("cut before the request", Mode::CutBefore), ("cut before the answer", Mode::CutAfter)] {
        table
            .row(fault, &urls, times(5), async |chance| {
                let cuts = proxy.cuts();
                proxy.set(mode);
                hold(chance).await;
                until("a connection is cut", || cuts < proxy.cuts());
                proxy.set(Mode::Pass);
            })
            .await;
    }
    table
        .row("scripts flushed", &urls, times(4), async |_chance| {
            let _: String = redis.command(&["SCRIPT", "FLUSH"]);
        })
        .await;
    table
        .row("read-only", &urls, times(4), async |chance| {
            let _: String = redis.command(&["REPLICAOF", "127.0.0.1", "9"]);
            hold(chance).await;
            let _: String = redis.command(&["REPLICAOF", "NO", "ONE"]);
        })
        .await;
    table
        .row("out of memory", &urls, times(4), async |chance| {
            let _: String = redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
            hold(chance).await;
            let _: String = redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
        })
        .await;
    table
        .row("server killed", &urls, times(4), async |chance| {
            let which = chance.below(2);
            block_in_place(|| stand.without(which, || ()));
        })
        .await;
    table
        .row("relay killed between its commits", &urls, times(3), async |_chance| {
            let held = proxy.cuts();
            proxy.set(Mode::HoldDone);
            // What it has delivered is not off the feed yet.
            until("the second commit of a relay is held", || held < proxy.cuts());
            block_in_place(|| {
                stand.instances.iter_mut().for_each(Instance::kill);
                proxy.set(Mode::Pass);
                stand.instances.iter_mut().for_each(Instance::start);
            });
        })
        .await;
    table
        .row("clock of one server jumps", &urls, times(3), async |chance| {
            let which = chance.below(2);
            stand.instances[which].clock.set_ahead(jump_s(chance));
            // Longer than it takes to be noticed: for a while it goes on, then it serves nothing.
            tokio::time::sleep(CLOCK_LOOKED_AT).await;
            hold(chance).await;
            stand.instances[which].clock.set_ahead(0);
        })
        .await;
    table
        .row("redis stopped, then continued", &urls, times(3), async |chance| {
            redis.stop();
            hold(chance).await;
            redis.cont();
        })
        .await;
    table
        .row("redis killed (appendfsync always)", &urls, times(4), async |_chance| {
            block_in_place(|| redis.restart());
        })
        .await;
    table.end();
}

/// Redis writes nothing to disk by itself: it comes back as it was when it was last told to save.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_what_redis_loses_is_brought_back_by_journals() {
    let mut redis = RedisServer::start();
    let folder = Stand::folder();
    let journal = folder.path().join("journal-{instance}").display().to_string();
    let place = ["--redis-url", &redis.url(), "--durability", "journaled", "--journal-dir", &journal];
    let wait = ["--journal-wait-s", "20"];
    let mut stand = Stand::start(folder, 2, &[&ON_REDIS[..], &place, &wait].concat());
    let urls = stand.urls();
    let mut table = Table::new("redis, journaled");
    table
        .row("redis back as it was before", &urls, times(4), async |chance| {
            let _: String = redis.command(&["SAVE"]);
            hold(chance).await;
            block_in_place(|| redis.restart());
        })
        .await;
    table
        .row("server killed", &urls, times(3), async |chance| {
            let which = chance.below(2);
            block_in_place(|| stand.without(which, || ()));
        })
        .await;
    table
        .row("server killed, redis as it was", &urls, times(3), async |chance| {
            let which = chance.below(2);
            let _: String = redis.command(&["SAVE"]);
            hold(chance).await;
            block_in_place(|| stand.without(which, || redis.restart()));
        })
        .await;
    table
        .row("disk of the journal full", &urls, times(3), async |chance| {
            let which = chance.below(2);
            stand.instances[which].limit_files(Some(4096));
            hold(chance).await;
            stand.instances[which].limit_files(None);
        })
        .await;
    table.end();
}

/// Buys one thing after the other, each under one request id until it is accepted: the requests, how many of them were
/// journaled, and the longest that a call took.
/// By turns for each of these members: an account holds so many lots and no more.
async fn buys(members: Vec<String>, urls: Vec<String>, enough: Arc<AtomicBool>) -> (Vec<Told>, usize, Duration) {
    let servers: Vec<Clients> = urls.iter().map(|url| Clients::connect_lazy(url)).collect();
    let (mut told, mut journaled, mut longest) = (Vec::new(), 0, Duration::ZERO);
    for step in 0_usize.. {
        if enough.load(Ordering::Acquire) {
            break;
        }
        let member = &members[step % members.len()];
        let id = format!("{member}-{step}");
        let write = commit(member, &id, order(&id, 20_00));
        let effects = vec![(member.clone(), 20)];
        let attempts = Vec::new();
        let mut one = Told { write, effects, order: Some(id), attempts, acknowledged: false, refused: false };
        for at in step.. {
            let started = Instant::now();
            let answer = servers[at % servers.len()].try_send(&one.write).await;
            longest = longest.max(started.elapsed());
            match answer {
                Ok(answer) => {
                    journaled += usize::from(is_journaled(&answer));
                    one.acknowledged = true;
                    break;
                }
                Err(status) => one.attempts.push(format!("{:?}: {}", status.code(), status.message())),
            }
            tokio::time::sleep(PAUSE).await;
        }
        told.push(one);
        tokio::time::sleep(PAUSE).await;
    }
    (told, journaled, longest)
}

/// Members that a customer of those buys for.
const MEMBERS_EACH: usize = 8;

/// How long Redis is away: a minute in the long form.
fn outage() -> Duration {
    Duration::from_secs(if std::env::var_os("GUERDON_FAULTS").is_some() { 60 } else { 5 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f6_while_redis_is_away_commits_are_accepted_and_settled_once_when_it_is_back() {
    let mut redis = RedisServer::start_durable();
    let folder = Stand::folder();
    let journal = folder.path().join("journal-{instance}").display().to_string();
    let place = ["--redis-url", &redis.url(), "--durability", "journaled", "--journal-dir", &journal];
    let mut stand = Stand::start(folder, 2, &[&ON_REDIS[..], &place].concat());
    let urls = stand.urls();
    let clients = Clients::connect_lazy(&urls[0]);
    let members: Vec<String> = (0..CUSTOMERS * MEMBERS_EACH).map(|number| format!("away-{number}")).collect();
    for (url, member) in urls.iter().flat_map(|url| members.iter().map(move |member| (url, member))) {
        // Both servers know the program by then.
        let clients = Clients::connect_lazy(url);
        eventually("the member is enrolled", async || clients.try_send(&enroll(member)).await.is_ok()).await;
    }
    let enough = Arc::new(AtomicBool::new(false));
    let mut shoppers = JoinSet::new();
    for members in members.chunks(MEMBERS_EACH) {
        shoppers.spawn(buys(members.to_vec(), urls.clone(), Arc::clone(&enough)));
    }
    block_in_place(|| redis.kill());
    let hold = reserve(&members[0], "hold", order("hold", 10_00), points(10));
    let refused = clients.try_send(&hold).await.expect_err("nothing is held while Redis is away");
    assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
    // Sent twice, and journaled twice: by both servers.
    let twice = commit(&members[0], "twice", order("twice", 20_00));
    for url in &urls {
        let answer = Clients::connect_lazy(url).try_send(&twice).await.expect("it is accepted");
        assert!(is_journaled(&answer), "{answer:?}");
    }
    tokio::time::sleep(outage()).await;
    // One of the servers is gone before Redis is back: what it accepted is in its journal.
    block_in_place(|| {
        stand.instances[1].kill();
        redis.restart();
        stand.instances[1].start();
    });
    let mut all: Vec<Told> = members
        .iter()
        .map(|member| Told {
            write: enroll(member),
            effects: vec![(member.clone(), 100)],
            order: None,
            attempts: Vec::new(),
            acknowledged: true,
            refused: false,
        })
        .collect();
    let effects = vec![(members[0].clone(), 20)];
    let (order_id, attempts) = (Some("twice".to_owned()), Vec::new());
    all.push(Told { write: twice, effects, order: order_id, attempts, acknowledged: true, refused: false });
    enough.store(true, Ordering::Release);
    let (mut journaled, mut longest) = (0, Duration::ZERO);
    while let Some(ended) = shoppers.join_next().await {
        let (told, of_these, took) = ended.unwrap();
        all.extend(told);
        (journaled, longest) = (journaled + of_these, longest.max(took));
    }
    assert!(100 < journaled, "{journaled} were accepted while Redis was away");
    assert!(longest < Duration::from_secs(3), "a call took {longest:?}");
    for told in &all {
        let request = wire::GetOutcomeRequest {
            member_id: told.write.member_id().to_owned(),
            request_id: told.write.request_id().to_owned(),
            ..wire::GetOutcomeRequest::default()
        };
        eventually("it is settled", async || {
            let outcome = clients.checkout.clone().get_outcome(request.clone()).await;
            outcome.is_ok_and(|outcome| outcome.into_inner().answer.is_some())
        })
        .await;
    }
    let found = check(&urls[0], &all).await;
    assert!(found.is_fine(), "{found:#?}");
    println!(
        "Redis away for {:?}: {} commits accepted, {journaled} of them into the journal, none lost or doubled; the \
         longest call took {longest:?}",
        outage(),
        all.len() - members.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_failovers_by_a_sentinel_lose_nothing_that_was_replicated() {
    let mut both = Sentinels::start(&["--appendonly", "yes"]);
    let settings = both.settings();
    let args = ["--redis-topology", "sentinel", "--redis-master", "club", "--redis-login", "shop:hunter2"];
    let place = ["--redis-url", &settings.url, "--durability", "replicated"];
    let stand = Stand::start(Stand::folder(), 2, &[&ON_REDIS[..], &args, &place].concat());
    let urls = stand.urls();
    let mut table = Table::new("sentinel, replicated");
    table
        .row("failover by hand", &urls, times(1), async |_chance| {
            block_in_place(|| {
                let master = both.master();
                // A sentinel gives up on a failover that takes too long: then it is asked again.
                let mut asked: Option<Instant> = None;
                until("the other one is the master", || {
                    let done = both.master() != master;
                    if !done && asked.is_none_or(|at| FAILOVER_MAX < at.elapsed()) {
                        let asking = both.sentinel.try_command::<String>(&["SENTINEL", "FAILOVER", "club"]);
                        asked = asking.is_ok().then(Instant::now);
                    }
                    done
                });
                both.until_watched();
            });
        })
        .await;
    table
        .row("master killed", &urls, times(2), async |_chance| {
            block_in_place(|| {
                let master = both.master();
                both.data[master].kill();
                until("the other one is the master", || both.master() != master);
                both.restart_as_replica(master);
                both.until_watched();
            });
        })
        .await;
    table.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_failovers_and_moving_slots_of_a_cluster_lose_nothing_that_was_replicated() {
    let mut cluster = Cluster::start(1, &["--appendonly", "yes"]);
    let settings = cluster.settings();
    let place = ["--redis-topology", "cluster", "--redis-url", &settings.url, "--durability", "replicated"];
    let stand = Stand::start(Stand::folder(), 2, &[&ON_REDIS[..], &place].concat());
    let urls = stand.urls();
    let mut table = Table::new("cluster, replicated");
    table
        .row("slot moved", &urls, times(4), async |chance| {
            block_in_place(|| {
                let slot = u16::try_from(chance.below(16) * 1_024).unwrap();
                let owner = cluster.owner(slot);
                let next = cluster.masters().into_iter().find(|node| *node != owner).unwrap();
                cluster.move_slot(slot, owner, next);
            });
        })
        .await;
    table
        .row("failover by hand", &urls, times(2), async |chance| {
            block_in_place(|| {
                let (owner, replica) = cluster.pair(u16::try_from(chance.below(16) * 1_024).unwrap());
                cluster.fail_over_to(replica);
                cluster.until_in_step(owner);
            });
        })
        .await;
    table
        .row("master killed", &urls, times(2), async |chance| {
            block_in_place(|| {
                let (owner, replica) = cluster.pair(u16::try_from(chance.below(16) * 1_024).unwrap());
                cluster.nodes[owner].kill();
                until("the replica is the master", || cluster.masters().contains(&replica));
                cluster.nodes[owner].restart();
                cluster.until_in_step(owner);
                cluster.until_up();
            });
        })
        .await;
    table.end();
}
