//! The face on a real server: deadlines, panics, limits, and errors that programs can read.

use std::sync::Arc;
use std::time::Duration;

use guerdon::domain::answer::*;
use guerdon::domain::id::RewardId;
use guerdon::grpc::wire::checkout_service_client::CheckoutServiceClient;
use guerdon::grpc::wire::simulation_service_client::SimulationServiceClient;
use guerdon::grpc::{self, wire};
use guerdon::service::{Answered, Error};
use guerdon::store;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::Service;

use super::kit::*;

/// A server on loopback; it and what else is spawned on `tasks` end with it.
struct Running {
    address: std::net::SocketAddr,
    watcher: Arc<Watcher>,
    tasks: JoinSet<()>,
}

impl Running {
    async fn start(fake: &Arc<Fake>, change: impl FnOnce(&mut grpc::Options)) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let watcher = Arc::new(Watcher::default());
        let mut options = options(&watcher);
        change(&mut options);
        let routes = grpc::routes(fake.clone(), &options);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            Server::builder().add_routes(routes).serve_with_incoming(incoming).await.unwrap();
        });
        Running { address, watcher, tasks }
    }

    async fn channel(&self) -> Channel {
        Endpoint::try_from(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// The status of a call made without a client's own timers: what the server itself says.
    async fn status_of(&mut self, method: &str, timeout: Option<&str>, request: impl Message) -> Status {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let (client, connection) = h2::client::handshake(tcp).await.unwrap();
        self.tasks.spawn(async move {
            // The server may go away first.
            let _ = connection.await;
        });
        let mut head = http::Request::post(format!("http://{}/{method}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(timeout) = timeout {
            head = head.header("grpc-timeout", timeout);
        }
        let (response, mut body) = client.ready().await.unwrap().send_request(head.body(()).unwrap(), false).unwrap();
        let message = request.encode_to_vec();
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend(message);
        body.send_data(frame.into(), true).unwrap();
        let response = response.await.unwrap();
        Status::from_header_map(response.headers()).expect("a status without a message")
    }
}

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, grpc::ERROR_DOMAIN);
    info.reason
}

const COMMIT: &str = "guerdon.v1.CheckoutService/Commit";

#[tokio::test]
async fn a_deadline_that_passed_is_called_so_and_not_cancelled() {
    let mut server = Running::start(&Fake::that(Does::Hangs), |_| {}).await;
    for timeout in ["1n", "100u", "1m", "5m", "200m"] {
        let status = server.status_of(COMMIT, Some(timeout), commit()).await;
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            "{timeout}"
        );
    }
    assert_eq!(*server.watcher.finished.lock().unwrap(), [(COMMIT, Code::DeadlineExceeded); 5]);
}

#[tokio::test]
async fn callers_without_a_deadline_have_the_servers() {
    let short = |options: &mut grpc::Options| options.deadline_default = Duration::from_millis(50);
    let mut server = Running::start(&Fake::that(Does::Hangs), short).await;
    for timeout in [None, Some("soon")] {
        let status = server.status_of(COMMIT, timeout, commit()).await;
        assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
        assert!(status.message().contains("50 ms"), "{}", status.message());
    }
}

#[tokio::test]
async fn a_request_that_is_no_message_of_the_contract_is_malformed_and_no_defect() {
    let mut server = Running::start(&Fake::that(Does::Hangs), |_| {}).await;
    // Field 1 is a text in the contract; these bytes are none.
    let status = server.status_of(COMMIT, None, vec![0xff_u8, 0xfe]).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "REQUEST_MALFORMED"));
}

#[tokio::test]
async fn a_panic_ends_its_call_and_not_the_connection() {
    let fake = Fake::that(Does::Panics);
    let server = Running::start(&fake, |_| {}).await;
    let mut client = CheckoutServiceClient::new(server.channel().await);
    let status = client.commit(commit()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"));
    assert!(!status.message().contains("as told"), "what panicked is for the log: {}", status.message());
    *fake.does.lock().unwrap() = Does::Fits;
    client.commit(commit()).await.expect("the same connection serves the next call");
    assert_eq!(*server.watcher.finished.lock().unwrap(), [(COMMIT, Code::Internal), (COMMIT, Code::Ok)]);
}

#[tokio::test]
async fn every_error_has_its_code_its_reason_and_its_remedy() {
    let fake = Fake::that(Does::Fits);
    let server = Running::start(&fake, |_| {}).await;
    let mut client = CheckoutServiceClient::new(server.channel().await);
    let corrupt = store::Error::Corrupt { what: "secret".into() };
    let too_new = store::Error::SchemaTooNew { found: 9, known: 1 };
    let other = store::Error::OtherDeployment { setting: "partitions", found: "1".into(), wanted: "2".into() };
    let unfit = store::Error::Unfit { what: "it is too old".into() };
    type Metadata = &'static [(&'static str, &'static str)];
    // error, code, reason, whether waiting helps, metadata, part of the message
    let rows: [(Error, Code, &str, bool, Metadata, &str); 18] = [
        (
            Error::RequestIdReused { field: "order".into() },
            Code::AlreadyExists,
            "REQUEST_ID_REUSED",
            false,
            &[("field", "order")],
            "`order`",
        ),
        (Error::RequestFenced, Code::FailedPrecondition, "REQUEST_FENCED", false, &[], "new request id"),
        (Error::ProgramUnknown, Code::NotFound, "PROGRAM_UNKNOWN", false, &[], "`program_id`"),
        (
            Error::NotFound { field: "order_id" },
            Code::NotFound,
            "NOT_FOUND",
            false,
            &[("field", "order_id")],
            "`order_id`",
        ),
        (
            Error::Malformed { field: "page_token", problem: "is torn".into() },
            Code::InvalidArgument,
            "REQUEST_MALFORMED",
            false,
            &[],
            "`page_token` is torn",
        ),
        (Error::Contention, Code::Aborted, "CONTENTION", true, &[], "same request id"),
        (Error::Overloaded, Code::ResourceExhausted, "OVERLOADED", true, &[], "later"),
        (
            Error::LimitReached { limit: "order_record_bytes" },
            Code::ResourceExhausted,
            "LIMIT_REACHED",
            false,
            &[("limit", "order_record_bytes")],
            "outgrow",
        ),
        (Error::ClockOff, Code::Unavailable, "CLOCK_OFF", true, &[], "another instance"),
        (Error::Draining, Code::Unavailable, "DRAINING", true, &[], "another instance"),
        (store::Error::Unavailable.into(), Code::Unavailable, "STORE_UNAVAILABLE", true, &[], "nothing was done"),
        (store::Error::Moved.into(), Code::Unavailable, "STORE_UNAVAILABLE", true, &[], "nothing was done"),
        (unfit.into(), Code::FailedPrecondition, "STORE_UNFIT", false, &[], "too old"),
        (store::Error::OutcomeUnknown.into(), Code::Unavailable, "OUTCOME_UNKNOWN", true, &[], "GetOutcome"),
        (corrupt.into(), Code::Internal, "STORE_CORRUPT", false, &[], "the log"),
        (too_new.into(), Code::FailedPrecondition, "STORE_TOO_NEW", false, &[], "newer version"),
        (
            other.into(),
            Code::FailedPrecondition,
            "STORE_OF_OTHER_DEPLOYMENT",
            false,
            &[("setting", "partitions")],
            "partitions = 1",
        ),
        (Error::Internal("secret".into()), Code::Internal, "INTERNAL", false, &[], "the log"),
    ];
    for (error, code, expected, waiting_helps, metadata, part) in rows {
        *fake.does.lock().unwrap() = Does::Fails(error.clone());
        let status = client.commit(commit()).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected), "{error:?}");
        let details = status.get_error_details();
        let delay = details.retry_info().map(|info| info.retry_delay.expect("a delay"));
        assert_eq!(delay.is_some_and(|delay| Duration::ZERO < delay), waiting_helps, "{error:?}");
        let sent = &details.error_info().unwrap().metadata;
        assert_eq!(sent.len(), metadata.len(), "{sent:?}");
        assert!(metadata.iter().all(|(key, value)| sent.get(*key).map(String::as_str) == Some(*value)), "{sent:?}");
        assert!(status.message().contains(part), "{expected}: {}", status.message());
        assert!(!status.message().contains("secret"), "{expected}: {}", status.message());
    }
    // What only the service can see is listed like every other malformed field.
    *fake.does.lock().unwrap() = Does::Fails(Error::Malformed { field: "page_token", problem: "is torn".into() });
    assert_eq!(paths(&client.commit(commit()).await.unwrap_err()), ["page_token"]);
}

#[tokio::test]
async fn a_fenced_or_unfitting_answer_is_an_error() {
    let fake = Fake::that(Does::Answers(Answered { answer: Answer::Fenced, replayed: true }));
    let status = commit().send(routes(&fake)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "REQUEST_FENCED"));
    let fake = Fake::that(Does::Answers(Answered { answer: Answer::Done, replayed: false }));
    let status = commit().send(routes(&fake)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"));
}

#[tokio::test]
async fn malformed_requests_arrive_as_lists_of_fields() {
    let server = Running::start(&Fake::that(Does::Fits), |_| {}).await;
    let mut client = CheckoutServiceClient::new(server.channel().await);
    let request = wire::CommitRequest { member_id: String::new(), order: None, ..commit() };
    let status = client.commit(request).await.unwrap_err();
    assert_eq!(paths(&status), ["order"]);
    // The most that a list may hold gets through the headers of a real connection.
    let lines = (0..500).map(|_| wire::Line { quantity: -1, amount_minor: -1, ..line("{odd}") }).collect();
    let request = wire::CommitRequest { order: Some(wire::Order { lines, ..order() }), ..commit() };
    assert!(10 < paths(&client.commit(request).await.unwrap_err()).len());
}

#[tokio::test]
async fn requests_may_be_compressed_and_must_not_be_huge() {
    let server = Running::start(&Fake::that(Does::Fits), |_| {}).await;
    let mut client = CheckoutServiceClient::new(server.channel().await).send_compressed(CompressionEncoding::Gzip);
    client.commit(commit()).await.expect("a compressed request");
    // Small on the wire, large once unpacked.
    let huge = wire::CommitRequest { codes: vec!["a".repeat(grpc::REQUEST_BYTES_MAX + 1)], ..commit() };
    let status = client.commit(huge.clone()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::OutOfRange, "REQUEST_MALFORMED".to_owned()));
    let mut client = CheckoutServiceClient::new(server.channel().await);
    let status = client.commit(huge).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::OutOfRange, "REQUEST_MALFORMED".to_owned()));
    client.commit(commit()).await.expect("the connection serves on");
}

#[tokio::test]
async fn what_is_no_request_of_grpc_is_the_callers_fault() {
    let server = Running::start(&Fake::that(Does::Fits), |_| {}).await;
    let mut channel = server.channel().await;
    let mut send = async |kind: &'static str| {
        let request = http::Request::post("/guerdon.v1.CheckoutService/Commit").header("content-type", kind);
        let request = request.body(tonic::body::Body::empty()).unwrap();
        std::future::poll_fn(|context: &mut std::task::Context<'_>| channel.poll_ready(context)).await.unwrap();
        channel.call(request).await.unwrap()
    };
    for kind in ["application/json", "application/grpc-web", "text/plain"] {
        assert_eq!(send(kind).await.status(), http::StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    for kind in ["application/grpc", "application/grpc+proto"] {
        // Without a message in it.
        let answer = send(kind).await;
        let status = Status::from_header_map(answer.headers()).expect("a status");
        assert_eq!((status.code(), reason(&status)), (Code::InvalidArgument, "REQUEST_MALFORMED".to_owned()));
    }
}

#[tokio::test]
async fn time_is_driven_only_where_requests_drive_it() {
    let mut ordinary = Fake::that(Does::Fits);
    Arc::get_mut(&mut ordinary).unwrap().follows_requests = false;
    assert_eq!(grpc::service_names(&*ordinary).len(), 8);
    let server = Running::start(&ordinary, |_| {}).await;
    let mut client = SimulationServiceClient::new(server.channel().await);
    assert_eq!(client.end_day(end_day()).await.unwrap_err().code(), Code::Unimplemented);
    assert!(server.watcher.finished.lock().unwrap().is_empty(), "no service of ours was asked");

    let replaying = Fake::that(Does::Fits);
    assert!(grpc::service_names(&*replaying).contains(&"guerdon.v1.SimulationService"));
    let short = |options: &mut grpc::Options| options.deadline_default = Duration::ZERO;
    let server = Running::start(&replaying, short).await;
    let mut client = SimulationServiceClient::new(server.channel().await);
    client.end_day(end_day()).await.expect("a day may take as long as it takes");
}

#[tokio::test]
async fn methods_that_do_not_exist_are_counted_under_one_name() {
    let mut server = Running::start(&Fake::that(Does::Fits), |_| {}).await;
    for method in ["guerdon.v1.CheckoutService/Steal", "guerdon.v1.CheckoutService/Commit/x"] {
        let status = server.status_of(method, None, commit()).await;
        assert_eq!(status.code(), Code::Unimplemented);
    }
    assert_eq!(*server.watcher.finished.lock().unwrap(), [("unknown", Code::Unimplemented); 2]);
}

#[tokio::test]
async fn refusals_are_counted_once() {
    let subject = Subject::Reward(RewardId::parse("mug").unwrap());
    let refusals = vec![Refusal::new(subject, Reason::RewardUnknown), Refusal::new(Subject::Earn, Reason::TooFarBack)];
    let decided = Decided { refusals, ..decided() };
    let answer = Answer::Commit(CommitAnswer { status: CommitStatus::Committed, decided, balances: Vec::new() });
    let watcher = Arc::new(Watcher::default());
    for (replayed, expected) in [(false, 2), (true, 2)] {
        let fake = Fake::that(Does::Answers(Answered { answer: answer.clone(), replayed }));
        commit().send(grpc::routes(fake, &options(&watcher))).await.unwrap();
        assert_eq!(watcher.refused.lock().unwrap().len(), expected, "a resend counts nothing anew");
    }
    assert_eq!(*watcher.refused.lock().unwrap(), [Reason::RewardUnknown, Reason::TooFarBack]);
    assert_eq!(*watcher.finished.lock().unwrap(), [(COMMIT, Code::Ok); 2]);
}
