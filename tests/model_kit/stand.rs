//! Two instances of the service over one store of each kind, which can end and begin again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use guerdon::clock::Clock;
use guerdon::domain::time::Instant;
use guerdon::service::meter::Silent;
use guerdon::service::{Options, Service, Source};
use guerdon::store::embedded::EmbeddedStore;
use guerdon::store::memory::MemoryStore;
use guerdon::store::redis::{RedisSettings, RedisStore};
use guerdon::store::{Layout, Store};
use tempfile::TempDir;

use super::programs::{Subject, file};
use crate::support::redis::RedisServer;

/// 2026-05-04T12:00:00Z, a Monday.
pub(crate) const BEGIN: Instant = Instant(1_777_896_000_000);

/// What keeps the data.
pub(crate) enum Data {
    Memory(Option<Arc<MemoryStore>>),
    Embedded(TempDir),
    Redis(Arc<RedisServer>),
}

#[derive(Clone)]
pub(crate) enum Kind {
    Memory,
    Embedded,
    Redis(Arc<RedisServer>),
}

pub(crate) struct Stand {
    data: Data,
    pub(crate) clock: Clock,
    /// Empty only while it restarts.
    pub(crate) services: Vec<Service>,
    subject: &'static Subject,
}

/// So few partitions that walks are short and small budgets are spread over slices.
pub(crate) fn layout() -> Layout {
    Layout::new(2).unwrap()
}

impl Stand {
    pub(crate) async fn start(kind: &Kind, subject: &'static Subject) -> Stand {
        let clock = Clock::manual(BEGIN);
        let data = match kind {
            Kind::Memory => Data::Memory(Some(Arc::new(MemoryStore::new(clock.for_store())))),
            Kind::Embedded => Data::Embedded(TempDir::new().unwrap()),
            Kind::Redis(server) => {
                let _: String = server.command(&["FLUSHALL"]);
                Data::Redis(Arc::clone(server))
            }
        };
        let mut stand = Stand { data, clock, services: Vec::new(), subject };
        stand.begin(0).await;
        stand
    }

    async fn begin(&mut self, version: usize) {
        let stores: Vec<Arc<dyn Store>> = match &self.data {
            Data::Memory(store) => {
                let store = store.clone().unwrap();
                vec![store.clone(), store]
            }
            // The file takes one owner, which the instances share.
            Data::Embedded(directory) => {
                let store = open(directory.path(), &self.clock);
                vec![store.clone(), store]
            }
            Data::Redis(server) => vec![connect(server), connect(server)],
        };
        for store in stores {
            let source = compiled(self.subject.versions[version]);
            // Resends are told from new writes however late they come.
            let options = Options { receipt_keep_s: 10 * 366 * 24 * 3_600, ..Options::default() };
            let service = Service::new(store, layout(), self.clock.clone(), vec![source], options, Arc::new(Silent));
            service.publish().await.unwrap();
            self.services.push(service);
        }
    }

    pub(crate) async fn restart(&mut self, version: usize) {
        for service in &self.services {
            service.drain().await;
        }
        self.services.clear();
        // A version begins after what was decided under the one before.
        self.pass_ms(1);
        self.begin(version).await;
        self.pass_ms(1);
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now(None)
    }

    pub(crate) fn pass_ms(&self, ms: i64) {
        self.clock.set(self.now().plus_ms(ms));
    }
}

/// Compiled once for all histories.
fn compiled(version: &'static str) -> Source {
    static KNOWN: LazyLock<Mutex<HashMap<&str, Source>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap();
    known.entry(version).or_insert_with(|| Source::compile(&file(version)).unwrap()).clone()
}

fn open(directory: &Path, clock: &Clock) -> Arc<EmbeddedStore> {
    Arc::new(EmbeddedStore::open(&directory.join("guerdon.db"), layout(), clock.for_store()).unwrap())
}

fn connect(server: &RedisServer) -> Arc<RedisStore> {
    let settings =
        RedisSettings { connect_timeout_ms: 10_000, response_timeout_ms: 10_000, ..RedisSettings::new(server.url()) };
    Arc::new(RedisStore::connect(settings, layout()).unwrap())
}
