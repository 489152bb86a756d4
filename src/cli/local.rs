//! A server inside this process, on a free port of this machine, whose clock follows the requests: for replays and
//! the demonstration.

use std::path::Path;

use tempfile::TempDir;

use crate::app::{Drained, ProgramText, Server};
use crate::config::Settings;

/// Where it keeps its data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum LocalStore {
    /// A SQLite file.
    Embedded,
    /// A Redis server.
    Redis,
    /// This process; gone when it ends.
    Memory,
}

/// A running server.
#[derive(Debug)]
pub struct Local {
    server: Server,
    /// Goes with the server.
    _dir: Option<TempDir>,
}

impl Local {
    /// Starts it with the text of a program. `data` is the file of the embedded store; without it, a temporary one is
    /// taken and removed at the end.
    ///
    /// # Errors
    /// What is wrong with the settings, the program, the store or this machine, in words.
    pub async fn start(
        program: &str,
        store: LocalStore,
        data: Option<&Path>,
        redis_url: Option<&str>,
    ) -> Result<Local, String> {
        let temporary = match (store, data) {
            (LocalStore::Embedded, None) => {
                Some(tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?)
            }
            _ => None,
        };
        let path = temporary.as_ref().map(|dir| dir.path().join("guerdon.db"));
        let path = path.as_deref().or(data).map(|path| path.to_str().ok_or("the path of --data is not UTF-8"));
        let path = path.transpose()?;
        let name = match store {
            LocalStore::Embedded => "embedded",
            LocalStore::Redis => "redis",
            LocalStore::Memory => "memory",
        };
        let mut pairs = vec![("listen", "127.0.0.1:0"), ("clock", "follow"), ("store", name), ("insecure_dev", "yes")];
        pairs.extend(path.map(|path| ("data", path)));
        pairs.extend(redis_url.map(|url| ("redis_url", url)));
        let settings = Settings::of(&pairs).map_err(|faults| faults.to_string())?;
        let program = ProgramText { name: "the program".to_owned(), text: program.to_owned() };
        let server = Server::start_with(settings, &[program]).await.map_err(|error| error.to_string())?;
        Ok(Local { server, _dir: temporary })
    }

    /// Its address, for clients.
    pub fn target(&self) -> String {
        self.server.addr().to_string()
    }

    /// Finishes what is under way; whether nothing was cut.
    pub async fn stop(self) -> bool {
        self.server.stop().await == Drained::Whole
    }
}
