//! The connection to one Redis: made on demand, checked before its first use, replaced when it is lost.
//!
//! The driver's own connection manager is not used, because it hides where a connection begins: here the server
//! and the deployment's identity are checked on every new connection before a command goes over it, and "could not
//! connect" (certainly nothing sent) never looks like "broke while waiting". Nothing is ever sent twice.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ::redis::aio::{MultiplexedConnection, SendError};
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, Pipeline, PushInfo, PushKind, RedisError,
    RedisResult, Value,
};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, error, info, warn};

use super::RedisSettings;
use super::fitness::{Fitness, fitness};
use super::replicas::{Replicas, Wanted};
use super::servers::Servers;
use super::together::{self, Together};
use crate::store::repeated::Repeated;
use crate::store::{Error, Layout};
use crate::stream::Gathered;

/// The format of keys and values that this program writes.
pub(super) const FORMAT: u32 = 1;
/// Commands that wait for a place on the way to the socket; further callers wait, within their timeout.
const QUEUE_LEN_MAX: usize = 1_024;

/// Server errors that say that nothing was applied, for the keys are, or are about to be, on another server.
const MOVED: &[&str] = &["ASK", "MOVED", "TRYAGAIN"];

/// Further ones that say that nothing was applied. A script meets those of its commands (`OOM`, `READONLY`,
/// `MISCONF`, `NOREPLICAS`) at its first write only: once it has written, Redis lets it finish.
const NOT_APPLIED: &[&str] = &[
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOAUTH",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "WRONGPASS",
];

/// What a failure means for what was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sent {
    Read,
    Write,
    /// Several writes, of which each may be refused by itself: what is answered for each of them tells.
    Writes,
}

impl Sent {
    /// The error when no answer came.
    fn unanswered(self) -> Error {
        match self {
            Sent::Read => Error::Unavailable,
            Sent::Write | Sent::Writes => Error::OutcomeUnknown,
        }
    }
}

/// Why a call brought no value.
#[derive(Clone, Debug)]
pub(super) enum Failed {
    /// The server does not know the script; nothing was applied.
    NoScript,
    /// The server takes only keys of one slot in one call; nothing was applied.
    CrossSlot,
    Store(Error),
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Error {
        match failed {
            Failed::NoScript | Failed::CrossSlot => Error::Unavailable,
            Failed::Store(error) => error,
        }
    }
}

/// A connection whose server was checked.
pub(super) struct Live {
    connection: MultiplexedConnection,
    /// Set by the driver as soon as it sees the connection end, also while nobody waits for an answer.
    lost: Arc<AtomicBool>,
    /// Which life of the server this is.
    pub(super) run_id: Box<str>,
    /// Makes further connections to the same server.
    client: Client,
    replicas: OnceLock<Replicas>,
    pub(super) together: Together,
    /// Ends with the last who waits for an answer; `None`: the driver sees to it.
    _driver: Option<AbortOnDropHandle<()>>,
}

impl Live {
    /// Whether enough replicas have everything that this server answered before. `mark` is a key on it.
    pub(super) async fn replicated(&self, mark: &str, wanted: Wanted) -> bool {
        let replicas = self.replicas.get_or_init(|| Replicas::new(self.client.clone(), self.run_id.clone()));
        replicas.have_it(mark, wanted).await
    }
}

/// Which server a link leads to.
pub(super) enum Target {
    One(Box<Client>),
    /// The one that the sentinels call the master when the connection is made.
    Master {
        servers: Arc<Servers>,
        name: String,
    },
}

/// What all links of a store share.
pub(super) struct Terms {
    script: &'static str,
    meta_key: String,
    partitions: u16,
    connect_timeout: Duration,
    response_timeout: Duration,
}

impl Terms {
    pub(super) fn new(settings: &RedisSettings, layout: Layout, script: &'static str) -> Terms {
        Terms {
            script,
            meta_key: settings.meta_key(),
            partitions: layout.partitions(),
            connect_timeout: Duration::from_millis(u64::from(settings.connect_timeout_ms)),
            response_timeout: Duration::from_millis(u64::from(settings.response_timeout_ms)),
        }
    }

    /// How long making a connection ready for use may take.
    pub(super) fn ready_limit(&self) -> Duration {
        self.connect_timeout + self.response_timeout
    }
}

pub(super) struct Link {
    target: Target,
    terms: Arc<Terms>,
    /// Whether the deployment's description lies on this server for sure: then it is checked on every connection.
    keeps_meta: bool,
    /// Set when this server is not where the settings or the cluster say it is, or says so of its data.
    astray: Arc<AtomicBool>,
    current: RwLock<Option<Arc<Live>>>,
    /// Held by the one caller that connects. Keeps how the last attempt failed, for those who waited meanwhile
    /// and so that an outage is logged once; `None` after a success.
    connecting: tokio::sync::Mutex<Option<Error>>,
    connects_failed: AtomicU64,
    /// Set while the server refuses what is sent to it (full, loading, moved away), so that this is logged once;
    /// cleared by the next write that it takes.
    refusing: AtomicBool,
    /// What commands fail for that should not, such as a right that the user does not have.
    told: Repeated,
    /// What was said of the server's configuration, so that it is said once.
    warned: Mutex<Vec<String>>,
    /// When its configuration was looked at while connected.
    inspected_at: Mutex<Instant>,
}

/// Somebody may configure a server anew while it serves: it is looked at so often.
const INSPECT_EVERY: Duration = Duration::from_secs(15);

impl Link {
    /// Connects to nothing yet. The scripts are made known to the server on every connection.
    pub(super) fn new(target: Target, terms: Arc<Terms>, keeps_meta: bool, astray: Arc<AtomicBool>) -> Link {
        Link {
            target,
            terms,
            keeps_meta,
            astray,
            current: RwLock::new(None),
            connecting: tokio::sync::Mutex::new(None),
            connects_failed: AtomicU64::new(0),
            refusing: AtomicBool::new(false),
            told: Repeated::default(),
            warned: Mutex::new(Vec::new()),
            inspected_at: Mutex::new(Instant::now()),
        }
    }

    /// The connection, made now if there is none. One caller connects; those who come meanwhile share the result.
    pub(super) async fn live(&self) -> Result<Arc<Live>, Error> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        // In a box, for every call waits where this may have to be waited for.
        let replaced = tokio::time::timeout(self.terms.ready_limit(), self.replace());
        Box::pin(replaced).await.unwrap_or(Err(Error::Unavailable))
    }

    /// Asks for something that changes nothing.
    pub(super) async fn read<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        let live = self.live().await?;
        let value = self.call(&live, command, Sent::Read).await?;
        decoded(value)
    }

    /// Asks for several things that change nothing, in one trip.
    pub(super) async fn read_all<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, Error> {
        let live = self.live().await?;
        let mut connection = live.connection.clone();
        let answer = self.answer(&live, pipeline.query_async(&mut connection), Sent::Read).await?;
        decoded(answer)
    }

    /// Sends one command once, and waits for at most the response timeout.
    pub(super) async fn call(&self, live: &Arc<Live>, command: &Cmd, sent: Sent) -> Result<Value, Failed> {
        let mut connection = live.connection.clone();
        self.answer(live, command.query_async(&mut connection), sent).await
    }

    /// Sends several commands in one trip, each once, and waits for at most the response timeout.
    pub(super) async fn call_all(&self, live: &Arc<Live>, pipeline: &Pipeline, sent: Sent) -> Result<Value, Failed> {
        let mut connection = live.connection.clone();
        self.answer(live, pipeline.query_async(&mut connection), sent).await
    }

    async fn answer(
        &self,
        live: &Live,
        answer: impl Future<Output = RedisResult<Value>>,
        sent: Sent,
    ) -> Result<Value, Failed> {
        match tokio::time::timeout(self.terms.response_timeout, answer).await {
            Ok(Ok(value)) => {
                if sent == Sent::Write {
                    self.took_a_write();
                }
                Ok(value)
            }
            Ok(Err(error)) => Err(self.failed(live, error, sent)),
            Err(_elapsed) => {
                // Whoever comes next connects anew, and learns before sending whether anybody is there.
                let limit_ms = self.terms.response_timeout.as_millis();
                self.leave(live, &format_args!("no answer within {limit_ms} ms"));
                Err(Failed::Store(sent.unanswered()))
            }
        }
    }

    /// Whether the server refused what was sent to it last.
    pub(super) fn is_refusing(&self) -> bool {
        self.refusing.load(Ordering::Relaxed)
    }

    /// The server has applied something.
    pub(super) fn took_a_write(&self) {
        if self.is_refusing() {
            self.refusing.store(false, Ordering::Relaxed);
            info!(store = "redis", "Redis takes writes again");
        }
    }

    fn failed(&self, live: &Live, error: RedisError, sent: Sent) -> Failed {
        let text = error.to_string();
        let server_errors = error.into_server_errors();
        let Some((_, first)) = server_errors.as_deref().and_then(<[_]>::first) else {
            self.leave(live, &text);
            return Failed::Store(sent.unanswered());
        };
        let code = inner_code(first.code(), first.details().unwrap_or_default());
        if code == "NOSCRIPT" {
            return Failed::NoScript;
        }
        if is_across_slots(code, &text) {
            return Failed::CrossSlot;
        }
        if MOVED.contains(&code) {
            debug!(store = "redis", code, "keys have moved: {text}");
            self.astray.store(true, Ordering::Release);
            return Failed::Store(Error::Moved);
        }
        if NOT_APPLIED.contains(&code) {
            if self.refusing.swap(true, Ordering::Relaxed) {
                debug!(store = "redis", code, "Redis still refuses commands: {text}");
            } else {
                warn!(store = "redis", code, "Redis refuses commands: {text}");
            }
            match code {
                "READONLY" => self.leave(live, &"the server is a replica now"),
                "CLUSTERDOWN" => self.astray.store(true, Ordering::Release),
                _ => {}
            }
            return Failed::Store(Error::Unavailable);
        }
        if self.told.is_news(code) {
            error!(store = "redis", code, "a command failed in Redis: {text}");
        } else {
            debug!(store = "redis", code, "a command failed in Redis again: {text}");
        }
        if code == "WRONGTYPE" {
            return Failed::Store(Error::Corrupt { what: "a key holds a value of another type".to_owned() });
        }
        Failed::Store(sent.unanswered())
    }

    fn current(&self) -> Option<Arc<Live>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|live| !live.lost.load(Ordering::Acquire)).cloned()
    }

    async fn replace(&self) -> Result<Arc<Live>, Error> {
        let failed_before = self.connects_failed.load(Ordering::Acquire);
        let mut last_failure = self.connecting.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let failed = self.connects_failed.load(Ordering::Acquire);
        if failed != failed_before {
            return Err(last_failure.clone().unwrap_or(Error::Unavailable));
        }
        match self.connect(last_failure.is_some()).await {
            Ok(live) => {
                info!(store = "redis", run_id = &*live.run_id, "connected to Redis");
                *last_failure = None;
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&live));
                Ok(live)
            }
            Err(error) => {
                self.astray.store(true, Ordering::Release);
                *last_failure = Some(error.clone());
                self.connects_failed.store(failed + 1, Ordering::Release);
                Err(error)
            }
        }
    }

    /// Gives the connection up, unless it was replaced already. Calls in flight on it still get their answers.
    fn leave(&self, live: &Live, why: &dyn std::fmt::Display) {
        if !live.lost.swap(true, Ordering::AcqRel) {
            self.astray.store(true, Ordering::Release);
            warn!(store = "redis", "gave up the connection to Redis: {why}");
        }
    }

    async fn connect(&self, in_outage: bool) -> Result<Arc<Live>, Error> {
        let lost = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&lost);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.terms.connect_timeout))
            .set_response_timeout(None) // every call has an outer one
            .set_pipeline_buffer_size(QUEUE_LEN_MAX)
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection && !flag.swap(true, Ordering::AcqRel) {
                    warn!(store = "redis", "the connection to Redis ended");
                }
                Ok::<(), SendError>(())
            });
        let client = match &self.target {
            Target::One(client) => Some(Client::clone(client)),
            Target::Master { servers, name } => servers.master(name, self.terms.connect_timeout).await,
        };
        let Some(client) = client else {
            return Err(not_connected(in_outage, &"no sentinel names a master"));
        };
        let connected = match client.get_connection_info().addr() {
            // The usual way: what many calls send at once goes out at once.
            ConnectionAddr::Tcp(host, port) => {
                tokio::time::timeout(self.terms.connect_timeout, gathered((host, *port), &client, config))
                    .await
                    .unwrap_or_else(|_elapsed| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
            }
            _ => client.get_multiplexed_async_connection_with_config(&config).await.map(|made| (made, None)),
        };
        match connected {
            Ok((connection, driver)) => {
                let (run_id, replicas, together) = (Box::default(), OnceLock::new(), Together::default());
                let mut live = Live { connection, lost, run_id, client, replicas, together, _driver: driver };
                live.run_id = self.greet(&live).await?;
                let live = Arc::new(live);
                if self.keeps_meta {
                    self.check_deployment(&live).await?;
                }
                Ok(live)
            }
            Err(error) => Err(not_connected(in_outage, &error)),
        }
    }

    /// Makes the scripts known, and looks at whom this is. Gives the `run_id` of the server.
    async fn greet(&self, live: &Live) -> Result<Box<str>, Error> {
        let mut ask = ::redis::pipe();
        for script in [self.terms.script, together::SCRIPT] {
            ask.cmd("SCRIPT").arg("LOAD").arg(script).ignore();
        }
        ask.cmd("INFO");
        let mut connection = live.connection.clone();
        let answer = self.answer(live, ask.query_async(&mut connection), Sent::Read).await?;
        let (info,): (String,) = decoded(answer)?;
        let Fitness { run_id, replica, mut warnings } = fitness(&info)?;
        if replica && matches!(self.target, Target::Master { .. }) {
            debug!(store = "redis", "the server that the sentinels name is no master yet");
            return Err(Error::Unavailable);
        }
        // Not every user may ask: then nothing is said of it.
        let mut ask = ::redis::cmd("CONFIG");
        ask.arg("GET").arg("appendfsync");
        let told = tokio::time::timeout(self.terms.response_timeout, ask.query_async(&mut connection)).await;
        if let Ok(Ok((_name, fsync))) = told.map(|told: RedisResult<(String, String)>| told) {
            warnings.extend(super::fitness::of_fsync(&info, &fsync));
        }
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if *warned != warnings {
            for warning in &warnings {
                warn!(store = "redis", "this Redis is unsafe: {warning}");
            }
            *warned = warnings;
        }
        Ok(run_id)
    }

    /// Whether the server can still keep what is promised: now and then. One that cannot is left, and refused from then on.
    pub(super) async fn inspect(&self, live: &Arc<Live>) -> Result<(), Error> {
        {
            let mut inspected_at = self.inspected_at.lock().unwrap_or_else(PoisonError::into_inner);
            if inspected_at.elapsed() < INSPECT_EVERY {
                return Ok(());
            }
            *inspected_at = Instant::now();
        }
        let info: String = decoded(self.call(live, &::redis::cmd("INFO"), Sent::Read).await?)?;
        fitness(&info).map(drop).inspect_err(|error| self.leave(live, error))
    }

    /// Reads who wrote the data here before any of it is used; the first instance ever says it itself, and so does
    /// whoever finds that everything was flushed.
    pub(super) async fn check_deployment(&self, live: &Arc<Live>) -> Result<(), Error> {
        let meta_key = &self.terms.meta_key;
        let answer = self.call(live, &::redis::Cmd::get(meta_key), Sent::Read).await?;
        let meta = match decoded::<Option<String>>(answer)? {
            Some(meta) => meta,
            None => {
                // Only now a write: a full or read-only Redis can still be read from.
                let wanted = format!("format={FORMAT} partitions={}", self.terms.partitions);
                let mut claim = ::redis::pipe();
                claim.cmd("SET").arg(meta_key).arg(wanted).arg("NX").ignore().get(meta_key);
                let mut connection = live.connection.clone();
                let answer = self.answer(live, claim.query_async(&mut connection), Sent::Read).await?;
                let (meta,): (String,) = decoded(answer)?;
                meta
            }
        };
        let compared = compared(&meta, self.terms.partitions);
        if compared.is_err() {
            self.leave(live, &"the data is of another deployment");
        }
        compared?;
        // What was refused a moment ago is tried without a caller's write at stake: nothing is added to what is there.
        if self.is_refusing() {
            self.call(live, ::redis::cmd("APPEND").arg(meta_key).arg(""), Sent::Write).await?;
        }
        Ok(())
    }
}

/// A connection over TCP whose writes are gathered, and what drives it.
async fn gathered(
    (host, port): (&str, u16),
    client: &Client,
    config: AsyncConnectionConfig,
) -> RedisResult<(MultiplexedConnection, Option<AbortOnDropHandle<()>>)> {
    let stream = connect_to_any(tokio::net::lookup_host((host, port)).await?).await?;
    stream.set_nodelay(true)?;
    let settings = client.get_connection_info().redis_settings();
    let (connection, driver) =
        MultiplexedConnection::new_with_config(settings, Gathered::new(stream, ()), config).await?;
    #[expect(clippy::disallowed_methods, reason = "whoever waits for an answer holds it, and a drain waits for them")]
    let driver = tokio::spawn(driver);
    Ok((connection, Some(AbortOnDropHandle::new(driver))))
}

/// Tries all addresses of a name at once: one that nobody answers at must not use up the time for the others.
async fn connect_to_any(addresses: impl Iterator<Item = SocketAddr>) -> std::io::Result<TcpStream> {
    let tries: Vec<_> = addresses.map(|address| Box::pin(TcpStream::connect(address))).collect();
    if tries.is_empty() {
        return Err(std::io::ErrorKind::AddrNotAvailable.into());
    }
    let (stream, _others) = futures_util::future::select_ok(tries).await?;
    Ok(stream)
}

fn not_connected(in_outage: bool, why: &dyn std::fmt::Display) -> Error {
    if in_outage {
        debug!(store = "redis", "still cannot connect to Redis: {why}");
    } else {
        warn!(store = "redis", "cannot connect to Redis: {why}");
    }
    Error::Unavailable
}

/// Compares the stored identity of the deployment with this instance's settings.
fn compared(meta: &str, partitions: u16) -> Result<(), Error> {
    let field = |name: &str| {
        let value = meta.split(' ').filter_map(|field| field.split_once('=')).find(|(n, _)| *n == name);
        value.and_then(|(_, value)| value.parse::<u32>().ok())
    };
    let (Some(format), Some(found)) = (field("format"), field("partitions")) else {
        return Err(Error::Corrupt { what: "the deployment's description cannot be read".to_owned() });
    };
    if format > FORMAT {
        return Err(Error::SchemaTooNew { found: format, known: FORMAT });
    }
    if found != u32::from(partitions) {
        return Err(Error::OtherDeployment {
            setting: "partitions",
            found: found.to_string(),
            wanted: partitions.to_string(),
        });
    }
    Ok(())
}

/// What an answer says, in the shape that it must have.
pub(super) fn decoded<T: FromRedisValue>(value: Value) -> Result<T, Error> {
    ::redis::from_redis_value(value).map_err(|error| {
        warn!(store = "redis", "Redis answered what cannot be read: {error}");
        Error::Corrupt { what: "an answer has an unexpected shape".to_owned() }
    })
}

/// Whether a server error says that keys of one call lie in several slots. What stands before a cluster has words of its own.
fn is_across_slots(code: &str, text: &str) -> bool {
    code == "CROSSSLOT" || code == "ERR" && text.contains("same slot")
}

/// The code of a server error. Before 7.0 Redis wraps the error of a script's command in a plain `ERR`:
/// `ERR Error running script (call to f_...): @user_script:7: -OOM command not allowed`.
fn inner_code<'a>(code: &'a str, detail: &'a str) -> &'a str {
    if code != "ERR" || !detail.starts_with("Error running script") {
        return code;
    }
    detail.split(' ').find_map(|word| word.strip_prefix('-')).unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpSocket;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn an_address_that_nobody_answers_at_keeps_nobody_from_the_next() {
        let full = TcpSocket::new_v4().expect("a socket");
        full.bind("127.0.0.1:0".parse().expect("an address")).expect("a port is free");
        let full = full.listen(1).expect("it listens");
        let dead = full.local_addr().expect("its address");
        // Nobody takes these in: at some point the system lets further ones wait without an answer.
        let mut waiting = Vec::new();
        while let Ok(taken) = timeout(Duration::from_millis(200), TcpStream::connect(dead)).await {
            waiting.push(taken.expect("it is queued"));
        }
        let live = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let live = live.local_addr().expect("its address");
        let connected = timeout(Duration::from_secs(20), connect_to_any([dead, live].into_iter())).await;
        let connected = connected.expect("it does not wait for the first").expect("the second answers");
        assert_eq!(connected.peer_addr().expect("a peer"), live);
        assert!(connect_to_any(std::iter::empty()).await.is_err());
    }

    #[test]
    fn the_identity_of_a_deployment_is_compared() {
        let other = |found: &str| Error::OtherDeployment {
            setting: "partitions",
            found: found.to_owned(),
            wanted: "4096".to_owned(),
        };
        let unreadable = || Error::Corrupt { what: "the deployment's description cannot be read".to_owned() };
        for (meta, expected) in [
            ("format=1 partitions=4096", Ok(())),
            ("format=1 partitions=16", Err(other("16"))),
            ("format=2 partitions=4096", Err(Error::SchemaTooNew { found: 2, known: 1 })),
            // A newer format may mean other things by the same names: it is told first.
            ("format=2 partitions=16", Err(Error::SchemaTooNew { found: 2, known: 1 })),
            ("format=1", Err(unreadable())),
            ("", Err(unreadable())),
        ] {
            assert_eq!(compared(meta, 4096), expected, "`{meta}`");
        }
    }

    #[test]
    fn who_takes_only_keys_of_one_slot_is_told_by_its_words() {
        for (code, text, expected) in [
            ("CROSSSLOT", "Keys in request don't hash to the same slot", true),
            ("ERR", "eval/evalsha command keys must be in same slot", true),
            ("ERR", "Error running script: at_line: @user_script: 5", false),
            ("OOM", "command not allowed, same slot or not", false),
        ] {
            assert_eq!(is_across_slots(code, text), expected, "{code} {text}");
        }
    }

    #[test]
    fn the_code_inside_a_wrapped_script_error_is_found() {
        for (code, detail, expected) in [
            ("OOM", "command not allowed when used memory > 'maxmemory'. script: 6b, on @user_script:1.", "OOM"),
            ("ERR", "Error running script (call to f_6b): @user_script:1: -OOM command not allowed", "OOM"),
            ("ERR", "Error running script (call to f_6b): @user_script:1: attempt to index nil", "ERR"),
            ("ERR", "unknown command 'X', with args beginning with: -OOM", "ERR"),
        ] {
            assert_eq!(inner_code(code, detail), expected, "{code} {detail}");
        }
    }
}
