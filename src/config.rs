//! The settings of a server: from flags, environment and file, checked as a whole before anything starts.

mod layers;
mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::store::Layout;
use layers::{Layers, Origin, Raw};
use table::{
    CACHE_BYTES_MAX, CALL_DEADLINE_MS_DEFAULT, CALLS_IN_FLIGHT_MAX, CALLS_PER_ACCOUNT_MAX, CALLS_WAITING_PER_CORE_MAX,
    CLOCK, COMMIT_ATTEMPTS_MAX, CREDENTIALS, DATA, DRAIN_LIMIT_S, DRAW_SEEDS, DURABILITY, INSECURE_DEV,
    JOURNAL_BYTES_MAX, JOURNAL_DIR, JOURNAL_KEEP_S, JOURNAL_WAIT_S, LISTEN, LOG_FILTER, LOG_FORMAT, METRICS_LISTEN,
    NAMESPACE, OTLP_ENDPOINT, PARTITIONS, PROGRAM, QUOTE_KEYS, RECEIPT_KEEP_DAYS, REDIS_CA, REDIS_CERTIFICATE,
    REDIS_KEY, REDIS_LOGIN, REDIS_MASTER, REDIS_TOPOLOGY, REDIS_URL, RELAY_INTERVAL_MS, REPLICAS, SIGNAL_KEYS, STORE,
    STORE_CONNECT_TIMEOUT_MS, STORE_TIMEOUT_MS, SWEEP_INTERVAL_MS, TLS_CERTIFICATE, TLS_CLIENT_CA, TLS_KEY,
    TRACE_SAMPLE_PERMILLE, WORKER_THREADS,
};

pub use layers::Environment;
pub use table::{SETTINGS, Setting, document, example};

const VARIABLE_PREFIX: &str = "GUERDON_";
/// Far more than any machine has cores.
const WORKER_THREADS_MAX: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// Everything that an operator decides. Each is described, with its bounds, in the [table](SETTINGS).
#[derive(Clone, Debug)]
pub struct Settings {
    /// At least one from [`Settings::gather`].
    pub programs: Vec<PathBuf>,
    pub listen: SocketAddr,
    pub metrics_listen: Option<SocketAddr>,
    pub store: StoreSettings,
    pub layout: Layout,
    pub clock: ClockKind,
    /// Of the process, so not of a server inside another one. `None`: one for each core.
    pub worker_threads: Option<NonZeroUsize>,
    pub limits: Limits,
    pub log: LogSettings,
    pub traces: Option<TraceSettings>,
    /// How long a shutdown waits for what is under way.
    pub drain_limit: Duration,
    /// What is allowed and still deserves a word, logged at the start.
    pub warnings: Vec<String>,
    /// Of prize draws: 32 to 128 hexadecimal digits each.
    pub draw_seeds: Vec<Secret>,
    /// Of quote tokens, in hexadecimal; empty: the store keeps one.
    pub quote_keys: Vec<Secret>,
    pub signal_keys: Vec<Secret>,
    pub access: AccessSettings,
    pub tls: Option<TlsSettings>,
}

/// Who may call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccessSettings {
    /// Everybody, from this machine alone.
    Development,
    /// Who is in the file.
    Credentials(PathBuf),
}

/// Files in PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsSettings {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub client_ca: Option<PathBuf>,
}

/// Which store, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreSettings {
    Memory,
    Embedded { path: PathBuf },
    Redis(Box<RedisAt>),
}

/// Where Redis is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RedisAt {
    /// Several separated by commas, for sentinels and clusters.
    pub url: Secret,
    pub topology: RedisTopology,
    /// `USER:PASSWORD` for the servers behind sentinels.
    pub login: Option<Secret>,
    /// PEM files.
    pub ca: Option<PathBuf>,
    pub identity: Option<RedisIdentity>,
    /// How many replicas have a write before it is answered; 0: nobody is waited for.
    pub replicas: u32,
    /// What is acknowledged is in it, too.
    pub journal: Option<JournalAt>,
    pub namespace: String,
    pub connect_timeout_ms: u32,
    pub response_timeout_ms: u32,
}

/// Where an instance keeps its journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalAt {
    pub dir: PathBuf,
    pub bytes_max: u64,
    pub keep: Duration,
    /// How long others are waited for.
    pub wait: Duration,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RedisTopology {
    One,
    Sentinel { master: String },
    Cluster,
}

/// PEM files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RedisIdentity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockKind {
    System,
    Follow,
}

/// Bounds on calls and the work behind them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    pub call_deadline_default: Duration,
    pub calls_in_flight_max: usize,
    /// While more wait for each core to come to them, some are refused.
    pub calls_waiting_per_core_max: u32,
    pub calls_per_account_max: usize,
    pub commit_attempts_max: u32,
    pub cache_bytes_max: u64,
    pub receipt_keep_s: u64,
    pub relay_interval: Duration,
    pub sweep_interval: Duration,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogSettings {
    pub format: LogFormat,
    /// A valid filter of `tracing-subscriber`.
    pub filter: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceSettings {
    pub endpoint: Secret,
    /// Of a thousand traces that no caller began, how many are sent.
    pub sample_permille: u32,
}

/// Text that may hold a password: shows itself to nobody who does not ask.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the driver that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// One thing that is wrong with the settings: where, what was written, why not, what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    at: String,
    value: Option<String>,
    problem: String,
    remedy: String,
}

impl Fault {
    fn new(
        at: impl Into<String>,
        value: Option<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Fault {
        Fault { at: at.into(), value, problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}: {value:?} {}; {}", self.at, self.problem, self.remedy),
            None => write!(f, "{} {}; {}", self.at, self.problem, self.remedy),
        }
    }
}

/// All that is wrong with the settings; at least one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// The settings given as flags: raw text, because all faults are reported together and not one by one.
#[derive(Clone, Debug, Default)]
pub struct Flags(BTreeMap<&'static str, Vec<String>>);

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Flags, clap::Error> {
        let given = |setting: &&'static Setting| {
            let values = matches.get_many::<String>(setting.key)?;
            Some((setting.key, values.cloned().collect()))
        };
        Ok(Flags(SETTINGS.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.extend(Flags::from_arg_matches(matches)?.0);
        Ok(())
    }
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        SETTINGS.iter().fold(command, |command, setting| command.arg(argument(setting)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args(command)
    }
}

fn argument(setting: &'static Setting) -> Arg {
    let default = setting.default.map(|default| format!(" [default: {default}]")).unwrap_or_default();
    let action = if setting.many { ArgAction::Append } else { ArgAction::Set };
    let argument = Arg::new(setting.key)
        .long(setting.key.replace('_', "-"))
        .value_name(setting.value)
        .help(format!("{}{default} [env: {}]", setting.help, setting.variable()))
        .action(action);
    if setting.switch { argument.num_args(0..=1).require_equals(true).default_missing_value("yes") } else { argument }
}

impl Settings {
    /// Reads all layers and checks everything.
    ///
    /// # Errors
    /// Every fault that there is.
    pub fn gather(flags: &Flags, environment: &Environment) -> Result<Settings, Faults> {
        Settings::read(flags, environment, true)
    }

    fn read(flags: &Flags, environment: &Environment, needs_program: bool) -> Result<Settings, Faults> {
        let mut faults = Vec::new();
        let layers = Layers::read(&flags.0, environment, &mut faults);
        let mut reader = Reader { layers: &layers, faults };

        let layout = match u16::try_from(reader.number(&PARTITIONS, 1..=u64::from(Layout::PARTITIONS_MAX))) {
            Ok(partitions) => Layout::new(partitions),
            Err(_) => None,
        };
        let programs = reader.programs(needs_program);
        let listen = reader.address(&LISTEN);
        let metrics_listen = reader.optional(&METRICS_LISTEN, Reader::address);
        let store = reader.store();
        let clock = reader.choice(&CLOCK, &[("system", ClockKind::System), ("follow", ClockKind::Follow)]);
        let worker_threads = reader.worker_threads();
        let limits = reader.limits();
        let log = reader.log();
        let traces = reader.traces();
        let draw_seeds = reader.secrets(&DRAW_SEEDS, "none", "seed");
        let quote_keys = reader.secrets(&QUOTE_KEYS, "stored", "key");
        let signal_keys = reader.secrets(&SIGNAL_KEYS, "stored", "key");
        let drain_limit = Duration::from_secs(reader.number(&DRAIN_LIMIT_S, 1..=3_600));
        let access = reader.access(listen);
        let tls = reader.tls();

        let faults = reader.faults;
        let (true, Some(layout), Some(access)) = (faults.is_empty(), layout, access) else {
            return Err(Faults(faults));
        };
        let mut settings = Settings {
            programs,
            listen,
            metrics_listen,
            store,
            layout,
            clock,
            worker_threads,
            limits,
            log,
            traces,
            drain_limit,
            warnings: Vec::new(),
            draw_seeds,
            access,
            tls,
            quote_keys,
            signal_keys,
        };
        settings.cross_check(&layers)?;
        settings.warnings = settings.warnings_of(layers);
        Ok(settings)
    }

    /// Settings from pairs of key and value, the rest by default: for servers inside another process. A value for
    /// `program` may list several files, separated by commas, or be left out if programs come as text.
    ///
    /// # Errors
    /// Every fault that there is.
    pub fn of(pairs: &[(&str, &str)]) -> Result<Settings, Faults> {
        let named: Vec<(String, &str)> =
            pairs.iter().map(|(key, value)| (format!("{VARIABLE_PREFIX}{}", key.to_uppercase()), *value)).collect();
        let environment = named.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        Settings::read(&Flags::default(), &environment, false)
    }

    fn cross_check(&self, layers: &Layers) -> Result<(), Faults> {
        if self.metrics_listen == Some(self.listen) && self.listen.port() != 0 {
            let at = layers.get(&METRICS_LISTEN).map_or_else(String::new, |raw| raw.origin.to_string());
            let value = Some(self.listen.to_string());
            return Err(Faults(vec![Fault::new(at, value, "is where gRPC is served", "choose another port")]));
        }
        Ok(())
    }

    fn warnings_of(&self, layers: Layers) -> Vec<String> {
        const OF_REDIS: &[&Setting] = &[
            &REDIS_URL,
            &REDIS_TOPOLOGY,
            &REDIS_MASTER,
            &REDIS_LOGIN,
            &REDIS_CA,
            &REDIS_CERTIFICATE,
            &REDIS_KEY,
            &DURABILITY,
            &REPLICAS,
            &JOURNAL_DIR,
            &JOURNAL_BYTES_MAX,
            &JOURNAL_KEEP_S,
            &JOURNAL_WAIT_S,
            &NAMESPACE,
            &STORE_TIMEOUT_MS,
            &STORE_CONNECT_TIMEOUT_MS,
        ];
        let unused: Vec<&Setting> = match &self.store {
            StoreSettings::Memory => [&[&DATA], OF_REDIS].concat(),
            StoreSettings::Embedded { .. } => OF_REDIS.to_vec(),
            StoreSettings::Redis(redis) => match redis.topology {
                RedisTopology::Sentinel { .. } => vec![&DATA],
                RedisTopology::One | RedisTopology::Cluster => vec![&DATA, &REDIS_MASTER, &REDIS_LOGIN],
            },
        };
        let mut warnings: Vec<String> = unused
            .into_iter()
            .filter_map(|setting| layers.get(setting))
            .map(|raw| format!("{} has no effect with this store", raw.origin))
            .collect();
        if self.traces.is_none()
            && let Some(raw) = layers.get(&TRACE_SAMPLE_PERMILLE)
        {
            warnings.push(format!("{} has no effect while traces are off", raw.origin));
        }
        if self.store == StoreSettings::Memory {
            warnings.push("the store is `memory`: everything is lost when the server ends".to_owned());
        }
        if self.clock == ClockKind::Follow {
            warnings.push(
                "THE CLOCK FOLLOWS THE REQUESTS: whoever calls chooses the time. For replays only, never for real \
                 customers"
                    .to_owned(),
            );
        }
        if self.access == AccessSettings::Development {
            warnings.push(
                "ANYBODY ON THIS MACHINE MAY DO ANYTHING: `insecure_dev` is set and nobody is asked for a credential. For \
                 development only"
                    .to_owned(),
            );
        }
        if self.tls.is_none() && !self.listen.ip().is_loopback() {
            warnings
                .push(format!("{} is reachable from outside and TLS is off: keys can be read on the way", self.listen));
        }
        warnings.extend(layers.warnings);
        warnings
    }
}

/// Turns raw text into values. On a fault it answers something that is never used: the faults end the start.
struct Reader<'a> {
    layers: &'a Layers,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn raw(&self, setting: &'static Setting) -> Option<Raw> {
        let default = || {
            let values = vec![setting.default?.to_owned()];
            Some(Raw { origin: Origin::Default(setting.key), values })
        };
        self.layers.get(setting).cloned().or_else(default)
    }

    /// The last of what was written; flags given twice are decided by the later one.
    fn text(&self, setting: &'static Setting) -> (Origin, String) {
        match self.raw(setting) {
            Some(Raw { origin, values }) => (origin, values.into_iter().next_back().unwrap_or_default()),
            None => (Origin::Default(setting.key), String::new()),
        }
    }

    fn fault(&mut self, setting: &Setting, origin: &Origin, value: &str, problem: &str, remedy: impl Into<String>) {
        let value = (!setting.secret).then(|| value.to_owned());
        self.faults.push(Fault::new(origin.to_string(), value, problem, remedy));
    }

    fn number(&mut self, setting: &'static Setting, range: RangeInclusive<u64>) -> u64 {
        let (origin, text) = self.text(setting);
        let digits = text.replace('_', "");
        match digits.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let remedy = format!("write a whole number from {} to {}", range.start(), range.end());
                self.fault(setting, &origin, &text, "is not one", remedy);
                *range.start()
            }
        }
    }

    fn address(&mut self, setting: &'static Setting) -> SocketAddr {
        let (origin, text) = self.text(setting);
        text.parse().unwrap_or_else(|_| {
            let remedy = "write IP:PORT, such as 127.0.0.1:7060 or [::1]:7060; names are not resolved";
            self.fault(setting, &origin, &text, "is no address", remedy);
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    fn optional<T>(&mut self, setting: &'static Setting, read: fn(&mut Self, &'static Setting) -> T) -> Option<T> {
        (self.text(setting).1 != "off").then(|| read(self, setting))
    }

    fn choice<T: Copy>(&mut self, setting: &'static Setting, choices: &[(&str, T); 2]) -> T {
        let (origin, text) = self.text(setting);
        let [(_, first), ..] = choices;
        match choices.iter().find(|(name, _)| *name == text) {
            Some((_, choice)) => *choice,
            None => {
                let names: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
                self.fault(setting, &origin, &text, "is not a choice", format!("write {}", names.join(" or ")));
                *first
            }
        }
    }

    fn programs(&mut self, needed: bool) -> Vec<PathBuf> {
        let raw = self.raw(&PROGRAM);
        let files: Vec<PathBuf> = raw.into_iter().flat_map(|raw| raw.values).map(PathBuf::from).collect();
        if needed && files.is_empty() {
            let at = format!("{} ({}, program)", PROGRAM.flag(), PROGRAM.variable());
            self.faults.push(Fault::new(at, None, "is not set", "name at least one program file"));
        }
        files
    }

    fn path(&mut self, setting: &'static Setting) -> PathBuf {
        let (origin, text) = self.text(setting);
        if text.is_empty() {
            self.fault(setting, &origin, &text, "names no file", "write a path");
        }
        PathBuf::from(text)
    }

    fn store(&mut self) -> StoreSettings {
        let (origin, kind) = self.text(&STORE);
        match kind.as_str() {
            "memory" => StoreSettings::Memory,
            "embedded" => StoreSettings::Embedded { path: self.path(&DATA) },
            "redis" => StoreSettings::Redis(Box::new(self.redis())),
            _ => {
                let remedy = "write `embedded`, `redis` or `memory`";
                self.fault(&STORE, &origin, &kind, "is not a choice", remedy);
                StoreSettings::Memory
            }
        }
    }

    fn topology(&mut self) -> RedisTopology {
        let (origin, kind) = self.text(&REDIS_TOPOLOGY);
        match kind.as_str() {
            "one" => RedisTopology::One,
            "cluster" => RedisTopology::Cluster,
            "sentinel" => {
                let (origin, master) = self.text(&REDIS_MASTER);
                if master.is_empty() {
                    self.fault(&REDIS_MASTER, &origin, &master, "is empty", "write the name that the sentinels know");
                }
                RedisTopology::Sentinel { master }
            }
            _ => {
                let remedy = "write `one`, `sentinel` or `cluster`";
                self.fault(&REDIS_TOPOLOGY, &origin, &kind, "is not a choice", remedy);
                RedisTopology::One
            }
        }
    }

    fn redis(&mut self) -> RedisAt {
        let topology = self.topology();
        let (origin, login) = self.text(&REDIS_LOGIN);
        if login != "none" && !login.contains(':') {
            self.fault(&REDIS_LOGIN, &origin, &login, "has no colon", "write USER:PASSWORD, or :PASSWORD, or `none`");
        }
        let unless = |(origin, text): (Origin, String), nothing: &str| {
            let named = (text != nothing).then(|| PathBuf::from(&text));
            (origin, text, named)
        };
        let (_, _, ca) = unless(self.text(&REDIS_CA), "system");
        let (_, _, certificate) = unless(self.text(&REDIS_CERTIFICATE), "none");
        let (origin, key_text, key) = unless(self.text(&REDIS_KEY), "none");
        if certificate.is_some() != key.is_some() {
            let remedy = "give both `redis_certificate` and `redis_key`, or neither";
            self.fault(&REDIS_KEY, &origin, &key_text, "goes with a certificate", remedy);
        }
        let (origin, durability) = self.text(&DURABILITY);
        if !["store", "replicated", "journaled"].contains(&&*durability) {
            let remedy = "write `store`, `replicated` or `journaled`";
            self.fault(&DURABILITY, &origin, &durability, "is not a choice", remedy);
        }
        RedisAt {
            url: self.urls(&REDIS_URL, &["redis", "rediss"]),
            topology,
            login: (login != "none").then_some(Secret(login)),
            ca,
            identity: certificate.zip(key).map(|(certificate, key)| RedisIdentity { certificate, key }),
            replicas: if durability == "replicated" { self.small(&REPLICAS, 1..=5) } else { 0 },
            journal: if durability == "journaled" { self.journal() } else { None },
            namespace: self.namespace(),
            connect_timeout_ms: self.small(&STORE_CONNECT_TIMEOUT_MS, 1..=60_000),
            response_timeout_ms: self.small(&STORE_TIMEOUT_MS, 1..=60_000),
        }
    }

    /// `None` is a fault, and noted.
    fn journal(&mut self) -> Option<JournalAt> {
        let (origin, dir) = self.text(&JOURNAL_DIR);
        let bytes_max = self.number(&JOURNAL_BYTES_MAX, 1 << 20..=1 << 40);
        let keep = Duration::from_secs(self.number(&JOURNAL_KEEP_S, 2..=86_400));
        let wait = Duration::from_secs(self.number(&JOURNAL_WAIT_S, 1..=600));
        if dir == "none" || dir.is_empty() {
            let remedy = "name a directory of this instance alone, on a disk that it has again when it restarts";
            self.fault(&JOURNAL_DIR, &origin, &dir, "is needed for `durability = \"journaled\"`", remedy);
            return None;
        }
        Some(JournalAt { dir: dir.into(), bytes_max, keep, wait })
    }

    /// `None` is a fault, and noted.
    fn access(&mut self, listen: SocketAddr) -> Option<AccessSettings> {
        let (dev_origin, _) = self.text(&INSECURE_DEV);
        let development = self.choice(&INSECURE_DEV, &[("no", false), ("yes", true)]);
        let file = self.raw(&CREDENTIALS);
        match (development, file) {
            (false, Some(_)) => Some(AccessSettings::Credentials(self.path(&CREDENTIALS))),
            (false, None) => {
                let at = format!("{} ({}, credentials)", CREDENTIALS.flag(), CREDENTIALS.variable());
                let remedy = "name a file that says who may call (`guerdon key new` writes its first line), or for \
                              development on your own machine set --insecure-dev";
                self.faults.push(Fault::new(at, None, "is not set", remedy));
                None
            }
            (true, Some(raw)) => {
                let at = dev_origin.to_string();
                let problem = format!("does not go with {}", raw.origin);
                self.faults.push(Fault::new(at, None, problem, "choose one of the two"));
                None
            }
            (true, None) if !listen.ip().is_loopback() => {
                let at = dev_origin.to_string();
                let problem = format!("does not go with listening on {listen}, which others can reach");
                self.faults.push(Fault::new(at, None, problem, "listen on 127.0.0.1, or use credentials"));
                None
            }
            (true, None) => Some(AccessSettings::Development),
        }
    }

    fn tls(&mut self) -> Option<TlsSettings> {
        let origin = |setting| self.raw(setting).map(|raw| raw.origin.to_string());
        let [certificate, key, client_ca] = [&TLS_CERTIFICATE, &TLS_KEY, &TLS_CLIENT_CA].map(origin);
        match (certificate, key, client_ca) {
            (None, None, None) => None,
            (Some(_), Some(_), client_ca) => Some(TlsSettings {
                certificate: self.path(&TLS_CERTIFICATE),
                key: self.path(&TLS_KEY),
                client_ca: client_ca.map(|_| self.path(&TLS_CLIENT_CA)),
            }),
            (certificate, key, client_ca) => {
                let at = certificate.or(key).or(client_ca).unwrap_or_default();
                let remedy = "set both tls_certificate and tls_key";
                self.faults.push(Fault::new(at, None, "is not enough for TLS", remedy));
                None
            }
        }
    }

    /// Of 16 to 64 bytes each; `without`: there are none.
    fn secrets(&mut self, setting: &'static Setting, without: &str, called: &str) -> Vec<Secret> {
        let (origin, text) = self.text(setting);
        if text == without {
            return Vec::new();
        }
        let is_seed = |seed: &&str| {
            (32..=128).contains(&seed.len())
                && seed.len().is_multiple_of(2)
                && seed.bytes().all(|b| b.is_ascii_hexdigit())
        };
        let seeds: Vec<&str> = text.split(',').map(str::trim).collect();
        if !seeds.iter().all(is_seed) {
            let remedy = format!("write 32 to 128 hexadecimal digits for each, separated by commas, or `{without}`");
            self.fault(setting, &origin, &text, &format!("has something that is no {called}"), &remedy);
        }
        seeds.into_iter().map(Secret::new).collect()
    }

    fn small(&mut self, setting: &'static Setting, range: RangeInclusive<u32>) -> u32 {
        let (start, end) = (u64::from(*range.start()), u64::from(*range.end()));
        u32::try_from(self.number(setting, start..=end)).unwrap_or(*range.start())
    }

    fn size(&mut self, setting: &'static Setting, range: RangeInclusive<u32>) -> usize {
        usize::try_from(self.small(setting, range)).unwrap_or(usize::MAX)
    }

    /// One or several, separated by commas.
    fn urls(&mut self, setting: &'static Setting, schemes: &[&str]) -> Secret {
        let (origin, text) = self.text(setting);
        if !text.split(',').all(|url| fits(url.trim(), schemes)) {
            let remedy = format!("write {}://HOST:PORT", schemes.join(":// or "));
            self.fault(setting, &origin, &text, "is no URL that fits", remedy);
        }
        Secret(text)
    }

    fn url(&mut self, setting: &'static Setting, schemes: &[&str]) -> Secret {
        let (origin, text) = self.text(setting);
        if !fits(&text, schemes) {
            let remedy = format!("write {}://HOST:PORT", schemes.join(":// or "));
            self.fault(setting, &origin, &text, "is no URL that fits", remedy);
        }
        Secret(text)
    }

    fn namespace(&mut self) -> String {
        let (origin, text) = self.text(&NAMESPACE);
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if !(1..=32).contains(&text.len()) || !text.bytes().all(allowed) {
            let remedy = "write 1 to 32 bytes out of a-z, 0-9, `-` and `_`";
            self.fault(&NAMESPACE, &origin, &text, "cannot begin a key", remedy);
        }
        text
    }

    /// `None`: it is left to the machine.
    fn worker_threads(&mut self) -> Option<NonZeroUsize> {
        let (origin, text) = self.text(&WORKER_THREADS);
        match text.replace('_', "").parse() {
            _ if text == "auto" => None,
            Ok(count) if count <= WORKER_THREADS_MAX => Some(count),
            _ => {
                let remedy = format!("write a whole number from 1 to {WORKER_THREADS_MAX}, or auto");
                self.fault(&WORKER_THREADS, &origin, &text, "is not one", remedy);
                None
            }
        }
    }

    fn limits(&mut self) -> Limits {
        const DAY_S: u64 = 86_400;
        Limits {
            call_deadline_default: Duration::from_millis(self.number(&CALL_DEADLINE_MS_DEFAULT, 1..=600_000)),
            calls_in_flight_max: self.size(&CALLS_IN_FLIGHT_MAX, 1..=100_000),
            calls_waiting_per_core_max: self.small(&CALLS_WAITING_PER_CORE_MAX, 2..=10_000),
            calls_per_account_max: self.size(&CALLS_PER_ACCOUNT_MAX, 1..=10_000),
            commit_attempts_max: self.small(&COMMIT_ATTEMPTS_MAX, 1..=100),
            cache_bytes_max: self.number(&CACHE_BYTES_MAX, 0..=1 << 40),
            receipt_keep_s: DAY_S * self.number(&RECEIPT_KEEP_DAYS, 7..=3_660),
            relay_interval: Duration::from_millis(self.number(&RELAY_INTERVAL_MS, 10..=60_000)),
            sweep_interval: Duration::from_millis(self.number(&SWEEP_INTERVAL_MS, 100..=3_600_000)),
        }
    }

    fn log(&mut self) -> LogSettings {
        let (origin, filter) = self.text(&LOG_FILTER);
        if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&filter) {
            let remedy = "write a level, or MODULE=LEVEL pairs separated by commas";
            self.fault(&LOG_FILTER, &origin, &filter, &format!("is no filter ({error})"), remedy);
        }
        let format = self.choice(&LOG_FORMAT, &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
        LogSettings { format, filter }
    }

    fn traces(&mut self) -> Option<TraceSettings> {
        let sample_permille = self.small(&TRACE_SAMPLE_PERMILLE, 0..=1_000);
        let endpoint = self.optional(&OTLP_ENDPOINT, |reader, setting| reader.url(setting, &["http"]))?;
        Some(TraceSettings { endpoint, sample_permille })
    }
}

/// Whether a text is a URL of one of the schemes, as far as that can be told here.
fn fits(text: &str, schemes: &[&str]) -> bool {
    let parts = text.split_once("://");
    parts.is_some_and(|(scheme, rest)| {
        schemes.contains(&scheme) && !rest.is_empty() && !rest.contains(char::is_whitespace)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::{Args, FromArgMatches};

    use super::*;

    fn flags(args: &[&str]) -> Flags {
        let command = Flags::augment_args(Command::new("serve"));
        let matches = command.try_get_matches_from(std::iter::once(&"serve").chain(args)).expect("known flags");
        Flags::from_arg_matches(&matches).expect("flags")
    }

    fn gather(args: &[&str], variables: &[(&str, &str)]) -> Result<Settings, Faults> {
        Settings::gather(&flags(args), &variables.iter().copied().collect())
    }

    fn faults(args: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
        let Faults(faults) = gather(args, variables).expect_err("something is wrong");
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn redis_is_reached_in_three_ways() {
        let base = &[("GUERDON_PROGRAM", "a.yaml"), ("GUERDON_STORE", "redis"), ("GUERDON_INSECURE_DEV", "yes")][..];
        let read = |more: &[(&str, &str)]| match gather(&[], &[base, more].concat()).unwrap().store {
            StoreSettings::Redis(redis) => *redis,
            other => panic!("{other:?}"),
        };
        let pair = ("GUERDON_REDIS_URL", "rediss://a:7000,rediss://b:7000");
        assert_eq!(read(&[]).topology, RedisTopology::One);
        assert_eq!(read(&[pair, ("GUERDON_REDIS_TOPOLOGY", "cluster")]).topology, RedisTopology::Cluster);
        let behind = read(&[
            pair,
            ("GUERDON_REDIS_TOPOLOGY", "sentinel"),
            ("GUERDON_REDIS_MASTER", "club"),
            ("GUERDON_REDIS_LOGIN", "shop:hunter2"),
            ("GUERDON_REDIS_CA", "ca.pem"),
            ("GUERDON_REDIS_CERTIFICATE", "me.pem"),
            ("GUERDON_REDIS_KEY", "me.key"),
        ]);
        assert_eq!(behind.topology, RedisTopology::Sentinel { master: "club".to_owned() });
        assert_eq!(behind.login.as_ref().map(Secret::expose), Some("shop:hunter2"));
        assert_eq!(behind.ca, Some(PathBuf::from("ca.pem")));
        assert_eq!(behind.replicas, 0);
        assert_eq!(read(&[("GUERDON_DURABILITY", "replicated")]).replicas, 1);
        assert_eq!(read(&[("GUERDON_DURABILITY", "replicated"), ("GUERDON_REPLICAS", "2")]).replicas, 2);
        let journal = read(&[("GUERDON_DURABILITY", "journaled"), ("GUERDON_JOURNAL_DIR", "here")]).journal.unwrap();
        assert_eq!((journal.dir, journal.keep), (PathBuf::from("here"), Duration::from_secs(60)));
        assert!(behind.identity.is_some() && !format!("{behind:?}").contains("hunter2"));

        for (wrong, problem) in [
            (("GUERDON_REDIS_TOPOLOGY", "ring"), "is not a choice"),
            (("GUERDON_DURABILITY", "journaled"), "is needed for"),
            (("GUERDON_REDIS_LOGIN", "hunter2"), "has no colon"),
            (("GUERDON_REDIS_CERTIFICATE", "me.pem"), "goes with a certificate"),
            (("GUERDON_REDIS_URL", "redis://a,http://b"), "is no URL that fits"),
        ] {
            let found = faults(&[], &[base, &[wrong]].concat());
            assert!(found.len() == 1 && found[0].contains(problem), "{found:?}");
            assert!(!found[0].contains("hunter2"), "{found:?}");
        }
    }

    #[test]
    fn flags_win_over_variables_over_the_file_over_defaults() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("guerdon.toml");
        fs::write(
            &file,
            "program = [\"a.yaml\", \"b.yaml\"]\npartitions = 7\ndrain_limit_s = 7\ncommit_attempts_max = 7\n",
        )
        .expect("written");
        let file = file.display().to_string();
        let settings = gather(
            &["--drain-limit-s", "9", "--insecure-dev"],
            &[("GUERDON_CONFIG", &file), ("GUERDON_DRAIN_LIMIT_S", "8"), ("GUERDON_PARTITIONS", "8")],
        )
        .expect("valid");
        assert_eq!(settings.drain_limit, Duration::from_secs(9), "the flag");
        assert_eq!(settings.layout.partitions(), 8, "the variable");
        assert_eq!(settings.limits.commit_attempts_max, 7, "the file");
        assert_eq!(settings.limits.calls_in_flight_max, 4_096, "the default");
        assert_eq!(settings.programs, [PathBuf::from("a.yaml"), PathBuf::from("b.yaml")]);
    }

    #[test]
    fn threads_are_counted_or_left_to_the_machine() {
        let stated = |count: &'static str| Settings::of(&[("insecure_dev", "yes"), ("worker_threads", count)]);
        for (count, expected) in [("auto", None), ("1", Some(1)), ("1_024", Some(1_024))] {
            let threads = stated(count).expect("valid").worker_threads;
            assert_eq!(threads.map(usize::from), expected, "{count}");
        }
        for count in ["0", "1025", "-1", "Auto", ""] {
            let found = stated(count).expect_err(count).to_string();
            assert!(found.contains("is not one; write a whole number from 1 to 1024, or auto"), "{found}");
        }
    }

    #[test]
    fn every_fault_is_reported_at_once_with_place_value_and_remedy() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("guerdon.toml");
        fs::write(&path, "# settings\nlisen = \"x\"\npartitions = 0\nlog_format = 1.5\n").expect("written");
        let file = path.display().to_string();
        let found = faults(
            &["--listen", "localhost", "--config", &file],
            &[("GUERDON_RECEIPT_KEEP_DAYS", "6"), ("GUERDON_STORE", "disk"), ("GUERDON_LOG_FILTER", "a=b=c")],
        );
        let expected = [
            format!("{file}:2: lisen is no setting; did you mean `listen`? Else remove it"),
            format!("{file}:4: log_format has the wrong type; write a string or a whole number"),
            format!("{file}:3: partitions: \"0\" is not one; write a whole number from 1 to 16384"),
            "--program (GUERDON_PROGRAM, program) is not set; name at least one program file".to_owned(),
            "--listen: \"localhost\" is no address; write IP:PORT, such as 127.0.0.1:7060 or [::1]:7060; names are \
             not resolved"
                .to_owned(),
            "GUERDON_STORE: \"disk\" is not a choice; write `embedded`, `redis` or `memory`".to_owned(),
            "GUERDON_RECEIPT_KEEP_DAYS: \"6\" is not one; write a whole number from 7 to 3660".to_owned(),
        ];
        assert_eq!(found[..expected.len()], expected);
        assert!(found[expected.len()].starts_with("GUERDON_LOG_FILTER: \"a=b=c\" is no filter"), "{found:?}");
        assert!(found[expected.len() + 1].starts_with("--credentials (GUERDON_CREDENTIALS, credentials) is not set"));
        assert_eq!(found.len(), expected.len() + 2);
    }

    #[test]
    fn a_broken_or_missing_file_is_a_fault() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("guerdon.toml");
        fs::write(&path, "program = \"a.yaml\"\nlisten = = 1\n").expect("written");
        let file = path.display().to_string();
        let found = faults(&["--config", &file], &[]);
        assert!(found[0].starts_with(&format!("{file}:2 is not TOML: ")), "{found:?}");
        let missing = faults(&["--config", "no/such.toml", "--program", "a.yaml", "--insecure-dev"], &[]);
        assert!(missing[0].starts_with("--config: \"no/such.toml\" cannot be read: "), "{missing:?}");
    }

    #[test]
    fn secrets_show_themselves_neither_in_debug_nor_in_faults() {
        let url = ("GUERDON_REDIS_URL", "redis://shop:hunter2@cache:6379/0");
        let base = [("GUERDON_PROGRAM", "a.yaml"), ("GUERDON_STORE", "redis"), ("GUERDON_CREDENTIALS", "c.toml")];
        let settings = gather(&[], &[base[0], base[1], base[2], url]).expect("valid");
        assert!(!format!("{settings:?}").contains("hunter2"));
        let StoreSettings::Redis(redis) = &settings.store else { panic!("redis was asked for") };
        assert_eq!(redis.url.expose(), "redis://shop:hunter2@cache:6379/0");

        let wrong = ("GUERDON_REDIS_URL", "http://shop:hunter2@cache");
        let found = faults(&[], &[base[0], base[1], base[2], wrong]).join("\n");
        assert!(found.starts_with("GUERDON_REDIS_URL is no URL that fits"), "{found}");
        assert!(!found.contains("hunter2"), "{found}");
    }

    #[test]
    fn what_is_allowed_and_odd_gets_a_warning() {
        // settings                                                    the warning says
        for (pairs, expected) in [
            (&[("clock", "follow")][..], "THE CLOCK FOLLOWS"),
            (&[("store", "memory")], "everything is lost"),
            (&[("store", "memory"), ("data", "x.db")], "GUERDON_DATA has no effect"),
            (&[("listen", "0.0.0.0:7060")], "TLS is off"),
            (&[("service_host", "10.0.0.1")], "GUERDON_SERVICE_HOST is no setting"),
            (&[("trace_sample_permille", "5")], "while traces are off"),
        ] {
            let pairs: Vec<_> =
                pairs.iter().copied().chain([("program", "a.yaml"), ("credentials", "c.toml")]).collect();
            let warnings = Settings::of(&pairs).expect("valid").warnings;
            assert!(warnings.iter().any(|warning| warning.contains(expected)), "{expected}: {warnings:?}");
        }
        let quiet = Settings::of(&[("program", "a.yaml"), ("credentials", "c.toml")]).expect("valid");
        assert!(quiet.warnings.is_empty(), "{:?}", quiet.warnings);
        let loud = Settings::of(&[("program", "a.yaml"), ("insecure_dev", "yes")]).expect("valid").warnings;
        assert!(matches!(loud.as_slice(), [warning] if warning.starts_with("ANYBODY ON THIS MACHINE")), "{loud:?}");
    }

    #[test]
    fn metrics_and_grpc_do_not_share_a_port() {
        let found = faults(&["--program", "a.yaml", "--insecure-dev", "--metrics-listen", "127.0.0.1:7060"], &[]);
        assert_eq!(found, ["--metrics-listen: \"127.0.0.1:7060\" is where gRPC is served; choose another port"]);
    }

    #[test]
    fn the_defaults_are_those_of_the_parts() {
        use crate::store::redis::RedisSettings;

        let default = |setting: &Setting| setting.default.expect("a default").to_owned();
        assert_eq!(default(&NAMESPACE), RedisSettings::NAMESPACE_DEFAULT);
        assert_eq!(default(&STORE_TIMEOUT_MS), RedisSettings::RESPONSE_TIMEOUT_MS_DEFAULT.to_string());
        assert_eq!(default(&STORE_CONNECT_TIMEOUT_MS), RedisSettings::CONNECT_TIMEOUT_MS_DEFAULT.to_string());
        assert_eq!(default(&PARTITIONS), Layout::PARTITIONS_DEFAULT.to_string());
        let limits = Settings::of(&[("insecure_dev", "yes")]).expect("valid").limits;
        let service = crate::service::Options::default();
        assert_eq!(limits.cache_bytes_max, service.cache_bytes_max);
        assert_eq!(limits.calls_in_flight_max, service.writes_max);
        assert_eq!(limits.calls_per_account_max, service.writes_per_account_max);
        assert_eq!(limits.commit_attempts_max, service.attempts_max);
        assert_eq!(limits.receipt_keep_s, service.receipt_keep_s);
        assert_eq!(limits.relay_interval, service.relay_interval);
        assert_eq!(limits.sweep_interval, service.sweep_interval);
    }

    /// With `UPDATE=1` in the environment of the build it writes them anew.
    #[test]
    fn documentation_and_example_are_made_from_the_table() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for (path, made) in [("docs/SETTINGS.md", document()), ("config/guerdon.example.toml", example())] {
            let path = root.join(path);
            if option_env!("UPDATE").is_some() {
                fs::create_dir_all(path.parent().expect("a directory")).expect("created");
                fs::write(&path, &made).expect("written");
            }
            let found = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(found, made, "{} is stale: run `UPDATE=1 cargo test documentation_and`", path.display());
        }
    }

    #[test]
    fn the_example_file_is_accepted_as_it_is() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/guerdon.example.toml");
        let settings = gather(&["--config", file], &[]).expect("valid");
        assert_eq!(settings.programs, [PathBuf::from("examples/programs/marlow-bakery.yaml")]);
        // Every default in it, uncommented, is what the table says too.
        let dir = tempfile::tempdir().expect("a directory");
        let all = dir.path().join("all.toml");
        let uncommented = |line: &str| match line.strip_prefix("# ") {
            Some(rest) if SETTINGS.iter().any(|s| rest.starts_with(&format!("{} = ", s.key))) => rest.to_owned(),
            _ => line.to_owned(),
        };
        // What does not go with the rest of the example, which has credentials and no certificate.
        let alone = ["insecure_dev", "tls_client_ca"];
        let goes = |line: &String| !alone.iter().any(|key| line.starts_with(key));
        let text: Vec<String> = example().lines().map(uncommented).filter(goes).collect();
        fs::write(&all, text.join("\n")).expect("written");
        let all = gather(&["--config", &all.display().to_string()], &[]).expect("valid");
        assert_eq!((all.listen, all.limits, all.log), (settings.listen, settings.limits, settings.log));
    }

    #[test]
    fn f5_nobody_is_let_in_unless_the_settings_say_who() {
        let program = ["--program", "a.yaml"];
        // flags                                                                       the fault begins with, or none
        for (flags, expected) in [
            (&[][..], Some("--credentials (GUERDON_CREDENTIALS, credentials) is not set; name a file")),
            (&["--credentials", "c.toml"], None),
            (&["--credentials", "c.toml", "--listen", "0.0.0.0:7060"], None),
            (&["--insecure-dev"], None),
            (&["--insecure-dev=yes"], None),
            (&["--insecure-dev=no"], Some("--credentials (GUERDON_CREDENTIALS, credentials) is not set")),
            (&["--insecure-dev", "--listen", "[::1]:7060"], None),
            (
                &["--insecure-dev", "--listen", "0.0.0.0:7060"],
                Some("--insecure-dev does not go with listening on 0.0.0.0:7060"),
            ),
            (&["--insecure-dev", "--listen", "192.0.2.1:7060"], Some("--insecure-dev does not go with listening")),
            (&["--insecure-dev", "--credentials", "c.toml"], Some("--insecure-dev does not go with --credentials")),
            (&["--insecure-dev=maybe"], Some("--insecure-dev: \"maybe\" is not a choice")),
        ] {
            let found = gather(&[&program[..], flags].concat(), &[]);
            match (expected, found) {
                (None, Ok(_)) => {}
                (Some(expected), Err(Faults(faults))) if faults[0].to_string().starts_with(expected) => {}
                (expected, found) => panic!("{flags:?}: {expected:?} is not {found:?}"),
            }
        }
    }

    #[test]
    fn f5_tls_takes_a_certificate_and_its_key() {
        let base = [("program", "a.yaml"), ("credentials", "c.toml")];
        let (certificate, key, ca) = (("tls_certificate", "a.pem"), ("tls_key", "b.pem"), ("tls_client_ca", "c.pem"));
        for (pairs, fits) in [
            (&[][..], true),
            (&[certificate, key], true),
            (&[certificate, key, ca], true),
            (&[certificate], false),
            (&[key], false),
            (&[ca], false),
            (&[certificate, ca], false),
        ] {
            let settings = Settings::of(&[&base, pairs].concat());
            assert_eq!(settings.is_ok(), fits, "{pairs:?}: {settings:?}");
            assert_eq!(settings.is_ok_and(|settings| settings.tls.is_some()), fits && !pairs.is_empty(), "{pairs:?}");
        }
    }
}
