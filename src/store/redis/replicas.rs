//! Waiting until replicas have what a master has answered: one round for all commits that wait at the time.
//!
//! `WAIT` blocks the connection it comes over and speaks of what that connection has written before. So there is a
//! connection for it alone, and each round writes a mark first: whoever has the mark has all that was answered before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::redis::Client;
use ::redis::aio::MultiplexedConnection;
use tracing::{info, warn};

use super::fitness::fitness;
use crate::store::repeated::Repeated;

/// Beyond what the server waits: its answer has to come here too.
const ANSWER_MARGIN: Duration = Duration::from_millis(100);

/// How many replicas have to have it, and how long they may take.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) replicas: u32,
    pub(super) limit: Duration,
}

/// The rounds of one life of one master.
pub(super) struct Replicas {
    client: Client,
    run_id: Box<str>,
    /// Rounds begun.
    begun: AtomicU64,
    told: Repeated,
    turn: tokio::sync::Mutex<Turn>,
}

#[derive(Default)]
struct Turn {
    connection: Option<MultiplexedConnection>,
    /// The round that ended last, and whether the replicas had it in time.
    ended: u64,
    reached: bool,
    /// Whether somebody was told that they had not.
    told: bool,
}

impl Replicas {
    pub(super) fn new(client: Client, run_id: Box<str>) -> Replicas {
        Replicas {
            client,
            run_id,
            begun: AtomicU64::new(0),
            told: Repeated::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Whether enough replicas have everything that the master answered before this call. `mark` is a key of the
    /// master.
    pub(super) async fn have_it(&self, mark: &str, wanted: Wanted) -> bool {
        let before = self.begun.load(Ordering::Acquire);
        let mut turn = self.turn.lock().await;
        if before < turn.ended {
            // A round that began after this call came has ended meanwhile.
            return turn.reached;
        }
        let round = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let limit = wanted.limit + ANSWER_MARGIN;
        let reached = match tokio::time::timeout(limit, self.round(&mut turn, mark, wanted)).await {
            Ok(Ok(replicas)) => wanted.replicas <= replicas,
            Ok(Err(error)) => {
                if self.told.is_news("unasked") {
                    warn!(store = "redis", "replicas could not be waited for: {error}");
                }
                turn.connection = None;
                false
            }
            Err(_elapsed) => {
                turn.connection = None;
                false
            }
        };
        if !reached && self.told.is_news("few") {
            turn.told = true;
            warn!(store = "redis", wanted = wanted.replicas, "too few replicas have what was written");
        } else if reached && std::mem::take(&mut turn.told) {
            info!(store = "redis", "enough replicas have what is written again");
        }
        (turn.ended, turn.reached) = (round, reached);
        reached
    }

    /// How many replicas have the mark.
    async fn round(&self, turn: &mut Turn, mark: &str, wanted: Wanted) -> ::redis::RedisResult<u32> {
        let mut connection = match turn.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let limit_ms = u64::try_from(wanted.limit.as_millis()).unwrap_or(u64::MAX);
        let mut ask = ::redis::pipe();
        ask.cmd("SET").arg(mark).arg("").ignore().cmd("WAIT").arg(wanted.replicas).arg(limit_ms);
        let (replicas,): (u32,) = ask.query_async(&mut connection).await?;
        turn.connection = Some(connection);
        Ok(replicas)
    }

    /// Another life of the server does not have what this one answered, unless it says so itself.
    async fn connect(&self) -> ::redis::RedisResult<MultiplexedConnection> {
        let config = ::redis::AsyncConnectionConfig::new().set_response_timeout(None); // rounds have an outer one
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let info: String = ::redis::cmd("INFO").query_async(&mut connection).await?;
        match fitness(&info) {
            Ok(found) if found.run_id == self.run_id && !found.replica => Ok(connection),
            _ => Err((::redis::ErrorKind::Client, "the server has begun another life").into()),
        }
    }
}
