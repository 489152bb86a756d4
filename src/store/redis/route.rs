//! Which link leads to a partition: the only one, or that to the master of its slot in a cluster.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ::redis::Value;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::link::{Link, Live, Target, Terms};
use super::servers::{Address, Servers};
use super::{RedisSettings, SettingsError, Topology, tags};
use crate::store::Error;

/// The cluster is not asked for its slots more often than this, whatever fails meanwhile.
const MAP_AGE_MIN: Duration = Duration::from_millis(50);

pub(super) enum Router {
    One(Arc<Link>),
    Cluster(Box<Cluster>),
}

impl Router {
    /// Checks the settings; connects to nothing.
    pub(super) fn new(settings: &RedisSettings, terms: Terms) -> Result<Router, SettingsError> {
        let servers = Arc::new(Servers::new(settings)?);
        let terms = Arc::new(terms);
        let target = match &settings.topology {
            Topology::Cluster => {
                let meta_slot = tags::slot(settings.meta_key().as_bytes());
                return Ok(Router::Cluster(Box::new(Cluster::new(servers, terms, meta_slot))));
            }
            Topology::One => servers.only().map(|client| Target::One(Box::new(client))),
            Topology::Sentinel { master } => {
                Some(Target::Master { servers: Arc::clone(&servers), name: master.clone() })
            }
        };
        let target = target.ok_or(SettingsError { setting: "url", what: "names no server" })?;
        Ok(Router::One(Arc::new(Link::new(target, terms, true, Arc::default()))))
    }

    /// The link to whoever is responsible for a slot.
    pub(super) async fn of(&self, slot: u16) -> Result<Arc<Link>, Error> {
        match self {
            Router::One(link) => Ok(Arc::clone(link)),
            Router::Cluster(cluster) => cluster.of(slot).await,
        }
    }

    /// Whether all partitions lie on one server, so that one call may name keys of several.
    pub(super) fn is_one(&self) -> bool {
        matches!(self, Router::One(_))
    }

    /// A link to where the deployment's description lies.
    pub(super) async fn of_meta(&self) -> Result<Arc<Link>, Error> {
        match self {
            Router::One(link) => Ok(Arc::clone(link)),
            Router::Cluster(cluster) => cluster.of(cluster.meta_slot).await,
        }
    }
}

/// The masters of a cluster, by slot.
pub(super) struct Cluster {
    servers: Arc<Servers>,
    terms: Arc<Terms>,
    meta_slot: u16,
    /// Set by any link whose server is gone or says that slots have moved.
    astray: Arc<AtomicBool>,
    map: RwLock<Arc<SlotMap>>,
    asking: tokio::sync::Mutex<Asked>,
    /// Whether the deployment's description has been compared once.
    checked: AtomicBool,
}

/// Links to all nodes heard of, and when they were last asked.
#[derive(Default)]
struct Asked {
    links: HashMap<Address, Arc<Link>>,
    at: Option<Instant>,
}

/// Who is responsible for what: ranges of slots, ascending.
#[derive(Default)]
struct SlotMap(Vec<(u16, u16, Arc<Link>)>);

impl SlotMap {
    fn owner(&self, slot: u16) -> Option<&Arc<Link>> {
        let at = self.0.partition_point(|(_, last, _)| *last < slot);
        self.0.get(at).filter(|(first, _, _)| *first <= slot).map(|(_, _, link)| link)
    }
}

impl Cluster {
    fn new(servers: Arc<Servers>, terms: Arc<Terms>, meta_slot: u16) -> Cluster {
        Cluster {
            servers,
            terms,
            meta_slot,
            astray: Arc::new(AtomicBool::new(true)),
            map: RwLock::default(),
            asking: tokio::sync::Mutex::default(),
            checked: AtomicBool::new(false),
        }
    }

    async fn of(&self, slot: u16) -> Result<Arc<Link>, Error> {
        if self.astray.load(Ordering::Acquire) {
            // Whatever comes of it: the other masters are where they were.
            let _late = Box::pin(tokio::time::timeout(2 * self.terms.ready_limit(), self.refresh())).await;
        }
        if !self.checked.load(Ordering::Acquire) {
            Box::pin(self.check()).await?;
        }
        self.owner(slot)
    }

    /// Looks at whose data the cluster holds, before any of it is used.
    async fn check(&self) -> Result<(), Error> {
        let link = self.owner(self.meta_slot)?;
        let live: Arc<Live> = link.live().await?;
        link.check_deployment(&live).await?;
        self.checked.store(true, Ordering::Release);
        Ok(())
    }

    fn owner(&self, slot: u16) -> Result<Arc<Link>, Error> {
        let map = Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner));
        map.owner(slot).cloned().ok_or(Error::Unavailable)
    }

    /// Asks all nodes at once where the slots are, and takes the first answer. One caller asks; those who come
    /// meanwhile wait and share the result.
    async fn refresh(&self) {
        let mut asked = self.asking.lock().await;
        let recent = asked.at.is_some_and(|at| at.elapsed() < MAP_AGE_MIN);
        if recent || !self.astray.load(Ordering::Acquire) {
            return;
        }
        asked.at = Some(Instant::now());
        for address in self.servers.named() {
            self.link_to(&mut asked.links, address);
        }
        let mut answers = JoinSet::new();
        for (address, link) in &asked.links {
            let (address, link) = (address.clone(), Arc::clone(link));
            answers.spawn(async move { (link.read::<Value>(::redis::cmd("CLUSTER").arg("SLOTS")).await, address) });
        }
        while let Some(answer) = answers.join_next().await {
            let Ok((Ok(answer), address)) = answer else { continue };
            let Some(ranges) = ranges(&answer, &address.host) else {
                warn!(store = "redis", "a node of the cluster answers what cannot be read");
                continue;
            };
            let mut map: Vec<_> = ranges
                .into_iter()
                .filter_map(|(first, last, address)| Some((first, last, self.link_to(&mut asked.links, address)?)))
                .collect();
            map.sort_by_key(|(first, _, _)| *first);
            debug!(store = "redis", ranges = map.len(), "the slots of the cluster were read");
            let named = self.servers.named();
            let in_use = |link: &Arc<Link>| map.iter().any(|(_, _, owner)| Arc::ptr_eq(owner, link));
            asked.links.retain(|address, link| in_use(link) || named.contains(address));
            *self.map.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(SlotMap(map));
            // A node that is gone and owns nothing is no reason to ask again; one that does says so when it is used.
            self.astray.store(false, Ordering::Release);
            return;
        }
    }

    fn link_to(&self, links: &mut HashMap<Address, Arc<Link>>, address: Address) -> Option<Arc<Link>> {
        if let Some(link) = links.get(&address) {
            return Some(Arc::clone(link));
        }
        info!(store = "redis", host = address.host, port = address.port, "a node of the cluster is new here");
        let target = Target::One(Box::new(self.servers.at(&address)?));
        let link = Arc::new(Link::new(target, Arc::clone(&self.terms), false, Arc::clone(&self.astray)));
        links.insert(address, Arc::clone(&link));
        Some(link)
    }
}

/// Reads the answer to `CLUSTER SLOTS`: the first node of each range is its master. A node that does not know its
/// own name is the one that was asked.
fn ranges(answer: &Value, asked_host: &str) -> Option<Vec<(u16, u16, Address)>> {
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let Value::Array(ranges) = answer else { return None };
    ranges
        .iter()
        .map(|range| {
            let Value::Array(parts) = range else { return None };
            let [first, last, Value::Array(master), ..] = parts.as_slice() else { return None };
            let [host, port, ..] = master.as_slice() else { return None };
            let host = match host {
                Value::BulkString(host) if !host.is_empty() => String::from_utf8(host.clone()).ok()?,
                Value::SimpleString(host) if !host.is_empty() => host.clone(),
                _ => asked_host.to_owned(),
            };
            Some((number(first)?, number(last)?, Address { host, port: number(port)? }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn the_first_node_of_a_range_is_its_master() {
        let node = |host: Value, port| Value::Array(vec![host, Value::Int(port), bulk("id"), Value::Array(vec![])]);
        let range =
            |first, last, nodes: Vec<Value>| Value::Array([vec![Value::Int(first), Value::Int(last)], nodes].concat());
        let answer = Value::Array(vec![
            range(0, 5_460, vec![node(bulk("10.0.0.1"), 7_001), node(bulk("10.0.0.2"), 7_002)]),
            range(5_461, 16_383, vec![node(Value::Nil, 7_003)]),
        ]);
        let address = |host: &str, port| Address { host: host.to_owned(), port };
        let expected = vec![(0, 5_460, address("10.0.0.1", 7_001)), (5_461, 16_383, address("asked", 7_003))];
        assert_eq!(ranges(&answer, "asked"), Some(expected));
        for odd in [Value::Nil, Value::Array(vec![Value::Nil]), Value::Array(vec![range(0, 70_000, vec![])])] {
            assert_eq!(ranges(&odd, "asked"), None, "{odd:?}");
        }
    }
}
