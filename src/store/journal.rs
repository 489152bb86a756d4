//! A local journal of what this instance has sent to the store: what brings back acknowledged writes that a store has
//! lost which keeps less than it acknowledges.
//!
//! A folder of files that are only ever appended to. A commit is written here before it is sent, so that the end of
//! this process loses nothing; it is on disk (one `fdatasync` for all that wait) before it is acknowledged, so that
//! neither does a loss of power. What became of it is written afterwards. The journal knows no store: who uses it
//! says what a number is, and when a file is no longer needed.

mod frame;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::watch;
use tracing::{error, info, warn};

pub use frame::Number;
use frame::{BODY_LEN_MAX, Flaw, HEAD, Says};

use super::{Commit, Error, Partition, Record};

/// A file is ended at the first sync at which it is this long.
const FILE_LEN: u64 = 32 * 1024 * 1024;
/// Requests that wait for the store to come back; the next one is refused.
const PROMISES_MAX: usize = 10_000;
const EXTENSION: &str = "journal";

/// Where the journal is, and how large it may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalSettings {
    /// Made if it is missing; of one instance alone.
    pub dir: PathBuf,
    /// Of all files together; what does not fit is refused.
    pub bytes_max: u64,
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the journal {}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("the journal {} is in use by another process", dir.display())]
    InUse { dir: PathBuf },
    /// Something that had been on disk is not what was written.
    #[error("the journal file {} is damaged at byte {at}", path.display())]
    Damaged { path: PathBuf, at: u64 },
    #[error("the journal file {} has format {found}, this program knows up to 1", path.display())]
    TooNew { path: PathBuf, found: u8 },
}

/// Names what was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    pub id: u64,
    /// To be waited for: see [`Journal::synced`].
    pub through: u64,
}

/// What is known of a commit in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The store said so.
    Applied(Number),
    /// No answer came, or this process ended before it did.
    Unknown,
}

/// A commit in the journal that is not settled otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    pub id: u64,
    pub partition: Partition,
    pub fate: Fate,
    place: Place,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    file: PathBuf,
    offset: u64,
}

/// How a lost commit is applied to records that have changed since: a rule of whoever wrote it.
#[async_trait]
pub trait Reapply: Send + Sync {
    /// `fresh`: the records that the commit expected, as they stand. Nothing is applied by this.
    async fn again(&self, lost: &Commit, fresh: &[Option<Record>]) -> Again;
}

/// What is to be done about a lost commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Again {
    /// This, which expects the records as they stand.
    Apply(Box<Commit>),
    /// Nothing: what it did is there.
    There,
    /// Nothing can be: somebody has to look at it. Why.
    Clash(String),
}

/// All that the journal holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Held {
    /// In the order in which they were sent.
    pub found: Vec<Found>,
    /// Of each partition the last commit that was applied before the journal begins.
    pub floors: HashMap<Partition, Number>,
}

/// An open journal. The last handle that is dropped ends its thread.
pub struct Journal {
    shared: Arc<Shared>,
    dir: PathBuf,
    instance: Box<str>,
    synced: watch::Receiver<Synced>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Held while the journal is open.
    _lock: File,
}

#[derive(Clone, Copy, Default)]
struct Synced {
    through: u64,
    failed: bool,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to sync, or nothing more to come.
    work: Condvar,
    bytes_max: u64,
}

struct State {
    dir: PathBuf,
    file: Arc<File>,
    path: PathBuf,
    /// Of the file that is written now.
    len: u64,
    synced_len: u64,
    /// Bytes written since the start.
    written: u64,
    next_id: u64,
    /// Numbers files in the order in which they were begun.
    next_file: u64,
    /// Files that are complete, oldest first.
    sealed: VecDeque<Sealed>,
    heads: HashMap<Partition, Number>,
    promises: BTreeMap<u64, Arc<[u8]>>,
    /// The disk can no longer be trusted: nothing more is taken.
    broken: bool,
    /// The last append failed; so that it is logged once.
    refusing: bool,
    ended: bool,
}

struct Sealed {
    path: PathBuf,
    len: u64,
    at: Instant,
    /// The first id that is in a later file.
    next_id: u64,
}

impl Journal {
    /// Opens the journal and cuts off what was torn at its end. Blocks on the disk.
    ///
    /// # Errors
    /// See [`OpenError`]. Damage to what had been synced is one: it may have been acknowledged.
    pub fn open(settings: &JournalSettings) -> Result<Journal, OpenError> {
        let dir = &settings.dir;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| OpenError::Io { path, error }
        };
        std::fs::create_dir_all(dir).map_err(failed(dir))?;
        let lock_path = dir.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(failed(&lock_path))?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => OpenError::InUse { dir: dir.clone() },
            std::fs::TryLockError::Error(error) => failed(&lock_path)(error),
        })?;
        let instance = instance_of(dir).map_err(failed(dir))?;
        let mut state = State {
            dir: dir.clone(),
            file: Arc::new(lock.try_clone().map_err(failed(&lock_path))?),
            path: PathBuf::new(),
            len: 0,
            synced_len: 0,
            written: 0,
            next_id: 1,
            next_file: 1,
            sealed: VecDeque::new(),
            heads: HashMap::new(),
            promises: BTreeMap::new(),
            broken: false,
            refusing: false,
            ended: false,
        };
        let paths = files(dir).map_err(failed(dir))?;
        for (index, path) in paths.iter().enumerate() {
            let bytes = std::fs::read(path).map_err(failed(path))?;
            let contents = frame::read(&bytes, index + 1 == paths.len()).map_err(|flaw| flaw.of(path))?;
            contents.frames.into_iter().for_each(|(_, says)| state.take_note(says));
            let number = path.file_stem().and_then(|stem| u64::from_str_radix(stem.to_str()?, 16).ok());
            state.next_file = state.next_file.max(number.unwrap_or_default() + 1);
            let torn = bytes.len() as u64 - contents.end;
            if contents.end == 0 {
                std::fs::remove_file(path).map_err(failed(path))?;
                continue;
            }
            if 0 < torn {
                warn!(torn_bytes = torn, "the journal's last file was torn at its end, which is cut off");
                let file = OpenOptions::new().write(true).open(path).map_err(failed(path))?;
                file.set_len(contents.end).and_then(|()| file.sync_all()).map_err(failed(path))?;
            }
            let next_id = state.next_id;
            state.sealed.push_back(Sealed { path: path.clone(), len: contents.end, at: Instant::now(), next_id });
        }
        state.begin_file().map_err(failed(dir))?;
        let (tell, synced) = watch::channel(Synced::default());
        let shared = Arc::new(Shared { state: Mutex::new(state), work: Condvar::new(), bytes_max: settings.bytes_max });
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || worker.sync(&tell));
        let thread = Some(thread.map_err(failed(dir))?);
        Ok(Journal { shared, dir: dir.clone(), instance, synced, thread, _lock: lock })
    }

    /// A name of this instance that stays with its journal.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Which deployment the journal belongs to, once that is known.
    pub fn deployment(&self) -> io::Result<Option<String>> {
        match std::fs::read_to_string(self.dir.join("deployment")) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says which deployment the journal belongs to, for good.
    pub fn belongs_to(&self, deployment: &str) -> io::Result<()> {
        put_whole(&self.dir, "deployment", deployment)
    }

    /// Writes a commit that is about to be sent. When this returns, the end of this process does not lose it.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: nothing was written, and nothing may be sent.
    pub fn send(&self, commit: &Commit) -> Result<Written, Error> {
        self.shared.append(|id| Says::Sent { id, commit })
    }

    /// Writes that a commit was applied, and as which.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`]: it could not be written.
    pub fn applied(&self, id: u64, partition: Partition, number: Number) -> Result<(), Error> {
        let written = self.shared.append(|_| Says::Applied { id, partition, number });
        written.map(|_| ()).map_err(|_| Error::OutcomeUnknown)
    }

    /// Writes that nothing is to be done about a commit any more. Where that fails it will be looked at once more.
    pub fn settled(&self, id: u64) {
        let _ = self.shared.append(|_| Says::Settled { id });
    }

    /// Whether everything up to here is on disk; waits for it.
    pub async fn synced(&self, through: u64) -> bool {
        let mut synced = self.synced.clone();
        let reached = synced.wait_for(|synced| synced.failed || through <= synced.through).await;
        reached.is_ok_and(|synced| through <= synced.through)
    }

    /// Writes a request that is to be carried out later.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: it was not taken.
    pub fn promise(&self, request: Vec<u8>) -> Result<Written, Error> {
        if PROMISES_MAX <= self.shared.state().promises.len() {
            return Err(Error::Unavailable);
        }
        let kept: Arc<[u8]> = request.as_slice().into();
        let written = self.shared.append(|id| Says::Promised { id, request })?;
        self.shared.state().promises.insert(written.id, kept);
        Ok(written)
    }

    /// Requests that were not carried out yet, oldest first, at most `limit`.
    pub fn promised(&self, limit: usize) -> Vec<(u64, Arc<[u8]>)> {
        let state = self.shared.state();
        state.promises.iter().take(limit).map(|(id, request)| (*id, Arc::clone(request))).collect()
    }

    /// Writes that a request was carried out. Where that fails it is carried out again, so it must bear that.
    pub fn kept(&self, id: u64) {
        if self.shared.append(|_| Says::Kept { id }).is_ok() {
            self.shared.state().promises.remove(&id);
        }
    }

    /// Whether it takes what is written.
    pub fn is_well(&self) -> bool {
        let state = self.shared.state();
        !state.broken && !state.refusing
    }

    /// Everything that is not settled. Blocks on the disk.
    ///
    /// # Errors
    /// [`Error::Corrupt`]
    pub fn held(&self) -> Result<Held, Error> {
        // What is written meanwhile is not asked about.
        let (paths, last) = {
            let state = self.shared.state();
            (state.sealed.iter().map(|file| file.path.clone()).collect::<Vec<_>>(), state.path.clone())
        };
        let mut held = Held::default();
        let mut by_id: HashMap<u64, usize> = HashMap::new();
        for (index, path) in paths.iter().chain([&last]).enumerate() {
            let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
            let contents = frame::read(&bytes, *path == last).map_err(|flaw| unreadable(path, &flaw.of(path)))?;
            for (offset, says) in contents.frames {
                match says {
                    Says::Sent { id, commit } => {
                        let place = Place { file: path.clone(), offset };
                        by_id.insert(id, held.found.len());
                        held.found.push(Found { id, partition: commit.partition, fate: Fate::Unknown, place });
                    }
                    Says::Applied { id, number, .. } => {
                        if let Some(found) = by_id.get(&id).and_then(|at| held.found.get_mut(*at)) {
                            found.fate = Fate::Applied(number);
                        }
                    }
                    Says::Settled { id } => {
                        by_id.remove(&id);
                    }
                    Says::Heads(heads) if index == 0 => held.floors.extend(heads),
                    Says::Heads(_) | Says::Promised { .. } | Says::Kept { .. } => {}
                }
            }
        }
        held.found.retain(|found| by_id.contains_key(&found.id));
        Ok(held)
    }

    /// A commit that was found. Blocks on the disk.
    ///
    /// # Errors
    /// [`Error::Corrupt`]
    pub fn read(&self, found: &Found) -> Result<Commit, Error> {
        let Place { file: path, offset } = &found.place;
        let mut head = [0; frame::FRAME_HEAD_LEN];
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        file.read_exact_at(&mut head, *offset).map_err(|error| unreadable(path, &error))?;
        let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let mut bytes = vec![0; frame::FRAME_HEAD_LEN + len.min(BODY_LEN_MAX)];
        file.read_exact_at(&mut bytes, *offset).map_err(|error| unreadable(path, &error))?;
        frame::commit_in(&bytes).ok_or_else(|| unreadable(path, &"a frame is not what it was"))
    }

    /// Removes files whose last commit is older than this, but none that holds a request still to be carried out.
    pub fn forget(&self, older_than: Duration) {
        let mut state = self.shared.state();
        let first_promise = state.promises.keys().next().copied().unwrap_or(u64::MAX);
        while let Some(oldest) = state.sealed.front()
            && older_than < oldest.at.elapsed()
            && oldest.next_id <= first_promise
        {
            if let Err(error) = std::fs::remove_file(&oldest.path) {
                warn!(%error, "a file of the journal cannot be removed");
                return;
            }
            state.sealed.pop_front();
        }
    }

    /// Whether there are complete files older than this.
    pub fn has_older(&self, than: Duration) -> bool {
        self.shared.state().sealed.front().is_some_and(|oldest| than < oldest.at.elapsed())
    }

    /// Ends the file that is written, where it is this old and holds something, so that it can be forgotten some time.
    pub fn end_file(&self) {
        let mut state = self.shared.state();
        if !state.broken
            && let Err(error) = state.roll()
        {
            state.fail(&error);
        }
    }

    /// Puts what could not be brought back aside, for somebody to look at: beside the journal, where nothing removes it.
    pub fn set_aside(&self, found: &Found, commit: &Commit) -> io::Result<PathBuf> {
        let name = format!("lost-{:016x}.commit", found.id);
        let path = self.dir.join(&name);
        std::fs::write(&path, frame::frame(&Says::Sent { id: found.id, commit }, 0))?;
        File::open(&path)?.sync_all()?;
        sync_dir(&self.dir)?;
        Ok(path)
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.work.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic was told when it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append<'a>(&self, says: impl FnOnce(u64) -> Says<&'a Commit>) -> Result<Written, Error> {
        let mut state = self.state();
        if state.broken {
            return Err(Error::Unavailable);
        }
        let id = state.next_id;
        let says = says(id);
        let frame = frame::frame(&says, state.synced_len);
        let held: u64 = state.sealed.iter().map(|file| file.len).sum::<u64>() + state.len;
        let written = match frame.len() {
            len if BODY_LEN_MAX < len => Err(io::Error::other("a commit is too large")),
            len if self.bytes_max < held + len as u64 => Err(io::Error::other("it is as large as it may be")),
            _ => state.file.write_all_at(&frame, state.len),
        };
        if let Err(error) = written {
            if !state.refusing {
                error!(%error, "the journal takes nothing more for now: {error}");
            }
            state.refusing = true;
            return Err(Error::Unavailable);
        }
        if std::mem::take(&mut state.refusing) {
            info!("the journal takes writes again");
        }
        state.len += frame.len() as u64;
        state.written += frame.len() as u64;
        match says {
            Says::Applied { partition, number, .. } => state.head(partition, number),
            Says::Sent { .. } | Says::Promised { .. } => state.next_id += 1,
            Says::Settled { .. } | Says::Kept { .. } | Says::Heads(_) => {}
        }
        let through = state.written;
        drop(state);
        self.work.notify_one();
        Ok(Written { id, through })
    }

    /// Syncs whatever was written, again and again: what comes meanwhile shares the next time.
    fn sync(&self, tell: &watch::Sender<Synced>) {
        let mut through = 0;
        loop {
            let mut state = self.state();
            while state.written == through && !state.ended {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.written == through {
                return;
            }
            let (file, len, written) = (Arc::clone(&state.file), state.len, state.written);
            drop(state);
            let done = file.sync_data();
            let mut state = self.state();
            let done = done.and_then(|()| {
                if Arc::ptr_eq(&file, &state.file) {
                    state.synced_len = len;
                    if FILE_LEN <= len {
                        state.roll()?;
                    }
                }
                Ok(())
            });
            if let Err(error) = done {
                // After a failed sync the system may have dropped the pages and call the next one a success.
                state.fail(&error);
            }
            let failed = state.broken;
            drop(state);
            through = written;
            // Nobody may be waiting.
            tell.send_modify(|synced| {
                synced.failed = failed;
                if !failed {
                    synced.through = through;
                }
            });
            if failed {
                return;
            }
        }
    }
}

impl State {
    /// What a file says when it is opened.
    fn take_note(&mut self, says: Says<Commit>) {
        match says {
            Says::Sent { id, .. } => self.next_id = self.next_id.max(id + 1),
            Says::Applied { partition, number, .. } => self.head(partition, number),
            Says::Heads(heads) => heads.into_iter().for_each(|(partition, number)| self.head(partition, number)),
            Says::Promised { id, request } => {
                self.next_id = self.next_id.max(id + 1);
                self.promises.insert(id, request.into());
            }
            Says::Kept { id } => drop(self.promises.remove(&id)),
            Says::Settled { .. } => {}
        }
    }

    fn head(&mut self, partition: Partition, number: Number) {
        let head = self.heads.entry(partition).or_insert(number);
        *head = number.max(*head);
    }

    fn fail(&mut self, error: &io::Error) {
        self.broken = true;
        error!(%error, "the journal can no longer be trusted to be on disk; nothing is acknowledged until a restart");
    }

    /// Ends the file that is written, and begins the next.
    fn roll(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.sealed.push_back(Sealed {
            path: self.path.clone(),
            len: self.len,
            at: Instant::now(),
            next_id: self.next_id,
        });
        self.begin_file()
    }

    fn begin_file(&mut self) -> io::Result<()> {
        let path = self.dir.join(format!("{:016x}.{EXTENSION}", self.next_file));
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
        let mut heads: Vec<(Partition, Number)> = self.heads.iter().map(|(of, number)| (*of, *number)).collect();
        heads.sort_unstable_by_key(|(partition, _)| *partition);
        let first = [&HEAD[..], &frame::frame(&Says::Heads(heads), 0)].concat();
        file.write_all_at(&first, 0)?;
        file.sync_all()?;
        sync_dir(&self.dir)?;
        self.next_file += 1;
        (self.len, self.synced_len) = (first.len() as u64, first.len() as u64);
        (self.file, self.path) = (Arc::new(file), path);
        Ok(())
    }
}

impl Flaw {
    fn of(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Flaw::Damaged { at } => OpenError::Damaged { path, at },
            Flaw::TooNew { found } => OpenError::TooNew { path, found },
        }
    }
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Corrupt { what: format!("the journal file {} cannot be read: {error}", path.display()) }
}

/// The journal's files, oldest first.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn instance_of(dir: &Path) -> io::Result<Box<str>> {
    match std::fs::read_to_string(dir.join("instance")) {
        Ok(text) => Ok(text.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes).map_err(io::Error::other)?;
            let name = format!("{:016x}", u64::from_be_bytes(bytes));
            put_whole(dir, "instance", &name)?;
            Ok(name.into())
        }
        Err(error) => Err(error),
    }
}

/// Writes a small file, whole or not at all.
fn put_whole(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let beside = dir.join(format!("{name}.new"));
    std::fs::write(&beside, text)?;
    File::open(&beside)?.sync_all()?;
    std::fs::rename(&beside, dir.join(name))?;
    sync_dir(dir)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
