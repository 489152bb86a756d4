//! Lets calls in, before they are read: so many at a time, and where the machine cannot keep up, no more than it begins
//! at once. One more is refused at once, so that none queues without end.
//!
//! A call that was let in waits until a worker of the runtime begins it. As long as that takes no time on the average, calls
//! come in as they please, bursts included. Once it takes [`WAIT_MAX`] the gate is tight: only [`BEGINNING_PER_CORE`] calls for
//! each core may wait to be begun, and what comes beyond them is refused, which costs a small part of what a call costs. How
//! long those that are let in wait is bounded by that alone, however much is offered. The gate opens again once hardly
//! anything had to be refused.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{info, warn};

use crate::grpc;
use crate::service::Error;
use crate::telemetry::metrics;

/// The average wait, over [`LOOK`], beyond which calls come faster than they can be begun.
const WAIT_MAX: Duration = Duration::from_millis(2);
const LOOK: Duration = Duration::from_millis(50);
/// What a queue holds 99 % of the time at 80 % of what can be done is about twenty calls: as many may wait, so that who is let
/// in waits little longer than at that load, and little is refused at that load.
const BEGINNING_PER_CORE: usize = 12;
/// A tight gate opens when in so long a time ...
const CALM: Duration = Duration::from_secs(1);
/// ... no more than one of so many calls was refused.
const REFUSED_ONE_OF: u64 = 50;

/// Where calls come in.
pub(super) struct Gate {
    places: Arc<Semaphore>,
    places_max: u32,
    draining: AtomicBool,
    pressure: Arc<Pressure>,
}

impl Gate {
    pub(super) fn new(places_max: u32) -> Gate {
        let places = Arc::new(Semaphore::new(usize::try_from(places_max).unwrap_or(usize::MAX)));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let pressure = Arc::new(Pressure::new(cores * BEGINNING_PER_CORE, Instant::now()));
        Gate { places, places_max, draining: AtomicBool::new(false), pressure }
    }

    /// Refuses calls from now on, and waits until none is being worked on.
    pub(super) async fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        // An error would mean that the places were closed, which nobody does.
        drop(self.places.acquire_many(self.places_max).await);
    }
}

impl grpc::Gate for Gate {
    fn enter(&self) -> Result<Box<dyn grpc::Place>, Error> {
        if self.draining.load(Ordering::Acquire) {
            return Err(Error::Draining);
        }
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        if !self.pressure.enter() {
            return Err(Error::Overloaded);
        }
        metrics::in_flight(true);
        Ok(Box::new(Place { pressure: Arc::clone(&self.pressure), begun: false, _permit: permit }))
    }
}

/// Held by a call while it is worked on; given back also when the caller leaves early.
struct Place {
    pressure: Arc<Pressure>,
    begun: bool,
    _permit: OwnedSemaphorePermit,
}

impl grpc::Place for Place {
    fn begun(&mut self, waited: Duration) {
        self.begun = true;
        self.pressure.begun(waited, Instant::now());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.begun {
            self.pressure.left();
        }
        metrics::in_flight(false);
    }
}

/// How calls wait to be begun.
struct Pressure {
    beginning: AtomicUsize,
    beginning_max: usize,
    tight: AtomicBool,
    seen: Mutex<Seen>,
}

struct Seen {
    look_began: Instant,
    calls: u32,
    waited: Duration,
    calm_began: Instant,
    let_in: u64,
    refused: u64,
}

impl Pressure {
    fn new(beginning_max: usize, now: Instant) -> Pressure {
        let seen =
            Seen { look_began: now, calls: 0, waited: Duration::ZERO, calm_began: now, let_in: 0, refused: 0 };
        Pressure {
            beginning: AtomicUsize::new(0),
            beginning_max,
            tight: AtomicBool::new(false),
            seen: Mutex::new(seen),
        }
    }

    /// Counts a call that waits to be begun; `false`: there are too many.
    fn enter(&self) -> bool {
        let before = self.beginning.fetch_add(1, Ordering::AcqRel);
        if before < self.beginning_max || !self.tight.load(Ordering::Acquire) {
            return true;
        }
        self.left();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).refused += 1;
        false
    }

    fn left(&self) {
        self.beginning.fetch_sub(1, Ordering::AcqRel);
    }

    fn begun(&self, waited: Duration, now: Instant) {
        self.left();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.let_in += 1;
        seen.calls += 1;
        seen.waited += waited;
        if LOOK <= now.saturating_duration_since(seen.look_began) {
            let average = seen.waited / seen.calls;
            (seen.look_began, seen.calls, seen.waited) = (now, 0, Duration::ZERO);
            if WAIT_MAX < average && !self.tight.swap(true, Ordering::AcqRel) {
                (seen.calm_began, seen.let_in, seen.refused) = (now, 0, 0);
                warn!(waited_ms = average.as_millis(), "calls come faster than they can be begun: some are refused");
            }
        }
        if self.tight.load(Ordering::Acquire) && CALM <= now.saturating_duration_since(seen.calm_began) {
            let calm = seen.refused.saturating_mul(REFUSED_ONE_OF) <= seen.let_in;
            (seen.calm_began, seen.let_in, seen.refused) = (now, 0, 0);
            if calm {
                self.tight.store(false, Ordering::Release);
                info!("calls come as fast as they can be begun");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Lets one in at an instant, and begins it after it has waited so long.
    fn one(pressure: &Pressure, waited: Duration, now: Instant) {
        assert!(pressure.enter());
        pressure.begun(waited, now);
    }

    #[test]
    fn f1_a_burst_is_let_in_and_what_comes_too_fast_for_long_is_not() {
        let began = Instant::now();
        let pressure = Pressure::new(3, began);
        // Any number at once, as long as they are begun soon.
        assert!((0..100).all(|_| pressure.enter()));
        for _ in 0..100 {
            pressure.begun(MS, began + 60 * MS);
        }
        assert!((0..100).all(|_| pressure.enter()), "it was no more than a burst");
        for _ in 0..100 {
            pressure.begun(5 * MS, began + 120 * MS);
        }
        // It has been too long on the average: so many may wait, and one more may not.
        assert!((0..3).all(|_| pressure.enter()));
        assert!(!pressure.enter());
        pressure.begun(MS, began + 130 * MS);
        assert!(pressure.enter(), "one has been begun, another may wait");
        assert!(!pressure.enter());
    }

    #[test]
    fn f1_a_tight_gate_opens_once_hardly_anything_is_refused() {
        let began = Instant::now();
        let pressure = Pressure::new(1, began);
        one(&pressure, 5 * MS, began + 60 * MS);
        let is_tight = || pressure.tight.load(Ordering::Acquire);
        assert!(is_tight());
        // A second in which one of three is refused.
        for nth in 0..20 {
            assert!(pressure.enter());
            assert!(!pressure.enter());
            pressure.begun(MS, began + (100 + 50 * nth) * MS);
        }
        one(&pressure, MS, began + 1_100 * MS);
        assert!(is_tight());
        // A second in which nothing is.
        for nth in 0..22 {
            one(&pressure, MS, began + (1_110 + 50 * nth) * MS);
        }
        assert!(!is_tight());
    }

    #[test]
    fn f1_who_leaves_before_being_begun_waits_no_more() {
        let gate = Gate::new(2);
        let enter = || grpc::Gate::enter(&gate);
        let (one, other) = (enter().unwrap_or_else(|_| unreachable!()), enter());
        assert!(other.is_ok());
        assert!(matches!(enter().err(), Some(Error::Overloaded)), "two places, two calls");
        drop((one, other));
        assert_eq!(gate.pressure.beginning.load(Ordering::Acquire), 0);
        assert!(enter().is_ok());
    }
}
