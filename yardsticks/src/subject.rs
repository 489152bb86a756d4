//! What is measured, and how it is started.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::load::Call;
use crate::process::{Process, free_address};

/// One line of the report for each number of calls in flight.
pub struct Subject {
    pub name: &'static str,
    pub call: Call,
    server: Server,
    /// As the server's own options name it.
    storage: &'static str,
}

enum Server {
    Guerdon,
    Node,
    Limitador,
    /// With the runtime that its own server has.
    LimitadorOneThread,
    /// Its own server.
    LimitadorAsShipped,
}

pub const GUERDON_REDIS: &str = "Guerdon, Redis";
pub const GUERDON_MEMORY: &str = "Guerdon, memory";
pub const LIMITADOR_MEMORY: &str = "limitador, memory";

pub const SUBJECTS: [Subject; 10] = [
    Subject { name: GUERDON_REDIS, call: Call::EnrolledCommit, server: Server::Guerdon, storage: "redis" },
    Subject { name: "Node, Redis", call: Call::Commit, server: Server::Node, storage: "redis" },
    Subject { name: "limitador, Redis", call: Call::ShouldRateLimit, server: Server::Limitador, storage: "redis" },
    Subject {
        name: "limitador, Redis cached",
        call: Call::ShouldRateLimit,
        server: Server::Limitador,
        storage: "redis_cached",
    },
    Subject {
        name: "limitador, one thread as shipped, Redis",
        call: Call::ShouldRateLimit,
        server: Server::LimitadorOneThread,
        storage: "redis",
    },
    Subject {
        name: "limitador, one thread as shipped, Redis cached",
        call: Call::ShouldRateLimit,
        server: Server::LimitadorOneThread,
        storage: "redis_cached",
    },
    Subject {
        name: "limitador's own server, Redis",
        call: Call::ShouldRateLimit,
        server: Server::LimitadorAsShipped,
        storage: "redis",
    },
    Subject {
        name: "limitador's own server, Redis cached",
        call: Call::ShouldRateLimit,
        server: Server::LimitadorAsShipped,
        storage: "redis_cached",
    },
    Subject { name: LIMITADOR_MEMORY, call: Call::ShouldRateLimit, server: Server::Limitador, storage: "memory" },
    Subject { name: GUERDON_MEMORY, call: Call::EnrolledCommit, server: Server::Guerdon, storage: "memory" },
];

impl Subject {
    /// Whether the program that it is started from is there.
    pub fn is_there(&self, programs: &Programs) -> bool {
        programs.limitador_server.is_some() || !matches!(self.server, Server::LimitadorAsShipped)
    }
}

/// What the subjects are started from.
pub struct Programs {
    pub guerdon: PathBuf,
    pub limitador: PathBuf,
    /// limitador's own server, which is on no registry.
    pub limitador_server: Option<PathBuf>,
    pub node: PathBuf,
    /// The program file with the rules.
    pub rules: PathBuf,
    pub one_counter: bool,
}

/// A subject that answers calls.
pub struct Running {
    // Ends before its Redis does.
    server: Process,
    redis: Option<Process>,
}

impl Running {
    /// `folder` holds what it and its Redis write.
    pub async fn start(subject: &Subject, programs: &Programs, folder: &Path) -> Result<Running, String> {
        let redis = if subject.storage == "memory" { None } else { Some(Process::redis(folder).await?) };
        let url = redis.as_ref().map(|redis| format!("redis://{}", redis.address()));
        let address = free_address()?;
        let mut command = match subject.server {
            Server::Guerdon => {
                let mut command = Command::new(&programs.guerdon);
                command.args(["serve", "--insecure-dev", "--log-filter", "error", "--store", subject.storage]);
                command.arg("--program").arg(&programs.rules);
                command
            }
            Server::Node => {
                let mut command = Command::new("node");
                command.arg(&programs.node);
                command
            }
            Server::Limitador | Server::LimitadorOneThread => {
                let mut command = Command::new(&programs.limitador);
                command.args(["--storage", subject.storage]);
                if matches!(subject.server, Server::LimitadorOneThread) {
                    command.arg("--one-thread");
                }
                if programs.one_counter {
                    command.arg("--one-counter");
                }
                command
            }
            Server::LimitadorAsShipped => {
                let program = programs.limitador_server.as_ref().ok_or("there is no program of it")?;
                let (_, port) = address.rsplit_once(':').ok_or("an address without a port")?;
                let http = free_address()?;
                let (_, http_port) = http.rsplit_once(':').ok_or("an address without a port")?;
                let limits = folder.join("limits.yaml");
                write_limits(&limits, programs.one_counter)
                    .map_err(|error| format!("{}: {error}", limits.display()))?;
                let mut command = Command::new(program);
                command.args(["--rls-ip", "127.0.0.1", "--rls-port", port]);
                command.args(["--http-ip", "127.0.0.1", "--http-port", http_port]);
                command.arg(limits).arg(subject.storage).args(&url);
                command
            }
        };
        command.current_dir(folder);
        if !matches!(subject.server, Server::LimitadorAsShipped) {
            command.args(["--listen", &address]);
            if let Some(url) = url {
                command.args(["--redis-url", &url]);
            }
        }
        Ok(Running { server: Process::start(command, address).await?, redis })
    }

    pub fn address(&self) -> &str {
        self.server.address()
    }

    /// Of the server and of Redis.
    pub fn cpu(&self) -> [Duration; 2] {
        [self.server.cpu(), self.redis.as_ref().map_or(Duration::ZERO, Process::cpu)]
    }
}

/// The limit of `src/bin/limitador.rs`, as a file: never reached, and longer than any run.
fn write_limits(path: &Path, one_counter: bool) -> std::io::Result<()> {
    let variables = if one_counter { "[]" } else { "[\"descriptors[0].member\"]" };
    let limit = format!(
        "- namespace: loyalty\n  id: visits\n  max_value: 1000000000000\n  seconds: 86400\n  conditions: []\n  variables: {variables}\n"
    );
    std::fs::write(path, limit)
}
