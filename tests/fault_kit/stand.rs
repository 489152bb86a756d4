//! Real servers, as processes, that can be killed and started again where they listened.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::clock::{Clock, Clocks};
use crate::support::server::PROGRAM;

const READY_WAIT_MAX: Duration = Duration::from_secs(60);

pub(crate) struct Stand {
    pub(crate) instances: Vec<Instance>,
    #[expect(dead_code, reason = "it goes with the stand")]
    folder: TempDir,
}

/// One server process; killed when dropped.
pub(crate) struct Instance {
    port: u16,
    args: Vec<String>,
    pub(crate) clock: Clock,
    child: Option<Child>,
}

impl Stand {
    pub(crate) fn folder() -> TempDir {
        TempDir::new().unwrap()
    }

    /// Starts so many servers, each with these arguments; `{instance}` in them stands for its number.
    pub(crate) fn start(folder: TempDir, count: usize, args: &[&str]) -> Stand {
        let program: PathBuf = folder.path().join("program.yaml");
        std::fs::write(&program, PROGRAM).unwrap();
        let clocks = Clocks::build(folder.path());
        let instances = (0..count)
            .map(|instance| {
                // Free a moment ago; nothing else takes ports in this range while the server is down.
                let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
                let mut all = vec![
                    "serve".to_owned(),
                    "--insecure-dev".to_owned(),
                    "--program".to_owned(),
                    program.display().to_string(),
                ];
                all.extend([
                    "--listen".to_owned(),
                    format!("127.0.0.1:{port}"),
                    "--partitions".to_owned(),
                    "16".to_owned(),
                ]);
                all.extend(["--relay-interval-ms", "100", "--call-deadline-ms-default", "2000"].map(str::to_owned));
                all.extend(args.iter().map(|arg| arg.replace("{instance}", &instance.to_string())));
                let clock = clocks.right(&instance.to_string());
                let mut instance = Instance { port, args: all, clock, child: None };
                instance.start();
                instance
            })
            .collect();
        Stand { instances, folder }
    }

    /// Kills one, does something while it is away, and starts it again.
    pub(crate) fn without(&mut self, which: usize, meanwhile: impl FnOnce()) {
        let instance = &mut self.instances[which];
        instance.kill();
        meanwhile();
        instance.start();
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.instances.iter().map(|instance| format!("http://127.0.0.1:{}", instance.port)).collect()
    }
}

impl Instance {
    pub(crate) fn start(&mut self) {
        // What a shell ignores stays ignored in what it becomes: writing past a limit on files is then an error like
        // that of a full disk, and no signal.
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_guerdon")])
            .args(&self.args)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        self.clock.put_on(&mut command);
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (tell, told) = std::sync::mpsc::channel();
        // Reads to the end, so that the server never waits for its log to be read.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if std::env::var_os("GUERDON_FAULTS_LOG").is_some() {
                    eprintln!("server: {line}");
                }
                if line.contains("listening on") {
                    let _ = tell.send(());
                }
            }
        });
        self.child = Some(child);
        told.recv_timeout(READY_WAIT_MAX).expect("the server listens");
    }

    /// SIGKILL; returns when the process is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The largest size that its files may reach from now on; `None`: any.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let limited = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={limit}:unlimited")]).status();
        assert!(limited.unwrap().success());
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}
