//! The embedded store: one SQLite file, written by one thread.
//!
//! Commits queue for the writer thread, which takes up to [`BATCH_MAX`] of them into one SQLite transaction and
//! answers after its sync (`fdatasync` of SQLite's log). So `Applied` survives `kill -9` and power loss, and concurrent
//! commits share one sync. Reads run on connections of their own and see only what is committed. Any SQLite tool can open the
//! file meanwhile; a tool that holds the write lock longer than [`BUSY_WAIT_MAX`] makes commits `Unavailable`.

mod apply;
mod format_1;
mod mover;
mod place;
mod read;
mod schema;
mod writer;

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{Semaphore, oneshot};
use tracing::{debug, error, warn};

use super::repeated::Repeated;
use super::{ClockMs, Commit, DueItem, Error, FeedItem, Key, Layout, Outcome, Page, Partition, Receipt, Record, Store};
use mover::Mover;
use writer::{Job, Writer};

/// Commits that share one transaction and one sync, at most.
pub const BATCH_MAX: usize = 256;
/// Commits that wait for the writer, at most; one more is told at once that the store is unavailable.
pub const QUEUE_MAX: usize = 1_024;
/// How long a lock that another process holds on the file is waited for.
pub const BUSY_WAIT_MAX: Duration = Duration::from_millis(250);
/// How long a process that serves the same file may take to end, when another is started in its place.
pub const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a read waits for one of the connections.
const READ_WAIT_MAX: Duration = Duration::from_secs(1);
const READERS_MIN: usize = 2;
const READERS_MAX: usize = 8;

/// See the [module](self). Dropping it settles what is queued, then closes the file; that blocks.
pub struct EmbeddedStore {
    /// `None` only while the store is dropped.
    queue: Option<SyncSender<Job>>,
    writer: Option<JoinHandle<()>>,
    /// Set by the writer when it can no longer vouch for the file.
    stopped: Arc<AtomicBool>,
    /// Set by the writer while the file takes no writes (a full disk); cleared by the first that succeeds.
    failing: Arc<AtomicBool>,
    readers: Arc<Readers>,
    told: Arc<Repeated>,
    clock: ClockMs,
    trips: AtomicU64,
    /// Held so that no other process serves the same file; released last.
    _lock: File,
}

impl EmbeddedStore {
    /// Opens the file, or creates it in a directory that exists.
    ///
    /// [`Error::Unavailable`] when it cannot be opened or another process serves it, [`Error::OtherDeployment`]
    /// when it was created with another number of partitions, [`Error::SchemaTooNew`] when a newer version
    /// wrote it, [`Error::Corrupt`] when it is no store of ours. The log says more.
    pub fn open(path: &Path, layout: Layout, clock: ClockMs) -> Result<EmbeddedStore, Error> {
        let lock = lock(path)?;
        let connection = schema::open(path, layout)?;

        let count = std::thread::available_parallelism().map_or(READERS_MIN, usize::from);
        let readers = (0..count.clamp(READERS_MIN, READERS_MAX))
            .map(|_| schema::open_reader(path))
            .collect::<Result<Vec<Connection>, Error>>()?;

        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let stopped = Arc::new(AtomicBool::new(false));
        let failing = Arc::new(AtomicBool::new(false));
        let told = Arc::new(Repeated::default());
        let no_thread = |cause: std::io::Error| {
            error!(%cause, "a thread of the embedded store did not start");
            Error::Unavailable
        };
        let mover = Mover::start(schema::open_for_moving(path)?, told.clone()).map_err(no_thread)?;
        let writer =
            Writer::new(connection, clock.clone(), stopped.clone(), failing.clone(), told.clone(), Some(mover));
        let writer = std::thread::Builder::new()
            .name("embedded-writer".to_owned())
            .spawn(move || writer.run(&jobs))
            .map_err(no_thread)?;

        Ok(EmbeddedStore {
            queue: Some(queue),
            writer: Some(writer),
            stopped,
            failing,
            readers: Arc::new(Readers::new(readers, told.clone())),
            told,
            clock,
            trips: AtomicU64::new(0),
            _lock: lock,
        })
    }

    fn trip(&self) {
        self.trips.fetch_add(1, Ordering::Relaxed);
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        Readers::read(&self.readers, query).await
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        drop(self.queue.take()); // the writer settles what is queued and ends
        self.readers.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            error!("the thread that writes the embedded store panicked");
        }
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").finish_non_exhaustive()
    }
}

/// Locks a file of its own beside the data: closing any handle on the data file itself would drop the locks
/// that SQLite holds on it, and a lock there would shut out other tools.
fn lock(path: &Path) -> Result<File, Error> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        error!(directory = %directory.display(), "the directory of the embedded store does not exist: create it");
        return Err(Error::Unavailable);
    }

    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push("-lock");
    let lock_path = PathBuf::from(lock_path);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .inspect_err(|cause| error!(path = %lock_path.display(), %cause, "the lock file cannot be opened"))
        .map_err(|_| Error::Unavailable)?;
    let served = || {
        error!(path = %path.display(), "another process serves this embedded store");
        Error::Unavailable
    };
    let failed = |cause: std::io::Error| {
        error!(path = %lock_path.display(), %cause, "the lock file cannot be locked");
        Error::Unavailable
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            // A thread of its own waits for the lock; should that take too long, it lets go of the lock as soon as it has it.
            let (given, waits) = sync_channel(0);
            std::thread::spawn(move || {
                let locked = file.lock().map(|()| file);
                // Nobody waits any more.
                let _ = given.send(locked);
            });
            waits.recv_timeout(LOCK_WAIT_MAX).map_err(|_| served())?.map_err(failed)
        }
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}

/// Why work on a connection ended.
enum Fault {
    /// SQLite failed; an open transaction is of no more use.
    Sqlite(rusqlite::Error),
    /// What is stored cannot be; found before anything was written.
    Refused(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sqlite(error)
    }
}

impl Fault {
    /// Logs what the driver says and keeps it from going further.
    fn into_port(self, doing: &'static str, told: &Repeated) -> Error {
        match self {
            Fault::Sqlite(cause) => driver_error(&cause, doing, told),
            Fault::Refused(error) => {
                if told.is_news(&format!("{doing}: {error}")) {
                    error!(%error, "{doing}: what the embedded store holds cannot be");
                } else {
                    debug!(%error, "{doing}: what the embedded store holds still cannot be");
                }
                error
            }
        }
    }
}

/// Logs what the driver says and keeps it from going further. For failures after which nothing was applied.
fn driver_error(cause: &rusqlite::Error, doing: &'static str, told: &Repeated) -> Error {
    let news = told.is_news(&format!("{doing}: {cause}"));
    match cause.sqlite_error_code() {
        _ if !news => debug!(%cause, "{doing}: the embedded store still fails"),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            error!(%cause, "{doing}: the file of the embedded store is damaged");
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            warn!(%cause, "{doing}: another process holds a lock on the embedded store");
        }
        _ => error!(%cause, "{doing}: the embedded store failed"),
    }
    match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::Corrupt { what: "the file is not a sound SQLite database".to_owned() }
        }
        _ => Error::Unavailable,
    }
}

/// Connections for reading, each used by one blocking task at a time.
struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    told: Arc<Repeated>,
}

impl Readers {
    fn new(connections: Vec<Connection>, told: Arc<Repeated>) -> Readers {
        let permits = Arc::new(Semaphore::new(connections.len()));
        Readers { idle: Mutex::new(connections), permits, told }
    }

    async fn read<T: Send + 'static>(
        readers: &Arc<Readers>,
        query: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let waited = tokio::time::timeout(READ_WAIT_MAX, readers.permits.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = waited else {
            let what = "all connections that read the embedded store are busy";
            if readers.told.is_news(what) {
                warn!("{what}");
            }
            return Err(Error::Unavailable);
        };
        let readers = readers.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit; // given back after the connection is
            let connection = readers.take().ok_or(Error::Unavailable)?;
            let answer = query(&connection);
            readers.put(connection);
            answer.map_err(|fault| fault.into_port("reading", &readers.told))
        });
        task.await.unwrap_or_else(|cause| {
            error!(%cause, "a read of the embedded store did not end");
            Err(Error::Unavailable)
        })
    }

    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// After [`Readers::close`] the connection is closed instead.
    fn put(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.permits.is_closed() {
            idle.push(connection);
        }
    }

    fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn load(&self, partition: Partition, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        debug_assert!(keys.iter().all(|key| key.partition == partition), "a load reads one partition");
        self.trip();
        let keys = keys.to_vec();
        self.read(move |connection| read::records(connection, &keys)).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Outcome, Error> {
        self.trip();
        let (reply, answer) = oneshot::channel();
        let job = Job { commit: commit.clone(), reply };
        let Some(queue) = &self.queue else { return Err(Error::Unavailable) };
        match queue.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                let what = "the embedded store has more commits waiting than it takes";
                if self.told.is_news(what) {
                    warn!(queue_max = QUEUE_MAX, "{what}");
                }
                return Err(Error::Unavailable);
            }
            Err(TrySendError::Disconnected(_)) => return Err(Error::Unavailable),
        }
        // No answer means that the writer died with the commit in hand.
        answer.await.unwrap_or(Err(Error::OutcomeUnknown))
    }

    async fn receipt(&self, key: &Key) -> Result<Option<Receipt>, Error> {
        let (key, now_ms) = (key.clone(), (self.clock)());
        self.read(move |connection| read::receipt(connection, &key, now_ms)).await
    }

    async fn entries(&self, log: &Key, from_sequence: u64, limit: usize) -> Result<Vec<Vec<u8>>, Error> {
        let log = log.clone();
        self.read(move |connection| read::entries(connection, &log, from_sequence, limit)).await
    }

    async fn left(&self, key: &Key) -> Result<i64, Error> {
        let key = key.clone();
        self.read(move |connection| read::left(connection, &key)).await
    }

    async fn feed(&self, partition: Partition, limit: usize) -> Result<Vec<FeedItem>, Error> {
        self.read(move |connection| read::feed(connection, partition, limit)).await
    }

    async fn feed_page(&self, from: Partition, limit: usize) -> Result<Page<FeedItem>, Error> {
        self.read(move |connection| read::feed_page(connection, from, limit)).await
    }

    async fn due_page(&self, from: Partition, through_ms: i64, limit: usize) -> Result<Page<DueItem>, Error> {
        self.read(move |connection| read::due_page(connection, from, through_ms, limit)).await
    }

    async fn now_ms(&self) -> Result<Option<i64>, Error> {
        Ok(None)
    }

    async fn ping(&self) -> Result<(), Error> {
        if self.stopped.load(Ordering::Acquire) || self.failing.load(Ordering::Acquire) {
            return Err(Error::Unavailable);
        }
        self.read(read::ping).await
    }

    fn trips(&self) -> u64 {
        self.trips.load(Ordering::Relaxed)
    }

    fn name(&self) -> &'static str {
        "embedded"
    }
}
