//! The generated contract.

#![allow(
    unreachable_pub,
    unused_qualifications,
    clippy::doc_lazy_continuation,
    clippy::large_enum_variant,
    reason = "generated code"
)]

tonic::include_proto!("guerdon.v1");

/// All messages and services with their comments, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guerdon.fds.bin"));
