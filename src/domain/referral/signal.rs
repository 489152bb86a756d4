//! What tells that an advocate and a friend are one person: e-mail, telephone, device and the like, compared as keyed
//! hashes. What was sent is brought to one form, hashed, and dropped; nobody who reads the store can tell what it was.
//!
//! Keys have ids. What is written is hashed under the first key; what is compared is hashed under all of them, so what an
//! older key has hashed still matches while that key is known.

use std::fmt;

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::super::draw::{bytes_of, hmac_sha256};
use super::super::id::ProgramId;
use super::super::ledger::digest;

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum SignalKind {
    /// The address, whatever its case.
    Email,
    /// The mailbox that it reaches by the ways in which providers let people vary it.
    Mailbox,
    Phone,
    Device,
    PaymentInstrument,
    Address,
    /// Never the network address alone: an office is one.
    IpWithUserAgent,
}

impl SignalKind {
    pub const ALL: [SignalKind; 7] = [
        SignalKind::Email,
        SignalKind::Mailbox,
        SignalKind::Phone,
        SignalKind::Device,
        SignalKind::PaymentInstrument,
        SignalKind::Address,
        SignalKind::IpWithUserAgent,
    ];

    /// Part of what is hashed: never change one.
    fn name(self) -> &'static str {
        match self {
            SignalKind::Email => "email",
            SignalKind::Mailbox => "mailbox",
            SignalKind::Phone => "phone",
            SignalKind::Device => "device",
            SignalKind::PaymentInstrument => "payment",
            SignalKind::Address => "address",
            SignalKind::IpWithUserAgent => "ip-ua",
        }
    }
}

/// Hashes signals. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SignalKey(Box<[u8]>);

impl fmt::Debug for SignalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(key)")
    }
}

impl SignalKey {
    pub const LEN_MIN: usize = 16;
    pub const LEN_MAX: usize = 64;

    /// `None`: not [`SignalKey::LEN_MIN`] to [`SignalKey::LEN_MAX`] bytes.
    pub fn of(bytes: &[u8]) -> Option<SignalKey> {
        (SignalKey::LEN_MIN..=SignalKey::LEN_MAX).contains(&bytes.len()).then(|| SignalKey(bytes.into()))
    }

    /// From hexadecimal digits, two a byte.
    pub fn parse(hex: &str) -> Option<SignalKey> {
        SignalKey::of(&bytes_of(hex)?)
    }

    /// Names the key beside what it has hashed; tells nothing of it.
    fn id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = digest(&hmac_sha256(&self.0, b"guerdon signal key id"));
        [a, b, c, d]
    }
}

/// A signal as it is kept and compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct SignalHash {
    pub kind: SignalKind,
    /// Of the key.
    pub key: [u8; 4],
    pub hash: [u8; 16],
}

/// As sent: personal, shown by no `Debug`, and gone once it is hashed. Empty parts were not sent.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RawSignals {
    pub email: String,
    pub phone: String,
    pub device_id: String,
    pub payment_instrument: String,
    pub address: String,
    pub ip: String,
    pub user_agent: String,
    /// The host of the site that linked.
    pub referrer: String,
}

impl fmt::Debug for RawSignals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(signals)")
    }
}

/// What was sent of a person, hashed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct HashedSignals {
    /// Under all keys.
    pub known_as: Vec<SignalHash>,
    /// Under the key that writes: what is kept.
    pub kept: Vec<SignalHash>,
    /// Of the e-mail, in lower case; looked at and not kept.
    pub email_domain: Option<String>,
    /// In lower case; looked at and not kept.
    pub referrer: Option<String>,
}

impl fmt::Debug for HashedSignals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} hashed signals)", self.kept.len())
    }
}

/// What a command tells of a person.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Signals {
    #[default]
    None,
    /// Nobody has hashed it yet.
    Raw(Box<RawSignals>),
    Hashed(Box<HashedSignals>),
}

impl Signals {
    /// As hashed; `None`: nothing was sent.
    pub fn hashed(&self) -> Option<&HashedSignals> {
        match self {
            Signals::Hashed(hashed) => Some(hashed),
            Signals::None | Signals::Raw(_) => None,
        }
    }

    /// What is to be hashed.
    pub fn raw(&self) -> Option<&RawSignals> {
        match self {
            Signals::Raw(raw) => Some(raw),
            Signals::None | Signals::Hashed(_) => None,
        }
    }
}

impl RawSignals {
    /// Hashes what was sent, for one program: the same person under two programs cannot be told to be one.
    pub fn hashed(&self, program: &ProgramId, keys: &[SignalKey]) -> HashedSignals {
        let email = split_email(&self.email);
        let texts: Vec<(SignalKind, String)> = [
            email.as_ref().map(|(local, domain)| (SignalKind::Email, format!("{local}@{domain}"))),
            email.as_ref().map(|(local, domain)| (SignalKind::Mailbox, mailbox(local, domain))),
            phone(&self.phone).map(|text| (SignalKind::Phone, text)),
            trimmed(&self.device_id).map(|text| (SignalKind::Device, text)),
            trimmed(&self.payment_instrument).map(|text| (SignalKind::PaymentInstrument, text)),
            address(&self.address).map(|text| (SignalKind::Address, text)),
            ip_with_user_agent(&self.ip, &self.user_agent).map(|text| (SignalKind::IpWithUserAgent, text)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let under = |key: &SignalKey| -> Vec<SignalHash> {
            texts.iter().map(|(kind, text)| hash(key, program, *kind, text)).collect()
        };
        HashedSignals {
            known_as: keys.iter().flat_map(under).collect(),
            kept: keys.first().map_or_else(Vec::new, under),
            email_domain: email.map(|(_, domain)| domain),
            referrer: trimmed(&self.referrer).map(|host| host.to_lowercase()),
        }
    }
}

fn hash(key: &SignalKey, program: &ProgramId, kind: SignalKind, text: &str) -> SignalHash {
    let signed = format!("{program}|{}|{text}", kind.name());
    let mut hash = [0; 16];
    hash.iter_mut().zip(hmac_sha256(&key.0, signed.as_bytes())).for_each(|(to, from)| *to = from);
    SignalHash { kind, key: key.id(), hash }
}

fn trimmed(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Before and after the `@`, in lower case; `None`: it is no e-mail.
fn split_email(text: &str) -> Option<(String, String)> {
    let text = text.trim().to_lowercase();
    let (local, domain) = text.rsplit_once('@')?;
    let domain = domain.trim_end_matches('.');
    let fits = !local.is_empty() && domain.contains('.');
    fits.then(|| (local.to_owned(), domain.to_owned()))
}

/// Names of one provider for the same mailboxes.
const DOMAIN_ALIASES: &[(&str, &str)] = &[
    ("googlemail.com", "gmail.com"),
    ("pm.me", "proton.me"),
    ("protonmail.com", "proton.me"),
    ("protonmail.ch", "proton.me"),
    ("me.com", "icloud.com"),
    ("mac.com", "icloud.com"),
    ("ya.ru", "yandex.ru"),
    ("yandex.com", "yandex.ru"),
    ("fastmail.fm", "fastmail.com"),
];

/// The mailbox without what people may add to its name: a tag after `+`, dots, another domain of the same provider.
fn mailbox(local: &str, domain: &str) -> String {
    let bare = local.split('+').next().filter(|bare| !bare.is_empty()).unwrap_or(local);
    let bare: String = bare.chars().filter(|c| *c != '.').collect();
    let domain = DOMAIN_ALIASES.iter().find(|(alias, _)| *alias == domain).map_or(domain, |(_, of)| of);
    format!("{bare}@{domain}")
}

/// Digits alone, from the country on where it is told: `+44 (0)20 7946 0018` and `0044 20 79460018` are one.
fn phone(text: &str) -> Option<String> {
    let text = text.replace("(0)", "");
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_prefix("00").unwrap_or(&digits);
    (5 <= digits.len()).then(|| digits.to_owned())
}

/// What people write in more than one way.
const ADDRESS_WORDS: &[(&str, &str)] = &[
    ("street", "st"),
    ("road", "rd"),
    ("avenue", "ave"),
    ("lane", "ln"),
    ("apartment", "apt"),
    ("flat", "apt"),
    ("strasse", "str"),
    ("straße", "str"),
    ("number", "no"),
];

/// Letters and digits in lower case, word by word.
fn address(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let short = |word| ADDRESS_WORDS.iter().find(|(long, _)| *long == word).map_or(word, |(_, short)| *short);
    let words: Vec<&str> = words.map(short).collect();
    (2 <= words.len()).then(|| words.join(" "))
}

/// Both or nothing. Of IPv6 the network alone counts: the rest changes by itself.
fn ip_with_user_agent(ip: &str, user_agent: &str) -> Option<String> {
    let user_agent = trimmed(user_agent)?;
    let network = match ip.trim().parse::<IpAddr>().ok()? {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => ip.to_string(),
            None => {
                let [a, b, c, d, ..] = ip.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        },
    };
    Some(format!("{network}|{user_agent}"))
}

/// Providers of mailboxes that nobody keeps.
const DISPOSABLE: &[&str] = &[
    "mailinator.com",
    "guerrillamail.com",
    "guerrillamail.net",
    "sharklasers.com",
    "10minutemail.com",
    "temp-mail.org",
    "tempmail.com",
    "yopmail.com",
    "trashmail.com",
    "trashmail.de",
    "getnada.com",
    "maildrop.cc",
    "dispostable.com",
    "throwawaymail.com",
    "fakeinbox.com",
    "mintemail.com",
    "mohmal.com",
    "moakt.com",
    "emailondeck.com",
    "spamgourmet.com",
];

/// Whether a domain is one of disposable mailboxes: a known one, or one of `more`.
pub fn is_disposable(domain: &str, more: &[String]) -> bool {
    let known = DISPOSABLE.iter().any(|known| is_within(domain, known));
    known || more.iter().any(|known| is_within(domain, known))
}

/// Whether a host is a domain or lies below it.
pub fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(n: u8) -> Vec<SignalKey> {
        (0..n).map(|n| SignalKey::of(&[n; 16]).expect("a key")).collect()
    }

    fn program(id: &str) -> ProgramId {
        ProgramId::parse(id).expect("an id")
    }

    fn matches(one: &RawSignals, other: &RawSignals, kind: SignalKind) -> bool {
        let (one, other) = (one.hashed(&program("p"), &keys(1)), other.hashed(&program("p"), &keys(1)));
        one.known_as.iter().any(|hash| hash.kind == kind && other.kept.contains(hash))
    }

    #[test]
    fn r13_what_people_write_in_several_ways_is_one() {
        use SignalKind::{Address, Email, IpWithUserAgent, Mailbox, Phone};
        let of = |kind: SignalKind, text: &str| {
            let text = text.to_owned();
            match kind {
                Email | Mailbox => RawSignals { email: text, ..RawSignals::default() },
                Phone => RawSignals { phone: text, ..RawSignals::default() },
                Address => RawSignals { address: text, ..RawSignals::default() },
                _ => RawSignals { ip: text, user_agent: "Firefox".to_owned(), ..RawSignals::default() },
            }
        };
        for (kind, one, other, expected) in [
            (Email, "Mia@Example.org", " mia@example.org ", true),
            (Email, "mia+shop@example.org", "mia@example.org", false),
            (Mailbox, "mia+shop@example.org", "mia@example.org", true),
            (Mailbox, "m.i.a@gmail.com", "mia+x+y@googlemail.com", true),
            (Mailbox, "mia@pm.me", "mia@protonmail.com", true),
            (Mailbox, "mia@example.org", "mia@example.com", false),
            (Mailbox, "+@example.org", "++@example.org", false),
            (Email, "no mail", "no mail", false),
            (Email, "a@localhost", "a@localhost", false),
            (Phone, "+44 (0)20 7946 0018", "0044-20-79460018", true),
            (Phone, "+44 20 7946 0018", "+44 20 7946 0019", false),
            (Phone, "123", "123", false),
            (Address, "12 High Street, Flat 3", "12, high st apt 3", true),
            (Address, "12 High Street", "13 High Street", false),
            (IpWithUserAgent, "192.0.2.7", "::ffff:192.0.2.7", true),
            (IpWithUserAgent, "2001:db8::1", "2001:db8::2", true),
            (IpWithUserAgent, "2001:db8:0:1::1", "2001:db8:0:2::1", false),
            (IpWithUserAgent, "no address", "no address", false),
        ] {
            assert_eq!(matches(&of(kind, one), &of(kind, other), kind), expected, "{kind:?} {one} {other}");
        }
        let office = RawSignals { ip: "192.0.2.7".to_owned(), ..RawSignals::default() };
        assert!(office.hashed(&program("p"), &keys(1)).kept.is_empty(), "the network alone is no signal");
    }

    #[test]
    fn r13_an_older_key_is_still_matched_and_the_first_writes() {
        let raw = RawSignals { email: "mia@example.org".to_owned(), ..RawSignals::default() };
        let both = keys(2);
        let before = raw.hashed(&program("p"), &both[1..]);
        let after = raw.hashed(&program("p"), &both);
        assert!(before.kept.iter().all(|hash| after.known_as.contains(hash)));
        assert!(before.kept.iter().all(|hash| !after.kept.contains(hash)), "what is new is written under the new key");
        let dropped = raw.hashed(&program("p"), &both[..1]);
        assert!(before.kept.iter().all(|hash| !dropped.known_as.contains(hash)));
        let elsewhere = raw.hashed(&program("q"), &both);
        assert!(after.kept.iter().all(|hash| !elsewhere.known_as.contains(hash)), "programs are kept apart");
    }

    #[test]
    fn r13_nothing_shows_what_was_sent() {
        let raw =
            RawSignals { email: "mia@example.org".to_owned(), phone: "555 1234".to_owned(), ..Default::default() };
        let hashed = raw.hashed(&program("p"), &keys(1));
        for shown in [format!("{raw:?}"), format!("{hashed:?}"), format!("{:?}", keys(1))] {
            assert!(!shown.contains("mia") && !shown.contains("555") && !shown.contains("example"), "{shown}");
        }
    }

    #[test]
    fn r13_domains_hold_what_lies_below_them() {
        let more = vec!["throw.example".to_owned()];
        for (domain, expected) in [
            ("mailinator.com", true),
            ("eu.mailinator.com", true),
            ("notmailinator.com", false),
            ("throw.example", true),
            ("gmail.com", false),
        ] {
            assert_eq!(is_disposable(domain, &more), expected, "{domain}");
        }
    }
}
