//! The Redis store's fixture: a server of its own for each test, which writes before it acknowledges.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guerdon::store::Store;
use guerdon::store::redis::{RedisSettings, RedisStore};

use super::kit::*;
use crate::support::redis::RedisServer;

pub(crate) struct RedisFixture {
    server: RedisServer,
    store: Arc<RedisStore>,
}

#[async_trait]
impl Fixture for RedisFixture {
    async fn start() -> RedisFixture {
        let server = RedisServer::start_durable();
        let store = connect(&server);
        RedisFixture { server, store }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Kills the server and starts it on what it wrote.
    async fn reopen(&mut self) {
        self.server.restart();
        self.store = connect(&self.server);
    }

    /// Receipts expire by the server's clock.
    async fn pass(&self) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Patient, for the machine may be busy.
fn connect(server: &RedisServer) -> Arc<RedisStore> {
    let settings =
        RedisSettings { connect_timeout_ms: 10_000, response_timeout_ms: 10_000, ..RedisSettings::new(server.url()) };
    Arc::new(RedisStore::connect(settings, layout()).unwrap())
}
