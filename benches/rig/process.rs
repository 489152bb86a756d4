//! Processes that are measured, and what processor time they have used.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::masters::Masters;
use crate::support::redis::RedisServer;

/// Until a process listens.
const START_MAX: Duration = Duration::from_secs(30);

/// A server on loopback; ends with this.
pub(crate) struct Process {
    child: Child,
    address: String,
    /// Where its metrics are.
    metrics: Option<String>,
}

impl Process {
    pub(crate) fn guerdon(store: &str, program: &Path, folder: &Path, redis: Option<&RedisServer>) -> Process {
        let address = free_address();
        let mut command = serve(store, &address);
        command.arg("--program").arg(program).arg("--data").arg(folder.join("guerdon.db"));
        if let Some(redis) = redis {
            command.args(["--redis-url", &redis.url()]);
        }
        Process::start(command, address)
    }

    /// One of the instances that work on the same Redis. It says what it counts: see [`Process::counted`].
    pub(crate) fn instance(programs: &[PathBuf], masters: &Masters) -> Process {
        let (address, metrics) = (free_address(), free_address());
        let mut command = serve("redis", &address);
        for program in programs {
            command.arg("--program").arg(program);
        }
        command.args(["--redis-url", &masters.urls(), "--redis-topology", masters.topology()]);
        command.args(["--metrics-listen", &metrics]);
        let mut process = Process::start(command, address);
        process.metrics = Some(metrics);
        process
    }

    /// Answers every call with the message that the file `answer` holds.
    pub(crate) fn echo(answer: &Path, redis: Option<&RedisServer>) -> Process {
        let address = free_address();
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["echo", "--listen", &address, "--answer"]).arg(answer);
        if let Some(redis) = redis {
            command.args(["--redis-url", &redis.url()]);
        }
        Process::start(command, address)
    }

    fn start(mut command: Command, address: String) -> Process {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the server starts");
        let process = Process { child, address, metrics: None };
        let began = Instant::now();
        while TcpStream::connect(&process.address).is_err() {
            assert!(began.elapsed() < START_MAX, "nothing listens on {}", process.address);
            std::thread::park_timeout(Duration::from_millis(10));
        }
        process
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Used so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu(self.child.id())
    }

    /// What a counter says, named with its labels; 0 before the first was counted.
    pub(crate) fn counted(&self, series: &str) -> u64 {
        let metrics = self.metrics.as_ref().expect("an instance that says what it counts");
        let mut stream = TcpStream::connect(metrics).expect("the metrics are served");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: rig\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers with text");
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        let of = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse().ok();
        text.lines().find_map(of).unwrap_or(0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already is fine too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server on a store, without what says which one of the kind.
fn serve(store: &str, address: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guerdon"));
    command.args(["serve", "--insecure-dev", "--store", store, "--listen", address, "--log-filter", "warn"]);
    command
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// What a process has used of the processors, in user and kernel mode.
pub(crate) fn cpu(pid: u32) -> Duration {
    /// Linux counts in hundredths of a second for programs, whatever the kernel's own ticks are.
    const TICK_MS: u64 = 10;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name, in brackets, may hold spaces; utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * TICK_MS)
}
