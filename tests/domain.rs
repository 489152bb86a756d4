//! The decisions, from outside: what is earned, redeemed, held, given back, and who brought whom. Every decision that
//! a case makes is also checked for what must always hold; see `kit::World::decide`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy's own exemption does not reach functions that tests share"
)]

mod domain {
    pub(crate) mod kit;

    mod adjustments;
    mod advance;
    mod allocation;
    mod amend;
    mod boards;
    mod bounds;
    mod building;
    mod catalogue;
    mod combining;
    mod conditions;
    mod draws;
    mod earn;
    mod events;
    mod found;
    mod goals;
    mod guests;
    mod history;
    mod life;
    mod members;
    mod merges;
    mod moves;
    mod occasions;
    mod payouts;
    mod people;
    mod prices;
    mod properties;
    mod quotes;
    mod reapply;
    mod recall;
    mod recipients;
    mod redeem;
    mod referral;
    mod referral_terms;
    mod reserve;
    mod returns;
    mod rewards;
    mod stamps;
    mod stats;
    mod stored;
    mod suspicion;
    mod tiers;
    mod touches;
    mod traps;
    mod value;
}
