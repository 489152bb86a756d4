//! The binary is killed in the middle of concurrent writes, started again, and every write is sent once more: all of
//! it has happened once, and every ledger verifies. On SQLite, and on Redis with `appendfsync always`. Asked to end
//! instead, it answers what it has accepted. And files as they would be had the machine died, at every moment: opened again,
//! they hold what was acknowledged.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its clients end with it"
)]

mod crash_cases {
    mod images;
}

mod support {
    pub(crate) mod redis;
}

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guerdon::grpc::wire;
use guerdon::grpc::wire::checkout_service_client::CheckoutServiceClient;
use guerdon::grpc::wire::ledger_service_client::LedgerServiceClient;
use guerdon::grpc::wire::member_service_client::MemberServiceClient;
use support::redis::RedisServer;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/programs/grocer.yaml");
const MEMBERS: u64 = 8;
const ORDERS_EACH: u64 = 40;
/// Each order earns one point for each of its ten dollars.
const POINTS_EACH: i64 = 10;

/// The binary, listening; killed when dropped.
struct Binary {
    child: Child,
    addr: SocketAddr,
}

impl Binary {
    fn start(store: &[String]) -> Binary {
        let mut child = Command::new(env!("CARGO_BIN_EXE_guerdon"))
            .args(["serve", "--insecure-dev", "--program", PROGRAM, "--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--call-deadline-ms-default", "20000", "--store-timeout-ms", "10000"])
            .args(store)
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let log = BufReader::new(child.stderr.take().expect("a log"));
        let (tell, told) = std::sync::mpsc::channel();
        // Reads to the end, so that the server never waits for its log to be read.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let addr = line.split("\"addr\":\"").nth(1).and_then(|rest| rest.split('"').next()?.parse().ok());
                if let Some(addr) = addr {
                    let _ = tell.send(addr);
                }
            }
        });
        let addr = told.recv_timeout(Duration::from_secs(30)).expect("the server says where it listens");
        Binary { child, addr }
    }

    /// SIGTERM, and how it ends.
    fn terminate(mut self) -> ExitStatus {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
        self.child.wait().expect("reaped")
    }

    fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn connect(addr: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{addr}")).unwrap().tcp_nodelay(true).connect().await.unwrap()
}

fn order(member: u64, n: u64) -> wire::CommitRequest {
    wire::CommitRequest {
        member_id: format!("m{member}"),
        request_id: format!("commit-{n}"),
        order: Some(wire::Order {
            order_id: format!("m{member}-order-{n}"),
            currency_code: "USD".into(),
            prices_include_tax: true,
            lines: vec![wire::Line {
                line_id: "1".into(),
                categories: vec!["PASTRY".into()],
                quantity: 1,
                amount_minor: 1_000,
                ..wire::Line::default()
            }],
            ..wire::Order::default()
        }),
        ..wire::CommitRequest::default()
    }
}

fn enroll(member: u64) -> wire::EnrollRequest {
    wire::EnrollRequest {
        member_id: format!("m{member}"),
        request_id: "enroll".into(),
        ..wire::EnrollRequest::default()
    }
}

/// Sends every write of every member, members side by side, until all are answered or the server is gone. Answers how
/// many were answered with a commit.
async fn send_all(channel: Channel, answered: Arc<AtomicU64>, enough: Arc<Notify>, enough_at: u64) {
    let mut members = JoinSet::new();
    for member in 0..MEMBERS {
        let (channel, answered, enough) = (channel.clone(), Arc::clone(&answered), Arc::clone(&enough));
        members.spawn(async move {
            if MemberServiceClient::new(channel.clone()).enroll(enroll(member)).await.is_err() {
                return;
            }
            for n in 0..ORDERS_EACH {
                match CheckoutServiceClient::new(channel.clone()).commit(order(member, n)).await {
                    Ok(answer) => assert_eq!(answer.into_inner().status(), wire::CommitStatus::Committed),
                    Err(_) => return,
                }
                if answered.fetch_add(1, Ordering::SeqCst) + 1 == enough_at {
                    enough.notify_one();
                }
            }
        });
    }
    while let Some(done) = members.join_next().await {
        done.unwrap();
    }
}

/// Kills the server after so many answers, several times over, then lets it finish.
async fn survive(store: &[String]) {
    for enough_at in [1, 17, 60, 150] {
        let binary = Binary::start(store);
        let (answered, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
        let channel = connect(binary.addr).await;
        let sending = tokio::spawn(send_all(channel, Arc::clone(&answered), Arc::clone(&enough), enough_at));
        enough.notified().await;
        binary.kill();
        sending.await.unwrap();
    }
    let binary = Binary::start(store);
    let channel = connect(binary.addr).await;
    let answered = Arc::new(AtomicU64::new(0));
    send_all(channel.clone(), Arc::clone(&answered), Arc::new(Notify::new()), 0).await;
    assert_eq!(answered.load(Ordering::SeqCst), MEMBERS * ORDERS_EACH, "every write is answered in the end");
    for member in 0..MEMBERS {
        let member_id = format!("m{member}");
        let request = wire::GetMemberRequest { member_id: member_id.clone(), ..wire::GetMemberRequest::default() };
        let found = MemberServiceClient::new(channel.clone()).get_member(request).await.unwrap().into_inner();
        let found = found.member.unwrap();
        assert_eq!(found.orders, i64::try_from(ORDERS_EACH).unwrap(), "{member_id}");
        assert_eq!(found.balances[0].available, POINTS_EACH * i64::try_from(ORDERS_EACH).unwrap(), "{member_id}");
        let request = wire::VerifyMemberRequest { member_id, ..wire::VerifyMemberRequest::default() };
        let proof = LedgerServiceClient::new(channel.clone()).verify_member(request).await.unwrap().into_inner();
        assert!(proof.verified, "{:?}", proof.faults);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_amid_writes_does_each_once_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("guerdon.db").display().to_string();
    survive(&["--store".into(), "embedded".into(), "--data".into(), data]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_amid_writes_does_each_once_on_redis() {
    let redis = RedisServer::start_durable();
    survive(&["--store".into(), "redis".into(), "--redis-url".into(), redis.url()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_asked_to_end_amid_writes_answers_what_it_has_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("guerdon.db").display().to_string();
    let store = ["--store".into(), "embedded".into(), "--data".into(), data];
    let binary = Binary::start(&store);
    let (answered, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let channel = connect(binary.addr).await;
    let sending = tokio::spawn(send_all(channel, Arc::clone(&answered), Arc::clone(&enough), 40));
    enough.notified().await;
    let ended = tokio::task::spawn_blocking(|| binary.terminate()).await.unwrap();
    assert_eq!(ended.code(), Some(0));
    sending.await.unwrap();
    let answered = i64::try_from(answered.load(Ordering::SeqCst)).unwrap();
    let all = i64::try_from(MEMBERS * ORDERS_EACH).unwrap();
    assert!((40..all).contains(&answered), "{answered} of {all}: it ended in the middle");

    let binary = Binary::start(&store);
    let channel = connect(binary.addr).await;
    let mut committed = 0;
    for member in 0..MEMBERS {
        let request = wire::GetMemberRequest { member_id: format!("m{member}"), ..wire::GetMemberRequest::default() };
        let found = MemberServiceClient::new(channel.clone()).get_member(request).await.unwrap().into_inner();
        committed += found.member.unwrap().orders;
    }
    assert_eq!(committed, answered, "none was committed without an answer");
}
