//! The Redis store: one round trip for a load, one for a commit.
//!
//! A commit is one call of one script (`redis/commit.lua`); of those that come at the same time many share one
//! (`redis/together.lua`). All keys of a partition carry the partition's hash tag (`g1:{3k}:acct|bakery|mia-7`), so the
//! script may touch them on a Redis Cluster too. `Applied` is as durable
//! as the Redis behind is configured to be: `appendfsync always` keeps what it acknowledged through a crash of
//! Redis, the default `everysec` may lose the last second.

mod fitness;
mod journaled;
mod link;
mod replicas;
mod route;
mod servers;
mod tags;
mod together;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use self::journaled::{JournalTerms, Journaled, Keeper};
use self::link::{Failed, Link, Live, Sent, Terms};
use self::replicas::Wanted;
use self::route::Router;
use self::tags::tags;
use self::together::{Answer, Together, Usual};
use self::wire::Beside;
use super::journal::{Journal, Reapply};
use super::{Commit, DueItem, Error, FeedItem, Key, Layout, Outcome, Page, Partition, Receipt, Record, Store};

const SCRIPT: &str = concat!(include_str!("redis/told.lua"), include_str!("redis/commit.lua"));
/// At most this many items of any one partition go on one page.
const OF_ONE_PARTITION_MAX: usize = 64;
/// Partitions asked for in the first trip of a walk, and in later ones. It begins small because what a busy
/// partition answers beyond the limit is thrown away, and grows because an idle one answers nothing. Commits wait while Redis
/// answers a trip, and while a thread reads it, so it stays far below what all partitions would be; whoever walks waits for more
/// trips.
const WALK_STEP_FIRST: usize = 16;
const WALK_STEP_MAX: usize = 64;
/// How long a read waits, time after time, for keys that have moved or are moving to another server.
const MOVED_PAUSES_MS: &[u64] = &[0, 2, 10, 25, 50, 100];

/// Where Redis is, and how long to wait for it.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. Of sentinels or nodes of a cluster
    /// several, separated by commas; one that answers is enough.
    pub url: String,
    /// Names the deployment: the first part of every key, so that several may share one Redis. 1 to 32 bytes out
    /// of `a-z`, `0-9`, `-` and `_`.
    pub namespace: String,
    /// How long making a connection may take; 1 to 60,000.
    pub connect_timeout_ms: u32,
    /// How long one answer may take; 1 to 60,000.
    pub response_timeout_ms: u32,
    pub topology: Topology,
    /// With sentinels: who one is to the data servers. Everywhere else the URL says it.
    pub login: Option<Login>,
    /// For `rediss://`; without it the system's certificates are trusted.
    pub tls: Option<Tls>,
    pub durability: Durability,
}

/// What is certain of a commit that was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// What Redis promises as it is configured.
    Store,
    /// Besides, so many replicas have it in memory, at least one. Fewer in time: the outcome is unknown.
    Replicated { replicas: u32 },
}

/// What the URLs name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Topology {
    /// The one server.
    One,
    /// Sentinels, which know where the master of this name is.
    Sentinel { master: String },
    /// Nodes of a cluster, which know where each slot is.
    Cluster,
}

/// A user of Redis; without a name the default one.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: String,
}

/// Certificates, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// Who signs the servers' certificates; `None`: whom the system trusts.
    pub ca: Option<Vec<u8>>,
    /// What this client shows.
    pub identity: Option<Identity>,
}

/// A certificate and its private key, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

impl RedisSettings {
    pub const NAMESPACE_DEFAULT: &'static str = "g1";
    pub const CONNECT_TIMEOUT_MS_DEFAULT: u32 = 250;
    pub const RESPONSE_TIMEOUT_MS_DEFAULT: u32 = 500;
    const NAMESPACE_LEN_MAX: usize = 32;
    const TIMEOUT_MS_MAX: u32 = 60_000;

    /// The Redis at `url`, everything else by default.
    pub fn new(url: impl Into<String>) -> RedisSettings {
        RedisSettings {
            url: url.into(),
            namespace: RedisSettings::NAMESPACE_DEFAULT.to_owned(),
            connect_timeout_ms: RedisSettings::CONNECT_TIMEOUT_MS_DEFAULT,
            response_timeout_ms: RedisSettings::RESPONSE_TIMEOUT_MS_DEFAULT,
            topology: Topology::One,
            login: None,
            tls: None,
            durability: Durability::Store,
        }
    }

    /// Where the deployment is described.
    fn meta_key(&self) -> String {
        format!("{}:meta", self.namespace)
    }

    fn check(&self) -> Result<(), SettingsError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        let name = &self.namespace;
        if !(1..=RedisSettings::NAMESPACE_LEN_MAX).contains(&name.len()) || !name.bytes().all(allowed) {
            let what = "is not 1 to 32 bytes out of a-z, 0-9, `-` and `_`";
            return Err(SettingsError { setting: "namespace", what });
        }
        let timeouts =
            [("connect_timeout_ms", self.connect_timeout_ms), ("response_timeout_ms", self.response_timeout_ms)];
        for (setting, timeout_ms) in timeouts {
            if !(1..=RedisSettings::TIMEOUT_MS_MAX).contains(&timeout_ms) {
                return Err(SettingsError { setting, what: "is not within 1 and 60000" });
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RedisSettings {
    /// Without the URL and the login: they hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("namespace", &self.namespace)
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .field("response_timeout_ms", &self.response_timeout_ms)
            .field("topology", &self.topology)
            .finish_non_exhaustive()
    }
}

/// A setting that cannot be right, whatever Redis says. Never quotes the URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("redis {setting} {what}")]
pub struct SettingsError {
    /// The field of [`RedisSettings`].
    pub setting: &'static str,
    pub what: &'static str,
}

/// A store in Redis: one server, one behind sentinels, or a cluster.
pub struct RedisStore {
    router: Arc<Router>,
    keys: Arc<Keys>,
    script_hash: String,
    /// How many replicas have to have what is answered.
    replicated: Option<Wanted>,
    /// With a journal: what lies between the store and Redis.
    journaled: Option<(Arc<Journaled>, Keeper)>,
    trips: Arc<AtomicU64>,
}

impl RedisStore {
    /// Checks the settings. The connection is made by the first call that needs one, and made again when it is
    /// lost; until then calls answer [`Error::Unavailable`]. Each call ends within `connect_timeout_ms` and two
    /// (a commit: five, replicated: seven) times `response_timeout_ms`.
    pub fn connect(settings: RedisSettings, layout: Layout) -> Result<RedisStore, SettingsError> {
        settings.check()?;
        Ok(RedisStore {
            router: Arc::new(Router::new(&settings, Terms::new(&settings, layout, SCRIPT))?),
            keys: Arc::new(Keys::new(&settings.namespace, layout)),
            script_hash: ::redis::Script::new(SCRIPT).get_hash().to_owned(),
            replicated: match settings.durability {
                Durability::Store => None,
                Durability::Replicated { replicas } => {
                    let limit = Duration::from_millis(u64::from(settings.response_timeout_ms));
                    Some(Wanted { replicas: replicas.max(1), limit })
                }
            },
            journaled: None,
            trips: Arc::default(),
        })
    }

    /// The same with a journal, whatever the settings say of durability: what Redis loses of what was acknowledged is
    /// brought back. Looks after the partitions in the background, on the runtime that this is called on.
    pub fn connect_journaled(
        settings: RedisSettings,
        layout: Layout,
        journal: Arc<Journal>,
        reapply: Arc<dyn Reapply>,
        wait: Duration,
        keep: Duration,
    ) -> Result<RedisStore, SettingsError> {
        let patience = Duration::from_millis(u64::from(settings.response_timeout_ms));
        let store = RedisStore::connect(RedisSettings { durability: Durability::Store, ..settings }, layout)?;
        let terms = JournalTerms { patience, wait, keep };
        let (router, keys) = (Arc::clone(&store.router), Arc::clone(&store.keys));
        let journaled = Arc::new(Journaled::new(journal, reapply, terms, router, keys));
        let keeper = journaled.start();
        Ok(RedisStore { journaled: Some((journaled, keeper)), ..store })
    }

    fn count_trip(&self) {
        self.trips.fetch_add(1, Ordering::Relaxed);
    }

    /// The link to the server of a partition.
    async fn link(&self, partition: Partition) -> Result<Arc<Link>, Error> {
        let link = self.router.of(self.keys.slot(partition)?).await?;
        if let Some((journaled, _)) = &self.journaled {
            Box::pin(journaled.pass(partition, &link)).await?;
        }
        Ok(link)
    }

    /// Applies a commit of the usual shape with others that come now. `None`: it is to be tried by itself.
    async fn commit_together(
        &self,
        link: &Arc<Link>,
        live: &Arc<Live>,
        commit: &Commit,
    ) -> Result<Option<Outcome>, Error> {
        if !self.router.is_one() {
            return Ok(None);
        }
        let Some(usual) = Usual::of(&self.keys, commit)? else { return Ok(None) };
        match Together::commit(link, live, usual, &self.trips).await? {
            Answer::Applied => Ok(Some(Outcome::Applied)),
            Answer::Told(told) => wire::outcome(told, commit).map(Some),
            Answer::ByItself => Ok(None),
        }
    }

    async fn commit_alone(&self, link: &Link, live: &Arc<Live>, commit: &Commit) -> Result<Outcome, Error> {
        let call = wire::commit_call("EVALSHA", &self.script_hash, &self.keys, commit, &Beside::default())?;
        self.count_trip();
        let reply = match link.call(live, &call, Sent::Write).await {
            // Redis dropped its scripts (a restart, a flush): nothing was applied. The text goes along this once.
            Err(Failed::NoScript) => {
                let call = wire::commit_call("EVAL", SCRIPT, &self.keys, commit, &Beside::default())?;
                self.count_trip();
                link.call(live, &call, Sent::Write).await?
            }
            reply => reply?,
        };
        wire::outcome(reply, commit)
    }

    /// Whether as many replicas as wanted have what a server has answered by now.
    async fn is_kept(&self, live: &Live, partition: Partition) -> Result<bool, Error> {
        let Some(wanted) = self.replicated else { return Ok(true) };
        let mark = self.keys.mark(partition)?;
        Ok(Box::pin(live.replicated(&mark, wanted)).await)
    }

    /// Asks a partition's server for something that changes nothing; again, a few times, where keys are moving.
    async fn read<T: ::redis::FromRedisValue>(&self, partition: Partition, command: &::redis::Cmd) -> Result<T, Error> {
        let mut patience = Patience::new();
        loop {
            let found = self.link(partition).await?.read(command).await;
            if !patience.again(&found).await {
                return found;
            }
        }
    }

    /// Asks partitions for one thing each, in as few trips as they lie on servers in a row.
    async fn read_each<R: ::redis::FromRedisValue>(
        &self,
        partitions: &[Partition],
        ask: &mut impl FnMut(&mut ::redis::Pipeline, Partition) -> Result<(), Error>,
    ) -> Result<Vec<R>, Error> {
        let mut replies = Vec::with_capacity(partitions.len());
        let mut rest = partitions;
        while let Some(first) = rest.first() {
            let link = self.link(*first).await?;
            let mut pipeline = ::redis::Pipeline::new();
            let mut count = 0;
            for partition in rest {
                if !Arc::ptr_eq(&link, &self.link(*partition).await?) {
                    break;
                }
                ask(&mut pipeline, *partition)?;
                count += 1;
            }
            replies.extend(link.read_all::<Vec<R>>(&pipeline).await?);
            // Where slots move meanwhile the first may be elsewhere already.
            rest = rest.get(count.max(1)..).unwrap_or_default();
        }
        Ok(replies)
    }

    /// Walks partitions from `from` on in steps, asking each for up to `of_each` things, until `limit` is reached.
    async fn walk<R: ::redis::FromRedisValue, T>(
        &self,
        from: Partition,
        limit: usize,
        mut ask: impl FnMut(&mut ::redis::Pipeline, Partition, usize) -> Result<(), Error>,
        mut read: impl FnMut(Partition, R, &mut Vec<T>) -> Result<(), Error>,
    ) -> Result<Page<T>, Error> {
        let of_each = limit.min(OF_ONE_PARTITION_MAX);
        let mut items = Vec::new();
        let mut rest = self.keys.partitions(from);
        let mut step_len = WALK_STEP_FIRST;
        loop {
            let step: Vec<Partition> = rest.by_ref().take(step_len).collect();
            step_len = WALK_STEP_MAX.min(step_len * 4);
            if step.is_empty() {
                return Ok(Page { items, next: None });
            }
            let mut ask = |pipeline: &mut ::redis::Pipeline, partition| ask(pipeline, partition, of_each);
            let mut patience = Patience::new();
            let replies = loop {
                let found = self.read_each::<R>(&step, &mut ask).await;
                if !patience.again(&found).await {
                    break found?;
                }
            };
            for (partition, reply) in step.into_iter().zip(replies) {
                if items.len() >= limit {
                    return Ok(Page { items, next: Some(partition) });
                }
                read(partition, reply, &mut items)?;
            }
        }
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn load(&self, partition: Partition, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut ask = ::redis::pipe();
        for verb in ["MGET", "EXISTS"] {
            ask.cmd(verb);
            for key in keys {
                debug_assert!(key.partition == partition, "`{}` lies outside the partition asked", key.name);
                ask.arg(self.keys.record(key)?);
            }
        }
        let mut patience = Patience::new();
        let (found, existing): (Vec<Option<Vec<u8>>>, usize) = loop {
            let link = self.link(partition).await?;
            self.count_trip();
            let answer = link.read_all(&ask).await;
            if !patience.again(&answer).await {
                break answer?;
            }
        };
        if found.len() != keys.len() {
            return Err(wire::odd("an answer"));
        }
        // `MGET` answers a value of another type as absent. Or somebody wrote just after it.
        if found.iter().flatten().count() != existing {
            for key in keys {
                let _record_or_nothing: Option<Vec<u8>> =
                    self.read(partition, &::redis::Cmd::get(self.keys.record(key)?)).await?;
            }
        }
        found.into_iter().map(|bytes| bytes.map(wire::record).transpose()).collect()
    }

    async fn commit(&self, commit: &Commit) -> Result<Outcome, Error> {
        if let Some((journaled, _)) = &self.journaled {
            return Box::pin(journaled.commit(commit, &self.trips)).await;
        }
        let link = self.link(commit.partition).await?;
        let live = link.live().await?;
        let outcome = match self.commit_together(&link, &live, commit).await? {
            Some(outcome) => outcome,
            None => Box::pin(self.commit_alone(&link, &live, commit)).await?,
        };
        // What was there before may have been written by a commit whose caller still waits for the replicas.
        if matches!(outcome, Outcome::Applied | Outcome::Seen(_)) && !self.is_kept(&live, commit.partition).await? {
            return Err(Error::OutcomeUnknown);
        }
        Ok(outcome)
    }

    async fn receipt(&self, key: &Key) -> Result<Option<Receipt>, Error> {
        let found: Option<Vec<u8>> = self.read(key.partition, &::redis::Cmd::get(self.keys.record(key)?)).await?;
        if found.is_some() && self.replicated.is_some() {
            // Whoever is told of it takes it for settled.
            let live = self.link(key.partition).await?.live().await?;
            if !self.is_kept(&live, key.partition).await? {
                return Err(Error::Unavailable);
            }
        }
        found.map(wire::receipt).transpose()
    }

    async fn entries(&self, log: &Key, from_sequence: u64, limit: usize) -> Result<Vec<Vec<u8>>, Error> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let first = i64::try_from(from_sequence.saturating_sub(1)).unwrap_or(i64::MAX);
        let last = first.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX) - 1);
        self.read(log.partition, ::redis::cmd("LRANGE").arg(self.keys.record(log)?).arg(first).arg(last)).await
    }

    async fn left(&self, key: &Key) -> Result<i64, Error> {
        wire::quantity(self.read(key.partition, &::redis::Cmd::get(self.keys.record(key)?)).await?)
    }

    async fn feed(&self, partition: Partition, limit: usize) -> Result<Vec<FeedItem>, Error> {
        let Some(last) = limit.checked_sub(1) else {
            return Ok(Vec::new());
        };
        let last = i64::try_from(last).unwrap_or(i64::MAX);
        let range = ::redis::cmd("ZRANGE").arg(self.keys.feed(partition)?).arg(0).arg(last).take();
        let found: Vec<Vec<u8>> = self.read(partition, &range).await?;
        found.iter().map(|bytes| feed_item(partition, bytes)).collect()
    }

    async fn feed_page(&self, from: Partition, limit: usize) -> Result<Page<FeedItem>, Error> {
        if limit == 0 {
            return Ok(Page { items: Vec::new(), next: self.keys.partitions(from).next() });
        }
        self.walk(
            from,
            limit,
            |pipeline, partition, of_each| {
                pipeline.cmd("ZRANGE").arg(self.keys.feed(partition)?).arg(0).arg(of_each - 1);
                Ok(())
            },
            |partition, found: Vec<Vec<u8>>, items| {
                for bytes in &found {
                    items.push(feed_item(partition, bytes)?);
                }
                Ok(())
            },
        )
        .await
    }

    async fn due_page(&self, from: Partition, through_ms: i64, limit: usize) -> Result<Page<DueItem>, Error> {
        self.walk(
            from,
            limit,
            |pipeline, partition, of_each| {
                let range = pipeline.cmd("ZRANGEBYSCORE").arg(self.keys.due(partition)?).arg("-inf").arg(through_ms);
                range.arg("WITHSCORES").arg("LIMIT").arg(0).arg(of_each);
                Ok(())
            },
            |partition, found: Vec<(String, f64)>, items| {
                // A score is a double; `commit` keeps it within what a double holds exactly.
                let item =
                    |(subject, at): (String, f64)| DueItem { partition, subject: subject.into(), at_ms: at as i64 };
                items.extend(found.into_iter().map(item));
                Ok(())
            },
        )
        .await
    }

    async fn now_ms(&self) -> Result<Option<i64>, Error> {
        let link = self.router.of_meta().await?;
        let (seconds, micros): (i64, i64) = link.read(&::redis::cmd("TIME")).await?;
        Ok(Some(seconds.saturating_mul(1_000).saturating_add(micros / 1_000)))
    }

    async fn ping(&self) -> Result<(), Error> {
        // The description may have been flushed along with everything else.
        let link = self.router.of_meta().await?;
        let live = link.live().await?;
        link.check_deployment(&live).await?;
        link.inspect(&live).await?;
        self.journaled.as_ref().map_or(Ok(()), |(journaled, _)| journaled.ready())
    }

    fn trips(&self) -> u64 {
        self.trips.load(Ordering::Relaxed)
    }

    fn name(&self) -> &'static str {
        "redis"
    }
}

/// For reads of keys that have moved or are moving to another server: how often to ask again, and after how long.
struct Patience(std::slice::Iter<'static, u64>);

impl Patience {
    fn new() -> Patience {
        Patience(MOVED_PAUSES_MS.iter())
    }

    /// Whether to ask again, after a pause.
    async fn again<T>(&mut self, answer: &Result<T, Error>) -> bool {
        if !matches!(answer, Err(Error::Moved)) {
            return false;
        }
        let Some(pause_ms) = self.0.next() else { return false };
        tokio::time::sleep(Duration::from_millis(*pause_ms)).await;
        true
    }
}

fn feed_item(partition: Partition, bytes: &[u8]) -> Result<FeedItem, Error> {
    let (position, body) = wire::feed_record(bytes)?;
    Ok(FeedItem { partition, position, body })
}

/// The names of what a partition has one of: the feed, the last position given out on it, and what is due.
const FEED: &str = "feed";
const FEED_COUNTER: &str = "feedseq";
const DUE: &str = "due";

/// Makes physical keys out of logical ones.
struct Keys {
    /// What stands before every key of a partition, by partition: `g1:{3k}:`.
    prefixes: Vec<String>,
    layout: Layout,
}

impl Keys {
    fn new(namespace: &str, layout: Layout) -> Keys {
        let prefixes = tags(layout).into_iter().map(|tag| format!("{namespace}:{{{tag}}}:")).collect();
        Keys { prefixes, layout }
    }

    /// In a cluster: where the keys of a partition are.
    fn slot(&self, partition: Partition) -> Result<u16, Error> {
        let inside = partition.0 < self.layout.partitions();
        inside.then(|| tags::slot_of(partition.0, self.layout)).ok_or_else(|| no_partition(partition))
    }

    /// `g1:{3k}:acct|bakery|mia-7`: the record, receipt, log or quantity under a logical key.
    fn record(&self, key: &Key) -> Result<String, Error> {
        self.in_partition(key.partition, &key.name)
    }

    /// `g1:{3k}:feed`: a sorted set of effects by position.
    fn feed(&self, partition: Partition) -> Result<String, Error> {
        self.in_partition(partition, FEED)
    }

    /// `g1:{3k}:due`: a sorted set of subjects by the instant they are due.
    fn due(&self, partition: Partition) -> Result<String, Error> {
        self.in_partition(partition, DUE)
    }

    /// `g1:{3k}:mark`: written to see what replicas have. Always empty.
    fn mark(&self, partition: Partition) -> Result<String, Error> {
        self.in_partition(partition, "mark")
    }

    /// `g1:{3k}:life`: in which life of its server the partition is open, and its epochs.
    fn life(&self, partition: Partition) -> Result<String, Error> {
        self.in_partition(partition, "life")
    }

    /// `g1:{3k}:seq`: the number of the last commit that was applied.
    fn sequence(&self, partition: Partition) -> Result<String, Error> {
        self.in_partition(partition, "seq")
    }

    /// `g1:{1bz}:alive|00ff..`: there while an instance lives, beside their names.
    fn alive(&self, instance: &str) -> Result<String, Error> {
        self.in_partition(Partition(0), &format!("alive|{instance}"))
    }

    /// `g1:{1bz}:instances`: the names of those who keep a journal, in the first partition.
    fn instances(&self) -> Result<String, Error> {
        self.in_partition(Partition(0), "instances")
    }

    /// `g1:{1bz}:deployment`: a random name, by which a journal knows where it belongs.
    fn deployment(&self) -> Result<String, Error> {
        self.in_partition(Partition(0), "deployment")
    }

    fn in_partition(&self, partition: Partition, name: &str) -> Result<String, Error> {
        Ok([self.prefix(partition)?, name].concat())
    }

    /// `g1:{3k}:`, before the name of what lies in the partition.
    fn prefix(&self, partition: Partition) -> Result<&str, Error> {
        // Not reachable through a `Layout`; an item read back from a feed could name any partition.
        self.prefixes.get(usize::from(partition.0)).map(String::as_str).ok_or_else(|| no_partition(partition))
    }

    fn partitions(&self, from: Partition) -> impl Iterator<Item = Partition> + use<> {
        let count = u16::try_from(self.prefixes.len()).unwrap_or(u16::MAX);
        (from.0..count).map(Partition)
    }
}

fn no_partition(partition: Partition) -> Error {
    Error::Corrupt { what: format!("there is no partition {}", partition.0) }
}
