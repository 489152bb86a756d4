//! When calls are sent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

use super::caller::Caller;
use super::measured::{Measured, Shard};
use super::shape::Shape;

/// What decides when a call is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// The clock: so many a second, due at even distances; those due within a quarter of a millisecond go together.
    PerSecond(u64),
    /// The answers: so many calls are always under way.
    InFlight(u64),
}

/// More than this under way, and the server has long lost the race: further calls are counted as not sent.
const UNDER_WAY_MAX: usize = 50_000;
/// Calls that are due within so many microseconds are sent together, when the last of them is due; that the others wait is part of
/// their latency. Waking up for each would cost the machine, which is the server's too, as much as the call.
const GATHERS_FOR_US: u64 = 250;
/// So many at most in one go, over one connection; the next go takes the next connection.
const TOGETHER_MAX: usize = 16;
/// Figures are kept in so many places, so that calls that end at once do not wait for each other.
const SHARDS: u64 = 16;

/// Sends calls of `shape` for `duration`, waits for their answers, and says what came of them.
pub async fn drive(callers: &[Caller], shape: &Arc<Shape>, pace: Pace, duration: Duration) -> Measured {
    let shards: Arc<Vec<Mutex<Shard>>> = Arc::new((0..SHARDS).map(|_| Mutex::default()).collect());
    let began = Instant::now();
    let unsent = match pace {
        Pace::PerSecond(rate) => by_clock(callers, shape, &shards, rate, duration).await,
        Pace::InFlight(calls) => {
            by_answers(callers, shape, &shards, calls, duration).await;
            0
        }
    };
    // The last call of a second is due before the second is over.
    let took = began.elapsed().max(duration);
    let shards = shards.iter().map(|shard| std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner)));
    Measured::of(shards, pace, took, unsent)
}

async fn one(caller: Caller, shape: Arc<Shape>, shards: Arc<Vec<Mutex<Shard>>>, nth: u64, due: Instant) {
    let job = shape.next(nth);
    let series = job.series;
    let verdict = shape.send(&caller, job).await;
    let took = due.elapsed();
    let at = usize::try_from(nth % SHARDS).unwrap_or(0); // below SHARDS
    if let Some(shard) = shards.get(at) {
        shard.lock().unwrap_or_else(PoisonError::into_inner).note(series, verdict, took);
    }
}

/// How many calls could not be sent because too many were under way.
async fn by_clock(
    callers: &[Caller],
    shape: &Arc<Shape>,
    shards: &Arc<Vec<Mutex<Shard>>>,
    rate: u64,
    duration: Duration,
) -> u64 {
    let total = duration.as_nanos() * u128::from(rate) / 1_000_000_000;
    let total = u64::try_from(total).unwrap_or(u64::MAX);
    let (callers, shape, shards) = (callers.to_vec(), Arc::clone(shape), Arc::clone(shards));
    let runtime = Handle::current();
    // A thread of its own: timers of the runtime tick by the millisecond, and come late when it is busy, which is when it
    // matters.
    let sender = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        let due = |nth: u64| {
            let since = u128::from(nth) * 1_000_000_000 / u128::from(rate);
            began + Duration::from_nanos(u64::try_from(since).unwrap_or(u64::MAX))
        };
        let gathers = rate.saturating_mul(GATHERS_FOR_US) / 1_000_000;
        let permits = Arc::new(Semaphore::new(UNDER_WAY_MAX));
        let (mut callers, mut going) = (callers.iter().cycle(), JoinSet::new());
        let (mut nth, mut unsent) = (0, 0);
        while nth < total {
            sleep_until(due(nth.saturating_add(gathers).min(total - 1)));
            while let Some(ended) = going.try_join_next() {
                unwind(ended);
            }
            let now = Instant::now();
            let is_due = |nth: u64| nth < total && due(nth) <= now;
            while is_due(nth) {
                let Some(caller) = callers.next() else { return (going, total) };
                let together = FuturesUnordered::new();
                while is_due(nth) && together.len() < TOGETHER_MAX {
                    if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
                        let (shape, shards) = (Arc::clone(&shape), Arc::clone(&shards));
                        let number = shape.number();
                        let call = one(caller.clone(), shape, shards, number, due(nth));
                        together.push(call.map(|()| drop(permit)));
                    } else {
                        unsent += 1;
                    }
                    nth += 1;
                }
                going.spawn_on(together.collect::<()>(), &runtime);
            }
        }
        (going, unsent)
    });
    let (mut going, unsent) = sender.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    // Each has a deadline.
    while let Some(ended) = going.join_next().await {
        unwind(ended);
    }
    unsent
}

/// A panic is a defect of this command; figures without the calls that went under with it would hide it.
fn unwind(ended: Result<(), JoinError>) {
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic.into_panic());
    }
}

fn sleep_until(when: Instant) {
    loop {
        let left = when.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        // May come back early.
        std::thread::park_timeout(left);
    }
}

async fn by_answers(
    callers: &[Caller],
    shape: &Arc<Shape>,
    shards: &Arc<Vec<Mutex<Shard>>>,
    calls: u64,
    duration: Duration,
) {
    let over = Arc::new(AtomicBool::new(false));
    let mut lanes = JoinSet::new();
    for (_, caller) in (0..calls).zip(callers.iter().cycle()) {
        let (caller, shape, shards, over) = (caller.clone(), Arc::clone(shape), Arc::clone(shards), Arc::clone(&over));
        lanes.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                one(caller.clone(), Arc::clone(&shape), Arc::clone(&shards), shape.number(), Instant::now()).await;
            }
        });
    }
    tokio::time::sleep(duration).await;
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = lanes.join_next().await {
        unwind(ended);
    }
}
