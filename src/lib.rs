//! Guerdon decides, inside a checkout call, what a purchase earns and what it may redeem, and who gets the
//! credit when a customer brings a friend.
//!
//! Arrows point one way: `domain <- program <- store <- service <- grpc <- app <- main`.

pub mod access;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod grpc;
pub mod program;
pub mod service;
pub mod store;
pub mod stream;
pub mod telemetry;
