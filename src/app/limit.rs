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

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
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
        self.crowd.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Microseconds since the crowd began.
type Moment = u64;

/// Calls that wait for a worker, and how many may.
#[derive(Debug)]
struct Crowd {
    began: Instant,
    waiting: AtomicU32,
    /// While the queue stands, how many may wait; 0: it does not stand.
    stands: AtomicU32,
    /// For how many intervals few have been refused.
    quiet: AtomicU32,
    /// When the interval began; and in it, the shortest wait of those that came through, all their waits and how many they were, the
    /// most that waited at a time, and how many calls came and were refused.
    since: AtomicU64,
    shortest_wait: AtomicU64,
    waits_sum: AtomicU64,
    came_through: AtomicU32,
    most_waiting: AtomicU32,
    came: AtomicU32,
    refused: AtomicU32,
    waiting_max: u32,
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
        Crowd {
            began: Instant::now(),
            waiting: AtomicU32::new(0),
            stands: AtomicU32::new(0),
            quiet: AtomicU32::new(0),
            since: AtomicU64::new(0),
            shortest_wait: AtomicU64::new(Moment::MAX),
            waits_sum: AtomicU64::new(0),
            came_through: AtomicU32::new(0),
            most_waiting: AtomicU32::new(0),
            came: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            waiting_max,
        }
    }

    fn now(&self) -> Moment {
        Moment::try_from(self.began.elapsed().as_micros()).unwrap_or(Moment::MAX)
    }

    /// A worker has come to a call; whether it is let in, and waits from then on.
    fn enter(&self, now: Moment) -> bool {
        let since = self.since.load(Ordering::Acquire);
        let age = now.saturating_sub(since);
        if Crowd::INTERVAL <= age
            && self.since.compare_exchange(since, now, Ordering::AcqRel, Ordering::Acquire).is_ok()
        {
            self.settle(age);
        }
        self.came.fetch_add(1, Ordering::AcqRel);
        let max = match self.stands.load(Ordering::Acquire) {
            0 => self.waiting_max.saturating_mul(Crowd::BURST),
            few => few,
        };
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        self.most_waiting.fetch_max(before, Ordering::AcqRel);
        let let_in = before < max;
        if !let_in {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            self.refused.fetch_add(1, Ordering::AcqRel);
        }
        let_in
    }

    /// A worker has come to it again, and begins.
    fn came_through(&self, since: Moment, now: Moment) {
        let wait = now.saturating_sub(since);
        self.shortest_wait.fetch_min(wait, Ordering::AcqRel);
        self.waits_sum.fetch_add(wait, Ordering::AcqRel);
        self.came_through.fetch_add(1, Ordering::AcqRel);
    }

    /// An interval is over that has lasted so long.
    fn settle(&self, age: Moment) {
        let shortest = self.shortest_wait.swap(Moment::MAX, Ordering::AcqRel);
        let waits = self.waits_sum.swap(0, Ordering::AcqRel);
        let through = u64::from(self.came_through.swap(0, Ordering::AcqRel));
        let most = self.most_waiting.swap(0, Ordering::AcqRel);
        let (came, refused) = (self.came.swap(0, Ordering::AcqRel), self.refused.swap(0, Ordering::AcqRel));
        let allowed = self.stands.load(Ordering::Acquire);
        // Nobody came for some time: whatever was before, nobody waits now.
        let is_over = 2 * Crowd::INTERVAL <= age;
        let least = (self.waiting_max / Crowd::CALM).max(1);
        if allowed == 0 {
            let all_waited = shortest != Moment::MAX && Crowd::TARGET <= shortest;
            if !is_over && self.waiting_max <= most && all_waited {
                self.quiet.store(0, Ordering::Release);
                self.stands.store(least, Ordering::Release);
                warn!(
                    shortest_wait_us = shortest,
                    most_waiting = most,
                    "calls come faster than they can be worked on: some are refused"
                );
            }
            return;
        }
        let few = refused.saturating_mul(Crowd::FEW) <= came;
        let quiet = if few { self.quiet.fetch_add(1, Ordering::AcqRel) + 1 } else { 0 };
        self.quiet.store(quiet, Ordering::Release);
        if is_over || Crowd::QUIET <= quiet {
            self.stands.store(0, Ordering::Release);
            info!("calls are worked on as fast as they come");
        } else if waits < Crowd::TARGET.saturating_mul(through) {
            self.stands.store(allowed.saturating_mul(2).min(self.waiting_max), Ordering::Release);
        } else if 0 < through {
            self.stands.store((allowed / 2).max(least), Ordering::Release);
        }
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
            crowd.waiting.fetch_sub(1, Ordering::AcqRel);
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
        assert_eq!(crowd.stands.load(Ordering::Acquire), 0);
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
        assert_eq!(crowd.stands.load(Ordering::Acquire), 0);
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
                    grpc::to_the_end_of_the_queue().await;
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
        assert_eq!(gate.crowd.waiting.load(Ordering::Acquire), 0);
        assert!(grpc::Gate::enter(&*gate).is_ok(), "few wait, and none is refused");
        assert_eq!(gate.crowd.waiting.load(Ordering::Acquire), 0, "who leaves while waiting waits no more");
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
