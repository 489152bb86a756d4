//! The gRPC face on its own: what requests become, what answers become, and what callers are told when something is
//! wrong. Behind it stands a fake that answers what it is told to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy's own exemption does not reach functions that tests share"
)]

mod wire {
    pub(crate) mod kit;

    mod answers;
    mod audit;
    mod events;
    mod fingerprints;
    mod hostile;
    mod malformed;
    mod meaning;
    mod payouts;
    mod people;
    mod rewards;
    mod server;
    mod standing;
    mod writes;
}
