//! limitador's library behind a thin gRPC server: `ShouldRateLimit` as its own server answers it, by the same calls of the same storages.
//!
//! The shipped server is on no registry. What it does besides is left out, which is to its advantage: spans, metrics, the second
//! service, the HTTP interface. So are its allocator (the system's) and its runtime, which has one thread: those of Guerdon stand here,
//! but for `--one-thread`.

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;

use clap::{Parser, ValueEnum};
use guerdon_yardsticks::ratelimit::rate_limit_response::Code;
use guerdon_yardsticks::ratelimit::rate_limit_service_server::{RateLimitService, RateLimitServiceServer};
use guerdon_yardsticks::ratelimit::{RateLimitRequest, RateLimitResponse};
use limitador::limit::{Context, Expression, Limit};
use limitador::storage::AsyncStorage;
use limitador::storage::redis::{AsyncRedisStorage, CachedRedisStorage};
use limitador::{AsyncRateLimiter, AsyncRateLimiterBuilder, RateLimiter};
use tokio::runtime::Builder;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Never reached: every hit is to be counted and let through.
const HITS_MAX: u64 = 1_000_000_000_000;
/// Longer than any run, so that no counter expires in it.
const WINDOW_S: u64 = 86_400;
/// Counters that the storage in memory holds at most; the load has fewer members.
const CACHE_SIZE: u64 = 1_000_000;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    storage: StorageKind,
    #[arg(long, default_value = "")]
    redis_url: String,
    /// One counter for everybody instead of one for each member.
    #[arg(long)]
    one_counter: bool,
    /// The runtime of its own server.
    #[arg(long)]
    one_thread: bool,
}

/// Named as by limitador's own server.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum StorageKind {
    Memory,
    Redis,
    RedisCached,
}

/// As in limitador's own server: the storage in memory is asked without waiting.
enum Limiter {
    Blocking(RateLimiter),
    Async(AsyncRateLimiter),
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let mut runtime = if args.one_thread { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    runtime.enable_all().build()?.block_on(serve(args))
}

async fn serve(args: Args) -> Result<(), Box<dyn Error>> {
    let variables = if args.one_counter { vec![] } else { vec![Expression::parse("descriptors[0].member")?] };
    // A limit with an id has keys in a short binary form, those of others are JSON.
    let limit = Limit::with_id("visits", "loyalty", HITS_MAX, WINDOW_S, [], variables);
    let waiting = |storage| AsyncRateLimiterBuilder::new(storage).build();
    let limiter = match args.storage {
        StorageKind::Memory => Limiter::Blocking(RateLimiter::new(CACHE_SIZE)),
        StorageKind::Redis => {
            let storage = AsyncRedisStorage::new(&args.redis_url).await?;
            Limiter::Async(waiting(AsyncStorage::with_counter_storage(Box::new(storage))))
        }
        StorageKind::RedisCached => {
            let storage = CachedRedisStorage::new(&args.redis_url).await?;
            Limiter::Async(waiting(AsyncStorage::with_counter_storage(Box::new(storage))))
        }
    };
    let added = match &limiter {
        Limiter::Blocking(limiter) => limiter.add_limit(limit),
        Limiter::Async(limiter) => limiter.add_limit(limit),
    };
    assert!(added, "there is no other limit");
    Server::builder().add_service(RateLimitServiceServer::new(Limits(limiter))).serve(args.listen).await?;
    Ok(())
}

struct Limits(Limiter);

#[tonic::async_trait]
impl RateLimitService for Limits {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let request = request.into_inner();
        let namespace = request.domain.into();
        let values = request
            .descriptors
            .into_iter()
            .map(|descriptor| {
                descriptor.entries.into_iter().map(|entry| (entry.key, entry.value)).collect::<HashMap<_, _>>()
            })
            .collect();
        let hits = u64::from(request.hits_addend.max(1));
        let mut context = Context::default();
        context.list_binding("descriptors".to_owned(), values);
        let result = match &self.0 {
            Limiter::Blocking(limiter) => limiter.check_rate_limited_and_update(&namespace, &context, hits),
            Limiter::Async(limiter) => limiter.check_rate_limited_and_update(&namespace, &context, hits).await,
        };
        let result = result.map_err(|error| Status::unavailable(error.to_string()))?;
        // Its own server says OK here too; but a hit that no limit counts would be no yardstick.
        let code = match (result.counters.is_empty(), result.limited) {
            (true, _) => Code::Unknown,
            (false, true) => Code::OverLimit,
            (false, false) => Code::Ok,
        };
        Ok(Response::new(RateLimitResponse { overall_code: code.into() }))
    }
}
