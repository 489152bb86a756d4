//! What the programs of this crate share: the two contracts.

#[allow(clippy::all, reason = "generated")]
pub mod guerdon {
    tonic::include_proto!("guerdon.v1");
}

#[allow(clippy::all, reason = "generated")]
pub mod ratelimit {
    tonic::include_proto!("envoy.service.ratelimit.v3");
}
