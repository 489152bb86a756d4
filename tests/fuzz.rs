//! What comes from outside, damaged at random: requests as bytes on the wire, program files, expressions, files of orders and
//! stored records. Whatever it is, it is understood or refused: nothing panics, hangs, or is called an internal error.
//!
//! Inputs begin with what lies in `tests/fuzz_corpus` and with examples from this repository, and are changed byte by byte and
//! word by word. A failure prints its seed and keeps its input under `target/fuzz`: put it into the corpus with the mend.
//! `GUERDON_SEED` begins elsewhere, `GUERDON_FUZZ_RUNS` says how many inputs of each kind are tried: `./fuzz 100000`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod fuzz_kit {
    pub(crate) mod tried;
}
mod support {
    pub(crate) mod contract;
    pub(crate) mod redis;
    pub(crate) mod server;
}

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use fuzz_kit::tried;
use prost::Message;
use support::contract;
use support::server::{MemoryWorld, PROGRAM, World};
use tonic::Code;
use tonic::metadata::MetadataMap;

/// Inputs of each kind in the form that runs with all other tests.
const RUNS: u64 = 1_500;
/// Longer inputs say nothing that shorter ones do not.
const BYTES_MAX: usize = 64 * 1024;
/// Changes made to one input.
const CHANGES_MAX: usize = 6;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under a folder of the repository that ends like this.
fn files(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(fs::read(&path).unwrap());
            }
        }
    }
    found.sort();
    found
}

/// Inputs of one kind, made from others.
struct Source {
    kind: &'static str,
    corpus: Vec<Vec<u8>>,
    /// What means something in inputs of this kind.
    words: &'static [&'static str],
    seed: u64,
    runs: u64,
}

impl Source {
    fn new(kind: &'static str, examples: Vec<Vec<u8>>, words: &'static [&'static str]) -> Source {
        let mut corpus = files(&format!("tests/fuzz_corpus/{kind}"), "");
        corpus.extend(examples);
        assert!(!corpus.is_empty());
        Source { kind, corpus, words, seed: number("GUERDON_SEED", 1), runs: number("GUERDON_FUZZ_RUNS", RUNS) }
    }

    /// All of the corpus as it is, then what is made from it.
    fn inputs(&self) -> impl Iterator<Item = Input> {
        let as_it_is = |(of, bytes): (usize, &Vec<u8>)| Input { seed: None, of, bytes: bytes.clone() };
        let made = (0..self.runs).map(|run| self.made(self.seed.wrapping_add(run)));
        self.corpus.iter().enumerate().map(as_it_is).chain(made)
    }

    fn made(&self, seed: u64) -> Input {
        let random = &mut fastrand::Rng::with_seed(seed);
        let of = random.usize(..self.corpus.len());
        let mut input = self.corpus[of].clone();
        for _ in 0..random.usize(1..=CHANGES_MAX) {
            let at = random.usize(..=input.len());
            match random.u8(..8) {
                0 if at < input.len() => input[at] ^= 1 << random.u8(..8),
                1 if at < input.len() => input[at] = random.u8(..),
                2 => input.insert(at, random.u8(..)),
                3 => drop(input.drain(at..(at + random.usize(..16)).min(input.len()))),
                4 => input.truncate(at),
                // A piece of its own once more: lists grow, nests deepen.
                5 => {
                    let piece = input[at..(at + random.usize(..256)).min(input.len())].repeat(random.usize(1..4));
                    input.splice(at..at, piece);
                }
                6 => {
                    let other = &self.corpus[random.usize(..self.corpus.len())];
                    let from = random.usize(..=other.len());
                    let piece = other[from..(from + random.usize(..256)).min(other.len())].to_vec();
                    input.splice(at..at, piece);
                }
                _ if self.words.is_empty() => input.push(random.u8(..)),
                _ => {
                    let word = self.words[random.usize(..self.words.len())].as_bytes().to_vec();
                    input.splice(at..at, word);
                }
            }
        }
        input.truncate(BYTES_MAX);
        Input { seed: Some(seed), of, bytes: input }
    }

    /// Keeps an input that something went wrong with; says where, and which seed makes it first.
    fn kept(&self, input: &Input) -> String {
        let folder = root().join("target/fuzz");
        fs::create_dir_all(&folder).unwrap();
        let name = input.seed.map_or_else(|| format!("corpus-{}", input.of), |seed| seed.to_string());
        let path = folder.join(format!("{}-{name}", self.kind));
        fs::write(&path, &input.bytes).unwrap();
        format!("made with {name}, see {}", path.display())
    }

    /// Tries all inputs; answers how many of those that were damaged `try_one` understood.
    fn run(&self, try_one: impl Fn(&[u8]) -> bool) -> usize {
        let mut understood = 0;
        for input in self.inputs() {
            match catch_unwind(AssertUnwindSafe(|| try_one(&input.bytes))) {
                Ok(is_understood) => understood += usize::from(is_understood && input.seed.is_some()),
                Err(_) => panic!("{}", self.kept(&input)),
            }
        }
        understood
    }
}

/// Something to be tried.
struct Input {
    /// What it was made with; `None`: it is of the corpus.
    seed: Option<u64>,
    /// The place in the corpus of what it is, or was made from.
    of: usize,
    bytes: Vec<u8>,
}

const YAML: &[&str] = &[
    "\n  - ",
    "\n      ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "'",
    "\"",
    "&a ",
    "*a",
    "!!binary ",
    "|\n",
    "? ",
    "\t",
    "~",
    "null",
    "-1",
    "99999999999999999999",
    "0x7f",
    "1e309",
    ".inf",
    "GBP -1.00",
    "GBP 1.001",
    "12 months",
    "2026-02-30",
    "24:00",
    "100.0001%",
    "earn",
    "bonus",
    "multiply",
    "limits",
    "campaign",
    "each_order",
    "expires_after",
    "when",
    "then",
    "rules",
    "id",
    "on",
    "units",
];

#[test]
fn program_files_of_any_kind() {
    let source = Source::new("programs", files("examples/programs", ".yaml"), YAML);
    let understood = source.run(tried::program_file);
    assert!(5 < understood, "only {understood} programs were understood: nothing was tried behind the parser");
}

const WORDS: &[&str] = &[
    " && ",
    " || ",
    "!",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "\\",
    " in ",
    " == ",
    " != ",
    " < ",
    " >= ",
    "? ",
    ": ",
    ".",
    ",",
    "-",
    "+",
    "order.total",
    "order.quantity",
    "lines.exists(l, ",
    "l.brand",
    "counter.visits",
    "tier.vip",
    "time.hour",
    "balance.points",
    "member.",
    "matches(",
    "startsWith(",
    "9223372036854775807",
    "-9223372036854775808",
    "1e400",
    "0u",
    "b'a'",
    "timestamp('2026-01-01T00:00:00Z')",
    "duration('1h')",
    "null",
    "true",
];

#[test]
fn expressions_of_any_kind() {
    let source = Source::new("expressions", Vec::new(), WORDS);
    let understood = source.run(|input| tried::expression(PROGRAM, input));
    assert!(5 < understood, "only {understood} expressions were understood");
}

const CELLS: &[&str] = &[
    "\"",
    ",",
    "\n",
    "\r\n",
    ";",
    "\u{feff}",
    "-1",
    "1e9",
    "9223372036854775808",
    "2026-02-30T00:00:00Z",
    "USD",
    "PAR1",
    "'",
    "=1+1",
];

#[test]
fn files_of_orders_of_any_kind() {
    let source = Source::new("orders", Vec::new(), CELLS);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.csv");
    let understood = source.run(|input| tried::orders_file(&path, input));
    assert!(5 < understood, "only {understood} files were understood");
}

#[test]
fn stored_records_of_any_kind() {
    let source = Source::new("records", files("tests/fixtures", ".bin"), &[]);
    let understood = source.run(tried::record);
    assert!(5 < understood, "only {understood} records were understood");
}

/// Every method is sent whatever bytes, by a real server on loopback: it answers before its deadline, and with nothing that says
/// that the server is at fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_any_kind() {
    let server = MemoryWorld::start().serve().await;
    let channel = server.clients.channel.clone();
    let rpcs = contract::rpcs();
    let examples = rpcs.iter().map(|rpc| rpc.request("club").encode_to_vec()).collect();
    let source = Source::new(
        "requests",
        examples,
        &["club", "mia", "order-1", "1", "EUR", "points", "\u{0}", "~guest~", "|", "{}"],
    );
    let mut answered = 0;
    // Examples come last, in the order of the methods that they are for; what is for none goes to some.
    let others = source.corpus.len() - rpcs.len();
    for input in source.inputs() {
        let rpc = input.of.checked_sub(others).map_or(&rpcs[input.of % rpcs.len()], |at| &rpcs[at]);
        let metadata = MetadataMap::new();
        let call = rpc.call_raw(&channel, input.bytes.clone(), &metadata);
        let outcome = tokio::time::timeout(Duration::from_secs(20), call).await;
        let kept = |what: String| panic!("{} {what}: {}", rpc.name, source.kept(&input));
        match outcome {
            Err(_elapsed) => kept("does not answer".to_owned()),
            Ok(Ok(_answer)) => answered += usize::from(input.seed.is_some()),
            Ok(Err(status)) => {
                let at_fault =
                    [Code::Internal, Code::Unknown, Code::DataLoss, Code::Unavailable, Code::DeadlineExceeded];
                if at_fault.contains(&status.code()) {
                    kept(format!("answers {:?}: {}", status.code(), status.message()));
                }
                answered += usize::from(input.seed.is_some() && status.code() != Code::InvalidArgument);
            }
        }
    }
    assert!(50 < answered, "only {answered} requests passed the checks of their fields: nothing was tried behind them");
}
