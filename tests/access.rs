//! Who is let in, and to what: a whole server with credentials, asked by everybody for everything.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy's own exemption does not reach functions that tests share"
)]

mod support {
    pub mod binary;
    pub mod contract;
}

mod access_cases {
    mod certificates;
    mod kit;
    mod limits;
    mod rates;
    mod roles;
    mod running;
    mod tenants;
    mod tokens;
}
