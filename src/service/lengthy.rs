//! Work that goes on for long without waiting for anything: the folding of a ledger, above all.
//!
//! A thread that works on calls does one thing until that waits. Whoever folds entries by the thousand stands back after a part of
//! it, so that checkouts, which take some fifty microseconds each, come between the parts.

use std::time::{Duration, Instant};

/// What a checkout may wait for one such work, each time it needs a thread.
const AT_A_TIME_MAX: Duration = Duration::from_micros(250);

/// Since when work goes on without a wait.
pub(super) struct Lengthy(Instant);

impl Lengthy {
    pub(super) fn begins() -> Lengthy {
        Lengthy(Instant::now())
    }

    /// Called after a wait, for a store above all: others had their turn meanwhile.
    pub(super) fn goes_on(&mut self) {
        self.0 = Instant::now();
    }

    /// Called between steps that are short. Lets everybody else go first who is ready, or whom the network has something for, once
    /// this has taken long enough.
    pub(super) async fn step(&mut self) {
        if AT_A_TIME_MAX <= self.0.elapsed() {
            // Unlike the end of the queue, this is behind a look at the network.
            tokio::task::yield_now().await;
            self.goes_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// On one thread, which is all that others have.
    #[tokio::test]
    async fn others_come_between_the_parts_of_what_takes_long() {
        let turns = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&turns);
        #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
        let other = tokio::spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let mut work = Lengthy(Instant::now() + Duration::from_secs(60));
        for _ in 0..1_000 {
            work.step().await;
        }
        assert_eq!(turns.load(Ordering::Relaxed), 0, "it has taken no time: nobody was let in");
        for part in 1..=3 {
            work.0 -= Duration::from_secs(120);
            let before = turns.load(Ordering::Relaxed);
            work.step().await;
            assert!(before < turns.load(Ordering::Relaxed), "part {part}");
            assert!(work.0.elapsed() < Duration::from_secs(60), "it begins anew");
        }
        other.abort();
    }
}
