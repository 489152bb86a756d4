//! Which servers there are to connect to, and how: one, the one that sentinels name, or those of a cluster.

use std::time::Duration;

use ::redis::io::tcp::TcpSettings;
use ::redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    TlsCertificates,
};
use tracing::{debug, warn};

use super::{RedisSettings, SettingsError, Topology};

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// What connections are made from.
pub(super) struct Servers {
    /// The servers named by the settings, in their order: data servers, or sentinels.
    seeds: Vec<ConnectionInfo>,
    /// User, password and database of data servers.
    login: RedisConnectionInfo,
    tls: Option<TlsCertificates>,
}

impl Servers {
    /// Checks the settings; connects to nothing.
    pub(super) fn new(settings: &RedisSettings) -> Result<Servers, SettingsError> {
        // The driver's message may quote the URL and with it a password.
        let bad_url =
            || SettingsError { setting: "url", what: "is not a list of redis:// or rediss:// URLs of one kind" };
        let mut seeds = Vec::new();
        for url in settings.url.split(',').map(str::trim) {
            let info = url.into_connection_info().map_err(|_| bad_url())?;
            let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
            let tcp = TcpSettings::default().set_nodelay(true);
            seeds.push(info.set_redis_settings(redis).set_tcp_settings(tcp));
        }
        let encrypted = |info: &ConnectionInfo| matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let first = seeds.first().ok_or_else(bad_url)?;
        if seeds.iter().any(|seed| encrypted(seed) != encrypted(first)) {
            return Err(bad_url());
        }
        let login = first.redis_settings().clone();
        match &settings.topology {
            Topology::One if 1 < seeds.len() => {
                return Err(SettingsError {
                    setting: "url",
                    what: "names several servers, which only sentinels or a cluster are",
                });
            }
            Topology::Cluster if login.db() != 0 => {
                return Err(SettingsError {
                    setting: "url",
                    what: "names a database, and a cluster has only the first",
                });
            }
            Topology::Sentinel { master } if master.is_empty() => {
                return Err(SettingsError { setting: "sentinel_master", what: "is empty" });
            }
            Topology::One | Topology::Cluster | Topology::Sentinel { .. } => {}
        }
        let login = match &settings.topology {
            // The URLs say who one is to the sentinels.
            Topology::Sentinel { .. } => {
                let mut data = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(login.db());
                if let Some(login) = &settings.login {
                    data = data.set_password(&login.password);
                    if !login.user.is_empty() {
                        data = data.set_username(&login.user);
                    }
                }
                // A sentinel has no databases.
                seeds = seeds
                    .into_iter()
                    .map(|seed| {
                        let info = seed.redis_settings().clone().set_db(0);
                        seed.set_redis_settings(info)
                    })
                    .collect();
                data
            }
            Topology::One | Topology::Cluster => login,
        };
        let tls = settings.tls.as_ref().map(|tls| TlsCertificates {
            client_tls: tls.identity.as_ref().map(|identity| ClientTlsConfig {
                client_cert: identity.certificate.clone(),
                client_key: identity.key.clone(),
            }),
            root_cert: tls.ca.clone(),
        });
        let servers = Servers { seeds, login, tls };
        for seed in &servers.seeds {
            let what = "has certificates or a key that cannot be read, or that no rediss:// URL uses";
            servers.client(seed.clone()).map_err(|_| SettingsError { setting: "tls", what })?;
        }
        Ok(servers)
    }

    /// Where the named servers are.
    pub(super) fn named(&self) -> Vec<Address> {
        let address = |seed: &ConnectionInfo| match seed.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Some(Address { host: host.clone(), port: *port })
            }
            _ => None,
        };
        self.seeds.iter().filter_map(address).collect()
    }

    /// The only server named.
    pub(super) fn only(&self) -> Option<Client> {
        self.seeds.first().and_then(|seed| self.client(seed.clone()).ok())
    }

    /// The data server at an address that another server has named.
    pub(super) fn at(&self, address: &Address) -> Option<Client> {
        let seed = self.seeds.first()?.clone();
        let Address { host, port } = address.clone();
        let addr = match seed.addr() {
            ConnectionAddr::TcpTls { insecure, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: None }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        self.client(seed.set_addr(addr).set_redis_settings(self.login.clone())).ok()
    }

    /// Asks the sentinels, in their order, which server is the master now; `limit` for each.
    pub(super) async fn master(&self, name: &str, limit: Duration) -> Option<Client> {
        for seed in &self.seeds {
            let asked = async {
                let client = self.client(seed.clone()).ok()?;
                let answer = async {
                    let mut connection = client.get_multiplexed_async_connection().await?;
                    let mut ask = ::redis::cmd("SENTINEL");
                    ask.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
                    ask.query_async::<Option<(String, u16)>>(&mut connection).await
                };
                match answer.await {
                    Ok(Some((host, port))) => Some(Address { host, port }),
                    Ok(None) => {
                        warn!(store = "redis", master = name, "a sentinel knows no master `{name}`");
                        None
                    }
                    Err(error) => {
                        debug!(store = "redis", "a sentinel does not answer: {error}");
                        None
                    }
                }
            };
            if let Ok(Some(address)) = tokio::time::timeout(limit, asked).await {
                return self.at(&address);
            }
        }
        None
    }

    fn client(&self, info: ConnectionInfo) -> ::redis::RedisResult<Client> {
        match &self.tls {
            Some(tls) => Client::build_with_tls(info, tls.clone()),
            None => Client::open(info),
        }
    }
}
