//! How often a credential may call.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Calls per second on the long run, and how many may come at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    pub per_second: NonZeroU32,
    pub burst: NonZeroU32,
}

/// Counts the calls of one credential in this instance.
#[derive(Debug)]
pub(super) struct Limiter {
    rate: Rate,
    bucket: DefaultDirectRateLimiter,
}

impl Limiter {
    pub(super) fn new(rate: Rate) -> Limiter {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Limiter { rate, bucket: RateLimiter::direct(quota) }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes one call; `Err`: not yet, and when.
    pub(super) fn take(&self) -> Result<(), Duration> {
        self.bucket.check().map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_it_is_told_when() {
        // One in a thousand seconds would need another unit: the slowest rate is one per second.
        let (per_second, burst) = (NonZeroU32::MIN, NonZeroU32::new(3).unwrap());
        let limiter = Limiter::new(Rate { per_second, burst });
        let taken = (0..3).filter(|_| limiter.take().is_ok()).count();
        assert_eq!(taken, 3);
        let wait = limiter.take().unwrap_err();
        assert!(Duration::ZERO < wait && wait <= Duration::from_secs(1), "{wait:?}");
    }
}
