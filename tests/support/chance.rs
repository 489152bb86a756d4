//! Chance that can be had again: what a test draws follows from its seed, on every machine.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::hash::{BuildHasher, RandomState};

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// With the seed of `GUERDON_SEED`, else with one of its own; a failure is to print it.
    pub fn seeded() -> (u64, Chance) {
        let asked = std::env::var("GUERDON_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = asked.unwrap_or_else(|| RandomState::new().hash_one("seed"));
        (seed, Chance(seed))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    /// From `from` to `until`, both included.
    pub fn within(&mut self, from: i64, until: i64) -> i64 {
        let drawn = self.next() % u64::try_from(until - from + 1).expect("from comes first");
        from + i64::try_from(drawn).expect("within an i64")
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}
