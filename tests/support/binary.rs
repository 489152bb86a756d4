//! The binary, run as its users run it.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy's own exemption does not reach functions that tests share"
)]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A binary whose log is read as it is written, so that it never waits for a reader.
pub struct Binary {
    child: Child,
    log: Receiver<String>,
    said: String,
}

impl Binary {
    pub fn serve(args: &[&str]) -> Binary {
        let mut child = command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let lines = BufReader::new(child.stderr.take().expect("the log is piped")).lines();
        let (told, log) = channel();
        // Ends with the log.
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| told.send(line)));
        Binary { child, log, said: String::new() }
    }

    /// Reads the log up to the line that says where it listens.
    pub fn addr(&mut self) -> SocketAddr {
        let entry = self.says("listening on ");
        entry["addr"].as_str().expect("a field").parse().expect("an address")
    }

    /// Reads the log, which is JSON, up to the line that begins like this.
    pub fn says(&mut self, beginning: &str) -> serde_json::Value {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error}:\n{}", self.said));
            self.said.push_str(&line);
            self.said.push('\n');
            let Ok(entry) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
            if entry["message"].as_str().is_some_and(|text| text.starts_with(beginning)) {
                return entry;
            }
        }
    }

    /// How many threads it has now.
    #[allow(dead_code, reason = "not every test that starts it asks")]
    pub fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("a process that lives").count()
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
    }

    /// The end, and all that was logged.
    pub fn end(mut self) -> (ExitStatus, String) {
        for line in self.log.iter() {
            self.said.push_str(&line);
            self.said.push('\n');
        }
        (self.child.wait().expect("an end"), std::mem::take(&mut self.said))
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        // Fails only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guerdon"));
    command.args(args).stdin(Stdio::null());
    for setting in guerdon::config::SETTINGS {
        command.env_remove(setting.variable());
    }
    command.env_remove("GUERDON_KEY");
    command
}

pub fn output(args: &[&str]) -> Output {
    command(args).output().expect("the binary runs")
}
