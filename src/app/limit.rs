//! Lets calls in, before they are read: so many at a time, and where the machine cannot keep up, fewer. One more is refused at
//! once, so that none queues without end.
//!
//! A call that was let in waits until a worker of the runtime begins it, and again whenever it goes on. While that takes no
//! time on the average, calls come in as they please, bursts included. Once it takes [`WAIT_MAX`], calls come faster than they
//! can be worked on, and there are fewer places: as many as would have waited so long; when it no longer does, there are more
//! again, step by step. So those that are let in take little longer than on a machine that is not overloaded, however much is
//! offered: what is refused costs a small part of what is worked on, and connections are read often enough that what waits
//! waits here, where it is seen, and not in them. A few places there always are, so that a store that hangs, or callers who
//! wait for each other's answers, shut out nobody.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{info, warn};

use crate::grpc;
use crate::service::Error;
use crate::telemetry::metrics;

/// The average wait, over [`LOOK`], beyond which calls come faster than they can be begun.
const WAIT_MAX: Duration = Duration::from_millis(2);
const LOOK: Duration = Duration::from_millis(20);
/// From one look to the next, an eighth of the places that were taken stays at least, and one of sixteen goes at least, or
/// comes back: what is offered is much too much at once, and less again slowly.
const LEFT: u32 = 8;
const STEP: u32 = 16;

/// Where calls come in.
pub(super) struct Gate {
    places: Arc<Semaphore>,
    draining: AtomicBool,
    taken: Arc<Taken>,
}

impl Gate {
    /// `places_min` there always are, unless `places_max` is less.
    pub(super) fn new(places_min: u32, places_max: u32) -> Gate {
        let places = Arc::new(Semaphore::new(usize::try_from(places_max).unwrap_or(usize::MAX)));
        let taken = Arc::new(Taken::new(places_min.min(places_max), places_max, Instant::now()));
        Gate { places, draining: AtomicBool::new(false), taken }
    }

    /// Refuses calls from now on, and waits until none is being worked on.
    pub(super) async fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        // An error would mean that the places were closed, which nobody does.
        drop(self.places.acquire_many(self.taken.most).await);
    }
}

impl grpc::Gate for Gate {
    fn enter(&self) -> Result<Box<dyn grpc::Place>, Error> {
        if self.draining.load(Ordering::Acquire) {
            return Err(Error::Draining);
        }
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        if !self.taken.enter(Instant::now()) {
            return Err(Error::Overloaded);
        }
        metrics::in_flight(true);
        Ok(Box::new(Place { taken: Arc::clone(&self.taken), _permit: permit }))
    }
}

/// Held by a call while it is worked on; given back also when the caller leaves early.
struct Place {
    taken: Arc<Taken>,
    _permit: OwnedSemaphorePermit,
}

impl grpc::Place for Place {
    fn begun(&mut self, waited: Duration) {
        self.taken.begun(waited, Instant::now());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.leave();
        metrics::in_flight(false);
    }
}

/// How many places are taken, and how many there are for now.
struct Taken {
    now: AtomicU32,
    places: AtomicU32,
    fewest: u32,
    most: u32,
    seen: Mutex<Seen>,
}

/// Since the last look.
struct Seen {
    began: Instant,
    calls: u32,
    waited: Duration,
    taken_most: u32,
}

impl Taken {
    fn new(fewest: u32, most: u32, now: Instant) -> Taken {
        let seen = Seen { began: now, calls: 0, waited: Duration::ZERO, taken_most: 0 };
        Taken { now: AtomicU32::new(0), places: AtomicU32::new(most), fewest, most, seen: Mutex::new(seen) }
    }

    /// Takes a place; `false`: there is none for now.
    fn enter(&self, now: Instant) -> bool {
        let before = self.now.fetch_add(1, Ordering::AcqRel);
        if before < self.places.load(Ordering::Acquire) {
            return true;
        }
        self.leave();
        // Those that are in may wait for something else than the machine, and begin no other.
        self.look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner), now);
        false
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::AcqRel);
    }

    fn begun(&self, waited: Duration, now: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.calls += 1;
        seen.waited += waited;
        seen.taken_most = seen.taken_most.max(self.now.load(Ordering::Acquire));
        self.look(&mut seen, now);
    }

    /// Makes places fewer or more, where it is time for that.
    fn look(&self, seen: &mut Seen, now: Instant) {
        if now.saturating_duration_since(seen.began) < LOOK {
            return;
        }
        let average = seen.waited.checked_div(seen.calls).unwrap_or_default();
        let before = self.places.load(Ordering::Acquire);
        let after = if WAIT_MAX < average {
            // What waits grows with what is let in.
            let used = before.min(seen.taken_most);
            let fair = u128::from(used) * WAIT_MAX.as_nanos() / average.as_nanos();
            let fair = u32::try_from(fair).unwrap_or(used); // no more than `used`
            fair.clamp(used / LEFT, used - used / STEP).max(self.fewest).min(before)
        } else {
            before.saturating_add((before / STEP).max(1)).min(self.most)
        };
        *seen = Seen { began: now, calls: 0, waited: Duration::ZERO, taken_most: 0 };
        self.places.store(after, Ordering::Release);
        if before == self.most && after < before {
            warn!(waited_ms = average.as_millis(), "calls come faster than they can be begun: some may be refused");
        } else if before < after && after == self.most {
            info!("calls are begun as fast as they come");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// So many at once, each begun after it has waited so long; how many were let in.
    fn burst(taken: &Taken, calls: u32, waited: Duration, now: Instant) -> u32 {
        let let_in = (0..calls).filter(|_| taken.enter(now)).count() as u32;
        (0..let_in).for_each(|_| taken.begun(waited, now));
        (0..let_in).for_each(|_| taken.leave());
        let_in
    }

    #[test]
    fn f1_a_burst_is_let_in_and_what_comes_too_fast_for_long_is_not() {
        let began = Instant::now();
        let taken = Taken::new(10, 1_000, began);
        assert_eq!(burst(&taken, 500, MS, began + 60 * MS), 500, "it was no more than a burst");
        assert_eq!(burst(&taken, 1_500, 5 * MS, began + 120 * MS), 1_000, "no more than places");
        let mut places = 1_000;
        for look in 3..40 {
            let let_in = burst(&taken, 1_500, 5 * MS, began + look * 60 * MS);
            // What a burst came to is seen with the next.
            assert!(let_in < places || let_in == 10 || look == 3, "{let_in} after {places}");
            places = let_in;
        }
        assert_eq!(places, 10, "so many always");
    }

    #[test]
    fn f1_there_are_more_places_again_once_calls_are_begun_at_once() {
        let began = Instant::now();
        let taken = Taken::new(10, 100, began);
        for look in 1..20 {
            burst(&taken, 100, 5 * MS, began + look * 60 * MS);
        }
        assert_eq!(burst(&taken, 100, MS, began + 20 * 60 * MS), 10);
        for look in 21..80 {
            burst(&taken, 1, MS, began + look * 60 * MS);
        }
        assert_eq!(burst(&taken, 200, MS, began + 80 * 60 * MS), 100);
    }

    #[test]
    fn f1_calls_that_wait_for_something_else_than_the_machine_make_room_for_others() {
        let began = Instant::now();
        let taken = Taken::new(10, 100, began);
        for look in 1..20 {
            burst(&taken, 100, 5 * MS, began + look * 60 * MS);
        }
        // One member's calls hold all that there is, and end never.
        let mut held = (0..100).filter(|_| taken.enter(began + 1_200 * MS)).count();
        assert!(held < 15, "{held}");
        for look in 21..60 {
            held += usize::from(taken.enter(began + look * 60 * MS));
        }
        assert!(20 < held, "others come in beside them: {held}");
    }

    #[test]
    fn f1_who_leaves_gives_the_place_to_another() {
        let gate = Gate::new(64, 2);
        let enter = || grpc::Gate::enter(&gate);
        let both = (enter().ok(), enter().ok());
        assert!(both.0.is_some() && both.1.is_some());
        assert!(matches!(enter().err(), Some(Error::Overloaded)), "two places, two calls");
        drop(both);
        assert_eq!(gate.taken.now.load(Ordering::Acquire), 0);
        assert!(enter().is_ok());
    }
}
