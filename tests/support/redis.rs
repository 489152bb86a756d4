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
use std::path::Path;
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
    kind: Kind,
    /// Ends the server, and removes its directory, should this process end without having done so: a test that is killed, or a server that is kept in a
    /// `static`, which nothing drops.
    heir: Option<Child>,
}

/// What is started.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// On the same port, with a certificate made for it.
    Tls,
    Sentinel,
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
        RedisServer::start_kind(Kind::Plain, args)
    }

    /// A server that speaks TLS only and asks clients for a certificate: see [`RedisServer::pem`].
    pub fn start_tls(args: &[&str]) -> RedisServer {
        RedisServer::start_kind(Kind::Tls, args)
    }

    /// A sentinel that looks after the master `club` on this port, and decides alone.
    pub fn start_sentinel(master_port: u16) -> RedisServer {
        RedisServer::start_kind(Kind::Sentinel, &[&master_port.to_string()])
    }

    fn start_kind(kind: Kind, args: &[&str]) -> RedisServer {
        let dir = TempDir::new().expect("a temporary directory");
        let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        match kind {
            Kind::Plain => {}
            Kind::Tls => make_certificates(dir.path()),
            Kind::Sentinel => {
                let master_port = args.remove(0);
                let config = format!(
                    "sentinel monitor club 127.0.0.1 {master_port} 1\nsentinel down-after-milliseconds club 1500\n\
                     sentinel failover-timeout club 1000\nsentinel parallel-syncs club 1\n"
                );
                std::fs::write(dir.path().join("redis.conf"), config).expect("the configuration is written");
            }
        }
        let mut server = RedisServer { child: None, port: 0, dir, args, kind, heir: None };
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

    /// Of the running server.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    pub fn url(&self) -> String {
        match self.kind {
            Kind::Tls => format!("rediss://localhost:{}", self.port),
            Kind::Plain | Kind::Sentinel => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// Of a TLS server: `ca.pem`, or what its clients show: `client.pem`, `client.key`.
    pub fn pem(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir.path().join(name)).expect("the certificates were made")
    }

    /// Where the server keeps its data, and a TLS one its certificates.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// SIGKILL: nothing is saved on the way out. Returns when the process is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the server can be killed");
            child.wait().expect("the server can be waited for");
        }
        self.retire_heir();
    }

    /// Has nothing left to end.
    fn retire_heir(&mut self) {
        if let Some(mut heir) = self.heir.take() {
            // Both fail only when the process is gone already.
            let _ = heir.kill();
            let _ = heir.wait();
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
        let mut connection = match self.kind {
            Kind::Plain | Kind::Sentinel => redis::Client::open(self.url())?,
            Kind::Tls => {
                let client_tls =
                    redis::ClientTlsConfig { client_cert: self.pem("client.pem"), client_key: self.pem("client.key") };
                let root_cert = Some(self.pem("ca.pem"));
                let certificates = redis::TlsCertificates { client_tls: Some(client_tls), root_cert };
                redis::Client::build_with_tls(self.url(), certificates)?
            }
        }
        .get_connection()?;
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
        let mut command = Command::new("redis-server");
        let port = self.port.to_string();
        match self.kind {
            Kind::Plain => command.args(["--port", &port]),
            Kind::Tls => {
                command.args(["--port", "0", "--tls-port", &port, "--tls-cert-file", "server.pem"]);
                command.args(["--tls-key-file", "server.key", "--tls-ca-cert-file", "ca.pem"])
            }
            Kind::Sentinel => command.arg(self.dir.path().join("redis.conf")).args(["--sentinel", "--port", &port]),
        };
        let mut child = command
            .args(["--bind", "127.0.0.1", "--save", "", "--daemonize", "no", "--dir"])
            .arg(self.dir.path())
            .args(&self.args)
            .current_dir(self.dir.path())
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
        let heir = Command::new("sh")
            .args(["-c", "cat > /dev/null; kill -9 \"$0\"; rm -rf \"$1\"", &child.id().to_string()])
            .arg(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        self.child = Some(child);
        self.heir = Some(heir);

        let ready = if self.kind == Kind::Sentinel { "+monitor master" } else { "Ready to accept connections" };
        let mut said = String::new();
        loop {
            match received.recv_timeout(READY_WAIT_MAX) {
                Ok(line) if line.contains(ready) => return Ok(()),
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
        self.retire_heir();
    }
}

/// An authority, and certificates of it for a server on this machine and for a client.
fn make_certificates(dir: &Path) {
    let authority_key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("no names are fine names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = rcgen::CertifiedIssuer::self_signed(params, authority_key).expect("it signs itself");
    std::fs::write(dir.join("ca.pem"), authority.pem()).expect("a file is written");
    for (name, host) in [("server", "localhost"), ("client", "guerdon")] {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).expect("a name");
        // Else it would be called as the authority is, and look like signed by itself.
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.signed_by(&key, &authority).expect("the authority signs");
        std::fs::write(dir.join(format!("{name}.pem")), certificate.pem()).expect("a file is written");
        std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).expect("a file is written");
    }
}
