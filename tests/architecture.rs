//! The layering and other rules of the repository, as tests. Each rule says why it is there; each is shown to catch
//! a sample that breaks it.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What each layer may name under `crate::`, besides itself.
/// `domain <- program <- store <- service <- grpc <- app <- main`, with the clock beside the store and the settings,
/// logs and commands around the app.
const LAYERS: &[(&str, &[&str], &str)] = &[
    ("domain", &[], "decisions depend on nothing: they are plain functions of what they are given"),
    ("program", &["domain"], "a file becomes a domain type; nothing else is needed for it"),
    ("stream", &[], "bytes on their way to a socket, whatever they are"),
    ("store", &["domain", "stream"], "the store compares and applies; it knows no rule, and nobody above it"),
    ("clock", &["domain", "store"], "it gives instants to the domain and a reading to the stores"),
    ("service", &["domain", "program", "store", "clock"], "use cases know neither the wire nor the settings"),
    ("access", &["domain"], "who may call is decided by what they show, and by nothing that they ask for"),
    (
        "grpc",
        &["domain", "store", "stream", "service", "access"],
        "the wire knows the use cases, the errors of the port, who may call and how a connection takes its turn, no more",
    ),
    ("config", &["store"], "settings are values; only the layout of the store is a type of another layer"),
    ("telemetry", &["domain", "config"], "it is told what to count, and asks nobody"),
    (
        "app",
        &["domain", "program", "store", "stream", "clock", "service", "access", "grpc", "config", "telemetry"],
        "it composes",
    ),
    (
        "cli",
        &["domain", "program", "clock", "stream", "access", "grpc", "config", "app"],
        "commands use the app and the wire, and no store or use case of their own",
    ),
];

/// Words that a part of the tree must not hold, outside comments and unit tests.
struct Ban {
    /// A path that begins with any of these ...
    within: &'static [&'static str],
    /// ... and with none of these ...
    except: &'static [&'static str],
    /// ... must hold none of these words.
    words: &'static [&'static str],
    why: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        within: &["src/domain", "src/program"],
        except: &[],
        words: &["async", "await", "tokio", "tonic", "prost", "wire"],
        why: "the domain never waits and knows no transport",
    },
    Ban {
        within: &["src/domain", "src/program"],
        except: &[],
        words: &["SystemTime", "Timestamp::now", "Zoned::now", "std::time::Instant"],
        why: "time is an argument",
    },
    Ban { within: &["src/domain"], except: &[], words: &["f32", "f64"], why: "money and units are whole numbers" },
    Ban {
        within: &["src/domain", "src/program"],
        except: &[],
        words: &["rand::", "std::fs", "std::net", "std::env", "std::process", "std::thread", "File"],
        why: "a decision is the same wherever and whenever it is made",
    },
    Ban {
        within: &["src"],
        except: &["src/store/redis", "src/store.rs", "src/app.rs"],
        words: &["redis::"],
        why: "only the Redis adapter knows Redis, and the composition root names it",
    },
    Ban {
        within: &["src"],
        except: &["src/store/embedded", "src/store.rs"],
        words: &["rusqlite"],
        why: "only the embedded adapter knows SQLite",
    },
    Ban {
        within: &["src"],
        except: &["src/store", "src/app.rs"],
        words: &["MemoryStore", "EmbeddedStore", "RedisStore"],
        why: "only the composition root names a concrete store",
    },
    Ban {
        within: &["src"],
        except: &["src/grpc", "src/app", "src/cli", "src/telemetry"],
        words: &["tonic", "prost", "grpc::wire"],
        why: "generated types and the transport stop at the wire",
    },
    Ban {
        within: &["src/cli"],
        except: &[],
        words: &["grpc::routes", "grpc::Options", "grpc::Observer"],
        why: "commands are clients: of `grpc` they use the contract alone",
    },
    Ban {
        within: &["src"],
        except: &["src/clock.rs"],
        words: &["SystemTime::now"],
        why: "one place reads the machine's clock, so that tests and replays can set the time",
    },
    Ban {
        within: &["src"],
        except: &["src/config", "src/main.rs"],
        words: &["std::env::", "env::var"],
        why: "one place reads the environment, and names what is wrong with it",
    },
    Ban {
        within: &["src", "tests", "benches"],
        except: &["tests/architecture.rs"],
        words: &["todo!", "unimplemented!", "#[ignore", "thread::sleep"],
        why: "nothing is stubbed, no test is switched off, nobody waits for time to pass",
    },
];

/// Of every file of the repository that is text.
const MACHINE_PATHS: &[&str] = &["/home/", "/root/", "/work/", "/Users/", "C:\\"];

struct SourceFile {
    /// Relative to the root, with `/`.
    path: String,
    /// Without comments, texts and what follows `#[cfg(test)]`.
    code: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if matches!(name.as_str(), "target" | ".git" | "data" | "node_modules") {
            continue;
        }
        if path.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/")
}

fn files(dir: &str, extension: &str) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    walk(&root().join(dir), &mut paths);
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    let read = |path: PathBuf| (relative(&path), fs::read_to_string(&path).expect("text"));
    paths.into_iter().map(read).collect()
}

fn sources(dir: &str) -> Vec<SourceFile> {
    files(dir, "rs").into_iter().map(|(path, text)| SourceFile { code: code_of(&path, &text), path }).collect()
}

/// The text without line comments, the contents of texts, and unit tests, which may use what they like.
fn code_of(path: &str, text: &str) -> String {
    let text = match path.starts_with("src/") {
        true => text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default(),
        false => text,
    };
    let mut code = String::with_capacity(text.len());
    for line in text.lines() {
        let mut quoted = false;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if quoted => drop(chars.next()),
                // A quotation mark as a character: '"'.
                '\'' if !quoted && chars.peek() == Some(&'"') => drop(chars.next()),
                '"' => quoted = !quoted,
                '/' if !quoted && chars.peek() == Some(&'/') => break,
                _ if !quoted => code.push(c),
                _ => {}
            }
        }
        code.push('\n');
    }
    code
}

/// Whether `word` stands in `code` with no letter, digit or `_` around it.
fn names(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let (first, last) = (word.chars().next().is_some_and(part), word.chars().next_back().is_some_and(part));
        !(first && before.is_some_and(part) || last && after.is_some_and(part))
    })
}

/// The layers that `code` names under `crate::`.
fn uses(code: &str) -> BTreeSet<String> {
    let ident = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => {
                let mut depth = 0;
                let mut start = true;
                for (at, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && c.is_alphabetic() => {
                            found.insert(ident(&list[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
            None => {
                found.insert(ident(rest));
            }
        }
    }
    found.remove("");
    found
}

fn layer_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/")?;
    let layer = below.split_once('/').map_or(below, |(layer, _)| layer);
    Some(layer.strip_suffix(".rs").unwrap_or(layer))
}

fn layer_faults(file: &SourceFile) -> Vec<String> {
    let Some(layer) = layer_of(&file.path) else { return Vec::new() };
    if matches!(layer, "lib" | "main") {
        return Vec::new();
    }
    let Some((_, allowed, why)) = LAYERS.iter().find(|(name, _, _)| *name == layer) else {
        return vec![format!("{}: the layer `{layer}` is not in the table of this test", file.path)];
    };
    let wrong = |used: &String| used != layer && !allowed.contains(&used.as_str());
    let say = |used: String| format!("{}: `{layer}` must not use `crate::{used}`: {why}", file.path);
    uses(&file.code).into_iter().filter(wrong).map(say).collect()
}

fn ban_faults(file: &SourceFile) -> Vec<String> {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| file.path.starts_with(prefix));
    let applying = BANS.iter().filter(|ban| begins(ban.within) && !begins(ban.except));
    let say = |ban: &Ban, word: &str| format!("{}: holds `{word}`: {}", file.path, ban.why);
    applying
        .flat_map(|ban| ban.words.iter().filter(|word| names(&file.code, word)).map(move |word| say(ban, word)))
        .collect()
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn arrows_point_one_way() {
    let sources = sources("src");
    assert!(40 < sources.len(), "the tree was found: {}", sources.len());
    assert_none(&sources.iter().flat_map(layer_faults).collect::<Vec<_>>());
}

#[test]
fn no_part_holds_what_it_must_not_know() {
    let all = ["src", "tests", "benches"].into_iter().flat_map(sources);
    assert_none(&all.flat_map(|file| ban_faults(&file)).collect::<Vec<_>>());
}

#[test]
fn the_rules_catch_what_breaks_them() {
    // path                     text                                                    caught
    for (path, text, caught) in [
        ("src/domain/a.rs", "use crate::store::Key;", true),
        ("src/domain/a.rs", "use crate::{domain::id, store::Key};", true),
        ("src/domain/a.rs", "use crate::domain::id::MemberId;", false),
        ("src/domain/a.rs", "// crate::store is another layer", false),
        ("src/domain/a.rs", "async fn decide() {}", true),
        ("src/domain/a.rs", "let share: f64 = 0.5;", true),
        ("src/domain/a.rs", "let text = \"async\";", false),
        ("src/domain/a.rs", "let now = SystemTime::now();", true),
        ("src/domain/a.rs", "#[cfg(test)]\nmod tests { use std::fs; }", false),
        ("src/program.rs", "use std::fs::read;", true),
        ("src/store/memory.rs", "use crate::service::Error;", true),
        ("src/store/memory.rs", "use redis::cmd;", true),
        ("src/store/redis/link.rs", "use redis::cmd;", false),
        ("src/store/redis.rs", "use rusqlite::Connection;", true),
        ("src/service/write.rs", "use crate::grpc::wire;", true),
        ("src/service/write.rs", "use crate::config::Settings;", true),
        ("src/service/write.rs", "let store = MemoryStore::new(clock);", true),
        ("src/service/write.rs", "tonic::Status::internal(text)", true),
        ("src/grpc/status.rs", "use crate::app::Server;", true),
        ("src/grpc/status.rs", "tonic::Status::internal(text)", false),
        ("src/cli/demo.rs", "use crate::service::Service;", true),
        ("src/cli/demo.rs", "use crate::grpc::wire;", false),
        ("src/cli/demo.rs", "crate::grpc::routes(calls)", true),
        ("src/service.rs", "std::env::var(name)", true),
        ("src/app.rs", "EmbeddedStore::open(path)", false),
        ("src/new_layer.rs", "fn f() {}", true),
        ("tests/a.rs", "#[ignore]\nfn slow() {}", true),
        ("src/service.rs", "todo!()", true),
        ("src/service.rs", "let wire_ms = 1; let asynchronous = 2;", false),
    ] {
        let file = SourceFile { path: path.to_owned(), code: code_of(path, text) };
        let faults: Vec<String> = layer_faults(&file).into_iter().chain(ban_faults(&file)).collect();
        assert_eq!(!faults.is_empty(), caught, "{path}: {text}: {faults:?}");
    }
}

/// Declarations of the contract that stand without a comment above them.
fn bare(proto: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut commented = false;
    for line in proto.lines().map(str::trim) {
        let word = line.split_whitespace().next().unwrap_or_default();
        let block = matches!(word, "message" | "enum" | "service" | "oneof" | "rpc");
        let member = line.ends_with(';') && line.contains(" = ") && word != "syntax" && word != "option";
        if (block || member) && !commented {
            faults.push(line.to_owned());
        }
        commented = line.starts_with("//");
    }
    faults
}

#[test]
fn everything_in_the_contract_is_described() {
    let protos = files("proto", "proto");
    assert!(!protos.is_empty());
    let say = |path: &str, line: String| format!("{path}: `{line}` has no comment: callers read the contract alone");
    let faults = protos.iter().flat_map(|(path, text)| bare(text).into_iter().map(move |line| say(path, line)));
    assert_none(&faults.collect::<Vec<_>>());

    let sample = "// A.\nmessage A {\n  // B.\n  string b = 1;\n  int64 c = 2;\n}\nenum D {\n  // E.\n  E = 0;\n}\n";
    assert_eq!(bare(sample), ["int64 c = 2;", "enum D {"], "the rule catches what breaks it");
}

#[test]
fn no_text_holds_a_path_of_a_machine() {
    let mut paths = Vec::new();
    walk(root(), &mut paths);
    let mut faults = Vec::new();
    for path in paths {
        let name = relative(&path);
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if name == "tests/architecture.rs" || name == "Cargo.lock" {
            continue;
        }
        for found in MACHINE_PATHS.iter().filter(|found| text.contains(**found)) {
            faults.push(format!("{name}: holds `{found}`: it means nothing on another machine"));
        }
    }
    assert_none(&faults);
}

/// What the Dockerfile copies from the tree, and its build command.
fn dockerfile() -> (Vec<String>, String) {
    let text = fs::read_to_string(root().join("Dockerfile")).expect("a Dockerfile");
    let mut copied = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from")) {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.pop();
        copied.extend(words.into_iter().map(str::to_owned));
    }
    let build = text.lines().find_map(|line| line.strip_prefix("RUN cargo build ")).expect("a build command");
    (copied, format!("cargo build {build}"))
}

/// Counts of another version of rustc would be passed over, and the image be slower by a third without a word.
#[test]
fn the_image_is_built_by_the_rustc_that_the_counts_are_of() {
    let counts_of = fs::read_to_string(root().join("profile/rustc-version")).expect("a version");
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).expect("a Dockerfile");
    let image = dockerfile.lines().find_map(|line| line.strip_prefix("FROM rust:")).expect("an image of rust");
    let image = image.split('-').next().expect("a version");
    assert!(counts_of.starts_with(&format!("rustc {image}.")), "counts of {counts_of}, image of {image}");
}

/// The names that counts are kept by hang on the version of the package and of all that it is made of.
#[test]
fn the_counts_are_of_the_packages_that_are_built() {
    let lock = fs::read(root().join("Cargo.lock")).expect("a lock file");
    let found: String = Sha256::digest(&lock).iter().map(|byte| format!("{byte:02x}")).collect();
    let counts_of = fs::read_to_string(root().join("profile/cargo-lock-sha256")).expect("a hash");
    assert_eq!(counts_of.trim(), found, "Cargo.lock has changed since the counts were made: run profile/refresh");
}

#[test]
fn the_image_is_built_from_what_is_there() {
    let (copied, build) = dockerfile();
    assert_eq!(build, "cargo build --release --locked --bin guerdon");
    for source in &copied {
        assert!(root().join(source).exists(), "Dockerfile: COPY {source}: there is no such file");
        let first = source.split('/').next().expect("a part");
        let ignore = fs::read_to_string(root().join(".dockerignore")).expect("a .dockerignore");
        assert!(ignore.lines().any(|line| line == format!("!{first}")), ".dockerignore keeps {source} out");
    }
    // What the build reads must be copied: every text that the sources include, and every target of Cargo.toml.
    let has = |path: &str| copied.iter().any(|source| path == source || path.starts_with(&format!("{source}/")));
    for (path, text) in files("src", "rs") {
        for (at, found) in text.match_indices("include_str!(\"").chain(text.match_indices("include_bytes!(\"")) {
            let included = text[at + found.len()..].split('"').next().expect("a path");
            let included = root().join(&path).parent().expect("a folder").join(included);
            let included = relative(&fs::canonicalize(&included).unwrap_or(included));
            assert!(has(&included), "{path} includes {included}, which the Dockerfile does not copy");
        }
    }
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).expect("read").parse().expect("TOML");
    for bench in manifest.get("bench").and_then(toml::Value::as_array).into_iter().flatten() {
        let name = bench.get("name").and_then(toml::Value::as_str).expect("a name");
        assert!(has(&format!("benches/{name}.rs")), "Cargo.toml names the bench {name}, which is not copied");
    }
}
