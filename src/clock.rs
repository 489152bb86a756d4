//! Reads the time: the one place that does. Everything below is given an [`Instant`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::time::Instant;
use crate::store::ClockMs;

/// What time it is. Clones share their state.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    /// The latest instant that a request named.
    Follow(Arc<AtomicI64>),
    /// What was set.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// This machine's clock.
    pub fn system() -> Clock {
        Clock(Kind::System)
    }

    /// A clock that follows the requests, for replays and simulations of the past: the time of a request is the
    /// instant that it names. Never for real customers, who could then choose the time.
    pub fn follow() -> Clock {
        Clock(Kind::Follow(Arc::new(AtomicI64::new(Instant::MIN.0))))
    }

    /// A clock that stands at `at` until it is [set](Clock::set), for tests.
    pub fn manual(at: Instant) -> Clock {
        Clock(Kind::Manual(Arc::new(AtomicI64::new(at.0))))
    }

    /// The time at which a request that names `occurred_at` is decided.
    ///
    /// A following clock answers the request's own instant, not the latest of all requests: members are replayed
    /// side by side, and how far one has come must not change what another gets. Without an instant it answers
    /// the latest that it has seen, and 2000-01-01 before the first.
    pub fn now(&self, occurred_at: Option<Instant>) -> Instant {
        match (&self.0, occurred_at) {
            (Kind::System, _) => system_now(),
            (Kind::Follow(latest), Some(at)) => {
                latest.fetch_max(at.0, Ordering::Relaxed);
                at
            }
            (Kind::Follow(latest), None) => Instant(latest.load(Ordering::Relaxed)),
            (Kind::Manual(at), _) => Instant(at.load(Ordering::Relaxed)),
        }
    }

    /// Whether requests choose the time. The sweeper is off then, and the driver says when a day is over.
    pub fn follows(&self) -> bool {
        matches!(self.0, Kind::Follow(_))
    }

    /// Moves a manual clock, in either direction; has no effect on the others.
    pub fn set(&self, now: Instant) {
        if let Kind::Manual(at) = &self.0 {
            at.store(now.0, Ordering::Relaxed);
        }
    }

    /// The clock by which a store on this machine lets receipts expire. A following clock gives the machine's:
    /// how long a caller may resend is a matter of real time, whatever past is being replayed.
    pub fn for_store(&self) -> ClockMs {
        match &self.0 {
            Kind::System | Kind::Follow(_) => Arc::new(|| system_now().0),
            Kind::Manual(at) => {
                let at = Arc::clone(at);
                Arc::new(move || at.load(Ordering::Relaxed))
            }
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
fn system_now() -> Instant {
    // A machine that believes to live before 1970 is caught by `Instant::in_bounds` at start-up.
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant(i64::try_from(since_epoch.as_millis()).unwrap_or(Instant::MAX.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_clock_ignores_what_a_request_names() {
        let clock = Clock::system();
        let before = clock.now(None);
        let asked = clock.now(Some(Instant::MIN));
        assert!(before <= asked && asked.in_bounds(), "{before:?} then {asked:?}");
        assert!(!clock.follows());
    }

    #[test]
    fn a_following_clock_gives_each_request_its_own_instant() {
        let clock = Clock::follow();
        assert!(clock.follows());
        // named                        expected                    why
        for (named, expected, why) in [
            (None, Instant::MIN, "nothing was seen yet"),
            (Some(Instant(1_500_000_000_000)), Instant(1_500_000_000_000), "its own"),
            (Some(Instant(1_400_000_000_000)), Instant(1_400_000_000_000), "its own, though another was later"),
            (None, Instant(1_500_000_000_000), "the latest seen"),
        ] {
            assert_eq!(clock.now(named), expected, "{why}");
        }
        let store_ms = clock.for_store()();
        assert!(1_500_000_000_000 < store_ms, "receipts expire by real time, got {store_ms}");
    }

    #[test]
    fn a_manual_clock_stands_until_it_is_set() {
        let clock = Clock::manual(Instant(1_600_000_000_000));
        let clone = clock.clone();
        let for_store = clock.for_store();
        assert_eq!(clock.now(Some(Instant(5))), Instant(1_600_000_000_000));
        clone.set(Instant(1_500_000_000_000));
        assert_eq!(clock.now(None), Instant(1_500_000_000_000));
        assert_eq!(for_store(), 1_500_000_000_000);
    }
}
