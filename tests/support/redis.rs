//! Real `redis-server` processes for tests: each on its own port, in its own directory, gone when dropped.
//!
//! Used by several test binaries, and by many at once:
//!
//! ```ignore
//! mod support {
//!     pub mod redis;
//! }
//! let server = support::redis::RedisServer::start();
//! ```
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

const START_TRIES_MAX: u32 = 20;
const READY_WAIT_MAX: Duration = Duration::from_secs(20);
/// Below the ports that the system gives to outgoing connections, so that none of those takes the port while a
/// server is down; ten thousand higher, where a cluster node listens for its peers, is still a port.
const PORTS: std::ops::Range<u16> = 10_000..30_000;

/// One running (or killed) server. Nothing is shared with other servers.
pub struct RedisServer {
    child: Option<Child>,
    port: u16,
    dir: TempDir,
    args: Vec<String>,
}

impl RedisServer {
    /// A server without persistence.
    pub fn start() -> RedisServer {
        RedisServer::start_with(&[])
    }

    /// A server that has written to disk what it acknowledges.
    pub fn start_durable() -> RedisServer {
        RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// A server with further arguments; returns when it accepts connections.
    pub fn start_with(args: &[&str]) -> RedisServer {
        let dir = TempDir::new().expect("a temporary directory");
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let mut server = RedisServer { child: None, port: 0, dir, args };
        let mut last = String::new();
        for _ in 0..START_TRIES_MAX {
            let width = u64::from(PORTS.end - PORTS.start);
            server.port =
                PORTS.start + u16::try_from(RandomState::new().hash_one(()) % width).expect("below the width");
            match server.spawn() {
                Ok(()) => return server,
                Err(log) => last = log,
            }
        }
        panic!("redis-server did not start in {START_TRIES_MAX} tries on different ports; the last said:\n{last}");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// SIGKILL: nothing is saved on the way out. Returns when the process is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the server can be killed");
            child.wait().expect("the server can be waited for");
        }
    }

    /// Starts the server again on the same port and directory, after killing it if need be. Returns when it
    /// accepts connections and has loaded what is on disk.
    pub fn restart(&mut self) {
        self.kill();
        if let Err(log) = self.spawn() {
            panic!("redis-server did not start again on port {}:\n{log}", self.port);
        }
    }

    /// SIGSTOP: the server accepts connections (the kernel does) and answers nothing.
    pub fn stop(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT
    pub fn cont(&self) {
        self.signal("-CONT");
    }

    /// Runs one command over a connection of its own.
    pub fn command<T: redis::FromRedisValue>(&self, args: &[&str]) -> T {
        self.try_command(args).unwrap_or_else(|error| panic!("{args:?}: {error}"))
    }

    pub fn try_command<T: redis::FromRedisValue>(&self, args: &[&str]) -> redis::RedisResult<T> {
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        let mut command = redis::Cmd::new();
        for arg in args {
            command.arg(*arg);
        }
        command.query(&mut connection)
    }

    /// Watches every command that the server runs from now on.
    pub fn monitor(&self) -> Monitor {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server accepts connections");
        stream.set_read_timeout(Some(READY_WAIT_MAX)).expect("a socket takes a timeout");
        stream.write_all(b"MONITOR\r\n").expect("the server reads");
        let mut monitor = Monitor { lines: BufReader::new(stream) };
        assert_eq!(monitor.next_line(), "+OK");
        monitor
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("the server runs");
        let status = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
        assert!(status.success(), "kill {signal} {}", child.id());
    }

    /// `Err` with what the server logged when it ends instead of accepting connections: the port was taken.
    fn spawn(&mut self) -> Result<(), String> {
        let mut child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", "", "--daemonize", "no"])
            .arg("--dir")
            .arg(self.dir.path())
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot run redis-server ({error}); `./test` installs what the tests need and runs them")
            });
        let log = BufReader::new(child.stdout.take().expect("the log is piped"));
        let (lines, received) = mpsc::channel();
        // Reads to the end of the log, so that the server never waits for a reader.
        std::thread::spawn(move || log.lines().map_while(Result::ok).for_each(|line| drop(lines.send(line))));
        self.child = Some(child);

        let mut said = String::new();
        loop {
            match received.recv_timeout(READY_WAIT_MAX) {
                Ok(line) if line.contains("Ready to accept connections") => return Ok(()),
                Ok(line) => {
                    said.push_str(&line);
                    said.push('\n');
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    self.kill();
                    return Err(said);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.kill();
                    panic!("redis-server logged nothing for {READY_WAIT_MAX:?} and was not ready:\n{said}");
                }
            }
        }
    }
}

/// See [`RedisServer::monitor`].
pub struct Monitor {
    lines: BufReader<TcpStream>,
}

impl Monitor {
    /// The next command: whether a script called it, and its words as the server prints them (bytes escaped).
    pub fn next_command(&mut self) -> (bool, Vec<String>) {
        // +1700000000.123456 [0 lua] "GET" "g1:{3k}:acct|a"
        let line = self.next_line();
        let (head, words) = line.split_once("] \"").expect("a line of MONITOR");
        let words = words.strip_suffix('"').expect("a line of MONITOR").split("\" \"");
        (head.ends_with(" lua"), words.map(str::to_owned).collect())
    }

    fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the server reports within the timeout");
        line.trim_end().to_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail only when the process is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
