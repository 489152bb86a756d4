//! Lets calls in, before they are read: so many at a time, and where they come faster than they can be worked on, only so many
//! that those let in are worked off in little time. The others are refused at once, so that none queues without end.
//!
//! A call that is let in goes to the end of the runtime's queue before anything is done for it. How many are there is the
//! number of those that wait for a worker, and how long each is there is what every step of a call waits for one; calls that wait
//! for a store or a network are not among them. As long as a call comes through in little time every now and then, many may wait: a burst is
//! worked off, and callers who send again when they are answered are never more. When none does and many wait, the queue stands, and
//! only few may wait from then on: what is refused costs a small part of
//! what is worked on, so connections are read again soon, and what is let in takes little longer than on a machine that is not
//! overloaded, however much is offered. That a queue stands is told from the shortest wait in an interval, as CoDel does (RFC 8289).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{info, warn};

use crate::grpc;
use crate::service::Error;
use crate::telemetry::metrics;

/// Where calls come in.
pub(super) struct Gate {
    places: Arc<Semaphore>,
    places_max: u32,
    draining: AtomicBool,
    crowd: Arc<Crowd>,
}

impl Gate {
    /// At most so many calls at a time. Up to `waiting_max` may wait for a worker for any time, and [`Crowd::BURST`] times as many
    /// in a burst; while they come too fast, one of [`Crowd::CALM`].
    pub(super) fn new(waiting_max: u32, places_max: u32) -> Gate {
        Gate {
            places: Arc::new(Semaphore::new(usize::try_from(places_max).unwrap_or(usize::MAX))),
            places_max,
            draining: AtomicBool::new(false),
            crowd: Arc::new(Crowd::new(waiting_max)),
        }
    }

    /// Refuses calls from now on, and waits until none is being worked on.
    pub(super) async fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        // An error would mean that the places were closed, which nobody does.
        drop(self.places.acquire_many(self.places_max).await);
    }
}

impl grpc::Gate for Gate {
    fn enter(&self) -> Result<grpc::Place, Error> {
        if self.draining.load(Ordering::Acquire) {
            return Err(Error::Draining);
        }
        let now = self.crowd.now();
        if !self.crowd.enter(now) {
            return Err(Error::Overloaded);
        }
        // Leaves the crowd when it is dropped.
        let waits = Waits { crowd: Arc::clone(&self.crowd), since: now };
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        metrics::in_flight(true);
        Ok(Box::new(Place { _permit: permit, waits: Some(waits) }))
    }
}

/// Held by a call while it is worked on; given back also when the caller leaves early.
struct Place {
    _permit: OwnedSemaphorePermit,
    /// Until a worker has come to it.
    waits: Option<Waits>,
}

impl grpc::TakenPlace for Place {
    fn begin(&mut self) {
        if let Some(waits) = self.waits.take() {
            waits.crowd.came_through(waits.since, waits.crowd.now());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::in_flight(false);
    }
}

struct Waits {
    crowd: Arc<Crowd>,
    since: Moment,
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.crowd.leave();
    }
}

/// Microseconds since the crowd began.
type Moment = u64;

/// Calls that wait for a worker, and how many may.
#[derive(Debug)]
struct Crowd {
    began: Instant,
    waiting_max: u32,
    /// Held for some counting, never while anything is waited for.
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: u32,
    /// While the queue stands, how many may wait.
    stands: Option<u32>,
    /// For how many intervals few have been refused.
    quiet: u32,
    /// When the interval began, and what was seen in it.
    since: Moment,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    /// Of those that came through.
    shortest_wait: Option<Moment>,
    waits_sum: Moment,
    came_through: u32,
    most_waiting: u32,
    came: u32,
    refused: u32,
}

impl Crowd {
    /// How long the queue is looked at, and how long every call must have waited for a worker in that time for the queue to stand: the
    /// values of RFC 8289.
    const INTERVAL: Moment = 100_000;
    const TARGET: Moment = 5_000;
    /// As long as the queue does not stand, so many times `waiting_max` may wait: a burst is worked off.
    const BURST: u32 = 8;
    /// While it stands, between this part of `waiting_max` and all of it may wait, as many as come through in [`Crowd::TARGET`] on the
    /// average: for each step of its way a call that is let in waits for all of them.
    const CALM: u32 = 4;
    /// It does not stand any more when in so many intervals no more than one call of so many was refused.
    const QUIET: u32 = 5;
    const FEW: u32 = 20;

    fn new(waiting_max: u32) -> Crowd {
        Crowd { began: Instant::now(), waiting_max, queue: Mutex::default() }
    }

    fn now(&self) -> Moment {
        Moment::try_from(self.began.elapsed().as_micros()).unwrap_or(Moment::MAX)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker has come to a call; whether it is let in, and waits from then on.
    fn enter(&self, now: Moment) -> bool {
        let queue = &mut *self.queue();
        let age = now.saturating_sub(queue.since);
        if Crowd::INTERVAL <= age {
            queue.since = now;
            queue.stands = self.settled(queue, age);
            queue.seen = Seen::default();
        }
        queue.seen.came += 1;
        queue.seen.most_waiting = queue.seen.most_waiting.max(queue.waiting);
        let let_in = queue.waiting < queue.stands.unwrap_or(self.waiting_max.saturating_mul(Crowd::BURST));
        if let_in {
            queue.waiting += 1;
        } else {
            queue.seen.refused += 1;
        }
        let_in
    }

    /// A worker has come to it again, and begins.
    fn came_through(&self, since: Moment, now: Moment) {
        let wait = now.saturating_sub(since);
        let seen = &mut self.queue().seen;
        seen.shortest_wait = Some(seen.shortest_wait.map_or(wait, |shortest| shortest.min(wait)));
        seen.waits_sum = seen.waits_sum.saturating_add(wait);
        seen.came_through += 1;
    }

    /// It waits no more.
    fn leave(&self) {
        let queue = &mut *self.queue();
        queue.waiting = queue.waiting.saturating_sub(1);
    }

    /// How many may wait from now on, after an interval that has lasted so long.
    fn settled(&self, queue: &mut Queue, age: Moment) -> Option<u32> {
        let Seen { shortest_wait, waits_sum, came_through, most_waiting, came, refused } = queue.seen;
        // Nobody came for some time: whatever was before, nobody waits now.
        let is_over = 2 * Crowd::INTERVAL <= age;
        let least = (self.waiting_max / Crowd::CALM).max(1);
        let Some(allowed) = queue.stands else {
            let all_waited = shortest_wait.is_some_and(|shortest| Crowd::TARGET <= shortest);
            if is_over || most_waiting < self.waiting_max || !all_waited {
                return None;
            }
            queue.quiet = 0;
            warn!(most_waiting, "calls come faster than they can be worked on: some are refused");
            return Some(least);
        };
        let few = refused.saturating_mul(Crowd::FEW) <= came;
        queue.quiet = if few { queue.quiet + 1 } else { 0 };
        if is_over || Crowd::QUIET <= queue.quiet {
            info!("calls are worked on as fast as they come");
            return None;
        }
        Some(match u64::from(came_through) * Crowd::TARGET {
            0 => allowed,
            enough if waits_sum < enough => allowed.saturating_mul(2).min(self.waiting_max),
            _ => (allowed / 2).max(least),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Moment = 1_000;

    /// So many calls come at a time; how many are let in. They come through after so long.
    fn heap(crowd: &Crowd, at: Moment, calls: u32, wait: Moment) -> u32 {
        let let_in = (0..calls).filter(|_| crowd.enter(at)).count() as u32;
        for _ in 0..let_in {
            crowd.came_through(at, at + wait);
            crowd.leave();
        }
        let_in
    }

    #[test]
    fn f1_a_burst_is_let_in_and_of_a_queue_that_stands_only_what_is_worked_off_soon() {
        let crowd = Crowd::new(40);
        assert_eq!(heap(&crowd, 0, 320, 90 * MS), 320, "a burst");
        assert_eq!(heap(&crowd, 90 * MS, 1, MS), 1, "it was worked off");
        assert_eq!(heap(&crowd, 100 * MS, 400, 90 * MS), 320, "a burst has an end too");
        // From 100 ms to 200 ms nobody has come through in less than 90 ms.
        for tenth in 2..10 {
            assert_eq!(heap(&crowd, tenth * 100 * MS, 100, 5 * MS), 10, "the queue stands");
        }
        let few: Vec<u32> = (10..15).map(|tenth| heap(&crowd, tenth * 100 * MS, 10, 5 * MS)).collect();
        assert_eq!(few, [10; 5], "half a second without refusals ends it");
        assert_eq!(heap(&crowd, 1_500 * MS, 80, 4 * MS), 80);
        assert_eq!(heap(&crowd, 1_600 * MS, 80, 4 * MS), 80, "and short waits do not bring it back");
    }

    #[test]
    fn f1_callers_who_send_again_at_once_are_let_in_again_after_an_overload() {
        let crowd = Crowd::new(64);
        heap(&crowd, 0, 400, 50 * MS);
        assert_eq!(heap(&crowd, 100 * MS, 40, MS), 16, "the queue has stood");
        // Forty callers: who is refused sends again, and all are worked off in a moment.
        let let_in: Vec<u32> = (2..9).map(|tenth| heap(&crowd, tenth * 100 * MS, 40, MS)).collect();
        assert_eq!(let_in, [32, 40, 40, 40, 40, 40, 40]);
        assert_eq!(crowd.queue().stands, None);
    }

    #[test]
    fn f1_a_heap_that_comes_once_in_a_while_is_no_overload() {
        let crowd = Crowd::new(64);
        for minute in 0..4 {
            assert_eq!(heap(&crowd, minute * 60_000 * MS, 400, 20 * MS), 400, "the machine is idle otherwise");
        }
        // One that stood until the end of the day says nothing of the morning.
        let night = 240_000 * MS;
        heap(&crowd, night, 400, 20 * MS);
        assert_eq!(heap(&crowd, night + 100 * MS, 400, 20 * MS), 16);
        assert_eq!(heap(&crowd, night + 8 * 3_600_000 * MS, 400, 20 * MS), 400);
    }

    #[test]
    fn f1_callers_who_wait_for_their_answers_are_not_refused_however_slow_the_machine() {
        let crowd = Crowd::new(40);
        for tenth in 0..30 {
            assert_eq!(heap(&crowd, tenth * 100 * MS, 40, 90 * MS), 40, "each sends again when it is answered");
        }
    }

    #[test]
    fn f1_what_nobody_asked_for_says_nothing_of_a_queue() {
        let crowd = Crowd::new(10);
        for second in 0..3 {
            assert_eq!(heap(&crowd, second * 1_000 * MS, 1, MS), 1, "the only one in a second");
        }
        assert_eq!(crowd.queue().stands, None);
    }

    /// Overload as it is: a runtime with one worker, and more calls than it comes to.
    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "no drain waits for a test")]
    async fn f1_calls_that_wait_for_a_worker_are_counted_until_it_comes() {
        let gate = Arc::new(Gate::new(4, 100_000));
        let calls: Vec<_> = (0..200)
            .map(|_| {
                let gate = Arc::clone(&gate);
                tokio::spawn(async move {
                    let Ok(mut place) = grpc::Gate::enter(&*gate) else { return false };
                    crate::stream::to_the_end_of_the_queue().await;
                    place.begin();
                    true
                })
            })
            .collect();
        let mut let_in = 0;
        for call in calls {
            let_in += u32::from(call.await.expect("a call"));
        }
        assert_eq!(let_in, 4 * Crowd::BURST, "no more wait at once, and all came before the first was through");
        assert_eq!(gate.crowd.queue().waiting, 0);
        assert!(grpc::Gate::enter(&*gate).is_ok(), "few wait, and none is refused");
        assert_eq!(gate.crowd.queue().waiting, 0, "who leaves while waiting waits no more");
    }

    #[test]
    fn f1_who_leaves_gives_the_place_to_another() {
        let gate = Gate::new(64, 2);
        let enter = || grpc::Gate::enter(&gate);
        let both = (enter().ok(), enter().ok());
        assert!(both.0.is_some() && both.1.is_some());
        assert!(matches!(enter().err(), Some(Error::Overloaded)), "two places, two calls");
        drop(both);
        assert!(enter().is_ok());
    }
}
