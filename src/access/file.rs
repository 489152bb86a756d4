//! The credentials file: who exists, by what they are known, what they may do.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConditionallySelectable;
use webpki::EndEntityCert;

use super::key::{ApiKey, KeyHash};
use super::rate::{Limiter, Rate};
use super::token::{self, Issuer};
use super::{Bearer, Denied, Presented, Principal, Programs, Role};
use crate::domain::id::{Label, ProgramId};

const FILE_BYTES_MAX: u64 = 1 << 20;
/// All are compared with what comes, so there are not more than a deployment needs.
const CREDENTIALS_MAX: usize = 256;
const PROGRAMS_MAX: usize = 64;
const CALLS_PER_SECOND_MAX: u32 = 1_000_000;

/// Everybody who is let in, as one file says it.
pub struct Credentials {
    keys: Vec<(KeyHash, Arc<Principal>)>,
    /// By a name in the certificate.
    certificates: Vec<(String, Arc<Principal>)>,
    issuer: Option<Issuer>,
    digest: [u8; 32],
}

/// Everything that is wrong with a credentials file; at least one thing. Holds nothing secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Faults {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    keys: Vec<KeyEntry>,
    #[serde(default)]
    certificates: Vec<CertificateEntry>,
    tokens: Option<TokensEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    name: String,
    sha256: String,
    roles: Vec<String>,
    programs: Vec<String>,
    agent: Option<String>,
    calls_per_second: Option<u32>,
    calls_burst: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CertificateEntry {
    name: String,
    /// A DNS name or URI among the certificate's alternative names.
    san: String,
    roles: Vec<String>,
    programs: Vec<String>,
    agent: Option<String>,
    calls_per_second: Option<u32>,
    calls_burst: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensEntry {
    issuer: String,
    audience: String,
    roles: Vec<String>,
    programs: Vec<String>,
    calls_per_second: Option<u32>,
    calls_burst: Option<u32>,
    keys: Vec<TokenKeyEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenKeyEntry {
    kid: String,
    algorithm: String,
    /// A PEM file, beside the credentials file unless the path says otherwise.
    public_key: String,
}

impl Credentials {
    /// Reads the file, and the public keys that it names.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn read(path: &Path) -> Result<Credentials, Faults> {
        let name = path.display();
        let text = read(path).map_err(|problem| Faults(vec![format!("{name} {problem}")]))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Credentials::parse(&text, &|file| read(&folder.join(file)))
            .map_err(|Faults(faults)| Faults(faults.into_iter().map(|fault| format!("{name}: {fault}")).collect()))
    }

    /// From text; `open` gives the files that it names.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn parse(text: &str, open: &dyn Fn(&str) -> Result<String, String>) -> Result<Credentials, Faults> {
        // What the parser says may quote the text, which may be a key that somebody pasted in.
        let document: Document = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
            let has_key = error.message().contains(ApiKey::PREFIX);
            let problem =
                if has_key { "a key stands here: only its hash belongs in this file" } else { error.message() };
            Faults(vec![format!("line {line}: {problem}")])
        })?;
        let mut faults = Vec::new();
        let mut digest = Sha256::new_with_prefix(text);
        let mut names = BTreeSet::new();
        let Document { keys: key_entries, certificates: certificate_entries, tokens } = document;
        if key_entries.is_empty() && certificate_entries.is_empty() && tokens.is_none() {
            faults.push("nobody is named: add [[keys]], [[certificates]] or [tokens]".to_owned());
        }
        if CREDENTIALS_MAX < key_entries.len() + certificate_entries.len() {
            faults.push(format!("at most {CREDENTIALS_MAX} keys and certificates are allowed"));
        }
        let mut keys: Vec<(KeyHash, Arc<Principal>)> = Vec::new();
        for entry in key_entries {
            let at = At(format!("key `{}`", shown(&entry.name)));
            let may = May(&entry.roles, &entry.programs, &entry.agent, entry.calls_per_second, entry.calls_burst);
            let principal = at.principal(&mut faults, &mut names, &entry.name, may);
            let Some(hash) = KeyHash::parse(&entry.sha256) else {
                faults
                    .push(format!("{at}: `sha256` is no hash: 64 hexadecimal digits, as `guerdon key new` gives them"));
                continue;
            };
            if keys.iter().any(|(other, _)| bool::from(other.same(&hash))) {
                faults.push(format!("{at}: `sha256` is that of another key too"));
            }
            keys.extend(principal.map(|principal| (hash, principal)));
        }
        let mut certificates: Vec<(String, Arc<Principal>)> = Vec::new();
        for entry in certificate_entries {
            let at = At(format!("certificate `{}`", shown(&entry.name)));
            let may = May(&entry.roles, &entry.programs, &entry.agent, entry.calls_per_second, entry.calls_burst);
            let principal = at.principal(&mut faults, &mut names, &entry.name, may);
            if entry.san.is_empty() || certificates.iter().any(|(san, _)| *san == entry.san) {
                faults.push(format!("{at}: `san` must be a DNS name or URI that no other entry has"));
            }
            certificates.extend(principal.map(|principal| (entry.san, principal)));
        }
        let issuer = tokens.and_then(|entry| issuer(entry, open, &mut faults, &mut digest));
        if faults.is_empty() {
            Ok(Credentials { keys, certificates, issuer, digest: digest.finalize().into() })
        } else {
            Err(Faults(faults))
        }
    }

    /// Of all that was read: it changes when any of that does.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Goes on counting where `before` stopped, for those who may call as often as then.
    pub(super) fn with_rates_of(mut self, before: &Credentials) -> Credentials {
        let earlier = || before.keys.iter().map(|(_, who)| who).chain(before.certificates.iter().map(|(_, who)| who));
        let now = self.keys.iter_mut().map(|(_, who)| who).chain(self.certificates.iter_mut().map(|(_, who)| who));
        for who in now {
            let same = earlier().find(|other| other.name == who.name && other.rate() == who.rate());
            if let Some(other) = same {
                *who = Arc::new(Principal { limiter: other.limiter.clone(), ..Principal::clone(who) });
            }
        }
        self.issuer = match (self.issuer, &before.issuer) {
            (Some(issuer), Some(before)) => Some(issuer.with_rates_of(before)),
            (issuer, _) => issuer,
        };
        self
    }

    /// Who calls. A header that is there counts alone: a certificate does not make up for a wrong key.
    pub(super) fn principal(&self, presented: Presented<'_>) -> Result<Arc<Principal>, Denied> {
        match (presented.bearer, presented.certificate) {
            (Bearer::Unreadable, _) => Err(Denied::NotAccepted),
            (Bearer::Text(key), _) if key.starts_with(ApiKey::PREFIX) => self.of_key(key).ok_or(Denied::NotAccepted),
            (Bearer::Text(token), _) => {
                let principal = self.issuer.as_ref().and_then(|issuer| issuer.principal(token));
                principal.map(Arc::new).ok_or(Denied::NotAccepted)
            }
            (Bearer::None, Some(certificate)) => self.of_certificate(certificate).ok_or(Denied::NotAccepted),
            (Bearer::None, None) => Err(Denied::NoCredential),
        }
    }

    /// Compares with all of them, whichever fits: how long it takes tells nothing.
    fn of_key(&self, key: &str) -> Option<Arc<Principal>> {
        let hash = KeyHash::of(key);
        let none = u32::MAX;
        let found = self
            .keys
            .iter()
            .zip(0_u32..)
            .fold(none, |found, ((known, _), index)| u32::conditional_select(&found, &index, known.same(&hash)));
        if found == none {
            return None;
        }
        let index = usize::try_from(found).ok()?;
        self.keys.get(index).map(|(_, principal)| Arc::clone(principal))
    }

    fn of_certificate(&self, der: &[u8]) -> Option<Arc<Principal>> {
        if self.certificates.is_empty() {
            return None;
        }
        let der = CertificateDer::from(der);
        let certificate = EndEntityCert::try_from(&der).ok()?;
        // An authority may be bound to names of one kind alone: a host name that stands where a URI should is none.
        let uris = || certificate.valid_uri_names().filter(|uri| uri.contains(':'));
        let names = || certificate.valid_dns_names().chain(uris());
        let known = self.certificates.iter().find(|(san, _)| names().any(|name| name == san));
        known.map(|(_, principal)| Arc::clone(principal))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (keys, certificates) = (self.keys.len(), self.certificates.len());
        f.debug_struct("Credentials").field("keys", &keys).field("certificates", &certificates).finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<String, String> {
    let meta = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !meta.is_file() || FILE_BYTES_MAX < meta.len() {
        return Err(format!("is not a file of at most {FILE_BYTES_MAX} bytes"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}

/// So much of a name that is wrong, for the message.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(Label::LEN_MAX).collect()
}

/// The entry that a fault is in.
struct At(String);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Roles, programs, agent, calls per second, burst.
struct May<'a>(&'a [String], &'a [String], &'a Option<String>, Option<u32>, Option<u32>);

impl At {
    fn principal(
        &self,
        faults: &mut Vec<String>,
        names: &mut BTreeSet<String>,
        name: &str,
        May(role_names, program_names, agent, calls_per_second, calls_burst): May<'_>,
    ) -> Option<Arc<Principal>> {
        let before = faults.len();
        if let Err(error) = Label::parse(name) {
            faults.push(format!("{self}: `name` {error}"));
        }
        if !names.insert(name.to_owned()) {
            faults.push(format!("{self}: the name is used before"));
        }
        let roles = roles(role_names).map_err(|problem| faults.push(format!("{self}: {problem}"))).ok();
        let programs = programs(program_names).map_err(|problem| faults.push(format!("{self}: {problem}"))).ok();
        let rate =
            rate(calls_per_second, calls_burst).map_err(|problem| faults.push(format!("{self}: {problem}"))).ok();
        let agent = agent.as_deref().map(Label::parse).transpose();
        let agent = agent.map_err(|error| faults.push(format!("{self}: `agent` {error}"))).ok();
        if faults.len() != before {
            return None;
        }
        let limiter = rate?.map(|rate| Arc::new(Limiter::new(rate)));
        Some(Arc::new(Principal { name: name.into(), roles: roles?, programs: programs?, agent: agent?, limiter }))
    }
}

fn roles(names: &[String]) -> Result<Vec<Role>, String> {
    let roles: Option<Vec<Role>> = names.iter().map(|name| Role::parse(name)).collect();
    roles.filter(|roles| !roles.is_empty()).ok_or_else(|| {
        let known: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
        format!("`roles` must name one or more of {}", known.join(", "))
    })
}

/// One or more ids, or `*` alone.
pub(super) fn programs(names: &[String]) -> Result<Programs, String> {
    if let [name] = names
        && name == "*"
    {
        return Ok(Programs::Every);
    }
    let problem = || format!("`programs` must list 1 to {PROGRAMS_MAX} program ids, or be [\"*\"] for every program");
    let programs: Result<Vec<ProgramId>, _> = names.iter().map(|name| ProgramId::parse(name)).collect();
    match programs {
        Ok(programs) if (1..=PROGRAMS_MAX).contains(&programs.len()) => Ok(Programs::Only(programs)),
        Ok(_) | Err(_) => Err(problem()),
    }
}

fn rate(calls_per_second: Option<u32>, calls_burst: Option<u32>) -> Result<Option<Rate>, String> {
    let bounded = |name: &str, number: u32| {
        let number = NonZeroU32::new(number).filter(|number| number.get() <= CALLS_PER_SECOND_MAX);
        number.ok_or_else(|| format!("`{name}` must be 1 to {CALLS_PER_SECOND_MAX}"))
    };
    match (calls_per_second, calls_burst) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err("`calls_burst` needs `calls_per_second`".to_owned()),
        (Some(per_second), burst) => Ok(Some(Rate {
            per_second: bounded("calls_per_second", per_second)?,
            burst: bounded("calls_burst", burst.unwrap_or(per_second))?,
        })),
    }
}

fn issuer(
    entry: TokensEntry,
    open: &dyn Fn(&str) -> Result<String, String>,
    faults: &mut Vec<String>,
    digest: &mut Sha256,
) -> Option<Issuer> {
    let before = faults.len();
    let at = "[tokens]";
    if entry.issuer.is_empty() || entry.audience.is_empty() {
        faults.push(format!("{at}: `issuer` and `audience` must not be empty"));
    }
    let roles = roles(&entry.roles).map_err(|problem| faults.push(format!("{at}: {problem}"))).ok();
    let programs = programs(&entry.programs).map_err(|problem| faults.push(format!("{at}: {problem}"))).ok();
    let rate = rate(entry.calls_per_second, entry.calls_burst);
    let rate = rate.map_err(|problem| faults.push(format!("{at}: {problem}"))).ok();
    if entry.keys.is_empty() {
        faults.push(format!("{at}: at least one [[tokens.keys]] is needed"));
    }
    let mut keys: Vec<token::Key> = Vec::new();
    for TokenKeyEntry { kid, algorithm, public_key } in entry.keys {
        let at = format!("{at} key `{}`", shown(&kid));
        if keys.iter().any(|key| key.kid == kid) {
            faults.push(format!("{at}: the `kid` is used before"));
        }
        let Some(algorithm) = token::algorithm(&algorithm) else {
            faults.push(format!("{at}: `algorithm` must be ES256, RS256 or EdDSA"));
            continue;
        };
        let pem = match open(&public_key) {
            Ok(pem) => pem,
            Err(problem) => {
                faults.push(format!("{at}: {} {problem}", shown(&public_key)));
                continue;
            }
        };
        digest.update(&pem);
        match token::public_key(algorithm, pem.as_bytes()) {
            Ok(key) => keys.push(token::Key { kid, algorithm, key }),
            Err(_) => faults.push(format!("{at}: {} is no public key (PEM) of that kind", shown(&public_key))),
        }
    }
    if faults.len() != before {
        return None;
    }
    Some(Issuer::new(entry.issuer, entry.audience, keys, roles?, programs?, rate?))
}
