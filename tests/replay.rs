//! `guerdon replay` and `guerdon demo` against a real server inside this process.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use clap::Parser;
use guerdon::cli::demo::{DemoArgs, demo};
use guerdon::cli::local::{Local, LocalStore};
use guerdon::cli::replay::summary::{Summary, Units};
use guerdon::cli::replay::{EXIT_BAD_INPUT, EXIT_FAILED, EXIT_USAGE, ReplayArgs, Stop, replay};

const GROCER: &str = "examples/programs/grocer.yaml";
const HEADER: &str = "order_id,member_id,occurred_at,currency_code,line_id,category,quantity,amount_minor";

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    replay: ReplayArgs,
}

fn args(args: &[&str]) -> ReplayArgs {
    let all = ["replay", "--retry-for", "5s"].iter().chain(args);
    Command::try_parse_from(all).expect("arguments").replay
}

async fn run(more: &[&str]) -> Result<Summary, Stop> {
    replay(&args(more)).await
}

/// A history whose outcome can be followed by hand, with the terms of the grocer.
fn history(dir: &Path) -> String {
    let rows = [
        // Saturday in New York: 250.99 dollars, of which 10.00 are doubled, and the bonus: 250 + 10 + 50.
        "a1,ann,2026-01-10T15:00:00Z,USD,l1,SOFT DRINKS,2,1000",
        "a1,ann,2026-01-10T15:00:00Z,USD,l2,CHEESE,1,24099",
        "a1,ann,2026-01-10T15:00:00Z,USD,l3,COUPON/MISC ITEMS,1,5000",
        // Already Saturday in UTC, still Friday in New York: 3 points. Half of it pays for too little: nothing is used.
        "b1,bob,2026-01-10T03:00:00Z,USD,l1,SOFT DRINKS,1,399",
        // 300 of her 310 points pay 3.00 of 6.10; 6 points more.
        "a2,ann,2026-01-11T15:00:00Z,USD,l1,CHEESE,1,610",
        // Long after everything has expired.
        "c1,cid,2026-06-01T12:00:00Z,USD,l1,CHEESE,0,100",
    ];
    let path = dir.join("orders.csv");
    fs::write(&path, format!("{HEADER}\n{}\n", rows.join("\n"))).expect("a file");
    path.to_str().expect("UTF-8").to_owned()
}

fn points(summary: &Summary) -> Units {
    summary.totals.units.get("points").cloned().expect("points")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_comes_to_what_the_terms_say() {
    let dir = tempfile::tempdir().expect("a directory");
    let orders = history(dir.path());
    for store in ["memory", "embedded"] {
        let plain = run(&["--orders", &orders, "--program", GROCER, "--store", store]).await.expect("a summary");
        assert!(plain.is_good(), "{plain}");
        assert_eq!((plain.totals.orders, plain.totals.lines, plain.totals.members), (4, 6, 3));
        assert_eq!(plain.totals.as_of, "2026-06-02T00:00:00Z");
        let expected = Units { granted: 320, expired: 319, available: 1, outstanding: 1, ..Units::default() };
        assert_eq!(points(&plain), expected, "{store}");

        let redeemed = run(&["--orders", &orders, "--program", GROCER, "--store", store, "--redeem"]).await;
        let redeemed = redeemed.expect("a summary");
        let expected = Units { redeemed: 300, expired: 19, ..expected };
        assert_eq!(points(&redeemed), expected, "{store}");
        assert_eq!((redeemed.calls.committed, redeemed.verification.verified), (4, 3));
        let json: serde_json::Value = serde_json::to_value(&redeemed).expect("JSON");
        assert_eq!(json["totals"]["units"]["points"]["redeemed"], 300);
        assert!(redeemed.to_string().contains("every ledger verified: 3 members"), "{redeemed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_from_the_start_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let orders = history(dir.path());
    let data = dir.path().join("kept.db");
    let data = data.to_str().expect("UTF-8");
    let more = ["--orders", &orders, "--program", GROCER, "--data", data, "--redeem"];
    let first = run(&more).await.expect("a summary");
    let again = run(&more).await.expect("a summary");
    assert_eq!(again.totals, first.totals);
    assert_eq!(again.verification, first.verification);
    assert_eq!(first.calls.replayed, 0);
    // Three enrolments and four commits; a Reserve of an order that is committed is refused anew.
    assert!(7 <= again.calls.replayed, "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_is_used_if_it_runs_the_same_program() {
    let dir = tempfile::tempdir().expect("a directory");
    let orders = history(dir.path());
    let text = fs::read_to_string(GROCER).expect("a program");
    let server = Local::start(&text, LocalStore::Memory, None, None).await.expect("a server");
    let target = server.target();
    let summary = run(&["--orders", &orders, "--target", &target]).await.expect("a summary");
    assert_eq!(points(&summary).granted, 320);
    let summary = run(&["--orders", &orders, "--target", &target, "--program", GROCER]).await.expect("a summary");
    assert_eq!(points(&summary).granted, 320);
    let other = dir.path().join("other.yaml");
    fs::write(&other, format!("{text}\n# changed\n")).expect("a file");
    let other = other.to_str().expect("UTF-8");
    let stop = run(&["--orders", &orders, "--target", &target, "--program", other]).await.expect_err("other program");
    assert_eq!(stop.code, EXIT_BAD_INPUT);
    assert!(stop.message.contains("start it with this file"), "{}", stop.message);
    assert!(server.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let orders = history(dir.path());
    let bad = dir.path().join("bad.csv");
    let rows = "o1,m1,2026-01-10T15:00:00Z,USD,l1,X,1,100\no2,m1,never,USD,l1,X,1,100\n";
    fs::write(&bad, format!("{HEADER}\n{rows}")).expect("a file");
    let bad = bad.to_str().expect("UTF-8");
    let broken = dir.path().join("broken.yaml");
    fs::write(&broken, "program: [\n").expect("a file");
    let broken = broken.to_str().expect("UTF-8");
    for (more, code, expected) in [
        (vec!["--orders", bad, "--program", GROCER], EXIT_BAD_INPUT, "1 of 2 rows are bad"),
        (vec!["--orders", "/nonexistent.csv", "--program", GROCER], EXIT_BAD_INPUT, "cannot read"),
        (vec!["--orders", &orders, "--program", broken], EXIT_BAD_INPUT, "broken.yaml"),
        (vec!["--orders", &orders, "--program", GROCER, "--store", "redis"], EXIT_USAGE, "--redis-url"),
        (
            vec!["--orders", &orders, "--program", GROCER, "--store", "memory", "--data", "x.db"],
            EXIT_USAGE,
            "--data is the file of the embedded store",
        ),
        (vec!["--orders", &orders, "--target", "127.0.0.1:1", "--retry-for", "50ms"], EXIT_FAILED, "nothing answers"),
    ] {
        let more: Vec<&str> = more.into_iter().collect();
        let mut all = vec!["replay"];
        all.extend(&more);
        let parsed = Command::try_parse_from(all).expect("arguments").replay;
        let stop = replay(&parsed).await.expect_err(expected);
        assert_eq!(stop.code, code, "{}", stop.message);
        assert!(stop.message.contains(expected), "{}", stop.message);
    }
    let skipped = run(&["--orders", bad, "--program", GROCER, "--skip-bad-rows"]).await.expect("a summary");
    assert_eq!((skipped.input.rows, skipped.input.rows_skipped, skipped.totals.orders), (2, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_keeps_real_time_is_not_replayed_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let orders = history(dir.path());
    let settings =
        guerdon::config::Settings::of(&[("listen", "127.0.0.1:0"), ("store", "memory"), ("insecure_dev", "yes")]);
    let text = fs::read_to_string(GROCER).expect("a program");
    let program = guerdon::app::ProgramText { name: GROCER.to_owned(), text };
    let server = guerdon::app::Server::start_with(settings.expect("settings"), &[program]).await.expect("a server");
    let target = server.addr().to_string();
    let stop = run(&["--orders", &orders, "--target", &target]).await.expect_err("no replay");
    assert_eq!(stop.code, EXIT_FAILED);
    assert!(stop.message.contains("--clock follow"), "{}", stop.message);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_tells_its_story_to_the_end() {
    let mut out = Vec::new();
    let verified = demo(&DemoArgs { seed: 7 }, &mut out).await.expect("a story");
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(verified, "{text}");
    for part in ["qualified", "taken back", "lapsed", "released", "marked `replayed`", "Every ledger verified: 40"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 110, "too wide: {line}");
    }
}
