//! Redis as the tests start it: alone, and several that belong together.

#[path = "../../tests/support/redis.rs"]
pub(crate) mod redis;
#[path = "../../tests/support/topologies.rs"]
pub(crate) mod topologies;
