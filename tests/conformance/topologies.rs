//! Redis behind a sentinel, as a cluster, and over TLS: each is started once, and each case has a namespace there.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use guerdon::store::Store;
use guerdon::store::redis::{Identity, RedisSettings, RedisStore, Tls};

use super::kit::*;
use crate::support::redis::RedisServer;
use crate::support::topologies::{Cluster, Sentinels};

const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// Several servers that are started, and started again on what they wrote, together.
pub(crate) trait Servers: Send + Sync + Sized + 'static {
    fn start() -> Self;
    fn settings(&self) -> RedisSettings;
    fn restart(&mut self);
    /// The ones that all cases of this process share.
    fn shared() -> &'static OnceLock<Mutex<Self>>;
}

pub(crate) struct On<S> {
    settings: RedisSettings,
    store: Arc<RedisStore>,
    servers: std::marker::PhantomData<fn() -> S>,
}

pub(crate) type OnSentinels = On<Sentinels>;
pub(crate) type OnCluster = On<Cluster>;
pub(crate) type OnTls = On<RedisServer>;

fn store(settings: &RedisSettings) -> Arc<RedisStore> {
    Arc::new(RedisStore::connect(settings.clone(), layout()).unwrap())
}

#[async_trait]
impl<S: Servers> Fixture for On<S> {
    async fn start() -> On<S> {
        static NAMESPACES: AtomicU32 = AtomicU32::new(0);
        // Shown when the test fails.
        let _set_before = tracing_subscriber::fmt().with_test_writer().try_init();
        let servers = S::shared().get_or_init(|| Mutex::new(S::start()));
        let settings = RedisSettings {
            namespace: format!("g{}", NAMESPACES.fetch_add(1, Ordering::Relaxed)),
            connect_timeout_ms: 10_000,
            response_timeout_ms: 10_000,
            ..servers.lock().unwrap().settings()
        };
        On { store: store(&settings), settings, servers: std::marker::PhantomData }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn reopen(&mut self) {
        S::shared().get().unwrap().lock().unwrap().restart();
        self.store = store(&self.settings);
    }

    async fn pass(&self) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Servers for Sentinels {
    fn start() -> Sentinels {
        Sentinels::start(&DURABLE)
    }

    fn settings(&self) -> RedisSettings {
        Sentinels::settings(self)
    }

    /// The sentinel looks away, else it would make the replica the master.
    fn restart(&mut self) {
        self.sentinel.kill();
        let master = self
            .data
            .iter()
            .position(|server| server.command::<String>(&["INFO", "replication"]).contains("role:master"));
        self.data[master.unwrap()].restart();
        self.sentinel.restart();
    }

    fn shared() -> &'static OnceLock<Mutex<Sentinels>> {
        static SHARED: OnceLock<Mutex<Sentinels>> = OnceLock::new();
        &SHARED
    }
}

impl Servers for Cluster {
    fn start() -> Cluster {
        Cluster::start(0, &DURABLE)
    }

    fn settings(&self) -> RedisSettings {
        Cluster::settings(self)
    }

    fn restart(&mut self) {
        self.nodes.iter_mut().for_each(RedisServer::restart);
        self.until_up();
    }

    fn shared() -> &'static OnceLock<Mutex<Cluster>> {
        static SHARED: OnceLock<Mutex<Cluster>> = OnceLock::new();
        &SHARED
    }
}

impl Servers for RedisServer {
    fn start() -> RedisServer {
        RedisServer::start_tls(&DURABLE)
    }

    fn settings(&self) -> RedisSettings {
        let identity = Identity { certificate: self.pem("client.pem"), key: self.pem("client.key") };
        let tls = Tls { ca: Some(self.pem("ca.pem")), identity: Some(identity) };
        RedisSettings { tls: Some(tls), ..RedisSettings::new(self.url()) }
    }

    fn restart(&mut self) {
        RedisServer::restart(self);
    }

    fn shared() -> &'static OnceLock<Mutex<RedisServer>> {
        static SHARED: OnceLock<Mutex<RedisServer>> = OnceLock::new();
        &SHARED
    }
}
