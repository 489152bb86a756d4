//! `guerdon replay-referrals` against real servers inside this process.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use clap::Parser;
use guerdon::cli::local::{Local, LocalStore};
use guerdon::cli::referrals::summary::Summary;
use guerdon::cli::referrals::{ReferralsArgs, replay_referrals};
use guerdon::cli::replay::{EXIT_BAD_INPUT, EXIT_USAGE, Stop};

const PROGRAM: &str = "examples/keyring/program.yaml";

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    referrals: ReferralsArgs,
}

async fn run(more: &[&str]) -> Result<Summary, Stop> {
    let all = ["referrals", "--retry-for", "5s"].iter().chain(more);
    replay_referrals(&Command::try_parse_from(all).expect("arguments").referrals).await
}

fn file(dir: &Path, name: &str, rows: &[&str]) -> String {
    let path = dir.join(name);
    fs::write(&path, format!("instant,advocate,friend\n{}\n", rows.join("\n"))).expect("a file");
    path.to_str().expect("UTF-8").to_owned()
}

/// A circle, told of in one window and over several; somebody vouched for by several at one instant; a chain.
const ROWS: [&str; 9] = [
    "2026-01-01T08:00:00Z,ann,ben",
    "2026-01-01T09:00:00Z,ben,cat",
    // Closes a circle in the same window: it falls, whatever comes first.
    "2026-01-01T10:00:00Z,cat,ann",
    "2026-01-01T10:00:01Z,eve,ben",
    "2026-01-02T08:00:00Z,eve,dan",
    "2026-01-02T08:00:00Z,ann,dan",
    "2026-01-03T08:00:00Z,dan,fay",
    // Closes a circle over windows: fay, dan, ann.
    "2026-01-09T08:00:00Z,fay,gus",
    "2026-01-09T09:00:00Z,gus,eve",
];

#[tokio::test(flavor = "multi_thread")]
async fn r10_a_record_of_vouchings_comes_to_its_tree_in_whatever_order_it_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let rows = file(dir.path(), "rows.csv", &ROWS);
    let summary = run(&["--vouchings", &rows, "--program", PROGRAM]).await.expect("a summary");
    assert!(summary.is_good(), "{summary}");
    let record = &summary.record;
    assert_eq!((record.members, record.vouchings, record.first, record.later), (7, 9, 7, 2));
    assert_eq!((record.attributed, record.circles, record.too_deep, record.depth), (6, 1, 0, 4));
    let [plain, rough] = &summary.runs[..] else { panic!("two runs: {summary}") };
    assert_eq!((plain.restarts, rough.restarts), (0, 2));
    assert!(plain.replayed == 0 && 0 < rough.replayed, "{summary}");
    assert_eq!(plain.totals, rough.totals);
    let points = plain.totals.units.get("points").expect("points");
    // 10 for each friend, 100 for each advocate, 50 and 25 for those above them.
    // ben: ann. cat: ben, 50 to ann. dan: ann. fay: dan, 50 to ann. gus: fay, 50 to dan, 25 to ann. eve: gus, 50 to fay, 25 to dan.
    assert_eq!(points.outstanding, 6 * 110 + 50 + 50 + (50 + 25) + (50 + 25));
    assert_eq!(plain.totals.referrals.qualified, 6);
    let text = summary.to_string();
    assert!(text.contains("all runs agree") && text.contains("restarted 2 times"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_grown_graph_ends_the_same_out_of_order_and_over_restarts() {
    let summary = run(&["--grow", "150", "--later", "2", "--seed", "5", "--program", PROGRAM]).await;
    let summary = summary.expect("a summary");
    assert!(summary.is_good(), "{summary}");
    assert!(0 < summary.record.circles && 100 < summary.record.attributed, "{summary}");
    assert_eq!(summary.runs[1].restarts, 2);
    let json = serde_json::to_value(&summary).expect("JSON");
    assert_eq!(json["runs"][0]["hash"], json["runs"][1]["hash"]);
}

/// The figures that are kept on the way are those that the ledgers make, in whatever order it is told and over restarts.
#[tokio::test(flavor = "multi_thread")]
async fn r18_the_figures_of_a_replay_are_those_that_its_ledgers_make() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("figures.yaml");
    let text =
        fs::read_to_string(PROGRAM).expect("a program").replace("\nreferrals:", "\nreferral_figures: true\nreferrals:");
    fs::write(&path, text).expect("written");
    let summary = run(&["--grow", "120", "--seed", "3", "--program", path.to_str().expect("UTF-8")]).await;
    let summary = summary.expect("a summary");
    assert!(summary.is_good(), "{summary}");
    for run in &summary.runs {
        let figures = run.figures.expect("figures are kept");
        assert!(120 < figures.compared && figures.differing == 0 && figures.moving == 0, "{summary}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_is_fed_in_order_or_out_of_it_and_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let rows = file(dir.path(), "rows.csv", &ROWS);
    let text = fs::read_to_string(PROGRAM).expect("a program");
    let mut hashes = Vec::new();
    for more in [&[][..], &["--rough", "--seed", "9"]] {
        let server = Local::start(&text, LocalStore::Memory, None, None).await.expect("a server");
        let target = server.target();
        let all = [&["--vouchings", &rows, "--program", PROGRAM, "--target", &target], more].concat();
        let summary = run(&all).await.expect("a summary");
        assert!(summary.is_good() && summary.runs.len() == 1, "{summary}");
        let again = run(&all).await.expect("a summary");
        assert_eq!(again.runs[0].hash, summary.runs[0].hash, "again from the start, nothing happens twice");
        assert!(summary.runs[0].replayed < again.runs[0].replayed);
        hashes.push(summary.runs[0].hash.clone());
        assert!(server.stop().await);
    }
    assert_eq!(hashes[0], hashes[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_vouchings_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let rows = file(dir.path(), "rows.csv", &ROWS);
    let bad = file(dir.path(), "bad.csv", &["never,ann,ben"]);
    let none = file(dir.path(), "none.csv", &[]);
    for (more, code, expected) in [
        (vec!["--vouchings", bad.as_str(), "--program", PROGRAM], EXIT_BAD_INPUT, "line 2: instant"),
        (vec!["--vouchings", none.as_str(), "--program", PROGRAM], EXIT_BAD_INPUT, "holds no vouchings"),
        (vec!["--vouchings", "/nonexistent.csv", "--program", PROGRAM], EXIT_BAD_INPUT, "cannot be read"),
        (vec!["--vouchings", &rows, "--program", PROGRAM, "--campaign", "other"], EXIT_USAGE, "no campaign"),
        (vec!["--vouchings", &rows, "--program", PROGRAM, "--window", "24h", "--concurrency", "1"], 0, ""),
        (
            vec!["--vouchings", &rows, "--program", "examples/programs/grocer.yaml"],
            EXIT_USAGE,
            "not exactly one campaign",
        ),
    ] {
        match run(&more).await {
            Ok(summary) => assert!(code == 0 && summary.is_good(), "{summary}"),
            Err(stop) => {
                assert_eq!(stop.code, code, "{}", stop.message);
                assert!(stop.message.contains(expected), "{}", stop.message);
            }
        }
    }
}
