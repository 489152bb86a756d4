//! Lets calls in, before they are read: so many at a time, and where they come faster than they can be worked on, only some. The
//! others are refused at once, so that none queues without end.
//!
//! A call that comes in waits in the queue of the runtime until a worker comes to it, and is first heard of then. How many
//! wait is seen by a task that does nothing but go to the end of that queue: so many calls as were begun until it was at the
//! front. As long as that is no more than some for each core ([`Crowd`]), calls come in as they please: a burst is worked off, and callers
//! who send again when they are answered are never more. When it is more, such a part is refused that the rest is worked off in
//! little time: what is refused costs a small part of what is worked on, so connections are read again soon, and what is let
//! in takes little longer than on a machine that is not overloaded, however much is offered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tracing::{info, warn};

use crate::grpc;
use crate::service::Error;
use crate::telemetry::metrics;

/// Between two times that the queue is gone through.
const PAUSE: Duration = Duration::from_millis(2);
/// What to do is settled by the average of so many times at least, over so long at least: calls come off the network in heaps.
const LOOKS: u32 = 3;
const SETTLE: Duration = Duration::from_millis(20);
/// After so many times that nothing waited, nobody looks until there is a call again.
const IDLE_LOOKS: u32 = 100;

/// Where calls come in.
pub(super) struct Gate {
    places: Arc<Semaphore>,
    places_max: u32,
    draining: AtomicBool,
    crowd: Crowd,
    /// Whether nobody looks at the crowd, and how to change that.
    asleep: AtomicBool,
    wake: Notify,
}

impl Gate {
    /// At most so many calls at a time; some are refused when more than `waiting_max` wait for a worker.
    pub(super) fn new(waiting_max: u32, places_max: u32) -> Gate {
        Gate {
            places: Arc::new(Semaphore::new(usize::try_from(places_max).unwrap_or(usize::MAX))),
            places_max,
            draining: AtomicBool::new(false),
            crowd: Crowd::new(waiting_max),
            asleep: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    /// Refuses calls from now on, and waits until none is being worked on.
    pub(super) async fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        // An error would mean that the places were closed, which nobody does.
        drop(self.places.acquire_many(self.places_max).await);
    }

    /// Looks how many calls wait, whenever there are any; never ends.
    pub(super) async fn watch(&self) {
        loop {
            let (mut idle, mut looks, mut waited, mut since) = (0, 0, 0u32, Instant::now());
            while idle < IDLE_LOOKS {
                tokio::time::sleep(PAUSE).await;
                let before = self.crowd.begun.load(Ordering::Acquire);
                to_the_end_of_the_queue().await;
                let now = self.crowd.begun.load(Ordering::Acquire).wrapping_sub(before);
                idle = if 0 < now { 0 } else { idle + 1 };
                (looks, waited) = (looks + 1, waited.saturating_add(now));
                if LOOKS <= looks && SETTLE <= since.elapsed() {
                    if self.crowd.seen(waited / looks) {
                        idle = 0;
                    }
                    (looks, waited, since) = (0, 0, Instant::now());
                }
            }
            self.asleep.store(true, Ordering::Release);
            self.wake.notified().await;
        }
    }
}

impl grpc::Gate for Gate {
    fn enter(&self) -> Result<grpc::Place, Error> {
        if self.asleep.load(Ordering::Acquire) && self.asleep.swap(false, Ordering::AcqRel) {
            self.wake.notify_one();
        }
        if self.draining.load(Ordering::Acquire) {
            return Err(Error::Draining);
        }
        if !self.crowd.enter() {
            return Err(Error::Overloaded);
        }
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        metrics::in_flight(true);
        Ok(Box::new(Place { _permit: permit }))
    }
}

/// Comes back when a worker has done everything that was in its queue. What wakes itself while it is worked on goes to the end;
/// `yield_now` would wait for the next look at the network besides.
async fn to_the_end_of_the_queue() {
    let mut was_there = false;
    std::future::poll_fn(|context| {
        if was_there {
            return Poll::Ready(());
        }
        was_there = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Held by a call while it is worked on; given back also when the caller leaves early.
struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::in_flight(false);
    }
}

/// Calls that wait for a worker, and which part of those that come is let in.
struct Crowd {
    /// Calls that workers have come to, refused ones included; begins again at 0 after the highest number.
    begun: AtomicU32,
    /// How many of [`Crowd::WHOLE`] calls are let in.
    let_in: AtomicU32,
    /// Whenever a multiple of [`Crowd::WHOLE`] is passed, a call is refused: so refusals are spread evenly.
    spread: AtomicU32,
    /// When more wait, calls are refused.
    waiting_max: u32,
}

impl Crowd {
    const WHOLE: u32 = 1 << 16;
    /// While calls are refused, this part of `waiting_max` is to wait and no more: for each step of its way a call that is let in
    /// waits for all of them.
    const CALM: u32 = 4;
    /// While too many wait, at least this part of the share that is let in stays each time; while few do, this part of it is added.
    const LESS: u32 = 2;
    const MORE: u32 = 8;
    /// The least share that is let in, and the least that is added to it.
    const SOME: u32 = Crowd::WHOLE / 1_024;

    fn new(waiting_max: u32) -> Crowd {
        let at = AtomicU32::new;
        Crowd { begun: at(0), let_in: at(Crowd::WHOLE), spread: at(0), waiting_max }
    }

    /// A worker has come to a call; whether it is let in.
    fn enter(&self) -> bool {
        self.begun.fetch_add(1, Ordering::AcqRel);
        let refused = Crowd::WHOLE - self.let_in.load(Ordering::Acquire); // never more than `WHOLE`
        if refused == 0 {
            return true;
        }
        let before = self.spread.fetch_add(refused, Ordering::AcqRel);
        before / Crowd::WHOLE == before.wrapping_add(refused) / Crowd::WHOLE
    }

    /// So many calls wait at once, on the average. Whether there is anything to look after.
    fn seen(&self, waited: u32) -> bool {
        let before = self.let_in.load(Ordering::Acquire);
        let all = before == Crowd::WHOLE;
        let calm = (self.waiting_max / Crowd::CALM).max(1);
        let after = if waited <= if all { self.waiting_max } else { calm } {
            before.saturating_add((before / Crowd::MORE).max(Crowd::SOME)).min(Crowd::WHOLE)
        } else {
            let fair = u64::from(before) * u64::from(calm) / u64::from(waited);
            let fair = u32::try_from(fair).unwrap_or(before); // no more than `before`
            fair.max(if all { 0 } else { before / Crowd::LESS }).max(Crowd::SOME)
        };
        self.let_in.store(after, Ordering::Release);
        if all && after < Crowd::WHOLE {
            warn!(waiting = waited, "calls come faster than they can be worked on: some are refused");
        } else if !all && after == Crowd::WHOLE {
            info!("calls are worked on as fast as they come");
        }
        0 < waited || after < Crowd::WHOLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many calls, how many are let in.
    fn let_in(crowd: &Crowd, calls: u32) -> u32 {
        (0..calls).filter(|_| crowd.enter()).count() as u32
    }

    #[test]
    fn f1_of_a_crowd_so_many_are_let_in_as_are_worked_off_in_little_time() {
        let crowd = Crowd::new(120);
        assert_eq!(let_in(&crowd, 1_000), 1_000);
        assert!(crowd.seen(120), "they are as many as may wait");
        assert_eq!(let_in(&crowd, 1_000), 1_000);
        // That many wait; of a thousand so many are let in then.
        for (waited, expected) in [(300, 100), (60, 50), (3_000, 25), (30, 28), (29, 31), (3_000, 16), (300_000, 8)] {
            crowd.seen(waited);
            let found = let_in(&crowd, 1_000);
            assert!((expected - 1..=expected + 1).contains(&found), "{found} of 1000 while {waited} wait");
        }
    }

    #[test]
    fn f1_refusals_end_once_few_wait() {
        let crowd = Crowd::new(120);
        crowd.seen(600);
        let (mut looks, mut before) = (0, 0);
        while let_in(&crowd, 1_000) < 1_000 {
            assert!(crowd.seen(30), "there is something to look after");
            let now = let_in(&crowd, 1_000);
            assert!(before <= now, "{before} then {now}");
            (looks, before) = (looks + 1, now);
        }
        assert!((10..100).contains(&looks), "not at once: {looks}");
        assert!(!crowd.seen(0));
    }

    #[test]
    fn f1_refusals_are_spread_evenly_for_ever() {
        let crowd = Crowd::new(120);
        crowd.spread.store(u32::MAX - 100_000, Ordering::Release);
        crowd.seen(121); // of which thirty are to wait
        for _ in 0..10 {
            assert!((246..=250).contains(&let_in(&crowd, 1_000)), "one of four");
        }
    }

    /// Overload as it is: a runtime with one worker, and more calls than it comes to.
    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "no drain waits for a test")]
    async fn f1_how_many_wait_in_the_queue_of_the_runtime_is_seen() {
        let gate = Arc::new(Gate::new(30, 100_000));
        let watched = Arc::clone(&gate);
        let watching = tokio::spawn(async move { watched.watch().await });
        let (mut refused, mut bursts) = (0, 0);
        while refused == 0 {
            let calls: Vec<_> = (0..200)
                .map(|_| {
                    let gate = Arc::clone(&gate);
                    tokio::spawn(async move { grpc::Gate::enter(&*gate).is_err() })
                })
                .collect();
            for call in calls {
                refused += u32::from(call.await.expect("a call"));
            }
            bursts += 1;
            assert!(bursts < 10_000, "two hundred at once, again and again, and none is refused");
        }
        // It looks on until nothing has waited for long; then a call makes it look again.
        while !gate.asleep.load(Ordering::Acquire) {
            tokio::time::sleep(PAUSE).await;
        }
        assert!(grpc::Gate::enter(&*gate).is_ok(), "few wait, and none is refused");
        assert!(!gate.asleep.load(Ordering::Acquire));
        watching.abort();
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
