//! A whole server: health, reflection, settings, drain and what it tells operators; in this process and as a binary.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support {
    pub mod binary;
    pub mod redis;
}

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use guerdon::app::{Drained, Server, StartError};
use guerdon::config::Settings;
use guerdon::grpc::wire;
use guerdon::grpc::wire::member_service_client::MemberServiceClient;
use prost::Message;
use support::binary::{Binary, output};
use support::redis::RedisServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/programs/marlow-bakery.yaml");
/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

fn settings(pairs: &[(&str, &str)]) -> Settings {
    let all: Vec<_> = [("listen", "127.0.0.1:0"), ("program", PROGRAM), ("insecure_dev", "yes")]
        .iter()
        .chain(pairs)
        .copied()
        .collect();
    Settings::of(&all).expect("valid settings")
}

async fn start(pairs: &[(&str, &str)]) -> (Server, Channel) {
    let server = Server::start(settings(pairs)).await.expect("a server");
    let channel = connect(server.addr()).await;
    (server, channel)
}

async fn connect(addr: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{addr}")).expect("an address").connect().await.expect("a connection")
}

async fn health(channel: &Channel, service: &str) -> Result<ServingStatus, tonic::Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel.clone()).check(request).await.map(|answer| answer.into_inner().status())
}

async fn watch(channel: &Channel) -> Streaming<HealthCheckResponse> {
    let request = HealthCheckRequest { service: String::new() };
    HealthClient::new(channel.clone()).watch(request).await.expect("health is watched").into_inner()
}

/// Waits until health changes to `wanted`.
async fn until(health: &mut Streaming<HealthCheckResponse>, wanted: ServingStatus) {
    let seen = async {
        loop {
            let answer = health.message().await.expect("a healthy connection").expect("health goes on");
            if answer.status() == wanted {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("health did not become {wanted:?}"));
}

fn enroll(member: &str) -> wire::EnrollRequest {
    wire::EnrollRequest {
        member_id: member.to_owned(),
        request_id: format!("enrol-{member}"),
        ..wire::EnrollRequest::default()
    }
}

#[tokio::test]
async fn a_server_serves_tells_health_and_drains() {
    let (server, channel) = start(&[("store", "memory")]).await;
    for service in ["", "guerdon.v1.CheckoutService", "guerdon.v1.MemberService", "guerdon.v1.LedgerService"] {
        assert_eq!(health(&channel, service).await.expect("health"), ServingStatus::Serving, "{service:?}");
    }
    let unknown = health(&channel, "guerdon.v1.SimulationService").await.expect_err("not served by the system's clock");
    assert_eq!(unknown.code(), Code::NotFound);

    let answer = MemberServiceClient::new(channel.clone()).enroll(enroll("mia-7")).await.expect("an answer");
    assert!(answer.into_inner().enrolled);

    let mut watched = watch(&channel).await;
    until(&mut watched, ServingStatus::Serving).await;
    let (drained, ()) = tokio::join!(server.stop(), until(&mut watched, ServingStatus::NotServing));
    assert_eq!(drained, Drained::Whole);
}

/// A connection over which frames of HTTP/2 are written and read one by one.
struct Frames(tokio::net::TcpStream);

impl Frames {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    /// Flags: of a PING or SETTINGS; of DATA; of HEADERS.
    const ACK: u8 = 1;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let len = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// Begins a call of `Enroll`, with headers as HPACK has them: a byte for what is in its table, else the name, by its
    /// number there or spelt out, and the value.
    fn begin_enroll(stream: u32) -> Vec<u8> {
        let header = |name: &[u8], value: &str| {
            [name, &[u8::try_from(value.len()).expect("a short value")], value.as_bytes()].concat()
        };
        let headers = [
            vec![0x83, 0x86],                                 // `:method: POST` and `:scheme: http`
            header(&[4], "/guerdon.v1.MemberService/Enroll"), // `:path`
            header(&[1], "shop"),                             // `:authority`
            header(&[0x0f, 31 - 15], "application/grpc"),     // `content-type`
            header(b"\x00\x02te", "trailers"),
        ];
        Frames::frame(Frames::HEADERS, Frames::END_HEADERS, stream, &headers.concat())
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("the connection takes it");
    }

    /// The payload of the first frame of this kind, with these flags and of this stream; the connection must stand until then.
    async fn until(&mut self, wanted: (u8, u8, u32)) -> Vec<u8> {
        let found = async {
            loop {
                let mut head = [0; 9];
                self.0.read_exact(&mut head).await.expect("the connection goes on");
                let [_, _, _, kind, flags, stream @ ..] = head;
                let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
                self.0.read_exact(&mut payload).await.expect("the connection goes on");
                assert_ne!(kind, Frames::GOAWAY, "it is closed for all: {}", payload.escape_ascii());
                if (kind, flags, u32::from_be_bytes(stream)) == wanted {
                    return payload;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {wanted:?} came"))
    }
}

#[tokio::test]
async fn callers_who_give_up_all_at_once_do_not_end_the_connection_for_the_others() {
    const CALLERS: u32 = 200;
    const CANCEL: u32 = 8;

    let server = Server::start(settings(&[("store", "memory")])).await.expect("a server");
    let stream = tokio::net::TcpStream::connect(server.addr()).await.expect("a connection");
    let mut connection = Frames(stream);
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(Frames::frame(Frames::SETTINGS, 0, 0, &[]));
    for caller in 0..CALLERS {
        let stream = 2 * caller + 1;
        sent.extend(Frames::begin_enroll(stream));
        sent.extend(Frames::frame(Frames::RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
    }
    sent.extend(Frames::frame(Frames::PING, 0, 0, b"all here"));
    connection.send(&sent).await;
    assert_eq!(connection.until((Frames::PING, Frames::ACK, 0)).await, b"all here");

    // Whoever shares the connection is served.
    let message = enroll("mia-7").encode_to_vec();
    let len = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    let body = [&[0], &len[..], &message].concat();
    let stream = 2 * CALLERS + 1;
    let call = [Frames::begin_enroll(stream), Frames::frame(Frames::DATA, Frames::END_STREAM, stream, &body)].concat();
    connection.send(&call).await;
    let answer = connection.until((Frames::DATA, 0, stream)).await;
    assert!(wire::EnrollResponse::decode(&answer[5..]).expect("an answer").enrolled);
    drop(connection);
    assert_eq!(server.stop().await, Drained::Whole);
}

#[tokio::test]
async fn both_reflections_list_the_contract_and_what_errors_carry() {
    use tonic_reflection::pb::{v1, v1alpha};

    let (server, channel) = start(&[("store", "memory")]).await;
    macro_rules! reflect {
        ($version:ident, $request:ident, $about:expr) => {{
            use $version::server_reflection_request::MessageRequest;
            use $version::server_reflection_response::MessageResponse;
            let request = $version::ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::$request($about)),
            };
            let mut client = $version::server_reflection_client::ServerReflectionClient::new(channel.clone());
            let stream = client.server_reflection_info(tokio_stream::once(request)).await.expect("reflection");
            match stream.into_inner().message().await.expect("an answer").expect("one").message_response {
                Some(MessageResponse::ListServicesResponse(list)) => {
                    list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
                }
                Some(MessageResponse::FileDescriptorResponse(_)) => vec!["a file".to_owned()],
                other => panic!("{other:?}"),
            }
        }};
        ($version:ident) => {{
            let services = reflect!($version, ListServices, String::new());
            for service in [
                "guerdon.v1.CheckoutService",
                "guerdon.v1.ReferralService",
                "guerdon.v1.RewardService",
                "grpc.health.v1.Health",
            ] {
                assert!(services.iter().any(|name| name == service), "{service}: {services:?}");
            }
            let details = reflect!($version, FileContainingSymbol, "google.rpc.BadRequest".to_owned());
            assert_eq!(details, ["a file"]);
        }};
    }
    reflect!(v1);
    reflect!(v1alpha);
    assert_eq!(server.stop().await, Drained::Whole);
}

#[tokio::test]
async fn a_missing_redis_means_not_serving_until_it_is_there() {
    let mut redis = RedisServer::start_durable();
    redis.kill();
    let url = redis.url();
    let (server, channel) = start(&[("store", "redis"), ("redis_url", &url)]).await;
    let mut watched = watch(&channel).await;
    until(&mut watched, ServingStatus::NotServing).await;
    let mut members = MemberServiceClient::new(channel.clone());
    let refused = members.enroll(enroll("mia-7")).await.expect_err("there is no store");
    assert_eq!(refused.code(), Code::Unavailable);

    for round in 0..2 {
        redis.restart();
        until(&mut watched, ServingStatus::Serving).await;
        let answer = members.enroll(enroll("mia-7")).await.expect("an answer").into_inner();
        assert_eq!(answer.replayed, 0 < round, "the first round enrols, the second is told of it");
        redis.kill();
        until(&mut watched, ServingStatus::NotServing).await;
    }
    assert_eq!(server.stop().await, Drained::Whole);
}

#[tokio::test]
async fn a_drain_is_cut_at_its_limit() {
    let redis = RedisServer::start();
    let url = redis.url();
    let (server, channel) = start(&[
        ("store", "redis"),
        ("redis_url", &url),
        ("store_timeout_ms", "60000"),
        ("call_deadline_ms_default", "60000"),
        ("drain_limit_s", "1"),
    ])
    .await;
    let mut watched = watch(&channel).await;
    until(&mut watched, ServingStatus::Serving).await;

    redis.stop();
    let mut members = MemberServiceClient::new(channel.clone());
    let mut calls = tokio::task::JoinSet::new();
    calls.spawn(async move { members.enroll(enroll("mia-7")).await });
    // Calls on one connection arrive in order: once these are answered, that one is under way.
    for _ in 0..20 {
        health(&channel, "guerdon.v1.MemberService").await.expect("health");
        tokio::task::yield_now().await;
    }
    let begun = tokio::time::Instant::now();
    assert_eq!(server.stop().await, Drained::Cut, "the store does not answer");
    assert!(begun.elapsed() < Duration::from_secs(5), "the limit is one second, it took {:?}", begun.elapsed());
    calls.abort_all();
    redis.cont();
}

#[tokio::test]
async fn programs_that_are_wrong_are_refused_before_anything_is_opened() {
    let dir = tempfile::tempdir().expect("a directory");
    let wrong = dir.path().join("wrong.yaml");
    std::fs::write(&wrong, "program: [").expect("written");
    let data = dir.path().join("g.db");
    let (wrong, data) = (wrong.display().to_string(), data.display().to_string());
    for (programs, expected) in [
        (wrong.clone(), format!("{wrong}:")),
        (format!("{PROGRAM},{PROGRAM}"), "is in".to_owned()),
        ("no/such.yaml".to_owned(), "no/such.yaml: ".to_owned()),
        (String::new(), "no program is given".to_owned()),
    ] {
        let pairs = [("listen", "127.0.0.1:0"), ("data", &*data), ("program", &*programs), ("insecure_dev", "yes")];
        let error = Server::start(Settings::of(&pairs).expect("valid")).await.expect_err("no server");
        let StartError::Programs(text) = &error else { panic!("{error:?}") };
        assert!(text.contains(&expected), "{programs}: {text}");
        assert_eq!(error.exit_code(), 64);
        assert!(!std::path::Path::new(&data).exists(), "the store was not opened");
    }
}

#[test]
fn bad_settings_end_with_64_before_a_port_is_bound() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("its address").to_string();
    // arguments                                                                     exit code and words
    for (args, code, words) in [
        (&["--listen", &*addr, "--partitions", "0"][..], 64, &["--partitions: \"0\"", "--program"][..]),
        (
            &["--listen", &*addr, "--insecure-dev", "--store", "memory", "--program", "no/such.yaml"],
            64,
            &["no/such.yaml: "],
        ),
        (&["--no-such-flag"], 64, &["--no-such-flag"]),
        (&["--listen", &*addr, "--insecure-dev", "--store", "memory", "--program", PROGRAM], 69, &["cannot listen on"]),
    ] {
        let output = output(&[&["serve"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{args:?}: `{word}` is missing in: {said}");
        }
    }
}

#[test]
fn as_many_threads_work_on_calls_as_are_asked_for() {
    let with = |count| {
        let serve = ["serve", "--insecure-dev", "--store", "memory", "--listen", "127.0.0.1:0", "--program", PROGRAM];
        let mut binary = Binary::serve(&[&serve[..], &["--log-format", "json", "--worker-threads", count]].concat());
        binary.addr();
        let threads = binary.threads();
        binary.signal("-TERM");
        binary.end();
        threads
    };
    assert_eq!(with("7") - with("2"), 5);
}

#[tokio::test]
async fn the_binary_serves_measures_and_ends_with_0_on_sigterm() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("g.db").display().to_string();
    let metrics = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let metrics = metrics.to_string();
    let serve = ["serve", "--insecure-dev", "--listen", "127.0.0.1:0", "--program", PROGRAM, "--log-format", "json"];
    let more = ["--data", &data, "--metrics-listen", &metrics, "--log-filter", "debug"];
    let mut binary = Binary::serve(&[&serve[..], &more].concat());
    let addr = binary.addr();
    let asked = output(&["health", "--target", &addr.to_string()]);
    assert_eq!((asked.status.code(), &*asked.stdout), (Some(0), &b"SERVING\n"[..]));

    let channel = connect(addr).await;
    let mut members = MemberServiceClient::new(channel.clone());
    assert!(members.enroll(enroll("mia-the-member")).await.expect("an answer").into_inner().enrolled);
    let found = scrape(&metrics);
    for line in [
        "guerdon_calls_total{method=\"guerdon.v1.MemberService/Enroll\",code=\"OK\"} 1",
        "guerdon_call_seconds_bucket{method=\"guerdon.v1.MemberService/Enroll\",le=\"+Inf\"} 1",
        "guerdon_store_up 1",
        "# HELP guerdon_calls_total Calls answered, by method and gRPC code.",
    ] {
        assert!(found.contains(line), "{line} is missing in:\n{found}");
    }

    binary.signal("-TERM");
    let (status, said) = binary.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("drained"), "{said}");
    for (where_, text) in [("metrics", &found), ("logs", &said)] {
        assert!(!text.contains("mia-the-member"), "{where_} name a member:\n{text}");
    }
    let asked = output(&["health", "--target", &addr.to_string()]);
    assert_eq!(asked.status.code(), Some(1), "nobody is there any more");

    // What was acknowledged is there after a new start.
    let mut again = Binary::serve(&[&serve[..], &["--data", &data]].concat());
    let mut members = MemberServiceClient::new(connect(again.addr()).await);
    assert!(members.enroll(enroll("mia-the-member")).await.expect("an answer").into_inner().replayed);
    again.signal("-INT");
    assert_eq!(again.end().0.code(), Some(0));
}

fn scrape(addr: &str) -> String {
    let mut stream = TcpStream::connect(addr).expect("metrics are served");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}
