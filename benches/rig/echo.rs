//! The yardstick of the wire: reads each request whole and answers a message that was made before, doing nothing.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use guerdon::cli::client::{Client, Patience};
use guerdon::grpc::wire;
use prost::Message;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::process::Process;

/// Held in Redis for echoes that read it: as large as an account's record.
const RECORD: (&str, [u8; 400]) = ("echo", [7; 400]);

#[derive(clap::Args)]
pub(crate) struct EchoArgs {
    #[arg(long)]
    listen: std::net::SocketAddr,
    /// File that holds the answer to a Commit, as it goes over the wire.
    #[arg(long)]
    answer: PathBuf,
    /// One GET before each answer.
    #[arg(long)]
    redis_url: Option<String>,
}

/// The server's answer to an order of the load, written to a file: what echoes answer.
pub(crate) async fn answer_of(program: &Path, folder: &Path) -> PathBuf {
    let server = Process::guerdon("memory", program, folder, None);
    let patience =
        Patience { deadline: std::time::Duration::from_secs(10), retry_for: std::time::Duration::from_secs(20) };
    let client = Client::connect(server.address(), patience).await.expect("the server answers");
    let member_id = "load-member-0".to_owned();
    let enroll = wire::EnrollRequest { member_id: member_id.clone(), request_id: "e".into(), ..Default::default() };
    client.enroll(enroll).await.expect("enrolled");
    let line = |at: i64| wire::Line {
        line_id: at.to_string(),
        sku: format!("SKU-{at}"),
        categories: vec![format!("category-{at}")],
        quantity: 1,
        amount_minor: 250 + 10 * at,
        kind: wire::LineKind::Goods.into(),
        ..wire::Line::default()
    };
    let order = wire::Order {
        order_id: "o".into(),
        currency_code: "GBP".into(),
        prices_include_tax: true,
        lines: (0..10).map(line).collect(),
        ..wire::Order::default()
    };
    let commit = wire::CommitRequest { member_id, request_id: "c".into(), order: Some(order), ..Default::default() };
    let answer = client.commit(commit).await.expect("committed");
    let path = folder.join("answer.bin");
    std::fs::write(&path, answer.encode_to_vec()).expect("a temporary file");
    path
}

pub(crate) async fn serve(args: EchoArgs) {
    let bytes = std::fs::read(&args.answer).expect("the answer");
    let commit = wire::CommitResponse::decode(&*bytes).expect("an answer to a Commit");
    let redis = match &args.redis_url {
        None => None,
        Some(url) => {
            let client = redis::Client::open(url.as_str()).expect("an address of Redis");
            let mut redis = client.get_multiplexed_async_connection().await.expect("Redis answers");
            let _: () = redis.set(RECORD.0, &RECORD.1[..]).await.expect("Redis writes");
            Some(redis)
        }
    };
    let incoming = TcpIncoming::bind(args.listen).expect("the port is free").with_nodelay(Some(true));
    let checkout = Checkout(Answers { commit, redis });
    let server = Server::builder().add_service(checkout).add_service(Members);
    server.serve_with_incoming(incoming).await.expect("serves");
}

#[derive(Clone)]
struct Answers {
    commit: wire::CommitResponse,
    redis: Option<MultiplexedConnection>,
}

type Later<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

impl UnaryService<wire::CommitRequest> for Answers {
    type Response = wire::CommitResponse;
    type Future = Later<wire::CommitResponse>;

    fn call(&mut self, _: Request<wire::CommitRequest>) -> Self::Future {
        let Answers { commit, redis } = self.clone();
        Box::pin(async move {
            if let Some(mut redis) = redis {
                let _: Vec<u8> = redis.get(RECORD.0).await.map_err(|error| Status::unavailable(error.to_string()))?;
            }
            Ok(Response::new(commit))
        })
    }
}

/// Everybody is enrolled.
struct Enrolled;

impl UnaryService<wire::EnrollRequest> for Enrolled {
    type Response = wire::EnrollResponse;
    type Future = Ready<Result<Response<wire::EnrollResponse>, Status>>;

    fn call(&mut self, _: Request<wire::EnrollRequest>) -> Self::Future {
        ready(Ok(Response::new(wire::EnrollResponse { enrolled: true, ..Default::default() })))
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

#[derive(Clone)]
struct Checkout(Answers);

impl NamedService for Checkout {
    const NAME: &'static str = "guerdon.v1.CheckoutService";
}

impl Service<http::Request<Body>> for Checkout {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        let answers = self.0.clone();
        Box::pin(async move {
            let codec = ProstCodec::<wire::CommitResponse, wire::CommitRequest>::default();
            Ok(Grpc::new(codec).unary(answers, request).await)
        })
    }
}

#[derive(Clone)]
struct Members;

impl NamedService for Members {
    const NAME: &'static str = "guerdon.v1.MemberService";
}

impl Service<http::Request<Body>> for Members {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        Box::pin(async move {
            let codec = ProstCodec::<wire::EnrollResponse, wire::EnrollRequest>::default();
            Ok(Grpc::new(codec).unary(Enrolled, request).await)
        })
    }
}
