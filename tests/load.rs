//! `guerdon load` against a real server: every kind of load is answered rightly, counted whole, and told as JSON.
//! And what is offered beyond what can be done is refused at once, with a time to come back.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support {
    pub mod redis;
}

use std::time::{Duration, Instant};

use clap::Parser;
use guerdon::app::{ProgramText, Server};
use guerdon::cli::load::{EXIT_FINE, EXIT_NO_SERVER, LoadArgs, load_command};
use guerdon::config::Settings;
use guerdon::grpc::wire;
use guerdon::grpc::wire::member_service_client::MemberServiceClient;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use self::support::redis::RedisServer;

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
async fn a_hot_link_is_told_against_many() {
    let server = server().await;
    let (code, told) = load_for("2s", &server.addr().to_string(), &["--workload", "hot-link", "--rate", "200"]).await;
    assert_eq!(code, EXIT_FINE, "{told}");
    let calls = |series: &str| told["series"][series]["calls"].as_u64().unwrap_or_default();
    // Eight turns of 50 calls, of which nine tenths are visitors.
    assert_eq!((calls("RecordTouch, many codes"), calls("RecordTouch, one code")), (180, 180), "{told}");
    assert_eq!((calls("others, many codes"), calls("others, one code")), (20, 20), "{told}");
    assert!(0 < told["hot_code_permille"]["p50"].as_u64().unwrap(), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_clock_every_call_that_was_due_is_sent_and_counted() {
    let server = server().await;
    let (code, told) = load(&server.addr().to_string(), &["--rate", "200"]).await;
    assert_eq!(code, EXIT_FINE, "{told}");
    assert_eq!(told["series"]["Commit"]["calls"], 60, "200 a second for 300 ms: {told}");
    assert_eq!((&told["offered_per_second"], &told["unsent"]), (&200.into(), &0.into()));
    // Several are due within what is gathered, the last of them with fewer than usual; what is refused counts, too.
    for (rate, due) in [("6000", 1_800), ("5003", 1_500)] {
        let (_, told) = load(&server.addr().to_string(), &["--rate", rate, "--connections", "3"]).await;
        let refused = told["failed"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum::<u64>();
        let answered = told["series"]["Commit"]["calls"].as_u64().unwrap();
        assert_eq!(answered + refused + told["unsent"].as_u64().unwrap(), due, "{told}");
        assert_eq!(told["wrong"], serde_json::json!({}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_said() {
    let (code, _) = load("127.0.0.1:1", &[]).await;
    assert_eq!(code, EXIT_NO_SERVER);
}

/// A server on a Redis that can be stopped, so that calls wait as long as the test likes.
async fn on_redis(redis: &RedisServer, more: &[(&str, &str)]) -> (Server, Channel) {
    let url = redis.url();
    let base = [
        ("listen", "127.0.0.1:0"),
        ("store", "redis"),
        ("redis_url", url.as_str()),
        ("store_timeout_ms", "60000"),
        ("partitions", "16"),
        ("insecure_dev", "yes"),
    ];
    let settings = Settings::of(&[&base, more].concat()).unwrap();
    let text = std::fs::read_to_string(BAKERY).unwrap();
    let server = Server::start_with(settings, &[ProgramText { name: BAKERY.to_owned(), text }]).await.unwrap();
    let channel = Endpoint::from_shared(format!("http://{}", server.addr())).unwrap().connect().await.unwrap();
    (server, channel)
}

async fn enroll(channel: Channel, member: String, deadline: Option<Duration>) -> Result<(), Status> {
    let mut request = Request::new(wire::EnrollRequest {
        request_id: format!("enroll-{member}"),
        member_id: member,
        ..wire::EnrollRequest::default()
    });
    if let Some(deadline) = deadline {
        request.set_timeout(deadline);
    }
    MemberServiceClient::new(channel).enroll(request).await.map(drop)
}

/// Refused for want of room, and told when to come back.
fn is_shed(status: &Status) -> bool {
    let reason = status.get_details_error_info().map(|info| info.reason);
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    status.code() == Code::ResourceExhausted
        && reason.as_deref() == Some("OVERLOADED")
        && retry.is_some_and(|delay| Duration::ZERO < delay && delay <= Duration::from_secs(5))
}

/// So many that ended, of calls that otherwise wait.
async fn ended(calls: &mut JoinSet<Result<(), Status>>, count: usize) -> Vec<Result<(), Status>> {
    let mut all = Vec::new();
    while all.len() < count {
        let next = tokio::time::timeout(Duration::from_secs(30), calls.join_next()).await;
        all.push(next.unwrap_or_else(|_| panic!("{} of {count} ended", all.len())).unwrap().unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_more_calls_than_places_are_refused_at_once_and_none_waits_without_end() {
    let redis = RedisServer::start();
    let (_server, channel) = on_redis(&redis, &[("calls_in_flight_max", "5")]).await;
    enroll(channel.clone(), "first".to_owned(), None).await.unwrap();
    redis.stop();
    let mut calls = JoinSet::new();
    for number in 0..50 {
        calls.spawn(enroll(channel.clone(), format!("member-{number}"), None));
    }
    for answer in ended(&mut calls, 45).await {
        let status = answer.expect_err("no place");
        assert!(is_shed(&status), "{status:?}");
    }
    redis.cont();
    for answer in ended(&mut calls, 5).await {
        answer.expect("who had a place is answered");
    }
    enroll(channel, "last".to_owned(), None).await.expect("and there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_a_deadline_is_kept_while_the_store_hangs_and_the_write_happens_once() {
    let redis = RedisServer::start();
    let (_server, channel) = on_redis(&redis, &[("calls_in_flight_max", "5")]).await;
    enroll(channel.clone(), "first".to_owned(), None).await.unwrap();
    redis.stop();
    // Again and again: a place is free as soon as a deadline is over.
    for _ in 0..3 {
        let mut calls = JoinSet::new();
        for number in 0..5 {
            calls.spawn(enroll(channel.clone(), format!("late-{number}"), Some(Duration::from_millis(300))));
        }
        let began = Instant::now();
        for answer in ended(&mut calls, 5).await {
            let status = answer.expect_err("the store hangs");
            // Writes go on after their callers, so at most five wait in all.
            assert!(status.code() == Code::DeadlineExceeded || is_shed(&status), "{status:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
    redis.cont();
    // What was written before makes room once it is done.
    let began = Instant::now();
    loop {
        match enroll(channel.clone(), "late-0".to_owned(), None).await {
            Ok(()) => break,
            Err(status) => assert!(is_shed(&status) && began.elapsed() < Duration::from_secs(30), "{status:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_one_member_who_is_called_without_end_leaves_room_for_others() {
    let redis = RedisServer::start();
    let (_server, channel) = on_redis(&redis, &[("calls_per_account_max", "4")]).await;
    enroll(channel.clone(), "first".to_owned(), None).await.unwrap();
    redis.stop();
    let mut hot = JoinSet::new();
    for number in 0..40 {
        let channel = channel.clone();
        hot.spawn(async move {
            let request = wire::EnrollRequest {
                member_id: "hot".to_owned(),
                request_id: format!("enroll-{number}"),
                ..wire::EnrollRequest::default()
            };
            MemberServiceClient::new(channel).enroll(request).await.map(drop)
        });
    }
    for answer in ended(&mut hot, 36).await {
        let status = answer.expect_err("too many wait for one member");
        assert!(is_shed(&status), "{status:?}");
    }
    let mut others = JoinSet::new();
    for number in 0..40 {
        others.spawn(enroll(channel.clone(), format!("other-{number}"), None));
    }
    redis.cont();
    for answer in ended(&mut others, 40).await {
        answer.expect("nobody else is refused for it");
    }
    for answer in ended(&mut hot, 4).await {
        answer.expect("who waited is answered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_what_is_offered_beyond_what_can_be_done_is_refused_and_the_rest_answered() {
    let base = [("listen", "127.0.0.1:0"), ("store", "memory"), ("insecure_dev", "yes"), ("calls_in_flight_max", "4")];
    let text = std::fs::read_to_string(BAKERY).unwrap();
    let program = [ProgramText { name: BAKERY.to_owned(), text }];
    let server = Server::start_with(Settings::of(&base).unwrap(), &program).await.unwrap();
    // Members are enrolled by one lane each: no more of them than places.
    let few = ["--members", "4", "--rate", "2000", "--duration", "300ms", "--warm-up", "50ms", "--json"];
    let target = server.addr().to_string();
    let args = Command::try_parse_from(["load", "--target", target.as_str()].iter().chain(&few)).unwrap().load;
    let mut out = Vec::new();
    load_command(&args, &mut out).await;
    let told: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let count = |value: &serde_json::Value| value.as_u64().unwrap_or_default();
    let failed = told["failed"].as_object().unwrap();
    let shed: u64 = failed.values().map(count).sum();
    let answered = count(&told["series"]["Commit"]["calls"]);
    assert!(failed.keys().all(|what| what == "Commit: OVERLOADED"), "{told}");
    assert!(0 < answered, "{told}");
    assert_eq!(answered + shed, 600, "each is answered or refused: {told}");
    assert!(told["wrong"].as_object().unwrap().is_empty(), "{told}");
}
