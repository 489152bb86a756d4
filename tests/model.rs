//! The model test: random histories of members, orders, reservations, returns, amendments, time and restarts, on programs of
//! several kinds and on every store, against an oracle that knows no rule. After each step the books must balance, and
//! answers, ledgers and balances must agree; every store must answer as the memory store does.
//!
//! A failure prints its seed and the shortest history found that fails. `GUERDON_SEED` begins with another seed, and
//! `GUERDON_MODEL_STEPS` says how many steps to take in all: `./model 100000` is the nightly form.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support {
    pub(crate) mod chance;
    pub(crate) mod redis;
}

mod model_kit {
    pub(crate) mod drive;
    pub(crate) mod oracle;
    pub(crate) mod programs;
    pub(crate) mod stand;
    pub(crate) mod step;
}

use std::collections::BTreeMap;
use std::sync::Arc;

use guerdon::domain::answer::Answer;
use model_kit::drive::run;
use model_kit::oracle::{is_done, name};
use model_kit::programs::{SUBJECTS, Subject};
use model_kit::stand::Kind;
use model_kit::step::{Step, history};
use support::redis::RedisServer;

/// Steps of one history.
const LENGTH: usize = 75;
/// Steps on each store, in the form that runs with all other tests.
const MEMORY_STEPS: usize = 3_600;
const EMBEDDED_STEPS: usize = 900;
const REDIS_STEPS: usize = 900;
/// Histories tried while one that fails is made shorter.
const SHRINKS_MAX: usize = 600;
/// How often the writes around an order must have been done, lest nothing was tested.
const DONE_MIN: usize = 5;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// Runs histories on a store until so many steps have been taken. `part` of 6 of the steps of the long form are this store's.
async fn walk(kind: &Kind, steps: usize, part: u64) {
    let steps = number("GUERDON_MODEL_STEPS").map_or(steps, |all| usize::try_from(all * part / 6).unwrap());
    let first = number("GUERDON_SEED").unwrap_or(1);
    let mut taken = 0;
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let mut seed = first;
    while taken < steps {
        for subject in SUBJECTS {
            let races = seed.is_multiple_of(3);
            let steps = history(seed, LENGTH, subject.versions.len(), subject.amends, races);
            taken += steps.len();
            let told = match answers(kind, subject, &steps, races).await {
                Ok(told) => told,
                Err(why) => {
                    let (shortest, why) = shrink(kind, subject, steps, why, races).await;
                    let lines: Vec<String> = shortest.iter().map(|step| format!("  {step:?}")).collect();
                    let (name, count) = (subject.name, lines.len());
                    panic!("seed {seed}, program `{name}`, {count} steps:\n{}\n{why}", lines.join("\n"));
                }
            };
            for answer in &told {
                let [asked, done] = counts.entry(name(answer)).or_default();
                *asked += 1;
                *done += usize::from(is_done(answer));
            }
        }
        seed += 1;
    }
    println!("{taken} steps in {} histories, seeds {first} to {}", (seed - first) * SUBJECTS.len() as u64, seed - 1);
    for (name, [asked, done]) in &counts {
        println!("{name}: {asked} asked, {done} done");
    }
    for name in ["Reserve", "Commit", "Release", "Return", "AmendOrder"] {
        let done = counts.get(name).map_or(0, |[_, done]| *done);
        assert!(DONE_MIN <= done, "{name} was done {done} times: the histories have become too poor");
    }
}

/// What a history is answered, or why it fails: of itself, or because it is not answered as on the memory store.
async fn answers(kind: &Kind, subject: &'static Subject, steps: &[Step], races: bool) -> Result<Vec<Answer>, String> {
    let told = guarded(kind, subject, steps).await?;
    // What happens at the same time may happen in either order.
    if races || matches!(kind, Kind::Memory) {
        return Ok(told);
    }
    let wanted = guarded(&Kind::Memory, subject, steps).await.map_err(|why| format!("on the memory store: {why}"))?;
    if wanted == told {
        return Ok(told);
    }
    let at = wanted.iter().zip(&told).position(|(wanted, told)| wanted != told).unwrap_or(0);
    Err(format!("write {at} is answered\n{:?}\nand on the memory store\n{:?}", told.get(at), wanted.get(at)))
}

/// A panic is a failure like others.
async fn guarded(kind: &Kind, subject: &'static Subject, steps: &[Step]) -> Result<Vec<Answer>, String> {
    let (kind, steps) = (kind.clone(), steps.to_vec());
    let ran = tokio::spawn(async move { run(&kind, subject, &steps).await }).await;
    match ran {
        Ok(Ok(told)) => Ok(told),
        Ok(Err(failure)) => Err(failure.why),
        Err(panicked) => Err(panicked.to_string()),
    }
}

/// Leaves out steps as long as what remains still fails, in ever smaller parts.
async fn shrink(
    kind: &Kind,
    subject: &'static Subject,
    mut steps: Vec<Step>,
    mut why: String,
    races: bool,
) -> (Vec<Step>, String) {
    let mut tries = 0;
    let mut part = steps.len().div_ceil(2);
    while 0 < part && tries < SHRINKS_MAX {
        let mut at = 0;
        let mut shorter = false;
        while at < steps.len() && tries < SHRINKS_MAX {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + part).min(steps.len()));
            tries += 1;
            match answers(kind, subject, &fewer, races).await {
                Err(found) => (steps, why, shorter) = (fewer, found, true),
                Ok(_) => at += part,
            }
        }
        if !shorter || part > 1 {
            part /= 2;
        }
    }
    (steps, why)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn model_memory_whatever_happens_the_books_balance() {
    walk(&Kind::Memory, MEMORY_STEPS, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn model_embedded_whatever_happens_the_books_balance() {
    walk(&Kind::Embedded, EMBEDDED_STEPS, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn model_redis_whatever_happens_the_books_balance() {
    walk(&Kind::Redis(Arc::new(RedisServer::start())), REDIS_STEPS, 1).await;
}
