//! Processes that are started for a run, and the processor time that they have used.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

/// Until a process listens.
const START_MAX: Duration = Duration::from_secs(30);
const LOOKS_EVERY: Duration = Duration::from_millis(10);

/// A server on loopback; ends with this.
pub struct Process {
    child: Child,
    address: String,
}

impl Process {
    /// Returns when `command`, which is to listen on `address`, does.
    pub async fn start(mut command: Command, address: String) -> Result<Process, String> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let mut process = Process { child, address };
        let began = Instant::now();
        while TcpStream::connect(&process.address).await.is_err() {
            if let Ok(Some(status)) = process.child.try_wait() {
                return Err(format!("{} ended: {status}", command.get_program().display()));
            }
            if START_MAX < began.elapsed() {
                return Err(format!("nothing listens on {}", process.address));
            }
            tokio::time::sleep(LOOKS_EVERY).await;
        }
        Ok(process)
    }

    /// As the rig runs it: what it acknowledges is written, and synced each second.
    pub async fn redis(folder: &Path) -> Result<Process, String> {
        let address = free_address()?;
        let port = address.rsplit(':').next().unwrap_or_default();
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "everysec", "--loglevel", "warning", "--dir"])
            .arg(folder);
        Process::start(command, address).await
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Used so far, by all of its threads, in user and kernel mode.
    pub fn cpu(&self) -> Duration {
        /// Linux counts in hundredths of a second for programs, whatever the kernel's own ticks are.
        const TICK_MS: u64 = 10;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the process runs");
        // The name, in brackets, may hold spaces; utime and stime are fields 14 and 15.
        let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
        let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks"));
        Duration::from_millis(ticks.sum::<u64>() * TICK_MS)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already is fine too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_address() -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no free port: {error}"))?;
    listener.local_addr().map(|address| address.to_string()).map_err(|error| error.to_string())
}
