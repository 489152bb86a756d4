//! Where dependencies come from and under which licences, checked with what every machine has: cargo itself. The
//! rules are those of `deny.toml`; `cargo deny` checks more where it is installed.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn deny() -> toml::Table {
    std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml").parse().expect("TOML")
}

fn allowed() -> BTreeSet<String> {
    let licences = deny()["licenses"]["allow"].as_array().expect("a list").clone();
    licences.iter().map(|licence| licence.as_str().expect("text").to_owned()).collect()
}

/// The packages that are built, as cargo describes them.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

/// Whether an SPDX expression can be met with the allowed licences alone. `/` is an old way to write OR.
fn met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any(&words, &mut at, allowed);
    met && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(words, at, allowed);
    }
    met
}

fn all(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let met = any(words, at, allowed);
        *at += 1; // the closing bracket
        return met;
    }
    if words.get(*at) == Some(&"WITH") {
        let exception = words.get(*at + 1).copied().unwrap_or_default();
        *at += 2;
        // An exception only gives more rights than the licence alone.
        return allowed.contains(&format!("{word} WITH {exception}")) || allowed.contains(*word);
    }
    allowed.contains(*word)
}

#[test]
fn licences_go_with_ours_and_sources_are_the_registry() {
    let allowed = allowed();
    let banned: Vec<String> = deny()["bans"]["deny"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|ban| ban["crate"].as_str().expect("a name").to_owned())
        .collect();
    let packages = packages();
    assert!(100 < packages.len(), "the graph was read: {}", packages.len());
    let mut faults = Vec::new();
    for package in &packages {
        let name = package["name"].as_str().expect("a name");
        let source = package["source"].as_str();
        if name != "guerdon" && source != Some(CRATES_IO) {
            faults.push(format!("{name} comes from {source:?}, not from the registry"));
        }
        let licence = package["license"].as_str().unwrap_or("");
        if !met(licence, &allowed) {
            faults.push(format!("{name}: licence {licence:?} is not among those that deny.toml allows"));
        }
        if banned.iter().any(|banned| banned == name) {
            faults.push(format!("{name} is banned, see deny.toml"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn licence_expressions_are_read() {
    let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_owned).into();
    for (expression, expected) in [
        ("MIT", true),
        ("MIT OR GPL-3.0-only", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0-only", false),
        ("MIT AND GPL-3.0-only", false),
        ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND OpenSSL", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only", true),
        ("GPL-2.0-only WITH Classpath-exception-2.0", false),
        ("", false),
        ("MIT MIT", false),
    ] {
        assert_eq!(met(expression, &allowed), expected, "{expression:?}");
    }
}

/// A dependency more, and neither the yardsticks nor the fuzzing targets could be built any more: nobody had built them.
#[test]
fn lock_files_beside_this_one_know_what_the_server_depends_on() {
    let read = |path: &str| -> toml::Table {
        std::fs::read_to_string(root().join(path)).expect("a file").parse().expect("TOML")
    };
    let manifest = read("Cargo.toml");
    let named = ["dependencies", "build-dependencies"].into_iter().filter_map(|kind| manifest[kind].as_table());
    let expected: BTreeSet<String> = named.flat_map(toml::Table::keys).cloned().collect();
    for lock in ["yardsticks/Cargo.lock", "fuzzing/Cargo.lock"] {
        let packages = read(lock);
        let mut packages = packages["package"].as_array().expect("packages").iter();
        let server = packages.find(|package| package["name"].as_str() == Some("guerdon")).expect("the server");
        // Where there are several versions of one, the version follows its name.
        let name = |found: &toml::Value| found.as_str().expect("text").split(' ').next().unwrap_or_default().to_owned();
        let known: BTreeSet<String> = server["dependencies"].as_array().expect("a list").iter().map(name).collect();
        assert_eq!(known, expected, "{lock}: run `cargo metadata` beside it");
    }
}
