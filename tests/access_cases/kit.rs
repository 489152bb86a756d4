//! Servers with credentials, and keys for every role.

use std::fmt::Write as _;

use guerdon::access::{KeyHash, Role};
use guerdon::app::Server;
use guerdon::config::Settings;
use tempfile::TempDir;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt;

pub(crate) const BAKERY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/programs/marlow-bakery.yaml");

/// What its owner sends: as long as a real one, and easily told apart.
pub(crate) fn key_of(name: &str) -> String {
    format!("gdn_{name:_>64}")
}

/// The lines of the credentials file for a key.
pub(crate) fn entry(name: &str, roles: &[Role], programs: &[&str], more: &str) -> String {
    let quoted = |names: Vec<&str>| format!("{names:?}");
    let roles = quoted(roles.iter().map(|role| role.name()).collect());
    let (hash, programs) = (KeyHash::of(&key_of(name)), quoted(programs.to_vec()));
    format!("[[keys]]\nname = \"{name}\"\nsha256 = \"{hash}\"\nroles = {roles}\nprograms = {programs}\n{more}\n")
}

/// A key for each role, named like it.
pub(crate) fn one_for_each_role(programs: &[&str]) -> String {
    Role::ALL.iter().fold(String::new(), |mut text, role| {
        writeln!(text, "{}", entry(role.name(), &[*role], programs, "")).unwrap();
        text
    })
}

/// A server with its files.
pub(crate) struct Guarded {
    pub(crate) server: Server,
    pub(crate) channel: Channel,
    pub(crate) dir: TempDir,
}

impl Guarded {
    pub(crate) async fn start(credentials: &str, pairs: &[(&str, &str)]) -> Guarded {
        let dir = tempfile::tempdir().unwrap();
        Guarded::start_in(dir, credentials, pairs).await
    }

    pub(crate) async fn start_in(dir: TempDir, credentials: &str, pairs: &[(&str, &str)]) -> Guarded {
        let file = dir.path().join("credentials.toml");
        std::fs::write(&file, credentials).unwrap();
        let name = file.display().to_string();
        // Two programs that differ in nothing but their name.
        let rival = dir.path().join("rival.yaml");
        let text = std::fs::read_to_string(BAKERY).unwrap();
        std::fs::write(&rival, text.replace("program: marlow-bakery", "program: rival")).unwrap();
        let programs = format!("{BAKERY},{}", rival.display());
        let base =
            [("listen", "127.0.0.1:0"), ("store", "memory"), ("program", &*programs), ("credentials", name.as_str())];
        let settings = Settings::of(&[&base, pairs].concat()).unwrap();
        let server = Server::start(settings).await.unwrap();
        let channel = Endpoint::from_shared(format!("http://{}", server.addr())).unwrap().connect_lazy();
        Guarded { server, channel, dir }
    }
}

/// The reason that an error gives.
pub(crate) fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, guerdon::grpc::ERROR_DOMAIN);
    info.reason
}
