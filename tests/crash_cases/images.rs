//! Files as a machine leaves them that dies: what was synced, and of what was written after that some part, in any state.
//! Each is opened again, and all that was acknowledged is there once, and no write by half.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use guerdon::store::embedded::EmbeddedStore;
use guerdon::store::journal::{Fate, Journal, JournalSettings, Number};
use guerdon::store::{
    Append, Commit, Delta, Expected, Key, Layout, NewReceipt, Outcome, Partition, Receipt, Record, Store, Token, Write,
};
use tempfile::TempDir;

const PARTITION: Partition = Partition(1);
/// So many commits, each of them a moment at which the machine dies: many in the long form.
fn commits() -> usize {
    if std::env::var_os("GUERDON_FAULTS").is_some() { 300 } else { 24 }
}

fn key(name: &str) -> Key {
    Key { partition: PARTITION, name: name.into() }
}

/// The `n`th commit, counted from 1: touches a record, a receipt, a quantity and a log, so that half of it would show.
fn commit(n: usize, body_len: usize) -> Commit {
    let sequence = n as u64;
    let token = |sequence: u64| Token::new(sequence, &[7; 32]);
    let record = Record { token: token(sequence), body: vec![n as u8; body_len] };
    let before = sequence - 1;
    Commit {
        partition: PARTITION,
        receipts: vec![NewReceipt {
            key: key(&format!("rcp|{n}")),
            receipt: Receipt { fingerprint: b"print".to_vec(), body: n.to_string().into_bytes() },
            keep_s: 600,
        }],
        expect: vec![(key("record"), if before == 0 { Expected::Absent } else { Expected::At(token(before)) })],
        writes: vec![Write { key: key("record"), record: Some(record) }],
        deltas: vec![Delta { key: key("count"), delta: 1 }],
        appends: vec![Append { log: key("log"), first_sequence: sequence, entries: vec![vec![n as u8; 100]] }],
        ..Commit::default()
    }
}

/// What a disk may hold of bytes that were written after the last sync: any part of them, nothing but their place, or noise.
fn tails(unsynced: &[u8]) -> Vec<Vec<u8>> {
    let cut = |len: usize| unsynced.get(..len.min(unsynced.len())).unwrap_or_default().to_vec();
    let mut torn = unsynced.to_vec();
    if let Some(byte) = torn.get_mut(unsynced.len() / 2) {
        *byte ^= 0x40;
    }
    vec![
        Vec::new(),
        cut(1),
        cut(unsynced.len() / 2),
        cut(unsynced.len().saturating_sub(1)),
        unsynced.to_vec(),
        vec![0; unsynced.len()],
        [vec![0; unsynced.len() / 2], unsynced.get(unsynced.len() / 2..).unwrap_or_default().to_vec()].concat(),
        torn,
    ]
}

fn journal_files(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "journal"));
    paths.sort();
    paths
}

fn open_journal(dir: &Path) -> Journal {
    Journal::open(&JournalSettings { dir: dir.to_owned(), bytes_max: 1 << 30 }).unwrap()
}

/// How long the files of the journal were when something had been synced.
struct Moment {
    /// Of every file that there was; all but the last are complete.
    lens: Vec<u64>,
    /// Commits that were acknowledged by then.
    acknowledged: usize,
    /// Those that are known to have been applied, by then.
    applied: usize,
    /// How long the last file was before the next sync.
    until: u64,
}

fn number(n: usize) -> Number {
    Number { epoch: 1, sequence: n as u64 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_a_journal_holds_what_was_acknowledged_whatever_the_machine_left_of_its_end() {
    let dir = TempDir::new().unwrap();
    let journal = open_journal(dir.path());
    let mut moments = Vec::new();
    for n in 1..=commits() {
        let written = journal.send(&commit(n, 300)).unwrap();
        assert!(journal.synced(written.through).await);
        let lens: Vec<u64> = journal_files(dir.path()).iter().map(|path| fs::metadata(path).unwrap().len()).collect();
        let len =
            || journal_files(dir.path()).iter().map(|path| fs::metadata(path).unwrap().len()).next_back().unwrap();
        let synced = lens;
        journal.applied(written.id, PARTITION, number(n)).unwrap();
        let until = len();
        moments.push(Moment { lens: synced.clone(), acknowledged: n, applied: n - 1, until });
        // That it was applied may have been synced by itself, too: then the next commit is what can be torn.
        let lens = [&synced[..synced.len() - 1], &[until]].concat();
        moments.push(Moment { lens, acknowledged: n, applied: n, until });
        if n % 7 == 0 {
            // The next file begins, so that an image may end within its head.
            journal.end_file();
        }
    }
    drop(journal);
    let files: Vec<Vec<u8>> = journal_files(dir.path()).iter().map(|path| fs::read(path).unwrap()).collect();
    // What the next commit wrote is what was not synced after the second of each two moments.
    for at in (1..moments.len() - 1).step_by(2) {
        if moments[at].lens.len() == moments[at + 1].lens.len() {
            moments[at].until = *moments[at + 1].lens.last().unwrap();
        }
    }
    let mut opened = 0;
    for moment in &moments {
        let last = moment.lens.len() - 1;
        let (synced, until) = (moment.lens[last] as usize, moment.until as usize);
        for tail in tails(&files[last][synced..until]) {
            let image = TempDir::new().unwrap();
            for (at, path) in journal_files(dir.path()).iter().enumerate().take(last + 1) {
                let name = image.path().join(path.file_name().unwrap());
                let bytes = if at < last { files[at].clone() } else { [&files[last][..synced], &tail].concat() };
                fs::write(name, bytes).unwrap();
            }
            holds(image.path(), moment);
            // Opened again, what was cut off is gone, and what is written next is there, too.
            let journal = open_journal(image.path());
            let next = moment.acknowledged + 1_000;
            let written = journal.send(&commit(next, 300)).unwrap();
            assert!(journal.synced(written.through).await);
            drop(journal);
            let again = open_journal(image.path());
            let held = again.held().unwrap();
            assert_eq!(again.read(held.found.last().unwrap()).unwrap(), commit(next, 300));
            opened += 1;
        }
    }
    // A file that was begun, and of which not even the head is there.
    let at_ends = moments.iter().skip(1).step_by(2).filter(|moment| moment.acknowledged % 7 == 0);
    for (moment, len) in at_ends.zip([0, 3, 8, 20].iter().cycle()) {
        let last = moment.lens.len();
        let Some(next) = files.get(last) else { continue };
        let image = TempDir::new().unwrap();
        for (at, path) in journal_files(dir.path()).iter().enumerate().take(last + 1) {
            let bytes = if at < last { &files[at][..] } else { &next[..next.len().min(*len)] };
            fs::write(image.path().join(path.file_name().unwrap()), bytes).unwrap();
        }
        holds(image.path(), moment);
        opened += 1;
    }
    assert!(commits() * 8 < opened, "{opened} images");
}

fn holds(image: &Path, moment: &Moment) {
    let journal = open_journal(image);
    let held = journal.held().unwrap();
    let whole: Vec<Commit> = held.found.iter().map(|found| journal.read(found).unwrap()).collect();
    let (there, n) = (whole.len(), moment.acknowledged);
    assert!(n <= there && there <= n + 1, "{there} are there of {n} that were acknowledged");
    for (at, (found, commit_found)) in held.found.iter().zip(&whole).enumerate() {
        assert_eq!(*commit_found, commit(at + 1, 300), "each is there once, whole and in order");
        if at < moment.applied {
            assert_eq!(found.fate, Fate::Applied(number(at + 1)));
        }
    }
}

fn open_store(path: &Path) -> EmbeddedStore {
    EmbeddedStore::open(path, Layout::new(4).unwrap(), Arc::new(|| 1_780_272_000_000)).unwrap()
}

/// What lies on the disk for the store: its file, and the log beside it.
#[derive(Clone)]
struct Files {
    main: Vec<u8>,
    log: Vec<u8>,
}

impl Files {
    fn of(path: &Path) -> Files {
        Files { main: fs::read(path).unwrap(), log: fs::read(log_of(path)).unwrap_or_default() }
    }

    fn put(&self, path: &Path) {
        fs::write(path, &self.main).unwrap();
        fs::write(log_of(path), &self.log).unwrap();
    }
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// That so many commits are there, or one more: each once and none by half; and that the store goes on.
async fn stands(files: &Files, acknowledged: usize, body_len: usize) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("guerdon.db");
    files.put(&path);
    let store = open_store(&path);
    let record = store.load(PARTITION, &[key("record")]).await.unwrap().remove(0);
    let there = record.as_ref().map_or(0, |record| record.token.sequence() as usize);
    assert!((acknowledged..=acknowledged + 1).contains(&there), "{there} are there of {acknowledged} acknowledged");
    let count = store.left(&key("count")).await.unwrap();
    let entries = store.entries(&key("log"), 1, there + 10).await.unwrap();
    assert_eq!((count, entries.len()), (there as i64, there), "a commit is there by half");
    for n in 1..=there + 2 {
        let receipt = store.receipt(&key(&format!("rcp|{n}"))).await.unwrap();
        assert_eq!(receipt.is_some(), n <= there, "receipt {n} of {there}");
    }
    assert_eq!(store.commit(&commit(there + 1, body_len)).await, Ok(Outcome::Applied));
    if 0 < there {
        let resent = store.commit(&commit(there, body_len)).await;
        assert!(matches!(resent, Ok(Outcome::Seen(_))), "{resent:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_the_embedded_store_holds_what_was_acknowledged_whatever_the_machine_left_of_its_log() {
    const BODY_LEN: usize = 700;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("guerdon.db");
    let store = open_store(&path);
    let mut moments = vec![Files::of(&path)];
    for n in 1..=commits() {
        assert_eq!(store.commit(&commit(n, BODY_LEN)).await, Ok(Outcome::Applied));
        moments.push(Files::of(&path));
    }
    drop(store);
    for (acknowledged, pair) in moments.windows(2).enumerate() {
        let (now, next) = (&pair[0], &pair[1]);
        stands(now, acknowledged, BODY_LEN).await;
        // The log was only added to, unless it has begun anew: then there is no unsynced tail of it to tear.
        let Some(unsynced) = next.log.strip_prefix(now.log.as_slice()) else { continue };
        for tail in tails(unsynced) {
            let torn = Files { main: now.main.clone(), log: [now.log.as_slice(), &tail].concat() };
            stands(&torn, acknowledged, BODY_LEN).await;
        }
    }
}

/// While the log is carried over into the file, any of its pages may be there and others not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_the_embedded_store_holds_what_was_acknowledged_while_its_log_is_carried_over() {
    // Large enough that the log is carried over as soon as nobody waits.
    const BODY_LEN: usize = 60_000;
    const PAGE: usize = 4_096;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("guerdon.db");
    let store = open_store(&path);
    let mut before = Files::of(&path);
    let mut acknowledged = 0;
    let after = loop {
        acknowledged += 1;
        assert_eq!(store.commit(&commit(acknowledged, BODY_LEN)).await, Ok(Outcome::Applied));
        let now = Files::of(&path);
        if 30 <= acknowledged && now.main == before.main {
            // The log holds it all. Then the writer has nothing to do.
            before = now;
            let mut carried = Files::of(&path);
            for _ in 0..200 {
                if carried.main != before.main {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                carried = Files::of(&path);
            }
            // Only complete: all pages of the log are in the file.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            carried = Files::of(&path);
            assert_ne!(carried.main, before.main, "the log was carried over");
            break carried;
        }
        before = now;
        assert!(acknowledged < 200, "the log is carried over some time");
    };
    drop(store);
    let pages = after.main.len().div_ceil(PAGE);
    let page = |main: &[u8], at: usize| {
        let (begin, end) = ((at * PAGE).min(main.len()), ((at + 1) * PAGE).min(main.len()));
        main[begin..end].to_vec()
    };
    for which in 0..12_usize {
        let mut main = Vec::new();
        for at in 0..pages {
            // Another choice of pages each time; a page that the file did not have is there as nothing but its place.
            let new = (at * 7 + which * 13) % 12 < which;
            let mut bytes = page(if new { &after.main } else { &before.main }, at);
            bytes.resize(PAGE, 0);
            main.extend(bytes);
        }
        stands(&Files { main, log: before.log.clone() }, acknowledged, BODY_LEN).await;
    }
    stands(&after, acknowledged, BODY_LEN).await;
}
