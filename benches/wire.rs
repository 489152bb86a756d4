//! A whole call over loopback gRPC: Quote and Commit of an order of ten lines under the bakery's example program, at
//! 1, 8 and 64 calls in flight, on each store. Client and server share the machine, so read ratios, not figures.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a bench fails by panicking, and its server need not be drained"
)]

#[path = "../tests/support/redis.rs"]
mod redis_server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use guerdon::access::Access;
use guerdon::clock::Clock;
use guerdon::domain::answer::Reason;
use guerdon::grpc::wire::checkout_service_client::CheckoutServiceClient;
use guerdon::grpc::wire::member_service_client::MemberServiceClient;
use guerdon::grpc::wire::{CommitRequest, CommitStatus, EnrollRequest, Line, LineKind, Order, QuoteRequest};
use guerdon::grpc::{Observer, Options as GrpcOptions, routes};
use guerdon::service::meter::Silent;
use guerdon::service::{Options, Service, Source};
use guerdon::store::embedded::EmbeddedStore;
use guerdon::store::memory::MemoryStore;
use guerdon::store::redis::{RedisSettings, RedisStore};
use guerdon::store::{Layout, Store};
use redis_server::RedisServer;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};

const PROGRAM: &str = include_str!("../examples/programs/marlow-bakery.yaml");
const MEMBERS: u64 = 256;

struct Unobserved;

impl Observer for Unobserved {
    fn call_finished(&self, _method: &'static str, _code: tonic::Code, _took: Duration) {}
    fn refused(&self, _reason: Reason) {}
}

async fn serve(store: Arc<dyn Store>) -> Channel {
    let layout = Layout::new(Layout::PARTITIONS_DEFAULT).unwrap();
    let source = Source::compile(PROGRAM).ok().unwrap();
    let service = Service::new(store, layout, Clock::system(), vec![source], Options::default(), Arc::new(Silent));
    service.publish().await.unwrap();
    let options = GrpcOptions {
        deadline_default: Duration::from_secs(30),
        observer: Arc::new(Unobserved),
        access: Arc::new(Access::development()),
        gate: Arc::new(guerdon::grpc::OpenGate),
        told: guerdon::app::told(100, 10),
    };
    let routes = routes(Arc::new(service), &options);
    // Without it, every answer would wait 40 ms for the acknowledgement of the one before (Nagle's algorithm).
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap().with_nodelay(Some(true));
    let address = incoming.local_addr().unwrap();
    drop(tokio::task::spawn(Server::builder().add_routes(routes).serve_with_incoming(incoming)));
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().tcp_nodelay(true).connect().await.unwrap();
    let mut members = MemberServiceClient::new(channel.clone());
    for n in 0..MEMBERS {
        let request =
            EnrollRequest { member_id: format!("member-{n}"), request_id: "enroll".into(), ..EnrollRequest::default() };
        assert!(members.enroll(request).await.unwrap().into_inner().enrolled);
    }
    channel
}

fn order(n: u64) -> Order {
    let line = |at: u64| Line {
        line_id: format!("{at}"),
        sku: format!("SKU-{at}"),
        categories: vec![if at.is_multiple_of(2) { "bread" } else { "pastry" }.into()],
        quantity: 1 + i64::try_from(at).unwrap(),
        amount_minor: 250 + 10 * i64::try_from(at).unwrap(),
        kind: LineKind::Goods.into(),
        ..Line::default()
    };
    Order {
        order_id: format!("order-{n}"),
        currency_code: "GBP".into(),
        channel: "store".into(),
        store_id: "high-street".into(),
        prices_include_tax: true,
        lines: (0..10).map(line).collect(),
        ..Order::default()
    }
}

#[derive(Clone, Copy)]
enum Call {
    Quote,
    Commit,
}

async fn call(channel: Channel, what: Call, n: u64) {
    let mut checkout = CheckoutServiceClient::new(channel);
    let member_id = format!("member-{}", n % MEMBERS);
    match what {
        Call::Quote => {
            let request = QuoteRequest { member_id, order: Some(order(n)), ..QuoteRequest::default() };
            let answer = checkout.quote(request).await.unwrap().into_inner();
            assert!(!answer.decision.unwrap().effects.is_empty());
        }
        Call::Commit => {
            let request = CommitRequest {
                member_id,
                request_id: format!("commit-{n}"),
                order: Some(order(n)),
                ..CommitRequest::default()
            };
            let answer = checkout.commit(request).await.unwrap().into_inner();
            assert_eq!(answer.status(), CommitStatus::Committed);
        }
    }
}

fn calls(runtime: &Runtime, channel: &Channel, what: Call, in_flight: u64, count: u64) -> Duration {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let first = CALLS.fetch_add(count, Ordering::Relaxed);
    let began = Instant::now();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for lane in 0..in_flight.min(count) {
            let channel = channel.clone();
            tasks.spawn(async move {
                let mut n = first + lane;
                while n < first + count {
                    call(channel.clone(), what, n).await;
                    n += in_flight;
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
    began.elapsed()
}

fn wire(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let layout = Layout::new(Layout::PARTITIONS_DEFAULT).unwrap();
    let clock = Clock::system();
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start();
    let settings = RedisSettings::new(redis.url());
    let stores: [(&str, Arc<dyn Store>); 3] = [
        ("memory", Arc::new(MemoryStore::new(clock.for_store()))),
        (
            "embedded",
            Arc::new(EmbeddedStore::open(&folder.path().join("guerdon.db"), layout, clock.for_store()).unwrap()),
        ),
        ("redis", Arc::new(RedisStore::connect(settings, layout).ok().unwrap())),
    ];
    for (name, store) in stores {
        let channel = runtime.block_on(serve(store));
        let mut group = criterion.benchmark_group(format!("wire/{name}"));
        group.throughput(Throughput::Elements(1));
        for (what, label) in [(Call::Quote, "quote"), (Call::Commit, "commit")] {
            for in_flight in [1, 8, 64] {
                group.bench_function(BenchmarkId::new(label, in_flight), |bench| {
                    bench.iter_custom(|count| calls(&runtime, &channel, what, in_flight, count));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, wire);
criterion_main!(benches);
