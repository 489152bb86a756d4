//! The gRPC face: wire to domain and back, statuses, limits. Generated types stop here.

pub mod wire;
