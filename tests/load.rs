//! `guerdon load` against a real server: every kind of load is answered rightly, counted whole, and told as JSON.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use clap::Parser;
use guerdon::app::{ProgramText, Server};
use guerdon::cli::load::{EXIT_FINE, EXIT_NO_SERVER, LoadArgs, load_command};
use guerdon::config::Settings;

const BAKERY: &str = "examples/programs/marlow-bakery.yaml";

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    load: LoadArgs,
}

async fn server() -> Server {
    let settings = Settings::of(&[("listen", "127.0.0.1:0"), ("store", "memory"), ("insecure_dev", "yes")]).unwrap();
    let text = std::fs::read_to_string(BAKERY).unwrap();
    Server::start_with(settings, &[ProgramText { name: BAKERY.to_owned(), text }]).await.unwrap()
}

async fn load(target: &str, more: &[&str]) -> (i32, serde_json::Value) {
    load_for("300ms", target, more).await
}

async fn load_for(duration: &str, target: &str, more: &[&str]) -> (i32, serde_json::Value) {
    let base = ["load", "--target", target, "--duration", duration, "--warm-up", "50ms", "--members", "20", "--json"];
    let args = Command::try_parse_from(base.iter().chain(more)).unwrap().load;
    let mut out = Vec::new();
    let code = load_command(&args, &mut out).await;
    (code, serde_json::from_slice(&out).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_load_is_answered_rightly() {
    let server = server().await;
    let target = server.addr().to_string();
    for (workload, series) in [("uniform", "Commit"), ("zipf", "Commit"), ("quote", "Quote"), ("shop", "Quote")] {
        let (code, told) = load(&target, &["--workload", workload, "--in-flight", "4"]).await;
        assert_eq!(code, EXIT_FINE, "{workload}: {told}");
        let of = &told["series"][series];
        assert!(0 < of["calls"].as_u64().unwrap(), "{workload}: {told}");
        let [p50, p99, max] = ["p50_us", "p99_us", "max_us"].map(|name| of[name].as_u64().unwrap());
        assert!(0 < p50 && p50 <= p99 && p99 <= max, "{workload}: {told}");
    }
    let (code, told) = load(&target, &["--workload", "hot-member", "--rate", "200"]).await;
    assert_eq!(code, EXIT_FINE, "{told}");
    assert_eq!(told["series"].as_object().unwrap().len(), 2, "the hot one is measured by itself: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_code_is_told_against_many() {
    let server = server().await;
    // Slow enough for sign-ups to be answered within their turn even where other work goes on.
    let (code, told) = load_for("4s", &server.addr().to_string(), &["--workload", "hot-code", "--rate", "60"]).await;
    assert_eq!(code, EXIT_FINE, "{told}");
    let calls = |series: &str| told["series"][series]["calls"].as_u64().unwrap_or_default();
    // Eight turns of 30 calls: a quarter are sign-ups, and friends order, but for a few whose turn is over.
    assert_eq!(calls("Enroll, many codes") + calls("Enroll, one code"), 60, "{told}");
    for codes in ["many codes", "one code"] {
        assert!(0 < calls(&format!("friends, {codes}")) && 60 <= calls(&format!("others, {codes}")), "{told}");
    }
    for quantile in ["p50", "p99"] {
        assert!(0 < told["hot_code_permille"][quantile].as_u64().unwrap(), "{told}");
    }
    // The program of the other loads has no such code.
    let (code, _) = load(&server.addr().to_string(), &["--workload", "hot-code", "--campaign", "no-such"]).await;
    assert_eq!(code, EXIT_NO_SERVER);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_clock_every_call_that_was_due_is_sent_and_counted() {
    let server = server().await;
    let (code, told) = load(&server.addr().to_string(), &["--rate", "200"]).await;
    assert_eq!(code, EXIT_FINE, "{told}");
    assert_eq!(told["series"]["Commit"]["calls"], 60, "200 a second for 300 ms: {told}");
    assert_eq!((&told["offered_per_second"], &told["unsent"]), (&200.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_said() {
    let (code, _) = load("127.0.0.1:1", &[]).await;
    assert_eq!(code, EXIT_NO_SERVER);
}
