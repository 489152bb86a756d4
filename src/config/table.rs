//! What can be set: one row a setting, from which flags, variables, file keys, the example file and the
//! documentation are made.

/// One setting and its three names.
#[derive(Debug)]
pub struct Setting {
    /// In the file; the flag is `--` and this with hyphens, the variable `GUERDON_` and this in upper case.
    pub key: &'static str,
    /// What the value is called in help: `ADDRESS`.
    pub value: &'static str,
    /// `None`: nothing is set, which the help explains.
    pub default: Option<&'static str>,
    pub help: &'static str,
    /// May be given several times; in a variable separated by commas.
    pub many: bool,
    /// Never shown.
    pub secret: bool,
    /// `yes` or `no`; the flag alone means `yes`.
    pub switch: bool,
}

impl Setting {
    const fn new(key: &'static str, value: &'static str, default: &'static str, help: &'static str) -> Setting {
        Setting { key, value, default: Some(default), help, many: false, secret: false, switch: false }
    }

    /// `--store-timeout-ms`
    pub fn flag(&self) -> String {
        format!("--{}", self.key.replace('_', "-"))
    }

    /// `GUERDON_STORE_TIMEOUT_MS`
    pub fn variable(&self) -> String {
        format!("{}{}", super::VARIABLE_PREFIX, self.key.to_uppercase())
    }
}

pub(super) const CONFIG: Setting = Setting {
    default: None,
    ..Setting::new(
        "config",
        "FILE",
        "",
        "A TOML file of settings, by the names shown in config/guerdon.example.toml. Flag and variable only.",
    )
};
pub(super) const PROGRAM: Setting = Setting {
    default: None,
    many: true,
    ..Setting::new(
        "program",
        "FILE",
        "",
        "A program to serve, one file for each program id; at least one. Checked before the server listens.",
    )
};
pub(super) const LISTEN: Setting = Setting::new(
    "listen",
    "ADDRESS",
    "127.0.0.1:7060",
    "Where gRPC is served, as IP:PORT. Without TLS, keep it where nobody else reads what is sent.",
);
pub(super) const METRICS_LISTEN: Setting = Setting::new(
    "metrics_listen",
    "ADDRESS",
    "off",
    "Where Prometheus finds the metrics over HTTP, as IP:PORT, or `off`. Customary: 127.0.0.1:7061.",
);
pub(super) const STORE: Setting = Setting::new(
    "store",
    "KIND",
    "embedded",
    "Where state lives: `embedded` (one file, one instance), `redis` (several instances) or `memory` (gone at exit).",
);
pub(super) const DATA: Setting = Setting::new(
    "data",
    "FILE",
    "guerdon.db",
    "The file of the embedded store, in a directory that exists; created when missing.",
);
pub(super) const REDIS_URL: Setting = Setting {
    secret: true,
    ..Setting::new(
        "redis_url",
        "URL",
        "redis://127.0.0.1:6379/0",
        "Which Redis, as redis://[user:password@]host[:port][/database], or rediss:// for TLS. With sentinels or a cluster several of them, separated by commas. May hold a password: prefer the variable, a flag shows in the list of processes.",
    )
};
pub(super) const REDIS_TOPOLOGY: Setting = Setting::new(
    "redis_topology",
    "KIND",
    "one",
    "What the URLs name: `one` server, `sentinel` (they know where the master is) or `cluster` (some of its nodes).",
);
pub(super) const REDIS_MASTER: Setting = Setting::new(
    "redis_master",
    "NAME",
    "mymaster",
    "What sentinels call the master. Only with `redis_topology = \"sentinel\"`.",
);
pub(super) const REDIS_LOGIN: Setting = Setting {
    secret: true,
    ..Setting::new(
        "redis_login",
        "USER:PASSWORD",
        "none",
        "Who this is to the servers behind sentinels, or `none`; the URLs say who it is to the sentinels. Prefer the variable.",
    )
};
pub(super) const REDIS_CA: Setting = Setting::new(
    "redis_ca",
    "FILE",
    "system",
    "Who signs the certificates of rediss:// servers, as a PEM file, or `system`: whom the machine trusts.",
);
pub(super) const REDIS_CERTIFICATE: Setting = Setting::new(
    "redis_certificate",
    "FILE",
    "none",
    "The certificate to show to rediss:// servers, as a PEM file, or `none`. Goes with `redis_key`.",
);
pub(super) const REDIS_KEY: Setting =
    Setting::new("redis_key", "FILE", "none", "The private key of `redis_certificate`, as a PEM file, or `none`.");
pub(super) const DURABILITY: Setting = Setting::new(
    "durability",
    "LEVEL",
    "store",
    "What is certain of a write that was answered, on Redis: `store` (what Redis promises as it is configured), `replicated` (besides, `replicas` of its replicas have it) or `journaled` (besides, it is on this machine's disk, in `journal_dir`, and brought back should Redis lose it).",
);
pub(super) const REPLICAS: Setting = Setting::new(
    "replicas",
    "COUNT",
    "1",
    "With `durability = \"replicated\"`: how many replicas have a write before it is answered, 1 to 5. Fewer within `store_timeout_ms`: OUTCOME_UNKNOWN.",
);
pub(super) const JOURNAL_DIR: Setting = Setting::new(
    "journal_dir",
    "DIRECTORY",
    "none",
    "With `durability = \"journaled\"`, which needs it: where this instance keeps its journal, in a directory of its own that is there again when it restarts; made when missing.",
);
pub(super) const JOURNAL_BYTES_MAX: Setting = Setting::new(
    "journal_bytes_max",
    "BYTES",
    "4294967296",
    "How large the journal may be, 1048576 to 1099511627776; what does not fit is answered STORE_UNAVAILABLE, never acknowledged.",
);
pub(super) const JOURNAL_KEEP_S: Setting = Setting::new(
    "journal_keep_s",
    "SECONDS",
    "60",
    "How long the journal keeps what Redis and its connected replicas say they have on disk, 2 to 86400; longer where they do not say so.",
);
pub(super) const JOURNAL_WAIT_S: Setting = Setting::new(
    "journal_wait_s",
    "SECONDS",
    "10",
    "After Redis restarts or another master serves: how long an instance that was there a moment ago and is gone is waited for, with what it has in its journal, 1 to 600.",
);
pub(super) const NAMESPACE: Setting = Setting::new(
    "namespace",
    "NAME",
    "g1",
    "First part of every key in Redis, so that deployments may share one: 1 to 32 of a-z, 0-9, `-` and `_`. Fixed once there is data.",
);
pub(super) const PARTITIONS: Setting = Setting::new(
    "partitions",
    "COUNT",
    "4096",
    "How many partitions accounts are spread over, 1 to 16384. Fixed once there is data; all instances must agree.",
);
pub(super) const CLOCK: Setting = Setting::new(
    "clock",
    "KIND",
    "system",
    "`system`, or `follow`: the time is what requests say it is, for replays of the past; what falls due and what is on its way to other accounts is then seen to by `SimulationService.EndDay` alone. Never for real customers.",
);
pub(super) const STORE_TIMEOUT_MS: Setting = Setting::new(
    "store_timeout_ms",
    "MS",
    "500",
    "How long one answer of Redis may take, 1 to 60000. A write that took longer answers OUTCOME_UNKNOWN.",
);
pub(super) const STORE_CONNECT_TIMEOUT_MS: Setting =
    Setting::new("store_connect_timeout_ms", "MS", "250", "How long connecting to Redis may take, 1 to 60000.");
pub(super) const CALL_DEADLINE_MS_DEFAULT: Setting = Setting::new(
    "call_deadline_ms_default",
    "MS",
    "2000",
    "How long a call may take whose caller states no deadline, 1 to 600000.",
);
pub(super) const WORKER_THREADS: Setting = Setting::new(
    "worker_threads",
    "COUNT",
    "auto",
    "Threads that work on calls, 1 to 1024; auto: one for each core. Stores have threads of their own besides. Where Redis shares the machine, fewer take less of it up to some load, and are sooner at their end (docs/PERFORMANCE.md, \"One thread for calls\").",
);
pub(super) const CALLS_IN_FLIGHT_MAX: Setting = Setting::new(
    "calls_in_flight_max",
    "COUNT",
    "4096",
    "Calls worked on at once, reads and waiting writes included, 1 to 100000; one more is answered RESOURCE_EXHAUSTED.",
);
pub(super) const CALLS_WAITING_PER_CORE_MAX: Setting = Setting::new(
    "calls_waiting_per_core_max",
    "COUNT",
    "64",
    "Calls that may wait for each core to come to them (for each of `worker_threads`, if those are fewer), 2 to 10000; eight times as many in a burst, and between a quarter and all of them while they come faster than they can be worked on. Others are answered RESOURCE_EXHAUSTED before they are read.",
);
pub(super) const CALLS_PER_ACCOUNT_MAX: Setting = Setting::new(
    "calls_per_account_max",
    "COUNT",
    "256",
    "Writes that may wait for one account, 1 to 10000; the next one is answered RESOURCE_EXHAUSTED.",
);
pub(super) const COMMIT_ATTEMPTS_MAX: Setting = Setting::new(
    "commit_attempts_max",
    "COUNT",
    "16",
    "How often a write is decided anew because another instance wrote first, 1 to 100; then it is answered ABORTED.",
);
pub(super) const CACHE_BYTES_MAX: Setting = Setting::new(
    "cache_bytes_max",
    "BYTES",
    "268435456",
    "Memory for recent accounts, 0 to 1099511627776; an account in it commits in one trip to the store instead of two.",
);
pub(super) const RECEIPT_KEEP_DAYS: Setting = Setting::new(
    "receipt_keep_days",
    "DAYS",
    "14",
    "How long a request id is remembered, 7 to 3660. Orders and returns are kept from happening twice for good.",
);
pub(super) const RELAY_INTERVAL_MS: Setting = Setting::new(
    "relay_interval_ms",
    "MS",
    "2000",
    "How often all partitions are searched for effects that wait for other members, 10 to 60000. Those of this instance go out at once.",
);
pub(super) const SWEEP_INTERVAL_MS: Setting = Setting::new(
    "sweep_interval_ms",
    "MS",
    "5000",
    "How often what fell due is looked for, 100 to 3600000. Answers never depend on it. Off when the clock follows.",
);
pub(super) const DRAIN_LIMIT_S: Setting = Setting::new(
    "drain_limit_s",
    "SECONDS",
    "20",
    "How long a shutdown waits for commits under way, 1 to 3600, and for calls three quarters of that; then it cuts them and exits 1.",
);
pub(super) const LOG_FORMAT: Setting =
    Setting::new("log_format", "FORMAT", "text", "`text` for people or `json` for machines; on standard error.");
pub(super) const LOG_FILTER: Setting = Setting::new(
    "log_filter",
    "FILTER",
    "info",
    "What is logged: a level, or levels by module, such as `info,guerdon::service=debug`.",
);
pub(super) const OTLP_ENDPOINT: Setting = Setting {
    secret: true,
    ..Setting::new(
        "otlp_endpoint",
        "URL",
        "off",
        "Where traces go over OTLP/gRPC, such as http://127.0.0.1:4317, or `off`. Traces continue those of callers (W3C `traceparent`).",
    )
};
pub(super) const TRACE_SAMPLE_PERMILLE: Setting = Setting::new(
    "trace_sample_permille",
    "PERMILLE",
    "1000",
    "Of a thousand traces that no caller began, how many are sent, 0 to 1000. Callers decide for theirs.",
);

pub(super) const DRAW_SEEDS: Setting = Setting {
    secret: true,
    ..Setting::new(
        "draw_seeds",
        "SEEDS",
        "none",
        "The secret seeds of prize draws, separated by commas: 32 to 128 hexadecimal digits each. Each belongs to the draw whose commitment is its SHA-256; a draw without its seed gives nothing. Prefer the variable: a flag shows in the list of processes.",
    )
};

pub(super) const CREDENTIALS: Setting = Setting {
    default: None,
    ..Setting::new(
        "credentials",
        "FILE",
        "",
        "Who may call: keys (as hashes), client certificates, issuers of tokens; see docs/ACCESS.md. Required, unless `insecure_dev` is set. Read again when it changes and on SIGHUP.",
    )
};
pub(super) const INSECURE_DEV: Setting = Setting {
    switch: true,
    ..Setting::new(
        "insecure_dev",
        "YES/NO",
        "no",
        "Lets everybody do everything, without credentials: for development on one's own machine. Then the server listens on loopback only.",
    )
};
pub(super) const TLS_CERTIFICATE: Setting = Setting {
    default: None,
    ..Setting::new(
        "tls_certificate",
        "FILE",
        "",
        "The server's certificate with what leads to its authority, as PEM; with `tls_key` it turns TLS on. Read at the start.",
    )
};
pub(super) const TLS_KEY: Setting =
    Setting { default: None, ..Setting::new("tls_key", "FILE", "", "The private key of `tls_certificate`, as PEM.") };
pub(super) const TLS_CLIENT_CA: Setting = Setting {
    default: None,
    ..Setting::new(
        "tls_client_ca",
        "FILE",
        "",
        "Authorities of client certificates, as PEM: clients that show one are known by it (docs/ACCESS.md). Needs TLS.",
    )
};
pub(super) const QUOTE_KEYS: Setting = Setting {
    secret: true,
    ..Setting::new(
        "quote_keys",
        "KEYS",
        "stored",
        "The secret keys of quote tokens and of page tokens of ledgers, separated by commas: 32 to 128 hexadecimal digits each; the first signs, all are known, so put a new one first and drop the old one a day later. `stored`: one that is made by itself and kept in the store for all instances. Prefer the variable: a flag shows in the list of processes.",
    )
};
pub(super) const SIGNAL_KEYS: Setting = Setting {
    secret: true,
    ..Setting::new(
        "signal_keys",
        "KEYS",
        "stored",
        "The secret keys by which signals of people (e-mail, telephone, device...) are hashed, separated by commas: 32 to 128 hexadecimal digits each; what is new is hashed under the first, all are compared, so put a new one first and keep the old one for as long as what it has hashed is to be recognised. `stored`: one that is made by itself and kept in the store for all instances. Prefer the variable: a flag shows in the list of processes.",
    )
};

/// All of them, in the order of documentation.
pub const SETTINGS: &[&Setting] = &[
    &CONFIG,
    &PROGRAM,
    &LISTEN,
    &METRICS_LISTEN,
    &STORE,
    &DATA,
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
    &PARTITIONS,
    &CLOCK,
    &STORE_TIMEOUT_MS,
    &STORE_CONNECT_TIMEOUT_MS,
    &CALL_DEADLINE_MS_DEFAULT,
    &WORKER_THREADS,
    &CALLS_IN_FLIGHT_MAX,
    &CALLS_WAITING_PER_CORE_MAX,
    &CALLS_PER_ACCOUNT_MAX,
    &COMMIT_ATTEMPTS_MAX,
    &CACHE_BYTES_MAX,
    &RECEIPT_KEEP_DAYS,
    &RELAY_INTERVAL_MS,
    &SWEEP_INTERVAL_MS,
    &DRAIN_LIMIT_S,
    &LOG_FORMAT,
    &LOG_FILTER,
    &OTLP_ENDPOINT,
    &TRACE_SAMPLE_PERMILLE,
    &DRAW_SEEDS,
    &CREDENTIALS,
    &INSECURE_DEV,
    &TLS_CERTIFICATE,
    &TLS_KEY,
    &TLS_CLIENT_CA,
    &QUOTE_KEYS,
    &SIGNAL_KEYS,
];

/// `docs/SETTINGS.md`.
pub fn document() -> String {
    let mut text = String::from(
        "# Settings\n\n\
         `guerdon serve` takes each setting as a flag, as a variable of the environment or from the file that\n\
         `--config` names; a flag wins over a variable, a variable over the file, the file over the default. All\n\
         faults are reported at once, before a port is bound, and the process exits with code 64. A key in the file\n\
         that is no setting is a fault. Numbers may be written with `_` between digits. Paths are relative to the\n\
         working directory. This page is made from the table in `src/config/table.rs`; a test keeps it true.\n\n\
         | Flag | Variable | Key | Default | Meaning |\n|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let key = if setting.key == CONFIG.key { String::new() } else { format!("`{}`", setting.key) };
        let default = setting.default.map(|default| format!("`{default}`")).unwrap_or_default();
        let (flag, variable) = (setting.flag(), setting.variable());
        let row = format!("| `{flag} {}` | `{variable}` | {key} | {default} | {} |\n", setting.value, setting.help);
        text.push_str(&row);
    }
    text
}

/// `config/guerdon.example.toml`: every key with its default, commented out.
pub fn example() -> String {
    let mut text =
        String::from("# Settings of `guerdon serve --config FILE`. What is commented out shows the default.\n");
    for setting in SETTINGS.iter().filter(|setting| setting.key != CONFIG.key) {
        let value = setting.default.unwrap_or_default();
        let number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let line = match (setting.many, number) {
            _ if setting.key == CREDENTIALS.key => format!("{} = \"credentials.toml\"", setting.key),
            _ if setting.default.is_none() && !setting.many => format!("# {} = \"{}.pem\"", setting.key, setting.key),
            (true, _) => format!("{} = [\"examples/programs/marlow-bakery.yaml\"]", setting.key),
            (false, true) => format!("# {} = {value}", setting.key),
            (false, false) => format!("# {} = {value:?}", setting.key),
        };
        text.push_str(&format!("\n# {}\n{line}\n", setting.help));
    }
    text
}
