//! Several Redis servers that belong together: a master with a replica behind a sentinel, and a cluster.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use guerdon::store::redis::{Login, RedisSettings, Topology};

use super::redis::RedisServer;

pub const WAIT_MAX: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(20);
const SLOTS: u32 = 16_384;

/// Looks until it holds; fails after a minute and a half.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < WAIT_MAX, "not within {WAIT_MAX:?}: {what}");
        std::thread::park_timeout(PAUSE);
    }
}

/// A master, its replica, and a sentinel that calls the master `club` and makes the other one the master when it is
/// away for a second and a half. Clients sign in as `shop`.
pub struct Sentinels {
    pub data: [RedisServer; 2],
    pub sentinel: RedisServer,
}

/// What the user `shop` may: what the commit script and the store call, on the deployment's keys.
const ACL: &[&str] = &[
    "--user",
    "shop",
    "on",
    ">hunter2",
    "~g*:*",
    "+@read",
    "+@write",
    "+@scripting",
    "+@connection",
    "-@dangerous",
    "+info",
    "+time",
];

impl Sentinels {
    pub fn start(args: &[&str]) -> Sentinels {
        let args = [ACL, &["--repl-diskless-sync-delay", "0"], args].concat();
        let master = RedisServer::start_with(&args);
        let of_master = format!("127.0.0.1 {}", master.port());
        let replica = RedisServer::start_with(&[&args[..], &["--replicaof", &of_master]].concat());
        until("the replica is in step", || {
            replica.command::<String>(&["INFO", "replication"]).contains("master_link_status:up")
        });
        let sentinel = RedisServer::start_sentinel(master.port());
        let both = Sentinels { data: [master, replica], sentinel };
        both.until_watched();
        both
    }

    /// Until the sentinel knows a replica that it could make the master.
    pub fn until_watched(&self) {
        until("the sentinel knows the replica", || {
            let replicas: Vec<Vec<String>> = self.sentinel.command(&["SENTINEL", "REPLICAS", "club"]);
            let usable = |replica: &Vec<String>| {
                let field = |name: &str| replica.chunks(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone());
                field("flags").as_deref() == Some("slave") && field("master-link-status").as_deref() == Some("ok")
            };
            replicas.iter().any(usable)
        });
    }

    /// Which of the two the sentinel calls the master.
    pub fn master(&self) -> usize {
        let (_host, port): (String, u16) = self.sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "club"]);
        usize::from(self.data[0].port() != port)
    }

    /// Starts a server again as a replica of the master, as a server manager would. By itself it would come back as a
    /// master, and be one until the sentinel notices.
    pub fn restart_as_replica(&mut self, which: usize) {
        self.data[which].restart();
        let master = self.data[1 - which].port().to_string();
        let _: String = self.data[which].command(&["REPLICAOF", "127.0.0.1", &master]);
    }

    /// The first sentinel named is not there.
    pub fn settings(&self) -> RedisSettings {
        let url = format!("redis://127.0.0.1:9,{}", self.sentinel.url());
        RedisSettings {
            topology: Topology::Sentinel { master: "club".to_owned() },
            login: Some(Login { user: "shop".to_owned(), password: "hunter2".to_owned() }),
            ..RedisSettings::new(url)
        }
    }
}

/// Masters, each with as many replicas as asked.
pub struct Cluster {
    pub nodes: Vec<RedisServer>,
}

impl Cluster {
    /// Of most clusters.
    pub const MASTERS: usize = 3;

    /// Of three masters.
    pub fn start(replicas: usize, args: &[&str]) -> Cluster {
        Cluster::of(Cluster::MASTERS, replicas, args)
    }

    pub fn of(masters: usize, replicas: usize, args: &[&str]) -> Cluster {
        let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "3000", "--repl-diskless-sync-delay", "0"];
        // On a machine that is short of time a replica may have been out of touch for a while: it is to stand all the same.
        let args = [&cluster[..], &["--cluster-replica-validity-factor", "0"], args].concat();
        let nodes: Vec<RedisServer> = (0..masters * (1 + replicas)).map(|_| RedisServer::start_with(&args)).collect();
        for (index, node) in nodes.iter().enumerate() {
            let _: String = node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
        }
        let few = |count: usize| u32::try_from(count).expect("few nodes");
        let bound = |index: usize| few(index) * SLOTS / few(masters);
        for (index, node) in nodes.iter().take(masters).enumerate() {
            let (first, last) = (bound(index), bound(index + 1) - 1);
            let _: String = node.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        }
        for node in nodes.iter().skip(1) {
            let _: String = node.command(&["CLUSTER", "MEET", "127.0.0.1", &nodes[0].port().to_string()]);
        }
        let cluster = Cluster { nodes };
        cluster.until_all_know_all();
        for (index, node) in cluster.nodes.iter().enumerate().skip(masters) {
            let master: String = cluster.nodes[index % masters].command(&["CLUSTER", "MYID"]);
            until("a node replicates another", || {
                node.try_command::<String>(&["CLUSTER", "REPLICATE", &master]).is_ok()
            });
        }
        for node in cluster.nodes.iter().skip(masters) {
            until("a replica is in step", || {
                node.command::<String>(&["INFO", "replication"]).contains("master_link_status:up")
            });
        }
        cluster.until_up();
        cluster
    }

    fn until_all_know_all(&self) {
        for node in &self.nodes {
            until("all nodes know all", || {
                let known: String = node.command(&["CLUSTER", "NODES"]);
                known.lines().filter(|line| !line.contains("handshake")).count() == self.nodes.len()
            });
        }
    }

    /// Until every node that runs finds the cluster whole.
    pub fn until_up(&self) {
        for node in self.nodes.iter().filter(|node| node.runs()) {
            until("the cluster is up", || {
                node.try_command::<String>(&["CLUSTER", "INFO"]).is_ok_and(|info| info.contains("cluster_state:ok"))
            });
        }
    }

    /// The node that is responsible for a slot, by what the first that runs says.
    pub fn owner(&self, slot: u16) -> usize {
        let asked = self.nodes.iter().find(|node| node.runs()).expect("a node runs");
        let known: String = asked.command(&["CLUSTER", "NODES"]);
        let holds = |range: &str| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let bounds = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
            bounds.is_some_and(|(first, last)| (first..=last).contains(&slot))
        };
        let line = known.lines().find(|line| line.split(' ').skip(8).any(holds)).expect("somebody owns the slot");
        let address = line.split(' ').nth(1).expect("an address");
        let port = address.split('@').next().and_then(|address| address.rsplit(':').next()).expect("a port");
        self.nodes.iter().position(|node| node.port().to_string() == port).expect("one of the nodes")
    }

    /// One node that is not there, and two that are.
    pub fn settings(&self) -> RedisSettings {
        let url = format!("redis://127.0.0.1:9,{},{}", self.nodes[0].url(), self.nodes[1].url());
        RedisSettings { topology: Topology::Cluster, ..RedisSettings::new(url) }
    }
}

impl Cluster {
    /// Moves a slot with all its keys from one master to another, as `redis-cli --cluster reshard` does. How long its
    /// keys were on the way.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) -> Duration {
        let slot = slot.to_string();
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let id = |node: &RedisServer| node.command::<String>(&["CLUSTER", "MYID"]);
        let (source_id, target_id, port) = (id(source), id(target), target.port().to_string());
        let _: String = target.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]);
        let started = Instant::now();
        let _: String = source.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]);
        loop {
            let keys: Vec<String> = source.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
            if keys.is_empty() {
                break;
            }
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            migrate.extend(keys.iter().map(String::as_str));
            let _: String = source.command(&migrate);
        }
        for node in [target, source] {
            let _: String = node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]);
        }
        let took = started.elapsed();
        for node in &self.nodes {
            let _: redis::RedisResult<String> = node.try_command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]);
        }
        took
    }
}

impl Cluster {
    /// The nodes that are masters with slots, by what the first that runs says.
    pub fn masters(&self) -> Vec<usize> {
        self.who(|fields| fields[2].contains("master") && !fields[2].contains("fail") && 8 < fields.len())
    }

    /// The master of a slot and a node that would take its place, once all nodes agree on them.
    pub fn pair(&self, slot: u16) -> (usize, usize) {
        let mut found = None;
        until("a master has a replica", || {
            let master = self.owner(slot);
            let id: String = self.nodes[master].command(&["CLUSTER", "MYID"]);
            let replica = self.who(|fields| fields[3] == id && fields[7] == "connected" && !fields[2].contains("fail"));
            let is_replica = |node: &usize| {
                let info: String = self.nodes[*node].command(&["INFO", "replication"]);
                info.contains("role:slave") && info.contains("master_link_status:up")
            };
            found = replica.first().copied().filter(is_replica).map(|replica| (master, replica));
            found.is_some()
        });
        found.expect("looked for until found")
    }

    /// Makes a replica the master, asking again when the nodes took too long to agree.
    pub fn fail_over_to(&self, replica: usize) {
        // Redis gives up on one after five seconds.
        const TRY: Duration = Duration::from_secs(6);
        let mut asked: Option<Instant> = None;
        until("the replica is the master", || {
            if asked.is_none_or(|at| TRY < at.elapsed()) {
                let _: redis::RedisResult<String> = self.nodes[replica].try_command(&["CLUSTER", "FAILOVER"]);
                asked = Some(Instant::now());
            }
            self.masters().contains(&replica)
        });
    }

    /// Until a node is a replica that has everything.
    pub fn until_in_step(&self, node: usize) {
        until("a former master is a replica in step", || {
            let info: redis::RedisResult<String> = self.nodes[node].try_command(&["INFO", "replication"]);
            info.is_ok_and(|info| info.contains("role:slave") && info.contains("master_link_status:up"))
        });
    }

    /// The nodes whose line of `CLUSTER NODES` is as asked.
    fn who(&self, is: impl Fn(&[&str]) -> bool) -> Vec<usize> {
        let asked = self.nodes.iter().find(|node| node.runs()).expect("a node runs");
        let known: String = asked.command(&["CLUSTER", "NODES"]);
        let of = |line: &str| {
            let fields: Vec<&str> = line.split(' ').collect();
            let port = fields[1].split('@').next()?.rsplit(':').next()?;
            is(&fields).then(|| self.nodes.iter().position(|node| node.port().to_string() == port))?
        };
        known.lines().filter_map(of).collect()
    }
}
