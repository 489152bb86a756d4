//! Redis as one server, or as the masters of a cluster, and how much each of them has done.

use std::time::Duration;

use crate::process;
use crate::support::redis::RedisServer;
use crate::support::topologies::Cluster;

/// What several instances share.
pub(crate) enum Masters {
    One([RedisServer; 1]),
    Cluster(Cluster),
}

/// What a master has done so far.
#[derive(Clone, Copy)]
pub(crate) struct Done {
    pub(crate) cpu: Duration,
    /// As Redis counts them, those that scripts call among them.
    pub(crate) commands: u64,
}

impl Masters {
    pub(crate) fn one(args: &[&str]) -> Masters {
        Masters::One([RedisServer::start_with(args)])
    }

    /// Of so many masters, without replicas; the slots are dealt out evenly.
    pub(crate) fn cluster(masters: usize, args: &[&str]) -> Masters {
        Masters::Cluster(Cluster::of(masters, 0, args))
    }

    pub(crate) fn nodes(&self) -> &[RedisServer] {
        match self {
            Masters::One(node) => node,
            Masters::Cluster(cluster) => &cluster.nodes,
        }
    }

    /// For the server's setting.
    pub(crate) fn urls(&self) -> String {
        self.nodes().iter().map(RedisServer::url).collect::<Vec<String>>().join(",")
    }

    /// For the server's setting.
    pub(crate) fn topology(&self) -> &'static str {
        match self {
            Masters::One(_) => "one",
            Masters::Cluster(_) => "cluster",
        }
    }

    /// By master.
    pub(crate) fn done(&self) -> Vec<Done> {
        let of = |node: &RedisServer| {
            let stats: String = node.command(&["INFO", "stats"]);
            let commands = stats.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
            let commands = commands.expect("Redis counts commands").trim().parse().expect("a number");
            Done { cpu: process::cpu(node.pid()), commands }
        };
        self.nodes().iter().map(of).collect()
    }
}
