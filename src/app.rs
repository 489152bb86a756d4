//! The composition root: the only place that names a concrete store. Puts the parts together, serves, drains.

mod connection;
mod credentials;
mod limit;
mod observe;
mod readiness;
pub mod rehearsal;

use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tracing::{error, info, warn};

use crate::access::{self, Access};
use crate::clock::Clock;
use crate::config::{ClockKind, RedisAt, RedisTopology, Settings, StoreSettings};
use crate::domain::draw::Seed;
use crate::domain::quote::QuoteKey;
use crate::domain::referral::signal::SignalKey;
use crate::service::{self, Calls, Service, Source};
use crate::store::embedded::EmbeddedStore;
use crate::store::journal::{self, Journal, JournalSettings};
use crate::store::memory::MemoryStore;
use crate::store::redis::{self, RedisSettings, RedisStore};
use crate::store::{self, Store};
use crate::telemetry::{Telemetry, metrics};
use crate::{grpc, program};
use credentials::Watched;
use limit::Gate;
use readiness::Readiness;

/// Ended as asked, with nothing cut.
pub const EXIT_FINE: u8 = 0;
/// The limit of the drain was reached with work left, or the server ended by itself.
pub const EXIT_CUT: u8 = 1;
/// The settings or a program file have faults (`EX_USAGE`); nothing was opened and no port was bound.
pub const EXIT_SETTINGS: u8 = 64;
/// The store, the address or the telemetry cannot be used (`EX_UNAVAILABLE`).
pub const EXIT_UNAVAILABLE: u8 = 69;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Everything that is wrong with the program files, as `guerdon check` prints it.
    #[error("{0}")]
    Programs(String),
    #[error("redis settings: {0}")]
    Redis(#[from] redis::SettingsError),
    #[error("{}: {error}", path.display())]
    Certificate { path: PathBuf, error: io::Error },
    #[error("the store cannot be opened: {0}")]
    Store(#[from] store::Error),
    #[error("{0}")]
    Journal(#[from] journal::OpenError),
    #[error("the programs cannot be published: {0}")]
    Publish(service::Error),
    #[error("cannot listen on {addr}: {error}")]
    Listen { addr: SocketAddr, error: io::Error },
    /// Everything that is wrong with the credentials file.
    #[error("{0}")]
    Credentials(#[from] access::Faults),
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    #[error("reflection cannot be built: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// A defect of this program.
    #[error("the start was cut off")]
    Aborted,
}

impl StartError {
    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::Programs(_)
            | StartError::Redis(_)
            | StartError::Certificate { .. }
            | StartError::Credentials(_)
            | StartError::Tls(_) => EXIT_SETTINGS,
            StartError::Store(_)
            | StartError::Journal(_)
            | StartError::Publish(_)
            | StartError::Listen { .. }
            | StartError::Reflection(_)
            | StartError::Aborted => EXIT_UNAVAILABLE,
        }
    }
}

/// A program file as text, and what to call it where it has faults.
#[derive(Clone, Debug)]
pub struct ProgramText {
    pub name: String,
    pub text: String,
}

/// How a shutdown went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drained {
    /// All that was under way was finished and answered.
    Whole,
    /// The limit came first: calls or commits were cut. What was sent to the store may have happened.
    Cut,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    drain_limit: Duration,
    stop: CancellationToken,
    transport: JoinHandle<Result<(), tonic::transport::Error>>,
    jobs: TaskTracker,
    work: Work,
}

struct Work {
    service: Service,
    gate: Arc<Gate>,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").finish_non_exhaustive()
    }
}

/// HTTP/2 pings find peers that vanished, whose calls would otherwise hold their places.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
const KEEPALIVE_LIMIT: Duration = Duration::from_secs(10);
/// Connections are asked to end at this age, in peace, so that balancers below gRPC spread them anew. With a grace for those that do not,
/// tonic asks none and cuts all at the end of it.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(3_600);
const STREAMS_PER_CONNECTION_MAX: u32 = 1_024;
const HEADER_BYTES_MAX: u32 = 16 * 1_024;
/// From the last answer to the end of connections that do not close when asked to.
const FAREWELL: Duration = Duration::from_millis(500);

impl Server {
    /// Reads the program files of the settings, then as [`Server::start_with`].
    ///
    /// # Errors
    /// Those of [`Server::start_with`], and files that cannot be read.
    pub async fn start(settings: Settings) -> Result<Server, StartError> {
        let programs = read_programs(&settings.programs)?;
        Server::start_with(settings, &programs).await
    }

    /// Puts a server together and serves. A store that does not answer yet is no error: the server says that it is
    /// not serving and keeps trying. Logs, metrics and traces belong to the process: [`run`] sets them up.
    ///
    /// # Errors
    /// See [`StartError`]. Programs are checked before the store is opened, and the address is bound last.
    pub async fn start_with(settings: Settings, programs: &[ProgramText]) -> Result<Server, StartError> {
        let sources = compile(programs)?;
        let watched = Watched::open(&settings.access).await?;
        let access = Arc::clone(&watched.access);
        let mut builder = tonic::transport::Server::builder();
        if let Some(tls) = &settings.tls {
            builder = builder.tls_config(credentials::tls(tls)?).map_err(|error| StartError::Tls(in_full(&error)))?;
        }
        let clock = match settings.clock {
            ClockKind::System => Clock::system(),
            ClockKind::Follow => Clock::follow(),
        };
        let (store, journal) = open(&settings, &clock).await?;
        let options = service::Options { journal, ..options(&settings) };
        let service = Service::new(store, settings.layout, clock.clone(), sources, options, Arc::new(observe::Work));
        service.keep_promises(grpc::promised);
        let published = publish(&service).await?;
        if published {
            service.start_jobs();
        }

        let places_max = u32::try_from(settings.limits.calls_in_flight_max).unwrap_or(u32::MAX);
        // Threads come to calls, each on a core of its own at best.
        let threads = tokio::runtime::Handle::current().metrics().num_workers();
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(threads);
        let cores = u32::try_from(cores).unwrap_or(u32::MAX);
        let waiting_max = settings.limits.calls_waiting_per_core_max.saturating_mul(cores);
        let gate = Arc::new(Gate::new(waiting_max, places_max));
        let calls: Arc<dyn Calls> = Arc::new(service.clone());
        let health = HealthReporter::new();
        let options = face(&settings, Arc::clone(&gate), access);
        let routes = routes(Arc::clone(&calls), &options, &health)?;
        let incoming = TcpIncoming::bind(settings.listen)
            .map_err(|error| StartError::Listen { addr: settings.listen, error })?
            .with_nodelay(Some(true));
        let addr = incoming.local_addr().map_err(|error| StartError::Listen { addr: settings.listen, error })?;

        let stop = CancellationToken::new();
        let names = grpc::service_names(&*calls);
        let readiness = Readiness { service: service.clone(), clock, health, names, stop: stop.clone() };
        readiness.tell(published).await;
        let jobs = TaskTracker::new();
        jobs.spawn(readiness.watch(published));
        jobs.spawn(watched.keep(stop.clone()));
        let transport = jobs.spawn(
            builder
                .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
                .http2_keepalive_timeout(Some(KEEPALIVE_LIMIT))
                .max_connection_age(CONNECTION_AGE_MAX)
                .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
                // Callers who share a connection and give up all at once, as deadlines do, must not end it for the others.
                .http2_max_pending_accept_reset_streams(Some(STREAMS_PER_CONNECTION_MAX as usize))
                .http2_max_header_list_size(HEADER_BYTES_MAX)
                .layer(grpc::shortcut(Arc::clone(&calls), &options))
                .add_routes(routes)
                .serve_with_incoming_shutdown(connection::gathered(incoming), stop.clone().cancelled_owned()),
        );
        Ok(Server { addr, drain_limit: settings.drain_limit, stop, transport, jobs, work: Work { service, gate } })
    }

    /// Where it listens; the port is a free one if the settings say 0.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Says that it is not serving, takes no new connections, finishes what is under way, and ends; all within the
    /// drain limit.
    pub async fn stop(mut self) -> Drained {
        let deadline = Instant::now() + self.drain_limit;
        self.stop.cancel();
        let Work { service, gate } = &self.work;

        // A peer that never closes its connection must not hold up the rest: idle is good enough.
        let answered = async {
            gate.drain().await;
            sleep(FAREWELL).await;
        };
        let calls = async {
            tokio::select! {
                _ended = &mut self.transport => {}
                () = answered => {}
            }
        };
        // Writes outlive their callers, so they are waited for even when calls had to be cut.
        let calls_limit = deadline - self.drain_limit / 4;
        let calls_whole = timeout_at(calls_limit, calls).await.is_ok();
        let writes_whole = timeout_at(deadline, service.drain()).await.is_ok();
        self.transport.abort();
        self.jobs.close();
        if calls_whole && writes_whole {
            return Drained::Whole;
        }
        metrics::drain_cut();
        error!(calls_whole, writes_whole, "the drain limit was reached with work left, which is cut");
        Drained::Cut
    }
}

/// Serves until the process is told to end (SIGTERM, SIGINT), drains, and gives the exit code.
pub async fn run(settings: Settings) -> ExitCode {
    let telemetry = match Telemetry::start(&settings) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            // Without telemetry there is no other place to say it.
            #[allow(clippy::print_stderr, reason = "logs are what failed")]
            {
                eprintln!("guerdon: {error}");
            }
            return ExitCode::from(EXIT_UNAVAILABLE);
        }
    };
    let code = serve(settings).await;
    telemetry.end().await;
    ExitCode::from(code)
}

async fn serve(settings: Settings) -> u8 {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        error!("signals cannot be received");
        return EXIT_UNAVAILABLE;
    };
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    let store = match settings.store {
        StoreSettings::Memory => "memory",
        StoreSettings::Embedded { .. } => "embedded",
        StoreSettings::Redis(_) => "redis",
    };
    let mut server = match Server::start(settings).await {
        Ok(server) => server,
        Err(error) => {
            error!("{error}");
            return error.exit_code();
        }
    };
    info!(addr = %server.addr(), store, version = env!("CARGO_PKG_VERSION"), "listening on {}", server.addr());

    let ended = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        ended = &mut server.transport => Some(ended),
    };
    if let Some(ended) = ended {
        error!(?ended, "the server ended by itself");
        server.transport = server.jobs.spawn(pending());
        server.stop().await;
        return EXIT_CUT;
    }
    info!(limit_s = server.drain_limit.as_secs(), "draining");
    match server.stop().await {
        Drained::Whole => {
            info!("drained, bye");
            EXIT_FINE
        }
        Drained::Cut => EXIT_CUT,
    }
}

/// An error with what caused it.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn read_programs(paths: &[PathBuf]) -> Result<Vec<ProgramText>, StartError> {
    let mut programs = Vec::new();
    let mut faults = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        // A wrong path to something huge does no harm.
        if std::fs::metadata(path).is_ok_and(|meta| (program::TEXT_LEN_MAX as u64) < meta.len()) {
            faults.push(format!("{name}: the file is longer than {} bytes", program::TEXT_LEN_MAX));
            continue;
        }
        match std::fs::read_to_string(path) {
            Ok(text) => programs.push(ProgramText { name, text }),
            Err(error) => faults.push(format!("{name}: {error}")),
        }
    }
    if faults.is_empty() { Ok(programs) } else { Err(StartError::Programs(faults.join("\n"))) }
}

/// All of them, or everything that is wrong with any.
fn compile(programs: &[ProgramText]) -> Result<Vec<Source>, StartError> {
    let mut sources: Vec<Source> = Vec::new();
    let mut faults = Vec::new();
    let mut names = BTreeMap::new();
    for ProgramText { name, text } in programs {
        match Source::compile(text) {
            Ok(source) => {
                if let Some(other) = names.insert(source.program.id.clone(), name) {
                    faults.push(format!("{name}: the program `{}` is in {other} already", source.program.id));
                }
                sources.push(source);
            }
            Err(found) => faults.push(found.of_file(name).to_string()),
        }
    }
    if sources.is_empty() && faults.is_empty() {
        faults.push("no program is given".to_owned());
    }
    if faults.is_empty() { Ok(sources) } else { Err(StartError::Programs(faults.join("\n"))) }
}

fn in_memory(clock: &Clock) -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(clock.for_store()))
}

/// The store, and the journal where it has one.
async fn open(settings: &Settings, clock: &Clock) -> Result<(Arc<dyn Store>, Option<Arc<Journal>>), StartError> {
    let layout = settings.layout;
    match &settings.store {
        StoreSettings::Memory => Ok((in_memory(clock), None)),
        StoreSettings::Embedded { path } => {
            let (path, clock) = (path.clone(), clock.for_store());
            // Opening reads the file and may replay its log.
            let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(&path, layout, clock)).await;
            Ok((Arc::new(opened.map_err(|_| StartError::Aborted)??), None))
        }
        StoreSettings::Redis(redis) => {
            let at = redis_settings(redis)?;
            let Some(journal) = &redis.journal else {
                return Ok((Arc::new(RedisStore::connect(at, layout)?), None));
            };
            let settings = JournalSettings { dir: journal.dir.clone(), bytes_max: journal.bytes_max };
            // Opening reads all of it.
            let opened = tokio::task::spawn_blocking(move || Journal::open(&settings)).await;
            let opened = Arc::new(opened.map_err(|_| StartError::Aborted)??);
            let again = Arc::new(service::Reapplier);
            let kept = Arc::clone(&opened);
            let store = RedisStore::connect_journaled(at, layout, opened, again, journal.wait, journal.keep)?;
            Ok((Arc::new(store), Some(kept)))
        }
    }
}

/// Reads the files that the settings name.
fn redis_settings(at: &RedisAt) -> Result<RedisSettings, StartError> {
    let read =
        |path: &PathBuf| std::fs::read(path).map_err(|error| StartError::Certificate { path: path.clone(), error });
    let ca = at.ca.as_ref().map(read).transpose()?;
    let identity = match &at.identity {
        None => None,
        Some(files) => Some(redis::Identity { certificate: read(&files.certificate)?, key: read(&files.key)? }),
    };
    let login = at.login.as_ref().and_then(|login| login.expose().split_once(':'));
    Ok(RedisSettings {
        url: at.url.expose().to_owned(),
        namespace: at.namespace.clone(),
        connect_timeout_ms: at.connect_timeout_ms,
        response_timeout_ms: at.response_timeout_ms,
        topology: match &at.topology {
            RedisTopology::One => redis::Topology::One,
            RedisTopology::Sentinel { master } => redis::Topology::Sentinel { master: master.clone() },
            RedisTopology::Cluster => redis::Topology::Cluster,
        },
        login: login.map(|(user, password)| redis::Login { user: user.to_owned(), password: password.to_owned() }),
        durability: match at.replicas {
            0 => redis::Durability::Store,
            replicas => redis::Durability::Replicated { replicas },
        },
        tls: (ca.is_some() || identity.is_some()).then_some(redis::Tls { ca, identity }),
    })
}

fn options(settings: &Settings) -> service::Options {
    let limits = &settings.limits;
    service::Options {
        cache_bytes_max: limits.cache_bytes_max,
        writes_max: limits.calls_in_flight_max,
        writes_per_account_max: limits.calls_per_account_max,
        attempts_max: limits.commit_attempts_max,
        receipt_keep_s: limits.receipt_keep_s,
        relay_interval: limits.relay_interval,
        sweep_interval: limits.sweep_interval,
        // The settings have been checked: each is one.
        draw_seeds: settings.draw_seeds.iter().filter_map(|seed| Seed::parse(seed.expose())).collect(),
        signal_keys: settings.signal_keys.iter().filter_map(|key| SignalKey::parse(key.expose())).collect(),
        quote_keys: settings.quote_keys.iter().filter_map(|key| QuoteKey::parse(key.expose())).collect(),
        journal: None,
    }
}

/// Whether it worked at once; a store that is away is tried again later, one that can never serve is an error.
async fn publish(service: &Service) -> Result<bool, StartError> {
    match service.publish().await {
        Ok(()) => Ok(true),
        Err(error) if readiness::passes(&error) => {
            warn!(%error, "not serving yet: {error}");
            Ok(false)
        }
        Err(error) => Err(StartError::Publish(error)),
    }
}

/// What the transport, the service and the reader of programs hold callers to.
pub fn told(calls_in_flight_max: usize, calls_per_account_max: usize) -> grpc::Told {
    grpc::Told {
        header_bytes_max: HEADER_BYTES_MAX,
        calls_in_flight_max,
        calls_per_account_max,
        streams_per_connection_max: STREAMS_PER_CONNECTION_MAX,
        programs: grpc::ProgramFile {
            bytes_max: program::TEXT_LEN_MAX,
            depth_max: program::DEPTH_MAX,
            rules_max: program::RULES_MAX,
            rewards_max: program::REWARDS_MAX,
            campaigns_max: program::CAMPAIGNS_MAX,
            condition_bytes_max: program::CONDITION_LEN_MAX,
            condition_depth_max: program::CONDITION_DEPTH_MAX,
        },
    }
}

/// How calls are served.
fn face(settings: &Settings, gate: Arc<Gate>, access: Arc<Access>) -> grpc::Options {
    let observer = Arc::new(observe::Calls { traces: settings.traces.is_some() });
    let limits = &settings.limits;
    let told = told(limits.calls_in_flight_max, limits.calls_per_account_max);
    grpc::Options { deadline_default: limits.call_deadline_default, observer, access, gate, told }
}

/// The contract, health, and reflection in both versions that clients ask for.
fn routes(calls: Arc<dyn Calls>, options: &grpc::Options, health: &HealthReporter) -> Result<Routes, StartError> {
    // What is listed can be called: services of the contract that this instance does not serve are left out.
    let served = grpc::service_names(&*calls);
    let reflection = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(grpc::wire::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        let names = served.iter().copied().chain(["grpc.health.v1.Health"]);
        names.fold(builder, |builder, name| builder.with_service_name(name))
    };
    Ok(grpc::routes(calls, options)
        .add_service(HealthServer::new(HealthService::from_health_reporter(health.clone())))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?))
}
