//! The versions of each program and since when they are active, kept in the store so that all instances and all
//! times to come agree on them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::domain::draw::Seed;
use crate::domain::id::ProgramId;
use crate::domain::ledger::{decode, digest, encode};
use crate::domain::program::{Program, ProgramVersion, Timeline};
use crate::domain::time::Instant;
use crate::program;
use crate::store::{self, Commit, Expected, Key, Layout, Outcome, Record, Store, Token, Write};

/// A program as the instance was given it.
#[derive(Clone, Debug)]
pub struct Source {
    pub program: Arc<Program>,
    pub text: Arc<str>,
}

impl Source {
    /// Compiles a program file.
    pub fn compile(text: &str) -> Result<Source, program::Faults> {
        Ok(Source { program: Arc::new(program::compile(text)?), text: text.into() })
    }
}

/// What is stored of a timeline: ascending instants.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct StoredTimeline {
    versions: Vec<(Instant, ProgramVersion)>,
}

/// Programs served by this instance.
#[derive(Debug, Default)]
pub(super) struct Programs {
    sources: Vec<Source>,
    timelines: RwLock<HashMap<ProgramId, Arc<Timeline>>>,
    compiled: RwLock<HashMap<ProgramVersion, Arc<Program>>>,
    /// Of prize draws.
    seeds: Vec<Seed>,
}

/// How often publishing is tried against other instances that publish at the same time.
const ATTEMPTS_MAX: usize = 8;

impl Programs {
    pub(super) fn new(mut sources: Vec<Source>, seeds: Vec<Seed>) -> Programs {
        for source in &mut sources {
            let program = Arc::make_mut(&mut source.program);
            program.arm(&seeds);
            for draw in program.draws.iter().filter(|draw| draw.seed.is_none()) {
                let (program, draw) = (&program.id, &draw.id);
                warn!(%program, %draw, "draw `{draw}` gives nothing: no seed in the settings is what it is committed to");
            }
        }
        let compiled = sources.iter().map(|s| (s.program.version.clone(), Arc::clone(&s.program))).collect();
        Programs { sources, timelines: RwLock::default(), compiled: RwLock::new(compiled), seeds }
    }

    pub(super) fn only(&self) -> Option<ProgramId> {
        match self.sources.as_slice() {
            [only] => Some(only.program.id.clone()),
            _ => None,
        }
    }

    pub(super) fn serves(&self, id: &ProgramId) -> bool {
        self.sources.iter().any(|source| source.program.id == *id)
    }

    /// `None` until the store has been asked.
    pub(super) fn timeline(&self, id: &ProgramId) -> Option<Arc<Timeline>> {
        self.timelines.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Makes the store's timelines end with this instance's programs, and reads them. The first version of a
    /// program counts from the beginning of time, so that the past can be imported.
    pub(super) async fn publish(&self, store: &dyn Store, layout: Layout, now: Instant) -> Result<(), store::Error> {
        for source in &self.sources {
            self.publish_one(store, layout, source, now).await?;
        }
        Ok(())
    }

    async fn publish_one(
        &self,
        store: &dyn Store,
        layout: Layout,
        source: &Source,
        now: Instant,
    ) -> Result<(), store::Error> {
        let id = &source.program.id;
        let version = &source.program.version;
        for _ in 0..ATTEMPTS_MAX {
            let (record, mut stored) = read_timeline(store, layout, id).await?;
            if stored.versions.last().is_some_and(|(_, last)| last == version) {
                return self.take(store, layout, id, &stored).await;
            }
            let from = stored.versions.last().map_or(Instant(0), |(last, _)| now.max(*last));
            stored.versions.push((from, version.clone()));
            let key = layout.timeline(id);
            let sequence = record.as_ref().map_or(0, |r| r.token.sequence()) + 1;
            let body = encode(&stored);
            let token = Token::new(sequence, &digest(&body));
            let text_key = layout.program_source(id, &version.0);
            let text = encode(&source.text.as_ref());
            let commit = Commit {
                partition: key.partition,
                expect: vec![(key.clone(), record.map_or(Expected::Absent, |r| Expected::At(r.token)))],
                writes: vec![
                    Write { key, record: Some(Record { token, body }) },
                    Write { key: text_key, record: Some(Record { token, body: text }) },
                ],
                ..Commit::default()
            };
            if store.commit(&commit).await? == Outcome::Applied {
                info!(program = %id, %version, "program `{id}` is now at version {version}");
                return self.take(store, layout, id, &stored).await;
            }
        }
        Err(store::Error::Unavailable)
    }

    /// Reads the timelines again: another instance may have published.
    pub(super) async fn refresh(&self, store: &dyn Store, layout: Layout) -> Result<(), store::Error> {
        for source in &self.sources {
            let id = &source.program.id;
            let (_, stored) = read_timeline(store, layout, id).await?;
            let known = self.timeline(id);
            let same = known.is_some_and(|known| {
                known.versions.len() == stored.versions.len()
                    && known.versions.iter().zip(&stored.versions).all(|(a, b)| a.0 == b.0 && a.1.version == b.1)
            });
            if !same && !stored.versions.is_empty() {
                self.take(store, layout, id, &stored).await?;
            }
        }
        Ok(())
    }

    async fn take(
        &self,
        store: &dyn Store,
        layout: Layout,
        id: &ProgramId,
        stored: &StoredTimeline,
    ) -> Result<(), store::Error> {
        let mut versions = Vec::with_capacity(stored.versions.len());
        for (from, version) in &stored.versions {
            versions.push((*from, self.compiled(store, layout, id, version).await?));
        }
        let timeline = Arc::new(Timeline { versions });
        self.timelines.write().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), timeline);
        Ok(())
    }

    async fn compiled(
        &self,
        store: &dyn Store,
        layout: Layout,
        id: &ProgramId,
        version: &ProgramVersion,
    ) -> Result<Arc<Program>, store::Error> {
        let known = self.compiled.read().unwrap_or_else(PoisonError::into_inner).get(version).cloned();
        if let Some(program) = known {
            return Ok(program);
        }
        let corrupt = |what: String| store::Error::Corrupt { what };
        let key = layout.program_source(id, &version.0);
        let record = load_one(store, &key).await?;
        let record = record.ok_or_else(|| corrupt(format!("program version {version} is missing")))?;
        let text: String = decode(&record.body).map_err(|e| corrupt(format!("program version {version} {e}")))?;
        let mut program = program::compile(&text)
            .map_err(|_| corrupt(format!("program version {version} is not understood by this program")))?;
        program.arm(&self.seeds);
        let program = Arc::new(program);
        let mut compiled = self.compiled.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(compiled.entry(version.clone()).or_insert(program)))
    }
}

async fn load_one(store: &dyn Store, key: &Key) -> Result<Option<Record>, store::Error> {
    let records = store.load(key.partition, std::slice::from_ref(key)).await?;
    Ok(records.into_iter().next().flatten())
}

async fn read_timeline(
    store: &dyn Store,
    layout: Layout,
    id: &ProgramId,
) -> Result<(Option<Record>, StoredTimeline), store::Error> {
    let record = load_one(store, &layout.timeline(id)).await?;
    let stored = match &record {
        Some(record) => decode(&record.body)
            .map_err(|e| store::Error::Corrupt { what: format!("the timeline of program `{id}` {e}") })?,
        None => StoredTimeline::default(),
    };
    Ok((record, stored))
}
